//! Datagrams in batches: many per system call, and many per trip through the kernel's network
//! stack where it can (UDP GRO and GSO).
//!
//! A [`Port`] is a bound socket with a queue of what is to be sent through it. Packets are
//! written, and encrypted, where the kernel reads them: [`SendQueue::reserve`] lends the place,
//! [`SendQueue::commit`] queues it, and [`Port::flush`] sends all with as few calls as possible.
//! [`RecvBatch`] is the other direction: one slab, filled by one call, handed out datagram by
//! datagram for decryption in place.
//!
//! Kernels and sandboxes without the batch calls are served one datagram per call by the
//! standard library; [`Offload::probe`] finds out, and [`Offload::NONE`] forces that road.
//!
//! This is the only place with `unsafe` code, all of it in `sys`. It knows nothing of what is in
//! a datagram. It is public for the load generator, which must not cost more than the server.

mod recv;
mod runs;
mod send;
#[expect(
    unsafe_code,
    reason = "the batch calls and their socket options have no safe form in std"
)]
mod sys;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};

pub use self::recv::{RecvBatch, RecvCounters};
pub use self::runs::RunHint;
pub use self::send::{SendCounters, SendQueue};

/// What we ask the kernel to buffer per socket and direction: at 10 Gbit/s about 3 ms, at
/// 1 Gbit/s 30 ms, longer than a worker is ever away.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// What the kernel can do for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offload {
    /// `recvmmsg` and `sendmmsg`.
    pub batches: bool,
    /// `UDP_GRO`: one receive returns several datagrams of one source.
    pub gro: bool,
    /// `UDP_SEGMENT`: one send carries several datagrams to one destination.
    pub gso: bool,
}

impl Offload {
    /// One datagram per system call.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self {
        batches: false,
        gro: false,
        gso: false,
    };

    /// Tries what this kernel knows. Never fails: what cannot be tried is not there.
    pub fn probe() -> Self {
        let Ok(socket) = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)) else {
            return Self {
                batches: false,
                gro: false,
                gso: false,
            };
        };
        let batches = sys::has_batches(socket.as_fd());
        Self {
            batches,
            gro: batches && sys::enable_gro(socket.as_fd()).is_ok(),
            gso: batches && sys::has_gso(socket.as_fd()),
        }
    }
}

/// A bound, non-blocking socket.
pub struct UdpSocket {
    inner: mio::net::UdpSocket,
    local: SocketAddr,
    offload: Offload,
}

impl UdpSocket {
    /// Binds to `address`, with large buffers; port 0 takes a free one. IPv6 sockets take IPv6
    /// only, so that each address has one form.
    ///
    /// # Errors
    ///
    /// Whatever the system says, e.g. that the port is taken.
    pub fn bind(address: SocketAddr, offload: Offload) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        sys::enlarge_buffers(socket.as_fd(), SOCKET_BUFFER_BYTES);
        if offload.gro {
            sys::enable_gro(socket.as_fd())?;
        }
        socket.bind(&address.into())?;
        let socket = std::net::UdpSocket::from(socket);
        let local = socket.local_addr()?;
        Ok(Self {
            inner: mio::net::UdpSocket::from_std(socket),
            local,
            offload,
        })
    }

    /// The address that it is bound to.
    pub const fn local(&self) -> SocketAddr {
        self.local
    }
}

/// A socket and what waits to be sent through it. Lives on the worker's thread.
pub struct Port {
    pub(crate) socket: UdpSocket,
    /// What waits to be sent.
    pub queue: SendQueue,
}

impl Port {
    /// Adds an empty queue to a socket.
    pub fn new(socket: UdpSocket) -> Self {
        let queue = SendQueue::new(socket.offload);
        Self { socket, queue }
    }

    /// The address that its socket is bound to.
    pub const fn local(&self) -> SocketAddr {
        self.socket.local()
    }

    /// Sends what is queued, as far as the socket takes it; the rest waits.
    pub fn flush(&mut self) {
        self.queue.flush(&self.socket);
    }

    /// Lends `len` bytes of the queue, sending first if it is full.
    /// `None` only if `len` exceeds the queue.
    pub fn reserve(&mut self, len: usize) -> Option<&mut [u8]> {
        if !self.queue.has_room(len) {
            self.queue.flush(&self.socket);
            self.queue.make_room(len);
        }
        self.queue.reserve(len)
    }

    /// Queues a copy of one datagram on its own.
    pub fn push(&mut self, to: SocketAddr, datagram: &[u8]) {
        if let Some(place) = self.reserve(datagram.len()) {
            place.copy_from_slice(datagram);
            self.queue
                .commit(to, datagram.len(), &mut RunHint::default());
        }
    }

    /// Whether the socket took no more at the last flush: it has to be watched for room.
    pub const fn is_blocked(&self) -> bool {
        self.queue.is_blocked()
    }

    /// The part that a poller registers.
    pub fn source(&mut self) -> &mut mio::net::UdpSocket {
        &mut self.socket.inner
    }
}
