//! What of calls outlives the server: directory and records, as rows of the store.
//!
//! Here the call system's types become JSON and come back. What cannot be read back is left out with a
//! line in the log, so that one bad row costs only itself.

use std::sync::Weak;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use crosspoint_calls::command::AdminCommand;
use crosspoint_calls::door::StoreAction;
use crosspoint_calls::error::ErrorCode;
use crosspoint_calls::ids::{TenantId, UserId};
use crosspoint_calls::model::UserRecord;
use crosspoint_calls::record::CallRecord;
use crosspoint_calls::service::archive::Archive;
use crosspoint_store::calls::{Ban, Begun, Entry, KeptRecord, Record, UserEntry};
use crosspoint_store::{Store, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How often old records are looked for, and how many are forgotten at a time.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
const PRUNED_AT_A_TIME: u32 = 1_000;

/// Directory and records in a [`Store`].
pub(super) struct StoreArchive {
    store: Store,
    /// The name of this node: other nodes' calls may be in the store as well.
    node: String,
}

/// Forgets records that are older than `keep`, now and then for as long as there is the archive.
pub(super) async fn prune(archive: Weak<StoreArchive>, keep: Duration) {
    let mut clock = tokio::time::interval(PRUNE_EVERY);
    loop {
        clock.tick().await;
        let Some(archive) = archive.upgrade() else {
            return;
        };
        let keep_ms = i64::try_from(keep.as_millis()).unwrap_or(i64::MAX);
        let before = unix_ms().saturating_sub(keep_ms);
        loop {
            let pruned = archive.store.prune_call_records(before, PRUNED_AT_A_TIME);
            match pruned.await {
                Ok(gone) if gone >= u64::from(PRUNED_AT_A_TIME) => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::debug!(%error, "old records of calls stay for now");
                    break;
                }
            }
        }
    }
}

impl StoreArchive {
    pub(super) const fn new(store: Store, node: String) -> Self {
        Self { store, node }
    }

    /// Makes records of the calls that this node lost when it was not stopped but ended.
    async fn end_lost_calls(&self) -> Result<(), StoreError> {
        for Begun { call, record, .. } in self.store.begun_calls(&self.node).await? {
            if let Some(mut record) = parsed::<CallRecord>(&record) {
                record.end_ms = u64::try_from(unix_ms()).unwrap_or_default();
                tracing::info!(call, "a call was lost with the server that had it");
                self.add(&record);
            }
            // One that cannot be read would be found at each start.
            self.store.end_call(&self.node, &call);
        }
        Ok(())
    }

    fn add(&self, record: &CallRecord) {
        self.store.add_call_record(Record {
            call: record.call.to_string(),
            tenant: record.tenant.to_string(),
            ended_at_ms: signed(record.end_ms),
            record: text(record),
        });
        self.store.end_call(&self.node, record.call.as_str());
    }

    async fn directory(&self) -> Result<Vec<(TenantId, AdminCommand)>, StoreError> {
        let mut commands = Vec::new();
        for (tenant, settings) in self.store.call_tenants().await? {
            let settings = parsed(&settings).map(Box::new);
            let command = settings.map(|settings| AdminCommand::PutTenant { settings });
            commands.extend(TenantId::new(&tenant).zip(command));
        }
        for user in self.store.call_users().await? {
            let record = parsed::<UserRecord>(&user.entry.record);
            let command = record.map(|mut record| {
                record.password = user.password;
                let user = Box::new(record);
                AdminCommand::PutUser { user }
            });
            commands.extend(TenantId::new(&user.entry.tenant).zip(command));
        }
        for group in self.store.call_groups().await? {
            let command = parsed(&group.record).map(|group| AdminCommand::PutGroup { group });
            commands.extend(TenantId::new(&group.tenant).zip(command));
        }
        let now = unix_ms();
        for ban in self.store.call_bans().await? {
            if ban.until_ms.is_some_and(|until| until <= now) {
                self.store.delete_call_ban(&ban.tenant, &ban.user);
                continue;
            }
            let left = ban.until_ms.map(|until| until.abs_diff(now).div_ceil(1000));
            let command =
                UserId::new(&ban.user).map(|user| AdminCommand::Ban { user, ttl_s: left });
            commands.extend(TenantId::new(&ban.tenant).zip(command));
        }
        Ok(commands)
    }
}

#[async_trait]
impl Archive for StoreArchive {
    fn keep(&self, action: StoreAction) {
        let store = &self.store;
        match action {
            StoreAction::PutTenant(tenant, settings) => {
                store.put_call_tenant(tenant.as_str(), text(&settings));
            }
            StoreAction::DeleteTenant(tenant) => store.delete_call_tenant(tenant.as_str()),
            StoreAction::PutUser(tenant, user) => store.put_call_user(UserEntry {
                entry: entry(&tenant, user.person.user.as_str(), &user),
                password: user.password,
            }),
            StoreAction::DeleteUser(tenant, user) => {
                store.delete_call_user(tenant.as_str(), user.as_str());
            }
            StoreAction::PutGroup(tenant, group) => {
                store.put_call_group(entry(&tenant, group.id.as_str(), &group));
            }
            StoreAction::DeleteGroup(tenant, group) => {
                store.delete_call_group(tenant.as_str(), group.as_str());
            }
            StoreAction::PutBan(tenant, user, until_ms) => store.put_call_ban(Ban {
                tenant: tenant.to_string(),
                user: user.to_string(),
                until_ms: until_ms.map(signed),
            }),
            StoreAction::DeleteBan(tenant, user) => {
                store.delete_call_ban(tenant.as_str(), user.as_str());
            }
            StoreAction::Begun(record) => {
                let begun = Begun {
                    call: record.call.to_string(),
                    tenant: record.tenant.to_string(),
                    record: text(&record),
                };
                store.begin_call(&self.node, begun);
            }
            StoreAction::Record(record) => self.add(&record),
            StoreAction::RecordingUrl(call, url) => {
                store.add_call_recording(call.as_str(), &url);
            }
        }
    }

    async fn load(&self) -> Vec<(TenantId, AdminCommand)> {
        if let Err(error) = self.end_lost_calls().await {
            tracing::error!(%error, "calls that were lost with an earlier server have no records");
        }
        self.directory().await.unwrap_or_else(|error| {
            tracing::error!(%error, "tenants and users of before the start are not known");
            Vec::new()
        })
    }

    async fn records(
        &self,
        tenant: &TenantId,
        since_ms: u64,
        limit: usize,
    ) -> Result<Vec<CallRecord>, ErrorCode> {
        // What has ended just now is still on its way.
        self.store.flush().await;
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let kept = self
            .store
            .call_records(tenant.as_str(), signed(since_ms), limit);
        let kept = kept.await.map_err(|error| {
            tracing::warn!(%error, "records of calls cannot be read");
            ErrorCode::Unavailable
        })?;
        Ok(kept.into_iter().filter_map(record).collect())
    }
}

fn record(kept: KeptRecord) -> Option<CallRecord> {
    let mut record: CallRecord = parsed(&kept.record)?;
    record.recordings.extend(kept.recordings);
    Some(record)
}

fn entry(tenant: &TenantId, id: &str, of: &impl Serialize) -> Entry {
    Entry {
        tenant: tenant.to_string(),
        id: id.to_owned(),
        record: text(of),
    }
}

/// Plain data with text keys: there is nothing in it that JSON does not have.
fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| {
        debug_assert!(false, "{error}");
        String::new()
    })
}

fn parsed<T: DeserializeOwned>(text: &str) -> Option<T> {
    let parsed = serde_json::from_str(text);
    parsed
        .inspect_err(|error| tracing::error!(%error, "a row of the call system cannot be read"))
        .ok()
}

fn signed(unsigned: u64) -> i64 {
    i64::try_from(unsigned).unwrap_or(i64::MAX)
}

fn unix_ms() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    signed(u64::try_from(since_epoch.unwrap_or_default().as_millis()).unwrap_or(u64::MAX))
}
