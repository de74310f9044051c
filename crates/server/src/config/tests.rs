//! Settings: defaults, files, the environment, and what is said about mistakes.

use super::load::{ConfigError, Loaded, load_from};
use super::*;

fn file(text: &str) -> Result<Config, String> {
    load_from(Some(("test.toml", text)), [])
        .map(|loaded| loaded.config)
        .map_err(|e| e.to_string())
}

fn variables(pairs: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    load_from(None, pairs.iter().map(own))
}

/// `Config` has no defaults of its own and refuses unknown keys: that the documented file loads
/// proves that it lacks no key and has none too many.
#[test]
fn the_documented_file_has_exactly_the_keys_and_is_valid() {
    let documented: Config = toml::from_str(DEFAULTS).unwrap();
    let loaded = Config::default();
    assert_eq!(format!("{documented:?}"), format!("{loaded:?}"));
}

#[test]
fn every_key_is_documented_by_a_comment() {
    let mut described = false;
    let mut keys = 0;
    for line in DEFAULTS.lines() {
        if line.starts_with('#') {
            described = true;
        } else if line.is_empty() || line.starts_with('[') {
            described = false;
        } else {
            assert!(described, "{line} has no description");
            keys += 1;
        }
    }
    assert!(keys > 30);
}

#[test]
fn a_file_overrides_what_it_names() {
    let config = file("[http]\nlisten = \"127.0.0.1:1234\"\n\n[media]\nudp_port = 9000\n").unwrap();
    assert_eq!(config.http.listen.port(), 1234);
    assert_eq!((config.media.udp_port, config.media.tcp_port), (9000, 7881));
}

#[test]
fn the_environment_wins_and_reads_each_type() {
    let pairs = [
        ("CROSSPOINT_HTTP_LISTEN", "[::1]:1"),
        ("CROSSPOINT_MEDIA_UDP_PORT", "9001"),
        ("CROSSPOINT_MEDIA_TCP_PORT", "9002"),
        ("CROSSPOINT_MEDIA_ADDRESSES", "192.0.2.1, 2001:db8::1"),
        ("CROSSPOINT_MEDIA_WORKERS", "3"),
        ("CROSSPOINT_MEDIA_TCP", "false"),
        ("CROSSPOINT_DATA_DIR", "/var/lib/crosspoint"),
        ("CROSSPOINT_KEYS", "a: b"),
        ("PATH", "/bin"),
    ];
    let config = variables(&pairs).unwrap().config;
    assert_eq!(config.http.listen, "[::1]:1".parse().unwrap());
    assert_eq!((config.media.udp_port, config.media.tcp_port), (9001, 9002));
    assert_eq!(config.media.addresses.len(), 2);
    assert_eq!((config.media.workers, config.media.tcp), (3, false));
    assert_eq!(config.data_dir, PathBuf::from("/var/lib/crosspoint"));
    assert_eq!(config.keys.reveal(), "a: b");
}

#[test]
fn an_unknown_key_is_an_error_that_names_the_nearest() {
    let cases = [
        (
            "[http]\nlisten_on = \"x\"\n",
            "test.toml:2",
            "\"http.listen_on\"",
            "\"http.listen\"",
        ),
        (
            "\n\n[media]\nworker = 1\n",
            "test.toml:4",
            "\"media.worker\"",
            "\"media.workers\"",
        ),
        ("data = \"x\"\n", "test.toml:1", "\"data\"", "\"data_dir\""),
        (
            "[medja]\nudp_port = 1\n",
            "test.toml:2",
            "\"medja.udp_port\"",
            "\"media.udp_port\"",
        ),
        ("http = 1\n", "test.toml:1", "\"http\"", "http."),
        (
            "[http.tls]\nkey = 1\n",
            "test.toml:1",
            "\"http.tls\"",
            "\"http.tls_key\"",
        ),
    ];
    for (text, place, wrong, right) in cases {
        let error = file(text).unwrap_err();
        for part in [place, wrong, "did you mean", right] {
            assert!(error.contains(part), "{part} in: {error}");
        }
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let error = file("[http]\nfoo = 1\nbar = 2\n").unwrap_err();
    assert_eq!(error.lines().count(), 2, "{error}");
}

#[test]
fn a_misspelt_variable_is_an_error_and_a_foreign_one_a_remark() {
    for (name, right) in [
        ("CROSSPOINT_KEY", "CROSSPOINT_KEYS"),
        ("CROSSPOINT_HTTP_LISTN", "CROSSPOINT_HTTP_LISTEN"),
        ("CROSSPOINT_MEDIA_ADDRESS", "CROSSPOINT_MEDIA_ADDRESSES"),
    ] {
        let error = variables(&[(name, "x")]).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(right), "{error}");
    }
    // What a test harness and Kubernetes set.
    for name in [
        "CROSSPOINT_BINARY",
        "CROSSPOINT_SERVICE_HOST",
        "CROSSPOINT_PORT_7880_TCP_ADDR",
    ] {
        assert_eq!(
            variables(&[(name, "x")]).unwrap().remarks.len(),
            1,
            "{name}"
        );
    }
}

#[test]
fn a_bad_value_is_an_error_that_says_what_is_allowed() {
    let cases = [
        (
            "[http]\nlisten = \"here\"\n",
            "test.toml:2: http.listen = \"here\"",
            "socket address",
        ),
        (
            "[http]\nlisten = 1\n",
            "test.toml:2: http.listen = 1",
            "socket address",
        ),
        (
            "[media]\nudp_port = 70000\n",
            "media.udp_port = 70000",
            "u16",
        ),
        (
            "[media]\nudp_port = \"x\"\n",
            "media.udp_port = \"x\"",
            "u16",
        ),
        (
            "[media]\nworkers = 2000\n",
            "media.workers = 2000",
            "0 to 1024",
        ),
        ("[media]\nworkers = -1\n", "media.workers = -1", "u16"),
        ("[media]\ndtls = \"1.1\"\n", "media.dtls = \"1.1\"", "auto"),
        (
            "[media]\naddresses = [\"x\"]\n",
            "test.toml:2: media.addresses",
            "IP address",
        ),
        (
            "[media]\naddresses = [\"0.0.0.0\"]\n",
            "media.addresses",
            "not 0.0.0.0",
        ),
        ("[media]\nlisten = []\n", "media.listen", "at least one"),
        (
            "[media]\nudp_port = 65535\nworkers = 2\n",
            "media.udp_port",
            "65535",
        ),
        (
            "[media]\nice_servers = [\"http://x\"]\n",
            "media.ice_servers",
            "RFC 7064",
        ),
        (
            "[http]\ntls_key = \"k.pem\"\n",
            "http.tls_key",
            "both or neither",
        ),
        (
            "[http]\ncors_origins = [\"app\"]\n",
            "http.cors_origins",
            "origin",
        ),
        (
            "[webhooks]\nurls = [\"ftp://x\"]\n",
            "webhooks.urls",
            "http",
        ),
        ("[webhooks]\nkey = \"x\"\n", "webhooks.key", "name of one"),
        (
            "[signal]\nresume_s = 0\n",
            "signal.resume_s = 0",
            "1 to 300",
        ),
        ("[log]\nformat = \"xml\"\n", "log.format = \"xml\"", "json"),
        ("[log]\nlevel = \"a=b=c\"\n", "log.level", "info"),
        ("[http\n", "test.toml:1", ""),
        (
            "[http]\nlisten = \"x\"\nlisten = \"y\"\n",
            "test.toml:3",
            "duplicate",
        ),
    ];
    for (text, place, allowed) in cases {
        let error = file(text).unwrap_err();
        assert!(error.contains(place), "{place} in: {error}");
        assert!(error.contains(allowed), "{allowed} in: {error}");
    }
    let error = variables(&[("CROSSPOINT_MEDIA_WORKERS", "many")]).unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("CROSSPOINT_MEDIA_WORKERS: media.workers = \"many\""),
        "{error}"
    );
}

#[test]
fn secrets_are_not_repeated_in_errors_nor_printed() {
    let error = file("keys = \"hush\"\n").unwrap_err();
    assert!(
        error.contains("keys = (secret)") && !error.contains("hush"),
        "{error}"
    );
    let config = file("keys = \"a: hush\"\n[media]\nice_credential = \"hush\"\n").unwrap();
    assert!(!format!("{config:?}").contains("hush"));
}
