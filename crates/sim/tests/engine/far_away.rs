//! Long round trips: repair works, and is not asked for or given many times over.

use crosspoint_media::config::CongestionFeedback;
use crosspoint_sim::publisher::Names;
use crosspoint_sim::{LinkConfig, PeerConfig, World};

use crate::people::{CAMERA, mid, ms, publisher, seconds, viewer};

#[test]
fn a_publisher_far_away_is_asked_about_once_for_each_loss() {
    let mut world = World::new(1);
    let near = LinkConfig::delay_ms(5);
    let alice = world.join(PeerConfig {
        up: LinkConfig::delay_ms(150).losing(0.05),
        down: LinkConfig::delay_ms(150),
        ..publisher(Names::Declared, &[800_000])
    });
    let bob = world.join(PeerConfig {
        up: near,
        down: near,
        ..viewer()
    });
    world.run_for(seconds(60));
    let publisher = &world.peer(alice).publisher;
    let lost = world.peer(alice).up.dropped;
    assert!(
        publisher.nacked < lost * 2,
        "{} asks for {lost} losses",
        publisher.nacked
    );
    let stream = publisher.stream_numbers(mid(CAMERA))[0];
    let log = &world.peer(bob).receiver.slot("v0").log;
    let came = log.arrivals_of(stream);
    let first = came.keys().min().copied().unwrap();
    let settled = publisher.log.iter().filter(|(stamp, at)| {
        stamp.stream == stream && stamp.packet >= first && world.now().since(*at) > seconds(2)
    });
    let (mut all, mut missing) = (0, 0);
    for (stamp, _) in settled {
        all += 1;
        missing += usize::from(!came.contains_key(&stamp.packet));
    }
    assert!(missing * 1000 < all, "{missing} of {all}");
}

#[test]
fn a_viewer_far_away_who_asks_too_often_gets_each_repair_about_once() {
    let mut world = World::new(2);
    world.join(publisher(Names::Declared, &[800_000]));
    let bob = world.join(PeerConfig {
        up: LinkConfig::delay_ms(150),
        down: LinkConfig::delay_ms(150).losing(0.05),
        ..viewer()
    });
    world.run_for(seconds(60));
    let slot = world.peer(bob).receiver.slot("v0");
    let in_sequence = slot.log.in_sequence();
    let lost = in_sequence.iter().filter(|a| a.by_repair).count() as u64;
    assert!(
        slot.repaired * 10 <= lost * 14,
        "{} for {lost}",
        slot.repaired
    );
    let (first, highest) = slot.log.span().unwrap();
    let missing = highest - first + 1 - in_sequence.len() as u64;
    assert!(
        missing < 40,
        "{missing} still missing, the newest among them"
    );
    assert!(slot.log.shown(ms(900)).len() > 1700);
}

#[test]
fn a_publisher_that_knows_only_remb_may_send_more_as_long_as_all_arrives() {
    let mut world = World::new(3);
    let alice = world.join(PeerConfig {
        feedback: CongestionFeedback::Remb,
        ..publisher(Names::Declared, &[1_500_000])
    });
    world.run_for(seconds(10));
    let good = world.peer(alice).publisher.remb_bps.clone();
    assert!((8..=11).contains(&good.len()), "{good:?}");
    assert!(
        good.last().is_some_and(|&limit| limit > 2_500_000),
        "{good:?}"
    );
    let lossy = LinkConfig::delay_ms(25).losing(0.2);
    world.set_links(alice, lossy, LinkConfig::delay_ms(25));
    world.run_for(seconds(10));
    let limited = world.peer(alice).publisher.remb_bps.last().copied();
    assert!(
        limited.is_some_and(|limit| limit < 1_500_000),
        "{limited:?}"
    );
    assert_eq!(world.peer(alice).publisher.transport_feedback, 0);
}
