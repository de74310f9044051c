//! What is measured in a room, by public names. Totals only grow: rates are the difference of two
//! reports.

use std::net::SocketAddr;
use std::time::Duration;

use crosspoint_media::inspect::{EncodingReport, SlotReport};
use crosspoint_transport::api::Protocol;
use crosspoint_wire::codec::MediaKind;

use crate::model::{Identity, RoomInfo, TrackInfo, TrackSid};

/// A room and everybody in it, hidden participants included.
#[derive(Clone, Debug)]
pub struct RoomReport {
    /// The room.
    pub room: RoomInfo,
    /// In the order in which they joined.
    pub participants: Vec<ParticipantReport>,
}

/// One participant.
#[derive(Clone, Debug)]
pub struct ParticipantReport {
    /// Who.
    pub identity: Identity,
    /// Id of this stay.
    pub sid: String,
    /// Its connection; `None` before its media is up, or when its worker did not answer in time.
    pub connection: Option<Connection>,
    /// What it publishes.
    pub tracks: Vec<PublishedReport>,
    /// What it receives: slots that carry something.
    pub slots: Vec<ReceivedReport>,
}

/// The transport of a session.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Our end.
    pub local: Option<SocketAddr>,
    /// The peer's end.
    pub remote: Option<SocketAddr>,
    /// UDP or TCP.
    pub protocol: Protocol,
    /// Bytes of SRTP and SRTCP sent.
    pub bytes_sent: u64,
    /// Bytes of SRTP and SRTCP received.
    pub bytes_received: u64,
    /// Round trip.
    pub rtt: Option<Duration>,
    /// What may be sent to it, bit/s.
    pub bandwidth_bps: Option<u64>,
    /// What it was told that it may send, bit/s.
    pub limit_bps: Option<u64>,
}

/// A track as its publisher's worker sees it.
#[derive(Clone, Debug)]
pub struct PublishedReport {
    /// The track.
    pub track: TrackInfo,
    /// Loudness, 0 (loudest) to 127 (silence).
    pub audio_level: Option<u8>,
    /// Its streams, lowest quality first.
    pub encodings: Vec<EncodingReport>,
}

/// A slot that carries something.
#[derive(Clone, Debug)]
pub struct ReceivedReport {
    /// What feeds it.
    pub track: TrackSid,
    /// Whose that is.
    pub identity: Identity,
    /// Audio or video.
    pub kind: MediaKind,
    /// Totals of the slot, whatever fed it.
    pub slot: SlotReport,
}
