//! Muting at the server: received, dropped, and taken up again cleanly.

use crosspoint_media::config::TrackSource;
use crosspoint_wire::codec::Codec;

use crate::world::{Source, World, receive, session, slots};

#[test]
fn a_muted_camera_is_not_seen_and_comes_back_with_a_keyframe() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(2, TrackSource::Camera, 100)], vec![]),
    );
    let bob = world.join(2, session(vec![], slots(5000, 0, 1)));
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    camera.send_frame(&mut world, true);
    let before = world.take_streams(bob)[&5000].last().unwrap().index;
    world.mute(2, true);
    world.advance_ms(1000);
    world.take_asked(alice);
    camera.send_frame(&mut world, true);
    assert!(world.take_sent().is_empty());
    assert_eq!(world.counter("rtp_muted"), 3);
    world.mute(2, false);
    world.advance_ms(1);
    assert_eq!(world.take_asked(alice).keyframes, [100]);
    camera.send_frame(&mut world, false);
    assert!(world.take_sent().is_empty());
    camera.send_frame(&mut world, true);
    let sent = &world.take_streams(bob)[&5000];
    assert_eq!(sent.len(), 3);
    assert_eq!(sent[0].index, before + 1, "nothing looks lost");
}

#[test]
fn a_muted_microphone_is_silent_and_comes_back_with_a_marker() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(1, TrackSource::Microphone, 100)], vec![]),
    );
    let bob = world.join(2, session(vec![], slots(5000, 1, 0)));
    let mut microphone = Source::new(alice, Codec::Opus, 100);
    let mut markers = Vec::new();
    for muted in [false, true, false] {
        world.mute(1, muted);
        for _ in 0..10 {
            microphone.send_sound(&mut world, 30);
            world.advance_ms(20);
        }
        let sent = world.take_streams(bob).remove(&5000).unwrap_or_default();
        assert_eq!(sent.len(), if muted { 0 } else { 10 });
        markers.extend(sent.iter().map(|s| s.header().marker));
    }
    let talk_spurts: Vec<_> = (0..20).filter(|&i| markers[i]).collect();
    assert_eq!(talk_spurts, [0, 10]);
}

#[test]
fn a_track_may_begin_muted() {
    let mut world = World::new();
    let mut track = receive(2, TrackSource::Camera, 100);
    track.muted = true;
    let alice = world.join(1, session(vec![track], vec![]));
    let bob = world.join(2, session(vec![], slots(5000, 0, 1)));
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    camera.send_frame(&mut world, true);
    assert!(world.take_sent().is_empty());
    world.mute(2, false);
    camera.send_frame(&mut world, true);
    assert_eq!(world.take_streams(bob)[&5000].len(), 3);
}

#[test]
fn gaps_while_muted_are_still_repaired_upstream() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(2, TrackSource::Camera, 100)], vec![]),
    );
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    world.mute(2, true);
    let frame = camera.vp8_frame(true, 3);
    world.rtp(alice, &frame[0]);
    world.rtp(alice, &frame[2]);
    world.advance_ms(30);
    assert_eq!(
        world.take_asked(alice).repairs,
        [(100, camera.seq.wrapping_sub(2))]
    );
}

#[test]
fn nobody_is_asked_for_keyframes_of_a_muted_camera() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(2, TrackSource::Camera, 100)], vec![]),
    );
    world.join(2, session(vec![], slots(5000, 0, 1)));
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    camera.send_frame(&mut world, false);
    world.advance_ms(10);
    assert_eq!(world.take_asked(alice).keyframes, [100]);
    world.mute(2, true);
    for _ in 0..50 {
        camera.send_frame(&mut world, false);
        world.advance_ms(40);
    }
    assert!(world.take_asked(alice).keyframes.is_empty());
    world.mute(2, false);
    world.advance_ms(10);
    assert_eq!(world.take_asked(alice).keyframes, [100]);
}
