//! Handing a call over: asked (the target is asked and answers) and blind (the target is rung).
//!
//! The call goes on with the asker until the target's media is up; whatever fails before that leaves
//! it as it was.

use super::state::{Call, Transfer};
use super::timers::Timer;
use super::{Done, Machine};
use crate::command::CallRef;
use crate::error::ErrorCode;
use crate::event::{Data, Event};
use crate::ids::{CallId, DeviceRef, GroupId, TenantId, UserId};
use crate::media::MediaGrant;
use crate::model::{CallState, Role, SeatState, Terminal, TransferState};
use crate::reason::EndReason;

impl Machine {
    /// The call, if the asker leads it and nothing else of this kind is under way.
    pub(super) fn may_ask(&self, from: &DeviceRef, call: &CallRef) -> Result<CallId, ErrorCode> {
        let id = self.active_call(from, call)?;
        let entry = self.calls.get(&id).ok_or(ErrorCode::CallEnded)?;
        let role = entry.part(&from.user).map(|part| part.role);
        if !entry.is_pair() || matches!(role, Some(Role::Guest | Role::AgentThird) | None) {
            return Err(ErrorCode::Forbidden);
        }
        match (entry.transfer_pending(), entry.third_present()) {
            (true, _) => Err(ErrorCode::TransferPending),
            (_, true) => Err(ErrorCode::ThirdPending),
            _ => Ok(id),
        }
    }

    /// Whether a colleague can be asked.
    pub(super) fn check_target(
        &self,
        from: &DeviceRef,
        call: &CallId,
        target: &UserId,
    ) -> Result<(), ErrorCode> {
        if target == &from.user {
            return Err(ErrorCode::SelfTarget);
        }
        let there = self
            .calls
            .get(call)
            .is_some_and(|call| call.part(target).is_some());
        if there {
            return Err(ErrorCode::Duplicate);
        }
        let user = self.user(&from.tenant, target).ok_or(ErrorCode::NoAgent)?;
        let mut devices = user.online();
        if !devices.any(|(_, device)| device.terminal != Terminal::Server) {
            return Err(ErrorCode::Offline);
        }
        let rests = user.has_seat() && user.seat != SeatState::Idle;
        match rests || !user.engaged.is_empty() || user.monitoring.is_some() {
            true => Err(ErrorCode::Busy),
            false => Ok(()),
        }
    }

    pub(super) fn transfer_ask(
        &mut self,
        from: &DeviceRef,
        call: &CallRef,
        target: &UserId,
    ) -> Done {
        let id = self.may_ask(from, call)?;
        self.check_target(from, &id, target)?;
        self.begin_transfer(&id, from, target, false);
        let period = self.periods(&from.tenant).transfer_ms;
        let timer = Timer::Transfer(id.clone());
        self.timers.set(timer, self.after_ms(period));
        let event = self.transfer_event(&id, None);
        if let Some(event) = event {
            self.tell_user(&from.tenant, target, Some(&id), &event);
        }
        Ok(Data::None)
    }

    pub(super) fn transfer_blind(
        &mut self,
        from: &DeviceRef,
        call: &CallRef,
        group: Option<&GroupId>,
        target: &str,
    ) -> Done {
        let id = self.may_ask(from, call)?;
        let tenant = self.tenant(&from.tenant).ok_or(ErrorCode::NotFound)?;
        let by_number = tenant.extensions.get(target).cloned();
        let by_name = UserId::new(target).filter(|user| tenant.users.contains_key(user));
        let target = by_number.or(by_name).ok_or(ErrorCode::NotFound)?;
        let in_group = |group| {
            let user = tenant.users.get(&target);
            user.is_some_and(|user| user.record.skill_groups.contains(group))
        };
        if !group.is_none_or(in_group) {
            return Err(ErrorCode::NotFound);
        }
        self.check_target(from, &id, &target)?;
        self.begin_transfer(&id, from, &target, true);
        let extra = self.calls.get(&id).map(|call| call.extra.clone());
        self.ring(&id, &from.user, &target, extra.unwrap_or_default(), None);
        Ok(Data::None)
    }

    fn begin_transfer(&mut self, id: &CallId, from: &DeviceRef, target: &UserId, blind: bool) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        call.transfer = Some(Transfer {
            by: from.user.clone(),
            target: target.clone(),
            state: TransferState::Requested,
            blind,
        });
        self.engage(id, &from.tenant, target);
        if blind && let Some(event) = self.transfer_event(id, None) {
            self.tell_member(id, &from.user, &event);
        }
    }

    fn transfer_event(&self, id: &CallId, grant: Option<MediaGrant>) -> Option<Event> {
        let call = self.calls.get(id)?;
        let transfer = call.transfer.as_ref()?;
        Some(Event::TransferUpdate {
            call: id.clone(),
            state: transfer.state,
            blind: transfer.blind,
            by: self.person(&call.tenant, &transfer.by),
            target: self.person(&call.tenant, &transfer.target),
            grant,
        })
    }

    /// The transfer that is requested and not yet answered, where this user is asked.
    fn asked(&self, from: &DeviceRef, call: &CallRef) -> Result<CallId, ErrorCode> {
        let entry = self.live(from, call)?;
        match &entry.transfer {
            Some(transfer) if transfer.target != from.user => Err(ErrorCode::Forbidden),
            Some(transfer) if transfer.state == TransferState::Requested && !transfer.blind => {
                Ok(entry.id.clone())
            }
            _ => Err(ErrorCode::CanceledOrTimeout),
        }
    }

    pub(super) fn transfer_accept(&mut self, from: &DeviceRef, call: &CallRef) -> Done {
        let id = self.asked(from, call)?;
        self.timers.clear(&Timer::Transfer(id.clone()));
        self.add_part(&id, from, Role::Member);
        self.transfer_completing(&id);
        Ok(self.joined_data(&id, &from.user))
    }

    /// The target of a blind transfer answered the ring.
    pub(super) fn transfer_answered(&mut self, id: &CallId, user: &UserId) {
        let rung = self.calls.get(id).is_some_and(|call| {
            call.transfer.as_ref().is_some_and(|transfer| {
                &transfer.target == user && transfer.state == TransferState::Requested
            })
        });
        if rung {
            self.transfer_completing(id);
        }
    }

    fn transfer_completing(&mut self, id: &CallId) {
        let target = self.set_transfer(id, TransferState::Completing);
        let event = self.transfer_event(id, None);
        if let (Some((_, target)), Some(event)) = (target, event) {
            self.tell_members(id, Some(&target), &event);
        }
        self.touch_call(id);
    }

    /// Sets the state; whose call and who the target is.
    fn set_transfer(&mut self, id: &CallId, state: TransferState) -> Option<(TenantId, UserId)> {
        let call = self.calls.get_mut(id)?;
        let transfer = call.transfer.as_mut()?;
        transfer.state = state;
        Some((call.tenant.clone(), transfer.target.clone()))
    }

    /// The target's media is up: the asker's part is over.
    pub(super) fn transfer_media_up(&mut self, id: &CallId, user: &UserId) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let Some(transfer) = call.transfer.as_mut() else {
            return;
        };
        if &transfer.target != user || transfer.state != TransferState::Completing {
            return;
        }
        transfer.state = TransferState::Completed;
        let by = transfer.by.clone();
        let role = call.parts.get(&by).map(|part| part.role);
        if let (Some(role), Some(part)) = (role, call.parts.get_mut(user)) {
            part.role = role;
        }
        if let Some(event) = self.transfer_event(id, None) {
            self.tell_members(id, None, &event);
        }
        self.leave(id, &by, EndReason::Transferred, None);
        self.touch_call(id);
    }

    pub(super) fn transfer_reject(&mut self, from: &DeviceRef, call: &CallRef) -> Done {
        let id = self.asked(from, call)?;
        self.transfer_over(&id, TransferState::Rejected);
        Ok(Data::None)
    }

    pub(super) fn transfer_cancel(
        &mut self,
        from: &DeviceRef,
        call: &CallRef,
        target: Option<&UserId>,
    ) -> Done {
        let id = self.own_call(from, call)?;
        let entry = self.calls.get(&id).ok_or(ErrorCode::CallEnded)?;
        let transfer = entry.transfer.as_ref();
        let transfer = transfer.filter(|each| target.is_none_or(|target| target == &each.target));
        let transfer = transfer.ok_or(ErrorCode::NotFound)?;
        if transfer.by != from.user {
            return Err(ErrorCode::Forbidden);
        }
        match transfer.state {
            TransferState::Requested => {}
            TransferState::Completing | TransferState::Completed => {
                return Err(ErrorCode::AlreadyHandled);
            }
            _ => return Err(ErrorCode::CanceledOrTimeout),
        }
        let callee = transfer.target.clone();
        let invite = entry
            .live_invite_of(&callee)
            .map(|(invite, _)| invite.clone());
        match invite {
            // Its end ends the transfer, too.
            Some(invite) => self.invite_canceled(&id, &invite, EndReason::Cancel),
            None => self.transfer_over(&id, TransferState::Canceled),
        }
        Ok(Data::None)
    }

    pub(super) fn transfer_timed_out(&mut self, id: &CallId) {
        self.transfer_over(id, TransferState::TimedOut);
    }

    /// The target of a blind transfer was rung in vain.
    pub(super) fn transfer_unanswered(&mut self, id: &CallId, callee: &UserId, reason: EndReason) {
        let rung = self.calls.get(id).is_some_and(|call| {
            call.transfer.as_ref().is_some_and(|transfer| {
                transfer.blind
                    && &transfer.target == callee
                    && transfer.state == TransferState::Requested
            })
        });
        if !rung {
            return;
        }
        let state = match reason {
            EndReason::Reject => TransferState::Rejected,
            EndReason::NoAnswer => TransferState::TimedOut,
            EndReason::Cancel => TransferState::Canceled,
            _ => TransferState::Failed,
        };
        self.transfer_over(id, state);
    }

    /// Ends a transfer that was not completed; the call stays with the asker.
    pub(super) fn transfer_over(&mut self, id: &CallId, state: TransferState) {
        let pending = self.calls.get(id).is_some_and(Call::transfer_pending);
        if !pending {
            return;
        }
        self.timers.clear(&Timer::Transfer(id.clone()));
        let Some((tenant, target)) = self.set_transfer(id, state) else {
            return;
        };
        let event = self.transfer_event(id, None);
        let by = self
            .calls
            .get(id)
            .and_then(|call| call.transfer.as_ref())
            .map(|transfer| transfer.by.clone());
        if let (Some(event), Some(by)) = (event, by) {
            self.tell_user(&tenant, &target, Some(id), &event);
            self.tell_member(id, &by, &event);
        }
        // Who had answered and came no further goes again.
        self.leave(id, &target, EndReason::Cancel, None);
        self.release(id, &tenant, &target);
    }

    /// Somebody who is asked, or on the way in, is gone.
    pub(super) fn target_lost(&mut self, id: &CallId, user: &UserId) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let transfer = call.transfer.as_ref().filter(|_| call.transfer_pending());
        let of_transfer = transfer.is_some_and(|transfer| &transfer.target == user);
        let third = call.third.as_ref();
        let of_third = third.is_some_and(|third| {
            &third.target == user && third.state == crate::model::ThirdState::Requested
        });
        if of_transfer {
            let invite = call.live_invite_of(user).map(|(invite, _)| invite.clone());
            if let Some(invite) = invite {
                self.invite_refused(id, &invite, EndReason::Network, None);
            }
            self.transfer_over(id, TransferState::Failed);
        }
        if of_third {
            self.third_over(id, crate::model::ThirdState::Failed);
        }
    }

    /// The media of somebody on the way in did not come up; `true`: that was all there is to it.
    pub(super) fn target_media_failed(&mut self, id: &CallId, user: &UserId) -> bool {
        let completing = self.calls.get(id).is_some_and(|call| {
            call.transfer.as_ref().is_some_and(|transfer| {
                &transfer.target == user && transfer.state == TransferState::Completing
            })
        });
        if completing {
            self.transfer_over(id, TransferState::Failed);
        }
        completing
    }

    /// A participant left: what he asked for is over, and so is what he was asked for.
    pub(super) fn collaboration_left(&mut self, id: &CallId, user: &UserId) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let transfer = call.transfer.as_ref().filter(|_| call.transfer_pending());
        let concerns = transfer.is_some_and(|each| &each.by == user || &each.target == user);
        let invite = transfer
            .filter(|each| &each.by == user)
            .and_then(|each| call.live_invite_of(&each.target))
            .map(|(invite, _)| invite.clone());
        if let Some(invite) = invite {
            self.invite_canceled(id, &invite, EndReason::Cancel);
        }
        if concerns {
            self.transfer_over(id, TransferState::Failed);
        }
        self.third_left(id, user);
    }

    /// The call ends: so does everything that was asked.
    pub(super) fn collaboration_over(&mut self, id: &CallId) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let tenant = call.tenant.clone();
        let pending = call.transfer_pending();
        if pending && let Some(transfer) = &mut call.transfer {
            transfer.state = TransferState::Failed;
            let (target, by) = (transfer.target.clone(), transfer.by.clone());
            if let Some(event) = self.transfer_event(id, None) {
                self.tell_user(&tenant, &target, Some(id), &event);
                self.tell_member(id, &by, &event);
            }
        }
        self.third_call_over(id);
    }

    /// Whether a call may be barged into now.
    pub(super) fn transfer_completes(call: &Call) -> bool {
        call.state == CallState::Active
            && call
                .transfer
                .as_ref()
                .is_some_and(|transfer| transfer.state == TransferState::Completing)
    }
}
