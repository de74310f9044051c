//! Codes by table, procedures by golden transcripts.

use serde_json::json;

use super::super::DialectName;
use super::super::testing::*;
use super::codes::{self, end_reason, status};
use super::*;
use crate::ids::{DeviceName, GroupId, SessionKey};
use crate::model::Role;

fn alice() -> Transcript {
    let mut transcript = Transcript::of(DialectName::Rong, "alice");
    transcript.client(
        json!({"type": "login", "id": 1, "appkey": "key"}),
        Ok(Data::None),
    );
    transcript
}

fn to(user: &str) -> Target {
    Target::User {
        user: user_id(user),
    }
}

fn team() -> Target {
    Target::Group {
        group: GroupId::new("team").unwrap(),
    }
}

fn field(frame: Option<Frame>, name: &str) -> Value {
    let frame = frame.unwrap();
    let frames = frame.get("frames").and_then(Value::as_array);
    let last = frames
        .and_then(|frames| frames.last())
        .and_then(Value::as_object);
    last.unwrap_or(&frame)[name].clone()
}

#[test]
fn every_reason_has_the_number_of_its_side() {
    use EndReason as R;
    let table = [
        (R::Cancel, 1, 11),
        (R::Reject, 2, 12),
        (R::HangUp, 3, 13),
        (R::Busy, 4, 14),
        (R::NoAnswer, 5, 15),
        (R::EngineUnsupported, 6, 16),
        (R::Network, 7, 17),
        (R::DeviceError, 8, 18),
        (R::PublishError, 9, 19),
        (R::SubscribeError, 10, 20),
        (R::OtherDeviceNewCall, 21, 31),
        (R::OtherDeviceInCall, 22, 32),
        (R::Banned, 23, 33),
        (R::SystemCall, 24, 34),
        (R::AcceptedElsewhere, 101, 101),
        (R::HungUpElsewhere, 102, 102),
        (R::Blocked, 103, 103),
        (R::ServiceNotOpen, 104, 104),
        (R::Kicked, 3, 13),
        (R::RoomDissolved, 3, 13),
        (R::UserOffline, 7, 17),
        (R::AutoEnd, 7, 17),
        (R::Transferred, 3, 13),
        (R::Quit, 3, 13),
        (R::SupervisorEnd, 3, 13),
        (R::NotReached, 5, 15),
        (R::RecordAbort, 7, 17),
        (R::EmptyRoom, 3, 13),
    ];
    assert_eq!(table.len(), R::ALL.len());
    for (reason, own, remote) in table {
        assert_eq!(end_reason(reason, true), own, "{reason:?}");
        assert_eq!(end_reason(reason, false), remote, "{reason:?}");
    }
}

#[test]
fn every_status_code_has_its_error() {
    use ErrorCode as E;
    let table = [
        (E::Ok, 10_000),
        (E::AlreadyInCall, 53_200),
        (E::SignalSendFailed, 53_201),
        (E::Blocked, 53_202),
        (E::NotInGroup, 53_203),
        (E::Mic, 53_301),
        (E::Camera, 53_302),
        (E::MicCamera, 53_303),
        (E::JoinRoom, 53_304),
        (E::PubAudio, 53_305),
        (E::PubVideo, 53_306),
        (E::PubAv, 53_307),
        (E::QueryUsers, 53_308),
        (E::NoVideoTrack, 53_309),
        (E::UnpubVideo, 53_310),
        (E::NotGroup, 53_311),
        (E::SelfTarget, codes::PARAM_ERROR),
        (E::Param, codes::PARAM_ERROR),
        (E::Duplicate, codes::PARAM_ERROR),
        (E::RateLimited, 53_201),
        (E::CanceledOrTimeout, 53_200),
    ];
    for (error, code) in table {
        assert_eq!(status(error), code, "{error:?}");
    }
    for error in E::ALL {
        assert_ne!(status(*error), 40_033, "a code that must not occur");
    }
}

#[test]
fn media_and_conversation_types_have_their_numbers() {
    use crate::model::Media;
    assert_eq!(codes::media_type(Media::Audio), 1);
    assert_eq!(codes::media_type(Media::Video), 2);
    assert_eq!(codes::media(1), Some(Media::Audio));
    assert_eq!(codes::media(2), Some(Media::Video));
    assert_eq!(codes::media(0), None);
    assert_eq!(codes::conversation_type(CallKind::Private), 1);
    assert_eq!(codes::conversation_type(CallKind::Group), 3);
}

#[test]
fn connecting_has_the_codes_of_imlib() {
    assert_eq!(codes::connect_status(ErrorCode::Ok), 0);
    assert_eq!(codes::connect_status(ErrorCode::TokenInvalid), 31_004);
    assert_eq!(codes::connect_status(ErrorCode::TokenExpired), 31_020);
    assert_eq!(codes::connect_status(ErrorCode::Banned), 31_009);
    assert_eq!(codes::connect_status(ErrorCode::Timeout), 30_001);
}

#[test]
fn a_call_that_is_answered_and_ended_by_the_other_side() {
    let mut alice = alice();
    alice.event(Event::Connected {
        user: person("alice"),
        device: DeviceName::new("web").unwrap(),
        session_key: SessionKey::new("KEY").unwrap(),
        seat: None,
    });
    alice.client(
        json!({"type": "call", "id": 2, "targetId": "bob_1", "mediaType": 2, "extra": "hi"}),
        made(
            call(CallKind::Private, to("bob_1"), "alice", &["bob_1"]),
            "alice",
        ),
    );
    alice.event(ringing("bob_1"));
    alice.event(accepted("bob_1"));
    alice.event(Event::MuteChanged {
        call: call_id(),
        user: user_id("bob_1"),
        kind: TrackKind::Audio,
        muted: true,
    });
    alice.event(left("bob_1", EndReason::HangUp));
    alice.event(ended(
        CallKind::Private,
        to("bob_1"),
        EndReason::HangUp,
        actor("bob_1", Role::Member),
    ));
    alice.golden("rong/call");
}

#[test]
fn an_incoming_call_is_accepted_and_hung_up_here() {
    let mut alice = alice();
    alice.event(rung(CallKind::Private, to("alice"), "bob", &["bob"]));
    alice.client(
        json!({"type": "ringing", "id": 2, "sessionId": "c1"}),
        Ok(Data::None),
    );
    alice.client(
        json!({"type": "accept", "id": 3, "sessionId": "c1"}),
        Ok(Data::Grant {
            grant: Some(grant("alice")),
        }),
    );
    alice.client(
        json!({"type": "muteChange", "id": 4, "sessionId": "c1", "kind": "video", "muted": true}),
        Ok(Data::None),
    );
    alice.client(
        json!({"type": "descendAbility", "id": 5, "sessionId": "c1"}),
        Ok(Data::None),
    );
    alice.client(
        json!({"type": "hungup", "id": 6, "sessionId": "c1"}),
        Ok(Data::None),
    );
    alice.event(ended(
        CallKind::Private,
        to("alice"),
        EndReason::HangUp,
        actor("alice", Role::Member),
    ));
    alice.golden("rong/accept");
}

#[test]
fn a_group_call_shows_each_member_once() {
    let mut alice = alice();
    alice.client(
        json!({"type": "callInGroup", "id": 2, "targetId": "team", "userIds": ["bob", "carol"], "mediaType": 1}),
        made(call(CallKind::Group, team(), "alice", &["bob", "carol"]), "alice"),
    );
    alice.event(accepted("bob"));
    alice.event(timed_out("carol"));
    alice.client(
        json!({"type": "invite", "id": 3, "sessionId": "c1", "userIds": ["carol"], "extra": "again"}),
        Ok(Data::Invited { invites: vec![invite_id()], failed: Vec::new() }),
    );
    alice.event(Event::InviteeAdded {
        call: call_id(),
        by: person("alice"),
        users: vec![person("carol")],
    });
    // A second timeout of the same member is told again, but each only once.
    assert_eq!(field(alice.event(timed_out("carol")), "reason"), json!(15));
    assert_eq!(alice.event(timed_out("carol")), None);
    alice.event(Event::InviteeAdded {
        call: call_id(),
        by: person("bob"),
        users: vec![person("dave")],
    });
    alice.event(rejected("dave", EndReason::Busy));
    alice.event(left("bob", EndReason::Network));
    alice.event(ended(CallKind::Group, team(), EndReason::EmptyRoom, None));
    alice.golden("rong/group");
}

#[test]
fn what_rings_here_ends_with_the_reason_of_its_side() {
    let end = |event: Event| {
        let mut alice = alice();
        alice.event(rung(CallKind::Private, to("alice"), "bob", &["bob"]));
        field(alice.event(event), "reason")
    };
    let elsewhere = |accepted| Event::AnsweredElsewhere {
        invite: invite_id(),
        call: call_id(),
        device: DeviceName::new("other").unwrap(),
        accepted,
    };
    assert_eq!(end(canceled("alice")), json!(11));
    assert_eq!(end(timed_out("alice")), json!(5));
    assert_eq!(end(elsewhere(true)), json!(101));
    assert_eq!(end(elsewhere(false)), json!(102));
    assert_eq!(
        end(rejected("alice", EndReason::OtherDeviceInCall)),
        json!(22)
    );
}

#[test]
fn a_callee_that_cannot_be_reached_is_told_as_remote() {
    for (reason, number) in [
        (EndReason::Busy, 14),
        (EndReason::Reject, 12),
        (EndReason::Blocked, 103),
        (EndReason::Banned, 33),
        (EndReason::DeviceError, 18),
    ] {
        let mut alice = alice();
        alice.client(
            json!({"type": "call", "id": 2, "targetId": "bob", "mediaType": 1}),
            made(
                call(CallKind::Private, to("bob"), "alice", &["bob"]),
                "alice",
            ),
        );
        assert_eq!(
            field(alice.event(rejected("bob", reason)), "reason"),
            json!(number)
        );
        let close = alice.event(ended(
            CallKind::Private,
            to("bob"),
            reason,
            actor("bob", Role::Member),
        ));
        assert_eq!(field(close, "summaryInfo")["endReason"], json!(number));
    }
}

#[test]
fn failing_media_ends_what_rings_by_refusing_and_what_runs_by_a_fault() {
    let mut alice = alice();
    alice.event(rung(CallKind::Private, to("alice"), "bob", &["bob"]));
    alice.client(
        json!({"type": "hungup", "id": 2, "sessionId": "c1", "reason": 8}),
        Ok(Data::None),
    );
    alice.client(
        json!({"type": "accept", "id": 3, "sessionId": "c1"}),
        Ok(Data::Grant { grant: None }),
    );
    alice.client(
        json!({"type": "hungup", "id": 4, "sessionId": "c1", "reason": 9}),
        Ok(Data::None),
    );
    alice.golden("rong/failures");
}

#[test]
fn calling_oneself_is_a_parameter_error_and_asks_nothing() {
    let mut alice = alice();
    let frames = alice.client(
        json!({"type": "call", "id": 2, "targetId": "alice", "mediaType": 1}),
        Ok(Data::None),
    );
    assert_eq!(frames[0]["code"], json!(codes::PARAM_ERROR));
}

#[test]
fn wrong_frames_are_answered_and_change_nothing() {
    for words in [
        json!({"type": "call", "id": 9}),
        json!({"type": "call", "id": 9, "targetId": "bob", "mediaType": 7}),
        json!({"type": "call", "id": 9, "targetId": 5, "mediaType": true}),
        json!({"type": "callInGroup", "id": 9, "targetId": "g", "mediaType": 1, "userIds": [1]}),
        json!({"type": "accept", "id": 9, "sessionId": ""}),
        json!({"type": "muteChange", "id": 9, "sessionId": "c1", "kind": "smell", "muted": true}),
        json!({"type": "nonsense", "id": 9}),
        json!({"id": 9}),
    ] {
        let mut alice = alice();
        let frames = alice.client(words, Ok(Data::None));
        assert_eq!(frames[0]["id"], json!(9));
        assert_eq!(frames[0]["code"], json!(codes::PARAM_ERROR));
    }
}

#[test]
fn missed_calls_become_offline_records() {
    let mut alice = alice();
    alice.event(Event::OfflineInvites {
        records: vec![MissedInvite {
            call: call_id(),
            kind: CallKind::Private,
            target: to("alice"),
            channel: String::new(),
            caller: person("bob"),
            media: crate::model::Media::Audio,
            invited_ms: 1_700_000_000_000,
            reason: Some(EndReason::Cancel),
        }],
    });
    alice.client(
        json!({"type": "setPushConfig", "id": 2, "callPushConfig": {"pushTitle": "T", "pushContent": "C", "androidConfig": {"category": "CALL"}}}),
        Ok(Data::None),
    );
    alice.client(
        json!({"type": "registerUserInfo", "id": 3, "name": "Alice"}),
        Ok(Data::None),
    );
    alice.golden("rong/offline");
}
