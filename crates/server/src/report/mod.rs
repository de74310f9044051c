//! Reports: what is measured in rooms, each second.
//!
//! One task asks the control plane about every room that has participants, makes rates of two totals,
//! keeps the latest for those who ask ([`Reporter::latest`]), tells those who wait
//! ([`Reporter::ticks`]), and gives them to [`history`]. Packets never wait for it: workers answer
//! about a few sessions at a time.

pub(crate) mod dto;
pub(crate) mod history;

mod mos;
mod rates;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crosspoint_control::api::{ControlError, RoomControl};
use crosspoint_control::model::RoomName;
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use self::dto::{RoomReportDto, StateReportDto};
use self::history::Historian;
use self::rates::{Measured, rates};

/// Time between two reports of a room.
const INTERVAL: Duration = Duration::from_secs(1);

/// Rooms that are asked about at the same time.
const CONCURRENT_MAX: usize = 16;

/// The latest reports, and word of new ones.
pub(crate) struct Reporter {
    latest: RwLock<HashMap<RoomName, Arc<RoomReportDto>>>,
    ticks: watch::Sender<u64>,
}

impl Default for Reporter {
    fn default() -> Self {
        Self {
            latest: RwLock::default(),
            ticks: watch::channel(0).0,
        }
    }
}

impl Reporter {
    /// Begins to measure; ends with the reporter.
    pub(crate) fn start(self: &Arc<Self>, control: Arc<dyn RoomControl>, historian: Historian) {
        let reporter = Arc::downgrade(self);
        let mut rounds = Rounds {
            control,
            historian,
            before: HashMap::new(),
        };
        tokio::spawn(async move {
            let mut clock = tokio::time::interval(INTERVAL);
            clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                clock.tick().await;
                let latest = rounds.next().await;
                let Some(reporter) = reporter.upgrade() else {
                    return;
                };
                *reporter
                    .latest
                    .write()
                    .unwrap_or_else(PoisonError::into_inner) = latest;
                reporter.ticks.send_modify(|tick| *tick += 1);
            }
        });
    }

    /// Changes when there are new reports.
    pub(crate) fn ticks(&self) -> watch::Receiver<u64> {
        self.ticks.subscribe()
    }

    /// The latest report of a room; one without rates is made if there is none yet.
    pub(crate) async fn latest(
        &self,
        control: &dyn RoomControl,
        room: &RoomName,
    ) -> Result<Arc<RoomReportDto>, ControlError> {
        if let Some(report) = self.known(room) {
            return Ok(report);
        }
        let report = control.room_report(room).await?;
        let at = Instant::now();
        Ok(Arc::new(rates(None, &Measured { at, report })))
    }

    /// The latest report about one participant, by the id of its stay.
    pub(crate) fn about(&self, room: &RoomName, sid: &str) -> Option<StateReportDto> {
        let report = self.known(room)?;
        let participants = &report.participants;
        participants.iter().find(|who| who.sid == sid).cloned()
    }

    fn known(&self, room: &RoomName) -> Option<Arc<RoomReportDto>> {
        let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
        latest.get(room).cloned()
    }
}

/// What is remembered from one round to the next.
struct Rounds {
    control: Arc<dyn RoomControl>,
    historian: Historian,
    /// By the id of the room's occurrence.
    before: HashMap<String, Measured>,
}

impl Rounds {
    async fn next(&mut self) -> HashMap<RoomName, Arc<RoomReportDto>> {
        let rooms = self.control.rooms().await.unwrap_or_default();
        let names: Vec<RoomName> = rooms.into_iter().map(|room| room.name).collect();
        let questions: Vec<_> = names
            .into_iter()
            .map(|name| measure(Arc::clone(&self.control), name))
            .collect();
        let measured: Vec<Option<Measured>> = futures_util::stream::iter(questions)
            .buffer_unordered(CONCURRENT_MAX)
            .collect()
            .await;
        let mut latest = HashMap::with_capacity(measured.len());
        let mut before = HashMap::with_capacity(measured.len());
        for now in measured.into_iter().flatten() {
            let sid = now.report.room.sid.clone();
            let report = Arc::new(rates(self.before.get(&sid), &now));
            latest.insert(now.report.room.name.clone(), Arc::clone(&report));
            self.historian.note(&now.report.room, &report);
            before.insert(sid, now);
        }
        self.before = before;
        self.historian.round_done().await;
        latest
    }
}

/// The totals of a room; `None` when it has ended meanwhile.
async fn measure(control: Arc<dyn RoomControl>, name: RoomName) -> Option<Measured> {
    let report = control.room_report(&name).await.ok()?;
    let at = Instant::now();
    Some(Measured { at, report })
}
