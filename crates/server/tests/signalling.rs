//! The signalling WebSocket.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;

use common::{Door, join_token};
use crosspoint_control::api::{ControlError, Message as RoomMessage, SessionEvent};
use crosspoint_control::model::{Identity, Reason, RoomName, TrackSid};
use crosspoint_server::config::Config;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    async fn open(address: SocketAddr, query: &str) -> Self {
        let url = format!("ws://{address}/v1/signal?{query}");
        let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        Self { socket }
    }

    async fn joined(address: SocketAddr, identity: &str) -> (Self, Value) {
        let token = join_token(identity);
        let mut client = Self::open(address, &format!("access_token={token}")).await;
        client
            .say(json!({"type": "join", "id": 1, "version": 1, "offer": {"sdp": "x"}}))
            .await;
        let reply = client.next().await;
        (client, reply)
    }

    async fn say(&mut self, message: Value) {
        let text = message.to_string();
        self.socket.send(Message::text(text)).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        loop {
            match self.socket.next().await.unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn ask(&mut self, message: Value) -> Value {
        let id = message["id"].clone();
        self.say(message).await;
        let reply = self.next().await;
        assert_eq!((&reply["type"], &reply["id"]), (&json!("reply"), &id));
        reply
    }

    /// Closes without a goodbye, and waits until the server has noticed.
    async fn hung_up(mut self) {
        self.socket.close(None).await.unwrap();
        self.closed().await;
    }

    /// Reads until the server has closed.
    async fn closed(mut self) {
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

async fn open_door() -> (Door, SocketAddr) {
    let door = Door::new();
    let address = door.listen().await;
    (door, address)
}

/// Waits for the call; the test's own time limit is the runner's.
async fn until_called(door: &Door, call: &str) {
    while !door.control.calls().iter().any(|made| made == call) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn joining_says_who_is_there_and_answers_the_offer() {
    let (door, address) = open_door().await;
    let (_client, reply) = Client::joined(address, "alice").await;
    assert_eq!(
        (&reply["type"], &reply["id"], &reply["seq"]),
        (&json!("reply"), &json!(1), &json!(1))
    );
    assert_eq!(reply["participant"]["identity"], "alice");
    assert_eq!(reply["participants"][0]["identity"], "bob");
    assert_eq!(reply["room"]["name"], "demo");
    assert_eq!(reply["answer"]["sdp"], "v=0\r\nanswer");
    assert_eq!(reply["answer"]["tracks"][0]["sid"], "TR_own");
    assert_eq!(
        reply["answer"]["slots"],
        json!([{"mid": "2", "kind": "audio", "feed": null}])
    );
    assert!(reply["session"].as_str().unwrap().len() >= 43);
    assert_eq!(door.control.calls(), ["join demo alice", "offer 1 1"]);
}

#[tokio::test]
async fn events_are_numbered_and_the_last_is_left() {
    let (door, address) = open_door().await;
    let (mut client, _) = Client::joined(address, "alice").await;
    let control = door.control.latest();
    let bob = Identity::new("bob").unwrap();
    let message = |text| RoomMessage {
        from: Some(bob.clone()),
        to: Vec::new(),
        topic: "chat".to_owned(),
        payload: "hi".into(),
        text,
        reliable: true,
    };
    let events = [
        (SessionEvent::Connected, json!({"type": "connected"})),
        (
            SessionEvent::Interrupted(true),
            json!({"type": "interrupted", "interrupted": true}),
        ),
        (
            SessionEvent::ParticipantLeft(bob.clone(), Reason::Kicked),
            json!({"type": "participantLeft", "identity": "bob", "reason": "kicked"}),
        ),
        (
            SessionEvent::TrackUnpublished(bob.clone(), TrackSid("TR_1".into())),
            json!({"type": "trackUnpublished", "identity": "bob", "trackSid": "TR_1"}),
        ),
        (
            SessionEvent::OwnTrackMuted(TrackSid("TR_1".into()), true),
            json!({"type": "trackMuted", "track": "TR_1", "muted": true}),
        ),
        (
            SessionEvent::ActiveSpeakers(vec![(bob.clone(), 0.5)]),
            json!({"type": "activeSpeakers", "speakers": [{"identity": "bob", "level": 0.5}]}),
        ),
        (
            SessionEvent::Message(message(true)),
            json!({
            "type": "message", "from": "bob", "topic": "chat", "text": "hi", "reliable": true}),
        ),
        (
            SessionEvent::Message(message(false)),
            json!({
            "type": "message", "from": "bob", "topic": "chat", "data": "aGk=", "reliable": true}),
        ),
        (
            SessionEvent::Slots(Vec::new()),
            json!({"type": "slots", "slots": []}),
        ),
        (SessionEvent::Draining, json!({"type": "draining"})),
        (
            SessionEvent::Ended(Reason::RoomDeleted),
            json!({"type": "left", "reason": "room_deleted"}),
        ),
    ];
    for (seq, (event, mut expected)) in (2..).zip(events) {
        control.send(event.into()).await.unwrap();
        expected["seq"] = json!(seq);
        assert_eq!(client.next().await, expected);
    }
    client.closed().await;
    assert_eq!(door.app.session_count(), 0);
}

#[tokio::test]
async fn requests_are_carried_out() {
    let (door, address) = open_door().await;
    let (mut client, _) = Client::joined(address, "alice").await;
    let requests = [
        (
            json!({"type": "offer", "id": 2, "offer": {"sdp": "xy"}}),
            "offer 1 2",
        ),
        (
            json!({"type": "mute", "id": 3, "track": "TR_own", "muted": true}),
            "mute demo TR_own Owner true",
        ),
        (
            json!({"type": "subscribe", "id": 4, "track": "TR_1", "wanted": true, "largest": "small"}),
            "subscribe demo alice TR_1",
        ),
        (
            json!({"type": "message", "id": 5, "to": ["bob"], "topic": "chat", "text": "hi"}),
            "message demo",
        ),
    ];
    for (request, call) in requests {
        let reply = client.ask(request).await;
        assert_eq!(reply.get("error"), None, "{reply}");
        assert_eq!(door.control.calls().last().unwrap(), call);
    }
    let message = door.control.messages.lock().unwrap()[0].clone();
    assert_eq!(message.from.unwrap().as_str(), "alice");
    assert!(message.reliable && message.text);
    let pong = client.ask(json!({"type": "ping", "id": 7})).await;
    assert_eq!(pong, json!({"type": "reply", "id": 7, "seq": 6}));
    client.say(json!({"type": "leave"})).await;
    assert_eq!(client.next().await["reason"], "client_left");
    client.closed().await;
    until_called(&door, "leave 1 client_left").await;
}

#[tokio::test]
async fn what_may_not_be_is_refused() {
    let (door, address) = open_door().await;
    let token = common::token(
        Some("alice"),
        json!({"roomJoin": true, "room": "demo", "canPublishData": false}),
    );
    let mut client = Client::open(address, &format!("access_token={token}")).await;
    client
        .ask(json!({"type": "join", "id": 1, "version": 1}))
        .await;
    let before = door.control.calls();
    let requests = [
        (
            json!({"type": "mute", "id": 2, "track": "TR_of_bob", "muted": true}),
            "track_not_found",
        ),
        (
            json!({"type": "message", "id": 3, "text": "hi"}),
            "not_permitted",
        ),
        (
            json!({"type": "update", "id": 4, "metadata": "x"}),
            "not_permitted",
        ),
        (
            json!({"type": "join", "id": 5, "version": 1}),
            "already_joined",
        ),
        (json!({"type": "dance", "id": 6}), "unknown_message"),
        (json!({"type": "mute", "id": 7}), "bad_message"),
        (json!({"id": 8}), "bad_message"),
    ];
    for (request, label) in requests {
        let reply = client.ask(request).await;
        assert_eq!(reply["error"]["type"], label, "{reply}");
        assert!(reply["error"]["status"].as_u64().unwrap() >= 400);
    }
    for nonsense in ["", "[]", "{", "{\"type\":\"ping\",\"id\":-1}"] {
        client.socket.send(Message::text(nonsense)).await.unwrap();
        let reply = client.next().await;
        assert_eq!(reply["error"]["type"], "bad_message", "{nonsense}");
        assert_eq!(reply["id"], Value::Null);
    }
    let mut calls = door.control.calls();
    // Whose the track is was looked up.
    calls.retain(|call| call != "participant demo alice");
    assert_eq!(calls, before);
}

#[tokio::test]
async fn a_track_that_no_answer_named_can_be_muted_by_its_owner() {
    let (door, address) = open_door().await;
    let query = format!("access_token={}", join_token("alice"));
    let mut client = Client::open(address, &query).await;
    client
        .ask(json!({"type": "join", "id": 1, "version": 1}))
        .await;
    // It was made anew when the permission to publish came back.
    let reply = client
        .ask(json!({"type": "mute", "id": 2, "track": "TR_own", "muted": true}))
        .await;
    assert_eq!(reply.get("error"), None, "{reply}");
    let calls = door.control.calls();
    assert_eq!(calls.last().unwrap(), "mute demo TR_own Owner true");
}

#[tokio::test]
async fn who_is_kicked_while_away_hears_of_it_when_coming_back() {
    let (door, address) = open_door().await;
    let (client, joined) = Client::joined(address, "alice").await;
    let session = joined["session"].as_str().unwrap();
    client.hung_up().await;
    let kicked = SessionEvent::Ended(Reason::Kicked);
    door.control.latest().send(kicked.into()).await.unwrap();
    let mut client = Client::open(address, &format!("session={session}")).await;
    let resume = json!({
        "type": "resume", "id": 2, "version": 1, "session": session, "lastSeq": 1,
    });
    client.say(resume).await;
    let left = client.next().await;
    assert_eq!(left, json!({"seq": 2, "type": "left", "reason": "kicked"}));
    assert_eq!(client.next().await["resumed"], true);
    client.closed().await;
    while door.app.session_count() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_is_kicked_behind_a_dead_network_hears_of_it_when_coming_back() {
    let (door, address) = open_door().await;
    // This socket looks alive, but nobody reads it any more.
    let (_dead, joined) = Client::joined(address, "alice").await;
    let session = joined["session"].as_str().unwrap();
    let kicked = SessionEvent::Ended(Reason::Kicked);
    door.control.latest().send(kicked.into()).await.unwrap();
    let mut client = Client::open(address, &format!("session={session}")).await;
    let resume = json!({
        "type": "resume", "id": 2, "version": 1, "session": session, "lastSeq": 1,
    });
    client.say(resume).await;
    let left = client.next().await;
    assert_eq!(left, json!({"seq": 2, "type": "left", "reason": "kicked"}));
    client.closed().await;
    while door.app.session_count() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_request_after_a_move_means_the_new_room() {
    let (door, address) = open_door().await;
    let (mut client, _) = Client::joined(address, "alice").await;
    let name = RoomName::new("other").unwrap();
    let moved = SessionEvent::Moved(common::room(&name), Vec::new());
    door.control.latest().send(moved.into()).await.unwrap();
    client
        .say(json!({"type": "message", "id": 2, "text": "hi"}))
        .await;
    assert_eq!(client.next().await["type"], "moved");
    assert_eq!(client.next().await["id"], 2);
    assert_eq!(door.control.calls().last().unwrap(), "message other");
}

#[tokio::test]
async fn the_first_message_joins_or_resumes() {
    let (door, address) = open_door().await;
    let query = format!("access_token={}", join_token("alice"));
    let mut client = Client::open(address, &query).await;
    let requests = [
        (json!({"type": "ping", "id": 1}), "not_joined"),
        (
            json!({"type": "join", "id": 2, "version": 2}),
            "unsupported_version",
        ),
        (
            json!({"type": "resume", "id": 3, "version": 1, "session": "x", "lastSeq": 0}),
            "session_expired",
        ),
    ];
    for (request, label) in requests {
        let reply = client.ask(request).await;
        assert_eq!(
            (&reply["error"]["type"], &reply["seq"]),
            (&json!(label), &json!(0))
        );
    }
    assert_eq!(door.control.calls(), Vec::<String>::new());
    *door.control.fail.lock().unwrap() = Some(ControlError::RoomFull(2));
    let reply = client
        .ask(json!({"type": "join", "id": 4, "version": 1}))
        .await;
    assert_eq!(reply["error"]["type"], "room_full");
    assert_eq!(reply["error"]["status"], 403);
    *door.control.fail.lock().unwrap() = None;
    let reply = client
        .ask(json!({"type": "join", "id": 5, "version": 1}))
        .await;
    assert_eq!(reply["participant"]["identity"], "alice");
}

#[tokio::test]
async fn a_client_that_comes_back_hears_what_it_missed() {
    let (door, address) = open_door().await;
    let (client, joined) = Client::joined(address, "alice").await;
    let session = joined["session"].as_str().unwrap().to_owned();
    drop(client);
    for muted in [true, false, true] {
        let event = SessionEvent::Interrupted(muted);
        door.control.latest().send(event.into()).await.unwrap();
    }
    let resume = json!({
        "type": "resume", "id": 9, "version": 1, "session": session, "lastSeq": 2,
    });
    // With its token, and with the session's own when that has expired.
    for query in [
        format!("access_token={}", join_token("alice")),
        format!("session={session}"),
    ] {
        let mut client = Client::open(address, &query).await;
        client.say(resume.clone()).await;
        let first = client.next().await;
        assert_eq!(
            (&first["type"], &first["seq"]),
            (&json!("interrupted"), &json!(3))
        );
        let mut reply = client.next().await;
        while reply["type"] != "reply" || reply["id"] != 9 || reply["resumed"] != true {
            reply = client.next().await;
        }
        drop(client);
    }
    assert_eq!(door.control.calls(), ["join demo alice", "offer 1 1"]);
}

#[tokio::test]
async fn somebody_elses_session_cannot_be_resumed() {
    let (_door, address) = open_door().await;
    let (_client, joined) = Client::joined(address, "alice").await;
    let query = format!("access_token={}", join_token("eve"));
    let mut eve = Client::open(address, &query).await;
    let session = &joined["session"];
    let reply = eve
        .ask(json!({"type": "resume", "id": 1, "version": 1, "session": session, "lastSeq": 0}))
        .await;
    assert_eq!(reply["error"]["type"], "session_expired");
    let url = format!("ws://{address}/v1/signal?session=unknown");
    assert!(tokio_tungstenite::connect_async(url).await.is_err());
}

#[tokio::test]
async fn a_second_socket_takes_over_from_the_first() {
    let (door, address) = open_door().await;
    let (first, joined) = Client::joined(address, "alice").await;
    let session = joined["session"].as_str().unwrap();
    let mut second = Client::open(address, &format!("session={session}")).await;
    let resume = json!({
        "type": "resume", "id": 1, "version": 1, "session": session, "lastSeq": 1,
    });
    assert_eq!(second.ask(resume).await["resumed"], true);
    first.closed().await;
    door.control
        .latest()
        .send(SessionEvent::Connected.into())
        .await
        .unwrap();
    assert_eq!(second.next().await["type"], "connected");
}

#[tokio::test]
async fn a_client_that_does_not_come_back_is_given_up() {
    let mut config = Config::default();
    config.signal.resume_s = 1;
    let door = Door::with(config, false);
    let address = door.listen().await;
    let (client, joined) = Client::joined(address, "alice").await;
    drop(client);
    until_called(&door, "leave 1 signal_lost").await;
    while door.app.session_count() > 0 {
        tokio::task::yield_now().await;
    }
    let query = format!("access_token={}", join_token("alice"));
    let mut late = Client::open(address, &query).await;
    let resume = json!({
        "type": "resume", "id": 1, "version": 1, "session": joined["session"], "lastSeq": 1,
    });
    assert_eq!(late.ask(resume).await["error"]["type"], "session_expired");
}

#[tokio::test]
async fn a_client_that_never_reads_is_cut() {
    let (door, address) = open_door().await;
    let (client, _) = Client::joined(address, "alice").await;
    let control = door.control.latest();
    let text = "x".repeat(60_000);
    let flood = Arc::new(RoomMessage {
        from: None,
        to: Vec::new(),
        topic: String::new(),
        payload: text.into(),
        text: true,
        reliable: true,
    });
    // The kernel's buffers take some megabytes, ours one.
    for _ in 0..1_000 {
        let event = SessionEvent::Message((*flood).clone());
        if control.send(event.into()).await.is_err() {
            break;
        }
    }
    until_called(&door, "leave 1 slow_client").await;
    drop(client);
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_socket_only() {
    let (door, address) = open_door().await;
    let (mut client, _) = Client::joined(address, "alice").await;
    let long = "x".repeat(400_000);
    // The server may close before all of it is written.
    let _ = client.socket.send(Message::text(long)).await;
    client.closed().await;
    assert_eq!(door.app.session_count(), 1, "it may be resumed");
}

#[tokio::test]
async fn a_bad_offer_replaces_nobody_and_a_better_one_may_follow() {
    let (door, address) = open_door().await;
    let query = format!("access_token={}", join_token("alice"));
    let mut client = Client::open(address, &query).await;
    let join = |sdp| json!({"type": "join", "id": 1, "version": 1, "offer": {"sdp": sdp}});
    let reply = client.ask(join("bad")).await;
    assert_eq!(reply["error"]["type"], "offer_refused");
    assert_eq!(door.control.calls(), Vec::<String>::new());
    let reply = client.ask(join("good")).await;
    assert_eq!(reply["participant"]["identity"], "alice");
}

#[tokio::test]
async fn a_refused_offer_ends_the_join() {
    let (door, address) = open_door().await;
    let query = format!("access_token={}", join_token("alice"));
    let mut client = Client::open(address, &query).await;
    *door.control.fail.lock().unwrap() = Some(ControlError::Draining);
    let reply = client
        .ask(json!({"type": "join", "id": 1, "version": 1}))
        .await;
    assert_eq!(reply["error"]["type"], "draining");
    assert_eq!(door.app.session_count(), 0);
}
