//! Files of recordings to where they are kept: a directory, S3, Google Cloud Storage, Azure.
//!
//! Each file has one place in the store, which its recording's id makes unique, so that doing it twice
//! changes nothing: what is there with its full size is not sent again. Large files go in parts; which
//! ones are there is noted beside the file, and after a restart the rest is sent.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path as Key;
use object_store::{Error, ObjectStore, ObjectStoreScheme, PutPayload, RetryConfig};
use serde::{Deserialize, Serialize};
use url::Url;

/// Size of parts; larger files than this go in parts. S3 takes 10,000 of at least 5 MiB: 78 GiB.
const PART_BYTES: u64 = 8 << 20;

/// Where it is noted what of a large file is in the store.
const PROGRESS_FILE: &str = ".delivery.json";

/// A store, and a place in it.
#[derive(Clone)]
pub struct Store {
    url: String,
    prefix: Key,
    objects: Arc<dyn ObjectStore>,
    /// Of stores that take parts one by one.
    parts: Option<Arc<dyn MultipartStore>>,
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not `s3:`, `gs:`, `az:`, `file:` or a path; the text says more.
    #[error("the target is not understood: {0}")]
    Target(String),
    /// An option that this kind of store does not have, or not of the form `name=value`.
    #[error("the option \"{0}\" is not understood")]
    Option(String),
    /// What is missing or wrong.
    #[error(transparent)]
    Store(#[from] Error),
    /// The directory cannot be made.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// Why a file is not in the store.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The store does not take it, and will not when asked again.
    #[error("the store refuses: {0}")]
    Refused(Error),
    /// The store cannot be reached, or failed.
    #[error("the store is away: {0}")]
    Away(Error),
    /// The file cannot be read.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

impl From<Error> for DeliveryError {
    fn from(error: Error) -> Self {
        match error {
            Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::NotFound { .. }
            | Error::InvalidPath { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented
            | Error::UnknownConfigurationKey { .. } => Self::Refused(error),
            error => Self::Away(error),
        }
    }
}

impl Store {
    /// `target`: a directory, or a URL like `s3://bucket/prefix`, `gs://...`, `az://...`,
    /// `file:///...`. `options`: `name=value`, as `object_store` names them, e.g.
    /// `aws_endpoint=http://127.0.0.1:9000`; else the environment's (`AWS_...`).
    ///
    /// # Errors
    /// See [`StoreError`]. The store itself is not asked yet.
    pub fn open(target: &str, options: &[String]) -> Result<Self, StoreError> {
        if !target.contains("://") {
            return Self::directory(Path::new(target), target);
        }
        let url = Url::parse(target).map_err(|e| StoreError::Target(e.to_string()))?;
        let (scheme, prefix) =
            ObjectStoreScheme::parse(&url).map_err(|e| StoreError::Target(e.to_string()))?;
        let retry = RetryConfig {
            max_retries: 2,
            retry_timeout: Duration::from_secs(30),
            ..RetryConfig::default()
        };
        match scheme {
            ObjectStoreScheme::Local => {
                let path = url
                    .to_file_path()
                    .map_err(|()| StoreError::Target("no path".to_owned()))?;
                Self::directory(&path, target)
            }
            ObjectStoreScheme::AmazonS3 => {
                let mut builder = AmazonS3Builder::from_env()
                    .with_url(target)
                    .with_retry(retry);
                for (key, value) in parse_options::<AmazonS3ConfigKey>(options)? {
                    builder = builder.with_config(key, value);
                }
                Ok(Self::in_parts(target, prefix, builder.build()?))
            }
            ObjectStoreScheme::GoogleCloudStorage => {
                let mut builder = GoogleCloudStorageBuilder::from_env()
                    .with_url(target)
                    .with_retry(retry);
                for (key, value) in parse_options::<GoogleConfigKey>(options)? {
                    builder = builder.with_config(key, value);
                }
                Ok(Self::in_parts(target, prefix, builder.build()?))
            }
            ObjectStoreScheme::MicrosoftAzure => {
                let mut builder = MicrosoftAzureBuilder::from_env()
                    .with_url(target)
                    .with_retry(retry);
                for (key, value) in parse_options::<AzureConfigKey>(options)? {
                    builder = builder.with_config(key, value);
                }
                Ok(Self::in_parts(target, prefix, builder.build()?))
            }
            _ => Err(StoreError::Target(
                "s3:, gs:, az:, file: or a directory is possible".to_owned(),
            )),
        }
    }

    fn directory(path: &Path, url: &str) -> Result<Self, StoreError> {
        fs::create_dir_all(path)?;
        let store = Arc::new(LocalFileSystem::new_with_prefix(path)?);
        Ok(Self::new(url, Key::default(), store, None))
    }

    /// A store that takes parts one by one.
    fn in_parts(url: &str, prefix: Key, store: impl ObjectStore + MultipartStore) -> Self {
        let store = Arc::new(store);
        let parts: Arc<dyn MultipartStore> = Arc::clone(&store) as _;
        Self::new(url, prefix, store, Some(parts))
    }

    fn new(
        url: &str,
        prefix: Key,
        objects: Arc<dyn ObjectStore>,
        parts: Option<Arc<dyn MultipartStore>>,
    ) -> Self {
        Self {
            url: url.trim_end_matches('/').to_owned(),
            prefix,
            objects,
            parts,
        }
    }

    /// Where a recording's files are, or will be.
    #[must_use]
    pub fn url_of(&self, recording: &str) -> String {
        format!("{}/{recording}", self.url)
    }

    /// Brings one file of a recording there, or sees that it is.
    ///
    /// # Errors
    /// See [`DeliveryError`]. It may be tried again, and goes on where it ended.
    pub async fn put_file(
        &self,
        folder: &Path,
        recording: &str,
        name: &str,
    ) -> Result<(), DeliveryError> {
        let path = folder.join(name);
        let len = fs::metadata(&path)?.len();
        let key = self.key(recording, name);
        match self.objects.head(&key).await {
            Ok(found) if found.size == len => return Ok(()),
            Ok(_) | Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if len <= PART_BYTES {
            let bytes = tokio::task::spawn_blocking(move || fs::read(path))
                .await
                .map_err(io::Error::other)??;
            self.objects.put(&key, bytes.into()).await?;
            return Ok(());
        }
        match &self.parts {
            Some(parts) => self.put_parts(&**parts, folder, name, &key, len).await,
            None => self.put_stream(&path, &key).await,
        }
    }

    /// Puts what is small and made in memory.
    ///
    /// # Errors
    /// See [`DeliveryError`].
    pub async fn put_bytes(
        &self,
        recording: &str,
        name: &str,
        bytes: Vec<u8>,
    ) -> Result<(), DeliveryError> {
        let key = self.key(recording, name);
        self.objects.put(&key, bytes.into()).await?;
        Ok(())
    }

    fn key(&self, recording: &str, name: &str) -> Key {
        self.prefix.child(recording).child(name)
    }

    /// Into a store that makes a file visible when all of it is there.
    async fn put_stream(&self, path: &Path, key: &Key) -> Result<(), DeliveryError> {
        let mut file = tokio::fs::File::open(path).await?;
        let mut writer =
            object_store::buffered::BufWriter::new(Arc::clone(&self.objects), key.clone());
        tokio::io::copy(&mut file, &mut writer).await?;
        tokio::io::AsyncWriteExt::shutdown(&mut writer).await?;
        Ok(())
    }

    async fn put_parts(
        &self,
        store: &dyn MultipartStore,
        folder: &Path,
        name: &str,
        key: &Key,
        len: u64,
    ) -> Result<(), DeliveryError> {
        let mut progress = Progress::read(folder);
        let known = progress.files.remove(name);
        let mut upload = match known.filter(|upload| upload.len == len) {
            Some(upload) => upload,
            None => Upload {
                id: store.create_multipart(key).await?,
                len,
                parts: Vec::new(),
            },
        };
        progress.write(folder, name, Some(&upload))?;
        let count = len.div_ceil(PART_BYTES) as usize;
        while upload.parts.len() < count {
            let index = upload.parts.len();
            let part = read_part(&folder.join(name), index).await?;
            let payload = PutPayload::from_bytes(part);
            match store.put_part(key, &upload.id, index, payload).await {
                Ok(part) => upload.parts.push(part.content_id),
                Err(error) => {
                    if matches!(error, Error::NotFound { .. }) {
                        // The store has forgotten the upload: the next try begins anew.
                        progress.write(folder, name, None)?;
                        return Err(DeliveryError::Away(error));
                    }
                    return Err(error.into());
                }
            }
            progress.write(folder, name, Some(&upload))?;
        }
        let parts = upload.parts.iter();
        let parts = parts.map(|id| PartId {
            content_id: id.clone(),
        });
        let completed = store.complete_multipart(key, &upload.id, parts.collect());
        let completed = completed.await;
        progress.write(folder, name, None)?;
        match completed {
            Ok(_) => Ok(()),
            Err(error @ Error::NotFound { .. }) => Err(DeliveryError::Away(error)),
            Err(error) => Err(error.into()),
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

async fn read_part(path: &Path, index: usize) -> io::Result<Bytes> {
    let path = path.to_owned();
    let read = move || {
        let mut file = fs::File::open(path)?;
        file.seek(SeekFrom::Start(index as u64 * PART_BYTES))?;
        let mut part = Vec::new();
        file.take(PART_BYTES).read_to_end(&mut part)?;
        Ok(Bytes::from(part))
    };
    tokio::task::spawn_blocking(read)
        .await
        .map_err(io::Error::other)?
}

fn parse_options<K: FromStr>(options: &[String]) -> Result<Vec<(K, String)>, StoreError> {
    let parse = |option: &String| {
        let (name, value) = option.split_once('=')?;
        Some((
            name.trim().to_ascii_lowercase().parse().ok()?,
            value.to_owned(),
        ))
    };
    let pairs = options.iter().map(|option| {
        // Its value may be a secret.
        let name = option.split('=').next().unwrap_or_default();
        parse(option).ok_or_else(|| StoreError::Option(name.to_owned()))
    });
    pairs.collect()
}

/// Large files on their way.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    files: BTreeMap<String, Upload>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Upload {
    id: String,
    len: u64,
    /// Ids of the parts that are there, in order.
    parts: Vec<String>,
}

impl Progress {
    /// What cannot be read is begun anew.
    fn read(folder: &Path) -> Self {
        let text = fs::read(folder.join(PROGRESS_FILE)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn write(&mut self, folder: &Path, name: &str, upload: Option<&Upload>) -> io::Result<()> {
        match upload {
            Some(upload) => self.files.insert(name.to_owned(), upload.clone()),
            None => self.files.remove(name),
        };
        let path = folder.join(PROGRESS_FILE);
        if self.files.is_empty() {
            return match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let new = folder.join(".delivery.json.new");
        fs::write(&new, serde_json::to_vec(self).map_err(io::Error::from)?)?;
        fs::rename(new, path)
    }
}

#[cfg(test)]
mod tests;
