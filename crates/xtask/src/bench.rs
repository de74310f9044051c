//! `cargo xtask bench`: builds server and load generator, and lets the latter measure the former.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::tools::{self, program};

pub(crate) fn run(
    root: &Path,
    peer: Option<&str>,
    recording: bool,
    options: &[String],
) -> Result<()> {
    tools::run(program(root, cargo()).args([
        "build",
        "--release",
        "-p",
        "crosspoint-server",
        "-p",
        "crosspoint-bench",
    ]))?;
    let built = target(root).join("release");
    let mut measure = program(root, built.join("crosspoint-bench"));
    match peer {
        None if recording => measure.arg("recording"),
        None => measure.arg("suite"),
        Some(peer) => {
            tools::debian_package(peer)?;
            measure.args(["versus", peer])
        }
    };
    measure.arg("--server").arg(built.join("crosspoint"));
    tools::run(measure.args(options))
}

fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Where cargo builds to.
fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}
