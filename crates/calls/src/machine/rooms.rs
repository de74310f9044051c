//! What rooms and recorders tell.

use super::Machine;
use super::out::{call_of, room_of};
use super::timers::Timer;
use crate::door::CallWebhookKind;
use crate::event::{Changed, Event};
use crate::ids::{CallId, UserId};
use crate::media::{Access, MediaAction, MediaEvent};
use crate::model::{PartState, Role, TrackKind};
use crate::reason::EndReason;

impl Machine {
    pub(super) fn media_event(&mut self, event: MediaEvent) {
        match event {
            MediaEvent::Up { room, user } => self.in_room(&room, |machine, call| {
                machine.media_up(call, &user);
            }),
            MediaEvent::Interrupted { room, user } => self.in_room(&room, |machine, call| {
                machine.media_interrupted(call, &user);
            }),
            MediaEvent::Left { room, user, .. } => self.in_room(&room, |machine, call| {
                machine.media_lost(call, &user);
            }),
            MediaEvent::Tracks {
                room,
                user,
                audio,
                video,
                screen,
            } => self.in_room(&room, |machine, call| {
                machine.track_changed(call, &user, TrackKind::Audio, audio);
                machine.track_changed(call, &user, TrackKind::Video, video);
                machine.track_changed(call, &user, TrackKind::Screen, screen);
            }),
            MediaEvent::RoomClosed { room } => self.in_room(&room, |machine, call| {
                machine.end_call(call, EndReason::RoomDissolved, None);
            }),
            MediaEvent::RecordingRunning { call, recording } => {
                self.recorder_runs(&call, &recording);
            }
            MediaEvent::RecordingReady {
                recording,
                url,
                bytes,
                ..
            } => self.recording_ready(&recording, url, bytes),
            MediaEvent::RecordingFailed {
                call,
                recording,
                user,
                detail,
            } => self.recording_failed(&call, &recording, user, &detail),
            MediaEvent::Moderated {
                room,
                user,
                kind,
                verdict,
            } => self.in_room(&room, |machine, call| {
                let event = Event::ModerationResult {
                    call: call.clone(),
                    user,
                    kind,
                    verdict,
                };
                machine.tell_members(call, None, &event);
            }),
        }
    }

    fn in_room(&mut self, room: &str, then: impl FnOnce(&mut Self, &CallId)) {
        let known = call_of(room).filter(|call| self.calls.contains_key(call));
        if let Some(call) = known {
            then(self, &call);
        }
    }

    fn media_up(&mut self, id: &CallId, user: &UserId) {
        if self.monitor_media_up(id, user) {
            return;
        }
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let tenant = call.tenant.clone();
        let Some(part) = call.parts.get_mut(user).filter(|part| part.is_here()) else {
            return;
        };
        let was = part.state;
        let first = !part.shown;
        part.media_up = true;
        part.shown = true;
        part.state = PartState::Joined;
        let part = part.clone();
        self.timers.clear(&Timer::Connect(id.clone(), user.clone()));
        self.timers
            .clear(&Timer::MediaLost(id.clone(), user.clone()));
        if part.access() != Access::FULL {
            // The room may not know, if this is a new stay.
            self.media(MediaAction::SetAccess {
                room: room_of(id),
                user: user.clone(),
                access: part.access(),
            });
        }
        if first {
            let participant = self.participant_view(&tenant, user, &part);
            let event = Event::ParticipantJoined {
                call: id.clone(),
                participant,
            };
            self.tell_members(id, Some(user), &event);
            self.webhook(id, CallWebhookKind::CallParticipantJoined, Some(user));
            self.link_newcomer(id, user);
        } else if was == PartState::Reconnecting {
            self.tell_updated(id, &tenant, user, &part, &[Changed::Network]);
        }
        self.transfer_media_up(id, user);
        self.check_active(id);
    }

    fn media_interrupted(&mut self, id: &CallId, user: &UserId) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let tenant = call.tenant.clone();
        let part = call.parts.get_mut(user);
        let Some(part) = part.filter(|part| part.state == PartState::Joined) else {
            return;
        };
        part.state = PartState::Reconnecting;
        let part = part.clone();
        self.tell_updated(id, &tenant, user, &part, &[Changed::Network]);
    }

    /// Somebody's media is gone while the participation is not: there is a grace for its return.
    fn media_lost(&mut self, id: &CallId, user: &UserId) {
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let tenant = call.tenant.clone();
        if call.monitors.contains_key(user) {
            self.end_monitor(id, user);
            return;
        }
        let Some(part) = call.parts.get_mut(user).filter(|part| part.is_here()) else {
            return;
        };
        if !part.media_up {
            return;
        }
        part.media_up = false;
        let told = part.state == PartState::Reconnecting;
        part.state = PartState::Reconnecting;
        let part = part.clone();
        let grace = self.periods(&tenant).reconnect_ms;
        let timer = Timer::MediaLost(id.clone(), user.clone());
        self.timers.set(timer, self.after_ms(grace));
        if !told {
            self.tell_updated(id, &tenant, user, &part, &[Changed::Network]);
        }
    }

    pub(super) fn media_stayed_lost(&mut self, id: &CallId, user: &UserId) {
        let part = self.calls.get(id).and_then(|call| call.part(user));
        let reason = match part.map(|part| part.role) {
            Some(Role::Guest) => EndReason::UserOffline,
            _ => EndReason::Network,
        };
        self.withdraw(id, user, reason);
    }

    fn track_changed(&mut self, id: &CallId, user: &UserId, kind: TrackKind, on: bool) {
        let part = self.calls.get(id).and_then(|call| call.part(user));
        let Some(part) = part else { return };
        let was = match kind {
            TrackKind::Audio => part.audio,
            TrackKind::Video => part.video,
            TrackKind::Screen => part.screen,
        };
        if on && !was {
            let event = Event::TrackReady {
                call: id.clone(),
                user: user.clone(),
                kind,
            };
            self.tell_members(id, None, &event);
        }
        self.set_flag(id, user, kind, on);
    }
}
