//! Webhooks of tenants: events of a tenant's calls, posted to the addresses in its settings.
//!
//! Each address of each tenant is a [`Receiver`] of its own, so that one that does not answer costs
//! nobody else anything. They are made when there is something to tell, and forgotten when there are
//! many that have nothing to deliver.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::StatusCode;
use crosspoint_calls::ids::TenantId;
use crosspoint_calls::policy::TenantSettings;
use crosspoint_calls::service::TenantWebhook;
use reqwest::Url;

use super::{Receiver, SignedClient, address};
use crate::auth::Secret;
use crate::config;
use crate::http::problem::Problem;

/// Most addresses of one tenant.
const URLS_MAX: usize = 8;

/// Longest address, in bytes.
const URL_BYTES_MAX: usize = 2048;

/// Shortest (RFC 7518 §3.2) and longest secret, in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 32..=256;

/// From how many tenants on those with nothing to deliver are forgotten.
const TENANTS_KEPT: usize = 1024;

/// Whether a tenant may have these settings' webhooks.
///
/// # Errors
/// Too many, one that is no web address or leads where the operator does not let it, a short secret.
pub(crate) fn check(settings: &TenantSettings, allow_private: bool) -> Result<(), Problem> {
    if settings.webhooks.len() > URLS_MAX {
        return Err(unusable(format!("webhooks: at most {URLS_MAX} URLs")));
    }
    for text in &settings.webhooks {
        let url = config::web_url(text).filter(|_| text.len() <= URL_BYTES_MAX);
        let url = url.ok_or_else(|| {
            let what = "is a URL with http or https";
            unusable(format!(
                "webhooks: each {what}, {URL_BYTES_MAX} bytes long at most"
            ))
        })?;
        if !allow_private && address::is_special_literal(&url) {
            return Err(refused(&url));
        }
    }
    let secret = settings.webhook_secret.0.len();
    if secret != 0 && !SECRET_BYTES.contains(&secret) {
        let (least, most) = SECRET_BYTES.into_inner();
        return Err(unusable(format!(
            "webhookSecret: {least} to {most} bytes, or none for the server's own key"
        )));
    }
    Ok(())
}

fn unusable(detail: String) -> Problem {
    let title = "The webhooks cannot be used";
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_value",
        title,
        detail,
    )
}

fn refused(url: &Url) -> Problem {
    let host = url.host_str().unwrap_or_default();
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "address_refused",
        "The address is not posted to",
        format!("webhooks: {host} is a special address; webhooks.allow_private would allow it"),
    )
}

/// Receivers of the tenants that had something to tell.
pub(super) struct Tenants {
    client: SignedClient,
    config: config::Webhooks,
    known: HashMap<TenantId, Known>,
}

/// A tenant's receivers, and the settings that they were made of.
struct Known {
    settings: Arc<TenantSettings>,
    receivers: Vec<Arc<Receiver>>,
}

impl Tenants {
    pub(super) fn new(client: SignedClient, config: &config::Webhooks) -> Self {
        Self {
            client,
            config: config.clone(),
            known: HashMap::new(),
        }
    }

    /// Where this event is to be told beside the server's own receivers.
    pub(super) fn receivers(&mut self, told: &TenantWebhook) -> &[Arc<Receiver>] {
        if told.settings.webhooks.is_empty() {
            self.known.remove(&told.tenant);
            return &[];
        }
        let known = match self.known.remove(&told.tenant) {
            Some(known) if known.is_of(&told.settings) => known,
            before => self.make(told, before),
        };
        if self.known.len() >= TENANTS_KEPT {
            self.known.retain(|_, known| known.is_busy());
        }
        let entry = self.known.entry(told.tenant.clone());
        &entry.insert_entry(known).into_mut().receivers
    }

    /// Addresses that were there before go on with what they have to deliver, so that order is kept.
    fn make(&self, told: &TenantWebhook, before: Option<Known>) -> Known {
        let settings = &told.settings;
        let before = before.filter(|before| before.is_signed_as(settings));
        let before = before.map(|before| before.receivers).unwrap_or_default();
        let client = match settings.webhook_secret.0.as_str() {
            "" => self.client.clone(),
            secret => {
                let secret = Secret::new(secret.to_owned());
                self.client.signing_as(told.tenant.as_str(), secret)
            }
        };
        let urls = settings.webhooks.iter().filter_map(|url| url.parse().ok());
        let receiver = |url: Url| {
            let same = before.iter().find(|receiver| receiver.url == url);
            let new = || Arc::new(Receiver::new(url.clone(), client.clone(), &self.config));
            same.cloned().unwrap_or_else(new)
        };
        Known {
            settings: Arc::clone(settings),
            receivers: urls.map(receiver).collect(),
        }
    }
}

impl Known {
    fn is_of(&self, settings: &TenantSettings) -> bool {
        self.settings.webhooks == settings.webhooks && self.is_signed_as(settings)
    }

    fn is_signed_as(&self, settings: &TenantSettings) -> bool {
        self.settings.webhook_secret == settings.webhook_secret
    }

    fn is_busy(&self) -> bool {
        self.receivers.iter().any(|receiver| receiver.is_busy())
    }
}
