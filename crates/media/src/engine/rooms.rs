//! Rooms: who listens where, and what is offered there.

use crosspoint_wire::time::Time;

use super::{Engine, Unsettled};
use crate::config::{RoomConfig, RoomId, SessionKey, TrackId};
use crate::room::{Room, RoomKey};
use crate::track::TrackKey;

impl Engine {
    pub(super) fn put_room(&mut self, now: Time, id: RoomId, config: RoomConfig) {
        let Some(&key) = self.names.rooms.get(&id) else {
            if let Some(key) = self.rooms.insert(Room::new(id, config)) {
                self.names.rooms.insert(id, key);
            }
            return;
        };
        if let Some(room) = self.rooms.get_mut(key) {
            room.configure(now, config);
        }
        self.unsettle_room(key);
    }

    /// Its sessions and tracks stay, heard by nobody.
    pub(super) fn remove_room(&mut self, key: RoomKey) {
        let Some(room) = self.rooms.remove(key) else {
            return;
        };
        self.names.rooms.remove(&room.id);
        for track in room.tracks {
            if let Some(track) = self.tracks.get_mut(track) {
                track.leave(key);
            }
        }
        for session in room.sessions {
            if let Some(session) = self.sessions.get_mut(session) {
                session.room = None;
            }
            self.unsettle_session(session);
        }
    }

    /// Moves a session and what it publishes from its room, if any, to another, if any.
    pub(super) fn enter_room(&mut self, key: SessionKey, to: Option<RoomKey>) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let from = core::mem::replace(&mut session.room, to);
        if from == to {
            return;
        }
        session.wishes.clear();
        let tracks: Vec<_> = session.published.iter().map(|p| p.track).collect();
        if let Some(room) = from.and_then(|room| self.rooms.get_mut(room)) {
            room.sessions.retain(|&s| s != key);
        }
        if let Some(room) = to.and_then(|room| self.rooms.get_mut(room)) {
            room.sessions.push(key);
        }
        for track in tracks {
            self.change_home(track, to);
        }
        self.unsettle_session(key);
    }

    /// Offers a track to the listeners of its publisher's room, and no longer to those of the
    /// room before, unless it is linked there.
    pub(super) fn change_home(&mut self, key: TrackKey, to: Option<RoomKey>) {
        let Some(track) = self.tracks.get_mut(key) else {
            return;
        };
        let id = track.id;
        let from = core::mem::replace(&mut track.home, to);
        if let Some(from) = from.filter(|room| !track.linked.contains(room)) {
            self.withdraw(key, id, from);
        }
        if let Some(to) = to {
            self.offer(key, to);
        }
    }

    pub(super) fn link_track(&mut self, key: TrackKey, room: RoomKey, linked: bool) {
        let Some(track) = self.tracks.get_mut(key) else {
            return;
        };
        track.linked.retain(|&r| r != room);
        if linked {
            track.linked.push(room);
            self.offer(key, room);
        } else if track.home != Some(room) {
            let id = track.id;
            self.withdraw(key, id, room);
        }
    }

    pub(super) fn offer(&mut self, key: TrackKey, room: RoomKey) {
        let known = self.rooms.get_mut(room).zip(self.tracks.get(key));
        if let Some((room, track)) = known {
            room.add(key, track);
        }
        self.unsettle_room(room);
    }

    /// What listeners wished of the track goes with it.
    pub(super) fn withdraw(&mut self, key: TrackKey, id: TrackId, room: RoomKey) {
        if let Some(room) = self.rooms.get_mut(room) {
            room.remove(key);
            for &listener in &room.sessions {
                if let Some(session) = self.sessions.get_mut(listener) {
                    session.wishes.retain(|&(track, _)| track != id);
                }
            }
        }
        self.unsettle_room(room);
    }

    /// Has all listeners of a room assigned anew before the next packet.
    pub(super) fn unsettle_room(&mut self, key: RoomKey) {
        if let Some(room) = self.rooms.get_mut(key)
            && !core::mem::replace(&mut room.listed, true)
        {
            self.unsettled.push(Unsettled::Room(key));
        }
    }

    /// Has one session assigned anew before the next packet.
    pub(super) fn unsettle_session(&mut self, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(key)
            && !core::mem::replace(&mut session.listed, true)
        {
            self.unsettled.push(Unsettled::Session(key));
        }
    }
}
