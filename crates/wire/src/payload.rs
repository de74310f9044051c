//! Payload descriptors: what a video packet says about its frame without being decoded.
//!
//! Each module parses the descriptor of one codec, looks into the bitstream just far enough to
//! tell a keyframe, and knows where the numbers stand that a forwarder has to rewrite. Whether
//! these numbers should change is not its business; nor does anything here look at payloads that
//! are encrypted end to end, which is for the caller to know.

pub mod av1;
pub mod h264;
pub mod red;
pub mod vp8;
pub mod vp9;

use crate::ParseError;

/// Picture id of VP8 (RFC 7741 §4.2) and VP9 (RFC 9628 §4.2), and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureId {
    /// Below 2^7, or below 2^15 when wide.
    pub value: u16,
    /// 15 bits in two bytes; else 7 bits in one.
    pub wide: bool,
    /// Offset of its first byte in the payload.
    pub at: u8,
}

impl PictureId {
    /// Reads the field that begins at offset `at`, and says where it ends.
    fn parse(bytes: &mut Reader<'_>) -> Result<Self, ParseError> {
        let at = bytes.offset();
        let first = bytes.byte()?;
        let wide = first & 0x80 != 0;
        let high = first & 0x7f;
        Ok(Self {
            value: if wide {
                u16::from_be_bytes([high, bytes.byte()?])
            } else {
                u16::from(high)
            },
            wide,
            at,
        })
    }

    /// Writes the low 7 or 15 bits of `value` in the place of the id. `payload` is the one in
    /// which the id was found, or a copy of it; a shorter one stays as it is.
    pub fn patch(self, payload: &mut [u8], value: u16) {
        let [high, low] = value.to_be_bytes();
        let field = payload.get_mut(usize::from(self.at)..).unwrap_or_default();
        match field {
            [first, second, ..] if self.wide => {
                *first = 0x80 | high;
                *second = low;
            }
            [first, ..] if !self.wide => *first = low & 0x7f,
            _ => {}
        }
    }
}

/// TL0PICIDX, the running index of temporal base layer frames, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tl0PicIdx {
    /// Wraps at 8 bits.
    pub value: u8,
    /// Offset in the payload.
    pub at: u8,
}

impl Tl0PicIdx {
    fn parse(bytes: &mut Reader<'_>) -> Result<Self, ParseError> {
        let at = bytes.offset();
        let value = bytes.byte()?;
        Ok(Self { value, at })
    }

    /// Writes `value` in its place. `payload` is the one in which it was found, or a copy of it; a
    /// shorter one stays as it is.
    pub fn patch(self, payload: &mut [u8], value: u8) {
        if let Some(field) = payload.get_mut(usize::from(self.at)) {
            *field = value;
        }
    }
}

/// Takes bytes off the front of a payload and knows how many were taken.
struct Reader<'a> {
    payload: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    const fn new(payload: &'a [u8]) -> Self {
        Self {
            payload,
            rest: payload,
        }
    }

    fn byte(&mut self) -> Result<u8, ParseError> {
        let (&byte, rest) = self.rest.split_first().ok_or(ParseError::TooShort)?;
        self.rest = rest;
        Ok(byte)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], ParseError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or(ParseError::TooShort)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Only asked for near the start: descriptors put what is patched into the first few bytes.
    fn offset(&self) -> u8 {
        (self.payload.len() - self.rest.len()) as u8
    }
}
