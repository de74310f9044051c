//! A call begins, and people join it.

use std::collections::{BTreeMap, BTreeSet};

use super::out::room_of;
use super::state::{Call, Part, Queue};
use super::timers::Timer;
use super::{Done, Machine};
use crate::command::{CallRef, InviteRef, NewCall};
use crate::door::CallWebhookKind;
use crate::error::ErrorCode;
use crate::event::{Changed, Data, Event, Line, Stage};
use crate::ids::{CallId, DeviceRef, GroupId, TenantId, UserId};
use crate::media::MediaAction;
use crate::model::{CallKind, CallState, GroupKind, Media, MonitorState, PartState, Role, Target};
use crate::reason::EndReason;

/// Longest serial number or number to dial, in bytes.
const SERIAL_BYTES_MAX: usize = 128;

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
    /// The id of the call that is meant.
    pub(super) fn resolve(&self, from: &DeviceRef, call: &CallRef) -> Result<CallId, ErrorCode> {
        let user = self.user(&from.tenant, &from.user);
        match call {
            CallRef::Id(id) if self.calls.contains_key(id) || self.ended.contains_key(id) => {
                Ok(id.clone())
            }
            CallRef::Id(_) => Err(ErrorCode::NotFound),
            CallRef::Serial(serial) => self
                .tenant(&from.tenant)
                .and_then(|tenant| tenant.serials.get(serial).cloned())
                .ok_or(ErrorCode::NotFound),
            CallRef::Current => {
                let user = user.ok_or(ErrorCode::NotFound)?;
                let is_in = |id: &&CallId| {
                    let part = self.calls.get(*id).and_then(|call| call.part(&from.user));
                    part.is_some_and(|part| part.device == from.device)
                };
                let own = user.engaged.iter().find(is_in);
                let any = user.engaged.iter().next();
                own.or(any)
                    .or(user.monitoring.as_ref())
                    .cloned()
                    .ok_or(ErrorCode::NotFound)
            }
        }
    }

    /// A live call of the asker's tenant.
    pub(super) fn live(&self, from: &DeviceRef, call: &CallRef) -> Result<&Call, ErrorCode> {
        let id = self.resolve(from, call)?;
        match self.calls.get(&id) {
            Some(entry) if entry.tenant == from.tenant => Ok(entry),
            Some(_) => Err(ErrorCode::NotFound),
            None => match self.ended.get(&id) {
                Some(view) if view.tenant == from.tenant => Err(ErrorCode::CallEnded),
                _ => Err(ErrorCode::NotFound),
            },
        }
    }

    /// A live call that the asker is in, on this device.
    pub(super) fn own_call(&self, from: &DeviceRef, call: &CallRef) -> Result<CallId, ErrorCode> {
        let entry = self.live(from, call)?;
        match entry.part(&from.user) {
            Some(part) if part.device == from.device => Ok(entry.id.clone()),
            Some(_) => Err(ErrorCode::State),
            None => Err(ErrorCode::Forbidden),
        }
    }

    /// As [`Self::own_call`]; media of two people is up.
    pub(super) fn active_call(
        &self,
        from: &DeviceRef,
        call: &CallRef,
    ) -> Result<CallId, ErrorCode> {
        let id = self.own_call(from, call)?;
        let active = self
            .calls
            .get(&id)
            .is_some_and(|call| call.state == CallState::Active);
        active.then_some(id).ok_or(ErrorCode::State)
    }

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

    fn open_call(&mut self, from: &DeviceRef, new: NewCall) -> Result<CallId, ErrorCode> {
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

    /// What somebody who made, answered or joined a call needs.
    pub(super) fn joined_data(&self, call: &CallId, user: &UserId) -> Data {
        self.calls.get(call).map_or(Data::None, |entry| Data::Call {
            call: Box::new(self.call_view(entry)),
            grant: self.grant(call, user),
        })
    }

    /// Tells the caller how far the call is.
    pub(super) fn progress(&mut self, id: &CallId, stage: Stage, error: Option<ErrorCode>) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let position = call
            .queue
            .as_ref()
            .filter(|_| stage == Stage::Routing)
            .and_then(|queue| {
                let waiting = self.tenant(&call.tenant)?.queues.get(&queue.group)?;
                let place = waiting.iter().position(|each| each == id)?;
                u32::try_from(place + 1).ok()
            });
        let event = Event::CallProgress {
            call: id.clone(),
            stage,
            error,
            line: call.line,
            shown: call.shown.clone(),
            position,
        };
        let initiator = call.initiator.clone();
        self.tell_member(id, &initiator, &event);
    }

    pub(super) fn join_room(
        &mut self,
        from: &DeviceRef,
        serial: String,
        media: Media,
        role: Option<Role>,
        extra: String,
    ) -> Done {
        if serial.is_empty() || serial.len() > SERIAL_BYTES_MAX {
            return Err(ErrorCode::Param);
        }
        if matches!(
            role,
            Some(Role::Supervisor | Role::AgentMain | Role::AgentThird)
        ) {
            return Err(ErrorCode::Forbidden);
        }
        let tenant = self.tenant(&from.tenant).ok_or(ErrorCode::TenantNotFound)?;
        let limits = tenant.settings.limits;
        if extra.len() > limits.extra_bytes as usize {
            return Err(ErrorCode::TooLarge);
        }
        if let Some(id) = tenant.serials.get(&serial).cloned() {
            let call = self.calls.get(&id).ok_or(ErrorCode::CallEnded)?;
            match call.part(&from.user) {
                Some(part) if part.device == from.device => return Err(ErrorCode::AlreadyInCall),
                _ => {}
            }
            let people = call.here().count() + 1;
            self.check_size(&from.tenant, call.media, people)?;
            self.make_room_for_meeting(from, &id)?;
            // Making room may have ended it: then it is made anew.
            if self.calls.contains_key(&id) {
                // Who was host of it comes back as a member.
                let role = role.filter(|role| *role != Role::Host);
                self.add_part(&id, from, role.unwrap_or_default());
                self.timers.clear(&Timer::EmptyRoom(id.clone()));
                return Ok(self.joined_data(&id, &from.user));
            }
        }
        let live = self
            .tenant(&from.tenant)
            .map_or(0, |tenant| tenant.live_calls);
        if live >= limits.calls {
            return Err(ErrorCode::RateLimited);
        }
        self.make_room_for(from)?;
        let new = NewCall {
            kind: CallKind::Meeting,
            target: Target::Room {
                serial: serial.clone(),
            },
            callees: Vec::new(),
            media,
            channel: String::new(),
            extra,
            push: None,
        };
        let id = self.open_call(from, new)?;
        if let Some(tenant) = self.tenants.get_mut(&from.tenant) {
            tenant.serials.insert(serial, id.clone());
        }
        if let Some(part) = self
            .calls
            .get_mut(&id)
            .and_then(|call| call.parts.get_mut(&from.user))
        {
            part.role = role.unwrap_or(Role::Host);
        }
        self.start_connect_timer(&id, &from.user);
        self.check_call(&id, EndReason::EmptyRoom, None);
        Ok(self.joined_data(&id, &from.user))
    }

    /// As [`Self::make_room_for`], where the invitation to this meeting does not stand in the way.
    fn make_room_for_meeting(&mut self, from: &DeviceRef, id: &CallId) -> Result<(), ErrorCode> {
        let invite = self
            .calls
            .get(id)
            .and_then(|call| call.live_invite_of(&from.user));
        let Some(invite) = invite.map(|(invite, _)| invite.clone()) else {
            return self.make_room_for(from);
        };
        self.accept(from, &InviteRef::Id(invite), None, None)
            .map(|_| ())
    }

    /// Somebody may join the call's media from now on.
    pub(super) fn add_part(&mut self, id: &CallId, from: &DeviceRef, role: Role) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        if call.part(&from.user).is_some() {
            return;
        }
        let part = Part::new(role, from.device.clone());
        call.parts.insert(from.user.clone(), part);
        self.engage(id, &from.tenant, &from.user);
        self.start_connect_timer(id, &from.user);
    }

    pub(super) fn start_connect_timer(&mut self, id: &CallId, user: &UserId) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        if call.part(user).is_some_and(|part| !part.media_up) {
            let period = self.periods(&call.tenant).connect_ms;
            let timer = Timer::Connect(id.clone(), user.clone());
            self.timers.set(timer, self.after_ms(period));
        }
    }

    /// Media did not come up.
    pub(super) fn connect_timed_out(&mut self, id: &CallId, user: &UserId) {
        if self.target_media_failed(id, user) {
            return;
        }
        let lost = self.calls.get(id).and_then(|call| call.part(user));
        let reason = match lost.map(|part| part.state) {
            Some(PartState::Reconnecting) => EndReason::Network,
            _ => EndReason::DeviceError,
        };
        self.withdraw(id, user, reason);
    }

    /// Media of two people is up for the first time.
    pub(super) fn check_active(&mut self, id: &CallId) {
        let now = self.unix_ms();
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let up = call.here().filter(|(_, part)| part.media_up).count();
        if call.state != CallState::Connecting || up < 2 {
            return;
        }
        call.state = CallState::Active;
        call.begin_ms = now;
        let tenant = call.tenant.clone();
        self.touch_call(id);
        self.progress(id, Stage::Connected, None);
        self.webhook(id, CallWebhookKind::CallStarted, None);
        self.record_by_policy(id, &tenant);
    }

    pub(super) fn tell_updated(
        &mut self,
        id: &CallId,
        tenant: &TenantId,
        user: &UserId,
        part: &Part,
        changed: &[Changed],
    ) {
        let event = Event::ParticipantUpdated {
            call: id.clone(),
            participant: self.participant_view(tenant, user, part),
            changed: changed.to_vec(),
        };
        self.tell_members(id, Some(user), &event);
    }

    /// Supervisors of the call's groups learn that it began: those who are online now.
    pub(super) fn notice_begin(&mut self, id: &CallId) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let Some(event) = self.notice(call, 0) else {
            return;
        };
        let mut told = BTreeSet::new();
        let users = self
            .tenant(&call.tenant)
            .into_iter()
            .flat_map(|tenant| &tenant.users);
        for (user, entry) in users {
            let from = |device: &crate::ids::DeviceName| DeviceRef {
                tenant: call.tenant.clone(),
                user: user.clone(),
                device: device.clone(),
            };
            let own = call.part(user).is_some() || call.live_invite_of(user).is_some();
            if !entry.record.supervisor || own {
                continue;
            }
            let devices = entry.online().map(|(name, _)| from(name));
            told.extend(devices.filter(|device| self.supervises(device, call)));
        }
        let told: BTreeSet<_> = told.difference(&call.noticed).cloned().collect();
        if told.is_empty() {
            return;
        }
        let seq = self.next_seq(id);
        for device in &told {
            self.tell(device, seq, event.clone());
        }
        if let Some(call) = self.calls.get_mut(id) {
            call.noticed.extend(told);
        }
    }

    pub(super) fn notice_end(&mut self, id: &CallId) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let noticed = call.noticed.clone();
        let Some(event) = self.notice(call, self.unix_ms()) else {
            return;
        };
        let seq = self.next_seq(id);
        for device in noticed {
            self.tell(&device, seq, event.clone());
        }
    }

    fn notice(&self, call: &Call, end_ms: u64) -> Option<Event> {
        let group = self.group_of(call)?;
        // The seat of the call, as its supervisor knows it.
        let agent = call.here().find(|(_, part)| part.role == Role::AgentMain);
        let seat = agent.map_or(&call.initiator, |(user, _)| user);
        Some(Event::CallNotice {
            call: call.id.clone(),
            caller: self.person(&call.tenant, seat),
            group: Some(group),
            begin_ms: call.created_ms,
            end_ms,
        })
    }

    /// The skill group that a call belongs to: that of its queue, or of the first seat in it.
    pub(super) fn group_of(&self, call: &Call) -> Option<GroupId> {
        let callees = call.live_invites().map(|(_, invite)| &invite.callee);
        let people = call.parts.keys().chain(callees);
        let group = |user: &UserId| {
            let user = self.user(&call.tenant, user)?;
            let first = user.record.skill_groups.first();
            user.seat_group.clone().or_else(|| first.cloned())
        };
        call.group
            .clone()
            .or_else(|| people.filter_map(group).next())
    }
}

/// Whether a supervisor in this state is seen by others.
pub(super) const fn is_seen(state: MonitorState) -> bool {
    matches!(state, MonitorState::Barged)
}
