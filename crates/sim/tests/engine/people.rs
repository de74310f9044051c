//! Who takes part in these tests.

use core::time::Duration;

use crosspoint_media::config::CongestionFeedback;
use crosspoint_sim::publisher::{Clock, Names, Source, StartNumbers, TrackSpec};
use crosspoint_sim::{LinkConfig, PeerConfig};
use crosspoint_wire::ids::Mid;
use crosspoint_wire::time::Time;

pub(crate) const CAMERA: &str = "cam";
pub(crate) const MICROPHONE: &str = "mic";

pub(crate) fn mid(name: &str) -> Mid {
    Mid::new(name.as_bytes()).unwrap()
}

pub(crate) fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// VP8 at 30 frames/s in encodings of these bit rates.
pub(crate) fn camera(names: Names, bitrates: &[u64]) -> TrackSpec {
    TrackSpec {
        mid: mid(CAMERA),
        source: Source::Video {
            frame_rate: 30,
            bitrates: bitrates.to_vec(),
        },
        names,
        start: StartNumbers {
            sequence: 1000,
            timestamp: 77_000,
            picture_id: 500,
            tl0_pic_idx: 9,
        },
    }
}

pub(crate) fn microphone(level: fn(Time) -> Option<u8>) -> TrackSpec {
    TrackSpec {
        mid: mid(MICROPHONE),
        source: Source::Audio(level),
        names: Names::Declared,
        start: StartNumbers {
            sequence: 40_000,
            timestamp: 123_456,
            ..StartNumbers::default()
        },
    }
}

/// Speaks all the time.
pub(crate) fn speaking(_: Time) -> Option<u8> {
    Some(30)
}

/// Sends camera and microphone, receives nothing.
pub(crate) fn publisher(names: Names, bitrates: &[u64]) -> PeerConfig {
    PeerConfig {
        tracks: vec![camera(names, bitrates), microphone(speaking)],
        up: LinkConfig::delay_ms(25),
        down: LinkConfig::delay_ms(25),
        clock: Clock::default(),
        feedback: CongestionFeedback::TransportCc,
        ..PeerConfig::default()
    }
}

/// Receives, sends nothing.
pub(crate) fn viewer() -> PeerConfig {
    PeerConfig {
        audio_slots: 2,
        video_slots: 2,
        up: LinkConfig::delay_ms(25),
        down: LinkConfig::delay_ms(25),
        ..PeerConfig::default()
    }
}
