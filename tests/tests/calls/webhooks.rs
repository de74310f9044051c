//! What application servers are told of calls: each tenant's own, the operator's of all.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use crosspoint_tests::server::TestServer;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{LOOPBACK, contact_centre, refused_call};

/// What acme's application server shares with the server.
const SECRET: &str = "only acme and its application server know this";

/// An application server.
struct Ear {
    url: String,
    told: mpsc::UnboundedReceiver<(HeaderMap, Value)>,
}

impl Ear {
    /// Answers the first post with `first`, and then with success.
    async fn open(first: StatusCode) -> Result<Self> {
        let (heard, told) = mpsc::unbounded_channel();
        let first = Arc::new(Mutex::new(Some(first)));
        let hear = post(|headers: HeaderMap, body: String| async move {
            let event = serde_json::from_str(&body).unwrap_or_default();
            // The test may be over.
            let _ = heard.send((headers, event));
            let first = first.lock().ok().and_then(|mut first| first.take());
            first.unwrap_or(StatusCode::OK)
        });
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}/calls", listener.local_addr()?);
        let router = axum::Router::new().route("/calls", hear);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, told })
    }

    async fn next(&mut self) -> Result<(HeaderMap, Value)> {
        let next = tokio::time::timeout(Duration::from_secs(20), self.told.recv());
        next.await.context("nothing is told")?.context("closed")
    }

    /// Hears that this call, and no other, was begun and refused.
    async fn hears_of(&mut self, tenant: &str, call: &str) -> Result<HeaderMap> {
        let mut last = HeaderMap::new();
        for expected in ["call_invited", "call_ended"] {
            let (headers, event) = self.next().await?;
            ensure!(event["event"] == expected, "{event}");
            let about = &event["call"];
            ensure!(about["id"] == call && about["tenant"] == tenant, "{event}");
            last = headers;
        }
        Ok(last)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_hears_of_its_own_calls_only_and_after_a_restart_as_well() -> Result<()> {
    let mut everyone = Ear::open(StatusCode::OK).await?;
    let mut acme = Ear::open(StatusCode::OK).await?;
    let mut shop = Ear::open(StatusCode::SERVICE_UNAVAILABLE).await?;
    let server = TestServer::start_with(1, LOOPBACK, |config| {
        config.webhooks.urls = vec![everyone.url.clone()];
        config.webhooks.allow_private = true;
    });
    let server = server.await?;
    let admin = server.sign("", &json!({ "callAdmin": true }))?;
    for (tenant, ear, secret) in [("acme", &acme, SECRET), ("shop", &shop, "")] {
        let settings = json!({
            "openRegistration": true, "webhooks": [ear.url], "webhookSecret": secret,
        });
        let path = format!("/v1/tenants/{tenant}");
        server.write(Method::PUT, &path, &admin, &settings).await?;
    }

    let first = refused_call(&server, "acme").await?;
    let second = refused_call(&server, "shop").await?;
    let headers = acme.hears_of("acme", &first).await?;
    // What was not taken comes again before what follows it.
    let (_, again) = shop.next().await?;
    ensure!(again["call"]["id"] == second.as_str(), "{again}");
    shop.hears_of("shop", &second).await?;
    let mut of_all = Vec::new();
    while of_all.len() < 4 {
        let (_, mut event) = everyone.next().await?;
        // It hears of rooms as well.
        if event["call"].is_object() {
            of_all.push(event["call"]["tenant"].take());
        }
    }
    of_all.sort_by_key(Value::to_string);
    ensure!(of_all == ["acme", "acme", "shop", "shop"], "{of_all:?}");

    let token = headers.get("authorization").context("not signed")?;
    let claims = jsonwebtoken::decode::<Value>(
        token.to_str()?,
        &DecodingKey::from_secret(SECRET.as_bytes()),
        &Validation::new(Algorithm::HS256),
    )?;
    ensure!(claims.claims["iss"] == "acme", "{:?}", claims.claims);

    let server = server.restart().await?;
    let third = refused_call(&server, "acme").await?;
    acme.hears_of("acme", &third).await?;
    ensure!(shop.told.try_recv().is_err(), "nobody else hears of it");
    server.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_that_cannot_be_used_are_refused_with_the_reason() -> Result<()> {
    let (server, admin) = contact_centre().await?;
    let fine = "https://app.example.com/calls";
    let cases = [
        (
            json!({ "webhooks": ["ftp://example.com"] }),
            "http or https",
        ),
        (
            json!({ "webhooks": ["example.com/calls"] }),
            "http or https",
        ),
        (
            json!({ "webhooks": [format!("{fine}/{}", "x".repeat(2048))] }),
            "2048 bytes",
        ),
        (json!({ "webhooks": vec![fine; 9] }), "at most 8"),
        (
            json!({ "webhooks": ["http://127.0.0.1:9/"] }),
            "allow_private",
        ),
        (
            json!({ "webhooks": [fine], "webhookSecret": "short" }),
            "32 to 256",
        ),
    ];
    for (settings, reason) in cases {
        let put = server.write(Method::PUT, "/v1/tenants/acme", &admin, &settings);
        let refused = put.await.err().map(|error| error.to_string());
        let refused = refused.unwrap_or_default();
        ensure!(
            refused.contains("422") && refused.contains(reason),
            "{reason}: {refused}"
        );
    }
    let kept = server.get("/v1/tenants/acme", &admin).await?;
    ensure!(kept["webhooks"] == json!([]), "nothing has changed: {kept}");
    let settings = json!({ "webhooks": [fine], "webhookSecret": SECRET });
    server
        .write(Method::PUT, "/v1/tenants/acme", &admin, &settings)
        .await?;
    server.stop().await;
    Ok(())
}
