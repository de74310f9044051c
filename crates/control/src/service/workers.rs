//! The way to the workers, and how full each is.

use std::collections::VecDeque;

use crosspoint_media::config::{SessionId, TrackId};
use crosspoint_media::explain::Explanation;
use crosspoint_transport::Transport;
use crosspoint_transport::api::{
    Candidate, Command, Fingerprint, QueueFull, WorkerId, WorkerReport,
};
use tokio::sync::oneshot;

/// Commands that may wait for one worker beyond its own queue.
const BACKLOG_MAX: usize = 16 * 1024;
/// From this backlog on a worker is given no further sessions or offers.
const BACKLOG_BUSY: usize = 1024;

/// What the service needs of a media transport.
pub(super) trait Workers: Send {
    /// How many there are, at least 1.
    fn count(&self) -> usize;
    /// Queues a command without waiting.
    fn send(&self, worker: WorkerId, command: Command) -> Result<(), QueueFull>;
    /// Where a worker can be reached.
    fn candidates(&self, worker: WorkerId) -> &[Candidate];
    /// Digest of our certificate.
    fn fingerprint(&self) -> &Fingerprint;
}

impl Workers for Transport {
    fn count(&self) -> usize {
        self.worker_count()
    }

    fn send(&self, worker: WorkerId, command: Command) -> Result<(), QueueFull> {
        Self::send(self, worker, command)
    }

    fn candidates(&self, worker: WorkerId) -> &[Candidate] {
        Self::candidates(self, worker)
    }

    fn fingerprint(&self) -> &Fingerprint {
        Self::fingerprint(self)
    }
}

/// All workers.
pub(super) struct Pool {
    pub(super) transport: Box<dyn Workers>,
    workers: Vec<Load>,
    /// Commands that were given up because a backlog was full.
    pub(super) commands_dropped: u64,
}

#[derive(Default)]
struct Load {
    sessions: usize,
    rooms: usize,
    backlog: VecDeque<Command>,
}

impl Pool {
    pub(super) fn new(transport: Box<dyn Workers>) -> Self {
        let workers = (0..transport.count().max(1)).map(|_| Load::default());
        Self {
            workers: workers.collect(),
            transport,
            commands_dropped: 0,
        }
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = WorkerId> + use<> {
        (0..self.workers.len()).filter_map(|index| u16::try_from(index).ok().map(WorkerId))
    }

    /// Where the next room should live.
    pub(super) fn least_loaded(&self) -> WorkerId {
        let load = |worker: &WorkerId| self.load(*worker).map(|load| (load.sessions, load.rooms));
        self.ids().min_by_key(load).unwrap_or(WorkerId(0))
    }

    /// Counts sessions in (`1`) or out (`-1`).
    pub(super) fn count_session(&mut self, worker: WorkerId, change: isize) {
        if let Some(load) = self.load_mut(worker) {
            load.sessions = load.sessions.saturating_add_signed(change);
        }
    }

    /// Counts rooms that live there in (`1`) or out (`-1`).
    pub(super) fn count_room(&mut self, worker: WorkerId, change: isize) {
        if let Some(load) = self.load_mut(worker) {
            load.rooms = load.rooms.saturating_add_signed(change);
        }
    }

    /// Whether a worker is so far behind that it should get nothing new.
    pub(super) fn is_busy(&self, worker: WorkerId) -> bool {
        self.load(worker)
            .is_none_or(|load| load.backlog.len() > BACKLOG_BUSY)
    }

    /// Sends in order. False when commands wait and [`flush`](Self::flush) must be called soon.
    pub(super) fn send(&mut self, worker: WorkerId, command: Command) -> bool {
        let Some(load) = self.workers.get_mut(usize::from(worker.0)) else {
            return true;
        };
        if load.backlog.len() >= BACKLOG_MAX {
            self.commands_dropped += 1;
        } else {
            load.backlog.push_back(command);
        }
        self.flush(worker)
    }

    /// Sends what waits. False when some still does.
    pub(super) fn flush(&mut self, worker: WorkerId) -> bool {
        let Some(load) = self.workers.get_mut(usize::from(worker.0)) else {
            return true;
        };
        while let Some(command) = load.backlog.front() {
            // A full queue does not give back what it did not take.
            if let Some(copy) = copy_of(command)
                && self.transport.send(worker, copy) == Err(QueueFull)
            {
                return false;
            }
            load.backlog.pop_front();
        }
        true
    }

    /// Asks a worker for its report. Nothing comes back when its queue is full: whoever asks
    /// will ask again.
    pub(super) fn report(&self, worker: WorkerId) -> oneshot::Receiver<WorkerReport> {
        let (reply, report) = oneshot::channel();
        let _ = self.transport.send(worker, Command::Report(reply));
        report
    }

    /// Asks a worker why a session's picture is as it is. Nothing comes back when its queue is
    /// full.
    pub(super) fn explain(
        &self,
        worker: WorkerId,
        session: SessionId,
        track: TrackId,
    ) -> oneshot::Receiver<Option<Explanation>> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Explain {
            session,
            track,
            reply,
        };
        let _ = self.transport.send(worker, command);
        answer
    }

    fn load(&self, worker: WorkerId) -> Option<&Load> {
        self.workers.get(usize::from(worker.0))
    }

    fn load_mut(&mut self, worker: WorkerId) -> Option<&mut Load> {
        self.workers.get_mut(usize::from(worker.0))
    }
}

/// `None` for what is answered, which nothing here waits for.
fn copy_of(command: &Command) -> Option<Command> {
    Some(match command {
        Command::OpenSession {
            session,
            local,
            remote,
            fingerprints,
        } => Command::OpenSession {
            session: *session,
            local: local.clone(),
            remote: remote.clone(),
            fingerprints: fingerprints.clone(),
        },
        Command::RestartIce {
            session,
            local,
            remote,
        } => Command::RestartIce {
            session: *session,
            local: local.clone(),
            remote: remote.clone(),
        },
        Command::CloseSession { session } => Command::CloseSession { session: *session },
        Command::Media(command, _) => Command::Media(command.clone(), None),
        Command::RouteRelay { relay, peer } => Command::RouteRelay {
            relay: *relay,
            peer: *peer,
        },
        Command::RouteTap { relay, door } => Command::RouteTap {
            relay: *relay,
            door: door.clone(),
        },
        Command::SendData {
            session,
            channel,
            payload,
            text,
        } => Command::SendData {
            session: *session,
            channel: *channel,
            payload: payload.clone(),
            text: *text,
        },
        Command::Report(_)
        | Command::Inspect { .. }
        | Command::Keyframe { .. }
        | Command::Explain { .. } => return None,
    })
}
