//! Crosspoint's own signalling: JSON over a WebSocket, version 1.

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::{Exchange, Medium};
use crate::access::Access;
use crate::sdp::{Remote, Setup};

/// Where clients connect.
pub struct Endpoint {
    url: String,
    access: Access,
}

/// A client's connection; a task reads it, so that pings are answered.
pub(super) struct Connection {
    leave: oneshot::Sender<()>,
    reader: JoinHandle<()>,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Endpoint {
    pub(super) fn new(server: &str, access: Access) -> Result<Self> {
        let server = server.trim_end_matches('/');
        let Some(rest) = server.strip_prefix("http://") else {
            bail!("{server}: signalling of plain http:// servers only");
        };
        Ok(Self {
            url: format!("ws://{rest}/v1/signal"),
            access,
        })
    }

    pub(super) async fn enter(&self, exchange: &Exchange<'_>) -> Result<(Remote, Connection)> {
        let who = exchange.who;
        let token = self.access.token(&who.room, &who.identity)?;
        let token = token.context("Crosspoint's signalling needs a key or a token")?;
        let url = format!("{}?access_token={token}", self.url);
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await?;
        let tracks = who.publishes.iter().enumerate().map(|(mid, medium)| {
            let source = match medium {
                Medium::Audio(..) => "microphone",
                Medium::Video(_) | Medium::Simulcast(_) => "camera",
            };
            json!({ "mid": mid.to_string(), "source": source })
        });
        let tracks: Vec<Value> = tracks.collect();
        let join = json!({
            "type": "join",
            "id": 1,
            "version": 1,
            "autoSubscribe": true,
            "offer": { "sdp": exchange.offer(Setup::ActPass), "tracks": tracks },
        });
        socket.send(Message::text(join.to_string())).await?;
        let reply = reply(&mut socket).await?;
        let sdp = reply["answer"]["sdp"].as_str();
        let remote = exchange.remote(sdp.with_context(|| format!("no answer: {reply}"))?)?;
        let (leave, left) = oneshot::channel();
        let reader = tokio::spawn(read(socket, left));
        Ok((remote, Connection { leave, reader }))
    }
}

impl Connection {
    pub(super) async fn leave(self) -> Result<()> {
        // When the server was faster, the task has ended already.
        let _ = self.leave.send(());
        Ok(self.reader.await?)
    }
}

async fn reply(socket: &mut Socket) -> Result<Value> {
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message? else {
            continue;
        };
        let value: Value = serde_json::from_str(&text)?;
        if value["type"] == "reply" {
            ensure!(value["error"].is_null(), "join: {}", value["error"]);
            return Ok(value);
        }
    }
    bail!("the server closed the connection")
}

/// Reads, and forgets, until it is time to leave. Reading answers pings.
async fn read(mut socket: Socket, mut left: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            message = socket.next() => if !matches!(message, Some(Ok(_))) {
                return;
            },
            _ = &mut left => break,
        }
    }
    let leave = json!({ "type": "leave" }).to_string();
    // Whoever is gone cannot be told.
    let _ = socket.send(Message::text(leave)).await;
    let _ = socket.close(None).await;
}
