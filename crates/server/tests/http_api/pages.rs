//! What pages and their authors meet: the description of the API, other origins, headers.

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;

use crate::common::Door;

/// The module's table of routes, the router and the OpenAPI document say the same.
#[tokio::test]
async fn routes_and_their_documents_agree() {
    let door = Door::with(Default::default(), true);
    let document = door.api("GET", "/openapi.json", "", Value::Null).await;
    // A token is not needed for it.
    assert_eq!(document.status, 200);
    let document = document.json();
    let mut described = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    described.sort();

    let mut listed = Vec::new();
    for line in include_str!("../../src/http/mod.rs").lines() {
        let Some(row) = line.strip_prefix("//! | `") else {
            continue;
        };
        let cell = row.split(" | ").next().unwrap();
        for entry in cell.split('`').filter(|entry| entry.contains('/')) {
            let (methods, path) = entry.rsplit_once(' ').unwrap();
            listed.extend(methods.split(' ').map(|method| format!("{method} {path}")));
        }
    }
    listed.retain(|route| !["GET /", "GET /sdk/..."].contains(&route.as_str()));
    listed.sort();
    assert_eq!(described, listed);

    for route in &described {
        let (method, path) = route.split_once(' ').unwrap();
        let reply = door.send(
            Request::builder()
                .method(method)
                .uri(path.replace(['{', '}'], ""))
                .body(Body::empty())
                .unwrap(),
        );
        let status = reply.await.status;
        assert!(![404, 405].contains(&status.as_u16()), "{route}: {status}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_call_and_read_what_they_need() {
    let door = Door::new();
    let preflight = Request::options("/whip/demo")
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        )
        .body(Body::empty())
        .unwrap();
    let reply = door.send(preflight).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    assert!(
        reply
            .header("access-control-allow-methods")
            .contains("PATCH")
    );
    assert!(
        reply
            .header("access-control-allow-headers")
            .contains("authorization")
    );
    assert_eq!(reply.header("accept-post"), "application/sdp");

    let request = Request::get("/v1/rooms")
        .header("origin", "https://app.example.com")
        .body(Body::empty())
        .unwrap();
    let exposed = door.send(request).await;
    let exposed = exposed
        .header("access-control-expose-headers")
        .to_lowercase();
    for name in ["location", "link", "etag"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    assert_eq!(reply.header("access-control-allow-credentials"), "");
}

#[tokio::test]
async fn pages_carry_security_headers_and_entity_tags() {
    let door = Door::new();
    let page = door
        .send(Request::get("/?room=a").body(Body::empty()).unwrap())
        .await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(
        page.header("content-security-policy")
            .contains("default-src")
    );
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    let again = Request::get("/")
        .header("if-none-match", page.header("etag"))
        .body(Body::empty())
        .unwrap();
    assert_eq!(door.send(again).await.status, 304);
    let script = Request::get("/sdk/crosspoint.js")
        .body(Body::empty())
        .unwrap();
    let script = door.send(script).await;
    assert!(script.header("content-type").contains("javascript"));
    assert_eq!(script.header("access-control-allow-origin"), "*");
    for path in [
        "/sdk/../Cargo.toml",
        "/../Cargo.toml",
        "/sdk/%2e%2e/Cargo.toml",
    ] {
        let reply = door
            .send(Request::get(path).body(Body::empty()).unwrap())
            .await;
        assert_eq!(reply.problem().0, 404, "{path}");
    }
}
