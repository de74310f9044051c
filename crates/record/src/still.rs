//! One keyframe as a file of its own, for decoders that take files: what a picture of the moment is
//! made from.

use crosspoint_wire::codec::{Codec, MediaKind};

use crate::depacketize::{Depacketizer, Fragment};
use crate::matroska::Muxer;

/// A Matroska file of the one frame whose RTP payloads these are, in order and complete. `None` when
/// they are no keyframe that a decoder could begin with.
#[must_use]
pub fn still(codec: Codec, payloads: &[Vec<u8>]) -> Option<Vec<u8>> {
    if codec.kind() != MediaKind::Video {
        return None;
    }
    let (last, others) = payloads.split_last()?;
    let mut depacketizer = Depacketizer::new(codec);
    let fragment = |payload, marker| Fragment {
        timestamp: 0,
        marker,
        payload,
    };
    for payload in others {
        depacketizer.push(fragment(payload, false));
    }
    depacketizer.push(fragment(last, true));
    let frame = depacketizer.frame().filter(|frame| frame.keyframe)?;
    let entry = depacketizer.track_entry(frame.data, (0, 0))?;
    let (mut muxer, mut file) = Muxer::new(&entry, 0);
    muxer.block(0, true, frame.data);
    file.extend_from_slice(muxer.unwritten());
    Some(file)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::matroska::scan;

    /// A VP8 keyframe of 64 x 48 in two packets, as RFC 7741 has them.
    fn vp8() -> Vec<Vec<u8>> {
        let first = [0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 0, 48, 0];
        vec![first.to_vec(), vec![0x00, 7, 7]]
    }

    #[test]
    fn a_keyframe_is_a_file_of_one_frame() {
        let file = still(Codec::Vp8, &vp8()).unwrap();
        let found = scan(Cursor::new(file), |_| {}).unwrap();
        assert_eq!((found.codec_id.as_str(), found.blocks), ("V_VP8", 1));
    }

    #[test]
    fn what_is_no_keyframe_is_none() {
        let [first, rest] = <[Vec<u8>; 2]>::try_from(vp8()).unwrap();
        let mut delta = first.clone();
        delta[1] |= 1;
        assert_eq!(still(Codec::Vp8, &[delta, rest.clone()]), None);
        assert_eq!(still(Codec::Vp8, &[rest]), None);
        assert_eq!(still(Codec::Vp8, &[]), None);
        assert_eq!(still(Codec::Opus, std::slice::from_ref(&first)), None);
        // Without parameter sets nothing can be made of a picture of H264.
        assert_eq!(still(Codec::H264, &[vec![0x65, 0x88, 0x84]]), None);
        assert_eq!(still(Codec::Av1, &[vec![0x10, 0x30]]), None);
    }
}
