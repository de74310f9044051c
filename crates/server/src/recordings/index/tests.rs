use crosspoint_record::manifest::{Format, Gap, GapReason, Mode, OnFailure, Reason, Track};

use super::*;

fn manifest(n: u64, state: State) -> Manifest {
    Manifest {
        version: 1,
        id: format!("RC_{n:012}"),
        room: if n.is_multiple_of(2) { "even" } else { "odd" }.to_owned(),
        room_sid: "RM_1".to_owned(),
        mode: Mode::Individual,
        format: Format::Webm,
        on_failure: OnFailure::Continue,
        state,
        reason: Some(Reason::Stopped),
        started_at: String::new(),
        started_us: n * 1_000_000,
        ended_at: None,
        duration_ms: 0,
        bytes: 0,
        participants: Vec::new(),
        tracks: vec![Track {
            sid: "TR_1".to_owned(),
            identity: "bob".to_owned(),
            kind: "audio".to_owned(),
            source: "microphone".to_owned(),
            start_ms: 0,
            end_ms: 0,
            reason: None,
            packets: 0,
            lost_packets: 0,
            gaps: vec![Gap {
                start_ms: 0,
                duration_ms: 20,
                reason: GapReason::Loss,
                packets: 1,
            }],
            gaps_omitted: 0,
        }],
        files: Vec::new(),
        progress: None,
        target: None,
    }
}

fn make(folder: &Path, manifest: &Manifest) {
    let folder = folder.join(&manifest.id);
    std::fs::create_dir_all(&folder).unwrap();
    manifest.write(&folder, false).unwrap();
}

async fn numbers(index: &Index, room: Option<&str>) -> Vec<u64> {
    let found = index.list(room.map(str::to_owned)).await.unwrap();
    assert!(
        found
            .iter()
            .all(|manifest| manifest.tracks[0].gaps.is_empty())
    );
    found.iter().map(|m| m.started_us / 1_000_000).collect()
}

fn index(folder: &Path, store: &Store, node: &str) -> Index {
    Index::new(folder, Some((store.clone(), node.to_owned())))
}

#[tokio::test]
async fn a_start_makes_the_index_agree_with_the_folders() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open("sqlite::memory:").await.unwrap();
    for n in 1..=3 {
        make(folder.path(), &manifest(n, State::Ready));
    }
    // Noted before, but its folder is gone; and one that is another node's.
    let first = index(folder.path(), &store, "a");
    first.note(&manifest(4, State::Ready)).await;
    let other = index(folder.path(), &store, "b");
    other.note(&manifest(5, State::Ready)).await;
    assert_eq!(numbers(&first, None).await, [5, 3, 2, 1]);
    assert_eq!(numbers(&first, Some("odd")).await, [5, 3, 1]);
    let elsewhere = first.elsewhere("RC_000000000005").await;
    assert_eq!(elsewhere.map(|found| found.started_us), Some(5_000_000));
    assert_eq!(first.elsewhere("RC_000000000001").await, None);

    // While the server runs folders are not looked for, and finished ones not read.
    std::fs::remove_dir_all(folder.path().join("RC_000000000001")).unwrap();
    assert_eq!(numbers(&first, None).await, [5, 3, 2, 1]);
    let next = index(folder.path(), &store, "a");
    assert_eq!(numbers(&next, None).await, [5, 3, 2]);
}

#[tokio::test]
async fn a_recording_under_way_is_as_its_folder_says() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open("sqlite::memory:").await.unwrap();
    let index = index(folder.path(), &store, "a");
    let mut going = manifest(1, State::Recording);
    make(folder.path(), &going);
    index.note(&going).await;
    going.duration_ms = 7;
    make(folder.path(), &going);
    let found = index.list(None).await.unwrap();
    assert_eq!(found[0].duration_ms, 7);
    assert_eq!(found[0].tracks[0].gaps_omitted, 1);
}

#[tokio::test]
async fn without_a_store_folders_are_walked() {
    let folder = tempfile::tempdir().unwrap();
    for n in 1..=3 {
        make(folder.path(), &manifest(n, State::Ready));
    }
    std::fs::create_dir(folder.path().join("something")).unwrap();
    let index = Index::new(folder.path(), None);
    assert_eq!(numbers(&index, None).await, [3, 2, 1]);
    assert_eq!(numbers(&index, Some("even")).await, [2]);
}
