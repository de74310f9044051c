//! What is behind a worker's links: its engine and its sessions. All of it is lost, and begun
//! anew, when something in it panics.
//!
//! Datagrams, commands and time go in; out come datagrams (into [`Links`]) and events (into
//! `events`). It reads no clock and waits for nothing, so tests can drive it step by step.

mod commands;
mod inspect;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crosspoint_media::command::Command as MediaCommand;
use crosspoint_media::config::{EngineConfig, SessionKey};
use crosspoint_media::engine::Engine;
use crosspoint_wire::stun::{Message, REPLY_BYTES_MAX};
use crosspoint_wire::time::Time;

use super::clock::Clock;
use super::counters::Counters;
use super::links::Links;
use super::relays::Batch;
use super::sessions::Sessions;
use super::sink::Sink;
use super::timers::Timers;
use crate::api::{CloseReason, DelayHistogram, DtlsVersions, Event};
use crate::demux::{Kind, Routes};
use crate::dtls::{DtlsFailure, DtlsIdentity, Output, PollBuffer};
use crate::ice::Refused;
use crate::path::{Link, Path};
use crate::sctp::DataEvent;
use crate::session::{Lapse, Patience, Session};
use crate::srtp::SrtpError;
use crate::tcp::acceptor::Directory;

/// Shortest time to a session's next timer. A stack that asks for the past again and again must not
/// keep the worker from everything else.
const TIMER_MIN: Duration = Duration::from_millis(1);

/// What a core is made from, each time.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) worker: usize,
    pub(super) clock: Clock,
    pub(super) engine: EngineConfig,
    pub(super) identity: Arc<DtlsIdentity>,
    pub(super) versions: DtlsVersions,
    pub(super) patience: Patience,
    pub(super) directory: Directory,
}

pub(super) struct Core {
    plan: Plan,
    engine: Engine,
    sessions: Sessions,
    routes: Routes,
    timers: Timers,
    counters: Counters,
    dtls_buffer: Box<PollBuffer>,
    forwarding_delay: DelayHistogram,
    /// Packets that had left when the delay was last noted.
    noted_sent: u64,
    /// For the worker to send on.
    pub(super) events: VecDeque<Event>,
}

impl Core {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            engine: Engine::new(plan.engine.clone()),
            plan,
            sessions: Sessions::default(),
            routes: Routes::default(),
            timers: Timers::default(),
            counters: Counters::default(),
            dtls_buffer: Box::new([0; size_of::<PollBuffer>()]),
            forwarding_delay: DelayHistogram::default(),
            noted_sent: 0,
            events: VecDeque::new(),
        }
    }

    /// When `handle_timeout` is due.
    pub(super) fn next_timeout(&self) -> Time {
        self.engine.next_timeout().min(self.timers.next())
    }

    /// Takes one datagram; its bytes are used up.
    pub(super) fn handle_datagram(
        &mut self,
        links: &mut Links,
        now: Time,
        path: Path,
        datagram: &mut [u8],
    ) {
        self.counters.datagrams_received += 1;
        self.counters.bytes_received += datagram.len() as u64;
        let Some(kind) = Kind::of(datagram) else {
            self.counters.unknown_protocol += 1;
            return;
        };
        if kind == Kind::Stun {
            self.handle_stun(links, now, path, datagram);
            return;
        }
        let Some(key) = self.routes.by_path(&path) else {
            self.counters.unproved_source += 1;
            return;
        };
        match kind {
            Kind::Rtp => self.handle_rtp(now, key, datagram),
            Kind::Rtcp => self.handle_rtcp(now, key, datagram),
            Kind::Dtls => self.handle_dtls(links, now, key, path, datagram),
            Kind::Stun => {}
        }
    }

    fn handle_rtp(&mut self, now: Time, key: SessionKey, datagram: &mut [u8]) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let Some(secured) = &mut session.secured else {
            self.counters.srtp_before_keys += 1;
            return;
        };
        match secured.inbound.unprotect_rtp(datagram) {
            Ok(len) => {
                session.bytes_received += datagram.len() as u64;
                self.counters.srtp_received += 1;
                self.note_alive(now, key);
                self.engine
                    .handle_rtp(now, key, datagram.get(..len).unwrap_or_default());
            }
            Err(error) => self.count_srtp_error(error),
        }
    }

    fn handle_rtcp(&mut self, now: Time, key: SessionKey, datagram: &mut [u8]) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let Some(secured) = &mut session.secured else {
            self.counters.srtp_before_keys += 1;
            return;
        };
        match secured.inbound.unprotect_rtcp(datagram) {
            Ok(len) => {
                session.bytes_received += datagram.len() as u64;
                self.counters.srtcp_received += 1;
                self.note_alive(now, key);
                self.engine
                    .handle_rtcp(now, key, datagram.get(..len).unwrap_or_default());
            }
            Err(error) => self.count_srtp_error(error),
        }
    }

    fn count_srtp_error(&mut self, error: SrtpError) {
        match error {
            SrtpError::Unauthenticated => self.counters.srtp_unauthenticated += 1,
            SrtpError::Replayed => self.counters.srtp_replayed += 1,
            _ => self.counters.srtp_malformed += 1,
        }
    }

    fn note_alive(&mut self, now: Time, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(key)
            && session.note_alive(now)
        {
            self.events.push_back(Event::Interrupted {
                session: session.id,
                interrupted: false,
            });
            let at = session.next_lapse(self.plan.patience);
            self.timers.schedule(session, at);
        }
    }

    fn handle_stun(&mut self, links: &mut Links, now: Time, path: Path, datagram: &[u8]) {
        let Ok(message) = Message::parse(datagram) else {
            self.counters.stun_malformed += 1;
            return;
        };
        let key = message.ufrags();
        let key = key.and_then(|(ours, _)| self.routes.by_ufrag(ours));
        if self.is_held_by_another(now, path, key) {
            self.counters.stun_path_taken += 1;
            return;
        }
        let Some((key, session)) = key.and_then(|key| Some((key, self.sessions.get_mut(key)?)))
        else {
            self.counters.stun_unknown_user += 1;
            return;
        };
        let mut reply = [0; REPLY_BYTES_MAX];
        let accepted = match session.ice.check(now, path, &message, &mut reply) {
            Ok(accepted) => accepted,
            Err(refused) => {
                match refused {
                    Refused::NotARequest => self.counters.stun_ignored += 1,
                    Refused::UnknownUser => self.counters.stun_unknown_user += 1,
                    Refused::Unauthenticated => self.counters.stun_unauthenticated += 1,
                }
                return;
            }
        };
        if let Some(retired) = accepted.retired {
            self.remove_ufrag(&retired, key);
        }
        if accepted.proved {
            self.counters.stun_answered += 1;
            self.note_proved(key, links, path);
        } else {
            self.counters.stun_role_or_attribute_errors += 1;
        }
        if let Some(forgotten) = accepted.forgotten {
            self.counters.paths_evicted += 1;
            self.drop_path(key, links, forgotten);
        }
        links.send(path, reply.get(..accepted.reply_len).unwrap_or_default());
        self.note_alive(now, key);
    }

    /// Whether a session other than `key` keeps proving the path. Without this a participant who
    /// can forge sender addresses could take somebody else's path away with a check of its own.
    fn is_held_by_another(&mut self, now: Time, path: Path, key: Option<SessionKey>) -> bool {
        let owner = self
            .routes
            .by_path(&path)
            .filter(|owner| key != Some(*owner));
        let owner = owner.and_then(|owner| self.sessions.get_mut(owner));
        owner.is_some_and(|owner| owner.ice.holds(path, now))
    }

    fn note_proved(&mut self, key: SessionKey, links: &mut Links, path: Path) {
        if let Some(other) = self.routes.add_path(path, key)
            && let Some(other) = self.sessions.get_mut(other)
        {
            other.ice.forget(path);
        }
        if let Link::Tcp(connection) = path.link {
            links.tcp.set_proved(connection);
        }
    }

    fn remove_ufrag(&mut self, ufrag: &str, key: SessionKey) {
        if self.routes.remove_ufrag(ufrag, key) {
            self.plan.directory.remove(ufrag);
        }
    }

    /// Takes a path from a session; a connection has no other use and is closed.
    fn drop_path(&mut self, key: SessionKey, links: &mut Links, path: Path) {
        self.routes.remove_path(&path, key);
        if let Link::Tcp(connection) = path.link {
            links.tcp.close(connection);
        }
    }

    /// A connection is over; its path goes with it.
    pub(super) fn handle_tcp_closed(
        &mut self,
        links: &mut Links,
        connection: u32,
        remote: SocketAddr,
    ) {
        let link = Link::Tcp(connection);
        let path = Path { link, remote };
        if let Some(key) = self.routes.by_path(&path) {
            if let Some(session) = self.sessions.get_mut(key) {
                session.ice.forget(path);
            }
            self.routes.remove_path(&path, key);
        }
        links.tcp.close(connection);
    }

    fn handle_dtls(
        &mut self,
        links: &mut Links,
        now: Time,
        key: SessionKey,
        path: Path,
        datagram: &[u8],
    ) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        self.counters.dtls_received += 1;
        let instant = self.plan.clock.instant(now);
        session.dtls.handle_datagram(instant, datagram);
        self.drive(links, now, key, Some(path));
    }

    /// Moves what DTLS and the data channels have to say, until they are silent. Datagrams go to
    /// `reply_to`, or else to where media goes.
    fn drive(&mut self, links: &mut Links, now: Time, key: SessionKey, reply_to: Option<Path>) {
        let Some(session) = self.sessions.get_mut(key) else {
            return;
        };
        let instant = self.plan.clock.instant(now);
        let end = loop {
            match session.dtls.poll(&mut self.dtls_buffer) {
                Output::Transmit(datagram) => {
                    if let Some(path) = reply_to.or(session.ice.selected()) {
                        links.send(path, datagram);
                    }
                }
                Output::Connected(secured) => {
                    self.counters.sessions_connected += 1;
                    self.events.push_back(Event::Connected {
                        session: session.id,
                        srtp_profile: secured.profile.label(),
                    });
                    session.secured = Some(secured);
                    self.engine.set_connected(now, key, true);
                }
                Output::Data(packet) => {
                    let channels = session.channels.get_or_insert_default();
                    channels.handle_packet(instant, packet);
                }
                Output::Closed => break Some(CloseReason::PeerClosed),
                Output::Failed(failure) => break Some(close_reason(failure)),
                Output::Idle => {
                    if !move_sctp(session, instant) {
                        break None;
                    }
                }
            }
        };
        let mut channels = session.channels.as_deref_mut();
        while let Some(event) = channels.as_mut().and_then(|it| it.poll_event()) {
            let session = session.id;
            self.events.push_back(match event {
                DataEvent::Open(channel) => Event::DataOpen { session, channel },
                DataEvent::Message {
                    channel,
                    payload,
                    text,
                } => {
                    self.counters.data_received += 1;
                    Event::Data {
                        session,
                        channel,
                        payload,
                        text,
                    }
                }
                // Whoever sends on it finds out.
                DataEvent::Closed(_) => continue,
            });
        }
        match end {
            Some(reason) => self.close(links, now, key, Some(reason)),
            None => self.reschedule(now, key),
        }
    }

    fn reschedule(&mut self, now: Time, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(key) {
            let channels = session.channels.as_ref();
            let channels = channels.and_then(|channels| channels.next_timeout());
            let stacks = [session.dtls.next_timeout(), channels];
            let stacks = stacks.into_iter().flatten().min();
            let stacks = stacks.map_or(Time::NEVER, |at| self.plan.clock.time(at));
            let at = stacks.min(session.next_lapse(self.plan.patience));
            self.timers.schedule(session, at.max(now + TIMER_MIN));
        }
    }

    /// Everything that is due.
    pub(super) fn handle_timeout(&mut self, links: &mut Links, now: Time) {
        while let Some((at, key)) = self.timers.pop(now) {
            let Some(session) = self.sessions.get_mut(key) else {
                continue;
            };
            if session.scheduled != at {
                continue;
            }
            session.scheduled = Time::NEVER;
            match session.lapse(now, self.plan.patience) {
                Some(Lapse::Close(reason)) => {
                    self.close(links, now, key, Some(reason));
                    continue;
                }
                Some(Lapse::Interrupted) => self.events.push_back(Event::Interrupted {
                    session: session.id,
                    interrupted: true,
                }),
                None => {}
            }
            let instant = self.plan.clock.instant(now);
            if session.dtls.next_timeout().is_some_and(|at| at <= instant) {
                session.dtls.handle_timeout(instant);
            }
            if let Some(channels) = &mut session.channels {
                channels.handle_timeout(instant);
            }
            self.drive(links, now, key, None);
        }
        if now >= self.engine.next_timeout() {
            self.engine.handle_timeout(now);
        }
    }

    /// Lets the engine hand out what is due, and collects what it has to tell.
    pub(super) fn flush(&mut self, links: &mut Links, now: Time) {
        let mut sink = Sink {
            now,
            wall: self.plan.engine.wall_clock.ntp(now),
            sessions: &mut self.sessions,
            links,
            counters: &mut self.counters,
        };
        self.engine.flush(now, &mut sink);
        while let Some(event) = self.engine.poll_event() {
            self.events.push_back(Event::Media(event));
        }
        self.counters.loops += 1;
    }

    /// Packets of media received and sent.
    pub(super) const fn packets(&self) -> u64 {
        self.counters.srtp_received + self.counters.srtp_sent
    }

    /// Notes how long the turn took whose packets have just left; `elapsed` is asked only if there
    /// were any.
    pub(super) fn note_turn(&mut self, elapsed: impl FnOnce() -> Duration) {
        let packets = self.counters.srtp_sent - self.noted_sent;
        if packets > 0 {
            self.noted_sent = self.counters.srtp_sent;
            self.forwarding_delay.note(packets, elapsed());
        }
    }

    /// Gives the engine what another worker's engine said.
    pub(super) fn handle_relays(&mut self, now: Time, batch: &Batch) {
        for (relay, message) in batch.messages() {
            self.engine.handle_relay(now, relay, message);
        }
    }

    /// Ends a session; with a reason if `control` does not know yet.
    fn close(
        &mut self,
        links: &mut Links,
        now: Time,
        key: SessionKey,
        reason: Option<CloseReason>,
    ) {
        let Some(mut session) = self.sessions.remove(key) else {
            return;
        };
        session.dtls.close();
        while let Output::Transmit(datagram) = session.dtls.poll(&mut self.dtls_buffer) {
            if let Some(path) = session.ice.selected() {
                links.send(path, datagram);
            }
        }
        for ufrag in session.ice.ufrags() {
            self.remove_ufrag(ufrag, key);
        }
        links.tcp.flush();
        for path in session.ice.paths() {
            self.drop_path(key, links, path);
        }
        let remove = MediaCommand::RemoveSession {
            session: session.id,
        };
        let removed = self.engine.handle_command(now, remove);
        debug_assert!(removed.is_ok(), "the engine did not know a session");
        self.counters.sessions_closed += 1;
        if let Some(reason) = reason {
            self.counters.sessions_failed += 1;
            tracing::debug!(session = session.id.0, reason = reason.label(), "closed");
            self.events.push_back(Event::Closed {
                session: session.id,
                reason,
            });
        }
    }

    /// Says goodbye to all peers.
    pub(super) fn close_all(&mut self, links: &mut Links, now: Time) {
        for key in self.sessions.keys() {
            self.close(links, now, key, None);
        }
    }

    /// How many fragments, paths and sessions are remembered.
    #[cfg(test)]
    pub(super) fn footprint(&self) -> (usize, usize, usize) {
        let (ufrags, paths) = self.routes.footprint();
        (ufrags, paths, self.sessions.len())
    }
}

/// Gives one SCTP packet to DTLS. `false`: there is none.
fn move_sctp(session: &mut Session, now: std::time::Instant) -> bool {
    let channels = session.channels.as_mut();
    let Some(packet) = channels.and_then(|channels| channels.poll_transmit(now)) else {
        return false;
    };
    // What does not go out is lost as on a network: SCTP will send it again.
    session.dtls.send(&packet).is_ok()
}

const fn close_reason(failure: DtlsFailure) -> CloseReason {
    match failure {
        DtlsFailure::FingerprintMismatch => CloseReason::FingerprintMismatch,
        DtlsFailure::Timeout => CloseReason::ConnectTimeout,
        DtlsFailure::NoSrtpProfile | DtlsFailure::Broken => CloseReason::DtlsFailed,
    }
}
