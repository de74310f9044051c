//! Events that many sessions are told, kept once.
//!
//! In a room of a thousand each arrival is a thousand tellings. They share one event, and whoever
//! writes it down first, in the format of its front door, has written it for all. This module knows
//! no format.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::api::SessionEvent;

/// An event for one or many sessions.
#[derive(Clone, Debug)]
pub struct SharedEvent(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    event: SessionEvent,
    written: OnceLock<Bytes>,
}

impl SharedEvent {
    /// The event in the reader's format: what `write` makes of it the first time, for all readers.
    /// So there is one format for all that call this.
    pub fn written(&self, write: impl FnOnce(&SessionEvent) -> Bytes) -> Bytes {
        let Shared { event, written } = &*self.0;
        written.get_or_init(|| write(event)).clone()
    }
}

impl From<SessionEvent> for SharedEvent {
    fn from(event: SessionEvent) -> Self {
        Self(Arc::new(Shared {
            event,
            written: OnceLock::new(),
        }))
    }
}

impl Deref for SharedEvent {
    type Target = SessionEvent;

    fn deref(&self) -> &SessionEvent {
        &self.0.event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_written_once_for_all_who_are_told() {
        let event = SharedEvent::from(SessionEvent::Draining);
        let other = event.clone();
        assert_eq!(event.written(|_| Bytes::from_static(b"first")), "first");
        assert_eq!(other.written(|_| unreachable!("it is written")), "first");
        assert_eq!(*other, SessionEvent::Draining);
    }
}
