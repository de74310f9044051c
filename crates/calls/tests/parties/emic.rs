//! The phonebar: seats that call one another and the world, and their supervisor.

use std::time::Duration;

use crosspoint_calls::dialect::DialectName;
use crosspoint_calls::dialect::emic::number;
use crosspoint_calls::model::GroupKind;
use crosspoint_calls::policy::{LoginPolicy, NumberCipher, RejectPolicy, TenantSettings};
use serde_json::{Value, json};

use super::house::{House, Who};

const SEED: &str = "00112233445566778899aabbccddeeff";

/// Seats with extensions 1001, 1002, ... of one group; the last supervises.
fn seats(count: usize) -> (House, Vec<Who>) {
    let mut house = House::new(TenantSettings {
        open_registration: true,
        reject_policy: RejectPolicy::Rering,
        login_policy: LoginPolicy::Single,
        number_cipher: NumberCipher::Aes128EcbSha1prng { seed: SEED.into() },
        ..TenantSettings::default()
    });
    let names: Vec<_> = (1..=count).map(|n| format!("100{n}")).collect();
    let members: Vec<_> = names.iter().map(String::as_str).collect();
    house.group("2069", GroupKind::Skill, &members);
    for (n, name) in names.iter().enumerate() {
        house.agent(name, name, "2069", n + 1 == count);
    }
    let online = names.iter().map(|name| register(&mut house, name, "web"));
    let online = online.collect();
    (house, online)
}

fn register(house: &mut House, name: &str, device: &str) -> Who {
    let login = json!({"un": name, "pwd": name, "switchnumber": "key", "gid": 2069});
    house.online(DialectName::Emic, name, device, login)
}

fn call(house: &mut House, who: &Who, number: &str) -> String {
    let reply = house.say(who, "call", json!({ "number": number }));
    let id = reply.get("ccNumber").and_then(Value::as_str);
    id.unwrap_or_else(|| panic!("{reply:?}")).to_owned()
}

fn cc(id: &str) -> Value {
    json!({ "ccNumber": id })
}

fn state(house: &mut House, who: &Who) -> Value {
    house.last(who, "seat")["state"].clone()
}

/// Two seats that talk; everything heard until then is forgotten.
fn talking(house: &mut House, from: &Who, to: &Who, number: &str) -> String {
    let id = call(house, from, number);
    assert_eq!(house.say(to, "answerPBXCall", cc(&id))["code"], json!(200));
    house.heard(from);
    house.heard(to);
    id
}

#[test]
fn a_call_between_seats_is_answered_and_hung_up() {
    let (mut house, who) = seats(2);
    let [one, two] = who.as_slice() else { panic!() };
    house.heard(one);
    let id = call(&mut house, one, "1002");
    assert_eq!(house.last(two, "callEvent")["data"]["n"], json!("1001"));
    assert_eq!(house.say(two, "answerPBXCall", cc(&id))["code"], json!(200));
    assert_eq!(house.words(one), ["callinResponse 200", "answeredPBXCall"]);
    assert_eq!(house.words(two), ["answeredPBXCall"]);
    house.pass(Duration::from_secs(42));
    house.say(one, "terminate", cc(&id));
    let end = house.last(one, "callEvent");
    assert_eq!(
        (&end["data"]["r"], &end["data"]["callTime"]),
        (&json!("26"), &json!(42))
    );
    let end = house.last(two, "callEvent");
    assert_eq!(
        (&end["data"]["r"], &end["data"]["callTime"]),
        (&json!("25"), &json!(42))
    );
}

#[test]
fn the_seats_states_follow_the_call() {
    let (mut house, who) = seats(2);
    let [one, two] = who.as_slice() else { panic!() };
    let register = house.last(one, "seat");
    assert_eq!(
        (&register["state"], &register["status"]),
        (&json!(1), &json!(1))
    );
    house.say(one, "changeStaus", json!({"status": 2}));
    assert_eq!(house.last(one, "seat")["status"], json!(2));
    house.say(one, "changeStaus", json!({"status": 1}));
    let id = call(&mut house, one, "1002");
    assert_eq!(state(&mut house, one), json!(3));
    assert_eq!(state(&mut house, two), json!(3));
    house.say(two, "answerPBXCall", cc(&id));
    assert_eq!(state(&mut house, one), json!(4));
    assert_eq!(house.say(one, "hold", cc(&id))["code"], json!(200));
    assert_eq!(state(&mut house, one), json!(5));
    assert_eq!(house.say(one, "unhold", cc(&id))["code"], json!(200));
    assert_eq!(state(&mut house, one), json!(4));
    // Asked for during a call: it holds afterwards.
    house.say(one, "changeStaus", json!({"status": 2}));
    house.say(two, "terminate", cc(&id));
    assert_eq!(state(&mut house, one), json!(2));
    assert_eq!(state(&mut house, two), json!(1));
}

#[test]
fn nobody_answers_inside_and_nobody_is_reached_outside() {
    let (mut house, who) = seats(2);
    let [one, two] = who.as_slice() else { panic!() };
    house.heard(one);
    call(&mut house, one, "1002");
    house.pass(Duration::from_secs(60));
    let heard = house.words(one);
    assert!(
        heard.ends_with(&["callinFaildResponse".into(), "endPBXCall 20".into()]),
        "{heard:?}"
    );
    assert_eq!(house.words(two), ["newPBXCall", "cancelPBXCall"]);
    call(&mut house, one, "18300000136");
    assert_eq!(house.words(one), ["calloutResponse 200", "endPBXCall 20"]);
}

#[test]
fn a_busy_seat_gives_503() {
    let (mut house, who) = seats(3);
    let [one, two, three] = who.as_slice() else {
        panic!()
    };
    talking(&mut house, one, two, "1002");
    house.heard(three);
    house.say(three, "call", json!({"number": "1001"}));
    let heard = house.words(three);
    assert!(
        heard.contains(&"callinResponse 503".to_owned()),
        "{heard:?}"
    );
    assert!(heard.contains(&"endPBXCall 20".to_owned()), "{heard:?}");
}

#[test]
fn a_refused_call_rings_again() {
    let (mut house, who) = seats(2);
    let [one, two] = who.as_slice() else { panic!() };
    let id = call(&mut house, one, "1002");
    house.heard(two);
    house.say(two, "terminate", cc(&id));
    house.pass(Duration::from_secs(2));
    assert_eq!(house.words(two), ["cancelPBXCall", "newPBXCall"]);
}

#[test]
fn an_encrypted_number_rings_and_stays_encrypted() {
    let (mut house, who) = seats(2);
    let [one, two] = who.as_slice() else { panic!() };
    let text = number::encrypt(SEED, "1002");
    house.heard(one);
    let reply = house.say(one, "call", json!({"number": text, "encrypted": true}));
    let id = reply["ccNumber"].as_str().unwrap().to_owned();
    house.say(two, "answerPBXCall", cc(&id));
    for each in house.heard(one) {
        if each["type"] == json!("callEvent") {
            assert_eq!(each["data"]["n"], json!(text));
        }
    }
}

#[test]
fn a_transfer_hands_the_customer_over_or_keeps_the_call() {
    let (mut house, who) = seats(4);
    let [one, two, three, _] = who.as_slice() else {
        panic!()
    };
    let id = talking(&mut house, one, two, "1002");
    house.heard(three);
    let transfer = |number: &str| json!({"gid": 2069, "transNumber": number, "ccNumber": id});
    let reply = house.say(one, "transferPBXCall", transfer("1099"));
    assert_eq!(reply["result"]["type"], json!("transferCallFaield"));
    house.say(one, "transferPBXCall", transfer("1003"));
    assert_eq!(house.words(three), ["newPBXCall"]);
    house.pass(Duration::from_secs(60));
    assert_eq!(house.words(one), ["transferCallFaield"]);
    house.say(one, "transferPBXCall", transfer("1003"));
    house.heard(three);
    house.say(three, "answerPBXCall", cc(&id));
    let heard = house.words(one);
    assert_eq!(heard, ["transferCallSuccess", "endPBXCall 26"]);
    assert_eq!(house.words(three), ["answeredPBXCall"]);
    house.say(two, "terminate", cc(&id));
    assert_eq!(house.words(three), ["endPBXCall 25"]);
}

#[test]
fn a_supervisor_listens_joins_in_leaves_and_ends() {
    let (mut house, who) = seats(3);
    let [one, two, boss] = who.as_slice() else {
        panic!()
    };
    house.heard(boss);
    let id = talking(&mut house, one, two, "1002");
    let notice = house.last(boss, "repCallStatus");
    assert_eq!(notice["data"]["caller"], json!("1001"));
    assert_eq!(notice["data"]["endTime"], json!(""));
    let ask =
        |house: &mut House, who: &Who, verb: &str| house.say(who, verb, cc(&id))["result"].clone();
    // Not listening yet: only the direct end would work; and a plain seat may nothing.
    for verb in [
        "joinFromMonitor",
        "stopCallMonitor",
        "exitJoinMonitor",
        "endCallMonitor",
    ] {
        assert_eq!(ask(&mut house, boss, verb), json!(1), "{verb}");
    }
    assert_eq!(ask(&mut house, one, "startCallMonitor"), json!(1));
    assert_eq!(ask(&mut house, boss, "startCallMonitor"), json!(0));
    assert_eq!(house.last(boss, "monitor")["status"], json!(1));
    // The two who talk notice nothing.
    assert_eq!(house.words(one), [""; 0]);
    assert_eq!(house.words(two), [""; 0]);
    assert_eq!(
        ask(&mut house, boss, "startCallMonitor"),
        json!(1),
        "one at a time"
    );
    assert_eq!(ask(&mut house, boss, "joinFromMonitor"), json!(0));
    assert_eq!(house.last(boss, "monitor")["status"], json!(2));
    assert_eq!(
        ask(&mut house, boss, "stopCallMonitor"),
        json!(1),
        "joined in: another verb leaves"
    );
    assert_eq!(ask(&mut house, boss, "exitJoinMonitor"), json!(0));
    assert_eq!(house.words(boss), ["endPBXCall 26"]);
    assert_eq!(house.words(one), [""; 0], "the call goes on");
    assert_eq!(ask(&mut house, boss, "startCallMonitor"), json!(0));
    assert_eq!(ask(&mut house, boss, "endCallMonitor"), json!(0));
    assert_eq!(house.words(one), ["endPBXCall 26"]);
    let heard = house.words(boss);
    assert!(heard.contains(&"repCallStatus".to_owned()), "{heard:?}");
}

#[test]
fn a_supervisor_ends_a_call_without_listening() {
    let (mut house, who) = seats(3);
    let [one, two, boss] = who.as_slice() else {
        panic!()
    };
    let id = talking(&mut house, one, two, "1002");
    assert_eq!(house.say(two, "terminateCall", cc(&id))["result"], json!(1));
    assert_eq!(
        house.say(boss, "terminateCall", cc(&id))["result"],
        json!(0)
    );
    for each in [one, two] {
        assert_eq!(house.words(each), ["endPBXCall 26"]);
    }
}

#[test]
fn a_second_login_turns_the_first_out() {
    let (mut house, who) = seats(2);
    house.heard(&who[0]);
    register(&mut house, "1001", "other");
    assert_eq!(
        house.last(&who[0], "kickedOffLine")["data"]["r"],
        json!(895)
    );
}

#[test]
fn groups_and_members_are_listed() {
    let (mut house, who) = seats(3);
    let groups = house.say(&who[0], "getGroups", json!({}));
    assert_eq!(
        groups["returnData"],
        json!([{"id": "2069", "eid": "key", "name": "2069"}])
    );
    let members = house.say(
        &who[0],
        "searchEpMembers",
        json!({"searchGid": 2069, "length": 2}),
    );
    assert_eq!(members["returnData"]["recordsTotal"], json!(3));
    let first = &members["returnData"]["data"][0];
    assert_eq!(
        (&first["displayName"], &first["kefuStatus"]),
        (&json!("1001"), &json!(1))
    );
}

#[test]
fn tones_arrive_one_by_one() {
    let (mut house, who) = seats(2);
    let [one, two] = who.as_slice() else { panic!() };
    talking(&mut house, one, two, "1002");
    for tone in ["1", "1", "0", "#"] {
        assert_eq!(
            house.say(one, "sendDTMF", json!({ "tone": tone }))["code"],
            json!(200)
        );
    }
    assert_eq!(
        house.say(one, "sendDTMF", json!({"tone": "110#"}))["code"],
        json!(50001)
    );
}
