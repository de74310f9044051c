//! JRTC: meetings by serial number, invitations, kicks, messages, properties.

use std::time::Duration;

use crosspoint_calls::dialect::DialectName;
use crosspoint_calls::media::{MediaAction, MediaEvent};
use crosspoint_calls::policy::{RecordFailPolicy, TenantSettings};
use serde_json::json;

use super::house::{House, Who};

fn online(house: &mut House, id: &str) -> Who {
    house.online(DialectName::Jrtc, id, "web", json!({}))
}

fn join(house: &mut House, who: &Who) {
    let reply = house.say(who, "join", json!({"serialId": "S1", "video": true}));
    assert_eq!(reply["result"], json!(true), "{reply:?}");
    house.heard(who);
}

/// Two people in the call `S1`; what they heard of it is forgotten.
fn meeting() -> (House, Who, Who) {
    let mut house = House::open();
    let alice = online(&mut house, "alice");
    let bob = online(&mut house, "bob");
    join(&mut house, &alice);
    join(&mut house, &bob);
    house.heard(&alice);
    (house, alice, bob)
}

#[test]
fn members_hear_of_who_joins_and_leaves() {
    let mut house = House::open();
    let alice = online(&mut house, "alice");
    let bob = online(&mut house, "bob");
    join(&mut house, &alice);
    let reply = house.say(&bob, "join", json!({"serialId": "S1", "video": true}));
    assert_eq!(reply["call"]["serialId"], json!("S1"));
    assert_eq!(
        reply["call"]["participants"].as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(house.words(&alice)[0], "onParticipantJoin bob");
    house.say(&bob, "leave", json!({}));
    assert_eq!(house.words(&bob), ["onLeave 0"]);
    assert_eq!(house.words(&alice), ["onParticipantLeft bob"]);
}

#[test]
fn an_invitation_is_accepted_refused_withdrawn_or_not_answered() {
    let mut house = House::open();
    let alice = online(&mut house, "alice");
    let bob = online(&mut house, "bob");
    join(&mut house, &alice);
    let invite = |house: &mut House| {
        let reply = house.say(
            &alice,
            "invite",
            json!({"calleeUserId": "bob", "param": {"extraInfo": "x"}}),
        );
        assert_eq!(reply["result"], json!(true), "{reply:?}");
    };
    invite(&mut house);
    let rung = house.last(&bob, "onInviteReceived");
    assert_eq!(rung["param"]["callerUserId"], json!("alice"));
    assert_eq!(rung["param"]["extraInfo"], json!("x"));
    assert_eq!(
        house.say(&bob, "rejectInvite", json!({}))["result"],
        json!(true)
    );
    assert_eq!(house.words(&alice), ["onInviteRejected reject"]);

    invite(&mut house);
    house.heard(&bob);
    assert_eq!(
        house.say(&alice, "cancelInvite", json!({}))["result"],
        json!(true)
    );
    assert_eq!(house.words(&bob), ["onInviteCanceled cancel"]);
    assert_eq!(
        house.say(&alice, "cancelInvite", json!({}))["result"],
        json!(false)
    );
    assert_eq!(
        house.say(&bob, "acceptInvite", json!({"video": true}))["result"],
        json!(false)
    );

    invite(&mut house);
    house.heard(&bob);
    house.pass(Duration::from_secs(60));
    assert_eq!(house.words(&bob), ["onInviteCanceled timeout"]);
    assert_eq!(house.words(&alice), ["onInviteRejected timeout"]);

    invite(&mut house);
    assert_eq!(
        house.say(&bob, "acceptInvite", json!({"video": true}))["result"],
        json!(true)
    );
    let heard = house.words(&alice);
    assert_eq!(heard[..2], ["onInviteAccepted", "onParticipantJoin bob"]);
}

#[test]
fn only_the_host_kicks_and_ends_for_all() {
    let (mut house, alice, bob) = meeting();
    assert_eq!(
        house.say(&bob, "kickUser", json!({"userId": "alice"}))["result"],
        json!(false)
    );
    assert_eq!(
        house.say(&alice, "kickUser", json!({"userId": "bob"}))["result"],
        json!(true)
    );
    assert_eq!(house.words(&bob), ["onLeave 2019"]);
    assert_eq!(house.words(&alice), ["onParticipantLeft bob"]);
    join(&mut house, &bob);
    assert_eq!(house.say(&bob, "stop", json!({}))["result"], json!(false));
    assert_eq!(house.say(&alice, "stop", json!({}))["result"], json!(true));
    assert_eq!(house.words(&bob), ["onLeave 2020"]);
}

#[test]
fn messages_go_to_one_or_to_all_and_not_to_oneself() {
    let (mut house, alice, bob) = meeting();
    let carol = online(&mut house, "carol");
    join(&mut house, &carol);
    house.heard(&alice);
    house.heard(&bob);
    let send = |house: &mut House, to: Option<&str>| {
        house.say(
            &alice,
            "sendMessage",
            json!({"contentType": "text", "content": "hi", "toUserId": to}),
        )
    };
    assert_eq!(send(&mut house, None)["result"], json!(true));
    for each in [&bob, &carol] {
        assert_eq!(
            house.last(each, "onMessageReceived")["messageType"],
            json!(2)
        );
    }
    assert_eq!(send(&mut house, Some("bob"))["result"], json!(true));
    assert_eq!(
        house.last(&bob, "onMessageReceived")["messageType"],
        json!(1)
    );
    assert_eq!(house.words(&carol), [""; 0]);
    assert_eq!(house.words(&alice), [""; 0]);
    assert_eq!(send(&mut house, Some("nobody"))["reasonCode"], json!(1203));
    let long = json!({"contentType": "text", "content": "x".repeat(4097)});
    assert_eq!(
        house.say(&alice, "sendMessage", long)["reasonCode"],
        json!(1212)
    );
}

#[test]
fn the_screen_has_one_owner_and_late_members_know_it() {
    let (mut house, alice, bob) = meeting();
    let screen = |house: &mut House, who: &Who, action: &str| {
        house.say(who, "screenShare", json!({"action": action, "tip": "soon"}))["result"].clone()
    };
    assert_eq!(screen(&mut house, &alice, "start"), json!(true));
    let changed = house.last(&bob, "onCallPropertyChanged");
    assert_eq!(changed["propChangeParam"]["screenShare"], json!(true));
    assert_eq!(changed["props"]["shareUserId"], json!("alice"));
    assert_eq!(screen(&mut house, &bob, "start"), json!(false));
    assert_eq!(screen(&mut house, &alice, "pause"), json!(true));
    assert_eq!(
        house.last(&bob, "onCallPropertyChanged")["props"]["suspended"],
        json!(true)
    );
    let carol = online(&mut house, "carol");
    let reply = house.say(&carol, "join", json!({"serialId": "S1"}));
    assert_eq!(reply["call"]["props"]["shareUserId"], json!("alice"));
    house.heard(&bob);
    house.say(&alice, "leave", json!({}));
    assert_eq!(
        house.last(&bob, "onCallPropertyChanged")["props"]["shareUserId"],
        json!("")
    );
}

#[test]
fn mutes_are_told_as_updates_of_the_member() {
    let (mut house, alice, bob) = meeting();
    assert_eq!(
        house.say(&bob, "upload", json!({"kind": "video", "enabled": false}))["result"],
        json!(true)
    );
    let update = house.last(&alice, "onParticipantUpdate");
    assert_eq!(update["changeParam"]["video"], json!(true));
    assert_eq!(update["changeParam"]["audio"], json!(false));
    assert_eq!(update["participant"]["video"], json!(false));
}

#[test]
fn a_failed_recording_ends_the_call_where_the_policy_says_so() {
    for (policy, ends) in [
        (RecordFailPolicy::Continue, false),
        (RecordFailPolicy::EndCall, true),
    ] {
        let mut house = House::new(TenantSettings {
            open_registration: true,
            record_fail_policy: policy,
            ..TenantSettings::default()
        });
        let alice = online(&mut house, "alice");
        let bob = online(&mut house, "bob");
        join(&mut house, &alice);
        join(&mut house, &bob);
        let reply = house.say(&alice, "remoteRecord", json!({"enabled": true}));
        assert_eq!(reply["result"], json!(true), "{reply:?}");
        let started = house.actions.iter().find_map(|action| match action {
            MediaAction::StartRecording {
                call, recording, ..
            } => Some((call.clone(), recording.clone())),
            _ => None,
        });
        let (call, recording) = started.unwrap();
        house.media(MediaEvent::RecordingRunning {
            call: call.clone(),
            recording: recording.clone(),
        });
        house.heard(&bob);
        house.media(MediaEvent::RecordingFailed {
            call,
            recording,
            user: None,
            detail: "disk full".into(),
        });
        let heard = house.heard(&bob);
        let abort = heard
            .iter()
            .find(|each| each["type"] == json!("onDeliveryAbort"));
        assert_eq!(abort.unwrap()["isShutDown"], json!(ends));
        let left = heard
            .iter()
            .any(|each| each["type"] == json!("onLeave") && each["reasonCode"] == json!(2027));
        assert_eq!(left, ends);
    }
}

#[test]
fn who_is_in_a_call_cannot_join_another() {
    let (mut house, alice, _) = meeting();
    let reply = house.say(&alice, "join", json!({"serialId": "S2"}));
    assert_eq!(
        (&reply["result"], &reply["reasonCode"]),
        (&json!(false), &json!(1206))
    );
}
