//! Wiring of settings to the media transport and the control plane.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use crosspoint_control::api::RoomControl;
use crosspoint_control::service::{ControlConfig, Service};
use crosspoint_media::config::{EngineConfig, RetransmitShare};
use crosspoint_transport::Transport;
use crosspoint_transport::api::{DtlsVersions, TransportConfig};

use crate::config::{Config, Dtls};
use crate::messages::JsonMessages;

/// How long a participant may take to make its first offer, e.g. while its user is asked for the
/// camera. From the offer on, `media.connect_timeout_s` counts.
const OFFER_TIMEOUT: Duration = Duration::from_secs(30);

/// Opens the media ports and starts the workers and the control plane.
pub(crate) fn start(config: &Config, development: bool) -> anyhow::Result<Arc<dyn RoomControl>> {
    let transport = Transport::start(transport_config(config, development))?;
    let control: Arc<dyn RoomControl> = Service::start(transport, control_config(config));
    Ok(control)
}

/// What the settings mean for the control plane.
fn control_config(config: &Config) -> ControlConfig {
    let connect_timeout = Duration::from_secs(config.media.connect_timeout_s);
    ControlConfig {
        setup_timeout: OFFER_TIMEOUT + connect_timeout,
        ..ControlConfig::new(Arc::new(JsonMessages))
    }
}

/// What the settings mean for the transport.
fn transport_config(config: &Config, development: bool) -> TransportConfig {
    let media = &config.media;
    let (bind, advertised) = if development {
        let loopback = usable(&[Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        (loopback.clone(), loopback)
    } else if media.addresses.is_empty() {
        (usable(&media.listen), outward_addresses(&media.listen))
    } else {
        (usable(&media.listen), media.addresses.clone())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    TransportConfig {
        workers: match media.workers {
            0 => cores,
            workers => workers.into(),
        },
        bind,
        udp_port: media.udp_port,
        tcp_port: media.tcp.then_some(media.tcp_port),
        advertised,
        dtls: match media.dtls {
            Dtls::V12 => DtlsVersions::V12,
            Dtls::Auto => DtlsVersions::Auto,
        },
        consent_timeout: Duration::from_secs(media.consent_timeout_s),
        connect_timeout: Duration::from_secs(media.connect_timeout_s),
        pin: media.pin_workers,
        engine: EngineConfig {
            seed: rand::random(),
            cache_duration: Duration::from_millis(media.cache_ms),
            cache_bytes_max: media.cache_bytes,
            keyframe_request_interval: Duration::from_millis(media.keyframe_interval_ms),
            retransmit: RetransmitShare {
                percent: media.retransmit_percent,
                percent_max: media.retransmit_percent_max,
            },
            start_bitrate_bps: media.start_bitrate_bps,
            max_bitrate_bps: media.max_bitrate_bps,
            ..EngineConfig::default()
        },
    }
}

/// Those that can be bound here: machines without IPv6 lack `::` and `::1`. Other addresses are kept,
/// so that a wrong one is an error and not a silence.
fn usable(listen: &[IpAddr]) -> Vec<IpAddr> {
    let general = |ip: &IpAddr| ip.is_unspecified() || ip.is_loopback();
    listen
        .iter()
        .copied()
        .filter(|ip| !general(ip) || UdpSocket::bind((*ip, 0)).is_ok())
        .collect()
}

/// The addresses that this machine would send from to reach the internet, of the families listened
/// on; no packet is sent to find out. A machine without a way out advertises loopback.
fn outward_addresses(listen: &[IpAddr]) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for ip in listen {
        let found = if ip.is_unspecified() {
            source_towards(match ip {
                IpAddr::V4(_) => SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 9)),
                IpAddr::V6(_) => {
                    SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 9))
                }
            })
        } else {
            Some(*ip)
        };
        addresses.extend(found.filter(|ip| !addresses.contains(ip)));
    }
    if addresses.is_empty() {
        addresses.push(Ipv4Addr::LOCALHOST.into());
    }
    addresses
}

fn source_towards(target: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match target {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(target).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_unspecified()).then_some(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_control_plane_is_more_patient_than_the_transport() {
        let mut config = Config::default();
        for seconds in [5, 30, 300] {
            config.media.connect_timeout_s = seconds;
            let transport = transport_config(&config, true).connect_timeout;
            assert_eq!(transport, Duration::from_secs(seconds));
            assert!(control_config(&config).setup_timeout > transport);
        }
    }
}
