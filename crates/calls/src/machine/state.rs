//! What the machine keeps. Only data: the rules stand in the files beside it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crosspoint_wire::time::Time;

use crate::event::{CommandResult, Delivery, Line, MissedInvite};
use crate::ids::{
    CallId, DeviceName, DeviceRef, GroupId, InviteId, LinkId, RecordingId, RequestId, SessionKey,
    TenantId, UserId,
};
use crate::media::Access;
use crate::model::{
    CallKind, CallState, Group, InviteState, Media, MonitorState, PartState, Push, RecordingMode,
    RecordingState, Role, ScreenShare, SeatState, Target, Terminal, ThirdState, TransferState,
    UserRecord,
};
use crate::policy::TenantSettings;

#[derive(Clone, Debug)]
pub(super) struct Tenant {
    pub settings: Arc<TenantSettings>,
    pub users: BTreeMap<UserId, User>,
    pub groups: BTreeMap<GroupId, Group>,
    /// Directory numbers.
    pub extensions: BTreeMap<String, UserId>,
    /// Until when, in milliseconds since the Unix epoch; `None`: for good.
    pub bans: BTreeMap<UserId, Option<u64>>,
    /// Meetings by business serial number.
    pub serials: BTreeMap<String, CallId>,
    /// Calls that wait for an agent, per skill group, first come first.
    pub queues: BTreeMap<GroupId, VecDeque<CallId>>,
    pub live_calls: u32,
    /// Invitations that may be made now, in thousandths, and when that was true.
    pub invites_left: (u64, Time),
}

#[derive(Clone, Debug)]
pub(super) struct User {
    pub record: UserRecord,
    pub devices: BTreeMap<DeviceName, Device>,
    pub seat: SeatState,
    /// The skill group chosen at login.
    pub seat_group: Option<GroupId>,
    pub resting: bool,
    pub idle_since: Time,
    pub call_push: Option<Push>,
    pub hang_up_push: Option<Push>,
    /// What was missed while offline, newest last.
    pub missed: VecDeque<MissedInvite>,
    /// Calls in which the user takes part, is rung, or is asked to take over or to join.
    pub engaged: BTreeSet<CallId>,
    /// The call that is supervised.
    pub monitoring: Option<CallId>,
}

#[derive(Clone, Debug)]
pub(super) struct Device {
    pub terminal: Terminal,
    pub online: bool,
    /// An agent's seat lives on it.
    pub seat: bool,
    pub session_key: SessionKey,
    pub seq: u64,
    pub replay: VecDeque<Delivery>,
    pub results: VecDeque<(RequestId, CommandResult)>,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub id: CallId,
    pub tenant: TenantId,
    pub kind: CallKind,
    pub target: Target,
    pub channel: String,
    pub media: Media,
    pub extra: String,
    pub initiator: UserId,
    pub state: CallState,
    pub created_ms: u64,
    pub begin_ms: u64,
    pub seq: u64,
    pub parts: BTreeMap<UserId, Part>,
    pub invites: BTreeMap<InviteId, Invite>,
    pub transfer: Option<Transfer>,
    pub third: Option<Third>,
    pub monitors: BTreeMap<UserId, Monitor>,
    pub recording: Option<Recording>,
    pub screen: Option<ScreenShare>,
    /// Waits for an agent, or did.
    pub queue: Option<Queue>,
    pub links: BTreeMap<LinkId, CallId>,
    /// Supervisors' devices that were told of the beginning.
    pub noticed: BTreeSet<DeviceRef>,
    /// The skill group that the call belongs to.
    pub group: Option<GroupId>,
    pub line: Line,
    /// The other side as the caller may see it.
    pub shown: String,
    /// How often a seat that refused was rung.
    pub rounds: BTreeMap<UserId, u32>,
    /// Addresses of recordings that are ready.
    pub recordings: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Part {
    pub role: Role,
    pub state: PartState,
    pub device: DeviceName,
    pub media_up: bool,
    /// Others were told of it.
    pub shown: bool,
    pub audio: bool,
    pub video: bool,
    pub screen: bool,
    pub held_by: Option<UserId>,
}

impl Part {
    pub(super) const fn new(role: Role, device: DeviceName) -> Self {
        Self {
            role,
            state: PartState::Joining,
            device,
            media_up: false,
            shown: false,
            audio: false,
            video: false,
            screen: false,
            held_by: None,
        }
    }

    pub(super) const fn is_here(&self) -> bool {
        !matches!(self.state, PartState::Left)
    }

    pub(super) fn access(&self) -> Access {
        match (self.held_by.is_some(), self.role) {
            (true, _) => Access::HELD,
            (false, Role::Audience) => Access {
                speaks: false,
                ..Access::FULL
            },
            (false, _) => Access::FULL,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Invite {
    pub inviter: UserId,
    pub callee: UserId,
    pub state: InviteState,
    pub created: Time,
    pub extra: String,
    pub push: Option<Push>,
    /// Role of the callee once in.
    pub role: Role,
    /// The device that answered.
    pub device: Option<DeviceName>,
    /// Counts up, to tell the newest.
    pub order: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Transfer {
    pub by: UserId,
    pub target: UserId,
    pub state: TransferState,
    pub blind: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Third {
    pub by: UserId,
    pub target: UserId,
    pub state: ThirdState,
}

#[derive(Clone, Debug)]
pub(super) struct Monitor {
    pub state: MonitorState,
    pub device: DeviceName,
}

#[derive(Clone, Debug)]
pub(super) struct Recording {
    pub id: RecordingId,
    pub mode: RecordingMode,
    pub state: RecordingState,
    pub start_ms: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub group: GroupId,
    /// Agents who refused or did not answer.
    pub tried: BTreeSet<UserId>,
}

/// A recording that is being finished after its call's end.
#[derive(Clone, Debug)]
pub(super) struct Finalizing {
    pub call: CallId,
    pub tenant: TenantId,
    pub start_ms: u64,
    pub end_ms: u64,
    /// Who is told: the main agents, or everyone where there was none.
    pub users: Vec<UserId>,
}

impl Tenant {
    pub(super) fn new(settings: Arc<TenantSettings>, now: Time) -> Self {
        let invites = u64::from(settings.limits.invites_per_second) * 1000;
        Self {
            settings,
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            extensions: BTreeMap::new(),
            bans: BTreeMap::new(),
            serials: BTreeMap::new(),
            queues: BTreeMap::new(),
            live_calls: 0,
            invites_left: (invites, now),
        }
    }
}

impl User {
    pub(super) const fn new(record: UserRecord, now: Time) -> Self {
        Self {
            record,
            devices: BTreeMap::new(),
            seat: SeatState::Offline,
            seat_group: None,
            resting: false,
            idle_since: now,
            call_push: None,
            hang_up_push: None,
            missed: VecDeque::new(),
            engaged: BTreeSet::new(),
            monitoring: None,
        }
    }

    /// Devices that are online now.
    pub(super) fn online(&self) -> impl Iterator<Item = (&DeviceName, &Device)> {
        self.devices.iter().filter(|(_, device)| device.online)
    }

    /// Whether an agent's seat lives on one of the devices.
    pub(super) fn has_seat(&self) -> bool {
        self.devices.values().any(|device| device.seat)
    }
}

impl Call {
    /// People who count: in the call and not hidden.
    pub(super) fn here(&self) -> impl Iterator<Item = (&UserId, &Part)> {
        self.parts.iter().filter(|(_, part)| part.is_here())
    }

    pub(super) fn part(&self, user: &UserId) -> Option<&Part> {
        self.parts.get(user).filter(|part| part.is_here())
    }

    pub(super) fn live_invites(&self) -> impl Iterator<Item = (&InviteId, &Invite)> {
        self.invites
            .iter()
            .filter(|(_, invite)| invite.state.is_live())
    }

    /// The invitation that the user may answer.
    pub(super) fn live_invite_of(&self, user: &UserId) -> Option<(&InviteId, &Invite)> {
        self.live_invites()
            .find(|(_, invite)| &invite.callee == user)
    }

    /// One call, one answer, one end: not a group or a meeting.
    pub(super) const fn is_pair(&self) -> bool {
        matches!(
            self.kind,
            CallKind::Private | CallKind::Pstn | CallKind::Queue
        )
    }

    /// Whether somebody may end it for all and take people out.
    pub(super) fn is_host(&self, user: &UserId) -> bool {
        self.part(user).is_some_and(|part| {
            &self.initiator == user && part.role != Role::Guest
                || matches!(part.role, Role::Host | Role::AgentMain)
        })
    }

    /// Whether a transfer or a third party is between request and end.
    pub(super) fn transfer_pending(&self) -> bool {
        self.transfer.as_ref().is_some_and(|transfer| {
            matches!(
                transfer.state,
                TransferState::Requested | TransferState::Completing
            )
        })
    }

    pub(super) fn third_present(&self) -> bool {
        self.third
            .as_ref()
            .is_some_and(|third| matches!(third.state, ThirdState::Requested | ThirdState::Joined))
    }

    /// Whether it waits in a queue with nobody rung.
    pub(super) fn waits(&self) -> bool {
        self.queue.is_some() && self.state < CallState::Connecting
    }
}
