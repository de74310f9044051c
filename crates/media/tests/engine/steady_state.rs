//! In the steady state the packet path allocates nothing.

use std::time::Duration;

use crosspoint_media::config::{RelayId, SessionKey, TrackSource};
use crosspoint_media::sink::{PACKET_BYTES_MAX, PacketSink};
use crosspoint_wire::codec::Codec;
use crosspoint_wire::rtcp::{ReportBlock, RtcpWriter};

use crate::world::{Source, World, receive, session, slots};

const SUBSCRIBERS: u64 = 50;
const PACKETS_PER_FRAME: u64 = 10;

/// Takes packets as a worker does: into a buffer that is there.
struct Slab {
    buffer: [u8; PACKET_BYTES_MAX],
    rtp: u64,
    rtcp: u64,
}

impl PacketSink for Slab {
    fn rtp(
        &mut self,
        _: SessionKey,
        _: u64,
        len_max: usize,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) {
        let len = write(&mut self.buffer[..len_max]);
        assert!(len > 12);
        self.rtp += 1;
    }

    fn rtcp(&mut self, _: SessionKey, _: &[u8]) {
        self.rtcp += 1;
    }

    fn relay(&mut self, _: RelayId, _: impl Fn(&mut Vec<u8>)) {}
}

/// What comes in, made beforehand: per 40 ms two packets of sound and a frame of eight packets.
fn media(world: &World, publisher: SessionKey, frames: usize) -> Vec<Vec<Vec<u8>>> {
    let _ = world;
    let mut sound = Source::new(publisher, Codec::Opus, 2000);
    let mut camera = Source::new(publisher, Codec::Vp8, 1000);
    (0..frames)
        .map(|frame| {
            let mut packets = vec![sound.opus(30), sound.opus(30)];
            packets.extend(camera.vp8_frame(frame % 125 == 0, 8));
            packets
        })
        .collect()
}

#[test]
fn forwarding_to_fifty_subscribers_allocates_nothing() {
    let mut world = World::new();
    let publisher = world.join(
        1,
        session(
            vec![
                receive(1, TrackSource::Microphone, 2000),
                receive(2, TrackSource::Camera, 1000),
            ],
            Vec::new(),
        ),
    );
    let subscribers: Vec<_> = (0..SUBSCRIBERS)
        .map(|i| {
            world.join(
                10 + i,
                session(vec![], slots(10_000 * (1 + i as u32), 1, 1)),
            )
        })
        .collect();
    let mut report = [0; 64];
    let mut writer = RtcpWriter::new(&mut report);
    writer
        .receiver_report(7, &[ReportBlock::default()])
        .unwrap();
    let report_len = writer.len();
    let mut sink = Slab {
        buffer: [0; PACKET_BYTES_MAX],
        rtp: 0,
        rtcp: 0,
    };
    let media = media(&world, publisher, 250);
    let mut now = world.now;
    let engine = &mut world.engine;
    let mut number = 1_u16;
    let mut run = |frames: &[Vec<Vec<u8>>], sink: &mut Slab| {
        for frame in frames {
            for packet in frame {
                engine.handle_rtp(now, publisher, packet);
            }
            engine.flush(now, sink);
            let end = now + Duration::from_millis(40);
            while engine.next_timeout() <= end {
                now = now.max(engine.next_timeout());
                engine.handle_timeout(now);
                engine.flush(now, sink);
            }
            now = end;
            // Everything arrived, 20 ms after it left.
            let mut feedback = [0; 128];
            let mut writer = RtcpWriter::new(&mut feedback);
            let arrivals = [Some(now + Duration::from_secs(9)); PACKETS_PER_FRAME as usize];
            let written = writer.transport_cc(7, 1, 0, number, arrivals.into_iter());
            assert_eq!(written, Ok(arrivals.len()));
            number = number.wrapping_add(arrivals.len() as u16);
            for &subscriber in &subscribers {
                engine.handle_rtcp(now, subscriber, &report[..report_len]);
                engine.handle_rtcp(now, subscriber, writer.as_bytes());
            }
        }
    };
    let (warm_up, measured) = media.split_at(150);
    run(warm_up, &mut sink);
    (sink.rtp, sink.rtcp) = (0, 0);
    let allocations = allocation_counter::measure(|| run(measured, &mut sink));
    assert_eq!(sink.rtp, 100 * PACKETS_PER_FRAME * SUBSCRIBERS);
    assert_eq!(
        engine.counters().feedback_void,
        0,
        "feedback was understood"
    );
    assert!(
        sink.rtcp > 4 * SUBSCRIBERS,
        "reports are part of it: {}",
        sink.rtcp
    );
    assert_eq!(allocations.count_total, 0, "{allocations:?}");
}
