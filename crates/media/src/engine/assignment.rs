//! From what is offered and wished to what feeds which slot.
//!
//! Whatever may change assignments only lists whom it concerns; the work is done once, before the
//! next packet or flush, however many commands came at a time.

use crosspoint_wire::codec::MediaKind;
use crosspoint_wire::time::Time;

use super::{Engine, Scratch, Unsettled};
use crate::assign::Seat;
use crate::config::{LayerLimit, SessionKey};
use crate::event::Event;
use crate::quality::Allowed;
use crate::room::RoomKey;
use crate::slot::SlotKey;
use crate::track::TrackKey;

impl Engine {
    /// Makes the assignments that are to be made anew, before an input at `now` is handled.
    #[inline]
    pub(super) fn settle(&mut self, now: Time) {
        self.now = now;
        self.end_round();
        if !self.unsettled.is_empty() {
            self.settle_listed(now);
        }
    }

    /// Likewise before a packet, which may go round with those before it if there is nothing to settle.
    #[inline]
    pub(super) fn settle_between_packets(&mut self, now: Time) {
        self.now = now;
        if !self.unsettled.is_empty() {
            self.settle(now);
        }
    }

    #[cold]
    fn settle_listed(&mut self, now: Time) {
        let mut scratch = core::mem::take(&mut self.scratch);
        while let Some(unsettled) = self.unsettled.pop() {
            match unsettled {
                Unsettled::Room(key) => self.settle_room(now, key, &mut scratch),
                Unsettled::Session(key) => {
                    scratch.offers.clear();
                    let room = self.sessions.get(key).and_then(|s| s.room);
                    if let Some(room) = room.and_then(|room| self.rooms.get(room)) {
                        room.list_offers(&self.tracks, &mut scratch.offers);
                    }
                    self.settle_session(key, &mut scratch);
                    if let Some(room) = room {
                        self.wake_sounds(room);
                    }
                }
                Unsettled::Bandwidth(key) => self.allocate_session(now, key),
            }
        }
        self.scratch = scratch;
    }

    fn settle_room(&mut self, now: Time, key: RoomKey, scratch: &mut Scratch) {
        // Tracks that came or went count at once, not at the next look.
        self.update_speakers(now, key);
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        room.listed = false;
        scratch.offers.clear();
        room.list_offers(&self.tracks, &mut scratch.offers);
        let mut i = 0;
        while let Some(&session) = self.rooms.get(key).and_then(|r| r.sessions.get(i)) {
            self.settle_session(session, scratch);
            i += 1;
        }
        self.wake_sounds(key);
    }

    fn settle_session(&mut self, key: SessionKey, scratch: &mut Scratch) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        session.listed = false;
        if session.slots.is_empty() {
            return;
        }
        let Scratch {
            offers,
            seats,
            assigner,
            feeds,
            ..
        } = scratch;
        let (session, slots, tracks) = (&*session, &self.slots, &self.tracks);
        let configs = || session.slots.iter().filter_map(|&key| slots.get(key));
        seats.clear();
        seats.extend(configs().map(|slot| Seat {
            kind: slot.config.kind,
            pair: slot.config.pair,
            fed_by: slot.assigned,
        }));
        let wanted = offers.iter().copied().filter(|offer| {
            offer.participant != session.participant
                && tracks
                    .get(offer.track)
                    .is_some_and(|t| session.wish(t).wanted)
        });
        let carries = |seat: usize, track: TrackKey| {
            let slot = session.slots.get(seat).and_then(|&key| slots.get(key));
            let track = tracks.get(track);
            slot.zip(track)
                .is_some_and(|(slot, track)| track.fits(&slot.config))
        };
        feeds.clear();
        feeds.extend(assigner.assign(seats, wanted, carries));
        for (i, &feed) in feeds.iter().enumerate() {
            let slot = self.sessions.get(key).and_then(|s| s.slots.get(i).copied());
            if let Some(slot) = slot {
                self.feed(slot, feed);
            }
        }
    }

    /// Gives a slot its track, or none, and says so if that is a change.
    fn feed(&mut self, key: SlotKey, feed: Option<TrackKey>) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let Some(session) = self.sessions.get(slot.session) else {
            return;
        };
        let track = feed.and_then(|feed| self.tracks.get_mut(feed));
        let limit = match &track {
            Some(track) => session.wish(track).largest,
            None => LayerLimit::Best,
        };
        if slot.assigned == feed {
            if core::mem::replace(&mut slot.quality.limit, limit) != limit {
                let session = slot.session;
                self.unsettle_layers(session);
                self.retarget(key);
            }
            return;
        }
        self.counters.assignments += 1;
        self.events.push_back(Event::SlotAssigned {
            session: session.id,
            mid: slot.config.mid,
            feed: track.as_ref().map(|track| (track.id, track.participant)),
        });
        let allowed = match session.estimator.bandwidth() {
            Some(_) if slot.config.kind == MediaKind::Video => Allowed::Undecided,
            _ => Allowed::All,
        };
        slot.quality.begin(limit, allowed);
        let session = slot.session;
        let before = core::mem::replace(&mut slot.assigned, feed);
        if let Some(track) = track {
            track.slots.push(key);
        }
        if let Some(track) = before.and_then(|track| self.tracks.get_mut(track)) {
            track.slots.retain(|&s| s != key);
        }
        self.stop_slot(key);
        self.unsettle_layers(session);
        // What has to share a bandwidth is decided with all others that do.
        if allowed != Allowed::Undecided {
            self.retarget(key);
        }
        if let Some(before) = before {
            self.review_demand(before);
        }
    }
}
