//! The one implementation of [`RoomControl`].
//!
//! All state stands in one `State` behind one mutex. Every operation is a short synchronous
//! step: it changes state, queues commands for workers (which never blocks) and events for
//! clients (which never blocks either), and returns. Nothing is awaited while the lock is held;
//! what takes time (reading SDP, asking workers for reports) is done outside it. One background
//! task feeds worker events and due timers into the same steps, so there is one order of things.
//!
//! | file | what |
//! |---|---|
//! | `state` | the maps, ids, and what every step ends with |
//! | `rooms` | rooms come, change and go; which workers carry them |
//! | `people` | participants join, change and leave |
//! | `moving` | participants are moved to other rooms, and seen in further ones |
//! | `offers` | an offer becomes tracks and slots |
//! | `tracks` | tracks appear, are muted and disappear; who wants which |
//! | `routing` | links and relays that bring tracks to the workers of their rooms |
//! | `taps` | the tracks of a room to a recorder |
//! | `messages` | application messages |
//! | `reports` | what workers answer about rooms and tracks |
//! | `quality` | policies, and what engines say about pictures |
//! | `worker_events` | what workers tell |
//! | `workers`, `timers`, `queue`, `counters` | pieces without knowledge of rooms |

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use crosspoint_media::config::{RelayId, SessionId};
use crosspoint_media::inspect::Keyframe;
use crosspoint_media::tap::TapDoor;
use crosspoint_transport::Transport;
use crosspoint_transport::api::{DelayHistogram, Event, IceCredentials, WorkerId};
use crosspoint_wire::codec::Codec;
use crosspoint_wire::sdp::SessionDescription;
use tokio::sync::{Notify, broadcast, mpsc};

use crate::api::{
    Answer, ControlError, IceRestart, JoinRequest, Joined, Message, MessageCodec, MutedBy, Offer,
    OfferProblem, ParticipantPatch, Presence, RoomControl, RoomEvent, RoomPatch, Tap, TapId,
    Verdict,
};
use crate::model::{
    Identity, ParticipantInfo, Permissions, Reason, RoomInfo, RoomName, RoomSettings,
    SubscriptionWish, TrackInfo, TrackSid,
};
use crate::negotiate::ALL_CODECS;
use crate::quality::SubscriptionReport;
use crate::report::RoomReport;

mod counters;
mod messages;
mod moving;
mod offers;
mod people;
mod quality;
mod queue;
mod reports;
mod rooms;
mod routing;
mod state;
mod taps;
mod timers;
mod tracks;
mod worker_events;
mod workers;

use state::State;
use workers::Workers;

/// How long workers have to answer when metrics are asked for.
const REPORT_TIMEOUT: Duration = Duration::from_secs(1);

/// Settings of the room control, fixed at start.
#[derive(Clone)]
pub struct ControlConfig {
    /// Codecs that may be used, a part of [`ALL_CODECS`].
    pub codecs: Vec<Codec>,
    /// Settings of rooms that are made by joining, moving or forwarding.
    pub room_defaults: RoomSettings,
    /// Most rooms at a time.
    pub rooms_max: usize,
    /// Most participants at a time, over all rooms.
    pub participants_max: usize,
    /// A participant whose media is not up this long after joining is removed with
    /// `connect_timeout`.
    pub setup_timeout: Duration,
    /// How application messages look on data channels.
    pub message_codec: Arc<dyn MessageCodec>,
}

impl ControlConfig {
    /// The defaults: all codecs, 10,000 rooms, 10,000 participants, 60 s.
    #[must_use]
    pub fn new(message_codec: Arc<dyn MessageCodec>) -> Self {
        Self {
            codecs: ALL_CODECS.to_vec(),
            room_defaults: RoomSettings::default(),
            rooms_max: 10_000,
            participants_max: 10_000,
            setup_timeout: Duration::from_secs(60),
            message_codec,
        }
    }
}

/// See the module documentation.
pub struct Service {
    state: Mutex<State>,
    /// Wakes the background task when the next timer may have changed, or the service is gone.
    wake: Arc<Notify>,
    events: broadcast::Sender<RoomEvent>,
    presence: broadcast::Sender<Presence>,
}

impl Service {
    /// Takes over a running transport. To be called within a tokio runtime, whose tasks the
    /// service lives on; dropping the service stops the transport.
    #[must_use]
    pub fn start(mut transport: Transport, config: ControlConfig) -> Arc<Self> {
        // Somebody else may have taken the events: then nothing of what workers tell is known.
        let events = transport.events().unwrap_or_else(|| {
            tracing::error!("the transport's events were taken by somebody else");
            mpsc::channel(1).1
        });
        Self::with_workers(Box::new(transport), events, config)
    }

    /// Starts with workers whose events arrive on `events`.
    fn with_workers(
        workers: Box<dyn Workers>,
        events: mpsc::Receiver<(WorkerId, Event)>,
        config: ControlConfig,
    ) -> Arc<Self> {
        let wake = Arc::new(Notify::new());
        let (room_events, _) = broadcast::channel(queue::ROOM_EVENTS_MAX);
        let (presence, _) = broadcast::channel(queue::ROOM_EVENTS_MAX);
        let service = Arc::new(Self {
            state: Mutex::new(State::new(
                workers,
                config,
                room_events.clone(),
                presence.clone(),
            )),
            wake: Arc::clone(&wake),
            events: room_events,
            presence,
        });
        tokio::spawn(run(Arc::downgrade(&service), events, wake));
        service
    }

    /// Ends every room with `server_shutdown`: clients are told and disconnected.
    pub fn shutdown(&self) {
        self.step(|state| state.end_all(Reason::ServerShutdown));
    }

    /// One step: the closure, then whatever it left to be done.
    fn step<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let outcome = change(&mut state);
        state.settle();
        if state.timers.take_changed() {
            self.wake.notify_one();
        }
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in a step is a bug that is logged where it happened; the rooms go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

/// The background task: worker events and due timers, until the service or the workers are gone.
async fn run(
    service: Weak<Service>,
    mut events: mpsc::Receiver<(WorkerId, Event)>,
    wake: Arc<Notify>,
) {
    loop {
        let Some(next) = service
            .upgrade()
            .map(|service| service.lock().timers.next())
        else {
            return;
        };
        let due = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            event = events.recv() => match event {
                Some(event) => Some(event),
                None => return,
            },
            () = wake.notified() => continue,
            () = due => None,
        };
        let Some(service) = service.upgrade() else {
            return;
        };
        service.step(|state| match event {
            Some((worker, event)) => state.on_worker_event(worker, event),
            None => state.on_timers(),
        });
    }
}

#[async_trait]
impl RoomControl for Service {
    async fn create_room(
        &self,
        name: RoomName,
        settings: RoomSettings,
    ) -> Result<RoomInfo, ControlError> {
        self.step(|state| state.create_room(&name, settings))
    }

    async fn rooms(&self) -> Result<Vec<RoomInfo>, ControlError> {
        Ok(self.lock().room_infos())
    }

    async fn room(&self, room: &RoomName) -> Result<RoomInfo, ControlError> {
        let state = self.lock();
        state.room_info(state.room_id(room)?)
    }

    async fn update_room(
        &self,
        room: &RoomName,
        patch: RoomPatch,
    ) -> Result<RoomInfo, ControlError> {
        self.step(|state| state.update_room(room, patch))
    }

    async fn delete_room(&self, room: &RoomName, reason: Reason) -> Result<(), ControlError> {
        self.step(|state| {
            let room = state.room_id(room)?;
            state.finish_room(room, reason);
            Ok(())
        })
    }

    async fn participants(&self, room: &RoomName) -> Result<Vec<ParticipantInfo>, ControlError> {
        let state = self.lock();
        Ok(state.member_infos(state.room_id(room)?))
    }

    async fn participant(
        &self,
        room: &RoomName,
        identity: &Identity,
    ) -> Result<ParticipantInfo, ControlError> {
        let state = self.lock();
        let id = state.member(room, identity)?;
        state
            .participant_info(id)
            .ok_or_else(|| ControlError::ParticipantNotFound(identity.clone()))
    }

    async fn update_participant(
        &self,
        room: &RoomName,
        identity: &Identity,
        patch: ParticipantPatch,
    ) -> Result<ParticipantInfo, ControlError> {
        self.step(|state| state.update_participant(room, identity, patch))
    }

    async fn remove_participant(
        &self,
        room: &RoomName,
        identity: &Identity,
        reason: Reason,
    ) -> Result<(), ControlError> {
        self.step(|state| {
            let id = state.member(room, identity)?;
            state.end_participant(id, reason);
            Ok(())
        })
    }

    async fn move_participant(
        &self,
        room: &RoomName,
        identity: &Identity,
        to: &RoomName,
    ) -> Result<(), ControlError> {
        self.step(|state| state.move_participant(room, identity, to))
    }

    async fn forward_participant(
        &self,
        room: &RoomName,
        identity: &Identity,
        to: &RoomName,
    ) -> Result<(), ControlError> {
        self.step(|state| state.forward_participant(room, identity, to))
    }

    async fn stop_forwarding(
        &self,
        room: &RoomName,
        identity: &Identity,
        to: &RoomName,
    ) -> Result<(), ControlError> {
        self.step(|state| {
            let id = state.member(room, identity)?;
            let to = state.room_id(to)?;
            state.stop_forwarding(id, to, Reason::ClientLeft);
            Ok(())
        })
    }

    async fn set_audience(
        &self,
        room: &RoomName,
        identity: &Identity,
        audience: Option<Vec<Identity>>,
    ) -> Result<(), ControlError> {
        self.step(|state| state.set_audience(room, identity, audience))
    }

    async fn set_track_muted(
        &self,
        room: &RoomName,
        track: &TrackSid,
        by: MutedBy,
        muted: bool,
    ) -> Result<TrackInfo, ControlError> {
        self.step(|state| state.set_track_muted(room, track, by, muted))
    }

    async fn set_subscription(
        &self,
        room: &RoomName,
        identity: &Identity,
        track: &TrackSid,
        wish: SubscriptionWish,
    ) -> Result<(), ControlError> {
        self.step(|state| state.set_subscription(room, identity, track, wish))
    }

    async fn explain(
        &self,
        room: &RoomName,
        identity: &Identity,
        track: &TrackSid,
    ) -> Result<SubscriptionReport, ControlError> {
        let answer = self.step(|state| state.ask_why(room, identity, track))?;
        let why = tokio::time::timeout(REPORT_TIMEOUT, answer).await;
        // No answer: its queue is full, or the worker is restarting. An empty one: the session or
        // the track has ended meanwhile, or has no transport yet.
        let why = why.ok().and_then(Result::ok);
        let why = why.ok_or(ControlError::Overloaded)?;
        let why = why.ok_or_else(|| ControlError::TrackNotFound(track.clone()))?;
        Ok(self.step(|state| state.report_why(track, why)))
    }

    async fn send_message(&self, room: &RoomName, message: Message) -> Result<(), ControlError> {
        self.step(|state| state.send_message(room, message))
    }

    async fn join(&self, request: JoinRequest) -> Result<Joined, ControlError> {
        self.step(|state| state.join(request))
    }

    async fn check_offer(
        &self,
        permissions: &Permissions,
        offer: &Offer,
    ) -> Result<(), ControlError> {
        let parsed = SessionDescription::parse(&offer.sdp).map_err(OfferProblem::from);
        let mut state = self.lock();
        let outcome = parsed
            .map_err(ControlError::OfferRefused)
            .and_then(|sdp| state.check_first_offer(permissions, &sdp, &offer.tracks));
        state.counters.offers_refused += u64::from(outcome.is_err());
        outcome
    }

    async fn offer(&self, session: SessionId, offer: Offer) -> Result<Answer, ControlError> {
        self.step(|state| state.admit_offer(session))?;
        let parsed = SessionDescription::parse(&offer.sdp).map_err(OfferProblem::from);
        self.step(|state| {
            let outcome = parsed
                .map_err(ControlError::OfferRefused)
                .and_then(|sdp| state.offer(session, &sdp, offer.tracks));
            state.counters.offers_refused += u64::from(outcome.is_err());
            outcome
        })
    }

    async fn restart_ice(
        &self,
        session: SessionId,
        ufrag: String,
        pwd: String,
    ) -> Result<IceRestart, ControlError> {
        let remote = IceCredentials { ufrag, pwd };
        self.step(|state| {
            state.admit_offer(session)?;
            state.restart_ice(session, remote)
        })
    }

    async fn leave(&self, session: SessionId, reason: Reason) -> Result<(), ControlError> {
        self.step(|state| {
            let id = state.session_owner(session)?;
            state.end_participant(id, reason);
            Ok(())
        })
    }

    async fn room_report(&self, room: &RoomName) -> Result<RoomReport, ControlError> {
        self.report_room(room).await
    }

    async fn keyframe(
        &self,
        room: &RoomName,
        track: &TrackSid,
        age_max: Duration,
        patience: Duration,
    ) -> Result<Option<Keyframe>, ControlError> {
        self.find_keyframe(room, track, age_max, patience).await
    }

    async fn open_tap(&self, room: &RoomName, door: TapDoor) -> Result<Tap, ControlError> {
        self.step(|state| state.open_tap(room, door))
    }

    async fn close_tap(&self, tap: TapId) {
        self.step(|state| state.close_tap(tap));
    }

    async fn request_keyframe(&self, tap: TapId, relay: RelayId) {
        self.step(|state| state.request_tapped_keyframe(tap, relay));
    }

    async fn note_verdict(
        &self,
        room: &RoomName,
        track: &TrackSid,
        verdict: Verdict,
    ) -> Result<(), ControlError> {
        self.step(|state| state.announce_verdict(room, track, verdict))
    }

    fn events(&self) -> broadcast::Receiver<RoomEvent> {
        self.events.subscribe()
    }

    fn presence(&self) -> broadcast::Receiver<Presence> {
        self.presence.subscribe()
    }

    async fn drain(&self) {
        self.step(State::drain);
    }

    async fn metrics(&self) -> Vec<(String, f64)> {
        let (mut metrics, reports) = self.step(|state| {
            let workers = state.workers.ids();
            let reports: Vec<_> = workers.map(|worker| state.workers.report(worker)).collect();
            (state.metrics(), reports)
        });
        let mut total: Vec<(&'static str, u64)> = Vec::new();
        let (mut sessions, mut tracks) = (0, 0);
        let mut delay = DelayHistogram::default();
        for report in reports {
            // A worker that is busy or restarting is left out of the sums this time.
            let answer = tokio::time::timeout(REPORT_TIMEOUT, report).await;
            if let Ok(Ok(report)) = answer {
                counters::add(&mut total, &report.counters);
                sessions += report.sessions;
                tracks += report.tracks;
                delay.add(&report.forwarding_delay);
            }
        }
        metrics.push(("worker_sessions".to_owned(), sessions as f64));
        metrics.push(("worker_tracks".to_owned(), tracks as f64));
        let total = total
            .into_iter()
            .map(|(name, value)| (format!("{name}_total"), value as f64));
        metrics.extend(total);
        counters::push_delay(&mut metrics, &delay);
        metrics
    }
}

#[cfg(test)]
mod tests;
