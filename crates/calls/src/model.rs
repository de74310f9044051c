//! People, calls and their states as callers see them: views, never the machine's own state.

use serde::{Deserialize, Serialize};

use crate::ids::{
    CallId, DeviceName, GroupId, InviteId, LinkId, MessageId, RecordingId, TenantId, UserId,
};
use crate::reason::EndReason;

/// What a client runs on. Two devices of one type log each other out where the tenant's policy says
/// so.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum Terminal {
    /// A browser.
    #[default]
    Web,
    /// A SIP telephone.
    Sip,
    /// A telephone that is called back.
    Callback,
    /// A mobile application.
    Mobile,
    /// An application server that acts for the user by HTTP.
    Server,
}

/// What a call carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Media {
    /// Audio only.
    Audio,
    /// Audio and video.
    #[default]
    Video,
}

/// A kind of track.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TrackKind {
    /// Microphone.
    Audio,
    /// Camera.
    Video,
    /// Screen.
    Screen,
}

/// What kind of call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CallKind {
    /// One to one.
    Private,
    /// Several members, more may be invited.
    Group,
    /// A named room that people join without being rung.
    Meeting,
    /// To or from a telephone number.
    Pstn,
    /// A customer waits for an agent of a skill group.
    Queue,
}

/// Whom a call goes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Target {
    /// A user.
    User {
        /// Which.
        user: UserId,
    },
    /// Members of a chat group (the callees are named beside it).
    Group {
        /// Which.
        group: GroupId,
    },
    /// A number: an extension of the tenant, or an external one.
    Number {
        /// Digits to dial.
        number: String,
        /// What the caller sees in its place; encrypted numbers stay encrypted there.
        #[serde(default)]
        shown: Option<String>,
    },
    /// The agents of a skill group.
    Queue {
        /// Which.
        group: GroupId,
    },
    /// A room named by the application (business serial number).
    Room {
        /// Which.
        serial: String,
    },
}

/// A user as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// Who.
    pub user: UserId,
    /// Name to show; may be empty.
    #[serde(default)]
    pub name: String,
    /// Address of a picture; may be empty.
    #[serde(default)]
    pub portrait_uri: String,
    /// Free text; may be empty.
    #[serde(default)]
    pub extra: String,
    /// Directory number; may be empty.
    #[serde(default)]
    pub extension: String,
}

/// A user of a tenant as it is kept: profile, seat and rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserRecord {
    /// Who, and how others see them.
    #[serde(flatten)]
    pub person: Person,
    /// Skill groups in which the user is an agent; empty: not an agent.
    #[serde(default)]
    pub skill_groups: Vec<GroupId>,
    /// Whether the user may supervise calls of these skill groups.
    #[serde(default)]
    pub supervisor: bool,
    /// Whose calls are refused.
    #[serde(default)]
    pub blocked: Vec<UserId>,
    /// What a password is checked against, where the user has one: a text that only the front
    /// door reads. Never shown.
    #[serde(skip)]
    pub password: Option<String>,
}

/// What a group is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GroupKind {
    /// A chat group: its members may call one another in it.
    Group,
    /// A skill group: its members are agents.
    Skill,
}

/// A group of users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Which.
    pub id: GroupId,
    /// Name to show.
    pub name: String,
    /// What it is for.
    pub kind: GroupKind,
    /// Who is in it.
    #[serde(default)]
    pub members: Vec<UserId>,
}

/// Role of a participant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Made the call.
    Caller,
    /// Was invited or joined.
    #[default]
    Member,
    /// The customer of a contact centre.
    Guest,
    /// The agent in charge.
    AgentMain,
    /// An agent added as third party.
    AgentThird,
    /// Listens; hidden until barged.
    Supervisor,
    /// May end for all and kick.
    Host,
    /// Receives only.
    Audience,
}

/// State of a device's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ConnState {
    /// Never logged in, logged out, or gone for too long.
    Disconnected,
    /// Credentials are being checked. Seen by clients only.
    Connecting,
    /// Logged in.
    Online,
    /// Lost; may come back and have its missed events.
    Reconnecting,
    /// Turned out by another login, a ban or an administrator.
    Kicked,
}

/// State of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CallState {
    /// Being checked, or waiting for an agent.
    Creating,
    /// Somebody is rung.
    Ringing,
    /// Answered; media is coming up.
    Connecting,
    /// Media of two people is up.
    Active,
    /// Over.
    Ended,
}

/// State of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InviteState {
    /// Made; the callee has no device online yet.
    Created,
    /// Sent to a device at least.
    Delivered,
    /// A device says that it rings.
    Ringing,
    /// Answered.
    Accepted,
    /// Refused.
    Rejected,
    /// Withdrawn.
    Canceled,
    /// Not answered in time.
    TimedOut,
    /// Could not be made: busy, blocked, banned.
    Failed,
}

impl InviteState {
    /// Whether it may still be answered.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Created | Self::Delivered | Self::Ringing)
    }
}

/// State of a participation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PartState {
    /// May join; media is not up yet.
    Joining,
    /// Media is up.
    Joined,
    /// Signalling or media is lost; may come back.
    Reconnecting,
    /// Gone.
    Left,
}

/// State of an agent's seat.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum SeatState {
    /// No device online.
    #[default]
    Offline,
    /// Takes calls.
    Idle,
    /// Rests; takes no calls.
    Busy,
    /// Rung, or ringing somebody.
    Ringing,
    /// In a call.
    Talking,
    /// In a call whose other side is on hold.
    Held,
}

/// State of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TransferState {
    /// The target was asked or is rung.
    Requested,
    /// Accepted; the target's media is coming up.
    Completing,
    /// The target has taken over.
    Completed,
    /// The target refused.
    Rejected,
    /// The asker withdrew.
    Canceled,
    /// No answer in time.
    TimedOut,
    /// The call ended, or the target was lost.
    Failed,
}

/// State of a third party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ThirdState {
    /// Asked.
    Requested,
    /// In the call.
    Joined,
    /// Refused.
    Rejected,
    /// Withdrawn by the asker.
    Canceled,
    /// No answer in time.
    TimedOut,
    /// Taken out by the main agent.
    Removed,
    /// Left by itself.
    Quit,
    /// The call ended, or the third was lost.
    Failed,
}

/// State of a supervisor towards a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MonitorState {
    /// Not supervising.
    None,
    /// Media is coming up.
    Starting,
    /// Hears all, unheard and unseen.
    Listening,
    /// Heard by the agent only.
    Whispering,
    /// Heard and seen by all.
    Barged,
}

/// State of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecordingState {
    /// None.
    Idle,
    /// Asked for.
    Starting,
    /// Writing.
    Running,
    /// Stopped; being finished.
    Finalizing,
    /// Can be fetched.
    Ready,
    /// Failed.
    Aborted,
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Actor {
    /// Who.
    pub user: UserId,
    /// On which device; unknown for what happened to the user rather than was done by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceName>,
    /// As what.
    pub role: Role,
}

/// A participant as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    /// Who.
    pub person: Person,
    /// As what.
    pub role: Role,
    /// How far.
    pub state: PartState,
    /// Whether a microphone is on.
    pub audio: bool,
    /// Whether a camera is on.
    pub video: bool,
    /// Whether a screen is shared.
    pub screen: bool,
    /// Whether the participant is on hold.
    pub held: bool,
}

/// An invitation as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invite {
    /// Which.
    pub id: InviteId,
    /// To which call.
    pub call: CallId,
    /// By whom.
    pub inviter: Person,
    /// Whom.
    pub callee: Person,
    /// How far.
    pub state: InviteState,
}

/// The screen that a call shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScreenShare {
    /// Whose.
    pub owner: UserId,
    /// Whether it pauses.
    pub paused: bool,
    /// What the owner says about the pause.
    pub tip: String,
}

/// Properties of a call that members watch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallProps {
    /// The screen that is shared; one at a time.
    pub screen_share: Option<ScreenShare>,
    /// State of the recording, if there is or was one.
    pub recording: Option<RecordingState>,
}

/// A call as its members, supervisors and the server API see it. Hidden people are not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Which.
    pub id: CallId,
    /// Whose.
    pub tenant: TenantId,
    /// What kind.
    pub kind: CallKind,
    /// Where it goes.
    pub target: Target,
    /// Organisation id of the application; may be empty.
    pub channel: String,
    /// What it carries.
    pub media: Media,
    /// Free text of the caller.
    pub extra: String,
    /// Who made it.
    pub initiator: Person,
    /// How far.
    pub state: CallState,
    /// Who is in it.
    pub participants: Vec<Participant>,
    /// Who is rung.
    pub invites: Vec<Invite>,
    /// When it was made: milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// When media of two people was up first; 0: never.
    pub begin_ms: u64,
    /// When it ended; 0: not yet.
    pub end_ms: u64,
    /// Why it ended.
    pub reason: Option<EndReason>,
    /// What members watch.
    pub props: CallProps,
    /// Links to rooms of other calls.
    pub links: Vec<LinkId>,
}

/// A seat as supervisors and colleagues see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seat {
    /// Who.
    pub person: Person,
    /// How it stands.
    pub state: SeatState,
    /// Where the agent logged in.
    pub group: Option<GroupId>,
}

/// Whether a message goes to one or to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum MessageScope {
    /// To one member.
    OneToOne,
    /// To everyone in the call.
    Group,
}

/// An application message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Which.
    pub id: MessageId,
    /// From whom.
    pub from: UserId,
    /// To one or to all.
    pub scope: MessageScope,
    /// What the content is, at most 64 bytes.
    pub content_type: String,
    /// The content, at most the tenant's `message_bytes_max`.
    pub content: String,
    /// When: milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// Text that an application's server may push to a sleeping client; relayed, never read here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Push {
    /// Title.
    #[serde(default)]
    pub title: String,
    /// Text.
    #[serde(default)]
    pub content: String,
    /// Settings per operating system and vendor, as the application wrote them.
    #[serde(default)]
    pub options: serde_json::Map<String, serde_json::Value>,
}

/// A recording as members see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recording {
    /// Which.
    pub id: RecordingId,
    /// One file for each participant, or one of all.
    pub mode: RecordingMode,
    /// How far.
    pub state: RecordingState,
}

/// What is written by a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecordingMode {
    /// One file for each participant.
    Each,
    /// One file of all: pictures in a grid and all voices. Of an audio call: as [`Self::Call`].
    #[default]
    Mixed,
    /// One file of sound in stereo: who was there first on the left, everyone else on the right.
    Call,
}
