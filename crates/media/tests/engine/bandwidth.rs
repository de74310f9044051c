//! A limited link gets what fits: less at once, more when it lasts, sound before pictures.

use crosspoint_media::command::Command;
use crosspoint_media::config::{
    LayerLimit, Policy, SessionConfig, SessionId, SessionKey, TrackId, TrackSource, Wish,
};
use crosspoint_media::event::Event;
use crosspoint_media::explain::Reason;
use crosspoint_wire::codec::Codec;
use crosspoint_wire::ext::ExtensionKind;

use crate::world::{Source, World, receive, session, simulcast, slots};

/// A subscriber without transport-wide feedback: its own limit is all that is known.
fn limited(slots_: Vec<crosspoint_media::config::SlotConfig>) -> SessionConfig {
    let mut config = session(vec![], slots_);
    for ids in [&mut config.extensions, &mut config.slot_extensions] {
        let mut without = crosspoint_wire::ext::ExtensionIds::new();
        for kind in ExtensionKind::ALL {
            if let (Some(id), true) = (ids.id(kind), kind != ExtensionKind::TransportCc) {
                without.set(kind, id);
            }
        }
        *ids = without;
    }
    config
}

/// Alice's camera in three sizes, of 110, 330 and 1100 kbit/s or so, and bob who sees it.
struct Call {
    world: World,
    bob: SessionKey,
    cameras: [Source; 3],
    kbps: u64,
    frames: u64,
}

const PACKETS: [usize; 3] = [2, 6, 20];

impl Call {
    fn new() -> Self {
        let mut world = World::new();
        let alice = world.join(1, session(vec![simulcast(2, &["q", "h", "f"])], vec![]));
        let bob = world.join(2, limited(slots(5000, 0, 1)));
        let camera = |ssrc, rid| Source::new(alice, Codec::Vp8, ssrc).named("s2", Some(rid));
        Self {
            world,
            bob,
            cameras: [camera(100, "q"), camera(200, "h"), camera(300, "f")],
            kbps: 10_000,
            frames: 0,
        }
    }

    /// Lets time pass, with keyframes as they are asked for (here: often). Returns the encodings
    /// that bob got, one after the other.
    fn run(&mut self, ms: u64) -> Vec<usize> {
        let mut got = Vec::new();
        for _ in 0..ms / 40 {
            if self.frames.is_multiple_of(5) {
                let bps = self.kbps * 1000;
                self.world
                    .rtcp(self.bob, |w| w.remb(1, bps, &[5000]).unwrap());
            }
            for (camera, packets) in self.cameras.iter_mut().zip(PACKETS) {
                for packet in camera.vp8_frame(self.frames.is_multiple_of(10), packets) {
                    self.world.rtp(camera.from, &packet);
                }
            }
            self.frames += 1;
            self.world.advance_ms(40);
            for sent in self.world.take_sent() {
                if sent.to == self.bob && sent.header().ssrc == 5000 {
                    let fill = *sent.payload().last().unwrap();
                    let ssrcs = [100_u8, 200, (300 % 256) as u8];
                    got.push(ssrcs.iter().position(|&s| s == fill).unwrap());
                }
            }
        }
        got.dedup();
        got
    }

    fn policy(&mut self, policy: Policy) {
        self.world.command(Command::SetPolicy {
            session: SessionId(2),
            policy,
        });
    }

    /// What bob was told of his picture: encoding or none, and why.
    fn told(&mut self) -> Vec<(Option<u8>, Option<Reason>)> {
        let events = self.world.take_events();
        let told = |event| match event {
            Event::SubscriptionChanged { choice, reason, .. } => {
                Some((choice.map(|c| c.encoding), reason))
            }
            _ => None,
        };
        events.into_iter().filter_map(told).collect()
    }

    fn reason(&self) -> Option<Reason> {
        let explained = self.world.engine.explain(SessionId(2), TrackId(2));
        explained.unwrap().reason
    }
}

#[test]
fn the_ladder_is_descended_to_sound_alone_and_climbed_again_and_each_step_is_told() {
    let mut call = Call::new();
    call.run(3000);
    assert_eq!(call.run(1000), [2]);
    call.told();
    call.kbps = 500;
    assert_eq!(call.run(1000).last(), Some(&1));
    assert_eq!(call.reason(), Some(Reason::Bandwidth));
    call.kbps = 150;
    assert_eq!(call.run(1000).last(), Some(&0));
    call.kbps = 30;
    call.run(4000);
    assert!(call.run(3000).is_empty());
    assert_eq!(call.reason(), Some(Reason::Bandwidth));
    let because = Some(Reason::Bandwidth);
    let down = [Some(1), Some(0), None].map(|choice| (choice, because));
    assert_eq!(call.told(), down);
    call.kbps = 150;
    assert_eq!(call.run(3000), [0]);
    call.kbps = 3000;
    assert_eq!(call.run(5000).last(), Some(&2));
    assert_eq!(call.reason(), None);
    let up = [Some(0), Some(2)].map(|choice| (choice, because));
    assert_eq!(call.told(), up);
}

#[test]
fn what_leaves_never_exceeds_what_the_link_carries_for_long() {
    let mut call = Call::new();
    call.kbps = 500;
    call.run(3000);
    let before = call.world.now;
    call.run(5000);
    let explained = call.world.engine.explain(SessionId(2), TrackId(2)).unwrap();
    assert!(explained.granted_bps <= 500_000, "{explained:?}");
    assert!(explained.next_bps.unwrap() > 500_000);
    assert_eq!(explained.estimate_bps, Some(500_000));
    assert!(call.world.now > before);
}

#[test]
fn a_policy_without_audio_only_keeps_the_smallest_picture() {
    let mut call = Call::new();
    call.policy(Policy {
        audio_only: false,
        ..Policy::default()
    });
    call.kbps = 10;
    call.run(1000);
    assert_eq!(call.run(3000), [0]);
}

#[test]
fn a_floor_is_kept_and_a_ceiling_not_passed() {
    let mut call = Call::new();
    call.policy(Policy {
        floor: LayerLimit::Spatial(1),
        ..Policy::default()
    });
    call.kbps = 10;
    call.run(1000);
    assert_eq!(call.run(2000), [1]);
    call.policy(Policy {
        ceiling: LayerLimit::Spatial(1),
        ..Policy::default()
    });
    call.kbps = 10_000;
    call.run(5000);
    assert_eq!(call.run(1000), [1]);
    assert_eq!(call.reason(), Some(Reason::Policy));
    call.world.wish(
        2,
        2,
        Wish {
            wanted: true,
            largest: LayerLimit::Small,
        },
    );
    call.run(1000);
    assert_eq!(call.run(1000), [0]);
    assert_eq!(call.reason(), Some(Reason::Size));
}

#[test]
fn a_wavering_link_does_not_make_the_picture_flicker() {
    let mut call = Call::new();
    call.kbps = 440;
    call.run(3000);
    call.told();
    for n in 0..300_u64 {
        call.kbps = 440 + (n * 7919) % 40;
        call.run(200);
    }
    let changes = call.told();
    assert!(changes.len() <= 3, "{changes:?}");
}

#[test]
fn a_shared_screen_goes_before_a_camera() {
    let mut world = World::new();
    let tracks = vec![
        receive(1, TrackSource::Camera, 100),
        receive(2, TrackSource::ScreenShare, 200),
    ];
    let alice = world.join(1, session(tracks, vec![]));
    let bob = world.join(2, limited(slots(5000, 0, 2)));
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    let mut screen = Source::new(alice, Codec::Vp8, 200);
    let mut fills = Vec::new();
    for n in 0..200 {
        world.rtcp(bob, |w| w.remb(1, 270_000, &[5000]).unwrap());
        for source in [&mut camera, &mut screen] {
            for packet in source.vp8_frame(n % 25 == 0, 4) {
                world.rtp(alice, &packet);
            }
        }
        world.advance_ms(40);
        for sent in world.take_sent().iter().filter(|sent| sent.to == bob) {
            if n > 120 {
                fills.push(*sent.payload().last().unwrap());
            }
        }
    }
    fills.sort_unstable();
    fills.dedup();
    assert_eq!(fills, [200]);
}
