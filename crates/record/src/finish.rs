//! What happens to a recording when its files are closed: checksums, the composed file, delivery.
//!
//! Each step is noted in the manifest when it is done, so that after a crash the rest is done, however
//! often that happens.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::compose::{ComposeError, compose};
use crate::deliver::{DeliveryError, Store};
use crate::manifest::{self, Manifest, Mode, Reason, State};
use crate::recover;
use crate::verify::sha256;

/// Pauses between tries to reach a store: the first, and the longest.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// So many refusals in a row are an answer.
const REFUSALS_MAX: u32 = 3;

/// Recordings that are on their way at a time.
const DELIVERIES_MAX: usize = 4;

/// See the module documentation.
#[derive(Debug)]
pub struct Finisher {
    folder: PathBuf,
    store: Option<Store>,
    /// Bytes that wait for the store.
    backlog: Arc<AtomicU64>,
    composing: Semaphore,
    delivering: Semaphore,
    /// Before a second try, and at most.
    pub(crate) pauses: (Duration, Duration),
}

/// A recording that is where it shall be, or of which that is known that it will not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// As it is on the disk.
    pub manifest: Manifest,
    /// Where its files are: a URL, or a folder of this machine.
    pub url: String,
}

impl Finisher {
    /// For recordings in `folder`, which go to `store` if there is one. `backlog` has the bytes that
    /// wait for it.
    #[must_use]
    pub fn new(folder: &Path, store: Option<Store>, backlog: Arc<AtomicU64>) -> Self {
        Self {
            folder: folder.to_owned(),
            store,
            backlog,
            // ffmpeg takes all that there is.
            composing: Semaphore::new(1),
            delivering: Semaphore::new(DELIVERIES_MAX),
            pauses: (PAUSE_FIRST, PAUSE_MAX),
        }
    }

    /// Does what is left to be done for a recording that has ended, or that a server which is gone
    /// left behind; `ended` is why, should its manifest not say it. Waits for a store that is away as
    /// long as that takes.
    ///
    /// # Errors
    /// The system's, when its folder cannot be read or written. Nothing is lost then: it goes on where
    /// it ended when it is tried again.
    pub async fn finish(&self, id: &str, ended: Reason) -> io::Result<Finished> {
        if !manifest::is_id(id) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let folder = self.folder.join(id);
        let mut manifest = {
            let folder = folder.clone();
            spawn_blocking(move || recover::close(&folder, ended))
                .await
                .map_err(io::Error::other)??
        };
        if manifest.state == State::Composing {
            add_checksums(&folder, &mut manifest).await?;
            self.compose(&folder, &mut manifest).await?;
            manifest.state = State::Delivering;
            manifest.write(&folder, true)?;
        }
        let refused = manifest.reason == Some(Reason::StoreRefused);
        if manifest.state == State::Delivering || refused {
            self.deliver(&folder, &mut manifest).await?;
        }
        let url = match &manifest.target {
            Some(target) => target.clone(),
            None => folder.display().to_string(),
        };
        Ok(Finished { manifest, url })
    }

    async fn compose(&self, folder: &Path, manifest: &mut Manifest) -> io::Result<()> {
        if manifest.mode == Mode::Individual {
            return Ok(());
        }
        let Ok(_turn) = self.composing.acquire().await else {
            return Ok(());
        };
        manifest.progress = Some(0);
        manifest.write(folder, false)?;
        let mut shown = manifest.clone();
        let progress = |percent| {
            if shown.progress != Some(percent) {
                shown.progress = Some(percent);
                // It is for whoever looks on; the next one comes soon.
                let _ = shown.write(folder, false);
            }
        };
        match compose(folder, manifest, progress).await {
            Ok(()) => manifest.progress = Some(100),
            Err(ComposeError::Nothing) => manifest.progress = None,
            Err(error) => {
                tracing::warn!(recording = manifest.id, %error, "no composed file");
                manifest.progress = None;
                if manifest.reason.is_none_or(Reason::is_good) {
                    manifest.reason = Some(Reason::CompositionFailed);
                }
            }
        }
        Ok(())
    }

    async fn deliver(&self, folder: &Path, manifest: &mut Manifest) -> io::Result<()> {
        let last = match manifest.reason.is_none_or(Reason::is_good) {
            true => State::Ready,
            false => State::Aborted,
        };
        let Some(store) = &self.store else {
            manifest.state = last;
            return manifest.write(folder, true);
        };
        manifest.target = Some(store.url_of(&manifest.id));
        let waiting = manifest.bytes;
        self.backlog.fetch_add(waiting, Ordering::Relaxed);
        let result = self.deliver_to(store, folder, manifest, last).await;
        self.backlog.fetch_sub(waiting, Ordering::Relaxed);
        result
    }

    async fn deliver_to(
        &self,
        store: &Store,
        folder: &Path,
        manifest: &mut Manifest,
        last: State,
    ) -> io::Result<()> {
        let Ok(_turn) = self.delivering.acquire().await else {
            return Ok(());
        };
        let last = match manifest.reason {
            // It was refused before, and is tried again.
            Some(Reason::StoreRefused) => {
                manifest.reason = Some(Reason::Stopped);
                State::Ready
            }
            _ => last,
        };
        let mut tries = Tries::new(self.pauses);
        for index in 0..manifest.files.len() {
            let file = manifest.files.get(index).filter(|file| !file.delivered);
            let Some(name) = file.map(|file| file.name.clone()) else {
                continue;
            };
            while let Err(error) = store.put_file(folder, &manifest.id, &name).await {
                if !tries.again(&manifest.id, error).await? {
                    manifest.state = State::Aborted;
                    manifest.reason = Some(Reason::StoreRefused);
                    return manifest.write(folder, true);
                }
            }
            tries = Tries::new(self.pauses);
            if let Some(file) = manifest.files.get_mut(index) {
                file.delivered = true;
            }
            manifest.write(folder, true)?;
        }
        // The manifest comes last: where it is, all is.
        let done = Manifest {
            state: last,
            ..manifest.clone()
        };
        let text = serde_json::to_vec_pretty(&done).map_err(io::Error::from)?;
        while let Err(error) = store
            .put_bytes(&done.id, manifest::FILE_NAME, text.clone())
            .await
        {
            if !tries.again(&done.id, error).await? {
                manifest.state = State::Aborted;
                manifest.reason = Some(Reason::StoreRefused);
                return manifest.write(folder, true);
            }
        }
        *manifest = done;
        manifest.write(folder, true)?;
        for file in &manifest.files {
            if let Some(path) = manifest.path_of(folder, &file.name) {
                let _ = tokio::fs::remove_file(path).await;
            }
        }
        Ok(())
    }
}

/// How patient a delivery still is.
struct Tries {
    pause: Duration,
    pause_max: Duration,
    refusals: u32,
    told: bool,
}

impl Tries {
    const fn new((pause, pause_max): (Duration, Duration)) -> Self {
        Self {
            pause,
            pause_max,
            refusals: 0,
            told: false,
        }
    }

    /// After a pause: whether to try again.
    async fn again(&mut self, recording: &str, error: DeliveryError) -> io::Result<bool> {
        self.refusals = match &error {
            DeliveryError::Refused(_) => self.refusals + 1,
            DeliveryError::Away(_) => 0,
            DeliveryError::Disk(error) => {
                return Err(io::Error::new(error.kind(), error.to_string()));
            }
        };
        // Once per change of state.
        if !core::mem::replace(&mut self.told, true) || self.refusals == REFUSALS_MAX {
            tracing::warn!(recording, %error, "not delivered");
        }
        if self.refusals >= REFUSALS_MAX {
            return Ok(false);
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(self.pause_max);
        Ok(true)
    }
}

async fn add_checksums(folder: &Path, manifest: &mut Manifest) -> io::Result<()> {
    for index in 0..manifest.files.len() {
        let file = manifest.files.get(index).filter(|f| f.sha256.is_empty());
        let Some(path) = file.and_then(|file| manifest.path_of(folder, &file.name)) else {
            continue;
        };
        let sum = spawn_blocking(move || sha256(&path))
            .await
            .map_err(io::Error::other)??;
        if let Some(file) = manifest.files.get_mut(index) {
            file.sha256 = sum;
        }
    }
    Ok(())
}
