//! Deadlines of rooms, sessions and workers, each with at most one entry.

use std::collections::{BTreeSet, HashMap};

use crosspoint_media::config::{RoomId, SessionId};
use crosspoint_transport::api::WorkerId;
use tokio::time::Instant;

/// What happens when time has passed.
///
/// | timer | set | cleared | fires |
/// |---|---|---|---|
/// | `RoomEmpty` | the room is made, or its last participant leaves | somebody joins | the room ends |
/// | `Setup` | a session joins | its media is up | the session ends |
/// | `Backlog` | a worker's queue is full | - | what waits is sent again |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Timer {
    RoomEmpty(RoomId),
    Setup(SessionId),
    Backlog(WorkerId),
}

#[derive(Default)]
pub(super) struct Timers {
    queue: BTreeSet<(Instant, Timer)>,
    deadlines: HashMap<Timer, Instant>,
    changed: bool,
}

impl Timers {
    /// Sets a timer, or sets it anew.
    pub(super) fn set(&mut self, timer: Timer, at: Instant) {
        self.clear(timer);
        self.deadlines.insert(timer, at);
        self.queue.insert((at, timer));
        self.changed = true;
    }

    pub(super) fn clear(&mut self, timer: Timer) {
        if let Some(at) = self.deadlines.remove(&timer) {
            self.queue.remove(&(at, timer));
        }
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.deadlines.contains_key(&timer)
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|&(at, _)| at)
    }

    /// Takes the first timer that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let &(at, timer) = self.queue.first()?;
        if at > now {
            return None;
        }
        self.clear(timer);
        Some(timer)
    }

    /// Whether a timer was set since this was last asked.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}
