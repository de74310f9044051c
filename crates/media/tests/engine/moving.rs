//! Participants that change rooms, and tracks that are heard in more than one.

use crosspoint_media::command::Command;
use crosspoint_media::config::{RoomId, SessionId, SessionKey, TrackId, TrackSource, Wish};
use crosspoint_wire::codec::Codec;

use crate::world::{ROOM, Source, World, receive, session, slots};

const OTHER: RoomId = RoomId(2);

/// Alice in the one room, Bob with her, Carol in the other.
fn two_rooms() -> (World, Source, [SessionKey; 2]) {
    let mut world = World::new();
    world.put_room(OTHER, None);
    let camera = receive(1, TrackSource::Camera, 100);
    let alice = world.join(1, session(vec![camera], slots(4000, 0, 1)));
    let bob = world.join(2, session(vec![], slots(5000, 0, 1)));
    let carol = world.join_room(3, OTHER, session(vec![], slots(6000, 0, 1)));
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    camera.send_frame(&mut world, true);
    (world, camera, [bob, carol])
}

/// Who of the two got the next keyframe.
fn seen_by(world: &mut World, camera: &mut Source, people: [SessionKey; 2]) -> [bool; 2] {
    world.take_sent();
    camera.send_frame(world, true);
    let sent = world.take_sent();
    people.map(|key| sent.iter().any(|s| s.to == key))
}

fn link(world: &mut World, linked: bool) {
    world.command(Command::LinkTrack {
        track: TrackId(1),
        room: OTHER,
        linked,
    });
}

fn move_to(world: &mut World, room: RoomId) {
    world.command(Command::MoveSession {
        session: SessionId(1),
        room,
    });
}

#[test]
fn who_moves_is_seen_in_the_other_room_only() {
    let (mut world, mut camera, people) = two_rooms();
    assert_eq!(seen_by(&mut world, &mut camera, people), [true, false]);
    move_to(&mut world, OTHER);
    assert_eq!(seen_by(&mut world, &mut camera, people), [false, true]);
    move_to(&mut world, ROOM);
    assert_eq!(seen_by(&mut world, &mut camera, people), [true, false]);
}

#[test]
fn who_moves_sees_the_other_room() {
    let (mut world, alice, [_, carol]) = two_rooms();
    let mut config = session(
        vec![receive(3, TrackSource::Camera, 300)],
        slots(6000, 0, 1),
    );
    config.cname = "carol".into();
    world.put_session(3, OTHER, config);
    let mut camera = Source::new(carol, Codec::Vp8, 300);
    camera.send_frame(&mut world, true);
    assert!(world.take_streams(alice.from).is_empty());
    move_to(&mut world, OTHER);
    world.advance_ms(1);
    assert_eq!(world.take_asked(carol).keyframes, [300]);
    camera.send_frame(&mut world, true);
    assert_eq!(world.take_streams(alice.from)[&4000].len(), 3);
}

#[test]
fn a_forwarded_track_is_seen_in_both_rooms_until_it_is_taken_back() {
    let (mut world, mut camera, people) = two_rooms();
    link(&mut world, true);
    assert_eq!(seen_by(&mut world, &mut camera, people), [true, true]);
    link(&mut world, true);
    assert_eq!(world.feeds(3).len(), 1);
    link(&mut world, false);
    assert_eq!(seen_by(&mut world, &mut camera, people), [true, false]);
}

#[test]
fn a_forwarded_track_stays_where_it_is_linked_when_its_owner_moves() {
    let (mut world, mut camera, people) = two_rooms();
    link(&mut world, true);
    move_to(&mut world, OTHER);
    assert_eq!(seen_by(&mut world, &mut camera, people), [false, true]);
    move_to(&mut world, ROOM);
    assert_eq!(seen_by(&mut world, &mut camera, people), [true, true]);
}

#[test]
fn a_wish_is_forgotten_when_its_track_leaves_the_listeners_room() {
    let unwanted = Wish {
        wanted: false,
        ..Wish::default()
    };
    let (mut world, mut camera, people) = two_rooms();
    link(&mut world, true);
    world.wish(2, 1, unwanted);
    world.wish(3, 1, unwanted);
    assert_eq!(seen_by(&mut world, &mut camera, people), [false, false]);
    link(&mut world, false);
    link(&mut world, true);
    assert_eq!(seen_by(&mut world, &mut camera, people), [false, true]);
    move_to(&mut world, OTHER);
    move_to(&mut world, ROOM);
    assert_eq!(seen_by(&mut world, &mut camera, people), [true, true]);
}

#[test]
fn who_moves_forgets_what_it_wished_in_the_room_before() {
    let (mut world, _, [bob, _]) = two_rooms();
    let unwanted = Wish {
        wanted: false,
        ..Wish::default()
    };
    let config = session(
        vec![receive(2, TrackSource::Camera, 200)],
        slots(5000, 0, 1),
    );
    world.put_session(2, ROOM, config);
    let mut camera = Source::new(bob, Codec::Vp8, 200);
    world.wish(1, 2, unwanted);
    camera.send_frame(&mut world, true);
    assert!(world.feeds(1).is_empty());
    move_to(&mut world, OTHER);
    move_to(&mut world, ROOM);
    camera.send_frame(&mut world, true);
    assert_eq!(world.feeds(1).len(), 1);
}

#[test]
fn a_forward_ends_with_its_track() {
    let (mut world, _, _) = two_rooms();
    link(&mut world, true);
    world.leave(1);
    assert!(world.feeds(2).is_empty() && world.feeds(3).is_empty());
}

#[test]
fn what_is_reserved_reaches_those_alone_who_were_said_to_want_it() {
    let mut world = World::new();
    let mut reserved = receive(1, TrackSource::Camera, 100);
    reserved.reserved = true;
    let alice = world.join(1, session(vec![reserved.clone()], slots(4000, 0, 1)));
    let bob = world.join(2, session(vec![], slots(5000, 0, 1)));
    let carol = world.join(3, session(vec![], slots(6000, 0, 1)));
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    let people = [bob, carol];
    assert_eq!(seen_by(&mut world, &mut camera, people), [false, false]);
    world.wish(2, 1, Wish::default());
    assert_eq!(seen_by(&mut world, &mut camera, people), [true, false]);
    reserved.reserved = false;
    world.put_session(1, ROOM, session(vec![reserved.clone()], slots(4000, 0, 1)));
    assert_eq!(seen_by(&mut world, &mut camera, people), [true, true]);
    reserved.reserved = true;
    world.put_session(1, ROOM, session(vec![reserved], slots(4000, 0, 1)));
    assert_eq!(seen_by(&mut world, &mut camera, people), [true, false]);
}
