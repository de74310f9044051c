use crosspoint_wire::codec::Profile;

use super::*;

const SECOND: Micros = 1_000_000;
const START: Micros = 1_700_000_000 * SECOND;
const OPUS: u8 = 111;
const VP8: u8 = 96;
const H264: u8 = 102;

fn format(payload_type: u8, codec: Codec) -> PayloadConfig {
    PayloadConfig {
        payload_type,
        codec,
        profile: Profile::None,
        rtx: None,
        red: None,
        nack: true,
        pli: true,
        fir: false,
    }
}

/// A tape and what came out of it.
struct Run {
    tape: Tape,
    /// Time and whether it is silence that fills a gap, or a keyframe.
    frames: Vec<(Micros, bool)>,
    gaps: Vec<(Micros, Micros, GapReason, u64)>,
    files: Vec<Codec>,
}

impl Run {
    fn new(kind: MediaKind) -> Self {
        let payloads = vec![
            format(OPUS, Codec::Opus),
            format(VP8, Codec::Vp8),
            format(H264, Codec::H264),
        ];
        let payloads = payloads.into_iter().filter(|p| p.codec.kind() == kind);
        Self {
            tape: Tape::new(kind, payloads.collect(), (640, 360), false),
            frames: Vec::new(),
            gaps: Vec::new(),
            files: Vec::new(),
        }
    }

    fn note(&mut self, act: impl FnOnce(&mut Tape, &mut dyn FnMut(Output<'_>))) {
        let (frames, gaps, files) = (&mut self.frames, &mut self.gaps, &mut self.files);
        act(&mut self.tape, &mut |output| match output {
            Output::Begin(_, codec) => files.push(codec),
            Output::Frame { at, keyframe, data } => {
                let filled = data == OPUS_SILENCE;
                let video = files.last().is_some_and(|c| c.kind() == MediaKind::Video);
                frames.push((at, if video { keyframe } else { filled }));
            }
            Output::Gap {
                from,
                to,
                reason,
                packets,
            } => gaps.push((from, to, reason, packets)),
        });
    }

    fn packet(&mut self, arrival: Micros, packet: TapPacket<'_>) {
        self.note(|tape, out| {
            tape.packet(arrival, &packet, &mut *out);
            tape.tick(arrival, out);
        });
    }

    /// 20 ms of sound, the `n`-th.
    fn sound(&mut self, n: u64) {
        let arrival = START + n as Micros * 20_000;
        self.packet(
            arrival,
            packet(OPUS, n as u16, (n * 960) as u32, &[0x78, 1, 2]),
        );
    }

    /// A frame of one packet, 30 a second.
    fn picture(&mut self, n: u64, keyframe: bool) {
        self.picture_on(0, n, keyframe);
    }

    fn picture_on(&mut self, encoding: u8, n: u64, keyframe: bool) {
        let arrival = START + n as Micros * 1_000_000 / 30;
        let vp8 = vp8(keyframe);
        let packet = TapPacket {
            encoding,
            ..packet(VP8, n as u16, (n * 3000) as u32, &vp8)
        };
        self.packet(arrival, packet);
    }

    fn finish(&mut self, end: Micros) {
        self.note(|tape, out| tape.finish(end, out));
    }
}

fn packet(payload_type: u8, sequence_number: u16, timestamp: u32, payload: &[u8]) -> TapPacket<'_> {
    TapPacket {
        encoding: 0,
        epoch: 0,
        marker: true,
        payload_type,
        sequence_number,
        timestamp,
        payload,
    }
}

fn vp8(keyframe: bool) -> Vec<u8> {
    let header = if keyframe { 0x10 } else { 0x11 };
    vec![0x10, header, 0, 0, 0x9d, 0x01, 0x2a, 64, 0, 64, 0]
}

#[test]
fn sound_with_a_tenth_lost_has_exactly_the_lost_packets_as_gaps() {
    let mut run = Run::new(MediaKind::Audio);
    let lost = |n: u64| n.wrapping_mul(0x9e37_79b9) >> 16 & 0xff < 26 && n > 0;
    let count = 5000;
    for n in (0..count).filter(|&n| !lost(n)) {
        run.sound(n);
    }
    let end = START + count as Micros * 20_000;
    run.finish(end);
    let expected: u64 = (0..count).filter(|&n| lost(n)).count() as u64;
    let trailing = (0..count).rev().take_while(|&n| lost(n)).count() as u64;
    let found: u64 = run.gaps.iter().map(|gap| gap.3).sum();
    assert!(expected > 400);
    assert_eq!(found, expected - trailing);
    assert_eq!(run.tape.stats().lost, found);
    for (from, to, reason, packets) in run.gaps {
        assert_eq!(reason, GapReason::Loss);
        assert!((to - from - packets as Micros * 20_000).abs() < 3_000);
    }
    // No hole is left: as many frames as there is time.
    assert_eq!(run.frames.len() as u64, count - trailing);
    let filled = run.frames.iter().filter(|(_, silence)| *silence).count();
    assert_eq!(filled as u64, found);
}

#[test]
fn pictures_after_a_loss_wait_for_the_keyframe_that_is_asked_for() {
    let mut run = Run::new(MediaKind::Video);
    for n in 0..30 {
        run.picture(n, n == 0);
    }
    assert!(!run.tape.wants_keyframe(START + SECOND));
    for n in 32..60 {
        run.picture(n, false);
    }
    let frames = run.frames.len();
    assert_eq!(frames, 30);
    assert!(run.tape.wants_keyframe(START + 2 * SECOND));
    assert!(!run.tape.wants_keyframe(START + 2 * SECOND + 100_000));
    for n in 60..70 {
        run.picture(n, n == 60);
    }
    assert_eq!(run.frames.len(), 40);
    let &[(from, to, GapReason::Loss, 2)] = run.gaps.as_slice() else {
        panic!("{:?}", run.gaps);
    };
    assert!((from - START - 29 * 33_333).abs() < 1_000);
    assert!((to - START - 2 * SECOND).abs() < 1_000);
}

#[test]
fn nothing_is_written_before_a_keyframe_and_requests_become_rare() {
    let mut run = Run::new(MediaKind::Video);
    let mut asked = 0;
    for n in 0..1800 {
        run.picture(n, false);
        let now = START + n as Micros * 1_000_000 / 30;
        asked += u32::from(run.tape.wants_keyframe(now));
    }
    run.finish(START + 60 * SECOND);
    assert!(run.frames.is_empty() && run.files.is_empty() && run.gaps.is_empty());
    assert_eq!(run.tape.stats().packets, 1800);
    assert!((8..=16).contains(&asked), "{asked}");
}

#[test]
fn mute_and_silence_that_is_not_sent_are_filled_and_told_apart() {
    let mut run = Run::new(MediaKind::Audio);
    (0..50).for_each(|n| run.sound(n));
    // Numbers go on, time does not stand still.
    let arrival = START + 100 * 20_000;
    run.packet(arrival, packet(OPUS, 50, 100 * 960, &[0x78, 1, 2]));
    run.tape.set_muted(true);
    run.tape.set_muted(false);
    let arrival = START + 200 * 20_000;
    run.packet(arrival, packet(OPUS, 150, 200 * 960, &[0x78, 1, 2]));
    run.note(|tape, out| tape.tick(arrival + SECOND, out));
    run.finish(START + 6 * SECOND);
    let reasons: Vec<_> = run.gaps.iter().map(|gap| (gap.2, gap.3)).collect();
    assert_eq!(
        reasons,
        [
            (GapReason::Dtx, 0),
            (GapReason::Mute, 0),
            (GapReason::Dtx, 0)
        ]
    );
    assert_eq!(run.frames.len(), 300);
    let steps = run.frames.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(steps.clone().all(|step| (step - 20_000).abs() < 500));
}

#[test]
fn a_better_encoding_takes_over_at_its_keyframe_and_a_stopped_one_gives_way() {
    let mut run = Run::new(MediaKind::Video);
    for n in 0..30 {
        run.picture_on(0, n, n == 0);
    }
    for n in 30..60 {
        run.picture_on(0, n, false);
        run.picture_on(1, n, n == 45);
    }
    // From the 45th on only the better one counts: 46 of the lower, 15 of the better.
    assert_eq!(run.frames.len(), 61);
    for n in 60..180 {
        run.picture_on(0, n, n == 150);
    }
    let reasons: Vec<_> = run.gaps.iter().map(|gap| gap.2).collect();
    assert_eq!(reasons, [GapReason::LayerChange, GapReason::LayerChange]);
    assert_eq!(run.frames.len(), 61 + 30);
}

#[test]
fn another_codec_is_another_file() {
    let mut run = Run::new(MediaKind::Video);
    run.picture(0, true);
    run.picture(1, false);
    // Parameter sets and an IDR slice in one packet.
    let sps = [0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa0, 0x47, 0xfe, 0x88];
    let mut stap = vec![0x78];
    for unit in [&sps[..], &[0x68, 0xce, 0x3c, 0x80], &[0x65, 0x88, 0x84]] {
        stap.extend((unit.len() as u16).to_be_bytes());
        stap.extend_from_slice(unit);
    }
    run.packet(START + 66_666, packet(H264, 2, 6000, &stap));
    run.packet(START + 100_000, packet(H264, 3, 9000, &[0x41, 0x9a, 0x01]));
    assert_eq!(run.files, [Codec::Vp8, Codec::H264]);
    assert_eq!(run.frames.len(), 4);
}

#[test]
fn a_stream_that_begins_anew_goes_on_in_the_same_file() {
    let mut run = Run::new(MediaKind::Audio);
    (0..50).for_each(|n| run.sound(n));
    for n in 0..50_u32 {
        let arrival = START + 2 * SECOND + Micros::from(n) * 20_000;
        let packet = TapPacket {
            epoch: 1,
            ..packet(OPUS, 9000 + n as u16, 77_000_000 + n * 960, &[0x78, 1, 2])
        };
        run.packet(arrival, packet);
    }
    assert_eq!(run.files.len(), 1);
    assert_eq!(run.frames.len(), 150);
    let &[(_, _, GapReason::Restart, 0)] = run.gaps.as_slice() else {
        panic!("{:?}", run.gaps);
    };
}

#[test]
fn a_publishers_clock_that_steps_by_an_hour_is_heard_and_seen_on() {
    const HOUR: u64 = 3600;
    // An hour on after two seconds, and back again after four.
    let step = |n: u64, per_second: u64| match n / per_second {
        0 | 1 => 0,
        2 | 3 => HOUR,
        _ => 0,
    };
    let mut sound = Run::new(MediaKind::Audio);
    for n in 0..300 {
        let arrival = START + n as Micros * 20_000;
        let timestamp = ((n + step(n, 50) * 50) * 960) as u32;
        sound.packet(arrival, packet(OPUS, n as u16, timestamp, &[0x78, 1, 2]));
        if n % 100 == 50 {
            sound.tape.clock(0, arrival, timestamp);
        }
    }
    let mut picture = Run::new(MediaKind::Video);
    let keyframe = vp8(true);
    for n in 0..180 {
        let arrival = START + n as Micros * 1_000_000 / 30;
        let timestamp = ((n + step(n, 30) * 30) * 3000) as u32;
        picture.packet(arrival, packet(VP8, n as u16, timestamp, &keyframe));
        if n % 60 == 30 {
            picture.tape.clock(0, arrival, timestamp);
        }
    }
    for (run, count) in [(&sound, 300), (&picture, 180)] {
        assert_eq!(run.files.len(), 1);
        assert!(
            run.gaps.iter().all(|gap| gap.1 - gap.0 < SECOND / 10),
            "{:?}",
            run.gaps
        );
        assert!(
            run.frames.len().abs_diff(count) <= 5,
            "{}",
            run.frames.len()
        );
        let last = run.frames.last().map(|frame| frame.0 - START);
        assert!(last.is_some_and(|at| (at - 6 * SECOND).abs() < SECOND / 10));
        assert!(run.frames.is_sorted_by_key(|frame| frame.0));
    }
}

#[test]
fn a_day_with_wraps_and_drift_lasts_a_day_in_sound_and_picture() {
    let mut sound = Run::new(MediaKind::Audio);
    let mut picture = Run::new(MediaKind::Video);
    // 200 ppm fast: each second of the clock comes 200 us early.
    let drifted = |us: Micros| us - us / 1_000_000 * 200;
    let keyframe = vp8(true);
    let hours = 24;
    for second in 0..hours * 3600_u64 {
        let at = START + drifted(second as Micros * SECOND);
        for n in second * 50..(second + 1) * 50 {
            let arrival = at + (n % 50) as Micros * 20_000;
            let timestamp = (n * 960 + 4_000_000_000) as u32;
            let packet = packet(OPUS, n as u16, timestamp, &[0x78, 1, 2]);
            sound.packet(arrival, packet);
        }
        let timestamp = (second * 90_000 + 4_000_000_000) as u32;
        picture.packet(
            at + 60_000,
            packet(VP8, second as u16, timestamp, &keyframe),
        );
        if second % 5 == 0 {
            let audio = (second * 48_000 + 4_000_000_000) as u32;
            sound.tape.clock(0, at, audio);
            picture.tape.clock(0, at, timestamp);
        }
        if second > 20 {
            let heard = sound.frames[sound.frames.len() - 50].0;
            let seen = picture.frames.last().map(|frame| frame.0).unwrap_or(0);
            assert!((heard - seen).abs() < 40_000, "{second}: {heard} {seen}");
            assert!((heard - at).abs() < 40_000, "{second}");
        }
        let keep = sound.frames.len().saturating_sub(100);
        sound.frames.drain(..keep);
    }
    assert!(sound.gaps.is_empty(), "{:?}", sound.gaps.first());
    assert!(picture.gaps.is_empty(), "{:?}", picture.gaps.first());
}
