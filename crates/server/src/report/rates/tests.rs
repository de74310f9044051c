use crosspoint_control::model::{Identity, RoomInfo, RoomName, TrackInfo, TrackSid};
use crosspoint_media::config::TrackSource;
use crosspoint_media::inspect::{RemoteReport, SlotReport};
use crosspoint_wire::codec::Codec;
use crosspoint_wire::ids::Mid;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A publisher of one simulcast camera who hears one voice, after `n` seconds of steady traffic.
fn report(n: u64) -> RoomReport {
    let encoding = |bytes| EncodingReport {
        active: true,
        expected: 100 * n,
        packets: 90 * n,
        repairs: 5 * n,
        bytes: bytes * n,
        frames: 30 * n,
        jitter: Duration::from_millis(3),
        ..EncodingReport::default()
    };
    let slot = SlotReport {
        mid: Mid::new(b"4").unwrap(),
        kind: MediaKind::Audio,
        track: None,
        codec: Some(Codec::Opus),
        encoding: Some(0),
        packets: 50 * n,
        repeats: 0,
        bytes: 5000 * n,
        frames: 0,
        nacks: 0,
        plis: 0,
        firs: 0,
        remote: Some(RemoteReport {
            fraction_lost: 64,
            lost: 7,
            jitter: Duration::from_millis(2),
        }),
    };
    let track = TrackInfo {
        sid: TrackSid("TR_1".to_owned()),
        kind: MediaKind::Video,
        source: TrackSource::Camera,
        name: String::new(),
        muted: false,
        codec: Some(Codec::Vp8),
        simulcast: true,
        mid: "1".to_owned(),
        width: 1280,
        height: 0,
    };
    RoomReport {
        room: RoomInfo {
            name: RoomName::new("demo").unwrap(),
            sid: "RM_1".to_owned(),
            settings: Default::default(),
            created_at: SystemTime::UNIX_EPOCH,
            num_participants: 1,
            num_publishers: 1,
            active_speakers: Vec::new(),
        },
        participants: vec![ParticipantReport {
            identity: Identity::new("ann").unwrap(),
            sid: "PA_1".to_owned(),
            connection: Some(Connection {
                local: Some("192.0.2.1:7882".parse().unwrap()),
                remote: Some("[::ffff:198.51.100.9]:4000".parse().unwrap()),
                protocol: Protocol::Udp,
                bytes_sent: 12_500 * n,
                bytes_received: 125_000 * n,
                rtt: Some(Duration::from_micros(12_340)),
                bandwidth_bps: Some(2_000_000),
                limit_bps: None,
            }),
            tracks: vec![PublishedReport {
                track,
                audio_level: None,
                encodings: vec![encoding(12_500), encoding(100_000)],
            }],
            slots: vec![ReceivedReport {
                track: TrackSid("TR_2".to_owned()),
                identity: Identity::new("bob").unwrap(),
                kind: MediaKind::Audio,
                slot,
            }],
        }],
    }
}

fn between(before: u64, now: u64) -> StateReportDto {
    let start = Instant::now();
    let at = |n| Measured {
        at: start + SECOND * u32::try_from(n).unwrap(),
        report: report(n),
    };
    let dto = rates(Some(&at(before)), &at(now));
    dto.participants.into_iter().next().unwrap()
}

#[test]
fn rates_are_differences_over_time_from_the_participants_side() {
    let state = between(10, 12);
    let pair = state.ice_candidate_pair.unwrap();
    assert_eq!((pair.bitrate_send, pair.bitrate_recv), (1000.0, 100.0));
    assert_eq!((pair.ip.as_str(), pair.port), ("198.51.100.9", 4000));
    assert_eq!(pair.remote_ip, "192.0.2.1");
    assert_eq!(pair.rtt, Some(12.3));
    assert_eq!(pair.available_incoming_bitrate, Some(2_000_000));

    let [camera] = &state.senders[..] else {
        panic!("{:?}", state.senders);
    };
    assert_eq!((camera.bitrate, camera.frame_rate), (900.0, Some(30.0)));
    assert_eq!(camera.packets_lost_rate, Some(0.1), "before repair");
    assert_eq!((camera.layer, camera.packets_lost), (Some(1), 240));
    assert_eq!(
        (camera.frame_width, camera.frame_height),
        (Some(1280), None)
    );
    assert_eq!(camera.mos, None, "only sound has one");

    let [voice] = &state.receivers[..] else {
        panic!("{:?}", state.receivers);
    };
    assert_eq!((voice.bitrate, voice.packets_lost_rate), (40.0, Some(0.25)));
    assert_eq!((voice.jitter, voice.layer), (Some(2.0), None));
    assert!(voice.mos.unwrap() < 2.5, "a quarter is lost: {voice:?}");
    assert_eq!(state.mos, voice.mos);
}

#[test]
fn without_a_report_before_there_are_no_rates() {
    let now = Measured {
        at: Instant::now(),
        report: report(5),
    };
    let state = rates(None, &now).participants.into_iter().next().unwrap();
    assert_eq!(state.senders[0].bitrate, 0.0);
    assert_eq!(state.ice_candidate_pair.unwrap().bitrate_send, 0.0);
    // Totals are known all the same.
    assert_eq!(state.senders[0].packets_lost, 100);
}

#[test]
fn totals_that_begin_anew_are_no_negative_rates() {
    let state = between(5, 6);
    let restarted = {
        let start = Instant::now();
        let before = Measured {
            at: start,
            report: report(9),
        };
        let now = Measured {
            at: start + SECOND,
            report: report(1),
        };
        rates(Some(&before), &now)
    };
    assert!(state.senders[0].bitrate > 0.0);
    assert_eq!(restarted.participants[0].senders[0].bitrate, 0.0);
}

#[test]
fn loudness_is_linear() {
    assert_eq!(loudness(0), 1.0);
    assert_eq!(loudness(20), 0.1);
    assert_eq!(loudness(127), 0.0);
}
