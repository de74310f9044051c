//! Devices that are away, come back, or are turned out, and media that does not come up.

use std::time::Duration;

use super::behaviour::{end_of, rig, rig_with};
use super::inside::message;
use super::rig::{Rig, device, hang_up, private, user};
use crate::command::Command;
use crate::door::Input;
use crate::error::ErrorCode;
use crate::event::Event;
use crate::media::MediaEvent;
use crate::model::{CallState, PartState};
use crate::policy::{LoginPolicy, TenantSettings};
use crate::reason::EndReason;

#[test]
fn an_invitation_waits_for_its_callee_to_come_online() {
    let mut rig = rig(&["ann"]);
    let call = rig.ring("ann", "bob");
    rig.pass(Duration::from_secs(20));
    rig.login("bob");
    let told = rig.take("bob");
    let left = told.iter().find_map(|event| match event {
        Event::InviteReceived { ring_ms, .. } => Some(*ring_ms),
        _ => None,
    });
    assert_eq!(left, Some(40_000));
    rig.accept("bob", &call);
}

#[test]
fn a_missed_invitation_is_reported_at_login() {
    let mut rig = rig(&["ann"]);
    rig.ring("ann", "bob");
    rig.pass(Duration::from_secs(61));
    rig.login("bob");
    let told = rig.take("bob");
    let records = told.iter().find_map(|event| match event {
        Event::OfflineInvites { records } => Some(records),
        _ => None,
    });
    let record = &records.expect("records")[0];
    assert_eq!(record.caller.user, user("ann"));
    assert_eq!(record.reason, Some(EndReason::NoAnswer));
    rig.lose("bob");
    rig.pass(Duration::from_secs(60));
    rig.login("bob");
    assert_eq!(rig.words("bob"), ["Connected"], "reported once");
}

#[test]
fn a_device_that_comes_back_gets_what_it_missed_once_and_in_order() {
    let mut rig = rig(&["ann", "bob", "cid"]);
    let call = rig.ring_group("ann", &["bob", "cid"]);
    rig.accept("bob", &call);
    rig.media_up(&call, "ann");
    rig.media_up(&call, "bob");
    let seen = rig.machine.device(&device("bob")).expect("bob").seq;
    let key = rig
        .machine
        .device(&device("bob"))
        .expect("bob")
        .session_key
        .clone();
    rig.forget();
    rig.lose("bob");
    for text in ["one", "two", "three"] {
        rig.ok("ann", message(&call, text));
    }
    rig.accept("cid", &call);
    rig.media_up(&call, "cid");
    rig.pass(Duration::from_millis(29_900));
    assert!(rig.take("bob").is_empty());
    rig.ok(
        "bob",
        Command::Reconnect {
            session_key: key,
            last_seq: seen,
        },
    );
    assert_eq!(
        rig.words("bob"),
        [
            "Message",
            "Message",
            "Message",
            "InviteAccepted",
            "ParticipantJoined",
            "CallRecovered"
        ]
    );
    let told = rig.take("ann");
    let back = told.iter().rev().find_map(|event| match event {
        Event::ParticipantUpdated { participant, .. } => Some(participant.state),
        _ => None,
    });
    assert_eq!(back, Some(PartState::Joined));
}

#[test]
fn who_does_not_come_back_leaves_for_the_network() {
    let mut rig = rig(&["ann", "bob"]);
    let call = rig.talk("ann", "bob");
    rig.forget();
    rig.lose("bob");
    rig.pass(Duration::from_secs(31));
    assert_eq!(
        end_of(&rig.take("ann")),
        [(EndReason::Network, Some("bob"))]
    );
    assert_eq!(rig.err("ann", hang_up(&call)), ErrorCode::CallEnded);
    assert_eq!(rig.machine.next_timeout(), None);
}

#[test]
fn a_page_that_is_loaded_anew_goes_on_with_its_call() {
    let settings = TenantSettings {
        login_policy: LoginPolicy::Single,
        ..TenantSettings::default()
    };
    let mut rig = rig_with(settings, &["ann", "bob"]);
    let call = rig.talk("ann", "bob");
    rig.lose("bob");
    rig.forget();
    rig.login("bob/again");
    let told = rig.take("bob/again");
    let recovered = told.iter().find_map(|event| match event {
        Event::CallRecovered { call, state, grant } => Some((call.id.clone(), *state, grant)),
        _ => None,
    });
    let (id, state, grant) = recovered.expect("a recovered call");
    assert_eq!((id, state), (call.clone(), CallState::Active));
    assert!(grant.is_some());
    rig.ok("bob/again", hang_up(&call));
}

#[test]
fn another_login_turns_the_first_one_out_where_the_policy_says_so() {
    let settings = TenantSettings {
        login_policy: LoginPolicy::SameTerminal,
        ..TenantSettings::default()
    };
    let mut rig = rig_with(settings, &["ann", "ann/phone"]);
    rig.login("ann/second");
    assert!(matches!(
        rig.take("ann")[..],
        [Event::Kicked {
            error: ErrorCode::KickedOtherDevice
        }]
    ));
    assert!(rig.take("ann/phone").is_empty());
    assert_eq!(rig.err("ann", Command::Refresh), ErrorCode::State);
}

#[test]
fn a_new_call_on_a_device_of_the_same_type_ends_the_old_one() {
    let mut rig = rig(&["ann", "bob", "bob/second", "bob/phone", "cid"]);
    rig.talk("ann", "bob");
    rig.forget();
    let other_type = rig.err("bob/phone", Command::CreateCall(private("cid")));
    assert_eq!(other_type, ErrorCode::AlreadyInCall);
    rig.ok("bob/second", Command::CreateCall(private("cid")));
    let ends = rig.take("bob");
    assert_eq!(
        end_of(&ends),
        [(EndReason::OtherDeviceNewCall, Some("bob"))]
    );
}

#[test]
fn media_that_never_comes_up_ends_the_call() {
    let mut rig = rig(&["ann", "bob"]);
    let call = rig.ring("ann", "bob");
    rig.media_up(&call, "ann");
    rig.accept("bob", &call);
    rig.forget();
    rig.pass(Duration::from_secs(16));
    assert_eq!(
        end_of(&rig.take("ann")),
        [(EndReason::DeviceError, Some("bob"))]
    );
}

#[test]
fn media_that_is_lost_may_come_back() {
    let mut rig = rig(&["ann", "bob"]);
    let call = rig.talk("ann", "bob");
    let lost = |rig: &mut Rig| {
        rig.input(Input::Media(MediaEvent::Left {
            room: format!("call-{call}"),
            user: user("bob"),
            lost: true,
        }));
    };
    lost(&mut rig);
    rig.pass(Duration::from_secs(29));
    rig.media_up(&call, "bob");
    rig.pass(Duration::from_secs(60));
    assert_eq!(rig.machine.live_calls(), 1);
    lost(&mut rig);
    rig.forget();
    rig.pass(Duration::from_secs(31));
    assert_eq!(
        end_of(&rig.take("ann")),
        [(EndReason::Network, Some("bob"))]
    );
}
