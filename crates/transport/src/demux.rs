//! Which session a datagram belongs to and which protocol it speaks.
//!
//! [`Kind::of`] tells protocols apart by their first byte (RFC 7983, RFC 5761). [`Routes`] finds
//! the session: of a connectivity check by the user name fragment that it is addressed to, of
//! everything else by the path that such a check proved before. There is no third way: a datagram
//! from a source that is not proved belongs to nobody, whatever SSRC or cookie it shows.

use std::collections::HashMap;

use crosspoint_media::config::SessionKey;
use crosspoint_wire::rtp::is_rtcp;
use foldhash::fast::RandomState;

use crate::path::Path;

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Connectivity checks.
    Stun,
    /// Handshake and data channels.
    Dtls,
    /// Media.
    Rtp,
    /// Feedback and reports.
    Rtcp,
}

impl Kind {
    /// The protocol of a datagram; `None` if it is none of ours (empty, ZRTP, TURN channel data,
    /// QUIC).
    pub(crate) fn of(datagram: &[u8]) -> Option<Self> {
        match datagram.first()? {
            0..=3 => Some(Self::Stun),
            20..=63 => Some(Self::Dtls),
            128..=191 if is_rtcp(datagram) => Some(Self::Rtcp),
            128..=191 => Some(Self::Rtp),
            _ => None,
        }
    }
}

/// The tables from which sessions are found. Both hold only what `control` or an authenticated
/// check put there, so nobody can choose keys that collide.
#[derive(Default)]
pub(crate) struct Routes {
    ufrags: HashMap<String, SessionKey>,
    paths: HashMap<Path, SessionKey, RandomState>,
}

impl Routes {
    /// The session that a check is addressed to.
    pub(crate) fn by_ufrag(&self, ufrag: &str) -> Option<SessionKey> {
        self.ufrags.get(ufrag).copied()
    }

    /// The session that proved the path.
    pub(crate) fn by_path(&self, path: &Path) -> Option<SessionKey> {
        self.paths.get(path).copied()
    }

    /// Lets checks with this fragment reach a session. `false` if another session has it.
    pub(crate) fn add_ufrag(&mut self, ufrag: &str, session: SessionKey) -> bool {
        *self.ufrags.entry(ufrag.to_owned()).or_insert(session) == session
    }

    /// Takes a fragment away again. `false` if it was another session's.
    pub(crate) fn remove_ufrag(&mut self, ufrag: &str, session: SessionKey) -> bool {
        let own = self.by_ufrag(ufrag) == Some(session);
        if own {
            self.ufrags.remove(ufrag);
        }
        own
    }

    /// Gives a proved path to a session. Returns the other session that had it before: behind
    /// one NAT, or on one host, addresses are used again.
    pub(crate) fn add_path(&mut self, path: Path, session: SessionKey) -> Option<SessionKey> {
        let before = self.paths.insert(path, session);
        before.filter(|before| *before != session)
    }

    /// How many fragments and paths there are.
    #[cfg(test)]
    pub(crate) fn footprint(&self) -> (usize, usize) {
        (self.ufrags.len(), self.paths.len())
    }

    /// Takes a path away from a session.
    pub(crate) fn remove_path(&mut self, path: &Path, session: SessionKey) {
        if self.by_path(path) == Some(session) {
            self.paths.remove(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Link;

    #[test]
    fn first_byte_tells_the_protocol() {
        let kinds: Vec<_> = (0..=255).map(|first| Kind::of(&[first, 96])).collect();
        for (first, kind) in kinds.into_iter().enumerate() {
            let expected = match first {
                0..=3 => Some(Kind::Stun),
                20..=63 => Some(Kind::Dtls),
                128..=191 => Some(Kind::Rtp),
                _ => None,
            };
            assert_eq!(kind, expected, "{first}");
        }
        assert_eq!(Kind::of(&[]), None);
    }

    #[test]
    fn second_byte_tells_rtcp_from_rtp() {
        for second in 0..=255 {
            let expected = if (192..=223).contains(&second) {
                Kind::Rtcp
            } else {
                Kind::Rtp
            };
            assert_eq!(Kind::of(&[128, second]), Some(expected), "{second}");
        }
    }

    #[test]
    fn a_path_belongs_to_the_session_that_proved_it_last() {
        let path = Path {
            link: Link::Udp(0),
            remote: ([127, 0, 0, 1], 9).into(),
        };
        let other_link = Path {
            link: Link::Udp(1),
            ..path
        };
        let (first, second) = (SessionKey(1), SessionKey(2));
        let mut routes = Routes::default();
        assert_eq!(routes.add_path(path, first), None);
        assert_eq!(routes.add_path(path, first), None);
        assert_eq!(routes.by_path(&other_link), None);
        assert_eq!(routes.add_path(path, second), Some(first));
        routes.remove_path(&path, first);
        assert_eq!(routes.by_path(&path), Some(second));
        routes.remove_path(&path, second);
        assert_eq!(routes.by_path(&path), None);
    }

    #[test]
    fn a_fragment_stays_with_its_first_session() {
        let mut routes = Routes::default();
        assert!(routes.add_ufrag("abcd", SessionKey(1)));
        assert!(!routes.add_ufrag("abcd", SessionKey(2)));
        assert!(!routes.remove_ufrag("abcd", SessionKey(2)));
        assert_eq!(routes.by_ufrag("abcd"), Some(SessionKey(1)));
    }
}
