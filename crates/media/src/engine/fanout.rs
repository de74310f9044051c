//! From an encoding to the slots it feeds: the innermost loop of the product.
//!
//! Per packet and slot: one step into the slot's table, new numbers, one push into the session's
//! queue. The payload is not touched.

use crosspoint_wire::time::Time;

use super::Engine;
use crate::config::SessionKey;
use crate::egress::{Lane, Outgoing};
use crate::encoding::EncodingKey;
use crate::slot::{Admitted, CATCH_UP_MAX, Forward, SlotKey};

impl Engine {
    /// Offers an admitted packet to every slot that its encoding feeds or is to feed.
    pub(super) fn fan_out(
        &mut self,
        now: Time,
        from: EncodingKey,
        lane: Lane,
        admitted: &Admitted<'_>,
    ) {
        let Some(encoding) = self.encodings.get(from) else {
            return;
        };
        let mut stuck = false;
        for &key in &encoding.feeds {
            let Some(slot) = self.slots.get_mut(key) else {
                continue;
            };
            let forward = slot.forward(now, key, from, admitted);
            stuck |= slot.take_stuck();
            if slot.take_relayered() {
                self.scratch.relayered.push(key);
            }
            let outgoing = match forward {
                Forward::Skip => {
                    self.counters.slot_skipped += 1;
                    continue;
                }
                Forward::Send(outgoing) => outgoing,
                Forward::Switch(outgoing, left) => {
                    self.counters.switches += 1;
                    self.scratch.switched.push((key, left));
                    outgoing
                }
            };
            let session = slot.session;
            let Some(egress) = self.sessions.egress_mut(session) else {
                continue;
            };
            if !egress.push(lane, outgoing) {
                self.counters.egress_overflow += 1;
            }
            if !core::mem::replace(&mut egress.listed, true) {
                self.to_flush.push(session);
            }
        }
        if stuck {
            self.want_keyframe(from);
        }
        if !self.scratch.switched.is_empty() {
            self.follow_switches(now, from, lane, admitted.ext_seq);
        }
        while let Some(key) = self.scratch.relayered.pop() {
            self.note_shown(key);
        }
    }

    /// Completes the switches that a packet of `from`, numbered `first`, brought about.
    #[cold]
    fn follow_switches(&mut self, now: Time, from: EncodingKey, lane: Lane, first: u64) {
        while let Some((key, left)) = self.scratch.switched.pop() {
            if let Some(left) = left {
                self.leave_encoding(key, left);
            }
            self.catch_up(now, key, from, lane, first);
            self.note_shown(key);
        }
    }

    /// Forwards what came before the packet at which a slot switched but belongs behind it: the
    /// first packet of a keyframe is sometimes not the first to arrive.
    fn catch_up(&mut self, now: Time, key: SlotKey, from: EncodingKey, lane: Lane, first: u64) {
        let newest = self.encodings.get(from).and_then(|e| e.cache.newest());
        let newest = newest.unwrap_or(first).min(first + CATCH_UP_MAX);
        for ext_seq in first + 1..=newest {
            let Some(encoding) = self.encodings.get(from) else {
                return;
            };
            let Some((packet, payload)) = encoding.cache.get(now, ext_seq) else {
                continue;
            };
            let track = self.tracks.get(encoding.track);
            let Some(format) = track.and_then(|t| t.payload(packet.payload_type)) else {
                continue;
            };
            let admitted = Admitted {
                ext_seq,
                packet,
                payload_len: payload.len(),
                format,
                // One after the other.
                behind: 0,
            };
            let Some(slot) = self.slots.get_mut(key) else {
                return;
            };
            let session = slot.session;
            if let Forward::Send(outgoing) = slot.forward(now, key, from, &admitted) {
                self.enqueue(session, lane, outgoing);
            }
        }
    }

    /// Queues a packet for one session.
    pub(super) fn enqueue(&mut self, session: SessionKey, lane: Lane, outgoing: Outgoing) {
        let Some(egress) = self.sessions.egress_mut(session) else {
            return;
        };
        if !egress.push(lane, outgoing) {
            self.counters.egress_overflow += 1;
        }
        self.list_for_flush(session);
    }

    /// Has a session looked at in the next flush.
    pub(super) fn list_for_flush(&mut self, session: SessionKey) {
        if let Some(egress) = self.sessions.egress_mut(session)
            && !core::mem::replace(&mut egress.listed, true)
        {
            self.to_flush.push(session);
        }
    }
}
