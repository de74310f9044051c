//! As much of a video decoder as is needed to know when it is stuck.

use core::time::Duration;
use std::collections::BTreeMap;

use crosspoint_wire::time::Time;

use crate::media::Stamp;

/// Without any picture yet, this long after the first packet a keyframe is asked for.
const FIRST_PICTURE_WAIT: Duration = Duration::from_millis(200);
/// Later, repair gets so much time first.
const STALL_WAIT: Duration = Duration::from_millis(600);
/// More packets than this never wait for one that is missing.
const PENDING_MAX: usize = 3000;

#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// Packets that are not part of decoded frames, by sequence number.
    pending: BTreeMap<u64, Stamp>,
    /// Stream and number of the frame decoded last, and its highest sequence number.
    last: Option<(u32, u32, u64)>,
    /// Since when something waits.
    waiting_since: Option<Time>,
}

impl Decoder {
    pub(super) fn on_packet(&mut self, now: Time, ext_seq: u64, stamp: Stamp) {
        if self.last.is_some_and(|(.., seq)| ext_seq <= seq) {
            return;
        }
        self.pending.insert(ext_seq, stamp);
        if self.pending.len() > PENDING_MAX {
            self.pending.pop_first();
        }
        self.waiting_since.get_or_insert(now);
        while let Some(end) = self.next_frame() {
            self.pending = self.pending.split_off(&(end + 1));
            self.waiting_since = (!self.pending.is_empty()).then_some(now);
        }
    }

    /// When, without any further packet, a keyframe is to be asked for.
    pub(super) fn stuck_at(&self) -> Time {
        let wait = if self.last.is_some() {
            STALL_WAIT
        } else {
            FIRST_PICTURE_WAIT
        };
        self.waiting_since.map_or(Time::NEVER, |since| since + wait)
    }

    /// Decodes the first frame that can be, and says where it ends.
    fn next_frame(&mut self) -> Option<u64> {
        let mut parts = 0;
        let mut previous: Option<(u32, u32)> = None;
        for (&seq, stamp) in &self.pending {
            let frame = (stamp.stream, stamp.frame);
            parts = if previous == Some(frame) {
                parts + 1
            } else {
                1
            };
            previous = Some(frame);
            let builds_on = self
                .last
                .is_some_and(|(stream, number, _)| (stream, number + 1) == frame);
            if parts == stamp.parts && (stamp.is_keyframe() || builds_on) {
                self.last = Some((stamp.stream, stamp.frame, seq));
                return Some(seq);
            }
        }
        None
    }
}
