//! What orchestrators and dashboards read, and the stream of events.

use axum::body::Body;
use axum::http::Request;
use crosspoint_control::api::RoomEvent;
use crosspoint_control::model::RoomName;
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::common::{Door, admin_token, room, token};

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
    let started = |name: &str| RoomEvent::RoomStarted(room(&RoomName::new(name).unwrap()));
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
        let room = room(&RoomName::new("demo").unwrap());
        door.control
            .events
            .send(RoomEvent::RoomUpdated(room))
            .unwrap();
    }
    let frame = response.into_body().frame().await.unwrap().unwrap();
    let frame = frame.into_data().unwrap();
    assert_eq!(frame, "event: lagged\ndata: {\"missed\":4}\n\n");
}
