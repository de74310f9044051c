//! Calls: tenants with their users, groups and bans, and one record for each call that has ended, or
//! that was lost with its server.
//!
//! Settings and records are the matter of who writes them; here they are text. A tenant that is
//! forgotten takes everything that is its with it.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::statement::Statement;
use crate::store::{Store, StoreError};

/// Rows that one query of the directory brings.
const PAGE_MAX: usize = 10_000;

/// Most records that one query returns.
pub const RECORDS_MAX: u32 = 10_000;

/// What forgetting the oldest records forgets, in the same order.
const OF_THE_OLDEST: [&str; 2] = [
    "DELETE FROM call_recordings WHERE call IN \
        (SELECT id FROM call_records WHERE ended_at < $1 ORDER BY ended_at, id LIMIT $2)",
    "DELETE FROM call_records WHERE id IN \
        (SELECT id FROM call_records WHERE ended_at < $1 ORDER BY ended_at, id LIMIT $2)",
];

/// What forgetting a tenant forgets; its recordings' addresses before the records that lead to them.
const OF_A_TENANT: [&str; 7] = [
    "DELETE FROM call_recordings WHERE call IN (SELECT id FROM call_records WHERE tenant = $1)",
    "DELETE FROM call_records WHERE tenant = $1",
    "DELETE FROM call_begun WHERE tenant = $1",
    "DELETE FROM call_bans WHERE tenant = $1",
    "DELETE FROM call_groups WHERE tenant = $1",
    "DELETE FROM call_users WHERE tenant = $1",
    "DELETE FROM call_tenants WHERE id = $1",
];

/// Something of a tenant's: a user or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose.
    pub tenant: String,
    /// Name within the tenant.
    pub id: String,
    /// JSON.
    pub record: String,
}

/// A user with what the password is checked against.
#[derive(Clone, PartialEq, Eq)]
pub struct UserEntry {
    /// The user.
    pub entry: Entry,
    /// Never the password itself; `None`: the user has none.
    pub password: Option<String>,
}

/// Who is banned, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Whose.
    pub tenant: String,
    /// Which user.
    pub user: String,
    /// Unix milliseconds; `None`: for good.
    pub until_ms: Option<i64>,
}

/// A call that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Id of the call.
    pub call: String,
    /// Whose.
    pub tenant: String,
    /// Unix milliseconds.
    pub ended_at_ms: i64,
    /// JSON.
    pub record: String,
}

/// A call that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Id of the call.
    pub call: String,
    /// Whose.
    pub tenant: String,
    /// What its record would be if its server were lost: JSON.
    pub record: String,
}

/// A record with the recordings that were ready after the call's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRecord {
    /// See [`Record::record`].
    pub record: String,
    /// Their addresses.
    pub recordings: Vec<String>,
}

impl Store {
    /// Keeps a tenant's settings (JSON). Written in passing.
    pub fn put_call_tenant(&self, id: &str, settings: String) {
        self.enqueue(
            Statement::new(
                "INSERT INTO call_tenants (id, settings) VALUES ($1, $2) \
                 ON CONFLICT (id) DO UPDATE SET settings = excluded.settings",
            )
            .with(id)
            .with(settings),
        );
    }

    /// Forgets a tenant with its users, groups, bans and records. Written in passing.
    pub fn delete_call_tenant(&self, id: &str) {
        for sql in OF_A_TENANT {
            self.enqueue(Statement::new(sql).with(id));
        }
    }

    /// Keeps a user. Written in passing.
    pub fn put_call_user(&self, user: UserEntry) {
        let UserEntry { entry, password } = user;
        self.enqueue(
            Statement::new(
                "INSERT INTO call_users (tenant, id, record, password) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (tenant, id) DO UPDATE \
                 SET record = excluded.record, password = excluded.password",
            )
            .with(entry.tenant)
            .with(entry.id)
            .with(entry.record)
            .with(password),
        );
    }

    /// Forgets a user. Written in passing.
    pub fn delete_call_user(&self, tenant: &str, user: &str) {
        let delete = Statement::new("DELETE FROM call_users WHERE tenant = $1 AND id = $2");
        self.enqueue(delete.with(tenant).with(user));
    }

    /// Keeps a group. Written in passing.
    pub fn put_call_group(&self, group: Entry) {
        self.enqueue(
            Statement::new(
                "INSERT INTO call_groups (tenant, id, record) VALUES ($1, $2, $3) \
                 ON CONFLICT (tenant, id) DO UPDATE SET record = excluded.record",
            )
            .with(group.tenant)
            .with(group.id)
            .with(group.record),
        );
    }

    /// Forgets a group. Written in passing.
    pub fn delete_call_group(&self, tenant: &str, group: &str) {
        let delete = Statement::new("DELETE FROM call_groups WHERE tenant = $1 AND id = $2");
        self.enqueue(delete.with(tenant).with(group));
    }

    /// Keeps a ban. Written in passing.
    pub fn put_call_ban(&self, ban: Ban) {
        self.enqueue(
            Statement::new(
                "INSERT INTO call_bans (tenant, id, until) VALUES ($1, $2, $3) \
                 ON CONFLICT (tenant, id) DO UPDATE SET until = excluded.until",
            )
            .with(ban.tenant)
            .with(ban.user)
            .with(ban.until_ms),
        );
    }

    /// Forgets a ban. Written in passing.
    pub fn delete_call_ban(&self, tenant: &str, user: &str) {
        let delete = Statement::new("DELETE FROM call_bans WHERE tenant = $1 AND id = $2");
        self.enqueue(delete.with(tenant).with(user));
    }

    /// Notes a call that goes on, at this node. Written in passing.
    pub fn begin_call(&self, node: &str, begun: Begun) {
        self.enqueue(
            Statement::new(
                "INSERT INTO call_begun (node, id, tenant, record) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (node, id) DO UPDATE SET record = excluded.record",
            )
            .with(node)
            .with(begun.call)
            .with(begun.tenant)
            .with(begun.record),
        );
    }

    /// Notes that a call at this node goes on no more. Written in passing.
    pub fn end_call(&self, node: &str, call: &str) {
        let delete = Statement::new("DELETE FROM call_begun WHERE node = $1 AND id = $2");
        self.enqueue(delete.with(node).with(call));
    }

    /// Keeps the record of a call; the first one counts. Written in passing.
    pub fn add_call_record(&self, record: Record) {
        self.enqueue(
            Statement::new(
                "INSERT INTO call_records (id, tenant, ended_at, record) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING",
            )
            .with(record.call)
            .with(record.tenant)
            .with(record.ended_at_ms)
            .with(record.record),
        );
    }

    /// Keeps the address of a recording that was ready after its call's end. Written in passing.
    pub fn add_call_recording(&self, call: &str, url: &str) {
        self.enqueue(
            Statement::new(
                "INSERT INTO call_recordings (call, url) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            )
            .with(call)
            .with(url),
        );
    }

    /// All tenants: id and settings.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn call_tenants(&self) -> Result<Vec<(String, String)>, StoreError> {
        let sql = "SELECT id, settings FROM call_tenants \
                   WHERE (id, '') > ($1, $2) ORDER BY id LIMIT $3";
        let rows = self.all_pages(sql, |row| Ok((row.try_get(0)?, String::new())));
        let tenant = |row: &AnyRow| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.await?.iter().map(tenant).collect()
    }

    /// All users of all tenants.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn call_users(&self) -> Result<Vec<UserEntry>, StoreError> {
        let sql = "SELECT tenant, id, record, password FROM call_users \
                   WHERE (tenant, id) > ($1, $2) ORDER BY tenant, id LIMIT $3";
        let user = |row: &AnyRow| {
            Ok(UserEntry {
                entry: entry(row)?,
                password: row.try_get(3)?,
            })
        };
        self.all_pages(sql, key).await?.iter().map(user).collect()
    }

    /// All groups of all tenants.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn call_groups(&self) -> Result<Vec<Entry>, StoreError> {
        let sql = "SELECT tenant, id, record FROM call_groups \
                   WHERE (tenant, id) > ($1, $2) ORDER BY tenant, id LIMIT $3";
        self.all_pages(sql, key).await?.iter().map(entry).collect()
    }

    /// All bans of all tenants, those that are over as well.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn call_bans(&self) -> Result<Vec<Ban>, StoreError> {
        let sql = "SELECT tenant, id, until FROM call_bans \
                   WHERE (tenant, id) > ($1, $2) ORDER BY tenant, id LIMIT $3";
        let ban = |row: &AnyRow| {
            Ok(Ban {
                tenant: row.try_get(0)?,
                user: row.try_get(1)?,
                until_ms: row.try_get(2)?,
            })
        };
        self.all_pages(sql, key).await?.iter().map(ban).collect()
    }

    /// Calls that go on at this node; when it has just started: those that it lost.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begun_calls(&self, node: &str) -> Result<Vec<Begun>, StoreError> {
        let sql = "SELECT node, id, tenant, record FROM call_begun \
                   WHERE (node, id) > ($1, $2) ORDER BY node, id LIMIT $3";
        let mut begun = Vec::new();
        for row in self.all_pages(sql, key).await? {
            if row.try_get::<String, _>(0)? == node {
                begun.push(Begun {
                    call: row.try_get(1)?,
                    tenant: row.try_get(2)?,
                    record: row.try_get(3)?,
                });
            }
        }
        Ok(begun)
    }

    /// Forgets the oldest `limit` records, with the addresses of their recordings, of those calls that
    /// ended before `before_ms` (Unix milliseconds). How many there were.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn prune_call_records(&self, before_ms: i64, limit: u32) -> Result<u64, StoreError> {
        let mut gone = 0;
        for sql in OF_THE_OLDEST {
            let delete = Statement::new(sql).with(before_ms);
            gone = self.execute(delete.with(i64::from(limit))).await?;
        }
        Ok(gone)
    }

    /// Records of a tenant's calls that ended at `since_ms` (Unix milliseconds) or later, newest first.
    /// At most `limit` and [`RECORDS_MAX`].
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn call_records(
        &self,
        tenant: &str,
        since_ms: i64,
        limit: u32,
    ) -> Result<Vec<KeptRecord>, StoreError> {
        let rows = self
            .rows(
                Statement::new(
                    "SELECT ended.id, ended.record, call_recordings.url FROM \
                        (SELECT id, ended_at, record FROM call_records \
                         WHERE tenant = $1 AND ended_at >= $2 \
                         ORDER BY ended_at DESC, id LIMIT $3) AS ended \
                     LEFT JOIN call_recordings ON call_recordings.call = ended.id \
                     ORDER BY ended.ended_at DESC, ended.id, call_recordings.url",
                )
                .with(tenant)
                .with(since_ms)
                .with(i64::from(limit.min(RECORDS_MAX))),
            )
            .await?;
        let mut records: Vec<(String, KeptRecord)> = Vec::new();
        for row in &rows {
            let (call, url): (String, Option<String>) = (row.try_get(0)?, row.try_get(2)?);
            let same = records.last_mut().filter(|(last, _)| *last == call);
            match same {
                Some((_, record)) => record.recordings.extend(url),
                None => {
                    let record = KeptRecord {
                        record: row.try_get(1)?,
                        recordings: url.into_iter().collect(),
                    };
                    records.push((call, record));
                }
            }
        }
        Ok(records.into_iter().map(|(_, record)| record).collect())
    }

    /// All rows of a query that goes on after a tenant `$1` and an id `$2`, `$3` rows at a time.
    async fn all_pages(
        &self,
        sql: &'static str,
        key: fn(&AnyRow) -> Result<(String, String), StoreError>,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let mut all: Vec<AnyRow> = Vec::new();
        loop {
            let (tenant, id) = all.last().map(key).transpose()?.unwrap_or_default();
            let page = Statement::new(sql).with(tenant).with(id);
            let page = self.rows(page.with(PAGE_MAX as i64)).await?;
            let last = page.len() < PAGE_MAX;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }
}

fn key(row: &AnyRow) -> Result<(String, String), StoreError> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

fn entry(row: &AnyRow) -> Result<Entry, StoreError> {
    Ok(Entry {
        tenant: row.try_get(0)?,
        id: row.try_get(1)?,
        record: row.try_get(2)?,
    })
}
