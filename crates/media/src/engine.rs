//! The engine's door.
//!
//! What an [`Engine`] holds are dense tables: sessions by their key; rooms, tracks, encodings,
//! slots and relays in slabs that name each other by key. Its roads stand in the modules below
//! and run one way each:
//!
//! ```text
//! packets    ingress -> admission -> fanout -> (queues) -> departure -> PacketSink
//! feedback   feedback (in) -> targets and requests;  reports (out) <- what is due
//! commands   rooms, publishing, subscribing -> assignment (settled before the next packet)
//! quality    bandwidth, wishes, layers -> allocation -> selection -> demand (told to publishers)
//! ```
//! Nothing calls backwards: a NACK, a PLI or a command only writes what the next packet, the next
//! flush or the next timeout reads.

mod admission;
mod allocation;
mod assignment;
mod commands;
mod demand;
mod departure;
mod explaining;
mod fanout;
mod feedback;
mod ingress;
mod inspect;
mod publishing;
mod relaying;
mod reports;
mod rooms;
mod selection;
mod subscribing;
mod timeouts;

use std::collections::{BTreeMap, VecDeque};

use crosspoint_wire::rtcp::SenderInfo;
use crosspoint_wire::time::Time;

use self::allocation::Ladders;
use self::fanout::Round;
use self::reports::Source;
use crate::assign::{Assigner, Offer, Seat};
use crate::command::{Command, CommandError};
use crate::config::{EngineConfig, RelayId, RoomId, SessionId, SessionKey, TrackId};
use crate::counters::Counters;
use crate::encoding::{Encoding, EncodingKey};
use crate::estimate::Limits;
use crate::event::Event;
use crate::ladder::Rung;
use crate::relay::{Relay, RelayKey, RelayQueue};
use crate::room::{Room, RoomKey};
use crate::session::Sessions;
use crate::sink::PacketSink;
use crate::slab::Slab;
use crate::slot::{Slot, SlotKey};
use crate::timers::Timers;
use crate::track::{Track, TrackKey};

/// A worker's router of packets: see the crate's and this module's documentation.
///
/// Its methods are of four kinds. Inputs (`handle_*`, [`open_session`](Self::open_session),
/// [`set_connected`](Self::set_connected)) change state and return at once. After a batch of
/// them, [`flush`](Self::flush) hands out the packets that became due and then
/// [`poll_event`](Self::poll_event) what happened, until it is `None`.
/// [`next_timeout`](Self::next_timeout) says when [`handle_timeout`](Self::handle_timeout) is due
/// if no input comes before. The rest only answers questions. `now` must never go backwards from
/// one call to the next; if it does, things happen late but nothing breaks.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    random: Random,
    sessions: Sessions,
    rooms: Slab<Room>,
    tracks: Slab<Track>,
    encodings: Slab<Encoding>,
    slots: Slab<Slot>,
    relays: Slab<Relay>,
    names: Names,
    timers: Timers<Task>,
    /// Whose assignments are to be made anew.
    unsettled: Vec<Unsettled>,
    /// Sessions for which something waits to leave.
    to_flush: Vec<SessionKey>,
    /// Packets that were admitted and are still to go round.
    round: Round,
    relay_queue: RelayQueue,
    events: VecDeque<Event>,
    counters: Counters,
    scratch: Scratch,
    ladders: Ladders,
    /// The qualities of the track whose slot is being decided: memory that is used again.
    rungs: Vec<Rung>,
    /// The time of the input that is being handled.
    now: Time,
}

/// From `control`'s numbers to keys. Only commands go this way (and relays' messages, one a
/// packet and worker), so that ordered maps serve.
#[derive(Debug, Default)]
struct Names {
    rooms: BTreeMap<RoomId, RoomKey>,
    tracks: BTreeMap<TrackId, TrackKey>,
    relays: BTreeMap<RelayId, RelayKey>,
}

/// What a timer wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    /// Feedback that a session is owed.
    Session(SessionKey),
    /// Packets of a session that wait to leave.
    Departure(SessionKey),
    /// Speakers of a room.
    Room(RoomKey),
    /// Encodings of a track that may have stopped.
    Track(TrackKey),
    /// Keyframes wanted of a relayed track.
    Relay(RelayKey),
    /// Layers of a session's slots.
    Quality(SessionKey),
}

/// Whose slots are to be assigned anew.
#[derive(Clone, Copy, Debug)]
enum Unsettled {
    /// All of a room's listeners.
    Room(RoomKey),
    /// One session.
    Session(SessionKey),
    /// The layers of one session: its bandwidth changed.
    Bandwidth(SessionKey),
}

/// Memory that is used again and again.
#[derive(Debug, Default)]
struct Scratch {
    offers: Vec<Offer>,
    seats: Vec<Seat>,
    assigner: Assigner,
    feeds: Vec<Option<TrackKey>>,
    /// Slots that switched to the encoding whose packet goes round, and what fed them before.
    switched: Vec<(SlotKey, Option<EncodingKey>)>,
    /// Slots that forward other layers of that encoding than before.
    relayered: Vec<SlotKey>,
    sources: Vec<Source>,
    sender_infos: Vec<SenderInfo>,
    missing: Vec<u16>,
    /// Encodings of packets that were given up.
    shed: Vec<EncodingKey>,
}

impl Engine {
    /// An engine without rooms and sessions.
    #[must_use]
    pub fn new(config: EngineConfig) -> Self {
        Self {
            random: Random(config.seed),
            config,
            sessions: Sessions::default(),
            rooms: Slab::default(),
            tracks: Slab::default(),
            encodings: Slab::default(),
            slots: Slab::default(),
            relays: Slab::default(),
            names: Names::default(),
            timers: Timers::default(),
            unsettled: Vec::new(),
            to_flush: Vec::new(),
            round: Round::default(),
            relay_queue: RelayQueue::default(),
            events: VecDeque::new(),
            counters: Counters::default(),
            scratch: Scratch::default(),
            ladders: Ladders::default(),
            rungs: Vec::new(),
            now: Time::ZERO,
        }
    }

    /// Reserves the dense key of a session; the same one when it has one already. The key is
    /// freed by [`Command::RemoveSession`].
    pub fn open_session(&mut self, session: SessionId) -> SessionKey {
        let feedback_ssrc = self.random.next() as u32;
        let limits = Limits {
            start_bps: self.config.start_bitrate_bps,
            most_bps: self.config.max_bitrate_bps,
        };
        self.sessions.open(session, feedback_ssrc, limits)
    }

    /// The key of an open session.
    #[must_use]
    pub fn session_key(&self, session: SessionId) -> Option<SessionKey> {
        self.sessions.key(session)
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// When it names something unknown; nothing has changed then.
    pub fn handle_command(&mut self, now: Time, command: Command) -> Result<(), CommandError> {
        self.now = now;
        self.end_round();
        self.carry_out(now, command)
    }

    /// Says that a session's transport is up (feeding starts and keyframes are asked for) or
    /// down (nothing is handed out for it).
    pub fn set_connected(&mut self, now: Time, session: SessionKey, connected: bool) {
        self.settle(now);
        self.connect(now, session, connected);
    }

    /// Takes a decrypted and authenticated RTP packet from a session's transport.
    pub fn handle_rtp(&mut self, now: Time, from: SessionKey, packet: &[u8]) {
        self.settle_between_packets(now);
        self.counters.rtp_received += 1;
        self.receive_rtp(now, from, packet);
    }

    /// Takes decrypted and authenticated RTCP, compound or reduced-size, from a session's
    /// transport.
    pub fn handle_rtcp(&mut self, now: Time, from: SessionKey, packet: &[u8]) {
        self.settle(now);
        self.counters.rtcp_received += 1;
        self.receive_rtcp(now, from, packet);
    }

    /// Takes what another engine gave to [`PacketSink::relay`].
    pub fn handle_relay(&mut self, now: Time, relay: RelayId, message: &[u8]) {
        self.settle_between_packets(now);
        self.counters.relay_received += 1;
        self.receive_relay(now, relay, message);
    }

    /// Does what has become due. Due things lead to packets: [`flush`](Self::flush) afterwards.
    pub fn handle_timeout(&mut self, now: Time) {
        self.settle(now);
        self.run_due(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due at the latest.
    #[must_use]
    pub fn next_timeout(&self) -> Time {
        self.timers.next()
    }

    /// Hands out everything that waits to leave.
    pub fn flush(&mut self, now: Time, sink: &mut impl PacketSink) {
        self.settle(now);
        self.depart(now, sink);
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Bits per second that may be sent to a session now, as its feedback shows; `None` when
    /// nothing limits it or it is not open.
    #[must_use]
    pub fn bandwidth(&self, session: SessionKey) -> Option<u64> {
        self.sessions.get(session)?.estimator.bandwidth()
    }

    /// Totals since the engine's start.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Rooms known.
    #[must_use]
    pub fn room_count(&self) -> usize {
        self.rooms.len()
    }

    /// Tracks known, relayed ones included.
    #[must_use]
    pub fn track_count(&self) -> usize {
        self.tracks.len()
    }

    /// Open sessions.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// All rooms, in order of their ids.
    #[must_use]
    pub fn rooms(&self) -> Vec<RoomId> {
        self.names.rooms.keys().copied().collect()
    }

    /// All open sessions, in order of their ids.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionId> {
        self.sessions.ids().collect()
    }
}

/// Numbers that need not be secret, only different: where streams begin. SplitMix64.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
