//! One RTP stream with its repair stream.

use core::time::Duration;
use std::collections::VecDeque;

use crosspoint_wire::ext::{ExtensionIds, ExtensionKind};
use crosspoint_wire::ids::{Mid, Rid, Ssrc};
use crosspoint_wire::rtp::{AudioLevel, HeaderWriter, RtpHeader};
use crosspoint_wire::time::Time;

use crate::media::{PictureNumbers, Stamp, audio_payload, vp8_payload};
use crate::peer::{OPUS, VP8, VP8_RTX};
use crate::rng::Rng;

/// Payload of a video packet, in bytes.
const PACKET_BYTES: usize = 1100;
/// How many times a common frame's size a keyframe has.
const KEYFRAME_FACTOR: usize = 5;
/// How long packets are kept for repair.
const HISTORY: Duration = Duration::from_secs(1);

/// Numbers that a stream begins with.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartNumbers {
    /// First sequence number.
    pub sequence: u16,
    /// Timestamp at time zero.
    pub timestamp: u32,
    /// First picture id.
    pub picture_id: u16,
    /// First TL0PICIDX.
    pub tl0_pic_idx: u8,
}

impl StartNumbers {
    /// Any numbers.
    pub fn random(rng: &mut Rng) -> Self {
        Self {
            sequence: rng.next_u64() as u16,
            timestamp: rng.next_u64() as u32,
            picture_id: rng.next_u64() as u16 & 0x7fff,
            tl0_pic_idx: rng.next_u64() as u8,
        }
    }
}

/// How the server knows a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamNames {
    pub(super) ssrc: Ssrc,
    pub(super) rtx_ssrc: Option<Ssrc>,
    pub(super) mid: Option<Mid>,
    pub(super) rid: Option<Rid>,
    pub(super) video: bool,
}

/// A packet before it gets its header.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) stamp: Stamp,
    header: RtpHeader,
    level: Option<AudioLevel>,
    payload: Vec<u8>,
    sent: Time,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) number: u32,
    pub(super) names: StreamNames,
    pub(super) paused: bool,
    pub(super) keyframe_wanted: bool,
    pub(super) packets_sent: u32,
    pub(super) octets_sent: u32,
    start: StartNumbers,
    next_packet: u32,
    next_frame: u32,
    keyframe: u32,
    rtx_seq: u16,
    history: VecDeque<Packet>,
}

impl Stream {
    pub(super) fn new(number: u32, names: StreamNames, start: StartNumbers) -> Self {
        Self {
            number,
            names,
            paused: false,
            keyframe_wanted: true,
            packets_sent: 0,
            octets_sent: 0,
            start,
            next_packet: 0,
            next_frame: 0,
            keyframe: 0,
            rtx_seq: start.sequence ^ 0x5555,
            history: VecDeque::new(),
        }
    }

    /// RTP timestamp at so many ticks of true time.
    pub(super) const fn timestamp(&self, ticks: u32) -> u32 {
        self.start.timestamp.wrapping_add(ticks)
    }

    pub(super) fn encode_frame(&mut self, now: Time, ticks: u32, bytes: usize) -> Vec<Packet> {
        let keyframe = core::mem::take(&mut self.keyframe_wanted);
        let frame = self.next_frame;
        self.next_frame += 1;
        if keyframe {
            self.keyframe = frame;
        }
        let bytes = if keyframe {
            bytes * KEYFRAME_FACTOR
        } else {
            bytes
        };
        let parts = bytes.div_ceil(PACKET_BYTES).max(1);
        let numbers = PictureNumbers {
            picture_id: (u32::from(self.start.picture_id) + frame) as u16 & 0x7fff,
            tl0_pic_idx: (u32::from(self.start.tl0_pic_idx) + frame) as u8,
        };
        (0..parts)
            .map(|part| {
                let stamp = self.stamp(now, frame, part, parts);
                let payload = vp8_payload(&stamp, numbers, bytes / parts);
                self.packet(now, stamp, ticks, part + 1 == parts, VP8, None, payload)
            })
            .collect()
    }

    pub(super) fn encode_sound(
        &mut self,
        now: Time,
        ticks: u32,
        level: Option<u8>,
        begins: bool,
    ) -> Packet {
        let frame = self.next_frame;
        self.next_frame += 1;
        self.keyframe = frame;
        let stamp = self.stamp(now, frame, 0, 1);
        let payload = audio_payload(&stamp, if level.is_some() { 80 } else { 0 });
        let level = AudioLevel {
            level: level.unwrap_or(127),
            voice: level.is_some(),
        };
        self.packet(now, stamp, ticks, begins, OPUS, Some(level), payload)
    }

    /// The packet as it goes out.
    pub(super) fn write(&self, packet: &Packet, number: u16, ids: &ExtensionIds) -> Vec<u8> {
        let rid = self.names.rid.map(|rid| (ExtensionKind::Rid, rid));
        self.serialise(
            packet.header,
            packet.level,
            number,
            ids,
            rid,
            &packet.payload,
        )
    }

    /// The repair of a packet (RFC 4588 §4), if it is still there and the stream has repairs.
    pub(super) fn write_repair(
        &mut self,
        now: Time,
        seq: u16,
        number: u16,
        ids: &ExtensionIds,
    ) -> Option<Vec<u8>> {
        let ssrc = self.names.rtx_ssrc?;
        let packet = self
            .history
            .iter()
            .find(|p| p.header.sequence_number == seq)?;
        if now.since(packet.sent) > HISTORY {
            return None;
        }
        let header = RtpHeader {
            ssrc,
            sequence_number: self.rtx_seq,
            payload_type: VP8_RTX,
            ..packet.header
        };
        let payload = [&seq.to_be_bytes()[..], &packet.payload].concat();
        self.rtx_seq = self.rtx_seq.wrapping_add(1);
        let rid = self.names.rid.map(|rid| (ExtensionKind::RepairedRid, rid));
        Some(self.serialise(header, None, number, ids, rid, &payload))
    }

    fn stamp(&mut self, now: Time, frame: u32, part: usize, parts: usize) -> Stamp {
        self.next_packet += 1;
        Stamp {
            stream: self.number,
            packet: self.next_packet - 1,
            frame,
            keyframe: self.keyframe,
            part: part as u16,
            parts: parts as u16,
            captured: now,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of a packet")]
    fn packet(
        &mut self,
        now: Time,
        stamp: Stamp,
        ticks: u32,
        marker: bool,
        payload_type: u8,
        level: Option<AudioLevel>,
        payload: Vec<u8>,
    ) -> Packet {
        let packet = Packet {
            stamp,
            header: RtpHeader {
                marker,
                payload_type,
                sequence_number: self.start.sequence.wrapping_add(stamp.packet as u16),
                timestamp: self.timestamp(ticks),
                ssrc: self.names.ssrc,
            },
            level,
            payload,
            sent: now,
        };
        self.packets_sent = self.packets_sent.wrapping_add(1);
        self.octets_sent = self.octets_sent.wrapping_add(packet.payload.len() as u32);
        if self.names.rtx_ssrc.is_some() {
            self.history.push_back(packet.clone());
            while self
                .history
                .front()
                .is_some_and(|p| now.since(p.sent) > HISTORY)
            {
                self.history.pop_front();
            }
        }
        packet
    }

    fn serialise(
        &self,
        header: RtpHeader,
        level: Option<AudioLevel>,
        number: u16,
        ids: &ExtensionIds,
        rid: Option<(ExtensionKind, Rid)>,
        payload: &[u8],
    ) -> Vec<u8> {
        let mut buffer = vec![0; 128];
        let mut writer = HeaderWriter::new(&mut buffer, &header).expect("fits");
        let mut add = |kind, content: &[u8]| {
            if let Some(id) = ids.id(kind) {
                writer.extension(id, content).expect("fits");
            }
        };
        add(ExtensionKind::TransportCc, &number.to_be_bytes());
        if let Some(mid) = self.names.mid {
            add(ExtensionKind::Mid, mid.as_bytes());
        }
        if let Some((kind, rid)) = rid {
            add(kind, rid.as_bytes());
        }
        if let Some(level) = level {
            add(ExtensionKind::AudioLevel, &[level.to_byte()]);
        }
        let len = writer.finish();
        buffer.truncate(len);
        buffer.extend_from_slice(payload);
        debug_assert!(self.names.video || payload.len() < 200);
        buffer
    }
}
