//! Tracks that go to, or come from, another engine; and what the two ends say to each other.
//!
//! ```text
//! packet    1  encoding  epoch  flags  payload type  sequence number (2)  timestamp (4)
//!              length of extensions (1)  { kind  length  content }...  payload
//! keyframe  2  encoding                                        (towards the source)
//! clock     3  encoding  wall clock (8)  timestamp (4)
//! ```
//! `encoding` is the place among the track's encodings, which both ends derive from the same
//! declaration; another `epoch` is another stream in its place. Numbers are big-endian. Flags: bit 0 is the marker. A relay carries what its
//! engines wrote, but it may cross a network: a message is parsed as any other bytes are.

use crosspoint_wire::ext::ExtensionKind;
use crosspoint_wire::ids::PayloadType;
use crosspoint_wire::time::{NtpTime, Time};

use crate::config::RelayId;
use crate::encoding::{Encoding, EncodingKey};
use crate::facts::ForwardedExtensions;
use crate::report::PublisherClock;
use crate::slab::{Key, Slab};
use crate::timers::Due;
use crate::track::TrackKey;

pub(crate) type RelayKey = Key<Relay>;

/// Most messages that wait for the sink.
const QUEUE_MAX: usize = 8192;

/// Bytes of a packet's message before its extensions.
const HEADER_BYTES: usize = 12;

const PACKET: u8 = 1;
const KEYFRAME: u8 = 2;
const CLOCK: u8 = 3;

/// One end of a relay.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) id: RelayId,
    pub(crate) track: TrackKey,
    pub(crate) direction: Direction,
    /// What the source's end says about clocks.
    pub(crate) clock: PublisherClock,
    /// When to ask the other end for keyframes.
    pub(crate) due: Due,
}

/// Which end of a relay an engine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The track's source is here.
    Out,
    /// The track's source is at the other end.
    In,
}

/// What the ends of a relay say.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Message<'a> {
    /// A packet of the track.
    Packet(RelayedPacket<'a>),
    /// Somebody needs a keyframe.
    Keyframe { encoding: u8 },
    /// The encoding's clock read `timestamp` when the wall clock read `wall`.
    Clock {
        encoding: u8,
        wall: NtpTime,
        timestamp: u32,
    },
}

/// A packet as its publisher made it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RelayedPacket<'a> {
    pub(crate) encoding: u8,
    pub(crate) epoch: u8,
    pub(crate) marker: bool,
    pub(crate) payload_type: PayloadType,
    pub(crate) sequence_number: u16,
    pub(crate) timestamp: u32,
    pub(crate) extensions: ForwardedExtensions,
    pub(crate) payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// From its bytes; `None` for anything malformed.
    pub(crate) fn parse(message: &'a [u8]) -> Option<Self> {
        let (&[kind, encoding], rest) = message.split_first_chunk()?;
        match kind {
            PACKET => {
                let (&[epoch, flags, payload_type, s0, s1, t0, t1, t2, t3, len], rest) =
                    rest.split_first_chunk()?;
                let (records, payload) = rest.split_at_checked(usize::from(len))?;
                Some(Self::Packet(RelayedPacket {
                    encoding,
                    epoch,
                    marker: flags & 1 != 0,
                    payload_type,
                    sequence_number: u16::from_be_bytes([s0, s1]),
                    timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
                    extensions: parse_extensions(records)?,
                    payload,
                }))
            }
            KEYFRAME => Some(Self::Keyframe { encoding }),
            CLOCK => {
                let (wall, rest) = rest.split_first_chunk()?;
                Some(Self::Clock {
                    encoding,
                    wall: NtpTime(u64::from_be_bytes(*wall)),
                    timestamp: u32::from_be_bytes(*rest.first_chunk()?),
                })
            }
            _ => None,
        }
    }

    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Packet(packet) => packet.write(to),
            Self::Keyframe { encoding } => to.extend([KEYFRAME, *encoding]),
            Self::Clock {
                encoding,
                wall,
                timestamp,
            } => {
                to.extend([CLOCK, *encoding]);
                to.extend(wall.0.to_be_bytes());
                to.extend(timestamp.to_be_bytes());
            }
        }
    }
}

impl RelayedPacket<'_> {
    fn write(&self, to: &mut Vec<u8>) {
        let ([s0, s1], [t0, t1, t2, t3]) = (
            self.sequence_number.to_be_bytes(),
            self.timestamp.to_be_bytes(),
        );
        let records = self.extensions.records();
        to.reserve(HEADER_BYTES + records.len() + self.payload.len());
        to.extend_from_slice(&[
            PACKET,
            self.encoding,
            self.epoch,
            u8::from(self.marker),
            self.payload_type,
            s0,
            s1,
            t0,
            t1,
            t2,
            t3,
            // The extensions of a packet are kept in 127 bytes.
            records.len() as u8,
        ]);
        to.extend_from_slice(records);
        to.extend_from_slice(self.payload);
    }
}

fn parse_extensions(mut records: &[u8]) -> Option<ForwardedExtensions> {
    let mut extensions = ForwardedExtensions::default();
    while let Some((&[kind, len], rest)) = records.split_first_chunk() {
        let (content, rest) = rest.split_at_checked(usize::from(len))?;
        extensions.push(*ExtensionKind::ALL.get(usize::from(kind))?, content);
        records = rest;
    }
    records.is_empty().then_some(extensions)
}

/// What waits for the sink. A packet stays where it is, in the cache of its encoding, until it is written
/// to where it goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiting {
    /// All that there is of a message.
    Whole(Message<'static>),
    /// A packet that is in the cache of `from` by the number `ext_seq`.
    Cached {
        from: EncodingKey,
        ext_seq: u64,
        /// Place of `from` among the track's encodings.
        encoding: u8,
        epoch: u8,
    },
}

impl Waiting {
    /// The message; `None` when its packet is gone.
    fn message<'a>(&self, now: Time, encodings: &'a Slab<Encoding>) -> Option<Message<'a>> {
        match *self {
            Self::Whole(message) => Some(message),
            Self::Cached {
                from,
                ext_seq,
                encoding,
                epoch,
            } => {
                let (packet, payload) = encodings.get(from)?.cache.get(now, ext_seq)?;
                Some(Message::Packet(RelayedPacket {
                    encoding,
                    epoch,
                    marker: packet.marker,
                    payload_type: packet.payload_type,
                    sequence_number: ext_seq as u16,
                    timestamp: packet.timestamp,
                    extensions: packet.extensions,
                    payload,
                }))
            }
        }
    }
}

/// Messages that wait for the sink.
#[derive(Debug, Default)]
pub(crate) struct RelayQueue(Vec<(RelayId, Waiting)>);

impl RelayQueue {
    /// Queues a message; false, and it is lost, when too much waits.
    #[must_use]
    pub(crate) fn push(&mut self, relay: RelayId, message: Waiting) -> bool {
        let fits = self.0.len() < QUEUE_MAX;
        if fits {
            self.0.push((relay, message));
        }
        fits
    }

    /// Hands out what waits; returns how many messages that were, and how many packets were gone.
    pub(crate) fn drain(
        &mut self,
        now: Time,
        encodings: &Slab<Encoding>,
        mut hand_out: impl FnMut(RelayId, &Message<'_>),
    ) -> (u64, u64) {
        let (mut sent, mut gone) = (0, 0);
        for (relay, waiting) in self.0.drain(..) {
            match waiting.message(now, encodings) {
                Some(message) => {
                    hand_out(relay, &message);
                    sent += 1;
                }
                None => gone += 1,
            }
        }
        (sent, gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(message: &Message<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        message.write(&mut bytes);
        bytes
    }

    #[test]
    fn a_packet_comes_out_as_it_went_in() {
        let mut extensions = ForwardedExtensions::default();
        extensions.push(ExtensionKind::AudioLevel, &[0x8a]);
        extensions.push(ExtensionKind::DependencyDescriptor, &[7; 40]);
        let bytes = written(&Message::Packet(RelayedPacket {
            encoding: 2,
            epoch: 9,
            marker: true,
            payload_type: 96,
            sequence_number: 0xfffe,
            timestamp: 0x0102_0304,
            extensions,
            payload: b"payload",
        }));
        let Some(Message::Packet(packet)) = Message::parse(&bytes) else {
            panic!("not a packet: {bytes:?}");
        };
        assert_eq!(
            (
                packet.encoding,
                packet.epoch,
                packet.marker,
                packet.payload_type
            ),
            (2, 9, true, 96)
        );
        assert_eq!(
            (packet.sequence_number, packet.timestamp),
            (0xfffe, 0x0102_0304)
        );
        assert!(packet.extensions.iter().eq(extensions.iter()));
        assert_eq!(packet.payload, b"payload");
    }

    #[test]
    fn clocks_and_keyframe_requests_come_out_as_they_went_in() {
        let bytes = written(&Message::Clock {
            encoding: 1,
            wall: NtpTime(0x1122_3344_5566_7788),
            timestamp: 9,
        });
        assert!(matches!(
            Message::parse(&bytes),
            Some(Message::Clock {
                encoding: 1,
                wall: NtpTime(0x1122_3344_5566_7788),
                timestamp: 9
            })
        ));
        let bytes = written(&Message::Keyframe { encoding: 3 });
        assert!(matches!(
            Message::parse(&bytes),
            Some(Message::Keyframe { encoding: 3 })
        ));
    }

    #[test]
    fn a_packet_that_is_gone_is_counted_and_all_else_leaves() {
        let mut queue = RelayQueue::default();
        let gone = Waiting::Cached {
            from: Key::from_raw(7),
            ext_seq: 1,
            encoding: 0,
            epoch: 0,
        };
        assert!(queue.push(RelayId(1), gone));
        assert!(queue.push(
            RelayId(2),
            Waiting::Whole(Message::Keyframe { encoding: 0 })
        ));
        let mut left = Vec::new();
        let counts = queue.drain(Time::ZERO, &Slab::default(), |relay, _| left.push(relay));
        assert_eq!((counts, left), ((1, 1), vec![RelayId(2)]));
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let mut extensions = ForwardedExtensions::default();
        extensions.push(ExtensionKind::AudioLevel, &[0x8a]);
        let bytes = written(&Message::Packet(RelayedPacket {
            encoding: 0,
            epoch: 0,
            marker: false,
            payload_type: 111,
            sequence_number: 1,
            timestamp: 1,
            extensions,
            payload: b"",
        }));
        for len in 0..bytes.len() {
            assert!(Message::parse(&bytes[..len]).is_none(), "{len}");
        }
        assert!(Message::parse(&[9, 0, 0]).is_none());
    }
}
