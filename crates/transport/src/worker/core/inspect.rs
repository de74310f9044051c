//! Answers about single sessions.

use crosspoint_media::config::SessionId;

use super::Core;
use crate::api::{ConnectionReport, Protocol};
use crate::path::Link;
use crate::worker::links::Links;

impl Core {
    pub(super) fn inspect(
        &mut self,
        links: &Links,
        sessions: &[SessionId],
    ) -> Vec<ConnectionReport> {
        let one = |&session: &SessionId| {
            let media = self.engine.session_report(session)?;
            let session = self.sessions.get_mut(self.engine.session_key(session)?)?;
            let path = session.ice.selected();
            let (local, protocol) = match path.map(|path| path.link) {
                Some(Link::Udp(port)) => {
                    let port = links.ports.get(usize::from(port));
                    (port.map(|port| port.local()), Protocol::Udp)
                }
                Some(Link::Tcp(_)) => (None, Protocol::TcpPassive),
                None => (None, Protocol::Udp),
            };
            Some(ConnectionReport {
                local,
                remote: path.map(|path| path.remote),
                protocol,
                bytes_sent: session.bytes_sent,
                bytes_received: session.bytes_received,
                media,
            })
        };
        sessions.iter().filter_map(one).collect()
    }
}
