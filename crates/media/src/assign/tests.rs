use super::*;

fn offer(track: u32, participant: u64, source: TrackSource) -> Offer {
    let kind = match source {
        TrackSource::Microphone | TrackSource::ScreenShareAudio => MediaKind::Audio,
        _ => MediaKind::Video,
    };
    Offer {
        track: TrackKey::from_raw(track),
        participant: ParticipantId(participant),
        source,
        kind,
    }
}

fn camera(track: u32, participant: u64) -> Offer {
    offer(track, participant, TrackSource::Camera)
}

fn microphone(track: u32, participant: u64) -> Offer {
    offer(track, participant, TrackSource::Microphone)
}

/// `audio` and `video` empty seats, the i-th of each in pair i.
fn seats(audio: u16, video: u16) -> Vec<Seat> {
    let seat = |kind| {
        move |pair| Seat {
            kind,
            pair,
            fed_by: None,
        }
    };
    let audio = (0..audio).map(seat(MediaKind::Audio));
    audio
        .chain((0..video).map(seat(MediaKind::Video)))
        .collect()
}

fn assign(seats: &[Seat], offers: &[Offer]) -> Vec<Option<u32>> {
    let mut assigner = Assigner::default();
    let mut offers = offers.to_vec();
    offers.sort_by_key(|offer| offer.kind == MediaKind::Video);
    let assigned = assigner.assign(seats, offers.into_iter(), |_, _| true);
    assigned.map(|track| track.map(TrackKey::raw)).collect()
}

/// The seats as they are after an assignment.
fn seated(seats: &[Seat], assigned: &[Option<u32>]) -> Vec<Seat> {
    let feed = |(seat, track): (&Seat, &Option<u32>)| Seat {
        fed_by: track.map(TrackKey::from_raw),
        ..*seat
    };
    seats.iter().zip(assigned).map(feed).collect()
}

#[test]
fn voice_and_picture_of_a_participant_share_a_pair() {
    let seats = seats(3, 3);
    let offers = [
        camera(1, 10),
        camera(2, 20),
        camera(3, 30),
        microphone(23, 30),
        microphone(22, 20),
    ];
    assert_eq!(
        assign(&seats, &offers),
        [None, Some(22), Some(23), Some(1), Some(2), Some(3)]
    );
}

#[test]
fn a_picture_that_comes_after_its_voice_joins_it() {
    let empty = seats(2, 2);
    let voices = [microphone(1, 10), microphone(2, 20)];
    let first = assign(&empty, &voices);
    let offers = [voices[0], voices[1], camera(12, 20)];
    assert_eq!(
        assign(&seated(&empty, &first), &offers),
        [Some(1), Some(2), None, Some(12)]
    );
}

#[test]
fn a_shared_screen_does_not_pair_with_the_microphone() {
    let seats = seats(2, 2);
    let offers = [
        offer(5, 10, TrackSource::ScreenShare),
        camera(1, 10),
        microphone(2, 10),
        offer(6, 10, TrackSource::ScreenShareAudio),
    ];
    assert_eq!(
        assign(&seats, &offers),
        [Some(6), Some(2), Some(5), Some(1)]
    );
}

#[test]
fn who_has_a_slot_keeps_it_when_others_come_and_go() {
    let empty = seats(0, 3);
    let first = assign(&empty, &[camera(1, 1), camera(2, 2), camera(3, 3)]);
    let later = [camera(4, 4), camera(3, 3), camera(1, 1)];
    assert_eq!(
        assign(&seated(&empty, &first), &later),
        [Some(1), Some(4), Some(3)]
    );
}

#[test]
fn the_most_wanted_get_the_slots_there_are() {
    let empty = seats(1, 1);
    let first = assign(&empty, &[camera(1, 1)]);
    let offers = [
        camera(2, 2),
        camera(1, 1),
        microphone(11, 1),
        microphone(12, 2),
    ];
    assert_eq!(
        assign(&seated(&empty, &first), &offers),
        [Some(11), Some(2)]
    );
}

#[test]
fn a_track_goes_only_where_its_format_is_known() {
    let seats = seats(0, 2);
    let mut assigner = Assigner::default();
    let offers = [camera(1, 1), camera(2, 2)];
    // Seat 0 carries track 2 only, seat 1 nothing.
    let carries = |seat, track: TrackKey| seat == 0 && track.raw() == 2;
    let assigned: Vec<_> = assigner
        .assign(&seats, offers.into_iter(), carries)
        .map(|track| track.map(TrackKey::raw))
        .collect();
    assert_eq!(assigned, [Some(2), None]);
}
