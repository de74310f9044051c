//! What a verified token allows.

use std::collections::BTreeMap;

use crosspoint_control::model::{Identity, Permissions, RoomName};
use crosspoint_media::config::TrackSource;

use super::{Claims, SourceName, TokenProblem, VideoGrant};

/// A verified token. Made by [`Keys::verify`](super::Keys::verify) only.
#[derive(Clone)]
pub struct Grant {
    issuer: String,
    identity: Option<Identity>,
    name: String,
    metadata: String,
    attributes: BTreeMap<String, String>,
    video: VideoGrant,
}

/// A token is good but does not allow this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// A grant is missing.
    #[error("the token does not have the grant {0}")]
    Grant(&'static str),
    /// It is for another room.
    #[error("the token is for another room (video.room)")]
    Room,
    /// It does not name the room to move or forward to.
    #[error("the token names another room to go to (video.destinationRoom)")]
    Destination,
    /// It is for another tenant.
    #[error("the token is for another tenant (video.callTenant)")]
    Tenant,
    /// A participant needs an identity.
    #[error("the token names no identity (sub)")]
    Identity,
}

impl Denied {
    /// Stable name.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Grant(_) => "grant_missing",
            Self::Room => "room_denied",
            Self::Destination => "destination_denied",
            Self::Tenant => "tenant_denied",
            Self::Identity => "identity_missing",
        }
    }
}

impl Grant {
    pub(super) fn new(claims: Claims) -> Result<Self, TokenProblem> {
        // The SDKs write an empty `sub` when no identity was given.
        let sub = claims.sub.filter(|sub| !sub.is_empty());
        let identity = match sub {
            Some(sub) => Some(Identity::new(&sub).ok_or(TokenProblem::Malformed)?),
            None => None,
        };
        Ok(Self {
            issuer: claims.iss,
            identity,
            name: claims.name.unwrap_or_default(),
            metadata: claims.metadata.unwrap_or_default(),
            attributes: claims.attributes.unwrap_or_default(),
            video: claims.video.unwrap_or_default(),
        })
    }

    /// Name of the key that signed it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Whom it is for, if it says so.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Name to show, metadata and attributes.
    #[must_use]
    pub fn profile(&self) -> (&str, &str, &BTreeMap<String, String>) {
        (&self.name, &self.metadata, &self.attributes)
    }

    /// What a participant that joins with it may do.
    #[must_use]
    pub fn permissions(&self) -> Permissions {
        let allowed = |grant: Option<bool>| grant.unwrap_or(true);
        Permissions {
            can_publish: allowed(self.video.can_publish),
            can_publish_sources: self
                .video
                .can_publish_sources
                .iter()
                .flatten()
                .map(|source| TrackSource::from(*source))
                .collect(),
            can_subscribe: allowed(self.video.can_subscribe),
            // As LiveKit does: who may publish may also send messages, unless told otherwise.
            can_publish_data: self
                .video
                .can_publish_data
                .or(self.video.can_publish)
                .unwrap_or(true),
            can_update_own_metadata: self.video.can_update_own_metadata.unwrap_or(false),
            hidden: self.video.hidden,
        }
    }

    /// The room that it lets join.
    ///
    /// # Errors
    /// Without `roomJoin`, or without a valid room name.
    pub fn require_any_join(&self) -> Result<RoomName, Denied> {
        self.require(self.video.room_join, "roomJoin")?;
        RoomName::new(&self.video.room).ok_or(Denied::Room)
    }

    /// Joining this room.
    ///
    /// # Errors
    /// Without `roomJoin` for it.
    pub fn require_join(&self, room: &RoomName) -> Result<(), Denied> {
        self.require(self.video.room_join, "roomJoin")?;
        self.require_room(room)
    }

    /// Managing this room and its participants.
    ///
    /// # Errors
    /// Without `roomAdmin` for it, and without `nodeAdmin`, which stands for `roomAdmin` in every room,
    /// `roomList` and `roomCreate`.
    pub fn require_admin(&self, room: &RoomName) -> Result<(), Denied> {
        if self.video.node_admin {
            return Ok(());
        }
        self.require(self.video.room_admin, "roomAdmin")?;
        self.require_room(room)
    }

    /// The tenant whose user `sub` is.
    #[must_use]
    pub fn call_tenant(&self) -> Option<&str> {
        let tenant = self.video.call_tenant.as_str();
        (!tenant.is_empty()).then_some(tenant)
    }

    /// Administering a tenant and its calls: `callAdmin`, for all tenants or that of `callTenant`; or
    /// `nodeAdmin`.
    ///
    /// # Errors
    /// Without it, or for another tenant.
    pub fn require_call_admin(&self, tenant: &str) -> Result<(), Denied> {
        if self.video.node_admin {
            return Ok(());
        }
        self.require(self.video.call_admin, "callAdmin")?;
        match self.call_tenant() {
            Some(own) if own != tenant => Err(Denied::Tenant),
            _ => Ok(()),
        }
    }

    /// Recording a room, or seeing what was recorded of it; `None`: of some room.
    ///
    /// # Errors
    /// Without `roomRecord`, or with a token for another room.
    pub fn require_record(&self, room: Option<&str>) -> Result<(), Denied> {
        if self.video.node_admin {
            return Ok(());
        }
        self.require(self.video.room_record, "roomRecord")?;
        match room {
            Some(room) if !self.video.room.is_empty() && self.video.room != room => {
                Err(Denied::Room)
            }
            _ => Ok(()),
        }
    }

    /// Which room's recordings it may see, of those that are wanted; `None`: all rooms'.
    ///
    /// # Errors
    /// Without `roomRecord`, or with a token for another room.
    pub fn require_recordings(&self, wanted: Option<String>) -> Result<Option<String>, Denied> {
        self.require_record(wanted.as_deref())?;
        let own =
            Some(self.video.room.clone()).filter(|room| !room.is_empty() && !self.video.node_admin);
        Ok(wanted.or(own))
    }

    /// Moving or forwarding a participant of `room` into `to`: `roomAdmin` for the first, and for
    /// the second `destinationRoom`, or `roomCreate`, which is a grant for all rooms.
    ///
    /// # Errors
    /// Without one of them.
    pub fn require_transfer(&self, room: &RoomName, to: &RoomName) -> Result<(), Denied> {
        self.require_admin(room)?;
        let anywhere = self.video.room_create || self.video.node_admin;
        if anywhere || self.video.destination_room == to.as_str() {
            Ok(())
        } else {
            Err(Denied::Destination)
        }
    }

    /// Making and deleting rooms.
    ///
    /// # Errors
    /// Without `roomCreate`.
    pub fn require_create(&self) -> Result<(), Denied> {
        let granted = self.video.room_create || self.video.node_admin;
        self.require(granted, "roomCreate")
    }

    /// Seeing all rooms.
    ///
    /// # Errors
    /// Without `roomList`.
    pub fn require_list(&self) -> Result<(), Denied> {
        let granted = self.video.room_list || self.video.node_admin;
        self.require(granted, "roomList")
    }

    /// Seeing one room: `roomList`, or `roomAdmin` for it.
    ///
    /// # Errors
    /// Without either.
    pub fn require_view(&self, room: &RoomName) -> Result<(), Denied> {
        self.require_list().or_else(|_| self.require_admin(room))
    }

    /// Which room's events it may see; `None`: all rooms'.
    ///
    /// # Errors
    /// Without `roomList`, and without `roomAdmin` for `wanted` or, when nothing particular is
    /// wanted, for the token's own room.
    pub fn require_events(&self, wanted: Option<RoomName>) -> Result<Option<RoomName>, Denied> {
        if self.require_list().is_ok() {
            return Ok(wanted);
        }
        let room = match wanted {
            Some(room) => room,
            None => RoomName::new(&self.video.room).ok_or(Denied::Grant("roomList"))?,
        };
        self.require_admin(&room).map(|()| Some(room))
    }

    fn require(&self, granted: bool, name: &'static str) -> Result<(), Denied> {
        if granted {
            Ok(())
        } else {
            Err(Denied::Grant(name))
        }
    }

    fn require_room(&self, room: &RoomName) -> Result<(), Denied> {
        if self.video.room == room.as_str() {
            Ok(())
        } else {
            Err(Denied::Room)
        }
    }
}

impl From<SourceName> for TrackSource {
    fn from(name: SourceName) -> Self {
        match name {
            SourceName::Camera => Self::Camera,
            SourceName::Microphone => Self::Microphone,
            SourceName::ScreenShare => Self::ScreenShare,
            SourceName::ScreenShareAudio => Self::ScreenShareAudio,
        }
    }
}
