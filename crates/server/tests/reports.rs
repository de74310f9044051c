//! Reports, history, pictures, and the grant of whoever runs the server.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use common::{Door, admin_token, join_token, token};
use crosspoint_media::inspect::Keyframe;
use crosspoint_server::config::Config;
use crosspoint_wire::codec::Codec;
use serde_json::{Value, json};

const SNAPSHOT: &str = "/v1/rooms/demo/tracks/TR_1/snapshot";
const MODERATION: &str = "/v1/rooms/demo/moderation";

#[tokio::test]
async fn a_report_needs_room_admin_and_names_the_room() {
    let door = Door::new();
    let path = "/v1/rooms/demo/reports";
    let denied = door.api("GET", path, &join_token("bob"), Value::Null).await;
    assert_eq!(denied.problem(), (403, "grant_missing".to_owned()));
    let report = door.api("GET", path, &admin_token(), Value::Null).await;
    assert_eq!(report.status, 200);
    assert_eq!(report.json()["room"], "demo");
    assert_eq!(report.json()["participants"], json!([]));
}

#[tokio::test]
async fn node_admin_stands_for_every_room_but_lets_nobody_join() {
    let door = Door::new();
    let admin = token(None, json!({"nodeAdmin": true}));
    for path in [
        "/v1/rooms",
        "/v1/rooms/demo/reports",
        "/v1/rooms/other/participants",
    ] {
        let reply = door.api("GET", path, &admin, Value::Null).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    }
    let made = json!({"name": "demo"});
    let made = door.api("POST", "/v1/rooms", &admin, made).await;
    assert_eq!(made.status, 200);
    let whip = door.api("POST", "/whip/demo", &admin, Value::Null).await;
    assert_eq!(whip.status, 403);
}

#[tokio::test]
async fn history_without_a_store_says_so() {
    let door = Door::new();
    let list = json!({"roomList": true});
    let list = token(None, list);
    for path in ["/v1/history", "/v1/history/RM_1"] {
        let reply = door.api("GET", path, &list, Value::Null).await;
        assert_eq!(reply.problem(), (503, "store_unavailable".to_owned()));
    }
    let since = door.api("GET", "/v1/history?since=soon", &list, Value::Null);
    assert_eq!(since.await.problem(), (400, "invalid_time".to_owned()));
}

#[tokio::test]
async fn a_vp8_keyframe_is_a_webp_picture() {
    let door = Door::new();
    let none = door.api("GET", SNAPSHOT, &admin_token(), Value::Null).await;
    assert_eq!(none.problem(), (503, "no_keyframe".to_owned()));

    // One byte of descriptor (S), then a frame tag and start code.
    let first = [&[0x10][..], &[0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 0, 48, 0]].concat();
    let keyframe = Keyframe {
        codec: Codec::Vp8,
        age: Duration::ZERO,
        packets: vec![first, vec![0x00, 7, 7]],
    };
    *door.control.keyframe.lock().unwrap() = Some(keyframe);
    let reply = door.api("GET", SNAPSHOT, &admin_token(), Value::Null).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("content-type"), "image/webp");
    assert!(reply.body.starts_with("RIFF"));
    let format = format!("{SNAPSHOT}?format=bmp");
    let reply = door.api("GET", &format, &admin_token(), Value::Null).await;
    assert_eq!(reply.problem().0, 400);
    let broken = format!("{SNAPSHOT}?format=png");
    let reply = door.api("GET", &broken, &admin_token(), Value::Null).await;
    assert_eq!(reply.problem(), (422, "picture_unreadable".to_owned()));
}

#[tokio::test]
async fn moderation_is_begun_shown_and_ended() {
    let mut config = Config::default();
    config.webhooks.allow_private = true;
    let door = Door::with(config, false);
    let admin = admin_token();
    let none = door.api("GET", MODERATION, &admin, Value::Null).await;
    assert_eq!(none.problem(), (404, "not_moderated".to_owned()));

    let wish = json!({"url": "http://127.0.0.1:1/judge", "intervalS": 3600, "format": "jpeg"});
    let put = door.api("PUT", MODERATION, &admin, wish.clone()).await;
    assert_eq!((put.status.as_u16(), put.json()), (200, wish.clone()));
    let shown = door.api("GET", MODERATION, &admin, Value::Null).await;
    assert_eq!(shown.json(), wish);
    let ended = door.api("DELETE", MODERATION, &admin, Value::Null).await;
    assert_eq!(ended.status, 204);
    let again = door.api("DELETE", MODERATION, &admin, Value::Null).await;
    assert_eq!(again.problem().0, 404);

    for bad in [
        json!({"url": "ftp://example.com", "intervalS": 5}),
        json!({"url": "http://example.com", "intervalS": 0}),
        json!({"url": "http://example.com", "intervalS": 3601}),
    ] {
        let reply = door.api("PUT", MODERATION, &admin, bad).await;
        assert_eq!(reply.problem(), (422, "invalid_value".to_owned()));
    }
}

#[tokio::test]
async fn pictures_do_not_go_to_special_addresses() {
    let door = Door::new();
    let wish = json!({"url": "http://127.0.0.1:1/judge", "intervalS": 5});
    let reply = door.api("PUT", MODERATION, &admin_token(), wish).await;
    assert_eq!(reply.problem(), (422, "address_refused".to_owned()));
}
