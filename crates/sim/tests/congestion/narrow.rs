//! What a link that gets narrow takes from sound and pictures.

use core::time::Duration;

use crosspoint_sim::link::LinkConfig;
use crosspoint_sim::receiver::longest_freeze;

use crate::plan::{LAYERS, Stage, Step};

/// Distance of packets of sound.
const PACKET: Duration = Duration::from_millis(20);

/// What a viewer of 1.5 Mbit/s loses when there are only 300 kbit/s from one moment on, with a queue
/// of 200 ms: sound, and the longest freeze, in the five seconds after.
fn squeeze(seed: u64) -> (Duration, Duration) {
    let mut stage = Stage::new(seed, LAYERS, None);
    stage.take(Step::Capacity(3000));
    stage.take(Step::Join);
    let near = LinkConfig::delay_ms(5);
    stage.world.set_links(stage.viewers[0], near, near);
    stage.world.run_for(Duration::from_secs(20));
    let narrow = stage.world.now();
    stage.set_bottleneck(LinkConfig {
        rate_bps: Some(300_000),
        queue: Duration::from_millis(200),
        ..LinkConfig::default()
    });
    stage.world.run_for(Duration::from_secs(5));
    let receiver = &stage.world.peer(stage.viewers[0]).receiver;
    let sound = receiver.slot("a0").log.in_sequence();
    let missing: u64 = sound
        .windows(2)
        .filter(|pair| pair[0].at >= narrow)
        .map(|pair| pair[1].ext_seq - pair[0].ext_seq - 1)
        .sum();
    let mut shown = receiver.slot("v0").log.shown(Duration::from_secs(1));
    shown.retain(|frame| frame.complete >= narrow);
    (PACKET * missing as u32, longest_freeze(&shown))
}

/// The first feedback that shows a queue comes after 0.2 s, in which the link drops four fifths of
/// what it is given. It used to go on for a second and more: with a rate that was in part measured
/// before, repairs of pictures that were superseded, and a queue that was taken for the path's own.
#[test]
fn a_link_that_gets_narrow_takes_little_of_sound_and_no_pictures_for_long() {
    let seen: Vec<_> = (1..=20).map(squeeze).collect();
    for (sound, freeze) in &seen {
        println!("{sound:?} of sound lost, frozen for {freeze:?}");
    }
    let sound = seen.iter().map(|(sound, _)| *sound).sum::<Duration>() / seen.len() as u32;
    assert!(sound <= Duration::from_millis(130), "{sound:?} in the mean");
    let freeze = seen.iter().map(|(_, freeze)| *freeze).max();
    assert!(freeze <= Some(Duration::from_millis(500)), "{freeze:?}");
}

/// To who hears nobody nothing leaves any more when the only picture is too much: no packet whose delay
/// would show that the queue has drained, and none after which to look for more. It used to stay so, and
/// of a probe at a low rate, which takes longer to send than to arrive, the first packets did not count.
#[test]
fn a_picture_that_was_left_out_comes_back_to_who_hears_nothing() {
    for seed in 1..=20 {
        let mut stage = Stage::new(seed, LAYERS, None);
        stage.take(Step::Capacity(3000));
        stage.join(0);
        stage.world.run_for(Duration::from_secs(10));
        stage.take(Step::Capacity(60));
        stage.world.run_for(Duration::from_secs(10));
        let arrived = |stage: &Stage| {
            let receiver = &stage.world.peer(stage.viewers[0]).receiver;
            receiver.slot("v0").log.arrived().len()
        };
        let before = arrived(&stage);
        stage.world.run_for(Duration::from_secs(2));
        assert_eq!(arrived(&stage), before, "seed {seed}: it goes on");
        stage.take(Step::Capacity(3000));
        stage.world.run_for(Duration::from_secs(10));
        assert!(arrived(&stage) > before + 100, "seed {seed}: it stays away");
    }
}
