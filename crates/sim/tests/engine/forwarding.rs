//! What comes in goes out, whole and as one continuous stream.

use crosspoint_media::event::Event;
use crosspoint_sim::World;
use crosspoint_sim::publisher::Names;
use crosspoint_sim::receiver::longest_freeze;

use crate::people::{CAMERA, MICROPHONE, mid, ms, publisher, seconds, viewer};

#[test]
fn a_viewer_gets_everything_in_time_over_a_good_path() {
    for names in [Names::Declared, Names::Extensions] {
        let mut world = World::new(1);
        let alice = world.join(publisher(names, &[1_000_000]));
        let bob = world.join(viewer());
        world.run_for(seconds(10));
        let bob = world.peer(bob);
        let video = &bob.receiver.slot("v0").log;
        let audio = &bob.receiver.slot("a0").log;
        video.assert_continuous();
        video.assert_no_frame_without_its_keyframe();
        audio.assert_continuous();
        assert_eq!(bob.receiver.strangers, 0);

        let shown = video.shown(ms(80));
        assert!(shown.len() >= 295, "{names:?}: {} frames", shown.len());
        assert_eq!(longest_freeze(&shown).as_millis() / 10, 3, "every frame");
        // Sound needs no keyframe: the very first packets are there.
        assert!(audio.arrived().len() >= 495, "{}", audio.arrived().len());
        let late = audio
            .arrived()
            .iter()
            .map(|a| a.at.since(a.stamp.captured))
            .max();
        assert_eq!(late, Some(ms(50)), "not held up in the server");
        let alice = &world.peer(alice).publisher;
        assert!(alice.transport_feedback > 100);
        assert_eq!(alice.nacked, 0);
    }
}

#[test]
fn everybody_sees_everybody_and_nobody_themselves() {
    let mut world = World::new(2);
    let person = || crosspoint_sim::PeerConfig {
        audio_slots: 4,
        video_slots: 4,
        ..publisher(Names::Extensions, &[300_000])
    };
    let people: Vec<_> = (0..4).map(|_| world.join(person())).collect();
    world.run_for(seconds(5));
    for &me in &people {
        let receiver = &world.peer(me).receiver;
        let mut seen: Vec<_> = receiver
            .slots()
            .filter_map(|slot| slot.log.arrived().last())
            .map(|a| a.stamp.stream / 1000)
            .collect();
        seen.sort_unstable();
        let own = me as u32 + 1;
        let others: Vec<_> = (1..=4).filter(|&p| p != own).flat_map(|p| [p, p]).collect();
        assert_eq!(seen, others, "camera and microphone of each other person");
        for slot in receiver.slots() {
            slot.log.assert_continuous();
        }
        // A participant's sound and pictures share a pair, so that browsers synchronise them.
        for n in 0..3 {
            let source = |letter| {
                let slot = receiver.slot(&format!("{letter}{n}"));
                slot.log.arrived().last().map(|a| a.stamp.stream / 1000)
            };
            assert_eq!(source('a'), source('v'));
        }
    }
}

#[test]
fn a_viewer_is_told_what_a_slot_carries() {
    let mut world = World::new(3);
    let alice = world.join(publisher(Names::Declared, &[300_000]));
    let bob = world.join(viewer());
    world.run_for(seconds(2));
    let of = |world: &World, name: &str| world.peer(alice).track(mid(name));
    let (camera, microphone) = (of(&world, CAMERA), of(&world, MICROPHONE));
    world.leave(alice);
    world.run_for(seconds(1));
    let bob = world.peer(bob).session;
    let told: Vec<_> = world
        .events()
        .iter()
        .filter_map(|(_, _, event)| match event {
            Event::SlotAssigned { session, mid, feed } if *session == bob => {
                Some((mid.as_str(), feed.map(|f| f.0)))
            }
            _ => None,
        })
        .collect();
    let (mut video, mut audio) = (Vec::new(), Vec::new());
    for (mid, track) in told {
        if mid == "v0" {
            video.push(track)
        } else if mid == "a0" {
            audio.push(track)
        }
    }
    assert_eq!(video, [camera, None]);
    assert_eq!(audio, [microphone, None]);
}
