//! Repair by asking again, both ways.
//!
//! [`NackGenerator`] finds what is missing from a publisher's stream and says when to ask for it
//! (RFC 4585 §6.2.1). [`RetransmitGate`] decides which of a subscriber's asks are granted, so
//! that nobody can make the server send many times what it was sent.

mod gate;

use core::time::Duration;
use std::collections::VecDeque;

use crosspoint_wire::time::Time;

pub(crate) use self::gate::RetransmitGate;

/// Most packets asked for at a time. More are lost only when the path is gone; a keyframe repairs
/// that sooner. libwebrtc has the same figure.
const MISSING_MAX: usize = 1000;
/// How long a gap may be mere reordering. Longer: later repair; shorter: needless asking on paths
/// that reorder. Real paths reorder by a few packets of one burst.
const REORDER_TOLERANCE: Duration = Duration::from_millis(5);
/// Assumed round trip until one is measured.
const DEFAULT_RTT: Duration = Duration::from_millis(50);
/// An answer may come this much later than a round trip before it is asked for again.
const RTT_MARGIN: Duration = Duration::from_millis(10);
/// After this many asks, or this long, a packet is of no more use.
const TRIES_MAX: u8 = 10;
const GIVE_UP_AFTER: Duration = Duration::from_secs(1);

/// What became of the sequence with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It is the next, perhaps after a gap that is now being asked for.
    InOrder,
    /// It fills a gap that was being asked for.
    Repaired,
    /// It came late and was not being asked for (any more), or twice.
    Late,
    /// It is next after a gap too large to repair; nothing is being asked for any more. Video
    /// needs a keyframe.
    BeyondRepair,
}

/// Knows what is missing from one incoming stream.
#[derive(Debug, Default)]
pub(crate) struct NackGenerator {
    highest: Option<u64>,
    /// Ascending by number.
    missing: VecDeque<Missing>,
    /// Not later than the earliest due time.
    next_due: Option<Time>,
    /// From the first ask to the repair: the round trip, unless the first ask was lost.
    answer_time: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Missing {
    ext_seq: u64,
    since: Time,
    first_asked: Option<Time>,
    due: Time,
    tries: u8,
}

impl NackGenerator {
    /// Takes note of a repair by the extended sequence number of its original. Of a stream whose
    /// originals are not noted, since its publisher does not repeat anything, it notes nothing: sound
    /// that was taken along by later packets says nothing about what lies between.
    pub(crate) fn on_repair(&mut self, now: Time, ext_seq: u64) -> Arrival {
        if self.highest.is_none() {
            return Arrival::Late;
        }
        let index = self.missing.binary_search_by_key(&ext_seq, |m| m.ext_seq);
        let missing = index.ok().and_then(|index| self.missing.get(index));
        if let Some(asked) = missing.and_then(|m| m.first_asked) {
            let answer = now.since(asked);
            // The shortest is right: a longer one had its first ask lost. Paths change, slowly.
            self.answer_time = Some(match self.answer_time {
                Some(time) if time < answer => time + (answer - time) / 16,
                _ => answer,
            });
        }
        self.on_packet(now, ext_seq)
    }

    /// Takes note of a packet by its extended sequence number.
    pub(crate) fn on_packet(&mut self, now: Time, ext_seq: u64) -> Arrival {
        let Some(highest) = self.highest else {
            self.highest = Some(ext_seq);
            return Arrival::InOrder;
        };
        if ext_seq <= highest {
            return match self.missing.binary_search_by_key(&ext_seq, |m| m.ext_seq) {
                Ok(index) => {
                    self.missing.remove(index);
                    Arrival::Repaired
                }
                Err(_) => Arrival::Late,
            };
        }
        self.highest = Some(ext_seq);
        let gap = ext_seq - highest - 1;
        if gap > (MISSING_MAX - self.missing.len()) as u64 {
            self.missing.clear();
            self.next_due = None;
            return Arrival::BeyondRepair;
        }
        if gap > 0 {
            let due = now + REORDER_TOLERANCE;
            self.missing
                .extend((highest + 1..ext_seq).map(|ext_seq| Missing {
                    ext_seq,
                    since: now,
                    first_asked: None,
                    due,
                    tries: 0,
                }));
            self.next_due = Some(self.next_due.map_or(due, |d| d.min(due)));
        }
        Arrival::InOrder
    }

    /// Gives up what is missing before `ext_seq`, where a keyframe begins: no decoder will need
    /// it.
    pub(crate) fn forget_before(&mut self, ext_seq: u64) {
        let keep = self.missing.partition_point(|m| m.ext_seq < ext_seq);
        self.missing.drain(..keep);
    }

    /// Calls `ask` with each sequence number that is to be asked for now, ascending. `rtt` is the
    /// measured round trip to the publisher, if there is one; a publisher that receives nothing
    /// never reports one, and then the time that answers took serves.
    pub(crate) fn poll(&mut self, now: Time, rtt: Option<Duration>, mut ask: impl FnMut(u16)) {
        if self.next_due.is_none_or(|due| due > now) {
            return;
        }
        let rtt = rtt.or(self.answer_time).unwrap_or(DEFAULT_RTT);
        let again = now + rtt + RTT_MARGIN;
        let mut next_due: Option<Time> = None;
        self.missing.retain_mut(|m| {
            if m.due <= now {
                if m.tries >= TRIES_MAX || now.since(m.since) >= GIVE_UP_AFTER {
                    return false;
                }
                ask(m.ext_seq as u16);
                m.tries += 1;
                m.first_asked.get_or_insert(now);
                m.due = again;
            }
            next_due = Some(next_due.map_or(m.due, |d| d.min(m.due)));
            true
        });
        self.next_due = next_due;
    }

    /// When [`poll`](Self::poll) next has something to do, or earlier; `Time::NEVER` if nothing.
    pub(crate) fn next_timeout(&self) -> Time {
        self.next_due.unwrap_or(Time::NEVER)
    }
}

#[cfg(test)]
mod tests;
