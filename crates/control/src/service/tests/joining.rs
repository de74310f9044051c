//! Coming, being seen, and leaving for a reason.

use super::*;
use crate::model::ParticipantState;

#[tokio::test(start_paused = true)]
async fn others_learn_who_comes_what_they_publish_and_who_leaves() {
    let bench = Bench::new();
    let (mut alice, _) = bench.call("a", "alice").await;
    assert!(alice.others.is_empty());
    let (bob, answer) = bench.call("a", "bob").await;
    assert_eq!(bob.others.len(), 1);
    assert_eq!(bob.others[0].tracks.len(), 2);
    assert_eq!(bob.room.num_participants, 2);
    assert_eq!(answer.tracks.len(), 2);
    assert_eq!(answer.slots.len(), 4);
    bench
        .service
        .leave(bob.session, Reason::ClientLeft)
        .await
        .unwrap();
    assert_eq!(
        told(&mut alice),
        [
            "joined bob",
            "track bob Audio",
            "track bob Video",
            "no track bob",
            "no track bob",
            "left bob client_left"
        ]
    );
    bench.assert_nothing_refused();
}

#[tokio::test(start_paused = true)]
async fn the_transport_is_opened_by_the_first_offer_and_closed_at_the_end() {
    let bench = Bench::new();
    let alice = bench.join("a", "alice").await;
    assert_eq!(bench.commands(), ["0 PutRoom home"]);
    bench.offer(&alice, CHROME).await;
    assert_eq!(
        bench.commands(),
        ["0 OpenSession", "0 PutSession 2 tracks 4 slots auto"]
    );
    bench.offer(&alice, &CHROME.replace("Yq3F", "nEwU")).await;
    assert_eq!(
        bench.commands(),
        ["0 RestartIce", "0 PutSession 2 tracks 4 slots auto"]
    );
    bench
        .service
        .leave(alice.session, Reason::ClientLeft)
        .await
        .unwrap();
    assert_eq!(bench.commands(), ["0 RemoveSession"]);
    bench.assert_nothing_refused();
}

#[tokio::test(start_paused = true)]
async fn a_second_join_with_the_same_identity_replaces_the_first() {
    let bench = Bench::new();
    let (mut first, _) = bench.call("a", "alice").await;
    let second = bench.join("a", "alice").await;
    assert_eq!(told(&mut first), ["ended duplicate_identity"]);
    assert!(first.events.recv().await.is_none(), "nothing comes after");
    let gone = bench.try_offer(&first, CHROME).await;
    assert_eq!(gone, Err(ControlError::SessionNotFound));
    bench.offer(&second, CHROME).await;
    let all = bench.service.participants(&room("a")).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].sid, second.participant.sid);
    let ended = "sessions_ended_total{reason=\"duplicate_identity\"}";
    assert!((bench.metric(ended).await - 1.0).abs() < 0.1);
}

#[tokio::test(start_paused = true)]
async fn a_kick_ends_the_stay_with_its_reason() {
    let bench = Bench::new();
    let (mut alice, _) = bench.call("a", "alice").await;
    let (mut bob, _) = bench.call("a", "bob").await;
    told(&mut alice);
    let (a, bob_identity) = (room("a"), identity("bob"));
    let service = &bench.service;
    service
        .remove_participant(&a, &bob_identity, Reason::Kicked)
        .await
        .unwrap();
    assert_eq!(told(&mut bob), ["ended kicked"]);
    assert_eq!(told(&mut alice).last().unwrap(), "left bob kicked");
    let again = service
        .remove_participant(&a, &bob_identity, Reason::Kicked)
        .await;
    assert_eq!(again, Err(ControlError::ParticipantNotFound(bob_identity)));
}

#[tokio::test(start_paused = true)]
async fn hidden_participants_are_never_announced_or_counted_or_heard() {
    let bench = Bench::new();
    let mut world = bench.service.events();
    let (mut alice, _) = bench.call("a", "alice").await;
    let spy = bench.service.join(hidden("a", "spy")).await.unwrap();
    assert_eq!(spy.others.len(), 1, "but they see");
    let answer = bench.offer(&spy, CHROME).await;
    assert!(answer.tracks.is_empty());
    assert_eq!(answer.slots.len(), 4);
    let session = spy.session;
    let srtp_profile = "AEAD_AES_256_GCM";
    let connected = Event::Connected {
        session,
        srtp_profile,
    };
    bench.tell(0, connected).await;
    let info = bench.service.room(&room("a")).await.unwrap();
    assert_eq!((info.num_participants, info.num_publishers), (1, 1));
    let bob = bench.join("a", "bob").await;
    assert_eq!(bob.others.len(), 1, "alice only");
    bench
        .service
        .leave(session, Reason::ClientLeft)
        .await
        .unwrap();
    assert_eq!(told(&mut alice), ["joined bob"]);
    while let Ok(event) = world.try_recv() {
        assert!(!format!("{event:?}").contains("spy"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_participant_that_appears_and_vanishes_by_permission_is_announced_then() {
    let bench = Bench::new();
    let (mut alice, _) = bench.call("a", "alice").await;
    let spy = bench.service.join(hidden("a", "spy")).await.unwrap();
    bench.offer(&spy, WATCHER).await;
    let set = async |hidden| {
        let permissions = Permissions {
            hidden,
            ..Permissions::default()
        };
        let patch = ParticipantPatch {
            permissions: Some(permissions),
            ..ParticipantPatch::default()
        };
        let (a, spy) = (room("a"), identity("spy"));
        bench
            .service
            .update_participant(&a, &spy, patch)
            .await
            .unwrap();
    };
    set(false).await;
    assert_eq!(told(&mut alice), ["joined spy", "updated spy Joining"]);
    set(true).await;
    assert_eq!(told(&mut alice), ["left spy client_left"]);
}

#[tokio::test(start_paused = true)]
async fn media_that_comes_up_and_is_interrupted_is_seen_by_all() {
    let bench = Bench::new();
    let (mut alice, _) = bench.call("a", "alice").await;
    let (mut bob, _) = bench.call("a", "bob").await;
    told(&mut alice);
    let session = bob.session;
    let srtp_profile = "AEAD_AES_256_GCM";
    let connected = Event::Connected {
        session,
        srtp_profile,
    };
    bench.tell(0, connected).await;
    for interrupted in [true, false] {
        let event = Event::Interrupted {
            session,
            interrupted,
        };
        bench.tell(0, event).await;
    }
    let states = [
        "updated bob Active",
        "updated bob Interrupted",
        "updated bob Active",
    ];
    assert_eq!(told(&mut alice), states);
    assert!(in_order(
        &told(&mut bob),
        &["connected", "interrupted true", "interrupted false"]
    ));
    let info = bench
        .service
        .participant(&room("a"), &identity("bob"))
        .await
        .unwrap();
    assert_eq!(info.state, ParticipantState::Active);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_its_worker_closes_ends_with_the_same_reason() {
    use crosspoint_transport::api::CloseReason;
    let bench = Bench::new();
    let reasons = [
        CloseReason::ConsentExpired,
        CloseReason::ConnectTimeout,
        CloseReason::FingerprintMismatch,
        CloseReason::DtlsFailed,
        CloseReason::PeerClosed,
    ];
    for reason in reasons {
        let (mut alice, _) = bench.call("a", "alice").await;
        let session = alice.session;
        bench.tell(0, Event::Closed { session, reason }).await;
        assert_eq!(told(&mut alice), [format!("ended {}", reason.label())]);
    }
}

#[tokio::test(start_paused = true)]
async fn slots_codecs_and_speakers_are_told_by_public_names() {
    let bench = Bench::new();
    let (mut alice, answer) = bench.call("a", "alice").await;
    let (bob, _) = bench.call("a", "bob").await;
    told(&mut alice);
    let (track, owner) = {
        let state = bench.service.lock();
        let owner = state.sessions[&bob.session];
        (state.people[&owner].tracks[0], owner)
    };
    let (session, mid) = (
        alice.session,
        crosspoint_wire::ids::Token::new(b"2").unwrap(),
    );
    assert_eq!(answer.slots[0].mid, "2");
    let feed = Some((track, owner));
    let assigned = MediaEvent::SlotAssigned { session, mid, feed };
    bench.tell(0, Event::Media(assigned)).await;
    let codec = Codec::Opus;
    let started = MediaEvent::TrackStarted { track, codec };
    bench.tell(0, Event::Media(started)).await;
    let room_id = bench.service.lock().room_id(&room("a")).unwrap();
    let speakers = MediaEvent::ActiveSpeakers {
        room: room_id,
        speakers: vec![(owner, 0)],
    };
    bench.tell(0, Event::Media(speakers)).await;
    assert_eq!(
        told(&mut alice),
        ["slots bob", "track of bob open", "1 speak"]
    );
    let info = bench.service.room(&room("a")).await.unwrap();
    assert_eq!(info.active_speakers, [identity("bob")]);
    let info = bench
        .service
        .participant(&room("a"), &identity("bob"))
        .await
        .unwrap();
    assert_eq!(info.tracks[0].codec, Some(codec));
}
