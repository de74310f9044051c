//! Reports and keyframes under public names.

use std::time::Duration;

use super::*;

async fn alice_of(bench: &Bench) -> ParticipantInfo {
    let (room, alice) = (room("a"), identity("alice"));
    bench.service.participant(&room, &alice).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_report_names_everybody_and_what_they_publish() {
    let bench = Bench::new();
    bench.call("a", "alice").await;
    bench.service.join(hidden("a", "eve")).await.unwrap();
    let report = bench.service.room_report(&room("a")).await.unwrap();
    assert_eq!(report.room.num_participants, 1);
    let [alice, eve] = &report.participants[..] else {
        panic!("{report:?}");
    };
    assert_eq!(alice.identity, identity("alice"));
    let connection = alice.connection.as_ref().unwrap();
    assert_eq!((connection.bytes_sent, connection.bytes_received), (10, 20));
    let alices = alice_of(&bench).await;
    let sids: Vec<_> = alices.tracks.into_iter().map(|t| t.sid).collect();
    let reported: Vec<_> = alice.tracks.iter().map(|t| t.track.sid.clone()).collect();
    assert_eq!(reported, sids);
    // Her transport is not open yet.
    assert_eq!(eve.identity, identity("eve"));
    assert!(eve.connection.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_busy_worker_costs_the_figures_but_not_the_report() {
    let bench = Bench::new();
    bench.call("a", "alice").await;
    bench.desk.full.store(true, Ordering::Relaxed);
    let report = bench.service.room_report(&room("a")).await.unwrap();
    assert!(report.participants[0].connection.is_none());
    let missing = bench.service.room_report(&room("b")).await;
    assert_eq!(missing.err(), Some(ControlError::RoomNotFound(room("b"))));
}

#[tokio::test(start_paused = true)]
async fn a_keyframe_that_does_not_come_is_asked_for_once_and_not_waited_for_longer() {
    let bench = Bench::new();
    bench.call("a", "alice").await;
    let camera = alice_of(&bench)
        .await
        .tracks
        .into_iter()
        .find(|track| track.kind == crosspoint_wire::codec::MediaKind::Video)
        .unwrap();
    bench.commands();
    let began = tokio::time::Instant::now();
    let seconds = Duration::from_secs;
    let found = bench
        .service
        .keyframe(&room("a"), &camera.sid, seconds(2), seconds(3))
        .await;
    assert_eq!(found, Ok(None));
    assert!(began.elapsed() >= seconds(3) && began.elapsed() < seconds(4));
    assert_eq!(bench.commands(), ["0 RequestKeyframe"]);

    bench.call("b", "bob").await;
    let elsewhere = bench
        .service
        .keyframe(&room("b"), &camera.sid, seconds(2), seconds(3))
        .await;
    assert_eq!(elsewhere, Err(ControlError::TrackNotFound(camera.sid)));
}

#[tokio::test(start_paused = true)]
async fn a_verdict_is_announced_with_the_track_and_its_owner() {
    let bench = Bench::new();
    bench.call("a", "alice").await;
    let mut events = bench.service.events();
    let track = alice_of(&bench).await.tracks[0].sid.clone();
    let verdict = Verdict {
        verdict: "reject".to_owned(),
        details: "{}".to_owned(),
    };
    let room = room("a");
    let noted = bench.service.note_verdict(&room, &track, verdict.clone());
    noted.await.unwrap();
    match events.try_recv().unwrap() {
        RoomEvent::Judged(_, who, judged, said) => {
            assert_eq!((who.identity, judged.sid), (identity("alice"), track));
            assert_eq!(said, verdict);
        }
        other => panic!("{other:?}"),
    }
    let unknown = TrackSid("TR_unknown".to_owned());
    let refused = bench.service.note_verdict(&room, &unknown, verdict);
    assert_eq!(refused.await, Err(ControlError::TrackNotFound(unknown)));
}
