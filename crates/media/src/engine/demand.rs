//! Which encodings anybody wants, told to their publisher, who need not send the others.

use core::time::Duration;

use crosspoint_wire::ids::Rid;

use super::Engine;
use crate::encoding::{Encoding, EncodingKey, StreamName};
use crate::event::Event;
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
        if track.encodings.len() < 2 || !matches!(track.origin, Origin::Session(_)) {
            return;
        }
        let mut changed = false;
        for index in 0..track.encodings.len() {
            let Some(&encoding_key) = track.encodings.get(index) else {
                continue;
            };
            // Who sees nothing yet begins with the lowest.
            let needed = index == 0 || self.is_needed(track, index, encoding_key);
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
fn wake(now: crosspoint_wire::time::Time, encoding: &mut Encoding) -> bool {
    encoding.unneeded_since = None;
    let wakes = !encoding.watched;
    if wakes {
        encoding.watched = true;
        encoding.woken = Some(now);
    }
    wakes
}

/// Whether that is a change. What does not flow anyway is not put to sleep: it may come.
fn put_to_sleep(now: crosspoint_wire::time::Time, encoding: &mut Encoding) -> bool {
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
