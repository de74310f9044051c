//! What a tenant chooses: policies, limits, timers (catalogue 6.5, `CFG.*`).

use serde::{Deserialize, Serialize};

use crate::model::RecordingMode;

/// What happens after an agent refuses a call of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RejectPolicy {
    /// The refusal is the answer.
    #[default]
    Final,
    /// The next idle agent is rung.
    Overflow,
    /// The same seat is rung again, a few times; then the next.
    Rering,
}

/// When calls are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecordPolicy {
    /// Never.
    Off,
    /// When asked for.
    #[default]
    OnDemand,
    /// Every call, from when it is active.
    Always,
}

/// What happens to a call whose recording failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RecordFailPolicy {
    /// It goes on.
    #[default]
    Continue,
    /// It ends with `record_abort`.
    EndCall,
}

/// What a login does to other devices of the same user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LoginPolicy {
    /// All may be online.
    #[default]
    Coexist,
    /// Devices of the same terminal type are turned out.
    SameTerminal,
    /// All others are turned out.
    Single,
}

/// How numbers are encrypted between the application and the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum NumberCipher {
    /// They are not.
    #[default]
    None,
    /// AES-128-ECB with a key derived from a seed text by SHA1PRNG.
    Aes128EcbSha1prng {
        /// The text agreed with the application.
        seed: String,
    },
}

/// What webhooks are signed with. Never printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookSecret(pub String);

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret(..)")
    }
}

/// Times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Timers {
    /// An invitation not answered for this long has timed out.
    pub ring_ms: u64,
    /// An invitation younger than this is delivered at login; an older one is only reported.
    pub offline_invite_ms: u64,
    /// From the answer to the first media.
    pub connect_ms: u64,
    /// Grace for a lost connection.
    pub reconnect_ms: u64,
    /// A device that shows no sign of life for this long has lost its registration.
    pub registration_ms: u64,
    /// A transfer or third party not answered for this long has timed out.
    pub transfer_ms: u64,
    /// Gap before a seat that refused is rung again.
    pub rering_ms: u64,
    /// How long a customer waits for an agent.
    pub queue_ms: u64,
    /// How long a meeting with fewer than two people lasts.
    pub empty_room_ms: u64,
    /// From the wish to supervise to its media.
    pub monitor_start_ms: u64,
    /// A recorder that says nothing for twice this long has died.
    pub rec_health_ms: u64,
    /// A recording that was stopped, and of whose finishing nothing was heard for this long, has failed.
    pub rec_finalize_ms: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            ring_ms: 60_000,
            offline_invite_ms: 60_000,
            connect_ms: 15_000,
            reconnect_ms: 30_000,
            registration_ms: 60_000,
            transfer_ms: 30_000,
            rering_ms: 1_000,
            queue_ms: 120_000,
            empty_room_ms: 60_000,
            monitor_start_ms: 10_000,
            rec_health_ms: 5_000,
            rec_finalize_ms: 30_000,
        }
    }
}

/// Most that a tenant may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Invitations per second, in the long run and as a burst.
    pub invites_per_second: u32,
    /// Calls at a time.
    pub calls: u32,
    /// Users that are known.
    pub users: u32,
    /// Devices of one user that are online.
    pub devices_per_user: u32,
    /// Participants and live invitations of a video call.
    pub video_participants: u32,
    /// The same of an audio call.
    pub audio_participants: u32,
    /// Bytes of a message.
    pub message_bytes: u32,
    /// Bytes of `extra` of a call or an invitation.
    pub extra_bytes: u32,
    /// How often a seat that refuses is rung before the next one is.
    pub rering_rounds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            invites_per_second: 1_000,
            calls: 10_000,
            users: 100_000,
            devices_per_user: 8,
            video_participants: 16,
            audio_participants: 32,
            message_bytes: 4_096,
            extra_bytes: 4_096,
            rering_rounds: 5,
        }
    }
}

/// All that a tenant chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct TenantSettings {
    /// Name to show.
    pub name: String,
    /// Nobody may log in, nothing may be started; who is online is turned out.
    pub suspended: bool,
    /// See [`RejectPolicy`].
    pub reject_policy: RejectPolicy,
    /// See [`RecordPolicy`].
    pub record_policy: RecordPolicy,
    /// What a recording by [`RecordPolicy::Always`] becomes.
    pub record_mode: RecordingMode,
    /// See [`RecordFailPolicy`].
    pub record_fail_policy: RecordFailPolicy,
    /// See [`LoginPolicy`].
    pub login_policy: LoginPolicy,
    /// See [`NumberCipher`].
    pub number_cipher: NumberCipher,
    /// Whether group calls check that caller and callees are members of the group.
    pub check_group_members: bool,
    /// Whether agents may call seats of other skill groups only with their own group in common.
    pub same_group_seats_only: bool,
    /// Whether users that were never made known may log in with a token (they are made then).
    pub open_registration: bool,
    /// URLs where the tenant's application server is told of its calls, beside those that are told of
    /// everything.
    pub webhooks: Vec<String>,
    /// What these are signed with, the tenant's id being the issuer; empty: with the server's own key.
    pub webhook_secret: WebhookSecret,
    /// See [`Timers`].
    pub timers: Timers,
    /// See [`Limits`].
    pub limits: Limits,
}
