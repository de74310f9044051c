//! The ways on which a peer can be reached.

use std::net::SocketAddr;

/// One of our ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Link {
    /// A UDP socket of the worker, by its index.
    Udp(u8),
    /// A TCP connection, by its number, which is never reused.
    Tcp(u32),
}

/// One of our ends and the peer's address at the other: the 5-tuple of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Path {
    pub(crate) link: Link,
    pub(crate) remote: SocketAddr,
}

#[cfg(test)]
impl Path {
    /// The same peer at another end of ours.
    pub(crate) const fn on_another_link(self) -> Self {
        Self {
            link: Link::Udp(200),
            ..self
        }
    }
}
