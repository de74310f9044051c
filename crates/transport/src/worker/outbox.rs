//! Events on their way to the control plane, and the list of what would be lost in a panic.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use crosspoint_media::command::Command as MediaCommand;
use crosspoint_media::config::{RoomId, SessionId};
use crosspoint_media::event::Event as MediaEvent;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::api::{Command, Event, WorkerId};

/// Events that wait here when the channel is full. Beyond, new ones are dropped: then the control
/// plane has stood still for long and will be told nothing but old stories.
const WAITING_MAX: usize = 16_384;

/// How soon a full channel is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(10);

/// The way to the control plane.
pub(super) struct Outbox {
    id: WorkerId,
    channel: mpsc::Sender<(WorkerId, Event)>,
    waiting: VecDeque<Event>,
    dropping: bool,
    dropped: u64,
}

impl Outbox {
    pub(super) const fn new(id: WorkerId, channel: mpsc::Sender<(WorkerId, Event)>) -> Self {
        Self {
            id,
            channel,
            waiting: VecDeque::new(),
            dropping: false,
            dropped: 0,
        }
    }

    /// Events that were dropped.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Queues an event. What only matters now (messages of peers, who speaks) is dropped while
    /// the channel is more than half full, so that no peer can fill it or our memory.
    pub(super) fn push(&mut self, event: Event) {
        let transient = matches!(
            event,
            Event::Data { .. } | Event::Media(MediaEvent::ActiveSpeakers { .. })
        );
        let half_full = self.channel.capacity() < self.channel.max_capacity() / 2;
        if transient && (half_full || self.is_waiting()) {
            self.dropped += 1;
            return;
        }
        if self.waiting.len() >= WAITING_MAX {
            if !self.dropping {
                tracing::error!("the control plane takes no events; they are dropped");
            }
            self.dropping = true;
            self.dropped += 1;
            return;
        }
        self.waiting.push_back(event);
    }

    /// Passes on what the channel takes.
    pub(super) fn pass(&mut self) {
        while let Some(event) = self.waiting.pop_front() {
            match self.channel.try_send((self.id, event)) {
                Ok(()) => self.dropping = false,
                Err(TrySendError::Full((_, event))) => {
                    self.waiting.push_front(event);
                    return;
                }
                // Nobody listens any more.
                Err(TrySendError::Closed(_)) => self.waiting.clear(),
            }
        }
    }

    /// Whether the channel was full at the last try.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

/// The rooms and sessions of a worker, as commands and events tell it.
#[derive(Default)]
pub(super) struct Roster {
    rooms: BTreeSet<RoomId>,
    sessions: BTreeSet<SessionId>,
}

impl Roster {
    pub(super) fn note_command(&mut self, command: &Command) {
        match command {
            Command::OpenSession { session, .. } => {
                self.sessions.insert(*session);
            }
            Command::CloseSession { session }
            | Command::Media(MediaCommand::RemoveSession { session }, _) => {
                self.sessions.remove(session);
            }
            Command::Media(MediaCommand::PutRoom { room, .. }, _) => {
                self.rooms.insert(*room);
            }
            Command::Media(MediaCommand::RemoveRoom { room }, _) => {
                self.rooms.remove(room);
            }
            _ => {}
        }
    }

    pub(super) fn note_event(&mut self, event: &Event) {
        if let Event::Closed { session, .. } = event {
            self.sessions.remove(session);
        }
    }

    /// Empties it.
    pub(super) fn take(&mut self) -> (Vec<RoomId>, Vec<SessionId>) {
        let rooms = std::mem::take(&mut self.rooms);
        let sessions = std::mem::take(&mut self.sessions);
        (rooms.into_iter().collect(), sessions.into_iter().collect())
    }
}
