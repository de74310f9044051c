//! What the control plane says to workers and hears from them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use crosspoint_media::command::{Command as MediaCommand, CommandError};
use crosspoint_media::config::{RelayId, RoomId, SessionId, TrackId};
use crosspoint_media::event::Event as MediaEvent;
use crosspoint_media::explain::Explanation;
use crosspoint_media::inspect::{Keyframe, SessionReport};
use crosspoint_media::tap::TapDoor;
use tokio::sync::oneshot;

/// Settings of the media transport, fixed at start.
#[derive(Clone, Debug)]
pub struct TransportConfig {
    /// Number of worker threads, at least 1.
    pub workers: usize,
    /// Local addresses to bind on, e.g. `0.0.0.0` and `::`; each worker binds all of them. If
    /// addresses of this machine are advertised, UDP binds those instead of an unspecified one, so that answers leave from where questions went to. `::` is left out where there is no
    /// IPv6.
    pub bind: Vec<IpAddr>,
    /// UDP port of worker 0; worker n has `udp_port + n`. 0: any free port for each.
    pub udp_port: u16,
    /// ICE-TCP port common to all workers (RFC 6544, passive); `None`: off; 0: any free port.
    pub tcp_port: Option<u16>,
    /// Addresses written into candidates: the host's own, or the public side of a 1:1 NAT.
    pub advertised: Vec<IpAddr>,
    /// Versions of DTLS that are offered.
    pub dtls: DtlsVersions,
    /// A session without an authenticated STUN check for this long is closed, e.g. 15 s.
    pub consent_timeout: Duration,
    /// A session that is not connected this long after its creation is closed, e.g. 30 s.
    pub connect_timeout: Duration,
    /// Pin worker threads to cores.
    pub pin: bool,
    /// Settings of the engines.
    pub engine: crosspoint_media::config::EngineConfig,
}

/// Which versions of DTLS a worker accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DtlsVersions {
    /// 1.2 only: the server chooses the SRTP profile, so browsers get AEAD.
    #[default]
    V12,
    /// 1.2 or 1.3, as the client's hello says.
    Auto,
}

/// Index of a worker, 0-based.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u16);

/// ICE credentials (RFC 8445 §5.3).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// User name fragment, 4 to 256 characters.
    pub ufrag: String,
    /// Password, 22 to 256 characters.
    pub pwd: String,
}

impl std::fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceCredentials")
            .field("ufrag", &self.ufrag)
            .finish_non_exhaustive()
    }
}

/// Digest of a certificate (RFC 8122). Only SHA-256, SHA-384 and SHA-512 are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Which digest.
    pub algorithm: FingerprintAlgorithm,
    /// Its bytes: 32, 48 or 64.
    pub digest: Vec<u8>,
}

/// Digests accepted in `a=fingerprint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FingerprintAlgorithm {
    /// 32 bytes.
    Sha256,
    /// 48 bytes.
    Sha384,
    /// 64 bytes.
    Sha512,
}

/// One of our candidates, as written into answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// UDP, or TCP passive.
    pub protocol: Protocol,
    /// Advertised address and port.
    pub address: SocketAddr,
}

/// Transport protocol of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Datagrams.
    Udp,
    /// RFC 6544, passive side, RFC 4571 framing.
    TcpPassive,
}

/// What a worker is told.
#[derive(Debug)]
pub enum Command {
    /// Opens a transport for a session, to be followed by `Media(PutSession)`.
    OpenSession {
        /// The session.
        session: SessionId,
        /// Our credentials, as written in the answer.
        local: IceCredentials,
        /// The peer's credentials, from its offer.
        remote: IceCredentials,
        /// Certificate digests from the peer's offer; the peer's certificate must match one.
        fingerprints: Vec<Fingerprint>,
    },
    /// Takes new credentials of both sides (ICE restart, RFC 8445 §9). The old ones and the
    /// selected address stay in use until a check with the new ones arrives.
    RestartIce {
        /// The session.
        session: SessionId,
        /// Our new credentials.
        local: IceCredentials,
        /// The peer's new credentials.
        remote: IceCredentials,
    },
    /// Closes a session: DTLS close_notify, then everything is forgotten.
    CloseSession {
        /// The session.
        session: SessionId,
    },
    /// A command for the engine; the outcome is sent on `reply` if there is one.
    Media(
        MediaCommand,
        Option<oneshot::Sender<Result<(), CommandError>>>,
    ),
    /// Carries a relay's messages to and from the worker that has its other end, or stops to.
    RouteRelay {
        /// The relay.
        relay: RelayId,
        /// The worker with the other end; `None` to stop.
        peer: Option<WorkerId>,
    },
    /// Carries a relay's messages to a recorder, or stops to.
    RouteTap {
        /// The relay.
        relay: RelayId,
        /// The recorder; `None` to stop.
        door: Option<TapDoor>,
    },
    /// Sends an application message on the session's data channel of that reliability.
    /// Dropped and counted when there is no such channel or its queue is full.
    SendData {
        /// The session.
        session: SessionId,
        /// Reliability.
        channel: DataChannelKind,
        /// At most 64 KiB.
        payload: Bytes,
        /// Whether to send as a text message (PPID 51) rather than binary (53).
        text: bool,
    },
    /// Asks why a session's picture of a track is as it is; `None` is answered when there is no
    /// such session or track.
    Explain {
        /// The viewer.
        session: SessionId,
        /// The track.
        track: TrackId,
        /// Where the answer goes.
        reply: oneshot::Sender<Option<Explanation>>,
    },
    /// Asks for counters and per-session state.
    Report(oneshot::Sender<WorkerReport>),
    /// Asks what flows in some sessions; those that are not open are left out. A few dozen at a time,
    /// since packets wait for the answer.
    Inspect {
        /// Which sessions.
        sessions: Vec<SessionId>,
        /// Where to answer.
        reply: oneshot::Sender<Vec<ConnectionReport>>,
    },
    /// Asks for the newest whole keyframe of a track that is still in the cache.
    Keyframe {
        /// Which track.
        track: TrackId,
        /// Where to answer.
        reply: oneshot::Sender<Option<Keyframe>>,
    },
    /// Panics, to see what becomes of it.
    #[cfg(test)]
    Panic,
}

/// A worker's command queue is full: it is overloaded or stuck. The command was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker's command queue is full")]
pub struct QueueFull;

impl QueueFull {
    /// Stable name, the same in metrics, logs and problem types.
    #[must_use]
    pub const fn label(self) -> &'static str {
        "queue_full"
    }
}

/// Why the transport did not start. Nothing is left running then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// A number of workers that cannot be, or no address to bind to.
    #[error("{0}")]
    Config(&'static str),
    /// A socket could not be bound.
    #[error("cannot bind {protocol} {address}: {source}")]
    Bind {
        /// `UDP` or `TCP`.
        protocol: &'static str,
        /// Where to.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// No certificate could be made.
    #[error(transparent)]
    Identity(#[from] crate::dtls::IdentityError),
    /// Threads or pollers could not be made.
    #[error("cannot start a worker: {0}")]
    Start(std::io::Error),
}

impl TransportError {
    /// Stable name, the same in metrics, logs and problem types.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Config(_) => "config",
            Self::Bind { .. } => "bind",
            Self::Identity(_) => "identity",
            Self::Start(_) => "start",
        }
    }
}

/// Which of a session's data channels a message came by or goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataChannelKind {
    /// Ordered and retransmitted.
    Reliable,
    /// Neither.
    Unreliable,
}

/// What a worker tells.
#[derive(Debug)]
pub enum Event {
    /// ICE and DTLS are up; media flows from now on.
    Connected {
        /// The session.
        session: SessionId,
        /// SRTP protection profile as in `RTCStats.srtpCipher`, e.g. `AEAD_AES_256_GCM`.
        srtp_profile: &'static str,
    },
    /// No authenticated check or packet for 5 s (`true`), or something again (`false`). Up to 10 s
    /// for peers that check less often than each 2.5 s.
    Interrupted {
        /// The session.
        session: SessionId,
        /// Interrupted or restored.
        interrupted: bool,
    },
    /// The worker closed the session by itself.
    Closed {
        /// The session.
        session: SessionId,
        /// Why.
        reason: CloseReason,
    },
    /// A data channel came up.
    DataOpen {
        /// The session.
        session: SessionId,
        /// Reliability.
        channel: DataChannelKind,
    },
    /// An application message arrived on a data channel.
    Data {
        /// The session.
        session: SessionId,
        /// Reliability.
        channel: DataChannelKind,
        /// At most 64 KiB.
        payload: Bytes,
        /// Whether it was sent as text.
        text: bool,
    },
    /// Something that the engine tells.
    Media(MediaEvent),
    /// A worker panicked and was restarted: its rooms and sessions are gone.
    WorkerRestarted {
        /// Rooms that were on it.
        rooms: Vec<RoomId>,
        /// Sessions that were on it.
        sessions: Vec<SessionId>,
    },
}

/// Why a worker closed a session by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// No authenticated STUN check for the consent timeout.
    ConsentExpired,
    /// ICE or DTLS did not come up within the connect timeout.
    ConnectTimeout,
    /// The peer's certificate does not match its fingerprint.
    FingerprintMismatch,
    /// DTLS failed.
    DtlsFailed,
    /// The peer sent close_notify.
    PeerClosed,
}

impl CloseReason {
    /// Stable name, the same in metrics, logs and events.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::ConsentExpired => "consent_expired",
            Self::ConnectTimeout => "connect_timeout",
            Self::FingerprintMismatch => "fingerprint_mismatch",
            Self::DtlsFailed => "dtls_failed",
            Self::PeerClosed => "peer_closed",
        }
    }
}

/// A session's transport, and what its engine reports. Totals only grow.
#[derive(Clone, Debug)]
pub struct ConnectionReport {
    /// Our end of the path that media takes; `None` for TCP, or before there is one.
    pub local: Option<SocketAddr>,
    /// The peer's end.
    pub remote: Option<SocketAddr>,
    /// What the path is made of.
    pub protocol: Protocol,
    /// Bytes of SRTP and SRTCP handed to the network.
    pub bytes_sent: u64,
    /// Bytes of SRTP and SRTCP that were authenticated.
    pub bytes_received: u64,
    /// What flows in it.
    pub media: SessionReport,
}

/// Counters and state of one worker, for metrics and reports.
#[derive(Clone, Debug, Default)]
pub struct WorkerReport {
    /// Named counters since the worker's start, e.g. `("rtp_received", 12)`. Names are stable.
    pub counters: Vec<(&'static str, u64)>,
    /// Open sessions.
    pub sessions: usize,
    /// Rooms known to the engine.
    pub rooms: usize,
    /// Tracks known to the engine.
    pub tracks: usize,
    /// How long forwarded packets took through the worker.
    pub forwarding_delay: DelayHistogram,
}

/// How long packets took, from when their worker began the turn in which they arrived or became due
/// to when the turn's packets were handed to the network. What they waited in the socket before is
/// not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DelayHistogram {
    /// Packets that took no longer than the bound of the same place, and more than the one before;
    /// the last: those beyond all bounds.
    pub counts: [u64; Self::BOUNDS_US.len() + 1],
    /// Sum of all, in microseconds.
    pub sum_us: u64,
}

impl DelayHistogram {
    /// Upper bounds, in microseconds.
    pub const BOUNDS_US: [u64; 10] = [50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 100_000];

    /// Counts `packets` that took `delay`.
    pub fn note(&mut self, packets: u64, delay: Duration) {
        let us = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        let place = Self::BOUNDS_US.partition_point(|&bound| bound < us);
        if let Some(count) = self.counts.get_mut(place) {
            *count += packets;
        }
        self.sum_us = self.sum_us.saturating_add(us.saturating_mul(packets));
    }

    /// Adds what another worker counted.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
    }
}
