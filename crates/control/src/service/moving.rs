//! Participants are moved to other rooms, and seen in further ones.

use crosspoint_media::command::Command as MediaCommand;
use crosspoint_media::config::{ParticipantId, RoomId};

use super::state::State;
use crate::api::{ControlError, SessionEvent};
use crate::model::{Identity, Reason, RoomName};

impl State {
    /// The session stays on its worker: the new room comes to it.
    pub(super) fn move_participant(
        &mut self,
        room: &RoomName,
        identity: &Identity,
        to: &RoomName,
    ) -> Result<(), ControlError> {
        let id = self.member(room, identity)?;
        let unknown = || ControlError::ParticipantNotFound(identity.clone());
        let participant = self.people.get(&id).ok_or_else(unknown)?;
        let (from, worker, session) = (participant.room, participant.worker, participant.session);
        let has_transport = participant.negotiated.is_some();
        let hidden = participant.permissions.hidden;
        // Before a room is made, so that a refused move leaves none behind.
        if self.workers.is_busy(worker) {
            return Err(ControlError::Overloaded);
        }
        let to = self.find_or_make_room(to, worker)?;
        if to == from {
            return Ok(());
        }
        self.check_entry(to, identity, hidden)?;
        let earlier = self
            .rooms
            .get(&to)
            .and_then(|room| room.by_identity.get(identity).copied());
        if let Some(earlier) = earlier {
            self.end_participant(earlier, Reason::DuplicateIdentity);
        }
        self.stop_forwarding(id, to, Reason::Moved);
        self.exit(id, Reason::Moved);
        self.enter(id, to);
        if has_transport {
            self.send_media(worker, MediaCommand::MoveSession { session, room: to });
        }
        self.route_tracks_of(id);
        self.retire_room(from, worker);
        self.tell_policy(id);
        self.forget_unreachable_wishes(id);
        for member in self.members(from) {
            self.forget_unreachable_wishes(member);
        }
        self.tell_all_wishes(id);
        let tracks = self.people.get(&id).map(|p| p.tracks.clone());
        for track in tracks.unwrap_or_default() {
            self.tell_wishes_about(track);
        }
        let info = self.room_info(to)?;
        tracing::info!(room = %info.name, %identity, session = session.0, "participant moved");
        let others = self.others(to, id);
        self.tell(id, SessionEvent::Moved(info, others));
        Ok(())
    }

    /// Offers a participant's tracks, now and later, in a further room. There it looks like a
    /// participant, but is neither counted nor listed.
    pub(super) fn forward_participant(
        &mut self,
        room: &RoomName,
        identity: &Identity,
        to: &RoomName,
    ) -> Result<(), ControlError> {
        let id = self.member(room, identity)?;
        let unknown = || ControlError::ParticipantNotFound(identity.clone());
        let participant = self.people.get(&id).ok_or_else(unknown)?;
        let (from, worker) = (participant.room, participant.worker);
        let to = self.find_or_make_room(to, worker)?;
        let is_there = self.rooms.get(&to).is_some_and(|r| r.guests.contains(&id));
        if to == from || is_there {
            return Ok(());
        }
        // Clients know each other by identity.
        let room = self.rooms.get(&to);
        let taken = room.is_some_and(|room| room.by_identity.contains_key(identity));
        if taken || self.guest(to, identity).is_some() {
            return Err(ControlError::IdentityTaken(identity.clone()));
        }
        if let Some(room) = self.rooms.get_mut(&to) {
            room.guests.insert(id);
        }
        if let Some(participant) = self.people.get_mut(&id) {
            participant.forwards.insert(to);
        }
        self.route_tracks_of(id);
        self.announce_arrival(id, to);
        let tracks = self.people.get(&id).map(|p| p.tracks.clone());
        for track in tracks.unwrap_or_default() {
            self.tell_wishes_about(track);
        }
        Ok(())
    }

    /// Who is forwarded into a room under this identity.
    pub(super) fn guest(&self, room: RoomId, identity: &Identity) -> Option<ParticipantId> {
        let mut guests = self.rooms.get(&room)?.guests.iter().copied();
        guests.find(|&guest| self.identity(guest).as_ref() == Some(identity))
    }

    /// Takes a participant's tracks back from a room that they were forwarded into.
    pub(super) fn stop_forwarding(&mut self, id: ParticipantId, room: RoomId, reason: Reason) {
        let Some(participant) = self.people.get_mut(&id) else {
            return;
        };
        if !participant.forwards.remove(&room) {
            return;
        }
        if let Some(room) = self.rooms.get_mut(&room) {
            room.guests.remove(&id);
            room.speakers.retain(|&(speaker, _)| speaker != id);
        }
        self.route_tracks_of(id);
        for member in self.members(room) {
            self.forget_unreachable_wishes(member);
        }
        if self.is_visible(id) {
            self.announce_departure(id, room, reason);
        }
    }

    /// Rooms in which a participant is seen: its own, then those it is forwarded into.
    pub(super) fn rooms_of(&self, id: ParticipantId) -> Vec<RoomId> {
        let Some(participant) = self.people.get(&id) else {
            return Vec::new();
        };
        let forwards = participant.forwards.iter().copied();
        std::iter::once(participant.room).chain(forwards).collect()
    }
}
