//! Which packets may share one GSO send: a pure function of destinations and lengths.
//!
//! The kernel cuts a send with `UDP_SEGMENT` into datagrams of one length to one destination;
//! only the last may be shorter. A [`Run`] is such a send. Runs leave in the order of their
//! first packets and packets of one destination never overtake each other, so a small packet
//! that was queued before a video frame is not held up by it, and one queued behind it rides at
//! the end of the frame's run.

use std::net::SocketAddr;
use std::ops::Range;

/// Most segments that every kernel with GSO takes (`UDP_MAX_SEGMENTS` was 64 before 6.9).
pub(super) const SEGMENTS_MAX: u16 = 64;

/// Largest UDP payload over IPv4: 65535 less IP and UDP headers.
pub(super) const RUN_BYTES_MAX: u32 = 65_507;

/// Remembers the run that a sender's next packet may join. Each sender keeps one; a stale hint
/// does no harm.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunHint {
    generation: u32,
    run: u32,
}

/// Packets of one destination that leave in one send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// Where they go.
    pub(super) to: SocketAddr,
    /// Length of each packet but the last, which may be shorter.
    pub(super) segment: u16,
    /// How many packets, at least 1.
    pub(super) count: u16,
    bytes: u32,
    first: u32,
    last: u32,
}

impl Run {
    /// Bytes of all its packets.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes as u64
    }
}

/// One packet in the slab; packets of a run are chained.
#[derive(Clone, Copy, Debug)]
struct Packet {
    offset: u32,
    next: u32,
    len: u16,
}

/// The end of a chain.
const NONE: u32 = u32::MAX;

/// All runs that wait, in the order of sending.
#[derive(Debug)]
pub(super) struct Runs {
    packets: Vec<Packet>,
    runs: Vec<Run>,
    /// How many runs were sent already.
    sent: usize,
    /// 0 is never current, so that a fresh hint matches nothing.
    generation: u32,
    segments_max: u16,
}

impl Runs {
    /// With GSO, or with runs of one packet.
    pub(super) fn new(gso: bool) -> Self {
        Self {
            packets: Vec::with_capacity(512),
            runs: Vec::with_capacity(512),
            sent: 0,
            generation: 1,
            segments_max: if gso { SEGMENTS_MAX } else { 1 },
        }
    }

    /// From now on each packet is a run of its own.
    pub(super) fn disable_gso(&mut self) {
        self.segments_max = 1;
    }

    /// Whether packets may share runs.
    pub(super) fn gso(&self) -> bool {
        self.segments_max > 1
    }

    /// Adds the packet at `offset` to the run that `hint` names, or to a new one.
    pub(super) fn push(&mut self, to: SocketAddr, offset: u32, len: u16, hint: &mut RunHint) {
        // A slab of 4 GiB of packets would be needed to overflow these.
        let packet = self.packets.len() as u32;
        self.packets.push(Packet {
            offset,
            next: NONE,
            len,
        });
        if self.join(to, packet, len, *hint) {
            return;
        }
        *hint = RunHint {
            generation: self.generation,
            run: self.runs.len() as u32,
        };
        self.runs.push(Run {
            to,
            segment: len,
            count: 1,
            bytes: u32::from(len),
            first: packet,
            last: packet,
        });
    }

    fn join(&mut self, to: SocketAddr, packet: u32, len: u16, hint: RunHint) -> bool {
        let index = hint.run as usize;
        if hint.generation != self.generation || index < self.sent {
            return false;
        }
        let Some(run) = self.runs.get_mut(index) else {
            return false;
        };
        // The last packet was shorter: the run is complete.
        let complete = run.bytes != u32::from(run.segment) * u32::from(run.count);
        if complete
            || run.to != to
            || len > run.segment
            || run.count >= self.segments_max
            || run.bytes + u32::from(len) > RUN_BYTES_MAX
        {
            return false;
        }
        run.count += 1;
        run.bytes += u32::from(len);
        let last = std::mem::replace(&mut run.last, packet);
        if let Some(last) = self.packets.get_mut(last as usize) {
            last.next = packet;
        }
        true
    }

    /// Runs that still wait.
    pub(super) fn waiting(&self) -> &[Run] {
        self.runs.get(self.sent..).unwrap_or_default()
    }

    /// Packets that still wait.
    pub(super) fn waiting_packets(&self) -> usize {
        self.waiting()
            .iter()
            .map(|run| usize::from(run.count))
            .sum()
    }

    /// The first `count` waiting runs are sent, or given up.
    pub(super) fn advance(&mut self, count: usize) {
        self.sent += count;
    }

    /// Where the packets of a run lie in the slab, in order.
    pub(super) fn packets(&self, run: &Run) -> impl Iterator<Item = Range<usize>> {
        let mut next = run.first;
        std::iter::from_fn(move || {
            let packet = self.packets.get(next as usize)?;
            next = packet.next;
            let start = packet.offset as usize;
            Some(start..start + usize::from(packet.len))
        })
    }

    /// Forgets everything; the slab is free again.
    pub(super) fn clear(&mut self) {
        self.packets.clear();
        self.runs.clear();
        self.sent = 0;
        self.generation = self.generation.wrapping_add(1).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// Queues (destination, length) pairs, one hint per destination, and returns the runs as
    /// (destination, lengths).
    fn group(gso: bool, packets: &[(u16, u16)]) -> Vec<(u16, Vec<u16>)> {
        let mut runs = Runs::new(gso);
        let mut hints = std::collections::HashMap::new();
        let mut offset = 0;
        for &(port, len) in packets {
            let hint: &mut RunHint = hints.entry(port).or_default();
            runs.push(to(port), offset, len, hint);
            offset += u32::from(len);
        }
        let lengths = |run| runs.packets(run).map(|p| p.len() as u16).collect();
        let waiting = runs.waiting().iter();
        waiting.map(|run| (run.to.port(), lengths(run))).collect()
    }

    #[test]
    fn equal_lengths_of_one_destination_share_a_run() {
        let got = group(
            true,
            &[(1, 1200), (2, 1200), (1, 1200), (2, 1200), (1, 1200)],
        );
        assert_eq!(got, [(1, vec![1200; 3]), (2, vec![1200; 2])]);
    }

    #[test]
    fn a_shorter_packet_rides_at_the_end_and_closes_the_run() {
        let got = group(true, &[(1, 1200), (1, 1200), (1, 90), (1, 90), (1, 1200)]);
        let expected = [(1, vec![1200, 1200, 90]), (1, vec![90]), (1, vec![1200])];
        assert_eq!(got, expected);
    }

    #[test]
    fn audio_queued_first_leaves_before_anybodys_video() {
        let got = group(true, &[(1, 90), (2, 90), (1, 1200), (2, 1200), (1, 1200)]);
        let expected = [
            (1, vec![90]),
            (2, vec![90]),
            (1, vec![1200, 1200]),
            (2, vec![1200]),
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn runs_end_at_64_segments_and_at_the_largest_datagram() {
        let got = group(true, &[(1, 100); 65]);
        assert_eq!(got, [(1, vec![100; 64]), (1, vec![100])]);
        let got = group(true, &[(1, 1200); 60]);
        assert_eq!(got, [(1, vec![1200; 54]), (1, vec![1200; 6])]);
    }

    #[test]
    fn without_gso_each_packet_is_a_run() {
        let got = group(false, &[(1, 100); 3]);
        assert_eq!(got, [(1, vec![100]), (1, vec![100]), (1, vec![100])]);
    }

    #[test]
    fn hints_from_before_a_clear_or_of_sent_runs_join_nothing() {
        let mut runs = Runs::new(true);
        let mut hint = RunHint::default();
        runs.push(to(1), 0, 100, &mut hint);
        runs.clear();
        runs.push(to(1), 0, 100, &mut hint);
        assert_eq!(runs.waiting().len(), 1);
        runs.advance(1);
        runs.push(to(1), 100, 100, &mut hint);
        assert_eq!(runs.waiting().len(), 1);
        assert_eq!(runs.waiting_packets(), 1);
    }

    proptest::proptest! {
        /// Whatever is queued: every packet leaves once, in the order of its destination, in
        /// runs that the kernel accepts.
        #[test]
        fn runs_are_legal_and_keep_the_order(
            packets in proptest::collection::vec((0u16..4, 1u16..1500), 0..300),
        ) {
            let got = group(true, &packets);
            for port in 0..4 {
                let queued = packets.iter().filter(|p| p.0 == port).map(|p| p.1);
                let sent = got.iter().filter(|r| r.0 == port).flat_map(|r| r.1.iter().copied());
                assert!(queued.eq(sent));
            }
            for (_, lengths) in &got {
                let (last, others) = lengths.split_last().unwrap();
                assert!(others.iter().all(|len| *len == lengths[0]) && *last <= lengths[0]);
                assert!(lengths.len() <= usize::from(SEGMENTS_MAX));
                assert!(lengths.iter().map(|l| u32::from(*l)).sum::<u32>() <= RUN_BYTES_MAX);
            }
        }
    }
}
