//! Makes the bytes of a file of one track, and keeps them until they are written; no file of its own.

use super::ebml::Writer;
use super::{EPOCH_2001_US, TRACK, id};

/// Bytes kept at the front for the seek head.
const SEEK_HEAD_ROOM: usize = 96;

/// A duration element: id, size and eight bytes.
const DURATION_ROOM: usize = 11;

/// Longest cluster: times of blocks within it are 16-bit numbers.
const CLUSTER_MS_MAX: u64 = 30_000;

/// Largest cluster; a frame may make it larger.
const CLUSTER_BYTES: usize = 1 << 20;

/// A cluster's id and, in eight bytes so that it can be written over, its size.
const CLUSTER_HEAD: usize = 12;

/// Smallest distance between cues.
const CUE_INTERVAL_MS: u64 = 2_000;

/// What a file says of its track.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TrackEntry {
    /// E.g. `V_VP8`.
    pub(crate) codec_id: &'static str,
    /// Whether the file may call itself WebM.
    pub(crate) webm: bool,
    /// What a decoder needs before the first frame.
    pub(crate) private: Vec<u8>,
    pub(crate) kind: EntryKind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum EntryKind {
    /// Pixels of the first picture.
    Video {
        width: u32,
        height: u32,
    },
    Audio {
        rate_hz: u32,
        channels: u8,
    },
}

/// Makes the bytes of a file, in order. Times are milliseconds from the file's zero.
#[derive(Debug)]
pub(crate) struct Muxer {
    /// What is not written yet: clusters, and the one under way.
    out: Writer,
    /// Where in it the cluster under way begins.
    cluster: Option<usize>,
    cluster_at: u64,
    video: bool,
    cues: Vec<(u64, u64)>,
    /// Whether the cluster under way begins with a frame that players can begin with.
    seekable: bool,
    /// Bytes that are written.
    written: u64,
}

/// What closes a file.
#[derive(Debug)]
pub(crate) struct Tail {
    /// Goes behind everything else.
    pub(crate) append: Vec<u8>,
    /// Go over what is there: offset and bytes.
    pub(crate) patches: Vec<(u64, Vec<u8>)>,
}

/// Where in the file things stand: the front is the same for every file.
mod place {
    use super::SEEK_HEAD_ROOM;

    /// EBML header: id, size, 31 bytes ("webm") or 35 ("matroska").
    pub(super) const fn segment_size(webm: bool) -> u64 {
        let header = if webm { 36 } else { 40 };
        header + 4
    }

    /// Where positions within the segment count from.
    pub(super) const fn segment(webm: bool) -> u64 {
        segment_size(webm) + 8
    }

    pub(super) const SEEK_HEAD: u64 = 0;
    pub(super) const INFO: u64 = SEEK_HEAD_ROOM as u64;
    /// Id and one byte of size.
    pub(super) const DURATION: u64 = INFO + 5;
}

impl Muxer {
    /// The muxer and the front of the file. `unix_micros`: when the file's time zero was.
    pub(crate) fn new(entry: &TrackEntry, unix_micros: u64) -> (Self, Vec<u8>) {
        let front = front(entry, unix_micros);
        let muxer = Self {
            out: Writer::default(),
            cluster: None,
            cluster_at: 0,
            video: matches!(entry.kind, EntryKind::Video { .. }),
            cues: Vec::new(),
            seekable: false,
            written: front.len() as u64,
        };
        (muxer, front)
    }

    /// Adds a frame, in a cluster of its own if it does not go into the one under way. Times must not run
    /// backwards.
    pub(crate) fn block(&mut self, at_ms: u64, keyframe: bool, frame: &[u8]) {
        if let Some(start) = self.cluster {
            let age = at_ms.saturating_sub(self.cluster_at);
            let full = self.out.bytes.len() - start > CLUSTER_BYTES || age > CLUSTER_MS_MAX;
            // Players seek to clusters.
            let seekable = keyframe && self.video;
            if full || seekable {
                self.close_cluster();
            }
        }
        if self.cluster.is_none() {
            self.cluster = Some(self.out.bytes.len());
            self.cluster_at = at_ms;
            self.seekable = keyframe;
            // Its size is not known yet.
            self.out.bytes.extend(cluster_head(0));
            self.out.uint(id::TIMESTAMP, at_ms);
        }
        let relative = i16::try_from(at_ms.saturating_sub(self.cluster_at)).unwrap_or(i16::MAX);
        self.out.id(id::SIMPLE_BLOCK);
        self.out.size(frame.len() as u64 + 4);
        self.out.bytes.push(0x80 | TRACK);
        self.out.bytes.extend(relative.to_be_bytes());
        self.out.bytes.push(if keyframe { 0x80 } else { 0 });
        self.out.bytes.extend_from_slice(frame);
    }

    /// Whole clusters that are not written yet: the one under way ends.
    pub(crate) fn unwritten(&mut self) -> &[u8] {
        self.close_cluster();
        &self.out.bytes
    }

    /// How many bytes are not written yet.
    pub(crate) const fn waiting(&self) -> usize {
        self.out.bytes.len()
    }

    /// What was [`unwritten`](Self::unwritten) is written.
    pub(crate) fn note_written(&mut self) {
        self.close_cluster();
        self.written += self.out.bytes.len() as u64;
        self.out.bytes.clear();
    }

    /// Exchanges the buffer of what is not written yet, if there is nothing in it.
    pub(crate) fn exchange_buffer(&mut self, buffer: &mut Vec<u8>) {
        if self.out.bytes.is_empty() {
            core::mem::swap(&mut self.out.bytes, buffer);
        }
    }

    fn close_cluster(&mut self) {
        let Some(start) = self.cluster.take() else {
            return;
        };
        let last = self.cues.last().map(|(at, _)| *at);
        if self.seekable && last.is_none_or(|last| self.cluster_at >= last + CUE_INTERVAL_MS) {
            self.cues
                .push((self.cluster_at, self.written + start as u64));
        }
        let len = self.out.bytes.len() - start;
        let head = cluster_head(len.saturating_sub(CLUSTER_HEAD));
        let place = self.out.bytes.get_mut(start..).unwrap_or_default();
        if let Some(place) = place.first_chunk_mut() {
            *place = head;
        }
    }

    /// What closes the file, all of which is written.
    pub(crate) fn finish(&self, webm: bool, duration_ms: u64) -> Tail {
        Tail::new(webm, duration_ms, &self.cues, self.written)
    }
}

/// What begins a cluster whose content has so many bytes.
fn cluster_head(len: usize) -> [u8; CLUSTER_HEAD] {
    let mut head = [0; CLUSTER_HEAD];
    let (id, size) = head.split_at_mut(4);
    id.copy_from_slice(&id::CLUSTER.to_be_bytes());
    size.copy_from_slice(&(1 << 56 | len as u64).to_be_bytes());
    head
}

impl Tail {
    /// For a file of `len` bytes whose `cues` are times and offsets in the file.
    pub(crate) fn new(webm: bool, duration_ms: u64, cues: &[(u64, u64)], len: u64) -> Self {
        let segment = place::segment(webm);
        let mut append = Writer::default();
        if !cues.is_empty() {
            append.master(id::CUES, |list| {
                for &(at, offset) in cues {
                    list.master(id::CUE_POINT, |cue| {
                        cue.uint(id::CUE_TIME, at);
                        cue.master(id::CUE_TRACK_POSITIONS, |position| {
                            position.uint(id::CUE_TRACK, TRACK.into());
                            let at = offset.saturating_sub(segment);
                            position.uint(id::CUE_CLUSTER_POSITION, at);
                        });
                    });
                }
            });
        }
        let mut seek_head = Writer::default();
        seek_head.master(id::SEEK_HEAD, |head| {
            let mut seek = |what: u32, at: u64| {
                head.master(id::SEEK, |seek| {
                    seek.binary(id::SEEK_ID, &what.to_be_bytes());
                    seek.wide_uint(id::SEEK_POSITION, at);
                });
            };
            seek(id::INFO, place::INFO);
            if !cues.is_empty() {
                seek(id::CUES, len.saturating_sub(segment));
            }
        });
        seek_head.void(SEEK_HEAD_ROOM.saturating_sub(seek_head.bytes.len()));
        let mut duration = Writer::default();
        duration.float(id::DURATION, duration_ms as f64);
        let mut size = Writer::default();
        size.wide_size(len.saturating_sub(segment) + append.bytes.len() as u64);
        Self {
            append: append.bytes,
            patches: vec![
                (segment + place::SEEK_HEAD, seek_head.bytes),
                (segment + place::DURATION, duration.bytes),
                // Last: a file whose size is known is closed.
                (place::segment_size(webm), size.bytes),
            ],
        }
    }
}

/// Everything before the first cluster.
fn front(entry: &TrackEntry, unix_micros: u64) -> Vec<u8> {
    let mut front = Writer::default();
    front.master(id::EBML, |header| {
        header.uint(0x4286, 1); // EBMLVersion
        header.uint(0x42f7, 1); // EBMLReadVersion
        header.uint(0x42f2, 4); // EBMLMaxIDLength
        header.uint(0x42f3, 8); // EBMLMaxSizeLength
        header.text(0x4282, if entry.webm { "webm" } else { "matroska" });
        header.uint(0x4287, 4); // DocTypeVersion
        header.uint(0x4285, 2); // DocTypeReadVersion
    });
    front.id(id::SEGMENT);
    debug_assert_eq!(front.bytes.len() as u64, place::segment_size(entry.webm));
    // Unknown, in eight bytes.
    front
        .bytes
        .extend([0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    front.void(SEEK_HEAD_ROOM);
    let mut info = Writer::default();
    info.void(DURATION_ROOM);
    info.uint(id::TIMESTAMP_SCALE, 1_000_000);
    info.text(id::MUXING_APP, "Crosspoint");
    info.text(
        id::WRITING_APP,
        concat!("Crosspoint ", env!("CARGO_PKG_VERSION")),
    );
    // Nanoseconds since 2001.
    let since_2001 = unix_micros.saturating_sub(EPOCH_2001_US);
    info.wide_uint(id::DATE_UTC, since_2001.saturating_mul(1000));
    front.binary(id::INFO, &info.bytes);
    front.master(id::TRACKS, |tracks| {
        tracks.master(id::TRACK_ENTRY, |track| describe(track, entry));
    });
    front.bytes
}

fn describe(track: &mut Writer, entry: &TrackEntry) {
    track.uint(id::TRACK_NUMBER, TRACK.into());
    track.uint(id::TRACK_UID, TRACK.into());
    track.uint(id::FLAG_LACING, 0);
    track.text(id::CODEC_ID, entry.codec_id);
    if !entry.private.is_empty() {
        track.binary(id::CODEC_PRIVATE, &entry.private);
    }
    match entry.kind {
        EntryKind::Video { width, height } => {
            track.uint(id::TRACK_TYPE, 1);
            track.master(id::VIDEO, |video| {
                video.uint(id::PIXEL_WIDTH, width.into());
                video.uint(id::PIXEL_HEIGHT, height.into());
            });
        }
        EntryKind::Audio { rate_hz, channels } => {
            track.uint(id::TRACK_TYPE, 2);
            // Opus decoders converge within 80 ms (RFC 7845 §4.6).
            track.uint(id::SEEK_PRE_ROLL, 80_000_000);
            track.master(id::AUDIO, |audio| {
                audio.float(id::SAMPLING_FREQUENCY, rate_hz.into());
                audio.uint(id::CHANNELS, channels.into());
            });
        }
    }
}
