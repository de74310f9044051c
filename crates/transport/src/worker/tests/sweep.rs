//! Every datagram length from 0 to 1500 with every first byte, in each state of a session.

use super::bench::{Bench, path};
use crate::path::Path;

/// Bytes that look random and are the same in every run.
struct Noise(u64);

impl Noise {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *byte = self.0 as u8;
        }
    }
}

/// Feeds all of them. The body is noise, but of every other one the second byte walks through all
/// values, so that each kind of RTP and RTCP comes at many lengths.
fn sweep(bench: &mut Bench, from: Path) {
    let mut noise = Noise(0x1234_5678_9abc_def1);
    let mut body = vec![0; 4096];
    noise.fill(&mut body);
    let mut datagram = vec![0; 1500];
    for length in 0..=1500usize {
        for first in 0..=255u8 {
            let datagram = &mut datagram[..length];
            let offset = (length * 7 + usize::from(first) * 3) % (body.len() - 1500);
            datagram.copy_from_slice(&body[offset..offset + length]);
            if let Some(byte) = datagram.first_mut() {
                *byte = first;
            }
            if let Some(byte) = datagram.get_mut(1).filter(|_| length % 2 == 0) {
                *byte = (length / 2) as u8;
            }
            bench.feed_blindly(from, datagram);
        }
        bench.settle();
    }
}

#[test]
fn without_any_session() {
    let mut bench = Bench::new();
    sweep(&mut bench, path(1));
    let mut alice = bench.connected(1, path(1));
    let mut bob = bench.connected(2, path(2));
    bench.talk((&mut alice, path(1)), (&mut bob, path(2)));
}

#[test]
fn with_a_session_that_has_proved_nothing() {
    let mut bench = Bench::new();
    let mut peer = bench.peer(1);
    sweep(&mut bench, path(1));
    bench.connect(&mut peer, path(1));
}

#[test]
fn from_a_proved_source_before_the_handshake() {
    let mut bench = Bench::new();
    let mut peer = bench.peer(1);
    bench.check(&mut peer, path(1), true);
    sweep(&mut bench, path(1));
    bench.finish_handshake(&mut peer, path(1));
}

#[test]
fn from_a_proved_source_amid_the_handshake() {
    let mut bench = Bench::new();
    let mut peer = bench.peer(1);
    bench.check(&mut peer, path(1), true);
    let hello = peer.poll_dtls(bench.instant()).unwrap();
    let sent = bench.feed(path(1), &hello);
    sweep(&mut bench, path(1));
    bench.deliver(&mut peer, path(1), sent);
    bench.finish_handshake(&mut peer, path(1));
}

#[test]
fn from_a_proved_source_of_a_connected_session() {
    let mut bench = Bench::new();
    let mut alice = bench.connected(1, path(1));
    let mut bob = bench.connected(2, path(2));
    sweep(&mut bench, path(1));
    bench.talk((&mut alice, path(1)), (&mut bob, path(2)));
    bench.talk((&mut bob, path(2)), (&mut alice, path(1)));
    assert_eq!(bench.report().sessions, 2);
    assert_eq!(bench.counter("rtp_received"), 2);
    assert_eq!(bench.counter("rtcp_received"), 0);
}

#[test]
fn from_a_strange_source_beside_a_connected_session() {
    let mut bench = Bench::new();
    let mut alice = bench.connected(1, path(1));
    let mut bob = bench.connected(2, path(2));
    sweep(&mut bench, path(3));
    bench.talk((&mut alice, path(1)), (&mut bob, path(2)));
}

#[test]
fn after_the_session_was_closed() {
    let mut bench = Bench::new();
    let alice = bench.connected(1, path(1));
    let session = alice.id;
    bench.command(crate::api::Command::CloseSession { session });
    sweep(&mut bench, path(1));
    assert_eq!(bench.report().sessions, 0);
}
