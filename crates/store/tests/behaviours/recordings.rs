//! The index of recordings.

use crosspoint_store::Store;
use crosspoint_store::recordings::{Filter, Recording};

pub(crate) async fn recordings_are_found_newest_first_and_by_room(store: Store) {
    put(&store, "RC_1", "demo", 1_000).await;
    put(&store, "RC_2", "other", 2_000).await;
    put(&store, "RC_3", "demo", 3_000).await;
    assert_eq!(
        ids(&store, Filter::default()).await,
        ["RC_3", "RC_2", "RC_1"]
    );
    let demo = Filter {
        room: Some("demo".into()),
        limit: 0,
    };
    assert_eq!(ids(&store, demo.clone()).await, ["RC_3", "RC_1"]);
    assert_eq!(ids(&store, Filter { limit: 1, ..demo }).await, ["RC_3"]);
}

pub(crate) async fn a_recording_is_as_it_was_noted_last(store: Store) {
    put(&store, "RC_1", "demo", 1_000).await;
    let done = Recording {
        finished: true,
        manifest: "{\"state\":\"ready\"}".into(),
        ..recording("RC_1", "demo", 1_000)
    };
    store.put_recording(done.clone()).await.unwrap();
    assert_eq!(store.recording("RC_1").await.unwrap(), Some(done));
    assert_eq!(store.recording("RC_2").await.unwrap(), None);
}

pub(crate) async fn a_node_knows_and_forgets_its_own(store: Store) {
    put(&store, "RC_1", "demo", 1_000).await;
    put(&store, "RC_2", "demo", 2_000).await;
    let elsewhere = Recording {
        node: "b".into(),
        finished: true,
        ..recording("RC_3", "demo", 3_000)
    };
    store.put_recording(elsewhere).await.unwrap();
    let of = async |node: &str, after: &str| store.recordings_of_node(node, after).await.unwrap();
    assert_eq!(
        of("a", "").await,
        [("RC_1".into(), false), ("RC_2".into(), false)]
    );
    assert_eq!(of("a", "RC_1").await, [("RC_2".into(), false)]);
    assert_eq!(of("b", "").await, [("RC_3".into(), true)]);
    store.forget_recording("a", "RC_1").await.unwrap();
    store.forget_recording("a", "RC_3").await.unwrap();
    assert_eq!(ids(&store, Filter::default()).await, ["RC_3", "RC_2"]);
}

fn recording(id: &str, room: &str, started_at_ms: i64) -> Recording {
    Recording {
        id: id.into(),
        node: "a".into(),
        room: room.into(),
        started_at_ms,
        finished: false,
        manifest: "{}".into(),
    }
}

async fn put(store: &Store, id: &str, room: &str, started_at_ms: i64) {
    let recording = recording(id, room, started_at_ms);
    store.put_recording(recording).await.unwrap();
}

async fn ids(store: &Store, filter: Filter) -> Vec<String> {
    let found = store.recordings(&filter).await.unwrap();
    found.into_iter().map(|recording| recording.id).collect()
}
