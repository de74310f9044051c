//! Janus's VideoRoom plugin by its HTTP API: a session and a handle per client.
//!
//! Publishers offer; subscribers are offered everything that the room's publisher sends, when the
//! subscriber joins. Janus must be ICE-lite (`nat.ice_lite`), since our clients always control.

use std::sync::Mutex;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::{Exchange, http_client};
use crate::sdp::{Remote, Setup, answer};

/// Where Janus is, and the feeds that were published there.
pub struct Endpoint {
    url: String,
    client: reqwest::Client,
    /// Names of rooms, in the order of their numbers, with the publishers' feed numbers.
    rooms: Mutex<Vec<(String, Vec<u64>)>>,
}

/// A client's session at Janus. It lives as long as it is asked for events.
pub(super) struct Session {
    client: reqwest::Client,
    url: String,
    keep_alive: tokio::task::JoinHandle<()>,
}

/// Rooms are numbered from here.
const FIRST_ROOM: u64 = 10_000;

/// Janus forgets a session that did not ask for events for 60 s.
const KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(25);

impl Endpoint {
    pub(super) fn new(url: &str) -> Result<Self> {
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            client: http_client()?,
            rooms: Mutex::default(),
        })
    }

    pub(super) async fn enter(&self, exchange: &Exchange<'_>) -> Result<(Remote, Session)> {
        let who = exchange.who;
        let session = Session::create(&self.client, &self.url).await?;
        let handle = session.attach().await?;
        let (room, is_new) = self.room(&who.room);
        if is_new {
            let body = json!({
                "request": "create", "room": room, "publishers": 100, "notify_joining": false,
                "audiocodec": "opus", "videocodec": "vp8", "transport_wide_cc_ext": true,
                "bitrate": 0, "fir_freq": 0,
            });
            session.message(&handle, body, None).await?;
        }
        if who.audio_slots + who.video_slots == 0 {
            let body = json!({
                "request": "joinandconfigure", "ptype": "publisher", "room": room,
                "display": who.identity, "audio": true, "video": true,
            });
            let jsep = json!({ "type": "offer", "sdp": exchange.offer(Setup::Active) });
            let event = session.message(&handle, body, Some(jsep)).await?;
            let data = &event["plugindata"]["data"];
            let feed = data["id"].as_u64();
            let feed = feed.with_context(|| format!("no feed: {event}"))?;
            let remote = exchange.remote(sdp_of(&event)?)?;
            if let Ok(mut rooms) = self.rooms.lock()
                && let Some((_, feeds)) = rooms.iter_mut().find(|(name, _)| *name == who.room)
            {
                feeds.push(feed);
            }
            return Ok((remote, session));
        }
        ensure!(
            who.publishes.is_empty(),
            "a client of Janus either sends or receives"
        );
        let streams: Vec<Value> = self
            .feeds(&who.room)
            .into_iter()
            .map(|feed| json!({ "feed": feed }))
            .collect();
        let body = json!({
            "request": "join", "ptype": "subscriber", "room": room, "streams": streams,
        });
        let event = session.message(&handle, body, None).await?;
        let remote = exchange.remote(sdp_of(&event)?)?;
        let jsep = json!({ "type": "answer", "sdp": answer(exchange.local, &remote) });
        let body = json!({ "request": "start", "room": room });
        session.message(&handle, body, Some(jsep)).await?;
        Ok((remote, session))
    }

    /// The number of a room, and whether it is to be created.
    fn room(&self, name: &str) -> (u64, bool) {
        let Ok(mut rooms) = self.rooms.lock() else {
            return (FIRST_ROOM, false);
        };
        if let Some(index) = rooms.iter().position(|(known, _)| known == name) {
            return (FIRST_ROOM + index as u64, false);
        }
        rooms.push((name.to_owned(), Vec::new()));
        (FIRST_ROOM + rooms.len() as u64 - 1, true)
    }

    fn feeds(&self, name: &str) -> Vec<u64> {
        let Ok(rooms) = self.rooms.lock() else {
            return Vec::new();
        };
        let room = rooms.iter().find(|(known, _)| known == name);
        room.map(|(_, feeds)| feeds.clone()).unwrap_or_default()
    }
}

impl Session {
    async fn create(client: &reqwest::Client, url: &str) -> Result<Self> {
        let reply = post(client, url, json!({ "janus": "create" })).await?;
        let url = format!("{url}/{}", id_of(&reply)?);
        let (poll_client, poll_url) = (client.clone(), url.clone());
        let keep_alive = tokio::spawn(async move {
            loop {
                tokio::time::sleep(KEEP_ALIVE).await;
                // A session that is gone will be missed elsewhere.
                let _ = post(&poll_client, &poll_url, json!({ "janus": "keepalive" })).await;
            }
        });
        Ok(Self {
            client: client.clone(),
            url,
            keep_alive,
        })
    }

    /// Returns the handle's URL.
    async fn attach(&self) -> Result<String> {
        let body = json!({ "janus": "attach", "plugin": "janus.plugin.videoroom" });
        let reply = post(&self.client, &self.url, body).await?;
        Ok(format!("{}/{}", self.url, id_of(&reply)?))
    }

    /// Sends a plugin message and waits for what comes of it, now or as an event.
    async fn message(&self, handle: &str, body: Value, jsep: Option<Value>) -> Result<Value> {
        let mut message = json!({ "janus": "message", "body": body });
        if let Some(jsep) = jsep {
            message["jsep"] = jsep;
        }
        let reply = post(&self.client, handle, message).await?;
        if reply["janus"] == "success" {
            return checked(reply);
        }
        // Each answer is one event; others (media came up, the link is slow) are passed over.
        for _ in 0..20 {
            let event: Value = self.client.get(&self.url).send().await?.json().await?;
            if event["janus"] == "event" {
                return checked(event);
            }
        }
        bail!("Janus did not answer")
    }

    pub(super) async fn destroy(self) -> Result<()> {
        self.keep_alive.abort();
        post(&self.client, &self.url, json!({ "janus": "destroy" })).await?;
        Ok(())
    }
}

async fn post(client: &reqwest::Client, url: &str, mut body: Value) -> Result<Value> {
    body["transaction"] = json!(format!("{:x}", rand::random::<u64>()));
    let reply: Value = client.post(url).json(&body).send().await?.json().await?;
    ensure!(reply["janus"] != "error", "Janus: {}", reply["error"]);
    Ok(reply)
}

fn checked(reply: Value) -> Result<Value> {
    let error = &reply["plugindata"]["data"]["error"];
    ensure!(error.is_null(), "VideoRoom: {error}");
    Ok(reply)
}

fn id_of(reply: &Value) -> Result<u64> {
    let id = reply["data"]["id"].as_u64();
    id.with_context(|| format!("Janus gave no id: {reply}"))
}

fn sdp_of(event: &Value) -> Result<&str> {
    let sdp = event["jsep"]["sdp"].as_str();
    sdp.with_context(|| format!("Janus sent no description: {event}"))
}
