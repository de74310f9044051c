//! Sets of layers.
//!
//! Up to four spatial and eight temporal layers (what AV1 can have, and no codec has more in
//! practice) are 32 combinations: a set of them is one word, and whether a frame belongs to what
//! a slot forwards is one test of a bit.

use crate::config::Layer;

/// Most spatial layers of one encoding.
pub(crate) const SPATIAL_LAYERS_MAX: u8 = 4;
/// Most temporal layers of one encoding.
pub(crate) const TEMPORAL_LAYERS_MAX: u8 = 8;

/// Combinations of both.
pub(crate) const LAYERS_MAX: usize = 32;

impl Layer {
    /// All that there is.
    pub(crate) const TOP: Self = Self {
        spatial: SPATIAL_LAYERS_MAX - 1,
        temporal: TEMPORAL_LAYERS_MAX - 1,
    };

    /// A layer; what is beyond the limits counts as the highest.
    pub(crate) fn new(spatial: u8, temporal: u8) -> Self {
        Self {
            spatial: spatial.min(Self::TOP.spatial),
            temporal: temporal.min(Self::TOP.temporal),
        }
    }

    /// Its place among all combinations, spatial before temporal, below [`LAYERS_MAX`].
    pub(crate) const fn index(self) -> usize {
        (self.spatial as usize & 3) * 8 + (self.temporal as usize & 7)
    }

    /// The layer at this place.
    pub(crate) const fn at(index: u8) -> Self {
        Self {
            spatial: (index / 8) & 3,
            temporal: index % 8,
        }
    }
}

/// A set of layers, or of receivers named by the highest layer that they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LayerSet(u32);

impl LayerSet {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const ALL: Self = Self(u32::MAX);

    /// All layers that include `lowest`: as high in space and as high in time.
    pub(crate) const fn from(lowest: Layer) -> Self {
        let times = (0xff_u32 << lowest.temporal) & 0xff;
        Self((times * 0x0101_0101) & (u32::MAX << (8 * lowest.spatial as u32)))
    }

    /// Those of the set with this spatial layer.
    pub(crate) const fn of_spatial(self, spatial: u8) -> Self {
        Self(self.0 & (0xff << (8 * spatial as u32)))
    }

    /// Whether any of the set has this spatial layer.
    pub(crate) const fn has_spatial(self, spatial: u8) -> bool {
        self.of_spatial(spatial).0 != 0
    }

    /// Those of the set with this temporal layer.
    pub(crate) const fn of_temporal(self, temporal: u8) -> Self {
        Self(self.0 & (0x0101_0101 << temporal))
    }

    #[inline]
    pub(crate) const fn contains(self, layer: Layer) -> bool {
        self.0 & (1 << layer.index()) != 0
    }

    pub(crate) const fn insert(&mut self, layer: Layer) {
        self.0 |= 1 << layer.index();
    }

    pub(crate) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// In order, spatial before temporal.
    pub(crate) fn iter(self) -> impl Iterator<Item = Layer> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let index = (rest != 0).then(|| rest.trailing_zeros() as u8)?;
            rest &= rest - 1;
            Some(Layer::at(index))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_takes_a_layer_when_it_takes_as_much_of_both_kinds() {
        for layer in LayerSet::ALL.iter() {
            let takers = LayerSet::from(layer);
            for taker in LayerSet::ALL.iter() {
                let takes = taker.spatial >= layer.spatial && taker.temporal >= layer.temporal;
                assert_eq!(takers.contains(taker), takes, "{taker:?} of {layer:?}");
            }
        }
    }

    #[test]
    fn a_set_lists_what_was_put_into_it_in_order() {
        let mut set = LayerSet::NONE;
        for layer in [Layer::new(2, 1), Layer::new(0, 0), Layer::new(0, 2)] {
            set.insert(layer);
        }
        let listed: Vec<_> = set.iter().map(|l| (l.spatial, l.temporal)).collect();
        assert_eq!(listed, [(0, 0), (0, 2), (2, 1)]);
        assert_eq!(set.of_spatial(0).iter().count(), 2);
        assert_eq!(set.of_temporal(1).iter().count(), 1);
        assert_eq!(Layer::new(9, 9), Layer::TOP);
    }
}
