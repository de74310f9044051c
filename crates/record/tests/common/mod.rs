//! Real VP8 for recorders, as taps bring it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crosspoint_media::config::{PayloadConfig, RelayId};
use crosspoint_media::tap::{TapBatch, TapMessage, TapPacket};
use crosspoint_record::manifest::{Format, Mode, OnFailure, Participant};
use crosspoint_record::recorder::{Request, TrackRequest};
use crosspoint_wire::codec::{Codec, MediaKind, Profile};
use crosspoint_wire::time::NtpTime;

/// Real VP8, so that decoders have something to complain about: 4 s of 25 frames, a keyframe each second.
pub(crate) struct Clip {
    file: tempfile::TempDir,
}

impl Clip {
    pub(crate) fn encode() -> Self {
        let file = tempfile::tempdir().expect("a temporary folder");
        let source = "testsrc2=size=160x120:rate=25:duration=4";
        let status = Command::new("ffmpeg")
            .args(["-loglevel", "error", "-f", "lavfi", "-i", source])
            .args(["-c:v", "libvpx", "-g", "25", "-keyint_min", "25"])
            .args(["-deadline", "realtime", "-b:v", "200k"])
            .arg(file.path().join("clip.ivf"))
            .status()
            .expect("ffmpeg is needed");
        assert!(status.success(), "ffmpeg failed");
        Self { file }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.file.path().join("clip.ivf")
    }
}

/// The frames of a clip, each as the payloads of its packets (RFC 7741).
pub(crate) fn frames(clip: &Path) -> Vec<Vec<Vec<u8>>> {
    let file = std::fs::read(clip).expect("the clip");
    let mut rest = file.get(32..).unwrap_or_default();
    let mut frames = Vec::new();
    while let Some((len, tail)) = rest.split_first_chunk::<4>() {
        let len = u32::from_le_bytes(*len) as usize;
        let Some(frame) = tail.get(8..8 + len) else {
            break;
        };
        let payload = |(index, chunk): (usize, &[u8])| {
            let mut payload = vec![if index == 0 { 0x10 } else { 0x00 }];
            payload.extend_from_slice(chunk);
            payload
        };
        frames.push(frame.chunks(1000).enumerate().map(payload).collect());
        rest = &tail[8 + len..];
    }
    frames
}

pub(crate) fn request() -> Request {
    Request {
        room: "demo".to_owned(),
        room_sid: "RM_1".to_owned(),
        mode: Mode::Individual,
        format: Format::Webm,
        on_failure: OnFailure::Continue,
    }
}

pub(crate) fn track(relay: u64, codec: Codec) -> TrackRequest {
    TrackRequest {
        relay: RelayId(relay),
        sid: format!("TR_{relay}"),
        participant: Participant {
            identity: "bob".to_owned(),
            sid: "PA_1".to_owned(),
            name: String::new(),
        },
        kind: codec.kind(),
        source: match codec.kind() {
            MediaKind::Audio => "microphone",
            MediaKind::Video => "camera",
        },
        payloads: vec![PayloadConfig {
            payload_type: 96,
            codec,
            profile: Profile::None,
            rtx: None,
            nack: true,
            pli: true,
            fir: false,
            red: None,
        }],
        size: (0, 0),
        muted: false,
    }
}

/// An empty batch.
pub(crate) fn batch(relay: u64) -> TapBatch {
    TapBatch::new(RelayId(relay), Vec::new(), 0, None)
}

/// Appends a packet that arrived at `wall_us`, microseconds since the Unix epoch.
pub(crate) fn push(
    batch: &mut TapBatch,
    wall_us: u64,
    (sequence_number, timestamp): (u64, u64),
    marker: bool,
    payload: &[u8],
) {
    let message = TapMessage::Packet(TapPacket {
        encoding: 0,
        epoch: 0,
        marker,
        payload_type: 96,
        sequence_number: sequence_number as u16,
        timestamp: timestamp as u32,
        payload,
    });
    batch.push(NtpTime::from_unix_micros(wall_us), |to| message.write(to));
}
