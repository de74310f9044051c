//! Handshakes with two independent clients over a network in virtual time that loses and forges.

pub(crate) mod clients;

use self::clients::{Client, DimplClient, RtcClient};
use super::*;
use crate::api::FingerprintAlgorithm;

const VERSIONS: [DtlsVersions; 2] = [DtlsVersions::V12, DtlsVersions::Auto];

#[test]
fn both_clients_connect_and_derive_the_same_keys() {
    for versions in VERSIONS {
        for client in all_clients() {
            let mut call = Call::new(versions, client);
            call.run();
            call.assert_secure();
        }
    }
}

#[test]
fn the_best_profile_of_the_client_is_taken_whatever_its_order() {
    use Profile::{AeadAes128Gcm as Gcm128, AeadAes256Gcm as Gcm256, Aes128CmSha1 as Cm};
    for (offer, expected) in [
        (&[Cm, Gcm256, Gcm128][..], Gcm256),
        (&[Cm, Gcm128], Gcm128),
        (&[Gcm128, Gcm256], Gcm256),
        (&[Gcm256], Gcm256),
        (&[Cm], Cm),
    ] {
        let client = RtcClient::new(Instant::now(), offer, true);
        let mut call = Call::new(DtlsVersions::V12, Box::new(client));
        call.run();
        call.assert_secure();
        assert_eq!(call.profile(), Some(expected), "{offer:?}");
    }
}

#[test]
fn a_client_without_srtp_profile_fails() {
    let client = RtcClient::new(Instant::now(), &[], true);
    let mut call = Call::new(DtlsVersions::V12, Box::new(client));
    call.run();
    assert_eq!(call.failure, Some(DtlsFailure::NoSrtpProfile));
    assert!(call.secured.is_none());
}

#[test]
fn a_certificate_that_the_offer_does_not_name_ends_the_session() {
    let other = DtlsIdentity::generate().unwrap().fingerprint().clone();
    for versions in VERSIONS {
        for fingerprints in [vec![], vec![other.clone()]] {
            for client in all_clients() {
                let mut call = Call::expecting(versions, client, fingerprints.clone());
                call.run();
                assert_eq!(call.failure, Some(DtlsFailure::FingerprintMismatch));
                assert!(call.secured.is_none());
                assert!(call.server.send(b"data").is_err());
            }
        }
    }
}

#[test]
fn one_matching_fingerprint_of_several_is_enough_and_all_digests_are_known() {
    for algorithm in [
        FingerprintAlgorithm::Sha256,
        FingerprintAlgorithm::Sha384,
        FingerprintAlgorithm::Sha512,
    ] {
        let client = DimplClient::new(Instant::now(), DtlsVersions::V12, 1200);
        let right = fingerprint(algorithm, &client.certificate());
        let wrong = fingerprint(algorithm, b"another certificate");
        let mut truncated = right.clone();
        truncated.digest.pop();

        let expected = vec![wrong.clone(), right];
        let mut call = Call::expecting(DtlsVersions::V12, Box::new(client), expected);
        call.run();
        call.assert_secure();

        let client = DimplClient::new(Instant::now(), DtlsVersions::V12, 1200);
        let mut call = Call::expecting(DtlsVersions::V12, Box::new(client), vec![wrong, truncated]);
        call.run();
        assert_eq!(call.failure, Some(DtlsFailure::FingerprintMismatch));
    }
}

#[test]
fn a_client_without_certificate_does_not_connect() {
    for versions in VERSIONS {
        let client = RtcClient::new(Instant::now(), &[Profile::AeadAes128Gcm], false);
        let fingerprints = vec![fingerprint(FingerprintAlgorithm::Sha256, b"")];
        let mut call = Call::expecting(versions, Box::new(client), fingerprints);
        call.run();
        assert!(call.secured.is_none());
        assert_eq!(call.failure, Some(DtlsFailure::Timeout));
    }
}

#[test]
fn a_client_hello_may_span_datagrams() {
    for versions in VERSIONS {
        let client = DimplClient::new(Instant::now(), versions, 120);
        let mut call = Call::new(versions, Box::new(client));
        call.run();
        call.assert_secure();
        assert!(call.to_server > 4);
    }
}

#[test]
fn the_handshake_survives_the_loss_of_any_datagram() {
    for versions in VERSIONS {
        for client in 0..all_clients().len() {
            for lost in 0..12 {
                // rtc-dtls does not send its second flight again.
                if client == 2 && lost == 2 {
                    continue;
                }
                let mut call = Call::new(versions, all_clients().swap_remove(client));
                call.lose = Box::new(move |sent| sent == lost);
                call.run();
                call.assert_secure();
            }
        }
    }
}

#[test]
fn the_handshake_survives_the_loss_of_the_first_datagrams() {
    for versions in VERSIONS {
        for client in 0..all_clients().len() {
            for lost in 1..5 {
                let mut call = Call::new(versions, all_clients().swap_remove(client));
                call.lose = Box::new(move |sent| sent < lost);
                call.run();
                call.assert_secure();
            }
        }
    }
}

#[test]
fn a_handshake_that_never_ends_fails_after_ten_seconds() {
    for versions in VERSIONS {
        for client in all_clients() {
            let mut call = Call::new(versions, client);
            // The server hears the client, never the other way round.
            call.lose_to_client = true;
            call.run();
            assert_eq!(call.failure, Some(DtlsFailure::Timeout));
            assert_eq!(call.now - call.start, HANDSHAKE_TIMEOUT);
            assert_eq!(call.server.next_timeout(), None);
        }
    }
}

#[test]
fn without_datagrams_there_is_no_deadline() {
    let mut call = Call::new(DtlsVersions::V12, all_clients().swap_remove(0));
    let mut buffer = buffer();
    for second in 0..100 {
        let now = call.start + Duration::from_secs(second);
        call.server.handle_timeout(now);
        assert!(matches!(call.server.poll(&mut buffer), Output::Idle));
    }
    assert!(!call.server.is_connected());
}

#[test]
fn garbage_at_any_time_does_not_end_the_session() {
    for versions in VERSIONS {
        for client in 0..all_clients().len() {
            for seed in 0..50 {
                let mut call = Call::new(versions, all_clients().swap_remove(client));
                call.forge = Some(Forger(seed));
                call.run();
                call.assert_secure();
                // And not afterwards.
                for _ in 0..200 {
                    call.forge_now();
                }
                assert_eq!(call.failure, None);
                assert!(call.server.is_connected());
                call.exchange_data();
            }
        }
    }
}

#[test]
fn a_plaintext_alert_does_not_end_the_session() {
    for versions in VERSIONS {
        for client in all_clients() {
            let mut call = Call::new(versions, client);
            let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40];
            call.forged = Some(alert.to_vec());
            call.run();
            call.assert_secure();
            call.forge_now();
            call.exchange_data();
        }
    }
}

#[test]
fn plaintext_records_behind_the_handshake_do_not_end_the_session() {
    for versions in VERSIONS {
        for client in 0..all_clients().len() {
            let mut call = Call::new(versions, all_clients().swap_remove(client));
            call.run();
            call.assert_secure();
            for content_type in 20..=26 {
                for number in 0..100 {
                    // Epoch 0, one byte of content.
                    let mut record = [content_type, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
                    record[10] = number;
                    call.server.handle_datagram(call.now, &record);
                    call.drain_server();
                }
            }
            assert_eq!(call.failure, None);
            assert!(call.server.is_connected());
            call.exchange_data();
        }
    }
}

#[test]
fn a_forged_certificate_costs_an_attempt_and_not_the_session() {
    // Somebody else's handshake, played to the server before the client's.
    let mut stranger = Call::new(DtlsVersions::V12, all_clients().swap_remove(0));
    stranger.record = true;
    stranger.run();

    let mut call = Call::new(DtlsVersions::V12, all_clients().swap_remove(0));
    for datagram in &stranger.recorded {
        call.server.handle_datagram(call.now, datagram);
        call.drain_server();
    }
    assert_eq!(call.failure, None);
    call.to_client.clear();
    call.now += Duration::from_millis(100);
    call.run();
    call.assert_secure();
}

#[test]
fn long_datagrams_are_refused() {
    let mut call = Call::new(DtlsVersions::V12, all_clients().swap_remove(0));
    assert!(call.server.handle_datagram(call.now, &[22; MAX_DATAGRAM]));
    assert!(
        !call
            .server
            .handle_datagram(call.now, &[22; MAX_DATAGRAM + 1])
    );
}

#[test]
fn a_certificate_as_large_as_the_queue_allows_does_not_overflow_the_buffer() {
    // A ClientHello by a real client, then an endless Certificate in its place in the flight.
    let mut client = all_clients().swap_remove(0);
    let mut call = Call::new(DtlsVersions::V12, all_clients().swap_remove(0));
    while let Some(hello) = client.poll_transmit() {
        call.server.handle_datagram(call.now, &hello);
    }
    call.drain_server();
    let chain_len = 1900 * 28;
    for part in 0..28_u32 {
        let mut body = vec![0x30; 1900];
        if part == 0 {
            body[..3].copy_from_slice(&(chain_len - 3_u32).to_be_bytes()[1..]);
            body[3..6].copy_from_slice(&(chain_len - 6_u32).to_be_bytes()[1..]);
        }
        let mut datagram = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, part as u8 + 50];
        datagram.extend_from_slice(&(12 + 1900_u16).to_be_bytes());
        datagram.push(11);
        datagram.extend_from_slice(&chain_len.to_be_bytes()[1..]);
        datagram.extend_from_slice(&1_u16.to_be_bytes());
        datagram.extend_from_slice(&(part * 1900).to_be_bytes()[1..]);
        datagram.extend_from_slice(&1900_u32.to_be_bytes()[1..]);
        datagram.extend_from_slice(&body);
        call.server.handle_datagram(call.now, &datagram);
        call.drain_server();
    }
    assert_eq!(call.failure, None);
    assert!(call.secured.is_none());
}

#[test]
fn data_flows_both_ways_after_the_handshake() {
    for versions in VERSIONS {
        for client in all_clients() {
            let mut call = Call::new(versions, client);
            assert_eq!(call.server.send(b"early"), Err(NotSent));
            call.run();
            call.exchange_data();
        }
    }
}

#[test]
fn the_close_of_either_side_is_told_to_the_other() {
    for versions in VERSIONS {
        for client in all_clients() {
            let mut call = Call::new(versions, client);
            call.run();
            call.client.close(call.now);
            call.deliver();
            assert!(call.closed);
            assert_eq!(call.server.next_timeout(), None);
        }
        for client in all_clients() {
            let mut call = Call::new(versions, client);
            call.run();
            call.server.close();
            call.deliver();
            assert!(call.client.is_closed());
            assert_eq!(call.server.send(b"late"), Err(NotSent));
        }
    }
}

fn all_clients() -> Vec<Box<dyn Client>> {
    let now = Instant::now();
    let profiles = [
        Profile::Aes128CmSha1,
        Profile::AeadAes256Gcm,
        Profile::AeadAes128Gcm,
    ];
    vec![
        Box::new(DimplClient::new(now, DtlsVersions::V12, 1200)),
        Box::new(DimplClient::new(now, DtlsVersions::Auto, 1200)),
        Box::new(RtcClient::new(now, &profiles, true)),
    ]
}

fn fingerprint(algorithm: FingerprintAlgorithm, certificate: &[u8]) -> Fingerprint {
    let digests = match algorithm {
        FingerprintAlgorithm::Sha256 => &ring::digest::SHA256,
        FingerprintAlgorithm::Sha384 => &ring::digest::SHA384,
        FingerprintAlgorithm::Sha512 => &ring::digest::SHA512,
    };
    Fingerprint {
        algorithm,
        digest: ring::digest::digest(digests, certificate).as_ref().to_vec(),
    }
}

fn buffer() -> Box<PollBuffer> {
    vec![0; size_of::<PollBuffer>()]
        .into_boxed_slice()
        .try_into()
        .unwrap()
}

/// One server, one client, and the network between them.
struct Call {
    start: Instant,
    now: Instant,
    server: DtlsServer,
    client: Box<dyn Client>,
    buffer: Box<PollBuffer>,
    to_client: Vec<Vec<u8>>,
    secured: Option<Box<Secured>>,
    data: Vec<Vec<u8>>,
    closed: bool,
    failure: Option<DtlsFailure>,
    /// Datagrams sent by the client.
    to_server: usize,
    /// Which datagrams, counted over both directions, are lost.
    lose: Box<dyn Fn(usize) -> bool>,
    lose_to_client: bool,
    sent: usize,
    /// Forges a datagram to the server before each one of the client.
    forge: Option<Forger>,
    forged: Option<Vec<u8>>,
    record: bool,
    recorded: Vec<Vec<u8>>,
}

impl Call {
    fn new(versions: DtlsVersions, client: Box<dyn Client>) -> Self {
        let expected = fingerprint(FingerprintAlgorithm::Sha256, &client.certificate());
        Self::expecting(versions, client, vec![expected])
    }

    fn expecting(
        versions: DtlsVersions,
        client: Box<dyn Client>,
        fingerprints: Vec<Fingerprint>,
    ) -> Self {
        let identity = Arc::new(DtlsIdentity::generate().unwrap());
        let now = Instant::now();
        Self {
            start: now,
            now,
            server: DtlsServer::new(identity, versions, fingerprints, now),
            client,
            buffer: buffer(),
            to_client: Vec::new(),
            secured: None,
            data: Vec::new(),
            closed: false,
            failure: None,
            to_server: 0,
            lose: Box::new(|_| false),
            lose_to_client: false,
            sent: 0,
            forge: None,
            forged: None,
            record: false,
            recorded: Vec::new(),
        }
    }

    /// Until both are connected and quiet, the server failed, or a minute has passed.
    fn run(&mut self) {
        while self.now - self.start < Duration::from_secs(60) {
            self.deliver();
            let done = self.secured.is_some() && self.client.keys().is_some();
            if self.failure.is_some() || self.closed || done {
                return;
            }
            let server = self.server.next_timeout();
            let Some(next) = [server, self.client.next_timeout()]
                .into_iter()
                .flatten()
                .min()
            else {
                return;
            };
            self.now = next.max(self.now + Duration::from_millis(1));
            self.client.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
            self.drain_server();
        }
    }

    /// Carries datagrams until none is left.
    fn deliver(&mut self) {
        self.drain_server();
        for _ in 0..200 {
            let mut idle = true;
            while let Some(datagram) = self.client.poll_transmit() {
                idle = false;
                self.to_server += 1;
                if self.record {
                    self.recorded.push(datagram.clone());
                }
                self.forge_from(&datagram);
                if !self.lost() {
                    // Past the pause that a forged datagram may have caused.
                    if self.forge.is_some() || self.forged.is_some() {
                        self.now += RESTART_PAUSE;
                    }
                    self.server.handle_datagram(self.now, &datagram);
                    self.drain_server();
                }
            }
            for datagram in std::mem::take(&mut self.to_client) {
                idle = false;
                if !self.lost() && !self.lose_to_client {
                    self.client.handle_datagram(self.now, &datagram);
                }
            }
            if idle {
                return;
            }
        }
        panic!("the two never stop talking");
    }

    fn lost(&mut self) -> bool {
        self.sent += 1;
        (self.lose)(self.sent - 1)
    }

    fn forge_from(&mut self, datagram: &[u8]) {
        if let Some(forger) = &mut self.forge {
            // Whoever can change the client's flights on their way can stop them as well, and no
            // server helps against that. After the handshake nothing helps them.
            let first_flight = datagram.first() == Some(&22) && datagram.get(13) == Some(&1);
            let kinds = match (self.secured.is_some(), first_flight) {
                (true, _) => 5,
                (false, true) => 4,
                (false, false) => 2,
            };
            let forged = forger.forge(datagram, kinds);
            self.server.handle_datagram(self.now, &forged);
            self.drain_server();
        }
        if let Some(forged) = &self.forged {
            self.server.handle_datagram(self.now, forged);
            self.drain_server();
        }
    }

    fn forge_now(&mut self) {
        let template = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 60];
        self.forge_from(&[&template[..], &[1; 60]].concat());
    }

    fn drain_server(&mut self) {
        loop {
            match self.server.poll(&mut self.buffer) {
                Output::Transmit(datagram) => {
                    assert!(datagram.len() <= 1200);
                    self.to_client.push(datagram.to_vec());
                }
                Output::Connected(secured) => {
                    assert!(self.secured.replace(secured).is_none());
                }
                Output::Data(data) => self.data.push(data.to_vec()),
                Output::Closed => self.closed = true,
                Output::Failed(failure) => {
                    assert_eq!(self.failure.replace(failure), None);
                }
                Output::Idle => return,
            }
        }
    }

    fn profile(&self) -> Option<Profile> {
        self.secured.as_ref().map(|secured| secured.profile)
    }

    /// Both sides are connected with the same keys.
    fn assert_secure(&mut self) {
        assert_eq!(self.failure, None);
        let (profile, keys) = self.client.keys().expect("client is connected");
        let secured = self.secured.as_mut().expect("server is connected");
        assert_eq!(secured.profile, profile);

        let mut packet = [0; 64];
        packet[..2].copy_from_slice(&[0x80, 96]);
        let sent = Outbound::new(&keys.client).unwrap();
        let len = sent.protect_rtp(&mut packet, 40, 0).unwrap();
        assert_eq!(secured.inbound.unprotect_rtp(&mut packet[..len]), Ok(40));
        let len = secured.outbound.protect_rtp(&mut packet, 40, 0).unwrap();
        let mut received = Inbound::new(&keys.server).unwrap();
        assert_eq!(received.unprotect_rtp(&mut packet[..len]), Ok(40));
    }

    fn exchange_data(&mut self) {
        self.data.clear();
        self.client.send(self.now, b"to the server");
        self.server.send(b"to the client").unwrap();
        self.deliver();
        assert_eq!(self.data, [b"to the server"]);
        assert_eq!(self.client.take_data(), [b"to the client"]);
    }
}

/// What somebody on the way may send: noise, and the peer's datagrams with changes.
struct Forger(u64);

impl Forger {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn forge(&mut self, datagram: &[u8], kinds: usize) -> Vec<u8> {
        let mut forged = datagram.to_vec();
        match self.below(kinds) {
            0 => {
                forged = (0..1 + self.below(1500))
                    .map(|_| self.below(256) as u8)
                    .collect();
                forged[0] = 20 + self.below(44) as u8;
            }
            1 => forged.extend_from_slice(datagram),
            2 => forged.truncate(1 + self.below(datagram.len())),
            3 => forged[0] = 20 + self.below(6) as u8,
            _ => {
                // Another record number, so that it is not taken for a repetition.
                if let Some(number) = forged.get_mut(10) {
                    *number ^= 0x40;
                }
                for _ in 0..1 + self.below(4) {
                    let at = self.below(forged.len());
                    forged[at] ^= 1 << self.below(8);
                }
            }
        }
        forged
    }
}
