//! Sound and pictures that were captured together are played together: the sender reports of a
//! participant's two slots relate the same moment of capture to the same moment of the server.

use core::time::Duration;

use crosspoint_media::config::RelayId;
use crosspoint_sim::publisher::{Clock, Names};
use crosspoint_sim::receiver::ReceiverSlot;
use crosspoint_sim::{LinkConfig, PeerConfig, World};
use crosspoint_wire::time::Time;

use crate::people::{CAMERA, MICROPHONE, mid, ms, publisher, seconds, viewer};

/// What a browser does: by the newest sender report, when each packet that came after `from` was
/// captured on the server's clock. Given as the difference to true capture time in microseconds,
/// with the time of arrival.
fn mapping_errors(slot: &ReceiverSlot, rate_hz: i64, from: Time) -> Vec<(Time, i64)> {
    let mut reports = slot.sender_reports.iter().peekable();
    let mut newest = None;
    let mut errors = Vec::new();
    for packet in slot.log.arrived() {
        while let Some((info, _)) = reports.next_if(|(_, at)| *at <= packet.at) {
            newest = Some(info);
        }
        let Some(info) = newest.filter(|_| packet.at >= from) else {
            continue;
        };
        let ticks = packet
            .timestamp
            .wrapping_sub(info.rtp_timestamp)
            .cast_signed();
        let epoch = crosspoint_wire::time::NtpTime::from_unix_micros(1_577_836_800_000_000);
        let said_us = info.ntp.micros_since(epoch) + i64::from(ticks) * 1_000_000 / rate_hz;
        let true_us = packet.stamp.captured.as_micros() as i64;
        errors.push((packet.at, said_us - true_us));
    }
    errors
}

/// Largest difference of the two slots' errors at the same time.
fn worst_skew_us(world: &World, viewer: usize, from: Time) -> i64 {
    let receiver = &world.peer(viewer).receiver;
    let audio = mapping_errors(receiver.slot("a0"), 48_000, from);
    let video = mapping_errors(receiver.slot("v0"), 90_000, from);
    assert!(
        audio.len() > 100 && video.len() > 100,
        "reports and packets on both"
    );
    let mut worst = 0;
    let mut audio = audio.into_iter().peekable();
    let mut near = None;
    for (at, video_error) in video {
        while let Some((_, error)) = audio.next_if(|(audio_at, _)| *audio_at <= at) {
            near = Some(error);
        }
        worst = worst.max(near.map_or(0, |near: i64| (video_error - near).abs()));
    }
    worst
}

fn person(clock: Clock, jitter: Duration) -> PeerConfig {
    PeerConfig {
        clock,
        up: LinkConfig {
            jitter,
            ..LinkConfig::delay_ms(25)
        },
        ..publisher(Names::Declared, &[300_000])
    }
}

const HOUR_US: i64 = 3_600_000_000;

#[test]
fn clocks_that_are_hours_off_and_drift_do_not_part_lips_from_voice() {
    for (seed, wall_offset_us, drift_ppm, jitter) in [
        (1, 0, 0, ms(0)),
        (2, 5 * HOUR_US, 100, ms(30)),
        (3, -7 * HOUR_US, -100, ms(30)),
    ] {
        let clock = Clock {
            wall_offset_us,
            drift_ppm,
        };
        let mut world = World::new(seed);
        world.join(person(clock, jitter));
        let bob = world.join(viewer());
        world.run_for(seconds(600));
        let worst = worst_skew_us(&world, bob, Time::from_millis(8_000));
        assert!(worst < 5_000, "{clock:?}: {worst} us");
    }
}

#[test]
fn who_joins_late_is_in_sync_from_its_first_reports() {
    let clock = Clock {
        wall_offset_us: 3 * HOUR_US,
        drift_ppm: 100,
    };
    let mut world = World::new(4);
    world.join(person(clock, ms(10)));
    world.run_for(seconds(1800));
    let joined = world.now();
    let carol = world.join(viewer());
    world.run_for(seconds(15));
    let worst = worst_skew_us(&world, carol, joined);
    assert!(worst < 5_000, "{worst} us");
    let first = |slot| world.peer(carol).receiver.slot(slot).sender_reports[0].1;
    for slot in ["a0", "v0"] {
        let waited = first(slot).since(joined);
        assert!(waited < seconds(2), "{slot}: first report after {waited:?}");
    }
}

#[test]
fn a_change_of_layer_keeps_lips_and_voice_together() {
    let clock = Clock {
        wall_offset_us: HOUR_US,
        drift_ppm: -100,
    };
    let mut world = World::new(5);
    let alice = world.join(PeerConfig {
        clock,
        up: LinkConfig {
            jitter: ms(30),
            ..LinkConfig::delay_ms(25)
        },
        ..publisher(Names::Extensions, &[100_000, 300_000])
    });
    let bob = world.join(viewer());
    for turn in 0..20 {
        world.run_for(seconds(7));
        let alice = &mut world.peer_mut(alice).publisher;
        alice.pause_encoding(mid(CAMERA), 1, turn % 2 == 0);
    }
    // After a change the old report is a guess until the next one comes.
    let worst = worst_skew_us(&world, bob, Time::from_millis(8_000));
    assert!(worst < 40_000, "{worst} us between reports");
    let settled = world.now();
    world.run_for(seconds(10));
    let worst = worst_skew_us(&world, bob, settled + seconds(6));
    assert!(worst < 5_000, "{worst} us");
}

#[test]
fn lips_and_voice_stay_together_over_a_relay() {
    let clock = Clock {
        wall_offset_us: -2 * HOUR_US,
        drift_ppm: 100,
    };
    let mut world = World::with_engines(6, 2, Default::default(), None);
    let alice = world.join(person(clock, ms(20)));
    world.relay(RelayId(1), alice, mid(CAMERA), 1);
    world.relay(RelayId(2), alice, mid(MICROPHONE), 1);
    let bob = world.join_at(1, viewer());
    world.run_for(seconds(120));
    let worst = worst_skew_us(&world, bob, Time::from_millis(8_000));
    assert!(worst < 5_000, "{worst} us");
}
