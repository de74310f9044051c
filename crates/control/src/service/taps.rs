//! Taps: every track of a room, as it comes and goes, to a recorder.
//!
//! A tap of a room is one relay of each of its tracks, from the worker where the track is published
//! to the recorder's door. As with relays between workers, [`State::route_taps`] compares what should
//! be with what is, so callers need not know what has changed.

use std::collections::BTreeMap;

use crosspoint_media::command::Command as MediaCommand;
use crosspoint_media::config::{RelayId, RoomId, TrackId};
use crosspoint_media::tap::TapDoor;
use crosspoint_transport::api::Command;
use tokio::sync::mpsc;

use super::state::State;
use crate::api::{ControlError, Tap, TapEvent, TapId, TapTrack};
use crate::model::{Reason, RoomName};

/// Events that may wait for who opened a tap.
const EVENTS_MAX: usize = 1024;

/// A room's way to a recorder.
pub(super) struct RoomTap {
    room: RoomId,
    door: TapDoor,
    tracks: BTreeMap<TrackId, RelayId>,
    events: mpsc::Sender<TapEvent>,
}

impl State {
    pub(super) fn open_tap(&mut self, room: &RoomName, door: TapDoor) -> Result<Tap, ControlError> {
        let room = self.room_id(room)?;
        let id = TapId(self.next_id());
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let tap = RoomTap {
            room,
            door,
            tracks: BTreeMap::new(),
            events,
        };
        self.taps.insert(id, tap);
        for track in self.tracks_in(room) {
            self.route_taps(track);
        }
        Ok(Tap {
            id,
            events: receiver,
        })
    }

    pub(super) fn close_tap(&mut self, id: TapId) {
        let Some(tap) = self.taps.remove(&id) else {
            return;
        };
        for (track, relay) in tap.tracks {
            self.close_tapped(track, relay);
        }
    }

    /// Ends the taps of a room that ends.
    pub(super) fn end_taps(&mut self, room: RoomId, reason: Reason) {
        let ids = self.taps.iter().filter(|(_, tap)| tap.room == room);
        let ids: Vec<TapId> = ids.map(|(&id, _)| id).collect();
        for id in ids {
            self.tell_tap(id, TapEvent::Ended(reason));
            self.close_tap(id);
        }
    }

    pub(super) fn request_tapped_keyframe(&mut self, id: TapId, relay: RelayId) {
        let tap = self.taps.get(&id);
        let track = tap.and_then(|tap| tap.tracks.iter().find(|(_, r)| **r == relay));
        if let Some((&track, _)) = track
            && let Some(worker) = self.worker_of(track)
        {
            self.send_media(worker, MediaCommand::RequestKeyframe { track });
        }
    }

    /// Brings the taps of a track in line with the rooms that it is offered in.
    pub(super) fn route_taps(&mut self, track: TrackId) {
        if self.taps.is_empty() {
            return;
        }
        let owner = self.tracks.get(&track).map(|track| track.owner);
        let rooms = owner.map(|owner| self.rooms_of(owner)).unwrap_or_default();
        let taps = self.taps.iter().map(|(&id, tap)| {
            let known = tap.tracks.get(&track).copied();
            (id, rooms.contains(&tap.room), known)
        });
        for (id, wanted, known) in taps.collect::<Vec<_>>() {
            match (wanted, known) {
                (true, None) => self.tap_track(id, track),
                (true, Some(relay)) => self.describe_tapped(id, track, relay),
                (false, Some(relay)) => {
                    if let Some(tap) = self.taps.get_mut(&id) {
                        tap.tracks.remove(&track);
                    }
                    self.close_tapped(track, relay);
                    self.tell_tap(id, TapEvent::Gone(relay));
                }
                (false, None) => {}
            }
        }
    }

    /// Takes a track that ends from its taps.
    pub(super) fn close_taps_of(&mut self, track: TrackId) {
        let taps = self.taps.iter_mut();
        let taps = taps.filter_map(|(&id, tap)| Some((id, tap.tracks.remove(&track)?)));
        for (id, relay) in taps.collect::<Vec<_>>() {
            self.close_tapped(track, relay);
            self.tell_tap(id, TapEvent::Gone(relay));
        }
    }

    fn tap_track(&mut self, id: TapId, track: TrackId) {
        let Some(worker) = self.worker_of(track) else {
            return;
        };
        let relay = RelayId(self.next_id());
        // Who reads the packets should know the track before they come.
        self.describe_tapped(id, track, relay);
        let Some(tap) = self.taps.get_mut(&id) else {
            // Nobody reads, and so it was closed.
            return;
        };
        tap.tracks.insert(track, relay);
        let door = Some(tap.door.clone());
        self.send(worker, Command::RouteTap { relay, door });
        self.send_media(worker, MediaCommand::OpenRelay { track, relay });
    }

    fn close_tapped(&mut self, track: TrackId, relay: RelayId) {
        if let Some(worker) = self.worker_of(track) {
            self.send_media(worker, MediaCommand::CloseRelay { relay });
            self.send(worker, Command::RouteTap { relay, door: None });
        }
    }

    fn describe_tapped(&mut self, id: TapId, track: TrackId, relay: RelayId) {
        let owner = self.tracks.get(&track).map(|track| track.owner);
        let participant = owner.and_then(|owner| self.participant_info(owner));
        let (Some(participant), Some(info)) = (participant, self.track_info(track)) else {
            return;
        };
        let payloads = self.relayed_config(track).map(|config| config.payloads);
        let track = TapTrack {
            relay,
            participant,
            track: info,
            payloads: payloads.unwrap_or_default(),
        };
        self.tell_tap(id, TapEvent::Track(Box::new(track)));
    }

    fn tell_tap(&mut self, id: TapId, event: TapEvent) {
        let Some(tap) = self.taps.get(&id) else {
            return;
        };
        // A reader that is gone, or so slow: its channel ends, which tells it.
        if tap.events.try_send(event).is_err() {
            self.close_tap(id);
        }
    }
}
