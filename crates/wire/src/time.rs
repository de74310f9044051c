//! Points in time and the clocks they are mapped to.

use core::ops::{Add, AddAssign};
use core::time::Duration;

/// A point on a worker's monotonic clock: **microseconds** since the worker started.
///
/// Nothing below `transport` reads a clock; every input carries one of these. Subtraction
/// saturates, so time that seems to run backwards can never panic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The start of the clock.
    pub const ZERO: Self = Self(0);
    /// Later than every other time; "never" for a timer.
    pub const NEVER: Self = Self(u64::MAX);

    /// The time `us` microseconds after the clock's start.
    #[must_use]
    pub const fn from_micros(us: u64) -> Self {
        Self(us)
    }

    /// The time `ms` milliseconds after the clock's start.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms.saturating_mul(1000))
    }

    /// Microseconds since the clock's start.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, d: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(d.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, d: Duration) {
        *self = *self + d;
    }
}

/// A wall-clock instant in NTP's 32.32 fixed-point format (RFC 5905 §6): seconds since 1900 in
/// the upper half, fraction in the lower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtpTime(pub u64);

/// Seconds between the NTP epoch (1900) and the Unix epoch (1970).
const NTP_UNIX_OFFSET_S: u64 = 2_208_988_800;

impl NtpTime {
    /// From microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_unix_micros(us: u64) -> Self {
        let seconds = (us / 1_000_000).wrapping_add(NTP_UNIX_OFFSET_S);
        let fraction = ((us % 1_000_000) << 32) / 1_000_000;
        Self((seconds << 32) | fraction)
    }

    /// The middle 32 bits, as used in LSR and DLSR of reports (RFC 3550 §6.4.1).
    #[must_use]
    pub const fn middle(self) -> u32 {
        ((self.0 >> 16) & 0xffff_ffff) as u32
    }

    /// Signed difference `self - other` in microseconds.
    #[must_use]
    pub const fn micros_since(self, other: Self) -> i64 {
        let diff = self.0.wrapping_sub(other.0) as i64;
        ((diff as i128 * 1_000_000) >> 32) as i64
    }
}

/// Where a worker's monotonic [`Time`] stands on the wall clock. Fixed at start, so that
/// sender reports of one worker never jump when the system clock is stepped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WallClock {
    /// Microseconds since the Unix epoch at [`Time::ZERO`].
    pub unix_micros_at_zero: u64,
}

impl WallClock {
    /// Wall-clock time of `now`.
    #[must_use]
    pub const fn ntp(self, now: Time) -> NtpTime {
        NtpTime::from_unix_micros(self.unix_micros_at_zero.wrapping_add(now.as_micros()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subtraction_saturates() {
        assert_eq!(Time::ZERO.since(Time::from_micros(5)), Duration::ZERO);
        assert_eq!(Time::NEVER + Duration::from_secs(1), Time::NEVER);
    }

    #[test]
    fn ntp_differences_are_in_microseconds() {
        let a = NtpTime::from_unix_micros(1_700_000_000_000_000);
        let b = NtpTime::from_unix_micros(1_700_000_000_250_000);
        assert!((b.micros_since(a) - 250_000).abs() <= 1);
        assert!((a.micros_since(b) + 250_000).abs() <= 1);
    }
}
