//! One-to-one and group calls: ringing, answers, races, losses.

use std::time::Duration;

use super::rig::{Rig, accept, call_of, device, hang_up, id, private, reject, tenant, user};
use crate::command::{AdminCommand, CallRef, Command, InviteRef, NewCall, ScreenAction};
use crate::door::{Input, Output};
use crate::error::ErrorCode;
use crate::event::{Data, Event, Stage};
use crate::media::{Access, MediaAction, MediaEvent};
use crate::model::{CallKind, CallState, MessageScope, PartState, Target, TrackKind};
use crate::policy::{LoginPolicy, RecordFailPolicy, RecordPolicy, TenantSettings, Timers};
use crate::reason::EndReason;

fn rig(online: &[&str]) -> Rig {
    rig_with(TenantSettings::default(), online)
}

fn rig_with(settings: TenantSettings, online: &[&str]) -> Rig {
    let mut rig = Rig::new(settings);
    for name in online {
        rig.login(name);
    }
    rig.forget();
    rig
}

fn end_of(events: &[Event]) -> Vec<(EndReason, Option<&str>)> {
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
    rig.pass(Duration::from_secs(10));
    assert!(rig.take("bob").is_empty());
    rig.media_up(&call, "cid");
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

fn message(call: &crate::ids::CallId, text: &str) -> Command {
    Command::SendMessage {
        call: id(call),
        to: None,
        content_type: "text".to_owned(),
        content: text.to_owned(),
    }
}

#[test]
fn messages_go_to_one_or_to_all_but_never_back_and_never_too_large() {
    let mut rig = rig(&["ann", "bob", "cid"]);
    let call = rig.ring_group("ann", &["bob", "cid"]);
    for name in ["bob", "cid"] {
        rig.accept(name, &call);
    }
    rig.forget();
    rig.ok("ann", message(&call, "to all"));
    assert_eq!(rig.words("ann"), [""; 0]);
    assert_eq!(rig.words("bob"), ["Message"]);
    assert_eq!(rig.words("cid"), ["Message"]);
    let to = |who| Command::SendMessage {
        call: id(&call),
        to: Some(user(who)),
        content_type: "text".to_owned(),
        content: "to one".to_owned(),
    };
    rig.ok("ann", to("bob"));
    let told = rig.take("bob");
    assert!(matches!(&told[..], [Event::Message { message, .. }]
        if message.scope == MessageScope::OneToOne));
    assert!(rig.take("cid").is_empty());
    assert_eq!(rig.err("ann", to("eve")), ErrorCode::NotFound);
    rig.ok("ann", message(&call, &"x".repeat(4096)));
    let large = rig.err("ann", message(&call, &"x".repeat(4097)));
    assert_eq!(large, ErrorCode::TooLarge);
}

#[test]
fn one_screen_at_a_time_is_shared_and_goes_with_its_owner() {
    let mut rig = rig(&["ann", "bob", "cid"]);
    let call = rig.ring_group("ann", &["bob", "cid"]);
    for name in ["bob", "cid"] {
        rig.accept(name, &call);
    }
    let share = |action| Command::ScreenShare {
        call: id(&call),
        action,
        tip: "back soon".to_owned(),
    };
    rig.ok("bob", share(ScreenAction::Start));
    assert_eq!(rig.err("ann", share(ScreenAction::Start)), ErrorCode::State);
    rig.ok("bob", share(ScreenAction::Pause));
    rig.forget();
    rig.ok("bob", hang_up(&call));
    let told = rig.take("ann");
    let props = told.iter().find_map(|event| match event {
        Event::RoomPropChanged { props, .. } => Some(props),
        _ => None,
    });
    assert_eq!(props.expect("props").screen_share, None);
}

#[test]
fn video_becomes_audio_for_all_and_for_good() {
    let mut rig = rig(&["ann", "bob"]);
    let call = rig.talk("ann", "bob");
    rig.forget();
    rig.ok("ann", Command::Downgrade { call: id(&call) });
    assert_eq!(rig.words("bob"), ["MediaModeChanged"]);
    let mute = Command::Mute {
        call: id(&call),
        kind: TrackKind::Video,
        muted: true,
    };
    assert_eq!(rig.err("bob", mute), ErrorCode::NoVideoTrack);
    let again = rig.err("bob", Command::Downgrade { call: id(&call) });
    assert_eq!(again, ErrorCode::NoVideoTrack);
}

#[test]
fn a_mute_is_told_and_carried_out() {
    let mut rig = rig(&["ann", "bob"]);
    let call = rig.talk("ann", "bob");
    rig.input(Input::Media(MediaEvent::Tracks {
        room: format!("call-{call}"),
        user: user("ann"),
        audio: true,
        video: true,
        screen: false,
    }));
    rig.forget();
    rig.ok(
        "ann",
        Command::Mute {
            call: id(&call),
            kind: TrackKind::Audio,
            muted: true,
        },
    );
    assert_eq!(rig.words("bob"), ["MuteChanged", "ParticipantUpdated"]);
    assert!(rig.words("ann").is_empty());
    assert!(matches!(
        rig.media[..],
        [MediaAction::Mute {
            kind: TrackKind::Audio,
            muted: true,
            ..
        }]
    ));
}

#[test]
fn a_recorder_that_falls_silent_ends_the_call_where_the_policy_says_so() {
    for (policy, ends) in [
        (RecordFailPolicy::Continue, 0),
        (RecordFailPolicy::EndCall, 1),
    ] {
        let settings = TenantSettings {
            record_policy: RecordPolicy::Always,
            record_fail_policy: policy,
            ..TenantSettings::default()
        };
        let mut rig = rig_with(settings, &["ann", "bob"]);
        let call = rig.talk("ann", "bob");
        let recording = rig.media.iter().find_map(|action| match action {
            MediaAction::StartRecording { recording, .. } => Some(recording.clone()),
            _ => None,
        });
        let recording = recording.expect("recorded by policy");
        let runs = |rig: &mut Rig| {
            rig.input(Input::Media(MediaEvent::RecordingRunning {
                call: call.clone(),
                recording: recording.clone(),
            }));
        };
        for _ in 0..5 {
            runs(&mut rig);
            rig.pass(Duration::from_secs(5));
        }
        rig.forget();
        rig.pass(Duration::from_secs(11));
        let told = rig.take("ann");
        assert!(
            told.iter()
                .any(|event| matches!(event, Event::RecAborted { .. }))
        );
        let ended = end_of(&told);
        assert_eq!(ended.len(), ends);
        assert!(
            ended
                .iter()
                .all(|(reason, _)| *reason == EndReason::RecordAbort)
        );
    }
}

#[test]
fn a_recording_is_announced_with_its_address_after_the_call() {
    let settings = TenantSettings {
        record_policy: RecordPolicy::Always,
        ..TenantSettings::default()
    };
    let mut rig = rig_with(settings, &["ann", "bob"]);
    let call = rig.talk("ann", "bob");
    rig.ok("ann", hang_up(&call));
    let recording = rig.media.iter().find_map(|action| match action {
        MediaAction::StopRecording { recording, .. } => Some(recording.clone()),
        _ => None,
    });
    rig.forget();
    rig.input(Input::Media(MediaEvent::RecordingReady {
        call,
        recording: recording.expect("stopped"),
        url: "https://example.org/a.webm".to_owned(),
        bytes: 1000,
    }));
    assert_eq!(rig.words("ann"), ["RecReady"]);
    assert_eq!(rig.machine.next_timeout(), None);
}

#[test]
fn a_ban_turns_out_and_ends_by_itself() {
    let mut rig = rig(&["ann", "bob"]);
    rig.talk("ann", "bob");
    rig.forget();
    rig.admin(AdminCommand::Ban {
        user: user("bob"),
        ttl_s: Some(60),
    })
    .expect("a ban");
    assert_eq!(end_of(&rig.take("ann")), [(EndReason::Banned, Some("bob"))]);
    assert!(rig.words("bob").contains(&"Kicked"));
    let login = || {
        Command::Login(crate::command::Login {
            terminal: crate::model::Terminal::Web,
            skill_group: None,
            seat: false,
        })
    };
    assert_eq!(rig.err("bob", login()), ErrorCode::Banned);
    rig.pass(Duration::from_secs(61));
    rig.ok("bob", login());
}

#[test]
fn invitations_are_limited_for_one_tenant_and_recover() {
    let mut settings = TenantSettings {
        timers: Timers {
            ring_ms: 1_000,
            ..Timers::default()
        },
        ..TenantSettings::default()
    };
    settings.limits.invites_per_second = 10;
    let mut rig = rig_with(settings, &["ann"]);
    let mut refused = 0;
    for _ in 0..30 {
        let result = rig.ask("ann", Command::CreateCall(private("bob")));
        match result.error {
            ErrorCode::Ok => {
                rig.ok("ann", hang_up(&call_of(&result.data)));
            }
            error => {
                assert_eq!(error, ErrorCode::RateLimited);
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 20);
    rig.pass(Duration::from_millis(500));
    for _ in 0..5 {
        let call = rig.ring("ann", "bob");
        rig.ok("ann", hang_up(&call));
    }
    let more = rig.err("ann", Command::CreateCall(private("bob")));
    assert_eq!(more, ErrorCode::RateLimited);
}

#[test]
fn calls_of_another_tenant_do_not_exist() {
    let mut rig = rig(&["ann", "bob"]);
    let call = rig.ring("ann", "bob");
    let other = crate::ids::TenantId::new("other").expect("a name");
    let put = AdminCommand::PutTenant {
        settings: Box::new(TenantSettings {
            open_registration: true,
            ..TenantSettings::default()
        }),
    };
    rig.machine.handle(
        rig.now,
        Input::Admin {
            request: 1,
            tenant: other.clone(),
            command: put,
        },
    );
    let stranger = crate::ids::DeviceRef {
        tenant: other,
        ..device("eve")
    };
    let mut ask = |command| {
        rig.machine.handle(
            rig.now,
            Input::Command {
                from: stranger.clone(),
                request: crate::ids::RequestId::new(&format!("{command:?}")[..9]).expect("a name"),
                command,
            },
        );
        let outputs: Vec<_> = std::iter::from_fn(|| rig.machine.poll_output()).collect();
        let mut results = outputs.into_iter().filter_map(|output| match output {
            Output::Result { result, .. } => Some(result.error),
            _ => None,
        });
        results.next().expect("a result")
    };
    assert_eq!(
        ask(Command::Login(crate::command::Login {
            terminal: crate::model::Terminal::Web,
            skill_group: None,
            seat: false,
        })),
        ErrorCode::Ok
    );
    assert_eq!(ask(hang_up(&call)), ErrorCode::NotFound);
    assert_eq!(ask(accept(&call)), ErrorCode::NotFound);
    assert_eq!(
        ask(Command::EndCall { call: id(&call) }),
        ErrorCode::NotFound
    );
}

#[test]
fn linked_calls_see_each_other_until_one_ends() {
    let mut rig = rig(&["ann", "bob", "cid", "dan"]);
    let one = rig.ring_group("ann", &["bob"]);
    rig.accept("bob", &one);
    let two = rig.ring_group("cid", &["dan"]);
    rig.accept("dan", &two);
    for (call, name) in [(&one, "ann"), (&one, "bob"), (&two, "cid")] {
        rig.media_up(call, name);
    }
    rig.forget();
    let link = Command::LinkRoom {
        call: CallRef::Current,
        peer: id(&two),
    };
    rig.ok("ann", link.clone());
    assert_eq!(rig.err("ann", link), ErrorCode::Duplicate);
    let linked = |rig: &Rig| {
        let links = rig.media.iter().filter_map(|action| match action {
            MediaAction::Link { users, .. } => Some(users.len()),
            _ => None,
        });
        links.sum::<usize>()
    };
    assert_eq!(linked(&rig), 3);
    rig.media_up(&two, "dan");
    assert_eq!(linked(&rig), 4);
    rig.ok("ann", Command::EndCall { call: id(&one) });
    let unlinks = rig
        .media
        .iter()
        .filter(|action| matches!(action, MediaAction::Unlink { .. }));
    assert_eq!(unlinks.count(), 2);
}
