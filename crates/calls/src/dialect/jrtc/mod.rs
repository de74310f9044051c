//! The dialect of JRTC: multi-party calls named by a business serial number.
//!
//! Requests are the methods of `JRTCCall`, events the callbacks of `JRTCCallCallback` with their
//! arguments by name. `reasonCode` and `error` are 0, a common error's code (1101 to 1999), or 2000
//! plus the ordinal of a common end reason.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::frame::{Fields, Frame, frame};
use super::notes::Notes;
use super::{Ask, Credential, Dialect, Ticket};
use crate::command::{CallRef, Command, InviteRef, Login, ScreenAction};
use crate::error::ErrorCode;
use crate::event::{Changed, CommandResult, Data, Event, PropChanged};
use crate::ids::{CallId, UserId};
use crate::media::MediaGrant;
use crate::model::{
    Actor, Call, CallProps, Media, MessageScope, PartState, Participant, Person, Push,
    RecordingMode, RecordingState, Role, Target, Terminal, TrackKind,
};
use crate::reason::EndReason;

/// Most outstanding invitations of one device.
const INVITED_MAX: usize = 256;

/// The codec of one device.
#[derive(Debug, Default)]
pub struct Jrtc {
    me: Option<UserId>,
    calls: Notes<Note>,
    /// Whom this device has invited and not heard of yet.
    invited: BTreeSet<UserId>,
}

/// What is known of a call.
#[derive(Debug)]
struct Note {
    serial: String,
    /// The invitation's `JRTCCallExtraParam`, while it rings here.
    ringing: Option<Frame>,
    joined: bool,
    video: bool,
}

impl Dialect for Jrtc {
    fn set_user(&mut self, user: &UserId) {
        self.me = Some(user.clone());
    }

    fn ask(&mut self, verb: &str, fields: Fields<'_>) -> Result<(Ask, Frame), ErrorCode> {
        let command = match verb {
            "login" => return Ok((Ask::Login(Credential::Token, login(fields)), Frame::new())),
            "join" => Command::JoinRoom {
                serial: fields.text("serialId")?.to_owned(),
                media: media(fields.flag("video").unwrap_or(true)),
                role: role(fields)?,
                extra: fields.text_or_empty("extraInfo"),
            },
            "leave" => Command::LeaveRoom {
                call: CallRef::Current,
            },
            "stop" => Command::EndCall {
                call: CallRef::Current,
            },
            "invite" => self.invite(fields)?,
            "cancelInvite" => Command::CancelInvite {
                call: CallRef::Current,
                callees: Vec::new(),
            },
            "ringing" => Command::Ringing {
                invite: InviteRef::Call(fields.call("callId")?),
            },
            "acceptInvite" => Command::Accept {
                invite: InviteRef::Newest,
                media: Some(media(fields.flag("video")?)),
                role: role(fields)?,
            },
            "rejectInvite" => Command::Reject {
                invite: InviteRef::Newest,
                reason: None,
            },
            "sendMessage" => Command::SendMessage {
                call: CallRef::Current,
                to: match fields.text("toUserId") {
                    Err(_) | Ok("") => None,
                    Ok(user) => Some(UserId::new(user).ok_or(ErrorCode::NotFound)?),
                },
                content_type: fields.text("contentType")?.to_owned(),
                content: fields.text("content")?.to_owned(),
            },
            "kickUser" => Command::KickUser {
                call: CallRef::Current,
                user: fields.user("userId")?,
            },
            "upload" => Command::Mute {
                call: CallRef::Current,
                kind: kind(fields)?,
                muted: !fields.flag("enabled")?,
            },
            "requestVideo" => Command::SetLayer {
                call: CallRef::Current,
                user: fields.user("userId")?,
                kind: kind(fields)?,
                max_height: u32::try_from(fields.number("height")?)
                    .map_err(|_| ErrorCode::Param)?,
            },
            "unRequestVideo" => Command::Subscribe {
                call: CallRef::Current,
                user: fields.user("userId")?,
                kind: kind(fields)?,
                wanted: false,
            },
            "screenShare" => screen_share(fields)?,
            "remoteRecord" if fields.flag("enabled")? => Command::RecStart {
                call: CallRef::Current,
                mode: match fields.text("mode") {
                    Ok("each") => RecordingMode::Each,
                    _ => RecordingMode::Mixed,
                },
            },
            "remoteRecord" => Command::RecStop {
                call: CallRef::Current,
                recording: None,
            },
            _ => return Err(ErrorCode::Param),
        };
        Ok((Ask::Command(command), Frame::new()))
    }

    fn answer(&mut self, ticket: &Ticket, result: &CommandResult) -> (Frame, Vec<Frame>) {
        let error = self.error_of(&ticket.verb, result);
        let ok = error == ErrorCode::Ok;
        let mut reply = frame(json!({
            "result": ok,
            "reasonCode": error.code(),
            "reason": if ok { "" } else { error.meaning() },
        }));
        if let (true, Data::Call { call, grant }) = (ok, &result.data) {
            self.joined(call);
            reply.insert("call".into(), self.description(call));
            reply.insert("rtc".into(), json!(grant.as_ref().map(rtc)));
        }
        (reply, Vec::new())
    }

    fn tell(&mut self, event: &Event) -> Vec<Frame> {
        match event {
            Event::Kicked { error } => vec![frame(json!({
                "type": "onLogout",
                "reasonCode": error.code(),
            }))],
            Event::InviteReceived { .. } => self.rung(event),
            Event::InviteAccepted { call, user, .. } => {
                self.answered(call, user, "onInviteAccepted", "")
            }
            Event::InviteRejected {
                call, user, reason, ..
            } => self.answered(call, user, "onInviteRejected", reason.label()),
            Event::InviteTimeout { call, user, .. } if self.is_me(&user.user) => {
                self.rings_no_more(call, "timeout")
            }
            Event::InviteTimeout { call, user, .. } => {
                self.answered(call, user, "onInviteRejected", "timeout")
            }
            Event::InviteCanceled {
                call, user, reason, ..
            } => {
                if self.is_me(&user.user) {
                    self.rings_no_more(call, reason.label())
                } else {
                    self.invited.remove(&user.user);
                    Vec::new()
                }
            }
            Event::AnsweredElsewhere { call, .. } => self.rings_no_more(call, "elsewhere"),
            Event::ParticipantJoined { call, participant } => self.member(
                call,
                participant,
                |participant| json!({ "type": "onParticipantJoin", "participant": participant }),
            ),
            Event::ParticipantLeft {
                call,
                participant,
                reason,
                ..
            } => self.member(call, participant, |participant| {
                json!({
                    "type": "onParticipantLeft",
                    "participant": participant,
                    "reason": reason_code(*reason),
                })
            }),
            Event::ParticipantUpdated {
                call,
                participant,
                changed,
            } => self.updated(call, participant, changed),
            Event::RoomPropChanged {
                call,
                changed,
                props,
            } => self.props(call, changed, props),
            Event::Message { call, message } => self.of(call, || {
                json!({
                    "type": "onMessageReceived",
                    "content": message.content,
                    "contentType": message.content_type,
                    "messageType": message_type(message.scope),
                    "fromUserId": message.from,
                })
            }),
            Event::RecAborted {
                call,
                recording,
                user,
                detail,
                ends_call,
            } => self.of(call, || {
                let who = user.as_ref().map(ToString::to_string);
                json!({
                    "type": "onDeliveryAbort",
                    "isShutDown": ends_call,
                    "deliveryUserId": who.unwrap_or_else(|| format!("recorder:{recording}")),
                    "reason": detail,
                })
            }),
            Event::MediaReady { call, grant } => {
                self.of(call, || json!({ "type": "rtcRoom", "rtc": rtc(grant) }))
            }
            Event::CallRecovered { call, grant, .. } => self.recovered(call, grant.as_ref()),
            Event::CallEnded {
                call,
                reason,
                actor,
                ..
            } => self.ended(call, *reason, actor.as_ref()),
            _ => Vec::new(),
        }
    }
}

impl Jrtc {
    fn is_me(&self, user: &UserId) -> bool {
        self.me.as_ref() == Some(user)
    }

    fn invite(&mut self, fields: Fields<'_>) -> Result<Command, ErrorCode> {
        let callee = fields.user("calleeUserId")?;
        if self.is_me(&callee) {
            return Err(ErrorCode::SelfTarget);
        }
        if self.invited.len() >= INVITED_MAX {
            return Err(ErrorCode::RateLimited);
        }
        self.invited.insert(callee.clone());
        let param = fields.within("param");
        Ok(Command::Invite {
            call: CallRef::Current,
            callees: vec![callee],
            extra: param
                .map(|param| param.text_or_empty("extraInfo"))
                .unwrap_or_default(),
            push: Some(Push::default()),
        })
    }

    /// What went wrong; an invitation of one that could not be made has failed as a whole.
    fn error_of(&mut self, verb: &str, result: &CommandResult) -> ErrorCode {
        match &result.data {
            Data::Invited { failed, .. } => {
                for (user, _) in failed {
                    self.invited.remove(user);
                }
                failed.first().map_or(result.error, |(_, error)| *error)
            }
            _ if verb == "cancelInvite" && result.error == ErrorCode::Ok => {
                self.invited.clear();
                ErrorCode::Ok
            }
            _ => result.error,
        }
    }

    fn joined(&mut self, call: &Call) {
        self.calls.insert(
            call.id.clone(),
            Note {
                serial: serial(&call.id, &call.target),
                ringing: None,
                joined: true,
                video: call.media == Media::Video,
            },
        );
    }

    fn description(&self, call: &Call) -> Value {
        let present = call
            .participants
            .iter()
            .filter(|each| each.state != PartState::Left);
        json!({
            "callId": call.id,
            "serialId": serial(&call.id, &call.target),
            "participants": present.map(participant).collect::<Vec<_>>(),
            "props": properties(&call.props),
        })
    }

    fn rung(&mut self, event: &Event) -> Vec<Frame> {
        let Event::InviteReceived {
            call,
            target,
            media,
            extra,
            caller,
            ..
        } = event
        else {
            return Vec::new();
        };
        let serial = serial(call, target);
        let param = frame(json!({
            "video": *media == Media::Video,
            "serialId": serial,
            "callerUserId": caller.user,
            "callerDisplayName": caller.name,
            "calleeUserId": self.me,
            "calleeDisplayName": "",
            "calleeUserType": "APP",
            "routeId": "",
            "extraInfo": extra,
        }));
        self.calls.insert(
            call.clone(),
            Note {
                serial,
                ringing: Some(param.clone()),
                joined: false,
                video: *media == Media::Video,
            },
        );
        vec![frame(
            json!({ "type": "onInviteReceived", "param": param, "callId": call }),
        )]
    }

    /// How one of our invitations ended. Others' invitations are theirs.
    fn answered(&mut self, call: &CallId, callee: &Person, word: &str, why: &str) -> Vec<Frame> {
        if !self.invited.remove(&callee.user) {
            return Vec::new();
        }
        let me = self.me.clone();
        let video = self.calls.get(call).is_some_and(|note| note.video);
        let serial = self.calls.get(call).map(|note| note.serial.clone());
        self.of(call, || {
            json!({
                "type": word,
                "param": {
                    "video": video,
                    "serialId": serial,
                    "callerUserId": me,
                    "callerDisplayName": "",
                    "calleeUserId": callee.user,
                    "calleeDisplayName": callee.name,
                    "calleeUserType": "APP",
                    "routeId": "",
                    "extraInfo": why,
                },
            })
        })
    }

    /// There is one callback for every way in which an invitation goes away: `extraInfo` says which.
    fn rings_no_more(&mut self, call: &CallId, why: &str) -> Vec<Frame> {
        let Some(note) = self.calls.get_mut(call) else {
            return Vec::new();
        };
        let Some(mut param) = note.ringing.take() else {
            return Vec::new();
        };
        if !note.joined {
            self.calls.remove(call);
        }
        param.insert("extraInfo".into(), json!(why));
        vec![frame(json!({ "type": "onInviteCanceled", "param": param }))]
    }

    /// A frame about the call that this device is in.
    fn of(&self, call: &CallId, body: impl FnOnce() -> Value) -> Vec<Frame> {
        if self.calls.get(call).is_none_or(|note| !note.joined) {
            return Vec::new();
        }
        vec![frame(body())]
    }

    fn member(
        &self,
        call: &CallId,
        who: &Participant,
        body: impl FnOnce(Value) -> Value,
    ) -> Vec<Frame> {
        if self.is_me(&who.person.user) {
            return Vec::new();
        }
        self.of(call, || body(participant(who)))
    }

    fn updated(&self, call: &CallId, who: &Participant, changed: &[Changed]) -> Vec<Frame> {
        let mut param = frame(json!({
            "audio": false,
            "video": false,
            "netStatus": false,
            "volumeStatus": false,
            "role": false,
            "displayName": false,
            "videoSize": false,
            "extraStream": false,
        }));
        for each in changed {
            let name = match each {
                Changed::Audio => "audio",
                Changed::Video => "video",
                Changed::Screen => "extraStream",
                Changed::Network => "netStatus",
                Changed::Role => "role",
                Changed::Profile => "displayName",
                Changed::Held => continue, // nothing of this system
            };
            param.insert(name.into(), json!(true));
        }
        if !param.values().any(|each| *each == json!(true)) {
            return Vec::new();
        }
        self.of(call, || {
            json!({
                "type": "onParticipantUpdate",
                "participant": participant(who),
                "changeParam": param,
            })
        })
    }

    fn props(&self, call: &CallId, changed: &[PropChanged], props: &CallProps) -> Vec<Frame> {
        let screen = changed.contains(&PropChanged::ScreenShare);
        let record = changed.contains(&PropChanged::Recording);
        if !screen && !record {
            return Vec::new();
        }
        self.of(call, || {
            json!({
                "type": "onCallPropertyChanged",
                "propChangeParam": {
                    "screenShare": screen,
                    "recordState": record,
                    "audioOutput": false,
                    "uploadVideo": false,
                    "uploadAudio": false,
                    "customProperty": false,
                },
                "props": properties(props),
            })
        })
    }

    fn recovered(&mut self, call: &Call, grant: Option<&MediaGrant>) -> Vec<Frame> {
        let known = self.calls.get(&call.id).is_some_and(|note| note.joined);
        if !known {
            self.joined(call);
        }
        vec![frame(json!({
            "type": "recovered",
            "call": self.description(call),
            "rtc": grant.map(rtc),
        }))]
    }

    fn ended(&mut self, call: &CallId, reason: EndReason, actor: Option<&Actor>) -> Vec<Frame> {
        let rang = self.rings_no_more(call, reason.label());
        let Some(note) = self.calls.remove(call) else {
            return rang;
        };
        self.invited.clear();
        let by_me = actor.is_some_and(|actor| self.is_me(&actor.user));
        // One's own leaving is no reason at all.
        let code = match reason {
            EndReason::HangUp | EndReason::Quit | EndReason::RoomDissolved if by_me => 0,
            _ => reason_code(reason),
        };
        vec![frame(json!({
            "type": "onLeave",
            "serialId": note.serial,
            "reasonCode": code,
        }))]
    }
}

/// `JRTCReasonCode` of an end: 0 is the normal one.
#[must_use]
pub const fn reason_code(reason: EndReason) -> u16 {
    match reason {
        EndReason::HangUp => 0,
        _ => 2_000 + reason.ordinal(),
    }
}

/// `JRTCCallCenterMessageType`.
#[must_use]
pub const fn message_type(scope: MessageScope) -> u8 {
    match scope {
        MessageScope::OneToOne => 1,
        MessageScope::Group => 2,
    }
}

fn login(fields: Fields<'_>) -> Login {
    Login {
        terminal: match fields.text("terminalType") {
            Ok("mobile") => Terminal::Mobile,
            _ => Terminal::Web,
        },
        skill_group: None,
        seat: false,
    }
}

const fn media(video: bool) -> Media {
    if video { Media::Video } else { Media::Audio }
}

fn role(fields: Fields<'_>) -> Result<Option<Role>, ErrorCode> {
    match fields.text("role") {
        Err(_) | Ok("") => Ok(None),
        Ok("member") => Ok(Some(Role::Member)),
        Ok("host") => Ok(Some(Role::Host)),
        Ok("guest") => Ok(Some(Role::Guest)),
        Ok("audience") => Ok(Some(Role::Audience)),
        Ok(_) => Err(ErrorCode::Param),
    }
}

fn kind(fields: Fields<'_>) -> Result<TrackKind, ErrorCode> {
    match fields.text("kind")? {
        "audio" => Ok(TrackKind::Audio),
        "video" => Ok(TrackKind::Video),
        "screen" => Ok(TrackKind::Screen),
        _ => Err(ErrorCode::Param),
    }
}

fn screen_share(fields: Fields<'_>) -> Result<Command, ErrorCode> {
    Ok(Command::ScreenShare {
        call: CallRef::Current,
        action: match fields.text("action")? {
            "start" => ScreenAction::Start,
            "stop" => ScreenAction::Stop,
            "pause" => ScreenAction::Pause,
            "resume" => ScreenAction::Resume,
            _ => return Err(ErrorCode::Param),
        },
        tip: fields.text_or_empty("tip"),
    })
}

/// The business serial number; calls that have none are named by their id.
fn serial(call: &CallId, target: &Target) -> String {
    match target {
        Target::Room { serial } => serial.clone(),
        _ => call.to_string(),
    }
}

/// `JRTCRoomParticipant`. Volume comes with the media, by the façade.
fn participant(who: &Participant) -> Value {
    json!({
        "userId": who.person.user,
        "displayName": who.person.name,
        "role": who.role,
        "audio": who.audio,
        "video": who.video,
        "streamId": who.person.user,
        "netStatus": match who.state {
            PartState::Reconnecting | PartState::Left => "DISCONNECTED",
            PartState::Joining | PartState::Joined => "NORMAL",
        },
        "volumeStatus": "NONE",
        "extraStreams": if who.screen { json!([screen_id(&who.person.user)]) } else { json!([]) },
    })
}

fn screen_id(user: &UserId) -> String {
    format!("{user}:screen")
}

fn properties(props: &CallProps) -> Value {
    let share = props.screen_share.as_ref();
    json!({
        "shareUserId": share.map_or("", |share| share.owner.as_str()),
        "shareStreamId": share.map(|share| screen_id(&share.owner)),
        "suspended": share.is_some_and(|share| share.paused),
        "tip": share.map_or("", |share| share.tip.as_str()),
        "recordState": match props.recording {
            Some(RecordingState::Starting | RecordingState::Running) => "RUNNING",
            _ => "READY",
        },
    })
}

fn rtc(grant: &MediaGrant) -> Value {
    json!({ "room": grant.room, "token": grant.token })
}

#[cfg(test)]
mod tests;
