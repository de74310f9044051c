//! Signalling with browsers: `GET /v1/signal`, a WebSocket with JSON text frames, version 1.
//!
//! A participant's stay outlives its WebSocket. [`session`] is an actor that owns the stay: it
//! numbers what the client is told, keeps what may have to be told again ([`replay`]), and ends the
//! stay when nobody resumes in time. [`socket`] connects one WebSocket with it, through a bounded
//! [`outbox`]. [`protocol`] is the JSON. Media does not notice any of this.

#![expect(
    unused_qualifications,
    reason = "written by utoipa's macro for handlers with parameters"
)]

mod outbox;
mod protocol;
mod replay;
mod session;
mod socket;
mod throttle;

pub(crate) use session::Sessions;

use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::TokenProblem;
use crate::auth::extract::Authenticated;
use crate::http::path::Query;
use crate::http::problem::{Problem, ProblemDto};

/// Largest message from a client, in bytes: an offer of the largest size, escaped as JSON, and what
/// is around it.
const MESSAGE_BYTES_MAX: usize = 320 << 10;

/// What the WebSocket layer reads at once, in bytes. Each client has a buffer of this size all the
/// time, and messages are mostly small; larger ones are read piece by piece.
const READ_BUFFER_BYTES: usize = 4 << 10;

/// Most that the WebSocket layer buffers for writing, in bytes. It holds one frame at a time, so
/// this bounds the largest frame: the list of a big room's participants.
const WRITE_BUFFER_BYTES_MAX: usize = 4 << 20;

pub(crate) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(signal))
}

/// How a client may come in besides by a token.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SignalQuery {
    /// The resume token of a session, in place of an access token that has expired since it joined.
    session: Option<String>,
}

/// Opens the signalling WebSocket. Needs `roomJoin` for the token's room.
#[utoipa::path(get, path = "/v1/signal", tag = "signalling", params(SignalQuery),
    responses((status = SWITCHING_PROTOCOLS), (status = "4XX", body = ProblemDto)))]
async fn signal(
    caller: Option<Authenticated>,
    State(app): State<Arc<App>>,
    Query(query): Query<SignalQuery>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let resumable = |token: &String| app.signal.find(token).is_some();
    let caller = match caller {
        Some(caller) => {
            let room = caller.grant.require_any_join()?;
            let denied = crate::auth::Denied::Identity;
            let identity = caller.grant.identity().cloned().ok_or(denied)?;
            Some(socket::Caller {
                grant: caller.grant,
                room,
                identity,
            })
        }
        None if query.session.as_ref().is_some_and(resumable) => None,
        None => return Err(TokenProblem::Missing.into()),
    };
    let upgrade = upgrade.map_err(|rejection| {
        let detail = format!("this address takes WebSockets: {}", rejection.body_text());
        Problem::new(
            rejection.status(),
            "websocket_only",
            "Not a WebSocket",
            detail,
        )
    })?;
    Ok(upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .on_upgrade(move |websocket| socket::run(app, caller, websocket)))
}
