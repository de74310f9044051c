//! Which encodings anybody wants, told to their publisher, who need not send the others; and
//! whether anybody is there to hear a sound.

use core::time::Duration;

use crosspoint_wire::codec::MediaKind;
use crosspoint_wire::ids::Rid;
use crosspoint_wire::time::Time;

use super::Engine;
use crate::config::SessionKey;
use crate::encoding::{Encoding, EncodingKey, StreamName};
use crate::event::Event;
use crate::room::RoomKey;
use crate::track::{Origin, Track, TrackKey};

/// An encoding that nobody wants for this long is put to sleep. People come and go, tiles are
/// resized: shorter, and encoders would start and stop all the time.
const ASLEEP_AFTER: Duration = Duration::from_secs(1);

impl Engine {
    /// Looks which encodings of a track are wanted, and tells if that changed. One that is wanted
    /// again is told at once.
    pub(super) fn review_demand(&mut self, key: TrackKey) {
        let Some(track) = self.tracks.get(key) else {
            return;
        };
        let has_choice = track.encodings.len() > 1 || track.kind == MediaKind::Audio;
        if !has_choice || !matches!(track.origin, Origin::Session(_)) {
            return;
        }
        let mut changed = false;
        for index in 0..track.encodings.len() {
            let Some(&encoding_key) = track.encodings.get(index) else {
                continue;
            };
            let needed = match track.kind {
                MediaKind::Audio => self.is_heard(track),
                // Who sees nothing yet begins with the lowest.
                MediaKind::Video => index == 0 || self.is_needed(track, index, encoding_key),
            };
            let Some(encoding) = self.encodings.get_mut(encoding_key) else {
                continue;
            };
            changed |= match needed {
                true => wake(self.now, encoding),
                false => put_to_sleep(self.now, encoding),
            };
        }
        if changed {
            self.tell_demand(key);
        }
    }

    /// Whether a slot has or wants an encoding. What goes to other engines goes there whole.
    fn is_needed(&self, track: &Track, index: usize, encoding: EncodingKey) -> bool {
        !track.relays.is_empty()
            || track.slots.iter().any(|&slot| {
                self.slots.get(slot).is_some_and(|slot| {
                    slot.current == Some(encoding)
                        || slot.target == Some(encoding)
                        || slot.quality.desired.map(usize::from) == Some(index)
                })
            })
    }

    /// Whether anybody could hear a sound. Who has no slot for it now may have one as soon as it
    /// is loud, and that has to be heard first.
    fn is_heard(&self, track: &Track) -> bool {
        let listens = |key: &SessionKey| {
            self.sessions.get(*key).is_some_and(|session| {
                session.participant != track.participant
                    && session.wish(track).wanted
                    && session.slots.iter().any(|&slot| {
                        let slot = self.slots.get(slot);
                        slot.is_some_and(|slot| track.fits(&slot.config))
                    })
            })
        };
        let mut rooms = track.rooms().filter_map(|room| self.rooms.get(room));
        !track.relays.is_empty() || rooms.any(|room| room.sessions.iter().any(listens))
    }

    /// Has sounds that nobody in a room heard sent again at once if somebody came.
    pub(super) fn wake_sounds(&mut self, room: RoomKey) {
        let mut i = 0;
        while let Some(&key) = self.rooms.get(room).and_then(|room| room.tracks.get(i)) {
            i += 1;
            let sounds = self.tracks.get(key).filter(|t| t.kind == MediaKind::Audio);
            let mut encodings = sounds.into_iter().flat_map(|track| &track.encodings);
            let asleep = |&key: &EncodingKey| self.encodings.get(key).is_some_and(|e| !e.watched);
            if encodings.any(asleep) {
                self.review_demand(key);
            }
        }
    }

    fn tell_demand(&mut self, key: TrackKey) {
        let Some(track) = self.tracks.get(key) else {
            return;
        };
        let encodings = track.encodings.iter();
        let encodings = encodings.filter_map(|&encoding| {
            let encoding = self.encodings.get(encoding)?;
            Some((rid_of(encoding), encoding.watched))
        });
        self.events.push_back(Event::EncodingsWanted {
            track: track.id,
            encodings: encodings.collect(),
        });
    }
}

/// The RID of an encoding, if it has one.
pub(super) fn rid_of(encoding: &Encoding) -> Option<Rid> {
    match encoding.name {
        StreamName::Rid(rid) => Some(rid),
        StreamName::Ssrc(..) | StreamName::Only => None,
    }
}

/// Whether that is a change.
fn wake(now: Time, encoding: &mut Encoding) -> bool {
    encoding.unneeded_since = None;
    let wakes = !encoding.watched;
    if wakes {
        encoding.watched = true;
        encoding.woken = Some(now);
    }
    wakes
}

/// Whether that is a change. What does not flow anyway is not put to sleep: it may come.
fn put_to_sleep(now: Time, encoding: &mut Encoding) -> bool {
    if !encoding.watched || !encoding.lives() {
        return false;
    }
    let since = *encoding.unneeded_since.get_or_insert(now);
    let sleeps = now.since(since) >= ASLEEP_AFTER;
    if sleeps {
        encoding.watched = false;
        encoding.woken = None;
    }
    sleeps
}
