//! When which session wants to be looked at. An entry is never moved: a session remembers which
//! of its entries counts, the others are skipped when their time comes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crosspoint_media::config::SessionKey;
use crosspoint_wire::time::Time;

use crate::session::Session;

#[derive(Default)]
pub(super) struct Timers {
    entries: BinaryHeap<Reverse<(Time, SessionKey)>>,
}

impl Timers {
    /// Has `session` looked at no later than `at`.
    pub(super) fn schedule(&mut self, session: &mut Session, at: Time) {
        if at < session.scheduled {
            session.scheduled = at;
            self.entries.push(Reverse((at, session.key)));
        }
    }

    /// When the first entry is due.
    pub(super) fn next(&self) -> Time {
        self.entries.peek().map_or(Time::NEVER, |entry| entry.0.0)
    }

    /// Takes an entry that is due. It counts only if the session's `scheduled` is the same.
    pub(super) fn pop(&mut self, now: Time) -> Option<(Time, SessionKey)> {
        let entry = self.entries.peek().filter(|entry| entry.0.0 <= now)?.0;
        self.entries.pop();
        Some(entry)
    }
}
