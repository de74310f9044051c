//! Keeps one outgoing stream continuous while its source changes.
//!
//! A subscriber's slot is one RTP stream for the life of its session, fed by now this encoding,
//! now that. The rewriter gives each forwarded packet its outgoing sequence number, timestamp and
//! picture numbers so that the subscriber sees one sender that never restarts:
//!
//! - an outgoing sequence number belongs to one source packet for ever, and is at most
//!   [`GAP_MAX`] ahead of the one before it, so that any receiver can extend it;
//! - a packet missing from the source is missing here too, so that its repair can follow;
//!   a packet that is left out on purpose leaves no gap;
//! - the timestamp never goes backwards at a change of source: it advances by the time that
//!   passed, at least by one tick;
//! - VP8 and VP9 picture ids and TL0PICIDX and the frame numbers of dependency descriptors go on
//!   by one at a change of source.
//!
//! It decides nothing: who feeds the slot and when to switch is the slot's business.

mod renumber;

use core::time::Duration;

use crosspoint_wire::time::Time;

use self::renumber::Renumber;
use crate::facts::{FrameFacts, PictureFields, PicturePatch};

/// Largest step from one outgoing sequence number to the next. A larger gap in the source is
/// narrowed to this: far more than anybody repairs, so that receivers still take it for a loss
/// that needs a keyframe, and far less than the 2^15 at which they would lose count.
pub(crate) const GAP_MAX: u64 = 1024;

/// How far back late packets are told apart, in packets: at 500 packets/s two seconds, longer
/// than the cache keeps anything.
const PACKET_WINDOW_WORDS: usize = 16;
/// The same for pictures; 64 pictures are two seconds of video.
const PICTURE_WINDOW_WORDS: usize = 1;

/// Most that a timestamp advances at a change of source. Receivers take more than 2^31 for a
/// step backwards; a slot may have been empty for hours.
const ADVANCE_TICKS_MAX: u64 = 1 << 30;
/// A source whose timestamps step back by more than this has restarted its clock. Frames coded
/// out of order (B-frames) step back by less.
const CLOCK_STEP_BACK_MAX: Duration = Duration::from_secs(1);
/// A source whose timestamps outrun the time that passed by more than this has restarted its
/// clock. Generous: after a freeze of the network, timestamps come faster than time.
const CLOCK_STEP_AHEAD_MAX: Duration = Duration::from_secs(10);

/// Where a packet stands in its source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourcePacket<'a> {
    /// Extended sequence number within its encoding.
    pub(crate) ext_seq: u64,
    /// RTP timestamp.
    pub(crate) timestamp: u32,
    /// Its facts.
    pub(crate) facts: &'a FrameFacts,
}

/// The numbers under which a packet leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rewritten {
    /// 48-bit packet index; the sequence number is its low 16 bits.
    pub(crate) ext_seq: u64,
    /// RTP timestamp.
    pub(crate) timestamp: u32,
    /// To be written over the facts' picture fields.
    pub(crate) picture: PicturePatch,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Rewriter {
    source: Option<Source>,
    /// Number of the next packet, if it follows without a gap.
    next_seq: u64,
    /// Timestamp that was sent last, and when; `None` before the first packet.
    last_sent: Option<(u32, Time)>,
    first_timestamp: u32,
    last_picture: PicturePatch,
}

#[derive(Debug)]
struct Source {
    clock_rate_hz: u32,
    seq: Renumber<PACKET_WINDOW_WORDS>,
    /// Newest packet's timestamp, and when it came.
    newest: (u32, Time),
    /// Outgoing minus source timestamp.
    timestamp_offset: u32,
    pictures: Option<Pictures>,
    /// Outgoing minus source TL0PICIDX.
    tl0_offset: u8,
    /// Outgoing minus source frame number; `None` before the first.
    frame_offset: Option<u16>,
    /// Packets of this source got numbers; before that nothing has to be followed.
    flowing: bool,
}

/// Picture ids of one source: 7 or 15 bits wide, never both.
#[derive(Debug)]
struct Pictures {
    wide: bool,
    ids: Renumber<PICTURE_WINDOW_WORDS>,
}

impl Rewriter {
    /// A stream whose first packet will have index `first_seq` and timestamp `first_timestamp`.
    /// Both should be random (RFC 3550 §5.1), `first_seq` below 2^15, so that a receiver that
    /// misses the first packets does not misjudge the roll-over counter (RFC 3711 §3.3.1).
    pub(crate) fn new(first_seq: u16, first_timestamp: u32) -> Self {
        Self {
            source: None,
            next_seq: u64::from(first_seq),
            last_sent: None,
            first_timestamp,
            last_picture: PicturePatch::default(),
        }
    }

    /// Changes the source: `first` is the first packet wanted of it, with a clock of
    /// `clock_rate_hz`. Earlier packets of it will be refused, and so must be all packets of the
    /// source before; the rewriter knows sources only by this call.
    pub(crate) fn switch(&mut self, now: Time, clock_rate_hz: u32, first: SourcePacket<'_>) {
        let timestamp = match self.last_sent {
            None => self.first_timestamp,
            Some((last, at)) => {
                let ticks = to_ticks(now.since(at), clock_rate_hz).clamp(1, ADVANCE_TICKS_MAX);
                last.wrapping_add(ticks as u32)
            }
        };
        self.source = Some(Source {
            clock_rate_hz,
            seq: Renumber::new(first.ext_seq, self.next_seq),
            newest: (first.timestamp, now),
            timestamp_offset: timestamp.wrapping_sub(first.timestamp),
            pictures: None,
            tl0_offset: 0,
            frame_offset: None,
            flowing: false,
        });
    }

    /// Leaves the source: nothing is forwarded until the next [`switch`](Self::switch).
    pub(crate) fn stop(&mut self) {
        self.source = None;
    }

    /// Numbers for a packet of the current source. `None` for what must not be sent: packets
    /// before the switch, packets numbered or skipped before, and packets too late to tell.
    pub(crate) fn rewrite(&mut self, now: Time, packet: SourcePacket<'_>) -> Option<Rewritten> {
        let source = self.source.as_mut()?;
        if source.seq.is_ahead(packet.ext_seq) {
            source.seq.narrow_gap(packet.ext_seq, GAP_MAX);
            source.follow_clock(now, packet.timestamp);
        }
        let ext_seq = source.seq.take(packet.ext_seq)?;
        let picture = source.picture(packet.facts.picture, self.last_picture);
        let timestamp = packet.timestamp.wrapping_add(source.timestamp_offset);
        source.flowing = true;
        if ext_seq >= self.next_seq {
            self.next_seq = ext_seq + 1;
            self.last_sent = Some((timestamp, now));
            self.last_picture = picture;
        }
        Some(Rewritten {
            ext_seq,
            timestamp,
            picture,
        })
    }

    /// Leaves a packet of the current source out on purpose, so that no gap shows. Pictures are
    /// to be left out whole, all their packets.
    pub(crate) fn skip(&mut self, now: Time, packet: SourcePacket<'_>) {
        let Some(source) = self.source.as_mut() else {
            return;
        };
        if source.seq.is_ahead(packet.ext_seq) {
            source.seq.narrow_gap(packet.ext_seq, GAP_MAX);
            source.follow_clock(now, packet.timestamp);
        }
        source.seq.skip(packet.ext_seq);
        let fields = packet.facts.picture;
        if let (Some(pictures), Some(id)) = (source.pictures.as_mut(), fields.id)
            && !fields.named_by_distance
        {
            let id = pictures.unwrap(id.value);
            pictures.ids.skip(id);
        }
    }

    /// Outgoing minus source timestamp of the current source, for sender reports. `None` until
    /// its first packet left.
    pub(crate) fn timestamp_offset(&self) -> Option<u32> {
        self.source
            .as_ref()
            .filter(|s| s.flowing)
            .map(|s| s.timestamp_offset)
    }
}

impl Source {
    /// Keeps the outgoing clock running on when the source's clock restarts under the same SSRC.
    fn follow_clock(&mut self, now: Time, timestamp: u32) {
        let (newest, at) = self.newest;
        let step = i64::from(timestamp.wrapping_sub(newest).cast_signed());
        let elapsed = to_ticks(now.since(at), self.clock_rate_hz);
        let back_max = to_ticks(CLOCK_STEP_BACK_MAX, self.clock_rate_hz);
        let ahead_max = to_ticks(CLOCK_STEP_AHEAD_MAX, self.clock_rate_hz);
        let restarted = step < -(back_max as i64)
            || step > elapsed.saturating_add(ahead_max).min(i64::MAX as u64) as i64;
        if restarted {
            let expected = newest.wrapping_add(elapsed.clamp(1, ADVANCE_TICKS_MAX) as u32);
            let jump = timestamp.wrapping_sub(expected);
            self.timestamp_offset = self.timestamp_offset.wrapping_sub(jump);
        }
        self.newest = (timestamp, now);
    }

    /// Picture numbers of a packet; `last` is what was sent before.
    fn picture(&mut self, fields: PictureFields, last: PicturePatch) -> PicturePatch {
        let last = PicturePatch {
            frame: self.frame(fields.frame, last.frame),
            ..last
        };
        let Some(id) = fields.id else {
            return last;
        };
        if self.pictures.as_ref().is_none_or(|p| p.wide != id.wide) {
            // The first picture of this source, or one whose encoder changed its mind.
            self.pictures = Some(Pictures::new(id.wide, id.value, last.id.wrapping_add(1)));
            if let Some(tl0) = fields.tl0 {
                self.tl0_offset = last.tl0.wrapping_add(1).wrapping_sub(tl0.value);
            }
        }
        let id = self
            .pictures
            .as_mut()
            .map_or(last.id, |p| p.number(id.value));
        let tl0 = fields
            .tl0
            .map_or(last.tl0, |tl0| tl0.value.wrapping_add(self.tl0_offset));
        PicturePatch { id, tl0, ..last }
    }

    /// Frame number of a packet; `last` is what was sent before.
    fn frame(&mut self, number: Option<u16>, last: u16) -> u16 {
        let Some(number) = number else {
            return last;
        };
        let first_offset = last.wrapping_add(1).wrapping_sub(number);
        number.wrapping_add(*self.frame_offset.get_or_insert(first_offset))
    }
}

impl Pictures {
    fn new(wide: bool, first: u16, first_out: u16) -> Self {
        // Room below for packets of earlier pictures, which 64-bit numbers must not run out of.
        let base = 1 << 32;
        Self {
            wide,
            ids: Renumber::new(base + u64::from(first), base + u64::from(first_out)),
        }
    }

    fn unwrap(&self, id: u16) -> u64 {
        let modulus: u64 = if self.wide { 1 << 15 } else { 1 << 7 };
        let newest = self.ids.newest();
        let ahead = u64::from(id).wrapping_sub(newest) & (modulus - 1);
        if ahead < modulus / 2 {
            newest + ahead
        } else {
            (newest + ahead).saturating_sub(modulus)
        }
    }

    fn number(&mut self, id: u16) -> u16 {
        let id = self.unwrap(id);
        (self.ids.peek(id) & 0x7fff) as u16
    }
}

fn to_ticks(duration: Duration, clock_rate_hz: u32) -> u64 {
    let ticks = duration.as_micros() * u128::from(clock_rate_hz) / 1_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
