//! RTCP (RFC 3550 §6, RFC 4585, RFC 5104): reading compound packets, writing members.
//!
//! [`Compound`] walks a packet's members without copying; lists inside a member are decoded one
//! item at a time. Members that an SFU has no use for (SDES, XR, APP, ...) are checked for their
//! length and come out as [`RtcpPacket::Other`]. [`RtcpWriter`] appends members to a buffer; which
//! members must come together (RFC 3550 §6.1, RFC 5506) is for its user to know.

mod transport_cc;
mod write;

use core::marker::PhantomData;

pub use transport_cc::{PacketStatus, PacketStatuses, TransportCc};
pub use write::RtcpWriter;

use crate::ParseError;
use crate::ids::Ssrc;
use crate::time::NtpTime;

/// Packet types (RFC 3550 §12.1, RFC 4585 §6.1).
mod kind {
    pub(super) const SENDER_REPORT: u8 = 200;
    pub(super) const RECEIVER_REPORT: u8 = 201;
    pub(super) const SOURCE_DESCRIPTION: u8 = 202;
    pub(super) const GOODBYE: u8 = 203;
    pub(super) const TRANSPORT_FEEDBACK: u8 = 205;
    pub(super) const PAYLOAD_FEEDBACK: u8 = 206;
}

/// Feedback message types (RFC 4585 §6.2 and §6.3, RFC 5104 §4.3, draft-alvestrand-rmcat-remb,
/// draft-holmer-rmcat-transport-wide-cc-extensions-01).
mod format {
    pub(super) const NACK: u8 = 1;
    pub(super) const TRANSPORT_CC: u8 = 15;
    pub(super) const PLI: u8 = 1;
    pub(super) const FIR: u8 = 4;
    pub(super) const APPLICATION: u8 = 15;
    pub(super) const REMB: &[u8; 4] = b"REMB";
}

/// One member of a compound packet.
#[derive(Clone, Copy, Debug)]
pub enum RtcpPacket<'a> {
    /// RFC 3550 §6.4.1.
    SenderReport {
        /// What the sender says about its own stream.
        info: SenderInfo,
        /// What it receives.
        reports: ReportBlocks<'a>,
    },
    /// RFC 3550 §6.4.2.
    ReceiverReport {
        /// Who reports.
        sender: Ssrc,
        /// What it receives.
        reports: ReportBlocks<'a>,
    },
    /// RFC 3550 §6.6.
    Goodbye {
        /// Streams that ended.
        sources: Ssrcs<'a>,
    },
    /// RFC 4585 §6.2.1.
    Nack {
        /// Who asks.
        sender: Ssrc,
        /// The stream that is to be repaired.
        media: Ssrc,
        /// What is missing.
        lost: NackPairs<'a>,
    },
    /// RFC 4585 §6.3.1.
    Pli {
        /// Who asks.
        sender: Ssrc,
        /// The stream that shall send a keyframe.
        media: Ssrc,
    },
    /// RFC 5104 §4.3.1.
    Fir {
        /// Who asks.
        sender: Ssrc,
        /// The streams that shall send keyframes.
        entries: FirEntries<'a>,
    },
    /// draft-alvestrand-rmcat-remb §2.2.
    Remb {
        /// Who estimates.
        sender: Ssrc,
        /// Total for all `sources`, in bits per second.
        bitrate_bps: u64,
        /// The streams that share it.
        sources: Ssrcs<'a>,
    },
    /// draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1.
    TransportCc(TransportCc<'a>),
    /// Anything else, well-formed as far as its length goes.
    Other {
        /// PT field, 192..=223 on a shared port.
        packet_type: u8,
    },
}

impl<'a> RtcpPacket<'a> {
    fn parse(packet_type: u8, count: u8, body: &'a [u8]) -> Result<Self, ParseError> {
        match (packet_type, count) {
            (kind::SENDER_REPORT, blocks) => {
                let (info, rest) = body.split_first_chunk().ok_or(ParseError::Length)?;
                Ok(Self::SenderReport {
                    info: SenderInfo::decode(info),
                    reports: Items::first(rest, blocks)?,
                })
            }
            (kind::RECEIVER_REPORT, blocks) => {
                let (sender, rest) = body.split_first_chunk().ok_or(ParseError::Length)?;
                Ok(Self::ReceiverReport {
                    sender: u32::from_be_bytes(*sender),
                    reports: Items::first(rest, blocks)?,
                })
            }
            (kind::GOODBYE, sources) => Ok(Self::Goodbye {
                sources: Items::first(body, sources)?,
            }),
            (kind::TRANSPORT_FEEDBACK, format::NACK) => {
                let (sender, media, rest) = feedback(body)?;
                Ok(Self::Nack {
                    sender,
                    media,
                    lost: Items::all(rest)?,
                })
            }
            (kind::TRANSPORT_FEEDBACK, format::TRANSPORT_CC) => {
                let (sender, media, rest) = feedback(body)?;
                TransportCc::parse(sender, media, rest).map(Self::TransportCc)
            }
            (kind::PAYLOAD_FEEDBACK, format::PLI) => {
                let (sender, media, _) = feedback(body)?;
                Ok(Self::Pli { sender, media })
            }
            (kind::PAYLOAD_FEEDBACK, format::FIR) => {
                let (sender, _, rest) = feedback(body)?;
                Ok(Self::Fir {
                    sender,
                    entries: Items::all(rest)?,
                })
            }
            (kind::PAYLOAD_FEEDBACK, format::APPLICATION) => {
                let (sender, _, rest) = feedback(body)?;
                match rest.split_first_chunk() {
                    Some((format::REMB, rest)) => Self::parse_remb(sender, rest),
                    _ => Ok(Self::Other { packet_type }),
                }
            }
            _ => Ok(Self::Other { packet_type }),
        }
    }

    fn parse_remb(sender: Ssrc, rest: &'a [u8]) -> Result<Self, ParseError> {
        let (&[sources, a, b, c], rest) = rest.split_first_chunk().ok_or(ParseError::Length)?;
        let mantissa = u64::from(u32::from_be_bytes([0, a & 0x03, b, c]));
        let exponent = u32::from(a >> 2);
        Ok(Self::Remb {
            sender,
            // An exponent this large is meant as "no limit".
            bitrate_bps: if mantissa.leading_zeros() >= exponent {
                mantissa << exponent
            } else {
                u64::MAX
            },
            sources: Items::first(rest, sources)?,
        })
    }
}

/// SSRC of packet sender, SSRC of media source, feedback control information.
fn feedback(body: &[u8]) -> Result<(Ssrc, Ssrc, &[u8]), ParseError> {
    let (sender, rest) = body.split_first_chunk().ok_or(ParseError::Length)?;
    let (media, rest) = rest.split_first_chunk().ok_or(ParseError::Length)?;
    Ok((
        u32::from_be_bytes(*sender),
        u32::from_be_bytes(*media),
        rest,
    ))
}

/// Iterator over the members of a compound or reduced-size packet.
///
/// A malformed member is an error and ends the iteration: where the next one begins can no longer
/// be trusted. Members before it stand.
#[derive(Clone, Debug)]
pub struct Compound<'a> {
    rest: &'a [u8],
}

impl<'a> Compound<'a> {
    /// Of a decrypted packet.
    #[must_use]
    pub const fn new(packet: &'a [u8]) -> Self {
        Self { rest: packet }
    }

    /// Takes one member off the front.
    fn member(&mut self) -> Result<RtcpPacket<'a>, ParseError> {
        let rest = core::mem::take(&mut self.rest);
        let (&[first, packet_type, l0, l1], after) =
            rest.split_first_chunk().ok_or(ParseError::TooShort)?;
        if first >> 6 != 2 {
            return Err(ParseError::Version);
        }
        let len = 4 * usize::from(u16::from_be_bytes([l0, l1]));
        let (mut body, after) = after.split_at_checked(len).ok_or(ParseError::Length)?;
        if first & 0x20 != 0 {
            let padding = usize::from(*body.last().ok_or(ParseError::Length)?);
            let unpadded = body.len().checked_sub(padding).filter(|_| padding > 0);
            body = unpadded
                .and_then(|len| body.get(..len))
                .ok_or(ParseError::Length)?;
        }
        let packet = RtcpPacket::parse(packet_type, first & 0x1f, body)?;
        self.rest = after;
        Ok(packet)
    }
}

impl<'a> Iterator for Compound<'a> {
    type Item = Result<RtcpPacket<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.rest.is_empty()).then(|| self.member())
    }
}

/// A list inside a member: items of `N` bytes, decoded as they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Items<'a, T, const N: usize> {
    items: &'a [[u8; N]],
    decoded: PhantomData<T>,
}

/// Report blocks of a sender or receiver report.
pub type ReportBlocks<'a> = Items<'a, ReportBlock, 24>;
/// SSRCs of a goodbye or REMB.
pub type Ssrcs<'a> = Items<'a, Ssrc, 4>;
/// Pairs of a generic NACK.
pub type NackPairs<'a> = Items<'a, NackPair, 4>;
/// Entries of a full intra request.
pub type FirEntries<'a> = Items<'a, FirEntry, 8>;

impl<'a, T, const N: usize> Items<'a, T, N> {
    /// Exactly the bytes given.
    fn all(bytes: &'a [u8]) -> Result<Self, ParseError> {
        match bytes.as_chunks() {
            (items, []) => Ok(Self {
                items,
                decoded: PhantomData,
            }),
            _ => Err(ParseError::Length),
        }
    }

    /// The first `count`; what follows is a profile's extension or a text.
    fn first(bytes: &'a [u8], count: u8) -> Result<Self, ParseError> {
        let bytes = bytes.get(..N * usize::from(count));
        Self::all(bytes.ok_or(ParseError::Length)?)
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl<'a, T: Decode<N>, const N: usize> Items<'a, T, N> {
    /// Each item, decoded.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + use<'a, T, N> {
        self.items.iter().map(T::decode)
    }
}

impl NackPairs<'_> {
    /// Every missing sequence number, pair by pair.
    pub fn sequence_numbers(&self) -> impl Iterator<Item = u16> {
        self.iter().flat_map(NackPair::sequence_numbers)
    }
}

/// What [`Items`] are made of.
pub trait Decode<const N: usize>: Sized {
    /// From its bytes; any bytes are valid.
    fn decode(bytes: &[u8; N]) -> Self;
}

impl Decode<4> for Ssrc {
    fn decode(bytes: &[u8; 4]) -> Self {
        Self::from_be_bytes(*bytes)
    }
}

/// What a sender says about its own stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SenderInfo {
    /// The stream.
    pub ssrc: Ssrc,
    /// When the report was sent, on the sender's wall clock.
    pub ntp: NtpTime,
    /// The same moment in the stream's RTP timestamps.
    pub rtp_timestamp: u32,
    /// Packets sent since the start, wraps.
    pub packets: u32,
    /// Payload bytes sent since the start, wraps.
    pub octets: u32,
}

impl Decode<24> for SenderInfo {
    fn decode(bytes: &[u8; 24]) -> Self {
        let [ssrc, ntp_s, ntp_fraction, rtp_timestamp, packets, octets] = words(bytes);
        Self {
            ssrc,
            ntp: NtpTime((u64::from(ntp_s) << 32) | u64::from(ntp_fraction)),
            rtp_timestamp,
            packets,
            octets,
        }
    }
}

/// How a receiver gets one stream (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ReportBlock {
    /// The stream.
    pub ssrc: Ssrc,
    /// Share lost since the previous report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the start, -2^23 to 2^23 - 1; negative when duplicates prevail.
    pub cumulative_lost: i32,
    /// Highest sequence number received, extended by the count of wraps.
    pub highest_sequence: u32,
    /// Interarrival jitter in RTP timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time of the last sender report; 0 when there was none.
    pub last_sender_report: u32,
    /// Delay since that report, in 1/65536 s.
    pub delay_since_last: u32,
}

impl Decode<24> for ReportBlock {
    fn decode(bytes: &[u8; 24]) -> Self {
        let [
            ssrc,
            lost,
            highest_sequence,
            jitter,
            last_sender_report,
            delay_since_last,
        ] = words(bytes);
        let [fraction_lost, ..] = lost.to_be_bytes();
        Self {
            ssrc,
            fraction_lost,
            cumulative_lost: (lost << 8).cast_signed() >> 8,
            highest_sequence,
            jitter,
            last_sender_report,
            delay_since_last,
        }
    }
}

/// A missing packet and which of the 16 after it are missing, too (RFC 4585 §6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NackPair {
    /// PID: missing for certain.
    pub first: u16,
    /// BLP: bit i (0 = lowest) stands for `first` + i + 1.
    pub following: u16,
}

impl NackPair {
    /// The missing sequence numbers, 1 to 17 of them.
    pub fn sequence_numbers(self) -> impl Iterator<Item = u16> {
        let bits = (u32::from(self.following) << 1) | 1;
        (0..17)
            .filter(move |i| bits & (1 << i) != 0)
            .map(move |i| self.first.wrapping_add(i))
    }
}

impl Decode<4> for NackPair {
    fn decode(&[a, b, c, d]: &[u8; 4]) -> Self {
        Self {
            first: u16::from_be_bytes([a, b]),
            following: u16::from_be_bytes([c, d]),
        }
    }
}

/// One stream of a full intra request (RFC 5104 §4.3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirEntry {
    /// The stream that shall send a keyframe.
    pub ssrc: Ssrc,
    /// Increases with each new request; a repetition has the same.
    pub sequence_number: u8,
}

impl Decode<8> for FirEntry {
    fn decode(&[a, b, c, d, sequence_number, ..]: &[u8; 8]) -> Self {
        Self {
            ssrc: u32::from_be_bytes([a, b, c, d]),
            sequence_number,
        }
    }
}

/// Six 32-bit words: the shape of sender information and of report blocks.
fn words(bytes: &[u8; 24]) -> [u32; 6] {
    let mut words = [0; 6];
    let (chunks, _) = bytes.as_chunks::<4>();
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = u32::from_be_bytes(*chunk);
    }
    words
}

#[cfg(test)]
mod tests;
