//! Reads a file of ours, however it ended: what is whole in it, and whether it was closed.

use std::io::{self, BufRead, Read};

use super::ebml::{self, UNKNOWN};
use super::{EPOCH_2001_US, id};

/// Largest element that is read into memory: more than the longest cluster.
const ELEMENT_BYTES_MAX: u64 = 64 << 20;

/// What stands in a file.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// "webm" or "matroska".
    pub(crate) doc_type: String,
    pub(crate) codec_id: String,
    /// Wall clock at the file's time zero, in microseconds since the Unix epoch.
    pub(crate) zero_us: Option<u64>,
    /// From the file's header, in milliseconds.
    pub(crate) duration_ms: Option<u64>,
    /// Times and offsets for cues: clusters that begin with a keyframe.
    pub(crate) cues: Vec<(u64, u64)>,
    /// Where the last whole cluster ends.
    pub(crate) good_len: u64,
    /// Whether the file was closed: its segment has a size, and nothing is cut off.
    pub(crate) closed: bool,
    pub(crate) blocks: u64,
    pub(crate) keyframes: u64,
    /// Time of the last block.
    pub(crate) last_ms: u64,
    /// Time between the last two blocks: how long the last one probably lasts.
    pub(crate) last_step_ms: u64,
}

/// Reads all of a file; `each` is told the time of every frame. What is cut off at the end is left out, and is no
/// error.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] for a file that is none of ours.
pub(crate) fn scan(file: impl BufRead, mut each: impl FnMut(u64)) -> io::Result<Scan> {
    let mut source = Source { file, at: 0 };
    let mut scan = Scan::default();
    let header = source.element()?.filter(|(id, _)| *id == id::EBML);
    let (_, header) = header.ok_or_else(foreign)?;
    for (id, content) in ebml::children(&header) {
        if id == 0x4282 {
            scan.doc_type = String::from_utf8_lossy(content).into_owned();
        }
    }
    let segment = source.head()?.filter(|(id, _)| *id == id::SEGMENT);
    let (_, segment_size) = segment.ok_or_else(foreign)?;
    let segment_at = source.at;
    let mut cut = true;
    loop {
        let begin = source.at;
        let Some((id, content)) = source.element()? else {
            // The end of the file is a good end when an element ended there.
            cut &= source.at != begin;
            break;
        };
        cut = true;
        match id {
            id::INFO => scan.note_info(&content),
            id::TRACKS => scan.note_tracks(&content),
            id::CLUSTER => scan.note_cluster(begin, &content, &mut each),
            _ => {}
        }
        if id != id::CUES {
            scan.good_len = source.at;
        }
    }
    scan.closed = !cut && segment_size != UNKNOWN && source.at == segment_at + segment_size;
    Ok(scan)
}

fn foreign() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not a recording")
}

impl Scan {
    /// How long it is: as its header says, or as its last frame says.
    pub(crate) fn length_ms(&self) -> u64 {
        let last = self.last_ms + self.last_step_ms;
        self.duration_ms.unwrap_or(last)
    }

    fn note_info(&mut self, content: &[u8]) {
        for (id, content) in ebml::children(content) {
            match id {
                id::DURATION => {
                    self.duration_ms = ebml::read_float(content).map(|ms| ms.round() as u64);
                }
                id::DATE_UTC => {
                    let since_2001_us = ebml::read_uint(content) / 1000;
                    self.zero_us = Some(since_2001_us + EPOCH_2001_US);
                }
                _ => {}
            }
        }
    }

    fn note_tracks(&mut self, content: &[u8]) {
        let entries = ebml::children(content).filter(|(id, _)| *id == id::TRACK_ENTRY);
        for (id, content) in entries.flat_map(|(_, entry)| ebml::children(entry)) {
            if id == id::CODEC_ID {
                self.codec_id = String::from_utf8_lossy(content).into_owned();
            }
        }
    }

    fn note_cluster(&mut self, offset: u64, content: &[u8], each: &mut impl FnMut(u64)) {
        let mut cluster_at = 0;
        let mut first = true;
        for (id, content) in ebml::children(content) {
            match id {
                id::TIMESTAMP => cluster_at = ebml::read_uint(content),
                id::SIMPLE_BLOCK => {
                    let Some((&[_, t0, t1, flags], _)) = content.split_first_chunk() else {
                        continue;
                    };
                    let relative = i16::from_be_bytes([t0, t1]);
                    let at_ms = cluster_at.saturating_add_signed(relative.into());
                    let keyframe = flags & 0x80 != 0;
                    if core::mem::take(&mut first) && keyframe {
                        self.cues.push((at_ms, offset));
                    }
                    if self.blocks > 0 {
                        self.last_step_ms = at_ms.saturating_sub(self.last_ms);
                    }
                    self.blocks += 1;
                    self.keyframes += u64::from(keyframe);
                    self.last_ms = self.last_ms.max(at_ms);
                    each(at_ms);
                }
                _ => {}
            }
        }
    }
}

/// A file read from front to end.
struct Source<R> {
    file: R,
    at: u64,
}

impl<R: BufRead> Source<R> {
    /// An element with its content; `None` at the end, or where the file was cut off.
    fn element(&mut self) -> io::Result<Option<(u32, Vec<u8>)>> {
        let begin = self.at;
        let Some((id, size)) = self.head()? else {
            return Ok(None);
        };
        if size > ELEMENT_BYTES_MAX {
            self.at = begin;
            return Ok(None);
        }
        let mut content = Vec::new();
        let read = self.file.by_ref().take(size).read_to_end(&mut content)?;
        self.at += read as u64;
        Ok((read as u64 == size).then_some((id, content)))
    }

    fn head(&mut self) -> io::Result<Option<(u32, u64)>> {
        // An id of up to four bytes, a size of up to eight.
        let mut bytes = [0; 12];
        let mut len = 0;
        while len < bytes.len() {
            let Some(place) = bytes.get_mut(len..=len) else {
                break;
            };
            if self.file.read(place)? == 0 {
                break;
            }
            len += 1;
            self.at += 1;
            if let Some((id, size, head)) = bytes.get(..len).and_then(ebml::read_head)
                && head == len
            {
                return Ok(Some((id, size)));
            }
        }
        Ok(None)
    }
}
