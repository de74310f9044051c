//! Engines, peers and what is under way between them.

use core::time::Duration;
use std::collections::{BTreeMap, HashMap, HashSet};

use crosspoint_media::command::Command;
use crosspoint_media::config::{
    EngineConfig, ParticipantId, RelayId, RoomConfig, RoomId, SessionId, SessionKey,
};
use crosspoint_media::engine::Engine;
use crosspoint_media::event::Event;
use crosspoint_media::sink::{PACKET_BYTES_MAX, PacketSink};
use crosspoint_wire::ids::{Mid, Ssrc};
use crosspoint_wire::rtp::{RtpView, is_rtcp};
use crosspoint_wire::time::{Time, WallClock};

use crate::link::{Link, LinkConfig};
use crate::peer::{Datagram, Peer, PeerConfig};
use crate::rng::Rng;

/// The room in which peers are unless a test moves them.
pub const ROOM: RoomId = RoomId(1);

/// See the module documentation.
pub struct World {
    seed: u64,
    rng: Rng,
    now: Time,
    engines: Vec<Engine>,
    peers: Vec<Peer>,
    under_way: BTreeMap<(Time, u64), Delivery>,
    deliveries: u64,
    /// Links that several peers share on their way from the server, and who is behind which.
    shared: Vec<Link>,
    behind: HashMap<usize, usize>,
    /// Ends of relays: engines.
    relays: HashMap<RelayId, (usize, usize)>,
    /// Packet indices used, by peer and SSRC, as SRTP would have used them.
    indices: HashMap<(usize, Ssrc), HashSet<u64>>,
    /// What the engines told, with the engine.
    events: Vec<(Time, usize, Event)>,
}

#[derive(Debug)]
enum Delivery {
    ToServer(usize, Vec<u8>),
    ToPeer(usize, Vec<u8>),
}

impl World {
    /// A world with one engine and one room, and nobody in it.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_engines(seed, 1, EngineConfig::default(), None)
    }

    /// A world with several engines and a room on each; `top_audio` as in [`RoomConfig`].
    #[must_use]
    pub fn with_engines(
        seed: u64,
        engines: usize,
        config: EngineConfig,
        top_audio: Option<u8>,
    ) -> Self {
        let mut rng = Rng::new(seed);
        let config = EngineConfig {
            wall_clock: WallClock {
                unix_micros_at_zero: 1_577_836_800_000_000,
            },
            ..config
        };
        let mut world = Self {
            seed,
            now: Time::from_millis(1),
            engines: (0..engines)
                .map(|_| {
                    Engine::new(EngineConfig {
                        seed: rng.next_u64(),
                        ..config.clone()
                    })
                })
                .collect(),
            rng,
            peers: Vec::new(),
            under_way: BTreeMap::new(),
            deliveries: 0,
            shared: Vec::new(),
            behind: HashMap::new(),
            relays: HashMap::new(),
            indices: HashMap::new(),
            events: Vec::new(),
        };
        for engine in 0..engines {
            world.command_at(
                engine,
                Command::PutRoom {
                    room: ROOM,
                    config: RoomConfig {
                        top_audio,
                        home: engine == 0,
                    },
                },
            );
        }
        world
    }

    /// The time.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// The first engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engines[0]
    }

    /// A peer, by the number that [`join`](Self::join) gave.
    #[must_use]
    pub fn peer(&self, peer: usize) -> &Peer {
        &self.peers[peer]
    }

    /// The same, to change it.
    pub fn peer_mut(&mut self, peer: usize) -> &mut Peer {
        &mut self.peers[peer]
    }

    /// What the engines told so far: when, which engine, what.
    #[must_use]
    pub fn events(&self) -> &[(Time, usize, Event)] {
        &self.events
    }

    /// Lets a peer join the room on the first engine; returns its number.
    pub fn join(&mut self, config: PeerConfig) -> usize {
        self.join_at(0, config)
    }

    /// Lets a peer join the room on an engine; returns its number.
    pub fn join_at(&mut self, engine: usize, config: PeerConfig) -> usize {
        let number = self.peers.len();
        let session = SessionId(number as u64 + 1);
        let key = self.engines[engine].open_session(session);
        let rng = self.rng.fork();
        let peer = Peer::new(session, key, engine, config, self.now, rng);
        self.peers.push(peer);
        self.put_session(number);
        self.engines[engine].set_connected(self.now, key, true);
        self.settle(engine);
        number
    }

    /// Tells the engine what a peer's newest offer and answer agreed.
    pub fn put_session(&mut self, peer: usize) {
        let peer = &self.peers[peer];
        let command = Command::PutSession {
            session: peer.session,
            participant: ParticipantId(peer.session.0),
            room: peer.room,
            config: peer.session_config(),
            auto_subscribe: true,
        };
        self.command_at(peer.engine, command);
    }

    /// Ends a peer's session.
    pub fn leave(&mut self, peer: usize) {
        let peer = &mut self.peers[peer];
        peer.connected = false;
        let (engine, session) = (peer.engine, peer.session);
        self.command_at(engine, Command::RemoveSession { session });
    }

    /// Cuts a peer off, or lets it come back, as its transport would tell the engine.
    pub fn set_connected(&mut self, peer: usize, connected: bool) {
        let peer = &mut self.peers[peer];
        if connected && !peer.connected {
            peer.publisher.skip_until(self.now);
        }
        peer.connected = connected;
        let (engine, key) = (peer.engine, peer.key);
        self.engines[engine].set_connected(self.now, key, connected);
        self.settle(engine);
    }

    /// Carries out a command at the first engine.
    ///
    /// # Panics
    /// When it is refused.
    pub fn command(&mut self, command: Command) {
        self.command_at(0, command);
    }

    /// Carries out a command at an engine.
    ///
    /// # Panics
    /// When it is refused.
    pub fn command_at(&mut self, engine: usize, command: Command) {
        let shown = format!("{command:?}");
        if let Err(refused) = self.engines[engine].handle_command(self.now, command) {
            panic!("seed {}: {refused}: {shown}", self.seed);
        }
        self.settle(engine);
    }

    /// Carries a peer's track to another engine's room.
    pub fn relay(&mut self, relay: RelayId, from_peer: usize, mid: Mid, to_engine: usize) {
        let peer = &self.peers[from_peer];
        let from_engine = peer.engine;
        let config = peer.session_config();
        let declared = config.receive.into_iter().find(|r| r.mid == mid);
        let declared = declared.expect("a track of the test's own");
        let track = declared.track;
        let participant = ParticipantId(peer.session.0);
        self.relays.insert(relay, (from_engine, to_engine));
        let accept = Command::AcceptRelay {
            relay,
            room: ROOM,
            participant,
            track: declared,
        };
        self.command_at(to_engine, accept);
        self.command_at(from_engine, Command::OpenRelay { track, relay });
    }

    /// Ends a relay at both ends.
    pub fn close_relay(&mut self, relay: RelayId) {
        if let Some((from, to)) = self.relays.remove(&relay) {
            self.command_at(from, Command::CloseRelay { relay });
            self.command_at(to, Command::CloseRelay { relay });
        }
    }

    /// Changes both of a peer's links.
    pub fn set_links(&mut self, peer: usize, up: LinkConfig, down: LinkConfig) {
        self.peers[peer].up.set(up);
        self.peers[peer].down.set(down);
    }

    /// Adds a link that peers can share; returns its number.
    pub fn add_shared_link(&mut self, config: LinkConfig) -> usize {
        let rng = self.rng.fork();
        self.shared.push(Link::new(config, rng));
        self.shared.len() - 1
    }

    /// Puts a peer behind a shared link: what it is sent passes that before its own.
    pub fn put_behind(&mut self, peer: usize, link: usize) {
        self.behind.insert(peer, link);
    }

    /// A shared link.
    #[must_use]
    pub fn shared_link(&self, link: usize) -> &Link {
        &self.shared[link]
    }

    /// The same, to change it.
    pub fn shared_link_mut(&mut self, link: usize) -> &mut Link {
        &mut self.shared[link]
    }

    /// Puts packets into the server as if they came from a peer, now and without a link.
    pub fn inject(&mut self, peer: usize, packets: &[Vec<u8>]) {
        let (engine, key) = (self.peers[peer].engine, self.peers[peer].key);
        for packet in packets {
            self.input(engine, key, packet);
        }
        self.settle(engine);
    }

    /// Runs for this long.
    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// Runs everything that happens up to `end`, earliest first.
    ///
    /// # Panics
    /// When the world stops: an engine or a peer that always has something to do at once.
    pub fn run_until(&mut self, end: Time) {
        let mut standing = 0;
        loop {
            let next = self.next_event();
            if next > end {
                self.now = end;
                return;
            }
            standing = if next > self.now { 0 } else { standing + 1 };
            assert!(
                standing < 10_000,
                "seed {}: time stands still at {next:?}",
                self.seed
            );
            self.now = next.max(self.now);
            self.run_due();
        }
    }

    fn next_event(&self) -> Time {
        let arrival = self.under_way.first_key_value().map(|((at, _), _)| *at);
        let peers = self.peers.iter().map(Peer::next_timeout);
        let engines = self.engines.iter().map(Engine::next_timeout);
        peers
            .chain(engines)
            .chain(arrival)
            .min()
            .unwrap_or(Time::NEVER)
    }

    fn run_due(&mut self) {
        while let Some(entry) = self.under_way.first_entry()
            && entry.key().0 <= self.now
        {
            match entry.remove() {
                Delivery::ToServer(peer, packet) => {
                    let peer = &self.peers[peer];
                    if peer.connected {
                        self.input(peer.engine, peer.key, &packet);
                    }
                }
                Delivery::ToPeer(peer, packet) => {
                    let mut out = Vec::new();
                    self.peers[peer].on_datagram(self.now, &packet, &mut out);
                    self.send_up(peer, out);
                }
            }
        }
        for peer in 0..self.peers.len() {
            if self.peers[peer].next_timeout() <= self.now {
                let mut out = Vec::new();
                self.peers[peer].poll(self.now, &mut out);
                self.send_up(peer, out);
            }
        }
        for engine in 0..self.engines.len() {
            if self.engines[engine].next_timeout() <= self.now {
                self.engines[engine].handle_timeout(self.now);
            }
            self.settle(engine);
        }
    }

    fn input(&mut self, engine: usize, from: SessionKey, packet: &[u8]) {
        if is_rtcp(packet) {
            self.engines[engine].handle_rtcp(self.now, from, packet);
        } else {
            self.engines[engine].handle_rtp(self.now, from, packet);
        }
    }

    fn send_up(&mut self, peer: usize, out: Vec<Datagram>) {
        for datagram in out {
            let (Datagram::Rtp(packet) | Datagram::Rtcp(packet)) = datagram;
            for at in self.peers[peer]
                .up
                .send(self.now, packet.len())
                .into_iter()
                .flatten()
            {
                self.deliver(at, Delivery::ToServer(peer, packet.clone()));
            }
        }
    }

    fn send_down(&mut self, peer: usize, packet: &[u8]) {
        let entries = match self.behind.get(&peer) {
            Some(&link) => self.shared[link].send(self.now, packet.len()),
            None => [Some(self.now), None],
        };
        for entry in entries.into_iter().flatten() {
            let arrivals = self.peers[peer].down.send(entry, packet.len());
            for at in arrivals.into_iter().flatten() {
                self.deliver(at, Delivery::ToPeer(peer, packet.to_vec()));
            }
        }
    }

    fn deliver(&mut self, at: Time, delivery: Delivery) {
        self.deliveries += 1;
        self.under_way.insert((at, self.deliveries), delivery);
    }

    /// Takes from an engine what it has to say, until relays have settled too.
    fn settle(&mut self, engine: usize) {
        let mut outputs = Outputs::default();
        self.engines[engine].flush(self.now, &mut outputs);
        while let Some(event) = self.engines[engine].poll_event() {
            self.events.push((self.now, engine, event));
        }
        for (to, index, packet) in outputs.packets {
            let Some(peer) = self
                .peers
                .iter()
                .position(|p| p.engine == engine && p.key == to && p.connected)
            else {
                continue;
            };
            if let Some(index) = index {
                self.check_index(peer, index, &packet);
            }
            self.send_down(peer, &packet);
        }
        for (relay, message) in outputs.relayed {
            let Some(&(from, to)) = self.relays.get(&relay) else {
                continue;
            };
            let other = if engine == from { to } else { from };
            self.engines[other].handle_relay(self.now, relay, &message);
            self.settle(other);
        }
    }

    /// SRTP must never see one index twice: with AES-GCM that gives the key away.
    fn check_index(&mut self, peer: usize, index: u64, packet: &[u8]) {
        let view = RtpView::parse(packet).expect("the server sends well-formed RTP");
        let seed = self.seed;
        assert_eq!(
            index as u16,
            view.sequence_number(),
            "seed {seed}: index and number"
        );
        let fresh = self
            .indices
            .entry((peer, view.ssrc()))
            .or_default()
            .insert(index);
        assert!(
            fresh,
            "seed {seed}: index {index} of {:x} used twice",
            view.ssrc()
        );
    }
}

/// What one flush gave.
#[derive(Default)]
struct Outputs {
    /// With the packet index, for RTP.
    packets: Vec<(SessionKey, Option<u64>, Vec<u8>)>,
    relayed: Vec<(RelayId, Vec<u8>)>,
}

impl PacketSink for Outputs {
    fn rtp(
        &mut self,
        to: SessionKey,
        index: u64,
        len_max: usize,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) {
        assert!(
            len_max <= PACKET_BYTES_MAX,
            "a packet too long for the path"
        );
        let mut packet = vec![0; len_max];
        let len = write(&mut packet);
        packet.truncate(len);
        if len > 0 {
            self.packets.push((to, Some(index), packet));
        }
    }

    fn rtcp(&mut self, to: SessionKey, packet: &[u8]) {
        self.packets.push((to, None, packet.to_vec()));
    }

    fn relay(&mut self, relay: RelayId, write: impl Fn(&mut Vec<u8>)) {
        let mut message = Vec::new();
        write(&mut message);
        self.relayed.push((relay, message));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // A test's panic is of no use without it.
            #[expect(clippy::print_stderr, reason = "test output")]
            {
                eprintln!("seed {}, at {:?}", self.seed, self.now);
            }
        }
    }
}
