//! Writes RTP headers in front of payloads.

use super::{FIXED_HEADER_LEN, RtpHeader};
use crate::BufferFull;

/// Where elements begin, once there are any.
const ELEMENTS_AT: usize = FIXED_HEADER_LEN + 4;

/// Writes one header with its extension elements into a buffer; the payload follows behind.
///
/// Elements take the one-byte form of RFC 8285 until one comes that needs the other: an id above
/// 14, no data, or more than 16 bytes of it. Then all of the packet's elements have two-byte
/// headers.
#[derive(Debug)]
pub struct HeaderWriter<'b> {
    buffer: &'b mut [u8],
    /// Where the header ends so far, without the padding of the extension block.
    end: usize,
    elements: usize,
    two_byte: bool,
}

impl<'b> HeaderWriter<'b> {
    /// Writes the fixed header at the start of `buffer`, without padding flag and CSRCs.
    ///
    /// # Errors
    /// When the buffer has less than [`FIXED_HEADER_LEN`] bytes.
    #[inline]
    pub fn new(buffer: &'b mut [u8], header: &RtpHeader) -> Result<Self, BufferFull> {
        let fixed = buffer
            .first_chunk_mut::<FIXED_HEADER_LEN>()
            .ok_or(BufferFull)?;
        let [s0, s1] = header.sequence_number.to_be_bytes();
        let [t0, t1, t2, t3] = header.timestamp.to_be_bytes();
        let [c0, c1, c2, c3] = header.ssrc.to_be_bytes();
        let second = (header.payload_type & 0x7f) | (u8::from(header.marker) << 7);
        *fixed = [0x80, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3];
        // No datagram is longer, and the length of an extension block fits its field.
        let len = buffer.len().min(usize::from(u16::MAX));
        Ok(Self {
            buffer: buffer.get_mut(..len).ok_or(BufferFull)?,
            end: FIXED_HEADER_LEN,
            elements: 0,
            two_byte: false,
        })
    }

    /// Adds an element. Id 0 means "not negotiated" and adds nothing.
    ///
    /// # Errors
    /// When the buffer has no room for it, or the data is longer than 255 bytes. The header is
    /// then as it was and can still be finished.
    #[inline]
    pub fn extension(&mut self, id: u8, data: &[u8]) -> Result<(), BufferFull> {
        if id == 0 {
            return Ok(());
        }
        let len = u8::try_from(data.len()).map_err(|_| BufferFull)?;
        let two_byte = self.two_byte || id > 14 || !(1..=16).contains(&len);
        let widening = if two_byte && !self.two_byte {
            self.elements
        } else {
            0
        };
        let start = self.end.max(ELEMENTS_AT) + widening;
        let end = start + 1 + usize::from(two_byte) + data.len();
        if end.next_multiple_of(4) > self.buffer.len() {
            return Err(BufferFull);
        }
        if two_byte && !self.two_byte {
            self.widen();
        }
        let room = self.buffer.get_mut(start..end).ok_or(BufferFull)?;
        let body = match room {
            [first, second, body @ ..] if two_byte => {
                *first = id;
                *second = len;
                body
            }
            [first, body @ ..] => {
                *first = (id << 4) | (len - 1);
                body
            }
            [] => return Err(BufferFull),
        };
        body.copy_from_slice(data);
        self.end = end;
        self.elements += 1;
        Ok(())
    }

    /// Completes the header and returns its length in bytes: where the payload begins.
    #[must_use]
    #[inline]
    pub fn finish(self) -> usize {
        if self.elements == 0 {
            return FIXED_HEADER_LEN;
        }
        let end = self.end.next_multiple_of(4);
        if let Some(padding) = self.buffer.get_mut(self.end..end) {
            padding.fill(0);
        }
        let words = u16::try_from((end - ELEMENTS_AT) / 4).unwrap_or_default();
        let [l0, l1] = words.to_be_bytes();
        let [p0, p1] = if self.two_byte {
            [0x10, 0x00]
        } else {
            [0xbe, 0xde]
        };
        if let Some(([first, ..], preamble)) = self
            .buffer
            .split_first_chunk_mut::<FIXED_HEADER_LEN>()
            .and_then(|(fixed, rest)| Some((fixed, rest.first_chunk_mut::<4>()?)))
        {
            *first |= 0x10;
            *preamble = [p0, p1, l0, l1];
        }
        end
    }

    /// Gives every element written so far a two-byte header. There is room: the caller looked.
    fn widen(&mut self) {
        self.two_byte = true;
        if self.elements == 0 {
            return;
        }
        // Move everything back by one byte per element, then each to its place in front.
        let mut read = ELEMENTS_AT + self.elements;
        let mut write = ELEMENTS_AT;
        self.buffer.copy_within(ELEMENTS_AT..self.end, read);
        for _ in 0..self.elements {
            let first = self.buffer.get(read).copied().unwrap_or_default();
            let len = (first & 0x0f) + 1;
            if let Some(header) = self
                .buffer
                .get_mut(write..)
                .and_then(<[u8]>::first_chunk_mut)
            {
                *header = [first >> 4, len];
            }
            let len = usize::from(len);
            self.buffer.copy_within(read + 1..read + 1 + len, write + 2);
            read += 1 + len;
            write += 2 + len;
        }
        self.end = write;
    }
}
