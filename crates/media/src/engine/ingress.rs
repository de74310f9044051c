//! From a session's datagrams to packets of an encoding: which stream, which number, seen before?

use crosspoint_wire::ids::{Mid, PayloadType, Rid};
use crosspoint_wire::payload::red::Red;
use crosspoint_wire::rtp::{Extensions, RtpView};
use crosspoint_wire::time::Time;

use super::Engine;
use crate::config::{PayloadConfig, SessionKey};
use crate::encoding::{EncodingKey, StreamName};
use crate::facts::ForwardedExtensions;
use crate::session::Stream;
use crate::track::Track;

/// A packet as its encoding's publisher made it, however it came here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) sequence_number: u16,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) payload_type: PayloadType,
    pub(super) extensions: &'a ForwardedExtensions,
    pub(super) payload: &'a [u8],
}

impl Engine {
    pub(super) fn receive_rtp(&mut self, now: Time, from: SessionKey, datagram: &[u8]) {
        let Ok(packet) = RtpView::parse(datagram) else {
            self.counters.rtp_malformed += 1;
            return;
        };
        let Some(session) = self.sessions.get_mut(from) else {
            return;
        };
        let ids = session.config.extensions;
        let extensions = packet.extensions(&ids);
        if let Some(number) = extensions.transport_cc {
            session.reporting.note_transport_number(now, number);
        }
        let stream = match session.stream(packet.ssrc()) {
            Some(stream) => stream,
            None => match self.latch(from, &packet, &extensions) {
                Some(stream) => stream,
                None => {
                    self.counters.rtp_unknown_ssrc += 1;
                    return;
                }
            },
        };
        let mut forwarded = ForwardedExtensions::default();
        for (id, content) in packet.elements() {
            if let Some(kind) = ids.kind(id) {
                forwarded.push(kind, content);
            }
        }
        let arrival = Arrival {
            sequence_number: packet.sequence_number(),
            timestamp: packet.timestamp(),
            marker: packet.marker(),
            payload_type: packet.payload_type(),
            extensions: &forwarded,
            payload: packet.payload(),
        };
        match stream {
            Stream::Media(encoding) => self.receive_original(now, from, encoding, &arrival),
            Stream::Repair(encoding) => self.receive_repair(now, from, encoding, &arrival),
        }
        let due = self
            .sessions
            .get(from)
            .map(|s| s.reporting.next_congestion_feedback());
        self.arm_session_at(due.unwrap_or(Time::NEVER), from);
    }

    fn receive_original(
        &mut self,
        now: Time,
        from: SessionKey,
        key: EncodingKey,
        arrival: &Arrival<'_>,
    ) {
        let encoding = self.encodings.get(key);
        let Some(track) = encoding.and_then(|encoding| self.tracks.get(encoding.track)) else {
            return;
        };
        let format = track.payload(arrival.payload_type).copied();
        if format.is_none()
            && let Some(&format) = track.redundant_payload(arrival.payload_type)
        {
            self.receive_redundant(now, from, key, &format, arrival);
        } else if let Some(ext_seq) = self.count(now, from, key, arrival, format.as_ref()) {
            self.admit(now, key, ext_seq, arrival);
        }
    }

    /// RFC 2198: a packet that others before it came along with, some of which may be missing.
    fn receive_redundant(
        &mut self,
        now: Time,
        from: SessionKey,
        key: EncodingKey,
        format: &PayloadConfig,
        arrival: &Arrival<'_>,
    ) {
        let Ok(red) = Red::parse(arrival.payload) else {
            self.counters.rtp_malformed += 1;
            return;
        };
        let Some(ext_seq) = self.count(now, from, key, arrival, Some(format)) else {
            return;
        };
        let earlier = red.earlier();
        for (distance, block) in (1..=earlier.len() as u16).rev().zip(earlier) {
            let Some(encoding) = self.encodings.get_mut(key) else {
                return;
            };
            let Some(number) = ext_seq.checked_sub(distance.into()) else {
                continue;
            };
            let timestamp = arrival.timestamp.wrapping_sub(block.offset);
            if !encoding.lacks(now, number, timestamp) {
                continue;
            }
            let sequence_number = arrival.sequence_number.wrapping_sub(distance);
            let ext_seq = encoding.repair(now, sequence_number);
            encoding.tally.repairs += 1;
            self.counters.red_restored += 1;
            let restored = Arrival {
                sequence_number,
                timestamp,
                marker: false,
                payload_type: block.payload_type,
                // Those that came are the later packet's.
                extensions: &ForwardedExtensions::default(),
                payload: block.payload,
            };
            self.admit(now, key, ext_seq, &restored);
        }
        let own = Arrival {
            payload_type: red.payload_type,
            payload: red.payload,
            ..*arrival
        };
        self.admit(now, key, ext_seq, &own);
    }

    /// Counts a packet that came on its encoding's own SSRC; its extended number if it goes on.
    fn count(
        &mut self,
        now: Time,
        from: SessionKey,
        key: EncodingKey,
        arrival: &Arrival<'_>,
        format: Option<&PayloadConfig>,
    ) -> Option<u64> {
        let encoding = self.encodings.get_mut(key)?;
        let received = encoding.receive(now, arrival.sequence_number, arrival.timestamp, format);
        encoding.tally.bytes += arrival.payload.len() as u64;
        if let Some(session) = self.sessions.get_mut(from) {
            session
                .reporting
                .note_bytes(now, arrival.payload.len(), received.lost);
        }
        let repairs_due = encoding.nack.next_timeout();
        self.arm_session_at(repairs_due, from);
        if received.restarted {
            // The packets until here are lost; so is the frame that they belong to.
            self.start_over(key);
            return None;
        }
        if received.beyond_repair {
            self.want_keyframe(key);
        }
        Some(received.ext_seq)
    }

    /// RFC 4588 §4: the payload is the original's, behind its sequence number.
    fn receive_repair(
        &mut self,
        now: Time,
        from: SessionKey,
        key: EncodingKey,
        arrival: &Arrival<'_>,
    ) {
        let Some((&original, payload)) = arrival.payload.split_first_chunk::<2>() else {
            self.counters.rtx_padding += 1;
            return;
        };
        let Some(encoding) = self.encodings.get_mut(key) else {
            return;
        };
        let Some(format) = self
            .tracks
            .get(encoding.track)
            .and_then(|track| track.repaired_payload(arrival.payload_type))
        else {
            self.counters.rtp_unknown_payload += 1;
            return;
        };
        if payload.is_empty() {
            self.counters.rtx_padding += 1;
            return;
        }
        let sequence_number = u16::from_be_bytes(original);
        let arrival = Arrival {
            sequence_number,
            payload_type: format.payload_type,
            payload,
            ..*arrival
        };
        let ext_seq = encoding.repair(now, sequence_number);
        encoding.tally.repairs += 1;
        encoding.tally.bytes += payload.len() as u64;
        if let Some(session) = self.sessions.get_mut(from) {
            session.reporting.note_bytes(now, payload.len(), 0);
        }
        self.admit(now, key, ext_seq, &arrival);
    }

    /// Finds the stream that an unknown SSRC carries by the packet's MID and RIDs (RFC 8843 §9.2,
    /// RFC 8852), and takes the SSRC for it from now on. Without a MID that the session
    /// negotiated nothing is remembered.
    #[cold]
    fn latch(
        &mut self,
        from: SessionKey,
        packet: &RtpView<'_>,
        extensions: &Extensions<'_>,
    ) -> Option<Stream> {
        let session = self.sessions.get(from)?;
        let track_key = session.published_on(Mid::new(extensions.mid?)?)?;
        let track = self.tracks.get(track_key)?;
        let stream = self.named_stream(track, packet.payload_type(), extensions)?;
        let stream = match stream {
            // The publisher goes on under another SSRC.
            Stream::Media(encoding) if session.media_ssrc(encoding).is_some() => {
                Stream::Media(self.start_over(encoding)?)
            }
            stream => stream,
        };
        let session = self.sessions.get_mut(from)?;
        if !session.bind(packet.ssrc(), stream) {
            return None;
        }
        // Keyframes may be wanted of it since before it could be asked.
        self.arm_session(from);
        Some(stream)
    }

    /// Takes what comes from now on for another stream of the same name.
    fn start_over(&mut self, key: EncodingKey) -> Option<EncodingKey> {
        let track = self.encodings.get(key)?.track;
        let epoch = self.tracks.get_mut(track)?.begin_epoch();
        self.renew_encoding(key, epoch)
    }

    fn named_stream(
        &self,
        track: &Track,
        payload_type: PayloadType,
        extensions: &Extensions<'_>,
    ) -> Option<Stream> {
        let by_rid = |rid: &[u8]| {
            let name = StreamName::Rid(Rid::new(rid)?);
            let named =
                |&&key: &&EncodingKey| self.encodings.get(key).is_some_and(|e| e.name == name);
            track.encodings.iter().find(named).copied()
        };
        if let Some(rid) = extensions.repaired_rid {
            return by_rid(rid).map(Stream::Repair);
        }
        if let Some(rid) = extensions.rid {
            return by_rid(rid).map(Stream::Media);
        }
        let &[encoding] = track.encodings.as_slice() else {
            return None;
        };
        if track.repaired_payload(payload_type).is_some() {
            Some(Stream::Repair(encoding))
        } else {
            let formats = track.payload(payload_type);
            formats.or_else(|| track.redundant_payload(payload_type))?;
            Some(Stream::Media(encoding))
        }
    }
}
