//! One worker's way to recorders: messages of tapped tracks, collected for a few milliseconds and
//! handed over in batches, in buffers that go back and forth.
//!
//! A recorder is in no hurry, so that batches come to it fifty times a second and not a packet at a time.
//! One that is slower than its tracks finds its door full: then batches are dropped and counted here,
//! and the next one that gets through says how many messages are missing.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use crosspoint_media::config::RelayId;
use crosspoint_media::tap::{TapBatch, TapDoor};
use crosspoint_wire::time::{NtpTime, Time};
use foldhash::fast::RandomState;

/// A batch is handed over when it has this many bytes.
const BATCH_BYTES: usize = 64 << 10;

/// A batch is handed over at the latest when it is this old.
const BATCH_AGE: Duration = Duration::from_millis(20);

/// Empty buffers that wait to be used again.
const BUFFERS_MAX: usize = 32;

/// All taps of a worker.
pub(crate) struct Taps {
    recorders: Vec<Recorder>,
    /// Which recorder gets a relay's messages: its index.
    routes: HashMap<RelayId, usize, RandomState>,
    home: SyncSender<Vec<u8>>,
    returned: Receiver<Vec<u8>>,
    sent: u64,
    dropped: u64,
}

struct Recorder {
    door: TapDoor,
    batch: Option<TapBatch>,
    /// When the batch is to be handed over.
    due: Time,
    /// Messages lost since the last batch that got through.
    lost: u64,
}

impl Default for Taps {
    fn default() -> Self {
        let (home, returned) = sync_channel(BUFFERS_MAX);
        Self {
            recorders: Vec::new(),
            routes: HashMap::default(),
            home,
            returned,
            sent: 0,
            dropped: 0,
        }
    }
}

impl Taps {
    /// Leads a relay to a recorder, or nowhere.
    pub(crate) fn route(&mut self, relay: RelayId, door: Option<TapDoor>) {
        let Some(door) = door else {
            self.routes.remove(&relay);
            return;
        };
        let known = self.recorders.iter().position(|r| r.door == door);
        let index = known.unwrap_or_else(|| {
            self.recorders.push(Recorder {
                door,
                batch: None,
                due: Time::NEVER,
                lost: 0,
            });
            self.recorders.len() - 1
        });
        self.routes.insert(relay, index);
    }

    /// Queues a copy of a message; false when the relay leads to no recorder.
    pub(crate) fn push(
        &mut self,
        now: Time,
        relay: RelayId,
        wall: NtpTime,
        message: &[u8],
    ) -> bool {
        if self.routes.is_empty() {
            return false;
        }
        let Some(&index) = self.routes.get(&relay) else {
            return false;
        };
        let Some(recorder) = self.recorders.get_mut(index) else {
            return false;
        };
        let batch = recorder.batch.get_or_insert_with(|| {
            recorder.due = now + BATCH_AGE;
            let buffer = self.returned.try_recv().unwrap_or_default();
            TapBatch::new(buffer, recorder.lost, Some(self.home.clone()))
        });
        batch.push(relay, wall, message);
        self.sent += 1;
        if batch.len() >= BATCH_BYTES {
            self.dropped += recorder.hand_over();
        }
        true
    }

    /// Hands over what is old enough.
    pub(crate) fn flush(&mut self, now: Time) {
        for recorder in &mut self.recorders {
            if recorder.due <= now {
                self.dropped += recorder.hand_over();
            }
        }
    }

    /// When [`flush`](Self::flush) has something to do.
    pub(crate) fn due(&self) -> Time {
        let due = self.recorders.iter().map(|recorder| recorder.due);
        due.min().unwrap_or(Time::NEVER)
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
        for recorder in &mut self.recorders {
            self.dropped += recorder.hand_over();
        }
        self.recorders.clear();
        self.routes.clear();
    }
}

impl Recorder {
    /// How many messages were lost by it.
    fn hand_over(&mut self) -> u64 {
        self.due = Time::NEVER;
        let Some(batch) = self.batch.take() else {
            return 0;
        };
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

#[cfg(test)]
mod tests {
    use crosspoint_media::tap::{TAP_BATCHES_MAX, TapMessage, TapPacket};

    use super::*;

    fn message(sequence_number: u16) -> Vec<u8> {
        let packet = TapPacket {
            encoding: 0,
            epoch: 0,
            marker: false,
            payload_type: 111,
            sequence_number,
            timestamp: 0,
            payload: b"payload",
        };
        let mut bytes = Vec::new();
        TapMessage::Packet(packet).write(&mut bytes);
        bytes
    }

    #[test]
    fn messages_wait_for_each_other_but_not_long() {
        let (door, queue) = TapDoor::new();
        let mut taps = Taps::default();
        taps.route(RelayId(1), Some(door.clone()));
        taps.route(RelayId(2), Some(door));
        let at = Time::from_millis;
        assert!(taps.push(at(0), RelayId(1), NtpTime(1), &message(1)));
        assert!(taps.push(at(10), RelayId(2), NtpTime(2), &message(2)));
        assert!(!taps.push(at(10), RelayId(3), NtpTime(2), &message(3)));
        assert_eq!(taps.due(), at(20));
        taps.flush(at(19));
        assert!(queue.try_recv().is_err());
        taps.flush(at(20));
        assert_eq!(queue.try_recv().unwrap().messages().count(), 2);
        assert_eq!(taps.due(), Time::NEVER);
    }

    #[test]
    fn what_a_full_door_refuses_is_counted_and_told() {
        let (door, queue) = TapDoor::new();
        let mut taps = Taps::default();
        taps.route(RelayId(1), Some(door));
        for n in 0..TAP_BATCHES_MAX as u64 + 3 {
            taps.push(
                Time::from_millis(n * 20),
                RelayId(1),
                NtpTime(n),
                &message(1),
            );
            taps.flush(Time::from_millis(n * 20 + 20));
        }
        assert_eq!((taps.sent(), taps.dropped()), (1027, 3));
        assert_eq!(queue.try_iter().map(|batch| batch.lost()).sum::<u64>(), 0);
        taps.push(
            Time::from_millis(60_000),
            RelayId(1),
            NtpTime(9),
            &message(1),
        );
        taps.clear();
        assert_eq!(queue.try_recv().unwrap().lost(), 3);
        assert!(!taps.push(
            Time::from_millis(60_000),
            RelayId(1),
            NtpTime(9),
            &message(1)
        ));
    }
}
