//! The short set: the loads whose figures stand in `bench/README.md`, each with its bare floor.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::floor::{self, Floor, Work};
use crate::load::{Load, Source};
use crate::outcome::Outcome;
use crate::report::chart::{Bar, Chart};
use crate::report::{self, Host};
use crate::scenario::Scenario;
use crate::subject::Subject;

/// Options of the command `suite`.
#[derive(Args, Clone, Debug)]
pub struct Suite {
    /// The server's binary
    #[arg(long, value_name = "FILE")]
    pub server: PathBuf,

    /// Folder of the README and its charts; results go to `results` in it
    #[arg(long, default_value = "bench", value_name = "FOLDER")]
    pub folder: PathBuf,

    /// Seconds of each measurement
    #[arg(long, default_value_t = 8)]
    pub seconds: u64,

    /// Leave the README as it is
    #[arg(long)]
    pub dry: bool,
}

/// Everything that was measured.
#[derive(Debug, Default, Serialize)]
pub struct Results {
    /// In the order of measuring.
    pub outcomes: Vec<Outcome>,
    /// By the names of outcomes.
    pub floors: Vec<(String, Floor)>,
    /// What was to be reached.
    pub bars: Vec<Verdict>,
}

/// One requirement and what was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// What.
    pub what: String,
    /// What is required.
    pub bar: String,
    /// What was measured.
    pub measured: String,
    /// Whether it is met.
    pub met: bool,
}

const FANOUT: &str = "fanout 200 x 8 packets x 25/s";
const LARGE: &str = "fanout 100 x 20 packets x 30/s";
const ROOMS: &str = "500 rooms of 2, video only";
const ONE_ROOM: &str = "500 pairs in one room, video only";
const TWO_WORKERS: &str = "500 rooms of 2, video only, two workers";
/// As many rooms as each of the two workers has.
const HALF_OF_ROOMS: &str = "250 rooms of 2, video only";
const MEETING: &str = "meeting of 50, audio only";
const CHURN: &str = "joining and leaving";
const LATENCY: &str = "joining one by one";

/// How often the fan-outs with a floor are measured: one round in a few meets what else the machine does.
const ROUNDS: usize = 3;

/// People of the many small rooms, and of the one room of as many streams: twice as many are more
/// than two cores carry beside their clients.
const PEOPLE: usize = 1000;

/// Video of small rooms, and of those who join and leave: 15 frames of 2 packets a second.
const SMALL_FRAMES: (usize, u32) = (2, 15);

impl Suite {
    /// Measures, prints, and brings the README up to date.
    ///
    /// # Errors
    /// When a server does not start or nobody can join it.
    #[expect(clippy::print_stdout, reason = "the results are this command's output")]
    pub async fn execute(&self) -> Result<()> {
        let mut results = Results::default();
        self.fanouts(&mut results).await?;
        self.rooms(&mut results).await?;
        self.joins(&mut results).await?;
        results.bars = results.verdicts();
        let host = Host::here();
        let text = results.markdown(&host);
        println!("{text}");
        let name = format!("results/suite-{}.json", host.unix_time);
        report::write_json(&self.folder.join(name), &host, &results)?;
        if !self.dry {
            for (name, chart) in results.charts() {
                let path = self.folder.join("charts").join(name);
                report::write(&path, &chart.svg())?;
            }
            update(&self.folder.join("README.md"), "suite", &text)?;
        }
        Ok(())
    }

    async fn fanouts(&self, results: &mut Results) -> Result<()> {
        self.with_floor(results, FANOUT, 200, 8, 25).await?;
        self.with_floor(results, LARGE, 100, 20, 30).await?;
        for (viewers, name) in [
            (100, "fanout 100 x 8 packets x 25/s"),
            (400, "fanout 400 x 8 packets x 25/s"),
            (1000, "fanout 1000 x 8 packets x 25/s"),
        ] {
            let load = self.load(Scenario::Fanout, viewers, 8, 25);
            results.outcomes.push(self.measure(&load, name, 1).await?);
        }
        Ok(())
    }

    async fn rooms(&self, results: &mut Results) -> Result<()> {
        let (packets, fps) = SMALL_FRAMES;
        for (name, scenario, people, workers) in [
            (ROOMS, Scenario::Calls, PEOPLE, 1),
            (ONE_ROOM, Scenario::Pairs, PEOPLE, 1),
            (HALF_OF_ROOMS, Scenario::Calls, PEOPLE / 2, 1),
            (TWO_WORKERS, Scenario::Calls, PEOPLE, 2),
        ] {
            // Of voices a room forwards the loudest only, which would make the one room another load.
            let load = Load {
                no_audio: true,
                ..self.load(scenario, people, packets, fps)
            };
            let outcome = self.measure(&load, name, workers).await?;
            results.outcomes.push(outcome);
        }
        let meeting = Load {
            no_video: true,
            ..self.load(Scenario::Meeting, 50, packets, fps)
        };
        let outcome = self.measure(&meeting, MEETING, 1).await?;
        results.outcomes.push(outcome);
        Ok(())
    }

    async fn joins(&self, results: &mut Results) -> Result<()> {
        let (packets, fps) = SMALL_FRAMES;
        let churn = self.load(Scenario::Churn, 50, packets, fps);
        results.outcomes.push(self.measure(&churn, CHURN, 1).await?);
        let latency = self.load(Scenario::JoinLatency, 300, packets, fps);
        results
            .outcomes
            .push(self.measure(&latency, LATENCY, 1).await?);
        Ok(())
    }

    /// Measures a fan-out and its floor in turns, and keeps the round whose ratio is the median.
    async fn with_floor(
        &self,
        results: &mut Results,
        name: &str,
        subscribers: usize,
        frame_packets: usize,
        fps: u32,
    ) -> Result<()> {
        let load = self.load(Scenario::Fanout, subscribers, frame_packets, fps);
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let outcome = self.measure(&load, name, 1).await?;
            let work = Work {
                subscribers,
                frame_packets,
                fps,
                seconds: self.seconds,
            };
            let floor = tokio::task::spawn_blocking(move || floor::measure(work)).await??;
            let cpu = outcome.server.as_ref().map_or(0.0, |s| s.cpu_us_per_packet);
            rounds.push((cpu / floor.us_per_packet, outcome, floor));
        }
        rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (_, outcome, floor) = rounds.swap_remove(ROUNDS / 2);
        results.outcomes.push(outcome);
        results.floors.push((name.to_owned(), floor));
        Ok(())
    }

    /// Each load has a server of its own, so that no one's past is in the next one's memory.
    async fn measure(&self, load: &Load, name: &str, workers: usize) -> Result<Outcome> {
        let server = Subject::crosspoint(&self.server, workers, None)?;
        let load = Load {
            server: format!("http://{}", server.address),
            pid: Some(server.pid()),
            ..load.clone()
        };
        load.measure(name).await
    }

    fn load(&self, scenario: Scenario, participants: usize, packets: usize, fps: u32) -> Load {
        Load {
            participants,
            frame_packets: packets,
            fps,
            seconds: self.seconds,
            ..Load::of(scenario, Some(Subject::key()))
        }
    }
}

impl Load {
    /// What nothing said on the command line would be, for a scenario; on cores of its own.
    #[must_use]
    pub fn of(scenario: Scenario, key: Option<crate::load::KeyPair>) -> Self {
        Self {
            scenario,
            participants: 100,
            server: String::new(),
            whip: None,
            whep: None,
            janus: None,
            key,
            token: None,
            media: Source::Shape,
            frame_packets: 8,
            fps: 25,
            simulcast: false,
            no_video: false,
            no_audio: false,
            no_feedback: false,
            record: false,
            warm_up: 3,
            seconds: 8,
            rate: 100,
            joins_at_once: 32,
            threads: None,
            pin: true,
            pid: None,
            local: None,
            cache: PathBuf::from("target/bench-media"),
            json: None,
            quiet: false,
        }
    }
}

impl Results {
    fn outcome(&self, name: &str) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.name == name)
    }

    fn cpu(&self, name: &str) -> Option<f64> {
        let server = self.outcome(name)?.server.as_ref()?;
        Some(server.cpu_us_per_packet)
    }

    fn floor(&self, name: &str) -> Option<f64> {
        let floor = self.floors.iter().find(|(of, _)| of == name);
        floor.map(|(_, floor)| floor.us_per_packet)
    }

    fn verdicts(&self) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        let mut judge = |what: &str, bar: &str, measured: Option<(String, bool)>| {
            let (measured, met) = measured.unwrap_or_default();
            verdicts.push(Verdict {
                what: what.to_owned(),
                bar: bar.to_owned(),
                measured,
                met,
            });
        };
        for (name, limit) in [(FANOUT, 2.8), (LARGE, 2.0)] {
            let both = self.cpu(name).zip(self.floor(name));
            judge(
                &format!("CPU per packet, {name}"),
                &format!("<= {limit:.1} us and <= 1.5 x the floor"),
                both.map(|(cpu, floor)| {
                    let text = format!("{cpu:.2} us = {:.2} x {floor:.2} us", cpu / floor);
                    (text, cpu <= limit && cpu <= 1.5 * floor)
                }),
            );
        }
        let sizes = ["100", "400", "1000"].map(|n| format!("fanout {n} x 8 packets x 25/s"));
        let costs: Vec<f64> = sizes.iter().filter_map(|name| self.cpu(name)).collect();
        let largest = costs.iter().copied().fold(0.0, f64::max);
        let first = costs.first().copied().unwrap_or_default();
        let all: Vec<String> = costs.iter().map(|cost| format!("{cost:.2}")).collect();
        judge(
            "CPU per packet with 100, 400, 1000 viewers",
            "flat: never more than 10 % above that with 100",
            (costs.len() == sizes.len()).then(|| {
                let rise = largest / first;
                let text = format!("{} us: {rise:.2} x", all.join(", "));
                (text, rise <= 1.1)
            }),
        );
        let fanout = self.outcome(FANOUT);
        judge(
            &format!("forwarding delay p99, {FANOUT}"),
            "<= 3 ms",
            fanout.map(|it| (format!("{:.2} ms", it.delay_ms.p99), it.delay_ms.p99 <= 3.0)),
        );
        let memory = fanout.and_then(|it| it.server.as_ref()?.kib_per_session);
        judge(
            "memory per viewer",
            "<= 100 KiB",
            memory.map(|kib| (format!("{kib:.0} KiB"), kib <= 100.0)),
        );
        for (what, one) in [
            ("two workers against one, the same many rooms", ROOMS),
            (
                "two workers against one with as many rooms as each of them",
                HALF_OF_ROOMS,
            ),
        ] {
            let both = self.cpu(TWO_WORKERS).zip(self.cpu(one));
            judge(
                what,
                "CPU per packet within 10 %",
                both.map(|(two, one)| {
                    let text = format!("{two:.2} / {one:.2} us = {:.2} x", two / one);
                    (text, two / one <= 1.1)
                }),
            );
        }
        let rooms = self.cpu(ROOMS).zip(self.cpu(ONE_ROOM));
        judge(
            "rooms of 2 against one room of as many streams",
            "CPU per packet within 25 %",
            rooms.map(|(many, one)| {
                let text = format!("{many:.2} / {one:.2} us = {:.2} x", many / one);
                (text, many / one <= 1.25)
            }),
        );
        let joins = self.outcome(CHURN).and_then(|it| it.joins.per_cpu_s);
        judge(
            "joins per second and core",
            ">= 500",
            joins.map(|rate| (format!("{rate:.0}"), rate >= 500.0)),
        );
        judge(
            "audio streams out of a meeting of 50",
            "150, less those that the three loudest do not hear: their own",
            self.outcome(MEETING)
                .map(|it| (it.audio_streams.to_string(), it.audio_streams == 147)),
        );
        verdicts
    }

    fn markdown(&self, host: &Host) -> String {
        let mut text = format!(
            "{}\n\n| what | bar | measured | met |\n|---|---|---|---|\n",
            host.line()
        );
        for verdict in &self.bars {
            let Verdict {
                what,
                bar,
                measured,
                met,
            } = verdict;
            let met = if *met { "yes" } else { "no" };
            text.push_str(&format!("| {what} | {bar} | {measured} | {met} |\n"));
        }
        text.push('\n');
        let steady: Vec<Outcome> = self
            .outcomes
            .iter()
            .filter(|it| is_steady(it))
            .cloned()
            .collect();
        text.push_str(&report::table(&steady));
        text.push('\n');
        for outcome in self.outcomes.iter().filter(|it| !is_steady(it)) {
            text.push_str(&format!("- {}: {}\n", outcome.name, report::joins(outcome)));
        }
        for outcome in &self.outcomes {
            for warning in &outcome.warnings {
                text.push_str(&format!("- {}: {warning}\n", outcome.name));
            }
        }
        text
    }

    fn charts(&self) -> Vec<(&'static str, Chart)> {
        let bars = |value: &dyn Fn(&Outcome) -> Option<f64>| -> Vec<Bar> {
            let outcomes = self.outcomes.iter();
            outcomes
                .filter_map(|outcome| {
                    Some(Bar {
                        label: outcome.name.clone(),
                        value: value(outcome)?,
                        floor: self.floor(&outcome.name).unwrap_or(0.0),
                        ours: true,
                    })
                })
                .collect()
        };
        let cpu = bars(&|it| {
            let server = it.server.as_ref().filter(|_| is_steady(it))?;
            Some(server.cpu_us_per_packet)
        });
        let mut delay = bars(&|it| is_steady(it).then_some(it.delay_ms.p99));
        delay.iter_mut().for_each(|bar| bar.floor = 0.0);
        vec![
            (
                "cpu.svg",
                Chart {
                    title: "Server CPU per forwarded packet (dark: the bare floor)".to_owned(),
                    unit: "us".to_owned(),
                    limit: 2.8,
                    bars: cpu,
                },
            ),
            (
                "delay.svg",
                Chart {
                    title: "Forwarding delay, 99th percentile".to_owned(),
                    unit: "ms".to_owned(),
                    limit: 3.0,
                    bars: delay,
                },
            ),
        ]
    }
}

/// Whether an outcome is about packets rather than joins.
fn is_steady(outcome: &Outcome) -> bool {
    ![CHURN, LATENCY].contains(&outcome.name.as_str())
}

/// Replaces what stands between the markers of a section in a Markdown file.
///
/// # Errors
/// When the file cannot be read or written, or has no such markers.
pub fn update(path: &Path, section: &str, text: &str) -> Result<()> {
    let (begin, end) = (
        format!("<!-- {section}: begin -->\n"),
        format!("<!-- {section}: end -->"),
    );
    let old = std::fs::read_to_string(path)?;
    let parts = old.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let Some((before, after)) = parts else {
        anyhow::bail!("{} has no section {section}", path.display());
    };
    report::write(path, &format!("{before}{begin}{text}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_the_rest_stays() {
        let id = rand::random::<u32>();
        let path = std::env::temp_dir().join(format!("bench-readme-{id:08x}.md"));
        std::fs::write(&path, "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n").unwrap();
        update(&path, "x", "new\n").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "a\n<!-- x: begin -->\nnew\n<!-- x: end -->\nb\n");
        assert!(update(&path, "y", "new\n").is_err());
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn missing_measurements_meet_no_bar() {
        let results = Results::default();
        assert!(results.verdicts().iter().all(|verdict| !verdict.met));
    }
}
