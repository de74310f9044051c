//! The dialect of RongCloud CallLib Web 5.x: one-to-one and group calls.
//!
//! Requests are the verbs of `RCCallClient` and `RCCallSession`, events the callbacks of
//! `ISessionListener` and of the client, with CallLib's numbers and seen from this end: the façade
//! only calls the listener.

pub mod codes;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::frame::{Fields, Frame, frame};
use super::notes::Notes;
use super::{Ask, Credential, Dialect, Ticket};
use crate::command::{CallRef, Command, InviteRef, Login, NewCall};
use crate::error::ErrorCode;
use crate::event::{CommandResult, Data, Event, MissedInvite};
use crate::ids::{CallId, UserId};
use crate::media::MediaGrant;
use crate::model::{Actor, Call, CallKind, PartState, Person, Target, TrackKind};
use crate::reason::EndReason;

/// Most hang-ups that are remembered of one call.
const HUNG_UP_MAX: usize = 256;

/// The codec of one device.
#[derive(Debug, Default)]
pub struct Rong {
    me: Option<UserId>,
    calls: Notes<Note>,
}

/// What is known of a call that the application sees as a session.
#[derive(Debug)]
struct Note {
    kind: CallKind,
    /// Who called us; `None`: we did.
    caller: Option<Person>,
    /// Answered, or our own: no longer an invitation that rings here.
    joined: bool,
    /// The application was told that it is over.
    closed: bool,
    /// Of whom it was told that they hung up: once each.
    hung_up: BTreeSet<UserId>,
}

impl Dialect for Rong {
    fn set_user(&mut self, user: &UserId) {
        self.me = Some(user.clone());
    }

    fn ask(&mut self, verb: &str, fields: Fields<'_>) -> Result<(Ask, Frame), ErrorCode> {
        let command = match verb {
            "login" => return Ok((Ask::Login(Credential::Token, login()), Frame::new())),
            "call" => self.call(fields)?,
            "callInGroup" => Command::CreateCall(NewCall {
                kind: CallKind::Group,
                target: Target::Group {
                    group: fields.group("targetId")?,
                },
                callees: fields.users("userIds")?,
                ..new_call(fields)?
            }),
            "invite" => Command::Invite {
                call: call_ref(fields)?,
                callees: fields.users("userIds")?,
                extra: fields.text_or_empty("extra"),
                push: Some(fields.push()),
            },
            "ringing" => Command::Ringing {
                invite: InviteRef::Call(fields.call("sessionId")?),
            },
            "accept" => Command::Accept {
                invite: InviteRef::Call(fields.call("sessionId")?),
                media: None,
                role: None,
            },
            "hungup" => self.hang_up(fields)?,
            "descendAbility" => Command::Downgrade {
                call: call_ref(fields)?,
            },
            "muteChange" => Command::Mute {
                call: call_ref(fields)?,
                kind: track_kind(fields.text("kind")?)?,
                muted: fields.flag("muted")?,
            },
            "setPushConfig" => Command::SetPush {
                call: fields.within("callPushConfig").map(Fields::push_config),
                hang_up: fields.within("hungupPushConfig").map(Fields::push_config),
            },
            "registerUserInfo" => Command::SetProfile {
                name: fields.text("name").ok().map(str::to_owned),
                portrait_uri: fields.text("portraitUri").ok().map(str::to_owned),
                extra: fields.text("extra").ok().map(str::to_owned),
            },
            _ => return Err(ErrorCode::Param),
        };
        let mut note = Frame::new();
        if let Ok(session) = fields.text("sessionId") {
            note.insert("sessionId".into(), json!(session));
        }
        Ok((Ask::Command(command), note))
    }

    fn answer(&mut self, ticket: &Ticket, result: &CommandResult) -> (Frame, Vec<Frame>) {
        let reply = match ticket.verb.as_str() {
            "login" => frame(json!({
                "code": codes::connect_status(result.error),
                "userId": self.me,
            })),
            "call" | "callInGroup" if result.error == ErrorCode::Ok => self.made(&result.data),
            "accept" if result.error == ErrorCode::Ok => self.accepted(ticket, &result.data),
            _ => frame(json!({ "code": codes::status(result.error) })),
        };
        (reply, Vec::new())
    }

    fn tell(&mut self, event: &Event) -> Vec<Frame> {
        match event {
            Event::Kicked { error } => vec![frame(json!({
                "type": "kicked",
                "code": codes::connect_status(*error),
            }))],
            Event::OfflineInvites { records } => records.iter().map(offline_record).collect(),
            Event::InviteReceived { call, .. } => self.rung(call, event),
            Event::InviteRinging { call, user, .. } => self.about(call, user, "onRinging"),
            Event::InviteAccepted { call, user, .. } => self.about(call, user, "onAccept"),
            Event::InviteRejected {
                call, user, reason, ..
            } => self.refused(call, user, *reason),
            Event::InviteCanceled {
                call, user, reason, ..
            } => self.withdrawn(call, user, *reason),
            Event::InviteTimeout { call, user, .. } => {
                self.refused(call, user, EndReason::NoAnswer)
            }
            Event::AnsweredElsewhere { call, accepted, .. } => {
                let reason = if *accepted {
                    EndReason::AcceptedElsewhere
                } else {
                    EndReason::HungUpElsewhere
                };
                self.closed_here(call, reason, true)
            }
            Event::InviteeAdded { call, by, users } => self.members_modified(call, by, users),
            Event::ParticipantLeft {
                call,
                participant,
                reason,
                ..
            } => self.left(call, &participant.person, *reason),
            Event::MediaModeChanged { call, by, media } if !self.is_me(&by.user) => {
                self.of(call, || {
                    json!({
                        "type": "onMediaModify",
                        "sender": sender(by),
                        "mediaType": codes::media_type(*media),
                    })
                })
            }
            Event::MuteChanged {
                call,
                user,
                kind,
                muted,
            } if !self.is_me(user) => self.muted(call, user, *kind, *muted),
            Event::MediaReady { call, grant } => self.room(call, grant),
            Event::CallRecovered { call, grant, .. } => self.recovered(call, grant.as_ref()),
            Event::CallEnded { call, .. } => self.ended(call, event),
            _ => Vec::new(),
        }
    }
}

impl Rong {
    fn is_me(&self, user: &UserId) -> bool {
        self.me.as_ref() == Some(user)
    }

    fn call(&self, fields: Fields<'_>) -> Result<Command, ErrorCode> {
        let user = fields.user("targetId")?;
        if self.is_me(&user) {
            return Err(ErrorCode::SelfTarget);
        }
        Ok(Command::CreateCall(NewCall {
            kind: CallKind::Private,
            target: Target::User { user },
            ..new_call(fields)?
        }))
    }

    /// Hangs up, refuses or withdraws; with a reason: since something of our own failed.
    fn hang_up(&self, fields: Fields<'_>) -> Result<Command, ErrorCode> {
        let call = fields.call("sessionId")?;
        let failure = fields.number("reason").ok().and_then(codes::own_failure);
        let rings = self.calls.get(&call).is_some_and(|note| !note.joined);
        Ok(match failure {
            Some((reason, _)) if rings => Command::Reject {
                invite: InviteRef::Call(call),
                reason: Some(reason),
            },
            Some((_, error)) => Command::ReportFault {
                call: CallRef::Id(call),
                error,
                detail: String::new(),
            },
            None => Command::HangUp {
                call: CallRef::Id(call),
            },
        })
    }

    /// The reply to a call that was made.
    fn made(&mut self, data: &Data) -> Frame {
        let Data::Call { call, grant } = data else {
            return frame(json!({ "code": codes::status(ErrorCode::ServerInternal) }));
        };
        self.calls.insert(
            call.id.clone(),
            Note {
                kind: call.kind,
                caller: None,
                joined: true,
                closed: false,
                hung_up: BTreeSet::new(),
            },
        );
        frame(json!({
            "code": codes::SUCCESS,
            "session": self.description(call),
            "rtc": grant.as_ref().map(rtc),
        }))
    }

    fn accepted(&mut self, ticket: &Ticket, data: &Data) -> Frame {
        let session = ticket.note.get("sessionId").and_then(Value::as_str);
        let call = session.and_then(CallId::new);
        if let Some(note) = call.and_then(|call| self.calls.get_mut(&call)) {
            note.joined = true;
        }
        let grant = match data {
            Data::Call { grant, .. } | Data::Grant { grant } => grant.as_ref(),
            _ => None,
        };
        frame(json!({ "code": codes::SUCCESS, "rtc": grant.map(rtc) }))
    }

    /// A call as a session is described to the façade.
    fn description(&self, call: &Call) -> Value {
        let mut users: Vec<Value> = call
            .participants
            .iter()
            .filter(|each| each.state != PartState::Left)
            .map(|each| user(&each.person, 2, each.person.user == call.initiator.user))
            .collect();
        let rung = call.invites.iter().filter(|each| each.state.is_live());
        users.extend(rung.map(|each| user(&each.callee, 1, false)));
        json!({
            "sessionId": call.id,
            "rtcSessionId": call.id,
            "conversationType": codes::conversation_type(call.kind),
            "targetId": self.target(&call.target, Some(&call.initiator)),
            "channelId": call.channel,
            "mediaType": codes::media_type(call.media),
            "users": users,
        })
    }

    /// The other user, or the group.
    fn target(&self, target: &Target, caller: Option<&Person>) -> String {
        match target {
            Target::User { user } => {
                let caller = caller.filter(|_| self.is_me(user));
                caller.map_or(user, |caller| &caller.user).to_string()
            }
            Target::Group { group } | Target::Queue { group } => group.to_string(),
            Target::Number { number, shown } => shown.as_ref().unwrap_or(number).clone(),
            Target::Room { serial } => serial.clone(),
        }
    }

    fn rung(&mut self, call: &CallId, event: &Event) -> Vec<Frame> {
        let Event::InviteReceived {
            kind,
            target,
            channel,
            media,
            extra,
            caller,
            members,
            ..
        } = event
        else {
            return Vec::new();
        };
        if self.calls.get(call).is_some_and(|note| !note.closed) {
            return Vec::new(); // replayed
        }
        self.calls.insert(
            call.clone(),
            Note {
                kind: *kind,
                caller: Some(caller.clone()),
                joined: false,
                closed: false,
                hung_up: BTreeSet::new(),
            },
        );
        let mut users = vec![user(caller, 2, true)];
        let others = members
            .iter()
            .filter(|each| each.user != caller.user && !self.is_me(&each.user));
        users.extend(others.map(|each| user(each, 1, false)));
        vec![frame(json!({
            "type": "onSession",
            "extra": extra,
            "session": {
                "sessionId": call,
                "rtcSessionId": call,
                "conversationType": codes::conversation_type(*kind),
                "targetId": self.target(target, Some(caller)),
                "channelId": channel,
                "mediaType": codes::media_type(*media),
                "users": users,
            },
        }))]
    }

    /// A frame about a session that the application sees; nothing about others.
    fn of(&self, call: &CallId, body: impl FnOnce() -> Value) -> Vec<Frame> {
        if self.calls.get(call).is_none_or(|note| note.closed) {
            return Vec::new();
        }
        let mut frame = frame(body());
        frame.insert("sessionId".into(), json!(call));
        vec![frame]
    }

    fn about(&mut self, call: &CallId, who: &Person, word: &str) -> Vec<Frame> {
        if self.is_me(&who.user) {
            return Vec::new();
        }
        if let Some(note) = self.calls.get_mut(call) {
            note.hung_up.remove(&who.user); // invited again
        }
        self.of(call, || json!({ "type": word, "sender": sender(who) }))
    }

    /// An invitation that its callee ended: refused, busy, not answered.
    fn refused(&mut self, call: &CallId, who: &Person, reason: EndReason) -> Vec<Frame> {
        if self.is_me(&who.user) {
            return self.closed_here(call, reason, true);
        }
        self.hung_up(call, who, reason)
    }

    /// An invitation that its inviter ended.
    fn withdrawn(&mut self, call: &CallId, who: &Person, reason: EndReason) -> Vec<Frame> {
        if !self.is_me(&who.user) {
            return self.hung_up(call, who, reason);
        }
        let caller = self.calls.get(call).and_then(|note| note.caller.clone());
        let mut frames = caller.map_or_else(Vec::new, |caller| self.hung_up(call, &caller, reason));
        frames.extend(self.closed_here(call, reason, false));
        frames
    }

    fn left(&mut self, call: &CallId, who: &Person, reason: EndReason) -> Vec<Frame> {
        // One who was replaced has not hung up: the replacement is heard instead.
        if self.is_me(&who.user) || reason == EndReason::Transferred {
            return Vec::new();
        }
        self.hung_up(call, who, reason)
    }

    /// Somebody else ended its part: told once.
    fn hung_up(&mut self, call: &CallId, who: &Person, reason: EndReason) -> Vec<Frame> {
        let fresh = self.calls.get_mut(call).is_some_and(|note| {
            note.hung_up.len() < HUNG_UP_MAX && note.hung_up.insert(who.user.clone())
        });
        if !fresh {
            return Vec::new();
        }
        self.of(call, || {
            json!({
                "type": "onHungup",
                "sender": sender(who),
                "reason": codes::end_reason(reason, false),
            })
        })
    }

    /// The end of what only rings here: `CallEnded` will follow with the summary, unless the call
    /// goes on without us.
    fn closed_here(&mut self, call: &CallId, reason: EndReason, own: bool) -> Vec<Frame> {
        if self.calls.get(call).is_none_or(|note| note.joined) {
            return Vec::new();
        }
        let frames = self.of(call, || {
            json!({
                "type": "onSessionClose",
                "reason": codes::end_reason(reason, own),
            })
        });
        if let Some(note) = self.calls.get_mut(call) {
            note.closed = true;
        }
        frames
    }

    fn members_modified(&mut self, call: &CallId, by: &Person, users: &[Person]) -> Vec<Frame> {
        if let Some(note) = self.calls.get_mut(call) {
            for each in users {
                note.hung_up.remove(&each.user);
            }
        }
        if self.is_me(&by.user) {
            return Vec::new();
        }
        self.of(call, || {
            json!({
                "type": "onMemberModify",
                "sender": sender(by),
                "invitedUsers": users.iter().map(sender).collect::<Vec<_>>(),
            })
        })
    }

    fn muted(&self, call: &CallId, user: &UserId, kind: TrackKind, muted: bool) -> Vec<Frame> {
        let (word, kind) = match kind {
            TrackKind::Audio => ("onAudioMuteChange", "audio"),
            TrackKind::Video => ("onVideoMuteChange", "video"),
            TrackKind::Screen => return Vec::new(),
        };
        self.of(call, || {
            json!({
                "type": word,
                "muteUser": { "userId": user, "muted": muted, "kind": kind },
            })
        })
    }

    fn room(&self, call: &CallId, grant: &MediaGrant) -> Vec<Frame> {
        self.of(call, || json!({ "type": "rtcRoom", "rtc": rtc(grant) }))
    }

    /// Back after a loss. A page that knows nothing of the call cannot go on with it: it is told, so
    /// that the façade ends it.
    fn recovered(&mut self, call: &Call, grant: Option<&MediaGrant>) -> Vec<Frame> {
        if self.calls.get(&call.id).is_some() {
            return grant.map_or_else(Vec::new, |grant| self.room(&call.id, grant));
        }
        vec![frame(json!({ "type": "recovered", "sessionId": call.id }))]
    }

    fn ended(&mut self, call: &CallId, event: &Event) -> Vec<Frame> {
        let Event::CallEnded {
            kind,
            target,
            channel,
            media,
            reason,
            actor,
            begin_ms,
            end_ms,
            duration_ms,
            ..
        } = event
        else {
            return Vec::new();
        };
        let Some(note) = self.calls.get(call) else {
            return Vec::new();
        };
        let own = self.is_own(note, *reason, actor.as_ref());
        let caller = note.caller.clone();
        let other = actor.as_ref().filter(|actor| !self.is_me(&actor.user));
        let mut frames = Vec::new();
        // The last one to go may be told of by the end alone.
        if let (Some(other), CallKind::Private) = (other, note.kind) {
            let who = bare(&other.user);
            frames = self.hung_up(call, &who, *reason);
        }
        frames.extend(self.of(call, || {
            json!({
                "type": "onSessionClose",
                "summaryInfo": {
                    "conversationType": codes::conversation_type(*kind),
                    "channelId": channel,
                    "targetId": self.target(target, caller.as_ref()),
                    "mediaType": codes::media_type(*media),
                    "beginTimestamp": begin_ms,
                    "endTimestamp": end_ms,
                    "duration": duration_ms,
                    "endReason": codes::end_reason(*reason, own),
                },
            })
        }));
        self.calls.remove(call);
        frames
    }

    /// Whether this side caused the end.
    fn is_own(&self, note: &Note, reason: EndReason, actor: Option<&Actor>) -> bool {
        match actor {
            Some(actor) => self.is_me(&actor.user),
            None => match reason {
                // What the callee did or failed to do.
                EndReason::NoAnswer
                | EndReason::Busy
                | EndReason::Reject
                | EndReason::NotReached => note.caller.is_some(),
                EndReason::Cancel => note.caller.is_none(),
                EndReason::HangUp | EndReason::EmptyRoom | EndReason::SupervisorEnd => false,
                _ => true,
            },
        }
    }
}

fn login() -> Login {
    Login {
        terminal: crate::model::Terminal::Web,
        skill_group: None,
        seat: false,
    }
}

/// What both kinds of calls say alike.
fn new_call(fields: Fields<'_>) -> Result<NewCall, ErrorCode> {
    Ok(NewCall {
        kind: CallKind::Private,
        target: Target::Room {
            serial: String::new(),
        },
        callees: Vec::new(),
        media: codes::media(fields.number("mediaType")?).ok_or(ErrorCode::Param)?,
        channel: fields.text_or_empty("channelId"),
        extra: fields.text_or_empty("extra"),
        push: Some(fields.push()),
    })
}

fn call_ref(fields: Fields<'_>) -> Result<CallRef, ErrorCode> {
    fields.call("sessionId").map(CallRef::Id)
}

fn track_kind(word: &str) -> Result<TrackKind, ErrorCode> {
    match word {
        "audio" => Ok(TrackKind::Audio),
        "video" => Ok(TrackKind::Video),
        _ => Err(ErrorCode::Param),
    }
}

/// `ISenderInfo`: what is empty is missing.
fn sender(person: &Person) -> Value {
    let mut info = frame(json!({ "userId": person.user }));
    let texts = [
        ("name", &person.name),
        ("portraitUri", &person.portrait_uri),
        ("extra", &person.extra),
    ];
    for (name, text) in texts {
        if !text.is_empty() {
            info.insert(name.into(), json!(text));
        }
    }
    Value::Object(info)
}

/// `IUserData` as far as the server knows it.
fn user(person: &Person, state: u8, is_caller: bool) -> Value {
    let mut user = sender(person);
    user["state"] = json!(state);
    user["isCaller"] = json!(is_caller);
    user
}

fn bare(user: &UserId) -> Person {
    Person {
        user: user.clone(),
        name: String::new(),
        portrait_uri: String::new(),
        extra: String::new(),
        extension: String::new(),
    }
}

fn rtc(grant: &MediaGrant) -> Value {
    json!({ "room": grant.room, "token": grant.token })
}

fn offline_record(missed: &MissedInvite) -> Frame {
    let target = match &missed.target {
        Target::Group { group } | Target::Queue { group } => group.to_string(),
        _ => missed.caller.user.to_string(),
    };
    let reason = missed.reason.unwrap_or(EndReason::NoAnswer);
    let own = matches!(reason, EndReason::NoAnswer | EndReason::Busy);
    frame(json!({
        "type": "onOfflineRecord",
        "record": {
            "callId": missed.call,
            "conversationType": codes::conversation_type(missed.kind),
            "channelId": missed.channel,
            "targetId": target,
            "callerId": missed.caller.user,
            "mediaType": codes::media_type(missed.media),
            "inviteTime": missed.invited_ms,
            "endReason": codes::end_reason(reason, own),
        },
    }))
}

#[cfg(test)]
mod tests;
