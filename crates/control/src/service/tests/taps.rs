//! Taps: which tracks are led to a recorder, and until when.

use crosspoint_media::tap::TapDoor;

use super::*;
use crate::api::{MutedBy, TapEvent};

fn tapped(tap: &mut Tap) -> Vec<TapEvent> {
    std::iter::from_fn(|| tap.events.try_recv().ok()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_tap_has_the_rooms_tracks_as_they_come_change_and_go() {
    let bench = Bench::new();
    let (a, bob) = (room("a"), identity("bob"));
    let (_alice, _) = bench.call("a", "alice").await;
    let (door, _queue) = TapDoor::new();
    bench.commands();
    let mut tap = bench.service.open_tap(&a, door).await.unwrap();
    assert_eq!(
        bench.commands(),
        [
            "0 RouteTap to a recorder",
            "0 OpenRelay",
            "0 RouteTap to a recorder",
            "0 OpenRelay"
        ]
    );
    let events = tapped(&mut tap);
    let [TapEvent::Track(first), TapEvent::Track(second)] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_ne!(first.relay, second.relay);
    assert_eq!(first.participant.identity, identity("alice"));
    assert!(!first.payloads.is_empty());

    // Somebody comes, is muted, and goes.
    let (_bob, _) = bench.call("a", "bob").await;
    let bobs = tapped(&mut tap);
    let Some(TapEvent::Track(track)) = bobs.last() else {
        panic!("{bobs:?}");
    };
    let sid = track.track.sid.clone();
    let muted = bench
        .service
        .set_track_muted(&a, &sid, MutedBy::Server, true);
    muted.await.unwrap();
    assert!(matches!(
        tapped(&mut tap).as_slice(),
        [TapEvent::Track(changed)] if changed.track.muted && changed.relay == track.relay
    ));
    let removed = bench.service.remove_participant(&a, &bob, Reason::Kicked);
    removed.await.unwrap();
    let gone = tapped(&mut tap);
    assert_eq!(
        gone.iter()
            .filter(|e| matches!(e, TapEvent::Gone(_)))
            .count(),
        2
    );

    // The room ends, and the tap with it.
    let ended = bench.service.delete_room(&a, Reason::RoomDeleted);
    ended.await.unwrap();
    let last = tapped(&mut tap).pop();
    assert_eq!(last, Some(TapEvent::Ended(Reason::RoomDeleted)));
    assert!(tap.events.recv().await.is_none());
    bench.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_tap_that_is_closed_leaves_no_relay_and_one_that_nobody_reads_is_closed() {
    let bench = Bench::new();
    let (_alice, _) = bench.call("a", "alice").await;
    let (door, _queue) = TapDoor::new();
    let tap = bench
        .service
        .open_tap(&room("a"), door.clone())
        .await
        .unwrap();
    bench.commands();
    bench.service.close_tap(tap.id).await;
    bench.service.close_tap(tap.id).await;
    let closing = ["0 CloseRelay", "0 RouteTap to nowhere"];
    assert_eq!(bench.commands(), [closing, closing].concat());

    let tap = bench
        .service
        .open_tap(&room("a"), door.clone())
        .await
        .unwrap();
    drop(tap.events);
    bench.commands();
    let (_bob, _) = bench.call("a", "bob").await;
    assert!(in_order(
        &bench.commands(),
        &["0 CloseRelay", "0 RouteTap to nowhere"]
    ));
    assert!(
        bench
            .service
            .open_tap(&room("nowhere"), door)
            .await
            .is_err()
    );
    bench.assert_nothing_refused();
}
