//! Delivery over loopback, and what receivers get.

use std::time::SystemTime;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use crosspoint_control::model::{Reason, RoomInfo, RoomName, RoomSettings};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::*;

type Post = (HeaderMap, Bytes);

/// A receiver on loopback that answers the n-th post with the n-th status, then with 200.
async fn receiver(answers: Vec<StatusCode>) -> (String, mpsc::UnboundedReceiver<Post>) {
    let (posts, received) = mpsc::unbounded_channel();
    let answers = Arc::new(Mutex::new(VecDeque::from(answers)));
    let handle = |State((posts, answers)): State<(mpsc::UnboundedSender<Post>, _)>,
                  headers: HeaderMap,
                  body: Bytes| async move {
        let answers: Arc<Mutex<VecDeque<StatusCode>>> = answers;
        posts.send((headers, body)).unwrap();
        let answer = answers.lock().unwrap().pop_front();
        answer.unwrap_or(StatusCode::OK)
    };
    let router = axum::Router::new()
        .route("/hook", axum::routing::post(handle))
        .with_state((posts, answers));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, received)
}

fn config(url: &str) -> config::Webhooks {
    config::Webhooks {
        urls: vec![url.to_owned()],
        allow_private: true,
        attempts: 3,
        ..config::Config::default().webhooks
    }
}

fn keys() -> Keys {
    Keys::parse("k: a-secret-of-the-tests-that-is-long-enough").unwrap()
}

fn room(name: &str) -> RoomInfo {
    RoomInfo {
        name: RoomName::new(name).unwrap(),
        sid: "RM_abc".to_owned(),
        settings: RoomSettings::default(),
        created_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        num_participants: 0,
        num_publishers: 0,
        active_speakers: Vec::new(),
    }
}

fn start_with(config: &config::Webhooks) -> broadcast::Sender<RoomEvent> {
    crate::server::install_crypto();
    let (events, receiver) = broadcast::channel(64);
    let calls = broadcast::channel(1).1;
    start(config, &keys(), receiver, None, calls).unwrap();
    events
}

fn event_of(body: &Bytes) -> serde_json::Value {
    serde_json::from_slice(body).unwrap()
}

#[tokio::test]
async fn a_body_is_signed_by_its_digest() {
    let (url, mut posts) = receiver(Vec::new()).await;
    let events = start_with(&config(&url));
    events.send(RoomEvent::RoomStarted(room("demo"))).unwrap();
    let (headers, body) = posts.recv().await.unwrap();

    assert_eq!(headers["content-type"], "application/webhook+json");
    let token = headers["authorization"].to_str().unwrap();
    let claims: serde_json::Value = jsonwebtoken::decode(
        token,
        &jsonwebtoken::DecodingKey::from_secret(b"a-secret-of-the-tests-that-is-long-enough"),
        &jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256),
    )
    .unwrap()
    .claims;
    let digest = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(&body));
    assert_eq!(claims["sha256"], digest.as_str());
    assert_eq!(claims["iss"], "k");

    let event = event_of(&body);
    assert_eq!(event["event"], "room_started");
    assert_eq!(event["room"]["name"], "demo");
    assert_eq!(event["room"]["creationTime"], "1700000000");
    assert!(event["id"].as_str().unwrap().starts_with("EV_"));
}

#[tokio::test]
async fn a_failed_delivery_is_tried_again_before_the_next_event_of_the_room() {
    let (url, mut posts) = receiver(vec![StatusCode::INTERNAL_SERVER_ERROR]).await;
    let events = start_with(&config(&url));
    events.send(RoomEvent::RoomStarted(room("demo"))).unwrap();
    let finished = RoomEvent::RoomFinished(room("demo"), Reason::Empty);
    events.send(finished).unwrap();

    let mut seen = Vec::new();
    for _ in 0..3 {
        let event = event_of(&posts.recv().await.unwrap().1);
        seen.push((event["event"].to_string(), event["id"].to_string()));
    }
    assert_eq!(seen[0], seen[1], "the same event again, with the same id");
    assert_eq!(seen[2].0, "\"room_finished\"");
}

#[tokio::test]
async fn a_private_address_is_not_posted_to() {
    let (url, mut posts) = receiver(Vec::new()).await;
    let private = config::Webhooks {
        allow_private: false,
        attempts: 1,
        ..config(&url)
    };
    let refused = start_with(&private);
    refused
        .send(RoomEvent::RoomStarted(room("secret")))
        .unwrap();
    // The same receiver by way of a name.
    let named = url.replace("127.0.0.1", "localhost");
    let by_name = start_with(&config::Webhooks {
        urls: vec![named],
        ..private
    });
    by_name
        .send(RoomEvent::RoomStarted(room("secret")))
        .unwrap();
    let allowed = start_with(&config(&url));
    allowed.send(RoomEvent::RoomStarted(room("open"))).unwrap();
    assert_eq!(
        event_of(&posts.recv().await.unwrap().1)["room"]["name"],
        "open"
    );
    assert!(posts.try_recv().is_err());
}

#[test]
fn a_full_queue_drops_the_newest() {
    let config = config::Webhooks {
        queue: 2,
        ..config("http://127.0.0.1/")
    };
    let client = SignedClient::new(&config, &Keys::parse("k: s").unwrap()).unwrap();
    let url = "http://127.0.0.1/".parse().unwrap();
    let receiver = Arc::new(Receiver::new(url, client, &config));
    // The room is being delivered for, by nobody here.
    let busy = ("demo".to_owned(), VecDeque::new());
    receiver.lock().rooms.extend([busy]);
    for text in ["1", "2", "3"] {
        receiver.accept("demo", Bytes::from(text));
    }
    assert_eq!(receiver.next("demo").unwrap(), "1");
    assert_eq!(receiver.next("demo").unwrap(), "2");
    assert_eq!(receiver.next("demo"), None);
    assert!(receiver.lock().rooms.is_empty());
}
