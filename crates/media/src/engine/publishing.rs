//! Tracks and their encodings: how they come, change and go.

use super::Engine;
use crate::config::{ReceiveConfig, SessionKey};
use crate::encoding::{Encoding, EncodingKey, StreamName};
use crate::room::RoomKey;
use crate::session::{Published, Stream};
use crate::track::{Origin, Track, TrackKey, declared_streams};

impl Engine {
    /// Makes what the session publishes that of `configs`. A track is known by its id.
    pub(super) fn put_published(&mut self, key: SessionKey, configs: &[ReceiveConfig]) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let (participant, room) = (session.participant, session.room);
        let mut before = core::mem::take(&mut session.published);
        let mut published = Vec::with_capacity(configs.len());
        for config in configs {
            let known = before.iter().position(|p| {
                self.tracks
                    .get(p.track)
                    .is_some_and(|t| t.id == config.track)
            });
            let track = match known {
                Some(i) => Some(before.swap_remove(i).track),
                None => {
                    let track = Track::new(config, participant, Origin::Session(key));
                    self.insert_track(track, room)
                }
            };
            if let Some(track) = track {
                self.configure_track(track, config);
                published.push(Published {
                    mid: config.mid,
                    track,
                });
            }
        }
        for gone in before {
            self.remove_track(gone.track);
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.published = published;
        }
    }

    /// Offers a new track to the listeners of `home`. None when its id is taken: `control`
    /// numbers every track once.
    pub(super) fn insert_track(&mut self, track: Track, home: Option<RoomKey>) -> Option<TrackKey> {
        let id = track.id;
        if self.names.tracks.contains_key(&id) {
            return None;
        }
        let key = self.tracks.insert(track)?;
        self.names.tracks.insert(id, key);
        self.change_home(key, home);
        Some(key)
    }

    /// Applies what a later offer says of a track. Streams that it still declares flow on.
    pub(super) fn configure_track(&mut self, key: TrackKey, config: &ReceiveConfig) {
        let Some(track) = self.tracks.get_mut(key) else {
            return;
        };
        let mut changed = (track.muted, track.reserved) != (config.muted, config.reserved);
        (track.muted, track.reserved) = (config.muted, config.reserved);
        track.kind = config.kind;
        track.source = config.source;
        track.payloads.clone_from(&config.payloads);
        let mut before = core::mem::take(&mut track.encodings);
        let mut encodings = Vec::new();
        for name in declared_streams(config) {
            let known = before
                .iter()
                .position(|&encoding| self.encodings.get(encoding).is_some_and(|e| e.name == name));
            let encoding = match known {
                Some(i) => Some(before.remove(i)),
                None => self.insert_encoding(key, name),
            };
            changed |= known.is_none();
            encodings.extend(encoding);
        }
        changed |= !before.is_empty();
        for encoding in before {
            self.remove_encoding(encoding);
        }
        if let Some(track) = self.tracks.get_mut(key) {
            track.encodings = encodings;
        }
        if changed {
            self.unsettle_track(key);
            self.retarget_track(key);
        }
    }

    fn insert_encoding(&mut self, track: TrackKey, name: StreamName) -> Option<EncodingKey> {
        let epoch = self.tracks.get_mut(track)?.begin_epoch();
        let encoding = Encoding::new(track, name, epoch, &self.config);
        let key = self.encodings.insert(encoding)?;
        if let StreamName::Ssrc(ssrc, rtx) = name
            && let Some(Track {
                origin: Origin::Session(session),
                ..
            }) = self.tracks.get(track)
            && let Some(session) = self.sessions.get_mut(*session)
        {
            session.bind(ssrc, Stream::Media(key));
            if let Some(rtx) = rtx {
                session.bind(rtx, Stream::Repair(key));
            }
        }
        Some(key)
    }

    /// Ends an encoding that its track does not list any more.
    fn remove_encoding(&mut self, key: EncodingKey) {
        let Some(encoding) = self.encodings.remove(key) else {
            return;
        };
        for slot in encoding.feeds {
            if let Some(slot) = self.slots.get_mut(slot) {
                slot.lose(key);
            }
        }
        if let Some(Track {
            origin: Origin::Session(session),
            ..
        }) = self.tracks.get(encoding.track)
            && let Some(session) = self.sessions.get_mut(*session)
        {
            session.unbind(key);
        }
    }

    /// Starts an encoding over, because its publisher counts anew, perhaps under another SSRC:
    /// numbers of the stream before mean nothing in the new one.
    pub(super) fn renew_encoding(&mut self, key: EncodingKey, epoch: u8) -> Option<EncodingKey> {
        self.end_round();
        let encoding = self.encodings.get(key)?;
        let (track_key, name) = (encoding.track, encoding.name);
        let track = self.tracks.get_mut(track_key)?;
        let mut renewed = Encoding::new(track_key, name, epoch, &self.config);
        (renewed.watched, renewed.woken) = (encoding.watched, encoding.woken);
        let new = self.encodings.insert(renewed)?;
        for encoding in track.encodings.iter_mut().filter(|e| **e == key) {
            *encoding = new;
        }
        if let Origin::Session(session) = track.origin
            && let Some(session) = self.sessions.get_mut(session)
        {
            session.rebind(key, new);
        }
        self.remove_encoding(key);
        self.retarget_track(track_key);
        Some(new)
    }

    /// Ends a track: its slots fall silent and are assigned anew.
    pub(super) fn remove_track(&mut self, key: TrackKey) {
        let Some(track) = self.tracks.get_mut(key) else {
            return;
        };
        let id = track.id;
        for slot in core::mem::take(&mut track.slots) {
            self.stop_slot(slot);
        }
        self.close_relays_of(key);
        let Some(track) = self.tracks.get_mut(key) else {
            return;
        };
        for encoding in core::mem::take(&mut track.encodings) {
            self.remove_encoding(encoding);
        }
        let Some(track) = self.tracks.remove(key) else {
            return;
        };
        self.names.tracks.remove(&id);
        for room in track.rooms() {
            self.withdraw(key, id, room);
        }
    }

    pub(super) fn set_muted(&mut self, key: TrackKey, muted: bool) {
        let Some(track) = self.tracks.get_mut(key) else {
            return;
        };
        if core::mem::replace(&mut track.muted, muted) != muted {
            self.unsettle_track(key);
            self.retarget_track(key);
        }
    }

    /// Has the listeners of all rooms that know the track assigned anew.
    fn unsettle_track(&mut self, key: TrackKey) {
        let mut i = 0;
        while let Some(room) = self.tracks.get(key).and_then(|t| t.rooms().nth(i)) {
            self.unsettle_room(room);
            i += 1;
        }
    }

    pub(super) fn request_keyframes_of(&mut self, key: TrackKey) {
        let mut i = 0;
        while let Some(&encoding) = self.tracks.get(key).and_then(|t| t.encodings.get(i)) {
            self.want_keyframe(encoding);
            i += 1;
        }
    }

    /// Has the publisher asked for a keyframe of a stream, soon and until one comes.
    pub(super) fn want_keyframe(&mut self, key: EncodingKey) {
        let Some(encoding) = self.encodings.get_mut(key) else {
            return;
        };
        encoding.keyframes.want();
        let due = encoding.keyframes.next_timeout();
        let Some(track) = self.tracks.get(encoding.track) else {
            return;
        };
        match track.origin {
            Origin::Session(session) => self.arm_session_at(due, session),
            Origin::Relay(relay) => self.arm_relay_at(due, relay),
        }
    }
}
