//! What is due when.
//!
//! Each thing with a timer keeps its own due time; the heap only names who should look again and
//! when. Moving a timer forward pushes a second entry, and an entry that no longer tells its
//! owner's due time is skipped when it comes up: no search, no removal, no scan of what is idle.

use core::cmp::Reverse;
use std::collections::BinaryHeap;

use crosspoint_wire::time::Time;

/// Due times of tasks `T`, soonest first.
#[derive(Debug)]
pub(crate) struct Timers<T: Ord> {
    heap: BinaryHeap<Reverse<(Time, T)>>,
}

impl<T: Ord> Default for Timers<T> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
        }
    }
}

/// The due time that an owner of a timer keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due(Time);

impl Default for Due {
    fn default() -> Self {
        Self(Time::NEVER)
    }
}

impl Due {
    /// Whether the timer entry for `at` is still meant; if so the timer is spent.
    pub(crate) fn take(&mut self, at: Time) -> bool {
        let meant = self.0 == at;
        if meant {
            self.0 = Time::NEVER;
        }
        meant
    }
}

impl<T: Ord> Timers<T> {
    /// Makes `task` due at `at`, unless it is due earlier already.
    #[inline]
    pub(crate) fn arm(&mut self, at: Time, task: T, due: &mut Due) {
        if at < due.0 {
            due.0 = at;
            self.heap.push(Reverse((at, task)));
        }
    }

    /// The next entry that is due, to be offered to its owner's [`Due::take`].
    pub(crate) fn pop(&mut self, now: Time) -> Option<(Time, T)> {
        if self.next() > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// When to look again; never early by an entry that matters, perhaps by one that is void.
    #[inline]
    pub(crate) fn next(&self) -> Time {
        self.heap.peek().map_or(Time::NEVER, |Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_moved_forward_fires_once() {
        let mut timers = Timers::default();
        let mut due = Due::default();
        timers.arm(Time::from_millis(20), 'a', &mut due);
        timers.arm(Time::from_millis(10), 'a', &mut due);
        timers.arm(Time::from_millis(15), 'a', &mut due);
        let mut fired = Vec::new();
        while let Some((at, _)) = timers.pop(Time::from_millis(30)) {
            if due.take(at) {
                fired.push(at);
            }
        }
        assert_eq!(fired, [Time::from_millis(10)]);
        assert_eq!(timers.next(), Time::NEVER);
    }
}
