//! The JSON of signalling, version 1.
//!
//! Clients number the requests that want a reply; the server numbers everything that it says in a
//! session, so that a client can name what it heard last when it comes back.

use std::collections::BTreeMap;

use axum::extract::ws::Utf8Bytes;
use crosspoint_control::api::{Offer, SessionEvent, TrackDescription};
use serde::{Deserialize, Serialize};

use crate::http::dto::{AnswerDto, ParticipantDto, RoomDto, SlotDto, SourceDto, TrackDto, all};
use crate::http::events::{SpeakerDto, speakers_dto};
use crate::http::problem::{Problem, SignalError};
use crate::http::quality::{
    EncodingWantedDto, ExplanationDto, LimitDto, SubscriptionChangeDto, encodings_dto,
};
use crate::messages::{MessageDto, ReceivedDto};
use crate::report::dto::StateReportDto;

/// The version spoken here.
pub(super) const VERSION: u32 = 1;

/// What a client says.
pub(super) struct Incoming {
    /// Its number, when a reply is wanted.
    pub(super) id: Option<u64>,
    /// What it asks, or why that was not understood.
    pub(super) request: Result<Request, Problem>,
}

/// What a client asks.
#[derive(Debug, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub(super) enum Request {
    Join {
        version: u32,
        #[serde(default = "yes")]
        auto_subscribe: bool,
        #[serde(default)]
        offer: Option<OfferDto>,
    },
    Resume {
        version: u32,
        session: String,
        last_seq: u64,
    },
    Offer {
        offer: OfferDto,
    },
    Mute {
        track: String,
        muted: bool,
    },
    Subscribe {
        track: String,
        wanted: bool,
        #[serde(default)]
        largest: LimitDto,
    },
    /// Why a picture of one's own is as it is.
    Explain {
        track: String,
    },
    Message(MessageDto),
    Update {
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        metadata: Option<String>,
        #[serde(default)]
        attributes: Option<BTreeMap<String, String>>,
    },
    /// Whether a report about this participant is wanted each second.
    Reports {
        wanted: bool,
    },
    Ping {},
    Leave {},
    #[serde(other)]
    Unknown,
}

/// An offer with what its m-lines mean.
#[derive(Debug, Deserialize)]
pub(super) struct OfferDto {
    sdp: String,
    #[serde(default)]
    tracks: Vec<TrackDescriptionDto>,
}

#[derive(Debug, Deserialize)]
struct TrackDescriptionDto {
    mid: String,
    source: SourceDto,
    #[serde(default)]
    name: String,
    #[serde(default)]
    muted: bool,
    #[serde(default)]
    width: u32,
    #[serde(default)]
    height: u32,
}

const fn yes() -> bool {
    true
}

/// What the server says.
#[derive(Debug, Serialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub(super) enum Outgoing {
    Reply {
        id: Option<u64>,
        #[serde(flatten)]
        body: Reply,
    },
    Connected {},
    Interrupted {
        interrupted: bool,
    },
    ParticipantJoined {
        participant: ParticipantDto,
    },
    ParticipantUpdated {
        participant: ParticipantDto,
    },
    ParticipantLeft {
        identity: String,
        reason: &'static str,
    },
    TrackPublished {
        identity: String,
        track: TrackDto,
    },
    TrackUpdated {
        identity: String,
        track: TrackDto,
    },
    TrackUnpublished {
        identity: String,
        track_sid: String,
    },
    TrackMuted {
        track: String,
        muted: bool,
    },
    Slots {
        slots: Vec<SlotDto>,
    },
    SubscriptionChanged {
        #[serde(flatten)]
        change: SubscriptionChangeDto,
    },
    EncodingsWanted {
        track: String,
        encodings: Vec<EncodingWantedDto>,
    },
    ActiveSpeakers {
        speakers: Vec<SpeakerDto>,
    },
    RoomUpdated {
        room: RoomDto,
    },
    Moved {
        room: RoomDto,
        participants: Vec<ParticipantDto>,
    },
    Message(ReceivedDto),
    /// Only to those who want it; has no number and is not repeated to who comes back.
    Report {
        report: Box<StateReportDto>,
    },
    Draining {},
    Left {
        reason: &'static str,
    },
}

/// What a request led to.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Reply {
    Joined(Box<JoinedDto>),
    Resumed { resumed: bool },
    Answer { answer: AnswerDto },
    Participant { participant: ParticipantDto },
    Explanation { explanation: Box<ExplanationDto> },
    Done {},
    Error { error: SignalError },
}

/// The outcome of a join.
#[derive(Debug, Serialize)]
pub(super) struct JoinedDto {
    /// The resume token: who has it is this session.
    pub(super) session: String,
    pub(super) participant: ParticipantDto,
    pub(super) room: RoomDto,
    pub(super) participants: Vec<ParticipantDto>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<AnswerDto>,
}

impl Incoming {
    /// Reads one text frame.
    pub(super) fn parse(text: &str) -> Self {
        let bad = |detail: String| Problem::bad_request("bad_message", detail);
        let mut value: serde_json::Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(e) => {
                let request = Err(bad(format!("not JSON: {e}")));
                return Self { id: None, request };
            }
        };
        let id = match value.as_object_mut().and_then(|object| object.remove("id")) {
            None => None,
            Some(id) => match id.as_u64() {
                Some(id) => Some(id),
                None => {
                    let request = Err(bad("`id` must be a number from 0".to_owned()));
                    return Self { id: None, request };
                }
            },
        };
        let request = match serde_json::from_value(value) {
            Ok(Request::Unknown) => Err(Problem::bad_request(
                "unknown_message",
                "there is no message of this type in version 1",
            )),
            Ok(request) => Ok(request),
            Err(e) => Err(bad(e.to_string())),
        };
        Self { id, request }
    }
}

impl Outgoing {
    /// A reply to request `id`.
    pub(super) fn reply(id: Option<u64>, outcome: Result<Reply, Problem>) -> Self {
        let body = outcome.unwrap_or_else(|problem| Reply::Error {
            error: problem.into(),
        });
        Self::Reply { id, body }
    }

    /// The frame with its number; 0 outside of a session.
    pub(super) fn frame(&self, seq: u64) -> Utf8Bytes {
        numbered(self.text().as_bytes(), seq)
    }

    /// The frame without a number: of what nobody misses who was away.
    pub(super) fn passing_frame(&self) -> Utf8Bytes {
        self.text().into()
    }

    /// The message without a number.
    pub(super) fn text(&self) -> String {
        // Plain structs with text keys cannot fail to serialise; if one does, it is our bug.
        serde_json::to_string(self).unwrap_or_else(|error| {
            debug_assert!(false, "{error}");
            tracing::error!(%error, "a signalling message could not be written");
            "{\"type\":\"internal\"}".to_owned()
        })
    }
}

/// A frame of a message's text. The number goes in front, so that all who are told the same share
/// the rest.
pub(super) fn numbered(text: &[u8], seq: u64) -> Utf8Bytes {
    let rest = text.strip_prefix(b"{").unwrap_or(text);
    let mut frame = format!("{{\"seq\":{seq},").into_bytes();
    frame.extend_from_slice(rest);
    // A text stays one; if it did not, it is our bug.
    Utf8Bytes::try_from(frame).unwrap_or_else(|_| Utf8Bytes::from_static("{}"))
}

impl From<SessionEvent> for Outgoing {
    fn from(event: SessionEvent) -> Self {
        match event {
            SessionEvent::Connected => Self::Connected {},
            SessionEvent::Interrupted(interrupted) => Self::Interrupted { interrupted },
            SessionEvent::ParticipantJoined(who) => Self::ParticipantJoined {
                participant: who.into(),
            },
            SessionEvent::ParticipantUpdated(who) => Self::ParticipantUpdated {
                participant: who.into(),
            },
            SessionEvent::ParticipantLeft(identity, reason) => Self::ParticipantLeft {
                identity: identity.to_string(),
                reason: reason.label(),
            },
            SessionEvent::TrackPublished(identity, track) => Self::TrackPublished {
                identity: identity.to_string(),
                track: track.into(),
            },
            SessionEvent::TrackUpdated(identity, track) => Self::TrackUpdated {
                identity: identity.to_string(),
                track: track.into(),
            },
            SessionEvent::TrackUnpublished(identity, track) => Self::TrackUnpublished {
                identity: identity.to_string(),
                track_sid: track.0,
            },
            SessionEvent::OwnTrackMuted(track, muted) => Self::TrackMuted {
                track: track.0,
                muted,
            },
            SessionEvent::Slots(slots) => Self::Slots { slots: all(slots) },
            SessionEvent::SubscriptionChanged(change) => Self::SubscriptionChanged {
                change: change.into(),
            },
            SessionEvent::EncodingsWanted(wanted) => Self::EncodingsWanted {
                track: wanted.track.0.clone(),
                encodings: encodings_dto(wanted),
            },
            SessionEvent::ActiveSpeakers(speakers) => Self::ActiveSpeakers {
                speakers: speakers_dto(speakers),
            },
            SessionEvent::RoomUpdated(room) => Self::RoomUpdated { room: room.into() },
            SessionEvent::Moved(room, others) => Self::Moved {
                room: room.into(),
                participants: all(others),
            },
            SessionEvent::Message(message) => Self::Message((&message).into()),
            SessionEvent::Draining => Self::Draining {},
            SessionEvent::Ended(reason) => Self::Left {
                reason: reason.label(),
            },
        }
    }
}

impl From<OfferDto> for Offer {
    fn from(offer: OfferDto) -> Self {
        let describe = |track: TrackDescriptionDto| TrackDescription {
            mid: track.mid,
            source: track.source.into(),
            name: track.name,
            muted: track.muted,
            width: track.width,
            height: track.height,
        };
        Self {
            sdp: offer.sdp,
            tracks: offer.tracks.into_iter().map(describe).collect(),
        }
    }
}
