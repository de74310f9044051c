//! Whole servers in this process: media, rooms and HTTP as they run in production.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::PathBuf;

use common::{KEY, SECRET, admin_token, join_token};
use crosspoint_server::auth::Secret;
use crosspoint_server::config::Config;
use crosspoint_server::{RunningServer, Server};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

/// A server on free loopback ports and a data folder of its own.
async fn start(keys: &str) -> (RunningServer, PathBuf) {
    let folder = std::env::temp_dir().join(format!("crosspoint-{}", rand::random::<u64>()));
    let mut config = Config {
        keys: Secret::new(keys.to_owned()),
        data_dir: folder.clone(),
        ..Config::default()
    };
    config.http.listen = "127.0.0.1:0".parse().unwrap();
    config.media.listen = vec!["127.0.0.1".parse().unwrap()];
    config.media.addresses = config.media.listen.clone();
    config.media.udp_port = 0;
    config.media.tcp_port = 0;
    config.media.workers = 1;
    config.media.pin_workers = false;
    config.stop.drain_s = 60;
    (Server::start(config).await.unwrap(), folder)
}

async fn get(server: &RunningServer, path: &str, token: &str) -> (u16, Value) {
    let url = format!("http://{}{path}", server.http_addr());
    let request = reqwest::Client::new().get(url).bearer_auth(token);
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

#[tokio::test]
async fn a_participant_joins_is_seen_and_is_told_of_the_end() {
    let (server, _folder) = start(&format!("{KEY}: {SECRET}")).await;
    let url = format!(
        "ws://{}/v1/signal?access_token={}",
        server.http_addr(),
        join_token("alice")
    );
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let join = json!({"type": "join", "id": 1, "version": 1}).to_string();
    socket.send(Message::text(join)).await.unwrap();
    let reply: Value = match socket.next().await.unwrap().unwrap() {
        Message::Text(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(reply["participant"]["identity"], "alice");
    assert_eq!(reply["room"]["numParticipants"], 1);

    let path = "/v1/rooms/demo/participants";
    let (status, list) = get(&server, path, &admin_token()).await;
    assert_eq!(status, 200);
    assert_eq!(list["participants"][0]["identity"], "alice");
    let (status, problem) = get(&server, "/v1/rooms/none", &admin_token()).await;
    assert_eq!((status, &problem["label"]), (404, &json!("room_not_found")));

    // The client is told, leaves, and the server has nobody left to wait for.
    let address = server.http_addr();
    let (drained, told) = tokio::join!(server.drain(), async {
        let mut told = Vec::new();
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else {
                continue;
            };
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["type"] == "draining" {
                let (status, _) = get(&server, "/readyz", "").await;
                told.push(json!(status));
                let leave = json!({"type": "leave"}).to_string();
                socket.send(Message::text(leave)).await.unwrap();
            }
            told.push(message["type"].clone());
        }
        told
    });
    assert_eq!(drained, ());
    assert_eq!(told, [json!(503), json!("draining"), json!("left")]);
    server.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn without_keys_a_server_is_for_this_machine_and_gives_its_pages_tokens() {
    let (server, folder) = start("").await;
    assert!(server.app().development);
    assert!(server.http_addr().ip().is_loopback());
    let base = format!("http://{}", server.http_addr());
    let http = reqwest::Client::new();
    let reply = http
        .post(format!("{base}/v1/dev/token"))
        .header("origin", &base)
        .json(&json!({"room": "demo", "identity": "me"}))
        .send()
        .await
        .unwrap();
    assert_eq!(reply.status(), 200);
    let reply: Value = reply.json().await.unwrap();
    let url = format!(
        "ws://{}/v1/signal?access_token={}",
        server.http_addr(),
        reply["token"].as_str().unwrap()
    );
    tokio_tungstenite::connect_async(url).await.unwrap();
    server.stop().await;
    std::fs::remove_dir_all(folder).unwrap();
}
