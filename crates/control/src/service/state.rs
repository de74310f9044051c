//! The maps, ids, and what every step ends with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use crosspoint_media::command::Command as MediaCommand;
use crosspoint_media::config::{
    ParticipantId, Policy, RelayId, RoomId, SessionId, TrackId, TrackSource, Wish,
};
use crosspoint_transport::api::{Command, DataChannelKind, WorkerId};
use crosspoint_wire::codec::{Codec, MediaKind};
use crosspoint_wire::ids::Mid;
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::ControlConfig;
use super::counters::Counters;
use super::queue::{Budget, EventQueue, Overflow};
use super::taps::RoomTap;
use super::timers::{Timer, Timers};
use super::workers::{Pool, Workers};
use crate::api::{
    ControlError, Presence, PresenceState, RoomEvent, SessionEvent, TapId, TrackDescription,
};
use crate::model::{
    Identity, ParticipantState, Permissions, Reason, RoomName, RoomSettings, TrackSid,
};
use crate::negotiate::{Negotiated, random_text};
use crate::quality::QualityPolicy;
use crate::shared::SharedEvent;

/// When to try again after a worker's queue was full.
const BACKLOG_RETRY: Duration = Duration::from_millis(5);

/// Everything that the service knows.
pub(super) struct State {
    pub(super) config: ControlConfig,
    pub(super) workers: Pool,
    pub(super) rooms: HashMap<RoomId, Room>,
    pub(super) room_ids: BTreeMap<RoomName, RoomId>,
    pub(super) people: HashMap<ParticipantId, Participant>,
    pub(super) sessions: HashMap<SessionId, ParticipantId>,
    pub(super) tracks: HashMap<TrackId, Track>,
    pub(super) track_ids: HashMap<TrackSid, TrackId>,
    pub(super) taps: BTreeMap<TapId, RoomTap>,
    pub(super) timers: Timers,
    pub(super) counters: Counters,
    pub(super) draining: bool,
    pub(super) events: broadcast::Sender<RoomEvent>,
    pub(super) presence: broadcast::Sender<Presence>,
    /// Participants that are to end when the present step is over: their queues are full.
    doomed: Vec<ParticipantId>,
    last_id: u64,
}

pub(super) struct Room {
    pub(super) name: RoomName,
    pub(super) sid: String,
    pub(super) settings: RoomSettings,
    pub(super) created_at: SystemTime,
    /// Where its sessions are placed.
    pub(super) home: WorkerId,
    /// In the order in which they joined.
    pub(super) members: Vec<ParticipantId>,
    pub(super) by_identity: HashMap<Identity, ParticipantId>,
    /// Participants of other rooms whose tracks are forwarded into this one.
    pub(super) guests: BTreeSet<ParticipantId>,
    /// How many members' sessions live on which worker.
    pub(super) sessions_on: BTreeMap<WorkerId, usize>,
    /// Who speaks, loudest first, with loudness 0.0 to 1.0.
    pub(super) speakers: Vec<(ParticipantId, f32)>,
    /// Whether anybody has been here.
    pub(super) visited: bool,
}

impl Room {
    /// Whether this worker's engine knows the room.
    pub(super) fn is_on(&self, worker: WorkerId) -> bool {
        worker == self.home || self.sessions_on.contains_key(&worker)
    }
}

/// A participant with its one session.
pub(super) struct Participant {
    pub(super) session: SessionId,
    pub(super) room: RoomId,
    pub(super) worker: WorkerId,
    pub(super) profile: Profile,
    pub(super) permissions: Permissions,
    /// Who receives its tracks; `None`: everyone who may.
    pub(super) audience: Option<BTreeSet<Identity>>,
    pub(super) state: ParticipantState,
    pub(super) listening: Listening,
    /// Its own policy, and what its engine knows of that and its room's.
    pub(super) policy: QualityPolicy,
    pub(super) told_policy: Policy,
    /// Rooms that its tracks are forwarded into.
    pub(super) forwards: BTreeSet<RoomId>,
    /// Outcome of its latest offer; its transport is open since the first.
    pub(super) negotiated: Option<Negotiated>,
    /// What its m-lines carry, by mid.
    pub(super) described: BTreeMap<String, TrackDescription>,
    /// M-lines that the server muted, with what they carried then. Outlives the track, which ends
    /// when it may not be published for a while; ends when the m-line sends no longer.
    pub(super) silenced: BTreeMap<Mid, TrackSource>,
    /// What it publishes.
    pub(super) tracks: Vec<TrackId>,
    /// What its slots carry.
    pub(super) feeds: BTreeMap<Mid, (TrackId, ParticipantId)>,
    pub(super) channels: Vec<DataChannelKind>,
    pub(super) offers: Budget,
    pub(super) deliveries: Budget,
    pub(super) queue: EventQueue,
}

pub(super) struct Profile {
    pub(super) identity: Identity,
    pub(super) sid: String,
    pub(super) name: String,
    pub(super) metadata: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) joined_at: SystemTime,
}

/// What a participant wants to receive, permissions aside.
pub(super) struct Listening {
    pub(super) auto_subscribe: bool,
    pub(super) only: Option<Identity>,
    /// What it said about single tracks.
    pub(super) wishes: BTreeMap<TrackId, Wish>,
}

pub(super) struct Track {
    pub(super) sid: TrackSid,
    pub(super) owner: ParticipantId,
    pub(super) kind: MediaKind,
    pub(super) mid: Mid,
    /// See [`ReceiveLine::since`](crate::negotiate::ReceiveLine::since).
    pub(super) since: u64,
    pub(super) source: TrackSource,
    pub(super) name: String,
    pub(super) size: (u32, u32),
    pub(super) simulcast: bool,
    pub(super) codec: Option<Codec>,
    pub(super) muted_by_owner: bool,
    pub(super) muted_by_server: bool,
    /// Rooms that it is linked into on its own worker.
    pub(super) links: BTreeSet<RoomId>,
    /// Copies of it on other workers.
    pub(super) relays: BTreeMap<WorkerId, Relay>,
}

impl Track {
    pub(super) const fn is_muted(&self) -> bool {
        self.muted_by_owner || self.muted_by_server
    }
}

/// A track's copy on another worker.
pub(super) struct Relay {
    pub(super) id: RelayId,
    /// The room that the copy was accepted into.
    pub(super) home: RoomId,
    /// Further rooms on that worker.
    pub(super) links: BTreeSet<RoomId>,
}

impl State {
    pub(super) fn new(
        workers: Box<dyn Workers>,
        config: ControlConfig,
        events: broadcast::Sender<RoomEvent>,
        presence: broadcast::Sender<Presence>,
    ) -> Self {
        Self {
            config,
            workers: Pool::new(workers),
            rooms: HashMap::new(),
            room_ids: BTreeMap::new(),
            people: HashMap::new(),
            sessions: HashMap::new(),
            tracks: HashMap::new(),
            track_ids: HashMap::new(),
            taps: BTreeMap::new(),
            timers: Timers::default(),
            counters: Counters::default(),
            draining: false,
            events,
            presence,
            doomed: Vec::new(),
            last_id: 0,
        }
    }

    /// The next number for anything; numbers are never reused.
    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// What every step ends with: participants that read too slowly are removed. Telling others
    /// may fill further queues.
    pub(super) fn settle(&mut self) {
        while let Some(id) = self.doomed.pop() {
            self.end_participant(id, Reason::SlowClient);
        }
    }

    pub(super) fn on_timers(&mut self) {
        let now = Instant::now();
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::RoomEmpty(room) => self.finish_room(room, Reason::Empty),
                Timer::Setup(session) => {
                    if let Ok(id) = self.session_owner(session) {
                        self.end_participant(id, Reason::ConnectTimeout);
                    }
                }
                Timer::Backlog(worker) => {
                    let sent = self.workers.flush(worker);
                    self.watch_backlog(worker, sent);
                }
            }
        }
    }

    pub(super) fn drain(&mut self) {
        self.draining = true;
        let everyone: Vec<_> = self.people.keys().copied().collect();
        for id in everyone {
            self.tell(id, SessionEvent::Draining);
        }
    }

    /// Tells one participant.
    pub(super) fn tell(&mut self, id: ParticipantId, event: impl Into<SharedEvent>) {
        let Some(participant) = self.people.get(&id) else {
            return;
        };
        if let Err(Overflow) = participant.queue.push(event.into())
            && !self.doomed.contains(&id)
        {
            self.doomed.push(id);
        }
    }

    /// Tells those in a room who may know about a participant something about it.
    pub(super) fn tell_room(&mut self, room: RoomId, about: ParticipantId, event: &SessionEvent) {
        let event = SharedEvent::from(event.clone());
        for id in self.members(room) {
            if id != about && self.may_know(id, about) {
                self.tell(id, event.clone());
            }
        }
    }

    /// Who is hidden is known to its audience only.
    pub(super) fn may_know(&self, listener: ParticipantId, about: ParticipantId) -> bool {
        let Some(about) = self.people.get(&about) else {
            return true;
        };
        !about.permissions.hidden
            || about.audience.as_ref().is_some_and(|audience| {
                self.people
                    .get(&listener)
                    .is_some_and(|listener| audience.contains(&listener.profile.identity))
            })
    }

    /// Tells layers above that somebody's media changed.
    pub(super) fn announce_presence(&self, id: ParticipantId, state: PresenceState) {
        let Some(participant) = self.people.get(&id) else {
            return;
        };
        if let Some(room) = self.rooms.get(&participant.room) {
            let presence = Presence {
                room: room.name.clone(),
                identity: participant.profile.identity.clone(),
                state,
            };
            // Nobody listening is fine.
            let _ = self.presence.send(presence);
        }
    }

    /// Tells those who watch all rooms.
    pub(super) fn announce(&self, event: RoomEvent) {
        // Nobody listening is fine.
        let _ = self.events.send(event);
    }

    pub(super) fn send(&mut self, worker: WorkerId, command: Command) {
        let sent = self.workers.send(worker, command);
        self.watch_backlog(worker, sent);
    }

    pub(super) fn send_media(&mut self, worker: WorkerId, command: MediaCommand) {
        self.send(worker, Command::Media(command, None));
    }

    fn watch_backlog(&mut self, worker: WorkerId, sent: bool) {
        let timer = Timer::Backlog(worker);
        if !sent && !self.timers.is_set(timer) {
            self.timers.set(timer, Instant::now() + BACKLOG_RETRY);
        }
    }

    pub(super) fn room_id(&self, name: &RoomName) -> Result<RoomId, ControlError> {
        let id = self.room_ids.get(name).copied();
        id.ok_or_else(|| ControlError::RoomNotFound(name.clone()))
    }

    pub(super) fn member(
        &self,
        room: &RoomName,
        identity: &Identity,
    ) -> Result<ParticipantId, ControlError> {
        let room = self.rooms.get(&self.room_id(room)?);
        let id = room.and_then(|room| room.by_identity.get(identity).copied());
        id.ok_or_else(|| ControlError::ParticipantNotFound(identity.clone()))
    }

    pub(super) fn session_owner(&self, session: SessionId) -> Result<ParticipantId, ControlError> {
        let id = self.sessions.get(&session).copied();
        id.ok_or(ControlError::SessionNotFound)
    }
}

/// A public id: a prefix and 12 random characters.
pub(super) fn new_sid(prefix: &str) -> String {
    format!("{prefix}_{}", random_text(&mut rand::rng(), 12))
}
