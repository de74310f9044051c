//! One measurement: participants join, the load settles, a window is measured, everybody leaves.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::door::{Common, Door, Member, Participant};
use crate::pool::Pool;
use crate::recording::{Recorded, Recorder};
use crate::scenario::{Media, Scenario, participants, viewer};
use crate::tally::{Tally, Totals, microseconds};
use crate::watch::{Snapshot, Usage, machine_us};

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Order {
    /// The shape of the load.
    pub scenario: Scenario,
    /// How many, as [`participants`] counts them.
    pub participants: usize,
    /// What publishers send.
    pub media: Media,
    /// From the last join to the measurement.
    pub warm_up: Duration,
    /// Length of the measurement.
    pub window: Duration,
    /// Joins that may be under way at a time.
    pub joins_at_once: usize,
    /// The server's process, if its cost shall be measured.
    pub pid: Option<u32>,
    /// Records all rooms from the last join to the end, if there is one.
    pub recorder: Option<Recorder>,
    /// Whether to show progress.
    pub show: bool,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// What it was, in words.
    pub name: String,
    /// The scenario.
    pub scenario: String,
    /// As ordered.
    pub participants: usize,
    /// Clients connected in the window.
    pub connected: usize,
    /// Clients that did not come up, or were lost.
    pub failed: usize,
    /// What protects the media.
    pub srtp: String,
    /// Length of the window, in seconds.
    pub seconds: f64,
    /// RTP packets received by all clients in the window.
    pub packets: u64,
    /// RTP packets sent by publishers in the window.
    pub packets_sent: u64,
    /// Packets received, a second.
    pub packets_per_s: f64,
    /// Bits of these a second, in millions.
    pub mbit_per_s: f64,
    /// Share of packets that never arrived, 0 to 1.
    pub loss: f64,
    /// Retransmissions received.
    pub rtx_packets: u64,
    /// Packets decrypted and compared.
    pub checked: u64,
    /// Of these, not what was sent.
    pub corrupt: u64,
    /// Sender's stamp to receiver, in milliseconds.
    pub delay_ms: Percentiles,
    /// Audio streams arriving at all clients.
    pub audio_streams: usize,
    /// Video streams arriving at all clients.
    pub video_streams: usize,
    /// Joins.
    pub joins: Joins,
    /// The server's process, if it was watched.
    pub server: Option<Cost>,
    /// What the server recorded, if it was to.
    pub recorded: Option<Recorded>,
    /// Our own process.
    pub generator_cores: f64,
    /// What makes the figures doubtful.
    pub warnings: Vec<String>,
}

/// Of a distribution.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Percentiles {
    /// Half is below.
    pub p50: f64,
    /// 99 % are below.
    pub p99: f64,
    /// 999 of 1000 are below.
    pub p999: f64,
}

impl Percentiles {
    /// Of microseconds, in milliseconds.
    pub(crate) fn of(histogram: &Histogram<u32>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
        }
    }
}

/// How joining went.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Joins {
    /// How many were tried.
    pub count: usize,
    /// A second, while they went on.
    pub per_s: f64,
    /// A second of the server's CPU time, if it was watched.
    pub per_cpu_s: Option<f64>,
    /// From the first request to keys on both sides, in milliseconds.
    pub ms: Percentiles,
}

/// What the server's process used in the window.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// User and system time per RTP packet received by the clients, in microseconds.
    pub cpu_us_per_packet: f64,
    /// Of this, user time.
    pub user_us_per_packet: f64,
    /// Cores busy.
    pub cores: f64,
    /// The busiest thread and its share of a core.
    pub busiest: (f64, String),
    /// Resident memory at the end, in bytes.
    pub rss: u64,
    /// Memory that came with the joins, per client, in KiB; of a dozen clients or more.
    pub kib_per_session: Option<f64>,
}

/// A clients' thread that is busier than this is the limit itself.
const BUSY: f64 = 0.85;

/// Cores that others may use before a measurement is disturbed.
const OTHERS_MAX: f64 = 0.25;

/// With fewer clients, a server's own growth is not told from theirs.
const CLIENTS_MIN: usize = 12;

/// Measures.
///
/// # Errors
/// When nobody could join, or the server's process cannot be watched.
pub async fn run(
    order: &Order,
    name: &str,
    door: Arc<Door>,
    pool: Arc<Pool>,
    common: Common,
) -> Result<Outcome> {
    let run = Run {
        order: order.clone(),
        door,
        pool,
        common: Common {
            clips: order.media.clips(),
            ..common
        },
    };
    let idle = run.snapshot()?;
    let prefix = format!("load-{:06x}", rand::random::<u32>() & 0xff_ffff);
    let count = match order.scenario {
        Scenario::Churn | Scenario::JoinLatency => 0,
        _ => order.participants,
    };
    let everybody = participants(order.scenario, count, &order.media, &prefix);
    let room = everybody.first().map(|who| who.room.clone());
    let room = room.context("there is nobody to join")?;
    let rooms: BTreeSet<String> = everybody.iter().map(|who| who.room.clone()).collect();
    let mut members = Vec::with_capacity(everybody.len());
    let mut joining = Joining::new();
    // Those whom others come to see are there first.
    let (first, others): (Vec<_>, Vec<_>) = everybody
        .into_iter()
        .partition(|who| order.scenario.is_one_way() && !who.publishes.is_empty());
    run.join(first, order.joins_at_once, &mut members, &mut joining)
        .await?;
    run.join(others, order.joins_at_once, &mut members, &mut joining)
        .await?;
    let srtp = members.first().map(|member| member.profile.label());
    let srtp = srtp.context("nobody could join")?.to_owned();
    let joined = run.snapshot()?;

    let recordings = match &order.recorder {
        Some(recorder) => Some((recorder, recorder.begin(&rooms).await?)),
        None => None,
    };
    run.watch(order.warm_up, "warming up").await?;
    run.pool.forget_delays()?;
    let before = run.look().await?;
    match order.scenario {
        Scenario::Churn => run.churn(&room, &mut joining).await?,
        Scenario::JoinLatency => run.one_by_one(&room, &mut joining).await?,
        _ => run.watch(order.window, "measuring").await?,
    }
    let after = run.look().await?;
    let mut outcome = run.outcome(name, &srtp, &before, &after, joining);
    if let Some((recorder, recordings)) = recordings {
        outcome.recorded = Some(recorder.stop(recordings).await?);
    }
    if let (Some(server), Some(idle), Some(after)) = (&mut outcome.server, &idle, &joined) {
        let grown = server.rss.max(after.rss).saturating_sub(idle.rss);
        let each = grown as f64 / 1024.0 / members.len().max(1) as f64;
        server.kib_per_session = (members.len() >= CLIENTS_MIN).then_some(each);
    }
    run.leave(members).await?;
    Ok(outcome)
}

struct Run {
    order: Order,
    door: Arc<Door>,
    pool: Arc<Pool>,
    common: Common,
}

/// One end of a window.
struct Look {
    at: Instant,
    tally: Tally,
    server: Option<Snapshot>,
    own: Snapshot,
    machine_us: u64,
}

/// Joins so far.
struct Joining {
    took: Histogram<u32>,
    failed: usize,
    last_error: Option<anyhow::Error>,
    wall: Duration,
    cpu_us: u64,
}

impl Joining {
    fn new() -> Self {
        Self {
            took: microseconds(),
            failed: 0,
            last_error: None,
            wall: Duration::ZERO,
            cpu_us: 0,
        }
    }

    fn note(&mut self, joined: Result<Member>) -> Option<Member> {
        match joined {
            Ok(member) => {
                self.took.saturating_record(member.took.as_micros() as u64);
                Some(member)
            }
            Err(error) => {
                self.failed += 1;
                self.last_error = Some(error);
                None
            }
        }
    }
}

impl Run {
    fn snapshot(&self) -> Result<Option<Snapshot>> {
        self.order.pid.map(Snapshot::take).transpose()
    }

    async fn look(&self) -> Result<Look> {
        Ok(Look {
            tally: self.pool.count().await?,
            at: Instant::now(),
            server: self.snapshot()?,
            own: Snapshot::take(std::process::id())?,
            machine_us: machine_us(),
        })
    }

    /// Lets all of them join, some at a time.
    async fn join(
        &self,
        who: Vec<Participant>,
        at_once: usize,
        members: &mut Vec<Member>,
        joining: &mut Joining,
    ) -> Result<()> {
        let (before, start, total) = (self.snapshot()?, Instant::now(), who.len());
        let joins = who.into_iter().map(|who| {
            let (door, pool) = (Arc::clone(&self.door), Arc::clone(&self.pool));
            let common = self.common.clone();
            // A task each: joins are work for more than one core.
            async move { tokio::spawn(async move { door.join(&pool, &common, &who).await }).await }
        });
        let mut joins = futures_util::stream::iter(joins).buffer_unordered(at_once.max(1));
        let mut shown = Instant::now();
        while let Some(joined) = joins.next().await {
            members.extend(joining.note(joined?));
            if shown.elapsed() > Duration::from_millis(500) {
                shown = Instant::now();
                self.say(&format!("joining: {} of {total}", members.len()));
            }
        }
        joining.wall += start.elapsed();
        if let (Some(before), Some(after)) = (before, self.snapshot()?) {
            joining.cpu_us += after.since(&before).cpu_us();
        }
        if total > 0 && members.is_empty() {
            let error = joining.last_error.take();
            return Err(error.context("nobody joined")?.context("nobody could join"));
        }
        Ok(())
    }

    /// Viewers come and go, as many at a time as ordered.
    async fn churn(&self, room: &str, joining: &mut Joining) -> Result<()> {
        let (before, start) = (self.snapshot()?, Instant::now());
        let (room, media) = (room.to_owned(), self.order.media.clone());
        let arrivals = (0..).map(|index| {
            let who = viewer(&room, index, &media);
            let (door, pool) = (Arc::clone(&self.door), Arc::clone(&self.pool));
            let common = self.common.clone();
            async move { tokio::spawn(async move { door.join(&pool, &common, &who).await }).await }
        });
        let mut arrivals =
            futures_util::stream::iter(arrivals).buffer_unordered(self.order.joins_at_once.max(1));
        // Each stays until so many others came.
        let stay = self.order.participants.max(1);
        let mut present = VecDeque::with_capacity(stay + 1);
        let mut leaving = tokio::task::JoinSet::new();
        let mut shown = Instant::now();
        while start.elapsed() < self.order.window {
            let Some(joined) = arrivals.next().await else {
                break;
            };
            present.extend(joining.note(joined?));
            if present.len() > stay
                && let Some(member) = present.pop_front()
            {
                let pool = Arc::clone(&self.pool);
                leaving.spawn(async move { member.leave(&pool).await });
            }
            // Tasks that are done are of no further use.
            while leaving.try_join_next().is_some() {}
            if shown.elapsed() > Duration::from_secs(1) {
                shown = Instant::now();
                let rate = joining.took.len() as f64 / start.elapsed().as_secs_f64();
                self.say(&format!("churning: {rate:.0} joins/s"));
            }
        }
        joining.wall = start.elapsed();
        if let (Some(before), Some(after)) = (before, self.snapshot()?) {
            joining.cpu_us = after.since(&before).cpu_us();
        }
        drop(arrivals);
        self.leave(present.into()).await?;
        while leaving.join_next().await.is_some() {}
        Ok(())
    }

    /// Viewers come one at a time, as many as ordered, and leave at once.
    async fn one_by_one(&self, room: &str, joining: &mut Joining) -> Result<()> {
        let start = Instant::now();
        for index in 0..self.order.participants {
            let who = viewer(room, index, &self.order.media);
            let joined = self.door.join(&self.pool, &self.common, &who).await;
            if let Some(member) = joining.note(joined) {
                member.leave(&self.pool).await?;
            }
        }
        joining.wall = start.elapsed();
        Ok(())
    }

    async fn leave(&self, members: Vec<Member>) -> Result<()> {
        let pool = &self.pool;
        let leaving = members.into_iter().map(|member| member.leave(pool));
        let leaving = futures_util::stream::iter(leaving).buffer_unordered(32);
        let left: Vec<Result<()>> = leaving.collect().await;
        let failed = left.iter().filter(|left| left.is_err()).count();
        if failed > 0 {
            self.say(&format!("{failed} could not leave in order"));
        }
        Ok(())
    }

    /// Waits, and shows a line a second.
    async fn watch(&self, time: Duration, what: &str) -> Result<()> {
        let end = Instant::now() + time;
        let mut last = self.look().await?;
        while Instant::now() < end {
            let rest = end.saturating_duration_since(Instant::now());
            tokio::time::sleep(rest.min(Duration::from_secs(1))).await;
            let now = self.look().await?;
            let totals = now.tally.totals - last.tally.totals;
            let seconds = (now.at - last.at).as_secs_f64();
            let server = match (&now.server, &last.server) {
                (Some(now), Some(last)) => {
                    let usage = now.since(last);
                    let each = usage.cpu_us() as f64 / totals.packets.max(1) as f64;
                    format!(", server {:.2} cores, {each:.2} us/packet", usage.cores())
                }
                _ => String::new(),
            };
            self.say(&format!(
                "{what}: {} connected, {:.0} packets/s, {:.0} Mbit/s, {} lost{server}, \
                 generator {:.2} cores",
                now.tally.connected,
                totals.packets as f64 / seconds,
                totals.bytes as f64 * 8e-6 / seconds,
                totals.lost(),
                now.own.since(&last.own).cores(),
            ));
            if now.tally.connected == 0 {
                bail!("all clients were lost");
            }
            last = now;
        }
        Ok(())
    }

    fn outcome(
        &self,
        name: &str,
        srtp: &str,
        before: &Look,
        after: &Look,
        joining: Joining,
    ) -> Outcome {
        let totals: Totals = after.tally.totals - before.tally.totals;
        let seconds = (after.at - before.at).as_secs_f64();
        let own = after.own.since(&before.own);
        let usage = match (&after.server, &before.server) {
            (Some(after), Some(before)) => Some((after.since(before), after.rss)),
            _ => None,
        };
        let failed = after.tally.failed.max(joining.failed);
        let delays = &after.tally.delays;
        let mut outcome = Outcome {
            name: name.to_owned(),
            scenario: self.order.scenario.name().to_owned(),
            participants: self.order.participants,
            connected: after.tally.connected,
            failed,
            srtp: srtp.to_owned(),
            seconds,
            packets: totals.packets,
            packets_sent: totals.packets_sent,
            packets_per_s: totals.packets as f64 / seconds,
            mbit_per_s: totals.bytes as f64 * 8e-6 / seconds,
            loss: totals.loss(),
            rtx_packets: totals.rtx_packets,
            checked: totals.checked,
            corrupt: totals.corrupt + totals.undecryptable,
            delay_ms: Percentiles::of(delays),
            audio_streams: after.tally.audio_streams,
            video_streams: after.tally.video_streams,
            joins: Joins {
                count: joining.took.len() as usize + joining.failed,
                per_s: joining.took.len() as f64 / joining.wall.as_secs_f64().max(1e-9),
                per_cpu_s: (joining.cpu_us > 0)
                    .then(|| joining.took.len() as f64 * 1e6 / joining.cpu_us as f64),
                ms: Percentiles::of(&joining.took),
            },
            server: usage.map(|(usage, rss)| cost(&usage, rss, &totals)),
            recorded: None,
            generator_cores: own.cores(),
            warnings: Vec::new(),
        };
        let lost = after.tally.last_failure.map(anyhow::Error::from);
        let error = joining.last_error.as_ref().or(lost.as_ref());
        let busy = (after.machine_us - before.machine_us) as f64 / 1e6 / seconds;
        outcome.warnings = warnings(&outcome, &own, busy, error);
        outcome
    }

    #[expect(
        clippy::print_stderr,
        reason = "a command-line tool shows its progress"
    )]
    fn say(&self, line: &str) {
        if self.order.show {
            eprintln!("{line}");
        }
    }
}

fn cost(usage: &Usage, rss: u64, totals: &Totals) -> Cost {
    let packets = totals.packets.max(1) as f64;
    let (share, thread) = usage.busiest();
    Cost {
        cpu_us_per_packet: usage.cpu_us() as f64 / packets,
        user_us_per_packet: usage.user_us as f64 / packets,
        cores: usage.cores(),
        busiest: (share, thread.to_owned()),
        rss,
        kib_per_session: None,
    }
}

/// `busy`: cores of the machine that were busy, whoever used them.
fn warnings(
    outcome: &Outcome,
    own: &Usage,
    busy: f64,
    error: Option<&anyhow::Error>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let (share, thread) = own.busiest();
    if share > BUSY {
        warnings.push(format!(
            "the generator is the limit: its thread {thread} used {:.0} % of a core",
            share * 100.0
        ));
    }
    let server = outcome.server.as_ref().map_or(0.0, |server| server.cores);
    let others = busy - server - own.cores();
    if outcome.server.is_some() && others > OTHERS_MAX {
        warnings.push(format!("other processes used {others:.1} cores meanwhile"));
    }
    if outcome.failed > 0 {
        let error = error.map(|error| format!(", e.g.: {error:#}"));
        let error = error.unwrap_or_default();
        warnings.push(format!("{} clients failed{error}", outcome.failed));
    }
    if outcome.corrupt > 0 {
        warnings.push(format!(
            "{} packets were not what was sent",
            outcome.corrupt
        ));
    }
    if outcome.packets == 0 {
        warnings.push("nothing was received".to_owned());
    }
    warnings
}
