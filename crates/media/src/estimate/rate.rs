//! Additive increase, multiplicative decrease: from what the path does to a rate.
//!
//! draft-ietf-rmcat-gcc-02 §5.5, with one difference that an SFU makes: what it sends comes in
//! steps, the layers, and mostly stays below what the path carries. A rate grows by itself only
//! while it is used; what lies beyond is found by probes.

use core::time::Duration;

use crosspoint_wire::time::Time;

use super::delay::Usage;

/// Share of what arrived that may be sent after a queue built up.
const BETA: f64 = 0.85;
/// A rate that was not used up, and not raised lately, falls by the share by which what was sent
/// got thinner on the way, and by this: others filled the path, and it is for them to go back.
const BETA_OF_OTHERS: f64 = 0.95;
/// Growth per second far from the path's known capacity.
const GROWTH: f64 = 1.08;
/// The rate counts as used from this share on.
const USED: f64 = 0.8;
/// A rate is at most this multiple of what arrived while it grows by itself.
const BEYOND_ARRIVED: f64 = 1.5;
/// The share of what arrives without a queue that is known to be carried ...
const CARRIED: f64 = 0.9;
/// ... where a queue shorter than this is none ...
const QUEUE_MIN: Duration = Duration::from_millis(20);
/// ... and the rate did not fall for this long.
const SETTLED: Duration = Duration::from_secs(1);
/// The share of a probe's result that is taken when the probe found the path's limit: it ran on
/// what others left at that moment.
const PROBED: f64 = 0.95;

/// See the module documentation. Bits per second.
#[derive(Debug)]
pub(super) struct RateControl {
    rate_bps: f64,
    /// What arrived when a queue built up last.
    capacity: Capacity,
    updated: Option<Time>,
    decreased: Option<Time>,
    least_bps: f64,
    most_bps: f64,
}

/// What one round of feedback showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed {
    pub(super) usage: Usage,
    /// What arrived, once it is known, and what was sent.
    pub(super) arrived_bps: Option<f64>,
    pub(super) sent_bps: f64,
    /// How long a packet waits on the path.
    pub(super) queue: Duration,
    /// A probe raised the rate a moment ago.
    pub(super) raised: bool,
    pub(super) rtt: Duration,
}

impl RateControl {
    pub(super) fn new(start_bps: f64, least_bps: f64, most_bps: f64) -> Self {
        Self {
            rate_bps: start_bps.clamp(least_bps, most_bps),
            capacity: Capacity::default(),
            updated: None,
            decreased: None,
            least_bps,
            most_bps,
        }
    }

    pub(super) const fn rate_bps(&self) -> f64 {
        self.rate_bps
    }

    /// Whether what arrives is about what may be sent.
    pub(super) fn is_used(&self, arrived_bps: f64) -> bool {
        arrived_bps >= USED * self.rate_bps
    }

    /// When the rate last fell.
    pub(super) const fn decreased(&self) -> Option<Time> {
        self.decreased
    }

    /// Follows one round of feedback. True when the rate fell.
    pub(super) fn update(&mut self, now: Time, observed: &Observed) -> bool {
        let elapsed = self.updated.map_or(Duration::ZERO, |at| now.since(at));
        self.updated = Some(now);
        match observed.usage {
            Usage::Over => return self.decrease(now, observed),
            Usage::Under => {}
            Usage::Normal => {
                if let Some(arrived_bps) = observed.arrived_bps {
                    self.believe(now, arrived_bps, observed);
                    self.increase(
                        elapsed.min(Duration::from_secs(1)),
                        arrived_bps,
                        observed.rtt,
                    );
                }
            }
        }
        false
    }

    /// Takes a probe's result: what arrived of it, and whether that was all that was sent.
    pub(super) fn on_probe(&mut self, arrived_bps: f64, found_limit: bool) {
        let result = if found_limit {
            PROBED * arrived_bps
        } else {
            arrived_bps
        };
        if result > self.rate_bps {
            self.capacity.forget_unless_near(result);
            self.set(result);
        } else if found_limit {
            // Half way: one probe may have met another's burst.
            self.set((self.rate_bps + result) / 2.0);
        }
    }

    /// Falls to `bps`, if that is less.
    pub(super) fn lower(&mut self, now: Time, bps: f64) {
        if bps < self.rate_bps {
            self.set(bps);
            self.decreased = Some(now);
        }
    }

    fn decrease(&mut self, now: Time, observed: &Observed) -> bool {
        // What the last decrease did is seen after a round trip only.
        let patience = (observed.rtt + Duration::from_millis(100)).min(Duration::from_millis(500));
        if self.decreased.is_some_and(|at| now.since(at) < patience) {
            return false;
        }
        let Some(arrived_bps) = observed.arrived_bps else {
            self.lower(now, self.rate_bps / 2.0);
            return true;
        };
        self.capacity.note(arrived_bps);
        let before = self.rate_bps;
        let passed = (arrived_bps / observed.sent_bps.max(1.0)).min(1.0);
        let of_others = if observed.raised || self.is_used(arrived_bps) {
            BETA
        } else {
            BETA_OF_OTHERS
        };
        self.lower(
            now,
            (BETA * arrived_bps).max(of_others * passed * self.rate_bps),
        );
        self.rate_bps < before
    }

    /// More than the rate may be sent: a picture that has nothing smaller flows whatever the
    /// rate, and what of it arrives without a queue is carried.
    fn believe(&mut self, now: Time, arrived_bps: f64, observed: &Observed) {
        let carried = CARRIED * arrived_bps.min(observed.sent_bps);
        let settled = self.decreased.is_none_or(|at| now.since(at) >= SETTLED);
        if carried > self.rate_bps && settled && observed.queue < QUEUE_MIN {
            self.capacity.forget_unless_near(carried);
            self.set(carried);
        }
    }

    fn increase(&mut self, elapsed: Duration, arrived_bps: f64, rtt: Duration) {
        if !self.is_used(arrived_bps) {
            return;
        }
        let increased = if self.capacity.is_near(self.rate_bps) {
            // About a packet each response time.
            let response = rtt + Duration::from_millis(100);
            self.rate_bps + (9600.0 / response.as_secs_f64()).max(4000.0) * elapsed.as_secs_f64()
        } else {
            self.rate_bps * GROWTH.powf(elapsed.as_secs_f64())
        };
        self.capacity.forget_unless_near(arrived_bps);
        let most = (BEYOND_ARRIVED * arrived_bps + 10_000.0).max(self.rate_bps);
        self.set(increased.min(most));
    }

    fn set(&mut self, bps: f64) {
        self.rate_bps = bps.clamp(self.least_bps, self.most_bps);
    }
}

/// What the path carried when it was full: mean and deviation, as libwebrtc's
/// `LinkCapacityEstimator` keeps them.
#[derive(Debug, Default)]
struct Capacity {
    mean_bps: Option<f64>,
    /// Variance in units of the mean.
    variance: f64,
}

impl Capacity {
    fn note(&mut self, bps: f64) {
        let mean = match self.mean_bps {
            Some(mean) if self.is_near(bps) => 0.95 * mean + 0.05 * bps,
            _ => bps,
        };
        let error = mean - bps;
        self.variance =
            (0.95 * self.variance + 0.05 * error * error / mean.max(1.0)).clamp(400.0, 2500.0);
        self.mean_bps = Some(mean);
    }

    fn is_near(&self, bps: f64) -> bool {
        self.mean_bps
            .is_some_and(|mean| (mean - bps).abs() <= 3.0 * self.deviation(mean))
    }

    /// More than was thought possible arrives: what was thought is out of date.
    fn forget_unless_near(&mut self, bps: f64) {
        if self
            .mean_bps
            .is_some_and(|mean| bps > mean + 3.0 * self.deviation(mean))
        {
            *self = Self::default();
        }
    }

    fn deviation(&self, mean: f64) -> f64 {
        (self.variance.max(400.0) * mean).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(100);

    fn observed(usage: Usage, arrived_bps: f64) -> Observed {
        Observed {
            usage,
            arrived_bps: Some(arrived_bps),
            sent_bps: 1e6,
            queue: Duration::ZERO,
            raised: false,
            rtt: RTT,
        }
    }

    fn control() -> RateControl {
        RateControl::new(1e6, 5e4, 1e7)
    }

    /// So many rounds of feedback, ten a second, in which all that may be sent is.
    fn rounds(control: &mut RateControl, from_ms: u64, rounds: u64) {
        for n in 0..rounds {
            let arrived = control.rate_bps();
            let now = Time::from_millis(from_ms + 100 * n);
            control.update(now, &observed(Usage::Normal, arrived));
        }
    }

    #[test]
    fn grows_8_percent_a_second_while_used_and_not_otherwise() {
        let mut used = control();
        rounds(&mut used, 0, 11);
        assert!((used.rate_bps() / 1.08e6 - 1.0).abs() < 0.01);
        let mut idle = control();
        for n in 0..100 {
            idle.update(Time::from_millis(n * 100), &observed(Usage::Normal, 3e5));
        }
        assert!((idle.rate_bps() - 1e6).abs() < 1.0);
    }

    #[test]
    fn falls_to_what_arrived_once_a_response_time_and_grows_slowly_after() {
        let mut control = control();
        assert!(control.update(Time::from_millis(1000), &observed(Usage::Over, 9e5)));
        assert!((control.rate_bps() - 7.65e5).abs() < 1.0);
        assert!(!control.update(Time::from_millis(1100), &observed(Usage::Over, 4e5)));
        assert!(control.update(Time::from_millis(1300), &observed(Usage::Over, 7e5)));
        assert!((control.rate_bps() - 5.95e5).abs() < 1.0);
        let before = control.rate_bps();
        rounds(&mut control, 1400, 11);
        let grown = control.rate_bps() - before;
        assert!((30_000.0..100_000.0).contains(&grown), "{grown}");
    }

    #[test]
    fn a_rate_that_was_not_used_falls_by_what_got_thinner() {
        let mut control = control();
        let observed = Observed {
            sent_bps: 2e5,
            ..observed(Usage::Over, 1.8e5)
        };
        control.update(Time::from_millis(1000), &observed);
        assert!((control.rate_bps() - 8.55e5).abs() < 1.0);
        let raised = Observed {
            raised: true,
            ..observed
        };
        control.update(Time::from_millis(2000), &raised);
        assert!((control.rate_bps() - 0.85 * 0.9 * 8.55e5).abs() < 1.0);
    }

    #[test]
    fn a_probe_raises_at_once_and_lowers_by_halves() {
        let mut control = control();
        control.on_probe(3e6, false);
        assert!((control.rate_bps() - 3e6).abs() < 1.0);
        control.on_probe(2e6, true);
        assert!((control.rate_bps() - 2.45e6).abs() < 1.0);
        control.on_probe(1e6, false);
        assert!(
            (control.rate_bps() - 2.45e6).abs() < 1.0,
            "it found no limit"
        );
    }

    #[test]
    fn what_arrives_without_a_queue_is_carried() {
        let arrives = |queue_ms| Observed {
            sent_bps: 2e6,
            queue: Duration::from_millis(queue_ms),
            ..observed(Usage::Normal, 2e6)
        };
        let mut control = control();
        control.update(Time::ZERO, &arrives(50));
        assert!((control.rate_bps() - 1e6).abs() < 1.0, "a queue drains");
        control.update(Time::from_millis(1), &arrives(5));
        assert!((control.rate_bps() - 1.8e6).abs() < 2e4);
        control.lower(Time::from_millis(2), 1e6);
        control.update(Time::from_millis(500), &arrives(5));
        assert!(control.rate_bps() < 1.1e6, "too soon after a queue");
    }

    #[test]
    fn stays_within_its_bounds() {
        let mut control = control();
        control.on_probe(9e9, false);
        assert!((control.rate_bps() - 1e7).abs() < 1.0);
        control.lower(Time::ZERO, 1.0);
        assert!((control.rate_bps() - 5e4).abs() < 1.0);
    }
}
