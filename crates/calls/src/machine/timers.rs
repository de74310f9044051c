//! What fires when. One entry per timer: setting it again moves it.

use std::collections::{BTreeMap, BTreeSet};

use crosspoint_wire::time::Time;

use crate::ids::{CallId, DeviceRef, InviteId, RecordingId, TenantId, UserId};

/// Everything that may fire (catalogue 6.5).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Ring(CallId, InviteId),
    Connect(CallId, UserId),
    MediaLost(CallId, UserId),
    Queue(CallId),
    Rering(CallId, UserId),
    Transfer(CallId),
    Third(CallId),
    EmptyRoom(CallId),
    MonStart(CallId, UserId),
    RecHealth(CallId),
    RecFinalize(RecordingId),
    Reconnect(DeviceRef),
    Registration(DeviceRef),
    Ban(TenantId, UserId),
}

impl Timer {
    /// The call whose end ends this timer, too.
    const fn call(&self) -> Option<&CallId> {
        match self {
            Self::Ring(call, _)
            | Self::Connect(call, _)
            | Self::MediaLost(call, _)
            | Self::Queue(call)
            | Self::Rering(call, _)
            | Self::Transfer(call)
            | Self::Third(call)
            | Self::EmptyRoom(call)
            | Self::MonStart(call, _)
            | Self::RecHealth(call) => Some(call),
            Self::RecFinalize(_) | Self::Reconnect(_) | Self::Registration(_) | Self::Ban(..) => {
                None
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Timers {
    due: BTreeSet<(Time, Timer)>,
    at: BTreeMap<Timer, Time>,
    of_call: BTreeMap<CallId, BTreeSet<Timer>>,
}

impl Timers {
    pub(super) const fn new() -> Self {
        Self {
            due: BTreeSet::new(),
            at: BTreeMap::new(),
            of_call: BTreeMap::new(),
        }
    }

    pub(super) fn set(&mut self, timer: Timer, at: Time) {
        self.clear(&timer);
        if let Some(call) = timer.call() {
            let timers = self.of_call.entry(call.clone()).or_default();
            timers.insert(timer.clone());
        }
        self.due.insert((at, timer.clone()));
        self.at.insert(timer, at);
    }

    pub(super) fn is_set(&self, timer: &Timer) -> bool {
        self.at.contains_key(timer)
    }

    pub(super) fn at(&self, timer: &Timer) -> Option<Time> {
        self.at.get(timer).copied()
    }

    pub(super) fn clear(&mut self, timer: &Timer) {
        let Some(at) = self.at.remove(timer) else {
            return;
        };
        self.due.remove(&(at, timer.clone()));
        if let Some(call) = timer.call()
            && let Some(timers) = self.of_call.get_mut(call)
        {
            timers.remove(timer);
            if timers.is_empty() {
                self.of_call.remove(call);
            }
        }
    }

    /// Clears all that belong to a call.
    pub(super) fn clear_call(&mut self, call: &CallId) {
        for timer in self.of_call.get(call).cloned().unwrap_or_default() {
            self.clear(&timer);
        }
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    pub(super) fn take_due(&mut self, now: Time) -> Option<Timer> {
        let (at, timer) = self.due.first()?.clone();
        (at <= now).then(|| {
            self.clear(&timer);
            timer
        })
    }
}
