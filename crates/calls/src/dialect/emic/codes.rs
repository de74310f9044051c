//! The phonebar's numbers: errors of accounts and calls, reasons of being turned out, ends of calls,
//! states of seats. Each table is one of its document; the same number means different things in
//! different tables.

use crate::error::ErrorCode;
use crate::model::{MonitorState, SeatState};
use crate::reason::EndReason;

/// Success of `register`, of `webApiHandler` and of call responses.
pub const OK: u16 = 200;

/// Code and text of a failed `getUser`; also of a failed registration.
#[must_use]
pub const fn account(error: ErrorCode) -> (u16, &'static str) {
    match error {
        ErrorCode::Ok => (OK, ""),
        ErrorCode::ServerInternal | ErrorCode::Timeout | ErrorCode::SignalSendFailed => {
            (50_000, "服务器错误")
        }
        ErrorCode::Param => (50_001, "参数错误"),
        ErrorCode::Unavailable => (50_002, "获取运维地址失败"),
        ErrorCode::BadCredentials | ErrorCode::NotFound | ErrorCode::TokenInvalid => {
            (50_003, "分机号码或密码错误")
        }
        ErrorCode::TenantNotFound => (50_004, "未找到该企业"),
        ErrorCode::LoginInfo => (50_005, "登录信息获取失败"),
        // Turned out before it was in: by the numbers of that.
        ErrorCode::TokenExpired | ErrorCode::RegTimeout => kicked(ErrorCode::RegTimeout),
        ErrorCode::Banned | ErrorCode::AccountInvalid | ErrorCode::TenantSuspended => kicked(error),
        _ => (59_999, "未知错误"),
    }
}

/// `kickedOffLine`'s `r`, and what distinguishes the two meanings of 898.
#[must_use]
pub const fn kicked(error: ErrorCode) -> (u16, &'static str) {
    match error {
        ErrorCode::KickedOtherDevice => (895, "其他用户登录您的账号"),
        ErrorCode::RegTimeout | ErrorCode::TokenExpired => (897, "注册超时,请重新登录"),
        ErrorCode::TenantSuspended => (898, "TENANT_SUSPENDED"),
        _ => (898, "ACCOUNT_INVALID"),
    }
}

/// Code and text of a call that could not be made.
#[must_use]
pub const fn call_failure(error: ErrorCode) -> (u16, &'static str) {
    match error {
        ErrorCode::Busy | ErrorCode::AlreadyInCall => (503, "对方忙碌"),
        ErrorCode::NumberOutOfService => (507, "总机号已停机"),
        ErrorCode::OffHours => (508, "非工作时间"),
        ErrorCode::CalleeDailyLimit => (512, "该客户今日被呼叫次数已达上限"),
        ErrorCode::CalleeNoPermission
        | ErrorCode::Blocked
        | ErrorCode::NotInGroup
        | ErrorCode::SelfTarget => (1000, "禁止拨打无权限坐席"),
        // A SIP status: not found, declined, or the server's own failure.
        ErrorCode::NotFound | ErrorCode::Offline | ErrorCode::NoAgent => (404, "号码不可达"),
        ErrorCode::Param | ErrorCode::State | ErrorCode::Forbidden => (403, "呼叫被拒绝"),
        _ => (500, "服务器错误"),
    }
}

/// The same for a callee's refusal, which is known before it rang; `None`: the end of the call says it.
#[must_use]
pub const fn refusal(reason: EndReason) -> Option<(u16, &'static str)> {
    match reason {
        EndReason::Busy | EndReason::OtherDeviceInCall => Some(call_failure(ErrorCode::Busy)),
        EndReason::Blocked => Some(call_failure(ErrorCode::Blocked)),
        EndReason::Banned | EndReason::ServiceNotOpen => {
            Some(call_failure(ErrorCode::NumberOutOfService))
        }
        _ => None,
    }
}

/// `endPBXCall`'s `r`: 20 when it was never answered, 26 when this seat (or its house) ended it, 25
/// when the other side did.
#[must_use]
pub const fn end(reason: EndReason, answered: bool, own: bool) -> &'static str {
    if !answered {
        return "20";
    }
    match reason {
        EndReason::RoomDissolved
        | EndReason::Transferred
        | EndReason::SupervisorEnd
        | EndReason::RecordAbort
        | EndReason::AutoEnd => "26",
        EndReason::UserOffline => "25",
        _ if own => "26",
        _ => "25",
    }
}

/// `checkSeatState`.
#[must_use]
pub const fn seat(state: SeatState) -> u8 {
    match state {
        SeatState::Offline => 0,
        SeatState::Idle => 1,
        SeatState::Busy => 2,
        SeatState::Ringing => 3,
        SeatState::Talking => 4,
        SeatState::Held => 5,
    }
}

/// `statusChanged`, and `kefuStatus` of the list of members: a seat in a call is busy to others.
#[must_use]
pub const fn presence(state: SeatState) -> u8 {
    match state {
        SeatState::Offline => 0,
        SeatState::Idle => 1,
        SeatState::Busy | SeatState::Ringing | SeatState::Talking | SeatState::Held => 2,
    }
}

/// `checkMonitorState`. Whispering is not of this system: to it, it is listening.
#[must_use]
pub const fn monitor(state: MonitorState) -> u8 {
    match state {
        MonitorState::None | MonitorState::Starting => 0,
        MonitorState::Listening | MonitorState::Whispering => 1,
        MonitorState::Barged => 2,
    }
}
