//! Repair by NACK and RTX, from subscribers to us and from us to publishers.

use crosspoint_media::config::{SessionKey, TrackSource};
use crosspoint_wire::codec::Codec;
use crosspoint_wire::rtp::RtpHeader;

use crate::world::{Sent, Source, World, receive, rtp, session, slots};

const CAMERA: u32 = 1000;
const SLOT: u32 = 5000;

/// A publisher whose keyframe the subscriber has seen.
fn call() -> (World, Source, SessionKey) {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(2, TrackSource::Camera, CAMERA)], vec![]),
    );
    let bob = world.join(2, session(Vec::new(), slots(SLOT, 0, 1)));
    let mut camera = Source::new(alice, Codec::Vp8, CAMERA);
    camera.send_frame(&mut world, true);
    (world, camera, bob)
}

fn nack(world: &mut World, from: SessionKey, lost: &[u16]) -> Vec<Sent> {
    world.take_sent();
    world.rtcp(from, |writer| {
        writer.nack(77, SLOT, lost.iter().copied()).unwrap();
    });
    world.take_sent()
}

#[test]
fn a_subscribers_nack_is_answered_on_its_rtx_stream() {
    let (mut world, _, bob) = call();
    let sent = world.take_streams(bob).remove(&SLOT).unwrap();
    world.advance_ms(30);
    let lost = sent[1].header();
    let repeated = nack(&mut world, bob, &[lost.sequence_number]);
    let [repair] = &repeated[..] else {
        panic!("{repeated:?}");
    };
    let header = repair.header();
    assert_eq!((header.ssrc, header.payload_type), (SLOT + 1, 97));
    assert_eq!(
        (header.timestamp, header.marker),
        (lost.timestamp, lost.marker)
    );
    let (original, payload) = repair.payload().split_at(2);
    assert_eq!(original, lost.sequence_number.to_be_bytes());
    assert_eq!(payload, sent[1].payload());
    assert_eq!(world.counter("rtp_retransmitted"), 1);
}

#[test]
fn repairs_are_numbered_in_their_own_stream_and_never_again() {
    let (mut world, _, bob) = call();
    let sent = world.take_streams(bob).remove(&SLOT).unwrap();
    world.advance_ms(30);
    let lost: Vec<_> = sent.iter().map(|s| s.header().sequence_number).collect();
    let mut indices: Vec<_> = nack(&mut world, bob, &lost)
        .iter()
        .map(|r| r.index)
        .collect();
    world.advance_ms(100);
    indices.extend(nack(&mut world, bob, &lost).iter().map(|r| r.index));
    assert_eq!(indices.len(), 6);
    assert!(indices.windows(2).all(|w| w[1] == w[0] + 1), "{indices:?}");
}

#[test]
fn one_packet_is_not_repeated_for_ever() {
    let (mut world, _, bob) = call();
    let sent = world.take_streams(bob).remove(&SLOT).unwrap();
    let lost = [sent[0].header().sequence_number];
    let mut repeated = 0;
    for _ in 0..100 {
        world.advance_ms(10);
        repeated += nack(&mut world, bob, &lost).len();
    }
    assert!((1..=5).contains(&repeated), "{repeated}");
    assert_eq!(world.counter("nacks_refused") + repeated as u64, 100);
}

#[test]
fn what_was_never_sent_is_not_repeated() {
    let (mut world, _, bob) = call();
    let last = world.take_sent().last().unwrap().header().sequence_number;
    let ahead: Vec<_> = (1..50).map(|n| last.wrapping_add(n)).collect();
    assert!(nack(&mut world, bob, &ahead).is_empty());
}

#[test]
fn a_nack_that_names_thousands_is_looked_at_as_far_as_media_was_sent() {
    let (mut world, _, bob) = call();
    let first = world.take_sent()[0].header().sequence_number;
    for _ in 0..20 {
        world.rtcp(bob, |writer| {
            let before = (1..1000).map(|n| first.wrapping_sub(1000 - n));
            assert_eq!(writer.nack(77, SLOT, before).unwrap(), 999);
        });
    }
    // A burst, then ten for each packet that was sent, and one refusal for each NACK.
    let looked_at = world.counter("nacks_received");
    assert!((4096..4096 + 100).contains(&looked_at), "{looked_at}");
}

#[test]
fn rtx_streams_are_not_repaired_themselves() {
    let (mut world, _, bob) = call();
    let sent = world.take_streams(bob).remove(&SLOT).unwrap();
    world.advance_ms(30);
    let number = sent[0].header().sequence_number;
    world.rtcp(bob, |writer| {
        writer.nack(77, SLOT + 1, [number]).unwrap();
    });
    assert!(world.take_sent().is_empty());
}

#[test]
fn nothing_is_repeated_where_no_rtx_was_negotiated() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(2, TrackSource::Camera, CAMERA)], vec![]),
    );
    let mut plain = slots(SLOT, 0, 1);
    plain[0].rtx_ssrc = None;
    plain[0].payloads.iter_mut().for_each(|p| p.rtx = None);
    let bob = world.join(2, session(Vec::new(), plain));
    Source::new(alice, Codec::Vp8, CAMERA).send_frame(&mut world, true);
    let sent = world.take_streams(bob).remove(&SLOT).unwrap();
    world.advance_ms(30);
    assert!(nack(&mut world, bob, &[sent[0].header().sequence_number]).is_empty());
}

#[test]
fn a_gap_is_asked_for_until_it_is_filled_and_then_forwarded() {
    let (mut world, mut camera, bob) = call();
    let alice = camera.from;
    let frame = camera.vp8_frame(false, 3);
    world.rtp(alice, &frame[0]);
    world.rtp(alice, &frame[2]);
    world.take_asked(alice);
    world.advance_ms(20);
    let missing = camera.seq.wrapping_sub(2);
    assert_eq!(world.take_asked(alice).repairs, [(CAMERA, missing)]);
    world.advance_ms(100);
    assert_eq!(world.take_asked(alice).repairs, [(CAMERA, missing)]);

    // The repair comes on the publisher's RTX stream.
    let original = &frame[1];
    let header = RtpHeader {
        payload_type: 97,
        sequence_number: 9,
        timestamp: camera.timestamp.wrapping_sub(3600),
        ssrc: CAMERA + 1,
        marker: false,
    };
    let mut payload = missing.to_be_bytes().to_vec();
    payload.extend(&original[original.len() - 200..]);
    world.take_sent();
    world.rtp(alice, &rtp(&header, &[], &payload));
    let sent = world.take_streams(bob).remove(&SLOT).unwrap();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].payload()[14..16], missing.to_be_bytes());
    world.advance_ms(500);
    assert!(world.take_asked(alice).repairs.is_empty());
    // It came as a repair and comes late as an original, too.
    world.rtp(alice, original);
    assert!(world.take_sent().is_empty());
    assert_eq!(world.counter("rtp_duplicate"), 1);
}

#[test]
fn a_gap_of_the_source_is_a_gap_of_the_slot_so_that_its_repair_fits_in() {
    let (mut world, mut camera, bob) = call();
    let before = world
        .take_streams(bob)
        .remove(&SLOT)
        .unwrap()
        .last()
        .unwrap()
        .index;
    let frame = camera.vp8_frame(false, 4);
    for i in [0, 3, 1, 2] {
        world.rtp(camera.from, &frame[i]);
    }
    let sent = world.take_streams(bob).remove(&SLOT).unwrap();
    let order: Vec<_> = sent.iter().map(|s| s.index - before).collect();
    assert_eq!(order, [1, 4, 2, 3]);
}

#[test]
fn probing_padding_is_neither_forwarded_nor_missed() {
    let (mut world, mut camera, bob) = call();
    let before = world
        .take_streams(bob)
        .remove(&SLOT)
        .unwrap()
        .last()
        .unwrap()
        .index;
    let padding = camera.packet(false, &[]);
    world.rtp(camera.from, &padding);
    let header = RtpHeader {
        payload_type: 97,
        ssrc: CAMERA + 1,
        ..RtpHeader::default()
    };
    world.rtp(camera.from, &rtp(&header, &[], &[]));
    assert!(world.take_sent().is_empty());
    camera.send_frame(&mut world, false);
    let sent = world.take_streams(bob).remove(&SLOT).unwrap();
    assert_eq!(sent[0].index, before + 1);
    world.advance_ms(200);
    assert!(world.take_asked(camera.from).repairs.is_empty());
    assert_eq!(world.counter("rtx_padding"), 1);
}
