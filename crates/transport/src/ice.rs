//! The ICE-lite responder of one session (RFC 8445 §2.5): answers connectivity checks and keeps
//! the paths that they proved.
//!
//! A path counts once a check on it carried a MESSAGE-INTEGRITY made with our password. That opens
//! it for DTLS at once, whether or not it is nominated: Chromium nominates with its second check
//! only, some 50 ms later. Everything else goes to the path that was nominated last; before any
//! nomination to the one that was checked last. So a peer that changes its address is followed as
//! soon as it nominates the new one, with the same credentials or after an ICE restart.
//!
//! A check that does not authenticate changes nothing and is not answered; it could come from
//! anyone, and its sender address need not be true.
//!
//! It sends no checks of its own, gathers nothing and has no socket: messages in, replies out.

use std::time::Duration;

use crosspoint_wire::stun::{Class, ErrorCode, Key, Message, REPLY_BYTES_MAX, Role, Writer};
use crosspoint_wire::time::Time;

use crate::api::IceCredentials;
use crate::path::Path;

#[cfg(test)]
mod tests;

/// Most paths kept per session; of more, the one checked longest ago is forgotten. A peer with
/// four interfaces and both address families stays below.
pub(crate) const PATHS_MAX: usize = 8;

/// Quiet for this long, a session is reported as interrupted.
const QUIET_MIN: Duration = Duration::from_secs(5);

/// Quiet for this long, a session is reported as interrupted even if its peer checks seldom.
const QUIET_MAX: Duration = Duration::from_secs(10);

/// A path that was proved within this time is still its session's: nobody else can take it. Longer
/// than peers wait between checks (RFC 7675 §5.1: 6 s), short for whoever gets the address next.
const HOLD: Duration = Duration::from_secs(7);

/// Why a check was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Not a request. Lite agents ask nothing, so no answer is expected either.
    NotARequest,
    /// No USERNAME, or not ours and theirs.
    UnknownUser,
    /// MESSAGE-INTEGRITY is missing or was made without our password.
    Unauthenticated,
}

/// What an authenticated check brought about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// Length of the reply.
    pub(crate) reply_len: usize,
    /// Whether the check's path is proved by it (a refused role proves nothing).
    pub(crate) proved: bool,
    /// A path that was forgotten in exchange.
    pub(crate) forgotten: Option<Path>,
    /// Our previous user name fragment: the check used the credentials of an ICE restart, so the
    /// old ones are void.
    pub(crate) retired: Option<String>,
}

/// Credentials of both sides.
struct Credentials {
    ours: String,
    theirs: String,
    key: Key,
}

impl Credentials {
    fn new(local: &IceCredentials, remote: &IceCredentials) -> Self {
        Self {
            ours: local.ufrag.clone(),
            theirs: remote.ufrag.clone(),
            key: Key::new(&local.pwd),
        }
    }

    fn admit(&self, message: &Message<'_>) -> Result<(), Refused> {
        if message.ufrags() != Some((&self.ours, &self.theirs)) {
            return Err(Refused::UnknownUser);
        }
        let verified = message.verify(&self.key);
        verified.map_err(|_| Refused::Unauthenticated)
    }
}

struct Proved {
    path: Path,
    checked: Time,
}

/// ICE state of one session.
pub(crate) struct Agent {
    current: Credentials,
    /// After a restart, until the first check with them.
    next: Option<Credentials>,
    paths: Vec<Proved>,
    selected: Option<Path>,
    nominated: bool,
    /// The last authenticated check; before any, the session's start.
    checked: Time,
    /// Between the last two checks.
    interval: Duration,
}

impl Agent {
    /// Before any check.
    pub(crate) fn new(now: Time, local: &IceCredentials, remote: &IceCredentials) -> Self {
        Self {
            current: Credentials::new(local, remote),
            next: None,
            paths: Vec::with_capacity(1),
            selected: None,
            nominated: false,
            checked: now,
            interval: Duration::ZERO,
        }
    }

    /// Accepts new credentials beside the current ones, until a check with the new ones arrives.
    /// Returns the fragment of a restart that this one replaces.
    pub(crate) fn restart(
        &mut self,
        local: &IceCredentials,
        remote: &IceCredentials,
    ) -> Option<String> {
        let next = Credentials::new(local, remote);
        self.next.replace(next).map(|replaced| replaced.ours)
    }

    /// Our fragments that checks may carry: one, or two during a restart.
    pub(crate) fn ufrags(&self) -> impl Iterator<Item = &str> {
        let credentials = std::iter::once(&self.current).chain(&self.next);
        credentials.map(|credentials| credentials.ours.as_str())
    }

    /// Where to send.
    pub(crate) const fn selected(&self) -> Option<Path> {
        self.selected
    }

    /// All proved paths.
    pub(crate) fn paths(&self) -> impl Iterator<Item = Path> {
        self.paths.iter().map(|proved| proved.path)
    }

    /// Takes one check that arrived on `path` and writes the reply.
    ///
    /// # Errors
    ///
    /// [`Refused`]: nothing has changed and nothing is to be answered.
    pub(crate) fn check(
        &mut self,
        now: Time,
        path: Path,
        message: &Message<'_>,
        reply: &mut [u8; REPLY_BYTES_MAX],
    ) -> Result<Accepted, Refused> {
        if message.class() != Class::Request {
            return Err(Refused::NotARequest);
        }
        let retired = self.authenticate(message)?;
        self.interval = now.since(self.checked);
        self.checked = now;

        let refusal = if !message.unknown_attributes().is_empty() {
            Some(ErrorCode::UnknownAttribute)
        } else if message.role() == Some(Role::Controlled) {
            // Lite agents are always the controlled ones (RFC 8445 §6.1.1).
            Some(ErrorCode::RoleConflict)
        } else {
            None
        };
        let forgotten = if refusal.is_none() {
            self.prove(now, path, message.use_candidate())
        } else {
            None
        };
        Ok(Accepted {
            reply_len: self.write_reply(path, message, refusal, reply),
            proved: refusal.is_none(),
            forgotten,
            retired,
        })
    }

    /// Returns the fragment that is void from now on.
    fn authenticate(&mut self, message: &Message<'_>) -> Result<Option<String>, Refused> {
        let refused = match self.current.admit(message) {
            Ok(()) => return Ok(None),
            Err(refused) => refused,
        };
        let Some(next) = self.next.take_if(|next| next.admit(message).is_ok()) else {
            return Err(refused);
        };
        let old = std::mem::replace(&mut self.current, next);
        Ok(Some(old.ours))
    }

    /// Notes that `path` works. Returns a path that was forgotten for it.
    fn prove(&mut self, now: Time, path: Path, nominated: bool) -> Option<Path> {
        if nominated || !self.nominated {
            self.selected = Some(path);
            self.nominated = nominated;
        }
        if let Some(known) = self.paths.iter_mut().find(|known| known.path == path) {
            known.checked = now;
            return None;
        }
        let forgotten = if self.paths.len() < PATHS_MAX {
            None
        } else {
            let spare = self.paths.iter().map(|known| (known.checked, known.path));
            let spare = spare.filter(|(_, path)| self.selected != Some(*path));
            spare
                .min_by_key(|(checked, _)| *checked)
                .map(|(_, path)| path)
        };
        if let Some(forgotten) = forgotten {
            self.paths.retain(|known| known.path != forgotten);
        }
        self.paths.push(Proved { path, checked: now });
        forgotten
    }

    fn write_reply(
        &self,
        path: Path,
        message: &Message<'_>,
        refusal: Option<ErrorCode>,
        reply: &mut [u8; REPLY_BYTES_MAX],
    ) -> usize {
        let transaction = message.transaction();
        let writer = match refusal {
            None => Writer::new(reply, Class::Success, transaction).mapped_address(path.remote),
            Some(code) => {
                let writer = Writer::new(reply, Class::Error, transaction).error(code);
                match code {
                    ErrorCode::UnknownAttribute => {
                        writer.unknown_attributes(message.unknown_attributes())
                    }
                    ErrorCode::RoleConflict => writer,
                }
            }
        };
        let written = writer.finish(&self.current.key);
        debug_assert!(written.is_ok(), "a reply exceeds REPLY_BYTES_MAX");
        written.unwrap_or(0)
    }

    /// Whether the session still needs the path, as far as one can tell.
    pub(crate) fn holds(&self, path: Path, now: Time) -> bool {
        let mut paths = self.paths.iter();
        paths.any(|known| known.path == path && now.since(known.checked) < HOLD)
    }

    /// Forgets a path: its connection is gone, or its address now belongs to another session.
    pub(crate) fn forget(&mut self, path: Path) {
        self.paths.retain(|known| known.path != path);
        if self.selected == Some(path) {
            let latest = self.paths.iter().max_by_key(|known| known.checked);
            self.selected = latest.map(|known| known.path);
            self.nominated = false;
        }
    }

    /// When the last authenticated check came; before any, when the session began.
    pub(crate) const fn last_check(&self) -> Time {
        self.checked
    }

    /// How long after the last sign of life the session counts as interrupted: 5 s, but twice
    /// the interval of a peer that checks less often. RFC 7675 §5.1 has peers check every
    /// 4 to 6 s, and Firefox does just that.
    pub(crate) fn quiet_limit(&self) -> Duration {
        (self.interval * 2).clamp(QUIET_MIN, QUIET_MAX)
    }
}
