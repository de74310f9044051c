//! Frames from the packets of one encoding, in order and without gaps, in the form that containers
//! want.
//!
//! Each codec's [`Depacketizer`] collects one frame at a time into one buffer. Who calls says where
//! packets are missing ([`Depacketizer::reset`]); then everything up to the next keyframe is of no use,
//! which is for the caller to know, too.

mod av1;
mod bits;
mod h264;
mod vp8;
mod vp9;

use crosspoint_wire::codec::{Codec, MediaKind};

use crate::matroska::{EntryKind, TrackEntry};

/// Largest frame that is kept; a larger one is given up. A 4K keyframe is about 1 MiB.
const FRAME_BYTES_MAX: usize = 16 << 20;

/// Duration of Opus frames that fill gaps, in microseconds.
pub(crate) const SILENCE_US: u64 = 20_000;

/// 20 ms of silence: one fullband CELT frame that codes nothing (RFC 6716 §3.1).
pub(crate) const OPUS_SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// A packet's part of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fragment<'a> {
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload: &'a [u8],
}

/// A whole frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) keyframe: bool,
    pub(crate) data: &'a [u8],
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Depacketizer {
    codec: Codec,
    frame: Assembly,
    parameters: h264::ParameterSets,
    /// The frame is whole, and its place can be used for the next.
    whole: bool,
    /// Packets of the frame with this timestamp are missing.
    torn: Option<u32>,
}

/// The frame under way.
#[derive(Debug, Default)]
struct Assembly {
    timestamp: Option<u32>,
    keyframe: bool,
    data: Vec<u8>,
    /// Where parts begin: spatial layers (VP9), the OBU that is not complete (AV1).
    marks: Vec<usize>,
    /// The frame cannot be completed.
    spoilt: bool,
}

impl Depacketizer {
    pub(crate) fn new(codec: Codec) -> Self {
        Self {
            codec,
            frame: Assembly::default(),
            parameters: h264::ParameterSets::default(),
            whole: false,
            torn: None,
        }
    }

    /// Forgets the frame under way: packets of it are missing.
    pub(crate) fn reset(&mut self) {
        if !self.whole {
            // The rest of it may still come.
            self.torn = self.frame.timestamp;
        }
        self.frame.clear();
        self.whole = false;
    }

    /// Takes the next packet; true when that was the last of a frame.
    pub(crate) fn push(&mut self, fragment: Fragment<'_>) -> bool {
        let other = self.frame.timestamp != Some(fragment.timestamp);
        if self.whole || other {
            // Markers are where frames end in every encoder that is in use: a frame without an end
            // is not a whole one.
            self.frame.clear();
            self.whole = false;
        }
        if fragment.payload.is_empty() {
            return false;
        }
        self.frame.timestamp = Some(fragment.timestamp);
        self.frame.spoilt |= self.torn == self.frame.timestamp;
        let added = match self.codec {
            Codec::Opus | Codec::Pcmu | Codec::Pcma => {
                self.frame.keyframe = true;
                self.frame.data.extend_from_slice(fragment.payload);
                Some(())
            }
            Codec::Vp8 => vp8::add(&mut self.frame, fragment.payload),
            Codec::Vp9 => vp9::add(&mut self.frame, fragment.payload),
            Codec::H264 => h264::add(&mut self.frame, &mut self.parameters, fragment.payload),
            Codec::Av1 => av1::add(&mut self.frame, fragment.payload),
        };
        if added.is_none() || self.frame.data.len() > FRAME_BYTES_MAX {
            self.frame.spoilt = true;
        }
        self.whole = fragment.marker || self.codec.kind() == MediaKind::Audio;
        if self.whole && self.codec == Codec::Vp9 {
            vp9::finish(&mut self.frame);
        }
        self.frame().is_some()
    }

    /// The frame that became whole by the last packet.
    pub(crate) fn frame(&self) -> Option<Frame<'_>> {
        let frame = &self.frame;
        (self.whole && !frame.spoilt && !frame.data.is_empty()).then_some(Frame {
            keyframe: frame.keyframe,
            data: &frame.data,
        })
    }

    /// What a file says of the track, from its first keyframe. `None` while that does not say
    /// enough. `declared`: size in pixels as the publisher said, for want of better.
    pub(crate) fn track_entry(&self, keyframe: &[u8], declared: (u32, u32)) -> Option<TrackEntry> {
        let video = |codec_id, webm, private, size: Option<(u32, u32)>| {
            let (width, height) = size.unwrap_or(declared);
            TrackEntry {
                codec_id,
                webm,
                private,
                kind: EntryKind::Video {
                    width: width.max(1),
                    height: height.max(1),
                },
            }
        };
        Some(match self.codec {
            Codec::Opus => TrackEntry {
                codec_id: "A_OPUS",
                webm: true,
                private: opus_head(),
                kind: EntryKind::Audio {
                    rate_hz: 48_000,
                    channels: 2,
                },
            },
            Codec::Pcmu => g711(7),
            Codec::Pcma => g711(6),
            Codec::Vp8 => video("V_VP8", true, Vec::new(), vp8::size(keyframe)),
            Codec::Vp9 => video("V_VP9", true, Vec::new(), vp9::size(keyframe)),
            Codec::H264 => {
                let (private, size) = self.parameters.configuration()?;
                video("V_MPEG4/ISO/AVC", false, private, size)
            }
            Codec::Av1 => {
                let (private, size) = av1::configuration(keyframe)?;
                video("V_AV1", false, private, size)
            }
        })
    }
}

impl Assembly {
    fn clear(&mut self) {
        self.timestamp = None;
        self.keyframe = false;
        self.data.clear();
        self.marks.clear();
        self.spoilt = false;
    }
}

/// What decoders need before the first frame, and the picture's size in pixels if it is known.
type Configuration = (Vec<u8>, Option<(u32, u32)>);

/// `OpusHead` (RFC 7845 §5.1): stereo, which any Opus stream can be decoded to; nothing is skipped at
/// the front, since a recording begins in the middle of a stream.
fn opus_head() -> Vec<u8> {
    let mut head = b"OpusHead\x01\x02".to_vec();
    head.extend(0_u16.to_le_bytes());
    head.extend(48_000_u32.to_le_bytes());
    head.extend([0, 0, 0]);
    head
}

/// G.711 by its number in Microsoft's WAVEFORMATEX.
fn g711(format: u16) -> TrackEntry {
    let mut private = Vec::new();
    private.extend(format.to_le_bytes());
    private.extend(1_u16.to_le_bytes());
    private.extend(8000_u32.to_le_bytes());
    private.extend(8000_u32.to_le_bytes());
    private.extend(1_u16.to_le_bytes());
    private.extend(8_u16.to_le_bytes());
    private.extend(0_u16.to_le_bytes());
    TrackEntry {
        codec_id: "A_MS/ACM",
        webm: false,
        private,
        kind: EntryKind::Audio {
            rate_hz: 8000,
            channels: 1,
        },
    }
}

/// How long an audio packet sounds, in microseconds; 20 ms when it does not say.
pub(crate) fn audio_duration_us(codec: Codec, payload: &[u8]) -> u64 {
    match codec {
        Codec::Opus => opus_duration_us(payload).unwrap_or(SILENCE_US),
        _ => payload.len() as u64 * 125,
    }
}

/// RFC 6716 §3.1.
fn opus_duration_us(packet: &[u8]) -> Option<u64> {
    let &toc = packet.first()?;
    let frame_us = match toc >> 3 {
        config @ 0..=11 => [10_000, 20_000, 40_000, 60_000].get(usize::from(config & 3))?,
        config @ 12..=15 => [10_000, 20_000].get(usize::from(config & 1))?,
        config => [2_500, 5_000, 10_000, 20_000].get(usize::from(config & 3))?,
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(packet.get(1)? & 0x3f),
    };
    // A packet holds at most 120 ms.
    (1..=120_000)
        .contains(&(frame_us * frames))
        .then_some(frame_us * frames)
}

#[cfg(test)]
mod tests;
