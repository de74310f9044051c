//! Tenants, users, groups, bans: the directory and the server API.

use std::sync::Arc;

use super::Machine;
use super::state::{Tenant, User};
use super::timers::Timer;
use crate::command::{AdminCommand, NewCall};
use crate::door::{AdminData, Output, StoreAction};
use crate::error::ErrorCode;
use crate::event::Event;
use crate::ids::{CallId, DeviceName, DeviceRef, GroupId, TenantId, UserId};
use crate::model::{Actor, Group, Person, Role, Seat, UserRecord};
use crate::policy::TenantSettings;
use crate::reason::EndReason;

/// The device that stands for a user in whose name the server acts.
const SERVER_DEVICE: &str = "server";

type AdminDone = Result<AdminData, ErrorCode>;

impl Machine {
    pub(super) fn admin(&mut self, tenant: &TenantId, command: AdminCommand) -> AdminDone {
        if let AdminCommand::PutTenant { settings } = command {
            self.put_tenant(tenant, *settings);
            return Ok(AdminData::None);
        }
        if !self.tenants.contains_key(tenant) {
            return Err(ErrorCode::TenantNotFound);
        }
        match command {
            AdminCommand::PutTenant { .. } => {}
            AdminCommand::DeleteTenant => self.delete_tenant(tenant),
            AdminCommand::PutUser { user } => return self.put_user(tenant, *user),
            AdminCommand::Tenant => {
                let tenant = self.tenant(tenant).ok_or(ErrorCode::TenantNotFound)?;
                return Ok(AdminData::Tenant(Box::new(TenantSettings::clone(
                    &tenant.settings,
                ))));
            }
            AdminCommand::Users => {
                let users = self.tenant(tenant).into_iter();
                let users = users.flat_map(|tenant| tenant.users.values());
                return Ok(AdminData::Users(
                    users.map(|user| user.record.clone()).collect(),
                ));
            }
            AdminCommand::User { user } => {
                let user = self.user(tenant, &user).ok_or(ErrorCode::NotFound)?;
                return Ok(AdminData::Users(vec![user.record.clone()]));
            }
            AdminCommand::Lookup { number } => {
                let entry = self.tenant(tenant).ok_or(ErrorCode::TenantNotFound)?;
                let by_number = entry.extensions.get(&number).cloned();
                let user = by_number.or_else(|| UserId::new(&number));
                let user = user.and_then(|user| entry.users.get(&user));
                let user = user.ok_or(ErrorCode::NotFound)?;
                return Ok(AdminData::Users(vec![user.record.clone()]));
            }
            AdminCommand::Groups => {
                let groups = self.tenant(tenant).into_iter();
                let groups = groups.flat_map(|tenant| tenant.groups.values().cloned());
                return Ok(AdminData::Groups(groups.collect()));
            }
            AdminCommand::DeleteUser { user } => return self.delete_user(tenant, &user),
            AdminCommand::PutGroup { group } => return self.put_group(tenant, group),
            AdminCommand::DeleteGroup { group } => return self.delete_group(tenant, &group),
            AdminCommand::Ban { user, ttl_s } => return self.ban(tenant, &user, ttl_s),
            AdminCommand::Unban { user } => return self.unban(tenant, &user),
            AdminCommand::CreateCall { by, call } => return self.create_for(tenant, &by, call),
            AdminCommand::AdminKick { call, user } => {
                return self.admin_kick(tenant, &call, &user);
            }
            AdminCommand::EndCall { call } => {
                self.live_call_of(tenant, &call)?;
                self.end_call(&call, EndReason::RoomDissolved, None);
            }
            AdminCommand::Calls => {
                let calls = self.calls.values().filter(|call| &call.tenant == tenant);
                return Ok(AdminData::Calls(
                    calls.map(|call| self.call_view(call)).collect(),
                ));
            }
            AdminCommand::Call { call } => return self.find_call(tenant, &call),
            AdminCommand::Seats { group } => {
                return Ok(AdminData::Seats(self.seats(tenant, group.as_ref())));
            }
        }
        Ok(AdminData::None)
    }

    /// A call that is going on and this tenant's.
    fn live_call_of(&self, tenant: &TenantId, call: &CallId) -> Result<(), ErrorCode> {
        match self.calls.get(call) {
            Some(entry) if &entry.tenant == tenant => Ok(()),
            _ if self.ended.contains_key(call) => Err(ErrorCode::CallEnded),
            _ => Err(ErrorCode::NotFound),
        }
    }

    fn find_call(&self, tenant: &TenantId, call: &CallId) -> AdminDone {
        let live = self.calls.get(call).map(|call| self.call_view(call));
        let view = live.or_else(|| self.ended.get(call).cloned());
        let own = view.filter(|view| &view.tenant == tenant);
        own.map(|view| AdminData::Call(Box::new(view)))
            .ok_or(ErrorCode::NotFound)
    }

    fn put_tenant(&mut self, id: &TenantId, settings: TenantSettings) {
        let suspended = settings.suspended;
        self.store(StoreAction::PutTenant(
            id.clone(),
            Box::new(settings.clone()),
        ));
        let settings = Arc::new(settings);
        match self.tenants.get_mut(id) {
            Some(tenant) => tenant.settings = settings,
            None => {
                let tenant = Tenant::new(settings, self.now);
                self.tenants.insert(id.clone(), tenant);
            }
        }
        if suspended {
            self.turn_all_out(id, ErrorCode::TenantSuspended, EndReason::ServiceNotOpen);
        }
    }

    fn delete_tenant(&mut self, id: &TenantId) {
        self.turn_all_out(id, ErrorCode::AccountInvalid, EndReason::ServiceNotOpen);
        let banned = self.tenants.get(id).map(|tenant| tenant.bans.clone());
        for user in banned.unwrap_or_default().into_keys() {
            self.timers.clear(&Timer::Ban(id.clone(), user));
        }
        self.tenants.remove(id);
        self.store(StoreAction::DeleteTenant(id.clone()));
    }

    fn turn_all_out(&mut self, id: &TenantId, error: ErrorCode, reason: EndReason) {
        let calls = self.calls.values().filter(|call| &call.tenant == id);
        for call in calls.map(|call| call.id.clone()).collect::<Vec<_>>() {
            self.end_call(&call, reason, None);
        }
        let users = self
            .tenants
            .get(id)
            .map(|tenant| tenant.users.keys().cloned());
        for user in users.into_iter().flatten().collect::<Vec<_>>() {
            self.turn_out(id, &user, error, reason);
        }
    }

    /// Turns all devices of a user out.
    pub(super) fn turn_out(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
        error: ErrorCode,
        reason: EndReason,
    ) {
        self.leave_everything(tenant, user, reason);
        for device in self.devices_of(tenant, user) {
            self.kick_device(&device, error);
        }
    }

    /// Tells a device that it has no business here and forgets it.
    pub(super) fn kick_device(&mut self, device: &DeviceRef, error: ErrorCode) {
        self.tell(device, 0, Event::Kicked { error });
        self.drop_device(device);
    }

    /// A user who comes with a token but was never made known.
    pub(super) fn known_or_made(
        &mut self,
        tenant: &TenantId,
        user: &UserId,
    ) -> Result<(), ErrorCode> {
        let now = self.now;
        let entry = self
            .tenants
            .get_mut(tenant)
            .ok_or(ErrorCode::TenantNotFound)?;
        if entry.users.contains_key(user) {
            return Ok(());
        }
        let settings = &entry.settings;
        if !settings.open_registration || entry.users.len() >= settings.limits.users as usize {
            return Err(ErrorCode::NotFound);
        }
        let record = UserRecord {
            person: Person {
                user: user.clone(),
                name: String::new(),
                portrait_uri: String::new(),
                extra: String::new(),
                extension: String::new(),
            },
            skill_groups: Vec::new(),
            supervisor: false,
            blocked: Vec::new(),
            password: None,
        };
        entry.users.insert(user.clone(), User::new(record, now));
        Ok(())
    }

    fn put_user(&mut self, tenant: &TenantId, record: UserRecord) -> AdminDone {
        let now = self.now;
        let entry = self
            .tenants
            .get_mut(tenant)
            .ok_or(ErrorCode::TenantNotFound)?;
        let id = record.person.user.clone();
        let known = entry.users.contains_key(&id);
        if !known && entry.users.len() >= entry.settings.limits.users as usize {
            return Err(ErrorCode::RateLimited);
        }
        let extension = record.person.extension.clone();
        let owner = entry.extensions.get(&extension);
        if !extension.is_empty() && owner.is_some_and(|owner| owner != &id) {
            return Err(ErrorCode::Duplicate);
        }
        entry.extensions.retain(|_, owner| owner != &id);
        if !extension.is_empty() {
            entry.extensions.insert(extension, id.clone());
        }
        match entry.users.get_mut(&id) {
            Some(user) => user.record = record.clone(),
            None => {
                entry
                    .users
                    .insert(id.clone(), User::new(record.clone(), now));
            }
        }
        self.touch(tenant, &id);
        self.store(StoreAction::PutUser(tenant.clone(), Box::new(record)));
        Ok(AdminData::None)
    }

    fn delete_user(&mut self, tenant: &TenantId, user: &UserId) -> AdminDone {
        self.user(tenant, user).ok_or(ErrorCode::NotFound)?;
        self.turn_out(
            tenant,
            user,
            ErrorCode::AccountInvalid,
            EndReason::ServiceNotOpen,
        );
        if let Some(entry) = self.tenants.get_mut(tenant) {
            entry.users.remove(user);
            entry.extensions.retain(|_, owner| owner != user);
        }
        self.store(StoreAction::DeleteUser(tenant.clone(), user.clone()));
        Ok(AdminData::None)
    }

    fn put_group(&mut self, tenant: &TenantId, group: Group) -> AdminDone {
        let entry = self
            .tenants
            .get_mut(tenant)
            .ok_or(ErrorCode::TenantNotFound)?;
        entry.groups.insert(group.id.clone(), group.clone());
        self.store(StoreAction::PutGroup(tenant.clone(), group));
        Ok(AdminData::None)
    }

    fn delete_group(&mut self, tenant: &TenantId, group: &GroupId) -> AdminDone {
        let entry = self
            .tenants
            .get_mut(tenant)
            .ok_or(ErrorCode::TenantNotFound)?;
        entry.groups.remove(group).ok_or(ErrorCode::NotFound)?;
        self.store(StoreAction::DeleteGroup(tenant.clone(), group.clone()));
        Ok(AdminData::None)
    }

    fn ban(&mut self, tenant: &TenantId, user: &UserId, ttl_s: Option<u64>) -> AdminDone {
        let until = ttl_s.map(|s| self.unix_ms().saturating_add(s.saturating_mul(1000)));
        let entry = self
            .tenants
            .get_mut(tenant)
            .ok_or(ErrorCode::TenantNotFound)?;
        entry.bans.insert(user.clone(), until);
        let timer = Timer::Ban(tenant.clone(), user.clone());
        match ttl_s {
            Some(s) => self
                .timers
                .set(timer, self.after_ms(s.saturating_mul(1000))),
            None => self.timers.clear(&timer),
        }
        self.turn_out(tenant, user, ErrorCode::Banned, EndReason::Banned);
        self.store(StoreAction::PutBan(tenant.clone(), user.clone(), until));
        Ok(AdminData::None)
    }

    fn unban(&mut self, tenant: &TenantId, user: &UserId) -> AdminDone {
        self.timers.clear(&Timer::Ban(tenant.clone(), user.clone()));
        let entry = self
            .tenants
            .get_mut(tenant)
            .ok_or(ErrorCode::TenantNotFound)?;
        entry.bans.remove(user).ok_or(ErrorCode::NotFound)?;
        self.store(StoreAction::DeleteBan(tenant.clone(), user.clone()));
        Ok(AdminData::None)
    }

    pub(super) fn ban_over(&mut self, tenant: &TenantId, user: &UserId) {
        if let Some(entry) = self.tenants.get_mut(tenant) {
            entry.bans.remove(user);
            self.store(StoreAction::DeleteBan(tenant.clone(), user.clone()));
        }
    }

    pub(super) fn is_banned(&self, tenant: &TenantId, user: &UserId) -> bool {
        self.tenant(tenant)
            .is_some_and(|tenant| tenant.bans.contains_key(user))
    }

    /// A call in a user's name: made by a device that stands for the server; the user's own devices
    /// get the right to join its media.
    fn create_for(&mut self, tenant: &TenantId, by: &UserId, call: NewCall) -> AdminDone {
        self.known_or_made(tenant, by)?;
        let online = self.user(tenant, by).and_then(|user| {
            let mut online = user.online();
            online.next().map(|(name, _)| name.clone())
        });
        let device = online.or_else(|| DeviceName::new(SERVER_DEVICE));
        let from = DeviceRef {
            tenant: tenant.clone(),
            user: by.clone(),
            device: device.ok_or(ErrorCode::ServerInternal)?,
        };
        if self.device(&from).is_none() {
            self.add_server_device(&from);
        }
        let data = self.create_call(&from, call)?;
        if let crate::event::Data::Call {
            call,
            grant: Some(grant),
        } = &data
        {
            let event = Event::MediaReady {
                call: call.id.clone(),
                grant: grant.clone(),
            };
            let seq = self.next_seq(&call.id);
            self.tell(&from, seq, event);
        }
        Ok(AdminData::Command(data))
    }

    fn admin_kick(&mut self, tenant: &TenantId, call: &CallId, user: &UserId) -> AdminDone {
        self.live_call_of(tenant, call)?;
        let there = self
            .calls
            .get(call)
            .is_some_and(|call| call.part(user).is_some());
        if !there {
            return Err(ErrorCode::NotFound);
        }
        self.leave(call, user, EndReason::Kicked, None);
        Ok(AdminData::None)
    }

    pub(super) fn seats(&self, tenant: &TenantId, group: Option<&GroupId>) -> Vec<Seat> {
        let Some(entry) = self.tenant(tenant) else {
            return Vec::new();
        };
        let in_group = |user: &&User| match group {
            Some(group) => user.record.skill_groups.contains(group),
            None => !user.record.skill_groups.is_empty(),
        };
        let users = entry.users.values().filter(in_group);
        users
            .map(|user| Seat {
                person: user.record.person.clone(),
                state: user.seat,
                group: user.seat_group.clone(),
            })
            .collect()
    }

    /// Takes so many invitations from what the tenant may make; `false`: too many.
    pub(super) fn may_invite(&mut self, tenant: &TenantId, count: usize) -> bool {
        let now = self.now;
        let Some(entry) = self.tenants.get_mut(tenant) else {
            return false;
        };
        let rate = u64::from(entry.settings.limits.invites_per_second);
        let (left, since) = entry.invites_left;
        let micros = u64::try_from(now.since(since).as_micros()).unwrap_or(u64::MAX);
        // Thousandths of an invitation: rate per second is rate / 1000 of them per microsecond.
        let left = left
            .saturating_add(micros.saturating_mul(rate) / 1000)
            .min(rate * 1000);
        let cost = (count as u64).saturating_mul(1000);
        let enough = left >= cost;
        entry.invites_left = (if enough { left - cost } else { left }, now);
        enough
    }

    pub(super) fn store(&mut self, action: StoreAction) {
        self.out.push_back(Output::Store(action));
    }

    /// Takes a user out of all that is going on.
    pub(super) fn leave_everything(&mut self, tenant: &TenantId, user: &UserId, reason: EndReason) {
        let Some(entry) = self.user(tenant, user) else {
            return;
        };
        let monitoring = entry.monitoring.clone();
        let engaged: Vec<_> = entry.engaged.iter().cloned().collect();
        if let Some(call) = monitoring {
            self.end_monitor(&call, user);
        }
        for call in engaged {
            self.withdraw(&call, user, reason);
        }
    }

    /// Takes a user out of one call, whatever the part in it.
    pub(super) fn withdraw(&mut self, call_id: &CallId, user: &UserId, reason: EndReason) {
        self.target_lost(call_id, user);
        let Some(call) = self.calls.get(call_id) else {
            return;
        };
        if let Some((invite, _)) = call.live_invite_of(user) {
            let invite = invite.clone();
            self.invite_refused(call_id, &invite, reason, None);
        }
        let Some(call) = self.calls.get(call_id) else {
            return;
        };
        let Some(part) = call.part(user) else { return };
        let actor = Actor {
            user: user.clone(),
            device: Some(part.device.clone()),
            role: part.role,
        };
        let ends_all = call.is_pair() && part.role != Role::AgentThird
            || call.state <= crate::model::CallState::Ringing && &call.initiator == user;
        match ends_all {
            true => self.end_call(call_id, reason, Some(actor)),
            false => self.leave(call_id, user, reason, Some(actor)),
        }
    }
}
