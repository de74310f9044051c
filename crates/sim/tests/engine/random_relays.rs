//! Relays are opened and closed while publishers, viewers and paths do what they do; when all has
//! calmed down, viewers on the other engine see what is relayed to them.

use crosspoint_media::command::Command;
use crosspoint_media::config::{EngineConfig, LayerLimit, RelayId, Wish};
use crosspoint_sim::publisher::Names;
use crosspoint_sim::rng::Rng;
use crosspoint_sim::{LinkConfig, World};

use crate::people::{CAMERA, MICROPHONE, mid, ms, publisher, seconds, viewer};

const THREE_LAYERS: [u64; 3] = [80_000, 200_000, 400_000];

/// The relay's far end knows a stream by its place in the track; one that another offer puts
/// there must not be taken for the same.
#[test]
fn a_stream_that_another_offer_declares_is_followed_over_a_relay() {
    let mut world = World::with_engines(1, 2, EngineConfig::default(), None);
    let alice = world.join(publisher(Names::Declared, &[200_000]));
    world.relay(RelayId(1), alice, mid(CAMERA), 1);
    world.relay(RelayId(2), alice, mid(MICROPHONE), 1);
    let bob = world.join_at(1, viewer());
    for _ in 0..10 {
        world.run_for(seconds(2));
        for name in [CAMERA, MICROPHONE] {
            world.peer_mut(alice).publisher.restart(mid(name));
        }
        world.put_session(alice);
        world.run_for(seconds(2));
        for (slot, name) in [("v0", CAMERA), ("a0", MICROPHONE)] {
            let log = &world.peer(bob).receiver.slot(slot).log;
            let newest = world.peer(alice).publisher.stream_numbers(mid(name))[0];
            assert_eq!(log.arrived().last().unwrap().stamp.stream, newest, "{slot}");
            log.assert_continuous();
        }
    }
}

#[test]
fn viewers_behind_relays_see_what_is_relayed() {
    for seed in 0..25 {
        let mut rng = Rng::new(seed ^ 0x1234);
        let mut world = World::with_engines(seed, 2, EngineConfig::default(), None);
        let publishers = [
            world.join(publisher(Names::Extensions, &THREE_LAYERS)),
            world.join(publisher(Names::Declared, &THREE_LAYERS)),
        ];
        let mut viewers = vec![world.join_at(1, viewer())];
        // Number of the relay that carries a publisher's camera and microphone, if any.
        let mut relayed = [[None; 2]; 2];
        let mut next_relay = 0;
        for _ in 0..50 {
            let whose = rng.below(2) as usize;
            let what = rng.below(2) as usize;
            let yes = rng.chance(0.5);
            let track_mid = mid([CAMERA, MICROPHONE][what]);
            let track = world.peer(publishers[whose]).track(track_mid).unwrap();
            match rng.below(9) {
                0..=2 => match relayed[whose][what].take() {
                    Some(relay) => world.close_relay(relay),
                    None => {
                        next_relay += 1;
                        relayed[whose][what] = Some(RelayId(next_relay));
                        world.relay(RelayId(next_relay), publishers[whose], track_mid, 1);
                    }
                },
                3 => viewers.push(world.join_at(1, viewer())),
                4 if viewers.len() > 1 => world.leave(viewers.swap_remove(0)),
                5 => {
                    let publisher = &mut world.peer_mut(publishers[whose]).publisher;
                    publisher.pause_encoding(mid(CAMERA), rng.below(3) as usize, yes);
                }
                6 => {
                    world
                        .peer_mut(publishers[whose])
                        .publisher
                        .restart(track_mid);
                    world.put_session(publishers[whose]);
                }
                7 => world.command(Command::SetMuted { track, muted: yes }),
                _ => {
                    let loss = rng.below(15) as f64 / 100.0;
                    let leg = LinkConfig::delay_ms(rng.below(50)).losing(loss);
                    world.set_links(publishers[whose], leg, leg);
                    if relayed[whose][what].is_some() {
                        let wish = Wish {
                            wanted: true,
                            largest: LayerLimit::Spatial(rng.below(3) as u8),
                        };
                        let session = world.peer(viewers[0]).session;
                        let command = Command::SetWish {
                            session,
                            track,
                            wish,
                        };
                        world.command_at(1, command);
                    }
                }
            }
            let wait = ms(rng.below(500));
            world.run_for(wait);
        }
        for &publisher in &publishers {
            let good = LinkConfig::delay_ms(20);
            world.set_links(publisher, good, good);
            for name in [CAMERA, MICROPHONE] {
                let track = world.peer(publisher).track(mid(name)).unwrap();
                world.command(Command::SetMuted {
                    track,
                    muted: false,
                });
            }
            for index in 0..3 {
                let publisher = &mut world.peer_mut(publisher).publisher;
                publisher.pause_encoding(mid(CAMERA), index, false);
            }
        }
        world.run_for(seconds(6));
        for &viewer in &viewers {
            check(seed, &world, viewer, &relayed);
        }
    }
}

fn check(seed: u64, world: &World, viewer: usize, relayed: &[[Option<RelayId>; 2]; 2]) {
    let receiver = &world.peer(viewer).receiver;
    for (what, letter) in [(0, 'v'), (1, 'a')] {
        let expected = relayed.iter().filter(|r| r[what].is_some()).count();
        let mut flowing = 0;
        for n in 0..2 {
            let log = &receiver.slot(&format!("{letter}{n}")).log;
            log.assert_continuous();
            let last = log.arrived().last();
            if last.is_none_or(|a| world.now().since(a.at) > ms(500)) {
                continue;
            }
            flowing += 1;
            if letter == 'v' {
                let recent = |s: &&crosspoint_sim::receiver::Shown| {
                    world.now().since(s.complete) < seconds(1)
                };
                let frames = log.shown(ms(200)).iter().filter(recent).count();
                assert!(
                    frames >= 28,
                    "seed {seed}: viewer {viewer}, {letter}{n}: {frames}"
                );
            }
        }
        assert_eq!(flowing, expected, "seed {seed}: viewer {viewer}, {letter}");
    }
}
