//! Whether a recording on the disk is what its manifest says.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::manifest::{FileEntry, Manifest, State, Track};
use crate::matroska::scan;

/// How far a duration in a file may be from the manifest's.
const DURATION_TOLERANCE_MS: u64 = 100;

/// Longest time between frames of sound and of pictures that need not be listed as a gap.
const SOUND_STEP_MS: u64 = 125;
const PICTURE_STEP_MS: u64 = 1_100;

/// All that is wrong with the recording in `folder`; empty: nothing is. Files that were delivered and
/// are not here any more are not looked at.
///
/// # Errors
/// The system's, when there is no manifest that can be read.
pub fn verify(folder: &Path) -> io::Result<Vec<String>> {
    let manifest = Manifest::read(folder)?;
    let mut problems = Vec::new();
    if manifest.state == State::Recording {
        problems.push("it is not finished".to_owned());
    }
    for file in &manifest.files {
        let Some(path) = manifest.path_of(folder, &file.name) else {
            problems.push(format!("{}: not a plain name", file.name));
            continue;
        };
        if file.delivered && !path.exists() {
            continue;
        }
        let found = check_file(&path, file, &manifest);
        let found = found.unwrap_or_else(|error| vec![error.to_string()]);
        problems.extend(found.into_iter().map(|p| format!("{}: {p}", file.name)));
    }
    for track in &manifest.tracks {
        for problem in check_gaps(track, &manifest) {
            problems.push(format!("track {}: {problem}", track.sid));
        }
    }
    Ok(problems)
}

fn check_file(path: &Path, file: &FileEntry, manifest: &Manifest) -> io::Result<Vec<String>> {
    let mut problems = Vec::new();
    let bytes = std::fs::metadata(path)?.len();
    if bytes != file.bytes {
        problems.push(format!("{bytes} bytes, not {}", file.bytes));
    }
    if !file.sha256.is_empty() && sha256(path)? != file.sha256 {
        problems.push("the checksum differs".to_owned());
    }
    // Composed files are ffmpeg's.
    if file.codec.is_empty() {
        return Ok(problems);
    }
    let track = file.track.as_ref().and_then(|sid| manifest.track(sid));
    let longest = match file.content_type.starts_with("audio/") {
        true => SOUND_STEP_MS,
        false => PICTURE_STEP_MS,
    };
    let mut last = None;
    let mut holes = Vec::new();
    let found = scan(BufReader::new(File::open(path)?), |at_ms| {
        if let Some(last) = last
            && at_ms < last
        {
            holes.push(format!("time runs backwards at {at_ms} ms"));
        }
        if let Some(last) = last
            && at_ms > last + longest
            && !is_listed(track, file.offset_ms + last, file.offset_ms + at_ms)
        {
            holes.push(format!("a gap at {last} ms is not listed"));
        }
        last = Some(at_ms);
    })?;
    problems.append(&mut holes);
    if !found.closed {
        problems.push("it is not closed".to_owned());
    }
    if found.keyframes == 0 {
        problems.push("it has no keyframe".to_owned());
    }
    if found.blocks != file.frames {
        problems.push(format!("{} frames, not {}", found.blocks, file.frames));
    }
    if found.length_ms().abs_diff(file.duration_ms) > DURATION_TOLERANCE_MS {
        problems.push(format!(
            "it lasts {} ms, not {}",
            found.length_ms(),
            file.duration_ms
        ));
    }
    Ok(problems)
}

/// Whether a gap between two times from the recording's start is in the manifest, or may be among
/// those that are only counted.
fn is_listed(track: Option<&Track>, from: u64, to: u64) -> bool {
    track.is_none_or(|track| {
        track.gaps_omitted > 0
            || track.gaps.iter().any(|gap| {
                let end = gap.start_ms + gap.duration_ms;
                gap.start_ms <= from + DURATION_TOLERANCE_MS && end + DURATION_TOLERANCE_MS >= to
            })
    })
}

fn check_gaps(track: &Track, manifest: &Manifest) -> Vec<String> {
    let mut problems = Vec::new();
    let mut last = 0;
    for gap in &track.gaps {
        let end = gap.start_ms + gap.duration_ms;
        if gap.start_ms < last {
            problems.push(format!("gaps overlap at {} ms", gap.start_ms));
        }
        if end > manifest.duration_ms + DURATION_TOLERANCE_MS {
            problems.push(format!("a gap at {} ms is behind the end", gap.start_ms));
        }
        last = gap.start_ms;
    }
    problems
}

/// SHA-256 of a file, in hexadecimal.
pub(crate) fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let len = file.read(&mut buffer)?;
        if len == 0 {
            break;
        }
        hash.update(buffer.get(..len).unwrap_or_default());
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
