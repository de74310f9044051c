//! `cargo xtask tidy`: the arrows between crates, and the rules for files and documents.
//!
//! The same checks run as tests of this package, so `cargo test` is enough to see them fail.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::tools::{output, program, say};

/// Which of our crates a crate may depend on (`crates/README.md` has the picture). Dev-dependencies
/// are free.
const ARROWS: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("media", &["wire"]),
    ("transport", &["media", "wire"]),
    ("control", &["transport", "media", "wire"]),
    ("calls", &["control", "media", "wire"]),
    ("store", &[]),
    ("record", &["media", "wire"]),
    ("web", &[]),
    (
        "server",
        &[
            "store",
            "calls",
            "control",
            "transport",
            "media",
            "wire",
            "record",
            "web",
            "bench",
        ],
    ),
    ("sim", &["media", "wire"]),
    ("xtask", &[]),
    ("bench", &["transport", "wire"]),
    (
        "tests",
        &[
            "server",
            "store",
            "calls",
            "control",
            "transport",
            "media",
            "wire",
            "sim",
        ],
    ),
];

/// Crates that may not know these packages, whatever else they use (invariants 1 and 7).
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("wire", &["tokio", "serde", "axum", "libc", "rand"]),
    ("media", &["tokio", "serde", "axum", "libc", "rand"]),
    ("transport", &["axum", "serde", "serde_json"]),
    ("control", &["axum", "serde", "serde_json", "sqlx"]),
    ("calls", &["axum", "libc", "sqlx"]),
    ("record", &["axum", "sqlx"]),
];

/// Lines above which a source file is refused; from `WARN_LINES` on it is named.
const MAX_LINES: usize = 1000;
const WARN_LINES: usize = 600;

pub(crate) fn run(root: &Path) -> Result<()> {
    let mut problems = arrows(root)?;
    problems.extend(files(root)?);
    if problems.is_empty() {
        return Ok(());
    }
    for problem in &problems {
        say(problem);
    }
    bail!("{} problems", problems.len())
}

/// Reads `cargo metadata` and compares each crate's normal dependencies with the tables above.
fn arrows(root: &Path) -> Result<Vec<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let json = output(program(root, cargo).args([
        "metadata",
        "--no-deps",
        "--format-version=1",
        "--offline",
    ]))?;
    let metadata: serde_json::Value = serde_json::from_str(&json)?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata has no packages")?;
    let arrows: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let mut problems = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(short) = name.strip_prefix("crosspoint-") else {
            problems.push(format!("package {name} is not named crosspoint-<folder>"));
            continue;
        };
        let Some(allowed) = arrows.get(short) else {
            problems.push(format!("crate {short} is not in the table of arrows"));
            continue;
        };
        let forbidden = FORBIDDEN
            .iter()
            .find(|(who, _)| *who == short)
            .map_or(&[][..], |(_, list)| *list);
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let dependency_name = dependency["name"].as_str().unwrap_or_default();
            if !dependency["kind"].is_null() {
                continue;
            }
            let ours = dependency_name.strip_prefix("crosspoint-");
            if ours.is_some_and(|to| !allowed.contains(&to)) || forbidden.contains(&dependency_name)
            {
                problems.push(format!("{short} must not depend on {dependency_name}"));
            }
        }
    }
    Ok(problems)
}

/// Rules for each tracked file.
fn files(root: &Path) -> Result<Vec<String>> {
    let list = output(program(root, "git").args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let mut problems = Vec::new();
    for name in list.lines() {
        let path = root.join(name);
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        problems.extend(file_problems(name, &text));
    }
    problems.extend(clippy_files_agree(root)?);
    Ok(problems)
}

fn file_problems(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let rust = name.ends_with(".rs");
    let source = rust || name.ends_with(".js") || name.ends_with(".mjs") || name.ends_with(".css");
    let lines = text.lines().count();
    if source && lines > MAX_LINES {
        problems.push(format!(
            "{name} has {lines} lines; more than {MAX_LINES} is too many"
        ));
    } else if source && lines > WARN_LINES {
        say(&format!("note: {name} has {lines} lines"));
    }
    let test = name.contains("/tests/") || name.ends_with("/tests.rs") || name.contains("/fuzz/");
    if rust && !test && !text.starts_with("//!") && !text.contains("\n//!") {
        problems.push(format!("{name} has no //! that says what it is"));
    }
    if rust
        && !name.starts_with("crates/transport/src/udp")
        && name != "crates/xtask/src/tidy.rs"
        && text
            .lines()
            .any(|line| line.trim_start().starts_with("unsafe ") || line.contains(" unsafe {"))
        && !text.contains("reason = \"counting allocator\"")
    {
        problems.push(format!(
            "{name} has unsafe code; only crates/transport/src/udp may"
        ));
    }
    if text
        .lines()
        .any(|line| line.ends_with(' ') || line.ends_with('\t'))
        && !name.ends_with(".md")
    {
        let golden = name.contains("corpus") || name.contains("golden") || name.contains("offers");
        if !golden && source {
            problems.push(format!("{name} has trailing space"));
        }
    }
    problems
}

/// clippy reads only the nearest `clippy.toml`, so those of the clock-free crates repeat the
/// same bans and must be equal.
fn clippy_files_agree(root: &Path) -> Result<Vec<String>> {
    let read = |name: &str| -> Result<(PathBuf, String)> {
        let path = root.join("crates").join(name).join("clippy.toml");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{} is missing", path.display()))?;
        Ok((path, text))
    };
    let (_, first) = read("wire")?;
    let (path, second) = read("media")?;
    if first == second {
        return Ok(Vec::new());
    }
    Ok(vec![format!(
        "{} differs from that of wire",
        path.display()
    )])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        run(&crate::root()).unwrap();
    }

    #[test]
    fn a_file_without_module_docs_is_a_problem() {
        assert_eq!(file_problems("crates/x/src/a.rs", "fn a() {}\n").len(), 1);
        assert!(file_problems("crates/x/src/a.rs", "//! A.\nfn a() {}\n").is_empty());
    }

    #[test]
    fn unsafe_outside_udp_is_a_problem() {
        let text = "//! A.\nfn a() {\n    unsafe { b() }\n}\n";
        assert_eq!(file_problems("crates/x/src/a.rs", text).len(), 1);
        assert!(file_problems("crates/transport/src/udp/linux.rs", text).is_empty());
    }
}
