//! How far apart a worker's turns begin.
//!
//! Each turn costs the same whatever it finds: a wait, a receive, a look at what is due, a send. A worker
//! that wakes for each packet or two spends more on that than on forwarding them. So turns keep a
//! distance, in which what arrives shares them, and packets of one frame that come one by one leave as
//! one run. It trades delay for work: a packet that comes after a longer silence is not held at all.
//!
//! While every turn finds something waiting when it begins, the distance grows, as far as the number of
//! packets asks for it: with a thousand people in rooms of two, turns that wait for four times as many
//! cost a fifth less CPU per packet, and most of a millisecond of delay; with fifty the worker has time
//! for short turns. Bursts of large rooms have gaps between them, in which it begins anew, so that their
//! first packets do not wait long.

use std::time::Duration;

use crosspoint_wire::time::Time;

/// Turns begin no more often than this, unless a queue was not emptied.
const SHORTEST: Duration = Duration::from_micros(250);

/// What the distance of turns grows to, at most.
const LONGEST: Duration = Duration::from_millis(1);

/// Turns in a row that find something waiting, after which the distance grows by [`SHORTEST`].
const DENSE_TURNS: u32 = 8;

/// Packets a millisecond, in and out, up to which turns do not grow, and from which on they grow to
/// [`LONGEST`]. A camera in a room of two is a quarter to half a packet a millisecond, in and out.
const FEW: f32 = 25.0;
const MANY: f32 = 30.0;

/// Over how long packets are counted, in milliseconds: some frames of a camera.
const MEMORY_MS: f32 = 200.0;

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct Pace {
    began: Time,
    /// How many turns in a row something had arrived for before they were allowed to begin.
    dense_turns: u32,
    /// Packets until then.
    packets: u64,
    /// Packets a millisecond, lately.
    rate: f32,
}

impl Pace {
    /// A turn begins; so many packets were forwarded and received before it.
    pub(super) fn begin(&mut self, now: Time, packets: u64) {
        let passed_ms = now.since(self.began).as_secs_f32() * 1000.0;
        let weight = passed_ms / (MEMORY_MS + passed_ms);
        let rate = packets.saturating_sub(self.packets) as f32 / passed_ms.max(0.001);
        self.rate += weight * (rate - self.rate);
        (self.began, self.packets) = (now, packets);
    }

    /// When the turn under way, or the last one, began.
    pub(super) const fn began(&self) -> Time {
        self.began
    }

    /// Whether something is likely to come before the next turn may begin.
    pub(super) const fn is_dense(&self) -> bool {
        self.dense_turns > 0
    }

    /// Notes whether something had arrived before the next turn was allowed to begin.
    pub(super) fn note(&mut self, arrived: bool) {
        self.dense_turns = match arrived {
            true => self.dense_turns.saturating_add(1),
            false => 0,
        };
    }

    /// How long to let more arrive before the next turn; `None` when the last one began long enough ago.
    pub(super) fn rest(&self, now: Time) -> Option<Duration> {
        let grown = SHORTEST.saturating_mul(1 + self.dense_turns / DENSE_TURNS);
        grown.min(self.longest()).checked_sub(now.since(self.began))
    }

    fn longest(&self) -> Duration {
        let many = ((self.rate - FEW) / (MANY - FEW)).clamp(0.0, 1.0);
        SHORTEST + (LONGEST - SHORTEST).mul_f32(many)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns of a second with so many packets a millisecond; the distance of the last ones.
    fn second(pace: &mut Pace, start: Time, rate: u64) -> (Time, Duration) {
        let (mut now, before) = (start, pace.packets);
        let mut distance = Duration::ZERO;
        while now < start + Duration::from_secs(1) {
            distance = pace.rest(now).unwrap_or_default();
            now += distance;
            pace.note(true);
            pace.begin(
                now,
                before + rate * now.since(start).as_micros() as u64 / 1000,
            );
        }
        (now, distance)
    }

    #[test]
    fn turns_grow_with_the_number_of_packets_and_shrink_again() {
        let mut pace = Pace::default();
        let mut now = Time::from_millis(1);
        pace.begin(now, 0);
        for (rate, from, to) in [
            (12, 250, 250),
            (27, 400, 700),
            (60, 1000, 1000),
            (12, 250, 300),
        ] {
            let distance;
            (now, distance) = second(&mut pace, now, rate);
            let fits = from..=to;
            assert!(fits.contains(&distance.as_micros()), "{rate}: {distance:?}");
        }
    }

    #[test]
    fn after_a_turn_that_found_nothing_they_are_short() {
        let mut pace = Pace::default();
        pace.begin(Time::from_millis(1), 0);
        let (now, long) = second(&mut pace, Time::from_millis(1), 60);
        assert_eq!(long, LONGEST);
        pace.note(false);
        assert!(!pace.is_dense());
        assert_eq!(pace.rest(now), Some(SHORTEST));
    }

    #[test]
    fn after_a_silence_nothing_is_held() {
        let mut pace = Pace::default();
        pace.begin(Time::from_millis(1), 0);
        let (now, _) = second(&mut pace, Time::from_millis(1), 60);
        assert_eq!(pace.rest(now + LONGEST + SHORTEST), None);
    }
}
