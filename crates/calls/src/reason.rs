//! Why a call, an invitation or a participation ended (catalogue 6.7).

use serde::{Deserialize, Serialize, Serializer};

macro_rules! end_reasons {
    ($($ordinal:literal $name:ident $label:literal $meaning:literal,)*) => {
        /// Why it ended; the same word in event, record, log and metric. Who ended it stands
        /// beside it ([`Actor`](crate::model::Actor)), so that a dialect can tell own from remote.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EndReason {
            $(#[doc = $meaning] $name = $ordinal,)*
        }

        impl EndReason {
            /// Every reason, by ordinal.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Stable word.
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

end_reasons! {
    1 Cancel "cancel" "the caller withdrew before the answer",
    2 Reject "reject" "the callee refused",
    3 HangUp "hang_up" "a normal end after the answer",
    4 Busy "busy" "the target was busy",
    5 NoAnswer "no_answer" "nobody answered in time",
    6 EngineUnsupported "engine_unsupported" "no common codec or engine",
    7 Network "network" "the connection was lost for too long",
    8 DeviceError "device_error" "capture failed",
    9 PublishError "publish_error" "publishing failed",
    10 SubscribeError "subscribe_error" "subscribing failed",
    11 OtherDeviceNewCall "other_device_new_call" "another own device joined a new call",
    12 OtherDeviceInCall "other_device_in_call" "another own device was in a call already",
    13 Banned "banned" "the user is banned",
    14 SystemCall "system_call" "a telephone call was taken",
    15 AcceptedElsewhere "accepted_elsewhere" "answered on another own device",
    16 HungUpElsewhere "hung_up_elsewhere" "refused or hung up on another own device",
    17 Blocked "blocked" "the callee has blocked the caller",
    18 ServiceNotOpen "service_not_open" "the service is not open",
    19 Kicked "kicked" "removed by a host or the server",
    20 RoomDissolved "room_dissolved" "ended for all by a host or the server",
    21 UserOffline "user_offline" "the customer went offline",
    22 AutoEnd "auto_end" "ended by a limit of the server",
    23 Transferred "transferred" "replaced by a transfer",
    24 Quit "quit" "the third party left",
    25 SupervisorEnd "supervisor_end" "a supervisor ended it",
    26 NotReached "not_reached" "the outgoing call never connected",
    27 RecordAbort "record_abort" "the recording failed and the policy ends the call",
    28 EmptyRoom "empty_room" "fewer than two people were left",
}

impl EndReason {
    /// Its row number, 1 to 28.
    #[must_use]
    pub const fn ordinal(self) -> u16 {
        self as u16
    }
}

impl Serialize for EndReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

impl<'de> Deserialize<'de> for EndReason {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let label = String::deserialize(deserializer)?;
        let found = Self::ALL.iter().copied().find(|each| each.label() == label);
        found.ok_or_else(|| serde::de::Error::custom("no such reason"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_are_the_rows_of_the_table() {
        for (row, reason) in EndReason::ALL.iter().enumerate() {
            assert_eq!(usize::from(reason.ordinal()), row + 1);
        }
    }
}
