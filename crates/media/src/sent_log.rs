//! What a slot sent lately, so that a NACK can be answered from the source's cache.
//!
//! One small entry per packet: the outgoing number leads to the source packet and to the numbers
//! it left under. The ring is allocated with the first packet and doubles while the entry to be
//! overwritten is younger than the log's duration, so that a slot costs what its rate needs:
//! 2 KiB for Opus, 16 KiB for video at 500 packets/s.

use core::time::Duration;

use crosspoint_wire::time::Time;

use crate::facts::PicturePatch;

const ENTRIES_MIN: usize = 64;
/// A second of 1024 packets/s. Faster slots are repaired over a shorter time.
const ENTRIES_MAX: usize = 1024;

/// One packet that a slot sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentPacket {
    /// Low half of the outgoing index; more than the ring can confuse.
    index: u32,
    /// Which encoding it came from, by whatever number the slot gives encodings.
    pub(crate) encoding: u32,
    /// Its RTP timestamp as sent.
    pub(crate) timestamp: u32,
    /// Its number in that encoding.
    pub(crate) source_seq: u64,
    /// Picture numbers as sent.
    pub(crate) picture: PicturePatch,
    /// Milliseconds, wrapping: when it was sent, or sent again.
    sent_ms: u32,
    /// How often it was sent again.
    resends: u8,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Vacant,
    Live,
    /// Its marker bit was set, whatever the source's packet had.
    Marked,
}

impl SentPacket {
    /// A packet that leaves for the first time.
    pub(crate) fn new(
        now: Time,
        encoding: u32,
        source_seq: u64,
        timestamp: u32,
        picture: PicturePatch,
    ) -> Self {
        Self {
            index: 0,
            encoding,
            timestamp,
            source_seq,
            picture,
            sent_ms: to_ms(now),
            resends: 0,
            state: State::Live,
        }
    }

    /// The same with its marker bit set, if `marker` says so.
    pub(crate) fn marked(self, marker: bool) -> Self {
        let state = if marker { State::Marked } else { self.state };
        Self { state, ..self }
    }

    /// Whether its marker bit was set, whatever the source's packet had.
    pub(crate) fn marker(&self) -> bool {
        self.state == State::Marked
    }

    fn is_live(&self) -> bool {
        self.state != State::Vacant
    }

    /// How often it was sent again.
    pub(crate) fn resends(&self) -> u8 {
        self.resends
    }

    /// Time since it was sent last, to the millisecond.
    pub(crate) fn age(&self, now: Time) -> Duration {
        Duration::from_millis(u64::from(to_ms(now).wrapping_sub(self.sent_ms)))
    }

    /// Notes that it is sent again now.
    pub(crate) fn note_resent(&mut self, now: Time) {
        self.resends = self.resends.saturating_add(1);
        self.sent_ms = to_ms(now);
    }
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct SentLog {
    duration: Duration,
    /// Power of two long, indexed by outgoing number; empty before the first packet.
    entries: Vec<SentPacket>,
    /// Highest outgoing number.
    newest: u64,
}

impl SentLog {
    /// An empty log that finds packets for at least `duration`, below 1024 packets/s.
    pub(crate) fn new(duration: Duration) -> Self {
        Self {
            duration,
            entries: Vec::new(),
            newest: 0,
        }
    }

    /// Notes that `packet` leaves under `ext_seq`.
    pub(crate) fn insert(&mut self, now: Time, ext_seq: u64, packet: SentPacket) {
        if self.entries.is_empty() {
            self.entries = vec![SentPacket::vacant(); ENTRIES_MIN];
            self.newest = ext_seq;
        }
        while self.entries.len() < ENTRIES_MAX && self.would_lose(now, ext_seq) {
            self.double();
        }
        self.newest = self.newest.max(ext_seq);
        let index = self.index(ext_seq);
        if let Some(place) = self.entries.get_mut(index)
            && !(place.is_live() && place.is_after(ext_seq))
        {
            *place = SentPacket {
                index: ext_seq as u32,
                ..packet
            };
        }
    }

    /// The packet with this outgoing sequence number, the newest if several had it.
    pub(crate) fn get_mut(&mut self, seq: u16) -> Option<&mut SentPacket> {
        let back = (self.newest as u16).wrapping_sub(seq);
        let ext_seq = self.newest.checked_sub(u64::from(back))?;
        let index = self.index(ext_seq);
        self.entries
            .get_mut(index)
            .filter(|e| e.is_live() && e.index == ext_seq as u32)
    }

    /// Forgets all packets.
    pub(crate) fn clear(&mut self) {
        self.entries.fill(SentPacket::vacant());
    }

    /// Memory taken, in bytes.
    #[cfg(test)]
    pub(crate) fn memory_bytes(&self) -> usize {
        self.entries.len() * size_of::<SentPacket>()
    }

    fn would_lose(&self, now: Time, ext_seq: u64) -> bool {
        self.entries.get(self.index(ext_seq)).is_some_and(|e| {
            e.is_live() && e.index != ext_seq as u32 && e.age(now) <= self.duration
        })
    }

    fn double(&mut self) {
        let len = self.entries.len() * 2;
        let old = core::mem::replace(&mut self.entries, vec![SentPacket::vacant(); len]);
        for entry in old.into_iter().filter(|e| e.is_live()) {
            let index = self.index(u64::from(entry.index));
            if let Some(place) = self.entries.get_mut(index) {
                *place = entry;
            }
        }
    }

    fn index(&self, ext_seq: u64) -> usize {
        ext_seq as usize & self.entries.len().wrapping_sub(1)
    }
}

impl SentPacket {
    fn is_after(&self, ext_seq: u64) -> bool {
        self.index.wrapping_sub(ext_seq as u32).cast_signed() > 0
    }

    fn vacant() -> Self {
        Self {
            state: State::Vacant,
            ..Self::new(Time::ZERO, 0, 0, 0, PicturePatch::default())
        }
    }
}

fn to_ms(time: Time) -> u32 {
    (time.as_micros() / 1000) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn log() -> SentLog {
        SentLog::new(Duration::from_secs(1))
    }

    fn sent(now: Time, source_seq: u64) -> SentPacket {
        SentPacket::new(now, 3, source_seq, 9, PicturePatch::default())
    }

    #[test]
    fn an_entry_stays_small() {
        assert!(size_of::<SentPacket>() <= 32);
        assert_eq!(log().memory_bytes(), 0);
    }

    #[test]
    fn finds_by_the_16_bits_of_a_nack_over_a_wrap() {
        let mut log = log();
        for n in 0..40 {
            log.insert(Time::ZERO, 65_520 + n, sent(Time::ZERO, n));
        }
        assert_eq!(log.get_mut(65_520).unwrap().source_seq, 0);
        assert_eq!(log.get_mut(3).unwrap().source_seq, 19);
        assert!(log.get_mut(24).is_none(), "not sent yet");
        assert!(log.get_mut(65_519).is_none(), "before the first");
    }

    #[test]
    fn ages_and_counts_resends() {
        let mut log = log();
        log.insert(Time::ZERO, 5, sent(Time::ZERO, 1));
        let packet = log.get_mut(5).unwrap();
        assert_eq!(packet.age(Time::from_millis(40)).as_millis(), 40);
        packet.note_resent(Time::from_millis(40));
        assert_eq!(packet.age(Time::from_millis(41)).as_millis(), 1);
        assert_eq!(packet.resends(), 1);
    }

    #[test]
    fn grows_to_what_the_rate_needs_and_no_further() {
        let mut audio = log();
        let mut video = log();
        let mut flood = log();
        for n in 0..5000_u64 {
            let at = Time::from_millis(n * 20);
            audio.insert(at, n, sent(at, n));
            let at = Time::from_micros(n * 2500);
            video.insert(at, n, sent(at, n));
            assert!(video.get_mut((n - n.min(400)) as u16).is_some());
            flood.insert(Time::ZERO, n, sent(Time::ZERO, n));
        }
        assert_eq!(audio.entries.len(), 64);
        assert_eq!(video.entries.len(), 512);
        assert_eq!(flood.entries.len(), ENTRIES_MAX);
        assert!(flood.get_mut(4999).is_some());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        /// What is found under a number is what was last sent under it, late packets included.
        #[test]
        fn never_finds_another_packet(
            start in prop::sample::select(vec![0_u64, 0x7fff, 0xfffe, 0x1_fffe]),
            steps in prop::collection::vec((0_u64..30, 0_u64..40, 0_u64..50), 1..600),
        ) {
            let mut log = log();
            let (mut newest, mut now) = (start, Time::ZERO);
            for (ahead, back, wait_ms) in steps {
                now += Duration::from_millis(wait_ms);
                newest += ahead;
                let ext_seq = newest - back.min(newest - start);
                log.insert(now, ext_seq, sent(now, ext_seq * 7));
                prop_assert!(log.get_mut(ext_seq as u16).is_some_and(|p| p.source_seq == ext_seq * 7));
                for back in 0..200 {
                    let asked = newest.wrapping_sub(back);
                    if let Some(found) = log.get_mut(asked as u16) {
                        prop_assert_eq!(found.source_seq, asked * 7);
                    }
                }
            }
        }
    }
}
