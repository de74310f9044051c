//! Keyframes when they are needed, and no more often.

use crosspoint_sim::World;
use crosspoint_sim::publisher::Names;

use crate::people::{CAMERA, mid, ms, publisher, seconds, viewer};

#[test]
fn a_late_joiner_has_a_picture_after_a_round_trip_and_a_frame() {
    let mut world = World::new(4);
    let alice = world.join(publisher(Names::Declared, &[800_000]));
    world.join(viewer());
    world.run_for(seconds(20));
    let requested = world.peer(alice).publisher.keyframe_requests.len();
    let joined = world.now();
    let carol = world.join(viewer());
    world.run_for(seconds(1));
    let video = &world.peer(carol).receiver.slot("v0").log;
    let shown = video.shown(ms(100));
    // To the publisher and back 50 ms, the next frame within 33, to the viewer 25.
    let waited = shown[0].complete.since(joined);
    assert!(waited <= ms(110), "{waited:?}");
    assert!(video.arrived()[0].stamp.is_keyframe());
    assert_eq!(
        world.peer(alice).publisher.keyframe_requests.len(),
        requested + 1
    );
}

#[test]
fn many_who_join_at_once_cost_the_publisher_few_keyframes() {
    let mut world = World::new(5);
    let alice = world.join(publisher(Names::Declared, &[500_000]));
    world.run_for(seconds(3));
    let before = world.peer(alice).publisher.keyframe_requests.len();
    let mut viewers = Vec::new();
    for _ in 0..50 {
        viewers.push(world.join(viewer()));
        world.run_for(ms(10));
    }
    world.run_for(seconds(1));
    let requests = world.peer(alice).publisher.keyframe_requests.len() - before;
    assert!(
        (1..=3).contains(&requests),
        "{requests} in half a second of joining"
    );
    for viewer in viewers {
        let shown = world.peer(viewer).receiver.slot("v0").log.shown(ms(100));
        assert!(!shown.is_empty());
    }
}

#[test]
fn an_unmuted_track_begins_with_a_keyframe_and_continues_its_numbers() {
    let mut world = World::new(6);
    let alice = world.join(publisher(Names::Declared, &[500_000]));
    let bob = world.join(viewer());
    world.run_for(seconds(2));
    let track = world.peer(alice).track(mid(CAMERA)).unwrap();
    let mute = |muted| crosspoint_media::command::Command::SetMuted { track, muted };
    world.command(mute(true));
    world.run_for(ms(100));
    let count = |world: &World| world.peer(bob).receiver.slot("v0").log.arrived().len();
    let muted_at = count(&world);
    world.run_for(seconds(5));
    assert_eq!(count(&world), muted_at, "nothing flows");
    world.command(mute(false));
    world.run_for(seconds(2));
    let slot = world.peer(bob).receiver.slot("v0");
    assert!(slot.log.arrived()[muted_at].stamp.is_keyframe());
    slot.log.assert_continuous();
    slot.log.assert_no_frame_without_its_keyframe();
    let (first, highest) = slot.log.span().unwrap();
    assert_eq!(
        highest - first + 1,
        slot.log.in_sequence().len() as u64,
        "no gap is left"
    );
}

#[test]
fn a_request_that_is_lost_is_repeated() {
    let mut world = World::new(7);
    let alice = world.join(publisher(Names::Declared, &[500_000]));
    world.run_for(seconds(3));
    let good = crosspoint_sim::LinkConfig::delay_ms(25);
    let dead = crosspoint_sim::LinkConfig {
        loss: crosspoint_sim::Loss::Blackhole,
        ..good
    };
    world.set_links(alice, good, dead);
    let bob = world.join(viewer());
    world.run_for(ms(700));
    assert!(world.peer(bob).receiver.slot("v0").log.is_empty());
    world.set_links(alice, good, good);
    world.run_for(ms(700));
    assert!(!world.peer(bob).receiver.slot("v0").log.is_empty());
}
