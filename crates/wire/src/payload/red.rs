//! Redundant audio data (RFC 2198): earlier sound that goes along with a packet, so that who misses
//! the earlier packets has them nevertheless.
//!
//! What a block holds is not looked at: it may be encrypted end to end.

use crate::error::{BufferFull, ParseError};
use crate::ids::PayloadType;

/// Most earlier blocks that are looked at; browsers send one or two.
pub const EARLIER_MAX: usize = 8;
/// Timestamp offsets have 14 bits: a third of a second at 48 kHz.
pub const OFFSET_MAX: u32 = (1 << 14) - 1;
/// Lengths of earlier blocks have 10 bits.
pub const BLOCK_LEN_MAX: usize = (1 << 10) - 1;

/// Bytes of an earlier block's header, and of the last header.
const HEADER_LEN: usize = 4;
const LAST_HEADER_LEN: usize = 1;
/// Another header follows.
const FOLLOWS: u8 = 0x80;

/// An earlier block, older than the packet that it goes along with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier<'a> {
    /// Its format.
    pub payload_type: PayloadType,
    /// How much smaller its RTP timestamp is than the packet's; at most [`OFFSET_MAX`].
    pub offset: u32,
    /// At most [`BLOCK_LEN_MAX`] bytes.
    pub payload: &'a [u8],
}

/// A payload of this format, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Red<'a> {
    /// Format of the packet's own block.
    pub payload_type: PayloadType,
    /// The packet's own block.
    pub payload: &'a [u8],
    headers: &'a [u8],
    blocks: &'a [u8],
}

impl<'a> Red<'a> {
    /// Takes a payload apart.
    ///
    /// # Errors
    /// When it ends before the blocks that its headers announce, and when these are more than
    /// [`EARLIER_MAX`].
    pub fn parse(payload: &'a [u8]) -> Result<Self, ParseError> {
        let mut headers_len = 0;
        let mut blocks_len = 0;
        loop {
            let header = payload.get(headers_len..).unwrap_or_default();
            let &first = header.first().ok_or(ParseError::TooShort)?;
            if first & FOLLOWS == 0 {
                let body = payload.get(headers_len + LAST_HEADER_LEN..);
                let blocks = body.unwrap_or_default().split_at_checked(blocks_len);
                let (blocks, own) = blocks.ok_or(ParseError::Length)?;
                return Ok(Self {
                    payload_type: first,
                    payload: own,
                    headers: payload.get(..headers_len).unwrap_or_default(),
                    blocks,
                });
            }
            if headers_len == EARLIER_MAX * HEADER_LEN {
                return Err(ParseError::Limit);
            }
            let header = header.first_chunk().ok_or(ParseError::TooShort)?;
            blocks_len += block_len(*header);
            headers_len += HEADER_LEN;
        }
    }

    /// The earlier blocks, oldest first.
    pub fn earlier(&self) -> impl ExactSizeIterator<Item = Earlier<'a>> + use<'a> {
        let mut rest = self.blocks;
        let (headers, _) = self.headers.as_chunks::<HEADER_LEN>();
        headers.iter().map(move |&header| {
            let word = u32::from_be_bytes(header);
            // All of them fit: that was seen when the payload was taken apart.
            let (payload, behind) = rest.split_at_checked(block_len(header)).unwrap_or_default();
            rest = behind;
            Earlier {
                payload_type: header[0] & !FOLLOWS,
                offset: (word >> 10) & OFFSET_MAX,
                payload,
            }
        })
    }
}

fn block_len(header: [u8; HEADER_LEN]) -> usize {
    usize::from(u16::from_be_bytes([header[2], header[3]])) & BLOCK_LEN_MAX
}

/// Bytes that stand before the blocks when `earlier` of them go along.
#[must_use]
pub const fn headers_len(earlier: usize) -> usize {
    earlier * HEADER_LEN + LAST_HEADER_LEN
}

/// Writes the headers for blocks that are to follow in the same order; returns their length.
/// Lengths and offsets that are too large are the caller's fault: their upper bits are lost.
///
/// # Errors
/// When `buffer` is too short; it then holds part of them.
pub fn write_headers<'a>(
    buffer: &mut [u8],
    earlier: impl IntoIterator<Item = Earlier<'a>>,
    payload_type: PayloadType,
) -> Result<usize, BufferFull> {
    let mut at = 0;
    for block in earlier {
        let len = block.payload.len() & BLOCK_LEN_MAX;
        let word = (block.offset & OFFSET_MAX) << 10 | len as u32;
        let [_, b, c, d] = word.to_be_bytes();
        let header = buffer.get_mut(at..at + HEADER_LEN).ok_or(BufferFull)?;
        header.copy_from_slice(&[FOLLOWS | block.payload_type, b, c, d]);
        at += HEADER_LEN;
    }
    *buffer.get_mut(at).ok_or(BufferFull)? = payload_type & !FOLLOWS;
    Ok(at + LAST_HEADER_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(earlier: &[Earlier<'_>], own: &[u8]) -> Vec<u8> {
        let mut payload = vec![0; headers_len(earlier.len())];
        let len = write_headers(&mut payload, earlier.iter().copied(), 111).unwrap();
        assert_eq!(len, payload.len());
        for block in earlier {
            payload.extend_from_slice(block.payload);
        }
        payload.extend_from_slice(own);
        payload
    }

    #[test]
    fn what_a_browser_sends_is_understood() {
        // One block of 3 bytes, 960 ticks earlier, as Chromium sends it.
        let payload = [0xef, 0x0f, 0x00, 0x03, 0x6f, 1, 2, 3, 4, 5];
        let red = Red::parse(&payload).unwrap();
        assert_eq!((red.payload_type, red.payload), (111, [4, 5].as_slice()));
        let earlier: Vec<_> = red.earlier().collect();
        let block = Earlier {
            payload_type: 111,
            offset: 960,
            payload: &[1, 2, 3],
        };
        assert_eq!(earlier, [block]);
        assert_eq!(written(&earlier, &[4, 5]), payload);
    }

    #[test]
    fn blocks_come_back_in_their_order_and_at_their_limits() {
        let long = vec![7; BLOCK_LEN_MAX];
        let block = |offset, payload| Earlier {
            payload_type: 111,
            offset,
            payload,
        };
        let blocks = [
            block(OFFSET_MAX, long.as_slice()),
            block(960, &[]),
            block(1, &[9]),
        ];
        let payload = written(&blocks, &[]);
        let red = Red::parse(&payload).unwrap();
        assert!(red.earlier().eq(blocks));
        assert!(red.payload.is_empty());
    }

    #[test]
    fn a_payload_without_earlier_sound_is_one_byte_longer() {
        let red = Red::parse(&[111, 1, 2]).unwrap();
        assert_eq!(red.earlier().len(), 0);
        assert_eq!(red.payload, [1, 2]);
    }

    #[test]
    fn what_is_cut_short_is_refused_everywhere() {
        let block = Earlier {
            payload_type: 111,
            offset: 960,
            payload: &[1, 2, 3],
        };
        let payload = written(&[block, block], &[]);
        for len in 0..payload.len() {
            assert!(Red::parse(&payload[..len]).is_err(), "{len} bytes");
        }
        let endless = [0xef; 400];
        assert_eq!(Red::parse(&endless), Err(ParseError::Limit));
    }
}
