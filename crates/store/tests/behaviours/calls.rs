//! The directory of the call system and its records.

use crosspoint_store::Store;
use crosspoint_store::calls::{Ban, Begun, Entry, KeptRecord, Record, UserEntry};

pub(crate) async fn a_directory_is_read_as_it_was_last_written(store: Store) {
    store.put_call_tenant("acme", "{}".into());
    store.put_call_tenant("acme", "{\"name\":\"Acme\"}".into());
    store.put_call_tenant("shop", "{}".into());
    let amy = user("acme", "amy", Some("hash"));
    store.put_call_user(user("acme", "amy", None));
    store.put_call_user(amy.clone());
    store.put_call_user(user("acme", "bea", None));
    store.put_call_user(user("shop", "amy", None));
    store.put_call_group(entry("acme", "sales"));
    store.put_call_group(entry("acme", "support"));
    let ban = |user: &str, until_ms| Ban {
        tenant: "acme".into(),
        user: user.into(),
        until_ms,
    };
    store.put_call_ban(ban("zoe", Some(1_000)));
    store.put_call_ban(ban("zoe", None));
    store.put_call_ban(ban("rob", Some(9_000)));
    store.flush().await;
    let named = ("acme".to_owned(), "{\"name\":\"Acme\"}".to_owned());
    let shop = ("shop".to_owned(), "{}".to_owned());
    assert_eq!(store.call_tenants().await.unwrap(), [named, shop]);
    let users = store.call_users().await.unwrap();
    let others = [user("acme", "bea", None), user("shop", "amy", None)];
    assert!(users == [&[amy][..], &others].concat());
    let groups = [entry("acme", "sales"), entry("acme", "support")];
    assert_eq!(store.call_groups().await.unwrap(), groups);
    let bans = [ban("rob", Some(9_000)), ban("zoe", None)];
    assert_eq!(store.call_bans().await.unwrap(), bans);

    store.delete_call_user("acme", "bea");
    store.delete_call_group("acme", "support");
    store.delete_call_ban("acme", "zoe");
    store.flush().await;
    assert_eq!(store.call_users().await.unwrap().len(), 2);
    assert_eq!(store.call_groups().await.unwrap(), groups[..1]);
    assert_eq!(store.call_bans().await.unwrap(), bans[..1]);
}

pub(crate) async fn a_directory_of_many_pages_is_read_whole(store: Store) {
    let known = 10_000 + 7;
    for number in 0..known {
        store.put_call_user(user("acme", &format!("user{number:05}"), None));
        // The queue to the database is shorter than this.
        if number % 4_000 == 0 {
            store.flush().await;
        }
    }
    store.flush().await;
    let users = store.call_users().await.unwrap();
    let mut ids: Vec<_> = users.iter().map(|user| user.entry.id.clone()).collect();
    ids.dedup();
    assert_eq!(ids.len(), known);
}

pub(crate) async fn a_tenant_that_is_forgotten_takes_all_that_is_its_with_it(store: Store) {
    for tenant in ["acme", "shop"] {
        store.put_call_tenant(tenant, "{}".into());
        store.put_call_user(user(tenant, "amy", None));
        store.put_call_group(entry(tenant, "sales"));
        store.put_call_ban(Ban {
            tenant: tenant.into(),
            user: "zoe".into(),
            until_ms: None,
        });
        store.add_call_record(record(tenant, &format!("{tenant}1"), 1_000));
        store.add_call_recording(&format!("{tenant}1"), "file:///1");
        store.begin_call("here", begun(tenant, &format!("{tenant}2")));
    }
    store.delete_call_tenant("acme");
    store.flush().await;
    let tenants = store.call_tenants().await.unwrap();
    assert_eq!(tenants, [("shop".to_owned(), "{}".to_owned())]);
    assert_eq!(store.call_users().await.unwrap().len(), 1);
    assert_eq!(store.call_groups().await.unwrap().len(), 1);
    assert_eq!(store.call_bans().await.unwrap().len(), 1);
    let going_on = store.begun_calls("here").await.unwrap();
    assert_eq!(going_on, [begun("shop", "shop2")]);
    assert_eq!(store.call_records("acme", 0, 10).await.unwrap(), []);
    assert_eq!(store.call_records("shop", 0, 10).await.unwrap().len(), 1);
}

pub(crate) async fn records_are_found_by_tenant_and_time_newest_first(store: Store) {
    for (call, ended) in [("c1", 1_000), ("c2", 3_000), ("c3", 2_000)] {
        store.add_call_record(record("acme", call, ended));
    }
    store.add_call_record(record("shop", "c4", 4_000));
    // The first one counts.
    store.add_call_record(record("acme", "c1", 9_000));
    store.add_call_recording("c2", "file:///b");
    store.add_call_recording("c2", "file:///a");
    store.add_call_recording("c2", "file:///a");
    store.flush().await;
    let found = async |since, limit| {
        let found = store.call_records("acme", since, limit).await.unwrap();
        let calls = found.into_iter().map(|kept| kept.record);
        calls.collect::<Vec<_>>()
    };
    assert_eq!(found(0, 10).await, ["c2", "c3", "c1"]);
    assert_eq!(found(2_000, 10).await, ["c2", "c3"]);
    assert_eq!(found(0, 1).await, ["c2"], "recordings take no places");
    let kept = store.call_records("acme", 2_500, 10).await.unwrap();
    let expected = KeptRecord {
        record: "c2".into(),
        recordings: vec!["file:///a".into(), "file:///b".into()],
    };
    assert_eq!(kept, [expected]);
}

pub(crate) async fn old_records_go_the_oldest_first(store: Store) {
    for ended in 1..=5 {
        let call = format!("c{ended}");
        let tenant = ["acme", "shop"][ended as usize % 2];
        store.add_call_record(record(tenant, &call, ended * 1_000));
        store.add_call_recording(&call, &format!("file:///{call}"));
    }
    store.flush().await;
    let left = async || {
        let mut left = Vec::new();
        for tenant in ["acme", "shop"] {
            let kept = store.call_records(tenant, 0, 10).await.unwrap();
            left.extend(kept.into_iter().map(|kept| kept.record));
        }
        left
    };
    assert_eq!(store.prune_call_records(4_000, 2).await.unwrap(), 2);
    assert_eq!(left().await, ["c4", "c5", "c3"]);
    assert_eq!(store.prune_call_records(4_000, 2).await.unwrap(), 1);
    assert_eq!(store.prune_call_records(4_000, 2).await.unwrap(), 0);
    assert_eq!(left().await, ["c4", "c5"]);
    // The addresses went with them: the same call again has none.
    store.add_call_record(record("shop", "c1", 9_000));
    store.flush().await;
    let kept = store.call_records("shop", 0, 10).await.unwrap();
    let recordings: Vec<_> = kept.into_iter().map(|kept| kept.recordings).collect();
    assert_eq!(recordings, [vec![], vec!["file:///c5".to_owned()]]);
}

pub(crate) async fn a_node_knows_the_calls_that_it_lost(store: Store) {
    store.begin_call("here", begun("acme", "c1"));
    store.begin_call("here", begun("acme", "c1"));
    store.begin_call("here", begun("shop", "c2"));
    store.begin_call("there", begun("acme", "c3"));
    store.flush().await;
    let lost = store.begun_calls("here").await.unwrap();
    assert_eq!(lost, [begun("acme", "c1"), begun("shop", "c2")]);
    store.end_call("here", "c1");
    store.end_call("here", "c3");
    store.flush().await;
    let lost = store.begun_calls("here").await.unwrap();
    assert_eq!(lost, [begun("shop", "c2")]);
    let theirs = store.begun_calls("there").await.unwrap();
    assert_eq!(theirs, [begun("acme", "c3")]);
}

fn begun(tenant: &str, call: &str) -> Begun {
    Begun {
        call: call.to_owned(),
        tenant: tenant.to_owned(),
        record: call.to_owned(),
    }
}

fn entry(tenant: &str, id: &str) -> Entry {
    Entry {
        tenant: tenant.to_owned(),
        id: id.to_owned(),
        record: format!("{{\"id\":\"{id}\"}}"),
    }
}

fn user(tenant: &str, id: &str, password: Option<&str>) -> UserEntry {
    UserEntry {
        entry: entry(tenant, id),
        password: password.map(str::to_owned),
    }
}

fn record(tenant: &str, call: &str, ended_at_ms: i64) -> Record {
    Record {
        call: call.to_owned(),
        tenant: tenant.to_owned(),
        ended_at_ms,
        record: call.to_owned(),
    }
}
