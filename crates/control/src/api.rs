//! The one door to rooms.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use crosspoint_media::config::{PayloadConfig, RelayId, SessionId, TrackSource};
use crosspoint_media::inspect::Keyframe;
use crosspoint_media::tap::TapDoor;
use tokio::sync::{broadcast, mpsc};

pub use crate::error::{ControlError, OfferProblem};
use crate::model::{
    Identity, ParticipantInfo, Permissions, Reason, RecordingPolicy, RoomInfo, RoomName,
    RoomSettings, SlotInfo, SubscriptionWish, TrackInfo, TrackSid,
};
use crate::quality::{EncodingsWanted, QualityPolicy, SubscriptionChange, SubscriptionReport};
use crate::report::RoomReport;
use crate::shared::SharedEvent;

/// Everything that may be done with rooms. Implemented by [`Service`](crate::service::Service).
#[async_trait]
pub trait RoomControl: Send + Sync + 'static {
    /// Makes a room, or returns the one that has this name with its settings untouched.
    async fn create_room(
        &self,
        name: RoomName,
        settings: RoomSettings,
    ) -> Result<RoomInfo, ControlError>;
    /// All rooms, by name.
    async fn rooms(&self) -> Result<Vec<RoomInfo>, ControlError>;
    /// One room.
    async fn room(&self, room: &RoomName) -> Result<RoomInfo, ControlError>;
    /// Changes settings; `None` leaves one as it is.
    async fn update_room(
        &self,
        room: &RoomName,
        patch: RoomPatch,
    ) -> Result<RoomInfo, ControlError>;
    /// Ends a room: everyone in it is told and disconnected.
    async fn delete_room(&self, room: &RoomName, reason: Reason) -> Result<(), ControlError>;

    /// Participants of a room, hidden ones included, in the order in which they joined.
    async fn participants(&self, room: &RoomName) -> Result<Vec<ParticipantInfo>, ControlError>;
    /// One participant.
    async fn participant(
        &self,
        room: &RoomName,
        identity: &Identity,
    ) -> Result<ParticipantInfo, ControlError>;
    /// Changes permissions, metadata, name, attributes. Permissions take effect at once: what
    /// may no longer be published stops, what may no longer be received stops.
    async fn update_participant(
        &self,
        room: &RoomName,
        identity: &Identity,
        patch: ParticipantPatch,
    ) -> Result<ParticipantInfo, ControlError>;
    /// Ends a participant's stay (kick).
    async fn remove_participant(
        &self,
        room: &RoomName,
        identity: &Identity,
        reason: Reason,
    ) -> Result<(), ControlError>;
    /// Moves a participant to another room without rejoining; the room is made if need be.
    async fn move_participant(
        &self,
        room: &RoomName,
        identity: &Identity,
        to: &RoomName,
    ) -> Result<(), ControlError>;
    /// Feeds a participant's tracks (all present and future ones) into another room as well, until
    /// somebody joins there with the same identity. Refused when somebody has.
    async fn forward_participant(
        &self,
        room: &RoomName,
        identity: &Identity,
        to: &RoomName,
    ) -> Result<(), ControlError>;

    /// Takes that back: the participant's tracks are not seen in the other room any more. Nothing
    /// happens when they were not.
    async fn stop_forwarding(
        &self,
        room: &RoomName,
        identity: &Identity,
        to: &RoomName,
    ) -> Result<(), ControlError>;
    /// Says who receives a participant's tracks: `None`: everyone who may. Somebody hidden is heard
    /// by an audience only, and shown to nobody else. Takes effect at once.
    async fn set_audience(
        &self,
        room: &RoomName,
        identity: &Identity,
        audience: Option<Vec<Identity>>,
    ) -> Result<(), ControlError>;
    /// Mutes or unmutes a track. A track is muted when its owner or the server wants it so.
    async fn set_track_muted(
        &self,
        room: &RoomName,
        track: &TrackSid,
        by: MutedBy,
        muted: bool,
    ) -> Result<TrackInfo, ControlError>;
    /// Says what a participant wants of a track.
    async fn set_subscription(
        &self,
        room: &RoomName,
        identity: &Identity,
        track: &TrackSid,
        wish: SubscriptionWish,
    ) -> Result<(), ControlError>;
    /// Why a participant's picture of a track is as it is: what there is, what is asked, decided
    /// and flowing, and what keeps it from being better.
    async fn explain(
        &self,
        room: &RoomName,
        identity: &Identity,
        track: &TrackSid,
    ) -> Result<SubscriptionReport, ControlError>;
    /// Sends an application message to a room or some of its participants.
    async fn send_message(&self, room: &RoomName, message: Message) -> Result<(), ControlError>;

    /// Brings a participant into a room. The room is made if need be (when `create_room` of the
    /// request allows it); an earlier stay of the same identity ends with `duplicate_identity`.
    async fn join(&self, request: JoinRequest) -> Result<Joined, ControlError>;
    /// Whether somebody who joins with these permissions would get an answer to this first offer.
    /// To be asked before joining, so that a bad offer ends no earlier stay of the same identity.
    /// Changes nothing.
    async fn check_offer(
        &self,
        permissions: &Permissions,
        offer: &Offer,
    ) -> Result<(), ControlError>;
    /// Takes a session's offer (first or later) and answers it.
    async fn offer(&self, session: SessionId, offer: Offer) -> Result<Answer, ControlError>;
    /// ICE restart without a full offer (WHIP's PATCH, RFC 9725 §4.3.3): takes the peer's new
    /// credentials, returns ours.
    async fn restart_ice(
        &self,
        session: SessionId,
        ufrag: String,
        pwd: String,
    ) -> Result<IceRestart, ControlError>;
    /// Ends a session and its participant's stay.
    async fn leave(&self, session: SessionId, reason: Reason) -> Result<(), ControlError>;

    /// What is measured in a room now: totals, of which two reports make rates.
    async fn room_report(&self, room: &RoomName) -> Result<RoomReport, ControlError>;
    /// The newest keyframe of a track. If there is none as young as `age_max`, its publisher is asked
    /// for one; `None` when none came within `patience`.
    async fn keyframe(
        &self,
        room: &RoomName,
        track: &TrackSid,
        age_max: Duration,
        patience: Duration,
    ) -> Result<Option<Keyframe>, ControlError>;
    /// Has the packets of all tracks of a room, present and future ones, brought to a recorder's
    /// door, until the tap is closed or the room ends. Who forwards into the room is heard, too.
    async fn open_tap(&self, room: &RoomName, door: TapDoor) -> Result<Tap, ControlError>;
    /// Ends a tap.
    async fn close_tap(&self, tap: TapId);
    /// Asks the publisher of a tapped track for a keyframe.
    async fn request_keyframe(&self, tap: TapId, relay: RelayId);

    /// Announces what somebody outside thinks of a track's pictures. Nothing else follows from it.
    async fn note_verdict(
        &self,
        room: &RoomName,
        track: &TrackSid,
        verdict: Verdict,
    ) -> Result<(), ControlError>;

    /// Everything that happens in all rooms, for SSE and webhooks. A receiver that lags loses the
    /// oldest and is told how many.
    fn events(&self) -> broadcast::Receiver<RoomEvent>;
    /// Whose media is up and whose is not, hidden participants included: for layers above that
    /// decide on it, never for clients. Lags as [`Self::events`] does.
    fn presence(&self) -> broadcast::Receiver<Presence>;
    /// Refuses further joins (graceful stop) and tells everyone.
    async fn drain(&self);
    /// Named gauges and counters for metrics, e.g. `("rooms", 2.0)`; names are stable.
    async fn metrics(&self) -> Vec<(String, f64)>;
}

/// Who wants a track muted. It flows when neither does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MutedBy {
    /// The participant that publishes it.
    Owner,
    /// An API call.
    Server,
}

/// Changes to a room; `None` leaves as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomPatch {
    /// See [`RoomSettings::metadata`].
    pub metadata: Option<String>,
    /// See [`RoomSettings::empty_timeout`].
    pub empty_timeout: Option<Duration>,
    /// See [`RoomSettings::departure_timeout`].
    pub departure_timeout: Option<Duration>,
    /// See [`RoomSettings::max_participants`].
    pub max_participants: Option<u32>,
    /// See [`RoomSettings::top_audio`].
    pub top_audio: Option<u8>,
    /// All of the policy anew.
    pub policy: Option<QualityPolicy>,
    /// See [`RoomSettings::recording`].
    pub recording: Option<RecordingPolicy>,
}

/// Changes to a participant; `None` leaves as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParticipantPatch {
    /// Name to show.
    pub name: Option<String>,
    /// Free text.
    pub metadata: Option<String>,
    /// Pairs to set; an empty value removes the pair.
    pub attributes: Option<BTreeMap<String, String>>,
    /// All permissions anew.
    pub permissions: Option<Permissions>,
    /// All of the policy anew.
    pub policy: Option<QualityPolicy>,
}

/// An application message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who says it; `None`: the server.
    pub from: Option<Identity>,
    /// To whom; empty: everyone in the room but the sender.
    pub to: Vec<Identity>,
    /// What it is about; at most 128 bytes, may be empty.
    pub topic: String,
    /// At most 64 KiB.
    pub payload: Bytes,
    /// Whether `payload` is text.
    pub text: bool,
    /// Whether it may not be lost. Unreliable ones go by data channel only.
    pub reliable: bool,
}

/// How application messages look on data channels. This crate moves them; what they look like is
/// the matter of who also speaks to clients by other ways.
pub trait MessageCodec: Send + Sync + 'static {
    /// The bytes for a client, and whether they are text.
    fn encode(&self, message: &Message) -> (Bytes, bool);
    /// What a client sent: `to`, `topic`, `payload` and `text` are taken from it. `None` if it
    /// cannot be understood; it is counted and dropped.
    fn decode(&self, payload: &Bytes, text: bool) -> Option<Message>;
}

/// A verified wish to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// Which room.
    pub room: RoomName,
    /// As whom.
    pub identity: Identity,
    /// Name to show.
    pub name: String,
    /// Free text.
    pub metadata: String,
    /// Pairs.
    pub attributes: BTreeMap<String, String>,
    /// What is allowed.
    pub permissions: Permissions,
    /// Whether the room may be made by joining.
    pub create_room: bool,
    /// Whether tracks are subscribed without being asked for.
    pub auto_subscribe: bool,
    /// Only tracks of this participant are received (WHEP `?participant=`).
    pub only: Option<Identity>,
}

/// The outcome of a join.
#[derive(Debug)]
pub struct Joined {
    /// The session, for later calls.
    pub session: SessionId,
    /// Itself.
    pub participant: ParticipantInfo,
    /// The room.
    pub room: RoomInfo,
    /// The others (hidden ones left out).
    pub others: Vec<ParticipantInfo>,
    /// What happens from now on, for this participant's eyes. Bounded: when its reader falls
    /// 1024 events behind, the session is closed with `slow_client`. Ends after
    /// [`SessionEvent::Ended`].
    pub events: mpsc::Receiver<SharedEvent>,
}

/// An SDP offer and what its m-lines mean.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Offer {
    /// SDP text, at most 256 KiB, 64 m-lines, 200 candidates.
    pub sdp: String,
    /// What the sending m-lines carry. One that is not described here is published as camera or
    /// microphone by its kind (so WHIP needs no description).
    pub tracks: Vec<TrackDescription>,
}

/// What a sending m-line carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackDescription {
    /// The m-line.
    pub mid: String,
    /// What it shows.
    pub source: TrackSource,
    /// Name for applications.
    pub name: String,
    /// Starts muted.
    pub muted: bool,
    /// Size in pixels; 0 when unknown.
    pub width: u32,
    /// See `width`.
    pub height: u32,
}

/// The answer to an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// SDP text with all candidates in it.
    pub sdp: String,
    /// Tracks that the session now publishes, in m-line order.
    pub tracks: Vec<TrackInfo>,
    /// The session's slots, in m-line order.
    pub slots: Vec<SlotInfo>,
}

/// Our side of an ICE restart.
#[derive(Clone, PartialEq, Eq)]
pub struct IceRestart {
    /// Our new user fragment.
    pub ufrag: String,
    /// Our new password.
    pub pwd: String,
    /// `a=candidate` values, without the `a=`.
    pub candidates: Vec<String>,
}

/// What a participant is told.
#[derive(Clone, Debug, PartialEq)]
pub enum SessionEvent {
    /// Its media came up.
    Connected,
    /// No sign of life on its media path (`true`), or signs again.
    Interrupted(bool),
    /// Another participant came.
    ParticipantJoined(ParticipantInfo),
    /// Another participant changed (name, metadata, attributes, permissions, state); also itself.
    ParticipantUpdated(ParticipantInfo),
    /// Another participant left.
    ParticipantLeft(Identity, Reason),
    /// Somebody else's track appeared.
    TrackPublished(Identity, TrackInfo),
    /// Somebody else's track changed (muted, codec known).
    TrackUpdated(Identity, TrackInfo),
    /// Somebody else's track is gone.
    TrackUnpublished(Identity, TrackSid),
    /// The server mutes one of its own tracks now, or does not any more, whatever its owner does.
    OwnTrackMuted(TrackSid, bool),
    /// Some of its slots carry something else now (only those are listed).
    Slots(Vec<SlotInfo>),
    /// A picture that it receives is shown in another size than before, or not at all.
    SubscriptionChanged(SubscriptionChange),
    /// Which encodings of one of its own tracks anybody wants; the others need not be sent.
    EncodingsWanted(EncodingsWanted),
    /// Who speaks: identity and loudness 0.0 (silence) to 1.0; loudest first.
    ActiveSpeakers(Vec<(Identity, f32)>),
    /// The room's settings changed.
    RoomUpdated(RoomInfo),
    /// It was moved to another room: the new room and who is there.
    Moved(RoomInfo, Vec<ParticipantInfo>),
    /// An application message.
    Message(Message),
    /// The server refuses joins and will stop; it is well to reconnect elsewhere.
    Draining,
    /// Its stay has ended. The last event.
    Ended(Reason),
}

/// A tap, unique on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TapId(pub u64);

/// An open tap of a room.
#[derive(Debug)]
pub struct Tap {
    /// For later calls.
    pub id: TapId,
    /// Which tracks there are. Bounded: when its reader falls 1024 events behind, the tap is closed
    /// and the events end without [`TapEvent::Ended`].
    pub events: mpsc::Receiver<TapEvent>,
}

/// What becomes of the tracks of a tapped room.
#[derive(Clone, Debug, PartialEq)]
pub enum TapEvent {
    /// A track is there, or has changed: told before its first packet comes.
    Track(Box<TapTrack>),
    /// A track is gone.
    Gone(RelayId),
    /// The room has ended. The last event.
    Ended(Reason),
}

/// A track of a tapped room.
#[derive(Clone, Debug, PartialEq)]
pub struct TapTrack {
    /// By which its packets are known.
    pub relay: RelayId,
    /// Whose it is.
    pub participant: ParticipantInfo,
    /// The track.
    pub track: TrackInfo,
    /// Formats that it may have.
    pub payloads: Vec<PayloadConfig>,
}

/// Something that happened, for SSE and webhooks.
#[derive(Clone, Debug, PartialEq)]
pub enum RoomEvent {
    /// A room was made.
    RoomStarted(RoomInfo),
    /// A room's settings changed.
    RoomUpdated(RoomInfo),
    /// A room ended.
    RoomFinished(RoomInfo, Reason),
    /// A participant came.
    ParticipantJoined(RoomInfo, ParticipantInfo),
    /// A participant changed.
    ParticipantUpdated(RoomInfo, ParticipantInfo),
    /// A participant left.
    ParticipantLeft(RoomInfo, ParticipantInfo, Reason),
    /// A track appeared.
    TrackPublished(RoomInfo, ParticipantInfo, TrackInfo),
    /// A track was muted or unmuted.
    TrackUpdated(RoomInfo, ParticipantInfo, TrackInfo),
    /// A track is gone.
    TrackUnpublished(RoomInfo, ParticipantInfo, TrackInfo),
    /// A participant's picture is shown in another size than before, or not at all.
    SubscriptionChanged(RoomName, Identity, SubscriptionChange),
    /// A picture of a track was judged.
    Judged(RoomInfo, ParticipantInfo, TrackInfo, Verdict),
    /// Who speaks changed.
    ActiveSpeakers(RoomName, Vec<(Identity, f32)>),
}

/// A change of somebody's media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Where.
    pub room: RoomName,
    /// Whose.
    pub identity: Identity,
    /// What it is now.
    pub state: PresenceState,
}

/// How somebody's media stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PresenceState {
    /// Up, for the first time or again.
    Up,
    /// No sign of life.
    Interrupted,
    /// The participant has left.
    Gone(Reason),
}

/// What somebody outside thinks of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// One word, e.g. `reject`.
    pub verdict: String,
    /// Everything that was said, in the form in which it was said.
    pub details: String,
}
