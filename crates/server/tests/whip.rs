//! WHIP and WHEP over HTTP.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use axum::body::Body;
use axum::http::Request;
use common::{Door, Reply, join_token, now, sign, token};
use crosspoint_control::api::{ControlError, OfferProblem, SessionEvent};
use crosspoint_control::model::Reason;
use crosspoint_server::config::load::load_from;
use serde_json::json;

const OFFER: &str = "v=0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
    a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n";
const CANDIDATE: &str = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n\
    m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
const RESTART: &str = "a=ice-ufrag:efgh\r\na=ice-pwd:9876543210987654321098\r\n";

fn post(path: &str, token: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/sdp")
        .body(body.into())
        .unwrap()
}

fn patch(resource: &str, token: &str, tag: Option<&str>, body: &'static str) -> Request<Body> {
    let mut request = Request::patch(resource)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/trickle-ice-sdpfrag");
    if let Some(tag) = tag {
        request = request.header("if-match", tag);
    }
    request.body(Body::from(body)).unwrap()
}

fn delete(resource: &str, token: &str) -> Request<Body> {
    Request::delete(resource)
        .header("authorization", format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap()
}

async fn begin(door: &Door, path: &str, token: &str) -> Reply {
    let reply = door.send(post(path, token, OFFER)).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply
}

#[tokio::test]
async fn an_offer_gets_an_answer_and_an_address() {
    let door = Door::new();
    let token = token(Some("cam"), json!({"roomJoin": true, "room": "a b/c"}));
    let reply = begin(&door, "/whip/a%20b%2Fc", &token).await;
    assert_eq!(reply.header("content-type"), "application/sdp");
    assert_eq!(reply.body, "v=0\r\nanswer");
    let id = reply
        .header("location")
        .strip_prefix("/whip/a%20b%2Fc/")
        .unwrap();
    assert!(id.len() >= 22, "unguessable");
    let etag = reply.header("etag");
    assert!(etag.starts_with('"') && etag.ends_with('"'));
    assert_eq!(reply.header("link"), "");
    assert_eq!(door.app.session_count(), 1);

    let joins = door.control.joins.lock().unwrap();
    let permissions = &joins[0].permissions;
    assert!(permissions.can_publish && !permissions.can_subscribe);
    assert_eq!(joins[0].identity.as_str(), "cam");
}

#[tokio::test]
async fn a_player_only_receives_and_may_choose_whom() {
    let door = Door::new();
    begin(&door, "/whep/demo?participant=bob", &join_token("tv")).await;
    let joins = door.control.joins.lock().unwrap();
    assert!(!joins[0].permissions.can_publish && joins[0].permissions.can_subscribe);
    assert_eq!(joins[0].only.as_ref().unwrap().as_str(), "bob");
}

#[tokio::test]
async fn a_token_without_identity_gives_each_client_its_own() {
    let door = Door::new();
    let anybody = token(None, json!({"roomJoin": true, "room": "demo"}));
    begin(&door, "/whip/demo", &anybody).await;
    begin(&door, "/whip/demo", &anybody).await;
    begin(&door, "/whep/demo", &anybody).await;
    let joins = door.control.joins.lock().unwrap();
    let names: Vec<_> = joins.iter().map(|join| join.identity.as_str()).collect();
    assert!(
        names[0].starts_with("whip-") && names[2].starts_with("whep-"),
        "{names:?}"
    );
    assert_ne!(names[0], names[1]);
}

#[tokio::test]
async fn a_token_that_may_not_publish_is_for_players_only() {
    let door = Door::new();
    let viewer = json!({"roomJoin": true, "room": "demo", "canPublish": false});
    let viewer = token(Some("tv"), viewer);
    let reply = door.send(post("/whip/demo", &viewer, OFFER)).await;
    assert_eq!(reply.problem(), (403, "not_permitted".to_owned()));
    assert_eq!(door.control.calls(), Vec::<String>::new());
    begin(&door, "/whep/demo", &viewer).await;
}

#[tokio::test]
async fn candidates_are_taken_and_a_restart_is_answered() {
    let door = Door::new();
    let token = join_token("cam");
    let begun = begin(&door, "/whip/demo", &token).await;
    let (resource, tag) = (begun.header("location"), begun.header("etag"));

    let trickled = door
        .send(patch(resource, &token, Some(tag), CANDIDATE))
        .await;
    assert_eq!(
        (trickled.status.as_u16(), trickled.body.as_str()),
        (204, "")
    );
    assert!(
        !door
            .control
            .calls()
            .iter()
            .any(|call| call.starts_with("restart"))
    );

    let restarted = door.send(patch(resource, &token, Some("*"), RESTART)).await;
    assert_eq!(restarted.status, 200);
    assert_eq!(
        restarted.header("content-type"),
        "application/trickle-ice-sdpfrag"
    );
    assert!(
        restarted.body.contains("a=ice-ufrag:ours\r\n"),
        "{}",
        restarted.body
    );
    assert!(restarted.body.contains("a=candidate:1 1 udp 1 192.0.2.7"));
    assert_eq!(door.control.calls().last().unwrap(), "restart_ice 1 efgh");
    let new_tag = restarted.header("etag");
    assert_ne!(new_tag, tag);

    let late = door
        .send(patch(resource, &token, Some(tag), CANDIDATE))
        .await;
    assert_eq!(late.problem(), (412, "etag_mismatch".to_owned()));
    let unmarked = door.send(patch(resource, &token, None, CANDIDATE)).await;
    assert_eq!(unmarked.problem(), (428, "if_match_required".to_owned()));
    let current = door
        .send(patch(resource, &token, Some(new_tag), RESTART))
        .await;
    assert_eq!(current.status, 204, "the same ICE session: no restart");
}

#[tokio::test]
async fn deleting_ends_the_session_and_its_address() {
    let door = Door::new();
    let token = join_token("cam");
    let begun = begin(&door, "/whip/demo", &token).await;
    let resource = begun.header("location");
    assert_eq!(door.send(delete(resource, &token)).await.status, 200);
    assert_eq!(door.control.calls().last().unwrap(), "leave 1 client_left");
    assert_eq!(door.app.session_count(), 0);
    let again = door.send(delete(resource, &token)).await;
    assert_eq!(again.problem(), (404, "session_not_found".to_owned()));
}

#[tokio::test]
async fn a_resource_belongs_to_whom_made_it() {
    let door = Door::new();
    let mine = join_token("cam");
    let begun = begin(&door, "/whip/demo", &mine).await;
    let resource = begun.header("location");
    let strangers = [
        join_token("eve"),
        token(None, json!({"roomJoin": true, "room": "demo"})),
    ];
    for stranger in strangers {
        let reply = door.send(delete(resource, &stranger)).await;
        assert_eq!(reply.problem().0, 404);
    }
    let wrong_protocol = resource.replace("/whip/", "/whep/");
    assert_eq!(
        door.send(delete(&wrong_protocol, &mine)).await.problem().0,
        404
    );
    assert_eq!(door.app.session_count(), 1);
    // A newer token of the same participant will do.
    let renewed = sign(&json!({
        "iss": common::KEY, "sub": "cam", "exp": now() + 60,
        "video": {"roomJoin": true, "room": "demo"},
    }));
    assert_ne!(renewed, mine);
    assert_eq!(door.send(delete(resource, &renewed)).await.status, 200);
}

#[tokio::test]
async fn the_address_goes_when_the_media_ends() {
    let door = Door::new();
    let token = join_token("cam");
    let begun = begin(&door, "/whip/demo", &token).await;
    let ended = SessionEvent::Ended(Reason::ConsentExpired);
    door.control.latest().send(ended.into()).await.unwrap();
    door.control.latest().closed().await;
    while door.app.session_count() > 0 {
        tokio::task::yield_now().await;
    }
    let reply = door.send(delete(begun.header("location"), &token)).await;
    assert_eq!(reply.problem().0, 404);
}

#[tokio::test]
async fn bad_offers_are_refused_and_leave_nothing_behind() {
    let door = Door::new();
    let token = join_token("cam");
    let wrong_type = Request::post("/whip/demo")
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Body::from(OFFER))
        .unwrap();
    assert_eq!(
        door.send(wrong_type).await.problem(),
        (415, "media_type".to_owned())
    );
    let mut picky = post("/whip/demo", &token, OFFER);
    picky
        .headers_mut()
        .insert("accept", "application/json".parse().unwrap());
    assert_eq!(
        door.send(picky).await.problem(),
        (406, "not_acceptable".to_owned())
    );
    let large = post("/whip/demo", &token, "x".repeat((256 << 10) + 1));
    let reply = door.send(large).await;
    assert_eq!(reply.problem(), (413, "offer_refused".to_owned()));
    assert!(
        reply.json()["detail"]
            .as_str()
            .unwrap()
            .contains("262144 bytes")
    );
    let binary = post("/whip/demo", &token, vec![0xff, 0xfe]);
    assert_eq!(door.send(binary).await.problem().0, 400);
    let get = Request::get("/whip/demo").body(Body::empty()).unwrap();
    let reply = door.send(get).await;
    assert_eq!((reply.problem().0, reply.header("allow")), (405, "POST"));
    assert_eq!(door.control.calls(), Vec::<String>::new());

    // Those that the control plane refuses.
    let refused = ControlError::OfferRefused(OfferProblem::NotBundled);
    *door.control.fail.lock().unwrap() = Some(refused);
    let reply = door.send(post("/whip/demo", &token, OFFER)).await;
    assert_eq!(reply.problem(), (422, "offer_refused".to_owned()));
    assert_eq!(door.app.session_count(), 0);
}

#[tokio::test]
async fn ice_servers_are_named_in_links() {
    let text = "[media]\nice_servers = [\"stun:s.example:3478\", \"turn:t.example\"]\n\
        ice_username = \"u\\\"ser\"\nice_credential = \"pass\"\n";
    let config = load_from(Some(("test", text)), []).unwrap().config;
    let door = Door::with(config, false);
    let reply = begin(&door, "/whip/demo", &join_token("cam")).await;
    let links: Vec<_> = reply.headers.get_all("link").iter().collect();
    assert_eq!(links[0], "<stun:s.example:3478>; rel=\"ice-server\"");
    assert_eq!(
        links[1],
        "<turn:t.example>; rel=\"ice-server\"; username=\"u\\\"ser\"; credential=\"pass\"; \
         credential-type=\"password\""
    );
}

#[tokio::test]
async fn a_bad_offer_replaces_nobody() {
    let door = Door::new();
    let token = token(Some("cam"), json!({"roomJoin": true, "room": "demo"}));
    begin(&door, "/whip/demo", &token).await;
    let before = door.control.calls();
    let refused = door.send(post("/whip/demo", &token, "bad")).await;
    assert_eq!(refused.problem(), (422, "offer_refused".to_owned()));
    assert_eq!(door.control.calls(), before);
}
