//! WHIP (RFC 9725) in and WHEP (draft-ietf-wish-whep) out: a session by one HTTP request.
//!
//! `POST` an offer, get the answer and the address of a resource; `PATCH` that with an ICE fragment
//! ([`fragment`]), `DELETE` it to end. Resources are kept in [`resources`]. Both protocols differ
//! only in who sends: a WHIP client receives nothing, a WHEP client publishes nothing.
//!
//! The server is ICE-lite: it learns a client's addresses from its checks, so trickled candidates
//! are accepted and not needed.

#![expect(
    unused_qualifications,
    reason = "written by utoipa's macro for handlers with parameters"
)]

mod fragment;
mod resources;

pub(crate) use resources::Resources;

use std::sync::Arc;

use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_MATCH, LINK, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use crosspoint_control::api::{ControlError, JoinRequest, OfferProblem};
use crosspoint_control::model::{Identity, Permissions, Reason, RoomName};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Denied;
use crate::auth::extract::{Authenticated, Presented};
use crate::http::path::{Path, Query, RoomPath, identity_of};
use crate::http::problem::{Problem, ProblemDto};
use fragment::Fragment;
use resources::{Owner, Resource};

/// Largest offer or fragment, in bytes.
const SDP_BYTES_MAX: usize = 256 << 10;

const SDP: &str = "application/sdp";
const SDP_FRAGMENT: &str = "application/trickle-ice-sdpfrag";

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(whip))
        .routes(routes!(whep))
        .routes(routes!(patch_whip, end_whip))
        .routes(routes!(patch_whep, end_whep))
        .layer(DefaultBodyLimit::max(SDP_BYTES_MAX))
}

/// Says in answers to OPTIONS what may be posted (RFC 9725 §4.2). To be put around CORS, which
/// answers them.
pub(crate) async fn accept_post(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let ours = path.starts_with("/whip/") || path.starts_with("/whep/");
    let asked = request.method() == Method::OPTIONS && ours;
    let mut response = next.run(request).await;
    if asked {
        let name = HeaderName::from_static("accept-post");
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(SDP));
    }
    response
}

/// Which way media flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Towards the server.
    Whip,
    /// Towards the client.
    Whep,
}

impl Protocol {
    const fn name(self) -> &'static str {
        match self {
            Self::Whip => "whip",
            Self::Whep => "whep",
        }
    }

    /// What the token allows, as far as the protocol uses it.
    fn narrow(self, permissions: Permissions) -> Result<Permissions, ControlError> {
        match self {
            Self::Whip if !permissions.can_publish => Err(ControlError::NotPermitted("canPublish")),
            Self::Whep if !permissions.can_subscribe => {
                Err(ControlError::NotPermitted("canSubscribe"))
            }
            Self::Whip => Ok(Permissions {
                can_subscribe: false,
                ..permissions
            }),
            Self::Whep => Ok(Permissions {
                can_publish: false,
                ..permissions
            }),
        }
    }
}

/// `{room}` and `{session}`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct SessionPath {
    /// Name of the room.
    room: String,
    /// Id of the session, as in its `Location`.
    session: String,
}

/// What a WHEP player wants to see.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct PlayerQuery {
    /// Only the tracks of this participant.
    participant: Option<String>,
}

/// Publishes by WHIP: an offer in, an answer out. Needs `roomJoin` for the room.
#[utoipa::path(post, path = "/whip/{room}", tag = "whip", params(RoomPath),
    request_body(content = String, content_type = "application/sdp"),
    responses((status = CREATED, content_type = "application/sdp", body = String),
        (status = "4XX", body = ProblemDto)))]
async fn whip(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(RoomPath { room }): Path<RoomPath>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    begin(app, Protocol::Whip, caller, room, None, &headers, body).await
}

/// Plays by WHEP: as many tracks as the offer has m-lines. Needs `roomJoin` for the room.
#[utoipa::path(post, path = "/whep/{room}", tag = "whip", params(RoomPath, PlayerQuery),
    request_body(content = String, content_type = "application/sdp"),
    responses((status = CREATED, content_type = "application/sdp", body = String),
        (status = "4XX", body = ProblemDto)))]
async fn whep(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(RoomPath { room }): Path<RoomPath>,
    Query(PlayerQuery { participant }): Query<PlayerQuery>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let only = participant.as_deref().map(identity_of).transpose()?;
    begin(app, Protocol::Whep, caller, room, only, &headers, body).await
}

/// Candidates, or an ICE restart, for a WHIP session.
#[utoipa::path(patch, path = "/whip/{room}/{session}", tag = "whip", params(SessionPath),
    request_body(content = String, content_type = "application/trickle-ice-sdpfrag"),
    responses((status = NO_CONTENT),
        (status = OK, content_type = "application/trickle-ice-sdpfrag", body = String),
        (status = "4XX", body = ProblemDto)))]
async fn patch_whip(
    caller: Presented,
    State(app): State<Arc<App>>,
    Path(path): Path<SessionPath>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    patch(&app, Protocol::Whip, &caller, &path, &headers, body).await
}

/// Candidates, or an ICE restart, for a WHEP session.
#[utoipa::path(patch, path = "/whep/{room}/{session}", tag = "whip", params(SessionPath),
    request_body(content = String, content_type = "application/trickle-ice-sdpfrag"),
    responses((status = NO_CONTENT),
        (status = OK, content_type = "application/trickle-ice-sdpfrag", body = String),
        (status = "4XX", body = ProblemDto)))]
async fn patch_whep(
    caller: Presented,
    State(app): State<Arc<App>>,
    Path(path): Path<SessionPath>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    patch(&app, Protocol::Whep, &caller, &path, &headers, body).await
}

/// Ends a WHIP session.
#[utoipa::path(delete, path = "/whip/{room}/{session}", tag = "whip", params(SessionPath),
    responses((status = OK), (status = "4XX", body = ProblemDto)))]
async fn end_whip(
    caller: Presented,
    State(app): State<Arc<App>>,
    Path(path): Path<SessionPath>,
) -> Result<StatusCode, Problem> {
    end(&app, Protocol::Whip, &caller, &path).await
}

/// Ends a WHEP session.
#[utoipa::path(delete, path = "/whep/{room}/{session}", tag = "whip", params(SessionPath),
    responses((status = OK), (status = "4XX", body = ProblemDto)))]
async fn end_whep(
    caller: Presented,
    State(app): State<Arc<App>>,
    Path(path): Path<SessionPath>,
) -> Result<StatusCode, Problem> {
    end(&app, Protocol::Whep, &caller, &path).await
}

async fn begin(
    app: Arc<App>,
    protocol: Protocol,
    caller: Authenticated,
    room: RoomName,
    only: Option<Identity>,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    caller.grant.require_join(&room)?;
    let permissions = protocol.narrow(caller.grant.permissions())?;
    check_content_type(headers, SDP)?;
    check_accept(headers)?;
    let sdp = text_of(body)?;
    let identity = match caller.grant.identity() {
        Some(identity) => identity.clone(),
        None => identity_of(&format!("{}-{}", protocol.name(), random_id(6)))?,
    };
    let (name, metadata, attributes) = caller.grant.profile();
    let request = JoinRequest {
        room: room.clone(),
        identity,
        name: name.to_owned(),
        metadata: metadata.to_owned(),
        attributes: attributes.clone(),
        permissions,
        create_room: true,
        auto_subscribe: true,
        only,
    };
    let offered = Fragment::parse(&sdp);
    let owner = Owner::of(&caller, &room);
    // In a task of its own: a client that hangs up must not leave a join half done.
    let begun = tokio::spawn({
        let app = Arc::clone(&app);
        async move { resources::begin(&app, protocol, request, sdp, offered, owner).await }
    });
    let (id, answer, etag) = begun.await.map_err(|_| Problem::internal())??;
    let room = percent_encode(room.as_str());
    let location = format!("/{}/{room}/{id}", protocol.name());
    let mut response = (StatusCode::CREATED, [(CONTENT_TYPE, SDP)], answer).into_response();
    put(response.headers_mut(), LOCATION, &location);
    put(response.headers_mut(), ETAG, &etag);
    for server in &app.config.media.ice_servers {
        let link = ice_server_link(&app, server);
        if let Ok(link) = HeaderValue::from_str(&link) {
            response.headers_mut().append(LINK, link);
        }
    }
    Ok(response)
}

/// RFC 9725 §4.3.
async fn patch(
    app: &App,
    protocol: Protocol,
    caller: &Presented,
    path: &SessionPath,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let resource = resource_of(app, protocol, caller, path)?;
    check_content_type(headers, SDP_FRAGMENT)?;
    let mut tags = headers.get_all(IF_MATCH).iter();
    let tag = match (tags.next(), tags.next()) {
        (Some(tag), None) => tag.to_str().unwrap_or_default().trim().to_owned(),
        _ => {
            return Err(Problem::new(
                StatusCode::PRECONDITION_REQUIRED,
                "if_match_required",
                "Which ICE session is meant?",
                "send If-Match with the session's ETag, or with * to restart ICE",
            ));
        }
    };
    let fragment = Fragment::parse(&text_of(body)?);
    // One at a time, so that a tag means what it says.
    let mut ice = resource.ice.lock().await;
    if tag != "*" && tag != ice.etag {
        return Err(Problem::new(
            StatusCode::PRECONDITION_FAILED,
            "etag_mismatch",
            "The ICE session is another one by now",
            "If-Match names an earlier ICE session; use the ETag of the latest answer",
        ));
    }
    let credentials = fragment.credentials();
    let restart = match credentials {
        Some((ufrag, _)) => tag == "*" || ice.offered.ufrag.as_deref() != Some(ufrag),
        None => false,
    };
    let Some((ufrag, pwd)) = credentials.filter(|_| restart) else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let ours = app
        .control
        .restart_ice(resource.session, ufrag.to_owned(), pwd.to_owned())
        .await?;
    let answer = ice.offered.answer(&ours);
    ice.offered.ufrag = Some(ufrag.to_owned());
    ice.etag = resources::new_etag();
    let mut response = ([(CONTENT_TYPE, SDP_FRAGMENT)], answer).into_response();
    put(response.headers_mut(), ETAG, &ice.etag);
    Ok(response)
}

async fn end(
    app: &App,
    protocol: Protocol,
    caller: &Presented,
    path: &SessionPath,
) -> Result<StatusCode, Problem> {
    let resource = resource_of(app, protocol, caller, path)?;
    app.control
        .leave(resource.session, Reason::ClientLeft)
        .await?;
    app.whip.remove(&path.session);
    Ok(StatusCode::OK)
}

/// The resource, if the caller may touch it: with the token that made it, be it expired by now, or
/// with a good one for the same participant. To anybody else with a good token it does not exist.
fn resource_of(
    app: &App,
    protocol: Protocol,
    caller: &Presented,
    path: &SessionPath,
) -> Result<Arc<Resource>, Problem> {
    let resource = app.whip.find(&path.session).filter(|resource| {
        resource.protocol == protocol && resource.owner.room.as_str() == path.room
    });
    if let Some(resource) = &resource
        && resource.owner.token == caller.digest
    {
        return Ok(Arc::clone(resource));
    }
    let grant = caller.grant.as_ref().map_err(|problem| *problem)?;
    let room = RoomName::new(&path.room).ok_or(Denied::Room)?;
    grant.require_join(&room)?;
    resource
        .filter(|resource| resource.owner.is(grant))
        .ok_or_else(|| ControlError::SessionNotFound.into())
}

fn check_content_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), Problem> {
    let given = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let essence = given.and_then(|v| v.split(';').next()).map(str::trim);
    if essence.is_some_and(|essence| essence.eq_ignore_ascii_case(wanted)) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "media_type",
        "The body's type is not taken here",
        format!("send Content-Type: {wanted}"),
    ))
}

fn check_accept(headers: &HeaderMap) -> Result<(), Problem> {
    let mut wanted = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .map(str::trim)
        .peekable();
    let acceptable = |range: &str| ["*/*", "application/*", SDP].contains(&range);
    if wanted.peek().is_none() || wanted.any(acceptable) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::NOT_ACCEPTABLE,
        "not_acceptable",
        "There is no answer of that type",
        "answers are application/sdp",
    ))
}

fn text_of(body: Result<Bytes, BytesRejection>) -> Result<String, Problem> {
    let body = body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::from(ControlError::OfferRefused(OfferProblem::Limit {
                what: "bytes",
                max: SDP_BYTES_MAX,
            }))
        }
        _ => Problem::bad_request("bad_request", rejection.body_text()),
    })?;
    String::from_utf8(body.into())
        .map_err(|_| ControlError::OfferRefused(OfferProblem::Syntax { line: 0 }).into())
}

/// RFC 9725 §4.6.
fn ice_server_link(app: &App, server: &str) -> String {
    let media = &app.config.media;
    if server.starts_with("turn") && !media.ice_username.is_empty() {
        format!(
            "<{server}>; rel=\"ice-server\"; username=\"{}\"; credential=\"{}\"; \
             credential-type=\"password\"",
            quoted(&media.ice_username),
            quoted(media.ice_credential.reveal()),
        )
    } else {
        format!("<{server}>; rel=\"ice-server\"")
    }
}

/// The inside of a quoted-string (RFC 9110 §5.6.4).
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// A path segment (RFC 3986 §3.3), cautiously.
fn percent_encode(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Letters and digits from the operating system's randomness, 5.9 bits each.
fn random_id(length: usize) -> String {
    use rand::Rng as _;
    rand::rng()
        .sample_iter(rand::distr::Alphanumeric)
        .take(length)
        .map(char::from)
        .collect()
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
