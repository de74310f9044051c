//! Names in request paths and queries, parsed once at the door, and bodies; each refused as a
//! [`Problem`].

use axum::extract::{FromRequest, FromRequestParts};
use crosspoint_control::model::{Identity, RoomName, TrackSid};
use serde::{Deserialize, Deserializer, de::Error};
use utoipa::IntoParams;

use super::problem::Problem;

/// What a name must look like.
const NAME_FORM: &str = "a name has 1 to 128 characters, none of them a control character";

/// A JSON body.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Problem))]
pub(crate) struct Body<T>(pub(crate) T);

/// Path parameters.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub(crate) struct Path<T>(pub(crate) T);

/// Query parameters.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(crate) struct Query<T>(pub(crate) T);

/// `{room}`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct RoomPath {
    /// Name of the room.
    #[serde(deserialize_with = "room")]
    #[param(value_type = String)]
    pub(crate) room: RoomName,
}

/// `{room}` and `{identity}`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ParticipantPath {
    /// Name of the room.
    #[serde(deserialize_with = "room")]
    #[param(value_type = String)]
    pub(crate) room: RoomName,
    /// Identity of the participant.
    #[serde(deserialize_with = "identity")]
    #[param(value_type = String)]
    pub(crate) identity: Identity,
}

/// `{room}` and `{track}`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct TrackPath {
    /// Name of the room.
    #[serde(deserialize_with = "room")]
    #[param(value_type = String)]
    pub(crate) room: RoomName,
    /// Id of the track.
    #[serde(deserialize_with = "track")]
    #[param(value_type = String)]
    pub(crate) track: TrackSid,
}

/// `{room}`, `{identity}` and `{track}`.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct SubscriptionPath {
    /// Name of the room.
    #[serde(deserialize_with = "room")]
    #[param(value_type = String)]
    pub(crate) room: RoomName,
    /// Identity of the participant.
    #[serde(deserialize_with = "identity")]
    #[param(value_type = String)]
    pub(crate) identity: Identity,
    /// Id of the track.
    #[serde(deserialize_with = "track")]
    #[param(value_type = String)]
    pub(crate) track: TrackSid,
}

/// Reads a room's name.
pub(crate) fn room_of(text: &str) -> Result<RoomName, Problem> {
    RoomName::new(text).ok_or_else(|| Problem::bad_request("invalid_name", NAME_FORM))
}

/// Reads an identity.
pub(crate) fn identity_of(text: &str) -> Result<Identity, Problem> {
    Identity::new(text).ok_or_else(|| Problem::bad_request("invalid_name", NAME_FORM))
}

fn room<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RoomName, D::Error> {
    let text = String::deserialize(deserializer)?;
    RoomName::new(&text).ok_or_else(|| D::Error::custom(NAME_FORM))
}

fn identity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Identity, D::Error> {
    let text = String::deserialize(deserializer)?;
    Identity::new(&text).ok_or_else(|| D::Error::custom(NAME_FORM))
}

fn track<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TrackSid, D::Error> {
    String::deserialize(deserializer).map(TrackSid)
}
