//! The way out of one session: what waits to leave, and the bytes it becomes.
//!
//! A queue entry is numbers only; header and payload are put together in the sink's own buffer at
//! the moment of leaving. Sound goes first, then repairs, which are already late, then pictures.

use std::collections::VecDeque;

use crosspoint_wire::dd::ActiveField;
use crosspoint_wire::ext::{ExtensionIds, ExtensionKind};
use crosspoint_wire::ids::{PayloadType, TOKEN_MAX};
use crosspoint_wire::payload::red;
use crosspoint_wire::rtp::{FIXED_HEADER_LEN, HeaderWriter, RtpHeader};

use crate::cache::CachedPacket;
use crate::encoding::EncodingKey;
use crate::facts::{ActiveTargets, DESCRIPTOR_BYTES_MAX, ForwardedExtensions, PicturePatch};
use crate::pacer::Pacer;
use crate::redundancy::Along;
use crate::sink::PACKET_BYTES_MAX;
use crate::slot::{Padding, Slot, SlotKey};

/// Most packets that wait in one lane. The queue is emptied after each batch of input, so this
/// only bounds what one batch can pile up: 1024 packets are 10 ms at 1 Gbit/s.
const LANE_MAX: usize = 1024;

/// Which queue a packet waits in; the discriminant is the order of leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Audio = 0,
    Repair = 1,
    Video = 2,
}

/// A packet on its way: where its payload lies, and the numbers under which it leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing {
    pub(crate) slot: SlotKey,
    pub(crate) encoding: EncodingKey,
    /// Extended sequence number in the encoding's cache.
    pub(crate) source_seq: u64,
    /// 48-bit packet index in the outgoing stream.
    pub(crate) index: u64,
    pub(crate) timestamp: u32,
    pub(crate) picture: PicturePatch,
    pub(crate) payload_type: PayloadType,
    /// Sets the marker bit, whatever the source's packet had: the first sound of another speaker,
    /// the last packet of a picture whose higher layers are left out.
    pub(crate) marker: bool,
    /// The sequence number of the original, when this is its repetition on the RTX stream.
    pub(crate) repair_of: Option<u16>,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Egress {
    lanes: [VecDeque<Outgoing>; 3],
    /// Whether the session stands in the engine's list of sessions to flush.
    pub(crate) listed: bool,
}

impl Egress {
    /// Queues a packet; false, and the packet is lost, when the lane is full.
    #[inline]
    #[must_use]
    pub(crate) fn push(&mut self, lane: Lane, packet: Outgoing) -> bool {
        let lane = &mut self.lanes[lane as usize];
        let room = lane.len() < LANE_MAX;
        if room {
            lane.push_back(packet);
        }
        room
    }

    /// The packet that leaves next, if one may leave now: sound always may.
    #[inline]
    pub(crate) fn pop(&mut self, pacer: &mut Pacer) -> Option<Outgoing> {
        let [audio, repair, video] = &mut self.lanes;
        if let Some(packet) = audio.pop_front() {
            return Some(packet);
        }
        if !pacer.is_open() {
            return None;
        }
        repair.pop_front().or_else(|| {
            let packet = video.pop_front()?;
            pacer.on_left_queue();
            Some(packet)
        })
    }

    /// How many packets of pictures wait, repairs included.
    #[inline]
    pub(crate) fn waiting(&self) -> usize {
        let [_, repair, video] = &self.lanes;
        repair.len() + video.len()
    }

    /// Gives up the pictures that wait.
    pub(crate) fn shed(&mut self, each: impl FnMut(Outgoing)) {
        let [_, repair, video] = &mut self.lanes;
        repair.drain(..).chain(video.drain(..)).for_each(each);
    }

    /// Forgets what waits.
    pub(crate) fn clear(&mut self) {
        self.lanes.iter_mut().for_each(VecDeque::clear);
    }
}

/// What is written anew into every packet of a session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) ids: ExtensionIds,
    pub(crate) transport_seq: u16,
    pub(crate) abs_send_time: [u8; 3],
}

/// Upper bound on what stands before a payload: header, extensions with two-byte headers, OSN.
const OVERHEAD_MAX: usize = FIXED_HEADER_LEN
    + 4
    + (2 + TOKEN_MAX)
    + (2 + 2)
    + (2 + 3)
    + size_of::<ForwardedExtensions>()
    + ActiveField::GROWTH_MAX
    + 3
    + 2;

/// A bound on the length of a packet with this payload; `None` when it may not fit at all.
pub(crate) fn len_max(payload_len: usize) -> Option<usize> {
    let len = payload_len.checked_add(OVERHEAD_MAX)?;
    // Overhead is nearly never all used: what might be too long is tried in the largest buffer.
    (payload_len < PACKET_BYTES_MAX).then_some(len.min(PACKET_BYTES_MAX))
}

/// Padding of a packet that is nothing else: the most that its last byte can say (RFC 3550 §5.1).
const PADDING: u8 = 255;
/// A bound on the length of a packet of padding.
pub(crate) const PADDING_LEN_MAX: usize = OVERHEAD_MAX + PADDING as usize;

/// Writes a packet of padding; its length, or 0 when it does not fit.
pub(crate) fn write_padding(
    buffer: &mut [u8],
    padding: &Padding,
    slot: &Slot,
    stamp: &Stamp,
) -> usize {
    try_write_padding(buffer, padding, slot, stamp).unwrap_or(0)
}

fn try_write_padding(
    buffer: &mut [u8],
    padding: &Padding,
    slot: &Slot,
    stamp: &Stamp,
) -> Option<usize> {
    let header = RtpHeader {
        marker: false,
        payload_type: padding.payload_type,
        sequence_number: padding.index as u16,
        timestamp: padding.timestamp,
        ssrc: padding.ssrc,
    };
    let mut writer = HeaderWriter::new(buffer, &header).ok()?;
    write_own_extensions(&mut writer, slot, stamp)?;
    let at = writer.finish();
    let end = at + usize::from(PADDING);
    let body = buffer.get_mut(at..end)?;
    body.fill(0);
    *body.last_mut()? = PADDING;
    *buffer.first_mut()? |= 0x20;
    Some(end)
}

/// What a packet that leaves is made of.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) packet: &'a CachedPacket,
    pub(crate) payload: &'a [u8],
    /// Of its encoding.
    pub(crate) targets: Option<&'a ActiveTargets>,
}

/// Puts a packet together in `buffer` from its source, with what goes along; its length, or 0 when
/// it does not fit.
pub(crate) fn write(
    buffer: &mut [u8],
    packet: &Outgoing,
    slot: &Slot,
    source: Source<'_>,
    along: Option<&Along<'_>>,
    stamp: &Stamp,
) -> usize {
    try_write(buffer, packet, slot, source, along, stamp).unwrap_or(0)
}

fn try_write(
    buffer: &mut [u8],
    packet: &Outgoing,
    slot: &Slot,
    source: Source<'_>,
    along: Option<&Along<'_>>,
    stamp: &Stamp,
) -> Option<usize> {
    let Source {
        packet: cached,
        payload,
        ..
    } = source;
    let header = RtpHeader {
        marker: cached.marker || packet.marker,
        payload_type: along.map_or(packet.payload_type, |along| along.payload_type),
        sequence_number: packet.index as u16,
        timestamp: packet.timestamp,
        ssrc: match packet.repair_of {
            None => slot.config.ssrc,
            Some(_) => slot.config.rtx_ssrc?,
        },
    };
    let mut at = write_header(buffer, &header, slot, source, packet.picture, stamp)?;
    if let Some(original) = packet.repair_of {
        // RFC 4588 §4: the original sequence number stands before the payload.
        buffer
            .get_mut(at..at + 2)?
            .copy_from_slice(&original.to_be_bytes());
        at += 2;
    }
    if let Some(along) = along {
        let headers = buffer.get_mut(at..)?;
        at += red::write_headers(headers, along.blocks(), packet.payload_type).ok()?;
        for block in along.blocks() {
            let end = at + block.payload.len();
            buffer.get_mut(at..end)?.copy_from_slice(block.payload);
            at = end;
        }
    }
    let body = buffer.get_mut(at..at + payload.len())?;
    body.copy_from_slice(payload);
    if !orders_by_descriptor(cached, &stamp.ids) {
        cached.facts.picture.write(packet.picture, body);
    }
    Some(at + payload.len())
}

/// Whether the receiver orders frames by the dependency descriptor that this packet has. It does
/// not look at picture ids then, and what may be ciphertext is better left alone.
fn orders_by_descriptor(cached: &CachedPacket, ids: &ExtensionIds) -> bool {
    cached.facts.picture.frame.is_some() && ids.id(ExtensionKind::DependencyDescriptor).is_some()
}

fn write_header(
    buffer: &mut [u8],
    header: &RtpHeader,
    slot: &Slot,
    source: Source<'_>,
    picture: PicturePatch,
    stamp: &Stamp,
) -> Option<usize> {
    let facts = &source.packet.facts;
    let mut writer = HeaderWriter::new(buffer, header).ok()?;
    write_own_extensions(&mut writer, slot, stamp)?;
    let ids = &stamp.ids;
    for (kind, content) in source.packet.extensions.iter() {
        let Some(id) = ids.id(kind) else { continue };
        if kind == ExtensionKind::DependencyDescriptor {
            let mut copy = [0; DESCRIPTOR_BYTES_MAX];
            let len = facts.write_descriptor(picture, source.targets, content, &mut copy)?;
            writer.extension(id, copy.get(..len)?).ok()?;
        } else {
            writer.extension(id, content).ok()?;
        }
    }
    Some(writer.finish())
}

/// Writes the extensions that are the session's own, whatever the packet holds.
fn write_own_extensions(writer: &mut HeaderWriter<'_>, slot: &Slot, stamp: &Stamp) -> Option<()> {
    let ids = &stamp.ids;
    if let Some(id) = ids.id(ExtensionKind::Mid) {
        writer.extension(id, slot.config.mid.as_bytes()).ok()?;
    }
    if let Some(id) = ids.id(ExtensionKind::TransportCc)
        && slot.config.transport_cc
    {
        writer
            .extension(id, &stamp.transport_seq.to_be_bytes())
            .ok()?;
    }
    if let Some(id) = ids.id(ExtensionKind::AbsSendTime) {
        writer.extension(id, &stamp.abs_send_time).ok()?;
    }
    Some(())
}
