//! Delivery into a store in memory that fails as it is told.

use std::fmt;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use futures_util::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::{
    GetOptions, GetResult, ListResult, MultipartId, MultipartUpload, ObjectMeta,
    PutMultipartOptions, PutOptions, PutResult,
};

use tokio::time::Instant;

use super::*;
use crate::manifest::{FileEntry, Format, Manifest, Mode, OnFailure, Reason, State};
use crate::{Finisher, verify};

/// Fails so many calls, in a way, before it serves; counts what it was given.
#[derive(Debug)]
struct Moody {
    inner: InMemory,
    failures: Mutex<u32>,
    refuses: bool,
    /// Nothing is answered before.
    away_until: Option<Instant>,
    puts: Mutex<Vec<String>>,
}

impl Moody {
    fn new(failures: u32, refuses: bool) -> Arc<Self> {
        Arc::new(Self {
            inner: InMemory::new(),
            failures: Mutex::new(failures),
            refuses,
            away_until: None,
            puts: Mutex::default(),
        })
    }

    fn away(time: Duration) -> Arc<Self> {
        let away_until = Some(Instant::now() + time);
        Arc::new(Self {
            inner: InMemory::new(),
            failures: Mutex::default(),
            refuses: false,
            away_until,
            puts: Mutex::default(),
        })
    }

    fn store(self: &Arc<Self>) -> Store {
        let parts: Arc<dyn MultipartStore> = Arc::clone(self) as _;
        Store::new(
            "mem://test",
            Key::from("prefix"),
            Arc::clone(self) as _,
            Some(parts),
        )
    }

    /// Every second call fails until there were enough.
    fn mood(&self, what: &str) -> object_store::Result<()> {
        if self.away_until.is_some_and(|end| Instant::now() < end) {
            return Err(Error::Generic {
                store: "moody",
                source: "nobody is there".into(),
            });
        }
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            if self.refuses {
                return Err(Error::PermissionDenied {
                    path: what.to_owned(),
                    source: "no".into(),
                });
            }
            if *failures % 2 == 1 {
                return Err(Error::Generic {
                    store: "moody",
                    source: "away".into(),
                });
            }
        }
        drop(failures);
        self.puts.lock().unwrap().push(what.to_owned());
        Ok(())
    }
}

impl fmt::Display for Moody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Moody")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Moody {
    async fn put_opts(
        &self,
        key: &Key,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.mood(&format!("put {key}"))?;
        self.inner.put_opts(key, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        key: &Key,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(key, options).await
    }

    async fn get_opts(&self, key: &Key, options: GetOptions) -> object_store::Result<GetResult> {
        self.inner.get_opts(key, options).await
    }

    async fn get_range(&self, key: &Key, range: Range<u64>) -> object_store::Result<Bytes> {
        self.inner.get_range(key, range).await
    }

    async fn delete(&self, key: &Key) -> object_store::Result<()> {
        self.inner.delete(key).await
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy(&self, from: &Key, to: &Key) -> object_store::Result<()> {
        self.inner.copy(from, to).await
    }

    async fn copy_if_not_exists(&self, from: &Key, to: &Key) -> object_store::Result<()> {
        self.inner.copy_if_not_exists(from, to).await
    }
}

#[async_trait::async_trait]
impl MultipartStore for Moody {
    async fn create_multipart(&self, key: &Key) -> object_store::Result<MultipartId> {
        self.mood("create")?;
        self.inner.create_multipart(key).await
    }

    async fn put_part(
        &self,
        key: &Key,
        id: &MultipartId,
        index: usize,
        data: PutPayload,
    ) -> object_store::Result<PartId> {
        self.mood(&format!("part {index}"))?;
        self.inner.put_part(key, id, index, data).await
    }

    async fn complete_multipart(
        &self,
        key: &Key,
        id: &MultipartId,
        parts: Vec<PartId>,
    ) -> object_store::Result<PutResult> {
        self.mood("complete")?;
        self.inner.complete_multipart(key, id, parts).await
    }

    async fn abort_multipart(&self, key: &Key, id: &MultipartId) -> object_store::Result<()> {
        self.inner.abort_multipart(key, id).await
    }
}

const ID: &str = "RC_0123456789ab";

/// Of its files.
const BYTES: u64 = 1000 + (20 << 20);

/// A folder with a recording of a small and a large file that has ended.
fn recording() -> (tempfile::TempDir, Manifest) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(ID);
    fs::create_dir(&path).unwrap();
    let file = |name: &str, bytes: usize| {
        let content: Vec<u8> = (0..bytes).map(|n| (n * 7 / 3) as u8).collect();
        fs::write(path.join(name), content).unwrap();
        FileEntry {
            name: name.to_owned(),
            track: None,
            codec: String::new(),
            content_type: "video/webm".to_owned(),
            offset_ms: 0,
            duration_ms: 0,
            bytes: bytes as u64,
            sha256: String::new(),
            frames: 0,
            delivered: false,
        }
    };
    let manifest = Manifest {
        version: 1,
        id: ID.to_owned(),
        room: "demo".to_owned(),
        room_sid: "RM_1".to_owned(),
        mode: Mode::Individual,
        format: Format::Webm,
        on_failure: OnFailure::Continue,
        state: State::Composing,
        reason: Some(Reason::Stopped),
        started_at: String::new(),
        started_us: 0,
        ended_at: None,
        duration_ms: 0,
        bytes: BYTES,
        participants: Vec::new(),
        tracks: Vec::new(),
        files: vec![file("01-a.webm", 1000), file("02-b.webm", 20 << 20)],
        progress: None,
        target: None,
    };
    manifest.write(&path, true).unwrap();
    (folder, manifest)
}

/// One that does not wait long.
fn hasty(folder: &tempfile::TempDir, store: Store, backlog: Arc<AtomicU64>) -> Finisher {
    let mut finisher = Finisher::new(folder.path(), Some(store), backlog);
    finisher.pauses = (Duration::from_millis(1), Duration::from_millis(60));
    finisher
}

async fn arrived(moody: &Moody) -> Vec<(String, u64)> {
    use futures_util::TryStreamExt as _;
    let mut objects: Vec<ObjectMeta> = moody.inner.list(None).try_collect().await.unwrap();
    objects.sort_by(|a, b| a.location.cmp(&b.location));
    let of = |meta: ObjectMeta| (meta.location.to_string(), meta.size);
    objects.into_iter().map(of).collect()
}

#[tokio::test]
async fn everything_arrives_once_however_often_the_store_fails() {
    let (folder, _) = recording();
    let moody = Moody::new(9, false);
    let finisher = Finisher::new(
        folder.path(),
        Some(moody.store()),
        Arc::new(AtomicU64::new(0)),
    );
    let finished = finisher.finish(ID, Reason::Crashed).await.unwrap();
    assert_eq!(finished.manifest.state, State::Ready);
    assert_eq!(finished.url, format!("mem://test/{ID}"));
    let objects = arrived(&moody).await;
    let names: Vec<&str> = objects.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "prefix/RC_0123456789ab/01-a.webm",
            "prefix/RC_0123456789ab/02-b.webm",
            "prefix/RC_0123456789ab/manifest.json"
        ]
    );
    assert_eq!((objects[0].1, objects[1].1), (1000, 20 << 20));
    // Each part once, though tries were needed.
    let puts = moody.puts.lock().unwrap().clone();
    let parts: Vec<_> = puts.iter().filter(|put| put.starts_with("part")).collect();
    assert_eq!(parts, ["part 0", "part 1", "part 2"]);
    // The bytes are those whose checksum is in the manifest.
    let key = Key::from("prefix/RC_0123456789ab/02-b.webm");
    let bytes = moody.inner.get(&key).await.unwrap().bytes().await.unwrap();
    let copy = folder.path().join("copy");
    fs::write(&copy, bytes).unwrap();
    assert_eq!(
        verify::sha256(&copy).unwrap(),
        finished.manifest.files[1].sha256
    );
    // Files that are there are not kept here.
    assert!(!folder.path().join(ID).join("01-a.webm").exists());
    assert!(crate::unfinished(folder.path()).unwrap().is_empty());
}

/// Ten minutes with a thousandth of the pauses.
#[tokio::test]
async fn a_store_that_is_away_for_ten_minutes_is_waited_for() {
    const AWAY: Duration = Duration::from_millis(600);
    let (folder, _) = recording();
    let moody = Moody::away(AWAY);
    let backlog = Arc::new(AtomicU64::new(0));
    let finisher = hasty(&folder, moody.store(), Arc::clone(&backlog));
    let waiting = || backlog.load(std::sync::atomic::Ordering::Relaxed);
    let start = Instant::now();
    let finishing = finisher.finish(ID, Reason::Crashed);
    let watch = async {
        while waiting() == 0 {
            tokio::task::yield_now().await;
        }
        Manifest::read(&folder.path().join(ID)).unwrap().state
    };
    let (finished, state) = tokio::join!(finishing, watch);
    // What waits counts for the quota meanwhile.
    assert_eq!((state, waiting()), (State::Delivering, 0));
    assert_eq!(finished.unwrap().manifest.state, State::Ready);
    assert!(start.elapsed() >= AWAY);
    assert_eq!(arrived(&moody).await.len(), 3);
    // Nothing was sent twice.
    let puts = moody.puts.lock().unwrap().clone();
    assert_eq!(puts.iter().filter(|put| put.starts_with("part")).count(), 3);
}

#[tokio::test]
async fn a_delivery_that_was_cut_off_goes_on_where_it_ended() {
    let (folder, _) = recording();
    let moody = Moody::new(0, false);
    let path = folder.path().join(ID);
    let store = moody.store();
    // Two parts were there when the server was killed.
    let key = store.key(ID, "02-b.webm");
    let id = moody.create_multipart(&key).await.unwrap();
    let mut parts = Vec::new();
    for index in 0..2 {
        let part = read_part(&path.join("02-b.webm"), index).await.unwrap();
        let part = moody.put_part(&key, &id, index, part.into()).await.unwrap();
        parts.push(part.content_id);
    }
    let len = 20 << 20;
    let upload = Upload { id, len, parts };
    Progress::default()
        .write(&path, "02-b.webm", Some(&upload))
        .unwrap();
    moody.puts.lock().unwrap().clear();

    let finisher = hasty(&folder, store, Arc::new(AtomicU64::new(0)));
    finisher.finish(ID, Reason::Crashed).await.unwrap();
    let puts = moody.puts.lock().unwrap().clone();
    assert!(puts.contains(&"part 2".to_owned()));
    assert!(!puts.contains(&"part 0".to_owned()) && !puts.contains(&"part 1".to_owned()));
    assert_eq!(arrived(&moody).await.len(), 3);
}

#[tokio::test]
async fn a_store_that_refuses_is_an_end_that_loses_nothing() {
    let (folder, _) = recording();
    let moody = Moody::new(1000, true);
    let backlog = Arc::new(AtomicU64::new(0));
    let finisher = hasty(&folder, moody.store(), Arc::clone(&backlog));
    let finished = finisher.finish(ID, Reason::Crashed).await.unwrap();
    assert_eq!(finished.manifest.state, State::Aborted);
    assert_eq!(finished.manifest.reason, Some(Reason::StoreRefused));
    assert!(folder.path().join(ID).join("02-b.webm").exists());
    assert_eq!(backlog.load(std::sync::atomic::Ordering::Relaxed), 0);
    // When it has thought better of it, a restart delivers.
    *moody.failures.lock().unwrap() = 0;
    assert_eq!(crate::unfinished(folder.path()).unwrap(), [ID]);
    let finished = finisher.finish(ID, Reason::Crashed).await.unwrap();
    assert_eq!(finished.manifest.state, State::Ready);
    assert_eq!(arrived(&moody).await.len(), 3);
}

#[test]
fn targets_and_options_are_checked_at_the_start() {
    let options = |text: &str| vec![text.to_owned()];
    assert!(Store::open("ftp://host/x", &[]).is_err());
    assert!(Store::open("s3://bucket/p", &options("aws_region")).is_err());
    assert!(Store::open("s3://bucket/p", &options("no_such_option=1")).is_err());
    let store = Store::open("s3://bucket/p", &options("aws_region=eu-north-1")).unwrap();
    assert_eq!(store.url_of(ID), format!("s3://bucket/p/{ID}"));
    assert_eq!(
        store.key(ID, "a.webm").to_string(),
        format!("p/{ID}/a.webm")
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made");
    Store::open(path.to_str().unwrap(), &[]).unwrap();
    assert!(path.is_dir());
}
