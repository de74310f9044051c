//! VP8 (RFC 7741): the frame is what stands behind the payload descriptors.

use crosspoint_wire::payload::vp8::Vp8;

use super::Assembly;

/// `None`: the packet does not fit. Frames end at a marker.
pub(super) fn add(frame: &mut Assembly, payload: &[u8]) -> Option<()> {
    let found = Vp8::parse(payload).ok()?;
    if frame.data.is_empty() {
        if !found.starts_frame() {
            return None;
        }
        frame.keyframe = found.keyframe_start;
    }
    let bitstream = payload.get(usize::from(found.descriptor_len)..)?;
    frame.data.extend_from_slice(bitstream);
    Some(())
}

/// Pixels of a keyframe (RFC 6386 §9.1).
pub(super) fn size(keyframe: &[u8]) -> Option<(u32, u32)> {
    match *keyframe {
        [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] => Some((
            u32::from(u16::from_le_bytes([w0, w1]) & 0x3fff),
            u32::from(u16::from_le_bytes([h0, h1]) & 0x3fff),
        )),
        _ => None,
    }
}
