//! An engine, a clock, and people who send real packets.

use std::collections::BTreeMap;
use std::time::Duration;

use crosspoint_media::command::Command;
use crosspoint_media::config::{
    CongestionFeedback, EngineConfig, ParticipantId, PayloadConfig, ReceiveConfig, RelayId,
    RoomConfig, RoomId, SessionConfig, SessionId, SessionKey, SlotConfig, TrackId, TrackSource,
    Wish,
};
use crosspoint_media::engine::Engine;
use crosspoint_media::event::Event;
use crosspoint_media::sink::PacketSink;
use crosspoint_wire::codec::{Codec, MediaKind, Profile};
use crosspoint_wire::ext::{ExtensionIds, ExtensionKind};
use crosspoint_wire::ids::{Mid, Ssrc, Token};
use crosspoint_wire::rtcp::{Compound, RtcpPacket, RtcpWriter};
use crosspoint_wire::rtp::{Extensions, HeaderWriter, RtpHeader, RtpView};
use crosspoint_wire::time::Time;

pub(crate) const ROOM: RoomId = RoomId(1);

pub(crate) fn token(text: &str) -> Mid {
    Token::new(text.as_bytes()).unwrap()
}

/// The ids that everybody negotiates: their place in the list of kinds, from 1.
pub(crate) fn extension_ids() -> ExtensionIds {
    let mut ids = ExtensionIds::new();
    for (i, kind) in ExtensionKind::ALL.into_iter().enumerate() {
        ids.set(kind, i as u8 + 1);
    }
    ids
}

pub(crate) fn payload(codec: Codec) -> PayloadConfig {
    let (payload_type, rtx) = match codec {
        Codec::Opus => (111, None),
        Codec::Pcmu => (0, None),
        Codec::Pcma => (8, None),
        Codec::Vp8 => (96, Some(97)),
        Codec::Vp9 => (98, Some(99)),
        Codec::H264 => (102, Some(103)),
        Codec::Av1 => (45, Some(46)),
    };
    let video = codec.kind() == MediaKind::Video;
    PayloadConfig {
        payload_type,
        codec,
        profile: match codec {
            Codec::H264 => Profile::H264 {
                profile_level_id: [0x42, 0xe0, 0x1f],
                packetization_mode: 1,
            },
            Codec::Vp9 => Profile::Vp9(0),
            Codec::Av1 => Profile::Av1(0),
            _ => Profile::None,
        },
        rtx,
        red: None,
        nack: video,
        pli: video,
        fir: false,
    }
}

pub(crate) fn payloads(kind: MediaKind) -> Vec<PayloadConfig> {
    let all = [
        Codec::Opus,
        Codec::Pcmu,
        Codec::Pcma,
        Codec::Vp8,
        Codec::Vp9,
        Codec::H264,
        Codec::Av1,
    ];
    all.into_iter()
        .filter(|c| c.kind() == kind)
        .map(payload)
        .collect()
}

/// An m-line that sends one stream of `ssrc`, with RTX on the SSRC after it for video.
pub(crate) fn receive(track: u64, source: TrackSource, ssrc: Ssrc) -> ReceiveConfig {
    let kind = match source {
        TrackSource::Microphone | TrackSource::ScreenShareAudio => MediaKind::Audio,
        _ => MediaKind::Video,
    };
    ReceiveConfig {
        mid: token(&format!("s{track}")),
        track: TrackId(track),
        kind,
        source,
        payloads: payloads(kind),
        ssrcs: vec![(ssrc, (kind == MediaKind::Video).then_some(ssrc + 1))],
        rids: Vec::new(),
        muted: false,
        reserved: false,
    }
}

/// An m-line that sends simulcast encodings known by RID.
pub(crate) fn simulcast(track: u64, rids: &[&str]) -> ReceiveConfig {
    ReceiveConfig {
        ssrcs: Vec::new(),
        rids: rids.iter().map(|rid| token(rid)).collect(),
        ..receive(track, TrackSource::Camera, 0)
    }
}

/// `audio` and `video` slots, pair by pair. SSRCs are `base`, `base` + 10, ...; the RTX stream has
/// the SSRC after its slot's.
pub(crate) fn slots(base: Ssrc, audio: u16, video: u16) -> Vec<SlotConfig> {
    let audio = (0..audio).map(|pair| (MediaKind::Audio, pair));
    let video = (0..video).map(|pair| (MediaKind::Video, pair));
    let slot = |(i, (kind, pair)): (usize, (MediaKind, u16))| SlotConfig {
        mid: token(&format!("r{i}")),
        kind,
        ssrc: base + 10 * i as u32,
        rtx_ssrc: (kind == MediaKind::Video).then_some(base + 10 * i as u32 + 1),
        payloads: payloads(kind),
        pair,
        transport_cc: true,
        descriptors: true,
    };
    audio.chain(video).enumerate().map(slot).collect()
}

pub(crate) fn session(receive: Vec<ReceiveConfig>, slots: Vec<SlotConfig>) -> SessionConfig {
    SessionConfig {
        receive,
        slots,
        extensions: extension_ids(),
        slot_extensions: extension_ids(),
        feedback: CongestionFeedback::TransportCc,
        reduced_size_rtcp: true,
        cname: "cname".into(),
    }
}

/// A packet that the engine handed out.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) to: SessionKey,
    pub(crate) index: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Sent {
    pub(crate) fn view(&self) -> RtpView<'_> {
        RtpView::parse(&self.bytes).unwrap()
    }

    pub(crate) fn header(&self) -> RtpHeader {
        self.view().header()
    }

    pub(crate) fn payload(&self) -> &[u8] {
        self.view().payload()
    }

    pub(crate) fn extensions(&self) -> Extensions<'_> {
        self.view().extensions(&extension_ids())
    }
}

#[derive(Default)]
struct Out {
    rtp: Vec<Sent>,
    rtcp: Vec<(SessionKey, Vec<u8>)>,
    relayed: Vec<(RelayId, Vec<u8>)>,
}

impl PacketSink for Out {
    fn rtp(
        &mut self,
        to: SessionKey,
        index: u64,
        len_max: usize,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) {
        let mut bytes = vec![0xaa; len_max];
        let len = write(&mut bytes);
        bytes.truncate(len);
        self.rtp.push(Sent { to, index, bytes });
    }

    fn rtcp(&mut self, to: SessionKey, packet: &[u8]) {
        self.rtcp.push((to, packet.to_vec()));
    }

    fn relay(&mut self, relay: RelayId, write: impl Fn(&mut Vec<u8>)) {
        let mut message = Vec::new();
        write(&mut message);
        self.relayed.push((relay, message));
    }
}

/// What an engine asked a publisher for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// SSRCs of PLIs.
    pub(crate) keyframes: Vec<Ssrc>,
    /// SSRC and number of each NACKed packet.
    pub(crate) repairs: Vec<(Ssrc, u16)>,
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: Time,
    out: Out,
    pub(crate) events: Vec<Event>,
}

impl World {
    /// A world with one room, [`ROOM`], in which everybody is heard.
    pub(crate) fn new() -> Self {
        Self::with_seed(1)
    }

    pub(crate) fn with_seed(seed: u64) -> Self {
        let mut world = Self {
            engine: Engine::new(EngineConfig {
                seed,
                // The path is not what these tests are about: nothing is paced, nothing probed.
                start_bitrate_bps: 1_000_000_000,
                max_bitrate_bps: 1_000_000_000,
                ..EngineConfig::default()
            }),
            now: Time::from_millis(1000),
            out: Out::default(),
            events: Vec::new(),
        };
        world.put_room(ROOM, None);
        world
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.engine.handle_command(self.now, command).unwrap();
    }

    pub(crate) fn put_room(&mut self, room: RoomId, top_audio: Option<u8>) {
        self.command(Command::PutRoom {
            room,
            config: RoomConfig {
                top_audio,
                home: true,
            },
        });
    }

    pub(crate) fn put_session(&mut self, id: u64, room: RoomId, config: SessionConfig) {
        self.command(Command::PutSession {
            session: SessionId(id),
            participant: ParticipantId(id),
            room,
            config,
            auto_subscribe: true,
        });
    }

    /// A connected session of participant `id`.
    pub(crate) fn join(&mut self, id: u64, config: SessionConfig) -> SessionKey {
        self.join_room(id, ROOM, config)
    }

    pub(crate) fn join_room(&mut self, id: u64, room: RoomId, config: SessionConfig) -> SessionKey {
        let key = self.engine.open_session(SessionId(id));
        self.put_session(id, room, config);
        self.engine.set_connected(self.now, key, true);
        self.flush();
        key
    }

    pub(crate) fn leave(&mut self, id: u64) {
        self.command(Command::RemoveSession {
            session: SessionId(id),
        });
        self.flush();
    }

    pub(crate) fn wish(&mut self, session: u64, track: u64, wish: Wish) {
        self.command(Command::SetWish {
            session: SessionId(session),
            track: TrackId(track),
            wish,
        });
        self.flush();
    }

    pub(crate) fn mute(&mut self, track: u64, muted: bool) {
        self.command(Command::SetMuted {
            track: TrackId(track),
            muted,
        });
        self.flush();
    }

    /// Hands in a packet. What comes before time passes, or before somebody looks, is one batch.
    pub(crate) fn rtp(&mut self, from: SessionKey, packet: &[u8]) {
        self.engine.handle_rtp(self.now, from, packet);
    }

    /// Hands in RTCP made by `write`.
    pub(crate) fn rtcp(&mut self, from: SessionKey, write: impl FnOnce(&mut RtcpWriter<'_>)) {
        let mut buffer = [0; 1400];
        let mut writer = RtcpWriter::new(&mut buffer);
        write(&mut writer);
        self.engine.handle_rtcp(self.now, from, writer.as_bytes());
        self.flush();
    }

    /// Lets time pass, running timeouts when they are due.
    pub(crate) fn advance_ms(&mut self, ms: u64) {
        self.flush();
        let end = self.now + Duration::from_millis(ms);
        while self.engine.next_timeout() <= end {
            self.now = self.now.max(self.engine.next_timeout());
            self.engine.handle_timeout(self.now);
            self.flush();
        }
        self.now = end;
    }

    pub(crate) fn flush(&mut self) {
        self.engine.flush(self.now, &mut self.out);
        self.events
            .extend(std::iter::from_fn(|| self.engine.poll_event()));
    }

    /// All packets handed out since the last call.
    pub(crate) fn take_sent(&mut self) -> Vec<Sent> {
        self.flush();
        core::mem::take(&mut self.out.rtp)
    }

    /// Those of them for one session, by SSRC.
    pub(crate) fn take_streams(&mut self, to: SessionKey) -> BTreeMap<Ssrc, Vec<Sent>> {
        let mut streams: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for sent in self.take_sent().into_iter().filter(|sent| sent.to == to) {
            streams.entry(sent.header().ssrc).or_default().push(sent);
        }
        streams
    }

    /// RTCP handed out for a session since the last time it was asked for, for anybody.
    pub(crate) fn take_rtcp(&mut self, to: SessionKey) -> Vec<Vec<u8>> {
        self.flush();
        let rtcp = core::mem::take(&mut self.out.rtcp);
        rtcp.into_iter()
            .filter(|(t, _)| *t == to)
            .map(|(_, packet)| packet)
            .collect()
    }

    pub(crate) fn take_asked(&mut self, of: SessionKey) -> Asked {
        self.flush();
        let mut asked = Asked::default();
        for packet in self.take_rtcp(of) {
            for member in Compound::new(&packet) {
                match member.unwrap() {
                    RtcpPacket::Pli { media, .. } => asked.keyframes.push(media),
                    RtcpPacket::Nack { media, lost, .. } => {
                        asked
                            .repairs
                            .extend(lost.sequence_numbers().map(|s| (media, s)));
                    }
                    _ => {}
                }
            }
        }
        asked
    }

    pub(crate) fn take_relayed(&mut self) -> Vec<(RelayId, Vec<u8>)> {
        self.flush();
        core::mem::take(&mut self.out.relayed)
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        self.flush();
        core::mem::take(&mut self.events)
    }

    /// What feeds the slots of a session as the events so far say, by mid.
    pub(crate) fn feeds(&mut self, session: u64) -> BTreeMap<String, u64> {
        self.flush();
        let mut feeds = BTreeMap::new();
        for event in &self.events {
            if let Event::SlotAssigned {
                session: s,
                mid,
                feed,
            } = event
                && *s == SessionId(session)
            {
                match feed {
                    Some((track, _)) => feeds.insert(mid.to_string(), track.0),
                    None => feeds.remove(mid.as_str()),
                };
            }
        }
        feeds
    }

    pub(crate) fn counter(&mut self, name: &str) -> u64 {
        self.flush();
        let found = self.engine.counters().iter().find(|(n, _)| *n == name);
        found.unwrap_or_else(|| panic!("no counter {name}")).1
    }
}

/// One RTP stream as a publisher sends it.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    pub(crate) from: SessionKey,
    pub(crate) ssrc: Ssrc,
    pub(crate) codec: Codec,
    pub(crate) seq: u16,
    pub(crate) timestamp: u32,
    pub(crate) picture_id: u16,
    /// MID and RID written into each packet.
    pub(crate) names: Option<(String, Option<String>)>,
    transport_seq: u16,
}

impl Source {
    pub(crate) fn new(from: SessionKey, codec: Codec, ssrc: Ssrc) -> Self {
        Self {
            from,
            ssrc,
            codec,
            seq: (ssrc as u16).wrapping_mul(771),
            timestamp: ssrc.wrapping_mul(0x9e37_79b1),
            picture_id: (ssrc as u16).wrapping_mul(37) & 0x7fff,
            names: None,
            transport_seq: 0,
        }
    }

    pub(crate) fn named(mut self, mid: &str, rid: Option<&str>) -> Self {
        self.names = Some((mid.into(), rid.map(Into::into)));
        self
    }

    /// One packet of the stream: numbers go on.
    pub(crate) fn packet(&mut self, marker: bool, payload: &[u8]) -> Vec<u8> {
        self.packet_with(marker, &[], payload)
    }

    pub(crate) fn packet_with(
        &mut self,
        marker: bool,
        extensions: &[(ExtensionKind, &[u8])],
        payload: &[u8],
    ) -> Vec<u8> {
        let header = RtpHeader {
            marker,
            payload_type: self::payload(self.codec).payload_type,
            sequence_number: self.seq,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        self.seq = self.seq.wrapping_add(1);
        self.transport_seq = self.transport_seq.wrapping_add(1);
        let transport_seq = self.transport_seq.to_be_bytes();
        let mut all = vec![(ExtensionKind::TransportCc, &transport_seq[..])];
        if let Some((mid, rid)) = &self.names {
            all.push((ExtensionKind::Mid, mid.as_bytes()));
            all.extend(rid.as_ref().map(|rid| (ExtensionKind::Rid, rid.as_bytes())));
        }
        all.extend(extensions);
        rtp(&header, &all, payload)
    }

    /// The packets of one VP8 frame; the clock goes on by 40 ms.
    pub(crate) fn vp8_frame(&mut self, keyframe: bool, packets: usize) -> Vec<Vec<u8>> {
        let [high, low] = self.picture_id.to_be_bytes();
        let frame = (0..packets)
            .map(|i| {
                let start = i == 0;
                let mut payload = vec![0x80 | u8::from(start) << 4, 0x80, 0x80 | high, low];
                // The frame header's first bit is clear in keyframes.
                payload.push(u8::from(!(keyframe && start)));
                payload.extend([0, 0, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xb4, 0x00]);
                payload.extend(self.seq.to_be_bytes());
                payload.resize(200, self.ssrc as u8);
                self.packet(i + 1 == packets, &payload)
            })
            .collect();
        self.picture_id = (self.picture_id + 1) & 0x7fff;
        self.timestamp = self.timestamp.wrapping_add(3600);
        frame
    }

    /// One Opus packet of 20 ms.
    pub(crate) fn opus(&mut self, level: u8) -> Vec<u8> {
        let mut payload = vec![0xf8; 60];
        payload.extend(self.seq.to_be_bytes());
        let level = [0x80 | level];
        let packet = self.packet_with(false, &[(ExtensionKind::AudioLevel, &level)], &payload);
        self.timestamp = self.timestamp.wrapping_add(960);
        packet
    }

    /// Sends a VP8 frame.
    pub(crate) fn send_frame(&mut self, world: &mut World, keyframe: bool) {
        for packet in self.vp8_frame(keyframe, 3) {
            world.rtp(self.from, &packet);
        }
    }

    /// Sends an Opus packet.
    pub(crate) fn send_sound(&mut self, world: &mut World, level: u8) {
        let packet = self.opus(level);
        world.rtp(self.from, &packet);
    }
}

pub(crate) fn rtp(
    header: &RtpHeader,
    extensions: &[(ExtensionKind, &[u8])],
    payload: &[u8],
) -> Vec<u8> {
    let ids = extension_ids();
    let mut packet = vec![0; 1500];
    let mut writer = HeaderWriter::new(&mut packet, header).unwrap();
    for (kind, content) in extensions {
        writer.extension(ids.id(*kind).unwrap(), content).unwrap();
    }
    let len = writer.finish();
    packet.truncate(len);
    packet.extend_from_slice(payload);
    packet
}
