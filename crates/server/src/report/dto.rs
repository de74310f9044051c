//! Reports as JSON.
//!
//! The first fields of each type are RongCloud's `IRCRTCStateReport`, `IRCCandidatePairStat` and
//! `IRCTrackStat`, by the same names and in the same units; what follows them is ours. All are said
//! from the participant's side: `senders` is what it publishes, `IP` its own address as the server
//! sees it, so that the browser's own figures fit the same structure.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A room and everybody in it, hidden participants included.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoomReportDto {
    pub(crate) room: String,
    /// Id of this occurrence of the room.
    pub(crate) sid: String,
    /// Unix milliseconds.
    pub(crate) timestamp: u64,
    pub(crate) participants: Vec<StateReportDto>,
}

/// What is measured at one participant. Rates are those of the last second.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StateReportDto {
    /// When the report was made, Unix milliseconds.
    pub(crate) timestamp: u64,
    /// The path between participant and server; `null` before its media is up.
    pub(crate) ice_candidate_pair: Option<CandidatePairDto>,
    /// What it publishes.
    pub(crate) senders: Vec<TrackStatDto>,
    /// What it receives.
    pub(crate) receivers: Vec<TrackStatDto>,
    pub(crate) identity: String,
    /// Id of this stay.
    pub(crate) sid: String,
    /// The worst of its audio tracks, 1 to 4.4; `null` without audio.
    pub(crate) mos: Option<f64>,
}

/// A path.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CandidatePairDto {
    /// The participant's address, as the server sees it.
    #[serde(rename = "IP")]
    pub(crate) ip: String,
    pub(crate) port: u16,
    /// Always `null` here: only the participant knows.
    pub(crate) network_type: Option<String>,
    /// The server's address; empty where it is bound to all of them.
    #[serde(rename = "remoteIP")]
    pub(crate) remote_ip: String,
    pub(crate) remote_port: u16,
    /// `udp` or `tcp`.
    pub(crate) protocol: &'static str,
    /// All that the participant sends, kbit/s.
    pub(crate) bitrate_send: f64,
    /// All that it receives, kbit/s.
    pub(crate) bitrate_recv: f64,
    /// Round trip, ms.
    pub(crate) rtt: Option<f64>,
    /// What it was told that it may send, bit/s; `null` where it finds out by itself.
    pub(crate) available_outgoing_bitrate: Option<u64>,
    /// What it can receive as the server estimates, bit/s; 0 while it receives nothing.
    pub(crate) available_incoming_bitrate: Option<u64>,
}

/// A track at one participant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrackStatDto {
    /// The m-line that carries it.
    pub(crate) id: String,
    /// Id of the track.
    pub(crate) track_id: String,
    /// `audio` or `video`.
    pub(crate) kind: &'static str,
    /// 0 to 1, before repair; `null` when nothing was due.
    pub(crate) packets_lost_rate: Option<f64>,
    /// Whether it is somebody else's.
    pub(crate) remote_resource: bool,
    /// 0 to 1.
    pub(crate) audio_level: Option<f64>,
    /// Pixels, as its publisher declared them.
    pub(crate) frame_height: Option<u32>,
    pub(crate) frame_width: Option<u32>,
    /// Frames per second.
    pub(crate) frame_rate: Option<f64>,
    /// Payload, repetitions included, kbit/s.
    pub(crate) bitrate: f64,
    /// Interarrival jitter, ms.
    pub(crate) jitter: Option<f64>,
    /// Whose it is.
    pub(crate) identity: String,
    /// `microphone`, `camera` ...; of receivers empty.
    pub(crate) source: String,
    pub(crate) codec: Option<&'static str>,
    pub(crate) muted: bool,
    /// Since the beginning.
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    /// As the receiving side counts; negative when some came twice.
    pub(crate) packets_lost: i64,
    /// Packets sent again.
    pub(crate) repeats: u64,
    /// Packets reported missing, PLIs and FIRs, by the receiving side.
    pub(crate) nack_count: u64,
    pub(crate) pli_count: u64,
    pub(crate) fir_count: u64,
    /// Place of the stream that flows among its track's, 0 = lowest. Of senders: the best one.
    pub(crate) layer: Option<u8>,
    /// Pauses that a viewer sees as freezes, and their length; of senders.
    pub(crate) freeze_count: u64,
    pub(crate) freeze_duration_ms: u64,
    /// Of sound: 1 to 4.4, see the API's description of reports.
    pub(crate) mos: Option<f64>,
    /// The streams of a sender, lowest quality first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) encodings: Vec<EncodingStatDto>,
}

/// One stream of a published track.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EncodingStatDto {
    pub(crate) rid: Option<String>,
    /// Whether packets come.
    pub(crate) active: bool,
    /// kbit/s.
    pub(crate) bitrate: f64,
    pub(crate) frame_rate: f64,
    pub(crate) packets_lost_rate: Option<f64>,
    /// ms.
    pub(crate) jitter: f64,
    pub(crate) packets: u64,
    /// Repairs that came.
    pub(crate) repairs: u64,
    pub(crate) keyframes: u64,
    pub(crate) nack_count: u64,
    pub(crate) pli_count: u64,
    pub(crate) fir_count: u64,
    pub(crate) freeze_count: u64,
}

/// What history keeps of a room's report, averaged over a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SampleDto {
    pub(crate) participants: Vec<ParticipantSampleDto>,
}

/// One participant in a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ParticipantSampleDto {
    pub(crate) identity: String,
    /// kbit/s.
    pub(crate) bitrate_send: f64,
    pub(crate) bitrate_recv: f64,
    /// ms.
    pub(crate) rtt: Option<f64>,
    /// bit/s.
    pub(crate) available_incoming_bitrate: Option<u64>,
    pub(crate) mos: Option<f64>,
    pub(crate) tracks: Vec<TrackSampleDto>,
}

/// One track at one participant in a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrackSampleDto {
    pub(crate) track_id: String,
    pub(crate) kind: String,
    pub(crate) remote_resource: bool,
    /// kbit/s.
    pub(crate) bitrate: f64,
    pub(crate) packets_lost_rate: Option<f64>,
    /// ms.
    pub(crate) jitter: Option<f64>,
    pub(crate) frame_rate: Option<f64>,
    pub(crate) layer: Option<u8>,
}
