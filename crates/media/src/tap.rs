//! What a recorder gets of tracks: the messages of a relay whose other end is not an engine.
//!
//! A tap is opened as a relay is ([`Command::OpenRelay`](crate::command::Command::OpenRelay)): each
//! packet comes once, at the track's own layers, retransmissions included, in the order of arrival.
//! Messages travel in [`TapBatch`]es, each of one relay, through a bounded [`TapDoor`]. Who reads too
//! slowly loses whole batches and is told how many messages that were; the forwarding of media never
//! waits. Nothing goes back on this way: keyframes are asked for by a command.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use crosspoint_wire::ids::PayloadType;
use crosspoint_wire::time::NtpTime;

use crate::config::RelayId;
use crate::relay::{Message, RelayedPacket};
use crate::sink::append_with_length;

/// Batches that may wait for a recorder.
pub const TAP_BATCHES_MAX: usize = 8192;

/// Bytes that may wait for a recorder: with a hundred tracks of 1 Mbit/s some seconds of a disk that
/// stands still.
pub const TAP_BYTES_MAX: usize = 64 << 20;

/// How long messages wait for others of their relay at the most, before they are handed over.
///
/// Who reads them finds its place in a track once for all that come together, so the longer the
/// cheaper; but what waits is lost in a crash, which may cost a second together with what a reader
/// holds back in its turn.
pub const TAP_PERIOD: Duration = Duration::from_millis(300);

/// What a tap brings.
#[derive(Clone, Copy, Debug)]
pub enum TapMessage<'a> {
    /// A packet. An empty payload is padding: its number is used, and that is all of it.
    Packet(TapPacket<'a>),
    /// The clock of one of the track's encodings read `timestamp` when the server's wall clock read
    /// `wall`: from the publisher's sender reports.
    Clock {
        /// Place among the track's encodings, 0 = lowest quality.
        encoding: u8,
        /// Wall clock of the server.
        wall: NtpTime,
        /// RTP timestamp.
        timestamp: u32,
    },
}

/// A packet as its publisher made it.
#[derive(Clone, Copy, Debug)]
pub struct TapPacket<'a> {
    /// Place among the track's encodings, 0 = lowest quality.
    pub encoding: u8,
    /// Another number: another stream in the encoding's place.
    pub epoch: u8,
    /// Marker bit.
    pub marker: bool,
    /// Payload type, as the track declares it.
    pub payload_type: PayloadType,
    /// Sequence number.
    pub sequence_number: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Payload, without RTX and padding.
    pub payload: &'a [u8],
}

impl<'a> TapMessage<'a> {
    /// From a message of a relay; `None` for what only engines need.
    #[must_use]
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        match Message::parse(message)? {
            Message::Packet(packet) => Some(Self::Packet(TapPacket {
                encoding: packet.encoding,
                epoch: packet.epoch,
                marker: packet.marker,
                payload_type: packet.payload_type,
                sequence_number: packet.sequence_number,
                timestamp: packet.timestamp,
                payload: packet.payload,
            })),
            Message::Clock {
                encoding,
                wall,
                timestamp,
            } => Some(Self::Clock {
                encoding,
                wall,
                timestamp,
            }),
            Message::Keyframe { .. } => None,
        }
    }

    /// Appends the message as an engine writes it: for tests and load generators that stand in for
    /// one.
    pub fn write(&self, to: &mut Vec<u8>) {
        let message = match *self {
            Self::Packet(packet) => Message::Packet(RelayedPacket {
                encoding: packet.encoding,
                epoch: packet.epoch,
                marker: packet.marker,
                payload_type: packet.payload_type,
                sequence_number: packet.sequence_number,
                timestamp: packet.timestamp,
                extensions: Default::default(),
                payload: packet.payload,
            }),
            Self::Clock {
                encoding,
                wall,
                timestamp,
            } => Message::Clock {
                encoding,
                wall,
                timestamp,
            },
        };
        message.write(to);
    }
}

/// Messages of one relay, in order. Its buffer goes back to the worker when it is dropped.
#[derive(Debug)]
pub struct TapBatch {
    relay: RelayId,
    bytes: Vec<u8>,
    lost: u64,
    home: Option<SyncSender<Vec<u8>>>,
    /// Bytes behind the door that it went through, of which its own are a part.
    waiting: Option<Arc<AtomicUsize>>,
}

impl TapBatch {
    /// An empty batch of a relay in `buffer`, which goes to `home` afterwards. `lost` messages of the
    /// relay before it found the door closed.
    #[must_use]
    pub fn new(
        relay: RelayId,
        mut buffer: Vec<u8>,
        lost: u64,
        home: Option<SyncSender<Vec<u8>>>,
    ) -> Self {
        buffer.clear();
        Self {
            relay,
            bytes: buffer,
            lost,
            home,
            waiting: None,
        }
    }

    /// Appends the message that `write` appends, which left an engine when the server's wall clock read
    /// `wall`.
    pub fn push(&mut self, wall: NtpTime, write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.extend_from_slice(&wall.0.to_le_bytes());
        append_with_length(&mut self.bytes, write);
    }

    /// Whose messages they are.
    #[must_use]
    pub const fn relay(&self) -> RelayId {
        self.relay
    }

    /// The messages that are understood: when, what.
    pub fn messages(&self) -> impl Iterator<Item = (NtpTime, TapMessage<'_>)> {
        self.raw()
            .filter_map(|(wall, message)| Some((wall, TapMessage::parse(message)?)))
    }

    /// How many messages of its relay were lost right before it.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// How many bytes it has.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn raw(&self) -> impl Iterator<Item = (NtpTime, &[u8])> {
        let mut rest = self.bytes.as_slice();
        core::iter::from_fn(move || {
            let (wall, tail) = rest.split_first_chunk()?;
            let (len, tail) = tail.split_first_chunk()?;
            let (message, tail) = tail.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            rest = tail;
            Some((NtpTime(u64::from_le_bytes(*wall)), message))
        })
    }
}

impl Drop for TapBatch {
    fn drop(&mut self) {
        if let Some(waiting) = &self.waiting {
            waiting.fetch_sub(self.bytes.len(), Ordering::Relaxed);
        }
        if let Some(home) = &self.home {
            let _ = home.try_send(core::mem::take(&mut self.bytes));
        }
    }
}

/// A recorder's door: batches of all workers wait behind it. Clones lead to the same recorder.
#[derive(Clone, Debug)]
pub struct TapDoor {
    id: u64,
    batches: SyncSender<TapBatch>,
    /// Bytes behind it.
    waiting: Arc<AtomicUsize>,
}

impl PartialEq for TapDoor {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for TapDoor {}

impl TapDoor {
    /// A door and the queue behind it, which holds [`TAP_BATCHES_MAX`] batches and [`TAP_BYTES_MAX`].
    #[must_use]
    pub fn new() -> (Self, Receiver<TapBatch>) {
        static DOORS: AtomicU64 = AtomicU64::new(0);
        let (batches, queue) = sync_channel(TAP_BATCHES_MAX);
        let door = Self {
            id: DOORS.fetch_add(1, Ordering::Relaxed),
            batches,
            waiting: Arc::default(),
        };
        (door, queue)
    }

    /// Hands a batch over without waiting.
    ///
    /// # Errors
    /// The number of messages that are lost because too much waits or the recorder is gone.
    pub fn hand_over(&self, mut batch: TapBatch) -> Result<(), u64> {
        let len = batch.len();
        let before = self.waiting.fetch_add(len, Ordering::Relaxed);
        batch.waiting = Some(Arc::clone(&self.waiting));
        if before + len > TAP_BYTES_MAX {
            return Err(batch.raw().count() as u64);
        }
        self.batches.try_send(batch).map_err(|error| {
            let (TrySendError::Full(batch) | TrySendError::Disconnected(batch)) = error;
            batch.raw().count() as u64
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a packet.
    fn packet(sequence_number: u16, payload: &[u8]) -> impl Fn(&mut Vec<u8>) {
        let packet = TapPacket {
            encoding: 1,
            epoch: 2,
            marker: true,
            payload_type: 96,
            sequence_number,
            timestamp: 7,
            payload,
        };
        move |to| TapMessage::Packet(packet).write(to)
    }

    #[test]
    fn a_batch_brings_what_was_put_in_and_its_buffer_goes_home() {
        let (home, returned) = sync_channel(1);
        let (door, queue) = TapDoor::new();
        let mut batch = TapBatch::new(RelayId(9), Vec::new(), 3, Some(home));
        batch.push(NtpTime(5), packet(1, b"one"));
        batch.push(NtpTime(6), |to| to.extend(b"not understood"));
        batch.push(NtpTime(7), packet(2, b""));
        door.hand_over(batch).unwrap();
        let batch = queue.try_recv().unwrap();
        assert_eq!((batch.relay(), batch.lost()), (RelayId(9), 3));
        let found: Vec<_> = batch
            .messages()
            .map(|(wall, message)| match message {
                TapMessage::Packet(p) => (wall.0, p.sequence_number, p.payload.to_vec()),
                TapMessage::Clock { .. } => panic!("no clock was put in"),
            })
            .collect();
        assert_eq!(found, [(5, 1, b"one".to_vec()), (7, 2, Vec::new())]);
        drop(batch);
        assert!(returned.try_recv().unwrap().capacity() > 0);
    }

    #[test]
    fn a_door_that_nobody_reads_says_how_much_is_lost() {
        let (door, queue) = TapDoor::new();
        let empty = || TapBatch::new(RelayId(1), Vec::new(), 0, None);
        for _ in 0..TAP_BATCHES_MAX {
            door.hand_over(empty()).unwrap();
        }
        let mut batch = empty();
        batch.push(NtpTime(1), packet(1, b"a"));
        batch.push(NtpTime(1), packet(2, b"b"));
        assert_eq!(door.hand_over(batch), Err(2));
        drop(queue);
        assert_eq!(door.hand_over(empty()), Err(0));
    }

    #[test]
    fn so_many_bytes_wait_and_room_is_made_by_reading() {
        let (door, queue) = TapDoor::new();
        let large = vec![0; TAP_BYTES_MAX / 4];
        let send = || {
            let mut batch = TapBatch::new(RelayId(1), Vec::new(), 0, None);
            batch.push(NtpTime(1), |to| to.extend_from_slice(&large));
            door.hand_over(batch)
        };
        assert_eq!(
            [send(), send(), send(), send()],
            [Ok(()), Ok(()), Ok(()), Err(1)]
        );
        drop(queue.try_recv().unwrap());
        assert_eq!([send(), send()], [Ok(()), Err(1)]);
    }
}
