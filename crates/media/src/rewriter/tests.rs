//! Examples, then the promises of the module documentation as properties.

use std::collections::HashMap;

use crosspoint_wire::payload::{PictureId, Tl0PicIdx};
use proptest::prelude::*;

use super::*;

fn source<'a>(ext_seq: u64, timestamp: u32, facts: &'a FrameFacts) -> SourcePacket<'a> {
    SourcePacket {
        ext_seq,
        timestamp,
        facts,
    }
}

fn plain() -> FrameFacts {
    FrameFacts::default()
}

fn vp8(id: u16, tl0: u8) -> FrameFacts {
    FrameFacts {
        picture: PictureFields {
            id: Some(PictureId {
                value: id,
                at: 2,
                wide: true,
            }),
            tl0: Some(Tl0PicIdx { value: tl0, at: 4 }),
            named_by_distance: false,
            frame: None,
        },
        ..FrameFacts::default()
    }
}

const VIDEO_HZ: u32 = 90_000;

#[test]
fn nothing_leaves_without_a_source() {
    let facts = plain();
    let mut rewriter = Rewriter::new(5, 0);
    assert_eq!(rewriter.rewrite(Time::ZERO, source(1, 0, &facts)), None);
    rewriter.switch(Time::ZERO, VIDEO_HZ, source(1, 0, &facts));
    assert!(rewriter.timestamp_offset().is_none());
    assert!(rewriter.rewrite(Time::ZERO, source(1, 0, &facts)).is_some());
    assert!(rewriter.timestamp_offset().is_some());
    rewriter.stop();
    assert_eq!(rewriter.rewrite(Time::ZERO, source(2, 0, &facts)), None);
    assert!(rewriter.timestamp_offset().is_none());
}

#[test]
fn gaps_of_the_source_show_and_late_packets_fill_them() {
    let facts = plain();
    let mut rewriter = Rewriter::new(100, 7);
    rewriter.switch(Time::ZERO, VIDEO_HZ, source(40, 1000, &facts));
    let mut seq = |n| {
        rewriter
            .rewrite(Time::ZERO, source(n, 1000, &facts))
            .map(|r| r.ext_seq)
    };
    assert_eq!(seq(40), Some(100));
    assert_eq!(seq(43), Some(103));
    assert_eq!(seq(41), Some(101));
    assert_eq!(seq(41), None, "a second copy has no number");
    assert_eq!(seq(39), None, "from before the switch");
}

#[test]
fn what_is_left_out_leaves_no_gap() {
    let facts = plain();
    let mut rewriter = Rewriter::new(0, 0);
    rewriter.switch(Time::ZERO, VIDEO_HZ, source(10, 0, &facts));
    let mut sent = Vec::new();
    for n in [10, 12, 14, 13, 11, 16] {
        if n == 12 || n == 14 {
            rewriter.skip(Time::ZERO, source(n, 0, &facts));
        } else {
            let r = rewriter.rewrite(Time::ZERO, source(n, 0, &facts)).unwrap();
            sent.push((n, r.ext_seq));
        }
    }
    // 15 is missing in the source and keeps its number free.
    assert_eq!(sent, [(10, 0), (13, 2), (11, 1), (16, 4)]);
}

#[test]
fn a_late_packet_behind_a_skipped_one_is_not_numbered_again_at_a_switch() {
    let facts = plain();
    let mut rewriter = Rewriter::new(0, 0);
    rewriter.switch(Time::ZERO, VIDEO_HZ, source(10, 0, &facts));
    rewriter.rewrite(Time::ZERO, source(10, 0, &facts)).unwrap();
    rewriter.skip(Time::ZERO, source(12, 0, &facts));
    let late = rewriter.rewrite(Time::ZERO, source(11, 0, &facts)).unwrap();
    rewriter.switch(Time::ZERO, VIDEO_HZ, source(500, 0, &facts));
    let first = rewriter
        .rewrite(Time::ZERO, source(500, 0, &facts))
        .unwrap();
    assert_eq!((late.ext_seq, first.ext_seq), (1, 2));
}

#[test]
fn time_passes_over_a_switch_and_never_runs_backwards() {
    let facts = plain();
    let mut rewriter = Rewriter::new(0, 500);
    let at = Time::from_millis;
    rewriter.switch(at(0), VIDEO_HZ, source(1, 77_777, &facts));
    let a = rewriter.rewrite(at(0), source(1, 77_777, &facts)).unwrap();
    assert_eq!(a.timestamp, 500);
    rewriter.switch(at(100), VIDEO_HZ, source(9, 3, &facts));
    let b = rewriter.rewrite(at(100), source(9, 3, &facts)).unwrap();
    assert_eq!(b.timestamp, 500 + 9_000);
    rewriter.switch(at(100), VIDEO_HZ, source(60_000, u32::MAX, &facts));
    let c = rewriter
        .rewrite(at(100), source(60_000, u32::MAX, &facts))
        .unwrap();
    assert_eq!(c.timestamp, b.timestamp + 1);
    let a_day = Time::from_millis(24 * 3_600_000);
    rewriter.switch(a_day, VIDEO_HZ, source(0, 12, &facts));
    let d = rewriter.rewrite(a_day, source(0, 12, &facts)).unwrap();
    assert!(d.timestamp.wrapping_sub(c.timestamp) < 1 << 31);
}

#[test]
fn a_source_that_restarts_its_clock_is_followed() {
    let facts = plain();
    let mut rewriter = Rewriter::new(0, 500);
    let at = Time::from_millis;
    rewriter.switch(at(0), VIDEO_HZ, source(1, 1000, &facts));
    rewriter.rewrite(at(0), source(1, 1000, &facts)).unwrap();
    let restarted = 1000_u32.wrapping_sub(1 << 30);
    let b = rewriter
        .rewrite(at(40), source(2, restarted, &facts))
        .unwrap();
    assert_eq!(b.timestamp, 500 + 3600);
    assert_eq!(
        rewriter.timestamp_offset(),
        Some(4100_u32.wrapping_sub(restarted))
    );
    let reordered = rewriter
        .rewrite(at(80), source(3, restarted.wrapping_sub(3000), &facts))
        .unwrap();
    assert_eq!(reordered.timestamp, 4100 - 3000, "a B-frame is no restart");
}

#[test]
fn picture_numbers_go_on_over_a_switch_and_wrap() {
    let mut rewriter = Rewriter::new(0, 0);
    let numbers = |rewriter: &mut Rewriter, seq, id, tl0| {
        let facts = vp8(id, tl0);
        let r = rewriter
            .rewrite(Time::ZERO, source(seq, 0, &facts))
            .unwrap();
        (r.picture.id, r.picture.tl0)
    };
    rewriter.switch(Time::ZERO, VIDEO_HZ, source(1, 0, &plain()));
    assert_eq!(numbers(&mut rewriter, 1, 0x7ffe, 254), (1, 1));
    assert_eq!(numbers(&mut rewriter, 2, 0x7fff, 255), (2, 2));
    assert_eq!(numbers(&mut rewriter, 4, 0, 0), (3, 3));
    assert_eq!(numbers(&mut rewriter, 3, 0x7fff, 255), (2, 2), "late");
    rewriter.switch(Time::ZERO, VIDEO_HZ, source(70, 0, &plain()));
    assert_eq!(numbers(&mut rewriter, 70, 9000, 17), (4, 4));
    assert_eq!(
        numbers(&mut rewriter, 71, 9000, 17),
        (4, 4),
        "second packet"
    );
    assert_eq!(numbers(&mut rewriter, 72, 9001, 18), (5, 5));
}

#[test]
fn a_picture_left_out_leaves_no_gap_in_picture_ids() {
    let mut rewriter = Rewriter::new(0, 0);
    let id_of = |r: Option<Rewritten>| r.unwrap().picture.id;
    let [a, b, c] = [vp8(10, 1), vp8(11, 1), vp8(12, 2)];
    rewriter.switch(Time::ZERO, VIDEO_HZ, source(1, 0, &a));
    assert_eq!(id_of(rewriter.rewrite(Time::ZERO, source(1, 0, &a))), 1);
    rewriter.skip(Time::ZERO, source(3, 0, &b));
    rewriter.skip(Time::ZERO, source(4, 0, &b));
    assert_eq!(id_of(rewriter.rewrite(Time::ZERO, source(5, 0, &c))), 2);
    assert_eq!(id_of(rewriter.rewrite(Time::ZERO, source(2, 0, &a))), 1);
}

#[test]
fn ids_that_pictures_are_named_by_keep_their_distance() {
    let mut rewriter = Rewriter::new(0, 0);
    let vp9 = |id| {
        let mut facts = vp8(id, 0);
        facts.picture.named_by_distance = true;
        facts
    };
    let [a, b, c] = [vp9(10), vp9(11), vp9(12)];
    rewriter.switch(Time::ZERO, VIDEO_HZ, source(1, 0, &a));
    let first = rewriter.rewrite(Time::ZERO, source(1, 0, &a)).unwrap();
    rewriter.skip(Time::ZERO, source(2, 0, &b));
    let third = rewriter.rewrite(Time::ZERO, source(3, 0, &c)).unwrap();
    assert_eq!(third.picture.id - first.picture.id, 2);
    assert_eq!(third.ext_seq - first.ext_seq, 1);
}

/// One thing that happens to a slot.
#[derive(Clone, Debug)]
enum Step {
    /// The next packet of the source comes after `gap` others that stay out for now.
    Ahead { gap: u64, frame_ends: bool },
    /// One of the packets that stayed out or came already, `back` behind the newest.
    Late { back: u64 },
    /// The next packet comes and is left out.
    LeftOut,
    /// Another source, whose numbers have nothing to do with these.
    Switch {
        seq: u64,
        timestamp: u32,
        wait_ms: u64,
    },
}

fn counter_edge() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![
        0,
        1,
        (1 << 15) - 1,
        1 << 15,
        (1 << 16) - 2,
        (1 << 32) - 2,
    ])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => (prop_oneof![8 => Just(0), 3 => 1_u64..20, 1 => 900_u64..70_000], any::<bool>())
            .prop_map(|(gap, frame_ends)| Step::Ahead { gap, frame_ends }),
        6 => (0_u64..1100).prop_map(|back| Step::Late { back }),
        4 => Just(Step::LeftOut),
        1 => (counter_edge(), any::<u32>(), prop_oneof![Just(0), Just(33), Just(90_000_000)])
            .prop_map(|(seq, timestamp, wait_ms)| Step::Switch { seq, timestamp, wait_ms }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn the_receiver_can_always_follow(
        first_seq in prop::sample::select(vec![0_u16, 1, 0x7fff, 0x8000, 0xfffe]),
        first_timestamp in prop::sample::select(vec![0_u32, 1, 0x7fff_ffff, 0xffff_fffe]),
        start in counter_edge(),
        steps in prop::collection::vec(step(), 1..500),
    ) {
        let mut rewriter = Rewriter::new(first_seq, first_timestamp);
        let mut now = Time::ZERO;
        let mut timestamp = 0_u32;
        let (mut source_no, mut newest) = (0, start);
        let mut pending_switch = true;
        // Which source packet each outgoing number was given to, and the reverse.
        let mut given: HashMap<u64, (u32, u64)> = HashMap::new();
        let mut sent: HashMap<(u32, u64), u64> = HashMap::new();
        let mut highest: Option<(u64, u32, u16)> = None;

        for step in steps {
            now += Duration::from_millis(3);
            let (seq, left_out) = match step {
                Step::Ahead { gap, frame_ends } => {
                    if frame_ends { timestamp = timestamp.wrapping_add(3000) }
                    if !pending_switch { newest += 1 + gap }
                    (newest, false)
                }
                Step::LeftOut => {
                    if !pending_switch { newest += 1 }
                    (newest, !pending_switch)
                }
                Step::Late { back } if !pending_switch && back <= newest => (newest - back, false),
                Step::Late { .. } => continue,
                Step::Switch { seq, timestamp: t, wait_ms } => {
                    source_no += 1;
                    (newest, timestamp) = (seq, t);
                    now += Duration::from_millis(wait_ms);
                    pending_switch = true;
                    continue;
                }
            };
            let facts = vp8((seq & 0x7fff) as u16, (seq & 0xff) as u8);
            let packet = source(seq, timestamp, &facts);
            if pending_switch {
                rewriter.switch(now, VIDEO_HZ, packet);
                pending_switch = false;
            }
            if left_out {
                rewriter.skip(now, packet);
                sent.insert((source_no, seq), u64::MAX);
                continue;
            }
            let Some(out) = rewriter.rewrite(now, packet) else { continue };
            prop_assert!(sent.insert((source_no, seq), out.ext_seq).is_none(), "numbered twice");
            prop_assert!(given.insert(out.ext_seq, (source_no, seq)).is_none(), "number reused");
            prop_assert!(out.ext_seq < 1 << 48);
            match highest {
                None => {
                    prop_assert_eq!(out.ext_seq, u64::from(first_seq));
                    prop_assert_eq!(out.timestamp, first_timestamp);
                }
                Some((high, last_ts, last_id)) if out.ext_seq > high => {
                    prop_assert!(out.ext_seq - high <= GAP_MAX, "gap too large to follow");
                    prop_assert!(out.timestamp.wrapping_sub(last_ts) < 1 << 31, "time ran backwards");
                    if given[&high].0 != source_no {
                        prop_assert_eq!(out.picture.id, (last_id + 1) & 0x7fff);
                    }
                }
                Some(_) => {}
            }
            if highest.is_none_or(|(high, ..)| out.ext_seq > high) {
                highest = Some((out.ext_seq, out.timestamp, out.picture.id));
            }
        }
        // Order is kept within each source.
        let mut by_source: Vec<_> = sent.iter().filter(|(_, out)| **out != u64::MAX).collect();
        by_source.sort_unstable();
        prop_assert!(by_source.windows(2).all(|w| w[0].0.0 != w[1].0.0 || w[0].1 < w[1].1));
    }
}
