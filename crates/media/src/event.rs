//! Everything that an engine tells `control`, as one closed enum.

use crosspoint_wire::codec::Codec;
use crosspoint_wire::ids::Mid;

use crate::config::{ParticipantId, RoomId, SessionId, TrackId};

/// Something that happened to media and that people or programs may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A slot carries another track from now on, or nothing.
    SlotAssigned {
        /// The listener.
        session: SessionId,
        /// The slot.
        mid: Mid,
        /// What feeds it, and whose that is.
        feed: Option<(TrackId, ParticipantId)>,
    },
    /// The first packet of a track arrived.
    TrackStarted {
        /// The track.
        track: TrackId,
        /// What it is coded in.
        codec: Codec,
    },
    /// Who speaks in a room changed; loudest first. Empty: silence.
    ActiveSpeakers {
        /// The room.
        room: RoomId,
        /// Speakers and their loudness, 0 (loudest) to 127 (silence) as in RFC 6464.
        speakers: Vec<(ParticipantId, u8)>,
    },
}
