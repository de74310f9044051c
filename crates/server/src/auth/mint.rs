//! Making tokens, for `crosspoint token` and for development mode.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use super::{Claims, Keys, VideoGrant};
use crate::text::nearest;

/// What a token shall say.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// Room to join.
    pub room: String,
    /// As whom; `None`: each client gets an identity of its own (WHIP, WHEP).
    pub identity: Option<String>,
    /// Name to show.
    pub name: Option<String>,
    /// Free text.
    pub metadata: Option<String>,
    /// Pairs.
    pub attributes: BTreeMap<String, String>,
    /// How long it is good for.
    pub ttl: Duration,
    /// Further grants; without any the token lets join the room and do there what is usual.
    pub grants: Vec<GrantOption>,
}

/// One `--grant NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantOption {
    name: &'static str,
    value: Value,
}

/// Why a grant was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGrant {
    /// Not NAME=VALUE.
    #[error("a grant is written NAME=VALUE, e.g. canPublish=false")]
    Form,
    /// No such grant.
    #[error("there is no grant \"{0}\"; did you mean \"{1}\"?")]
    Unknown(String, &'static str),
    /// The value has the wrong type.
    #[error("the grant {0} takes {1}")]
    Value(&'static str, &'static str),
}

#[derive(Clone, Copy)]
enum Takes {
    Bool,
    Text,
    Sources,
}

const GRANTS: [(&str, Takes); 16] = [
    ("roomJoin", Takes::Bool),
    ("roomAdmin", Takes::Bool),
    ("roomCreate", Takes::Bool),
    ("roomList", Takes::Bool),
    ("roomRecord", Takes::Bool),
    ("nodeAdmin", Takes::Bool),
    ("callAdmin", Takes::Bool),
    ("callTenant", Takes::Text),
    ("room", Takes::Text),
    ("destinationRoom", Takes::Text),
    ("canPublish", Takes::Bool),
    ("canPublishSources", Takes::Sources),
    ("canSubscribe", Takes::Bool),
    ("canPublishData", Takes::Bool),
    ("canUpdateOwnMetadata", Takes::Bool),
    ("hidden", Takes::Bool),
];

impl FromStr for GrantOption {
    type Err = InvalidGrant;

    fn from_str(text: &str) -> Result<Self, InvalidGrant> {
        let (name, value) = text.split_once('=').ok_or(InvalidGrant::Form)?;
        let Some((name, takes)) = GRANTS.iter().find(|(known, _)| *known == name) else {
            let known = nearest(name, GRANTS.iter().map(|(known, _)| *known));
            return Err(InvalidGrant::Unknown(
                name.to_owned(),
                known.unwrap_or("canPublish"),
            ));
        };
        let value = match takes {
            Takes::Bool => value
                .parse()
                .map(Value::Bool)
                .map_err(|_| InvalidGrant::Value(name, "true or false"))?,
            Takes::Text => Value::from(value),
            Takes::Sources => {
                let names: Value = value.split(',').map(str::trim).map(Value::from).collect();
                serde_json::from_value::<Vec<super::SourceName>>(names.clone()).map_err(|_| {
                    let sources = "camera, microphone, screen_share, screen_share_audio";
                    InvalidGrant::Value(name, sources)
                })?;
                names
            }
        };
        Ok(Self { name, value })
    }
}

impl TokenRequest {
    /// Signs a token with the first of the keys.
    ///
    /// # Errors
    /// When there is no key, the time to live overflows, or signing fails.
    pub fn sign(&self, keys: &Keys) -> anyhow::Result<String> {
        let (issuer, secret) = keys
            .first()
            .ok_or_else(|| anyhow::anyhow!("there is no key to sign with"))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let claims = Claims {
            iss: issuer.to_owned(),
            sub: self.identity.clone(),
            exp: now.saturating_add(self.ttl).as_secs(),
            nbf: Some(now.as_secs()),
            name: self.name.clone(),
            metadata: self.metadata.clone(),
            attributes: (!self.attributes.is_empty()).then(|| self.attributes.clone()),
            video: Some(self.video()?),
        };
        Ok(secret.sign(&claims)?)
    }

    fn video(&self) -> anyhow::Result<VideoGrant> {
        let mut grants = Map::new();
        grants.insert("roomJoin".to_owned(), Value::Bool(true));
        grants.insert("room".to_owned(), Value::from(self.room.as_str()));
        for grant in &self.grants {
            grants.insert(grant.name.to_owned(), grant.value.clone());
        }
        Ok(serde_json::from_value(Value::Object(grants))?)
    }
}
