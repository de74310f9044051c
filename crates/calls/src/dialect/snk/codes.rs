//! The agent SDK's numbers: message types of events, and `HTTP_BACK` codes of operations that failed,
//! with the texts of its document.

use crate::error::ErrorCode;
use crate::model::{Role, SeatState};
use crate::reason::EndReason;

/// `VideoControlCode`: what an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[expect(missing_docs, reason = "the names are those of the document")]
pub enum Control {
    IncomingCall = 50_200,
    StaffChangeLiveSrc = 50_201,
    ParticipatorLiveSrc = 50_202,
    VideoRecSrc = 50_203,
    ImgSrc = 50_204,
    AutoEndSession = 30_000,
    UserInterrupt = 30_017,
    UserOffLine = 30_019,
    EndSession = 30_025,
    StaffChangeAsk = 20_100,
    StaffChangeAccept = 20_101,
    StaffChangeReject = 20_102,
    StaffChangeCancel = 20_103,
    AddParticipatorAsk = 20_200,
    AddParticipatorAccept = 20_201,
    AddParticipatorReject = 20_202,
    AddParticipatorDel = 20_203,
    AddParticipatorCancel = 20_204,
}

impl Control {
    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The event that carries it: a `VideoEventType`.
    #[must_use]
    pub const fn event(self) -> &'static str {
        match self {
            Self::IncomingCall => "INCOMING_CALL",
            Self::VideoRecSrc => "VIDEOTAPE",
            Self::ImgSrc => "SNAPSHOT",
            Self::AutoEndSession | Self::UserInterrupt | Self::UserOffLine | Self::EndSession => {
                "INCOMING_CALL_HANGUP"
            }
            Self::StaffChangeLiveSrc
            | Self::StaffChangeAsk
            | Self::StaffChangeAccept
            | Self::StaffChangeReject
            | Self::StaffChangeCancel => "EXCHANGE_CALL",
            Self::ParticipatorLiveSrc
            | Self::AddParticipatorAsk
            | Self::AddParticipatorAccept
            | Self::AddParticipatorReject
            | Self::AddParticipatorDel
            | Self::AddParticipatorCancel => "ADD_CALL",
        }
    }

    /// What it says.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::IncomingCall => "客户端来电",
            Self::StaffChangeLiveSrc => "坐席切换受理结果推拉流资源",
            Self::ParticipatorLiveSrc => "添加第三方受理结果推拉流资源",
            Self::VideoRecSrc => "视频录制资源",
            Self::ImgSrc => "平台转发微信小程序侧上传的图片的信息",
            Self::AutoEndSession => "会话自动结束",
            Self::UserInterrupt => "用户挂断",
            Self::UserOffLine => "用户离线",
            Self::EndSession => "会话结束",
            Self::StaffChangeAsk => "切换坐席请求",
            Self::StaffChangeAccept => "接受切换请求",
            Self::StaffChangeReject => "拒绝切换请求",
            Self::StaffChangeCancel => "取消切换请求",
            Self::AddParticipatorAsk => "第三方增加请求",
            Self::AddParticipatorAccept => "第三方座席接听",
            Self::AddParticipatorReject => "第三方座席拒绝",
            Self::AddParticipatorDel => "第三方座席退出",
            Self::AddParticipatorCancel => "第三方座席取消",
        }
    }
}

/// How far a request to a colleague is, as far as the codes care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// The colleague has not answered yet.
    Asked,
    /// Accepted, under way; or a third party is in the call.
    Running,
}

/// `HTTP_BACK` code and text of an operation; 0 when it succeeded.
#[must_use]
pub const fn back(error: ErrorCode, pending: Option<Pending>) -> (u32, &'static str) {
    match error {
        ErrorCode::Ok => (0, "ok"),
        ErrorCode::NotFound | ErrorCode::CallEnded => (100_025, "操作失败,该会话已经结束"),
        ErrorCode::RateLimited
        | ErrorCode::SignalSendFailed
        | ErrorCode::ServerInternal
        | ErrorCode::Unavailable => (200_001, "操作失败,服务受理失败"),
        ErrorCode::Timeout => (200_002, "操作失败,服务受理超时"),
        ErrorCode::Offline | ErrorCode::NoAgent => (300_001, "操作失败,从调度系统获取坐席失败"),
        ErrorCode::DispatchRejectFailed => (300_002, "操作失败,向调度系统拒接任务失败"),
        ErrorCode::Busy | ErrorCode::AlreadyInCall => (300_003, "操作失败,坐席忙线"),
        ErrorCode::TransferPending | ErrorCode::ThirdPending => match pending {
            Some(Pending::Asked) => (400_003, "操作失败,正在等待被切换方应答"),
            _ => (400_001, "操作失败,正在切换坐席中"),
        },
        ErrorCode::SelfTarget => (400_002, "操作失败,不能切换给自己"),
        ErrorCode::NotEnabled => (400_004, "操作失败(未启用)"),
        ErrorCode::AlreadyHandled => (400_005, "操作失败,对方已受理切换请求取消失败"),
        ErrorCode::CanceledOrTimeout | ErrorCode::AcceptedElsewhere => {
            (400_006, "操作失败,受理超时或被请求方取消")
        }
        _ => (500_001, "操作失败"),
    }
}

/// `ServiceFsmState`.
#[must_use]
pub const fn state(seat: SeatState) -> &'static str {
    match seat {
        SeatState::Offline => "disconnected",
        SeatState::Idle => "ready",
        SeatState::Busy => "leave",
        SeatState::Ringing => "wait",
        SeatState::Talking | SeatState::Held => "busy",
    }
}

/// What the agents of a session are told of its end; `None`: they know it from another event.
#[must_use]
pub const fn hang_up(reason: EndReason, by: Option<Role>) -> Option<Control> {
    let customer = matches!(by, Some(Role::Guest | Role::Caller));
    Some(match reason {
        EndReason::Transferred | EndReason::Quit => return None,
        EndReason::HangUp | EndReason::Cancel | EndReason::Reject if customer => {
            Control::UserInterrupt
        }
        EndReason::HangUp
        | EndReason::Cancel
        | EndReason::RoomDissolved
        | EndReason::SupervisorEnd
        | EndReason::Kicked => Control::EndSession,
        EndReason::Network | EndReason::UserOffline => Control::UserOffLine,
        _ => Control::AutoEndSession,
    })
}
