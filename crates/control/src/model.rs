//! Rooms, participants and tracks as callers see them.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crosspoint_media::config::{LayerLimit, SessionId, TrackSource};
use crosspoint_wire::codec::{Codec, MediaKind};

use crate::quality::QualityPolicy;

/// Name of a room: 1 to 128 characters, no control characters. Parsed once, at the door.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomName(String);

/// Identity of a participant within a room: 1 to 128 characters, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(String);

/// Public id of a track, `TR_` and 12 characters; unique on a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackSid(pub String);

/// Longest room name or identity, in characters.
pub const NAME_CHARS_MAX: usize = 128;

macro_rules! name_type {
    ($type:ident) => {
        impl $type {
            /// Takes 1 to [`NAME_CHARS_MAX`] characters without control characters.
            #[must_use]
            pub fn new(name: &str) -> Option<Self> {
                let ok = !name.is_empty()
                    && name.chars().count() <= NAME_CHARS_MAX
                    && !name.chars().any(char::is_control);
                ok.then(|| Self(name.to_owned()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
name_type!(RoomName);
name_type!(Identity);

/// What its token allows a participant, and what the server may change later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// May publish tracks.
    pub can_publish: bool,
    /// Sources it may publish; empty: all.
    pub can_publish_sources: Vec<TrackSource>,
    /// May receive tracks.
    pub can_subscribe: bool,
    /// May send application messages.
    pub can_publish_data: bool,
    /// May change its own metadata, name and attributes.
    pub can_update_own_metadata: bool,
    /// Not shown to others, not counted.
    pub hidden: bool,
}

impl Default for Permissions {
    fn default() -> Self {
        Self {
            can_publish: true,
            can_publish_sources: Vec::new(),
            can_subscribe: true,
            can_publish_data: true,
            can_update_own_metadata: false,
            hidden: false,
        }
    }
}

/// Settings of a room that its creator chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomSettings {
    /// Free text for applications, at most 64 KiB.
    pub metadata: String,
    /// How long an empty room that nobody joined yet is kept; default 300 s.
    pub empty_timeout: Duration,
    /// How long a room is kept after the last participant left; default 20 s.
    pub departure_timeout: Duration,
    /// Most visible participants; 0: no limit.
    pub max_participants: u32,
    /// How many of the loudest speakers are forwarded; 0: all that have slots. Default 3.
    pub top_audio: u8,
    /// Bounds on the quality of what its participants receive.
    pub policy: QualityPolicy,
    /// Whether and how it is recorded.
    pub recording: RecordingPolicy,
}

/// Whether and how a room is recorded. Carried out by who opens taps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordingPolicy {
    /// When.
    pub when: RecordWhen,
    /// What comes of it, where it is recorded without being asked.
    pub mode: RecordMode,
    /// Whether the room ends when its recording fails.
    pub end_on_failure: bool,
}

/// When a room is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordWhen {
    /// Never, whoever asks.
    Off,
    /// When it is asked for.
    #[default]
    OnDemand,
    /// From its start.
    Always,
}

/// What comes of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecordMode {
    /// Each track a file of its own.
    #[default]
    Individual,
    /// Also one stereo file of sound.
    Call,
    /// Also one file with everything.
    Mixed,
}

impl Default for RoomSettings {
    fn default() -> Self {
        Self {
            metadata: String::new(),
            empty_timeout: Duration::from_secs(300),
            departure_timeout: Duration::from_secs(20),
            max_participants: 0,
            top_audio: 3,
            policy: QualityPolicy::default(),
            recording: RecordingPolicy::default(),
        }
    }
}

/// A room as callers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomInfo {
    /// Its name.
    pub name: RoomName,
    /// Id of this occurrence, `RM_` and 12 characters.
    pub sid: String,
    /// Its settings.
    pub settings: RoomSettings,
    /// When it was made.
    pub created_at: SystemTime,
    /// Visible participants.
    pub num_participants: u32,
    /// Those who publish.
    pub num_publishers: u32,
    /// Identities of participants who speak now, loudest first.
    pub active_speakers: Vec<Identity>,
}

/// Whether a participant's media is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParticipantState {
    /// Joined; its transport is not up yet.
    Joining,
    /// Media flows.
    Active,
    /// No sign of life for a while; may come back.
    Interrupted,
}

/// A participant as callers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantInfo {
    /// Its identity, unique in the room.
    pub identity: Identity,
    /// Id of this stay, `PA_` and 12 characters.
    pub sid: String,
    /// Name to show; may be empty.
    pub name: String,
    /// Free text for applications.
    pub metadata: String,
    /// Key-value pairs for applications.
    pub attributes: BTreeMap<String, String>,
    /// What it may do.
    pub permissions: Permissions,
    /// Whether its media is up.
    pub state: ParticipantState,
    /// When it joined.
    pub joined_at: SystemTime,
    /// What it publishes.
    pub tracks: Vec<TrackInfo>,
}

/// A track as callers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackInfo {
    /// Its public id.
    pub sid: TrackSid,
    /// Audio or video.
    pub kind: MediaKind,
    /// What it shows.
    pub source: TrackSource,
    /// Name given by its publisher; may be empty.
    pub name: String,
    /// Whether nothing flows, by its owner's or the server's will.
    pub muted: bool,
    /// What it is coded in; `None` before the first packet.
    pub codec: Option<Codec>,
    /// Whether it is sent in several encodings.
    pub simulcast: bool,
    /// `mid` of the m-line in its publisher's session.
    pub mid: String,
    /// Size in pixels as its publisher declared it; 0 when unknown.
    pub width: u32,
    /// See `width`.
    pub height: u32,
}

/// What carries a slot (an m-line that a session receives on).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotInfo {
    /// Its `mid`.
    pub mid: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// What feeds it: track and whose it is.
    pub feed: Option<(TrackSid, Identity)>,
}

/// Why a participant's stay, or a room, ended. One word everywhere: event, log, metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The client said goodbye.
    ClientLeft,
    /// A later join with the same identity took over.
    DuplicateIdentity,
    /// Removed by a call to the API.
    Kicked,
    /// The room was deleted.
    RoomDeleted,
    /// Signalling was lost and not resumed in time.
    SignalLost,
    /// Media was lost: consent expired.
    ConsentExpired,
    /// Media never came up.
    ConnectTimeout,
    /// The peer's certificate does not match its SDP.
    FingerprintMismatch,
    /// DTLS failed.
    DtlsFailed,
    /// The peer closed its transport.
    PeerClosed,
    /// Read too slowly.
    SlowClient,
    /// The worker failed and was restarted.
    WorkerFailed,
    /// The server is going down.
    ServerShutdown,
    /// Nobody was there for the room's time-out.
    Empty,
    /// Moved to another room: gone from this one, its stay goes on.
    Moved,
    /// The room's recording failed, and it may not go on without.
    RecordingFailed,
}

impl Reason {
    /// Stable name.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::ClientLeft => "client_left",
            Self::DuplicateIdentity => "duplicate_identity",
            Self::Kicked => "kicked",
            Self::RoomDeleted => "room_deleted",
            Self::SignalLost => "signal_lost",
            Self::ConsentExpired => "consent_expired",
            Self::ConnectTimeout => "connect_timeout",
            Self::FingerprintMismatch => "fingerprint_mismatch",
            Self::DtlsFailed => "dtls_failed",
            Self::PeerClosed => "peer_closed",
            Self::SlowClient => "slow_client",
            Self::WorkerFailed => "worker_failed",
            Self::ServerShutdown => "server_shutdown",
            Self::Empty => "empty",
            Self::Moved => "moved",
            Self::RecordingFailed => "recording_failed",
        }
    }
}

/// A subscription's wish, by public names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionWish {
    /// Whether the track is wanted.
    pub wanted: bool,
    /// Largest layer wanted.
    pub largest: LayerLimit,
}

/// Handle of a session between a front door and `RoomControl`.
pub type SessionHandle = SessionId;
