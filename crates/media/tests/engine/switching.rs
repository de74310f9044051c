//! One slot, many sources in turn: the stream that its receiver sees never breaks.

use crosspoint_media::config::{TrackSource, Wish};
use crosspoint_wire::codec::Codec;
use crosspoint_wire::payload::vp8::Vp8;

use crate::world::{Sent, Source, World, receive, session, slots};

const SLOT: u32 = 5000;

/// Three cameras, one slot. `wanted` says whose camera is shown.
fn show(world: &mut World, wanted: u64) {
    for track in 1..=3 {
        let wish = Wish {
            wanted: track == wanted,
            ..Wish::default()
        };
        world.wish(9, track, wish);
    }
}

fn run(seed: u64) -> Vec<(u64, Sent)> {
    let mut world = World::with_seed(seed);
    let mut cameras: Vec<_> = (1..=3)
        .map(|i| {
            let ssrc = 100 * i as u32;
            let key = world.join(
                i,
                session(vec![receive(i, TrackSource::Camera, ssrc)], vec![]),
            );
            Source::new(key, Codec::Vp8, ssrc)
        })
        .collect();
    let viewer = world.join(9, session(vec![], slots(SLOT, 0, 1)));
    let mut all = Vec::new();
    for round in 0..60 {
        let shown = round % 3 + 1;
        show(&mut world, shown);
        for frame in 0..8 {
            for camera in &mut cameras {
                // Keyframes come some frames after the switch.
                camera.send_frame(&mut world, frame == 3);
            }
            world.advance_ms(40);
        }
        let sent = world.take_streams(viewer).remove(&SLOT).unwrap_or_default();
        all.extend(sent.into_iter().map(|s| (shown, s)));
    }
    all
}

#[test]
fn sequence_numbers_go_on_over_every_change_of_source() {
    for seed in 1..20 {
        let sent = run(seed);
        // Of eight frames of each round the five from the keyframe on are seen.
        assert_eq!(sent.len(), 60 * 5 * 3);
        for pair in sent.windows(2) {
            let ((_, a), (_, b)) = (&pair[0], &pair[1]);
            assert_eq!(b.index, a.index + 1, "never reused, never left out");
            let ahead = b.header().timestamp.wrapping_sub(a.header().timestamp);
            assert!(ahead < 90_000, "{ahead}");
        }
    }
}

#[test]
fn nobody_is_seen_under_anothers_name() {
    for (shown, sent) in run(3) {
        assert_eq!(
            u64::from(*sent.payload().last().unwrap()),
            shown * 100 % 256
        );
    }
}

#[test]
fn picture_ids_go_on_by_one_per_frame() {
    let sent = run(5);
    let mut ids: Vec<_> = sent
        .iter()
        .map(|(_, s)| Vp8::parse(s.payload()).unwrap().picture_id.unwrap().value)
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 60 * 5);
    assert!(ids.windows(2).all(|w| w[1] == (w[0] + 1) & 0x7fff));
}

#[test]
fn a_keyframe_whose_first_packet_comes_late_is_shown_whole() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(2, TrackSource::Camera, 100)], vec![]),
    );
    let bob = world.join(2, session(vec![], slots(SLOT, 0, 1)));
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    let frame = camera.vp8_frame(true, 4);
    for i in [1, 0, 3, 2] {
        world.rtp(alice, &frame[i]);
    }
    let sent = &world.take_streams(bob)[&SLOT];
    let mut indices: Vec<_> = sent.iter().map(|s| s.index).collect();
    indices.sort_unstable();
    assert_eq!(indices.len(), 4);
    assert!(indices.windows(2).all(|w| w[1] == w[0] + 1));
}
