//! AV1 (the RTP payload specification of AOMedia, §4).
//!
//! An AV1 packet says little about its frame; where a dependency descriptor comes with it,
//! [`dd`](crate::dd) knows more.

use super::Reader;
use crate::ParseError;

/// `obu_type` of a sequence header (AV1 specification §6.2.2).
const OBU_SEQUENCE_HEADER: u8 = 1;

/// What a packet's aggregation header and the headers of its OBUs say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Av1 {
    /// The first OBU element continues one of the packet before (Z).
    pub continues: bool,
    /// The last OBU element is continued in the next packet (Y).
    pub continued: bool,
    /// The packet is the first of a coded video sequence (N).
    pub sequence_start: bool,
    /// A sequence header begins in this packet.
    pub sequence_header: bool,
    /// Temporal and spatial layer, when an OBU that begins here says so.
    pub layers: Option<(u8, u8)>,
}

impl Av1 {
    /// Parses an RTP payload.
    ///
    /// # Errors
    /// When the payload ends too early, an element does not fit into it, an OBU's forbidden bit is
    /// set, or the first packet of a sequence claims to continue another.
    pub fn parse(payload: &[u8]) -> Result<Self, ParseError> {
        let mut bytes = Reader::new(payload);
        let first = bytes.byte()?;
        let mut found = Self {
            continues: first & 0x80 != 0,
            continued: first & 0x40 != 0,
            sequence_start: first & 0x08 != 0,
            sequence_header: false,
            layers: None,
        };
        if found.continues && found.sequence_start {
            return Err(ParseError::Value);
        }
        // W: how many elements, the last without a length; 0: all have one.
        let count = usize::from((first >> 4) & 0x03);
        let mut index = 0;
        while !bytes.rest.is_empty() {
            index += 1;
            let element = if index == count {
                bytes.take(bytes.rest.len())?
            } else {
                let len = leb128(&mut bytes)?;
                bytes.take(len)?
            };
            if index > 1 || !found.continues {
                found.add(element)?;
            }
        }
        if index == 0 || index < count {
            return Err(ParseError::TooShort);
        }
        Ok(found)
    }

    /// Takes note of an OBU that begins here.
    fn add(&mut self, obu: &[u8]) -> Result<(), ParseError> {
        // Empty elements say nothing.
        let Some((header, rest)) = obu.split_first() else {
            return Ok(());
        };
        if header & 0x80 != 0 {
            return Err(ParseError::Value);
        }
        self.sequence_header |= (header >> 3) & 0x0f == OBU_SEQUENCE_HEADER;
        if header & 0x04 != 0 {
            let extension = rest.first().ok_or(ParseError::TooShort)?;
            self.layers = Some((extension >> 5, (extension >> 3) & 0x03));
        }
        Ok(())
    }

    /// Whether a receiver can begin with this packet.
    #[must_use]
    pub const fn keyframe_start(&self) -> bool {
        self.sequence_start || self.sequence_header
    }
}

/// A length in little-endian base 128 (AV1 specification §4.10.5). A packet is shorter than 2^28
/// bytes, so lengths that need more than four digits are refused.
fn leb128(bytes: &mut Reader<'_>) -> Result<usize, ParseError> {
    let mut value = 0;
    for shift in [0, 7, 14, 21] {
        let byte = bytes.byte()?;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(ParseError::Length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyframes_are_told_by_the_n_bit_or_a_sequence_header() {
        // W=1 and N; the same without N; a frame OBU alone.
        let header = Av1::parse(&[0x18, 0x08, 0xaa]).unwrap();
        assert!(header.sequence_start && header.sequence_header && header.keyframe_start());
        assert!(Av1::parse(&[0x10, 0x08, 0xaa]).unwrap().keyframe_start());
        assert!(!Av1::parse(&[0x10, 0x30, 0xaa]).unwrap().keyframe_start());
    }

    #[test]
    fn elements_are_walked_with_and_without_their_count() {
        // W=0: both elements have a length. The second is a sequence header.
        let found = Av1::parse(&[0x00, 2, 0x30, 0xaa, 2, 0x08, 0xbb]).unwrap();
        assert!(found.sequence_header);
        // W=2: the last has none.
        let found = Av1::parse(&[0x20, 2, 0x30, 0xaa, 0x08, 0xbb]).unwrap();
        assert!(found.sequence_header);
        // W=3 with two elements.
        let cut = Av1::parse(&[0x30, 2, 0x30, 0xaa, 1, 0x08]);
        assert_eq!(cut, Err(ParseError::TooShort));
    }

    #[test]
    fn a_continued_element_is_not_taken_for_an_obu() {
        let found = Av1::parse(&[0xd0, 0x88, 0xaa]).unwrap();
        assert!(found.continues && found.continued && !found.sequence_header);
        // The element behind it is.
        let found = Av1::parse(&[0xa0, 1, 0x88, 0x08]).unwrap();
        assert!(found.sequence_header);
        assert_eq!(Av1::parse(&[0x98, 0xaa]), Err(ParseError::Value));
    }

    #[test]
    fn layers_come_from_the_obu_extension() {
        let found = Av1::parse(&[0x10, 0x34, 0x50, 0xaa]).unwrap();
        assert_eq!(found.layers, Some((2, 2)));
        assert_eq!(Av1::parse(&[0x10, 0x34]), Err(ParseError::TooShort));
        assert_eq!(Av1::parse(&[0x10, 0x30, 1]).unwrap().layers, None);
    }

    #[test]
    fn lengths_beyond_the_packet_and_endless_ones_are_refused() {
        assert_eq!(
            Av1::parse(&[0x00, 3, 0x30, 0xaa]),
            Err(ParseError::TooShort)
        );
        let endless = [0x00, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Av1::parse(&endless), Err(ParseError::Length));
        assert_eq!(Av1::parse(&[0x10]), Err(ParseError::TooShort));
        assert_eq!(Av1::parse(&[]), Err(ParseError::TooShort));
        assert_eq!(Av1::parse(&[0x10, 0x80]), Err(ParseError::Value));
        // Two-digit length of 129 bytes.
        let mut long = vec![0x00, 0x81, 0x01, 0x30];
        long.extend([0; 128]);
        assert!(Av1::parse(&long).is_ok());
    }
}
