//! VP9 (RFC 9628 §4).

use super::{PictureId, Reader, Tl0PicIdx};
use crate::ParseError;

/// Most spatial layers that a scalability structure can have.
const SPATIAL_LAYERS_MAX: usize = 8;

/// Payload descriptor of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vp9 {
    /// PictureID (I).
    pub picture_id: Option<PictureId>,
    /// The frame uses pictures before it for prediction (P).
    pub inter_picture: bool,
    /// Layers of the packet's frame; `None` when the descriptor has none (L).
    pub layers: Option<Layers>,
    /// References are listed packet by packet instead of following a structure (F).
    pub flexible: bool,
    /// First packet of a frame, that is of one spatial layer of a picture (B).
    pub frame_start: bool,
    /// Last packet of a frame (E).
    pub frame_end: bool,
    /// Higher spatial layers do not use this frame for prediction (Z).
    pub not_for_higher_spatial: bool,
    /// TL0PICIDX, in non-flexible mode.
    pub tl0_pic_idx: Option<Tl0PicIdx>,
    /// P_DIFFs of flexible mode: how many pictures back the references are, 1..=127. The first
    /// zero ends the list.
    pub references: [u8; 3],
    /// Scalability structure (V).
    pub structure: Option<Structure>,
    /// Where the bitstream begins, in bytes. More than 255 is possible.
    pub descriptor_len: u16,
}

/// Where a frame stands among the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers {
    /// TID, 0..=7.
    pub temporal: u8,
    /// SID, 0..=7.
    pub spatial: u8,
    /// Receivers of lower temporal layers may switch up to this one here (U).
    pub switching_up_point: bool,
    /// Uses the next lower spatial layer of the same picture (D).
    pub inter_layer: bool,
}

/// What a scalability structure (RFC 9628 §4.2.1) says about the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structure {
    /// Spatial layers, 1..=8.
    pub spatial_layers: u8,
    /// Width and height in pixels for each of them, lowest first, when given.
    pub sizes: Option<[(u16, u16); SPATIAL_LAYERS_MAX]>,
    /// Pictures in the group that describes the temporal structure; 0 when not given.
    pub group_len: u8,
}

impl Vp9 {
    /// Parses an RTP payload.
    ///
    /// # Errors
    /// When the payload ends within the descriptor or right behind it, when flexible mode comes
    /// without a picture id, or when it lists more than three references.
    pub fn parse(payload: &[u8]) -> Result<Self, ParseError> {
        let mut bytes = Reader::new(payload);
        let first = bytes.byte()?;
        let has = |bit: u8| first & bit != 0;
        let mut found = Self {
            picture_id: None,
            inter_picture: has(0x40),
            layers: None,
            flexible: has(0x10),
            frame_start: has(0x08),
            frame_end: has(0x04),
            not_for_higher_spatial: has(0x01),
            tl0_pic_idx: None,
            references: [0; 3],
            structure: None,
            descriptor_len: 0,
        };
        if has(0x80) {
            found.picture_id = Some(PictureId::parse(&mut bytes)?);
        } else if found.flexible {
            return Err(ParseError::Value);
        }
        if has(0x20) {
            let byte = bytes.byte()?;
            found.layers = Some(Layers {
                temporal: byte >> 5,
                spatial: (byte >> 1) & 0x07,
                switching_up_point: byte & 0x10 != 0,
                inter_layer: byte & 0x01 != 0,
            });
            if !found.flexible {
                found.tl0_pic_idx = Some(Tl0PicIdx::parse(&mut bytes)?);
            }
        }
        if found.flexible && found.inter_picture {
            found.references = parse_references(&mut bytes)?;
        }
        if has(0x02) {
            found.structure = Some(Structure::parse(&mut bytes)?);
        }
        if bytes.rest.is_empty() {
            return Err(ParseError::TooShort);
        }
        let len = payload.len() - bytes.rest.len();
        found.descriptor_len = u16::try_from(len).map_err(|_| ParseError::Limit)?;
        Ok(found)
    }

    /// Spatial layer, 0 without layers.
    #[must_use]
    pub fn spatial(&self) -> u8 {
        self.layers.map_or(0, |layers| layers.spatial)
    }

    /// Temporal layer, 0 without layers.
    #[must_use]
    pub fn temporal(&self) -> u8 {
        self.layers.map_or(0, |layers| layers.temporal)
    }

    /// Whether the packet's picture needs none before it. True for every packet of such a
    /// picture, of higher spatial layers, too: these still need the lower ones.
    #[must_use]
    pub const fn keyframe(&self) -> bool {
        !self.inter_picture
    }

    /// Whether a receiver can begin with this packet: the first of a keyframe's base layer.
    #[must_use]
    pub fn keyframe_start(&self) -> bool {
        self.keyframe() && self.frame_start && self.spatial() == 0
    }
}

fn parse_references(bytes: &mut Reader<'_>) -> Result<[u8; 3], ParseError> {
    let mut references = [0; 3];
    for reference in &mut references {
        let byte = bytes.byte()?;
        *reference = byte >> 1;
        if byte & 0x01 == 0 {
            return Ok(references);
        }
    }
    Err(ParseError::Limit)
}

impl Structure {
    fn parse(bytes: &mut Reader<'_>) -> Result<Self, ParseError> {
        let first = bytes.byte()?;
        let mut found = Self {
            spatial_layers: (first >> 5) + 1,
            sizes: None,
            group_len: 0,
        };
        if first & 0x10 != 0 {
            let mut sizes = [(0, 0); SPATIAL_LAYERS_MAX];
            for size in sizes.iter_mut().take(usize::from(found.spatial_layers)) {
                if let &[w0, w1, h0, h1] = bytes.take(4)? {
                    *size = (u16::from_be_bytes([w0, w1]), u16::from_be_bytes([h0, h1]));
                }
            }
            found.sizes = Some(sizes);
        }
        if first & 0x08 != 0 {
            found.group_len = bytes.byte()?;
            for _ in 0..found.group_len {
                let picture = bytes.byte()?;
                bytes.take(usize::from((picture >> 2) & 0x03))?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_flexible_descriptor_is_read_field_by_field() {
        // I P L B E, picture id 0x1234, TID 2 U SID 1 D, TL0PICIDX 9.
        let found = Vp9::parse(&[0xec, 0x92, 0x34, 0x53, 9, 0xaa]).unwrap();
        let expected = Vp9 {
            picture_id: Some(PictureId {
                value: 0x1234,
                wide: true,
                at: 1,
            }),
            inter_picture: true,
            layers: Some(Layers {
                temporal: 2,
                spatial: 1,
                switching_up_point: true,
                inter_layer: true,
            }),
            flexible: false,
            frame_start: true,
            frame_end: true,
            not_for_higher_spatial: false,
            tl0_pic_idx: Some(Tl0PicIdx { value: 9, at: 4 }),
            references: [0; 3],
            structure: None,
            descriptor_len: 5,
        };
        assert_eq!(found, expected);
        assert_eq!((found.spatial(), found.temporal()), (1, 2));
    }

    #[test]
    fn flexible_descriptor_lists_up_to_three_references_and_has_no_tl0picidx() {
        let found = Vp9::parse(&[0xf8, 0x11, 0x00, 0x03, 0x05, 0x06, 0xaa]).unwrap();
        assert_eq!(found.references, [1, 2, 3]);
        assert_eq!(found.tl0_pic_idx, None);
        assert_eq!(found.descriptor_len, 6);
        let id = found.picture_id.unwrap();
        assert_eq!((id.value, id.wide, id.at), (0x11, false, 1));
        let four = [0xf8, 0x11, 0x00, 0x03, 0x05, 0x07, 0x08, 0xaa];
        assert_eq!(Vp9::parse(&four), Err(ParseError::Limit));
        assert_eq!(Vp9::parse(&[0x18, 0xaa]), Err(ParseError::Value));
    }

    #[test]
    fn structure_gives_sizes_and_is_skipped_to_its_end() {
        // V, two layers with sizes, a group of two pictures with one and two references.
        let payload = [
            0x0a, 0x38, 0x01, 0x40, 0x00, 0xb4, 0x02, 0x80, 0x01, 0x68, 2, 0x04, 1, 0x28, 1, 2,
            0xaa,
        ];
        let found = Vp9::parse(&payload).unwrap();
        let structure = found.structure.unwrap();
        assert_eq!(structure.spatial_layers, 2);
        assert_eq!(structure.sizes.unwrap()[..2], [(320, 180), (640, 360)]);
        assert_eq!(structure.group_len, 2);
        assert_eq!(found.descriptor_len, 16);
        for len in 0..payload.len() {
            let cut = Vp9::parse(&payload[..len]);
            assert_eq!(cut, Err(ParseError::TooShort), "{len} bytes");
        }
    }

    #[test]
    fn the_longest_structure_is_read() {
        let mut payload = vec![0x02, 0xf8];
        payload.extend([0; 32]);
        payload.push(255);
        payload.extend([0x0c, 1, 2, 3].repeat(255));
        payload.push(0xaa);
        let found = Vp9::parse(&payload).unwrap();
        assert_eq!(usize::from(found.descriptor_len), payload.len() - 1);
    }

    #[test]
    fn only_the_base_layers_first_packet_starts_a_keyframe() {
        let start = |payload: &[u8]| Vp9::parse(payload).unwrap().keyframe_start();
        // B without P, without layers.
        assert!(start(&[0x08, 0xaa]));
        // SID 0.
        assert!(start(&[0x28, 0x00, 1, 0xaa]));
        // SID 1 of the same picture; not the first packet; inter-predicted.
        assert!(!start(&[0x28, 0x03, 1, 0xaa]));
        assert!(Vp9::parse(&[0x28, 0x03, 1, 0xaa]).unwrap().keyframe());
        assert!(!start(&[0x20, 0x00, 1, 0xaa]));
        assert!(!start(&[0x68, 0x00, 1, 0xaa]));
    }

    #[test]
    fn numbers_are_patched_in_place() {
        let mut payload = [0xec, 0x92, 0x34, 0x53, 9, 0xaa];
        let found = Vp9::parse(&payload).unwrap();
        found.picture_id.unwrap().patch(&mut payload, 0x0102);
        found.tl0_pic_idx.unwrap().patch(&mut payload, 10);
        assert_eq!(payload, [0xec, 0x81, 0x02, 0x53, 10, 0xaa]);
    }
}
