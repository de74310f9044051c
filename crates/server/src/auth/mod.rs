//! Who a request comes from and what it may do.
//!
//! A token is an HS256 JWT in the layout of LiveKit's grants; [`Keys`] verifies it into a
//! [`Grant`]. A `Grant` can only be had that way, so a handler that takes one is authenticated,
//! and the `Grant::require_*` methods are the only place that says which grant an operation needs.
//! This module knows no HTTP; how a token travels is in [`extract`].

pub mod extract;
mod grant;
mod keys;
mod mint;

pub use grant::{Denied, Grant};
pub use keys::{InvalidKeys, Keys, Secret, TokenProblem};
pub use mint::{GrantOption, InvalidGrant, TokenRequest};

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The claims of a token, strictly typed: a claim of the wrong JSON type makes the token malformed.
/// Unknown claims are ignored, since LiveKit's SDKs write some that mean nothing here.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// Name of the key that signed.
    pub(crate) iss: String,
    /// Identity of the participant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sub: Option<String>,
    /// Unix time in seconds after which the token is void.
    pub(crate) exp: u64,
    /// Unix time in seconds before which it is not yet valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nbf: Option<u64>,
    /// Name to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Free text for applications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<String>,
    /// Pairs for applications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attributes: Option<BTreeMap<String, String>>,
    /// What is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) video: Option<VideoGrant>,
}

/// The `video` claim. An absent `can…` means allowed, every other absent grant means denied.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct VideoGrant {
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) room_join: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) room_admin: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) room_create: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) room_list: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) room_record: bool,
    /// Ours, not LiveKit's: everything but joining, in all rooms.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) node_admin: bool,
    /// Ours: administers tenants and their calls; all tenants, or that of `callTenant`.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) call_admin: bool,
    /// Ours: `sub` is a user of this tenant, whose devices may call.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) call_tenant: String,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) room: String,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) destination_room: String,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) can_publish: Option<bool>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) can_publish_sources: Option<Vec<SourceName>>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) can_subscribe: Option<bool>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) can_publish_data: Option<bool>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) can_update_own_metadata: Option<bool>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) hidden: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Names of track sources in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SourceName {
    Camera,
    Microphone,
    ScreenShare,
    ScreenShareAudio,
}
