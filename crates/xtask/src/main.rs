//! Development tasks: `cargo xtask test`, `cargo xtask tidy`, `cargo xtask conformance` and
//! `cargo xtask bench`.
//!
//! What a contributor or CI runs; no part of the product. A task installs what it needs
//! (Debian packages when it runs as root, npm and PyPI packages below `target/tools`), or names it.

mod bench;
mod conformance;
mod test;
mod tidy;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development tasks of Crosspoint")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run all tests: tidy, format, lints, Rust, web, browsers, interop.
    Test {
        /// Run only these steps (see the names that a full run prints).
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
    /// Check the arrows between crates and the rules for files and documents.
    Tidy,
    /// Show which items of the four call systems work, and by which test.
    Conformance {
        /// Print every row, not only the sums.
        #[arg(long)]
        all: bool,
    },
    /// Measure the server: the short set (under 5 minutes), or beside another server.
    Bench {
        /// Measure beside this server, in turns: janus.
        #[arg(long)]
        peer: Option<String>,
        /// Measure what recording costs: the same load recorded and not, in turns.
        #[arg(long, conflicts_with = "peer")]
        recording: bool,
        /// Further options of `crosspoint-bench suite`, `versus` or `recording`, e.g. --dry.
        #[arg(last = true)]
        options: Vec<String>,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Test { only } => test::run(&root(), &only),
        Task::Tidy => tidy::run(&root()),
        Task::Conformance { all } => conformance::run(&root(), all),
        Task::Bench {
            peer,
            recording,
            options,
        } => bench::run(&root(), peer.as_deref(), recording, &options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tools::say(&format!("failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder: two above this package's. Cargo says at run time where that is; what was
/// compiled in is another checkout's when two of them share a target folder.
fn root() -> PathBuf {
    let compiled = || env!("CARGO_MANIFEST_DIR").into();
    let package = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(compiled));
    package.ancestors().nth(2).unwrap_or(&package).to_path_buf()
}
