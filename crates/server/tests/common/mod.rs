//! What the tests of this crate share: a stand-in for the control plane that records what it is
//! asked, and helpers for requests and tokens.

#![expect(dead_code, reason = "each test binary uses a part of it")]

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use crosspoint_control::api::{
    Answer, ControlError, IceRestart, JoinRequest, Joined, Message, MutedBy, Offer, OfferProblem,
    ParticipantPatch, Presence, RoomControl, RoomEvent, RoomPatch, SessionEvent, Tap, TapId,
    Verdict,
};
use crosspoint_control::model::{
    Identity, ParticipantInfo, ParticipantState, Permissions, Reason, RoomInfo, RoomName,
    RoomSettings, SlotInfo, SubscriptionWish, TrackInfo, TrackSid,
};
use crosspoint_control::quality::{QualityReason, SubscriptionReport};
use crosspoint_control::report::RoomReport;
use crosspoint_control::shared::SharedEvent;
use crosspoint_media::config::{Layer, LayerLimit, Policy, RelayId, SessionId, TrackSource, Wish};
use crosspoint_media::explain::{AvailableLayer, Choice, Explanation, Switch};
use crosspoint_media::inspect::Keyframe;
use crosspoint_media::tap::TapDoor;
use crosspoint_server::app::App;
use crosspoint_server::auth::Keys;
use crosspoint_server::config::Config;
use crosspoint_wire::codec::{Codec, MediaKind};
use crosspoint_wire::ids::Rid;
use crosspoint_wire::time::Time;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc};
use tower::ServiceExt as _;

pub(crate) const KEY: &str = "testkey";
pub(crate) const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough";

/// Records what it is asked and answers with something plausible, or with `fail`.
pub(crate) struct Recorder {
    pub(crate) calls: Mutex<Vec<String>>,
    pub(crate) fail: Mutex<Option<ControlError>>,
    pub(crate) sessions: Mutex<HashMap<SessionId, mpsc::Sender<SharedEvent>>>,
    pub(crate) joins: Mutex<Vec<JoinRequest>>,
    pub(crate) messages: Mutex<Vec<Message>>,
    pub(crate) patches: Mutex<Vec<ParticipantPatch>>,
    pub(crate) wishes: Mutex<Vec<SubscriptionWish>>,
    pub(crate) keyframe: Mutex<Option<Keyframe>>,
    pub(crate) events: broadcast::Sender<RoomEvent>,
    next: AtomicU64,
}

impl Recorder {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            calls: Mutex::default(),
            fail: Mutex::default(),
            sessions: Mutex::default(),
            joins: Mutex::default(),
            messages: Mutex::default(),
            patches: Mutex::default(),
            wishes: Mutex::default(),
            keyframe: Mutex::default(),
            events: broadcast::channel(16).0,
            next: AtomicU64::new(1),
        })
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// The channel of the latest session.
    pub(crate) fn latest(&self) -> mpsc::Sender<SharedEvent> {
        let sessions = self.sessions.lock().unwrap();
        let latest = sessions.keys().max().unwrap();
        sessions[latest].clone()
    }

    fn note(&self, call: impl Into<String>) -> Result<(), ControlError> {
        self.calls.lock().unwrap().push(call.into());
        match &*self.fail.lock().unwrap() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }
}

pub(crate) fn room(name: &RoomName) -> RoomInfo {
    RoomInfo {
        name: name.clone(),
        sid: "RM_abcdefghijkl".to_owned(),
        settings: RoomSettings::default(),
        created_at: UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        num_participants: 1,
        num_publishers: 1,
        active_speakers: vec![Identity::new("bob").unwrap()],
    }
}

pub(crate) fn participant(identity: &Identity) -> ParticipantInfo {
    ParticipantInfo {
        identity: identity.clone(),
        sid: "PA_abcdefghijkl".to_owned(),
        name: "Name".to_owned(),
        metadata: String::new(),
        attributes: BTreeMap::new(),
        permissions: Default::default(),
        state: ParticipantState::Active,
        joined_at: UNIX_EPOCH,
        tracks: vec![track()],
    }
}

pub(crate) fn track() -> TrackInfo {
    TrackInfo {
        sid: TrackSid("TR_own".to_owned()),
        kind: MediaKind::Video,
        source: TrackSource::ScreenShare,
        name: String::new(),
        muted: false,
        codec: Some(Codec::Vp8),
        simulcast: true,
        mid: "1".to_owned(),
        width: 640,
        height: 480,
    }
}

/// A picture that its subscriber's link keeps small.
fn report(track: &TrackSid) -> SubscriptionReport {
    let choice = |encoding| Choice {
        encoding,
        layer: Layer {
            spatial: 3,
            temporal: 7,
        },
    };
    let layer = |encoding, rid: &[u8], size, kbps: u64| AvailableLayer {
        choice: choice(encoding),
        rid: Rid::new(rid),
        size: Some(size),
        bits_per_second: kbps * 1000,
        flows: true,
        unwatched: false,
    };
    let switch = Switch {
        at: Time::ZERO,
        from: Some(choice(1)),
        to: Some(choice(0)),
        cause: Some(QualityReason::Bandwidth),
    };
    SubscriptionReport {
        track: track.clone(),
        neighbours: vec![(TrackSid("TR_voice".to_owned()), 40_000)],
        explanation: Explanation {
            layers: vec![
                layer(0, b"q", (320, 180), 150),
                layer(1, b"h", (640, 360), 500),
            ],
            wish: Wish {
                wanted: true,
                largest: LayerLimit::Size {
                    width: 640,
                    height: 360,
                },
            },
            policy: Policy::default(),
            target: Some(choice(0)),
            current: Some(choice(0)),
            has_slot: true,
            estimate_bps: Some(310_000),
            granted_bps: 150_000,
            next_bps: Some(500_000),
            neighbours: Vec::new(),
            reason: Some(QualityReason::Bandwidth),
            switches: vec![(Duration::from_millis(1500), switch)],
        },
    }
}

#[async_trait]
impl RoomControl for Recorder {
    async fn create_room(
        &self,
        name: RoomName,
        settings: RoomSettings,
    ) -> Result<RoomInfo, ControlError> {
        self.note(format!("create_room {name}"))?;
        Ok(RoomInfo {
            settings,
            ..room(&name)
        })
    }

    async fn rooms(&self) -> Result<Vec<RoomInfo>, ControlError> {
        self.note("rooms")?;
        Ok(vec![room(&RoomName::new("demo").unwrap())])
    }

    async fn room(&self, name: &RoomName) -> Result<RoomInfo, ControlError> {
        self.note(format!("room {name}"))?;
        Ok(room(name))
    }

    async fn update_room(
        &self,
        name: &RoomName,
        patch: RoomPatch,
    ) -> Result<RoomInfo, ControlError> {
        self.note(format!("update_room {name} {patch:?}"))?;
        Ok(room(name))
    }

    async fn delete_room(&self, name: &RoomName, reason: Reason) -> Result<(), ControlError> {
        self.note(format!("delete_room {name} {}", reason.label()))
    }

    async fn participants(&self, room: &RoomName) -> Result<Vec<ParticipantInfo>, ControlError> {
        self.note(format!("participants {room}"))?;
        Ok(vec![participant(&Identity::new("bob").unwrap())])
    }

    async fn participant(
        &self,
        room: &RoomName,
        identity: &Identity,
    ) -> Result<ParticipantInfo, ControlError> {
        self.note(format!("participant {room} {identity}"))?;
        Ok(participant(identity))
    }

    async fn update_participant(
        &self,
        room: &RoomName,
        identity: &Identity,
        patch: ParticipantPatch,
    ) -> Result<ParticipantInfo, ControlError> {
        self.note(format!("update_participant {room} {identity}"))?;
        self.patches.lock().unwrap().push(patch);
        Ok(participant(identity))
    }

    async fn remove_participant(
        &self,
        room: &RoomName,
        identity: &Identity,
        reason: Reason,
    ) -> Result<(), ControlError> {
        self.note(format!("remove {room} {identity} {}", reason.label()))
    }

    async fn move_participant(
        &self,
        room: &RoomName,
        identity: &Identity,
        to: &RoomName,
    ) -> Result<(), ControlError> {
        self.note(format!("move {room} {identity} {to}"))
    }

    async fn forward_participant(
        &self,
        room: &RoomName,
        identity: &Identity,
        to: &RoomName,
    ) -> Result<(), ControlError> {
        self.note(format!("forward {room} {identity} {to}"))
    }

    async fn stop_forwarding(
        &self,
        room: &RoomName,
        identity: &Identity,
        to: &RoomName,
    ) -> Result<(), ControlError> {
        self.note(format!("stop_forwarding {room} {identity} {to}"))
    }

    async fn set_audience(
        &self,
        room: &RoomName,
        identity: &Identity,
        audience: Option<Vec<Identity>>,
    ) -> Result<(), ControlError> {
        self.note(format!("set_audience {room} {identity} {audience:?}"))
    }

    async fn set_track_muted(
        &self,
        room: &RoomName,
        sid: &TrackSid,
        by: MutedBy,
        muted: bool,
    ) -> Result<TrackInfo, ControlError> {
        self.note(format!("mute {room} {} {by:?} {muted}", sid.0))?;
        Ok(TrackInfo { muted, ..track() })
    }

    async fn set_subscription(
        &self,
        room: &RoomName,
        identity: &Identity,
        track: &TrackSid,
        wish: SubscriptionWish,
    ) -> Result<(), ControlError> {
        self.note(format!("subscribe {room} {identity} {}", track.0))?;
        self.wishes.lock().unwrap().push(wish);
        Ok(())
    }

    async fn explain(
        &self,
        room: &RoomName,
        identity: &Identity,
        track: &TrackSid,
    ) -> Result<SubscriptionReport, ControlError> {
        self.note(format!("explain {room} {identity} {}", track.0))?;
        Ok(report(track))
    }

    async fn send_message(&self, room: &RoomName, message: Message) -> Result<(), ControlError> {
        self.note(format!("message {room}"))?;
        self.messages.lock().unwrap().push(message);
        Ok(())
    }

    async fn join(&self, request: JoinRequest) -> Result<Joined, ControlError> {
        self.note(format!("join {} {}", request.room, request.identity))?;
        let session = SessionId(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, events) = mpsc::channel(1024);
        self.sessions.lock().unwrap().insert(session, sender);
        let joined = Joined {
            session,
            participant: ParticipantInfo {
                permissions: request.permissions.clone(),
                tracks: Vec::new(),
                ..participant(&request.identity)
            },
            room: room(&request.room),
            others: vec![participant(&Identity::new("bob").unwrap())],
            events,
        };
        self.joins.lock().unwrap().push(request);
        Ok(joined)
    }

    async fn check_offer(&self, _: &Permissions, offer: &Offer) -> Result<(), ControlError> {
        match offer.sdp.as_str() {
            "bad" => Err(ControlError::OfferRefused(OfferProblem::NotBundled)),
            _ => Ok(()),
        }
    }

    async fn offer(&self, session: SessionId, offer: Offer) -> Result<Answer, ControlError> {
        self.note(format!("offer {} {}", session.0, offer.sdp.len()))?;
        Ok(Answer {
            sdp: "v=0\r\nanswer".to_owned(),
            tracks: vec![track()],
            slots: vec![SlotInfo {
                mid: "2".to_owned(),
                kind: MediaKind::Audio,
                feed: None,
            }],
        })
    }

    async fn restart_ice(
        &self,
        session: SessionId,
        ufrag: String,
        _pwd: String,
    ) -> Result<IceRestart, ControlError> {
        self.note(format!("restart_ice {} {ufrag}", session.0))?;
        Ok(IceRestart {
            ufrag: "ours".to_owned(),
            pwd: "p".repeat(22),
            candidates: vec!["candidate:1 1 udp 1 192.0.2.7 7882 typ host".to_owned()],
        })
    }

    async fn leave(&self, session: SessionId, reason: Reason) -> Result<(), ControlError> {
        self.note(format!("leave {} {}", session.0, reason.label()))?;
        let sender = self.sessions.lock().unwrap().remove(&session);
        if let Some(sender) = sender {
            let _ = sender.try_send(SessionEvent::Ended(reason).into());
        }
        Ok(())
    }

    async fn room_report(&self, name: &RoomName) -> Result<RoomReport, ControlError> {
        self.note(format!("report {name}"))?;
        Ok(RoomReport {
            room: room(name),
            participants: Vec::new(),
        })
    }

    async fn keyframe(
        &self,
        room: &RoomName,
        track: &TrackSid,
        _: Duration,
        _: Duration,
    ) -> Result<Option<Keyframe>, ControlError> {
        self.note(format!("keyframe {room} {}", track.0))?;
        Ok(self.keyframe.lock().unwrap().clone())
    }

    async fn open_tap(&self, room: &RoomName, _: TapDoor) -> Result<Tap, ControlError> {
        self.note(format!("open_tap {room}"))?;
        let events = mpsc::channel(1).1;
        let id = TapId(1);
        Ok(Tap { id, events })
    }

    async fn close_tap(&self, tap: TapId) {
        let _ = self.note(format!("close_tap {}", tap.0));
    }

    async fn request_keyframe(&self, _: TapId, relay: RelayId) {
        let _ = self.note(format!("request_keyframe {}", relay.0));
    }

    async fn note_verdict(
        &self,
        room: &RoomName,
        track: &TrackSid,
        verdict: Verdict,
    ) -> Result<(), ControlError> {
        self.note(format!("verdict {room} {} {}", track.0, verdict.verdict))
    }

    fn events(&self) -> broadcast::Receiver<RoomEvent> {
        let _ = self.note("events");
        self.events.subscribe()
    }

    fn presence(&self) -> broadcast::Receiver<Presence> {
        broadcast::channel(1).0.subscribe()
    }

    async fn drain(&self) {
        let _ = self.note("drain");
    }

    async fn metrics(&self) -> Vec<(String, f64)> {
        vec![
            ("rooms".to_owned(), 2.0),
            ("rtp_received_total".to_owned(), 12.0),
        ]
    }
}

/// A server without sockets.
pub(crate) struct Door {
    pub(crate) app: Arc<App>,
    pub(crate) control: Arc<Recorder>,
    pub(crate) router: Router,
}

impl Door {
    pub(crate) fn new() -> Self {
        Self::with(Config::default(), false)
    }

    pub(crate) fn with(config: Config, development: bool) -> Self {
        let control = Recorder::new();
        let keys = Keys::parse(&format!("{KEY}: {SECRET}")).unwrap();
        let shared = Arc::clone(&control) as Arc<dyn RoomControl>;
        let app = App::new(shared, keys, config, development, None, None);
        // What the server does for itself when it starts is not what a test asks about.
        control.calls.lock().unwrap().clear();
        let router = crosspoint_server::http::router(Arc::clone(&app));
        Self {
            app,
            control,
            router,
        }
    }

    /// Sends a request and reads all of the answer.
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// Calls the API with JSON.
    pub(crate) async fn api(&self, method: &str, path: &str, token: &str, body: Value) -> Reply {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"));
        let request = match body {
            Value::Null => request.body(Body::empty()),
            body => request
                .header("content-type", "application/json")
                .body(Body::from(body.to_string())),
        };
        self.send(request.unwrap()).await
    }

    /// Serves it on a loopback port, for what needs a connection.
    pub(crate) async fn listen(&self) -> std::net::SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = self
            .router
            .clone()
            .into_make_service_with_connect_info::<std::net::SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        address
    }
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// Status and label of a problem; checks its form.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["status"], self.status.as_u16());
        assert!(!problem["title"].as_str().unwrap().is_empty());
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        let label = problem["label"].as_str().unwrap().to_owned();
        assert_eq!(problem["type"], format!("/problems/{label}"));
        (self.status.as_u16(), label)
    }
}

pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    since.as_secs()
}

/// Signs any claims with the tests' key.
pub(crate) fn sign(claims: &Value) -> String {
    jsonwebtoken::encode(
        &jsonwebtoken::Header::default(),
        claims,
        &jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes()),
    )
    .unwrap()
}

/// A good token with these grants.
pub(crate) fn token(identity: Option<&str>, video: Value) -> String {
    let mut claims = json!({"iss": KEY, "exp": now() + 600, "nbf": now(), "video": video});
    if let Some(identity) = identity {
        claims["sub"] = identity.into();
    }
    sign(&claims)
}

/// A token to join `demo`.
pub(crate) fn join_token(identity: &str) -> String {
    token(Some(identity), json!({"roomJoin": true, "room": "demo"}))
}

/// A token that may do everything with `demo`.
pub(crate) fn admin_token() -> String {
    token(
        Some("admin"),
        json!({"roomAdmin": true, "roomCreate": true, "roomList": true, "room": "demo"}),
    )
}
