//! A third party: a colleague whom the main agent asks to join.

use super::state::Third;
use super::timers::Timer;
use super::{Done, Machine};
use crate::command::CallRef;
use crate::error::ErrorCode;
use crate::event::{Data, Event};
use crate::ids::{CallId, DeviceRef, TenantId, UserId};
use crate::model::{Role, ThirdState};
use crate::reason::EndReason;

impl Machine {
    pub(super) fn third_ask(&mut self, from: &DeviceRef, call: &CallRef, target: &UserId) -> Done {
        let id = self.may_ask(from, call)?;
        self.check_target(from, &id, target)?;
        if let Some(call) = self.calls.get_mut(&id) {
            call.third = Some(Third {
                by: from.user.clone(),
                target: target.clone(),
                state: ThirdState::Requested,
            });
        }
        self.engage(&id, &from.tenant, target);
        let period = self.periods(&from.tenant).transfer_ms;
        let timer = Timer::Third(id.clone());
        self.timers.set(timer, self.after_ms(period));
        if let Some(event) = self.third_event(&id) {
            self.tell_user(&from.tenant, target, Some(&id), &event);
        }
        Ok(Data::None)
    }

    fn third_event(&self, id: &CallId) -> Option<Event> {
        let call = self.calls.get(id)?;
        let third = call.third.as_ref()?;
        Some(Event::ThirdUpdate {
            call: id.clone(),
            state: third.state,
            by: self.person(&call.tenant, &third.by),
            target: self.person(&call.tenant, &third.target),
            grant: None,
        })
    }

    /// The call's third party as it is now, if the asker may speak for it.
    fn third_of(
        &self,
        from: &DeviceRef,
        call: &CallRef,
        mine: impl Fn(&Third) -> bool,
    ) -> Result<(CallId, ThirdState), ErrorCode> {
        let entry = self.live(from, call)?;
        let third = entry.third.as_ref().ok_or(ErrorCode::CanceledOrTimeout)?;
        match mine(third) {
            true => Ok((entry.id.clone(), third.state)),
            false => Err(ErrorCode::Forbidden),
        }
    }

    pub(super) fn third_accept(&mut self, from: &DeviceRef, call: &CallRef) -> Done {
        let (id, state) = self.third_of(from, call, |third| third.target == from.user)?;
        if state != ThirdState::Requested {
            return Err(ErrorCode::CanceledOrTimeout);
        }
        self.timers.clear(&Timer::Third(id.clone()));
        self.set_third(&id, ThirdState::Joined);
        self.add_part(&id, from, Role::AgentThird);
        if let Some(event) = self.third_event(&id) {
            self.tell_members(&id, None, &event);
        }
        self.touch_call(&id);
        Ok(self.joined_data(&id, &from.user))
    }

    pub(super) fn third_reject(&mut self, from: &DeviceRef, call: &CallRef) -> Done {
        let (id, state) = self.third_of(from, call, |third| third.target == from.user)?;
        if state != ThirdState::Requested {
            return Err(ErrorCode::CanceledOrTimeout);
        }
        self.third_over(&id, ThirdState::Rejected);
        Ok(Data::None)
    }

    pub(super) fn third_cancel(
        &mut self,
        from: &DeviceRef,
        call: &CallRef,
        target: Option<&UserId>,
    ) -> Done {
        self.own_call(from, call)?;
        let meant = |third: &Third| {
            third.by == from.user && target.is_none_or(|target| target == &third.target)
        };
        let (id, state) = self.third_of(from, call, meant)?;
        match state {
            ThirdState::Requested => self.third_over(&id, ThirdState::Canceled),
            ThirdState::Joined => return Err(ErrorCode::AlreadyHandled),
            _ => return Err(ErrorCode::CanceledOrTimeout),
        }
        Ok(Data::None)
    }

    pub(super) fn third_remove(
        &mut self,
        from: &DeviceRef,
        call: &CallRef,
        target: Option<&UserId>,
    ) -> Done {
        self.own_call(from, call)?;
        let meant = |third: &Third| {
            third.by == from.user && target.is_none_or(|target| target == &third.target)
        };
        let (id, state) = self.third_of(from, call, meant)?;
        if state != ThirdState::Joined {
            return Err(ErrorCode::State);
        }
        let actor = self.actor(&id, from);
        self.third_out(&id, ThirdState::Removed, EndReason::Kicked, Some(actor));
        Ok(Data::None)
    }

    pub(super) fn third_quit(&mut self, from: &DeviceRef, call: &CallRef) -> Done {
        let (id, state) = self.third_of(from, call, |third| third.target == from.user)?;
        if state != ThirdState::Joined {
            return Err(ErrorCode::State);
        }
        let actor = self.actor(&id, from);
        self.third_out(&id, ThirdState::Quit, EndReason::Quit, Some(actor));
        Ok(Data::None)
    }

    pub(super) fn third_timed_out(&mut self, id: &CallId) {
        self.third_over(id, ThirdState::TimedOut);
    }

    fn set_third(&mut self, id: &CallId, state: ThirdState) -> Option<(TenantId, Third)> {
        let call = self.calls.get_mut(id)?;
        let third = call.third.as_mut()?;
        third.state = state;
        Some((call.tenant.clone(), third.clone()))
    }

    /// The third party was in and is not any more.
    fn third_out(
        &mut self,
        id: &CallId,
        state: ThirdState,
        reason: EndReason,
        actor: Option<crate::model::Actor>,
    ) {
        let Some((tenant, third)) = self.set_third(id, state) else {
            return;
        };
        if let Some(event) = self.third_event(id) {
            self.tell_member(id, &third.by, &event);
            self.tell_member(id, &third.target, &event);
        }
        self.leave(id, &third.target, reason, actor);
        self.release(id, &tenant, &third.target);
    }

    /// The request came to nothing.
    pub(super) fn third_over(&mut self, id: &CallId, state: ThirdState) {
        self.timers.clear(&Timer::Third(id.clone()));
        let Some((tenant, third)) = self.set_third(id, state) else {
            return;
        };
        if let Some(event) = self.third_event(id) {
            self.tell_user(&tenant, &third.target, Some(id), &event);
            self.tell_member(id, &third.by, &event);
        }
        self.release(id, &tenant, &third.target);
    }

    /// A participant has left: the third party itself, or who asked for it.
    pub(super) fn third_left(&mut self, id: &CallId, user: &UserId) {
        let third = self.calls.get(id).and_then(|call| call.third.clone());
        let Some(third) = third else { return };
        match third.state {
            ThirdState::Joined if &third.target == user => {
                self.set_third(id, ThirdState::Quit);
                if let Some(event) = self.third_event(id) {
                    self.tell_member(id, &third.by, &event);
                }
            }
            ThirdState::Requested if &third.by == user => self.third_over(id, ThirdState::Failed),
            _ => {}
        }
    }

    pub(super) fn third_call_over(&mut self, id: &CallId) {
        let third = self.calls.get(id).and_then(|call| call.third.clone());
        if third.is_some_and(|third| third.state == ThirdState::Requested) {
            self.third_over(id, ThirdState::Failed);
        } else {
            self.set_third_failed(id);
        }
    }

    fn set_third_failed(&mut self, id: &CallId) {
        if let Some(third) = self.calls.get_mut(id).and_then(|call| call.third.as_mut())
            && third.state == ThirdState::Joined
        {
            third.state = ThirdState::Failed;
        }
    }
}
