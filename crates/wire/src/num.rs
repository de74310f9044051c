//! Arithmetic on numbers that wrap: sequence numbers, timestamps, picture ids.
//!
//! Comparison follows RFC 1982: of two numbers, the newer one is less than half the number space
//! ahead. At exactly half the space neither is newer.

use core::time::Duration;

/// Whether sequence number `a` comes after `b`.
#[must_use]
pub const fn seq_newer(a: u16, b: u16) -> bool {
    seq_distance(b, a) > 0
}

/// How far `to` is ahead of `from`; negative when it is behind. At exactly half the number space
/// the answer is `i16::MIN`, behind.
#[must_use]
pub const fn seq_distance(from: u16, to: u16) -> i16 {
    to.wrapping_sub(from).cast_signed()
}

/// Whether timestamp `a` comes after `b`.
#[must_use]
pub const fn timestamp_newer(a: u32, b: u32) -> bool {
    timestamp_distance(b, a) > 0
}

/// How far `to` is ahead of `from`; negative when it is behind. At exactly half the number space
/// the answer is `i32::MIN`, behind.
#[must_use]
pub const fn timestamp_distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

/// How long `ticks` of a clock are; no time at all while its rate is unknown (0).
#[must_use]
pub const fn ticks_to_duration(ticks: u64, rate_hz: u32) -> Duration {
    match ticks.saturating_mul(1_000_000).checked_div(rate_hz as u64) {
        Some(micros) => Duration::from_micros(micros),
        None => Duration::ZERO,
    }
}

/// Extends numbers of `BITS` bits (1 to 32) to 64 bits that never wrap.
///
/// Each number is taken as the value nearest to the newest one so far. The first number is placed
/// one whole number space above zero, so that older numbers arriving late never go below zero.
/// The lower `BITS` bits of an extended number are the number itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unwrapper<const BITS: u32> {
    newest: Option<u64>,
}

/// For RTP sequence numbers and transport-wide sequence numbers.
pub type SeqUnwrapper = Unwrapper<16>;
/// For RTP timestamps.
pub type TimestampUnwrapper = Unwrapper<32>;

impl<const BITS: u32> Unwrapper<BITS> {
    const SPACE: u64 = {
        assert!(BITS >= 1 && BITS <= 32, "numbers of 1 to 32 bits");
        1 << BITS
    };

    /// Before any number.
    #[must_use]
    pub const fn new() -> Self {
        Self { newest: None }
    }

    /// Extends `number` and remembers it if it is the newest. Bits above `BITS` are ignored.
    pub fn extend(&mut self, number: u32) -> u64 {
        let extended = self.peek(number);
        self.newest = Some(self.newest.map_or(extended, |newest| newest.max(extended)));
        extended
    }

    /// What [`extend`](Self::extend) would answer, without remembering.
    #[must_use]
    pub fn peek(&self, number: u32) -> u64 {
        let number = u64::from(number) & (Self::SPACE - 1);
        let Some(newest) = self.newest else {
            return Self::SPACE + number;
        };
        let ahead = number.wrapping_sub(newest) & (Self::SPACE - 1);
        if ahead < Self::SPACE / 2 {
            newest + ahead
        } else {
            newest + ahead - Self::SPACE
        }
    }

    /// The newest extended number so far.
    #[must_use]
    pub const fn newest(&self) -> Option<u64> {
        self.newest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_sequence_numbers_compares_as_rfc_1982_says() {
        for base in [0u16, 1, 0x7fff, 0x8000, 0xffff] {
            for step in 0..=u16::MAX {
                let other = base.wrapping_add(step);
                assert_eq!(seq_newer(other, base), (1..0x8000).contains(&step));
                assert_eq!(seq_newer(base, other), step > 0x8000);
            }
        }
        assert_eq!(seq_distance(0xfffe, 2), 4);
        assert_eq!(seq_distance(2, 0xfffe), -4);
    }

    #[test]
    fn timestamps_compare_over_the_wrap() {
        assert!(timestamp_newer(5, u32::MAX));
        assert!(!timestamp_newer(u32::MAX, 5));
        assert!(!timestamp_newer(7, 7));
        assert!(!timestamp_newer(0x8000_0000, 0));
        assert_eq!(timestamp_distance(u32::MAX, 5), 6);
    }

    #[test]
    fn any_two_numbers_keep_their_distance_and_their_low_bits() {
        for first in [0u32, 1, 0x7fff, 0x8000, 0x8001, 0xffff] {
            for second in 0..=u32::from(u16::MAX) {
                let mut unwrapper = SeqUnwrapper::new();
                let a = unwrapper.extend(first);
                let b = unwrapper.extend(second);
                assert_eq!(a & 0xffff, u64::from(first));
                assert_eq!(b & 0xffff, u64::from(second));
                let distance = b.cast_signed() - a.cast_signed();
                assert!((-0x8000..0x8000).contains(&distance), "{first} {second}");
                assert_eq!(unwrapper.newest(), Some(a.max(b)));
            }
        }
    }

    #[test]
    fn a_stream_grows_through_many_wraps_with_reordering() {
        let mut unwrapper = SeqUnwrapper::new();
        let start = unwrapper.extend(65_000);
        for n in 1..300_000u64 {
            // Each pair arrives swapped.
            let n = n ^ 1;
            let number = (65_000 + n) as u32 & 0xffff;
            assert_eq!(unwrapper.extend(number), start + n);
        }
    }

    #[test]
    fn going_backwards_at_the_start_never_goes_below_zero() {
        let mut unwrapper = SeqUnwrapper::new();
        let start = unwrapper.extend(0);
        assert_eq!(unwrapper.extend(0xffff), start - 1);
        assert_eq!(unwrapper.extend(0x8001), start - 0x7fff);

        let mut unwrapper = TimestampUnwrapper::new();
        let start = unwrapper.extend(0);
        assert_eq!(unwrapper.extend(u32::MAX), start - 1);
        assert_eq!(unwrapper.extend(0x8000_0000), start - 0x8000_0000);
    }

    #[test]
    fn peeking_changes_nothing_and_narrow_numbers_wrap_at_their_width() {
        let mut unwrapper = Unwrapper::<7>::new();
        assert_eq!(unwrapper.extend(127), 255);
        assert_eq!(unwrapper.peek(0), 256);
        assert_eq!(unwrapper.newest(), Some(255));
        assert_eq!(unwrapper.extend(0x80), 256);
    }
}
