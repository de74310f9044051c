//! The one clock of a run: senders stamp with it and receivers compare with it.

use std::time::Instant;

use crosspoint_wire::time::Time;

/// Monotonic, common to all threads of the process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts at zero.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Time since the start.
    #[must_use]
    pub fn now(self) -> Time {
        let us = self.start.elapsed().as_micros();
        Time::from_micros(u64::try_from(us).unwrap_or(u64::MAX))
    }

    /// The same moment for libraries that want the standard type.
    #[must_use]
    pub fn instant(self, time: Time) -> Instant {
        self.start + time.since(Time::ZERO)
    }

    /// The standard type's moment on this clock.
    #[must_use]
    pub fn time(self, instant: Instant) -> Time {
        Time::ZERO + instant.saturating_duration_since(self.start)
    }
}
