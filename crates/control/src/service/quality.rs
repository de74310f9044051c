//! Policies on their way to the engines, and what engines say about quality.

use crosspoint_media::command::Command as MediaCommand;
use crosspoint_media::config::{ParticipantId, RoomId, SessionId, TrackId};
use crosspoint_media::explain::{Choice, Explanation, Reason};
use crosspoint_transport::api::WorkerId;
use crosspoint_wire::ids::Rid;
use tokio::sync::oneshot;

use super::state::{Participant, State, Track};
use crate::api::{ControlError, RoomEvent, SessionEvent};
use crate::model::{Identity, RoomName, TrackSid};
use crate::quality::{EncodingsWanted, ShownQuality, SubscriptionChange, SubscriptionReport};

impl State {
    /// Tells a session's engine the policy that holds for it, if it does not know.
    pub(super) fn tell_policy(&mut self, id: ParticipantId) {
        let Some(participant) = self.people.get_mut(&id) else {
            return;
        };
        let Some(room) = self.rooms.get(&participant.room) else {
            return;
        };
        let policy = participant.policy.in_room(&room.settings.policy);
        if participant.negotiated.is_none() || participant.told_policy == policy {
            return;
        }
        participant.told_policy = policy;
        let (worker, session) = (participant.worker, participant.session);
        self.send_media(worker, MediaCommand::SetPolicy { session, policy });
    }

    pub(super) fn tell_policies(&mut self, room: RoomId) {
        for member in self.members(room) {
            self.tell_policy(member);
        }
    }

    /// Tells every engine that has a track how important it is now.
    pub(super) fn tell_priority(&mut self, id: TrackId) {
        let Some((track, owner)) = self.track_with_owner(id) else {
            return;
        };
        let priority = owner.policy.priority;
        let copies = track.relays.keys().copied();
        let workers: Vec<_> = std::iter::once(owner.worker).chain(copies).collect();
        for worker in workers {
            let track = id;
            self.send_media(worker, MediaCommand::SetPriority { track, priority });
        }
    }

    /// Tells an engine that begins to have a track how important it is, if that is not as usual.
    pub(super) fn tell_priority_at(&mut self, worker: WorkerId, id: TrackId) {
        let owner = self.track_with_owner(id).map(|(_, owner)| owner);
        let priority = owner.and_then(|owner| owner.policy.priority);
        if priority.is_some() {
            let track = id;
            self.send_media(worker, MediaCommand::SetPriority { track, priority });
        }
    }

    fn track_with_owner(&self, id: TrackId) -> Option<(&Track, &Participant)> {
        let track = self.tracks.get(&id)?;
        Some((track, self.people.get(&track.owner)?))
    }

    pub(super) fn on_subscription_changed(
        &mut self,
        session: SessionId,
        track: TrackId,
        shown: (Option<Choice>, Option<(u16, u16)>),
        reason: Option<Reason>,
    ) {
        let Ok(id) = self.session_owner(session) else {
            return;
        };
        let Some(track) = self.tracks.get(&track) else {
            return;
        };
        let Some(publisher) = self.identity(track.owner) else {
            return;
        };
        let (choice, size) = shown;
        let change = SubscriptionChange {
            track: track.sid.clone(),
            publisher,
            quality: choice.map(|choice| ShownQuality {
                encoding: choice.encoding,
                spatial: choice.layer.spatial,
                size,
            }),
            reason,
        };
        if self.is_visible(id) {
            let room = self.people.get(&id).map(|participant| participant.room);
            let room = room.and_then(|room| self.rooms.get(&room));
            if let Some((room, identity)) = room.zip(self.identity(id)) {
                let name = room.name.clone();
                self.announce(RoomEvent::SubscriptionChanged(
                    name,
                    identity,
                    change.clone(),
                ));
            }
        }
        self.tell(id, SessionEvent::SubscriptionChanged(change));
    }

    pub(super) fn on_encodings_wanted(&mut self, track: TrackId, wanted: &[(Option<Rid>, bool)]) {
        let Some(track) = self.tracks.get(&track) else {
            return;
        };
        let named = wanted
            .iter()
            .map(|(rid, wanted)| (rid.map(|rid| rid.to_string()), *wanted));
        let event = SessionEvent::EncodingsWanted(EncodingsWanted {
            track: track.sid.clone(),
            encodings: named.collect(),
        });
        self.tell(track.owner, event);
    }

    /// Asks a participant's engine why its picture of a track is as it is.
    pub(super) fn ask_why(
        &self,
        room: &RoomName,
        identity: &Identity,
        sid: &TrackSid,
    ) -> Result<oneshot::Receiver<Option<Explanation>>, ControlError> {
        let (id, track) = self.offered(room, identity, sid)?;
        let unknown = || ControlError::ParticipantNotFound(identity.clone());
        let participant = self.people.get(&id).ok_or_else(unknown)?;
        Ok(self
            .workers
            .explain(participant.worker, participant.session, track))
    }

    /// The answer, by public ids.
    pub(super) fn report_why(&self, track: &TrackSid, why: Explanation) -> SubscriptionReport {
        let neighbours = why.neighbours.iter().filter_map(|neighbour| {
            let sid = self.tracks.get(&neighbour.track)?.sid.clone();
            Some((sid, neighbour.bits_per_second))
        });
        SubscriptionReport {
            track: track.clone(),
            neighbours: neighbours.collect(),
            explanation: why,
        }
    }
}
