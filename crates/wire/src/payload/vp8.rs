//! VP8 (RFC 7741 §4).

use super::{PictureId, Reader, Tl0PicIdx};
use crate::ParseError;

/// Payload descriptor of one packet, and what the payload header behind it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vp8 {
    /// The frame may be dropped without harm to others (N).
    pub non_reference: bool,
    /// The packet begins a partition (S).
    pub partition_start: bool,
    /// Which partition (PID), 0..=7.
    pub partition: u8,
    /// PictureID.
    pub picture_id: Option<PictureId>,
    /// TL0PICIDX.
    pub tl0_pic_idx: Option<Tl0PicIdx>,
    /// Temporal layer, 0..=3; 0 when the descriptor has none.
    pub temporal: u8,
    /// The frame depends on the base layer only: receivers may switch up here (Y).
    pub layer_sync: bool,
    /// Temporal key frame index, 0..=31.
    pub key_idx: Option<u8>,
    /// The packet begins a keyframe. Its later packets cannot be told from others.
    pub keyframe_start: bool,
    /// Width and height in pixels, where a keyframe begins.
    pub size: Option<(u16, u16)>,
    /// Where the bitstream begins, in bytes.
    pub descriptor_len: u8,
}

impl Vp8 {
    /// Parses an RTP payload.
    ///
    /// # Errors
    /// When the payload ends within the descriptor or right behind it.
    pub fn parse(payload: &[u8]) -> Result<Self, ParseError> {
        let mut bytes = Reader::new(payload);
        let first = bytes.byte()?;
        let mut found = Self {
            non_reference: first & 0x20 != 0,
            partition_start: first & 0x10 != 0,
            partition: first & 0x07,
            picture_id: None,
            tl0_pic_idx: None,
            temporal: 0,
            layer_sync: false,
            key_idx: None,
            keyframe_start: false,
            size: None,
            descriptor_len: 0,
        };
        let extended = first & 0x80 != 0;
        let present = if extended { bytes.byte()? } else { 0 };
        if present & 0x80 != 0 {
            found.picture_id = Some(PictureId::parse(&mut bytes)?);
        }
        if present & 0x40 != 0 {
            found.tl0_pic_idx = Some(Tl0PicIdx::parse(&mut bytes)?);
        }
        if present & 0x30 != 0 {
            let byte = bytes.byte()?;
            if present & 0x20 != 0 {
                found.temporal = byte >> 6;
                found.layer_sync = byte & 0x20 != 0;
            }
            found.key_idx = (present & 0x10 != 0).then_some(byte & 0x1f);
        }
        found.descriptor_len = bytes.offset();
        let bitstream = bytes.rest.first().ok_or(ParseError::TooShort)?;
        // Inverse key frame flag of the payload header, RFC 7741 §4.3.
        if found.starts_frame() && bitstream & 0x01 == 0 {
            found.keyframe_start = true;
            found.size = keyframe_size(bytes.rest);
        }
        Ok(found)
    }

    /// Whether this is the first packet of its frame.
    #[must_use]
    pub const fn starts_frame(&self) -> bool {
        self.partition_start && self.partition == 0
    }
}

/// Width and height in a keyframe's header (RFC 6386 §9.1), without the scaling bits.
fn keyframe_size(frame: &[u8]) -> Option<(u16, u16)> {
    match *frame {
        [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] => Some((
            u16::from_le_bytes([w0, w1]) & 0x3fff,
            u16::from_le_bytes([h0, h1]) & 0x3fff,
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 320x180 keyframe's first bytes.
    const KEYFRAME: [u8; 10] = [0x50, 0x3c, 0x01, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00];

    #[test]
    fn full_descriptor_is_read_field_by_field() {
        let payload = [&[0xb0, 0xf0, 0x92, 0x34, 0x56, 0x67][..], &[0x01]].concat();
        let found = Vp8::parse(&payload).unwrap();
        let expected = Vp8 {
            non_reference: true,
            partition_start: true,
            partition: 0,
            picture_id: Some(PictureId {
                value: 0x1234,
                wide: true,
                at: 2,
            }),
            tl0_pic_idx: Some(Tl0PicIdx { value: 0x56, at: 4 }),
            temporal: 1,
            layer_sync: true,
            key_idx: Some(7),
            keyframe_start: false,
            size: None,
            descriptor_len: 6,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn one_byte_descriptor_of_a_keyframe_gives_its_size() {
        let payload = [&[0x10][..], &KEYFRAME].concat();
        let found = Vp8::parse(&payload).unwrap();
        assert!(found.keyframe_start && found.starts_frame());
        assert_eq!(found.size, Some((320, 180)));
        assert_eq!(found.descriptor_len, 1);
        // The same bytes within a partition, or in another one, are not a frame's start.
        for first in [0x00, 0x11] {
            let payload = [&[first][..], &KEYFRAME].concat();
            assert!(!Vp8::parse(&payload).unwrap().keyframe_start);
        }
    }

    #[test]
    fn fields_are_where_the_presence_bits_put_them() {
        // Short picture id alone; TL0PICIDX and TID; KEYIDX alone.
        let found = Vp8::parse(&[0x80, 0x80, 0x11, 0]).unwrap();
        let id = found.picture_id.unwrap();
        assert_eq!((id.value, id.wide, id.at), (0x11, false, 2));
        let found = Vp8::parse(&[0x80, 0x60, 9, 0xdf, 0]).unwrap();
        assert_eq!(found.tl0_pic_idx, Some(Tl0PicIdx { value: 9, at: 2 }));
        assert_eq!((found.temporal, found.layer_sync), (3, false));
        assert_eq!(found.key_idx, None);
        let found = Vp8::parse(&[0x80, 0x10, 0xff, 0]).unwrap();
        assert_eq!((found.temporal, found.layer_sync), (0, false));
        assert_eq!(found.key_idx, Some(31));
    }

    #[test]
    fn numbers_are_patched_in_place() {
        let mut payload = [0x90, 0xe0, 0x92, 0x34, 0x56, 0x00, 0x01];
        let found = Vp8::parse(&payload).unwrap();
        found.picture_id.unwrap().patch(&mut payload, 0x7fff);
        found.tl0_pic_idx.unwrap().patch(&mut payload, 0xff);
        assert_eq!(payload, [0x90, 0xe0, 0xff, 0xff, 0xff, 0x00, 0x01]);
        found.picture_id.unwrap().patch(&mut payload, 0x8001);
        assert_eq!(payload[2..4], [0x80, 0x01]);

        let mut payload = [0x90, 0x80, 0x12, 0x01];
        let found = Vp8::parse(&payload).unwrap();
        found.picture_id.unwrap().patch(&mut payload, 0x1fe);
        assert_eq!(payload, [0x90, 0x80, 0x7e, 0x01]);
        found.picture_id.unwrap().patch(&mut payload[..2], 1);
    }

    #[test]
    fn cut_descriptors_and_missing_bitstream_are_refused() {
        let payload = [0xb0, 0xf0, 0x92, 0x34, 0x56, 0x67, 0x01];
        for len in 0..payload.len() {
            let cut = Vp8::parse(&payload[..len]);
            assert_eq!(cut, Err(ParseError::TooShort), "{len} bytes");
        }
        // A keyframe may be cut behind its first byte: the size is then unknown.
        let found = Vp8::parse(&[0x10, 0x50]).unwrap();
        assert!(found.keyframe_start);
        assert_eq!(found.size, None);
    }
}
