//! A dependency descriptor's decode targets, as sets of receivers.
//!
//! A structure numbers its decode targets as it likes. Receivers are known by the highest layer
//! that they take instead: each is served by the best target that is produced and that it can
//! take, so that what a frame is to targets becomes what it is to receivers, and a slot need not
//! know any structure. The way back is taken when a packet leaves: each receiver is [`Told`]
//! what can be decoded from what it is sent.

use crosspoint_wire::dd::{
    ActiveField, DECODE_TARGETS_MAX, DecodeTarget, Dependencies, Frame, Indication,
};

use crate::config::Layer;
use crate::layer::{LAYERS_MAX, LayerSet};

/// How far back a frame's dependencies are told apart, in frames: two thirds of a second with
/// three spatial layers at 30 frames/s. Older ones are taken for forwarded.
const DEPENDENCIES_BACK_MAX: u16 = 63;

/// The descriptors of one encoding: what they refer to, and whom its targets serve.
#[derive(Debug)]
pub(super) struct Targets {
    pub(super) dependencies: Dependencies,
    /// Frame number of the newest descriptor; `None` before the first.
    pub(super) newest: Option<u16>,
    /// For each target the receivers that it serves.
    served: [LayerSet; DECODE_TARGETS_MAX],
    pub(super) active: ActiveTargets,
}

/// What receivers can decode of one encoding, bit i for target i.
#[derive(Debug)]
pub(crate) struct ActiveTargets {
    /// Which structure the targets belong to, counted.
    structure: u8,
    /// What is produced.
    produced: u32,
    /// Of that, by receiver, what has no frame that is not sent to it.
    decodable: [u32; LAYERS_MAX],
}

/// Where the descriptor of one packet says which targets are active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TargetsField {
    pub(crate) field: ActiveField,
    /// The structure that the packet belongs to.
    structure: u8,
}

impl ActiveTargets {
    /// What a packet with this field has to say to a receiver of `layer`. `None`: nothing,
    /// since all that is produced can be decoded, or the packet is older than the structure.
    fn of(&self, layer: Layer, field: &TargetsField) -> Option<u32> {
        let decodable = self.of_changed(layer, field)?;
        (decodable != self.produced).then_some(decodable)
    }

    /// The same where the receiver may have been told otherwise before.
    fn of_changed(&self, layer: Layer, field: &TargetsField) -> Option<u32> {
        let decodable = self.decodable.get(layer.index()).copied()?;
        (field.structure == self.structure).then_some(decodable)
    }
}

impl Default for Targets {
    fn default() -> Self {
        Self {
            dependencies: Dependencies::new(),
            newest: None,
            served: [LayerSet::NONE; DECODE_TARGETS_MAX],
            active: ActiveTargets {
                structure: 0,
                produced: 0,
                decodable: [0; LAYERS_MAX],
            },
        }
    }
}

impl Targets {
    /// Follows the structure after a descriptor was read that may have changed it.
    pub(super) fn follow(&mut self, frame: &Frame) {
        let produced = self.dependencies.active_decode_targets();
        if !frame.structure_attached && produced == self.active.produced {
            return;
        }
        let Some(structure) = self.dependencies.structure() else {
            return;
        };
        let active = &mut self.active;
        active.produced = produced;
        active.structure = active
            .structure
            .wrapping_add(u8::from(frame.structure_attached));
        self.served = [LayerSet::NONE; DECODE_TARGETS_MAX];
        for (receiver, decodable) in LayerSet::ALL.iter().zip(&mut active.decodable) {
            let best = best_for(structure.decode_targets(), produced, receiver);
            let served = best.and_then(|best| self.served.get_mut(usize::from(best)));
            if let Some(served) = served {
                served.insert(receiver);
            }
            *decodable = best.map_or(0, |best| produced & structure.parts_of(best));
        }
    }

    /// Where a packet with this frame names the targets.
    pub(super) fn field(&self, frame: &Frame) -> TargetsField {
        TargetsField {
            field: frame.active_field,
            structure: self.active.structure,
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

/// Whose decode targets a dependency descriptor names as active. One byte, since it is kept of
/// each packet that was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told(u8);

impl Told {
    const RECEIVER: u8 = 0x80;
    const CHANGED: u8 = 0x40;

    /// Those of a receiver of `layer`. `changed`: it may have been told otherwise before.
    pub(crate) const fn receiver(layer: Layer, changed: bool) -> Self {
        let changed = if changed { Self::CHANGED } else { 0 };
        Self(Self::RECEIVER | changed | layer.index() as u8)
    }

    /// What `targets` are active to it, if a packet with `field` has to say so.
    pub(super) fn active(self, targets: &ActiveTargets, field: &TargetsField) -> Option<u32> {
        let layer = Layer::at(self.0 & !(Self::RECEIVER | Self::CHANGED));
        match self.0 & (Self::RECEIVER | Self::CHANGED) {
            Self::RECEIVER => targets.of(layer, field),
            0 | Self::CHANGED => None,
            _ => targets.of_changed(layer, field),
        }
    }
}

/// The target that serves a receiver best; if none is low enough for it, the lowest.
fn best_for(targets: &[DecodeTarget], produced: u32, receiver: Layer) -> Option<u8> {
    let produced = || {
        let targets = (0_u8..).zip(targets);
        targets.filter(|(index, _)| produced & (1 << index) != 0)
    };
    let order = |(_, target): &(u8, &DecodeTarget)| (target.spatial, target.temporal);
    let takes = |(_, target): &(u8, &DecodeTarget)| {
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
