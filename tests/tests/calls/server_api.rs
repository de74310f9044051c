//! What application servers do by HTTP, as the people concerned see it.

use anyhow::{Context, Result, ensure};
use crosspoint_tests::caller::Caller;
use crosspoint_tests::server::TestServer;
use reqwest::Method;
use serde_json::{Value, json};

use super::{call_id, contact_centre, online, private_call};

const TENANT: &str = "/v1/tenants/acme";

/// A user comes online with a token that the server made for it.
async fn with_own_token(server: &TestServer, admin: &str, user: &str) -> Result<Caller> {
    let path = format!("{TENANT}/users/{user}/token");
    let wish = json!({ "ttlSeconds": 600 });
    let answer = server.write(Method::POST, &path, admin, &wish).await?;
    let token = answer["token"].as_str().context("no token")?;
    Caller::with_token(server, token, json!({})).await
}

fn group_call(by: &str, callees: &[&str]) -> Value {
    let target = json!({ "type": "group", "group": "friends" });
    json!({ "by": by, "kind": "group", "target": target, "callees": callees })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn application_servers_issue_tokens_and_make_kick_ban_and_end() -> Result<()> {
    let (server, admin) = contact_centre().await?;
    let mut ann = with_own_token(&server, &admin, "ann").await?;
    let mut bob = with_own_token(&server, &admin, "bob").await?;
    let mut cat = with_own_token(&server, &admin, "cat").await?;
    let calls = format!("{TENANT}/calls");
    let call = group_call("ann", &["bob", "cat"]);
    let made = server.write(Method::POST, &calls, &admin, &call).await?;
    let id = call_id(&made["data"])?;
    ann.event("mediaReady").await?;
    for callee in [&mut bob, &mut cat] {
        callee.event("inviteReceived").await?;
        callee
            .ask("accept", json!({ "invite": { "call": id } }))
            .await?;
    }
    let live = server.get(&calls, &admin).await?;
    ensure!(live["calls"][0]["id"] == id.as_str(), "{live}");

    let path = format!("{calls}/{id}/participants/bob");
    server
        .write(Method::DELETE, &path, &admin, &json!({}))
        .await?;
    let ended = bob.event("callEnded").await?;
    ensure!(ended["reason"] == "kicked", "{ended}");

    let ban = format!("{TENANT}/bans/cat");
    server.write(Method::PUT, &ban, &admin, &json!({})).await?;
    let turned_out = cat.event("kicked").await?;
    ensure!(turned_out["error"] == "banned", "{turned_out}");
    ann.event("callEnded").await?;

    let call = group_call("ann", &["bob"]);
    let made = server.write(Method::POST, &calls, &admin, &call).await?;
    let path = format!("{calls}/{}", call_id(&made["data"])?);
    server
        .write(Method::DELETE, &path, &admin, &json!({}))
        .await?;
    let ended = ann.event("callEnded").await?;
    ensure!(ended["reason"] == "room_dissolved", "{ended}");

    let grants = json!({ "callAdmin": true, "callTenant": "other" });
    let other = server.sign("", &grants)?;
    let refused = server.get(&calls, &other).await.err();
    let refused = refused.map(|error| error.to_string()).unwrap_or_default();
    ensure!(refused.contains("403"), "{refused}");
    server.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_is_not_in_service_has_no_calls_and_nobody_online() -> Result<()> {
    let (server, admin) = contact_centre().await?;
    let mut ann = online(&server, "ann").await?;
    let mut bob = online(&server, "bob").await?;
    ann.ask("createCall", private_call("bob")).await?;
    bob.event("inviteReceived").await?;
    let settings = json!({ "openRegistration": true, "suspended": true });
    server.write(Method::PUT, TENANT, &admin, &settings).await?;
    let ended = ann.event("callEnded").await?;
    ensure!(ended["reason"] == "service_not_open", "{ended}");
    for caller in [&mut ann, &mut bob] {
        let turned_out = caller.event("kicked").await?;
        ensure!(turned_out["error"] == "tenant_suspended", "{turned_out}");
    }
    let refused = online(&server, "ann").await.err().context("let in")?;
    ensure!(
        refused.to_string().contains("tenant_suspended"),
        "{refused}"
    );

    let settings = json!({ "openRegistration": true });
    server.write(Method::PUT, TENANT, &admin, &settings).await?;
    online(&server, "ann").await?;
    server.stop().await;
    Ok(())
}
