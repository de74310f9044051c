//! What a server that was restarted still knows of calls.

use anyhow::{Result, ensure};
use crosspoint_store::Store;
use crosspoint_store::calls::Record;
use crosspoint_tests::caller::Caller;
use crosspoint_tests::server::until;
use reqwest::Method;
use serde_json::{Value, json};

use super::{call_id, contact_centre, online, private_call, refused_call};

/// In milliseconds.
const DAY: i64 = 24 * 3600 * 1000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_server_knows_tenants_users_groups_bans_and_calls() -> Result<()> {
    let (server, admin) = contact_centre().await?;
    let kim =
        json!({ "name": "Kim", "extension": "1001", "password": "secret", "blocked": ["max"] });
    let users = "/v1/tenants/acme/users";
    let put = |path: String, body| {
        let (server, admin) = (&server, &admin);
        async move { server.write(Method::PUT, &path, admin, &body).await }
    };
    put(format!("{users}/kim"), kim).await?;
    put(format!("{users}/gone"), json!({ "extension": "1002" })).await?;
    put("/v1/tenants/acme/bans/zoe".into(), json!({})).await?;
    let hour = json!({ "ttlSeconds": 3600 });
    put("/v1/tenants/acme/bans/rob".into(), hour.clone()).await?;
    put("/v1/tenants/acme/bans/ned".into(), hour).await?;
    let paths = [format!("{users}/gone"), "/v1/tenants/acme/bans/ned".into()];
    for path in paths {
        let nothing = json!({});
        server
            .write(Method::DELETE, &path, &admin, &nothing)
            .await?;
    }

    let mut ann = online(&server, "ann").await?;
    let mut bob = online(&server, "bob").await?;
    let call = private_call("bob");
    let refused = call_id(&ann.ask("createCall", call.clone()).await?)?;
    bob.event("inviteReceived").await?;
    bob.ask("reject", json!({ "invite": { "call": refused } }))
        .await?;
    ann.event("callEnded").await?;
    // The server ends while this one rings.
    let ringing = call_id(&ann.ask("createCall", call).await?)?;
    bob.event("inviteReceived").await?;

    let paths = ["", "/users", "/groups"].map(|path| format!("/v1/tenants/acme{path}"));
    let mut before = Vec::new();
    for path in &paths {
        before.push(server.get(path, &admin).await?);
    }
    let server = server.restart().await?;
    for (path, before) in paths.iter().zip(&before) {
        let after = server.get(path, &admin).await?;
        ensure!(
            after == *before || path.ends_with("users"),
            "{after} was {before}"
        );
    }
    // Who came with a token and was never made known comes back the same way.
    let after = server.get(users, &admin).await?;
    let known = |user: &str| {
        let users = after["users"].as_array().into_iter().flatten();
        users.clone().find(|each| each["user"] == user)
    };
    ensure!(known("kim").is_some_and(|kim| {
        kim["name"] == "Kim" && kim["extension"] == "1001" && kim["blocked"] == json!(["max"])
    }));
    ensure!(known("amy").is_some_and(|amy| amy["skillGroups"] == json!(["sales"])));
    ensure!(known("gone").is_none(), "{after}");

    let records = server.get("/v1/tenants/acme/records", &admin).await?;
    let reason = |call: &str| {
        let records = records["records"].as_array().into_iter().flatten();
        let mut of_call = records.filter(|record| record["call"] == call);
        of_call.next().map(|record| record["reason"].clone())
    };
    ensure!(reason(&refused) == Some(json!("reject")), "{records}");
    ensure!(reason(&ringing).is_some(), "{records}");

    for banned in ["zoe", "rob"] {
        let refused = online(&server, banned).await.err().map(|e| e.to_string());
        ensure!(
            refused.as_ref().is_some_and(|why| why.contains("banned")),
            "{banned}: {refused:?}"
        );
    }
    online(&server, "ned").await?;
    let password = |word: &str| {
        let login = json!({ "tenant": "acme", "user": "1001", "password": word });
        Caller::without_token(&server, login)
    };
    ensure!(password("wrong").await.is_err());
    let mut kim = password("secret").await?;
    kim.ask("listGroups", json!({})).await?;
    server.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_calls_are_kept_for_as_long_as_is_configured() -> Result<()> {
    let (server, admin) = contact_centre().await?;
    let fresh = refused_call(&server, "acme").await?;
    let path = "/v1/tenants/acme/records";
    let mut records = server.get(path, &admin).await?;
    let record = records["records"][0].take();
    let now = record["endMs"].as_i64().unwrap_or_default();
    let file = server.data().join("crosspoint.db");
    let store = Store::open(&format!("sqlite:{}", file.display())).await?;
    for (call, days) in [("old", 91), ("younger", 89)] {
        let ended_at_ms = now - days * DAY;
        let mut record = record.clone();
        record["call"] = json!(call);
        record["endMs"] = json!(ended_at_ms);
        store.add_call_record(Record {
            call: call.to_owned(),
            tenant: "acme".to_owned(),
            ended_at_ms,
            record: record.to_string(),
        });
    }
    store.flush().await;
    let calls = |records: &Value| -> Vec<Value> {
        let records = records["records"].as_array().into_iter().flatten();
        records.map(|record| record["call"].clone()).collect()
    };
    let all = calls(&server.get(path, &admin).await?);
    ensure!(all == [fresh.as_str(), "younger", "old"], "{all:?}");
    let server = server.restart().await?;
    let left = until("an old record to go", || async {
        let left = calls(&server.get(path, &admin).await?);
        Ok((left.len() < 3).then_some(left))
    });
    let left = left.await?;
    ensure!(left == [fresh.as_str(), "younger"], "{left:?}");
    server.stop().await;
    Ok(())
}
