//! The agent SDK's carrier: events by `GET /snk/push/` (server-sent events), commands by
//! `POST /snk/rtv/{verb}`, the seat's state by `POST /snk/dispatch/{verb}`.
//!
//! Who it is stands in each request: `systemCode`, `account`, `device`, and `token` (a user's token) but
//! where the server trusts its network.

#![expect(
    unused_qualifications,
    reason = "written by utoipa's macro for handlers with parameters"
)]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use crosspoint_calls::command::Command;
use crosspoint_calls::dialect::frame::{Fields, Frame};
use crosspoint_calls::dialect::link::{Heard, Link};
use crosspoint_calls::dialect::{Credential, DialectName};
use crosspoint_calls::error::ErrorCode;
use crosspoint_calls::event::{Delivery, Event};
use crosspoint_calls::ids::{DeviceName, DeviceRef, RequestId, SessionKey, TenantId, UserId};
use crosspoint_calls::service::{Connection, Outgoing};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio_stream::Stream;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::verbs::problem;
use super::who;
use crate::app::App;
use crate::http::path::{Body, Path, Query};
use crate::http::problem::{Problem, ProblemDto};

/// How often an idle stream says something.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(events))
        .routes(routes!(command))
        .routes(routes!(state))
}

/// Who an agent is.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct Identity {
    /// The tenant.
    system_code: String,
    /// The user.
    account: String,
    /// A user's token; not needed in development mode.
    token: Option<String>,
    /// Name of the device.
    device: Option<String>,
}

impl Identity {
    /// The words that log in; each time as a request of its own, since a device does each once.
    fn login(&self) -> Frame {
        let mut frame = Frame::new();
        frame.insert("type".into(), json!("login"));
        frame.insert("id".into(), json!(rand::random::<u32>()));
        frame.insert("systemCode".into(), json!(self.system_code));
        frame.insert("account".into(), json!(self.account));
        if let Some(token) = self.token.as_deref().filter(|token| !token.is_empty()) {
            frame.insert("token".into(), json!(token));
        }
        frame
    }

    async fn verify(&self, app: &App) -> Result<(who::Who, DeviceRef), Problem> {
        let token = self.token.as_deref().filter(|token| !token.is_empty());
        let grant = token.map(|token| app.keys.verify(token)).transpose()?;
        let named = TenantId::new(&self.system_code).zip(UserId::new(&self.account));
        let (tenant, user) = named.ok_or_else(|| problem(ErrorCode::Param))?;
        let credential = match &grant {
            Some(_) => Credential::Token,
            None => Credential::Named {
                tenant: tenant.clone(),
                user: user.clone(),
            },
        };
        let who = who::verify(app, grant.as_ref(), credential)
            .await
            .map_err(problem)?;
        if (&who.tenant, &who.user) != (&tenant, &user) {
            return Err(problem(ErrorCode::TokenInvalid));
        }
        let device = self.device.as_deref().unwrap_or("web");
        let device = DeviceName::new(device).ok_or_else(|| problem(ErrorCode::Param))?;
        let device = who.device(&device);
        Ok((who, device))
    }
}

/// Events of an agent; a new stream of the same device goes on after `Last-Event-ID`.
#[utoipa::path(get, path = "/snk/push/", tag = "calls", params(Identity),
    responses((status = OK, content_type = "text/event-stream", body = String),
        (status = "4XX", body = ProblemDto)))]
async fn events(
    State(app): State<Arc<App>>,
    Query(identity): Query<Identity>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>, Problem> {
    let (who, device) = identity.verify(&app).await?;
    let last = headers.get("last-event-id");
    let last: Option<u64> = last.and_then(|last| last.to_str().ok()?.parse().ok());
    let known = last.and_then(|last| Some((last, app.calls.session_of(&device)?)));
    let connection = app.calls.service.connect(device).map_err(problem)?;
    let link = match known {
        Some((last_seq, (session_key, link))) => {
            let command = Command::Reconnect {
                session_key,
                last_seq,
            };
            connection
                .ask(name("reconnect"), command)
                .map_err(problem)?;
            link
        }
        None => {
            let mut link = Link::new(DialectName::Snk);
            link.set_user(&who.user, &who.settings);
            let Heard::Login(request, _, login) = link.take(&identity.login()) else {
                return Err(problem(ErrorCode::Param));
            };
            connection
                .ask(request, Command::Login(login))
                .map_err(problem)?;
            Arc::new(Mutex::new(link))
        }
    };
    let feed = Feed {
        app,
        connection,
        link,
    };
    let stream = futures_util::stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok(event), feed))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// A name that no request of the client has.
fn name(word: &str) -> RequestId {
    let text = format!("{word}-{:016x}", rand::random::<u64>());
    RequestId::new(&text).unwrap_or_else(|| unreachable!("a short name without control characters"))
}

/// What an agent's stream is fed from.
struct Feed {
    app: Arc<App>,
    connection: Connection,
    link: Arc<Mutex<Link>>,
}

impl Feed {
    async fn next(&mut self) -> Option<SseEvent> {
        loop {
            // The stream is the sign of life.
            let outgoing = tokio::time::timeout(KEEP_ALIVE, self.connection.next()).await;
            let Ok(outgoing) = outgoing else {
                self.connection.alive();
                continue;
            };
            let delivery = match outgoing? {
                Outgoing::Event(delivery) => delivery,
                // Who is not let in hears it as who is turned out.
                Outgoing::Result { result, .. } if result.error != ErrorCode::Ok => {
                    let error = result.error;
                    Box::new(Delivery {
                        seq: 0,
                        call_seq: 0,
                        event: Event::Kicked { error },
                    })
                }
                Outgoing::Result { .. } => continue,
            };
            if let Event::Connected { session_key, .. } = &delivery.event {
                let device = self.connection.device().clone();
                let link = Arc::clone(&self.link);
                self.app.calls.remember(session_key.clone(), device, link);
            }
            let frame = self.link.lock().await.deliver(&delivery);
            let Some(frame) = frame else { continue };
            let event = SseEvent::default().id(delivery.seq.to_string());
            if let Ok(event) = event.json_data(frame) {
                return Some(event);
            }
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct VerbPath {
    /// Name of the method.
    verb: String,
}

/// A method of the agent SDK.
#[utoipa::path(post, path = "/snk/rtv/{verb}", tag = "calls", params(VerbPath), request_body = Value,
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn command(
    State(app): State<Arc<App>>,
    Path(VerbPath { verb }): Path<VerbPath>,
    Body(frame): Body<Frame>,
) -> Result<Json<Value>, Problem> {
    perform(&app, verb, frame).await
}

/// The seat's state: `rest` or `back`.
#[utoipa::path(post, path = "/snk/dispatch/{verb}", tag = "calls", params(VerbPath),
    request_body = Value,
    responses((status = OK, body = Value), (status = "4XX", body = ProblemDto)))]
async fn state(
    State(app): State<Arc<App>>,
    Path(VerbPath { verb }): Path<VerbPath>,
    Body(frame): Body<Frame>,
) -> Result<Json<Value>, Problem> {
    perform(&app, verb, frame).await
}

async fn perform(app: &Arc<App>, verb: String, mut frame: Frame) -> Result<Json<Value>, Problem> {
    let fields = Fields::of(&frame);
    let text = |name: &str| fields.text(name).ok().map(str::to_owned);
    let identity = Identity {
        system_code: text("systemCode").unwrap_or_default(),
        account: text("account").unwrap_or_default(),
        token: text("token"),
        device: text("device"),
    };
    let (_, device) = identity.verify(app).await?;
    let session = app.calls.session_of(&device);
    let (_, link) = session.ok_or_else(|| problem(ErrorCode::State))?;
    frame.insert("type".into(), json!(verb));
    if !frame.contains_key("id") {
        frame.insert("id".into(), json!(rand::random::<u32>()));
    }
    let heard = link.lock().await.take(&frame);
    let mut frames = match heard {
        Heard::Answered(frames) => frames,
        Heard::Command(request, command) => {
            let service = &app.calls.service;
            let result = service.command(device, request.clone(), command).await;
            link.lock().await.answer(&request, &result)
        }
        Heard::Login(request, ..) | Heard::Reconnect(request, ..) => {
            link.lock().await.refuse_request(&request, ErrorCode::State)
        }
        Heard::Account(..) => return Err(problem(ErrorCode::Param)),
    };
    let reply = match frames.is_empty() {
        true => Frame::new(),
        false => frames.swap_remove(0),
    };
    Ok(Json(Value::Object(reply)))
}

impl super::Calls {
    /// The newest session of a device.
    fn session_of(&self, device: &DeviceRef) -> Option<(SessionKey, Arc<Mutex<Link>>)> {
        let sessions = self.lock();
        let own = sessions.iter().filter(|(_, each)| &each.device == device);
        let newest = own.max_by_key(|(_, session)| session.seen);
        newest.map(|(key, session)| (key.clone(), Arc::clone(&session.link)))
    }
}
