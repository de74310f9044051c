//! One publisher, one subscriber: what is said is heard, what is shown is seen.

use crosspoint_media::config::TrackId;
use crosspoint_media::config::TrackSource;
use crosspoint_media::event::Event;
use crosspoint_wire::codec::Codec;

use crate::world::{Source, World, receive, session, slots};

const CAMERA: u32 = 1000;
const MICROPHONE: u32 = 2000;

#[test]
fn sound_and_pictures_reach_the_subscriber() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(
            vec![
                receive(1, TrackSource::Microphone, MICROPHONE),
                receive(2, TrackSource::Camera, CAMERA),
            ],
            Vec::new(),
        ),
    );
    let bob = world.join(2, session(Vec::new(), slots(5000, 1, 1)));
    let mut microphone = Source::new(alice, Codec::Opus, MICROPHONE);
    let mut camera = Source::new(alice, Codec::Vp8, CAMERA);
    for frame in 0..25 {
        microphone.send_sound(&mut world, 30);
        microphone.send_sound(&mut world, 30);
        camera.send_frame(&mut world, frame == 0);
        world.advance_ms(40);
    }
    let streams = world.take_streams(bob);
    let (sound, pictures) = (&streams[&5000], &streams[&5010]);
    assert_eq!((sound.len(), pictures.len()), (50, 75));
    for stream in [sound, pictures] {
        for (a, b) in stream.iter().zip(&stream[1..]) {
            assert_eq!(b.index, a.index + 1);
            assert_eq!(b.index as u16, b.header().sequence_number);
        }
    }
    assert_eq!(pictures[0].header().payload_type, 96);
    assert_eq!(sound[0].extensions().mid, Some(&b"r0"[..]));
    assert_eq!(sound[0].extensions().audio_level.unwrap().level, 30);
    assert!(sound[0].header().marker && !sound[1].header().marker);
    let started = |track, codec| Event::TrackStarted {
        track: TrackId(track),
        codec,
    };
    let events = world.take_events();
    assert!(events.contains(&started(1, Codec::Opus)));
    assert!(events.contains(&started(2, Codec::Vp8)));
}

#[test]
fn a_late_joiner_has_a_keyframe_asked_for_and_begins_with_it() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(2, TrackSource::Camera, CAMERA)], vec![]),
    );
    let mut camera = Source::new(alice, Codec::Vp8, CAMERA);
    camera.send_frame(&mut world, true);
    for _ in 0..50 {
        camera.send_frame(&mut world, false);
        world.advance_ms(40);
    }
    world.take_asked(alice);
    let bob = world.join(2, session(Vec::new(), slots(5000, 0, 1)));
    world.advance_ms(1);
    assert_eq!(world.take_asked(alice).keyframes, [CAMERA]);
    camera.send_frame(&mut world, false);
    assert!(world.take_sent().is_empty());
    camera.send_frame(&mut world, true);
    let sent = world.take_streams(bob).remove(&5000).unwrap();
    assert_eq!(sent.len(), 3);
    assert_eq!(sent[0].payload()[4] & 1, 0, "begins with a keyframe");
    world.advance_ms(2000);
    assert!(
        world.take_asked(alice).keyframes.is_empty(),
        "who has a keyframe asks for none"
    );
}
