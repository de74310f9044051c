//! What the phonebar is told of its calls, of its seat, and of what it supervises.

use serde_json::json;

use super::super::frame::{Frame, frame};
use super::frames::{call_event, number_of, rtc_frame};
use super::{Emic, Note, Stand, codes};
use crate::event::{Event, Line, Stage};
use crate::ids::{CallId, UserId};
use crate::media::MediaGrant;
use crate::model::{Call, MonitorState, SeatState, TransferState};
use crate::reason::EndReason;

impl Emic {
    pub(super) fn rings(&mut self, call: &CallId, shown: String, stand: Stand) -> Vec<Frame> {
        if self.calls.get(call).is_some() {
            return Vec::new(); // replayed, or told of in another way
        }
        let data = json!({ "a": 180, "c": call, "n": shown });
        self.calls.insert(
            call.clone(),
            Note {
                stand,
                ..Note::called(shown, Line::Internal)
            },
        );
        vec![call_event("newPBXCall", data)]
    }

    /// It rings here no more: refused by us, withdrawn, answered elsewhere.
    pub(super) fn refused_here(&mut self, call: &CallId) -> Vec<Frame> {
        if !matches!(
            self.stand(call),
            Some(Stand::Rings | Stand::RingsForTransfer)
        ) {
            return Vec::new();
        }
        self.calls.remove(call);
        vec![call_event("cancelPBXCall", json!({ "a": 487, "c": call }))]
    }

    pub(super) fn progress(&mut self, call: &CallId, event: &Event) -> Vec<Frame> {
        let Event::CallProgress {
            stage, line, shown, ..
        } = event
        else {
            return Vec::new();
        };
        if self.calls.get(call).is_none() {
            if *stage == Stage::Failed {
                return Vec::new(); // the reply says it
            }
            self.calls
                .insert(call.clone(), Note::called(shown.clone(), *line));
        }
        if let Some(note) = self.calls.get_mut(call) {
            note.line = *line;
            shown.clone_into(&mut note.shown);
        }
        // Outside the house there is no sign of ringing: taken is all that one hears.
        let told = match line {
            Line::External => matches!(stage, Stage::Accepted | Stage::Routing | Stage::Alerting),
            Line::Internal => *stage == Stage::Alerting,
        };
        if told { self.respond(call) } else { Vec::new() }
    }

    /// The other side of an own call is reached.
    pub(super) fn respond(&mut self, call: &CallId) -> Vec<Frame> {
        let Some(note) = self.calls.get_mut(call) else {
            return Vec::new();
        };
        if note.stand != Stand::Calls || note.responded {
            return Vec::new();
        }
        note.responded = true;
        let data = json!({ "a": 180, "c": call, "n": note.shown, "r": codes::OK });
        vec![call_event(note.response(), data)]
    }

    pub(super) fn peer_answered(&mut self, call: &CallId) -> Vec<Frame> {
        let mut frames = self.respond(call);
        if let Some(note) = self.calls.get_mut(call)
            && note.stand == Stand::Calls
        {
            note.stand = Stand::Talks;
            let data = json!({ "a": 200, "c": call, "n": note.shown });
            frames.push(call_event("answeredPBXCall", data));
        }
        frames
    }

    pub(super) fn peer_refused(&mut self, call: &CallId, reason: EndReason) -> Vec<Frame> {
        let Some(note) = self.calls.get_mut(call) else {
            return Vec::new();
        };
        let Some((r, info)) = codes::refusal(reason) else {
            return Vec::new(); // as with a carrier: not to be told from no answer
        };
        if note.stand != Stand::Calls || note.responded {
            return Vec::new();
        }
        note.responded = true;
        let data = json!({ "a": 486, "c": call, "n": note.shown, "r": r, "info": info });
        vec![call_event(note.response(), data)]
    }

    pub(super) fn timed_out(&mut self, call: &CallId, callee: &UserId) -> Vec<Frame> {
        if self.me.as_ref() == Some(callee) {
            return self.refused_here(call);
        }
        match self.calls.get(call) {
            Some(note) if note.stand == Stand::Calls && note.line == Line::Internal => {
                let data = json!({ "a": 408, "c": call, "n": note.shown });
                vec![call_event("callinFaildResponse", data)]
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn transferred(&mut self, call: &CallId, event: &Event) -> Vec<Frame> {
        let Event::TransferUpdate {
            state,
            by,
            target,
            grant,
            ..
        } = event
        else {
            return Vec::new();
        };
        let mine = self.me.as_ref() == Some(&by.user);
        let to_me = self.me.as_ref() == Some(&target.user);
        let mut frames = Vec::new();
        if to_me && *state == TransferState::Requested {
            frames = self.rings(call, number_of(by), Stand::RingsForTransfer);
        }
        if to_me
            && matches!(
                state,
                TransferState::Canceled | TransferState::TimedOut | TransferState::Failed
            )
        {
            frames = self.refused_here(call);
        }
        if let Some(grant) = grant {
            frames.push(rtc_frame(call, grant));
        }
        let word = match state {
            TransferState::Completed => Some("transferCallSuccess"),
            TransferState::Rejected
            | TransferState::TimedOut
            | TransferState::Failed
            | TransferState::Canceled => Some("transferCallFaield"),
            TransferState::Requested | TransferState::Completing => None,
        };
        if let (true, Some(word)) = (mine, word) {
            frames.push(frame(json!({
                "type": "transfer",
                "ccNumber": call,
                "result": { "type": word, "data": { "ccNumber": call, "number": number_of(target) } },
            })));
        }
        frames
    }

    pub(super) fn monitored(
        &mut self,
        call: &CallId,
        state: MonitorState,
        grant: Option<&MediaGrant>,
    ) -> Vec<Frame> {
        let status = codes::monitor(state);
        let mut frames = vec![frame(json!({
            "type": "monitor",
            "status": status,
            "ccNumber": if status == 0 { "" } else { call.as_str() },
        }))];
        if let Some(grant) = grant {
            frames.push(rtc_frame(call, grant));
        }
        match (state, self.stand(call)) {
            (MonitorState::Listening, None) => {
                let note = Note {
                    stand: Stand::Monitors,
                    ..Note::called(String::new(), Line::Internal)
                };
                self.calls.insert(call.clone(), note);
                let data = json!({ "a": 200, "c": call, "n": "" });
                frames.push(call_event("answeredPBXCall", data));
            }
            (MonitorState::None, Some(Stand::Monitors)) => {
                self.calls.remove(call);
                let data = json!({ "a": 200, "c": call, "r": "26", "callTime": 0 });
                frames.push(call_event("endPBXCall", data));
            }
            _ => {}
        }
        frames
    }

    /// Back after a loss. A page that has forgotten the call learns of it as of an answered one.
    pub(super) fn recovered(&mut self, call: &Call, grant: Option<&MediaGrant>) -> Vec<Frame> {
        let mut frames = Vec::new();
        if self.calls.get(&call.id).is_none() {
            let others = call
                .participants
                .iter()
                .map(|each| &each.person)
                .find(|person| self.me.as_ref() != Some(&person.user));
            let shown = others.map(number_of).unwrap_or_default();
            let data = json!({ "a": 200, "c": call.id, "n": shown });
            frames.push(call_event("answeredPBXCall", data));
            self.calls.insert(
                call.id.clone(),
                Note {
                    stand: Stand::Talks,
                    ..Note::called(shown, Line::Internal)
                },
            );
        }
        frames.extend(grant.map(|grant| rtc_frame(&call.id, grant)));
        frames
    }

    pub(super) fn ended(&mut self, call: &CallId, event: &Event) -> Vec<Frame> {
        let Event::CallEnded {
            reason,
            actor,
            answered,
            end_ms,
            duration_ms,
            ..
        } = event
        else {
            return Vec::new();
        };
        let Some(stand) = self.stand(call) else {
            return Vec::new();
        };
        if matches!(stand, Stand::Rings | Stand::RingsForTransfer) {
            return self.refused_here(call);
        }
        self.calls.remove(call);
        let own = actor
            .as_ref()
            .is_some_and(|actor| self.me.as_ref() == Some(&actor.user));
        let r = codes::end(*reason, *answered, own);
        // The talk's length, or, when there was none, the time of the end: both in seconds.
        let call_time = if r == "20" { *end_ms } else { *duration_ms } / 1000;
        let data = json!({ "a": 200, "c": call, "r": r, "callTime": call_time });
        vec![call_event("endPBXCall", data)]
    }
}

/// `checkSeatState`'s answer from now on, and `statusChanged` where the application hears of it: not of
/// calls, but when the seat comes online (a page that was loaded anew finds its call), and of what holds
/// after a call.
pub(super) fn seat_frame(old: SeatState, new: SeatState) -> Frame {
    let in_call = |state| {
        matches!(
            state,
            SeatState::Ringing | SeatState::Talking | SeatState::Held
        )
    };
    let mut frame = frame(json!({ "type": "seat", "state": codes::seat(new) }));
    if old == SeatState::Offline || !in_call(new) {
        frame.insert("status".into(), json!(codes::presence(new)));
    }
    frame
}

pub(super) fn notice(event: &Event) -> Vec<Frame> {
    let Event::CallNotice {
        call,
        caller,
        begin_ms,
        end_ms,
        ..
    } = event
    else {
        return Vec::new();
    };
    let end = if *end_ms == 0 {
        json!("")
    } else {
        json!(end_ms / 1000)
    };
    vec![frame(json!({
        "type": "repCallStatus",
        "data": {
            "caller": number_of(caller),
            "ccNumber": call,
            "callTime": begin_ms / 1000,
            "endTime": end,
        },
    }))]
}
