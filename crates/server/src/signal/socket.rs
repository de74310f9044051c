//! One WebSocket: from its first message until it is gone.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::Bytes;
use crosspoint_control::api::JoinRequest;
use crosspoint_control::model::{Identity, RoomName};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::outbox::Outbox;
use super::protocol::{Incoming, OfferDto, Outgoing, Request, VERSION};
use super::session::{self, Handle, Input, session_expired};
use super::throttle::Throttle;
use crate::app::App;
use crate::auth::Grant;
use crate::http::problem::Problem;

/// How long a socket may take to join or resume.
const HELLO_TIMEOUT: Duration = Duration::from_secs(20);

/// How long what is left in the outbox of an ended session may take to be sent.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);

/// Who opened the socket.
pub(super) struct Caller {
    pub(super) grant: Grant,
    pub(super) room: RoomName,
    pub(super) identity: Identity,
}

/// Serves a socket. `caller` is `None` when it came with a session's resume token only.
pub(super) async fn run(app: Arc<App>, caller: Option<Caller>, socket: WebSocket) {
    let (sink, mut stream) = socket.split();
    let outbox = Arc::new(Outbox::new());
    let ping = Duration::from_secs(app.config.signal.ping_s);
    let writer = tokio::spawn(write(Arc::clone(&outbox), sink, ping));
    let mut throttle = Throttle::new();
    let joined = greet(&app, caller.as_ref(), &mut stream, &mut throttle, &outbox).await;
    // Until it has sent what its session leaves behind.
    let _open = joined.is_some().then(|| app.sockets.open());
    if let Some(session) = joined {
        let silence = ping.saturating_mul(3);
        let closed = read(&session, &mut stream, &mut throttle, silence, &outbox).await;
        let ended = outbox.is_closed();
        let outbox = Arc::clone(&outbox);
        let news = match ended && (closed || is_closed_by_client(&mut stream).await) {
            true => Input::Parted(outbox),
            false => Input::Detached(outbox),
        };
        // A closed channel means that the session has ended by itself.
        let _ = session.inputs.send(news).await;
    }
    outbox.close();
    // The writer may be stuck with a client that does not read.
    let abort = writer.abort_handle();
    if tokio::time::timeout(FAREWELL_TIMEOUT, writer)
        .await
        .is_err()
    {
        abort.abort();
    }
}

/// Takes messages until one has joined or resumed a session; `None` when the socket is gone or
/// takes too long. A join that has begun is never given up: it would leave a session to nobody.
async fn greet(
    app: &Arc<App>,
    caller: Option<&Caller>,
    stream: &mut SplitStream<WebSocket>,
    throttle: &mut Throttle,
    outbox: &Arc<Outbox>,
) -> Option<Handle> {
    let deadline = Instant::now() + HELLO_TIMEOUT;
    loop {
        let message = tokio::time::timeout_at(deadline, stream.next())
            .await
            .ok()?;
        let text = match message?.ok()? {
            Message::Text(text) => text,
            Message::Close(_) => return None,
            Message::Ping(_) | Message::Pong(_) => continue,
            Message::Binary(_) => {
                refuse(outbox, None, text_only())?;
                continue;
            }
        };
        throttle.pass().await;
        let Incoming { id, request } = Incoming::parse(&text);
        let outcome = match request {
            Ok(Request::Join {
                version,
                auto_subscribe,
                offer,
            }) => join(app, caller, id, version, auto_subscribe, offer, outbox).await,
            Ok(Request::Resume {
                version,
                session,
                last_seq,
            }) => resume(app, caller, id, version, &session, last_seq, outbox).await,
            Ok(Request::Leave {}) => return None,
            Ok(_) => Err(Problem::bad_request(
                "not_joined",
                "the first message must be `join` or `resume`",
            )),
            Err(problem) => Err(problem),
        };
        match outcome {
            Ok(session) => return Some(session),
            Err(problem) => refuse(outbox, id, problem)?,
        }
    }
}

async fn join(
    app: &Arc<App>,
    caller: Option<&Caller>,
    id: Option<u64>,
    version: u32,
    auto_subscribe: bool,
    offer: Option<OfferDto>,
    outbox: &Arc<Outbox>,
) -> Result<Handle, Problem> {
    check_version(version)?;
    let caller = caller.ok_or(crate::auth::TokenProblem::Missing)?;
    let (name, metadata, attributes) = caller.grant.profile();
    let request = JoinRequest {
        room: caller.room.clone(),
        identity: caller.identity.clone(),
        name: name.to_owned(),
        metadata: metadata.to_owned(),
        attributes: attributes.clone(),
        permissions: caller.grant.permissions(),
        create_room: true,
        auto_subscribe,
        only: None,
    };
    session::start(app, id, request, offer.map(Into::into), Arc::clone(outbox)).await
}

async fn resume(
    app: &Arc<App>,
    caller: Option<&Caller>,
    id: Option<u64>,
    version: u32,
    token: &str,
    last_seq: u64,
    outbox: &Arc<Outbox>,
) -> Result<Handle, Problem> {
    check_version(version)?;
    let session = app.signal.find(token).ok_or_else(session_expired)?;
    if caller.is_some_and(|caller| caller.identity != session.identity) {
        return Err(session_expired());
    }
    let input = Input::Resume {
        id,
        last_seq,
        outbox: Arc::clone(outbox),
    };
    session
        .inputs
        .send(input)
        .await
        .map_err(|_| session_expired())?;
    Ok(session)
}

fn check_version(version: u32) -> Result<(), Problem> {
    if version == VERSION {
        return Ok(());
    }
    let detail = format!("this server speaks version {VERSION}");
    Err(Problem::bad_request("unsupported_version", detail))
}

/// Answers outside of a session; `None` when the client does not read its answers.
fn refuse(outbox: &Outbox, id: Option<u64>, problem: Problem) -> Option<()> {
    outbox.push(Outgoing::reply(id, Err(problem)).frame(0)).ok()
}

/// Hands what the client says to its session until the socket or the session is gone, or the client
/// is silent for too long: it owes a pong to every ping. True when the client has closed the socket.
async fn read(
    session: &Handle,
    stream: &mut SplitStream<WebSocket>,
    throttle: &mut Throttle,
    silence: Duration,
    outbox: &Outbox,
) -> bool {
    loop {
        let message = tokio::select! {
            message = tokio::time::timeout(silence, stream.next()) => message,
            () = outbox.closed() => return false,
        };
        let Ok(Some(Ok(message))) = message else {
            return false;
        };
        let input = match message {
            Message::Text(text) => {
                throttle.pass().await;
                Input::Incoming(Incoming::parse(&text))
            }
            Message::Binary(_) => Input::Incoming(Incoming {
                id: None,
                request: Err(text_only()),
            }),
            Message::Pong(payload) => match seq_in(&payload) {
                Some(seq) => Input::Heard(seq),
                None => continue,
            },
            Message::Ping(_) => continue,
            Message::Close(_) => return true,
        };
        if session.inputs.send(input).await.is_err() {
            return false;
        }
    }
}

/// Whether the client answers the closing of its socket: then it has read all that came before.
async fn is_closed_by_client(stream: &mut SplitStream<WebSocket>) -> bool {
    let answer = async {
        while let Some(Ok(message)) = stream.next().await {
            if matches!(message, Message::Close(_)) {
                return true;
            }
        }
        false
    };
    let answer = tokio::time::timeout(FAREWELL_TIMEOUT, answer);
    answer.await.unwrap_or(false)
}

/// Sends what is in the outbox until it is closed and empty. A ping carries the number of the last
/// frame before it, so its pong says that the client has everything up to that one.
async fn write(outbox: Arc<Outbox>, mut sink: SplitSink<WebSocket, Message>, ping: Duration) {
    let mut pings = ping_interval(ping);
    let mut sent: u64 = 0;
    loop {
        let message = tokio::select! {
            frame = outbox.next() => match frame {
                Some(frame) => {
                    sent = number_of(&frame).unwrap_or(sent);
                    Message::Text(frame)
                }
                None => break,
            },
            _ = pings.tick() => Message::Ping(Bytes::copy_from_slice(&sent.to_be_bytes())),
        };
        if sink.send(message).await.is_err() {
            break;
        }
    }
    let farewell = CloseFrame {
        code: close_code::NORMAL,
        reason: "".into(),
    };
    let _ = sink.send(Message::Close(Some(farewell))).await;
}

fn ping_interval(period: Duration) -> Interval {
    let mut interval = tokio::time::interval_at(Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// The number that [`Outgoing::frame`] wrote at the start of a frame.
fn number_of(frame: &str) -> Option<u64> {
    let digits = frame.strip_prefix("{\"seq\":")?;
    digits.split(',').next()?.parse().ok()
}

/// The number in the payload of a pong that answers one of our pings.
fn seq_in(payload: &[u8]) -> Option<u64> {
    payload.try_into().ok().map(u64::from_be_bytes)
}

fn text_only() -> Problem {
    Problem::bad_request("bad_message", "messages are JSON in text frames")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_begins_with_its_number() {
        let frame = Outgoing::Draining {}.frame(17);
        assert_eq!(number_of(&frame), Some(17));
        assert_eq!(frame.as_str(), r#"{"seq":17,"type":"draining"}"#);
    }

    #[test]
    fn only_our_own_pings_acknowledge() {
        assert_eq!(seq_in(&5u64.to_be_bytes()), Some(5));
        assert_eq!(seq_in(b"hi"), None);
    }
}
