//! A session's bandwidth, shared out among its pictures.

use core::time::Duration;

use crosspoint_wire::codec::MediaKind;
use crosspoint_wire::time::Time;

use super::selection::steps_of;
use super::{Engine, Task};
use crate::allocate::{Demand, Present, allocate};
use crate::config::{Layer, Policy, SessionKey};
use crate::ladder::{Rung, RungKey, RungState, Steps};
use crate::quality::{Allowed, Quality};
use crate::slot::{Slot, SlotKey};

/// How often bandwidth is shared out anew while it is limited, because bitrates of layers change.
const ALLOCATION_INTERVAL: Duration = Duration::from_millis(500);

/// Pictures are left out altogether only when the smallest have been too much for this long: an
/// estimate begins low and dips, and a picture that comes and goes is worse than one that stutters.
const PAUSE_AFTER: Duration = Duration::from_secs(3);
/// Too much is so many per cent of the bandwidth: short of that, the pacer helps itself.
const TOO_MUCH_PERCENT: u64 = 125;

/// Memory that is used again and again.
#[derive(Debug, Default)]
pub(super) struct Ladders {
    /// Of one track.
    rungs: Vec<Rung>,
    /// What the rungs that count cost, track after track, and which they are.
    rates: Vec<u64>,
    keys: Vec<RungKey>,
    demands: Vec<Demand>,
    /// Whose demands they are.
    slots: Vec<SlotKey>,
    granted: Vec<Option<usize>>,
}

impl Engine {
    /// Shares a session's bandwidth out among its pictures. Sound is taken off first.
    pub(super) fn allocate_session(&mut self, now: Time, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        session.layers_listed = false;
        let Some(bandwidth) = session.estimator.bandwidth() else {
            session.redundancy.budget(None, 0);
            self.allow_everything(key);
            return;
        };
        let mut ladders = core::mem::take(&mut self.ladders);
        let sound = self.list_demands(now, key, &mut ladders);
        let session = self.sessions.get_mut(key);
        let sound = session.map_or(sound, |s| s.redundancy.budget(Some(bandwidth), sound));
        let allocation = allocate(
            bandwidth.saturating_sub(sound),
            &ladders.rates,
            &ladders.demands,
            &mut ladders.granted,
        );
        // A picture that was left out may be decided anew together with one that now gets less:
        // first come those that get less.
        for rises in [false, true] {
            self.apply(now, &ladders, rises);
        }
        let any = !ladders.demands.is_empty();
        self.ladders = ladders;
        if let Some(session) = self.sessions.get_mut(key) {
            let used = allocation.used_bps + sound;
            if used * 100 <= bandwidth * TOO_MUCH_PERCENT {
                session.short_since = None;
            } else {
                session.short_since.get_or_insert(now);
            }
            session.estimator.want(now, allocation.wanted_bps);
            if allocation.wanted_bps > 0 && session.estimator.is_idle(now) {
                // No packet will bring a probe about.
                self.list_for_flush(key);
            }
            if any && let Some(session) = self.sessions.get_mut(key) {
                let due = &mut session.quality_due;
                self.timers
                    .arm(now + ALLOCATION_INTERVAL, Task::Quality(key), due);
            }
        }
    }

    fn allow_everything(&mut self, key: SessionKey) {
        let mut i = 0;
        while let Some(&slot_key) = self.sessions.get(key).and_then(|s| s.slots.get(i)) {
            i += 1;
            if let Some(slot) = self.slots.get_mut(slot_key)
                && slot.quality.allow(self.now, Allowed::All, 0, false)
            {
                self.retarget(slot_key);
            }
        }
    }

    /// Lists what the session's pictures would take; returns what its sound takes, in bits per
    /// second.
    fn list_demands(&self, now: Time, key: SessionKey, ladders: &mut Ladders) -> u64 {
        ladders.rates.clear();
        ladders.keys.clear();
        ladders.demands.clear();
        ladders.slots.clear();
        let mut sound = 0;
        let Some(session) = self.sessions.get(key) else {
            return sound;
        };
        for &slot_key in &session.slots {
            let Some(slot) = self.slots.get(slot_key) else {
                continue;
            };
            if slot.config.kind == MediaKind::Audio {
                let current = slot.current.and_then(|current| self.encodings.get(current));
                sound += current.map_or(0, |e| e.meter.bits_per_second(Layer::TOP));
            } else {
                let short = session.short_since.map(|since| now.since(since));
                let may_pause = session.policy.audio_only
                    && (slot.quality.allowed == Allowed::Nothing
                        || short.is_some_and(|short| short >= PAUSE_AFTER));
                let policy = Policy {
                    audio_only: may_pause,
                    ..session.policy
                };
                self.list_demand(now, (slot_key, slot), &policy, ladders);
            }
        }
        sound
    }

    fn list_demand(
        &self,
        now: Time,
        (key, slot): (SlotKey, &Slot),
        policy: &Policy,
        ladders: &mut Ladders,
    ) {
        let track = slot.assigned.and_then(|track| self.tracks.get(track));
        let Some(track) = track.filter(|track| !track.muted) else {
            return;
        };
        self.list_rungs(track, &mut ladders.rungs);
        let steps = steps_of(slot.quality.limit, policy, &ladders.rungs);
        let foot = ladders.rates.len();
        for rung in &ladders.rungs {
            let is_offered = rung.state != RungState::Missing && slot.takes(rung);
            if !is_offered || rung.step > steps.ceiling {
                continue;
            }
            // Five large images a second are worse to look at than a small picture that moves.
            if rung.sparse && rung.step > steps.floor && ladders.rates.len() > foot {
                continue;
            }
            let is_whole = rung.layer.temporal == Layer::TOP.temporal;
            let is_cheap = |ladders: &Ladders| {
                let dearest = ladders.rates.get(foot..).and_then(<[u64]>::last);
                dearest.is_some_and(|&dearest| rung.rate_bps <= dearest)
            };
            // Who can have a better one for the same needs no worse one. But a larger picture
            // with fewer images a second is not better than a smaller one with all of them.
            while is_whole && is_cheap(ladders) {
                ladders.rates.pop();
                ladders.keys.pop();
            }
            if !is_cheap(ladders) {
                ladders.rates.push(rung.rate_bps);
                ladders.keys.push(rung.key());
            }
        }
        let ladder = foot..ladders.rates.len();
        let Some(keys) = ladders.keys.get(ladder.clone()).filter(|k| !k.is_empty()) else {
            return;
        };
        let present = present_rung(&slot.quality, keys);
        let kept = kept_rung(now, slot, policy, steps, present, &ladders.rungs, keys);
        ladders.demands.push(Demand {
            ladder,
            present,
            may_rise: slot.quality.may_rise(now, policy.dwell_up),
            at_least: kept,
            priority: track.priority,
        });
        ladders.slots.push(key);
    }

    /// Takes over what was granted to pictures that get more (or less) than they have.
    fn apply(&mut self, now: Time, ladders: &Ladders, rises: bool) {
        let all = ladders
            .slots
            .iter()
            .zip(&ladders.demands)
            .zip(&ladders.granted);
        let mut changed = 0;
        for ((&key, demand), &granted) in all {
            let Some(slot) = self.slots.get_mut(key) else {
                continue;
            };
            let keys = ladders.keys.get(demand.ladder.clone()).unwrap_or_default();
            let top = keys.len().checked_sub(1);
            let key_of = |rung: usize| keys.get(rung).copied();
            let allowed = match granted.and_then(key_of) {
                Some(rung) => Allowed::UpTo(rung),
                None => Allowed::Nothing,
            };
            if (allowed.highest() > slot.quality.allowed.highest()) != rises {
                continue;
            }
            let rate = granted.and_then(|rung| ladders.rates.get(demand.ladder.start + rung));
            let rate = rate.copied().unwrap_or(0);
            if slot.quality.allow(now, allowed, rate, granted != top) {
                changed += 1;
                self.retarget(key);
            }
        }
        self.counters.allocations += changed;
    }
}

/// The rung of a ladder that a picture has.
fn present_rung(quality: &Quality, keys: &[RungKey]) -> Present {
    let highest = match quality.allowed {
        Allowed::Undecided => return Present::New,
        Allowed::Nothing => return Present::Paused,
        allowed => allowed.highest(),
    };
    let rung = keys.iter().rposition(|&key| Some(key) <= highest);
    Present::Rung(rung.unwrap_or(0))
}

/// The rung that a picture keeps whatever the bandwidth, if any.
fn kept_rung(
    now: Time,
    slot: &Slot,
    policy: &Policy,
    steps: Steps,
    present: Present,
    rungs: &[Rung],
    keys: &[RungKey],
) -> Option<usize> {
    let floor = if steps.floor > 0 {
        let first = rungs.iter().find(|rung| rung.step >= steps.floor);
        let rung = first.and_then(|rung| keys.iter().position(|&key| key >= rung.key()));
        Some(rung.unwrap_or(keys.len().saturating_sub(1)))
    } else {
        (!policy.audio_only).then_some(0)
    };
    let held = match present {
        Present::Rung(rung) if !slot.quality.may_fall(now, policy.dwell_down) => Some(rung),
        _ => None,
    };
    floor.max(held)
}
