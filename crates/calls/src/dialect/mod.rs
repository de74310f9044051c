//! Dialects: pure codecs between the machine's vocabulary and the words of call systems.
//!
//! A codec is kept by the carrier for as long as a device has its session, over sockets that come and
//! go; carriers use it through [`link::Link`]. A frame of the client goes through [`Dialect::ask`], the
//! machine's result through [`Dialect::answer`], each of its events through [`Dialect::tell`]. Nothing here has a socket, a
//! clock or a password; vendor words live here and in the façades, nowhere else.
//!
//! Frames are JSON objects, one per message. All dialects share these:
//!
//! ```text
//! -> {"type": "login", "id": 1, ...}                     first; the rest is the dialect's
//! <- {"type": "connected", "seq": 1, "user": {...}, "device": "...", "sessionKey": "...", "seat": null}
//! <- {"type": "reply", "id": 1, ...}                     one for each id; "error": a problem
//! <- {"type": "frames", "seq": 8, "frames": [...]}       one event in several words
//! -> {"type": "reconnect", "id": 9, "sessionKey": "...", "lastSeq": 8}
//! -> {"type": "ping", "id": 10}
//! -> {"type": "logout"}                                  has no reply
//! ```

pub mod emic;
pub mod frame;
pub mod jrtc;
pub mod link;
pub mod native;
mod notes;
pub mod rong;
pub mod snk;

use serde_json::json;

use crate::command::{Command, Login};
use crate::error::ErrorCode;
use crate::event::{CommandResult, Delivery, Event};
use crate::ids::{RequestId, SessionKey, TenantId, UserId};
use crate::policy::TenantSettings;
use frame::{Fields, Frame, frame};

/// Which vocabulary a device speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DialectName {
    /// The machine's own.
    Native,
    /// JRTC (multi-party call callbacks).
    Jrtc,
    /// RongCloud CallLib Web 5.x.
    Rong,
    /// snk-rt-video-pc.
    Snk,
    /// emic phonebar.
    Emic,
}

impl DialectName {
    /// The dialect with this word, as clients name it when they connect.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "native" => Some(Self::Native),
            "jrtc" => Some(Self::Jrtc),
            "rong" => Some(Self::Rong),
            "snk" => Some(Self::Snk),
            "emic" => Some(Self::Emic),
            _ => None,
        }
    }

    /// A codec for one device.
    #[must_use]
    pub fn codec(self) -> Box<dyn Dialect> {
        match self {
            Self::Native => Box::<native::Native>::default(),
            Self::Jrtc => Box::<jrtc::Jrtc>::default(),
            Self::Rong => Box::<rong::Rong>::default(),
            Self::Snk => Box::<snk::Snk>::default(),
            Self::Emic => Box::<emic::Emic>::default(),
        }
    }
}

/// How a client shows who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// By the token of the connection.
    Token,
    /// By a password: of a user, or of the user with this extension.
    Password {
        /// Whose user.
        tenant: TenantId,
        /// User id or extension.
        user: String,
        /// What the user's record has.
        password: String,
    },
    /// By name alone: no proof. Taken only from networks that the operator trusts.
    Named {
        /// Whose user.
        tenant: TenantId,
        /// Who.
        user: UserId,
    },
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token => f.write_str("Token"),
            Self::Password { tenant, user, .. } => write!(f, "Password of {tenant}/{user}"),
            Self::Named { tenant, user } => write!(f, "Name of {tenant}/{user}"),
        }
    }
}

/// What a frame asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To come online: the carrier verifies the credential, tells the codec [`Dialect::set_user`] and
    /// gives the machine the login.
    Login(Credential, Login),
    /// To come back to a session.
    Reconnect {
        /// The secret of `connected`.
        session_key: SessionKey,
        /// The last event that arrived.
        last_seq: u64,
    },
    /// What an account may use, by password, without coming online: see [`emic::account`].
    Account(Credential),
    /// Something for the machine.
    Command(Command),
    /// Nothing but a reply.
    Ping,
}

/// What is kept of a frame until its result is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Its `id`; `None`: no reply is wanted.
    pub id: Option<u64>,
    /// Its `type`.
    pub verb: String,
    /// What the dialect needs for the reply.
    pub note: Frame,
}

impl Ticket {
    /// Name of the request for the machine.
    #[must_use]
    pub fn request(&self) -> Option<RequestId> {
        RequestId::new(&self.id?.to_string())
    }
}

/// A codec of one device's session.
pub trait Dialect: Send {
    /// Notes who the device belongs to; before that only `Login`, `Account` and `Ping` are asked for.
    fn set_user(&mut self, user: &UserId);

    /// Notes what the user's tenant chooses. Most dialects care for nothing of it.
    fn set_settings(&mut self, _settings: &TenantSettings) {}

    /// What a frame's own words ask for.
    ///
    /// # Errors
    ///
    /// What is wrong with it. The carrier answers by [`Dialect::answer`], as for any other error.
    fn ask(&mut self, verb: &str, fields: Fields<'_>) -> Result<(Ask, Frame), ErrorCode>;

    /// The reply to a frame, without its common fields, and frames that follow it at once.
    fn answer(&mut self, ticket: &Ticket, result: &CommandResult) -> (Frame, Vec<Frame>);

    /// What the client hears of an event; often nothing.
    fn tell(&mut self, event: &Event) -> Vec<Frame>;
}

/// Reads a frame: what it asks for, and the ticket for its reply. The ticket is there even when the
/// frame is wrong, for the reply that says so.
///
/// # Errors
///
/// As [`Dialect::ask`].
pub fn read(dialect: &mut dyn Dialect, frame: &Frame) -> (Ticket, Result<Ask, ErrorCode>) {
    let fields = Fields::of(frame);
    let mut ticket = Ticket {
        id: fields.number("id").ok(),
        verb: fields
            .text("type")
            .unwrap_or_default()
            .chars()
            .take(32)
            .collect(),
        note: Frame::new(),
    };
    let ask = match ticket.verb.as_str() {
        "ping" => Ok(Ask::Ping),
        "logout" => Ok(Ask::Command(Command::Logout)),
        "reconnect" => reconnect(fields),
        verb => dialect.ask(verb, fields).map(|(ask, note)| {
            ticket.note = note;
            ask
        }),
    };
    (ticket, ask)
}

fn reconnect(fields: Fields<'_>) -> Result<Ask, ErrorCode> {
    Ok(Ask::Reconnect {
        session_key: SessionKey::new(fields.text("sessionKey")?).ok_or(ErrorCode::Param)?,
        last_seq: fields.number("lastSeq")?,
    })
}

/// The frames that answer a ticket: the reply, if one is wanted, and what follows it.
pub fn reply(dialect: &mut dyn Dialect, ticket: &Ticket, result: &CommandResult) -> Vec<Frame> {
    let (mut body, follows) = match ticket.verb.as_str() {
        "ping" | "reconnect" | "logout" => (problem(result), Vec::new()),
        _ => dialect.answer(ticket, result),
    };
    let mut frames = Vec::with_capacity(1 + follows.len());
    if let Some(id) = ticket.id {
        body.insert("type".into(), json!("reply"));
        body.insert("id".into(), json!(id));
        frames.push(body);
    }
    frames.extend(follows);
    frames
}

/// The frame of an event on its way to a device; `None`: the dialect has no word for it.
pub fn deliver(dialect: &mut dyn Dialect, delivery: &Delivery) -> Option<Frame> {
    let mut frames = match &delivery.event {
        Event::Connected {
            user,
            device,
            session_key,
            seat,
        } => vec![frame(json!({
            "type": "connected",
            "user": user,
            "device": device,
            "sessionKey": session_key,
            "seat": seat,
        }))],
        _ => Vec::new(),
    };
    frames.extend(dialect.tell(&delivery.event));
    let mut message = match frames.len() {
        0 => return None,
        1 => frames.swap_remove(0),
        _ => frame(json!({ "type": "frames", "frames": frames })),
    };
    message.insert("seq".into(), json!(delivery.seq));
    Some(message)
}

/// A common request's result: nothing, or a problem as signalling has it.
fn problem(result: &CommandResult) -> Frame {
    if result.error == ErrorCode::Ok {
        return Frame::new();
    }
    let title = if result.detail.is_empty() {
        result.error.meaning()
    } else {
        &result.detail
    };
    frame(json!({ "error": { "type": result.error.label(), "title": title } }))
}

#[cfg(test)]
mod testing;
