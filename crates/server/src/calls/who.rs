//! Who a device belongs to: tokens, passwords, and names where the operator trusts the network.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use crosspoint_calls::command::AdminCommand;
use crosspoint_calls::dialect::Credential;
use crosspoint_calls::door::AdminData;
use crosspoint_calls::error::ErrorCode;
use crosspoint_calls::ids::{DeviceName, DeviceRef, TenantId, UserId};
use crosspoint_calls::model::UserRecord;
use crosspoint_calls::policy::TenantSettings;
use ring::pbkdf2;

use crate::app::App;
use crate::auth::{Grant, TokenRequest};

/// Rounds of PBKDF2-HMAC-SHA256, as OWASP recommends for it.
const ROUNDS: u32 = 600_000;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// Who a verified credential names.
pub(super) struct Who {
    pub(super) tenant: TenantId,
    pub(super) user: UserId,
    pub(super) settings: TenantSettings,
}

impl Who {
    /// One of the user's devices.
    pub(super) fn device(&self, device: &DeviceName) -> DeviceRef {
        DeviceRef {
            tenant: self.tenant.clone(),
            user: self.user.clone(),
            device: device.clone(),
        }
    }
}

/// Verifies a credential. `token` is what the connection was opened with.
pub(super) async fn verify(
    app: &App,
    token: Option<&Grant>,
    credential: Credential,
) -> Result<Who, ErrorCode> {
    match credential {
        Credential::Token => {
            let (tenant, user) = token.and_then(caller).ok_or(ErrorCode::TokenInvalid)?;
            with_settings(app, tenant, user).await
        }
        Credential::Named { tenant, user } => {
            // Nobody else's page can reach a server in development mode.
            if !app.development {
                return Err(ErrorCode::TokenInvalid);
            }
            with_settings(app, tenant, user).await
        }
        Credential::Password {
            tenant,
            user,
            password,
        } => {
            let record = account(app, &tenant, user, password).await?;
            with_settings(app, tenant, record.person.user).await
        }
    }
}

/// The tenant and the user that a token is for.
pub(super) fn caller(grant: &Grant) -> Option<(TenantId, UserId)> {
    let tenant = TenantId::new(grant.call_tenant()?)?;
    let user = UserId::new(grant.identity()?.as_str())?;
    Some((tenant, user))
}

async fn with_settings(app: &App, tenant: TenantId, user: UserId) -> Result<Who, ErrorCode> {
    let answer = app
        .calls
        .service
        .admin(tenant.clone(), AdminCommand::Tenant);
    match answer.await? {
        AdminData::Tenant(settings) => Ok(Who {
            tenant,
            user,
            settings: *settings,
        }),
        _ => Err(ErrorCode::ServerInternal),
    }
}

/// The user with this name or extension, if the password is right.
pub(super) async fn account(
    app: &App,
    tenant: &TenantId,
    user: String,
    password: String,
) -> Result<UserRecord, ErrorCode> {
    let lookup = AdminCommand::Lookup { number: user };
    let found = app.calls.service.admin(tenant.clone(), lookup).await;
    let record = match found {
        Ok(AdminData::Users(users)) => users.into_iter().next(),
        Ok(_) | Err(ErrorCode::NotFound) => None,
        Err(error) => return Err(error),
    };
    let hash = record.as_ref().and_then(|record| record.password.clone());
    // As long for users that do not exist; and not on a thread that others wait for.
    let right = tokio::task::spawn_blocking(move || is_right(hash.as_deref(), &password)).await;
    match (record, right) {
        (Some(record), Ok(true)) => Ok(record),
        _ => Err(ErrorCode::BadCredentials),
    }
}

/// What is kept of a password.
pub(super) async fn hash(password: String) -> Option<String> {
    let hash = tokio::task::spawn_blocking(move || {
        let salt: [u8; SALT_BYTES] = rand::random();
        let hash = derive(&salt, &password)?;
        let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
        Some(format!("pbkdf2-sha256${ROUNDS}${salt}${hash}"))
    });
    hash.await.ok().flatten()
}

fn derive(salt: &[u8], password: &str) -> Option<[u8; HASH_BYTES]> {
    let mut hash = [0; HASH_BYTES];
    let rounds = NonZeroU32::new(ROUNDS)?;
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        rounds,
        salt,
        password.as_bytes(),
        &mut hash,
    );
    Some(hash)
}

fn is_right(kept: Option<&str>, password: &str) -> bool {
    let parts = kept.map(|kept| kept.split('$').collect::<Vec<_>>());
    let Some(["pbkdf2-sha256", rounds, salt, hash]) = parts.as_deref() else {
        // Costs the same.
        let _ = derive(&[0; SALT_BYTES], password);
        return false;
    };
    let rounds = rounds.parse().ok().and_then(NonZeroU32::new);
    let (salt, hash) = (STANDARD_NO_PAD.decode(salt), STANDARD_NO_PAD.decode(hash));
    let (Some(rounds), Ok(salt), Ok(hash)) = (rounds, salt, hash) else {
        return false;
    };
    pbkdf2::verify(
        pbkdf2::PBKDF2_HMAC_SHA256,
        rounds,
        &salt,
        password.as_bytes(),
        &hash,
    )
    .is_ok()
}

/// A token for a user's devices.
pub(super) fn token(
    app: &Arc<App>,
    tenant: &TenantId,
    user: &UserId,
    ttl: Duration,
) -> anyhow::Result<String> {
    let request = TokenRequest {
        room: String::new(),
        identity: Some(user.as_str().to_owned()),
        name: None,
        metadata: None,
        attributes: std::collections::BTreeMap::new(),
        ttl,
        grants: ["roomJoin=false".to_owned(), format!("callTenant={tenant}")]
            .iter()
            .filter_map(|grant| grant.parse().ok())
            .collect(),
    };
    request.sign(&app.keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_recognised_and_no_other() {
        let kept = hash("secret".to_owned()).await.unwrap();
        assert!(!kept.contains("secret"));
        assert!(is_right(Some(&kept), "secret"));
        assert!(!is_right(Some(&kept), "Secret"));
        assert!(!is_right(None, ""));
        assert!(!is_right(Some("pbkdf2-sha256$x$y$z"), "secret"));
    }
}
