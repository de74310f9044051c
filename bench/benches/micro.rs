//! Micro-benchmarks of the packet path: SRTP, the engine's fan-out (rewriting included), and the
//! datagram batches. `cargo bench -p crosspoint-bench`; times per packet are in the `item/s` column.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run shall stop")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crosspoint_media::command::Command;
use crosspoint_media::config::{
    EngineConfig, ParticipantId, PayloadConfig, ReceiveConfig, RelayId, RoomConfig, RoomId,
    SessionConfig, SessionId, SessionKey, SlotConfig, TrackId, TrackSource,
};
use crosspoint_media::engine::Engine;
use crosspoint_media::sink::{PACKET_BYTES_MAX, PacketSink};
use crosspoint_transport::srtp::{
    Inbound, MAX_RTP_OVERHEAD, MasterKey, Outbound, Profile as SrtpProfile,
};
use crosspoint_transport::udp::{Offload, Port, RecvBatch, RunHint, UdpSocket};
use crosspoint_wire::codec::{Codec, MediaKind, Profile};
use crosspoint_wire::ext::{ExtensionIds, ExtensionKind};
use crosspoint_wire::ids::Mid;
use crosspoint_wire::rtp::{HeaderWriter, RtpHeader};
use crosspoint_wire::time::Time;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

const PACKET_BYTES: usize = 1200;

#[divan::bench_group]
mod srtp {
    use super::*;

    const PROFILES: [&str; 3] = ["AEAD_AES_256_GCM", "AEAD_AES_128_GCM", "AES_CM_128_SHA1_80"];

    fn master(profile: &str) -> MasterKey {
        let (profile, key, salt) = match profile {
            "AEAD_AES_256_GCM" => (SrtpProfile::AeadAes256Gcm, 32, 12),
            "AEAD_AES_128_GCM" => (SrtpProfile::AeadAes128Gcm, 16, 12),
            _ => (SrtpProfile::Aes128CmSha1, 16, 14),
        };
        MasterKey::new(profile, &[7; 32][..key], &[9; 14][..salt]).unwrap()
    }

    #[divan::bench(args = PROFILES)]
    fn protect(bencher: Bencher<'_, '_>, profile: &str) {
        let outbound = Outbound::new(&master(profile)).unwrap();
        let mut buffer = [0; PACKET_BYTES + MAX_RTP_OVERHEAD];
        let mut index = 0_u64;
        bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
            rtp(&mut buffer, index as u16, 1);
            let sealed = outbound.protect_rtp(&mut buffer, PACKET_BYTES, index);
            index += 1;
            black_box(sealed).unwrap()
        });
    }

    /// With the copy that it needs, since a packet can be opened once only.
    #[divan::bench(args = PROFILES)]
    fn unprotect(bencher: Bencher<'_, '_>, profile: &str) {
        let master = master(profile);
        let outbound = Outbound::new(&master).unwrap();
        let packets: Vec<Vec<u8>> = (0..30_000_u64)
            .map(|index| {
                let mut packet = vec![0; PACKET_BYTES + MAX_RTP_OVERHEAD];
                rtp(&mut packet, index as u16, 1);
                let len = outbound.protect_rtp(&mut packet, PACKET_BYTES, index);
                packet.truncate(len.unwrap());
                packet
            })
            .collect();
        let mut inbound = Inbound::new(&master).unwrap();
        let mut next = packets.iter();
        bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
            let packet = next.next().unwrap_or_else(|| {
                inbound = Inbound::new(&master).unwrap();
                next = packets.iter();
                &packets[0]
            });
            let mut copy = [0; PACKET_BYTES + MAX_RTP_OVERHEAD];
            copy[..packet.len()].copy_from_slice(packet);
            // The first of a new round was seen in the old one.
            let _ = black_box(inbound.unprotect_rtp(&mut copy[..packet.len()]));
        });
    }
}

#[divan::bench_group]
mod engine {
    use super::*;

    /// One frame of eight packets through an engine whose sink throws them away: what routing,
    /// rewriting and writing costs for each packet that leaves.
    #[divan::bench(args = [1, 50, 200, 1000])]
    fn fan_out(bencher: Bencher<'_, '_>, slots: usize) {
        let mut world = World::new(slots);
        bencher
            .counter(ItemsCount::new(8 * slots))
            .bench_local(|| world.frame());
        assert!(world.sink.packets > 0, "nothing was forwarded");
    }

    struct World {
        engine: Engine,
        publisher: SessionKey,
        sink: Sink,
        now: Time,
        sequence_number: u16,
        picture: u16,
    }

    struct Sink {
        buffer: [u8; PACKET_BYTES_MAX],
        packets: u64,
    }

    impl PacketSink for Sink {
        fn rtp(
            &mut self,
            _: SessionKey,
            _: u64,
            len_max: usize,
            write: impl FnOnce(&mut [u8]) -> usize,
        ) {
            black_box(write(&mut self.buffer[..len_max]));
            self.packets += 1;
        }

        fn rtcp(&mut self, _: SessionKey, packet: &[u8]) {
            black_box(packet);
        }

        fn relay(&mut self, _: RelayId, _: impl Fn(&mut Vec<u8>)) {}
    }

    impl World {
        fn new(slots: usize) -> Self {
            let mut engine = Engine::new(EngineConfig::default());
            let room = RoomId(1);
            let config = RoomConfig {
                top_audio: None,
                home: true,
            };
            let now = Time::from_millis(1);
            let put = Command::PutRoom { room, config };
            engine.handle_command(now, put).unwrap();
            let mut join = |id: u64, config: SessionConfig| {
                let key = engine.open_session(SessionId(id));
                let put = Command::PutSession {
                    session: SessionId(id),
                    participant: ParticipantId(id),
                    room,
                    config,
                    auto_subscribe: true,
                };
                engine.handle_command(now, put).unwrap();
                engine.set_connected(now, key, true);
                key
            };
            let publisher = join(0, publisher());
            for id in 1..=slots as u64 {
                join(id, subscriber(id as u32));
            }
            Self {
                engine,
                publisher,
                sink: Sink {
                    buffer: [0; PACKET_BYTES_MAX],
                    packets: 0,
                },
                now,
                sequence_number: 0,
                picture: 0,
            }
        }

        fn frame(&mut self) {
            let mut packet = [0; PACKET_BYTES];
            for index in 0..8 {
                let marker = index == 7;
                let header = RtpHeader {
                    marker,
                    payload_type: 96,
                    sequence_number: self.sequence_number,
                    timestamp: u32::from(self.picture) * 3600,
                    ssrc: 1000,
                };
                let writer = HeaderWriter::new(&mut packet, &header).unwrap();
                let at = writer.finish();
                let [high, low] = (self.picture | 0x8000).to_be_bytes();
                let start = if index == 0 { 0x90 } else { 0x80 };
                packet[at..at + 6].copy_from_slice(&[start, 0xe0, high, low, 0, 0]);
                // Only the first frame is a keyframe.
                packet[at + 6] = u8::from(self.picture != 0);
                self.sequence_number = self.sequence_number.wrapping_add(1);
                self.engine.handle_rtp(self.now, self.publisher, &packet);
            }
            self.picture = (self.picture + 1) & 0x7fff;
            self.engine.flush(self.now, &mut self.sink);
            self.now += Duration::from_millis(40);
            self.engine.handle_timeout(self.now);
            self.engine.flush(self.now, &mut self.sink);
            while self.engine.poll_event().is_some() {}
        }
    }

    fn mid(name: &str) -> Mid {
        Mid::new(name.as_bytes()).unwrap()
    }

    fn vp8() -> PayloadConfig {
        PayloadConfig {
            payload_type: 96,
            codec: Codec::Vp8,
            profile: Profile::None,
            rtx: Some(97),
            red: None,
            nack: true,
            pli: true,
            fir: false,
        }
    }

    fn ids() -> ExtensionIds {
        let mut ids = ExtensionIds::new();
        ids.set(ExtensionKind::AbsSendTime, 2);
        ids.set(ExtensionKind::TransportCc, 3);
        ids.set(ExtensionKind::Mid, 4);
        ids
    }

    fn publisher() -> SessionConfig {
        SessionConfig {
            receive: vec![ReceiveConfig {
                mid: mid("0"),
                track: TrackId(1),
                kind: MediaKind::Video,
                source: TrackSource::Camera,
                payloads: vec![vp8()],
                ssrcs: vec![(1000, Some(1001))],
                rids: Vec::new(),
                muted: false,
                reserved: false,
            }],
            extensions: ids(),
            slot_extensions: ids(),
            cname: "bench".into(),
            ..SessionConfig::default()
        }
    }

    fn subscriber(id: u32) -> SessionConfig {
        SessionConfig {
            slots: vec![SlotConfig {
                mid: mid("0"),
                kind: MediaKind::Video,
                ssrc: 10_000 + 2 * id,
                rtx_ssrc: Some(10_001 + 2 * id),
                payloads: vec![vp8()],
                pair: 0,
                transport_cc: true,
                descriptors: true,
            }],
            extensions: ids(),
            slot_extensions: ids(),
            cname: "bench".into(),
            ..SessionConfig::default()
        }
    }
}

#[divan::bench_group]
mod udp {
    use super::*;

    fn bind(offload: Offload) -> UdpSocket {
        UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), offload).unwrap()
    }

    /// Bursts of so many packets to each of 50 sockets, sent and received by this thread.
    #[divan::bench(args = [1, 4, 8, 20])]
    fn send_and_receive(bencher: Bencher<'_, '_>, burst: usize) {
        const SOCKETS: usize = 50;
        let offload = Offload::probe();
        let mut sender = Port::new(bind(offload));
        let sockets: Vec<UdpSocket> = (0..SOCKETS).map(|_| bind(offload)).collect();
        let to: Vec<SocketAddr> = sockets.iter().map(UdpSocket::local).collect();
        let receivers: Vec<Port> = sockets.into_iter().map(Port::new).collect();
        let mut batch = RecvBatch::new(offload);
        bencher
            .counter(ItemsCount::new(SOCKETS * burst))
            .bench_local(|| {
                for to in &to {
                    let mut hint = RunHint::default();
                    for _ in 0..burst {
                        sender.reserve(PACKET_BYTES).unwrap().fill(1);
                        sender.queue.commit(*to, PACKET_BYTES, &mut hint);
                    }
                }
                sender.flush();
                let mut received = 0;
                for port in &receivers {
                    batch.receive(port);
                    received += batch.datagrams().count();
                }
                assert_eq!(received, SOCKETS * burst);
            });
    }
}

/// A header in front of whatever is in the buffer.
fn rtp(buffer: &mut [u8], sequence_number: u16, ssrc: u32) {
    let header = RtpHeader {
        marker: false,
        payload_type: 96,
        sequence_number,
        timestamp: 0,
        ssrc,
    };
    let writer = HeaderWriter::new(buffer, &header).unwrap();
    black_box(writer.finish());
}
