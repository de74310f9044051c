//! A long queue on the path, and what is done until it has drained.
//!
//! The detector of [`delay`](super::delay) sees queues that build up. One that is long already is drained
//! too, whether it grows or not: less is sent than arrives. When that has been tried for some time and
//! the queue is as long as before, it is none: the path itself got longer.

use core::time::Duration;

use crosspoint_wire::time::Time;

use super::rate::Observed;

/// A queue this long is to be drained even if it does not grow ...
const LONG: Duration = Duration::from_millis(100);
/// ... and it is gone when it is that short.
const GONE: Duration = Duration::from_millis(25);
/// A queue this long is ours when more than that many times what arrives is sent.
const GROWN: Duration = Duration::from_millis(80);
const THINNER: f64 = 2.0;
/// Share of what arrives that is sent until the queue is gone.
const BETA: f64 = 0.85;
/// How long an attempt takes, beyond a round trip.
const ATTEMPT: Duration = Duration::from_millis(300);
/// So many attempts in vain, and it is no queue.
const VAIN_MAX: u8 = 3;

/// Whether what arrives behind a queue of this length is what the path carries, so that it is even and
/// can be measured in a short time.
pub(super) fn is_grown(queue: Duration) -> bool {
    queue >= GROWN
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct StandingQueue {
    full: bool,
    /// When the last attempt began, and the queue's length then.
    attempt: Option<(Time, Duration)>,
    vain: u8,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Drain {
    /// Nothing, or nothing new.
    Wait,
    /// No more than this is to be sent, in bits per second.
    Lower(f64),
    /// The delay that there is now is the path's own.
    Rebase,
}

impl StandingQueue {
    /// Takes note of the queue's length.
    pub(super) fn note(&mut self, queue: Duration) {
        self.full = queue >= if self.full { GONE } else { LONG };
    }

    /// A long queue stands, or has not drained yet.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Decides after a round of feedback. `decreased`: when the rate fell last.
    pub(super) fn drain(
        &mut self,
        now: Time,
        observed: &Observed,
        decreased: Option<Time>,
    ) -> Drain {
        let (queue, Some(arrived_bps)) = (observed.queue, observed.arrived_bps) else {
            return Drain::Wait;
        };
        if is_grown(queue) && observed.sent_bps > THINNER * arrived_bps {
            // What arrives is all that the path carries, whatever is sent: there is nothing to wait
            // for, and sound is lost meanwhile.
            return Drain::Lower(BETA * arrived_bps);
        }
        if queue < LONG {
            (self.attempt, self.vain) = (None, 0);
            return Drain::Wait;
        }
        let acted = decreased.max(self.attempt.map(|(at, _)| at));
        if acted.is_some_and(|at| now.since(at) < observed.rtt + ATTEMPT) {
            return Drain::Wait;
        }
        if self
            .attempt
            .is_some_and(|(_, before)| queue * 4 > before * 3)
        {
            self.vain += 1;
        }
        if self.vain >= VAIN_MAX {
            *self = Self::default();
            return Drain::Rebase;
        }
        self.attempt = Some((now, queue));
        Drain::Lower(BETA * arrived_bps)
    }
}

#[cfg(test)]
mod tests {
    use super::super::delay::Usage;
    use super::*;

    fn observed(queue_ms: u64, sent_bps: f64, arrived_bps: f64) -> Observed {
        Observed {
            usage: Usage::Normal,
            arrived_bps: Some(arrived_bps),
            sent_bps,
            queue: Duration::from_millis(queue_ms),
            raised: false,
            rtt: Duration::from_millis(50),
        }
    }

    /// What is done each tenth of a second about a queue that stays as long as it is.
    fn about(queue_ms: u64, sent_bps: f64, rounds: u64) -> Vec<Drain> {
        let mut standing = StandingQueue::default();
        let observed = observed(queue_ms, sent_bps, 3e5);
        let drain = |n| standing.drain(Time::from_millis(1000 + 100 * n), &observed, None);
        (0..rounds).map(drain).collect()
    }

    #[test]
    fn a_path_stays_full_until_its_queue_is_gone() {
        let mut standing = StandingQueue::default();
        let mut full = |queue_ms| {
            standing.note(Duration::from_millis(queue_ms));
            standing.is_full()
        };
        let seen: Vec<_> = [50, 99, 100, 60, 26, 24, 99].map(&mut full).into();
        assert_eq!(seen, [false, false, true, true, true, false, false]);
    }

    #[test]
    fn a_path_that_got_slow_is_followed_at_once_and_as_long_as_it_takes() {
        assert_eq!(about(80, 7e5, 50), [Drain::Lower(2.55e5); 50]);
        assert_eq!(about(79, 7e5, 50), [Drain::Wait; 50]);
    }

    #[test]
    fn a_queue_that_does_not_drain_is_the_path_s_own_after_three_attempts() {
        let seen = about(120, 3e5, 13);
        let lowered = seen.iter().filter(|&&d| d == Drain::Lower(2.55e5));
        assert_eq!(lowered.count(), 3);
        assert_eq!(seen.iter().position(|&d| d == Drain::Rebase), Some(12));
    }

    #[test]
    fn a_queue_that_drains_is_one() {
        let mut standing = StandingQueue::default();
        for n in 0..10 {
            let queue_ms = 2000 * 7_u64.pow(n) / 10_u64.pow(n);
            let seen = standing.drain(
                Time::from_millis(1000 + 400 * u64::from(n)),
                &observed(queue_ms, 2.55e5, 3e5),
                None,
            );
            assert_ne!(seen, Drain::Rebase, "{queue_ms} ms");
        }
    }
}
