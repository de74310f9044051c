//! What leads out of a worker: its UDP ports, its TCP connections, its relays to other workers, its taps.

use super::relays::Relays;
use super::taps::Taps;
use crate::path::{Link, Path};
use crate::tcp::Connections;
use crate::udp::{Port, RecvCounters, SendCounters};

/// All ways out of a worker. They outlive a restart of what is behind them.
pub(crate) struct Links {
    pub(crate) ports: Vec<Port>,
    pub(crate) tcp: Connections,
    pub(crate) relays: Relays,
    pub(crate) taps: Taps,
    /// What came in through the ports.
    pub(crate) received: RecvCounters,
    /// Events that the control plane did not take.
    pub(crate) events_dropped: u64,
}

impl Links {
    /// Queues a copy of one datagram.
    pub(crate) fn send(&mut self, path: Path, datagram: &[u8]) {
        match path.link {
            Link::Udp(port) => {
                if let Some(port) = self.ports.get_mut(usize::from(port)) {
                    port.push(path.remote, datagram);
                }
            }
            Link::Tcp(connection) => self.tcp.push(connection, datagram),
        }
    }

    /// Sends what is queued, as far as it can be.
    pub(crate) fn flush(&mut self) {
        for port in &mut self.ports {
            port.flush();
        }
        self.tcp.flush();
        self.relays.flush();
    }

    /// Forgets what waits, and everything that depends on sessions.
    pub(crate) fn clear(&mut self) {
        for port in &mut self.ports {
            port.queue.clear();
        }
        self.tcp.clear();
        self.relays.clear();
        self.taps.clear();
    }

    /// Totals of all ways, by name. Names are stable.
    pub(crate) fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let udp = |total: fn(&SendCounters) -> u64| {
            let ports = self.ports.iter();
            ports.map(|port| total(port.queue.counters())).sum::<u64>()
        };
        let tcp = self.tcp.counters();
        [
            ("udp_receive_calls", self.received.calls),
            ("udp_receive_messages", self.received.messages),
            ("udp_receive_malformed", self.received.malformed),
            ("udp_receive_errors", self.received.errors),
            ("udp_sent", udp(|sent| sent.datagrams)),
            ("udp_sent_bytes", udp(|sent| sent.bytes)),
            ("udp_send_calls", udp(|sent| sent.calls)),
            ("udp_gso_runs", udp(|sent| sent.gso_runs)),
            ("udp_gso_sent", udp(|sent| sent.gso_datagrams)),
            ("udp_send_blocked", udp(|sent| sent.blocked)),
            ("udp_send_dropped", udp(|sent| sent.dropped)),
            ("udp_send_errors", udp(|sent| sent.errors)),
            ("tcp_opened", tcp.opened),
            ("tcp_closed", tcp.closed),
            ("tcp_refused", tcp.refused),
            ("tcp_sent", tcp.frames_sent),
            ("tcp_send_dropped", tcp.dropped),
            ("tap_sent", self.taps.sent()),
            ("tap_dropped", self.taps.dropped()),
            ("events_dropped", self.events_dropped),
        ]
        .into_iter()
    }
}
