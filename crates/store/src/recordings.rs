//! The index of recordings: which there are, on which node, and their manifests as text.
//!
//! The folders of recordings are the truth; a node that starts makes its rows agree with them.

use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::statement::Statement;
use crate::store::{Store, StoreError};

/// Most recordings that one query returns.
pub const PAGE_MAX: u32 = 10_000;

/// One recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Its id.
    pub id: String,
    /// Which node has its folder.
    pub node: String,
    /// Name of the room.
    pub room: String,
    /// Unix milliseconds.
    pub started_at_ms: i64,
    /// Whether nothing will be changed in it any more.
    pub finished: bool,
    /// JSON.
    pub manifest: String,
}

/// Which recordings are wanted; newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of this room.
    pub room: Option<String>,
    /// At most so many; 0: [`PAGE_MAX`].
    pub limit: u32,
}

impl Store {
    /// Notes how a recording is now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn put_recording(&self, recording: Recording) -> Result<(), StoreError> {
        self.execute(
            Statement::new(
                "INSERT INTO recordings (id, node, room, started_at, finished, manifest) \
                 VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO UPDATE SET \
                 node = EXCLUDED.node, room = EXCLUDED.room, started_at = EXCLUDED.started_at, \
                 finished = EXCLUDED.finished, manifest = EXCLUDED.manifest",
            )
            .with(recording.id)
            .with(recording.node)
            .with(recording.room)
            .with(recording.started_at_ms)
            .with(i64::from(recording.finished))
            .with(recording.manifest),
        )
        .await?;
        Ok(())
    }

    /// Recordings, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn recordings(&self, filter: &Filter) -> Result<Vec<Recording>, StoreError> {
        let rows = self
            .rows(
                Statement::new(
                    "SELECT id, node, room, started_at, finished, manifest FROM recordings \
                     WHERE ($1 IS NULL OR room = $1) ORDER BY started_at DESC, id LIMIT $2",
                )
                .with(filter.room.clone())
                .with(i64::from(match filter.limit {
                    0 => PAGE_MAX,
                    limit => limit.min(PAGE_MAX),
                })),
            )
            .await?;
        rows.iter().map(recording).collect()
    }

    /// One recording.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn recording(&self, id: &str) -> Result<Option<Recording>, StoreError> {
        let rows = self
            .rows(
                Statement::new(
                    "SELECT id, node, room, started_at, finished, manifest FROM recordings \
                     WHERE id = $1 LIMIT 1",
                )
                .with(id),
            )
            .await?;
        rows.first().map(recording).transpose()
    }

    /// Ids of a node's recordings after `after`, in order, and whether each is finished. At most
    /// [`PAGE_MAX`]; ask on from the last.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn recordings_of_node(
        &self,
        node: &str,
        after: &str,
    ) -> Result<Vec<(String, bool)>, StoreError> {
        let rows = self
            .rows(
                Statement::new(
                    "SELECT id, finished FROM recordings WHERE node = $1 AND id > $2 \
                     ORDER BY id LIMIT $3",
                )
                .with(node)
                .with(after)
                .with(i64::from(PAGE_MAX)),
            )
            .await?;
        let of = |row: &AnyRow| Ok((row.try_get(0)?, row.try_get::<i64, _>(1)? != 0));
        rows.iter().map(of).collect()
    }

    /// Forgets a node's recording whose folder is gone.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_recording(&self, node: &str, id: &str) -> Result<(), StoreError> {
        let gone = Statement::new("DELETE FROM recordings WHERE node = $1 AND id = $2");
        self.execute(gone.with(node).with(id)).await?;
        Ok(())
    }
}

fn recording(row: &AnyRow) -> Result<Recording, StoreError> {
    Ok(Recording {
        id: row.try_get(0)?,
        node: row.try_get(1)?,
        room: row.try_get(2)?,
        started_at_ms: row.try_get(3)?,
        finished: row.try_get::<i64, _>(4)? != 0,
        manifest: row.try_get(5)?,
    })
}
