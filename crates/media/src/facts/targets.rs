//! A dependency descriptor's decode targets, as sets of receivers.
//!
//! A structure numbers its decode targets as it likes. Receivers are known by the highest layer
//! that they take instead: each is served by the best target that is produced and that it can
//! take, so that what a frame is to targets becomes what it is to receivers, and a slot need not
//! know any structure.

use crosspoint_wire::dd::{DECODE_TARGETS_MAX, DecodeTarget, Dependencies, Frame, Indication};

use crate::config::Layer;
use crate::layer::LayerSet;

/// How far back a frame's dependencies are told apart, in frames: two thirds of a second with
/// three spatial layers at 30 frames/s. Older ones are taken for forwarded.
const DEPENDENCIES_BACK_MAX: u16 = 63;

/// The descriptors of one encoding: what they refer to, and whom its targets serve.
#[derive(Debug)]
pub(super) struct Targets {
    pub(super) dependencies: Dependencies,
    /// Frame number of the newest descriptor; `None` before the first.
    pub(super) newest: Option<u16>,
    active: u32,
    /// For each target the receivers that it serves.
    served: [LayerSet; DECODE_TARGETS_MAX],
}

impl Default for Targets {
    fn default() -> Self {
        Self {
            dependencies: Dependencies::new(),
            newest: None,
            active: 0,
            served: [LayerSet::NONE; DECODE_TARGETS_MAX],
        }
    }
}

impl Targets {
    /// Follows the structure after a descriptor was read that may have changed it.
    pub(super) fn follow(&mut self, frame: &Frame) {
        let active = self.dependencies.active_decode_targets();
        if !frame.structure_attached && active == self.active {
            return;
        }
        self.active = active;
        self.served = [LayerSet::NONE; DECODE_TARGETS_MAX];
        let Some(structure) = self.dependencies.structure() else {
            return;
        };
        let targets = structure.decode_targets();
        for receiver in LayerSet::ALL.iter() {
            let target = best_for(targets, active, receiver);
            if let Some(served) = target.and_then(|index| self.served.get_mut(index)) {
                served.insert(receiver);
            }
        }
    }

    /// Receivers whose target has the frame, and those for whom all later frames of their target
    /// depend on nothing before it.
    pub(super) fn receivers(&self, frame: &Frame) -> (LayerSet, LayerSet) {
        let (mut present, mut switches) = (LayerSet::NONE, LayerSet::NONE);
        for (target, &served) in (0..).zip(&self.served) {
            match frame.indication(target) {
                Indication::NotPresent => {}
                Indication::Switch => {
                    present = present.union(served);
                    switches = switches.union(served);
                }
                Indication::Discardable | Indication::Required => present = present.union(served),
            }
        }
        (present, switches)
    }
}

/// The target that serves a receiver best; if none is low enough for it, the lowest.
fn best_for(targets: &[DecodeTarget], active: u32, receiver: Layer) -> Option<usize> {
    let produced = || {
        let produced = targets.iter().enumerate();
        produced.filter(|(index, _)| active & (1 << index) != 0)
    };
    let order = |(_, target): &(usize, &DecodeTarget)| (target.spatial, target.temporal);
    let takes = |(_, target): &(usize, &DecodeTarget)| {
        target.spatial <= receiver.spatial && target.temporal <= receiver.temporal
    };
    let best = produced().filter(takes).max_by_key(order);
    best.or_else(|| produced().min_by_key(order))
        .map(|(index, _)| index)
}

/// The frames that one depends on: bit n for the frame n before it.
pub(super) fn dependencies_of(frame: &Frame) -> u64 {
    frame
        .frame_diffs()
        .filter(|&diff| diff <= DEPENDENCIES_BACK_MAX)
        .fold(0, |bits, diff| bits | (1 << diff))
}
