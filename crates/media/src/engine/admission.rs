//! From a packet of an encoding, wherever it came from, to everybody who is to have it.

use crosspoint_wire::codec::MediaKind;
use crosspoint_wire::ext::ExtensionKind;
use crosspoint_wire::rtp::AudioLevel;
use crosspoint_wire::time::Time;

use super::ingress::Arrival;
use super::{Engine, Task};
use crate::cache::CachedPacket;
use crate::config::PayloadConfig;
use crate::egress::Lane;
use crate::encoding::EncodingKey;
use crate::event::Event;
use crate::rewriter::SourcePacket;
use crate::sink::PACKET_BYTES_MAX;
use crate::slot::Admitted;
use crate::track::TrackKey;

impl Engine {
    /// Keeps a packet that was not here before and passes it on: to slots, to relays.
    pub(super) fn admit(
        &mut self,
        now: Time,
        key: EncodingKey,
        ext_seq: u64,
        arrival: &Arrival<'_>,
    ) {
        self.begin_round(now, key);
        let Some((track, format)) = self.screen(now, key, arrival) else {
            // Slots must not skip its number before they were offered those before it.
            self.end_round();
            self.leave_out(now, key, ext_seq, arrival);
            return;
        };
        let Some(encoding) = self.encodings.get_mut(key) else {
            return;
        };
        let facts = encoding
            .facts
            .read(format.codec, arrival.payload, arrival.extensions);
        let packet = CachedPacket {
            timestamp: arrival.timestamp,
            marker: arrival.marker,
            payload_type: arrival.payload_type,
            facts,
            extensions: *arrival.extensions,
        };
        if !encoding.keep(now, ext_seq, &packet, &format, arrival.payload) {
            self.counters.rtp_duplicate += 1;
            return;
        }
        let newest = encoding.cache.newest().unwrap_or(ext_seq);
        let lane = match format.codec.kind() {
            MediaKind::Audio => {
                self.note_loudness(now, track, arrival);
                Lane::Audio
            }
            MediaKind::Video => Lane::Video,
        };
        let admitted = Admitted {
            ext_seq,
            packet: &packet,
            payload_len: arrival.payload.len(),
            format: &format,
            behind: newest.saturating_sub(ext_seq),
        };
        self.join_round(now, key, lane, &admitted);
        self.relay_packet(track, key, ext_seq);
    }

    /// Whether a packet goes on at all: its track, and the format that it has.
    fn screen(
        &mut self,
        now: Time,
        key: EncodingKey,
        arrival: &Arrival<'_>,
    ) -> Option<(TrackKey, PayloadConfig)> {
        let encoding = self.encodings.get_mut(key)?;
        let track_key = encoding.track;
        let track = self.tracks.get_mut(track_key)?;
        let Some(&format) = track.payload(arrival.payload_type) else {
            self.counters.rtp_unknown_payload += 1;
            return None;
        };
        if arrival.payload.len() > PACKET_BYTES_MAX {
            self.counters.rtp_too_large += 1;
            return None;
        }
        if arrival.payload.is_empty() {
            return None;
        }
        let revived = encoding.note_alive(now);
        if !track.started {
            track.started = true;
            self.events.push_back(Event::TrackStarted {
                track: track.id,
                codec: format.codec,
            });
        }
        let muted = track.muted;
        if revived {
            self.watch_encodings(now, track_key);
            self.retarget_track(track_key);
        }
        if muted {
            self.counters.rtp_muted += 1;
            return None;
        }
        Some((track_key, format))
    }

    /// The number of a packet that is not passed on must not be taken for a loss by those who
    /// get the packets around it.
    fn leave_out(&mut self, now: Time, key: EncodingKey, ext_seq: u64, arrival: &Arrival<'_>) {
        let Some(encoding) = self.encodings.get(key) else {
            return;
        };
        if arrival.payload.is_empty() {
            self.relay_padding(encoding.track, key, arrival);
        }
        let Some(encoding) = self.encodings.get(key) else {
            return;
        };
        let facts = Default::default();
        let packet = SourcePacket {
            ext_seq,
            timestamp: arrival.timestamp,
            facts: &facts,
        };
        for &slot in &encoding.feeds {
            if let Some(slot) = self.slots.get_mut(slot) {
                slot.skip(now, key, packet);
            }
        }
    }

    /// Tells the rooms of an audio track how loud it is.
    fn note_loudness(&mut self, now: Time, key: TrackKey, arrival: &Arrival<'_>) {
        let level = arrival.extensions.get(ExtensionKind::AudioLevel);
        let Some(&byte) = level.and_then(<[u8]>::first) else {
            return;
        };
        let Some(track) = self.tracks.get_mut(key) else {
            return;
        };
        track.audio_level = Some(byte & 0x7f);
        for room_key in track.rooms() {
            if let Some(room) = self.rooms.get_mut(room_key)
                && room.note_loudness(now, key, AudioLevel::from_byte(byte))
            {
                let next = room.next_look();
                self.timers.arm(next, Task::Room(room_key), &mut room.due);
            }
        }
    }
}
