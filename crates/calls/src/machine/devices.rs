//! Devices come, are lost, come back and go; queries.

use std::collections::VecDeque;

use super::state::Device;
use super::timers::Timer;
use super::{Done, Machine};
use crate::command::{CallRef, Login, QueryScope};
use crate::door::{Output, StoreAction};
use crate::error::ErrorCode;
use crate::event::{Changed, Data, Event};
use crate::ids::{CallId, DeviceName, DeviceRef, GroupId, SessionKey, TenantId, UserId};
use crate::model::{ConnState, GroupKind, MonitorState, PartState, Push, Role, Terminal};
use crate::policy::LoginPolicy;
use crate::reason::EndReason;

/// Longest profile field, in bytes.
const PROFILE_BYTES_MAX: usize = 4096;
/// Agents per page when the client does not say.
const PAGE_DEFAULT: u32 = 20;
const PAGE_MAX: u32 = 200;
/// Devices of one user that lost their connection and may come back. A page that is loaded anew is
/// another device, and what it was before is kept for a while.
const AWAY_MAX: usize = 64;
/// Users per query.
const USERS_MAX: usize = 200;

impl Machine {
    pub(super) fn login(&mut self, from: &DeviceRef, login: &Login) -> Done {
        let tenant = self.tenant(&from.tenant).ok_or(ErrorCode::TenantNotFound)?;
        if tenant.settings.suspended {
            return Err(ErrorCode::TenantSuspended);
        }
        let (policy, limits) = (tenant.settings.login_policy, tenant.settings.limits);
        if self.is_banned(&from.tenant, &from.user) {
            return Err(ErrorCode::Banned);
        }
        self.known_or_made(&from.tenant, &from.user)
            .map_err(|_| ErrorCode::AccountInvalid)?;
        let user = self
            .user(&from.tenant, &from.user)
            .ok_or(ErrorCode::AccountInvalid)?;
        if let Some(group) = &login.skill_group
            && !user.record.skill_groups.contains(group)
        {
            return Err(ErrorCode::Forbidden);
        }
        let known = user.devices.contains_key(&from.device);
        let online = user.online().count();
        let away = user.devices.len() - online;
        if !known && (online >= limits.devices_per_user as usize || away >= AWAY_MAX) {
            return Err(ErrorCode::RateLimited);
        }
        let others: Vec<_> = user
            .devices
            .iter()
            .filter(|(name, device)| {
                **name != from.device
                    && match policy {
                        LoginPolicy::Coexist => false,
                        LoginPolicy::SameTerminal => device.terminal == login.terminal,
                        LoginPolicy::Single => true,
                    }
            })
            .map(|(name, device)| (name.clone(), device.online))
            .collect();
        self.put_device(from, login);
        for (name, online) in others {
            let other = DeviceRef {
                device: name.clone(),
                ..from.clone()
            };
            // Who lost the connection and comes back under another name (a page that was loaded
            // anew) goes on with the call; who is turned out while online loses it.
            match online {
                true => {
                    self.leave_on_device(&other, EndReason::OtherDeviceNewCall);
                    self.kick_device(&other, ErrorCode::KickedOtherDevice);
                }
                false => {
                    self.hand_over(&other, &from.device);
                    self.drop_device(&other);
                }
            }
        }
        self.welcome(from);
        Ok(Data::None)
    }

    fn put_device(&mut self, from: &DeviceRef, login: &Login) {
        let key = format!("{}{}", self.new_id(), self.new_id());
        let Some(session_key) = SessionKey::new(&key) else {
            return;
        };
        let now = self.now;
        let Some(user) = self.user_mut(&from.tenant, &from.user) else {
            return;
        };
        if login.seat {
            user.seat_group.clone_from(&login.skill_group);
            user.resting = false;
            user.idle_since = now;
        }
        let device = Device {
            terminal: login.terminal,
            online: true,
            seat: login.seat,
            session_key,
            seq: 0,
            replay: VecDeque::new(),
            results: VecDeque::new(),
        };
        user.devices.insert(from.device.clone(), device);
        self.timers.clear(&Timer::Reconnect(from.clone()));
        self.alive(from);
        self.touch(&from.tenant, &from.user);
    }

    /// A device without a connection, for calls that the server makes in a user's name.
    pub(super) fn add_server_device(&mut self, from: &DeviceRef) {
        let login = Login {
            terminal: Terminal::Server,
            skill_group: None,
            seat: false,
        };
        self.put_device(from, &login);
    }

    /// Everything that a device that came online has to know.
    fn welcome(&mut self, from: &DeviceRef) {
        self.settle();
        let Some(user) = self.user(&from.tenant, &from.user) else {
            return;
        };
        let Some(device) = user.devices.get(&from.device) else {
            return;
        };
        let connected = Event::Connected {
            user: user.record.person.clone(),
            device: from.device.clone(),
            session_key: device.session_key.clone(),
            seat: device.seat.then_some(user.seat),
        };
        self.tell(from, 0, connected);
        self.offer_live_invites(from);
        let missed = self
            .user_mut(&from.tenant, &from.user)
            .map(|user| std::mem::take(&mut user.missed))
            .unwrap_or_default();
        if !missed.is_empty() {
            let records = missed.into();
            self.tell(from, 0, Event::OfflineInvites { records });
        }
        self.recover(from);
    }

    /// Tells a device that is back which call goes on.
    fn recover(&mut self, device: &DeviceRef) {
        for call in self.calls_on(device) {
            let Some(entry) = self.calls.get(&call) else {
                continue;
            };
            let event = Event::CallRecovered {
                call: self.call_view(entry),
                state: entry.state,
                grant: self.grant(&call, &device.user),
            };
            let seq = self.next_seq(&call);
            self.tell(device, seq, event);
            self.part_network(&call, &device.user, true);
        }
    }

    /// Calls that a device is in.
    fn calls_on(&self, device: &DeviceRef) -> Vec<CallId> {
        let engaged = self.user(&device.tenant, &device.user).into_iter();
        engaged
            .flat_map(|user| user.engaged.iter())
            .filter(|id| {
                let call = self.calls.get(*id);
                let part = call.and_then(|call| call.part(&device.user));
                part.is_some_and(|part| part.device == device.device)
            })
            .cloned()
            .collect()
    }

    fn leave_on_device(&mut self, device: &DeviceRef, reason: EndReason) {
        for call in self.calls_on(device) {
            self.withdraw(&call, &device.user, reason);
        }
        self.stop_monitor_on(device);
    }

    fn stop_monitor_on(&mut self, device: &DeviceRef) {
        let monitoring = self
            .user(&device.tenant, &device.user)
            .and_then(|user| user.monitoring.clone());
        let Some(call) = monitoring else { return };
        let here = self.calls.get(&call).is_some_and(|entry| {
            let monitor = entry.monitors.get(&device.user);
            monitor.is_some_and(|monitor| monitor.device == device.device)
        });
        if here {
            self.end_monitor(&call, &device.user);
        }
    }

    fn hand_over(&mut self, old: &DeviceRef, new: &DeviceName) {
        for call in self.calls_on(old) {
            let part = self
                .calls
                .get_mut(&call)
                .and_then(|call| call.parts.get_mut(&old.user));
            if let Some(part) = part {
                part.device = new.clone();
            }
        }
    }

    pub(super) fn reconnect(&mut self, from: &DeviceRef, key: &SessionKey, last_seq: u64) -> Done {
        let device = self.device_mut(from).ok_or(ErrorCode::TokenInvalid)?;
        if &device.session_key != key {
            return Err(ErrorCode::TokenInvalid);
        }
        device.online = true;
        let missed: Vec<_> = device
            .replay
            .iter()
            .filter(|delivery| delivery.seq > last_seq)
            .cloned()
            .collect();
        self.timers.clear(&Timer::Reconnect(from.clone()));
        self.alive(from);
        for delivery in missed {
            self.out.push_back(Output::ToDevice {
                device: from.clone(),
                delivery,
            });
        }
        self.touch(&from.tenant, &from.user);
        self.recover(from);
        Ok(Data::None)
    }

    /// The device shows a sign of life: its registration holds.
    pub(super) fn alive(&mut self, device: &DeviceRef) {
        let timer = Timer::Registration(device.clone());
        match self.device(device) {
            Some(entry) if entry.seat && entry.online => {
                let period = self.periods(&device.tenant).registration_ms;
                self.timers.set(timer, self.after_ms(period));
            }
            _ => self.timers.clear(&timer),
        }
    }

    pub(super) fn registration_lapsed(&mut self, device: &DeviceRef) {
        self.leave_on_device(device, EndReason::Network);
        self.kick_device(device, ErrorCode::RegTimeout);
    }

    pub(super) fn connection_lost(&mut self, device: &DeviceRef) {
        let Some(entry) = self.device_mut(device) else {
            return;
        };
        if !entry.online {
            return;
        }
        entry.online = false;
        self.timers.clear(&Timer::Registration(device.clone()));
        let grace = self.periods(&device.tenant).reconnect_ms;
        let timer = Timer::Reconnect(device.clone());
        self.timers.set(timer, self.after_ms(grace));
        for call in self.calls_on(device) {
            self.part_network(&call, &device.user, false);
        }
    }

    /// Others see whether somebody's signalling is there.
    fn part_network(&mut self, call: &CallId, user: &UserId, back: bool) {
        let Some(entry) = self.calls.get_mut(call) else {
            return;
        };
        let tenant = entry.tenant.clone();
        let Some(part) = entry.parts.get_mut(user) else {
            return;
        };
        let state = match (back, part.state, part.media_up) {
            (true, PartState::Reconnecting, true) => PartState::Joined,
            (true, PartState::Reconnecting, false) if !part.shown => PartState::Joining,
            (false, PartState::Joined | PartState::Joining, _) => PartState::Reconnecting,
            _ => return,
        };
        part.state = state;
        let part = part.clone();
        self.tell_updated(call, &tenant, user, &part, &[Changed::Network]);
    }

    /// The grace is over.
    pub(super) fn device_gone(&mut self, device: &DeviceRef) {
        for call in self.calls_on(device) {
            let role = self
                .calls
                .get(&call)
                .and_then(|call| call.part(&device.user))
                .map(|part| part.role);
            let reason = match role {
                Some(Role::Guest) => EndReason::UserOffline,
                _ => EndReason::Network,
            };
            self.withdraw(&call, &device.user, reason);
        }
        self.stop_monitor_on(device);
        self.drop_device(device);
    }

    pub(super) fn logout(&mut self, from: &DeviceRef) -> Done {
        let invites: Vec<_> = self
            .calls
            .values()
            .filter_map(|call| {
                let (invite, _) = call.live_invite_of(&from.user)?;
                (call.tenant == from.tenant).then(|| (call.id.clone(), invite.clone()))
            })
            .collect();
        let only_device = self
            .user(&from.tenant, &from.user)
            .is_some_and(|user| user.devices.len() == 1);
        for (call, invite) in invites {
            if only_device {
                self.invite_refused(&call, &invite, EndReason::Reject, Some(from));
            }
        }
        for call in self.calls_on(from) {
            self.withdraw(&call, &from.user, EndReason::HangUp);
        }
        self.stop_monitor_on(from);
        self.drop_device(from);
        Ok(Data::None)
    }

    /// Forgets a device that has nothing to do with calls any more.
    pub(super) fn drop_device(&mut self, device: &DeviceRef) {
        self.stop_monitor_on(device);
        self.timers.clear(&Timer::Reconnect(device.clone()));
        self.timers.clear(&Timer::Registration(device.clone()));
        let Some(user) = self.user_mut(&device.tenant, &device.user) else {
            return;
        };
        if user.devices.remove(&device.device).is_some() {
            let device = device.clone();
            self.touch(&device.tenant, &device.user);
            self.out.push_back(Output::Close { device });
        }
        // Requests that only this device could have answered.
        let without = self
            .user(&device.tenant, &device.user)
            .is_some_and(|user| user.devices.is_empty());
        if without {
            let engaged = self.user(&device.tenant, &device.user);
            let engaged: Vec<_> = engaged
                .map(|user| user.engaged.iter().cloned().collect())
                .unwrap_or_default();
            for call in engaged {
                self.target_lost(&call, &device.user);
            }
        }
    }

    pub(super) fn set_profile(
        &mut self,
        from: &DeviceRef,
        name: Option<String>,
        portrait_uri: Option<String>,
        extra: Option<String>,
    ) -> Done {
        let fields = [&name, &portrait_uri, &extra];
        let long = |field: &&Option<String>| {
            field
                .as_ref()
                .is_some_and(|text| text.len() > PROFILE_BYTES_MAX)
        };
        if fields.iter().any(long) {
            return Err(ErrorCode::TooLarge);
        }
        let user = self
            .user_mut(&from.tenant, &from.user)
            .ok_or(ErrorCode::NotFound)?;
        let person = &mut user.record.person;
        person.name = name.unwrap_or_else(|| person.name.clone());
        person.portrait_uri = portrait_uri.unwrap_or_else(|| person.portrait_uri.clone());
        person.extra = extra.unwrap_or_else(|| person.extra.clone());
        let record = Box::new(user.record.clone());
        self.store(StoreAction::PutUser(from.tenant.clone(), record));
        for call in self.calls_on(from) {
            let part = self.calls.get(&call).and_then(|call| call.part(&from.user));
            if let Some(part) = part.cloned() {
                let changed = [Changed::Profile];
                self.tell_updated(&call, &from.tenant, &from.user, &part, &changed);
            }
        }
        Ok(Data::None)
    }

    pub(super) fn set_push(
        &mut self,
        from: &DeviceRef,
        call: Option<Push>,
        hang_up: Option<Push>,
    ) -> Done {
        let user = self
            .user_mut(&from.tenant, &from.user)
            .ok_or(ErrorCode::NotFound)?;
        user.call_push = call;
        user.hang_up_push = hang_up;
        Ok(Data::None)
    }

    pub(super) fn list_groups(&self, from: &DeviceRef) -> Done {
        let tenant = self.tenant(&from.tenant).ok_or(ErrorCode::NotFound)?;
        let skill = tenant
            .groups
            .values()
            .filter(|group| group.kind == GroupKind::Skill);
        Ok(Data::Groups {
            groups: skill.cloned().collect(),
        })
    }

    pub(super) fn list_agents(
        &self,
        from: &DeviceRef,
        group: &GroupId,
        page: u32,
        size: u32,
    ) -> Done {
        let seats = self.seats(&from.tenant, Some(group));
        let size = match size {
            0 => PAGE_DEFAULT,
            size => size.min(PAGE_MAX),
        };
        let skip = page.saturating_mul(size) as usize;
        Ok(Data::Agents {
            total: u32::try_from(seats.len()).unwrap_or(u32::MAX),
            agents: seats.into_iter().skip(skip).take(size as usize).collect(),
        })
    }

    pub(super) fn query(&self, from: &DeviceRef, scope: QueryScope) -> Done {
        match scope {
            QueryScope::Own => self.own_state(from),
            QueryScope::Call(call) => self.query_call(from, &call),
            QueryScope::Users(users) if users.len() > USERS_MAX => Err(ErrorCode::TooLarge),
            QueryScope::Users(users) => {
                let known = users
                    .iter()
                    .filter(|user| self.user(&from.tenant, user).is_some());
                let users = known.map(|user| self.person(&from.tenant, user)).collect();
                Ok(Data::Users { users })
            }
            QueryScope::Calls => {
                let user = self.user(&from.tenant, &from.user);
                if !user.is_some_and(|user| user.record.supervisor) {
                    return Err(ErrorCode::Forbidden);
                }
                let own = self
                    .calls
                    .values()
                    .filter(|call| call.tenant == from.tenant && self.supervises(from, call));
                let calls = own.map(|call| self.call_view(call)).collect();
                Ok(Data::Calls { calls })
            }
        }
    }

    fn own_state(&self, from: &DeviceRef) -> Done {
        let user = self
            .user(&from.tenant, &from.user)
            .ok_or(ErrorCode::NotFound)?;
        let call = self.own_call(from, &CallRef::Current).ok();
        let monitor = user.monitoring.as_ref().and_then(|call| {
            let monitors = &self.calls.get(call)?.monitors;
            monitors.get(&from.user).map(|monitor| monitor.state)
        });
        Ok(Data::State {
            conn: ConnState::Online,
            seat: user.has_seat().then_some(user.seat),
            call_state: call
                .as_ref()
                .and_then(|call| self.calls.get(call))
                .map(|call| call.state),
            call,
            monitor: monitor.unwrap_or(MonitorState::None),
            monitored: user.monitoring.clone(),
        })
    }

    fn query_call(&self, from: &DeviceRef, call: &CallRef) -> Done {
        let id = self.resolve(from, call)?;
        if let Some(view) = self.ended.get(&id) {
            let mut people = view.participants.iter();
            let was_in = people.any(|each| each.person.user == from.user);
            let own = view.tenant == from.tenant && (was_in || view.initiator.user == from.user);
            let view = own.then(|| Box::new(view.clone()));
            let call = view.ok_or(ErrorCode::NotFound)?;
            return Ok(Data::Call { call, grant: None });
        }
        let entry = self.calls.get(&id).ok_or(ErrorCode::NotFound)?;
        let rung = entry.live_invite_of(&from.user).is_some();
        let own = entry.part(&from.user).is_some() || rung || self.supervises(from, entry);
        if entry.tenant != from.tenant || !own {
            return Err(ErrorCode::NotFound);
        }
        Ok(Data::Call {
            call: Box::new(self.call_view(entry)),
            grant: self.grant(&id, &from.user),
        })
    }

    /// Other devices of the user that are online, apart from those that stand for the server.
    pub(super) fn has_other_device(
        &self,
        tenant: &TenantId,
        user: &UserId,
        than: &DeviceName,
    ) -> bool {
        self.user(tenant, user).is_some_and(|user| {
            let mut online = user.online();
            online.any(|(name, device)| name != than && device.terminal != Terminal::Server)
        })
    }
}
