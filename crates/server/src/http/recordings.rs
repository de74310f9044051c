//! `/v1/recordings`: recordings and their files.

#![expect(
    unused_qualifications,
    reason = "written by utoipa's macro for handlers with parameters"
)]

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use crosspoint_record::manifest::{self, Format, Manifest, Mode, OnFailure};
use serde::{Deserialize, Serialize};
use tower::ServiceExt as _;
use tower_http::services::ServeFile;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::path::{Body, Path, Query, RoomPath};
use super::problem::{Problem, ProblemDto};
use crate::app::App;
use crate::auth::extract::Authenticated;
use crate::recordings::{RecordingError, Recordings};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(begin))
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(stop))
        .routes(routes!(file))
}

/// How a room is to be recorded.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct BeginDto {
    mode: ModeDto,
    format: FormatDto,
    on_failure: OnFailureDto,
}

/// What a recording becomes: each track a file of its own (`individual`), also one stereo file of
/// sound with the first participant on the left and everyone else on the right (`call`), or also one
/// file with all pictures in a grid and all voices (`mixed`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ModeDto {
    #[default]
    Individual,
    Call,
    Mixed,
}

/// Container of the composed file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum FormatDto {
    #[default]
    Webm,
    Mp4,
}

/// What becomes of a room whose recording fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum OnFailureDto {
    #[default]
    Continue,
    End,
}

/// A recording.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordingDto {
    #[schema(example = "RC_4fK2pQz81xYa")]
    id: String,
    room: String,
    room_sid: String,
    mode: ModeDto,
    /// "recording", "composing", "delivering", "ready" or "aborted".
    state: &'static str,
    /// Why it ended; null while it goes on.
    reason: Option<&'static str>,
    /// RFC 3339.
    started_at: String,
    ended_at: Option<String>,
    duration_ms: u64,
    bytes: u64,
    /// How much of the composed file is made, in percent.
    progress: Option<u8>,
    /// Where the files are kept in the end; null: on this server.
    target: Option<String>,
    /// Identities of those who were recorded.
    participants: Vec<String>,
    tracks: Vec<RecordedTrackDto>,
    files: Vec<RecordingFileDto>,
}

/// A track of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RecordedTrackDto {
    sid: String,
    identity: String,
    kind: String,
    source: String,
    start_ms: u64,
    end_ms: u64,
    /// Why there is no file of it.
    reason: Option<&'static str>,
    packets: u64,
    lost_packets: u64,
    gaps: Vec<GapDto>,
    /// Further gaps, that are not listed.
    gaps_omitted: u64,
}

/// Where nothing of the publisher's is in a track's files.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct GapDto {
    start_ms: u64,
    duration_ms: u64,
    /// "loss", "overflow", "mute", "dtx", "pause", "layer_change" or "restart".
    #[schema(value_type = String)]
    reason: manifest::GapReason,
    packets: u64,
}

/// A file of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RecordingFileDto {
    name: String,
    /// Id of its track; null for a composed file.
    track: Option<String>,
    codec: String,
    content_type: String,
    /// From the recording's start to the file's first frame.
    offset_ms: u64,
    duration_ms: u64,
    bytes: u64,
    sha256: String,
}

/// A list of recordings.
#[derive(Serialize, ToSchema)]
struct RecordingsDto {
    recordings: Vec<RecordingDto>,
}

/// Which recordings are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only those of this room.
    room: Option<String>,
}

/// `{id}`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct RecordingPath {
    /// Id of the recording.
    id: String,
}

/// `{id}` and `{name}`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct FilePath {
    /// Id of the recording.
    id: String,
    /// Name of the file.
    name: String,
}

/// Begins to record a room: all of its tracks, present and future ones.
///
/// Needs `roomRecord`, and no other room in the token.
#[utoipa::path(post, path = "/v1/rooms/{room}/recordings", tag = "recordings", params(RoomPath),
    request_body = BeginDto,
    responses((status = CREATED, body = RecordingDto), (status = "4XX", body = ProblemDto)))]
async fn begin(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(RoomPath { room }): Path<RoomPath>,
    Body(request): Body<BeginDto>,
) -> Result<(StatusCode, Json<RecordingDto>), Problem> {
    caller.grant.require_record(Some(room.as_str()))?;
    let mode = match request.mode {
        ModeDto::Individual => Mode::Individual,
        ModeDto::Call => Mode::Call,
        ModeDto::Mixed => Mode::Mixed,
    };
    let format = match request.format {
        FormatDto::Webm => Format::Webm,
        FormatDto::Mp4 => Format::Mp4,
    };
    let on_failure = match request.on_failure {
        OnFailureDto::Continue => OnFailure::Continue,
        OnFailureDto::End => OnFailure::End,
    };
    let recordings = recordings(&app)?;
    let manifest = recordings.begin(&room, mode, format, on_failure).await?;
    Ok((StatusCode::CREATED, Json(manifest.into())))
}

/// Recordings, newest first, at most 1000; with a room in the token only that room's. Their gaps are
/// counted here and listed by `GET /v1/recordings/{id}`.
///
/// Needs `roomRecord`.
#[utoipa::path(get, path = "/v1/recordings", tag = "recordings", params(Filter),
    responses((status = OK, body = RecordingsDto), (status = "4XX", body = ProblemDto)))]
async fn list(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Query(filter): Query<Filter>,
) -> Result<Json<RecordingsDto>, Problem> {
    let room = caller.grant.require_recordings(filter.room)?;
    let found = recordings(&app)?.list(room).await?;
    let recordings = found.into_iter().map(RecordingDto::from).collect();
    Ok(Json(RecordingsDto { recordings }))
}

/// One recording.
///
/// Needs `roomRecord`, and no other room in the token.
#[utoipa::path(get, path = "/v1/recordings/{id}", tag = "recordings", params(RecordingPath),
    responses((status = OK, body = RecordingDto), (status = "4XX", body = ProblemDto)))]
async fn get(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(RecordingPath { id }): Path<RecordingPath>,
) -> Result<Json<RecordingDto>, Problem> {
    let manifest = find(&caller, &app, &id).await?;
    Ok(Json(manifest.into()))
}

/// Ends a recording. What is said of it is how it was; how it goes on is told by
/// `GET /v1/recordings/{id}` and by events. Ending it again is without effect.
///
/// Needs `roomRecord`, and no other room in the token.
#[utoipa::path(post, path = "/v1/recordings/{id}/stop", tag = "recordings", params(RecordingPath),
    responses((status = OK, body = RecordingDto), (status = "4XX", body = ProblemDto)))]
async fn stop(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(RecordingPath { id }): Path<RecordingPath>,
) -> Result<Json<RecordingDto>, Problem> {
    find(&caller, &app, &id).await?;
    let manifest = recordings(&app)?.stop(&id).await?;
    Ok(Json(manifest.into()))
}

/// A file of a recording, or a part of it (RFC 9110 §14): also while it grows. The token may be given
/// as `access_token`, for players.
///
/// Needs `roomRecord`, and no other room in the token.
#[utoipa::path(get, path = "/v1/recordings/{id}/files/{name}", tag = "recordings", params(FilePath),
    responses(
        (status = OK, content_type = "application/octet-stream", body = [u8]),
        (status = PARTIAL_CONTENT, content_type = "application/octet-stream", body = [u8]),
        (status = "4XX", body = ProblemDto)))]
async fn file(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(FilePath { id, name }): Path<FilePath>,
    request: Request,
) -> Result<Response, Problem> {
    let manifest = find(&caller, &app, &id).await?;
    let Some(path) = recordings(&app)?.file(&manifest, &name) else {
        let detail = match &manifest.target {
            Some(target) => format!("the recording's files are at {target}"),
            None => format!("the recording has no file \"{name}\""),
        };
        let title = "No such file";
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            "file_not_found",
            title,
            detail,
        ));
    };
    let listed = manifest.files.iter().find(|file| file.name == name);
    let mime = listed.and_then(|file| file.content_type.parse().ok());
    let serve = match mime {
        Some(mime) => ServeFile::new_with_mime(path, &mime),
        None => ServeFile::new(path),
    };
    match serve.oneshot(request).await {
        Ok(response) => Ok(response.into_response()),
        Err(never) => match never {},
    }
}

fn recordings(app: &App) -> Result<&Arc<Recordings>, Problem> {
    app.recordings().ok_or_else(|| {
        Problem::new(
            StatusCode::CONFLICT,
            "recording_disabled",
            "Recording is switched off",
            "recording.enabled in the server's settings switches it on",
        )
    })
}

async fn find(caller: &Authenticated, app: &App, id: &str) -> Result<Manifest, Problem> {
    // Who may not see any need not know which there are.
    caller.grant.require_record(None)?;
    let manifest = recordings(app)?.get(id).await?;
    caller.grant.require_record(Some(&manifest.room))?;
    Ok(manifest)
}

impl From<RecordingError> for Problem {
    fn from(error: RecordingError) -> Self {
        let detail = error.to_string();
        let (status, label, title) = match error {
            RecordingError::Control(error) => return error.into(),
            RecordingError::Off(_) => (
                StatusCode::CONFLICT,
                "recording_off",
                "The room may not be recorded",
            ),
            RecordingError::Already { .. } => (
                StatusCode::CONFLICT,
                "already_recording",
                "The room is being recorded already",
            ),
            RecordingError::NotFound(_) => (
                StatusCode::NOT_FOUND,
                "recording_not_found",
                "No such recording",
            ),
            RecordingError::Disk(_) => (
                StatusCode::INSUFFICIENT_STORAGE,
                "disk_failed",
                "The disk fails or is full",
            ),
            RecordingError::Overloaded => (
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "The server is overloaded",
            ),
        };
        Self::new(status, label, title, detail)
    }
}

impl From<Manifest> for RecordingDto {
    fn from(manifest: Manifest) -> Self {
        Self {
            id: manifest.id,
            room: manifest.room,
            room_sid: manifest.room_sid,
            mode: match manifest.mode {
                Mode::Individual => ModeDto::Individual,
                Mode::Call => ModeDto::Call,
                Mode::Mixed => ModeDto::Mixed,
            },
            state: match manifest.state {
                manifest::State::Recording => "recording",
                manifest::State::Composing => "composing",
                manifest::State::Delivering => "delivering",
                manifest::State::Ready => "ready",
                manifest::State::Aborted => "aborted",
            },
            reason: manifest.reason.map(manifest::Reason::label),
            started_at: manifest.started_at,
            ended_at: manifest.ended_at,
            duration_ms: manifest.duration_ms,
            bytes: manifest.bytes,
            progress: manifest.progress,
            target: manifest.target,
            participants: manifest
                .participants
                .into_iter()
                .map(|p| p.identity)
                .collect(),
            tracks: manifest.tracks.into_iter().map(Into::into).collect(),
            files: manifest.files.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<manifest::Track> for RecordedTrackDto {
    fn from(track: manifest::Track) -> Self {
        let gap = |gap: manifest::Gap| GapDto {
            start_ms: gap.start_ms,
            duration_ms: gap.duration_ms,
            reason: gap.reason,
            packets: gap.packets,
        };
        Self {
            sid: track.sid,
            identity: track.identity,
            kind: track.kind,
            source: track.source,
            start_ms: track.start_ms,
            end_ms: track.end_ms,
            reason: track.reason.map(manifest::Reason::label),
            packets: track.packets,
            lost_packets: track.lost_packets,
            gaps: track.gaps.into_iter().map(gap).collect(),
            gaps_omitted: track.gaps_omitted,
        }
    }
}

impl From<manifest::FileEntry> for RecordingFileDto {
    fn from(file: manifest::FileEntry) -> Self {
        Self {
            name: file.name,
            track: file.track,
            codec: file.codec,
            content_type: file.content_type,
            offset_ms: file.offset_ms,
            duration_ms: file.duration_ms,
            bytes: file.bytes,
            sha256: file.sha256,
        }
    }
}
