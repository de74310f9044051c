//! A recording under way: its manifest, and its tracks' tapes and files.

use std::io;
use std::path::PathBuf;

use crosspoint_media::tap::{TAP_PERIOD, TapBatch, TapMessage};
use crosspoint_wire::codec::MediaKind;

use super::TrackRequest;
use crate::disk::Disk;
use crate::file::TrackFile;
use crate::manifest::{self, FileEntry, Gap, Manifest, Reason, State, Track};
use crate::tape::{Output, Tape};
use crate::{Micros, unix_micros};

/// How long the last packets may take from the workers.
const GRACE_US: Micros = 100_000;

/// How long after its arrival a packet may come here: it waits for others, and for the thread.
const TAP_DELAY_US: Micros = TAP_PERIOD.as_micros() as Micros + 100_000;

/// How old the totals of a recording under way may be on the disk, where all who ask read them.
const TOTALS_AGE_US: Micros = 5_000_000;

/// A worker's clock that is further from the recorder's than this began at another time of a wall clock
/// that was set meanwhile.
const CLOCKS_APART_US: Micros = 60_000_000;

/// A recording under way.
pub(super) struct Live {
    pub(super) folder: PathBuf,
    pub(super) manifest: Manifest,
    /// When to end, and why.
    pub(super) ending: Option<Ending>,
    zero: Micros,
    /// The manifest on disk lacks something.
    dirty: bool,
    /// When it was put there.
    saved: Micros,
    /// A file could not be closed.
    unclosed: bool,
    files: usize,
}

/// Why and when a recording ends.
#[derive(Clone, Copy)]
pub(super) struct Ending {
    pub(super) reason: Reason,
    end: Micros,
    pub(super) due: Micros,
}

/// One tapped track.
pub(super) struct Reel {
    /// Number of its recording.
    pub(super) recording: u64,
    pub(super) tape: Tape,
    pub(super) file: Option<TrackFile>,
    /// When its track ended.
    pub(super) gone: Option<Micros>,
    sid: String,
    source: &'static str,
    /// Its place in the manifest.
    track: usize,
    /// The recorder's clock minus its worker's, when they are apart.
    skew: Micros,
}

impl Live {
    pub(super) fn new(folder: PathBuf, manifest: Manifest) -> Self {
        Self {
            zero: Micros::try_from(manifest.started_us).unwrap_or(0),
            folder,
            manifest,
            ending: None,
            dirty: false,
            saved: 0,
            unclosed: false,
            files: 0,
        }
    }

    /// A reel for a new track.
    pub(super) fn thread(&mut self, number: u64, now: Micros, request: TrackRequest) -> Reel {
        let participants = &mut self.manifest.participants;
        if !participants.contains(&request.participant) {
            participants.push(request.participant.clone());
        }
        self.manifest.tracks.push(Track {
            sid: request.sid.clone(),
            identity: request.participant.identity,
            kind: match request.kind {
                MediaKind::Audio => "audio".to_owned(),
                MediaKind::Video => "video".to_owned(),
            },
            source: request.source.to_owned(),
            start_ms: self.ms(now),
            end_ms: self.ms(now),
            reason: None,
            packets: 0,
            lost_packets: 0,
            gaps: Vec::new(),
            gaps_omitted: 0,
        });
        self.dirty = true;
        Reel {
            recording: number,
            tape: Tape::new(request.kind, request.payloads, request.size, request.muted),
            file: None,
            gone: None,
            sid: request.sid,
            source: request.source,
            track: self.manifest.tracks.len() - 1,
            skew: 0,
        }
    }

    /// Ends the recording as it was at `end`; a reason that came first stays.
    pub(super) fn end(&mut self, end: Micros, now: Micros, reason: Reason) {
        let due = now + GRACE_US;
        self.ending.get_or_insert(Ending { reason, end, due });
    }

    /// Takes what a tap brings of one of its tracks, and writes what came of it. Says how many messages
    /// there were. `buffer`: memory for what is not written yet.
    pub(super) fn batch(
        &mut self,
        disk: &dyn Disk,
        reel: &mut Reel,
        now: Micros,
        batch: &TapBatch,
        buffer: &mut Vec<u8>,
    ) -> io::Result<u64> {
        if let Some(file) = &mut reel.file {
            file.exchange_buffer(buffer);
        }
        let (mut result, mut taken) = (Ok(()), 0);
        for (wall, message) in batch.messages() {
            taken += 1;
            let wall = unix_micros(wall);
            if (now - wall - reel.skew).abs() > CLOCKS_APART_US {
                reel.skew = now - wall;
            }
            let skew = reel.skew;
            match message {
                TapMessage::Packet(packet) => {
                    let (tape, mut writer) = self.threaded(disk, reel);
                    tape.packet(wall + skew, &packet, |output| {
                        writer.put(output, &mut result)
                    });
                }
                TapMessage::Clock {
                    encoding,
                    wall,
                    timestamp,
                } => {
                    let wall = unix_micros(wall) + skew;
                    reel.tape.clock(encoding, wall, timestamp);
                }
            }
        }
        result?;
        if let Some(file) = &mut reel.file {
            file.write()?;
            file.exchange_buffer(buffer);
        }
        Ok(taken)
    }

    /// What is due some times a second.
    pub(super) fn tick(&mut self, disk: &dyn Disk, reel: &mut Reel, now: Micros) -> io::Result<()> {
        let mut result = Ok(());
        let (tape, mut writer) = self.threaded(disk, reel);
        tape.tick(now - TAP_DELAY_US, |output| writer.put(output, &mut result));
        result?;
        match &mut reel.file {
            Some(file) => file.write(),
            None => Ok(()),
        }
    }

    /// Ends a track at `end` and closes its file.
    pub(super) fn close(
        &mut self,
        disk: &dyn Disk,
        reel: &mut Reel,
        end: Micros,
    ) -> io::Result<()> {
        let mut result = Ok(());
        let (tape, mut writer) = self.threaded(disk, reel);
        tape.finish(end, |output| writer.put(output, &mut result));
        if let Some(file) = reel.file.take() {
            result = result.and(self.close_file(file, end));
        }
        self.note_track(reel, end);
        let has_file = self
            .manifest
            .files
            .iter()
            .any(|f| f.track.as_ref() == Some(&reel.sid));
        let stats = reel.tape.stats();
        if let Some(track) = self.manifest.tracks.get_mut(reel.track)
            && !has_file
        {
            track.reason = Some(match stats.packets {
                0 => Reason::NoMedia,
                _ => Reason::NoKeyframe,
            });
        }
        self.dirty = true;
        result
    }

    /// Totals of a track as they stand.
    pub(super) fn note_track(&mut self, reel: &Reel, now: Micros) {
        let (stats, end_ms) = (reel.tape.stats(), self.ms(now));
        if let Some(track) = self.manifest.tracks.get_mut(reel.track) {
            track.packets = stats.packets;
            track.lost_packets = stats.lost;
            track.end_ms = end_ms;
        }
        if let Some(file) = &reel.file
            && let Some(entry) = self.manifest.files.iter_mut().find(|f| f.name == file.name)
        {
            entry.frames = file.frames;
            entry.bytes = file.len();
        }
    }

    /// When it ended, or would have if nothing were said.
    pub(super) fn end_time(&self, now: Micros) -> Micros {
        self.ending.map_or(now, |ending| ending.end)
    }

    /// Puts the manifest on the disk if it lacks something there, or is old.
    pub(super) fn save(&mut self, now: Micros) -> io::Result<()> {
        if !self.dirty && now - self.saved < TOTALS_AGE_US {
            return Ok(());
        }
        self.manifest.duration_ms = self.ms(now);
        self.manifest.write(&self.folder, false)?;
        (self.dirty, self.saved) = (false, now);
        Ok(())
    }

    /// Its files are closed; says what comes next. Where one is not, its state stays as it was, so that
    /// it will be closed when the disk allows.
    pub(super) fn finish(&mut self, reason: Reason, end: Micros) -> io::Result<Reason> {
        let manifest = &mut self.manifest;
        manifest.duration_ms = u64::try_from((end - self.zero + 500) / 1000).unwrap_or(0);
        manifest.ended_at = Some(manifest::rfc3339(u64::try_from(end).unwrap_or(0)));
        manifest.bytes = manifest.files.iter().map(|file| file.bytes).sum();
        let reason = match manifest.files.is_empty() && reason.is_good() {
            false => reason,
            true if manifest.tracks.iter().any(|t| t.packets > 0) => Reason::NoKeyframe,
            true => Reason::NoMedia,
        };
        manifest.reason = Some(reason);
        manifest.state = match manifest.files.is_empty() {
            true => State::Aborted,
            false if self.unclosed => State::Recording,
            false => State::Composing,
        };
        self.manifest.write(&self.folder, true)?;
        Ok(reason)
    }

    fn close_file(&mut self, mut file: TrackFile, end: Micros) -> io::Result<()> {
        let closed = file.close(end);
        self.unclosed |= closed.is_err();
        let entry = self.manifest.files.iter_mut().find(|f| f.name == file.name);
        if let Some(entry) = entry {
            entry.frames = file.frames;
            entry.bytes = file.len();
            if let Ok((duration_ms, bytes)) = closed {
                (entry.duration_ms, entry.bytes) = (duration_ms, bytes);
            }
        }
        closed.map(drop)
    }

    /// A reel's tape, and what writes down what comes out of it.
    fn threaded<'a>(
        &'a mut self,
        disk: &'a dyn Disk,
        reel: &'a mut Reel,
    ) -> (&'a mut Tape, Writer<'a>) {
        let writer = Writer {
            live: self,
            disk,
            track: reel.track,
            source: reel.source,
            sid: &reel.sid,
            file: &mut reel.file,
            begun: None,
        };
        (&mut reel.tape, writer)
    }

    fn ms(&self, at: Micros) -> u64 {
        u64::try_from((at - self.zero + 500) / 1000).unwrap_or(0)
    }
}

/// Puts what comes out of a tape into its file and the manifest.
struct Writer<'a> {
    live: &'a mut Live,
    disk: &'a dyn Disk,
    track: usize,
    source: &'static str,
    sid: &'a str,
    file: &'a mut Option<TrackFile>,
    /// A file that is to be made with its first frame.
    begun: Option<(crate::matroska::TrackEntry, crosspoint_wire::codec::Codec)>,
}

impl Writer<'_> {
    /// After an error nothing more is written.
    fn put(&mut self, output: Output<'_>, result: &mut io::Result<()>) {
        if result.is_ok() {
            *result = self.try_put(output);
        }
    }

    fn try_put(&mut self, output: Output<'_>) -> io::Result<()> {
        match output {
            Output::Begin(entry, codec) => {
                self.begun = Some((entry, codec));
                Ok(())
            }
            Output::Frame { at, keyframe, data } => {
                self.open(at)?;
                match self.file {
                    Some(file) => file.frame(at, keyframe, data),
                    None => Ok(()),
                }
            }
            Output::Gap {
                from,
                to,
                reason,
                packets,
            } => {
                let start_ms = self.live.ms(from);
                let gap = Gap {
                    start_ms,
                    duration_ms: self.live.ms(to).saturating_sub(start_ms),
                    reason,
                    packets,
                };
                if let Some(track) = self.live.manifest.tracks.get_mut(self.track) {
                    track.add_gap(gap);
                }
                self.live.dirty = true;
                Ok(())
            }
        }
    }

    /// Makes the file for a frame at `at`, if it begins one.
    fn open(&mut self, at: Micros) -> io::Result<()> {
        let Some((entry, codec)) = self.begun.take() else {
            return Ok(());
        };
        if let Some(before) = self.file.take() {
            self.live.close_file(before, at)?;
        }
        self.live.files += 1;
        let extension = if entry.webm { "webm" } else { "mkv" };
        let name = format!("{:02}-{}.{extension}", self.live.files, self.source);
        let folder = &self.live.folder;
        let file = TrackFile::create(self.disk, folder, name.clone(), &entry, codec, at)?;
        *self.file = Some(file);
        let kind = match codec.kind() {
            MediaKind::Audio => "audio",
            MediaKind::Video => "video",
        };
        let container = if entry.webm { "webm" } else { "x-matroska" };
        let offset_ms = self.live.ms(at);
        self.live.manifest.files.push(FileEntry {
            name,
            track: Some(self.sid.to_owned()),
            codec: codec.name().to_owned(),
            content_type: format!("{kind}/{container}"),
            offset_ms,
            duration_ms: 0,
            bytes: 0,
            sha256: String::new(),
            frames: 0,
            delivered: false,
        });
        self.live.dirty = true;
        Ok(())
    }
}
