//! One track from its packets to the frames of its files, and to the gaps between them.
//!
//! Sound is without holes: where nothing came (loss, mute, silence that was not sent) frames of silence
//! take the time. A picture stays until the next one comes; after a loss that is the next keyframe, which
//! is asked for. Of several encodings the best that flows is taken, each switch at a keyframe.

use crosspoint_media::config::PayloadConfig;
use crosspoint_media::tap::TapPacket;
use crosspoint_wire::codec::{Codec, MediaKind};

use crate::Micros;
use crate::depacketize::{
    Depacketizer, Fragment, Frame, OPUS_SILENCE, SILENCE_US, audio_duration_us,
};
use crate::manifest::GapReason;
use crate::matroska::TrackEntry;
use crate::reorder::{Ordered, Reorder};
use crate::timeline::Timeline;

/// Encodings of one track that are looked at.
const ENCODINGS_MAX: u8 = 8;

/// An encoding without packets for so long has stopped.
const STOPPED_US: Micros = 1_500_000;

/// Pictures further apart than this have a gap between them.
const PAUSE_US: Micros = 1_000_000;

/// Sound further apart than this has one: less than the shortest frame that fills it.
const HOLE_US: Micros = 18_000;

/// Longest hole that is filled with silence; what is longer stays a hole.
const FILL_MAX_US: Micros = 24 * 3600 * 1_000_000;

/// A loss so soon after the tap overflowed is the recorder's own.
const OVERFLOW_US: Micros = 3_000_000;

/// Pauses between requests for a keyframe: the first, and the longest.
const ASK_US: Micros = 500_000;
const ASK_MAX_US: Micros = 8_000_000;

/// What comes out of a tape, in the order of time.
#[derive(Debug)]
pub(crate) enum Output<'a> {
    /// Frames from here on are of another kind: another file.
    Begin(TrackEntry, Codec),
    /// A frame that is to be shown or heard at `at`.
    Frame {
        at: Micros,
        keyframe: bool,
        data: &'a [u8],
    },
    /// Nothing of the publisher's between `from` and `to`.
    Gap {
        from: Micros,
        to: Micros,
        reason: GapReason,
        /// Packets that were lost in it.
        packets: u64,
    },
}

/// Totals of a track.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TapeStats {
    pub(crate) packets: u64,
    pub(crate) lost: u64,
    pub(crate) late: u64,
    pub(crate) frames: u64,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Tape {
    streams: Vec<Option<Stream>>,
    head: Head,
    asked: Option<Micros>,
    pause: Micros,
}

/// One encoding.
#[derive(Debug)]
struct Stream {
    epoch: u8,
    /// Whether a packet came; the clock may be known before.
    begun: bool,
    last_arrival: Micros,
    reorder: Reorder,
    reader: Reader,
}

/// From ordered packets to frames.
#[derive(Debug)]
struct Reader {
    place: u8,
    codec: Codec,
    timeline: Timeline,
    depacketizer: Depacketizer,
    /// Packets lost since its last frame.
    lost: u64,
    /// Nothing but a keyframe is of use.
    broken: bool,
}

/// Where frames of all encodings meet.
#[derive(Debug)]
struct Head {
    kind: MediaKind,
    payloads: Vec<PayloadConfig>,
    declared: (u32, u32),
    muted: bool,
    /// Whether it was muted at any time since the last frame.
    was_muted: bool,
    /// The publisher's stream began anew since the last frame.
    restarted: bool,
    overflow: Option<Micros>,
    selected: Option<u8>,
    codec: Option<Codec>,
    /// Time of the last frame, and when it ends.
    last: Option<(Micros, Micros)>,
    stats: TapeStats,
}

impl Tape {
    /// A track with these formats; `declared`: pixels as its publisher said.
    pub(crate) fn new(
        kind: MediaKind,
        payloads: Vec<PayloadConfig>,
        declared: (u32, u32),
        muted: bool,
    ) -> Self {
        Self {
            streams: Vec::new(),
            head: Head {
                kind,
                payloads,
                declared,
                muted,
                was_muted: muted,
                restarted: false,
                overflow: None,
                selected: None,
                codec: None,
                last: None,
                stats: TapeStats::default(),
            },
            asked: None,
            pause: ASK_US,
        }
    }

    pub(crate) fn stats(&self) -> TapeStats {
        let late = self.streams.iter().flatten().map(|s| s.reorder.late).sum();
        TapeStats {
            late,
            ..self.head.stats
        }
    }

    pub(crate) fn set_payloads(&mut self, payloads: Vec<PayloadConfig>) {
        self.head.payloads = payloads;
    }

    pub(crate) fn set_muted(&mut self, muted: bool) {
        self.head.muted = muted;
        self.head.was_muted |= muted;
    }

    /// Messages of the tap were lost at `now`, perhaps this track's.
    pub(crate) fn note_overflow(&mut self, now: Micros) {
        self.head.overflow = Some(now);
    }

    /// Takes a packet that arrived at `arrival`.
    pub(crate) fn packet(
        &mut self,
        arrival: Micros,
        packet: &TapPacket<'_>,
        mut out: impl FnMut(Output<'_>),
    ) {
        let place = packet.encoding;
        if place >= ENCODINGS_MAX || self.is_needless(place, arrival) {
            return;
        }
        self.head.stats.packets += 1;
        let index = usize::from(place);
        if self.streams.len() <= index {
            self.streams.resize_with(index + 1, || None);
        }
        let Some(entry) = self.streams.get_mut(index) else {
            return;
        };
        if let Some(stream) = entry
            && !stream.begun
        {
            (stream.epoch, stream.begun) = (packet.epoch, true);
        }
        let other = entry.as_ref().is_some_and(|s| s.epoch != packet.epoch);
        if other
            && let Some(Stream {
                reorder, reader, ..
            }) = entry
        {
            reorder.finish(|p| reader.packet(p, &mut self.head, &mut out));
            self.head.restarted = true;
            *entry = None;
        }
        let codec = self.head.codec_of(packet.payload_type);
        let stream = match entry {
            Some(stream) => stream,
            None => {
                let Some(codec) = codec else {
                    return;
                };
                entry.insert(Stream::new(place, packet.epoch, codec))
            }
        };
        stream.last_arrival = arrival;
        let Stream {
            reorder, reader, ..
        } = stream;
        let ordered = Ordered {
            lost: 0,
            anew: false,
            arrival,
            timestamp: packet.timestamp,
            marker: packet.marker,
            payload_type: packet.payload_type,
            payload: packet.payload,
        };
        reorder.push(packet.sequence_number, ordered, |p| {
            reader.packet(p, &mut self.head, &mut out);
        });
    }

    /// An encoding's clock read `timestamp` at `wall`.
    pub(crate) fn clock(&mut self, place: u8, wall: Micros, timestamp: u32) {
        let index = usize::from(place);
        if let Some(Some(stream)) = self.streams.get_mut(index) {
            stream.reader.timeline.note_clock(wall, timestamp);
        } else if place < ENCODINGS_MAX
            && let Some(codec) = self.head.payloads.first().map(|p| p.codec)
        {
            // Before its first packet: formats of one kind have one clock rate, mostly.
            if self.streams.len() <= index {
                self.streams.resize_with(index + 1, || None);
            }
            let mut stream = Stream::new(place, 0, codec);
            stream.reader.timeline.note_clock(wall, timestamp);
            stream.begun = false;
            if let Some(entry) = self.streams.get_mut(index) {
                *entry = Some(stream);
            }
        }
    }

    /// Gives up what is missing for too long; to be called some times a second.
    pub(crate) fn tick(&mut self, now: Micros, mut out: impl FnMut(Output<'_>)) {
        for stream in self.streams.iter_mut().flatten() {
            let Stream {
                reorder, reader, ..
            } = stream;
            reorder.tick(now, |p| reader.packet(p, &mut self.head, &mut out));
        }
        if let Some(selected) = self.head.selected
            && !self.flows(selected, now)
            && self.streams.len() > 1
        {
            // Another may take over at its next keyframe.
            self.head.selected = None;
        }
    }

    /// Whether the publisher should be asked for a keyframe now.
    pub(crate) fn wants_keyframe(&mut self, now: Micros) -> bool {
        if self.head.kind == MediaKind::Audio || self.head.muted {
            return false;
        }
        let selected = self.head.selected;
        let needs = |stream: &Stream| {
            let flows = now - stream.last_arrival < STOPPED_US;
            let better = selected.is_none_or(|selected| stream.reader.place > selected);
            flows && (better || (selected == Some(stream.reader.place) && stream.reader.broken))
        };
        if !self.streams.iter().flatten().any(needs) {
            self.pause = ASK_US;
            return false;
        }
        if self.asked.is_some_and(|asked| now - asked < self.pause) {
            return false;
        }
        if self.asked.is_some_and(|asked| now - asked < 2 * self.pause) {
            self.pause = (self.pause * 2).min(ASK_MAX_US);
        }
        self.asked = Some(now);
        true
    }

    /// Hands out what waits, and the gap until `end`.
    pub(crate) fn finish(&mut self, end: Micros, mut out: impl FnMut(Output<'_>)) {
        for stream in self.streams.iter_mut().flatten() {
            let Stream {
                reorder, reader, ..
            } = stream;
            reorder.finish(|p| reader.packet(p, &mut self.head, &mut out));
        }
        self.head.finish(end, &mut out);
    }

    fn flows(&self, place: u8, now: Micros) -> bool {
        let stream = self.streams.get(usize::from(place));
        let stream = stream.and_then(Option::as_ref);
        stream.is_some_and(|stream| now - stream.last_arrival < STOPPED_US)
    }

    /// Whether a better encoding flows: then this one is not followed at all.
    fn is_needless(&mut self, place: u8, now: Micros) -> bool {
        let better = self
            .head
            .selected
            .filter(|&selected| selected > place)
            .is_some_and(|selected| self.flows(selected, now));
        if better && let Some(entry) = self.streams.get_mut(usize::from(place)) {
            *entry = None;
        }
        better
    }
}

impl Stream {
    fn new(place: u8, epoch: u8, codec: Codec) -> Self {
        Self {
            epoch,
            begun: true,
            last_arrival: 0,
            reorder: Reorder::default(),
            reader: Reader {
                place,
                codec,
                timeline: Timeline::new(codec.clock_rate_hz()),
                depacketizer: Depacketizer::new(codec),
                lost: 0,
                broken: true,
            },
        }
    }
}

impl Reader {
    fn packet(&mut self, packet: Ordered<'_>, head: &mut Head, out: &mut impl FnMut(Output<'_>)) {
        if packet.lost > 0 || packet.anew {
            self.lost += packet.lost;
            self.depacketizer.reset();
            self.broken = true;
            head.restarted |= packet.anew;
        }
        if packet.payload.is_empty() {
            return;
        }
        let Some(codec) = head.codec_of(packet.payload_type) else {
            return;
        };
        if codec != self.codec {
            self.codec = codec;
            self.depacketizer = Depacketizer::new(codec);
            self.broken = true;
        }
        self.timeline.set_rate(codec.clock_rate_hz());
        let steps = self.timeline.steps;
        let at = self.timeline.wall_of(packet.timestamp, packet.arrival);
        head.restarted |= steps != self.timeline.steps;
        let fragment = Fragment {
            timestamp: packet.timestamp,
            marker: packet.marker,
            payload: packet.payload,
        };
        self.depacketizer.push(fragment);
        let Some(frame) = self.depacketizer.frame() else {
            return;
        };
        if self.broken && !frame.keyframe {
            return;
        }
        let turn = match head.kind {
            MediaKind::Audio => Some(Turn::Same),
            MediaKind::Video => head.turn(self.place, frame.keyframe),
        };
        let Some(turn) = turn else {
            return;
        };
        if head.codec != Some(codec) {
            let Some(entry) = self.depacketizer.track_entry(frame.data, head.declared) else {
                return;
            };
            head.codec = Some(codec);
            out(Output::Begin(entry, codec));
        }
        self.broken = false;
        let lost = core::mem::take(&mut self.lost);
        if turn == Turn::Switched {
            head.selected = Some(self.place);
        }
        match head.kind {
            MediaKind::Audio => head.sound(at, codec, &frame, lost, out),
            MediaKind::Video => head.picture(at, &frame, lost, turn, out),
        }
    }
}

/// Which encoding a frame is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// That of the frame before.
    Same,
    /// Another one, from here on.
    Switched,
}

impl Head {
    fn codec_of(&self, payload_type: u8) -> Option<Codec> {
        let format = self
            .payloads
            .iter()
            .find(|p| p.payload_type == payload_type);
        format.map(|format| format.codec)
    }

    /// `None`: the frame is not to be shown. Encodings below the selected one do not come here
    /// while it flows.
    fn turn(&self, place: u8, keyframe: bool) -> Option<Turn> {
        match self.selected {
            Some(selected) if selected == place => Some(Turn::Same),
            _ if keyframe => Some(Turn::Switched),
            _ => None,
        }
    }

    fn picture(
        &mut self,
        at: Micros,
        frame: &Frame<'_>,
        lost: u64,
        turn: Turn,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let at = self.after_last(at);
        if let Some((last, _)) = self.last {
            let pause = at - last > PAUSE_US;
            let reason = match turn {
                _ if self.was_muted && (pause || lost > 0) => Some(GapReason::Mute),
                _ if lost > 0 => Some(self.loss(at)),
                Turn::Switched => Some(GapReason::LayerChange),
                Turn::Same if pause && self.restarted => Some(GapReason::Restart),
                Turn::Same if pause => Some(GapReason::Pause),
                Turn::Same => None,
            };
            self.gap(last, at, reason, lost, out);
        }
        self.last = Some((at, at));
        self.emit(at, frame.keyframe, frame.data, out);
    }

    fn sound(
        &mut self,
        at: Micros,
        codec: Codec,
        frame: &Frame<'_>,
        lost: u64,
        out: &mut impl FnMut(Output<'_>),
    ) {
        let at = self.after_last(at);
        if let Some((_, end)) = self.last {
            let hole = at - end >= HOLE_US;
            let reason = match hole {
                true if self.was_muted => Some(GapReason::Mute),
                _ if lost > 0 => Some(self.loss(at)),
                true if self.restarted => Some(GapReason::Restart),
                true => Some(GapReason::Dtx),
                false => None,
            };
            self.gap(end, at.max(end), reason, lost, out);
            if hole {
                self.fill(end, at, codec, out);
            }
        }
        let duration = audio_duration_us(codec, frame.data) as Micros;
        self.last = Some((at, at + duration));
        self.emit(at, true, frame.data, out);
    }

    /// Silence from `from` until there is no room for another frame before `to`.
    fn fill(&mut self, from: Micros, to: Micros, codec: Codec, out: &mut impl FnMut(Output<'_>)) {
        if codec != Codec::Opus || to - from > FILL_MAX_US {
            return;
        }
        let step = SILENCE_US as Micros;
        let mut at = from;
        // The last one may overlap what follows by less than a listener could tell.
        while at + HOLE_US <= to {
            out(Output::Frame {
                at,
                keyframe: true,
                data: &OPUS_SILENCE,
            });
            at += step;
        }
    }

    fn finish(&mut self, end: Micros, out: &mut impl FnMut(Output<'_>)) {
        let Some((last, last_end)) = self.last else {
            return;
        };
        let muted = self.was_muted || self.muted;
        match self.kind {
            MediaKind::Audio if end - last_end >= HOLE_US => {
                let reason = if muted {
                    GapReason::Mute
                } else {
                    GapReason::Dtx
                };
                self.gap(last_end, end, Some(reason), 0, out);
                if let Some(codec) = self.codec {
                    self.fill(last_end, end, codec, out);
                }
            }
            MediaKind::Video if end - last > PAUSE_US => {
                let reason = if muted {
                    GapReason::Mute
                } else {
                    GapReason::Pause
                };
                self.gap(last, end, Some(reason), 0, out);
            }
            _ => {}
        }
    }

    fn gap(
        &mut self,
        from: Micros,
        to: Micros,
        reason: Option<GapReason>,
        lost: u64,
        out: &mut impl FnMut(Output<'_>),
    ) {
        if let Some(reason) = reason {
            // What was muted was not lost.
            let packets = if reason == GapReason::Mute { 0 } else { lost };
            self.stats.lost += packets;
            out(Output::Gap {
                from,
                to,
                reason,
                packets,
            });
        }
        self.was_muted = self.muted;
        self.restarted = false;
    }

    fn loss(&self, now: Micros) -> GapReason {
        match self.overflow {
            Some(at) if now - at < OVERFLOW_US => GapReason::Overflow,
            _ => GapReason::Loss,
        }
    }

    fn after_last(&self, at: Micros) -> Micros {
        self.last.map_or(at, |(last, _)| at.max(last + 1))
    }

    fn emit(&mut self, at: Micros, keyframe: bool, data: &[u8], out: &mut impl FnMut(Output<'_>)) {
        self.stats.frames += 1;
        out(Output::Frame { at, keyframe, data });
    }
}

#[cfg(test)]
mod tests;
