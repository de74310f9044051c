//! Everything that came on one slot, and what follows from it.

use core::time::Duration;
use std::collections::{BTreeMap, HashMap};

use crosspoint_wire::time::Time;

use crate::media::{PictureNumbers, Stamp};

/// A packet as it came, repairs unwrapped.
#[derive(Clone, Copy, Debug)]
pub struct Arrived {
    /// Extended by the receiver.
    pub ext_seq: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP marker.
    pub marker: bool,
    /// What the payload says about itself.
    pub stamp: Stamp,
    /// The VP8 descriptor's numbers.
    pub numbers: Option<PictureNumbers>,
    /// When it came.
    pub at: Time,
    /// It came on the repair stream.
    pub by_repair: bool,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub struct SlotLog {
    arrived: Vec<Arrived>,
    /// What came along with later packets: it has a time, but no number.
    along: Vec<(Stamp, u32, Time)>,
    span: Option<(u64, u64)>,
}

/// A frame that could be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The stream that it came from.
    pub stream: u32,
    /// Its number there.
    pub frame: u32,
    /// When it was captured.
    pub captured: Time,
    /// When its last packet came.
    pub complete: Time,
}

impl SlotLog {
    pub(super) fn push(&mut self, arrived: Arrived) {
        let seq = arrived.ext_seq;
        let (first, highest) = self.span.unwrap_or((seq, seq));
        self.span = Some((first.min(seq), highest.max(seq)));
        self.arrived.push(arrived);
    }

    pub(super) fn push_along(&mut self, stamp: Stamp, timestamp: u32, at: Time) {
        self.along.push((stamp, timestamp, at));
    }

    /// Nothing came.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.arrived.is_empty()
    }

    /// In the order in which it came.
    #[must_use]
    pub fn arrived(&self) -> &[Arrived] {
        &self.arrived
    }

    /// First and highest sequence number.
    #[must_use]
    pub const fn span(&self) -> Option<(u64, u64)> {
        self.span
    }

    /// By sequence number, first copies only.
    #[must_use]
    pub fn in_sequence(&self) -> Vec<Arrived> {
        let mut firsts = BTreeMap::new();
        for arrived in &self.arrived {
            firsts.entry(arrived.ext_seq).or_insert(*arrived);
        }
        firsts.into_values().collect()
    }

    /// When each packet of a source stream came first, by itself or along with a later one, by its
    /// number there.
    #[must_use]
    pub fn arrivals_of(&self, stream: u32) -> HashMap<u32, Time> {
        let mut arrivals = HashMap::new();
        let by_itself = self.arrived.iter().map(|a| (a.stamp, a.at));
        let along = self.along.iter().map(|&(stamp, _, at)| (stamp, at));
        for (stamp, at) in by_itself.chain(along).filter(|(s, _)| s.stream == stream) {
            let first = arrivals.entry(stamp.packet).or_insert(at);
            *first = at.min(*first);
        }
        arrivals
    }

    /// Frames that can be shown `playout` after their capture: complete by then, and all that
    /// they build on came at all. What comes too late to be shown is still decoded.
    #[must_use]
    pub fn shown(&self, playout: Duration) -> Vec<Shown> {
        let mut decoded = self.decoded();
        decoded.retain(|f| f.complete <= f.captured + playout);
        decoded
    }

    fn decoded(&self) -> Vec<Shown> {
        let mut decoded: Vec<Shown> = Vec::new();
        let mut parts: Vec<Arrived> = Vec::new();
        for packet in self.in_sequence() {
            let stamp = packet.stamp;
            let same = |p: &Arrived| (p.stamp.stream, p.stamp.frame) == (stamp.stream, stamp.frame);
            if !parts.first().is_some_and(same) {
                parts.clear();
            }
            parts.push(packet);
            let builds_on = decoded
                .last()
                .is_some_and(|f| (f.stream, f.frame + 1) == (stamp.stream, stamp.frame));
            if parts.len() == usize::from(stamp.parts) && (stamp.is_keyframe() || builds_on) {
                decoded.push(Shown {
                    stream: stamp.stream,
                    frame: stamp.frame,
                    captured: stamp.captured,
                    complete: parts.iter().map(|p| p.at).max().unwrap_or_default(),
                });
            }
        }
        decoded
    }

    /// Checks what must hold for every slot on every path: numbers follow each other as one
    /// sender's would.
    ///
    /// # Panics
    /// When they do not; names the packets.
    pub fn assert_continuous(&self) {
        let mut by_number: HashMap<u64, Stamp> = HashMap::new();
        for a in &self.arrived {
            let first = by_number.entry(a.ext_seq).or_insert(a.stamp);
            assert_eq!(*first, a.stamp, "one number for two packets: {a:?}");
        }
        let by_source = |stamp: &Stamp| (stamp.stream, stamp.packet);
        let mut times: HashMap<_, u32> = HashMap::new();
        for a in &self.arrived {
            times.insert(by_source(&a.stamp), a.timestamp);
        }
        for (stamp, timestamp, _) in &self.along {
            let own = times.get(&by_source(stamp)).unwrap_or(timestamp);
            assert_eq!(own, timestamp, "two times for one packet: {stamp:?}");
        }
        for pair in self.in_sequence().windows(2) {
            let [a, b] = pair else { continue };
            let advance = b.timestamp.wrapping_sub(a.timestamp).cast_signed();
            assert!(advance >= 0, "timestamps run backwards: {a:?} {b:?}");
            let same_frame = (a.stamp.stream, a.stamp.frame) == (b.stamp.stream, b.stamp.frame);
            assert_eq!(
                advance == 0,
                same_frame,
                "timestamp of another frame: {a:?} {b:?}"
            );
            let (Some(a_numbers), Some(b_numbers)) = (a.numbers, b.numbers) else {
                continue;
            };
            if b.ext_seq != a.ext_seq + 1 {
                continue;
            }
            let step = b_numbers.picture_id.wrapping_sub(a_numbers.picture_id) & 0x7fff;
            let tl0_step = b_numbers.tl0_pic_idx.wrapping_sub(a_numbers.tl0_pic_idx);
            let expected = u16::from(!same_frame);
            assert_eq!(step, expected, "picture id: {a:?} {b:?}");
            assert_eq!(u16::from(tl0_step), expected, "TL0PICIDX: {a:?} {b:?}");
            assert!(
                a.stamp.stream == b.stamp.stream || (b.stamp.part == 0 && b.stamp.is_keyframe()),
                "another stream does not begin with a keyframe: {a:?} {b:?}"
            );
        }
    }

    /// Checks that no frame came without the keyframe that it builds on. For runs in which
    /// nothing stays lost.
    ///
    /// # Panics
    /// When one did.
    pub fn assert_no_frame_without_its_keyframe(&self) {
        let mut keyframe = None;
        for a in self.in_sequence() {
            if a.stamp.is_keyframe() {
                keyframe = Some((a.stamp.stream, a.stamp.keyframe));
            }
            let own = Some((a.stamp.stream, a.stamp.keyframe));
            assert_eq!(keyframe, own, "keyframe missing for {a:?}");
        }
    }
}

/// The longest time between two frames shown one after the other, by capture.
#[must_use]
pub fn longest_freeze(shown: &[Shown]) -> Duration {
    let gaps = shown.windows(2).map(|w| w[1].captured.since(w[0].captured));
    gaps.max().unwrap_or_default()
}
