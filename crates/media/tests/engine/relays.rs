//! One track in two engines: packets, keyframe requests and clocks over a relay.

use crosspoint_media::command::{Command, CommandError};
use crosspoint_media::config::{
    ParticipantId, ReceiveConfig, RelayId, SessionId, SessionKey, TrackId, TrackSource,
};
use crosspoint_media::event::Event;
use crosspoint_wire::codec::Codec;
use crosspoint_wire::rtcp::{Compound, RtcpPacket, SenderInfo};
use crosspoint_wire::time::NtpTime;

use crate::world::{ROOM, Source, World, receive, session, simulcast, slots};

const RELAY: RelayId = RelayId(77);

/// Two engines; what one says on a relay the other hears.
struct Pair {
    near: World,
    far: World,
    viewer: SessionKey,
}

impl Pair {
    fn new(track: &ReceiveConfig) -> Self {
        let mut near = World::with_seed(1);
        let mut far = World::with_seed(2);
        near.join(1, session(vec![track.clone()], vec![]));
        near.command(Command::OpenRelay {
            track: track.track,
            relay: RELAY,
        });
        far.command(Command::AcceptRelay {
            relay: RELAY,
            room: ROOM,
            participant: ParticipantId(1),
            track: track.clone(),
        });
        let viewer = far.join(2, session(vec![], slots(5000, 1, 1)));
        Self { near, far, viewer }
    }

    /// Carries what was said, both ways.
    fn carry(&mut self) {
        for _ in 0..2 {
            hand_over(&mut self.near, &mut self.far);
            hand_over(&mut self.far, &mut self.near);
        }
    }

    fn advance_ms(&mut self, ms: u64) {
        for _ in 0..ms {
            self.near.advance_ms(1);
            self.far.advance_ms(1);
            self.carry();
        }
    }

    fn send_frame(&mut self, source: &mut Source, keyframe: bool) -> usize {
        source.send_frame(&mut self.near, keyframe);
        self.carry();
        self.far.take_sent().len()
    }
}

fn hand_over(from: &mut World, to: &mut World) {
    for (relay, message) in from.take_relayed() {
        to.engine.handle_relay(to.now, relay, &message);
    }
    to.flush();
}

#[test]
fn a_relayed_camera_is_seen_in_the_other_engine() {
    let mut pair = Pair::new(&receive(1, TrackSource::Camera, 100));
    let alice = pair.near.engine.session_key(SessionId(1)).unwrap();
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    assert_eq!(pair.send_frame(&mut camera, true), 3);
    assert_eq!(pair.send_frame(&mut camera, false), 3);
    let started = Event::TrackStarted {
        track: TrackId(1),
        codec: Codec::Vp8,
    };
    assert!(pair.far.take_events().contains(&started));
    assert_eq!(pair.far.feeds(2).len(), 0, "events were taken");
}

#[test]
fn a_keyframe_wanted_there_is_asked_for_here() {
    let mut pair = Pair::new(&receive(1, TrackSource::Camera, 100));
    let alice = pair.near.engine.session_key(SessionId(1)).unwrap();
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    pair.send_frame(&mut camera, true);
    pair.advance_ms(1000);
    pair.near.take_asked(alice);
    let late = pair.far.join(3, session(vec![], slots(9000, 0, 1)));
    pair.advance_ms(5);
    assert_eq!(pair.near.take_asked(alice).keyframes, [100]);
    assert_eq!(pair.send_frame(&mut camera, false), 3);
    camera.send_frame(&mut pair.near, true);
    pair.carry();
    assert_eq!(pair.far.take_streams(late)[&9000].len(), 3);
}

#[test]
fn simulcast_encodings_stay_apart_on_a_relay() {
    let mut pair = Pair::new(&simulcast(1, &["f", "q"]));
    let alice = pair.near.engine.session_key(SessionId(1)).unwrap();
    let mut low = Source::new(alice, Codec::Vp8, 11).named("s1", Some("q"));
    let mut high = Source::new(alice, Codec::Vp8, 22).named("s1", Some("f"));
    pair.send_frame(&mut low, true);
    pair.send_frame(&mut high, true);
    assert_eq!(pair.send_frame(&mut low, false), 0);
    high.send_frame(&mut pair.near, false);
    pair.carry();
    let sent = pair.far.take_streams(pair.viewer);
    assert_eq!(sent[&5010].len(), 3);
    assert_eq!(sent[&5010][0].payload().last(), Some(&22));
}

#[test]
fn speech_is_heard_over_a_relay_and_the_speaker_is_known() {
    let mut pair = Pair::new(&receive(1, TrackSource::Microphone, 100));
    let alice = pair.near.engine.session_key(SessionId(1)).unwrap();
    let mut microphone = Source::new(alice, Codec::Opus, 100);
    for _ in 0..100 {
        microphone.send_sound(&mut pair.near, 30);
        pair.advance_ms(20);
    }
    let heard = pair.far.take_streams(pair.viewer).remove(&5000).unwrap();
    assert_eq!(heard.len(), 100);
    assert_eq!(heard[0].extensions().audio_level.unwrap().level, 30);
    let speaks = |event: &Event| matches!(event, Event::ActiveSpeakers { speakers, .. } if speakers[0].0 == ParticipantId(1));
    assert!(pair.far.take_events().iter().any(speaks));
}

#[test]
fn sender_reports_reach_the_far_slot_on_the_sources_clock() {
    let mut pair = Pair::new(&receive(1, TrackSource::Camera, 100));
    let alice = pair.near.engine.session_key(SessionId(1)).unwrap();
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    pair.near.rtp(alice, &camera.vp8_frame(true, 1)[0]);
    // The publisher says: 90,000 ticks after the frame just sent was now.
    let info = SenderInfo {
        ssrc: 100,
        ntp: NtpTime::from_unix_micros(5_000_000),
        rtp_timestamp: camera.timestamp.wrapping_sub(3600).wrapping_add(90_000),
        ..SenderInfo::default()
    };
    pair.near
        .rtcp(alice, |writer| writer.sender_report(&info, &[]).unwrap());
    pair.carry();
    let sent = pair.far.take_streams(pair.viewer).remove(&5010).unwrap();
    let said_at = pair.far.now;
    pair.advance_ms(200);
    let report = pair
        .far
        .take_rtcp(pair.viewer)
        .iter()
        .flat_map(|packet| {
            Compound::new(packet)
                .map(Result::unwrap)
                .filter_map(|m| match m {
                    RtcpPacket::SenderReport { info, .. } => Some(info),
                    _ => None,
                })
                .collect::<Vec<_>>()
        })
        .next_back()
        .unwrap();
    assert_eq!(report.ssrc, 5010);
    let elapsed_us = report
        .ntp
        .micros_since(NtpTime::from_unix_micros(said_at.as_micros()));
    let expected = sent[0]
        .header()
        .timestamp
        .wrapping_add(90_000 + (elapsed_us * 9 / 100) as u32);
    let error = report.rtp_timestamp.wrapping_sub(expected).cast_signed();
    assert!(error.abs() <= 90, "{error} ticks");
}

#[test]
fn a_closed_relay_carries_nothing_and_ends_its_track() {
    let mut pair = Pair::new(&receive(1, TrackSource::Camera, 100));
    let alice = pair.near.engine.session_key(SessionId(1)).unwrap();
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    pair.send_frame(&mut camera, true);
    pair.near.command(Command::CloseRelay { relay: RELAY });
    assert_eq!(pair.send_frame(&mut camera, true), 0);
    pair.far.command(Command::CloseRelay { relay: RELAY });
    assert_eq!(pair.far.engine.track_count(), 0);
    pair.far
        .engine
        .handle_relay(pair.far.now, RELAY, &[1, 0, 0]);
    assert_eq!(pair.far.counter("relay_malformed"), 1);
    let again = Command::CloseRelay { relay: RELAY };
    let refused = pair.near.engine.handle_command(pair.near.now, again);
    assert_eq!(refused, Err(CommandError::UnknownRelay(RELAY)));
}

#[test]
fn a_stream_that_starts_over_is_followed_over_the_relay() {
    let mut track = receive(1, TrackSource::Camera, 0);
    track.ssrcs.clear();
    let mut pair = Pair::new(&track);
    let alice = pair.near.engine.session_key(SessionId(1)).unwrap();
    for ssrc in [7000, 300, 9000] {
        let mut camera = Source::new(alice, Codec::Vp8, ssrc).named("s1", None);
        assert_eq!(pair.send_frame(&mut camera, true), 3);
        assert_eq!(pair.send_frame(&mut camera, false), 3);
    }
}
