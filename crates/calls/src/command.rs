//! What devices and application servers may ask for (catalogue 6.3).
//!
//! A client names calls and invitations by id, or says "the one I am in": see [`CallRef`] and
//! [`InviteRef`].

use serde::{Deserialize, Serialize};

use crate::error::ErrorCode;
use crate::ids::{CallId, GroupId, InviteId, LinkId, RecordingId, SessionKey, UserId};
use crate::model::{
    CallKind, Group, Media, Push, RecordingMode, Role, Target, Terminal, TrackKind, UserRecord,
};
use crate::policy::TenantSettings;
use crate::reason::EndReason;

/// Which call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CallRef {
    /// The one that the device is in.
    #[default]
    Current,
    /// This one.
    Id(CallId),
    /// The meeting with this business serial number.
    Serial(String),
}

/// Which invitation to oneself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InviteRef {
    /// The newest that may still be answered.
    #[default]
    Newest,
    /// This one.
    Id(InviteId),
    /// The one to this call.
    Call(CallId),
}

/// What a new call shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewCall {
    /// What kind.
    pub kind: CallKind,
    /// Where it goes.
    pub target: Target,
    /// Whom to ring in a group call; not needed where the target says it.
    #[serde(default)]
    pub callees: Vec<UserId>,
    /// What it carries.
    #[serde(default)]
    pub media: Media,
    /// Organisation id of the application.
    #[serde(default)]
    pub channel: String,
    /// Free text for those who are invited.
    #[serde(default)]
    pub extra: String,
    /// For the application's push service.
    #[serde(default)]
    pub push: Option<Push>,
}

/// What a seat shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SeatWish {
    /// Takes calls.
    Ready,
    /// Rests; refused while in a call.
    Rest,
    /// Takes no calls; while in a call: after it.
    Busy,
}

/// What to do with the shared screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ScreenAction {
    /// Share; refused while somebody else does.
    Start,
    /// Stop sharing.
    Stop,
    /// Hold the picture.
    Pause,
    /// Go on.
    Resume,
}

/// What a snapshot is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SnapshotSource {
    /// What the asker sends.
    Pusher,
    /// What the asker receives.
    Player,
    /// A picture that the asker (the customer) gives; its address is beside it.
    User,
}

/// What to query.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum QueryScope {
    /// Own connection, seat, call and supervision.
    Own,
    /// A call one is in, or supervises.
    Call(CallRef),
    /// Profiles of users.
    Users(Vec<UserId>),
    /// Live calls of the own skill groups (supervisors).
    Calls,
}

/// What a device says when it comes online. The carrier has verified who it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Login {
    /// What the client runs on.
    #[serde(default)]
    pub terminal: Terminal,
    /// The skill group in which the agent takes calls this time.
    #[serde(default)]
    pub skill_group: Option<GroupId>,
    /// Not an ordinary client: an agent's seat comes online only where this is true.
    #[serde(default)]
    pub seat: bool,
}

/// What a device may ask for. Each gets exactly one result; the same request id again gets the
/// same result and has no second effect.
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
pub enum Command {
    /// Comes online.
    Login(Login),
    /// Goes offline: leaves calls, refuses what rings only here.
    Logout,
    /// Comes back after a loss and asks for the events after `last_seq`.
    Reconnect {
        session_key: SessionKey,
        last_seq: u64,
    },
    /// Sign of life; keeps a registration.
    Refresh,
    /// Reads; changes nothing.
    QueryState { scope: QueryScope },
    /// How others see the user; `None` leaves as it is.
    SetProfile {
        name: Option<String>,
        portrait_uri: Option<String>,
        extra: Option<String>,
    },
    /// Texts for the application's push service.
    SetPush {
        call: Option<Push>,
        hang_up: Option<Push>,
    },
    /// Agent's wish about the own seat.
    SetSeat { wish: SeatWish },
    /// Skill groups of the tenant.
    ListGroups,
    /// Seats of a skill group, by page from 0.
    ListAgents {
        skill_group: GroupId,
        #[serde(default)]
        page: u32,
        #[serde(default)]
        size: u32,
    },

    /// Makes a call and rings.
    CreateCall(NewCall),
    /// Rings more people; group calls and meetings.
    Invite {
        #[serde(default)]
        call: CallRef,
        callees: Vec<UserId>,
        #[serde(default)]
        extra: String,
        #[serde(default)]
        push: Option<Push>,
    },
    /// Withdraws own invitations; empty: all of them.
    CancelInvite {
        #[serde(default)]
        call: CallRef,
        #[serde(default)]
        callees: Vec<UserId>,
    },
    /// A device says that it rings.
    Ringing {
        #[serde(default)]
        invite: InviteRef,
    },
    /// Answers.
    Accept {
        #[serde(default)]
        invite: InviteRef,
        #[serde(default)]
        media: Option<Media>,
        #[serde(default)]
        role: Option<Role>,
    },
    /// Refuses.
    Reject {
        #[serde(default)]
        invite: InviteRef,
        #[serde(default)]
        reason: Option<EndReason>,
    },
    /// Joins the meeting with a serial number, or makes it.
    JoinRoom {
        serial: String,
        #[serde(default)]
        media: Media,
        #[serde(default)]
        role: Option<Role>,
        #[serde(default)]
        extra: String,
    },
    /// Leaves; the call goes on without.
    LeaveRoom {
        #[serde(default)]
        call: CallRef,
    },
    /// Cancels, refuses or hangs up: the state decides.
    HangUp {
        #[serde(default)]
        call: CallRef,
    },
    /// Ends for all (caller or host).
    EndCall {
        #[serde(default)]
        call: CallRef,
    },
    /// Takes somebody out (caller or host).
    KickUser {
        #[serde(default)]
        call: CallRef,
        user: UserId,
    },
    /// A supervisor ends a call without listening.
    ForceEnd { call: CallRef },

    /// Starts sending a kind of track.
    Publish {
        #[serde(default)]
        call: CallRef,
        kind: TrackKind,
    },
    /// Stops sending a kind of track.
    Unpublish {
        #[serde(default)]
        call: CallRef,
        kind: TrackKind,
    },
    /// Says whether a member's track is wanted.
    Subscribe {
        #[serde(default)]
        call: CallRef,
        user: UserId,
        kind: TrackKind,
        wanted: bool,
    },
    /// Says how large a member's video is shown, in pixels of height; 0: as large as it comes.
    SetLayer {
        #[serde(default)]
        call: CallRef,
        user: UserId,
        kind: TrackKind,
        max_height: u32,
    },
    /// Mutes or unmutes own tracks of a kind.
    Mute {
        #[serde(default)]
        call: CallRef,
        kind: TrackKind,
        muted: bool,
    },
    /// Another microphone is used; others notice nothing.
    SwitchDevice {
        #[serde(default)]
        call: CallRef,
    },
    /// From video to audio, for all, for good.
    Downgrade {
        #[serde(default)]
        call: CallRef,
    },
    /// Puts the other side on hold.
    Hold {
        #[serde(default)]
        call: CallRef,
    },
    /// Takes it back.
    Unhold {
        #[serde(default)]
        call: CallRef,
    },
    /// One digit of `0-9*#A-D`.
    Dtmf {
        #[serde(default)]
        call: CallRef,
        digit: String,
    },
    /// The call's one shared screen.
    ScreenShare {
        #[serde(default)]
        call: CallRef,
        action: ScreenAction,
        #[serde(default)]
        tip: String,
    },
    /// A still picture.
    Snapshot {
        #[serde(default)]
        call: CallRef,
        source: SnapshotSource,
        #[serde(default)]
        url: Option<String>,
    },
    /// A client's own media failed; codes 1501 to 1513.
    ReportFault {
        #[serde(default)]
        call: CallRef,
        error: ErrorCode,
        #[serde(default)]
        detail: String,
    },

    /// Asks another agent to take over.
    TransferAsk {
        #[serde(default)]
        call: CallRef,
        target: UserId,
    },
    /// Withdraws.
    TransferCancel {
        #[serde(default)]
        call: CallRef,
        #[serde(default)]
        target: Option<UserId>,
    },
    /// Takes over.
    TransferAccept { call: CallRef },
    /// Refuses.
    TransferReject { call: CallRef },
    /// Hands over by ringing another seat; it takes over when it answers.
    TransferBlind {
        #[serde(default)]
        call: CallRef,
        #[serde(default)]
        skill_group: Option<GroupId>,
        /// A user id, or an extension.
        target: String,
    },
    /// Asks another agent to join.
    ThirdAsk {
        #[serde(default)]
        call: CallRef,
        target: UserId,
    },
    /// Withdraws.
    ThirdCancel {
        #[serde(default)]
        call: CallRef,
        #[serde(default)]
        target: Option<UserId>,
    },
    /// Joins.
    ThirdAccept { call: CallRef },
    /// Refuses.
    ThirdReject { call: CallRef },
    /// Main agent takes the third party out.
    ThirdRemove {
        #[serde(default)]
        call: CallRef,
        #[serde(default)]
        target: Option<UserId>,
    },
    /// Third party leaves.
    ThirdQuit {
        #[serde(default)]
        call: CallRef,
    },
    /// Supervisor listens.
    MonStart { call: CallRef },
    /// Stops listening.
    MonStop { call: CallRef },
    /// Speaks to the agent only; again with `on: false`: listens again.
    MonWhisper { call: CallRef, on: bool },
    /// Speaks to all.
    MonBarge { call: CallRef },
    /// Leaves the three-way; the call goes on.
    MonExitBarge { call: CallRef },
    /// Ends the call that is listened to.
    MonEndCall { call: CallRef },

    /// Text to a member, or to all.
    SendMessage {
        #[serde(default)]
        call: CallRef,
        #[serde(default)]
        to: Option<UserId>,
        content_type: String,
        content: String,
    },
    /// Starts recording.
    RecStart {
        #[serde(default)]
        call: CallRef,
        #[serde(default)]
        mode: RecordingMode,
    },
    /// Stops it.
    RecStop {
        #[serde(default)]
        call: CallRef,
        #[serde(default)]
        recording: Option<RecordingId>,
    },
    /// Lets the people of another call be seen and heard here, and the other way round.
    LinkRoom {
        #[serde(default)]
        call: CallRef,
        peer: CallRef,
    },
    /// Takes that back.
    UnlinkRoom { link: LinkId },
}

/// What an application server may ask for, about one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "fields are named for what they are; types say the rest"
)]
pub enum AdminCommand {
    /// Makes a tenant or changes its settings.
    PutTenant { settings: Box<TenantSettings> },
    /// Forgets a tenant: everyone is turned out, calls end.
    DeleteTenant,
    /// Makes or changes a user.
    PutUser { user: Box<UserRecord> },
    /// A tenant's settings.
    Tenant,
    /// All users, by id.
    Users,
    /// One user.
    User { user: UserId },
    /// Who has this directory number or, failing that, this id.
    Lookup { number: String },
    /// All groups, by id.
    Groups,
    /// Forgets a user: devices are turned out with `account_invalid`.
    DeleteUser { user: UserId },
    /// Makes or changes a group.
    PutGroup { group: Group },
    /// Forgets a group.
    DeleteGroup { group: GroupId },
    /// Bans a user, for a time or for good: turned out, calls left.
    Ban { user: UserId, ttl_s: Option<u64> },
    /// Takes that back.
    Unban { user: UserId },
    /// Makes a call in a user's name.
    CreateCall { by: UserId, call: NewCall },
    /// Takes a user out of a call.
    AdminKick { call: CallId, user: UserId },
    /// Ends a call for all.
    EndCall { call: CallId },
    /// All live calls.
    Calls,
    /// One call, live or ended lately.
    Call { call: CallId },
    /// Seats, of one skill group or all.
    Seats { group: Option<GroupId> },
}

impl Command {
    /// Stable word for metrics and logs, that of the catalogue.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Login(_) => "Login",
            Self::Logout => "Logout",
            Self::Reconnect { .. } => "Reconnect",
            Self::Refresh => "Refresh",
            Self::QueryState { .. } => "QueryState",
            Self::SetProfile { .. } => "SetProfile",
            Self::SetPush { .. } => "SetPush",
            Self::SetSeat { .. } => "SetSeat",
            Self::ListGroups => "ListGroups",
            Self::ListAgents { .. } => "ListAgents",
            Self::CreateCall(_) => "CreateCall",
            Self::Invite { .. } => "Invite",
            Self::CancelInvite { .. } => "CancelInvite",
            Self::Ringing { .. } => "Ringing",
            Self::Accept { .. } => "Accept",
            Self::Reject { .. } => "Reject",
            Self::JoinRoom { .. } => "JoinRoom",
            Self::LeaveRoom { .. } => "LeaveRoom",
            Self::HangUp { .. } => "HangUp",
            Self::EndCall { .. } => "EndCall",
            Self::KickUser { .. } => "KickUser",
            Self::ForceEnd { .. } => "ForceEnd",
            Self::Publish { .. } => "Publish",
            Self::Unpublish { .. } => "Unpublish",
            Self::Subscribe { .. } => "Subscribe",
            Self::SetLayer { .. } => "SetLayer",
            Self::Mute { .. } => "Mute",
            Self::SwitchDevice { .. } => "SwitchDevice",
            Self::Downgrade { .. } => "Downgrade",
            Self::Hold { .. } => "Hold",
            Self::Unhold { .. } => "Unhold",
            Self::Dtmf { .. } => "Dtmf",
            Self::ScreenShare { .. } => "ScreenShare",
            Self::Snapshot { .. } => "Snapshot",
            Self::ReportFault { .. } => "ReportFault",
            Self::TransferAsk { .. } => "TransferAsk",
            Self::TransferCancel { .. } => "TransferCancel",
            Self::TransferAccept { .. } => "TransferAccept",
            Self::TransferReject { .. } => "TransferReject",
            Self::TransferBlind { .. } => "TransferBlind",
            Self::ThirdAsk { .. } => "ThirdAsk",
            Self::ThirdCancel { .. } => "ThirdCancel",
            Self::ThirdAccept { .. } => "ThirdAccept",
            Self::ThirdReject { .. } => "ThirdReject",
            Self::ThirdRemove { .. } => "ThirdRemove",
            Self::ThirdQuit { .. } => "ThirdQuit",
            Self::MonStart { .. } => "MonStart",
            Self::MonStop { .. } => "MonStop",
            Self::MonWhisper { .. } => "MonWhisper",
            Self::MonBarge { .. } => "MonBarge",
            Self::MonExitBarge { .. } => "MonExitBarge",
            Self::MonEndCall { .. } => "MonEndCall",
            Self::SendMessage { .. } => "SendMessage",
            Self::RecStart { .. } => "RecStart",
            Self::RecStop { .. } => "RecStop",
            Self::LinkRoom { .. } => "LinkRoom",
            Self::UnlinkRoom { .. } => "UnlinkRoom",
        }
    }
}
