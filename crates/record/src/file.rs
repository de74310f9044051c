//! One file of one track, as it grows.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crosspoint_wire::codec::Codec;

use crate::Micros;
use crate::disk::{Disk, DiskFile};
use crate::matroska::{Muxer, TrackEntry};

/// How long after their time frames may wait to be written together. What has waited for packets that
/// were missing waits no longer: a crash costs no more than a second of either.
const FLUSH_US: Micros = 500_000;

/// More than this is written at once.
const FLUSH_BYTES: usize = 256 << 10;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct TrackFile {
    pub(crate) name: String,
    pub(crate) codec: Codec,
    pub(crate) webm: bool,
    pub(crate) frames: u64,
    /// Time of its first frame, which is its zero.
    pub(crate) zero: Micros,
    file: Arc<dyn DiskFile>,
    muxer: Muxer,
    /// Where the next bytes go.
    len: u64,
    out: Vec<u8>,
    /// Time of the first frame that waits.
    oldest: Micros,
    last_ms: u64,
    dirty: bool,
}

impl TrackFile {
    /// Makes the file with its front, which is all that a player needs to begin.
    pub(crate) fn create(
        disk: &dyn Disk,
        folder: &Path,
        name: String,
        entry: &TrackEntry,
        codec: Codec,
        zero: Micros,
    ) -> io::Result<Self> {
        let file = disk.create(&folder.join(&name))?;
        let (muxer, front) = Muxer::new(entry, u64::try_from(zero).unwrap_or(0));
        file.write(0, &front)?;
        Ok(Self {
            name,
            codec,
            webm: entry.webm,
            frames: 0,
            zero,
            file,
            muxer,
            len: front.len() as u64,
            out: Vec::new(),
            oldest: zero,
            last_ms: 0,
            dirty: true,
        })
    }

    /// Adds a frame; `now`: when, for the time that it may wait.
    pub(crate) fn frame(
        &mut self,
        now: Micros,
        at: Micros,
        keyframe: bool,
        data: &[u8],
    ) -> io::Result<()> {
        let at_ms = u64::try_from((at - self.zero + 500) / 1000).unwrap_or(0);
        // Times must not run backwards, nor stand still for a picture.
        let at_ms = match self.frames {
            0 => at_ms,
            _ => at_ms.max(
                self.last_ms
                    + u64::from(self.codec.kind() == crosspoint_wire::codec::MediaKind::Video),
            ),
        };
        if !self.muxer.is_waiting() {
            self.oldest = at.min(now);
        }
        self.last_ms = at_ms;
        self.frames += 1;
        self.muxer.block(at_ms, keyframe, data, &mut self.out);
        match self.out.len() > FLUSH_BYTES {
            true => self.write_out(),
            false => Ok(()),
        }
    }

    /// Writes what has waited long enough.
    pub(crate) fn tick(&mut self, now: Micros) -> io::Result<()> {
        if self.muxer.is_waiting() && now - self.oldest >= FLUSH_US {
            self.muxer.close_cluster(&mut self.out);
        }
        self.write_out()
    }

    /// The file, if something was written to it since this was asked last.
    pub(crate) fn take_dirty(&mut self) -> Option<Arc<dyn DiskFile>> {
        core::mem::take(&mut self.dirty).then(|| Arc::clone(&self.file))
    }

    /// Writes everything and what closes the file. Returns its duration in milliseconds and its
    /// bytes.
    pub(crate) fn close(&mut self, end: Micros) -> io::Result<(u64, u64)> {
        self.muxer.close_cluster(&mut self.out);
        self.write_out()?;
        let to_end = u64::try_from((end - self.zero + 500) / 1000).unwrap_or(0);
        let duration_ms = to_end.max(self.last_ms);
        let tail = self.muxer.finish(self.webm, duration_ms);
        self.file.write(self.len, &tail.append)?;
        self.len += tail.append.len() as u64;
        for (at, bytes) in tail.patches {
            self.file.write(at, &bytes)?;
        }
        self.dirty = true;
        Ok((duration_ms, self.len))
    }

    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    fn write_out(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        self.file.write(self.len, &self.out)?;
        self.len += self.out.len() as u64;
        self.out.clear();
        self.dirty = true;
        Ok(())
    }
}
