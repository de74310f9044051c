//! A slot changes its source without its receiver noticing.

use crosspoint_media::command::Command;
use crosspoint_media::config::{EngineConfig, LayerLimit, RelayId, Wish};
use crosspoint_sim::media::Stamp;
use crosspoint_sim::publisher::{Names, Source, TrackSpec};
use crosspoint_sim::receiver::{SlotLog, longest_freeze};
use crosspoint_sim::{LinkConfig, PeerConfig, World};
use crosspoint_wire::time::Time;

use crate::people::{CAMERA, MICROPHONE, microphone, mid, ms, publisher, seconds, viewer};

const THREE_LAYERS: [u64; 3] = [100_000, 300_000, 900_000];

/// Streams in the order in which a slot carried them.
fn carried(log: &SlotLog) -> Vec<u32> {
    let mut streams: Vec<_> = log.in_sequence().iter().map(|a| a.stamp.stream).collect();
    streams.dedup();
    streams
}

fn assert_seamless(log: &SlotLog) {
    log.assert_continuous();
    log.assert_no_frame_without_its_keyframe();
    let (first, highest) = log.span().unwrap();
    assert_eq!(highest - first + 1, log.in_sequence().len() as u64, "a gap");
}

#[test]
fn wishes_change_the_layer_without_a_freeze() {
    for names in [Names::Declared, Names::Extensions] {
        let mut world = World::new(1);
        let alice = world.join(publisher(names, &THREE_LAYERS));
        let bob = world.join(viewer());
        world.run_for(seconds(3));
        let layers = world.peer(alice).publisher.stream_numbers(mid(CAMERA));
        let wish = |world: &mut World, largest| {
            world.command(Command::SetWish {
                session: world.peer(bob).session,
                track: world.peer(alice).track(mid(CAMERA)).unwrap(),
                wish: Wish {
                    wanted: true,
                    largest,
                },
            });
            world.run_for(seconds(3));
        };
        let begins = world.peer(bob).receiver.slot("v0").log.arrived().len();
        wish(&mut world, LayerLimit::Small);
        wish(&mut world, LayerLimit::Spatial(1));
        wish(&mut world, LayerLimit::Best);
        let log = &world.peer(bob).receiver.slot("v0").log;
        let best = log.arrived()[begins].stamp.stream;
        assert_eq!(
            best, layers[2],
            "{names:?}: the best, if nobody says otherwise"
        );
        assert!(
            carried(log).ends_with(&[layers[2], layers[0], layers[1], layers[2]]),
            "{names:?}: {:?} of {layers:?}",
            carried(log)
        );
        assert_seamless(log);
        let shown = log.shown(ms(100));
        let freeze = longest_freeze(&shown[30..]);
        assert!(freeze <= ms(70), "{names:?}: {freeze:?}");
    }
}

#[test]
fn an_encoding_that_stops_is_left_for_a_lower_one_and_returned_to() {
    let mut world = World::new(2);
    let alice = world.join(publisher(Names::Extensions, &THREE_LAYERS));
    let bob = world.join(viewer());
    world.run_for(seconds(5));
    let layers = world.peer(alice).publisher.stream_numbers(mid(CAMERA));
    let pause = |world: &mut World, paused| {
        let publisher = &mut world.peer_mut(alice).publisher;
        publisher.pause_encoding(mid(CAMERA), 2, paused);
        world.run_for(seconds(5));
    };
    pause(&mut world, true);
    pause(&mut world, false);
    let log = &world.peer(bob).receiver.slot("v0").log;
    assert!(
        carried(log).ends_with(&[layers[2], layers[1], layers[2]]),
        "{:?}",
        carried(log)
    );
    assert_seamless(log);
    // The encoder gave no warning: a second passes before the encoding is taken to be gone.
    let shown = log.shown(ms(100));
    let freeze = longest_freeze(&shown);
    assert!(freeze < ms(1700), "{freeze:?}");
}

#[test]
fn a_switch_over_lossy_and_reordering_links_stays_decodable() {
    let leg = LinkConfig {
        jitter: ms(10),
        reorder: 0.05,
        reorder_by: ms(15),
        ..LinkConfig::delay_ms(20).losing(0.03)
    };
    for seed in 10..20 {
        let mut world = World::new(seed);
        let alice = world.join(PeerConfig {
            up: leg,
            down: leg,
            ..publisher(Names::Extensions, &THREE_LAYERS)
        });
        let bob = world.join(PeerConfig {
            up: leg,
            down: leg,
            ..viewer()
        });
        for turn in 0..10 {
            world.run_for(seconds(2));
            world.command(Command::SetWish {
                session: world.peer(bob).session,
                track: world.peer(alice).track(mid(CAMERA)).unwrap(),
                wish: Wish {
                    wanted: true,
                    largest: LayerLimit::Spatial(turn % 3),
                },
            });
        }
        let log = &world.peer(bob).receiver.slot("v0").log;
        log.assert_continuous();
        let shown = log.shown(ms(400));
        assert!(
            shown.len() > 560,
            "seed {seed}: {} of 600 frames",
            shown.len()
        );
        let freeze = longest_freeze(&shown[30..]);
        assert!(freeze < ms(300), "seed {seed}: {freeze:?}");
    }
}

#[test]
fn a_sender_that_begins_anew_under_another_ssrc_is_followed() {
    for names in [Names::Declared, Names::Extensions] {
        let mut world = World::new(3);
        let alice = world.join(publisher(names, &[500_000]));
        let bob = world.join(viewer());
        for _ in 0..5 {
            world.run_for(seconds(3));
            for track in [CAMERA, MICROPHONE] {
                world.peer_mut(alice).publisher.restart(mid(track));
            }
            world.put_session(alice);
        }
        world.run_for(seconds(3));
        let receiver = &world.peer(bob).receiver;
        let (video, audio) = (&receiver.slot("v0").log, &receiver.slot("a0").log);
        assert_eq!(carried(video).len(), 6, "{names:?}");
        assert_eq!(carried(audio).len(), 6, "{names:?}");
        assert_seamless(video);
        assert_seamless(audio);
        let freeze = longest_freeze(&video.shown(ms(150)));
        assert!(freeze < ms(200), "{names:?}: {freeze:?}");
    }
}

/// Speaks in the even tens of seconds.
fn even(now: Time) -> Option<u8> {
    (now.as_micros() / 10_000_000)
        .is_multiple_of(2)
        .then_some(30)
}

/// Speaks in the odd tens of seconds.
fn odd(now: Time) -> Option<u8> {
    even(now).is_none().then_some(30)
}

fn speaker(level: fn(Time) -> Option<u8>) -> PeerConfig {
    let mut config = publisher(Names::Declared, &[200_000]);
    config.tracks[1] = microphone(level);
    config
}

#[test]
fn the_speaker_has_the_only_slots_soon_and_with_a_marker() {
    let mut world = World::with_engines(4, 1, EngineConfig::default(), Some(1));
    world.join(speaker(even));
    world.join(speaker(odd));
    let carol = world.join(PeerConfig {
        audio_slots: 1,
        video_slots: 1,
        ..viewer()
    });
    world.run_for(seconds(60));
    let receiver = &world.peer(carol).receiver;
    let (video, audio) = (&receiver.slot("v0").log, &receiver.slot("a0").log);
    assert_seamless(audio);
    assert_seamless(video);
    let people = |log| {
        let mut people: Vec<_> = carried(log).into_iter().map(|s| s / 1000).collect();
        people.dedup();
        people
    };
    assert_eq!(people(audio), [1, 2, 1, 2, 1, 2]);
    assert!(
        people(video).ends_with(&[1, 2, 1, 2, 1, 2]),
        "{:?}",
        people(video)
    );
    let first_of = |log: &SlotLog, person: u32, from: u64| {
        let found = log
            .in_sequence()
            .into_iter()
            .find(|a| a.stamp.stream / 1000 == person && a.at >= Time::from_millis(from));
        found.unwrap()
    };
    for (turn, person) in [(1, 2), (2, 1), (3, 2), (4, 1), (5, 2)] {
        let begins = turn * 10_000;
        let sound = first_of(audio, person, begins);
        let waited = sound.at.since(Time::from_millis(begins));
        assert!(sound.marker, "marker of the first packet");
        assert!(waited < ms(1500), "{waited:?}");
        let picture = first_of(video, person, begins);
        assert!(picture.at.since(Time::from_millis(begins)) < ms(2500));
    }
}

#[test]
fn a_screen_share_is_seen_whoever_speaks() {
    let mut world = World::with_engines(5, 1, EngineConfig::default(), Some(3));
    for _ in 0..3 {
        world.join(publisher(Names::Declared, &[200_000]));
    }
    let carol = world.join(PeerConfig {
        video_slots: 1,
        audio_slots: 3,
        ..viewer()
    });
    world.run_for(seconds(5));
    let sharer = world.join(PeerConfig {
        shares_screen: true,
        tracks: vec![TrackSpec {
            mid: mid("screen"),
            source: Source::Video {
                frame_rate: 10,
                bitrates: vec![500_000],
            },
            names: Names::Declared,
            start: Default::default(),
        }],
        ..publisher(Names::Declared, &[])
    });
    world.run_for(seconds(3));
    let log = &world.peer(carol).receiver.slot("v0").log;
    assert_seamless(log);
    let last = log.arrived().last().map(|a| a.stamp.stream);
    let screen = world.peer(sharer).publisher.stream_numbers(mid("screen"))[0];
    assert_eq!(last, Some(screen));
}

#[test]
fn a_relayed_track_is_a_track_like_any_other() {
    let mut world = World::with_engines(6, 3, EngineConfig::default(), None);
    let leg = LinkConfig::delay_ms(25).losing(0.02);
    let alice = world.join(PeerConfig {
        up: leg,
        down: leg,
        ..publisher(Names::Extensions, &THREE_LAYERS)
    });
    for (relay, track, engine) in [(1, CAMERA, 1), (2, MICROPHONE, 1), (3, CAMERA, 2)] {
        world.relay(RelayId(relay), alice, mid(track), engine);
    }
    world.run_for(seconds(5));
    let requests = world.peer(alice).publisher.keyframe_requests.len();
    let joined = world.now();
    let viewers: Vec<_> = [1, 1, 2].map(|e| world.join_at(e, viewer())).into();
    world.run_for(seconds(10));
    assert!(world.peer(alice).publisher.keyframe_requests.len() > requests);
    for viewer in viewers {
        let log = &world.peer(viewer).receiver.slot("v0").log;
        log.assert_continuous();
        let shown = log.shown(ms(300));
        let waited = shown[0].complete.since(joined);
        assert!(waited < ms(700), "{waited:?}");
        let freeze = longest_freeze(&shown);
        assert!(freeze < ms(100), "{freeze:?}");
        let is_best =
            |s: Stamp| s.stream == world.peer(alice).publisher.stream_numbers(mid(CAMERA))[2];
        assert!(is_best(log.arrived().last().unwrap().stamp));
    }
}
