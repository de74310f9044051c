//! Settings: one TOML file and overrides by the environment.
//!
//! `config/crosspoint.toml` is compiled in and *is* the defaults: [`Config`] has none of its own, so
//! the file that documents the keys can neither lack one nor say another default than the one in
//! force. How a file and the environment are laid over it is in [`load`].

pub mod load;
mod validate;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;

pub(crate) use self::validate::web_url;
use crate::auth::Secret;

/// The documented defaults, as TOML.
pub const DEFAULTS: &str = include_str!("../../../../config/crosspoint.toml");

/// All settings. Meaning and unit of each key are described in `config/crosspoint.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/crosspoint.toml documents the keys")]
pub struct Config {
    pub keys: Secret,
    pub data_dir: PathBuf,
    pub http: Http,
    pub media: Media,
    pub signal: Signal,
    pub webhooks: Webhooks,
    pub store: StoreConfig,
    pub history: History,
    pub recording: Recording,
    pub stop: Stop,
    pub log: Log,
}

impl Config {
    /// What a text in the form of `config/crosspoint.toml` says; keys that it lacks have their
    /// defaults. The environment is not looked at.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn from_toml(text: &str) -> Result<Self, load::ConfigError> {
        load::load_from(Some(("settings", text)), []).map(|loaded| loaded.config)
    }

    /// Whether HTTP is served with TLS.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        !self.http.tls_certificate.as_os_str().is_empty()
    }
}

/// Section `http`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/crosspoint.toml documents the keys")]
pub struct Http {
    pub listen: SocketAddr,
    pub tls_certificate: PathBuf,
    pub tls_key: PathBuf,
    pub cors_origins: Vec<String>,
    pub header_timeout_s: u64,
    pub request_timeout_s: u64,
}

/// Section `media`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/crosspoint.toml documents the keys")]
pub struct Media {
    pub listen: Vec<IpAddr>,
    pub udp_port: u16,
    pub tcp_port: u16,
    pub tcp: bool,
    pub addresses: Vec<IpAddr>,
    pub workers: u16,
    pub pin_workers: bool,
    pub dtls: Dtls,
    pub consent_timeout_s: u64,
    pub connect_timeout_s: u64,
    pub cache_ms: u64,
    pub cache_bytes: usize,
    pub keyframe_interval_ms: u64,
    pub retransmit_percent: u8,
    pub retransmit_percent_max: u8,
    pub start_bitrate_bps: u64,
    pub max_bitrate_bps: u64,
    pub ice_servers: Vec<String>,
    pub ice_username: String,
    pub ice_credential: Secret,
}

/// Versions of DTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "config/crosspoint.toml documents the values")]
pub enum Dtls {
    #[serde(rename = "1.2")]
    V12,
    #[serde(rename = "auto")]
    Auto,
}

/// Section `signal`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/crosspoint.toml documents the keys")]
pub struct Signal {
    pub resume_s: u64,
    pub ping_s: u64,
}

/// Section `webhooks`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/crosspoint.toml documents the keys")]
pub struct Webhooks {
    pub urls: Vec<String>,
    pub key: String,
    pub allow_private: bool,
    pub attempts: u32,
    pub timeout_s: u64,
    pub queue: usize,
}

/// Section `store`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/crosspoint.toml documents the keys")]
pub struct StoreConfig {
    pub url: Secret,
    pub call_records_days: u64,
}

/// Section `history`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/crosspoint.toml documents the keys")]
pub struct History {
    pub fine_s: u64,
    pub keep_s: u64,
    pub points_max: u64,
}

/// Section `stop`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/crosspoint.toml documents the keys")]
pub struct Stop {
    pub drain_s: u64,
}

/// Section `recording`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/crosspoint.toml documents the keys")]
pub struct Recording {
    pub enabled: bool,
    pub folder: PathBuf,
    pub target: String,
    pub target_options: Vec<Secret>,
    pub spool_bytes: u64,
}

/// Section `log`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "config/crosspoint.toml documents the keys")]
pub struct Log {
    pub level: String,
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "config/crosspoint.toml documents the values")]
pub enum LogFormat {
    Text,
    Json,
}
