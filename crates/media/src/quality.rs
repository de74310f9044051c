//! What decides how good the picture of one slot is, and what happened to it lately.

use core::time::Duration;
use std::collections::VecDeque;

use crosspoint_wire::time::Time;

use crate::config::{Layer, LayerLimit};
use crate::explain::{Choice, Reason, Switch};
use crate::ladder::RungKey;

/// How many changes are kept for those who ask why.
const SWITCHES_MAX: usize = 20;
/// A fall this soon after a rise shows that the rise was one too many.
const TOO_SOON: Duration = Duration::from_secs(10);
/// After this long without a fall the next rise is as quick as the first.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);
/// The waiting time before a rise grows to at most this many times the smallest.
const PATIENCE_MAX: u32 = 8;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Quality {
    /// Upper bound, as wished.
    pub(crate) limit: LayerLimit,
    /// Upper bound for want of bandwidth.
    pub(crate) allowed: Allowed,
    /// The encoding that should feed the slot if it flowed.
    pub(crate) desired: Option<u8>,
    /// What was chosen of those that flow.
    pub(crate) chosen: Option<RungKey>,
    /// What keeps the choice from being better.
    pub(crate) bound: Option<Reason>,
    /// Bits per second that it was granted.
    pub(crate) granted_bps: u64,
    /// What is flowing, as was told last.
    shown: Option<Choice>,
    /// Why what flows is about to change.
    cause: Option<Reason>,
    risen: Option<Time>,
    fallen: Option<Time>,
    patience: u32,
    switches: VecDeque<Switch>,
}

/// What bandwidth allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// Not decided yet: the lowest.
    Undecided,
    /// Everything.
    All,
    /// At most this rung.
    UpTo(RungKey),
    /// Nothing.
    Nothing,
}

impl Allowed {
    /// The highest rung; `None`: none at all.
    pub(crate) const fn highest(self) -> Option<RungKey> {
        match self {
            Self::All => Some((u8::MAX, Layer::TOP)),
            Self::UpTo(key) => Some(key),
            Self::Undecided => Some((
                0,
                Layer {
                    spatial: 0,
                    temporal: 0,
                },
            )),
            Self::Nothing => None,
        }
    }
}

impl Quality {
    pub(crate) fn new() -> Self {
        Self {
            limit: LayerLimit::Best,
            allowed: Allowed::All,
            desired: None,
            chosen: None,
            bound: None,
            granted_bps: 0,
            shown: None,
            cause: None,
            risen: None,
            fallen: None,
            patience: 1,
            switches: VecDeque::new(),
        }
    }

    /// Another track: nothing of what was before counts.
    pub(crate) fn begin(&mut self, limit: LayerLimit, allowed: Allowed) {
        *self = Self {
            limit,
            allowed,
            ..Self::new()
        };
    }

    /// Takes a decision of the allocator. `short`: there would be more if the bandwidth were
    /// larger. True if it changes anything.
    pub(crate) fn allow(
        &mut self,
        now: Time,
        allowed: Allowed,
        granted_bps: u64,
        short: bool,
    ) -> bool {
        self.granted_bps = granted_bps;
        let before = core::mem::replace(&mut self.allowed, allowed);
        match (before.highest(), allowed.highest()) {
            _ if before == Allowed::Undecided => {}
            (before, after) if after > before => self.risen = Some(now),
            // Not if less is wished.
            (before, after) if after < before && short => self.note_fall(now),
            _ => {}
        }
        before != allowed
    }

    fn note_fall(&mut self, now: Time) {
        let since = |at: Option<Time>| at.map(|at| now.since(at));
        if since(self.risen).is_some_and(|since| since < TOO_SOON) {
            self.patience = (self.patience * 2).min(PATIENCE_MAX);
        } else if since(self.fallen).is_none_or(|since| since > FORGIVEN_AFTER) {
            self.patience = 1;
        }
        self.fallen = Some(now);
        // The next fall is not the rise's fault.
        self.risen = None;
    }

    /// Whether it may become better now, with this smallest time since it became worse.
    pub(crate) fn may_rise(&self, now: Time, dwell: Duration) -> bool {
        let since = self.fallen.map(|at| now.since(at));
        since.is_none_or(|since| since >= dwell * self.patience)
    }

    /// Whether it may become worse now, with this smallest time since it became better.
    pub(crate) fn may_fall(&self, now: Time, dwell: Duration) -> bool {
        let since = self.risen.map(|at| now.since(at));
        since.is_none_or(|since| since >= dwell)
    }

    /// Takes a choice among what flows, and what keeps it from being better.
    pub(crate) fn decide(&mut self, chosen: Option<RungKey>, bound: Option<Reason>) {
        let before = core::mem::replace(&mut self.chosen, chosen);
        let bound_before = core::mem::replace(&mut self.bound, bound);
        if chosen < before {
            self.cause = bound;
        } else if chosen > before {
            // What kept it down until now does no more.
            self.cause = bound_before;
        }
    }

    /// Notes what flows from now on. Returns why it changed (twice `None`: no cause but that it
    /// began), if that is a change.
    pub(crate) fn show(&mut self, now: Time, to: Option<Choice>) -> Option<Option<Reason>> {
        let from = core::mem::replace(&mut self.shown, to);
        if from == to {
            return None;
        }
        let cause = self.cause;
        if self.switches.len() >= SWITCHES_MAX {
            self.switches.pop_front();
        } else if self.switches.capacity() == 0 {
            self.switches.reserve_exact(SWITCHES_MAX);
        }
        self.switches.push_back(Switch {
            at: now,
            from,
            to,
            cause,
        });
        Some(cause)
    }

    pub(crate) fn shown(&self) -> Option<Choice> {
        self.shown
    }

    /// The latest changes, oldest first.
    pub(crate) fn switches(&self) -> impl Iterator<Item = &Switch> {
        self.switches.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DWELL: Duration = Duration::from_secs(2);

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    fn up_to(place: u8) -> Allowed {
        Allowed::UpTo((place, Layer::TOP))
    }

    #[test]
    fn after_a_fall_it_waits_before_it_rises() {
        let mut quality = Quality::new();
        assert!(quality.may_rise(at(1), DWELL));
        quality.allow(at(1), up_to(0), 0, true);
        assert!(!quality.may_rise(at(2), DWELL));
        assert!(quality.may_rise(at(3), DWELL));
    }

    #[test]
    fn a_rise_that_does_not_last_makes_the_next_one_wait_longer() {
        let mut quality = Quality::new();
        let mut waits = Vec::new();
        let mut now = 0;
        for _ in 0..6 {
            quality.allow(at(now), up_to(0), 0, true);
            let wait = (0..)
                .find(|s| quality.may_rise(at(now + s), DWELL))
                .unwrap();
            waits.push(wait);
            now += wait;
            quality.allow(at(now), up_to(1), 0, true);
            now += 1;
        }
        assert_eq!(waits, [2, 4, 8, 16, 16, 16]);
        now += 100;
        quality.allow(at(now), up_to(0), 0, true);
        assert!(quality.may_rise(at(now + 2), DWELL));
    }

    #[test]
    fn the_latest_twenty_changes_are_kept_with_their_causes() {
        let mut quality = Quality::new();
        for n in 0..50 {
            let (bound, spatial) = if n % 2 == 0 {
                (Some(Reason::Bandwidth), 0)
            } else {
                (None, 1)
            };
            quality.decide(Some((0, Layer::new(spatial, 0))), bound);
            let choice = Choice {
                encoding: 0,
                layer: Layer::new(spatial, 0),
            };
            let told = quality.show(at(n), Some(choice));
            // The first has no cause: it begins.
            assert_eq!(told, Some((n > 0).then_some(Reason::Bandwidth)));
            assert_eq!(quality.show(at(n), Some(choice)), None);
        }
        assert_eq!(quality.switches().count(), SWITCHES_MAX);
        assert_eq!(quality.switches().last().map(|s| s.at), Some(at(49)));
    }
}
