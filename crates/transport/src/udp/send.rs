//! The send side: a slab that packets are written into, and runs over it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use super::runs::{RunHint, Runs};
use super::sys::SendScratch;
use super::{Offload, UdpSocket};

/// Bytes that may wait per socket. About 200 full packets: enough for a good batch, small enough
/// to stay in the second-level cache when it is filled over and over. What the network does not
/// take is buffered by the kernel, not here.
const SLAB_BYTES: usize = 256 << 10;

/// What happened on the way out.
#[derive(Clone, Copy, Debug, Default)]
pub struct SendCounters {
    /// Datagrams that the kernel took.
    pub datagrams: u64,
    /// Their bytes.
    pub bytes: u64,
    /// System calls that sent.
    pub calls: u64,
    /// Sends with more than one datagram.
    pub gso_runs: u64,
    /// Datagrams in those.
    pub gso_datagrams: u64,
    /// Times that the socket took no more.
    pub blocked: u64,
    /// Datagrams given up because newer ones needed the place.
    pub dropped: u64,
    /// Datagrams that the system refused, e.g. for lack of a route.
    pub errors: u64,
}

/// Packets of one socket that wait to be sent.
pub struct SendQueue {
    slab: Box<[u8]>,
    used: usize,
    runs: Runs,
    scratch: Option<SendScratch>,
    blocked: bool,
    counters: SendCounters,
}

impl SendQueue {
    pub(super) fn new(offload: Offload) -> Self {
        Self {
            slab: vec![0; SLAB_BYTES].into_boxed_slice(),
            used: 0,
            runs: Runs::new(offload.gso),
            scratch: offload.batches.then(SendScratch::new),
            blocked: false,
            counters: SendCounters::default(),
        }
    }

    pub(super) fn has_room(&self, len: usize) -> bool {
        self.slab.len() - self.used >= len
    }

    /// Lends the place of the next packet; what is written there is queued by `commit`.
    pub(super) fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        self.slab.get_mut(self.used..self.used.checked_add(len)?)
    }

    /// Queues the first `len` bytes of what `reserve` lent.
    pub fn commit(&mut self, to: SocketAddr, len: usize, hint: &mut RunHint) {
        let Ok(short) = u16::try_from(len) else {
            debug_assert!(false, "packet of {len} bytes");
            return;
        };
        debug_assert!(self.has_room(len), "commit without reserve");
        self.runs.push(to, self.used as u32, short, hint);
        self.used += len;
    }

    /// Drops what waits if there is no room: all of it is older than what needs the room, and
    /// the kernel has megabytes of the same age in its own buffer already.
    pub(super) fn make_room(&mut self, len: usize) {
        if !self.has_room(len) {
            self.counters.dropped += self.runs.waiting_packets() as u64;
            self.clear();
        }
    }

    /// Forgets what waits.
    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.used = 0;
    }

    /// Whether the socket took no more at the last flush.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// What happened since the start.
    pub const fn counters(&self) -> &SendCounters {
        &self.counters
    }

    /// What waits, taken out instead of sent.
    #[cfg(test)]
    pub(crate) fn take(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut taken = Vec::new();
        for run in self.runs.waiting() {
            let packets = self.runs.packets(run);
            taken.extend(packets.map(|range| (run.to, self.slab[range].to_vec())));
        }
        self.clear();
        taken
    }

    pub(super) fn flush(&mut self, socket: &UdpSocket) {
        self.blocked = false;
        while !self.blocked && !self.runs.waiting().is_empty() {
            if self.scratch.is_some() {
                self.send_batch(socket);
            } else {
                self.send_first_run_singly(socket);
            }
        }
        if !self.blocked {
            self.clear();
        }
    }

    /// One system call for as many runs as it takes.
    fn send_batch(&mut self, socket: &UdpSocket) {
        let Some(scratch) = &mut self.scratch else {
            return;
        };
        self.counters.calls += 1;
        match scratch.send(socket.inner.as_fd(), &self.slab, &self.runs) {
            // Cannot be: at least one run waits. Give it up rather than try for ever.
            Ok(0) => self.runs.advance(1),
            Ok(sent) => {
                for run in self.runs.waiting().iter().take(sent) {
                    let count = u64::from(run.count);
                    self.counters.datagrams += count;
                    self.counters.bytes += run.bytes();
                    if count > 1 {
                        self.counters.gso_runs += 1;
                        self.counters.gso_datagrams += count;
                    }
                }
                self.runs.advance(sent);
            }
            Err(error) if is_full(&error) => self.block(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                // EIO: the device cannot do checksums, so segmentation will never work.
                // EINVAL, EMSGSIZE: it does not on this path, whose packets must be smaller.
                if self.runs.gso() && error.raw_os_error() == Some(libc::EIO) {
                    tracing::warn!(%error, "sending without UDP GSO from now on");
                    self.runs.disable_gso();
                }
                self.send_first_run_singly(socket);
            }
        }
    }

    /// One system call per packet, for the first run.
    fn send_first_run_singly(&mut self, socket: &UdpSocket) {
        let Some(run) = self.runs.waiting().first().copied() else {
            return;
        };
        let mut packets = self.runs.packets(&run).peekable();
        while let Some(range) = packets.peek() {
            self.counters.calls += 1;
            let packet = self.slab.get(range.clone()).unwrap_or_default();
            match socket.inner.send_to(packet, run.to) {
                Ok(_) => {
                    self.counters.datagrams += 1;
                    self.counters.bytes += packet.len() as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_full(&error) => break,
                Err(_) => self.counters.errors += 1,
            }
            packets.next();
        }
        let left = packets.count() as u64;
        if left == u64::from(run.count) {
            self.block();
        } else {
            // A run is sent or not: what did not fit of one that began is lost, as on a network.
            self.counters.dropped += left;
            self.runs.advance(1);
        }
    }

    fn block(&mut self) {
        self.blocked = true;
        self.counters.blocked += 1;
    }
}

/// Whether the socket, or the device behind it, takes no more now.
fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENOBUFS)
}
