//! What devices are told (catalogue 6.4), and how commands are answered.

use serde::{Deserialize, Serialize};

use crate::command::SnapshotSource;
use crate::error::ErrorCode;
use crate::ids::{CallId, DeviceName, GroupId, InviteId, LinkId, RecordingId, SessionKey, UserId};
use crate::media::MediaGrant;
use crate::model::{
    Actor, Call, CallKind, CallProps, CallState, ConnState, Group, Media, Message, MonitorState,
    Participant, Person, Push, Recording, Seat, SeatState, Target, ThirdState, TrackKind,
    TransferState,
};
use crate::reason::EndReason;

/// How far an outgoing call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// Taken; somebody is rung.
    Accepted,
    /// Looking for an agent; the place in the queue is beside it.
    Routing,
    /// Somebody's device rings.
    Alerting,
    /// Media of two people is up.
    Connected,
    /// Will not be.
    Failed,
}

/// Where a number leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line {
    /// To a user of the tenant.
    Internal,
    /// Out of the house.
    External,
}

/// What changed about a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Changed {
    /// Microphone on or off.
    Audio,
    /// Camera on or off.
    Video,
    /// Screen on or off.
    Screen,
    /// Signalling or media lost or back.
    Network,
    /// On hold or back.
    Held,
    /// Role.
    Role,
    /// Name, picture or extra.
    Profile,
}

/// What changed about a call's properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PropChanged {
    /// Who shares a screen, or whether it pauses.
    ScreenShare,
    /// State of the recording.
    Recording,
    /// Links to other rooms.
    Links,
}

/// An invitation that ended before the callee came online.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MissedInvite {
    /// To which call.
    pub call: CallId,
    /// What kind of call.
    pub kind: CallKind,
    /// Where the call goes.
    pub target: Target,
    /// Organisation id of the application.
    pub channel: String,
    /// By whom.
    pub caller: Person,
    /// What it carried.
    pub media: Media,
    /// When: milliseconds since the Unix epoch.
    pub invited_ms: u64,
    /// How it ended; `None`: it goes on without the callee.
    pub reason: Option<EndReason>,
}

/// What a device is told. `call` is the call that the event's sequence number counts in; see
/// [`Delivery`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    tag = "type",
    rename_all_fields = "camelCase"
)]
#[expect(
    missing_docs,
    reason = "fields are named for what they are; types say the rest"
)]
pub enum Event {
    /// Online. What a client needs to come back after a loss.
    Connected {
        user: Person,
        device: DeviceName,
        session_key: SessionKey,
        seat: Option<SeatState>,
    },
    /// The connection is lost (made by carriers and clients; never replayed).
    ConnectionLost { cause: String, will_retry: bool },
    /// Turned out; the connection closes.
    Kicked { error: ErrorCode },
    /// Something failed that nobody asked for just now.
    Error { error: ErrorCode, detail: String },
    /// The own seat changed; supervisors see those of their groups.
    SeatChanged {
        agent: UserId,
        old: SeatState,
        new: SeatState,
    },

    /// Rung.
    InviteReceived {
        invite: InviteId,
        call: CallId,
        kind: CallKind,
        target: Target,
        channel: String,
        media: Media,
        extra: String,
        push: Option<Push>,
        caller: Person,
        /// Who else is in the call or rung.
        members: Vec<Person>,
        /// Time left to answer, in milliseconds.
        ring_ms: u64,
    },
    /// The callee's device rings. Once per invitation.
    InviteRinging {
        invite: InviteId,
        call: CallId,
        user: Person,
    },
    /// The callee answered.
    InviteAccepted {
        invite: InviteId,
        call: CallId,
        user: Person,
        media: Media,
    },
    /// The callee refused, is busy, blocks.
    InviteRejected {
        invite: InviteId,
        call: CallId,
        user: Person,
        reason: EndReason,
    },
    /// Withdrawn; to the callee's devices and to members.
    InviteCanceled {
        invite: InviteId,
        call: CallId,
        user: Person,
        reason: EndReason,
    },
    /// The callee did not answer; to members and the callee's devices, once each.
    InviteTimeout {
        invite: InviteId,
        call: CallId,
        user: Person,
    },
    /// More people were invited.
    InviteeAdded {
        call: CallId,
        by: Person,
        users: Vec<Person>,
    },
    /// Another device of the user answered (`accepted`) or refused.
    AnsweredElsewhere {
        invite: InviteId,
        call: CallId,
        device: DeviceName,
        accepted: bool,
    },
    /// What one missed while offline.
    OfflineInvites { records: Vec<MissedInvite> },

    /// To the caller: how far it is.
    CallProgress {
        call: CallId,
        stage: Stage,
        error: Option<ErrorCode>,
        line: Line,
        /// The other side as the caller may see it: number as dialled, or user.
        shown: String,
        /// Place in the queue from 1, while routing.
        position: Option<u32>,
    },
    /// Back after a loss, or on a new page: the call goes on.
    CallRecovered {
        call: Call,
        state: CallState,
        grant: Option<MediaGrant>,
    },
    /// Over for this device. Once per call and device.
    CallEnded {
        call: CallId,
        kind: CallKind,
        target: Target,
        channel: String,
        media: Media,
        reason: EndReason,
        /// Who ended it; `None`: the server.
        actor: Option<Actor>,
        /// Whether it was answered at all.
        answered: bool,
        /// When media of two people was up first; 0: never. Milliseconds since the Unix epoch.
        begin_ms: u64,
        end_ms: u64,
        duration_ms: u64,
    },
    /// To supervisors: a call of their groups began (`end_ms` 0) or ended.
    CallNotice {
        call: CallId,
        caller: Person,
        group: Option<GroupId>,
        begin_ms: u64,
        end_ms: u64,
    },

    /// One may join the call's media room; the token is beside it.
    MediaReady { call: CallId, grant: MediaGrant },
    /// Somebody's media came up.
    ParticipantJoined {
        call: CallId,
        participant: Participant,
    },
    /// Somebody left.
    ParticipantLeft {
        call: CallId,
        participant: Participant,
        reason: EndReason,
        actor: Option<Actor>,
    },
    /// Somebody changed.
    ParticipantUpdated {
        call: CallId,
        participant: Participant,
        changed: Vec<Changed>,
    },
    /// The call's properties changed.
    RoomPropChanged {
        call: CallId,
        changed: Vec<PropChanged>,
        props: CallProps,
    },
    /// From video to audio.
    MediaModeChanged {
        call: CallId,
        by: Person,
        media: Media,
    },
    /// Somebody's track can be received.
    TrackReady {
        call: CallId,
        user: UserId,
        kind: TrackKind,
    },
    /// Somebody's tracks of a kind were muted or unmuted.
    MuteChanged {
        call: CallId,
        user: UserId,
        kind: TrackKind,
        muted: bool,
    },
    /// The own media failed.
    DeviceFault {
        call: CallId,
        error: ErrorCode,
        detail: String,
    },
    /// A digit was pressed by somebody else.
    DtmfReceived {
        call: CallId,
        user: UserId,
        digit: String,
    },

    /// A message came.
    Message { call: CallId, message: Message },
    /// A picture is there; `image` is what the client itself adds.
    SnapshotReady {
        call: CallId,
        source: SnapshotSource,
        user: UserId,
        url: Option<String>,
    },
    /// A transfer moved on. `media` for those who shall join now.
    TransferUpdate {
        call: CallId,
        state: TransferState,
        blind: bool,
        by: Person,
        target: Person,
        grant: Option<MediaGrant>,
    },
    /// A third party moved on.
    ThirdUpdate {
        call: CallId,
        state: ThirdState,
        by: Person,
        target: Person,
        grant: Option<MediaGrant>,
    },
    /// To the supervisor alone.
    MonitorUpdate {
        call: CallId,
        state: MonitorState,
        grant: Option<MediaGrant>,
    },
    /// The recording moved on.
    RecStateChanged { call: CallId, recording: Recording },
    /// The recording can be fetched.
    RecReady {
        call: CallId,
        recording: RecordingId,
        url: String,
        start_ms: u64,
        end_ms: u64,
        bytes: u64,
    },
    /// The recording failed.
    RecAborted {
        call: CallId,
        recording: RecordingId,
        /// Whose recording, where each has one.
        user: Option<UserId>,
        detail: String,
        ends_call: bool,
    },
    /// A reviewer's verdict about a track.
    ModerationResult {
        call: CallId,
        user: UserId,
        kind: TrackKind,
        verdict: String,
    },
    /// Measurements, as the client asked for them.
    Stats {
        call: CallId,
        report: serde_json::Value,
    },
}

/// An event on its way to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Counts the events of this device's session from 1; a client that comes back names the last it
    /// saw.
    pub seq: u64,
    /// Counts the events of the call; numbers of events that are for others are missing. 0: the
    /// event belongs to no call.
    pub call_seq: u64,
    /// What happened.
    pub event: Event,
}

/// What a successful command brings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    rename_all = "camelCase",
    tag = "type",
    rename_all_fields = "camelCase"
)]
#[expect(
    missing_docs,
    reason = "fields are named for what they are; types say the rest"
)]
pub enum Data {
    /// Nothing but success.
    #[default]
    None,
    /// A call was made, answered or joined: its view, and the right to join its media.
    Call {
        call: Box<Call>,
        grant: Option<MediaGrant>,
    },
    /// Invitations were made; those who could not be rung are named with the cause.
    Invited {
        invites: Vec<InviteId>,
        failed: Vec<(UserId, ErrorCode)>,
    },
    /// Own state.
    State {
        conn: ConnState,
        seat: Option<SeatState>,
        call: Option<CallId>,
        call_state: Option<CallState>,
        monitor: MonitorState,
        monitored: Option<CallId>,
    },
    /// Calls.
    Calls { calls: Vec<Call> },
    /// Profiles.
    Users { users: Vec<Person> },
    /// Groups.
    Groups { groups: Vec<Group> },
    /// A page of seats, and how many there are.
    Agents { agents: Vec<Seat>, total: u32 },
    /// A message was sent.
    Sent { message: Message },
    /// Supervision, transfer or third party: the right to join its media, where there is one.
    Grant { grant: Option<MediaGrant> },
    /// A recording was asked for.
    Recording { recording: RecordingId },
    /// A link was made.
    Link { link: LinkId },
    /// Whose picture to take.
    Snapshot { user: UserId },
}

/// The one answer to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandResult {
    /// What went wrong; [`ErrorCode::Ok`]: nothing.
    pub error: ErrorCode,
    /// More about the error, for people; may be empty.
    pub detail: String,
    /// What success brought.
    pub data: Data,
}

impl Event {
    /// Stable word, that of the catalogue.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Connected { .. } => "Connected",
            Self::ConnectionLost { .. } => "ConnectionLost",
            Self::Kicked { .. } => "Kicked",
            Self::Error { .. } => "Error",
            Self::SeatChanged { .. } => "SeatChanged",
            Self::InviteReceived { .. } => "InviteReceived",
            Self::InviteRinging { .. } => "InviteRinging",
            Self::InviteAccepted { .. } => "InviteAccepted",
            Self::InviteRejected { .. } => "InviteRejected",
            Self::InviteCanceled { .. } => "InviteCanceled",
            Self::InviteTimeout { .. } => "InviteTimeout",
            Self::InviteeAdded { .. } => "InviteeAdded",
            Self::AnsweredElsewhere { .. } => "AnsweredElsewhere",
            Self::OfflineInvites { .. } => "OfflineInvites",
            Self::CallProgress { .. } => "CallProgress",
            Self::CallRecovered { .. } => "CallRecovered",
            Self::CallEnded { .. } => "CallEnded",
            Self::CallNotice { .. } => "CallNotice",
            Self::MediaReady { .. } => "MediaReady",
            Self::ParticipantJoined { .. } => "ParticipantJoined",
            Self::ParticipantLeft { .. } => "ParticipantLeft",
            Self::ParticipantUpdated { .. } => "ParticipantUpdated",
            Self::RoomPropChanged { .. } => "RoomPropChanged",
            Self::MediaModeChanged { .. } => "MediaModeChanged",
            Self::TrackReady { .. } => "TrackReady",
            Self::MuteChanged { .. } => "MuteChanged",
            Self::DeviceFault { .. } => "DeviceFault",
            Self::DtmfReceived { .. } => "DtmfReceived",
            Self::Message { .. } => "Message",
            Self::SnapshotReady { .. } => "SnapshotReady",
            Self::TransferUpdate { .. } => "TransferUpdate",
            Self::ThirdUpdate { .. } => "ThirdUpdate",
            Self::MonitorUpdate { .. } => "MonitorUpdate",
            Self::RecStateChanged { .. } => "RecStateChanged",
            Self::RecReady { .. } => "RecReady",
            Self::RecAborted { .. } => "RecAborted",
            Self::ModerationResult { .. } => "ModerationResult",
            Self::Stats { .. } => "Stats",
        }
    }
}
