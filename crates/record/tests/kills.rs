//! A recorder that is killed at any moment leaves files that can be played, lacking at most a second.
//!
//! This program is both sides: started with a folder it records a picture and a voice there until it
//! dies; without one it starts and kills many of those, and looks at what they left. `KILLS` says how
//! many, 100 if it does not.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the recorder that is killed talks to the test by its output"
)]

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::{Clip, batch, frames, push, request, track};
use crosspoint_media::tap::TAP_PERIOD;
use crosspoint_record::manifest::{Manifest, Reason, State};
use crosspoint_record::recorder::Recorder;
use crosspoint_record::{Finisher, unfinished, verify::verify};
use crosspoint_wire::codec::Codec;

/// Recorders that live at a time.
const AT_ONCE: usize = 10;

/// What may be missing at the end.
const LOST_MAX_MS: i64 = 1_000;

fn main() -> ExitCode {
    if let Some(folder) = std::env::var_os("CROSSPOINT_RECORD_UNTIL_KILLED") {
        record(Path::new(&folder));
    }
    let kills = std::env::var("KILLS").ok().and_then(|n| n.parse().ok());
    let kills: usize = kills.unwrap_or(100);
    let clip = Arc::new(Clip::encode());
    let mut worst = 0;
    let mut failed = 0;
    let runs: Vec<usize> = (0..kills).collect();
    for group in runs.chunks(AT_ONCE) {
        let threads: Vec<_> = group
            .iter()
            .map(|&n| {
                let clip = Arc::clone(&clip);
                std::thread::spawn(move || kill_one(n, &clip))
            })
            .collect();
        for thread in threads {
            match thread.join().unwrap_or_else(|_| Err("panicked".to_owned())) {
                Ok(lost_ms) => worst = worst.max(lost_ms),
                Err(problem) => {
                    failed += 1;
                    eprintln!("{problem}");
                }
            }
        }
    }
    println!(
        "{} of {kills} readable, at most {worst} ms lost",
        kills - failed
    );
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Starts one, kills it, and looks; how many milliseconds are missing.
fn kill_one(n: usize, clip: &Clip) -> Result<i64, String> {
    let folder = tempfile::tempdir().map_err(|e| e.to_string())?;
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut child = Command::new(this)
        .env("CROSSPOINT_RECORD_UNTIL_KILLED", folder.path())
        .env("CLIP", clip.path())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| e.to_string())?;
    let stdout = child.stdout.take().ok_or("no output")?;
    let mut lines = BufReader::new(stdout).lines();
    // When the first frames were sent.
    let begun = lines
        .next()
        .ok_or("it never began")?
        .map_err(|e| e.to_string())?;
    let begun: i64 = begun.parse().map_err(|_| begun)?;
    let life = 300 + rand::random::<u64>() % 2500;
    std::thread::sleep(Duration::from_millis(life));
    child.kill().map_err(|e| e.to_string())?;
    let killed = unix_ms();
    child.wait().map_err(|e| e.to_string())?;

    let ids = unfinished(folder.path()).map_err(|e| e.to_string())?;
    let [id] = ids.as_slice() else {
        return Err(format!("{n}: {} recordings", ids.len()));
    };
    let path = folder.path().join(id);
    if killed - begun > 2 * LOST_MAX_MS {
        decode_all(&path).map_err(|e| format!("{n}: before closing: {e}"))?;
    }
    let finisher = Finisher::new(folder.path(), None, Arc::new(AtomicU64::new(0)));
    let runtime = tokio::runtime::Runtime::new().map_err(|e| e.to_string())?;
    let finished = runtime
        .block_on(finisher.finish(id, Reason::Crashed))
        .map_err(|e| e.to_string())?;
    let manifest = finished.manifest;
    let lived = killed - begun;
    if manifest.files.is_empty() && lived <= LOST_MAX_MS {
        return Ok(lived);
    }
    if manifest.state != State::Ready || manifest.reason != Some(Reason::Crashed) {
        return Err(format!("{n}: {:?} {:?}", manifest.state, manifest.reason));
    }
    let problems = verify(&path).map_err(|e| e.to_string())?;
    if !problems.is_empty() {
        return Err(format!("{n}: {problems:?}"));
    }
    decode_all(&path).map_err(|e| format!("{n}: after closing: {e}"))?;
    lost_ms(&manifest, killed, lived).ok_or_else(|| format!("{n}: too much is lost: {manifest:#?}"))
}

/// How much is missing of the track of which most is.
fn lost_ms(manifest: &Manifest, killed: i64, lived: i64) -> Option<i64> {
    let started = (manifest.started_us / 1000) as i64;
    let ends = manifest
        .files
        .iter()
        .map(|f| started + (f.offset_ms + f.duration_ms) as i64);
    let lost = ends.map(|end| killed - end).max()?;
    let both = manifest.files.len() == 2 || lived <= LOST_MAX_MS;
    (both && lost <= LOST_MAX_MS).then_some(lost)
}

/// ffmpeg decodes every file without a word.
fn decode_all(folder: &Path) -> Result<(), String> {
    let files = std::fs::read_dir(folder).map_err(|e| e.to_string())?;
    for file in files.filter_map(|file| Some(file.ok()?.path())) {
        if file.extension().is_none_or(|extension| extension != "webm") {
            continue;
        }
        let output = Command::new("ffmpeg")
            .args(["-nostdin", "-loglevel", "error", "-i"])
            .arg(&file)
            .args([
                "-fps_mode",
                "passthrough",
                "-enc_time_base",
                "-1",
                "-f",
                "null",
                "-",
            ])
            .output()
            .map_err(|e| e.to_string())?;
        let messages = String::from_utf8_lossy(&output.stderr);
        // The size of an unfinished file is unknown: its end may be in the middle of a cluster.
        let harmless = messages
            .lines()
            .all(|line| line.contains("File ended prematurely"));
        if !output.status.success() || !harmless {
            return Err(format!("{}: {messages}", file.display()));
        }
    }
    Ok(())
}

/// Records until it is killed.
fn record(folder: &Path) -> ! {
    let clip = std::env::var_os("CLIP").expect("CLIP");
    let frames = frames(Path::new(&clip));
    let (recorder, _events) = Recorder::start(folder, 0).expect("the recorder");
    let id = recorder.begin(request()).expect("a recording").id;
    for (relay, codec) in [(1, Codec::Opus), (2, Codec::Vp8)] {
        recorder.track(&id, track(relay, codec)).expect("a track");
    }
    let door = recorder.door();
    let begun = Instant::now();
    println!("{}", unix_ms());
    std::io::stdout().flush().expect("stdout");
    // As a worker does: each track's packets are handed over together, at times of its own.
    let ticks = TAP_PERIOD.as_millis() as u64 / 20 + 1;
    let (mut sound, mut pictures) = (batch(1), batch(2));
    let mut sent = 0;
    for tick in 0.. {
        let due = begun + Duration::from_millis(tick * 20);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let now = unix_ms() as u64 * 1000;
        let silence = [0xf8, 0xff, 0xfe];
        push(&mut sound, now, (tick, tick * 960), true, &silence);
        if tick % 2 == 0 {
            let payloads = &frames[(tick as usize / 2) % frames.len()];
            for (index, payload) in payloads.iter().enumerate() {
                let marker = index + 1 == payloads.len();
                push(&mut pictures, now, (sent, tick * 1800), marker, payload);
                sent += 1;
            }
        }
        let due = match tick % ticks {
            0 => core::mem::replace(&mut sound, batch(1)),
            7 => core::mem::replace(&mut pictures, batch(2)),
            _ => continue,
        };
        door.hand_over(due).expect("the recorder keeps up");
    }
    unreachable!("there is always another tick")
}

fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_millis() as i64
}
