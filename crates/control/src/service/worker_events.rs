//! What workers tell.

use crosspoint_media::config::{ParticipantId, RoomId, SessionId, TrackId};
use crosspoint_media::event::Event as MediaEvent;
use crosspoint_transport::api::{CloseReason, Event, WorkerId};
use crosspoint_wire::ids::Mid;

use super::state::State;
use super::timers::Timer;
use crate::api::{PresenceState, RoomEvent, SessionEvent};
use crate::model::{Identity, ParticipantState, Reason};
use crate::shared::SharedEvent;

/// Most speakers that a room is told of, the loudest. Where more speak at once nobody can follow
/// them, and a list of all for each of all is what a large room cannot carry.
const SPEAKERS_MAX: usize = 16;

/// Level of silence (RFC 6464 §3): -127 dBov.
const SILENCE: f32 = 127.0;

impl State {
    /// Events of sessions, tracks and rooms that have ended meanwhile mean nothing any more.
    pub(super) fn on_worker_event(&mut self, worker: WorkerId, event: Event) {
        match event {
            Event::Connected {
                session,
                srtp_profile,
            } => self.on_connected(session, srtp_profile),
            Event::Interrupted {
                session,
                interrupted,
            } => self.on_interrupted(session, interrupted),
            Event::Closed { session, reason } => {
                if let Ok(id) = self.session_owner(session) {
                    self.end_participant(id, reason_of(reason));
                }
            }
            Event::DataOpen { session, channel } => {
                let id = self.sessions.get(&session);
                if let Some(participant) = id.and_then(|id| self.people.get_mut(id))
                    && !participant.channels.contains(&channel)
                {
                    participant.channels.push(channel);
                }
            }
            Event::Data {
                session,
                channel,
                payload,
                text,
            } => {
                if let Ok(id) = self.session_owner(session) {
                    self.on_data(id, channel, &payload, text);
                }
            }
            Event::Media(event) => self.on_media_event(event),
            Event::WorkerRestarted { .. } => self.on_worker_restarted(worker),
        }
    }

    fn on_connected(&mut self, session: SessionId, srtp_profile: &str) {
        let Ok(id) = self.session_owner(session) else {
            return;
        };
        self.timers.clear(Timer::Setup(session));
        tracing::info!(session = session.0, srtp_profile, "media is up");
        if self.set_state(id, ParticipantState::Active) {
            self.tell(id, SessionEvent::Connected);
            self.announce_presence(id, PresenceState::Up);
            self.announce_update(id);
        }
    }

    fn on_interrupted(&mut self, session: SessionId, interrupted: bool) {
        let Ok(id) = self.session_owner(session) else {
            return;
        };
        let state = match interrupted {
            true => ParticipantState::Interrupted,
            false => ParticipantState::Active,
        };
        if self.set_state(id, state) {
            self.tell(id, SessionEvent::Interrupted(interrupted));
            let presence = match interrupted {
                true => PresenceState::Interrupted,
                false => PresenceState::Up,
            };
            self.announce_presence(id, presence);
            self.announce_update(id);
        }
    }

    /// Whether that was a change.
    fn set_state(&mut self, id: ParticipantId, state: ParticipantState) -> bool {
        let participant = self.people.get_mut(&id);
        participant.is_some_and(|p| std::mem::replace(&mut p.state, state) != state)
    }

    fn on_media_event(&mut self, event: MediaEvent) {
        match event {
            MediaEvent::SlotAssigned { session, mid, feed } => {
                self.on_slot_assigned(session, mid, feed);
            }
            MediaEvent::TrackStarted { track, codec } => {
                // Each engine that has a copy says so.
                if let Some(known) = self.tracks.get_mut(&track)
                    && known.codec.replace(codec) != Some(codec)
                {
                    self.announce_track_update(track);
                }
            }
            MediaEvent::ActiveSpeakers { room, speakers } => self.on_speakers(room, &speakers),
            MediaEvent::SubscriptionChanged {
                session,
                track,
                choice,
                size,
                reason,
            } => self.on_subscription_changed(session, track, (choice, size), reason),
            MediaEvent::EncodingsWanted { track, encodings } => {
                self.on_encodings_wanted(track, &encodings);
            }
        }
    }

    fn on_slot_assigned(
        &mut self,
        session: SessionId,
        mid: Mid,
        feed: Option<(TrackId, ParticipantId)>,
    ) {
        let Ok(id) = self.session_owner(session) else {
            return;
        };
        let Some(participant) = self.people.get_mut(&id) else {
            return;
        };
        let negotiated = participant.negotiated.as_ref();
        let slot = negotiated.and_then(|n| n.slots().find(|slot| slot.mid == mid).cloned());
        let Some(slot) = slot else {
            return;
        };
        match feed {
            Some(feed) => participant.feeds.insert(mid, feed),
            None => participant.feeds.remove(&mid),
        };
        let info = self.slot_info(id, &slot);
        self.tell(id, SessionEvent::Slots(vec![info]));
    }

    fn on_speakers(&mut self, id: RoomId, levels: &[(ParticipantId, u8)]) {
        let loudness = |level: u8| 1.0 - f32::from(level.min(127)) / SILENCE;
        let speakers: Vec<(ParticipantId, f32)> = levels
            .iter()
            .filter(|&&(id, _)| self.is_visible(id))
            .map(|&(id, level)| (id, loudness(level)))
            .take(SPEAKERS_MAX)
            .collect();
        let named: Vec<(Identity, f32)> = speakers
            .iter()
            .filter_map(|&(id, loudness)| Some((self.identity(id)?, loudness)))
            .collect();
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        if room.speakers == speakers {
            return;
        }
        room.speakers = speakers;
        let name = room.name.clone();
        let event = SharedEvent::from(SessionEvent::ActiveSpeakers(named.clone()));
        for member in self.members(id) {
            self.tell(member, event.clone());
        }
        self.announce(RoomEvent::ActiveSpeakers(name, named));
    }

    /// Everything that lived on the worker is gone: its sessions, and the rooms at home there.
    fn on_worker_restarted(&mut self, worker: WorkerId) {
        self.counters.workers_restarted += 1;
        tracing::error!(worker = worker.0, "worker failed and was restarted");
        let rooms = self.rooms.iter().filter(|(_, room)| room.home == worker);
        let rooms: Vec<RoomId> = rooms.map(|(&id, _)| id).collect();
        for room in rooms {
            self.finish_room(room, Reason::WorkerFailed);
        }
        let people = self.people.iter().filter(|(_, p)| p.worker == worker);
        let people: Vec<ParticipantId> = people.map(|(&id, _)| id).collect();
        for id in people {
            self.end_participant(id, Reason::WorkerFailed);
        }
    }
}

const fn reason_of(reason: CloseReason) -> Reason {
    match reason {
        CloseReason::ConsentExpired => Reason::ConsentExpired,
        CloseReason::ConnectTimeout => Reason::ConnectTimeout,
        CloseReason::FingerprintMismatch => Reason::FingerprintMismatch,
        CloseReason::DtlsFailed => Reason::DtlsFailed,
        CloseReason::PeerClosed => Reason::PeerClosed,
    }
}
