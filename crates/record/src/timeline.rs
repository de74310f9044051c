//! From RTP timestamps of one encoding to the server's wall clock.
//!
//! The publisher's sender reports, as the engine passes them on, say what an encoding's clock read at
//! which time; all tracks of a publisher are put on one clock by them, so that lips and voice agree
//! however far the clock drifts. Before the first report the arrival of packets has to do. Corrections
//! are spread over time: nobody hears or sees one.

use crosspoint_wire::num::TimestampUnwrapper;

use crate::Micros;

/// How fast corrections are made: 10 ms a second. Clocks drift a fiftieth of that.
const SLEW_PPM: i64 = 10_000;

/// A difference that is no drift and no jitter but another clock.
const STEP_US: i64 = 2_000_000;

/// Without sender reports for this long, arrival decides: the earliest packet of each such time was
/// held up least.
const WINDOW_US: i64 = 10_000_000;

/// Reports that stay out for so long will not come any more.
const REPORTS_GONE_US: i64 = 60_000_000;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Timeline {
    rate_hz: u32,
    timestamps: TimestampUnwrapper,
    /// Wall clock minus RTP clock: as it is used, and as it should be.
    offset: Option<i64>,
    target: i64,
    slewed_at: i64,
    reported_at: Option<i64>,
    window: Window,
    /// How often the clock was another one.
    pub(crate) steps: u32,
}

#[derive(Debug, Default)]
struct Window {
    since: i64,
    least: Option<i64>,
}

impl Timeline {
    pub(crate) fn new(rate_hz: u32) -> Self {
        Self {
            rate_hz: rate_hz.max(1),
            timestamps: TimestampUnwrapper::new(),
            offset: None,
            target: 0,
            slewed_at: 0,
            reported_at: None,
            window: Window::default(),
            steps: 0,
        }
    }

    /// Another codec may count at another rate: then it is another clock.
    pub(crate) fn set_rate(&mut self, rate_hz: u32) {
        if rate_hz != self.rate_hz {
            *self = Self {
                steps: self.steps + 1,
                ..Self::new(rate_hz)
            };
        }
    }

    /// The clock read `timestamp` at `wall`.
    pub(crate) fn note_clock(&mut self, wall: Micros, timestamp: u32) {
        // Older or newer than any packet: it must not move what packets are extended by.
        let target = wall - self.rtp_us(self.timestamps.peek(timestamp));
        if self.timestamps.newest().is_none() {
            // Nothing to extend packets by yet; this is near the first.
            self.timestamps.extend(timestamp);
        }
        self.reported_at = Some(wall);
        match self.offset {
            Some(offset) if (target - offset).abs() <= STEP_US => self.target = target,
            Some(_) => self.step(target, wall),
            None => self.begin(target, wall),
        }
    }

    /// When a packet's media was captured, by the wall clock, given when it arrived.
    pub(crate) fn wall_of(&mut self, timestamp: u32, arrival: Micros) -> Micros {
        let rtp_us = {
            let extended = self.timestamps.extend(timestamp);
            self.rtp_us(extended)
        };
        let by_arrival = arrival - rtp_us;
        let Some(offset) = self.offset else {
            self.begin(by_arrival, arrival);
            return arrival;
        };
        if (by_arrival - offset).abs() > STEP_US {
            self.step(by_arrival, arrival);
            return arrival;
        }
        self.follow_arrivals(by_arrival, arrival);
        rtp_us + self.slew(arrival)
    }

    /// The earliest arrivals steer when there are no reports.
    fn follow_arrivals(&mut self, by_arrival: i64, arrival: Micros) {
        let least = self.window.least.get_or_insert(by_arrival);
        *least = by_arrival.min(*least);
        if arrival - self.window.since < WINDOW_US {
            return;
        }
        let least = *least;
        self.window = Window {
            since: arrival,
            least: None,
        };
        if self
            .reported_at
            .is_none_or(|at| arrival - at > REPORTS_GONE_US)
        {
            self.target = least;
        }
    }

    fn slew(&mut self, now: Micros) -> i64 {
        let elapsed = (now - self.slewed_at).clamp(0, 60_000_000);
        self.slewed_at = self.slewed_at.max(now);
        let most = elapsed * SLEW_PPM / 1_000_000;
        let offset = self.offset.unwrap_or(self.target);
        let offset = offset + (self.target - offset).clamp(-most, most);
        self.offset = Some(offset);
        offset
    }

    fn begin(&mut self, offset: i64, now: Micros) {
        self.offset = Some(offset);
        self.target = offset;
        self.slewed_at = now;
        self.window = Window {
            since: now,
            least: None,
        };
    }

    fn step(&mut self, offset: i64, now: Micros) {
        self.steps += 1;
        self.begin(offset, now);
    }

    fn rtp_us(&self, extended: u64) -> i64 {
        let us = u128::from(extended) * 1_000_000 / u128::from(self.rate_hz);
        us as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;
    const START: i64 = 1_700_000_000 * SECOND;

    /// A publisher's clock that runs `ppm` too fast.
    fn timestamp(rate_hz: u32, first: u32, ppm: i64, us: i64) -> u32 {
        let us = us + us / 1_000 * ppm / 1_000;
        first.wrapping_add((i128::from(us) * i128::from(rate_hz) / 1_000_000) as u32)
    }

    #[test]
    fn a_day_of_wraps_and_drift_keeps_two_tracks_together() {
        let mut audio = Timeline::new(48_000);
        let mut video = Timeline::new(90_000);
        let mut worst = 0;
        // A packet of each twice a second, a report of each every five.
        for half_seconds in 0..24 * 3600 * 2_i64 {
            let at = half_seconds * SECOND / 2;
            let sound = timestamp(48_000, 4_000_000_000, 200, at);
            let picture = timestamp(90_000, 77, 200, at);
            if half_seconds % 10 == 4 {
                audio.note_clock(START + at, sound);
                video.note_clock(START + at, picture);
            }
            // The picture takes 60 ms longer to arrive.
            let sound = audio.wall_of(sound, START + at + 20_000);
            let picture = video.wall_of(picture, START + at + 80_000);
            if at > 10 * SECOND {
                worst = worst.max((sound - picture).abs());
            }
            assert!((sound - START - at).abs() < 40_000, "{half_seconds}");
            assert!((picture - START - at).abs() <= 81_000, "{half_seconds}");
        }
        assert!(worst < 5_000, "{worst} us apart");
        assert_eq!((audio.steps, video.steps), (0, 0));
    }

    #[test]
    fn drift_is_followed_without_any_report() {
        let mut timeline = Timeline::new(48_000);
        for second in 0..6 * 3600_i64 {
            let at = second * SECOND;
            // Up to 30 ms of jitter.
            let jitter = second % 7 * 5_000;
            let wall = timeline.wall_of(timestamp(48_000, 5, 200, at), START + at + jitter);
            assert!(
                (wall - START - at).abs() < 40_000,
                "{second}: {}",
                wall - START - at
            );
        }
    }

    #[test]
    fn a_first_report_moves_nothing_at_once() {
        let mut timeline = Timeline::new(90_000);
        let mut last = timeline.wall_of(0, START + 120_000);
        for frame in 1..1000_i64 {
            let at = frame * 33_000;
            let now = timestamp(90_000, 0, 0, at);
            if frame == 30 {
                timeline.note_clock(START + at, now);
            }
            let wall = timeline.wall_of(now, START + at + 120_000);
            assert!((wall - last - 33_000).abs() <= 400, "{}", wall - last);
            last = wall;
        }
        assert!((last - START - 999 * 33_000).abs() < 1000);
    }

    #[test]
    fn another_clock_is_taken_at_once() {
        let mut timeline = Timeline::new(90_000);
        timeline.wall_of(1000, START);
        assert_eq!(
            timeline.wall_of(900_000_000, START + 100_000),
            START + 100_000
        );
        assert_eq!(timeline.steps, 1);
        assert_eq!(
            timeline.wall_of(900_003_000, START + 150_000),
            START + 133_333
        );
        timeline.note_clock(START + 200_000, 5);
        assert_eq!(timeline.steps, 2);
    }
}
