//! JSON as callers read and write it, and its translation to and from the control plane's types.
//!
//! Written by hand on purpose: what is in the JSON is a contract of its own, and a change of a
//! control type shall not change it unnoticed.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crosspoint_control::api::{Answer, ParticipantPatch, RoomPatch};
use crosspoint_control::model::{
    Identity, ParticipantInfo, ParticipantState, Permissions, RecordMode, RecordWhen,
    RecordingPolicy, RoomInfo, RoomSettings, SlotInfo, SubscriptionWish, TrackInfo,
};
use crosspoint_media::config::TrackSource;
use crosspoint_wire::codec::MediaKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::quality::{LimitDto, PolicyDto};
use super::recordings::ModeDto;

/// A room.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoomDto {
    name: String,
    /// Id of this occurrence of the room.
    sid: String,
    metadata: String,
    empty_timeout_s: u64,
    departure_timeout_s: u64,
    /// 0: no limit.
    max_participants: u32,
    /// How many of the loudest speakers are forwarded; 0: all.
    top_audio: u8,
    policy: PolicyDto,
    recording: RecordingPolicyDto,
    /// RFC 3339.
    created_at: String,
    num_participants: u32,
    num_publishers: u32,
    active_speakers: Vec<String>,
}

/// A participant.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ParticipantDto {
    identity: String,
    /// Id of this stay.
    sid: String,
    name: String,
    metadata: String,
    attributes: BTreeMap<String, String>,
    permissions: PermissionsDto,
    state: StateDto,
    /// RFC 3339.
    joined_at: String,
    tracks: Vec<TrackDto>,
}

/// What a participant may do.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PermissionsDto {
    can_publish: bool,
    /// Empty: all.
    can_publish_sources: Vec<SourceDto>,
    can_subscribe: bool,
    can_publish_data: bool,
    can_update_own_metadata: bool,
    hidden: bool,
}

/// Whether a participant's media is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StateDto {
    Joining,
    Active,
    Interrupted,
}

/// A track.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TrackDto {
    #[schema(example = "TR_4fK2pQz81xYa")]
    sid: String,
    kind: KindDto,
    source: SourceDto,
    name: String,
    muted: bool,
    /// `null` before the first packet.
    #[schema(example = "VP8")]
    codec: Option<&'static str>,
    simulcast: bool,
    /// m-line in its publisher's session.
    mid: String,
    /// Pixels; 0 when unknown.
    width: u32,
    height: u32,
}

/// What carries a slot.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct SlotDto {
    mid: String,
    kind: KindDto,
    feed: Option<FeedDto>,
}

/// What feeds a slot.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct FeedDto {
    track: String,
    identity: String,
}

/// Audio or video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum KindDto {
    Audio,
    Video,
}

/// What a track shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SourceDto {
    Microphone,
    Camera,
    ScreenShare,
    ScreenShareAudio,
    Other,
}

/// An answer to an offer.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct AnswerDto {
    sdp: String,
    tracks: Vec<TrackDto>,
    slots: Vec<SlotDto>,
}

/// A new room.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CreateRoomDto {
    /// 1 to 128 characters.
    #[schema(example = "demo")]
    pub(crate) name: String,
    /// At most 64 KiB.
    metadata: Option<String>,
    /// How long it is kept when nobody ever joins; default 300.
    empty_timeout_s: Option<u64>,
    /// How long it is kept after the last participant left; default 20.
    departure_timeout_s: Option<u64>,
    /// Default 0: no limit.
    max_participants: Option<u32>,
    /// How many of the loudest speakers are forwarded; 0: all. Default 3.
    top_audio: Option<u8>,
    /// Bounds on the quality of what its participants receive.
    policy: Option<PolicyDto>,
    /// Whether and how it is recorded. Default: on demand.
    recording: Option<RecordingPolicyDto>,
}

/// Whether and how a room is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct RecordingPolicyDto {
    when: RecordWhenDto,
    mode: ModeDto,
    /// Whether the room ends when its recording fails.
    end_on_failure: bool,
}

/// When a room is recorded: never, whoever asks; when it is asked for; from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
enum RecordWhenDto {
    Off,
    #[default]
    OnDemand,
    Always,
}

/// Settings of a room; those left out stay as they are.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RoomSettingsDto {
    /// At most 64 KiB.
    metadata: Option<String>,
    empty_timeout_s: Option<u64>,
    departure_timeout_s: Option<u64>,
    max_participants: Option<u32>,
    top_audio: Option<u8>,
    /// All of the policy anew.
    policy: Option<PolicyDto>,
    recording: Option<RecordingPolicyDto>,
}

/// Changes to a participant; what is left out stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ParticipantPatchDto {
    name: Option<String>,
    metadata: Option<String>,
    /// Pairs to set; an empty value removes the pair.
    attributes: Option<BTreeMap<String, String>>,
    pub(crate) permissions: Option<PermissionsPatchDto>,
    /// All of its own policy anew; `{}` lifts it.
    policy: Option<PolicyDto>,
}

/// Changes to permissions; what is left out stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PermissionsPatchDto {
    can_publish: Option<bool>,
    can_publish_sources: Option<Vec<SourceDto>>,
    can_subscribe: Option<bool>,
    can_publish_data: Option<bool>,
    can_update_own_metadata: Option<bool>,
    hidden: Option<bool>,
}

/// What a participant wants of a track.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WishDto {
    pub(crate) wanted: bool,
    #[serde(default)]
    pub(crate) largest: LimitDto,
}

impl From<RoomInfo> for RoomDto {
    fn from(room: RoomInfo) -> Self {
        Self {
            name: room.name.as_str().to_owned(),
            sid: room.sid,
            metadata: room.settings.metadata,
            empty_timeout_s: room.settings.empty_timeout.as_secs(),
            departure_timeout_s: room.settings.departure_timeout.as_secs(),
            max_participants: room.settings.max_participants,
            top_audio: room.settings.top_audio,
            policy: room.settings.policy.into(),
            recording: room.settings.recording.into(),
            created_at: timestamp(room.created_at),
            num_participants: room.num_participants,
            num_publishers: room.num_publishers,
            active_speakers: identities(&room.active_speakers),
        }
    }
}

impl From<ParticipantInfo> for ParticipantDto {
    fn from(participant: ParticipantInfo) -> Self {
        Self {
            identity: participant.identity.as_str().to_owned(),
            sid: participant.sid,
            name: participant.name,
            metadata: participant.metadata,
            attributes: participant.attributes,
            permissions: participant.permissions.into(),
            state: match participant.state {
                ParticipantState::Joining => StateDto::Joining,
                ParticipantState::Active => StateDto::Active,
                ParticipantState::Interrupted => StateDto::Interrupted,
            },
            joined_at: timestamp(participant.joined_at),
            tracks: all(participant.tracks),
        }
    }
}

impl From<Permissions> for PermissionsDto {
    fn from(permissions: Permissions) -> Self {
        Self {
            can_publish: permissions.can_publish,
            can_publish_sources: all(permissions.can_publish_sources),
            can_subscribe: permissions.can_subscribe,
            can_publish_data: permissions.can_publish_data,
            can_update_own_metadata: permissions.can_update_own_metadata,
            hidden: permissions.hidden,
        }
    }
}

impl From<TrackInfo> for TrackDto {
    fn from(track: TrackInfo) -> Self {
        Self {
            sid: track.sid.0,
            kind: track.kind.into(),
            source: track.source.into(),
            name: track.name,
            muted: track.muted,
            codec: track.codec.map(crosspoint_wire::codec::Codec::name),
            simulcast: track.simulcast,
            mid: track.mid,
            width: track.width,
            height: track.height,
        }
    }
}

impl From<SlotInfo> for SlotDto {
    fn from(slot: SlotInfo) -> Self {
        Self {
            mid: slot.mid,
            kind: slot.kind.into(),
            feed: slot.feed.map(|(track, identity)| FeedDto {
                track: track.0,
                identity: identity.as_str().to_owned(),
            }),
        }
    }
}

impl From<Answer> for AnswerDto {
    fn from(answer: Answer) -> Self {
        Self {
            sdp: answer.sdp,
            tracks: all(answer.tracks),
            slots: all(answer.slots),
        }
    }
}

impl From<MediaKind> for KindDto {
    fn from(kind: MediaKind) -> Self {
        match kind {
            MediaKind::Audio => Self::Audio,
            MediaKind::Video => Self::Video,
        }
    }
}

impl From<TrackSource> for SourceDto {
    fn from(source: TrackSource) -> Self {
        match source {
            TrackSource::Microphone => Self::Microphone,
            TrackSource::Camera => Self::Camera,
            TrackSource::ScreenShare => Self::ScreenShare,
            TrackSource::ScreenShareAudio => Self::ScreenShareAudio,
            TrackSource::Other => Self::Other,
        }
    }
}

impl From<SourceDto> for TrackSource {
    fn from(source: SourceDto) -> Self {
        match source {
            SourceDto::Microphone => Self::Microphone,
            SourceDto::Camera => Self::Camera,
            SourceDto::ScreenShare => Self::ScreenShare,
            SourceDto::ScreenShareAudio => Self::ScreenShareAudio,
            SourceDto::Other => Self::Other,
        }
    }
}

impl From<CreateRoomDto> for RoomSettings {
    fn from(dto: CreateRoomDto) -> Self {
        let default = Self::default();
        Self {
            metadata: dto.metadata.unwrap_or(default.metadata),
            empty_timeout: dto.empty_timeout_s.map_or(default.empty_timeout, seconds),
            departure_timeout: dto
                .departure_timeout_s
                .map_or(default.departure_timeout, seconds),
            max_participants: dto.max_participants.unwrap_or(default.max_participants),
            top_audio: dto.top_audio.unwrap_or(default.top_audio),
            policy: dto.policy.map_or(default.policy, Into::into),
            recording: dto.recording.map_or(default.recording, Into::into),
        }
    }
}

impl From<RoomSettingsDto> for RoomPatch {
    fn from(dto: RoomSettingsDto) -> Self {
        Self {
            metadata: dto.metadata,
            empty_timeout: dto.empty_timeout_s.map(seconds),
            departure_timeout: dto.departure_timeout_s.map(seconds),
            max_participants: dto.max_participants,
            top_audio: dto.top_audio,
            policy: dto.policy.map(Into::into),
            recording: dto.recording.map(Into::into),
        }
    }
}

impl From<RecordingPolicy> for RecordingPolicyDto {
    fn from(policy: RecordingPolicy) -> Self {
        Self {
            when: match policy.when {
                RecordWhen::Off => RecordWhenDto::Off,
                RecordWhen::OnDemand => RecordWhenDto::OnDemand,
                RecordWhen::Always => RecordWhenDto::Always,
            },
            mode: match policy.mode {
                RecordMode::Individual => ModeDto::Individual,
                RecordMode::Call => ModeDto::Call,
                RecordMode::Mixed => ModeDto::Mixed,
            },
            end_on_failure: policy.end_on_failure,
        }
    }
}

impl From<RecordingPolicyDto> for RecordingPolicy {
    fn from(dto: RecordingPolicyDto) -> Self {
        Self {
            when: match dto.when {
                RecordWhenDto::Off => RecordWhen::Off,
                RecordWhenDto::OnDemand => RecordWhen::OnDemand,
                RecordWhenDto::Always => RecordWhen::Always,
            },
            mode: match dto.mode {
                ModeDto::Individual => RecordMode::Individual,
                ModeDto::Call => RecordMode::Call,
                ModeDto::Mixed => RecordMode::Mixed,
            },
            end_on_failure: dto.end_on_failure,
        }
    }
}

impl ParticipantPatchDto {
    /// The change, given the permissions that hold now.
    pub(crate) fn onto(self, permissions: Option<Permissions>) -> ParticipantPatch {
        let change = self.permissions.unwrap_or_default();
        ParticipantPatch {
            name: self.name,
            metadata: self.metadata,
            attributes: self.attributes,
            permissions: permissions.map(|now| change.onto(now)),
            policy: self.policy.map(Into::into),
        }
    }
}

impl PermissionsPatchDto {
    fn onto(self, now: Permissions) -> Permissions {
        Permissions {
            can_publish: self.can_publish.unwrap_or(now.can_publish),
            can_publish_sources: self
                .can_publish_sources
                .map_or(now.can_publish_sources, all),
            can_subscribe: self.can_subscribe.unwrap_or(now.can_subscribe),
            can_publish_data: self.can_publish_data.unwrap_or(now.can_publish_data),
            can_update_own_metadata: self
                .can_update_own_metadata
                .unwrap_or(now.can_update_own_metadata),
            hidden: self.hidden.unwrap_or(now.hidden),
        }
    }
}

impl From<WishDto> for SubscriptionWish {
    fn from(wish: WishDto) -> Self {
        Self {
            wanted: wish.wanted,
            largest: wish.largest.into(),
        }
    }
}

/// Translates each.
pub(crate) fn all<T, D: From<T>>(items: Vec<T>) -> Vec<D> {
    items.into_iter().map(D::from).collect()
}

/// A time as in RFC 3339, to the millisecond.
fn timestamp(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

fn identities(list: &[Identity]) -> Vec<String> {
    list.iter().map(|i| i.as_str().to_owned()).collect()
}

/// Longer than a year means for ever, and keeps arithmetic with it from overflowing.
fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds.min(366 * 86_400))
}
