//! Which track feeds which slot of one session: a pure function of what is on offer, what the
//! session has, and what it had before.
//!
//! Three wishes, in this order: a session gets the most wanted tracks that its slots can carry; a
//! track that has a slot keeps it, so that pictures do not wander over the screen; and a
//! participant's voice and picture stand in one pair, because browsers synchronise only within
//! one media stream.

use crosspoint_wire::codec::MediaKind;

use crate::config::{ParticipantId, TrackSource};
use crate::track::TrackKey;

/// A track that a room offers to its listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) track: TrackKey,
    pub(crate) participant: ParticipantId,
    pub(crate) source: TrackSource,
    pub(crate) kind: MediaKind,
}

impl Offer {
    /// Camera belongs to microphone, a shared screen to its sound.
    fn belongs_with(&self, other: &Self) -> bool {
        self.participant == other.participant && self.is_screen() == other.is_screen()
    }

    fn is_screen(&self) -> bool {
        matches!(
            self.source,
            TrackSource::ScreenShare | TrackSource::ScreenShareAudio
        )
    }
}

/// A slot to be fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) kind: MediaKind,
    /// Seats of one pair share a media stream.
    pub(crate) pair: u16,
    /// What feeds it so far.
    pub(crate) fed_by: Option<TrackKey>,
}

/// Working memory and result of [`Assigner::assign`]; kept to be used again.
#[derive(Debug, Default)]
pub(crate) struct Assigner {
    chosen: Vec<Offer>,
    seated: Vec<Option<Offer>>,
}

impl Assigner {
    /// Decides for each of `seats` which of `offers` feeds it; `offers` hold the tracks that the
    /// session may and wants to receive, most wanted first, sound before pictures. `carries(seat
    /// index, track)` says
    /// whether a slot's formats include the track's.
    pub(crate) fn assign(
        &mut self,
        seats: &[Seat],
        offers: impl Iterator<Item = Offer>,
        carries: impl Fn(usize, TrackKey) -> bool,
    ) -> impl Iterator<Item = Option<TrackKey>> {
        self.choose(seats, offers, &carries);
        self.seated.clear();
        self.seated.resize(seats.len(), None);
        self.keep_seats(seats);
        // Pictures first: there are more seats for them, so that voices can follow.
        self.seat_rest(MediaKind::Video, seats, &carries);
        self.seat_rest(MediaKind::Audio, seats, &carries);
        self.seated.iter().map(|seat| seat.map(|offer| offer.track))
    }

    /// As many of the most wanted offers as there are seats of their kind. Looks at no more of
    /// them than it takes: a room may offer a thousand pictures to a listener with nine seats.
    fn choose(
        &mut self,
        seats: &[Seat],
        offers: impl Iterator<Item = Offer>,
        carries: &impl Fn(usize, TrackKey) -> bool,
    ) {
        self.chosen.clear();
        let seats_of = |kind| seats.iter().filter(|seat| seat.kind == kind).count();
        let mut audio_left = seats_of(MediaKind::Audio);
        let mut video_left = seats_of(MediaKind::Video);
        for offer in offers {
            let left = match offer.kind {
                MediaKind::Audio => &mut audio_left,
                MediaKind::Video if video_left == 0 => return,
                MediaKind::Video => &mut video_left,
            };
            let fits =
                |(i, seat): (usize, &Seat)| seat.kind == offer.kind && carries(i, offer.track);
            if *left > 0 && seats.iter().enumerate().any(fits) {
                *left -= 1;
                self.chosen.push(offer);
            }
        }
    }

    /// Leaves chosen tracks where they are.
    fn keep_seats(&mut self, seats: &[Seat]) {
        for (place, seat) in self.seated.iter_mut().zip(seats) {
            let Some(track) = seat.fed_by else { continue };
            if let Some(i) = self.chosen.iter().position(|offer| offer.track == track) {
                *place = Some(self.chosen.remove(i));
            }
        }
    }

    fn seat_rest(
        &mut self,
        kind: MediaKind,
        seats: &[Seat],
        carries: &impl Fn(usize, TrackKey) -> bool,
    ) {
        for i in 0..self.chosen.len() {
            let Some(offer) = self.chosen.get(i).copied().filter(|o| o.kind == kind) else {
                continue;
            };
            let best = (0..seats.len())
                .filter(|&seat| self.is_free(seat, kind, seats) && carries(seat, offer.track))
                .min_by_key(|&seat| self.strangeness(&offer, seat, seats));
            if let Some(place) = best.and_then(|seat| self.seated.get_mut(seat)) {
                *place = Some(offer);
            }
        }
    }

    fn is_free(&self, seat: usize, kind: MediaKind, seats: &[Seat]) -> bool {
        seats.get(seat).is_some_and(|s| s.kind == kind)
            && self.seated.get(seat).is_some_and(Option::is_none)
    }

    /// How badly `offer` fits the rest of the seat's pair: beside its own other half, beside
    /// nobody, beside somebody else.
    fn strangeness(&self, offer: &Offer, seat: usize, seats: &[Seat]) -> u8 {
        let Some(pair) = seats.get(seat).map(|s| s.pair) else {
            return u8::MAX;
        };
        let neighbour = seats.iter().zip(&self.seated).find_map(|(other, seated)| {
            (other.pair == pair && other.kind != offer.kind)
                .then_some(*seated)
                .flatten()
        });
        match neighbour {
            Some(other) if other.belongs_with(offer) => 0,
            None => 1,
            Some(_) => 2,
        }
    }
}

#[cfg(test)]
#[path = "assign/tests.rs"]
mod tests;
