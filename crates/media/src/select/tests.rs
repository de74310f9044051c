use super::*;
use crate::facts::PictureFields;
use crate::layer::LayerSet;

const TICKS: u32 = 3000;

/// A frame of a stream as its encoder made it: packets of one frame are all alike here.
#[derive(Clone, Copy, Debug)]
struct Frame {
    picture: u32,
    facts: FrameFacts,
}

fn select(selector: &mut Selector, frame: &Frame) -> Selected {
    selector.select(frame.picture * TICKS, &frame.facts, true)
}

fn forwarded(selector: &mut Selector, frame: &Frame) -> bool {
    match select(selector, frame) {
        Selected::Forward { .. } => true,
        Selected::LeaveOut => false,
        Selected::NeedsKeyframe { forward, .. } => forward,
    }
}

/// VP8 with three temporal layers, 0 2 1 2, where the first of each higher layer in a group
/// depends on the base layer alone.
fn vp8(picture: u32) -> Frame {
    let temporal = [0, 2, 1, 2][picture as usize % 4];
    let layer = Layer::new(0, temporal);
    let synchronises = picture % 4 == 1 || picture % 4 == 2;
    Frame {
        picture,
        facts: FrameFacts {
            keyframe: picture == 0,
            first_of_frame: true,
            temporal,
            present: LayerSet::from(layer),
            switches: if synchronises {
                LayerSet::ALL.of_temporal(temporal)
            } else {
                LayerSet::NONE
            },
            ..FrameFacts::default()
        },
    }
}

/// Three spatial layers with a descriptor. `key_only`: a layer depends on the one below at
/// keyframes only, so that receivers of a higher one do without it (L3T1_KEY).
fn spatial(picture: u32, keyframe: bool, key_only: bool) -> [Frame; 3] {
    [0, 1, 2].map(|spatial| {
        let number = (picture * 3 + u32::from(spatial)) as u16;
        let below = spatial > 0 && (keyframe || !key_only);
        let mut depends_on = 0;
        if below {
            depends_on |= 1 << 1;
        }
        if !keyframe {
            depends_on |= 1 << 3;
        }
        let takers = LayerSet::from(Layer::new(spatial, 0));
        let present = if key_only && !keyframe && spatial < 2 {
            takers.of_spatial(spatial)
        } else {
            takers
        };
        Frame {
            picture,
            facts: FrameFacts {
                keyframe: keyframe && spatial == 0,
                first_of_frame: true,
                end_of_frame: true,
                spatial,
                present,
                switches: if keyframe { present } else { LayerSet::NONE },
                depends_on,
                picture: PictureFields {
                    frame: Some(number),
                    ..PictureFields::default()
                },
                ..FrameFacts::default()
            },
        }
    })
}

fn begin(selector: &mut Selector, goal: Layer, first: &Frame) {
    selector.aim(goal);
    selector.begin(first.picture * TICKS, &first.facts);
    assert!(forwarded(selector, first));
}

#[test]
fn fewer_pictures_a_second_come_at_once() {
    let mut selector = Selector::new();
    begin(&mut selector, Layer::TOP, &vp8(0));
    assert!((1..6).all(|n| forwarded(&mut selector, &vp8(n))));
    selector.aim(Layer::new(3, 1));
    let kept: Vec<_> = (6..14)
        .filter(|&n| forwarded(&mut selector, &vp8(n)))
        .collect();
    assert_eq!(kept, [6, 8, 10, 12]);
    selector.aim(Layer::new(3, 0));
    let kept: Vec<_> = (14..22)
        .filter(|&n| forwarded(&mut selector, &vp8(n)))
        .collect();
    assert_eq!(kept, [16, 20]);
}

#[test]
fn more_pictures_a_second_come_at_switch_points_one_layer_after_the_other() {
    let mut selector = Selector::new();
    begin(&mut selector, Layer::new(3, 0), &vp8(0));
    assert!(!(1..4).any(|n| forwarded(&mut selector, &vp8(n))));
    selector.aim(Layer::new(3, 2));
    // The layer-2 frame at 5 depends on the base alone, but those after it need layer 1.
    let kept: Vec<_> = (4..12)
        .filter(|&n| forwarded(&mut selector, &vp8(n)))
        .collect();
    assert_eq!(kept, [4, 6, 8, 9, 10, 11]);
}

#[test]
fn a_late_packet_is_treated_as_its_picture_was() {
    let mut selector = Selector::new();
    begin(&mut selector, Layer::TOP, &vp8(0));
    assert!(forwarded(&mut selector, &vp8(1)));
    selector.aim(Layer::new(3, 0));
    assert!(forwarded(&mut selector, &vp8(4)));
    let late = vp8(1);
    assert_eq!(
        selector.select(late.picture * TICKS, &late.facts, false),
        Selected::Forward {
            ends_picture: false
        }
    );
    assert!(!forwarded(&mut selector, &vp8(5)));
}

#[test]
fn a_smaller_picture_comes_at_once_where_its_frames_were_forwarded_all_along() {
    let mut selector = Selector::new();
    let [first, rest @ ..] = spatial(0, true, false);
    begin(&mut selector, Layer::TOP, &first);
    assert!(rest.iter().all(|frame| forwarded(&mut selector, frame)));
    selector.aim(Layer::new(1, 7));
    let sent = spatial(1, false, false).map(|frame| select(&mut selector, &frame));
    assert_eq!(
        sent,
        [
            Selected::Forward {
                ends_picture: false
            },
            Selected::Forward { ends_picture: true },
            Selected::LeaveOut
        ]
    );
}

#[test]
fn a_smaller_picture_waits_for_a_keyframe_where_its_frames_were_left_out() {
    let mut selector = Selector::new();
    let [first, rest @ ..] = spatial(0, true, true);
    begin(&mut selector, Layer::TOP, &first);
    assert!(rest.iter().all(|frame| forwarded(&mut selector, frame)));
    let sent = spatial(1, false, true).map(|frame| forwarded(&mut selector, &frame));
    assert_eq!(sent, [false, false, true]);
    selector.aim(Layer::new(0, 7));
    let sent = spatial(2, false, true).map(|frame| select(&mut selector, &frame));
    assert_eq!(
        sent[0],
        Selected::NeedsKeyframe {
            forward: false,
            ends_picture: false
        }
    );
    assert!(matches!(sent[2], Selected::Forward { .. }));
    let sent = spatial(3, true, true).map(|frame| forwarded(&mut selector, &frame));
    assert_eq!(sent, [true, false, false]);
    let sent = spatial(4, false, true).map(|frame| forwarded(&mut selector, &frame));
    assert_eq!(sent, [true, false, false]);
}

#[test]
fn a_larger_picture_comes_with_a_keyframe() {
    for key_only in [false, true] {
        let mut selector = Selector::new();
        let [first, rest @ ..] = spatial(0, true, key_only);
        begin(&mut selector, Layer::new(0, 7), &first);
        assert!(!rest.iter().any(|frame| forwarded(&mut selector, frame)));
        selector.aim(Layer::new(2, 7));
        let sent = spatial(1, false, key_only).map(|frame| forwarded(&mut selector, &frame));
        assert_eq!(sent, [true, false, false]);
        let sent = spatial(2, true, key_only).map(|frame| forwarded(&mut selector, &frame));
        assert_eq!(sent, [true; 3]);
        assert!(!selector.is_waiting());
    }
}

/// Where layers depend on each other at keyframes only, nothing of the smaller picture tells that
/// the larger one needs a keyframe.
#[test]
fn a_larger_picture_asks_for_its_keyframe() {
    for key_only in [false, true] {
        let mut selector = Selector::new();
        let [first, rest @ ..] = spatial(0, true, key_only);
        begin(&mut selector, Layer::new(0, 7), &first);
        assert!(!rest.iter().any(|frame| forwarded(&mut selector, frame)));
        let asks = |selector: &mut Selector, picture| {
            let sent = spatial(picture, false, key_only).map(|frame| select(selector, &frame));
            assert!(!matches!(sent[0], Selected::LeaveOut));
            let is_asking = |s: &Selected| matches!(s, Selected::NeedsKeyframe { .. });
            sent.iter().any(is_asking)
        };
        assert!(!asks(&mut selector, 1), "nothing is missing");
        selector.aim(Layer::new(1, 7));
        assert!(asks(&mut selector, 2));
        assert!(asks(&mut selector, 3));
    }
}

/// The frames below, which it does without, say nothing about its own.
#[test]
fn a_higher_layer_of_its_own_becomes_more_pictures_a_second() {
    let frames = |picture: u32| {
        spatial(picture, picture == 0, true).map(|mut frame| {
            let temporal = (picture % 2) as u8;
            let takers = LayerSet::from(Layer::new(frame.facts.spatial, temporal));
            frame.facts.temporal = temporal;
            frame.facts.depends_on = match (picture, temporal) {
                (0, _) => frame.facts.depends_on,
                (_, 0) => 1 << 6,
                _ => 1 << 3,
            };
            frame.facts.present = if picture > 0 {
                takers.of_spatial(frame.facts.spatial)
            } else {
                takers
            };
            if temporal == 0 {
                frame.facts.switches = frame.facts.present;
            }
            frame
        })
    };
    let mut selector = Selector::new();
    let [first, rest @ ..] = frames(0);
    begin(&mut selector, Layer::new(1, 0), &first);
    let sent = rest.map(|frame| forwarded(&mut selector, &frame));
    assert_eq!(sent, [true, false]);
    let sent = frames(1).map(|frame| forwarded(&mut selector, &frame));
    assert_eq!(sent, [false; 3]);
    selector.aim(Layer::new(1, 1));
    for picture in 2..6 {
        let sent = frames(picture).map(|frame| forwarded(&mut selector, &frame));
        assert_eq!(sent, [false, true, false], "{picture}");
    }
    assert!(!selector.is_waiting());
}

/// Whatever is aimed at when, and whichever packets are lost on their way to us: what is
/// forwarded depends on nothing that was left out.
mod properties {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_frame_goes_on_whose_dependencies_were_left_out(
            key_only: bool,
            steps in proptest::collection::vec((0..4u8, 0..20u8, 0..10u8), 1..200),
        ) {
            let mut selector = Selector::new();
            let mut left_out = BTreeSet::new();
            let first = &spatial(0, true, key_only)[0];
            begin(&mut selector, Layer::TOP, first);
            for (picture, (goal, key, lost)) in (0..).zip(steps) {
                selector.aim(Layer::new(goal, 7));
                let keyframe = picture == 0 || key == 0;
                if keyframe {
                    left_out.clear();
                }
                for frame in spatial(picture, keyframe, key_only) {
                    if u8::from(frame.facts.spatial > 0) * 3 == lost {
                        continue;
                    }
                    let number = frame.facts.picture.frame.unwrap();
                    if !forwarded(&mut selector, &frame) {
                        left_out.insert(number);
                        continue;
                    }
                    for back in 1..=3u16 {
                        if frame.facts.depends_on & (1 << back) != 0 {
                            prop_assert!(!left_out.contains(&number.wrapping_sub(back)));
                        }
                    }
                }
            }
        }
    }
}
