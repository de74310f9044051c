//! One participant's end of a session: what was negotiated, a publisher, a receiver.

use crosspoint_media::config::{
    CongestionFeedback, PayloadConfig, ReceiveConfig, RoomId, SessionConfig, SessionId, SessionKey,
    SlotConfig, TrackId, TrackSource,
};
use crosspoint_wire::codec::{Codec, MediaKind, Profile};
use crosspoint_wire::ext::{ExtensionIds, ExtensionKind};
use crosspoint_wire::ids::{Mid, PayloadType};
use crosspoint_wire::rtp::is_rtcp;
use crosspoint_wire::time::Time;

use crate::link::{Link, LinkConfig};
use crate::publisher::{Clock, Names, Publisher, TrackSpec};
use crate::receiver::Receiver;
use crate::rng::Rng;
use crate::world::ROOM;

/// Payload type of Opus, the same in all sessions.
pub const OPUS: PayloadType = 111;
/// Payload type of Opus with earlier Opus (RFC 2198), as browsers number it.
pub const RED: PayloadType = 63;
/// Payload type of VP8.
pub const VP8: PayloadType = 96;
/// Payload type of VP8's repairs.
pub const VP8_RTX: PayloadType = 97;

/// A packet between a peer and the server.
#[derive(Clone, Debug)]
pub enum Datagram {
    /// Media.
    Rtp(Vec<u8>),
    /// Control.
    Rtcp(Vec<u8>),
}

/// What a peer wants to send.
pub type Outbox = Vec<Datagram>;

/// What a peer is to be.
#[derive(Clone, Debug, Default)]
pub struct PeerConfig {
    /// What it sends.
    pub tracks: Vec<TrackSpec>,
    /// Its video is a shared screen.
    pub shares_screen: bool,
    /// How many of each it can receive.
    pub audio_slots: usize,
    /// See `audio_slots`.
    pub video_slots: usize,
    /// Its clocks.
    pub clock: Clock,
    /// From it to the server.
    pub up: LinkConfig,
    /// From the server to it.
    pub down: LinkConfig,
    /// Congestion feedback that it understands.
    pub feedback: CongestionFeedback,
}

/// See the module documentation.
#[derive(Debug)]
pub struct Peer {
    /// Its session.
    pub session: SessionId,
    /// Its session's key in its engine.
    pub key: SessionKey,
    /// Which of the world's engines has it.
    pub engine: usize,
    /// Where it is.
    pub room: RoomId,
    /// Its sending half.
    pub publisher: Publisher,
    /// Its receiving half.
    pub receiver: Receiver,
    /// From it to the server.
    pub up: Link,
    /// From the server to it.
    pub down: Link,
    /// Whether it is there at all.
    pub connected: bool,
    config: PeerConfig,
}

impl Peer {
    /// A peer with the session number `session`, from which all its other numbers follow.
    #[must_use]
    pub fn new(
        session: SessionId,
        key: SessionKey,
        engine: usize,
        config: PeerConfig,
        now: Time,
        mut rng: Rng,
    ) -> Self {
        let first_stream = session.0 as u32 * 1000;
        let publisher = Publisher::new(
            &config.tracks,
            config.clock,
            now,
            first_stream,
            extension_ids(),
            rng.fork(),
        );
        let receiver = Receiver::new(slots(&config, &mut rng), extension_ids(), now);
        Self {
            session,
            key,
            engine,
            room: ROOM,
            publisher,
            receiver,
            up: Link::new(config.up, rng.fork()),
            down: Link::new(config.down, rng.fork()),
            connected: true,
            config,
        }
    }

    /// The outcome of its offer and the server's answer.
    #[must_use]
    pub fn session_config(&self) -> SessionConfig {
        SessionConfig {
            receive: self.receive_configs(),
            slots: self.receiver.slots().map(|s| s.config.clone()).collect(),
            extensions: extension_ids(),
            slot_extensions: extension_ids(),
            feedback: self.config.feedback,
            reduced_size_rtcp: true,
            cname: "sim".to_owned(),
        }
    }

    /// The track that it sends on an m-line.
    #[must_use]
    pub fn track(&self, mid: Mid) -> Option<TrackId> {
        let index = self.config.tracks.iter().position(|t| t.mid == mid)?;
        Some(TrackId(self.session.0 * 100 + index as u64))
    }

    /// When it next has something to do by itself.
    #[must_use]
    pub fn next_timeout(&self) -> Time {
        if self.connected {
            self.publisher
                .next_timeout()
                .min(self.receiver.next_timeout())
        } else {
            Time::NEVER
        }
    }

    /// Does what is due.
    pub fn poll(&mut self, now: Time, out: &mut Outbox) {
        self.publisher.poll(now, out);
        self.receiver.poll(now, out);
    }

    /// Takes a packet from the server.
    pub fn on_datagram(&mut self, now: Time, packet: &[u8], out: &mut Outbox) {
        if is_rtcp(packet) {
            self.receiver.on_rtcp(now, packet);
            self.publisher.on_rtcp(now, packet, out);
        } else {
            self.receiver.on_rtp(now, packet);
        }
    }

    /// m-lines that it sends on.
    pub fn mids(&self) -> impl Iterator<Item = Mid> {
        self.config.tracks.iter().map(|t| t.mid)
    }

    fn receive_configs(&self) -> Vec<ReceiveConfig> {
        let configs = self.config.tracks.iter().filter_map(|spec| {
            let kind = spec.source.kind();
            let declared = spec.names == Names::Declared;
            Some(ReceiveConfig {
                mid: spec.mid,
                track: self.track(spec.mid)?,
                kind,
                source: match kind {
                    MediaKind::Audio => TrackSource::Microphone,
                    MediaKind::Video if self.config.shares_screen => TrackSource::ScreenShare,
                    MediaKind::Video => TrackSource::Camera,
                },
                payloads: vec![payload(kind)],
                ssrcs: if declared {
                    self.publisher.ssrcs(spec.mid)
                } else {
                    Vec::new()
                },
                rids: (0..spec.source.encodings())
                    .filter_map(|i| spec.rid(i))
                    .collect(),
                muted: false,
                reserved: false,
            })
        });
        configs.collect()
    }
}

fn slots(config: &PeerConfig, rng: &mut Rng) -> Vec<SlotConfig> {
    let mut slot = |kind, letter: char, index: usize| SlotConfig {
        mid: Mid::new(format!("{letter}{index}").as_bytes()).expect("a token"),
        kind,
        ssrc: rng.next_u64() as u32,
        rtx_ssrc: (kind == MediaKind::Video).then(|| rng.next_u64() as u32),
        payloads: vec![payload(kind)],
        pair: index as u16,
        transport_cc: true,
        descriptors: true,
    };
    let audio = (0..config.audio_slots).map(|i| (MediaKind::Audio, 'a', i));
    let video = (0..config.video_slots).map(|i| (MediaKind::Video, 'v', i));
    audio
        .chain(video)
        .map(|(kind, letter, index)| slot(kind, letter, index))
        .collect()
}

fn payload(kind: MediaKind) -> PayloadConfig {
    let video = kind == MediaKind::Video;
    PayloadConfig {
        payload_type: if video { VP8 } else { OPUS },
        codec: if video { Codec::Vp8 } else { Codec::Opus },
        profile: Profile::None,
        rtx: video.then_some(VP8_RTX),
        red: (!video).then_some(RED),
        nack: video,
        pli: video,
        fir: false,
    }
}

fn extension_ids() -> ExtensionIds {
    let mut ids = ExtensionIds::new();
    ids.set(ExtensionKind::Mid, 1);
    ids.set(ExtensionKind::Rid, 2);
    ids.set(ExtensionKind::RepairedRid, 3);
    ids.set(ExtensionKind::AudioLevel, 4);
    ids.set(ExtensionKind::AbsSendTime, 5);
    ids.set(ExtensionKind::TransportCc, 6);
    ids
}
