//! Tracks appear, are muted and disappear; who wants which.

use std::collections::{BTreeMap, BTreeSet};

use crosspoint_media::command::Command as MediaCommand;
use crosspoint_media::config::{ParticipantId, TrackId, TrackSource, Wish};
use crosspoint_wire::codec::MediaKind;

use super::state::{Participant, State, Track, new_sid};
use crate::api::{ControlError, MutedBy, RoomEvent, SessionEvent, TrackDescription};
use crate::model::{Identity, Permissions, RoomName, SubscriptionWish, TrackInfo, TrackSid};
use crate::negotiate::{Published, ReceiveLine};

/// What an m-line carries, by its description or else by its kind.
pub(super) fn source_of(described: Option<&TrackDescription>, kind: MediaKind) -> TrackSource {
    match (described, kind) {
        (Some(description), _) => description.source,
        (None, MediaKind::Audio) => TrackSource::Microphone,
        (None, MediaKind::Video) => TrackSource::Camera,
    }
}

/// Whether this may be published. Who is hidden may negotiate it, so that nothing has to be
/// negotiated anew when that changes.
pub(super) fn may_publish(permissions: &Permissions, source: TrackSource) -> bool {
    let sources = &permissions.can_publish_sources;
    permissions.can_publish && (sources.is_empty() || sources.contains(&source))
}

impl Participant {
    fn source_of(&self, mid: &str, kind: MediaKind) -> TrackSource {
        source_of(self.described.get(mid), kind)
    }

    /// Who is hidden is not heard either, but for an audience.
    const fn is_heard(&self) -> bool {
        !self.permissions.hidden || self.audience.is_some()
    }

    /// Whether its engine feeds it tracks that it said nothing about.
    fn takes_everything(&self) -> bool {
        let listening = &self.listening;
        self.permissions.can_subscribe && listening.auto_subscribe && listening.only.is_none()
    }

    /// What its engine takes a track for that nothing was said about.
    fn usual_wish(&self) -> Wish {
        Wish {
            wanted: self.takes_everything(),
            ..Wish::default()
        }
    }

    /// What its engine must be told about a track; `None`: nothing special.
    fn wish_for(&self, track: TrackId, owner: &Identity) -> Option<Wish> {
        let said = self.listening.wishes.get(&track).copied();
        let meant = self.listening.only.as_ref() == Some(owner);
        let wish = said.or_else(|| meant.then(Wish::default))?;
        Some(Wish {
            wanted: wish.wanted && self.permissions.can_subscribe,
            ..wish
        })
    }
}

impl State {
    /// Brings a participant's tracks in line with what its last offer sends and what it may
    /// publish, and its engine in line with both.
    pub(super) fn sync_tracks(&mut self, id: ParticipantId) {
        let Some(participant) = self.people.get(&id) else {
            return;
        };
        let Some(negotiated) = &participant.negotiated else {
            return;
        };
        let lines: Vec<ReceiveLine> = negotiated
            .receive_lines()
            .filter(|line| {
                let source = participant.source_of(line.mid.as_str(), line.kind);
                participant.is_heard() && may_publish(&participant.permissions, source)
            })
            .cloned()
            .collect();
        let before = participant.tracks.clone();
        let worker = participant.worker;
        let mut tracks = Vec::with_capacity(lines.len());
        let mut new = Vec::new();
        for line in &lines {
            let is_this = |track: &&TrackId| {
                let track = self.tracks.get(track);
                track.is_some_and(|track| (track.mid, track.since) == (line.mid, line.since))
            };
            let track = match before.iter().find(is_this) {
                Some(&track) => track,
                None => {
                    let track = self.make_track(id, line);
                    new.push(track);
                    track
                }
            };
            tracks.push(track);
        }
        for track in before {
            if !tracks.contains(&track) {
                self.unpublish(track);
            }
        }
        if let Some(participant) = self.people.get_mut(&id) {
            participant.tracks.clone_from(&tracks);
        }
        self.put_session(id);
        self.tell_policy(id);
        for &track in &tracks {
            match new.contains(&track) {
                true => self.announce_track(track),
                false => self.redescribe(track),
            }
            self.route_track(track);
            self.refresh_relays(track);
            self.tell_priority_at(worker, track);
            self.tell_wishes_about(track);
        }
        self.tell_all_wishes(id);
    }

    fn make_track(&mut self, owner: ParticipantId, line: &ReceiveLine) -> TrackId {
        let id = TrackId(self.next_id());
        let sid = TrackSid(new_sid("TR"));
        let participant = self.people.get(&owner);
        let described = participant.and_then(|p| p.described.get(line.mid.as_str()));
        let source = participant.map_or(TrackSource::Other, |participant| {
            participant.source_of(line.mid.as_str(), line.kind)
        });
        let silenced = participant.and_then(|p| p.silenced.get(&line.mid));
        let track = Track {
            sid: sid.clone(),
            owner,
            kind: line.kind,
            mid: line.mid,
            since: line.since,
            source,
            name: described.map(|d| d.name.clone()).unwrap_or_default(),
            size: described.map_or((0, 0), |d| (d.width, d.height)),
            simulcast: line.rids.len().max(line.ssrcs.len()) > 1,
            codec: None,
            muted_by_owner: described.is_some_and(|d| d.muted),
            muted_by_server: silenced == Some(&source),
            links: BTreeSet::new(),
            relays: BTreeMap::new(),
        };
        self.tracks.insert(id, track);
        self.track_ids.insert(sid, id);
        id
    }

    /// Takes over what a later offer says of a track.
    fn redescribe(&mut self, id: TrackId) {
        let Some(track) = self.tracks.get_mut(&id) else {
            return;
        };
        let described = self.people.get(&track.owner).map(|owner| &owner.described);
        let Some(description) = described.and_then(|all| all.get(track.mid.as_str())) else {
            return;
        };
        let size = (description.width, description.height);
        let same = track.name == description.name
            && (track.source, track.size) == (description.source, size);
        if !same {
            track.name.clone_from(&description.name);
            (track.source, track.size) = (description.source, size);
            self.announce_track_update(id);
        }
    }

    /// Tells a session's engine what its last offer, its tracks and its permissions come to.
    fn put_session(&mut self, id: ParticipantId) {
        let Some(participant) = self.people.get(&id) else {
            return;
        };
        let Some(negotiated) = &participant.negotiated else {
            return;
        };
        let config = negotiated.session_config(|line| {
            let tracks = participant.tracks.iter();
            let mut tracks = tracks.filter_map(|id| Some((*id, self.tracks.get(id)?)));
            let (id, track) = tracks.find(|(_, track)| track.mid == line.mid)?;
            Some(Published {
                track: id,
                source: track.source,
                muted: track.is_muted(),
                reserved: participant.audience.is_some(),
            })
        });
        let command = MediaCommand::PutSession {
            session: participant.session,
            participant: id,
            room: participant.room,
            config,
            auto_subscribe: participant.takes_everything(),
        };
        self.send_media(participant.worker, command);
    }

    fn announce_track(&mut self, id: TrackId) {
        let Some((owner, info)) = self.owner_and_info(id) else {
            return;
        };
        let Some(identity) = self.identity(owner) else {
            return;
        };
        for room in self.rooms_of(owner) {
            let event = SessionEvent::TrackPublished(identity.clone(), info.clone());
            self.tell_room(room, owner, &event);
        }
        self.announce_of(owner, |room, who| {
            RoomEvent::TrackPublished(room, who, info)
        });
    }

    pub(super) fn announce_track_update(&mut self, id: TrackId) {
        self.route_taps(id);
        let Some((owner, info)) = self.owner_and_info(id) else {
            return;
        };
        let Some(identity) = self.identity(owner) else {
            return;
        };
        for room in self.rooms_of(owner) {
            let event = SessionEvent::TrackUpdated(identity.clone(), info.clone());
            self.tell_room(room, owner, &event);
        }
        self.announce_of(owner, |room, who| RoomEvent::TrackUpdated(room, who, info));
    }

    /// Ends a track. Its engine is told with the session's next configuration, or its end.
    pub(super) fn unpublish(&mut self, id: TrackId) {
        let Some((owner, info)) = self.owner_and_info(id) else {
            return;
        };
        self.close_relays(id);
        self.tracks.remove(&id);
        self.track_ids.remove(&info.sid);
        if let Some(participant) = self.people.get_mut(&owner) {
            participant.tracks.retain(|&track| track != id);
        }
        let Some(identity) = self.identity(owner) else {
            return;
        };
        for room in self.rooms_of(owner) {
            for member in self.members(room) {
                if let Some(member) = self.people.get_mut(&member) {
                    member.listening.wishes.remove(&id);
                }
            }
            let event = SessionEvent::TrackUnpublished(identity.clone(), info.sid.clone());
            self.tell_room(room, owner, &event);
        }
        self.announce_of(owner, |room, who| {
            RoomEvent::TrackUnpublished(room, who, info)
        });
    }

    /// Tells the world something about a participant in its room.
    fn announce_of(
        &self,
        id: ParticipantId,
        event: impl FnOnce(crate::model::RoomInfo, crate::model::ParticipantInfo) -> RoomEvent,
    ) {
        if !self.is_visible(id) {
            return;
        }
        let room = self.people.get(&id).map(|participant| participant.room);
        let room = room.and_then(|room| self.room_info(room).ok());
        if let Some((room, info)) = room.zip(self.participant_info(id)) {
            self.announce(event(room, info));
        }
    }

    pub(super) fn set_track_muted(
        &mut self,
        room: &RoomName,
        sid: &TrackSid,
        by: MutedBy,
        muted: bool,
    ) -> Result<TrackInfo, ControlError> {
        let room = self.room_id(room)?;
        let unknown = || ControlError::TrackNotFound(sid.clone());
        let id = self.track_ids.get(sid).copied().ok_or_else(unknown)?;
        let track = self.tracks.get_mut(&id).ok_or_else(unknown)?;
        let owner = track.owner;
        let participant = self.people.get_mut(&owner).ok_or_else(unknown)?;
        if participant.room != room {
            return Err(unknown());
        }
        let worker = participant.worker;
        let was = (track.is_muted(), track.muted_by_server);
        // Its m-line may become another track, when it may publish again: that starts as this ended.
        match by {
            MutedBy::Owner => {
                track.muted_by_owner = muted;
                if let Some(described) = participant.described.get_mut(track.mid.as_str()) {
                    described.muted = muted;
                }
            }
            MutedBy::Server => {
                track.muted_by_server = muted;
                match muted {
                    true => participant.silenced.insert(track.mid, track.source),
                    false => participant.silenced.remove(&track.mid),
                };
            }
        }
        let is = (track.is_muted(), track.muted_by_server);
        if was.0 != is.0 {
            let command = MediaCommand::SetMuted {
                track: id,
                muted: is.0,
            };
            self.send_media(worker, command);
            self.announce_track_update(id);
        }
        // Also when the track stays as it is, since its owner mutes it: that may change.
        if was.1 != is.1 {
            self.tell(owner, SessionEvent::OwnTrackMuted(sid.clone(), is.1));
        }
        self.track_info(id).ok_or_else(unknown)
    }

    /// Somebody, and a track of somebody else that is offered to them.
    pub(super) fn offered(
        &self,
        room: &RoomName,
        identity: &Identity,
        sid: &TrackSid,
    ) -> Result<(ParticipantId, TrackId), ControlError> {
        let id = self.member(room, identity)?;
        let room = self.room_id(room)?;
        let unknown = || ControlError::TrackNotFound(sid.clone());
        let track = self.track_ids.get(sid).copied().ok_or_else(unknown)?;
        let owner = self.tracks.get(&track).ok_or_else(unknown)?.owner;
        if owner == id || !self.rooms_of(owner).contains(&room) {
            return Err(unknown());
        }
        Ok((id, track))
    }

    pub(super) fn set_subscription(
        &mut self,
        room: &RoomName,
        identity: &Identity,
        sid: &TrackSid,
        wish: SubscriptionWish,
    ) -> Result<(), ControlError> {
        let (id, track) = self.offered(room, identity, sid)?;
        if let Some(participant) = self.people.get_mut(&id) {
            if wish.wanted && !participant.permissions.can_subscribe {
                return Err(ControlError::NotPermitted("canSubscribe"));
            }
            let wish = Wish {
                wanted: wish.wanted,
                largest: wish.largest,
            };
            participant.listening.wishes.insert(track, wish);
        }
        self.tell_wish(id, track);
        Ok(())
    }

    /// Tells a listener's engine what it wants of one track, if that is anything special.
    fn tell_wish(&mut self, id: ParticipantId, track: TrackId) {
        if let Some(wish) = self.special_wish(id, track) {
            self.send_wish(id, track, wish);
        }
    }

    /// What a listener's engine does not know by itself about a track that is meant for the
    /// listener, or for others.
    fn special_wish(&self, id: ParticipantId, track: TrackId) -> Option<Wish> {
        let participant = self.people.get(&id)?;
        let owner = self.people.get(&self.tracks.get(&track)?.owner)?;
        let said = participant.wish_for(track, &owner.profile.identity);
        let audience = owner.audience.as_ref();
        match audience.map(|them| them.contains(&participant.profile.identity)) {
            None => said,
            // What is for an audience comes to nobody by itself.
            Some(true) => said.or_else(|| Some(participant.usual_wish())),
            Some(false) => Some(Wish {
                wanted: false,
                ..Wish::default()
            }),
        }
    }

    fn send_wish(&mut self, id: ParticipantId, track: TrackId, wish: Wish) {
        let owner = self.tracks.get(&track).map(|track| track.owner);
        let Some(participant) = self.people.get(&id) else {
            return;
        };
        if participant.negotiated.is_none() || owner == Some(id) {
            return;
        }
        let command = MediaCommand::SetWish {
            session: participant.session,
            track,
            wish,
        };
        self.send_media(participant.worker, command);
    }

    /// Tells a listener's engine everything that it wants in its room.
    pub(super) fn tell_all_wishes(&mut self, id: ParticipantId) {
        let room = self.people.get(&id).map(|participant| participant.room);
        for track in room.map(|room| self.tracks_in(room)).unwrap_or_default() {
            self.tell_wish(id, track);
        }
    }

    /// Tells the engines of all listeners what they want of a track.
    pub(super) fn tell_wishes_about(&mut self, track: TrackId) {
        let Some(owner) = self.tracks.get(&track).map(|track| track.owner) else {
            return;
        };
        for room in self.rooms_of(owner) {
            for member in self.members(room) {
                self.tell_wish(member, track);
            }
        }
    }

    /// Tells the engines of all listeners whom a participant's tracks are for now.
    pub(super) fn tell_audience(&mut self, id: ParticipantId) {
        self.put_session(id);
        let tracks = self.people.get(&id).map(|owner| owner.tracks.clone());
        for track in tracks.unwrap_or_default() {
            self.refresh_relays(track);
            for room in self.rooms_of(id) {
                for listener in self.members(room) {
                    let usual = self.people.get(&listener).map(Participant::usual_wish);
                    // Also what is usual: something else may have been said before.
                    if let Some(wish) = self.special_wish(listener, track).or(usual) {
                        self.send_wish(listener, track, wish);
                    }
                }
            }
        }
    }

    /// Forgets what was said about tracks that are not offered in the participant's room any
    /// more. Its engine does so by itself.
    pub(super) fn forget_unreachable_wishes(&mut self, id: ParticipantId) {
        let room = self.people.get(&id).map(|participant| participant.room);
        let offered = room.map(|room| self.tracks_in(room)).unwrap_or_default();
        if let Some(participant) = self.people.get_mut(&id) {
            let wishes = &mut participant.listening.wishes;
            wishes.retain(|track, _| offered.contains(track));
        }
    }

    fn owner_and_info(&self, id: TrackId) -> Option<(ParticipantId, TrackInfo)> {
        Some((self.tracks.get(&id)?.owner, self.track_info(id)?))
    }

    pub(super) fn track_info(&self, id: TrackId) -> Option<TrackInfo> {
        let track = self.tracks.get(&id)?;
        let (width, height) = track.size;
        Some(TrackInfo {
            sid: track.sid.clone(),
            kind: track.kind,
            source: track.source,
            name: track.name.clone(),
            muted: track.is_muted(),
            codec: track.codec,
            simulcast: track.simulcast,
            mid: track.mid.to_string(),
            width,
            height,
        })
    }
}
