//! The packets of one encoding, kept once for everybody: fan-out, retransmission, relays.
//!
//! Payload bytes stand in one ring; a ring of entries, indexed by extended sequence number,
//! points into it. Both start small and double while what they would overwrite is still within
//! the cache duration, up to their limits; after that the oldest goes first. In the steady state
//! nothing is allocated. Slots never copy a payload: they name it by its sequence number.

use core::time::Duration;

use crosspoint_wire::time::Time;

use crate::facts::{ForwardedExtensions, FrameFacts};

/// Smallest byte ring: a second and more of Opus at 32 kbit/s.
const BYTES_MIN: usize = 8 << 10;
/// Smallest and largest number of entries. 8192 is a second of 1000-byte packets at 65 Mbit/s.
const ENTRIES_MIN: usize = 64;
const ENTRIES_MAX: usize = 8192;

/// What is known of a cached packet besides its payload.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CachedPacket {
    /// RTP timestamp as the publisher wrote it.
    pub(crate) timestamp: u32,
    /// RTP marker bit.
    pub(crate) marker: bool,
    /// RTP payload type as the publisher numbers it.
    pub(crate) payload_type: u8,
    /// Its place in frame and layers.
    pub(crate) facts: FrameFacts,
    /// Header extensions that travel on.
    pub(crate) extensions: ForwardedExtensions,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct PacketCache {
    duration: Duration,
    bytes_max: usize,
    /// Power of two long, or empty before the first packet.
    bytes: Vec<u8>,
    /// Bytes ever written (and skipped at the end of a lap); the ring index is this modulo length.
    written: u64,
    /// Positions before this one were overwritten before the ring last grew.
    oldest: u64,
    /// When the current lap through the byte ring began.
    lap_started: Time,
    /// Power of two long, or empty before the first packet.
    entries: Vec<Entry>,
    newest: Option<u64>,
}

#[derive(Clone, Debug)]
struct Entry {
    ext_seq: u64,
    /// Value of `written` before the payload was; `VACANT` where there is no packet.
    position: u64,
    payload_len: usize,
    inserted: Time,
    packet: CachedPacket,
}

const VACANT: u64 = u64::MAX;

impl PacketCache {
    /// An empty cache that returns packets for `duration` and never holds more than `bytes_max`
    /// payload bytes (rounded down to a power of two, at least 8 KiB).
    pub(crate) fn new(duration: Duration, bytes_max: usize) -> Self {
        let bytes_max = bytes_max.max(BYTES_MIN);
        Self {
            duration,
            bytes_max: 1 << bytes_max.ilog2(),
            bytes: Vec::new(),
            written: 0,
            oldest: 0,
            lap_started: Time::ZERO,
            entries: Vec::new(),
            newest: None,
        }
    }

    /// Keeps a packet. Late packets find their place. False, and nothing kept, for a payload of
    /// more than 8 KiB, a packet that is there already, and one older than all that the cache
    /// spans.
    pub(crate) fn insert(
        &mut self,
        now: Time,
        ext_seq: u64,
        packet: &CachedPacket,
        payload: &[u8],
    ) -> bool {
        if payload.len() > BYTES_MIN || !self.make_entry_room(now, ext_seq) {
            return false;
        }
        let position = self.store(now, payload);
        let index = self.index(ext_seq);
        if let Some(entry) = self.entries.get_mut(index) {
            *entry = Entry {
                ext_seq,
                position,
                payload_len: payload.len(),
                inserted: now,
                packet: *packet,
            };
        }
        self.newest = Some(self.newest.map_or(ext_seq, |n| n.max(ext_seq)));
        true
    }

    /// The packet numbered `ext_seq` and its payload, if it is not older than the duration.
    pub(crate) fn get(&self, now: Time, ext_seq: u64) -> Option<(&CachedPacket, &[u8])> {
        let entry = self.entries.get(self.index(ext_seq))?;
        if entry.ext_seq != ext_seq || !self.is_live(now, entry) {
            return None;
        }
        let start = entry.position as usize & (self.bytes.len() - 1);
        let payload = self.bytes.get(start..start + entry.payload_len)?;
        Some((&entry.packet, payload))
    }

    /// How long ago the packet numbered `ext_seq` was inserted, if it is still there.
    pub(crate) fn age(&self, now: Time, ext_seq: u64) -> Option<Duration> {
        let entry = self.entries.get(self.index(ext_seq))?;
        (entry.ext_seq == ext_seq && self.is_live(now, entry)).then(|| now.since(entry.inserted))
    }

    /// Upper bound on how many packets there are.
    pub(crate) fn entries_len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Highest sequence number that was inserted.
    pub(crate) fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// Memory taken, in bytes.
    #[cfg(test)]
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Entry>()
    }

    /// Makes the place of `ext_seq` free to be written; false if it must not be.
    fn make_entry_room(&mut self, now: Time, ext_seq: u64) -> bool {
        if self.entries.is_empty() {
            self.entries = vec![Entry::vacant(); ENTRIES_MIN];
        }
        loop {
            let Some(entry) = self.entries.get(self.index(ext_seq)) else {
                return false;
            };
            if !self.is_live(now, entry) {
                return true;
            }
            if entry.ext_seq == ext_seq {
                return false;
            }
            if self.entries.len() == ENTRIES_MAX {
                return entry.ext_seq < ext_seq;
            }
            self.double_entries(now);
        }
    }

    fn double_entries(&mut self, now: Time) {
        let len = self.entries.len() * 2;
        let old = core::mem::replace(&mut self.entries, vec![Entry::vacant(); len]);
        for entry in old {
            if self.is_live(now, &entry) {
                let index = self.index(entry.ext_seq);
                if let Some(place) = self.entries.get_mut(index) {
                    *place = entry;
                }
            }
        }
    }

    /// Writes a payload in one piece; returns its position.
    fn store(&mut self, now: Time, payload: &[u8]) -> u64 {
        if self.bytes.is_empty() {
            self.bytes = vec![0; BYTES_MIN];
            self.lap_started = now;
        }
        let room = self.bytes.len() - (self.written as usize & (self.bytes.len() - 1));
        if room < payload.len() {
            self.written += room as u64;
        }
        let at_lap_end = self.written as usize & (self.bytes.len() - 1) == 0;
        if at_lap_end && self.written > 0 {
            self.begin_lap(now);
        }
        let start = self.written as usize & (self.bytes.len() - 1);
        if let Some(place) = self.bytes.get_mut(start..start + payload.len()) {
            place.copy_from_slice(payload);
        }
        let position = self.written;
        self.written += payload.len() as u64;
        position
    }

    /// A lap that took less than the cache duration means that the next one would overwrite what
    /// is still wanted. The ring doubles at the lap's end, where its content is one piece that
    /// keeps its order.
    fn begin_lap(&mut self, now: Time) {
        let len = self.bytes.len();
        if now.since(self.lap_started) < self.duration && len < self.bytes_max {
            let mut larger = vec![0; len * 2];
            self.oldest = self.written - len as u64;
            let start = self.oldest as usize & (len * 2 - 1);
            if let Some(place) = larger.get_mut(start..start + len) {
                place.copy_from_slice(&self.bytes);
            }
            self.bytes = larger;
        }
        self.lap_started = now;
    }

    fn index(&self, ext_seq: u64) -> usize {
        ext_seq as usize & self.entries.len().wrapping_sub(1)
    }

    fn is_live(&self, now: Time, entry: &Entry) -> bool {
        entry.position != VACANT
            && entry.position >= self.oldest
            && self.written - entry.position <= self.bytes.len() as u64
            && now.since(entry.inserted) <= self.duration
    }
}

impl Entry {
    fn vacant() -> Self {
        Self {
            ext_seq: 0,
            position: VACANT,
            payload_len: 0,
            inserted: Time::ZERO,
            packet: CachedPacket::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn cache() -> PacketCache {
        PacketCache::new(Duration::from_secs(1), 1 << 20)
    }

    fn packet(timestamp: u32) -> CachedPacket {
        CachedPacket {
            timestamp,
            ..CachedPacket::default()
        }
    }

    #[test]
    fn returns_what_was_inserted() {
        let mut cache = cache();
        assert!(cache.get(Time::ZERO, 7).is_none());
        assert!(cache.insert(Time::ZERO, 7, &packet(90), b"seven"));
        let (found, payload) = cache.get(Time::ZERO, 7).unwrap();
        assert_eq!((found.timestamp, payload), (90, &b"seven"[..]));
        assert!(cache.get(Time::ZERO, 7 + ENTRIES_MIN as u64).is_none());
    }

    #[test]
    fn refuses_duplicates_and_oversized_payloads() {
        let mut cache = cache();
        assert!(cache.insert(Time::ZERO, 7, &packet(1), b"first"));
        assert!(!cache.insert(Time::ZERO, 7, &packet(2), b"again"));
        assert!(!cache.insert(Time::ZERO, 8, &packet(2), &[0; BYTES_MIN + 1]));
        assert_eq!(cache.get(Time::ZERO, 7).unwrap().1, b"first");
    }

    #[test]
    fn late_packets_find_their_place() {
        let mut cache = cache();
        for seq in [10, 12, 13, 11] {
            assert!(cache.insert(Time::ZERO, seq, &packet(0), &[seq as u8]));
        }
        assert_eq!(cache.newest(), Some(13));
        for seq in 10..=13 {
            assert_eq!(cache.get(Time::ZERO, seq).unwrap().1, [seq as u8]);
        }
    }

    #[test]
    fn forgets_after_the_duration() {
        let mut cache = cache();
        cache.insert(Time::ZERO, 1, &packet(0), b"x");
        assert!(cache.get(Time::from_millis(1000), 1).is_some());
        assert!(cache.get(Time::from_millis(1001), 1).is_none());
    }

    #[test]
    fn an_empty_payload_is_a_packet_too() {
        let mut cache = cache();
        cache.insert(Time::ZERO, 1, &packet(5), b"");
        assert_eq!(cache.get(Time::ZERO, 1).unwrap().1, b"");
    }

    /// 4 Mbit/s for three seconds: nothing of the last second may be missing, and when memory
    /// has grown to that need it grows no further.
    #[test]
    fn holds_a_whole_duration_of_a_fast_stream_and_stops_growing() {
        let mut cache = cache();
        let mut grown = 0;
        for n in 0..1500_u64 {
            let now = Time::from_millis(n * 2);
            assert!(cache.insert(now, n, &packet(n as u32), &[n as u8; 1000]));
            for back in [0, 1, 250, 499] {
                if let Some(seq) = n.checked_sub(back) {
                    let (found, payload) = cache.get(now, seq).unwrap();
                    assert_eq!(found.timestamp, seq as u32);
                    assert_eq!(payload, [seq as u8; 1000]);
                }
            }
            if n == 700 {
                grown = cache.memory_bytes();
            }
        }
        assert_eq!(cache.memory_bytes(), grown);
        assert!(cache.bytes.len() <= 1 << 20);
    }

    #[test]
    fn memory_is_bounded_and_the_newest_survive() {
        let mut cache = PacketCache::new(Duration::from_secs(1), 64 << 10);
        for n in 0..100_000_u64 {
            cache.insert(Time::ZERO, n, &packet(0), &[n as u8; 1200]);
        }
        assert_eq!(cache.bytes.len(), 64 << 10);
        assert!(cache.entries.len() <= ENTRIES_MAX);
        assert_eq!(cache.get(Time::ZERO, 99_999).unwrap().1, [0x9f; 1200]);
        assert!(cache.get(Time::ZERO, 99_999 - 60).is_none());
    }

    /// The second lap takes longer than the duration and overwrites the first; the third is so
    /// fast that the ring doubles. The first lap's positions are within the larger ring's length.
    #[test]
    fn growth_does_not_revive_what_was_overwritten() {
        let mut cache = PacketCache::new(Duration::from_secs(60), 1 << 20);
        let lap = |cache: &mut PacketCache, ms, first: u64| {
            for n in first..first + 8 {
                cache.insert(Time::from_millis(ms), n, &packet(0), &[n as u8; 1024]);
            }
        };
        cache.bytes = vec![0; BYTES_MIN];
        lap(&mut cache, 0, 0);
        cache.lap_started = Time::ZERO;
        cache.duration = Duration::from_millis(10);
        lap(&mut cache, 20, 8);
        cache.duration = Duration::from_secs(60);
        lap(&mut cache, 25, 16);
        assert_eq!(cache.bytes.len(), 2 * BYTES_MIN);
        let now = Time::from_millis(25);
        assert!((0..8).all(|n| cache.get(now, n).is_none()));
        assert!((8..24).all(|n| cache.get(now, n).unwrap().1 == [n as u8; 1024]));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        /// Whatever is inserted in whatever order, a returned packet is the one inserted under
        /// that number, and only within the duration.
        #[test]
        fn never_returns_another_packet(
            start in prop::sample::select(vec![0_u64, 65_530, (1 << 32) - 5, (1 << 47)]),
            steps in prop::collection::vec((-40_i64..80, 0_u64..60, 0_usize..1500), 1..400),
        ) {
            let mut cache = PacketCache::new(Duration::from_millis(500), 32 << 10);
            let mut model: HashMap<u64, (Time, u32, usize)> = HashMap::new();
            let (mut seq, mut now) = (start, Time::ZERO);
            for (n, (jump, wait_ms, len)) in steps.into_iter().enumerate() {
                seq = seq.saturating_add_signed(jump);
                now += Duration::from_millis(wait_ms);
                let stamp = n as u32;
                if cache.insert(now, seq, &packet(stamp), &vec![n as u8; len]) {
                    model.insert(seq, (now, stamp, len));
                }
                for back in 0..100 {
                    let Some(asked) = seq.checked_sub(back) else { break };
                    if let Some((found, payload)) = cache.get(now, asked) {
                        let &(at, stamp, len) = model.get(&asked).unwrap();
                        prop_assert!(now.since(at) <= Duration::from_millis(500));
                        prop_assert_eq!(found.timestamp, stamp);
                        prop_assert_eq!(payload, &vec![stamp as u8; len][..]);
                    }
                }
            }
        }
    }
}
