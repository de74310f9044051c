//! The receive side: one slab, filled by one call.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use super::sys::RecvScratch;
use super::{Offload, Port};

/// Messages per call.
const MESSAGES: usize = 32;

/// Room per message when the kernel may join datagrams: 64 KiB, and 17 cache lines more, so that
/// the beginnings of all messages do not compete for the same few places in the caches.
const GRO_SLOT_BYTES: usize = (1 << 16) + 17 * 64;

/// Room per message otherwise. Nothing that peers may send is larger than an Ethernet frame;
/// what is, is cut, and then dropped.
const SLOT_BYTES: usize = 2048;

/// One message in the slab: datagrams of one source, equal in length but for the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Received {
    pub(super) source: SocketAddr,
    /// Bytes in the slot.
    pub(super) len: usize,
    /// Length of each datagram but the last, at least 1.
    pub(super) segment: usize,
}

/// What happened on the way in.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecvCounters {
    /// System calls that received something.
    pub calls: u64,
    /// Messages that they returned.
    pub messages: u64,
    /// Messages larger than their slot or from an address that is none; dropped.
    pub malformed: u64,
    /// Calls that failed.
    pub errors: u64,
}

/// A batch of received datagrams and the room for the next one. One per worker.
pub struct RecvBatch {
    slab: Box<[u8]>,
    slot_bytes: usize,
    received: Vec<Received>,
    scratch: Option<RecvScratch>,
    counters: RecvCounters,
}

impl RecvBatch {
    /// Room for what `offload` says may come at once. Untouched room costs no memory.
    pub fn new(offload: Offload) -> Self {
        let slot_bytes = if offload.gro {
            GRO_SLOT_BYTES
        } else {
            SLOT_BYTES
        };
        Self {
            slab: vec![0; MESSAGES * slot_bytes].into_boxed_slice(),
            slot_bytes,
            received: Vec::with_capacity(MESSAGES),
            scratch: offload.batches.then(|| RecvScratch::new(MESSAGES)),
            counters: RecvCounters::default(),
        }
    }

    /// Replaces the batch by what waits in the socket. `true`: there may be more. Errors are
    /// counted: of a socket without a connection none is final.
    pub fn receive(&mut self, port: &Port) -> bool {
        self.received.clear();
        let result = match &mut self.scratch {
            Some(scratch) => {
                let slots = self.slab.chunks_exact_mut(self.slot_bytes);
                scratch.receive(port.socket.inner.as_fd(), slots, &mut self.received)
            }
            None => self.receive_singly(port),
        };
        match result {
            Ok(messages) => {
                self.counters.calls += 1;
                self.counters.messages += messages as u64;
                let malformed = self.received.iter().filter(|message| message.len == 0);
                self.counters.malformed += malformed.count() as u64;
                messages == MESSAGES
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
            Err(_) => {
                self.counters.errors += 1;
                false
            }
        }
    }

    fn receive_singly(&mut self, port: &Port) -> io::Result<usize> {
        for slot in self.slab.chunks_exact_mut(self.slot_bytes) {
            match port.socket.inner.recv_from(slot) {
                Ok((len, source)) => self.received.push(Received {
                    source,
                    // The standard library does not say whether a datagram was cut.
                    len: if len == slot.len() { 0 } else { len },
                    segment: len.max(1),
                }),
                Err(_) if !self.received.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(self.received.len())
    }

    /// The batch, datagram by datagram, with their sources.
    pub fn datagrams(&mut self) -> impl Iterator<Item = (SocketAddr, &mut [u8])> {
        let slots = self.slab.chunks_exact_mut(self.slot_bytes);
        self.received.iter().zip(slots).flat_map(|(message, slot)| {
            let bytes = slot.get_mut(..message.len).unwrap_or_default();
            let datagrams = bytes.chunks_mut(message.segment);
            datagrams.map(|datagram| (message.source, datagram))
        })
    }

    /// What happened since the start.
    pub const fn counters(&self) -> &RecvCounters {
        &self.counters
    }
}
