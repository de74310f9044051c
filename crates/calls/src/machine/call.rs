//! Which call is meant, how people join it, and when it begins.

use std::collections::BTreeSet;

use super::state::{Call, Part};
use super::timers::Timer;
use super::{Done, Machine};
use crate::command::{CallRef, InviteRef, NewCall};
use crate::door::CallWebhookKind;
use crate::error::ErrorCode;
use crate::event::{Changed, Data, Event, Stage};
use crate::ids::{CallId, DeviceRef, GroupId, TenantId, UserId};
use crate::model::{CallKind, CallState, Media, MonitorState, PartState, Role, Target};
use crate::reason::EndReason;

/// Longest serial number or number to dial, in bytes.
pub(super) const SERIAL_BYTES_MAX: usize = 128;

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
        self.note_begun(id);
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
