//! `GET /v1/tenants/{tenant}/records`: calls that have ended, as JSON or as a table.

#![expect(
    unused_qualifications,
    reason = "written by utoipa's macro for handlers with parameters"
)]

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Json;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use crosspoint_calls::ids::{GroupId, UserId};
use crosspoint_calls::record::CallRecord;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::admin::{Administrator, TenantPath};
use super::verbs::problem;
use crate::app::App;
use crate::http::path::Query;
use crate::http::problem::{Problem, ProblemDto};

/// Most records in one answer, and how many there are when nothing is said.
const RECORDS_MAX: usize = 10_000;
const RECORDS_DEFAULT: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(records))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RecordsQuery {
    /// Calls that ended at this time or later: milliseconds since the Unix epoch.
    since: Option<u64>,
    /// At most this many, newest first; default 1000, at most 10000.
    limit: Option<usize>,
    /// `json`, the default, or `csv`.
    format: Option<String>,
}

/// Records of calls that have ended, newest first.
#[utoipa::path(get, path = "/v1/tenants/{tenant}/records", tag = "calls",
    params(TenantPath, RecordsQuery),
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn records(
    Administrator { app, tenant }: Administrator,
    Query(query): Query<RecordsQuery>,
) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(RECORDS_DEFAULT).min(RECORDS_MAX);
    let archive = app.calls.service.archive();
    let records = archive.records(&tenant, query.since.unwrap_or_default(), limit);
    let records = records.await.map_err(problem)?;
    match query.format.as_deref() {
        None | Some("json") => Ok(Json(json!({ "records": records })).into_response()),
        Some("csv") => {
            let headers = [(CONTENT_TYPE, "text/csv; charset=utf-8")];
            Ok((headers, csv(&records)).into_response())
        }
        Some(_) => Err(Problem::bad_request(
            "invalid_query",
            "format is json or csv",
        )),
    }
}

/// RFC 4180.
fn csv(records: &[CallRecord]) -> String {
    let mut text = String::from(
        "call,kind,media,caller,target,group,members,createdMs,beginMs,endMs,durationMs,reason,endedBy,recordings\r\n",
    );
    for record in records {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let members: Vec<_> = record.members.iter().map(UserId::as_str).collect();
        let fields = [
            record.call.to_string(),
            word(&json!(record.kind)),
            word(&json!(record.media)),
            record.caller.to_string(),
            record.target.clone(),
            record
                .group
                .as_ref()
                .map(GroupId::to_string)
                .unwrap_or_default(),
            members.join(" "),
            record.created_ms.to_string(),
            record.begin_ms.to_string(),
            record.end_ms.to_string(),
            record.duration_ms.to_string(),
            record.reason.label().to_owned(),
            record
                .ended_by
                .as_ref()
                .map(UserId::to_string)
                .unwrap_or_default(),
            record.recordings.join(" "),
        ];
        let quoted = fields.iter().map(|field| quoted(field));
        let _ = write!(text, "{}\r\n", quoted.collect::<Vec<_>>().join(","));
    }
    text
}

/// Quoted where need be; what a spreadsheet would take for a formula is made text.
fn quoted(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if formula { "'" } else { "" };
    match formula || field.contains([',', '"', '\r', '\n']) {
        true => format!("\"{guard}{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}
