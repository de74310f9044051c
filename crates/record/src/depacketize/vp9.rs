//! VP9 (RFC 9628): the frames of all spatial layers of a picture, as one superframe.

use crosspoint_wire::payload::vp9::Vp9;

use super::Assembly;
use super::bits::Bits;

/// `None`: the packet does not fit. Pictures end at a marker.
pub(super) fn add(frame: &mut Assembly, payload: &[u8]) -> Option<()> {
    let found = Vp9::parse(payload).ok()?;
    if frame.data.is_empty() {
        if !found.frame_start {
            return None;
        }
        frame.keyframe = found.keyframe_start();
    }
    if found.frame_start {
        frame.marks.push(frame.data.len());
    }
    let bitstream = payload.get(usize::from(found.descriptor_len)..)?;
    frame.data.extend_from_slice(bitstream);
    Some(())
}

/// Appends the superframe index (annex B of the VP9 bitstream specification) when there are several
/// frames: decoders find them by it.
pub(super) fn finish(frame: &mut Assembly) {
    let count = frame.marks.len();
    if !(2..=8).contains(&count) {
        frame.spoilt |= count > 8;
        return;
    }
    let ends = frame.marks.iter().skip(1).copied();
    let ends: Vec<usize> = ends.chain([frame.data.len()]).collect();
    // Sizes in four bytes each.
    let marker = 0xc0 | 3 << 3 | (count - 1) as u8;
    frame.data.push(marker);
    for (begin, end) in frame.marks.iter().zip(ends) {
        let size = end.saturating_sub(*begin) as u32;
        frame.data.extend(size.to_le_bytes());
    }
    frame.data.push(marker);
}

/// Pixels of a keyframe: its uncompressed header (§6.2 of the bitstream specification).
pub(super) fn size(keyframe: &[u8]) -> Option<(u32, u32)> {
    let mut bits = Bits::new(keyframe);
    let _frame_marker = bits.take(2)?;
    let profile = bits.take(1)? | bits.take(1)? << 1;
    if profile == 3 {
        bits.bit()?;
    }
    let (show_existing, inter) = (bits.bit()?, bits.bit()?);
    if show_existing || inter {
        return None;
    }
    let _shown_and_resilient = bits.take(2)?;
    if bits.take(24)? != 0x49_83_42 {
        return None;
    }
    if profile >= 2 {
        bits.bit()?;
    }
    const SRGB: u32 = 7;
    if bits.take(3)? != SRGB {
        bits.bit()?;
        if profile == 1 || profile == 3 {
            bits.take(3)?;
        }
    } else if profile == 1 || profile == 3 {
        bits.bit()?;
    }
    Some((bits.take(16)? + 1, bits.take(16)? + 1))
}
