//! The bare floor: what the kernel and the cipher must take for a fan-out, with no server around.
//!
//! A sender seals the same packets for as many sockets with `ring`, sends video in one run per
//! destination and frame and audio one by one, and receives as many small datagrams as a server
//! gets in feedback. The sockets are read with GRO by another thread. What a server needs beyond
//! the sender's CPU time is its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use crosspoint_transport::udp::{Offload, Port, RecvBatch, RunHint, UdpSocket};
use mio::{Events, Interest, Poll, Token};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde::Serialize;

use crate::watch::Snapshot;

/// The work: that of the publisher of a fan-out.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Work {
    /// Destinations.
    pub subscribers: usize,
    /// Packets of 1200 bytes per frame.
    pub frame_packets: usize,
    /// Frames a second.
    pub fps: u32,
    /// Length of the measurement, in seconds.
    pub seconds: u64,
}

/// What it took.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Floor {
    /// What was done.
    pub work: Work,
    /// CPU time of the sending thread per packet, in microseconds.
    pub us_per_packet: f64,
    /// Packets sent in the measurement.
    pub packets: u64,
    /// Packets that the readers got, since the start.
    pub received: u64,
    /// Datagrams received as feedback.
    pub feedback: u64,
}

/// Protected sizes: 1200 and 160 bytes of RTP, and the tag.
const VIDEO_BYTES: usize = 1200;
const AUDIO_BYTES: usize = 200;
const AUDIO_INTERVAL: Duration = Duration::from_millis(20);

/// Transport-wide feedback twenty times a second and a report, as clients of the generator send.
const FEEDBACK_INTERVAL: Duration = Duration::from_millis(48);
const FEEDBACK_BYTES: usize = 90;

/// Shortest time from one receive to the next, as in the server's workers.
const GATHER: Duration = Duration::from_micros(250);

const SENDER: &str = "floor-sender";
const WARM_UP: Duration = Duration::from_secs(1);

/// Measures. Takes `work.seconds` and a second more.
///
/// # Errors
/// When sockets or threads cannot be had.
pub fn measure(work: Work) -> Result<Floor> {
    let offload = Offload::probe();
    let sender = bind(offload)?;
    let address = sender.local();
    let readers: Vec<UdpSocket> = (0..work.subscribers)
        .map(|_| bind(offload))
        .collect::<Result<_>>()?;
    let destinations: Vec<SocketAddr> = readers.iter().map(UdpSocket::local).collect();
    let shared = Arc::new(Shared::default());
    // As in the measurements: the server counts cores from the first, the clients from the last.
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let (first, last) = (cores.first().copied(), cores.last().copied());
    let reading = {
        let shared = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("floor-reader".to_owned());
        thread.spawn(move || {
            last.map(core_affinity::set_for_current);
            read(readers, address, offload, &shared)
        })?
    };
    let sending = {
        let shared = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name(SENDER.to_owned());
        thread.spawn(move || {
            first.map(core_affinity::set_for_current);
            send(sender, &destinations, work, offload, &shared)
        })?
    };
    let pid = std::process::id();
    std::thread::sleep(WARM_UP);
    let before = (Snapshot::take(pid)?, shared.sent.load(Ordering::Relaxed));
    std::thread::sleep(Duration::from_secs(work.seconds));
    let after = (Snapshot::take(pid)?, shared.sent.load(Ordering::Relaxed));
    shared.stop.store(true, Ordering::Relaxed);
    let feedback = sending
        .join()
        .map_err(|_| anyhow!("the sender panicked"))??;
    reading
        .join()
        .map_err(|_| anyhow!("the reader panicked"))??;
    let usage = after.0.since(&before.0);
    let sender = usage.threads.iter().find(|(name, _)| name == SENDER);
    let (_, cpu_us) = sender.context("the sender's time is not accounted")?;
    let packets = after.1 - before.1;
    Ok(Floor {
        work,
        us_per_packet: *cpu_us as f64 / packets.max(1) as f64,
        packets,
        received: shared.received.load(Ordering::Relaxed),
        feedback,
    })
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    sent: AtomicU64,
    received: AtomicU64,
}

fn bind(offload: Offload) -> Result<UdpSocket> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    UdpSocket::bind(any, offload).context("cannot open a socket (see `ulimit -n`)")
}

/// Returns how many datagrams came as feedback.
fn send(
    socket: UdpSocket,
    destinations: &[SocketAddr],
    work: Work,
    offload: Offload,
    shared: &Shared,
) -> Result<u64> {
    let key = UnboundKey::new(&AES_256_GCM, &[7; 32]).map_err(|_| anyhow!("no key"))?;
    let key = LessSafeKey::new(key);
    let packet = [0x5a; VIDEO_BYTES];
    let mut port = Port::new(socket);
    let mut batch = RecvBatch::new(offload);
    let mut poll = Poll::new()?;
    poll.registry()
        .register(port.source(), Token(0), Interest::READABLE)?;
    let mut events = Events::with_capacity(8);
    let mut nonce = 0_u64;
    let mut seal = |place: &mut [u8], len: usize| {
        let (body, tag_place) = place.split_at_mut(len);
        body.copy_from_slice(packet.get(..len).unwrap_or_default());
        nonce += 1;
        let mut number = [0; 12];
        number[4..].copy_from_slice(&nonce.to_be_bytes());
        let (header, payload) = body.split_at_mut(20);
        let aad = Aad::from(&*header);
        let nonce = Nonce::assume_unique_for_key(number);
        if let Ok(tag) = key.seal_in_place_separate_tag(nonce, aad, payload) {
            tag_place.copy_from_slice(tag.as_ref());
        }
    };
    let mut put = |port: &mut Port, to: SocketAddr, len: usize, hint: &mut RunHint| {
        if let Some(place) = port.reserve(len + 16) {
            seal(place, len);
            port.queue.commit(to, len + 16, hint);
        }
    };
    let frame_interval = Duration::from_secs(1) / work.fps.max(1);
    let mut next_frame = Instant::now();
    // Between two frames, as in life.
    let mut next_audio = next_frame + AUDIO_INTERVAL / 3;
    let mut feedback = 0;
    let mut turn_began = Instant::now();
    while !shared.stop.load(Ordering::Relaxed) {
        let next = next_frame.min(next_audio);
        let wait = next.saturating_duration_since(Instant::now());
        poll.poll(&mut events, Some(wait))?;
        // Feedback that comes close together is received together: the least takes no more calls.
        if let Some(rest) = GATHER.checked_sub(turn_began.elapsed()) {
            std::thread::sleep(rest);
        }
        turn_began = Instant::now();
        if !events.is_empty() {
            while batch.receive(&port) {
                feedback += batch.datagrams().count() as u64;
            }
            feedback += batch.datagrams().count() as u64;
        }
        let now = Instant::now();
        let mut sent = 0;
        if now >= next_audio {
            next_audio += AUDIO_INTERVAL;
            for to in destinations {
                put(&mut port, *to, AUDIO_BYTES, &mut RunHint::default());
            }
            sent += destinations.len();
        }
        if now >= next_frame {
            next_frame += frame_interval;
            for to in destinations {
                let mut hint = RunHint::default();
                for _ in 0..work.frame_packets {
                    put(&mut port, *to, VIDEO_BYTES, &mut hint);
                }
            }
            sent += destinations.len() * work.frame_packets;
        }
        port.flush();
        shared.sent.fetch_add(sent as u64, Ordering::Relaxed);
    }
    Ok(feedback)
}

/// Reads all sockets, and sends from each as often as a client sends feedback.
fn read(
    sockets: Vec<UdpSocket>,
    sender: SocketAddr,
    offload: Offload,
    shared: &Shared,
) -> Result<()> {
    let mut poll = Poll::new()?;
    let mut ports: Vec<Port> = sockets.into_iter().map(Port::new).collect();
    for (index, port) in ports.iter_mut().enumerate() {
        poll.registry()
            .register(port.source(), Token(index), Interest::READABLE)?;
    }
    let mut batch = RecvBatch::new(offload);
    let mut events = Events::with_capacity(1024);
    let step = FEEDBACK_INTERVAL / u32::try_from(ports.len().max(1))?;
    let mut next_feedback = Instant::now();
    let mut turn = 0;
    while !shared.stop.load(Ordering::Relaxed) {
        let wait = next_feedback.saturating_duration_since(Instant::now());
        poll.poll(&mut events, Some(wait))?;
        for event in &events {
            let Some(port) = ports.get(event.token().0) else {
                continue;
            };
            loop {
                let more = batch.receive(port);
                let count = batch.datagrams().count() as u64;
                shared.received.fetch_add(count, Ordering::Relaxed);
                if !more {
                    break;
                }
            }
        }
        while next_feedback <= Instant::now() {
            next_feedback += step;
            turn = (turn + 1) % ports.len().max(1);
            if let Some(port) = ports.get_mut(turn) {
                port.push(sender, &[0; FEEDBACK_BYTES]);
                port.flush();
            }
        }
    }
    Ok(())
}
