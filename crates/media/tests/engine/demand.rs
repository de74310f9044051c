//! Publishers learn which encodings nobody watches.

use crosspoint_media::command::Command;
use crosspoint_media::config::{
    LayerLimit, RelayId, SessionId, SessionKey, TrackId, TrackSource, Wish,
};
use crosspoint_media::event::Event;
use crosspoint_media::explain::Reason;
use crosspoint_wire::codec::Codec;

use crate::world::{Source, World, receive, session, simulcast, slots};

struct Call {
    world: World,
    bob: SessionKey,
    cameras: [Source; 3],
    frames: u64,
    /// What alice's client was told last; it does as it is told.
    wanted: [bool; 3],
}

impl Call {
    fn new() -> Self {
        let mut world = World::new();
        let alice = world.join(1, session(vec![simulcast(2, &["q", "h", "f"])], vec![]));
        let bob = world.join(2, session(vec![], slots(5000, 0, 1)));
        let camera = |ssrc, rid| Source::new(alice, Codec::Vp8, ssrc).named("s2", Some(rid));
        Self {
            world,
            bob,
            cameras: [camera(100, "q"), camera(200, "h"), camera(300, "f")],
            frames: 0,
            wanted: [true; 3],
        }
    }

    /// Lets time pass; an encoding that starts again begins with a keyframe.
    fn run(&mut self, ms: u64) -> Vec<u8> {
        let mut got = Vec::new();
        for _ in 0..ms / 40 {
            for (camera, wanted) in self.cameras.iter_mut().zip(self.wanted) {
                if wanted {
                    for packet in camera.vp8_frame(self.frames.is_multiple_of(10), 2) {
                        self.world.rtp(camera.from, &packet);
                    }
                }
            }
            self.frames += 1;
            self.world.advance_ms(40);
            for event in self.world.take_events() {
                if let Event::EncodingsWanted { track, encodings } = event {
                    assert_eq!(track, TrackId(2));
                    let rids: Vec<_> = encodings.iter().map(|(rid, _)| rid.unwrap()).collect();
                    assert_eq!(rids.map_str(), ["q", "h", "f"]);
                    self.wanted = core::array::from_fn(|i| encodings[i].1);
                }
            }
            let streams = self.world.take_streams(self.bob);
            let fill = |sent: &crate::world::Sent| *sent.payload().last().unwrap();
            got.extend(streams.into_values().flatten().map(|sent| fill(&sent)));
        }
        got.dedup();
        got
    }

    fn wish(&mut self, largest: LayerLimit) {
        let wish = Wish {
            wanted: true,
            largest,
        };
        self.world.wish(2, 2, wish);
    }

    fn reason(&self) -> Option<Reason> {
        let explained = self.world.engine.explain(SessionId(2), TrackId(2));
        explained.unwrap().reason
    }
}

trait Names {
    fn map_str(&self) -> Vec<&str>;
}

impl Names for Vec<crosspoint_wire::ids::Rid> {
    fn map_str(&self) -> Vec<&str> {
        self.iter().map(|rid| rid.as_str()).collect()
    }
}

#[test]
fn unwatched_encodings_are_told_within_two_seconds_and_again_at_once_when_watched() {
    let mut call = Call::new();
    call.wish(LayerLimit::Size {
        width: 320,
        height: 180,
    });
    call.run(2000);
    assert_eq!(call.wanted, [true, false, false]);
    assert_eq!(call.reason(), Some(Reason::Size));
    call.run(5000);
    call.wish(LayerLimit::Best);
    assert_eq!(
        call.reason(),
        Some(Reason::KeyframeWait),
        "it is being woken"
    );
    // The first step takes the events.
    call.run(40);
    assert_eq!(call.wanted, [true, false, true]);
    let got = call.run(1000);
    assert_eq!(got.last(), Some(&((300 % 256) as u8)));
    assert_eq!(call.reason(), None);
    // Nobody needs the middle one.
    call.run(2000);
    assert_eq!(call.wanted, [true, false, true]);
}

#[test]
fn the_lowest_is_wanted_even_while_nobody_watches() {
    let mut call = Call::new();
    call.run(500);
    call.world.leave(2);
    call.run(2500);
    assert_eq!(call.wanted, [true, false, false]);
}

#[test]
fn what_goes_to_another_engine_goes_there_whole() {
    let mut call = Call::new();
    call.wish(LayerLimit::Small);
    call.run(2500);
    assert_eq!(call.wanted, [true, false, false]);
    call.world.command(Command::OpenRelay {
        track: TrackId(2),
        relay: RelayId(7),
    });
    call.run(3000);
    assert_eq!(call.wanted, [true; 3]);
}

#[test]
fn what_goes_nowhere_else_any_more_may_sleep_again() {
    let mut call = Call::new();
    call.wish(LayerLimit::Small);
    call.world.command(Command::OpenRelay {
        track: TrackId(2),
        relay: RelayId(7),
    });
    call.run(3000);
    assert_eq!(call.wanted, [true; 3]);
    call.world
        .command(Command::CloseRelay { relay: RelayId(7) });
    call.run(2000);
    assert_eq!(call.wanted, [true, false, false]);
}

#[test]
fn a_sound_is_wanted_while_anybody_could_hear_it() {
    let mut world = World::new();
    let track = receive(2, TrackSource::Microphone, 100);
    let alice = world.join(1, session(vec![track], slots(4000, 1, 0)));
    let mut voice = Source::new(alice, Codec::Opus, 100);
    let mut run = |world: &mut World, ms: u64| {
        for _ in 0..ms / 20 {
            voice.send_sound(world, 20);
            world.advance_ms(20);
        }
        let told = |event| match event {
            Event::EncodingsWanted { track, encodings } => {
                assert_eq!((track, encodings.len()), (TrackId(2), 1));
                Some(encodings[0])
            }
            _ => None,
        };
        let events = world.take_events();
        events.into_iter().filter_map(told).collect::<Vec<_>>()
    };
    // Alone.
    assert_eq!(run(&mut world, 2000), [(None, false)]);
    // Somebody comes; then only somebody who sees.
    world.join(2, session(vec![], slots(5000, 1, 1)));
    assert_eq!(run(&mut world, 20), [(None, true)]);
    assert_eq!(run(&mut world, 3000), []);
    world.leave(2);
    world.join(3, session(vec![], slots(6000, 0, 1)));
    assert_eq!(run(&mut world, 2000), [(None, false)]);
    // Somebody who hears, but does not want to hear this; and then does.
    world.join(4, session(vec![], slots(7000, 1, 0)));
    assert_eq!(run(&mut world, 20), [(None, true)]);
    let wish = |wanted| Wish {
        wanted,
        ..Wish::default()
    };
    world.wish(4, 2, wish(false));
    assert_eq!(run(&mut world, 2000), [(None, false)]);
    world.wish(4, 2, wish(true));
    assert_eq!(run(&mut world, 20), [(None, true)]);
    // Nobody, but a recorder.
    world.leave(4);
    world.command(Command::OpenRelay {
        track: TrackId(2),
        relay: RelayId(7),
    });
    assert_eq!(run(&mut world, 2000), []);
}

#[test]
fn what_its_publisher_does_not_send_though_it_is_wanted_is_missing() {
    let mut call = Call::new();
    call.run(1000);
    assert_eq!(call.reason(), None);
    // Not because it was told: its link or processor got tight.
    for _ in 0..100 {
        call.wanted[2] = false;
        call.run(40);
    }
    assert_eq!(call.reason(), Some(Reason::LayerMissing));
}

#[test]
fn what_does_not_come_though_it_is_wanted_again_is_missing_after_a_while() {
    let mut call = Call::new();
    call.wish(LayerLimit::Small);
    call.run(3000);
    assert_eq!(call.wanted, [true, false, false]);
    call.wish(LayerLimit::Best);
    let run = |call: &mut Call, ms: u64| {
        for _ in 0..ms / 40 {
            call.run(40);
            call.wanted[2] = false;
        }
        call.reason()
    };
    assert_eq!(run(&mut call, 3000), Some(Reason::KeyframeWait));
    assert_eq!(run(&mut call, 4000), Some(Reason::LayerMissing));
}

#[test]
fn a_muted_track_is_paused_by_its_publisher() {
    let mut call = Call::new();
    call.run(1000);
    call.world.mute(2, true);
    assert_eq!(call.reason(), Some(Reason::PublisherPaused));
    assert!(call.run(500).is_empty());
    call.world.mute(2, false);
    call.run(1000);
    assert_eq!(call.reason(), None);
}
