//! Agents' seats and the queues before them.
//!
//! A seat's state is never set: it follows from the calls its user has to do with and from the wish
//! to rest, and is worked out anew for everyone whom a step touched. What changed is told.

use super::Machine;
use super::timers::Timer;
use crate::command::SeatWish;
use crate::error::ErrorCode;
use crate::event::{Data, Event, Stage};
use crate::ids::{CallId, DeviceRef, GroupId, TenantId, UserId};
use crate::model::{CallState, SeatState};
use crate::reason::EndReason;

impl Machine {
    pub(super) fn set_seat(&mut self, from: &DeviceRef, wish: SeatWish) -> super::Done {
        let user = self
            .user_mut(&from.tenant, &from.user)
            .ok_or(ErrorCode::NotFound)?;
        if !user.has_seat() {
            return Err(ErrorCode::NotEnabled);
        }
        let resting = match (wish, user.seat) {
            (SeatWish::Ready, SeatState::Busy) => false,
            (SeatWish::Rest, SeatState::Idle) => true,
            // Emic's own words: idle and busy may be said again, and during a call.
            (SeatWish::Busy, _) => true,
            (SeatWish::Ready, SeatState::Ringing | SeatState::Talking | SeatState::Held)
                if user.resting =>
            {
                false
            }
            _ => return Err(ErrorCode::State),
        };
        user.resting = resting;
        self.touch(&from.tenant, &from.user);
        Ok(Data::None)
    }

    fn seat_state(&self, tenant: &TenantId, user: &UserId) -> SeatState {
        let Some(entry) = self.user(tenant, user) else {
            return SeatState::Offline;
        };
        if !entry.has_seat() {
            return SeatState::Offline;
        }
        let mut state = match entry.resting {
            true => SeatState::Busy,
            false => SeatState::Idle,
        };
        let mut in_call = None;
        for id in &entry.engaged {
            let Some(call) = self.calls.get(id) else {
                continue;
            };
            let answered = call.state >= CallState::Connecting;
            match call.part(user) {
                Some(_) if answered => {
                    let holds = call
                        .here()
                        .any(|(_, part)| part.held_by.as_ref() == Some(user));
                    in_call = Some(match holds {
                        true => SeatState::Held,
                        false => SeatState::Talking,
                    });
                }
                _ => state = SeatState::Ringing,
            }
        }
        if entry.monitoring.is_some() && in_call.is_none() {
            in_call = Some(SeatState::Talking);
        }
        in_call.unwrap_or(state)
    }

    pub(super) fn refresh_seat(&mut self, tenant: &TenantId, user: &UserId) {
        let new = self.seat_state(tenant, user);
        let now = self.now;
        let Some(entry) = self.user_mut(tenant, user) else {
            return;
        };
        let old = entry.seat;
        if old == new {
            return;
        }
        entry.seat = new;
        let groups = match &entry.seat_group {
            Some(group) => vec![group.clone()],
            None => entry.record.skill_groups.clone(),
        };
        let seats = entry.devices.iter().filter(|(_, device)| device.seat);
        let seats: Vec<_> = seats
            .map(|(name, _)| DeviceRef {
                tenant: tenant.clone(),
                user: user.clone(),
                device: name.clone(),
            })
            .collect();
        if new == SeatState::Idle {
            entry.idle_since = now;
        }
        let event = Event::SeatChanged {
            agent: user.clone(),
            old,
            new,
        };
        for device in seats {
            self.tell(&device, 0, event.clone());
        }
        self.tell_supervisors(tenant, user, &groups, &event);
        if new != SeatState::Idle {
            return;
        }
        // Whoever comes back to work may be asked again.
        if old != SeatState::Ringing {
            for call in self
                .calls
                .values_mut()
                .filter(|call| &call.tenant == tenant)
            {
                if let Some(queue) = &mut call.queue {
                    queue.tried.remove(user);
                }
            }
        }
        for group in groups {
            self.dispatch(tenant, &group);
        }
    }

    fn tell_supervisors(
        &mut self,
        tenant: &TenantId,
        agent: &UserId,
        groups: &[GroupId],
        event: &Event,
    ) {
        let Some(entry) = self.tenant(tenant) else {
            return;
        };
        let watches = |(id, user): &(&UserId, &super::state::User)| {
            let own = &user.record.skill_groups;
            user.record.supervisor
                && *id != agent
                && user.has_seat()
                && groups.iter().any(|group| own.contains(group))
        };
        let supervisors = entry.users.iter().filter(watches);
        let supervisors: Vec<_> = supervisors.map(|(id, _)| id.clone()).collect();
        for supervisor in supervisors {
            self.tell_user(tenant, &supervisor, None, event);
        }
    }

    /// A customer waits for an agent.
    pub(super) fn enqueue(&mut self, id: &CallId, group: &GroupId) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let tenant = call.tenant.clone();
        if let Some(entry) = self.tenants.get_mut(&tenant) {
            let queue = entry.queues.entry(group.clone()).or_default();
            queue.push_back(id.clone());
        }
        let period = self.periods(&tenant).queue_ms;
        self.timers
            .set(Timer::Queue(id.clone()), self.after_ms(period));
        self.progress(id, Stage::Accepted, None);
        self.progress(id, Stage::Routing, None);
        self.notice_begin(id);
        self.dispatch(&tenant, group);
    }

    /// The call waits no longer; those behind it move up.
    pub(super) fn dequeue(&mut self, tenant: &TenantId, group: &GroupId, id: &CallId) {
        let Some(queue) = self
            .tenants
            .get_mut(tenant)
            .and_then(|entry| entry.queues.get_mut(group))
        else {
            return;
        };
        let Some(place) = queue.iter().position(|each| each == id) else {
            return;
        };
        queue.remove(place);
        let behind: Vec<_> = queue.iter().skip(place).cloned().collect();
        for call in behind {
            self.progress(&call, Stage::Routing, None);
        }
    }

    /// Gives waiting calls to idle agents: first come first served, longest idle first asked.
    pub(super) fn dispatch(&mut self, tenant: &TenantId, group: &GroupId) {
        let waiting = self
            .tenant(tenant)
            .and_then(|entry| entry.queues.get(group))
            .cloned()
            .unwrap_or_default();
        for id in waiting {
            let Some(call) = self.calls.get(&id) else {
                continue;
            };
            let rung = call.live_invites().next().is_some();
            let rering = call
                .rounds
                .keys()
                .any(|user| self.timers.is_set(&Timer::Rering(id.clone(), user.clone())));
            if rung || rering || !call.waits() {
                continue;
            }
            let Some(agent) = self.idle_agent(tenant, group, &id) else {
                continue;
            };
            let Some(call) = self.calls.get(&id) else {
                continue;
            };
            let (customer, extra) = (call.initiator.clone(), call.extra.clone());
            self.ring(&id, &customer, &agent, extra, None);
            // The next call in the queue must not find the same agent idle.
            if let Some(user) = self.user_mut(tenant, &agent)
                && user.seat == SeatState::Idle
            {
                self.touched.remove(&(tenant.clone(), agent.clone()));
                self.refresh_seat(tenant, &agent);
            }
        }
    }

    fn idle_agent(&self, tenant: &TenantId, group: &GroupId, call: &CallId) -> Option<UserId> {
        let queue = self.calls.get(call)?.queue.as_ref()?;
        let takes = |(id, user): &(&UserId, &super::state::User)| {
            let here = match &user.seat_group {
                Some(own) => own == group,
                None => user.record.skill_groups.contains(group),
            };
            here && user.seat == SeatState::Idle
                && user.engaged.is_empty()
                && user.online().any(|(_, device)| device.seat)
                && !queue.tried.contains(*id)
        };
        let agents = self.tenant(tenant)?.users.iter().filter(takes);
        let longest = agents.min_by_key(|(_, user)| user.idle_since);
        longest.map(|(id, _)| id.clone())
    }

    /// An agent answered: the call waits no longer.
    pub(super) fn queue_answered(&mut self, id: &CallId) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let Some(queue) = &call.queue else { return };
        let (tenant, group) = (call.tenant.clone(), queue.group.clone());
        self.timers.clear(&Timer::Queue(id.clone()));
        self.dequeue(&tenant, &group, id);
    }

    /// An agent refused or did not answer: the next is asked.
    pub(super) fn agent_passed(&mut self, id: &CallId, agent: &UserId) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let tenant = call.tenant.clone();
        let Some(queue) = &mut call.queue else { return };
        queue.tried.insert(agent.clone());
        let group = queue.group.clone();
        if call.live_invites().next().is_none() {
            call.state = CallState::Creating;
        }
        self.dispatch(&tenant, &group);
    }

    pub(super) fn queue_timed_out(&mut self, id: &CallId) {
        self.end_call(id, EndReason::AutoEnd, None);
    }
}
