//! One file of a whole recording, made of its tracks' files by ffmpeg.
//!
//! Nothing is mixed while a call goes on. Sound of a `call` is one stereo file, who was there first on
//! the left and everyone else on the right; `mixed` puts all pictures in a grid, each in a place of
//! its own while its file lasts, and all voices together.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use crate::manifest::{FileEntry, Format, Manifest, Mode};
use crate::verify::sha256;

/// Size of the composed picture.
const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
const FRAMES_PER_SECOND: u32 = 30;

/// Most that is kept of what ffmpeg says.
const MESSAGES_BYTES_MAX: u64 = 4096;

/// Why there is no composed file.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// The mode asks for none, or there is nothing to make it of.
    #[error("there is nothing to compose")]
    Nothing,
    /// ffmpeg is not installed, or cannot be run.
    #[error("ffmpeg cannot be run: {0}")]
    Run(io::Error),
    /// It failed.
    #[error("ffmpeg failed: {0}")]
    Failed(String),
    /// The result or the manifest cannot be read or written.
    #[error(transparent)]
    Disk(#[from] io::Error),
}

/// Composes the recording in `folder` as its manifest's mode says, and enters the file there.
/// `progress` is told percents. Doing it again makes the file anew.
///
/// # Errors
/// See [`ComposeError`]; the tracks' files are not touched.
pub async fn compose(
    folder: &Path,
    manifest: &mut Manifest,
    mut progress: impl FnMut(u8),
) -> Result<(), ComposeError> {
    let plan = Plan::new(manifest).ok_or(ComposeError::Nothing)?;
    let part = format!(".{}.part", plan.name);
    let duration_s = seconds(manifest.duration_ms);
    let mut command = Command::new("ffmpeg");
    command
        .current_dir(folder)
        .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"])
        .args(["-progress", "pipe:1"]);
    for input in &plan.inputs {
        // A camera changes its size now and then. ffmpeg would begin anew with all filters, and so
        // lose what time it is; `scale` follows the size by itself.
        command.args(["-reinit_filter", "0"]);
        command.arg("-i").arg(format!("file:{input}"));
    }
    command
        .args(["-filter_complex", &plan.filter])
        .args(&plan.output)
        .args(["-t", &duration_s])
        .arg(format!("file:{part}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(ComposeError::Run)?;
    let messages = child.stderr.take().map(|stderr| {
        tokio::spawn(async move {
            let mut text = Vec::new();
            let mut stderr = stderr;
            let _ = (&mut stderr)
                .take(MESSAGES_BYTES_MAX)
                .read_to_end(&mut text)
                .await;
            // The rest is read so that ffmpeg does not wait for it.
            let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
            String::from_utf8_lossy(&text).trim().to_owned()
        })
    });
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let us = line
                .strip_prefix("out_time_us=")
                .and_then(|us| us.parse().ok());
            if let Some(us) = us {
                progress(percent(us, manifest.duration_ms));
            }
        }
    }
    let status = child.wait().await.map_err(ComposeError::Run)?;
    let messages = match messages {
        Some(task) => task.await.unwrap_or_default(),
        None => String::new(),
    };
    if !status.success() {
        let _ = tokio::fs::remove_file(folder.join(&part)).await;
        return Err(ComposeError::Failed(messages));
    }
    let path = folder.join(&plan.name);
    tokio::fs::rename(folder.join(&part), &path).await?;
    let bytes = tokio::fs::metadata(&path).await?.len();
    let sha256 = tokio::task::spawn_blocking(move || sha256(&path))
        .await
        .map_err(io::Error::other)??;
    manifest.files.retain(|file| file.name != plan.name);
    manifest.files.push(FileEntry {
        name: plan.name,
        track: None,
        codec: String::new(),
        content_type: plan.content_type.to_owned(),
        offset_ms: 0,
        duration_ms: manifest.duration_ms,
        bytes,
        sha256,
        frames: 0,
        delivered: false,
    });
    manifest.bytes = manifest.files.iter().map(|file| file.bytes).sum();
    progress(100);
    Ok(())
}

fn percent(us: u64, duration_ms: u64) -> u8 {
    (us / 10).checked_div(duration_ms).unwrap_or(0).min(100) as u8
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// What ffmpeg is told.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    inputs: Vec<String>,
    filter: String,
    output: Vec<&'static str>,
    name: String,
    content_type: &'static str,
}

impl Plan {
    fn new(manifest: &Manifest) -> Option<Self> {
        let tracks = manifest.files.iter().filter(|file| !file.codec.is_empty());
        let (sound, pictures): (Vec<_>, Vec<_>) =
            tracks.partition(|file| file.content_type.starts_with("audio/"));
        match manifest.mode {
            Mode::Individual => None,
            Mode::Call if sound.is_empty() => None,
            Mode::Mixed if sound.is_empty() && pictures.is_empty() => None,
            Mode::Call => Some(Self::call(manifest, &sound)),
            Mode::Mixed => Some(Self::mixed(manifest, &sound, &pictures)),
        }
    }

    fn call(manifest: &Manifest, sound: &[&FileEntry]) -> Self {
        let first = manifest.participants.first().map(|p| p.identity.as_str());
        let is_first = |file: &FileEntry| {
            let track = file.track.as_ref().and_then(|sid| manifest.track(sid));
            track.map(|track| track.identity.as_str()) == first
        };
        let sides = [true, false].map(|left| {
            let inputs = sound.iter().enumerate();
            let inputs = inputs.filter(|(_, file)| is_first(file) == left);
            inputs
                .map(|(index, file)| (index, *file))
                .collect::<Vec<_>>()
        });
        let mut filter = String::new();
        for (side, files) in ["left", "right"].into_iter().zip(&sides) {
            mix(&mut filter, side, "mono", files, manifest.duration_ms);
        }
        filter.push_str("[left][right]join=inputs=2:channel_layout=stereo[sound]");
        let (name, content_type, codec) = match manifest.format {
            Format::Webm => ("call.webm", "audio/webm", OPUS),
            Format::Mp4 => ("call.m4a", "audio/mp4", AAC),
        };
        Self {
            inputs: sound.iter().map(|file| file.name.clone()).collect(),
            filter,
            output: [&["-map", "[sound]"][..], codec, container(manifest.format)].concat(),
            name: name.to_owned(),
            content_type,
        }
    }

    fn mixed(manifest: &Manifest, sound: &[&FileEntry], pictures: &[&FileEntry]) -> Self {
        let mut filter = String::new();
        let places = Places::of(pictures);
        let length = seconds(manifest.duration_ms);
        let _ = write!(
            filter,
            "color=c=black:s={WIDTH}x{HEIGHT}:r={FRAMES_PER_SECOND}:d={length}[grid0];"
        );
        for (index, file) in pictures.iter().enumerate() {
            let (x, y, w, h) = places.rectangle(index);
            let (from, to) = (file.offset_ms, file.offset_ms + file.duration_ms);
            let (from, to) = (seconds(from), seconds(to));
            let _ = write!(
                filter,
                "[{index}:v]setpts=PTS-STARTPTS+{from}/TB,\
                 scale={w}:{h}:force_original_aspect_ratio=decrease,\
                 pad={w}:{h}:-1:-1:color=black,setsar=1[tile{index}];\
                 [grid{index}][tile{index}]overlay={x}:{y}:eof_action=repeat:\
                 enable='between(t,{from},{to})'[grid{}];",
                index + 1
            );
        }
        let inputs = sound.iter().enumerate();
        let inputs: Vec<_> = inputs
            .map(|(index, file)| (pictures.len() + index, *file))
            .collect();
        mix(
            &mut filter,
            "sound",
            "stereo",
            &inputs,
            manifest.duration_ms,
        );
        let _ = write!(filter, "[grid{}]format=yuv420p[picture]", pictures.len());
        let (name, content_type, picture, sound_codec) = match manifest.format {
            Format::Webm => ("mixed.webm", "video/webm", VP8, OPUS),
            Format::Mp4 => ("mixed.mp4", "video/mp4", H264, AAC),
        };
        let maps = &["-map", "[picture]", "-map", "[sound]"][..];
        Self {
            inputs: pictures
                .iter()
                .chain(sound)
                .map(|file| file.name.clone())
                .collect(),
            filter,
            output: [maps, picture, sound_codec, container(manifest.format)].concat(),
            name: name.to_owned(),
            content_type,
        }
    }
}

const OPUS: &[&str] = &["-c:a", "libopus", "-b:a", "96k"];
const AAC: &[&str] = &["-c:a", "aac", "-b:a", "128k"];
const VP8: &[&str] = &[
    "-c:v",
    "libvpx",
    "-deadline",
    "realtime",
    "-cpu-used",
    "8",
    "-b:v",
    "2M",
    "-g",
    "60",
];
const H264: &[&str] = &[
    "-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-g", "60",
];

/// The output's name does not say it while it is made.
const fn container(format: Format) -> &'static [&'static str] {
    match format {
        Format::Webm => &["-f", "webm"],
        Format::Mp4 => &["-movflags", "+faststart", "-f", "mp4"],
    }
}

/// Sound of several files, each at its time, as one stream of the recording's length.
fn mix(
    filter: &mut String,
    name: &str,
    layout: &str,
    files: &[(usize, &FileEntry)],
    duration_ms: u64,
) {
    let length = seconds(duration_ms);
    for (index, file) in files {
        let _ = write!(
            filter,
            "[{index}:a]aresample=48000:async=1:first_pts=0,aformat=channel_layouts={layout},\
             adelay={}:all=1[{name}{index}];",
            file.offset_ms
        );
    }
    if files.is_empty() {
        let _ = write!(
            filter,
            "anullsrc=r=48000:cl={layout},atrim=0:{length}[{name}];"
        );
        return;
    }
    for (index, _) in files {
        let _ = write!(filter, "[{name}{index}]");
    }
    let _ = write!(
        filter,
        "amix=inputs={}:duration=longest:normalize=0,apad,\
         asetpts=N/SR/TB,atrim=0:{length}[{name}];",
        files.len()
    );
}

/// Who is where in the grid.
struct Places {
    /// Place of each file.
    of: Vec<u32>,
    columns: u32,
    rows: u32,
}

impl Places {
    /// Each file has a place while it lasts; a place that was left is given to who comes next.
    fn of(files: &[&FileEntry]) -> Self {
        let mut order: Vec<usize> = (0..files.len()).collect();
        order.sort_by_key(|&index| files.get(index).map(|file| file.offset_ms));
        let mut free_from: Vec<u64> = Vec::new();
        let mut of = vec![0; files.len()];
        for index in order {
            let Some(file) = files.get(index) else {
                continue;
            };
            let end = file.offset_ms + file.duration_ms;
            let place = free_from.iter().position(|&free| free <= file.offset_ms);
            let place = place.unwrap_or_else(|| {
                free_from.push(0);
                free_from.len() - 1
            });
            if let Some(free) = free_from.get_mut(place) {
                *free = end;
            }
            if let Some(entry) = of.get_mut(index) {
                *entry = place as u32;
            }
        }
        let count = free_from.len().max(1) as u32;
        let columns = (1..).find(|n| n * n >= count).unwrap_or(1);
        Self {
            of,
            columns,
            rows: count.div_ceil(columns),
        }
    }

    /// x, y, width, height in pixels, all even.
    fn rectangle(&self, index: usize) -> (u32, u32, u32, u32) {
        let place = self.of.get(index).copied().unwrap_or(0);
        let (width, height) = ((WIDTH / self.columns) & !1, (HEIGHT / self.rows) & !1);
        let (column, row) = (place % self.columns, place / self.columns);
        (column * width, row * height, width, height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(offset_ms: u64, duration_ms: u64) -> FileEntry {
        FileEntry {
            name: "x.webm".to_owned(),
            track: None,
            codec: "VP8".to_owned(),
            content_type: "video/webm".to_owned(),
            offset_ms,
            duration_ms,
            bytes: 1,
            sha256: String::new(),
            frames: 1,
            delivered: false,
        }
    }

    #[test]
    fn places_are_as_many_as_are_seen_at_once() {
        let files = [
            file(0, 10),
            file(0, 30),
            file(10, 10),
            file(5, 10),
            file(40, 5),
        ];
        let places = Places::of(&files.each_ref());
        assert_eq!(places.of, [0, 1, 0, 2, 0]);
        assert_eq!((places.columns, places.rows), (2, 2));
        assert_eq!(places.rectangle(3), (0, 360, 640, 360));
        let one = Places::of(&[&file(0, 1)]);
        assert_eq!(one.rectangle(0), (0, 0, 1280, 720));
    }

    #[test]
    fn progress_is_a_percentage_of_the_recording() {
        assert_eq!(percent(0, 1000), 0);
        assert_eq!(percent(500_000, 1000), 50);
        assert_eq!(percent(9_000_000, 1000), 100);
        assert_eq!(percent(5, 0), 0);
    }
}
