//! Signalling alone: calls that are made, rung, answered and hung up, and how long each verb takes to be
//! answered, and to be known at the other side.
//!
//! People come in pairs that call each other again and again, each pair in its turn, so that the given
//! number of calls begins each second and the others last meanwhile. No media flows; the measurement's
//! tenant lets calls wait for it.

mod line;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::line::Line;
use crate::access::Access;
use crate::outcome::Percentiles;
use crate::tally::microseconds;
use crate::watch::{Snapshot, machine_us};

/// The tenant whose calls these are.
const TENANT: &str = "load";
/// From a hang-up to the pair's next turn.
const BREATH: Duration = Duration::from_millis(200);
/// How long a verb may take before a call counts as failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than any measurement, in milliseconds.
const NEVER_MS: u64 = 24 * 3600 * 1000;
/// Times that may wait to be counted.
const TIMES_MAX: usize = 65_536;

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Order {
    /// A Crosspoint server's URL.
    pub server: String,
    /// What tokens are signed with.
    pub access: Access,
    /// People who call each other: twice the calls at a time.
    pub people: usize,
    /// New calls a second.
    pub rate: u32,
    /// Length of the measurement, after all calls have begun once.
    pub window: Duration,
    /// Logins that may be under way at a time.
    pub joins_at_once: usize,
    /// The server's process, if its cost shall be measured.
    pub pid: Option<u32>,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// New calls a second, as ordered.
    pub rate: u32,
    /// Calls that were begun in the window.
    pub calls: usize,
    /// Calls at a time, in the mean of the window.
    pub simultaneous: f64,
    /// Calls in which something did not come, or was refused, since the start.
    pub failed: usize,
    /// Why the last of these failed.
    pub last_failure: Option<String>,
    /// By verb, in the order of a call.
    pub verbs: Vec<Verb>,
    /// Of all verbs together.
    pub all: Verb,
    /// Cores that the server used, if it was watched.
    pub server_cores: Option<f64>,
    /// Cores that everything else on this machine used, this generator included.
    pub other_cores: f64,
    /// The machine's load average of the last minute, at the end.
    pub load_average: f64,
}

/// How long a verb takes.
#[derive(Clone, Debug, Serialize)]
pub struct Verb {
    /// Its name.
    pub name: &'static str,
    /// How often.
    pub count: u64,
    /// From sending the command to its result, in milliseconds.
    pub result_ms: Percentiles,
    /// From sending the command to the other side's event, in milliseconds.
    pub event_ms: Percentiles,
}

/// The verbs of a call.
#[derive(Clone, Copy)]
enum Step {
    Invite,
    Ring,
    Accept,
    HangUp,
}

const STEPS: [(Step, &str); 4] = [
    (Step::Invite, "invite"),
    (Step::Ring, "ring"),
    (Step::Accept, "accept"),
    (Step::HangUp, "hang-up"),
];

/// What pairs tell.
enum Told {
    Took {
        step: Step,
        result: Duration,
        event: Duration,
    },
    Failed(String),
}

/// What all pairs share.
struct Turns {
    start: Instant,
    /// From one turn of a pair to its next.
    period: Duration,
    active: AtomicUsize,
    told: mpsc::Sender<Told>,
}

/// Times of one kind.
struct Times {
    result: Histogram<u32>,
    event: Histogram<u32>,
}

/// Measures.
///
/// # Errors
/// When people cannot come online, or the server's process cannot be watched.
pub async fn measure(order: &Order) -> Result<Outcome> {
    let pairs = order.people / 2;
    ensure!(pairs > 0 && order.rate > 0, "it takes two to make a call");
    furnish(order).await?;
    let lines = stream::iter(0..pairs * 2)
        .map(|index| come_online(order, index))
        .buffered(order.joins_at_once)
        .try_collect::<Vec<_>>();
    let mut lines = lines.await?.into_iter();

    let (told, mut heard) = mpsc::channel(TIMES_MAX);
    let period = Duration::from_secs_f64(pairs as f64 / f64::from(order.rate));
    let turns = Arc::new(Turns {
        start: Instant::now(),
        period,
        active: AtomicUsize::new(0),
        told,
    });
    let mut people = JoinSet::new();
    for index in 0..pairs {
        if let (Some(caller), Some(callee)) = (lines.next(), lines.next()) {
            let first = period.mul_f64(index as f64 / pairs as f64);
            people.spawn(pair(Arc::clone(&turns), first, index, caller, callee));
        }
    }

    // All have called once, and the first ones again.
    tokio::time::sleep(period + Duration::from_secs(1)).await;
    let mut failed = Vec::new();
    while let Ok(told) = heard.try_recv() {
        failed.extend(told.failure());
    }
    let before = Watch::begin(order.pid)?;
    let mut times = STEPS.map(|_| Times::new());
    let (mut active, mut looks) = (0, 0);
    let mut look = tokio::time::interval(Duration::from_millis(100));
    let end = tokio::time::sleep(order.window);
    tokio::pin!(end);
    loop {
        tokio::select! {
            Some(told) = heard.recv() => match told {
                Told::Took { step, result, event } => times[step as usize].add(result, event),
                Told::Failed(why) => failed.push(why),
            },
            _ = look.tick() => {
                active += turns.active.load(Ordering::Relaxed);
                looks += 1;
            }
            () = &mut end => break,
        }
    }
    let (server_cores, other_cores) = before.end()?;
    people.abort_all();

    let mut all = Times::new();
    for each in &times {
        all.merge(each);
    }
    let verbs = STEPS.iter().zip(&times);
    let verbs: Vec<_> = verbs.map(|((_, name), times)| times.verb(name)).collect();
    Ok(Outcome {
        rate: order.rate,
        calls: verbs.first().map_or(0, |invite| invite.count as usize),
        simultaneous: active as f64 / f64::from(looks.max(1)),
        failed: failed.len(),
        last_failure: failed.pop(),
        verbs,
        all: all.verb("all"),
        server_cores,
        other_cores,
        load_average: load_average(),
    })
}

/// Makes the tenant.
async fn furnish(order: &Order) -> Result<()> {
    let grants = json!({ "callAdmin": true });
    let token = order.access.sign("load-admin", &grants)?;
    let settings = json!({
        "name": "Load",
        "openRegistration": true,
        "timers": { "connectMs": NEVER_MS, "emptyRoomMs": NEVER_MS },
        "limits": { "invitesPerSecond": 100_000, "calls": 100_000 },
    });
    let response = reqwest::Client::new()
        .put(format!("{}/v1/tenants/{TENANT}", order.server))
        .bearer_auth(token.context("calls need a key to sign with (--key)")?)
        .json(&settings)
        .send()
        .await?;
    let status = response.status();
    let text = response.text().await?;
    ensure!(status.is_success(), "the tenant: {status}: {text}");
    Ok(())
}

fn name(index: usize) -> String {
    format!("person-{index}")
}

async fn come_online(order: &Order, index: usize) -> Result<Line> {
    let grants = json!({ "callTenant": TENANT });
    let token = order.access.sign(&name(index), &grants)?;
    let token = token.context("calls need a key to sign with (--key)")?;
    Line::open(&order.server, &token).await
}

/// Two people who call each other, turn for turn.
async fn pair(
    turns: Arc<Turns>,
    first: Duration,
    index: usize,
    mut caller: Line,
    mut callee: Line,
) {
    let mut turn = turns.start + first;
    loop {
        let waited = rest(&mut caller, &mut callee, turn).await;
        let hang_up = turn + turns.period - BREATH;
        let called = match waited {
            Ok(()) => call(&turns, index, &mut caller, &mut callee, hang_up).await,
            Err(error) => Err(error),
        };
        if let Err(error) = called {
            // What stands on the sockets is not known any more.
            let _ = turns.told.send(Told::Failed(format!("{error:#}"))).await;
            return;
        }
        turn += turns.period;
    }
}

/// Reads at both sides until then.
async fn rest(caller: &mut Line, callee: &mut Line, until: Instant) -> Result<()> {
    tokio::select! {
        () = tokio::time::sleep_until(until.into()) => Ok(()),
        ended = caller.idle() => ended,
        ended = callee.idle() => ended,
    }
}

/// One call.
async fn call(
    turns: &Turns,
    index: usize,
    caller: &mut Line,
    callee: &mut Line,
    hang_up: Instant,
) -> Result<()> {
    let target = json!({ "type": "user", "user": name(index * 2 + 1) });
    let invite = json!({ "kind": "private", "media": "audio", "target": target });
    let made = turns.step(Step::Invite, caller, callee, invite).await?;
    let id = &made["data"]["call"]["id"];
    turns.step(Step::Ring, callee, caller, json!({})).await?;
    let accept = json!({ "invite": { "call": id } });
    turns.step(Step::Accept, callee, caller, accept).await?;
    turns.active.fetch_add(1, Ordering::Relaxed);
    let lasted = rest(caller, callee, hang_up).await;
    turns.active.fetch_sub(1, Ordering::Relaxed);
    lasted?;
    let end = json!({ "call": { "id": id } });
    turns.step(Step::HangUp, caller, callee, end).await?;
    Ok(())
}

impl Step {
    /// The command, and what the other side is told.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Invite => ("createCall", "inviteReceived"),
            Self::Ring => ("ringing", "inviteRinging"),
            Self::Accept => ("accept", "inviteAccepted"),
            Self::HangUp => ("hangUp", "callEnded"),
        }
    }
}

impl Turns {
    /// One verb: the reply, when it and the other side's event have come.
    async fn step(
        &self,
        step: Step,
        by: &mut Line,
        other: &mut Line,
        words: Value,
    ) -> Result<Value> {
        let (verb, event) = step.words();
        let sent = Instant::now();
        let done = async {
            let id = by.say(verb, words).await?;
            try_join(by.reply(id), other.event(event)).await
        };
        let done = tokio::time::timeout(PATIENCE, done).await;
        let ((reply, replied), (_, told)) =
            done.with_context(|| format!("{verb} took too long"))??;
        let took = Told::Took {
            step,
            result: replied - sent,
            event: told - sent,
        };
        self.told.send(took).await?;
        Ok(reply)
    }
}

impl Told {
    fn failure(self) -> Option<String> {
        match self {
            Self::Failed(why) => Some(why),
            Self::Took { .. } => None,
        }
    }
}

impl Times {
    fn new() -> Self {
        Self {
            result: microseconds(),
            event: microseconds(),
        }
    }

    fn add(&mut self, result: Duration, event: Duration) {
        for (times, took) in [(&mut self.result, result), (&mut self.event, event)] {
            times.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        }
    }

    fn merge(&mut self, other: &Self) {
        // All have the same bounds.
        let _ = self.result.add(&other.result);
        let _ = self.event.add(&other.event);
    }

    fn verb(&self, name: &'static str) -> Verb {
        Verb {
            name,
            count: self.result.len(),
            result_ms: Percentiles::of(&self.result),
            event_ms: Percentiles::of(&self.event),
        }
    }
}

/// What server and machine have used when a measurement begins.
struct Watch {
    at: Instant,
    pid: Option<u32>,
    server: Option<Snapshot>,
    machine_us: u64,
}

impl Watch {
    fn begin(pid: Option<u32>) -> Result<Self> {
        Ok(Self {
            at: Instant::now(),
            pid,
            server: pid.map(Snapshot::take).transpose()?,
            machine_us: machine_us(),
        })
    }

    /// Cores that the server and everything else used since.
    fn end(&self) -> Result<(Option<f64>, f64)> {
        let us = self.at.elapsed().as_secs_f64() * 1e6;
        let machine = (machine_us() - self.machine_us) as f64 / us;
        let now = self.pid.map(Snapshot::take).transpose()?;
        let server = self.server.as_ref().zip(now.as_ref());
        let server = server.map(|(before, now)| now.since(before).cpu_us() as f64 / us);
        Ok((server, machine - server.unwrap_or(0.0)))
    }
}

fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split_ascii_whitespace().next();
    first.and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

/// The figures as a table in Markdown.
#[must_use]
pub fn table(outcome: &Outcome) -> String {
    let mut text = String::from(
        "| verb | count | result p50 / p99 / p99.9 ms | other side's event p50 / p99 / p99.9 ms |\n\
         |---|---|---|---|\n",
    );
    for verb in outcome.verbs.iter().chain([&outcome.all]) {
        let times = |of: Percentiles| format!("{:.2} / {:.2} / {:.2}", of.p50, of.p99, of.p999);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            verb.name,
            verb.count,
            times(verb.result_ms),
            times(verb.event_ms),
        );
    }
    text
}

/// What the table has no column for.
#[must_use]
pub fn details(outcome: &Outcome) -> String {
    let server = outcome.server_cores;
    let server = server.map_or("-".to_owned(), |cores| format!("{cores:.2}"));
    let mut text = format!(
        "{:.0} calls at a time, {} begun at {}/s, {} failed; cores: server {server}, all others {:.2}; \
         load average {:.1}\n",
        outcome.simultaneous,
        outcome.calls,
        outcome.rate,
        outcome.failed,
        outcome.other_cores,
        outcome.load_average,
    );
    if let Some(why) = &outcome.last_failure {
        let _ = writeln!(text, "WARNING: the last failure: {why}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_each_verb_and_their_sum() {
        let mut times = Times::new();
        times.add(Duration::from_micros(1500), Duration::from_micros(2500));
        let outcome = Outcome {
            rate: 100,
            calls: 1,
            simultaneous: 1.0,
            failed: 0,
            last_failure: None,
            verbs: STEPS.iter().map(|(_, name)| times.verb(name)).collect(),
            all: times.verb("all"),
            server_cores: None,
            other_cores: 0.0,
            load_average: 0.0,
        };
        let table = table(&outcome);
        assert_eq!(table.lines().count(), 2 + STEPS.len() + 1);
        assert!(table.contains("| hang-up | 1 | 1.50 / 1.50 / 1.50 | 2.50 / 2.50 / 2.50 |"));
        assert!(details(&outcome).starts_with("1 calls at a time"));
    }
}
