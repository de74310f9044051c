//! Who is heard and who is said to speak.

use std::collections::BTreeSet;

use crosspoint_media::config::{ParticipantId, SessionKey, TrackSource};
use crosspoint_media::event::Event;
use crosspoint_wire::codec::Codec;

use crate::world::{ROOM, Source, World, receive, session, slots};

struct Meeting {
    world: World,
    people: Vec<(SessionKey, Source)>,
}

impl Meeting {
    /// `count` people with microphones and `audio` slots each, of which the `top` loudest are
    /// heard.
    fn new(count: u64, audio: u16, top: Option<u8>) -> Self {
        let mut world = World::new();
        world.put_room(ROOM, top);
        let people = (1..=count)
            .map(|id| {
                let ssrc = 100 * id as u32;
                let microphone = receive(id, TrackSource::Microphone, ssrc);
                let slots = slots(10_000 * id as u32, audio, 0);
                let key = world.join(id, session(vec![microphone], slots));
                (key, Source::new(key, Codec::Opus, ssrc))
            })
            .collect();
        Self { world, people }
    }

    /// Lets the people numbered `speaking` (from 1) speak and all others be silent.
    fn talk(&mut self, duration_ms: u64, speaking: &[usize]) {
        for _ in 0..duration_ms / 20 {
            for (i, (_, microphone)) in self.people.iter_mut().enumerate() {
                let level = if speaking.contains(&(i + 1)) { 30 } else { 90 };
                microphone.send_sound(&mut self.world, level);
            }
            self.world.advance_ms(20);
        }
    }

    fn heard_by(&mut self, id: u64) -> BTreeSet<u64> {
        self.world.feeds(id).into_values().collect()
    }
}

#[test]
fn in_a_large_meeting_the_loudest_are_heard_and_nobody_hears_himself() {
    let mut meeting = Meeting::new(20, 4, Some(3));
    meeting.talk(1000, &[]);
    meeting.talk(3000, &[7, 11, 19]);
    assert_eq!(meeting.heard_by(1), BTreeSet::from([7, 11, 19]));
    assert_eq!(meeting.heard_by(7), BTreeSet::from([11, 19]));
    meeting.world.take_sent();
    meeting.talk(1000, &[7, 11, 19]);
    let sent = meeting.world.take_sent().len();
    assert_eq!(
        sent,
        50 * (17 * 3 + 3 * 2),
        "three streams a listener, not nineteen"
    );
}

#[test]
fn a_new_speaker_is_heard_soon_and_with_a_marker() {
    let mut meeting = Meeting::new(6, 3, Some(1));
    meeting.talk(3000, &[2]);
    assert_eq!(meeting.heard_by(1), BTreeSet::from([2]));
    meeting.world.take_sent();
    meeting.talk(2000, &[5]);
    assert_eq!(meeting.heard_by(1), BTreeSet::from([5]));
    let listener = meeting.people[0].0;
    let sent: Vec<_> = meeting
        .world
        .take_streams(listener)
        .into_values()
        .flatten()
        .collect();
    let markers = sent.iter().filter(|s| s.header().marker).count();
    assert_eq!(markers, 1);
}

#[test]
fn in_a_call_everybody_is_heard_without_speaking() {
    let mut meeting = Meeting::new(4, 4, None);
    meeting.talk(200, &[]);
    assert_eq!(meeting.heard_by(1), BTreeSet::from([2, 3, 4]));
}

#[test]
fn who_speaks_is_told_and_that_nobody_does() {
    let mut meeting = Meeting::new(3, 2, Some(2));
    meeting.talk(1000, &[]);
    meeting.world.take_events();
    meeting.talk(2000, &[2]);
    meeting.talk(3000, &[]);
    let told: Vec<Vec<ParticipantId>> = meeting
        .world
        .take_events()
        .into_iter()
        .filter_map(|event| match event {
            Event::ActiveSpeakers { room, speakers } => {
                assert_eq!(room, ROOM);
                Some(speakers.into_iter().map(|(who, _)| who).collect())
            }
            _ => None,
        })
        .collect();
    assert_eq!(told, [vec![ParticipantId(2)], vec![]]);
}

#[test]
fn a_shared_screens_sound_is_heard_beside_the_loudest() {
    let mut meeting = Meeting::new(5, 2, Some(1));
    let screen = receive(50, TrackSource::ScreenShareAudio, 7000);
    meeting.world.join(50, session(vec![screen], vec![]));
    meeting.talk(2000, &[3]);
    assert_eq!(meeting.heard_by(1), BTreeSet::from([3, 50]));
}

#[test]
fn speakers_are_seen_when_there_are_fewer_slots_than_cameras() {
    let mut world = World::new();
    world.put_room(ROOM, Some(3));
    let mut microphones = Vec::new();
    for id in 1..=6 {
        let ssrc = 100 * id as u32;
        let tracks = vec![
            receive(id, TrackSource::Microphone, ssrc),
            receive(10 + id, TrackSource::Camera, ssrc + 10),
        ];
        let key = world.join(id, session(tracks, vec![]));
        microphones.push(Source::new(key, Codec::Opus, ssrc));
    }
    world.join(9, session(vec![], slots(5000, 3, 2)));
    for speaker in [4, 6] {
        for _ in 0..100 {
            for (i, microphone) in microphones.iter_mut().enumerate() {
                microphone.send_sound(&mut world, if i + 1 == speaker { 30 } else { 90 });
            }
            world.advance_ms(20);
        }
    }
    let seen: BTreeSet<_> = world.feeds(9).into_values().filter(|&t| t > 10).collect();
    assert_eq!(seen, BTreeSet::from([14, 16]));
}
