//! Why requests are not carried out.

use crosspoint_wire::sdp::SdpError;

use crate::model::{Identity, RoomName, TrackSid};

/// Why a request was not carried out. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// No such room.
    #[error("there is no room \"{0}\"")]
    RoomNotFound(RoomName),
    /// No such participant in the room.
    #[error("there is no participant \"{0}\" in the room")]
    ParticipantNotFound(Identity),
    /// No such track in the room.
    #[error("there is no track \"{}\" in the room", .0.0)]
    TrackNotFound(TrackSid),
    /// The session has ended.
    #[error("the session has ended")]
    SessionNotFound,
    /// The room has its `max_participants`.
    #[error("the room is full ({0} participants)")]
    RoomFull(u32),
    /// Somebody else has this identity in the room that a participant shall be seen in as well.
    #[error("the other room has a participant \"{0}\" already")]
    IdentityTaken(Identity),
    /// The permission for this is missing.
    #[error("the permission {0} is missing")]
    NotPermitted(&'static str),
    /// The offer cannot be answered; the text says what to change.
    #[error("the offer was refused: {0}")]
    OfferRefused(OfferProblem),
    /// A size limit is exceeded.
    #[error("{what} exceeds the limit of {max}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// The server is stopping and takes no joins.
    #[error("the server is stopping and takes no further joins")]
    Draining,
    /// Too many requests of one kind in a short time; slow down.
    #[error("too many {0} in a short time; slow down")]
    TooMany(&'static str),
    /// The server has as many as it was told to take.
    #[error("the server is full: it takes at most {max} {what}")]
    ServerFull {
        /// Rooms or participants.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// A worker's queue is full or the worker is restarting; try again.
    #[error("the server is overloaded; try again in a moment")]
    Overloaded,
}

/// Why an offer was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferProblem {
    /// Not SDP.
    #[error("it is not valid SDP (line {line})")]
    Syntax {
        /// 1-based line number, 0 when unknown.
        line: usize,
    },
    /// Over one of the limits.
    #[error("it has more than {max} {what}")]
    Limit {
        /// m-lines, candidates, bytes.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// A required attribute is missing or malformed.
    #[error("the attribute a={0} is missing or malformed")]
    Attribute(&'static str),
    /// Several fingerprints that contradict, or m-lines with different transports.
    #[error("all m-lines must be in one BUNDLE group with one transport and one fingerprint")]
    NotBundled,
    /// Two values of an attribute exclude each other, or a later offer's the earlier one's.
    #[error("the attribute a={0} has values that contradict each other")]
    Contradiction(&'static str),
    /// Every m-line is switched off or of a kind or codec that is not served.
    #[error("it has no m-line that can be accepted")]
    NothingUsable,
    /// m-lines may not be reordered or change kind in a later offer (RFC 3264 §8).
    #[error("m-line {0} changed its kind or mid since the last offer")]
    MLineChanged(usize),
}

impl From<SdpError> for OfferProblem {
    fn from(error: SdpError) -> Self {
        match error {
            SdpError::Limit { what, max } => Self::Limit { what, max },
            SdpError::Attribute(name) => Self::Attribute(name),
            SdpError::Syntax { line } => Self::Syntax { line },
            // `SdpError` may learn of more ways to be wrong.
            _ => Self::Syntax { line: 0 },
        }
    }
}
