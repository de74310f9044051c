//! One file of one track, as it grows.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crosspoint_wire::codec::Codec;

use crate::Micros;
use crate::disk::{Disk, DiskFile};
use crate::matroska::{Muxer, TrackEntry};

/// More than this is written at once, and not when all that came together is in it.
const WAITING_MAX: usize = 256 << 10;

/// Space is set aside for as many bytes as there are, within these bounds. Files that grow side by side
/// then lie in longer pieces, and each write takes the system a third less.
const RESERVE_MIN: u64 = 64 << 10;
const RESERVE_MAX: u64 = 1 << 20;

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
    /// To where space is set aside; everything when that cannot be done.
    reserved: u64,
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
            reserved: 0,
            last_ms: 0,
            dirty: true,
        })
    }

    /// Adds a frame. It is written with what comes together with it.
    pub(crate) fn frame(&mut self, at: Micros, keyframe: bool, data: &[u8]) -> io::Result<()> {
        let at_ms = u64::try_from((at - self.zero + 500) / 1000).unwrap_or(0);
        // Times must not run backwards, nor stand still for a picture.
        let at_ms = match self.frames {
            0 => at_ms,
            _ => at_ms.max(
                self.last_ms
                    + u64::from(self.codec.kind() == crosspoint_wire::codec::MediaKind::Video),
            ),
        };
        self.last_ms = at_ms;
        self.frames += 1;
        self.muxer.block(at_ms, keyframe, data);
        match self.muxer.waiting() > WAITING_MAX {
            true => self.write(),
            false => Ok(()),
        }
    }

    /// Writes what waits.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        let bytes = self.muxer.unwritten();
        if bytes.is_empty() {
            return Ok(());
        }
        let end = self.len + bytes.len() as u64;
        if end > self.reserved {
            let to = end + self.len.clamp(RESERVE_MIN, RESERVE_MAX);
            // Not every file system can; whether there is room is seen when it is written.
            let reserved = self.file.reserve(self.reserved, to);
            self.reserved = reserved.map_or(u64::MAX, |()| to);
        }
        self.file.write(self.len, bytes)?;
        self.len = end;
        self.muxer.note_written();
        self.dirty = true;
        Ok(())
    }

    /// Lends the file the memory in which frames wait, and takes it back when they are written. One for
    /// all files, it stays near the processor; one for each would have to be fetched each time.
    pub(crate) fn exchange_buffer(&mut self, buffer: &mut Vec<u8>) {
        self.muxer.exchange_buffer(buffer);
    }

    /// The file, if something was written to it since this was asked last.
    pub(crate) fn take_dirty(&mut self) -> Option<Arc<dyn DiskFile>> {
        core::mem::take(&mut self.dirty).then(|| Arc::clone(&self.file))
    }

    /// Writes everything and what closes the file. Returns its duration in milliseconds and its
    /// bytes.
    pub(crate) fn close(&mut self, end: Micros) -> io::Result<(u64, u64)> {
        self.write()?;
        let to_end = u64::try_from((end - self.zero + 500) / 1000).unwrap_or(0);
        let duration_ms = to_end.max(self.last_ms);
        let tail = self.muxer.finish(self.webm, duration_ms);
        self.file.write(self.len, &tail.append)?;
        self.len += tail.append.len() as u64;
        for (at, bytes) in tail.patches {
            self.file.write(at, &bytes)?;
        }
        self.file.cut(self.len)?;
        self.dirty = true;
        Ok((duration_ms, self.len))
    }

    pub(crate) const fn len(&self) -> u64 {
        self.len
    }
}
