//! What recording costs: the same participants, recorded and not, in turns, so that what changes on the
//! machine meanwhile meets both; and the recordings of a load themselves.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::access::Access;
use crate::door::http_client;
use crate::load::Load;
use crate::outcome::Outcome;
use crate::report::{self, Host};
use crate::scenario::Scenario;
use crate::subject::Subject;
use crate::suite::update;
use crate::versus::median;
use crate::watch::free_memory;

/// How long a server may take to close what it recorded.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(60);

/// People of each load: 100 tracks, a voice and a picture each.
const PEOPLE: usize = 50;

/// Packets of a frame and frames a second: 1.9 Mbit/s.
const FRAMES: (usize, u32) = (8, 25);

/// Seconds before each measurement.
const WARM_UP_SECONDS: u64 = 3;

/// What recording may add: of CPU in per cent, and of delay in milliseconds, which is what two windows
/// of the same load differ by.
const CPU_MAX: f64 = 10.0;
const DELAY_MAX_MS: f64 = 0.3;

/// Options of the command `recording`.
#[derive(Args, Clone, Debug)]
pub struct Recording {
    /// The server's binary
    #[arg(long, value_name = "FILE")]
    pub server: PathBuf,

    /// Folder of the README; results go to `results` in it
    #[arg(long, default_value = "bench", value_name = "FOLDER")]
    pub folder: PathBuf,

    /// How often each load is measured, recorded and not. Neighbours differ by more than recording adds,
    /// so that many short measurements tell more than a few long ones
    #[arg(long, default_value_t = 20)]
    pub rounds: usize,

    /// Seconds of each measurement
    #[arg(long, default_value_t = 4)]
    pub seconds: u64,

    /// Leave the README as it is
    #[arg(long)]
    pub dry: bool,
}

/// One load, in turns.
#[derive(Serialize)]
struct Pair {
    name: &'static str,
    plain: Vec<Outcome>,
    recorded: Vec<Outcome>,
}

impl Recording {
    /// Measures, prints, and brings the README up to date.
    ///
    /// # Errors
    /// When a server does not start, nobody can join it, or it does not record.
    #[expect(clippy::print_stdout, reason = "the results are this command's output")]
    pub async fn execute(&self) -> Result<()> {
        let _filled = fill_page_cache()?;
        let mut pairs = Vec::new();
        for (name, scenario) in [
            ("25 rooms of 2", Scenario::Calls),
            ("a meeting of 50", Scenario::Meeting),
        ] {
            let (plain, recorded) = self.measure(scenario, name).await?;
            pairs.push(Pair {
                name,
                plain,
                recorded,
            });
        }
        let host = Host::here();
        let text = markdown(&pairs, &host);
        println!("{text}");
        let name = format!("results/recording-{}.json", host.unix_time);
        report::write_json(&self.folder.join(name), &host, &pairs)?;
        if !self.dry {
            update(&self.folder.join("README.md"), "recording", &text)?;
        }
        Ok(())
    }

    async fn measure(
        &self,
        scenario: Scenario,
        name: &str,
    ) -> Result<(Vec<Outcome>, Vec<Outcome>)> {
        let server = Subject::crosspoint(&self.server, 1, None)?;
        let (frame_packets, fps) = FRAMES;
        let load = Load {
            server: format!("http://{}", server.address),
            pid: Some(server.pid()),
            participants: PEOPLE,
            frame_packets,
            fps,
            warm_up: WARM_UP_SECONDS,
            seconds: self.seconds,
            record: true,
            ..Load::of(scenario, Some(Subject::key()))
        };
        load.measure_in_turns(name, self.rounds).await
    }
}

/// Reads a file without content that is as large as the memory that is free, and stays cached while it is
/// there. On a machine that has run for a while what is recorded takes the place of what was read before.
/// On a virtual one that has much free memory it would be given that page by page while it records, at several
/// times what it takes to write a page: the host's price, and not the recorder's.
fn fill_page_cache() -> Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    file.as_file().set_len(free_memory())?;
    std::io::copy(file.as_file_mut(), &mut std::io::sink())?;
    Ok(file)
}

impl Pair {
    /// What a figure had more while it was recorded: the median over the rounds.
    fn more(&self, figure: impl Fn(&Outcome) -> f64) -> f64 {
        let [_, median, _] = self.quarters(figure);
        median
    }

    /// What a quarter, half and three quarters of the rounds stay below.
    fn quarters(&self, figure: impl Fn(&Outcome) -> f64) -> [f64; 3] {
        let rounds = self.plain.iter().zip(&self.recorded);
        let mut more: Vec<f64> = rounds
            .map(|(plain, recorded)| figure(recorded) - figure(plain))
            .collect();
        more.sort_by(f64::total_cmp);
        [1, 2, 3].map(|n| more.get(more.len() * n / 4).copied().unwrap_or(0.0))
    }
}

fn cpu(outcome: &Outcome) -> f64 {
    let server = outcome.server.as_ref();
    server.map_or(0.0, |it| it.cpu_us_per_packet)
}

/// Milliseconds a second of the server's threads whose name begins so.
fn thread_ms(outcome: &Outcome, name: &str) -> f64 {
    let threads = outcome.server.iter().flat_map(|it| &it.threads);
    let named = threads.filter(|(thread, _)| thread.starts_with(name));
    named.map(|(_, cores)| cores * 1000.0).sum()
}

fn markdown(pairs: &[Pair], host: &Host) -> String {
    let rounds = pairs.first().map_or(0, |pair| pair.plain.len());
    let mut text = format!(
        "{}; a voice and a picture of 1.9 Mbit/s of each of {PEOPLE} people; medians of {rounds} \
         rounds\n\n\
         | load | CPU us/packet | more while recorded | half of the rounds | bar | delay p99 ms | more \
         | bar | tracks and packets recorded, lost |\n|---|---|---|---|---|---|---|---|---|\n",
        host.line()
    );
    for pair in pairs {
        let p99 = |it: &Outcome| it.delay_ms.p99;
        let (plain, [from, more, to]) = (median(&pair.plain, cpu), pair.quarters(cpu));
        let share = |more: f64| more / plain.max(1e-9) * 100.0;
        let (from, share, to) = (share(from), share(more), share(to));
        let (delay, later) = (median(&pair.plain, p99), pair.more(p99));
        let kept = pair.recorded.iter().filter_map(|it| it.recorded.as_ref());
        let (tracks, packets, lost) = kept.fold((0, 0, 0), |(tracks, packets, lost), it| {
            let tracks = it.tracks.max(tracks);
            (tracks, packets + it.packets, lost + it.lost_packets)
        });
        let met = |met| if met { "met" } else { "not met" };
        let cpu_met = met(share <= CPU_MAX);
        let delay_met = met(later <= DELAY_MAX_MS);
        text.push_str(&format!(
            "| {} | {plain:.2} | {more:+.2} = {share:+.1} % | {from:+.1} to {to:+.1} % | \
             <= {CPU_MAX:.0} %: {cpu_met} | {delay:.2} | {later:+.2} | <= {DELAY_MAX_MS}: {delay_met} \
             | {tracks}, {packets}, {lost} |\n",
            pair.name,
        ));
    }
    text.push_str(
        "\n| load | more CPU ms/s: worker | recorder | its synchronising | all others |\n\
         |---|---|---|---|---|\n",
    );
    for pair in pairs {
        let more = |name: &str| pair.more(|it| thread_ms(it, name));
        let (all, worker) = (more(""), more("worker"));
        let (recorder, sync) = (more("recorder"), more("recorder-sync"));
        text.push_str(&format!(
            "| {} | {worker:.1} | {:.1} | {sync:.1} | {:.1} |\n",
            pair.name,
            recorder - sync,
            all - worker - recorder,
        ));
    }
    let all = pairs
        .iter()
        .flat_map(|it| it.plain.iter().chain(&it.recorded));
    let warnings = all.flat_map(|it| {
        let of = |warning| format!("- {}: {warning}\n", it.name);
        it.warnings.iter().map(of)
    });
    let warnings: BTreeSet<String> = warnings.collect();
    if !warnings.is_empty() {
        text.push('\n');
    }
    text.extend(warnings);
    text
}

/// A Crosspoint server's recordings of the rooms of a load.
#[derive(Clone, Debug)]
pub struct Recorder {
    server: String,
    access: Access,
    client: reqwest::Client,
}

/// Recordings under way: rooms and ids.
#[derive(Debug)]
pub struct Recordings(Vec<(String, String)>);

/// What was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// Files of tracks.
    pub tracks: usize,
    /// Packets that the recorder had.
    pub packets: u64,
    /// Packets that it lacked.
    pub lost_packets: u64,
}

impl Recorder {
    /// Of a server's base URL.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(server: &str, access: Access) -> Result<Self> {
        Ok(Self {
            server: server.trim_end_matches('/').to_owned(),
            access,
            client: http_client()?,
        })
    }

    /// Begins to record rooms.
    ///
    /// # Errors
    /// When the server does not let us.
    pub async fn begin(&self, rooms: &BTreeSet<String>) -> Result<Recordings> {
        let mut begun = Vec::new();
        for room in rooms {
            let path = format!("/v1/rooms/{room}/recordings");
            let made = self.ask(room, &path, Some(json!({}))).await?;
            let id = made["id"].as_str().context("a recording without id")?;
            begun.push((room.clone(), id.to_owned()));
        }
        Ok(Recordings(begun))
    }

    /// Ends recordings; what is in them.
    ///
    /// # Errors
    /// When the server does not answer, or does not close them.
    pub async fn stop(&self, recordings: Recordings) -> Result<Recorded> {
        for (room, id) in &recordings.0 {
            let path = format!("/v1/recordings/{id}/stop");
            self.ask(room, &path, Some(json!({}))).await?;
        }
        let mut recorded = Recorded::default();
        for (room, id) in &recordings.0 {
            let found = self.closed(room, id).await?;
            let files = found["files"].as_array().map_or(0, Vec::len);
            recorded.tracks += files;
            for track in found["tracks"].as_array().into_iter().flatten() {
                recorded.packets += track["packets"].as_u64().unwrap_or(0);
                recorded.lost_packets += track["lostPackets"].as_u64().unwrap_or(0);
            }
        }
        Ok(recorded)
    }

    async fn closed(&self, room: &str, id: &str) -> Result<Value> {
        let start = Instant::now();
        loop {
            let found = self
                .ask(room, &format!("/v1/recordings/{id}"), None)
                .await?;
            if found["state"] == "ready" {
                return Ok(found);
            }
            ensure!(
                found["state"] != "aborted" && start.elapsed() < CLOSE_TIMEOUT,
                "{id} is {}: {}",
                found["state"],
                found["reason"]
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn ask(&self, room: &str, path: &str, body: Option<Value>) -> Result<Value> {
        let url = format!("{}{path}", self.server);
        let mut request = match body {
            Some(body) => self.client.post(&url).json(&body),
            None => self.client.get(&url),
        };
        if let Some(token) = self.access.recorder_token(room)? {
            request = request.bearer_auth(token);
        }
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{url} answered {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }
}
