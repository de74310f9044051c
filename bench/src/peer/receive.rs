//! What a subscriber notes of the packets it receives, and what it tells the server about them.
//!
//! Packets are counted by their clear headers; one of [`SAMPLE`] is decrypted to see whether its
//! payload is one that a publisher sent, and how long it took.

use std::sync::Arc;
use std::time::Duration;

use crosspoint_transport::srtp::Inbound;
use crosspoint_wire::codec::MediaKind;
use crosspoint_wire::ext::{ExtensionIds, ExtensionKind};
use crosspoint_wire::num::SeqUnwrapper;
use crosspoint_wire::rtcp::{ReportBlock, RtcpWriter};
use crosspoint_wire::rtp::RtpView;
use crosspoint_wire::time::Time;

use crate::clip::{Check, Clip};
use crate::clock::Clock;
use crate::sdp::Remote;
use crate::tally::Tally;

/// One of so many packets is decrypted. A prime, so that it is not always the same one of a frame.
const SAMPLE: u64 = 17;

/// Packets below the newest of which it is remembered whether they arrived.
const WINDOW: u64 = 1024;

/// How soon, how often and how many times a missing packet is asked for.
const NACK_AFTER: Duration = Duration::from_millis(5);
const NACK_AGAIN: Duration = Duration::from_millis(50);
const NACK_TRIES: u8 = 8;
/// Missing packets remembered per stream.
const MISSING_MAX: usize = 256;

/// A stream is active if something came within this time.
const ACTIVE: Duration = Duration::from_secs(1);

/// What arrives at one client.
#[derive(Debug)]
pub(super) struct Reception {
    formats: Vec<Format>,
    /// RTX streams by the stream that they repair.
    repairs: Vec<(u32, u32)>,
    transport_cc: Option<u8>,
    streams: Vec<Stream>,
    clips: Vec<Arc<Clip>>,
    arrivals: Arrivals,
    sampled: u64,
}

#[derive(Clone, Copy, Debug)]
struct Format {
    payload_type: u8,
    kind: MediaKind,
    rtx: bool,
}

/// One SSRC.
#[derive(Debug)]
struct Stream {
    ssrc: u32,
    kind: MediaKind,
    numbers: SeqUnwrapper,
    first: u64,
    newest: u64,
    seen: [u64; (WINDOW / 64) as usize],
    missing: Vec<Missing>,
    received: u64,
    reported: (u64, u64),
    last_sender_report: Option<(u32, Time)>,
    heard: Time,
}

#[derive(Clone, Copy, Debug)]
struct Missing {
    number: u64,
    next: Time,
    tries: u8,
}

impl Reception {
    /// `clips`: what publishers send, for the check of contents.
    pub(super) fn new(remote: &Remote, clips: Vec<Arc<Clip>>) -> Self {
        let mut formats = Vec::new();
        let mut transport_cc = None;
        for line in &remote.lines {
            let numbers = [(line.payload_type, false), (line.rtx, true)];
            for (payload_type, rtx) in numbers {
                formats.extend(payload_type.map(|payload_type| Format {
                    payload_type,
                    kind: line.kind,
                    rtx,
                }));
            }
            transport_cc = transport_cc.or(line.ids.id(ExtensionKind::TransportCc));
        }
        formats.dedup_by_key(|format| format.payload_type);
        let repairs = remote.lines.iter().flat_map(|line| line.repairs.clone());
        Self {
            formats,
            repairs: repairs.collect(),
            transport_cc,
            streams: Vec::new(),
            clips,
            arrivals: Arrivals::default(),
            sampled: 0,
        }
    }

    /// Takes one SRTP packet. `now` is when its batch was received.
    pub(super) fn handle(
        &mut self,
        now: Time,
        clock: Clock,
        packet: &mut [u8],
        inbound: &mut Inbound,
        tally: &mut Tally,
    ) {
        let Ok(view) = RtpView::parse_header(packet) else {
            tally.totals.undecryptable += 1;
            return;
        };
        let header = view.header();
        let format = self.formats.iter();
        let format = format
            .copied()
            .find(|format| format.payload_type == header.payload_type);
        let Some(Format { kind, rtx, .. }) = format else {
            tally.totals.undecryptable += 1;
            return;
        };
        let totals = &mut tally.totals;
        totals.packets += 1;
        totals.bytes += packet.len() as u64;
        totals.audio_packets += u64::from(kind == MediaKind::Audio);
        if let Some(id) = self.transport_cc
            && let Some(&[high, low]) = view.extension(id)
        {
            self.arrivals.note(now, u16::from_be_bytes([high, low]));
        }
        if rtx {
            totals.rtx_packets += 1;
            self.handle_repair(header.ssrc, packet, inbound, tally);
            return;
        }
        let stream = match self.streams.iter().position(|it| it.ssrc == header.ssrc) {
            Some(index) => &mut self.streams[index],
            None => {
                let stream = Stream::new(header.ssrc, kind, header.sequence_number);
                self.streams.push_mut(stream)
            }
        };
        stream.note(now, header.sequence_number, tally);
        self.sampled += 1;
        if self.sampled.is_multiple_of(SAMPLE) {
            self.check(clock, packet, inbound, tally);
        }
    }

    fn check(&self, clock: Clock, packet: &mut [u8], inbound: &mut Inbound, tally: &mut Tally) {
        let Ok(len) = inbound.unprotect_rtp(packet) else {
            tally.totals.undecryptable += 1;
            return;
        };
        let plain = packet.get(..len).unwrap_or_default();
        let Ok(view) = RtpView::parse(plain) else {
            tally.totals.corrupt += 1;
            return;
        };
        // Nothing but padding is a probe.
        if view.payload().is_empty() {
            return;
        }
        tally.totals.checked += 1;
        let mut checks = self.clips.iter().map(|clip| clip.check(view.payload()));
        match checks.find(|check| *check != Check::Corrupt) {
            Some(Check::Intact(Some(sent))) => {
                let delay = clock.now().since(sent).as_micros();
                tally.delays.saturating_record(delay.max(1) as u64);
            }
            Some(_) => {}
            None => tally.totals.corrupt += 1,
        }
    }

    /// An RTX packet: its first two bytes say what it repeats (RFC 4588 §4).
    fn handle_repair(
        &mut self,
        ssrc: u32,
        packet: &mut [u8],
        inbound: &mut Inbound,
        tally: &mut Tally,
    ) {
        let Ok(len) = inbound.unprotect_rtp(packet) else {
            tally.totals.undecryptable += 1;
            return;
        };
        let Ok(view) = RtpView::parse(packet.get(..len).unwrap_or_default()) else {
            return;
        };
        let Some((original, _)) = view.payload().split_first_chunk::<2>() else {
            return;
        };
        let repaired = self.repairs.iter().find(|(_, rtx)| *rtx == ssrc);
        let repaired = repaired.map(|(main, _)| *main);
        let stream = self.streams.iter_mut().find(|it| Some(it.ssrc) == repaired);
        if let Some(stream) = stream {
            stream.note_repaired(u16::from_be_bytes(*original), tally);
        }
    }

    /// Notes the time of a sender report.
    pub(super) fn note_sender_report(&mut self, now: Time, ssrc: u32, middle: u32) {
        if let Some(stream) = self.streams.iter_mut().find(|it| it.ssrc == ssrc) {
            stream.last_sender_report = Some((middle, now));
        }
    }

    /// Writes transport-wide feedback on what came since the last.
    pub(super) fn write_feedback(&mut self, sender: u32, writer: &mut RtcpWriter<'_>) {
        let media = self.streams.first().map_or(0, |stream| stream.ssrc);
        self.arrivals.write(sender, media, writer);
    }

    /// Writes NACKs that are due.
    pub(super) fn write_nacks(
        &mut self,
        now: Time,
        sender: u32,
        writer: &mut RtcpWriter<'_>,
        tally: &mut Tally,
    ) {
        for stream in &mut self.streams {
            let due = stream
                .missing
                .iter_mut()
                .filter(|missing| missing.next <= now);
            let mut numbers = Vec::new();
            for missing in due {
                missing.tries += 1;
                missing.next = now + NACK_AGAIN;
                numbers.push(missing.number as u16);
            }
            stream.missing.retain(|missing| missing.tries < NACK_TRIES);
            tally.totals.nacked += numbers.len() as u64;
            let _ = writer.nack(sender, stream.ssrc, numbers);
        }
    }

    /// When a NACK is due.
    pub(super) fn next_nack(&self) -> Time {
        let missing = self.streams.iter().flat_map(|stream| &stream.missing);
        missing
            .map(|missing| missing.next)
            .min()
            .unwrap_or(Time::NEVER)
    }

    /// The blocks of a receiver report.
    pub(super) fn reports(&mut self, now: Time) -> Vec<ReportBlock> {
        self.streams.iter_mut().map(|it| it.report(now)).collect()
    }

    /// How many streams of a kind something arrives on.
    pub(super) fn active(&self, now: Time, kind: MediaKind) -> usize {
        let active = |stream: &&Stream| stream.kind == kind && now.since(stream.heard) < ACTIVE;
        self.streams.iter().filter(active).count()
    }
}

impl Stream {
    fn new(ssrc: u32, kind: MediaKind, sequence_number: u16) -> Self {
        let mut numbers = SeqUnwrapper::new();
        let first = numbers.extend(sequence_number.into());
        Self {
            ssrc,
            kind,
            numbers,
            first,
            newest: first - 1,
            seen: [0; (WINDOW / 64) as usize],
            missing: Vec::new(),
            received: 0,
            reported: (0, 0),
            last_sender_report: None,
            heard: Time::ZERO,
        }
    }

    fn note(&mut self, now: Time, sequence_number: u16, tally: &mut Tally) {
        self.heard = now;
        self.received += 1;
        let number = self.numbers.extend(sequence_number.into());
        if number > self.newest {
            tally.totals.expected += number - self.newest;
            for skipped in self.newest + 1..number {
                self.set_seen(skipped, false);
                if self.kind == MediaKind::Video && self.missing.len() < MISSING_MAX {
                    self.missing.push(Missing {
                        number: skipped,
                        next: now + NACK_AFTER,
                        tries: 0,
                    });
                }
            }
            self.newest = number;
            self.set_seen(number, true);
            tally.totals.arrived += 1;
        } else {
            self.note_late(number, tally);
        }
    }

    fn note_repaired(&mut self, sequence_number: u16, tally: &mut Tally) {
        let number = self.numbers.peek(sequence_number.into());
        self.note_late(number, tally);
    }

    fn note_late(&mut self, number: u64, tally: &mut Tally) {
        let known = number >= self.first && number <= self.newest;
        if !known || self.newest - number >= WINDOW || self.was_seen(number) {
            tally.totals.duplicates += 1;
            return;
        }
        self.set_seen(number, true);
        self.missing.retain(|missing| missing.number != number);
        tally.totals.arrived += 1;
    }

    fn was_seen(&self, number: u64) -> bool {
        self.seen[(number % WINDOW / 64) as usize] & (1 << (number % 64)) != 0
    }

    fn set_seen(&mut self, number: u64, seen: bool) {
        let word = &mut self.seen[(number % WINDOW / 64) as usize];
        let bit = 1 << (number % 64);
        *word = if seen { *word | bit } else { *word & !bit };
    }

    fn report(&mut self, now: Time) -> ReportBlock {
        let expected = self.newest + 1 - self.first;
        let (expected_before, received_before) = self.reported;
        self.reported = (expected, self.received);
        let expected_now = expected - expected_before;
        let lost_now = expected_now.saturating_sub(self.received - received_before);
        let lost = expected.saturating_sub(self.received).min(0x7f_ffff);
        let (last_sender_report, delay_since_last) =
            self.last_sender_report.map_or((0, 0), |(middle, at)| {
                let delay = now.since(at).as_micros() * 65_536 / 1_000_000;
                (middle, delay as u32)
            });
        ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: (lost_now * 256)
                .checked_div(expected_now)
                .map_or(0, |fraction| fraction.min(255) as u8),
            cumulative_lost: lost as i32,
            highest_sequence: self.newest as u32,
            // Nothing on the way depends on it.
            jitter: 0,
            last_sender_report,
            delay_since_last,
        }
    }
}

/// Transport-wide numbers since the last feedback.
#[derive(Debug, Default)]
struct Arrivals {
    numbers: SeqUnwrapper,
    base: u64,
    times: Vec<Option<Time>>,
    count: u8,
}

impl Arrivals {
    /// More than come between two messages at any load that is measured.
    const MAX: usize = 4096;

    fn note(&mut self, now: Time, number: u16) {
        let number = self.numbers.extend(number.into());
        if self.base == 0 {
            self.base = number;
        }
        let Some(index) = number.checked_sub(self.base) else {
            return;
        };
        let index = index as usize;
        if index >= Self::MAX {
            return;
        }
        if self.times.len() <= index {
            self.times.resize(index + 1, None);
        }
        self.times[index] = Some(now);
    }

    fn write(&mut self, sender: u32, media: u32, writer: &mut RtcpWriter<'_>) {
        if self.times.is_empty() {
            return;
        }
        let base = self.base as u16;
        let times = self.times.iter().copied();
        let written = writer.transport_cc(sender, media, self.count, base, times);
        let written = written.unwrap_or(0).min(self.times.len());
        let done = if written == 0 {
            self.times.len()
        } else {
            written
        };
        self.times.drain(..done);
        self.base += done as u64;
        self.count = self.count.wrapping_add(1);
    }
}

/// Whether the lines of a description carry transport-wide numbers at all.
pub(super) fn wants_feedback(remote: &Remote) -> bool {
    let has = |ids: &ExtensionIds| ids.id(ExtensionKind::TransportCc).is_some();
    remote.lines.iter().any(|line| has(&line.ids))
}
