//! Why a command was not carried out (catalogue 6.6): a number, a word, a sentence each.

use serde::{Serialize, Serializer};

macro_rules! error_codes {
    ($($code:literal $name:ident $label:literal $meaning:literal,)*) => {
        /// Why a command was not carried out. Nothing has changed then.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $name = $code,)*
        }

        impl ErrorCode {
            /// Every code, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Stable word: metric label, problem type, log field.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// What it means, for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }
        }
    };
}

error_codes! {
    0 Ok "ok" "success",
    1101 TokenInvalid "token_invalid" "the token is missing, malformed or badly signed",
    1102 TokenExpired "token_expired" "the token has expired",
    1103 BadCredentials "bad_credentials" "the user or the password is wrong",
    1104 TenantNotFound "tenant_not_found" "there is no such tenant",
    1105 Banned "banned" "the user is banned",
    1106 KickedOtherDevice "kicked_other_device" "the account logged in on another device",
    1107 AccountInvalid "account_invalid" "the account has expired, was deleted or modified",
    1108 TenantSuspended "tenant_suspended" "the tenant is suspended",
    1109 RegTimeout "reg_timeout" "the registration was not refreshed in time",
    1110 Forbidden "forbidden" "role or ownership does not allow it",
    1111 LoginInfo "login_info" "the login profile could not be assembled",
    1201 Param "param" "a parameter is missing or bad",
    1202 State "state" "not allowed in the current state",
    1203 NotFound "not_found" "there is no such user, call or room",
    1204 Duplicate "duplicate" "already invited or present",
    1205 SelfTarget "self_target" "the target is oneself",
    1206 AlreadyInCall "already_in_call" "the caller has an unfinished call",
    1207 NotGroup "not_group" "only a group call allows it",
    1208 NotInGroup "not_in_group" "not a member of the group",
    1209 CallEnded "call_ended" "the call has ended",
    1210 AlreadyHandled "already_handled" "the other side has answered already",
    1211 DecryptFailed "decrypt_failed" "the encrypted number did not decrypt to digits",
    1212 TooLarge "too_large" "the payload is over the limit",
    1213 RateLimited "rate_limited" "too many requests in a short time",
    1301 Blocked "blocked" "the target has blocked the caller",
    1302 Offline "offline" "the target has no device online",
    1303 Busy "busy" "the target is busy",
    1304 NoAgent "no_agent" "no agent can take the call",
    1305 TransferPending "transfer_pending" "a transfer is requested or in progress",
    1306 ThirdPending "third_pending" "a third party is requested or in progress",
    1307 DispatchRejectFailed "dispatch_reject_failed" "the dispatch did not take the refusal",
    1308 NumberOutOfService "number_out_of_service" "the number is out of service",
    1309 OffHours "off_hours" "outside working hours",
    1310 CalleeDailyLimit "callee_daily_limit" "the callee's daily limit is reached",
    1311 CalleeNoPermission "callee_no_permission" "calling this seat is not permitted",
    1312 NotEnabled "not_enabled" "the feature is not enabled",
    1401 SignalSendFailed "signal_send_failed" "the message could not be delivered",
    1402 Timeout "timeout" "the server took too long",
    1403 ServerInternal "server_internal" "the server failed",
    1404 Unavailable "unavailable" "a service behind this one is not available",
    1405 CanceledOrTimeout "canceled_or_timeout" "the request was withdrawn or ran out of time",
    1406 AcceptedElsewhere "accepted_elsewhere" "answered on another device of the user",
    1501 Mic "mic" "the microphone could not be captured",
    1502 Camera "camera" "the camera could not be captured",
    1503 MicCamera "mic_camera" "microphone and camera could not be captured",
    1504 JoinRoom "join_room" "the room could not be joined",
    1505 PubAudio "pub_audio" "audio could not be published",
    1506 PubVideo "pub_video" "video could not be published",
    1507 PubAv "pub_av" "audio and video could not be published",
    1508 UnpubVideo "unpub_video" "video could not be unpublished",
    1509 NoVideoTrack "no_video_track" "there is no video track",
    1510 QueryUsers "query_users" "the users could not be queried",
    1511 Subscribe "subscribe" "the track could not be subscribed",
    1512 Codec "codec" "there is no common codec",
    1513 IceFailed "ice_failed" "the media transport failed",
    1601 RecStart "rec_start" "the recorder did not start",
    1602 RecAbort "rec_abort" "the recorder died",
    1603 Snapshot "snapshot" "the snapshot failed",
    1999 Unknown "unknown" "anything else",
}

impl ErrorCode {
    /// Its number (0, 1101 to 1999).
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The code with this number.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|each| each.code() == code)
    }

    /// The code with this word.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|each| each.label() == label)
    }
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

impl<'de> serde::Deserialize<'de> for ErrorCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let label = String::deserialize(deserializer)?;
        Self::from_label(&label).ok_or_else(|| serde::de::Error::custom("no such error code"))
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.meaning())
    }
}

impl std::error::Error for ErrorCode {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_found_by_number_and_by_word() {
        for &code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_code(code.code()), Some(code));
            assert_eq!(ErrorCode::from_label(code.label()), Some(code));
        }
        assert_eq!(ErrorCode::from_code(1), None);
    }
}
