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
    away: Away,
}

/// A device without a connection, which may come back.
#[derive(Clone, Debug, Default)]
pub struct Away {
    session_key: String,
    /// Of the last event that it saw.
    seq: u64,
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
        Self::with_token(server, &token, login).await
    }

    /// As [`Self::online`], with a token from elsewhere.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn with_token(server: &TestServer, token: &str, login: Value) -> Result<Self> {
        Self::open(server, &format!("&access_token={token}"), login).await
    }

    /// A user comes online by a password, which stands in `login`.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn without_token(server: &TestServer, login: Value) -> Result<Self> {
        Self::open(server, "", login).await
    }

    /// A device comes back on another connection and goes on with its session.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn back(server: &TestServer, away: &Away) -> Result<Self> {
        let mut caller = Self::connect(server, "").await?;
        caller.away = away.clone();
        let words = json!({ "sessionKey": away.session_key, "lastSeq": away.seq });
        caller.ask("reconnect", words).await?;
        Ok(caller)
    }

    async fn open(server: &TestServer, query: &str, login: Value) -> Result<Self> {
        let mut caller = Self::connect(server, query).await?;
        caller.ask("login", login).await?;
        let connected = caller.event("connected").await?;
        let key = connected["sessionKey"].as_str();
        key.context("no session key")?
            .clone_into(&mut caller.away.session_key);
        Ok(caller)
    }

    async fn connect(server: &TestServer, query: &str) -> Result<Self> {
        let path = format!("/v1/calls/connect?dialect=native&device=test{query}");
        let url = server.url(&path).replacen("http", "ws", 1);
        let (socket, _) = tokio_tungstenite::connect_async(url).await?;
        Ok(Self {
            socket,
            // A request is known by its number for as long as the session lasts.
            next_id: rand::random::<u32>().into(),
            events: VecDeque::new(),
            away: Away::default(),
        })
    }

    /// Sends a frame and awaits its reply's data.
    ///
    /// # Errors
    /// The problem that the server answers with.
    pub async fn ask(&mut self, verb: &str, words: Value) -> Result<Value> {
        self.say(verb, words).await?;
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
        loop {
            let event = self.any_event();
            let event = event.await.with_context(|| format!("no {kind}"))?;
            if event["type"] == kind {
                return Ok(event);
            }
        }
    }

    /// The next event.
    ///
    /// # Errors
    /// When none comes.
    pub async fn any_event(&mut self) -> Result<Value> {
        match self.events.pop_front() {
            Some(event) => Ok(event),
            None => self.frame().await,
        }
    }

    async fn say(&mut self, verb: &str, mut words: Value) -> Result<()> {
        self.next_id += 1;
        words["type"] = json!(verb);
        words["id"] = json!(self.next_id);
        let text = words.to_string();
        Ok(self.socket.send(Message::Text(text.into())).await?)
    }

    async fn frame(&mut self) -> Result<Value> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            match message?.context("the socket is closed")?? {
                Message::Text(text) => {
                    let frame: Value = serde_json::from_str(&text)?;
                    self.away.seq = frame["seq"].as_u64().unwrap_or(self.away.seq);
                    return Ok(frame);
                }
                Message::Close(_) => bail!("the server closed the socket"),
                _ => {}
            }
        }
    }

    /// Goes without a goodbye.
    pub fn vanish(self) -> Away {
        drop(self.socket);
        self.away
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
