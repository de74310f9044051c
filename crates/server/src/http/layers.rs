//! What is done around every request: limits, security headers, CORS, counting.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LINK, LOCATION, REFERRER_POLICY,
    RETRY_AFTER, STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::problem::Problem;
use crate::app::App;

/// Lets pages of the configured origins call the API, and read what WHIP's answers carry in
/// headers. No credentials: who calls is said by tokens, which no browser adds by itself.
pub(super) fn cors(origins: &[String]) -> CorsLayer {
    let origin = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|o| HeaderValue::from_str(o).ok()))
    };
    let accept_post = HeaderName::from_static("accept-post");
    CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH])
        .expose_headers([
            LOCATION,
            LINK,
            ETAG,
            accept_post,
            RETRY_AFTER,
            WWW_AUTHENTICATE,
        ])
        .max_age(Duration::from_secs(3600))
}

/// Headers that belong on every answer.
pub(super) async fn secure(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Addresses of pages may carry a token.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if app.config.has_tls() {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

/// Ends requests that take too long, those with slow bodies included. Streams (SSE, WebSocket) are
/// answered at once and go on.
pub(super) async fn timed(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let limit = Duration::from_secs(app.config.http.request_timeout_s);
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timeout",
            "It took too long",
            "the request was not complete or not answered in time; try again",
        )
        .into_response(),
    }
}

/// Counts and logs. The query is never logged: it may carry a token.
pub(super) async fn counted(request: Request, next: Next) -> Response {
    let method = method_label(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "page".to_owned(), |path| path.as_str().to_owned());
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    tracing::debug!(method, path, status, "request");
    metrics::counter!(
        "crosspoint_http_requests_total",
        "method" => method, "route" => route, "status" => status.to_string()
    )
    .increment(1);
    response
}

/// A client may invent methods; a metric's labels must stay few.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Our bug: the request fails, the server goes on.
pub(super) fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    metrics::counter!("crosspoint_http_panics_total").increment(1);
    Problem::internal().into_response()
}
