//! Reports of sessions, and keyframes taken out of the cache.

use crosspoint_media::config::{SessionId, TrackId, TrackSource};
use crosspoint_media::inspect::SessionReport;
use crosspoint_wire::codec::Codec;
use crosspoint_wire::rtcp::ReportBlock;

use crate::world::{Source, World, receive, session, slots};

fn report(world: &World, id: u64) -> SessionReport {
    world.engine.session_report(SessionId(id)).unwrap()
}

/// Alice (1) sends a camera, Bob (2) watches it.
fn call() -> (World, Source) {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(1, TrackSource::Camera, 100)], vec![]),
    );
    world.join(2, session(vec![], slots(1000, 1, 1)));
    let camera = Source::new(alice, Codec::Vp8, 100);
    (world, camera)
}

#[test]
fn a_report_counts_what_came_and_what_left() {
    let (mut world, mut camera) = call();
    let mut bytes = 0;
    for frame in 0..50 {
        for packet in camera.vp8_frame(frame == 0, 3) {
            bytes += packet.len() as u64;
            world.rtp(camera.from, &packet);
        }
        world.advance_ms(40);
    }
    let published = &report(&world, 1).tracks[0];
    let encoding = &published.encodings[0];
    assert_eq!(published.track, TrackId(1));
    assert!(encoding.active);
    assert_eq!((encoding.expected, encoding.packets), (150, 150));
    assert_eq!((encoding.frames, encoding.keyframes), (50, 1));
    assert_eq!((encoding.freezes, encoding.repairs), (0, 0));
    // Payloads, that is without headers of at least twelve bytes.
    assert!(encoding.bytes > 0 && encoding.bytes <= bytes - 150 * 12);

    let received = report(&world, 2);
    let slot = received
        .slots
        .iter()
        .find(|slot| slot.track == Some(TrackId(1)))
        .unwrap();
    assert_eq!((slot.packets, slot.frames), (150, 50));
    assert_eq!(slot.bytes, encoding.bytes);
    assert_eq!(slot.encoding, Some(0));
    assert_eq!(slot.codec, Some(Codec::Vp8));
    assert_eq!(slot.remote, None);
    assert_eq!(world.engine.session_report(SessionId(3)), None);
}

#[test]
fn a_report_says_what_the_subscriber_reported_and_asked() {
    let (mut world, mut camera) = call();
    for frame in 0..10 {
        camera.send_frame(&mut world, frame == 0);
        world.advance_ms(40);
    }
    let bob = world.engine.session_key(SessionId(2)).unwrap();
    let (mid, ssrc) = {
        let sent = world.take_streams(bob);
        let (&ssrc, _) = sent.iter().next().unwrap();
        let slot = report(&world, 2).slots.into_iter();
        let mid = slot.filter(|s| s.track.is_some()).map(|s| s.mid).next();
        (mid.unwrap(), ssrc)
    };
    world.rtcp(bob, |writer| {
        let block = ReportBlock {
            ssrc,
            fraction_lost: 64,
            cumulative_lost: 9,
            jitter: 900,
            ..ReportBlock::default()
        };
        writer.receiver_report(7, &[block]).unwrap();
        writer.pli(7, ssrc).unwrap();
    });
    world.advance_ms(10);
    let slot = report(&world, 2)
        .slots
        .into_iter()
        .find(|slot| slot.mid == mid)
        .unwrap();
    let remote = slot.remote.unwrap();
    assert_eq!((remote.fraction_lost, remote.lost), (64, 9));
    assert_eq!(remote.jitter.as_millis(), 10);
    assert_eq!((slot.plis, slot.firs, slot.nacks), (1, 0, 0));
    let asked = &report(&world, 1).tracks[0].encodings[0];
    assert!(asked.plis >= 1, "the wish reached the publisher");
}

#[test]
fn the_newest_whole_keyframe_is_found() {
    let (mut world, mut camera) = call();
    let ask = |world: &World| world.engine.keyframe(world.now, TrackId(1));
    assert_eq!(ask(&world), None);
    let first = camera.vp8_frame(true, 3);
    for packet in &first[..2] {
        world.rtp(camera.from, packet);
    }
    assert_eq!(ask(&world), None, "its end is missing");
    world.rtp(camera.from, &first[2]);
    world.advance_ms(40);
    let keyframe = ask(&world).unwrap();
    assert_eq!(keyframe.codec, Codec::Vp8);
    assert_eq!(keyframe.packets.len(), 3);
    assert_eq!(keyframe.age.as_millis(), 40);

    // The next one is on its way: until it is whole the one before it serves.
    let second = camera.vp8_frame(true, 2);
    world.rtp(camera.from, &second[0]);
    assert_eq!(ask(&world).unwrap().packets.len(), 3);
    world.rtp(camera.from, &second[1]);
    assert_eq!(ask(&world).unwrap().packets.len(), 2);
    world.advance_ms(2000);
    assert_eq!(ask(&world), None, "the cache has forgotten it");
    assert_eq!(world.engine.keyframe(world.now, TrackId(9)), None);
}
