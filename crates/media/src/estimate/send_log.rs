//! Which packets left, when and how large: what transport-wide feedback speaks of.
//!
//! A ring of eight-byte entries, indexed by the transport-wide number. It begins small and doubles
//! while feedback comes for packets that are about to be overwritten, so that it reaches as far
//! back as the path's round trip and rate ask for, up to [`ENTRIES_MAX`]: far less than half the
//! number space, so that 16 bits name a packet without doubt.

use core::time::Duration;

use crosspoint_wire::time::Time;

const ENTRIES_MIN: usize = 64;
/// A second of 4096 packets/s (40 Mbit/s).
pub(super) const ENTRIES_MAX: usize = 4096;
/// Feedback may take so long that a ring which overwrites younger packets is too small.
const REACH: Duration = Duration::from_millis(1000);

/// A packet that left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) at: Time,
    pub(super) bytes: u16,
    /// The probe that it is part of; 0: none.
    pub(super) probe: u8,
}

/// What is known of a reported packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported {
    pub(super) number: u64,
    pub(super) sent: Sent,
    /// It was reported missing before.
    pub(super) was_missing: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// Microseconds, wrapping after 71 minutes.
    at_us: u32,
    bytes: u16,
    probe: u8,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing left under this number, or its arrival is known.
    #[default]
    Settled,
    UnderWay,
    Missing,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(super) struct SendLog {
    /// Power of two long; empty before the first packet.
    entries: Vec<Entry>,
    /// Number of the packet that left last; its low 16 bits are what the packet carries.
    newest: u64,
}

impl SendLog {
    /// The number under which the next packet leaves. Nothing is known under it until
    /// [`note`](Self::note).
    #[inline]
    pub(super) fn next_number(&mut self, now: Time, feedback: bool) -> u64 {
        if self.entries.is_empty() {
            self.entries.resize(ENTRIES_MIN, Entry::default());
        }
        self.newest += 1;
        if feedback && self.loses(now) {
            self.double();
        }
        let index = self.index(self.newest);
        if let Some(entry) = self.entries.get_mut(index) {
            entry.state = State::Settled;
        }
        self.newest
    }

    /// The same where nobody reports: nothing is known under most numbers, and nothing written.
    #[inline]
    pub(super) const fn next_number_unheard(&mut self) -> u64 {
        self.newest += 1;
        self.newest
    }

    /// Forgets all packets.
    pub(super) fn forget(&mut self) {
        self.entries.fill(Entry::default());
    }

    /// Notes that a packet left.
    #[inline]
    pub(super) fn note(&mut self, number: u64, sent: Sent) {
        let index = self.index(number);
        if let Some(entry) = self.entries.get_mut(index) {
            *entry = Entry {
                at_us: sent.at.as_micros() as u32,
                bytes: sent.bytes,
                probe: sent.probe,
                state: State::UnderWay,
            };
        }
    }

    /// The full number of what a feedback message calls `number`; `None` when nothing that left
    /// under it is still known.
    pub(super) fn find(&self, number: u16) -> Option<u64> {
        let back = (self.newest as u16).wrapping_sub(number);
        let found = self.newest.checked_sub(u64::from(back))?;
        (usize::from(back) < self.entries.len() && found > 0).then_some(found)
    }

    /// Takes note that `number` arrived or is missing; `None` when that says nothing new.
    pub(super) fn report(&mut self, now: Time, number: u64, arrived: bool) -> Option<Reported> {
        let index = self.index(number);
        let entry = self.entries.get_mut(index)?;
        let was_missing = entry.state == State::Missing;
        if entry.state == State::Settled || (was_missing && !arrived) {
            return None;
        }
        entry.state = if arrived {
            State::Settled
        } else {
            State::Missing
        };
        let now_us = now.as_micros();
        let age_us = (now_us as u32).wrapping_sub(entry.at_us);
        Some(Reported {
            number,
            sent: Sent {
                at: Time::from_micros(now_us.saturating_sub(u64::from(age_us))),
                bytes: entry.bytes,
                probe: entry.probe,
            },
            was_missing,
        })
    }

    fn loses(&self, now: Time) -> bool {
        self.entries.len() < ENTRIES_MAX
            && self.entries.get(self.index(self.newest)).is_some_and(|e| {
                e.state == State::UnderWay
                    && u128::from((now.as_micros() as u32).wrapping_sub(e.at_us))
                        <= REACH.as_micros()
            })
    }

    fn double(&mut self) {
        let len = self.entries.len() as u64;
        let old = core::mem::replace(&mut self.entries, vec![Entry::default(); 2 * len as usize]);
        for number in self.newest.saturating_sub(len)..self.newest {
            let index = self.index(number);
            if let Some((place, entry)) = self
                .entries
                .get_mut(index)
                .zip(old.get((number & (len - 1)) as usize))
            {
                *place = *entry;
            }
        }
    }

    fn index(&self, number: u64) -> usize {
        number as usize & self.entries.len().wrapping_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(log: &mut SendLog, now: Time) -> u64 {
        let number = log.next_number(now, true);
        let sent = Sent {
            at: now,
            bytes: number as u16,
            probe: 0,
        };
        log.note(number, sent);
        number
    }

    #[test]
    fn an_entry_is_eight_bytes() {
        assert_eq!(size_of::<Entry>(), 8);
    }

    #[test]
    fn finds_each_packet_of_the_last_500_over_the_wrap_and_no_other() {
        let mut log = SendLog::default();
        for n in 1..140_000_u64 {
            let number = send(&mut log, Time::from_millis(n));
            assert_eq!(number, n);
            for back in [0, 1, 250, 499] {
                let found = log.find(number.wrapping_sub(back) as u16);
                assert_eq!(found, number.checked_sub(back).filter(|&n| n > 0));
            }
            for ahead in [1_u64, 20_000, 32_768, 60_000] {
                assert_eq!(log.find((number + ahead) as u16), None);
            }
        }
        assert_eq!(log.entries.len(), 1024, "a second of 1000 packets/s");
    }

    #[test]
    fn a_packet_is_reported_once_even_if_it_was_missing_first() {
        let mut log = SendLog::default();
        let number = send(&mut log, Time::from_millis(7));
        let now = Time::from_millis(50);
        let missing = log.report(now, number, false).unwrap();
        assert!(!missing.was_missing);
        assert!(log.report(now, number, false).is_none());
        let arrived = log.report(now, number, true).unwrap();
        assert!(arrived.was_missing);
        assert_eq!(arrived.sent.at, Time::from_millis(7));
        assert!(log.report(now, number, true).is_none());
        let unsent = log.next_number(now, true);
        assert!(log.report(now, unsent, true).is_none(), "it never left");
    }

    #[test]
    fn without_feedback_the_ring_stays_small() {
        let mut log = SendLog::default();
        for _ in 0..10_000 {
            let number = log.next_number(Time::ZERO, false);
            log.note(
                number,
                Sent {
                    at: Time::ZERO,
                    bytes: 1,
                    probe: 0,
                },
            );
        }
        assert_eq!(log.entries.len(), ENTRIES_MIN);
    }
}
