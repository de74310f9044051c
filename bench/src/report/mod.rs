//! What a person and a program get to see of a measurement.

pub mod chart;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::outcome::Outcome;

/// Where and with what something was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Host {
    /// Seconds since 1970.
    pub unix_time: u64,
    /// As the kernel calls it.
    pub cpu: String,
    /// Cores that we may use.
    pub cores: usize,
    /// Release of the kernel.
    pub kernel: String,
    /// Commit of the source tree, with `+` if it was changed, where there is one.
    pub commit: String,
    /// The command line.
    pub flags: Vec<String>,
}

impl Host {
    /// This one, now.
    #[must_use]
    pub fn here() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let cpu = cpuinfo.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == "model name").then(|| value.trim().to_owned())
        });
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            unix_time: time.map_or(0, |time| time.as_secs()),
            cpu: cpu.unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: kernel.trim().to_owned(),
            commit: commit().unwrap_or_default(),
            flags: std::env::args().skip(1).collect(),
        }
    }

    /// In one line.
    #[must_use]
    pub fn line(&self) -> String {
        let Self {
            cpu,
            cores,
            kernel,
            commit,
            ..
        } = self;
        format!("{cpu}, {cores} cores, Linux {kernel}, commit {commit}")
    }
}

fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let hash = git(&["rev-parse", "--short=10", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    let mark = if changed.is_empty() { "" } else { "+" };
    Some(format!("{hash}{mark}"))
}

/// Several measurements as a table in Markdown, which reads well as plain text.
#[must_use]
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| load | clients | packets/s | Mbit/s | loss | CPU us/packet | cores | delay p50 / p99 / \
         p99.9 ms | KiB/client | generator cores |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for outcome in outcomes {
        let server = outcome.server.as_ref();
        let cpu = server.map_or("-".to_owned(), |it| format!("{:.2}", it.cpu_us_per_packet));
        let cores = server.map_or("-".to_owned(), |it| format!("{:.2}", it.cores));
        let memory = server.and_then(|it| it.kib_per_session);
        let memory = memory.map_or("-".to_owned(), |kib| format!("{kib:.0}"));
        let delay = outcome.delay_ms;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {:.0} | {:.3} % | {cpu} | {cores} | {:.2} / {:.2} / {:.2} | \
             {memory} | {:.2} |",
            outcome.name,
            outcome.connected,
            outcome.packets_per_s,
            outcome.mbit_per_s,
            outcome.loss * 100.0,
            delay.p50,
            delay.p99,
            delay.p999,
            outcome.generator_cores,
        );
    }
    text
}

/// How joining went, in one line.
#[must_use]
pub fn joins(outcome: &Outcome) -> String {
    let joins = outcome.joins;
    let per_cpu = joins
        .per_cpu_s
        .map(|rate| format!(", {rate:.0} per second of server CPU"));
    format!(
        "{} ({:.0}/s{}), p50 {:.1} ms, p99 {:.1} ms",
        joins.count,
        joins.per_s,
        per_cpu.unwrap_or_default(),
        joins.ms.p50,
        joins.ms.p99,
    )
}

/// What a table has no column for.
#[must_use]
pub fn details(outcome: &Outcome) -> String {
    let mut text = format!("joins: {}; media by {}\n", joins(outcome), outcome.srtp);
    let _ = writeln!(
        text,
        "streams arriving: {} audio, {} video; {} packets decrypted and compared, {} wrong; {} \
         retransmissions",
        outcome.audio_streams,
        outcome.video_streams,
        outcome.checked,
        outcome.corrupt,
        outcome.rtx_packets,
    );
    if let Some(recorded) = outcome.recorded {
        let _ = writeln!(
            text,
            "recorded: {} tracks, {} packets, {} lost",
            recorded.tracks, recorded.packets, recorded.lost_packets,
        );
    }
    for warning in &outcome.warnings {
        let _ = writeln!(text, "WARNING: {warning}");
    }
    text
}

/// Writes `value` with the host as JSON.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(path: &Path, host: &Host, value: &impl Serialize) -> Result<()> {
    #[derive(Serialize)]
    struct Record<'a, T> {
        host: &'a Host,
        results: &'a T,
    }
    let record = Record {
        host,
        results: value,
    };
    write(path, &serde_json::to_string_pretty(&record)?)
}

/// Writes a text, and the folders that it needs.
///
/// # Errors
/// When that fails.
pub fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
