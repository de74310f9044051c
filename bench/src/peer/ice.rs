//! The controlling side of ICE with one pair: the only one there is towards a server.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use crosspoint_wire::stun::{Class, Key, Message, REPLY_BYTES_MAX, Role, TransactionId, Writer};
use crosspoint_wire::time::Time;

/// First wait for an answer; doubles up to [`RETRY_MAX`].
const RETRY: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_millis(800);

/// Longest distance between consent checks (RFC 7675 §5.1: 5 s, less up to 20 % at random).
const CONSENT_MS: std::ops::Range<u64> = 4000..5000;

/// Room for a check.
const CHECK_BYTES: usize = 320;

/// Checks one pair until it works, and from then on that it still does.
#[derive(Debug)]
pub(super) struct Ice {
    ufrags: (String, String),
    ours: Key,
    theirs: Key,
    tie_breaker: u64,
    transaction: TransactionId,
    retry: Duration,
    next: Time,
    up: bool,
}

/// What a STUN datagram led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The first answer: the pair works.
    Up,
    /// The server checks us: send this many bytes of the reply.
    Reply(usize),
    /// Nothing to do.
    Nothing,
}

/// Where [`Ice::handle`] writes replies.
pub(super) type Reply = [u8; REPLY_BYTES_MAX];

impl Ice {
    pub(super) fn new(now: Time, ours: (&str, &str), theirs: (&str, &str)) -> Self {
        Self {
            ufrags: (theirs.0.to_owned(), ours.0.to_owned()),
            ours: Key::new(ours.1),
            theirs: Key::new(theirs.1),
            tie_breaker: rand::random(),
            transaction: rand::random(),
            retry: RETRY,
            next: now,
            up: false,
        }
    }

    /// When [`Ice::check`] is due.
    pub(super) const fn next(&self) -> Time {
        self.next
    }

    /// Writes a check and returns its length; `None` if it is not time yet.
    pub(super) fn check(&mut self, now: Time, out: &mut [u8; CHECK_BYTES]) -> Option<usize> {
        if now < self.next {
            return None;
        }
        if self.up {
            self.next = now + Duration::from_millis(rand::random_range(CONSENT_MS));
            self.transaction = rand::random();
        } else {
            self.next = now + self.retry;
            self.retry = (self.retry * 2).min(RETRY_MAX);
        }
        Writer::new(out, Class::Request, &self.transaction)
            .username(&self.ufrags.0, &self.ufrags.1)
            .priority(0x6e7f_00ff)
            .use_candidate()
            .role(Role::Controlling, self.tie_breaker)
            .finish(&self.theirs)
            .ok()
    }

    /// Takes a STUN datagram from `source`.
    pub(super) fn handle(
        &mut self,
        now: Time,
        source: SocketAddr,
        datagram: &[u8],
        reply: &mut Reply,
    ) -> Result<Heard> {
        let message = Message::parse(datagram)?;
        match message.class() {
            Class::Request => {
                message.verify(&self.ours)?;
                let writer = Writer::new(reply, Class::Success, message.transaction());
                Ok(Heard::Reply(
                    writer.mapped_address(source).finish(&self.ours)?,
                ))
            }
            Class::Success if *message.transaction() == self.transaction => {
                message.verify(&self.theirs)?;
                if std::mem::replace(&mut self.up, true) {
                    return Ok(Heard::Nothing);
                }
                self.next = now + Duration::from_millis(rand::random_range(CONSENT_MS));
                Ok(Heard::Up)
            }
            _ => Ok(Heard::Nothing),
        }
    }
}

/// Room for one check.
pub(super) const fn check_buffer() -> [u8; CHECK_BYTES] {
    [0; CHECK_BYTES]
}
