//! Dependency descriptor: the header extension of the AV1 RTP specification, appendix A, which
//! tells of any codec's frames what they depend on, without a look into the payload.
//!
//! Most descriptors name a template of a [`Structure`] that an earlier one brought along, so
//! reading them needs [`Dependencies`], the memory of one stream. It belongs to the caller. What
//! to forward is decided elsewhere; here is only what the bytes mean.

mod structure;

pub use structure::{DecodeTarget, Structure};

use crate::bits::{BitReader, BitWriter};
use crate::{BufferFull, ParseError};

/// Most frames that one frame may depend on. AV1 has seven references, VP9 three.
pub const FRAME_DIFFS_MAX: usize = 8;
/// Most decode targets, and chains, of a structure.
pub const DECODE_TARGETS_MAX: usize = 32;

/// What a frame is to a decode target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indication {
    /// Not part of it.
    NotPresent,
    /// Part of it, and nothing of it depends on the frame.
    Discardable,
    /// All later frames of it depend on nothing but this one and what follows: a receiver may
    /// switch to the target here.
    Switch,
    /// Part of it, and needed by others.
    Required,
}

/// A frame as one packet's descriptor gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// First packet of the frame.
    pub start: bool,
    /// Last packet of the frame.
    pub end: bool,
    /// Counts frames of the stream, wraps.
    pub number: u16,
    /// The descriptor brings a new structure: a coded video sequence, thus a keyframe, begins.
    pub structure_attached: bool,
    /// Which decode targets are produced from here on, bit i for target i, when it says so.
    pub active_decode_targets: Option<u32>,
    /// Where to say otherwise.
    pub active_field: ActiveField,
    /// Spatial layer, 0..=3.
    pub spatial: u8,
    /// Temporal layer, 0..=7.
    pub temporal: u8,
    /// Width and height in pixels of the frame's spatial layer, when the structure knows.
    pub size: Option<(u32, u32)>,
    indications: Indications,
    frame_diffs: FrameDiffs,
    chain_diffs: ChainDiffs,
}

impl Frame {
    /// What the frame is to decode target `target`; not present to targets that do not exist.
    #[must_use]
    pub const fn indication(&self, target: u8) -> Indication {
        self.indications.get(target)
    }

    /// How many frames back those are that this one depends on, 1..=4096.
    pub fn frame_diffs(&self) -> impl Iterator<Item = u16> {
        self.frame_diffs.into_iter().take_while(|&diff| diff != 0)
    }

    /// For each chain, how many frames back its previous frame is; 0 when the chain begins here.
    #[must_use]
    pub fn chain_diffs(&self) -> &[u8] {
        let ChainDiffs { diffs, len } = &self.chain_diffs;
        diffs.get(..usize::from(*len)).unwrap_or_default()
    }
}

/// Where a descriptor has its active decode targets, or would have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveField {
    /// Its first bit.
    at: u16,
    /// How many targets there are, thus bits, 1..=32.
    targets: u8,
}

/// Bits that every descriptor has, and the flags of one that has more (appendix A.8.2).
const MANDATORY_BITS: u32 = 24;
const FLAG_BITS: u32 = 5;

impl ActiveField {
    /// By how many bytes a descriptor grows at most that is to have the field.
    pub const GROWTH_MAX: usize = (FLAG_BITS as usize + DECODE_TARGETS_MAX).div_ceil(8);

    /// Copies `descriptor`, in which the field was found, so that it says which decode targets
    /// are `active`. Returns the copy's length.
    ///
    /// # Errors
    /// When `copy` has no room for it, or it is another descriptor, one that is shorter.
    pub fn write(
        self,
        descriptor: &[u8],
        active: u32,
        copy: &mut [u8],
    ) -> Result<usize, BufferFull> {
        let width = u32::from(self.targets);
        let mut from = BitReader::new(descriptor);
        let mut to = BitWriter::new(copy);
        to.copy(&mut from, MANDATORY_BITS)?;
        if from.left() == 0 {
            to.put(0b01000, FLAG_BITS)?;
            to.put(active, width)?;
            return Ok(to.len());
        }
        to.copy(&mut from, 1)?;
        let present = from.flag().map_err(|_| BufferFull)?;
        to.put(1, 1)?;
        let between = u32::from(self.at).checked_sub(MANDATORY_BITS + 2);
        to.copy(&mut from, between.ok_or(BufferFull)?)?;
        to.put(active, width)?;
        if present {
            from.read(width).map_err(|_| BufferFull)?;
        }
        let behind = from.left();
        to.copy(&mut from, behind)?;
        Ok(to.len())
    }
}

/// Reads the descriptors of one stream and remembers its structure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    structure: Option<Structure>,
    active_decode_targets: u32,
}

impl Dependencies {
    /// Before the first structure.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            structure: None,
            active_decode_targets: 0,
        }
    }

    /// Reads the descriptor of the newest packet, and takes over its structure and active decode
    /// targets if it has any. Nothing is taken over from a descriptor with an error.
    ///
    /// # Errors
    /// When the descriptor is cut short, exceeds a limit, or needs a structure or a template that
    /// is not known: the stream's beginning was lost.
    pub fn read(&mut self, descriptor: &[u8]) -> Result<Frame, ParseError> {
        let (frame, structure) = parse(descriptor, self.structure.as_ref())?;
        if structure.is_some() {
            self.structure = structure;
        }
        if let Some(active) = frame.active_decode_targets {
            self.active_decode_targets = active;
        }
        Ok(frame)
    }

    /// Reads the descriptor of a packet that newer ones have overtaken: what it brings along
    /// counts for itself alone.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_late(&self, descriptor: &[u8]) -> Result<Frame, ParseError> {
        parse(descriptor, self.structure.as_ref()).map(|(frame, _)| frame)
    }

    /// The structure that descriptors refer to now.
    #[must_use]
    pub const fn structure(&self) -> Option<&Structure> {
        self.structure.as_ref()
    }

    /// Which decode targets are produced now, bit i for target i.
    #[must_use]
    pub const fn active_decode_targets(&self) -> u32 {
        self.active_decode_targets
    }
}

/// Decode target indications, two bits each, target 0 lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Indications(u64);

impl Indications {
    fn parse(bits: &mut BitReader<'_>, decode_targets: u8) -> Result<Self, ParseError> {
        (0..decode_targets).try_fold(Self(0), |Self(packed), target| {
            let indication = u64::from(bits.read(2)?);
            Ok(Self(packed | (indication << (2 * target))))
        })
    }

    /// Mask of the targets that it is not "not present" to: either bit of theirs is set.
    const fn present(self) -> u32 {
        let mut bits = (self.0 | (self.0 >> 1)) & 0x5555_5555_5555_5555;
        // Every other bit, drawn together.
        bits = (bits | (bits >> 1)) & 0x3333_3333_3333_3333;
        bits = (bits | (bits >> 2)) & 0x0f0f_0f0f_0f0f_0f0f;
        bits = (bits | (bits >> 4)) & 0x00ff_00ff_00ff_00ff;
        bits = (bits | (bits >> 8)) & 0x0000_ffff_0000_ffff;
        (bits | (bits >> 16)) as u32
    }

    const fn get(self, target: u8) -> Indication {
        if target as usize >= DECODE_TARGETS_MAX {
            return Indication::NotPresent;
        }
        match (self.0 >> (2 * target)) & 3 {
            0 => Indication::NotPresent,
            1 => Indication::Discardable,
            2 => Indication::Switch,
            _ => Indication::Required,
        }
    }
}

/// The first zero ends the list.
type FrameDiffs = [u16; FRAME_DIFFS_MAX];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ChainDiffs {
    diffs: [u8; DECODE_TARGETS_MAX],
    len: u8,
}

impl ChainDiffs {
    /// `chains` numbers of `width` bits.
    fn parse(bits: &mut BitReader<'_>, chains: u8, width: u32) -> Result<Self, ParseError> {
        let mut diffs = [0; DECODE_TARGETS_MAX];
        for diff in diffs.iter_mut().take(usize::from(chains)) {
            *diff = bits.read(width)? as u8;
        }
        Ok(Self { diffs, len: chains })
    }
}

/// Appendix A.8.2: the order of fields is that of the specification's syntax.
fn parse(
    descriptor: &[u8],
    known: Option<&Structure>,
) -> Result<(Frame, Option<Structure>), ParseError> {
    let mut bits = BitReader::new(descriptor);
    let start = bits.flag()?;
    let end = bits.flag()?;
    let template_id = bits.read(6)? as u8;
    let number = bits.read(16)? as u16;

    // Three bytes are all that a frame needs that is just like its template.
    let extended = descriptor.len() as u32 * 8 > MANDATORY_BITS;
    let mut flag = || if extended { bits.flag() } else { Ok(false) };
    let structure_attached = flag()?;
    let active_targets_present = flag()?;
    let custom_indications = flag()?;
    let custom_frame_diffs = flag()?;
    let custom_chain_diffs = flag()?;

    let attached = if structure_attached {
        Some(Structure::parse(&mut bits)?)
    } else {
        None
    };
    let structure = attached.as_ref().or(known).ok_or(ParseError::Value)?;
    let at = if extended {
        descriptor.len() as u32 * 8 - bits.left()
    } else {
        MANDATORY_BITS + FLAG_BITS
    };
    let active_field = ActiveField {
        at: u16::try_from(at).map_err(|_| ParseError::Limit)?,
        targets: structure.decode_target_count(),
    };
    let active_decode_targets = if active_targets_present {
        Some(bits.read(u32::from(structure.decode_target_count()))?)
    } else {
        attached.as_ref().map(Structure::all_decode_targets)
    };

    let template = structure.template(template_id).ok_or(ParseError::Value)?;
    let indications = if custom_indications {
        Indications::parse(&mut bits, structure.decode_target_count())?
    } else {
        template.indications
    };
    let frame_diffs = if custom_frame_diffs {
        parse_frame_diffs(&mut bits)?
    } else {
        template.frame_diffs.map(u16::from)
    };
    let chain_diffs = if custom_chain_diffs {
        ChainDiffs::parse(&mut bits, structure.chain_count(), 8)?
    } else {
        template.chain_diffs
    };
    let frame = Frame {
        start,
        end,
        number,
        structure_attached,
        active_decode_targets,
        active_field,
        spatial: template.spatial,
        temporal: template.temporal,
        size: structure.size(template.spatial),
        indications,
        frame_diffs,
        chain_diffs,
    };
    Ok((frame, attached))
}

/// Frame differences of 4, 8 or 12 bits, each behind its size; size 0 ends the list.
fn parse_frame_diffs(bits: &mut BitReader<'_>) -> Result<FrameDiffs, ParseError> {
    let mut diffs = FrameDiffs::default();
    let mut slots = diffs.iter_mut();
    loop {
        let size = bits.read(2)?;
        if size == 0 {
            return Ok(diffs);
        }
        *slots.next().ok_or(ParseError::Limit)? = bits.read(4 * size)? as u16 + 1;
    }
}

#[cfg(test)]
mod tests;
