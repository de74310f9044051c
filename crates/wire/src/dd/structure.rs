//! The template dependency structure (appendix A.8.2), bounded in everything.

use super::{ChainDiffs, DECODE_TARGETS_MAX, FRAME_DIFFS_MAX, Indication, Indications};
use crate::ParseError;
use crate::bits::BitReader;

/// Most templates: their ids have six bits.
const TEMPLATES_MAX: usize = 64;
/// Most spatial layers (AV1 specification §6.2.3).
const SPATIAL_LAYERS_MAX: usize = 4;
/// Most temporal layers (AV1 specification §6.2.3).
const TEMPORAL_LAYERS_MAX: u8 = 8;

/// What frames of a coded video sequence may look like, and what can be decoded from them.
///
/// About 4 KiB, inline: a stream has one, replaced at keyframes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    template_id_offset: u8,
    template_count: u8,
    templates: [Template; TEMPLATES_MAX],
    spatial_layers: u8,
    decode_target_count: u8,
    decode_targets: [DecodeTarget; DECODE_TARGETS_MAX],
    chain_count: u8,
    /// Width and height minus one for each spatial layer.
    sizes: Option<[(u16, u16); SPATIAL_LAYERS_MAX]>,
}

/// A subset of layers that can be decoded on its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeTarget {
    /// Its highest spatial layer.
    pub spatial: u8,
    /// Its highest temporal layer.
    pub temporal: u8,
    /// The chain that shows whether it is still intact, when the structure has chains.
    pub protected_by: Option<u8>,
}

/// What a frame is unless its descriptor says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) spatial: u8,
    pub(super) temporal: u8,
    pub(super) indications: Indications,
    /// 1..=16 each; the first zero ends the list.
    pub(super) frame_diffs: [u8; FRAME_DIFFS_MAX],
    pub(super) chain_diffs: ChainDiffs,
}

impl Template {
    const NONE: Self = Self {
        spatial: 0,
        temporal: 0,
        indications: Indications(0),
        frame_diffs: [0; FRAME_DIFFS_MAX],
        chain_diffs: ChainDiffs {
            diffs: [0; DECODE_TARGETS_MAX],
            len: 0,
        },
    };
}

impl Structure {
    /// What can be decoded, in the order of indications.
    #[must_use]
    pub fn decode_targets(&self) -> &[DecodeTarget] {
        let count = usize::from(self.decode_target_count);
        self.decode_targets.get(..count).unwrap_or_default()
    }

    /// How many chains there are, 0..=32.
    #[must_use]
    pub const fn chain_count(&self) -> u8 {
        self.chain_count
    }

    /// Width and height in pixels of a spatial layer, when the structure knows.
    #[must_use]
    pub fn size(&self, spatial: u8) -> Option<(u32, u32)> {
        let sizes = self
            .sizes
            .as_ref()?
            .get(..usize::from(self.spatial_layers))?;
        let &(width, height) = sizes.get(usize::from(spatial))?;
        Some((u32::from(width) + 1, u32::from(height) + 1))
    }

    /// How many spatial layers its templates have, 1..=4.
    #[must_use]
    pub const fn spatial_layers(&self) -> u8 {
        self.spatial_layers
    }

    /// Mask of the decode targets that have no frame which `target` lacks: who has all of `target`
    /// can decode them.
    #[must_use]
    pub fn parts_of(&self, target: u8) -> u32 {
        let present = self.templates().iter().map(|t| t.indications.present());
        let lacking = present.filter(|present| present & (1 << (target & 31)) == 0);
        lacking.fold(self.all_decode_targets(), |parts, present| parts & !present)
    }

    pub(super) const fn decode_target_count(&self) -> u8 {
        self.decode_target_count
    }

    /// Mask with a bit for each decode target.
    pub(super) fn all_decode_targets(&self) -> u32 {
        u32::MAX >> (DECODE_TARGETS_MAX as u32 - u32::from(self.decode_target_count))
    }

    pub(super) fn template(&self, id: u8) -> Option<&Template> {
        let index = id.wrapping_sub(self.template_id_offset) & 0x3f;
        self.templates().get(usize::from(index))
    }

    fn templates(&self) -> &[Template] {
        let count = usize::from(self.template_count);
        self.templates.get(..count).unwrap_or_default()
    }

    fn templates_mut(&mut self) -> &mut [Template] {
        let count = usize::from(self.template_count);
        self.templates.get_mut(..count).unwrap_or_default()
    }

    fn decode_targets_mut(&mut self) -> &mut [DecodeTarget] {
        let count = usize::from(self.decode_target_count);
        self.decode_targets.get_mut(..count).unwrap_or_default()
    }
}

/// Parsing, one method for each part of `template_dependency_structure()`, in its order.
impl Structure {
    pub(super) fn parse(bits: &mut BitReader<'_>) -> Result<Self, ParseError> {
        let mut found = Self {
            template_id_offset: bits.read(6)? as u8,
            template_count: 0,
            templates: [Template::NONE; TEMPLATES_MAX],
            spatial_layers: 0,
            decode_target_count: bits.read(5)? as u8 + 1,
            decode_targets: [DecodeTarget::default(); DECODE_TARGETS_MAX],
            chain_count: 0,
            sizes: None,
        };
        found.parse_layers(bits)?;
        let decode_target_count = found.decode_target_count;
        for template in found.templates_mut() {
            template.indications = Indications::parse(bits, decode_target_count)?;
        }
        for template in found.templates_mut() {
            let mut slots = template.frame_diffs.iter_mut();
            while bits.flag()? {
                *slots.next().ok_or(ParseError::Limit)? = bits.read(4)? as u8 + 1;
            }
        }
        found.parse_chains(bits)?;
        found.find_target_layers();
        if bits.flag()? {
            found.parse_sizes(bits)?;
        }
        Ok(found)
    }

    /// Templates come in the order of their layers; each says how the next one's differ.
    fn parse_layers(&mut self, bits: &mut BitReader<'_>) -> Result<(), ParseError> {
        let (mut spatial, mut temporal) = (0u8, 0u8);
        for template in &mut self.templates {
            template.spatial = spatial;
            template.temporal = temporal;
            self.template_count += 1;
            self.spatial_layers = spatial + 1;
            match bits.read(2)? {
                0 => {}
                1 => temporal += 1,
                2 => {
                    temporal = 0;
                    spatial += 1;
                }
                _ => return Ok(()),
            }
            if temporal >= TEMPORAL_LAYERS_MAX || usize::from(spatial) >= SPATIAL_LAYERS_MAX {
                return Err(ParseError::Limit);
            }
        }
        Err(ParseError::Limit)
    }

    fn parse_chains(&mut self, bits: &mut BitReader<'_>) -> Result<(), ParseError> {
        let chain_count = bits.read_below(u32::from(self.decode_target_count) + 1)?;
        self.chain_count = chain_count as u8;
        if chain_count == 0 {
            return Ok(());
        }
        for target in self.decode_targets_mut() {
            target.protected_by = Some(bits.read_below(chain_count)? as u8);
        }
        let chain_count = self.chain_count;
        for template in self.templates_mut() {
            template.chain_diffs = ChainDiffs::parse(bits, chain_count, 4)?;
        }
        Ok(())
    }

    /// A target has the highest layers of the templates that are present in it.
    fn find_target_layers(&mut self) {
        let count = usize::from(self.template_count);
        let templates = self.templates.get(..count).unwrap_or_default();
        for (target, index) in self.decode_targets.iter_mut().zip(0u8..) {
            for template in templates {
                if template.indications.get(index) != Indication::NotPresent {
                    target.spatial = target.spatial.max(template.spatial);
                    target.temporal = target.temporal.max(template.temporal);
                }
            }
        }
    }

    fn parse_sizes(&mut self, bits: &mut BitReader<'_>) -> Result<(), ParseError> {
        let mut sizes = [(0, 0); SPATIAL_LAYERS_MAX];
        for size in sizes.iter_mut().take(usize::from(self.spatial_layers)) {
            *size = (bits.read(16)? as u16, bits.read(16)? as u16);
        }
        self.sizes = Some(sizes);
        Ok(())
    }
}
