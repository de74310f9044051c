//! The pages and the browser SDK, as `crosspoint-web` embeds them.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// What pages may use of the browser, and no page embedded into them.
const PERMISSIONS: &str = "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), \
    fullscreen=(self), speaker-selection=(self), geolocation=(), payment=(), usb=()";

/// Answers everything that is not a route of the API.
pub(super) async fn serve(request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Problem::not_found().into_response();
    }
    let path = request.uri().path();
    let Some(asset) = crosspoint_web::asset(path) else {
        return Problem::not_found().into_response();
    };
    let mut headers = HeaderMap::new();
    // Revalidated each time: an upgrade of the server reaches browsers at once.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(crosspoint_web::CONTENT_SECURITY_POLICY),
    );
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static(PERMISSIONS),
    );
    if path.starts_with("/sdk/") {
        // Applications on other origins import the SDK from here.
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("cross-origin"),
        );
    }
    let unchanged = request
        .headers()
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim().trim_start_matches("W/") == asset.etag);
    if let Ok(tag) = HeaderValue::from_str(&asset.etag) {
        headers.insert(ETAG, tag);
    }
    if unchanged {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.mime));
    (headers, Body::from(asset.bytes.into_owned())).into_response()
}
