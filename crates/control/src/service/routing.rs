//! Links and relays: how a track reaches the engines of all the rooms it is offered in.
//!
//! A track lives on its publisher's worker, in its publisher's room. Where it is forwarded into a
//! room on the same worker it is *linked*. Where a room is carried by another worker (its home,
//! or one where a moved participant lives) there is one *relay* to that worker, accepted into
//! one of the track's rooms there and linked into the others. [`State::route_track`] compares
//! what should be with what is and says the difference to the engines, so callers need not know
//! what has changed.

use std::collections::{BTreeMap, BTreeSet};

use crosspoint_media::command::Command as MediaCommand;
use crosspoint_media::config::{ParticipantId, ReceiveConfig, RelayId, RoomId, TrackId};
use crosspoint_transport::api::{Command, WorkerId};

use super::state::{Relay, State};
use crate::negotiate::Published;

impl State {
    pub(super) fn route_tracks_of(&mut self, id: ParticipantId) {
        let tracks = self
            .people
            .get(&id)
            .map(|participant| participant.tracks.clone());
        for track in tracks.unwrap_or_default() {
            self.route_track(track);
        }
    }

    /// Routes everything that is offered in a room, after the workers that carry it changed.
    pub(super) fn route_room(&mut self, room: RoomId) {
        for track in self.tracks_in(room) {
            self.route_track(track);
        }
    }

    /// Tracks that are offered in a room: those of its members and of those forwarded into it.
    pub(super) fn tracks_in(&self, room: RoomId) -> Vec<TrackId> {
        let room = self.rooms.get(&room);
        let members = room.into_iter().flat_map(|room| &room.members);
        let guests = room.into_iter().flat_map(|room| &room.guests);
        members
            .chain(guests)
            .filter_map(|id| self.people.get(id))
            .flat_map(|participant| participant.tracks.iter().copied())
            .collect()
    }

    pub(super) fn route_track(&mut self, id: TrackId) {
        let Some(track) = self.tracks.get(&id) else {
            return;
        };
        let owner = track.owner;
        let Some(participant) = self.people.get(&owner) else {
            return;
        };
        let (source, own_room) = (participant.worker, participant.room);
        // Which of the track's rooms each worker carries, the track's own first.
        let mut wanted: BTreeMap<WorkerId, Vec<RoomId>> = BTreeMap::new();
        for room in self.rooms_of(owner) {
            for worker in self.workers_of(room) {
                wanted.entry(worker).or_default().push(room);
            }
        }

        let here = wanted.remove(&source).unwrap_or_default();
        let links = here.into_iter().filter(|&room| room != own_room).collect();
        let before = self
            .tracks
            .get_mut(&id)
            .map(|t| std::mem::take(&mut t.links));
        self.relink(id, source, &before.unwrap_or_default(), &links);
        if let Some(track) = self.tracks.get_mut(&id) {
            track.links = links;
        }

        let known = self
            .tracks
            .get(&id)
            .map(|track| track.relays.keys().copied());
        let known: Vec<WorkerId> = known.into_iter().flatten().collect();
        for worker in known {
            if !wanted.contains_key(&worker) {
                self.close_relay(id, worker);
            }
        }
        for (worker, rooms) in wanted {
            self.relay_to(id, worker, &rooms);
        }
        self.route_taps(id);
    }

    /// Has a copy of a track on `worker`, offered in `rooms` and in no others.
    fn relay_to(&mut self, id: TrackId, worker: WorkerId, rooms: &[RoomId]) {
        let Some(&first) = rooms.first() else {
            return;
        };
        let known = self
            .tracks
            .get_mut(&id)
            .and_then(|track| track.relays.remove(&worker));
        let relay = match known {
            Some(relay) if rooms.contains(&relay.home) => relay,
            Some(mut relay) => {
                relay.home = first;
                self.accept_relay(id, worker, relay.id, first);
                relay
            }
            None => self.open_relay(id, worker, first),
        };
        let links = rooms
            .iter()
            .copied()
            .filter(|&room| room != relay.home)
            .collect();
        self.relink(id, worker, &relay.links, &links);
        if let Some(track) = self.tracks.get_mut(&id) {
            track.relays.insert(worker, Relay { links, ..relay });
        }
    }

    /// The receiving end first: what is sent before it is there is lost.
    fn open_relay(&mut self, id: TrackId, worker: WorkerId, home: RoomId) -> Relay {
        let relay = RelayId(self.next_id());
        self.accept_relay(id, worker, relay, home);
        if let Some(source) = self.worker_of(id) {
            for (worker, peer) in [(worker, source), (source, worker)] {
                let peer = Some(peer);
                self.send(worker, Command::RouteRelay { relay, peer });
            }
            self.send_media(source, MediaCommand::OpenRelay { track: id, relay });
        }
        self.tell_priority_at(worker, id);
        Relay {
            id: relay,
            home,
            links: BTreeSet::new(),
        }
    }

    /// Also tells the accepting engine what changed about the track.
    fn accept_relay(&mut self, id: TrackId, worker: WorkerId, relay: RelayId, room: RoomId) {
        let participant = self.tracks.get(&id).map(|track| track.owner);
        if let Some((participant, track)) = participant.zip(self.relayed_config(id)) {
            let command = MediaCommand::AcceptRelay {
                relay,
                room,
                participant,
                track,
            };
            self.send_media(worker, command);
        }
    }

    /// The track as its publisher's session declares it. Muting is done where it is published.
    pub(super) fn relayed_config(&self, id: TrackId) -> Option<ReceiveConfig> {
        let track = self.tracks.get(&id)?;
        let owner = self.people.get(&track.owner)?;
        let published = Published {
            track: id,
            source: track.source,
            muted: false,
            reserved: owner.audience.is_some(),
        };
        let negotiated = owner.negotiated.as_ref()?;
        let config = negotiated.session_config(|line| (line.mid == track.mid).then_some(published));
        config.receive.into_iter().next()
    }

    /// Tells the engines that have copies of a track that its declaration may have changed.
    pub(super) fn refresh_relays(&mut self, id: TrackId) {
        let relays = self
            .tracks
            .get(&id)
            .into_iter()
            .flat_map(|track| &track.relays);
        let relays: Vec<_> = relays
            .map(|(&worker, relay)| (worker, relay.id, relay.home))
            .collect();
        for (worker, relay, home) in relays {
            self.accept_relay(id, worker, relay, home);
        }
    }

    pub(super) fn close_relays(&mut self, id: TrackId) {
        self.close_taps_of(id);
        let workers = self
            .tracks
            .get(&id)
            .map(|track| track.relays.keys().copied().collect());
        let workers: Vec<WorkerId> = workers.unwrap_or_default();
        for worker in workers {
            self.close_relay(id, worker);
        }
    }

    fn close_relay(&mut self, id: TrackId, worker: WorkerId) {
        let relay = self
            .tracks
            .get_mut(&id)
            .and_then(|track| track.relays.remove(&worker));
        let (Some(Relay { id: relay, .. }), Some(source)) = (relay, self.worker_of(id)) else {
            return;
        };
        for end in [source, worker] {
            self.send_media(end, MediaCommand::CloseRelay { relay });
            self.send(end, Command::RouteRelay { relay, peer: None });
        }
    }

    fn relink(
        &mut self,
        track: TrackId,
        worker: WorkerId,
        before: &BTreeSet<RoomId>,
        links: &BTreeSet<RoomId>,
    ) {
        let added = links.difference(before).map(|&room| (room, true));
        let removed = before.difference(links).map(|&room| (room, false));
        for (room, linked) in added.chain(removed) {
            let command = MediaCommand::LinkTrack {
                track,
                room,
                linked,
            };
            self.send_media(worker, command);
        }
    }

    pub(super) fn worker_of(&self, id: TrackId) -> Option<WorkerId> {
        let owner = self.tracks.get(&id)?.owner;
        Some(self.people.get(&owner)?.worker)
    }

    pub(super) fn relay_count(&self) -> usize {
        self.tracks.values().map(|track| track.relays.len()).sum()
    }
}
