//! Supervision: listen unseen, whisper to the agent, barge in, leave, end.

use super::call::is_seen;
use super::out::room_of;
use super::state::{Call, Monitor};
use super::timers::Timer;
use super::{Done, Machine};
use crate::command::CallRef;
use crate::error::ErrorCode;
use crate::event::{Data, Event};
use crate::ids::{CallId, DeviceRef, UserId};
use crate::media::{Access, MediaAction};
use crate::model::{CallState, MonitorState, Role};
use crate::reason::EndReason;

impl Machine {
    /// Whether a user may supervise a call: a supervisor of a skill group of somebody in it.
    pub(super) fn supervises(&self, from: &DeviceRef, call: &Call) -> bool {
        let Some(user) = self.user(&from.tenant, &from.user) else {
            return false;
        };
        let own = &user.record.skill_groups;
        let shares = |user: &UserId| {
            let theirs = self.user(&call.tenant, user);
            theirs.is_some_and(|user| {
                let mut groups = user.record.skill_groups.iter();
                groups.any(|group| own.contains(group))
            })
        };
        let callees = call.live_invites().map(|(_, invite)| &invite.callee);
        user.record.supervisor
            && call.tenant == from.tenant
            && (call.group.as_ref().is_some_and(|group| own.contains(group))
                || call.parts.keys().chain(callees).any(shares))
    }

    /// A live call that the asker may supervise.
    fn supervised(&self, from: &DeviceRef, call: &CallRef) -> Result<&Call, ErrorCode> {
        let call = self.live(from, call)?;
        match self.supervises(from, call) {
            true => Ok(call),
            false => Err(ErrorCode::Forbidden),
        }
    }

    /// As [`Self::supervised`], and the asker's supervision is in one of these states.
    fn monitored(
        &self,
        from: &DeviceRef,
        call: &CallRef,
        states: &[MonitorState],
    ) -> Result<CallId, ErrorCode> {
        let call = self.supervised(from, call)?;
        let monitor = call.monitors.get(&from.user).ok_or(ErrorCode::State)?;
        match states.contains(&monitor.state) && monitor.device == from.device {
            true => Ok(call.id.clone()),
            false => Err(ErrorCode::State),
        }
    }

    pub(super) fn monitor_access(&self, call: &Call, state: MonitorState) -> Access {
        let agents = call.here().filter(|(user, part)| {
            let seat = self
                .user(&call.tenant, user)
                .is_some_and(|user| user.has_seat());
            part.role == Role::AgentMain || (part.role != Role::Guest && seat)
        });
        match state {
            MonitorState::Barged => Access::FULL,
            MonitorState::Whispering => Access {
                speaks: true,
                audience: Some(agents.map(|(user, _)| user.clone()).collect()),
                ..Access::LISTEN
            },
            _ => Access::LISTEN,
        }
    }

    pub(super) fn mon_start(&mut self, from: &DeviceRef, call: &CallRef) -> Done {
        let entry = self.supervised(from, call)?;
        if entry.state != CallState::Active || entry.part(&from.user).is_some() {
            return Err(ErrorCode::State);
        }
        let id = entry.id.clone();
        let user = self
            .user_mut(&from.tenant, &from.user)
            .ok_or(ErrorCode::NotFound)?;
        if user.monitoring.is_some() || !user.engaged.is_empty() {
            return Err(ErrorCode::State);
        }
        user.monitoring = Some(id.clone());
        if let Some(call) = self.calls.get_mut(&id) {
            let monitor = Monitor {
                state: MonitorState::Starting,
                device: from.device.clone(),
            };
            call.monitors.insert(from.user.clone(), monitor);
        }
        let period = self.periods(&from.tenant).monitor_start_ms;
        let timer = Timer::MonStart(id.clone(), from.user.clone());
        self.timers.set(timer, self.after_ms(period));
        self.touch(&from.tenant, &from.user);
        Ok(Data::Grant {
            grant: self.grant(&id, &from.user),
        })
    }

    /// The supervisor's media is up. `true`: it was a supervisor's.
    pub(super) fn monitor_media_up(&mut self, id: &CallId, user: &UserId) -> bool {
        let monitor = self
            .calls
            .get_mut(id)
            .and_then(|call| call.monitors.get_mut(user));
        let Some(monitor) = monitor else { return false };
        if monitor.state == MonitorState::Starting {
            monitor.state = MonitorState::Listening;
            self.timers
                .clear(&Timer::MonStart(id.clone(), user.clone()));
            self.tell_monitor(id, user);
        }
        true
    }

    fn tell_monitor(&mut self, id: &CallId, user: &UserId) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let Some(monitor) = call.monitors.get(user) else {
            return;
        };
        let device = DeviceRef {
            tenant: call.tenant.clone(),
            user: user.clone(),
            device: monitor.device.clone(),
        };
        let event = Event::MonitorUpdate {
            call: id.clone(),
            state: monitor.state,
            grant: None,
        };
        let seq = self.next_seq(id);
        self.tell(&device, seq, event);
    }

    fn set_monitor(&mut self, id: &CallId, user: &UserId, state: MonitorState) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let Some(monitor) = call.monitors.get_mut(user) else {
            return;
        };
        let was_seen = is_seen(monitor.state);
        monitor.state = state;
        let tenant = call.tenant.clone();
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let access = self.monitor_access(call, state);
        self.media(MediaAction::SetAccess {
            room: room_of(id),
            user: user.clone(),
            access,
        });
        if is_seen(state) && !was_seen {
            let event = Event::ParticipantJoined {
                call: id.clone(),
                participant: self.supervisor_view(&tenant, user),
            };
            self.tell_members(id, None, &event);
        }
        self.tell_monitor(id, user);
    }

    pub(super) fn mon_whisper(&mut self, from: &DeviceRef, call: &CallRef, on: bool) -> Done {
        let (allowed, next) = match on {
            true => (MonitorState::Listening, MonitorState::Whispering),
            false => (MonitorState::Whispering, MonitorState::Listening),
        };
        let id = self.monitored(from, call, &[allowed])?;
        self.set_monitor(&id, &from.user, next);
        Ok(Data::None)
    }

    pub(super) fn mon_barge(&mut self, from: &DeviceRef, call: &CallRef) -> Done {
        let states = [MonitorState::Listening, MonitorState::Whispering];
        let id = self.monitored(from, call, &states)?;
        let entry = self.calls.get(&id).ok_or(ErrorCode::CallEnded)?;
        let other = entry.monitors.values().any(|each| is_seen(each.state));
        if other || Self::transfer_completes(entry) {
            return Err(ErrorCode::State);
        }
        self.set_monitor(&id, &from.user, MonitorState::Barged);
        Ok(Data::None)
    }

    pub(super) fn mon_stop(&mut self, from: &DeviceRef, call: &CallRef) -> Done {
        let states = [
            MonitorState::Starting,
            MonitorState::Listening,
            MonitorState::Whispering,
        ];
        let id = self.monitored(from, call, &states)?;
        self.end_monitor(&id, &from.user);
        Ok(Data::None)
    }

    pub(super) fn mon_exit_barge(&mut self, from: &DeviceRef, call: &CallRef) -> Done {
        let id = self.monitored(from, call, &[MonitorState::Barged])?;
        self.end_monitor(&id, &from.user);
        Ok(Data::None)
    }

    pub(super) fn mon_end_call(&mut self, from: &DeviceRef, call: &CallRef) -> Done {
        let states = [
            MonitorState::Listening,
            MonitorState::Whispering,
            MonitorState::Barged,
        ];
        let id = self.monitored(from, call, &states)?;
        let actor = self.actor(&id, from);
        self.end_call(&id, EndReason::SupervisorEnd, Some(actor));
        Ok(Data::None)
    }

    pub(super) fn force_end(&mut self, from: &DeviceRef, call: &CallRef) -> Done {
        let id = self.supervised(from, call)?.id.clone();
        let actor = crate::model::Actor {
            role: Role::Supervisor,
            ..self.actor(&id, from)
        };
        self.end_call(&id, EndReason::SupervisorEnd, Some(actor));
        Ok(Data::None)
    }

    pub(super) fn mon_timed_out(&mut self, id: &CallId, user: &UserId) {
        self.end_monitor(id, user);
    }

    /// A supervisor leaves a call that goes on.
    pub(super) fn end_monitor(&mut self, id: &CallId, user: &UserId) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let Some(monitor) = call.monitors.get(user) else {
            return;
        };
        let tenant = call.tenant.clone();
        let device = DeviceRef {
            tenant: tenant.clone(),
            user: user.clone(),
            device: monitor.device.clone(),
        };
        let seen = is_seen(monitor.state);
        self.media(MediaAction::Remove {
            room: room_of(id),
            user: user.clone(),
        });
        if seen {
            let event = Event::ParticipantLeft {
                call: id.clone(),
                participant: self.supervisor_view(&tenant, user),
                reason: EndReason::HangUp,
                actor: None,
            };
            self.tell_members(id, None, &event);
        }
        self.monitor_over(id, &device);
    }

    /// Forgets a supervisor and says so.
    pub(super) fn monitor_over(&mut self, id: &CallId, device: &DeviceRef) {
        self.timers
            .clear(&Timer::MonStart(id.clone(), device.user.clone()));
        if let Some(call) = self.calls.get_mut(id) {
            call.monitors.remove(&device.user);
        }
        if let Some(user) = self.user_mut(&device.tenant, &device.user) {
            user.monitoring = None;
        }
        self.touch(&device.tenant, &device.user);
        let event = Event::MonitorUpdate {
            call: id.clone(),
            state: MonitorState::None,
            grant: None,
        };
        let seq = self.next_seq(id);
        self.tell(device, seq, event);
    }
}
