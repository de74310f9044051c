//! What the control plane can ask of a worker.

use std::sync::Arc;

use bytes::Bytes;
use crosspoint_media::command::{Command as MediaCommand, CommandError};
use crosspoint_media::config::{SessionId, SessionKey};
use crosspoint_wire::time::Time;

use super::Core;
use crate::api::{Command, DataChannelKind, Fingerprint, IceCredentials, WorkerReport};
use crate::dtls::DtlsServer;
use crate::ice::Agent;
use crate::session::Session;
use crate::worker::links::Links;

impl Core {
    pub(in crate::worker) fn handle_command(
        &mut self,
        links: &mut Links,
        now: Time,
        command: Command,
    ) {
        self.counters.commands += 1;
        match command {
            Command::OpenSession {
                session,
                local,
                remote,
                fingerprints,
            } => self.open(now, session, &local, &remote, fingerprints),
            Command::RestartIce {
                session,
                local,
                remote,
            } => self.restart_ice(session, &local, &remote),
            Command::CloseSession { session } => {
                if let Some(key) = self.engine.session_key(session) {
                    self.close(links, now, key, None);
                }
            }
            Command::Media(command, reply) => {
                let outcome = self.handle_media(links, now, command);
                if let Some(reply) = reply {
                    // Who asked may have gone.
                    let _ = reply.send(outcome);
                }
            }
            Command::RouteRelay { relay, peer } => {
                let worker = peer.map(|worker| usize::from(worker.0));
                links.relays.route(relay, worker);
            }
            Command::RouteTap { relay, door } => links.taps.route(relay, door),
            Command::SendData {
                session,
                channel,
                payload,
                text,
            } => {
                if !self.send_data(links, now, session, channel, &payload, text) {
                    self.counters.data_unsendable += 1;
                }
            }
            Command::Explain {
                session,
                track,
                reply,
            } => {
                let _ = reply.send(self.engine.explain(session, track));
            }
            Command::Report(reply) => {
                let _ = reply.send(self.report(links));
            }
            Command::Inspect { sessions, reply } => {
                let _ = reply.send(self.inspect(links, &sessions));
            }
            Command::Keyframe { track, reply } => {
                let _ = reply.send(self.engine.keyframe(now, track));
            }
            #[cfg(test)]
            Command::Panic => panic!("on command"),
        }
    }

    fn open(
        &mut self,
        now: Time,
        id: SessionId,
        local: &IceCredentials,
        remote: &IceCredentials,
        fingerprints: Vec<Fingerprint>,
    ) {
        let key = self.engine.open_session(id);
        if self.sessions.contains(key) {
            // The same command again.
            return;
        }
        self.add_ufrag(id, key, &local.ufrag);
        self.counters.sessions_opened += 1;
        let dtls = DtlsServer::new(
            Arc::clone(&self.plan.identity),
            self.plan.versions,
            fingerprints,
            self.plan.clock.instant(now),
        );
        let agent = Agent::new(now, local, remote);
        self.sessions
            .insert(Session::new(now, id, key, agent, dtls));
        self.reschedule(now, key);
    }

    fn restart_ice(&mut self, id: SessionId, local: &IceCredentials, remote: &IceCredentials) {
        let key = self.engine.session_key(id);
        let Some((key, session)) = key.and_then(|key| Some((key, self.sessions.get_mut(key)?)))
        else {
            return;
        };
        if let Some(replaced) = session.ice.restart(local, remote) {
            self.remove_ufrag(&replaced, key);
        }
        self.add_ufrag(id, key, &local.ufrag);
    }

    fn add_ufrag(&mut self, id: SessionId, key: SessionKey, ufrag: &str) {
        if self.routes.add_ufrag(ufrag, key) {
            self.plan.directory.insert(ufrag, self.plan.worker);
        } else {
            tracing::error!(session = id.0, "user name fragment is taken");
        }
    }

    fn handle_media(
        &mut self,
        links: &mut Links,
        now: Time,
        command: MediaCommand,
    ) -> Result<(), CommandError> {
        if let MediaCommand::RemoveSession { session } = command
            && let Some(key) = self.engine.session_key(session)
            && self.sessions.contains(key)
        {
            // The engine frees the key: the transport must not outlive it.
            self.close(links, now, key, None);
            return Ok(());
        }
        self.engine.handle_command(now, command)
    }

    fn send_data(
        &mut self,
        links: &mut Links,
        now: Time,
        session: SessionId,
        channel: DataChannelKind,
        payload: &Bytes,
        text: bool,
    ) -> bool {
        let instant = self.plan.clock.instant(now);
        let Some(key) = self.engine.session_key(session) else {
            return false;
        };
        let session = self.sessions.get_mut(key);
        let channels = session.and_then(|session| session.channels.as_mut());
        let sent = channels.map(|channels| channels.send(instant, channel, payload, text));
        self.drive(links, now, key, None);
        sent.is_some_and(|sent| sent.is_ok())
    }

    fn report(&mut self, links: &Links) -> WorkerReport {
        self.counters.relay_undelivered = links.relays.dropped();
        let mut counters: Vec<_> = self.counters.iter().collect();
        counters.extend(links.counters());
        counters.extend(self.engine.counters().iter());
        WorkerReport {
            counters,
            sessions: self.sessions.len(),
            rooms: self.engine.room_count(),
            tracks: self.engine.track_count(),
            forwarding_delay: self.forwarding_delay.clone(),
        }
    }
}
