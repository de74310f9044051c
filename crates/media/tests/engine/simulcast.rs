//! Simulcast: the best encoding that lives and is wished for, changed at keyframes.

use crosspoint_media::config::{LayerLimit, SessionKey, Wish};
use crosspoint_wire::codec::Codec;

use crate::world::{Sent, Source, World, session, simulcast, slots};

const SLOT: u32 = 5000;

struct Call {
    world: World,
    alice: SessionKey,
    bob: SessionKey,
    /// Low, middle, high.
    cameras: [Source; 3],
}

impl Call {
    fn new() -> Self {
        let mut world = World::new();
        let alice = world.join(1, session(vec![simulcast(2, &["f", "h", "q"])], vec![]));
        let bob = world.join(2, session(vec![], slots(SLOT, 0, 1)));
        let camera = |ssrc, rid| Source::new(alice, Codec::Vp8, ssrc).named("s2", Some(rid));
        Self {
            world,
            alice,
            bob,
            cameras: [camera(100, "q"), camera(200, "h"), camera(300, "f")],
        }
    }

    /// One frame of each of `layers`; keyframes of `keyframes`. Returns what bob got.
    fn frame(&mut self, layers: &[usize], keyframes: &[usize]) -> Vec<Sent> {
        for &layer in layers {
            self.cameras[layer].send_frame(&mut self.world, keyframes.contains(&layer));
        }
        self.world.advance_ms(40);
        self.world
            .take_streams(self.bob)
            .remove(&SLOT)
            .unwrap_or_default()
    }

    /// How many of these packets bob is sent again when he misses them.
    fn repeated(&mut self, lost: &[Sent]) -> usize {
        let numbers = lost.iter().map(|s| s.header().sequence_number);
        self.world.rtcp(self.bob, |writer| {
            writer.nack(77, SLOT, numbers).unwrap();
        });
        self.world.take_sent().len()
    }

    /// Which encodings fed a run of packets, by the byte that they are filled with.
    fn layers(sent: &[Sent]) -> Vec<usize> {
        let fill = |s: &Sent| usize::from(*s.payload().last().unwrap());
        let mut layers: Vec<_> = sent.iter().map(|s| fill(s) % 256).collect();
        layers.dedup();
        let layer = |byte| {
            [100_usize, 200, 300 % 256]
                .iter()
                .position(|&s| s == byte)
                .unwrap()
        };
        layers.into_iter().map(layer).collect()
    }
}

fn assert_continuous(sent: &[Sent]) {
    for pair in sent.windows(2) {
        assert_eq!(pair[1].index, pair[0].index + 1);
        let step = pair[1]
            .header()
            .timestamp
            .wrapping_sub(pair[0].header().timestamp);
        assert!(step < 90_000, "timestamps go on: {step}");
    }
}

#[test]
fn the_highest_encoding_is_forwarded_once_it_has_a_keyframe() {
    let mut call = Call::new();
    let mut sent = call.frame(&[0, 1, 2], &[0, 1, 2]);
    sent.extend(call.frame(&[0, 1, 2], &[]));
    assert_eq!(Call::layers(&sent).last(), Some(&2));
    assert_continuous(&sent);
}

#[test]
fn the_lower_one_flows_on_until_the_higher_one_has_a_keyframe() {
    let mut call = Call::new();
    let mut sent = call.frame(&[0], &[0]);
    // The middle encoding begins without a keyframe that we saw.
    sent.extend(call.frame(&[0, 1], &[]));
    assert_eq!(call.world.take_asked(call.alice).keyframes, [200]);
    sent.extend(call.frame(&[0, 1], &[]));
    assert_eq!(Call::layers(&sent), [0]);
    sent.extend(call.frame(&[0, 1], &[1]));
    sent.extend(call.frame(&[0, 1], &[]));
    assert_eq!(Call::layers(&sent), [0, 1]);
    assert_continuous(&sent);
}

#[test]
fn an_encoding_that_stops_is_left_for_a_lower_one_and_taken_again() {
    let mut call = Call::new();
    call.frame(&[0, 1, 2], &[0, 1, 2]);
    for _ in 0..50 {
        call.frame(&[0, 1], &[]);
    }
    assert!(call.world.take_asked(call.alice).keyframes.contains(&200));
    let sent = call.frame(&[0, 1], &[1]);
    assert_eq!(Call::layers(&sent), [1]);
    let sent = call.frame(&[0, 1, 2], &[2]);
    assert_eq!(Call::layers(&sent), [1, 2]);
}

#[test]
fn what_a_smaller_encoding_superseded_is_not_repeated() {
    let mut call = Call::new();
    let large = call.frame(&[0, 1, 2], &[0, 1, 2]);
    let small = Wish {
        wanted: true,
        largest: LayerLimit::Small,
    };
    call.world.wish(2, 2, small);
    let falling = call.frame(&[0, 1, 2], &[0]);
    assert_eq!(Call::layers(&falling), [0]);
    assert_eq!(call.repeated(&large), 0, "nobody needs them");
    assert_eq!(call.repeated(&falling), falling.len());
}

#[test]
fn an_encoding_that_stops_is_not_asked_for_keyframes() {
    let mut call = Call::new();
    call.frame(&[0, 1, 2], &[0, 1]);
    // Asked for the highest one, which stops before it answers.
    for _ in 0..50 {
        call.frame(&[0, 1], &[]);
    }
    assert!(call.world.take_asked(call.alice).keyframes.contains(&300));
    for _ in 0..50 {
        call.frame(&[0, 1], &[]);
    }
    assert!(!call.world.take_asked(call.alice).keyframes.contains(&300));
    call.frame(&[0, 1, 2], &[]);
    assert!(call.world.take_asked(call.alice).keyframes.contains(&300));
}

#[test]
fn a_camera_that_pauses_as_a_whole_is_not_left() {
    let mut call = Call::new();
    call.frame(&[0, 1, 2], &[0, 1, 2]);
    call.world.advance_ms(10_000);
    let sent = call.frame(&[0, 1, 2], &[]);
    assert_eq!(Call::layers(&sent), [2]);
}

#[test]
fn a_wish_limits_the_quality() {
    let mut call = Call::new();
    call.frame(&[0, 1, 2], &[0, 1, 2]);
    let limit = |largest| Wish {
        wanted: true,
        largest,
    };
    for (largest, layer) in [
        (LayerLimit::Small, 0),
        (LayerLimit::Best, 2),
        (LayerLimit::Spatial(1), 1),
        (LayerLimit::Spatial(7), 2),
    ] {
        call.world.wish(2, 2, limit(largest));
        let sent = call.frame(&[0, 1, 2], &[0, 1, 2]);
        assert_eq!(Call::layers(&sent).last(), Some(&layer), "{largest:?}");
    }
}

#[test]
fn who_wants_nothing_gets_nothing_until_wanted_again() {
    let mut call = Call::new();
    call.frame(&[0], &[0]);
    let wish = |wanted| Wish {
        wanted,
        ..Wish::default()
    };
    call.world.wish(2, 2, wish(false));
    assert!(call.frame(&[0], &[0]).is_empty());
    assert!(call.world.feeds(2).is_empty());
    call.world.wish(2, 2, wish(true));
    assert_eq!(call.frame(&[0], &[0]).len(), 3);
}
