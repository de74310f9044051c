//! From two reports of totals to one of rates.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crosspoint_control::report::{
    Connection, ParticipantReport, PublishedReport, ReceivedReport, RoomReport,
};
use crosspoint_media::inspect::EncodingReport;
use crosspoint_transport::api::Protocol;
use crosspoint_wire::codec::MediaKind;
use tokio::time::Instant;

use super::dto::{CandidatePairDto, EncodingStatDto, RoomReportDto, StateReportDto, TrackStatDto};
use super::mos::mos;

/// A report and when it was made.
pub(super) struct Measured {
    pub(super) at: Instant,
    pub(super) report: RoomReport,
}

/// The rates between `before` and `now`; all of them 0 without a report before.
pub(super) fn rates(before: Option<&Measured>, now: &Measured) -> RoomReportDto {
    let timestamp = unix_ms(SystemTime::now());
    let elapsed = before.map_or(Duration::ZERO, |before| now.at.duration_since(before.at));
    let known: HashMap<&str, &ParticipantReport> = before
        .into_iter()
        .flat_map(|before| &before.report.participants)
        .map(|participant| (participant.sid.as_str(), participant))
        .collect();
    let participants = now.report.participants.iter().map(|participant| {
        Rates {
            before: known.get(participant.sid.as_str()).copied(),
            now: participant,
            elapsed,
        }
        .state(timestamp)
    });
    RoomReportDto {
        room: now.report.room.name.to_string(),
        sid: now.report.room.sid.clone(),
        timestamp,
        participants: participants.collect(),
    }
}

pub(super) fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// One participant, then and now.
struct Rates<'a> {
    before: Option<&'a ParticipantReport>,
    now: &'a ParticipantReport,
    elapsed: Duration,
}

impl Rates<'_> {
    fn state(&self, timestamp: u64) -> StateReportDto {
        let senders: Vec<_> = self.now.tracks.iter().map(|t| self.sender(t)).collect();
        let receivers: Vec<_> = self.now.slots.iter().map(|s| self.receiver(s)).collect();
        let scores = senders.iter().chain(&receivers).filter_map(|t| t.mos);
        StateReportDto {
            timestamp,
            ice_candidate_pair: self.now.connection.as_ref().map(|c| self.pair(c)),
            mos: scores.reduce(f64::min),
            identity: self.now.identity.to_string(),
            sid: self.now.sid.clone(),
            senders,
            receivers,
        }
    }

    fn pair(&self, now: &Connection) -> CandidatePairDto {
        let before = self.before.and_then(|before| before.connection.as_ref());
        let rate = |total: fn(&Connection) -> u64| {
            let first = before.map_or_else(|| total(now), total);
            self.kbps(first, total(now))
        };
        let ip = |address: Option<SocketAddr>| {
            let address = address.filter(|address| !address.ip().is_unspecified());
            address.map_or_else(String::new, |address| {
                address.ip().to_canonical().to_string()
            })
        };
        let port = |address: Option<SocketAddr>| address.map_or(0, |address| address.port());
        CandidatePairDto {
            ip: ip(now.remote),
            port: port(now.remote),
            network_type: None,
            remote_ip: ip(now.local),
            remote_port: port(now.local),
            protocol: match now.protocol {
                Protocol::Udp => "udp",
                Protocol::TcpPassive => "tcp",
            },
            bitrate_send: rate(|c| c.bytes_received),
            bitrate_recv: rate(|c| c.bytes_sent),
            rtt: now.rtt.map(ms),
            available_outgoing_bitrate: now.limit_bps,
            available_incoming_bitrate: if self.now.slots.is_empty() {
                Some(0)
            } else {
                now.bandwidth_bps
            },
        }
    }

    fn sender(&self, now: &PublishedReport) -> TrackStatDto {
        let sid = &now.track.sid;
        let before = self
            .before
            .and_then(|before| before.tracks.iter().find(|t| t.track.sid == *sid));
        let encodings: Vec<_> = now
            .encodings
            .iter()
            .enumerate()
            .map(|(place, encoding)| {
                let before = before.and_then(|before| before.encodings.get(place));
                self.encoding(before.unwrap_or(encoding), encoding)
            })
            .collect();
        let flowing = || encodings.iter().filter(|encoding| encoding.active);
        let best = encodings.iter().rposition(|encoding| encoding.active);
        let total = |count: fn(&EncodingReport) -> u64| now.encodings.iter().map(count).sum();
        let video = now.track.kind == MediaKind::Video;
        let loss = loss_of(before.map(|before| &before.encodings[..]), &now.encodings);
        let jitter = flowing().map(|e| e.jitter).reduce(f64::max);
        let known = |pixels: u32| (pixels > 0).then_some(pixels);
        TrackStatDto {
            id: now.track.mid.clone(),
            track_id: sid.0.clone(),
            kind: kind(now.track.kind),
            packets_lost_rate: loss,
            remote_resource: false,
            audio_level: now.audio_level.map(loudness),
            frame_height: known(now.track.height),
            frame_width: known(now.track.width),
            frame_rate: video.then(|| best_of(&encodings, best).map_or(0.0, |e| e.frame_rate)),
            bitrate: encodings.iter().map(|encoding| encoding.bitrate).sum(),
            jitter,
            identity: self.now.identity.to_string(),
            source: source(now.track.source).to_owned(),
            codec: now.track.codec.map(|codec| codec.name()),
            muted: now.track.muted,
            packets: total(|e| e.packets + e.repairs),
            bytes: total(|e| e.bytes),
            packets_lost: now.encodings.iter().map(lost).sum(),
            repeats: total(|e| e.repairs),
            nack_count: total(|e| e.nacks),
            pli_count: total(|e| e.plis),
            fir_count: total(|e| e.firs),
            layer: best
                .filter(|_| video)
                .and_then(|place| u8::try_from(place).ok()),
            freeze_count: best_freezes(now, best).0,
            freeze_duration_ms: best_freezes(now, best).1,
            mos: self.score(video, loss, jitter),
            encodings,
        }
    }

    fn encoding(&self, before: &EncodingReport, now: &EncodingReport) -> EncodingStatDto {
        EncodingStatDto {
            rid: now.rid.map(|rid| rid.to_string()),
            active: now.active,
            bitrate: self.kbps(before.bytes, now.bytes),
            frame_rate: self.per_second(before.frames, now.frames),
            packets_lost_rate: loss_of(
                Some(std::slice::from_ref(before)),
                std::slice::from_ref(now),
            ),
            jitter: ms(now.jitter),
            packets: now.packets,
            repairs: now.repairs,
            keyframes: now.keyframes,
            nack_count: now.nacks,
            pli_count: now.plis,
            fir_count: now.firs,
            freeze_count: now.freezes,
        }
    }

    fn receiver(&self, now: &ReceivedReport) -> TrackStatDto {
        let mid = now.slot.mid;
        let before = self
            .before
            .and_then(|before| before.slots.iter().find(|slot| slot.slot.mid == mid));
        let before = before.map_or(&now.slot, |before| &before.slot);
        let video = now.kind == MediaKind::Video;
        let remote = now.slot.remote;
        let loss = remote.map(|remote| f64::from(remote.fraction_lost) / 256.0);
        let jitter = remote.map(|remote| ms(remote.jitter));
        TrackStatDto {
            id: mid.to_string(),
            track_id: now.track.0.clone(),
            kind: kind(now.kind),
            packets_lost_rate: loss,
            remote_resource: true,
            frame_rate: video.then(|| self.per_second(before.frames, now.slot.frames)),
            bitrate: self.kbps(before.bytes, now.slot.bytes),
            jitter,
            identity: now.identity.to_string(),
            codec: now.slot.codec.map(|codec| codec.name()),
            packets: now.slot.packets + now.slot.repeats,
            bytes: now.slot.bytes,
            packets_lost: remote.map_or(0, |remote| remote.lost.into()),
            repeats: now.slot.repeats,
            nack_count: now.slot.nacks,
            pli_count: now.slot.plis,
            fir_count: now.slot.firs,
            layer: now.slot.encoding.filter(|_| video),
            mos: self.score(video, loss, jitter),
            ..TrackStatDto::default()
        }
    }

    fn score(&self, video: bool, loss: Option<f64>, jitter: Option<f64>) -> Option<f64> {
        let rtt = self.now.connection.as_ref().and_then(|c| c.rtt);
        let heard = !video && loss.is_some();
        heard.then(|| {
            let score = mos(
                rtt.map_or(0.0, ms),
                jitter.unwrap_or(0.0),
                loss.unwrap_or(0.0),
            );
            (score * 100.0).round() / 100.0
        })
    }

    fn kbps(&self, before: u64, now: u64) -> f64 {
        round(self.per_second(before, now) * 8.0 / 1000.0)
    }

    fn per_second(&self, before: u64, now: u64) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 {
            round(now.saturating_sub(before) as f64 / seconds)
        } else {
            0.0
        }
    }
}

/// Share of packets that were due since then and did not come by themselves; `None` when none was.
fn loss_of(before: Option<&[EncodingReport]>, now: &[EncodingReport]) -> Option<f64> {
    let before = before.unwrap_or_default();
    let sum = |of: &[EncodingReport], count: fn(&EncodingReport) -> u64| {
        of.iter().map(count).sum::<u64>()
    };
    let due = sum(now, |e| e.expected).saturating_sub(sum(before, |e| e.expected));
    let came = sum(now, |e| e.packets).saturating_sub(sum(before, |e| e.packets));
    (due > 0).then(|| due.saturating_sub(came) as f64 / due as f64)
}

fn lost(encoding: &EncodingReport) -> i64 {
    encoding.expected.cast_signed() - encoding.packets.cast_signed()
}

fn best_of(encodings: &[EncodingStatDto], place: Option<usize>) -> Option<&EncodingStatDto> {
    encodings.get(place?)
}

fn best_freezes(track: &PublishedReport, place: Option<usize>) -> (u64, u64) {
    let encoding = place.and_then(|place| track.encodings.get(place));
    encoding.map_or((0, 0), |encoding| {
        let frozen = u64::try_from(encoding.frozen.as_millis()).unwrap_or(u64::MAX);
        (encoding.freezes, frozen)
    })
}

const fn kind(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
    }
}

const fn source(source: crosspoint_media::config::TrackSource) -> &'static str {
    use crosspoint_media::config::TrackSource;
    match source {
        TrackSource::Microphone => "microphone",
        TrackSource::Camera => "camera",
        TrackSource::ScreenShare => "screen_share",
        TrackSource::ScreenShareAudio => "screen_share_audio",
        TrackSource::Other => "other",
    }
}

/// From -dBov (RFC 6464) to the linear 0 to 1 of `RTCAudioSourceStats.audioLevel`.
fn loudness(level: u8) -> f64 {
    if level >= 127 {
        return 0.0;
    }
    let linear = 10_f64.powf(-f64::from(level) / 20.0);
    (linear * 1000.0).round() / 1000.0
}

fn ms(duration: Duration) -> f64 {
    round(duration.as_secs_f64() * 1000.0)
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests;
