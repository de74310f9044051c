//! What happens because time passed.

use core::time::Duration;

use crosspoint_wire::codec::MediaKind;
use crosspoint_wire::time::Time;

use super::{Engine, Task};
use crate::config::SessionKey;
use crate::event::Event;
use crate::room::RoomKey;
use crate::track::TrackKey;

/// An encoding that brings nothing for this long while another of its track flows has stopped:
/// browsers pause simulcast encodings when their uplink or CPU gets tight. Longer, and viewers
/// look at a frozen picture; shorter, and 1 frame/s screen shares count as stopped.
const STOPPED_AFTER: Duration = Duration::from_millis(1200);
/// How often encodings are looked after.
const WATCH_INTERVAL: Duration = Duration::from_millis(400);

impl Engine {
    pub(super) fn run_due(&mut self, now: Time) {
        while let Some((at, task)) = self.timers.pop(now) {
            match task {
                Task::Session(key) => self.wake_session(at, key),
                Task::Departure(key) => {
                    let session = self.sessions.get_mut(key);
                    if session.is_some_and(|session| session.departure_due.take(at)) {
                        self.list_for_flush(key);
                    }
                }
                Task::Room(key) => self.look_at_speakers(now, at, key),
                Task::Track(key) => {
                    let track = self.tracks.get_mut(key);
                    if track.is_some_and(|track| track.due.take(at)) {
                        self.find_stopped(now, key);
                        self.review_demand(key);
                    }
                }
                Task::Relay(key) => {
                    let relay = self.relays.get_mut(key);
                    if relay.is_some_and(|relay| relay.due.take(at)) {
                        self.ask_over_relay(now, key);
                    }
                }
                Task::Quality(key) => {
                    let session = self.sessions.get_mut(key);
                    if session.is_some_and(|session| session.quality_due.take(at)) {
                        self.allocate_session(now, key);
                    }
                }
            }
        }
    }

    fn wake_session(&mut self, at: Time, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        if session.reporting.due.take(at) {
            session.reporting.woken = true;
            self.list_for_flush(key);
        }
    }

    /// Has a session's feedback looked at no later than at `due`.
    #[inline]
    pub(super) fn arm_session_at(&mut self, due: Time, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(key) {
            self.timers
                .arm(due, Task::Session(key), &mut session.reporting.due);
        }
    }

    fn look_at_speakers(&mut self, now: Time, at: Time, key: RoomKey) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        if !room.due.take(at) {
            return;
        }
        self.update_speakers(now, key);
    }

    /// Looks at the speakers of a room, if it is time to, and does what follows from it.
    pub(super) fn update_speakers(&mut self, now: Time, key: RoomKey) {
        let Some(room) = self.rooms.get_mut(key) else {
            return;
        };
        let changes = room.look(now);
        self.timers
            .arm(room.next_look(), Task::Room(key), &mut room.due);
        if changes.speakers {
            room.prefer_speakers(&self.tracks);
            if room.config.home {
                let speaker = |&(track, level)| Some((self.tracks.get(track)?.participant, level));
                self.events.push_back(Event::ActiveSpeakers {
                    room: room.id,
                    speakers: room.speakers().iter().filter_map(speaker).collect(),
                });
            }
        }
        if changes.selection || changes.speakers {
            self.unsettle_room(key);
        }
    }

    /// Looks after a track's encodings, if there are several, and after who hears it, once any has
    /// flowed.
    pub(super) fn watch_encodings(&mut self, now: Time, key: TrackKey) {
        if let Some(track) = self.tracks.get_mut(key)
            && (track.encodings.len() > 1 || track.kind == MediaKind::Audio)
        {
            self.timers
                .arm(now + WATCH_INTERVAL, Task::Track(key), &mut track.due);
        }
    }

    /// Gives up encodings that stopped while others of their track flow, or do not come.
    fn find_stopped(&mut self, now: Time, key: TrackKey) {
        let Some(track) = self.tracks.get(key) else {
            return;
        };
        let mut latest = Time::ZERO;
        for &encoding in &track.encodings {
            let encoding = self.encodings.get(encoding);
            latest = latest.max(encoding.and_then(|e| e.last_packet()).unwrap_or_default());
        }
        let mut found = false;
        for &encoding in &track.encodings {
            if let Some(encoding) = self.encodings.get_mut(encoding)
                && let Some(at) = encoding.last_packet()
                && latest.since(at) > STOPPED_AFTER
            {
                encoding.give_up();
                found = true;
            }
            if let Some(encoding) = self.encodings.get_mut(encoding) {
                found |= encoding.end_waking(now);
            }
        }
        if found {
            self.retarget_track(key);
        }
        self.watch_encodings(now, key);
    }
}
