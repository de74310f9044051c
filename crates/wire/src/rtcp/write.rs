//! Appends RTCP members to a buffer.

use core::mem;

use super::{FirEntry, NackPair, ReportBlock, SenderInfo, format, kind, transport_cc};
use crate::BufferFull;
use crate::ids::Ssrc;
use crate::time::Time;

/// Bytes of a member's header and, in feedback messages, of the two SSRCs behind it.
const HEADER_LEN: usize = 4;
const FEEDBACK_LEN: usize = HEADER_LEN + 8;
/// Most report blocks or sources of one member: five bits.
const COUNT_MAX: usize = 31;

/// Appends members to a buffer, one after the other. A member that does not fit is not begun.
#[derive(Debug)]
pub struct RtcpWriter<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

impl<'b> RtcpWriter<'b> {
    /// An empty packet at the start of `buffer`.
    #[must_use]
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// What has been written, in bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The packet so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// Sender report (RFC 3550 §6.4.1).
    ///
    /// # Errors
    /// When it does not fit or there are more than 31 report blocks.
    pub fn sender_report(
        &mut self,
        info: &SenderInfo,
        reports: &[ReportBlock],
    ) -> Result<(), BufferFull> {
        let len = 24 * (1 + reports.len());
        let mut body = self.member(kind::SENDER_REPORT, reports.len(), len)?;
        body.u32(info.ssrc);
        body.put(info.ntp.0.to_be_bytes());
        body.u32(info.rtp_timestamp);
        body.u32(info.packets);
        body.u32(info.octets);
        body.reports(reports);
        Ok(())
    }

    /// Receiver report (RFC 3550 §6.4.2).
    ///
    /// # Errors
    /// When it does not fit or there are more than 31 report blocks.
    pub fn receiver_report(
        &mut self,
        sender: Ssrc,
        reports: &[ReportBlock],
    ) -> Result<(), BufferFull> {
        let len = 4 + 24 * reports.len();
        let mut body = self.member(kind::RECEIVER_REPORT, reports.len(), len)?;
        body.u32(sender);
        body.reports(reports);
        Ok(())
    }

    /// Source description with a CNAME (RFC 3550 §6.5.1).
    ///
    /// # Errors
    /// When it does not fit or the name is longer than 255 bytes.
    pub fn cname(&mut self, ssrc: Ssrc, cname: &str) -> Result<(), BufferFull> {
        const CNAME: u8 = 1;
        let text_len = u8::try_from(cname.len()).map_err(|_| BufferFull)?;
        // At least one zero byte ends the list of items.
        let len = (4 + 2 + cname.len() + 1).next_multiple_of(4);
        let mut body = self.member(kind::SOURCE_DESCRIPTION, 1, len)?;
        body.u32(ssrc);
        body.put([CNAME, text_len]);
        body.bytes(cname.as_bytes());
        body.0.fill(0);
        Ok(())
    }

    /// Goodbye without a reason (RFC 3550 §6.6).
    ///
    /// # Errors
    /// When it does not fit or there are more than 31 sources.
    pub fn goodbye(&mut self, sources: &[Ssrc]) -> Result<(), BufferFull> {
        let mut body = self.member(kind::GOODBYE, sources.len(), 4 * sources.len())?;
        for &source in sources {
            body.u32(source);
        }
        Ok(())
    }

    /// Picture loss indication (RFC 4585 §6.3.1).
    ///
    /// # Errors
    /// When it does not fit.
    pub fn pli(&mut self, sender: Ssrc, media: Ssrc) -> Result<(), BufferFull> {
        let mut body = self.member(kind::PAYLOAD_FEEDBACK, usize::from(format::PLI), 8)?;
        body.u32(sender);
        body.u32(media);
        Ok(())
    }

    /// Full intra request (RFC 5104 §4.3.1).
    ///
    /// # Errors
    /// When it does not fit.
    pub fn fir(&mut self, sender: Ssrc, entries: &[FirEntry]) -> Result<(), BufferFull> {
        let len = 8 + 8 * entries.len();
        let mut body = self.member(kind::PAYLOAD_FEEDBACK, usize::from(format::FIR), len)?;
        body.u32(sender);
        // "SSRC of media source" is not used: the entries name the streams.
        body.u32(0);
        for entry in entries {
            body.u32(entry.ssrc);
            body.put([entry.sequence_number, 0, 0, 0]);
        }
        Ok(())
    }

    /// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb §2.2), rounded down to 18
    /// significant bits.
    ///
    /// # Errors
    /// When it does not fit or there are more than 255 sources.
    pub fn remb(
        &mut self,
        sender: Ssrc,
        bitrate_bps: u64,
        sources: &[Ssrc],
    ) -> Result<(), BufferFull> {
        let count = u8::try_from(sources.len()).map_err(|_| BufferFull)?;
        let len = 16 + 4 * sources.len();
        let format = usize::from(format::APPLICATION);
        let mut body = self.member(kind::PAYLOAD_FEEDBACK, format, len)?;
        body.u32(sender);
        body.u32(0);
        body.put(*format::REMB);
        let exponent = (u64::BITS - bitrate_bps.leading_zeros()).saturating_sub(18);
        let mantissa = (bitrate_bps >> exponent) as u32;
        let [_, a, b, c] = ((exponent << 18) | mantissa).to_be_bytes();
        body.put([count, a, b, c]);
        for &source in sources {
            body.u32(source);
        }
        Ok(())
    }

    /// Generic NACK (RFC 4585 §6.2.1) for as many of `lost` as fit, and returns how many those
    /// are. Ascending order packs best; any other may come out in another order. Writes nothing
    /// when there is nothing to ask for.
    ///
    /// # Errors
    /// When not even the first fits.
    pub fn nack(
        &mut self,
        sender: Ssrc,
        media: Ssrc,
        lost: impl IntoIterator<Item = u16>,
    ) -> Result<usize, BufferFull> {
        let mut lost = lost.into_iter().peekable();
        if lost.peek().is_none() {
            return Ok(0);
        }
        let room = self.buffer.get_mut(self.len + FEEDBACK_LEN..);
        let (slots, _) = room.ok_or(BufferFull)?.as_chunks_mut::<4>();
        let mut pairs = 0;
        let mut written = 0;
        for slot in slots {
            let Some(first) = lost.next() else { break };
            let mut pair = NackPair {
                first,
                following: 0,
            };
            written += 1;
            while let Some(bit) = lost.peek().and_then(|&next| pair.bit(next)) {
                pair.following |= bit;
                written += 1;
                lost.next();
            }
            let [a, b] = pair.first.to_be_bytes();
            let [c, d] = pair.following.to_be_bytes();
            *slot = [a, b, c, d];
            pairs += 1;
        }
        if pairs == 0 {
            return Err(BufferFull);
        }
        let format = usize::from(format::NACK);
        let mut body = self.member(kind::TRANSPORT_FEEDBACK, format, 8 + 4 * pairs)?;
        body.u32(sender);
        body.u32(media);
        Ok(written)
    }

    /// Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1) on
    /// consecutive packets from `base_sequence` on: when each arrived, if it did. Returns how
    /// many of them fit; the rest belongs into another message. Writes nothing, and returns 0,
    /// when none arrived.
    ///
    /// # Errors
    /// When not even the first fits.
    pub fn transport_cc(
        &mut self,
        sender: Ssrc,
        media: Ssrc,
        feedback_count: u8,
        base_sequence: u16,
        arrivals: impl Iterator<Item = Option<Time>> + Clone,
    ) -> Result<usize, BufferFull> {
        let room = self.buffer.get_mut(self.len + FEEDBACK_LEN + 8..);
        let (room, _) = room.ok_or(BufferFull)?.as_chunks_mut::<4>();
        let Some(encoded) = transport_cc::encode(room.as_flattened_mut(), arrivals) else {
            return Ok(0);
        };
        if encoded.packets == 0 {
            return Err(BufferFull);
        }
        let padded = encoded.len.next_multiple_of(4);
        let padding = padded - encoded.len;
        let start = self.len;
        let format = usize::from(format::TRANSPORT_CC);
        let mut body = self.member(kind::TRANSPORT_FEEDBACK, format, 16 + padded)?;
        body.u32(sender);
        body.u32(media);
        let [s0, s1] = base_sequence.to_be_bytes();
        let [c0, c1] = encoded.packets.to_be_bytes();
        body.put([s0, s1, c0, c1]);
        body.u32((encoded.reference_time << 8) | u32::from(feedback_count));
        if padding > 0 {
            let tail = body.0.get_mut(encoded.len..).unwrap_or_default();
            tail.fill(0);
            if let Some(last) = tail.last_mut() {
                *last = padding as u8;
            }
            if let Some(first) = self.buffer.get_mut(start) {
                *first |= 0x20;
            }
        }
        Ok(usize::from(encoded.packets))
    }

    /// Begins a member with a body of `len` bytes, a multiple of four, and counts it as written.
    fn member(
        &mut self,
        packet_type: u8,
        count: usize,
        len: usize,
    ) -> Result<Body<'_>, BufferFull> {
        let end = self.len + HEADER_LEN + len;
        let room = self.buffer.get_mut(self.len..end).ok_or(BufferFull)?;
        let words = u16::try_from(len / 4).map_err(|_| BufferFull)?;
        if count > COUNT_MAX {
            return Err(BufferFull);
        }
        let [l0, l1] = words.to_be_bytes();
        let mut body = Body(room);
        body.put([0x80 | count as u8, packet_type, l0, l1]);
        self.len = end;
        Ok(body)
    }
}

impl NackPair {
    /// The bit that stands for `sequence_number`, if one does.
    fn bit(self, sequence_number: u16) -> Option<u16> {
        let after = sequence_number.wrapping_sub(self.first);
        (1..=16).contains(&after).then(|| 1 << (after - 1))
    }
}

/// What of a member's body is still to be written. Its length was reserved, so there is room.
struct Body<'b>(&'b mut [u8]);

impl Body<'_> {
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.bytes(&bytes);
    }

    fn u32(&mut self, value: u32) {
        self.put(value.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let room = mem::take(&mut self.0).split_at_mut_checked(bytes.len());
        debug_assert!(
            room.is_some(),
            "the length of a body covers what is put into it"
        );
        if let Some((room, rest)) = room {
            room.copy_from_slice(bytes);
            self.0 = rest;
        }
    }

    fn reports(&mut self, reports: &[ReportBlock]) {
        for report in reports {
            self.u32(report.ssrc);
            let lost = report.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff);
            let [_, a, b, c] = lost.to_be_bytes();
            self.put([report.fraction_lost, a, b, c]);
            self.u32(report.highest_sequence);
            self.u32(report.jitter);
            self.u32(report.last_sender_report);
            self.u32(report.delay_since_last);
        }
    }
}
