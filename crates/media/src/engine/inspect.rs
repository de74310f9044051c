//! Answers to questions about streams; nothing changes.

use core::time::Duration;

use crosspoint_wire::num::ticks_to_duration;
use crosspoint_wire::time::Time;

use super::Engine;
use crate::config::{SessionId, TrackId};
use crate::encoding::{Encoding, EncodingKey, StreamName};
use crate::inspect::{EncodingReport, Keyframe, SessionReport, SlotReport, TrackReport};
use crate::slot::Slot;
use crate::track::Track;

/// Most bytes of a keyframe: far above what any encoder makes, far below what hurts.
const KEYFRAME_BYTES_MAX: usize = 4 << 20;

impl Engine {
    /// Totals and last values of a session; `None` for one that is not open. Costs some hundred
    /// nanoseconds per stream.
    #[must_use]
    pub fn session_report(&self, session: SessionId) -> Option<SessionReport> {
        let session = self.sessions.get(self.sessions.key(session)?)?;
        let published = session.published.iter();
        let slots = session.slots.iter();
        Some(SessionReport {
            session: session.id,
            rtt: session.reporting.rtt,
            bandwidth_bps: session.estimator.bandwidth(),
            limit_bps: session.reporting.limit_bps(),
            tracks: published
                .filter_map(|published| Some(self.track_report(self.tracks.get(published.track)?)))
                .collect(),
            slots: slots
                .filter_map(|&slot| Some(self.slot_report(self.slots.get(slot)?)))
                .collect(),
        })
    }

    /// The newest whole keyframe of a track's best stream that the cache still has.
    #[must_use]
    pub fn keyframe(&self, now: Time, track: TrackId) -> Option<Keyframe> {
        let track = self.tracks.get(*self.names.tracks.get(&track)?)?;
        let living = |key: &&EncodingKey| self.encodings.get(**key).is_some_and(Encoding::lives);
        let best = track.encodings.iter().rev().find(living)?;
        keyframe_of(now, track, self.encodings.get(*best)?)
    }

    fn track_report(&self, track: &Track) -> TrackReport {
        let encodings = track.encodings.iter();
        TrackReport {
            track: track.id,
            kind: track.kind,
            audio_level: track.audio_level,
            encodings: encodings
                .filter_map(|&key| self.encodings.get(key).map(encoding_report))
                .collect(),
        }
    }

    fn slot_report(&self, slot: &Slot) -> SlotReport {
        let track = slot.assigned.and_then(|key| self.tracks.get(key));
        let encoding = track.zip(slot.current);
        let tally = &slot.tally;
        SlotReport {
            mid: slot.config.mid,
            kind: slot.config.kind,
            track: track.map(|track| track.id),
            codec: slot.codec(),
            encoding: encoding.and_then(|(track, key)| track.place_of(key)),
            packets: tally.packets,
            repeats: tally.repeats,
            bytes: tally.bytes,
            frames: tally.frames,
            nacks: tally.nacks,
            plis: tally.plis,
            firs: tally.firs,
            remote: tally.remote,
        }
    }
}

fn encoding_report(encoding: &Encoding) -> EncodingReport {
    let tally = &encoding.tally;
    let (expected, packets) = encoding.stats.totals();
    EncodingReport {
        rid: match encoding.name {
            StreamName::Rid(rid) => Some(rid),
            StreamName::Ssrc(..) | StreamName::Only => None,
        },
        active: encoding.lives(),
        expected,
        packets,
        repairs: tally.repairs,
        bytes: tally.bytes,
        jitter: ticks_to_duration(encoding.stats.jitter(), encoding.clock_rate_hz()),
        frames: tally.pace.frames,
        keyframes: tally.keyframes,
        freezes: tally.pace.freezes,
        frozen: tally.pace.frozen,
        nacks: tally.nacks,
        plis: tally.plis,
        firs: tally.firs,
    }
}

/// Walks back to the newest packet that begins a keyframe, and from there to its marker.
fn keyframe_of(now: Time, track: &Track, encoding: &Encoding) -> Option<Keyframe> {
    let cache = &encoding.cache;
    let newest = cache.newest()?;
    let oldest = newest.saturating_sub(cache.entries_len());
    let begins = |&seq: &u64| {
        cache.get(now, seq).is_some_and(|(packet, _)| {
            let facts = &packet.facts;
            facts.keyframe && facts.first_of_frame && facts.spatial == 0
        })
    };
    // The newest may still be on its way: then the one before it serves.
    (oldest..=newest).rev().filter(begins).find_map(|first| {
        let age = cache.age(now, first)?;
        whole_frame(now, track, encoding, first, newest, age)
    })
}

fn whole_frame(
    now: Time,
    track: &Track,
    encoding: &Encoding,
    first: u64,
    newest: u64,
    age: Duration,
) -> Option<Keyframe> {
    let (begin, _) = encoding.cache.get(now, first)?;
    let codec = track.payload(begin.payload_type)?.codec;
    let mut packets = Vec::new();
    let mut bytes = 0;
    for seq in first..=newest {
        let (packet, payload) = encoding.cache.get(now, seq)?;
        bytes += payload.len();
        if packet.timestamp != begin.timestamp || bytes > KEYFRAME_BYTES_MAX {
            return None;
        }
        packets.push(payload.to_vec());
        if packet.marker {
            return Some(Keyframe {
                codec,
                age,
                packets,
            });
        }
    }
    None
}
