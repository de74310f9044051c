//! What peers report and ask: about our streams, and about theirs.

use crosspoint_wire::ids::Ssrc;
use crosspoint_wire::rtcp::{
    Compound, NackPairs, ReportBlocks, RtcpPacket, SenderInfo, TransportCc,
};
use crosspoint_wire::time::{NtpTime, Time};

use super::Engine;
use crate::config::SessionKey;
use crate::egress::Lane;
use crate::encoding::EncodingKey;
use crate::report::round_trip;
use crate::session::Stream;
use crate::tally::Outflow;
use crate::track::Origin;

impl Engine {
    pub(super) fn receive_rtcp(&mut self, now: Time, from: SessionKey, datagram: &[u8]) {
        for packet in Compound::new(datagram) {
            let Ok(packet) = packet else {
                self.counters.rtcp_malformed += 1;
                return;
            };
            match packet {
                RtcpPacket::SenderReport { info, reports } => {
                    self.note_sender_report(now, from, &info);
                    self.note_reports(now, from, reports);
                }
                RtcpPacket::ReceiverReport { reports, .. } => {
                    self.note_reports(now, from, reports);
                }
                RtcpPacket::Nack { media, lost, .. } => self.repeat(now, from, media, lost),
                RtcpPacket::Pli { media, .. } => {
                    self.keyframe_asked(from, media, |tally| tally.plis += 1);
                }
                RtcpPacket::Fir { entries, .. } => {
                    for entry in entries.iter() {
                        self.keyframe_asked(from, entry.ssrc, |tally| tally.firs += 1);
                    }
                }
                RtcpPacket::Remb { bitrate_bps, .. } => {
                    if let Some(session) = self.sessions.get_mut(from) {
                        session.estimator.on_remb(bitrate_bps);
                        self.note_bandwidth(from);
                    }
                }
                RtcpPacket::TransportCc(feedback) => self.take_feedback(now, from, &feedback),
                // Streams end by command.
                RtcpPacket::Goodbye { .. } | RtcpPacket::Other { .. } => {}
            }
        }
    }

    /// What a publisher's clock reads, for the sender reports of the slots that its stream feeds.
    fn note_sender_report(&mut self, now: Time, from: SessionKey, info: &SenderInfo) {
        let Some(session) = self.sessions.get_mut(from) else {
            return;
        };
        let Some(Stream::Media(key)) = session.stream(info.ssrc) else {
            return;
        };
        let Some(encoding) = self.encodings.get_mut(key) else {
            return;
        };
        let wall = self.config.wall_clock.ntp(now);
        let clock = &mut session.reporting.clock;
        encoding.note_sender_report(clock, now, wall, info.ntp, info.rtp_timestamp);
        if let Some(timestamp) = encoding.timestamp_at(clock, now, wall) {
            let track = encoding.track;
            self.relay_clock(track, key, wall, timestamp);
        }
    }

    /// The same for a stream that another engine receives. The two engines' wall clocks are one.
    pub(super) fn note_relayed_clock(
        &mut self,
        now: Time,
        key: EncodingKey,
        wall: NtpTime,
        timestamp: u32,
    ) {
        let Some(encoding) = self.encodings.get_mut(key) else {
            return;
        };
        let Some(Origin::Relay(relay)) = self.tracks.get(encoding.track).map(|t| t.origin) else {
            return;
        };
        if let Some(relay) = self.relays.get_mut(relay) {
            let here = self.config.wall_clock.ntp(now);
            encoding.note_sender_report(&mut relay.clock, now, here, wall, timestamp);
        }
    }

    fn note_reports(&mut self, now: Time, from: SessionKey, reports: ReportBlocks<'_>) {
        let Some(session) = self.sessions.get_mut(from) else {
            return;
        };
        let wall = self.config.wall_clock.ntp(now);
        for report in reports.iter() {
            let Some(key) = session.sent_streams.get(report.ssrc) else {
                continue;
            };
            if let Some(rtt) = round_trip(wall, &report) {
                session.reporting.note_round_trip(rtt);
            }
            if let Some(slot) = self.slots.get_mut(key) {
                slot.note_report(&report);
            }
            let fraction_lost = report.fraction_lost;
            session.estimator.on_report(now, fraction_lost);
            if !session.estimator.is_fed() {
                session.redundancy.count(now, 256, fraction_lost.into());
            }
        }
        self.note_bandwidth(from);
    }

    /// When packets that a session was sent arrived.
    fn take_feedback(&mut self, now: Time, from: SessionKey, feedback: &TransportCc<'_>) {
        let Some(session) = self.sessions.get_mut(from) else {
            return;
        };
        let rtt = session.reporting.rtt;
        if let Some(losses) = session.estimator.on_feedback(now, feedback, rtt) {
            session.redundancy.count(now, losses.expected, losses.lost);
            self.note_bandwidth(from);
        } else {
            self.counters.feedback_void += 1;
        }
    }

    /// Has a session's layers allocated anew if its bandwidth changed.
    fn note_bandwidth(&mut self, key: SessionKey) {
        let session = self.sessions.get_mut(key);
        if session.is_some_and(|session| session.estimator.take_change()) {
            self.unsettle_layers(key);
        }
    }

    /// Sends again what a subscriber misses, as far as it is there and granted.
    fn repeat(&mut self, now: Time, from: SessionKey, media: Ssrc, lost: NackPairs<'_>) {
        let Some(session) = self.sessions.get(from) else {
            return;
        };
        let Some(key) = session.sent_streams.get(media) else {
            return;
        };
        // A report that waited for a busy machine must not keep repairs waiting that are due.
        let rtt = session.reporting.least_rtt;
        for sequence_number in lost.sequence_numbers() {
            self.counters.nacks_received += 1;
            // RTX streams are not repaired themselves. Whatever the reason, the rest is refused too.
            let slot = self.slots.get_mut(key);
            let repaired = slot.filter(|slot| slot.config.ssrc == media);
            let Some(slot) = repaired.and_then(|slot| slot.may_look_up().then_some(slot)) else {
                self.counters.nacks_refused += 1;
                return;
            };
            slot.tally.nacks += 1;
            let cached = |encoding, source_seq| {
                let encoding = self.encodings.get(encoding)?;
                let (packet, payload) = encoding.cache.get(now, source_seq)?;
                Some((packet, payload.len()))
            };
            match slot.repeat(now, key, sequence_number, rtt, cached) {
                Some(outgoing) => self.enqueue(from, Lane::Repair, outgoing),
                None => self.counters.nacks_refused += 1,
            }
        }
    }

    /// A subscriber cannot decode what a slot sends.
    fn keyframe_asked(&mut self, from: SessionKey, media: Ssrc, count: fn(&mut Outflow)) {
        let session = self.sessions.get(from);
        let Some(key) = session.and_then(|s| s.sent_streams.get(media)) else {
            return;
        };
        self.counters.keyframe_requests_received += 1;
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        count(&mut slot.tally);
        if let Some(encoding) = slot.current.or(slot.target) {
            self.want_keyframe(encoding);
        }
    }
}
