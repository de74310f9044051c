//! What is kept of a call after its end: one row per call, for reports and bills.

use serde::{Deserialize, Serialize};

use crate::ids::{CallId, GroupId, TenantId, UserId};
use crate::model::{CallKind, Media};
use crate::reason::EndReason;

/// A call that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
    /// Which.
    pub call: CallId,
    /// Whose.
    pub tenant: TenantId,
    /// What kind.
    pub kind: CallKind,
    /// What it carried at the end.
    pub media: Media,
    /// Who made it.
    pub caller: UserId,
    /// Where it went, as text: user, group, number or serial.
    pub target: String,
    /// The skill group that took it.
    pub group: Option<GroupId>,
    /// Everyone who was in it, hidden people left out.
    pub members: Vec<UserId>,
    /// Milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// 0: media of two people was never up.
    pub begin_ms: u64,
    /// See `created_ms`. Of a call that was lost with its server: when that was found.
    pub end_ms: u64,
    /// From `begin_ms` to `end_ms`; 0 when it never began, or was lost with its server: nobody knows then.
    pub duration_ms: u64,
    /// Why it ended.
    pub reason: EndReason,
    /// Who ended it.
    pub ended_by: Option<UserId>,
    /// Addresses of recordings.
    pub recordings: Vec<String>,
}
