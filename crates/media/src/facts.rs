//! What forwarding needs to know of a packet, found out once when it arrives.
//!
//! [`FrameFacts`] says where a packet stands in its frame and layers, and at which bytes of its
//! payload descriptor the numbers stand that have to be rewritten. [`ForwardedExtensions`] keeps
//! the header extensions that travel on to the subscribers. Every slot, relay and tap works from
//! these two; nobody behind the cache looks into a payload again.

mod targets;

use crosspoint_wire::ParseError;
use crosspoint_wire::codec::{Codec, MediaKind};
use crosspoint_wire::dd::ActiveField;
use crosspoint_wire::ext::ExtensionKind;
use crosspoint_wire::payload::av1::Av1;
use crosspoint_wire::payload::h264::H264;
use crosspoint_wire::payload::vp8::Vp8;
use crosspoint_wire::payload::vp9::Vp9;
use crosspoint_wire::payload::{PictureId, Tl0PicIdx};

pub(crate) use self::targets::{ActiveTargets, Told};
use self::targets::{Targets, TargetsField, dependencies_of};
use crate::config::Layer;
use crate::layer::{LayerSet, SPATIAL_LAYERS_MAX};

/// Where a packet stands in its stream, and what in its payload changes from slot to slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameFacts {
    /// The packet belongs to a frame that can be decoded without any earlier one. Certain for the
    /// first packet of a frame; of VP8, H264 and AV1 the later ones cannot always be told.
    pub(crate) keyframe: bool,
    /// The first packet of its frame (of one spatial layer).
    pub(crate) first_of_frame: bool,
    /// Spatial layer, 0 = lowest.
    pub(crate) spatial: u8,
    /// Temporal layer, 0 = lowest.
    pub(crate) temporal: u8,
    /// The last packet of its frame (of one spatial layer), where the codec tells.
    pub(crate) end_of_frame: bool,
    /// Receivers, named by the highest layer that they take, who are to have it.
    pub(crate) present: LayerSet,
    /// Receivers to be who may begin here: later frames of theirs depend on nothing before.
    pub(crate) switches: LayerSet,
    /// Frames that it depends on, where there is a dependency descriptor: bit n for the frame
    /// n before it.
    pub(crate) depends_on: u64,
    /// Numbers in the payload descriptor that count pictures.
    pub(crate) picture: PictureFields,
    /// Where the dependency descriptor says what can be decoded, if there is one.
    pub(crate) targets: Option<TargetsField>,
}

impl FrameFacts {
    /// Of sound: every packet stands for itself.
    const SOUND: Self = Self {
        keyframe: true,
        first_of_frame: true,
        ..Self::ORDINARY
    };

    /// Nothing special is known of it: everybody is to have it.
    const ORDINARY: Self = Self {
        keyframe: false,
        first_of_frame: false,
        spatial: 0,
        temporal: 0,
        end_of_frame: false,
        present: LayerSet::ALL,
        switches: LayerSet::NONE,
        depends_on: 0,
        picture: PictureFields {
            id: None,
            tl0: None,
            named_by_distance: false,
            frame: None,
        },
        targets: None,
    };
}

impl Default for FrameFacts {
    fn default() -> Self {
        Self::ORDINARY
    }
}

/// The picture counters of a VP8 or VP9 payload descriptor and where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PictureFields {
    /// Picture id (RFC 7741 §4.2, RFC 9628 §4.2), if present.
    pub(crate) id: Option<PictureId>,
    /// TL0PICIDX, if present.
    pub(crate) tl0: Option<Tl0PicIdx>,
    /// Other pictures name this one by the difference of their ids (P_DIFF and the picture groups
    /// of VP9), so that ids must keep their distances even over pictures that are left out.
    pub(crate) named_by_distance: bool,
    /// Frame number of the dependency descriptor, if there is one. Like named ids it keeps its
    /// distances.
    pub(crate) frame: Option<u16>,
}

/// What to write over the [`PictureFields`] of one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PicturePatch {
    /// New picture id; for a narrow field its low 7 bits are written.
    pub(crate) id: u16,
    /// New TL0PICIDX.
    pub(crate) tl0: u8,
    /// New frame number of the dependency descriptor.
    pub(crate) frame: u16,
    /// Who is told there what can be decoded.
    pub(crate) told: Told,
}

impl PictureFields {
    /// Writes `patch` into `payload`, which is a copy of the payload that the fields were found in.
    pub(crate) fn write(&self, patch: PicturePatch, payload: &mut [u8]) {
        if let Some(id) = self.id {
            id.patch(payload, patch.id);
        }
        if let Some(tl0) = self.tl0 {
            tl0.patch(payload, patch.tl0);
        }
    }
}

/// Most bytes of a dependency descriptor that leaves.
pub(crate) const DESCRIPTOR_BYTES_MAX: usize = EXTENSION_BYTES_MAX + ActiveField::GROWTH_MAX;

impl FrameFacts {
    /// Copies the dependency descriptor that the facts were found in as `patch` wants it: its
    /// second and third byte, and what of the encoding's `targets` can be decoded. Returns the
    /// copy's length.
    pub(crate) fn write_descriptor(
        &self,
        patch: PicturePatch,
        targets: Option<&ActiveTargets>,
        descriptor: &[u8],
        copy: &mut [u8; DESCRIPTOR_BYTES_MAX],
    ) -> Option<usize> {
        let of_packet = self.targets.as_ref().zip(targets);
        let told = of_packet.and_then(|(at, targets)| Some((at, patch.told.active(targets, at)?)));
        let len = match told {
            Some((at, active)) => at.field.write(descriptor, active, copy).ok()?,
            None => {
                copy.get_mut(..descriptor.len())?
                    .copy_from_slice(descriptor);
                descriptor.len()
            }
        };
        if self.picture.frame.is_some() {
            copy.get_mut(1..3)?
                .copy_from_slice(&patch.frame.to_be_bytes());
        }
        Some(len)
    }
}

/// A frame that is further behind the newest is not late: its encoder counts anew. Frames are
/// repaired for a second, and nobody sends more than this many in one.
const LATE_FRAMES_MAX: u16 = 240;

/// Width and height in pixels.
pub(crate) type Size = (u16, u16);

/// Reads the facts of one encoding's packets, in the order in which they arrive.
#[derive(Debug, Default)]
pub(crate) struct FactsReader {
    /// The H264 encoder sends parameter sets in band.
    parameter_sets: bool,
    /// Made with the first dependency descriptor: most streams have none.
    targets: Option<Box<Targets>>,
    /// Nothing else tells the layers apart.
    described_only: bool,
    /// Highest spatial layer of a VP9 stream, as its structure says.
    vp9_top: u8,
    /// Pictures' sizes by spatial layer, as the stream itself says.
    sizes: [Option<Size>; SPATIAL_LAYERS_MAX as usize],
}

impl FactsReader {
    /// How large the pictures of a spatial layer are, if the stream said so.
    pub(crate) fn size(&self, spatial: u8) -> Option<Size> {
        self.sizes.get(usize::from(spatial)).copied().flatten()
    }

    /// Whether only receivers that take dependency descriptors can tell the layers apart.
    pub(crate) fn are_described_only(&self) -> bool {
        self.described_only
    }

    /// What receivers can decode, of a stream with dependency descriptors.
    pub(crate) fn active_targets(&self) -> Option<&ActiveTargets> {
        self.targets.as_ref().map(|targets| &targets.active)
    }

    /// The facts of a packet; of one that is not understood, that it is nothing special. With a
    /// dependency descriptor the payload is not asked what it is: it may be encrypted end to end.
    /// Only where the packetizer's picture counters stand is read, since they are in the clear.
    pub(crate) fn read(
        &mut self,
        codec: Codec,
        payload: &[u8],
        extensions: &ForwardedExtensions,
    ) -> FrameFacts {
        if codec.kind() == MediaKind::Video
            && let Some(descriptor) = extensions.get(ExtensionKind::DependencyDescriptor)
        {
            self.described_only = codec == Codec::Av1;
            let mut facts = self.descriptor_facts(descriptor).unwrap_or_default();
            facts.picture = picture_fields(codec, payload);
            // Known even of a frame whose structure is not.
            facts.picture.frame = frame_number(descriptor);
            return facts;
        }
        let facts = match codec {
            Codec::Opus | Codec::Pcmu | Codec::Pcma => Ok(FrameFacts::SOUND),
            Codec::Vp8 => Vp8::parse(payload).map(|packet| {
                self.note_size(0, packet.size);
                vp8_facts(packet)
            }),
            Codec::Vp9 => Vp9::parse(payload).map(|packet| self.vp9_facts(packet)),
            Codec::H264 => H264::parse(payload).map(|unit| self.h264_facts(unit)),
            Codec::Av1 => Av1::parse(payload).map(av1_facts),
        };
        facts.unwrap_or_default()
    }

    fn descriptor_facts(&mut self, descriptor: &[u8]) -> Result<FrameFacts, ParseError> {
        let targets = self.targets.get_or_insert_default();
        let newest = targets.newest;
        let late = |number| {
            newest
                .is_some_and(|newest| (1..=LATE_FRAMES_MAX).contains(&newest.wrapping_sub(number)))
        };
        let is_late = frame_number(descriptor).is_some_and(late);
        let frame = if is_late {
            targets.dependencies.read_late(descriptor)?
        } else {
            let frame = targets.dependencies.read(descriptor)?;
            targets.newest = Some(frame.number);
            targets.follow(&frame);
            frame
        };
        let (present, switches) = targets.receivers(&frame);
        // A late structure is nobody's but its packet's.
        let field = (!(is_late && frame.structure_attached)).then(|| targets.field(&frame));
        if frame.structure_attached {
            for spatial in 0..SPATIAL_LAYERS_MAX {
                let structure = self.targets.as_ref().map(|t| &t.dependencies);
                let structure = structure.and_then(|dependencies| dependencies.structure());
                let size = structure.and_then(|structure| structure.size(spatial));
                self.note_size(spatial, size.and_then(narrow));
            }
        }
        Ok(FrameFacts {
            keyframe: frame.structure_attached,
            first_of_frame: frame.start,
            spatial: frame.spatial,
            temporal: frame.temporal,
            end_of_frame: frame.end,
            present,
            switches,
            depends_on: dependencies_of(&frame),
            picture: PictureFields::default(),
            targets: field,
        })
    }

    fn note_size(&mut self, spatial: u8, size: Option<Size>) {
        if let (Some(size), Some(known)) = (size, self.sizes.get_mut(usize::from(spatial))) {
            *known = Some(size);
        }
    }

    fn vp9_facts(&mut self, packet: Vp9) -> FrameFacts {
        if let Some(structure) = &packet.structure {
            self.vp9_top = (structure.spatial_layers - 1).min(SPATIAL_LAYERS_MAX - 1);
            for (spatial, &size) in
                (0..structure.spatial_layers).zip(structure.sizes.iter().flatten())
            {
                self.note_size(spatial, Some(size));
            }
        }
        vp9_facts(packet, self.vp9_top)
    }

    /// A receiver can begin with parameter sets, which encoders repeat in front of each IDR
    /// picture, or with the IDR picture itself where they went another way.
    fn h264_facts(&mut self, packet: H264) -> FrameFacts {
        self.parameter_sets |= packet.sps;
        self.note_size(0, packet.size);
        let beginning = packet.sps || !self.parameter_sets;
        FrameFacts {
            keyframe: packet.keyframe(),
            first_of_frame: packet.keyframe_start() && beginning,
            ..FrameFacts::default()
        }
    }
}

/// The counters of a payload descriptor; none where there is none.
fn picture_fields(codec: Codec, payload: &[u8]) -> PictureFields {
    let facts = match codec {
        Codec::Vp8 => Vp8::parse(payload).map(vp8_facts),
        Codec::Vp9 => Vp9::parse(payload).map(|packet| vp9_facts(packet, 0)),
        _ => return PictureFields::default(),
    };
    facts.unwrap_or_default().picture
}

/// AV1 RTP specification, appendix A.8.2: behind the first byte.
fn frame_number(descriptor: &[u8]) -> Option<u16> {
    let &[_, high, low] = descriptor.first_chunk()?;
    Some(u16::from_be_bytes([high, low]))
}

/// What fits into a size; encoders' limits are below it.
fn narrow((width, height): (u32, u32)) -> Option<Size> {
    Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?))
}

fn vp8_facts(packet: Vp8) -> FrameFacts {
    let layer = Layer::new(0, packet.temporal);
    FrameFacts {
        keyframe: packet.keyframe_start,
        first_of_frame: packet.starts_frame(),
        temporal: layer.temporal,
        present: LayerSet::from(layer),
        // RFC 7741 §4.2: it depends on the base layer alone, and so do those of its layer that
        // come after it. About the layers between the base and it this says nothing.
        switches: if packet.layer_sync {
            LayerSet::ALL.of_temporal(layer.temporal)
        } else {
            LayerSet::NONE
        },
        picture: PictureFields {
            id: packet.picture_id,
            tl0: packet.tl0_pic_idx,
            named_by_distance: false,
            frame: None,
        },
        ..FrameFacts::default()
    }
}

/// `top`: the stream's highest spatial layer.
fn vp9_facts(packet: Vp9, top: u8) -> FrameFacts {
    let layer = Layer::new(packet.spatial(), packet.temporal());
    let receivers = LayerSet::from(layer);
    FrameFacts {
        keyframe: packet.keyframe(),
        first_of_frame: packet.frame_start,
        spatial: layer.spatial,
        temporal: layer.temporal,
        end_of_frame: packet.frame_end,
        // Who takes a higher layer does without those that it is not predicted from. Nothing is
        // higher than the top.
        present: if packet.not_for_higher_spatial && layer.spatial < top {
            receivers.of_spatial(layer.spatial)
        } else {
            receivers
        },
        // RFC 9628 §4.2: pictures of higher temporal layers depend on no earlier ones of them.
        switches: if packet.layers.is_some_and(|l| l.switching_up_point) {
            LayerSet::from(Layer::new(0, layer.temporal.saturating_add(1)))
        } else {
            LayerSet::NONE
        },
        depends_on: 0,
        picture: PictureFields {
            id: packet.picture_id,
            tl0: packet.tl0_pic_idx,
            named_by_distance: true,
            frame: None,
        },
        targets: None,
    }
}

fn av1_facts(packet: Av1) -> FrameFacts {
    let (temporal, spatial) = packet.layers.unwrap_or_default();
    // Which of its layers a frame needs stands in the dependency descriptor only: without one
    // everybody gets all of them.
    let layer = Layer::new(spatial, temporal);
    FrameFacts {
        keyframe: packet.keyframe_start(),
        first_of_frame: !packet.continues,
        spatial: layer.spatial,
        temporal: layer.temporal,
        ..FrameFacts::default()
    }
}

/// Room for the extensions of one packet, kinds and lengths included. An L3T3 dependency
/// structure takes about 60 bytes, everything else together about 30.
const EXTENSION_BYTES_MAX: usize = 127;

/// Header extensions that go on to every subscriber that negotiated them, by kind rather than by
/// the publisher's ids. Kept inline: copied with the packet's entry, never allocated.
#[derive(Clone, Copy)]
pub(crate) struct ForwardedExtensions {
    len: u8,
    /// Records of kind, length, content.
    bytes: [u8; EXTENSION_BYTES_MAX],
}

impl ForwardedExtensions {
    /// The kinds that are kept. All others belong to one hop (MID, RID, congestion feedback)
    /// and are written anew.
    pub(crate) const KINDS: [ExtensionKind; 5] = [
        ExtensionKind::AudioLevel,
        ExtensionKind::AbsCaptureTime,
        ExtensionKind::PlayoutDelay,
        ExtensionKind::VideoOrientation,
        ExtensionKind::DependencyDescriptor,
    ];

    /// Keeps `content` of the extension `kind`. False, and nothing kept, when the kind does not
    /// travel on or the room is used up.
    pub(crate) fn push(&mut self, kind: ExtensionKind, content: &[u8]) -> bool {
        let start = usize::from(self.len);
        let end = start + 2 + content.len();
        let (true, Some(record), Ok(content_len), Ok(len)) = (
            Self::KINDS.contains(&kind),
            self.bytes.get_mut(start..end),
            u8::try_from(content.len()),
            u8::try_from(end),
        ) else {
            return false;
        };
        record[0] = kind as u8;
        record[1] = content_len;
        record[2..].copy_from_slice(content);
        self.len = len;
        true
    }

    /// What is kept, in the order in which it came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ExtensionKind, &[u8])> {
        let mut rest = self.records();
        core::iter::from_fn(move || {
            let (&[kind, len], tail) = rest.split_first_chunk::<2>()?;
            let (content, tail) = tail.split_at_checked(usize::from(len))?;
            rest = tail;
            Some((*ExtensionKind::ALL.get(usize::from(kind))?, content))
        })
    }

    /// What is kept, as records of kind, length and content.
    pub(crate) fn records(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The content of one kind.
    pub(crate) fn get(&self, kind: ExtensionKind) -> Option<&[u8]> {
        self.iter().find(|(k, _)| *k == kind).map(|(_, c)| c)
    }
}

impl Default for ForwardedExtensions {
    fn default() -> Self {
        Self {
            len: 0,
            bytes: [0; EXTENSION_BYTES_MAX],
        }
    }
}

impl core::fmt::Debug for ForwardedExtensions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
