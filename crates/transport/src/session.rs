//! One peer's transport: which paths work, the DTLS connection, the SRTP keys, and the clocks that
//! end it.
//!
//! It decides nothing about media and owns no socket; the worker moves bytes between it, the
//! sockets and the engine.

use std::time::Duration;

use crosspoint_media::config::{SessionId, SessionKey};
use crosspoint_wire::time::Time;

use crate::api::CloseReason;
use crate::dtls::{DtlsServer, Secured};
use crate::ice::Agent;
use crate::sctp::DataChannels;
use crate::udp::RunHint;

/// Limits that all sessions share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For ICE and DTLS to come up.
    pub(crate) connect: Duration,
    /// For the next authenticated check (RFC 7675).
    pub(crate) consent: Duration,
}

/// What time has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lapse {
    /// The session is over.
    Close(CloseReason),
    /// Nothing authenticated came for some seconds.
    Interrupted,
}

/// State of one session.
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) key: SessionKey,
    pub(crate) ice: Agent,
    pub(crate) dtls: DtlsServer,
    /// `None` until the handshake is done.
    pub(crate) secured: Option<Box<Secured>>,
    /// From the peer's first packet inside DTLS on; most sessions never have one.
    pub(crate) channels: Option<Box<DataChannels>>,
    /// Which send its next packet may join.
    pub(crate) run: RunHint,
    /// The timer entry that is valid.
    pub(crate) scheduled: Time,
    /// Bytes of SRTP and SRTCP that arrived, authentic ones only, and that left.
    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
    opened: Time,
    /// When the last packet arrived that SRTP authenticated.
    heard: Time,
    interrupted: bool,
}

impl Session {
    /// Before anything has happened.
    pub(crate) fn new(
        now: Time,
        id: SessionId,
        key: SessionKey,
        ice: Agent,
        dtls: DtlsServer,
    ) -> Self {
        Self {
            id,
            key,
            ice,
            dtls,
            secured: None,
            channels: None,
            run: RunHint::default(),
            scheduled: Time::NEVER,
            bytes_received: 0,
            bytes_sent: 0,
            opened: now,
            heard: now,
            interrupted: false,
        }
    }

    /// Something authenticated came. `true` if the session was reported as interrupted.
    pub(crate) fn note_alive(&mut self, now: Time) -> bool {
        self.heard = now;
        std::mem::take(&mut self.interrupted)
    }

    /// When [`Session::lapse`] has something to say, if nothing comes until then.
    pub(crate) fn next_lapse(&self, patience: Patience) -> Time {
        if self.secured.is_none() {
            return self.opened + patience.connect;
        }
        let consent = self.ice.last_check() + patience.consent;
        if self.interrupted {
            consent
        } else {
            consent.min(self.quiet_from())
        }
    }

    /// What the time that passed means.
    pub(crate) fn lapse(&mut self, now: Time, patience: Patience) -> Option<Lapse> {
        if self.secured.is_none() {
            let late = now >= self.opened + patience.connect;
            return late.then_some(Lapse::Close(CloseReason::ConnectTimeout));
        }
        if now >= self.ice.last_check() + patience.consent {
            return Some(Lapse::Close(CloseReason::ConsentExpired));
        }
        if !self.interrupted && now >= self.quiet_from() {
            self.interrupted = true;
            return Some(Lapse::Interrupted);
        }
        None
    }

    fn quiet_from(&self) -> Time {
        self.heard.max(self.ice.last_check()) + self.ice.quiet_limit()
    }
}
