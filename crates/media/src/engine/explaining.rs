//! Answers to who asks why a picture is as it is.

use crosspoint_wire::codec::MediaKind;

use super::Engine;
use super::demand::rid_of;
use super::selection::steps_of;
use crate::config::{Layer, SessionId, TrackId};
use crate::explain::{AvailableLayer, Choice, Explanation, Neighbour, Reason};
use crate::ladder::{Rung, RungState};
use crate::session::Session;
use crate::slot::Slot;
use crate::track::{Track, TrackKey};

impl Engine {
    /// Why a session's picture of a track is as it is. `None` when there is no such session or
    /// track here.
    #[must_use]
    pub fn explain(&self, session: SessionId, track: TrackId) -> Option<Explanation> {
        let session = self.sessions.get(self.sessions.key(session)?)?;
        let track_key = *self.names.tracks.get(&track)?;
        let track = self.tracks.get(track_key)?;
        let slots = session.slots.iter();
        let slot = slots
            .filter_map(|&slot| self.slots.get(slot))
            .find(|slot| slot.assigned == Some(track_key));
        let mut rungs = Vec::new();
        self.list_rungs(track, &mut rungs);
        let estimate_bps = session.estimator.bandwidth();
        let target = slot.and_then(|slot| slot.quality.chosen);
        let flowing = slot.and_then(|slot| self.flowing(slot));
        let granted_bps = match (estimate_bps, slot) {
            (Some(_), Some(slot)) => slot.quality.granted_bps,
            _ => slot.map_or(0, |slot| self.taken_bps(slot)),
        };
        let wish = session.wish(track);
        let switches = slot.into_iter().flat_map(|slot| slot.quality.switches());
        Some(Explanation {
            layers: rungs
                .iter()
                .map(|rung| self.available(track, rung))
                .collect(),
            wish,
            policy: session.policy,
            target: target.map(|(encoding, layer)| Choice { encoding, layer }),
            current: flowing,
            has_slot: slot.is_some(),
            estimate_bps,
            granted_bps,
            next_bps: slot.and_then(|slot| next_rate(session, slot, &rungs)),
            neighbours: self.neighbours(session, track_key),
            reason: self.reason(session, track, slot),
            switches: switches
                .map(|switch| (self.now.since(switch.at), *switch))
                .collect(),
        })
    }

    fn reason(&self, session: &Session, track: &Track, slot: Option<&Slot>) -> Option<Reason> {
        let Some(slot) = slot else {
            return Some(match session.wish(track).wanted {
                // Others have the slots that its policy, or its room's, leaves it.
                true if !track.muted => Reason::Policy,
                true => Reason::PublisherPaused,
                false => Reason::Size,
            });
        };
        if track.muted {
            return Some(Reason::PublisherPaused);
        }
        let chosen = slot.quality.chosen;
        let wakes = chosen.is_some_and(|(place, _)| slot.quality.desired != Some(place));
        if chosen.is_some() && (slot.is_waiting() || wakes) {
            return Some(Reason::KeyframeWait);
        }
        slot.quality.bound
    }

    fn available(&self, track: &Track, rung: &Rung) -> AvailableLayer {
        let encoding = track.encodings.get(usize::from(rung.place));
        let encoding = encoding.and_then(|&encoding| self.encodings.get(encoding));
        AvailableLayer {
            choice: Choice {
                encoding: rung.place,
                layer: rung.layer,
            },
            rid: encoding.and_then(rid_of),
            size: rung.size,
            bits_per_second: rung.rate_bps,
            flows: rung.state == RungState::Flows,
            unwatched: encoding.is_some_and(|encoding| !encoding.watched),
        }
    }

    fn neighbours(&self, session: &Session, except: TrackKey) -> Vec<Neighbour> {
        let limited = session.estimator.bandwidth().is_some();
        let slots = session.slots.iter();
        slots
            .filter_map(|&slot| {
                let slot = self.slots.get(slot)?;
                let track = slot.assigned.filter(|&track| track != except)?;
                let is_picture = slot.config.kind == MediaKind::Video;
                Some(Neighbour {
                    track: self.tracks.get(track)?.id,
                    bits_per_second: if limited && is_picture {
                        slot.quality.granted_bps
                    } else {
                        self.taken_bps(slot)
                    },
                })
            })
            .collect()
    }

    /// What a slot takes now, in bits per second.
    fn taken_bps(&self, slot: &Slot) -> u64 {
        let current = slot.current.and_then(|current| self.encodings.get(current));
        let layer = match slot.config.kind {
            MediaKind::Audio => Layer::TOP,
            MediaKind::Video => slot.selector.current(),
        };
        current.map_or(0, |encoding| encoding.meter.bits_per_second(layer))
    }
}

/// What the next better rung within wish and policy costs.
fn next_rate(session: &Session, slot: &Slot, rungs: &[Rung]) -> Option<u64> {
    let steps = steps_of(slot.quality.limit, &session.policy, rungs);
    let chosen = slot.quality.chosen;
    let mut better = rungs.iter().filter(|rung| {
        rung.step <= steps.ceiling
            && rung.state != RungState::Missing
            && slot.takes(rung)
            && chosen.is_none_or(|chosen| rung.key() > chosen)
    });
    better.next().map(|rung| rung.rate_bps)
}
