//! Packets of one encoding in the order of their numbers, with the retransmissions in their places.
//!
//! What is next goes straight through. What comes too early waits, in memory that is bounded by time
//! and by number, until what is missing has come or is given up.

use std::collections::BTreeMap;

use crosspoint_wire::num::SeqUnwrapper;

use crate::Micros;

/// How long packets wait for one that is missing, by their times of arrival. Three retransmissions fit
/// into it on a path of 150 ms, and a second remains the most that a crash costs.
const PATIENCE: Micros = 500_000;

/// Most packets that wait.
const WAITING_MAX: usize = 4096;

/// After a silence this long, or so many packets in a row that seem late, numbers are taken anew: more
/// than half of their space may have passed.
const SILENCE: Micros = 5_000_000;
const LATE_MAX: u64 = 100;

/// A packet that waits, or passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ordered<'a> {
    /// Packets that are missing right before it and were given up.
    pub(crate) lost: u64,
    /// How much is missing before it is not known.
    pub(crate) anew: bool,
    pub(crate) arrival: Micros,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) payload: &'a [u8],
}

#[derive(Debug)]
struct Waiting {
    arrival: Micros,
    timestamp: u32,
    marker: bool,
    payload_type: u8,
    payload: Vec<u8>,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Reorder {
    numbers: SeqUnwrapper,
    next: Option<u64>,
    waiting: BTreeMap<u64, Waiting>,
    arrival: Micros,
    late_in_a_row: u64,
    /// Packets that came when they had been given up.
    pub(crate) late: u64,
}

impl Reorder {
    /// Takes a packet; hands out what is in order now.
    pub(crate) fn push(
        &mut self,
        sequence_number: u16,
        mut packet: Ordered<'_>,
        mut out: impl FnMut(Ordered<'_>),
    ) {
        let silence = packet.arrival - self.arrival;
        self.arrival = packet.arrival;
        if self.next.is_some() && (silence > SILENCE || self.late_in_a_row > LATE_MAX) {
            self.finish(&mut out);
            self.numbers = SeqUnwrapper::new();
            self.next = None;
            packet.anew = true;
        }
        let number = self.numbers.extend(sequence_number.into());
        let next = *self.next.get_or_insert(number);
        if number < next {
            self.late += 1;
            self.late_in_a_row += 1;
            return;
        }
        self.late_in_a_row = 0;
        if number > next {
            self.waiting.entry(number).or_insert_with(|| Waiting {
                arrival: packet.arrival,
                timestamp: packet.timestamp,
                marker: packet.marker,
                payload_type: packet.payload_type,
                payload: packet.payload.to_vec(),
            });
            if self.waiting.len() > WAITING_MAX {
                self.give_up(&mut out);
            }
            self.tick(packet.arrival, out);
            return;
        }
        self.next = Some(number + 1);
        out(packet);
        if !self.waiting.is_empty() {
            self.drain(0, &mut out);
        }
    }

    /// Gives up what was missing for too long when all that had arrived at `now` had come.
    pub(crate) fn tick(&mut self, now: Micros, mut out: impl FnMut(Ordered<'_>)) {
        while let Some((_, first)) = self.waiting.first_key_value()
            && first.arrival + PATIENCE <= now
        {
            self.give_up(&mut out);
        }
    }

    /// Waits for nothing any more.
    pub(crate) fn finish(&mut self, mut out: impl FnMut(Ordered<'_>)) {
        while !self.waiting.is_empty() {
            self.give_up(&mut out);
        }
    }

    fn give_up(&mut self, out: &mut impl FnMut(Ordered<'_>)) {
        let Some((&first, _)) = self.waiting.first_key_value() else {
            return;
        };
        let lost = first - self.next.unwrap_or(first);
        self.next = Some(first);
        self.drain(lost, out);
    }

    /// Hands out waiting packets as far as they follow each other.
    fn drain(&mut self, mut lost: u64, out: &mut impl FnMut(Ordered<'_>)) {
        while let Some(next) = self.next
            && let Some(packet) = self.waiting.remove(&next)
        {
            self.next = Some(next + 1);
            out(Ordered {
                lost: core::mem::take(&mut lost),
                anew: false,
                arrival: packet.arrival,
                timestamp: packet.timestamp,
                marker: packet.marker,
                payload_type: packet.payload_type,
                payload: &packet.payload,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out, as (timestamp, lost); timestamps stand for numbers.
    struct Run {
        reorder: Reorder,
        out: Vec<(u32, u64)>,
    }

    impl Run {
        fn new() -> Self {
            Self {
                reorder: Reorder::default(),
                out: Vec::new(),
            }
        }

        fn push(&mut self, arrival: Micros, number: u16) {
            let packet = Ordered {
                lost: 0,
                anew: false,
                arrival,
                timestamp: number.into(),
                marker: false,
                payload_type: 96,
                payload: b"x",
            };
            let out = &mut self.out;
            self.reorder
                .push(number, packet, |p| out.push((p.timestamp, p.lost)));
        }

        fn tick(&mut self, now: Micros) {
            let out = &mut self.out;
            self.reorder.tick(now, |p| out.push((p.timestamp, p.lost)));
        }
    }

    #[test]
    fn a_retransmission_takes_its_place() {
        let mut run = Run::new();
        for number in [65_534, 65_535, 1, 2, 0, 3] {
            run.push(0, number);
        }
        let numbers = run.out.iter().map(|(n, _)| *n);
        assert!(numbers.eq([65_534, 65_535, 0, 1, 2, 3]));
        assert!(run.out.iter().all(|(_, lost)| *lost == 0));
    }

    #[test]
    fn what_does_not_come_in_time_is_a_loss_of_exactly_so_many() {
        let mut run = Run::new();
        run.push(0, 10);
        run.push(1_000, 14);
        run.push(2_000, 15);
        run.push(3_000, 17);
        run.tick(500_999);
        assert_eq!(run.out, [(10, 0)]);
        run.tick(501_000);
        assert_eq!(run.out, [(10, 0), (14, 3), (15, 0)]);
        run.push(502_000, 12);
        assert_eq!(run.reorder.late, 1);
        run.tick(503_000);
        assert_eq!(run.out.last(), Some(&(17, 1)));
    }

    #[test]
    fn packets_that_come_together_give_up_what_was_missing_when_they_arrived() {
        let mut run = Run::new();
        for (arrival, number) in [(0, 1), (1_000, 3), (501_000, 4), (502_000, 2)] {
            run.push(arrival, number);
        }
        assert_eq!(run.out, [(1, 0), (3, 1), (4, 0)]);
        assert_eq!(run.reorder.late, 1);
    }

    #[test]
    fn duplicates_count_once_and_waiting_is_bounded() {
        let mut run = Run::new();
        run.push(0, 1);
        run.push(0, 1);
        run.push(0, 3);
        run.push(0, 3);
        run.push(0, 2);
        assert_eq!(run.out, [(1, 0), (2, 0), (3, 0)]);
        for number in 5..5 + WAITING_MAX as u16 + 1 {
            run.push(0, number);
        }
        assert_eq!(run.out.get(3), Some(&(5, 1)));
        assert!(run.reorder.waiting.is_empty());
    }
}
