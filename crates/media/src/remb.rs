//! How much a publisher may send, where REMB is the only congestion feedback that it understands
//! (draft-alvestrand-rmcat-remb-03).
//!
//! Deliberately simple, by incoming rate and loss alone: without loss the limit is twice what
//! comes in, so that a sender may double each second; some loss holds it; much loss lowers it
//! below what comes in. Everybody current negotiates transport-wide feedback instead.

use core::time::Duration;

use crosspoint_wire::time::Time;

/// How often the limit is told. REMB expires at senders after a few seconds.
const INTERVAL: Duration = Duration::from_secs(1);
/// Limits of the limit, in bits per second.
const MIN_BPS: u64 = 100_000;
const MAX_BPS: u64 = 20_000_000;
const START_BPS: u64 = 1_000_000;
/// Below this loss, in percent, the limit may rise; above the other it falls.
const LOSS_RISE_PERCENT: u64 = 2;
const LOSS_FALL_PERCENT: u64 = 10;

/// See the module documentation. One per publishing session, for the sum of its streams.
#[derive(Debug)]
pub(crate) struct RembEstimator {
    limit_bps: u64,
    /// Since the last report.
    bytes: u64,
    expected: u64,
    lost: u64,
    since: Option<Time>,
}

impl RembEstimator {
    /// Before anything was received.
    pub(crate) fn new() -> Self {
        Self {
            limit_bps: START_BPS,
            bytes: 0,
            expected: 0,
            lost: 0,
            since: None,
        }
    }

    /// Takes note of a received packet of `bytes`, which showed that `lost` packets before it did
    /// not come.
    pub(crate) fn on_packet(&mut self, now: Time, bytes: usize, lost: u64) {
        self.since.get_or_insert(now);
        self.bytes += bytes as u64;
        self.lost += lost;
        self.expected += lost + 1;
    }

    /// The limit in bits per second, as it was told last.
    pub(crate) const fn limit_bps(&self) -> u64 {
        self.limit_bps
    }

    /// The limit in bits per second, when it is due to be told.
    pub(crate) fn poll(&mut self, now: Time) -> Option<u64> {
        let elapsed_ms = now.since(self.since?).as_millis() as u64;
        if now < self.next_timeout() {
            return None;
        }
        let incoming_bps = self.bytes * 8 * 1000 / elapsed_ms.max(1);
        let loss_percent = self.lost * 100 / self.expected.max(1);
        if loss_percent < LOSS_RISE_PERCENT {
            self.limit_bps = self.limit_bps.max(incoming_bps * 2);
        } else if loss_percent > LOSS_FALL_PERCENT {
            let kept_percent = 100 - loss_percent.min(100) / 2;
            self.limit_bps = self.limit_bps.min(incoming_bps * kept_percent / 100);
        }
        self.limit_bps = self.limit_bps.clamp(MIN_BPS, MAX_BPS);
        (self.bytes, self.expected, self.lost) = (0, 0, 0);
        self.since = Some(now);
        Some(self.limit_bps)
    }

    /// When the limit is due; `Time::NEVER` before the first packet.
    pub(crate) fn next_timeout(&self) -> Time {
        self.since.map_or(Time::NEVER, |since| since + INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One second of 1000-byte packets at `packets` per second, of which every `one_in`th is lost.
    fn second(remb: &mut RembEstimator, second: u64, packets: u64, one_in: u64) -> u64 {
        let mut lost = 0;
        for n in 0..packets {
            let now = Time::from_micros(second * 1_000_000 + n * 1_000_000 / packets);
            if n % one_in == one_in - 1 {
                lost += 1;
            } else {
                remb.on_packet(now, 1000, core::mem::take(&mut lost));
            }
        }
        remb.poll(Time::from_millis((second + 1) * 1000)).unwrap()
    }

    #[test]
    fn nothing_is_told_before_anything_came() {
        let mut remb = RembEstimator::new();
        assert_eq!(remb.poll(Time::from_millis(5000)), None);
        assert_eq!(remb.next_timeout(), Time::NEVER);
        remb.on_packet(Time::from_millis(5000), 100, 0);
        assert_eq!(remb.poll(Time::from_millis(5999)), None);
        assert_eq!(remb.poll(Time::from_millis(6000)), Some(START_BPS));
    }

    #[test]
    fn a_clean_path_lets_the_sender_double() {
        let mut remb = RembEstimator::new();
        assert_eq!(second(&mut remb, 0, 250, u64::MAX), 4_000_000);
        assert_eq!(second(&mut remb, 1, 500, u64::MAX), 8_000_000);
        assert_eq!(second(&mut remb, 2, 9000, u64::MAX), MAX_BPS);
    }

    #[test]
    fn some_loss_holds_and_much_loss_lowers() {
        let mut remb = RembEstimator::new();
        assert_eq!(second(&mut remb, 0, 250, u64::MAX), 4_000_000);
        assert_eq!(second(&mut remb, 1, 500, 20), 4_000_000);
        let lowered = second(&mut remb, 2, 500, 5);
        assert!(lowered < 3_200_000, "{lowered}");
        assert!(lowered > 2_000_000, "{lowered}");
    }
}
