//! Transport-wide numbers: one count for all that a session is sent and reports on.

use crosspoint_media::config::TrackSource;
use crosspoint_wire::codec::Codec;

use crate::world::{Source, World, receive, session, slots};

/// A receiver that negotiated the extension on its video m-lines only sees no other number, and
/// reports what is between those that it sees as lost.
#[test]
fn only_slots_that_negotiated_them_are_numbered_and_no_number_is_left_out() {
    let mut world = World::new();
    let tracks = vec![
        receive(1, TrackSource::Microphone, 100),
        receive(2, TrackSource::Camera, 200),
    ];
    let alice = world.join(1, session(tracks, vec![]));
    let mut lines = slots(5000, 1, 1);
    lines[0].transport_cc = false;
    let bob = world.join(2, session(vec![], lines));
    let mut voice = Source::new(alice, Codec::Opus, 100);
    let mut camera = Source::new(alice, Codec::Vp8, 200);
    for n in 0..20 {
        voice.send_sound(&mut world, 20);
        camera.send_frame(&mut world, n == 0);
        world.advance_ms(20);
    }
    let streams = world.take_streams(bob);
    assert_eq!(streams[&5000].len(), 20);
    let unnumbered = |sent: &crate::world::Sent| sent.extensions().transport_cc.is_none();
    assert!(streams[&5000].iter().all(unnumbered));
    let numbers = streams[&5010].iter();
    let numbers: Vec<_> = numbers
        .map(|sent| sent.extensions().transport_cc.unwrap())
        .collect();
    assert_eq!(numbers.len(), 60);
    assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1));
}
