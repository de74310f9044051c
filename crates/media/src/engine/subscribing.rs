//! Sessions and their slots.

use crosspoint_wire::time::Time;

use super::Engine;
use crate::config::{ParticipantId, SessionConfig, SessionKey, SlotConfig, TrackId, Wish};
use crate::pacer::Pacer;
use crate::room::RoomKey;
use crate::slot::{FirstNumbers, Slot, SlotKey};

impl Engine {
    /// Who the session belongs to and where it takes part.
    pub(super) fn put_session(
        &mut self,
        key: SessionKey,
        participant: ParticipantId,
        room: RoomKey,
        auto_subscribe: bool,
    ) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.participant = participant;
            session.auto_subscribe = auto_subscribe;
        }
        self.enter_room(key, Some(room));
        self.unsettle_session(key);
    }

    /// Applies the outcome of an offer: what is as before flows on.
    pub(super) fn put_streams(&mut self, key: SessionKey, mut config: SessionConfig) {
        let receive = core::mem::take(&mut config.receive);
        let slots = core::mem::take(&mut config.slots);
        let mut formats = slots.iter().flat_map(|slot| &slot.payloads);
        let redundancy = formats.any(|format| format.red.is_some());
        if let Some(session) = self.sessions.get_mut(key) {
            session.redundancy.configure(redundancy);
            session.configure(config, slots.iter().any(|slot| slot.transport_cc));
        }
        self.put_published(key, &receive);
        self.put_slots(key, slots);
        self.arm_session(key);
    }

    /// Makes the session's slots those of `configs`. A slot is known by its SSRC.
    fn put_slots(&mut self, key: SessionKey, configs: Vec<SlotConfig>) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let mut before = core::mem::take(&mut session.slots);
        let mut slots = Vec::with_capacity(configs.len());
        for config in configs {
            let known = before.iter().position(|&slot| {
                self.slots
                    .get(slot)
                    .is_some_and(|s| s.config.ssrc == config.ssrc)
            });
            let slot = match known {
                Some(i) => Some(self.reconfigure_slot(before.swap_remove(i), config)),
                None => self.insert_slot(key, config),
            };
            slots.extend(slot);
        }
        for slot in before {
            self.remove_slot(slot);
        }
        self.list_slots(key, slots);
        self.unsettle_session(key);
    }

    fn insert_slot(&mut self, session: SessionKey, config: SlotConfig) -> Option<SlotKey> {
        let first = FirstNumbers {
            sequence: (self.random.next() & 0x7fff) as u16,
            rtx_sequence: (self.random.next() & 0x7fff) as u16,
            timestamp: self.random.next() as u32,
        };
        let (cache_duration, retransmit) = (self.config.cache_duration, self.config.retransmit);
        let slot = Slot::new(session, config, first, cache_duration, retransmit);
        self.slots.insert(slot)
    }

    fn reconfigure_slot(&mut self, key: SlotKey, config: SlotConfig) -> SlotKey {
        if let Some(slot) = self.slots.get_mut(key)
            && slot.config != config
            && !slot.configure(config)
            && let Some(target) = slot.target
        {
            self.want_keyframe(target);
        }
        key
    }

    pub(super) fn remove_slot(&mut self, key: SlotKey) {
        self.stop_slot(key);
        let Some(slot) = self.slots.remove(key) else {
            return;
        };
        if let Some(track) = slot.assigned.and_then(|track| self.tracks.get_mut(track)) {
            track.slots.retain(|&s| s != key);
        }
        if let Some(track) = slot.assigned {
            self.review_demand(track);
        }
        self.unsettle_layers(slot.session);
    }

    /// Writes down the session's slots and by which SSRCs its peer will speak of them.
    fn list_slots(&mut self, key: SessionKey, slots: Vec<SlotKey>) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        session.sent_streams.clear();
        for &slot_key in &slots {
            let Some(slot) = self.slots.get(slot_key) else {
                continue;
            };
            session.sent_streams.insert(slot.config.ssrc, slot_key);
            if let Some(rtx) = slot.config.rtx_ssrc {
                session.sent_streams.insert(rtx, slot_key);
            }
        }
        session.slots = slots;
    }

    pub(super) fn set_wish(&mut self, key: SessionKey, track: TrackId, wish: Wish) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.wishes.retain(|&(t, _)| t != track);
            session.wishes.push((track, wish));
        }
        self.unsettle_session(key);
    }

    pub(super) fn connect(&mut self, now: Time, key: SessionKey, connected: bool) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        session.connected = connected;
        session.reporting.begin(now);
        session.estimator.restart();
        session.pacer = Pacer::fresh();
        if !connected && let Some(egress) = self.sessions.egress_mut(key) {
            egress.clear();
        }
        let mut i = 0;
        while let Some(&slot) = self.sessions.get(key).and_then(|s| s.slots.get(i)) {
            self.retarget(slot);
            i += 1;
        }
        self.arm_session(key);
    }

    /// Ends a session: what it published ends, its slots' streams stop, its key is free.
    pub(super) fn remove_session(&mut self, key: SessionKey) {
        self.enter_room(key, None);
        let Some(session) = self.sessions.remove(key) else {
            return;
        };
        for published in session.published {
            self.remove_track(published.track);
        }
        for slot in session.slots {
            self.remove_slot(slot);
        }
    }
}
