//! How good pictures shall be, how good they are, and why.

use std::time::Duration;

use crosspoint_media::config::{LayerLimit, Policy};
use crosspoint_media::explain::Explanation;
pub use crosspoint_media::explain::Reason as QualityReason;

use crate::model::{Identity, TrackSid};

/// Bounds on the quality of what participants receive. A room has one, and each participant may
/// have its own: what that says goes before what the room's says; what neither says is as by
/// default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QualityPolicy {
    /// Never less than this while the track flows, however little the link carries. Default: no
    /// such bound.
    pub floor: Option<LayerLimit>,
    /// Never more than this, whatever is wished. Default: the best.
    pub ceiling: Option<LayerLimit>,
    /// Just this: floor and ceiling at a time, before both.
    pub lock: Option<LayerLimit>,
    /// Of a participant: how important the pictures are that it publishes, where a viewer's link
    /// does not carry all; more is more important. Default: 1, and 2 for shared screens.
    pub priority: Option<u8>,
    /// Smallest time from becoming worse for want of bandwidth to becoming better. Default 2 s.
    pub dwell_up: Option<Duration>,
    /// Smallest time from becoming better to becoming worse for want of bandwidth. Default 0.
    pub dwell_down: Option<Duration>,
    /// Whether pictures may be left out when the link does not carry the smallest. Default: yes.
    pub audio_only: Option<bool>,
}

impl QualityPolicy {
    /// What holds for a participant with this policy in a room with that one.
    #[must_use]
    pub fn in_room(&self, room: &Self) -> Policy {
        let default = Policy::default();
        let lock = self.lock.or(room.lock);
        Policy {
            floor: lock.or(self.floor).or(room.floor).unwrap_or(default.floor),
            ceiling: lock
                .or(self.ceiling)
                .or(room.ceiling)
                .unwrap_or(default.ceiling),
            dwell_up: self.dwell_up.or(room.dwell_up).unwrap_or(default.dwell_up),
            dwell_down: self
                .dwell_down
                .or(room.dwell_down)
                .unwrap_or(default.dwell_down),
            audio_only: self
                .audio_only
                .or(room.audio_only)
                .unwrap_or(default.audio_only),
        }
    }
}

/// What of a track is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShownQuality {
    /// Which of its encodings, 0 is the smallest.
    pub encoding: u8,
    /// Its highest spatial layer that is shown; 3: all that there are.
    pub spatial: u8,
    /// Width and height in pixels, if the stream said so.
    pub size: Option<(u16, u16)>,
}

/// A picture is shown in another size than before, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionChange {
    /// The track.
    pub track: TrackSid,
    /// Whose it is.
    pub publisher: Identity,
    /// What is shown now; `None`: nothing, only sound is left.
    pub quality: Option<ShownQuality>,
    /// What began to limit the picture, or ceased to. `None`: it began.
    pub reason: Option<QualityReason>,
}

/// Which encodings of one's own track anybody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodingsWanted {
    /// The track.
    pub track: TrackSid,
    /// Its encodings, smallest first: RID where it has one, and whether it is wanted.
    pub encodings: Vec<(Option<String>, bool)>,
}

/// Why a picture is as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscriptionReport {
    /// The track.
    pub track: TrackSid,
    /// Figures. Its neighbours are in `neighbours`, by public id.
    pub explanation: Explanation,
    /// What else the session receives, and bits per second for each.
    pub neighbours: Vec<(TrackSid, u64)>,
}

impl SubscriptionReport {
    /// The reason in one English sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Explanation {
            estimate_bps,
            granted_bps,
            next_bps,
            ..
        } = &self.explanation;
        let kbps = |bps: u64| bps / 1000;
        match self.explanation.reason {
            None => "Nothing limits it: this is the best that its publisher sends.".to_owned(),
            Some(QualityReason::Bandwidth) => match (estimate_bps, next_bps) {
                (Some(estimate), Some(next)) => format!(
                    "The subscriber's link carries about {} kbit/s, of which this picture has {}; \
                     the next better layer needs {}.",
                    kbps(*estimate),
                    kbps(*granted_bps),
                    kbps(*next)
                ),
                _ => "The subscriber's link does not carry a better layer.".to_owned(),
            },
            Some(QualityReason::Policy) => {
                "The room's or the participant's policy allows no better layer.".to_owned()
            }
            Some(QualityReason::PublisherPaused) => {
                "Its publisher sends nothing, or has muted it.".to_owned()
            }
            Some(QualityReason::LayerMissing) => {
                "Its publisher does not send a better layer now, though it is wanted.".to_owned()
            }
            Some(QualityReason::KeyframeWait) => {
                "A better layer is on its way; its next keyframe is awaited.".to_owned()
            }
            Some(QualityReason::Size) => match self.explanation.wish.largest {
                LayerLimit::Size { width, height } => {
                    format!("It fills the tile, which has {width}x{height} pixels.")
                }
                _ => "The subscriber asked for no more.".to_owned(),
            },
            Some(QualityReason::Unsupported) => {
                "The subscriber's session did not negotiate the dependency descriptor, which a \
                 better layer of this stream needs."
                    .to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_participants_policy_goes_before_its_rooms_and_a_lock_before_both_bounds() {
        let room = QualityPolicy {
            ceiling: Some(LayerLimit::Spatial(1)),
            audio_only: Some(false),
            ..QualityPolicy::default()
        };
        let mut own = QualityPolicy {
            ceiling: Some(LayerLimit::Best),
            ..QualityPolicy::default()
        };
        let policy = own.in_room(&room);
        assert_eq!(policy.ceiling, LayerLimit::Best);
        assert!(!policy.audio_only);
        own.lock = Some(LayerLimit::Small);
        let policy = own.in_room(&room);
        assert_eq!(
            (policy.floor, policy.ceiling),
            (LayerLimit::Small, LayerLimit::Small)
        );
        let none = QualityPolicy::default();
        assert_eq!(none.in_room(&none), Policy::default());
    }
}
