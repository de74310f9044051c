//! What is refused, and in which words.

use axum::body::Body;
use axum::http::Request;
use crosspoint_control::api::{ControlError, OfferProblem};
use crosspoint_control::model::{Identity, RoomName, TrackSid};
use serde_json::{Value, json};

use crate::common::{Door, admin_token, join_token, token};

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
