//! The contact centre: queues, seats, transfer, third party, hold, supervision.

use std::time::Duration;

use super::rig::{Rig, accept, hang_up, id, private, reject, user};
use crate::command::{CallRef, Command, SeatWish};
use crate::error::ErrorCode;
use crate::event::{Data, Event, Stage};
use crate::ids::CallId;
use crate::media::{Access, MediaAction};
use crate::model::{MonitorState, Role, SeatState, ThirdState, TransferState};
use crate::policy::{RejectPolicy, TenantSettings, Timers};
use crate::reason::EndReason;

fn rig(policy: RejectPolicy, online: &[&str]) -> Rig {
    let mut rig = Rig::new(TenantSettings {
        reject_policy: policy,
        timers: Timers {
            registration_ms: 3_600_000,
            ..Timers::default()
        },
        ..TenantSettings::default()
    });
    for name in online {
        rig.login(name);
    }
    rig.forget();
    rig
}

fn overflow(online: &[&str]) -> Rig {
    rig(RejectPolicy::Overflow, online)
}

fn reasons(events: &[Event]) -> Vec<EndReason> {
    let ends = events.iter().filter_map(|event| match event {
        Event::CallEnded { reason, .. } => Some(*reason),
        _ => None,
    });
    ends.collect()
}

fn seats(events: &[Event], of: &str) -> Vec<SeatState> {
    let changes = events.iter().filter_map(|event| match event {
        Event::SeatChanged { agent, new, .. } if agent == &user(of) => Some(*new),
        _ => None,
    });
    changes.collect()
}

fn transfers(events: &[Event]) -> Vec<TransferState> {
    let states = events.iter().filter_map(|event| match event {
        Event::TransferUpdate { state, .. } => Some(*state),
        _ => None,
    });
    states.collect()
}

fn thirds(events: &[Event]) -> Vec<ThirdState> {
    let states = events.iter().filter_map(|event| match event {
        Event::ThirdUpdate { state, .. } => Some(*state),
        _ => None,
    });
    states.collect()
}

#[test]
fn the_longest_idle_agent_is_rung_and_his_seat_follows_the_call() {
    let mut rig = overflow(&["amy", "ann"]);
    rig.pass(Duration::from_secs(1));
    rig.login("bea");
    rig.forget();
    let call = rig.queue("ann");
    assert_eq!(rig.seat("amy"), SeatState::Ringing);
    assert_eq!(rig.seat("bea"), SeatState::Idle);
    rig.accept("amy", &call);
    rig.ok("amy", hang_up(&call));
    let told = rig.take("amy");
    assert_eq!(
        seats(&told, "amy"),
        [SeatState::Ringing, SeatState::Talking, SeatState::Idle]
    );
}

impl Rig {
    fn customer(&mut self, name: &str) {
        self.login(name);
        self.forget();
    }
}

#[test]
fn customers_wait_in_turn_and_are_told_their_place() {
    let mut rig = overflow(&["amy", "ann", "bob", "cid"]);
    let first = rig.queue("ann");
    rig.queue("bob");
    let third = rig.queue("cid");
    let place = |events: &[Event]| {
        let places = events.iter().rev().filter_map(|event| match event {
            Event::CallProgress {
                position,
                stage: Stage::Routing,
                ..
            } => *position,
            _ => None,
        });
        places.into_iter().next()
    };
    assert_eq!(place(&rig.take("cid")), Some(3));
    rig.accept("amy", &first);
    assert_eq!(place(&rig.take("cid")), Some(2));
    rig.ok("bob", hang_up_current());
    assert_eq!(place(&rig.take("cid")), Some(1));
    rig.ok("amy", hang_up(&first));
    rig.accept("amy", &third);
    assert_eq!(rig.seat("amy"), SeatState::Talking);
}

fn hang_up_current() -> Command {
    Command::HangUp {
        call: CallRef::Current,
    }
}

#[test]
fn who_waits_too_long_is_let_go() {
    let mut rig = overflow(&["ann"]);
    rig.queue("ann");
    rig.forget();
    rig.pass(Duration::from_secs(121));
    assert_eq!(reasons(&rig.take("ann")), [EndReason::AutoEnd]);
}

#[test]
fn a_refused_customer_overflows_to_the_next_agent() {
    let mut rig = overflow(&["amy", "ann"]);
    rig.pass(Duration::from_secs(1));
    rig.login("bea");
    let call = rig.queue("ann");
    rig.forget();
    rig.ok("amy", reject(&call));
    assert!(rig.words("bea").contains(&"InviteReceived"));
    assert!(rig.words("ann").is_empty(), "the customer notices nothing");
    assert_eq!(rig.seat("amy"), SeatState::Idle);
    rig.pass(Duration::from_secs(61));
    assert_eq!(rig.seat("bea"), SeatState::Idle, "not answered");
    rig.ok(
        "amy",
        Command::SetSeat {
            wish: SeatWish::Rest,
        },
    );
    rig.ok(
        "amy",
        Command::SetSeat {
            wish: SeatWish::Ready,
        },
    );
    rig.accept("amy", &call);
}

#[test]
fn a_seat_that_refuses_rings_again_five_times_and_then_the_next_does() {
    let mut rig = rig(RejectPolicy::Rering, &["amy", "ann"]);
    rig.pass(Duration::from_secs(1));
    rig.login("bea");
    let call = rig.queue("ann");
    for round in 0..5 {
        assert!(
            rig.words("amy").contains(&"InviteReceived"),
            "round {round}"
        );
        rig.ok("amy", reject(&call));
        rig.pass(Duration::from_millis(1_100));
    }
    assert!(!rig.words("amy").contains(&"InviteReceived"));
    assert!(rig.words("bea").contains(&"InviteReceived"));
}

#[test]
fn a_resting_agent_is_not_rung() {
    let mut rig = overflow(&["amy", "ann"]);
    rig.ok(
        "amy",
        Command::SetSeat {
            wish: SeatWish::Rest,
        },
    );
    let call = rig.queue("ann");
    assert_eq!(rig.seat("amy"), SeatState::Busy);
    rig.ok(
        "amy",
        Command::SetSeat {
            wish: SeatWish::Ready,
        },
    );
    rig.accept("amy", &call);
    let rest = rig.err(
        "amy",
        Command::SetSeat {
            wish: SeatWish::Rest,
        },
    );
    assert_eq!(rest, ErrorCode::State);
    rig.ok(
        "amy",
        Command::SetSeat {
            wish: SeatWish::Busy,
        },
    );
    rig.ok("amy", hang_up(&call));
    assert_eq!(rig.seat("amy"), SeatState::Busy, "applied after the call");
}

#[test]
fn a_customer_that_leaves_ends_all() {
    let mut rig = overflow(&["amy", "ann"]);
    let call = rig.served("ann", "amy");
    rig.login("bea");
    rig.ok(
        "amy",
        Command::ThirdAsk {
            call: id(&call),
            target: user("bea"),
        },
    );
    rig.ok("bea", Command::ThirdAccept { call: id(&call) });
    rig.media_up(&call, "bea");
    rig.forget();
    rig.lose("ann");
    rig.pass(Duration::from_secs(31));
    assert_eq!(reasons(&rig.take("amy")), [EndReason::UserOffline]);
    assert_eq!(reasons(&rig.take("bea")), [EndReason::UserOffline]);
    assert_eq!(rig.seat("bea"), SeatState::Idle);
}

fn ask(call: &CallId, target: &str) -> Command {
    Command::TransferAsk {
        call: id(call),
        target: user(target),
    }
}

#[test]
fn an_asked_transfer_replaces_the_agent_when_the_new_ones_media_is_up() {
    let mut rig = overflow(&["amy", "ann"]);
    let call = rig.served("ann", "amy");
    rig.login("bea");
    rig.forget();
    rig.ok("amy", ask(&call, "bea"));
    assert_eq!(transfers(&rig.take("bea")), [TransferState::Requested]);
    assert_eq!(rig.seat("bea"), SeatState::Ringing);
    assert_eq!(
        rig.err("amy", ask(&call, "bea")),
        ErrorCode::TransferPending
    );
    rig.media_up(&call, "bea");
    let Data::Call { grant: Some(_), .. } =
        rig.ok("bea", Command::TransferAccept { call: id(&call) })
    else {
        panic!("no grant");
    };
    assert_eq!(transfers(&rig.take("amy")), [TransferState::Completing]);
    assert_eq!(
        rig.seat("amy"),
        SeatState::Talking,
        "until the other is there"
    );
    rig.media.clear();
    rig.media_up(&call, "bea");
    let told = rig.take("amy");
    assert_eq!(transfers(&told), [TransferState::Completed]);
    assert_eq!(reasons(&told), [EndReason::Transferred]);
    assert_eq!(rig.seat("amy"), SeatState::Idle);
    assert_eq!(rig.seat("bea"), SeatState::Talking);
    assert!(
        matches!(&rig.media[..], [MediaAction::Remove { user: who, .. }] if who == &user("amy"))
    );
    rig.forget();
    rig.ok("bea", hang_up(&call));
    assert_eq!(reasons(&rig.take("ann")), [EndReason::HangUp]);
}

#[test]
fn a_transfer_that_fails_leaves_the_call_as_it_was() {
    type Step = fn(&mut Rig, &CallId);
    let ways: [(TransferState, Step); 5] = [
        (TransferState::Rejected, |rig, call| {
            rig.ok("bea", Command::TransferReject { call: id(call) });
        }),
        (TransferState::Canceled, |rig, call| {
            rig.ok(
                "amy",
                Command::TransferCancel {
                    call: id(call),
                    target: None,
                },
            );
        }),
        (TransferState::TimedOut, |rig, _| {
            rig.pass(Duration::from_secs(31))
        }),
        (TransferState::Failed, |rig, _| {
            rig.ok("bea", Command::Logout);
        }),
        (TransferState::Failed, |rig, call| {
            rig.ok("bea", Command::TransferAccept { call: id(call) });
            rig.pass(Duration::from_secs(16));
        }),
    ];
    for (state, step) in ways {
        let mut rig = overflow(&["amy", "ann"]);
        let call = rig.served("ann", "amy");
        rig.login("bea");
        rig.ok("amy", ask(&call, "bea"));
        rig.forget();
        step(&mut rig, &call);
        let told = rig.take("amy");
        assert_eq!(transfers(&told).last(), Some(&state));
        assert_eq!(rig.seat("amy"), SeatState::Talking, "{state:?}");
        let late = rig
            .ask("bea", Command::TransferAccept { call: id(&call) })
            .error;
        assert_ne!(late, ErrorCode::Ok);
        rig.ok("amy", hang_up(&call));
        assert_eq!(rig.machine.live_calls(), 0);
    }
}

#[test]
fn a_blind_transfer_rings_the_target_and_fails_softly() {
    let blind = |call: &CallId, target: &str| Command::TransferBlind {
        call: id(call),
        skill_group: Some(super::rig::group("sales")),
        target: target.to_owned(),
    };
    let mut rig = overflow(&["amy", "ann"]);
    let call = rig.served("ann", "amy");
    rig.login("bea");
    rig.forget();
    assert_eq!(rig.err("amy", blind(&call, "1003")), ErrorCode::Offline);
    assert_eq!(rig.err("amy", blind(&call, "4711")), ErrorCode::NotFound);
    rig.ok("amy", blind(&call, "1002"));
    let rung = rig.take("bea");
    let caller = rung.iter().find_map(|event| match event {
        Event::InviteReceived { caller, .. } => Some(caller.user.clone()),
        _ => None,
    });
    assert_eq!(caller, Some(user("ann")), "the one who will be spoken to");
    rig.ok("bea", reject(&call));
    assert_eq!(
        transfers(&rig.take("amy")),
        [TransferState::Requested, TransferState::Rejected]
    );
    rig.ok("amy", blind(&call, "1002"));
    rig.accept("bea", &call);
    rig.media_up(&call, "bea");
    assert_eq!(
        transfers(&rig.take("amy")),
        [
            TransferState::Requested,
            TransferState::Completing,
            TransferState::Completed
        ]
    );
    assert_eq!(rig.seat("bea"), SeatState::Talking);
}

#[test]
fn a_third_party_joins_quits_and_is_removed_while_the_call_goes_on() {
    let mut rig = overflow(&["amy", "ann"]);
    let call = rig.served("ann", "amy");
    rig.login("bea");
    let ask = || Command::ThirdAsk {
        call: id(&call),
        target: user("bea"),
    };
    rig.ok("amy", ask());
    rig.ok("bea", Command::ThirdReject { call: id(&call) });
    rig.ok("amy", ask());
    rig.ok(
        "amy",
        Command::ThirdCancel {
            call: id(&call),
            target: None,
        },
    );
    rig.ok("amy", ask());
    rig.ok("bea", Command::ThirdAccept { call: id(&call) });
    rig.media_up(&call, "bea");
    assert_eq!(
        rig.err("amy", super::centre::ask(&call, "cai")),
        ErrorCode::ThirdPending
    );
    rig.ok("bea", Command::ThirdQuit { call: id(&call) });
    rig.ok("amy", ask());
    rig.ok("bea", Command::ThirdAccept { call: id(&call) });
    let not_his = Command::ThirdRemove {
        call: id(&call),
        target: None,
    };
    assert_eq!(rig.err("bea", not_his.clone()), ErrorCode::Forbidden);
    rig.ok("amy", not_his);
    assert_eq!(
        thirds(&rig.take("amy")),
        [
            ThirdState::Rejected,
            ThirdState::Canceled,
            ThirdState::Joined,
            ThirdState::Quit,
            ThirdState::Joined,
            ThirdState::Removed,
        ]
    );
    let told = rig.take("bea");
    assert_eq!(reasons(&told), [EndReason::Quit, EndReason::Kicked]);
    assert_eq!(rig.seat("bea"), SeatState::Idle);
    assert_eq!(rig.seat("amy"), SeatState::Talking);
}

#[test]
fn hold_silences_the_customer_both_ways_and_shows_on_the_seat() {
    let mut rig = overflow(&["amy", "ann"]);
    let call = rig.served("ann", "amy");
    rig.forget();
    assert_eq!(
        rig.err("ann", Command::Hold { call: id(&call) }),
        ErrorCode::Forbidden
    );
    rig.ok("amy", Command::Hold { call: id(&call) });
    assert_eq!(rig.seat("amy"), SeatState::Held);
    let access = |rig: &Rig| {
        let sets = rig.media.iter().filter_map(|action| match action {
            MediaAction::SetAccess { user, access, .. } => Some((user.clone(), access.clone())),
            _ => None,
        });
        sets.collect::<Vec<_>>()
    };
    assert_eq!(access(&rig), [(user("ann"), Access::HELD)]);
    assert_eq!(
        rig.err("amy", Command::Hold { call: id(&call) }),
        ErrorCode::State
    );
    rig.forget();
    rig.ok("amy", Command::Unhold { call: id(&call) });
    assert_eq!(access(&rig), [(user("ann"), Access::FULL)]);
    assert_eq!(rig.seat("amy"), SeatState::Talking);
}

#[test]
fn digits_arrive_one_by_one() {
    let mut rig = overflow(&["amy", "ann"]);
    let call = rig.served("ann", "amy");
    rig.forget();
    for digit in ["1", "#", "D"] {
        rig.ok(
            "amy",
            Command::Dtmf {
                call: id(&call),
                digit: digit.to_owned(),
            },
        );
    }
    for wrong in ["12", "", "E", "a"] {
        let error = rig.err(
            "amy",
            Command::Dtmf {
                call: id(&call),
                digit: wrong.to_owned(),
            },
        );
        assert_eq!(error, ErrorCode::Param);
    }
    let digits: Vec<_> = rig
        .take("ann")
        .into_iter()
        .filter_map(|event| match event {
            Event::DtmfReceived { digit, .. } => Some(digit),
            _ => None,
        })
        .collect();
    assert_eq!(digits, ["1", "#", "D"]);
}

#[test]
fn a_supervisor_listens_whispers_barges_and_leaves() {
    let mut rig = overflow(&["amy", "ann", "sue"]);
    rig.ok(
        "sue",
        Command::SetSeat {
            wish: SeatWish::Rest,
        },
    );
    let call = rig.served("ann", "amy");
    rig.forget();
    let Data::Grant { grant: Some(grant) } = rig.ok("sue", Command::MonStart { call: id(&call) })
    else {
        panic!("no grant");
    };
    assert_eq!(grant.access, Access::LISTEN);
    assert_eq!(
        rig.err("sue", Command::MonBarge { call: id(&call) }),
        ErrorCode::State
    );
    rig.media_up(&call, "sue");
    assert!(
        rig.take("ann").is_empty() && rig.take("amy").is_empty(),
        "nobody notices"
    );
    rig.ok(
        "sue",
        Command::MonWhisper {
            call: id(&call),
            on: true,
        },
    );
    assert!(rig.take("ann").is_empty() && rig.take("amy").is_empty());
    let whisper = Access {
        speaks: true,
        audience: Some(vec![user("amy")]),
        ..Access::LISTEN
    };
    assert!(
        matches!(rig.media.last(), Some(MediaAction::SetAccess { access, .. }) if *access == whisper)
    );
    rig.ok("sue", Command::MonBarge { call: id(&call) });
    assert_eq!(rig.words("ann"), ["ParticipantJoined"]);
    let view = rig.ok(
        "amy",
        Command::QueryState {
            scope: crate::command::QueryScope::Call(id(&call)),
        },
    );
    let Data::Call { call: view, .. } = view else {
        panic!("no call")
    };
    assert!(
        view.participants
            .iter()
            .any(|each| each.role == Role::Supervisor)
    );
    assert_eq!(
        rig.err("sue", Command::MonStop { call: id(&call) }),
        ErrorCode::State
    );
    rig.ok("sue", Command::MonExitBarge { call: id(&call) });
    assert_eq!(rig.words("ann"), ["ParticipantLeft"]);
    let states: Vec<_> = rig
        .take("sue")
        .into_iter()
        .filter_map(|event| match event {
            Event::MonitorUpdate { state, .. } => Some(state),
            _ => None,
        })
        .collect();
    assert_eq!(
        states,
        [
            MonitorState::Listening,
            MonitorState::Whispering,
            MonitorState::Barged,
            MonitorState::None,
        ]
    );
    assert_eq!(rig.machine.live_calls(), 1);
}

#[test]
fn a_supervisor_never_keeps_a_call_alive() {
    let mut rig = overflow(&["amy", "ann", "sue"]);
    rig.ok(
        "sue",
        Command::SetSeat {
            wish: SeatWish::Rest,
        },
    );
    let call = rig.served("ann", "amy");
    rig.ok("sue", Command::MonStart { call: id(&call) });
    rig.media_up(&call, "sue");
    rig.forget();
    rig.ok("amy", hang_up(&call));
    let told = rig.take("sue");
    assert_eq!(reasons(&told), [EndReason::HangUp]);
    assert_eq!(rig.machine.live_calls(), 0);
}

#[test]
fn a_supervisor_ends_calls_of_the_own_group_only() {
    let mut rig = overflow(&["amy", "ann", "bob", "cid", "sue"]);
    rig.ok(
        "sue",
        Command::SetSeat {
            wish: SeatWish::Rest,
        },
    );
    let call = rig.served("ann", "amy");
    let foreign = rig.ring("bob", "cid");
    let force = |call: &CallId| Command::ForceEnd { call: id(call) };
    assert_eq!(rig.err("sue", force(&foreign)), ErrorCode::Forbidden);
    assert_eq!(rig.err("ann", force(&call)), ErrorCode::Forbidden);
    rig.forget();
    rig.ok("sue", force(&call));
    assert_eq!(reasons(&rig.take("ann")), [EndReason::SupervisorEnd]);
}

#[test]
fn a_supervisor_is_noticed_of_calls_that_begin_while_online_exactly_twice() {
    let mut rig = overflow(&["amy", "ann", "bob"]);
    let early = rig.served("ann", "amy");
    rig.login("sue");
    rig.ok(
        "sue",
        Command::SetSeat {
            wish: SeatWish::Rest,
        },
    );
    rig.forget();
    rig.ok("amy", hang_up(&early));
    let notices = |events: Vec<Event>| {
        let notices = events.into_iter().filter_map(|event| match event {
            Event::CallNotice { end_ms, caller, .. } => Some((end_ms > 0, caller.user)),
            _ => None,
        });
        notices.collect::<Vec<_>>()
    };
    assert!(notices(rig.take("sue")).is_empty());
    let call = rig.served("bob", "amy");
    rig.ok("bob", hang_up(&call));
    assert_eq!(
        notices(rig.take("sue")),
        [(false, user("bob")), (true, user("amy"))]
    );
    assert!(notices(rig.take("amy")).is_empty());
}

#[test]
fn a_seat_that_shows_no_sign_of_life_loses_its_registration() {
    let mut rig = Rig::new(TenantSettings::default());
    rig.login("amy");
    rig.forget();
    rig.pass(Duration::from_secs(50));
    rig.ok("amy", Command::Refresh);
    rig.pass(Duration::from_secs(50));
    assert!(rig.take("amy").is_empty());
    rig.pass(Duration::from_secs(11));
    assert!(matches!(
        rig.take("amy")[..],
        [Event::Kicked {
            error: ErrorCode::RegTimeout
        }]
    ));
    assert_eq!(rig.seat("amy"), SeatState::Offline);
}

#[test]
fn a_refused_seat_to_seat_call_rings_again_until_it_is_final() {
    let mut rig = rig(RejectPolicy::Rering, &["amy", "bea"]);
    let call = rig.ring("amy", "bea");
    for _ in 0..4 {
        rig.ok("bea", reject(&call));
        rig.pass(Duration::from_millis(1_100));
    }
    rig.forget();
    rig.ok("bea", reject(&call));
    assert_eq!(reasons(&rig.take("amy")), [EndReason::Reject]);
}

#[test]
fn an_agent_in_a_call_cannot_be_called_by_another() {
    let mut rig = overflow(&["amy", "bea", "ann"]);
    rig.customer("bob");
    rig.ok(
        "bea",
        Command::SetSeat {
            wish: SeatWish::Rest,
        },
    );
    rig.served("ann", "amy");
    rig.forget();
    rig.ok("bea", Command::CreateCall(private("amy")));
    assert_eq!(reasons(&rig.take("bea")), [EndReason::Busy]);
    assert_eq!(
        rig.err("amy", accept(&CallId::new("nothing").expect("a name"))),
        ErrorCode::NotFound
    );
}
