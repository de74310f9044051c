//! Reads numbers of any width from a sequence of bits, most significant first.

use crate::ParseError;

/// Position in a sequence of bits.
pub(super) struct BitReader<'a> {
    rest: &'a [u8],
    /// Bits of the first byte that are read already, 0..=7.
    taken: u32,
}

impl<'a> BitReader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            taken: 0,
        }
    }

    /// f(width): an unsigned number of at most 32 bits.
    pub(super) fn read(&mut self, width: u32) -> Result<u32, ParseError> {
        let mut value = 0u64;
        let mut missing = width;
        while missing > 0 {
            let (&byte, rest) = self.rest.split_first().ok_or(ParseError::TooShort)?;
            let available = 8 - self.taken;
            let count = available.min(missing);
            let unread = u64::from(byte) & (0xff >> self.taken);
            value = (value << count) | (unread >> (available - count));
            missing -= count;
            self.taken += count;
            if self.taken == 8 {
                self.rest = rest;
                self.taken = 0;
            }
        }
        Ok(value as u32)
    }

    /// f(1).
    pub(super) fn flag(&mut self) -> Result<bool, ParseError> {
        Ok(self.read(1)? != 0)
    }

    /// ns(values): a number below `values`, which is at least 1, in as few bits as the number of
    /// values allows (AV1 specification §4.10.7).
    pub(super) fn read_below(&mut self, values: u32) -> Result<u32, ParseError> {
        let width = u32::BITS - values.leading_zeros();
        let short = (1u32 << width) - values;
        let value = self.read(width - 1)?;
        if value < short {
            return Ok(value);
        }
        Ok((value << 1) - short + self.read(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_cross_bytes_and_end_with_the_input() {
        let mut bits = BitReader::new(&[0b1010_0110, 0b1100_0011, 0xff, 0x00, 0xaa]);
        assert_eq!(bits.read(3), Ok(0b101));
        assert_eq!(bits.read(0), Ok(0));
        assert_eq!(bits.read(9), Ok(0b0_0110_1100));
        assert_eq!(bits.flag(), Ok(false));
        assert_eq!(bits.read(3), Ok(0b011));
        assert_eq!(bits.read(24), Ok(0xff_00aa));
        assert_eq!(bits.read(1), Err(ParseError::TooShort));
        assert_eq!(BitReader::new(&[0xff; 4]).read(32), Ok(u32::MAX));
    }

    #[test]
    fn non_symmetric_numbers_take_the_short_form_where_there_is_one() {
        // Of five values, 0 to 2 take two bits, 3 and 4 take three.
        let read = |byte| BitReader::new(&[byte]).read_below(5);
        assert_eq!(read(0b0000_0000), Ok(0));
        assert_eq!(read(0b0100_0000), Ok(1));
        assert_eq!(read(0b1000_0000), Ok(2));
        assert_eq!(read(0b1100_0000), Ok(3));
        assert_eq!(read(0b1110_0000), Ok(4));
        // One value takes no bits, and a power of two has no short form.
        assert_eq!(BitReader::new(&[]).read_below(1), Ok(0));
        assert_eq!(BitReader::new(&[0b1011_0000]).read_below(16), Ok(11));
    }
}
