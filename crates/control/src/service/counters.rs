//! What happened, in numbers.

use std::collections::BTreeMap;

use crosspoint_transport::api::DelayHistogram;

use super::state::State;
use crate::model::Reason;

/// Totals since the start.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) joins: u64,
    pub(super) joins_refused: u64,
    pub(super) offers: u64,
    pub(super) offers_refused: u64,
    pub(super) ice_restarts: u64,
    pub(super) messages: u64,
    /// Application messages that were not understood, not permitted or had nowhere to go.
    pub(super) messages_dropped: u64,
    pub(super) workers_restarted: u64,
    sessions_ended: BTreeMap<&'static str, u64>,
    rooms_ended: BTreeMap<&'static str, u64>,
}

impl Counters {
    pub(super) fn session_ended(&mut self, reason: Reason) {
        *self.sessions_ended.entry(reason.label()).or_default() += 1;
    }

    pub(super) fn room_ended(&mut self, reason: Reason) {
        *self.rooms_ended.entry(reason.label()).or_default() += 1;
    }
}

impl State {
    /// Gauges and totals of the control plane, in the notation of Prometheus.
    pub(super) fn metrics(&self) -> Vec<(String, f64)> {
        let counters = &self.counters;
        let plain = [
            ("rooms", self.rooms.len() as u64),
            ("participants", self.people.len() as u64),
            ("tracks", self.tracks.len() as u64),
            ("relays", self.relay_count() as u64),
            ("timers", self.timers.len() as u64),
            ("draining", u64::from(self.draining)),
            ("joins_total", counters.joins),
            ("joins_refused_total", counters.joins_refused),
            ("offers_total", counters.offers),
            ("offers_refused_total", counters.offers_refused),
            ("ice_restarts_total", counters.ice_restarts),
            ("messages_total", counters.messages),
            ("messages_dropped_total", counters.messages_dropped),
            ("workers_restarted_total", counters.workers_restarted),
            (
                "worker_commands_dropped_total",
                self.workers.commands_dropped,
            ),
        ];
        let plain = plain.map(|(name, value)| (name.to_owned(), value as f64));
        let by_reason = [
            ("sessions_ended_total", &counters.sessions_ended),
            ("rooms_ended_total", &counters.rooms_ended),
        ];
        let by_reason = by_reason.into_iter().flat_map(|(name, totals)| {
            let one = move |(reason, value): (&&str, &u64)| {
                (format!("{name}{{reason=\"{reason}\"}}"), *value as f64)
            };
            totals.iter().map(one)
        });
        plain.into_iter().chain(by_reason).collect()
    }
}

/// A histogram in the notation of Prometheus: cumulative, in seconds.
pub(super) fn push_delay(metrics: &mut Vec<(String, f64)>, delay: &DelayHistogram) {
    const NAME: &str = "forwarding_delay_seconds";
    let mut total = 0;
    let bounds = DelayHistogram::BOUNDS_US.iter();
    let bounds = bounds.map(|&us| (us as f64 / 1e6).to_string());
    for (count, bound) in delay.counts.iter().zip(bounds.chain(["+Inf".to_owned()])) {
        total += count;
        metrics.push((format!("{NAME}_bucket{{le=\"{bound}\"}}"), total as f64));
    }
    metrics.push((format!("{NAME}_sum"), delay.sum_us as f64 / 1e6));
    metrics.push((format!("{NAME}_count"), total as f64));
}

/// Adds up counters of the same name, in the order in which they are first seen.
pub(super) fn add(total: &mut Vec<(&'static str, u64)>, counters: &[(&'static str, u64)]) {
    for &(name, value) in counters {
        match total.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += value,
            None => total.push((name, value)),
        }
    }
}
