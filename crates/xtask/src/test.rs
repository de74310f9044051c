//! `cargo xtask test`: every test of the project, in steps.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::tidy;
use crate::tools::{self, debian_packages, node_modules, program, python, say};

/// What one step needs: the workspace and the programs that were found or installed.
type Step = fn(&Path) -> Result<()>;

/// Cheap ones first, so that a slip shows at once.
const STEPS: &[(&str, Step)] = &[
    ("tidy", tidy::run),
    ("format", format),
    ("lints", lints),
    ("rust", rust),
    ("web", web),
    ("server", server),
    ("interop", interop),
    ("browsers", browsers),
];

pub(crate) fn run(root: &Path, only: &[String]) -> Result<()> {
    if let Some(unknown) = only
        .iter()
        .find(|name| !STEPS.iter().any(|(step, _)| step == name))
    {
        let names: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
        bail!(
            "there is no step \"{unknown}\"; steps are {}",
            names.join(", ")
        );
    }
    debian_packages()?;
    let mut failed = Vec::new();
    for (name, step) in STEPS {
        if !only.is_empty() && !only.iter().any(|wanted| wanted == name) {
            continue;
        }
        say(&format!("step {name}"));
        let start = Instant::now();
        let result = step(root);
        let seconds = start.elapsed().as_secs();
        match result {
            Ok(()) => say(&format!("step {name} passed in {seconds} s")),
            Err(error) => {
                say(&format!("step {name} FAILED in {seconds} s: {error:#}"));
                failed.push(*name);
            }
        }
    }
    if !failed.is_empty() {
        bail!("steps that failed: {}", failed.join(", "));
    }
    say("all steps passed");
    Ok(())
}

fn cargo(root: &Path) -> std::process::Command {
    program(
        root,
        std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
    )
}

fn format(root: &Path) -> Result<()> {
    tools::run(cargo(root).args(["fmt", "--all", "--check"]))
}

fn lints(root: &Path) -> Result<()> {
    tools::run(cargo(root).args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

fn rust(root: &Path) -> Result<()> {
    tools::run(cargo(root).args(["test", "--workspace", "--no-fail-fast"]))
}

/// Types of the SDK and pages, and their unit tests.
fn web(root: &Path) -> Result<()> {
    let packages = node_modules(root)?;
    let web = root.join("crates/web");
    run_node(
        &web,
        &packages,
        &[
            "node_modules/typescript/bin/tsc",
            "--project",
            "tsconfig.json",
        ],
    )?;
    run_tests(root, &web, &test_files(&web.join("tests"))?)
}

/// The binary that users run.
fn server(root: &Path) -> Result<()> {
    tools::run(cargo(root).args(["build", "--release", "--bin", "crosspoint"]))
}

/// Whole browsers encode, decode and render in real time here, so that a machine which is busy with
/// something else for some seconds fails a test of media: files with failures run once more at the
/// end, and it is said. What is wrong fails twice.
fn browsers(root: &Path) -> Result<()> {
    let dir = root.join("tests/browsers");
    link_node_modules(&dir, &node_modules(root)?)?;
    let mut failed = Vec::new();
    for file in test_files(&dir)? {
        if run_tests(root, &dir, std::slice::from_ref(&file)).is_err() {
            failed.push(file);
        }
    }
    for file in &failed {
        say(&format!("{} failed; once more", file.display()));
        run_tests(root, &dir, std::slice::from_ref(file))?;
    }
    for file in &failed {
        say(&format!(
            "{} failed at first and passed the second time",
            file.display()
        ));
    }
    Ok(())
}

fn interop(root: &Path) -> Result<()> {
    let python = python(root)?;
    run_with_server(
        root,
        program(&root.join("tests/interop"), python).args(["-m", "unittest", "-v"]),
    )
}

/// Node resolves packages by walking up from the importing file; `NODE_PATH` does not count for
/// ES modules. So the folder under test gets a link to the installed packages.
fn run_node(dir: &Path, packages: &Path, args: &[&str]) -> Result<()> {
    link_node_modules(dir, packages)?;
    tools::run(program(dir, "node").args(args))
}

/// The tests of a folder, in the order of their names.
fn test_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .with_context(|| format!("no tests in {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            [".test.js", ".test.mjs"]
                .iter()
                .any(|end| path.to_string_lossy().ends_with(end))
        })
        .collect();
    files.sort();
    if files.is_empty() {
        bail!("no *.test.js or *.test.mjs in {}", folder.display());
    }
    Ok(files)
}

/// Runs files of tests from `dir`, one after the other.
fn run_tests(root: &Path, dir: &Path, files: &[PathBuf]) -> Result<()> {
    run_with_server(
        root,
        program(dir, "node")
            .args(["--test", "--test-reporter=spec", "--test-concurrency=1"])
            .args(files),
    )
}

/// Tells tests outside Rust where the server's binary is.
fn run_with_server(root: &Path, command: &mut std::process::Command) -> Result<()> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    tools::run(command.env("SERVER_BINARY", target.join("release/crosspoint")))
}

fn link_node_modules(dir: &Path, packages: &Path) -> Result<()> {
    let link = dir.join("node_modules");
    if std::fs::read_link(&link).is_ok_and(|to| to == packages.join("node_modules")) {
        return Ok(());
    }
    let _ = std::fs::remove_file(&link);
    if link.exists() {
        bail!(
            "{} is in the way of a link to the installed packages; remove it",
            link.display()
        );
    }
    std::os::unix::fs::symlink(packages.join("node_modules"), &link)
        .with_context(|| format!("cannot link {}", link.display()))
}
