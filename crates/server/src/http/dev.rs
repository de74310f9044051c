//! `POST /v1/dev/token`, `POST /v1/dev/admin-token`: tokens for the pages of a server in development mode.
//!
//! The route exists in that mode only, where the server listens on loopback only. A web page from
//! elsewhere, open in the developer's browser, must not get a token either: it cannot read the
//! answer (no CORS here), cannot pose as same-origin by DNS rebinding (`Host` must be a loopback
//! name), and cannot send JSON cross-origin without the preflight that nothing answers.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::path::{Body, identity_of, room_of};
use super::problem::{Problem, ProblemDto};
use crate::app::App;
use crate::auth::TokenRequest;

/// How long such a token is good for.
const TTL: Duration = Duration::from_secs(3600);

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(token))
        .routes(routes!(admin_token))
}

/// Who wants to join what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DevTokenRequest {
    room: String,
    identity: String,
    /// Name to show.
    name: Option<String>,
}

/// A token.
#[derive(Serialize, ToSchema)]
struct DevToken {
    token: String,
}

/// A token to join a room. In development mode only, and only from this machine.
#[utoipa::path(post, path = "/v1/dev/token", tag = "development",
    request_body = DevTokenRequest,
    responses((status = OK, body = DevToken), (status = "4XX", body = ProblemDto)))]
async fn token(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Body(request): Body<DevTokenRequest>,
) -> Result<Json<DevToken>, Problem> {
    require_local(&app, peer, &headers)?;
    let request = TokenRequest {
        room: room_of(&request.room)?.as_str().to_owned(),
        identity: Some(identity_of(&request.identity)?.as_str().to_owned()),
        name: request.name,
        metadata: None,
        attributes: BTreeMap::new(),
        ttl: TTL,
        grants: Vec::new(),
    };
    sign(&app, &request)
}

/// A token for Console, without a choice.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AdminTokenRequest {}

/// A token that administers all rooms (`nodeAdmin`). In development mode only, and only from this
/// machine.
#[utoipa::path(post, path = "/v1/dev/admin-token", tag = "development",
    request_body = AdminTokenRequest,
    responses((status = OK, body = DevToken), (status = "4XX", body = ProblemDto)))]
async fn admin_token(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Body(AdminTokenRequest {}): Body<AdminTokenRequest>,
) -> Result<Json<DevToken>, Problem> {
    require_local(&app, peer, &headers)?;
    let request = TokenRequest {
        room: String::new(),
        identity: None,
        name: None,
        metadata: None,
        attributes: BTreeMap::new(),
        ttl: TTL,
        grants: ["roomJoin=false", "nodeAdmin=true", "roomRecord=true"]
            .iter()
            .filter_map(|grant| grant.parse().ok())
            .collect(),
    };
    sign(&app, &request)
}

fn sign(app: &App, request: &TokenRequest) -> Result<Json<DevToken>, Problem> {
    let token = request.sign(&app.keys).map_err(|error| {
        tracing::error!(%error, "a development token could not be signed");
        Problem::internal()
    })?;
    Ok(Json(DevToken { token }))
}

fn require_local(app: &App, peer: SocketAddr, headers: &HeaderMap) -> Result<(), Problem> {
    if app.development && is_loopback(peer.ip()) && is_same_loopback_origin(headers) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "not_local",
        "Only for pages of this machine",
        "open the page as http://localhost:PORT/ on the machine that runs the server, or \
         start the server with CROSSPOINT_KEYS and give the page a token",
    ))
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// Whether the request was made to a loopback name, and by a page that was served from there
/// (or by no page at all).
fn is_same_loopback_origin(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let Ok(authority) = Authority::try_from(host.as_bytes()) else {
        return false;
    };
    let name = authority.host().trim_matches(['[', ']']);
    let loopback = name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback);
    let same_origin = headers.get_all(ORIGIN).iter().all(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        origin
            .strip_prefix("http://")
            .or_else(|| origin.strip_prefix("https://"))
            .is_some_and(|origin| origin.eq_ignore_ascii_case(authority.as_str()))
    });
    loopback && same_origin
}
