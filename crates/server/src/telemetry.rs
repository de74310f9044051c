//! What `/metrics` says: the server's own counters, the control plane's, and the process's.
//!
//! Labels have few values. Rooms, identities and tracks stand in logs and in the API, not here.

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::app::App;

/// From join to media.
const JOIN_SECONDS: &str = "crosspoint_join_seconds";

const JOIN_BUCKETS: [f64; 10] = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0];

/// Counters are kept for the process: several servers in one (in tests) share them.
static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Starts counting. Done once for the process; without effect when somebody else records already.
pub(crate) fn install() {
    RECORDER.get_or_init(|| {
        let joins = Matcher::Full(JOIN_SECONDS.to_owned());
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets_for_metric(joins, &JOIN_BUCKETS).ok()?;
        let handle = builder.install_recorder().ok()?;
        name_the_rare();
        Some(handle)
    });
}

/// Names what is seldom counted, so that a dashboard finds it before it is.
fn name_the_rare() {
    metrics::counter!("crosspoint_webhook_delivered_total").increment(0);
    for cause in ["queue_full", "undelivered"] {
        metrics::counter!("crosspoint_webhook_dropped_total", "cause" => cause).increment(0);
    }
    metrics::counter!("crosspoint_webhook_events_missed_total").increment(0);
    metrics::counter!("crosspoint_http_panics_total").increment(0);
    metrics::counter!("crosspoint_history_samples_shortened_total").increment(0);
}

/// Notes how long a participant took from its join to media that flows.
pub(crate) fn note_join(duration: Duration) {
    metrics::histogram!(JOIN_SECONDS).record(duration.as_secs_f64());
}

/// Prometheus' text format, version 0.0.4.
pub(crate) async fn render(app: &App) -> String {
    let mut text = match RECORDER.get() {
        Some(Some(handle)) => handle.render(),
        _ => String::new(),
    };
    if let Some(recordings) = app.recordings() {
        for (name, value) in recordings.counters() {
            let name = match name {
                "active" => "crosspoint_recordings_active".to_owned(),
                name => format!("crosspoint_recording_{name}_total"),
            };
            put(&mut text, &name, value as f64);
        }
    }
    for (name, value) in app.control.metrics().await {
        put(&mut text, &format!("crosspoint_{name}"), value);
    }
    if let Some(store) = &app.store {
        let counters = store.counters();
        for (outcome, number) in [
            ("written", counters.written),
            ("queue_full", counters.queue_full),
            ("refused", counters.refused),
        ] {
            let name = format!("crosspoint_store_records_total{{outcome=\"{outcome}\"}}");
            put(&mut text, &name, number as f64);
        }
    }
    put(
        &mut text,
        "crosspoint_signal_sessions",
        count(app.signal.len()),
    );
    put(&mut text, "crosspoint_whip_sessions", count(app.whip.len()));
    put(
        &mut text,
        "crosspoint_draining",
        f64::from(u8::from(app.is_draining())),
    );
    put(
        &mut text,
        "crosspoint_uptime_seconds",
        app.started.elapsed().as_secs_f64(),
    );
    for (name, value) in process() {
        put(&mut text, name, value);
    }
    text
}

/// Adds one sample, which may have labels. By convention a counter's name ends in `_total`, and a
/// histogram's samples in `_bucket`, `_sum` and `_count`. Samples of one family follow each other.
fn put(text: &mut String, sample: &str, value: f64) {
    let (name, labels) = match sample.find('{') {
        Some(at) => sample.split_at(at),
        None => (sample, ""),
    };
    let name: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let histogram = ["_seconds_bucket", "_seconds_sum", "_seconds_count"]
        .iter()
        .any(|end| name.ends_with(end));
    let (family, kind) = if histogram {
        let family = name
            .rsplit_once('_')
            .map_or(name.as_str(), |(family, _)| family);
        (family, "histogram")
    } else if name.ends_with("_total") {
        (name.as_str(), "counter")
    } else {
        (name.as_str(), "gauge")
    };
    let declaration = format!("# TYPE {family} {kind}\n");
    if !text.contains(&declaration) {
        text.push_str(&declaration);
    }
    // Writing into a String cannot fail.
    let _ = writeln!(text, "{name}{labels} {value}");
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of sessions are far below 2^52"
)]
fn count(number: usize) -> f64 {
    number as f64
}

/// What Linux says about this process, under the names that Prometheus' clients use; nothing on
/// other systems.
fn process() -> Vec<(&'static str, f64)> {
    let mut samples = Vec::new();
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let field = |name: &str| -> Option<f64> {
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_ascii_whitespace().nth(1)?.parse().ok()
        };
        if let Some(kib) = field("VmRSS:") {
            samples.push(("process_resident_memory_bytes", kib * 1024.0));
        }
        if let Some(threads) = field("Threads:") {
            samples.push(("process_threads", threads));
        }
    }
    if let Some(seconds) = cpu_seconds() {
        samples.push(("process_cpu_seconds_total", seconds));
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        samples.push(("process_open_fds", count(open.count())));
    }
    samples
}

/// User and system time, from the 14th and 15th field of proc_pid_stat(5), counted in hundredths
/// of a second whatever the kernel's own tick is. Fields are counted after the command's name,
/// which may contain blanks.
fn cpu_seconds() -> Option<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}
