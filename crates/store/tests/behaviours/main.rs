//! The same behaviours on both databases.

#![expect(clippy::unwrap_used, reason = "tests")]

mod calls;
mod history;
mod postgres;
mod recordings;

use std::pin::Pin;

use crosspoint_store::Store;

use self::postgres::Postgres;

/// A test that gets an empty store.
type Behaviour = fn(Store) -> Pin<Box<dyn Future<Output = ()>>>;

/// All of them. A noun's tests are added here.
const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("an occurrence has a beginning, an end and a summary", |s| {
        Box::pin(history::an_occurrence_has_a_beginning_an_end_and_a_summary(
            s,
        ))
    }),
    ("occurrences are found by room and time", |s| {
        Box::pin(history::occurrences_are_found_by_room_and_time(s))
    }),
    ("old points go, fine ones first", |s| {
        Box::pin(history::old_points_go_fine_ones_first(s))
    }),
    ("there are never more points than allowed", |s| {
        Box::pin(history::there_are_never_more_points_than_allowed(s))
    }),
    ("what a node left unfinished is ended", |s| {
        Box::pin(history::what_a_node_left_unfinished_is_ended(s))
    }),
    ("any text can be a name", |s| {
        Box::pin(history::any_text_can_be_a_name(s))
    }),
    ("recordings are found newest first and by room", |s| {
        Box::pin(recordings::recordings_are_found_newest_first_and_by_room(s))
    }),
    ("a recording is as it was noted last", |s| {
        Box::pin(recordings::a_recording_is_as_it_was_noted_last(s))
    }),
    ("a node knows and forgets its own recordings", |s| {
        Box::pin(recordings::a_node_knows_and_forgets_its_own(s))
    }),
    ("a directory is read as it was last written", |s| {
        Box::pin(calls::a_directory_is_read_as_it_was_last_written(s))
    }),
    ("a directory of many pages is read whole", |s| {
        Box::pin(calls::a_directory_of_many_pages_is_read_whole(s))
    }),
    (
        "a tenant that is forgotten takes all that is its with it",
        |s| Box::pin(calls::a_tenant_that_is_forgotten_takes_all_that_is_its_with_it(s)),
    ),
    ("records are found by tenant and time, newest first", |s| {
        Box::pin(calls::records_are_found_by_tenant_and_time_newest_first(s))
    }),
    ("old records go, the oldest first", |s| {
        Box::pin(calls::old_records_go_the_oldest_first(s))
    }),
    ("a node knows the calls that it lost", |s| {
        Box::pin(calls::a_node_knows_the_calls_that_it_lost(s))
    }),
];

#[tokio::test]
async fn behaviours_hold_on_sqlite() {
    for (name, behaviour) in BEHAVIOURS {
        let folder =
            std::env::temp_dir().join(format!("crosspoint-store-{}", rand::random::<u64>()));
        std::fs::create_dir_all(&folder).unwrap();
        let url = format!("sqlite:{}?mode=rwc", folder.join("store.db").display());
        say(name);
        behaviour(Store::open(&url).await.unwrap()).await;
        // The tables are there already.
        Store::open(&url).await.unwrap();
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[tokio::test]
async fn behaviours_hold_on_postgresql() {
    let server = Postgres::start();
    for (index, (name, behaviour)) in BEHAVIOURS.iter().enumerate() {
        let url = server.database(&format!("behaviour{index}"));
        say(name);
        behaviour(Store::open(&url).await.unwrap()).await;
        Store::open(&url).await.unwrap();
    }
}

#[tokio::test]
async fn an_unknown_kind_of_database_is_refused() {
    let error = Store::open("mysql://localhost/x").await.unwrap_err();
    assert_eq!(error.label(), "store_url");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_an_error() {
    let error = Store::open("sqlite:/nowhere/at/all.db?mode=rwc").await;
    assert_eq!(error.unwrap_err().label(), "store_unavailable");
}

#[expect(clippy::print_stdout, reason = "names the behaviour when one fails")]
fn say(name: &str) {
    println!("{name}");
}
