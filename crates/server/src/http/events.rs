//! `GET /v1/events`: what happens in rooms, as server-sent events.
//!
//! Bounded by the control plane's ring of events: a client that reads too slowly loses the oldest
//! and is told how many in a `lagged` event.

#![expect(
    unused_qualifications,
    reason = "written by utoipa's macro for handlers with parameters"
)]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use crosspoint_control::api::RoomEvent;
use crosspoint_control::model::RoomName;
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::dto::{ParticipantDto, RoomDto, TrackDto};
use super::path::{Query, room_of};
use super::problem::{Problem, ProblemDto};
use super::quality::SubscriptionChangeDto;
use super::recordings::RecordingDto;
use crate::app::App;
use crate::auth::extract::Authenticated;
use crate::recordings::RecordingEvent;

/// Interval between comments that keep proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(events))
}

/// Which events are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only those of this room.
    room: Option<String>,
}

/// One event. `room` is always the room's name.
#[derive(Debug, Serialize, ToSchema)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
enum RoomEventDto {
    RoomStarted {
        room: String,
        details: RoomDto,
    },
    RoomUpdated {
        room: String,
        details: RoomDto,
    },
    RoomFinished {
        room: String,
        details: RoomDto,
        reason: &'static str,
    },
    ParticipantJoined {
        room: String,
        participant: ParticipantDto,
    },
    ParticipantUpdated {
        room: String,
        participant: ParticipantDto,
    },
    ParticipantLeft {
        room: String,
        participant: ParticipantDto,
        reason: &'static str,
    },
    TrackPublished {
        room: String,
        identity: String,
        track: TrackDto,
    },
    TrackUpdated {
        room: String,
        identity: String,
        track: TrackDto,
    },
    TrackUnpublished {
        room: String,
        identity: String,
        track: TrackDto,
    },
    /// What `identity` sees of a track is shown in another size than before, or not at all.
    SubscriptionChanged {
        room: String,
        identity: String,
        #[serde(flatten)]
        change: SubscriptionChangeDto,
    },
    /// What the judge of a room's pictures said about one of a track.
    ModerationVerdict {
        room: String,
        identity: String,
        track: TrackDto,
        verdict: String,
        /// The judge's whole answer.
        #[schema(value_type = Object)]
        details: serde_json::Value,
    },
    ActiveSpeakers {
        room: String,
        speakers: Vec<SpeakerDto>,
    },
    RecordingStarted {
        room: String,
        recording: RecordingDto,
    },
    RecordingReady {
        room: String,
        recording: RecordingDto,
        /// Where its files are.
        url: String,
    },
    RecordingAborted {
        room: String,
        recording: RecordingDto,
        /// Whether the room ended with it.
        ends_call: bool,
    },
}

/// Somebody who speaks.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct SpeakerDto {
    identity: String,
    /// 0.0 (silence) to 1.0.
    level: f32,
}

/// Events of rooms as server-sent events: the event's name is its `type`, its data JSON.
///
/// Needs `roomList` for all rooms, or `roomAdmin` for one.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(Filter),
    responses(
        (status = OK, content_type = "text/event-stream", body = RoomEventDto),
        (status = "4XX", body = ProblemDto)))]
async fn events(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Query(filter): Query<Filter>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let wanted = filter.room.as_deref().map(room_of).transpose()?;
    let only = caller.grant.require_events(wanted)?;
    let rooms = BroadcastStream::new(app.control.events())
        .map(|event| event.map(|event| Happening::Room(Box::new(event))));
    let recorded = app.recordings().map(|recordings| recordings.events());
    let recorded = futures_util::stream::iter(recorded)
        .flat_map(BroadcastStream::new)
        .map(|event| event.map(Happening::Recording));
    // Recordings may be switched off; rooms are there as long as the server.
    let stream = futures_util::stream::select(rooms, recorded)
        .filter_map(move |event| std::future::ready(sse_of(event, only.as_ref())))
        .map(Ok);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// What there is to tell.
enum Happening {
    Room(Box<RoomEvent>),
    Recording(RecordingEvent),
}

fn sse_of(
    event: Result<Happening, BroadcastStreamRecvError>,
    only: Option<&RoomName>,
) -> Option<Event> {
    let event = match event {
        Ok(event) => event,
        Err(BroadcastStreamRecvError::Lagged(missed)) => {
            let data = format!("{{\"missed\":{missed}}}");
            return Some(Event::default().event("lagged").data(data));
        }
    };
    let room = match &event {
        Happening::Room(event) => room_of_event(event).as_str(),
        Happening::Recording(event) => event.manifest().room.as_str(),
    };
    if only.is_some_and(|only| only.as_str() != room) {
        return None;
    }
    let (name, dto) = match event {
        Happening::Room(event) => translate(*event),
        Happening::Recording(event) => translate_recording(event),
    };
    Event::default().event(name).json_data(dto).ok()
}

/// Which room an event is about.
pub(crate) fn room_of_event(event: &RoomEvent) -> &RoomName {
    match event {
        RoomEvent::RoomStarted(room)
        | RoomEvent::RoomUpdated(room)
        | RoomEvent::RoomFinished(room, _)
        | RoomEvent::ParticipantJoined(room, _)
        | RoomEvent::ParticipantUpdated(room, _)
        | RoomEvent::ParticipantLeft(room, _, _)
        | RoomEvent::TrackPublished(room, _, _)
        | RoomEvent::TrackUpdated(room, _, _)
        | RoomEvent::TrackUnpublished(room, _, _)
        | RoomEvent::Judged(room, _, _, _) => &room.name,
        RoomEvent::SubscriptionChanged(room, ..) | RoomEvent::ActiveSpeakers(room, _) => room,
    }
}

fn translate(event: RoomEvent) -> (&'static str, RoomEventDto) {
    use RoomEventDto as Dto;
    let room = room_of_event(&event).as_str().to_owned();
    match event {
        RoomEvent::RoomStarted(info) => {
            let details = info.into();
            ("roomStarted", Dto::RoomStarted { room, details })
        }
        RoomEvent::RoomUpdated(info) => {
            let details = info.into();
            ("roomUpdated", Dto::RoomUpdated { room, details })
        }
        RoomEvent::RoomFinished(info, reason) => {
            let details = info.into();
            let reason = reason.label();
            let dto = Dto::RoomFinished {
                room,
                details,
                reason,
            };
            ("roomFinished", dto)
        }
        RoomEvent::ParticipantJoined(_, who) => {
            let participant = who.into();
            (
                "participantJoined",
                Dto::ParticipantJoined { room, participant },
            )
        }
        RoomEvent::ParticipantUpdated(_, who) => {
            let participant = who.into();
            (
                "participantUpdated",
                Dto::ParticipantUpdated { room, participant },
            )
        }
        RoomEvent::ParticipantLeft(_, who, reason) => {
            let (participant, reason) = (who.into(), reason.label());
            let dto = Dto::ParticipantLeft {
                room,
                participant,
                reason,
            };
            ("participantLeft", dto)
        }
        RoomEvent::TrackPublished(_, who, track) => {
            let (identity, track) = (who.identity.to_string(), track.into());
            let dto = Dto::TrackPublished {
                room,
                identity,
                track,
            };
            ("trackPublished", dto)
        }
        RoomEvent::TrackUpdated(_, who, track) => {
            let (identity, track) = (who.identity.to_string(), track.into());
            (
                "trackUpdated",
                Dto::TrackUpdated {
                    room,
                    identity,
                    track,
                },
            )
        }
        RoomEvent::TrackUnpublished(_, who, track) => {
            let (identity, track) = (who.identity.to_string(), track.into());
            let dto = Dto::TrackUnpublished {
                room,
                identity,
                track,
            };
            ("trackUnpublished", dto)
        }
        RoomEvent::SubscriptionChanged(_, identity, change) => {
            let (identity, change) = (identity.to_string(), change.into());
            let dto = Dto::SubscriptionChanged {
                room,
                identity,
                change,
            };
            ("subscriptionChanged", dto)
        }
        RoomEvent::Judged(_, who, track, judged) => {
            let dto = Dto::ModerationVerdict {
                room,
                identity: who.identity.to_string(),
                track: track.into(),
                details: serde_json::from_str(&judged.details).unwrap_or_default(),
                verdict: judged.verdict,
            };
            ("moderationVerdict", dto)
        }
        RoomEvent::ActiveSpeakers(_, speakers) => {
            let speakers = speakers_dto(speakers);
            ("activeSpeakers", Dto::ActiveSpeakers { room, speakers })
        }
    }
}

fn translate_recording(event: RecordingEvent) -> (&'static str, RoomEventDto) {
    let manifest = event.manifest();
    let room = manifest.room.clone();
    let recording = RecordingDto::from(manifest.as_ref().clone());
    match event {
        RecordingEvent::Started(_) => (
            "recordingStarted",
            RoomEventDto::RecordingStarted { room, recording },
        ),
        RecordingEvent::Ready(_, url) => (
            "recordingReady",
            RoomEventDto::RecordingReady {
                room,
                recording,
                url,
            },
        ),
        RecordingEvent::Aborted { ends_call, .. } => (
            "recordingAborted",
            RoomEventDto::RecordingAborted {
                room,
                recording,
                ends_call,
            },
        ),
    }
}

/// Speakers as they stand in JSON.
pub(crate) fn speakers_dto(
    speakers: Vec<(crosspoint_control::model::Identity, f32)>,
) -> Vec<SpeakerDto> {
    speakers
        .into_iter()
        .map(|(identity, level)| SpeakerDto {
            identity: identity.to_string(),
            level,
        })
        .collect()
}
