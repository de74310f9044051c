//! Transport-wide congestion control feedback
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1): which packets of a transport came,
//! and when, in chunks of two-bit symbols followed by arrival deltas in units of 250 us.

use crate::ParseError;
use crate::ids::Ssrc;
use crate::time::Time;

/// Unit of arrival deltas.
const TICK_US: i64 = 250;
/// Ticks in the unit of the reference time, 64 ms.
const TICKS_PER_REFERENCE: i64 = 256;
/// Longest run that a run-length chunk can say: 13 bits.
const RUN_MAX: u16 = 0x1fff;

/// How many bytes of delta follow for a symbol; `None` for the reserved one.
const fn delta_len(symbol: u8) -> Option<usize> {
    match symbol {
        0..=2 => Some(symbol as usize),
        _ => None,
    }
}

/// A feedback message whose chunks and deltas were found to fit its count.
#[derive(Clone, Copy, Debug)]
pub struct TransportCc<'a> {
    /// Who reports.
    pub sender: Ssrc,
    /// Any stream of the transport; of no meaning.
    pub media: Ssrc,
    /// Transport-wide sequence number of the first packet reported on.
    pub base_sequence: u16,
    /// How many packets are reported on, received or not.
    pub packet_count: u16,
    /// Where the receiver's arrival times start, in units of 64 ms on its own clock; 24 bits,
    /// wraps.
    pub reference_time: u32,
    /// Counts feedback messages, wraps: shows when one was lost.
    pub feedback_count: u8,
    chunks: &'a [[u8; 2]],
    deltas: &'a [u8],
}

impl<'a> TransportCc<'a> {
    pub(super) fn parse(sender: Ssrc, media: Ssrc, fci: &'a [u8]) -> Result<Self, ParseError> {
        let (&[s0, s1, c0, c1, r0, r1, r2, feedback_count], rest) =
            fci.split_first_chunk().ok_or(ParseError::Length)?;
        let packet_count = u16::from_be_bytes([c0, c1]);
        let (chunks, _) = rest.as_chunks::<2>();
        let mut remaining = packet_count;
        let mut chunks_len = 0;
        let mut deltas_len = 0;
        while remaining > 0 {
            let chunk = Chunk::from(*chunks.get(chunks_len).ok_or(ParseError::Length)?);
            chunks_len += 1;
            let symbols = chunk.len().min(remaining);
            remaining -= symbols;
            deltas_len += chunk.deltas_len(symbols)?;
        }
        let deltas = rest.get(2 * chunks_len..).unwrap_or_default();
        Ok(Self {
            sender,
            media,
            base_sequence: u16::from_be_bytes([s0, s1]),
            packet_count,
            reference_time: u32::from_be_bytes([0, r0, r1, r2]),
            feedback_count,
            chunks: chunks.get(..chunks_len).unwrap_or_default(),
            deltas: deltas.get(..deltas_len).ok_or(ParseError::Length)?,
        })
    }

    /// Each packet reported on, `packet_count` of them, in the order of sequence numbers.
    #[must_use]
    pub const fn packets(&self) -> PacketStatuses<'a> {
        PacketStatuses {
            sequence_number: self.base_sequence,
            remaining: self.packet_count,
            offset_us: 0,
            chunk: Chunk(0),
            chunk_index: 0,
            chunks: self.chunks,
            deltas: self.deltas,
        }
    }
}

/// What became of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketStatus {
    /// Its transport-wide sequence number.
    pub sequence_number: u16,
    /// When it arrived, in microseconds after the reference time; `None` when it did not.
    pub arrival_us: Option<i64>,
}

/// Iterator over the packets of a feedback message.
#[derive(Clone, Debug)]
pub struct PacketStatuses<'a> {
    sequence_number: u16,
    remaining: u16,
    offset_us: i64,
    chunk: Chunk,
    /// Of the next symbol in `chunk`.
    chunk_index: u16,
    chunks: &'a [[u8; 2]],
    deltas: &'a [u8],
}

impl PacketStatuses<'_> {
    fn delta_ticks(&mut self, symbol: u8) -> Option<i64> {
        let len = delta_len(symbol).filter(|&len| len > 0)?;
        let (delta, rest) = self.deltas.split_at_checked(len)?;
        self.deltas = rest;
        match *delta {
            [small] => Some(i64::from(small)),
            [high, low] => Some(i64::from(i16::from_be_bytes([high, low]))),
            _ => None,
        }
    }
}

impl Iterator for PacketStatuses<'_> {
    type Item = PacketStatus;

    fn next(&mut self) -> Option<PacketStatus> {
        self.remaining = self.remaining.checked_sub(1)?;
        // Chunks of length zero are legal, and senseless.
        while self.chunk_index >= self.chunk.len() {
            let (&chunk, rest) = self.chunks.split_first()?;
            self.chunk = Chunk::from(chunk);
            self.chunks = rest;
            self.chunk_index = 0;
        }
        let symbol = self.chunk.symbol(self.chunk_index);
        self.chunk_index += 1;
        let sequence_number = self.sequence_number;
        self.sequence_number = sequence_number.wrapping_add(1);
        let arrival_us = self.delta_ticks(symbol).map(|ticks| {
            self.offset_us += ticks * TICK_US;
            self.offset_us
        });
        Some(PacketStatus {
            sequence_number,
            arrival_us,
        })
    }
}

/// A packet status chunk: a run of one symbol, 14 symbols of one bit, or 7 of two.
#[derive(Clone, Copy, Debug)]
struct Chunk(u16);

impl From<[u8; 2]> for Chunk {
    fn from(bytes: [u8; 2]) -> Self {
        Self(u16::from_be_bytes(bytes))
    }
}

impl Chunk {
    const fn run(symbol: u8, len: u16) -> Self {
        Self(((symbol as u16) << 13) | (len & RUN_MAX))
    }

    fn one_bit(symbols: &[u8]) -> Self {
        let bits = symbols.iter().zip((0..14).rev());
        Self(bits.fold(0x8000, |chunk, (&s, shift)| chunk | (u16::from(s) << shift)))
    }

    fn two_bit(symbols: &[u8]) -> Self {
        let bits = symbols.iter().zip((0..7).rev());
        Self(bits.fold(0xc000, |chunk, (&s, i)| chunk | (u16::from(s) << (2 * i))))
    }

    /// Symbols that it holds.
    const fn len(self) -> u16 {
        match self.0 >> 14 {
            0 | 1 => self.0 & RUN_MAX,
            2 => 14,
            _ => 7,
        }
    }

    /// The symbol at `index`, below [`len`](Self::len).
    const fn symbol(self, index: u16) -> u8 {
        let symbol = match self.0 >> 14 {
            0 | 1 => (self.0 >> 13) & 3,
            2 => (self.0 >> (13 - index)) & 1,
            _ => (self.0 >> (12 - 2 * index)) & 3,
        };
        symbol as u8
    }

    /// Bytes of delta that belong to the first `symbols` symbols.
    fn deltas_len(self, symbols: u16) -> Result<usize, ParseError> {
        let of = |symbol| delta_len(symbol).ok_or(ParseError::Value);
        if self.0 >> 15 == 0 {
            // Of a run of zero length, the symbol is of no meaning.
            return match symbols {
                0 => Ok(0),
                n => Ok(usize::from(n) * of(self.symbol(0))?),
            };
        }
        (0..symbols).try_fold(0, |sum, index| Ok(sum + of(self.symbol(index))?))
    }
}

/// What [`encode`] wrote.
pub(super) struct Encoded {
    /// Packets reported on.
    pub(super) packets: u16,
    /// As in [`TransportCc::reference_time`].
    pub(super) reference_time: u32,
    /// Bytes of chunks and deltas.
    pub(super) len: usize,
}

/// Writes chunks and deltas for as many of `arrivals` as fit into `room` and can be expressed: an
/// arrival more than 8 s from the one before it cannot. `None` when nothing arrived.
pub(super) fn encode(
    room: &mut [u8],
    arrivals: impl Iterator<Item = Option<Time>> + Clone,
) -> Option<Encoded> {
    let first = arrivals.clone().flatten().next()?;
    let reference = ticks(first) / TICKS_PER_REFERENCE;
    let deltas = Deltas {
        arrivals,
        previous: reference * TICKS_PER_REFERENCE,
    };

    let mut chunks = ChunkEncoder::default();
    let mut chunks_len = 0;
    let mut deltas_len = 0;
    let mut packets = 0;
    for delta in deltas.clone().take(usize::from(u16::MAX)) {
        let symbol = symbol(delta);
        let len = usize::from(symbol);
        // One more chunk may be written now, and one is always pending.
        if chunks_len + 4 + deltas_len + len > room.len() {
            break;
        }
        if let Some(chunk) = chunks.push(symbol) {
            put(room, &mut chunks_len, &chunk.0.to_be_bytes());
        }
        deltas_len += len;
        packets += 1;
    }
    if let Some(chunk) = chunks.finish() {
        put(room, &mut chunks_len, &chunk.0.to_be_bytes());
    }

    let mut len = chunks_len;
    for delta in deltas.take(usize::from(packets)).flatten() {
        let bytes = delta.to_be_bytes();
        match symbol(Some(delta)) {
            1 => put(room, &mut len, bytes.get(1..).unwrap_or_default()),
            _ => put(room, &mut len, &bytes),
        }
    }
    Some(Encoded {
        packets,
        reference_time: (reference & 0xff_ffff) as u32,
        len,
    })
}

fn put(room: &mut [u8], at: &mut usize, bytes: &[u8]) {
    if let Some(room) = room.get_mut(*at..*at + bytes.len()) {
        room.copy_from_slice(bytes);
    }
    *at += bytes.len();
}

/// Half of the range is enough for any clock: 2^62 ticks.
fn ticks(time: Time) -> i64 {
    (time.as_micros() / TICK_US.unsigned_abs()).cast_signed()
}

const fn symbol(delta: Option<i16>) -> u8 {
    match delta {
        None => 0,
        Some(0..=255) => 1,
        Some(_) => 2,
    }
}

/// From arrival times to deltas; ends at one that does not fit.
#[derive(Clone)]
struct Deltas<I> {
    arrivals: I,
    previous: i64,
}

impl<I: Iterator<Item = Option<Time>>> Iterator for Deltas<I> {
    type Item = Option<i16>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(arrival) = self.arrivals.next()? else {
            return Some(None);
        };
        let at = ticks(arrival);
        let delta = i16::try_from(at - self.previous).ok()?;
        self.previous = at;
        Some(Some(delta))
    }
}

/// Packs symbols into as few chunks as looking at one chunk at a time allows.
#[derive(Default)]
struct ChunkEncoder {
    /// Pending symbols. Beyond 14 of them they are all the same as the first.
    symbols: [u8; 14],
    len: u16,
    mixed: bool,
    large: bool,
}

impl ChunkEncoder {
    /// Adds a symbol; returns a chunk when it had to make room.
    fn push(&mut self, symbol: u8) -> Option<Chunk> {
        let chunk = if self.takes(symbol) {
            None
        } else {
            self.emit(false)
        };
        if let Some(slot) = self.symbols.get_mut(usize::from(self.len)) {
            *slot = symbol;
        }
        self.len += 1;
        self.mixed |= self.symbols.first() != Some(&symbol);
        self.large |= symbol == 2;
        chunk
    }

    /// The chunk for what is pending: at most one, because of what `takes` refuses.
    fn finish(mut self) -> Option<Chunk> {
        self.emit(true)
    }

    /// Whether one chunk can hold the pending symbols and this one.
    fn takes(&self, symbol: u8) -> bool {
        self.len < 7
            || (self.len < 14 && !self.large && symbol != 2)
            || (self.len < RUN_MAX && !self.mixed && self.symbols.first() == Some(&symbol))
    }

    /// Takes a chunk off the front of the pending symbols. Only the `last` chunk of a message may
    /// hold more symbols than there are packets.
    fn emit(&mut self, last: bool) -> Option<Chunk> {
        let pending = self.symbols;
        let pending = pending.get(..usize::from(self.len)).unwrap_or(&pending);
        let (chunk, rest) = match (pending, pending.split_at_checked(7)) {
            ([], _) => return None,
            ([first, ..], _) if !self.mixed => (Chunk::run(*first, self.len), &[][..]),
            _ if !self.large && (last || self.len == 14) => (Chunk::one_bit(pending), &[][..]),
            (_, Some((head, rest))) => (Chunk::two_bit(head), rest),
            (_, None) => (Chunk::two_bit(pending), &[][..]),
        };
        *self = Self::default();
        for &symbol in rest {
            self.push(symbol);
        }
        Some(chunk)
    }
}
