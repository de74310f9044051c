//! Opening a database, and the three things that nouns do with it.

use std::str::FromStr as _;
use std::sync::Once;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions, AnyRow};
use sqlx::{AnyPool, Executor as _};

use crate::migrations::migrator;
use crate::statement::Statement;
use crate::writer::{Counters, Writer};

/// Most connections to the database; one of them writes.
const CONNECTIONS_MAX: u32 = 4;

/// How long a caller waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Readers and the writer go on side by side (WAL); a power cut may cost the last moments but no
/// consistency; a lock of another process is waited for; what is deleted makes room for others.
const SQLITE_SETTINGS: &str = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; \
    PRAGMA busy_timeout = 5000; PRAGMA journal_size_limit = 67108864;";

/// Records, wherever they are kept. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
    writer: Writer,
}

/// Why something could not be kept or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The address is of no database that is known here.
    #[error("the store's URL must begin with sqlite: or postgres:")]
    Url,
    /// The tables could not be brought to their present form.
    #[error("the store's tables cannot be brought up to date: {0}")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The database is away, full, or refuses.
    #[error("the store does not answer: {0}")]
    Database(#[source] sqlx::Error),
}

impl StoreError {
    /// Stable name, the same in metrics, logs and problem types.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Url => "store_url",
            Self::Migration(_) => "store_migration",
            Self::Database(_) => "store_unavailable",
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl Store {
    /// Opens a database and brings its tables up to date. `url` is `sqlite:PATH?mode=rwc`,
    /// `sqlite::memory:`, or `postgres://USER:PASSWORD@HOST/DATABASE`.
    ///
    /// # Errors
    /// When it cannot be reached or written, or was made by a newer version.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Self::open_with(url, CONNECTIONS_MAX).await
    }

    pub(crate) async fn open_with(url: &str, connections: u32) -> Result<Self, StoreError> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let sqlite = url.starts_with("sqlite:");
        if !sqlite && !url.starts_with("postgres:") && !url.starts_with("postgresql:") {
            return Err(StoreError::Url);
        }
        let in_memory = sqlite && url.contains(":memory:");
        let mut pool = AnyPoolOptions::new()
            // What is in memory ends with its connection, and each has its own.
            .max_connections(if in_memory { 1 } else { connections })
            .acquire_timeout(ACQUIRE_TIMEOUT);
        if in_memory {
            pool = pool.idle_timeout(None).max_lifetime(None);
        } else if sqlite {
            pool = pool.after_connect(|connection, _| {
                Box::pin(async move {
                    connection.execute(SQLITE_SETTINGS).await?;
                    Ok(())
                })
            });
        }
        let pool = pool.connect_with(AnyConnectOptions::from_str(url)?).await?;
        migrator().run(&pool).await.map_err(StoreError::Migration)?;
        let writer = Writer::start(pool.clone());
        Ok(Self { pool, writer })
    }

    /// Returns when everything that was put on the queue so far has been written, or given up.
    pub async fn flush(&self) {
        self.writer.flush().await;
    }

    /// Totals since the store was opened.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.writer.counters()
    }

    /// Writes in passing: see the crate's documentation.
    pub(crate) fn enqueue(&self, statement: Statement) {
        self.writer.enqueue(statement);
    }

    /// Writes, and says how many rows that concerned.
    pub(crate) async fn execute(&self, statement: Statement) -> Result<u64, StoreError> {
        let done = statement.query().execute(&self.pool).await?;
        Ok(done.rows_affected())
    }

    /// Reads. The statement bounds how much.
    pub(crate) async fn rows(&self, statement: Statement) -> Result<Vec<AnyRow>, StoreError> {
        Ok(statement.query().fetch_all(&self.pool).await?)
    }

    #[cfg(test)]
    pub(crate) const fn pool(&self) -> &AnyPool {
        &self.pool
    }
}
