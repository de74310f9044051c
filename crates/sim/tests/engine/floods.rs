//! Nobody can make the server, or a publisher through it, do much more than it did for them.

use crosspoint_sim::publisher::Names;
use crosspoint_sim::rng::Rng;
use crosspoint_sim::{PeerConfig, World};
use crosspoint_wire::rtcp::{FirEntry, NackPair, RtcpWriter};

use crate::people::{ms, publisher, seconds, viewer};

fn rtcp(write: impl FnOnce(&mut RtcpWriter<'_>)) -> Vec<u8> {
    let mut buffer = [0; 1400];
    let mut writer = RtcpWriter::new(&mut buffer);
    write(&mut writer);
    writer.as_bytes().to_vec()
}

#[test]
fn a_flood_of_nacks_gets_a_seventh_of_the_media_again_and_no_more() {
    let mut world = World::new(1);
    world.join(publisher(Names::Declared, &[2_000_000]));
    let bob = world.join(viewer());
    world.run_for(seconds(2));
    let ssrc = world.peer(bob).receiver.slot("v0").config.ssrc;
    let mut sent = 0;
    for _ in 0..4000 {
        let newest = world.peer(bob).receiver.slot("v0").log.span().unwrap().1;
        let asked = (newest - 200..newest).map(|n| n as u16);
        let nack = rtcp(|w| {
            sent += w.nack(1, ssrc, asked).unwrap();
        });
        world.inject(bob, &[nack]);
        world.run_for(ms(5));
    }
    assert!(sent > 700_000, "{sent} numbers asked for");
    let slot = world.peer(bob).receiver.slot("v0");
    slot.log.assert_continuous();
    // Packets have about 1000 bytes, and the budget begins with 64 KiB.
    let media = slot.log.in_sequence().len() as u64;
    let budget = media * 15 / 100 + 80;
    assert!(slot.repaired <= budget, "{} of {budget}", slot.repaired);
    assert!(
        slot.repaired > budget / 2,
        "the flood did ask for something"
    );
}

#[test]
fn nacks_for_what_was_never_sent_get_nothing() {
    let mut world = World::new(2);
    world.join(publisher(Names::Declared, &[500_000]));
    let bob = world.join(viewer());
    world.run_for(seconds(2));
    let slot = world.peer(bob).receiver.slot("v0");
    let (ssrc, newest) = (slot.config.ssrc, slot.log.span().unwrap().1);
    let audio = world.peer(bob).receiver.slot("a0").config.ssrc;
    for stranger in [ssrc, audio, 0, 0xffff_ffff] {
        let future = (newest + 100..newest + 900).map(|n| n as u16);
        let nack = rtcp(|w| {
            w.nack(1, stranger, future).unwrap();
        });
        world.inject(bob, &[nack]);
    }
    world.run_for(ms(200));
    assert_eq!(world.peer(bob).receiver.slot("v0").repaired, 0);
    assert_eq!(world.peer(bob).receiver.strangers, 0);
}

#[test]
fn a_flood_of_keyframe_requests_is_two_a_second() {
    let mut world = World::new(3);
    let alice = world.join(publisher(Names::Declared, &[500_000]));
    let viewers: Vec<_> = (0..5).map(|_| world.join(viewer())).collect();
    world.run_for(seconds(2));
    let before = world.peer(alice).publisher.keyframe_requests.len();
    for n in 0..10_000_u32 {
        let viewer = viewers[n as usize % viewers.len()];
        let ssrc = world.peer(viewer).receiver.slot("v0").config.ssrc;
        let request = rtcp(|w| {
            if n.is_multiple_of(2) {
                w.pli(1, ssrc).unwrap();
            } else {
                let entry = FirEntry {
                    ssrc,
                    sequence_number: n as u8,
                };
                w.fir(1, &[entry]).unwrap();
            }
        });
        world.inject(viewer, &[request]);
        world.run_for(ms(1));
    }
    let requests = world.peer(alice).publisher.keyframe_requests.len() - before;
    assert!((15..=21).contains(&requests), "{requests} in ten seconds");
}

#[test]
fn packets_that_name_no_stream_make_no_state() {
    let mut world = World::new(4);
    let alice = world.join(publisher(Names::Declared, &[500_000]));
    let bob = world.join(viewer());
    world.run_for(seconds(1));
    let before = world.engine().track_count();
    for n in 0..2000_u32 {
        // Version 2, VP8, an SSRC of its own, no extensions.
        let mut packet = vec![0x80, 96, 0, 1, 0, 0, 0, 0];
        packet.extend((0x1000_0000 + n).to_be_bytes());
        packet.extend([0x10, 0, 1, 2, 3]);
        world.inject(alice, &[packet]);
    }
    world.run_for(seconds(1));
    assert_eq!(world.engine().track_count(), before);
    let unknown = world
        .engine()
        .counters()
        .iter()
        .find(|(name, _)| name.contains("unknown_ssrc"));
    assert_eq!(unknown.map(|u| u.1), Some(2000));
    world.peer(bob).receiver.slot("v0").log.assert_continuous();
}

/// Whatever bytes an authenticated peer sends, the engine stands and others' calls go on.
#[test]
fn garbage_from_a_member_harms_nobody_else() {
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        let mut world = World::new(seed);
        world.join(publisher(Names::Extensions, &[300_000]));
        let bob = world.join(viewer());
        world.peer_mut(bob).receiver.tolerates_damage = true;
        let mallory = world.join(PeerConfig {
            audio_slots: 2,
            video_slots: 2,
            ..publisher(Names::Extensions, &[100_000, 200_000])
        });
        world.peer_mut(mallory).receiver.tolerates_damage = true;
        world.run_for(seconds(1));
        let slots: Vec<_> = world
            .peer(mallory)
            .receiver
            .slots()
            .map(|s| s.config.ssrc)
            .collect();
        for _ in 0..300 {
            let packets: Vec<_> = (0..10).map(|_| garbage(&mut rng, &slots)).collect();
            world.inject(mallory, &packets);
            world.run_for(ms(5));
        }
        world.run_for(seconds(1));
        let slot = &world.peer(bob).receiver.slot("v0");
        assert!(slot.log.shown(ms(100)).len() > 80, "seed {seed}");
    }
}

/// Anything from noise to nearly well-formed RTP and RTCP.
fn garbage(rng: &mut Rng, ssrcs: &[u32]) -> Vec<u8> {
    let ssrc = ssrcs[rng.below(ssrcs.len() as u64) as usize];
    let mut packet = match rng.below(4) {
        0 => (0..rng.below(1500)).map(|_| rng.next_u64() as u8).collect(),
        1 => rtcp(|w| {
            let mut lost: Vec<_> = (0..rng.below(200)).map(|_| rng.next_u64() as u16).collect();
            lost.sort_unstable();
            w.nack(1, ssrc, lost).unwrap();
        }),
        2 => {
            let lost = NackPair {
                first: rng.next_u64() as u16,
                following: 0xffff,
            };
            rtcp(|w| {
                let report = crosspoint_wire::rtcp::ReportBlock {
                    ssrc,
                    last_sender_report: rng.next_u64() as u32,
                    delay_since_last: rng.next_u64() as u32,
                    highest_sequence: u32::from(lost.first),
                    ..Default::default()
                };
                w.receiver_report(1, &[report; 3]).unwrap();
            })
        }
        _ => {
            let mut packet = vec![0x90, [96, 97, 111][rng.below(3) as usize]];
            packet.extend((rng.next_u64() as u16).to_be_bytes());
            packet.extend((rng.next_u64() as u32).to_be_bytes());
            packet.extend((rng.below(8) as u32).to_be_bytes());
            // MID "cam" and RID "q" or "h".
            packet.extend([0xbe, 0xde, 0, 2, 0x12, b'c', b'a', b'm', 0x20]);
            packet.extend([[b'q', b'h'][rng.below(2) as usize], 0, 0]);
            packet.extend((0..rng.below(1400)).map(|_| rng.next_u64() as u8));
            packet
        }
    };
    for _ in 0..rng.below(4) {
        let len = packet.len() as u64;
        if len > 0 {
            let at = rng.below(len) as usize;
            packet[at] = rng.next_u64() as u8;
        }
    }
    if rng.chance(0.2) {
        packet.truncate(rng.below(packet.len() as u64 + 1) as usize);
    }
    packet
}
