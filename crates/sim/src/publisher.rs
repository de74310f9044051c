//! A peer's sending half: synthetic tracks, their repair, keyframes on request, sender reports.

mod stream;

use core::time::Duration;

use crosspoint_wire::codec::MediaKind;
use crosspoint_wire::ext::ExtensionIds;
use crosspoint_wire::ids::{Mid, Rid, Ssrc};
use crosspoint_wire::rtcp::{Compound, ReportBlock, RtcpPacket, RtcpWriter, SenderInfo};
use crosspoint_wire::time::{NtpTime, Time};

pub use self::stream::StartNumbers;
use self::stream::{Stream, StreamNames};
use crate::media::Stamp;
use crate::peer::{Datagram, Outbox};
use crate::rng::Rng;

/// Distance between sender reports; browsers' are random around this.
const SENDER_REPORT_INTERVAL: Duration = Duration::from_millis(1000);
/// A packet of Opus, and how often discontinuous transmission sends one in silence.
const AUDIO_INTERVAL: Duration = Duration::from_millis(20);
const DTX_INTERVAL: Duration = Duration::from_millis(400);

/// One track to be sent.
#[derive(Clone, Debug)]
pub struct TrackSpec {
    /// Its m-line.
    pub mid: Mid,
    /// What it sends.
    pub source: Source,
    /// How the server knows its streams.
    pub names: Names,
    /// What its streams' numbers begin with.
    pub start: StartNumbers,
}

/// What a track sends.
#[derive(Clone, Debug)]
pub enum Source {
    /// VP8.
    Video {
        /// Frames per second.
        frame_rate: u64,
        /// Bit/s of each encoding, lowest first.
        bitrates: Vec<u64>,
    },
    /// Opus; the function says how loud it is (RFC 6464: 0 to 127), `None`: silence, which is
    /// transmitted discontinuously.
    Audio(fn(Time) -> Option<u8>),
}

/// How the server can know a track's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// By SSRCs in the session description.
    Declared,
    /// By MID and, with several encodings, RID in header extensions.
    Extensions,
}

/// The publisher's clocks against true time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// By how much the wall clock is off.
    pub wall_offset_us: i64,
    /// How fast wall and media clocks run too fast.
    pub drift_ppm: i64,
}

impl Clock {
    fn micros(self, now: Time) -> u64 {
        let us = now.as_micros();
        us.saturating_add_signed(us as i64 * self.drift_ppm / 1_000_000)
    }

    /// What its wall clock says; true time began in the year 2020.
    fn ntp(self, now: Time) -> NtpTime {
        let unix = 1_577_836_800_000_000_u64.saturating_add(self.micros(now));
        NtpTime::from_unix_micros(unix.saturating_add_signed(self.wall_offset_us))
    }

    fn ticks(self, now: Time, rate_hz: u32) -> u32 {
        (u128::from(self.micros(now)) * u128::from(rate_hz) / 1_000_000) as u32
    }
}

/// See the module documentation.
#[derive(Debug)]
pub struct Publisher {
    clock: Clock,
    tracks: Vec<Track>,
    next_report: Time,
    transport_seq: u16,
    extensions: ExtensionIds,
    rng: Rng,
    next_stream: u32,
    /// Keyframes that were asked for: stream number and time of each PLI or FIR.
    pub keyframe_requests: Vec<(u32, Time)>,
    /// Transport-wide feedback messages received.
    pub transport_feedback: u64,
    /// REMB messages received, newest limit last.
    pub remb_bps: Vec<u64>,
    /// Sequence numbers that were asked for.
    pub nacked: u64,
    /// Report blocks received, with when and the round trip that they show.
    pub reports: Vec<(ReportBlock, Time, Option<Duration>)>,
    /// All packets sent for the first time, with when.
    pub log: Vec<(Stamp, Time)>,
}

#[derive(Debug)]
struct Track {
    spec: TrackSpec,
    streams: Vec<Stream>,
    next_frame: Time,
    paused: bool,
    /// Sound: a packet of speech was sent last.
    speaking: bool,
    silent_until: Time,
}

impl Publisher {
    /// A publisher whose stream numbers begin with `first_stream` and who captures from `starts`
    /// on.
    #[must_use]
    pub fn new(
        specs: &[TrackSpec],
        clock: Clock,
        starts: Time,
        first_stream: u32,
        extensions: ExtensionIds,
        mut rng: Rng,
    ) -> Self {
        let mut next_stream = first_stream;
        let tracks = specs
            .iter()
            .map(|spec| {
                let streams = (0..spec.source.encodings())
                    .map(|index| {
                        next_stream += 1;
                        Stream::new(
                            next_stream - 1,
                            stream_names(spec, index, &mut rng),
                            spec.start,
                        )
                    })
                    .collect();
                Track {
                    spec: spec.clone(),
                    streams,
                    // Cameras and microphones do not tick together.
                    next_frame: starts + Duration::from_micros(rng.below(20_000)),
                    paused: false,
                    speaking: false,
                    silent_until: Time::ZERO,
                }
            })
            .collect();
        Self {
            clock,
            tracks,
            next_report: starts + SENDER_REPORT_INTERVAL / 4,
            transport_seq: rng.next_u64() as u16,
            extensions,
            rng,
            next_stream,
            keyframe_requests: Vec::new(),
            transport_feedback: 0,
            remb_bps: Vec::new(),
            nacked: 0,
            reports: Vec::new(),
            log: Vec::new(),
        }
    }

    /// SSRC, and SSRC of its repairs, of each stream of a track, as a session description
    /// declares them.
    #[must_use]
    pub fn ssrcs(&self, mid: Mid) -> Vec<(Ssrc, Option<Ssrc>)> {
        self.streams(mid)
            .map(|s| (s.names.ssrc, s.names.rtx_ssrc))
            .collect()
    }

    /// Numbers of a track's streams, lowest encoding first.
    #[must_use]
    pub fn stream_numbers(&self, mid: Mid) -> Vec<u32> {
        self.streams(mid).map(|s| s.number).collect()
    }

    /// Stops or resumes sending a track.
    pub fn pause(&mut self, mid: Mid, paused: bool) {
        for track in self.tracks.iter_mut().filter(|t| t.spec.mid == mid) {
            track.paused = paused;
        }
    }

    /// Stops or resumes sending one encoding of a track.
    pub fn pause_encoding(&mut self, mid: Mid, index: usize, paused: bool) {
        let track = self.tracks.iter_mut().find(|t| t.spec.mid == mid);
        if let Some(stream) = track.and_then(|t| t.streams.get_mut(index)) {
            stream.paused = paused;
        }
    }

    /// The sender of a track begins anew: other SSRCs, numbers and timestamps.
    pub fn restart(&mut self, mid: Mid) {
        for track in self.tracks.iter_mut().filter(|t| t.spec.mid == mid) {
            for (index, stream) in track.streams.iter_mut().enumerate() {
                let names = stream_names(&track.spec, index, &mut self.rng);
                let start = StartNumbers::random(&mut self.rng);
                *stream = Stream::new(self.next_stream, names, start);
                self.next_stream += 1;
            }
        }
    }

    /// What would have been captured until now is not.
    pub fn skip_until(&mut self, now: Time) {
        for track in &mut self.tracks {
            track.next_frame = track.next_frame.max(now);
        }
        self.next_report = self.next_report.max(now);
    }

    /// When [`poll`](Self::poll) next has something to do.
    #[must_use]
    pub fn next_timeout(&self) -> Time {
        let frames = self.tracks.iter().map(|t| t.next_frame);
        frames
            .chain([self.next_report])
            .min()
            .unwrap_or(Time::NEVER)
    }

    /// Captures and sends what is due.
    pub fn poll(&mut self, now: Time, out: &mut Outbox) {
        for index in 0..self.tracks.len() {
            while self.tracks[index].next_frame <= now {
                self.capture(index, now, out);
            }
        }
        if self.next_report <= now {
            self.next_report = now + SENDER_REPORT_INTERVAL;
            self.send_reports(now, out);
        }
    }

    /// Takes the server's feedback.
    pub fn on_rtcp(&mut self, now: Time, packet: &[u8], out: &mut Outbox) {
        for member in Compound::new(packet) {
            match member.expect("the server sends well-formed RTCP") {
                RtcpPacket::Nack { media, lost, .. } => {
                    for seq in lost.sequence_numbers() {
                        self.nacked += 1;
                        self.repair(now, media, seq, out);
                    }
                }
                RtcpPacket::Pli { media, .. } => self.request_keyframe(now, media),
                RtcpPacket::Fir { entries, .. } => {
                    for entry in entries.iter() {
                        self.request_keyframe(now, entry.ssrc);
                    }
                }
                RtcpPacket::SenderReport { reports, .. }
                | RtcpPacket::ReceiverReport { reports, .. } => {
                    for block in reports.iter() {
                        let rtt = self.round_trip(now, &block);
                        self.reports.push((block, now, rtt));
                    }
                }
                RtcpPacket::TransportCc(_) => self.transport_feedback += 1,
                RtcpPacket::Remb { bitrate_bps, .. } => self.remb_bps.push(bitrate_bps),
                _ => {}
            }
        }
    }

    fn capture(&mut self, index: usize, now: Time, out: &mut Outbox) {
        let track = &mut self.tracks[index];
        match track.spec.source {
            Source::Video {
                frame_rate,
                ref bitrates,
            } => {
                track.next_frame += Duration::from_micros(1_000_000 / frame_rate);
                let timestamp = self.clock.ticks(now, 90_000);
                let running = track
                    .streams
                    .iter_mut()
                    .zip(bitrates)
                    .filter(|(s, _)| !s.paused);
                for (stream, &bitrate) in running {
                    if track.paused {
                        continue;
                    }
                    let bytes = (bitrate / 8 / frame_rate) as usize;
                    for packet in stream.encode_frame(now, timestamp, bytes) {
                        self.log.push((packet.stamp, now));
                        self.transport_seq = self.transport_seq.wrapping_add(1);
                        let bytes = stream.write(&packet, self.transport_seq, &self.extensions);
                        out.push(Datagram::Rtp(bytes));
                    }
                }
            }
            Source::Audio(level) => {
                track.next_frame += AUDIO_INTERVAL;
                let level = level(now);
                if track.paused || (level.is_none() && now < track.silent_until) {
                    track.speaking &= level.is_some();
                    return;
                }
                let begins = level.is_some() && !track.speaking;
                track.speaking = level.is_some();
                track.silent_until = now + DTX_INTERVAL;
                let timestamp = self.clock.ticks(now, 48_000);
                for stream in &mut track.streams {
                    let packet = stream.encode_sound(now, timestamp, level, begins);
                    self.log.push((packet.stamp, now));
                    self.transport_seq = self.transport_seq.wrapping_add(1);
                    let bytes = stream.write(&packet, self.transport_seq, &self.extensions);
                    out.push(Datagram::Rtp(bytes));
                }
            }
        }
    }

    fn repair(&mut self, now: Time, media: Ssrc, seq: u16, out: &mut Outbox) {
        let mut streams = self.tracks.iter_mut().flat_map(|t| &mut t.streams);
        let Some(stream) = streams.find(|s| s.names.ssrc == media) else {
            return;
        };
        let transport_seq = self.transport_seq.wrapping_add(1);
        if let Some(bytes) = stream.write_repair(now, seq, transport_seq, &self.extensions) {
            self.transport_seq = transport_seq;
            out.push(Datagram::Rtp(bytes));
        }
    }

    /// RFC 3550 §6.4.1, figure 2.
    fn round_trip(&self, now: Time, block: &ReportBlock) -> Option<Duration> {
        let since = self
            .clock
            .ntp(now)
            .middle()
            .wrapping_sub(block.last_sender_report);
        let ticks = since.checked_sub(block.delay_since_last)?;
        let micros = u64::from(ticks) * 1_000_000 / 65_536;
        (block.last_sender_report != 0).then(|| Duration::from_micros(micros))
    }

    fn request_keyframe(&mut self, now: Time, media: Ssrc) {
        let mut streams = self.tracks.iter_mut().flat_map(|t| &mut t.streams);
        if let Some(stream) = streams.find(|s| s.names.ssrc == media) {
            stream.keyframe_wanted = true;
            self.keyframe_requests.push((stream.number, now));
        }
    }

    fn send_reports(&mut self, now: Time, out: &mut Outbox) {
        for track in &self.tracks {
            let rate_hz = match track.spec.source.kind() {
                MediaKind::Audio => 48_000,
                MediaKind::Video => 90_000,
            };
            for stream in track.streams.iter().filter(|s| s.packets_sent > 0) {
                let mut buffer = [0; 128];
                let mut writer = RtcpWriter::new(&mut buffer);
                let info = SenderInfo {
                    ssrc: stream.names.ssrc,
                    ntp: self.clock.ntp(now),
                    rtp_timestamp: stream.timestamp(self.clock.ticks(now, rate_hz)),
                    packets: stream.packets_sent,
                    octets: stream.octets_sent,
                };
                writer.sender_report(&info, &[]).expect("fits");
                writer.cname(stream.names.ssrc, "sim").expect("fits");
                out.push(Datagram::Rtcp(writer.as_bytes().to_vec()));
            }
        }
    }

    fn streams(&self, mid: Mid) -> impl Iterator<Item = &Stream> {
        let tracks = self.tracks.iter().filter(move |t| t.spec.mid == mid);
        tracks.flat_map(|t| &t.streams)
    }
}

impl Source {
    /// Sound or pictures.
    #[must_use]
    pub const fn kind(&self) -> MediaKind {
        match self {
            Self::Video { .. } => MediaKind::Video,
            Self::Audio(_) => MediaKind::Audio,
        }
    }

    /// How many streams it takes.
    #[must_use]
    pub fn encodings(&self) -> usize {
        match self {
            Self::Video { bitrates, .. } => bitrates.len(),
            Self::Audio(_) => 1,
        }
    }
}

impl TrackSpec {
    /// The RID of an encoding, if the track has several and names them so: quarter, half, full.
    #[must_use]
    pub fn rid(&self, index: usize) -> Option<Rid> {
        let several = self.names == Names::Extensions && self.source.encodings() > 1;
        let name = ["q", "h", "f"].get(index).filter(|_| several)?;
        Rid::new(name.as_bytes())
    }
}

fn stream_names(spec: &TrackSpec, index: usize, rng: &mut Rng) -> StreamNames {
    let video = spec.source.kind() == MediaKind::Video;
    StreamNames {
        ssrc: rng.next_u64() as u32,
        rtx_ssrc: video.then(|| rng.next_u64() as u32),
        mid: (spec.names == Names::Extensions).then_some(spec.mid),
        rid: spec.rid(index),
        video,
    }
}
