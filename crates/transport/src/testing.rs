//! A peer for tests: what a browser does on the wire, without sockets and clock.
//!
//! Its DTLS is `rtc-dtls`, of another author than the server's.

mod data;

use std::collections::VecDeque;
use std::time::Instant;

use crosspoint_media::command::Command as MediaCommand;
use crosspoint_media::config::{
    ParticipantId, PayloadConfig, ReceiveConfig, RoomConfig, RoomId, SessionConfig, SessionId,
    SlotConfig, TrackId, TrackSource,
};
use crosspoint_wire::codec::{Codec, MediaKind, Profile as CodecProfile};
use crosspoint_wire::ids::Mid;
use crosspoint_wire::rtp::{HeaderWriter, RtpHeader, RtpView};
use crosspoint_wire::stun::{Class, Key, Message, Role, Writer};

use self::data::DataPeer;
use crate::api::{Command, Fingerprint, FingerprintAlgorithm, IceCredentials};
use crate::demux::Kind;
use crate::dtls::tests::clients::{Client, RtcClient};
use crate::srtp::{Inbound, MAX_RTCP_OVERHEAD, MAX_RTP_OVERHEAD, Outbound, Profile};

/// Slots of each peer.
const SLOTS: u32 = 2;

/// The room that all peers are in.
pub(crate) const ROOM: RoomId = RoomId(1);

const OPUS: PayloadConfig = PayloadConfig {
    payload_type: 111,
    codec: Codec::Opus,
    profile: CodecProfile::None,
    rtx: None,
    red: None,
    nack: false,
    pli: false,
    fir: false,
};

/// One peer; publishes one Opus track and has two audio slots.
pub(crate) struct Peer {
    pub(crate) id: SessionId,
    pub(crate) server: IceCredentials,
    pub(crate) own: IceCredentials,
    dtls: RtcClient,
    dtls_sent: VecDeque<Vec<u8>>,
    keys: Option<(Inbound, Outbound)>,
    data: Option<DataPeer>,
    next_index: u64,
    transactions: u64,
    pub(crate) inbox: Inbox,
}

fn mid(number: u32) -> Mid {
    Mid::new(number.to_string().as_bytes()).unwrap()
}

/// What a peer received.
#[derive(Default)]
pub(crate) struct Inbox {
    /// Success responses to its checks.
    pub(crate) checks_answered: usize,
    /// Error codes in answer to its checks.
    pub(crate) check_errors: Vec<u16>,
    /// Payloads of RTP packets that decrypted.
    pub(crate) payloads: Vec<Vec<u8>>,
    /// RTCP packets that decrypted.
    pub(crate) rtcp: usize,
    /// Packets that did not decrypt.
    pub(crate) garbage: usize,
    /// DTLS datagrams.
    pub(crate) dtls: usize,
}

impl Peer {
    pub(crate) fn new(now: Instant, id: u64) -> Self {
        Self::with_profiles(now, id, &[Profile::Aes128CmSha1, Profile::AeadAes128Gcm])
    }

    pub(crate) fn with_profiles(now: Instant, id: u64, profiles: &[Profile]) -> Self {
        let credentials = |side: &str| IceCredentials {
            ufrag: format!("{side}{id}"),
            pwd: format!("password-of-{side}-{id}-0123456789"),
        };
        Self {
            id: SessionId(id),
            server: credentials("srv"),
            own: credentials("own"),
            dtls: RtcClient::new(now, profiles, true),
            dtls_sent: VecDeque::new(),
            keys: None,
            data: None,
            next_index: 100,
            transactions: id << 32,
            inbox: Inbox::default(),
        }
    }

    /// SHA-256 of its certificate.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.dtls.certificate());
        Fingerprint {
            algorithm: FingerprintAlgorithm::Sha256,
            digest: digest.as_ref().to_vec(),
        }
    }

    pub(crate) fn open_command(&self) -> Command {
        self.open_command_with(self.fingerprint())
    }

    pub(crate) fn open_command_with(&self, fingerprint: Fingerprint) -> Command {
        Command::OpenSession {
            session: self.id,
            local: self.server.clone(),
            remote: self.own.clone(),
            fingerprints: vec![fingerprint],
        }
    }

    /// Makes new credentials on both sides.
    pub(crate) fn restart_command(&mut self) -> Command {
        self.server.ufrag.push('r');
        self.own.ufrag.push('r');
        self.server.pwd.push('r');
        Command::RestartIce {
            session: self.id,
            local: self.server.clone(),
            remote: self.own.clone(),
        }
    }

    pub(crate) fn track(&self) -> TrackId {
        TrackId(self.id.0)
    }

    fn ssrc(&self) -> u32 {
        self.id.0 as u32 * 100
    }

    /// How its track is declared.
    pub(crate) fn receive_config(&self) -> ReceiveConfig {
        ReceiveConfig {
            mid: mid(0),
            track: self.track(),
            kind: MediaKind::Audio,
            source: TrackSource::Microphone,
            payloads: vec![OPUS],
            ssrcs: vec![(self.ssrc(), None)],
            rids: vec![],
            muted: false,
            reserved: false,
        }
    }

    /// The commands that put it into the room.
    pub(crate) fn media_commands(&self) -> [Command; 2] {
        let slot = |n| SlotConfig {
            mid: mid(n),
            kind: MediaKind::Audio,
            ssrc: self.ssrc() + n,
            rtx_ssrc: None,
            payloads: vec![OPUS],
            pair: n as u16,
            transport_cc: false,
            descriptors: false,
        };
        let config = SessionConfig {
            receive: vec![self.receive_config()],
            slots: (1..=SLOTS).map(slot).collect(),
            reduced_size_rtcp: true,
            cname: "test".to_owned(),
            ..SessionConfig::default()
        };
        let room = MediaCommand::PutRoom {
            room: ROOM,
            config: RoomConfig {
                top_audio: None,
                home: true,
            },
        };
        let session = MediaCommand::PutSession {
            session: self.id,
            participant: ParticipantId(self.id.0),
            room: ROOM,
            config,
            auto_subscribe: true,
        };
        [Command::Media(room, None), Command::Media(session, None)]
    }

    /// A connectivity check.
    pub(crate) fn check(&mut self, nominate: bool) -> Vec<u8> {
        self.check_as(nominate, Role::Controlling)
    }

    pub(crate) fn check_as(&mut self, nominate: bool, role: Role) -> Vec<u8> {
        self.transactions += 1;
        let mut transaction = [0; 12];
        transaction[4..].copy_from_slice(&self.transactions.to_be_bytes());
        let mut bytes = [0; 300];
        let mut writer = Writer::new(&mut bytes, Class::Request, &transaction)
            .username(&self.server.ufrag, &self.own.ufrag)
            .priority(1)
            .role(role, 1);
        if nominate {
            writer = writer.use_candidate();
        }
        let len = writer.finish(&Key::new(&self.server.pwd)).unwrap();
        bytes[..len].to_vec()
    }

    /// Takes what the server sent.
    pub(crate) fn handle(&mut self, now: Instant, datagram: &[u8]) {
        match Kind::of(datagram) {
            Some(Kind::Stun) => self.handle_stun(datagram),
            Some(Kind::Dtls) => {
                self.inbox.dtls += 1;
                self.dtls.handle_datagram(now, datagram);
                self.collect(now);
            }
            Some(Kind::Rtp) => {
                let mut packet = datagram.to_vec();
                let keys = self.keys.as_mut();
                match keys.map(|(inbound, _)| inbound.unprotect_rtp(&mut packet)) {
                    Some(Ok(len)) => {
                        let view = RtpView::parse(&packet[..len]).unwrap();
                        self.inbox.payloads.push(view.payload().to_vec());
                    }
                    _ => self.inbox.garbage += 1,
                }
            }
            Some(Kind::Rtcp) => {
                let mut packet = datagram.to_vec();
                let keys = self.keys.as_mut();
                match keys.map(|(inbound, _)| inbound.unprotect_rtcp(&mut packet)) {
                    Some(Ok(_)) => self.inbox.rtcp += 1,
                    _ => self.inbox.garbage += 1,
                }
            }
            None => self.inbox.garbage += 1,
        }
    }

    fn handle_stun(&mut self, datagram: &[u8]) {
        let message = Message::parse(datagram).unwrap();
        message.verify(&Key::new(&self.server.pwd)).unwrap();
        match message.class() {
            Class::Success => self.inbox.checks_answered += 1,
            Class::Error => self.inbox.check_errors.push(message.error_code().unwrap()),
            other => panic!("the server sent {other:?}"),
        }
    }

    fn collect(&mut self, now: Instant) {
        self.dtls.handle_timeout(now);
        if let Some(data) = &mut self.data {
            for packet in self.dtls.take_data() {
                data.handle(now, packet);
            }
            for packet in data.poll(now) {
                self.dtls.send(now, &packet);
            }
        }
        while let Some(datagram) = self.dtls.poll_transmit() {
            self.dtls_sent.push_back(datagram);
        }
        if self.keys.is_none()
            && let Some((_, keys)) = self.dtls.keys()
        {
            let inbound = Inbound::new(&keys.server).unwrap();
            self.keys = Some((inbound, Outbound::new(&keys.client).unwrap()));
        }
    }

    /// DTLS datagrams for the server.
    pub(crate) fn poll_dtls(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.collect(now);
        self.dtls_sent.pop_front()
    }

    /// Asks for an SCTP association.
    pub(crate) fn start_data(&mut self, now: Instant) {
        self.data = Some(DataPeer::new(now));
    }

    /// Opens the reliable channel.
    pub(crate) fn open_channel(&mut self, now: Instant) {
        self.data.as_mut().unwrap().open(now);
    }

    /// Sends a text message on it.
    pub(crate) fn send_text(&mut self, now: Instant, text: &str) {
        self.data.as_mut().unwrap().send(now, text);
    }

    /// Text messages that arrived on it.
    pub(crate) fn texts(&self) -> &[String] {
        self.data.as_ref().map_or(&[], |data| &data.messages)
    }

    /// Closes the DTLS connection.
    pub(crate) fn close(&mut self, now: Instant) {
        self.dtls.close(now);
    }

    /// Whether the server said goodbye.
    pub(crate) fn is_closed(&self) -> bool {
        self.dtls.is_closed()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.keys.is_some()
    }

    /// The next audio packet, as SRTP.
    pub(crate) fn audio(&mut self, payload: &[u8]) -> Vec<u8> {
        let index = self.next_index;
        self.next_index += 1;
        let header = RtpHeader {
            marker: false,
            payload_type: 111,
            sequence_number: index as u16,
            timestamp: index as u32 * 960,
            ssrc: self.ssrc(),
        };
        let mut packet = vec![0; 12];
        let writer = HeaderWriter::new(&mut packet, &header).unwrap();
        assert_eq!(writer.finish(), 12);
        packet.extend_from_slice(payload);
        let len = packet.len();
        packet.resize(len + MAX_RTP_OVERHEAD, 0);
        let (_, outbound) = self.keys.as_mut().unwrap();
        let len = outbound.protect_rtp(&mut packet, len, index).unwrap();
        packet.truncate(len);
        packet
    }

    /// An empty receiver report, as SRTCP.
    pub(crate) fn receiver_report(&mut self) -> Vec<u8> {
        let mut packet = vec![0x80, 201, 0, 1];
        packet.extend_from_slice(&self.ssrc().to_be_bytes());
        let len = packet.len();
        packet.resize(len + MAX_RTCP_OVERHEAD, 0);
        let (_, outbound) = self.keys.as_mut().unwrap();
        let len = outbound.protect_rtcp(&mut packet, len).unwrap();
        packet.truncate(len);
        packet
    }
}
