//! The service at its door, in paused time. Workers are recorded and carried out by real
//! engines, so that a command that an engine does not understand fails the test.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use crosspoint_media::command::Command as MediaCommand;
use crosspoint_media::config::EngineConfig;
use crosspoint_media::engine::Engine;
use crosspoint_media::event::Event as MediaEvent;
use crosspoint_media::sink::PacketSink;
use crosspoint_transport::api::{
    Candidate, Command, ConnectionReport, DataChannelKind, Fingerprint, FingerprintAlgorithm,
    Protocol, QueueFull, WorkerReport,
};
use crosspoint_wire::time::Time;

use super::*;
use crate::api::SessionEvent;

mod joining;
mod limits;
mod messages;
mod permissions;
mod reports;
mod rooms;
mod scripts;
mod taps;

/// Two m-lines that send, two audio and two video slots, a data channel.
const CHROME: &str = include_str!("../../tests/offers/chrome.offer.sdp");
/// A video and an audio slot.
const WATCHER: &str = include_str!("../../tests/offers/chrome_whep.offer.sdp");

/// A service over two workers.
struct Bench {
    service: Arc<Service>,
    desk: Arc<Desk>,
    events: mpsc::Sender<(WorkerId, Event)>,
}

/// What stands behind the command queues.
struct Desk {
    workers: Mutex<Vec<Engine>>,
    /// One word or two for each command, behind the worker's number.
    log: Mutex<Vec<String>>,
    /// Commands that engines refused.
    refused: Mutex<Vec<String>>,
    /// Sessions that were given a slot with somebody's track, after whichever command.
    fed: Mutex<Vec<SessionId>>,
    full: AtomicBool,
}

struct Recorded {
    desk: Arc<Desk>,
    candidates: Vec<Candidate>,
    fingerprint: Fingerprint,
}

/// The payload is the text; the topic goes in front.
struct PlainCodec;

struct NoPackets;

impl Bench {
    fn new() -> Self {
        let engines = (0..2).map(|_| Engine::new(EngineConfig::default()));
        let desk = Arc::new(Desk {
            workers: Mutex::new(engines.collect()),
            log: Mutex::default(),
            refused: Mutex::default(),
            fed: Mutex::default(),
            full: AtomicBool::new(false),
        });
        let recorded = Recorded {
            desk: Arc::clone(&desk),
            candidates: vec![Candidate {
                protocol: Protocol::Udp,
                address: "127.0.0.1:7882".parse().unwrap(),
            }],
            fingerprint: Fingerprint {
                algorithm: FingerprintAlgorithm::Sha256,
                digest: vec![7; 32],
            },
        };
        let (events, receiver) = mpsc::channel(64);
        let config = ControlConfig {
            rooms_max: 4,
            participants_max: 400,
            ..ControlConfig::new(Arc::new(PlainCodec))
        };
        Self {
            service: Service::with_workers(Box::new(recorded), receiver, config),
            desk,
            events,
        }
    }

    async fn join(&self, room: &str, identity: &str) -> Joined {
        self.service.join(request(room, identity)).await.unwrap()
    }

    /// Joins and offers what `CHROME` says.
    async fn call(&self, room: &str, identity: &str) -> (Joined, Answer) {
        let joined = self.join(room, identity).await;
        let answer = self.offer(&joined, CHROME).await;
        (joined, answer)
    }

    async fn offer(&self, joined: &Joined, sdp: &str) -> Answer {
        self.try_offer(joined, sdp).await.unwrap()
    }

    async fn try_offer(&self, joined: &Joined, sdp: &str) -> Result<Answer, ControlError> {
        let offer = Offer {
            sdp: sdp.to_owned(),
            tracks: Vec::new(),
        };
        self.service.offer(joined.session, offer).await
    }

    /// A worker tells something, and the service has understood it.
    async fn tell(&self, worker: u16, event: Event) {
        self.events.send((WorkerId(worker), event)).await.unwrap();
        self.until_idle().await;
    }

    /// Lets the background task do what it can. Time stands still meanwhile.
    async fn until_idle(&self) {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }

    async fn wait(&self, duration: Duration) {
        tokio::time::advance(duration).await;
        self.until_idle().await;
    }

    /// Commands since the last call.
    fn commands(&self) -> Vec<String> {
        std::mem::take(&mut self.desk.log.lock().unwrap())
    }

    fn assert_nothing_refused(&self) {
        assert_eq!(*self.desk.refused.lock().unwrap(), [""; 0]);
    }

    /// Neither the service nor an engine remembers anything.
    fn assert_nothing_left(&self) {
        self.assert_nothing_refused();
        let state = self.service.lock();
        let left = [
            state.rooms.len(),
            state.room_ids.len(),
            state.people.len(),
            state.sessions.len(),
            state.tracks.len(),
            state.track_ids.len(),
            state.timers.len(),
        ];
        assert_eq!(left, [0; 7]);
        for engine in self.desk.workers.lock().unwrap().iter() {
            let left = (
                engine.room_count(),
                engine.session_count(),
                engine.track_count(),
            );
            assert_eq!(left, (0, 0, 0));
        }
    }

    async fn metric(&self, name: &str) -> f64 {
        let metrics = self.service.metrics().await;
        let found = metrics.iter().find(|(known, _)| known == name);
        found.map_or(0.0, |(_, value)| *value)
    }
}

impl Workers for Recorded {
    fn count(&self) -> usize {
        2
    }

    fn send(&self, worker: WorkerId, command: Command) -> Result<(), QueueFull> {
        if self.desk.full.load(Ordering::Relaxed) {
            return Err(QueueFull);
        }
        let mut workers = self.desk.workers.lock().unwrap();
        let engine = &mut workers[usize::from(worker.0)];
        let (name, outcome) = match command {
            Command::Media(command, _) => {
                (brief(&command), engine.handle_command(Time::ZERO, command))
            }
            Command::OpenSession { session, .. } => {
                engine.open_session(session);
                ("OpenSession".to_owned(), Ok(()))
            }
            Command::CloseSession { .. } => ("CloseSession".to_owned(), Ok(())),
            Command::RestartIce { .. } => ("RestartIce".to_owned(), Ok(())),
            Command::RouteRelay { peer, .. } => {
                let to = peer.map_or("nowhere".to_owned(), |peer| peer.0.to_string());
                (format!("RouteRelay to {to}"), Ok(()))
            }
            Command::RouteTap { door, .. } => {
                let to = door.map_or("nowhere", |_| "a recorder");
                (format!("RouteTap to {to}"), Ok(()))
            }
            Command::SendData { payload, .. } => (
                format!("SendData {}", String::from_utf8_lossy(&payload)),
                Ok(()),
            ),
            Command::Inspect { sessions, reply } => {
                let report = |session: &SessionId| {
                    Some(ConnectionReport {
                        local: None,
                        remote: Some("192.0.2.1:4000".parse().unwrap()),
                        protocol: Protocol::Udp,
                        bytes_sent: 10,
                        bytes_received: 20,
                        media: engine.session_report(*session)?,
                    })
                };
                let _ = reply.send(sessions.iter().filter_map(report).collect());
                return Ok(());
            }
            Command::Keyframe { track, reply } => {
                let _ = reply.send(engine.keyframe(Time::ZERO, track));
                return Ok(());
            }
            Command::Explain {
                session,
                track,
                reply,
            } => {
                let _ = reply.send(engine.explain(session, track));
                return Ok(());
            }
            Command::Report(reply) => {
                let _ = reply.send(WorkerReport {
                    counters: vec![("rtp_received", 21)],
                    ..WorkerReport::default()
                });
                return Ok(());
            }
        };
        let line = format!("{} {name}", worker.0);
        if let Err(error) = outcome {
            self.desk
                .refused
                .lock()
                .unwrap()
                .push(format!("{line}: {error}"));
        }
        self.desk.log.lock().unwrap().push(line);
        engine.flush(Time::ZERO, &mut NoPackets);
        while let Some(event) = engine.poll_event() {
            if let MediaEvent::SlotAssigned {
                session,
                feed: Some(_),
                ..
            } = event
            {
                self.desk.fed.lock().unwrap().push(session);
            }
        }
        Ok(())
    }

    fn candidates(&self, _: WorkerId) -> &[Candidate] {
        &self.candidates
    }

    fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

/// The command's name, and what tells it from others of that name.
fn brief(command: &MediaCommand) -> String {
    match command {
        MediaCommand::PutRoom { config, .. } if config.home => "PutRoom home".to_owned(),
        MediaCommand::PutSession {
            config,
            auto_subscribe,
            ..
        } => {
            let (tracks, slots) = (config.receive.len(), config.slots.len());
            let mode = if *auto_subscribe { "auto" } else { "asked" };
            format!("PutSession {tracks} tracks {slots} slots {mode}")
        }
        MediaCommand::SetWish { wish, .. } if wish.wanted => "SetWish wanted".to_owned(),
        MediaCommand::SetMuted { muted, .. } => format!("SetMuted {muted}"),
        MediaCommand::SetPriority { priority, .. } => format!("SetPriority {priority:?}"),
        MediaCommand::LinkTrack { linked, .. } => format!("LinkTrack {linked}"),
        other => {
            let text = format!("{other:?}");
            text.split([' ', '(']).next().unwrap_or_default().to_owned()
        }
    }
}

impl MessageCodec for PlainCodec {
    fn encode(&self, message: &Message) -> (Bytes, bool) {
        let from = message.from.as_ref().map_or("server", |from| from.as_str());
        let text = String::from_utf8_lossy(&message.payload);
        (format!("{from}:{text}").into(), message.text)
    }

    fn decode(&self, payload: &Bytes, text: bool) -> Option<Message> {
        (!payload.is_empty()).then(|| Message {
            from: None,
            to: Vec::new(),
            topic: String::new(),
            payload: payload.clone(),
            text,
            reliable: false,
        })
    }
}

impl PacketSink for NoPackets {
    fn rtp(
        &mut self,
        _: crosspoint_media::config::SessionKey,
        _: u64,
        _: usize,
        _: impl FnOnce(&mut [u8]) -> usize,
    ) {
    }

    fn rtcp(&mut self, _: crosspoint_media::config::SessionKey, _: &[u8]) {}

    fn relay(&mut self, _: RelayId, _: impl Fn(&mut Vec<u8>)) {}
}

fn room(name: &str) -> RoomName {
    RoomName::new(name).unwrap()
}

fn identity(name: &str) -> Identity {
    Identity::new(name).unwrap()
}

fn request(room_name: &str, name: &str) -> JoinRequest {
    JoinRequest {
        room: room(room_name),
        identity: identity(name),
        name: String::new(),
        metadata: String::new(),
        attributes: BTreeMap::new(),
        permissions: Permissions::default(),
        create_room: true,
        auto_subscribe: true,
        only: None,
    }
}

fn hidden(room_name: &str, name: &str) -> JoinRequest {
    let permissions = Permissions {
        hidden: true,
        ..Permissions::default()
    };
    JoinRequest {
        permissions,
        ..request(room_name, name)
    }
}

/// What a session was told, one or two words each.
fn told(joined: &mut Joined) -> Vec<String> {
    let mut told = Vec::new();
    while let Ok(event) = joined.events.try_recv() {
        told.push(match (*event).clone() {
            SessionEvent::ParticipantJoined(p) => format!("joined {}", p.identity),
            SessionEvent::ParticipantUpdated(p) => format!("updated {} {:?}", p.identity, p.state),
            SessionEvent::ParticipantLeft(who, why) => format!("left {who} {}", why.label()),
            SessionEvent::TrackPublished(who, track) => format!("track {who} {:?}", track.kind),
            SessionEvent::TrackUpdated(who, track) => {
                let muted = if track.muted { "muted" } else { "open" };
                format!("track of {who} {muted}")
            }
            SessionEvent::TrackUnpublished(who, _) => format!("no track {who}"),
            SessionEvent::OwnTrackMuted(_, muted) => format!("own muted {muted}"),
            SessionEvent::Moved(room, others) => {
                format!("moved {} with {}", room.name, others.len())
            }
            SessionEvent::Message(message) => {
                format!("message {}", String::from_utf8_lossy(&message.payload))
            }
            SessionEvent::Ended(why) => format!("ended {}", why.label()),
            SessionEvent::Slots(slots) => {
                let feeds = slots.iter().map(|slot| {
                    let feed = slot.feed.as_ref();
                    feed.map_or("nobody".to_owned(), |(_, who)| who.to_string())
                });
                format!("slots {}", feeds.collect::<Vec<_>>().join(" "))
            }
            SessionEvent::SubscriptionChanged(change) => {
                format!("sees {:?} of {}", change.quality, change.publisher)
            }
            SessionEvent::EncodingsWanted(wanted) => format!("wanted {:?}", wanted.encodings),
            SessionEvent::ActiveSpeakers(speakers) => format!("{} speak", speakers.len()),
            SessionEvent::RoomUpdated(_) => "room updated".to_owned(),
            SessionEvent::Connected => "connected".to_owned(),
            SessionEvent::Interrupted(is) => format!("interrupted {is}"),
            SessionEvent::Draining => "draining".to_owned(),
        });
    }
    told
}

/// Whether `wanted` is in `all`, in this order, with whatever in between.
fn in_order(all: &[String], wanted: &[&str]) -> bool {
    let mut rest = all.iter();
    wanted.iter().all(|wanted| rest.any(|line| line == wanted))
}
