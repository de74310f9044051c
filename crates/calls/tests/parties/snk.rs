//! The agent SDK: customers of a queue, agents who take, switch and share their calls.

use std::time::Duration;

use crosspoint_calls::dialect::DialectName;
use crosspoint_calls::model::GroupKind;
use crosspoint_calls::policy::{RejectPolicy, TenantSettings};
use serde_json::{Value, json};

use super::house::{House, Who};

/// A queue with these agents, and a customer in it; the first agent's call.
fn queue(agents: &[&str]) -> (House, Vec<Who>, Who, String) {
    let mut house = House::new(TenantSettings {
        open_registration: true,
        reject_policy: RejectPolicy::Overflow,
        ..TenantSettings::default()
    });
    house.group("review", GroupKind::Skill, agents);
    let mut seats = Vec::new();
    for (n, agent) in agents.iter().enumerate() {
        house.agent(agent, &format!("80{n}"), "review", false);
        let login = json!({"systemCode": "key", "account": agent});
        let seat = house.online(DialectName::Snk, agent, "web", login);
        seats.push(seat);
        house.pass(Duration::from_secs(1));
    }
    let customer = house.online(DialectName::Native, "customer", "phone", json!({}));
    let id = calls(&mut house, &customer);
    (house, seats, customer, id)
}

fn calls(house: &mut House, customer: &Who) -> String {
    let words = json!({"kind": "queue", "target": {"type": "queue", "group": "review"}});
    let reply = house.say(customer, "createCall", words);
    let id = reply["data"]["call"]["id"].as_str();
    id.unwrap_or_else(|| panic!("{reply:?}")).to_owned()
}

fn sid(id: &str) -> Value {
    json!({ "sid": id })
}

fn newer(id: &str, newer: &str) -> Value {
    json!({ "sid": id, "newer": newer })
}

fn state(house: &mut House, who: &Who) -> String {
    let frame = house.last(who, "STATE_CHANGE");
    frame["data"]["state"].as_str().unwrap().to_owned()
}

/// A queue whose first agent has answered.
fn talking(agents: &[&str]) -> (House, Vec<Who>, Who, String) {
    let (mut house, seats, customer, id) = queue(agents);
    assert_eq!(house.words(&seats[0]), ["INCOMING_CALL 50200"]);
    assert_eq!(house.say(&seats[0], "answer", sid(&id))["code"], json!(0));
    (house, seats, customer, id)
}

#[test]
fn an_agent_answers_and_the_customer_hangs_up() {
    let (mut house, seats, customer, id) = talking(&["anna"]);
    assert_eq!(state(&mut house, &seats[0]), "busy");
    house.say(&customer, "hangUp", json!({}));
    assert_eq!(
        state_and_words(&mut house, &seats[0]),
        (vec!["INCOMING_CALL_HANGUP 30017".into()], "ready".into())
    );
    assert_eq!(
        house.say(&seats[0], "hangUp", sid(&id))["code"],
        json!(100025)
    );
}

fn state_and_words(house: &mut House, who: &Who) -> (Vec<String>, String) {
    let heard = house.heard(who);
    let state = heard
        .iter()
        .rfind(|each| each["type"] == json!("STATE_CHANGE"));
    let state = state.map_or("", |each| each["data"]["state"].as_str().unwrap());
    let words = heard
        .iter()
        .filter(|each| each.contains_key("data"))
        .filter(|each| each["type"] != json!("STATE_CHANGE") && each["type"] != json!("rtcRoom"))
        .map(|each| {
            format!(
                "{} {}",
                each["type"].as_str().unwrap(),
                each["data"]["msgType"]
            )
        })
        .collect();
    (words, state.to_owned())
}

#[test]
fn an_agent_hangs_up_the_whole_session() {
    let (mut house, seats, customer, id) = talking(&["anna"]);
    house.heard(&customer);
    assert_eq!(house.say(&seats[0], "hangUp", sid(&id))["code"], json!(0));
    assert_eq!(
        house.last(&customer, "callEnded")["reason"],
        json!("hang_up")
    );
    assert_eq!(
        state_and_words(&mut house, &seats[0]),
        (vec!["INCOMING_CALL_HANGUP 30025".into()], "ready".into())
    );
}

#[test]
fn guards_of_states_are_strict() {
    let (mut house, seats, customer, id) = queue(&["anna"]);
    let anna = &seats[0];
    assert_eq!(state(&mut house, anna), "wait");
    assert_eq!(house.say(anna, "hangUp", sid(&id))["code"], json!(500001));
    assert_eq!(house.say(anna, "rest", json!({}))["code"], json!(500001));
    house.say(anna, "answer", sid(&id));
    assert_eq!(house.say(anna, "refuse", sid(&id))["code"], json!(500001));
    assert_eq!(house.say(anna, "rest", json!({}))["code"], json!(500001));
    house.say(&customer, "hangUp", json!({}));
    house.heard(anna);
    assert_eq!(house.say(anna, "rest", json!({}))["code"], json!(0));
    assert_eq!(state(&mut house, anna), "leave");
    assert_eq!(house.say(anna, "rest", json!({}))["code"], json!(500001));
    assert_eq!(house.say(anna, "back", json!({}))["code"], json!(0));
    assert_eq!(state(&mut house, anna), "ready");
    assert_eq!(house.say(anna, "back", json!({}))["code"], json!(500001));
    assert_eq!(
        house.say(anna, "answer", sid("gone"))["code"],
        json!(100025)
    );
}

#[test]
fn a_refused_call_goes_to_the_next_agent() {
    let (mut house, seats, _, id) = queue(&["anna", "ben"]);
    let [anna, ben] = seats.as_slice() else {
        panic!()
    };
    assert_eq!(house.say(anna, "refuse", sid(&id))["code"], json!(0));
    assert_eq!(state(&mut house, anna), "ready");
    assert_eq!(house.words(ben), ["INCOMING_CALL 50200"]);
}

#[test]
fn a_call_that_nobody_answers_leaves_the_agent() {
    let (mut house, seats, _, _) = queue(&["anna", "ben"]);
    house.pass(Duration::from_secs(60));
    let (words, state) = state_and_words(&mut house, &seats[0]);
    assert_eq!(words, ["INCOMING_CALL 50200", "INCOMING_CALL_HANGUP 30000"]);
    assert_eq!(state, "ready");
}

#[test]
fn a_customer_who_gives_up_or_is_lost_is_told_apart() {
    let (mut house, seats, customer, _) = queue(&["anna"]);
    house.say(&customer, "hangUp", json!({}));
    assert_eq!(
        house.words(&seats[0]),
        ["INCOMING_CALL 50200", "INCOMING_CALL_HANGUP 30017"]
    );
    let (mut house, seats, customer, _) = talking(&["anna"]);
    house.words(&seats[0]);
    house.cut(&customer);
    house.pass(Duration::from_secs(31));
    assert_eq!(house.words(&seats[0]), ["INCOMING_CALL_HANGUP 30019"]);
}

#[test]
fn a_switch_moves_the_customer_to_the_new_agent() {
    let (mut house, seats, customer, id) = talking(&["anna", "ben"]);
    let [anna, ben] = seats.as_slice() else {
        panic!()
    };
    house.heard(anna);
    house.heard(ben);
    assert_eq!(
        house.say(anna, "askChangePerson", newer(&id, "anna"))["code"],
        json!(400002)
    );
    assert_eq!(
        house.say(anna, "askChangePerson", newer(&id, "ben"))["code"],
        json!(0)
    );
    assert_eq!(
        state_and_words(&mut house, ben),
        (vec!["EXCHANGE_CALL 20100".into()], "wait".into())
    );
    assert_eq!(
        house.say(anna, "askChangePerson", newer(&id, "ben"))["code"],
        json!(400003)
    );
    assert_eq!(
        house.say(anna, "askAddPerson", newer(&id, "ben"))["code"],
        json!(400003)
    );
    let reply = house.say(ben, "acceptChangePerson", sid(&id));
    assert_eq!(reply["code"], json!(0));
    assert!(reply["rtc"]["room"].is_string());
    assert_eq!(reply["events"][0]["type"], json!("EXCHANGE_CALL"));
    assert_eq!(reply["events"][0]["data"]["msgType"], json!(50201));
    assert_eq!(state(&mut house, ben), "busy");
    assert_eq!(
        state_and_words(&mut house, anna),
        (vec!["EXCHANGE_CALL 20101".into()], "ready".into())
    );
    // The customer's call has not ended.
    let heard = house.heard(&customer);
    assert!(!heard.iter().any(|each| each["type"] == json!("callEnded")));
    assert_eq!(house.say(ben, "hangUp", sid(&id))["code"], json!(0));
}

#[test]
fn a_switch_is_refused_withdrawn_or_not_answered() {
    let (mut house, seats, _, id) = talking(&["anna", "ben"]);
    let [anna, ben] = seats.as_slice() else {
        panic!()
    };
    house.say(anna, "askChangePerson", newer(&id, "ben"));
    house.heard(ben);
    assert_eq!(
        house.say(ben, "refuseChangePerson", sid(&id))["code"],
        json!(0)
    );
    assert_eq!(house.words(anna), ["EXCHANGE_CALL 20102"]);
    assert_eq!(state(&mut house, ben), "ready");

    house.say(anna, "askChangePerson", newer(&id, "ben"));
    assert_eq!(
        house.say(anna, "cancelChangePerson", newer(&id, "ben"))["code"],
        json!(0)
    );
    assert_eq!(
        house.words(ben),
        ["EXCHANGE_CALL 20100", "EXCHANGE_CALL 20103"]
    );
    assert_eq!(
        house.say(ben, "acceptChangePerson", sid(&id))["code"],
        json!(400006)
    );

    house.say(anna, "askChangePerson", newer(&id, "ben"));
    house.pass(Duration::from_secs(30));
    assert_eq!(
        house.last(anna, "EXCHANGE_CALL")["data"]["msg"],
        json!("timeout")
    );
    assert_eq!(
        house.words(ben),
        ["EXCHANGE_CALL 20100", "EXCHANGE_CALL 20103"]
    );
}

#[test]
fn colleagues_who_cannot_be_asked_are_named_by_their_code() {
    let (mut house, seats, _, id) = talking(&["anna", "ben"]);
    let [anna, ben] = seats.as_slice() else {
        panic!()
    };
    house.say(ben, "rest", json!({}));
    assert_eq!(
        house.say(anna, "askChangePerson", newer(&id, "ben"))["code"],
        json!(300003)
    );
    assert_eq!(
        house.say(anna, "askAddPerson", newer(&id, "nobody"))["code"],
        json!(300001)
    );
    assert_eq!(
        house.say(anna, "askAddPerson", newer("gone", "ben"))["code"],
        json!(100025)
    );
}

#[test]
fn a_third_party_joins_is_removed_and_quits() {
    let (mut house, seats, customer, id) = talking(&["anna", "ben"]);
    let [anna, ben] = seats.as_slice() else {
        panic!()
    };
    house.heard(anna);
    house.heard(ben);
    assert_eq!(
        house.say(anna, "askAddPerson", newer(&id, "ben"))["code"],
        json!(0)
    );
    assert_eq!(
        state_and_words(&mut house, ben),
        (vec!["ADD_CALL 20200".into()], "wait".into())
    );
    assert_eq!(
        house.say(ben, "acceptAddPerson", sid(&id))["code"],
        json!(0)
    );
    assert_eq!(
        state_and_words(&mut house, ben),
        (vec!["ADD_CALL 50202".into()], "busy".into())
    );
    assert_eq!(house.words(anna), ["ADD_CALL 20201", "ADD_CALL 50202"]);
    // Only who asked owns the third party, and the call is not switched meanwhile.
    assert_eq!(
        house.say(ben, "removeAddPerson", newer(&id, "ben"))["code"],
        json!(500001)
    );
    assert_eq!(
        house.say(anna, "askChangePerson", newer(&id, "ben"))["code"],
        json!(400001)
    );
    assert_eq!(
        house.say(anna, "removeAddPerson", newer(&id, "ben"))["code"],
        json!(0)
    );
    assert_eq!(
        state_and_words(&mut house, ben),
        (vec!["ADD_CALL 20203".into()], "ready".into())
    );

    house.say(anna, "askAddPerson", newer(&id, "ben"));
    house.say(ben, "acceptAddPerson", sid(&id));
    house.heard(anna);
    house.heard(ben);
    assert_eq!(house.say(ben, "quitAddPerson", sid(&id))["code"], json!(0));
    assert_eq!(house.words(anna), ["ADD_CALL 20203"]);
    assert_eq!(state(&mut house, ben), "ready");

    // The customer's hanging up ends it for all.
    house.say(anna, "askAddPerson", newer(&id, "ben"));
    house.say(ben, "acceptAddPerson", sid(&id));
    house.heard(anna);
    house.heard(ben);
    house.say(&customer, "hangUp", json!({}));
    for each in [anna, ben] {
        let (words, state) = state_and_words(&mut house, each);
        assert!(
            words.contains(&"INCOMING_CALL_HANGUP 30017".to_owned()),
            "{words:?}"
        );
        assert_eq!(state, "ready");
    }
}

#[test]
fn a_third_party_refuses_or_is_uninvited() {
    let (mut house, seats, _, id) = talking(&["anna", "ben"]);
    let [anna, ben] = seats.as_slice() else {
        panic!()
    };
    house.heard(anna);
    house.say(anna, "askAddPerson", newer(&id, "ben"));
    house.heard(ben);
    house.say(ben, "refuseAddPerson", sid(&id));
    assert_eq!(house.words(anna), ["ADD_CALL 20202"]);
    house.say(anna, "askAddPerson", newer(&id, "ben"));
    assert_eq!(
        house.say(anna, "cancelAddPerson", newer(&id, "ben"))["code"],
        json!(0)
    );
    assert_eq!(house.words(ben), ["ADD_CALL 20200", "ADD_CALL 20204"]);
}

#[test]
fn a_reloaded_page_recovers_its_call() {
    let (mut house, seats, _, id) = talking(&["anna"]);
    house.cut(&seats[0]);
    house.pass(Duration::from_secs(5));
    let login = json!({"systemCode": "key", "account": "anna"});
    let anna = house.online(DialectName::Snk, "anna", "web", login);
    let recovery = house.last(&anna, "RECOVERY_CALL");
    assert_eq!(recovery["data"]["sid"], json!(id));
    assert!(recovery["data"]["rtc"]["room"].is_string());
    assert_eq!(house.say(&anna, "hangUp", sid(&id))["code"], json!(0));
}
