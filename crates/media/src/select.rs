//! Which packets of the encoding that feeds a slot go on: its layers.
//!
//! ```text
//! goal      the layer that should be forwarded          (the allocator's and the wish's decision)
//! current   the layer that is forwarded, all below it included
//! ```
//! `current` becomes `goal` at the first packet of a picture at which the receiver can follow:
//! fewer pictures per second at once, more at a switch point, a smaller picture as soon as no
//! dependency of it was left out, a larger one at a keyframe or where the dependency descriptor
//! allows it. Whatever it does, a frame whose dependencies were left out is left out too.
//!
//! Decisions hold for whole pictures, known by their timestamps: a packet that comes late is
//! treated as those of its picture were. Each is made at the picture's first frame that concerns
//! what is forwarded or aimed at: where higher layers do without lower ones (K-SVC), the frames of
//! these say nothing about those.

use crate::config::Layer;
use crate::facts::{FrameFacts, Told};

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Selector {
    goal: Layer,
    current: Layer,
    /// What was forwarded of pictures before `since`.
    previous: Layer,
    /// Timestamp from which on `current` holds.
    since: u32,
    /// Timestamp of the newest picture.
    newest: u32,
    /// Nothing of that picture has shown yet whether the goal can be had.
    undecided: bool,
    /// Highest temporal layer that the source has shown.
    top_temporal: u8,
    /// Other layers were forwarded since the last keyframe.
    changed: bool,
    left_out: LeftOut,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selected {
    /// It is forwarded. `ends_picture`: it is the last of its picture for this receiver, whatever
    /// its marker bit says.
    Forward { ends_picture: bool },
    /// It is left out.
    LeaveOut,
    /// It is left out or forwarded as its layer says, but the goal needs a keyframe.
    NeedsKeyframe { forward: bool, ends_picture: bool },
}

impl Selector {
    /// Forwards everything.
    pub(crate) fn new() -> Self {
        Self {
            goal: Layer::TOP,
            current: Layer::TOP,
            previous: Layer::TOP,
            since: 0,
            newest: 0,
            undecided: false,
            top_temporal: 0,
            changed: false,
            left_out: LeftOut::default(),
        }
    }

    /// What should be forwarded from now on.
    pub(crate) fn aim(&mut self, goal: Layer) {
        self.goal = goal;
    }

    /// What is forwarded.
    pub(crate) fn current(&self) -> Layer {
        self.current
    }

    /// Whether the goal is not reached.
    pub(crate) fn is_waiting(&self) -> bool {
        self.current != self.goal
    }

    /// Begins another source with a keyframe's first packet.
    pub(crate) fn begin(&mut self, timestamp: u32, facts: &FrameFacts) {
        self.current = self.goal;
        self.previous = self.goal;
        self.since = timestamp;
        self.newest = timestamp;
        self.undecided = false;
        self.top_temporal = 0;
        self.changed = false;
        self.left_out = LeftOut::default();
        self.left_out.restart(facts);
    }

    /// Decides about a packet. `in_order`: none that comes after it was seen.
    #[inline]
    pub(crate) fn select(
        &mut self,
        timestamp: u32,
        facts: &FrameFacts,
        in_order: bool,
    ) -> Selected {
        let mut stuck = false;
        if in_order {
            if is_after(timestamp, self.newest) {
                self.newest = timestamp;
                self.undecided = true;
            }
            let begins = facts.keyframe && facts.spatial == 0;
            if facts.first_of_frame && (begins || self.current != self.goal) {
                stuck = self.consider(timestamp, facts);
            }
        }
        self.top_temporal = self.top_temporal.max(facts.temporal);
        let layer = self.forwarded(timestamp);
        let wanted = facts.present.contains(layer);
        let broken = wanted && self.left_out.breaks(facts);
        let forward = wanted && !broken;
        self.left_out.note(facts, !forward, layer);
        let ends_picture = facts.end_of_frame && facts.spatial == layer.spatial;
        if stuck || (broken && facts.first_of_frame) {
            Selected::NeedsKeyframe {
                forward,
                ends_picture,
            }
        } else if forward {
            Selected::Forward { ends_picture }
        } else {
            Selected::LeaveOut
        }
    }

    /// What is forwarded of the picture with this timestamp.
    fn forwarded(&self, timestamp: u32) -> Layer {
        if is_after(self.since, timestamp) {
            self.previous
        } else {
            self.current
        }
    }

    /// What the receiver of a packet that is forwarded is to be told of what it can decode. An
    /// update holds until the next one or the next structure (AV1 RTP specification, appendix
    /// A.4), so that after a change every packet until then has it: whichever is lost.
    pub(crate) fn told(&self, timestamp: u32) -> Told {
        Told::receiver(self.forwarded(timestamp), self.changed)
    }

    /// Decides about a picture if this frame of it is the one to decide by. True when the goal
    /// needs a keyframe.
    fn consider(&mut self, timestamp: u32, facts: &FrameFacts) -> bool {
        let is_wanted = facts.present.has_spatial(self.goal.spatial);
        if self.undecided && (is_wanted || facts.present.has_spatial(self.current.spatial)) {
            self.undecided = false;
            return self.change(timestamp, facts);
        }
        // A frame of the goal's own, in a picture that gave no way to it.
        is_wanted && facts.spatial > self.current.spatial
    }

    /// Takes what of the goal can be had from this picture on. True when the rest needs a
    /// keyframe.
    fn change(&mut self, timestamp: u32, facts: &FrameFacts) -> bool {
        let begins = facts.keyframe && facts.spatial == 0;
        let (next, stuck) = if begins {
            self.left_out.restart(facts);
            (self.goal, false)
        } else {
            self.step(facts)
        };
        self.changed = !begins && (self.changed || next != self.current);
        if next != self.current {
            self.previous = self.current;
            self.current = next;
            self.since = timestamp;
        }
        stuck
    }

    fn step(&self, facts: &FrameFacts) -> (Layer, bool) {
        let next = Layer {
            temporal: self.step_in_time(facts),
            ..self.current
        };
        if self.goal.spatial == self.current.spatial {
            return (next, false);
        }
        let wanted = Layer {
            spatial: self.goal.spatial,
            ..next
        };
        let follows = facts.present.contains(wanted) && !self.left_out.breaks(facts);
        let described = facts.picture.frame.is_some();
        let possible = if self.goal.spatial > self.current.spatial {
            described && follows && facts.switches.contains(wanted)
        } else if described {
            follows
        } else {
            self.left_out.spares_spatial(self.goal.spatial)
        };
        if possible {
            return (wanted, false);
        }
        // Until then, a smaller picture goes on with all its images even if the larger one is to
        // have fewer, and a larger one that is too much with as few as can be.
        let meanwhile = if self.goal.spatial > self.current.spatial {
            next.temporal.max(self.current.temporal)
        } else {
            0
        };
        let meanwhile = Layer {
            temporal: meanwhile,
            ..self.current
        };
        // A frame that the goal does not have says nothing about whether it can be reached.
        (meanwhile, facts.present.contains(wanted))
    }

    /// Temporal layers nest: a lower one can always be had, a higher one where a frame says so.
    fn step_in_time(&self, facts: &FrameFacts) -> u8 {
        let (now, goal) = (self.current.temporal, self.goal.temporal);
        // Nothing was left out where there is nothing higher.
        if goal <= now || now >= self.top_temporal.max(facts.temporal) {
            return goal;
        }
        let can_reach = |temporal: u8| {
            let wanted = Layer {
                temporal,
                ..self.current
            };
            // Without a dependency descriptor a frame speaks of its own layer or those above one
            // that is forwarded already, not of the layers between.
            let next = temporal == now + 1 && facts.temporal == temporal;
            let from_here = facts.temporal <= now || next;
            facts.switches.contains(wanted)
                && (facts.picture.frame.is_some() || from_here)
                && !self.left_out.breaks(facts)
        };
        [goal, now + 1]
            .into_iter()
            .find(|&temporal| can_reach(temporal))
            .unwrap_or(now)
    }
}

/// What was left out of the encoding since its last keyframe.
#[derive(Debug, Default)]
struct LeftOut {
    /// Newest frame number, where there is a dependency descriptor.
    newest: u16,
    /// Bit n: the frame n before the newest was left out.
    frames: u64,
    /// Bit n: a frame of spatial layer n was left out that its temporal layers should have had.
    spatial: u8,
}

impl LeftOut {
    /// A keyframe: what was before counts no more.
    fn restart(&mut self, facts: &FrameFacts) {
        *self = Self {
            newest: facts.picture.frame.unwrap_or_default(),
            ..Self::default()
        };
    }

    /// Whether a frame depends on one that was left out.
    #[inline]
    fn breaks(&self, facts: &FrameFacts) -> bool {
        let Some(number) = facts.picture.frame else {
            return false;
        };
        let ahead = number.wrapping_sub(self.newest).cast_signed();
        let dependencies = match u32::from(ahead.unsigned_abs()) {
            64.. => 0,
            distance if ahead >= 0 => facts.depends_on >> distance,
            distance => facts.depends_on << distance,
        };
        dependencies & self.frames != 0
    }

    #[inline]
    fn note(&mut self, facts: &FrameFacts, left_out: bool, layer: Layer) {
        let Some(number) = facts.picture.frame else {
            if left_out && facts.temporal <= layer.temporal {
                self.spatial |= 1 << (facts.spatial & 7);
            }
            return;
        };
        let ahead = number.wrapping_sub(self.newest).cast_signed();
        let distance = u32::from(ahead.unsigned_abs());
        if ahead > 0 {
            self.frames = self.frames.checked_shl(distance).unwrap_or(0);
            self.newest = number;
        }
        let bit = if ahead > 0 { 0 } else { distance };
        if left_out && bit < 64 {
            self.frames |= 1 << bit;
        }
    }

    /// Whether nothing of this spatial layer and those below it was left out, where there is no
    /// dependency descriptor to tell.
    fn spares_spatial(&self, highest: u8) -> bool {
        self.spatial & ((2_u8 << (highest & 3)) - 1) == 0
    }
}

/// Whether one RTP timestamp comes after another (wrapping).
fn is_after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}

#[cfg(test)]
mod tests;
