//! `/v1/rooms`: rooms, and messages to them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use crosspoint_control::api::MutedBy;
use crosspoint_control::model::Reason;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::dto::{CreateRoomDto, RoomDto, RoomSettingsDto, TrackDto, all};
use super::path::{Body, Path, RoomPath, TrackPath, room_of};
use super::problem::{Problem, ProblemDto};
use crate::app::App;
use crate::auth::extract::Authenticated;
use crate::messages::MessageDto;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, update, delete))
        .routes(routes!(mute))
        .routes(routes!(send_message))
}

/// A list of rooms.
#[derive(Serialize, ToSchema)]
struct Rooms {
    rooms: Vec<RoomDto>,
}

/// Whether a track is muted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Mute {
    muted: bool,
}

/// Makes a room, or returns the one that has this name, with its settings untouched.
///
/// Needs the grant `roomCreate`.
#[utoipa::path(post, path = "/v1/rooms", tag = "rooms", request_body = CreateRoomDto,
    responses((status = OK, body = RoomDto), (status = "4XX", body = ProblemDto)))]
async fn create(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Body(request): Body<CreateRoomDto>,
) -> Result<Json<RoomDto>, Problem> {
    caller.grant.require_create()?;
    let name = room_of(&request.name)?;
    let room = app.control.create_room(name, request.into()).await?;
    Ok(Json(room.into()))
}

/// All rooms, by name.
///
/// Needs the grant `roomList`.
#[utoipa::path(get, path = "/v1/rooms", tag = "rooms",
    responses((status = OK, body = Rooms), (status = "4XX", body = ProblemDto)))]
async fn list(caller: Authenticated, State(app): State<Arc<App>>) -> Result<Json<Rooms>, Problem> {
    caller.grant.require_list()?;
    let rooms = all(app.control.rooms().await?);
    Ok(Json(Rooms { rooms }))
}

/// One room.
///
/// Needs `roomList`, or `roomAdmin` for the room.
#[utoipa::path(get, path = "/v1/rooms/{room}", tag = "rooms", params(RoomPath),
    responses((status = OK, body = RoomDto), (status = "4XX", body = ProblemDto)))]
async fn get(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(RoomPath { room }): Path<RoomPath>,
) -> Result<Json<RoomDto>, Problem> {
    caller.grant.require_view(&room)?;
    Ok(Json(app.control.room(&room).await?.into()))
}

/// Changes a room's settings.
///
/// Needs `roomAdmin` for the room.
#[utoipa::path(patch, path = "/v1/rooms/{room}", tag = "rooms", params(RoomPath),
    request_body = RoomSettingsDto,
    responses((status = OK, body = RoomDto), (status = "4XX", body = ProblemDto)))]
async fn update(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(RoomPath { room }): Path<RoomPath>,
    Body(patch): Body<RoomSettingsDto>,
) -> Result<Json<RoomDto>, Problem> {
    caller.grant.require_admin(&room)?;
    let room = app.control.update_room(&room, patch.into()).await?;
    Ok(Json(room.into()))
}

/// Ends a room: everyone in it is told and disconnected.
///
/// Needs the grant `roomCreate`.
#[utoipa::path(delete, path = "/v1/rooms/{room}", tag = "rooms", params(RoomPath),
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn delete(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(RoomPath { room }): Path<RoomPath>,
) -> Result<StatusCode, Problem> {
    caller.grant.require_create()?;
    app.control.delete_room(&room, Reason::RoomDeleted).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mutes or unmutes a track on the server's part.
///
/// Needs `roomAdmin` for the room.
#[utoipa::path(patch, path = "/v1/rooms/{room}/tracks/{track}", tag = "rooms", params(TrackPath),
    request_body = Mute,
    responses((status = OK, body = TrackDto), (status = "4XX", body = ProblemDto)))]
async fn mute(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(TrackPath { room, track }): Path<TrackPath>,
    Body(Mute { muted }): Body<Mute>,
) -> Result<Json<TrackDto>, Problem> {
    caller.grant.require_admin(&room)?;
    let track = app
        .control
        .set_track_muted(&room, &track, MutedBy::Server, muted)
        .await?;
    Ok(Json(track.into()))
}

/// Sends an application message to a room or some of its participants, as from the server.
///
/// Needs `roomAdmin` for the room.
#[utoipa::path(post, path = "/v1/rooms/{room}/messages", tag = "rooms", params(RoomPath),
    request_body = MessageDto,
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn send_message(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(RoomPath { room }): Path<RoomPath>,
    Body(message): Body<MessageDto>,
) -> Result<StatusCode, Problem> {
    caller.grant.require_admin(&room)?;
    app.control.send_message(&room, message.from(None)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
