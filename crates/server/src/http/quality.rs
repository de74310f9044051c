//! Quality as it stands in JSON: limits, policies, changes, and why a picture is as it is.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use crosspoint_control::quality::{
    EncodingsWanted, QualityPolicy, QualityReason, SubscriptionChange, SubscriptionReport,
};
use crosspoint_media::config::{LayerLimit, Policy};
use crosspoint_media::explain::{AvailableLayer, Choice, Switch};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::path::{Path, SubscriptionPath};
use super::problem::{Problem, ProblemDto};
use crate::app::App;
use crate::auth::extract::Authenticated;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(explain))
}

/// A bound on quality: `"best"` (or `"large"`), `"small"`, a layer from 0, or the size in pixels
/// of the tile that is to be filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum LimitDto {
    Named(NamedLayerDto),
    Spatial(u8),
    Size(SizeDto),
}

/// A layer by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum NamedLayerDto {
    #[serde(alias = "large")]
    Best,
    Small,
}

/// A size in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SizeDto {
    width: u16,
    height: u16,
}

impl Default for LimitDto {
    fn default() -> Self {
        Self::Named(NamedLayerDto::Best)
    }
}

impl From<LimitDto> for LayerLimit {
    fn from(limit: LimitDto) -> Self {
        match limit {
            LimitDto::Named(NamedLayerDto::Best) => Self::Best,
            LimitDto::Named(NamedLayerDto::Small) => Self::Small,
            LimitDto::Spatial(layer) => Self::Spatial(layer),
            LimitDto::Size(SizeDto { width, height }) => Self::Size { width, height },
        }
    }
}

impl From<LayerLimit> for LimitDto {
    fn from(limit: LayerLimit) -> Self {
        match limit {
            LayerLimit::Best => Self::Named(NamedLayerDto::Best),
            LayerLimit::Small => Self::Named(NamedLayerDto::Small),
            LayerLimit::Spatial(layer) => Self::Spatial(layer),
            LayerLimit::Size { width, height } => Self::Size(SizeDto { width, height }),
        }
    }
}

impl From<(u16, u16)> for SizeDto {
    fn from((width, height): (u16, u16)) -> Self {
        Self { width, height }
    }
}

/// Bounds on the quality of what is received. A participant's go before its room's; what neither
/// says is as by default. Given as a whole: what is left out is not bounded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct PolicyDto {
    /// Never less than this while the track flows, however little the link carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    floor: Option<LimitDto>,
    /// Never more than this, whatever is wished.
    #[serde(skip_serializing_if = "Option::is_none")]
    ceiling: Option<LimitDto>,
    /// Just this, before floor and ceiling.
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<LimitDto>,
    /// Of a participant: how important the pictures are that it publishes, where a viewer's link
    /// does not carry all. Default: 1, and 2 for shared screens.
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    /// Smallest time in ms from becoming worse for want of bandwidth to becoming better. Default
    /// 2000.
    #[serde(skip_serializing_if = "Option::is_none")]
    dwell_up_ms: Option<u32>,
    /// Smallest time in ms from becoming better to becoming worse for want of bandwidth. Default
    /// 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    dwell_down_ms: Option<u32>,
    /// Whether pictures may be left out when the link does not carry the smallest. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    audio_only: Option<bool>,
}

impl From<PolicyDto> for QualityPolicy {
    fn from(policy: PolicyDto) -> Self {
        let time = |ms: u32| Duration::from_millis(ms.into());
        Self {
            floor: policy.floor.map(Into::into),
            ceiling: policy.ceiling.map(Into::into),
            lock: policy.lock.map(Into::into),
            priority: policy.priority,
            dwell_up: policy.dwell_up_ms.map(time),
            dwell_down: policy.dwell_down_ms.map(time),
            audio_only: policy.audio_only,
        }
    }
}

impl From<QualityPolicy> for PolicyDto {
    fn from(policy: QualityPolicy) -> Self {
        Self {
            floor: policy.floor.map(Into::into),
            ceiling: policy.ceiling.map(Into::into),
            lock: policy.lock.map(Into::into),
            priority: policy.priority,
            dwell_up_ms: policy.dwell_up.map(millis),
            dwell_down_ms: policy.dwell_down.map(millis),
            audio_only: policy.audio_only,
        }
    }
}

/// The policy that holds, with nothing left open.
impl From<Policy> for PolicyDto {
    fn from(policy: Policy) -> Self {
        Self {
            floor: Some(policy.floor.into()),
            ceiling: Some(policy.ceiling.into()),
            lock: None,
            priority: None,
            dwell_up_ms: Some(millis(policy.dwell_up)),
            dwell_down_ms: Some(millis(policy.dwell_down)),
            audio_only: Some(policy.audio_only),
        }
    }
}

/// What keeps a picture from being better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QualityReasonDto {
    /// The subscriber's link carries no more.
    Bandwidth,
    /// The room's or the participant's policy.
    Policy,
    /// The publisher sends nothing, or the track is muted.
    PublisherPaused,
    /// The publisher does not send a better layer, though it is wanted.
    LayerMissing,
    /// A better layer is decided; its next keyframe is awaited.
    KeyframeWait,
    /// The subscriber asked for no more.
    Size,
    /// The subscriber's session did not negotiate the dependency descriptor, which a better layer
    /// of the stream needs.
    Unsupported,
}

impl From<QualityReason> for QualityReasonDto {
    fn from(reason: QualityReason) -> Self {
        match reason {
            QualityReason::Bandwidth => Self::Bandwidth,
            QualityReason::Policy => Self::Policy,
            QualityReason::PublisherPaused => Self::PublisherPaused,
            QualityReason::LayerMissing => Self::LayerMissing,
            QualityReason::KeyframeWait => Self::KeyframeWait,
            QualityReason::Size => Self::Size,
            QualityReason::Unsupported => Self::Unsupported,
        }
    }
}

/// A picture is shown in another size than before, or not at all.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct SubscriptionChangeDto {
    track: String,
    /// Whose track it is.
    publisher: String,
    /// `null`: nothing is shown, only sound is left.
    quality: Option<ShownQualityDto>,
    /// What began to limit the picture, or ceased to; `null`: it began.
    reason: Option<QualityReasonDto>,
}

/// What of a track is shown.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
struct ShownQualityDto {
    /// Which of its encodings, 0 is the smallest.
    encoding: u8,
    /// Its highest spatial layer that is shown; 3: all that there are.
    spatial: u8,
    /// Pixels, if the stream said so.
    size: Option<SizeDto>,
}

impl From<SubscriptionChange> for SubscriptionChangeDto {
    fn from(change: SubscriptionChange) -> Self {
        Self {
            track: change.track.0,
            publisher: change.publisher.to_string(),
            quality: change.quality.map(|quality| ShownQualityDto {
                encoding: quality.encoding,
                spatial: quality.spatial,
                size: quality.size.map(Into::into),
            }),
            reason: change.reason.map(Into::into),
        }
    }
}

/// Whether anybody wants an encoding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct EncodingWantedDto {
    rid: Option<String>,
    wanted: bool,
}

pub(crate) fn encodings_dto(wanted: EncodingsWanted) -> Vec<EncodingWantedDto> {
    let encodings = wanted.encodings.into_iter();
    encodings
        .map(|(rid, wanted)| EncodingWantedDto { rid, wanted })
        .collect()
}

/// One of a track's encodings, and what of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
struct ChoiceDto {
    /// Which encoding, 0 is the smallest.
    encoding: u8,
    /// Highest spatial layer; 3: all that there are.
    spatial: u8,
    /// Highest temporal layer; 7: all that there are.
    temporal: u8,
}

impl From<Choice> for ChoiceDto {
    fn from(choice: Choice) -> Self {
        Self {
            encoding: choice.encoding,
            spatial: choice.layer.spatial,
            temporal: choice.layer.temporal,
        }
    }
}

/// A layer that the track has.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LayerDto {
    #[serde(flatten)]
    choice: ChoiceDto,
    rid: Option<String>,
    size: Option<SizeDto>,
    /// Bits per second that it takes, headers included, over two seconds.
    bitrate_bps: u64,
    /// Whether it comes from the publisher.
    flows: bool,
    /// Whether the publisher was told that nobody watches it.
    unwatched: bool,
}

impl From<AvailableLayer> for LayerDto {
    fn from(layer: AvailableLayer) -> Self {
        Self {
            choice: layer.choice.into(),
            rid: layer.rid.map(|rid| rid.to_string()),
            size: layer.size.map(Into::into),
            bitrate_bps: layer.bits_per_second,
            flows: layer.flows,
            unwatched: layer.unwatched,
        }
    }
}

/// What another track of the same subscriber takes.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct NeighbourDto {
    track: String,
    bitrate_bps: u64,
}

/// A change of what flows.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SwitchDto {
    /// How long ago.
    ago_ms: u64,
    from: Option<ChoiceDto>,
    to: Option<ChoiceDto>,
    /// What began to limit the picture, or ceased to; `null`: it began.
    cause: Option<QualityReasonDto>,
}

fn switch_dto((ago, switch): (Duration, Switch)) -> SwitchDto {
    SwitchDto {
        ago_ms: u64::try_from(ago.as_millis()).unwrap_or(u64::MAX),
        from: switch.from.map(Into::into),
        to: switch.to.map(Into::into),
        cause: switch.cause.map(Into::into),
    }
}

/// Why a picture is as it is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ExplanationDto {
    track: String,
    /// What there is, from the smallest to the best.
    layers: Vec<LayerDto>,
    /// What the subscriber asked.
    wish: WishShownDto,
    /// What the policies of room and participant come to.
    policy: PolicyDto,
    /// Whether one of the subscriber's slots carries the track.
    has_slot: bool,
    /// What is to flow.
    target: Option<ChoiceDto>,
    /// What flows.
    current: Option<ChoiceDto>,
    /// What the subscriber's link is estimated to carry; `null`: not known.
    estimate_bps: Option<u64>,
    /// What the picture was granted of that.
    granted_bps: u64,
    /// What the next better layer needs; `null`: there is none.
    next_bps: Option<u64>,
    neighbours: Vec<NeighbourDto>,
    /// What keeps the picture from being better; `null`: nothing does.
    reason: Option<QualityReasonDto>,
    /// The same in an English sentence.
    sentence: String,
    /// The latest changes, at most 20, oldest first.
    switches: Vec<SwitchDto>,
}

/// A wish as it was said.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
struct WishShownDto {
    wanted: bool,
    largest: LimitDto,
}

impl From<SubscriptionReport> for ExplanationDto {
    fn from(report: SubscriptionReport) -> Self {
        let sentence = report.sentence();
        let why = report.explanation;
        let neighbours = report.neighbours.into_iter();
        Self {
            track: report.track.0,
            layers: why.layers.into_iter().map(Into::into).collect(),
            wish: WishShownDto {
                wanted: why.wish.wanted,
                largest: why.wish.largest.into(),
            },
            policy: why.policy.into(),
            has_slot: why.has_slot,
            target: why.target.map(Into::into),
            current: why.current.map(Into::into),
            estimate_bps: why.estimate_bps,
            granted_bps: why.granted_bps,
            next_bps: why.next_bps,
            neighbours: neighbours
                .map(|(track, bitrate_bps)| NeighbourDto {
                    track: track.0,
                    bitrate_bps,
                })
                .collect(),
            reason: why.reason.map(Into::into),
            sentence,
            switches: why.switches.into_iter().map(switch_dto).collect(),
        }
    }
}

/// Says why a participant's picture of a track is as it is.
///
/// Needs `roomAdmin` for the room.
#[utoipa::path(get,
    path = "/v1/rooms/{room}/participants/{identity}/subscriptions/{track}/explain",
    tag = "participants", params(SubscriptionPath),
    responses((status = OK, body = ExplanationDto), (status = "4XX", body = ProblemDto)))]
async fn explain(
    caller: Authenticated,
    State(app): State<Arc<App>>,
    Path(SubscriptionPath {
        room,
        identity,
        track,
    }): Path<SubscriptionPath>,
) -> Result<Json<ExplanationDto>, Problem> {
    caller.grant.require_admin(&room)?;
    let report = app.control.explain(&room, &identity, &track).await?;
    Ok(Json(report.into()))
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
