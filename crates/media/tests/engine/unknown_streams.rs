//! Streams that nobody declared: latched by MID and RID, or dropped without a trace.

use crosspoint_media::config::TrackSource;
use crosspoint_wire::codec::Codec;
use crosspoint_wire::rtp::RtpHeader;

use crate::world::{Source, World, receive, rtp, session, simulcast, slots};

#[test]
fn an_undeclared_ssrc_makes_no_state() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(2, TrackSource::Camera, 1000)], vec![]),
    );
    for ssrc in 0..10_000 {
        let header = RtpHeader {
            ssrc: 50_000 + ssrc,
            payload_type: 96,
            ..RtpHeader::default()
        };
        world.rtp(alice, &rtp(&header, &[], b"payload"));
    }
    assert_eq!(world.counter("rtp_unknown_ssrc"), 10_000);
    assert!(world.take_events().is_empty());
    world.advance_ms(3000);
    assert!(world.take_rtcp(alice).is_empty(), "nothing to report about");
}

#[test]
fn a_mid_that_nobody_negotiated_does_not_help() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(2, TrackSource::Camera, 1000)], vec![]),
    );
    let mut stranger = Source::new(alice, Codec::Vp8, 9999).named("nowhere", None);
    stranger.send_frame(&mut world, true);
    let mut rid = Source::new(alice, Codec::Vp8, 9998).named("s2", Some("q"));
    rid.send_frame(&mut world, true);
    assert_eq!(world.counter("rtp_unknown_ssrc"), 6);
}

#[test]
fn a_stream_is_known_by_its_mid() {
    let mut world = World::new();
    let mut track = receive(2, TrackSource::Camera, 0);
    track.ssrcs.clear();
    let alice = world.join(1, session(vec![track], vec![]));
    let bob = world.join(2, session(vec![], slots(5000, 0, 1)));
    let mut camera = Source::new(alice, Codec::Vp8, 7777).named("s2", None);
    camera.send_frame(&mut world, true);
    // Browsers leave the MID out once they know that it arrived.
    camera.names = None;
    camera.send_frame(&mut world, false);
    assert_eq!(world.take_streams(bob)[&5000].len(), 6);
}

#[test]
fn a_publisher_may_go_on_under_another_ssrc() {
    let mut world = World::new();
    let mut track = receive(2, TrackSource::Camera, 0);
    track.ssrcs.clear();
    let alice = world.join(1, session(vec![track], vec![]));
    let bob = world.join(2, session(vec![], slots(5000, 0, 1)));
    for ssrc in [7777, 8888, 9999] {
        let mut camera = Source::new(alice, Codec::Vp8, ssrc).named("s2", None);
        camera.send_frame(&mut world, true);
        camera.send_frame(&mut world, false);
        world.advance_ms(100);
    }
    let sent = &world.take_streams(bob)[&5000];
    let indices: Vec<_> = sent.iter().map(|s| s.index).collect();
    assert_eq!(indices.len(), 18);
    assert!(indices.windows(2).all(|w| w[1] == w[0] + 1), "{indices:?}");
}

#[test]
fn simulcast_streams_are_known_by_mid_and_rid_and_so_are_their_repairs() {
    let mut world = World::new();
    let alice = world.join(1, session(vec![simulcast(2, &["q", "h"])], vec![]));
    let bob = world.join(2, session(vec![], slots(5000, 0, 1)));
    let mut low = Source::new(alice, Codec::Vp8, 300).named("s2", Some("q"));
    let frame = low.vp8_frame(true, 3);
    world.rtp(alice, &frame[0]);
    world.rtp(alice, &frame[2]);
    let missing = low.seq.wrapping_sub(2);
    let header = RtpHeader {
        payload_type: 97,
        ssrc: 301,
        timestamp: low.timestamp.wrapping_sub(3600),
        ..RtpHeader::default()
    };
    let mut payload = missing.to_be_bytes().to_vec();
    payload.extend(&frame[1][frame[1].len() - 200..]);
    let extensions = [
        (crosspoint_wire::ext::ExtensionKind::Mid, &b"s2"[..]),
        (crosspoint_wire::ext::ExtensionKind::RepairedRid, &b"q"[..]),
    ];
    world.rtp(alice, &rtp(&header, &extensions, &payload));
    assert_eq!(world.take_streams(bob)[&5000].len(), 3);
    assert_eq!(world.counter("rtp_unknown_ssrc"), 0);
}

#[test]
fn a_publisher_that_counts_anew_under_one_ssrc_is_followed() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(2, TrackSource::Camera, 1000)], vec![]),
    );
    let bob = world.join(2, session(vec![], slots(5000, 0, 1)));
    let mut camera = Source::new(alice, Codec::Vp8, 1000);
    camera.seq = 20_000;
    for frame in 0..20 {
        camera.send_frame(&mut world, frame == 0);
    }
    let last = world.take_streams(bob)[&5000].last().unwrap().index;
    camera.seq = 100;
    for _ in 0..5 {
        camera.send_frame(&mut world, false);
    }
    world.take_sent();
    world.advance_ms(1000);
    assert_eq!(world.take_asked(alice).keyframes.first(), Some(&1000));
    camera.send_frame(&mut world, true);
    camera.send_frame(&mut world, false);
    let sent = &world.take_streams(bob)[&5000];
    assert_eq!(sent.len(), 6);
    assert_eq!(sent[0].index, last + 1);
}
