//! Later offers change what they say and nothing else.

use crosspoint_media::config::{LayerLimit, TrackSource, Wish};
use crosspoint_wire::codec::Codec;

use crate::world::{ROOM, Source, World, payload, receive, session, slots};

#[test]
fn a_track_that_is_added_does_not_disturb_those_that_flow() {
    let mut world = World::new();
    let camera_line = receive(1, TrackSource::Camera, 100);
    let alice = world.join(1, session(vec![camera_line.clone()], vec![]));
    let bob = world.join(2, session(vec![], slots(5000, 0, 2)));
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    camera.send_frame(&mut world, true);
    let screen_line = receive(2, TrackSource::ScreenShare, 200);
    world.put_session(
        1,
        ROOM,
        session(vec![camera_line.clone(), screen_line], vec![]),
    );
    camera.send_frame(&mut world, false);
    let sent = &world.take_streams(bob)[&5000];
    assert_eq!(sent.last().unwrap().index, sent[0].index + 5);
    Source::new(alice, Codec::Vp8, 200).send_frame(&mut world, true);
    assert_eq!(world.take_streams(bob)[&5010].len(), 3);

    world.put_session(1, ROOM, session(vec![camera_line], vec![]));
    camera.send_frame(&mut world, false);
    assert_eq!(world.take_streams(bob)[&5000].len(), 3);
    assert_eq!(world.feeds(2).len(), 1);
    assert_eq!(world.engine.track_count(), 1);
}

#[test]
fn more_slots_are_filled_and_the_old_ones_go_on() {
    let mut world = World::new();
    let mut cameras: Vec<_> = (1..=2)
        .map(|id| {
            let ssrc = 100 * id as u32;
            let key = world.join(
                id,
                session(vec![receive(id, TrackSource::Camera, ssrc)], vec![]),
            );
            Source::new(key, Codec::Vp8, ssrc)
        })
        .collect();
    let bob = world.join(9, session(vec![], slots(5000, 0, 1)));
    let mut show = |world: &mut World, keyframe| {
        for camera in &mut cameras {
            camera.send_frame(world, keyframe);
        }
        world.take_streams(bob)
    };
    let first = show(&mut world, true);
    world.put_session(9, ROOM, session(vec![], slots(5000, 0, 2)));
    let second = show(&mut world, true);
    assert_eq!((first.len(), second.len()), (1, 2));
    assert_eq!(
        second[&5000][0].index,
        first[&5000].last().unwrap().index + 1
    );
    world.put_session(9, ROOM, session(vec![], slots(5000, 0, 1)));
    assert_eq!(show(&mut world, false).len(), 1);
}

#[test]
fn muting_by_offer_mutes() {
    let mut world = World::new();
    let mut line = receive(1, TrackSource::Camera, 100);
    let alice = world.join(1, session(vec![line.clone()], vec![]));
    world.join(2, session(vec![], slots(5000, 0, 1)));
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    line.muted = true;
    world.put_session(1, ROOM, session(vec![line], vec![]));
    camera.send_frame(&mut world, true);
    assert!(world.take_sent().is_empty());
}

#[test]
fn wishes_and_transport_numbers_survive_an_offer() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(1, TrackSource::Camera, 100)], vec![]),
    );
    let bob = world.join(2, session(vec![], slots(5000, 0, 1)));
    let unwanted = Wish {
        wanted: false,
        largest: LayerLimit::Best,
    };
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    camera.send_frame(&mut world, true);
    let last = world.take_streams(bob)[&5000][2]
        .extensions()
        .transport_cc
        .unwrap();
    world.wish(2, 1, unwanted);
    world.put_session(2, ROOM, session(vec![], slots(5000, 0, 1)));
    camera.send_frame(&mut world, true);
    assert!(world.take_sent().is_empty());
    world.wish(2, 1, Wish::default());
    camera.send_frame(&mut world, true);
    let next = world.take_streams(bob)[&5000][0]
        .extensions()
        .transport_cc
        .unwrap();
    assert_eq!(next, last.wrapping_add(1));
}

#[test]
fn payload_types_may_change() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(1, TrackSource::Camera, 100)], vec![]),
    );
    let bob = world.join(2, session(vec![], slots(5000, 0, 1)));
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    camera.send_frame(&mut world, true);
    let mut lines = slots(5000, 0, 1);
    let mut vp8 = payload(Codec::Vp8);
    (vp8.payload_type, vp8.rtx) = (120, Some(121));
    lines[0].payloads = vec![vp8];
    world.advance_ms(1000);
    world.take_asked(alice);
    world.put_session(2, ROOM, session(vec![], lines));
    world.advance_ms(1);
    assert_eq!(world.take_asked(alice).keyframes, [100]);
    camera.send_frame(&mut world, true);
    let sent = &world.take_streams(bob)[&5000];
    assert_eq!(sent.last().unwrap().header().payload_type, 120);
}
