//! The clients that the server is tested against.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use dimpl::certificate::generate_self_signed_certificate;
use dimpl::{Config, Dtls};
use rtc_dtls::config::{ConfigBuilder, ExtendedMasterSecretType};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::crypto_provider::default_provider;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;

use super::super::PollBuffer;
use crate::api::DtlsVersions;
use crate::srtp::{Keys, Profile};

/// A DTLS client without sockets and clock.
pub(crate) trait Client {
    fn certificate(&self) -> Vec<u8>;
    fn poll_transmit(&mut self) -> Option<Vec<u8>>;
    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]);
    fn handle_timeout(&mut self, now: Instant);
    fn next_timeout(&self) -> Option<Instant>;
    fn send(&mut self, now: Instant, data: &[u8]);
    fn close(&mut self, now: Instant);
    fn is_closed(&self) -> bool;
    fn take_data(&mut self) -> Vec<Vec<u8>>;
    /// Once connected.
    fn keys(&self) -> Option<(Profile, Keys)>;
}

/// The library that the server is built on, as client.
pub(crate) struct DimplClient {
    stack: Dtls,
    certificate: Vec<u8>,
    buffer: Box<PollBuffer>,
    transmits: VecDeque<Vec<u8>>,
    wake: Option<Instant>,
    keys: Option<(Profile, Keys)>,
    data: Vec<Vec<u8>>,
    closed: bool,
    failed: bool,
}

impl DimplClient {
    pub(crate) fn new(now: Instant, versions: DtlsVersions, mtu: usize) -> Self {
        let certificate = generate_self_signed_certificate().unwrap();
        let config = Config::builder()
            .mtu(mtu)
            .max_queue_tx(100)
            .max_queue_rx(100)
            .build()
            .unwrap();
        let der = certificate.certificate.clone();
        let mut stack = match versions {
            DtlsVersions::V12 => Dtls::new_12(Arc::new(config), certificate, now),
            DtlsVersions::Auto => Dtls::new_auto(Arc::new(config), certificate, now),
        };
        stack.set_active(true);
        stack.handle_timeout(now).unwrap();
        let mut client = Self {
            stack,
            certificate: der,
            buffer: super::buffer(),
            transmits: VecDeque::new(),
            wake: None,
            keys: None,
            data: Vec::new(),
            closed: false,
            failed: false,
        };
        client.drain();
        client
    }

    fn drain(&mut self) {
        loop {
            match self.stack.poll_output(&mut self.buffer[..]) {
                dimpl::Output::Packet(packet) => self.transmits.push_back(packet.to_vec()),
                dimpl::Output::KeyingMaterial(material, profile) => {
                    let profile = match profile {
                        dimpl::SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
                        dimpl::SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
                        _ => Profile::Aes128CmSha1,
                    };
                    let keys = Keys::from_exporter(profile, &material).unwrap();
                    self.keys = Some((profile, keys));
                }
                dimpl::Output::ApplicationData(data) => self.data.push(data.to_vec()),
                dimpl::Output::CloseNotify => self.closed = true,
                dimpl::Output::Timeout(wake) => {
                    self.wake = Some(wake);
                    return;
                }
                _ => {}
            }
        }
    }
}

impl Client for DimplClient {
    fn certificate(&self) -> Vec<u8> {
        self.certificate.clone()
    }

    fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.failed |= self.stack.handle_timeout(now).is_err();
        self.failed |= self.stack.handle_packet(datagram).is_err();
        self.drain();
    }

    fn handle_timeout(&mut self, now: Instant) {
        if !self.failed {
            self.failed |= self.stack.handle_timeout(now).is_err();
            self.drain();
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.wake.filter(|_| !self.failed)
    }

    fn send(&mut self, _: Instant, data: &[u8]) {
        self.stack.send_application_data(data).unwrap();
        self.drain();
    }

    fn close(&mut self, _: Instant) {
        self.stack.close().unwrap();
        self.drain();
    }

    fn is_closed(&self) -> bool {
        self.closed
    }

    fn take_data(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.data)
    }

    fn keys(&self) -> Option<(Profile, Keys)> {
        self.keys.clone()
    }
}

/// The DTLS of webrtc-rs, of another author: version 1.2 only.
pub(crate) struct RtcClient {
    endpoint: Endpoint,
    certificate: Vec<u8>,
    connected: bool,
    data: Vec<Vec<u8>>,
    closed: bool,
}

impl RtcClient {
    pub(crate) fn new(now: Instant, profiles: &[Profile], with_certificate: bool) -> Self {
        let provider = default_provider().unwrap();
        let certificate =
            Certificate::generate_self_signed(vec!["client".to_owned()], provider.crypto())
                .unwrap();
        let der = certificate.certificate[0].to_vec();
        let profiles = profiles.iter().map(|profile| match profile {
            Profile::AeadAes256Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
            Profile::AeadAes128Gcm => SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
            Profile::Aes128CmSha1 => SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
        });
        let mut config = ConfigBuilder::default()
            .with_crypto_provider(provider)
            .with_insecure_skip_verify(true)
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .with_srtp_protection_profiles(profiles.collect());
        if with_certificate {
            config = config.with_certificates(vec![certificate]);
        }
        let mut endpoint = Endpoint::new(addr(1), rtc_shared::TransportProtocol::UDP, None);
        let config = Arc::new(config.build(true, Some(addr(2))).unwrap());
        endpoint.connect(now, addr(2), config, None).unwrap();
        Self {
            endpoint,
            certificate: der,
            connected: false,
            data: Vec::new(),
            closed: false,
        }
    }
}

impl Client for RtcClient {
    fn certificate(&self) -> Vec<u8> {
        self.certificate.clone()
    }

    fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        Some(self.endpoint.poll_transmit()?.message.to_vec())
    }

    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        let events = self.endpoint.read(now, addr(2), None, datagram.into());
        for event in events.unwrap_or_default() {
            match event {
                EndpointEvent::HandshakeComplete => self.connected = true,
                EndpointEvent::ApplicationData(data) => self.data.push(data.to_vec()),
                EndpointEvent::PeerClosed => self.closed = true,
                _ => {}
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        let _ = self.endpoint.handle_timeout(addr(2), now);
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.endpoint.poll_timeout(&addr(2))
    }

    fn send(&mut self, now: Instant, data: &[u8]) {
        self.endpoint.write(now, addr(2), data).unwrap();
    }

    fn close(&mut self, now: Instant) {
        self.endpoint.close(now).unwrap();
    }

    fn is_closed(&self) -> bool {
        self.closed
    }

    fn take_data(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.data)
    }

    fn keys(&self) -> Option<(Profile, Keys)> {
        let state = self.endpoint.get_connection_state(addr(2))?;
        let (profile, len) = match state.srtp_protection_profile() {
            SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm => (Profile::AeadAes256Gcm, 88),
            SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm => (Profile::AeadAes128Gcm, 56),
            SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80 => (Profile::Aes128CmSha1, 60),
            _ => return None,
        };
        let material = state
            .export_keying_material("EXTRACTOR-dtls_srtp", &[], len)
            .ok()
            .filter(|_| self.connected)?
            .into_bytes();
        Some((profile, Keys::from_exporter(profile, &material).unwrap()))
    }
}

fn addr(host: u8) -> SocketAddr {
    ([127, 0, 0, host], 5000).into()
}
