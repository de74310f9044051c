//! Everything that an engine tells `control`, as one closed enum.

use crosspoint_wire::codec::Codec;
use crosspoint_wire::ids::{Mid, Rid};

use crate::config::{ParticipantId, RoomId, SessionId, TrackId};
use crate::explain::{Choice, Reason};

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
    /// A picture is shown in another size or fidelity from now on, or not at all. Changes of the
    /// picture rate alone are not told.
    SubscriptionChanged {
        /// The viewer.
        session: SessionId,
        /// The track.
        track: TrackId,
        /// What flows; `None`: nothing, only sound is left.
        choice: Option<Choice>,
        /// Width and height in pixels of what flows, if the stream said so.
        size: Option<(u16, u16)>,
        /// What brought it about: what began to limit the picture, or ceased to. `None`: it began.
        reason: Option<Reason>,
    },
    /// Which encodings of a track anybody wants changed. The lowest of a picture is always wanted,
    /// so that those who come see something at once; a sound is wanted while anybody is there who
    /// could hear it.
    EncodingsWanted {
        /// The track.
        track: TrackId,
        /// Its encodings, lowest quality first: RID where it has one, and whether it is wanted.
        encodings: Vec<(Option<Rid>, bool)>,
    },
}
