//! Two servers, the same load, in turns: A B A B, so that what changes on the machine meanwhile
//! meets both; and the ratios of their medians.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::load::Load;
use crate::outcome::Outcome;
use crate::report::chart::{Bar, Chart};
use crate::report::{self, Host};
use crate::scenario::Scenario;
use crate::subject::{Network, Subject};
use crate::suite::update;

/// Options of the command `versus`.
#[derive(Args, Clone, Debug)]
pub struct Versus {
    /// Whom to compare with
    #[arg(value_enum)]
    pub peer: Peer,

    /// The server's binary
    #[arg(long, value_name = "FILE")]
    pub server: PathBuf,

    /// Folder of the README and its charts; results go to `results` in it
    #[arg(long, default_value = "bench", value_name = "FOLDER")]
    pub folder: PathBuf,

    /// How often each of them is measured
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,

    /// Viewers
    #[arg(short = 'n', long, default_value_t = 200)]
    pub participants: usize,

    /// Packets of 1200 bytes in each frame
    #[arg(long, default_value_t = 8)]
    pub frame_packets: usize,

    /// Frames a second
    #[arg(long, default_value_t = 25)]
    pub fps: u32,

    /// Seconds of each measurement
    #[arg(long, default_value_t = 8)]
    pub seconds: u64,

    /// Threads that share Janus's peers; 0: one each, as it is shipped
    #[arg(long, default_value_t = 2)]
    pub event_loops: usize,

    /// Leave the README as it is
    #[arg(long)]
    pub dry: bool,
}

/// Servers that we know how to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// Debian package `janus`, plugin VideoRoom.
    Janus,
}

#[derive(Serialize)]
struct Duel {
    ours: Vec<Outcome>,
    theirs: Vec<Outcome>,
}

impl Versus {
    /// Measures, prints, and brings the README up to date.
    ///
    /// # Errors
    /// Without root or the peer's program.
    #[expect(clippy::print_stdout, reason = "the results are this command's output")]
    pub async fn execute(&self) -> Result<()> {
        let network = Network::create()?;
        let mut duel = Duel {
            ours: Vec::new(),
            theirs: Vec::new(),
        };
        for _ in 0..self.rounds.max(1) {
            let server = Subject::crosspoint(&self.server, 1, Some(&network))?;
            let load = Load {
                server: format!("http://{}", server.address),
                ..self.load(&network, &server)
            };
            duel.ours.push(load.measure("crosspoint").await?);
            drop(server);
            let Peer::Janus = self.peer;
            let server = Subject::janus(self.event_loops, &network)?;
            let load = Load {
                janus: Some(format!("http://{}/janus", server.address)),
                ..self.load(&network, &server)
            };
            let name = format!("janus, event_loops = {}", self.event_loops);
            duel.theirs.push(load.measure(&name).await?);
        }
        let host = Host::here();
        let text = self.markdown(&duel, &host);
        println!("{text}");
        let name = format!("results/versus-janus-{}.json", host.unix_time);
        report::write_json(&self.folder.join(name), &host, &duel)?;
        if !self.dry {
            let chart = duel.chart();
            report::write(&self.folder.join("charts/janus.svg"), &chart.svg())?;
            update(&self.folder.join("README.md"), "janus", &text)?;
        }
        Ok(())
    }

    fn load(&self, network: &Network, server: &Subject) -> Load {
        Load {
            participants: self.participants,
            frame_packets: self.frame_packets,
            fps: self.fps,
            seconds: self.seconds,
            local: Some(network.near),
            pid: Some(server.pid()),
            ..Load::of(Scenario::Fanout, Some(Subject::key()))
        }
    }

    fn markdown(&self, duel: &Duel, host: &Host) -> String {
        let all: Vec<Outcome> = duel.ours.iter().chain(&duel.theirs).cloned().collect();
        let mut text = format!(
            "{}; one publisher, {} viewers, frames of {} packets at {}/s, through a virtual \
             Ethernet pair\n\n{}\n| median of {} | crosspoint | janus | ratio |\n|---|---|---|---|\n",
            host.line(),
            self.participants,
            self.frame_packets,
            self.fps,
            report::table(&all),
            duel.ours.len(),
        );
        for (what, value) in FIGURES {
            let (ours, theirs) = (median(&duel.ours, value), median(&duel.theirs, value));
            let ratio = theirs / ours.max(1e-9);
            text.push_str(&format!(
                "| {what} | {ours:.2} | {theirs:.2} | {ratio:.1} |\n"
            ));
        }
        let warnings = all
            .iter()
            .flat_map(|it| it.warnings.iter().map(|w| (&it.name, w)));
        let warnings: BTreeSet<_> = warnings.collect();
        if !warnings.is_empty() {
            text.push('\n');
        }
        for (name, warning) in warnings {
            text.push_str(&format!("- {name}: {warning}\n"));
        }
        text
    }
}

/// A figure of an outcome, by name.
type Figure = (&'static str, fn(&Outcome) -> f64);

const FIGURES: [Figure; 4] = [
    ("CPU us/packet", |it| {
        it.server.as_ref().map_or(0.0, |it| it.cpu_us_per_packet)
    }),
    ("delay p50 ms", |it| it.delay_ms.p50),
    ("delay p99 ms", |it| it.delay_ms.p99),
    ("KiB/client", |it| {
        let server = it.server.as_ref();
        server.and_then(|it| it.kib_per_session).unwrap_or(0.0)
    }),
];

impl Duel {
    fn chart(&self) -> Chart {
        let [(_, cpu), ..] = FIGURES;
        let bar = |outcomes: &[Outcome], ours| Bar {
            label: outcomes.first().map_or(String::new(), |it| it.name.clone()),
            value: median(outcomes, cpu),
            floor: 0.0,
            ours,
        };
        Chart {
            title: "Server CPU per forwarded packet, the same load in turns".to_owned(),
            unit: "us".to_owned(),
            limit: 0.0,
            bars: vec![bar(&self.ours, true), bar(&self.theirs, false)],
        }
    }
}

/// The median of a figure.
pub(crate) fn median(outcomes: &[Outcome], value: fn(&Outcome) -> f64) -> f64 {
    let mut values: Vec<f64> = outcomes.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
