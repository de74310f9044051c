//! Occurrences of rooms and their points.

use crosspoint_store::Store;
use crosspoint_store::history::{Filter, NewOccurrence, Occurrence, Point, Retention};

pub(crate) async fn an_occurrence_has_a_beginning_an_end_and_a_summary(store: Store) {
    begin(&store, "RM_1", "demo", 1_000);
    store.flush().await;
    let mut expected = Occurrence {
        id: "RM_1".into(),
        room: "demo".into(),
        started_at_ms: 1_000,
        ended_at_ms: None,
        reason: None,
        summary: None,
    };
    assert_eq!(
        store.occurrence("RM_1").await.unwrap(),
        Some(expected.clone())
    );

    store.end_occurrence("RM_1", 9_000, "empty", "{\"peak\":2}".into());
    // The first end counts.
    store.end_occurrence("RM_1", 9_500, "deleted", "{}".into());
    store.flush().await;
    expected.ended_at_ms = Some(9_000);
    expected.reason = Some("empty".into());
    expected.summary = Some("{\"peak\":2}".into());
    assert_eq!(store.occurrence("RM_1").await.unwrap(), Some(expected));
    assert_eq!(store.occurrence("RM_2").await.unwrap(), None);
}

pub(crate) async fn occurrences_are_found_by_room_and_time(store: Store) {
    begin(&store, "RM_1", "demo", 1_000);
    begin(&store, "RM_2", "other", 2_000);
    begin(&store, "RM_3", "demo", 3_000);
    store.end_occurrence("RM_1", 1_500, "empty", "{}".into());
    store.flush().await;
    let all = Filter::default();
    assert_eq!(ids(&store, &all).await, ["RM_3", "RM_2", "RM_1"]);
    let room = Some("demo".to_owned());
    let demo = Filter {
        room,
        ..all.clone()
    };
    assert_eq!(ids(&store, &demo).await, ["RM_3", "RM_1"]);
    let since_ms = 1_600;
    let later = Filter { since_ms, ..demo };
    assert_eq!(ids(&store, &later).await, ["RM_3"]);
    let one = Filter { limit: 1, ..all };
    assert_eq!(ids(&store, &one).await, ["RM_3"]);
}

pub(crate) async fn old_points_go_fine_ones_first(store: Store) {
    begin(&store, "RM_1", "demo", 0);
    for second in 1..=100 {
        add(&store, 1, second);
        if second % 10 == 0 {
            add(&store, 10, second);
        }
    }
    store.flush().await;
    assert_eq!(points(&store, 0).await.len(), 100);

    let retention = Retention {
        fine_since_ms: 81_000,
        since_ms: 30_000,
        points_max: 1_000,
    };
    assert_eq!(store.prune_history(retention).await.unwrap(), 80 + 2);
    let left = points(&store, 0).await;
    let coarse = (30..=80).step_by(10).map(|second| (10, second * 1000));
    let fine = (81..=100).map(|second| (1, second * 1000));
    assert_eq!(left, coarse.chain(fine).collect::<Vec<_>>());
    assert_eq!(points(&store, 99_000).await, [(1, 100_000)]);

    store.end_occurrence("RM_1", 100_000, "empty", "{}".into());
    store.flush().await;
    let nothing = Retention {
        fine_since_ms: 200_000,
        since_ms: 200_000,
        points_max: 1_000,
    };
    store.prune_history(nothing).await.unwrap();
    assert_eq!(points(&store, 0).await, []);
    assert_eq!(store.occurrence("RM_1").await.unwrap(), None);
}

pub(crate) async fn there_are_never_more_points_than_allowed(store: Store) {
    for second in 1..=50 {
        add(&store, 1, second);
        if second % 10 == 0 {
            add(&store, 10, second);
        }
    }
    store.flush().await;
    let retention = |points_max| Retention {
        fine_since_ms: 0,
        since_ms: 0,
        points_max,
    };
    assert_eq!(store.prune_history(retention(20)).await.unwrap(), 35);
    let fine = points(&store, 35_000).await.len();
    assert_eq!(fine, 15);
    store.prune_history(retention(3)).await.unwrap();
    assert_eq!(
        points(&store, 0).await,
        [(10, 30_000), (10, 40_000), (10, 50_000)]
    );
}

pub(crate) async fn what_a_node_left_unfinished_is_ended(store: Store) {
    begin(&store, "RM_1", "demo", 1_000);
    begin(&store, "RM_2", "silent", 2_000);
    store.begin_occurrence(NewOccurrence {
        id: "RM_3".into(),
        room: "elsewhere".into(),
        node: "b".into(),
        started_at_ms: 3_000,
    });
    add(&store, 1, 5);
    store.flush().await;
    assert_eq!(store.end_unfinished("a", "node_lost").await.unwrap(), 2);
    let ended = async |id| {
        let occurrence = store.occurrence(id).await.unwrap().unwrap();
        (occurrence.ended_at_ms, occurrence.reason)
    };
    let lost = Some("node_lost".to_owned());
    assert_eq!(ended("RM_1").await, (Some(5_000), lost.clone()));
    assert_eq!(ended("RM_2").await, (Some(2_000), lost));
    assert_eq!(ended("RM_3").await, (None, None));
}

pub(crate) async fn any_text_can_be_a_name(store: Store) {
    let room = "'; DROP TABLE history_points; -- 会議室 🎥";
    begin(&store, "RM_1", room, 1_000);
    store.flush().await;
    let filter = Filter {
        room: Some(room.to_owned()),
        ..Filter::default()
    };
    assert_eq!(ids(&store, &filter).await, ["RM_1"]);
    assert_eq!(points(&store, 0).await, []);
}

fn begin(store: &Store, id: &str, room: &str, started_at_ms: i64) {
    store.begin_occurrence(NewOccurrence {
        id: id.to_owned(),
        room: room.to_owned(),
        node: "a".to_owned(),
        started_at_ms,
    });
}

fn add(store: &Store, step_s: i64, second: i64) {
    store.add_point(
        "RM_1",
        Point {
            step_s,
            at_ms: second * 1000,
            sample: "{}".to_owned(),
        },
    );
}

async fn ids(store: &Store, filter: &Filter) -> Vec<String> {
    let found = store.occurrences(filter).await.unwrap();
    found.into_iter().map(|occurrence| occurrence.id).collect()
}

async fn points(store: &Store, after_ms: i64) -> Vec<(i64, i64)> {
    let found = store.points("RM_1", after_ms, 1000).await.unwrap();
    found
        .iter()
        .map(|point| (point.step_s, point.at_ms))
        .collect()
}
