use super::mux::EntryKind;
use super::*;

fn vp8() -> TrackEntry {
    TrackEntry {
        codec_id: "V_VP8",
        webm: true,
        private: Vec::new(),
        kind: EntryKind::Video {
            width: 640,
            height: 360,
        },
    }
}

/// A file of `seconds` at 25 frames a second with a keyframe each two seconds, written each
/// 400 ms; and its muxer.
fn file(entry: &TrackEntry, seconds: u64) -> (Muxer, Vec<u8>) {
    let (mut muxer, mut bytes) = Muxer::new(entry, 1_700_000_000_000_000);
    for n in 0..seconds * 25 {
        let frame = n.to_be_bytes();
        muxer.block(n * 40, n % 50 == 0, &frame);
        if n % 10 == 9 {
            bytes.extend_from_slice(muxer.unwritten());
            muxer.note_written();
        }
    }
    bytes.extend_from_slice(muxer.unwritten());
    muxer.note_written();
    (muxer, bytes)
}

fn close(bytes: &mut Vec<u8>, tail: Tail) {
    bytes.extend(tail.append);
    for (at, patch) in tail.patches {
        bytes[at as usize..at as usize + patch.len()].copy_from_slice(&patch);
    }
}

#[test]
fn a_closed_file_says_its_duration_and_where_to_seek() {
    for webm in [true, false] {
        let entry = TrackEntry { webm, ..vp8() };
        let (muxer, mut bytes) = file(&entry, 10);
        let tail = muxer.finish(webm, 10_000);
        close(&mut bytes, tail);
        let mut times = Vec::new();
        let found = scan(bytes.as_slice(), |at_ms| times.push(at_ms)).unwrap();
        assert!(found.closed);
        assert_eq!(found.doc_type, if webm { "webm" } else { "matroska" });
        assert_eq!(found.codec_id, "V_VP8");
        assert_eq!(found.duration_ms, Some(10_000));
        assert_eq!((found.blocks, found.keyframes), (250, 5));
        assert!(times.iter().copied().eq((0..250).map(|n| n * 40)));
        // Each cue leads to a cluster.
        for (_, offset) in found.cues {
            assert_eq!(bytes[offset as usize..][..4], [0x1f, 0x43, 0xb6, 0x75]);
        }
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_readable_up_to_its_last_whole_cluster() {
    let (_, bytes) = file(&vp8(), 4);
    let mut last = 0;
    for len in 250..bytes.len() {
        let found = scan(&bytes[..len], |_| {}).unwrap();
        assert!(!found.closed, "{len}");
        assert!(found.good_len <= len as u64);
        assert!(found.blocks >= last, "{len}");
        last = found.blocks;
    }
    assert!(last >= 90);
}

#[test]
fn what_a_scan_finds_closes_a_file_as_its_muxer_would_have() {
    let (muxer, bytes) = file(&vp8(), 10);
    let found = scan(bytes.as_slice(), |_| {}).unwrap();
    assert_eq!(found.length_ms(), 10_000);
    let mut by_scan = bytes[..found.good_len as usize].to_vec();
    close(
        &mut by_scan,
        Tail::new(true, 10_000, &found.cues, found.good_len),
    );
    let mut by_muxer = bytes;
    close(&mut by_muxer, muxer.finish(true, 10_000));
    assert_eq!(by_scan, by_muxer);
}

#[test]
fn closing_that_was_interrupted_is_done_again() {
    let (muxer, bytes) = file(&vp8(), 10);
    let tail = muxer.finish(true, 10_000);
    for len in [1, 20, tail.append.len()] {
        let mut half = bytes.clone();
        half.extend_from_slice(&tail.append[..len]);
        let found = scan(half.as_slice(), |_| {}).unwrap();
        assert!(!found.closed);
        assert_eq!(found.good_len, bytes.len() as u64);
    }
}

#[test]
fn other_files_are_refused() {
    assert!(scan(&b""[..], |_| {}).is_err());
    assert!(scan(&[0xff; 100][..], |_| {}).is_err());
    assert!(scan(&b"RIFF....WAVE"[..], |_| {}).is_err());
}
