//! `/v1/rooms/{room}/tracks/{track}/snapshot` and `/v1/rooms/{room}/moderation`: still pictures, for
//! who asks and for who judges.
//!
//! All of it needs `roomAdmin` for the room.

#![expect(
    unused_qualifications,
    reason = "written by utoipa's macro for handlers with parameters"
)]

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use crosspoint_control::model::RoomName;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::path::{Body, Path, Query, RoomPath, TrackPath};
use super::problem::{Problem, ProblemDto};
use crate::app::App;
use crate::auth::extract::Authenticated;
use crate::snapshot::PictureFormat;
use crate::snapshot::moderation::{Refused, Watch};

/// Shortest and longest interval of a moderation tap, in seconds.
const INTERVAL_S_MIN: u32 = 1;
const INTERVAL_S_MAX: u32 = 3600;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(snapshot))
        .routes(routes!(get, put, delete))
}

/// What is wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SnapshotQuery {
    /// `webp`, the default, `jpeg` or `png`.
    #[serde(default)]
    #[param(inline)]
    format: PictureFormat,
}

/// Pictures of a room's video tracks for somebody who judges them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ModerationDto {
    /// Where pictures are posted; `room`, `identity` and `track` are added to its query. The answer
    /// may be JSON with a `verdict` of at most 64 characters, which is announced as the event
    /// `moderationVerdict` and the webhook `moderation_verdict`.
    #[schema(example = "https://judge.example.com/picture")]
    url: String,
    /// Between two pictures of a track, 1 to 3600.
    interval_s: u32,
    #[serde(default)]
    format: PictureFormat,
}

/// A picture of a video track as it is now: its newest keyframe, at most 2 s old.
///
/// WebP of a VP8 track costs nothing; everything else is decoded by ffmpeg.
#[utoipa::path(get, path = "/v1/rooms/{room}/tracks/{track}/snapshot", tag = "pictures",
    params(TrackPath, SnapshotQuery),
    responses(
        (status = OK, content_type = "image/webp", body = [u8]),
        (status = "4XX", body = ProblemDto), (status = "5XX", body = ProblemDto)))]
async fn snapshot(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(TrackPath { room, track }): Path<TrackPath>,
    Query(query): Query<SnapshotQuery>,
) -> Result<Response, Problem> {
    caller.grant.require_admin(&room)?;
    let picture = app
        .snapshots
        .take(app.control.as_ref(), &room, &track, query.format)
        .await?;
    let headers = [
        (CONTENT_TYPE, query.format.mime()),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, picture).into_response())
}

/// How a room's pictures are judged.
#[utoipa::path(get, path = "/v1/rooms/{room}/moderation", tag = "pictures", params(RoomPath),
    responses((status = OK, body = ModerationDto), (status = "4XX", body = ProblemDto)))]
async fn get(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(RoomPath { room }): Path<RoomPath>,
) -> Result<Json<ModerationDto>, Problem> {
    caller.grant.require_admin(&room)?;
    let watch = app.moderation.of(&room).ok_or_else(not_moderated)?;
    Ok(Json(watch.into()))
}

/// Has a room's pictures judged from now on, until it ends or this is taken back.
#[utoipa::path(put, path = "/v1/rooms/{room}/moderation", tag = "pictures", params(RoomPath),
    request_body = ModerationDto,
    responses((status = OK, body = ModerationDto), (status = "4XX", body = ProblemDto)))]
async fn put(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(RoomPath { room }): Path<RoomPath>,
    Body(request): Body<ModerationDto>,
) -> Result<Json<ModerationDto>, Problem> {
    caller.grant.require_admin(&room)?;
    let watch = watch_of(&request)?;
    start(&app, &room, watch.clone()).await?;
    Ok(Json(watch.into()))
}

/// Ends the judging of a room's pictures.
#[utoipa::path(delete, path = "/v1/rooms/{room}/moderation", tag = "pictures", params(RoomPath),
    responses((status = NO_CONTENT), (status = "4XX", body = ProblemDto)))]
async fn delete(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(RoomPath { room }): Path<RoomPath>,
) -> Result<StatusCode, Problem> {
    caller.grant.require_admin(&room)?;
    if app.moderation.stop(&room) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(not_moderated())
    }
}

async fn start(app: &App, room: &RoomName, watch: Watch) -> Result<(), Problem> {
    // It ends with the room, so there must be one.
    app.control.room(room).await?;
    let control = Arc::clone(&app.control);
    let snapshots = Arc::clone(&app.snapshots);
    let started = app.moderation.start(control, snapshots, room, watch);
    started.map_err(|refused| match refused {
        Refused::Address => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "address_refused",
            "Pictures may not go there",
            "the URL leads to a special address; webhooks.allow_private allows those",
        ),
        Refused::NoKey => Problem::internal(),
    })
}

fn watch_of(request: &ModerationDto) -> Result<Watch, Problem> {
    let invalid = |detail: &str| {
        let title = "The request does not say what is needed";
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_value",
            title,
            detail,
        )
    };
    let url = request.url.parse::<reqwest::Url>().ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| invalid("`url` must be a URL with http or https"))?;
    if !(INTERVAL_S_MIN..=INTERVAL_S_MAX).contains(&request.interval_s) {
        return Err(invalid("`intervalS` must be from 1 to 3600"));
    }
    Ok(Watch {
        url,
        interval: Duration::from_secs(request.interval_s.into()),
        format: request.format,
    })
}

fn not_moderated() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not_moderated",
        "Nobody judges this room",
        "PUT to this address says who shall",
    )
}

impl From<Watch> for ModerationDto {
    fn from(watch: Watch) -> Self {
        Self {
            url: watch.url.into(),
            interval_s: u32::try_from(watch.interval.as_secs()).unwrap_or(INTERVAL_S_MAX),
            format: watch.format,
        }
    }
}
