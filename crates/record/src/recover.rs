//! Recordings that nobody finished: the server was killed, or the machine stopped.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crosspoint_wire::codec::{Codec, MediaKind};

use crate::manifest::{self, FileEntry, Manifest, Reason, State, is_id, is_plain};
use crate::matroska::{Scan, Tail, scan};

/// Ids of recordings in `folder` that were begun and neither finished nor given up, in no order. What
/// is no recording is left alone.
///
/// # Errors
/// The system's, when the folder cannot be read.
pub fn unfinished(folder: &Path) -> io::Result<Vec<String>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().filter(|name| is_id(name)) else {
            continue;
        };
        match Manifest::read(&folder.join(id)) {
            Ok(manifest) if is_finished(&manifest) => {}
            Ok(_) => ids.push(id.to_owned()),
            Err(error) => tracing::warn!(recording = id, %error, "no manifest can be read"),
        }
    }
    Ok(ids)
}

fn is_finished(manifest: &Manifest) -> bool {
    let refused = manifest.reason == Some(Reason::StoreRefused);
    match manifest.state {
        State::Ready => true,
        // It may be taken now.
        State::Aborted => !refused,
        State::Recording | State::Composing | State::Delivering => false,
    }
}

/// Closes the files of a recording that nobody closed, and says so in its manifest; why it ended, if
/// that does not say it yet, is `ended`. Doing it again changes nothing.
///
/// # Errors
/// The system's, e.g. that the disk is full: what was written is all there, and it may be tried again.
pub(crate) fn close(folder: &Path, ended: Reason) -> io::Result<Manifest> {
    let mut manifest = Manifest::read(folder)?;
    if manifest.state != State::Recording {
        return Ok(manifest);
    }
    add_unlisted(folder, &mut manifest)?;
    let mut end_ms = 0;
    for index in 0..manifest.files.len() {
        let Some(file) = manifest.files.get(index) else {
            continue;
        };
        let Some(path) = manifest.path_of(folder, &file.name) else {
            continue;
        };
        let closed = close_file(&path);
        let Some(file) = manifest.files.get_mut(index) else {
            continue;
        };
        match closed {
            Ok((found, bytes)) => {
                file.duration_ms = found.length_ms();
                file.frames = found.blocks;
                file.bytes = bytes;
                end_ms = end_ms.max(file.offset_ms + file.duration_ms);
            }
            // Not even its front was written, or somebody took it away.
            Err(error) if is_no_file(&error) => {
                let name = &file.name;
                tracing::warn!(recording = manifest.id, name, %error, "a file cannot be closed");
                file.frames = 0;
            }
            Err(error) => return Err(error),
        }
    }
    // A file without a frame is none, and players would stumble over it.
    for file in manifest.files.iter().filter(|file| file.frames == 0) {
        if let Some(path) = manifest.path_of(folder, &file.name) {
            let _ = fs::remove_file(path);
        }
    }
    manifest.files.retain(|file| file.frames > 0);
    for track in &mut manifest.tracks {
        track.end_ms = track
            .end_ms
            .max(track.start_ms)
            .min(end_ms.max(track.start_ms));
        // What is not in a file has no gaps either.
        track.gaps.retain(|gap| gap.start_ms < end_ms);
        for gap in &mut track.gaps {
            gap.duration_ms = gap.duration_ms.min(end_ms - gap.start_ms);
        }
        let files = manifest.files.iter();
        if !files.clone().any(|f| f.track.as_ref() == Some(&track.sid)) {
            track.reason = Some(match track.packets {
                0 => Reason::NoMedia,
                _ => Reason::NoKeyframe,
            });
        }
    }
    manifest.duration_ms = end_ms;
    manifest.ended_at = Some(manifest::rfc3339(manifest.started_us + end_ms * 1000));
    manifest.bytes = manifest.files.iter().map(|file| file.bytes).sum();
    let reason = manifest.reason.unwrap_or(ended);
    (manifest.state, manifest.reason) = match manifest.files.is_empty() {
        true if reason.is_good() => (State::Aborted, Some(Reason::NoMedia)),
        true => (State::Aborted, Some(reason)),
        false => (State::Composing, Some(reason)),
    };
    manifest.write(folder, true)?;
    Ok(manifest)
}

/// Whether there is nothing to be closed, however often it is tried.
fn is_no_file(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    matches!(error.kind(), InvalidData | NotFound | UnexpectedEof)
}

/// Files that were made after the manifest was put on the disk the last time.
fn add_unlisted(folder: &Path, manifest: &mut Manifest) -> io::Result<()> {
    let mut names: Vec<String> = fs::read_dir(folder)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_plain(name) && (name.ends_with(".webm") || name.ends_with(".mkv")))
        .filter(|name| !manifest.files.iter().any(|file| file.name == *name))
        .collect();
    names.sort();
    for name in names {
        let Ok(found) =
            File::open(folder.join(&name)).and_then(|file| scan(BufReader::new(file), |_| {}))
        else {
            continue;
        };
        let codec = match found.codec_id.as_str() {
            "V_VP8" => Codec::Vp8,
            "V_VP9" => Codec::Vp9,
            "V_AV1" => Codec::Av1,
            "V_MPEG4/ISO/AVC" => Codec::H264,
            _ => Codec::Opus,
        };
        let kind = match codec.kind() {
            MediaKind::Audio => "audio",
            MediaKind::Video => "video",
        };
        let container = match found.doc_type.as_str() {
            "webm" => "webm",
            _ => "x-matroska",
        };
        let zero = found.zero_us.unwrap_or(manifest.started_us);
        manifest.files.push(FileEntry {
            name,
            track: None,
            codec: codec.name().to_owned(),
            content_type: format!("{kind}/{container}"),
            offset_ms: zero.saturating_sub(manifest.started_us) / 1000,
            duration_ms: 0,
            bytes: 0,
            sha256: String::new(),
            frames: 0,
            delivered: false,
        });
    }
    Ok(())
}

/// Cuts off what is not whole and adds what closes a file; what was found and the file's size.
fn close_file(path: &Path) -> io::Result<(Scan, u64)> {
    let found = scan(BufReader::new(File::open(path)?), |_| {})?;
    let file = OpenOptions::new().write(true).open(path)?;
    if found.closed {
        let len = file.metadata()?.len();
        // Space may be set aside behind it.
        file.set_len(len)?;
        return Ok((found, len));
    }
    let webm = found.doc_type == "webm";
    let length = found.last_ms + found.last_step_ms;
    let tail = Tail::new(webm, length, &found.cues, found.good_len);
    file.set_len(found.good_len)?;
    file.write_all_at(&tail.append, found.good_len)?;
    for (at, bytes) in &tail.patches {
        file.write_all_at(bytes, *at)?;
    }
    file.sync_all()?;
    let bytes = found.good_len + tail.append.len() as u64;
    Ok((found, bytes))
}
