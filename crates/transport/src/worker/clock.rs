//! A worker's clock: the one place where time is read.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crosspoint_wire::time::{Time, WallClock};

#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts now. The wall clock is read once, here: it may be set while we run.
    pub(super) fn start() -> (Self, WallClock) {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        let wall_clock = WallClock {
            unix_micros_at_zero: unix.as_micros() as u64,
        };
        let start = Instant::now();
        (Self { start }, wall_clock)
    }

    /// Reads it.
    pub(super) fn now(self) -> Time {
        self.time(Instant::now())
    }

    /// The same point for who counts in `Instant`s. Rounded up, so that a timer that is due is
    /// due in both.
    pub(super) fn time(self, instant: Instant) -> Time {
        let since = instant.saturating_duration_since(self.start);
        Time::ZERO + (since + Duration::from_nanos(999))
    }

    pub(super) fn instant(self, time: Time) -> Instant {
        self.start + Duration::from_micros(time.as_micros())
    }
}
