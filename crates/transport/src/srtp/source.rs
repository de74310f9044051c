//! What is remembered of each sender: the highest index and which of the last ones were seen.

use super::SrtpError;

/// Sources remembered per direction of one session and stream (RTP, RTCP).
///
/// A participant sends a dozen: three simulcast layers and audio, each with its RTX.
pub(super) const MAX_SOURCES: usize = 64;

/// Indexes below the highest for which a duplicate is told from a late packet.
pub(super) const WINDOW: u64 = 1024;

/// One more than the highest packet index (RFC 3711 §3.3.1).
pub(super) const INDEX_END: u64 = 1 << 48;

/// Packets from one use of a sequence number to the next.
pub(super) const CYCLE: u64 = 1 << 16;

/// The sources of one session, at most [`MAX_SOURCES`], ordered by SSRC.
///
/// A source beyond that takes the place of the one that was heard least recently. Only the
/// authenticated peer can cause that, and loses by it nothing but the replay protection and the
/// rollover counter of its own longest silent stream.
#[derive(Default)]
pub(super) struct Sources {
    known: Vec<Source>,
    /// Counts accepted packets; what [`Source::heard`] is told in.
    accepted: u64,
}

struct Source {
    ssrc: u32,
    heard: u64,
    window: Window,
}

/// Where a source is in the table, or would be.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    ssrc: u32,
    at: Result<usize, usize>,
}

impl Sources {
    /// Looks a source up.
    pub(super) fn find(&self, ssrc: u32) -> Slot {
        Slot {
            ssrc,
            at: self.known.binary_search_by_key(&ssrc, |source| source.ssrc),
        }
    }

    /// The window of a source that has authenticated a packet before.
    pub(super) fn window(&self, slot: Slot) -> Option<&Window> {
        self.known.get(slot.at.ok()?).map(|source| &source.window)
    }

    /// Notes a packet that was authenticated, and its source if that is new.
    pub(super) fn accept(&mut self, slot: Slot, index: u64) {
        self.accepted += 1;
        let at = slot.at.unwrap_or_else(|at| self.insert(at, slot.ssrc));
        if let Some(source) = self.known.get_mut(at) {
            source.heard = self.accepted;
            source.window.accept(index);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    fn insert(&mut self, at: usize, ssrc: u32) -> usize {
        let mut at = at;
        if self.known.len() >= MAX_SOURCES {
            let heard = self.known.iter().map(|source| source.heard);
            if let Some((oldest, _)) = heard.enumerate().min_by_key(|&(_, heard)| heard) {
                self.known.remove(oldest);
                at -= usize::from(oldest < at);
            }
        }
        let source = Source {
            ssrc,
            heard: 0,
            window: Window::default(),
        };
        self.known.insert(at, source);
        at
    }
}

/// The highest index of a source and a bit for each of the [`WINDOW`] up to it.
#[derive(Default)]
pub(super) struct Window {
    highest: u64,
    seen: [u64; (WINDOW / 64) as usize],
}

/// An index to try, and what it means if the packet does not authenticate with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guess {
    pub(super) index: u64,
    pub(super) otherwise: SrtpError,
}

/// What a window says of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not seen.
    New,
    /// Seen.
    Duplicate,
    /// Below the window: may have been seen.
    TooOld,
}

impl Window {
    /// The index to try for a packet with this sequence number.
    ///
    /// The nearest one, as RFC 3711 says. If that lies below the window, the packet is either an
    /// old one, or the first after a gap of more than half a cycle, where the RFC's guess stays
    /// wrong for ever. Trying the next cycle costs one authentication and tells which it is; it
    /// bridges gaps of up to 64511 packets.
    pub(super) fn guess(&self, sequence: u16) -> Result<Guess, SrtpError> {
        let nearest = self.nearest(sequence);
        match nearest.map(|index| (index, self.check(index))) {
            Some((index, Verdict::New)) => Ok(Guess {
                index,
                otherwise: SrtpError::Unauthenticated,
            }),
            Some((_, Verdict::Duplicate)) => Err(SrtpError::Replayed),
            Some((_, Verdict::TooOld)) | None => {
                let index = nearest.map_or(u64::from(sequence), |index| index + CYCLE);
                if index >= INDEX_END {
                    return Err(SrtpError::Replayed);
                }
                Ok(Guess {
                    index,
                    otherwise: SrtpError::Replayed,
                })
            }
        }
    }

    /// The index nearest to the highest that ends in `sequence` (RFC 3711 §3.3.1), or `None`
    /// when that would be below zero.
    fn nearest(&self, sequence: u16) -> Option<u64> {
        // The distance as a signed 16-bit number, -32768 to 32767; of the two candidates that
        // are exactly half a cycle away the appendix takes the one in the same cycle.
        let last = self.highest as u16;
        let behind = last.wrapping_sub(sequence);
        if behind < 0x8000 || (behind == 0x8000 && last >= sequence) {
            self.highest.checked_sub(u64::from(behind))
        } else {
            Some(self.highest + u64::from(behind.wrapping_neg())).filter(|&index| index < INDEX_END)
        }
    }

    /// Whether a packet with this index may still come.
    pub(super) fn check(&self, index: u64) -> Verdict {
        if index > self.highest {
            Verdict::New
        } else if self.highest - index >= WINDOW {
            Verdict::TooOld
        } else if self.seen[Self::word(index)] & Self::bit(index) == 0 {
            Verdict::New
        } else {
            Verdict::Duplicate
        }
    }

    fn accept(&mut self, index: u64) {
        if index > self.highest {
            if index - self.highest >= WINDOW {
                self.seen.fill(0);
            } else {
                for skipped in self.highest + 1..index {
                    self.seen[Self::word(skipped)] &= !Self::bit(skipped);
                }
            }
            self.highest = index;
        }
        self.seen[Self::word(index)] |= Self::bit(index);
    }

    fn word(index: u64) -> usize {
        (index / 64) as usize % ((WINDOW / 64) as usize)
    }

    fn bit(index: u64) -> u64 {
        1 << (index % 64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3711 appendix A, word for word, as the reference.
    fn appendix_a(highest: u64, sequence: u16) -> Option<u64> {
        let (roc, s_l, seq) = (
            (highest >> 16) as i64,
            (highest & 0xffff) as i64,
            i64::from(sequence),
        );
        let v = if s_l < 32_768 {
            if seq - s_l > 32_768 { roc - 1 } else { roc }
        } else if s_l - 32_768 > seq {
            roc + 1
        } else {
            roc
        };
        u64::try_from(v * 65_536 + seq).ok()
    }

    #[test]
    fn the_nearest_index_is_that_of_rfc_3711_appendix_a() {
        for highest in [0, 1, 32_767, 32_768, 32_769, 65_535, 65_536, 1 << 33] {
            for offset in [0, 1, 100, 32_767, 32_768, 40_000] {
                let window = Window {
                    highest: highest + offset,
                    ..Window::default()
                };
                for sequence in 0..=u16::MAX {
                    assert_eq!(
                        window.nearest(sequence),
                        appendix_a(window.highest, sequence),
                        "{} {sequence}",
                        window.highest
                    );
                }
            }
        }
    }

    #[test]
    fn a_late_packet_does_not_move_the_window_back() {
        let mut window = Window::default();
        window.accept(70_000);
        window.accept(69_999);
        assert_eq!(window.highest, 70_000);
        assert_eq!(window.check(70_000), Verdict::Duplicate);
        assert_eq!(window.check(69_999), Verdict::Duplicate);
        assert_eq!(window.check(69_998), Verdict::New);
    }

    #[test]
    fn the_window_agrees_with_a_set_of_all_indexes() {
        let mut random = 7_u64;
        let mut window = Window::default();
        let mut seen = std::collections::BTreeSet::new();
        let mut base = 0_u64;
        for _ in 0..20_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            base += (random >> 40) % 3;
            if (random >> 33).is_multiple_of(500) {
                base += (random >> 20) % 3000;
            }
            let index = (base + 40).saturating_sub((random >> 50) % 1200);
            let highest = seen.last().copied().unwrap_or(0);
            let expected = if highest >= index && highest - index >= WINDOW {
                Verdict::TooOld
            } else if seen.contains(&index) {
                Verdict::Duplicate
            } else {
                Verdict::New
            };
            assert_eq!(window.check(index), expected, "{index} at {highest}");
            if expected == Verdict::New {
                window.accept(index);
                seen.insert(index);
            }
        }
    }

    #[test]
    fn the_source_heard_least_recently_makes_room() {
        let mut sources = Sources::default();
        for (ssrc, index) in (0..64).map(|i| (i * 10, 1)).chain([(0, 2), (635, 1)]) {
            sources.accept(sources.find(ssrc), index);
        }
        let known = |ssrc| sources.window(sources.find(ssrc)).is_some();
        assert_eq!(sources.len(), MAX_SOURCES);
        assert!(known(0));
        assert!(!known(10));
        assert!(known(635));
        assert!(sources.known.is_sorted_by_key(|source| source.ssrc));
    }
}
