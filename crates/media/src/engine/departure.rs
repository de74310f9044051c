//! From the queues to the sink: numbers and cached payload become packets.

use crosspoint_wire::ext::ExtensionKind;
use crosspoint_wire::rtp::abs_send_time;
use crosspoint_wire::time::Time;

use super::Engine;
use crate::config::SessionKey;
use crate::egress::{self, Stamp};
use crate::sink::PacketSink;

impl Engine {
    /// Empties the queues of all sessions that have something to send, one session after the
    /// other, so that what goes to one destination stands together.
    pub(super) fn depart(&mut self, now: Time, sink: &mut impl PacketSink) {
        let abs_send_time = abs_send_time(self.config.wall_clock.ntp(now));
        let mut to_flush = core::mem::take(&mut self.to_flush);
        for key in to_flush.drain(..) {
            self.depart_media(now, key, abs_send_time, sink);
            self.depart_feedback(now, key, sink);
        }
        // What was listed meanwhile waits for the next flush.
        to_flush.append(&mut self.to_flush);
        self.to_flush = to_flush;
        self.counters.relay_sent += self.relay_queue.drain(|relay, message| {
            sink.relay(relay, message);
        });
    }

    fn depart_media(
        &mut self,
        now: Time,
        key: SessionKey,
        abs_send_time: [u8; 3],
        sink: &mut impl PacketSink,
    ) {
        if let Some(egress) = self.sessions.egress_mut(key) {
            egress.listed = false;
        }
        let Some((session, egress)) = self.sessions.departing(key) else {
            return;
        };
        let ids = session.config.slot_extensions;
        let numbers_transport = ids.id(ExtensionKind::TransportCc).is_some();
        while let Some(packet) = egress.pop() {
            let slot = self.slots.get(packet.slot);
            let encoding = self.encodings.get(packet.encoding);
            let cached = encoding.and_then(|e| e.cache.get(now, packet.source_seq));
            let Some((slot, (cached, payload))) = slot.zip(cached) else {
                self.counters.egress_stale += 1;
                continue;
            };
            let Some(len_max) = egress::len_max(payload) else {
                self.counters.rtp_too_large += 1;
                continue;
            };
            let stamp = Stamp {
                ids,
                transport_seq: if numbers_transport {
                    egress.next_transport_seq()
                } else {
                    0
                },
                abs_send_time,
            };
            let mut written = None;
            sink.rtp(key, packet.index, len_max, |buffer| {
                let len = egress::write(buffer, &packet, slot, cached, payload, &stamp);
                written = Some(len);
                len
            });
            match written {
                Some(0) => self.counters.rtp_too_large += 1,
                Some(_) => {
                    self.counters.rtp_sent += 1;
                    self.counters.rtp_retransmitted += u64::from(packet.repair_of.is_some());
                }
                // The sink has no transport for the session (any more).
                None => {}
            }
        }
    }
}
