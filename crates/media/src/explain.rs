//! Why a picture is as it is: the answer to a question about one track of one session.

use core::time::Duration;

use crosspoint_wire::ids::Rid;
use crosspoint_wire::time::Time;

use crate::config::{Layer, Policy, TrackId, Wish};

/// What keeps a picture from being better. One word everywhere: event, report, page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The subscriber's link carries no more.
    Bandwidth,
    /// The room's or the participant's policy.
    Policy,
    /// The publisher sends nothing, or the track is muted.
    PublisherPaused,
    /// The publisher does not send a better layer, though somebody wants it.
    LayerMissing,
    /// The better layer is decided; a keyframe or switch point of it is awaited.
    KeyframeWait,
    /// The subscriber asked for no more: its tile is small, or hidden.
    Size,
    /// The subscriber's session takes no dependency descriptors, without which its decoder cannot
    /// tell a better layer from those below it.
    Unsupported,
}

impl Reason {
    /// Stable name, the same in events, reports and pages.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Bandwidth => "bandwidth",
            Self::Policy => "policy",
            Self::PublisherPaused => "publisher_paused",
            Self::LayerMissing => "layer_missing",
            Self::KeyframeWait => "keyframe_wait",
            Self::Size => "size",
            Self::Unsupported => "unsupported",
        }
    }
}

/// One of a track's encodings, and what of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its place among the track's encodings, 0 = lowest quality.
    pub encoding: u8,
    /// The highest layer of it; 3 and 7 stand for all that there is.
    pub layer: Layer,
}

/// A change of what flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// When.
    pub at: Time,
    /// What flowed before; `None`: nothing.
    pub from: Option<Choice>,
    /// What flows since; `None`: nothing.
    pub to: Option<Choice>,
    /// What brought it about: what began to limit the picture when it became worse, what ceased
    /// to when it became better. `None`: it began.
    pub cause: Option<Reason>,
}

/// A layer that the track has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvailableLayer {
    /// Which encoding, and what of it.
    pub choice: Choice,
    /// The encoding's RID, if it has one.
    pub rid: Option<Rid>,
    /// Width and height in pixels, if the stream said so.
    pub size: Option<(u16, u16)>,
    /// Bits per second that it takes, headers included, over the last two seconds; as it last was
    /// where it does not flow.
    pub bits_per_second: u64,
    /// Whether it flows from the publisher.
    pub flows: bool,
    /// Whether the publisher was told that nobody watches it.
    pub unwatched: bool,
}

/// What another picture of the same session takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The track.
    pub track: TrackId,
    /// Bits per second that it was granted; what it takes where bandwidth is not limited.
    pub bits_per_second: u64,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// What there is, from the smallest to the best.
    pub layers: Vec<AvailableLayer>,
    /// What the subscriber asked.
    pub wish: Wish,
    /// What the room and the participant are allowed.
    pub policy: Policy,
    /// What is to flow.
    pub target: Option<Choice>,
    /// What flows.
    pub current: Option<Choice>,
    /// Whether a slot carries the track.
    pub has_slot: bool,
    /// Bits per second that the subscriber's link is estimated to carry; `None`: not known.
    pub estimate_bps: Option<u64>,
    /// Bits per second that the picture was granted of them.
    pub granted_bps: u64,
    /// Bits per second that the next better layer needs; `None`: there is none.
    pub next_bps: Option<u64>,
    /// What the session's other pictures take.
    pub neighbours: Vec<Neighbour>,
    /// What keeps the picture from being better; `None`: nothing, it is the best there is.
    pub reason: Option<Reason>,
    /// The latest changes, at most 20, oldest first, and how long ago each was.
    pub switches: Vec<(Duration, Switch)>,
}
