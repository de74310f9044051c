//! Running programs, and getting the ones that are missing.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// One line for the person who watches.
#[expect(clippy::print_stderr, reason = "a command-line tool talks to its user")]
pub(crate) fn say(line: &str) {
    eprintln!("xtask: {line}");
}

/// A program to run in `dir`, with its output passed through.
pub(crate) fn program(dir: &Path, name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(dir).stdin(Stdio::null());
    command
}

/// Runs a program; an exit code other than 0 is an error that names the command.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let status = command
        .status()
        .with_context(|| format!("cannot start {shown}"))?;
    if !status.success() {
        bail!("{shown} ended with {status}");
    }
    Ok(())
}

/// Runs a program and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let out = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {shown}"))?;
    if !out.status.success() {
        bail!("{shown} ended with {}", out.status);
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Where a program is, by `PATH`.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// Debian packages, each with a program or file that shows it is there already.
const DEBIAN: &[(&str, &str)] = &[
    ("chromium", "/usr/bin/chromium"),
    ("firefox-esr", "/usr/bin/firefox-esr"),
    ("ffmpeg", "/usr/bin/ffprobe"),
    ("nodejs", "node"),
    ("postgresql", "/usr/share/doc/postgresql"),
    ("python3-venv", "python3"),
    ("gstreamer1.0-tools", "/usr/bin/gst-launch-1.0"),
    (
        "gstreamer1.0-plugins-good",
        "/usr/share/doc/gstreamer1.0-plugins-good",
    ),
    (
        "gstreamer1.0-plugins-bad",
        "/usr/share/doc/gstreamer1.0-plugins-bad",
    ),
    ("gstreamer1.0-nice", "/usr/share/doc/gstreamer1.0-nice"),
];

/// Makes the Debian packages that the tests need present, or says which to install.
pub(crate) fn debian_packages() -> Result<()> {
    let missing: Vec<&str> = DEBIAN
        .iter()
        .filter(|(_, sign)| {
            let there = if sign.starts_with('/') {
                Path::new(sign).exists()
            } else {
                find(sign).is_some()
            };
            !there
        })
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let user = output(program(Path::new("/"), "id").arg("-u")).unwrap_or_default();
    let apt = find("apt-get");
    let (Some(apt), "0") = (apt, user.trim()) else {
        bail!("the tests need these programs; as root: apt-get install {list}");
    };
    say(&format!("installing {list}"));
    run(program(Path::new("/"), &apt).args(["-qq", "update"]))?;
    run(program(Path::new("/"), apt)
        .args(["-qq", "-y", "--no-install-recommends", "install"])
        .args(&missing)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null()))
}

/// Makes one Debian package present that has a program of its name, or says to install it.
pub(crate) fn debian_package(name: &str) -> Result<()> {
    if find(name).is_some() {
        return Ok(());
    }
    let user = output(program(Path::new("/"), "id").arg("-u")).unwrap_or_default();
    let apt = find("apt-get");
    let (Some(apt), "0") = (apt, user.trim()) else {
        bail!("{name} is needed; as root: apt-get install {name}");
    };
    say(&format!("installing {name}"));
    run(program(Path::new("/"), &apt).args(["-qq", "update"]))?;
    run(program(Path::new("/"), apt)
        .args(["-qq", "-y", "--no-install-recommends", "install", name])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null()))
}

/// npm packages of the web checks and browser tests, below `target/tools/node`.
const NPM: &[&str] = &[
    "playwright-core@1.65.1",
    "typescript@5.9.3",
    "livekit-server-sdk@2.19.2",
];

/// Makes the npm packages present; returns the folder that holds `node_modules`.
pub(crate) fn node_modules(root: &Path) -> Result<PathBuf> {
    let dir = root.join("target/tools/node");
    install_once(&dir, &NPM.join("\n"), || {
        std::fs::write(dir.join("package.json"), "{\"private\":true}\n")?;
        run(program(&dir, "npm")
            .args([
                "install",
                "--no-audit",
                "--no-fund",
                "--no-package-lock",
                "--loglevel=error",
            ])
            .args(NPM))
    })?;
    Ok(dir)
}

/// PyPI packages of the interop tests, in a virtual environment below `target/tools/python`.
const PYPI: &[&str] = &[
    "aiortc==1.16.0",
    "aiohttp==3.14.5",
    "livekit-api==1.2.2",
    "numpy==2.3.5",
    // An S3 server and a client of it that is not ours.
    "moto[s3,server]==5.2.5",
    "boto3==1.44.5",
];

/// Makes the Python environment present; returns its interpreter.
pub(crate) fn python(root: &Path) -> Result<PathBuf> {
    let dir = root.join("target/tools/python");
    let interpreter = dir.join("venv/bin/python");
    install_once(&dir, &PYPI.join("\n"), || {
        run(program(&dir, "python3").args(["-m", "venv", "venv"]))?;
        run(program(&dir, &interpreter)
            .args(["-m", "pip", "install", "--quiet"])
            .args(PYPI))
    })?;
    Ok(interpreter)
}

/// Runs `install` unless a stamp in `dir` says that just this list is installed.
fn install_once(dir: &Path, list: &str, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let stamp = dir.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|old| old == list) {
        return Ok(());
    }
    std::fs::create_dir_all(dir)?;
    say(&format!(
        "installing {} into {}",
        list.replace('\n', " "),
        dir.display()
    ));
    install()?;
    std::fs::write(stamp, list)?;
    Ok(())
}
