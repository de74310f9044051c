//! Keys, tokens and grants. Bad tokens have a table of their own, at the front doors.

use std::collections::BTreeMap;
use std::time::Duration;

use crosspoint_control::model::RoomName;
use crosspoint_media::config::TrackSource;

use super::*;

fn keys() -> Keys {
    Keys::parse("first: a-secret-of-the-tests-that-is-long-enough, second: short").unwrap()
}

fn request() -> TokenRequest {
    TokenRequest {
        room: "demo".to_owned(),
        identity: Some("alice".to_owned()),
        name: Some("Alice".to_owned()),
        metadata: None,
        attributes: BTreeMap::new(),
        ttl: Duration::from_secs(60),
        grants: Vec::new(),
    }
}

fn minted(grants: &[&str]) -> Grant {
    let grants = grants.iter().map(|grant| grant.parse().unwrap()).collect();
    let token = TokenRequest {
        grants,
        ..request()
    }
    .sign(&keys())
    .unwrap();
    keys().verify(&token).unwrap()
}

fn room(name: &str) -> RoomName {
    RoomName::new(name).unwrap()
}

#[test]
fn keys_are_read_with_commas_and_line_breaks() {
    let keys = Keys::parse(" a: b:c ,\n d:e\n").unwrap();
    assert_eq!(keys.secret("a").unwrap().reveal(), "b:c");
    assert_eq!(keys.secret("d").unwrap().reveal(), "e");
    assert!(Keys::parse(" ,\n").unwrap().is_empty());
}

#[test]
fn keys_out_of_form_are_refused_by_their_place() {
    assert_eq!(Keys::parse("a: b, c").unwrap_err(), InvalidKeys::Entry(2));
    assert_eq!(Keys::parse(": b").unwrap_err(), InvalidKeys::Entry(1));
    assert_eq!(Keys::parse("a: ").unwrap_err(), InvalidKeys::Entry(1));
    assert_eq!(
        Keys::parse("a: b, a: c").unwrap_err(),
        InvalidKeys::Repeated(2)
    );
}

#[test]
fn secrets_are_not_printed() {
    let printed = format!("{:?} {:?}", keys(), keys().secret("second"));
    assert!(
        printed.contains("second") && !printed.contains("short"),
        "{printed}"
    );
}

#[test]
fn short_secrets_are_named() {
    assert_eq!(keys().weak().collect::<Vec<_>>(), ["second"]);
}

#[test]
fn a_minted_token_joins_its_room_only() {
    let grant = minted(&[]);
    assert_eq!(grant.issuer(), "first");
    assert_eq!(grant.identity().unwrap().as_str(), "alice");
    assert_eq!(grant.profile().0, "Alice");
    assert_eq!(grant.require_join(&room("demo")), Ok(()));
    assert_eq!(grant.require_join(&room("other")), Err(Denied::Room));
    assert_eq!(
        grant.require_admin(&room("demo")),
        Err(Denied::Grant("roomAdmin"))
    );
    assert_eq!(grant.require_create(), Err(Denied::Grant("roomCreate")));
    assert_eq!(grant.permissions(), Default::default());
}

#[test]
fn grants_can_be_given_by_name() {
    let grant = minted(&[
        "roomAdmin=true",
        "canPublish=false",
        "hidden=true",
        "canPublishSources=camera,screen_share",
        "canUpdateOwnMetadata=true",
        "destinationRoom=b",
    ]);
    let permissions = grant.permissions();
    assert!(!permissions.can_publish && permissions.hidden);
    assert!(permissions.can_update_own_metadata);
    assert!(!permissions.can_publish_data, "it follows canPublish");
    assert_eq!(
        permissions.can_publish_sources,
        [TrackSource::Camera, TrackSource::ScreenShare]
    );
    assert_eq!(grant.require_transfer(&room("demo"), &room("b")), Ok(()));
    let elsewhere = grant.require_transfer(&room("demo"), &room("c"));
    assert_eq!(elsewhere, Err(Denied::Destination));
}

#[test]
fn grants_out_of_form_are_refused() {
    let wrong = |text: &str| text.parse::<GrantOption>().unwrap_err().to_string();
    assert!(wrong("canPublish").contains("NAME=VALUE"));
    assert!(wrong("canpublish=true").contains("did you mean \"canPublish\""));
    assert!(wrong("canPublish=yes").contains("true or false"));
    assert!(wrong("canPublishSources=cam").contains("camera"));
}

#[test]
fn an_empty_identity_is_none() {
    let token = TokenRequest {
        identity: Some(String::new()),
        ..request()
    };
    let grant = keys().verify(&token.sign(&keys()).unwrap()).unwrap();
    assert_eq!(grant.identity(), None);
}

#[test]
fn clocks_may_differ_a_little() {
    let sign = |exp: u64, nbf: u64| {
        let claims = Claims {
            iss: "first".to_owned(),
            exp,
            nbf: Some(nbf),
            ..Claims::default()
        };
        keys().secret("first").unwrap().sign(&claims).unwrap()
    };
    let now = jsonwebtoken::get_current_timestamp();
    assert!(keys().verify(&sign(now + 60, now + 5)).is_ok());
    assert!(keys().verify(&sign(now - 5, now - 60)).is_ok());
    let late = keys().verify(&sign(now - 30, 0)).err();
    assert_eq!(late, Some(TokenProblem::Expired));
    let early = keys().verify(&sign(now + 60, now + 30)).err();
    assert_eq!(early, Some(TokenProblem::NotYetValid));
}
