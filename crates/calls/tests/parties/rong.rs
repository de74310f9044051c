//! RongCloud CallLib: the rules of its document and changelog between several devices.

use std::time::Duration;

use crosspoint_calls::command::AdminCommand;
use crosspoint_calls::dialect::DialectName;
use crosspoint_calls::dialect::frame::Frame;
use crosspoint_calls::model::{GroupKind, Person, UserRecord};
use crosspoint_calls::policy::TenantSettings;
use serde_json::{Value, json};

use super::house::{House, Who, user};

const RING: Duration = Duration::from_secs(60);

fn online(house: &mut House, id: &str) -> Who {
    device(house, id, "web")
}

fn device(house: &mut House, id: &str, name: &str) -> Who {
    house.online(DialectName::Rong, id, name, json!({"appkey": "key"}))
}

fn call(house: &mut House, who: &Who, target: &str) -> String {
    let reply = house.say(who, "call", json!({"targetId": target, "mediaType": 2}));
    assert_eq!(reply["code"], json!(10000), "{reply:?}");
    session(&reply)
}

fn call_group(house: &mut House, who: &Who, users: &[&str]) -> String {
    let words = json!({"targetId": "team", "userIds": users, "mediaType": 1});
    let reply = house.say(who, "callInGroup", words);
    assert_eq!(reply["code"], json!(10000), "{reply:?}");
    session(&reply)
}

fn session(reply: &Frame) -> String {
    reply["session"]["sessionId"].as_str().unwrap().to_owned()
}

fn of(session: &str) -> Value {
    json!({ "sessionId": session })
}

/// Takes the call that rings, as the façade does; what was heard until then is forgotten.
fn accept(house: &mut House, who: &Who, id: &str) {
    house.say(who, "ringing", of(id));
    assert_eq!(house.say(who, "accept", of(id))["code"], json!(10000));
}

/// A house with people of these names, all in the group `team`.
fn people(names: &[&str]) -> (House, Vec<Who>) {
    let mut house = House::open();
    let who = names.iter().map(|name| online(&mut house, name)).collect();
    house.group("team", GroupKind::Group, names);
    (house, who)
}

#[test]
fn a_call_rings_is_answered_and_hung_up_with_mirrored_reasons() {
    let (mut house, who) = people(&["alice", "bob"]);
    let [alice, bob] = who.as_slice() else {
        panic!()
    };
    let id = call(&mut house, alice, "bob");
    assert_eq!(house.words(bob), ["onSession"]);
    accept(&mut house, bob, &id);
    assert_eq!(house.words(alice), ["onRinging bob", "onAccept bob"]);
    house.pass(Duration::from_secs(9));
    house.say(bob, "hungup", of(&id));
    assert_eq!(house.words(bob), ["onSessionClose 3"]);
    assert_eq!(house.words(alice), ["onHungup bob 13", "onSessionClose 13"]);
}

#[test]
fn the_summary_of_a_call_has_its_times() {
    let (mut house, who) = people(&["alice", "bob"]);
    let [alice, bob] = who.as_slice() else {
        panic!()
    };
    let id = call(&mut house, alice, "bob");
    accept(&mut house, bob, &id);
    house.pass(Duration::from_secs(9));
    house.say(alice, "hungup", of(&id));
    let close = house.last(bob, "onSessionClose");
    let summary = &close["summaryInfo"];
    assert_eq!(summary["duration"], json!(9000));
    assert_eq!(summary["targetId"], json!("alice"));
    assert_eq!(summary["conversationType"], json!(1));
    assert_eq!(summary["mediaType"], json!(2));
    let begin = summary["beginTimestamp"].as_u64().unwrap();
    assert_eq!(summary["endTimestamp"], json!(begin + 9000));
}

#[test]
fn a_call_withdrawn_at_once_ends_the_other_side_cleanly() {
    let (mut house, who) = people(&["alice", "bob"]);
    let [alice, bob] = who.as_slice() else {
        panic!()
    };
    let id = call(&mut house, alice, "bob");
    house.say(alice, "hungup", of(&id));
    assert_eq!(
        house.words(bob),
        ["onSession", "onHungup alice 11", "onSessionClose 11"]
    );
    assert_eq!(house.words(alice).last().unwrap(), "onSessionClose 1");
    // Both are free again.
    call(&mut house, bob, "alice");
}

#[test]
fn a_refusal_is_told_to_the_caller() {
    let (mut house, who) = people(&["alice", "bob"]);
    let [alice, bob] = who.as_slice() else {
        panic!()
    };
    let id = call(&mut house, alice, "bob");
    assert_eq!(house.say(bob, "hungup", of(&id))["code"], json!(10000));
    assert_eq!(house.words(alice), ["onHungup bob 12", "onSessionClose 12"]);
}

#[test]
fn nobody_answers_on_any_device() {
    let (mut house, who) = people(&["alice", "bob"]);
    let [alice, bob] = who.as_slice() else {
        panic!()
    };
    let tablet = device(&mut house, "bob", "tablet");
    let _ = call(&mut house, alice, "bob");
    house.pass(RING);
    assert_eq!(house.words(alice), ["onHungup bob 15", "onSessionClose 15"]);
    for each in [bob, &tablet] {
        assert_eq!(house.words(each), ["onSession", "onSessionClose 5"]);
    }
}

#[test]
fn one_device_answers_and_the_others_end_with_101_or_102() {
    for (verb, code) in [("accept", 101), ("hungup", 102)] {
        let (mut house, who) = people(&["alice", "bob"]);
        let [alice, bob] = who.as_slice() else {
            panic!()
        };
        let tablet = device(&mut house, "bob", "tablet");
        let id = call(&mut house, alice, "bob");
        house.say(bob, verb, of(&id));
        assert_eq!(
            house.words(&tablet),
            ["onSession", format!("onSessionClose {code}").as_str()]
        );
    }
}

#[test]
fn a_busy_callee_is_busy_and_never_a_cancel() {
    let (mut house, who) = people(&["alice", "bob", "carol"]);
    let [alice, bob, carol] = who.as_slice() else {
        panic!()
    };
    let id = call(&mut house, alice, "bob");
    accept(&mut house, bob, &id);
    house.words(alice);
    call(&mut house, carol, "bob");
    let heard = house.words(carol);
    assert!(
        heard.iter().any(|each| each == "onHungup bob 14"),
        "{heard:?}"
    );
    assert_eq!(heard.last().unwrap(), "onSessionClose 14");
    assert_eq!(house.words(alice), [""; 0]);
}

#[test]
fn an_unfinished_call_keeps_from_another() {
    let (mut house, who) = people(&["alice", "bob", "carol"]);
    let [alice, bob, _] = who.as_slice() else {
        panic!()
    };
    call(&mut house, alice, "bob");
    let reply = house.say(alice, "call", json!({"targetId": "carol", "mediaType": 1}));
    assert_eq!(reply["code"], json!(53200));
    // Glare: both call each other; the second one loses.
    let reply = house.say(bob, "call", json!({"targetId": "alice", "mediaType": 1}));
    assert_eq!(reply["code"], json!(53200));
}

#[test]
fn who_is_blocked_gets_53202() {
    let mut house = House::open();
    house.put(UserRecord {
        person: Person {
            user: user("bob"),
            name: String::new(),
            portrait_uri: String::new(),
            extra: String::new(),
            extension: String::new(),
        },
        skill_groups: Vec::new(),
        supervisor: false,
        blocked: vec![user("alice")],
        password: None,
    });
    let alice = online(&mut house, "alice");
    let bob = online(&mut house, "bob");
    let reply = house.say(&alice, "call", json!({"targetId": "bob", "mediaType": 1}));
    assert_eq!(reply["code"], json!(53202));
    assert_eq!(house.words(&bob), [""; 0]);
}

#[test]
fn a_one_to_one_call_invites_nobody() {
    let (mut house, who) = people(&["alice", "bob", "carol"]);
    let [alice, bob, _] = who.as_slice() else {
        panic!()
    };
    let id = call(&mut house, alice, "bob");
    accept(&mut house, bob, &id);
    let reply = house.say(
        alice,
        "invite",
        json!({"sessionId": id, "userIds": ["carol"]}),
    );
    assert_eq!(reply["code"], json!(53311));
}

#[test]
fn members_of_a_group_see_each_other_come_and_go() {
    let (mut house, who) = people(&["alice", "bob", "carol", "dave"]);
    let [alice, bob, carol, dave] = who.as_slice() else {
        panic!()
    };
    let id = call_group(&mut house, alice, &["bob", "carol"]);
    accept(&mut house, bob, &id);
    accept(&mut house, carol, &id);
    for each in [alice, bob, carol] {
        house.words(each);
    }
    house.say(
        bob,
        "invite",
        json!({"sessionId": id, "userIds": ["dave"], "extra": "come"}),
    );
    assert_eq!(house.words(alice), ["onMemberModify"]);
    assert_eq!(house.words(carol), ["onMemberModify"]);
    let rung = house.last(dave, "onSession");
    assert_eq!(rung["extra"], json!("come"));
    assert_eq!(rung["session"]["targetId"], json!("team"));
    accept(&mut house, dave, &id);
    for each in [alice, bob, carol] {
        let heard = house.words(each);
        assert!(heard.contains(&"onAccept dave".to_owned()), "{heard:?}");
    }
    house.say(dave, "hungup", of(&id));
    for each in [alice, bob, carol] {
        assert_eq!(house.words(each), ["onHungup dave 13"]);
    }
}

#[test]
fn each_invitation_times_out_by_itself_and_once() {
    let (mut house, who) = people(&["alice", "bob", "carol", "dave"]);
    let [alice, bob, carol, dave] = who.as_slice() else {
        panic!()
    };
    let id = call_group(&mut house, alice, &["bob", "carol"]);
    accept(&mut house, bob, &id);
    house.pass(RING);
    // Everyone sees that it was carol, not the inviter.
    for each in [alice, bob] {
        let heard = house.words(each);
        assert_eq!(
            heard
                .iter()
                .filter(|each| *each == "onHungup carol 15")
                .count(),
            1,
            "{heard:?}"
        );
    }
    assert_eq!(
        house.words(carol),
        ["onSession", "onAccept bob", "onSessionClose 5"]
    );
    // Again, with dave half a minute earlier: his end is not carol's.
    house.say(
        alice,
        "invite",
        json!({"sessionId": id, "userIds": ["dave"]}),
    );
    house.pass(RING / 2);
    house.say(
        alice,
        "invite",
        json!({"sessionId": id, "userIds": ["carol"]}),
    );
    house.words(bob);
    house.pass(RING / 2);
    assert_eq!(house.words(bob), ["onHungup dave 15"]);
    assert_eq!(
        house.words(dave),
        ["onSession", "onMemberModify", "onSessionClose 5"]
    );
    // Who is still rung hears of it, too.
    assert_eq!(house.words(carol), ["onSession", "onHungup dave 15"]);
    house.pass(RING / 2);
    assert_eq!(house.words(bob), ["onHungup carol 15"]);
}

#[test]
fn who_is_not_in_the_group_is_refused() {
    let mut house = House::new(TenantSettings {
        open_registration: true,
        check_group_members: true,
        ..TenantSettings::default()
    });
    let alice = online(&mut house, "alice");
    let _ = online(&mut house, "bob");
    house.group("team", GroupKind::Group, &["bob"]);
    let words = json!({"targetId": "team", "userIds": ["bob"], "mediaType": 1});
    assert_eq!(
        house.say(&alice, "callInGroup", words)["code"],
        json!(53203)
    );
}

#[test]
fn mutes_and_the_way_to_audio_are_told_to_the_others() {
    let (mut house, who) = people(&["alice", "bob"]);
    let [alice, bob] = who.as_slice() else {
        panic!()
    };
    let id = call(&mut house, alice, "bob");
    accept(&mut house, bob, &id);
    house.words(alice);
    let mute = |kind, muted| json!({"sessionId": id, "kind": kind, "muted": muted});
    house.say(bob, "muteChange", mute("audio", true));
    house.say(bob, "muteChange", mute("video", true));
    house.say(bob, "muteChange", mute("video", false));
    assert_eq!(
        house.words(alice),
        [
            "onAudioMuteChange",
            "onVideoMuteChange",
            "onVideoMuteChange"
        ]
    );
    assert_eq!(
        house.say(alice, "descendAbility", of(&id))["code"],
        json!(10000)
    );
    assert_eq!(house.last(bob, "onMediaModify")["mediaType"], json!(1));
    assert_eq!(
        house.say(bob, "descendAbility", of(&id))["code"],
        json!(53309)
    );
    assert_eq!(
        house.say(bob, "muteChange", mute("video", true))["code"],
        json!(53309)
    );
}

#[test]
fn a_young_invitation_reaches_who_comes_online_and_an_old_one_is_a_record() {
    let (mut house, who) = people(&["alice"]);
    let alice = &who[0];
    call(&mut house, alice, "bob");
    house.pass(Duration::from_secs(20));
    let bob = online(&mut house, "bob");
    assert_eq!(house.words(&bob), ["onSession"]);
    house.pass(RING);
    call(&mut house, alice, "carol");
    house.pass(RING);
    let carol = online(&mut house, "carol");
    let record = house.last(&carol, "onOfflineRecord");
    assert_eq!(record["record"]["callerId"], json!("alice"));
    assert_eq!(record["record"]["endReason"], json!(5));
}

#[test]
fn failing_devices_are_told_as_the_sides_see_them() {
    let (mut house, who) = people(&["alice", "bob"]);
    let [alice, bob] = who.as_slice() else {
        panic!()
    };
    let id = call(&mut house, alice, "bob");
    house.say(bob, "hungup", json!({"sessionId": id, "reason": 8}));
    assert_eq!(house.words(alice), ["onHungup bob 18", "onSessionClose 18"]);
    let id = call(&mut house, alice, "bob");
    accept(&mut house, bob, &id);
    house.words(alice);
    house.words(bob);
    house.say(bob, "hungup", json!({"sessionId": id, "reason": 9}));
    assert_eq!(house.words(alice), ["onHungup bob 19", "onSessionClose 19"]);
    assert_eq!(house.words(bob), ["onSessionClose 9"]);
}

#[test]
fn who_is_kicked_or_banned_is_out() {
    let (mut house, who) = people(&["alice", "bob", "carol"]);
    let [alice, bob, carol] = who.as_slice() else {
        panic!()
    };
    let id = call_group(&mut house, alice, &["bob", "carol"]);
    accept(&mut house, bob, &id);
    accept(&mut house, carol, &id);
    for each in [alice, bob, carol] {
        house.words(each);
    }
    let call = crosspoint_calls::ids::CallId::new(&id).unwrap();
    house.admin(AdminCommand::AdminKick {
        call,
        user: user("carol"),
    });
    assert_eq!(house.words(alice), ["onHungup carol 13"]);
    assert_eq!(house.words(carol), ["onSessionClose 3"]);
    house.admin(AdminCommand::Ban {
        user: user("bob"),
        ttl_s: None,
    });
    assert_eq!(house.words(alice), ["onHungup bob 33", "onSessionClose 33"]);
    let heard = house.words(bob);
    assert!(heard.contains(&"kicked".to_owned()), "{heard:?}");
}

#[test]
fn a_client_that_vanishes_ends_its_part_after_the_grace() {
    let (mut house, who) = people(&["alice", "bob"]);
    let [alice, bob] = who.as_slice() else {
        panic!()
    };
    let id = call(&mut house, alice, "bob");
    accept(&mut house, bob, &id);
    house.words(alice);
    house.cut(bob);
    house.pass(Duration::from_secs(29));
    assert_eq!(house.words(alice), [""; 0]);
    house.pass(Duration::from_secs(2));
    assert_eq!(house.words(alice), ["onHungup bob 17", "onSessionClose 17"]);
}
