//! The dialect of snk-rt-video-pc: the agent's end of a video contact centre.
//!
//! Its carrier is not a WebSocket: events go by server-sent events (`sseServerUrl`), commands come by
//! HTTP (`videoServiceUrl`, one path per verb) and the seat's state by another (`stateServiceUrl`). The
//! frames are the same: an event is `{"type": <VideoEventType>, "data": {sid, msgType, msg, ...}}`, a
//! command's answer `{"code", "msg"}`. What is for the façade alone has a type in lower case.

pub mod codes;

use serde_json::{Value, json};

use super::frame::{Fields, Frame, frame};
use super::notes::Notes;
use super::{Ask, Credential, Dialect, Ticket};
use crate::command::{CallRef, Command, InviteRef, Login, SeatWish, SnapshotSource};
use crate::error::ErrorCode;
use crate::event::{CommandResult, Data, Event};
use crate::ids::{CallId, TenantId, UserId};
use crate::media::MediaGrant;
use crate::model::{CallState, Media, Person, SeatState, Terminal, ThirdState, TransferState};
use codes::{Control, Pending};

/// The codec of one device.
#[derive(Debug, Default)]
pub struct Snk {
    me: Option<UserId>,
    calls: Notes<Note>,
}

/// What is known of a session.
#[derive(Clone, Copy, Debug, Default)]
struct Note {
    /// In the call, not only asked or rung.
    talks: bool,
    /// As third party.
    third: bool,
    /// What this agent has asked a colleague.
    pending: Option<Pending>,
}

impl Dialect for Snk {
    fn set_user(&mut self, user: &UserId) {
        self.me = Some(user.clone());
    }

    fn ask(&mut self, verb: &str, fields: Fields<'_>) -> Result<(Ask, Frame), ErrorCode> {
        let call = || fields.call("sid").map(CallRef::Id);
        let newer = || fields.user("newer");
        let command = match verb {
            "login" => return Ok((Ask::Login(credential(fields)?, login()), Frame::new())),
            "rest" => Command::SetSeat {
                wish: SeatWish::Rest,
            },
            "back" => Command::SetSeat {
                wish: SeatWish::Ready,
            },
            "answer" => Command::Accept {
                invite: InviteRef::Call(fields.call("sid")?),
                media: Some(Media::Video),
                role: None,
            },
            "refuse" => self.refuse(fields.call("sid")?)?,
            "hangUp" => self.hang_up(fields.call("sid")?)?,
            "snapshot" => Command::Snapshot {
                call: CallRef::Current,
                source: match fields.text("kind") {
                    Ok("pusher") => SnapshotSource::Pusher,
                    Ok("player") | Err(_) => SnapshotSource::Player,
                    Ok(_) => return Err(ErrorCode::Param),
                },
                url: None,
            },
            "askChangePerson" => Command::TransferAsk {
                call: call()?,
                target: newer()?,
            },
            "cancelChangePerson" => Command::TransferCancel {
                call: call()?,
                target: newer().ok(),
            },
            "acceptChangePerson" => Command::TransferAccept { call: call()? },
            "refuseChangePerson" => Command::TransferReject { call: call()? },
            "askAddPerson" => Command::ThirdAsk {
                call: call()?,
                target: newer()?,
            },
            "cancelAddPerson" => Command::ThirdCancel {
                call: call()?,
                target: newer().ok(),
            },
            "removeAddPerson" => Command::ThirdRemove {
                call: call()?,
                target: newer().ok(),
            },
            "acceptAddPerson" => Command::ThirdAccept { call: call()? },
            "refuseAddPerson" => Command::ThirdReject { call: call()? },
            "quitAddPerson" => Command::ThirdQuit { call: call()? },
            _ => return Err(ErrorCode::Param),
        };
        let mut note = Frame::new();
        if let Ok(sid) = fields.text("sid") {
            note.insert("sid".into(), json!(sid));
        }
        Ok((Ask::Command(command), note))
    }

    fn answer(&mut self, ticket: &Ticket, result: &CommandResult) -> (Frame, Vec<Frame>) {
        let sid = ticket.note.get("sid").and_then(Value::as_str);
        let sid = sid.and_then(CallId::new);
        let pending = sid.as_ref().and_then(|sid| self.calls.get(sid)?.pending);
        let (code, msg) = codes::back(result.error, pending);
        let mut reply = frame(json!({ "code": code, "msg": msg }));
        if let Some(sid) = &sid {
            reply.insert("sid".into(), json!(sid));
        }
        if result.error == ErrorCode::Ok {
            self.note_success(&ticket.verb, sid.as_ref());
            if let Data::Call { grant, .. } | Data::Grant { grant } = &result.data {
                reply.insert("rtc".into(), json!(grant.as_ref().map(rtc)));
            }
        }
        // Commands come by HTTP: what is to be told with the answer goes with it.
        if let (Some(sid), "acceptChangePerson", ErrorCode::Ok) =
            (&sid, ticket.verb.as_str(), result.error)
        {
            let resources = event_frame(Control::StaffChangeLiveSrc, sid, json!({}));
            reply.insert("events".into(), json!([resources]));
        }
        (reply, Vec::new())
    }

    fn tell(&mut self, event: &Event) -> Vec<Frame> {
        match event {
            Event::Kicked { error } | Event::Error { error, .. } => {
                vec![frame(json!({
                    "type": "error",
                    "code": error.code(),
                    "message": error.meaning(),
                    "fatal": matches!(event, Event::Kicked { .. }),
                }))]
            }
            // A second page of an agent finds the seat as it is.
            Event::Connected {
                seat: Some(seat), ..
            } => vec![state_frame(*seat)],
            Event::SeatChanged { agent, new, .. } if self.is_me(agent) => vec![state_frame(*new)],
            Event::InviteReceived {
                call,
                caller,
                extra,
                ..
            } => self.rung(call, caller, extra),
            Event::InviteCanceled { call, user, .. } if self.is_me(&user.user) => {
                self.rings_no_more(call, Control::UserInterrupt)
            }
            Event::InviteTimeout { call, user, .. } if self.is_me(&user.user) => {
                self.rings_no_more(call, Control::AutoEndSession)
            }
            Event::AnsweredElsewhere { call, .. } => {
                self.rings_no_more(call, Control::AutoEndSession)
            }
            Event::MediaReady { call, grant } => vec![rtc_frame(call, grant)],
            Event::CallRecovered { .. } => self.recovered(event),
            Event::TransferUpdate { .. } => self.transfer(event),
            Event::ThirdUpdate { .. } => self.third(event),
            Event::RecReady {
                call,
                url,
                start_ms,
                end_ms,
                ..
            } => vec![event_frame(
                Control::VideoRecSrc,
                call,
                json!({
                    "url": url,
                    "startTime": start_ms,
                    "endTime": end_ms,
                    "duration": end_ms.saturating_sub(*start_ms),
                }),
            )],
            Event::SnapshotReady {
                call,
                source: SnapshotSource::User,
                user,
                url,
            } => vec![event_frame(
                Control::ImgSrc,
                call,
                json!({ "url": url, "account": user }),
            )],
            Event::CallEnded { call, .. } => self.ended(call, event),
            _ => Vec::new(),
        }
    }
}

impl Snk {
    fn is_me(&self, user: &UserId) -> bool {
        self.me.as_ref() == Some(user)
    }

    /// `refuse` is for calls that ring, `hangUp` for those that were answered.
    fn refuse(&self, call: CallId) -> Result<Command, ErrorCode> {
        if self.calls.get(&call).is_some_and(|note| note.talks) {
            return Err(ErrorCode::State);
        }
        Ok(Command::Reject {
            invite: InviteRef::Call(call),
            reason: None,
        })
    }

    fn hang_up(&self, call: CallId) -> Result<Command, ErrorCode> {
        if self.calls.get(&call).is_some_and(|note| !note.talks) {
            return Err(ErrorCode::State);
        }
        Ok(Command::HangUp {
            call: CallRef::Id(call),
        })
    }

    fn note_success(&mut self, verb: &str, sid: Option<&CallId>) {
        let Some(sid) = sid else { return };
        if matches!(verb, "refuse" | "refuseChangePerson" | "refuseAddPerson") {
            self.calls.remove(sid);
            return;
        }
        let Some(note) = self.calls.get_mut(sid) else {
            return;
        };
        match verb {
            "answer" | "acceptChangePerson" => note.talks = true,
            "acceptAddPerson" => {
                note.talks = true;
                note.third = true;
            }
            "askChangePerson" | "askAddPerson" => note.pending = Some(Pending::Asked),
            "cancelChangePerson" | "cancelAddPerson" | "removeAddPerson" => note.pending = None,
            _ => {}
        }
    }

    fn rung(&mut self, call: &CallId, caller: &Person, extra: &str) -> Vec<Frame> {
        self.calls.insert(call.clone(), Note::default());
        vec![event_frame(
            Control::IncomingCall,
            call,
            json!({
                "account": caller.user,
                "name": caller.name,
                "extra": extra,
            }),
        )]
    }

    fn rings_no_more(&mut self, call: &CallId, why: Control) -> Vec<Frame> {
        if self.calls.get(call).is_none_or(|note| note.talks) {
            return Vec::new();
        }
        self.calls.remove(call);
        vec![event_frame(why, call, json!({ "answered": false }))]
    }

    fn recovered(&mut self, event: &Event) -> Vec<Frame> {
        let Event::CallRecovered { call, state, grant } = event else {
            return Vec::new();
        };
        let talks = matches!(state, CallState::Connecting | CallState::Active)
            && call
                .participants
                .iter()
                .any(|each| self.is_me(&each.person.user));
        if self.calls.get(&call.id).is_none() {
            self.calls.insert(
                call.id.clone(),
                Note {
                    talks,
                    ..Note::default()
                },
            );
        }
        vec![frame(json!({
            "type": "RECOVERY_CALL",
            "data": {
                "sid": call.id,
                "msgType": Control::IncomingCall.number(),
                "msg": Control::IncomingCall.text(),
                "answered": talks,
                "rtc": grant.as_ref().map(rtc),
            },
        }))]
    }

    fn transfer(&mut self, event: &Event) -> Vec<Frame> {
        let Event::TransferUpdate {
            call,
            state,
            by,
            target,
            ..
        } = event
        else {
            return Vec::new();
        };
        if self.is_me(&target.user) {
            return match state {
                TransferState::Requested => {
                    self.calls.insert(call.clone(), Note::default());
                    vec![asked(Control::StaffChangeAsk, call, by)]
                }
                // The answer to its acceptance has said it.
                TransferState::Completing | TransferState::Completed | TransferState::Rejected => {
                    Vec::new()
                }
                TransferState::Canceled | TransferState::TimedOut | TransferState::Failed => {
                    self.calls.remove(call);
                    vec![asked(Control::StaffChangeCancel, call, by)]
                }
            };
        }
        if !self.is_me(&by.user) {
            return Vec::new();
        }
        let before = self.set_pending(
            call,
            match state {
                TransferState::Requested => Some(Pending::Asked),
                TransferState::Completing => Some(Pending::Running),
                _ => None,
            },
        );
        match state {
            TransferState::Completing => vec![asked(Control::StaffChangeAccept, call, target)],
            // Told when it was accepted.
            TransferState::Completed if before == Some(Pending::Running) => Vec::new(),
            TransferState::Completed => vec![asked(Control::StaffChangeAccept, call, target)],
            TransferState::Rejected => vec![asked(Control::StaffChangeReject, call, target)],
            TransferState::TimedOut => {
                vec![because("timeout", Control::StaffChangeReject, call, target)]
            }
            TransferState::Failed => {
                vec![because("failed", Control::StaffChangeReject, call, target)]
            }
            TransferState::Requested | TransferState::Canceled => Vec::new(),
        }
    }

    fn third(&mut self, event: &Event) -> Vec<Frame> {
        let Event::ThirdUpdate {
            call,
            state,
            by,
            target,
            grant,
        } = event
        else {
            return Vec::new();
        };
        let resources = event_frame(
            Control::ParticipatorLiveSrc,
            call,
            json!({ "newer": target.user, "rtc": grant.as_ref().map(rtc) }),
        );
        if self.is_me(&target.user) {
            return match state {
                ThirdState::Requested => {
                    self.calls.insert(call.clone(), Note::default());
                    vec![asked(Control::AddParticipatorAsk, call, by)]
                }
                ThirdState::Joined => vec![resources],
                ThirdState::Removed => {
                    self.calls.remove(call);
                    vec![asked(Control::AddParticipatorDel, call, by)]
                }
                ThirdState::Canceled | ThirdState::TimedOut | ThirdState::Failed => {
                    self.calls.remove(call);
                    vec![asked(Control::AddParticipatorCancel, call, by)]
                }
                ThirdState::Rejected | ThirdState::Quit => Vec::new(),
            };
        }
        if !self.is_me(&by.user) {
            return match state {
                ThirdState::Joined => vec![resources],
                _ => Vec::new(),
            };
        }
        self.set_pending(
            call,
            match state {
                ThirdState::Requested => Some(Pending::Asked),
                ThirdState::Joined => Some(Pending::Running),
                _ => None,
            },
        );
        match state {
            ThirdState::Joined => vec![
                asked(Control::AddParticipatorAccept, call, target),
                resources,
            ],
            ThirdState::Rejected => vec![asked(Control::AddParticipatorReject, call, target)],
            ThirdState::TimedOut => vec![because(
                "timeout",
                Control::AddParticipatorReject,
                call,
                target,
            )],
            ThirdState::Quit | ThirdState::Failed => {
                vec![asked(Control::AddParticipatorDel, call, target)]
            }
            ThirdState::Requested | ThirdState::Canceled | ThirdState::Removed => Vec::new(),
        }
    }

    fn set_pending(&mut self, call: &CallId, pending: Option<Pending>) -> Option<Pending> {
        let note = self.calls.get_mut(call)?;
        std::mem::replace(&mut note.pending, pending)
    }

    fn ended(&mut self, call: &CallId, event: &Event) -> Vec<Frame> {
        let Event::CallEnded {
            reason,
            actor,
            answered,
            ..
        } = event
        else {
            return Vec::new();
        };
        if self.calls.remove(call).is_none() {
            return Vec::new();
        }
        let by = actor.as_ref().map(|actor| actor.role);
        let frame = |control| event_frame(control, call, json!({ "answered": answered }));
        codes::hang_up(*reason, by).map(frame).into_iter().collect()
    }
}

/// By the token of the connection; without one, by name alone, which carriers take only from networks
/// that the operator trusts.
fn credential(fields: Fields<'_>) -> Result<Credential, ErrorCode> {
    if fields.text("token").is_ok_and(|token| !token.is_empty()) {
        return Ok(Credential::Token);
    }
    Ok(Credential::Named {
        tenant: TenantId::new(fields.text("systemCode")?).ok_or(ErrorCode::TenantNotFound)?,
        user: fields.user("account")?,
    })
}

fn login() -> Login {
    Login {
        terminal: Terminal::Web,
        skill_group: None,
        seat: true,
    }
}

fn state_frame(seat: SeatState) -> Frame {
    frame(json!({
        "type": "STATE_CHANGE",
        "data": { "state": codes::state(seat) },
    }))
}

fn event_frame(control: Control, call: &CallId, more: Value) -> Frame {
    let mut data = frame(json!({
        "sid": call,
        "msgType": control.number(),
        "msg": control.text(),
    }));
    data.extend(frame(more));
    frame(json!({ "type": control.event(), "data": data }))
}

/// What a colleague asked or answered; `newer` names the colleague.
fn asked(control: Control, call: &CallId, colleague: &Person) -> Frame {
    event_frame(
        control,
        call,
        json!({ "newer": colleague.user, "name": colleague.name }),
    )
}

/// The same with another text than the code's own.
fn because(why: &str, control: Control, call: &CallId, colleague: &Person) -> Frame {
    event_frame(
        control,
        call,
        json!({ "newer": colleague.user, "msg": why }),
    )
}

fn rtc(grant: &MediaGrant) -> Value {
    json!({ "room": grant.room, "token": grant.token })
}

fn rtc_frame(call: &CallId, grant: &MediaGrant) -> Frame {
    frame(json!({ "type": "rtcRoom", "data": { "sid": call, "rtc": rtc(grant) } }))
}

#[cfg(test)]
mod tests;
