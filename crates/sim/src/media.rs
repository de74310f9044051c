//! Synthetic media: what payloads hold, so that a receiver can tell what it got.
//!
//! Every payload carries a [`Stamp`]: which stream and packet it is, when it was captured, which
//! frame it is part of and which keyframe that frame builds on. Behind it stands a filler that
//! shows damage. VP8 payloads are real ones up to the bitstream (RFC 7741).

use crosspoint_wire::payload::vp8::Vp8;
use crosspoint_wire::time::Time;

/// What a payload says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Number of the source stream, unique in a world, also over restarts.
    pub stream: u32,
    /// Number of the packet in its stream, from 0.
    pub packet: u32,
    /// Number of the frame in its stream, from 0.
    pub frame: u32,
    /// Number of the keyframe that this frame builds on; its own for a keyframe.
    pub keyframe: u32,
    /// Which part of the frame, from 0, and of how many.
    pub part: u16,
    /// See `part`.
    pub parts: u16,
    /// When it was captured, in true time.
    pub captured: Time,
}

impl Stamp {
    /// Bytes of a stamp.
    pub const LEN: usize = 28;

    /// The frame is a keyframe.
    #[must_use]
    pub const fn is_keyframe(&self) -> bool {
        self.frame == self.keyframe
    }

    fn write(&self, out: &mut Vec<u8>) {
        for word in [self.stream, self.packet, self.frame, self.keyframe] {
            out.extend(word.to_be_bytes());
        }
        out.extend(self.part.to_be_bytes());
        out.extend(self.parts.to_be_bytes());
        out.extend(self.captured.as_micros().to_be_bytes());
    }

    fn read(bytes: &[u8; Self::LEN]) -> Self {
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap_or_default());
        let low = |at| word(at) as u16;
        Self {
            stream: word(0),
            packet: word(4),
            frame: word(8),
            keyframe: word(12),
            part: (word(16) >> 16) as u16,
            parts: low(16),
            captured: Time::from_micros((u64::from(word(20)) << 32) | u64::from(word(24))),
        }
    }

    fn filler(&self) -> u8 {
        (self.packet as u8).wrapping_mul(31) ^ self.stream as u8
    }
}

/// Numbers of a VP8 payload descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureNumbers {
    /// 15 bits.
    pub picture_id: u16,
    /// TL0PICIDX.
    pub tl0_pic_idx: u8,
}

/// A VP8 payload of about `len` bytes.
#[must_use]
pub fn vp8_payload(stamp: &Stamp, numbers: PictureNumbers, len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len.max(64));
    let [high, low] = numbers.picture_id.to_be_bytes();
    let first = if stamp.part == 0 { 0x90 } else { 0x80 };
    // Picture id, TL0PICIDX and temporal layer are present; the layer is 0.
    out.extend([first, 0xe0, 0x80 | high, low, numbers.tl0_pic_idx, 0]);
    // Frame tag and, as in a keyframe, start code and size (RFC 6386 §9.1).
    out.extend([u8::from(!stamp.is_keyframe()), 0, 0]);
    out.extend([0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01]);
    stamp.write(&mut out);
    out.resize(len.max(out.len()), stamp.filler());
    out
}

/// A payload of sound of about `len` bytes.
#[must_use]
pub fn audio_payload(stamp: &Stamp, len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len.max(Stamp::LEN));
    stamp.write(&mut out);
    out.resize(len.max(Stamp::LEN), stamp.filler());
    out
}

/// What a receiver finds in a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The stamp.
    pub stamp: Stamp,
    /// The descriptor's numbers, of VP8.
    pub numbers: Option<PictureNumbers>,
}

/// Reads a payload of VP8 or of sound; `None` when it is damaged.
#[must_use]
pub fn read_payload(payload: &[u8], is_video: bool) -> Option<Found> {
    let (body, numbers) = if is_video {
        let descriptor = Vp8::parse(payload).ok()?;
        let body = payload.get(usize::from(descriptor.descriptor_len) + 10..)?;
        let numbers = PictureNumbers {
            picture_id: descriptor.picture_id?.value,
            tl0_pic_idx: descriptor.tl0_pic_idx?.value,
        };
        (body, Some(numbers))
    } else {
        (payload, None)
    };
    let (stamp, filler) = body.split_first_chunk()?;
    let stamp = Stamp::read(stamp);
    let whole = filler.iter().all(|&b| b == stamp.filler());
    whole.then_some(Found { stamp, numbers })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_say_what_they_are_and_show_damage() {
        let stamp = Stamp {
            stream: 3,
            packet: 70_000,
            frame: 900,
            keyframe: 900,
            part: 0,
            parts: 7,
            captured: Time::from_micros(0x1_0000_0005),
        };
        let numbers = PictureNumbers {
            picture_id: 0x7abc,
            tl0_pic_idx: 9,
        };
        let mut video = vp8_payload(&stamp, numbers, 1000);
        let found = Found {
            stamp,
            numbers: Some(numbers),
        };
        assert_eq!(video.len(), 1000);
        assert_eq!(read_payload(&video, true), Some(found));
        assert!(Vp8::parse(&video).unwrap().keyframe_start);
        video[500] ^= 1;
        assert_eq!(read_payload(&video, true), None);
        let audio = audio_payload(&stamp, 80);
        assert_eq!(read_payload(&audio, false).unwrap().stamp, stamp);
    }
}
