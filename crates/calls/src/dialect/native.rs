//! The machine's own words: commands and events as their JSON, nothing translated.
//!
//! A frame is a [`Command`] with an `id`, its reply `{"data": ...}` or `{"error": a problem}`, an event
//! an [`Event`] with a `seq`. `login` may carry `tenant`, `user` and `password` in place of a token.

use serde_json::{Value, json};

use super::frame::{Fields, Frame};
use super::{Ask, Credential, Dialect, Ticket, problem};
use crate::command::{Command, Login};
use crate::error::ErrorCode;
use crate::event::{CommandResult, Event};
use crate::ids::{TenantId, UserId};

/// The codec of the native vocabulary; it remembers nothing.
#[derive(Debug, Default)]
pub struct Native;

impl Dialect for Native {
    fn set_user(&mut self, _user: &UserId) {}

    fn ask(&mut self, verb: &str, fields: Fields<'_>) -> Result<(Ask, Frame), ErrorCode> {
        let words = Value::Object(fields.frame().clone());
        let ask = if verb == "login" {
            let login: Login = serde_json::from_value(words).map_err(|_| ErrorCode::Param)?;
            Ask::Login(credential(fields)?, login)
        } else {
            let command: Command = serde_json::from_value(words).map_err(|_| ErrorCode::Param)?;
            Ask::Command(command)
        };
        Ok((ask, Frame::new()))
    }

    fn answer(&mut self, _ticket: &Ticket, result: &CommandResult) -> (Frame, Vec<Frame>) {
        let mut reply = problem(result);
        if result.error == ErrorCode::Ok {
            reply.insert("data".into(), json!(result.data));
        }
        (reply, Vec::new())
    }

    fn tell(&mut self, event: &Event) -> Vec<Frame> {
        match (event, json!(event)) {
            // Common to all dialects.
            (Event::Connected { .. }, _) => Vec::new(),
            (_, Value::Object(frame)) => vec![frame],
            _ => Vec::new(),
        }
    }
}

fn credential(fields: Fields<'_>) -> Result<Credential, ErrorCode> {
    let Ok(password) = fields.text("password") else {
        return Ok(Credential::Token);
    };
    Ok(Credential::Password {
        tenant: TenantId::new(fields.text("tenant")?).ok_or(ErrorCode::TenantNotFound)?,
        user: fields.text("user")?.to_owned(),
        password: password.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::command::CallRef;
    use crate::dialect::DialectName;
    use crate::event::Data;
    use crate::model::{CallKind, Role, Target};
    use crate::reason::EndReason;

    #[test]
    fn a_call_in_the_machines_own_words() {
        let target = || Target::User {
            user: user_id("bob"),
        };
        let mut alice = Transcript::of(DialectName::Native, "alice");
        alice.client(
            json!({"type": "login", "id": 1, "seat": true}),
            Ok(Data::None),
        );
        alice.client(
            json!({"type": "createCall", "id": 2, "kind": "private", "target": {"type": "user", "user": "bob"}}),
            made(call(CallKind::Private, target(), "alice", &["bob"]), "alice"),
        );
        alice.event(ringing("bob"));
        alice.event(accepted("bob"));
        alice.client(json!({"type": "hold", "id": 3}), Err(ErrorCode::State));
        alice.client(
            json!({"type": "hangUp", "id": 4, "call": {"id": "c1"}}),
            Ok(Data::None),
        );
        alice.event(ended(
            CallKind::Private,
            target(),
            EndReason::HangUp,
            actor("alice", Role::Caller),
        ));
        alice.golden("native/call");
    }

    #[test]
    fn every_command_comes_back_from_its_own_json() {
        for command in [
            Command::Hold {
                call: CallRef::Current,
            },
            Command::Dtmf {
                call: CallRef::Serial("S".into()),
                digit: "#".into(),
            },
            Command::ListGroups,
        ] {
            let mut frame = match json!(command) {
                Value::Object(frame) => frame,
                other => panic!("{other}"),
            };
            frame.insert("id".into(), json!(7));
            let (ticket, ask) = super::super::read(&mut Native, &frame);
            assert_eq!(ask, Ok(Ask::Command(command)));
            assert_eq!(ticket.id, Some(7));
        }
    }
}
