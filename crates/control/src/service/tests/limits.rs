//! Time and space are bounded, and nothing stays behind.

use super::*;

#[tokio::test(start_paused = true)]
async fn who_never_offers_or_never_connects_is_removed_in_time() {
    let bench = Bench::new();
    let mut silent = bench.join("a", "silent").await;
    let (mut deaf, _) = bench.call("a", "deaf").await;
    let (mut well, _) = bench.call("a", "well").await;
    let connected = Event::Connected {
        session: well.session,
        srtp_profile: "AEAD_AES_256_GCM",
    };
    bench.tell(0, connected).await;
    bench.wait(Duration::from_secs(61)).await;
    assert_eq!(told(&mut silent).last().unwrap(), "ended connect_timeout");
    assert_eq!(told(&mut deaf).last().unwrap(), "ended connect_timeout");
    assert!(!told(&mut well).iter().any(|line| line.starts_with("ended")));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_is_cut_and_still_told_why() {
    let bench = Bench::new();
    let mut slow = bench.join("a", "slow").await;
    let mut alice = bench.join("a", "alice").await;
    let a = room("a");
    for n in 0..queue::SESSION_EVENTS_MAX {
        assert_eq!(bench.service.participants(&a).await.unwrap().len(), 2);
        bench
            .service
            .update_room(&a, RoomPatch::default())
            .await
            .unwrap();
        if n % 100 == 0 {
            told(&mut alice);
        }
    }
    assert_eq!(bench.service.participants(&a).await.unwrap().len(), 1);
    let events = told(&mut slow);
    assert_eq!(events.len(), queue::SESSION_EVENTS_MAX + 1);
    assert_eq!(events.last().unwrap(), "ended slow_client");
    assert_eq!(told(&mut alice).last().unwrap(), "left slow slow_client");
}

#[tokio::test(start_paused = true)]
async fn who_has_no_use_for_events_may_drop_their_reader() {
    let bench = Bench::new();
    let alice = bench.join("a", "alice").await;
    let session = alice.session;
    drop(alice.events);
    bench
        .service
        .update_room(&room("a"), RoomPatch::default())
        .await
        .unwrap();
    bench
        .service
        .leave(session, Reason::ClientLeft)
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn offers_are_policed() {
    let bench = Bench::new();
    let alice = bench.join("a", "alice").await;
    for _ in 0..10 {
        bench.offer(&alice, CHROME).await;
    }
    let refused = bench.try_offer(&alice, CHROME).await;
    assert_eq!(refused, Err(ControlError::TooMany("offers")));
    bench.wait(Duration::from_millis(201)).await;
    bench.offer(&alice, CHROME).await;
    let refused = bench.try_offer(&alice, CHROME).await;
    assert_eq!(refused, Err(ControlError::TooMany("offers")));
}

#[tokio::test(start_paused = true)]
async fn a_refused_offer_changes_nothing() {
    let bench = Bench::new();
    let (alice, _) = bench.call("a", "alice").await;
    bench.commands();
    let before = bench.service.participants(&room("a")).await;
    for (offer, problem) in [
        (String::new(), OfferProblem::Syntax { line: 1 }),
        (
            CHROME.replace("setup:actpass", "setup:passive"),
            OfferProblem::Attribute("setup"),
        ),
        (
            CHROME.replace("a=mid:1", "a=mid:one"),
            OfferProblem::MLineChanged(1),
        ),
    ] {
        let refused = bench.try_offer(&alice, &offer).await;
        assert_eq!(refused, Err(ControlError::OfferRefused(problem)));
    }
    assert!(bench.commands().is_empty());
    assert_eq!(bench.service.participants(&room("a")).await, before);
}

#[tokio::test(start_paused = true)]
async fn an_offer_can_be_checked_before_joining() {
    let bench = Bench::new();
    let check = async |permissions: &Permissions, sdp: &str| {
        let offer = Offer {
            sdp: sdp.to_owned(),
            tracks: Vec::new(),
        };
        bench.service.check_offer(permissions, &offer).await
    };
    let mut permissions = Permissions::default();
    assert_eq!(check(&permissions, CHROME).await, Ok(()));
    let bad = CHROME.replace("setup:actpass", "setup:passive");
    let problem = OfferProblem::Attribute("setup");
    assert_eq!(
        check(&permissions, &bad).await,
        Err(ControlError::OfferRefused(problem))
    );
    permissions.can_subscribe = false;
    assert_eq!(
        check(&permissions, WATCHER).await,
        Err(ControlError::NotPermitted("canSubscribe"))
    );
    assert!(bench.commands().is_empty());
    assert!(bench.service.rooms().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn ice_restarts_without_an_offer() {
    let bench = Bench::new();
    let (alice, answer) = bench.call("a", "alice").await;
    bench.commands();
    let restart = async |ufrag: &str, pwd: &str| {
        let (ufrag, pwd) = (ufrag.to_owned(), pwd.to_owned());
        bench.service.restart_ice(alice.session, ufrag, pwd).await
    };
    let ours = restart("abcd", "0123456789012345678901").await.unwrap();
    assert_eq!(
        ours.candidates,
        ["1 1 udp 2130706431 127.0.0.1 7882 typ host"]
    );
    assert!(!answer.sdp.contains(&ours.pwd));
    assert_eq!(bench.commands(), ["0 RestartIce"]);
    let refused = restart("ab:d", "0123456789012345678901").await.err();
    let problem = OfferProblem::Attribute("ice-ufrag");
    assert_eq!(refused, Some(ControlError::OfferRefused(problem)));
}

#[tokio::test(start_paused = true)]
async fn rooms_participants_and_texts_are_bounded() {
    let bench = Bench::new();
    let mut limited = RoomSettings {
        max_participants: 1,
        ..RoomSettings::default()
    };
    bench
        .service
        .create_room(room("a"), limited.clone())
        .await
        .unwrap();
    bench.join("a", "alice").await;
    let full = bench.service.join(request("a", "bob")).await.err();
    assert_eq!(full, Some(ControlError::RoomFull(1)));
    bench.service.join(hidden("a", "spy")).await.unwrap();
    bench.join("a", "alice").await;

    for name in ["b", "c", "d"] {
        bench.join(name, "x").await;
    }
    let many = bench.service.join(request("e", "x")).await.err();
    let what = "rooms";
    assert_eq!(many, Some(ControlError::ServerFull { what, max: 4 }));

    limited.metadata = "x".repeat(64 * 1024 + 1);
    let large = bench.service.create_room(room("a"), limited).await.err();
    assert!(matches!(large, Some(ControlError::TooLarge { .. })));
    let mut wordy = request("b", "wordy");
    wordy.attributes = (0..65).map(|n| (n.to_string(), "x".to_owned())).collect();
    let large = bench.service.join(wordy).await.err();
    assert!(matches!(
        large,
        Some(ControlError::TooLarge { max: 64, .. })
    ));
    let mut stranger = request("nowhere", "x");
    stranger.create_room = false;
    let unknown = bench.service.join(stranger).await.err();
    assert_eq!(unknown, Some(ControlError::RoomNotFound(room("nowhere"))));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_room_tells_each_member_of_its_own_end_only() {
    let bench = Bench::new();
    let (mut alice, _) = bench.call("a", "alice").await;
    let (mut bob, _) = bench.call("a", "bob").await;
    told(&mut alice);
    told(&mut bob);
    let reason = Reason::RoomDeleted;
    bench.service.delete_room(&room("a"), reason).await.unwrap();
    assert_eq!(told(&mut alice), ["ended room_deleted"]);
    assert_eq!(told(&mut bob), ["ended room_deleted"]);
    bench.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn draining_refuses_joins_and_tells_everyone() {
    let bench = Bench::new();
    let (mut alice, _) = bench.call("a", "alice").await;
    bench.service.drain().await;
    assert_eq!(told(&mut alice), ["draining"]);
    let refused = bench.service.join(request("a", "bob")).await.err();
    assert_eq!(refused, Some(ControlError::Draining));
    bench.offer(&alice, CHROME).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_worker_gets_its_commands_later_and_in_order() {
    let bench = Bench::new();
    bench.desk.full.store(true, Ordering::Relaxed);
    let (alice, _) = bench.call("a", "alice").await;
    bench
        .service
        .leave(alice.session, Reason::ClientLeft)
        .await
        .unwrap();
    assert!(bench.commands().is_empty());
    bench.wait(Duration::from_millis(6)).await;
    assert!(bench.commands().is_empty());
    bench.desk.full.store(false, Ordering::Relaxed);
    bench.wait(Duration::from_millis(6)).await;
    assert_eq!(
        bench.commands(),
        [
            "0 PutRoom home",
            "0 OpenSession",
            "0 PutSession 2 tracks 4 slots auto",
            "0 RemoveSession"
        ]
    );
    bench.assert_nothing_refused();
}

#[tokio::test(start_paused = true)]
async fn three_hundred_joins_and_leaves_leave_nothing_behind() {
    let bench = Bench::new();
    for round in 0..3 {
        let mut stays = Vec::new();
        for n in 0..100 {
            let name = format!("p{n}");
            let place = if n % 2 == 0 { "a" } else { "b" };
            let (joined, _) = bench.call(place, &name).await;
            if n % 10 == round {
                let (from, to) = (room(place), room("c"));
                let who = identity(&name);
                bench
                    .service
                    .forward_participant(&from, &who, &to)
                    .await
                    .unwrap();
                bench
                    .service
                    .move_participant(&from, &who, &room("d"))
                    .await
                    .unwrap();
            }
            stays.push(joined.session);
            // Readers go at once: what they would be told is of no interest here.
        }
        for session in stays {
            bench
                .service
                .leave(session, Reason::ClientLeft)
                .await
                .unwrap();
        }
    }
    bench.wait(Duration::from_secs(301)).await;
    bench.assert_nothing_left();
    let ended = bench
        .metric("sessions_ended_total{reason=\"client_left\"}")
        .await;
    assert!((ended - 300.0).abs() < 0.1);
    assert!((bench.metric("rtp_received_total").await - 42.0).abs() < 0.1);
}

#[tokio::test(start_paused = true)]
async fn a_join_that_is_refused_leaves_no_room_behind() {
    let bench = Bench::new();
    for n in 0..400 {
        let name = n.to_string();
        bench.service.join(hidden("a", &name)).await.unwrap();
    }
    let full = bench.service.join(request("b", "late")).await.err();
    let what = "participants";
    assert_eq!(full, Some(ControlError::ServerFull { what, max: 400 }));
    assert_eq!(bench.service.rooms().await.unwrap().len(), 1);
}
