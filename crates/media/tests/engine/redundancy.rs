//! Sound that goes along with later sound (RFC 2198), both ways.

use crosspoint_media::config::{PayloadConfig, SessionKey, TrackSource};
use crosspoint_wire::codec::{Codec, MediaKind};
use crosspoint_wire::ids::PayloadType;
use crosspoint_wire::payload::red::{Earlier, Red, headers_len, write_headers};
use crosspoint_wire::rtcp::ReportBlock;
use crosspoint_wire::rtp::RtpHeader;

use crate::world::{Sent, Source, World, payload, receive, rtp, session, slots};

const RED: PayloadType = 63;
const OPUS: PayloadType = 111;
const MICROPHONE: u32 = 100;
const LISTENER: u32 = 2000;

fn with_red() -> Vec<PayloadConfig> {
    vec![PayloadConfig {
        red: Some(RED),
        ..payload(Codec::Opus)
    }]
}

/// A speaker, and a listener who may be sent redundancy if `agreed`; neither gives transport-wide
/// feedback.
fn call(agreed: bool) -> (World, Source, SessionKey) {
    let mut world = World::new();
    let mut microphone = receive(1, TrackSource::Microphone, MICROPHONE);
    microphone.payloads = with_red();
    let speaker = world.join(1, session(vec![microphone], vec![]));
    let mut slots = slots(LISTENER, 1, 0);
    assert_eq!(slots[0].kind, MediaKind::Audio);
    if agreed {
        slots[0].payloads = with_red();
    }
    let listener = world.join(2, session(vec![], slots));
    let source = Source::new(speaker, Codec::Opus, MICROPHONE);
    (world, source, listener)
}

fn talk(world: &mut World, source: &mut Source, packets: usize) {
    for _ in 0..packets {
        source.send_sound(world, 30);
        world.advance_ms(20);
    }
}

/// The listener reports so many 256ths of the speaker's packets lost, often enough to be believed.
fn report_loss(world: &mut World, listener: SessionKey, fraction_lost: u8) {
    let block = ReportBlock {
        ssrc: LISTENER,
        fraction_lost,
        ..ReportBlock::default()
    };
    for _ in 0..4 {
        world.rtcp(listener, |w| w.receiver_report(1, &[block]).unwrap());
        world.advance_ms(1000);
    }
}

fn types(sent: &[Sent]) -> Vec<PayloadType> {
    sent.iter().map(|s| s.header().payload_type).collect()
}

#[test]
fn who_loses_packets_is_sent_each_with_those_before_it() {
    let (mut world, mut source, listener) = call(true);
    talk(&mut world, &mut source, 5);
    assert_eq!(types(&world.take_sent()), [OPUS; 5], "nothing is lost yet");
    report_loss(&mut world, listener, 20);
    talk(&mut world, &mut source, 5);
    let sent = world.take_sent();
    // What was said seconds ago does not go along.
    assert_eq!(types(&sent), [OPUS, RED, RED, RED, RED]);
    let red = Red::parse(sent[3].payload()).unwrap();
    let before: Vec<_> = sent[1..3]
        .iter()
        .map(|s| Red::parse(s.payload()).unwrap().payload)
        .collect();
    let along: Vec<_> = red.earlier().collect();
    let block = |offset, payload| Earlier {
        payload_type: OPUS,
        offset,
        payload,
    };
    assert_eq!(along, [block(1920, before[0]), block(960, before[1])]);
    assert_eq!(red.payload_type, OPUS);
    assert_eq!(world.counter("red_sent"), 4);
}

#[test]
fn who_did_not_agree_is_sent_plain_sound() {
    let (mut world, mut source, listener) = call(false);
    talk(&mut world, &mut source, 5);
    report_loss(&mut world, listener, 128);
    talk(&mut world, &mut source, 5);
    assert_eq!(types(&world.take_sent()), [OPUS; 10]);
}

#[test]
fn what_another_said_before_does_not_go_along() {
    let (mut world, mut source, listener) = call(true);
    talk(&mut world, &mut source, 5);
    report_loss(&mut world, listener, 20);
    world.mute(1, true);
    talk(&mut world, &mut source, 5);
    world.take_sent();
    world.mute(1, false);
    talk(&mut world, &mut source, 2);
    assert_eq!(types(&world.take_sent()), [OPUS, RED]);
}

/// A packet of a publisher that sends redundancy: its own sound with `earlier`.
fn red_packet(source: &Source, back: u16, earlier: &[&[u8]], own: &[u8]) -> Vec<u8> {
    let header = RtpHeader {
        marker: false,
        payload_type: RED,
        sequence_number: source.seq.wrapping_sub(back),
        timestamp: source.timestamp,
        ssrc: MICROPHONE,
    };
    let blocks: Vec<_> = (1..=earlier.len() as u32)
        .rev()
        .zip(earlier)
        .map(|(distance, &payload)| Earlier {
            payload_type: OPUS,
            offset: 960 * distance,
            payload,
        })
        .collect();
    let mut body = vec![0; headers_len(blocks.len())];
    write_headers(&mut body, blocks.iter().copied(), OPUS).unwrap();
    blocks.iter().for_each(|block| body.extend(block.payload));
    body.extend(own);
    rtp(&header, &[], &body)
}

#[test]
fn sound_that_was_lost_on_the_way_in_is_taken_from_the_packet_after_it() {
    let (mut world, mut source, _) = call(false);
    talk(&mut world, &mut source, 3);
    let before = world.take_sent();
    // Number 3 is lost; number 4 brings 2 and 3 along.
    source.timestamp = source.timestamp.wrapping_add(960);
    source.seq = source.seq.wrapping_add(1);
    let packet = red_packet(&source, 0, &[b"two", b"three"], b"four");
    world.rtp(source.from, &packet);
    let sent = world.take_sent();
    let contents: Vec<_> = sent.iter().map(Sent::payload).collect();
    assert_eq!(contents, [b"three".as_slice(), b"four"]);
    let last = before[2].header();
    for (distance, sent) in (1..).zip(&sent) {
        let header = sent.header();
        assert_eq!(header.payload_type, OPUS);
        assert_eq!(header.sequence_number, last.sequence_number + distance);
        let timestamp = last.timestamp.wrapping_add(960 * u32::from(distance));
        assert_eq!(header.timestamp, timestamp);
    }
    assert_eq!(world.counter("red_restored"), 1);
}

#[test]
fn who_repeats_no_sound_is_not_asked_for_what_came_between_two_losses() {
    let (mut world, mut source, _) = call(false);
    for _ in 0..5 {
        talk(&mut world, &mut source, 10);
        source.timestamp = source.timestamp.wrapping_add(960);
        source.seq = source.seq.wrapping_add(1);
        let packet = red_packet(&source, 0, &[b"lost"], b"here");
        world.rtp(source.from, &packet);
        source.timestamp = source.timestamp.wrapping_add(960);
        source.seq = source.seq.wrapping_add(1);
    }
    world.advance_ms(2000);
    assert_eq!(world.counter("red_restored"), 5);
    assert_eq!(world.counter("nacks_sent"), 0);
    assert_eq!(world.take_asked(source.from).repairs, []);
}

#[test]
fn redundancy_that_is_not_understood_is_counted_and_dropped() {
    let (mut world, mut source, _) = call(false);
    talk(&mut world, &mut source, 1);
    world.take_sent();
    let whole = red_packet(&source, 0, &[b"one"], b"two");
    for len in 12..whole.len() - b"two".len() {
        world.rtp(source.from, &whole[..len]);
    }
    assert!(world.take_sent().is_empty());
    assert!(world.counter("rtp_malformed") > 0);
    // A block of another format than the one agreed on.
    let mut foreign = whole;
    foreign[12 + 4] = 96;
    world.rtp(source.from, &foreign);
    assert!(world.take_sent().is_empty());
    assert_eq!(world.counter("rtp_unknown_payload"), 1);
}

#[test]
fn sound_at_a_high_rate_takes_along_what_fits_or_nothing() {
    for (len, sent_as) in [(300, RED), (1000, OPUS)] {
        let (mut world, mut source, listener) = call(true);
        talk(&mut world, &mut source, 1);
        report_loss(&mut world, listener, 80);
        world.take_sent();
        for _ in 0..5 {
            let packet = source.packet(false, &vec![7; len]);
            source.timestamp = source.timestamp.wrapping_add(960);
            world.rtp(source.from, &packet);
            world.advance_ms(20);
        }
        let sent = world.take_sent();
        assert_eq!(sent.len(), 5, "nothing is dropped for its length");
        assert_eq!(sent[4].header().payload_type, sent_as);
        assert!(sent.iter().all(|sent| sent.payload().len() <= 1200));
    }
}

#[test]
fn sound_that_is_here_is_not_taken_for_what_was_left_out() {
    let (mut world, mut source, _) = call(false);
    talk(&mut world, &mut source, 2);
    let known = world.take_sent().len();
    // Number 2 is lost. Number 3 brings only number 1 along, which stands where 2 would.
    let own = source.timestamp.wrapping_add(960);
    let header = RtpHeader {
        marker: false,
        payload_type: RED,
        sequence_number: source.seq.wrapping_add(1),
        timestamp: own,
        ssrc: MICROPHONE,
    };
    let block = Earlier {
        payload_type: OPUS,
        offset: 1920,
        payload: b"one",
    };
    let mut body = vec![0; headers_len(1)];
    write_headers(&mut body, [block], OPUS).unwrap();
    body.extend(b"onethree");
    world.rtp(source.from, &rtp(&header, &[], &body));
    let sent = world.take_sent();
    assert_eq!((known, sent.len()), (2, 1));
    assert_eq!(sent[0].payload(), b"three");
    assert_eq!(world.counter("red_restored"), 0);
}
