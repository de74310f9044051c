//! Everything that can be asked of an engine, as one closed enum.

use crate::config::{
    ParticipantId, Policy, ReceiveConfig, RelayId, RoomConfig, RoomId, SessionConfig, SessionId,
    TrackId, Wish,
};

/// A change of state, decided by `control`. Commands are idempotent where that makes sense and
/// never panic: an unknown id is a [`CommandError`].
#[derive(Clone, Debug)]
pub enum Command {
    /// Makes a room known, or changes its settings.
    PutRoom {
        /// The room.
        room: RoomId,
        /// Its settings.
        config: RoomConfig,
    },
    /// Forgets a room. Its sessions stay, receiving nothing.
    RemoveRoom {
        /// The room.
        room: RoomId,
    },
    /// Adds a session to a room (or applies the outcome of a later offer, or a move to another
    /// room: whatever differs from the state is changed, all else flows on).
    PutSession {
        /// The session.
        session: SessionId,
        /// Whose it is.
        participant: ParticipantId,
        /// The room that it listens to and whose listeners its tracks feed.
        room: RoomId,
        /// Outcome of its latest offer and answer.
        config: SessionConfig,
        /// Whether tracks of the room are wanted when no wish was said.
        auto_subscribe: bool,
    },
    /// Ends a session; its tracks end and its slots' streams stop.
    RemoveSession {
        /// The session.
        session: SessionId,
    },
    /// Moves a session and its tracks to another room without touching its transport. What it
    /// wished in the room before is forgotten.
    MoveSession {
        /// The session.
        session: SessionId,
        /// Where it goes.
        room: RoomId,
    },
    /// Says whether `session` may hear what `track` carries, and how large. It holds as long as
    /// the track is offered in the session's room.
    SetWish {
        /// The listener.
        session: SessionId,
        /// The track.
        track: TrackId,
        /// What is asked.
        wish: Wish,
    },
    /// Bounds what pictures a session receives.
    SetPolicy {
        /// The viewer.
        session: SessionId,
        /// The bounds.
        policy: Policy,
    },
    /// Says whose pictures go first where a viewer's bandwidth does not do for all.
    SetPriority {
        /// The track.
        track: TrackId,
        /// More is more important. `None`: as its source has it, a camera 1, a shared screen 2.
        priority: Option<u8>,
    },
    /// Mutes or unmutes a track at the server: packets are received, counted and dropped.
    SetMuted {
        /// The track.
        track: TrackId,
        /// True: nothing flows.
        muted: bool,
    },
    /// Offers a track to a further room's listeners (forward), or takes it back.
    LinkTrack {
        /// The track.
        track: TrackId,
        /// The further room.
        room: RoomId,
        /// True to offer it, false to take it back.
        linked: bool,
    },
    /// Sends a track's packets out on a relay: to another worker, another node.
    OpenRelay {
        /// The track.
        track: TrackId,
        /// The relay's number, the same on both ends.
        relay: RelayId,
    },
    /// Receives a track from a relay and offers it to a room's listeners.
    AcceptRelay {
        /// The relay's number, the same on both ends.
        relay: RelayId,
        /// The room that gets it.
        room: RoomId,
        /// Whose track it is.
        participant: ParticipantId,
        /// The track as its publisher's session declared it (mid and ssrcs are not used).
        track: ReceiveConfig,
    },
    /// Ends a relay, at either end.
    CloseRelay {
        /// The relay's number.
        relay: RelayId,
    },
    /// Asks the publisher of a track for a keyframe.
    RequestKeyframe {
        /// The track.
        track: TrackId,
    },
}

/// Why a command was not carried out. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// No such session here.
    #[error("unknown session {0:?}")]
    UnknownSession(SessionId),
    /// No such track here.
    #[error("unknown track {0:?}")]
    UnknownTrack(TrackId),
    /// No such room here.
    #[error("unknown room {0:?}")]
    UnknownRoom(RoomId),
    /// No such relay here.
    #[error("unknown relay {0:?}")]
    UnknownRelay(RelayId),
}

impl CommandError {
    /// Stable name, the same in metrics, logs and problem types.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::UnknownSession(_) => "unknown_session",
            Self::UnknownTrack(_) => "unknown_track",
            Self::UnknownRoom(_) => "unknown_room",
            Self::UnknownRelay(_) => "unknown_relay",
        }
    }
}
