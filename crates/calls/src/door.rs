//! What goes into the machine and what comes out.

use std::sync::Arc;

use crate::command::{AdminCommand, Command};
use crate::error::ErrorCode;
use crate::event::{CommandResult, Data, Delivery};
use crate::ids::{CallId, DeviceRef, RecordingId, RequestId, TenantId, UserId};
use crate::media::{MediaAction, MediaEvent};
use crate::model::{Call, Group, UserRecord};
use crate::policy::TenantSettings;
use crate::record::CallRecord;

/// What goes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A device asks for something. The carrier has verified who it is.
    Command {
        /// Who asks.
        from: DeviceRef,
        /// Its name for this request; the same again has no second effect.
        request: RequestId,
        /// What.
        command: Command,
    },
    /// The connection of a device is gone without a goodbye.
    ConnectionLost {
        /// Whose.
        device: DeviceRef,
    },
    /// A sign of life of a device's connection.
    Alive {
        /// Whose.
        device: DeviceRef,
    },
    /// An application server asks for something. The carrier has verified that it may.
    Admin {
        /// Chosen by the caller, comes back in [`Output::AdminResult`].
        request: u64,
        /// About which tenant.
        tenant: TenantId,
        /// What.
        command: AdminCommand,
    },
    /// News of rooms and recorders.
    Media(MediaEvent),
}

/// What comes out, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// An event for a device that is online.
    ToDevice {
        /// Whose.
        device: DeviceRef,
        /// What, with its numbers.
        delivery: Delivery,
    },
    /// The one answer to a command.
    Result {
        /// Who asked.
        device: DeviceRef,
        /// Its name for the request.
        request: RequestId,
        /// Success or not.
        result: CommandResult,
    },
    /// The answer to an application server.
    AdminResult {
        /// Its name for the request.
        request: u64,
        /// Success or not.
        result: Result<AdminData, ErrorCode>,
    },
    /// A device has no business here any more (logged out, turned out, grace over): after what was
    /// sent until now its connection is to be closed.
    Close {
        /// Whose.
        device: DeviceRef,
    },
    /// Something to be done about rooms and recorders.
    Media(MediaAction),
    /// Something to tell the tenant's application server.
    Webhook {
        /// Whose.
        tenant: TenantId,
        /// The tenant's settings when it happened.
        settings: Arc<TenantSettings>,
        /// What.
        event: CallWebhook,
    },
    /// Something to keep.
    Store(StoreAction),
}

/// What a successful admin command brings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AdminData {
    /// Nothing but success.
    #[default]
    None,
    /// The answer that the user's own command would have got.
    Command(Data),
    /// A tenant's settings.
    Tenant(Box<TenantSettings>),
    /// Users as they are kept.
    Users(Vec<UserRecord>),
    /// Groups.
    Groups(Vec<Group>),
    /// Live calls.
    Calls(Vec<Call>),
    /// One call.
    Call(Box<Call>),
    /// Seats.
    Seats(Vec<crate::model::Seat>),
}

/// What application servers are told, with the call as it is then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallWebhook {
    /// What happened.
    pub kind: CallWebhookKind,
    /// The call as it is now.
    pub call: Call,
    /// About whom, where it is about one user.
    pub user: Option<UserId>,
    /// About which recording, where it is about one.
    pub recording: Option<RecordingNews>,
    /// When: milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// What application servers are told of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingNews {
    /// Which.
    pub id: RecordingId,
    /// Its address, or why there is none.
    pub outcome: Result<String, String>,
}

/// What application servers are told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallWebhookKind {
    /// Somebody was rung.
    CallInvited,
    /// Media of two people came up.
    CallStarted,
    /// It is over.
    CallEnded,
    /// Somebody's media came up.
    CallParticipantJoined,
    /// Somebody left.
    CallParticipantLeft,
    /// A recording can be fetched.
    CallRecordingReady,
    /// A recording failed.
    CallRecordingAborted,
}

impl CallWebhookKind {
    /// Stable word, as it stands in the webhook.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::CallInvited => "call_invited",
            Self::CallStarted => "call_started",
            Self::CallEnded => "call_ended",
            Self::CallParticipantJoined => "call_participant_joined",
            Self::CallParticipantLeft => "call_participant_left",
            Self::CallRecordingReady => "call_recording_ready",
            Self::CallRecordingAborted => "call_recording_aborted",
        }
    }
}

/// What the directory is to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreAction {
    /// A tenant's settings.
    PutTenant(TenantId, Box<TenantSettings>),
    /// A tenant and all that is its.
    DeleteTenant(TenantId),
    /// A user.
    PutUser(TenantId, Box<UserRecord>),
    /// A user.
    DeleteUser(TenantId, UserId),
    /// A group.
    PutGroup(TenantId, Group),
    /// A group.
    DeleteGroup(TenantId, crate::ids::GroupId),
    /// A ban, until a time in milliseconds since the Unix epoch (`None`: for good).
    PutBan(TenantId, UserId, Option<u64>),
    /// A ban that is over.
    DeleteBan(TenantId, UserId),
    /// A call that goes on, as its record shall be if the server is lost; each time it differs.
    Begun(Box<CallRecord>),
    /// A call that has ended.
    Record(Box<CallRecord>),
    /// The address of a recording of a call that has ended.
    RecordingUrl(CallId, String),
}
