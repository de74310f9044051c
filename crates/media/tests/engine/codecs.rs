//! One slot carries different codecs in turn; what it cannot carry does not feed it.

use crosspoint_media::config::{TrackSource, Wish};
use crosspoint_wire::codec::Codec;

use crate::world::{Source, World, payload, receive, session, slots};

/// Beginning of a keyframe of each codec.
fn keyframe(codec: Codec) -> Vec<u8> {
    let mut payload = match codec {
        Codec::Vp8 => vec![
            0x90, 0x80, 0x80, 0x01, 0, 0, 0, 0x9d, 0x01, 0x2a, 0x40, 1, 0xb4, 0,
        ],
        // I, B, E set; P clear: begins and ends a frame that needs no other.
        Codec::Vp9 => vec![0x8c, 0x80, 0x01, 0x49, 0x83, 0x42],
        // STAP-A of SPS, PPS and an IDR slice.
        Codec::H264 => vec![24, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xce, 0, 2, 0x65, 0x88],
        // N set, one OBU: a sequence header.
        Codec::Av1 => vec![0x18, 0x08, 0x00, 0x00],
        _ => vec![0x55],
    };
    if matches!(codec, Codec::Vp8 | Codec::Vp9) {
        payload.resize(100, 0);
    }
    payload
}

#[test]
fn cameras_of_different_codecs_take_turns_on_one_slot() {
    let codecs = [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1];
    let mut world = World::new();
    let mut cameras = Vec::new();
    for (i, codec) in codecs.into_iter().enumerate() {
        let (id, ssrc) = (i as u64 + 1, 100 * (i as u32 + 1));
        let mut line = receive(id, TrackSource::Camera, ssrc);
        line.payloads = vec![payload(codec)];
        let key = world.join(id, session(vec![line], vec![]));
        cameras.push(Source::new(key, codec, ssrc));
    }
    let bob = world.join(9, session(vec![], slots(5000, 0, 1)));
    let mut sent = Vec::new();
    for turn in 0..8 {
        for id in 1..=4 {
            let wish = Wish {
                wanted: id == turn % 4 + 1,
                ..Wish::default()
            };
            world.wish(9, id, wish);
        }
        for camera in &mut cameras {
            let packet = camera.packet(true, &keyframe(camera.codec));
            world.rtp(camera.from, &packet);
            camera.timestamp = camera.timestamp.wrapping_add(3600);
        }
        world.advance_ms(40);
        sent.extend(world.take_streams(bob).remove(&5000).unwrap_or_default());
    }
    let types: Vec<_> = sent.iter().map(|s| s.header().payload_type).collect();
    assert_eq!(types, [96, 98, 102, 45, 96, 98, 102, 45]);
    assert!(sent.windows(2).all(|w| w[1].index == w[0].index + 1));
}

#[test]
fn a_packet_is_not_repeated_as_one_of_the_codec_that_came_after_it() {
    let mut world = World::new();
    let mut cameras = Vec::new();
    for (id, codec) in [(1, Codec::Vp8), (2, Codec::H264)] {
        let mut line = receive(id, TrackSource::Camera, 100 * id as u32);
        line.payloads = vec![payload(codec)];
        let key = world.join(id, session(vec![line], vec![]));
        cameras.push(Source::new(key, codec, 100 * id as u32));
    }
    let bob = world.join(9, session(vec![], slots(5000, 0, 1)));
    let mut show = |world: &mut World, shown: usize| {
        for id in 1..=2 {
            let wish = Wish {
                wanted: id == shown as u64 + 1,
                ..Wish::default()
            };
            world.wish(9, id, wish);
        }
        let camera = &mut cameras[shown];
        let packet = camera.packet(true, &keyframe(camera.codec));
        world.rtp(camera.from, &packet);
        world.advance_ms(40);
        let sent = world.take_streams(bob).remove(&5000).unwrap();
        sent.last().unwrap().header().sequence_number
    };
    let (vp8, h264) = (show(&mut world, 0), show(&mut world, 1));
    world.rtcp(bob, |writer| {
        writer.nack(1, 5000, [vp8, h264]).unwrap();
    });
    let repeated = &world.take_streams(bob)[&5001];
    let [repair] = &repeated[..] else {
        panic!("{repeated:?}");
    };
    assert_eq!(repair.header().payload_type, 103);
    assert_eq!(repair.payload()[..2], h264.to_be_bytes());
}

#[test]
fn a_track_that_no_slot_can_carry_is_not_assigned() {
    let mut world = World::new();
    let mut line = receive(1, TrackSource::Camera, 100);
    line.payloads = vec![payload(Codec::Av1)];
    world.join(1, session(vec![line], vec![]));
    let mut lines = slots(5000, 0, 2);
    lines[0].payloads = vec![payload(Codec::Vp8)];
    lines[1].payloads = vec![payload(Codec::Vp8), payload(Codec::Av1)];
    world.join(2, session(vec![], lines));
    assert_eq!(
        world.feeds(2).into_iter().collect::<Vec<_>>(),
        [("r1".to_string(), 1)]
    );
}

#[test]
fn payload_types_are_translated() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(1, TrackSource::Camera, 100)], vec![]),
    );
    let mut lines = slots(5000, 0, 1);
    let mut vp8 = payload(Codec::Vp8);
    (vp8.payload_type, vp8.rtx) = (120, Some(121));
    lines[0].payloads = vec![vp8];
    let bob = world.join(2, session(vec![], lines));
    Source::new(alice, Codec::Vp8, 100).send_frame(&mut world, true);
    assert_eq!(world.take_streams(bob)[&5000][0].header().payload_type, 120);
}

#[test]
fn a_publisher_may_change_its_codec() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(1, TrackSource::Camera, 100)], vec![]),
    );
    let bob = world.join(2, session(vec![], slots(5000, 0, 1)));
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    camera.send_frame(&mut world, true);
    camera.codec = Codec::H264;
    let packet = camera.packet(true, &keyframe(Codec::H264));
    world.rtp(alice, &packet);
    let sent = &world.take_streams(bob)[&5000];
    let types: Vec<_> = sent.iter().map(|s| s.header().payload_type).collect();
    assert_eq!(types, [96, 96, 96, 102]);
    assert_eq!(sent[3].index, sent[0].index + 3);
}

#[test]
fn telephone_sound_is_forwarded_as_well() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let mut world = World::new();
        let alice = world.join(
            1,
            session(vec![receive(1, TrackSource::Microphone, 100)], vec![]),
        );
        let bob = world.join(2, session(vec![], slots(5000, 1, 0)));
        let mut phone = Source::new(alice, codec, 100);
        let packet = phone.packet(false, &[0x55; 160]);
        world.rtp(alice, &packet);
        let sent = &world.take_streams(bob)[&5000];
        assert_eq!(sent[0].header().payload_type, payload(codec).payload_type);
        assert!(!sent[0].header().marker);
    }
}

#[test]
fn a_payload_type_that_was_not_negotiated_is_dropped_without_a_gap() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(1, TrackSource::Microphone, 100)], vec![]),
    );
    let bob = world.join(2, session(vec![], slots(5000, 1, 0)));
    let mut microphone = Source::new(alice, Codec::Opus, 100);
    microphone.send_sound(&mut world, 30);
    microphone.codec = Codec::Vp8;
    let foreign = microphone.packet(false, b"?");
    world.rtp(alice, &foreign);
    microphone.codec = Codec::Opus;
    microphone.send_sound(&mut world, 30);
    let sent = &world.take_streams(bob)[&5000];
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1].index, sent[0].index + 1);
    assert_eq!(world.counter("rtp_unknown_payload"), 1);
}
