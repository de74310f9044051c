//! ICE-TCP, the passive side (RFC 6544): datagrams over connections, framed by RFC 4571.
//!
//! The [`acceptor`] has the listening sockets and hands each connection to the worker that owns
//! the session its first frame is addressed to. The worker keeps it in [`Connections`]; there a
//! frame is a datagram like any other and has to prove its path like any other.
//!
//! All that a stranger can occupy is bounded: how many connections have proved nothing yet, how
//! long they may stay so, how much of them is buffered. A peer that reads too slowly loses
//! packets, as on a slow link, not the server memory.

pub(crate) mod acceptor;
mod frames;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use crosspoint_wire::time::Time;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

pub(crate) use self::frames::Inbox;

/// A connection that has proved no path is closed after this long.
const PROVE_WITHIN: Duration = Duration::from_secs(10);

/// A connection that brought nothing is closed after this long. Browsers check a path that they
/// keep in reserve at least every 25 s.
const IDLE_MAX: Duration = Duration::from_secs(40);

/// Connections that have proved nothing, per worker.
const STRANGERS_MAX: usize = 1024;

/// What may wait to be written to one peer: half a second at 4 Mbit/s.
const OUTPUT_BYTES_MAX: usize = 256 << 10;

/// A new connection, and what was read from it already.
pub(crate) struct Arrival {
    pub(crate) stream: TcpStream,
    pub(crate) remote: SocketAddr,
    pub(crate) inbox: Inbox,
}

struct Connection {
    stream: TcpStream,
    remote: SocketAddr,
    /// `None` while the worker goes through it.
    inbox: Option<Inbox>,
    output: Vec<u8>,
    /// How much of `output` is written.
    written: usize,
    opened: Time,
    heard: Time,
    proved: bool,
}

/// Counts of one worker's connections.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TcpCounters {
    /// Connections taken over.
    pub(crate) opened: u64,
    /// Connections closed, by either side.
    pub(crate) closed: u64,
    /// Connections refused because too many have proved nothing.
    pub(crate) refused: u64,
    /// Frames sent.
    pub(crate) frames_sent: u64,
    /// Packets dropped because the peer reads too slowly.
    pub(crate) dropped: u64,
}

/// The connections of one worker.
pub(crate) struct Connections {
    registry: Registry,
    /// Tokens below belong to others.
    first_token: usize,
    connections: HashMap<u32, Connection>,
    next: u32,
    /// Connections with something to write.
    unwritten: Vec<u32>,
    counters: TcpCounters,
}

impl Connections {
    /// None yet. `first_token` and all above are theirs.
    pub(crate) fn new(registry: Registry, first_token: usize) -> Self {
        Self {
            registry,
            first_token,
            connections: HashMap::new(),
            next: 0,
            unwritten: Vec::new(),
            counters: TcpCounters::default(),
        }
    }

    /// Takes over a connection; `None` if it cannot be.
    pub(crate) fn add(&mut self, now: Time, arrival: Arrival) -> Option<u32> {
        let strangers = self.connections.values().filter(|c| !c.proved).count();
        if strangers >= STRANGERS_MAX {
            self.counters.refused += 1;
            return None;
        }
        let id = self.next;
        let mut stream = arrival.stream;
        let token = Token(self.first_token + id as usize);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.registry.register(&mut stream, token, interest).ok()?;
        // Media must not wait for acknowledgements.
        let _ = stream.set_nodelay(true);
        self.next = self.next.wrapping_add(1);
        self.counters.opened += 1;
        self.connections.insert(
            id,
            Connection {
                stream,
                remote: arrival.remote,
                inbox: Some(arrival.inbox),
                output: Vec::new(),
                written: 0,
                opened: now,
                heard: now,
                proved: false,
            },
        );
        Some(id)
    }

    /// The connection that a poller's token belongs to.
    pub(crate) const fn by_token(&self, token: Token) -> Option<u32> {
        match token.0.checked_sub(self.first_token) {
            Some(id) => Some(id as u32),
            None => None,
        }
    }

    /// Lends what was read and not yet taken, together with the peer's address.
    pub(crate) fn take_inbox(&mut self, id: u32) -> Option<(SocketAddr, Inbox)> {
        let connection = self.connections.get_mut(&id)?;
        Some((connection.remote, connection.inbox.take()?))
    }

    /// Reads more into a lent inbox. `false`: nothing more for now.
    ///
    /// # Errors
    ///
    /// The connection is over.
    pub(crate) fn read(&mut self, now: Time, id: u32, inbox: &mut Inbox) -> io::Result<bool> {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let more = inbox.read(&mut connection.stream)?;
        if more {
            connection.heard = now;
        }
        Ok(more)
    }

    /// Gives a lent inbox back.
    pub(crate) fn put_inbox(&mut self, id: u32, inbox: Inbox) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.inbox = Some(inbox);
        }
    }

    /// The connection proved a path.
    pub(crate) fn set_proved(&mut self, id: u32) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.proved = true;
        }
    }

    /// Lends room for a packet of up to `len` bytes to a peer; `None`, and counted, when the peer
    /// reads too slowly.
    pub(crate) fn reserve(&mut self, id: u32, len: usize) -> Option<&mut [u8]> {
        let connection = self.connections.get_mut(&id)?;
        if connection.output.len() + 2 + len > OUTPUT_BYTES_MAX {
            connection.output.drain(..connection.written);
            connection.written = 0;
        }
        let start = connection.output.len();
        if start + 2 + len > OUTPUT_BYTES_MAX {
            self.counters.dropped += 1;
            return None;
        }
        connection.output.resize(start + 2 + len, 0);
        connection.output.get_mut(start + 2..)
    }

    /// Queues the first `len` of the `reserved` bytes that were lent last; 0 gives them back.
    pub(crate) fn commit(&mut self, id: u32, reserved: usize, len: usize) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let output = &mut connection.output;
        let start = output.len().saturating_sub(2 + reserved);
        let (Ok(short), Some(prefix)) = (u16::try_from(len), output.get_mut(start..start + 2))
        else {
            debug_assert!(false, "commit without reserve");
            return;
        };
        if len == 0 {
            output.truncate(start);
            return;
        }
        prefix.copy_from_slice(&short.to_be_bytes());
        output.truncate(start + 2 + len);
        self.counters.frames_sent += 1;
        self.unwritten.push(id);
    }

    /// Queues a copy of one packet.
    pub(crate) fn push(&mut self, id: u32, packet: &[u8]) {
        if let Some(place) = self.reserve(id, packet.len()) {
            place.copy_from_slice(packet);
            self.commit(id, packet.len(), packet.len());
        }
    }

    /// Writes what is queued, as far as the peers take it.
    pub(crate) fn flush(&mut self) {
        let mut unwritten = std::mem::take(&mut self.unwritten);
        for id in unwritten.drain(..) {
            self.write(id);
        }
        self.unwritten = unwritten;
    }

    /// Writes what is queued for one peer; also when the poller says that it takes more.
    pub(crate) fn write(&mut self, id: u32) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        while let Some(rest @ [_, ..]) = connection.output.get(connection.written..) {
            match connection.stream.write(rest) {
                Ok(written) => connection.written += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // When it is gone, reading will say so.
                Err(_) => return,
            }
        }
        connection.output.clear();
        connection.written = 0;
    }

    /// Closes a connection.
    pub(crate) fn close(&mut self, id: u32) {
        if let Some(mut connection) = self.connections.remove(&id) {
            let _ = self.registry.deregister(&mut connection.stream);
            self.counters.closed += 1;
        }
    }

    /// Connections that have proved nothing for too long, or are idle. To be called about each
    /// second.
    pub(crate) fn overdue(&self, now: Time) -> Vec<(u32, SocketAddr)> {
        let overdue = self.connections.iter().filter(|(_, connection)| {
            let stranger = !connection.proved && now.since(connection.opened) >= PROVE_WITHIN;
            stranger || now.since(connection.heard) >= IDLE_MAX
        });
        overdue.map(|(id, c)| (*id, c.remote)).collect()
    }

    /// Whether there is nothing to look after.
    pub(crate) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// Closes all.
    pub(crate) fn clear(&mut self) {
        let ids: Vec<u32> = self.connections.keys().copied().collect();
        for id in ids {
            self.close(id);
        }
        self.unwritten.clear();
    }

    /// Counts since the start.
    pub(crate) const fn counters(&self) -> &TcpCounters {
        &self.counters
    }
}
