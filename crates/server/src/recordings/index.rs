//! Which recordings there are, from the store, so that no list reads all folders.
//!
//! The folders are the truth: at the start the index is made to agree with them, and recordings under
//! way are read from there. Without a store, or while it does not answer, they are walked.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crosspoint_record::manifest::{self, Manifest, State};
use crosspoint_store::recordings::{Filter, Recording};
use crosspoint_store::{Store, StoreError};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

/// Most recordings in one list.
const LIST_MAX: u32 = 1000;

/// See the module documentation.
pub(super) struct Index {
    folder: PathBuf,
    /// With the name of this node.
    store: Option<(Store, String)>,
    /// Set when index and folders agree.
    agreed: OnceCell<()>,
}

impl Index {
    /// Of the recordings in `folder`. `store`: where the index is, and the name of this node.
    pub(super) fn new(folder: &Path, store: Option<(Store, String)>) -> Self {
        Self {
            folder: folder.to_owned(),
            store,
            agreed: OnceCell::new(),
        }
    }

    /// Makes the index agree with the folders, once; waits for whoever does it already. When the store
    /// does not answer, the next one who asks tries again.
    pub(super) async fn agree(&self) {
        if let Some((store, node)) = &self.store {
            let agree = || self.agree_with(store, node);
            if let Err(error) = self.agreed.get_or_try_init(agree).await {
                tracing::warn!(%error, "the index of recordings may lack some");
            }
        }
    }

    /// Notes how a recording is now.
    pub(super) async fn note(&self, manifest: &Manifest) {
        let Some((store, node)) = &self.store else {
            return;
        };
        if let Err(error) = put(store, node, manifest.clone()).await {
            let recording = &manifest.id;
            tracing::warn!(recording, %error, "a recording is not in the index");
        }
    }

    /// Recordings without their gaps, newest first; those of one room if it is given.
    pub(super) async fn list(&self, room: Option<String>) -> io::Result<Vec<Manifest>> {
        if let Some((store, node)) = &self.store {
            self.agree().await;
            let filter = Filter {
                room: room.clone(),
                limit: LIST_MAX,
            };
            match store.recordings(&filter).await {
                Ok(rows) => return Ok(self.of_rows(rows, node).await),
                Err(error) => tracing::warn!(%error, "recordings are looked for on the disk"),
            }
        }
        walk(self.folder.clone(), room).await
    }

    /// A recording whose folder another node has.
    pub(super) async fn elsewhere(&self, id: &str) -> Option<Manifest> {
        let (store, node) = self.store.as_ref()?;
        let found = store.recording(id).await.ok().flatten()?;
        let row = (found.node != *node).then_some(found)?;
        serde_json::from_str(&row.manifest).ok()
    }

    /// Rows as manifests; those that still change as their folders have them.
    async fn of_rows(&self, rows: Vec<Recording>, node: &str) -> Vec<Manifest> {
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            let noted = serde_json::from_str(&row.manifest).ok();
            let manifest = if row.finished || row.node != node {
                noted
            } else {
                self.read(row.id).await.or(noted)
            };
            found.extend(manifest.map(without_gaps));
        }
        found
    }

    async fn read(&self, id: String) -> Option<Manifest> {
        let folder = self.folder.join(id);
        let read = spawn_blocking(move || Manifest::read(&folder));
        read.await.ok()?.ok()
    }

    async fn agree_with(&self, store: &Store, node: &str) -> Result<(), StoreError> {
        let mut noted = HashMap::new();
        let mut last = String::new();
        loop {
            let page = store.recordings_of_node(node, &last).await?;
            let Some((id, _)) = page.last() else { break };
            last.clone_from(id);
            noted.extend(page);
        }
        let folder = self.folder.clone();
        let present = spawn_blocking(move || ids(&folder)).await;
        let Ok(Ok(present)) = present else {
            // Then there is nothing to agree with; what is noted may come back.
            return Ok(());
        };
        for id in present {
            let finished = noted.remove(&id) == Some(true);
            if !finished && let Some(manifest) = self.read(id).await {
                put(store, node, manifest).await?;
            }
        }
        for id in noted.into_keys() {
            store.forget_recording(node, &id).await?;
        }
        Ok(())
    }
}

async fn put(store: &Store, node: &str, manifest: Manifest) -> Result<(), StoreError> {
    let manifest = without_gaps(manifest);
    let text = serde_json::to_string(&manifest).unwrap_or_default();
    let recording = Recording {
        node: node.to_owned(),
        started_at_ms: i64::try_from(manifest.started_us / 1000).unwrap_or(i64::MAX),
        finished: matches!(manifest.state, State::Ready | State::Aborted),
        id: manifest.id,
        room: manifest.room,
        manifest: text,
    };
    store.put_recording(recording).await
}

/// Thousands of gaps are for whoever looks at one recording.
fn without_gaps(mut manifest: Manifest) -> Manifest {
    for track in &mut manifest.tracks {
        track.gaps_omitted += track.gaps.len() as u64;
        track.gaps.clear();
    }
    manifest
}

/// As [`Index::list`], from the folders.
async fn walk(folder: PathBuf, room: Option<String>) -> io::Result<Vec<Manifest>> {
    let walk = move || -> io::Result<Vec<Manifest>> {
        let ids = ids(&folder)?.into_iter();
        let mut found: Vec<Manifest> = ids
            .filter_map(|id| Manifest::read(&folder.join(id)).ok())
            .filter(|manifest| room.as_ref().is_none_or(|room| *room == manifest.room))
            .map(without_gaps)
            .collect();
        found.sort_by_key(|manifest| std::cmp::Reverse(manifest.started_us));
        found.truncate(LIST_MAX as usize);
        Ok(found)
    };
    spawn_blocking(walk).await.map_err(io::Error::other)?
}

/// Recordings that have a folder.
fn ids(folder: &Path) -> io::Result<Vec<String>> {
    let entries = std::fs::read_dir(folder)?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter(|name| manifest::is_id(name)).collect())
}

#[cfg(test)]
mod tests;
