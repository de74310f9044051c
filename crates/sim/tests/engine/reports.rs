//! What publishers and viewers learn about their streams.

use crosspoint_sim::publisher::{Clock, Names};
use crosspoint_sim::{LinkConfig, PeerConfig, World};

use crate::people::{CAMERA, MICROPHONE, mid, ms, publisher, seconds, viewer};

#[test]
fn a_publisher_learns_its_loss_and_round_trip() {
    let mut world = World::new(1);
    let alice = world.join(PeerConfig {
        clock: Clock {
            wall_offset_us: 5_000_000_000,
            drift_ppm: 0,
        },
        up: LinkConfig::delay_ms(30).losing(0.05),
        down: LinkConfig::delay_ms(20),
        ..publisher(Names::Declared, &[1_000_000])
    });
    world.join(viewer());
    world.run_for(seconds(60));
    let publisher = &world.peer(alice).publisher;
    for name in [CAMERA, MICROPHONE] {
        let ssrc = publisher.ssrcs(mid(name))[0].0;
        let stream = publisher.stream_numbers(mid(name))[0];
        let own = publisher
            .reports
            .iter()
            .filter(|(block, ..)| block.ssrc == ssrc);
        let own: Vec<_> = own.collect();
        assert!(
            (50..=70).contains(&own.len()),
            "{name}: {} reports",
            own.len()
        );
        let (last, at, rtt) = own.last().unwrap();
        let sent = publisher
            .log
            .iter()
            .filter(|(s, t)| s.stream == stream && t <= at)
            .count();
        let lost_percent = last.cumulative_lost as usize * 100 / sent;
        assert!((3..=7).contains(&lost_percent), "{name}: {lost_percent} %");
        let mean: u64 = own.iter().map(|(b, ..)| u64::from(b.fraction_lost)).sum();
        let mean_percent = mean * 100 / 256 / own.len() as u64;
        assert!((3..=7).contains(&mean_percent), "{name}: {mean_percent} %");
        let rtt = rtt.unwrap();
        assert!(rtt > ms(49) && rtt < ms(52), "{name}: {rtt:?}");
        assert!(last.jitter < 100, "{name}: {}", last.jitter);
    }
}

#[test]
fn a_viewers_sender_reports_count_what_was_sent() {
    let mut world = World::new(2);
    world.join(publisher(Names::Declared, &[1_000_000]));
    let bob = world.join(viewer());
    world.run_for(seconds(20));
    for slot in ["v0", "a0"] {
        let slot = world.peer(bob).receiver.slot(slot);
        let reports = slot.sender_reports.len();
        assert!((17..=22).contains(&reports), "{reports}");
        for (info, at) in &slot.sender_reports {
            // Packets that arrived with the report may have left right behind it.
            let before = slot.log.arrived().iter().filter(|a| a.at < *at).count();
            let with = slot.log.arrived().iter().filter(|a| a.at <= *at).count();
            assert!(
                (before..=with).contains(&(info.packets as usize)),
                "{info:?}"
            );
        }
    }
    // Transport-wide numbers count packets in the order of leaving, over all slots.
    let receiver = &world.peer(bob).receiver;
    let (first, highest) = receiver.transport_span.unwrap();
    assert_eq!(highest - first + 1, receiver.packets);
}

#[test]
fn reports_of_a_silent_slot_cease() {
    let mut world = World::new(3);
    let alice = world.join(publisher(Names::Declared, &[300_000]));
    let bob = world.join(viewer());
    world.run_for(seconds(5));
    for name in [CAMERA, MICROPHONE] {
        world.peer_mut(alice).publisher.pause(mid(name), true);
    }
    world.run_for(seconds(3));
    let count = |world: &World| world.peer(bob).receiver.slot("v0").sender_reports.len();
    let before = count(&world);
    world.run_for(seconds(10));
    assert_eq!(count(&world), before);
}
