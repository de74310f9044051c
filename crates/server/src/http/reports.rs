//! `/v1/rooms/{room}/reports` and `/v1/history`: what is, and was, measured.

#![expect(
    unused_qualifications,
    reason = "written by utoipa's macro for handlers with parameters"
)]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use crosspoint_control::model::RoomName;
use crosspoint_store::history::{Filter, Occurrence, Point};
use crosspoint_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::path::{Path, Query, RoomPath, room_of};
use super::problem::{Problem, ProblemDto};
use crate::app::App;
use crate::auth::extract::Authenticated;
use crate::report::dto::{ParticipantSampleDto, RoomReportDto, SampleDto, TrackSampleDto};
use crate::report::history::SummaryDto;

/// Most occurrences, and points, of one answer.
const OCCURRENCES_MAX: u32 = 1000;
const POINTS_MAX: u32 = 1000;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(report))
        .routes(routes!(history))
        .routes(routes!(occurrence))
}

/// Which occurrences are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct HistoryQuery {
    /// Only those of this room.
    room: Option<String>,
    /// Only those that lasted at this time or later, RFC 3339.
    #[param(example = "2026-01-31T12:00:00Z")]
    since: Option<String>,
    /// At most so many, the newest; up to 1000, which is the default.
    limit: Option<u32>,
    /// `json`, the default, or `csv`.
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

/// Which points of an occurrence are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PointsQuery {
    /// Only points after this time: `next` of the answer before. Unix milliseconds.
    #[serde(default)]
    after: i64,
    /// `json`, the default, or `csv`.
    #[serde(default)]
    #[param(inline)]
    format: Format,
}

/// How the answer is written.
#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    Csv,
}

/// `{id}`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct OccurrencePath {
    /// Id of an occurrence: the room's `sid`.
    id: String,
}

/// Occurrences of rooms.
#[derive(Serialize, ToSchema)]
struct HistoryDto {
    occurrences: Vec<OccurrenceDto>,
}

/// One life of a room, from its making to its end.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OccurrenceDto {
    id: String,
    room: String,
    /// RFC 3339.
    started_at: String,
    /// `null` while it lasts.
    ended_at: Option<String>,
    duration_s: Option<f64>,
    /// Why it ended.
    reason: Option<String>,
    /// `null` while it lasts, and after the server was stopped without a word.
    summary: Option<SummaryDto>,
}

/// An occurrence and what was measured in it.
#[derive(Serialize, ToSchema)]
struct OccurrencePointsDto {
    occurrence: OccurrenceDto,
    /// In order of time.
    points: Vec<PointDto>,
    /// `after` for the next request; `null`: that was all so far.
    next: Option<i64>,
}

/// What was measured in a step.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PointDto {
    /// End of the step, RFC 3339.
    at: String,
    /// Length of the step.
    step_s: i64,
    #[serde(flatten)]
    sample: SampleDto,
}

/// What is measured in a room now: at each participant the fields of RongCloud's
/// `IRCRTCStateReport`, and more. Renewed each second.
///
/// `mos` is the E-model of ITU-T G.107 reduced to delay, jitter and loss, with G.711's loss
/// concealment: what the network costs, not how a codec sounds.
///
/// Needs `roomAdmin` for the room.
#[utoipa::path(get, path = "/v1/rooms/{room}/reports", tag = "reports", params(RoomPath),
    responses((status = OK, body = RoomReportDto), (status = "4XX", body = ProblemDto)))]
async fn report(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(RoomPath { room }): Path<RoomPath>,
) -> Result<Response, Problem> {
    caller.grant.require_admin(&room)?;
    let report = app.reporter.latest(app.control.as_ref(), &room).await?;
    Ok(Json(report.as_ref()).into_response())
}

/// Occurrences of rooms, newest first, with their summaries.
///
/// Needs `roomList` for all rooms, or `roomAdmin` for the one that is asked for.
#[utoipa::path(get, path = "/v1/history", tag = "reports", params(HistoryQuery),
    responses((status = OK, body = HistoryDto), (status = "4XX", body = ProblemDto),
        (status = SERVICE_UNAVAILABLE, body = ProblemDto)))]
async fn history(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Query(query): Query<HistoryQuery>,
) -> Result<Response, Problem> {
    let wanted = query.room.as_deref().map(room_of).transpose()?;
    let room = caller.grant.require_events(wanted)?;
    let since_ms = query.since.as_deref().map(parse_time).transpose()?;
    let filter = Filter {
        room: room.map(|room| room.to_string()),
        since_ms: since_ms.unwrap_or(0),
        limit: query
            .limit
            .unwrap_or(OCCURRENCES_MAX)
            .clamp(1, OCCURRENCES_MAX),
    };
    let found = store(&app)?.occurrences(&filter).await?;
    let occurrences: Vec<_> = found.into_iter().map(OccurrenceDto::from).collect();
    Ok(match query.format {
        Format::Json => Json(HistoryDto { occurrences }).into_response(),
        Format::Csv => csv("history.csv", occurrences_csv(&occurrences)),
    })
}

/// What was measured in an occurrence of a room: each second of late, before that in steps of ten.
///
/// Needs `roomList`, or `roomAdmin` for the room.
#[utoipa::path(get, path = "/v1/history/{id}", tag = "reports",
    params(OccurrencePath, PointsQuery),
    responses((status = OK, body = OccurrencePointsDto), (status = "4XX", body = ProblemDto),
        (status = SERVICE_UNAVAILABLE, body = ProblemDto)))]
async fn occurrence(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(OccurrencePath { id }): Path<OccurrencePath>,
    Query(query): Query<PointsQuery>,
) -> Result<Response, Problem> {
    let store = store(&app)?;
    let found = store.occurrence(&id).await?;
    let room = found.as_ref().and_then(|found| RoomName::new(&found.room));
    match &room {
        Some(room) => caller.grant.require_view(room)?,
        // Who may not see all rooms does not learn which there were.
        None => caller.grant.require_list()?,
    }
    let found = found.ok_or_else(no_such_occurrence)?;
    let points = store.points(&id, query.after, POINTS_MAX).await?;
    let full = points.len() >= POINTS_MAX as usize;
    let next = points.last().filter(|_| full).map(|point| point.at_ms);
    let points: Vec<_> = points.into_iter().map(PointDto::from).collect();
    Ok(match query.format {
        Format::Json => Json(OccurrencePointsDto {
            occurrence: found.into(),
            points,
            next,
        })
        .into_response(),
        Format::Csv => csv(&format!("{}.csv", file_name(&id)), points_csv(&points)),
    })
}

fn store(app: &App) -> Result<&Store, Problem> {
    app.store.as_ref().ok_or_else(|| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store_unavailable",
            "There are no records",
            "the server runs without its store; its log says why",
        )
    })
}

fn no_such_occurrence() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "occurrence_not_found",
        "No such occurrence",
        "there was no such room, or it is too long ago (history.keep_s)",
    )
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::debug!(%error, "a record could not be read");
        let detail = "the store does not answer; try again in a moment";
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            error.label(),
            "The store does not answer",
            detail,
        )
    }
}

impl From<Occurrence> for OccurrenceDto {
    fn from(found: Occurrence) -> Self {
        let duration = found.ended_at_ms.map(|end| end - found.started_at_ms);
        Self {
            id: found.id,
            room: found.room,
            started_at: rfc3339(found.started_at_ms),
            ended_at: found.ended_at_ms.map(rfc3339),
            duration_s: duration.map(|ms| ms as f64 / 1000.0),
            reason: found.reason,
            summary: found
                .summary
                .and_then(|text| serde_json::from_str(&text).ok()),
        }
    }
}

impl From<Point> for PointDto {
    fn from(point: Point) -> Self {
        Self {
            at: rfc3339(point.at_ms),
            step_s: point.step_s,
            // One that an older version wrote otherwise is shown as empty.
            sample: serde_json::from_str(&point.sample).unwrap_or_default(),
        }
    }
}

fn parse_time(text: &str) -> Result<i64, Problem> {
    let time = humantime::parse_rfc3339_weak(text).map_err(|error| {
        let detail = format!("`since` is a time like 2026-01-31T12:00:00Z: {error}");
        Problem::bad_request("invalid_time", detail)
    })?;
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn rfc3339(unix_ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(unix_ms).unwrap_or(0));
    let time = UNIX_EPOCH
        .checked_add(since)
        .unwrap_or(SystemTime::UNIX_EPOCH);
    humantime::format_rfc3339_millis(time).to_string()
}

fn csv(name: &str, text: String) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (CONTENT_DISPOSITION, disposition),
    ];
    (headers, text).into_response()
}

fn file_name(id: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    id.chars().filter(plain).take(64).collect()
}

fn occurrences_csv(occurrences: &[OccurrenceDto]) -> String {
    let mut table = Table::new(
        "id,room,startedAt,endedAt,durationS,reason,identities,peakParticipants,\
         participantMinutes,tracks,receivedMb,sentMb,rttMean,rttMax,packetsLostRateMean,\
         packetsLostRateMax,mosMean,mosMin",
    );
    for found in occurrences {
        let none = SummaryDto::default();
        let summary = found.summary.as_ref();
        let known = summary.is_some();
        let summary = summary.unwrap_or(&none);
        table
            .cell(&found.id)
            .cell(&found.room)
            .cell(&found.started_at)
            .cell(found.ended_at.as_deref().unwrap_or_default())
            .number(found.duration_s)
            .cell(found.reason.as_deref().unwrap_or_default())
            .number(known.then_some(summary.identities))
            .number(known.then_some(summary.peak_participants))
            .number(known.then_some(summary.participant_minutes))
            .number(known.then_some(summary.tracks))
            .number(known.then_some(summary.received_mb))
            .number(known.then_some(summary.sent_mb))
            .number(summary.rtt_mean)
            .number(summary.rtt_max)
            .number(summary.packets_lost_rate_mean)
            .number(summary.packets_lost_rate_max)
            .number(summary.mos_mean)
            .number(summary.mos_min)
            .end_row();
    }
    table.text
}

/// A row for each track of each participant, and one for a participant without tracks.
fn points_csv(points: &[PointDto]) -> String {
    let mut table = Table::new(
        "at,stepS,identity,bitrateSend,bitrateRecv,rtt,availableIncomingBitrate,mos,trackId,kind,\
         remoteResource,bitrate,packetsLostRate,jitter,frameRate,layer",
    );
    for point in points {
        for participant in &point.sample.participants {
            if participant.tracks.is_empty() {
                participant_cells(&mut table, point, participant);
                table.skip(8).end_row();
            }
            for track in &participant.tracks {
                participant_cells(&mut table, point, participant);
                track_cells(&mut table, track);
                table.end_row();
            }
        }
    }
    table.text
}

fn participant_cells(table: &mut Table, point: &PointDto, participant: &ParticipantSampleDto) {
    table
        .cell(&point.at)
        .number(Some(point.step_s))
        .cell(&participant.identity)
        .number(Some(participant.bitrate_send))
        .number(Some(participant.bitrate_recv))
        .number(participant.rtt)
        .number(participant.available_incoming_bitrate)
        .number(participant.mos);
}

fn track_cells(table: &mut Table, track: &TrackSampleDto) {
    table
        .cell(&track.track_id)
        .cell(&track.kind)
        .number(Some(track.remote_resource))
        .number(Some(track.bitrate))
        .number(track.packets_lost_rate)
        .number(track.jitter)
        .number(track.frame_rate)
        .number(track.layer);
}

/// CSV as in RFC 4180.
struct Table {
    text: String,
    at_start: bool,
}

impl Table {
    fn new(header: &str) -> Self {
        Self {
            text: format!("{header}\r\n"),
            at_start: true,
        }
    }

    /// A text. Spreadsheets take one that begins like a formula for one: a quote keeps them from it.
    fn cell(&mut self, text: &str) -> &mut Self {
        self.comma();
        let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
        let guarded = if formula { "'" } else { "" };
        if formula || text.contains(['"', ',', '\r', '\n']) {
            // Writing into a String cannot fail.
            let _ = write!(self.text, "\"{guarded}{}\"", text.replace('"', "\"\""));
        } else {
            self.text.push_str(text);
        }
        self
    }

    fn number(&mut self, value: Option<impl std::fmt::Display>) -> &mut Self {
        self.comma();
        if let Some(value) = value {
            let _ = write!(self.text, "{value}");
        }
        self
    }

    fn skip(&mut self, cells: usize) -> &mut Self {
        for _ in 0..cells {
            self.comma();
        }
        self
    }

    fn end_row(&mut self) {
        self.text.push_str("\r\n");
        self.at_start = true;
    }

    fn comma(&mut self) {
        if !std::mem::replace(&mut self.at_start, false) {
            self.text.push(',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_has_a_row_for_each_track_and_quotes_what_needs_it() {
        let participant = |identity: &str, tracks| ParticipantSampleDto {
            identity: identity.to_owned(),
            rtt: Some(12.5),
            tracks,
            ..ParticipantSampleDto::default()
        };
        let track = TrackSampleDto {
            track_id: "TR_1".to_owned(),
            kind: "audio".to_owned(),
            bitrate: 32.1,
            ..TrackSampleDto::default()
        };
        let points = [PointDto {
            at: rfc3339(1_000),
            step_s: 1,
            sample: SampleDto {
                participants: vec![
                    participant("=cmd()", vec![]),
                    participant("a \"b\", c", vec![track.clone(), track]),
                ],
            },
        }];
        let text = points_csv(&points);
        let rows: Vec<_> = text.lines().collect();
        assert_eq!(rows.len(), 4);
        assert_eq!(
            rows[1],
            "1970-01-01T00:00:01.000Z,1,\"'=cmd()\",0,0,12.5,,,,,,,,,,"
        );
        assert_eq!(
            rows[2],
            "1970-01-01T00:00:01.000Z,1,\"a \"\"b\"\", c\",0,0,12.5,,,TR_1,audio,false,32.1,,,,"
        );
        let columns = |row: &str| row.split(',').count();
        assert_eq!(columns(rows[0]), columns(rows[1]));
    }
}
