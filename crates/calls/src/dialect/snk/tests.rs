//! Codes by table, procedures by golden transcripts.

use serde_json::json;

use super::super::DialectName;
use super::super::testing::*;
use super::codes::{back, hang_up, state};
use super::*;
use crate::ids::{GroupId, RecordingId};
use crate::model::{CallKind, Role, SeatState, Target};
use crate::reason::EndReason;

fn agent(name: &str) -> Transcript {
    let mut agent = Transcript::of(DialectName::Snk, name);
    agent.client(
        json!({"type": "login", "id": 1, "systemCode": "videoReview", "account": name}),
        Ok(Data::None),
    );
    agent
}

fn queue() -> Target {
    Target::Queue {
        group: GroupId::new("review").unwrap(),
    }
}

/// An agent that has answered a customer.
fn talking(name: &str) -> Transcript {
    let mut agent = agent(name);
    agent.event(rung(CallKind::Queue, queue(), "customer", &["customer"]));
    agent.client(
        json!({"type": "answer", "id": 2, "sid": "c1"}),
        Ok(Data::Grant {
            grant: Some(grant(name)),
        }),
    );
    agent
}

fn transfer(state: TransferState) -> Event {
    Event::TransferUpdate {
        call: call_id(),
        state,
        blind: false,
        by: person("main"),
        target: person("new"),
        grant: None,
    }
}

fn third(state: ThirdState) -> Event {
    Event::ThirdUpdate {
        call: call_id(),
        state,
        by: person("main"),
        target: person("new"),
        grant: None,
    }
}

fn msg_type(frame: Option<Frame>) -> Option<u64> {
    frame?["data"]["msgType"].as_u64()
}

#[test]
fn every_code_has_the_number_and_the_event_of_the_document() {
    for (control, number, event) in [
        (Control::IncomingCall, 50_200, "INCOMING_CALL"),
        (Control::StaffChangeLiveSrc, 50_201, "EXCHANGE_CALL"),
        (Control::ParticipatorLiveSrc, 50_202, "ADD_CALL"),
        (Control::VideoRecSrc, 50_203, "VIDEOTAPE"),
        (Control::ImgSrc, 50_204, "SNAPSHOT"),
        (Control::AutoEndSession, 30_000, "INCOMING_CALL_HANGUP"),
        (Control::UserInterrupt, 30_017, "INCOMING_CALL_HANGUP"),
        (Control::UserOffLine, 30_019, "INCOMING_CALL_HANGUP"),
        (Control::EndSession, 30_025, "INCOMING_CALL_HANGUP"),
        (Control::StaffChangeAsk, 20_100, "EXCHANGE_CALL"),
        (Control::StaffChangeAccept, 20_101, "EXCHANGE_CALL"),
        (Control::StaffChangeReject, 20_102, "EXCHANGE_CALL"),
        (Control::StaffChangeCancel, 20_103, "EXCHANGE_CALL"),
        (Control::AddParticipatorAsk, 20_200, "ADD_CALL"),
        (Control::AddParticipatorAccept, 20_201, "ADD_CALL"),
        (Control::AddParticipatorReject, 20_202, "ADD_CALL"),
        (Control::AddParticipatorDel, 20_203, "ADD_CALL"),
        (Control::AddParticipatorCancel, 20_204, "ADD_CALL"),
    ] {
        assert_eq!((control.number(), control.event()), (number, event));
    }
}

#[test]
fn every_failure_has_its_code() {
    use ErrorCode as E;
    for (error, pending, code) in [
        (E::Ok, None, 0),
        (E::CallEnded, None, 100_025),
        (E::NotFound, None, 100_025),
        (E::ServerInternal, None, 200_001),
        (E::RateLimited, None, 200_001),
        (E::Timeout, None, 200_002),
        (E::NoAgent, None, 300_001),
        (E::Offline, None, 300_001),
        (E::DispatchRejectFailed, None, 300_002),
        (E::Busy, None, 300_003),
        (E::TransferPending, None, 400_001),
        (E::TransferPending, Some(Pending::Running), 400_001),
        (E::SelfTarget, None, 400_002),
        (E::TransferPending, Some(Pending::Asked), 400_003),
        (E::ThirdPending, Some(Pending::Asked), 400_003),
        (E::ThirdPending, Some(Pending::Running), 400_001),
        (E::NotEnabled, None, 400_004),
        (E::AlreadyHandled, None, 400_005),
        (E::CanceledOrTimeout, None, 400_006),
        (E::State, None, 500_001),
        (E::Forbidden, None, 500_001),
        (E::Unknown, None, 500_001),
    ] {
        assert_eq!(back(error, pending).0, code, "{error:?}");
    }
}

#[test]
fn every_state_has_its_word() {
    use SeatState as S;
    let words = [
        S::Offline,
        S::Idle,
        S::Busy,
        S::Ringing,
        S::Talking,
        S::Held,
    ]
    .map(state);
    assert_eq!(
        words,
        ["disconnected", "ready", "leave", "wait", "busy", "busy"]
    );
}

#[test]
fn the_end_of_a_session_says_who_ended_it() {
    for (reason, by, control) in [
        (
            EndReason::HangUp,
            Some(Role::Guest),
            Some(Control::UserInterrupt),
        ),
        (
            EndReason::HangUp,
            Some(Role::AgentMain),
            Some(Control::EndSession),
        ),
        (EndReason::Network, None, Some(Control::UserOffLine)),
        (EndReason::UserOffline, None, Some(Control::UserOffLine)),
        (EndReason::RoomDissolved, None, Some(Control::EndSession)),
        (EndReason::AutoEnd, None, Some(Control::AutoEndSession)),
        (EndReason::EmptyRoom, None, Some(Control::AutoEndSession)),
        (EndReason::Transferred, Some(Role::AgentMain), None),
        (EndReason::Quit, Some(Role::AgentThird), None),
    ] {
        assert_eq!(hang_up(reason, by), control, "{reason:?}");
    }
}

#[test]
fn an_agent_rests_comes_back_answers_and_hangs_up() {
    let mut agent = agent("main");
    agent.event(Event::SeatChanged {
        agent: user_id("main"),
        old: SeatState::Offline,
        new: SeatState::Idle,
    });
    agent.client(json!({"type": "rest", "id": 2}), Ok(Data::None));
    agent.client(json!({"type": "rest", "id": 3}), Err(ErrorCode::State));
    agent.client(json!({"type": "back", "id": 4}), Ok(Data::None));
    agent.event(rung(CallKind::Queue, queue(), "customer", &["customer"]));
    // Not answered yet: hanging up is the wrong word.
    agent.client(
        json!({"type": "hangUp", "id": 5, "sid": "c1"}),
        Ok(Data::None),
    );
    agent.client(
        json!({"type": "answer", "id": 6, "sid": "c1"}),
        Ok(Data::Grant {
            grant: Some(grant("main")),
        }),
    );
    agent.client(
        json!({"type": "refuse", "id": 7, "sid": "c1"}),
        Ok(Data::None),
    );
    agent.client(
        json!({"type": "hangUp", "id": 8, "sid": "c1"}),
        Ok(Data::None),
    );
    agent.event(ended(
        CallKind::Queue,
        queue(),
        EndReason::HangUp,
        actor("main", Role::AgentMain),
    ));
    agent.event(Event::RecReady {
        call: call_id(),
        recording: RecordingId::new("r1").unwrap(),
        url: "https://host/r1.webm".into(),
        start_ms: 5_000,
        end_ms: 65_000,
        bytes: 1,
    });
    agent.client(
        json!({"type": "answer", "id": 9, "sid": "gone"}),
        Err(ErrorCode::NotFound),
    );
    agent.golden("snk/answer");
}

#[test]
fn a_switch_of_agents_as_the_main_agent_sees_it() {
    let mut main = talking("main");
    let ask = json!({"type": "askChangePerson", "id": 3, "sid": "c1", "newer": "new"});
    main.client(ask.clone(), Ok(Data::None));
    main.client(ask, Err(ErrorCode::TransferPending));
    main.event(transfer(TransferState::Rejected));
    main.client(
        json!({"type": "askChangePerson", "id": 4, "sid": "c1", "newer": "main"}),
        Err(ErrorCode::SelfTarget),
    );
    main.client(
        json!({"type": "askChangePerson", "id": 5, "sid": "c1", "newer": "new"}),
        Ok(Data::None),
    );
    main.event(transfer(TransferState::TimedOut));
    main.client(
        json!({"type": "askChangePerson", "id": 6, "sid": "c1", "newer": "new"}),
        Ok(Data::None),
    );
    main.event(transfer(TransferState::Completing));
    main.client(
        json!({"type": "cancelChangePerson", "id": 7, "sid": "c1", "newer": "new"}),
        Err(ErrorCode::AlreadyHandled),
    );
    assert_eq!(main.event(transfer(TransferState::Completed)), None);
    assert_eq!(
        main.event(ended(
            CallKind::Queue,
            queue(),
            EndReason::Transferred,
            None
        )),
        None
    );
    main.golden("snk/change-main");
}

#[test]
fn a_switch_of_agents_as_the_new_agent_sees_it() {
    let mut new = agent("new");
    new.event(transfer(TransferState::Requested));
    new.client(
        json!({"type": "acceptChangePerson", "id": 2, "sid": "c1"}),
        Ok(Data::Grant {
            grant: Some(grant("new")),
        }),
    );
    new.event(ended(
        CallKind::Queue,
        queue(),
        EndReason::HangUp,
        actor("customer", Role::Guest),
    ));
    new.event(transfer(TransferState::Requested));
    new.event(transfer(TransferState::Canceled));
    new.client(
        json!({"type": "acceptChangePerson", "id": 3, "sid": "c1"}),
        Err(ErrorCode::CanceledOrTimeout),
    );
    new.event(transfer(TransferState::Requested));
    new.client(
        json!({"type": "refuseChangePerson", "id": 4, "sid": "c1"}),
        Ok(Data::None),
    );
    new.golden("snk/change-new");
}

#[test]
fn a_third_party_as_the_main_agent_sees_it() {
    let mut main = talking("main");
    let ask = json!({"type": "askAddPerson", "id": 3, "sid": "c1", "newer": "new"});
    main.client(ask.clone(), Ok(Data::None));
    main.event(third(ThirdState::Rejected));
    main.client(ask, Ok(Data::None));
    main.event(third(ThirdState::Joined));
    main.client(
        json!({"type": "askChangePerson", "id": 4, "sid": "c1", "newer": "x"}),
        Err(ErrorCode::ThirdPending),
    );
    main.event(third(ThirdState::Quit));
    main.client(
        json!({"type": "cancelAddPerson", "id": 5, "sid": "c1", "newer": "new"}),
        Ok(Data::None),
    );
    main.client(
        json!({"type": "removeAddPerson", "id": 6, "sid": "c1", "newer": "new"}),
        Ok(Data::None),
    );
    main.golden("snk/add-main");
}

#[test]
fn a_third_party_as_the_third_sees_it() {
    let mut new = agent("new");
    assert_eq!(
        msg_type(new.event(third(ThirdState::Requested))),
        Some(20_200)
    );
    new.client(
        json!({"type": "acceptAddPerson", "id": 2, "sid": "c1"}),
        Ok(Data::Grant {
            grant: Some(grant("new")),
        }),
    );
    assert_eq!(msg_type(new.event(third(ThirdState::Joined))), Some(50_202));
    assert_eq!(
        msg_type(new.event(third(ThirdState::Removed))),
        Some(20_203)
    );
    new.client(
        json!({"type": "quitAddPerson", "id": 3, "sid": "c1"}),
        Err(ErrorCode::State),
    );
    new.event(third(ThirdState::Requested));
    assert_eq!(
        msg_type(new.event(third(ThirdState::Canceled))),
        Some(20_204)
    );
    new.event(third(ThirdState::Requested));
    new.client(
        json!({"type": "refuseAddPerson", "id": 4, "sid": "c1"}),
        Ok(Data::None),
    );
    new.golden("snk/add-third");
}

#[test]
fn a_call_that_rings_no_more_says_why() {
    for (event, number) in [(canceled("main"), 30_017), (timed_out("main"), 30_000)] {
        let mut agent = agent("main");
        agent.event(rung(CallKind::Queue, queue(), "customer", &["customer"]));
        let frame = agent.event(event).unwrap();
        assert_eq!(frame["data"]["msgType"], json!(number));
        assert_eq!(frame["data"]["answered"], json!(false));
    }
}

#[test]
fn a_page_that_comes_back_recovers_its_call() {
    let mut call = call(CallKind::Queue, queue(), "customer", &[]);
    call.participants.push(someone("main", Role::AgentMain));
    let mut agent = agent("main");
    agent.event(Event::CallRecovered {
        call,
        state: CallState::Active,
        grant: Some(grant("main")),
    });
    agent.event(Event::SnapshotReady {
        call: call_id(),
        source: SnapshotSource::User,
        user: user_id("customer"),
        url: Some("https://host/p.jpg".into()),
    });
    agent.client(
        json!({"type": "hangUp", "id": 2, "sid": "c1"}),
        Ok(Data::None),
    );
    agent.golden("snk/recovery");
}
