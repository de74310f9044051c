//! What a codec remembers of the calls of its device: a few, the oldest forgotten first.

use crate::ids::CallId;

/// Most calls that one device is told of at a time; more than any of the four systems can show.
const CALLS_MAX: usize = 64;

/// Notes about calls, by call.
#[derive(Debug)]
pub(super) struct Notes<T> {
    /// Oldest first.
    entries: Vec<(CallId, T)>,
}

impl<T> Default for Notes<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<T> Notes<T> {
    pub(super) fn get(&self, call: &CallId) -> Option<&T> {
        let found = self.entries.iter().find(|(id, _)| id == call);
        found.map(|(_, note)| note)
    }

    pub(super) fn get_mut(&mut self, call: &CallId) -> Option<&mut T> {
        let found = self.entries.iter_mut().find(|(id, _)| id == call);
        found.map(|(_, note)| note)
    }

    /// Begins a note; replaces an earlier one.
    pub(super) fn insert(&mut self, call: CallId, note: T) {
        self.remove(&call);
        if self.entries.len() >= CALLS_MAX {
            self.entries.remove(0);
        }
        self.entries.push((call, note));
    }

    pub(super) fn remove(&mut self, call: &CallId) -> Option<T> {
        let at = self.entries.iter().position(|(id, _)| id == call)?;
        Some(self.entries.remove(at).1)
    }
}
