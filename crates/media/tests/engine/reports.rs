//! RTCP of our own: reports, clocks, congestion feedback.

use std::time::Duration;

use crosspoint_media::config::{CongestionFeedback, TrackSource};
use crosspoint_wire::codec::Codec;
use crosspoint_wire::rtcp::{Compound, ReportBlock, RtcpPacket, SenderInfo};
use crosspoint_wire::time::NtpTime;

use crate::world::{ROOM, Source, World, receive, session, slots};

fn members(packets: &[Vec<u8>]) -> Vec<RtcpPacket<'_>> {
    packets
        .iter()
        .flat_map(|packet| Compound::new(packet))
        .map(Result::unwrap)
        .collect()
}

fn sender_reports(packets: &[Vec<u8>]) -> Vec<SenderInfo> {
    let info = |member| match member {
        RtcpPacket::SenderReport { info, .. } => Some(info),
        _ => None,
    };
    members(packets).into_iter().filter_map(info).collect()
}

fn blocks(packets: &[Vec<u8>]) -> Vec<ReportBlock> {
    let blocks = |member| match member {
        RtcpPacket::SenderReport { reports, .. } | RtcpPacket::ReceiverReport { reports, .. } => {
            Some(reports.iter().collect::<Vec<_>>())
        }
        _ => None,
    };
    members(packets)
        .into_iter()
        .filter_map(blocks)
        .flatten()
        .collect()
}

#[test]
fn a_publisher_learns_what_its_path_lost() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(1, TrackSource::Camera, 100)], vec![]),
    );
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    for frame in 0..50 {
        let packets = camera.vp8_frame(frame == 0, 4);
        for (i, packet) in packets.iter().enumerate() {
            if frame == 0 || i != 2 {
                world.rtp(alice, packet);
            }
        }
        world.advance_ms(40);
    }
    let rtcp = world.take_rtcp(alice);
    let block = blocks(&rtcp).into_iter().next_back().unwrap();
    assert_eq!(block.ssrc, 100);
    assert!(
        (62..=66).contains(&block.fraction_lost),
        "a quarter: {block:?}"
    );
    assert!(block.cumulative_lost > 20);
}

#[test]
fn transport_feedback_names_every_packet() {
    let mut world = World::new();
    let alice = world.join(
        1,
        session(vec![receive(1, TrackSource::Camera, 100)], vec![]),
    );
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    for frame in 0..25 {
        camera.send_frame(&mut world, frame == 0);
        world.advance_ms(40);
    }
    let rtcp = world.take_rtcp(alice);
    let mut arrived: Vec<_> = members(&rtcp)
        .into_iter()
        .filter_map(|member| match member {
            RtcpPacket::TransportCc(feedback) => Some(feedback),
            _ => None,
        })
        .flat_map(|feedback| feedback.packets().filter(|p| p.arrival_us.is_some()))
        .map(|packet| packet.sequence_number)
        .collect();
    arrived.dedup();
    let last = *arrived.last().unwrap();
    assert!(last >= 70, "{last}");
    assert_eq!(arrived, (1..=last).collect::<Vec<_>>());
}

#[test]
fn a_publisher_that_knows_remb_only_gets_remb_only() {
    let mut world = World::new();
    let mut config = session(vec![receive(1, TrackSource::Camera, 100)], vec![]);
    config.feedback = CongestionFeedback::Remb;
    let alice = world.join(1, config);
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    for frame in 0..75 {
        camera.send_frame(&mut world, frame == 0);
        world.advance_ms(40);
    }
    let rtcp = world.take_rtcp(alice);
    let members = members(&rtcp);
    let limits: Vec<_> = members
        .iter()
        .filter_map(|member| match member {
            RtcpPacket::Remb {
                bitrate_bps,
                sources,
                ..
            } => {
                assert_eq!(sources.iter().next(), Some(100));
                Some(*bitrate_bps)
            }
            _ => None,
        })
        .collect();
    assert!(
        limits.len() >= 2 && limits.iter().all(|&l| l >= 900_000),
        "{limits:?}"
    );
    assert!(
        !members
            .iter()
            .any(|m| matches!(m, RtcpPacket::TransportCc(_)))
    );
}

#[test]
fn compound_packets_begin_with_a_report_where_reduced_size_was_not_negotiated() {
    let mut world = World::new();
    let mut config = session(vec![receive(1, TrackSource::Camera, 100)], vec![]);
    config.reduced_size_rtcp = false;
    let alice = world.join(1, config);
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    world.join(2, session(vec![], slots(5000, 0, 1)));
    for frame in 0..25 {
        let packets = camera.vp8_frame(frame == 0, 4);
        world.rtp(alice, &packets[0]);
        world.rtp(alice, &packets[3]);
        world.advance_ms(40);
    }
    let rtcp = world.take_rtcp(alice);
    assert!(rtcp.len() > 10);
    for packet in rtcp {
        let kinds: Vec<_> = Compound::new(&packet).map(Result::unwrap).collect();
        assert!(
            matches!(kinds[0], RtcpPacket::ReceiverReport { .. }),
            "{kinds:?}"
        );
        assert!(
            matches!(kinds[1], RtcpPacket::Other { packet_type: 202 }),
            "{kinds:?}"
        );
    }
}

/// Sound and pictures of one person, captured at one instant, have different RTP clocks with
/// arbitrary beginnings, and the person's wall clock is hours off. The sender reports of the two
/// slots must still say that they were captured at one instant.
#[test]
fn lips_stay_in_step_over_the_server() {
    let mut world = World::new();
    let tracks = vec![
        receive(1, TrackSource::Microphone, 200),
        receive(2, TrackSource::Camera, 100),
    ];
    let alice = world.join(1, session(tracks, vec![]));
    let bob = world.join(2, session(vec![], slots(5000, 1, 1)));
    let mut microphone = Source::new(alice, Codec::Opus, 200);
    let mut camera = Source::new(alice, Codec::Vp8, 100);
    let (sound_zero, picture_zero) = (microphone.timestamp, camera.timestamp);
    let wall_zero_us = 77_000_000_000;
    let mut infos = Vec::new();
    let (mut first_sound, mut first_picture) = (None, None);
    for frame in 0..100_u32 {
        microphone.send_sound(&mut world, 30);
        microphone.send_sound(&mut world, 30);
        // Pictures take longer through the encoder than sound.
        world.advance_ms(25);
        camera.send_frame(&mut world, frame == 0);
        if frame % 20 == 7 {
            let captured_us = u64::from(frame) * 40_000;
            for (ssrc, zero, rate) in [(200, sound_zero, 48_000), (100, picture_zero, 90_000)] {
                let ticks = u64::from(frame) * 40 * rate / 1000;
                let info = SenderInfo {
                    ssrc,
                    ntp: NtpTime::from_unix_micros(wall_zero_us + captured_us),
                    rtp_timestamp: zero.wrapping_add(ticks as u32),
                    ..SenderInfo::default()
                };
                world.rtcp(alice, |writer| writer.sender_report(&info, &[]).unwrap());
            }
        }
        world.advance_ms(15);
        let streams = world.take_streams(bob);
        first_sound = first_sound.or_else(|| Some(streams[&5000][0].header().timestamp));
        first_picture = first_picture.or_else(|| Some(streams[&5010][0].header().timestamp));
        infos.extend(sender_reports(&world.take_rtcp(bob)));
    }
    // When was capture time zero, on the server's wall clock, by each slot's report?
    let capture_us = |info: &SenderInfo, zero: u32, rate: i64| {
        let ticks = i64::from(info.rtp_timestamp.wrapping_sub(zero).cast_signed());
        info.ntp.micros_since(NtpTime::from_unix_micros(0)) - ticks * 1_000_000 / rate
    };
    let last = |ssrc| *infos.iter().rfind(|info| info.ssrc == ssrc).unwrap();
    let sound = capture_us(&last(5000), first_sound.unwrap(), 48_000);
    let picture = capture_us(&last(5010), first_picture.unwrap(), 90_000);
    assert!((sound - picture).abs() < 2000, "{sound} {picture}");
    assert!(last(5010).packets >= 200 && last(5000).octets > 6_000);
}

/// How often the engine wants to be woken within a second.
fn wakes_in_a_second(world: &mut World) -> usize {
    let end = world.now + Duration::from_secs(1);
    for wakes in 0..1000 {
        if world.engine.next_timeout() > end {
            return wakes;
        }
        world.now = world.now.max(world.engine.next_timeout());
        world.engine.handle_timeout(world.now);
        world.flush();
    }
    panic!("the engine never sleeps");
}

#[test]
fn feedback_that_is_due_when_its_streams_end_does_not_keep_the_worker_awake() {
    for feedback in [CongestionFeedback::TransportCc, CongestionFeedback::Remb] {
        let mut world = World::new();
        let mut config = session(vec![receive(1, TrackSource::Camera, 100)], vec![]);
        config.feedback = feedback;
        let alice = world.join(1, config.clone());
        Source::new(alice, Codec::Vp8, 100).send_frame(&mut world, true);
        config.receive.clear();
        world.put_session(1, ROOM, config);
        world.flush();
        let wakes = wakes_in_a_second(&mut world);
        assert!(wakes < 10, "{feedback:?}: {wakes}");
    }
}

#[test]
fn feedback_on_packets_of_no_known_stream_does_not_keep_the_worker_awake() {
    let mut world = World::new();
    let alice = world.join(1, session(vec![], slots(5000, 0, 1)));
    Source::new(alice, Codec::Vp8, 100).send_frame(&mut world, true);
    assert_eq!(world.counter("rtp_unknown_ssrc"), 3);
    let wakes = wakes_in_a_second(&mut world);
    assert!(wakes < 10, "{wakes}");
}
