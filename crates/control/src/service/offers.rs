//! An offer becomes a transport, tracks and slots.

use crosspoint_media::config::{ParticipantId, SessionId, SlotConfig};
use crosspoint_transport::api::{Candidate, Command, IceCredentials, WorkerId};
use crosspoint_wire::ids::Mid;
use crosspoint_wire::sdp::{MediaSection, SessionDescription};

use super::rooms::check_len;
use super::state::State;
use super::tracks::{may_publish, source_of};
use crate::api::{Answer, ControlError, IceRestart, OfferProblem, TrackDescription};
use crate::model::{Permissions, SlotInfo};
use crate::negotiate::{Negotiated, Terms, candidate_values, negotiate};

/// Longest name of a track, in bytes.
const TRACK_NAME_BYTES_MAX: usize = 1024;

impl State {
    /// Polices a session's offers before the work of reading one.
    pub(super) fn admit_offer(&mut self, session: SessionId) -> Result<(), ControlError> {
        let id = self.session_owner(session)?;
        let participant = self
            .people
            .get_mut(&id)
            .ok_or(ControlError::SessionNotFound)?;
        if !participant.offers.take(1) {
            return Err(ControlError::TooMany("offers"));
        }
        match self.workers.is_busy(participant.worker) {
            true => Err(ControlError::Overloaded),
            false => Ok(()),
        }
    }

    pub(super) fn offer(
        &mut self,
        session: SessionId,
        offer: &SessionDescription,
        descriptions: Vec<TrackDescription>,
    ) -> Result<Answer, ControlError> {
        let id = self.session_owner(session)?;
        check_names(&descriptions)?;
        let negotiated = self.negotiate_for(id, offer, &descriptions)?;
        self.counters.offers += 1;

        let participant = self
            .people
            .get_mut(&id)
            .ok_or(ControlError::SessionNotFound)?;
        let worker = participant.worker;
        let is_first = participant.negotiated.is_none();
        for description in descriptions {
            let mid = description.mid.clone();
            participant.described.insert(mid, description);
        }
        let sending: Vec<&str> = offer
            .media
            .iter()
            .filter_map(|section| section.mid.as_ref())
            .map(|mid| mid.as_str())
            .collect();
        participant
            .described
            .retain(|mid, _| sending.contains(&mid.as_str()));
        let sends = |mid: &Mid| {
            let mut sections = offer.media.iter();
            sections.any(|section| section.mid == Some(*mid) && section.direction.sends())
        };
        participant.silenced.retain(|mid, _| sends(mid));
        participant
            .feeds
            .retain(|mid, _| negotiated.slots().any(|slot| slot.mid == *mid));
        let command = match (is_first, negotiated.ice_restarted) {
            (true, _) => Some(Command::OpenSession {
                session,
                local: negotiated.local.clone(),
                remote: negotiated.remote.clone(),
                fingerprints: negotiated.fingerprints.clone(),
            }),
            (false, true) => Some(restart_command(session, &negotiated)),
            (false, false) => None,
        };
        let sdp = negotiated.answer.clone();
        let restarted = negotiated.ice_restarted;
        participant.negotiated = Some(negotiated);
        if let Some(command) = command {
            self.send(worker, command);
        }
        self.counters.ice_restarts += u64::from(restarted);
        self.sync_tracks(id);

        let participant = self.people.get(&id).ok_or(ControlError::SessionNotFound)?;
        let tracks = participant.tracks.iter();
        Ok(Answer {
            sdp,
            tracks: tracks.filter_map(|&track| self.track_info(track)).collect(),
            slots: self.slot_infos(id),
        })
    }

    /// What a session that joins with these permissions would be told of its first offer.
    pub(super) fn check_first_offer(
        &self,
        permissions: &Permissions,
        offer: &SessionDescription,
        descriptions: &[TrackDescription],
    ) -> Result<(), ControlError> {
        check_names(descriptions)?;
        let candidates = self.workers.transport.candidates(WorkerId(0));
        let described = describing(descriptions);
        self.negotiate_with(permissions, candidates, &described, None, offer)
            .map(drop)
    }

    fn negotiate_for(
        &self,
        id: ParticipantId,
        offer: &SessionDescription,
        descriptions: &[TrackDescription],
    ) -> Result<Negotiated, ControlError> {
        let participant = self.people.get(&id).ok_or(ControlError::SessionNotFound)?;
        let said_now = describing(descriptions);
        let described = |mid: &str| said_now(mid).or_else(|| participant.described.get(mid));
        self.negotiate_with(
            &participant.permissions,
            self.workers.transport.candidates(participant.worker),
            &described,
            participant.negotiated.as_ref(),
            offer,
        )
    }

    fn negotiate_with<'a>(
        &self,
        permissions: &Permissions,
        candidates: &[Candidate],
        described: &dyn Fn(&str) -> Option<&'a TrackDescription>,
        previous: Option<&Negotiated>,
        offer: &SessionDescription,
    ) -> Result<Negotiated, ControlError> {
        let may_publish = |section: &MediaSection| {
            let (Some(mid), Some(kind)) = (section.mid, section.kind.media()) else {
                return false;
            };
            may_publish(permissions, source_of(described(mid.as_str()), kind))
        };
        let terms = Terms {
            codecs: &self.config.codecs,
            fingerprint: self.workers.transport.fingerprint(),
            candidates,
            may_publish: &may_publish,
        };
        let negotiated = negotiate(offer, previous, &terms, &mut rand::rng());
        let negotiated = negotiated.map_err(ControlError::OfferRefused)?;

        // A client whose whole purpose is not allowed should hear so instead of being answered
        // with nothing (WHIP, WHEP).
        let only_media = offer
            .media
            .iter()
            .all(|section| section.kind.media().is_some());
        let sends = offer.media.iter().any(|section| section.direction.sends());
        let no_slots = negotiated.slots().next().is_none();
        let no_tracks = negotiated.receive_lines().next().is_none();
        if previous.is_none() && only_media && no_tracks {
            if no_slots && sends {
                return Err(ControlError::NotPermitted("canPublish"));
            }
            if !no_slots && !sends && !permissions.can_subscribe {
                return Err(ControlError::NotPermitted("canSubscribe"));
            }
        }
        Ok(negotiated)
    }

    pub(super) fn restart_ice(
        &mut self,
        session: SessionId,
        remote: IceCredentials,
    ) -> Result<IceRestart, ControlError> {
        check_credential("ice-ufrag", &remote.ufrag, 4)?;
        check_credential("ice-pwd", &remote.pwd, 22)?;
        let id = self.session_owner(session)?;
        let participant = self
            .people
            .get_mut(&id)
            .ok_or(ControlError::SessionNotFound)?;
        // Without an offer there is nothing to restart.
        let negotiated = participant
            .negotiated
            .as_mut()
            .ok_or(ControlError::SessionNotFound)?;
        negotiated.restart_ice(remote, &mut rand::rng());
        let (command, local) = (
            restart_command(session, negotiated),
            negotiated.local.clone(),
        );
        let worker = participant.worker;
        self.counters.ice_restarts += 1;
        self.send(worker, command);
        Ok(IceRestart {
            ufrag: local.ufrag,
            pwd: local.pwd,
            candidates: candidate_values(self.workers.transport.candidates(worker)),
        })
    }

    fn slot_infos(&self, id: ParticipantId) -> Vec<SlotInfo> {
        let negotiated = self.people.get(&id).and_then(|p| p.negotiated.as_ref());
        let slots = negotiated.into_iter().flat_map(Negotiated::slots);
        slots.map(|slot| self.slot_info(id, slot)).collect()
    }

    /// What a slot carries. A track that has ended meanwhile is nothing.
    pub(super) fn slot_info(&self, id: ParticipantId, slot: &SlotConfig) -> SlotInfo {
        let feed = self
            .people
            .get(&id)
            .and_then(|p| p.feeds.get(&slot.mid).copied());
        let feed = feed.and_then(|(track, owner)| {
            Some((self.tracks.get(&track)?.sid.clone(), self.identity(owner)?))
        });
        SlotInfo {
            mid: slot.mid.to_string(),
            kind: slot.kind,
            feed,
        }
    }
}

fn check_names(descriptions: &[TrackDescription]) -> Result<(), ControlError> {
    descriptions.iter().try_for_each(|description| {
        let len = description.name.len();
        check_len("the name of a track", len, TRACK_NAME_BYTES_MAX)
    })
}

/// Finds the description of an m-line by its mid.
fn describing<'a>(
    descriptions: &'a [TrackDescription],
) -> impl Fn(&str) -> Option<&'a TrackDescription> {
    move |mid| {
        descriptions
            .iter()
            .find(|description| description.mid == mid)
    }
}

fn restart_command(session: SessionId, negotiated: &Negotiated) -> Command {
    Command::RestartIce {
        session,
        local: negotiated.local.clone(),
        remote: negotiated.remote.clone(),
    }
}

/// As the SDP parser takes them (RFC 8839 §5.4).
fn check_credential(name: &'static str, value: &str, len_min: usize) -> Result<(), ControlError> {
    let visible = value
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b':');
    match visible && (len_min..=256).contains(&value.len()) {
        true => Ok(()),
        false => Err(ControlError::OfferRefused(OfferProblem::Attribute(name))),
    }
}
