//! Packets that came together go round together, and nobody can tell it from one by one.

use crosspoint_media::command::Command;
use crosspoint_media::config::{SessionId, SessionKey, TrackId, TrackSource, Wish};
use crosspoint_wire::codec::Codec;

use crate::world::{Source, World, receive, session, slots};

/// Cameras of Alice (track 1) and Carol (track 3), and Bob, who sees both.
fn world() -> (World, [Source; 2], SessionKey) {
    let mut world = World::new();
    let sources = [1, 3].map(|id| {
        let ssrc = 100 * id as u32;
        let receives = vec![receive(id, TrackSource::Camera, ssrc)];
        let key = world.join(id, session(receives, vec![]));
        Source::new(key, Codec::Vp8, ssrc)
    });
    let bob = world.join(2, session(vec![], slots(5000, 0, 2)));
    world.flush();
    (world, sources, bob)
}

/// How many packets were sent on each stream, all in order.
fn counts(world: &mut World, to: SessionKey) -> Vec<usize> {
    let streams = world.take_streams(to);
    let counts = streams.values().map(|sent| {
        assert!(sent.windows(2).all(|it| it[1].index == it[0].index + 1));
        sent.len()
    });
    counts.collect()
}

#[test]
fn a_picture_of_more_packets_than_go_round_at_once_is_whole_and_in_order() {
    let (mut world, [mut alice, _], bob) = world();
    let frame = alice.vp8_frame(true, 100);
    for packet in &frame {
        world.rtp(alice.from, packet);
    }
    assert_eq!(counts(&mut world, bob)[0], 100);
}

#[test]
fn pictures_that_come_mixed_arrive_each_whole() {
    let (mut world, [mut alice, mut carol], bob) = world();
    let (one, other) = (alice.vp8_frame(true, 7), carol.vp8_frame(true, 7));
    for (a, b) in one.iter().zip(&other) {
        world.rtp(alice.from, a);
        world.rtp(carol.from, b);
    }
    assert_eq!(counts(&mut world, bob), [7, 7]);
}

#[test]
fn a_command_between_two_packets_parts_them() {
    let (mut world, [mut alice, _], bob) = world();
    let frame = alice.vp8_frame(true, 6);
    for packet in &frame[..2] {
        world.rtp(alice.from, packet);
    }
    // Not flushed: what came before it still goes out as it would have.
    world.command(Command::SetWish {
        session: SessionId(2),
        track: TrackId(1),
        wish: Wish {
            wanted: false,
            ..Wish::default()
        },
    });
    for packet in &frame[2..] {
        world.rtp(alice.from, packet);
    }
    assert_eq!(counts(&mut world, bob)[0], 2);
}

#[test]
fn a_viewer_who_waits_for_a_keyframe_gets_what_comes_with_it_and_nothing_before() {
    let (mut world, [mut alice, _], bob) = world();
    let delta = alice.vp8_frame(false, 3);
    let key = alice.vp8_frame(true, 4);
    let next = alice.vp8_frame(false, 2);
    for packet in delta.iter().chain(&key).chain(&next) {
        world.rtp(alice.from, packet);
    }
    assert_eq!(counts(&mut world, bob)[0], 6);
}
