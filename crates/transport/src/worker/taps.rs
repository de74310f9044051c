//! One worker's way to recorders: messages of tapped tracks, collected track by track and handed over in
//! batches, in buffers that go back and forth.
//!
//! A recorder is in no hurry, and finds its place in a track's file once for all messages that come
//! together. So a track's messages wait for each other for a good part of the second that a crash may
//! cost, and those of different tracks are handed over at different times. A recorder that is slower than its
//! tracks finds its door full: then batches are dropped and counted here, and the track's next one that
//! gets through says how many messages are missing.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use crosspoint_media::config::RelayId;
use crosspoint_media::tap::{TAP_PERIOD, TapBatch, TapDoor};
use crosspoint_wire::time::{NtpTime, Time};
use foldhash::fast::RandomState;

/// The first messages of a track wait only so long: a keyframe may have to be asked for.
const FIRST: Duration = Duration::from_millis(20);

/// A batch may be handed over so much later, with the next turn that there is anyway.
const LATE: Duration = Duration::from_millis(20);

/// A batch is handed over when it has this many bytes, a little less than what doubling makes room for.
const BATCH_BYTES: usize = 124 << 10;

/// From this size on buffers are kept for pictures, below it for sound.
const LARGE: usize = 16 << 10;

/// Empty buffers of each size that wait to be used again, and that may be on their way back.
const SPARE_MAX: usize = 64;
const RETURNED_MAX: usize = 256;

/// All taps of a worker.
#[derive(Default)]
pub(crate) struct Taps {
    routes: HashMap<RelayId, Route, RandomState>,
    /// When batches are to be handed over. One that has left already is no longer due then.
    due: BinaryHeap<Reverse<(Time, RelayId)>>,
    buffers: Buffers,
    sent: u64,
    dropped: u64,
}

/// A relay's way to its recorder.
struct Route {
    door: TapDoor,
    batch: Option<TapBatch>,
    /// When the batch is to be handed over.
    due: Time,
    /// Bytes of the batch before.
    size: usize,
    /// Messages lost since the last batch that got through.
    lost: u64,
}

impl Taps {
    /// Leads a relay to a recorder, or nowhere: what it has is handed over then.
    pub(crate) fn route(&mut self, relay: RelayId, door: Option<TapDoor>) {
        if let Some(mut route) = self.routes.remove(&relay) {
            self.dropped += route.hand_over();
        }
        let Some(door) = door else {
            return;
        };
        let route = Route {
            door,
            batch: None,
            due: Time::NEVER,
            size: 0,
            lost: 0,
        };
        self.routes.insert(relay, route);
    }

    /// Queues the message that `write` appends; false when the relay leads to no recorder.
    pub(crate) fn push(
        &mut self,
        now: Time,
        relay: RelayId,
        wall: NtpTime,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> bool {
        if self.routes.is_empty() {
            return false;
        }
        let Some(route) = self.routes.get_mut(&relay) else {
            return false;
        };
        let batch = match &mut route.batch {
            Some(batch) => batch,
            none => {
                route.due = match route.size {
                    0 => now + FIRST,
                    _ => next_due(now, relay),
                };
                self.due.push(Reverse((route.due, relay)));
                none.insert(self.buffers.batch(relay, route.size, route.lost))
            }
        };
        batch.push(wall, write);
        self.sent += 1;
        if batch.len() >= BATCH_BYTES {
            self.dropped += route.hand_over();
        }
        true
    }

    /// Hands over what has waited long enough.
    pub(crate) fn flush(&mut self, now: Time) {
        while let Some(&Reverse((due, relay))) = self.due.peek()
            && due <= now
        {
            self.due.pop();
            if let Some(route) = self.routes.get_mut(&relay)
                && route.due == due
            {
                self.dropped += route.hand_over();
            }
        }
    }

    /// When [`flush`](Self::flush) has something to do that has not been done in passing.
    pub(crate) fn due(&self) -> Time {
        let due = self.due.peek();
        due.map_or(Time::NEVER, |Reverse((due, _))| *due + LATE)
    }

    /// Messages that were queued.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Messages that found the recorder too slow.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Hands over what there is and forgets all routes.
    pub(crate) fn clear(&mut self) {
        for (_, mut route) in self.routes.drain() {
            self.dropped += route.hand_over();
        }
        self.due.clear();
    }
}

impl Route {
    /// How many messages were lost by it.
    fn hand_over(&mut self) -> u64 {
        self.due = Time::NEVER;
        let Some(batch) = self.batch.take() else {
            return 0;
        };
        self.size = batch.len();
        match self.door.hand_over(batch) {
            Ok(()) => {
                self.lost = 0;
                0
            }
            Err(lost) => {
                self.lost += lost;
                lost
            }
        }
    }
}

/// The next time of a relay that comes round every [`TAP_PERIOD`], which is another one for each, so
/// that a recorder always has a little to do and never much.
fn next_due(now: Time, relay: RelayId) -> Time {
    let period = TAP_PERIOD.as_micros() as u64;
    // Multiples of the golden ratio fall far from each other.
    let phase = relay.0.wrapping_mul(period * 618 / 1000 + 11) % period;
    let since = (now.as_micros() + phase) % period;
    now + Duration::from_micros(period - since)
}

/// Empty buffers by their size: those that pictures have filled are too large for sound.
struct Buffers {
    home: SyncSender<Vec<u8>>,
    returned: Receiver<Vec<u8>>,
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
}

impl Default for Buffers {
    fn default() -> Self {
        let (home, returned) = sync_channel(RETURNED_MAX);
        Self {
            home,
            returned,
            small: Vec::new(),
            large: Vec::new(),
        }
    }
}

impl Buffers {
    /// An empty batch of a relay whose last one had `size` bytes.
    fn batch(&mut self, relay: RelayId, size: usize, lost: u64) -> TapBatch {
        while let Ok(buffer) = self.returned.try_recv() {
            let spare = match buffer.capacity() >= LARGE {
                true => &mut self.large,
                false => &mut self.small,
            };
            if spare.len() < SPARE_MAX {
                spare.push(buffer);
            }
        }
        let spare = match size >= LARGE {
            true => &mut self.large,
            false => &mut self.small,
        };
        let buffer = spare.pop();
        let buffer = buffer.unwrap_or_else(|| Vec::with_capacity(size));
        TapBatch::new(relay, buffer, lost, Some(self.home.clone()))
    }
}

#[cfg(test)]
mod tests {
    use crosspoint_media::tap::{TAP_BATCHES_MAX, TapMessage, TapPacket};

    use super::*;

    /// Writes a packet.
    fn message(sequence_number: u16, payload: &[u8]) -> impl Fn(&mut Vec<u8>) {
        let packet = TapPacket {
            encoding: 0,
            epoch: 0,
            marker: false,
            payload_type: 111,
            sequence_number,
            timestamp: 0,
            payload,
        };
        move |to| TapMessage::Packet(packet).write(to)
    }

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    #[test]
    fn messages_of_a_track_wait_for_each_other_and_the_first_not_long() {
        let (door, queue) = TapDoor::new();
        let mut taps = Taps::default();
        taps.route(RelayId(1), Some(door.clone()));
        taps.route(RelayId(2), Some(door));
        let sound = message(1, b"sound");
        assert!(taps.push(at(0), RelayId(1), NtpTime(1), &sound));
        assert!(taps.push(at(10), RelayId(2), NtpTime(2), &sound));
        assert!(!taps.push(at(10), RelayId(3), NtpTime(2), &sound));
        assert_eq!(taps.due(), at(20) + LATE);
        taps.flush(at(19));
        assert!(queue.try_recv().is_err());
        taps.flush(at(30));
        let relays = queue.try_iter().map(|batch| batch.relay().0);
        assert!(relays.eq([1, 2]));
        assert_eq!(taps.due(), Time::NEVER);
        for n in 2..=50 {
            taps.push(at(n * 20), RelayId(1), NtpTime(n), &sound);
            taps.flush(at(n * 20));
        }
        let counts: Vec<_> = queue
            .try_iter()
            .map(|batch| batch.messages().count())
            .collect();
        assert!(
            counts.len() >= 2 && counts.iter().all(|count| *count <= 15),
            "{counts:?}"
        );
    }

    #[test]
    fn tracks_are_handed_over_at_times_of_their_own() {
        let (door, queue) = TapDoor::new();
        let mut taps = Taps::default();
        for relay in 1..=100 {
            taps.route(RelayId(relay), Some(door.clone()));
        }
        for ms in 0..1000 {
            for relay in (1..=100).filter(|relay| ms % 20 == relay % 20) {
                taps.push(at(ms), RelayId(relay), NtpTime(ms), message(1, b"sound"));
            }
            taps.flush(at(ms));
            let at_once = queue.try_iter().count();
            assert!(ms < 100 || at_once <= 3, "{at_once} at {ms} ms");
        }
    }

    #[test]
    fn what_a_closed_relay_had_comes_at_once() {
        let (door, queue) = TapDoor::new();
        let mut taps = Taps::default();
        taps.route(RelayId(1), Some(door));
        taps.push(at(0), RelayId(1), NtpTime(1), message(1, b"sound"));
        taps.route(RelayId(1), None);
        assert_eq!(queue.try_recv().unwrap().messages().count(), 1);
        taps.flush(at(1000));
        assert_eq!(taps.due(), Time::NEVER);
    }

    #[test]
    fn a_full_batch_does_not_wait_and_what_follows_has_its_time() {
        let (door, queue) = TapDoor::new();
        let mut taps = Taps::default();
        taps.route(RelayId(1), Some(door));
        let picture = message(1, &[0; 1200]);
        let mut now = 0;
        while queue.try_recv().is_err() {
            now += 1;
            taps.push(at(now), RelayId(1), NtpTime(1), &picture);
        }
        assert!((100..110).contains(&now), "{now}");
        taps.push(at(now), RelayId(1), NtpTime(1), &picture);
        taps.flush(at(now));
        assert!(queue.try_recv().is_err());
        taps.flush(at(now) + TAP_PERIOD);
        assert_eq!(queue.try_recv().unwrap().messages().count(), 1);
    }

    #[test]
    fn what_a_full_door_refuses_is_counted_and_told_of_its_track() {
        let (door, queue) = TapDoor::new();
        let mut taps = Taps::default();
        taps.route(RelayId(1), Some(door.clone()));
        taps.route(RelayId(2), Some(door));
        let sound = message(1, b"sound");
        let batches = TAP_BATCHES_MAX as u64;
        for n in 0..batches + 3 {
            taps.push(at(n * 1000), RelayId(1), NtpTime(n), &sound);
            taps.flush(at(n * 1000 + 500));
        }
        assert_eq!((taps.sent(), taps.dropped()), (batches + 3, 3));
        assert_eq!(queue.try_iter().map(|batch| batch.lost()).sum::<u64>(), 0);
        let later = at((batches + 3) * 1000);
        taps.push(later, RelayId(1), NtpTime(9), &sound);
        taps.push(later, RelayId(2), NtpTime(9), &sound);
        taps.clear();
        let mut lost: Vec<_> = queue.try_iter().map(|b| (b.relay().0, b.lost())).collect();
        lost.sort_unstable();
        assert_eq!(lost, [(1, 3), (2, 0)]);
        assert!(!taps.push(later, RelayId(1), NtpTime(9), &sound));
    }
}
