//! From the queues to the sink: numbers and cached payload become packets.

use core::time::Duration;

use crosspoint_wire::ext::ExtensionKind;
use crosspoint_wire::rtp::abs_send_time;
use crosspoint_wire::time::Time;

use super::{Engine, Task};
use crate::config::SessionKey;
use crate::egress::{self, Stamp};
use crate::redundancy::Along;
use crate::sink::PacketSink;
use crate::slab::Slab;
use crate::slot::{Slot, SlotKey};

/// Distance of the flushes in which a probe leaves.
const PROBE_INTERVAL: Duration = Duration::from_millis(1);

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
        let relays = &mut self.relay_queue;
        let (sent, gone) = relays.drain(now, &self.encodings, |relay, message| {
            sink.relay(relay, |to| message.write(to));
        });
        self.counters.relay_sent += sent;
        self.counters.relay_overflow += gone;
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
        let redundancy = session.redundancy.packets();
        let (estimator, pacer) = (&mut session.estimator, &mut session.pacer);
        if session.connected {
            estimator.look(now, || padding_slot(&self.slots, &session.slots).is_some());
        }
        let burst_bps = estimator.burst().map(|burst| burst.rate_bps);
        pacer.begin(
            now,
            estimator.bandwidth(),
            estimator.path_is_full(),
            burst_bps,
        );
        let mut bytes = 0;
        while let Some(packet) = egress.pop(pacer) {
            let slot = self.slots.get(packet.slot);
            let encoding = self.encodings.get(packet.encoding);
            let cache = encoding.map(|encoding| &encoding.cache);
            let cached = cache.and_then(|cache| cache.get(now, packet.source_seq));
            let Some((slot, (cached, payload))) = slot.zip(cached) else {
                self.counters.egress_stale += 1;
                continue;
            };
            let source = egress::Source {
                packet: cached,
                payload,
                targets: encoding.and_then(|encoding| encoding.facts.active_targets()),
            };
            let along = (redundancy > 0)
                .then(|| slot.red(&packet).zip(cache))
                .flatten()
                .and_then(|(red, cache)| {
                    let of = (&packet, cached, payload.len());
                    Along::find(now, cache, of, red, redundancy, slot.begun_at)
                });
            let along_len = along.as_ref().map_or(0, Along::len);
            let Some(len_max) = egress::len_max(payload.len() + along_len) else {
                self.counters.rtp_too_large += 1;
                continue;
            };
            let numbered = numbers_transport && slot.config.transport_cc;
            let number = if numbered {
                estimator.next_number(now)
            } else {
                0
            };
            let stamp = Stamp {
                ids,
                transport_seq: number as u16,
                abs_send_time,
            };
            let mut written = None;
            sink.rtp(key, packet.index, len_max, |buffer| {
                let len = egress::write(buffer, &packet, slot, source, along.as_ref(), &stamp);
                written = Some(len);
                len
            });
            match written {
                Some(0) => self.counters.rtp_too_large += 1,
                Some(len) => {
                    self.counters.rtp_sent += 1;
                    self.counters.rtp_retransmitted += u64::from(packet.repair_of.is_some());
                    self.counters.red_sent += u64::from(along.is_some());
                    pacer.on_sent(len);
                    if numbered {
                        estimator.on_sent(now, number, len);
                        bytes += len as u32;
                    }
                }
                // The sink has no transport for the session (any more).
                None => {}
            }
        }
        estimator.on_flushed(now, bytes);
        if estimator.burst().is_some() {
            self.depart_padding(now, key, abs_send_time, sink);
        }
        self.await_departure(now, key);
    }

    /// Fills a probe up with padding (RFC 4588 §8.6 leaves an RTX stream free to carry it): the
    /// receiver counts it for the path and drops it.
    #[cold]
    fn depart_padding(
        &mut self,
        now: Time,
        key: SessionKey,
        abs_send_time: [u8; 3],
        sink: &mut impl PacketSink,
    ) {
        let Some((session, _)) = self.sessions.departing(key) else {
            return;
        };
        let estimator = &mut session.estimator;
        let slot = padding_slot(&self.slots, &session.slots);
        let Some(slot) = slot.and_then(|slot| self.slots.get_mut(slot)) else {
            return;
        };
        while estimator
            .burst()
            .is_some_and(|burst| burst.bytes() < burst.due_bytes(now))
        {
            let Some(padding) = slot.pad() else { return };
            let number = estimator.next_number(now);
            let stamp = Stamp {
                ids: session.config.slot_extensions,
                transport_seq: number as u16,
                abs_send_time,
            };
            let mut written = None;
            sink.rtp(key, padding.index, egress::PADDING_LEN_MAX, |buffer| {
                let len = egress::write_padding(buffer, &padding, slot, &stamp);
                written = Some(len);
                len
            });
            let Some(len) = written.filter(|&len| len > 0) else {
                return;
            };
            self.counters.padding_sent += 1;
            session.pacer.on_sent(len);
            estimator.on_sent(now, number, len);
        }
    }

    /// Sees to it that a session is flushed again when what waits may leave.
    #[inline]
    fn await_departure(&mut self, now: Time, key: SessionKey) {
        let Some((session, egress)) = self.sessions.departing(key) else {
            return;
        };
        let waiting = egress.waiting();
        let probes = session.estimator.burst().is_some();
        if waiting == 0 && !probes {
            return;
        }
        let due = if waiting > 0 {
            session.pacer.wait(now, waiting)
        } else {
            Some(Time::NEVER)
        };
        let Some(due) = due else {
            self.shed(key);
            return;
        };
        let due = if probes { now + PROBE_INTERVAL } else { due };
        self.timers
            .arm(due, Task::Departure(key), &mut session.departure_due);
    }

    /// Drops the pictures that wait for a session, which have waited too long, and asks for
    /// keyframes, without which what comes after them shows nothing.
    #[cold]
    fn shed(&mut self, key: SessionKey) {
        let Some((_, egress)) = self.sessions.departing(key) else {
            return;
        };
        let mut encodings = core::mem::take(&mut self.scratch.shed);
        egress.shed(|packet| {
            self.counters.pacer_dropped += 1;
            if !encodings.contains(&packet.encoding) {
                encodings.push(packet.encoding);
            }
        });
        for encoding in encodings.drain(..) {
            self.want_keyframe(encoding);
        }
        self.scratch.shed = encodings;
    }
}

/// The slot on whose RTX stream padding leaves: one that flows, if any does.
fn padding_slot(slots: &Slab<Slot>, of_session: &[SlotKey]) -> Option<SlotKey> {
    let mut able = of_session
        .iter()
        .copied()
        .filter_map(|key| slots.get(key).filter(|s| s.can_pad()).map(|s| (key, s)));
    let first = able.clone().next();
    let flowing = able.find(|(_, slot)| slot.current.is_some());
    flowing.or(first).map(|(key, _)| key)
}
