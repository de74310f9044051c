//! The disk, as far as recordings need it: a seam for disks that are full or fail.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

/// Makes files.
pub(crate) trait Disk: Send {
    /// A new file; one that is there already is an error.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
}

/// A file that is written at given places.
pub(crate) trait DiskFile: Send + Sync + std::fmt::Debug {
    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Sets space aside for bytes `from..to` that come later; the file's length stays.
    fn reserve(&self, from: u64, to: u64) -> io::Result<()>;
    /// Cuts the file off at `len` and gives back what is set aside behind it.
    fn cut(&self, len: u64) -> io::Result<()>;
    /// Returns when what was written is on the disk itself.
    fn sync(&self) -> io::Result<()>;
}

/// That of the operating system.
pub(crate) struct SystemDisk;

impl Disk for SystemDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        Ok(Arc::new(file))
    }
}

impl DiskFile for File {
    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    #[cfg(target_os = "linux")]
    fn reserve(&self, from: u64, to: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        fallocate(self, FallocateFlags::KEEP_SIZE, from, to - from)?;
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn reserve(&self, _: u64, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn cut(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
