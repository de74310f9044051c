//! What the dialects' tests share: people and calls, and transcripts that are compared with golden
//! files in `tests/golden/<dialect>/` (written anew with `UPDATE_GOLDEN=1`).

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::Value;

use super::frame::{Frame, frame};
use super::{Ask, DialectName, deliver, read, reply};
use crate::error::ErrorCode;
use crate::event::{CommandResult, Data, Delivery, Event};
use crate::ids::{CallId, InviteId, UserId};
use crate::media::{Access, MediaGrant};
use crate::model::{
    Actor, Call, CallKind, CallProps, CallState, Invite, InviteState, Media, PartState,
    Participant, Person, Role, Target,
};
use crate::reason::EndReason;

/// A codec of one user, and everything that went through it.
pub(super) struct Transcript {
    codec: Box<dyn super::Dialect>,
    user: UserId,
    text: String,
    seq: u64,
}

impl Transcript {
    pub(super) fn of(dialect: DialectName, user: &str) -> Self {
        Self {
            codec: dialect.codec(),
            user: user_id(user),
            text: String::new(),
            seq: 0,
        }
    }

    pub(super) fn codec(&mut self) -> &mut dyn super::Dialect {
        self.codec.as_mut()
    }

    /// A frame of the client, what it asks for, and the frames that answer the machine's result.
    pub(super) fn client(&mut self, words: Value, outcome: Result<Data, ErrorCode>) -> Vec<Frame> {
        let words = frame(words);
        writeln!(self.text, "> {}", Value::Object(words.clone())).unwrap();
        let (ticket, ask) = read(self.codec.as_mut(), &words);
        let result = match (&ask, outcome) {
            (Err(error), _) => failed(*error),
            (Ok(_), Err(error)) => failed(error),
            (Ok(_), Ok(data)) => CommandResult {
                error: ErrorCode::Ok,
                detail: String::new(),
                data,
            },
        };
        match &ask {
            Ok(Ask::Command(command)) => writeln!(self.text, "  {command:?}").unwrap(),
            Ok(other) => writeln!(self.text, "  {other:?}").unwrap(),
            Err(error) => writeln!(self.text, "  refused: {}", error.label()).unwrap(),
        }
        if matches!(ask, Ok(Ask::Login(..))) {
            let user = self.user.clone();
            self.codec.set_user(&user);
        }
        let frames = reply(self.codec.as_mut(), &ticket, &result);
        for each in &frames {
            writeln!(self.text, "< {}", Value::Object(each.clone())).unwrap();
        }
        frames
    }

    /// An event of the machine, and the frame that the client hears.
    pub(super) fn event(&mut self, event: Event) -> Option<Frame> {
        self.seq += 1;
        writeln!(self.text, "* {}", event.word()).unwrap();
        let delivery = Delivery {
            seq: self.seq,
            call_seq: 0,
            event,
        };
        let heard = deliver(self.codec.as_mut(), &delivery);
        if let Some(heard) = &heard {
            writeln!(self.text, "< {}", Value::Object(heard.clone())).unwrap();
        }
        heard
    }

    /// Compares with `tests/golden/<name>.txt`.
    pub(super) fn golden(self, name: &str) {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
        let path = root.join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &self.text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            golden == self.text,
            "{} differs; it is now:\n{}",
            path.display(),
            self.text
        );
    }
}

fn failed(error: ErrorCode) -> CommandResult {
    CommandResult {
        error,
        detail: error.meaning().to_owned(),
        data: Data::None,
    }
}

pub(super) fn user_id(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub(super) fn call_id() -> CallId {
    CallId::new("c1").unwrap()
}

pub(super) fn invite_id() -> InviteId {
    InviteId::new("i1").unwrap()
}

pub(super) fn person(user: &str) -> Person {
    Person {
        user: user_id(user),
        name: user.to_uppercase(),
        portrait_uri: String::new(),
        extra: String::new(),
        extension: String::new(),
    }
}

pub(super) fn grant(user: &str) -> MediaGrant {
    MediaGrant {
        room: "call-c1".into(),
        identity: user.into(),
        name: user.to_uppercase(),
        access: Access::FULL,
        token: Some("TOKEN".into()),
    }
}

pub(super) fn someone(user: &str, role: Role) -> Participant {
    Participant {
        person: person(user),
        role,
        state: PartState::Joined,
        audio: true,
        video: true,
        screen: false,
        held: false,
    }
}

pub(super) fn actor(user: &str, role: Role) -> Option<Actor> {
    Some(Actor {
        user: user_id(user),
        device: None,
        role,
    })
}

/// A call of `caller` that rings `callees`.
pub(super) fn call(kind: CallKind, target: Target, caller: &str, callees: &[&str]) -> Call {
    Call {
        id: call_id(),
        tenant: crate::ids::TenantId::new("t").unwrap(),
        kind,
        target,
        channel: String::new(),
        media: Media::Video,
        extra: String::new(),
        initiator: person(caller),
        state: CallState::Ringing,
        participants: vec![someone(caller, Role::Caller)],
        invites: callees
            .iter()
            .map(|callee| Invite {
                id: invite_id(),
                call: call_id(),
                inviter: person(caller),
                callee: person(callee),
                state: InviteState::Delivered,
            })
            .collect(),
        created_ms: 1_000,
        begin_ms: 0,
        end_ms: 0,
        reason: None,
        props: CallProps::default(),
        links: Vec::new(),
    }
}

pub(super) fn made(call: Call, user: &str) -> Result<Data, ErrorCode> {
    Ok(Data::Call {
        call: Box::new(call),
        grant: Some(grant(user)),
    })
}

pub(super) fn rung(kind: CallKind, target: Target, caller: &str, members: &[&str]) -> Event {
    Event::InviteReceived {
        invite: invite_id(),
        call: call_id(),
        kind,
        target,
        channel: String::new(),
        media: Media::Video,
        extra: "hello".into(),
        push: None,
        caller: person(caller),
        members: members.iter().map(|each| person(each)).collect(),
        ring_ms: 60_000,
    }
}

pub(super) fn ringing(user: &str) -> Event {
    Event::InviteRinging {
        invite: invite_id(),
        call: call_id(),
        user: person(user),
    }
}

pub(super) fn accepted(user: &str) -> Event {
    Event::InviteAccepted {
        invite: invite_id(),
        call: call_id(),
        user: person(user),
        media: Media::Video,
    }
}

pub(super) fn rejected(user: &str, reason: EndReason) -> Event {
    Event::InviteRejected {
        invite: invite_id(),
        call: call_id(),
        user: person(user),
        reason,
    }
}

pub(super) fn canceled(user: &str) -> Event {
    Event::InviteCanceled {
        invite: invite_id(),
        call: call_id(),
        user: person(user),
        reason: EndReason::Cancel,
    }
}

pub(super) fn timed_out(user: &str) -> Event {
    Event::InviteTimeout {
        invite: invite_id(),
        call: call_id(),
        user: person(user),
    }
}

pub(super) fn left(user: &str, reason: EndReason) -> Event {
    Event::ParticipantLeft {
        call: call_id(),
        participant: someone(user, Role::Member),
        reason,
        actor: actor(user, Role::Member),
    }
}

pub(super) fn ended(kind: CallKind, target: Target, reason: EndReason, by: Option<Actor>) -> Event {
    Event::CallEnded {
        call: call_id(),
        kind,
        target,
        channel: String::new(),
        media: Media::Video,
        reason,
        actor: by,
        answered: true,
        begin_ms: 5_000,
        end_ms: 65_000,
        duration_ms: 60_000,
    }
}
