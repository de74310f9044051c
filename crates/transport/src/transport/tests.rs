//! The whole of it over loopback sockets, with peers whose DTLS is another author's.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crosspoint_media::command::Command as MediaCommand;
use crosspoint_media::config::{EngineConfig, ParticipantId, RelayId, SessionId};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::*;
use crate::api::{CloseReason, DtlsVersions, Protocol, WorkerReport};
use crate::testing::{Peer, ROOM};

/// Longer than anything takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a peer listens before it looks at its own timers.
const TICK: Duration = Duration::from_millis(5);

fn config(workers: usize) -> TransportConfig {
    TransportConfig {
        workers,
        bind: vec![Ipv4Addr::LOCALHOST.into()],
        udp_port: 0,
        tcp_port: Some(0),
        advertised: vec![],
        dtls: DtlsVersions::V12,
        consent_timeout: Duration::from_secs(15),
        connect_timeout: Duration::from_secs(30),
        pin: false,
        engine: EngineConfig::default(),
    }
}

/// A transport and a way to wait for what it tells.
struct Server {
    transport: Transport,
    events: mpsc::Receiver<(WorkerId, Event)>,
    runtime: Runtime,
}

impl Server {
    fn start(workers: usize, offload: Offload) -> Self {
        let mut transport = Transport::start_with(config(workers), offload).unwrap();
        Self {
            events: transport.events().unwrap(),
            transport,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap(),
        }
    }

    fn send(&self, worker: u16, command: Command) {
        self.transport.send(WorkerId(worker), command).unwrap();
    }

    /// Waits for an event that `pick` takes.
    fn wait<T>(&mut self, pick: impl Fn(WorkerId, Event) -> Option<T>) -> T {
        self.runtime.block_on(async {
            let found = tokio::time::timeout(PATIENCE, async {
                loop {
                    let (worker, event) = self.events.recv().await.unwrap();
                    if let Some(found) = pick(worker, event) {
                        return found;
                    }
                }
            });
            found.await.expect("no such event")
        })
    }

    fn report(&self, worker: u16) -> WorkerReport {
        let (reply, report) = oneshot::channel();
        self.send(worker, Command::Report(reply));
        report.blocking_recv().unwrap()
    }

    fn counter(&self, worker: u16, name: &str) -> u64 {
        let counters = self.report(worker).counters;
        counters.into_iter().find(|it| it.0 == name).unwrap().1
    }

    fn address(&self, worker: u16, protocol: Protocol) -> SocketAddr {
        let candidates = self.transport.candidates(WorkerId(worker)).iter();
        let mut of_protocol = candidates.filter(|it| it.protocol == protocol);
        of_protocol.next().unwrap().address
    }

    /// A peer with an open session, on a wire of its own, not yet connected.
    fn client(&self, worker: u16, id: u64, protocol: Protocol) -> Client {
        let peer = Peer::new(Instant::now(), id);
        self.send(worker, peer.open_command());
        for command in peer.media_commands() {
            self.send(worker, command);
        }
        // The acceptor asks who owns a fragment; the command must have been carried out.
        self.report(worker);
        Client {
            wire: Wire::to(self.address(worker, protocol), protocol),
            peer,
        }
    }

    fn connected(&mut self, worker: u16, id: u64, protocol: Protocol) -> Client {
        let mut client = self.client(worker, id, protocol);
        client.connect();
        self.wait(|from, event| match event {
            Event::Connected { session, .. } => {
                assert_eq!((from, session), (WorkerId(worker), SessionId(id)));
                Some(())
            }
            _ => None,
        });
        client
    }
}

/// One of the ways to the server.
enum Wire {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Wire {
    fn to(address: SocketAddr, protocol: Protocol) -> Self {
        match protocol {
            Protocol::Udp => {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.connect(address).unwrap();
                socket.set_read_timeout(Some(TICK)).unwrap();
                Self::Udp(socket)
            }
            Protocol::TcpPassive => {
                let stream = TcpStream::connect(address).unwrap();
                stream.set_nodelay(true).unwrap();
                Self::Tcp(stream)
            }
        }
    }

    fn send(&mut self, datagram: &[u8]) {
        match self {
            Self::Udp(socket) => assert_eq!(socket.send(datagram).unwrap(), datagram.len()),
            Self::Tcp(stream) => {
                let prefix = u16::try_from(datagram.len()).unwrap().to_be_bytes();
                stream.write_all(&[&prefix, datagram].concat()).unwrap();
            }
        }
    }

    /// `None`: nothing came for a moment.
    fn receive(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Udp(socket) => {
                let mut bytes = vec![0; 2048];
                let len = socket.recv(&mut bytes).ok()?;
                bytes.truncate(len);
                Some(bytes)
            }
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(TICK)).unwrap();
                let mut prefix = [0; 2];
                if stream.peek(&mut prefix).ok()? == 0 {
                    return None;
                }
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.read_exact(&mut prefix).unwrap();
                let mut bytes = vec![0; usize::from(u16::from_be_bytes(prefix))];
                stream.read_exact(&mut bytes).unwrap();
                Some(bytes)
            }
        }
    }

    /// Waits until the server has closed the connection.
    fn wait_for_end(&mut self) {
        let Self::Tcp(stream) = self else {
            panic!("datagrams do not end");
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut byte = [0];
        // An end or a reset.
        assert!(!matches!(stream.read(&mut byte), Ok(1)));
    }
}

/// A peer with a wire.
struct Client {
    wire: Wire,
    peer: Peer,
}

impl Client {
    fn check(&mut self) {
        let check = self.peer.check(true);
        self.wire.send(&check);
    }

    /// Takes what comes, until `done`.
    fn run(&mut self, done: impl Fn(&Peer) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(&self.peer) {
            assert!(Instant::now() < deadline, "waited too long");
            if self.peer.inbox.checks_answered > 0 {
                self.send_dtls();
            }
            if let Some(datagram) = self.wire.receive() {
                self.peer.handle(Instant::now(), &datagram);
            }
        }
    }

    fn send_dtls(&mut self) {
        while let Some(datagram) = self.peer.poll_dtls(Instant::now()) {
            self.wire.send(&datagram);
        }
    }

    fn connect(&mut self) {
        self.check();
        self.run(Peer::is_connected);
    }

    fn say(&mut self, words: &str) {
        let packet = self.peer.audio(words.as_bytes());
        self.wire.send(&packet);
    }

    fn hear(&mut self, words: &str) {
        self.run(|peer| peer.inbox.payloads.iter().any(|it| it == words.as_bytes()));
        assert_eq!(self.peer.inbox.garbage, 0);
    }
}

fn talk(from: &mut Client, to: &mut Client) {
    let words = format!("from {:?} to {:?}", from.peer.id, to.peer.id);
    from.say(&words);
    to.hear(&words);
}

#[test]
fn two_peers_hear_each_other_by_udp_and_tcp_with_and_without_offload() {
    use Protocol::{TcpPassive, Udp};
    for offload in [Offload::probe(), Offload::NONE] {
        let mut server = Server::start(1, offload);
        let mut alice = server.connected(0, 1, Udp);
        let mut bob = server.connected(0, 2, Udp);
        let mut carol = server.connected(0, 3, TcpPassive);
        talk(&mut alice, &mut bob);
        talk(&mut alice, &mut carol);
        talk(&mut carol, &mut bob);
        assert_eq!(server.counter(0, "srtp_unauthenticated"), 0);
        assert_eq!(server.counter(0, "tcp_opened"), 1);
    }
}

#[test]
fn tcp_connections_reach_the_worker_that_has_the_session() {
    let mut server = Server::start(2, Offload::probe());
    for id in 1..=4 {
        let worker = (id % 2) as u16;
        let mut client = server.connected(worker, id, Protocol::TcpPassive);
        client.check();
        client.run(|peer| peer.inbox.checks_answered == 2);
    }
    assert_eq!(server.counter(0, "tcp_opened"), 2);
    assert_eq!(server.counter(1, "tcp_opened"), 2);
}

#[test]
fn tcp_connections_that_begin_with_anything_else_are_closed_without_a_word() {
    let server = Server::start(1, Offload::probe());
    let stranger = Peer::new(Instant::now(), 9).check(true);
    let garbage = vec![1; 100];
    for first in [stranger.as_slice(), &garbage, &[]] {
        let address = server.address(0, Protocol::TcpPassive);
        let mut wire = Wire::to(address, Protocol::TcpPassive);
        wire.send(first);
        wire.wait_for_end();
    }
    let mut wire = Wire::to(
        server.address(0, Protocol::TcpPassive),
        Protocol::TcpPassive,
    );
    let Wire::Tcp(stream) = &mut wire else {
        unreachable!()
    };
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    wire.wait_for_end();
    assert_eq!(server.counter(0, "datagrams_received"), 0);
}

#[test]
fn a_tcp_connection_ends_with_its_session() {
    let mut server = Server::start(1, Offload::probe());
    let mut client = server.connected(0, 1, Protocol::TcpPassive);
    let session = client.peer.id;
    server.send(0, Command::CloseSession { session });
    client.run(Peer::is_closed);
    client.wire.wait_for_end();
}

#[test]
fn a_peer_that_changes_its_port_is_followed() {
    let mut server = Server::start(1, Offload::probe());
    let mut alice = server.connected(0, 1, Protocol::Udp);
    let mut bob = server.connected(0, 2, Protocol::Udp);
    talk(&mut alice, &mut bob);
    bob.wire = Wire::to(server.address(0, Protocol::Udp), Protocol::Udp);
    bob.check();
    bob.run(|peer| peer.inbox.checks_answered == 2);
    bob.peer.inbox.payloads.clear();
    talk(&mut alice, &mut bob);
    talk(&mut bob, &mut alice);
}

#[test]
fn relays_carry_a_track_from_worker_to_worker() {
    let mut server = Server::start(2, Offload::probe());
    let mut alice = server.connected(0, 1, Protocol::Udp);
    let mut bob = server.connected(1, 2, Protocol::Udp);
    let relay = RelayId(7);
    let route = |peer| Command::RouteRelay {
        relay,
        peer: Some(WorkerId(peer)),
    };
    server.send(0, route(1));
    server.send(1, route(0));
    let accept = MediaCommand::AcceptRelay {
        relay,
        room: ROOM,
        participant: ParticipantId(1),
        track: alice.peer.receive_config(),
    };
    let track = alice.peer.track();
    let open = MediaCommand::OpenRelay { track, relay };
    for (worker, command) in [(1, accept), (0, open)] {
        let (reply, outcome) = oneshot::channel();
        server.send(worker, Command::Media(command, Some(reply)));
        assert_eq!(outcome.blocking_recv().unwrap(), Ok(()));
    }
    talk(&mut alice, &mut bob);
    assert_eq!(server.counter(0, "relay_undelivered"), 0);
}

#[test]
fn a_panic_costs_one_workers_sessions_and_it_goes_on() {
    let mut server = Server::start(2, Offload::probe());
    let mut alice = server.connected(0, 1, Protocol::Udp);
    let mut bob = server.connected(1, 2, Protocol::Udp);
    let mut carol = server.connected(1, 3, Protocol::TcpPassive);
    server.send(1, Command::Panic);
    let lost = server.wait(|worker, event| match event {
        Event::WorkerRestarted { rooms, sessions } => {
            assert_eq!(worker, WorkerId(1));
            Some((rooms, sessions))
        }
        _ => None,
    });
    assert_eq!(lost, (vec![ROOM], vec![bob.peer.id, carol.peer.id]));
    carol.wire.wait_for_end();
    // The other worker noticed nothing, and this one takes new sessions on the same socket.
    alice.check();
    alice.run(|peer| peer.inbox.checks_answered == 2);
    bob.peer = Peer::new(Instant::now(), 4);
    server.send(1, bob.peer.open_command());
    for command in bob.peer.media_commands() {
        server.send(1, command);
    }
    bob.connect();
    let mut dora = server.client(1, 5, Protocol::TcpPassive);
    dora.connect();
    talk(&mut bob, &mut dora);
    assert_eq!(server.report(1).sessions, 2);
}

#[test]
fn stopping_says_goodbye_to_all_peers() {
    let mut server = Server::start(2, Offload::probe());
    let mut clients: Vec<_> = (1..=4)
        .map(|id| server.connected((id % 2) as u16, id, Protocol::Udp))
        .collect();
    server.transport.stop();
    for client in &mut clients {
        client.run(Peer::is_closed);
    }
}

#[test]
fn a_peer_that_leaves_is_told_as_closed() {
    let mut server = Server::start(1, Offload::probe());
    let mut client = server.connected(0, 1, Protocol::Udp);
    client.peer.close(Instant::now());
    client.send_dtls();
    let reason = server.wait(|_, event| match event {
        Event::Closed { reason, .. } => Some(reason),
        _ => None,
    });
    assert_eq!(reason, CloseReason::PeerClosed);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let result = Transport::start(TransportConfig {
        udp_port: address.port(),
        ..config(1)
    });
    let message = result.err().unwrap().to_string();
    assert!(message.contains(&address.to_string()), "{message}");
}

#[test]
fn settings_that_cannot_be_are_refused() {
    for wrong in [
        config(0),
        TransportConfig {
            bind: vec![],
            ..config(1)
        },
        TransportConfig {
            udp_port: 65535,
            ..config(2)
        },
    ] {
        assert!(matches!(
            Transport::start(wrong),
            Err(TransportError::Config(_))
        ));
    }
}

#[test]
fn silent_connections_from_one_address_are_bounded() {
    let server = Server::start(1, Offload::probe());
    let address = server.address(0, Protocol::TcpPassive);
    let silent: Vec<_> = (0..64)
        .map(|_| Wire::to(address, Protocol::TcpPassive))
        .collect();
    Wire::to(address, Protocol::TcpPassive).wait_for_end();
    // They are not in the way of one that comes when they are gone.
    drop(silent);
    let mut client = server.client(0, 1, Protocol::TcpPassive);
    client.connect();
}
