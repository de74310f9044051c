//! `/healthz`, `/readyz`, `/metrics`: for load balancers, orchestrators and Prometheus.
//!
//! They need no token and say nothing about who is in which room.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::{Problem, ProblemDto};
use crate::app::App;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
}

/// Whether the process is alive.
#[utoipa::path(get, path = "/healthz", tag = "operation",
    responses((status = OK, content_type = "text/plain", body = String)))]
async fn healthz() -> impl IntoResponse {
    ([(CACHE_CONTROL, "no-store")], "ok\n")
}

/// Whether the server takes joins; 503 while it is stopping.
#[utoipa::path(get, path = "/readyz", tag = "operation",
    responses((status = OK, content_type = "text/plain", body = String),
        (status = SERVICE_UNAVAILABLE, body = ProblemDto)))]
async fn readyz(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Problem> {
    if app.is_draining() {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "draining",
            "The server is stopping",
            "the server is stopping and takes no further joins",
        ));
    }
    Ok(([(CACHE_CONTROL, "no-store")], "ready\n"))
}

/// Counters and gauges in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "operation",
    responses((status = OK, content_type = "text/plain", body = String)))]
async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let text = crate::telemetry::render(&app).await;
    (
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
}
