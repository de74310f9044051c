//! Webhooks: events of rooms, participants, tracks, recordings and calls, posted to the operator's URLs,
//! and those of a tenant's calls to the tenant's, too ([`tenants`]).
//!
//! Bodies and signatures are LiveKit's ([`payload`]), so that its SDKs' receivers take them. Events
//! of one room arrive in order at each URL: the next one is sent when the one before was delivered,
//! or given up after the configured number of tries. Rooms do not wait for each other. What is
//! undelivered is bounded for each URL; when it is full, new events are dropped and counted. URLs
//! that lead to private addresses are refused unless allowed ([`address`]).

mod address;
mod payload;
pub(crate) mod tenants;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use crosspoint_calls::service::TenantWebhook;
use crosspoint_control::api::RoomEvent;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Url};
use tokio::sync::Semaphore;
use tokio::sync::broadcast::{self, error::RecvError};

use crate::auth::{Keys, Secret};
use crate::config;
use crate::http::events::room_of_event;
use crate::recordings::RecordingEvent;

use self::tenants::Tenants;

/// First pause before another try; each further one is twice as long.
const BACKOFF_FIRST: Duration = Duration::from_millis(500);

/// Longest pause.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Most requests under way at one URL.
const CONCURRENT_MAX: usize = 16;

/// Starts delivery of `events`, of what becomes of recordings, and of `calls`, to the configured URLs,
/// and of `calls` to those of their tenants; ends with their sources.
///
/// # Errors
/// A key that is not there, or an HTTP client that cannot be made.
pub(crate) fn start(
    config: &config::Webhooks,
    keys: &Keys,
    events: broadcast::Receiver<RoomEvent>,
    recorded: Option<broadcast::Receiver<RecordingEvent>>,
    calls: broadcast::Receiver<TenantWebhook>,
) -> anyhow::Result<()> {
    let client = SignedClient::new(config, keys)?;
    let receiver = |url: &String| {
        let receiver = Receiver::new(url.parse()?, client.clone(), config);
        Ok(Arc::new(receiver))
    };
    let receivers = config.urls.iter().map(receiver);
    let receivers = receivers.collect::<anyhow::Result<Vec<_>>>()?;
    let tenants = Tenants::new(client, config);
    tokio::spawn(dispatch_calls(receivers.clone(), tenants, calls));
    if receivers.is_empty() {
        return Ok(());
    }
    if let Some(recorded) = recorded {
        let of = |event: &RecordingEvent| event.manifest().room.clone();
        tokio::spawn(dispatch(receivers.clone(), recorded, of, |event| {
            payload::recording_body(&event)
        }));
    }
    let of = |event: &RoomEvent| room_of_event(event).as_str().to_owned();
    tokio::spawn(dispatch(receivers, events, of, payload::body));
    Ok(())
}

async fn dispatch<E: Clone>(
    receivers: Vec<Arc<Receiver>>,
    mut events: broadcast::Receiver<E>,
    room_of: fn(&E) -> String,
    body_of: fn(E) -> Option<Bytes>,
) {
    while let Some(event) = next(&mut events).await {
        let room = room_of(&event);
        if let Some(body) = body_of(event) {
            for receiver in &receivers {
                receiver.accept(&room, body.clone());
            }
        }
    }
}

async fn dispatch_calls(
    receivers: Vec<Arc<Receiver>>,
    mut tenants: Tenants,
    mut calls: broadcast::Receiver<TenantWebhook>,
) {
    while let Some(told) = next(&mut calls).await {
        let own = tenants.receivers(&told);
        if receivers.is_empty() && own.is_empty() {
            continue;
        }
        let body = payload::call_body(&told.event);
        for receiver in receivers.iter().chain(own) {
            receiver.accept(told.event.call.id.as_str(), body.clone());
        }
    }
}

/// The next event; `None` when there will be none. Those that were missed are counted.
async fn next<E: Clone>(events: &mut broadcast::Receiver<E>) -> Option<E> {
    loop {
        match events.recv().await {
            Ok(event) => return Some(event),
            Err(RecvError::Lagged(missed)) => {
                metrics::counter!("crosspoint_webhook_events_missed_total").increment(missed);
            }
            Err(RecvError::Closed) => return None,
        }
    }
}

/// Posts signed bodies to the addresses that the operator allows.
#[derive(Clone)]
pub(crate) struct SignedClient {
    client: Client,
    issuer: String,
    secret: Secret,
    allow_private: bool,
}

impl SignedClient {
    /// # Errors
    /// A key that is not there, or an HTTP client that cannot be made.
    pub(crate) fn new(config: &config::Webhooks, keys: &Keys) -> anyhow::Result<Self> {
        let (name, secret) = match config.key.as_str() {
            "" => keys.first(),
            name => keys.secret(name).map(|secret| (name, secret)),
        }
        .ok_or_else(|| anyhow::anyhow!("webhooks need a key to sign with"))?;
        crate::server::install_crypto();
        let client = Client::builder()
            .timeout(Duration::from_secs(config.timeout_s))
            // A redirect could lead anywhere, and a proxy would hide where.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(address::Resolver {
                allow_private: config.allow_private,
            }))
            .user_agent(concat!("Crosspoint/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            client,
            issuer: name.to_owned(),
            secret: secret.clone(),
            allow_private: config.allow_private,
        })
    }

    /// The same with another signature.
    fn signing_as(&self, issuer: &str, secret: Secret) -> Self {
        Self {
            client: self.client.clone(),
            issuer: issuer.to_owned(),
            secret,
            allow_private: self.allow_private,
        }
    }

    /// Whether a URL may be asked, as far as that is seen without resolving its name.
    pub(crate) fn allows(&self, url: &Url) -> bool {
        self.allow_private || !address::is_special_literal(url)
    }

    /// The answer, if it is a success.
    ///
    /// # Errors
    /// Anything else; the text does not have the URL, which may hold a password.
    pub(crate) async fn post(
        &self,
        url: Url,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<reqwest::Response, String> {
        if !self.allows(&url) {
            return Err("the address is a special one".to_owned());
        }
        let token = payload::sign(&self.issuer, &self.secret, &body).map_err(|e| e.to_string())?;
        let response = self
            .client
            .post(url)
            .header(CONTENT_TYPE, content_type)
            .header(AUTHORIZATION, token)
            .body(body)
            .send()
            .await
            .map_err(|e| e.without_url().to_string())?;
        if response.status().is_success() {
            Ok(response)
        } else {
            Err(response.status().to_string())
        }
    }
}

/// One URL.
struct Receiver {
    url: Url,
    client: SignedClient,
    attempts: u32,
    capacity: usize,
    queues: Mutex<Queues>,
    under_way: Semaphore,
}

/// Undelivered bodies by room. A room is in here while a task delivers for it.
#[derive(Default)]
struct Queues {
    rooms: HashMap<String, VecDeque<Bytes>>,
    waiting: usize,
}

impl Receiver {
    fn new(url: Url, client: SignedClient, config: &config::Webhooks) -> Self {
        Self {
            url,
            client,
            attempts: config.attempts,
            capacity: config.queue,
            queues: Mutex::default(),
            under_way: Semaphore::new(CONCURRENT_MAX),
        }
    }

    /// Whether something is being delivered.
    fn is_busy(&self) -> bool {
        !self.lock().rooms.is_empty()
    }

    fn accept(self: &Arc<Self>, room: &str, body: Bytes) {
        let mut queues = self.lock();
        if queues.waiting >= self.capacity {
            metrics::counter!("crosspoint_webhook_dropped_total", "cause" => "queue_full")
                .increment(1);
            return;
        }
        queues.waiting += 1;
        if let Some(queue) = queues.rooms.get_mut(room) {
            queue.push_back(body);
            return;
        }
        queues.rooms.insert(room.to_owned(), VecDeque::from([body]));
        drop(queues);
        let receiver = Arc::clone(self);
        let room = room.to_owned();
        tokio::spawn(async move {
            while let Some(body) = receiver.next(&room) {
                receiver.deliver(body).await;
            }
        });
    }

    /// The next body of a room; forgets the room when there is none.
    fn next(&self, room: &str) -> Option<Bytes> {
        let mut queues = self.lock();
        let body = queues.rooms.get_mut(room).and_then(VecDeque::pop_front);
        match body {
            Some(_) => queues.waiting -= 1,
            None => {
                queues.rooms.remove(room);
            }
        }
        body
    }

    async fn deliver(&self, body: Bytes) {
        let mut pause = BACKOFF_FIRST;
        for attempt in 1..=self.attempts {
            match self.post(body.clone()).await {
                Ok(()) => {
                    metrics::counter!("crosspoint_webhook_delivered_total").increment(1);
                    return;
                }
                Err(problem) => {
                    // The URL may hold a password: only its host is named.
                    let host = self.url.host_str().unwrap_or_default();
                    tracing::debug!(host, attempt, problem, "webhook not delivered");
                }
            }
            if attempt < self.attempts {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(BACKOFF_MAX);
            }
        }
        tracing::warn!(
            host = self.url.host_str().unwrap_or_default(),
            "webhook given up"
        );
        metrics::counter!("crosspoint_webhook_dropped_total", "cause" => "undelivered")
            .increment(1);
    }

    async fn post(&self, body: Bytes) -> Result<(), String> {
        let _place = self.under_way.acquire().await.map_err(|e| e.to_string())?;
        let url = self.url.clone();
        let posted = self.client.post(url, "application/webhook+json", body);
        posted.await.map(drop)
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
