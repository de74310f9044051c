//! From an encoding to the slots it feeds: the innermost loop of the product.
//!
//! Per packet and slot: one step into the slot's table, new numbers, one push into the session's
//! queue. The payload is not touched.

use crosspoint_wire::time::Time;

use super::Engine;
use crate::config::SessionKey;
use crate::egress::{Lane, Outgoing};
use crate::encoding::EncodingKey;
use crate::slot::{Admitted, Forward};

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
        for &key in &encoding.feeds {
            let Some(slot) = self.slots.get_mut(key) else {
                continue;
            };
            let outgoing = match slot.forward(now, key, from, admitted) {
                Forward::Skip => {
                    self.counters.slot_skipped += 1;
                    continue;
                }
                Forward::Send(outgoing) => outgoing,
                Forward::Switch(outgoing, left) => {
                    self.counters.switches += 1;
                    if let Some(left) = left {
                        self.scratch.left.push((key, left));
                    }
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
        if !self.scratch.left.is_empty() {
            self.leave_encodings();
        }
    }

    /// Takes slots off the lists of encodings that do not feed them any more.
    #[cold]
    fn leave_encodings(&mut self) {
        while let Some((slot, encoding)) = self.scratch.left.pop() {
            self.leave_encoding(slot, encoding);
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
