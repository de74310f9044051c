//! A call is made: who is meant, whether they may be called, and whether there is room.

use std::collections::{BTreeMap, BTreeSet};

use super::call::SERIAL_BYTES_MAX;
use super::out::room_of;
use super::state::{Call, Part, Queue};
use super::{Done, Machine};
use crate::command::{CallRef, NewCall};
use crate::error::ErrorCode;
use crate::event::{Line, Stage};
use crate::ids::{CallId, DeviceRef, GroupId, TenantId, UserId};
use crate::media::MediaAction;
use crate::model::{CallKind, CallState, GroupKind, Media, Role, Target};
use crate::reason::EndReason;

/// Where a target leads.
enum Callees {
    /// These are rung.
    Users(Vec<UserId>),
    /// The agents of a skill group, one after the other.
    Queue(GroupId),
    /// Nobody here: out of the house.
    Outside,
}

impl Machine {
    pub(super) fn create_call(&mut self, from: &DeviceRef, new: NewCall) -> Done {
        let tenant = self.tenant(&from.tenant).ok_or(ErrorCode::TenantNotFound)?;
        let (settings, live) = (&tenant.settings, tenant.live_calls);
        if settings.suspended {
            return Err(ErrorCode::TenantSuspended);
        }
        if new.extra.len() > settings.limits.extra_bytes as usize
            || new.channel.len() > SERIAL_BYTES_MAX
        {
            return Err(ErrorCode::TooLarge);
        }
        if live >= settings.limits.calls {
            return Err(ErrorCode::RateLimited);
        }
        if let Target::Room { serial } = &new.target {
            let serial = serial.clone();
            let callees = new.callees.clone();
            let extra = new.extra.clone();
            let done = self.join_room(from, serial, new.media, None, new.extra)?;
            if !callees.is_empty() {
                self.invite(from, &CallRef::Current, callees, extra, new.push)?;
            }
            return Ok(done);
        }
        let callees = self.callees(from, &new)?;
        self.make_room_for(from)?;
        let count = match &callees {
            Callees::Users(users) => users.len(),
            Callees::Queue(_) | Callees::Outside => 1,
        };
        if !self.may_invite(&from.tenant, count) {
            return Err(ErrorCode::RateLimited);
        }
        let push = new.push.clone();
        let id = self.open_call(from, new)?;
        let data = self.joined_data(&id, &from.user);
        match callees {
            Callees::Users(users) => {
                self.progress(&id, Stage::Accepted, None);
                let extra = self.calls.get(&id).map(|call| call.extra.clone());
                for callee in users {
                    self.ring(
                        &id,
                        &from.user,
                        &callee,
                        extra.clone().unwrap_or_default(),
                        push.clone(),
                    );
                }
                self.notice_begin(&id);
            }
            Callees::Queue(group) => self.enqueue(&id, &group),
            Callees::Outside => {
                self.progress(&id, Stage::Accepted, None);
                self.progress(&id, Stage::Failed, Some(ErrorCode::Offline));
                self.end_call(&id, EndReason::NotReached, None);
                return Ok(data);
            }
        }
        self.check_call(&id, EndReason::NotReached, None);
        Ok(data)
    }

    /// Who is to be rung, if all is well with them.
    fn callees(&mut self, from: &DeviceRef, new: &NewCall) -> Result<Callees, ErrorCode> {
        let (tenant, me) = (&from.tenant, &from.user);
        match &new.target {
            Target::User { user } => {
                self.check_callee(tenant, me, user)?;
                Ok(Callees::Users(vec![user.clone()]))
            }
            Target::Number { number, .. } => {
                if number.is_empty() || number.len() > SERIAL_BYTES_MAX {
                    return Err(ErrorCode::Param);
                }
                let entry = self.tenant(tenant).ok_or(ErrorCode::TenantNotFound)?;
                let Some(user) = entry.extensions.get(number).cloned() else {
                    return Ok(Callees::Outside);
                };
                self.check_callee(tenant, me, &user)?;
                self.check_seat_permission(tenant, me, &user)?;
                Ok(Callees::Users(vec![user]))
            }
            Target::Queue { group } => {
                let entry = self.tenant(tenant).ok_or(ErrorCode::TenantNotFound)?;
                let skill = entry.groups.get(group).map(|group| group.kind);
                if skill != Some(GroupKind::Skill) {
                    return Err(ErrorCode::NotFound);
                }
                let mut agents = entry.users.values();
                if !agents.any(|user| user.record.skill_groups.contains(group)) {
                    return Err(ErrorCode::NoAgent);
                }
                Ok(Callees::Queue(group.clone()))
            }
            Target::Group { group } => {
                let users: BTreeSet<_> = new.callees.iter().cloned().collect();
                if users.is_empty() {
                    return Err(ErrorCode::Param);
                }
                if users.contains(me) {
                    return Err(ErrorCode::SelfTarget);
                }
                self.check_size(tenant, new.media, users.len() + 1)?;
                self.check_group(tenant, group, std::iter::once(me).chain(&users))?;
                for user in &users {
                    self.known_or_made(tenant, user)?;
                }
                Ok(Callees::Users(users.into_iter().collect()))
            }
            Target::Room { .. } => Err(ErrorCode::Param),
        }
    }

    fn check_callee(
        &mut self,
        tenant: &TenantId,
        me: &UserId,
        user: &UserId,
    ) -> Result<(), ErrorCode> {
        if me == user {
            return Err(ErrorCode::SelfTarget);
        }
        self.known_or_made(tenant, user)?;
        let blocked = self
            .user(tenant, user)
            .is_some_and(|user| user.record.blocked.contains(me));
        match (blocked, self.is_banned(tenant, user)) {
            (true, _) => Err(ErrorCode::Blocked),
            (_, true) => Err(ErrorCode::Banned),
            _ => Ok(()),
        }
    }

    fn check_seat_permission(
        &self,
        tenant: &TenantId,
        me: &UserId,
        user: &UserId,
    ) -> Result<(), ErrorCode> {
        let only = self
            .tenant(tenant)
            .is_some_and(|tenant| tenant.settings.same_group_seats_only);
        let groups = |user| {
            self.user(tenant, user)
                .map(|user| &user.record.skill_groups)
        };
        let (Some(mine), Some(theirs)) = (groups(me), groups(user)) else {
            return Ok(());
        };
        let apart = !mine.is_empty() && !theirs.is_empty();
        let common = mine.iter().any(|group| theirs.contains(group));
        match only && apart && !common {
            true => Err(ErrorCode::CalleeNoPermission),
            false => Ok(()),
        }
    }

    pub(super) fn check_group<'a>(
        &self,
        tenant: &TenantId,
        group: &GroupId,
        mut users: impl Iterator<Item = &'a UserId>,
    ) -> Result<(), ErrorCode> {
        let Some(entry) = self.tenant(tenant) else {
            return Err(ErrorCode::TenantNotFound);
        };
        if !entry.settings.check_group_members {
            return Ok(());
        }
        let group = entry.groups.get(group).ok_or(ErrorCode::NotFound)?;
        match users.all(|user| group.members.contains(user)) {
            true => Ok(()),
            false => Err(ErrorCode::NotInGroup),
        }
    }

    pub(super) fn check_size(
        &self,
        tenant: &TenantId,
        media: Media,
        people: usize,
    ) -> Result<(), ErrorCode> {
        let limits = self
            .tenant(tenant)
            .map(|tenant| tenant.settings.limits)
            .unwrap_or_default();
        let max = match media {
            Media::Audio => limits.audio_participants,
            Media::Video => limits.video_participants,
        };
        match people <= max as usize {
            true => Ok(()),
            false => Err(ErrorCode::Param),
        }
    }

    /// A user is in one call at a time. A call on another device of the same type ends for it; any
    /// other call stands in the way.
    pub(super) fn make_room_for(&mut self, from: &DeviceRef) -> Result<(), ErrorCode> {
        let user = self
            .user(&from.tenant, &from.user)
            .ok_or(ErrorCode::NotFound)?;
        if user.monitoring.is_some() {
            return Err(ErrorCode::AlreadyInCall);
        }
        let engaged: Vec<_> = user.engaged.iter().cloned().collect();
        let terminal = |name| user.devices.get(name).map(|device| device.terminal);
        let own = terminal(&from.device);
        let mut replaced = Vec::new();
        for id in engaged {
            let part = self.calls.get(&id).and_then(|call| call.part(&from.user));
            match part {
                Some(part) if part.device != from.device && terminal(&part.device) == own => {
                    replaced.push(id);
                }
                _ => return Err(ErrorCode::AlreadyInCall),
            }
        }
        for id in replaced {
            self.withdraw(&id, &from.user, EndReason::OtherDeviceNewCall);
        }
        Ok(())
    }

    pub(super) fn open_call(
        &mut self,
        from: &DeviceRef,
        new: NewCall,
    ) -> Result<CallId, ErrorCode> {
        let id = CallId::new(&self.new_id()).ok_or(ErrorCode::ServerInternal)?;
        let (line, shown) = match &new.target {
            Target::Number { number, shown } => {
                let known = self
                    .tenant(&from.tenant)
                    .is_some_and(|tenant| tenant.extensions.contains_key(number));
                let line = if known {
                    Line::Internal
                } else {
                    Line::External
                };
                (line, shown.clone().unwrap_or_else(|| number.clone()))
            }
            Target::User { user } => (Line::Internal, user.as_str().to_owned()),
            Target::Group { group } | Target::Queue { group } => {
                (Line::Internal, group.as_str().to_owned())
            }
            Target::Room { serial } => (Line::Internal, serial.clone()),
        };
        let (role, group) = match &new.target {
            Target::Queue { group } => (Role::Guest, Some(group.clone())),
            Target::Room { .. } => (Role::Host, None),
            _ => (Role::Caller, None),
        };
        let kind = match (&new.target, new.kind) {
            (Target::Queue { .. }, _) => CallKind::Queue,
            (Target::Room { .. }, _) => CallKind::Meeting,
            (Target::Group { .. }, _) => CallKind::Group,
            (Target::Number { .. }, _) => CallKind::Pstn,
            (Target::User { .. }, CallKind::Pstn) => CallKind::Pstn,
            (Target::User { .. }, _) => CallKind::Private,
        };
        let meeting = kind == CallKind::Meeting;
        let call = Call {
            id: id.clone(),
            tenant: from.tenant.clone(),
            kind,
            queue: group.clone().map(|group| Queue {
                group,
                tried: BTreeSet::new(),
            }),
            target: new.target,
            channel: new.channel,
            media: new.media,
            extra: new.extra,
            initiator: from.user.clone(),
            state: if meeting {
                CallState::Connecting
            } else {
                CallState::Creating
            },
            created_ms: self.unix_ms(),
            begin_ms: 0,
            seq: 0,
            parts: BTreeMap::from([(from.user.clone(), Part::new(role, from.device.clone()))]),
            invites: BTreeMap::new(),
            transfer: None,
            third: None,
            monitors: BTreeMap::new(),
            recording: None,
            screen: None,
            links: BTreeMap::new(),
            noticed: BTreeSet::new(),
            group,
            line,
            shown,
            rounds: BTreeMap::new(),
            recordings: Vec::new(),
        };
        self.calls.insert(id.clone(), call);
        if let Some(tenant) = self.tenants.get_mut(&from.tenant) {
            tenant.live_calls += 1;
        }
        self.engage(&id, &from.tenant, &from.user);
        self.media(MediaAction::OpenRoom {
            room: room_of(&id),
            tenant: from.tenant.clone(),
            call: id.clone(),
        });
        Ok(id)
    }
}
