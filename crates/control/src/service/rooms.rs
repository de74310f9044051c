//! Rooms come, change and go.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::SystemTime;

use crosspoint_media::command::Command as MediaCommand;
use crosspoint_media::config::{ParticipantId, RoomConfig, RoomId};
use crosspoint_transport::api::WorkerId;
use tokio::time::Instant;

use super::state::{Room, State, new_sid};
use super::timers::Timer;
use crate::api::{ControlError, RoomEvent, RoomPatch, SessionEvent};
use crate::model::{Identity, ParticipantInfo, Reason, RoomInfo, RoomName, RoomSettings};
use crate::shared::SharedEvent;

/// Longest metadata of a room or participant, in bytes.
pub(super) const METADATA_BYTES_MAX: usize = 64 * 1024;

impl State {
    pub(super) fn create_room(
        &mut self,
        name: &RoomName,
        settings: RoomSettings,
    ) -> Result<RoomInfo, ControlError> {
        check_len("metadata", settings.metadata.len(), METADATA_BYTES_MAX)?;
        let id = match self.room_ids.get(name) {
            Some(&id) => id,
            None => self.make_room(name, settings, self.workers.least_loaded())?,
        };
        self.room_info(id)
    }

    /// The room of this name; made with default settings, at home on `home`, if there is none.
    pub(super) fn find_or_make_room(
        &mut self,
        name: &RoomName,
        home: WorkerId,
    ) -> Result<RoomId, ControlError> {
        match self.room_ids.get(name) {
            Some(&id) => Ok(id),
            None => self.make_room(name, self.config.room_defaults.clone(), home),
        }
    }

    fn make_room(
        &mut self,
        name: &RoomName,
        settings: RoomSettings,
        home: WorkerId,
    ) -> Result<RoomId, ControlError> {
        if self.draining {
            return Err(ControlError::Draining);
        }
        let max = self.config.rooms_max;
        if self.rooms.len() >= max {
            return Err(ControlError::ServerFull { what: "rooms", max });
        }
        let id = RoomId(self.next_id());
        self.timers.set(
            Timer::RoomEmpty(id),
            Instant::now() + settings.empty_timeout,
        );
        let room = Room {
            name: name.clone(),
            sid: new_sid("RM"),
            settings,
            created_at: SystemTime::now(),
            home,
            members: Vec::new(),
            by_identity: HashMap::new(),
            guests: BTreeSet::new(),
            sessions_on: BTreeMap::new(),
            speakers: Vec::new(),
            visited: false,
        };
        tracing::info!(room = %name, sid = room.sid, worker = home.0, "room started");
        self.rooms.insert(id, room);
        self.room_ids.insert(name.clone(), id);
        self.workers.count_room(home, 1);
        self.put_room(id, home);
        self.announce(RoomEvent::RoomStarted(self.room_info(id)?));
        Ok(id)
    }

    pub(super) fn update_room(
        &mut self,
        name: &RoomName,
        patch: RoomPatch,
    ) -> Result<RoomInfo, ControlError> {
        let id = self.room_id(name)?;
        let metadata = patch.metadata.as_deref().unwrap_or_default();
        check_len("metadata", metadata.len(), METADATA_BYTES_MAX)?;
        if let Some(room) = self.rooms.get_mut(&id) {
            let settings = &mut room.settings;
            assign(&mut settings.metadata, patch.metadata);
            assign(&mut settings.empty_timeout, patch.empty_timeout);
            assign(&mut settings.departure_timeout, patch.departure_timeout);
            assign(&mut settings.max_participants, patch.max_participants);
            assign(&mut settings.top_audio, patch.top_audio);
            assign(&mut settings.policy, patch.policy);
            assign(&mut settings.recording, patch.recording);
        }
        self.tell_policies(id);
        for worker in self.workers_of(id) {
            self.put_room(id, worker);
        }
        self.watch_emptiness(id);
        let info = self.room_info(id)?;
        let event = SharedEvent::from(SessionEvent::RoomUpdated(info.clone()));
        for member in self.members(id) {
            self.tell(member, event.clone());
        }
        self.announce(RoomEvent::RoomUpdated(info.clone()));
        Ok(info)
    }

    /// Ends a room and the stay of everyone in it. They are told that their own stay ended, not
    /// of each other's: of a thousand that would be a million events.
    pub(super) fn finish_room(&mut self, id: RoomId, reason: Reason) {
        let room = self.rooms.get_mut(&id);
        let members = room.map(|room| std::mem::take(&mut room.members));
        for member in members.unwrap_or_default() {
            self.end_participant(member, reason);
        }
        let guests = self.rooms.get(&id).map(|room| room.guests.clone());
        for guest in guests.unwrap_or_default() {
            self.stop_forwarding(guest, id, reason);
        }
        let Ok(info) = self.room_info(id) else {
            return;
        };
        self.end_taps(id, reason);
        self.timers.clear(Timer::RoomEmpty(id));
        let Some(room) = self.rooms.remove(&id) else {
            return;
        };
        self.room_ids.remove(&room.name);
        self.workers.count_room(room.home, -1);
        self.send_media(room.home, MediaCommand::RemoveRoom { room: id });
        self.counters.room_ended(reason);
        tracing::info!(room = %room.name, sid = room.sid, reason = reason.label(), "room ended");
        self.announce(RoomEvent::RoomFinished(info, reason));
    }

    pub(super) fn end_all(&mut self, reason: Reason) {
        let rooms: Vec<_> = self.rooms.keys().copied().collect();
        for room in rooms {
            self.finish_room(room, reason);
        }
    }

    /// Starts or stops the room's timeout by whether anybody, hidden or not, is in it.
    pub(super) fn watch_emptiness(&mut self, id: RoomId) {
        let Some(room) = self.rooms.get(&id) else {
            return;
        };
        let timer = Timer::RoomEmpty(id);
        if !room.members.is_empty() {
            self.timers.clear(timer);
            return;
        }
        let patience = match room.visited {
            true => room.settings.departure_timeout,
            false => room.settings.empty_timeout,
        };
        self.timers.set(timer, Instant::now() + patience);
    }

    /// Tells an engine of a room, or of its changed settings.
    pub(super) fn put_room(&mut self, id: RoomId, worker: WorkerId) {
        let Some(room) = self.rooms.get(&id) else {
            return;
        };
        let top_audio = room.settings.top_audio;
        let config = RoomConfig {
            top_audio: (top_audio > 0).then_some(top_audio),
            home: worker == room.home,
        };
        self.send_media(worker, MediaCommand::PutRoom { room: id, config });
    }

    /// Workers whose engines know the room, its home first.
    pub(super) fn workers_of(&self, id: RoomId) -> Vec<WorkerId> {
        let Some(room) = self.rooms.get(&id) else {
            return Vec::new();
        };
        let others = room.sessions_on.keys().copied();
        std::iter::once(room.home)
            .chain(others.filter(|&worker| worker != room.home))
            .collect()
    }

    pub(super) fn room_infos(&self) -> Vec<RoomInfo> {
        let ids = self.room_ids.values();
        ids.filter_map(|&id| self.room_info(id).ok()).collect()
    }

    /// A room as callers see it; hidden participants do not count.
    pub(super) fn room_info(&self, id: RoomId) -> Result<RoomInfo, ControlError> {
        // An id without a room means that the room ended; there is no name to name it by.
        let room = self.rooms.get(&id).ok_or(ControlError::SessionNotFound)?;
        let visible = room
            .members
            .iter()
            .filter_map(|member| self.people.get(member))
            .filter(|participant| !participant.permissions.hidden);
        let publishers = visible.clone().filter(|p| !p.tracks.is_empty());
        let speakers = room.speakers.iter();
        Ok(RoomInfo {
            name: room.name.clone(),
            sid: room.sid.clone(),
            settings: room.settings.clone(),
            created_at: room.created_at,
            num_publishers: u32::try_from(publishers.count()).unwrap_or(u32::MAX),
            num_participants: u32::try_from(visible.count()).unwrap_or(u32::MAX),
            active_speakers: speakers.filter_map(|(id, _)| self.identity(*id)).collect(),
        })
    }

    pub(super) fn member_infos(&self, id: RoomId) -> Vec<ParticipantInfo> {
        let members = self.members(id).into_iter();
        members.filter_map(|id| self.participant_info(id)).collect()
    }

    /// Everyone in a room, hidden or not, in the order in which they joined.
    pub(super) fn members(&self, id: RoomId) -> Vec<ParticipantId> {
        let room = self.rooms.get(&id);
        room.map(|room| room.members.clone()).unwrap_or_default()
    }

    /// Who `id` sees in a room: the members it may know of and those forwarded into it.
    pub(super) fn others(&self, room: RoomId, id: ParticipantId) -> Vec<ParticipantInfo> {
        let room = self.rooms.get(&room);
        let members = room.into_iter().flat_map(|room| &room.members);
        let guests = room.into_iter().flat_map(|room| &room.guests);
        members
            .chain(guests)
            .filter(|&&other| other != id && self.may_know(id, other))
            .filter_map(|&other| self.participant_info(other))
            .collect()
    }

    pub(super) fn identity(&self, id: ParticipantId) -> Option<Identity> {
        Some(self.people.get(&id)?.profile.identity.clone())
    }

    pub(super) fn is_visible(&self, id: ParticipantId) -> bool {
        let participant = self.people.get(&id);
        participant.is_some_and(|participant| !participant.permissions.hidden)
    }
}

pub(super) fn check_len(what: &'static str, len: usize, max: usize) -> Result<(), ControlError> {
    match len > max {
        true => Err(ControlError::TooLarge { what, max }),
        false => Ok(()),
    }
}

/// Applies one field of a patch.
pub(super) fn assign<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
