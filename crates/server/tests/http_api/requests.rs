//! What a request becomes, and what is answered.

use crosspoint_media::config::LayerLimit;
use serde_json::{Value, json};

use crate::common::{Door, admin_token};

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
