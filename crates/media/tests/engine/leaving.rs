//! Who leaves takes everything along; the places go to others.

use std::collections::BTreeMap;

use crosspoint_media::command::{Command, CommandError};
use crosspoint_media::config::{SessionId, TrackId, TrackSource, Wish};
use crosspoint_wire::codec::Codec;

use crate::world::{ROOM, Source, World, receive, session, slots};

fn feeds(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs
        .iter()
        .map(|&(mid, track)| (mid.to_string(), track))
        .collect()
}

#[test]
fn the_slot_of_who_leaves_goes_to_who_had_none_and_the_others_keep_theirs() {
    let mut world = World::new();
    for id in 1..=4 {
        let camera = receive(id, TrackSource::Camera, 100 * id as u32);
        world.join(id, session(vec![camera], vec![]));
    }
    world.join(9, session(vec![], slots(5000, 0, 3)));
    assert_eq!(world.feeds(9), feeds(&[("r0", 1), ("r1", 2), ("r2", 3)]));
    world.leave(2);
    assert_eq!(world.feeds(9), feeds(&[("r0", 1), ("r1", 4), ("r2", 3)]));
    world.leave(1);
    assert_eq!(world.feeds(9), feeds(&[("r1", 4), ("r2", 3)]));
}

#[test]
fn voice_and_picture_of_one_person_share_a_media_stream() {
    let mut world = World::new();
    world.join(9, session(vec![], slots(5000, 3, 3)));
    for id in 1..=3 {
        let mut tracks = vec![receive(id, TrackSource::Camera, 100 * id as u32)];
        if id != 1 {
            tracks.push(receive(
                10 + id,
                TrackSource::Microphone,
                100 * id as u32 + 10,
            ));
        }
        world.join(id, session(tracks, vec![]));
    }
    assert_eq!(
        world.feeds(9),
        feeds(&[("r1", 12), ("r2", 13), ("r3", 1), ("r4", 2), ("r5", 3)])
    );
}

#[test]
fn three_hundred_joins_and_leaves_leave_nothing_behind() {
    let mut world = World::new();
    let bob = world.join(2, session(vec![], slots(5000, 1, 1)));
    for round in 0..300 {
        let id = 100 + round;
        let tracks = vec![
            receive(2 * id, TrackSource::Camera, 1000),
            receive(2 * id + 1, TrackSource::Microphone, 2000),
        ];
        let alice = world.join(id, session(tracks, slots(6000, 1, 1)));
        Source::new(alice, Codec::Vp8, 1000).send_frame(&mut world, true);
        Source::new(alice, Codec::Opus, 2000).send_sound(&mut world, 30);
        world.wish(2, 2 * id, Wish::default());
        world.advance_ms(50);
        assert_eq!(world.take_streams(bob).len(), 2);
        world.leave(id);
    }
    assert_eq!(world.engine.session_count(), 1);
    assert_eq!(world.engine.track_count(), 0);
    assert_eq!(world.engine.room_count(), 1);
    assert!(world.feeds(2).is_empty());
    assert!(
        world.engine.open_session(SessionId(9999)).0 < 3,
        "keys are used again"
    );
}

#[test]
fn what_a_removed_session_sends_is_nothing() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(1, TrackSource::Camera, 100)], vec![]),
    );
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    world.leave(1);
    camera.send_frame(&mut world, true);
    world.rtcp(alice, |writer| writer.pli(1, 5000).unwrap());
    assert!(world.take_sent().is_empty());
    let again = Command::RemoveSession {
        session: SessionId(1),
    };
    let refused = world.engine.handle_command(world.now, again);
    assert_eq!(refused, Err(CommandError::UnknownSession(SessionId(1))));
}

#[test]
fn a_session_without_transport_is_sent_nothing() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(1, TrackSource::Camera, 100)], vec![]),
    );
    let bob = world.join(2, session(vec![], slots(5000, 0, 1)));
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    world.engine.set_connected(world.now, bob, false);
    camera.send_frame(&mut world, true);
    world.advance_ms(3000);
    assert!(world.take_sent().is_empty());
    assert!(world.take_rtcp(bob).is_empty());
    world.engine.set_connected(world.now, bob, true);
    world.advance_ms(1);
    assert_eq!(world.take_asked(alice).keyframes, [100]);
    camera.send_frame(&mut world, true);
    assert_eq!(world.take_sent().len(), 3);
}

#[test]
fn a_removed_room_leaves_its_sessions_hearing_nothing() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(1, TrackSource::Camera, 100)], vec![]),
    );
    world.join(2, session(vec![], slots(5000, 0, 1)));
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    camera.send_frame(&mut world, true);
    world.take_sent();
    world.command(Command::RemoveRoom { room: ROOM });
    camera.send_frame(&mut world, true);
    assert!(world.take_sent().is_empty());
    assert!(world.feeds(2).is_empty());
    assert_eq!(
        (world.engine.room_count(), world.engine.session_count()),
        (0, 2)
    );
    let unknown = Command::LinkTrack {
        track: TrackId(1),
        room: ROOM,
        linked: true,
    };
    let refused = world.engine.handle_command(world.now, unknown);
    assert_eq!(refused, Err(CommandError::UnknownRoom(ROOM)));
}
