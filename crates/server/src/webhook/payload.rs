//! Bodies of webhooks, in the JSON form of LiveKit's `WebhookEvent` message (protobuf's JSON
//! mapping: 64-bit numbers are strings), and their signature.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use crosspoint_calls::door::CallWebhook;
use crosspoint_control::api::RoomEvent;
use crosspoint_control::model::{
    ParticipantInfo, ParticipantState, Permissions, Reason, RoomInfo, TrackInfo,
};
use crosspoint_media::config::TrackSource;
use crosspoint_record::Mode;
use crosspoint_wire::codec::{Codec, MediaKind};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::auth::Secret;
use crate::recordings::RecordingEvent;

/// How long a signature is good for, in seconds.
const SIGNATURE_TTL_S: u64 = 300;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WebhookEvent {
    event: &'static str,
    room: Room,
    #[serde(skip_serializing_if = "Option::is_none")]
    participant: Option<Participant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    track: Option<Track>,
    id: String,
    created_at: String,
    /// Not in LiveKit's message: our own word for why something ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Ours, too: what the judge of a picture said.
    #[serde(skip_serializing_if = "Option::is_none")]
    moderation: Option<VerdictBody>,
}

#[derive(Serialize)]
struct VerdictBody {
    verdict: String,
    details: serde_json::Value,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Room {
    sid: String,
    name: String,
    empty_timeout: u64,
    departure_timeout: u64,
    max_participants: u32,
    creation_time: String,
    metadata: String,
    num_participants: u32,
    num_publishers: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Participant {
    sid: String,
    identity: String,
    state: &'static str,
    name: String,
    metadata: String,
    attributes: std::collections::BTreeMap<String, String>,
    joined_at: String,
    permission: Permission,
    is_publisher: bool,
    tracks: Vec<Track>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disconnect_reason: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Permission {
    can_subscribe: bool,
    can_publish: bool,
    can_publish_data: bool,
    can_publish_sources: Vec<&'static str>,
    can_update_metadata: bool,
    hidden: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Track {
    sid: String,
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
    muted: bool,
    width: u32,
    height: u32,
    simulcast: bool,
    source: &'static str,
    mime_type: String,
    mid: String,
}

/// The body for an event of a call: `{event, id, createdAt, call, user}`, the call as it was then.
pub(super) fn call_body(event: &CallWebhook) -> Bytes {
    let mut body = serde_json::json!({
        "event": event.kind.label(),
        "id": format!("EV_{:016x}", rand::random::<u64>()),
        "createdAt": (event.at_ms / 1000).to_string(),
        "call": event.call,
        "user": event.user,
    });
    if let Some(recording) = &event.recording {
        body["recording"] = serde_json::json!(recording.id);
        match &recording.outcome {
            Ok(url) => body["url"] = serde_json::json!(url),
            Err(reason) => body["reason"] = serde_json::json!(reason),
        }
    }
    body.to_string().into()
}

/// The body for an event; `None` for those that are no webhooks.
pub(super) fn body(event: RoomEvent) -> Option<Bytes> {
    let mut verdict = None;
    let (event, room, participant, track, reason) = match event {
        RoomEvent::RoomStarted(room) => ("room_started", room, None, None, None),
        RoomEvent::RoomFinished(room, reason) => ("room_finished", room, None, None, Some(reason)),
        RoomEvent::ParticipantJoined(room, who) => {
            ("participant_joined", room, Some(who), None, None)
        }
        RoomEvent::ParticipantLeft(room, who, reason) => {
            ("participant_left", room, Some(who), None, Some(reason))
        }
        RoomEvent::TrackPublished(room, who, track) => {
            ("track_published", room, Some(who), Some(track), None)
        }
        RoomEvent::TrackUnpublished(room, who, track) => {
            ("track_unpublished", room, Some(who), Some(track), None)
        }
        RoomEvent::Judged(room, who, track, judged) => {
            verdict = Some(VerdictBody {
                details: serde_json::from_str(&judged.details).unwrap_or_default(),
                verdict: judged.verdict,
            });
            ("moderation_verdict", room, Some(who), Some(track), None)
        }
        RoomEvent::RoomUpdated(_)
        | RoomEvent::ParticipantUpdated(..)
        | RoomEvent::TrackUpdated(..)
        | RoomEvent::SubscriptionChanged(..)
        | RoomEvent::ActiveSpeakers(..) => return None,
    };
    let event = WebhookEvent {
        event,
        room: room.into(),
        participant: participant.map(|who| Participant::new(who, reason)),
        track: track.map(Into::into),
        id: format!("EV_{}", hex(&rand::random::<[u8; 8]>())),
        created_at: unix_seconds(SystemTime::now()),
        reason: reason.map(Reason::label),
        moderation: verdict,
    };
    serde_json::to_vec(&event).ok().map(Bytes::from)
}

/// The body for what became of a recording: not among LiveKit's messages, in their form.
pub(super) fn recording_body(event: &RecordingEvent) -> Option<Bytes> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct RoomName<'a> {
        sid: &'a str,
        name: &'a str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        event: &'static str,
        id: String,
        created_at: String,
        room: RoomName<'a>,
        recording: &'a str,
        mode: Mode,
        #[serde(skip_serializing_if = "Option::is_none")]
        url: Option<&'a str>,
        duration_ms: u64,
        bytes: u64,
        /// Who was there first.
        #[serde(skip_serializing_if = "Option::is_none")]
        participant: Option<&'a str>,
        reason: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        ends_call: Option<bool>,
    }
    let (name, url, ends_call) = match event {
        RecordingEvent::Started(_) => ("recording_started", None, None),
        RecordingEvent::Ready(_, url) => ("recording_ready", Some(url.as_str()), None),
        RecordingEvent::Aborted { ends_call, .. } => ("recording_aborted", None, Some(*ends_call)),
    };
    let manifest = event.manifest();
    let participant = manifest.participants.first();
    let body = Body {
        event: name,
        id: format!("EV_{}", hex(&rand::random::<[u8; 8]>())),
        created_at: unix_seconds(SystemTime::now()),
        room: RoomName {
            sid: &manifest.room_sid,
            name: &manifest.room,
        },
        recording: &manifest.id,
        mode: manifest.mode,
        url,
        duration_ms: manifest.duration_ms,
        bytes: manifest.bytes,
        participant: participant.map(|p| p.identity.as_str()),
        reason: manifest
            .reason
            .map(crosspoint_record::manifest::Reason::label),
        ends_call,
    };
    serde_json::to_vec(&body).ok().map(Bytes::from)
}

/// The `Authorization` header: a JWT that has the body's digest among its claims.
pub(super) fn sign(
    issuer: &str,
    secret: &Secret,
    body: &[u8],
) -> Result<String, jsonwebtoken::errors::Error> {
    #[derive(Serialize)]
    struct BodyClaims<'a> {
        iss: &'a str,
        nbf: u64,
        exp: u64,
        sha256: String,
    }
    let now = jsonwebtoken::get_current_timestamp();
    secret.sign(&BodyClaims {
        iss: issuer,
        nbf: now,
        exp: now + SIGNATURE_TTL_S,
        sha256: STANDARD.encode(Sha256::digest(body)),
    })
}

impl From<RoomInfo> for Room {
    fn from(room: RoomInfo) -> Self {
        Self {
            sid: room.sid,
            name: room.name.as_str().to_owned(),
            empty_timeout: room.settings.empty_timeout.as_secs(),
            departure_timeout: room.settings.departure_timeout.as_secs(),
            max_participants: room.settings.max_participants,
            creation_time: unix_seconds(room.created_at),
            metadata: room.settings.metadata,
            num_participants: room.num_participants,
            num_publishers: room.num_publishers,
        }
    }
}

impl Participant {
    fn new(who: ParticipantInfo, left: Option<Reason>) -> Self {
        Self {
            sid: who.sid,
            identity: who.identity.as_str().to_owned(),
            state: match (left, who.state) {
                (Some(_), _) => "DISCONNECTED",
                (None, ParticipantState::Joining) => "JOINED",
                (None, ParticipantState::Active | ParticipantState::Interrupted) => "ACTIVE",
            },
            name: who.name,
            metadata: who.metadata,
            attributes: who.attributes,
            joined_at: unix_seconds(who.joined_at),
            permission: who.permissions.into(),
            is_publisher: !who.tracks.is_empty(),
            tracks: who.tracks.into_iter().map(Into::into).collect(),
            disconnect_reason: left.map(disconnect_reason),
        }
    }
}

impl From<Permissions> for Permission {
    fn from(permissions: Permissions) -> Self {
        let sources = permissions.can_publish_sources;
        Self {
            can_subscribe: permissions.can_subscribe,
            can_publish: permissions.can_publish,
            can_publish_data: permissions.can_publish_data,
            can_publish_sources: sources.into_iter().map(source).collect(),
            can_update_metadata: permissions.can_update_own_metadata,
            hidden: permissions.hidden,
        }
    }
}

impl From<TrackInfo> for Track {
    fn from(track: TrackInfo) -> Self {
        let kind = match track.kind {
            MediaKind::Audio => "AUDIO",
            MediaKind::Video => "VIDEO",
        };
        let mime_type = |codec: Codec| format!("{}/{}", kind.to_ascii_lowercase(), codec.name());
        Self {
            sid: track.sid.0,
            kind,
            name: track.name,
            muted: track.muted,
            width: track.width,
            height: track.height,
            simulcast: track.simulcast,
            source: source(track.source),
            mime_type: track.codec.map(mime_type).unwrap_or_default(),
            mid: track.mid,
        }
    }
}

/// LiveKit's `TrackSource`.
const fn source(source: TrackSource) -> &'static str {
    match source {
        TrackSource::Microphone => "MICROPHONE",
        TrackSource::Camera => "CAMERA",
        TrackSource::ScreenShare => "SCREEN_SHARE",
        TrackSource::ScreenShareAudio => "SCREEN_SHARE_AUDIO",
        TrackSource::Other => "UNKNOWN",
    }
}

/// LiveKit's `DisconnectReason` that comes nearest.
const fn disconnect_reason(reason: Reason) -> &'static str {
    match reason {
        Reason::ClientLeft | Reason::PeerClosed => "CLIENT_INITIATED",
        Reason::DuplicateIdentity => "DUPLICATE_IDENTITY",
        Reason::Kicked => "PARTICIPANT_REMOVED",
        Reason::RoomDeleted => "ROOM_DELETED",
        Reason::Empty => "ROOM_CLOSED",
        Reason::SignalLost | Reason::SlowClient => "SIGNAL_CLOSE",
        Reason::ConsentExpired | Reason::ConnectTimeout => "CONNECTION_TIMEOUT",
        Reason::FingerprintMismatch | Reason::DtlsFailed => "JOIN_FAILURE",
        Reason::WorkerFailed | Reason::RecordingFailed => "MEDIA_FAILURE",
        Reason::ServerShutdown => "SERVER_SHUTDOWN",
        Reason::Moved => "MIGRATION",
    }
}

fn unix_seconds(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
