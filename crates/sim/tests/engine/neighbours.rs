//! What one subscriber's link is like, and what it says, is nothing to the others in its room.

use core::time::Duration;

use crosspoint_sim::publisher::Names;
use crosspoint_sim::rng::Rng;
use crosspoint_sim::{LinkConfig, PeerConfig, World};
use crosspoint_wire::rtcp::RtcpWriter;

use crate::people::{ms, publisher, seconds, viewer};

/// What one viewer got of the camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    packets: usize,
    lost: u64,
    repaired: u64,
    delay_p99: Duration,
}

/// A publisher of three encodings and nine viewers for 20 s, the last of whom has the link `last`
/// and may do as `mischief` says each 20 ms. What the nine saw, the last one last.
fn room_of_ten(last: LinkConfig, mut mischief: impl FnMut(&mut World, usize)) -> Vec<Seen> {
    let mut world = World::new(7);
    world.join(publisher(Names::Extensions, &[80_000, 300_000, 900_000]));
    let mut viewers: Vec<_> = (0..8).map(|_| world.join(viewer())).collect();
    let odd = world.join(PeerConfig {
        down: last,
        ..viewer()
    });
    world.peer_mut(odd).receiver.tolerates_damage = true;
    viewers.push(odd);
    let end = world.now() + seconds(20);
    while world.now() < end {
        mischief(&mut world, odd);
        world.run_for(ms(20));
    }
    let seen = |&viewer: &usize| {
        let slot = world.peer(viewer).receiver.slot("v0");
        let packets = slot.log.in_sequence();
        let mut delays: Vec<_> = packets
            .iter()
            .map(|p| p.at.since(p.stamp.captured))
            .collect();
        delays.sort_unstable();
        let (first, highest) = slot.log.span().unwrap();
        Seen {
            packets: packets.len(),
            lost: highest - first + 1 - packets.len() as u64,
            repaired: slot.repaired,
            delay_p99: delays[delays.len() * 99 / 100],
        }
    };
    viewers.iter().map(seen).collect()
}

fn assert_unharmed(others: &[Seen], before: &[Seen]) {
    for (now, before) in others.iter().zip(before) {
        assert_eq!((now.lost, now.repaired), (0, 0), "{now:?}");
        assert!(
            now.delay_p99 <= before.delay_p99 + ms(1),
            "{now:?}, alone {before:?}"
        );
        assert!(
            now.packets * 10 >= before.packets * 9,
            "{now:?}, {before:?}"
        );
    }
}

#[test]
fn a_slow_subscriber_costs_the_others_nothing() {
    let alone = room_of_ten(LinkConfig::delay_ms(25), |_, _| {});
    let slow = LinkConfig {
        rate_bps: Some(100_000),
        queue: ms(300),
        ..LinkConfig::delay_ms(25)
    };
    let seen = room_of_ten(slow, |_, _| {});
    let (odd, others) = seen.split_last().unwrap();
    assert_unharmed(others, &alone);
    // It gets what fits, and mostly not more.
    assert!(odd.packets > 20, "{odd:?}");
    assert!(odd.packets * 3 < others[0].packets, "{odd:?}, {others:?}");
}

#[test]
fn feedback_that_lies_and_floods_of_requests_cost_the_others_nothing() {
    let alone = room_of_ten(LinkConfig::delay_ms(25), |_, _| {});
    let mut rng = Rng::new(11);
    let seen = room_of_ten(LinkConfig::delay_ms(25), |world, odd| {
        let receiver = &world.peer(odd).receiver;
        let slot = receiver.slot("v0");
        let newest = slot.log.span().map_or(0, |span| span.1);
        let number = receiver.transport_span.map_or(0, |span| span.1) as u16;
        let lies: Vec<_> = (0..5).map(|_| lie(&mut rng, number)).collect();
        let mut buffer = [0; 1400];
        let mut writer = RtcpWriter::new(&mut buffer);
        let asked = (newest.saturating_sub(300)..newest).map(|n| n as u16);
        writer.nack(1, slot.config.ssrc, asked).unwrap();
        writer.pli(1, slot.config.ssrc).unwrap();
        let mut packets = vec![writer.as_bytes().to_vec()];
        packets.extend(lies);
        world.inject(odd, &packets);
    });
    let (_, others) = seen.split_last().unwrap();
    assert_unharmed(others, &alone);
}

/// Transport-wide feedback about the future, the long past, or twice; with deltas from large to
/// negative, on a clock that leaps.
fn lie(rng: &mut Rng, newest: u16) -> Vec<u8> {
    let count = 1 + rng.below(200) as u16;
    let base = match rng.below(4) {
        0 => newest.wrapping_add(rng.below(5000) as u16),
        1 => newest.wrapping_sub(20_000),
        _ => newest.wrapping_sub(count),
    };
    let [b0, b1] = base.to_be_bytes();
    let [c0, c1] = count.to_be_bytes();
    let clock = (rng.next_u64() as u32).to_be_bytes();
    let mut packet = vec![0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, b0, b1, c0, c1];
    packet.extend(clock);
    // A run of packets with large or negative deltas, or of lost ones.
    let symbol: u16 = if rng.chance(0.3) { 0 } else { 2 };
    packet.extend((symbol << 13 | count).to_be_bytes());
    for _ in 0..if symbol == 0 { 0 } else { count } {
        packet.extend((rng.next_u64() as u16).to_be_bytes());
    }
    packet.resize(packet.len().next_multiple_of(4), 0);
    let words = (packet.len() / 4 - 1) as u16;
    packet[2..4].copy_from_slice(&words.to_be_bytes());
    packet
}
