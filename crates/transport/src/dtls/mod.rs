//! DTLS, passive side: one handshake per session, then SRTP keys and the records of SCTP.
//!
//! Sans-IO around `dimpl`, which has the protocol; here is what a server of WebRTC adds to it:
//!
//! - The certificate must match a fingerprint of the offer before any key is handed out
//!   (RFC 8827 §6.5, RFC 8122).
//! - Nothing that is not authenticated ends a session. An error of the stack before the handshake
//!   is done may be the work of a datagram that somebody else sent: it costs the attempt, and the
//!   peer's next ClientHello begins another one, until [`HANDSHAKE_TIMEOUT`].
//! - Bounds: of a datagram's size and, by the stack's queue, of the handshake messages that wait
//!   to be put together (30 datagrams, 60 KiB).
//!
//! The server sends no cookie: datagrams come from sources that ICE has authenticated. In DTLS 1.2
//! the stack prefers AES-256-GCM, AES-128-GCM, AES-CM in this order, whatever the client's order.

mod identity;
mod records;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Dtls, Error as StackError, SecurityError, SrtpProfile};
use tracing::debug;

pub use self::identity::{DtlsIdentity, IdentityError};
use crate::api::{DtlsVersions, Fingerprint};
use crate::srtp::{Inbound, Keys, Outbound, Profile, SrtpError};

/// From a session's first DTLS datagram to the end of its handshake.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest datagram that is taken, in bytes.
pub const MAX_DATAGRAM: usize = 2048;

/// What [`DtlsServer::poll`] writes into. The largest output is not a datagram but the peer's
/// certificate, as long as all datagrams that may wait for it; a worker needs one buffer.
pub type PollBuffer = [u8; 64 * 1024];

/// After an attempt failed, datagrams are ignored for so long. It bounds what it costs us when
/// somebody makes all of them fail, and is shorter than any client's time to its next ClientHello.
const RESTART_PAUSE: Duration = Duration::from_millis(20);

/// An attempt whose ClientHello is not whole after so long is given up when the next datagram
/// comes: a fragment of a forged one would keep the peer's own out for ever.
const HELLO_PATIENCE: Duration = Duration::from_millis(300);

/// What to do next.
pub enum Output<'a> {
    /// Send this datagram to the peer.
    Transmit(&'a [u8]),
    /// The handshake is done and the peer is who its offer said.
    Connected(Box<Secured>),
    /// Something the peer sent inside DTLS: an SCTP packet.
    Data(&'a [u8]),
    /// The peer closed the connection by an authenticated alert. Last output.
    Closed,
    /// There will be no connection, or no longer. Last output.
    Failed(DtlsFailure),
    /// Nothing until the next input or [`DtlsServer::next_timeout`].
    Idle,
}

/// SRTP both ways.
pub struct Secured {
    /// The profile that was negotiated.
    pub profile: Profile,
    /// For what the peer sends.
    pub inbound: Inbound,
    /// For what we send.
    pub outbound: Outbound,
}

/// Why a handshake or a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DtlsFailure {
    /// The peer proved a certificate that its offer did not name.
    #[error("the certificate matches no fingerprint of the offer")]
    FingerprintMismatch,
    /// The peer offered no SRTP profile that we have.
    #[error("no common SRTP protection profile")]
    NoSrtpProfile,
    /// No handshake within [`HANDSHAKE_TIMEOUT`]. A peer without certificate ends here.
    #[error("the handshake took too long")]
    Timeout,
    /// The connection broke after its handshake.
    #[error("the DTLS connection broke")]
    Broken,
}

/// The record was not sent: there is no connection, or its queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no DTLS connection, or its queue is full")]
pub struct NotSent;

/// The server's end of one session's DTLS connection.
///
/// After each call of [`Self::handle_datagram`], [`Self::handle_timeout`], [`Self::send`] and
/// [`Self::close`], call [`Self::poll`] until it is [`Output::Idle`].
pub struct DtlsServer {
    identity: Arc<DtlsIdentity>,
    versions: DtlsVersions,
    fingerprints: Vec<Fingerprint>,
    stack: Dtls,
    state: State,
    /// When the stack wants to be woken.
    wake: Option<Instant>,
}

enum State {
    Handshake(Handshake),
    Connected,
    /// Our close_notify is on its way out.
    Closing,
    /// To be told by the next poll.
    Ending(End),
    Over,
}

#[derive(Clone, Copy)]
enum End {
    Closed,
    Failed(DtlsFailure),
}

#[derive(Clone, Copy, Default)]
struct Handshake {
    /// From the first datagram on.
    deadline: Option<Instant>,
    /// When the next attempt may begin, after one that failed.
    pause_end: Option<Instant>,
    /// Since when this attempt has had datagrams, until it has answered them.
    unanswered_since: Option<Instant>,
    answered: bool,
    /// Whether the certificate that the peer showed is the one of its offer.
    certificate_matches: bool,
    /// Whether the stack said that the peer has proved it.
    finished: bool,
}

impl DtlsServer {
    /// Waits for the ClientHello of a peer whose certificate has one of these digests.
    pub fn new(
        identity: Arc<DtlsIdentity>,
        versions: DtlsVersions,
        fingerprints: Vec<Fingerprint>,
        now: Instant,
    ) -> Self {
        Self {
            stack: stack(&identity, versions, now),
            identity,
            versions,
            fingerprints,
            state: State::Handshake(Handshake::default()),
            wake: None,
        }
    }

    /// Takes a datagram from the peer. Whether it was given to the stack: not so if it is too
    /// long, carries a plaintext alert, or comes right after an attempt that failed.
    pub fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) -> bool {
        let handshake = match &mut self.state {
            State::Handshake(handshake) => Some(handshake),
            State::Connected => None,
            State::Closing | State::Ending(_) | State::Over => return false,
        };
        if let Some(handshake) = handshake {
            handshake.deadline.get_or_insert(now + HANDSHAKE_TIMEOUT);
            if handshake.pause_end.is_some_and(|end| now < end) {
                return false;
            }
            let since = *handshake.unanswered_since.get_or_insert(now);
            if !handshake.answered && now.saturating_duration_since(since) > HELLO_PATIENCE {
                handshake.unanswered_since = Some(now);
                self.stack = stack(&self.identity, self.versions, now);
            }
        }
        if datagram.len() > MAX_DATAGRAM || records::carry_plaintext_alert(datagram) {
            return false;
        }
        let result = self
            .stack
            .handle_timeout(now)
            .and_then(|()| self.stack.handle_packet(datagram));
        self.note(now, result);
        true
    }

    /// Retransmits what is due; ends a handshake that took too long.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Handshake(handshake) => {
                if handshake.deadline.is_some_and(|deadline| now >= deadline) {
                    self.state = State::Ending(End::Failed(DtlsFailure::Timeout));
                    return;
                }
            }
            State::Connected => {}
            State::Closing | State::Ending(_) | State::Over => return,
        }
        let result = self.stack.handle_timeout(now);
        self.note(now, result);
    }

    /// When [`Self::handle_timeout`] is due. To be asked after [`Self::poll`].
    pub fn next_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Handshake(handshake) => {
                [self.wake, handshake.deadline].into_iter().flatten().min()
            }
            State::Connected => self.wake,
            State::Closing | State::Ending(_) | State::Over => None,
        }
    }

    /// Encrypts one record with `data`, an SCTP packet.
    pub fn send(&mut self, data: &[u8]) -> Result<(), NotSent> {
        match self.state {
            State::Connected => match self.stack.send_application_data(data) {
                Ok(_) => Ok(()),
                Err(_) => Err(NotSent),
            },
            _ => Err(NotSent),
        }
    }

    /// Ends the connection by a close_notify, if there is one. Nothing is taken any more.
    pub fn close(&mut self) {
        self.state = match self.state {
            State::Connected if self.stack.close().is_ok() => State::Closing,
            _ => State::Over,
        };
    }

    /// Whether the handshake is done and the connection stands.
    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected)
    }

    /// What to do next, until it is [`Output::Idle`].
    pub fn poll<'a>(&mut self, buffer: &'a mut PollBuffer) -> Output<'a> {
        let step = self.step(buffer);
        let written = |len| buffer.get(..len).unwrap_or_default();
        match step {
            Step::Transmit(len) => Output::Transmit(written(len)),
            Step::Data(len) => Output::Data(written(len)),
            Step::Connected(secured) => Output::Connected(secured),
            Step::Closed => Output::Closed,
            Step::Failed(failure) => Output::Failed(failure),
            Step::Idle => Output::Idle,
        }
    }

    fn step(&mut self, buffer: &mut PollBuffer) -> Step {
        loop {
            match self.state {
                State::Ending(end) => {
                    self.state = State::Over;
                    return match end {
                        End::Closed => Step::Closed,
                        End::Failed(failure) => Step::Failed(failure),
                    };
                }
                State::Over => return Step::Idle,
                State::Handshake(_) | State::Connected | State::Closing => {}
            }
            match self.stack.poll_output(buffer) {
                dimpl::Output::Packet(packet) => {
                    let len = packet.len();
                    if let State::Handshake(handshake) = &mut self.state {
                        handshake.answered = true;
                    }
                    return Step::Transmit(len);
                }
                dimpl::Output::PeerCert(der) => {
                    let matches = self.fingerprints.iter().any(|it| identity::is_of(it, der));
                    if let State::Handshake(handshake) = &mut self.state {
                        handshake.certificate_matches = matches;
                    }
                }
                // Only here has the peer proved that the certificate is its own, so only here
                // does the wrong one end the session.
                dimpl::Output::Connected => {
                    if let State::Handshake(handshake) = &mut self.state {
                        handshake.finished = true;
                        if !handshake.certificate_matches {
                            self.state =
                                State::Ending(End::Failed(DtlsFailure::FingerprintMismatch));
                        }
                    }
                }
                dimpl::Output::KeyingMaterial(material, profile) => {
                    if let State::Handshake(Handshake {
                        finished: true,
                        certificate_matches: true,
                        ..
                    }) = self.state
                    {
                        match secure(&material, profile) {
                            Ok(secured) => {
                                self.state = State::Connected;
                                return Step::Connected(Box::new(secured));
                            }
                            Err(_) => {
                                self.state = State::Ending(End::Failed(DtlsFailure::NoSrtpProfile))
                            }
                        }
                    }
                }
                dimpl::Output::ApplicationData(data) => {
                    if matches!(self.state, State::Connected) {
                        return Step::Data(data.len());
                    }
                }
                dimpl::Output::CloseNotify => {
                    self.state = State::Over;
                    return Step::Closed;
                }
                dimpl::Output::Timeout(wake) => {
                    self.wake = Some(wake);
                    match self.state {
                        // Keys follow the end of the handshake at once, if there are any.
                        State::Handshake(Handshake { finished: true, .. }) => {
                            self.state = State::Ending(End::Failed(DtlsFailure::NoSrtpProfile));
                        }
                        _ => return Step::Idle,
                    }
                }
                // Cannot be: the buffer holds whatever fits into the stack's queues.
                dimpl::Output::BufferTooSmall { .. } => {
                    self.state = State::Ending(End::Failed(DtlsFailure::Broken));
                }
                _ => {}
            }
        }
    }

    /// Judges an error of the stack, after which that stack is not to be used any more.
    fn note(&mut self, now: Instant, result: Result<(), StackError>) {
        let Err(error) = result else {
            return;
        };
        match self.state {
            State::Handshake(handshake) if !handshake.finished => {
                debug!(%error, "DTLS attempt failed");
                self.stack = stack(&self.identity, self.versions, now);
                self.wake = Some(now);
                self.state = State::Handshake(Handshake {
                    deadline: handshake.deadline,
                    pause_end: Some(now + RESTART_PAUSE),
                    ..Handshake::default()
                });
            }
            // Records are authenticated now, and so is what the stack makes of them.
            State::Handshake(_) | State::Connected => {
                debug!(%error, "DTLS connection broke");
                self.state = State::Ending(match error {
                    StackError::SecurityError(SecurityError::FatalAlert { .. }) => End::Closed,
                    _ => End::Failed(DtlsFailure::Broken),
                });
            }
            State::Closing | State::Ending(_) | State::Over => {}
        }
    }
}

/// [`Output`] with lengths instead of borrows.
enum Step {
    Transmit(usize),
    Connected(Box<Secured>),
    Data(usize),
    Closed,
    Failed(DtlsFailure),
    Idle,
}

/// A stack that waits for a ClientHello.
fn stack(identity: &DtlsIdentity, versions: DtlsVersions, now: Instant) -> Dtls {
    let (config, certificate) = (Arc::clone(&identity.config), identity.certificate.clone());
    let mut stack = match versions {
        DtlsVersions::V12 => Dtls::new_12(config, certificate, now),
        DtlsVersions::Auto => Dtls::new_auto(config, certificate, now),
    };
    // Before its first timeout the stack has no random number, and panics for want of it when a
    // ClientHello comes first. The call cannot fail: nothing is under way.
    let primed = stack.handle_timeout(now);
    debug_assert!(primed.is_ok(), "a new stack takes its first timeout");
    stack
}

fn secure(material: &[u8], profile: SrtpProfile) -> Result<Secured, SrtpError> {
    let profile = match profile {
        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
        SrtpProfile::AES128_CM_SHA1_80 => Profile::Aes128CmSha1,
        _ => return Err(SrtpError::BadKey),
    };
    let keys = Keys::from_exporter(profile, material)?;
    Ok(Secured {
        profile,
        inbound: Inbound::new(&keys.client)?,
        outbound: Outbound::new(&keys.server)?,
    })
}
