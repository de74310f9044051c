//! Codes by table, procedures by golden transcripts.

use serde_json::json;

use super::super::DialectName;
use super::super::testing::*;
use super::*;
use crate::event::Stage;
use crate::ids::DeviceName;
use crate::model::{GroupKind, MonitorState, Person, Role, Seat, TransferState};
use crate::reason::EndReason;

fn seat() -> Transcript {
    let mut seat = Transcript::of(DialectName::Emic, "1001");
    seat.client(
        json!({"type": "login", "id": 1, "un": "1001", "pwd": "secret", "switchnumber": "02566699734", "gid": 2069}),
        Ok(Data::None),
    );
    seat
}

fn number(number: &str, shown: Option<&str>) -> Target {
    Target::Number {
        number: number.into(),
        shown: shown.map(str::to_owned),
    }
}

fn outgoing(seat: &mut Transcript, text: &str) {
    seat.client(
        json!({"type": "call", "id": 2, "number": text}),
        made(
            call(CallKind::Pstn, number(text, None), "1001", &["1002"]),
            "1001",
        ),
    );
}

fn progress(stage: Stage, line: Line) -> Event {
    Event::CallProgress {
        call: call_id(),
        stage,
        error: None,
        line,
        shown: "1002".into(),
        position: None,
    }
}

fn end(reason: EndReason, answered: bool, by: &str) -> Event {
    let event = ended(
        CallKind::Pstn,
        number("1002", None),
        reason,
        actor(by, Role::Member),
    );
    match event {
        Event::CallEnded {
            call,
            kind,
            target,
            channel,
            media,
            reason,
            actor,
            begin_ms,
            end_ms,
            duration_ms,
            ..
        } => Event::CallEnded {
            call,
            kind,
            target,
            channel,
            media,
            reason,
            actor,
            answered,
            begin_ms,
            end_ms,
            duration_ms,
        },
        other => other,
    }
}

#[test]
fn every_account_error_has_its_code() {
    for (error, code) in [
        (ErrorCode::Ok, 200),
        (ErrorCode::ServerInternal, 50_000),
        (ErrorCode::Param, 50_001),
        (ErrorCode::Unavailable, 50_002),
        (ErrorCode::BadCredentials, 50_003),
        (ErrorCode::TenantNotFound, 50_004),
        (ErrorCode::LoginInfo, 50_005),
        (ErrorCode::RateLimited, 59_999),
        (ErrorCode::TenantSuspended, 898),
    ] {
        assert_eq!(codes::account(error).0, code, "{error:?}");
    }
}

#[test]
fn every_reason_of_being_turned_out_has_its_number() {
    for (error, r, info) in [
        (ErrorCode::KickedOtherDevice, 895, "其他用户登录您的账号"),
        (ErrorCode::RegTimeout, 897, "注册超时,请重新登录"),
        (ErrorCode::AccountInvalid, 898, "ACCOUNT_INVALID"),
        (ErrorCode::TenantSuspended, 898, "TENANT_SUSPENDED"),
    ] {
        assert_eq!(codes::kicked(error), (r, info));
    }
}

#[test]
fn every_call_failure_has_its_code() {
    for (error, code) in [
        (ErrorCode::Busy, 503),
        (ErrorCode::AlreadyInCall, 503),
        (ErrorCode::NumberOutOfService, 507),
        (ErrorCode::OffHours, 508),
        (ErrorCode::CalleeDailyLimit, 512),
        (ErrorCode::CalleeNoPermission, 1000),
        (ErrorCode::Blocked, 1000),
    ] {
        assert_eq!(codes::call_failure(error).0, code, "{error:?}");
    }
}

#[test]
fn every_seat_and_supervision_state_has_its_number() {
    use SeatState as S;
    let seats = [
        S::Offline,
        S::Idle,
        S::Busy,
        S::Ringing,
        S::Talking,
        S::Held,
    ];
    for (number, state) in (0..).zip(seats) {
        assert_eq!(codes::seat(state), number);
    }
    assert_eq!(seats.map(codes::presence), [0, 1, 2, 2, 2, 2]);
    assert_eq!(codes::monitor(MonitorState::None), 0);
    assert_eq!(codes::monitor(MonitorState::Listening), 1);
    assert_eq!(codes::monitor(MonitorState::Barged), 2);
}

#[test]
fn the_end_says_who_hung_up_and_whether_there_was_a_talk() {
    for (reason, answered, own, r) in [
        (EndReason::HangUp, true, true, "26"),
        (EndReason::HangUp, true, false, "25"),
        (EndReason::Network, true, false, "25"),
        (EndReason::SupervisorEnd, true, false, "26"),
        (EndReason::Transferred, true, true, "26"),
        (EndReason::UserOffline, true, false, "25"),
        (EndReason::NoAnswer, false, false, "20"),
        (EndReason::NotReached, false, false, "20"),
        (EndReason::Reject, false, false, "20"),
        (EndReason::Cancel, false, true, "20"),
    ] {
        assert_eq!(codes::end(reason, answered, own), r, "{reason:?}");
    }
}

#[test]
fn an_internal_call_is_answered_held_and_hung_up() {
    let mut seat = seat();
    outgoing(&mut seat, "1002");
    seat.event(progress(Stage::Accepted, Line::Internal));
    seat.event(Event::SeatChanged {
        agent: user_id("1001"),
        old: SeatState::Idle,
        new: SeatState::Ringing,
    });
    seat.event(ringing("1002"));
    seat.event(progress(Stage::Alerting, Line::Internal));
    seat.event(accepted("1002"));
    seat.client(
        json!({"type": "hold", "id": 3, "ccNumber": "c1"}),
        Ok(Data::None),
    );
    seat.client(
        json!({"type": "unhold", "id": 4, "ccNumber": "c1"}),
        Ok(Data::None),
    );
    seat.client(
        json!({"type": "sendDTMF", "id": 5, "tone": "#"}),
        Ok(Data::None),
    );
    seat.client(
        json!({"type": "sendDTMF", "id": 6, "tone": "110#"}),
        Ok(Data::None),
    );
    seat.client(
        json!({"type": "terminate", "id": 7, "ccNumber": "c1"}),
        Ok(Data::None),
    );
    seat.event(end(EndReason::HangUp, true, "1001"));
    seat.golden("emic/call");
}

#[test]
fn a_call_that_nobody_answers_ends_with_20_and_the_time() {
    let mut seat = seat();
    outgoing(&mut seat, "1002");
    seat.event(progress(Stage::Accepted, Line::Internal));
    seat.event(ringing("1002"));
    seat.event(timed_out("1002"));
    seat.event(end(EndReason::NoAnswer, false, "1002"));
    seat.golden("emic/no-answer");
}

#[test]
fn an_external_number_without_a_trunk_is_not_reached() {
    let mut seat = seat();
    outgoing(&mut seat, "18300000136");
    seat.event(progress(Stage::Accepted, Line::External));
    seat.event(progress(Stage::Failed, Line::External));
    seat.event(end(EndReason::NotReached, false, "1002"));
    seat.golden("emic/external");
}

#[test]
fn a_busy_callee_is_told_in_the_response() {
    let mut seat = seat();
    outgoing(&mut seat, "1002");
    seat.event(progress(Stage::Accepted, Line::Internal));
    seat.event(progress(Stage::Failed, Line::Internal));
    let response = seat.event(rejected("1002", EndReason::Busy)).unwrap();
    assert_eq!(response["event"], json!("callinResponse"));
    assert_eq!(response["data"]["r"], json!(503));
    let frames = seat.client(
        json!({"type": "call", "id": 3, "number": "1003"}),
        Err(ErrorCode::CalleeNoPermission),
    );
    assert_eq!(frames[0]["r"], json!(1000));
}

#[test]
fn an_incoming_call_is_refused_and_rings_again() {
    let mut seat = seat();
    seat.event(rung(
        CallKind::Queue,
        number("1001", None),
        "customer",
        &["customer"],
    ));
    seat.client(
        json!({"type": "terminate", "id": 2, "ccNumber": "c1"}),
        Ok(Data::None),
    );
    assert_eq!(seat.event(canceled("1001")), None);
    seat.event(rung(
        CallKind::Queue,
        number("1001", None),
        "customer",
        &["customer"],
    ));
    seat.client(
        json!({"type": "answerPBXCall", "id": 3, "ccNumber": "c1"}),
        Ok(Data::Grant {
            grant: Some(grant("1001")),
        }),
    );
    seat.event(end(EndReason::HangUp, true, "customer"));
    seat.golden("emic/answer");
}

#[test]
fn a_call_withdrawn_or_answered_elsewhere_rings_no_more() {
    for event in [
        canceled("1001"),
        timed_out("1001"),
        Event::AnsweredElsewhere {
            invite: invite_id(),
            call: call_id(),
            device: DeviceName::new("other").unwrap(),
            accepted: true,
        },
    ] {
        let mut seat = seat();
        seat.event(rung(
            CallKind::Queue,
            number("1001", None),
            "customer",
            &["customer"],
        ));
        let cancel = seat.event(event).unwrap();
        assert_eq!(cancel["event"], json!("cancelPBXCall"));
    }
}

#[test]
fn a_transfer_tells_the_spelling_of_the_document() {
    let mut seat = seat();
    outgoing(&mut seat, "1002");
    seat.event(accepted("1002"));
    let update = |state| Event::TransferUpdate {
        call: call_id(),
        state,
        blind: true,
        by: person("1001"),
        target: person("1023"),
        grant: None,
    };
    let transfer = json!({"type": "transferPBXCall", "id": 3, "gid": 2069, "transNumber": 1023, "ccNumber": "c1"});
    seat.client(transfer.clone(), Err(ErrorCode::Busy));
    seat.client(transfer, Ok(Data::None));
    seat.event(update(TransferState::Requested));
    seat.event(update(TransferState::TimedOut));
    seat.event(update(TransferState::Completed));
    seat.event(end(EndReason::Transferred, true, "1001"));
    seat.golden("emic/transfer");
}

#[test]
fn a_supervisor_listens_joins_in_and_ends() {
    let mut seat = seat();
    let update = |state, grant| Event::MonitorUpdate {
        call: call_id(),
        state,
        grant,
    };
    let notice = |end_ms| Event::CallNotice {
        call: call_id(),
        caller: person("1002"),
        group: None,
        begin_ms: 5_000,
        end_ms,
    };
    seat.event(notice(0));
    for (id, verb) in (2..).zip(["joinFromMonitor", "stopCallMonitor"]) {
        seat.client(
            json!({"type": verb, "id": id, "ccNumber": "c1"}),
            Err(ErrorCode::State),
        );
    }
    seat.event(update(MonitorState::Starting, Some(grant("1001"))));
    seat.event(update(MonitorState::Listening, None));
    seat.client(
        json!({"type": "startCallMonitor", "id": 4, "ccNumber": "c1"}),
        Ok(Data::None),
    );
    seat.client(
        json!({"type": "joinFromMonitor", "id": 5, "ccNumber": "c1"}),
        Ok(Data::None),
    );
    seat.event(update(MonitorState::Barged, None));
    seat.client(
        json!({"type": "exitJoinMonitor", "id": 6, "ccNumber": "c1"}),
        Ok(Data::None),
    );
    seat.event(update(MonitorState::None, None));
    seat.client(
        json!({"type": "endCallMonitor", "id": 7, "ccNumber": "c1"}),
        Err(ErrorCode::State),
    );
    seat.client(
        json!({"type": "terminateCall", "id": 8, "ccNumber": "c1"}),
        Ok(Data::None),
    );
    seat.event(notice(65_000));
    seat.golden("emic/supervise");
}

#[test]
fn seats_and_groups_are_listed() {
    let mut seat = seat();
    let group = Group {
        id: GroupId::new("2069").unwrap(),
        name: "售前咨询".into(),
        kind: GroupKind::Skill,
        members: Vec::new(),
    };
    seat.client(
        json!({"type": "getGroups", "id": 2}),
        Ok(Data::Groups {
            groups: vec![group],
        }),
    );
    let agent = Seat {
        person: person("1002"),
        state: SeatState::Talking,
        group: None,
    };
    seat.client(
        json!({"type": "searchEpMembers", "id": 3, "searchGid": "2069", "length": 10, "start": 20}),
        Ok(Data::Agents {
            agents: vec![agent],
            total: 21,
        }),
    );
    seat.event(Event::SeatChanged {
        agent: user_id("1001"),
        old: SeatState::Offline,
        new: SeatState::Idle,
    });
    seat.client(
        json!({"type": "changeStaus", "id": 4, "status": 2}),
        Ok(Data::None),
    );
    seat.client(
        json!({"type": "changeStaus", "id": 5, "status": 3}),
        Ok(Data::None),
    );
    seat.event(Event::Kicked {
        error: ErrorCode::KickedOtherDevice,
    });
    seat.golden("emic/seat");
}

#[test]
fn telephones_are_named_with_their_number() {
    for (callintype, number, terminal) in [
        (json!(2), "", Ok(Terminal::Web)),
        (json!("4"), "13800000000", Ok(Terminal::Callback)),
        (json!(5), "8001", Ok(Terminal::Sip)),
        (json!(5), "", Err(ErrorCode::Param)),
        (json!(3), "1", Err(ErrorCode::Param)),
    ] {
        let words = frame(json!({"callintype": callintype, "number": number}));
        assert_eq!(super::terminal(Fields::of(&words)), terminal);
    }
}

#[test]
fn an_encrypted_number_is_dialled_and_never_shown() {
    const SEED: &str = "00112233445566778899aabbccddeeff";
    let cipher = NumberCipher::Aes128EcbSha1prng { seed: SEED.into() };
    let mut seat = seat();
    seat.codec().set_settings(&TenantSettings {
        number_cipher: cipher.clone(),
        ..TenantSettings::default()
    });
    let text = "NpW6W066Z4Or6rG930XrmA";
    seat.client(
        json!({"type": "call", "id": 2, "number": text, "encrypted": true}),
        made(
            call(
                CallKind::Pstn,
                number("13812345678", Some(text)),
                "1001",
                &[],
            ),
            "1001",
        ),
    );
    let shown = Event::CallProgress {
        call: call_id(),
        stage: Stage::Accepted,
        error: None,
        line: Line::External,
        shown: text.into(),
        position: None,
    };
    assert_eq!(seat.event(shown).unwrap()["data"]["n"], json!(text));
    let frames = seat.client(
        json!({"type": "call", "id": 3, "number": "garbage", "encrypted": true}),
        Ok(Data::None),
    );
    assert_eq!(frames[0]["r"], json!(500));

    assert_eq!(plain_number(&cipher, text), Ok("13812345678".into()));
    assert_eq!(
        plain_number(&cipher, &number::encrypt(SEED, "abc")),
        Err("abc".into())
    );
    assert_eq!(plain_number(&NumberCipher::None, text), Err(String::new()));
    assert_eq!((LINE_EXTERNAL, LINE_INTERNAL), (2, 3));
}

#[test]
fn an_account_names_its_groups_and_the_extensions() {
    let eid = TenantId::new("02566699734").unwrap();
    let group = |id: &str| Group {
        id: GroupId::new(id).unwrap(),
        name: id.to_uppercase(),
        kind: GroupKind::Skill,
        members: Vec::new(),
    };
    let user = UserRecord {
        person: Person {
            extension: "1001".into(),
            ..person("u1")
        },
        skill_groups: vec![GroupId::new("a").unwrap()],
        supervisor: false,
        blocked: Vec::new(),
        password: None,
    };
    let account = account(
        &eid,
        &user,
        &[group("a"), group("b")],
        &["1001".into(), "1002".into()],
    );
    assert_eq!(
        account["inGroups"],
        json!([{"id": "a", "eid": "02566699734", "name": "A"}])
    );
    assert_eq!(account["userData"]["number"], json!("1001"));
    assert_eq!(account["userData"]["extensions"], json!(["1001", "1002"]));
}
