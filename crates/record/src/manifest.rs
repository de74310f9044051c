//! `manifest.json`: what a recording consists of, and what became of it.
//!
//! Written whole and put in place by renaming, so that a reader finds the old one or the new one.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Its name in the recording's folder.
pub const FILE_NAME: &str = "manifest.json";

/// Most gaps that are listed for one track; further ones are counted.
pub const GAPS_MAX: usize = 10_000;

/// What a recording shall become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Each track a file of its own.
    #[default]
    Individual,
    /// Also one file of sound: who was there first on the left, everyone else on the right.
    Call,
    /// Also one file with all pictures in a grid and all voices.
    Mixed,
}

/// Container of a composed file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// VP8 and Opus.
    #[default]
    Webm,
    /// H264 and AAC.
    Mp4,
}

/// What becomes of a room whose recording fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// It goes on.
    #[default]
    Continue,
    /// It ends.
    End,
}

/// How far a recording is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Media is being written.
    Recording,
    /// Its files are closed and being composed.
    Composing,
    /// Its files are on their way to the store, or wait for it.
    Delivering,
    /// Everything is where it shall be.
    Ready,
    /// It ended without result, or not all of it could be kept; see the reason.
    Aborted,
}

/// Why a recording ended. One word in the manifest, the event, the log and the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It was stopped by a request.
    Stopped,
    /// The room ended.
    RoomFinished,
    /// The server was stopped.
    ServerShutdown,
    /// The server ended without closing it; it was closed afterwards.
    Crashed,
    /// No packet ever came.
    NoMedia,
    /// Packets came, but never a keyframe.
    NoKeyframe,
    /// The disk has no room.
    DiskFull,
    /// The disk failed.
    DiskError,
    /// What waits for the store takes all the room that it may.
    SpoolFull,
    /// The recorder could not follow what happened in the room.
    Overloaded,
    /// ffmpeg could not make the composed file; the tracks are kept.
    CompositionFailed,
    /// The store refused it.
    StoreRefused,
}

impl Reason {
    /// Stable name.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::RoomFinished => "room_finished",
            Self::ServerShutdown => "server_shutdown",
            Self::Crashed => "crashed",
            Self::NoMedia => "no_media",
            Self::NoKeyframe => "no_keyframe",
            Self::DiskFull => "disk_full",
            Self::DiskError => "disk_error",
            Self::SpoolFull => "spool_full",
            Self::Overloaded => "overloaded",
            Self::CompositionFailed => "composition_failed",
            Self::StoreRefused => "store_refused",
        }
    }

    /// Whether a recording that ended so is worth keeping as it is.
    #[must_use]
    pub const fn is_good(self) -> bool {
        matches!(
            self,
            Self::Stopped | Self::RoomFinished | Self::ServerShutdown | Self::Crashed
        )
    }
}

/// Why there is nothing of a publisher's in a file for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// Packets did not arrive. For a picture: until the next keyframe.
    Loss,
    /// The recorder did not take packets in time: a disk that was too slow.
    Overflow,
    /// The track was muted.
    Mute,
    /// Silence was not sent (discontinuous transmission).
    Dtx,
    /// No picture was sent.
    Pause,
    /// Another encoding of the track took over at its keyframe.
    LayerChange,
    /// The publisher's stream began anew.
    Restart,
}

/// A gap in a track.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// From the recording's start.
    pub start_ms: u64,
    /// How long.
    pub duration_ms: u64,
    /// Why.
    pub reason: GapReason,
    /// Packets that were lost in it.
    pub packets: u64,
}

/// A recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Of this form: 1.
    pub version: u32,
    /// `RC_` and 12 characters.
    pub id: String,
    /// Name of the room.
    pub room: String,
    /// Id of the room's occurrence.
    pub room_sid: String,
    /// What it shall become.
    pub mode: Mode,
    /// Container of the composed file.
    #[serde(default)]
    pub format: Format,
    /// What becomes of the room when it fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// How far it is.
    pub state: State,
    /// Why it ended; null while it goes on.
    pub reason: Option<Reason>,
    /// Wall clock at the start, RFC 3339.
    pub started_at: String,
    /// The same in microseconds since the Unix epoch.
    pub started_us: u64,
    /// Wall clock at the end.
    pub ended_at: Option<String>,
    /// From start to end.
    pub duration_ms: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Who was recorded.
    pub participants: Vec<Participant>,
    /// What was recorded.
    pub tracks: Vec<Track>,
    /// The files.
    pub files: Vec<FileEntry>,
    /// How much of the composed file is made, 0 to 100; null when there is nothing to compose.
    pub progress: Option<u8>,
    /// Where the files are kept in the end; null: where they were made.
    pub target: Option<String>,
}

/// Somebody who was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Participant {
    /// Identity in the room.
    pub identity: String,
    /// Id of the stay.
    pub sid: String,
    /// Name that was shown.
    pub name: String,
}

/// A track of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Track {
    /// Id of the track.
    pub sid: String,
    /// Whose it is.
    pub identity: String,
    /// "audio" or "video".
    pub kind: String,
    /// E.g. "camera".
    pub source: String,
    /// From the recording's start to when it was first there.
    pub start_ms: u64,
    /// To when it was last there.
    pub end_ms: u64,
    /// Why there is no file of it, if there is none.
    pub reason: Option<Reason>,
    /// Packets that arrived.
    pub packets: u64,
    /// Packets that never did.
    pub lost_packets: u64,
    /// Where nothing of the publisher's is in its files.
    pub gaps: Vec<Gap>,
    /// Further gaps, that are not listed.
    pub gaps_omitted: u64,
}

/// A file of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileEntry {
    /// In the recording's folder.
    pub name: String,
    /// Id of its track; null for a composed file.
    pub track: Option<String>,
    /// As in SDP, e.g. "VP8"; empty for a composed file.
    pub codec: String,
    /// Media type.
    pub content_type: String,
    /// From the recording's start to the file's first frame.
    pub offset_ms: u64,
    /// How long it plays.
    pub duration_ms: u64,
    /// Size; 0 until it is closed.
    pub bytes: u64,
    /// SHA-256, in hexadecimal; empty until it is closed.
    pub sha256: String,
    /// Frames in it, silence that fills gaps included.
    pub frames: u64,
    /// Whether it is in the store.
    #[serde(default)]
    pub delivered: bool,
}

impl Manifest {
    /// Reads a recording's manifest.
    ///
    /// # Errors
    /// The system's, and [`io::ErrorKind::InvalidData`] for what is none.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let text = fs::read(folder.join(FILE_NAME))?;
        serde_json::from_slice(&text).map_err(io::Error::from)
    }

    /// Puts it in its place. `durable`: power may fail right afterwards.
    ///
    /// # Errors
    /// The system's; the old one is in its place then.
    pub fn write(&self, folder: &Path, durable: bool) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::from)?;
        let new = folder.join(".manifest.json.new");
        let put = || {
            let mut file = File::create(&new)?;
            file.write_all(&text)?;
            if durable {
                file.sync_all()?;
            }
            fs::rename(&new, folder.join(FILE_NAME))
        };
        if let Err(error) = put() {
            // A disk that is full is not to be filled with halves.
            let _ = fs::remove_file(&new);
            return Err(error);
        }
        if durable {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    /// The path of one of its files. Only names that it lists are looked for, and they are plain
    /// names, whatever a manifest that was tampered with says.
    #[must_use]
    pub fn path_of(&self, folder: &Path, name: &str) -> Option<PathBuf> {
        let listed = self.files.iter().any(|file| file.name == name);
        (listed && is_plain(name)).then(|| folder.join(name))
    }

    /// The track with this id.
    #[must_use]
    pub fn track(&self, sid: &str) -> Option<&Track> {
        self.tracks.iter().find(|track| track.sid == sid)
    }
}

impl Track {
    /// Notes a gap.
    pub(crate) fn add_gap(&mut self, gap: Gap) {
        if self.gaps.len() < GAPS_MAX {
            self.gaps.push(gap);
        } else {
            self.gaps_omitted += 1;
        }
    }
}

/// Whether a name leads nowhere else.
#[must_use]
pub fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && name.len() <= 128 && name.chars().all(plain) && !name.starts_with('.')
}

/// Whether this is the id of a recording: `RC_` and 12 letters and digits.
#[must_use]
pub fn is_id(id: &str) -> bool {
    id.strip_prefix("RC_")
        .is_some_and(|rest| rest.len() == 12 && rest.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// A new id.
#[must_use]
pub fn new_id() -> String {
    use rand::Rng as _;
    let letters = rand::rng().sample_iter(rand::distr::Alphanumeric);
    let letters: String = letters.take(12).map(char::from).collect();
    format!("RC_{letters}")
}

/// RFC 3339 in UTC, with milliseconds.
pub(crate) fn rfc3339(unix_us: u64) -> String {
    let time: SystemTime = UNIX_EPOCH + Duration::from_micros(unix_us);
    humantime::format_rfc3339_millis(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_climb_out_are_not_plain() {
        for name in ["01-camera.webm", "call.webm", "a_b-c.mkv"] {
            assert!(is_plain(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/etc/passwd",
            "a\\b",
            ".hidden",
            "a\0b",
            "ä",
            "%2e%2e",
        ] {
            assert!(!is_plain(name), "{name:?}");
        }
        assert!(is_id(&new_id()));
        for id in ["RC_", "RC_../../../etc", "RC_0123456789ab/", "0123456789ab"] {
            assert!(!is_id(id), "{id:?}");
        }
    }
}
