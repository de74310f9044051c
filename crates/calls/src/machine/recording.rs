//! Recorders: asked for or by policy, watched, finished or aborted.

use super::out::room_of;
use super::state::{Finalizing, Recording};
use super::timers::Timer;
use super::{Done, Machine};
use crate::command::CallRef;
use crate::door::{CallWebhook, CallWebhookKind, RecordingNews, StoreAction};
use crate::error::ErrorCode;
use crate::event::{Data, Event, PropChanged};
use crate::ids::{CallId, DeviceRef, RecordingId, TenantId, UserId};
use crate::media::MediaAction;
use crate::model::{CallState, Media, Recording as View, RecordingMode, RecordingState, Role};
use crate::policy::{RecordFailPolicy, RecordPolicy};
use crate::reason::EndReason;

impl Machine {
    pub(super) fn rec_start(
        &mut self,
        from: &DeviceRef,
        call: &CallRef,
        mode: RecordingMode,
    ) -> Done {
        let id = self.own_call(from, call)?;
        let settings = self.tenant(&from.tenant).map(|tenant| &tenant.settings);
        if settings.is_none_or(|settings| settings.record_policy == RecordPolicy::Off) {
            return Err(ErrorCode::NotEnabled);
        }
        let entry = self.calls.get(&id).ok_or(ErrorCode::CallEnded)?;
        let role = entry.part(&from.user).map(|part| part.role);
        if matches!(role, Some(Role::Guest | Role::Audience)) {
            return Err(ErrorCode::Forbidden);
        }
        let busy = entry.recording.as_ref().is_some_and(|recording| {
            matches!(
                recording.state,
                RecordingState::Starting | RecordingState::Running | RecordingState::Finalizing
            )
        });
        if busy || entry.state < CallState::Connecting {
            return Err(ErrorCode::State);
        }
        let recording = self.start_recording(&id, mode).ok_or(ErrorCode::RecStart)?;
        Ok(Data::Recording { recording })
    }

    pub(super) fn record_by_policy(&mut self, id: &CallId, tenant: &TenantId) {
        let settings = self.tenant(tenant).map(|tenant| &tenant.settings);
        let always = settings.filter(|settings| settings.record_policy == RecordPolicy::Always);
        if let Some(mode) = always.map(|settings| settings.record_mode) {
            self.start_recording(id, mode);
        }
    }

    fn start_recording(&mut self, id: &CallId, mode: RecordingMode) -> Option<RecordingId> {
        let recording = RecordingId::new(&self.new_id())?;
        let start_ms = self.unix_ms();
        let call = self.calls.get_mut(id)?;
        let tenant = call.tenant.clone();
        let mode = match (mode, call.media) {
            (RecordingMode::Mixed, Media::Audio) => RecordingMode::Call,
            (mode, _) => mode,
        };
        call.recording = Some(Recording {
            id: recording.clone(),
            mode,
            state: RecordingState::Starting,
            start_ms,
        });
        self.note_begun(id);
        self.watch_recorder(id, &tenant);
        self.media(MediaAction::StartRecording {
            room: room_of(id),
            call: id.clone(),
            recording: recording.clone(),
            mode,
        });
        self.tell_recording(id);
        Some(recording)
    }

    /// A recorder that says nothing for two periods has died.
    fn watch_recorder(&mut self, id: &CallId, tenant: &TenantId) {
        let period = self.periods(tenant).rec_health_ms.saturating_mul(2);
        self.timers
            .set(Timer::RecHealth(id.clone()), self.after_ms(period));
    }

    fn tell_recording(&mut self, id: &CallId) {
        let recording = self.calls.get(id).and_then(|call| call.recording.as_ref());
        let Some(recording) = recording else { return };
        let event = Event::RecStateChanged {
            call: id.clone(),
            recording: View {
                id: recording.id.clone(),
                mode: recording.mode,
                state: recording.state,
            },
        };
        self.tell_members(id, None, &event);
        self.tell_props(id, PropChanged::Recording);
    }

    pub(super) fn rec_stop(
        &mut self,
        from: &DeviceRef,
        call: &CallRef,
        recording: Option<&RecordingId>,
    ) -> Done {
        let id = self.own_call(from, call)?;
        let entry = self.calls.get_mut(&id).ok_or(ErrorCode::CallEnded)?;
        let current = entry.recording.as_mut().ok_or(ErrorCode::State)?;
        if recording.is_some_and(|recording| recording != &current.id) {
            return Err(ErrorCode::NotFound);
        }
        if !matches!(
            current.state,
            RecordingState::Starting | RecordingState::Running
        ) {
            return Err(ErrorCode::State);
        }
        current.state = RecordingState::Finalizing;
        let recording = current.id.clone();
        let users = vec![from.user.clone()];
        let finalizing = Finalizing {
            call: id.clone(),
            tenant: from.tenant.clone(),
            start_ms: current.start_ms,
            end_ms: self.unix_ms(),
            users,
        };
        self.finalizing.insert(recording.clone(), finalizing);
        self.timers.clear(&Timer::RecHealth(id.clone()));
        let period = self.periods(&from.tenant).rec_finalize_ms;
        let timer = Timer::RecFinalize(recording.clone());
        self.timers.set(timer, self.after_ms(period));
        self.media(MediaAction::StopRecording {
            room: room_of(&id),
            recording,
        });
        self.tell_recording(&id);
        Ok(Data::None)
    }

    pub(super) fn recorder_runs(&mut self, id: &CallId, recording: &RecordingId) {
        if let Some(finalizing) = self.finalizing.get(recording) {
            let period = self.periods(&finalizing.tenant).rec_finalize_ms;
            let timer = Timer::RecFinalize(recording.clone());
            self.timers.set(timer, self.after_ms(period));
            return;
        }
        let Some(call) = self.calls.get_mut(id) else {
            return;
        };
        let tenant = call.tenant.clone();
        let Some(current) = call.recording.as_mut().filter(|each| &each.id == recording) else {
            return;
        };
        match current.state {
            RecordingState::Starting => {
                current.state = RecordingState::Running;
                self.watch_recorder(id, &tenant);
                self.tell_recording(id);
            }
            RecordingState::Running => self.watch_recorder(id, &tenant),
            _ => {}
        }
    }

    pub(super) fn recorder_silent(&mut self, id: &CallId) {
        let recording = self.calls.get(id).and_then(|call| call.recording.as_ref());
        if let Some(recording) = recording.map(|recording| recording.id.clone()) {
            self.recording_failed(id, &recording, None, "the recorder is silent");
        }
    }

    pub(super) fn recording_ready(&mut self, recording: &RecordingId, url: String, bytes: u64) {
        let Some(done) = self.finalizing.remove(recording) else {
            return;
        };
        self.timers.clear(&Timer::RecFinalize(recording.clone()));
        let event = Event::RecReady {
            call: done.call.clone(),
            recording: recording.clone(),
            url: url.clone(),
            start_ms: done.start_ms,
            end_ms: done.end_ms,
            bytes,
        };
        self.set_recording(&done.call, recording, RecordingState::Ready);
        self.webhook_recording(&done.call, &done.tenant, recording, Ok(url.clone()));
        match self.calls.get_mut(&done.call) {
            Some(call) => {
                call.recordings.push(url);
                self.note_begun(&done.call);
            }
            None => self.store(StoreAction::RecordingUrl(done.call.clone(), url)),
        }
        for user in done.users {
            self.tell_user(&done.tenant, &user, None, &event);
        }
    }

    /// Sets the state of a recording whose call still goes on, and says so.
    fn set_recording(&mut self, id: &CallId, recording: &RecordingId, state: RecordingState) {
        let current = self
            .calls
            .get_mut(id)
            .and_then(|call| call.recording.as_mut())
            .filter(|each| &each.id == recording);
        if let Some(current) = current {
            current.state = state;
            self.tell_recording(id);
        }
    }

    /// Tells what became of a recording, be its call over or not.
    fn webhook_recording(
        &mut self,
        id: &CallId,
        tenant: &TenantId,
        recording: &RecordingId,
        outcome: Result<String, String>,
    ) {
        let live = self.calls.get(id).map(|call| self.call_view(call));
        let Some(call) = live.or_else(|| self.ended.get(id).cloned()) else {
            return;
        };
        let event = CallWebhook {
            kind: match outcome {
                Ok(_) => CallWebhookKind::CallRecordingReady,
                Err(_) => CallWebhookKind::CallRecordingAborted,
            },
            call,
            user: None,
            recording: Some(RecordingNews {
                id: recording.clone(),
                outcome,
            }),
            at_ms: self.unix_ms(),
        };
        self.tell_application_server(tenant.clone(), event);
    }

    pub(super) fn finalizing_failed(&mut self, recording: &RecordingId) {
        let Some(lost) = self.finalizing.get(recording) else {
            return;
        };
        let call = lost.call.clone();
        self.recording_failed(
            &call,
            recording,
            None,
            "the recording was not finished in time",
        );
    }

    pub(super) fn recording_failed(
        &mut self,
        id: &CallId,
        recording: &RecordingId,
        user: Option<UserId>,
        detail: &str,
    ) {
        let finalizing = self.finalizing.remove(recording);
        self.timers.clear(&Timer::RecFinalize(recording.clone()));
        let current = self.calls.get(id).and_then(|call| call.recording.as_ref());
        let current = current.filter(|each| &each.id == recording);
        let over = |state: RecordingState| {
            matches!(state, RecordingState::Ready | RecordingState::Aborted)
        };
        let live = current.is_some_and(|current| !over(current.state));
        if !live && finalizing.is_none() {
            return;
        }
        let tenant = self.calls.get(id).map(|call| call.tenant.clone());
        let ends_call = live
            && tenant
                .as_ref()
                .and_then(|tenant| self.tenant(tenant))
                .is_some_and(|tenant| {
                    tenant.settings.record_fail_policy == RecordFailPolicy::EndCall
                });
        let event = Event::RecAborted {
            call: id.clone(),
            recording: recording.clone(),
            user,
            detail: detail.to_owned(),
            ends_call,
        };
        if live {
            self.timers.clear(&Timer::RecHealth(id.clone()));
            self.set_recording(id, recording, RecordingState::Aborted);
            if let Some(tenant) = &tenant {
                self.webhook_recording(id, tenant, recording, Err(detail.to_owned()));
            }
            self.tell_members(id, None, &event);
        } else if let Some(lost) = finalizing {
            self.webhook_recording(id, &lost.tenant, recording, Err(detail.to_owned()));
            for user in lost.users {
                self.tell_user(&lost.tenant, &user, None, &event);
            }
        }
        if ends_call {
            self.end_call(id, EndReason::RecordAbort, None);
        }
    }
}
