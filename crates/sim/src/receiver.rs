//! A peer's receiving half: what a browser's transport and jitter buffer do with a slot's stream.
//!
//! It asks again for what is missing, reports, asks for keyframes when repair has failed, and
//! keeps a log of everything that came. What the log means is found out afterwards:
//! [`SlotLog`].

mod decoder;
mod log;
mod repair;

use core::time::Duration;

use crosspoint_media::config::SlotConfig;
use crosspoint_wire::codec::MediaKind;
use crosspoint_wire::ext::ExtensionIds;
use crosspoint_wire::ids::{Mid, Ssrc};
use crosspoint_wire::num::SeqUnwrapper;
use crosspoint_wire::payload::red::Red;
use crosspoint_wire::rtcp::{Compound, ReportBlock, RtcpPacket, RtcpWriter, SenderInfo};
use crosspoint_wire::rtp::RtpView;
use crosspoint_wire::time::Time;

use self::decoder::Decoder;
pub use self::log::{Arrived, Shown, SlotLog, longest_freeze};
use self::repair::Repair;
use crate::media::read_payload;
use crate::peer::{Datagram, Outbox};

/// SSRC that a receiver reports under.
const OWN_SSRC: Ssrc = 1;
/// Distance between receiver reports.
const REPORT_INTERVAL: Duration = Duration::from_millis(1000);
/// Distance between transport-wide feedback messages.
const FEEDBACK_INTERVAL: Duration = Duration::from_millis(100);
/// Distance between keyframe requests while nothing can be decoded.
const PLI_INTERVAL: Duration = Duration::from_millis(500);

/// See the module documentation.
#[derive(Debug)]
pub struct Receiver {
    slots: Vec<ReceiverSlot>,
    extensions: ExtensionIds,
    next_report: Time,
    next_feedback: Time,
    feedback_count: u8,
    transport: SeqUnwrapper,
    /// Arrivals not yet reported, by transport-wide number.
    arrivals: Vec<(u64, Time)>,
    /// Packets on SSRCs that were never agreed.
    pub strangers: u64,
    /// RTP packets in all, repairs included.
    pub packets: u64,
    /// First and highest transport-wide number.
    pub transport_span: Option<(u64, u64)>,
    /// Asks for repairs.
    pub repairs: bool,
    /// Drops payloads that were damaged by their publisher; otherwise they fail the test.
    pub tolerates_damage: bool,
}

/// One slot as the receiver sees it.
#[derive(Debug)]
pub struct ReceiverSlot {
    /// As negotiated.
    pub config: SlotConfig,
    /// All that came.
    pub log: SlotLog,
    /// Sender reports and when they came.
    pub sender_reports: Vec<(SenderInfo, Time)>,
    /// Packets that came on the repair stream.
    pub repaired: u64,
    /// Packets that took earlier ones along.
    pub redundant: u64,
    /// Packets of nothing but padding.
    pub padding: u64,
    /// PLIs sent.
    pub plis: u64,
    numbers: SeqUnwrapper,
    repair: Repair,
    decoder: Decoder,
    received: u64,
    /// Expected and received at the previous report.
    reported: (u64, u64),
    /// No PLI before this.
    next_pli: Time,
}

impl Receiver {
    /// For slots as negotiated.
    #[must_use]
    pub fn new(slots: Vec<SlotConfig>, extensions: ExtensionIds, now: Time) -> Self {
        Self {
            slots: slots.into_iter().map(ReceiverSlot::new).collect(),
            extensions,
            next_report: now + REPORT_INTERVAL,
            next_feedback: now + FEEDBACK_INTERVAL,
            feedback_count: 0,
            transport: SeqUnwrapper::new(),
            arrivals: Vec::new(),
            strangers: 0,
            packets: 0,
            transport_span: None,
            repairs: true,
            tolerates_damage: false,
        }
    }

    /// All slots.
    pub fn slots(&self) -> impl Iterator<Item = &ReceiverSlot> {
        self.slots.iter()
    }

    /// The slot on an m-line.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn slot(&self, mid: &str) -> &ReceiverSlot {
        let mid = Mid::new(mid.as_bytes());
        let found = self.slots.iter().find(|s| Some(s.config.mid) == mid);
        found.expect("a slot of the test's own")
    }

    /// When [`poll`](Self::poll) next has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Time {
        let slots = self.slots.iter().map(|s| s.next_timeout(self.repairs));
        let own = self.next_report.min(self.next_feedback);
        slots.chain([own]).min().unwrap_or(Time::NEVER)
    }

    /// Takes a media packet.
    pub fn on_rtp(&mut self, now: Time, packet: &[u8]) {
        let packet = RtpView::parse(packet).expect("the server sends well-formed RTP");
        self.packets += 1;
        let extensions = packet.extensions(&self.extensions);
        if let Some(number) = extensions.transport_cc {
            let number = self.transport.extend(u32::from(number));
            let (first, highest) = self.transport_span.unwrap_or((number, number));
            self.transport_span = Some((first.min(number), highest.max(number)));
            self.arrivals.push((number, now));
        }
        let ssrc = packet.ssrc();
        let slot = self
            .slots
            .iter_mut()
            .find(|s| s.config.ssrc == ssrc || s.config.rtx_ssrc == Some(ssrc));
        match slot {
            Some(slot) => {
                if let Some(mid) = extensions.mid {
                    assert_eq!(mid, slot.config.mid.as_bytes(), "MID of another m-line");
                }
                slot.on_rtp(now, &packet, self.tolerates_damage);
            }
            None => self.strangers += 1,
        }
    }

    /// Takes the server's reports.
    pub fn on_rtcp(&mut self, now: Time, packet: &[u8]) {
        for member in Compound::new(packet) {
            let member = member.expect("the server sends well-formed RTCP");
            let RtcpPacket::SenderReport { info, .. } = member else {
                continue;
            };
            let slot = self.slots.iter_mut().find(|s| s.config.ssrc == info.ssrc);
            if let Some(slot) = slot {
                slot.sender_reports.push((info, now));
            }
        }
    }

    /// Sends what is due.
    pub fn poll(&mut self, now: Time, out: &mut Outbox) {
        for slot in &mut self.slots {
            slot.poll(now, self.repairs, out);
        }
        if self.next_report <= now {
            self.next_report = now + REPORT_INTERVAL;
            let blocks: Vec<_> = self
                .slots
                .iter_mut()
                .filter_map(|s| s.report(now))
                .collect();
            for blocks in blocks.chunks(31) {
                send(out, |w| w.receiver_report(OWN_SSRC, blocks).expect("fits"));
            }
        }
        if self.next_feedback <= now {
            self.next_feedback = now + FEEDBACK_INTERVAL;
            self.send_feedback(out);
        }
    }

    fn send_feedback(&mut self, out: &mut Outbox) {
        let mut arrivals = core::mem::take(&mut self.arrivals);
        arrivals.sort_unstable();
        arrivals.dedup_by_key(|a| a.0);
        let Some(&(first, _)) = arrivals.first() else {
            return;
        };
        let last = arrivals.last().map_or(first, |a| a.0);
        let span = (first..=last).map(|n| {
            let found = arrivals.binary_search_by_key(&n, |a| a.0);
            found.ok().map(|index| arrivals[index].1)
        });
        let count = self.feedback_count;
        self.feedback_count = count.wrapping_add(1);
        send(out, |w| {
            let media = self.slots.first().map_or(0, |s| s.config.ssrc);
            w.transport_cc(OWN_SSRC, media, count, first as u16, span)
                .expect("fits");
        });
    }
}

impl ReceiverSlot {
    fn new(config: SlotConfig) -> Self {
        Self {
            config,
            log: SlotLog::default(),
            sender_reports: Vec::new(),
            repaired: 0,
            redundant: 0,
            padding: 0,
            plis: 0,
            numbers: SeqUnwrapper::new(),
            repair: Repair::default(),
            decoder: Decoder::default(),
            received: 0,
            reported: (0, 0),
            next_pli: Time::ZERO,
        }
    }

    fn is_video(&self) -> bool {
        self.config.kind == MediaKind::Video
    }

    fn next_timeout(&self, repairs: bool) -> Time {
        let repair = if repairs {
            self.repair.next_timeout()
        } else {
            Time::NEVER
        };
        repair.min(self.pli_due())
    }

    fn pli_due(&self) -> Time {
        self.decoder.stuck_at().max(self.next_pli)
    }

    fn on_rtp(&mut self, now: Time, packet: &RtpView<'_>, tolerates_damage: bool) {
        let format = &self.config.payloads[0];
        let red = format.red == Some(packet.payload_type());
        let (seq, payload, by_repair) = if red {
            let own = self.on_redundant(now, packet);
            (packet.sequence_number(), own, false)
        } else if packet.ssrc() == self.config.ssrc {
            assert_eq!(packet.payload_type(), format.payload_type, "payload type");
            (packet.sequence_number(), packet.payload(), false)
        } else {
            assert_eq!(
                Some(packet.payload_type()),
                format.rtx,
                "payload type of repairs"
            );
            let Some((seq, payload)) = packet.payload().split_first_chunk() else {
                assert!(packet.payload().is_empty(), "half an OSN");
                self.padding += 1;
                return;
            };
            self.repaired += 1;
            (u16::from_be_bytes(*seq), payload, true)
        };
        if !by_repair {
            self.received += 1;
        }
        let Some(found) = read_payload(payload, self.is_video()) else {
            assert!(tolerates_damage, "damaged payload in {:?}", self.config.mid);
            return;
        };
        let ext_seq = self.numbers.extend(u32::from(seq));
        if self.is_video() {
            self.repair.on_packet(now, ext_seq);
            self.decoder.on_packet(now, ext_seq, found.stamp);
        }
        self.log.push(Arrived {
            ext_seq,
            timestamp: packet.timestamp(),
            marker: packet.marker(),
            stamp: found.stamp,
            numbers: found.numbers,
            at: now,
            by_repair,
        });
    }

    /// Notes the packets that one took along; returns its own payload.
    fn on_redundant<'a>(&mut self, now: Time, packet: &RtpView<'a>) -> &'a [u8] {
        let red = Red::parse(packet.payload()).expect("the server sends well-formed RED");
        self.redundant += 1;
        for block in red.earlier() {
            let found = read_payload(block.payload, false).expect("a whole payload");
            let timestamp = packet.timestamp().wrapping_sub(block.offset);
            self.log.push_along(found.stamp, timestamp, now);
        }
        red.payload
    }

    fn poll(&mut self, now: Time, repairs: bool, out: &mut Outbox) {
        let ssrc = self.config.ssrc;
        if repairs {
            let lost = self.repair.poll(now);
            if !lost.is_empty() {
                send(out, |w| {
                    w.nack(OWN_SSRC, ssrc, lost.iter().copied()).expect("fits");
                });
            }
        }
        if self.pli_due() <= now {
            self.next_pli = now + PLI_INTERVAL;
            self.plis += 1;
            send(out, |w| w.pli(OWN_SSRC, ssrc).expect("fits"));
        }
    }

    fn report(&mut self, now: Time) -> Option<ReportBlock> {
        let (first, highest) = self.log.span()?;
        let expected = highest - first + 1;
        let (expected_before, received_before) = self.reported;
        self.reported = (expected, self.received);
        let lost = (expected - expected_before).saturating_sub(self.received - received_before);
        let (last_sender_report, delay_since_last) =
            self.sender_reports.last().map_or((0, 0), |(info, at)| {
                let delay = now.since(*at).as_micros() * 65_536 / 1_000_000;
                (info.ntp.middle(), delay as u32)
            });
        Some(ReportBlock {
            ssrc: self.config.ssrc,
            fraction_lost: (lost * 256 / (expected - expected_before).max(1)).min(255) as u8,
            cumulative_lost: expected as i32 - self.received as i32,
            highest_sequence: highest as u32,
            jitter: 0,
            last_sender_report,
            delay_since_last,
        })
    }
}

fn send(out: &mut Outbox, write: impl FnOnce(&mut RtcpWriter<'_>)) {
    let mut buffer = [0; 1400];
    let mut writer = RtcpWriter::new(&mut buffer);
    write(&mut writer);
    out.push(Datagram::Rtcp(writer.as_bytes().to_vec()));
}
