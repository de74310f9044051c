//! A device of the call system, in the native words over its WebSocket.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::server::TestServer;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A device that is online.
pub struct Caller {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    next_id: u64,
    /// Events that nobody asked for yet.
    events: VecDeque<Value>,
}

impl Caller {
    /// A user of `tenant` comes online; `login` has the words of the first frame.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn online(
        server: &TestServer,
        tenant: &str,
        user: &str,
        login: Value,
    ) -> Result<Self> {
        let token = server.sign(user, &json!({ "callTenant": tenant }))?;
        let path = format!("/v1/calls/connect?dialect=native&device=test&access_token={token}");
        let url = server.url(&path).replacen("http", "ws", 1);
        let (socket, _) = tokio_tungstenite::connect_async(url).await?;
        let mut caller = Self {
            socket,
            next_id: 0,
            events: VecDeque::new(),
        };
        caller.ask("login", login).await?;
        caller.event("connected").await?;
        Ok(caller)
    }

    /// Sends a frame and awaits its reply's data.
    ///
    /// # Errors
    /// The problem that the server answers with.
    pub async fn ask(&mut self, verb: &str, mut words: Value) -> Result<Value> {
        self.next_id += 1;
        words["type"] = json!(verb);
        words["id"] = json!(self.next_id);
        self.socket
            .send(Message::Text(words.to_string().into()))
            .await?;
        loop {
            let mut frame = self.frame().await.context(verb.to_owned())?;
            if frame["type"] != "reply" {
                self.events.push_back(frame);
            } else if frame["id"] == self.next_id {
                if frame["error"].is_object() {
                    bail!("{verb}: {}", frame["error"]["type"]);
                }
                return Ok(frame["data"].take());
            }
        }
    }

    /// The next event of this type; others before it are passed over.
    ///
    /// # Errors
    /// When it does not come.
    pub async fn event(&mut self, kind: &str) -> Result<Value> {
        while let Some(event) = self.events.pop_front() {
            if event["type"] == kind {
                return Ok(event);
            }
        }
        loop {
            let frame = self.frame().await.with_context(|| format!("no {kind}"))?;
            if frame["type"] == kind {
                return Ok(frame);
            }
        }
    }

    async fn frame(&mut self) -> Result<Value> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            match message?.context("the socket is closed")?? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(_) => bail!("the server closed the socket"),
                _ => {}
            }
        }
    }

    /// Goes without a goodbye.
    pub fn vanish(self) {
        drop(self.socket);
    }
}

/// The room and the token in a reply that lets join a call's media.
///
/// # Errors
/// When there is none.
pub fn grant(data: &Value) -> Result<(String, String)> {
    let text = |name: &str| data["grant"][name].as_str().map(str::to_owned);
    text("room").zip(text("token")).context("no grant")
}
