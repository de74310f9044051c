//! RTP packets (RFC 3550 §5.1): a borrowed view to read them, a writer for their headers.
//!
//! [`RtpView`] checks a packet once and then answers from the datagram itself; [`Extensions`]
//! gathers all header extensions that a session negotiated in one pass; [`HeaderWriter`] writes
//! a header with extensions straight into the datagram that leaves. Nothing here allocates, and
//! nothing interprets payloads: see [`payload`](crate::payload).

mod extensions;
mod write;

pub use extensions::{AudioLevel, CaptureTime, Elements, Extensions, PlayoutDelay, abs_send_time};
pub use write::HeaderWriter;

use crate::ParseError;
use crate::ext::ExtensionIds;
use crate::ids::{PayloadType, Ssrc};

/// Length of a header without CSRCs and extensions, in bytes.
pub const FIXED_HEADER_LEN: usize = 12;

/// Whether a datagram on a port shared by RTP and RTCP is RTCP (RFC 5761 §4).
#[must_use]
pub const fn is_rtcp(packet: &[u8]) -> bool {
    matches!(packet, [_, 192..=223, ..])
}

/// The fields of the fixed header that differ from packet to packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RtpHeader {
    /// Meaning depends on the payload: last packet of a video frame, first of a talk spurt.
    pub marker: bool,
    /// 0..=127.
    pub payload_type: PayloadType,
    /// Counts packets, wraps.
    pub sequence_number: u16,
    /// In ticks of the codec's clock, wraps.
    pub timestamp: u32,
    /// The stream.
    pub ssrc: Ssrc,
}

/// A well-formed RTP packet, borrowed.
#[derive(Clone, Copy, Debug)]
pub struct RtpView<'a> {
    fixed: &'a [u8; FIXED_HEADER_LEN],
    csrcs: &'a [u8],
    elements: Elements<'a>,
    header_len: usize,
    payload: &'a [u8],
    padding: u8,
}

impl<'a> RtpView<'a> {
    /// Checks a packet in the clear.
    ///
    /// Header extensions of an unknown profile are skipped. Elements inside a known one are not
    /// checked here: iteration ends at the first that does not fit, which costs the packet
    /// nothing but the extensions from there on.
    ///
    /// # Errors
    /// When the version is not 2, when CSRCs, extensions or padding do not fit into the packet,
    /// or when the padding's count is zero.
    pub fn parse(packet: &'a [u8]) -> Result<Self, ParseError> {
        let mut view = Self::parse_header(packet)?;
        if view.fixed[0] & 0x20 != 0 {
            let padding = *view.payload.last().ok_or(ParseError::Length)?;
            let len = view.payload.len().checked_sub(usize::from(padding));
            let payload = len.and_then(|len| view.payload.get(..len));
            view.payload = payload.ok_or(ParseError::Length)?;
            if padding == 0 {
                return Err(ParseError::Length);
            }
            view.padding = padding;
        }
        Ok(view)
    }

    /// Checks the header of a packet whose payload is still encrypted (RFC 3711 §3.1): padding is
    /// inside the encryption and therefore not looked at, so [`payload`](Self::payload) is
    /// everything behind the header, authentication tag included.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), but for padding.
    pub fn parse_header(packet: &'a [u8]) -> Result<Self, ParseError> {
        let (fixed, rest) = packet
            .split_first_chunk::<FIXED_HEADER_LEN>()
            .ok_or(ParseError::TooShort)?;
        if fixed[0] >> 6 != 2 {
            return Err(ParseError::Version);
        }
        let csrcs_len = 4 * usize::from(fixed[0] & 0x0f);
        let (csrcs, mut payload) = rest
            .split_at_checked(csrcs_len)
            .ok_or(ParseError::TooShort)?;
        let mut elements = Elements::default();
        if fixed[0] & 0x10 != 0 {
            let (&[p0, p1, l0, l1], rest) = payload
                .split_first_chunk::<4>()
                .ok_or(ParseError::TooShort)?;
            let len = 4 * usize::from(u16::from_be_bytes([l0, l1]));
            let (block, rest) = rest.split_at_checked(len).ok_or(ParseError::Length)?;
            elements = Elements::new(u16::from_be_bytes([p0, p1]), block);
            payload = rest;
        }
        Ok(Self {
            fixed,
            csrcs,
            elements,
            header_len: packet.len() - payload.len(),
            payload,
            padding: 0,
        })
    }

    /// See [`RtpHeader::marker`].
    #[must_use]
    pub const fn marker(&self) -> bool {
        self.fixed[1] & 0x80 != 0
    }

    /// See [`RtpHeader::payload_type`].
    #[must_use]
    pub const fn payload_type(&self) -> PayloadType {
        self.fixed[1] & 0x7f
    }

    /// See [`RtpHeader::sequence_number`].
    #[must_use]
    pub const fn sequence_number(&self) -> u16 {
        u16::from_be_bytes([self.fixed[2], self.fixed[3]])
    }

    /// See [`RtpHeader::timestamp`].
    #[must_use]
    pub const fn timestamp(&self) -> u32 {
        let [.., a, b, c, d, _, _, _, _] = *self.fixed;
        u32::from_be_bytes([a, b, c, d])
    }

    /// See [`RtpHeader::ssrc`].
    #[must_use]
    pub const fn ssrc(&self) -> Ssrc {
        let [.., a, b, c, d] = *self.fixed;
        u32::from_be_bytes([a, b, c, d])
    }

    /// All of these at once.
    #[must_use]
    pub const fn header(&self) -> RtpHeader {
        RtpHeader {
            marker: self.marker(),
            payload_type: self.payload_type(),
            sequence_number: self.sequence_number(),
            timestamp: self.timestamp(),
            ssrc: self.ssrc(),
        }
    }

    /// Contributing sources, at most 15.
    pub fn csrcs(&self) -> impl Iterator<Item = Ssrc> + use<'a> {
        let (chunks, _) = self.csrcs.as_chunks::<4>();
        chunks.iter().map(|c| u32::from_be_bytes(*c))
    }

    /// All extension elements as (id, data), in the order of the packet.
    #[must_use]
    pub const fn elements(&self) -> Elements<'a> {
        self.elements
    }

    /// Data of the first extension element with this id.
    #[must_use]
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        let mut elements = self.elements;
        elements.find(|&(i, _)| i == id).map(|(_, data)| data)
    }

    /// Every extension that is negotiated and well-formed, in one pass.
    #[must_use]
    pub fn extensions(&self, ids: &ExtensionIds) -> Extensions<'a> {
        Extensions::gather(self.elements, ids)
    }

    /// Length of fixed header, CSRCs and extensions together, in bytes.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        self.header_len
    }

    /// What the packet carries, without padding. Empty in probes.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Padding behind the payload, in bytes, its count included.
    #[must_use]
    pub const fn padding_len(&self) -> usize {
        self.padding as usize
    }
}

#[cfg(test)]
mod tests;
