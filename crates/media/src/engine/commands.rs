//! From commands to the parts that carry them out.

use crosspoint_wire::time::Time;

use super::Engine;
use crate::command::{Command, CommandError};
use crate::config::{RoomId, SessionId, SessionKey, TrackId};
use crate::room::RoomKey;
use crate::track::TrackKey;

impl Engine {
    pub(super) fn carry_out(&mut self, now: Time, command: Command) -> Result<(), CommandError> {
        match command {
            Command::PutRoom { room, config } => self.put_room(now, room, config),
            Command::RemoveRoom { room } => {
                let room = self.room_key(room)?;
                self.remove_room(room);
            }
            Command::PutSession {
                session,
                participant,
                room,
                config,
                auto_subscribe,
            } => {
                let room = self.room_key(room)?;
                let key = self.open_session(session);
                self.put_session(key, participant, room, auto_subscribe);
                self.put_streams(key, config);
            }
            Command::RemoveSession { session } => {
                let session = self.open_key(session)?;
                self.remove_session(session);
            }
            Command::MoveSession { session, room } => {
                let (session, room) = (self.open_key(session)?, self.room_key(room)?);
                self.enter_room(session, Some(room));
            }
            Command::SetWish {
                session,
                track,
                wish,
            } => {
                let session = self.open_key(session)?;
                self.track_key(track)?;
                self.set_wish(session, track, wish);
            }
            Command::SetPolicy { session, policy } => {
                let session = self.open_key(session)?;
                self.set_policy(session, policy);
            }
            Command::SetPriority { track, priority } => {
                let track = self.track_key(track)?;
                self.set_priority(track, priority);
            }
            Command::SetMuted { track, muted } => {
                let track = self.track_key(track)?;
                self.set_muted(track, muted);
            }
            Command::LinkTrack {
                track,
                room,
                linked,
            } => {
                let (track, room) = (self.track_key(track)?, self.room_key(room)?);
                self.link_track(track, room, linked);
            }
            Command::OpenRelay { track, relay } => {
                let track = self.track_key(track)?;
                self.open_relay(now, track, relay);
            }
            Command::AcceptRelay {
                relay,
                room,
                participant,
                track,
            } => {
                let room = self.room_key(room)?;
                self.accept_relay(relay, room, participant, &track);
            }
            Command::CloseRelay { relay } => {
                let key = self.names.relays.get(&relay).copied();
                self.close_relay(key.ok_or(CommandError::UnknownRelay(relay))?);
            }
            Command::RequestKeyframe { track } => {
                let track = self.track_key(track)?;
                self.request_keyframes_of(track);
            }
        }
        Ok(())
    }

    fn room_key(&self, room: RoomId) -> Result<RoomKey, CommandError> {
        let key = self.names.rooms.get(&room).copied();
        key.ok_or(CommandError::UnknownRoom(room))
    }

    fn track_key(&self, track: TrackId) -> Result<TrackKey, CommandError> {
        let key = self.names.tracks.get(&track).copied();
        key.ok_or(CommandError::UnknownTrack(track))
    }

    fn open_key(&self, session: SessionId) -> Result<SessionKey, CommandError> {
        let key = self.sessions.key(session);
        key.ok_or(CommandError::UnknownSession(session))
    }
}
