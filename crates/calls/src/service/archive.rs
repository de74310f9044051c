//! What outlives a call: the directory and the records.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::command::AdminCommand;
use crate::door::StoreAction;
use crate::error::ErrorCode;
use crate::ids::TenantId;
use crate::record::CallRecord;

/// Where directory and records are kept.
#[async_trait]
pub trait Archive: Send + Sync + 'static {
    /// Keeps something. Never waits: what cannot be kept is dropped and counted.
    fn keep(&self, action: StoreAction);
    /// The directory as it was kept, in the order in which the machine takes it. What the machine has
    /// from here is not kept anew.
    async fn load(&self) -> Vec<(TenantId, AdminCommand)>;
    /// Records of a tenant's calls that ended at `since_ms` or later, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`ErrorCode::Unavailable`]: what they are kept in does not answer.
    async fn records(
        &self,
        tenant: &TenantId,
        since_ms: u64,
        limit: usize,
    ) -> Result<Vec<CallRecord>, ErrorCode>;
}

/// Records that are kept in memory.
const RECORDS_MAX: usize = 10_000;

/// In memory: gone with the process. Where a server has no store.
#[derive(Default)]
pub struct MemoryArchive {
    records: Mutex<VecDeque<CallRecord>>,
}

impl MemoryArchive {
    fn lock(&self) -> MutexGuard<'_, VecDeque<CallRecord>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Archive for MemoryArchive {
    fn keep(&self, action: StoreAction) {
        match action {
            StoreAction::Record(record) => {
                let mut records = self.lock();
                if records.len() >= RECORDS_MAX {
                    records.pop_front();
                }
                records.push_back(*record);
            }
            StoreAction::RecordingUrl(call, url) => {
                let mut records = self.lock();
                let record = records.iter_mut().rev().find(|record| record.call == call);
                if let Some(record) = record {
                    record.recordings.push(url);
                }
            }
            StoreAction::DeleteTenant(tenant) => {
                self.lock().retain(|record| record.tenant != tenant);
            }
            // The machine itself has the directory.
            _ => {}
        }
    }

    async fn load(&self) -> Vec<(TenantId, AdminCommand)> {
        Vec::new()
    }

    async fn records(
        &self,
        tenant: &TenantId,
        since_ms: u64,
        limit: usize,
    ) -> Result<Vec<CallRecord>, ErrorCode> {
        let records = self.lock();
        let own = records
            .iter()
            .rev()
            .filter(|record| &record.tenant == tenant && record.end_ms >= since_ms);
        Ok(own.take(limit).cloned().collect())
    }
}
