//! From what is offered and wished to what feeds which slot.
//!
//! Whatever may change assignments only lists whom it concerns; the work is done once, before the
//! next packet or flush, however many commands came at a time.

use crosspoint_wire::codec::MediaKind;
use crosspoint_wire::time::Time;

use super::{Engine, Scratch, Unsettled};
use crate::assign::Seat;
use crate::config::{LayerLimit, SessionKey};
use crate::encoding::EncodingKey;
use crate::event::Event;
use crate::room::RoomKey;
use crate::slot::SlotKey;
use crate::track::TrackKey;

impl Engine {
    /// Makes the assignments that are to be made anew.
    #[inline]
    pub(super) fn settle(&mut self, now: Time) {
        if !self.unsettled.is_empty() {
            self.settle_listed(now);
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
                }
                // Layers do not follow the bandwidth yet.
                Unsettled::Bandwidth(_) => {}
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
                    .is_some_and(|t| session.wish(t.id).wanted)
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
            Some(track) => session.wish(track.id).largest,
            None => LayerLimit::Best,
        };
        if slot.assigned == feed {
            if slot.limit != limit {
                slot.limit = limit;
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
        slot.limit = limit;
        let before = core::mem::replace(&mut slot.assigned, feed);
        if let Some(track) = track {
            track.slots.push(key);
        }
        if let Some(track) = before.and_then(|track| self.tracks.get_mut(track)) {
            track.slots.retain(|&s| s != key);
        }
        self.stop_slot(key);
        self.retarget(key);
    }

    /// Decides anew which encoding is to feed a slot, and sees to it that it can begin.
    pub(super) fn retarget(&mut self, key: SlotKey) {
        let Some(slot) = self.slots.get(key) else {
            return;
        };
        let connected = self.sessions.get(slot.session).is_some_and(|s| s.connected);
        let track = slot.assigned.filter(|_| connected);
        let target = track.and_then(|track| self.best_encoding(track, slot.limit));
        let Some(target) = target else {
            self.stop_slot(key);
            return;
        };
        if slot.target == Some(target) {
            return;
        }
        let (before, current, kind) = (slot.target, slot.current, slot.config.kind);
        if let Some(before) = before.filter(|_| before != current) {
            self.leave_encoding(key, before);
        }
        if let Some(slot) = self.slots.get_mut(key) {
            slot.target = Some(target);
        }
        if current == Some(target) {
            return;
        }
        if let Some(encoding) = self.encodings.get_mut(target) {
            encoding.feeds.push(key);
        }
        if kind == MediaKind::Video {
            self.want_keyframe(target);
        }
    }

    /// Nothing feeds the slot until it is targeted anew.
    pub(super) fn stop_slot(&mut self, key: SlotKey) {
        let Some(slot) = self.slots.get_mut(key) else {
            return;
        };
        let (current, target) = slot.stop();
        for encoding in [current, target.filter(|_| target != current)]
            .into_iter()
            .flatten()
        {
            self.leave_encoding(key, encoding);
        }
    }

    pub(super) fn leave_encoding(&mut self, slot: SlotKey, encoding: EncodingKey) {
        if let Some(encoding) = self.encodings.get_mut(encoding) {
            encoding.feeds.retain(|&s| s != slot);
        }
    }

    /// The best encoding within the limit that lives; if none within it does, the lowest that
    /// lives. None while the track is muted.
    fn best_encoding(&self, track: TrackKey, limit: LayerLimit) -> Option<EncodingKey> {
        let track = self.tracks.get(track).filter(|track| !track.muted)?;
        let mut lives = track
            .encodings
            .iter()
            .copied()
            .enumerate()
            .filter(|&(_, key)| {
                self.encodings
                    .get(key)
                    .is_some_and(|encoding| encoding.lives())
            });
        let lowest = lives.next()?;
        let highest_rank = match limit {
            LayerLimit::Best => usize::MAX,
            LayerLimit::Spatial(layer) => usize::from(layer),
            LayerLimit::Small => 0,
        };
        let within = lives.take_while(|&(rank, _)| rank <= highest_rank).last();
        Some(within.unwrap_or(lowest).1)
    }

    /// Decides anew for all slots of a track: an encoding came or went, or it was (un)muted.
    pub(super) fn retarget_track(&mut self, track: TrackKey) {
        let mut i = 0;
        while let Some(&slot) = self.tracks.get(track).and_then(|t| t.slots.get(i)) {
            self.retarget(slot);
            i += 1;
        }
    }
}
