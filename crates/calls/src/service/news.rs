//! What rooms tell, in the machine's words.

use crosspoint_control::api::{Presence, PresenceState, RoomEvent};
use crosspoint_control::model::{ParticipantInfo, Reason, RoomInfo, RoomName};

use super::rooms::kind_of;
use crate::ids::UserId;
use crate::media::{MediaAction, MediaEvent};
use crate::model::TrackKind;

/// Whether a room belongs to a call; the machine knows which.
pub(super) fn is_of_a_call(room: &RoomName) -> bool {
    room.as_str().starts_with("call-")
}

pub(super) fn of_presence(presence: Presence) -> Option<MediaEvent> {
    if !is_of_a_call(&presence.room) {
        return None;
    }
    let room = presence.room.as_str().to_owned();
    let user = UserId::new(presence.identity.as_str())?;
    match presence.state {
        PresenceState::Up => Some(MediaEvent::Up { room, user }),
        PresenceState::Interrupted => Some(MediaEvent::Interrupted { room, user }),
        // Somebody came back before the old stay was missed, or the room's end says it all.
        PresenceState::Gone(Reason::DuplicateIdentity | Reason::RoomDeleted) => None,
        PresenceState::Gone(reason) => Some(MediaEvent::Left {
            room,
            user,
            lost: reason != Reason::ClientLeft,
        }),
    }
}

pub(super) fn of_event(event: RoomEvent) -> Option<MediaEvent> {
    match event {
        RoomEvent::TrackPublished(room, who, _) | RoomEvent::TrackUpdated(room, who, _) => {
            tracks(&room, &who)
        }
        RoomEvent::TrackUnpublished(room, mut who, gone) => {
            who.tracks.retain(|track| track.sid != gone.sid);
            tracks(&room, &who)
        }
        RoomEvent::RoomFinished(room, _) if is_of_a_call(&room.name) => {
            let room = room.name.as_str().to_owned();
            Some(MediaEvent::RoomClosed { room })
        }
        _ => None,
    }
}

fn tracks(room: &RoomInfo, who: &ParticipantInfo) -> Option<MediaEvent> {
    if !is_of_a_call(&room.name) {
        return None;
    }
    let flows = |kind| {
        let mut tracks = who.tracks.iter();
        tracks.any(|track| !track.muted && kind_of(track.source, track.kind) == kind)
    };
    Some(MediaEvent::Tracks {
        room: room.name.as_str().to_owned(),
        user: UserId::new(who.identity.as_str())?,
        audio: flows(TrackKind::Audio),
        video: flows(TrackKind::Video),
        screen: flows(TrackKind::Screen),
    })
}

/// What the machine learns of a wish that cannot be carried out.
pub(super) fn refused(action: MediaAction) -> Option<MediaEvent> {
    match action {
        MediaAction::OpenRoom { room, .. } => Some(MediaEvent::RoomClosed { room }),
        MediaAction::StartRecording {
            call, recording, ..
        } => Some(MediaEvent::RecordingFailed {
            call,
            recording,
            user: None,
            detail: "no recorder takes it".to_owned(),
        }),
        _ => None,
    }
}
