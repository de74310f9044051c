//! Connections that are lost, and tenants that ask for too much.

use anyhow::{Result, ensure};
use crosspoint_tests::caller::{Away, Caller};
use crosspoint_tests::server::TestServer;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Answered, call_id, contact_centre, online, private_call};

/// Events of a device that came back, until one of this type.
async fn replayed(caller: &mut Caller, last: &str) -> Result<Vec<Value>> {
    let mut events = Vec::new();
    loop {
        let frame = caller.any_event().await?;
        let done = frame["type"] == last;
        events.push(frame);
        if done {
            return Ok(events);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_missed_while_away_comes_once_and_in_order() -> Result<()> {
    let (server, _) = contact_centre().await?;
    let mut ann = online(&server, "ann").await?;
    let mut bob = online(&server, "bob").await?;
    let Answered { id, .. } = Answered::new(&mut ann, &mut bob, private_call("bob")).await?;
    ann.event("inviteAccepted").await?;
    let away = bob.vanish();
    for number in 0..50 {
        let message = json!({ "contentType": "text/plain", "content": number.to_string() });
        ann.ask("sendMessage", message).await?;
    }
    let back = |away: Away| {
        let server: &TestServer = &server;
        async move {
            let mut bob = Caller::back(server, &away).await?;
            let events = replayed(&mut bob, "callRecovered").await?;
            let messages = events.iter().filter(|event| event["type"] == "message");
            let contents: Vec<_> = messages
                .map(|event| event["message"]["content"].clone())
                .collect();
            anyhow::Ok((bob, contents))
        }
    };
    let (bob, contents) = back(away).await?;
    let expected: Vec<_> = (0..50).map(|number| json!(number.to_string())).collect();
    ensure!(contents == expected, "{contents:?}");
    // What was seen does not come again.
    let (mut bob, contents) = back(bob.vanish()).await?;
    ensure!(contents.is_empty(), "{contents:?}");
    bob.ask("hangUp", json!({ "call": { "id": id } })).await?;
    ann.event("callEnded").await?;
    server.stop().await;
    Ok(())
}

/// Makes calls as fast as it can; how many were limited.
async fn flood(mut flooder: Caller, callee: String) -> Result<usize> {
    let mut limited = 0;
    for _ in 0..INVITES {
        match flooder.ask("createCall", private_call(&callee)).await {
            Ok(made) => {
                let end = json!({ "call": { "id": call_id(&made)? } });
                flooder.ask("hangUp", end).await?;
            }
            Err(error) => {
                ensure!(error.to_string().contains("rate_limited"), "{error:#}");
                limited += 1;
            }
        }
    }
    Ok(limited)
}

/// Who floods, and how often each.
const FLOODERS: usize = 8;
const INVITES: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_invites_without_end_is_limited_and_no_other() -> Result<()> {
    let (server, admin) = contact_centre().await?;
    let settings = json!({ "openRegistration": true, "limits": { "invitesPerSecond": 10 } });
    let tenant = "/v1/tenants/flood";
    server.write(Method::PUT, tenant, &admin, &settings).await?;
    let mut floods = JoinSet::new();
    for index in 0..FLOODERS {
        let callee = format!("callee{index}");
        let path = format!("{tenant}/users/{callee}");
        server.write(Method::PUT, &path, &admin, &json!({})).await?;
        let user = format!("flooder{index}");
        let flooder = Caller::online(&server, "flood", &user, json!({})).await?;
        floods.spawn(flood(flooder, callee));
    }
    let mut ann = online(&server, "ann").await?;
    let mut bob = online(&server, "bob").await?;
    let (mut limited, mut calls) = (0, 0);
    // As long as the flood lasts, and each within its patience.
    while !floods.is_empty() || calls == 0 {
        let Answered { id, .. } = Answered::new(&mut ann, &mut bob, private_call("bob")).await?;
        ann.event("inviteAccepted").await?;
        ann.ask("hangUp", json!({ "call": { "id": id } })).await?;
        bob.event("callEnded").await?;
        calls += 1;
        while let Some(flooded) = floods.try_join_next() {
            limited += flooded??;
        }
    }
    ensure!(
        limited > FLOODERS * INVITES / 2,
        "{limited} of the flood were limited"
    );
    server.stop().await;
    Ok(())
}
