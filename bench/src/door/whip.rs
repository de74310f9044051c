//! WHIP (RFC 9725) and WHEP, of any server.

use anyhow::{Context as _, Result, ensure};
use reqwest::header::{CONTENT_TYPE, LOCATION};

use super::{Exchange, http_client};
use crate::access::Access;
use crate::sdp::{Remote, Setup};

/// Where clients post their offers.
pub struct Endpoints {
    whip: String,
    whep: String,
    access: Access,
    client: reqwest::Client,
}

/// A session at the server.
pub(super) struct Resource {
    client: reqwest::Client,
    url: reqwest::Url,
    token: Option<String>,
}

impl Endpoints {
    pub(super) fn new(whip: &str, whep: &str, access: Access) -> Result<Self> {
        Ok(Self {
            whip: whip.to_owned(),
            whep: whep.to_owned(),
            access,
            client: http_client()?,
        })
    }

    pub(super) async fn enter(&self, exchange: &Exchange<'_>) -> Result<(Remote, Resource)> {
        let who = exchange.who;
        let receives = who.audio_slots + who.video_slots > 0;
        ensure!(
            who.publishes.is_empty() || !receives,
            "a WHIP client only sends and a WHEP client only receives"
        );
        let endpoint = if receives { &self.whep } else { &self.whip };
        let url = reqwest::Url::parse(&endpoint.replace("{room}", &who.room))?;
        let token = self.access.token(&who.room, &who.identity)?;
        let mut request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/sdp")
            .body(exchange.offer(Setup::ActPass));
        if let Some(token) = &token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await?;
        let status = response.status();
        let location = response.headers().get(LOCATION).cloned();
        let body = response.text().await?;
        ensure!(status.is_success(), "{url} answered {status}: {body}");
        let location = location.context("the answer has no Location")?;
        let resource = Resource {
            client: self.client.clone(),
            url: url.join(location.to_str()?)?,
            token,
        };
        Ok((exchange.remote(&body)?, resource))
    }
}

impl Resource {
    pub(super) async fn delete(self) -> Result<()> {
        let mut request = self.client.delete(self.url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request.send().await?.error_for_status()?;
        Ok(())
    }
}
