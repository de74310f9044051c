//! The recorder: one thread between the taps and the disk.
//!
//! It takes batches from its [door](Recorder::door), which is bounded: when the disk stands still, workers
//! lose recording packets and count them, and nothing else happens to a call. It makes no decision about
//! rooms: who holds it adds tracks and says when to stop.

mod counters;
mod live;
mod thread;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crosspoint_media::config::{PayloadConfig, RelayId};
use crosspoint_media::tap::TapDoor;
use crosspoint_wire::codec::MediaKind;
use tokio::sync::mpsc;

use crate::Micros;
use crate::disk::{Disk, SystemDisk};
use crate::manifest::{self, Format, Manifest, Mode, OnFailure, Participant, Reason, State};
use counters::Counters;
use thread::{Command, Thread};

/// Commands that may wait for the thread.
const COMMANDS_MAX: usize = 4096;

/// Events that may wait for their reader.
const EVENTS_MAX: usize = 1024;

/// A running recorder. Dropping it closes what is being recorded, with `server_shutdown`.
pub struct Recorder {
    folder: PathBuf,
    door: TapDoor,
    commands: SyncSender<Command>,
    counters: Arc<Counters>,
    backlog: Arc<AtomicU64>,
    clock: Clock,
    thread: Option<JoinHandle<()>>,
}

/// What a recorder tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecorderEvent {
    /// The publisher of a relay's track should be asked for a keyframe.
    KeyframeWanted(RelayId),
    /// A recording has ended and its files are closed. It may be finished now.
    Ended {
        /// Its id.
        id: String,
        /// Why.
        reason: Reason,
    },
}

/// What is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Name of the room.
    pub room: String,
    /// Id of its occurrence.
    pub room_sid: String,
    /// What it shall become.
    pub mode: Mode,
    /// Container of a composed file.
    pub format: Format,
    /// What becomes of the room when it fails.
    pub on_failure: OnFailure,
}

/// A track that is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackRequest {
    /// By which its packets are known.
    pub relay: RelayId,
    /// Id of the track.
    pub sid: String,
    /// Whose it is.
    pub participant: Participant,
    /// Sound or pictures.
    pub kind: MediaKind,
    /// E.g. `camera`: a part of its file's name.
    pub source: &'static str,
    /// Formats that it may have.
    pub payloads: Vec<PayloadConfig>,
    /// Pixels as its publisher said; 0 when unknown.
    pub size: (u32, u32),
    /// Whether nothing flows by its owner's or the server's will.
    pub muted: bool,
}

/// Too much waits for the recorder's thread: its disk stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the recorder is overloaded")]
pub struct Overloaded;

impl Recorder {
    /// Starts the thread. Recordings are made in folders of their own in `folder`. `quota_bytes`:
    /// most that may wait there for a store, 0: no limit.
    ///
    /// # Errors
    /// The system's, when the folder or the thread cannot be made.
    pub fn start(
        folder: &Path,
        quota_bytes: u64,
    ) -> io::Result<(Self, mpsc::Receiver<RecorderEvent>)> {
        Self::start_on(folder, quota_bytes, Box::new(SystemDisk))
    }

    pub(crate) fn start_on(
        folder: &Path,
        quota_bytes: u64,
        disk: Box<dyn Disk>,
    ) -> io::Result<(Self, mpsc::Receiver<RecorderEvent>)> {
        fs::create_dir_all(folder)?;
        let (door, batches) = TapDoor::new();
        let (commands, queue) = sync_channel(COMMANDS_MAX);
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let counters = Arc::new(Counters::default());
        let backlog = Arc::new(AtomicU64::new(0));
        let clock = Clock::start();
        let thread = Thread::new(
            disk,
            batches,
            queue,
            events,
            Arc::clone(&counters),
            thread::Quota {
                bytes: quota_bytes,
                backlog: Arc::clone(&backlog),
            },
            clock,
        )?;
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || thread.run())?;
        let recorder = Self {
            folder: folder.to_owned(),
            door,
            commands,
            counters,
            backlog,
            clock,
            thread: Some(thread),
        };
        Ok((recorder, receiver))
    }

    /// Where taps bring their packets.
    #[must_use]
    pub fn door(&self) -> TapDoor {
        self.door.clone()
    }

    /// Where recordings are: each in a folder named by its id.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Begins a recording: its folder and manifest are there when this returns. Blocks on the disk.
    ///
    /// # Errors
    /// The system's; nothing is left then. [`io::ErrorKind::WouldBlock`] when the recorder is
    /// overloaded.
    pub fn begin(&self, request: Request) -> io::Result<Manifest> {
        let zero = self.clock.now();
        let started_us = u64::try_from(zero).unwrap_or(0);
        let id = manifest::new_id();
        let folder = self.folder.join(&id);
        let manifest = Manifest {
            version: 1,
            id,
            room: request.room,
            room_sid: request.room_sid,
            mode: request.mode,
            format: request.format,
            on_failure: request.on_failure,
            state: State::Recording,
            reason: None,
            started_at: manifest::rfc3339(started_us),
            started_us,
            ended_at: None,
            duration_ms: 0,
            bytes: 0,
            participants: Vec::new(),
            tracks: Vec::new(),
            files: Vec::new(),
            progress: None,
            target: None,
        };
        fs::create_dir(&folder)?;
        let begun = manifest.write(&folder, true).and_then(|()| {
            let command = Command::Begin {
                folder: folder.clone(),
                manifest: Box::new(manifest.clone()),
            };
            self.send(command)
                .map_err(|Overloaded| io::ErrorKind::WouldBlock.into())
        });
        if let Err(error) = begun {
            let _ = fs::remove_dir_all(&folder);
            return Err(error);
        }
        Ok(manifest)
    }

    /// Adds a track to a recording, or says what has changed about one.
    ///
    /// # Errors
    /// [`Overloaded`]: the track would be missing.
    pub fn track(&self, recording: &str, track: TrackRequest) -> Result<(), Overloaded> {
        let recording = recording.to_owned();
        self.send(Command::Track { recording, track })
    }

    /// Ends a track.
    ///
    /// # Errors
    /// [`Overloaded`]: it goes on until its recording ends.
    pub fn gone(&self, relay: RelayId) -> Result<(), Overloaded> {
        let at = self.clock.now();
        self.send(Command::Gone { relay, at })
    }

    /// Ends a recording. A second time is without effect, as is an unknown id.
    ///
    /// # Errors
    /// [`Overloaded`]: it goes on.
    pub fn stop(&self, recording: &str, reason: Reason) -> Result<(), Overloaded> {
        let recording = recording.to_owned();
        let at = self.clock.now();
        self.send(Command::Stop {
            recording,
            reason,
            at,
        })
    }

    /// How long a recording that goes on has lasted, in milliseconds. Its manifest on the disk is as old
    /// as the last change in it.
    #[must_use]
    pub fn elapsed_ms(&self, manifest: &Manifest) -> u64 {
        let started = Micros::try_from(manifest.started_us).unwrap_or(Micros::MAX);
        u64::try_from((self.clock.now() - started) / 1000).unwrap_or(0)
    }

    /// How long ago its thread last came round, which takes it less than a second: longer, and its disk
    /// stands still, or it has died.
    #[must_use]
    pub fn silent_for(&self) -> Duration {
        let now = u64::try_from(self.clock.now()).unwrap_or_default();
        Duration::from_micros(now.saturating_sub(self.counters.last_turn.get()))
    }

    /// How much waits for a store, for the quota: kept by the
    /// [`Finisher`](crate::Finisher).
    #[must_use]
    pub fn backlog(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.backlog)
    }

    /// Totals since the start. Names are stable.
    pub fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.counters.iter()
    }

    fn send(&self, command: Command) -> Result<(), Overloaded> {
        self.commands.try_send(command).map_err(|error| {
            if matches!(error, TrySendError::Disconnected(_)) {
                tracing::error!("the recorder's thread is gone");
            }
            Overloaded
        })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Its queue may be full; it is read all the time.
        let _ = self.commands.send(Command::Shutdown);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the recorder's thread had panicked");
        }
    }
}

/// The wall clock as it was at the start, and what has passed since: as the workers have it, so that a
/// wall clock that is set makes no difference.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    unix_micros: Micros,
}

impl Clock {
    fn start() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            started: Instant::now(),
            unix_micros: since.as_micros() as Micros,
        }
    }

    pub(crate) fn now(&self) -> Micros {
        self.unix_micros + self.started.elapsed().as_micros() as Micros
    }
}

#[cfg(test)]
mod tests;
