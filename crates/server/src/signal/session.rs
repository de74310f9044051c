//! A participant's stay as signalling sees it: an actor that outlives its WebSockets.
//!
//! States: *attached* to the outbox of one socket, or *waiting* for one until a deadline, after which
//! the stay ends with `signal_lost`. When the control plane ends a stay whose client is away, also when
//! that is not known yet, the client hears of it if it comes back in time: it must not take a kick for
//! a bad network and join anew. Requests are carried out one after the other, so replies and events
//! reach the client in the order in which things happened.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crosspoint_control::api::{
    JoinRequest, MutedBy, Offer, ParticipantPatch, RoomControl, SessionEvent,
};
use crosspoint_control::model::{
    Identity, ParticipantInfo, Reason, RoomName, SubscriptionWish, TrackSid,
};
use crosspoint_control::shared::SharedEvent;
use crosspoint_media::config::SessionId;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::outbox::Outbox;
use super::protocol::{Incoming, JoinedDto, Outgoing, Reply, Request, numbered};
use super::replay::Replay;
use crate::app::App;
use crate::http::dto::{WishDto, all};
use crate::http::problem::Problem;
use crate::report::Reporter;
use crate::telemetry;

/// Requests of one client that wait to be carried out; its socket is not read meanwhile.
const INPUTS: usize = 32;

/// What a socket tells its session.
pub(super) enum Input {
    /// The client is here (again) and has heard everything up to `last_seq`.
    Resume {
        id: Option<u64>,
        last_seq: u64,
        outbox: Arc<Outbox>,
    },
    /// The client says something.
    Incoming(Incoming),
    /// The client has everything up to this number.
    Heard(u64),
    /// This socket is gone.
    Detached(Arc<Outbox>),
    /// The client has read all that went to this socket, and closed it when it was closed here.
    Parted(Arc<Outbox>),
}

/// A session as sockets and the registry hold it.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) inputs: mpsc::Sender<Input>,
    /// Who it is: a resume token does not help somebody else.
    pub(super) identity: Identity,
}

/// All sessions, by resume token.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Handle>>);

impl Sessions {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn find(&self, token: &str) -> Option<Handle> {
        self.lock().get(token).cloned()
    }

    fn insert(&self, token: String, handle: Handle) {
        self.lock().insert(token, handle);
    }

    fn remove(&self, token: &str) {
        self.lock().remove(token);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Handle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Joins, answers the first offer if there is one, and starts the session. What the client is told
/// goes to `outbox`, the reply to its join first.
pub(super) async fn start(
    app: &Arc<App>,
    id: Option<u64>,
    request: JoinRequest,
    offer: Option<Offer>,
    outbox: Arc<Outbox>,
) -> Result<Handle, Problem> {
    if let Some(offer) = &offer {
        app.control.check_offer(&request.permissions, offer).await?;
    }
    let joined = app.control.join(request).await?;
    let session = joined.session;
    let answer = match offer {
        None => None,
        Some(offer) => match app.control.offer(session, offer).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                // Nothing has come of this join; why is in the reply.
                let _ = app.control.leave(session, Reason::ClientLeft).await;
                return Err(error.into());
            }
        },
    };
    let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let (inputs, received) = mpsc::channel(INPUTS);
    let handle = Handle {
        inputs,
        identity: joined.participant.identity.clone(),
    };
    let mut actor = Session {
        control: Arc::clone(&app.control),
        session,
        room: joined.room.name.clone(),
        me: joined.participant.clone(),
        replay: Replay::new(),
        resume_window: Duration::from_secs(app.config.signal.resume_s),
        link: Link::Attached(outbox),
        reporter: Arc::clone(&app.reporter),
        wants_reports: false,
        joined: Instant::now(),
        connected: false,
    };
    actor.say(&Outgoing::reply(
        id,
        Ok(Reply::Joined(Box::new(JoinedDto {
            session: token.clone(),
            participant: joined.participant.into(),
            room: joined.room.into(),
            participants: all(joined.others),
            answer: answer.map(Into::into),
        }))),
    ));
    app.signal.insert(token.clone(), handle.clone());
    let registered = Registered {
        app: Arc::clone(app),
        token,
    };
    tokio::spawn(async move {
        actor.run(joined.events, received).await;
        drop(registered);
    });
    Ok(handle)
}

/// Takes the session out of the registry however its task ends.
struct Registered {
    app: Arc<App>,
    token: String,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.app.signal.remove(&self.token);
    }
}

enum Link {
    Attached(Arc<Outbox>),
    Waiting(Instant),
}

struct Session {
    control: Arc<dyn RoomControl>,
    session: SessionId,
    room: RoomName,
    me: ParticipantInfo,
    replay: Replay,
    resume_window: Duration,
    link: Link,
    reporter: Arc<Reporter>,
    wants_reports: bool,
    joined: Instant,
    /// Whether its media has been up.
    connected: bool,
}

/// Whether the session goes on.
enum Next {
    Go,
    /// It ends by itself, for this reason.
    End(Reason),
    /// The control plane has ended it.
    Ended,
}

impl Session {
    async fn run(
        mut self,
        mut events: mpsc::Receiver<SharedEvent>,
        mut inputs: mpsc::Receiver<Input>,
    ) {
        let mut ticks = self.reporter.ticks();
        let reason = loop {
            let next = tokio::select! {
                // What has happened is known before something is done about it: after a move a
                // request means the new room.
                biased;
                event = events.recv() => match event {
                    Some(event) => self.on_event(event),
                    None => Next::Ended,
                },
                input = inputs.recv() => match input {
                    Some(input) => self.on_input(input).await,
                    // The registry holds a sender, so this does not happen while it runs.
                    None => Next::End(Reason::SignalLost),
                },
                () = self.deadline() => Next::End(Reason::SignalLost),
                Ok(()) = ticks.changed(), if self.wants_reports => {
                    self.report();
                    Next::Go
                }
            };
            if self.is_slow() {
                break Some(Reason::SlowClient);
            }
            match next {
                Next::Go => {}
                Next::End(reason) => break Some(reason),
                Next::Ended => break None,
            }
        };
        match reason {
            Some(reason) => self.leave(reason).await,
            None => self.await_parting(&mut inputs).await,
        }
        // Who comes back at this very moment is not left without an answer.
        inputs.close();
        while let Some(input) = inputs.recv().await {
            self.on_socket(input);
        }
        if let Link::Attached(outbox) = &self.link {
            outbox.close();
        }
    }

    async fn leave(&mut self, reason: Reason) {
        if let Err(error) = self.control.leave(self.session, reason).await {
            tracing::debug!(%error, "the session had ended already");
        }
        self.say(&Outgoing::from(SessionEvent::Ended(reason)));
        tracing::info!(
            room = %self.room, identity = %self.me.identity, reason = reason.label(),
            "signalling ended"
        );
    }

    /// The stay is over. Waits until the client has been told why, if need be when it comes back, or
    /// its time is up.
    async fn await_parting(&mut self, inputs: &mut mpsc::Receiver<Input>) {
        loop {
            let deadline = match &self.link {
                // Its network may be gone, which nobody has noticed yet.
                Link::Attached(outbox) => {
                    outbox.close();
                    Instant::now() + self.resume_window
                }
                Link::Waiting(deadline) => *deadline,
            };
            match tokio::time::timeout_at(deadline, inputs.recv()).await {
                Ok(Some(Input::Parted(outbox))) if self.is_attached_to(&outbox) => return,
                Ok(Some(input)) => self.on_socket(input),
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn is_attached_to(&self, outbox: &Arc<Outbox>) -> bool {
        matches!(&self.link, Link::Attached(current) if Arc::ptr_eq(current, outbox))
    }

    /// Ends when the client has been away for too long.
    async fn deadline(&self) {
        match self.link {
            Link::Attached(_) => std::future::pending().await,
            Link::Waiting(deadline) => tokio::time::sleep_until(deadline).await,
        }
    }

    fn on_event(&mut self, event: SharedEvent) -> Next {
        match &*event {
            SessionEvent::ParticipantUpdated(who) if who.identity == self.me.identity => {
                self.me = who.clone();
            }
            SessionEvent::Moved(room, _) => self.room = room.name.clone(),
            SessionEvent::Connected if !self.connected => {
                self.connected = true;
                telemetry::note_join(self.joined.elapsed());
            }
            _ => {}
        }
        let ended = matches!(*event, SessionEvent::Ended(_));
        if matches!(*event, SessionEvent::Ended(Reason::ServerShutdown)) {
            // There will be nothing to come back to.
            self.resume_window = Duration::ZERO;
            if let Link::Waiting(deadline) = &mut self.link {
                *deadline = Instant::now();
            }
        }
        let text = event.written(|event| Outgoing::from(event.clone()).text().into());
        self.say_frame(numbered(&text, self.replay.next_seq()));
        if ended { Next::Ended } else { Next::Go }
    }

    async fn on_input(&mut self, input: Input) -> Next {
        match input {
            Input::Incoming(Incoming { id, request }) => {
                let outcome = match request {
                    Ok(Request::Leave {}) => return Next::End(Reason::ClientLeft),
                    Ok(request) => self.carry_out(request).await,
                    Err(problem) => Err(problem),
                };
                if id.is_some() || outcome.is_err() {
                    self.say(&Outgoing::reply(id, outcome));
                }
            }
            about_socket => self.on_socket(about_socket),
        }
        Next::Go
    }

    /// Sockets come and go, also when the stay is over and requests mean nothing any more.
    fn on_socket(&mut self, input: Input) {
        match input {
            Input::Resume {
                id,
                last_seq,
                outbox,
            } => self.resume(id, last_seq, outbox),
            Input::Heard(seq) => self.replay.acknowledge(seq),
            Input::Detached(outbox) => {
                if self.is_attached_to(&outbox) {
                    self.link = Link::Waiting(Instant::now() + self.resume_window);
                }
            }
            Input::Parted(_) | Input::Incoming(_) => {}
        }
    }

    /// Goes on with another socket, if everything that it missed is still here.
    fn resume(&mut self, id: Option<u64>, last_seq: u64, outbox: Arc<Outbox>) {
        let Some(missed) = self.replay.after(last_seq) else {
            let frame = Outgoing::reply(id, Err(session_expired())).frame(0);
            let _ = outbox.push(frame);
            outbox.close();
            return;
        };
        // What does not fit is found out by `is_slow`.
        let fits = missed.cloned().all(|frame| outbox.push(frame).is_ok());
        let before = std::mem::replace(&mut self.link, Link::Attached(Arc::clone(&outbox)));
        if let Link::Attached(before) = before {
            before.close();
        }
        if fits {
            self.replay.acknowledge(last_seq);
            self.say(&Outgoing::reply(id, Ok(Reply::Resumed { resumed: true })));
        } else {
            outbox.close();
            self.link = Link::Waiting(Instant::now() + self.resume_window);
        }
    }

    async fn carry_out(&mut self, request: Request) -> Result<Reply, Problem> {
        match request {
            Request::Offer { offer } => {
                let answer = self.control.offer(self.session, offer.into()).await?;
                let answer = answer.into();
                Ok(Reply::Answer { answer })
            }
            Request::Mute { track, muted } => {
                let track = TrackSid(track);
                let me = self.control.participant(&self.room, &self.me.identity);
                if !me.await?.tracks.iter().any(|own| own.sid == track) {
                    return Err(Problem::from(
                        crosspoint_control::api::ControlError::TrackNotFound(track),
                    ));
                }
                self.control
                    .set_track_muted(&self.room, &track, MutedBy::Owner, muted)
                    .await?;
                Ok(Reply::Done {})
            }
            Request::Subscribe {
                track,
                wanted,
                largest,
            } => {
                let wish = SubscriptionWish::from(WishDto { wanted, largest });
                self.control
                    .set_subscription(&self.room, &self.me.identity, &TrackSid(track), wish)
                    .await?;
                Ok(Reply::Done {})
            }
            Request::Explain { track } => {
                let report = self
                    .control
                    .explain(&self.room, &self.me.identity, &TrackSid(track))
                    .await?;
                let explanation = Box::new(report.into());
                Ok(Reply::Explanation { explanation })
            }
            Request::Message(message) => {
                self.permit(self.me.permissions.can_publish_data, "canPublishData")?;
                let message = message.from(Some(self.me.identity.clone()))?;
                self.control.send_message(&self.room, message).await?;
                Ok(Reply::Done {})
            }
            Request::Update {
                name,
                metadata,
                attributes,
            } => {
                self.permit(
                    self.me.permissions.can_update_own_metadata,
                    "canUpdateOwnMetadata",
                )?;
                let patch = ParticipantPatch {
                    name,
                    metadata,
                    attributes,
                    permissions: None,
                    policy: None,
                };
                let participant = self
                    .control
                    .update_participant(&self.room, &self.me.identity, patch)
                    .await?
                    .into();
                Ok(Reply::Participant { participant })
            }
            Request::Reports { wanted } => {
                self.wants_reports = wanted;
                Ok(Reply::Done {})
            }
            Request::Ping {} | Request::Leave {} => Ok(Reply::Done {}),
            Request::Join { .. } | Request::Resume { .. } | Request::Unknown => {
                let detail = "this connection has joined already";
                Err(Problem::bad_request("already_joined", detail))
            }
        }
    }

    fn permit(&self, permitted: bool, name: &'static str) -> Result<(), Problem> {
        if permitted {
            Ok(())
        } else {
            Err(crosspoint_control::api::ControlError::NotPermitted(name).into())
        }
    }

    /// Tells the client, now or when it is back.
    fn say(&mut self, message: &Outgoing) {
        self.say_frame(message.frame(self.replay.next_seq()));
    }

    fn say_frame(&mut self, frame: Utf8Bytes) {
        self.replay.push(frame.clone());
        if let Link::Attached(outbox) = &self.link {
            // A full box closes itself to us: see `is_slow`.
            let _ = outbox.push(frame);
        }
    }

    /// Tells the client, if it is here, what is measured at it.
    fn report(&self) {
        if let Link::Attached(outbox) = &self.link
            && let Some(report) = self.reporter.about(&self.room, &self.me.sid)
        {
            let report = Box::new(report);
            // As in `say`.
            let _ = outbox.push(Outgoing::Report { report }.passing_frame());
        }
    }

    /// Whether the client has left too much unread.
    fn is_slow(&self) -> bool {
        matches!(&self.link, Link::Attached(outbox) if outbox.overflowed())
    }
}

/// The client must join anew.
pub(super) fn session_expired() -> Problem {
    Problem::new(
        axum::http::StatusCode::GONE,
        "session_expired",
        "The session is over",
        "it ended, or what was missed is not kept any more; join anew",
    )
}
