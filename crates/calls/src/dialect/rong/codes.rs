//! CallLib's numbers: status codes of operations, and reasons of ends as either side sees them.

use crate::error::ErrorCode;
use crate::model::{CallKind, Media};
use crate::reason::EndReason;

/// Status of a successful operation.
pub const SUCCESS: u16 = 10_000;
/// The symbol is CallLib's, the number RTCLib's: its own document prints none.
pub const PARAM_ERROR: u16 = 50_001;

/// `RCCallErrorCode` of an operation.
#[must_use]
pub const fn status(error: ErrorCode) -> u16 {
    match error {
        ErrorCode::Ok => SUCCESS,
        ErrorCode::State
        | ErrorCode::AlreadyInCall
        | ErrorCode::CallEnded
        | ErrorCode::AlreadyHandled
        | ErrorCode::CanceledOrTimeout
        | ErrorCode::AcceptedElsewhere => 53_200,
        ErrorCode::Blocked => 53_202,
        ErrorCode::NotInGroup => 53_203,
        ErrorCode::Mic => 53_301,
        ErrorCode::Camera => 53_302,
        ErrorCode::MicCamera => 53_303,
        ErrorCode::JoinRoom => 53_304,
        ErrorCode::PubAudio => 53_305,
        ErrorCode::PubVideo => 53_306,
        ErrorCode::PubAv => 53_307,
        ErrorCode::QueryUsers => 53_308,
        ErrorCode::NoVideoTrack => 53_309,
        ErrorCode::UnpubVideo => 53_310,
        ErrorCode::NotGroup => 53_311,
        ErrorCode::Forbidden
        | ErrorCode::Param
        | ErrorCode::NotFound
        | ErrorCode::Duplicate
        | ErrorCode::SelfTarget => PARAM_ERROR,
        // Whatever kept the message from its effect.
        _ => 53_201,
    }
}

/// Code of IMLib's `connect`.
#[must_use]
pub const fn connect_status(error: ErrorCode) -> u32 {
    match error {
        ErrorCode::Ok => 0,
        ErrorCode::TokenExpired => 31_020,
        ErrorCode::Banned | ErrorCode::TenantSuspended => 31_009,
        ErrorCode::KickedOtherDevice => 31_023,
        ErrorCode::TokenInvalid
        | ErrorCode::BadCredentials
        | ErrorCode::TenantNotFound
        | ErrorCode::AccountInvalid
        | ErrorCode::LoginInfo => 31_004,
        _ => 30_001,
    }
}

/// `RCCallEndReason`: `own` for the side that caused the end, else as its peers see it.
#[must_use]
pub const fn end_reason(reason: EndReason, own: bool) -> u16 {
    let (mine, theirs) = match reason {
        EndReason::Cancel => (1, 11),
        EndReason::Reject => (2, 12),
        EndReason::HangUp | EndReason::RoomDissolved | EndReason::Transferred => (3, 13),
        EndReason::Kicked | EndReason::Quit | EndReason::SupervisorEnd | EndReason::EmptyRoom => {
            (3, 13)
        }
        EndReason::Busy => (4, 14),
        EndReason::NoAnswer | EndReason::NotReached => (5, 15),
        EndReason::EngineUnsupported => (6, 16),
        EndReason::Network
        | EndReason::UserOffline
        | EndReason::AutoEnd
        | EndReason::RecordAbort => (7, 17),
        EndReason::DeviceError => (8, 18),
        EndReason::PublishError => (9, 19),
        EndReason::SubscribeError => (10, 20),
        EndReason::OtherDeviceNewCall => (21, 31),
        EndReason::OtherDeviceInCall => (22, 32),
        EndReason::Banned => (23, 33),
        EndReason::SystemCall => (24, 34),
        // These have no mirror.
        EndReason::AcceptedElsewhere => (101, 101),
        EndReason::HungUpElsewhere => (102, 102),
        EndReason::Blocked => (103, 103),
        EndReason::ServiceNotOpen => (104, 104),
    };
    if own { mine } else { theirs }
}

/// The reason that a client names for a failure of its own.
#[must_use]
pub const fn own_failure(number: u64) -> Option<(EndReason, ErrorCode)> {
    match number {
        6 => Some((EndReason::EngineUnsupported, ErrorCode::Codec)),
        7 => Some((EndReason::Network, ErrorCode::IceFailed)),
        8 => Some((EndReason::DeviceError, ErrorCode::MicCamera)),
        9 => Some((EndReason::PublishError, ErrorCode::PubAv)),
        10 => Some((EndReason::SubscribeError, ErrorCode::Subscribe)),
        _ => None,
    }
}

/// `RCCallMediaType`.
#[must_use]
pub const fn media_type(media: Media) -> u8 {
    match media {
        Media::Audio => 1,
        Media::Video => 2,
    }
}

/// The media that a client names.
#[must_use]
pub const fn media(number: u64) -> Option<Media> {
    match number {
        1 => Some(Media::Audio),
        2 => Some(Media::Video),
        _ => None,
    }
}

/// `ConversationType`.
#[must_use]
pub const fn conversation_type(kind: CallKind) -> u8 {
    match kind {
        CallKind::Group | CallKind::Meeting => 3,
        CallKind::Private | CallKind::Pstn | CallKind::Queue => 1,
    }
}
