//! Rooms over several workers: moving, forwarding, timeouts.

use crosspoint_media::config::LayerLimit;

use super::*;
use crate::quality::QualityPolicy;

/// The first room lives on worker 0, the second on worker 1.
async fn two_rooms(bench: &Bench) -> (Joined, Joined) {
    let (alice, _) = bench.call("a", "alice").await;
    let (bob, _) = bench.call("b", "bob").await;
    bench.commands();
    (alice, bob)
}

#[tokio::test(start_paused = true)]
async fn a_new_room_lives_on_the_least_loaded_worker_with_its_sessions() {
    let bench = Bench::new();
    bench.call("a", "alice").await;
    bench.call("b", "bob").await;
    let commands = bench.commands();
    assert!(in_order(
        &commands,
        &[
            "0 PutRoom home",
            "0 OpenSession",
            "1 PutRoom home",
            "1 OpenSession"
        ]
    ));
}

#[tokio::test(start_paused = true)]
async fn who_is_moved_keeps_worker_and_session_and_tracks_follow_by_relays() {
    let bench = Bench::new();
    let (mut alice, mut bob) = two_rooms(&bench).await;
    let (mut carol, _) = bench.call("a", "carol").await;
    told(&mut alice);
    bench.commands();
    let (a, b) = (room("a"), room("b"));
    bench
        .service
        .move_participant(&a, &identity("alice"), &b)
        .await
        .unwrap();
    assert_eq!(
        bench.commands(),
        [
            // The new room comes to alice's worker, and with it bob's two tracks.
            "0 PutRoom",
            "0 AcceptRelay",
            "0 RouteRelay to 1",
            "1 RouteRelay to 0",
            "1 OpenRelay",
            "0 AcceptRelay",
            "0 RouteRelay to 1",
            "1 RouteRelay to 0",
            "1 OpenRelay",
            // And hers go to its home.
            "1 AcceptRelay",
            "1 RouteRelay to 0",
            "0 RouteRelay to 1",
            "0 OpenRelay",
            "1 AcceptRelay",
            "1 RouteRelay to 0",
            "0 RouteRelay to 1",
            "0 OpenRelay",
            "0 MoveSession",
        ]
    );
    assert_eq!(told(&mut alice), ["moved b with 1"]);
    assert_eq!(told(&mut bob), ["joined alice"]);
    assert_eq!(told(&mut carol), ["left alice moved"]);
    assert_eq!(bench.service.participants(&b).await.unwrap().len(), 2);
    assert!((bench.metric("relays").await - 4.0).abs() < 0.1);

    bench
        .service
        .leave(alice.session, Reason::ClientLeft)
        .await
        .unwrap();
    let commands = bench.commands();
    assert_eq!(
        commands
            .iter()
            .filter(|line| line.ends_with("CloseRelay"))
            .count(),
        8
    );
    assert_eq!(commands.last().unwrap(), "0 RemoveRoom");
    assert!(bench.metric("relays").await < 0.1);
    bench.assert_nothing_refused();
}

#[tokio::test(start_paused = true)]
async fn how_important_tracks_are_is_known_to_engines_that_get_them_later() {
    let bench = Bench::new();
    two_rooms(&bench).await;
    let (a, b, alice) = (room("a"), room("b"), identity("alice"));
    let prioritise = async |room: &RoomName, priority| {
        let policy = QualityPolicy {
            priority,
            ..QualityPolicy::default()
        };
        let patch = ParticipantPatch {
            policy: Some(policy),
            ..ParticipantPatch::default()
        };
        let patched = bench.service.update_participant(room, &alice, patch).await;
        patched.unwrap();
        let mut commands = bench.commands();
        commands.retain(|line| line.contains("Priority"));
        commands
    };
    let told = prioritise(&a, Some(5)).await;
    assert_eq!(told, ["0 SetPriority Some(5)"; 2], "her two tracks");
    let moved = bench.service.move_participant(&a, &alice, &b).await;
    moved.unwrap();
    let commands = bench.commands();
    let each = ["1 AcceptRelay", "1 SetPriority Some(5)"];
    assert!(in_order(&commands, &[each, each].concat()), "{commands:?}");
    assert_eq!(prioritise(&b, Some(5)).await, [""; 0], "as it is");
    let usual = prioritise(&b, None).await;
    let each = ["0 SetPriority None", "1 SetPriority None"];
    assert_eq!(usual, [each, each].concat());
    bench.assert_nothing_refused();
}

#[tokio::test(start_paused = true)]
async fn who_is_moved_back_leaves_no_relay_behind() {
    let bench = Bench::new();
    let (alice, bob) = two_rooms(&bench).await;
    let (a, b) = (room("a"), room("b"));
    for _ in 0..3 {
        bench
            .service
            .move_participant(&a, &identity("alice"), &b)
            .await
            .unwrap();
        assert!((bench.metric("relays").await - 4.0).abs() < 0.1);
        bench
            .service
            .move_participant(&b, &identity("alice"), &a)
            .await
            .unwrap();
        assert!(bench.metric("relays").await < 0.1);
    }
    for session in [alice.session, bob.session] {
        bench
            .service
            .leave(session, Reason::ClientLeft)
            .await
            .unwrap();
    }
    bench.wait(Duration::from_secs(21)).await;
    bench.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn moving_makes_the_room_and_takes_the_place_of_an_earlier_stay() {
    let bench = Bench::new();
    let (mut alice, _) = two_rooms(&bench).await;
    let (a, b, new) = (room("a"), room("b"), room("new"));
    bench
        .service
        .move_participant(&a, &identity("alice"), &new)
        .await
        .unwrap();
    assert!(!bench.commands().iter().any(|line| line.contains("Relay")));
    bench.join("b", "alice").await;
    bench
        .service
        .move_participant(&b, &identity("alice"), &new)
        .await
        .unwrap();
    let last = told(&mut alice).pop();
    assert_eq!(last.unwrap(), "ended duplicate_identity");
    assert_eq!(bench.service.participants(&new).await.unwrap().len(), 1);
    bench.assert_nothing_refused();
}

#[tokio::test(start_paused = true)]
async fn forwarded_tracks_reach_the_other_room_also_those_published_later() {
    let bench = Bench::new();
    let (alice, mut bob) = two_rooms(&bench).await;
    let (a, b) = (room("a"), room("b"));
    bench
        .service
        .forward_participant(&a, &identity("alice"), &b)
        .await
        .unwrap();
    let commands = bench.commands();
    assert_eq!(
        commands
            .iter()
            .filter(|line| *line == "1 AcceptRelay")
            .count(),
        2
    );
    assert_eq!(
        commands
            .iter()
            .filter(|line| *line == "0 OpenRelay")
            .count(),
        2
    );
    assert_eq!(told(&mut bob), ["joined alice"]);

    // She publishes once more, on what was a slot.
    let more = CHROME.replacen("a=recvonly", "a=sendrecv", 1);
    bench.offer(&alice, &more).await;
    assert_eq!(told(&mut bob), ["track alice Audio"]);
    let commands = bench.commands();
    assert_eq!(
        commands
            .iter()
            .filter(|line| *line == "0 OpenRelay")
            .count(),
        1
    );

    let late = bench.join("b", "late").await;
    let seen: Vec<_> = late.others.iter().map(|p| p.identity.as_str()).collect();
    assert_eq!(seen, ["bob", "alice"]);
    let info = bench.service.room(&b).await.unwrap();
    assert_eq!(info.num_participants, 2, "who is forwarded does not count");

    told(&mut bob);
    bench
        .service
        .leave(alice.session, Reason::ClientLeft)
        .await
        .unwrap();
    assert_eq!(told(&mut bob).last().unwrap(), "left alice client_left");
    assert!(bench.metric("relays").await < 0.1);
    bench.assert_nothing_refused();
}

#[tokio::test(start_paused = true)]
async fn forwarding_on_one_worker_links_and_ends_with_the_other_room() {
    let bench = Bench::new();
    let (alice, _) = bench.call("a", "alice").await;
    bench.commands();
    let (a, new) = (room("a"), room("new"));
    bench
        .service
        .forward_participant(&a, &identity("alice"), &new)
        .await
        .unwrap();
    assert_eq!(
        bench.commands(),
        ["0 PutRoom home", "0 LinkTrack true", "0 LinkTrack true"]
    );
    bench
        .service
        .delete_room(&new, Reason::RoomDeleted)
        .await
        .unwrap();
    assert_eq!(
        bench.commands(),
        ["0 LinkTrack false", "0 LinkTrack false", "0 RemoveRoom"]
    );
    bench
        .service
        .leave(alice.session, Reason::ClientLeft)
        .await
        .unwrap();
    bench.wait(Duration::from_secs(21)).await;
    bench.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_forwarded_participant_that_moves_there_is_in_it_once() {
    let bench = Bench::new();
    let (mut alice, mut bob) = two_rooms(&bench).await;
    let (a, b) = (room("a"), room("b"));
    bench
        .service
        .forward_participant(&a, &identity("alice"), &b)
        .await
        .unwrap();
    bench
        .service
        .move_participant(&a, &identity("alice"), &b)
        .await
        .unwrap();
    assert_eq!(
        told(&mut bob),
        ["joined alice", "left alice moved", "joined alice"]
    );
    told(&mut alice);
    bench
        .service
        .leave(alice.session, Reason::ClientLeft)
        .await
        .unwrap();
    bench
        .service
        .leave(bob.session, Reason::ClientLeft)
        .await
        .unwrap();
    bench.wait(Duration::from_secs(21)).await;
    bench.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn rooms_end_when_nobody_comes_or_nobody_is_left() {
    let bench = Bench::new();
    let mut world = bench.service.events();
    let settings = RoomSettings::default();
    bench
        .service
        .create_room(room("quiet"), settings)
        .await
        .unwrap();
    let (alice, _) = bench.call("a", "alice").await;
    bench
        .service
        .leave(alice.session, Reason::ClientLeft)
        .await
        .unwrap();
    bench.wait(Duration::from_secs(19)).await;
    assert_eq!(bench.service.rooms().await.unwrap().len(), 2);
    bench.wait(Duration::from_secs(2)).await;
    assert_eq!(
        bench.service.rooms().await.unwrap().len(),
        1,
        "departure timeout"
    );
    bench.wait(Duration::from_secs(280)).await;
    assert!(
        bench.service.rooms().await.unwrap().is_empty(),
        "empty timeout"
    );
    let mut finished = 0;
    while let Ok(event) = world.try_recv() {
        finished += usize::from(matches!(event, RoomEvent::RoomFinished(_, Reason::Empty)));
    }
    assert_eq!(finished, 2);
    bench.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_in_time_finds_the_room() {
    let bench = Bench::new();
    let (alice, _) = bench.call("a", "alice").await;
    let sid = alice.room.sid.clone();
    bench
        .service
        .leave(alice.session, Reason::ClientLeft)
        .await
        .unwrap();
    bench.wait(Duration::from_secs(19)).await;
    let alice = bench.join("a", "alice").await;
    bench.wait(Duration::from_secs(30)).await;
    assert_eq!(alice.room.sid, sid);
    assert_eq!(bench.service.rooms().await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn changed_settings_reach_engines_participants_and_timers() {
    let bench = Bench::new();
    let (mut alice, _) = bench.call("a", "alice").await;
    bench.commands();
    let patch = RoomPatch {
        departure_timeout: Some(Duration::from_secs(2)),
        top_audio: Some(0),
        ..RoomPatch::default()
    };
    bench.service.update_room(&room("a"), patch).await.unwrap();
    assert_eq!(bench.commands(), ["0 PutRoom home"]);
    assert_eq!(told(&mut alice), ["room updated"]);
    bench
        .service
        .leave(alice.session, Reason::ClientLeft)
        .await
        .unwrap();
    bench.wait(Duration::from_secs(3)).await;
    bench.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_deleted_room_ends_everybodys_stay() {
    let bench = Bench::new();
    let (mut alice, mut bob) = two_rooms(&bench).await;
    bench
        .service
        .delete_room(&room("a"), Reason::RoomDeleted)
        .await
        .unwrap();
    assert_eq!(told(&mut alice), ["ended room_deleted"]);
    assert!(told(&mut bob).is_empty());
    bench.service.shutdown();
    assert_eq!(told(&mut bob), ["ended server_shutdown"]);
    bench.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_failed_worker_takes_its_rooms_and_sessions_with_it_and_no_others() {
    let bench = Bench::new();
    let (mut alice, mut bob) = two_rooms(&bench).await;
    let (mut carol, _) = bench.call("b", "carol").await;
    let (a, b) = (room("a"), room("b"));
    bench
        .service
        .move_participant(&a, &identity("alice"), &b)
        .await
        .unwrap();
    told(&mut bob);
    let event = Event::WorkerRestarted {
        rooms: Vec::new(),
        sessions: Vec::new(),
    };
    bench.tell(0, event).await;
    assert_eq!(told(&mut alice).last().unwrap(), "ended worker_failed");
    assert_eq!(told(&mut bob).last().unwrap(), "left alice worker_failed");
    assert_eq!(bench.service.rooms().await.unwrap().len(), 1);
    assert!(
        !told(&mut carol)
            .iter()
            .any(|line| line.starts_with("ended"))
    );
    assert!(bench.metric("relays").await < 0.1);
}

#[tokio::test(start_paused = true)]
async fn an_identity_is_in_a_room_once_forwarded_or_not() {
    let bench = Bench::new();
    let (_alice, mut bob) = two_rooms(&bench).await;
    let (a, b) = (room("a"), room("b"));
    let forward = async |identity: &Identity| {
        let service = &bench.service;
        service.forward_participant(&a, identity, &b).await
    };
    bench.call("a", "bob").await;
    let taken = Err(ControlError::IdentityTaken(identity("bob")));
    assert_eq!(forward(&identity("bob")).await, taken);
    told(&mut bob);

    forward(&identity("alice")).await.unwrap();
    forward(&identity("alice")).await.unwrap();
    bench.join("b", "alice").await;
    assert_eq!(
        told(&mut bob),
        [
            "joined alice",
            "left alice duplicate_identity",
            "joined alice"
        ]
    );
    assert_eq!(bench.service.participants(&a).await.unwrap().len(), 2);
    bench.assert_nothing_refused();
}

#[tokio::test(start_paused = true)]
async fn what_was_wished_of_a_track_goes_with_it_when_it_leaves_the_room() {
    let bench = Bench::new();
    let (_alice, answer) = bench.call("a", "alice").await;
    bench.call("a", "carol").await;
    bench.call("b", "bob").await;
    let (a, b) = (room("a"), room("b"));
    let (alice, service) = (identity("alice"), &bench.service);
    let refuse = async |room: &RoomName, who: &str| {
        let (track, who) = (&answer.tracks[1].sid, identity(who));
        let unwanted = SubscriptionWish {
            wanted: false,
            largest: LayerLimit::Best,
        };
        let refused = service.set_subscription(room, &who, track, unwanted);
        refused.await.unwrap();
    };
    let assert_no_wish_is_left = || {
        let wishes = bench.commands().into_iter();
        assert_eq!(wishes.filter(|line| line.contains("SetWish")).count(), 0);
        let state = bench.service.lock();
        let mut people = state.people.values();
        assert!(people.all(|participant| participant.listening.wishes.is_empty()));
    };

    service.forward_participant(&a, &alice, &b).await.unwrap();
    refuse(&b, "bob").await;
    bench.commands();
    service.stop_forwarding(&a, &alice, &b).await.unwrap();
    service.forward_participant(&a, &alice, &b).await.unwrap();
    assert_no_wish_is_left();

    service.stop_forwarding(&a, &alice, &b).await.unwrap();
    refuse(&a, "carol").await;
    bench.commands();
    service.move_participant(&a, &alice, &b).await.unwrap();
    service.move_participant(&b, &alice, &a).await.unwrap();
    assert_no_wish_is_left();
    bench.assert_nothing_refused();
}
