//! What the engine reports and asks: about the streams that it receives and those that it sends.

use crosspoint_wire::BufferFull;
use crosspoint_wire::ids::Ssrc;
use crosspoint_wire::rtcp::{FirEntry, ReportBlock, RtcpWriter};
use crosspoint_wire::time::{NtpTime, Time};

use super::{Engine, Scratch};
use crate::config::SessionKey;
use crate::encoding::{Encoding, EncodingKey};
use crate::keyframe::KeyframeRequest;
use crate::report::PublisherClock;
use crate::reporting::Reporting;
use crate::sink::{PACKET_BYTES_MAX, PacketSink};
use crate::slab::Slab;
use crate::slot::SlotKey;
use crate::track::{Origin, Track};

/// Most report blocks of one report (five bits).
const REPORT_BLOCKS_MAX: usize = 31;

/// A stream that a session sends us, and how its publisher can be asked for keyframes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    encoding: EncodingKey,
    ssrc: Ssrc,
    pli: bool,
    fir: bool,
}

impl Engine {
    /// Hands out the feedback that a session is owed by now.
    pub(super) fn depart_feedback(
        &mut self,
        now: Time,
        key: SessionKey,
        sink: &mut impl PacketSink,
    ) {
        let due = self.sessions.get_mut(key).is_some_and(|session| {
            core::mem::take(&mut session.reporting.woken) && session.connected
        });
        if !due {
            return;
        }
        let mut scratch = core::mem::take(&mut self.scratch);
        self.list_sources(key, &mut scratch.sources);
        self.write_feedback(now, key, &mut scratch, sink);
        self.scratch = scratch;
        self.arm_session(key);
    }

    fn write_feedback(
        &mut self,
        now: Time,
        key: SessionKey,
        scratch: &mut Scratch,
        sink: &mut impl PacketSink,
    ) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let report_due = session.reporting.take_report(now);
        scratch.sender_infos.clear();
        if report_due {
            self.list_sender_infos(now, key, scratch);
        }
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let mut outbox = Outbox {
            sink,
            to: key,
            buffer: [0; PACKET_BYTES_MAX],
            len: 0,
            sent: 0,
            ssrc: session.reporting.ssrc,
            cname: &session.config.cname,
            reduced_size: session.config.reduced_size_rtcp,
        };
        if report_due {
            outbox.report(now, scratch, &mut self.encodings);
        }
        let rtt = session.reporting.rtt;
        for source in &scratch.sources {
            if let Some(encoding) = self.encodings.get_mut(source.encoding) {
                let asked = outbox.ask_for_keyframe(now, source, encoding);
                self.counters.keyframe_requests_sent += u64::from(asked);
                scratch.missing.clear();
                encoding
                    .nack
                    .poll(now, rtt, |seq| scratch.missing.push(seq));
                self.counters.nacks_sent += scratch.missing.len() as u64;
                encoding.tally.nacks += scratch.missing.len() as u64;
                outbox.ask_for_repair(source.ssrc, &scratch.missing);
            }
        }
        outbox.congestion(now, &scratch.sources, &mut session.reporting);
        outbox.send();
        self.counters.rtcp_sent += outbox.sent;
    }

    /// The streams that a session sends us, as far as their SSRCs are known.
    fn list_sources(&self, key: SessionKey, sources: &mut Vec<Source>) {
        sources.clear();
        let Some(session) = self.sessions.get(key) else {
            return;
        };
        for track in session
            .published
            .iter()
            .filter_map(|p| self.tracks.get(p.track))
        {
            let pli = track.payloads.iter().any(|p| p.pli);
            let fir = track.payloads.iter().any(|p| p.fir);
            sources.extend(track.encodings.iter().filter_map(|&encoding| {
                let askable = self.can_bring_keyframe(track, encoding);
                Some(Source {
                    encoding,
                    ssrc: session.media_ssrc(encoding)?,
                    pli: pli && askable,
                    fir: fir && askable,
                })
            }));
        }
    }

    /// Whether a keyframe of an encoding would come, and be taken. Who waits for one of another
    /// asks anew when it flows or its track is heard again.
    pub(super) fn can_bring_keyframe(&self, track: &Track, encoding: EncodingKey) -> bool {
        let encoding = self.encodings.get(encoding);
        !track.muted && encoding.is_some_and(Encoding::lives)
    }

    /// Sender reports of the slots that sent something since their last.
    fn list_sender_infos(&mut self, now: Time, key: SessionKey, scratch: &mut Scratch) {
        let wall = self.config.wall_clock.ntp(now);
        let mut i = 0;
        while let Some(&slot) = self.sessions.get(key).and_then(|s| s.slots.get(i)) {
            i += 1;
            let info = self
                .source_timestamp(now, wall, slot)
                .and_then(|timestamp| {
                    let slot = self.slots.get_mut(slot)?;
                    core::mem::take(&mut slot.report_owed)
                        .then(|| slot.sender_info(wall, timestamp))
                        .flatten()
                });
            scratch.sender_infos.extend(info);
        }
    }

    /// What the clock of a slot's source reads.
    fn source_timestamp(&self, now: Time, wall: NtpTime, slot: SlotKey) -> Option<u32> {
        let encoding = self.encodings.get(self.slots.get(slot)?.current?)?;
        let publisher: &PublisherClock = match self.tracks.get(encoding.track)?.origin {
            Origin::Session(session) => &self.sessions.get(session)?.reporting.clock,
            Origin::Relay(relay) => &self.relays.get(relay)?.clock,
        };
        encoding.timestamp_at(publisher, now, wall)
    }

    /// Has a session's feedback looked at when the next of it is due.
    pub(super) fn arm_session(&mut self, key: SessionKey) {
        let mut sources = core::mem::take(&mut self.scratch.sources);
        self.list_sources(key, &mut sources);
        let repairs = |source: &Source| {
            let encoding = self.encodings.get(source.encoding)?;
            Some(
                encoding
                    .nack
                    .next_timeout()
                    .min(encoding.keyframes.next_timeout()),
            )
        };
        let next = sources
            .iter()
            .filter_map(repairs)
            .min()
            .unwrap_or(Time::NEVER);
        self.scratch.sources = sources;
        let Some(session) = self.sessions.get(key).filter(|s| s.connected) else {
            return;
        };
        let reporting = &session.reporting;
        let next = next
            .min(reporting.next_report())
            .min(reporting.next_congestion_feedback());
        self.arm_session_at(next, key);
    }
}

/// Collects a session's RTCP in as few packets as it takes.
struct Outbox<'a, S> {
    sink: &'a mut S,
    to: SessionKey,
    buffer: [u8; PACKET_BYTES_MAX],
    len: usize,
    sent: u64,
    /// Our SSRC as a receiver.
    ssrc: Ssrc,
    cname: &'a str,
    reduced_size: bool,
}

impl<S: PacketSink> Outbox<'_, S> {
    /// Sender reports of the slots and report blocks for the sources, each report with the name
    /// of who reports (RFC 3550 §6.1).
    fn report(&mut self, now: Time, scratch: &Scratch, encodings: &mut Slab<Encoding>) {
        let mut blocks = [ReportBlock::default(); REPORT_BLOCKS_MAX];
        let mut count = 0;
        for source in scratch.sources.iter().take(REPORT_BLOCKS_MAX) {
            let encoding = encodings.get_mut(source.encoding);
            let block = encoding.and_then(|e| e.stats.report(now, source.ssrc));
            if let Some((place, block)) = blocks.get_mut(count).zip(block) {
                *place = block;
                count += 1;
            }
        }
        let mut blocks = blocks.get(..count).unwrap_or_default();
        let (ssrc, cname) = (self.ssrc, self.cname);
        for info in &scratch.sender_infos {
            let first_blocks = core::mem::take(&mut blocks);
            self.append(Begins::WithReport, |writer| {
                writer.sender_report(info, first_blocks)?;
                writer.cname(info.ssrc, cname)
            });
        }
        if !blocks.is_empty() {
            self.append(Begins::WithReport, |writer| {
                writer.receiver_report(ssrc, blocks)?;
                writer.cname(ssrc, cname)
            });
        }
    }

    /// Asks for a keyframe, if it is time to. True when it did.
    fn ask_for_keyframe(&mut self, now: Time, source: &Source, encoding: &mut Encoding) -> bool {
        let ssrc = self.ssrc;
        let Some(request) = encoding.keyframes.poll(now, source.pli, source.fir) else {
            return false;
        };
        match request {
            KeyframeRequest::Pli => encoding.tally.plis += 1,
            KeyframeRequest::Fir(_) => encoding.tally.firs += 1,
        }
        self.append(Begins::Anyhow, |writer| match request {
            KeyframeRequest::Pli => writer.pli(ssrc, source.ssrc),
            KeyframeRequest::Fir(sequence_number) => {
                let entry = FirEntry {
                    ssrc: source.ssrc,
                    sequence_number,
                };
                writer.fir(ssrc, &[entry])
            }
        });
        true
    }

    fn ask_for_repair(&mut self, media: Ssrc, mut missing: &[u16]) {
        let ssrc = self.ssrc;
        while !missing.is_empty() {
            let mut asked = 0;
            self.append(Begins::Anyhow, |writer| {
                asked = writer.nack(ssrc, media, missing.iter().copied())?;
                Ok(())
            });
            if asked == 0 {
                return;
            }
            missing = missing.get(asked..).unwrap_or_default();
        }
    }

    /// Transport-wide feedback or a bandwidth limit, if either is due.
    fn congestion(&mut self, now: Time, sources: &[Source], reporting: &mut Reporting) {
        // What is due has to go, or it stays due: packets whose stream ended, or is not known yet,
        // are fed back as those of no stream.
        let media = sources.first().map_or(0, |source| source.ssrc);
        let ssrc = self.ssrc;
        let mut more = true;
        while more {
            more = false;
            self.append(Begins::Anyhow, |writer| {
                more = reporting.twcc.write_due(now, ssrc, media, writer)?;
                Ok(())
            });
        }
        if let Some(limit_bps) = reporting.remb.poll(now) {
            let mut ssrcs = [0; REPORT_BLOCKS_MAX];
            for (place, source) in ssrcs.iter_mut().zip(sources) {
                *place = source.ssrc;
            }
            let count = sources.len().min(REPORT_BLOCKS_MAX);
            let ssrcs = ssrcs.get(..count).unwrap_or_default();
            self.append(Begins::Anyhow, |writer| writer.remb(ssrc, limit_bps, ssrcs));
        }
    }

    /// Appends members. What does not fit behind the others begins a packet of its own.
    fn append(
        &mut self,
        begins: Begins,
        mut write: impl FnMut(&mut RtcpWriter<'_>) -> Result<(), BufferFull>,
    ) {
        for _ in 0..2 {
            let room = self.buffer.get_mut(self.len..).unwrap_or_default();
            let mut writer = RtcpWriter::new(room);
            let written = if self.len == 0 && begins == Begins::Anyhow && !self.reduced_size {
                writer
                    .receiver_report(self.ssrc, &[])
                    .and_then(|()| writer.cname(self.ssrc, self.cname))
            } else {
                Ok(())
            };
            let prefix_len = writer.len();
            if written.and_then(|()| write(&mut writer)).is_ok() {
                // A prefix for nothing is nothing.
                if writer.len() > prefix_len {
                    self.len += writer.len();
                }
                return;
            }
            self.send();
        }
    }

    fn send(&mut self) {
        let packet = self.buffer.get(..self.len).unwrap_or_default();
        if !packet.is_empty() {
            self.sink.rtcp(self.to, packet);
            self.sent += 1;
        }
        self.len = 0;
    }
}

/// Whether members can stand at the beginning of a compound packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begins {
    /// They are a report and a name.
    WithReport,
    /// They need an (empty) report before them, unless reduced-size RTCP was negotiated
    /// (RFC 5506).
    Anyhow,
}
