//! One RTP stream of a track as it comes in: its packets, what is missing, who gets it.

use core::time::Duration;

use crosspoint_wire::codec::MediaKind;
use crosspoint_wire::ids::{Rid, Ssrc};
use crosspoint_wire::num::SeqUnwrapper;
use crosspoint_wire::time::{NtpTime, Time};

use crate::cache::{CachedPacket, PacketCache};
use crate::config::{EngineConfig, Layer, PayloadConfig};
use crate::facts::FactsReader;
use crate::keyframe::KeyframeRequests;
use crate::meter::LayerMeter;
use crate::nack::{Arrival, NackGenerator};
use crate::report::{PublisherClock, ReceiveStats, StreamClock};
use crate::slab::Key;
use crate::slot::SlotKey;
use crate::tally::Inflow;
use crate::track::TrackKey;

pub(crate) type EncodingKey = Key<Encoding>;

/// How a publisher tells a track's streams apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamName {
    /// By RID (RFC 8852), the SSRC is learnt from the packets.
    Rid(Rid),
    /// By SSRC, with that of its RTX stream, as declared.
    Ssrc(Ssrc, Option<Ssrc>),
    /// The track has one stream only; the SSRC is learnt from packets with the track's MID.
    Only,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Encoding {
    pub(crate) track: TrackKey,
    pub(crate) name: StreamName,
    /// Slots that it feeds, and slots that wait for its next keyframe. In no order.
    pub(crate) feeds: Vec<SlotKey>,
    pub(crate) cache: PacketCache,
    pub(crate) facts: FactsReader,
    pub(crate) nack: NackGenerator,
    pub(crate) keyframes: KeyframeRequests,
    pub(crate) stats: ReceiveStats,
    pub(crate) tally: Inflow,
    pub(crate) meter: LayerMeter,
    /// What it took before it stopped last, in bits per second.
    pub(crate) last_rate_bps: Option<u64>,
    /// Whether anybody wants it, as its publisher was told.
    pub(crate) watched: bool,
    /// When somebody did again.
    pub(crate) woken: Option<Time>,
    /// Since when nobody does.
    pub(crate) unneeded_since: Option<Time>,
    /// How often the stream was started over: another number, another stream.
    pub(crate) epoch: u8,
    numbers: SeqUnwrapper,
    /// Packets in a row that are far behind the newest.
    strangers: u8,
    clock: StreamClock,
    clock_rate_hz: u32,
    life: Life,
}

/// Whether an encoding can feed slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// No packet came yet, or it stopped while others of its track went on.
    Silent,
    /// The last packet came then.
    Flowing(Time),
}

/// What the receipt of an original packet showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) ext_seq: u64,
    /// Packets missing right before it.
    pub(crate) lost: u64,
    /// The gap before it is too large to be filled by repairs.
    pub(crate) beyond_repair: bool,
    /// The publisher counts anew under the same SSRC.
    pub(crate) restarted: bool,
}

/// A packet this far behind the newest is not late but counted otherwise: nobody repairs that
/// long. RFC 3550 A.1 has 100 (MAX_MISORDER) for streams without repair.
const BEHIND_MAX: u64 = 3000;
/// How long an encoding may take to come after somebody wants it again, before it counts as
/// missing: browsers start an encoder and ask their own congestion control first.
const WAKING_TIME: Duration = Duration::from_secs(5);
/// After so many of them in a row the publisher counts anew.
const STRANGERS_MAX: u8 = 8;

impl Encoding {
    pub(crate) fn new(track: TrackKey, name: StreamName, epoch: u8, config: &EngineConfig) -> Self {
        Self {
            track,
            name,
            epoch,
            feeds: Vec::new(),
            cache: PacketCache::new(config.cache_duration, config.cache_bytes_max),
            facts: FactsReader::default(),
            nack: NackGenerator::default(),
            keyframes: KeyframeRequests::new(config.keyframe_request_interval),
            stats: ReceiveStats::default(),
            tally: Inflow::default(),
            meter: LayerMeter::default(),
            last_rate_bps: None,
            watched: true,
            woken: None,
            unneeded_since: None,
            numbers: SeqUnwrapper::new(),
            strangers: 0,
            clock: StreamClock::default(),
            clock_rate_hz: 0,
            life: Life::Silent,
        }
    }

    /// Counts a packet that came on the encoding's own SSRC. `format` is its format, if the
    /// payload type is known.
    pub(crate) fn receive(
        &mut self,
        now: Time,
        sequence_number: u16,
        timestamp: u32,
        format: Option<&PayloadConfig>,
    ) -> Received {
        let ext_seq = self.extend(sequence_number);
        let behind = self.numbers.newest().unwrap_or(ext_seq) - ext_seq;
        self.strangers = if behind > BEHIND_MAX {
            self.strangers.saturating_add(1)
        } else {
            0
        };
        if let Some(format) = format {
            self.clock_rate_hz = format.codec.clock_rate_hz();
        }
        let lost = self
            .stats
            .on_packet(now, ext_seq, timestamp, self.clock_rate_hz);
        self.clock.on_packet(now, timestamp);
        let repairs = format.is_some_and(|format| format.nack);
        let arrival = repairs.then(|| self.nack.on_packet(now, ext_seq));
        Received {
            ext_seq,
            lost,
            beyond_repair: arrival == Some(Arrival::BeyondRepair),
            restarted: self.strangers >= STRANGERS_MAX,
        }
    }

    /// Counts a packet that came as a repair; returns its extended sequence number.
    pub(crate) fn repair(&mut self, now: Time, sequence_number: u16) -> u64 {
        let ext_seq = self.extend(sequence_number);
        self.nack.on_repair(now, ext_seq);
        ext_seq
    }

    /// Whether the packet of this number and time is missing. Blocks of redundant sound have no
    /// numbers: where one of them is left out, another seems to stand in its place, and is known by
    /// its time.
    pub(crate) fn lacks(&self, now: Time, ext_seq: u64, timestamp: u32) -> bool {
        let before = ext_seq.checked_sub(1);
        let is_later = before
            .and_then(|before| self.cache.get(now, before))
            .is_none_or(|(packet, _)| timestamp.wrapping_sub(packet.timestamp).cast_signed() > 0);
        is_later && self.cache.age(now, ext_seq).is_none()
    }

    /// Counts a packet that another engine received.
    pub(crate) fn relayed(&mut self, now: Time, sequence_number: u16, timestamp: u32) -> u64 {
        self.clock.on_packet(now, timestamp);
        self.extend(sequence_number)
    }

    fn extend(&mut self, sequence_number: u16) -> u64 {
        self.numbers.extend(u32::from(sequence_number))
    }

    /// Keeps a packet; false when it was kept before, or is too old to be of use.
    pub(crate) fn keep(
        &mut self,
        now: Time,
        ext_seq: u64,
        packet: &CachedPacket,
        format: &PayloadConfig,
        payload: &[u8],
    ) -> bool {
        self.clock_rate_hz = format.codec.clock_rate_hz();
        if !self.cache.insert(now, ext_seq, packet, payload) {
            return false;
        }
        self.meter.record(now, &packet.facts, payload.len());
        if format.codec.kind() == MediaKind::Video {
            let facts = &packet.facts;
            if facts.keyframe && facts.first_of_frame {
                self.keyframes.on_keyframe();
                self.nack.forget_before(ext_seq);
                self.tally.keyframes += u64::from(facts.spatial == 0);
            }
            if packet.marker {
                self.tally.pace.on_frame(now);
            }
        }
        true
    }

    /// Of the timestamps; 0 before the first packet.
    pub(crate) const fn clock_rate_hz(&self) -> u32 {
        self.clock_rate_hz
    }

    /// Notes that media flows; true when it did not before.
    pub(crate) fn note_alive(&mut self, now: Time) -> bool {
        let before = core::mem::replace(&mut self.life, Life::Flowing(now));
        before == Life::Silent
    }

    pub(crate) fn lives(&self) -> bool {
        self.life != Life::Silent
    }

    /// Gives up waiting for what was wanted again and does not come. True if that is a change.
    pub(crate) fn end_waking(&mut self, now: Time) -> bool {
        let late = self.woken.is_some_and(|at| now.since(at) >= WAKING_TIME);
        if late {
            self.woken = None;
        }
        late && !self.lives()
    }

    /// When the last packet came, while it lives.
    pub(crate) fn last_packet(&self) -> Option<Time> {
        match self.life {
            Life::Silent => None,
            Life::Flowing(at) => Some(at),
        }
    }

    /// It stopped, and others of its track did not.
    pub(crate) fn give_up(&mut self) {
        self.last_rate_bps = Some(self.meter.bits_per_second(Layer::TOP));
        self.life = Life::Silent;
    }

    /// Takes note of the publisher's sender report about this stream, received at `now`, which
    /// the server's wall clock calls `wall`.
    pub(crate) fn note_sender_report(
        &mut self,
        publisher: &mut PublisherClock,
        now: Time,
        wall: NtpTime,
        ntp: NtpTime,
        timestamp: u32,
    ) {
        self.stats.on_sender_report(now, ntp);
        self.clock
            .on_sender_report(publisher, now, wall, ntp, timestamp);
    }

    /// The same, but only from the publisher's own reports.
    pub(crate) fn reported_at(
        &self,
        publisher: &PublisherClock,
        now: Time,
        wall: NtpTime,
    ) -> Option<u32> {
        self.clock
            .is_reported()
            .then(|| self.timestamp_at(publisher, now, wall))?
    }

    /// What the stream's clock reads at `now`, which the server's wall clock calls `wall`.
    pub(crate) fn timestamp_at(
        &self,
        publisher: &PublisherClock,
        now: Time,
        wall: NtpTime,
    ) -> Option<u32> {
        self.clock
            .timestamp_at(publisher, now, wall, self.clock_rate_hz)
    }
}
