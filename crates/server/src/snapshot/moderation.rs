//! The moderation tap: pictures of a room's video tracks, at an interval, to somebody who judges them.
//!
//! Each picture is posted to the room's URL, signed as webhooks are and bound to the same addresses; what
//! comes back as JSON with a `verdict` is announced as an event of the room. Nothing is concluded from it
//! here: whoever hears the event decides. A judge that is slow makes the next round late, never more of
//! them run at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use crosspoint_control::api::{ControlError, RoomControl, Verdict};
use crosspoint_control::model::{Identity, RoomName, TrackSid};
use crosspoint_wire::codec::MediaKind;
use futures_util::StreamExt as _;
use reqwest::Url;
use tokio::task::AbortHandle;
use tokio::time::MissedTickBehavior;

use super::{PictureFormat, Snapshots};
use crate::webhook::SignedClient;

/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// Longest verdict, in characters.
const VERDICT_CHARS_MAX: usize = 64;

/// Pictures under way at the same time in one room.
const CONCURRENT_MAX: usize = 4;

/// What is asked for a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watch {
    pub(crate) url: Url,
    pub(crate) interval: Duration,
    pub(crate) format: PictureFormat,
}

/// Rooms that are watched.
pub(crate) struct Moderation {
    client: Option<SignedClient>,
    rooms: Arc<Mutex<HashMap<RoomName, Watched>>>,
}

struct Watched {
    watch: Watch,
    task: AbortHandle,
}

/// Why a room is not watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The URL leads to an address that webhooks may not go to.
    Address,
    /// There is no key to sign with.
    NoKey,
}

impl Moderation {
    pub(crate) fn new(client: Option<SignedClient>) -> Self {
        Self {
            client,
            rooms: Arc::default(),
        }
    }

    /// Begins to watch a room, or goes on differently. It ends with the room.
    pub(crate) fn start(
        &self,
        control: Arc<dyn RoomControl>,
        snapshots: Arc<Snapshots>,
        room: &RoomName,
        watch: Watch,
    ) -> Result<(), Refused> {
        let client = self.client.clone().ok_or(Refused::NoKey)?;
        if !client.allows(&watch.url) {
            return Err(Refused::Address);
        }
        let rounds = Rounds {
            control,
            snapshots,
            client,
            room: room.clone(),
            watch: watch.clone(),
        };
        let rooms = Arc::clone(&self.rooms);
        // The task must find itself in the map, so it begins with the map locked.
        let mut watched = lock(&self.rooms);
        let task = tokio::spawn(async move {
            rounds.run().await;
            lock(&rooms).remove(&rounds.room);
        })
        .abort_handle();
        let before = watched.insert(room.clone(), Watched { watch, task });
        if let Some(before) = before {
            before.task.abort();
        }
        Ok(())
    }

    /// How a room is watched.
    pub(crate) fn of(&self, room: &RoomName) -> Option<Watch> {
        let rooms = lock(&self.rooms);
        rooms.get(room).map(|watched| watched.watch.clone())
    }

    /// Watches a room no more; false when it was not.
    pub(crate) fn stop(&self, room: &RoomName) -> bool {
        let watched = lock(&self.rooms).remove(room);
        watched.map(|watched| watched.task.abort()).is_some()
    }
}

fn lock(rooms: &Mutex<HashMap<RoomName, Watched>>) -> MutexGuard<'_, HashMap<RoomName, Watched>> {
    rooms.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One room under watch.
struct Rounds {
    control: Arc<dyn RoomControl>,
    snapshots: Arc<Snapshots>,
    client: SignedClient,
    room: RoomName,
    watch: Watch,
}

impl Rounds {
    /// Until the room has ended.
    async fn run(&self) {
        let mut clock = tokio::time::interval(self.watch.interval);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            let participants = match self.control.participants(&self.room).await {
                Ok(participants) => participants,
                Err(ControlError::RoomNotFound(_)) => return,
                Err(_) => continue,
            };
            let mut pictures = Vec::new();
            for participant in participants {
                for track in participant.tracks {
                    if track.kind == MediaKind::Video && !track.muted {
                        pictures.push(self.judge(participant.identity.clone(), track.sid));
                    }
                }
            }
            futures_util::stream::iter(pictures)
                .buffer_unordered(CONCURRENT_MAX)
                .collect::<()>()
                .await;
        }
    }

    async fn judge(&self, identity: Identity, track: TrackSid) {
        let format = self.watch.format;
        let taken = self
            .snapshots
            .take(self.control.as_ref(), &self.room, &track, format)
            .await;
        let outcome = match taken {
            Err(_) => "no_picture",
            Ok(picture) => match self.ask(&identity, &track, picture).await {
                Err(_) => "unanswered",
                Ok(None) => "no_verdict",
                Ok(Some(verdict)) => {
                    // The track may be gone meanwhile.
                    let noted = self.control.note_verdict(&self.room, &track, verdict);
                    let _ = noted.await;
                    "verdict"
                }
            },
        };
        metrics::counter!("crosspoint_moderation_pictures_total", "outcome" => outcome)
            .increment(1);
    }

    /// Posts a picture; what the judge says of it.
    async fn ask(
        &self,
        identity: &Identity,
        track: &TrackSid,
        picture: Bytes,
    ) -> Result<Option<Verdict>, String> {
        let mut url = self.watch.url.clone();
        url.query_pairs_mut()
            .append_pair("room", self.room.as_str())
            .append_pair("identity", identity.as_str())
            .append_pair("track", &track.0);
        let mime = self.watch.format.mime();
        let mut response = self.client.post(url, mime, picture).await?;
        let mut answer = Vec::new();
        loop {
            let chunk = response.chunk().await.map_err(|e| e.to_string())?;
            let Some(chunk) = chunk else { break };
            if answer.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err("the answer is too long".to_owned());
            }
            answer.extend_from_slice(&chunk);
        }
        Ok(verdict_of(&answer))
    }
}

/// `{"verdict": "...", ...}`; anything else is none.
fn verdict_of(answer: &[u8]) -> Option<Verdict> {
    let details: serde_json::Value = serde_json::from_slice(answer).ok()?;
    let verdict = details.get("verdict")?.as_str()?;
    let plain = !verdict.is_empty()
        && verdict.chars().count() <= VERDICT_CHARS_MAX
        && !verdict.chars().any(char::is_control);
    plain.then(|| Verdict {
        verdict: verdict.to_owned(),
        details: details.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_with_a_short_verdict_is_one() {
        let verdict = verdict_of(br#"{"verdict":"reject","score":0.9}"#).unwrap();
        assert_eq!(verdict.verdict, "reject");
        assert!(verdict.details.contains("0.9"));
        let long = format!(r#"{{"verdict":"{}"}}"#, "x".repeat(65));
        for no in [
            "",
            "ok",
            "[]",
            "{}",
            r#"{"verdict":1}"#,
            r#"{"verdict":""}"#,
            &long,
        ] {
            assert_eq!(verdict_of(no.as_bytes()), None, "{no}");
        }
    }
}
