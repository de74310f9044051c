//! A call begins, people join and leave, it ends.

use std::collections::{BTreeMap, BTreeSet};

use super::out::room_of;
use super::state::{Call, Finalizing, Part, Queue};
use super::timers::Timer;
use super::{Done, ENDED_MAX, Machine};
use crate::command::{CallRef, InviteRef, NewCall};
use crate::door::{CallWebhookKind, StoreAction};
use crate::error::ErrorCode;
use crate::event::{Changed, Data, Event, Line, Stage};
use crate::ids::{CallId, DeviceRef, GroupId, TenantId, UserId};
use crate::media::MediaAction;
use crate::model::{
    Actor, CallKind, CallState, GroupKind, Media, MonitorState, PartState, RecordingState, Role,
    Target,
};
use crate::reason::EndReason;
use crate::record::CallRecord;

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

    pub(super) fn leave_room(&mut self, from: &DeviceRef, call: &CallRef) -> Done {
        let id = self.own_call(from, call)?;
        let actor = self.actor(&id, from);
        self.leave(&id, &from.user, EndReason::HangUp, Some(actor));
        Ok(Data::None)
    }

    pub(super) fn hang_up(&mut self, from: &DeviceRef, call: &CallRef) -> Done {
        let entry = self.live(from, call)?;
        let id = entry.id.clone();
        if let Some((invite, _)) = entry.live_invite_of(&from.user) {
            let invite = InviteRef::Id(invite.clone());
            return self.reject(from, &invite, None);
        }
        if entry.monitors.contains_key(&from.user) {
            self.end_monitor(&id, &from.user);
            return Ok(Data::None);
        }
        let part = entry.part(&from.user).ok_or(ErrorCode::Forbidden)?;
        if part.device != from.device {
            return Err(ErrorCode::State);
        }
        if part.role == Role::AgentThird {
            return self.third_quit(from, &CallRef::Id(id));
        }
        let unanswered = entry.state <= CallState::Ringing;
        let (pair, first) = (entry.is_pair(), entry.initiator == from.user);
        let actor = Some(self.actor(&id, from));
        match (unanswered && first, pair) {
            (true, _) => self.end_call(&id, EndReason::Cancel, actor),
            (false, true) => self.end_call(&id, EndReason::HangUp, actor),
            (false, false) => self.leave(&id, &from.user, EndReason::HangUp, actor),
        }
        Ok(Data::None)
    }

    pub(super) fn end_for_all(&mut self, from: &DeviceRef, call: &CallRef) -> Done {
        let id = self.own_call(from, call)?;
        let host = self
            .calls
            .get(&id)
            .is_some_and(|call| call.is_host(&from.user));
        if !host {
            return Err(ErrorCode::Forbidden);
        }
        let actor = self.actor(&id, from);
        self.end_call(&id, EndReason::RoomDissolved, Some(actor));
        Ok(Data::None)
    }

    pub(super) fn kick(&mut self, from: &DeviceRef, call: &CallRef, user: &UserId) -> Done {
        let id = self.own_call(from, call)?;
        let entry = self.calls.get(&id).ok_or(ErrorCode::CallEnded)?;
        if user == &from.user {
            return Err(ErrorCode::SelfTarget);
        }
        if !entry.is_host(&from.user) {
            return Err(ErrorCode::Forbidden);
        }
        let actor = Some(self.actor(&id, from));
        let entry = self.calls.get(&id).ok_or(ErrorCode::CallEnded)?;
        if entry.part(user).is_some() {
            self.leave(&id, user, EndReason::Kicked, actor);
            return Ok(Data::None);
        }
        let invite = entry.live_invite_of(user).map(|(invite, _)| invite.clone());
        let invite = invite.ok_or(ErrorCode::NotFound)?;
        self.invite_canceled(&id, &invite, EndReason::Kicked);
        self.check_call(&id, EndReason::Cancel, actor);
        Ok(Data::None)
    }

    /// One participant leaves; the call goes on if enough are left.
    pub(super) fn leave(
        &mut self,
        id: &CallId,
        user: &UserId,
        reason: EndReason,
        actor: Option<Actor>,
    ) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let tenant = call.tenant.clone();
        let Some(part) = call.parts.get_mut(user).filter(|part| part.is_here()) else {
            return;
        };
        let guest = part.role == Role::Guest;
        self.tell_call_ended(id, user, reason, actor.clone());
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let Some(part) = call.parts.get_mut(user) else {
            return;
        };
        part.state = PartState::Left;
        part.media_up = false;
        let part = part.clone();
        self.timers.clear(&Timer::Connect(id.clone(), user.clone()));
        self.timers
            .clear(&Timer::MediaLost(id.clone(), user.clone()));
        self.media(MediaAction::Remove {
            room: room_of(id),
            user: user.clone(),
        });
        let participant = self.participant_view(&tenant, user, &part);
        let event = Event::ParticipantLeft {
            call: id.clone(),
            participant,
            reason,
            actor: actor.clone(),
        };
        self.tell_members(id, Some(user), &event);
        self.webhook(id, CallWebhookKind::CallParticipantLeft, Some(user));
        self.release_held_by(id, user);
        self.drop_screen_of(id, user);
        self.collaboration_left(id, user);
        self.release(id, &tenant, user);
        match guest {
            true => self.end_call(id, reason, actor),
            false => self.check_call(id, reason, actor),
        }
    }

    /// Ends a call that nobody answers or in which nobody is left to talk to.
    pub(super) fn check_call(&mut self, id: &CallId, reason: EndReason, actor: Option<Actor>) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let live = call.live_invites().next().is_some();
        let rerings = call.rounds.keys();
        let rings_again = rerings
            .map(|user| Timer::Rering(id.clone(), user.clone()))
            .any(|timer| self.timers.is_set(&timer));
        let people = call.here().count();
        let waits = live || rings_again || call.waits() || call.transfer_pending();
        if people >= 2 || (waits && people >= 1) {
            self.timers.clear(&Timer::EmptyRoom(id.clone()));
            return;
        }
        if call.kind != CallKind::Meeting || people == 0 {
            let reason = match reason {
                EndReason::Transferred | EndReason::Quit | EndReason::Kicked => {
                    EndReason::EmptyRoom
                }
                reason => reason,
            };
            self.end_call(id, reason, actor);
            return;
        }
        let timer = Timer::EmptyRoom(id.clone());
        if !self.timers.is_set(&timer) {
            let period = self.periods(&call.tenant).empty_room_ms;
            self.timers.set(timer, self.after_ms(period));
        }
    }

    pub(super) fn stayed_empty(&mut self, id: &CallId) {
        self.end_call(id, EndReason::EmptyRoom, None);
    }

    /// Over for one device.
    fn tell_call_ended(
        &mut self,
        id: &CallId,
        user: &UserId,
        reason: EndReason,
        actor: Option<Actor>,
    ) {
        let event = self.ended_event(id, reason, actor);
        if let Some(event) = event {
            self.tell_member(id, user, &event);
        }
    }

    fn ended_event(&self, id: &CallId, reason: EndReason, actor: Option<Actor>) -> Option<Event> {
        let call = self.calls.get(id)?;
        let end_ms = self.unix_ms();
        let began = call.begin_ms > 0;
        Some(Event::CallEnded {
            call: id.clone(),
            kind: call.kind,
            target: call.target.clone(),
            channel: call.channel.clone(),
            media: call.media,
            reason,
            actor,
            answered: call.state >= CallState::Connecting,
            begin_ms: call.begin_ms,
            end_ms,
            duration_ms: if began {
                end_ms.saturating_sub(call.begin_ms)
            } else {
                0
            },
        })
    }

    /// Over for all. Everything that hangs on the call ends with it.
    pub(super) fn end_call(&mut self, id: &CallId, reason: EndReason, actor: Option<Actor>) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let tenant = call.tenant.clone();
        let mut view = self.call_view(call);
        self.touch_call(id);
        self.unlink_all(id);
        let live: Vec<_> = self
            .calls
            .get(id)
            .into_iter()
            .flat_map(|call| call.live_invites().map(|(invite, _)| invite.clone()))
            .collect();
        for invite in live {
            self.invite_canceled(id, &invite, reason);
        }
        self.collaboration_over(id);
        let event = self.ended_event(id, reason, actor.clone());
        if let Some(event) = event {
            self.tell_members(id, None, &event);
            let monitors = self.calls.get(id).map(|call| call.monitors.clone());
            for (user, monitor) in monitors.unwrap_or_default() {
                let device = DeviceRef {
                    tenant: tenant.clone(),
                    user: user.clone(),
                    device: monitor.device,
                };
                let seq = self.next_seq(id);
                self.tell(&device, seq, event.clone());
                self.monitor_over(id, &device);
            }
        }
        self.notice_end(id);
        view.state = CallState::Ended;
        view.end_ms = self.unix_ms();
        view.reason = Some(reason);
        view.invites.clear();
        self.webhook(
            id,
            CallWebhookKind::CallEnded,
            actor.as_ref().map(|actor| &actor.user),
        );
        self.timers.clear_call(id);
        let Some(call) = self.calls.remove(id) else {
            return;
        };
        self.media(MediaAction::CloseRoom { room: room_of(id) });
        self.forget_call(&call);
        self.finish_recording(&call);
        let ended_by = actor.map(|actor| actor.user);
        self.store(StoreAction::Record(Box::new(record_of(
            &call, &view, reason, ended_by,
        ))));
        self.ended.insert(id.clone(), view);
        self.ended_order.push_back(id.clone());
        if self.ended_order.len() > ENDED_MAX
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }

    /// Takes every trace of a call that is gone from users and tenant.
    fn forget_call(&mut self, call: &Call) {
        let users: BTreeSet<_> = call
            .parts
            .keys()
            .chain(call.invites.values().map(|invite| &invite.callee))
            .chain(call.transfer.as_ref().map(|transfer| &transfer.target))
            .chain(call.third.as_ref().map(|third| &third.target))
            .cloned()
            .collect();
        for user in users {
            self.release(&call.id, &call.tenant, &user);
        }
        for (user, part) in &call.parts {
            let device = DeviceRef {
                tenant: call.tenant.clone(),
                user: user.clone(),
                device: part.device.clone(),
            };
            let served = self
                .device(&device)
                .is_some_and(|device| device.terminal == crate::model::Terminal::Server);
            if served {
                self.drop_device(&device);
            }
        }
        if let Some(tenant) = self.tenants.get_mut(&call.tenant) {
            tenant.live_calls = tenant.live_calls.saturating_sub(1);
            if let Target::Room { serial } = &call.target {
                tenant.serials.remove(serial);
            }
        }
        if let Some(queue) = &call.queue {
            self.dequeue(&call.tenant, &queue.group, &call.id);
        }
    }

    /// The recording of a call that is gone is finished without it.
    fn finish_recording(&mut self, call: &Call) {
        let Some(recording) = &call.recording else {
            return;
        };
        let running = matches!(
            recording.state,
            RecordingState::Starting | RecordingState::Running
        );
        if running {
            self.media(MediaAction::StopRecording {
                room: room_of(&call.id),
                recording: recording.id.clone(),
            });
        }
        if !running && recording.state != RecordingState::Finalizing {
            return;
        }
        let agents = call
            .parts
            .iter()
            .filter(|(_, part)| part.role == Role::AgentMain);
        let mut users: Vec<_> = agents.map(|(user, _)| user.clone()).collect();
        if users.is_empty() {
            users = call.parts.keys().cloned().collect();
        }
        let finalizing = Finalizing {
            call: call.id.clone(),
            tenant: call.tenant.clone(),
            start_ms: recording.start_ms,
            end_ms: self.unix_ms(),
            users,
        };
        self.finalizing.insert(recording.id.clone(), finalizing);
        let period = self.periods(&call.tenant).rec_finalize_ms;
        let timer = Timer::RecFinalize(recording.id.clone());
        self.timers.set(timer, self.after_ms(period));
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

    fn notice_end(&mut self, id: &CallId) {
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

fn record_of(
    call: &Call,
    view: &crate::model::Call,
    reason: EndReason,
    ended_by: Option<UserId>,
) -> CallRecord {
    let began = call.begin_ms > 0;
    CallRecord {
        call: call.id.clone(),
        tenant: call.tenant.clone(),
        kind: call.kind,
        media: call.media,
        caller: call.initiator.clone(),
        target: call.shown.clone(),
        group: call.group.clone(),
        members: call.parts.keys().cloned().collect(),
        created_ms: call.created_ms,
        begin_ms: call.begin_ms,
        end_ms: view.end_ms,
        duration_ms: if began {
            view.end_ms.saturating_sub(call.begin_ms)
        } else {
            0
        },
        reason,
        ended_by,
        recordings: call.recordings.clone(),
    }
}

/// Whether a supervisor in this state is seen by others.
pub(super) const fn is_seen(state: MonitorState) -> bool {
    matches!(state, MonitorState::Barged)
}
