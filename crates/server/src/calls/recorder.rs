//! Recordings of calls: the call machine's wishes led to [`Recordings`], and what becomes of them led back.
//!
//! What happens to a call whose recording fails is the machine's decision, so for the recorder its room
//! goes on. One task has it all; what waits for the disk are tasks of their own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crosspoint_calls::door::StoreAction;
use crosspoint_calls::ids::{CallId, RecordingId};
use crosspoint_calls::media::{MediaAction, MediaEvent};
use crosspoint_calls::model::RecordingMode;
use crosspoint_calls::service::Recorder;
use crosspoint_calls::service::archive::Archive;
use crosspoint_control::model::RoomName;
use crosspoint_record::manifest::{Format, Manifest, Mode, OnFailure, Reason, State};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::recordings::{RecordingError, RecordingEvent, Recordings};

/// Wishes that may wait.
const ORDERS_MAX: usize = 4096;
/// News that may wait for the machine.
const NEWS_MAX: usize = 1024;
/// How often the machine is told that a recording goes on.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// A recorder that is silent for longer gives none.
const SILENCE_MAX: Duration = Duration::from_secs(1);
/// What calls' rooms are called: this, and the id of the call.
const ROOM_PREFIX: &str = "call-";

/// A recording of a call, as the machine knows it.
#[derive(Clone)]
struct Order {
    call: CallId,
    recording: RecordingId,
}

impl Order {
    fn running(self) -> MediaEvent {
        MediaEvent::RecordingRunning {
            call: self.call,
            recording: self.recording,
        }
    }

    fn failed(self, detail: String) -> MediaEvent {
        MediaEvent::RecordingFailed {
            call: self.call,
            recording: self.recording,
            user: None,
            detail,
        }
    }
}

/// How a recording stands.
enum Standing {
    /// Being begun; whether it was stopped meanwhile.
    Beginning { stopped: bool },
    /// Under way or being finished, by this id of the recorder's.
    Begun(String),
}

/// Starts the task; it ends with the call service.
pub(super) fn start(recordings: Arc<Recordings>, archive: Arc<dyn Archive>) -> Recorder {
    let (orders, wishes) = mpsc::channel(ORDERS_MAX);
    let (told, news) = mpsc::channel(NEWS_MAX);
    let events = recordings.events();
    let task = Task {
        recordings,
        archive,
        news: told,
        standing: HashMap::new(),
        begun: HashMap::new(),
        beginning: JoinSet::new(),
    };
    tokio::spawn(task.run(wishes, events));
    Recorder { orders, news }
}

struct Task {
    recordings: Arc<Recordings>,
    archive: Arc<dyn Archive>,
    news: mpsc::Sender<MediaEvent>,
    standing: HashMap<RecordingId, Standing>,
    /// By the recorder's id.
    begun: HashMap<String, Order>,
    beginning: JoinSet<(Order, Result<Manifest, RecordingError>)>,
}

impl Task {
    async fn run(
        mut self,
        mut wishes: mpsc::Receiver<MediaAction>,
        mut events: broadcast::Receiver<RecordingEvent>,
    ) {
        let mut tick = tokio::time::interval(SIGN_OF_LIFE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // What was begun is known before it is told how it ended.
                biased;
                Some(Ok((order, begun))) = self.beginning.join_next() => {
                    self.begun(order, begun).await;
                }
                event = events.recv() => match event {
                    Ok(RecordingEvent::Started(_)) => {}
                    Ok(RecordingEvent::Ready(manifest, _) | RecordingEvent::Aborted { manifest, .. }) => {
                        self.over(&manifest).await;
                    }
                    Err(RecvError::Lagged(_)) => self.look_at_all().await,
                    Err(RecvError::Closed) => return,
                },
                wish = wishes.recv() => match wish {
                    Some(wish) => self.take(wish),
                    None => return,
                },
                _ = tick.tick() => self.give_signs_of_life().await,
            }
        }
    }

    fn take(&mut self, wish: MediaAction) {
        match wish {
            MediaAction::StartRecording {
                room,
                call,
                recording,
                mode,
            } => {
                let standing = Standing::Beginning { stopped: false };
                self.standing.insert(recording.clone(), standing);
                let recordings = Arc::clone(&self.recordings);
                let order = Order { call, recording };
                self.beginning.spawn(async move {
                    let begun = begin(&recordings, &room, mode).await;
                    (order, begun)
                });
            }
            MediaAction::StopRecording { recording, .. } => {
                match self.standing.get_mut(&recording) {
                    Some(Standing::Beginning { stopped }) => *stopped = true,
                    Some(Standing::Begun(id)) => stop(&self.recordings, id.clone()),
                    None => {}
                }
            }
            _ => {}
        }
    }

    async fn begun(&mut self, order: Order, begun: Result<Manifest, RecordingError>) {
        let manifest = match begun {
            Ok(manifest) => manifest,
            Err(error) => {
                self.standing.remove(&order.recording);
                self.tell(order.failed(error.to_string())).await;
                return;
            }
        };
        let id = manifest.id;
        let standing = Standing::Begun(id.clone());
        let before = self.standing.insert(order.recording.clone(), standing);
        if matches!(before, Some(Standing::Beginning { stopped: true })) {
            stop(&self.recordings, id.clone());
        }
        self.begun.insert(id.clone(), order.clone());
        self.tell(order.running()).await;
        // It may be over already.
        self.look_at(&id).await;
    }

    async fn give_signs_of_life(&self) {
        if self.recordings.silent_for() > SILENCE_MAX {
            return;
        }
        for order in self.begun.values() {
            self.tell(order.clone().running()).await;
        }
    }

    /// Events were lost: what they would have said stands in the manifests.
    async fn look_at_all(&mut self) {
        for id in self.begun.keys().cloned().collect::<Vec<_>>() {
            self.look_at(&id).await;
        }
    }

    async fn look_at(&mut self, id: &str) {
        if let Ok(manifest) = self.recordings.get(id).await
            && matches!(manifest.state, State::Ready | State::Aborted)
        {
            self.over(&manifest).await;
        }
    }

    async fn over(&mut self, manifest: &Manifest) {
        let ready = manifest.state == State::Ready;
        let Some(order) = self.begun.remove(&manifest.id) else {
            // Of a call that an earlier server had: its record is all that there is of it.
            let call = manifest.room.strip_prefix(ROOM_PREFIX);
            if let Some(call) = call.filter(|_| ready).and_then(CallId::new) {
                self.archive
                    .keep(StoreAction::RecordingUrl(call, address(manifest)));
            }
            return;
        };
        self.standing.remove(&order.recording);
        let news = match ready {
            true => MediaEvent::RecordingReady {
                call: order.call,
                recording: order.recording,
                url: address(manifest),
                bytes: manifest.bytes,
            },
            false => {
                let reason = manifest.reason.map_or("", Reason::label);
                order.failed(reason.to_owned())
            }
        };
        self.tell(news).await;
    }

    async fn tell(&self, news: MediaEvent) {
        // The service may have ended.
        let _ = self.news.send(news).await;
    }
}

async fn begin(
    recordings: &Arc<Recordings>,
    room: &str,
    mode: RecordingMode,
) -> Result<Manifest, RecordingError> {
    let room = RoomName::new(room).ok_or_else(|| RecordingError::NotFound(room.to_owned()))?;
    let mode = match mode {
        RecordingMode::Each => Mode::Individual,
        RecordingMode::Mixed => Mode::Mixed,
        RecordingMode::Call => Mode::Call,
    };
    recordings
        .begin(&room, mode, Format::default(), OnFailure::Continue)
        .await
}

fn stop(recordings: &Arc<Recordings>, id: String) {
    let recordings = Arc::clone(recordings);
    tokio::spawn(async move {
        if let Err(error) = recordings.stop(&id).await {
            tracing::warn!(recording = id, %error, "a recording of a call could not be stopped");
        }
    });
}

/// Where a recording can be fetched: its composed file, or else its list of files; in the store that
/// has it, or on this server.
fn address(manifest: &Manifest) -> String {
    let mut files = manifest.files.iter();
    let composed = files.find(|file| file.track.is_none());
    match (&manifest.target, composed) {
        (Some(target), Some(file)) => format!("{}/{}", target.trim_end_matches('/'), file.name),
        (Some(target), None) => target.clone(),
        (None, Some(file)) => format!("/v1/recordings/{}/files/{}", manifest.id, file.name),
        (None, None) => format!("/v1/recordings/{}", manifest.id),
    }
}
