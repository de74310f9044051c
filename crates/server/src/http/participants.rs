//! `/v1/rooms/{room}/participants`: who is in a room, and what happens to them.
//!
//! All of it needs `roomAdmin` for the room.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use crosspoint_control::model::Reason;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::dto::{ParticipantDto, ParticipantPatchDto, WishDto, all};
use super::path::{Body, ParticipantPath, Path, RoomPath, SubscriptionPath, room_of};
use super::problem::{Problem, ProblemDto};
use crate::app::App;
use crate::auth::extract::Authenticated;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get, update, remove))
        .routes(routes!(transfer))
        .routes(routes!(forward))
        .routes(routes!(subscribe))
}

/// A list of participants.
#[derive(Serialize, ToSchema)]
struct Participants {
    participants: Vec<ParticipantDto>,
}

/// Another room.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Destination {
    /// Name of the room; it is made if need be.
    to: String,
}

/// Participants of a room, hidden ones included, in the order in which they joined.
#[utoipa::path(get, path = "/v1/rooms/{room}/participants", tag = "participants",
    params(RoomPath),
    responses((status = OK, body = Participants), (status = "4XX", body = ProblemDto)))]
async fn list(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(RoomPath { room }): Path<RoomPath>,
) -> Result<Json<Participants>, Problem> {
    caller.grant.require_admin(&room)?;
    let participants = all(app.control.participants(&room).await?);
    Ok(Json(Participants { participants }))
}

/// One participant.
#[utoipa::path(get, path = "/v1/rooms/{room}/participants/{identity}", tag = "participants",
    params(ParticipantPath),
    responses((status = OK, body = ParticipantDto), (status = "4XX", body = ProblemDto)))]
async fn get(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(ParticipantPath { room, identity }): Path<ParticipantPath>,
) -> Result<Json<ParticipantDto>, Problem> {
    caller.grant.require_admin(&room)?;
    Ok(Json(
        app.control.participant(&room, &identity).await?.into(),
    ))
}

/// Changes name, metadata, attributes and permissions; the latter take effect at once.
#[utoipa::path(patch, path = "/v1/rooms/{room}/participants/{identity}", tag = "participants",
    params(ParticipantPath), request_body = ParticipantPatchDto,
    responses((status = OK, body = ParticipantDto), (status = "4XX", body = ProblemDto)))]
async fn update(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(ParticipantPath { room, identity }): Path<ParticipantPath>,
    Body(patch): Body<ParticipantPatchDto>,
) -> Result<Json<ParticipantDto>, Problem> {
    caller.grant.require_admin(&room)?;
    let permissions = match patch.permissions {
        Some(_) => Some(app.control.participant(&room, &identity).await?.permissions),
        None => None,
    };
    let patch = patch.onto(permissions);
    let participant = app
        .control
        .update_participant(&room, &identity, patch)
        .await?;
    Ok(Json(participant.into()))
}

/// Ends a participant's stay (kick); it is told the reason `kicked`.
#[utoipa::path(delete, path = "/v1/rooms/{room}/participants/{identity}", tag = "participants",
    params(ParticipantPath),
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn remove(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(ParticipantPath { room, identity }): Path<ParticipantPath>,
) -> Result<StatusCode, Problem> {
    caller.grant.require_admin(&room)?;
    app.control
        .remove_participant(&room, &identity, Reason::Kicked)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Moves a participant to another room without rejoining.
///
/// Needs `destinationRoom` for the other room besides, or `roomCreate`.
#[utoipa::path(post, path = "/v1/rooms/{room}/participants/{identity}/move",
    tag = "participants", params(ParticipantPath), request_body = Destination,
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn transfer(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(ParticipantPath { room, identity }): Path<ParticipantPath>,
    Body(Destination { to }): Body<Destination>,
) -> Result<StatusCode, Problem> {
    let to = room_of(&to)?;
    caller.grant.require_transfer(&room, &to)?;
    app.control.move_participant(&room, &identity, &to).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Feeds a participant's tracks, present and future ones, into another room as well.
///
/// Needs `destinationRoom` for the other room besides, or `roomCreate`.
#[utoipa::path(post, path = "/v1/rooms/{room}/participants/{identity}/forward",
    tag = "participants", params(ParticipantPath), request_body = Destination,
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn forward(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(ParticipantPath { room, identity }): Path<ParticipantPath>,
    Body(Destination { to }): Body<Destination>,
) -> Result<StatusCode, Problem> {
    let to = room_of(&to)?;
    caller.grant.require_transfer(&room, &to)?;
    app.control
        .forward_participant(&room, &identity, &to)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says for a participant whether it receives a track, and how large.
#[utoipa::path(put, path = "/v1/rooms/{room}/participants/{identity}/subscriptions/{track}",
    tag = "participants", params(SubscriptionPath), request_body = WishDto,
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn subscribe(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(SubscriptionPath {
        room,
        identity,
        track,
    }): Path<SubscriptionPath>,
    Body(wish): Body<WishDto>,
) -> Result<StatusCode, Problem> {
    caller.grant.require_admin(&room)?;
    app.control
        .set_subscription(&room, &identity, &track, wish.into())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
