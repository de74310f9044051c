//! Report arithmetic against hand-made cases, and clocks in virtual time.

use crosspoint_wire::time::{Time, WallClock};

use super::*;

const AUDIO_HZ: u32 = 48_000;
const VIDEO_HZ: u32 = 90_000;

fn at(ms: u64) -> Time {
    Time::from_millis(ms)
}

#[test]
fn counts_loss_between_reports_and_in_all() {
    let mut stats = ReceiveStats::default();
    assert!(stats.report(at(0), 7).is_none());
    for seq in [65_534_u64, 65_535, 65_537] {
        stats.on_packet(at(0), seq, 0, AUDIO_HZ);
    }
    let block = stats.report(at(0), 7).unwrap();
    assert_eq!(block.ssrc, 7);
    assert_eq!(block.fraction_lost, 64);
    assert_eq!(block.cumulative_lost, 1);
    assert_eq!(block.highest_sequence, 65_537);

    for seq in 65_538..65_548 {
        assert_eq!(stats.on_packet(at(0), seq, 0, AUDIO_HZ), 0);
    }
    let block = stats.report(at(0), 7).unwrap();
    assert_eq!((block.fraction_lost, block.cumulative_lost), (0, 1));
    assert_eq!(stats.report(at(0), 7).unwrap().fraction_lost, 0);
}

#[test]
fn duplicates_make_the_loss_negative() {
    let mut stats = ReceiveStats::default();
    for seq in [1_u64, 2, 2, 2] {
        stats.on_packet(at(0), seq, 0, AUDIO_HZ);
    }
    let block = stats.report(at(0), 7).unwrap();
    assert_eq!((block.fraction_lost, block.cumulative_lost), (0, -2));
}

#[test]
fn jitter_settles_at_the_variation_of_arrival() {
    let mut stats = ReceiveStats::default();
    for n in 0..1000_u64 {
        // Alternately on time and 5 ms late: every interval is off by 5 ms.
        let late = (n % 2) * 5;
        stats.on_packet(at(n * 20 + late), n, n as u32 * 960, AUDIO_HZ);
    }
    let jitter_ms = stats.report(at(0), 7).unwrap().jitter * 1000 / AUDIO_HZ;
    assert!((4..=5).contains(&jitter_ms), "{jitter_ms}");
}

#[test]
fn spreading_a_frame_is_no_jitter() {
    let mut stats = ReceiveStats::default();
    for n in 0..1000_u64 {
        let (frame, part) = (n / 5, n % 5);
        stats.on_packet(at(frame * 40 + part * 4), n, frame as u32 * 3600, VIDEO_HZ);
    }
    assert_eq!(stats.report(at(0), 7).unwrap().jitter, 0);
}

#[test]
fn round_trip_comes_from_our_own_clock_and_the_peers_delay() {
    let wall = WallClock {
        unix_micros_at_zero: 1_700_000_000_000_000,
    };
    // The peer's side: our report reaches it after 30 ms, it answers 400 ms later.
    let mut peer = ReceiveStats::default();
    peer.on_packet(at(1000), 1, 0, AUDIO_HZ);
    peer.on_sender_report(at(1030), wall.ntp(at(1000)));
    let block = peer.report(at(1430), 7).unwrap();
    let rtt = round_trip(wall.ntp(at(1460)), &block).unwrap();
    assert!((59..=61).contains(&rtt.as_millis()), "{rtt:?}");

    let before_any = ReportBlock {
        last_sender_report: 0,
        ..block
    };
    assert_eq!(round_trip(wall.ntp(at(1460)), &before_any), None);
    let absurd = ReportBlock {
        delay_since_last: 0x7000_0000,
        ..block
    };
    assert_eq!(round_trip(wall.ntp(at(1460)), &absurd), None);
    let a_tick_too_long = ReportBlock {
        delay_since_last: block.delay_since_last + 10,
        ..block
    };
    assert_eq!(
        round_trip(wall.ntp(at(1430)), &a_tick_too_long).map(|d| d.as_millis()),
        Some(29)
    );
    assert_eq!(
        round_trip(wall.ntp(at(1400)), &a_tick_too_long).map(|d| d.is_zero()),
        Some(true)
    );
}

/// A publisher whose wall clock is hours off and drifts, and whose reports take a varying time.
struct Publisher {
    hours_off: i64,
    drift_ppm: i64,
}

impl Publisher {
    /// Its wall clock at our `now`, in microseconds since 1970.
    fn wall_micros(&self, wall: WallClock, now: Time) -> u64 {
        let us = now.as_micros();
        let drifted = us.strict_add_signed(us as i64 * self.drift_ppm / 1_000_000);
        (wall.unix_micros_at_zero + drifted).strict_add_signed(self.hours_off * 3_600_000_000)
    }
}

/// Captures at the same moment must get the same server time by both streams' reports, whatever
/// the publisher's clock does. Reports of sound and pictures are made seconds apart.
#[test]
fn sound_and_pictures_stay_together_over_bad_clocks() {
    let wall = WallClock {
        unix_micros_at_zero: 1_700_000_000_000_000,
    };
    for (hours_off, drift_ppm) in [(0, 0), (7, 100), (-400_000, -100)] {
        let publisher = Publisher {
            hours_off,
            drift_ppm,
        };
        let mut clock = PublisherClock::default();
        let (mut audio, mut video) = (StreamClock::default(), StreamClock::default());
        let rtp = |now: Time, hz: u32| {
            let us = u128::from(publisher.wall_micros(wall, now));
            (us * u128::from(hz) / 1_000_000) as u32
        };
        // Server time, in microseconds, that a report about a stream gives to a capture time.
        let mut server_minus_capture = [None, None];
        let mut worst = 0;
        for second in 0..3600_u64 {
            let sent = at(second * 1000);
            let jitter_ms = [3, 40, 9, 1, 80][second as usize % 5];
            let received = at(second * 1000 + 20 + jitter_ms);
            let ntp = NtpTime::from_unix_micros(publisher.wall_micros(wall, sent));
            let (stream, hz) = match second % 5 {
                0 => (&mut audio, AUDIO_HZ),
                2 => (&mut video, VIDEO_HZ),
                _ => continue,
            };
            stream.on_sender_report(&mut clock, received, wall.ntp(received), ntp, rtp(sent, hz));
            for (index, stream, hz, lag_ms) in
                [(0, &audio, AUDIO_HZ, 100), (1, &video, VIDEO_HZ, 1900)]
            {
                if (second / 5) % 2 == index {
                    continue;
                }
                let now = at(second * 1000 + 200 + lag_ms);
                let Some(said) = stream.timestamp_at(&clock, now, wall.ntp(now), hz) else {
                    continue;
                };
                let ahead = said.wrapping_sub(rtp(now, hz)).cast_signed();
                let ahead_us = i64::from(ahead) * 1_000_000 / i64::from(hz);
                server_minus_capture[index as usize] = Some(ahead_us);
                if let [Some(audio), Some(video)] = server_minus_capture {
                    worst = worst.max((audio - video).abs());
                }
            }
        }
        assert!(worst < 5_000, "{hours_off} h, {drift_ppm} ppm: {worst} us");
        assert!(server_minus_capture.iter().all(Option::is_some));
    }
}

#[test]
fn a_clock_set_anew_waits_for_the_streams_own_report() {
    let wall = WallClock::default();
    let mut clock = PublisherClock::default();
    let (mut audio, mut video) = (StreamClock::default(), StreamClock::default());
    let report = |clock: &mut PublisherClock, stream: &mut StreamClock, ms, ntp_ms: u64, rtp| {
        let ntp = NtpTime::from_unix_micros(ntp_ms * 1000);
        stream.on_sender_report(clock, at(ms), wall.ntp(at(ms)), ntp, rtp);
    };
    report(&mut clock, &mut audio, 1000, 50_000, 48_000);
    report(&mut clock, &mut video, 1000, 50_000, 90_000);
    let said = |clock: &PublisherClock, stream: &StreamClock, ms, hz| {
        stream.timestamp_at(clock, at(ms), wall.ntp(at(ms)), hz)
    };
    let near = |a: Option<u32>, b: u32| a.is_some_and(|a| a.abs_diff(b) <= 1);
    assert!(near(said(&clock, &video, 2000, VIDEO_HZ), 180_000));
    report(&mut clock, &mut audio, 2000, 999_000, 96_000);
    assert!(near(said(&clock, &audio, 3000, AUDIO_HZ), 144_000));
    assert_eq!(said(&clock, &video, 3000, VIDEO_HZ), None);
    video.on_packet(at(2900), 261_000);
    assert!(near(said(&clock, &video, 3000, VIDEO_HZ), 270_000));
    report(&mut clock, &mut video, 3000, 1_000_000, 270_000);
    assert!(near(said(&clock, &video, 4000, VIDEO_HZ), 360_000));
}

#[test]
fn without_sender_reports_arrival_is_the_clock() {
    let clock = PublisherClock::default();
    let mut stream = StreamClock::default();
    let now = |ms| (at(ms), NtpTime::default());
    let (time, ntp) = now(0);
    assert_eq!(stream.timestamp_at(&clock, time, ntp, VIDEO_HZ), None);
    stream.on_packet(at(0), u32::MAX - 8999);
    stream.on_packet(at(5), u32::MAX - 20_000);
    let (time, ntp) = now(200);
    assert_eq!(stream.timestamp_at(&clock, time, ntp, VIDEO_HZ), Some(9000));
}
