//! Tracks that go to other engines, and tracks that come from them.

use crosspoint_wire::time::{NtpTime, Time};

use super::ingress::Arrival;
use super::{Engine, Task};
use crate::config::{ParticipantId, ReceiveConfig, RelayId};
use crate::encoding::EncodingKey;
use crate::relay::{Direction, Message, Relay, RelayKey, RelayedPacket, Waiting};
use crate::report::PublisherClock;
use crate::room::RoomKey;
use crate::timers::Due;
use crate::track::{Origin, Track, TrackKey};

impl Engine {
    /// Copies a track to a relay from now on, with a keyframe first.
    pub(super) fn open_relay(&mut self, now: Time, track: TrackKey, id: RelayId) {
        if self.names.relays.contains_key(&id) {
            return;
        }
        let Some(key) = self.insert_relay(id, track, Direction::Out) else {
            return;
        };
        if let Some(track) = self.tracks.get_mut(track) {
            track.relays.push(key);
        }
        self.relay_clocks_of(now, track);
        self.review_demand(track);
        self.request_keyframes_of(track);
    }

    /// Tells a track's relays what its clocks read: the next sender report may be seconds away.
    fn relay_clocks_of(&mut self, now: Time, key: TrackKey) {
        let Some(track) = self.tracks.get(key) else {
            return;
        };
        let clock = match track.origin {
            Origin::Session(session) => self.sessions.get(session).map(|s| &s.reporting.clock),
            Origin::Relay(relay) => self.relays.get(relay).map(|relay| &relay.clock),
        };
        let Some(clock) = clock else {
            return;
        };
        let wall = self.config.wall_clock.ntp(now);
        let clocks: Vec<_> = track
            .encodings
            .iter()
            .filter_map(|&key| Some((key, self.encodings.get(key)?.reported_at(clock, now, wall)?)))
            .collect();
        for (encoding, timestamp) in clocks {
            self.relay_clock(key, encoding, wall, timestamp);
        }
    }

    /// Offers what a relay brings to the listeners of a room.
    pub(super) fn accept_relay(
        &mut self,
        id: RelayId,
        room: RoomKey,
        participant: ParticipantId,
        config: &ReceiveConfig,
    ) {
        if let Some(&known) = self.names.relays.get(&id) {
            if let Some(track) = self.relays.get(known).map(|relay| relay.track) {
                self.configure_track(track, config);
                self.change_home(track, Some(room));
            }
            return;
        }
        // The track's name is in the relay and the relay's in the track: one comes first.
        let Some(relay) = self.insert_relay(id, TrackKey::from_raw(u32::MAX), Direction::In) else {
            return;
        };
        let track = Track::new(config, participant, Origin::Relay(relay));
        let Some(track) = self.insert_track(track, Some(room)) else {
            self.forget_relay(relay);
            return;
        };
        if let Some(relay) = self.relays.get_mut(relay) {
            relay.track = track;
        }
        self.configure_track(track, config);
    }

    fn insert_relay(
        &mut self,
        id: RelayId,
        track: TrackKey,
        direction: Direction,
    ) -> Option<RelayKey> {
        let key = self.relays.insert(Relay {
            id,
            track,
            direction,
            clock: PublisherClock::default(),
            due: Due::default(),
        })?;
        self.names.relays.insert(id, key);
        Some(key)
    }

    fn forget_relay(&mut self, key: RelayKey) -> Option<Relay> {
        let relay = self.relays.remove(key)?;
        self.names.relays.remove(&relay.id);
        Some(relay)
    }

    pub(super) fn close_relay(&mut self, key: RelayKey) {
        let Some(relay) = self.forget_relay(key) else {
            return;
        };
        match relay.direction {
            Direction::Out => {
                if let Some(track) = self.tracks.get_mut(relay.track) {
                    track.relays.retain(|&r| r != key);
                }
            }
            Direction::In => self.remove_track(relay.track),
        }
    }

    /// Ends the relays of a track that ends: those that copy it, and the one it comes from.
    pub(super) fn close_relays_of(&mut self, key: TrackKey) {
        let Some(track) = self.tracks.get_mut(key) else {
            return;
        };
        let source = match track.origin {
            Origin::Relay(relay) => Some(relay),
            Origin::Session(_) => None,
        };
        let copies = core::mem::take(&mut track.relays);
        for relay in copies.into_iter().chain(source) {
            self.forget_relay(relay);
        }
    }

    /// Copies a packet, which is in its encoding's cache, to the relays of its track.
    pub(super) fn relay_packet(&mut self, track: TrackKey, from: EncodingKey, ext_seq: u64) {
        self.tell_relays(track, from, |encoding, epoch| Waiting::Cached {
            from,
            ext_seq,
            encoding,
            epoch,
        });
    }

    /// Tells the relays of a track of a packet that carried nothing: they count numbers, too.
    pub(super) fn relay_padding(
        &mut self,
        track: TrackKey,
        from: EncodingKey,
        packet: &Arrival<'_>,
    ) {
        self.tell_relays(track, from, |encoding, epoch| {
            Waiting::Whole(Message::Packet(RelayedPacket {
                encoding,
                epoch,
                marker: packet.marker,
                payload_type: packet.payload_type,
                sequence_number: packet.sequence_number,
                timestamp: packet.timestamp,
                extensions: *packet.extensions,
                payload: &[],
            }))
        });
    }

    /// Tells the relays of a track what its encoding's clock read.
    pub(super) fn relay_clock(
        &mut self,
        track: TrackKey,
        from: EncodingKey,
        wall: NtpTime,
        timestamp: u32,
    ) {
        self.tell_relays(track, from, |encoding, _| {
            Waiting::Whole(Message::Clock {
                encoding,
                wall,
                timestamp,
            })
        });
    }

    /// Queues a message of an encoding for the relays of its track: `message` has its place among the
    /// track's encodings, and its epoch.
    fn tell_relays(
        &mut self,
        track: TrackKey,
        from: EncodingKey,
        message: impl FnOnce(u8, u8) -> Waiting,
    ) {
        let track = self.tracks.get(track);
        let Some(track) = track.filter(|track| !track.relays.is_empty()) else {
            return;
        };
        let Some((place, encoding)) = track.place_of(from).zip(self.encodings.get(from)) else {
            return;
        };
        let message = message(place, encoding.epoch);
        for &relay in &track.relays {
            if let Some(relay) = self.relays.get(relay)
                && !self.relay_queue.push(relay.id, message)
            {
                self.counters.relay_overflow += 1;
            }
        }
    }

    pub(super) fn receive_relay(&mut self, now: Time, id: RelayId, message: &[u8]) {
        let relay = self
            .names
            .relays
            .get(&id)
            .and_then(|&key| self.relays.get(key));
        let Some((relay, message)) = relay.zip(Message::parse(message)) else {
            self.counters.relay_malformed += 1;
            return;
        };
        let (Message::Packet(RelayedPacket { encoding, .. })
        | Message::Keyframe { encoding }
        | Message::Clock { encoding, .. }) = message;
        let track = self.tracks.get(relay.track);
        let encoding = track.and_then(|t| t.encodings.get(usize::from(encoding)).copied());
        match (relay.direction, encoding, message) {
            (Direction::In, Some(key), Message::Packet(packet)) => {
                self.receive_relayed(now, key, &packet);
            }
            (
                Direction::In,
                Some(key),
                Message::Clock {
                    wall, timestamp, ..
                },
            ) => {
                self.note_relayed_clock(now, key, wall, timestamp);
            }
            (Direction::Out, Some(key), Message::Keyframe { .. }) => {
                self.counters.keyframe_requests_received += 1;
                self.want_keyframe(key);
            }
            _ => self.counters.relay_malformed += 1,
        }
    }

    fn receive_relayed(&mut self, now: Time, key: EncodingKey, packet: &RelayedPacket<'_>) {
        let known = self.encodings.get(key).map(|e| e.epoch);
        let key = if known == Some(packet.epoch) {
            Some(key)
        } else {
            self.renew_encoding(key, packet.epoch)
        };
        let Some(key) = key else {
            return;
        };
        let Some(encoding) = self.encodings.get_mut(key) else {
            return;
        };
        let ext_seq = encoding.relayed(now, packet.sequence_number, packet.timestamp);
        let arrival = Arrival {
            sequence_number: packet.sequence_number,
            timestamp: packet.timestamp,
            marker: packet.marker,
            payload_type: packet.payload_type,
            extensions: &packet.extensions,
            payload: packet.payload,
        };
        self.admit(now, key, ext_seq, &arrival);
    }

    pub(super) fn arm_relay_at(&mut self, due: Time, key: RelayKey) {
        if let Some(relay) = self.relays.get_mut(key) {
            self.timers.arm(due, Task::Relay(key), &mut relay.due);
        }
    }

    /// Asks the other end for the keyframes that are wanted here.
    pub(super) fn ask_over_relay(&mut self, now: Time, key: RelayKey) {
        let Some(relay) = self.relays.get(key) else {
            return;
        };
        let id = relay.id;
        let Some(track) = self.tracks.get(relay.track) else {
            return;
        };
        let mut next = Time::NEVER;
        for (place, &encoding) in track.encodings.iter().enumerate() {
            let askable = self.can_bring_keyframe(track, encoding);
            let Some(encoding) = self.encodings.get_mut(encoding) else {
                continue;
            };
            // The other end knows how its publisher is to be asked.
            if encoding.keyframes.poll(now, askable, false).is_some() {
                let message = Waiting::Whole(Message::Keyframe {
                    encoding: u8::try_from(place).unwrap_or(u8::MAX),
                });
                if !self.relay_queue.push(id, message) {
                    self.counters.relay_overflow += 1;
                }
                self.counters.keyframe_requests_sent += 1;
            }
            next = next.min(encoding.keyframes.next_timeout());
        }
        self.arm_relay_at(next, key);
    }
}
