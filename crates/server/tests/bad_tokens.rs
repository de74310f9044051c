//! Every bad token is refused at every front door, and nothing is done.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{Door, KEY, SECRET, now, sign, token};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite;

/// Good claims for everything about the room `demo`.
fn claims() -> Value {
    json!({
        "iss": KEY, "sub": "eve", "exp": now() + 600, "nbf": now(),
        "video": {
            "roomJoin": true, "roomAdmin": true, "roomCreate": true, "roomList": true,
            "room": "demo",
        },
    })
}

/// Good claims but for one.
fn with(name: &str, value: Value) -> String {
    let mut claims = claims();
    claims[name] = value;
    sign(&claims)
}

fn with_video(name: &str, value: Value) -> String {
    let mut claims = claims();
    claims["video"][name] = value;
    sign(&claims)
}

fn without(name: &str) -> String {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    sign(&claims)
}

fn b64(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// Another header before good claims, signed with the right secret all the same.
fn with_header(header: &str) -> String {
    let signed = format!("{}.{}", b64(header), b64(&claims().to_string()));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{signed}.{signature}")
}

fn signed_with(algorithm: Algorithm, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), &claims(), &key).unwrap()
}

/// The payload as it is, signed with the right secret.
fn with_payload(payload: &str) -> String {
    let signed = format!("{}.{}", b64(r#"{"alg":"HS256","typ":"JWT"}"#), b64(payload));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{signed}.{signature}")
}

fn bad_tokens() -> Vec<(&'static str, String)> {
    let good = sign(&claims());
    let (head, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = head.split_once('.').unwrap();
    let unsigned_header = b64(r#"{"alg":"none","typ":"JWT"}"#);
    let others_payload = b64(&claims().to_string().replace("eve", "bob"));
    vec![
        // Not a JWT.
        ("empty", String::new()),
        ("a word", "nonsense".to_owned()),
        ("one part", header.to_owned()),
        ("two parts", head.to_owned()),
        ("four parts", format!("{good}.x")),
        ("dots only", "..".to_owned()),
        ("header is not base64", format!("%%%.{payload}.{signature}")),
        (
            "header is not JSON",
            format!("{}.{payload}.{signature}", b64("hi")),
        ),
        ("payload is not JSON", with_payload("hi")),
        ("payload is a list", with_payload("[]")),
        ("payload is null", with_payload("null")),
        ("payload is cut off", with_payload("{\"iss\":\"testkey\"")),
        ("too long", format!("{good}{}", "A".repeat(9_000))),
        // Signature.
        (
            "alg none, no signature",
            format!("{unsigned_header}.{payload}."),
        ),
        (
            "alg none, old signature",
            format!("{unsigned_header}.{payload}.{signature}"),
        ),
        ("alg None", with_header(r#"{"alg":"None","typ":"JWT"}"#)),
        ("alg missing", with_header(r#"{"typ":"JWT"}"#)),
        ("alg null", with_header(r#"{"alg":null}"#)),
        ("alg RS256 over an HMAC", with_header(r#"{"alg":"RS256"}"#)),
        ("alg in lower case", with_header(r#"{"alg":"hs256"}"#)),
        (
            "critical extension",
            with_header(r#"{"alg":"HS256","crit":["b64"],"b64":false}"#),
        ),
        ("HS384", signed_with(Algorithm::HS384, SECRET)),
        ("HS512", signed_with(Algorithm::HS512, SECRET)),
        (
            "another secret",
            signed_with(Algorithm::HS256, "another secret"),
        ),
        (
            "the key's name as secret",
            signed_with(Algorithm::HS256, KEY),
        ),
        ("empty secret", signed_with(Algorithm::HS256, "")),
        ("no signature", format!("{head}.")),
        ("signature cut off", good[..good.len() - 2].to_owned()),
        (
            "other payload, same signature",
            format!("{header}.{others_payload}.{signature}"),
        ),
        // Key.
        ("no iss", without("iss")),
        ("unknown iss", with("iss", json!("otherkey"))),
        ("iss is a number", with("iss", json!(1))),
        ("iss is a list", with("iss", json!([KEY]))),
        ("empty iss", with("iss", json!(""))),
        // Times.
        ("no exp", without("exp")),
        ("expired", with("exp", json!(now() - 60))),
        ("expired in 1970", with("exp", json!(0))),
        ("exp is text", with("exp", json!((now() + 600).to_string()))),
        ("exp is null", with("exp", Value::Null)),
        ("exp is true", with("exp", json!(true))),
        ("exp is negative", with("exp", json!(-1))),
        ("exp is a fraction", with("exp", json!(1e300))),
        ("exp is a list", with("exp", json!([now() + 600]))),
        ("not valid yet", with("nbf", json!(now() + 600))),
        ("nbf is text", with("nbf", json!("0"))),
        // Other claims.
        ("sub is a number", with("sub", json!(7))),
        ("sub has a control character", with("sub", json!("e\nve"))),
        ("sub is too long", with("sub", json!("x".repeat(129)))),
        ("name is an object", with("name", json!({}))),
        ("metadata is a number", with("metadata", json!(1))),
        (
            "attributes are numbers",
            with("attributes", json!({"a": 1})),
        ),
        (
            "iss twice",
            with_payload(&claims().to_string().replacen('{', "{\"iss\":\"x\",", 1)),
        ),
        // Grants.
        ("no video", without("video")),
        ("video is null", with("video", Value::Null)),
        ("video is text", with("video", json!("all"))),
        ("video is empty", with("video", json!({}))),
        ("roomJoin is text", with_video("roomJoin", json!("true"))),
        ("roomAdmin is 1", with_video("roomAdmin", json!(1))),
        ("canPublish is text", with_video("canPublish", json!("yes"))),
        ("room is a list", with_video("room", json!(["demo"]))),
        (
            "source is unknown",
            with_video("canPublishSources", json!(["windows"])),
        ),
        ("wrong room", {
            token(
                Some("eve"),
                json!({"roomJoin": true, "roomAdmin": true, "room": "elsewhere"}),
            )
        }),
        ("room in another case", {
            token(
                Some("eve"),
                json!({"roomJoin": true, "roomAdmin": true, "room": "Demo"}),
            )
        }),
        (
            "no room",
            token(Some("eve"), json!({"roomJoin": true, "roomAdmin": true})),
        ),
        (
            "room but no grant",
            token(Some("eve"), json!({"room": "demo"})),
        ),
        ("grants taken back", {
            token(
                Some("eve"),
                json!({"roomJoin": false, "roomAdmin": false, "room": "demo"}),
            )
        }),
    ]
}

/// A WebSocket's room is the token's, so a token for another room is none of its bad ones.
fn is_about_the_room(name: &str) -> bool {
    ["wrong room", "room in another case"].contains(&name)
}

#[test]
fn there_are_at_least_forty() {
    assert!(bad_tokens().len() >= 40);
}

#[tokio::test]
async fn the_claims_are_good_but_for_the_fault() {
    let door = Door::new();
    let reply = door
        .api("GET", "/v1/rooms/demo", &sign(&claims()), Value::Null)
        .await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn http_refuses_bad_tokens() {
    let door = Door::new();
    let calls = [
        ("GET", "/v1/rooms/demo", Value::Null),
        ("PATCH", "/v1/rooms/demo", json!({"metadata": "x"})),
        ("GET", "/v1/rooms/demo/participants", Value::Null),
        ("DELETE", "/v1/rooms/demo/participants/bob", Value::Null),
        ("POST", "/v1/rooms/demo/messages", json!({"text": "x"})),
        (
            "POST",
            "/v1/rooms/demo/participants/bob/move",
            json!({"to": "x"}),
        ),
    ];
    for (name, token) in bad_tokens() {
        for (method, path, body) in &calls {
            let reply = door.api(method, path, &token, body.clone()).await;
            let status = reply.problem().0;
            assert!(
                [401, 403].contains(&status),
                "{name}: {method} {path}: {status}"
            );
            assert_eq!(
                status == 401,
                reply.headers.contains_key("www-authenticate")
            );
        }
    }
    assert_eq!(door.control.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn whip_and_whep_refuse_bad_tokens() {
    let door = Door::new();
    for (name, token) in bad_tokens() {
        for (method, path) in [
            ("POST", "/whip/demo"),
            ("POST", "/whep/demo"),
            ("PATCH", "/whip/demo/0123456789abcdefghijkl"),
            ("DELETE", "/whep/demo/0123456789abcdefghijkl"),
        ] {
            let media_type = match method {
                "PATCH" => "application/trickle-ice-sdpfrag",
                _ => "application/sdp",
            };
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("content-type", media_type)
                .header("if-match", "*")
                .header("authorization", format!("Bearer {token}"))
                .body(Body::from("v=0\r\n"))
                .unwrap();
            let status = door.send(request).await.problem().0;
            assert!(
                [401, 403].contains(&status),
                "{name}: {method} {path}: {status}"
            );
        }
    }
    assert_eq!(door.control.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn server_sent_events_refuse_bad_tokens() {
    let door = Door::new();
    for (name, token) in bad_tokens() {
        // In the header, and in the query as browsers must.
        let in_header = Request::builder()
            .uri("/v1/events?room=demo")
            .header("authorization", format!("Bearer {token}"));
        let uri = format!(
            "/v1/events?room=demo&access_token={}",
            token.replace('%', "")
        );
        for request in [in_header, Request::builder().uri(uri)] {
            let reply = door.send(request.body(Body::empty()).unwrap()).await;
            let status = reply.problem().0;
            assert!([401, 403].contains(&status), "{name}: {status}");
        }
    }
    assert_eq!(door.control.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn websockets_refuse_bad_tokens() {
    let door = Door::new();
    let address = door.listen().await;
    for (name, token) in bad_tokens() {
        if is_about_the_room(name) {
            continue;
        }
        let url = format!(
            "ws://{address}/v1/signal?access_token={}",
            token.replace('%', "")
        );
        let refused = tokio_tungstenite::connect_async(url).await.unwrap_err();
        let tungstenite::Error::Http(response) = refused else {
            panic!("{name}: {refused}");
        };
        let status = response.status().as_u16();
        assert!([401, 403].contains(&status), "{name}: {status}");
    }
    assert_eq!(door.control.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn a_missing_or_ambiguous_token_is_refused() {
    let door = Door::new();
    let good = sign(&claims());
    let request = || Request::builder().uri("/v1/rooms");
    let bearer = format!("Bearer {good}");
    let requests = [
        request(),
        request().header("authorization", "Basic dXNlcjpwYXNz"),
        request().header("authorization", good.as_str()),
        request().header("authorization", "Bearer"),
        request()
            .header("authorization", &bearer)
            .header("authorization", &bearer),
        Request::builder()
            .uri(format!("/v1/rooms?access_token={good}"))
            .header("authorization", &bearer),
        Request::builder().uri(format!("/v1/rooms?access_token={good}&access_token={good}")),
    ];
    for request in requests {
        let reply = door.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.problem().0, 401);
    }
    assert_eq!(door.control.calls(), Vec::<String>::new());
}
