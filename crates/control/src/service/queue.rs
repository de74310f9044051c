//! A session's events on their way to its front door, and how often it may ask.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use crate::api::SessionEvent;
use crate::model::Reason;

/// Events that a session's reader may fall behind.
pub(super) const SESSION_EVENTS_MAX: usize = 1024;
/// Events that a reader of all rooms' events may fall behind before it loses some.
pub(super) const ROOM_EVENTS_MAX: usize = 4096;

/// Offers per second that a session may make in the long run, and at once.
const OFFERS_PER_S: f64 = 5.0;
const OFFERS_BURST: f64 = 10.0;

/// The sending side of [`Joined::events`](crate::api::Joined::events).
///
/// A reader that went away is not an error: WHIP has no use for events.
pub(super) struct EventQueue {
    events: mpsc::Sender<SessionEvent>,
    /// Room for the last event, which must get through however full the queue is.
    last: mpsc::OwnedPermit<SessionEvent>,
}

/// The queue is full.
pub(super) struct Overflow;

impl EventQueue {
    /// `None` is never seen: the channel is new and has room for more than its first permit.
    pub(super) fn new() -> Option<(Self, mpsc::Receiver<SessionEvent>)> {
        let (events, receiver) = mpsc::channel(SESSION_EVENTS_MAX + 1);
        let last = events.clone().try_reserve_owned().ok()?;
        Some((Self { events, last }, receiver))
    }

    pub(super) fn push(&self, event: SessionEvent) -> Result<(), Overflow> {
        match self.events.try_send(event) {
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
            Err(TrySendError::Full(_)) => Err(Overflow),
        }
    }

    pub(super) fn end(self, reason: Reason) {
        self.last.send(SessionEvent::Ended(reason));
    }
}

/// A token bucket for a session's offers.
pub(super) struct OfferBudget {
    tokens: f64,
    at: Instant,
}

impl OfferBudget {
    pub(super) fn new() -> Self {
        Self {
            tokens: OFFERS_BURST,
            at: Instant::now(),
        }
    }

    /// Whether one more offer is fine now.
    pub(super) fn take(&mut self) -> bool {
        let elapsed: Duration = self.at.elapsed();
        self.at += elapsed;
        self.tokens = (self.tokens + elapsed.as_secs_f64() * OFFERS_PER_S).min(OFFERS_BURST);
        let fine = self.tokens >= 1.0;
        if fine {
            self.tokens -= 1.0;
        }
        fine
    }
}
