//! Which addresses the sockets are bound to and which of them peers are told.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::api::{Candidate, Protocol, TransportConfig, TransportError};
use crate::tcp::acceptor::Listeners;
use crate::udp::{Offload, UdpSocket};

/// What to bind to on this machine.
pub(super) struct Addresses {
    tcp: Vec<IpAddr>,
    udp: Vec<IpAddr>,
}

impl Addresses {
    /// As configured, with two exceptions. The unspecified IPv6 address is left out where there
    /// is no IPv6, so that the default works everywhere. And for UDP an unspecified address gives
    /// way to the advertised ones of its family if all of them are this machine's: a datagram sent
    /// from an unspecified address leaves with whichever source the route has, and a check that
    /// was sent to one address and is answered from another fails.
    pub(super) fn of(config: &TransportConfig) -> Self {
        let mut tcp = config.bind.clone();
        if tcp.len() > 1 {
            tcp.retain(|ip| {
                let usable = !(ip.is_ipv6() && ip.is_unspecified()) || is_ours(*ip);
                if !usable {
                    tracing::warn!("this machine has no IPv6");
                }
                usable
            });
        }
        let mut udp = Vec::with_capacity(tcp.len());
        for ip in &tcp {
            let family = config.advertised.iter().copied();
            let family: Vec<IpAddr> = family.filter(|it| it.is_ipv4() == ip.is_ipv4()).collect();
            let ours = !family.is_empty() && family.iter().all(|it| is_ours(*it));
            if ip.is_unspecified() && ours {
                udp.extend(family);
            } else {
                udp.push(*ip);
            }
        }
        udp.sort_unstable();
        udp.dedup();
        Self { tcp, udp }
    }

    /// One worker's sockets; port 0: any free port for each.
    pub(super) fn bind_udp(
        &self,
        port: u16,
        offload: Offload,
    ) -> Result<Vec<UdpSocket>, TransportError> {
        let sockets = self.udp.iter().map(|ip| {
            let address = SocketAddr::new(*ip, port);
            UdpSocket::bind(address, offload).map_err(bind_error("UDP", address))
        });
        sockets.collect()
    }

    /// The listening sockets that all workers share; `None` if there shall be none.
    pub(super) fn bind_tcp(&self, port: Option<u16>) -> Result<Option<Listeners>, TransportError> {
        let (Some(port), Some(first)) = (port, self.tcp.first()) else {
            return Ok(None);
        };
        let listeners = Listeners::bind(&self.tcp, port);
        let error = bind_error("TCP", SocketAddr::new(*first, port));
        listeners.map(Some).map_err(error)
    }
}

fn bind_error(
    protocol: &'static str,
    address: SocketAddr,
) -> impl FnOnce(io::Error) -> TransportError {
    move |source| TransportError::Bind {
        protocol,
        address,
        source,
    }
}

/// Whether a socket can be bound to the address.
fn is_ours(ip: IpAddr) -> bool {
    std::net::UdpSocket::bind((ip, 0)).is_ok()
}

/// Each advertised address with the port of the socket that serves it: the one bound to that very
/// address, or else the first of its family (any address, or the inner side of a NAT). Where
/// nothing is advertised, the bound addresses are, as far as they say where.
pub(super) fn candidates(
    advertised: &[IpAddr],
    sockets: &[UdpSocket],
    tcp_port: Option<u16>,
) -> Vec<Candidate> {
    let bound: Vec<SocketAddr> = sockets.iter().map(UdpSocket::local).collect();
    let own: Vec<IpAddr> = bound.iter().map(SocketAddr::ip).collect();
    let addresses = if advertised.is_empty() {
        own.iter().filter(|ip| !ip.is_unspecified()).collect()
    } else {
        advertised.iter().collect::<Vec<_>>()
    };
    let mut candidates = Vec::with_capacity(2 * addresses.len());
    for ip in addresses {
        let exact = bound.iter().find(|local| local.ip() == *ip);
        let family = || bound.iter().find(|local| local.is_ipv4() == ip.is_ipv4());
        let Some(local) = exact.or_else(family) else {
            tracing::warn!(%ip, "an advertised address has no socket of its family");
            continue;
        };
        candidates.push(Candidate {
            protocol: Protocol::Udp,
            address: SocketAddr::new(*ip, local.port()),
        });
        if let Some(port) = tcp_port {
            candidates.push(Candidate {
                protocol: Protocol::TcpPassive,
                address: SocketAddr::new(*ip, port),
            });
        }
    }
    candidates
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crosspoint_media::config::EngineConfig;

    use super::*;
    use crate::api::DtlsVersions;

    fn addresses(bind: &[&str], advertised: &[&str]) -> Addresses {
        let parse = |list: &[&str]| list.iter().map(|it| it.parse().unwrap()).collect();
        Addresses::of(&TransportConfig {
            workers: 1,
            bind: parse(bind),
            udp_port: 0,
            tcp_port: None,
            advertised: parse(advertised),
            dtls: DtlsVersions::V12,
            consent_timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(30),
            pin: false,
            engine: EngineConfig::default(),
        })
    }

    #[test]
    fn local_addresses_get_a_socket_each() {
        let got = addresses(&["0.0.0.0"], &["127.0.0.1"]);
        assert_eq!(got.udp, [IpAddr::from([127, 0, 0, 1])]);
        let got = addresses(&["0.0.0.0"], &["127.0.0.1", "127.0.0.2"]);
        let expected: [IpAddr; 2] = [[127, 0, 0, 1].into(), [127, 0, 0, 2].into()];
        assert_eq!(got.udp, expected);
        assert_eq!(got.tcp, [IpAddr::from([0, 0, 0, 0])]);
    }

    #[test]
    fn the_outer_side_of_a_nat_is_served_by_the_unspecified_one() {
        for advertised in [&["203.0.113.5"][..], &["203.0.113.5", "127.0.0.1"], &[]] {
            let got = addresses(&["0.0.0.0"], advertised);
            assert_eq!(got.udp, [IpAddr::from([0, 0, 0, 0])], "{advertised:?}");
        }
    }

    #[test]
    fn addresses_that_are_named_are_kept() {
        let got = addresses(&["127.0.0.2", "127.0.0.1"], &["127.0.0.1", "127.0.0.3"]);
        let expected: [IpAddr; 2] = [[127, 0, 0, 1].into(), [127, 0, 0, 2].into()];
        assert_eq!(got.udp, expected);
    }

    #[test]
    fn advertised_addresses_get_the_port_of_the_socket_that_serves_them() {
        let bind = |address: &str| {
            let address = SocketAddr::new(address.parse().unwrap(), 0);
            UdpSocket::bind(address, Offload::NONE).unwrap()
        };
        let sockets = [bind("127.0.0.1"), bind("127.0.0.2"), bind("::1")];
        let ports: Vec<_> = sockets.iter().map(|socket| socket.local().port()).collect();
        let advertised = ["203.0.113.5", "127.0.0.2", "2001:db8::5"];
        let advertised: Vec<IpAddr> = advertised.iter().map(|it| it.parse().unwrap()).collect();
        let found = candidates(&advertised, &sockets, Some(7881));
        let udp = found.iter().filter(|it| it.protocol == Protocol::Udp);
        let expected = ["203.0.113.5", "127.0.0.2", "2001:db8::5"]
            .into_iter()
            .zip(ports.clone())
            .map(|(ip, port)| SocketAddr::new(ip.parse().unwrap(), port));
        assert!(udp.map(|it| it.address).eq(expected), "{found:?}");
        let tcp = found
            .iter()
            .filter(|it| it.protocol == Protocol::TcpPassive);
        assert!(tcp.map(|it| it.address.port()).eq([7881; 3]));
        // Without any, the bound ones.
        let found = candidates(&[], &sockets, None);
        assert!(found.iter().map(|it| it.address.port()).eq(ports));
    }
}
