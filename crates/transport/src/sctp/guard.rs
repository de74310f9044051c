//! Bounds on what one peer's packets can make an association hold and do.
//!
//! The stack bounds the bytes it holds, but not the chunks, and the cost of some chunks is not in
//! proportion to their size. What is refused here, no honest sender needs; a packet refused is
//! like a packet lost.

/// Streams that a peer may use. Browsers count their channels from 0 up, by two.
pub(super) const MAX_STREAMS: u16 = 256;

/// How far beyond the last TSN in sequence a DATA chunk may be. Each one is held until the gap
/// before it is closed, even if its message has been read.
const MAX_TSN_GAP: u32 = 4096;

/// DATA chunks that may wait for the rest of their messages, over all streams.
const MAX_WAITING: usize = 4096;

/// Chunk types (RFC 9260 §3.2).
const DATA: u8 = 0;
const INIT: u8 = 1;
const SACK: u8 = 3;

/// Bytes of the common header.
const HEADER_LEN: usize = 12;

/// Why a packet goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is malformed or asks for too much.
    Packet,
    /// The peer has left too many messages unfinished to go on.
    Peer,
}

/// Watches the packets of one association, both ways.
#[derive(Default)]
pub(super) struct Guard {
    /// The last TSN that we have acknowledged in sequence; from the peer's INIT on.
    acknowledged: Option<u32>,
    /// Chunks taken and not read yet. Duplicates count until all is read.
    waiting: usize,
}

impl Guard {
    /// Looks at a packet from the peer.
    pub(super) fn receive(&mut self, packet: &[u8]) -> Result<(), Refusal> {
        let mut acknowledged = self.acknowledged;
        let mut waiting = self.waiting;
        for chunk in Chunks::of(packet)? {
            let (kind, body) = chunk?;
            match kind {
                INIT => {
                    let initial = number(body, 12).ok_or(Refusal::Packet)?;
                    acknowledged.get_or_insert(initial.wrapping_sub(1));
                }
                DATA => {
                    let tsn = number(body, 0).ok_or(Refusal::Packet)?;
                    let stream = short(body, 4).ok_or(Refusal::Packet)?;
                    let ahead = tsn.wrapping_sub(acknowledged.ok_or(Refusal::Packet)?);
                    let old = ahead == 0 || ahead > u32::MAX / 2;
                    if stream >= MAX_STREAMS || (!old && ahead > MAX_TSN_GAP) {
                        return Err(Refusal::Packet);
                    }
                    waiting += usize::from(!old);
                }
                SACK if !gaps_ascend(body) => return Err(Refusal::Packet),
                _ => {}
            }
        }
        if waiting > MAX_WAITING {
            return Err(Refusal::Peer);
        }
        self.acknowledged = acknowledged;
        self.waiting = waiting;
        Ok(())
    }

    /// Notes that a message of so many chunks was read.
    pub(super) fn read(&mut self, chunks: usize) {
        self.waiting = self.waiting.saturating_sub(chunks);
    }

    #[cfg(test)]
    pub(super) fn acknowledged(&self) -> Option<u32> {
        self.acknowledged
    }

    /// Looks at a packet to the peer: its acknowledgement says what we hold.
    pub(super) fn send(&mut self, packet: &[u8], receive_buffer: u32) {
        for (kind, body) in Chunks::of(packet).into_iter().flatten().flatten() {
            if let (SACK, Some(tsn)) = (kind, number(body, 0)) {
                self.acknowledged = Some(tsn);
                if number(body, 4) == Some(receive_buffer) && short(body, 8) == Some(0) {
                    self.waiting = 0;
                }
            }
        }
    }
}

/// Whether the gap blocks of a SACK follow one another, as those of all senders do.
///
/// The stack looks at each TSN of each block: hundreds of blocks of 65536 each cost seconds.
fn gaps_ascend(sack: &[u8]) -> bool {
    let Some(count) = short(sack, 8) else {
        return false;
    };
    let blocks = sack.get(12..).unwrap_or_default().chunks_exact(4);
    let mut last = 0;
    blocks.take(count.into()).all(|block| {
        let (Some(start), Some(end)) = (short(block, 0), short(block, 2)) else {
            return false;
        };
        let ascends = last < start && start <= end;
        last = end;
        ascends
    })
}

/// Iterates over type and value of the chunks of a packet.
struct Chunks<'a>(&'a [u8]);

impl<'a> Chunks<'a> {
    fn of(packet: &'a [u8]) -> Result<Self, Refusal> {
        packet.get(HEADER_LEN..).map(Self).ok_or(Refusal::Packet)
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<(u8, &'a [u8]), Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let chunks = std::mem::take(&mut self.0);
        let chunk = chunks.first_chunk().and_then(|&[kind, _, l0, l1]| {
            let len = usize::from(u16::from_be_bytes([l0, l1]));
            // The padding of the last chunk may be missing.
            self.0 = chunks.get(len.next_multiple_of(4)..).unwrap_or_default();
            Some((kind, chunks.get(4..len)?))
        });
        if chunk.is_none() {
            self.0 = &[];
        }
        Some(chunk.ok_or(Refusal::Packet))
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_be_bytes)
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; HEADER_LEN];
        packet.extend_from_slice(&[kind, 3]);
        packet.extend_from_slice(&(4 + body.len() as u16).to_be_bytes());
        packet.extend_from_slice(body);
        packet.resize(packet.len().next_multiple_of(4), 0);
        packet
    }

    fn init(tsn: u32) -> Vec<u8> {
        packet(INIT, &[&[1; 12][..], &tsn.to_be_bytes()].concat())
    }

    fn data(tsn: u32, stream: u16) -> Vec<u8> {
        let tail = [0, 0, 0, 0, 0, 53, b'x'];
        packet(
            DATA,
            &[&tsn.to_be_bytes()[..], &stream.to_be_bytes(), &tail].concat(),
        )
    }

    fn sack(tsn: u32, window: u32, gaps: &[(u16, u16)]) -> Vec<u8> {
        let mut body = [tsn.to_be_bytes(), window.to_be_bytes()].concat();
        body.extend_from_slice(&[0, gaps.len() as u8, 0, 0]);
        for (start, end) in gaps {
            body.extend_from_slice(&start.to_be_bytes());
            body.extend_from_slice(&end.to_be_bytes());
        }
        packet(SACK, &body)
    }

    #[test]
    fn data_is_taken_within_the_gap_and_across_the_wrap_of_its_numbers() {
        for first in [1, u32::MAX - 1, u32::MAX, 0] {
            let mut guard = Guard::default();
            assert_eq!(guard.receive(&data(first, 0)), Err(Refusal::Packet));
            assert_eq!(guard.receive(&init(first)), Ok(()));
            let at = |offset: u32| first.wrapping_add(offset);
            assert_eq!(guard.receive(&data(at(0), 0)), Ok(()));
            assert_eq!(guard.receive(&data(at(4095), 0)), Ok(()));
            assert_eq!(guard.receive(&data(at(4096), 0)), Err(Refusal::Packet));
            guard.send(&sack(at(9), 7, &[]), 99);
            assert_eq!(guard.receive(&data(at(4096 + 9), 0)), Ok(()));
            assert_eq!(guard.receive(&data(at(5), 0)), Ok(()));
        }
    }

    #[test]
    fn streams_beyond_the_limit_are_refused() {
        let mut guard = Guard::default();
        guard.receive(&init(1)).unwrap();
        assert_eq!(guard.receive(&data(1, 255)), Ok(()));
        assert_eq!(guard.receive(&data(1, 256)), Err(Refusal::Packet));
    }

    #[test]
    fn a_peer_that_leaves_too_much_unfinished_is_refused() {
        let mut guard = Guard::default();
        guard.receive(&init(0)).unwrap();
        for tsn in 0..4096 {
            assert_eq!(guard.receive(&data(tsn, 0)), Ok(()));
        }
        guard.send(&sack(4095, 7, &[]), 99);
        assert_eq!(guard.receive(&data(4096, 0)), Err(Refusal::Peer));
        guard.read(10);
        assert_eq!(guard.receive(&data(4096, 0)), Ok(()));
        guard.send(&sack(4096, 99, &[]), 99);
        assert_eq!(guard.waiting, 0);
    }

    #[test]
    fn gap_blocks_have_to_ascend() {
        let mut guard = Guard::default();
        for (gaps, expected) in [
            (&[][..], Ok(())),
            (&[(2, 2), (4, 9)], Ok(())),
            (&[(2, 65_535)], Ok(())),
            (&[(0, 1)], Err(Refusal::Packet)),
            (&[(3, 2)], Err(Refusal::Packet)),
            (&[(2, 5), (5, 6)], Err(Refusal::Packet)),
            (&[(1, 65_535), (1, 65_535)], Err(Refusal::Packet)),
        ] {
            assert_eq!(guard.receive(&sack(1, 1, gaps)), expected, "{gaps:?}");
        }
    }

    #[test]
    fn cut_packets_are_refused() {
        let mut guard = Guard::default();
        for whole in [init(1), data(1, 0), sack(1, 1, &[(2, 3)])] {
            assert_eq!(guard.receive(&whole), Ok(()));
            // Only the padding of the last chunk may be missing.
            let end = HEADER_LEN + usize::from(short(&whole, HEADER_LEN + 2).unwrap());
            for cut in HEADER_LEN + 1..end {
                assert_eq!(guard.receive(&whole[..cut]), Err(Refusal::Packet), "{cut}");
            }
            let mut no_length = whole.clone();
            no_length[HEADER_LEN + 2..HEADER_LEN + 4].fill(0);
            assert_eq!(guard.receive(&no_length), Err(Refusal::Packet));
        }
        assert_eq!(guard.receive(&[0; 11]), Err(Refusal::Packet));
    }
}
