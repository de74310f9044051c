//! One measurement: participants join, the load settles, a window is measured, everybody leaves. Or
//! several windows, in which the same participants are recorded and not, in turns.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use hdrhistogram::Histogram;

use crate::door::{Common, Door, Member, Participant};
use crate::outcome::{Joins, Outcome, Percentiles, cost, warnings};
use crate::pool::Pool;
use crate::recording::Recorder;
use crate::scenario::{Media, Scenario, participants, viewer};
use crate::tally::{Tally, Totals, microseconds};
use crate::watch::{Snapshot, machine_us};

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

/// With fewer clients, a server's own growth is not told from theirs.
const CLIENTS_MIN: usize = 12;

/// Measures.
///
/// # Errors
/// When nobody could join, or the server's process cannot be watched.
pub async fn run(order: &Order, name: &str, place: Place) -> Result<Outcome> {
    let mut party = Party::gather(order, place).await?;
    let outcome = party.measure(name, order.recorder.as_ref()).await?;
    party.run.leave(party.members).await?;
    Ok(outcome)
}

/// Measures the same participants without and with a recorder so many times in turns, and returns both.
/// What two runs differ by, from where things lie in memory to who else uses the machine, is then the
/// same for both.
///
/// # Errors
/// As [`run`]; and without a recorder.
pub async fn run_in_turns(
    order: &Order,
    rounds: usize,
    name: &str,
    place: Place,
) -> Result<(Vec<Outcome>, Vec<Outcome>)> {
    let recorder = order.recorder.as_ref().context("nothing would record")?;
    let mut party = Party::gather(order, place).await?;
    let (mut plain, mut recorded) = (Vec::new(), Vec::new());
    for _ in 0..rounds.max(1) {
        plain.push(party.measure(name, None).await?);
        let name = format!("{name}, recorded");
        recorded.push(party.measure(&name, Some(recorder)).await?);
    }
    party.run.leave(party.members).await?;
    Ok((plain, recorded))
}

/// Where participants live and what they join.
pub struct Place {
    /// The way into the server.
    pub door: Arc<Door>,
    /// Their threads.
    pub pool: Arc<Pool>,
    /// What they have in common.
    pub common: Common,
}

/// Participants who have joined.
struct Party {
    run: Run,
    members: Vec<Member>,
    room: String,
    rooms: BTreeSet<String>,
    joining: Joining,
    srtp: String,
    /// The server before the first joined, and after the last.
    idle: Option<Snapshot>,
    joined: Option<Snapshot>,
}

impl Party {
    async fn gather(order: &Order, place: Place) -> Result<Self> {
        let run = Run {
            order: order.clone(),
            door: place.door,
            pool: place.pool,
            common: Common {
                clips: order.media.clips(),
                ..place.common
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
        let rooms = everybody.iter().map(|who| who.room.clone()).collect();
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
        Ok(Self {
            run,
            members,
            room,
            rooms,
            joining,
            srtp,
            idle,
            joined,
        })
    }

    /// One window, recorded or not.
    async fn measure(&mut self, name: &str, recorder: Option<&Recorder>) -> Result<Outcome> {
        let Self { run, joining, .. } = self;
        let recordings = match recorder {
            Some(recorder) => Some((recorder, recorder.begin(&self.rooms).await?)),
            None => None,
        };
        run.watch(run.order.warm_up, "warming up").await?;
        run.pool.forget_delays()?;
        let before = run.look().await?;
        match run.order.scenario {
            Scenario::Churn => run.churn(&self.room, joining).await?,
            Scenario::JoinLatency => run.one_by_one(&self.room, joining).await?,
            _ => run.watch(run.order.window, "measuring").await?,
        }
        let after = run.look().await?;
        let mut outcome = run.outcome(name, &self.srtp, &before, &after, joining);
        if let Some((recorder, recordings)) = recordings {
            outcome.recorded = Some(recorder.stop(recordings).await?);
        }
        if let (Some(server), Some(idle), Some(after)) =
            (&mut outcome.server, &self.idle, &self.joined)
        {
            let grown = server.rss.max(after.rss).saturating_sub(idle.rss);
            let each = grown as f64 / 1024.0 / self.members.len().max(1) as f64;
            server.kib_per_session = (self.members.len() >= CLIENTS_MIN).then_some(each);
        }
        Ok(outcome)
    }
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
        joining: &Joining,
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
