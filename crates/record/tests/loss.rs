//! Pictures of which a tenth is lost: decoders find nothing to complain about, and the gaps of the
//! manifest are those of the wire.

mod common;

use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{Clip, batch, frames, push, request, track};
use crosspoint_record::manifest::{GapReason, Manifest, Reason, State};
use crosspoint_record::recorder::Recorder;
use crosspoint_record::verify::verify;
use crosspoint_wire::codec::Codec;

/// 10 s of 25 frames a second.
const FRAMES: u64 = 250;
const FRAME_US: u64 = 40_000;

/// Frames whose packets are handed over together, as a worker does: in 320 ms.
const TOGETHER: u64 = 8;

#[test]
fn a_tenth_lost_decodes_and_is_in_gaps_exactly() {
    let clip = Clip::encode();
    let clip = frames(&clip.path());
    let folder = tempfile::tempdir().unwrap();
    let (recorder, _events) = Recorder::start(folder.path(), 0).unwrap();
    let id = recorder.begin(request()).unwrap().id;
    recorder.track(&id, track(1, Codec::Vp8)).unwrap();
    let begun = Instant::now();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let zero_us = now.as_micros() as u64;

    let mut random = 1_u64;
    let mut sequence_number = 60_000;
    // The frames that lost packets, and how many.
    let mut lost = Vec::new();
    let mut pictures = batch(1);
    for n in 0..FRAMES {
        // A recorder lives in real time: it gives up what does not come for too long.
        let due = begun + Duration::from_micros(n * FRAME_US);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let payloads = &clip[n as usize % clip.len()];
        for (index, payload) in payloads.iter().enumerate() {
            sequence_number += 1;
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            // The ends are there, so that all that is lost is between frames that came.
            if random >> 33 < (1 << 31) / 10 && (25..FRAMES - 25).contains(&n) {
                lost.push(n);
                continue;
            }
            let marker = index + 1 == payloads.len();
            let at = zero_us + n * FRAME_US;
            let number = (sequence_number, n * 3600);
            push(&mut pictures, at, number, marker, payload);
        }
        if n % TOGETHER == TOGETHER - 1 || n == FRAMES - 1 {
            let due = core::mem::replace(&mut pictures, batch(1));
            recorder.door().hand_over(due).unwrap();
        }
    }
    assert!(lost.len() > 15, "only {} lost", lost.len());
    recorder.stop(&id, Reason::Stopped).unwrap();
    let path = folder.path().join(&id);
    let begun = Instant::now();
    let manifest = loop {
        let manifest = Manifest::read(&path).unwrap();
        if manifest.state == State::Composing {
            break manifest;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not end");
        std::thread::yield_now();
    };

    let [track] = manifest.tracks.as_slice() else {
        panic!("{:?}", manifest.tracks);
    };
    assert_eq!(track.lost_packets, lost.len() as u64);
    let [file] = manifest.files.as_slice() else {
        panic!("{:?}", manifest.files);
    };
    // From the recording's start.
    let zero_ms = (zero_us / 1000) as i64 - (manifest.started_us / 1000) as i64;
    let ms = |frame: u64| zero_ms + (frame * FRAME_US / 1000) as i64;
    let mut expected = lost.clone();
    for gap in &track.gaps {
        assert_eq!(gap.reason, GapReason::Loss);
        let (start, end) = (gap.start_ms as i64, (gap.start_ms + gap.duration_ms) as i64);
        let before = expected.len();
        expected.retain(|&frame| !(start < ms(frame) + 5 && ms(frame) < end + 5));
        assert_eq!(gap.packets, (before - expected.len()) as u64, "{gap:?}");
    }
    assert_eq!(expected, Vec::<u64>::new());
    assert!((file.duration_ms as i64 - 10_000).abs() < 1_000, "{file:?}");
    assert_eq!(verify(&path).unwrap(), Vec::<String>::new());
    let decoded = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-xerror", "-i"])
        .arg(path.join(&file.name))
        .args(["-fps_mode", "passthrough", "-enc_time_base", "-1"])
        .args(["-f", "null", "-"])
        .output()
        .unwrap();
    assert!(decoded.status.success());
    assert_eq!(String::from_utf8_lossy(&decoded.stderr), "");
}
