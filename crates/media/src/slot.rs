//! One outgoing stream of a session, for the life of the session, whatever feeds it.
//!
//! ```text
//! assigned   the track that should be heard or seen here        (assignment's decision)
//! target     the encoding of it that should feed the slot       (the best that lives, is wished,
//!                                                                allowed and affordable)
//! current    the encoding that does feed it
//! ```
//! and likewise, within the encoding, the [`Selector`]'s goal and current layer.
//!
//! `current` becomes `target` at the target's next keyframe (sound: at its next packet). While
//! both belong to one track the old one flows on until then; when the track changes, the slot is
//! silent in between, so that nobody is seen under another's name.

use core::time::Duration;

use crosspoint_wire::codec::Codec;
use crosspoint_wire::ids::{PayloadType, Ssrc};
use crosspoint_wire::num::ticks_to_duration;
use crosspoint_wire::rtcp::{ReportBlock, SenderInfo};
use crosspoint_wire::time::{NtpTime, Time};

use crate::cache::CachedPacket;
use crate::config::{Layer, PayloadConfig, RetransmitShare, SessionKey, SlotConfig};
use crate::egress::Outgoing;
use crate::encoding::EncodingKey;
use crate::inspect::RemoteReport;
use crate::ladder::Rung;
use crate::nack::RetransmitGate;
use crate::quality::Quality;
use crate::rewriter::{Rewriter, Rewritten, SourcePacket};
use crate::select::{Selected, Selector};
use crate::sent_log::{SentLog, SentPacket};
use crate::slab::Key;
use crate::tally::Outflow;
use crate::track::{TrackKey, matching_payload};

pub(crate) type SlotKey = Key<Slot>;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) session: SessionKey,
    pub(crate) config: SlotConfig,
    pub(crate) assigned: Option<TrackKey>,
    pub(crate) quality: Quality,
    pub(crate) target: Option<EncodingKey>,
    /// Which layers of the target should be forwarded.
    goal: Layer,
    pub(crate) current: Option<EncodingKey>,
    /// How the format that flows is carried; `None` before anything does.
    carriage: Option<Carriage>,
    pub(crate) selector: Selector,
    rewriter: Rewriter,
    repairs: Repairs,
    counts: SentCounts,
    pub(crate) tally: Outflow,
    /// Number of the packet with which `current` began to feed it.
    pub(crate) begun_at: u64,
    /// Whether anything was sent since the last sender report.
    pub(crate) report_owed: bool,
    /// What was offered last showed that only a keyframe of the current encoding helps.
    stuck: bool,
    /// Other layers of the current encoding flow than before.
    relayered: bool,
}

/// Payload types of one format on both sides.
#[derive(Clone, Copy, Debug)]
struct Carriage {
    source: PayloadType,
    out: PayloadType,
    rtx: Option<PayloadType>,
    codec: Codec,
    /// Only the lowest spatial layer is of use to the receiver: see [`SlotConfig::descriptors`].
    flat: bool,
}

/// A keyframe whose first packet comes this many packets late is not begun with: what came before
/// it would have to be fetched for each slot. A repair takes a round trip; 512 packets are a
/// quarter of a second at 20 Mbit/s.
pub(crate) const CATCH_UP_MAX: u64 = 512;

/// A packet that was admitted to its encoding and is offered to the slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted<'a> {
    pub(crate) ext_seq: u64,
    pub(crate) packet: &'a CachedPacket,
    pub(crate) payload_len: usize,
    pub(crate) format: &'a PayloadConfig,
    /// How many numbers the newest packet of its encoding is ahead of it.
    pub(crate) behind: u64,
}

impl Admitted<'_> {
    fn source(&self) -> SourcePacket<'_> {
        SourcePacket {
            ext_seq: self.ext_seq,
            timestamp: self.packet.timestamp,
            facts: &self.packet.facts,
        }
    }

    /// Whether a receiver that has seen nothing of the stream can begin here.
    pub(crate) fn is_beginning(&self) -> bool {
        let facts = &self.packet.facts;
        facts.keyframe && facts.first_of_frame && facts.spatial == 0 && self.behind <= CATCH_UP_MAX
    }
}

/// What becomes of a packet at one slot.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Forward {
    /// Nothing: the slot waits for a keyframe, cannot carry it, or had it before.
    Skip,
    /// It leaves.
    Send(Outgoing),
    /// It leaves, as the first of a new source. The encoding that fed the slot before, if any,
    /// does not feed it any more.
    Switch(Outgoing, Option<EncodingKey>),
}

/// The numbers of a packet of padding on a slot's RTX stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Padding {
    pub(crate) ssrc: Ssrc,
    pub(crate) payload_type: PayloadType,
    /// 48-bit packet index.
    pub(crate) index: u64,
    pub(crate) timestamp: u32,
}

/// What was sent, as sender reports count it (RFC 3550 §6.4.1): both wrap.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SentCounts {
    pub(crate) packets: u32,
    pub(crate) octets: u32,
}

/// Numbers that the slot's outgoing streams begin with: random (RFC 3550 §5.1), sequence numbers
/// below 2^15 (RFC 3711 §3.3.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstNumbers {
    pub(crate) sequence: u16,
    pub(crate) rtx_sequence: u16,
    pub(crate) timestamp: u32,
}

impl Slot {
    pub(crate) fn new(
        session: SessionKey,
        config: SlotConfig,
        first: FirstNumbers,
        cache_duration: Duration,
        retransmit: RetransmitShare,
    ) -> Self {
        Self {
            session,
            config,
            assigned: None,
            quality: Quality::new(),
            target: None,
            goal: Layer::TOP,
            current: None,
            carriage: None,
            selector: Selector::new(),
            rewriter: Rewriter::new(first.sequence, first.timestamp),
            repairs: Repairs {
                log: SentLog::new(cache_duration),
                gate: RetransmitGate::new(retransmit),
                format: None,
                next_index: u64::from(first.rtx_sequence),
                timestamp: first.timestamp,
            },
            counts: SentCounts::default(),
            tally: Outflow::default(),
            begun_at: 0,
            report_owed: false,
            stuck: false,
            relayered: false,
        }
    }

    /// What flows is coded in this.
    pub(crate) fn codec(&self) -> Option<Codec> {
        self.carriage.map(|carriage| carriage.codec)
    }

    /// Whether its receiver can make a picture of it.
    pub(crate) fn takes(&self, rung: &Rung) -> bool {
        self.config.descriptors || !rung.described_only
    }

    /// Offers a packet of the encoding `from`, which feeds the slot or is meant to. `own` is the
    /// slot's key.
    pub(crate) fn forward(
        &mut self,
        now: Time,
        own: SlotKey,
        from: EncodingKey,
        admitted: &Admitted<'_>,
    ) -> Forward {
        let flows = self.current == Some(from)
            && self
                .carriage
                .is_some_and(|c| c.source == admitted.packet.payload_type);
        if flows {
            return self.follow(now, own, from, admitted);
        }
        let before = self.current;
        if !self.begin(now, from, admitted) {
            return Forward::Skip;
        }
        // RFC 7587 §4.2: the marker shows the first packet after a silence, and another speaker's
        // first packet is one.
        let begins_talking = admitted.format.codec == Codec::Opus;
        match self.send(now, own, from, admitted, begins_talking) {
            Some(outgoing) => Forward::Switch(outgoing, before.filter(|&b| b != from)),
            None => {
                debug_assert!(false, "the first packet of a source always gets a number");
                Forward::Skip
            }
        }
    }

    /// Offers a packet of the encoding that feeds the slot.
    fn follow(
        &mut self,
        now: Time,
        own: SlotKey,
        from: EncodingKey,
        admitted: &Admitted<'_>,
    ) -> Forward {
        let packet = admitted.packet;
        let in_order = admitted.behind == 0;
        let before = self.selector.current();
        let ends_picture = match self
            .selector
            .select(packet.timestamp, &packet.facts, in_order)
        {
            Selected::Forward { ends_picture } => ends_picture,
            Selected::NeedsKeyframe {
                forward: true,
                ends_picture,
            } => {
                self.stuck = true;
                ends_picture
            }
            left_out => {
                self.stuck |= left_out != Selected::LeaveOut;
                self.rewriter.skip(now, admitted.source());
                return Forward::Skip;
            }
        };
        self.relayered |= self.selector.current() != before;
        match self.send(now, own, from, admitted, ends_picture) {
            Some(outgoing) => Forward::Send(outgoing),
            None => Forward::Skip,
        }
    }

    /// Under which payload type a packet of sound that leaves may take earlier ones along.
    pub(crate) fn red(&self, packet: &Outgoing) -> Option<PayloadType> {
        let same_source = self.current == Some(packet.encoding) && packet.repair_of.is_none();
        let mut formats = self.config.payloads.iter();
        let format = formats.find(|format| format.payload_type == packet.payload_type);
        format.filter(|_| same_source)?.red
    }

    /// Whether what was offered since the last call showed that only a keyframe helps.
    #[inline]
    pub(crate) fn take_stuck(&mut self) -> bool {
        core::mem::take(&mut self.stuck)
    }

    /// Whether other layers flow than at the last call, of the same encoding.
    #[inline]
    pub(crate) fn take_relayered(&mut self) -> bool {
        core::mem::take(&mut self.relayered)
    }

    /// Makes `from` the source from this packet on, if it is to be and can be.
    fn begin(&mut self, now: Time, from: EncodingKey, admitted: &Admitted<'_>) -> bool {
        if self.target != Some(from) || !admitted.is_beginning() {
            return false;
        }
        let Some(out) = matching_payload(&self.config.payloads, admitted.format) else {
            return false;
        };
        self.carriage = Some(Carriage {
            source: admitted.packet.payload_type,
            out: out.payload_type,
            rtx: out.rtx,
            codec: out.codec,
            flat: !self.config.descriptors
                && out.codec == Codec::Av1
                && admitted.packet.facts.picture.frame.is_some(),
        });
        let clock_rate_hz = out.codec.clock_rate_hz();
        self.repairs.change_format(out.rtx);
        self.current = Some(from);
        self.begun_at = admitted.ext_seq;
        self.aim_selector(self.goal);
        self.selector
            .begin(admitted.packet.timestamp, &admitted.packet.facts);
        self.rewriter.switch(now, clock_rate_hz, admitted.source());
        true
    }

    /// Numbers a packet and notes that it leaves, with the marker bit set if `marker` says so or
    /// it has been.
    fn send(
        &mut self,
        now: Time,
        own: SlotKey,
        from: EncodingKey,
        admitted: &Admitted<'_>,
        marker: bool,
    ) -> Option<Outgoing> {
        let carriage = self.carriage?;
        let mut numbers = self.rewriter.rewrite(now, admitted.source())?;
        numbers.picture.told = self.selector.told(admitted.packet.timestamp);
        if carriage.rtx.is_some() {
            self.repairs
                .note_sent(now, from, admitted, &numbers, marker);
        }
        self.counts.packets = self.counts.packets.wrapping_add(1);
        self.counts.octets = self.counts.octets.wrapping_add(admitted.payload_len as u32);
        self.tally
            .on_packet(admitted.payload_len, admitted.packet.marker);
        self.report_owed = true;
        Some(Outgoing {
            slot: own,
            encoding: from,
            source_seq: admitted.ext_seq,
            index: numbers.ext_seq,
            timestamp: numbers.timestamp,
            picture: numbers.picture,
            payload_type: carriage.out,
            marker,
            repair_of: None,
        })
    }

    /// Notes that a packet of the source exists but is not forwarded, so that its number does not
    /// look lost.
    pub(crate) fn skip(&mut self, now: Time, from: EncodingKey, packet: SourcePacket<'_>) {
        if self.current == Some(from) {
            self.rewriter.skip(now, packet);
        }
    }

    /// Takes `target` for the encoding that should feed the slot, and `goal` for what of it. When
    /// that is less than what feeds it (`falls`), as little as can be is taken of that meanwhile.
    pub(crate) fn aim(&mut self, target: EncodingKey, goal: Layer, falls: bool) {
        self.target = Some(target);
        self.goal = goal;
        if self.current == Some(target) {
            self.aim_selector(goal);
        } else if falls {
            self.selector.aim(Layer {
                temporal: 0,
                ..self.selector.current()
            });
        }
    }

    fn aim_selector(&mut self, goal: Layer) {
        let flat = self.carriage.is_some_and(|carriage| carriage.flat);
        self.selector.aim(Layer {
            spatial: if flat { 0 } else { goal.spatial },
            ..goal
        });
    }

    /// Whether better or other layers are to come than flow.
    pub(crate) fn is_waiting(&self) -> bool {
        self.current != self.target || self.selector.is_waiting()
    }

    /// Leaves the source, and any that was to come. Returns both, current first.
    pub(crate) fn stop(&mut self) -> (Option<EncodingKey>, Option<EncodingKey>) {
        self.rewriter.stop();
        self.carriage = None;
        (self.current.take(), self.target.take())
    }

    /// Leaves an encoding that is no more.
    pub(crate) fn lose(&mut self, encoding: EncodingKey) {
        if self.current == Some(encoding) {
            self.rewriter.stop();
            self.carriage = None;
            self.current = None;
        }
        if self.target == Some(encoding) {
            self.target = None;
        }
    }

    /// Takes the outcome of a later offer. False when what flows cannot go on as it did: the slot
    /// then waits until a receiver can begin anew.
    pub(crate) fn configure(&mut self, config: SlotConfig) -> bool {
        self.config = config;
        let Some(carriage) = self.carriage else {
            return true;
        };
        let still_agreed = self.config.payloads.iter().any(|p| {
            p.payload_type == carriage.out && p.codec == carriage.codec && p.rtx == carriage.rtx
        });
        if !still_agreed {
            self.carriage = None;
        }
        still_agreed
    }

    /// The repetition of a packet that the peer misses, if it is known, still of use, and granted.
    /// `cached` finds what the encoding still has of it: packet and length of the payload.
    ///
    /// Of no use is what was superseded: packets of an encoding or of layers that do not flow any
    /// more. What flows began with a picture that needs none of them, and they are many just when
    /// the slot fell to something smaller because the path is full.
    pub(crate) fn repeat<'a>(
        &mut self,
        now: Time,
        own: SlotKey,
        sequence_number: u16,
        rtt: Option<Duration>,
        cached: impl FnOnce(EncodingKey, u64) -> Option<(&'a CachedPacket, usize)>,
    ) -> Option<Outgoing> {
        let payload_type = self.carriage?.rtx?;
        self.config.rtx_ssrc?;
        let repairs = &mut self.repairs;
        let packet = repairs.log.get_mut(sequence_number)?;
        let (encoding, source_seq) = (EncodingKey::from_raw(packet.encoding), packet.source_seq);
        let (source, len) = cached(encoding, source_seq)?;
        let flows = self.current == Some(encoding) && source_seq >= self.begun_at;
        if !flows || !source.facts.present.contains(self.selector.current()) {
            return None;
        }
        repairs.gate.grant(now, rtt, packet, len).ok()?;
        self.tally.on_repeat(len);
        let index = repairs.next_index;
        repairs.next_index += 1;
        Some(Outgoing {
            slot: own,
            encoding,
            source_seq,
            index,
            timestamp: packet.timestamp,
            picture: packet.picture,
            payload_type,
            marker: packet.marker(),
            repair_of: Some(sequence_number),
        })
    }

    /// Whether another ask for a repetition is looked at; if so, it is counted.
    pub(crate) fn may_look_up(&mut self) -> bool {
        self.repairs.gate.may_look_up()
    }

    /// Whether there is an RTX stream to send padding on that counts for the path.
    pub(crate) fn can_pad(&self) -> bool {
        let repairs = self.config.rtx_ssrc.is_some() && self.padding_type().is_some();
        repairs && self.config.transport_cc
    }

    /// The numbers of the next packet of padding; `None` without an RTX stream.
    pub(crate) fn pad(&mut self) -> Option<Padding> {
        let (ssrc, payload_type) = self.config.rtx_ssrc.zip(self.padding_type())?;
        let index = self.repairs.next_index;
        self.repairs.next_index += 1;
        Some(Padding {
            ssrc,
            payload_type,
            index,
            timestamp: self.repairs.timestamp,
        })
    }

    fn padding_type(&self) -> Option<PayloadType> {
        match self.carriage {
            Some(carriage) => carriage.rtx,
            None => self.config.payloads.iter().find_map(|p| p.rtx),
        }
    }

    /// Takes note of what the peer reports about the slot's own stream.
    pub(crate) fn note_report(&mut self, block: &ReportBlock) {
        if block.ssrc == self.config.ssrc {
            self.repairs.gate.on_loss(block.fraction_lost);
            let clock_rate_hz = self.carriage.map_or(0, |c| c.codec.clock_rate_hz());
            self.tally.remote = Some(RemoteReport {
                fraction_lost: block.fraction_lost,
                lost: block.cumulative_lost,
                jitter: ticks_to_duration(block.jitter.into(), clock_rate_hz),
            });
        }
    }

    /// The sender report of the slot's stream, mapped from the source's own clock.
    pub(crate) fn sender_info(&self, ntp: NtpTime, source_timestamp: u32) -> Option<SenderInfo> {
        Some(SenderInfo {
            ssrc: self.config.ssrc,
            ntp,
            rtp_timestamp: source_timestamp.wrapping_add(self.rewriter.timestamp_offset()?),
            packets: self.counts.packets,
            octets: self.counts.octets,
        })
    }
}

/// What it takes to send a packet again.
#[derive(Debug)]
struct Repairs {
    log: SentLog,
    gate: RetransmitGate,
    /// The RTX payload type of the format in which the packets of the log left.
    format: Option<PayloadType>,
    /// 48-bit index of the next packet on the RTX stream.
    next_index: u64,
    /// RTP timestamp of the packet that left last.
    timestamp: u32,
}

impl Repairs {
    /// What left in another format is repeated no more: the RTX payload type says what a
    /// repetition holds (RFC 4588 §8.6), and its decoder is gone.
    fn change_format(&mut self, rtx: Option<PayloadType>) {
        if self.format != rtx {
            self.format = rtx;
            self.log.clear();
        }
    }

    fn note_sent(
        &mut self,
        now: Time,
        from: EncodingKey,
        admitted: &Admitted<'_>,
        numbers: &Rewritten,
        marker: bool,
    ) {
        self.gate.on_sent(admitted.payload_len);
        self.timestamp = numbers.timestamp;
        let packet = SentPacket::new(
            now,
            from.raw(),
            admitted.ext_seq,
            numbers.timestamp,
            numbers.picture,
        );
        self.log.insert(now, numbers.ext_seq, packet.marked(marker));
    }
}
