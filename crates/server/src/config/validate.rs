//! Ranges and forms of values, where their types alone do not say them.

use std::ops::RangeInclusive;

use axum::http::HeaderValue;

use super::Config;
use crate::auth::Keys;

/// A value that is not allowed.
pub(super) struct Finding {
    pub(super) key: &'static str,
    pub(super) allowed: String,
}

impl Config {
    /// All values that are not allowed.
    pub(super) fn validate(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut range = |key, value: u64, allowed: RangeInclusive<u64>| {
            if !allowed.contains(&value) {
                let allowed = format!("{} to {} is allowed", allowed.start(), allowed.end());
                findings.push(Finding { key, allowed });
            }
        };
        range("http.header_timeout_s", self.http.header_timeout_s, 1..=600);
        range(
            "http.request_timeout_s",
            self.http.request_timeout_s,
            1..=600,
        );
        range("media.workers", self.media.workers.into(), 0..=1024);
        range(
            "media.consent_timeout_s",
            self.media.consent_timeout_s,
            5..=300,
        );
        range(
            "media.connect_timeout_s",
            self.media.connect_timeout_s,
            5..=300,
        );
        range("media.cache_ms", self.media.cache_ms, 100..=10_000);
        let cache_bytes = u64::try_from(self.media.cache_bytes).unwrap_or(u64::MAX);
        range("media.cache_bytes", cache_bytes, 65_536..=268_435_456);
        range(
            "media.keyframe_interval_ms",
            self.media.keyframe_interval_ms,
            50..=10_000,
        );
        let (percent, percent_max) = (
            self.media.retransmit_percent,
            self.media.retransmit_percent_max,
        );
        range("media.retransmit_percent", percent.into(), 1..=100);
        range(
            "media.retransmit_percent_max",
            percent_max.into(),
            percent.into()..=200,
        );
        let (start, max) = (self.media.start_bitrate_bps, self.media.max_bitrate_bps);
        range("media.max_bitrate_bps", max, 100_000..=10_000_000_000);
        range("media.start_bitrate_bps", start, 50_000..=max.max(50_000));
        range("signal.resume_s", self.signal.resume_s, 1..=300);
        range("signal.ping_s", self.signal.ping_s, 1..=120);
        range("webhooks.attempts", self.webhooks.attempts.into(), 1..=20);
        range("webhooks.timeout_s", self.webhooks.timeout_s, 1..=60);
        let queue = u64::try_from(self.webhooks.queue).unwrap_or(u64::MAX);
        range("webhooks.queue", queue, 1..=1_000_000);
        range(
            "store.call_records_days",
            self.store.call_records_days,
            0..=36_500,
        );
        range("history.fine_s", self.history.fine_s, 0..=86_400);
        range("history.keep_s", self.history.keep_s, 60..=2_592_000);
        range(
            "history.points_max",
            self.history.points_max,
            1_000..=100_000_000,
        );
        range("stop.drain_s", self.stop.drain_s, 0..=86_400);

        let mut check = |key, right: bool, allowed: &str| {
            if !right {
                let allowed = allowed.to_owned();
                findings.push(Finding { key, allowed });
            }
        };
        let keys = Keys::parse(self.keys.reveal());
        let problem = keys.as_ref().err().map(ToString::to_string);
        check(
            "keys",
            problem.is_none(),
            problem.as_deref().unwrap_or_default(),
        );
        let keys = keys.unwrap_or_default();
        check(
            "http.tls_key",
            self.http.tls_key.as_os_str().is_empty()
                == self.http.tls_certificate.as_os_str().is_empty(),
            "tls_certificate and tls_key go together: give both or neither",
        );
        check(
            "http.cors_origins",
            self.http
                .cors_origins
                .iter()
                .all(|origin| is_origin(origin)),
            "each is \"*\" or an origin such as \"https://app.example.com\", without a path",
        );
        check(
            "media.listen",
            !self.media.listen.is_empty(),
            "at least one address is needed, e.g. \"0.0.0.0\"",
        );
        check(
            "media.addresses",
            self.media.addresses.iter().all(|a| !a.is_unspecified()),
            "an address that clients can send to is needed, not 0.0.0.0 or ::",
        );
        let last = usize::from(self.media.udp_port) + usize::from(self.media.workers.max(1)) - 1;
        check(
            "media.udp_port",
            self.media.udp_port == 0 || last <= usize::from(u16::MAX),
            "udp_port + workers - 1 must not exceed 65535",
        );
        check(
            "media.ice_servers",
            self.media.ice_servers.iter().all(|uri| is_ice_server(uri)),
            "each is a URI of RFC 7064 or 7065, e.g. \"stun:stun.example.com:3478\"",
        );
        check(
            "webhooks.urls",
            self.webhooks.urls.iter().all(|url| web_url(url).is_some()),
            "each is a URL with http or https",
        );
        let store = self.store.url.reveal();
        check(
            "store.url",
            store.is_empty()
                || ["sqlite:", "postgres:", "postgresql:"]
                    .iter()
                    .any(|scheme| store.starts_with(scheme)),
            "a URL such as \"postgres://user:password@host/crosspoint\", or \"\" for SQLite in data_dir",
        );
        let named = &self.webhooks.key;
        check(
            "webhooks.key",
            named.is_empty() || keys.secret(named).is_some(),
            "it must be the name of one of `keys`",
        );
        check(
            "log.level",
            self.log
                .level
                .parse::<tracing_subscriber::EnvFilter>()
                .is_ok(),
            "a level such as \"info\", or a list such as \"info,crosspoint_server=debug\"",
        );
        findings
    }
}

fn is_origin(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    text == "*"
        || (HeaderValue::from_str(text).is_ok()
            && rest.is_some_and(|host| !host.is_empty() && !host.contains('/')))
}

/// It ends up in a `Link` header between angle brackets.
fn is_ice_server(uri: &str) -> bool {
    ["stun:", "stuns:", "turn:", "turns:"]
        .iter()
        .any(|scheme| uri.starts_with(scheme))
        && uri
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"<>\"".contains(&b))
}

/// A URL with http or https.
pub(crate) fn web_url(text: &str) -> Option<reqwest::Url> {
    let url = reqwest::Url::parse(text).ok()?;
    let usable = matches!(url.scheme(), "http" | "https") && url.has_host();
    usable.then_some(url)
}
