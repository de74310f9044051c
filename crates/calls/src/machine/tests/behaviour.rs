//! One-to-one and group calls: ringing, answers, races, losses.

use std::time::Duration;

use super::rig::{Rig, accept, call_of, device, hang_up, id, private, reject, tenant, user};
use crate::command::{AdminCommand, CallRef, Command, InviteRef, NewCall};
use crate::door::{Input, Output};
use crate::error::ErrorCode;
use crate::event::{Data, Event, Stage};
use crate::media::{Access, MediaAction};
use crate::model::{CallKind, Target};
use crate::policy::TenantSettings;
use crate::reason::EndReason;

pub(super) fn rig(online: &[&str]) -> Rig {
    rig_with(TenantSettings::default(), online)
}

pub(super) fn rig_with(settings: TenantSettings, online: &[&str]) -> Rig {
    let mut rig = Rig::new(settings);
    for name in online {
        rig.login(name);
    }
    rig.forget();
    rig
}

pub(super) fn end_of(events: &[Event]) -> Vec<(EndReason, Option<&str>)> {
    let ends = events.iter().filter_map(|event| match event {
        Event::CallEnded { reason, actor, .. } => {
            Some((*reason, actor.as_ref().map(|actor| actor.user.as_str())))
        }
        _ => None,
    });
    ends.collect()
}

#[test]
fn a_call_rings_is_answered_begins_and_ends() {
    let mut rig = rig(&["ann", "bob"]);
    let call = rig.ring("ann", "bob");
    assert_eq!(rig.words("bob"), ["InviteReceived"]);
    assert_eq!(rig.words("ann"), ["CallProgress"]);
    rig.ok(
        "bob",
        Command::Ringing {
            invite: InviteRef::Newest,
        },
    );
    assert_eq!(rig.words("ann"), ["InviteRinging", "CallProgress"]);
    let answered = rig.ok("bob", accept(&call));
    let Data::Call {
        grant: Some(grant), ..
    } = answered
    else {
        panic!("no grant");
    };
    assert_eq!(
        (grant.identity.as_str(), grant.access),
        ("bob", Access::FULL)
    );
    assert_eq!(rig.words("ann"), ["InviteAccepted"]);
    rig.media_up(&call, "ann");
    rig.media_up(&call, "bob");
    assert_eq!(rig.words("ann"), ["ParticipantJoined", "CallProgress"]);
    rig.pass(Duration::from_secs(65));
    rig.ok("bob", hang_up(&call));
    let ended = rig.take("ann");
    let Some(Event::CallEnded {
        reason,
        actor,
        duration_ms,
        answered,
        ..
    }) = ended.last()
    else {
        panic!("no end: {ended:?}");
    };
    assert_eq!(
        (*reason, *duration_ms, *answered),
        (EndReason::HangUp, 65_000, true)
    );
    assert_eq!(actor.as_ref().map(|actor| actor.user.as_str()), Some("bob"));
    assert_eq!(rig.machine.next_timeout(), None);
    assert_eq!(rig.err("ann", hang_up(&call)), ErrorCode::CallEnded);
}

#[test]
fn a_repeated_request_is_answered_the_same_and_has_no_second_effect() {
    let mut rig = rig(&["ann", "bob"]);
    let first = rig.request("ann", "same", Command::CreateCall(private("bob")));
    let again = rig.request("ann", "same", Command::CreateCall(private("bob")));
    assert_eq!(first, again);
    assert_eq!(rig.machine.live_calls(), 1);
    assert_eq!(rig.words("bob"), ["InviteReceived"]);
}

#[test]
fn the_result_precedes_what_others_are_told() {
    let mut rig = rig(&["ann", "bob"]);
    let outputs = rig.input(Input::Command {
        from: device("ann"),
        request: crate::ids::RequestId::new("x").expect("a name"),
        command: Command::CreateCall(private("bob")),
    });
    assert!(matches!(outputs.first(), Some(Output::Result { .. })));
}

#[test]
fn refusing_ends_the_call_for_the_caller_with_the_callee_as_actor() {
    let mut rig = rig(&["ann", "bob"]);
    let call = rig.ring("ann", "bob");
    rig.forget();
    rig.ok("bob", reject(&call));
    let told = rig.take("ann");
    assert!(matches!(
        told[0],
        Event::InviteRejected {
            reason: EndReason::Reject,
            ..
        }
    ));
    assert_eq!(end_of(&told), [(EndReason::Reject, Some("bob"))]);
}

#[test]
fn nobody_answers_in_time_and_everyone_is_told_once() {
    let mut rig = rig(&["ann", "bob", "bob/phone"]);
    rig.ring("ann", "bob");
    rig.forget();
    rig.pass(Duration::from_secs(59));
    assert!(rig.told.is_empty());
    rig.pass(Duration::from_secs(2));
    assert_eq!(rig.words("bob"), ["InviteTimeout"]);
    assert_eq!(rig.words("bob/phone"), ["InviteTimeout"]);
    let told = rig.take("ann");
    assert!(matches!(told[0], Event::InviteTimeout { .. }));
    assert_eq!(end_of(&told), [(EndReason::NoAnswer, Some("bob"))]);
    rig.pass(Duration::from_secs(600));
    assert!(rig.told.is_empty());
}

#[test]
fn hanging_up_before_the_answer_cancels() {
    let mut rig = rig(&["ann", "bob"]);
    let call = rig.ring("ann", "bob");
    rig.forget();
    rig.ok("ann", hang_up(&call));
    assert_eq!(rig.words("bob"), ["InviteCanceled"]);
    assert_eq!(end_of(&rig.take("ann")), [(EndReason::Cancel, Some("ann"))]);
    assert_eq!(rig.err("bob", accept(&call)), ErrorCode::CallEnded);
}

#[test]
fn the_second_device_that_answers_is_told_that_another_did() {
    let mut rig = rig(&["ann", "bob", "bob/phone"]);
    let call = rig.ring("ann", "bob");
    rig.forget();
    rig.accept("bob", &call);
    assert!(matches!(
        rig.take("bob/phone")[..],
        [Event::AnsweredElsewhere { accepted: true, .. }]
    ));
    assert_eq!(
        rig.err("bob/phone", accept(&call)),
        ErrorCode::AcceptedElsewhere
    );
}

#[test]
fn who_calls_each_other_at_once_finds_the_first_call_in_the_way() {
    let mut rig = rig(&["ann", "bob"]);
    rig.ring("ann", "bob");
    let second = rig.err("bob", Command::CreateCall(private("ann")));
    assert_eq!(second, ErrorCode::AlreadyInCall);
}

#[test]
fn a_busy_callee_ends_the_call_as_busy() {
    let mut rig = rig(&["ann", "bob", "cid"]);
    rig.talk("ann", "bob");
    rig.forget();
    rig.ok("cid", Command::CreateCall(private("bob")));
    let told = rig.take("cid");
    assert!(told.iter().any(|event| matches!(
        event,
        Event::CallProgress {
            stage: Stage::Failed,
            error: Some(ErrorCode::Busy),
            ..
        }
    )));
    assert_eq!(end_of(&told), [(EndReason::Busy, Some("bob"))]);
    assert!(rig.take("bob").is_empty());
}

#[test]
fn an_idle_device_beside_one_in_a_call_says_so_to_the_caller() {
    let mut rig = rig(&["ann", "bob", "bob/phone", "cid"]);
    rig.talk("ann", "bob");
    rig.forget();
    rig.ok("cid", Command::CreateCall(private("bob")));
    let ends = rig.take("cid");
    assert_eq!(end_of(&ends), [(EndReason::OtherDeviceInCall, Some("bob"))]);
}

#[test]
fn wrong_targets_are_refused_each_with_its_code() {
    let mut rig = rig(&["ann", "bob"]);
    let mut call = |to| rig.err("ann", Command::CreateCall(private(to)));
    assert_eq!(call("ann"), ErrorCode::SelfTarget);
    assert_eq!(call("nobody"), ErrorCode::NotFound);
    rig.admin(AdminCommand::Ban {
        user: user("cid"),
        ttl_s: None,
    })
    .expect("a ban");
    let banned = rig.err("ann", Command::CreateCall(private("cid")));
    assert_eq!(banned, ErrorCode::Banned);
    let mut record = rig
        .machine
        .user(&tenant(), &user("dan"))
        .expect("dan")
        .record
        .clone();
    record.blocked.push(user("ann"));
    rig.admin(AdminCommand::PutUser {
        user: Box::new(record),
    })
    .expect("dan");
    let blocked = rig.err("ann", Command::CreateCall(private("dan")));
    assert_eq!(blocked, ErrorCode::Blocked);
    let outside = NewCall {
        kind: CallKind::Pstn,
        target: Target::Number {
            number: "13812345678".to_owned(),
            shown: Some("secret".to_owned()),
        },
        ..private("bob")
    };
    rig.forget();
    rig.ok("ann", Command::CreateCall(outside));
    let told = rig.take("ann");
    assert!(told.iter().all(|event| match event {
        Event::CallProgress { shown, .. } => shown == "secret",
        _ => true,
    }));
    assert_eq!(end_of(&told), [(EndReason::NotReached, None)]);
}

#[test]
fn group_invitees_have_a_timer_each_and_members_see_each_end_once() {
    let mut rig = rig(&["ann", "bob", "cid", "dan"]);
    let call = rig.ring_group("ann", &["bob", "cid"]);
    rig.accept("bob", &call);
    rig.media_up(&call, "ann");
    rig.media_up(&call, "bob");
    rig.pass(Duration::from_secs(30));
    rig.ok(
        "ann",
        Command::Invite {
            call: CallRef::Current,
            callees: vec![user("dan"), user("dan"), user("bob")],
            extra: "hello".to_owned(),
            push: None,
        },
    );
    rig.forget();
    rig.pass(Duration::from_secs(31));
    for name in ["ann", "bob"] {
        let told = rig.take(name);
        let [Event::InviteTimeout { user: who, .. }] = &told[..] else {
            panic!("{name}: {told:?}");
        };
        assert_eq!(who.user, user("cid"), "{name}");
    }
    rig.accept("dan", &call);
    rig.pass(Duration::from_secs(1));
    assert_eq!(
        rig.err(
            "ann",
            Command::Invite {
                call: CallRef::Current,
                callees: vec![user("bob")],
                extra: String::new(),
                push: None,
            },
        ),
        ErrorCode::Duplicate
    );
}

#[test]
fn a_group_goes_on_until_one_is_left() {
    let mut rig = rig(&["ann", "bob", "cid"]);
    let call = rig.ring_group("ann", &["bob", "cid"]);
    for name in ["bob", "cid"] {
        rig.accept(name, &call);
    }
    for name in ["ann", "bob", "cid"] {
        rig.media_up(&call, name);
    }
    rig.forget();
    rig.ok("ann", hang_up(&call));
    assert_eq!(end_of(&rig.take("ann")), [(EndReason::HangUp, Some("ann"))]);
    assert_eq!(rig.words("bob"), ["ParticipantLeft"]);
    rig.ok("bob", hang_up(&call));
    assert_eq!(end_of(&rig.take("cid")), [(EndReason::HangUp, Some("bob"))]);
}

#[test]
fn only_hosts_kick_and_end_for_all() {
    let mut rig = rig(&["ann", "bob", "cid"]);
    let call = rig.ring_group("ann", &["bob", "cid"]);
    for name in ["bob", "cid"] {
        rig.accept(name, &call);
        rig.media_up(&call, name);
    }
    let kick = |who| Command::KickUser {
        call: id(&call),
        user: user(who),
    };
    assert_eq!(rig.err("bob", kick("cid")), ErrorCode::Forbidden);
    assert_eq!(rig.err("ann", kick("eve")), ErrorCode::NotFound);
    rig.forget();
    rig.ok("ann", kick("cid"));
    assert_eq!(end_of(&rig.take("cid")), [(EndReason::Kicked, Some("ann"))]);
    assert!(rig.media.contains(&MediaAction::Remove {
        room: format!("call-{call}"),
        user: user("cid"),
    }));
    let end = || Command::EndCall { call: id(&call) };
    assert_eq!(rig.err("bob", end()), ErrorCode::Forbidden);
    rig.ok("ann", end());
    assert_eq!(
        end_of(&rig.take("bob")),
        [(EndReason::RoomDissolved, Some("ann"))]
    );
}

#[test]
fn a_meeting_is_joined_by_its_serial_number_and_ends_when_one_was_alone_for_long() {
    let mut rig = rig(&["ann", "bob"]);
    let join = |serial: &str| Command::JoinRoom {
        serial: serial.to_owned(),
        media: crate::model::Media::Video,
        role: None,
        extra: String::new(),
    };
    let call = call_of(&rig.ok("ann", join("order-7")));
    assert_eq!(call_of(&rig.ok("bob", join("order-7"))), call);
    assert_eq!(rig.err("ann", join("order-7")), ErrorCode::AlreadyInCall);
    rig.media_up(&call, "ann");
    rig.media_up(&call, "bob");
    rig.ok(
        "bob",
        Command::LeaveRoom {
            call: CallRef::Current,
        },
    );
    rig.forget();
    rig.pass(Duration::from_secs(59));
    assert_eq!(rig.machine.live_calls(), 1);
    rig.pass(Duration::from_secs(2));
    assert_eq!(end_of(&rig.take("ann")), [(EndReason::EmptyRoom, None)]);
}
