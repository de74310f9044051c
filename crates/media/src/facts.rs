//! What forwarding needs to know of a packet, found out once when it arrives.
//!
//! [`FrameFacts`] says where a packet stands in its frame and layers, and at which bytes of its
//! payload descriptor the numbers stand that have to be rewritten. [`ForwardedExtensions`] keeps
//! the header extensions that travel on to the subscribers. Every slot, relay and tap works from
//! these two; nobody behind the cache looks into a payload again.

use crosspoint_wire::ext::ExtensionKind;

/// Where a packet stands in its stream, and what in its payload changes from slot to slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FrameFacts {
    /// The packet belongs to a frame that can be decoded without any earlier one.
    pub(crate) keyframe: bool,
    /// The first packet of its frame (of one spatial layer).
    pub(crate) first_of_frame: bool,
    /// The last packet of its frame (of one spatial layer).
    pub(crate) last_of_frame: bool,
    /// Spatial layer, 0 = lowest.
    pub(crate) spatial: u8,
    /// Temporal layer, 0 = lowest.
    pub(crate) temporal: u8,
    /// A receiver of lower temporal layers may take this layer from here on.
    pub(crate) switch_up: bool,
    /// No other frame depends on this one.
    pub(crate) discardable: bool,
    /// Numbers in the payload descriptor that count pictures.
    pub(crate) picture: PictureFields,
}

/// The picture counters of a VP8 or VP9 payload descriptor and where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PictureFields {
    /// Picture id (RFC 7741 §4.2, RFC 9628 §4.2), if present.
    pub(crate) id: Option<PictureId>,
    /// TL0PICIDX and its offset in the payload in bytes, if present.
    pub(crate) tl0: Option<(u8, u8)>,
}

/// A picture id and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PictureId {
    /// Its value; below 2^7 or 2^15.
    pub(crate) value: u16,
    /// Offset of its first byte in the payload.
    pub(crate) at: u8,
    /// 15 bits in two bytes rather than 7 bits in one.
    pub(crate) wide: bool,
    /// Other pictures name this one by the difference of their ids (P_DIFF of VP9), so that ids
    /// must keep their distances even over pictures that are left out.
    pub(crate) named_by_distance: bool,
}

/// What to write over the [`PictureFields`] of one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PicturePatch {
    /// New picture id; for a narrow field its low 7 bits are written.
    pub(crate) id: u16,
    /// New TL0PICIDX.
    pub(crate) tl0: u8,
}

impl PictureFields {
    /// Writes `patch` into `payload`, which is a copy of the payload that the fields were found in.
    pub(crate) fn write(&self, patch: PicturePatch, payload: &mut [u8]) {
        if let Some(id) = self.id {
            let at = usize::from(id.at);
            let [high, low] = patch.id.to_be_bytes();
            if id.wide {
                if let Some(field) = payload.get_mut(at..at + 2) {
                    field.copy_from_slice(&[0x80 | high, low]);
                }
            } else if let Some(field) = payload.get_mut(at) {
                *field = low & 0x7f;
            }
        }
        if let Some((_, at)) = self.tl0
            && let Some(field) = payload.get_mut(usize::from(at))
        {
            *field = patch.tl0;
        }
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
        let mut rest = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        core::iter::from_fn(move || {
            let (&[kind, len], tail) = rest.split_first_chunk::<2>()?;
            let (content, tail) = tail.split_at_checked(usize::from(len))?;
            rest = tail;
            Some((*ExtensionKind::ALL.get(usize::from(kind))?, content))
        })
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
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_the_counters_and_nothing_else() {
        let fields = PictureFields {
            id: Some(PictureId {
                value: 0x1234,
                at: 2,
                wide: true,
                named_by_distance: false,
            }),
            tl0: Some((7, 4)),
        };
        let mut payload = [0x90, 0xc0, 0x92, 0x34, 7, 0x60, 1, 2];
        fields.write(PicturePatch { id: 0x7fff, tl0: 9 }, &mut payload);
        assert_eq!(payload, [0x90, 0xc0, 0xff, 0xff, 9, 0x60, 1, 2]);
    }

    #[test]
    fn a_narrow_picture_id_keeps_its_width() {
        let fields = PictureFields {
            id: Some(PictureId {
                value: 5,
                at: 2,
                wide: false,
                named_by_distance: false,
            }),
            tl0: None,
        };
        let mut payload = [0x90, 0x80, 5, 0x42];
        fields.write(PicturePatch { id: 0x01ff, tl0: 9 }, &mut payload);
        assert_eq!(payload, [0x90, 0x80, 0x7f, 0x42]);
    }

    #[test]
    fn a_patch_beyond_the_payload_is_ignored() {
        let fields = PictureFields {
            id: Some(PictureId {
                value: 5,
                at: 3,
                wide: true,
                named_by_distance: false,
            }),
            tl0: Some((1, 9)),
        };
        let mut payload = [1, 2, 3, 4];
        fields.write(PicturePatch { id: 1, tl0: 1 }, &mut payload);
        assert_eq!(payload, [1, 2, 3, 4]);
    }

    #[test]
    fn extensions_come_back_as_they_went_in() {
        let mut kept = ForwardedExtensions::default();
        assert!(kept.push(ExtensionKind::AudioLevel, &[0x85]));
        assert!(kept.push(ExtensionKind::PlayoutDelay, &[1, 2, 3]));
        assert_eq!(
            kept.iter().collect::<Vec<_>>(),
            [
                (ExtensionKind::AudioLevel, &[0x85][..]),
                (ExtensionKind::PlayoutDelay, &[1, 2, 3][..]),
            ]
        );
        assert_eq!(kept.get(ExtensionKind::AudioLevel), Some(&[0x85][..]));
        assert_eq!(kept.get(ExtensionKind::AbsCaptureTime), None);
    }

    #[test]
    fn extensions_of_one_hop_and_oversized_ones_are_not_kept() {
        let mut kept = ForwardedExtensions::default();
        assert!(!kept.push(ExtensionKind::TransportCc, &[0, 1]));
        assert!(!kept.push(ExtensionKind::DependencyDescriptor, &[0; 126]));
        assert!(kept.push(ExtensionKind::DependencyDescriptor, &[7; 125]));
        assert!(!kept.push(ExtensionKind::AudioLevel, &[]));
        assert_eq!(kept.iter().count(), 1);
    }
}
