//! What the recorder counts.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Totals since the start, but for the gauge `active`.
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $($(#[$doc])* pub(super) $name: Counter,)*
            /// When the thread last came round, on its clock: no total.
            pub(super) last_turn: Counter,
        }

        impl Counters {
            pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name.get()),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Recordings under way.
    active,
    /// Messages of taps that were taken.
    messages,
    /// Messages that workers could not hand over: the disk was too slow.
    messages_lost,
    /// Messages of tracks that are not recorded (any more).
    messages_unknown,
    /// Frames that were written.
    frames,
    /// Bytes of files that were closed.
    bytes,
    /// Files that could not be written.
    disk_errors,
    /// Files that were not synchronised in their turn, since the disk was too slow.
    syncs_skipped,
    /// Keyframes that were asked for.
    keyframe_requests,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
