//! Asking and granting in virtual time.

use proptest::prelude::*;

use super::gate::Refusal;
use super::*;
use crate::config::RetransmitShare;
use crate::facts::PicturePatch;
use crate::sent_log::SentPacket;

const RTT: Option<Duration> = Some(Duration::from_millis(40));

fn at(ms: u64) -> Time {
    Time::from_millis(ms)
}

fn asked(nack: &mut NackGenerator, ms: u64) -> Vec<u16> {
    let mut seqs = Vec::new();
    nack.poll(at(ms), RTT, |seq| seqs.push(seq));
    seqs
}

#[test]
fn a_complete_stream_is_never_asked_for() {
    let mut nack = NackGenerator::default();
    for n in 0..100 {
        assert_eq!(nack.on_packet(at(n), 70_000 + n), Arrival::InOrder);
    }
    assert_eq!(nack.next_timeout(), Time::NEVER);
    assert!(asked(&mut nack, 1000).is_empty());
}

#[test]
fn reordering_within_the_tolerance_is_not_asked_for() {
    let mut nack = NackGenerator::default();
    for (ms, seq) in [(0, 10), (1, 13), (2, 12), (5, 11)] {
        nack.on_packet(at(ms), seq);
        assert!(asked(&mut nack, ms).is_empty());
    }
    assert!(asked(&mut nack, 50).is_empty());
}

#[test]
fn a_gap_is_asked_for_and_asked_again_after_a_round_trip() {
    let mut nack = NackGenerator::default();
    nack.on_packet(at(0), 65_534);
    nack.on_packet(at(10), 65_537);
    assert_eq!(nack.next_timeout(), at(15));
    assert!(asked(&mut nack, 14).is_empty());
    assert_eq!(asked(&mut nack, 15), [65_535, 0]);
    assert!(asked(&mut nack, 20).is_empty());
    assert_eq!(nack.on_packet(at(55), 65_536), Arrival::Repaired);
    assert_eq!(nack.next_timeout(), at(65));
    assert_eq!(asked(&mut nack, 65), [65_535]);
    assert_eq!(nack.on_packet(at(70), 65_535), Arrival::Repaired);
    assert_eq!(nack.on_packet(at(70), 65_535), Arrival::Late);
    assert!(asked(&mut nack, 200).is_empty());
    assert_eq!(nack.next_timeout(), Time::NEVER);
}

#[test]
fn gives_up_after_ten_tries_or_a_second() {
    let mut patient = NackGenerator::default();
    patient.on_packet(at(0), 0);
    patient.on_packet(at(0), 2);
    let tries = (0..5000).filter(|&ms| !asked(&mut patient, ms).is_empty());
    assert_eq!(tries.count(), 10);
    assert_eq!(patient.next_timeout(), Time::NEVER);

    let mut far = NackGenerator::default();
    far.on_packet(at(0), 0);
    far.on_packet(at(0), 2);
    let mut tries = 0;
    for ms in 0..5000 {
        far.poll(at(ms), Some(Duration::from_millis(300)), |_| tries += 1);
    }
    assert_eq!(tries, 4, "at 5, 315, 625 and 935 ms");
}

/// A publisher that receives nothing reports no round trip. Here each answer takes 300 ms and a
/// tenth of them is lost.
#[test]
fn learns_from_answers_how_long_they_take() {
    let mut nack = NackGenerator::default();
    let mut answers: Vec<(u64, u64)> = Vec::new();
    let (mut asks, mut missing) = ([0, 0], [0, 0]);
    for ms in 0..20_000 {
        let half = usize::from(ms > 10_000);
        let seq = ms / 5;
        let lost = seq % 10 == 3;
        if ms % 5 == 0 && !lost {
            nack.on_packet(at(ms), seq);
        }
        missing[half] += u64::from(ms % 5 == 0 && lost);
        answers.retain(|&(when, seq)| {
            if when == ms {
                nack.on_repair(at(ms), seq);
            }
            when != ms
        });
        nack.poll(at(ms), None, |seq| {
            asks[half] += 1;
            if asks[half] % 10 != 0 {
                answers.push((ms + 300, u64::from(seq)));
            }
        });
    }
    let per_packet = asks[1] as f64 / missing[1] as f64;
    assert!(
        per_packet < 1.3,
        "{per_packet} asks for each missing packet"
    );
}

#[test]
fn gives_up_what_a_keyframe_makes_needless() {
    let mut nack = NackGenerator::default();
    nack.on_packet(at(0), 0);
    nack.on_packet(at(0), 5);
    nack.on_packet(at(0), 7);
    nack.forget_before(5);
    assert_eq!(asked(&mut nack, 10), [6]);
}

#[test]
fn a_hole_too_large_is_beyond_repair() {
    let mut nack = NackGenerator::default();
    nack.on_packet(at(0), 0);
    assert_eq!(nack.on_packet(at(0), 900), Arrival::InOrder);
    assert_eq!(nack.on_packet(at(0), 1200), Arrival::BeyondRepair);
    assert!(asked(&mut nack, 100).is_empty());
    nack.on_packet(at(100), 1202);
    assert_eq!(asked(&mut nack, 105), [1201]);
}

#[test]
fn grants_an_ask_once_a_round_trip_and_five_times() {
    let mut gate = RetransmitGate::new(RetransmitShare::default());
    let mut packet = SentPacket::new(at(0), 0, 0, 0, PicturePatch::default());
    let mut granted = Vec::new();
    for ms in 0..1000 {
        if gate.grant(at(ms), RTT, &mut packet, 100).is_ok() {
            granted.push(ms);
        }
    }
    assert_eq!(granted, [35, 70, 105, 140, 175]);
    let refused = gate.grant(at(2000), RTT, &mut packet, 100);
    assert_eq!(refused, Err(Refusal::TooOften));
}

#[test]
fn grants_at_once_while_the_round_trip_is_unknown() {
    let mut gate = RetransmitGate::new(RetransmitShare::default());
    let mut packet = SentPacket::new(at(0), 0, 0, 0, PicturePatch::default());
    assert!(gate.grant(at(2), None, &mut packet, 100).is_ok());
    let refused = gate.grant(at(4), None, &mut packet, 100);
    assert_eq!(refused, Err(Refusal::TooSoon));
    assert!(gate.grant(at(22), None, &mut packet, 100).is_ok());
}

#[test]
fn a_flood_of_asks_is_held_to_the_budget() {
    let mut gate = RetransmitGate::new(RetransmitShare::default());
    let (mut sent, mut resent) = (0_u64, 0_u64);
    for ms in 0..20_000 {
        gate.on_sent(1000);
        sent += 1000;
        // Every packet sent is asked for, twice.
        for _ in 0..2 {
            let mut packet = SentPacket::new(at(ms), 0, 0, 0, PicturePatch::default());
            if gate.grant(at(ms + 50), RTT, &mut packet, 1000).is_ok() {
                resent += 1000;
            }
        }
    }
    let budget = sent * 15 / 100 + (64 << 10);
    assert!(resent <= budget, "{resent} of {budget}");
    assert!(resent > budget * 9 / 10, "{resent} of {budget}");
}

#[test]
fn loss_that_needs_more_is_granted_more_up_to_a_bound() {
    for (fraction_lost, percent) in [(0, 15), (13, 15), (51, 31), (128, 50), (255, 50)] {
        let mut gate = RetransmitGate::new(RetransmitShare::default());
        let packet = |ms| SentPacket::new(at(ms), 0, 0, 0, PicturePatch::default());
        // The burst is used up.
        while gate.grant(at(50), RTT, &mut packet(0), 1000).is_ok() {}
        gate.on_loss(fraction_lost);
        let mut resent = 0;
        for ms in 0..10_000 {
            gate.on_sent(1000);
            resent += u64::from(gate.grant(at(ms + 50), RTT, &mut packet(ms), 1000).is_ok());
        }
        assert_eq!(resent / 100, percent, "{fraction_lost}/256 lost");
    }
}

#[test]
fn a_flood_of_asks_is_not_even_looked_at() {
    let mut gate = RetransmitGate::new(RetransmitShare::default());
    let mut looked = 0;
    for _ in 0..1000 {
        gate.on_sent(1000);
        looked += (0..6000).filter(|_| gate.may_look_up()).count();
    }
    assert!(looked <= 10 * 1000 + 4096, "{looked}");
    // Who asks for each packet as often as libwebrtc does is heard.
    for _ in 0..1000 {
        gate.on_sent(1000);
        assert!((0..10).all(|_| gate.may_look_up()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// Only what has not arrived is asked for, the list stays bounded, and the time-out is never
    /// later than the next ask.
    #[test]
    fn asks_only_for_what_is_missing(
        start in prop::sample::select(vec![0_u64, 65_530, 1 << 33]),
        steps in prop::collection::vec((0_u64..1200, 0_u64..50, 0_u64..60), 1..300),
    ) {
        let mut nack = NackGenerator::default();
        let mut arrived = std::collections::HashSet::new();
        let (mut newest, mut now) = (start, 0);
        for (jump, back, wait_ms) in steps {
            now += wait_ms;
            // Mostly small steps.
            newest += if jump < 1000 { jump % 3 } else { jump };
            let seq = newest - back.min(newest - start) * (jump % 2);
            nack.on_packet(at(now), seq);
            arrived.insert(seq);
            prop_assert!(nack.missing.len() <= MISSING_MAX);
            let due = nack.next_timeout();
            let seqs = asked(&mut nack, now);
            prop_assert!(seqs.is_empty() || due <= at(now));
            for asked in seqs {
                let back = u64::from((newest as u16).wrapping_sub(asked));
                prop_assert!(!arrived.contains(&(newest - back)));
            }
        }
    }
}
