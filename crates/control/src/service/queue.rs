//! A session's events on their way to its front door, and how much it may ask for.

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use crate::api::SessionEvent;
use crate::model::Reason;
use crate::shared::SharedEvent;

/// Events that a session's reader may fall behind.
pub(super) const SESSION_EVENTS_MAX: usize = 1024;
/// Events that a reader of all rooms' events may fall behind before it loses some.
pub(super) const ROOM_EVENTS_MAX: usize = 4096;

/// Offers of a session.
pub(super) const OFFERS: Rate = Rate {
    per_s: 5.0,
    burst: 10.0,
};
/// Messages of a session, counted by recipients, since each costs the server one: a hundred a
/// second in a room of a hundred, and ten in one of a thousand.
pub(super) const DELIVERIES: Rate = Rate {
    per_s: 10_000.0,
    burst: 20_000.0,
};

/// How much is fine.
#[derive(Clone, Copy)]
pub(super) struct Rate {
    /// In the long run.
    per_s: f64,
    /// At once.
    burst: f64,
}

/// The sending side of [`Joined::events`](crate::api::Joined::events).
///
/// A reader that went away is not an error: WHIP has no use for events.
pub(super) struct EventQueue {
    events: mpsc::Sender<SharedEvent>,
    /// Room for the last event, which must get through however full the queue is.
    last: mpsc::OwnedPermit<SharedEvent>,
}

/// The queue is full.
pub(super) struct Overflow;

impl EventQueue {
    /// `None` is never seen: the channel is new and has room for more than its first permit.
    pub(super) fn new() -> Option<(Self, mpsc::Receiver<SharedEvent>)> {
        let (events, receiver) = mpsc::channel(SESSION_EVENTS_MAX + 1);
        let last = events.clone().try_reserve_owned().ok()?;
        Some((Self { events, last }, receiver))
    }

    pub(super) fn push(&self, event: SharedEvent) -> Result<(), Overflow> {
        match self.events.try_send(event) {
            Ok(()) | Err(TrySendError::Closed(_)) => Ok(()),
            Err(TrySendError::Full(_)) => Err(Overflow),
        }
    }

    pub(super) fn end(self, reason: Reason) {
        self.last.send(SessionEvent::Ended(reason).into());
    }
}

/// A token bucket.
pub(super) struct Budget {
    rate: Rate,
    tokens: f64,
    at: Instant,
}

impl Budget {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            tokens: rate.burst,
            at: Instant::now(),
        }
    }

    /// Whether so much more is fine now. What is more than a burst passes when the bucket is full.
    pub(super) fn take(&mut self, amount: usize) -> bool {
        let elapsed = self.at.elapsed();
        self.at += elapsed;
        let Rate { per_s, burst } = self.rate;
        self.tokens = (self.tokens + elapsed.as_secs_f64() * per_s).min(burst);
        let fine = self.tokens >= (amount as f64).min(burst);
        if fine {
            self.tokens -= amount as f64;
        }
        fine
    }
}
