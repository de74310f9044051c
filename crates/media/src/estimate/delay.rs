//! Is a queue building up on the path? From when packets left and arrived.
//!
//! After draft-ietf-rmcat-gcc-02 §4 and §5.2-5.4, with libwebrtc's least-squares slope (trendline)
//! in place of the draft's Kalman filter: packets are taken together in groups that left within
//! 5 ms, the slope of the groups' smoothed delay is compared with a threshold that adapts to what
//! the path does by itself. Beside the slope stands the queue's length, as the delay above the
//! least one of the last half minute: a slope without a queue is jitter, and a long queue without
//! a slope is one all the same.

use core::time::Duration;

use crosspoint_wire::time::Time;

/// Packets that left within this time are one group (draft §5.2).
const GROUP_US: i64 = 5_000;
/// Nor is a group longer than this on arrival.
const GROUP_ARRIVAL_MAX_US: i64 = 100_000;
/// Groups over which the slope is taken.
const WINDOW: usize = 20;
/// Share of the previous value in smoothed delay.
const SMOOTHING: f64 = 0.9;
/// What makes slopes comparable with the threshold, in milliseconds; libwebrtc's.
const GAIN: f64 = 4.0;
const DELTAS_MAX: f64 = 60.0;
/// How the threshold follows the slope (draft §5.4: k_u, k_d), per millisecond.
const FOLLOW_UP: f64 = 0.0087;
const FOLLOW_DOWN: f64 = 0.039;
const THRESHOLD_START_MS: f64 = 12.5;
const THRESHOLD_MIN_MS: f64 = 6.0;
const THRESHOLD_MAX_MS: f64 = 600.0;
/// A slope this far above the threshold is a step of the path, not what it does by itself.
const STEP_MS: f64 = 15.0;
/// For so long the slope has to be above the threshold.
const OVERUSE_MS: f64 = 10.0;
/// Below this no queue is worth giving up quality for: a few frames' own length.
const QUEUE_MIN: Duration = Duration::from_millis(15);
/// The same while less is sent than the path was found to carry: a keyframe makes such a queue, and
/// it drains by itself.
const QUEUE_MIN_UNUSED: Duration = Duration::from_millis(50);
/// A queue grows for so long, or becomes so long, before that is taken for more than a keyframe,
/// which viewers of one publisher get all at the same time.
const GROWS_FOR: Duration = Duration::from_millis(150);
const GROWS_TO: Duration = Duration::from_millis(80);
/// For so long the least delay counts, once or twice.
const BASE_WINDOW: Duration = Duration::from_secs(15);

/// What the path does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Usage {
    /// The queue keeps its length, or there is none.
    #[default]
    Normal,
    /// A queue builds up.
    Over,
    /// A queue drains.
    Under,
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct DelayDetector {
    groups: Groups,
    trend: Trend,
    base: LeastDelay,
    /// Least delay of the packets reported on in the newest message.
    lowest_us: Option<i64>,
    queue: Duration,
    /// Since when it grows.
    over_since: Option<Time>,
}

impl Default for DelayDetector {
    fn default() -> Self {
        Self {
            groups: Groups::default(),
            trend: Trend::new(),
            base: LeastDelay::default(),
            lowest_us: None,
            queue: Duration::ZERO,
            over_since: None,
        }
    }
}

impl DelayDetector {
    /// Takes note of a packet's times, each in microseconds of its own clock.
    pub(super) fn on_packet(&mut self, sent_us: i64, arrived_us: i64) {
        let delay_us = arrived_us - sent_us;
        self.lowest_us = Some(self.lowest_us.map_or(delay_us, |least| least.min(delay_us)));
        if let Some(delta) = self.groups.on_packet(sent_us, arrived_us) {
            self.trend.on_delta(&delta);
        }
    }

    /// What all packets noted since the last call show. `used`: about as much is sent as the path
    /// is thought to carry.
    pub(super) fn conclude(&mut self, now: Time, used: bool) -> Usage {
        if let Some(lowest_us) = self.lowest_us.take() {
            let base_us = self.base.update(now, lowest_us);
            self.queue = Duration::from_micros((lowest_us - base_us).max(0).unsigned_abs());
        }
        let least = if used { QUEUE_MIN } else { QUEUE_MIN_UNUSED };
        if self.trend.usage != Usage::Over || self.queue < least {
            self.over_since = None;
            return match self.trend.usage {
                Usage::Under => Usage::Under,
                Usage::Over | Usage::Normal => Usage::Normal,
            };
        }
        let since = *self.over_since.get_or_insert(now);
        if self.queue >= GROWS_TO || now.since(since) >= GROWS_FOR {
            Usage::Over
        } else {
            Usage::Normal
        }
    }

    /// How long a packet waits on the path now, as far as the last half minute shows.
    pub(super) fn queue(&self) -> Duration {
        self.queue
    }

    /// Nothing has left for so long that nothing waits any more.
    pub(super) fn drained(&mut self) {
        self.queue = Duration::ZERO;
    }

    /// The delay that there is now is the path's own, not a queue's.
    pub(super) fn rebase(&mut self) {
        self.base = LeastDelay::default();
        self.queue = Duration::ZERO;
    }
}

/// Two groups' distances.
struct Delta {
    sent_ms: f64,
    arrived_ms: f64,
    /// When the later one was complete.
    at_ms: f64,
}

#[derive(Debug, Default)]
struct Groups {
    current: Option<Group>,
    previous: Option<Group>,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    first_sent_us: i64,
    last_sent_us: i64,
    first_arrived_us: i64,
    last_arrived_us: i64,
}

impl Groups {
    fn on_packet(&mut self, sent_us: i64, arrived_us: i64) -> Option<Delta> {
        let packet = Group {
            first_sent_us: sent_us,
            last_sent_us: sent_us,
            first_arrived_us: arrived_us,
            last_arrived_us: arrived_us,
        };
        let Some(current) = &mut self.current else {
            self.current = Some(packet);
            return None;
        };
        if sent_us < current.first_sent_us {
            // Overtaken; its group is closed.
            return None;
        }
        if current.takes(sent_us, arrived_us) {
            current.last_sent_us = current.last_sent_us.max(sent_us);
            current.last_arrived_us = current.last_arrived_us.max(arrived_us);
            return None;
        }
        let current = *current;
        let previous = self.previous.replace(current);
        self.current = Some(packet);
        let previous = previous?;
        let ms = |us: i64| us as f64 / 1000.0;
        Some(Delta {
            sent_ms: ms(current.last_sent_us - previous.last_sent_us),
            arrived_ms: ms(current.last_arrived_us - previous.last_arrived_us),
            at_ms: ms(current.last_arrived_us),
        })
    }
}

impl Group {
    fn takes(&self, sent_us: i64, arrived_us: i64) -> bool {
        if sent_us - self.first_sent_us <= GROUP_US {
            return true;
        }
        // What a path held up and then gave out at once.
        let after_us = arrived_us - self.last_arrived_us;
        after_us - (sent_us - self.last_sent_us) < 0
            && after_us <= GROUP_US
            && arrived_us - self.first_arrived_us < GROUP_ARRIVAL_MAX_US
    }
}

/// The slope of delay, and what it means.
#[derive(Debug)]
struct Trend {
    /// Arrival and smoothed delay of the newest groups, in ms, as a ring.
    points: [(f64, f64); WINDOW],
    count: usize,
    accumulated_ms: f64,
    smoothed_ms: f64,
    slope: f64,
    threshold_ms: f64,
    updated_ms: Option<f64>,
    /// For how long, and in how many groups, the slope has been above the threshold.
    over: Option<(f64, u32)>,
    usage: Usage,
}

impl Trend {
    const fn new() -> Self {
        Self {
            points: [(0.0, 0.0); WINDOW],
            count: 0,
            accumulated_ms: 0.0,
            smoothed_ms: 0.0,
            slope: 0.0,
            threshold_ms: THRESHOLD_START_MS,
            updated_ms: None,
            over: None,
            usage: Usage::Normal,
        }
    }

    fn on_delta(&mut self, delta: &Delta) {
        self.accumulated_ms += delta.arrived_ms - delta.sent_ms;
        self.smoothed_ms = SMOOTHING * self.smoothed_ms + (1.0 - SMOOTHING) * self.accumulated_ms;
        if let Some(place) = self.points.get_mut(self.count % WINDOW) {
            *place = (delta.at_ms, self.smoothed_ms);
        }
        self.count += 1;
        let before = self.slope;
        if self.count >= WINDOW {
            self.slope = slope(&self.points).unwrap_or(before);
        }
        self.detect(before, delta);
    }

    fn detect(&mut self, before: f64, delta: &Delta) {
        if self.count < 2 {
            return;
        }
        let modified_ms = (self.count as f64).min(DELTAS_MAX) * self.slope * GAIN;
        if modified_ms > self.threshold_ms {
            let (ms, groups) = self.over.map_or((delta.sent_ms / 2.0, 1), |(ms, groups)| {
                (ms + delta.sent_ms, groups + 1)
            });
            self.over = Some((ms, groups));
            if ms > OVERUSE_MS && groups > 1 && self.slope >= before {
                self.over = Some((0.0, 0));
                self.usage = Usage::Over;
            }
        } else {
            self.over = None;
            self.usage = if modified_ms < -self.threshold_ms {
                Usage::Under
            } else {
                Usage::Normal
            };
        }
        self.adapt(modified_ms.abs(), delta.at_ms);
    }

    fn adapt(&mut self, slope_ms: f64, at_ms: f64) {
        let elapsed_ms = (at_ms - self.updated_ms.unwrap_or(at_ms)).clamp(0.0, 100.0);
        self.updated_ms = Some(at_ms);
        if slope_ms > self.threshold_ms + STEP_MS {
            return;
        }
        let follow = if slope_ms < self.threshold_ms {
            FOLLOW_DOWN
        } else {
            FOLLOW_UP
        };
        self.threshold_ms += follow * (slope_ms - self.threshold_ms) * elapsed_ms;
        self.threshold_ms = self.threshold_ms.clamp(THRESHOLD_MIN_MS, THRESHOLD_MAX_MS);
    }
}

/// Least-squares slope; `None` when all came at once.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let count = points.len() as f64;
    let mean_x = points.iter().map(|p| p.0).sum::<f64>() / count;
    let mean_y = points.iter().map(|p| p.1).sum::<f64>() / count;
    let (mut above, mut below) = (0.0, 0.0);
    for (x, y) in points {
        above += (x - mean_x) * (y - mean_y);
        below += (x - mean_x) * (x - mean_x);
    }
    (below > 0.0).then(|| above / below)
}

/// The least delay of this window and the one before.
#[derive(Debug, Default)]
struct LeastDelay {
    began: Option<Time>,
    current_us: i64,
    previous_us: i64,
}

impl LeastDelay {
    fn update(&mut self, now: Time, delay_us: i64) -> i64 {
        match self.began {
            Some(began) if now.since(began) <= BASE_WINDOW => {
                self.current_us = self.current_us.min(delay_us);
            }
            Some(_) => {
                self.previous_us = self.current_us;
                self.current_us = delay_us;
                self.began = Some(now);
            }
            None => {
                (self.previous_us, self.current_us) = (delay_us, delay_us);
                self.began = Some(now);
            }
        }
        self.current_us.min(self.previous_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 30 frames/s for `frames`, each `grows_us` later than it should be.
    fn frames(detector: &mut DelayDetector, from: i64, frames: i64, grows_us: i64) -> Usage {
        let mut usage = Usage::Normal;
        for n in 0..frames {
            let sent = (from + n) * 33_000;
            detector.on_packet(sent, sent + 20_000 + n * grows_us);
            usage = detector.conclude(Time::from_micros(sent.unsigned_abs()), true);
            if usage == Usage::Over {
                break;
            }
        }
        usage
    }

    #[test]
    fn a_steady_path_is_normal_and_a_growing_delay_is_not() {
        let mut detector = DelayDetector::default();
        assert_eq!(frames(&mut detector, 0, 300, 0), Usage::Normal);
        assert_eq!(frames(&mut detector, 300, 60, 4_000), Usage::Over);
        assert!(detector.queue() >= QUEUE_MIN);
    }

    #[test]
    fn jitter_without_a_queue_is_normal() {
        let mut detector = DelayDetector::default();
        for n in 0..3000_i64 {
            let sent = n * 33_000;
            let jitter = n * 7919 % 13_000;
            detector.on_packet(sent, sent + jitter);
            let usage = detector.conclude(Time::from_micros(sent.unsigned_abs()), true);
            assert_ne!(usage, Usage::Over, "{n}");
        }
    }

    #[test]
    fn a_queue_is_what_is_above_the_least_delay_until_that_is_taken_for_the_path() {
        let mut detector = DelayDetector::default();
        frames(&mut detector, 0, 30, 0);
        detector.on_packet(1_000_000, 1_120_000);
        detector.conclude(Time::from_millis(1000), true);
        assert_eq!(detector.queue(), Duration::from_millis(100));
        detector.rebase();
        detector.on_packet(1_100_000, 1_220_000);
        detector.conclude(Time::from_millis(1100), true);
        assert_eq!(detector.queue(), Duration::ZERO);
    }

    #[test]
    fn the_slope_is_that_of_a_line() {
        let line: Vec<_> = (0..20)
            .map(|n| (f64::from(n), 3.0 + 0.5 * f64::from(n)))
            .collect();
        assert!((slope(&line).unwrap() - 0.5).abs() < 1e-9);
        assert_eq!(slope(&[(1.0, 2.0); 20]), None);
    }
}
