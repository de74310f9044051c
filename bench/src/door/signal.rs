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
            "autoSubscribe": who.only.is_none(),
            "offer": { "sdp": exchange.offer(Setup::ActPass), "tracks": tracks },
        });
        socket.send(Message::text(join.to_string())).await?;
        let reply = reply(&mut socket).await?;
        let sdp = reply["answer"]["sdp"].as_str();
        let remote = exchange.remote(sdp.with_context(|| format!("no answer: {reply}"))?)?;
        let wish = who.only.clone().map(Wish::of);
        if let Some(wish) = &wish {
            for person in reply["participants"].as_array().into_iter().flatten() {
                wish.say(person, &mut socket).await?;
            }
        }
        let (leave, left) = oneshot::channel();
        let reader = tokio::spawn(read(socket, left, wish));
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

/// Whose tracks a client asks for.
struct Wish {
    identity: String,
    /// As it stands in messages, to find the few that matter without parsing the others.
    quoted: String,
}

impl Wish {
    fn of(identity: String) -> Self {
        Self {
            quoted: format!("\"{identity}\""),
            identity,
        }
    }

    /// Asks for the tracks of a participant, if it is the one.
    async fn say(&self, participant: &Value, socket: &mut Socket) -> Result<()> {
        if participant["identity"] != self.identity.as_str() {
            return Ok(());
        }
        for track in participant["tracks"].as_array().into_iter().flatten() {
            let ask =
                json!({ "type": "subscribe", "id": 2, "track": track["sid"], "wanted": true });
            socket.send(Message::text(ask.to_string())).await?;
        }
        Ok(())
    }

    /// Asks for the tracks that a message tells of.
    async fn hear(&self, text: &str, socket: &mut Socket) -> Result<()> {
        if !text.contains(&self.quoted) {
            return Ok(());
        }
        let event: Value = serde_json::from_str(text)?;
        match event["type"].as_str() {
            Some("participantJoined" | "participantUpdated") => {
                self.say(&event["participant"], socket).await
            }
            Some("trackPublished") => {
                let track = json!({ "identity": event["identity"], "tracks": [event["track"]] });
                self.say(&track, socket).await
            }
            _ => Ok(()),
        }
    }
}

/// Reads until it is time to leave, and looks only for those who are wished for. Reading answers
/// pings.
async fn read(mut socket: Socket, mut left: oneshot::Receiver<()>, wish: Option<Wish>) {
    loop {
        let message = tokio::select! {
            message = socket.next() => message,
            _ = &mut left => break,
        };
        let heard = match (message, &wish) {
            (Some(Ok(Message::Text(text))), Some(wish)) => wish.hear(&text, &mut socket).await,
            (Some(Ok(_)), _) => Ok(()),
            (Some(Err(_)) | None, _) => return,
        };
        if heard.is_err() {
            return;
        }
    }
    let leave = json!({ "type": "leave" }).to_string();
    // Whoever is gone cannot be told.
    let _ = socket.send(Message::text(leave)).await;
    let _ = socket.close(None).await;
}
