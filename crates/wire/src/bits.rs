//! Reads and writes numbers of any width in a sequence of bits, most significant first.

use crate::{BufferFull, ParseError};

/// Position in a sequence of bits.
pub(crate) struct BitReader<'a> {
    rest: &'a [u8],
    /// Bits of the first byte that are read already, 0..=7.
    taken: u32,
}

impl<'a> BitReader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            taken: 0,
        }
    }

    /// f(width): an unsigned number of at most 32 bits.
    pub(crate) fn read(&mut self, width: u32) -> Result<u32, ParseError> {
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

    /// How many bits are left.
    pub(crate) const fn left(&self) -> u32 {
        self.rest.len() as u32 * 8 - self.taken
    }

    /// Reads over as many bits.
    pub(crate) fn skip(&mut self, width: u32) -> Result<(), ParseError> {
        self.read(width).map(drop)
    }

    /// f(1).
    pub(crate) fn flag(&mut self) -> Result<bool, ParseError> {
        Ok(self.read(1)? != 0)
    }

    /// ns(values): a number below `values`, which is at least 1, in as few bits as the number of
    /// values allows (AV1 specification §4.10.7).
    pub(crate) fn read_below(&mut self, values: u32) -> Result<u32, ParseError> {
        let width = u32::BITS - values.leading_zeros();
        let short = (1u32 << width) - values;
        let value = self.read(width - 1)?;
        if value < short {
            return Ok(value);
        }
        Ok((value << 1) - short + self.read(1)?)
    }
}

/// Position in a buffer that is filled with bits.
pub(crate) struct BitWriter<'a> {
    buffer: &'a mut [u8],
    bits: usize,
}

impl<'a> BitWriter<'a> {
    pub(crate) const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, bits: 0 }
    }

    /// The low `width` bits of `value`, at most 32.
    pub(crate) fn put(&mut self, value: u32, width: u32) -> Result<(), BufferFull> {
        let mut missing = width;
        while missing > 0 {
            let byte = self.buffer.get_mut(self.bits / 8).ok_or(BufferFull)?;
            let taken = (self.bits % 8) as u32;
            if taken == 0 {
                *byte = 0;
            }
            let count = (8 - taken).min(missing);
            missing -= count;
            let bits = (u64::from(value) >> missing) as u8 & (0xff >> (8 - count));
            *byte |= bits << (8 - taken - count);
            self.bits += count as usize;
        }
        Ok(())
    }

    /// The next `count` bits of `from`.
    pub(crate) fn copy(&mut self, from: &mut BitReader<'_>, count: u32) -> Result<(), BufferFull> {
        let mut missing = count;
        while missing > 0 {
            let width = missing.min(u32::BITS);
            let value = from.read(width).map_err(|_| BufferFull)?;
            self.put(value, width)?;
            missing -= width;
        }
        Ok(())
    }

    /// Bytes that are written, the last one filled up with zeros.
    pub(crate) const fn len(&self) -> usize {
        self.bits.div_ceil(8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_bit_for_bit() {
        let numbers = [
            (5, 3),
            (0, 0),
            (0x6c, 9),
            (1, 1),
            (u32::MAX, 32),
            (0x1234, 17),
        ];
        let mut buffer = [0xff; 8];
        let mut written = BitWriter::new(&mut buffer);
        for (value, width) in numbers {
            written.put(value, width).unwrap();
        }
        assert_eq!(written.len(), 8, "62 bits");
        let mut read = BitReader::new(&buffer);
        for (value, width) in numbers {
            assert_eq!(read.read(width), Ok(value));
        }
        assert_eq!((read.left(), read.read(2)), (2, Ok(0)));

        let mut copy = [0; 7];
        let mut shifted = BitWriter::new(&mut copy);
        shifted.put(1, 1).unwrap();
        let mut from = BitReader::new(&buffer);
        shifted.copy(&mut from, 50).unwrap();
        assert_eq!(shifted.copy(&mut from, 12), Err(BufferFull));
        let mut read = BitReader::new(&copy);
        assert_eq!(read.read(4), Ok(0b1101));
    }

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
