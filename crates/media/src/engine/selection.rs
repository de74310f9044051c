//! From what a track has and a slot may have to the encoding and layers that feed it.

use crosspoint_wire::codec::MediaKind;

use super::{Engine, Unsettled};
use crate::config::{Layer, LayerLimit, Policy, SessionKey};
use crate::encoding::EncodingKey;
use crate::event::Event;
use crate::explain::{Choice, Reason};
use crate::ladder::{self, Rung, RungKey, RungState, Steps};
use crate::slot::{Slot, SlotKey};
use crate::track::{Track, TrackKey, usual_priority};

/// What is decided about a slot.
#[derive(Clone, Copy, Debug, Default)]
struct Decision {
    /// What it is to forward of what flows.
    chosen: Option<RungKey>,
    /// The encoding that it would forward if it flowed.
    desired: Option<u8>,
    bound: Option<Reason>,
}

impl Engine {
    /// Decides anew which encoding and layers are to feed a slot, and sees to it that it can
    /// begin.
    pub(super) fn retarget(&mut self, key: SlotKey) {
        let mut rungs = core::mem::take(&mut self.rungs);
        let decision = self.decide(key, &mut rungs);
        self.rungs = rungs;
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let track = slot.assigned;
        let desires_anew = slot.quality.desired != decision.desired;
        slot.quality.desired = decision.desired;
        slot.quality.decide(decision.chosen, decision.bound);
        let track_of = track.and_then(|track| self.tracks.get(track));
        let target = track_of
            .zip(decision.chosen)
            .and_then(|(track, (place, layer))| {
                let encoding = track.encodings.get(usize::from(place))?;
                Some((*encoding, layer))
            });
        match target {
            Some((target, layer)) => self.aim(key, target, layer),
            None => self.stop_slot(key),
        }
        if let Some(track) = track.filter(|_| desires_anew) {
            self.review_demand(track);
        }
    }

    fn aim(&mut self, key: SlotKey, target: EncodingKey, layer: Layer) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let (before, current, kind) = (slot.target, slot.current, slot.config.kind);
        let track = slot.assigned.and_then(|track| self.tracks.get(track));
        let place = |encoding| track.and_then(|track| track.place_of(encoding));
        let falls = current.is_some_and(|current| place(target) < place(current));
        slot.aim(target, layer, falls);
        if before == Some(target) {
            return;
        }
        if let Some(before) = before.filter(|_| before != current) {
            self.leave_encoding(key, before);
        }
        if current == Some(target) {
            return;
        }
        if let Some(encoding) = self.encodings.get_mut(target) {
            encoding.feeds.push(key);
        }
        if kind == MediaKind::Video {
            self.want_keyframe(target);
        }
    }

    fn decide(&self, key: SlotKey, rungs: &mut Vec<Rung>) -> Decision {
        let Some((slot, track)) = self.fed_slot(key) else {
            return Decision::default();
        };
        self.list_rungs(track, rungs);
        let Some(session) = self.sessions.get(slot.session) else {
            return Decision::default();
        };
        let steps = steps_of(slot.quality.limit, &session.policy, rungs);
        let Some(allowed) = slot.quality.allowed.highest() else {
            return Decision {
                bound: Some(Reason::Bandwidth),
                ..Decision::default()
            };
        };
        let flows = |rung: &Rung| slot.takes(rung) && rung.state == RungState::Flows;
        let obtainable = |rung: &Rung| slot.takes(rung) && rung.state != RungState::Missing;
        let chosen = ladder::choose(rungs, steps, allowed, flows);
        let desired = ladder::choose(rungs, steps, allowed, obtainable);
        Decision {
            chosen: chosen.map(Rung::key),
            desired: desired.map(|rung| rung.place),
            bound: bound_of(rungs, chosen, (steps, allowed), slot, &session.policy),
        }
    }

    /// A slot of a connected session, and the track that is to feed it, unless that is muted.
    fn fed_slot(&self, key: SlotKey) -> Option<(&Slot, &Track)> {
        let slot = self.slots.get(key)?;
        let session = self.sessions.get(slot.session)?;
        let track = self.tracks.get(slot.assigned?)?;
        (session.connected && !track.muted).then_some((slot, track))
    }

    pub(super) fn list_rungs(&self, track: &Track, rungs: &mut Vec<Rung>) {
        let encodings = track.encodings.iter();
        ladder::list(
            encodings.map(|&encoding| self.encodings.get(encoding)),
            rungs,
        );
    }

    /// Nothing feeds the slot until it is targeted anew.
    pub(super) fn stop_slot(&mut self, key: SlotKey) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let (current, target) = slot.stop();
        for encoding in [current, target.filter(|_| target != current)]
            .into_iter()
            .flatten()
        {
            self.leave_encoding(key, encoding);
        }
        if current.is_some() {
            self.note_shown(key);
        }
    }

    pub(super) fn leave_encoding(&mut self, slot: SlotKey, encoding: EncodingKey) {
        if let Some(encoding) = self.encodings.get_mut(encoding) {
            encoding.feeds.retain(|&s| s != slot);
        }
    }

    /// Decides anew for all slots of a track: an encoding came or went, or it was (un)muted.
    pub(super) fn retarget_track(&mut self, track: TrackKey) {
        let mut i = 0;
        while let Some(&slot) = self.tracks.get(track).and_then(|t| t.slots.get(i)) {
            // At once: the packet that brought this about may be the keyframe to begin with.
            if let Some(session) = self.slots.get(slot).map(|slot| slot.session) {
                self.allocate_session(self.now, session);
            }
            self.retarget(slot);
            i += 1;
        }
    }

    /// What flows to a picture's slot.
    pub(super) fn flowing(&self, slot: &Slot) -> Option<Choice> {
        let track = self.tracks.get(slot.assigned?)?;
        Some(Choice {
            encoding: track.place_of(slot.current?)?,
            layer: slot.selector.current(),
        })
    }

    /// Notes, and tells, that something else flows to a slot than before, if it shows.
    pub(super) fn note_shown(&mut self, key: SlotKey) {
        let Some(slot) = self.slots.get(key) else {
            return;
        };
        if slot.config.kind != MediaKind::Video {
            return;
        }
        let to = self.flowing(slot);
        let size = slot.current.and_then(|current| {
            let facts = &self.encodings.get(current)?.facts;
            let highest = slot.selector.current().spatial;
            (0..=highest).rev().find_map(|spatial| facts.size(spatial))
        });
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let from = slot.quality.shown();
        let Some(reason) = slot.quality.show(self.now, to) else {
            return;
        };
        self.counters.layer_switches += 1;
        let looks = |choice: Option<Choice>| choice.map(|c| (c.encoding, c.layer.spatial));
        let session = self.sessions.get(slot.session);
        let track = slot.assigned.and_then(|track| self.tracks.get(track));
        if let Some((session, track)) = session.zip(track)
            && looks(from) != looks(to)
        {
            self.events.push_back(Event::SubscriptionChanged {
                session: session.id,
                track: track.id,
                choice: to,
                size,
                reason,
            });
        }
    }

    pub(super) fn set_policy(&mut self, key: SessionKey, policy: Policy) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        if core::mem::replace(&mut session.policy, policy) == policy {
            return;
        }
        self.unsettle_layers(key);
        let mut i = 0;
        while let Some(&slot) = self.sessions.get(key).and_then(|s| s.slots.get(i)) {
            self.retarget(slot);
            i += 1;
        }
    }

    pub(super) fn set_priority(&mut self, key: TrackKey, priority: Option<u8>) {
        let Some(track) = self.tracks.get_mut(key) else {
            return;
        };
        track.priority = priority.unwrap_or_else(|| usual_priority(track.source));
        self.retarget_track(key);
    }

    /// Has a session's bandwidth allocated anew before the next packet.
    pub(super) fn unsettle_layers(&mut self, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(key)
            && !core::mem::replace(&mut session.layers_listed, true)
        {
            self.unsettled.push(Unsettled::Bandwidth(key));
        }
    }
}

/// The steps between which a picture may be. A floor is kept even where less was wished.
pub(super) fn steps_of(limit: LayerLimit, policy: &Policy, rungs: &[Rung]) -> Steps {
    let highest = |limit| ladder::highest_step(limit, rungs);
    let top = rungs.last().map_or(0, |rung| rung.step);
    let floor = highest(policy.floor).min(top);
    Steps {
        floor,
        ceiling: highest(limit).min(highest(policy.ceiling)).max(floor),
    }
}

/// What keeps a slot's choice from being better.
fn bound_of(
    rungs: &[Rung],
    chosen: Option<&Rung>,
    (steps, allowed): (Steps, RungKey),
    slot: &Slot,
    policy: &Policy,
) -> Option<Reason> {
    let Some(chosen) = chosen else {
        return Some(Reason::PublisherPaused);
    };
    let mut better = rungs.iter().filter(|rung| rung.key() > chosen.key());
    let within = |rung: &&Rung| rung.step <= steps.ceiling;
    let obtainable = |rung: &Rung| rung.state != RungState::Missing;
    let mut offered = better
        .clone()
        .filter(|rung| within(rung) && obtainable(rung));
    if offered
        .clone()
        .any(|rung| slot.takes(rung) && rung.key() > allowed)
    {
        return Some(Reason::Bandwidth);
    }
    if offered.any(|rung| !slot.takes(rung)) {
        return Some(Reason::Unsupported);
    }
    let missing = |rung: &Rung| !obtainable(rung) && rung.step > chosen.step;
    if better.clone().any(|rung| within(&rung) && missing(rung)) {
        return Some(Reason::LayerMissing);
    }
    if better.any(|rung| !within(&rung)) {
        let by_policy = ladder::highest_step(policy.ceiling, rungs)
            <= ladder::highest_step(slot.quality.limit, rungs);
        return Some(if by_policy {
            Reason::Policy
        } else {
            Reason::Size
        });
    }
    None
}
