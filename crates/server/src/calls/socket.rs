//! `GET /v1/calls/connect`: one WebSocket of a device.
//!
//! Frames are the dialect's, see `crosspoint_calls::dialect`. The first one says who is there (`login`)
//! or which session comes back (`reconnect`); the device's codec outlives its sockets.

#![expect(
    unused_qualifications,
    reason = "written by utoipa's macro for handlers with parameters"
)]

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::Response;
use crosspoint_calls::command::{AdminCommand, Command};
use crosspoint_calls::dialect::frame::Frame;
use crosspoint_calls::dialect::link::{Heard, Link};
use crosspoint_calls::dialect::{Credential, DialectName, emic};
use crosspoint_calls::door::AdminData;
use crosspoint_calls::error::ErrorCode;
use crosspoint_calls::event::Event;
use crosspoint_calls::ids::{DeviceName, RequestId};
use crosspoint_calls::service::{Connection, Outgoing};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, MissedTickBehavior};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::who;
use crate::app::App;
use crate::auth::Grant;
use crate::auth::extract::Authenticated;
use crate::http::path::Query;
use crate::http::problem::{Problem, ProblemDto};
use crate::sockets::Open;

/// Largest frame from a client, in bytes: a message or an `extra` of the largest size, escaped.
const FRAME_BYTES_MAX: usize = 64 << 10;
/// Most that waits to be written to a socket.
const WRITE_BYTES_MAX: usize = 1 << 20;
/// How long a socket may take to say who is there.
const HELLO_TIMEOUT: Duration = Duration::from_secs(20);
/// How long an account's token is good for: a working day.
const ACCOUNT_TTL: Duration = Duration::from_secs(12 * 3600);
/// How long one frame may take to be written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(connect))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ConnectQuery {
    /// `native` (the default), `jrtc`, `rong`, `snk` or `emic`.
    dialect: Option<String>,
    /// Name of this device, the same again when it comes back; at most 128 bytes.
    device: Option<String>,
}

/// Opens the call socket of a device. A token of a user (`callTenant`) says whose; without one the first
/// frame carries a password.
#[utoipa::path(get, path = "/v1/calls/connect", tag = "calls", params(ConnectQuery),
    responses((status = SWITCHING_PROTOCOLS), (status = "4XX", body = ProblemDto)))]
async fn connect(
    caller: Option<Authenticated>,
    State(app): State<Arc<App>>,
    Query(query): Query<ConnectQuery>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let word = query.dialect.as_deref().unwrap_or("native");
    let dialect = DialectName::from_word(word).ok_or_else(|| {
        Problem::bad_request(
            "unknown_dialect",
            "dialect is one of native, jrtc, rong, snk, emic",
        )
    })?;
    let device = match query.device.as_deref() {
        None => DeviceName::new(&format!("device-{:016x}", rand::random::<u64>())),
        Some(name) => DeviceName::new(name),
    };
    let device = device.ok_or_else(|| {
        Problem::bad_request("invalid_name", "device is a name of 1 to 128 bytes")
    })?;
    let upgrade = upgrade.map_err(|rejection| {
        let detail = format!("this address takes WebSockets: {}", rejection.body_text());
        Problem::new(
            StatusCode::BAD_REQUEST,
            "websocket_only",
            "Not a WebSocket",
            detail,
        )
    })?;
    let token = caller.map(|caller| caller.grant);
    Ok(upgrade
        .read_buffer_size(4 << 10)
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_write_buffer_size(WRITE_BYTES_MAX)
        .on_upgrade(move |socket| async move {
            let (sink, stream) = socket.split();
            let carrier = Carrier {
                app,
                token,
                device,
                sink,
                link: Arc::new(Mutex::new(Link::new(dialect))),
            };
            carrier.run(stream).await;
        }))
}

struct Carrier {
    app: Arc<App>,
    token: Option<Grant>,
    device: DeviceName,
    sink: SplitSink<WebSocket, Message>,
    link: Arc<Mutex<Link>>,
}

/// The socket is over.
struct Over;

impl Carrier {
    async fn run(mut self, mut stream: SplitStream<WebSocket>) {
        let greeted = tokio::time::timeout(HELLO_TIMEOUT, self.greet(&mut stream)).await;
        let _open = if let Ok(Ok(connection)) = greeted {
            let open = self.app.sockets.open();
            // Dropping the connection is what tells the machine of the loss.
            let _ = self.serve(connection, &mut stream, &open).await;
            Some(open)
        } else {
            None
        };
        let _ = tokio::time::timeout(WRITE_TIMEOUT, self.sink.close()).await;
    }

    /// Frames until one has said who is there.
    async fn greet(&mut self, stream: &mut SplitStream<WebSocket>) -> Result<Connection, Over> {
        loop {
            let Some(frame) = next_frame(stream).await? else {
                continue;
            };
            let heard = self.link.lock().await.take(&frame);
            match heard {
                Heard::Answered(frames) => self.send(frames).await?,
                Heard::Account(ticket, credential) => {
                    let account = self.account(credential).await;
                    let frames = self.link.lock().await.account(&ticket, account);
                    self.send(frames).await?;
                }
                Heard::Login(request, credential, login) => match self.come_in(credential).await {
                    Ok(connection) => {
                        connection
                            .ask(request, Command::Login(login))
                            .map_err(|_| Over)?;
                        return Ok(connection);
                    }
                    Err(error) => self.refuse(&request, error).await?,
                },
                Heard::Reconnect(request, session_key, last_seq) => {
                    let Some(session) = self.app.calls.find(&session_key) else {
                        self.refuse(&request, ErrorCode::TokenInvalid).await?;
                        continue;
                    };
                    let opened = self.app.calls.service.connect(session.device);
                    let Ok(connection) = opened else {
                        self.refuse(&request, ErrorCode::Unavailable).await?;
                        continue;
                    };
                    // The codec of the session takes over, and with it this frame.
                    self.link = session.link;
                    let heard = self.link.lock().await.take(&frame);
                    let Heard::Reconnect(request, ..) = heard else {
                        return Err(Over);
                    };
                    let command = Command::Reconnect {
                        session_key,
                        last_seq,
                    };
                    connection.ask(request, command).map_err(|_| Over)?;
                    return Ok(connection);
                }
                Heard::Command(request, _) => {
                    self.refuse(&request, ErrorCode::State).await?;
                }
            }
        }
    }

    async fn come_in(&mut self, credential: Credential) -> Result<Connection, ErrorCode> {
        let who = who::verify(&self.app, self.token.as_ref(), credential).await?;
        let mut link = self.link.lock().await;
        link.set_user(&who.user, &who.settings);
        self.app.calls.service.connect(who.device(&self.device))
    }

    async fn account(&self, credential: Credential) -> Result<Frame, ErrorCode> {
        account(&self.app, credential).await
    }

    async fn serve(
        &mut self,
        mut connection: Connection,
        stream: &mut SplitStream<WebSocket>,
        open: &Open,
    ) -> Result<(), Over> {
        let period = Duration::from_secs(self.app.config.signal.ping_s);
        let mut ping = tokio::time::interval(period);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let mut closing = pin!(open.closing());
        loop {
            tokio::select! {
                message = stream.next() => {
                    let message = message.ok_or(Over)?.map_err(|_| Over)?;
                    heard = Instant::now();
                    match message {
                        Message::Text(text) => {
                            let frame = serde_json::from_str(&text).map_err(|_| Over)?;
                            self.hear(&connection, &frame).await?;
                        }
                        Message::Ping(_) | Message::Pong(_) => connection.alive(),
                        Message::Binary(_) | Message::Close(_) => return Err(Over),
                    }
                }
                outgoing = connection.next() => match outgoing {
                    Some(outgoing) => self.tell(&connection, outgoing).await?,
                    None => return Ok(()),
                },
                _ = ping.tick() => {
                    if heard.elapsed() > period * 3 {
                        return Err(Over);
                    }
                    self.write(Message::Ping(bytes::Bytes::new())).await?;
                }
                () = &mut closing => return self.say_the_rest(&mut connection).await,
            }
        }
    }

    /// What waits for the device, before its socket closes.
    async fn say_the_rest(&mut self, connection: &mut Connection) -> Result<(), Over> {
        while let Some(Some(outgoing)) = connection.next().now_or_never() {
            self.tell(connection, outgoing).await?;
        }
        let farewell = CloseFrame {
            code: close_code::AWAY,
            reason: "the server is stopping".into(),
        };
        self.write(Message::Close(Some(farewell))).await
    }

    async fn hear(&mut self, connection: &Connection, frame: &Frame) -> Result<(), Over> {
        let heard = self.link.lock().await.take(frame);
        match heard {
            Heard::Answered(frames) => {
                connection.alive();
                self.send(frames).await
            }
            Heard::Account(ticket, credential) => {
                let account = self.account(credential).await;
                let frames = self.link.lock().await.account(&ticket, account);
                self.send(frames).await
            }
            Heard::Command(request, command) => match connection.ask(request.clone(), command) {
                Ok(()) => Ok(()),
                Err(error) => self.refuse(&request, error).await,
            },
            // Somebody is there already.
            Heard::Login(request, ..) | Heard::Reconnect(request, ..) => {
                self.refuse(&request, ErrorCode::State).await
            }
        }
    }

    async fn tell(&mut self, connection: &Connection, outgoing: Outgoing) -> Result<(), Over> {
        let frames = match outgoing {
            Outgoing::Result { request, result } => {
                self.link.lock().await.answer(&request, &result)
            }
            Outgoing::Event(delivery) => {
                if let Event::Connected { session_key, .. } = &delivery.event {
                    let (key, device) = (session_key.clone(), connection.device().clone());
                    self.app.calls.remember(key, device, Arc::clone(&self.link));
                }
                let frame = self.link.lock().await.deliver(&delivery);
                frame.into_iter().collect()
            }
        };
        self.send(frames).await
    }

    async fn refuse(&mut self, request: &RequestId, error: ErrorCode) -> Result<(), Over> {
        let frames = self.link.lock().await.refuse_request(request, error);
        self.send(frames).await
    }

    async fn send(&mut self, frames: Vec<Frame>) -> Result<(), Over> {
        for frame in frames {
            let text = serde_json::to_string(&frame).map_err(|_| Over)?;
            self.write(Message::Text(text.into())).await?;
        }
        Ok(())
    }

    async fn write(&mut self, message: Message) -> Result<(), Over> {
        match tokio::time::timeout(WRITE_TIMEOUT, self.sink.send(message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Over),
        }
    }
}

/// The next frame; `None`: something that says nothing.
async fn next_frame(stream: &mut SplitStream<WebSocket>) -> Result<Option<Frame>, Over> {
    match stream.next().await.ok_or(Over)?.map_err(|_| Over)? {
        Message::Text(text) => serde_json::from_str(&text).map(Some).map_err(|_| Over),
        Message::Ping(_) | Message::Pong(_) => Ok(None),
        Message::Binary(_) | Message::Close(_) => Err(Over),
    }
}

/// What a phonebar's account may use.
async fn account(app: &Arc<App>, credential: Credential) -> Result<Frame, ErrorCode> {
    let Credential::Password {
        tenant,
        user,
        password,
    } = credential
    else {
        return Err(ErrorCode::Param);
    };
    let record = who::account(app, &tenant, user, password).await?;
    let service = &app.calls.service;
    let groups = match service.admin(tenant.clone(), AdminCommand::Groups).await? {
        AdminData::Groups(groups) => groups,
        _ => Vec::new(),
    };
    let users = match service.admin(tenant.clone(), AdminCommand::Users).await? {
        AdminData::Users(users) => users,
        _ => Vec::new(),
    };
    let extensions = users.into_iter().map(|user| user.person.extension);
    let extensions: Vec<_> = extensions.filter(|each| !each.is_empty()).collect();
    let mut account = emic::account(&tenant, &record, &groups, &extensions);
    // What the phonebar shows where it cannot show a password: see `dial`.
    let token = who::token(app, &tenant, &record.person.user, ACCOUNT_TTL);
    if let Some(data) = account.get_mut("userData").and_then(Value::as_object_mut) {
        data.insert(
            "token".into(),
            json!(token.map_err(|_| ErrorCode::LoginInfo)?),
        );
    }
    Ok(account)
}
