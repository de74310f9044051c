//! Messages between engines of different workers: collected during a turn, handed over as one
//! batch per worker, in buffers that go back and forth.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crosspoint_media::config::RelayId;
use crosspoint_media::sink::append_with_length;
use foldhash::fast::RandomState;
use mio::Waker;

/// A batch is handed over when it has this many bytes, or at the end of the turn.
const BATCH_BYTES: usize = 256 << 10;

/// Batches that may wait at a worker.
pub(crate) const BATCHES_MAX: usize = 64;

/// Messages for one worker.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// Where the buffer goes when it was read.
    home: SyncSender<Vec<u8>>,
}

impl Batch {
    /// The messages, in order.
    pub(crate) fn messages(&self) -> impl Iterator<Item = (RelayId, &[u8])> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (id, tail) = rest.split_first_chunk()?;
            let (len, tail) = tail.split_first_chunk()?;
            let (message, tail) = tail.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            rest = tail;
            Some((RelayId(u64::from_le_bytes(*id)), message))
        })
    }

    /// Gives the buffer back to who wrote it.
    pub(crate) fn finish(mut self) {
        self.bytes.clear();
        let _ = self.home.try_send(std::mem::take(&mut self.bytes));
    }
}

/// The door of another worker.
#[derive(Clone)]
pub(crate) struct RelayDoor {
    pub(crate) batches: SyncSender<Batch>,
    pub(crate) waker: Arc<Waker>,
}

struct Peer {
    door: RelayDoor,
    bytes: Vec<u8>,
}

/// One worker's way to the others.
pub(crate) struct Relays {
    peers: Vec<Peer>,
    routes: HashMap<RelayId, usize, RandomState>,
    home: SyncSender<Vec<u8>>,
    returned: Receiver<Vec<u8>>,
    dropped: u64,
}

impl Relays {
    /// No routes yet; `doors` are those of all workers, by index.
    pub(crate) fn new(doors: Vec<RelayDoor>) -> Self {
        let (home, returned) = sync_channel(BATCHES_MAX);
        let peers = doors.into_iter().map(|door| Peer {
            door,
            bytes: Vec::new(),
        });
        Self {
            peers: peers.collect(),
            routes: HashMap::default(),
            home,
            returned,
            dropped: 0,
        }
    }

    /// Leads a relay to a worker, or nowhere.
    pub(crate) fn route(&mut self, relay: RelayId, worker: Option<usize>) {
        match worker {
            Some(worker) => self.routes.insert(relay, worker),
            None => self.routes.remove(&relay),
        };
    }

    /// Queues the message that `write` appends for the other end of its relay.
    pub(crate) fn push(&mut self, relay: RelayId, write: impl FnOnce(&mut Vec<u8>)) {
        let worker = self.routes.get(&relay).copied();
        let peer = worker.and_then(|worker| Some((worker, self.peers.get_mut(worker)?)));
        let Some((worker, peer)) = peer else {
            self.dropped += 1;
            return;
        };
        peer.bytes.extend_from_slice(&relay.0.to_le_bytes());
        append_with_length(&mut peer.bytes, write);
        if peer.bytes.len() >= BATCH_BYTES {
            self.hand_over(worker);
        }
    }

    /// Hands over what was collected.
    pub(crate) fn flush(&mut self) {
        for worker in 0..self.peers.len() {
            self.hand_over(worker);
        }
    }

    fn hand_over(&mut self, worker: usize) {
        let Some(peer) = self.peers.get_mut(worker).filter(|p| !p.bytes.is_empty()) else {
            return;
        };
        let empty = self.returned.try_recv().unwrap_or_default();
        let batch = Batch {
            bytes: std::mem::replace(&mut peer.bytes, empty),
            home: self.home.clone(),
        };
        match peer.door.batches.try_send(batch) {
            Ok(()) => {
                let _ = peer.door.waker.wake();
            }
            Err(error) => {
                use std::sync::mpsc::TrySendError::{Disconnected, Full};
                let (Full(batch) | Disconnected(batch)) = error;
                self.dropped += batch.messages().count() as u64;
                batch.finish();
            }
        }
    }

    /// Messages that led nowhere or found the other worker too slow.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Forgets all routes and messages.
    pub(crate) fn clear(&mut self) {
        self.routes.clear();
        for peer in &mut self.peers {
            peer.bytes.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use mio::{Poll, Token};

    use super::*;

    /// Relays to one worker, its queue, and what keeps the waker alive.
    fn relays() -> (Relays, Receiver<Batch>, Poll) {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let (batches, queue) = sync_channel(BATCHES_MAX);
        let relays = Relays::new(vec![RelayDoor { batches, waker }]);
        (relays, queue, poll)
    }

    #[test]
    fn messages_of_a_turn_arrive_in_one_batch_and_in_order() {
        let (mut relays, queue, _poll) = relays();
        let relay = RelayId(u64::MAX);
        relays.route(relay, Some(0));
        let messages: [&[u8]; 3] = [b"one", b"", &[9; 3000]];
        for message in messages {
            relays.push(relay, |to| to.extend_from_slice(message));
        }
        relays.flush();
        let batch = queue.try_recv().unwrap();
        let got: Vec<_> = batch.messages().collect();
        assert_eq!(got, messages.map(|message| (relay, message)));
        assert!(queue.try_recv().is_err());
        assert_eq!(relays.dropped(), 0);
    }

    #[test]
    fn buffers_come_back() {
        let (mut relays, queue, _poll) = relays();
        relays.route(RelayId(1), Some(0));
        let mut buffers = Vec::new();
        for _ in 0..6 {
            relays.push(RelayId(1), |to| to.extend([1; 5000]));
            relays.flush();
            let batch = queue.try_recv().unwrap();
            buffers.push(batch.bytes.as_ptr());
            batch.finish();
        }
        buffers.sort_unstable();
        buffers.dedup();
        assert!(buffers.len() <= 2, "{} buffers", buffers.len());
    }

    #[test]
    fn what_leads_nowhere_or_finds_a_full_queue_is_dropped_and_counted() {
        let (mut relays, queue, _poll) = relays();
        relays.push(RelayId(1), |to| to.extend(b"no route"));
        relays.route(RelayId(1), Some(5));
        relays.push(RelayId(1), |to| to.extend(b"no such worker"));
        assert_eq!(relays.dropped(), 2);
        relays.route(RelayId(1), Some(0));
        for _ in 0..=BATCHES_MAX {
            relays.push(RelayId(1), |to| to.push(b'a'));
            relays.push(RelayId(1), |to| to.push(b'b'));
            relays.flush();
        }
        assert_eq!(relays.dropped(), 4);
        assert_eq!(queue.try_iter().count(), BATCHES_MAX);
        relays.route(RelayId(1), None);
        relays.push(RelayId(1), |to| to.extend(b"no route any more"));
        assert_eq!(relays.dropped(), 5);
    }
}
