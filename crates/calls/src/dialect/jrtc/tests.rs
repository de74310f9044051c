//! Codes by table, procedures by golden transcripts.

use serde_json::json;

use super::super::DialectName;
use super::super::testing::*;
use super::*;
use crate::ids::{DeviceName, MessageId, RecordingId};
use crate::model::{CallKind, Message, ScreenShare};

fn room() -> Target {
    Target::Room {
        serial: "S1".into(),
    }
}

fn member(user: &str) -> Participant {
    someone(user, Role::Member)
}

fn alice() -> Transcript {
    let mut alice = Transcript::of(DialectName::Jrtc, "alice");
    alice.client(json!({"type": "login", "id": 1}), Ok(Data::None));
    alice
}

fn joined() -> Transcript {
    let mut alice = alice();
    alice.client(
        json!({"type": "join", "id": 2, "serialId": "S1", "video": true}),
        made(call(CallKind::Meeting, room(), "alice", &[]), "alice"),
    );
    alice
}

#[test]
fn every_reason_is_2000_and_its_ordinal_but_the_normal_end() {
    for reason in EndReason::ALL {
        let code = if *reason == EndReason::HangUp {
            0
        } else {
            2_000 + reason.ordinal()
        };
        assert_eq!(reason_code(*reason), code);
    }
}

#[test]
fn message_types_have_their_numbers() {
    assert_eq!(message_type(MessageScope::OneToOne), 1);
    assert_eq!(message_type(MessageScope::Group), 2);
}

#[test]
fn one_joins_invites_and_leaves() {
    let mut alice = joined();
    for (id, callee) in (3..).zip(["bob", "carol", "dave"]) {
        alice.client(
            json!({"type": "invite", "id": id, "calleeUserId": callee, "param": {"extraInfo": "x"}}),
            Ok(Data::Invited { invites: vec![invite_id()], failed: Vec::new() }),
        );
    }
    alice.event(accepted("bob"));
    alice.event(Event::ParticipantJoined {
        call: call_id(),
        participant: member("bob"),
    });
    alice.event(rejected("carol", EndReason::Busy));
    alice.event(timed_out("dave"));
    // Somebody else's invitation is none of ours.
    assert_eq!(alice.event(rejected("eve", EndReason::Reject)), None);
    alice.client(
        json!({"type": "cancelInvite", "id": 6}),
        Err(ErrorCode::AlreadyHandled),
    );
    alice.event(left("bob", EndReason::Network));
    alice.client(json!({"type": "leave", "id": 7}), Ok(Data::None));
    alice.event(ended(
        CallKind::Meeting,
        room(),
        EndReason::HangUp,
        actor("alice", Role::Host),
    ));
    alice.golden("jrtc/join");
}

#[test]
fn an_invitation_is_accepted() {
    let mut alice = alice();
    alice.event(rung(CallKind::Meeting, room(), "bob", &["bob"]));
    alice.client(
        json!({"type": "ringing", "id": 2, "callId": "c1"}),
        Ok(Data::None),
    );
    alice.client(
        json!({"type": "acceptInvite", "id": 3, "video": false, "role": "guest"}),
        made(call(CallKind::Meeting, room(), "bob", &[]), "alice"),
    );
    alice.event(ended(
        CallKind::Meeting,
        room(),
        EndReason::Kicked,
        actor("bob", Role::Host),
    ));
    alice.golden("jrtc/accept");
}

#[test]
fn an_invitation_that_goes_away_says_why() {
    let elsewhere = Event::AnsweredElsewhere {
        invite: invite_id(),
        call: call_id(),
        device: DeviceName::new("other").unwrap(),
        accepted: true,
    };
    for (event, why) in [
        (canceled("alice"), "cancel"),
        (timed_out("alice"), "timeout"),
        (elsewhere, "elsewhere"),
    ] {
        let mut alice = alice();
        alice.event(rung(CallKind::Meeting, room(), "bob", &["bob"]));
        let frame = alice.event(event.clone()).unwrap();
        assert_eq!(frame["type"], json!("onInviteCanceled"));
        assert_eq!(frame["param"]["extraInfo"], json!(why));
        assert_eq!(alice.event(event), None, "once");
    }
}

#[test]
fn members_are_kicked_muted_and_written_to() {
    let mut alice = joined();
    alice.client(
        json!({"type": "kickUser", "id": 3, "userId": "bob"}),
        Err(ErrorCode::Forbidden),
    );
    alice.client(
        json!({"type": "kickUser", "id": 4, "userId": "bob"}),
        Ok(Data::None),
    );
    alice.client(
        json!({"type": "upload", "id": 5, "kind": "audio", "enabled": false}),
        Ok(Data::None),
    );
    alice.client(
        json!({"type": "sendMessage", "id": 6, "contentType": "text", "content": "hi", "toUserId": "bob"}),
        Err(ErrorCode::NotFound),
    );
    alice.client(
        json!({"type": "sendMessage", "id": 7, "contentType": "text", "content": "hi"}),
        Ok(Data::None),
    );
    alice.event(Event::Message {
        call: call_id(),
        message: Message {
            id: MessageId::new("m1").unwrap(),
            from: user_id("bob"),
            scope: MessageScope::OneToOne,
            content_type: "text".into(),
            content: "hello".into(),
            at_ms: 1,
        },
    });
    alice.event(Event::ParticipantUpdated {
        call: call_id(),
        participant: member("bob"),
        changed: vec![Changed::Audio, Changed::Held],
    });
    alice.golden("jrtc/members");
}

#[test]
fn the_shared_screen_and_the_recording_are_properties_of_the_call() {
    let mut alice = joined();
    for (id, action) in (3..).zip(["start", "pause", "resume", "stop"]) {
        alice.client(
            json!({"type": "screenShare", "id": id, "action": action, "tip": "back soon"}),
            Ok(Data::None),
        );
    }
    alice.client(
        json!({"type": "remoteRecord", "id": 7, "enabled": true, "mode": "each"}),
        Ok(Data::None),
    );
    alice.client(
        json!({"type": "remoteRecord", "id": 8, "enabled": false}),
        Ok(Data::None),
    );
    alice.event(Event::RoomPropChanged {
        call: call_id(),
        changed: vec![PropChanged::ScreenShare],
        props: CallProps {
            screen_share: Some(ScreenShare {
                owner: user_id("bob"),
                paused: true,
                tip: "back soon".into(),
            }),
            recording: Some(RecordingState::Running),
        },
    });
    alice.client(
        json!({"type": "requestVideo", "id": 9, "userId": "bob", "kind": "video", "height": 360}),
        Ok(Data::None),
    );
    alice.client(
        json!({"type": "unRequestVideo", "id": 10, "userId": "bob", "kind": "video"}),
        Ok(Data::None),
    );
    for ends_call in [false, true] {
        alice.event(Event::RecAborted {
            call: call_id(),
            recording: RecordingId::new("r1").unwrap(),
            user: None,
            detail: "disk full".into(),
            ends_call,
        });
    }
    alice.event(ended(
        CallKind::Meeting,
        room(),
        EndReason::RecordAbort,
        None,
    ));
    alice.golden("jrtc/properties");
}

#[test]
fn inviting_oneself_or_nobody_fails() {
    let mut alice = joined();
    let frames = alice.client(
        json!({"type": "invite", "id": 3, "calleeUserId": "alice"}),
        Ok(Data::None),
    );
    assert_eq!(frames[0]["reasonCode"], json!(1205));
    let failed = Data::Invited {
        invites: Vec::new(),
        failed: vec![(user_id("bob"), ErrorCode::Blocked)],
    };
    let frames = alice.client(
        json!({"type": "invite", "id": 4, "calleeUserId": "bob"}),
        Ok(failed),
    );
    assert_eq!(frames[0]["result"], json!(false));
    assert_eq!(frames[0]["reasonCode"], json!(1301));
}
