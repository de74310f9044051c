//! Who is heard, and who is said to speak.

use crosspoint_media::config::{EngineConfig, ParticipantId};
use crosspoint_media::event::Event;
use crosspoint_sim::publisher::Names;
use crosspoint_sim::{LinkConfig, PeerConfig, World};
use crosspoint_wire::time::Time;

use crate::people::{microphone, ms, publisher, seconds};

/// A listener who also speaks, without a camera.
fn person(level: fn(Time) -> Option<u8>, slots: usize) -> PeerConfig {
    PeerConfig {
        tracks: vec![microphone(level)],
        audio_slots: slots,
        ..publisher(Names::Declared, &[])
    }
}

fn silent(_: Time) -> Option<u8> {
    None
}

fn speaks_from_ten_to_fifteen(now: Time) -> Option<u8> {
    (10..15)
        .contains(&(now.as_micros() / 1_000_000))
        .then_some(25)
}

fn murmurs(_: Time) -> Option<u8> {
    Some(45)
}

/// Lists of active speakers, with when they were told.
fn lists(world: &World) -> Vec<(Time, Vec<u64>)> {
    let lists = world
        .events()
        .iter()
        .filter_map(|(at, _, event)| match event {
            Event::ActiveSpeakers { speakers, .. } => Some((
                *at,
                speakers.iter().map(|&(ParticipantId(p), _)| p).collect(),
            )),
            _ => None,
        });
    lists.collect()
}

#[test]
fn three_of_twenty_microphones_are_forwarded_to_each() {
    let config = EngineConfig::default();
    let mut world = World::with_engines(1, 1, config, Some(3));
    let people: Vec<_> = (0..20)
        .map(|n| world.join(person(if n < 5 { murmurs } else { silent }, 6)))
        .collect();
    world.run_for(seconds(10));
    for &listener in &people {
        let receiver = &world.peer(listener).receiver;
        let recent = receiver.slots().filter(|slot| {
            let last = slot.log.arrived().last();
            last.is_some_and(|a| world.now().since(a.at) < seconds(1))
        });
        let heard: Vec<_> = recent
            .map(|s| s.log.arrived().last().unwrap().stamp.stream)
            .collect();
        assert!(heard.len() <= 3, "{listener} hears {heard:?}");
        assert!(
            heard.len() >= 2,
            "{listener} hears {heard:?}, itself perhaps a speaker"
        );
        let own = world.peer(listener).session.0 as u32;
        assert!(heard.iter().all(|s| s / 1000 != own));
        assert!(
            heard.iter().all(|s| (1..=5).contains(&(s / 1000))),
            "{heard:?}"
        );
    }
}

#[test]
fn a_new_speaker_is_heard_and_named_and_forgotten_again() {
    let mut world = World::with_engines(2, 1, EngineConfig::default(), Some(1));
    world.join(person(murmurs, 0));
    world.join(person(speaks_from_ten_to_fifteen, 0));
    let listener = world.join(PeerConfig {
        tracks: Vec::new(),
        ..person(silent, 1)
    });
    world.run_for(seconds(30));
    let log = &world.peer(listener).receiver.slot("a0").log;
    log.assert_continuous();
    let of_second = |a: &&crosspoint_sim::receiver::Arrived| a.stamp.stream / 1000 == 2;
    let heard = log.arrived().iter().find(of_second).unwrap();
    let waited = heard.at.since(Time::from_millis(10_000));
    assert!(waited < ms(800), "heard after {waited:?}");
    assert!(
        heard.marker,
        "a change of speaker is the beginning of a talk spurt"
    );

    let lists = lists(&world);
    assert!(
        lists.windows(2).all(|w| w[1].0.since(w[0].0) >= ms(299)),
        "{lists:?}"
    );
    let named = lists
        .iter()
        .find(|(_, people)| people.first() == Some(&2))
        .unwrap();
    assert!(
        named.0.since(Time::from_millis(10_000)) < ms(800),
        "{lists:?}"
    );
    let (ended, last) = lists.last().unwrap();
    assert_eq!(last, &[1]);
    assert!(
        ended.since(Time::from_millis(15_000)) < seconds(3),
        "{lists:?}"
    );
    assert!(lists.len() < 10, "{lists:?}");
}

#[test]
fn silence_costs_next_to_nothing_and_speech_after_it_has_a_marker() {
    let mut world = World::new(3);
    world.join(person(speaks_from_ten_to_fifteen, 0));
    let listener = world.join(PeerConfig {
        tracks: Vec::new(),
        up: LinkConfig::delay_ms(10),
        ..person(silent, 1)
    });
    world.run_for(seconds(20));
    let log = &world.peer(listener).receiver.slot("a0").log;
    log.assert_continuous();
    let packets = log.arrived().len();
    assert!(
        (280..300).contains(&packets),
        "{packets}: 250 of speech, two or three a second else"
    );
    let spurts: Vec<_> = log.arrived().iter().filter(|a| a.marker).collect();
    assert!(
        (1..=2).contains(&spurts.len()),
        "the first packet of all and that of speech"
    );
    let speech = spurts.last().unwrap().stamp.captured;
    assert!(speech.since(Time::from_millis(10_000)) < ms(25));
    let spoken: Vec<_> = lists(&world)
        .into_iter()
        .map(|(_, people)| people)
        .collect();
    assert_eq!(spoken, [vec![1], vec![]]);
}
