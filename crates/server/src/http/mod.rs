//! HTTP: the only place that knows routes, status codes and JSON.
//!
//! | route | for |
//! |---|---|
//! | `POST GET /v1/rooms` | [`rooms`] |
//! | `GET PATCH DELETE /v1/rooms/{room}` | |
//! | `PATCH /v1/rooms/{room}/tracks/{track}` | |
//! | `POST /v1/rooms/{room}/messages` | |
//! | `GET /v1/rooms/{room}/participants` | [`participants`] |
//! | `GET PATCH DELETE /v1/rooms/{room}/participants/{identity}` | |
//! | `POST /v1/rooms/{room}/participants/{identity}/move` | |
//! | `POST /v1/rooms/{room}/participants/{identity}/forward` | |
//! | `PUT /v1/rooms/{room}/participants/{identity}/subscriptions/{track}` | |
//! | `GET /v1/rooms/{room}/reports`, `GET /v1/history`, `GET /v1/history/{id}` | [`reports`] |
//! | `GET /v1/rooms/{room}/participants/{identity}/subscriptions/{track}/explain` | why a picture is as it is |
//! | `POST /v1/rooms/{room}/recordings` | [`recordings`] |
//! | `GET /v1/recordings`, `GET /v1/recordings/{id}` | |
//! | `POST /v1/recordings/{id}/stop`, `GET /v1/recordings/{id}/files/{name}` | |
//! | `GET /v1/rooms/{room}/tracks/{track}/snapshot`, `GET PUT DELETE /v1/rooms/{room}/moderation` | [`pictures`] |
//! | `GET /v1/events` | server-sent events: [`events`] |
//! | `GET /v1/signal` | WebSocket: [`crate::signal`] |
//! | `POST /whip/{room}`, `PATCH DELETE /whip/{room}/{session}` | [`crate::whip`] |
//! | `POST /whep/{room}`, `PATCH DELETE /whep/{room}/{session}` | |
//! | `GET /v1/calls/connect`, `POST /v1/calls`, `GET /v1/calls/{call}`, `POST /v1/calls/{call}/{verb}` | [`crate::calls`] |
//! | `POST /v1/calls/emic/dial`, `GET /snk/push/`, `POST /snk/rtv/{verb}`, `POST /snk/dispatch/{verb}` | |
//! | `GET PUT DELETE /v1/tenants/{tenant}` | users, groups and calls of a tenant |
//! | `GET /v1/tenants/{tenant}/users`, `GET PUT DELETE /v1/tenants/{tenant}/users/{user}` | |
//! | `POST /v1/tenants/{tenant}/users/{user}/token`, `PUT DELETE /v1/tenants/{tenant}/bans/{user}` | |
//! | `GET /v1/tenants/{tenant}/groups`, `PUT DELETE /v1/tenants/{tenant}/groups/{group}` | |
//! | `GET POST /v1/tenants/{tenant}/calls`, `DELETE /v1/tenants/{tenant}/calls/{call}` | |
//! | `DELETE /v1/tenants/{tenant}/calls/{call}/participants/{user}`, `GET /v1/tenants/{tenant}/records` | |
//! | `GET /healthz`, `GET /readyz`, `GET /metrics` | [`health`] |
//! | `POST /v1/dev/token`, `POST /v1/dev/admin-token` | development mode only: [`dev`] |
//! | `GET /openapi.json` | the description of all of these |
//! | `GET /`, `GET /sdk/...` | [`pages`] |
//!
//! Handlers read a request into typed values, ask the [`Grant`](crate::auth::Grant) and call
//! `RoomControl`; they decide nothing else. The OpenAPI document is collected from the same
//! registrations that make the router, so neither can have a route that the other lacks.

pub(crate) mod dto;
pub(crate) mod events;
pub(crate) mod path;
pub mod problem;
pub(crate) mod quality;

mod dev;
mod health;
mod layers;
mod pages;
mod participants;
mod pictures;
pub(crate) mod recordings;
mod reports;
mod rooms;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::response::IntoResponse;
use axum::{Extension, Json, Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use problem::Problem;

/// Longest request body, in bytes. SDP has a smaller limit of its own.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The whole of HTTP as one service.
pub fn router(app: Arc<App>) -> Router {
    let (router, document) = routes(&app);
    router
        .layer(Extension(Arc::new(document)))
        .fallback(pages::serve)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            layers::timed,
        ))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&app),
            layers::secure,
        ))
        .layer(CatchPanicLayer::custom(layers::panicked))
        .layer(middleware::from_fn(layers::counted))
        .with_state(app)
}

/// All routes of the API, and the document that describes them.
fn routes(app: &App) -> (Router<Arc<App>>, OpenApi) {
    let (api, document) = OpenApiRouter::with_openapi(document_frame())
        .merge(rooms::routes())
        .merge(participants::routes())
        .merge(reports::routes())
        .merge(quality::routes())
        .merge(recordings::routes())
        .merge(pictures::routes())
        .merge(events::routes())
        .merge(crate::signal::routes())
        .merge(crate::whip::routes())
        .merge(crate::calls::routes())
        .merge(health::routes())
        .routes(routes!(openapi))
        .split_for_parts();
    // Before CORS, which answers OPTIONS for every route.
    let api = api
        .method_not_allowed_fallback(method_not_allowed)
        .layer(layers::cors(&app.config.http.cors_origins))
        .layer(middleware::from_fn(crate::whip::accept_post));
    if !app.development {
        return (api, document);
    }
    // Outside of CORS on purpose, see its module.
    let (development, described) = dev::routes().split_for_parts();
    let development = development.method_not_allowed_fallback(method_not_allowed);
    (api.merge(development), document.merge_from(described))
}

async fn method_not_allowed() -> Problem {
    Problem::method_not_allowed()
}

/// The description of this API, as OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "operation",
    responses((status = OK, content_type = "application/json", body = String)))]
async fn openapi(Extension(document): Extension<Arc<OpenApi>>) -> impl IntoResponse {
    Json(document.as_ref()).into_response()
}

fn document_frame() -> OpenApi {
    let token = Http::builder()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "HS256 JWT with LiveKit's grants in the claim `video`; also as the query parameter \
             `access_token`. Ours beside them: `nodeAdmin` (everything but joining, in all rooms), \
             `callTenant` (`sub` is a user of this tenant, whose devices may call), `callAdmin` \
             (tenants and their calls: all, or the one that `callTenant` names).",
        ))
        .build();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Crosspoint")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(
                    "Rooms, participants, tracks and calls of a media server",
                ))
                .build(),
        )
        .components(Some(
            ComponentsBuilder::new()
                .security_scheme("token", SecurityScheme::Http(token))
                .build(),
        ))
        .security(Some([SecurityRequirement::new::<_, [&str; 0], &str>(
            "token",
            [],
        )]))
        .build()
}
