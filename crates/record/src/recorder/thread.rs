//! The thread's loop: batches, commands, and what is due.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crosspoint_media::config::RelayId;
use crosspoint_media::tap::TapBatch;
use foldhash::fast::RandomState;
use tokio::sync::mpsc;

use super::counters::Counters;
use super::live::{Live, Reel};
use super::{Clock, RecorderEvent, TrackRequest};
use crate::Micros;
use crate::disk::{Disk, DiskFile};
use crate::manifest::{Manifest, Reason};

/// How often what is due is looked for, at the most.
const TICK_US: Micros = 50_000;

/// How often manifests are put in their places, and some of the files on the disk itself.
const SYNC_US: Micros = 1_000_000;

/// In so many turns each file is synchronised once. A process that is killed loses nothing by it, only
/// a machine that stops does; and what it costs counts by the file. Systems write on their own what is
/// older than half a minute: this makes them say whether they could, before the end.
const SYNC_TURNS: u64 = 60;

/// How long the thread rests while something is recorded, and waits for a batch else.
///
/// A rest delays what a file gets, so that it counts in what a kill loses, a second at the most; and the
/// longer it is, the longer the core is busy afterwards, on which somebody's media may wait: with 100
/// tracks of cameras and voices for a millisecond. Going to sleep and waking up cost as much as two
/// batches.
const WAIT: Duration = Duration::from_millis(80);
const WAIT_IDLE: Duration = Duration::from_millis(250);

/// Batches taken between two looks at the commands.
const BATCHES_PER_TURN: usize = 64;

/// Files that may wait to be synchronised.
const SYNCS_MAX: usize = 1024;

/// What the thread is told.
pub(super) enum Command {
    Begin {
        folder: PathBuf,
        manifest: Box<Manifest>,
    },
    Track {
        recording: String,
        track: TrackRequest,
    },
    Gone {
        relay: RelayId,
        at: Micros,
    },
    Stop {
        recording: String,
        reason: Reason,
        at: Micros,
    },
    Shutdown,
}

/// How much may be kept until a store has it.
pub(super) struct Quota {
    /// 0: any.
    pub(super) bytes: u64,
    /// What waits, recordings under way left out.
    pub(super) backlog: Arc<AtomicU64>,
}

pub(super) struct Thread {
    disk: Box<dyn Disk>,
    batches: Receiver<TapBatch>,
    commands: Receiver<Command>,
    events: mpsc::Sender<RecorderEvent>,
    counters: Arc<Counters>,
    quota: Quota,
    clock: Clock,
    /// By a number of the thread's own.
    recordings: HashMap<u64, Live, RandomState>,
    numbers: HashMap<String, u64>,
    reels: HashMap<RelayId, Reel, RandomState>,
    last_number: u64,
    /// Lent to the file that is written to.
    buffer: Vec<u8>,
    syncs: SyncSender<(u64, Arc<dyn DiskFile>)>,
    sync_errors: Receiver<(u64, io::Error)>,
    next_tick: Micros,
    next_sync: Micros,
    sync_turn: u64,
}

impl Thread {
    pub(super) fn new(
        disk: Box<dyn Disk>,
        batches: Receiver<TapBatch>,
        commands: Receiver<Command>,
        events: mpsc::Sender<RecorderEvent>,
        counters: Arc<Counters>,
        quota: Quota,
        clock: Clock,
    ) -> io::Result<Self> {
        let (syncs, files) = sync_channel::<(u64, Arc<dyn DiskFile>)>(SYNCS_MAX);
        let (errors, sync_errors) = sync_channel(SYNCS_MAX);
        std::thread::Builder::new()
            .name("recorder-sync".to_owned())
            .spawn(move || {
                for (recording, file) in files {
                    if let Err(error) = file.sync() {
                        let _ = errors.try_send((recording, error));
                    }
                }
            })?;
        Ok(Self {
            disk,
            batches,
            commands,
            events,
            counters,
            quota,
            clock,
            recordings: HashMap::default(),
            numbers: HashMap::new(),
            reels: HashMap::default(),
            last_number: 0,
            buffer: Vec::new(),
            syncs,
            sync_errors,
            next_tick: 0,
            next_sync: 0,
            sync_turn: 0,
        })
    }

    /// Until it is told to end.
    pub(super) fn run(mut self) {
        let mut behind = false;
        loop {
            let first = match self.recordings.is_empty() {
                true => match self.batches.recv_timeout(WAIT_IDLE) {
                    Ok(batch) => Some(batch),
                    Err(RecvTimeoutError::Timeout) => None,
                    // All doors are gone, and the recorder with them.
                    Err(RecvTimeoutError::Disconnected) => {
                        std::thread::sleep(WAIT);
                        None
                    }
                },
                false if behind => None,
                false => {
                    // Who only looks now and then need not be woken for each batch, which would cost
                    // workers a system call.
                    std::thread::sleep(WAIT);
                    None
                }
            };
            let mut go_on = self.take_commands();
            let mut next = first;
            behind = true;
            for _ in 0..BATCHES_PER_TURN {
                let Some(batch) = next.take().or_else(|| self.batches.try_recv().ok()) else {
                    behind = false;
                    break;
                };
                // A track is told of before its first packet comes.
                go_on &= self.take_commands();
                self.batch(&batch);
            }
            let now = self.clock.now();
            let turned = u64::try_from(now).unwrap_or_default();
            self.counters.last_turn.set(turned);
            if now >= self.next_tick {
                self.next_tick = now + TICK_US;
                self.tick(now);
            }
            if !go_on {
                self.shut_down();
                return;
            }
        }
    }

    /// False: it is time to end.
    fn take_commands(&mut self) -> bool {
        while let Ok(command) = self.commands.try_recv() {
            let now = self.clock.now();
            match command {
                Command::Begin { folder, manifest } => {
                    self.last_number += 1;
                    self.numbers.insert(manifest.id.clone(), self.last_number);
                    self.recordings
                        .insert(self.last_number, Live::new(folder, *manifest));
                    self.counters.active.set(self.recordings.len() as u64);
                }
                Command::Track { recording, track } => self.track(now, &recording, track),
                Command::Gone { relay, at } => {
                    if let Some(reel) = self.reels.get_mut(&relay) {
                        reel.gone.get_or_insert(at);
                    }
                }
                Command::Stop {
                    recording,
                    reason,
                    at,
                } => {
                    let number = self.numbers.get(&recording);
                    if let Some(live) = number.and_then(|n| self.recordings.get_mut(n)) {
                        live.end(at, now, reason);
                    }
                }
                Command::Shutdown => return false,
            }
        }
        true
    }

    fn track(&mut self, now: Micros, recording: &str, request: TrackRequest) {
        if let Some(reel) = self.reels.get_mut(&request.relay) {
            reel.tape.set_muted(request.muted);
            reel.tape.set_payloads(request.payloads);
            return;
        }
        let Some(&number) = self.numbers.get(recording) else {
            return;
        };
        if let Some(live) = self.recordings.get_mut(&number) {
            let relay = request.relay;
            let reel = live.thread(number, now, request);
            self.reels.insert(relay, reel);
        }
    }

    fn batch(&mut self, batch: &TapBatch) {
        let now = self.clock.now();
        self.counters.messages_lost.add(batch.lost());
        let reel = self.reels.get_mut(&batch.relay());
        let live = reel.and_then(|reel| {
            let live = self.recordings.get_mut(&reel.recording)?;
            Some((reel, live))
        });
        let Some((reel, live)) = live else {
            let unknown = batch.messages().count();
            self.counters.messages_unknown.add(unknown as u64);
            return;
        };
        if batch.lost() > 0 {
            reel.tape.note_overflow(now);
        }
        let taken = live.batch(&*self.disk, reel, now, batch, &mut self.buffer);
        match taken {
            Ok(messages) => self.counters.messages.add(messages),
            Err(error) => fail(live, &self.counters, now, &error),
        }
    }

    fn tick(&mut self, now: Micros) {
        let mut gone = Vec::new();
        for (&relay, reel) in &mut self.reels {
            let Some(live) = self.recordings.get_mut(&reel.recording) else {
                gone.push(relay);
                continue;
            };
            if let Err(error) = live.tick(&*self.disk, reel, now) {
                fail(live, &self.counters, now, &error);
            }
            if live.ending.is_none() && reel.gone.is_none() && reel.tape.wants_keyframe(now) {
                self.counters.keyframe_requests.add(1);
                // It will be asked for again.
                let _ = self.events.try_send(RecorderEvent::KeyframeWanted(relay));
            }
            if reel.gone.is_some_and(|at| at + 2 * TICK_US <= now) {
                gone.push(relay);
            }
        }
        for relay in gone {
            self.close_reel(now, relay);
        }
        while let Ok((number, error)) = self.sync_errors.try_recv() {
            if let Some(live) = self.recordings.get_mut(&number) {
                fail(live, &self.counters, now, &error);
            }
        }
        if now >= self.next_sync {
            self.next_sync = now + SYNC_US;
            self.sync(now);
        }
        let due = self.recordings.iter();
        let due = due.filter(|(_, live)| live.ending.is_some_and(|ending| ending.due <= now));
        for number in due.map(|(&number, _)| number).collect::<Vec<_>>() {
            self.finish(now, number);
        }
    }

    /// Files whose turn it is to the disk itself, manifests to their places, and the quota.
    fn sync(&mut self, now: Micros) {
        self.sync_turn = (self.sync_turn + 1) % SYNC_TURNS;
        let mut under_way = 0;
        for (relay, reel) in &mut self.reels {
            if let Some(live) = self.recordings.get_mut(&reel.recording) {
                live.note_track(reel, reel.gone.unwrap_or(now));
            }
            let Some(file) = &mut reel.file else {
                continue;
            };
            under_way += file.len();
            if relay.0 % SYNC_TURNS == self.sync_turn
                && let Some(file) = file.take_dirty()
                && self.syncs.try_send((reel.recording, file)).is_err()
            {
                self.counters.syncs_skipped.add(1);
            }
        }
        let kept = under_way + self.quota.backlog.load(Ordering::Relaxed);
        let full = self.quota.bytes > 0 && kept > self.quota.bytes;
        for live in self.recordings.values_mut() {
            if full && live.ending.is_none() {
                tracing::warn!(recording = live.manifest.id, kept, "the spool is full");
                live.end(now, now, Reason::SpoolFull);
            }
            if let Err(error) = live.save(now) {
                fail(live, &self.counters, now, &error);
            }
        }
    }

    fn close_reel(&mut self, now: Micros, relay: RelayId) {
        let Some(mut reel) = self.reels.remove(&relay) else {
            return;
        };
        let Some(live) = self.recordings.get_mut(&reel.recording) else {
            return;
        };
        let end = live.end_time(now);
        let end = reel.gone.map_or(end, |gone| gone.min(end));
        let closed = live.close(&*self.disk, &mut reel, end);
        if let Err(error) = closed {
            fail(live, &self.counters, now, &error);
        }
    }

    fn finish(&mut self, now: Micros, number: u64) {
        let reels = self.reels.iter().filter(|(_, r)| r.recording == number);
        for relay in reels.map(|(&relay, _)| relay).collect::<Vec<_>>() {
            self.close_reel(now, relay);
        }
        let Some(mut live) = self.recordings.remove(&number) else {
            return;
        };
        self.numbers.remove(&live.manifest.id);
        self.counters.active.set(self.recordings.len() as u64);
        let reason = live.ending.map_or(Reason::Stopped, |ending| ending.reason);
        let end = live.end_time(now);
        let reason = live.finish(reason, end).unwrap_or_else(|error| {
            self.counters.disk_errors.add(1);
            reason_of(&error)
        });
        self.counters.bytes.add(live.manifest.bytes);
        let frames = live.manifest.files.iter().map(|file| file.frames);
        self.counters.frames.add(frames.sum());
        let id = live.manifest.id;
        tracing::info!(recording = id, reason = reason.label(), "recording ended");
        let event = RecorderEvent::Ended { id, reason };
        // Without a reader there is nobody to wait for.
        let _ = self.events.blocking_send(event);
    }

    fn shut_down(&mut self) {
        let now = self.clock.now();
        while let Ok(batch) = self.batches.try_recv() {
            self.batch(&batch);
        }
        for live in self.recordings.values_mut() {
            live.end(now, now, Reason::ServerShutdown);
        }
        for number in self.recordings.keys().copied().collect::<Vec<_>>() {
            self.finish(now, number);
        }
    }
}

/// The world failed: what was written stays, the recording ends.
fn fail(live: &mut Live, counters: &Counters, now: Micros, error: &io::Error) {
    counters.disk_errors.add(1);
    if live.ending.is_none() {
        let recording = &live.manifest.id;
        tracing::warn!(recording, %error, "a recording cannot be written and ends");
        live.end(now, now, reason_of(error));
    }
}

fn reason_of(error: &io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Reason::DiskFull,
        _ => Reason::DiskError,
    }
}
