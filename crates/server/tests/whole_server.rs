//! Whole servers in this process: media, rooms and HTTP as they run in production.

#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::PathBuf;

use common::{KEY, SECRET, admin_token, join_token};
use crosspoint_server::auth::Secret;
use crosspoint_server::config::Config;
use crosspoint_server::{RunningServer, Server};
use futures_util::{SinkExt as _, StreamExt as _};
use rcgen::generate_simple_self_signed;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Settings of a server on free loopback ports and with a data folder of its own.
fn config(keys: &str) -> Config {
    let folder = std::env::temp_dir().join(format!("crosspoint-{}", rand::random::<u64>()));
    let mut config = Config {
        keys: Secret::new(keys.to_owned()),
        data_dir: folder,
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
    config
}

async fn start(keys: &str) -> (RunningServer, PathBuf) {
    let config = config(keys);
    let folder = config.data_dir.clone();
    (Server::start(config).await.unwrap(), folder)
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Joins the room `demo`; the reply is read.
async fn join(server: &RunningServer, identity: &str) -> (Socket, Value) {
    let url = format!(
        "ws://{}/v1/signal?access_token={}",
        server.http_addr(),
        join_token(identity)
    );
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let join = json!({"type": "join", "id": 1, "version": 1}).to_string();
    socket.send(Message::text(join)).await.unwrap();
    let reply = match socket.next().await.unwrap().unwrap() {
        Message::Text(text) => serde_json::from_str(&text).unwrap(),
        other => panic!("{other:?}"),
    };
    (socket, reply)
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
    let (mut socket, reply) = join(&server, "alice").await;
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
    assert!(TcpStream::connect(address).await.is_err());
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
    // The store may be closing its files still.
    while folder.exists() && std::fs::remove_dir_all(&folder).is_err() {
        tokio::task::yield_now().await;
    }
}

/// The clients live elsewhere: what the server has not sent when it says that it has stopped, they
/// do not hear.
#[test]
fn who_is_there_when_a_server_stops_hears_why_before_it_is_gone() {
    let (serving, elsewhere) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let (server, _folder) = serving.block_on(start(&format!("{KEY}: {SECRET}")));
    let sockets: Vec<Socket> = elsewhere.block_on(async {
        let names = (0..8).map(|i| format!("guest {i}"));
        let joins = names.map(async |name| join(&server, &name).await.0);
        futures_util::future::join_all(joins).await
    });
    serving.block_on(server.stop());
    serving.shutdown_background();
    for socket in sockets {
        let heard: Vec<Message> = elsewhere.block_on(
            socket
                .take_while(|message| std::future::ready(message.is_ok()))
                .map(Result::unwrap)
                .collect(),
        );
        let [.., Message::Text(last), Message::Close(Some(_))] = &heard[..] else {
            panic!("{heard:?}");
        };
        let last: Value = serde_json::from_str(last).unwrap();
        assert_eq!(
            (&last["type"], &last["reason"]),
            (&json!("left"), &json!("server_shutdown"))
        );
    }
}

#[tokio::test]
async fn with_a_certificate_a_server_speaks_https() {
    let mut config = config(&format!("{KEY}: {SECRET}"));
    let made = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::create_dir_all(&config.data_dir).unwrap();
    config.http.tls_certificate = config.data_dir.join("certificate.pem");
    config.http.tls_key = config.data_dir.join("key.pem");
    std::fs::write(&config.http.tls_certificate, made.cert.pem()).unwrap();
    std::fs::write(&config.http.tls_key, made.signing_key.serialize_pem()).unwrap();
    let server = Server::start(config).await.unwrap();
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder().add_root_certificate(root);
    let address = server.http_addr();
    let http = http.resolve("localhost", address).build().unwrap();
    let url = format!("https://localhost:{}/healthz", address.port());
    let reply = http.get(url).send().await.unwrap();
    assert_eq!(reply.status(), 200);
    server.stop().await;
}
