//! Keyframes: asked for when somebody needs one, no more often than needed.

use crosspoint_media::command::Command;
use crosspoint_media::config::{TrackId, TrackSource};
use crosspoint_wire::codec::Codec;
use crosspoint_wire::rtcp::{Compound, FirEntry, RtcpPacket};

use crate::world::{Source, World, receive, session, slots};

const CAMERA: u32 = 1000;

#[test]
fn what_500_subscribers_ask_for_is_asked_for_once() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(2, TrackSource::Camera, CAMERA)], vec![]),
    );
    let mut camera = Source::new(alice, Codec::Vp8, CAMERA);
    let viewers: Vec<_> = (0..500)
        .map(|i| {
            world.join(
                10 + i,
                session(vec![], slots(10_000 + 100 * i as u32, 0, 1)),
            )
        })
        .collect();
    camera.send_frame(&mut world, true);
    world.advance_ms(1000);
    world.take_asked(alice);
    for (i, &viewer) in viewers.iter().enumerate() {
        let ssrc = 10_000 + 100 * i as u32;
        world.rtcp(viewer, |writer| writer.pli(1, ssrc).unwrap());
        world.advance_ms(0);
    }
    assert_eq!(world.counter("keyframe_requests_received"), 500);
    assert_eq!(world.take_asked(alice).keyframes, [CAMERA]);
    // No answer: asked again, every half second.
    world.advance_ms(1700);
    assert_eq!(world.take_asked(alice).keyframes, [CAMERA; 3]);
    camera.send_frame(&mut world, true);
    world.advance_ms(1700);
    assert!(world.take_asked(alice).keyframes.is_empty());
}

/// Ten seconds of 500 subscribers who ask ten times a second.
#[test]
fn a_publisher_is_asked_twice_a_second_whoever_asks_how_often() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(2, TrackSource::Camera, CAMERA)], vec![]),
    );
    let mut camera = Source::new(alice, Codec::Vp8, CAMERA);
    let base = |i: u32| 10_000 + 100 * i;
    let viewers: Vec<_> = (0..500_u32)
        .map(|i| world.join(10 + u64::from(i), session(vec![], slots(base(i), 0, 1))))
        .collect();
    camera.send_frame(&mut world, true);
    world.advance_ms(1000);
    world.take_asked(alice);
    let mut asked = 0;
    for n in 0..100 {
        for (i, &viewer) in (0..).zip(&viewers) {
            world.rtcp(viewer, |writer| writer.pli(1, base(i)).unwrap());
        }
        world.advance_ms(100);
        let requests = world.take_asked(alice).keyframes.len();
        asked += requests;
        // The publisher does as it is asked.
        for packet in camera.vp8_frame(requests > 0, 1) {
            world.rtp(alice, &packet);
        }
        if n % 10 == 9 {
            world.take_sent();
        }
    }
    assert!((15..=21).contains(&asked), "{asked} in ten seconds");
}

#[test]
fn full_intra_requests_count_as_well() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(2, TrackSource::Camera, CAMERA)], vec![]),
    );
    let bob = world.join(2, session(vec![], slots(5000, 0, 1)));
    Source::new(alice, Codec::Vp8, CAMERA).send_frame(&mut world, true);
    world.advance_ms(1000);
    world.take_asked(alice);
    let entry = FirEntry {
        ssrc: 5000,
        sequence_number: 1,
    };
    world.rtcp(bob, |writer| writer.fir(1, &[entry]).unwrap());
    world.advance_ms(0);
    assert_eq!(world.take_asked(alice).keyframes, [CAMERA]);
}

#[test]
fn a_publisher_without_pli_is_asked_by_fir() {
    let mut world = World::new();
    let mut track = receive(2, TrackSource::Camera, CAMERA);
    for payload in &mut track.payloads {
        (payload.pli, payload.fir) = (false, true);
    }
    let alice = world.join(1, session(vec![track], vec![]));
    Source::new(alice, Codec::Vp8, CAMERA).send_frame(&mut world, true);
    world.advance_ms(1000);
    world.take_rtcp(alice);
    world.command(Command::RequestKeyframe { track: TrackId(2) });
    world.advance_ms(0);
    let rtcp = world.take_rtcp(alice);
    let asked: Vec<_> = rtcp
        .iter()
        .flat_map(|packet| Compound::new(packet))
        .filter_map(|member| match member.unwrap() {
            RtcpPacket::Fir { entries, .. } => Some(entries.iter().next().unwrap().ssrc),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [CAMERA]);
}

#[test]
fn a_loss_beyond_repair_needs_a_keyframe() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(2, TrackSource::Camera, CAMERA)], vec![]),
    );
    let mut camera = Source::new(alice, Codec::Vp8, CAMERA);
    camera.send_frame(&mut world, true);
    world.advance_ms(1000);
    world.take_asked(alice);
    camera.seq = camera.seq.wrapping_add(3000);
    camera.send_frame(&mut world, false);
    world.advance_ms(20);
    let asked = world.take_asked(alice);
    assert_eq!((asked.keyframes, asked.repairs), (vec![CAMERA], vec![]));
}
