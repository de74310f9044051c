//! The dialect of the emic phonebar: a telephone-style seat, and its supervisor.
//!
//! Requests are the phonebar's verbs, events its callbacks `callEvent`, `register`, `statusChanged`,
//! `kickedOffLine` and `repCallStatus`, with its numbers and spellings. A tenant is an enterprise by
//! its main number, a user a seat by its extension, a call a `ccNumber`.

pub mod codes;
pub mod number;

mod events;
mod frames;

use serde_json::{Value, json};

use self::events::{notice, seat_frame};
use self::frames::{call_event, failure, group_data, member, number_of, rtc, rtc_frame};
use super::frame::{Fields, Frame, frame};
use super::notes::Notes;
use super::{Ask, Credential, Dialect, Ticket};
use crate::command::{CallRef, Command, InviteRef, Login, NewCall, SeatWish};
use crate::error::ErrorCode;
use crate::event::{CommandResult, Data, Event, Line};
use crate::ids::{CallId, GroupId, TenantId, UserId};
use crate::model::{CallKind, Group, Media, SeatState, Target, Terminal, UserRecord};
use crate::policy::{NumberCipher, TenantSettings};

/// Seats of one page of `searchEpMembers`, unless the client says how many.
const PAGE_SIZE: u64 = 20;

/// The codec of one device.
#[derive(Debug, Default)]
pub struct Emic {
    me: Option<UserId>,
    eid: Option<TenantId>,
    cipher: NumberCipher,
    calls: Notes<Note>,
}

/// What is known of a call.
#[derive(Debug)]
struct Note {
    /// The other side as this seat may see it: its `n`.
    shown: String,
    stand: Stand,
    /// Where an own call leads.
    line: Line,
    /// An own call's response was told.
    responded: bool,
}

/// How this seat stands to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// It called.
    Calls,
    /// It rings.
    Rings,
    /// It rings, since a colleague transfers to it.
    RingsForTransfer,
    /// It talks.
    Talks,
    /// It listens, unnoticed or joined in.
    Monitors,
}

/// What `getUser` gives of an account: the groups it may log in with, its own data, and the
/// enterprise's extensions, by which the phonebar tells internal numbers from external ones at once.
#[must_use]
pub fn account(
    eid: &TenantId,
    user: &UserRecord,
    groups: &[Group],
    extensions: &[String],
) -> Frame {
    let own = groups
        .iter()
        .filter(|group| user.skill_groups.contains(&group.id));
    frame(json!({
        "inGroups": own.map(|group| group_data(eid, group)).collect::<Vec<_>>(),
        "userData": {
            "displayname": user.person.name,
            "eid": eid,
            "number": number_of(&user.person),
            "uid": user.person.user,
            "supervisor": user.supervisor,
            "extensions": extensions,
        },
    }))
}

/// What `call` returns at once for an internal line.
pub const LINE_INTERNAL: u8 = 3;
/// And for an external one.
pub const LINE_EXTERNAL: u8 = 2;

/// The number that an application has encrypted.
///
/// # Errors
///
/// What came out instead of digits; `call` returns it, and nothing is dialled.
pub fn plain_number(cipher: &NumberCipher, text: &str) -> Result<String, String> {
    match decrypted(cipher, text) {
        number::Decrypted::Number(number) => Ok(number),
        number::Decrypted::Other(other) => Err(other),
    }
}

fn decrypted(cipher: &NumberCipher, text: &str) -> number::Decrypted {
    match cipher {
        NumberCipher::Aes128EcbSha1prng { seed } => number::decrypt(seed, text),
        NumberCipher::None => number::Decrypted::Other(String::new()),
    }
}

impl Dialect for Emic {
    fn set_user(&mut self, user: &UserId) {
        self.me = Some(user.clone());
    }

    fn set_settings(&mut self, settings: &TenantSettings) {
        self.cipher = settings.number_cipher.clone();
    }

    fn ask(&mut self, verb: &str, fields: Fields<'_>) -> Result<(Ask, Frame), ErrorCode> {
        let call = || fields.call("ccNumber").map(CallRef::Id);
        let mut note = Frame::new();
        if let Ok(call) = fields.text("ccNumber") {
            note.insert("ccNumber".into(), json!(call));
        }
        let command = match verb {
            "getUser" => {
                terminal(fields)?;
                let (_, credential) = self.credential(fields)?;
                return Ok((Ask::Account(credential), note));
            }
            "login" => {
                let (eid, credential) = self.credential(fields)?;
                self.eid = Some(eid);
                return Ok((Ask::Login(credential, login(fields)?), note));
            }
            "call" => {
                let command = self.call(fields)?;
                return Ok((Ask::Command(command), note));
            }
            "answerPBXCall" => self.answer_call(fields.call("ccNumber")?),
            "terminate" => self.terminate(fields.call("ccNumber")?),
            "hold" => Command::Hold { call: call()? },
            "unhold" => Command::Unhold { call: call()? },
            "sendDTMF" => Command::Dtmf {
                call: CallRef::Current,
                digit: digit(fields.text("tone")?)?,
            },
            "transferPBXCall" => Command::TransferBlind {
                call: call()?,
                skill_group: group_or_none(fields, "gid")?,
                target: fields.label("transNumber")?,
            },
            "changeStaus" => Command::SetSeat {
                wish: match fields.number("status")? {
                    1 => SeatWish::Ready,
                    2 => SeatWish::Busy,
                    _ => return Err(ErrorCode::Param),
                },
            },
            "getGroups" => Command::ListGroups,
            "searchEpMembers" => list_agents(fields)?,
            "startCallMonitor" => Command::MonStart { call: call()? },
            "stopCallMonitor" => Command::MonStop { call: call()? },
            "joinFromMonitor" => Command::MonBarge { call: call()? },
            "exitJoinMonitor" => Command::MonExitBarge { call: call()? },
            "endCallMonitor" => Command::MonEndCall { call: call()? },
            "terminateCall" => Command::ForceEnd { call: call()? },
            _ => return Err(ErrorCode::Param),
        };
        Ok((Ask::Command(command), note))
    }

    fn answer(&mut self, ticket: &Ticket, result: &CommandResult) -> (Frame, Vec<Frame>) {
        let ok = result.error == ErrorCode::Ok;
        let call = ticket.note.get("ccNumber").and_then(Value::as_str);
        let call = call.and_then(CallId::new);
        let (code, info) = codes::account(result.error);
        let reply = match ticket.verb.as_str() {
            "login" => json!({ "code": code, "info": info, "data": result.detail }),
            "getUser" => json!({ "code": code, "info": info }),
            "call" => return (self.called(result), Vec::new()),
            "answerPBXCall" if ok => return self.answered(call, &result.data),
            "terminate" if ok => {
                let frames = call.map_or_else(Vec::new, |call| self.refused_here(&call));
                return (Frame::new(), frames);
            }
            "getGroups" | "searchEpMembers" => self.listed(result),
            "transferPBXCall" if !ok => json!({
                "result": { "type": "transferCallFaield", "data": failure(result) },
            }),
            "startCallMonitor" | "stopCallMonitor" | "joinFromMonitor" | "exitJoinMonitor"
            | "endCallMonitor" | "terminateCall" => {
                let grant = match &result.data {
                    Data::Grant { grant } => grant.as_ref(),
                    _ => None,
                };
                json!({ "result": u8::from(!ok), "rtc": grant.map(rtc) })
            }
            _ => json!({ "code": if ok { codes::OK } else { code }, "info": info }),
        };
        (frame(reply), Vec::new())
    }

    fn tell(&mut self, event: &Event) -> Vec<Frame> {
        match event {
            Event::Kicked { error } => {
                let (r, info) = codes::kicked(*error);
                vec![frame(
                    json!({ "type": "kickedOffLine", "data": { "r": r, "info": info } }),
                )]
            }
            // A login that turns another one out finds the seat as it is.
            Event::Connected {
                seat: Some(seat), ..
            } => vec![seat_frame(SeatState::Offline, *seat)],
            Event::SeatChanged { agent, old, new } if self.me.as_ref() == Some(agent) => {
                vec![seat_frame(*old, *new)]
            }
            Event::InviteReceived { call, caller, .. } => {
                self.rings(call, number_of(caller), Stand::Rings)
            }
            Event::CallProgress { call, .. } => self.progress(call, event),
            Event::InviteRinging { call, .. } => self.respond(call),
            Event::InviteAccepted { call, .. } => self.peer_answered(call),
            Event::InviteRejected { call, reason, .. } => self.peer_refused(call, *reason),
            Event::InviteTimeout { call, user, .. } => self.timed_out(call, &user.user),
            Event::InviteCanceled { call, .. } | Event::AnsweredElsewhere { call, .. } => {
                self.refused_here(call)
            }
            Event::TransferUpdate { call, .. } => self.transferred(call, event),
            Event::MonitorUpdate { call, state, grant } => {
                self.monitored(call, *state, grant.as_ref())
            }
            Event::MediaReady { call, grant } => vec![rtc_frame(call, grant)],
            Event::CallRecovered { call, grant, .. } => self.recovered(call, grant.as_ref()),
            Event::CallEnded { call, .. } => self.ended(call, event),
            Event::CallNotice { .. } => notice(event),
            _ => Vec::new(),
        }
    }
}

impl Emic {
    fn credential(&self, fields: Fields<'_>) -> Result<(TenantId, Credential), ErrorCode> {
        let eid = TenantId::new(&fields.label("switchnumber")?).ok_or(ErrorCode::TenantNotFound)?;
        let credential = Credential::Password {
            tenant: eid.clone(),
            user: fields.label("un")?,
            password: fields.label("pwd")?,
        };
        Ok((eid, credential))
    }

    fn call(&self, fields: Fields<'_>) -> Result<Command, ErrorCode> {
        let text = fields.label("number")?;
        let (number, shown) = if fields.flag("encrypted").unwrap_or(false) {
            match decrypted(&self.cipher, &text) {
                number::Decrypted::Number(number) => (number, Some(text)),
                number::Decrypted::Other(_) => return Err(ErrorCode::DecryptFailed),
            }
        } else {
            (text, None)
        };
        Ok(Command::CreateCall(NewCall {
            kind: CallKind::Pstn,
            target: Target::Number { number, shown },
            callees: Vec::new(),
            media: Media::Audio,
            channel: String::new(),
            extra: String::new(),
            push: None,
        }))
    }

    fn stand(&self, call: &CallId) -> Option<Stand> {
        self.calls.get(call).map(|note| note.stand)
    }

    fn answer_call(&self, call: CallId) -> Command {
        if self.stand(&call) == Some(Stand::RingsForTransfer) {
            return Command::TransferAccept {
                call: CallRef::Id(call),
            };
        }
        Command::Accept {
            invite: InviteRef::Call(call),
            media: Some(Media::Audio),
            role: None,
        }
    }

    fn terminate(&self, call: CallId) -> Command {
        match self.stand(&call) {
            Some(Stand::RingsForTransfer) => Command::TransferReject {
                call: CallRef::Id(call),
            },
            Some(Stand::Rings) => Command::Reject {
                invite: InviteRef::Call(call),
                reason: None,
            },
            _ => Command::HangUp {
                call: CallRef::Id(call),
            },
        }
    }

    /// The reply to `call`: what follows is told by events; a failure has only this.
    fn called(&mut self, result: &CommandResult) -> Frame {
        let Data::Call { call, grant } = &result.data else {
            let (r, info) = codes::call_failure(result.error);
            return frame(json!({ "r": r, "info": info }));
        };
        let shown = match &call.target {
            Target::Number { number, shown } => shown.as_ref().unwrap_or(number).clone(),
            Target::User { user } => user.to_string(),
            Target::Group { group } | Target::Queue { group } => group.to_string(),
            Target::Room { serial } => serial.clone(),
        };
        if self.calls.get(&call.id).is_none() {
            self.calls
                .insert(call.id.clone(), Note::called(shown, Line::Internal));
        }
        frame(json!({ "r": codes::OK, "ccNumber": call.id, "rtc": grant.as_ref().map(rtc) }))
    }

    fn answered(&mut self, call: Option<CallId>, data: &Data) -> (Frame, Vec<Frame>) {
        let grant = match data {
            Data::Call { grant, .. } | Data::Grant { grant } => grant.as_ref(),
            _ => None,
        };
        let reply = frame(json!({ "code": codes::OK, "rtc": grant.map(rtc) }));
        let Some(call) = call else {
            return (reply, Vec::new());
        };
        let Some(note) = self.calls.get_mut(&call) else {
            return (reply, Vec::new());
        };
        note.stand = Stand::Talks;
        let data = json!({ "a": 200, "c": call, "n": note.shown });
        (reply, vec![call_event("answeredPBXCall", data)])
    }

    fn listed(&self, result: &CommandResult) -> Value {
        let eid = self.eid.as_ref();
        match &result.data {
            Data::Groups { groups } => {
                let skill = groups
                    .iter()
                    .filter(|group| group.kind == crate::model::GroupKind::Skill);
                let groups: Vec<_> = skill
                    .filter_map(|group| Some(group_data(eid?, group)))
                    .collect();
                json!({ "status": codes::OK, "returnData": groups })
            }
            Data::Agents { agents, total } => json!({
                "status": codes::OK,
                "returnData": {
                    "recordsTotal": total,
                    "data": agents.iter().map(member).collect::<Vec<_>>(),
                },
            }),
            _ => {
                let (status, info) = codes::account(result.error);
                json!({ "status": status, "info": info })
            }
        }
    }
}

impl Note {
    const fn called(shown: String, line: Line) -> Self {
        Self {
            shown,
            stand: Stand::Calls,
            line,
            responded: false,
        }
    }

    const fn response(&self) -> &'static str {
        match self.line {
            Line::Internal => "callinResponse",
            Line::External => "calloutResponse",
        }
    }
}

fn login(fields: Fields<'_>) -> Result<Login, ErrorCode> {
    Ok(Login {
        terminal: terminal(fields)?,
        skill_group: group_or_none(fields, "gid")?,
        seat: true,
    })
}

/// What rings: the browser, or a telephone with a number of its own.
fn terminal(fields: Fields<'_>) -> Result<Terminal, ErrorCode> {
    let terminal = match fields.label("callintype").as_deref() {
        Err(_) | Ok("2") => Terminal::Web,
        Ok("4") => Terminal::Callback,
        Ok("5") => Terminal::Sip,
        Ok(_) => return Err(ErrorCode::Param),
    };
    if terminal != Terminal::Web && fields.label("number")?.is_empty() {
        return Err(ErrorCode::Param);
    }
    Ok(terminal)
}

/// A skill group; 0 is none.
fn group_or_none(fields: Fields<'_>, name: &str) -> Result<Option<GroupId>, ErrorCode> {
    match fields.label(name)?.as_str() {
        "" | "0" => Ok(None),
        group => GroupId::new(group).map(Some).ok_or(ErrorCode::Param),
    }
}

/// One tone: the other side cannot take several at once.
fn digit(tone: &str) -> Result<String, ErrorCode> {
    let one = tone.len() == 1;
    let known = tone.chars().all(|tone| "0123456789*#ABCD".contains(tone));
    if one && known {
        Ok(tone.to_owned())
    } else {
        Err(ErrorCode::Param)
    }
}

fn list_agents(fields: Fields<'_>) -> Result<Command, ErrorCode> {
    let size = fields.number("length").unwrap_or(PAGE_SIZE).clamp(1, 1000);
    let page = fields.number("start").unwrap_or(0) / size;
    Ok(Command::ListAgents {
        skill_group: fields.group("searchGid")?,
        page: u32::try_from(page).map_err(|_| ErrorCode::Param)?,
        size: u32::try_from(size).map_err(|_| ErrorCode::Param)?,
    })
}

#[cfg(test)]
mod tests;
