//! The HTTP API: what a request becomes, and what becomes of the outcome.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use axum::body::Body;
use axum::http::Request;
use common::{Door, admin_token, join_token, token};
use crosspoint_control::api::{ControlError, OfferProblem, RoomEvent};
use crosspoint_control::model::{Identity, RoomName, TrackSid};
use crosspoint_media::config::LayerLimit;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

#[tokio::test]
async fn requests_become_calls() {
    let door = Door::new();
    let bob = "/v1/rooms/demo/participants/bob";
    let cases = [
        (
            "POST",
            "/v1/rooms",
            json!({"name": "demo"}),
            200,
            "create_room demo",
        ),
        ("GET", "/v1/rooms", Value::Null, 200, "rooms"),
        ("GET", "/v1/rooms/demo", Value::Null, 200, "room demo"),
        (
            "DELETE",
            "/v1/rooms/demo",
            Value::Null,
            204,
            "delete_room demo room_deleted",
        ),
        (
            "GET",
            "/v1/rooms/demo/participants",
            Value::Null,
            200,
            "participants demo",
        ),
        ("GET", bob, Value::Null, 200, "participant demo bob"),
        (
            "PATCH",
            bob,
            json!({"metadata": "x"}),
            200,
            "update_participant demo bob",
        ),
        ("DELETE", bob, Value::Null, 204, "remove demo bob kicked"),
        (
            "PATCH",
            "/v1/rooms/demo/tracks/TR_1",
            json!({"muted": true}),
            200,
            "mute demo TR_1 Server true",
        ),
        (
            "POST",
            "/v1/rooms/demo/messages",
            json!({"text": "hi"}),
            204,
            "message demo",
        ),
        (
            "POST",
            "/v1/rooms/demo/participants/bob/move",
            json!({"to": "b"}),
            204,
            "move demo bob b",
        ),
        (
            "POST",
            "/v1/rooms/demo/participants/bob/forward",
            json!({"to": "b"}),
            204,
            "forward demo bob b",
        ),
        (
            "PUT",
            "/v1/rooms/demo/participants/bob/subscriptions/TR_1",
            json!({"wanted": true, "largest": 1}),
            204,
            "subscribe demo bob TR_1",
        ),
    ];
    for (method, path, body, status, call) in cases {
        let reply = door.api(method, path, &admin_token(), body).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.body);
        assert_eq!(door.control.calls().last().unwrap(), call);
    }
}

#[tokio::test]
async fn json_is_as_agreed() {
    let door = Door::new();
    let admin = admin_token();
    let room = door.api("GET", "/v1/rooms/demo", &admin, Value::Null).await;
    assert_eq!(
        room.json(),
        json!({
            "name": "demo", "sid": "RM_abcdefghijkl", "metadata": "", "emptyTimeoutS": 300,
            "departureTimeoutS": 20, "maxParticipants": 0, "topAudio": 3, "policy": {},
            "recording": {"when": "onDemand", "mode": "individual", "endOnFailure": false},
            "createdAt": "2023-11-14T22:13:20.123Z", "numParticipants": 1, "numPublishers": 1,
            "activeSpeakers": ["bob"],
        })
    );
    let path = "/v1/rooms/demo/participants";
    let list = door.api("GET", path, &admin, Value::Null).await.json();
    assert_eq!(
        list["participants"][0],
        json!({
            "identity": "bob", "sid": "PA_abcdefghijkl", "name": "Name", "metadata": "",
            "attributes": {}, "state": "active", "joinedAt": "1970-01-01T00:00:00.000Z",
            "permissions": {
                "canPublish": true, "canPublishSources": [], "canSubscribe": true,
                "canPublishData": true, "canUpdateOwnMetadata": false, "hidden": false,
            },
            "tracks": [{
                "sid": "TR_own", "kind": "video", "source": "screen_share", "name": "",
                "muted": false, "codec": "VP8", "simulcast": true, "mid": "1", "width": 640,
                "height": 480,
            }],
        })
    );
    let made = json!({"name": "demo", "emptyTimeoutS": 7, "topAudio": 0, "metadata": "m"});
    let made = door.api("POST", "/v1/rooms", &admin, made).await.json();
    assert_eq!(made["emptyTimeoutS"], 7);
    assert_eq!(made["topAudio"], 0);
    assert_eq!(made["metadata"], "m");
    assert_eq!(made["departureTimeoutS"], 20);
}

#[tokio::test]
async fn permissions_left_out_of_a_patch_stay_as_they_are() {
    let door = Door::new();
    let patch = json!({"permissions": {"canPublish": false, "hidden": true}});
    let path = "/v1/rooms/demo/participants/bob";
    door.api("PATCH", path, &admin_token(), patch).await;
    let patches = door.control.patches.lock().unwrap();
    let permissions = patches[0].permissions.as_ref().unwrap();
    assert!(!permissions.can_publish && permissions.hidden);
    assert!(permissions.can_subscribe && permissions.can_publish_data);
}

#[tokio::test]
async fn the_largest_layer_has_names_and_numbers() {
    let door = Door::new();
    let path = "/v1/rooms/demo/participants/bob/subscriptions/TR_1";
    let size = json!({"width": 640, "height": 360});
    for largest in [
        json!("best"),
        json!("large"),
        json!("small"),
        json!(2),
        size,
    ] {
        let wish = json!({"wanted": true, "largest": largest});
        door.api("PUT", path, &admin_token(), wish).await;
    }
    door.api("PUT", path, &admin_token(), json!({"wanted": false}))
        .await;
    let wishes = door.control.wishes.lock().unwrap().clone();
    let seen: Vec<_> = wishes.iter().map(|wish| wish.largest).collect();
    let best = LayerLimit::Best;
    let size = LayerLimit::Size {
        width: 640,
        height: 360,
    };
    let layers = [
        best,
        best,
        LayerLimit::Small,
        LayerLimit::Spatial(2),
        size,
        best,
    ];
    assert_eq!(seen, layers);
    assert!(!wishes[5].wanted);
}

#[tokio::test]
async fn a_picture_is_explained_to_who_administers_the_room() {
    let door = Door::new();
    let path = "/v1/rooms/demo/participants/bob/subscriptions/TR_1/explain";
    let reply = door.api("GET", path, &admin_token(), Value::Null).await;
    assert_eq!(reply.status, 200);
    let why = reply.json();
    assert_eq!(why["reason"], "bandwidth");
    let sentence = why["sentence"].as_str().unwrap();
    assert!(
        sentence.contains("310 kbit/s") && sentence.contains("500"),
        "{sentence}"
    );
    assert_eq!(why["layers"][1]["rid"], "h");
    assert_eq!(why["layers"][1]["bitrateBps"], 500_000);
    assert_eq!(why["wish"]["largest"], json!({"width": 640, "height": 360}));
    assert_eq!(why["policy"]["ceiling"], "best");
    assert_eq!(
        why["neighbours"],
        json!([{"track": "TR_voice", "bitrateBps": 40_000}])
    );
    let switch = &why["switches"][0];
    assert_eq!(
        (&switch["agoMs"], &switch["cause"]),
        (&json!(1500), &json!("bandwidth"))
    );
}

#[tokio::test]
async fn a_policy_is_given_as_a_whole() {
    let door = Door::new();
    let policy = json!({"ceiling": {"width": 640, "height": 360}, "audioOnly": false,
        "dwellUpMs": 5000, "priority": 3});
    let path = "/v1/rooms/demo/participants/bob";
    let patch = json!({"policy": policy});
    let reply = door.api("PATCH", path, &admin_token(), patch).await;
    assert_eq!(reply.status, 200);
    let given = door.control.patches.lock().unwrap()[0].policy.unwrap();
    let ceiling = LayerLimit::Size {
        width: 640,
        height: 360,
    };
    assert_eq!(given.ceiling, Some(ceiling));
    assert_eq!((given.audio_only, given.priority), (Some(false), Some(3)));
    assert_eq!(given.dwell_up, Some(std::time::Duration::from_secs(5)));
    assert_eq!(given.floor, None);
    let patch = json!({"policy": {"cieling": "best"}});
    let reply = door.api("PATCH", path, &admin_token(), patch).await;
    assert!(reply.status.is_client_error());
}

#[tokio::test]
async fn each_operation_needs_its_own_grant() {
    let door = Door::new();
    let joiner = join_token("bob");
    let lister = token(None, json!({"roomList": true}));
    let creator = token(None, json!({"roomCreate": true}));
    let admin = token(None, json!({"roomAdmin": true, "room": "demo"}));
    let mover = token(
        None,
        json!({"roomAdmin": true, "room": "demo", "destinationRoom": "b"}),
    );
    let to = |room: &str| json!({"to": room});
    let transfer = "/v1/rooms/demo/participants/bob/move";
    let cases = [
        ("POST", "/v1/rooms", json!({"name": "x"}), &creator, true),
        ("POST", "/v1/rooms", json!({"name": "demo"}), &admin, false),
        ("POST", "/v1/rooms", json!({"name": "x"}), &lister, false),
        ("GET", "/v1/rooms", Value::Null, &lister, true),
        ("GET", "/v1/rooms", Value::Null, &admin, false),
        ("GET", "/v1/rooms", Value::Null, &joiner, false),
        ("GET", "/v1/rooms/demo", Value::Null, &lister, true),
        ("GET", "/v1/rooms/demo", Value::Null, &admin, true),
        ("GET", "/v1/rooms/other", Value::Null, &admin, false),
        ("GET", "/v1/rooms/demo", Value::Null, &joiner, false),
        ("DELETE", "/v1/rooms/demo", Value::Null, &creator, true),
        ("DELETE", "/v1/rooms/demo", Value::Null, &admin, false),
        ("PATCH", "/v1/rooms/demo", json!({}), &admin, true),
        ("PATCH", "/v1/rooms/demo", json!({}), &creator, false),
        (
            "DELETE",
            "/v1/rooms/demo/participants/bob",
            Value::Null,
            &joiner,
            false,
        ),
        (
            "DELETE",
            "/v1/rooms/demo/participants/bob",
            Value::Null,
            &lister,
            false,
        ),
        ("POST", transfer, to("b"), &mover, true),
        ("POST", transfer, to("c"), &mover, false),
        ("POST", transfer, to("b"), &admin, false),
        ("GET", "/v1/events", Value::Null, &joiner, false),
        ("GET", "/v1/events?room=other", Value::Null, &admin, false),
    ];
    for (method, path, body, token, allowed) in cases {
        let before = door.control.calls().len();
        let reply = door.api(method, path, token, body).await;
        assert_eq!(
            reply.status != 403,
            allowed,
            "{method} {path}: {}",
            reply.body
        );
        assert_eq!(
            door.control.calls().len() > before,
            allowed,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn errors_become_problems() {
    let door = Door::new();
    let name = RoomName::new("demo").unwrap();
    let bob = Identity::new("bob").unwrap();
    let refused = ControlError::OfferRefused;
    let cases = [
        (ControlError::RoomNotFound(name), 404, "room_not_found"),
        (
            ControlError::ParticipantNotFound(bob),
            404,
            "participant_not_found",
        ),
        (
            ControlError::TrackNotFound(TrackSid("x".into())),
            404,
            "track_not_found",
        ),
        (ControlError::SessionNotFound, 404, "session_not_found"),
        (ControlError::RoomFull(3), 403, "room_full"),
        (
            ControlError::NotPermitted("canPublish"),
            403,
            "not_permitted",
        ),
        (
            refused(OfferProblem::Syntax { line: 3 }),
            400,
            "offer_refused",
        ),
        (refused(OfferProblem::NotBundled), 422, "offer_refused"),
        (
            refused(OfferProblem::Limit {
                what: "m-lines",
                max: 64,
            }),
            422,
            "offer_refused",
        ),
        (
            refused(OfferProblem::Limit {
                what: "bytes",
                max: 1,
            }),
            413,
            "offer_refused",
        ),
        (
            ControlError::TooLarge {
                what: "metadata",
                max: 65536,
            },
            413,
            "too_large",
        ),
        (
            ControlError::ServerFull {
                what: "rooms",
                max: 1,
            },
            503,
            "server_full",
        ),
        (ControlError::Draining, 503, "draining"),
        (ControlError::Overloaded, 503, "overloaded"),
        (ControlError::TooMany("messages"), 429, "too_many_requests"),
    ];
    for (error, status, label) in cases {
        *door.control.fail.lock().unwrap() = Some(error.clone());
        let reply = door
            .api("GET", "/v1/rooms/demo", &admin_token(), Value::Null)
            .await;
        assert_eq!(reply.problem(), (status, label.to_owned()));
        assert_eq!(reply.json()["detail"], error.to_string());
        let later = [429, 503].contains(&status);
        assert_eq!(reply.headers.contains_key("retry-after"), later);
    }
}

#[tokio::test]
async fn bad_requests_say_what_is_wrong_and_do_nothing() {
    let door = Door::new();
    let long = "x".repeat(129);
    let cases = [
        ("POST", "/v1/rooms".to_owned(), json!({"name": ""}), 400),
        ("POST", "/v1/rooms".to_owned(), json!({"name": long}), 400),
        (
            "POST",
            "/v1/rooms".to_owned(),
            json!({"name": "a\u{7}"}),
            400,
        ),
        ("POST", "/v1/rooms".to_owned(), json!({"name": 1}), 422),
        ("POST", "/v1/rooms".to_owned(), json!({}), 422),
        (
            "POST",
            "/v1/rooms".to_owned(),
            json!({"name": "x", "emptyTimeout": 1}),
            422,
        ),
        (
            "POST",
            "/v1/rooms".to_owned(),
            json!({"name": "x", "topAudio": 256}),
            422,
        ),
        (
            "POST",
            "/v1/rooms".to_owned(),
            json!({"name": "x", "emptyTimeoutS": -1}),
            422,
        ),
        (
            "PATCH",
            "/v1/rooms/demo/tracks/T".to_owned(),
            json!({"muted": "yes"}),
            422,
        ),
        (
            "POST",
            "/v1/rooms/demo/messages".to_owned(),
            json!({"topic": "x"}),
            400,
        ),
        (
            "POST",
            "/v1/rooms/demo/messages".to_owned(),
            json!({"data": "?"}),
            400,
        ),
        (
            "POST",
            "/v1/rooms/demo/participants/bob/move".to_owned(),
            json!({"to": ""}),
            400,
        ),
        ("GET", "/v1/rooms/%ff".to_owned(), Value::Null, 400),
        ("GET", "/v1/rooms/a%00b".to_owned(), Value::Null, 400),
        (
            "GET",
            "/v1/rooms/demo/participants/a%0Ab".to_owned(),
            Value::Null,
            400,
        ),
        ("PUT", "/v1/rooms/demo".to_owned(), Value::Null, 405),
        ("GET", "/v1/nothing".to_owned(), Value::Null, 404),
        ("POST", "/nothing".to_owned(), json!({}), 404),
    ];
    for (method, path, body, status) in cases {
        let reply = door.api(method, &path, &admin_token(), body.clone()).await;
        assert_eq!(
            reply.problem().0,
            status,
            "{method} {path} {body}: {}",
            reply.body
        );
    }
    assert_eq!(door.control.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn bodies_are_bounded_and_typed() {
    let door = Door::new();
    let post = |kind: &str, body: Body| {
        Request::post("/v1/rooms")
            .header("authorization", format!("Bearer {}", admin_token()))
            .header("content-type", kind)
            .body(body)
            .unwrap()
    };
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(2 << 20));
    let reply = door.send(post("application/json", Body::from(large))).await;
    assert_eq!(reply.problem(), (413, "too_large".to_owned()));
    let reply = door.send(post("text/plain", Body::from("{}"))).await;
    assert_eq!(reply.problem(), (415, "media_type".to_owned()));
    let reply = door.send(post("application/json", Body::from("{"))).await;
    assert_eq!(reply.problem(), (400, "bad_request".to_owned()));
    let deep = "[".repeat(100_000);
    let reply = door.send(post("application/json", Body::from(deep))).await;
    assert_eq!(reply.problem().0, 422);
    assert_eq!(door.control.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn a_405_names_the_methods_that_are_allowed() {
    let door = Door::new();
    let reply = door
        .api("PUT", "/v1/rooms", &admin_token(), Value::Null)
        .await;
    assert_eq!(reply.problem(), (405, "method_not_allowed".to_owned()));
    let mut allowed: Vec<_> = reply.header("allow").split(',').map(str::trim).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
}

/// The module's table of routes, the router and the OpenAPI document say the same.
#[tokio::test]
async fn routes_and_their_documents_agree() {
    let door = Door::with(Default::default(), true);
    let document = door.api("GET", "/openapi.json", "", Value::Null).await;
    // A token is not needed for it.
    assert_eq!(document.status, 200);
    let document = document.json();
    let mut described = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    described.sort();

    let mut listed = Vec::new();
    for line in include_str!("../src/http/mod.rs").lines() {
        let Some(row) = line.strip_prefix("//! | `") else {
            continue;
        };
        let cell = row.split(" | ").next().unwrap();
        for entry in cell.split('`').filter(|entry| entry.contains('/')) {
            let (methods, path) = entry.rsplit_once(' ').unwrap();
            listed.extend(methods.split(' ').map(|method| format!("{method} {path}")));
        }
    }
    listed.retain(|route| !["GET /", "GET /sdk/..."].contains(&route.as_str()));
    listed.sort();
    assert_eq!(described, listed);

    for route in &described {
        let (method, path) = route.split_once(' ').unwrap();
        let reply = door.send(
            Request::builder()
                .method(method)
                .uri(path.replace(['{', '}'], ""))
                .body(Body::empty())
                .unwrap(),
        );
        let status = reply.await.status;
        assert!(![404, 405].contains(&status.as_u16()), "{route}: {status}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_call_and_read_what_they_need() {
    let door = Door::new();
    let preflight = Request::options("/whip/demo")
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        )
        .body(Body::empty())
        .unwrap();
    let reply = door.send(preflight).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    assert!(
        reply
            .header("access-control-allow-methods")
            .contains("PATCH")
    );
    assert!(
        reply
            .header("access-control-allow-headers")
            .contains("authorization")
    );
    assert_eq!(reply.header("accept-post"), "application/sdp");

    let request = Request::get("/v1/rooms")
        .header("origin", "https://app.example.com")
        .body(Body::empty())
        .unwrap();
    let exposed = door.send(request).await;
    let exposed = exposed
        .header("access-control-expose-headers")
        .to_lowercase();
    for name in ["location", "link", "etag"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    assert_eq!(reply.header("access-control-allow-credentials"), "");
}

#[tokio::test]
async fn pages_carry_security_headers_and_entity_tags() {
    let door = Door::new();
    let page = door
        .send(Request::get("/?room=a").body(Body::empty()).unwrap())
        .await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(
        page.header("content-security-policy")
            .contains("default-src")
    );
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    let again = Request::get("/")
        .header("if-none-match", page.header("etag"))
        .body(Body::empty())
        .unwrap();
    assert_eq!(door.send(again).await.status, 304);
    let script = Request::get("/sdk/crosspoint.js")
        .body(Body::empty())
        .unwrap();
    let script = door.send(script).await;
    assert!(script.header("content-type").contains("javascript"));
    assert_eq!(script.header("access-control-allow-origin"), "*");
    for path in [
        "/sdk/../Cargo.toml",
        "/../Cargo.toml",
        "/sdk/%2e%2e/Cargo.toml",
    ] {
        let reply = door
            .send(Request::get(path).body(Body::empty()).unwrap())
            .await;
        assert_eq!(reply.problem().0, 404, "{path}");
    }
}

#[tokio::test]
async fn readiness_ends_when_the_server_drains() {
    let door = Door::new();
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    assert_eq!(door.send(get("/healthz")).await.status, 200);
    assert_eq!(door.send(get("/readyz")).await.status, 200);
    door.app.drain().await;
    assert_eq!(door.control.calls(), ["drain"]);
    assert_eq!(door.send(get("/readyz")).await.problem().0, 503);
    assert_eq!(door.send(get("/healthz")).await.status, 200);
}

#[tokio::test]
async fn metrics_are_prometheus_text_without_names_of_rooms() {
    let door = Door::new();
    door.api("GET", "/v1/rooms/secret-room", &admin_token(), Value::Null)
        .await;
    let reply = door
        .send(Request::get("/metrics").body(Body::empty()).unwrap())
        .await;
    assert_eq!(
        reply.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    for line in [
        "# TYPE crosspoint_rooms gauge\ncrosspoint_rooms 2\n",
        "# TYPE crosspoint_rtp_received_total counter\ncrosspoint_rtp_received_total 12\n",
        "crosspoint_draining 0\n",
    ] {
        assert!(reply.body.contains(line), "{line} in {}", reply.body);
    }
    assert!(
        reply.body.contains("crosspoint_http_requests_total"),
        "{}",
        reply.body
    );
    assert!(
        reply.body.contains(r#"route="/v1/rooms/{room}""#),
        "{}",
        reply.body
    );
    assert!(!reply.body.contains("secret-room"));
}

#[tokio::test]
async fn events_are_streamed_for_the_rooms_that_the_token_allows() {
    let door = Door::new();
    let admin = token(None, json!({"roomAdmin": true, "room": "demo"}));
    let request = Request::get(format!("/v1/events?access_token={admin}"))
        .body(Body::empty())
        .unwrap();
    let response = door.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut frames = response.into_body().into_data_stream();
    let started = |name: &str| RoomEvent::RoomStarted(common::room(&RoomName::new(name).unwrap()));
    door.control.events.send(started("other")).unwrap();
    door.control.events.send(started("demo")).unwrap();
    let frame = frames.next().await.unwrap().unwrap();
    let text = std::str::from_utf8(&frame).unwrap();
    let data = text.strip_prefix("event: roomStarted\ndata: ").unwrap();
    let event: Value = serde_json::from_str(data).unwrap();
    assert_eq!(event["type"], "roomStarted");
    assert_eq!(event["room"], "demo");
    assert_eq!(event["details"]["emptyTimeoutS"], 300);
}

#[tokio::test]
async fn a_slow_reader_of_events_is_told_how_many_it_missed() {
    let door = Door::new();
    let lister = token(None, json!({"roomList": true}));
    let request = Request::get(format!("/v1/events?access_token={lister}"))
        .body(Body::empty())
        .unwrap();
    let response = door.router.clone().oneshot(request).await.unwrap();
    for _ in 0..20 {
        let room = common::room(&RoomName::new("demo").unwrap());
        door.control
            .events
            .send(RoomEvent::RoomUpdated(room))
            .unwrap();
    }
    let frame = response.into_body().frame().await.unwrap().unwrap();
    let frame = frame.into_data().unwrap();
    assert_eq!(frame, "event: lagged\ndata: {\"missed\":4}\n\n");
}

mod development {
    //! `POST /v1/dev/token`.

    use std::net::SocketAddr;

    use axum::extract::ConnectInfo;

    use super::*;

    fn ask(peer: &str, host: &str, origin: Option<&str>, kind: &str) -> Request<Body> {
        let mut request = Request::post("/v1/dev/token")
            .header("host", host)
            .header("content-type", kind);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let peer: SocketAddr = peer.parse().unwrap();
        request
            .extension(ConnectInfo(peer))
            .body(Body::from(r#"{"room":"demo","identity":"me","name":"Me"}"#))
            .unwrap()
    }

    const JSON: &str = "application/json";
    const HERE: &str = "127.0.0.1:5000";

    #[tokio::test]
    async fn a_page_of_this_machine_gets_a_token_that_joins() {
        let door = Door::with(Default::default(), true);
        for (peer, host, origin) in [
            (HERE, "localhost:7880", Some("http://localhost:7880")),
            (HERE, "127.0.0.1:7880", Some("http://127.0.0.1:7880")),
            ("[::1]:5000", "[::1]:7880", Some("http://[::1]:7880")),
            ("[::ffff:127.0.0.1]:5000", "localhost:7880", None),
        ] {
            let reply = door.send(ask(peer, host, origin, JSON)).await;
            assert_eq!(reply.status, 200, "{host}: {}", reply.body);
            assert!(!reply.headers.contains_key("access-control-allow-origin"));
            let token = reply.json()["token"].as_str().unwrap().to_owned();
            let grant = door.app.keys.verify(&token).unwrap();
            grant.require_join(&RoomName::new("demo").unwrap()).unwrap();
            assert_eq!(grant.identity().unwrap().as_str(), "me");
            assert!(grant.require_list().is_err());
        }
    }

    #[tokio::test]
    async fn nobody_else_does() {
        let door = Door::with(Default::default(), true);
        for (name, peer, host, origin, kind) in [
            (
                "another machine",
                "192.0.2.1:5",
                "localhost:7880",
                None,
                JSON,
            ),
            (
                "a rebound name",
                HERE,
                "evil.example:7880",
                Some("http://evil.example:7880"),
                JSON,
            ),
            (
                "another page",
                HERE,
                "localhost:7880",
                Some("https://evil.example"),
                JSON,
            ),
            (
                "another port's page",
                HERE,
                "localhost:7880",
                Some("http://localhost:8000"),
                JSON,
            ),
            (
                "a sandboxed page",
                HERE,
                "localhost:7880",
                Some("null"),
                JSON,
            ),
            (
                "a name that begins so",
                HERE,
                "localhost.evil.example",
                None,
                JSON,
            ),
            ("a form", HERE, "localhost:7880", None, "text/plain"),
        ] {
            let reply = door.send(ask(peer, host, origin, kind)).await;
            let (status, _) = reply.problem();
            assert!([403, 415].contains(&status), "{name}: {status}");
        }
    }

    #[tokio::test]
    async fn with_keys_there_is_no_such_route() {
        let door = Door::new();
        let reply = door.send(ask(HERE, "localhost:7880", None, JSON)).await;
        assert_eq!(reply.problem().0, 404);
    }
}
