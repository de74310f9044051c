//! A worker's core in virtual time, with its sockets replaced by what is queued for them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crosspoint_media::config::EngineConfig;
use crosspoint_wire::time::Time;
use mio::Poll;
use tokio::sync::oneshot;

use super::super::clock::Clock;
use super::super::core::{Core, Plan};
use super::super::links::Links;
use super::super::relays::Relays;
use super::super::taps::Taps;
use crate::api::{Command, DtlsVersions, Event, WorkerReport};
use crate::demux::Kind;
use crate::dtls::DtlsIdentity;
use crate::path::{Link, Path};
use crate::session::Patience;
use crate::tcp::Connections;
use crate::tcp::acceptor::Directory;
use crate::testing::Peer;
use crate::udp::{Offload, Port, RecvCounters, UdpSocket};

/// Datagrams with their destinations.
pub(super) type Sent = Vec<(SocketAddr, Vec<u8>)>;

pub(super) struct Bench {
    pub(super) core: Core,
    links: Links,
    clock: Clock,
    pub(super) now: Time,
}

/// A peer's address.
pub(super) fn path(port: u16) -> Path {
    Path {
        link: Link::Udp(0),
        remote: ([192, 0, 2, 1], port).into(),
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        let (clock, wall_clock) = Clock::start();
        let poll = Poll::new().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), Offload::NONE).unwrap();
        let plan = Plan {
            worker: 0,
            clock,
            engine: EngineConfig {
                wall_clock,
                ..EngineConfig::default()
            },
            identity: Arc::new(DtlsIdentity::generate().unwrap()),
            versions: DtlsVersions::V12,
            patience: Patience {
                connect: Duration::from_secs(30),
                consent: Duration::from_secs(15),
            },
            directory: Directory::default(),
        };
        Self {
            core: Core::new(plan),
            links: Links {
                ports: vec![Port::new(socket)],
                tcp: Connections::new(poll.registry().try_clone().unwrap(), 9),
                relays: Relays::new(vec![]),
                taps: Taps::default(),
                received: RecvCounters::default(),
                events_dropped: 0,
            },
            clock,
            now: Time::from_millis(1000),
        }
    }

    pub(super) fn instant(&self) -> Instant {
        self.clock.instant(self.now)
    }

    /// A peer that the worker does not know yet.
    pub(super) fn stranger(&self, id: u64) -> Peer {
        Peer::new(self.instant(), id)
    }

    /// A peer whose session is open.
    pub(super) fn peer(&mut self, id: u64) -> Peer {
        let peer = self.stranger(id);
        self.open(&peer);
        peer
    }

    /// A peer that is connected and in the room.
    pub(super) fn connected(&mut self, id: u64, path: Path) -> Peer {
        let mut peer = self.peer(id);
        self.connect(&mut peer, path);
        peer
    }

    pub(super) fn open(&mut self, peer: &Peer) {
        self.command(peer.open_command());
        for command in peer.media_commands() {
            self.command(command);
        }
    }

    pub(super) fn command(&mut self, command: Command) -> Sent {
        let now = self.now;
        self.core.handle_command(&mut self.links, now, command);
        self.settle()
    }

    /// Lets one datagram arrive.
    pub(super) fn feed(&mut self, path: Path, datagram: &[u8]) -> Sent {
        let mut datagram = datagram.to_vec();
        let now = self.now;
        self.core
            .handle_datagram(&mut self.links, now, path, &mut datagram);
        self.settle()
    }

    /// Lets one datagram arrive, without looking at what comes of it.
    pub(super) fn feed_blindly(&mut self, path: Path, datagram: &mut [u8]) {
        let now = self.now;
        self.core
            .handle_datagram(&mut self.links, now, path, datagram);
    }

    /// The packet path and nothing else: a datagram in, what it causes written and encrypted, and
    /// the queue emptied as by a send.
    pub(super) fn forward(&mut self, path: Path, datagram: &mut [u8]) {
        let now = self.now;
        self.core
            .handle_datagram(&mut self.links, now, path, datagram);
        self.core.handle_timeout(&mut self.links, now);
        self.core.flush(&mut self.links, now);
        self.links.ports[0].queue.clear();
    }

    /// What is due and what is queued.
    pub(super) fn settle(&mut self) -> Sent {
        let now = self.now;
        self.core.handle_timeout(&mut self.links, now);
        self.core.flush(&mut self.links, now);
        self.links.ports[0].queue.take()
    }

    /// Lets time pass, timer by timer.
    pub(super) fn advance(&mut self, duration: Duration) -> Sent {
        let end = self.now + duration;
        let mut sent = Vec::new();
        while self.now < end {
            self.now = self.core.next_timeout().max(self.now).min(end);
            sent.extend(self.settle());
            // A timer that does not move would hang here.
            self.now = (self.now + Duration::from_micros(10)).min(end);
        }
        sent
    }

    /// Lets a check arrive and hands the reply to the peer.
    pub(super) fn check(&mut self, peer: &mut Peer, path: Path, nominate: bool) {
        let check = peer.check(nominate);
        let sent = self.feed(path, &check);
        self.deliver(peer, path, sent);
    }

    /// Lets the peer's DTLS go on for one flight. `true`: there was something to send.
    pub(super) fn shake(&mut self, peer: &mut Peer, path: Path) -> bool {
        let mut some = false;
        while let Some(datagram) = peer.poll_dtls(self.instant()) {
            some = true;
            let sent = self.feed(path, &datagram);
            self.deliver(peer, path, sent);
        }
        some
    }

    pub(super) fn connect(&mut self, peer: &mut Peer, path: Path) {
        self.check(peer, path, true);
        self.finish_handshake(peer, path);
    }

    pub(super) fn finish_handshake(&mut self, peer: &mut Peer, path: Path) {
        for _ in 0..200 {
            if !self.shake(peer, path) {
                if peer.is_connected() {
                    return;
                }
                let sent = self.advance(Duration::from_millis(50));
                self.deliver(peer, path, sent);
            }
        }
        panic!("no handshake within 10 s");
    }

    /// Gives a peer what was sent to its path; nothing else may have been sent.
    pub(super) fn deliver(&mut self, peer: &mut Peer, path: Path, sent: Sent) {
        for (to, datagram) in sent {
            assert_eq!(to, path.remote);
            peer.handle(self.instant(), &datagram);
        }
    }

    /// Lets `from` say something. Returns where it went to.
    pub(super) fn say(&mut self, from: &mut Peer, path: Path, words: &[u8]) -> Sent {
        let packet = from.audio(words);
        self.feed(path, &packet)
    }

    /// Lets `from` say something and asserts that `to`, and nobody else, hears it.
    pub(super) fn talk(&mut self, from: (&mut Peer, Path), to: (&mut Peer, Path)) {
        let words = format!("hello at {}", self.now.as_micros());
        let mut sent = self.say(from.0, from.1, words.as_bytes());
        sent.extend(self.advance(Duration::from_millis(20)));
        to.0.inbox.payloads.clear();
        for (address, datagram) in sent {
            if address == to.1.remote {
                to.0.handle(self.instant(), &datagram);
            } else {
                // Reports for the speaker are in order too.
                assert_eq!(Kind::of(&datagram), Some(Kind::Rtcp), "to {address}");
            }
        }
        assert_eq!(to.0.inbox.payloads, [words.as_bytes()]);
        assert_eq!(to.0.inbox.garbage, 0);
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        self.core.events.drain(..).collect()
    }

    pub(super) fn report(&mut self) -> WorkerReport {
        let (reply, mut report) = oneshot::channel();
        self.command(Command::Report(reply));
        report.try_recv().unwrap()
    }

    pub(super) fn counter(&mut self, name: &str) -> u64 {
        let counters = self.report().counters;
        let found = counters.iter().find(|counter| counter.0 == name);
        found.unwrap_or_else(|| panic!("no counter {name}")).1
    }
}
