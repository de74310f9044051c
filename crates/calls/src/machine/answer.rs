//! What who is rung answers: it rings here, yes, or no, and what a no leads to.

use super::timers::Timer;
use super::{Done, Machine};
use crate::command::{CallRef, InviteRef};
use crate::error::ErrorCode;
use crate::event::{Data, Event, Stage};
use crate::ids::{CallId, DeviceRef, InviteId, TenantId, UserId};
use crate::model::{CallState, InviteState, Media, Role};
use crate::policy::RejectPolicy;
use crate::reason::EndReason;

impl Machine {
    /// The invitation to the asker that is meant.
    fn resolve_invite(
        &self,
        from: &DeviceRef,
        invite: &InviteRef,
    ) -> Result<(CallId, InviteId), ErrorCode> {
        let user = self
            .user(&from.tenant, &from.user)
            .ok_or(ErrorCode::NotFound)?;
        let own = |id: &CallId| {
            let call = self.calls.get(id)?;
            let mine = call
                .invites
                .iter()
                .filter(|(_, invite)| invite.callee == from.user);
            let (invite_id, invite) = mine.max_by_key(|(_, invite)| invite.order)?;
            Some((id.clone(), invite_id.clone(), invite.order, invite.state))
        };
        match invite {
            InviteRef::Call(id) => match self.live(from, &CallRef::Id(id.clone())) {
                Ok(_) => own(id)
                    .map(|(id, invite, ..)| (id, invite))
                    .ok_or(ErrorCode::NotFound),
                Err(error) => Err(error),
            },
            InviteRef::Newest => {
                let all = user.engaged.iter().filter_map(own);
                let live = all.filter(|(.., state)| state.is_live());
                live.max_by_key(|(_, _, order, _)| *order)
                    .map(|(id, invite, ..)| (id, invite))
                    .ok_or(ErrorCode::CanceledOrTimeout)
            }
            InviteRef::Id(invite) => {
                let engaged = user.engaged.iter();
                let holds = |id: &&CallId| {
                    let call = self.calls.get(*id);
                    call.is_some_and(|call| call.invites.contains_key(invite))
                };
                let mut call = engaged.clone().find(holds);
                if call.is_none() {
                    // Answered long ago, or never for this user.
                    let mut all = self.calls.iter();
                    call = all
                        .find(|(_, call)| {
                            call.tenant == from.tenant && call.invites.contains_key(invite)
                        })
                        .map(|(id, _)| id);
                }
                let call = call.ok_or(ErrorCode::CanceledOrTimeout)?;
                let owner = self
                    .calls
                    .get(call)
                    .and_then(|call| call.invites.get(invite));
                match owner.is_some_and(|owner| owner.callee == from.user) {
                    true => Ok((call.clone(), invite.clone())),
                    false => Err(ErrorCode::Forbidden),
                }
            }
        }
    }

    /// As [`Self::resolve_invite`], and it may still be answered.
    fn answerable(
        &self,
        from: &DeviceRef,
        invite: &InviteRef,
    ) -> Result<(CallId, InviteId), ErrorCode> {
        let (call, invite) = self.resolve_invite(from, invite)?;
        let entry = self
            .calls
            .get(&call)
            .and_then(|call| call.invites.get(&invite))
            .ok_or(ErrorCode::NotFound)?;
        match entry.state {
            state if state.is_live() => Ok((call, invite)),
            InviteState::Accepted if entry.device.as_ref() == Some(&from.device) => {
                Err(ErrorCode::AlreadyHandled)
            }
            InviteState::Accepted | InviteState::Rejected => Err(ErrorCode::AcceptedElsewhere),
            _ => Err(ErrorCode::CanceledOrTimeout),
        }
    }

    pub(super) fn ringing(&mut self, from: &DeviceRef, invite: &InviteRef) -> Done {
        let (id, invite_id) = self.answerable(from, invite)?;
        let entry = self
            .invite_mut(&id, &invite_id)
            .ok_or(ErrorCode::CallEnded)?;
        if entry.state != InviteState::Ringing {
            entry.state = InviteState::Ringing;
            let event = Event::InviteRinging {
                invite: invite_id,
                call: id.clone(),
                user: self.person(&from.tenant, &from.user),
            };
            self.tell_members(&id, None, &event);
            self.progress(&id, Stage::Alerting, None);
        }
        Ok(Data::None)
    }

    pub(super) fn accept(
        &mut self,
        from: &DeviceRef,
        invite: &InviteRef,
        media: Option<Media>,
        role: Option<Role>,
    ) -> Done {
        let (id, invite_id) = self.answerable(from, invite)?;
        let allowed = |role: &Role| {
            matches!(
                role,
                Role::Member | Role::Host | Role::Audience | Role::Guest
            )
        };
        if role.is_some_and(|role| !allowed(&role) || role == Role::Host) {
            return Err(ErrorCode::Forbidden);
        }
        self.make_room_to_accept(from, &id)?;
        let invite = self
            .invite_mut(&id, &invite_id)
            .ok_or(ErrorCode::CallEnded)?;
        invite.state = InviteState::Accepted;
        invite.device = Some(from.device.clone());
        let given = invite.role;
        self.timers
            .clear(&Timer::Ring(id.clone(), invite_id.clone()));
        let mut part_role = given;
        if given == Role::Member {
            part_role = role.unwrap_or(given);
        }
        self.add_part(&id, from, part_role);
        let (mut answered, mut initiator, mut call_media) = (false, None, Media::Audio);
        if let Some(call) = self.calls.get_mut(&id) {
            if call.state < CallState::Connecting {
                call.state = CallState::Connecting;
                answered = true;
            }
            initiator = Some(call.initiator.clone());
            call_media = call.media;
        }
        // The type of media is the caller's choice; an answer may want less, never more.
        let media = match (call_media, media) {
            (Media::Video, Some(Media::Audio)) => Media::Audio,
            (of_call, _) => of_call,
        };
        if answered && let Some(initiator) = initiator {
            self.start_connect_timer(&id, &initiator);
        }
        let event = Event::InviteAccepted {
            invite: invite_id.clone(),
            call: id.clone(),
            user: self.person(&from.tenant, &from.user),
            media,
        };
        self.tell_members(&id, Some(&from.user), &event);
        self.tell_rung(&id, &event);
        self.answered_elsewhere(&id, &invite_id, from, true);
        self.queue_answered(&id);
        self.transfer_answered(&id, &from.user);
        self.notice_begin(&id);
        self.touch_call(&id);
        Ok(self.joined_data(&id, &from.user))
    }

    /// An answer leaves the older call of another device behind, as a new call would.
    fn make_room_to_accept(&mut self, from: &DeviceRef, id: &CallId) -> Result<(), ErrorCode> {
        let user = self
            .user(&from.tenant, &from.user)
            .ok_or(ErrorCode::NotFound)?;
        let others = user.engaged.iter().filter(|call| *call != id);
        let in_other = others
            .filter_map(|call| self.calls.get(call)?.part(&from.user))
            .next();
        match in_other.is_some() || user.monitoring.is_some() {
            true => Err(ErrorCode::AlreadyInCall),
            false => Ok(()),
        }
    }

    /// The user's other devices stop ringing.
    fn answered_elsewhere(
        &mut self,
        id: &CallId,
        invite: &InviteId,
        by: &DeviceRef,
        accepted: bool,
    ) {
        let event = Event::AnsweredElsewhere {
            invite: invite.clone(),
            call: id.clone(),
            device: by.device.clone(),
            accepted,
        };
        let seq = self.next_seq(id);
        for device in self.devices_of(&by.tenant, &by.user) {
            if device.device != by.device {
                self.tell(&device, seq, event.clone());
            }
        }
    }

    pub(super) fn reject(
        &mut self,
        from: &DeviceRef,
        invite: &InviteRef,
        reason: Option<EndReason>,
    ) -> Done {
        let (id, invite_id) = self.answerable(from, invite)?;
        // What a device may give as its reason; anything else is a refusal.
        let reason = match reason {
            Some(
                reason @ (EndReason::Busy
                | EndReason::SystemCall
                | EndReason::EngineUnsupported
                | EndReason::DeviceError
                | EndReason::OtherDeviceInCall),
            ) => reason,
            _ => EndReason::Reject,
        };
        self.invite_refused(&id, &invite_id, reason, Some(from));
        Ok(Data::None)
    }

    /// Rejected: by a device, or because the callee is not there any more.
    pub(super) fn invite_refused(
        &mut self,
        id: &CallId,
        invite_id: &InviteId,
        reason: EndReason,
        by: Option<&DeviceRef>,
    ) {
        let Some((tenant, callee)) = self.finish(id, invite_id, InviteState::Rejected) else {
            return;
        };
        if let Some(by) = by {
            self.answered_elsewhere(id, invite_id, by, false);
        }
        if by.is_some() && self.rings_on(id, invite_id, &tenant, &callee) {
            self.release(id, &tenant, &callee);
            return;
        }
        let event = Event::InviteRejected {
            invite: invite_id.clone(),
            call: id.clone(),
            user: self.person(&tenant, &callee),
            reason,
        };
        self.tell_members(id, None, &event);
        self.tell_rung(id, &event);
        self.invite_over(id, &tenant, &callee, reason, by);
    }

    /// Where the policy says so, a refusal is not the answer: the same seat or the next is rung.
    fn rings_on(
        &mut self,
        id: &CallId,
        invite_id: &InviteId,
        tenant: &TenantId,
        callee: &UserId,
    ) -> bool {
        let settings = self.tenant(tenant).map(|tenant| tenant.settings.clone());
        let settings = settings.unwrap_or_default();
        let seat = self
            .user(tenant, callee)
            .is_some_and(|user| user.has_seat());
        let Some(call) = self.calls.get_mut(id) else {
            return false;
        };
        let blind = call.transfer_pending();
        let queued = call.queue.is_some() && call.state < CallState::Connecting;
        if !seat || !call.is_pair() || blind || call.state >= CallState::Connecting {
            return false;
        }
        let rounds = call.rounds.entry(callee.clone()).or_default();
        *rounds += 1;
        let again = settings.reject_policy == RejectPolicy::Rering
            && *rounds < settings.limits.rering_rounds;
        if !again && !queued {
            return false;
        }
        let event = Event::InviteCanceled {
            invite: invite_id.clone(),
            call: id.clone(),
            user: self.person(tenant, callee),
            reason: EndReason::Reject,
        };
        self.tell_user(tenant, callee, Some(id), &event);
        match again {
            true => {
                let timer = Timer::Rering(id.clone(), callee.clone());
                self.timers
                    .set(timer, self.after_ms(settings.timers.rering_ms));
            }
            false => self.agent_passed(id, callee),
        }
        true
    }

    pub(super) fn ring_again(&mut self, id: &CallId, callee: &UserId) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let (inviter, extra) = (call.initiator.clone(), call.extra.clone());
        self.ring(id, &inviter, callee, extra, None);
        self.check_call(id, EndReason::Reject, None);
    }
}
