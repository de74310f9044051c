//! How fast a stream of packets is, over the last quarter of a second or so.

use core::time::Duration;

use crosspoint_wire::time::Time;

/// Length of a bucket and number of whole ones that count: short, so that a path that got slow is
/// known as such before its queue is full; long enough for several frames of video.
const BUCKET: Duration = Duration::from_millis(50);
const BUCKETS: usize = 6;

/// Bytes in the newest buckets of time. Works on any clock that does not leap.
#[derive(Debug, Default)]
pub(super) struct Throughput {
    /// Bytes by bucket number modulo `BUCKETS` plus the one that is being filled.
    buckets: [u32; BUCKETS + 1],
    /// Number of the bucket being filled.
    current: Option<u64>,
    /// Whole buckets since the stream began.
    whole: usize,
}

impl Throughput {
    /// Takes note of a packet.
    pub(super) fn on_packet(&mut self, at: Time, bytes: u32) {
        self.advance(at);
        let place = self.current.unwrap_or_default() as usize % self.buckets.len();
        if let Some(bucket) = self.buckets.get_mut(place) {
            *bucket = bucket.saturating_add(bytes);
        }
    }

    /// Bits per second up to `at`; `None` in the first tenth of a second.
    pub(super) fn rate_bps(&mut self, at: Time) -> Option<f64> {
        self.mean_bps(at, BUCKETS)
    }

    /// The same over half of the time, for a stream that a full path makes even.
    pub(super) fn recent_bps(&mut self, at: Time) -> Option<f64> {
        self.mean_bps(at, BUCKETS / 2)
    }

    /// The mean of the newest whole buckets, `most` at most.
    fn mean_bps(&mut self, at: Time, most: usize) -> Option<f64> {
        self.advance(at);
        let current = self.current? as usize;
        let count = self.whole.min(most);
        let len = self.buckets.len();
        let places = (1..=count).map(|back| (current + len - back) % len);
        let bytes: u64 = places
            .filter_map(|place| self.buckets.get(place))
            .map(|&bytes| u64::from(bytes))
            .sum();
        (count >= 2).then(|| bytes as f64 * 8.0 / (BUCKET * count as u32).as_secs_f64())
    }

    fn advance(&mut self, at: Time) {
        let number = at.as_micros() / BUCKET.as_micros() as u64;
        let Some(current) = self.current else {
            self.current = Some(number);
            return;
        };
        let ahead = number
            .saturating_sub(current)
            .min(self.buckets.len() as u64);
        for step in 1..=ahead {
            let place = (number - ahead + step) as usize % self.buckets.len();
            if let Some(bucket) = self.buckets.get_mut(place) {
                *bucket = 0;
            }
        }
        self.whole = (self.whole + ahead as usize).min(BUCKETS);
        self.current = Some(current.max(number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_and_forgets() {
        let mut throughput = Throughput::default();
        for n in 0..100 {
            throughput.on_packet(Time::from_millis(n * 10), 1250);
        }
        let rate = throughput.rate_bps(Time::from_millis(1000)).unwrap();
        assert!((rate - 1_000_000.0).abs() < 1.0, "{rate}");
        assert_eq!(throughput.rate_bps(Time::from_millis(90_000)), Some(0.0));
    }

    #[test]
    fn what_is_recent_shows_a_change_sooner() {
        let mut throughput = Throughput::default();
        for n in 0..100 {
            let bytes = if n < 80 { 1250 } else { 125 };
            throughput.on_packet(Time::from_millis(n * 10), bytes);
        }
        let end = Time::from_millis(1000);
        assert_eq!(throughput.recent_bps(end), Some(100_000.0));
        assert_eq!(throughput.rate_bps(end), Some(400_000.0));
    }

    #[test]
    fn says_nothing_at_first_and_takes_late_packets_for_new_ones() {
        let mut throughput = Throughput::default();
        throughput.on_packet(Time::from_millis(70), 1000);
        assert_eq!(throughput.rate_bps(Time::from_millis(99)), None);
        throughput.on_packet(Time::from_millis(20), 1000);
        let rate = throughput.rate_bps(Time::from_millis(151)).unwrap();
        assert!((rate - 160_000.0).abs() < 1.0, "{rate}");
    }
}
