//! Recordings of rooms: taps led to the recorder, what it says led back, and what becomes of files.
//!
//! The recorder knows nothing of rooms and the control plane nothing of files; here they meet. Which
//! recordings there are is what the folder says ([`Manifest`]): it is the truth after a crash, too, and
//! the index in the store ([`index`]) follows it.

mod index;

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use crosspoint_control::api::{
    ControlError, RoomControl, RoomEvent, Tap, TapEvent, TapId, TapTrack,
};
use crosspoint_control::model::{Reason as RoomReason, RecordMode, RecordWhen, RoomInfo, RoomName};
use crosspoint_media::config::{RelayId, TrackSource};
use crosspoint_record::deliver::Store;
use crosspoint_record::manifest::{self, Format, Manifest, Mode, OnFailure, Participant, Reason};
use crosspoint_record::recorder::{Request, TrackRequest};
use crosspoint_record::{Finished, Finisher, Recorder, RecorderEvent};
use crosspoint_store::Store as Records;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};

use self::index::Index;
use crate::config::Config;

/// Events that may wait for a slow reader.
const EVENTS_MAX: usize = 256;

/// Pauses before a recording is finished that the disk did not let: the first, and the longest.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Everything that has to do with recordings.
pub struct Recordings {
    recorder: Recorder,
    finisher: Finisher,
    index: Index,
    control: Arc<dyn RoomControl>,
    events: broadcast::Sender<RecordingEvent>,
    active: Mutex<HashMap<String, Active>>,
    /// Why recordings ended that are not finished yet: their manifests may not say it, for want of room.
    ended: Mutex<HashMap<String, Reason>>,
}

/// A recording under way.
struct Active {
    room: RoomName,
    tap: Option<TapId>,
    relays: Vec<RelayId>,
}

/// What becomes of recordings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RecordingEvent {
    /// It was begun.
    Started(Arc<Manifest>),
    /// Its files are where they shall be: at this URL, or in this folder.
    Ready(Arc<Manifest>, String),
    /// It failed; its manifest says why and what is left. The room ends with it if `ends_call`.
    Aborted {
        manifest: Arc<Manifest>,
        ends_call: bool,
    },
}

impl RecordingEvent {
    pub(crate) const fn manifest(&self) -> &Arc<Manifest> {
        match self {
            Self::Started(manifest) | Self::Ready(manifest, _) | Self::Aborted { manifest, .. } => {
                manifest
            }
        }
    }
}

/// Why there is no recording.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordingError {
    #[error(transparent)]
    Control(#[from] ControlError),
    #[error("the room \"{0}\" may not be recorded (its setting recording.when is \"off\")")]
    Off(RoomName),
    #[error("the room \"{room}\" is being recorded already, as {id}")]
    Already { room: RoomName, id: String },
    #[error("there is no recording \"{0}\"")]
    NotFound(String),
    #[error("the recording cannot be written: {0}")]
    Disk(#[from] io::Error),
    #[error("the recorder is overloaded; try again in a moment")]
    Overloaded,
}

impl Recordings {
    /// Starts the recorder. `None` when recording is not enabled. `records`: where the index is kept,
    /// and the name of this node.
    ///
    /// # Errors
    /// A folder that cannot be written, a target that cannot be used.
    pub(crate) fn start(
        config: &Config,
        control: Arc<dyn RoomControl>,
        records: Option<(Records, String)>,
    ) -> anyhow::Result<Option<Arc<Self>>> {
        let settings = &config.recording;
        if !settings.enabled {
            return Ok(None);
        }
        let folder = match settings.folder.as_os_str().is_empty() {
            true => config.data_dir.join("recordings"),
            false => settings.folder.clone(),
        };
        let store = match settings.target.as_str() {
            "" => None,
            target => {
                let options = settings.target_options.iter();
                let options: Vec<String> = options.map(|o| o.reveal().to_owned()).collect();
                Some(Store::open(target, &options).context("recording.target")?)
            }
        };
        let quota = match store {
            Some(_) => settings.spool_bytes,
            None => 0,
        };
        let (recorder, events) = Recorder::start(&folder, quota)
            .with_context(|| format!("the recorder: {}", folder.display()))?;
        let finisher = Finisher::new(&folder, store, recorder.backlog());
        let recordings = Arc::new(Self {
            recorder,
            finisher,
            index: Index::new(&folder, records),
            events: broadcast::channel(EVENTS_MAX).0,
            active: Mutex::default(),
            ended: Mutex::default(),
            control,
        });
        tokio::spawn(Arc::clone(&recordings).follow_recorder(events));
        tokio::spawn(Arc::clone(&recordings).follow_rooms());
        Ok(Some(recordings))
    }

    /// Takes up what an earlier server left unfinished; to be called when those who want to hear of it
    /// listen.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub(crate) fn take_up(self: &Arc<Self>) -> io::Result<()> {
        for id in crosspoint_record::unfinished(self.recorder.folder())? {
            tracing::info!(
                recording = id,
                "taking up a recording that was not finished"
            );
            tokio::spawn(Arc::clone(self).finish(id, Reason::Crashed, false));
        }
        let indexed = Arc::clone(self);
        tokio::spawn(async move { indexed.index.agree().await });
        Ok(())
    }

    /// See [`Recorder::silent_for`].
    pub(crate) fn silent_for(&self) -> Duration {
        self.recorder.silent_for()
    }

    /// What becomes of recordings, from now on.
    pub(crate) fn events(&self) -> broadcast::Receiver<RecordingEvent> {
        self.events.subscribe()
    }

    /// Named totals.
    pub(crate) fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.recorder.counters()
    }

    /// Begins to record a room.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        room: &RoomName,
        mode: Mode,
        format: Format,
        on_failure: OnFailure,
    ) -> Result<Manifest, RecordingError> {
        let info = self.control.room(room).await?;
        if info.settings.recording.when == RecordWhen::Off {
            return Err(RecordingError::Off(room.clone()));
        }
        let request = Request {
            room: room.as_str().to_owned(),
            room_sid: info.sid,
            mode,
            format,
            on_failure,
        };
        let this = Arc::clone(self);
        let begun = tokio::task::spawn_blocking(move || this.recorder.begin(request));
        let manifest = begun.await.map_err(io::Error::other)??;
        let id = manifest.id.clone();
        if let Err(other) = self.enter(&id, room) {
            self.give_up(&id);
            let room = room.clone();
            return Err(RecordingError::Already { room, id: other });
        }
        match self.control.open_tap(room, self.recorder.door()).await {
            Ok(tap) => {
                if let Some(active) = self.lock().get_mut(&id) {
                    active.tap = Some(tap.id);
                }
                tokio::spawn(Arc::clone(self).follow_tap(id, tap));
            }
            Err(error) => {
                self.give_up(&id);
                return Err(error.into());
            }
        }
        self.index.note(&manifest).await;
        let started = RecordingEvent::Started(Arc::new(manifest.clone()));
        let _ = self.events.send(started);
        Ok(manifest)
    }

    /// Ends a recording. One that has ended stays as it is.
    pub(crate) async fn stop(&self, id: &str) -> Result<Manifest, RecordingError> {
        let manifest = self.get(id).await?;
        // In this order: a tap that is closed is a reason to stop, too.
        self.recorder
            .stop(id, Reason::Stopped)
            .map_err(|_| RecordingError::Overloaded)?;
        self.close_tap(id).await;
        Ok(manifest)
    }

    /// Recordings without their gaps, newest first; those of one room if it is given.
    pub(crate) async fn list(&self, room: Option<String>) -> Result<Vec<Manifest>, RecordingError> {
        let found = self.index.list(room).await?.into_iter();
        Ok(found.map(|manifest| self.as_known(manifest)).collect())
    }

    /// One recording.
    pub(crate) async fn get(&self, id: &str) -> Result<Manifest, RecordingError> {
        let unknown = || RecordingError::NotFound(id.to_owned());
        let folder = self.folder_of(id).ok_or_else(unknown)?;
        let read = tokio::task::spawn_blocking(move || Manifest::read(&folder));
        match read.await.map_err(io::Error::other)? {
            Ok(manifest) => Ok(self.as_known(manifest)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.index.elsewhere(id).await.ok_or_else(unknown)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A manifest with what is not on the disk: how long a recording has lasted that goes on, and why
    /// one failed if there was no room for that.
    fn as_known(&self, mut manifest: Manifest) -> Manifest {
        if manifest.state != manifest::State::Recording {
            return manifest;
        }
        let ended = lock(&self.ended).get(&manifest.id).copied();
        if let Some(reason) = ended.filter(|reason| !reason.is_good()) {
            manifest.state = manifest::State::Aborted;
            manifest.reason = Some(reason);
        } else if self.lock().contains_key(&manifest.id) {
            manifest.duration_ms = self.recorder.elapsed_ms(&manifest);
        }
        manifest
    }

    /// Where a file of a recording is, if it is on this machine.
    pub(crate) fn file(&self, manifest: &Manifest, name: &str) -> Option<PathBuf> {
        let folder = self.folder_of(&manifest.id)?;
        let path = manifest.path_of(&folder, name)?;
        path.is_file().then_some(path)
    }

    fn folder_of(&self, id: &str) -> Option<PathBuf> {
        manifest::is_id(id).then(|| self.recorder.folder().join(id))
    }

    /// Enters a recording among those under way; else the id of the room's other one.
    fn enter(&self, id: &str, room: &RoomName) -> Result<(), String> {
        let mut active = self.lock();
        let other = active.iter().find(|(_, active)| active.room == *room);
        if let Some((other, _)) = other {
            return Err(other.clone());
        }
        let entry = Active {
            room: room.clone(),
            tap: None,
            relays: Vec::new(),
        };
        active.insert(id.to_owned(), entry);
        Ok(())
    }

    /// Ends a recording that was begun for nothing.
    fn give_up(&self, id: &str) {
        if self.recorder.stop(id, Reason::Stopped).is_err() {
            tracing::warn!(recording = id, "the recorder is overloaded");
        }
    }

    async fn close_tap(&self, id: &str) {
        let tap = self.lock().get_mut(id).and_then(|active| active.tap.take());
        if let Some(tap) = tap {
            self.control.close_tap(tap).await;
        }
    }

    /// Tells the recorder which tracks there are.
    async fn follow_tap(self: Arc<Self>, id: String, mut tap: Tap) {
        loop {
            let told = match tap.events.recv().await {
                Some(TapEvent::Track(track)) => {
                    if let Some(active) = self.lock().get_mut(&id)
                        && !active.relays.contains(&track.relay)
                    {
                        active.relays.push(track.relay);
                    }
                    self.recorder.track(&id, track_request(*track))
                }
                Some(TapEvent::Gone(relay)) => self.recorder.gone(relay),
                Some(TapEvent::Ended(reason)) => {
                    let reason = match reason {
                        RoomReason::ServerShutdown => Reason::ServerShutdown,
                        _ => Reason::RoomFinished,
                    };
                    let _ = self.recorder.stop(&id, reason);
                    return;
                }
                None => {
                    // Closed by us, after a stop that stays the reason; or for falling behind.
                    let _ = self.recorder.stop(&id, Reason::Overloaded);
                    return;
                }
            };
            if told.is_err() {
                tracing::warn!(recording = id, "the recorder is overloaded");
            }
        }
    }

    async fn follow_recorder(self: Arc<Self>, mut events: mpsc::Receiver<RecorderEvent>) {
        while let Some(event) = events.recv().await {
            match event {
                RecorderEvent::KeyframeWanted(relay) => {
                    let tap = self.tap_of(relay);
                    if let Some(tap) = tap {
                        self.control.request_keyframe(tap, relay).await;
                    }
                }
                RecorderEvent::Ended { id, reason } => {
                    self.close_tap(&id).await;
                    lock(&self.ended).insert(id.clone(), reason);
                    let room = self.lock().remove(&id).map(|active| active.room);
                    let ends_call = self.end_room_if_asked(&id, room, reason).await;
                    tokio::spawn(Arc::clone(&self).finish(id, reason, ends_call));
                }
            }
        }
    }

    fn tap_of(&self, relay: RelayId) -> Option<TapId> {
        let active = self.lock();
        let active = active.values().find(|a| a.relays.contains(&relay))?;
        active.tap
    }

    /// Whether the room ended because its recording failed.
    async fn end_room_if_asked(&self, id: &str, room: Option<RoomName>, reason: Reason) -> bool {
        let failed = matches!(
            reason,
            Reason::DiskFull | Reason::DiskError | Reason::SpoolFull | Reason::Overloaded
        );
        let Some(room) = room.filter(|_| failed) else {
            return false;
        };
        let manifest = self.get(id).await;
        if manifest.is_ok_and(|manifest| manifest.on_failure == OnFailure::End) {
            let ended = self.control.delete_room(&room, RoomReason::RecordingFailed);
            return ended.await.is_ok();
        }
        false
    }

    /// Closes, composes and delivers, and tells everyone. While the disk does not let it, it is tried
    /// again: nothing is lost meanwhile.
    async fn finish(self: Arc<Self>, id: String, ended: Reason, ends_call: bool) {
        let mut told = false;
        let mut pause = PAUSE_FIRST;
        let finished = loop {
            let error = match self.finisher.finish(&id, ended).await {
                Ok(finished) => break Some(finished),
                Err(error) => error,
            };
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) {
                tracing::error!(recording = id, %error, "a recording cannot be finished");
                break None;
            }
            if pause == PAUSE_FIRST {
                tracing::warn!(recording = id, %error, "a recording cannot be finished yet");
            }
            // Whoever waits for a recording that failed need not wait for the disk.
            if !told
                && !ended.is_good()
                && let Ok(manifest) = self.get(&id).await
            {
                told = true;
                self.tell_aborted(manifest, ends_call);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        };
        lock(&self.ended).remove(&id);
        let Some(Finished { manifest, url }) = finished else {
            return;
        };
        tracing::info!(recording = id, state = ?manifest.state, "recording finished");
        self.index.note(&manifest).await;
        if manifest.state == manifest::State::Ready {
            let ready = RecordingEvent::Ready(Arc::new(manifest), url);
            let _ = self.events.send(ready);
        } else if !told {
            self.tell_aborted(manifest, ends_call);
        }
    }

    fn tell_aborted(&self, manifest: Manifest, ends_call: bool) {
        let _ = self.events.send(RecordingEvent::Aborted {
            manifest: Arc::new(manifest),
            ends_call,
        });
    }

    /// Records rooms whose settings say so.
    async fn follow_rooms(self: Arc<Self>) {
        let mut events = self.control.events();
        loop {
            match events.recv().await {
                Ok(RoomEvent::RoomStarted(room) | RoomEvent::RoomUpdated(room)) => {
                    self.record_if_asked(room).await;
                }
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => {
                    for room in self.control.rooms().await.unwrap_or_default() {
                        self.record_if_asked(room).await;
                    }
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn record_if_asked(self: &Arc<Self>, room: RoomInfo) {
        let policy = room.settings.recording;
        let recorded = || self.lock().values().any(|active| active.room == room.name);
        if policy.when != RecordWhen::Always || recorded() {
            return;
        }
        let on_failure = match policy.end_on_failure {
            true => OnFailure::End,
            false => OnFailure::Continue,
        };
        let mode = mode_of(policy.mode);
        let begun = self.begin(&room.name, mode, Format::default(), on_failure);
        if let Err(error) = begun.await {
            tracing::warn!(room = %room.name, %error, "a room is not recorded");
            if policy.end_on_failure {
                let reason = RoomReason::RecordingFailed;
                let _ = self.control.delete_room(&room.name, reason).await;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Active>> {
        lock(&self.active)
    }
}

fn lock<T>(map: &Mutex<T>) -> MutexGuard<'_, T> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a policy's mode is called by the recorder.
const fn mode_of(mode: RecordMode) -> Mode {
    match mode {
        RecordMode::Individual => Mode::Individual,
        RecordMode::Call => Mode::Call,
        RecordMode::Mixed => Mode::Mixed,
    }
}

fn track_request(tapped: TapTrack) -> TrackRequest {
    TrackRequest {
        relay: tapped.relay,
        sid: tapped.track.sid.0,
        participant: Participant {
            identity: tapped.participant.identity.as_str().to_owned(),
            sid: tapped.participant.sid,
            name: tapped.participant.name,
        },
        kind: tapped.track.kind,
        source: match tapped.track.source {
            TrackSource::Microphone => "microphone",
            TrackSource::Camera => "camera",
            TrackSource::ScreenShare => "screen_share",
            TrackSource::ScreenShareAudio => "screen_share_audio",
            TrackSource::Other => "other",
        },
        payloads: tapped.payloads,
        size: (tapped.track.width, tapped.track.height),
        muted: tapped.track.muted,
    }
}

/// `crosspoint verify DIR`: what is wrong with a recording, or with each in a folder of them.
///
/// # Errors
/// The system's, when the folder cannot be read.
pub fn verify(folder: &Path) -> io::Result<Vec<String>> {
    if folder.join(manifest::FILE_NAME).exists() {
        return crosspoint_record::verify::verify(folder);
    }
    let mut problems = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.join(manifest::FILE_NAME).exists() {
            let found = crosspoint_record::verify::verify(&path)?;
            let name = path.display();
            problems.extend(found.into_iter().map(|p| format!("{name}: {p}")));
        }
    }
    Ok(problems)
}

/// `crosspoint compose DIR`: makes the composed file of a recording anew. Its name.
///
/// # Errors
/// No manifest, or what keeps ffmpeg from making it.
pub async fn compose(
    folder: &Path,
    mode: Option<Mode>,
    progress: impl FnMut(u8),
) -> anyhow::Result<String> {
    let mut manifest = Manifest::read(folder).context("the manifest cannot be read")?;
    if let Some(mode) = mode {
        manifest.mode = mode;
    }
    crosspoint_record::compose::compose(folder, &mut manifest, progress).await?;
    manifest.write(folder, true)?;
    let composed = manifest.files.last().map(|file| file.name.clone());
    Ok(composed.unwrap_or_default())
}
