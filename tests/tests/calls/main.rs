//! Calls through a whole server: signalling by WebSocket, media by clients that share no code with it.

mod bad_days;
mod recording;
mod restart;
mod server_api;
mod webhooks;

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crosspoint_tests::caller::{Caller, grant};
use crosspoint_tests::client::{Player, Publisher};
use crosspoint_tests::server::TestServer;
use serde_json::{Value, json};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A server with a tenant `acme`: customers, agents `amy` and `bea` of `sales`, supervisor `sue`.
async fn contact_centre() -> Result<(TestServer, String)> {
    let server = TestServer::start(1, LOOPBACK).await?;
    let admin = server.sign("", &json!({ "callAdmin": true }))?;
    let put = reqwest::Method::PUT;
    let settings = json!({ "openRegistration": true, "rejectPolicy": "overflow" });
    server
        .write(put.clone(), "/v1/tenants/acme", &admin, &settings)
        .await?;
    for (user, supervisor) in [("amy", false), ("bea", false), ("sue", true)] {
        let path = format!("/v1/tenants/acme/users/{user}");
        let body = json!({ "skillGroups": ["sales"], "supervisor": supervisor });
        server.write(put.clone(), &path, &admin, &body).await?;
    }
    let group = json!({ "name": "Sales", "kind": "skill", "members": ["amy", "bea", "sue"] });
    server
        .write(put, "/v1/tenants/acme/groups/sales", &admin, &group)
        .await?;
    Ok((server, admin))
}

async fn online(server: &TestServer, user: &str) -> Result<Caller> {
    Caller::online(server, "acme", user, json!({})).await
}

async fn seated(server: &TestServer, user: &str) -> Result<Caller> {
    let login = json!({ "seat": true, "skillGroup": "sales" });
    Caller::online(server, "acme", user, login).await
}

fn call_id(data: &Value) -> Result<String> {
    Ok(data["call"]["id"].as_str().context("no call")?.to_owned())
}

/// How a user is called.
fn private_call(callee: &str) -> Value {
    json!({ "kind": "private", "target": { "type": "user", "user": callee } })
}

/// How a customer calls the agents.
fn queue_call() -> Value {
    json!({ "kind": "queue", "target": { "type": "queue", "group": "sales" } })
}

/// A call that was answered, and what either side was told, its grant with it.
struct Answered {
    id: String,
    made: Value,
    answered: Value,
}

impl Answered {
    async fn new(caller: &mut Caller, callee: &mut Caller, call: Value) -> Result<Self> {
        let made = caller.ask("createCall", call).await?;
        let id = call_id(&made)?;
        callee.event("inviteReceived").await?;
        let accept = json!({ "invite": { "call": id } });
        let answered = callee.ask("accept", accept).await?;
        Ok(Self { id, made, answered })
    }
}

/// A call of ann's that bob refuses.
async fn refused_call(server: &TestServer, tenant: &str) -> Result<String> {
    let mut ann = Caller::online(server, tenant, "ann", json!({})).await?;
    let mut bob = Caller::online(server, tenant, "bob", json!({})).await?;
    let id = call_id(&ann.ask("createCall", private_call("bob")).await?)?;
    bob.event("inviteReceived").await?;
    bob.ask("reject", json!({ "invite": { "call": id } }))
        .await?;
    ann.event("callEnded").await?;
    Ok(id)
}

/// Whether nothing arrives for a while, after what was under way.
async fn is_silent(player: &mut Player) -> bool {
    let under_way = Instant::now() + Duration::from_millis(500);
    while tokio::time::timeout_at(under_way.into(), player.packets.recv())
        .await
        .is_ok_and(|packet| packet.is_some())
    {}
    let quiet = Duration::from_millis(500);
    tokio::time::timeout(quiet, player.packets.recv())
        .await
        .is_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_ring_answer_hold_and_hang_up_with_media() -> Result<()> {
    let (server, admin) = contact_centre().await?;
    let mut ann = online(&server, "ann").await?;
    let mut bob = online(&server, "bob").await?;
    let made = ann.ask("createCall", private_call("bob")).await?;
    let id = call_id(&made)?;
    let rung = bob.event("inviteReceived").await?;
    ensure!(rung["caller"]["user"] == "ann", "{rung}");
    bob.ask("ringing", json!({})).await?;
    ann.event("inviteRinging").await?;
    let answered = bob
        .ask("accept", json!({ "invite": { "call": id } }))
        .await?;

    let (room, token) = grant(&made)?;
    let publisher = Publisher::with_token(&server, &room, token).await?;
    let sending = publisher.send_numbered();
    let (room, token) = grant(&answered)?;
    let mut player = Player::with_token(&server, &room, token).await?;
    player.next().await?;
    loop {
        let progress = ann.event("callProgress").await?;
        if progress["stage"] == "connected" {
            break;
        }
    }

    ann.ask("hold", json!({ "call": { "id": id } })).await?;
    ensure!(is_silent(&mut player).await, "who is held hears nothing");
    ann.ask("unhold", json!({ "call": { "id": id } })).await?;
    player.next().await?;

    bob.ask("hangUp", json!({ "call": { "id": id } })).await?;
    for caller in [&mut ann, &mut bob] {
        let ended = caller.event("callEnded").await?;
        ensure!(
            ended["reason"] == "hang_up" && ended["actor"]["user"] == "bob",
            "{ended}"
        );
    }
    let admin_of_room = server.token(&room, "nobody")?;
    let path = format!("/v1/rooms/{room}");
    ensure!(
        server.get(&path, &admin_of_room).await.is_err(),
        "the room is gone"
    );
    let records = server.get("/v1/tenants/acme/records", &admin).await?;
    let record = &records["records"][0];
    ensure!(
        record["call"] == id.as_str() && record["reason"] == "hang_up",
        "{records}"
    );
    ensure!(record["durationMs"].as_u64() > Some(0), "{record}");
    sending.abort();
    server.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_leaves_the_customer_less_than_a_second_without_media() -> Result<()> {
    let (server, _) = contact_centre().await?;
    let mut customer = online(&server, "customer").await?;
    let mut amy = seated(&server, "amy").await?;
    let call = Answered::new(&mut customer, &mut amy, queue_call()).await?;
    let Answered { id, made, answered } = call;
    let (room, token) = grant(&answered)?;
    let first = Publisher::with_token(&server, &room, token).await?;
    let first = first.send_numbered();
    let (_, token) = grant(&made)?;
    let mut ears = Player::with_token(&server, &room, token).await?;
    ears.next().await?;

    let mut bea = seated(&server, "bea").await?;
    amy.ask("transferAsk", json!({ "target": "bea" })).await?;
    let asked = bea.event("transferUpdate").await?;
    ensure!(asked["state"] == "requested", "{asked}");
    let taken = bea
        .ask("transferAccept", json!({ "call": { "id": id } }))
        .await?;
    let (room, token) = grant(&taken)?;
    let second = Publisher::with_token(&server, &room, token).await?;
    let second = second.send_numbered();
    let ended = amy.event("callEnded").await?;
    ensure!(ended["reason"] == "transferred", "{ended}");
    first.abort();

    let mut longest = Duration::ZERO;
    let mut last = Instant::now();
    let end = last + Duration::from_secs(3);
    while Instant::now() < end {
        ears.next().await?;
        longest = longest.max(last.elapsed());
        last = Instant::now();
    }
    ensure!(longest < Duration::from_secs(1), "a gap of {longest:?}");
    second.abort();
    server.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supervisor_listens_unnoticed_and_ends_the_call() -> Result<()> {
    let (server, admin) = contact_centre().await?;
    let mut customer = online(&server, "customer").await?;
    let mut amy = seated(&server, "amy").await?;
    let mut sue = seated(&server, "sue").await?;
    sue.ask("setSeat", json!({ "wish": "rest" })).await?;
    let call = Answered::new(&mut customer, &mut amy, queue_call()).await?;
    let Answered { id, made, answered } = call;
    let (room, token) = grant(&made)?;
    let publisher = Publisher::with_token(&server, &room, token).await?;
    let sending = publisher.send_numbered();
    let (_, token) = grant(&answered)?;
    let mut player = Player::with_token(&server, &room, token).await?;
    player.next().await?;

    let notice = sue.event("callNotice").await?;
    ensure!(notice["call"] == id.as_str(), "{notice}");
    let listening = sue.ask("monStart", json!({ "call": { "id": id } })).await?;
    let (_, token) = grant(&listening)?;
    let mut ears = Player::with_token(&server, &room, token).await?;
    ears.next().await?;
    let update = sue.event("monitorUpdate").await?;
    ensure!(update["state"] == "listening", "{update}");
    let seen = server
        .get(&format!("/v1/calls/{id}?tenant=acme"), &admin)
        .await?;
    let people = seen["participants"].as_array().context("participants")?;
    ensure!(people.len() == 2, "{seen}");

    sue.ask("monEndCall", json!({ "call": { "id": id } }))
        .await?;
    let ended = customer.event("callEnded").await?;
    ensure!(ended["reason"] == "supervisor_end", "{ended}");
    sending.abort();
    server.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verbs_by_http_ring_and_hang_up_like_any_other_device() -> Result<()> {
    let (server, _) = contact_centre().await?;
    let mut bob = online(&server, "bob").await?;
    let ann = server.sign("ann", &json!({ "callTenant": "acme" }))?;
    let post = reqwest::Method::POST;
    let call = private_call("bob");
    let made = server.write(post.clone(), "/v1/calls", &ann, &call).await?;
    let id = call_id(&made["data"])?;
    bob.event("inviteReceived").await?;
    let path = format!("/v1/calls/{id}/hangup");
    server.write(post, &path, &ann, &json!({})).await?;
    let canceled = bob.event("inviteCanceled").await?;
    ensure!(canceled["reason"] == "cancel", "{canceled}");
    let _ = bob.vanish();
    server.stop().await;
    Ok(())
}
