//! Ids, who is told what, and views.

use std::time::Duration;

use super::Machine;
use super::state::{Call, Device, Part, Tenant, User};
use crate::door::{CallWebhook, CallWebhookKind, Output};
use crate::event::{Delivery, Event};
use crate::ids::{CallId, DeviceRef, TenantId, UserId};
use crate::media::{MediaAction, MediaGrant};
use crate::model::{
    Actor, Call as CallView, CallProps, Invite as InviteView, MonitorState, PartState, Participant,
    Person, Role,
};
use crate::policy::Timers as Periods;

/// Events that a device may have back after a loss.
const REPLAY_MAX: usize = 256;
/// How rooms of calls are named: this and the call's id.
const ROOM_PREFIX: &str = "call-";

/// Name of a call's room.
pub(super) fn room_of(call: &CallId) -> String {
    format!("{ROOM_PREFIX}{call}")
}

/// The call of a room.
pub(super) fn call_of(room: &str) -> Option<CallId> {
    CallId::new(room.strip_prefix(ROOM_PREFIX)?)
}

impl Machine {
    /// A new id: letters and digits, different for each call of this function, hard to guess.
    pub(super) fn new_id(&mut self) -> String {
        self.ids += 1;
        // SplitMix64, twice, from different points: a bijection of the counter each.
        let mix = |mut z: u64| {
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let base = self
            .config
            .seed
            .wrapping_add(self.ids.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        format!("{:016x}", mix(base))
    }

    /// Milliseconds since the Unix epoch.
    pub(super) const fn unix_ms(&self) -> u64 {
        self.config
            .unix_ms_at_zero
            .saturating_add(self.now.as_micros() / 1000)
    }

    pub(super) fn after_ms(&self, ms: u64) -> crosspoint_wire::time::Time {
        self.now + Duration::from_millis(ms)
    }

    pub(super) fn periods(&self, tenant: &TenantId) -> Periods {
        self.tenants
            .get(tenant)
            .map_or_else(Periods::default, |tenant| tenant.settings.timers)
    }

    pub(super) fn tenant(&self, tenant: &TenantId) -> Option<&Tenant> {
        self.tenants.get(tenant)
    }

    pub(super) fn user(&self, tenant: &TenantId, user: &UserId) -> Option<&User> {
        self.tenants.get(tenant)?.users.get(user)
    }

    pub(super) fn user_mut(&mut self, tenant: &TenantId, user: &UserId) -> Option<&mut User> {
        self.tenants.get_mut(tenant)?.users.get_mut(user)
    }

    pub(super) fn device(&self, device: &DeviceRef) -> Option<&Device> {
        let user = self.user(&device.tenant, &device.user)?;
        user.devices.get(&device.device)
    }

    pub(super) fn device_mut(&mut self, device: &DeviceRef) -> Option<&mut Device> {
        let user = self.user_mut(&device.tenant, &device.user)?;
        user.devices.get_mut(&device.device)
    }

    /// Marks a user whose seat is to be looked at when the step ends.
    pub(super) fn touch(&mut self, tenant: &TenantId, user: &UserId) {
        self.touched.insert((tenant.clone(), user.clone()));
    }

    /// Marks everybody who has to do with a call.
    pub(super) fn touch_call(&mut self, call: &CallId) {
        let Some(call) = self.calls.get(call) else {
            return;
        };
        let transfer = call.transfer.as_ref().map(|transfer| &transfer.target);
        let third = call.third.as_ref().map(|third| &third.target);
        let parts = call.parts.keys();
        let callees = call.invites.values().map(|invite| &invite.callee);
        let all = parts.chain(callees).chain(transfer).chain(third);
        let all: Vec<_> = all
            .map(|user| (call.tenant.clone(), user.clone()))
            .collect();
        self.touched.extend(all);
    }

    /// The user has to do with the call from now on.
    pub(super) fn engage(&mut self, call: &CallId, tenant: &TenantId, user: &UserId) {
        if let Some(entry) = self.user_mut(tenant, user) {
            entry.engaged.insert(call.clone());
        }
        self.touch(tenant, user);
    }

    /// Takes the mark of [`Self::engage`] away, unless there is still a reason for it.
    pub(super) fn release(&mut self, call_id: &CallId, tenant: &TenantId, user: &UserId) {
        let still = self.calls.get(call_id).is_some_and(|call| {
            let asked = |by_transfer: Option<&UserId>| by_transfer == Some(user);
            let transfer = call.transfer.as_ref().filter(|_| call.transfer_pending());
            let third = call.third.as_ref().filter(|_| call.third_present());
            call.part(user).is_some()
                || call.live_invite_of(user).is_some()
                || asked(transfer.map(|transfer| &transfer.target))
                || asked(third.map(|third| &third.target))
        });
        if !still && let Some(entry) = self.user_mut(tenant, user) {
            entry.engaged.remove(call_id);
        }
        self.touch(tenant, user);
    }

    pub(super) fn person(&self, tenant: &TenantId, user: &UserId) -> Person {
        self.user(tenant, user).map_or_else(
            || Person {
                user: user.clone(),
                name: String::new(),
                portrait_uri: String::new(),
                extra: String::new(),
                extension: String::new(),
            },
            |entry| entry.record.person.clone(),
        )
    }

    /// Who did something in a call, and as what.
    pub(super) fn actor(&self, call: &CallId, by: &DeviceRef) -> Actor {
        let call = self.calls.get(call);
        let part = call.and_then(|call| call.parts.get(&by.user));
        let monitors = call.is_some_and(|call| call.monitors.contains_key(&by.user));
        Actor {
            user: by.user.clone(),
            device: Some(by.device.clone()),
            role: match (part, monitors) {
                (Some(part), _) => part.role,
                (None, true) => Role::Supervisor,
                (None, false) => Role::Member,
            },
        }
    }

    pub(super) fn media(&mut self, action: MediaAction) {
        self.out.push_back(Output::Media(action));
    }

    pub(super) fn webhook(&mut self, call: &CallId, kind: CallWebhookKind, user: Option<&UserId>) {
        let Some(entry) = self.calls.get(call) else {
            return;
        };
        let event = CallWebhook {
            kind,
            call: self.call_view(entry),
            user: user.cloned(),
            recording: None,
            at_ms: self.unix_ms(),
        };
        let tenant = entry.tenant.clone();
        self.tell_application_server(tenant, event);
    }

    pub(super) fn tell_application_server(&mut self, tenant: TenantId, event: CallWebhook) {
        let settings = self.tenant(&tenant).map(|entry| entry.settings.clone());
        self.out.push_back(Output::Webhook {
            tenant,
            settings: settings.unwrap_or_default(),
            event,
        });
    }

    /// Tells one device; while it is away the event is kept for its return.
    pub(super) fn tell(&mut self, device: &DeviceRef, call_seq: u64, event: Event) {
        let Some(entry) = self.device_mut(device) else {
            return;
        };
        entry.seq += 1;
        let delivery = Delivery {
            seq: entry.seq,
            call_seq,
            event,
        };
        if entry.replay.len() >= REPLAY_MAX {
            entry.replay.pop_front();
        }
        entry.replay.push_back(delivery.clone());
        if entry.online {
            self.out.push_back(Output::ToDevice {
                device: device.clone(),
                delivery,
            });
        }
    }

    /// The number of the call's next event.
    pub(super) fn next_seq(&mut self, call: &CallId) -> u64 {
        self.calls.get_mut(call).map_or(0, |call| {
            call.seq += 1;
            call.seq
        })
    }

    /// Tells a user on all devices.
    pub(super) fn tell_user(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
        call: Option<&CallId>,
        event: &Event,
    ) {
        let seq = call.map_or(0, |call| self.next_seq(call));
        for device in self.devices_of(tenant, user) {
            self.tell(&device, seq, event.clone());
        }
    }

    /// Tells the people in a call, each on the device that is in it.
    pub(super) fn tell_members(&mut self, call: &CallId, except: Option<&UserId>, event: &Event) {
        let seq = self.next_seq(call);
        for device in self.member_devices(call) {
            if Some(&device.user) != except {
                self.tell(&device, seq, event.clone());
            }
        }
    }

    /// Tells one person in a call.
    pub(super) fn tell_member(&mut self, call: &CallId, user: &UserId, event: &Event) {
        let seq = self.next_seq(call);
        let device = self
            .member_devices(call)
            .into_iter()
            .find(|device| &device.user == user);
        if let Some(device) = device {
            self.tell(&device, seq, event.clone());
        }
    }

    /// Devices of a user, those that are away included.
    pub(super) fn devices_of(&self, tenant: &TenantId, user: &UserId) -> Vec<DeviceRef> {
        let names = self.user(tenant, user).into_iter();
        names
            .flat_map(|entry| entry.devices.keys())
            .map(|device| DeviceRef {
                tenant: tenant.clone(),
                user: user.clone(),
                device: device.clone(),
            })
            .collect()
    }

    /// Devices that are in a call; supervisors' are not.
    fn member_devices(&self, call: &CallId) -> Vec<DeviceRef> {
        let Some(call) = self.calls.get(call) else {
            return Vec::new();
        };
        call.here()
            .map(|(user, part)| DeviceRef {
                tenant: call.tenant.clone(),
                user: user.clone(),
                device: part.device.clone(),
            })
            .collect()
    }

    /// The right to join a call's room, as the call stands.
    pub(super) fn grant(&self, call: &CallId, user: &UserId) -> Option<MediaGrant> {
        let entry = self.calls.get(call)?;
        let access = match (entry.part(user), entry.monitors.get(user)) {
            (Some(part), _) => part.access(),
            (None, Some(monitor)) => self.monitor_access(entry, monitor.state),
            (None, None) => return None,
        };
        let person = self.person(&entry.tenant, user);
        Some(MediaGrant {
            room: room_of(call),
            identity: user.as_str().to_owned(),
            name: person.name,
            access,
            token: None,
        })
    }

    pub(super) fn participant_view(
        &self,
        tenant: &TenantId,
        user: &UserId,
        part: &Part,
    ) -> Participant {
        Participant {
            person: self.person(tenant, user),
            role: part.role,
            state: part.state,
            audio: part.audio,
            video: part.video,
            screen: part.screen,
            held: part.held_by.is_some(),
        }
    }

    pub(super) fn props(call: &Call) -> CallProps {
        CallProps {
            screen_share: call.screen.clone(),
            recording: call.recording.as_ref().map(|recording| recording.state),
        }
    }

    /// A call as others see it: without hidden people.
    pub(super) fn call_view(&self, call: &Call) -> CallView {
        let tenant = &call.tenant;
        let mut participants: Vec<_> = call
            .here()
            .map(|(user, part)| self.participant_view(tenant, user, part))
            .collect();
        let barged = call
            .monitors
            .iter()
            .filter(|(_, monitor)| monitor.state == MonitorState::Barged);
        participants.extend(barged.map(|(user, _)| self.supervisor_view(tenant, user)));
        CallView {
            id: call.id.clone(),
            tenant: tenant.clone(),
            kind: call.kind,
            target: call.target.clone(),
            channel: call.channel.clone(),
            media: call.media,
            extra: call.extra.clone(),
            initiator: self.person(tenant, &call.initiator),
            state: call.state,
            participants,
            invites: call
                .live_invites()
                .map(|(id, invite)| InviteView {
                    id: id.clone(),
                    call: call.id.clone(),
                    inviter: self.person(tenant, &invite.inviter),
                    callee: self.person(tenant, &invite.callee),
                    state: invite.state,
                })
                .collect(),
            created_ms: call.created_ms,
            begin_ms: call.begin_ms,
            end_ms: 0,
            reason: None,
            props: Self::props(call),
            links: call.links.keys().cloned().collect(),
        }
    }

    /// A supervisor who has come out of hiding.
    pub(super) fn supervisor_view(&self, tenant: &TenantId, user: &UserId) -> Participant {
        Participant {
            person: self.person(tenant, user),
            role: Role::Supervisor,
            state: PartState::Joined,
            audio: true,
            video: false,
            screen: false,
            held: false,
        }
    }
}
