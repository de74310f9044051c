//! Participants join, change and leave.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use crosspoint_media::command::Command as MediaCommand;
use crosspoint_media::config::{ParticipantId, Policy, RoomId, SessionId};
use crosspoint_transport::api::WorkerId;
use tokio::time::Instant;

use super::queue::{Budget, DELIVERIES, EventQueue, OFFERS};
use super::rooms::{METADATA_BYTES_MAX, assign, check_len};
use super::state::{Listening, Participant, Profile, State, new_sid};
use super::timers::Timer;
use crate::api::{
    ControlError, JoinRequest, Joined, ParticipantPatch, PresenceState, RoomEvent, SessionEvent,
};
use crate::model::{
    Identity, ParticipantInfo, ParticipantState, Permissions, Reason, RoomInfo, RoomName,
};
use crate::quality::QualityPolicy;

/// Longest name to show, in bytes.
const NAME_BYTES_MAX: usize = 1024;
/// Most attributes of a participant, and their bytes in sum.
const ATTRIBUTES_MAX: usize = 64;

impl State {
    pub(super) fn join(&mut self, request: JoinRequest) -> Result<Joined, ControlError> {
        let joined = self.try_join(request);
        match &joined {
            Ok(_) => self.counters.joins += 1,
            Err(_) => self.counters.joins_refused += 1,
        }
        joined
    }

    fn try_join(&mut self, request: JoinRequest) -> Result<Joined, ControlError> {
        if self.draining {
            return Err(ControlError::Draining);
        }
        check_len("the name", request.name.len(), NAME_BYTES_MAX)?;
        check_len("metadata", request.metadata.len(), METADATA_BYTES_MAX)?;
        check_attributes(&request.attributes)?;
        let earlier = self.member(&request.room, &request.identity).ok();
        let (what, max) = ("participants", self.config.participants_max);
        if self.people.len() + usize::from(earlier.is_none()) > max {
            return Err(ControlError::ServerFull { what, max });
        }
        let (queue, events) = EventQueue::new().ok_or(ControlError::Overloaded)?;
        // Last, so that a refused join leaves no room behind.
        let room_id = match self.room_ids.get(&request.room) {
            Some(&room) => room,
            None if request.create_room => {
                let home = self.workers.least_loaded();
                if self.workers.is_busy(home) {
                    return Err(ControlError::Overloaded);
                }
                self.find_or_make_room(&request.room, home)?
            }
            None => return Err(ControlError::RoomNotFound(request.room)),
        };
        let home = self.check_entry(room_id, &request.identity, request.permissions.hidden)?;
        if let Some(earlier) = earlier {
            self.end_participant(earlier, Reason::DuplicateIdentity);
        }

        let id = ParticipantId(self.next_id());
        let session = SessionId(self.next_id());
        let participant = Participant {
            session,
            room: room_id,
            worker: home,
            profile: Profile {
                identity: request.identity,
                sid: new_sid("PA"),
                name: request.name,
                metadata: request.metadata,
                attributes: request.attributes,
                joined_at: SystemTime::now(),
            },
            permissions: request.permissions,
            audience: None,
            state: ParticipantState::Joining,
            listening: Listening {
                auto_subscribe: request.auto_subscribe,
                only: request.only,
                wishes: BTreeMap::new(),
            },
            policy: QualityPolicy::default(),
            told_policy: Policy::default(),
            forwards: BTreeSet::new(),
            negotiated: None,
            described: BTreeMap::new(),
            silenced: BTreeMap::new(),
            tracks: Vec::new(),
            feeds: BTreeMap::new(),
            channels: Vec::new(),
            offers: Budget::new(OFFERS),
            deliveries: Budget::new(DELIVERIES),
            queue,
        };
        tracing::info!(
            room = %request.room,
            identity = %participant.profile.identity,
            session = session.0,
            worker = home.0,
            "participant joined"
        );
        self.people.insert(id, participant);
        self.sessions.insert(session, id);
        self.workers.count_session(home, 1);
        self.timers.set(
            Timer::Setup(session),
            Instant::now() + self.config.setup_timeout,
        );
        self.enter(id, room_id);
        let participant = self.participant_info(id);
        Ok(Joined {
            session,
            participant: participant.ok_or(ControlError::SessionNotFound)?,
            room: self.room_info(room_id)?,
            others: self.others(room_id, id),
            events,
        })
    }

    /// Whether a room has place for a newcomer, and the worker where its sessions are placed.
    pub(super) fn check_entry(
        &self,
        room: RoomId,
        identity: &Identity,
        hidden: bool,
    ) -> Result<WorkerId, ControlError> {
        let info = self.room_info(room)?;
        let room = self.rooms.get(&room).ok_or(ControlError::SessionNotFound)?;
        // Who takes over an earlier stay takes its place.
        let replaces = room
            .by_identity
            .get(identity)
            .is_some_and(|&earlier| self.is_visible(earlier));
        let max = room.settings.max_participants;
        if max > 0 && !hidden && !replaces && info.num_participants >= max {
            return Err(ControlError::RoomFull(max));
        }
        match self.workers.is_busy(room.home) {
            true => Err(ControlError::Overloaded),
            false => Ok(room.home),
        }
    }

    /// Puts a participant into a room and tells those who are there.
    pub(super) fn enter(&mut self, id: ParticipantId, room_id: RoomId) {
        let Some(participant) = self.people.get_mut(&id) else {
            return;
        };
        participant.room = room_id;
        let (worker, identity) = (participant.worker, participant.profile.identity.clone());
        if let Some(guest) = self.guest(room_id, &identity) {
            self.stop_forwarding(guest, room_id, Reason::DuplicateIdentity);
        }
        let Some(room) = self.rooms.get_mut(&room_id) else {
            return;
        };
        room.members.push(id);
        room.by_identity.insert(identity, id);
        room.visited = true;
        let is_new = !room.is_on(worker);
        *room.sessions_on.entry(worker).or_default() += 1;
        if is_new {
            self.put_room(room_id, worker);
            self.route_room(room_id);
        }
        self.watch_emptiness(room_id);
        self.announce_arrival(id, room_id);
    }

    /// Takes a participant out of its room and tells those who remain.
    pub(super) fn exit(&mut self, id: ParticipantId, reason: Reason) {
        let Some(participant) = self.people.get(&id) else {
            return;
        };
        let (room_id, worker) = (participant.room, participant.worker);
        let identity = participant.profile.identity.clone();
        let Some(room) = self.rooms.get_mut(&room_id) else {
            return;
        };
        room.members.retain(|&member| member != id);
        room.by_identity.remove(&identity);
        room.speakers.retain(|&(speaker, _)| speaker != id);
        if let Some(count) = room.sessions_on.get_mut(&worker) {
            *count -= 1;
            if *count == 0 {
                room.sessions_on.remove(&worker);
            }
        }
        self.watch_emptiness(room_id);
        if self.is_visible(id) {
            self.announce_departure(id, room_id, reason);
        }
    }

    /// Takes a room from an engine where none of its sessions lives any more.
    pub(super) fn retire_room(&mut self, room_id: RoomId, worker: WorkerId) {
        let gone = self
            .rooms
            .get(&room_id)
            .is_some_and(|room| !room.is_on(worker));
        if gone {
            self.route_room(room_id);
            self.send_media(worker, MediaCommand::RemoveRoom { room: room_id });
        }
    }

    /// Tells the members of a room that it sees a participant now; the world, if it is its own.
    pub(super) fn announce_arrival(&mut self, id: ParticipantId, room: RoomId) {
        let Some(info) = self.participant_info(id) else {
            return;
        };
        if info.permissions.hidden {
            return;
        }
        self.tell_room(room, id, &SessionEvent::ParticipantJoined(info.clone()));
        if let Some(room) = self.own_room_info(id, room) {
            self.announce(RoomEvent::ParticipantJoined(room, info));
        }
    }

    /// The opposite. Asked only for those who have been visible until now.
    pub(super) fn announce_departure(&mut self, id: ParticipantId, room: RoomId, reason: Reason) {
        let Some(info) = self.participant_info(id) else {
            return;
        };
        let event = SessionEvent::ParticipantLeft(info.identity.clone(), reason);
        self.tell_room(room, id, &event);
        if let Some(room) = self.own_room_info(id, room) {
            self.announce(RoomEvent::ParticipantLeft(room, info, reason));
        }
    }

    /// The room, unless a participant is only forwarded into it.
    fn own_room_info(&self, id: ParticipantId, room: RoomId) -> Option<RoomInfo> {
        let own = self.people.get(&id)?.room == room;
        self.room_info(room).ok().filter(|_| own)
    }

    /// Ends a participant's stay and its session.
    pub(super) fn end_participant(&mut self, id: ParticipantId, reason: Reason) {
        let Some(participant) = self.people.get(&id) else {
            return;
        };
        let (room, worker) = (participant.room, participant.worker);
        for track in participant.tracks.clone() {
            self.unpublish(track);
        }
        let forwards = self.people.get(&id).map(|p| p.forwards.clone());
        for forward in forwards.unwrap_or_default() {
            self.stop_forwarding(id, forward, reason);
        }
        self.announce_presence(id, PresenceState::Gone(reason));
        self.exit(id, reason);
        let Some(participant) = self.people.remove(&id) else {
            return;
        };
        let session = participant.session;
        self.sessions.remove(&session);
        self.timers.clear(Timer::Setup(session));
        self.workers.count_session(worker, -1);
        // Closes the transport, too. Unlike `CloseSession` it also ends what a configuration made
        // anew that was under way while the worker closed the session by itself.
        if participant.negotiated.is_some() {
            self.send_media(worker, MediaCommand::RemoveSession { session });
        }
        self.retire_room(room, worker);
        self.counters.session_ended(reason);
        let room = self.rooms.get(&room).map(|room| room.name.as_str());
        tracing::info!(
            room,
            identity = %participant.profile.identity,
            session = session.0,
            reason = reason.label(),
            "participant left"
        );
        participant.queue.end(reason);
    }

    pub(super) fn update_participant(
        &mut self,
        room: &RoomName,
        identity: &Identity,
        patch: ParticipantPatch,
    ) -> Result<ParticipantInfo, ControlError> {
        let id = self.member(room, identity)?;
        let unknown = || ControlError::ParticipantNotFound(identity.clone());
        let participant = self.people.get_mut(&id).ok_or_else(unknown)?;
        let name = patch.name.as_deref().unwrap_or_default();
        check_len("the name", name.len(), NAME_BYTES_MAX)?;
        let metadata = patch.metadata.as_deref().unwrap_or_default();
        check_len("metadata", metadata.len(), METADATA_BYTES_MAX)?;
        let mut attributes = participant.profile.attributes.clone();
        attributes.extend(patch.attributes.unwrap_or_default());
        attributes.retain(|_, value| !value.is_empty());
        check_attributes(&attributes)?;

        participant.profile.attributes = attributes;
        assign(&mut participant.profile.name, patch.name);
        assign(&mut participant.profile.metadata, patch.metadata);
        if let Some(policy) = patch.policy {
            let before = std::mem::replace(&mut participant.policy, policy);
            if before.priority != participant.policy.priority {
                for track in participant.tracks.clone() {
                    self.tell_priority(track);
                }
            }
            self.tell_policy(id);
        }
        if let Some(permissions) = patch.permissions {
            self.set_permissions(id, permissions);
        }
        self.announce_update(id);
        self.participant_info(id).ok_or_else(unknown)
    }

    /// Takes effect at once, in the order in which nobody sees what they should not.
    fn set_permissions(&mut self, id: ParticipantId, permissions: Permissions) {
        let rooms = self.rooms_of(id);
        let Some(participant) = self.people.get_mut(&id) else {
            return;
        };
        let (hidden, hides) = (participant.permissions.hidden, permissions.hidden);
        if !hidden && hides {
            for track in participant.tracks.clone() {
                self.unpublish(track);
            }
            for &room in &rooms {
                self.announce_departure(id, room, Reason::ClientLeft);
            }
        }
        if let Some(participant) = self.people.get_mut(&id) {
            participant.permissions = permissions;
        }
        if hidden && !hides {
            for room in rooms {
                self.announce_arrival(id, room);
            }
        }
        self.sync_tracks(id);
    }

    /// Who is hidden leaves the old audience and appears to the new one; who is not only stops
    /// or begins to be received.
    pub(super) fn set_audience(
        &mut self,
        room: &RoomName,
        identity: &Identity,
        audience: Option<Vec<Identity>>,
    ) -> Result<(), ControlError> {
        let id = self.member(room, identity)?;
        let unknown = || ControlError::ParticipantNotFound(identity.clone());
        let participant = self.people.get(&id).ok_or_else(unknown)?;
        let tracks = participant.tracks.clone();
        let hidden = participant.permissions.hidden;
        let had_audience = participant.audience.is_some();
        let rooms = self.rooms_of(id);
        if hidden {
            for track in tracks {
                self.unpublish(track);
            }
            for &room in rooms.iter().filter(|_| had_audience) {
                let event = SessionEvent::ParticipantLeft(identity.clone(), Reason::ClientLeft);
                self.tell_room(room, id, &event);
            }
        }
        let has_audience = audience.is_some();
        if let Some(participant) = self.people.get_mut(&id) {
            participant.audience = audience.map(|audience| audience.into_iter().collect());
        }
        if !hidden {
            self.tell_audience(id);
            return Ok(());
        }
        let info = self.participant_info(id).ok_or_else(unknown)?;
        for room in rooms.into_iter().filter(|_| has_audience) {
            self.tell_room(room, id, &SessionEvent::ParticipantJoined(info.clone()));
        }
        self.sync_tracks(id);
        Ok(())
    }

    /// Tells a participant and those who see it that it changed.
    pub(super) fn announce_update(&mut self, id: ParticipantId) {
        let Some(info) = self.participant_info(id) else {
            return;
        };
        let event = SessionEvent::ParticipantUpdated(info.clone());
        if self.is_visible(id) {
            for room in self.rooms_of(id) {
                self.tell_room(room, id, &event);
            }
            let home = self.people.get(&id).map(|participant| participant.room);
            if let Some(Ok(room)) = home.map(|room| self.room_info(room)) {
                self.announce(RoomEvent::ParticipantUpdated(room, info));
            }
        }
        self.tell(id, event);
    }

    pub(super) fn participant_info(&self, id: ParticipantId) -> Option<ParticipantInfo> {
        let participant = self.people.get(&id)?;
        let profile = &participant.profile;
        let tracks = participant.tracks.iter();
        Some(ParticipantInfo {
            identity: profile.identity.clone(),
            sid: profile.sid.clone(),
            name: profile.name.clone(),
            metadata: profile.metadata.clone(),
            attributes: profile.attributes.clone(),
            permissions: participant.permissions.clone(),
            state: participant.state,
            joined_at: profile.joined_at,
            tracks: tracks.filter_map(|&track| self.track_info(track)).collect(),
        })
    }
}

fn check_attributes(attributes: &BTreeMap<String, String>) -> Result<(), ControlError> {
    check_len("the number of attributes", attributes.len(), ATTRIBUTES_MAX)?;
    let bytes = attributes
        .iter()
        .map(|(key, value)| key.len() + value.len());
    check_len("the size of attributes", bytes.sum(), METADATA_BYTES_MAX)
}
