//! `crosspoint-bench`: what `cargo xtask bench` runs, and each part of it alone.

use anyhow::Result;
use clap::{Parser, Subcommand};
use crosspoint_bench::floor::{self, Work};
use crosspoint_bench::load::Load;
use crosspoint_bench::recording::Recording;
use crosspoint_bench::suite::Suite;
use crosspoint_bench::versus::Versus;

/// Load and measurements for media servers.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One load against a server that runs
    Load(Box<Load>),
    /// The short set, with its bars
    Suite(Suite),
    /// Another server beside ours, in turns
    Versus(Versus),
    /// The same load recorded and not, in turns
    Recording(Recording),
    /// What kernel and cipher must take for a fan-out, with no server around
    Floor {
        /// Destinations
        #[arg(short = 'n', long, default_value_t = 200)]
        subscribers: usize,
        /// Packets of 1200 bytes in each frame
        #[arg(long, default_value_t = 8)]
        frame_packets: usize,
        /// Frames a second
        #[arg(long, default_value_t = 25)]
        fps: u32,
        /// Seconds of the measurement
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
}

#[tokio::main]
async fn main() -> Result<()> {
    match Cli::parse().command {
        Command::Load(load) => load.execute().await,
        Command::Suite(suite) => suite.execute().await,
        Command::Versus(versus) => versus.execute().await,
        Command::Recording(recording) => recording.execute().await,
        Command::Floor {
            subscribers,
            frame_packets,
            fps,
            seconds,
        } => print_floor(Work {
            subscribers,
            frame_packets,
            fps,
            seconds,
        }),
    }
}

#[expect(clippy::print_stdout, reason = "the result is this command's output")]
fn print_floor(work: Work) -> Result<()> {
    let floor = floor::measure(work)?;
    println!(
        "{} sockets, frames of {} packets at {}/s: {:.2} us per packet ({} packets in {} s; {} \
         received since the start, {} datagrams of feedback)",
        work.subscribers,
        work.frame_packets,
        work.fps,
        floor.us_per_packet,
        floor.packets,
        work.seconds,
        floor.received,
        floor.feedback,
    );
    Ok(())
}
