//! Header extension elements (RFC 8285) and what those that we know mean.

use crate::ext::{ExtensionIds, ExtensionKind};
use crate::time::NtpTime;

/// Iterator over the elements of an extension block as (id, data); ids are never 0.
///
/// It ends early at id 15 of the one-byte form, at an id 0 with a length (RFC 8285 §4.2), and at
/// an element that does not fit into the block.
#[derive(Clone, Copy, Debug, Default)]
pub struct Elements<'a> {
    rest: &'a [u8],
    two_byte: bool,
}

impl<'a> Elements<'a> {
    /// Of a block with this "defined by profile" field. Unknown profiles have no elements.
    pub(super) const fn new(profile: u16, block: &'a [u8]) -> Self {
        match profile {
            0xbede => Self {
                rest: block,
                two_byte: false,
            },
            0x1000..=0x100f => Self {
                rest: block,
                two_byte: true,
            },
            _ => Self {
                rest: &[],
                two_byte: false,
            },
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // Whatever ends the iteration below leaves nothing to come back to.
            let (&first, rest) = core::mem::take(&mut self.rest).split_first()?;
            if first == 0 {
                self.rest = rest;
                continue;
            }
            let (id, len, rest) = if self.two_byte {
                let (&len, rest) = rest.split_first()?;
                (first, usize::from(len), rest)
            } else {
                (first >> 4, usize::from(first & 0x0f) + 1, rest)
            };
            if id == 0 || (id == 15 && !self.two_byte) {
                return None;
            }
            let (data, rest) = rest.split_at_checked(len)?;
            self.rest = rest;
            return Some((id, data));
        }
    }
}

/// The negotiated extensions of one packet. A malformed one counts as absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions<'a> {
    /// Which m-line; make a [`Mid`](crate::ids::Mid) of it where it matters.
    pub mid: Option<&'a [u8]>,
    /// Which encoding of it.
    pub rid: Option<&'a [u8]>,
    /// Which encoding this RTX packet repairs.
    pub repaired_rid: Option<&'a [u8]>,
    /// Loudness.
    pub audio_level: Option<AudioLevel>,
    /// Departure time modulo 64 s, in units of 2^-18 s; 24 bits.
    pub abs_send_time: Option<u32>,
    /// Transport-wide sequence number.
    pub transport_cc: Option<u16>,
    /// When the media was captured.
    pub capture_time: Option<CaptureTime>,
    /// Limits of the receiver's jitter buffer.
    pub playout_delay: Option<PlayoutDelay>,
    /// Camera, flip and rotation bits as they are (3GPP TS 26.114 §7.4.5).
    pub orientation: Option<u8>,
    /// Bytes for [`dd`](crate::dd).
    pub dependency_descriptor: Option<&'a [u8]>,
}

impl<'a> Extensions<'a> {
    pub(super) fn gather(elements: Elements<'a>, ids: &ExtensionIds) -> Self {
        let mut found = Self::default();
        for (id, data) in elements {
            let Some(kind) = ids.kind(id) else { continue };
            match kind {
                ExtensionKind::Mid => found.mid = Some(data),
                ExtensionKind::Rid => found.rid = Some(data),
                ExtensionKind::RepairedRid => found.repaired_rid = Some(data),
                ExtensionKind::AudioLevel => {
                    found.audio_level = data.first().map(|&b| AudioLevel::from_byte(b));
                }
                ExtensionKind::AbsSendTime => {
                    if let &[a, b, c] = data {
                        found.abs_send_time = Some(u32::from_be_bytes([0, a, b, c]));
                    }
                }
                ExtensionKind::TransportCc => {
                    found.transport_cc = data.try_into().ok().map(u16::from_be_bytes);
                }
                ExtensionKind::AbsCaptureTime => found.capture_time = CaptureTime::parse(data),
                ExtensionKind::PlayoutDelay => {
                    found.playout_delay = data.try_into().ok().map(PlayoutDelay::from_bytes);
                }
                ExtensionKind::VideoOrientation => found.orientation = data.first().copied(),
                ExtensionKind::DependencyDescriptor => found.dependency_descriptor = Some(data),
            }
        }
        found
    }
}

/// Loudness of an audio packet (RFC 6464).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// 0 (loudest) to 127 (silence), in -dBov.
    pub level: u8,
    /// Whether the sender believes that there is speech in it.
    pub voice: bool,
}

impl AudioLevel {
    /// From the element's byte.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        Self {
            level: byte & 0x7f,
            voice: byte & 0x80 != 0,
        }
    }

    /// The element's byte.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        (self.level & 0x7f) | ((self.voice as u8) << 7)
    }
}

/// Limits of the jitter buffer that a sender asks of its receivers (WebRTC's playout-delay).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutDelay {
    /// At least this, in units of 10 ms; 12 bits.
    pub min_10ms: u16,
    /// At most this, in units of 10 ms; 12 bits.
    pub max_10ms: u16,
}

impl PlayoutDelay {
    /// From the element's data.
    #[must_use]
    pub const fn from_bytes([a, b, c]: [u8; 3]) -> Self {
        Self {
            min_10ms: u16::from_be_bytes([a, b]) >> 4,
            max_10ms: u16::from_be_bytes([b, c]) & 0x0fff,
        }
    }

    /// The element's data.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 3] {
        let [_, a, b, c] = (((self.min_10ms as u32 & 0x0fff) << 12)
            | (self.max_10ms as u32 & 0x0fff))
            .to_be_bytes();
        [a, b, c]
    }
}

/// When a frame was captured (WebRTC's abs-capture-time).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureTime {
    /// On the clock of the capturing system.
    pub captured: NtpTime,
    /// What the sender adds to `captured` for its own clock, in units of 2^-32 s.
    pub clock_offset: Option<i64>,
}

impl CaptureTime {
    /// Longest form, in bytes.
    pub const LEN_MAX: usize = 16;

    /// From the element's data, 8 or 16 bytes.
    #[must_use]
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (captured, rest) = data.split_first_chunk()?;
        let clock_offset = match rest {
            [] => None,
            _ => Some(i64::from_be_bytes(rest.try_into().ok()?)),
        };
        Some(Self {
            captured: NtpTime(u64::from_be_bytes(*captured)),
            clock_offset,
        })
    }

    /// The element's data and how many bytes of it count.
    #[must_use]
    pub fn to_bytes(self) -> ([u8; Self::LEN_MAX], usize) {
        let offset = self.clock_offset.unwrap_or_default().cast_unsigned();
        let both = (u128::from(self.captured.0) << 64) | u128::from(offset);
        let len = if self.clock_offset.is_some() { 16 } else { 8 };
        (both.to_be_bytes(), len)
    }
}

/// The element's data for a departure at `at`: 6.18 fixed-point seconds.
#[must_use]
pub const fn abs_send_time(at: NtpTime) -> [u8; 3] {
    let [.., a, b, c] = (at.0 >> 14).to_be_bytes();
    [a, b, c]
}
