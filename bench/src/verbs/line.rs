//! One device of the call system: native words over its WebSocket, and when each came.

use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// A device that is online.
pub(super) struct Line {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    last_id: u64,
}

impl Line {
    /// Comes online with a user's token.
    pub(super) async fn open(server: &str, token: &str) -> Result<Self> {
        let Some(host) = server.strip_prefix("http://") else {
            bail!("{server}: calls of plain http:// servers only");
        };
        let url = format!("ws://{host}/v1/calls/connect?device=load&access_token={token}");
        let (socket, _) = tokio_tungstenite::connect_async(url).await?;
        let mut line = Self { socket, last_id: 0 };
        let login = line.say("login", json!({})).await?;
        line.reply(login).await?;
        Ok(line)
    }

    /// Sends a command; its number.
    pub(super) async fn say(&mut self, verb: &str, mut words: Value) -> Result<u64> {
        self.last_id += 1;
        words["type"] = json!(verb);
        words["id"] = json!(self.last_id);
        let text = words.to_string();
        self.socket.send(Message::text(text)).await?;
        Ok(self.last_id)
    }

    /// The reply to a command, and when it came. Events before it are passed over.
    pub(super) async fn reply(&mut self, id: u64) -> Result<(Value, Instant)> {
        loop {
            let (frame, at) = self.frame().await?;
            if frame["type"] == "reply" && frame["id"] == id {
                let error = &frame["error"];
                ensure!(error.is_null(), "the server refused: {}", error["type"]);
                return Ok((frame, at));
            }
        }
    }

    /// The next event of this type, and when it came. Others before it are passed over.
    pub(super) async fn event(&mut self, kind: &str) -> Result<(Value, Instant)> {
        loop {
            let (frame, at) = self.frame().await?;
            if frame["type"] == kind {
                return Ok((frame, at));
            }
        }
    }

    /// Reads, which answers pings, for as long as it is not dropped.
    pub(super) async fn idle(&mut self) -> Result<()> {
        loop {
            self.frame().await?;
        }
    }

    async fn frame(&mut self) -> Result<(Value, Instant)> {
        loop {
            let message = self.socket.next().await;
            let message = message.context("the server closed the connection")??;
            let at = Instant::now();
            if let Message::Text(text) = message {
                return Ok((serde_json::from_str(&text)?, at));
            }
        }
    }
}
