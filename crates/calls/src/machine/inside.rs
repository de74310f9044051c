//! What people in a call do: hold, digits, mutes, screens, pictures, messages, links.

use super::out::room_of;
use super::{Done, Machine};
use crate::command::{CallRef, ScreenAction, SnapshotSource};
use crate::error::ErrorCode;
use crate::event::{Changed, Data, Event, PropChanged};
use crate::ids::{CallId, DeviceRef, LinkId, MessageId, UserId};
use crate::media::MediaAction;
use crate::model::{
    CallState, Media, Message, MessageScope, PartState, Role, ScreenShare, TrackKind,
};
use crate::reason::EndReason;

/// Longest type of a message's content, in bytes.
const CONTENT_TYPE_BYTES_MAX: usize = 64;
/// Longest tip, address or detail, in bytes.
const TEXT_BYTES_MAX: usize = 2048;
/// Links of one call.
const LINKS_MAX: usize = 8;

impl Machine {
    /// The others hear nothing and are not heard: the customer where there is one, else everyone
    /// but a third party, with whom the holder may speak meanwhile.
    pub(super) fn hold(&mut self, from: &DeviceRef, call: &CallRef) -> Done {
        let id = self.active_call(from, call)?;
        let entry = self.calls.get(&id).ok_or(ErrorCode::CallEnded)?;
        let role = entry.part(&from.user).map(|part| part.role);
        if entry.here().any(|(_, part)| part.held_by.is_some()) {
            return Err(ErrorCode::State);
        }
        if matches!(role, Some(Role::Guest | Role::AgentThird | Role::Audience)) {
            return Err(ErrorCode::Forbidden);
        }
        let guest = entry
            .here()
            .find(|(_, part)| part.role == Role::Guest)
            .map(|(user, _)| user.clone());
        let others = entry
            .here()
            .filter(|(user, part)| **user != from.user && part.role != Role::AgentThird)
            .map(|(user, _)| user.clone());
        let held: Vec<_> = guest.map_or_else(|| others.collect(), |guest| vec![guest]);
        for user in held {
            self.set_held(&id, &user, Some(&from.user));
        }
        self.touch(&from.tenant, &from.user);
        Ok(Data::None)
    }

    pub(super) fn unhold(&mut self, from: &DeviceRef, call: &CallRef) -> Done {
        let id = self.active_call(from, call)?;
        let entry = self.calls.get(&id).ok_or(ErrorCode::CallEnded)?;
        let holds = entry
            .here()
            .any(|(_, part)| part.held_by.as_ref() == Some(&from.user));
        if !holds {
            return Err(ErrorCode::State);
        }
        self.release_held_by(&id, &from.user);
        self.touch(&from.tenant, &from.user);
        Ok(Data::None)
    }

    /// Takes back what somebody put on hold.
    pub(super) fn release_held_by(&mut self, id: &CallId, holder: &UserId) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let held: Vec<_> = call
            .here()
            .filter(|(_, part)| part.held_by.as_ref() == Some(holder))
            .map(|(user, _)| user.clone())
            .collect();
        for user in held {
            self.set_held(id, &user, None);
        }
    }

    fn set_held(&mut self, id: &CallId, user: &UserId, by: Option<&UserId>) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let tenant = call.tenant.clone();
        let Some(part) = call.parts.get_mut(user) else {
            return;
        };
        part.held_by = by.cloned();
        let part = part.clone();
        self.media(MediaAction::SetAccess {
            room: room_of(id),
            user: user.clone(),
            access: part.access(),
        });
        let event = Event::ParticipantUpdated {
            call: id.clone(),
            participant: self.participant_view(&tenant, user, &part),
            changed: vec![Changed::Held],
        };
        self.tell_members(id, None, &event);
    }

    pub(super) fn dtmf(&mut self, from: &DeviceRef, call: &CallRef, digit: String) -> Done {
        let id = self.active_call(from, call)?;
        let mut chars = digit.chars();
        let one = matches!((chars.next(), chars.next()), (Some(c), None)
            if c.is_ascii_digit() || matches!(c, '*' | '#' | 'A'..='D'));
        if !one {
            return Err(ErrorCode::Param);
        }
        let event = Event::DtmfReceived {
            call: id.clone(),
            user: from.user.clone(),
            digit,
        };
        self.tell_members(&id, Some(&from.user), &event);
        Ok(Data::None)
    }

    /// A client says what it sends.
    pub(super) fn publish(
        &mut self,
        from: &DeviceRef,
        call: &CallRef,
        kind: TrackKind,
        on: bool,
    ) -> Done {
        let id = self.own_call(from, call)?;
        let entry = self.calls.get(&id).ok_or(ErrorCode::CallEnded)?;
        if on && kind == TrackKind::Video && entry.media == Media::Audio {
            return Err(ErrorCode::State);
        }
        self.set_flag(&id, &from.user, kind, on);
        Ok(Data::None)
    }

    /// What somebody sends changed; others are told, if it did.
    pub(super) fn set_flag(&mut self, id: &CallId, user: &UserId, kind: TrackKind, on: bool) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let tenant = call.tenant.clone();
        let Some(part) = call.parts.get_mut(user).filter(|part| part.is_here()) else {
            return;
        };
        let (flag, changed) = match kind {
            TrackKind::Audio => (&mut part.audio, Changed::Audio),
            TrackKind::Video => (&mut part.video, Changed::Video),
            TrackKind::Screen => (&mut part.screen, Changed::Screen),
        };
        if *flag == on {
            return;
        }
        *flag = on;
        let part = part.clone();
        self.tell_updated(id, &tenant, user, &part, &[changed]);
    }

    pub(super) fn subscribe(
        &mut self,
        from: &DeviceRef,
        call: &CallRef,
        of: UserId,
        kind: TrackKind,
        wanted: bool,
        max_height: u32,
    ) -> Done {
        let id = self.own_call(from, call)?;
        let there = self
            .calls
            .get(&id)
            .is_some_and(|call| call.part(&of).is_some());
        if !there {
            return Err(ErrorCode::NotFound);
        }
        self.media(MediaAction::Subscribe {
            room: room_of(&id),
            user: from.user.clone(),
            of,
            kind,
            wanted,
            max_height,
        });
        Ok(Data::None)
    }

    pub(super) fn mute(
        &mut self,
        from: &DeviceRef,
        call: &CallRef,
        kind: TrackKind,
        muted: bool,
    ) -> Done {
        let id = self.own_call(from, call)?;
        let media = self.calls.get(&id).map(|call| call.media);
        if kind == TrackKind::Video && media == Some(Media::Audio) {
            return Err(ErrorCode::NoVideoTrack);
        }
        self.media(MediaAction::Mute {
            room: room_of(&id),
            user: from.user.clone(),
            kind,
            muted,
        });
        let event = Event::MuteChanged {
            call: id.clone(),
            user: from.user.clone(),
            kind,
            muted,
        };
        self.tell_members(&id, Some(&from.user), &event);
        self.set_flag(&id, &from.user, kind, !muted);
        Ok(Data::None)
    }

    pub(super) fn downgrade(&mut self, from: &DeviceRef, call: &CallRef) -> Done {
        let id = self.own_call(from, call)?;
        let entry = self.calls.get_mut(&id).ok_or(ErrorCode::CallEnded)?;
        if entry.state != CallState::Active {
            return Err(ErrorCode::State);
        }
        if entry.media == Media::Audio {
            return Err(ErrorCode::NoVideoTrack);
        }
        entry.media = Media::Audio;
        let users: Vec<_> = entry.here().map(|(user, _)| user.clone()).collect();
        for user in users {
            self.media(MediaAction::Mute {
                room: room_of(&id),
                user: user.clone(),
                kind: TrackKind::Video,
                muted: true,
            });
            let part = self
                .calls
                .get_mut(&id)
                .and_then(|call| call.parts.get_mut(&user));
            if let Some(part) = part {
                part.video = false;
            }
        }
        let event = Event::MediaModeChanged {
            call: id.clone(),
            by: self.person(&from.tenant, &from.user),
            media: Media::Audio,
        };
        self.tell_members(&id, Some(&from.user), &event);
        Ok(Data::None)
    }

    pub(super) fn screen_share(
        &mut self,
        from: &DeviceRef,
        call: &CallRef,
        action: ScreenAction,
        tip: String,
    ) -> Done {
        let id = self.own_call(from, call)?;
        if tip.len() > TEXT_BYTES_MAX {
            return Err(ErrorCode::TooLarge);
        }
        let entry = self.calls.get_mut(&id).ok_or(ErrorCode::CallEnded)?;
        if entry.state < CallState::Connecting {
            return Err(ErrorCode::State);
        }
        let own = entry
            .screen
            .as_ref()
            .is_some_and(|screen| screen.owner == from.user);
        let shared = |paused, tip| {
            Some(ScreenShare {
                owner: from.user.clone(),
                paused,
                tip,
            })
        };
        entry.screen = match (action, own) {
            (ScreenAction::Start, _) if entry.screen.is_none() => shared(false, tip),
            (ScreenAction::Stop, true) => None,
            (ScreenAction::Pause, true) => shared(true, tip),
            (ScreenAction::Resume, true) => shared(false, tip),
            _ => return Err(ErrorCode::State),
        };
        let sharing = entry.screen.is_some();
        self.set_flag(&id, &from.user, TrackKind::Screen, sharing);
        self.tell_props(&id, PropChanged::ScreenShare);
        Ok(Data::None)
    }

    /// Whoever leaves takes the shared screen along.
    pub(super) fn drop_screen_of(&mut self, id: &CallId, user: &UserId) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let own = call
            .screen
            .as_ref()
            .is_some_and(|screen| &screen.owner == user);
        if own {
            call.screen = None;
            self.tell_props(id, PropChanged::ScreenShare);
        }
    }

    pub(super) fn tell_props(&mut self, id: &CallId, changed: PropChanged) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let event = Event::RoomPropChanged {
            call: id.clone(),
            changed: vec![changed],
            props: Self::props(call),
        };
        self.tell_members(id, None, &event);
    }

    pub(super) fn snapshot(
        &mut self,
        from: &DeviceRef,
        call: &CallRef,
        source: SnapshotSource,
        url: Option<String>,
    ) -> Done {
        let id = self.active_call(from, call)?;
        let entry = self.calls.get(&id).ok_or(ErrorCode::CallEnded)?;
        match (source, url) {
            (SnapshotSource::Pusher, _) => Ok(Data::Snapshot {
                user: from.user.clone(),
            }),
            (SnapshotSource::Player, _) => {
                let mut others = entry.here().filter(|(user, _)| **user != from.user);
                let (user, _) = others.next().ok_or(ErrorCode::Snapshot)?;
                Ok(Data::Snapshot { user: user.clone() })
            }
            (SnapshotSource::User, None) => Err(ErrorCode::Param),
            (SnapshotSource::User, Some(url)) if url.len() > TEXT_BYTES_MAX => {
                Err(ErrorCode::TooLarge)
            }
            (SnapshotSource::User, url) => {
                let event = Event::SnapshotReady {
                    call: id.clone(),
                    source,
                    user: from.user.clone(),
                    url,
                };
                self.tell_members(&id, Some(&from.user), &event);
                Ok(Data::None)
            }
        }
    }

    /// A client's own media failed: its part in the call is over.
    pub(super) fn fault(
        &mut self,
        from: &DeviceRef,
        call: &CallRef,
        error: ErrorCode,
        detail: String,
    ) -> Done {
        let id = self.own_call(from, call)?;
        if detail.len() > TEXT_BYTES_MAX {
            return Err(ErrorCode::TooLarge);
        }
        let reason = match error {
            ErrorCode::Mic | ErrorCode::Camera | ErrorCode::MicCamera => EndReason::DeviceError,
            ErrorCode::PubAudio | ErrorCode::PubVideo | ErrorCode::PubAv => EndReason::PublishError,
            ErrorCode::Subscribe => EndReason::SubscribeError,
            ErrorCode::Codec => EndReason::EngineUnsupported,
            ErrorCode::IceFailed | ErrorCode::JoinRoom => EndReason::Network,
            _ => return Err(ErrorCode::Param),
        };
        let event = Event::DeviceFault {
            call: id.clone(),
            error,
            detail,
        };
        self.tell_member(&id, &from.user, &event);
        if !self.target_media_failed(&id, &from.user) {
            self.withdraw(&id, &from.user, reason);
        }
        Ok(Data::None)
    }

    pub(super) fn send_message(
        &mut self,
        from: &DeviceRef,
        call: &CallRef,
        to: Option<UserId>,
        content_type: String,
        content: String,
    ) -> Done {
        let id = self.own_call(from, call)?;
        let max = self
            .tenant(&from.tenant)
            .map_or(0, |tenant| tenant.settings.limits.message_bytes as usize);
        if content.len() > max || content_type.len() > CONTENT_TYPE_BYTES_MAX {
            return Err(ErrorCode::TooLarge);
        }
        let known = |user: &UserId| {
            let call = self.calls.get(&id);
            user != &from.user && call.is_some_and(|call| call.part(user).is_some())
        };
        if !to.as_ref().is_none_or(known) {
            return Err(ErrorCode::NotFound);
        }
        let message = Message {
            id: MessageId::new(&self.new_id()).ok_or(ErrorCode::ServerInternal)?,
            from: from.user.clone(),
            scope: match to {
                Some(_) => MessageScope::OneToOne,
                None => MessageScope::Group,
            },
            content_type,
            content,
            at_ms: self.unix_ms(),
        };
        let event = Event::Message {
            call: id.clone(),
            message: message.clone(),
        };
        match to {
            Some(to) => self.tell_member(&id, &to, &event),
            None => self.tell_members(&id, Some(&from.user), &event),
        }
        Ok(Data::Sent { message })
    }

    /// People of two calls are seen and heard in both.
    pub(super) fn link_room(&mut self, from: &DeviceRef, call: &CallRef, peer: &CallRef) -> Done {
        let id = self.own_call(from, call)?;
        let entry = self.calls.get(&id).ok_or(ErrorCode::CallEnded)?;
        let peer = self.live(from, peer)?;
        if peer.id == id {
            return Err(ErrorCode::SelfTarget);
        }
        if !entry.is_host(&from.user) || entry.is_pair() || peer.is_pair() {
            return Err(ErrorCode::Forbidden);
        }
        if entry.links.values().any(|other| other == &peer.id) {
            return Err(ErrorCode::Duplicate);
        }
        if entry.links.len() >= LINKS_MAX || peer.links.len() >= LINKS_MAX {
            return Err(ErrorCode::RateLimited);
        }
        let peer = peer.id.clone();
        let link = LinkId::new(&self.new_id()).ok_or(ErrorCode::ServerInternal)?;
        for (here, there) in [(&id, &peer), (&peer, &id)] {
            let users = self.media_users(here);
            self.media(MediaAction::Link {
                room: room_of(here),
                peer: room_of(there),
                users,
            });
            if let Some(call) = self.calls.get_mut(here) {
                call.links.insert(link.clone(), there.clone());
            }
            self.tell_props(here, PropChanged::Links);
        }
        Ok(Data::Link { link })
    }

    /// People whose media is up.
    fn media_users(&self, id: &CallId) -> Vec<UserId> {
        let call = self.calls.get(id).into_iter();
        let up = call.flat_map(super::state::Call::here);
        up.filter(|(_, part)| part.state == PartState::Joined)
            .map(|(user, _)| user.clone())
            .collect()
    }

    /// Whoever comes into a linked call is seen in the other one, too.
    pub(super) fn link_newcomer(&mut self, id: &CallId, user: &UserId) {
        let links = self.calls.get(id).map(|call| call.links.clone());
        for peer in links.unwrap_or_default().into_values() {
            self.media(MediaAction::Link {
                room: room_of(id),
                peer: room_of(&peer),
                users: vec![user.clone()],
            });
        }
    }

    pub(super) fn unlink_room(&mut self, from: &DeviceRef, link: &LinkId) -> Done {
        let mine = self.calls.values().find(|call| {
            call.tenant == from.tenant && call.links.contains_key(link) && call.is_host(&from.user)
        });
        let id = mine
            .map(|call| call.id.clone())
            .ok_or(ErrorCode::NotFound)?;
        self.unlink(&id, link);
        Ok(Data::None)
    }

    fn unlink(&mut self, id: &CallId, link: &LinkId) {
        let peer = self
            .calls
            .get(id)
            .and_then(|call| call.links.get(link))
            .cloned();
        let Some(peer) = peer else { return };
        for (here, there) in [(id, &peer), (&peer, id)] {
            let users = self.media_users(here);
            self.media(MediaAction::Unlink {
                room: room_of(here),
                peer: room_of(there),
                users,
            });
            if let Some(call) = self.calls.get_mut(here) {
                call.links.remove(link);
            }
            self.tell_props(here, PropChanged::Links);
        }
    }

    pub(super) fn unlink_all(&mut self, id: &CallId) {
        let links = self.calls.get(id).map(|call| call.links.clone());
        for link in links.unwrap_or_default().into_keys() {
            self.unlink(id, &link);
        }
    }
}
