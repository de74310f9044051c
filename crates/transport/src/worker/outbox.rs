//! Events on their way to the control plane, and the list of what would be lost in a panic.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
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

/// Events that an empty queue keeps memory for. A burst, such as the end of a large room, takes
/// more, and gives it back.
const KEPT: usize = 512;

/// How soon a full channel is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(10);

/// The way to the control plane.
pub(super) struct Outbox {
    id: WorkerId,
    channel: mpsc::Sender<(WorkerId, Event)>,
    waiting: VecDeque<Event>,
    /// Who spoke last in rooms whose listeners could not be told then. At most one entry per room
    /// of this worker that speakers changed in.
    speakers: BTreeMap<RoomId, Event>,
    /// The channel was full at the last try.
    blocked: bool,
    dropping: bool,
    dropped: u64,
}

impl Outbox {
    pub(super) const fn new(id: WorkerId, channel: mpsc::Sender<(WorkerId, Event)>) -> Self {
        Self {
            id,
            channel,
            waiting: VecDeque::new(),
            speakers: BTreeMap::new(),
            blocked: false,
            dropping: false,
            dropped: 0,
        }
    }

    /// Events that were dropped.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Queues an event. Messages of peers are dropped while the channel is more than half full, and
    /// while much waits here, so that no peer can fill either, or take the place of what must
    /// arrive. Who speaks in a room is told later then, as it is by then.
    pub(super) fn push(&mut self, event: Event) {
        let late = self.is_crowded();
        if late && matches!(event, Event::Data { .. }) {
            self.dropped += 1;
            return;
        }
        if let Event::Media(MediaEvent::ActiveSpeakers { room, .. }) = event
            && (late || self.speakers.contains_key(&room))
        {
            self.speakers.insert(room, event);
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

    fn is_crowded(&self) -> bool {
        self.blocked
            || self.channel.capacity() < self.channel.max_capacity() / 2
            || self.waiting.len() >= WAITING_MAX / 2
    }

    /// Passes on what the channel takes.
    pub(super) fn pass(&mut self) {
        self.pass_waiting();
        while !self.is_crowded()
            && let Some((_, speakers)) = self.speakers.pop_first()
        {
            self.waiting.push_back(speakers);
            self.pass_waiting();
        }
        give_back(&mut self.waiting);
    }

    fn pass_waiting(&mut self) {
        while let Some(event) = self.waiting.pop_front() {
            match self.channel.try_send((self.id, event)) {
                Ok(()) => {
                    self.blocked = false;
                    self.dropping = false;
                }
                Err(TrySendError::Full((_, event))) => {
                    self.waiting.push_front(event);
                    self.blocked = true;
                    return;
                }
                // Nobody listens any more.
                Err(TrySendError::Closed(_)) => self.waiting.clear(),
            }
        }
    }

    /// Whether to try again soon.
    pub(super) fn is_waiting(&self) -> bool {
        self.blocked || !self.speakers.is_empty()
    }
}

/// Returns what a burst has taken, once it is over.
pub(super) fn give_back(queue: &mut VecDeque<Event>) {
    if queue.is_empty() && queue.capacity() > 2 * KEPT {
        queue.shrink_to(KEPT);
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use crosspoint_media::config::ParticipantId;

    use super::*;
    use crate::api::{CloseReason, DataChannelKind};

    const fn lasting(session: u64) -> Event {
        Event::Closed {
            session: SessionId(session),
            reason: CloseReason::PeerClosed,
        }
    }

    const fn transient() -> Event {
        Event::Data {
            session: SessionId(0),
            channel: DataChannelKind::Reliable,
            payload: Bytes::new(),
            text: false,
        }
    }

    #[test]
    fn lasting_events_wait_for_room_and_keep_their_order() {
        let (sender, mut receiver) = mpsc::channel(4);
        let mut outbox = Outbox::new(WorkerId(3), sender);
        for session in 0..10 {
            outbox.push(lasting(session));
            outbox.pass();
        }
        assert!(outbox.is_waiting());
        let mut got = Vec::new();
        while let Ok((worker, event)) = receiver.try_recv() {
            assert_eq!(worker, WorkerId(3));
            let Event::Closed { session, .. } = event else {
                panic!("{event:?}");
            };
            got.push(session.0);
            outbox.pass();
        }
        assert_eq!(got, (0..10).collect::<Vec<_>>());
        assert_eq!(outbox.dropped(), 0);
    }

    #[test]
    fn messages_of_one_turn_do_not_displace_each_other() {
        let (sender, mut receiver) = mpsc::channel(64);
        let mut outbox = Outbox::new(WorkerId(0), sender);
        outbox.push(lasting(1));
        for _ in 0..10 {
            outbox.push(transient());
        }
        outbox.pass();
        assert_eq!(outbox.dropped(), 0);
        assert_eq!(std::iter::from_fn(|| receiver.try_recv().ok()).count(), 11);
    }

    #[test]
    fn messages_are_dropped_while_the_reader_is_behind() {
        let (sender, mut receiver) = mpsc::channel(4);
        let mut outbox = Outbox::new(WorkerId(0), sender);
        for _ in 0..10 {
            outbox.push(transient());
            outbox.pass();
        }
        assert_eq!(outbox.dropped(), 7);
        assert!(!outbox.is_waiting());
        while receiver.try_recv().is_ok() {}
        outbox.push(transient());
        outbox.pass();
        assert!(receiver.try_recv().is_ok());
    }

    #[test]
    fn who_speaks_is_told_later_when_it_cannot_be_told_now_and_once_for_each_room() {
        let (sender, mut receiver) = mpsc::channel(4);
        let mut outbox = Outbox::new(WorkerId(0), sender);
        for session in 0..4 {
            outbox.push(lasting(session));
        }
        outbox.pass();
        for level in 0..50 {
            for room in [1, 2] {
                outbox.push(Event::Media(MediaEvent::ActiveSpeakers {
                    room: RoomId(room),
                    speakers: vec![(ParticipantId(9), level)],
                }));
            }
            outbox.pass();
        }
        assert!(outbox.is_waiting());
        while receiver.try_recv().is_ok() {}
        outbox.pass();
        let told = std::iter::from_fn(|| receiver.try_recv().ok());
        let told: Vec<_> = told
            .map(|(_, event)| match event {
                Event::Media(MediaEvent::ActiveSpeakers { room, speakers }) => {
                    (room.0, speakers[0].1)
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told, [(1, 49), (2, 49)]);
        assert!(!outbox.is_waiting());
    }

    #[test]
    fn a_flood_of_messages_in_one_turn_leaves_room_for_what_must_arrive() {
        let (sender, mut receiver) = mpsc::channel(64);
        let mut outbox = Outbox::new(WorkerId(0), sender);
        for _ in 0..2 * WAITING_MAX {
            outbox.push(transient());
        }
        outbox.push(lasting(1));
        let mut last = None;
        while !outbox.waiting.is_empty() {
            outbox.pass();
            last = std::iter::from_fn(|| receiver.try_recv().ok()).last();
        }
        assert!(matches!(last, Some((_, Event::Closed { .. }))), "{last:?}");
    }

    #[test]
    fn memory_for_a_burst_is_given_back_when_it_is_over() {
        let (sender, mut receiver) = mpsc::channel(64);
        let mut outbox = Outbox::new(WorkerId(0), sender);
        for session in 0..WAITING_MAX as u64 {
            outbox.push(lasting(session));
        }
        assert!(outbox.waiting.capacity() >= WAITING_MAX);
        while !outbox.waiting.is_empty() {
            outbox.pass();
            while receiver.try_recv().is_ok() {}
        }
        let kept = outbox.waiting.capacity();
        assert!((1..=2 * KEPT).contains(&kept), "{kept}");
        outbox.push(lasting(0));
        outbox.pass();
        assert_eq!(outbox.waiting.capacity(), kept, "what is usual stays");
    }

    #[test]
    fn what_waits_is_bounded() {
        let (sender, _receiver) = mpsc::channel(1);
        let mut outbox = Outbox::new(WorkerId(0), sender);
        for session in 0..WAITING_MAX as u64 + 10 {
            outbox.push(lasting(session));
            outbox.pass();
        }
        assert_eq!(outbox.waiting.len(), WAITING_MAX);
        assert_eq!(outbox.dropped(), 9);
    }
}
