//! Ringing, and its five ends: accepted, rejected, canceled, timed out, failed.

use std::collections::BTreeSet;

use super::state::{Call, Invite};
use super::timers::Timer;
use super::{Done, Machine};
use crate::command::CallRef;
use crate::door::CallWebhookKind;
use crate::error::ErrorCode;
use crate::event::{Data, Event, MissedInvite, Stage};
use crate::ids::{CallId, DeviceRef, InviteId, TenantId, UserId};
use crate::model::{Actor, CallState, InviteState, Push, Role, Target, Terminal};
use crate::reason::EndReason;

/// Missed invitations that are kept for a user who is away.
const MISSED_MAX: usize = 32;
/// Finished invitations that a call remembers, so that late answers are told what happened.
const FINISHED_MAX: usize = 256;

impl Machine {
    /// Rings one user. Whoever cannot be rung is reported to those in the call, as if he had
    /// refused.
    pub(super) fn ring(
        &mut self,
        id: &CallId,
        inviter: &UserId,
        callee: &UserId,
        extra: String,
        push: Option<Push>,
    ) -> Option<InviteId> {
        let invite_id = InviteId::new(&self.new_id())?;
        let order = self.ids;
        let call = self.calls.get(id)?;
        let tenant = call.tenant.clone();
        let failed = self.why_not_rung(id, inviter, callee);
        let role = match call.queue.is_some() {
            true => Role::AgentMain,
            false => Role::Member,
        };
        let invite = Invite {
            inviter: inviter.clone(),
            callee: callee.clone(),
            state: InviteState::Created,
            created: self.now,
            extra,
            push,
            role,
            device: None,
            order,
        };
        let call = self.calls.get_mut(id)?;
        call.invites.insert(invite_id.clone(), invite);
        if call.invites.len() > FINISHED_MAX {
            let finished = call
                .invites
                .iter()
                .filter(|(_, each)| !each.state.is_live());
            let oldest = finished.min_by_key(|(_, each)| each.order);
            if let Some(oldest) = oldest.map(|(id, _)| id.clone()) {
                call.invites.remove(&oldest);
            }
        }
        if let Some(reason) = failed {
            self.invite_failed(id, &invite_id, reason);
            return None;
        }
        let call = self.calls.get_mut(id)?;
        if call.state == CallState::Creating {
            call.state = CallState::Ringing;
        }
        self.engage(id, &tenant, callee);
        let period = self.periods(&tenant).ring_ms;
        let timer = Timer::Ring(id.clone(), invite_id.clone());
        self.timers.set(timer, self.after_ms(period));
        let devices = self.ringable(&tenant, callee);
        self.deliver(id, &invite_id, &devices);
        self.webhook(id, CallWebhookKind::CallInvited, Some(callee));
        Some(invite_id)
    }

    /// Devices that ring: all that have a person before them.
    fn ringable(&self, tenant: &TenantId, user: &UserId) -> Vec<DeviceRef> {
        let devices = self.devices_of(tenant, user).into_iter();
        devices
            .filter(|device| {
                self.device(device)
                    .is_some_and(|entry| entry.online && entry.terminal != Terminal::Server)
            })
            .collect()
    }

    fn why_not_rung(&self, id: &CallId, inviter: &UserId, callee: &UserId) -> Option<EndReason> {
        let tenant = &self.calls.get(id)?.tenant;
        let user = self.user(tenant, callee)?;
        if user.record.blocked.contains(inviter) {
            return Some(EndReason::Blocked);
        }
        if self.is_banned(tenant, callee) {
            return Some(EndReason::Banned);
        }
        // Whom a blind transfer hands this very call to is not busy with it.
        let busy = user.engaged.iter().find(|call| *call != id);
        if user.monitoring.is_some() {
            return Some(EndReason::Busy);
        }
        let call = self.calls.get(busy?)?;
        // Another device is idle while one is in a call: the idle one says which.
        let device = call.part(callee).map(|part| &part.device);
        let elsewhere = device.is_some_and(|device| self.has_other_device(tenant, callee, device));
        Some(match elsewhere {
            true => EndReason::OtherDeviceInCall,
            false => EndReason::Busy,
        })
    }

    /// Sends an invitation to devices; the first delivery makes it `Delivered`.
    fn deliver(&mut self, id: &CallId, invite_id: &InviteId, devices: &[DeviceRef]) {
        if devices.is_empty() {
            return;
        }
        let Some(event) = self.received_event(id, invite_id) else {
            return;
        };
        if let Some(invite) = self.invite_mut(id, invite_id)
            && invite.state == InviteState::Created
        {
            invite.state = InviteState::Delivered;
        }
        let seq = self.next_seq(id);
        for device in devices {
            self.tell(device, seq, event.clone());
        }
    }

    fn received_event(&self, id: &CallId, invite_id: &InviteId) -> Option<Event> {
        let call = self.calls.get(id)?;
        let invite = call.invites.get(invite_id)?;
        let due = self
            .timers
            .at(&Timer::Ring(id.clone(), invite_id.clone()))?;
        let person = |user| self.person(&call.tenant, user);
        // Who is handed a call by a blind transfer sees the one who will be spoken to.
        let blind = call
            .transfer
            .as_ref()
            .filter(|transfer| transfer.blind && transfer.target == invite.callee);
        let other = blind.and_then(|transfer| {
            let mut others = call.here().filter(|(user, _)| **user != transfer.by);
            others.next().map(|(user, _)| user)
        });
        let callees = call.live_invites().map(|(_, each)| &each.callee);
        let members = call.here().map(|(user, _)| user).chain(callees);
        Some(Event::InviteReceived {
            invite: invite_id.clone(),
            call: id.clone(),
            kind: call.kind,
            target: call.target.clone(),
            channel: call.channel.clone(),
            media: call.media,
            extra: invite.extra.clone(),
            push: invite.push.clone(),
            caller: person(other.unwrap_or(&invite.inviter)),
            members: members
                .filter(|user| **user != invite.callee)
                .map(person)
                .collect(),
            ring_ms: u64::try_from(due.since(self.now).as_millis()).unwrap_or_default(),
        })
    }

    /// What rings already rings on a device that comes online, unless it is too old.
    pub(super) fn offer_live_invites(&mut self, device: &DeviceRef) {
        let max_age = self.periods(&device.tenant).offline_invite_ms;
        let engaged = self.user(&device.tenant, &device.user).into_iter();
        let rung: Vec<_> = engaged
            .flat_map(|user| &user.engaged)
            .filter_map(|id| {
                let (invite_id, invite) = self.calls.get(id)?.live_invite_of(&device.user)?;
                let age = self.now.since(invite.created).as_millis();
                (age <= u128::from(max_age)).then(|| (id.clone(), invite_id.clone()))
            })
            .collect();
        for (id, invite) in rung {
            self.deliver(&id, &invite, std::slice::from_ref(device));
        }
    }

    pub(super) fn invite_mut(&mut self, id: &CallId, invite: &InviteId) -> Option<&mut Invite> {
        self.calls.get_mut(id)?.invites.get_mut(invite)
    }

    pub(super) fn invite(
        &mut self,
        from: &DeviceRef,
        call: &CallRef,
        callees: Vec<UserId>,
        extra: String,
        push: Option<Push>,
    ) -> Done {
        let id = self.own_call(from, call)?;
        let tenant = &from.tenant;
        let limits = self
            .tenant(tenant)
            .map(|tenant| tenant.settings.limits)
            .unwrap_or_default();
        if extra.len() > limits.extra_bytes as usize {
            return Err(ErrorCode::TooLarge);
        }
        let entry = self.calls.get(&id).ok_or(ErrorCode::CallEnded)?;
        if entry.is_pair() {
            return Err(ErrorCode::NotGroup);
        }
        if callees.is_empty() {
            return Err(ErrorCode::Param);
        }
        if callees.contains(&from.user) {
            return Err(ErrorCode::SelfTarget);
        }
        let known =
            |user: &UserId| entry.part(user).is_some() || entry.live_invite_of(user).is_some();
        let new: BTreeSet<_> = callees.into_iter().filter(|user| !known(user)).collect();
        if new.is_empty() {
            return Err(ErrorCode::Duplicate);
        }
        let people = entry.here().count() + entry.live_invites().count() + new.len();
        self.check_size(tenant, entry.media, people)?;
        if let Target::Group { group } = &entry.target {
            self.check_group(tenant, group, new.iter())?;
        }
        if !self.may_invite(tenant, new.len()) {
            return Err(ErrorCode::RateLimited);
        }
        let mut failed = Vec::new();
        let mut rung = Vec::new();
        for user in new {
            match self.known_or_made(tenant, &user) {
                Ok(()) => rung.push(user),
                Err(error) => failed.push((user, error)),
            }
        }
        if rung.is_empty() {
            return Err(ErrorCode::NotFound);
        }
        let added = Event::InviteeAdded {
            call: id.clone(),
            by: self.person(tenant, &from.user),
            users: rung.iter().map(|user| self.person(tenant, user)).collect(),
        };
        self.tell_members(&id, Some(&from.user), &added);
        self.tell_rung(&id, &added);
        let mut invites = Vec::new();
        for user in rung {
            match self.ring(&id, &from.user, &user, extra.clone(), push.clone()) {
                Some(invite) => invites.push(invite),
                None => failed.push((user, ErrorCode::Busy)),
            }
        }
        self.timers.clear(&Timer::EmptyRoom(id.clone()));
        self.check_call(&id, EndReason::EmptyRoom, None);
        Ok(Data::Invited { invites, failed })
    }

    /// Tells those who are rung at present.
    pub(super) fn tell_rung(&mut self, id: &CallId, event: &Event) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let tenant = call.tenant.clone();
        let rung = call.live_invites().map(|(_, invite)| invite.callee.clone());
        for user in rung.collect::<Vec<_>>() {
            self.tell_user(&tenant, &user, Some(id), event);
        }
    }

    pub(super) fn ring_timed_out(&mut self, id: &CallId, invite_id: &InviteId) {
        let Some((tenant, callee)) = self.finish(id, invite_id, InviteState::TimedOut) else {
            return;
        };
        let event = Event::InviteTimeout {
            invite: invite_id.clone(),
            call: id.clone(),
            user: self.person(&tenant, &callee),
        };
        let queued = self
            .calls
            .get(id)
            .is_some_and(|call| call.queue.is_some() && call.state < CallState::Connecting);
        self.tell_user(&tenant, &callee, Some(id), &event);
        if queued {
            self.release(id, &tenant, &callee);
            self.agent_passed(id, &callee);
            return;
        }
        self.tell_members(id, None, &event);
        self.tell_rung(id, &event);
        self.invite_over(id, &tenant, &callee, EndReason::NoAnswer, None);
    }

    pub(super) fn cancel_invites(
        &mut self,
        from: &DeviceRef,
        call: &CallRef,
        callees: &[UserId],
    ) -> Done {
        let id = self.own_call(from, call)?;
        let entry = self.calls.get(&id).ok_or(ErrorCode::CallEnded)?;
        let host = entry.is_host(&from.user);
        let meant = |invite: &Invite| match callees.is_empty() {
            true => invite.inviter == from.user,
            false => callees.contains(&invite.callee),
        };
        let live: Vec<_> = entry
            .live_invites()
            .filter(|(_, invite)| meant(invite))
            .map(|(id, invite)| (id.clone(), invite.inviter == from.user))
            .collect();
        if live.is_empty() {
            let mut all = entry.invites.values();
            let answered = all.any(|invite| meant(invite) && invite.state == InviteState::Accepted);
            return Err(match answered {
                true => ErrorCode::AlreadyHandled,
                false => ErrorCode::CanceledOrTimeout,
            });
        }
        if live.iter().any(|(_, own)| !own && !host) {
            return Err(ErrorCode::Forbidden);
        }
        let actor = self.actor(&id, from);
        let waits = self.calls.get(&id).is_some_and(Call::waits);
        if waits {
            // A customer has but one invitation at a time, to whoever is next: the call is meant.
            self.end_call(&id, EndReason::Cancel, Some(actor));
            return Ok(Data::None);
        }
        for (invite, _) in live {
            self.invite_canceled(&id, &invite, EndReason::Cancel);
        }
        self.check_call(&id, EndReason::Cancel, Some(actor));
        Ok(Data::None)
    }

    /// Withdrawn. What it means for the call is the caller's business.
    pub(super) fn invite_canceled(&mut self, id: &CallId, invite_id: &InviteId, reason: EndReason) {
        let Some((tenant, callee)) = self.finish(id, invite_id, InviteState::Canceled) else {
            return;
        };
        let event = Event::InviteCanceled {
            invite: invite_id.clone(),
            call: id.clone(),
            user: self.person(&tenant, &callee),
            reason,
        };
        self.tell_user(&tenant, &callee, Some(id), &event);
        self.tell_members(id, None, &event);
        self.transfer_unanswered(id, &callee, EndReason::Cancel);
        self.release(id, &tenant, &callee);
    }

    fn invite_failed(&mut self, id: &CallId, invite_id: &InviteId, reason: EndReason) {
        let Some((tenant, callee)) = self.finish(id, invite_id, InviteState::Failed) else {
            return;
        };
        let event = Event::InviteRejected {
            invite: invite_id.clone(),
            call: id.clone(),
            user: self.person(&tenant, &callee),
            reason,
        };
        let error = match reason {
            EndReason::Blocked => ErrorCode::Blocked,
            EndReason::Banned => ErrorCode::Banned,
            _ => ErrorCode::Busy,
        };
        let only = self.calls.get(id).is_some_and(|call| {
            call.state <= CallState::Ringing
                && call.live_invites().next().is_none()
                && call.is_pair()
        });
        if only {
            self.progress(id, Stage::Failed, Some(error));
        }
        self.tell_members(id, None, &event);
        self.invite_over(id, &tenant, &callee, reason, None);
    }

    /// Brings an invitation to its end, if it has not ended yet. Whose it was.
    pub(super) fn finish(
        &mut self,
        id: &CallId,
        invite_id: &InviteId,
        state: InviteState,
    ) -> Option<(TenantId, UserId)> {
        let call = self.calls.get_mut(id)?;
        let invite = call.invites.get_mut(invite_id)?;
        if !invite.state.is_live() {
            return None;
        }
        let delivered = invite.state != InviteState::Created;
        invite.state = state;
        let (tenant, callee) = (call.tenant.clone(), invite.callee.clone());
        self.timers
            .clear(&Timer::Ring(id.clone(), invite_id.clone()));
        if !delivered && state != InviteState::Failed {
            self.note_missed(id, &callee, state);
        }
        Some((tenant, callee))
    }

    fn note_missed(&mut self, id: &CallId, callee: &UserId, state: InviteState) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let tenant = call.tenant.clone();
        let missed = MissedInvite {
            call: id.clone(),
            kind: call.kind,
            target: call.target.clone(),
            channel: call.channel.clone(),
            caller: self.person(&tenant, &call.initiator),
            media: call.media,
            invited_ms: call.created_ms,
            reason: Some(match state {
                InviteState::TimedOut => EndReason::NoAnswer,
                InviteState::Rejected => EndReason::Reject,
                _ => EndReason::Cancel,
            }),
        };
        if let Some(user) = self.user_mut(&tenant, callee) {
            if user.missed.len() >= MISSED_MAX {
                user.missed.pop_front();
            }
            user.missed.push_back(missed);
        }
    }

    /// What the end of an invitation means for a transfer and for the call.
    pub(super) fn invite_over(
        &mut self,
        id: &CallId,
        tenant: &TenantId,
        callee: &UserId,
        reason: EndReason,
        by: Option<&DeviceRef>,
    ) {
        self.transfer_unanswered(id, callee, reason);
        self.release(id, tenant, callee);
        let actor = Actor {
            user: callee.clone(),
            device: by.map(|by| by.device.clone()),
            role: Role::Member,
        };
        self.check_call(id, reason, Some(actor));
    }
}
