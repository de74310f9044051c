//! What is kept of reports: a point per second, one per ten seconds, a summary per occurrence of a
//! room. The store bounds how much of it there is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use crosspoint_control::api::RoomEvent;
use crosspoint_control::model::RoomInfo;
use crosspoint_store::Store;
use crosspoint_store::history::{NewOccurrence, Point, Retention};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::TryRecvError;
use utoipa::ToSchema;

use super::dto::{
    ParticipantSampleDto, RoomReportDto, SampleDto, StateReportDto, TrackSampleDto, TrackStatDto,
};
use super::rates::unix_ms;
use crate::config::History;

/// Length of the coarse steps, in fine ones.
const COARSE_STEPS: usize = 10;

/// Largest sample; of a larger one the tracks are left out.
const SAMPLE_BYTES_MAX: usize = 64 << 10;

/// Rounds between two looks at what is too old.
const PRUNE_ROUNDS: u64 = 60;

/// Why an occurrence ended of which nobody said so.
const REASON_UNKNOWN: &str = "unknown";

/// Why an occurrence ended whose node stopped without a word.
const REASON_LOST: &str = "node_lost";

/// What an occurrence of a room was like.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SummaryDto {
    /// Identities that were there.
    pub(crate) identities: u64,
    /// Most participants at a time.
    pub(crate) peak_participants: u64,
    /// Sum of their stays.
    pub(crate) participant_minutes: f64,
    /// Tracks that were published.
    pub(crate) tracks: u64,
    /// Received from and sent to all participants, megabytes (10^6).
    pub(crate) received_mb: f64,
    pub(crate) sent_mb: f64,
    /// Of all participants and seconds; ms, 0 to 1, 1 to 4.4.
    pub(crate) rtt_mean: Option<f64>,
    pub(crate) rtt_max: Option<f64>,
    pub(crate) packets_lost_rate_mean: Option<f64>,
    pub(crate) packets_lost_rate_max: Option<f64>,
    pub(crate) mos_mean: Option<f64>,
    pub(crate) mos_min: Option<f64>,
}

/// Writes history.
pub(crate) struct Historian {
    store: Option<Store>,
    node: String,
    keep: History,
    rooms: HashMap<String, Life>,
    events: broadcast::Receiver<RoomEvent>,
    rounds: u64,
}

impl Historian {
    /// Without a store nothing is kept.
    pub(crate) fn new(
        store: Option<Store>,
        node: String,
        keep: History,
        events: broadcast::Receiver<RoomEvent>,
    ) -> Self {
        Self {
            store,
            node,
            keep,
            rooms: HashMap::new(),
            events,
            rounds: 0,
        }
    }

    /// Takes a room's report of this second. Rooms in which nobody has been yet have no history.
    pub(super) fn note(&mut self, room: &RoomInfo, report: &RoomReportDto) {
        let Some(store) = &self.store else {
            return;
        };
        let known = self.rooms.contains_key(&room.sid);
        if !known && report.participants.is_empty() {
            return;
        }
        let life = self.rooms.entry(room.sid.clone()).or_default();
        if !known {
            store.begin_occurrence(NewOccurrence {
                id: room.sid.clone(),
                room: room.name.to_string(),
                node: self.node.clone(),
                started_at_ms: signed(unix_ms(room.created_at)),
            });
        }
        life.round = self.rounds;
        if report.participants.is_empty() {
            return;
        }
        let sample = sample_of(report);
        life.tally.add(report);
        let at_ms = signed(report.timestamp);
        add_point(store, &room.sid, 1, at_ms, &sample);
        life.recent.push(sample);
        if life.recent.len() == COARSE_STEPS {
            let mean = mean_of(&life.recent);
            add_point(store, &room.sid, 10, at_ms, &mean);
            life.recent.clear();
        }
    }

    /// To be called when all rooms were noted: ends those that have ended, and forgets now and then
    /// what is too old.
    pub(super) async fn round_done(&mut self) {
        self.end_finished();
        let round = self.rounds;
        let gone: Vec<String> = self
            .rooms
            .iter()
            .filter(|(_, life)| life.round < round)
            .map(|(sid, _)| sid.clone())
            .collect();
        for sid in gone {
            // Its event was missed, or comes late.
            self.end(&sid, REASON_UNKNOWN);
        }
        if self.rounds.is_multiple_of(PRUNE_ROUNDS) {
            self.prune().await;
        }
        self.rounds += 1;
    }

    fn end_finished(&mut self) {
        loop {
            match self.events.try_recv() {
                Ok(RoomEvent::RoomFinished(room, reason)) => self.end(&room.sid, reason.label()),
                Ok(_) | Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    fn end(&mut self, sid: &str, reason: &str) {
        let (Some(store), Some(life)) = (&self.store, self.rooms.remove(sid)) else {
            return;
        };
        let now = signed(unix_ms(SystemTime::now()));
        store.end_occurrence(sid, now, reason, json(&life.tally.summary()));
    }

    async fn prune(&self) {
        let Some(store) = &self.store else {
            return;
        };
        let now = SystemTime::now();
        let before = |seconds| {
            let time = now.checked_sub(Duration::from_secs(seconds));
            time.map_or(0, |time| signed(unix_ms(time)))
        };
        if self.rounds == 0
            && let Err(error) = store.end_unfinished(&self.node, REASON_LOST).await
        {
            tracing::warn!(%error, "rooms of before the start stay unfinished in history");
        }
        let retention = Retention {
            fine_since_ms: before(self.keep.fine_s.min(self.keep.keep_s)),
            since_ms: before(self.keep.keep_s),
            points_max: signed(self.keep.points_max),
        };
        if let Err(error) = store.prune_history(retention).await {
            tracing::debug!(%error, "history could not be pruned; it will be tried again");
        }
    }
}

/// An occurrence under way.
#[derive(Default)]
struct Life {
    /// The last round in which it was seen.
    round: u64,
    /// Samples of the coarse step under way.
    recent: Vec<SampleDto>,
    tally: Tally,
}

/// Sums for the summary.
#[derive(Default)]
struct Tally {
    identities: BTreeSet<String>,
    tracks: BTreeSet<String>,
    peak: usize,
    seconds: u64,
    received_kbit: f64,
    sent_kbit: f64,
    rtt: Spread,
    loss: Spread,
    mos: Spread,
}

impl Tally {
    fn add(&mut self, report: &RoomReportDto) {
        self.peak = self.peak.max(report.participants.len());
        self.seconds += report.participants.len() as u64;
        for who in &report.participants {
            if !self.identities.contains(&who.identity) {
                self.identities.insert(who.identity.clone());
            }
            for track in &who.senders {
                if !self.tracks.contains(&track.track_id) {
                    self.tracks.insert(track.track_id.clone());
                }
            }
            if let Some(pair) = &who.ice_candidate_pair {
                self.received_kbit += pair.bitrate_send;
                self.sent_kbit += pair.bitrate_recv;
                self.rtt.add(pair.rtt);
            }
            for track in who.senders.iter().chain(&who.receivers) {
                self.loss.add(track.packets_lost_rate);
            }
            self.mos.add(who.mos);
        }
    }

    fn summary(&self) -> SummaryDto {
        let megabytes = |kbit: f64| round(kbit / 8000.0, 10.0);
        SummaryDto {
            identities: self.identities.len() as u64,
            peak_participants: self.peak as u64,
            participant_minutes: round(self.seconds as f64 / 60.0, 100.0),
            tracks: self.tracks.len() as u64,
            received_mb: megabytes(self.received_kbit),
            sent_mb: megabytes(self.sent_kbit),
            rtt_mean: self.rtt.mean(),
            rtt_max: self.rtt.max,
            packets_lost_rate_mean: self.loss.mean(),
            packets_lost_rate_max: self.loss.max,
            mos_mean: self.mos.mean(),
            mos_min: self.mos.min,
        }
    }
}

/// Values over time.
#[derive(Default)]
struct Spread {
    sum: f64,
    count: u64,
    min: Option<f64>,
    max: Option<f64>,
}

impl Spread {
    fn add(&mut self, value: Option<f64>) {
        let Some(value) = value else {
            return;
        };
        self.sum += value;
        self.count += 1;
        self.min = Some(self.min.map_or(value, |min| min.min(value)));
        self.max = Some(self.max.map_or(value, |max| max.max(value)));
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| round(self.sum / self.count as f64, 1000.0))
    }
}

/// What is kept of a report: of what a participant receives, sound and pictures as a whole.
fn sample_of(report: &RoomReportDto) -> SampleDto {
    SampleDto {
        participants: report.participants.iter().map(participant_of).collect(),
    }
}

fn participant_of(report: &StateReportDto) -> ParticipantSampleDto {
    let pair = report.ice_candidate_pair.as_ref();
    let mut tracks: Vec<_> = report.senders.iter().map(track_of).collect();
    for kind in ["audio", "video"] {
        let of_kind = report.receivers.iter().filter(|track| track.kind == kind);
        tracks.extend(together(kind, of_kind));
    }
    ParticipantSampleDto {
        identity: report.identity.clone(),
        bitrate_send: pair.map_or(0.0, |pair| pair.bitrate_send),
        bitrate_recv: pair.map_or(0.0, |pair| pair.bitrate_recv),
        rtt: pair.and_then(|pair| pair.rtt),
        available_incoming_bitrate: pair.and_then(|pair| pair.available_incoming_bitrate),
        mos: report.mos,
        tracks,
    }
}

fn track_of(track: &TrackStatDto) -> TrackSampleDto {
    TrackSampleDto {
        track_id: track.track_id.clone(),
        kind: track.kind.to_owned(),
        remote_resource: track.remote_resource,
        bitrate: track.bitrate,
        packets_lost_rate: track.packets_lost_rate,
        jitter: track.jitter,
        frame_rate: track.frame_rate,
        layer: track.layer,
    }
}

/// All of one kind that a participant receives: bitrates add up, of the rest the mean counts.
fn together<'a>(
    kind: &str,
    tracks: impl Iterator<Item = &'a TrackStatDto>,
) -> Option<TrackSampleDto> {
    let samples: Vec<_> = tracks.map(track_of).collect();
    let all: Vec<_> = samples.iter().collect();
    if all.is_empty() {
        return None;
    }
    Some(TrackSampleDto {
        track_id: String::new(),
        kind: kind.to_owned(),
        remote_resource: true,
        bitrate: round(all.iter().map(|track| track.bitrate).sum(), 10.0),
        layer: None,
        ..mean_track(&all)
    })
}

/// The mean over a coarse step. Who was there for a part of it is averaged over that part.
fn mean_of(samples: &[SampleDto]) -> SampleDto {
    let mut people: BTreeMap<&str, Vec<&ParticipantSampleDto>> = BTreeMap::new();
    for participant in samples.iter().flat_map(|sample| &sample.participants) {
        people
            .entry(&participant.identity)
            .or_default()
            .push(participant);
    }
    let mean_participant = |(identity, samples): (&&str, &Vec<&ParticipantSampleDto>)| {
        let mut tracks: BTreeMap<_, Vec<&TrackSampleDto>> = BTreeMap::new();
        for track in samples.iter().flat_map(|sample| &sample.tracks) {
            let key = (track.remote_resource, &track.track_id, &track.kind);
            tracks.entry(key).or_default().push(track);
        }
        ParticipantSampleDto {
            identity: (*identity).to_owned(),
            bitrate_send: mean(samples.iter().map(|s| Some(s.bitrate_send))).unwrap_or(0.0),
            bitrate_recv: mean(samples.iter().map(|s| Some(s.bitrate_recv))).unwrap_or(0.0),
            rtt: mean(samples.iter().map(|s| s.rtt)),
            available_incoming_bitrate: samples
                .iter()
                .rev()
                .find_map(|s| s.available_incoming_bitrate),
            mos: mean(samples.iter().map(|s| s.mos)),
            tracks: tracks.values().map(|track| mean_track(track)).collect(),
        }
    };
    SampleDto {
        participants: people.iter().map(mean_participant).collect(),
    }
}

/// The mean of samples of one track; names and layer are those of the last.
fn mean_track(samples: &[&TrackSampleDto]) -> TrackSampleDto {
    let last = samples.last().map(|last| (*last).clone());
    TrackSampleDto {
        bitrate: mean(samples.iter().map(|s| Some(s.bitrate))).unwrap_or(0.0),
        packets_lost_rate: mean(samples.iter().map(|s| s.packets_lost_rate)),
        jitter: mean(samples.iter().map(|s| s.jitter)),
        frame_rate: mean(samples.iter().map(|s| s.frame_rate)),
        ..last.unwrap_or_default()
    }
}

fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut spread = Spread::default();
    values.for_each(|value| spread.add(value));
    spread.mean()
}

fn add_point(store: &Store, occurrence: &str, step_s: i64, at_ms: i64, sample: &SampleDto) {
    let mut text = json(sample);
    if text.len() > SAMPLE_BYTES_MAX {
        let mut short = sample.clone();
        for participant in &mut short.participants {
            participant.tracks.clear();
        }
        text = json(&short);
        metrics::counter!("crosspoint_history_samples_shortened_total").increment(1);
    }
    store.add_point(
        occurrence,
        Point {
            step_s,
            at_ms,
            sample: text,
        },
    );
}

/// Plain structs with text keys cannot fail to serialise.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn round(value: f64, per_unit: f64) -> f64 {
    (value * per_unit).round() / per_unit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(identity: &str, bitrate: f64, rtt: Option<f64>) -> SampleDto {
        SampleDto {
            participants: vec![ParticipantSampleDto {
                identity: identity.to_owned(),
                bitrate_send: bitrate,
                rtt,
                tracks: vec![TrackSampleDto {
                    track_id: "TR_1".to_owned(),
                    bitrate,
                    layer: Some(2),
                    ..TrackSampleDto::default()
                }],
                ..ParticipantSampleDto::default()
            }],
        }
    }

    #[test]
    fn a_coarse_step_is_the_mean_of_those_who_were_there() {
        let mean = mean_of(&[
            sample("alice", 100.0, None),
            sample("alice", 300.0, Some(20.0)),
            sample("bob", 50.0, Some(4.0)),
        ]);
        let [alice, bob] = &mean.participants[..] else {
            panic!("{mean:?}");
        };
        assert_eq!((alice.bitrate_send, alice.rtt), (200.0, Some(20.0)));
        assert_eq!(alice.tracks[0].bitrate, 200.0);
        assert_eq!(alice.tracks[0].layer, Some(2));
        assert_eq!((bob.bitrate_send, bob.rtt), (50.0, Some(4.0)));
    }

    #[tokio::test]
    async fn a_room_is_written_from_its_first_guest_to_its_end() {
        let store = Store::open("sqlite::memory:").await.unwrap();
        let (sender, events) = broadcast::channel(8);
        let keep = History {
            fine_s: 3600,
            keep_s: 86_400,
            points_max: 1000,
        };
        let mut historian = Historian::new(Some(store.clone()), "here".into(), keep, events);
        let room = RoomInfo {
            name: crosspoint_control::model::RoomName::new("demo").unwrap(),
            sid: "RM_1".to_owned(),
            settings: Default::default(),
            created_at: SystemTime::now(),
            num_participants: 1,
            num_publishers: 0,
            active_speakers: Vec::new(),
        };
        let start = unix_ms(SystemTime::now());
        for second in 0..25 {
            let guest = StateReportDto {
                timestamp: start + second * 1000,
                ice_candidate_pair: None,
                senders: Vec::new(),
                receivers: Vec::new(),
                identity: "alice".to_owned(),
                sid: "PA_1".to_owned(),
                mos: Some(4.0),
            };
            let report = RoomReportDto {
                room: "demo".to_owned(),
                sid: "RM_1".to_owned(),
                timestamp: start + second * 1000,
                // She comes after three seconds.
                participants: if second < 3 { vec![] } else { vec![guest] },
            };
            historian.note(&room, &report);
            historian.round_done().await;
        }
        sender
            .send(RoomEvent::RoomFinished(
                room,
                crosspoint_control::model::Reason::Empty,
            ))
            .unwrap();
        historian.round_done().await;
        store.flush().await;
        let occurrence = store.occurrence("RM_1").await.unwrap().unwrap();
        assert_eq!(occurrence.reason.as_deref(), Some("empty"));
        let summary: SummaryDto = serde_json::from_str(&occurrence.summary.unwrap()).unwrap();
        assert_eq!((summary.identities, summary.peak_participants), (1, 1));
        assert_eq!(summary.participant_minutes, 0.37);
        assert_eq!(summary.mos_mean, Some(4.0));
        let points = store.points("RM_1", 0, 1000).await.unwrap();
        assert_eq!(points.len(), 22, "one a second while they are kept");
    }
}
