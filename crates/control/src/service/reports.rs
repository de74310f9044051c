//! Reports of rooms, and pictures of tracks: what workers answer, under public names.
//!
//! Workers are asked in pieces, so that no answer keeps one from its packets for long.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crosspoint_media::command::Command as MediaCommand;
use crosspoint_media::config::{ParticipantId, SessionId, TrackId};
use crosspoint_media::inspect::Keyframe;
use crosspoint_transport::api::{Command, ConnectionReport, WorkerId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Service;
use super::state::State;
use crate::api::{ControlError, RoomEvent, Verdict};
use crate::model::{Identity, RoomName, TrackInfo, TrackSid};
use crate::report::{Connection, ParticipantReport, PublishedReport, ReceivedReport, RoomReport};

/// Sessions that a worker is asked about at once.
const SESSIONS_PER_QUESTION: usize = 32;

/// How long workers have to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// How often the cache is looked at for a keyframe that was asked for. It keeps packets much longer.
const KEYFRAME_LOOK: Duration = Duration::from_millis(40);

type Answers = Vec<oneshot::Receiver<Vec<ConnectionReport>>>;

impl Service {
    pub(super) async fn report_room(&self, room: &RoomName) -> Result<RoomReport, ControlError> {
        let answers = self.step(|state| state.ask_about(room))?;
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let mut reports = HashMap::new();
        for answer in answers {
            // Who does not answer is reported without figures.
            if let Ok(Ok(found)) = tokio::time::timeout_at(deadline, answer).await {
                reports.extend(
                    found
                        .into_iter()
                        .map(|report| (report.media.session, report)),
                );
            }
        }
        self.step(|state| state.room_report(room, reports))
    }

    pub(super) async fn find_keyframe(
        &self,
        room: &RoomName,
        track: &TrackSid,
        age_max: Duration,
        patience: Duration,
    ) -> Result<Option<Keyframe>, ControlError> {
        let deadline = Instant::now() + patience;
        let mut asked = false;
        loop {
            let answer = self.step(|state| state.ask_for_keyframe(room, track, asked))?;
            let found = tokio::time::timeout(ANSWER_TIMEOUT, answer).await;
            if let Ok(Ok(Some(keyframe))) = found
                && keyframe.age <= age_max
            {
                return Ok(Some(keyframe));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            if !asked {
                asked = true;
                self.step(|state| state.request_keyframe(room, track))?;
            }
            tokio::time::sleep(KEYFRAME_LOOK).await;
        }
    }
}

impl State {
    /// Puts the questions to the workers of a room's sessions.
    fn ask_about(&mut self, room: &RoomName) -> Result<Answers, ControlError> {
        let id = self.room_id(room)?;
        let mut by_worker: BTreeMap<WorkerId, Vec<SessionId>> = BTreeMap::new();
        for member in self.rooms.get(&id).iter().flat_map(|room| &room.members) {
            if let Some(participant) = self.people.get(member) {
                let sessions = by_worker.entry(participant.worker).or_default();
                sessions.push(participant.session);
            }
        }
        let mut answers = Vec::new();
        for (worker, sessions) in by_worker {
            for sessions in sessions.chunks(SESSIONS_PER_QUESTION) {
                let (reply, answer) = oneshot::channel();
                let question = Command::Inspect {
                    sessions: sessions.to_vec(),
                    reply,
                };
                // A worker whose queue is full has no time for questions.
                if self.workers.transport.send(worker, question).is_ok() {
                    answers.push(answer);
                }
            }
        }
        Ok(answers)
    }

    fn room_report(
        &self,
        room: &RoomName,
        mut reports: HashMap<SessionId, ConnectionReport>,
    ) -> Result<RoomReport, ControlError> {
        let id = self.room_id(room)?;
        let members = self.rooms.get(&id).map(|room| room.members.clone());
        let participants = members.into_iter().flatten().filter_map(|id| {
            let session = self.people.get(&id)?.session;
            self.participant_report(id, reports.remove(&session))
        });
        Ok(RoomReport {
            participants: participants.collect(),
            room: self.room_info(id)?,
        })
    }

    fn participant_report(
        &self,
        id: ParticipantId,
        report: Option<ConnectionReport>,
    ) -> Option<ParticipantReport> {
        let participant = self.people.get(&id)?;
        let infos = self.participant_info(id)?.tracks;
        let mut described = ParticipantReport {
            identity: participant.profile.identity.clone(),
            sid: participant.profile.sid.clone(),
            connection: None,
            tracks: Vec::new(),
            slots: Vec::new(),
        };
        let Some(report) = report else {
            return Some(described);
        };
        described.connection = Some(Connection {
            local: report.local,
            remote: report.remote,
            protocol: report.protocol,
            bytes_sent: report.bytes_sent,
            bytes_received: report.bytes_received,
            rtt: report.media.rtt,
            bandwidth_bps: report.media.bandwidth_bps,
            limit_bps: report.media.limit_bps,
        });
        for found in report.media.tracks {
            if let Some(track) = self.info_of(&infos, found.track) {
                described.tracks.push(PublishedReport {
                    track,
                    audio_level: found.audio_level,
                    encodings: found.encodings,
                });
            }
        }
        for slot in report.media.slots {
            if let Some((track, identity)) = slot.track.and_then(|track| self.names_of(track)) {
                described.slots.push(ReceivedReport {
                    track,
                    identity,
                    kind: slot.kind,
                    slot,
                });
            }
        }
        Some(described)
    }

    fn info_of(&self, infos: &[TrackInfo], track: TrackId) -> Option<TrackInfo> {
        let sid = &self.tracks.get(&track)?.sid;
        infos.iter().find(|info| info.sid == *sid).cloned()
    }

    fn names_of(&self, track: TrackId) -> Option<(TrackSid, Identity)> {
        let track = self.tracks.get(&track)?;
        let owner = self.people.get(&track.owner)?;
        Some((track.sid.clone(), owner.profile.identity.clone()))
    }

    fn ask_for_keyframe(
        &mut self,
        room: &RoomName,
        track: &TrackSid,
        again: bool,
    ) -> Result<oneshot::Receiver<Option<Keyframe>>, ControlError> {
        let (worker, track) = self.track_of_room(room, track)?;
        let (reply, answer) = oneshot::channel();
        let sent = self
            .workers
            .transport
            .send(worker, Command::Keyframe { track, reply });
        // The first failure is told; later ones are tried again.
        if sent.is_err() && !again {
            return Err(ControlError::Overloaded);
        }
        Ok(answer)
    }

    fn request_keyframe(&mut self, room: &RoomName, track: &TrackSid) -> Result<(), ControlError> {
        let (worker, track) = self.track_of_room(room, track)?;
        self.send_media(worker, MediaCommand::RequestKeyframe { track });
        Ok(())
    }

    pub(super) fn announce_verdict(
        &self,
        room: &RoomName,
        track: &TrackSid,
        verdict: Verdict,
    ) -> Result<(), ControlError> {
        let (_, id) = self.track_of_room(room, track)?;
        let info = self.room_info(self.room_id(room)?)?;
        let owner = self.tracks.get(&id).map(|track| track.owner);
        let owner = owner.and_then(|owner| self.participant_info(owner));
        if let Some(owner) = owner
            && let Some(judged) = owner.tracks.iter().find(|info| info.sid == *track).cloned()
        {
            self.announce(RoomEvent::Judged(info, owner, judged, verdict));
        }
        Ok(())
    }

    /// A track that is published in this room, and where.
    fn track_of_room(
        &self,
        room: &RoomName,
        sid: &TrackSid,
    ) -> Result<(WorkerId, TrackId), ControlError> {
        let room = self.room_id(room)?;
        let found = self.track_ids.get(sid).and_then(|&id| {
            let owner = self.people.get(&self.tracks.get(&id)?.owner)?;
            (owner.room == room).then_some((owner.worker, id))
        });
        found.ok_or_else(|| ControlError::TrackNotFound(sid.clone()))
    }
}
