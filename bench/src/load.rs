//! The command `load`: any scenario against any server.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};

use crate::access::Access;
use crate::clip::{Clip, encode};
use crate::door::{Common, Door, local_address};
use crate::outcome::Outcome;
use crate::pool::Pool;
use crate::recording::Recorder;
use crate::report::{self, Host};
use crate::run::{Order, Place, run, run_in_turns};
use crate::scenario::{Media, Scenario};
use crate::{verbs, watch};

/// Participants of each scenario if nothing is said.
const PARTICIPANTS: usize = 100;

/// Options of the command `load`.
#[derive(Args, Clone, Debug)]
pub struct Load {
    /// The shape of the load
    #[arg(value_enum, default_value = "fanout")]
    pub scenario: Scenario,

    /// How many viewers, listeners or people
    #[arg(short = 'n', long, default_value_t = PARTICIPANTS)]
    pub participants: usize,

    /// A Crosspoint server
    #[arg(long, default_value = "http://127.0.0.1:7880", value_name = "URL")]
    pub server: String,

    /// Another server's WHIP endpoint; {room} stands for the room
    #[arg(long, value_name = "URL", requires = "whep")]
    pub whip: Option<String>,

    /// Another server's WHEP endpoint; {room} stands for the room
    #[arg(long, value_name = "URL", requires = "whip")]
    pub whep: Option<String>,

    /// The HTTP API of a Janus with the VideoRoom plugin, e.g. http://10.0.0.2:8088/janus
    #[arg(long, value_name = "URL", conflicts_with_all = ["whip", "whep"])]
    pub janus: Option<String>,

    /// Key to sign tokens with, as in CROSSPOINT_KEYS
    #[arg(
        long,
        value_name = "KEY:SECRET",
        env = "CROSSPOINT_KEYS",
        hide_env_values = true
    )]
    pub key: Option<KeyPair>,

    /// Token to join with, instead of a key
    #[arg(long, conflicts_with = "key")]
    pub token: Option<String>,

    /// What publishers send: frames of equal packets, or media that ffmpeg encodes
    #[arg(long, value_enum, default_value = "shape")]
    pub media: Source,

    /// Packets of 1200 bytes in each frame (shape)
    #[arg(long, default_value_t = 8)]
    pub frame_packets: usize,

    /// Frames a second
    #[arg(long, default_value_t = 25)]
    pub fps: u32,

    /// Send video in three sizes (media real)
    #[arg(long)]
    pub simulcast: bool,

    /// Send no video
    #[arg(long)]
    pub no_video: bool,

    /// Send no audio
    #[arg(long)]
    pub no_audio: bool,

    /// Offer no transport-wide feedback
    #[arg(long)]
    pub no_feedback: bool,

    /// Have the server record all rooms meanwhile
    #[arg(long, conflicts_with_all = ["whip", "janus"])]
    pub record: bool,

    /// New calls a second (calls-verbs)
    #[arg(long, default_value_t = 100)]
    pub rate: u32,

    /// Seconds from the last join to the measurement
    #[arg(long, default_value_t = 3)]
    pub warm_up: u64,

    /// Seconds of the measurement
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,

    /// Joins that may be under way at a time
    #[arg(long, default_value_t = 32)]
    pub joins_at_once: usize,

    /// Threads for clients [default: half of the cores]
    #[arg(long)]
    pub threads: Option<usize>,

    /// Keep each of these threads on a core, counted from the last
    #[arg(long)]
    pub pin: bool,

    /// The server's process, to measure what it costs [default: who listens on the URL's port]
    #[arg(long)]
    pub pid: Option<u32>,

    /// Local address of the clients' sockets [default: by the route to the server]
    #[arg(long)]
    pub local: Option<IpAddr>,

    /// Folder for encoded media
    #[arg(long, default_value = "target/bench-media", value_name = "FOLDER")]
    pub cache: PathBuf,

    /// Write the result as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Show nothing but the result
    #[arg(short, long)]
    pub quiet: bool,
}

/// What publishers send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// Frames of exactly so many equal packets.
    Shape,
    /// Encoded by ffmpeg.
    Real,
}

/// Name and secret of a server's key.
#[derive(Clone)]
pub struct KeyPair {
    name: String,
    secret: String,
}

impl KeyPair {
    /// Of a name and a secret.
    #[must_use]
    pub fn new(name: &str, secret: &str) -> Self {
        Self {
            name: name.to_owned(),
            secret: secret.to_owned(),
        }
    }
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyPair({}, ..)", self.name)
    }
}

impl FromStr for KeyPair {
    type Err = &'static str;

    /// The first of a list.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let first = text
            .split([',', '\n'])
            .find(|entry| !entry.trim().is_empty());
        let pair = first.and_then(|entry| entry.split_once(':'));
        let (name, secret) = pair.ok_or("a key is written KEY:SECRET")?;
        Ok(Self::new(name.trim(), secret.trim()))
    }
}

impl Load {
    /// Runs the load and prints what was measured.
    ///
    /// # Errors
    /// When nobody could join, or the options do not fit together.
    #[expect(clippy::print_stdout, reason = "the result is this command's output")]
    pub async fn execute(&self) -> Result<()> {
        if self.scenario == Scenario::CallsVerbs {
            return self.verbs().await;
        }
        let outcome = self.measure(self.scenario.name()).await?;
        let host = Host::here();
        println!("{}\n", host.line());
        print!("{}", report::table(std::slice::from_ref(&outcome)));
        println!("\n{}", report::details(&outcome));
        if let Some(path) = &self.json {
            report::write_json(path, &host, &outcome)?;
        }
        Ok(())
    }

    #[expect(clippy::print_stdout, reason = "the result is this command's output")]
    async fn verbs(&self) -> Result<()> {
        let order = verbs::Order {
            server: self.server.trim_end_matches('/').to_owned(),
            access: self.access(),
            people: self.participants,
            rate: self.rate,
            window: Duration::from_secs(self.seconds),
            joins_at_once: self.joins_at_once,
            pid: self.pid.or_else(|| self.find_server()),
        };
        let outcome = verbs::measure(&order).await?;
        let host = Host::here();
        println!("{}\n", host.line());
        print!("{}", verbs::table(&outcome));
        println!("\n{}", verbs::details(&outcome));
        if let Some(path) = &self.json {
            report::write_json(path, &host, &outcome)?;
        }
        Ok(())
    }

    /// Runs the load under a name.
    ///
    /// # Errors
    /// As [`Load::execute`].
    pub async fn measure(&self, name: &str) -> Result<Outcome> {
        let (order, place) = self.prepare()?;
        run(&order, name, place).await
    }

    /// Runs the load once, recorded and not in turns, so many times each: what was measured without,
    /// and with.
    ///
    /// # Errors
    /// As [`Load::execute`].
    pub async fn measure_in_turns(
        &self,
        name: &str,
        rounds: usize,
    ) -> Result<(Vec<Outcome>, Vec<Outcome>)> {
        let (order, place) = self.prepare()?;
        run_in_turns(&order, rounds, name, place).await
    }

    fn prepare(&self) -> Result<(Order, Place)> {
        ensure!(
            !(self.no_audio && self.no_video),
            "nothing would be sent: --no-audio and --no-video"
        );
        let local = match self.local {
            Some(local) => local,
            None => local_address(self.url())?,
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = self.threads.unwrap_or((cores / 2).max(1));
        let order = Order {
            scenario: self.scenario,
            participants: self.participants,
            media: self.media(&self.cache)?,
            warm_up: Duration::from_secs(self.warm_up),
            window: Duration::from_secs(self.seconds),
            joins_at_once: self.joins_at_once,
            pid: self.pid.or_else(|| self.find_server()),
            recorder: match self.record {
                true => Some(Recorder::new(&self.server, self.access())?),
                false => None,
            },
            show: !self.quiet,
        };
        let common = Common {
            local,
            feedback: !self.no_feedback,
            clips: Vec::new(),
        };
        let place = Place {
            door: Arc::new(self.door()?),
            pool: Arc::new(Pool::start(threads, self.pin)?),
            common,
        };
        Ok((order, place))
    }

    fn url(&self) -> &str {
        let others = self.whep.as_deref().or(self.janus.as_deref());
        others.unwrap_or(&self.server)
    }

    /// The server's process, if it is on this machine.
    fn find_server(&self) -> Option<u32> {
        let url = reqwest::Url::parse(self.url()).ok()?;
        let host = url.host_str()?.trim_matches(['[', ']']);
        let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        watch::listener(url.port_or_known_default()?).filter(|_| here)
    }

    fn door(&self) -> Result<Door> {
        if let Some(url) = &self.janus {
            return Door::janus(url);
        }
        let access = self.access();
        if let (Some(whip), Some(whep)) = (&self.whip, &self.whep) {
            return Door::http(whip, whep, access);
        }
        let server = self.server.trim_end_matches('/');
        if self.scenario.is_one_way() {
            let endpoint = |kind| format!("{server}/{kind}/{{room}}");
            Door::http(&endpoint("whip"), &endpoint("whep"), access)
        } else {
            Door::signal(server, access)
        }
    }

    fn access(&self) -> Access {
        match (&self.key, &self.token) {
            (Some(KeyPair { name, secret }), _) => Access::Key {
                name: name.clone(),
                secret: secret.clone(),
            },
            (None, Some(token)) => Access::Token(token.clone()),
            (None, None) => Access::Open,
        }
    }

    fn media(&self, cache: &Path) -> Result<Media> {
        let audio = match self.media {
            _ if self.no_audio => None,
            Source::Shape => Some(Clip::audio_shape()),
            Source::Real => Some(encode::audio(cache)?),
        };
        let video = match self.media {
            _ if self.no_video => Vec::new(),
            Source::Shape => vec![Clip::video_shape(self.frame_packets, self.fps)],
            Source::Real => {
                let [_, middle, _] = encode::SIMULCAST;
                let all = encode::SIMULCAST.to_vec();
                let sizes = if self.simulcast { all } else { vec![middle] };
                let clips = sizes
                    .iter()
                    .map(|size| encode::video(cache, *size, self.fps));
                clips.collect::<Result<_>>().context("real media")?
            }
        };
        Ok(Media {
            audio: audio.map(Arc::new),
            video: video.into_iter().map(Arc::new).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        load: Load,
    }

    #[test]
    fn nothing_said_is_a_fanout_of_shapes() {
        let cli = Cli::parse_from(["load"]);
        assert_eq!(cli.load.scenario, Scenario::Fanout);
        assert_eq!(cli.load.participants, PARTICIPANTS);
        assert!(cli.load.door().is_ok());
        let media = cli.load.media(Path::new("/nowhere")).unwrap();
        assert_eq!(media.video[0].frames[0].packets.len(), 8);
    }

    #[test]
    fn a_key_may_be_the_first_of_a_list() {
        let key: KeyPair = "one: secret, two: other".parse().unwrap();
        assert_eq!((key.name.as_str(), key.secret.as_str()), ("one", "secret"));
        assert!("nonsense".parse::<KeyPair>().is_err());
    }
}
