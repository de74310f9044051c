//! What a report says about a session: totals and last values, as the engine sees them.
//!
//! Totals only grow, so whoever asks twice gets rates from the difference; asking changes nothing.

use core::time::Duration;

use crosspoint_wire::codec::{Codec, MediaKind};
use crosspoint_wire::ids::{Mid, Rid};

use crate::config::{SessionId, TrackId};

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionReport {
    /// Which.
    pub session: SessionId,
    /// Round trip to the peer, as its latest report showed.
    pub rtt: Option<Duration>,
    /// What may be sent to it, bit/s; `None` without feedback to know it by.
    pub bandwidth_bps: Option<u64>,
    /// What it was told that it may send, bit/s; `None` where it finds out by itself.
    pub limit_bps: Option<u64>,
    /// What it publishes.
    pub tracks: Vec<TrackReport>,
    /// What it receives.
    pub slots: Vec<SlotReport>,
}

/// A track at the session that publishes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackReport {
    /// Which.
    pub track: TrackId,
    /// Audio or video.
    pub kind: MediaKind,
    /// Loudness of the newest packet, 0 (loudest) to 127 (silence), RFC 6464.
    pub audio_level: Option<u8>,
    /// Its streams, lowest quality first.
    pub encodings: Vec<EncodingReport>,
}

/// One incoming stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodingReport {
    /// Its RID, if it has one.
    pub rid: Option<Rid>,
    /// Whether packets come.
    pub active: bool,
    /// Packets that should have come: the span of sequence numbers.
    pub expected: u64,
    /// Those that came by themselves.
    pub packets: u64,
    /// Those that came as a repair.
    pub repairs: u64,
    /// Payload bytes of both.
    pub bytes: u64,
    /// Interarrival jitter (RFC 3550 A.8, by frames).
    pub jitter: Duration,
    /// Frames whose last packet came.
    pub frames: u64,
    /// Keyframes whose first packet came.
    pub keyframes: u64,
    /// Pauses between frames that a viewer sees as a freeze, and how long they were in all.
    pub freezes: u64,
    /// See `freezes`.
    pub frozen: Duration,
    /// Packets that the publisher was asked to repeat.
    pub nacks: u64,
    /// PLIs that it was sent.
    pub plis: u64,
    /// FIRs that it was sent.
    pub firs: u64,
}

/// One outgoing stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotReport {
    /// Which.
    pub mid: Mid,
    /// Audio or video.
    pub kind: MediaKind,
    /// What is assigned to it.
    pub track: Option<TrackId>,
    /// What that is coded in, as far as it flows.
    pub codec: Option<Codec>,
    /// Place of the encoding that flows among its track's, 0 = lowest.
    pub encoding: Option<u8>,
    /// Packets sent, without repetitions.
    pub packets: u64,
    /// Packets sent again.
    pub repeats: u64,
    /// Payload bytes of both.
    pub bytes: u64,
    /// Frames whose last packet was sent.
    pub frames: u64,
    /// Packets that the peer reported missing.
    pub nacks: u64,
    /// PLIs that it sent.
    pub plis: u64,
    /// FIRs that it sent.
    pub firs: u64,
    /// What its latest receiver report said.
    pub remote: Option<RemoteReport>,
}

/// A receiver report's block about a slot (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteReport {
    /// Share of packets lost since the report before, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning.
    pub lost: i32,
    /// Interarrival jitter.
    pub jitter: Duration,
}

/// The newest keyframe of a track that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyframe {
    /// What it is coded in.
    pub codec: Codec,
    /// How long ago its first packet came.
    pub age: Duration,
    /// Payloads of its packets, in order.
    pub packets: Vec<Vec<u8>>,
}
