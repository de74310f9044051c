//! What one measurement came to, and what makes it doubtful.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::recording::Recorded;
use crate::tally::Totals;
use crate::watch::Usage;

/// A clients' thread that is busier than this is the limit itself.
const BUSY: f64 = 0.85;

/// Cores that others may use before a measurement is disturbed.
const OTHERS_MAX: f64 = 0.25;

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// What it was, in words.
    pub name: String,
    /// The scenario.
    pub scenario: String,
    /// As ordered.
    pub participants: usize,
    /// Clients connected in the window.
    pub connected: usize,
    /// Clients that did not come up, or were lost.
    pub failed: usize,
    /// What protects the media.
    pub srtp: String,
    /// Length of the window, in seconds.
    pub seconds: f64,
    /// RTP packets received by all clients in the window.
    pub packets: u64,
    /// RTP packets sent by publishers in the window.
    pub packets_sent: u64,
    /// Packets received, a second.
    pub packets_per_s: f64,
    /// Bits of these a second, in millions.
    pub mbit_per_s: f64,
    /// Share of packets that never arrived, 0 to 1.
    pub loss: f64,
    /// Retransmissions received.
    pub rtx_packets: u64,
    /// Packets decrypted and compared.
    pub checked: u64,
    /// Of these, not what was sent.
    pub corrupt: u64,
    /// Sender's stamp to receiver, in milliseconds.
    pub delay_ms: Percentiles,
    /// Audio streams arriving at all clients.
    pub audio_streams: usize,
    /// Video streams arriving at all clients.
    pub video_streams: usize,
    /// Joins.
    pub joins: Joins,
    /// The server's process, if it was watched.
    pub server: Option<Cost>,
    /// What the server recorded, if it was to.
    pub recorded: Option<Recorded>,
    /// Our own process.
    pub generator_cores: f64,
    /// What makes the figures doubtful.
    pub warnings: Vec<String>,
}

/// Of a distribution.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Percentiles {
    /// Half is below.
    pub p50: f64,
    /// 99 % are below.
    pub p99: f64,
    /// 999 of 1000 are below.
    pub p999: f64,
}

impl Percentiles {
    /// Of microseconds, in milliseconds.
    pub(crate) fn of(histogram: &Histogram<u32>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
        }
    }
}

/// How joining went.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Joins {
    /// How many were tried.
    pub count: usize,
    /// A second, while they went on.
    pub per_s: f64,
    /// A second of the server's CPU time, if it was watched.
    pub per_cpu_s: Option<f64>,
    /// From the first request to keys on both sides, in milliseconds.
    pub ms: Percentiles,
}

/// What the server's process used in the window.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// User and system time per RTP packet received by the clients, in microseconds.
    pub cpu_us_per_packet: f64,
    /// Of this, user time.
    pub user_us_per_packet: f64,
    /// Cores busy.
    pub cores: f64,
    /// The busiest thread and its share of a core.
    pub busiest: (f64, String),
    /// Cores busy by the names of threads.
    pub threads: BTreeMap<String, f64>,
    /// Resident memory at the end, in bytes.
    pub rss: u64,
    /// Memory that came with the joins, per client, in KiB; of a dozen clients or more.
    pub kib_per_session: Option<f64>,
}

pub(crate) fn cost(usage: &Usage, rss: u64, totals: &Totals) -> Cost {
    let packets = totals.packets.max(1) as f64;
    let (share, thread) = usage.busiest();
    let mut threads = BTreeMap::new();
    for (name, cpu_us) in &usage.threads {
        *threads.entry(name.clone()).or_insert(0.0) += *cpu_us as f64 / 1e6 / usage.wall_s;
    }
    Cost {
        cpu_us_per_packet: usage.cpu_us() as f64 / packets,
        user_us_per_packet: usage.user_us as f64 / packets,
        cores: usage.cores(),
        busiest: (share, thread.to_owned()),
        threads,
        rss,
        kib_per_session: None,
    }
}

/// `busy`: cores of the machine that were busy, whoever used them.
pub(crate) fn warnings(
    outcome: &Outcome,
    own: &Usage,
    busy: f64,
    error: Option<&anyhow::Error>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let (share, thread) = own.busiest();
    if share > BUSY {
        warnings.push(format!(
            "the generator is the limit: its thread {thread} used {:.0} % of a core",
            share * 100.0
        ));
    }
    let server = outcome.server.as_ref().map_or(0.0, |server| server.cores);
    let others = busy - server - own.cores();
    if outcome.server.is_some() && others > OTHERS_MAX {
        warnings.push(format!("other processes used {others:.1} cores meanwhile"));
    }
    if outcome.failed > 0 {
        let error = error.map(|error| format!(", e.g.: {error:#}"));
        let error = error.unwrap_or_default();
        warnings.push(format!("{} clients failed{error}", outcome.failed));
    }
    if outcome.corrupt > 0 {
        warnings.push(format!(
            "{} packets were not what was sent",
            outcome.corrupt
        ));
    }
    if outcome.packets == 0 {
        warnings.push("nothing was received".to_owned());
    }
    warnings
}
