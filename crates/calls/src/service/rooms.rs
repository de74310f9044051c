//! The machine's wishes, carried out by `RoomControl`.
//!
//! | in a call | in its room |
//! |---|---|
//! | made | the room is made; the caller's grant lets join it |
//! | answered | the grant in the answer's result lets join it |
//! | hold | nothing feeds the held one's slots (`can_subscribe`), his tracks are muted by the server |
//! | listen | joined hidden: receives, is not shown, not counted, not heard |
//! | whisper | still hidden, with the agents as audience |
//! | barge | not hidden any more |
//! | transfer | another participant joins, the asker is removed; the customer's slots are fed anew |
//! | kick, leave | removed |
//! | linked | people are forwarded |
//! | ended | the room is deleted |

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crosspoint_control::api::{ControlError, MutedBy, ParticipantPatch, RoomControl, RoomEvent};
use crosspoint_control::model::{
    Identity, ParticipantInfo, ParticipantState, Permissions, Reason, RoomName, RoomSettings,
    SubscriptionWish, TrackSid,
};
use crosspoint_media::config::{LayerLimit, TrackSource};

use super::news;
use crate::ids::UserId;
use crate::media::{Access, MediaAction, MediaEvent};
use crate::model::TrackKind;

/// The call decides when its room ends; this only bounds what a lost call would leave behind.
const EMPTY_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
/// Heights up to this are served by the small stream, in pixels.
const SMALL_HEIGHT: u32 = 240;
/// Heights up to this by the middle one.
const MIDDLE_HEIGHT: u32 = 480;

/// Rooms of calls.
pub(super) struct Rooms {
    control: Arc<dyn RoomControl>,
    /// Whose new tracks are muted when they appear.
    silent: HashSet<(RoomName, Identity)>,
}

impl Rooms {
    pub(super) fn new(control: Arc<dyn RoomControl>) -> Self {
        Self {
            control,
            silent: HashSet::new(),
        }
    }

    /// Carries one wish out. A wish about somebody who is not there (yet, any more) needs nothing: the
    /// grant of the next join says the same. Returned: what cannot be done here.
    pub(super) async fn carry_out(&mut self, action: MediaAction) -> Option<MediaAction> {
        match self.change(&action).await {
            Ok(())
            | Err(
                ControlError::ParticipantNotFound(_)
                | ControlError::TrackNotFound(_)
                | ControlError::RoomNotFound(_),
            ) => None,
            Err(error) => {
                tracing::warn!(%error, ?action, "a room could not be changed");
                matches!(action, MediaAction::OpenRoom { .. }).then_some(action)
            }
        }
    }

    async fn change(&mut self, action: &MediaAction) -> Result<(), ControlError> {
        match action {
            MediaAction::OpenRoom { room, tenant, call } => {
                let settings = RoomSettings {
                    metadata: serde_json::json!({ "tenant": tenant, "call": call }).to_string(),
                    empty_timeout: EMPTY_TIMEOUT,
                    departure_timeout: EMPTY_TIMEOUT,
                    // Everyone in a call is heard.
                    top_audio: 0,
                    ..RoomSettings::default()
                };
                self.control.create_room(name(room)?, settings).await?;
            }
            MediaAction::CloseRoom { room } => {
                let room = name(room)?;
                self.silent.retain(|(of, _)| *of != room);
                self.control.delete_room(&room, Reason::RoomDeleted).await?;
            }
            MediaAction::SetAccess { room, user, access } => {
                self.set_access(name(room)?, identity(user)?, access)
                    .await?;
            }
            MediaAction::Remove { room, user } => {
                let (room, user) = (name(room)?, identity(user)?);
                self.silent.remove(&(room.clone(), user.clone()));
                self.control
                    .remove_participant(&room, &user, Reason::Kicked)
                    .await?;
            }
            MediaAction::Mute {
                room,
                user,
                kind,
                muted,
            } => {
                let room = name(room)?;
                let info = self.control.participant(&room, &identity(user)?).await?;
                for track in tracks(&info, *kind) {
                    self.control
                        .set_track_muted(&room, &track, MutedBy::Owner, *muted)
                        .await?;
                }
            }
            MediaAction::Subscribe {
                room,
                user,
                of,
                kind,
                wanted,
                max_height,
            } => {
                let room = name(room)?;
                let info = self.control.participant(&room, &identity(of)?).await?;
                let wish = SubscriptionWish {
                    wanted: *wanted,
                    largest: largest(*max_height),
                };
                for track in tracks(&info, *kind) {
                    self.control
                        .set_subscription(&room, &identity(user)?, &track, wish)
                        .await?;
                }
            }
            MediaAction::Link { room, peer, users } => {
                let (room, peer) = (name(room)?, name(peer)?);
                for user in users {
                    let user = identity(user)?;
                    self.control
                        .forward_participant(&room, &user, &peer)
                        .await?;
                }
            }
            MediaAction::Unlink { room, peer, users } => {
                let (room, peer) = (name(room)?, name(peer)?);
                for user in users {
                    let user = identity(user)?;
                    self.control.stop_forwarding(&room, &user, &peer).await?;
                }
            }
            // The recorder's matter.
            MediaAction::StartRecording { .. } | MediaAction::StopRecording { .. } => {}
        }
        Ok(())
    }

    /// In the order in which nobody hears what they should not.
    async fn set_access(
        &mut self,
        room: RoomName,
        user: Identity,
        access: &Access,
    ) -> Result<(), ControlError> {
        let permissions = permissions_of(access);
        let patch = ParticipantPatch {
            permissions: Some(permissions),
            ..ParticipantPatch::default()
        };
        let info = self.control.update_participant(&room, &user, patch).await?;
        let audience = access.audience.as_ref().map(|audience| {
            let audience = audience.iter().filter_map(|user| identity(user).ok());
            audience.collect()
        });
        self.control.set_audience(&room, &user, audience).await?;
        let silent = !access.speaks && !access.hidden;
        let key = (room.clone(), user);
        match silent {
            true => self.silent.insert(key),
            false => self.silent.remove(&key),
        };
        for track in info.tracks {
            self.control
                .set_track_muted(&room, &track.sid, MutedBy::Server, silent)
                .await?;
        }
        Ok(())
    }

    /// A track that has just appeared and must not be heard.
    pub(super) fn to_silence(&self, event: &RoomEvent) -> Option<(RoomName, TrackSid)> {
        let RoomEvent::TrackPublished(room, who, track) = event else {
            return None;
        };
        let key = (room.name.clone(), who.identity.clone());
        let silent = self.silent.contains(&key);
        silent.then(|| (room.name.clone(), track.sid.clone()))
    }

    pub(super) async fn silence(&self, (room, track): (RoomName, TrackSid)) {
        // It may be gone already.
        let _ = self
            .control
            .set_track_muted(&room, &track, MutedBy::Server, true)
            .await;
    }

    /// How everybody's media stands now.
    pub(super) async fn all_news(&self) -> Vec<MediaEvent> {
        let mut all = Vec::new();
        for room in self.control.rooms().await.unwrap_or_default() {
            if !news::is_of_a_call(&room.name) {
                continue;
            }
            let people = self.control.participants(&room.name).await;
            for who in people.unwrap_or_default() {
                if who.state == ParticipantState::Active
                    && let Some(user) = UserId::new(who.identity.as_str())
                {
                    let room = room.name.as_str().to_owned();
                    all.push(MediaEvent::Up { room, user });
                }
            }
        }
        all
    }
}

/// What a participant with this access may do.
#[must_use]
fn permissions_of(access: &Access) -> Permissions {
    Permissions {
        // Who is silenced keeps the tracks; muting them needs no negotiation.
        can_publish: true,
        can_subscribe: access.hears,
        can_publish_data: false,
        hidden: access.hidden,
        ..Permissions::default()
    }
}

fn name(room: &str) -> Result<RoomName, ControlError> {
    RoomName::new(room).ok_or(ControlError::TooLarge {
        what: "the room's name",
        max: crosspoint_control::model::NAME_CHARS_MAX,
    })
}

fn identity(user: &UserId) -> Result<Identity, ControlError> {
    Identity::new(user.as_str()).ok_or(ControlError::TooLarge {
        what: "the user's name",
        max: crosspoint_control::model::NAME_CHARS_MAX,
    })
}

fn tracks(info: &ParticipantInfo, kind: TrackKind) -> Vec<TrackSid> {
    let of_kind = info
        .tracks
        .iter()
        .filter(|track| kind_of(track.source, track.kind) == kind);
    of_kind.map(|track| track.sid.clone()).collect()
}

/// What a track is to people in a call.
pub(super) fn kind_of(source: TrackSource, kind: crosspoint_wire::codec::MediaKind) -> TrackKind {
    match (source, kind) {
        (TrackSource::ScreenShare | TrackSource::ScreenShareAudio, _) => TrackKind::Screen,
        (_, crosspoint_wire::codec::MediaKind::Audio) => TrackKind::Audio,
        (_, crosspoint_wire::codec::MediaKind::Video) => TrackKind::Video,
    }
}

const fn largest(max_height: u32) -> LayerLimit {
    match max_height {
        0 => LayerLimit::Best,
        height if height <= SMALL_HEIGHT => LayerLimit::Small,
        height if height <= MIDDLE_HEIGHT => LayerLimit::Spatial(1),
        _ => LayerLimit::Best,
    }
}
