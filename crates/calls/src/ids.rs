//! Names and ids. Each is parsed once, at the door, and cheap to copy afterwards.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest name or id, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Takes 1 to [`NAME_BYTES_MAX`] bytes of text without control characters.
            #[must_use]
            pub fn new(name: &str) -> Option<Self> {
                let ok = !name.is_empty()
                    && name.len() <= NAME_BYTES_MAX
                    && !name.chars().any(char::is_control);
                ok.then(|| Self(name.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", &self.0)
            }
        }

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::new(&text).ok_or_else(|| {
                    de::Error::custom(format_args!(
                        "{} takes 1 to {NAME_BYTES_MAX} bytes without control characters",
                        stringify!($type)
                    ))
                })
            }
        }
    };
}

name_type!(
    /// A tenant: app key, enterprise, system code.
    TenantId
);
name_type!(
    /// A user of a tenant: user id, account, extension.
    UserId
);
name_type!(
    /// One client of a user, named by the client itself; the same name again is the same device.
    DeviceName
);
name_type!(
    /// A group of users: a chat group or a skill group.
    GroupId
);
name_type!(
    /// A call. Letters and digits, made by the machine, never used twice.
    CallId
);
name_type!(
    /// An invitation of one user to one call.
    InviteId
);
name_type!(
    /// An application message.
    MessageId
);
name_type!(
    /// A recording of a call.
    RecordingId
);
name_type!(
    /// A link between the rooms of two calls.
    LinkId
);
name_type!(
    /// What a client shows to have its session back after a loss. Secret.
    SessionKey
);
name_type!(
    /// A request of a client, chosen by it; the same again from the same device is answered by the
    /// same result and has no second effect.
    RequestId
);

/// Where a command comes from and where an event goes: one client of one user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceRef {
    /// Whose user.
    pub tenant: TenantId,
    /// Whose device.
    pub user: UserId,
    /// Which one.
    pub device: DeviceName,
}

impl fmt::Display for DeviceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.user, self.device)
    }
}
