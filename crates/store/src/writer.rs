//! One task that writes what others put on its queue, in batches.
//!
//! The queue is bounded by number and by bytes; what does not fit is dropped and counted. A batch
//! that the database refuses is tried statement by statement, so that one bad row costs only itself;
//! while the database does not answer at all, batches are given up after a pause, and one warning
//! says so when it begins and one line when it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::AnyPool;
use tokio::sync::{mpsc, oneshot};

use crate::statement::Statement;

/// Most statements that wait.
const QUEUE_MAX: usize = 8192;

/// Most bytes of arguments that wait.
const QUEUE_BYTES_MAX: usize = 32 << 20;

/// Most statements in one transaction.
const BATCH_MAX: usize = 512;

/// Pause after a batch was given up: a database that is away is not asked without end.
const PAUSE: Duration = Duration::from_millis(500);

/// Totals of the queue since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Statements written.
    pub written: u64,
    /// Dropped: the queue was full.
    pub queue_full: u64,
    /// Dropped: the database refused, or did not answer.
    pub refused: u64,
}

/// See the module documentation. Clones have the same queue; the task ends with the last of them.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Job>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting_bytes: AtomicUsize,
    written: AtomicU64,
    queue_full: AtomicU64,
    refused: AtomicU64,
}

#[derive(Debug)]
enum Job {
    Write(Statement),
    /// Answered when everything before it is done.
    Barrier(oneshot::Sender<()>),
}

impl Writer {
    pub(crate) fn start(pool: AnyPool) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let shared = Arc::new(Shared::default());
        let task = Task {
            pool,
            shared: Arc::clone(&shared),
            failing: false,
        };
        tokio::spawn(task.run(jobs));
        Self { queue, shared }
    }

    pub(crate) fn enqueue(&self, statement: Statement) {
        let weight = statement.weight();
        let waiting = self
            .shared
            .waiting_bytes
            .fetch_add(weight, Ordering::Relaxed);
        let fits = waiting + weight <= QUEUE_BYTES_MAX;
        if !fits || self.queue.try_send(Job::Write(statement)).is_err() {
            self.shared
                .waiting_bytes
                .fetch_sub(weight, Ordering::Relaxed);
            self.shared.queue_full.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) async fn flush(&self) {
        let (done, barrier) = oneshot::channel();
        if self.queue.send(Job::Barrier(done)).await.is_ok() {
            // The task may have ended with the runtime.
            let _ = barrier.await;
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters {
            written: self.shared.written.load(Ordering::Relaxed),
            queue_full: self.shared.queue_full.load(Ordering::Relaxed),
            refused: self.shared.refused.load(Ordering::Relaxed),
        }
    }
}

struct Task {
    pool: AnyPool,
    shared: Arc<Shared>,
    failing: bool,
}

impl Task {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut taken = Vec::with_capacity(BATCH_MAX);
        while jobs.recv_many(&mut taken, BATCH_MAX).await > 0 {
            let mut batch = Vec::with_capacity(taken.len());
            let mut barriers = Vec::new();
            for job in taken.drain(..) {
                match job {
                    Job::Write(statement) => batch.push(statement),
                    // What came after it may be written before it is answered.
                    Job::Barrier(done) => barriers.push(done),
                }
            }
            self.write(&batch).await;
            for done in barriers {
                let _ = done.send(());
            }
        }
    }

    async fn write(&mut self, batch: &[Statement]) {
        if batch.is_empty() {
            return;
        }
        let outcome = match self.write_together(batch).await {
            Err(sqlx::Error::Database(_)) => self.write_each(batch).await,
            outcome => outcome.map(|()| batch.len()),
        };
        let written = *outcome.as_ref().unwrap_or(&0);
        let weight = batch.iter().map(Statement::weight).sum();
        self.shared
            .waiting_bytes
            .fetch_sub(weight, Ordering::Relaxed);
        count(&self.shared.written, written);
        count(&self.shared.refused, batch.len() - written);
        self.report(outcome.err()).await;
    }

    async fn write_together(&self, batch: &[Statement]) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        for statement in batch {
            statement.query().execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }

    /// Writes each by itself; an error when none could be.
    async fn write_each(&self, batch: &[Statement]) -> Result<usize, sqlx::Error> {
        let mut written = 0;
        let mut first_error = None;
        for statement in batch {
            match statement.query().execute(&self.pool).await {
                Ok(_) => written += 1,
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        match first_error {
            Some(error) if written == 0 => Err(error),
            _ => Ok(written),
        }
    }

    /// One line per change of state.
    async fn report(&mut self, error: Option<sqlx::Error>) {
        let failed = error.is_some();
        let before = std::mem::replace(&mut self.failing, failed);
        match error {
            Some(error) if !before => {
                tracing::warn!(%error, "the store takes no records; they are lost until it does");
            }
            None if before => tracing::info!("the store takes records again"),
            _ => {}
        }
        if failed {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn count(counter: &AtomicU64, number: usize) {
    counter.fetch_add(number as u64, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Store;

    fn row(text: &str) -> Statement {
        Statement::new(
            "INSERT INTO history_points (occurrence, step_s, at, sample) VALUES ($1, 1, $2, $3) \
             ON CONFLICT DO NOTHING",
        )
        .with("RM_1")
        .with(i64::from(rand::random::<u32>()))
        .with(text)
    }

    async fn store() -> Store {
        Store::open_with("sqlite::memory:", 1).await.unwrap()
    }

    #[tokio::test]
    async fn a_row_that_is_refused_costs_only_itself() {
        let store = store().await;
        store.enqueue(row("one"));
        store.enqueue(Statement::new(
            "INSERT INTO history_points VALUES (NULL, 1, 1, 'x')",
        ));
        store.enqueue(row("two"));
        store.flush().await;
        let expected = Counters {
            written: 2,
            refused: 1,
            queue_full: 0,
        };
        assert_eq!(store.counters(), expected);
    }

    #[tokio::test]
    async fn a_full_disk_loses_records_until_there_is_room() {
        let store = store().await;
        sqlx::query("PRAGMA max_page_count = 64")
            .execute(store.pool())
            .await
            .unwrap();
        let large = "x".repeat(20_000);
        for _ in 0..40 {
            store.enqueue(row(&large));
        }
        store.flush().await;
        let full = store.counters();
        assert!(full.written > 0 && full.refused > 0, "{full:?}");
        assert_eq!(full.written + full.refused, 40);

        sqlx::query("PRAGMA max_page_count = 100000")
            .execute(store.pool())
            .await
            .unwrap();
        store.enqueue(row(&large));
        store.flush().await;
        assert_eq!(store.counters().written, full.written + 1);
    }

    #[tokio::test]
    async fn a_full_queue_drops_and_counts_at_once() {
        let store = store().await;
        // The runtime has one thread, and nothing here awaits: the writer cannot run.
        for _ in 0..QUEUE_MAX + 5 {
            store.enqueue(row(""));
        }
        assert_eq!(store.counters().queue_full, 5);
        store.flush().await;

        let megabyte = "x".repeat(1 << 20);
        for _ in 0..40 {
            store.enqueue(row(&megabyte));
        }
        let dropped = store.counters().queue_full - 5;
        assert_eq!(dropped, 40 - 31, "31 MiB and some fit into 32");
        store.flush().await;
        assert_eq!(store.counters().refused, 0);
    }
}
