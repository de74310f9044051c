//! The `crosspoint` binary: `serve`, `token`, `check`, `verify`, `compose`, `load`.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use crosspoint_bench::load::{KeyPair, Load};
use crosspoint_control::model::{Identity, NAME_CHARS_MAX, RoomName};
use crosspoint_record::Mode;
use crosspoint_server::auth::{GrantOption, Keys, TokenRequest};
use crosspoint_server::config::load::{Loaded, load};
use crosspoint_server::config::{Config, Log, LogFormat};
use crosspoint_server::tls::Tls;
use crosspoint_server::{RunningServer, Server, development, recordings};
use tracing_subscriber::EnvFilter;

/// A media server: rooms in which people in browsers, and WHIP and WHEP clients, see and hear each
/// other.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Settings, as in config/crosspoint.toml; the environment (CROSSPOINT_...) wins over them
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the server (without a sub-command, too)
    Serve,
    /// Prints a token
    Token(TokenArgs),
    /// Says what is wrong with the settings
    Check,
    /// Says what of a recording, or of a folder of them, is not as its manifest says
    Verify {
        /// A recording's folder, or one with recordings in it
        dir: PathBuf,
    },
    /// Makes the composed file of a recording, anew if there is one, with ffmpeg
    Compose {
        /// A recording's folder
        dir: PathBuf,
        /// What to make: `call` (stereo sound) or `mixed` (everything); as it was asked for if left
        /// out
        #[arg(long, value_parser = ["call", "mixed"])]
        mode: Option<String>,
    },
    /// Lets many clients join a server, this one's neighbour or another, and measures what it costs
    Load(Box<Load>),
}

#[derive(Args)]
struct TokenArgs {
    /// Room to join
    #[arg(long, value_parser = room_name)]
    room: RoomName,
    /// Identity in the room; without one each WHIP or WHEP client gets an identity of its own
    #[arg(long, value_parser = identity)]
    identity: Option<Identity>,
    /// Name to show
    #[arg(long)]
    name: Option<String>,
    /// Free text for applications
    #[arg(long)]
    metadata: Option<String>,
    /// How long it is good for, e.g. 30m, 1h, 7days
    #[arg(long, default_value = "1h")]
    ttl: humantime::Duration,
    /// A grant, e.g. roomAdmin=true, canPublish=false, canPublishSources=camera,microphone
    #[arg(long = "grant", value_name = "NAME=VALUE")]
    grants: Vec<GrantOption>,
}

#[expect(clippy::print_stderr, reason = "the log may not have started yet")]
fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crosspoint: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let loaded = load(cli.config.as_deref())?;
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(loaded),
        Command::Token(args) => token(args, &loaded.config),
        Command::Check => check(&loaded, cli.config.as_deref()),
        Command::Verify { dir } => verify(&dir),
        Command::Compose { dir, mode } => compose(&dir, mode.as_deref()),
        Command::Load(args) => load_test(*args, &loaded.config),
    }
}

fn serve(loaded: Loaded) -> anyhow::Result<()> {
    start_log(&loaded.config.log);
    for remark in &loaded.remarks {
        tracing::warn!("{remark}");
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let mut signals = Signals::new()?;
            let server = Server::start(loaded.config).await?;
            greet(&server);
            signals.next().await;
            tracing::info!("stopping: joins are refused; a second signal ends at once");
            tokio::select! {
                () = server.drain() => {}
                () = signals.next() => {}
            }
            server.stop().await;
            tracing::info!("stopped");
            Ok(())
        })
}

/// Says where to go.
fn greet(server: &RunningServer) {
    let app = server.app();
    let scheme = if app.config.has_tls() {
        "https"
    } else {
        "http"
    };
    let address = server.http_addr();
    if !app.development {
        tracing::info!("Crosspoint listens on {scheme}://{address}/");
        return;
    }
    let port = address.port();
    let file = development::key_file(&app.config.data_dir);
    tracing::warn!(
        "development mode, since no keys are configured (CROSSPOINT_KEYS): only this machine can \
         connect"
    );
    tracing::info!("Meet, a room for a try:    {scheme}://localhost:{port}/");
    tracing::info!("Desk, a contact centre:    {scheme}://localhost:{port}/desk");
    tracing::info!("Console, rooms and charts: {scheme}://localhost:{port}/console");
    tracing::info!("The API's description:     {scheme}://localhost:{port}/openapi.json");
    tracing::info!(
        "The development key \"{}\" is kept in {}",
        app.keys.first().map(|(name, _)| name).unwrap_or_default(),
        file.display()
    );
    tracing::info!("A token for the API:       crosspoint token --room demo --identity me");
}

#[expect(clippy::print_stdout, reason = "the token is this command's output")]
fn token(args: TokenArgs, config: &Config) -> anyhow::Result<()> {
    let keys = keys(config)?;
    let request = TokenRequest {
        room: args.room.to_string(),
        identity: args.identity.map(|identity| identity.to_string()),
        name: args.name,
        metadata: args.metadata,
        attributes: BTreeMap::new(),
        ttl: args.ttl.into(),
        grants: args.grants,
    };
    println!("{}", request.sign(&keys)?);
    Ok(())
}

fn room_name(text: &str) -> Result<RoomName, String> {
    RoomName::new(text).ok_or_else(name_form)
}

fn identity(text: &str) -> Result<Identity, String> {
    Identity::new(text).ok_or_else(name_form)
}

fn name_form() -> String {
    format!("a name has 1 to {NAME_CHARS_MAX} characters, and no control characters")
}

/// The configured keys, or the development key.
fn keys(config: &Config) -> anyhow::Result<Keys> {
    let configured = Keys::parse(config.keys.reveal())?;
    if configured.is_empty() {
        development::key(&config.data_dir)
    } else {
        Ok(configured)
    }
}

/// Clients of a Crosspoint server join with its key, which is known here if it runs here.
fn load_test(mut load: Load, config: &Config) -> anyhow::Result<()> {
    let ours = load.whip.is_none() && load.janus.is_none();
    if ours && load.token.is_none() && load.key.is_none() {
        let keys = keys(config)?;
        load.key = keys
            .first()
            .map(|(name, secret)| KeyPair::new(name, secret.reveal()));
    }
    tokio::runtime::Runtime::new()?.block_on(load.execute())
}

/// Settings that are wrong were reported by loading them; what they point to is looked at here.
#[expect(
    clippy::print_stdout,
    reason = "the findings are this command's output"
)]
fn check(loaded: &Loaded, file: Option<&Path>) -> anyhow::Result<()> {
    let http = &loaded.config.http;
    if loaded.config.has_tls() {
        let tls = Tls::read(&http.tls_certificate, &http.tls_key)?;
        if let Some(remark) = tls.remark {
            println!("note: {remark}");
        }
    }
    for remark in &loaded.remarks {
        println!("note: {remark}");
    }
    let keys = Keys::parse(loaded.config.keys.reveal())?;
    if keys.is_empty() {
        println!("note: no keys are configured: development mode, loopback only");
    }
    for weak in keys.weak() {
        println!("note: the secret of the key \"{weak}\" is shorter than 32 bytes");
    }
    match file {
        Some(file) => println!("{} is good", file.display()),
        None => println!("the settings are good"),
    }
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "the findings are this command's output"
)]
fn verify(dir: &Path) -> anyhow::Result<()> {
    let problems = recordings::verify(dir).with_context(|| dir.display().to_string())?;
    for problem in &problems {
        println!("{problem}");
    }
    anyhow::ensure!(problems.is_empty(), "{} problems", problems.len());
    println!("{} is good", dir.display());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the file is this command's output")]
fn compose(dir: &Path, mode: Option<&str>) -> anyhow::Result<()> {
    let mode = match mode {
        Some("call") => Some(Mode::Call),
        Some("mixed") => Some(Mode::Mixed),
        _ => None,
    };
    let progress = |percent| println!("{percent} %");
    let composed = recordings::compose(dir, mode, progress);
    let name = tokio::runtime::Runtime::new()?.block_on(composed)?;
    println!("{}", dir.join(name).display());
    Ok(())
}

fn start_log(log: &Log) {
    let filter = EnvFilter::new(&log.level);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match log.format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// SIGTERM and Ctrl-C.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(options: &[&str]) -> Option<String> {
        let command = ["crosspoint", "token"].iter().chain(options);
        let error = Cli::try_parse_from(command).err()?;
        Some(error.to_string())
    }

    #[test]
    fn a_token_that_lets_nobody_in_anywhere_is_not_made() {
        assert_eq!(refusal(&["--room", "demo", "--identity", "ann"]), None);
        assert_eq!(refusal(&["--room", "demo"]), None);
        let no_room = refusal(&["--room", "", "--identity", "ann"]).unwrap();
        assert!(no_room.contains("--room"), "{no_room}");
        assert!(no_room.contains("1 to 128 characters"), "{no_room}");
        let nobody = refusal(&["--room", "demo", "--identity", ""]).unwrap();
        assert!(nobody.contains("--identity"), "{nobody}");
        assert!(nobody.contains("1 to 128 characters"), "{nobody}");
    }
}
