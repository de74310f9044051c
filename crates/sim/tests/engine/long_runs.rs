//! Hours pass, every counter wraps, and nobody notices.

use crosspoint_sim::publisher::{Names, StartNumbers};
use crosspoint_sim::receiver::longest_freeze;
use crosspoint_sim::{PeerConfig, World};

use crate::people::{CAMERA, MICROPHONE, mid, ms, publisher, seconds, viewer};

fn starting_at(start: StartNumbers) -> PeerConfig {
    let mut config = publisher(Names::Declared, &[200_000]);
    for track in &mut config.tracks {
        track.start = start;
    }
    config
}

#[test]
fn counters_of_a_publisher_wrap_at_any_place() {
    for (seed, sequence, timestamp, picture_id, tl0_pic_idx) in [
        (1, 0, 0, 0, 0),
        (2, 1, 1, 1, 1),
        (3, 0x7fff, 0x7fff_ffff, 0x3fff, 0x7f),
        (4, 0x8000, 0x8000_0000, 0x4000, 0x80),
        (5, 0xfffe, 0xffff_fffe, 0x7ffe, 0xfe),
        (6, 0xffff, 0xffff_ff00, 0x7fff, 0xff),
    ] {
        let mut world = World::new(seed);
        world.join(starting_at(StartNumbers {
            sequence,
            timestamp,
            picture_id,
            tl0_pic_idx,
        }));
        let bob = world.join(viewer());
        world.run_for(seconds(30));
        let receiver = &world.peer(bob).receiver;
        let video = &receiver.slot("v0").log;
        video.assert_continuous();
        video.assert_no_frame_without_its_keyframe();
        receiver.slot("a0").log.assert_continuous();
        let freeze = longest_freeze(&video.shown(ms(100)));
        assert!(freeze < ms(50), "seed {seed}: {freeze:?}");
    }
}

/// Sequence numbers of sound wrap five times, of pictures three times and more, picture ids six
/// times; a sender that restarts each half hour adds another wrap place each time.
#[test]
fn two_hours_of_a_call_go_by() {
    let mut world = World::new(7);
    let alice = world.join(publisher(Names::Extensions, &[200_000]));
    let bob = world.join(viewer());
    for _ in 0..4 {
        world.run_for(seconds(1800));
        world.peer_mut(alice).publisher.restart(mid(CAMERA));
    }
    let receiver = &world.peer(bob).receiver;
    for slot in ["v0", "a0"] {
        let log = &receiver.slot(slot).log;
        log.assert_continuous();
        log.assert_no_frame_without_its_keyframe();
        let (first, highest) = log.span().unwrap();
        assert!(highest - first > 3 << 16, "{slot}: wrapped");
        assert_eq!(
            highest - first + 1,
            log.in_sequence().len() as u64,
            "{slot}: no gap"
        );
    }
    let freeze = longest_freeze(&receiver.slot("v0").log.shown(ms(100)));
    assert!(freeze < ms(200), "{freeze:?}");
}

/// 90 kHz timestamps pass half their range in 6.6 hours, 48 kHz ones in 12.4.
#[test]
fn a_track_that_pauses_for_fourteen_hours_comes_back_at_once() {
    let mut world = World::new(8);
    let alice = world.join(publisher(Names::Declared, &[200_000]));
    let bob = world.join(viewer());
    world.run_for(seconds(5));
    let pause = |world: &mut World, paused| {
        for track in [CAMERA, MICROPHONE] {
            world.peer_mut(alice).publisher.pause(mid(track), paused);
        }
    };
    pause(&mut world, true);
    world.run_for(seconds(14 * 3600));
    pause(&mut world, false);
    let back = world.now();
    world.run_for(seconds(10));
    let receiver = &world.peer(bob).receiver;
    for slot in ["v0", "a0"] {
        receiver.slot(slot).log.assert_continuous();
    }
    let shown = receiver.slot("v0").log.shown(ms(100));
    let again = shown.iter().find(|s| s.captured >= back).unwrap();
    assert!(again.complete.since(back) < ms(250));
}

#[test]
fn joins_and_leaves_leave_nothing_behind() {
    let mut world = World::new(9);
    let mut present = std::collections::VecDeque::new();
    for n in 0..300_u64 {
        let person = PeerConfig {
            audio_slots: 3,
            video_slots: 3,
            ..publisher(Names::Extensions, &[100_000, 200_000])
        };
        present.push_back(world.join(person));
        world.run_for(ms(30 + n % 50));
        if present.len() > 4 {
            let leaver = present.pop_front().unwrap();
            world.leave(leaver);
        }
    }
    for leaver in present {
        world.leave(leaver);
    }
    world.run_for(seconds(5));
    let engine = world.engine();
    assert_eq!(engine.session_count(), 0);
    assert_eq!(engine.track_count(), 0);
    assert_eq!(engine.sessions(), []);
    assert_eq!(engine.next_timeout(), crosspoint_wire::time::Time::NEVER);
}
