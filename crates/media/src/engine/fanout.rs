//! From an encoding to the slots it feeds: the innermost loop of the product.
//!
//! Packets of one encoding that come together go round together: slot by slot, so that a slot's numbers
//! and its session's queue are fetched from memory once for a frame and not for each of its packets. Per
//! packet and slot: new numbers, one push into the session's queue. The payload is not touched.

use crosspoint_wire::time::Time;

use super::Engine;
use crate::config::{PayloadConfig, SessionKey};
use crate::egress::{Lane, Outgoing};
use crate::encoding::EncodingKey;
use crate::slot::{Admitted, CATCH_UP_MAX, Forward, SlotKey};

/// Packets that go round together at the most: a picture of 4 Mbit/s.
const ROUND_MAX: usize = 16;

/// Packets of one encoding that were admitted one right after the other at one time, and that no slot was
/// offered yet. Whatever else happens waits until they went round.
#[derive(Debug, Default)]
pub(super) struct Round {
    of: Option<(EncodingKey, Lane, Time)>,
    packets: Vec<Waiting>,
}

/// A packet of a round: it is in its encoding's cache.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    ext_seq: u64,
    format: PayloadConfig,
    /// As in [`Admitted`].
    behind: u64,
}

impl Engine {
    /// Lets the round end if it is another encoding's, or of another time.
    #[inline]
    pub(super) fn begin_round(&mut self, now: Time, of: EncodingKey) {
        if self
            .round
            .of
            .is_some_and(|(key, _, at)| key != of || at != now)
        {
            self.end_round();
        }
    }

    /// Has an admitted packet, which is in the cache of `from`, go round with those before it; alone if
    /// slots may switch at it, for what came before it is then looked for.
    pub(super) fn join_round(
        &mut self,
        now: Time,
        from: EncodingKey,
        lane: Lane,
        admitted: &Admitted<'_>,
    ) {
        let alone = admitted.is_beginning();
        if alone {
            self.end_round();
        }
        self.round.of = Some((from, lane, now));
        self.round.packets.push(Waiting {
            ext_seq: admitted.ext_seq,
            format: *admitted.format,
            behind: admitted.behind,
        });
        if alone || self.round.packets.len() >= ROUND_MAX {
            self.end_round();
        }
    }

    /// Offers the packets that wait to every slot that their encoding feeds or is to feed.
    #[inline]
    pub(super) fn end_round(&mut self) {
        if let Some((from, lane, now)) = self.round.of.take() {
            let mut packets = core::mem::take(&mut self.round.packets);
            self.fan_out(now, from, lane, &packets);
            packets.clear();
            self.round.packets = packets;
        }
    }

    fn fan_out(&mut self, now: Time, from: EncodingKey, lane: Lane, packets: &[Waiting]) {
        let Some(encoding) = self.encodings.get(from) else {
            return;
        };
        let mut round = [None; ROUND_MAX];
        for (place, waiting) in round.iter_mut().zip(packets) {
            let cached = encoding.cache.get(now, waiting.ext_seq);
            *place = cached.map(|(packet, payload)| Admitted {
                ext_seq: waiting.ext_seq,
                packet,
                payload_len: payload.len(),
                format: &waiting.format,
                behind: waiting.behind,
            });
        }
        let round = round.get(..packets.len()).unwrap_or_default();
        let mut stuck = false;
        for &key in &encoding.feeds {
            let Some(slot) = self.slots.get_mut(key) else {
                continue;
            };
            let session = slot.session;
            let Some(egress) = self.sessions.egress_mut(session) else {
                continue;
            };
            let mut leaves = false;
            for admitted in round.iter().flatten() {
                let outgoing = match slot.forward(now, key, from, admitted) {
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
                leaves = true;
                if !egress.push(lane, outgoing) {
                    self.counters.egress_overflow += 1;
                }
            }
            stuck |= slot.take_stuck();
            if slot.take_relayered() {
                self.scratch.relayered.push(key);
            }
            if leaves && !core::mem::replace(&mut egress.listed, true) {
                self.to_flush.push(session);
            }
        }
        if stuck {
            self.want_keyframe(from);
        }
        if !self.scratch.switched.is_empty() {
            let first = packets.first().map_or(0, |first| first.ext_seq);
            self.follow_switches(now, from, lane, first);
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
