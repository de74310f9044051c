//! What an engine, a room and a session are made of: the result of SDP negotiation, as data.

use core::time::Duration;

use crosspoint_wire::codec::{Codec, MediaKind, Profile};
use crosspoint_wire::ext::ExtensionIds;
use crosspoint_wire::ids::{Mid, PayloadType, Rid, Ssrc};
use crosspoint_wire::time::WallClock;

/// A room, numbered by `control`; unique on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(pub u64);

/// One connected transport of a participant, numbered by `control`; unique on a node, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// One source that a participant publishes, numbered by `control`; unique on a node, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackId(pub u64);

/// A participant, numbered by `control`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParticipantId(pub u64);

/// One direction of an in-process or node-to-node relay, numbered by `control`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelayId(pub u64);

/// Dense index of a session in its engine, handed out by the engine and reused after removal.
/// The worker indexes its own per-session state by the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(pub u32);

/// Settings of an engine, fixed at start.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where the worker's clock stands on the wall clock (for sender reports).
    pub wall_clock: WallClock,
    /// Seed of SSRCs, initial sequence numbers and timestamps. Any value in production
    /// (from the operating system's randomness), a fixed one in tests.
    pub seed: u64,
    /// How long media stays available for retransmission, e.g. 1 s.
    pub cache_duration: Duration,
    /// Most payload bytes cached per encoding, e.g. 4 MiB.
    pub cache_bytes_max: usize,
    /// Smallest interval between keyframe requests to one encoding, e.g. 500 ms.
    pub keyframe_request_interval: Duration,
    /// How much of the media that a slot is sent may be sent to it again.
    pub retransmit: RetransmitShare,
    /// Bits per second that may be sent to a session before its feedback shows what its path
    /// carries, e.g. 1 Mbit/s.
    pub start_bitrate_bps: u64,
    /// Most bits per second that are sent to a session that gives feedback, e.g. 50 Mbit/s.
    pub max_bitrate_bps: u64,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            wall_clock: WallClock::default(),
            seed: 1,
            cache_duration: Duration::from_millis(1000),
            cache_bytes_max: 4 << 20,
            keyframe_request_interval: Duration::from_millis(500),
            retransmit: RetransmitShare::default(),
            start_bitrate_bps: 1_000_000,
            max_bitrate_bps: 50_000_000,
        }
    }
}

/// How much is sent again at most, as a share of what is sent for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetransmitShare {
    /// In per cent, whatever a receiver asks for. At 10 % loss a stream needs 11 %.
    pub percent: u8,
    /// In per cent, when the loss that it reports needs more. At much more than this, sending more
    /// is what a path needs least.
    pub percent_max: u8,
}

impl Default for RetransmitShare {
    fn default() -> Self {
        Self {
            percent: 15,
            percent_max: 50,
        }
    }
}

/// Settings of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomConfig {
    /// How many of the loudest speakers' audio tracks are fed to listeners' slots;
    /// `None`: every audio track gets a slot while there are slots (calls).
    pub top_audio: Option<u8>,
    /// Whether this engine reports active speakers of the room (one engine per room does).
    pub home: bool,
}

/// One RTP payload format, as negotiated for one m-line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadConfig {
    /// Number in RTP headers.
    pub payload_type: PayloadType,
    /// The format.
    pub codec: Codec,
    /// Its profile, where that matters.
    pub profile: Profile,
    /// Payload type of its RTX stream (RFC 4588), if negotiated.
    pub rtx: Option<PayloadType>,
    /// Payload type under which its packets take earlier sound along (RFC 2198), if negotiated.
    pub red: Option<PayloadType>,
    /// Whether generic NACK was negotiated (RFC 4585 §6.2.1).
    pub nack: bool,
    /// Whether PLI was negotiated (RFC 4585 §6.3.1).
    pub pli: bool,
    /// Whether FIR was negotiated (RFC 5104 §4.3.1).
    pub fir: bool,
}

/// What a track shows or sounds like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrackSource {
    /// A microphone.
    Microphone,
    /// A camera.
    Camera,
    /// A shared screen or window.
    ScreenShare,
    /// Sound of a shared screen or tab.
    ScreenShareAudio,
    /// Anything else.
    Other,
}

/// An m-line on which the peer sends: one track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveConfig {
    /// Its `mid`.
    pub mid: Mid,
    /// The track that its packets belong to.
    pub track: TrackId,
    /// Audio or video.
    pub kind: MediaKind,
    /// What it shows.
    pub source: TrackSource,
    /// Formats the peer may send, in the order of preference.
    pub payloads: Vec<PayloadConfig>,
    /// Declared streams: (SSRC, its RTX SSRC). Empty where the peer identifies streams by MID/RID.
    pub ssrcs: Vec<(Ssrc, Option<Ssrc>)>,
    /// Simulcast encodings (RFC 8853) in the order of the offer; empty without simulcast.
    pub rids: Vec<Rid>,
    /// Muted by the server or its owner: packets are received and dropped.
    pub muted: bool,
    /// Meant for those whose wish for it was said, and for nobody by default. It comes with the
    /// track, so that there is no moment at which others could get it.
    pub reserved: bool,
}

/// An m-line on which the peer receives: one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotConfig {
    /// Its `mid`.
    pub mid: Mid,
    /// Audio or video.
    pub kind: MediaKind,
    /// Outgoing SSRC, as written in the answer.
    pub ssrc: Ssrc,
    /// Outgoing RTX SSRC, as written in the answer.
    pub rtx_ssrc: Option<Ssrc>,
    /// Formats the peer accepts, in the order of preference.
    pub payloads: Vec<PayloadConfig>,
    /// Slots with the same number share one MediaStream in the answer, so that the browser
    /// synchronises them: audio slot i and video slot i have pair i.
    pub pair: u16,
    /// Whether its packets have transport-wide numbers: the m-line negotiated the header extension
    /// and the feedback. A receiver reports numbers that it cannot see as lost.
    pub transport_cc: bool,
    /// Whether its receiver takes dependency descriptors (AV1 RTP specification, appendix A):
    /// without them it cannot put the spatial layers of an AV1 picture together.
    pub descriptors: bool,
}

/// How a session takes part: the outcome of its latest offer and answer.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SessionConfig {
    /// m-lines the peer sends on.
    pub receive: Vec<ReceiveConfig>,
    /// m-lines the peer receives on.
    pub slots: Vec<SlotConfig>,
    /// Header extension ids, common to all m-lines.
    pub extensions: ExtensionIds,
    /// Those of them that the peer takes on its slots: the others it only sends.
    pub slot_extensions: ExtensionIds,
    /// Congestion feedback that we owe the peer for what it sends.
    pub feedback: CongestionFeedback,
    /// Whether reduced-size RTCP was negotiated (RFC 5506).
    pub reduced_size_rtcp: bool,
    /// CNAME of our outgoing streams (RFC 7022), as written in the answer.
    pub cname: String,
}

/// Which congestion feedback a publisher understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum CongestionFeedback {
    /// None negotiated.
    #[default]
    None,
    /// `goog-remb` only.
    Remb,
    /// `transport-cc`.
    TransportCc,
}

/// What a subscriber asks of one track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Whether it wants the track at all.
    pub wanted: bool,
    /// Largest picture wanted.
    pub largest: LayerLimit,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            wanted: true,
            largest: LayerLimit::Best,
        }
    }
}

/// A place among an encoding's layers; 0 is the lowest of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Layer {
    /// Spatial layer, 0..=3: size or fidelity.
    pub spatial: u8,
    /// Temporal layer, 0..=7: pictures per second.
    pub temporal: u8,
}

/// Upper bound on the quality that feeds a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LayerLimit {
    /// The best that there is.
    #[default]
    Best,
    /// At most this spatial layer, 0 = lowest.
    Spatial(u8),
    /// The lowest ("small stream").
    Small,
    /// The smallest that fills a tile of this size, in pixels.
    Size {
        /// Width.
        width: u16,
        /// Height.
        height: u16,
    },
}

/// Bounds that a room or a participant has on the quality of the pictures that it receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Never less than this while the track flows, whatever was wished and the link carries.
    /// [`LayerLimit::Small`]: no such bound.
    pub floor: LayerLimit,
    /// Never more than this.
    pub ceiling: LayerLimit,
    /// Smallest time between becoming worse for want of bandwidth and becoming better, e.g. 2 s.
    /// Grows to its eightfold while rises do not last.
    pub dwell_up: Duration,
    /// Smallest time between becoming better and becoming worse for want of bandwidth, e.g. 0.
    pub dwell_down: Duration,
    /// Whether pictures may be left out when the link does not carry the smallest.
    pub audio_only: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            floor: LayerLimit::Small,
            ceiling: LayerLimit::Best,
            dwell_up: Duration::from_secs(2),
            dwell_down: Duration::ZERO,
            audio_only: true,
        }
    }
}
