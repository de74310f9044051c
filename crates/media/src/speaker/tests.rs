//! Rooms of speaking people in virtual time, one packet each 20 ms.

use super::*;

/// What one person's microphone does at a time in milliseconds: level, or no packet.
type Voice<'a> = &'a dyn Fn(u64) -> Option<u8>;

struct Room {
    loudness: Vec<(usize, Loudness)>,
    selection: SpeakerSelection<usize>,
    /// Time in milliseconds and selection, at each change.
    selections: Vec<(u64, Vec<usize>)>,
    /// Time in milliseconds and speakers, at each change.
    lists: Vec<(u64, Vec<usize>)>,
}

impl Room {
    fn run(places: Option<u8>, duration_ms: u64, voices: &[Voice<'_>]) -> Self {
        let mut room = Self {
            loudness: (0..voices.len())
                .map(|n| (n, Loudness::default()))
                .collect(),
            selection: SpeakerSelection::new(places),
            selections: Vec::new(),
            lists: Vec::new(),
        };
        room.selection.wake(Time::ZERO);
        for ms in 0..duration_ms {
            let now = Time::from_millis(ms);
            for (index, voice) in voices.iter().enumerate() {
                let packet = (ms % 20 == index as u64 % 20).then(|| voice(ms)).flatten();
                if let Some(level) = packet {
                    let level = AudioLevel { voice: true, level };
                    if room.loudness[index].1.observe(now, level) {
                        room.selection.wake(now);
                    }
                }
            }
            room.poll(ms);
        }
        room
    }

    fn poll(&mut self, ms: u64) {
        let now = Time::from_millis(ms);
        let changes = self.selection.poll(now, &mut self.loudness);
        if changes.selection {
            let mut selected = self.selection.selected().to_vec();
            selected.sort_unstable();
            self.selections.push((ms, selected));
        }
        if changes.speakers {
            let speakers = self.selection.speakers();
            self.lists
                .push((ms, speakers.iter().map(|s| s.0).collect()));
        }
    }
}

const SPEECH: u8 = 30;
const NOISE: u8 = 75;

/// Speaks from one time to another, and is noise otherwise.
fn speech(from: u64, to: u64) -> impl Fn(u64) -> Option<u8> {
    move |ms| {
        Some(if (from..to).contains(&ms) {
            SPEECH
        } else {
            NOISE
        })
    }
}

#[test]
fn a_silent_room_is_selected_in_order_and_left_alone() {
    let silent = |_| Some(127);
    let room = Room::run(Some(2), 5000, &[&silent, &silent, &silent]);
    assert_eq!(room.selections, [(0, vec![0, 1])]);
    assert!(room.lists.is_empty());
    assert_eq!(room.selection.next_timeout(), Time::NEVER);
}

#[test]
fn a_newcomer_takes_the_place_of_the_silent_within_a_quarter_second() {
    let (a, b, c) = (speech(0, 4000), speech(0, 500), speech(3000, 9000));
    let room = Room::run(Some(2), 5000, &[&a, &b, &c]);
    let [(_, first), (when, second)] = &room.selections[..] else {
        panic!("{:?}", room.selections);
    };
    assert_eq!((first, second), (&vec![0, 1], &vec![0, 2]));
    assert!((3100..3300).contains(when), "{when}");
}

#[test]
fn a_speaker_keeps_the_place_through_a_pause() {
    // Speaks two seconds, pauses half a second, and so on; the other coughs in each pause.
    let a = |ms| Some(if ms % 2500 < 2000 { SPEECH } else { NOISE });
    let b = |ms| {
        Some(if (2100..2250).contains(&(ms % 2500)) {
            20
        } else {
            NOISE
        })
    };
    let room = Room::run(Some(1), 20_000, &[&a, &b]);
    assert_eq!(room.selections, [(0, vec![0])]);
}

#[test]
fn two_who_speak_equally_loud_do_not_flap() {
    let a = |ms: u64| Some(if ms % 400 < 200 { 28 } else { 36 });
    let b = |ms: u64| Some(if ms % 400 < 200 { 36 } else { 28 });
    let room = Room::run(Some(1), 30_000, &[&a, &b]);
    assert_eq!(room.selections.len(), 1, "{:?}", room.selections);
    let per_second = room.lists.len() as u64 * 1000 / 30_000;
    assert!(per_second <= 1, "{:?}", room.lists);
}

#[test]
fn who_is_clearly_louder_for_longer_takes_over() {
    let quiet = |_| Some(45);
    let loud = |ms| Some(if ms >= 2000 { 20 } else { NOISE });
    let room = Room::run(Some(1), 4000, &[&quiet, &loud]);
    let [_, (when, selected)] = &room.selections[..] else {
        panic!("{:?}", room.selections);
    };
    assert_eq!(selected, &[1]);
    assert!((2300..2700).contains(when), "{when}");
}

#[test]
fn changes_of_the_list_keep_their_distance_and_end_in_silence() {
    let voices: Vec<_> = (0..6_u64).map(|n| speech(n * 150, n * 150 + 700)).collect();
    let voices: Vec<Voice<'_>> = voices.iter().map(|v| v as Voice<'_>).collect();
    let room = Room::run(Some(3), 6000, &voices);
    let times: Vec<_> = room.lists.iter().map(|(ms, _)| *ms).collect();
    assert!(times.windows(2).all(|w| w[1] - w[0] >= 300), "{times:?}");
    assert!(room.lists.len() >= 4);
    assert_eq!(room.lists.last().unwrap().1, [0; 0]);
    assert_eq!(room.selection.next_timeout(), Time::NEVER);
}

#[test]
fn silence_without_packets_is_silence() {
    let a = |ms| (ms < 1000).then_some(SPEECH);
    let room = Room::run(None, 4000, &[&a]);
    let (last, speakers) = room.lists.last().unwrap();
    assert!(speakers.is_empty());
    assert!((1900..2500).contains(last), "{last}");
}

#[test]
fn noise_and_sound_without_voice_are_no_speech() {
    let now = Time::from_millis(1000);
    let mut loudness = Loudness::default();
    let packet = |voice, level| AudioLevel { voice, level };
    assert!(!loudness.observe(now, packet(true, NOISE)));
    assert!(!loudness.observe(now, packet(false, 40)));
    assert!(loudness.observe(now, packet(true, 40)));
    assert!(loudness.observe(now, packet(false, 10)), "loud music");
}

#[test]
fn a_track_that_leaves_gives_its_place_away() {
    let (a, b) = (speech(9000, 9000), speech(0, 9000));
    let mut room = Room::run(Some(1), 1000, &[&a, &b]);
    assert_eq!(room.selection.selected(), [1]);
    room.loudness.pop();
    room.selection.wake(Time::from_millis(1000));
    room.poll(1100);
    assert_eq!(room.selection.selected(), [0]);
    room.loudness.clear();
    room.selection.wake(Time::from_millis(1200));
    room.poll(1200);
    assert!(room.selection.selected().is_empty());
}

#[test]
fn everybody_is_selected_in_a_call() {
    let silent = |_| None;
    let room = Room::run(None, 1000, &[&silent, &silent, &silent]);
    assert_eq!(room.selections, [(0, vec![0, 1, 2])]);
}

#[test]
fn a_room_that_falls_silent_after_places_became_free_is_not_looked_at() {
    let (a, b, c) = (speech(0, 9000), speech(0, 9000), |ms| {
        (ms >= 700).then_some(5)
    });
    let mut room = Room::run(Some(2), 1000, &[&a, &b, &c]);
    assert!(room.loudness[2].1.ahead_since.is_some());
    room.loudness.drain(..2);
    room.selection.refresh();
    for ms in 1001..5000 {
        room.poll(ms);
    }
    assert_eq!(room.selection.next_timeout(), Time::NEVER);
}
