//! One device's codec with the requests that wait for their results: all that a carrier needs beside
//! a way to carry frames.

use std::collections::BTreeMap;

use super::frame::Frame;
use super::{Ask, Credential, Dialect, DialectName, Ticket, deliver, read, reply};
use crate::command::{Command, Login};
use crate::error::ErrorCode;
use crate::event::{CommandResult, Data, Delivery};
use crate::ids::{RequestId, SessionKey, UserId};
use crate::policy::TenantSettings;

/// Most requests of one device that wait for a result; more are refused at once.
const WAITING_MAX: usize = 256;

/// What a carrier is to do about a frame.
#[derive(Debug)]
pub enum Heard {
    /// Verify the credential, [`Link::set_user`], give the machine the login under this name.
    Login(RequestId, Credential, Login),
    /// Give the machine the command under this name.
    Command(RequestId, Command),
    /// Find the session of this secret; give the machine a `Reconnect` under this name.
    Reconnect(RequestId, SessionKey, u64),
    /// Verify the credential and answer by [`Link::account`].
    Account(Ticket, Credential),
    /// Send these: it is answered already.
    Answered(Vec<Frame>),
}

/// See the module documentation. Kept for as long as the device's session, over sockets.
pub struct Link {
    dialect: Box<dyn Dialect>,
    waiting: BTreeMap<RequestId, Ticket>,
    /// Names for requests that have none.
    unnamed: u64,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

impl Link {
    /// A device that speaks this dialect.
    #[must_use]
    pub fn new(dialect: DialectName) -> Self {
        Self {
            dialect: dialect.codec(),
            waiting: BTreeMap::new(),
            unnamed: 0,
        }
    }

    /// Notes whose device it is, and what the tenant chooses.
    pub fn set_user(&mut self, user: &UserId, settings: &TenantSettings) {
        self.dialect.set_user(user);
        self.dialect.set_settings(settings);
    }

    /// Reads a frame of the client.
    pub fn take(&mut self, frame: &Frame) -> Heard {
        let (ticket, ask) = read(self.dialect.as_mut(), frame);
        let full = self.waiting.len() >= WAITING_MAX;
        match ask {
            Err(error) => Heard::Answered(self.refuse(&ticket, error)),
            Ok(Ask::Ping) => Heard::Answered(self.refuse(&ticket, ErrorCode::Ok)),
            Ok(_) if full => Heard::Answered(self.refuse(&ticket, ErrorCode::RateLimited)),
            Ok(Ask::Account(credential)) => Heard::Account(ticket, credential),
            Ok(Ask::Login(credential, login)) => Heard::Login(self.wait(ticket), credential, login),
            Ok(Ask::Command(command)) => Heard::Command(self.wait(ticket), command),
            Ok(Ask::Reconnect {
                session_key,
                last_seq,
            }) => Heard::Reconnect(self.wait(ticket), session_key, last_seq),
        }
    }

    /// The frames that answer a request, by the machine's result or the carrier's own refusal; none for
    /// a request that was answered before.
    pub fn answer(&mut self, request: &RequestId, result: &CommandResult) -> Vec<Frame> {
        self.waiting
            .remove(request)
            .map_or_else(Vec::new, |ticket| {
                reply(self.dialect.as_mut(), &ticket, result)
            })
    }

    /// The frames that refuse a request.
    pub fn refuse_request(&mut self, request: &RequestId, error: ErrorCode) -> Vec<Frame> {
        self.answer(request, &failed(error))
    }

    /// The frames that answer an [`Heard::Account`]: what `emic::account` made of the user, or why not.
    pub fn account(&mut self, ticket: &Ticket, account: Result<Frame, ErrorCode>) -> Vec<Frame> {
        let mut frames = self.refuse(
            ticket,
            account.as_ref().err().copied().unwrap_or(ErrorCode::Ok),
        );
        if let (Ok(account), Some(reply)) = (account, frames.first_mut()) {
            reply.insert("data".into(), account.into());
        }
        frames
    }

    /// The frame of an event; `None`: the dialect has no word for it.
    pub fn deliver(&mut self, delivery: &Delivery) -> Option<Frame> {
        deliver(self.dialect.as_mut(), delivery)
    }

    fn refuse(&mut self, ticket: &Ticket, error: ErrorCode) -> Vec<Frame> {
        reply(self.dialect.as_mut(), ticket, &failed(error))
    }

    fn wait(&mut self, ticket: Ticket) -> RequestId {
        let name = ticket.request().unwrap_or_else(|| {
            self.unnamed += 1;
            // Never a number, so never the name of another.
            RequestId::new(&format!("unnamed-{}", self.unnamed)).expect("a short name")
        });
        self.waiting.insert(name.clone(), ticket);
        name
    }
}

fn failed(error: ErrorCode) -> CommandResult {
    CommandResult {
        error,
        detail: String::new(),
        data: Data::None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::frame::frame;
    use super::*;

    fn take(link: &mut Link, words: Value) -> Heard {
        link.take(&frame(words))
    }

    #[test]
    fn a_request_is_answered_once() {
        let mut link = Link::new(DialectName::Native);
        let Heard::Command(request, _) = take(&mut link, json!({"type": "listGroups", "id": 7}))
        else {
            panic!()
        };
        assert_eq!(request.as_str(), "7");
        let frames = link.refuse_request(&request, ErrorCode::State);
        assert_eq!(frames[0]["id"], json!(7));
        assert_eq!(frames[0]["error"]["type"], json!("state"));
        assert_eq!(
            link.refuse_request(&request, ErrorCode::State),
            Vec::<Frame>::new()
        );
    }

    #[test]
    fn too_many_waiting_requests_are_refused() {
        let mut link = Link::new(DialectName::Rong);
        for id in 0..WAITING_MAX {
            let heard = take(
                &mut link,
                json!({"type": "accept", "id": id, "sessionId": "c"}),
            );
            assert!(matches!(heard, Heard::Command(..)));
        }
        let heard = take(
            &mut link,
            json!({"type": "accept", "id": 9999, "sessionId": "c"}),
        );
        let Heard::Answered(frames) = heard else {
            panic!()
        };
        assert_eq!(frames[0]["code"], json!(53201));
        let Heard::Answered(frames) = take(&mut link, json!({"type": "ping", "id": 1})) else {
            panic!()
        };
        assert_eq!(frames[0]["type"], json!("reply"));
    }

    #[test]
    fn a_goodbye_needs_no_number_and_gets_no_reply() {
        let mut link = Link::new(DialectName::Jrtc);
        let Heard::Command(request, command) = take(&mut link, json!({"type": "logout"})) else {
            panic!()
        };
        assert_eq!(command, Command::Logout);
        assert_eq!(
            link.refuse_request(&request, ErrorCode::Ok),
            Vec::<Frame>::new()
        );
    }

    #[test]
    fn an_account_is_answered_with_its_data() {
        let mut link = Link::new(DialectName::Emic);
        let words =
            json!({"type": "getUser", "id": 1, "un": "1", "pwd": "p", "switchnumber": "025"});
        let Heard::Account(ticket, credential) = take(&mut link, words) else {
            panic!()
        };
        assert!(
            !format!("{credential:?}").contains("\"p\""),
            "the password is not printed"
        );
        let frames = link.account(&ticket, Ok(frame(json!({"inGroups": []}))));
        assert_eq!(
            (&frames[0]["code"], &frames[0]["data"]["inGroups"]),
            (&json!(200), &json!([]))
        );
        let frames = link.account(&ticket, Err(ErrorCode::BadCredentials));
        assert_eq!(frames[0]["code"], json!(50003));
    }
}
