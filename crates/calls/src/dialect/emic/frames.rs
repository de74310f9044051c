//! Pieces that frames are made of.

use serde_json::{Value, json};

use super::super::frame::{Frame, frame};
use super::codes;
use crate::event::CommandResult;
use crate::ids::{CallId, TenantId};
use crate::media::MediaGrant;
use crate::model::{Group, Person, Seat};

/// A user's number: the extension, or the name where there is none.
pub(super) fn number_of(person: &Person) -> String {
    if person.extension.is_empty() {
        person.user.to_string()
    } else {
        person.extension.clone()
    }
}

pub(super) fn group_data(eid: &TenantId, group: &Group) -> Value {
    json!({ "id": group.id, "eid": eid, "name": group.name })
}

pub(super) fn member(seat: &Seat) -> Value {
    json!({
        "displayName": seat.person.name,
        "number": number_of(&seat.person),
        "uid": seat.person.user,
        "kefuStatus": codes::presence(seat.state),
    })
}

pub(super) fn call_event(word: &str, data: Value) -> Frame {
    frame(json!({ "type": "callEvent", "event": word, "data": data }))
}

pub(super) fn rtc(grant: &MediaGrant) -> Value {
    json!({ "room": grant.room, "token": grant.token })
}

pub(super) fn rtc_frame(call: &CallId, grant: &MediaGrant) -> Frame {
    frame(json!({ "type": "rtcRoom", "ccNumber": call, "rtc": rtc(grant) }))
}

pub(super) fn failure(result: &CommandResult) -> Value {
    let (code, info) = codes::call_failure(result.error);
    json!({ "code": code, "info": info })
}
