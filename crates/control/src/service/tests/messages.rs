//! Application messages find the best way.

use std::time::Duration;

use super::*;

fn message(from: Option<&str>, to: &[&str], text: &str, reliable: bool) -> Message {
    Message {
        from: from.map(identity),
        to: to.iter().map(|to| identity(to)).collect(),
        topic: "chat".to_owned(),
        payload: Bytes::copy_from_slice(text.as_bytes()),
        text: true,
        reliable,
    }
}

#[tokio::test(start_paused = true)]
async fn reliable_messages_go_by_data_channel_where_there_is_one() {
    let bench = Bench::new();
    let (mut alice, _) = bench.call("a", "alice").await;
    let (mut bob, _) = bench.call("a", "bob").await;
    let (session, channel) = (bob.session, DataChannelKind::Reliable);
    bench.tell(0, Event::DataOpen { session, channel }).await;
    told(&mut alice);
    told(&mut bob);
    bench.commands();
    let a = room("a");
    let hello = message(None, &[], "hello", true);
    bench.service.send_message(&a, hello).await.unwrap();
    assert_eq!(told(&mut alice), ["message hello"]);
    assert_eq!(bench.commands(), ["0 SendData server:hello"]);
    assert!(told(&mut bob).is_empty());
}

#[tokio::test(start_paused = true)]
async fn data_of_a_participant_reaches_the_others() {
    let bench = Bench::new();
    let (mut alice, _) = bench.call("a", "alice").await;
    let (mut bob, _) = bench.call("a", "bob").await;
    told(&mut alice);
    told(&mut bob);
    let data = |payload: &'static str| Event::Data {
        session: bob.session,
        channel: DataChannelKind::Reliable,
        payload: payload.into(),
        text: true,
    };
    bench.tell(0, data("hi")).await;
    bench.tell(0, data("")).await;
    assert_eq!(told(&mut alice), ["message hi"]);
    assert!(told(&mut bob).is_empty(), "not the sender");
    assert!((bench.metric("messages_dropped_total").await - 1.0).abs() < 0.1);
}

#[tokio::test(start_paused = true)]
async fn unreliable_messages_never_fill_the_signalling_queue() {
    let bench = Bench::new();
    let (mut alice, _) = bench.call("a", "alice").await;
    let a = room("a");
    bench
        .service
        .send_message(&a, message(None, &[], "x", false))
        .await
        .unwrap();
    assert!(told(&mut alice).is_empty());
    let (session, channel) = (alice.session, DataChannelKind::Unreliable);
    bench.tell(0, Event::DataOpen { session, channel }).await;
    bench.commands();
    bench
        .service
        .send_message(&a, message(None, &[], "y", false))
        .await
        .unwrap();
    assert_eq!(bench.commands(), ["0 SendData server:y"]);
}

#[tokio::test(start_paused = true)]
async fn recipients_permissions_and_sizes_are_checked() {
    let bench = Bench::new();
    let (mut alice, _) = bench.call("a", "alice").await;
    let mut mute = request("a", "mute");
    mute.permissions.can_publish_data = false;
    let mut mute = bench.service.join(mute).await.unwrap();
    told(&mut alice);
    let a = room("a");
    let send = async |message| bench.service.send_message(&a, message).await;
    assert_eq!(
        send(message(Some("mute"), &[], "x", true)).await,
        Err(ControlError::NotPermitted("canPublishData"))
    );
    assert_eq!(
        send(message(Some("alice"), &["nobody"], "x", true)).await,
        Err(ControlError::ParticipantNotFound(identity("nobody")))
    );
    assert_eq!(
        send(message(Some("nobody"), &[], "x", true)).await,
        Err(ControlError::ParticipantNotFound(identity("nobody")))
    );
    let large = "x".repeat(64 * 1024 + 1);
    assert!(matches!(
        send(message(None, &[], &large, true)).await,
        Err(ControlError::TooLarge { .. })
    ));
    send(message(Some("alice"), &["mute", "nobody"], "psst", true))
        .await
        .unwrap();
    assert_eq!(told(&mut mute), ["message psst"]);
    assert!(told(&mut alice).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_messages_is_refused_and_others_go_on() {
    let bench = Bench::new();
    let a = room("a");
    for name in ["alice", "bob", "carol"] {
        bench.join("a", name).await;
    }
    let send = async |from| {
        let message = message(Some(from), &[], "x", false);
        bench.service.send_message(&a, message).await
    };
    let mut passed = 0;
    while send("alice").await.is_ok() {
        passed += 1;
    }
    assert_eq!(passed, 20_000 / 3);
    let refused = Err(ControlError::TooMany("messages"));
    assert_eq!(send("alice").await, refused);
    send("bob").await.unwrap();
    bench.wait(Duration::from_secs(1)).await;
    send("alice").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_is_named_often_gets_a_message_once_and_without_the_list() {
    let bench = Bench::new();
    let mut bob = bench.join("a", "bob").await;
    let to = ["bob"; 20_000];
    bench
        .service
        .send_message(&room("a"), message(None, &to, "hi", true))
        .await
        .unwrap();
    let SessionEvent::Message(heard) = &*bob.events.try_recv().unwrap() else {
        panic!("a message comes first");
    };
    assert!(heard.to.is_empty());
    assert!(told(&mut bob).is_empty());
}
