//! People leave a call, and it ends.

use std::collections::BTreeSet;

use super::out::room_of;
use super::state::{Call, Finalizing};
use super::timers::Timer;
use super::{Done, ENDED_MAX, Machine};
use crate::command::{CallRef, InviteRef};
use crate::door::{CallWebhookKind, StoreAction};
use crate::error::ErrorCode;
use crate::event::{Data, Event};
use crate::ids::{CallId, DeviceRef, UserId};
use crate::media::MediaAction;
use crate::model::{Actor, CallKind, CallState, PartState, RecordingState, Role, Target};
use crate::reason::EndReason;
use crate::record::CallRecord;

impl Machine {
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
        let record = record_of(&call, view.end_ms, reason, ended_by);
        self.store(StoreAction::Record(Box::new(record)));
        self.ended.insert(id.clone(), view);
        self.ended_order.push_back(id.clone());
        if self.ended_order.len() > ENDED_MAX
            && let Some(oldest) = self.ended_order.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }

    /// Keeps what there is to be known of a call if the server is lost.
    pub(super) fn note_begun(&mut self, id: &CallId) {
        let Some(call) = self.calls.get(id) else {
            return;
        };
        let record = record_of(call, call.begin_ms, EndReason::Network, None);
        self.store(StoreAction::Begun(Box::new(record)));
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
}

fn record_of(call: &Call, end_ms: u64, reason: EndReason, ended_by: Option<UserId>) -> CallRecord {
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
        end_ms,
        duration_ms: if began {
            end_ms.saturating_sub(call.begin_ms)
        } else {
            0
        },
        reason,
        ended_by,
        recordings: call.recordings.clone(),
    }
}
