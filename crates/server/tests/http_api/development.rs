//! `POST /v1/dev/token`.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use crosspoint_control::model::RoomName;

use crate::common::Door;

fn ask(peer: &str, host: &str, origin: Option<&str>, kind: &str) -> Request<Body> {
    let mut request = Request::post("/v1/dev/token")
        .header("host", host)
        .header("content-type", kind);
    if let Some(origin) = origin {
        request = request.header("origin", origin);
    }
    let peer: SocketAddr = peer.parse().unwrap();
    request
        .extension(ConnectInfo(peer))
        .body(Body::from(r#"{"room":"demo","identity":"me","name":"Me"}"#))
        .unwrap()
}

const JSON: &str = "application/json";
const HERE: &str = "127.0.0.1:5000";

#[tokio::test]
async fn a_page_of_this_machine_gets_a_token_that_joins() {
    let door = Door::with(Default::default(), true);
    for (peer, host, origin) in [
        (HERE, "localhost:7880", Some("http://localhost:7880")),
        (HERE, "127.0.0.1:7880", Some("http://127.0.0.1:7880")),
        ("[::1]:5000", "[::1]:7880", Some("http://[::1]:7880")),
        ("[::ffff:127.0.0.1]:5000", "localhost:7880", None),
    ] {
        let reply = door.send(ask(peer, host, origin, JSON)).await;
        assert_eq!(reply.status, 200, "{host}: {}", reply.body);
        assert!(!reply.headers.contains_key("access-control-allow-origin"));
        let token = reply.json()["token"].as_str().unwrap().to_owned();
        let grant = door.app.keys.verify(&token).unwrap();
        grant.require_join(&RoomName::new("demo").unwrap()).unwrap();
        assert_eq!(grant.identity().unwrap().as_str(), "me");
        assert!(grant.require_list().is_err());
    }
}

#[tokio::test]
async fn nobody_else_does() {
    let door = Door::with(Default::default(), true);
    for (name, peer, host, origin, kind) in [
        (
            "another machine",
            "192.0.2.1:5",
            "localhost:7880",
            None,
            JSON,
        ),
        (
            "a rebound name",
            HERE,
            "evil.example:7880",
            Some("http://evil.example:7880"),
            JSON,
        ),
        (
            "another page",
            HERE,
            "localhost:7880",
            Some("https://evil.example"),
            JSON,
        ),
        (
            "another port's page",
            HERE,
            "localhost:7880",
            Some("http://localhost:8000"),
            JSON,
        ),
        (
            "a sandboxed page",
            HERE,
            "localhost:7880",
            Some("null"),
            JSON,
        ),
        (
            "a name that begins so",
            HERE,
            "localhost.evil.example",
            None,
            JSON,
        ),
        ("a form", HERE, "localhost:7880", None, "text/plain"),
    ] {
        let reply = door.send(ask(peer, host, origin, kind)).await;
        let (status, _) = reply.problem();
        assert!([403, 415].contains(&status), "{name}: {status}");
    }
}

#[tokio::test]
async fn with_keys_there_is_no_such_route() {
    let door = Door::new();
    let reply = door.send(ask(HERE, "localhost:7880", None, JSON)).await;
    assert_eq!(reply.problem().0, 404);
}
