//! History: occurrences of rooms, and what was measured in them in steps of seconds.
//!
//! Bounded by [`Store::prune_history`], which its owner calls now and then. What a summary or a sample
//! says is the matter of who writes it; here they are text.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::statement::Statement;
use crate::store::{Store, StoreError};

/// Most occurrences and points that one query returns.
pub const PAGE_MAX: u32 = 10_000;

/// One life of a room, from its making to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Id of the occurrence (the room's `sid`).
    pub id: String,
    /// Name of the room.
    pub room: String,
    /// Unix milliseconds.
    pub started_at_ms: i64,
    /// Unix milliseconds; `None` while it lasts.
    pub ended_at_ms: Option<i64>,
    /// Why it ended.
    pub reason: Option<String>,
    /// JSON; `None` while it lasts.
    pub summary: Option<String>,
}

/// An occurrence that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOccurrence {
    /// See [`Occurrence::id`].
    pub id: String,
    /// See [`Occurrence::room`].
    pub room: String,
    /// Which node the room is on: only that one may say that it has ended.
    pub node: String,
    /// See [`Occurrence::started_at_ms`].
    pub started_at_ms: i64,
}

/// What was measured in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Length of the step in seconds.
    pub step_s: i64,
    /// End of the step, Unix milliseconds.
    pub at_ms: i64,
    /// JSON.
    pub sample: String,
}

/// Which occurrences are wanted; newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this room.
    pub room: Option<String>,
    /// Only those that lasted at this time or later, Unix milliseconds.
    pub since_ms: i64,
    /// At most so many; 0: [`PAGE_MAX`].
    pub limit: u32,
}

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Steps of one second older than this go, Unix milliseconds.
    pub fine_since_ms: i64,
    /// Other steps, and occurrences that ended before this, go.
    pub since_ms: i64,
    /// Most points kept; the oldest fine ones go first.
    pub points_max: i64,
}

impl Store {
    /// Notes that an occurrence began. Written in passing.
    pub fn begin_occurrence(&self, new: NewOccurrence) {
        self.enqueue(
            Statement::new(
                "INSERT INTO history_occurrences (id, room, node, started_at) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING",
            )
            .with(new.id)
            .with(new.room)
            .with(new.node)
            .with(new.started_at_ms),
        );
    }

    /// Notes that an occurrence ended, why, and its summary. Written in passing.
    pub fn end_occurrence(&self, id: &str, ended_at_ms: i64, reason: &str, summary: String) {
        self.enqueue(
            Statement::new(
                "UPDATE history_occurrences SET ended_at = $2, reason = $3, summary = $4 \
                 WHERE id = $1 AND ended_at IS NULL",
            )
            .with(id)
            .with(ended_at_ms)
            .with(reason)
            .with(summary),
        );
    }

    /// Keeps a point. Written in passing.
    pub fn add_point(&self, occurrence: &str, point: Point) {
        self.enqueue(
            Statement::new(
                "INSERT INTO history_points (occurrence, step_s, at, sample) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            )
            .with(occurrence)
            .with(point.step_s)
            .with(point.at_ms)
            .with(point.sample),
        );
    }

    /// Ends what a node left unfinished when it stopped without a word: at the time of the last
    /// point, with `reason` and no summary. Returns how many there were.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn end_unfinished(&self, node: &str, reason: &str) -> Result<u64, StoreError> {
        self.execute(
            Statement::new(
                "UPDATE history_occurrences SET reason = $2, ended_at = COALESCE(\
                    (SELECT MAX(at) FROM history_points WHERE occurrence = id), started_at) \
                 WHERE node = $1 AND ended_at IS NULL",
            )
            .with(node)
            .with(reason),
        )
        .await
    }

    /// Occurrences, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn occurrences(&self, filter: &Filter) -> Result<Vec<Occurrence>, StoreError> {
        let rows = self
            .rows(
                Statement::new(
                    "SELECT id, room, started_at, ended_at, reason, summary \
                     FROM history_occurrences \
                     WHERE ($1 IS NULL OR room = $1) AND (ended_at IS NULL OR ended_at >= $2) \
                     ORDER BY started_at DESC, id LIMIT $3",
                )
                .with(filter.room.clone())
                .with(filter.since_ms)
                .with(i64::from(match filter.limit {
                    0 => PAGE_MAX,
                    limit => limit.min(PAGE_MAX),
                })),
            )
            .await?;
        rows.iter().map(occurrence).collect()
    }

    /// One occurrence.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn occurrence(&self, id: &str) -> Result<Option<Occurrence>, StoreError> {
        let rows = self
            .rows(
                Statement::new(
                    "SELECT id, room, started_at, ended_at, reason, summary \
                     FROM history_occurrences WHERE id = $1 LIMIT 1",
                )
                .with(id),
            )
            .await?;
        rows.first().map(occurrence).transpose()
    }

    /// Points of an occurrence after `after_ms` in order of time: in the finest steps that are kept
    /// for each stretch of it. At most `limit` and [`PAGE_MAX`]; ask on from the last.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn points(
        &self,
        occurrence: &str,
        after_ms: i64,
        limit: u32,
    ) -> Result<Vec<Point>, StoreError> {
        let rows = self
            .rows(
                Statement::new(
                    "SELECT step_s, at, sample FROM history_points \
                     WHERE occurrence = $1 AND at > $2 AND (step_s = 1 OR at <= COALESCE(\
                        (SELECT MIN(at) FROM history_points WHERE occurrence = $1 AND step_s = 1), \
                        9223372036854775807)) \
                     ORDER BY at, step_s LIMIT $3",
                )
                .with(occurrence)
                .with(after_ms)
                .with(i64::from(limit.min(PAGE_MAX))),
            )
            .await?;
        rows.iter().map(point).collect()
    }

    /// Forgets what is older, or more, than `retention` allows. Returns how many points went.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn prune_history(&self, retention: Retention) -> Result<u64, StoreError> {
        let aged =
            Statement::new("DELETE FROM history_points WHERE (step_s = 1 AND at < $1) OR at < $2");
        let mut gone = self
            .execute(aged.with(retention.fine_since_ms).with(retention.since_ms))
            .await?;
        // The finest are the most; then the oldest of what is left.
        for _ in 0..2 {
            let over = self.point_count().await? - retention.points_max;
            if over > 0 {
                gone += self.drop_oldest(over).await?;
            }
        }
        let ended = Statement::new("DELETE FROM history_occurrences WHERE ended_at < $1");
        self.execute(ended.with(retention.since_ms)).await?;
        Ok(gone)
    }

    async fn point_count(&self) -> Result<i64, StoreError> {
        let count = Statement::new("SELECT COUNT(*) FROM history_points");
        let rows = self.rows(count).await?;
        Ok(match rows.first() {
            Some(row) => row.try_get(0)?,
            None => 0,
        })
    }

    async fn drop_oldest(&self, count: i64) -> Result<u64, StoreError> {
        let finest = Statement::new(
            "DELETE FROM history_points WHERE step_s = (SELECT MIN(step_s) FROM history_points) \
             AND at <= (SELECT MAX(at) FROM (SELECT at FROM history_points \
                WHERE step_s = (SELECT MIN(step_s) FROM history_points) \
                ORDER BY at LIMIT $1) AS oldest)",
        );
        self.execute(finest.with(count)).await
    }
}

fn occurrence(row: &AnyRow) -> Result<Occurrence, StoreError> {
    Ok(Occurrence {
        id: row.try_get(0)?,
        room: row.try_get(1)?,
        started_at_ms: row.try_get(2)?,
        ended_at_ms: row.try_get(3)?,
        reason: row.try_get(4)?,
        summary: row.try_get(5)?,
    })
}

fn point(row: &AnyRow) -> Result<Point, StoreError> {
    Ok(Point {
        step_s: row.try_get(0)?,
        at_ms: row.try_get(1)?,
        sample: row.try_get(2)?,
    })
}
