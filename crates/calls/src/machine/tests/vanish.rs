//! A client that vanishes, at every step of every procedure: what stays behind, and what it finds when it
//! comes back.

use std::time::Duration;

use super::rig::{Rig, device, hang_up, tenant, user};
use super::table::{CAST, SITUATIONS, set};
use crate::command::Command;
use crate::event::Event;
use crate::ids::CallId;
use crate::model::CallState;

/// Longer than every timer, one after the other.
const LONG: Duration = Duration::from_secs(1_200);
/// Longer than the grace of a lost connection, and than an invitation waits for who is not there.
const GRACE_AND_MORE: Duration = Duration::from_secs(61);
/// Shorter than any timer.
const SHORT: Duration = Duration::from_millis(500);

/// Whether somebody has to do with the call in any way.
fn is_in(rig: &Rig, call: &CallId, name: &str) -> bool {
    let user = user(name);
    rig.machine.calls.get(call).is_some_and(|call| {
        call.part(&user).is_some()
            || call.live_invite_of(&user).is_some()
            || call.monitors.contains_key(&user)
    })
}

#[test]
fn who_vanishes_at_any_step_leaves_nothing_behind() {
    for (situation, setting) in SITUATIONS {
        let (rig, call) = set(situation, setting);
        for who in CAST {
            let mut rig = rig.clone();
            rig.forget();
            rig.lose(who);
            rig.pass(GRACE_AND_MORE);
            rig.machine.check();
            let place = format!("{situation}, {who}");
            assert!(!is_in(&rig, &call, who), "{place}: still there");
            let entry = rig.machine.user(&tenant(), &user(who)).expect("known");
            assert!(entry.devices.is_empty(), "{place}: a device");
            assert!(entry.engaged.is_empty(), "{place}: engaged");
            assert_eq!(entry.monitoring, None, "{place}");
            for (device, told) in &rig.told {
                let ends = told.iter();
                let ends = ends.filter(|event| matches!(event, Event::CallEnded { .. }));
                assert!(ends.count() <= 1, "{place}: {device} is told twice");
            }
            // Those who are left.
            for other in CAST.into_iter().chain(["cai"]) {
                rig.lose(other);
            }
            rig.pass(LONG);
            rig.machine.check();
            assert_eq!(rig.machine.live_calls(), 0, "{place}: a call");
            assert_eq!(rig.machine.next_timeout(), None, "{place}: a timer");
        }
    }
}

#[test]
fn a_party_that_vanishes_from_a_pair_ends_the_call_for_the_other() {
    for (situation, setting) in SITUATIONS {
        let (rig, call) = set(situation, setting);
        let pair = rig.machine.calls.get(&call);
        let Some(pair) = pair.filter(|pair| pair.is_pair() && pair.state == CallState::Active)
        else {
            continue;
        };
        let initiator = pair.initiator.to_string();
        let mut rig = rig.clone();
        rig.forget();
        rig.lose(&initiator);
        rig.pass(GRACE_AND_MORE);
        assert!(!rig.machine.calls.contains_key(&call), "{situation}");
        assert!(rig.words("amy").contains(&"CallEnded"), "{situation}");
    }
}

#[test]
fn who_comes_back_soon_finds_everything_as_it_was_at_any_step() {
    for (situation, setting) in SITUATIONS {
        let (rig, call) = set(situation, setting);
        for who in CAST {
            let place = format!("{situation}, {who}");
            let mut rig = rig.clone();
            let entry = rig.machine.device(&device(who)).expect("online");
            let (session_key, last_seq) = (entry.session_key.clone(), entry.seq);
            let state = |rig: &Rig| rig.machine.calls.get(&call).map(|call| call.state);
            let (before, was_in) = (state(&rig), is_in(&rig, &call, who));
            rig.forget();
            rig.lose(who);
            rig.pass(SHORT);
            let back = Command::Reconnect {
                session_key,
                last_seq,
            };
            rig.ok(who, back);
            rig.machine.check();
            assert_eq!(state(&rig), before, "{place}");
            assert_eq!(is_in(&rig, &call, who), was_in, "{place}");
            // And can go on with it.
            if was_in {
                rig.ok(who, hang_up(&call));
                assert!(!is_in(&rig, &call, who), "{place}");
            }
        }
    }
}
