//! Between the machine and the rooms: what it wants of them, and what they tell.

use serde::{Deserialize, Serialize};

use crate::ids::{CallId, RecordingId, TenantId, UserId};
use crate::model::{RecordingMode, TrackKind};

/// What a participant may do with a call's media.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// Whether its tracks are heard and seen.
    pub speaks: bool,
    /// Whether it receives.
    pub hears: bool,
    /// Not shown to others, not counted.
    pub hidden: bool,
    /// Only these receive its tracks; `None`: all.
    pub audience: Option<Vec<UserId>>,
}

impl Access {
    /// An ordinary participant.
    pub const FULL: Self = Self {
        speaks: true,
        hears: true,
        hidden: false,
        audience: None,
    };
    /// Hears, unseen.
    pub const LISTEN: Self = Self {
        speaks: false,
        hears: true,
        hidden: true,
        audience: None,
    };
    /// On hold: nothing in, nothing out.
    pub const HELD: Self = Self {
        speaks: false,
        hears: false,
        hidden: false,
        audience: None,
    };
}

/// The right to join a call's room. The machine leaves `token` empty; the service fills it in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaGrant {
    /// Name of the room.
    pub room: String,
    /// As whom.
    pub identity: String,
    /// Name to show.
    pub name: String,
    /// What may be done there.
    pub access: Access,
    /// What to show when joining.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// What the machine wants of rooms and recorders, in order. `room` is the room's name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named for what they are; types say the rest"
)]
pub enum MediaAction {
    /// A room for a call.
    OpenRoom {
        room: String,
        tenant: TenantId,
        call: CallId,
    },
    /// The call is over.
    CloseRoom { room: String },
    /// Somebody who was admitted has other rights now.
    SetAccess {
        room: String,
        user: UserId,
        access: Access,
    },
    /// Ends somebody's stay.
    Remove { room: String, user: UserId },
    /// Mutes or unmutes somebody's tracks of a kind.
    Mute {
        room: String,
        user: UserId,
        kind: TrackKind,
        muted: bool,
    },
    /// What somebody wants of somebody's tracks. `max_height` in pixels; 0: no limit.
    Subscribe {
        room: String,
        user: UserId,
        of: UserId,
        kind: TrackKind,
        wanted: bool,
        max_height: u32,
    },
    /// People of `room` are seen and heard in `peer` as well.
    Link {
        room: String,
        peer: String,
        users: Vec<UserId>,
    },
    /// Takes that back.
    Unlink {
        room: String,
        peer: String,
        users: Vec<UserId>,
    },
    /// Starts a recorder.
    StartRecording {
        room: String,
        call: CallId,
        recording: RecordingId,
        mode: RecordingMode,
    },
    /// Stops it.
    StopRecording {
        room: String,
        recording: RecordingId,
    },
}

/// What rooms and recorders tell the machine. News about rooms and people that it does not know (any
/// more) change nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named for what they are; types say the rest"
)]
pub enum MediaEvent {
    /// Somebody's media is up (first, or again after a loss).
    Up { room: String, user: UserId },
    /// No sign of life of somebody's media.
    Interrupted { room: String, user: UserId },
    /// Somebody left the room; `lost`: not by a goodbye.
    Left {
        room: String,
        user: UserId,
        lost: bool,
    },
    /// What somebody publishes now.
    Tracks {
        room: String,
        user: UserId,
        audio: bool,
        video: bool,
        screen: bool,
    },
    /// The room is gone, not by the machine's wish.
    RoomClosed { room: String },
    /// The recorder writes, or makes of what it wrote what it shall become; also its sign of life.
    RecordingRunning {
        call: CallId,
        recording: RecordingId,
    },
    /// The recording can be fetched.
    RecordingReady {
        call: CallId,
        recording: RecordingId,
        url: String,
        bytes: u64,
    },
    /// The recorder failed.
    RecordingFailed {
        call: CallId,
        recording: RecordingId,
        user: Option<UserId>,
        detail: String,
    },
    /// A reviewer's verdict about a track.
    Moderated {
        room: String,
        user: UserId,
        kind: TrackKind,
        verdict: String,
    },
}
