//! What publishers send: packetised frames, made once and shared by all of them.
//!
//! A [`Clip`] is either real media, encoded by ffmpeg from a synthetic source ([`encode`]), or has
//! only the *shape* of media: frames of an exact number of equal packets, for measurements that
//! must be comparable. Both are valid RTP payloads for whoever looks at their first bytes.
//!
//! A clip knows the payloads that it consists of, so a receiver that decrypts one can tell whether
//! it is intact ([`Clip::check`]). Packets with room for it end in a [`Stamp`]: when they were sent.

pub mod encode;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

use crosspoint_wire::codec::MediaKind;
use crosspoint_wire::payload::vp8::Vp8;
use crosspoint_wire::time::Time;

/// One RTP payload.
#[derive(Clone, Debug)]
pub struct Packet {
    /// For VP8 it begins with a descriptor as [`put_picture`] patches it.
    pub payload: Box<[u8]>,
    /// Whether the last [`Stamp::LEN`] bytes are free for a stamp.
    pub stamped: bool,
}

/// Packets with one timestamp.
#[derive(Clone, Debug)]
pub struct Frame {
    /// In the order of sending.
    pub packets: Vec<Packet>,
    /// Whether decoding may begin here.
    pub keyframe: bool,
}

/// A stretch of media that is sent over and over.
#[derive(Clone, Debug)]
pub struct Clip {
    /// VP8 or Opus.
    pub kind: MediaKind,
    /// At least one; the first is a keyframe.
    pub frames: Vec<Frame>,
    /// From frame to frame.
    pub interval: Duration,
    /// From frame to frame, in units of the RTP clock.
    pub ticks: u32,
    prints: HashSet<u64>,
}

/// Bytes of the VP8 descriptor in front of each packet: PictureID of 15 bits, TL0PICIDX, TID.
const DESCRIPTOR_LEN: usize = 6;

/// Bytes of an RTP payload such that the packet, with its header and extensions, has about 1200.
pub const PAYLOAD_BYTES: usize = 1168;

/// Bytes of an Opus-like payload: 64 kbit/s.
const AUDIO_BYTES: usize = 160;

/// From keyframe to keyframe of a shape.
const KEYFRAME_INTERVAL: Duration = Duration::from_secs(5);

/// What became of a payload on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// As it was sent; and when, if it says.
    Intact(Option<Time>),
    /// Not a payload of the clip.
    Corrupt,
}

impl Clip {
    /// Frames of exactly `packets` packets, `fps` of them a second, a keyframe each 5 s.
    #[must_use]
    pub fn video_shape(packets: usize, fps: u32) -> Self {
        let fps = fps.max(1);
        let frames = KEYFRAME_INTERVAL.as_secs() as u32 * fps;
        let frame = |number: u32| {
            let packets = (0..packets.max(1)).map(|index| {
                let mut payload = filler(number as usize * packets + index, PAYLOAD_BYTES);
                put_descriptor(&mut payload, index == 0);
                if index == 0 {
                    put_frame_tag(&mut payload, number == 0);
                }
                Packet {
                    payload: payload.into(),
                    stamped: true,
                }
            });
            Frame {
                packets: packets.collect(),
                keyframe: number == 0,
            }
        };
        Self::new(
            MediaKind::Video,
            (0..frames).map(frame).collect(),
            Duration::from_secs(1) / fps,
            90_000 / fps,
        )
    }

    /// 50 packets a second, as long as Opus packets of 64 kbit/s.
    #[must_use]
    pub fn audio_shape() -> Self {
        let frame = |number: usize| {
            let mut payload = filler(number, AUDIO_BYTES);
            // Table of contents: CELT, full band, 20 ms, stereo, one frame (RFC 6716 §3.1).
            payload[0] = 0xfc;
            Frame {
                packets: vec![Packet {
                    payload: payload.into(),
                    stamped: true,
                }],
                keyframe: true,
            }
        };
        let frames = (0..50).map(frame).collect();
        Self::new(MediaKind::Audio, frames, Duration::from_millis(20), 960)
    }

    /// Real VP8 frames, cut as libwebrtc cuts them: into packets that differ by one byte at most.
    /// The last packet of a frame has a stamp behind the bitstream, which decoders do not read.
    #[must_use]
    pub fn video(bitstreams: &[Vec<u8>], fps: u32) -> Self {
        let fps = fps.max(1);
        let frames = bitstreams.iter().map(|bitstream| {
            let mut bytes = bitstream.clone();
            bytes.resize(bytes.len() + Stamp::LEN, 0);
            let room = PAYLOAD_BYTES - DESCRIPTOR_LEN;
            let count = bytes.len().div_ceil(room).max(1);
            let (short, longer) = (bytes.len() / count, bytes.len() % count);
            let mut rest = &bytes[..];
            let packets = (0..count).map(|index| {
                let len = short + usize::from(index >= count - longer);
                let (piece, after) = rest.split_at(len);
                rest = after;
                let mut payload = vec![0; DESCRIPTOR_LEN];
                payload.extend_from_slice(piece);
                put_descriptor(&mut payload, index == 0);
                Packet {
                    payload: payload.into(),
                    // A stamp that is split over two packets is none.
                    stamped: index + 1 == count && piece.len() >= Stamp::LEN,
                }
            });
            Frame {
                packets: packets.collect(),
                keyframe: bitstream.first().is_some_and(|tag| tag & 1 == 0),
            }
        });
        Self::new(
            MediaKind::Video,
            frames.collect(),
            Duration::from_secs(1) / fps,
            90_000 / fps,
        )
    }

    /// Real Opus packets of 20 ms.
    #[must_use]
    pub fn audio(packets: Vec<Vec<u8>>) -> Self {
        let frames = packets.into_iter().map(|payload| Frame {
            packets: vec![Packet {
                payload: payload.into(),
                stamped: false,
            }],
            keyframe: true,
        });
        let interval = Duration::from_millis(20);
        Self::new(MediaKind::Audio, frames.collect(), interval, 960)
    }

    fn new(kind: MediaKind, frames: Vec<Frame>, interval: Duration, ticks: u32) -> Self {
        let mut clip = Self {
            kind,
            frames,
            interval,
            ticks,
            prints: HashSet::new(),
        };
        let packets = clip.frames.iter().flat_map(|frame| &frame.packets);
        clip.prints = packets
            .map(|packet| {
                let tail = if packet.stamped { Stamp::LEN } else { 0 };
                let len = packet.payload.len() - tail;
                print(clip.bitstream(&packet.payload[..len]))
            })
            .collect();
        clip
    }

    /// Compares a payload that was received with those of the clip.
    #[must_use]
    pub fn check(&self, payload: &[u8]) -> Check {
        let (body, stamp) = match payload.split_last_chunk() {
            Some((body, tail)) => match Stamp::read(tail) {
                Some(sent) => (body, Some(sent)),
                None => (payload, None),
            },
            None => (payload, None),
        };
        if self.prints.contains(&print(self.bitstream(body))) {
            Check::Intact(stamp)
        } else {
            Check::Corrupt
        }
    }

    /// Without the descriptor, whose numbers are rewritten on the way.
    fn bitstream<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        let len = match self.kind {
            MediaKind::Audio => 0,
            MediaKind::Video => {
                Vp8::parse(payload).map_or(0, |vp8| usize::from(vp8.descriptor_len))
            }
        };
        payload.get(len..).unwrap_or_default()
    }
}

/// When a packet was sent, in its last bytes.
#[derive(Debug)]
pub struct Stamp;

impl Stamp {
    /// In bytes.
    pub const LEN: usize = 16;
    const MARK: [u8; 8] = *b"crosspnt";

    /// Writes it over the end of `payload`.
    pub fn put(payload: &mut [u8], now: Time) {
        if let Some(tail) = payload.last_chunk_mut::<16>() {
            let (mark, time) = tail.split_at_mut(8);
            mark.copy_from_slice(&Self::MARK);
            time.copy_from_slice(&now.as_micros().to_be_bytes());
        }
    }

    fn read(tail: &[u8; Self::LEN]) -> Option<Time> {
        let (mark, time) = tail.split_first_chunk::<8>()?;
        let time = u64::from_be_bytes(time.try_into().ok()?);
        (*mark == Self::MARK).then_some(Time::from_micros(time))
    }
}

/// Numbers the frame of a VP8 packet of a clip.
pub fn put_picture(payload: &mut [u8], picture: u16) {
    if let Some([_, _, id_high, id_low, tl0, ..]) = payload.first_chunk_mut::<DESCRIPTOR_LEN>() {
        [*id_high, *id_low] = (picture | 0x8000).to_be_bytes();
        *tl0 = picture as u8;
    }
}

/// X; S if it is the frame's first; I, L and T.
fn put_descriptor(payload: &mut [u8], first: bool) {
    if let Some(descriptor) = payload.first_chunk_mut::<DESCRIPTOR_LEN>() {
        *descriptor = [0x80 | (u8::from(first) << 4), 0xe0, 0x80, 0, 0, 0];
    }
}

/// What stands at the start of a VP8 frame (RFC 6386 §9.1), so that the shape of a keyframe is
/// taken for one.
fn put_frame_tag(payload: &mut [u8], keyframe: bool) {
    let tag = [
        0x10 | u8::from(!keyframe),
        0x02,
        0x00,
        0x9d,
        0x01,
        0x2a,
        0x80,
        0x02,
        0x68,
        0x01,
    ];
    let len = if keyframe { tag.len() } else { 3 };
    if let Some(start) = payload.get_mut(DESCRIPTOR_LEN..DESCRIPTOR_LEN + len) {
        start.copy_from_slice(&tag[..len]);
    }
}

/// Bytes that differ from packet to packet.
fn filler(seed: usize, len: usize) -> Vec<u8> {
    let mut state = seed as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let byte = |_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(byte).collect()
}

fn print(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(clip: &Clip, frame: usize, packet: usize) -> Vec<u8> {
        let packet = &clip.frames[frame].packets[packet];
        let mut payload = packet.payload.to_vec();
        if clip.kind == MediaKind::Video {
            put_picture(&mut payload, 4711);
        }
        if packet.stamped {
            Stamp::put(&mut payload, Time::from_millis(7));
        }
        payload
    }

    #[test]
    fn what_was_sent_is_recognised_with_its_time() {
        let clip = Clip::video_shape(8, 25);
        let at = Some(Time::from_millis(7));
        assert_eq!(clip.check(&sent(&clip, 3, 7)), Check::Intact(at));
        let clip = Clip::audio_shape();
        assert_eq!(clip.check(&sent(&clip, 9, 0)), Check::Intact(at));
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let clip = Clip::video_shape(8, 25);
        let mut payload = sent(&clip, 3, 7);
        payload[100] ^= 1;
        assert_eq!(clip.check(&payload), Check::Corrupt);
    }

    #[test]
    fn shapes_are_vp8_with_keyframes() {
        let clip = Clip::video_shape(2, 25);
        let key = Vp8::parse(&sent(&clip, 0, 0)).unwrap();
        assert!(key.keyframe_start);
        assert_eq!(key.size, Some((640, 360)));
        assert_eq!(usize::from(key.descriptor_len), DESCRIPTOR_LEN);
        let delta = Vp8::parse(&sent(&clip, 1, 0)).unwrap();
        assert!(delta.starts_frame() && !delta.keyframe_start);
        assert!(!Vp8::parse(&sent(&clip, 1, 1)).unwrap().starts_frame());
    }

    #[test]
    fn real_frames_are_cut_evenly_and_stamped_at_their_end() {
        let clip = Clip::video(&[vec![0; 5000], vec![1; 10]], 25);
        let lengths: Vec<_> = clip.frames[0]
            .packets
            .iter()
            .map(|p| p.payload.len())
            .collect();
        assert_eq!(lengths.len(), 5);
        assert!(lengths.iter().all(|len| len.abs_diff(lengths[0]) <= 1));
        assert!(clip.frames[0].keyframe && !clip.frames[1].keyframe);
        assert!(matches!(
            clip.check(&sent(&clip, 0, 4)),
            Check::Intact(Some(_))
        ));
        assert_eq!(clip.check(&sent(&clip, 0, 0)), Check::Intact(None));
    }
}
