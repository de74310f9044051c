use std::fs;
use std::path::Path;

use super::*;

/// Numbers that look random and are the same in each run (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// 0..bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Every length up to a datagram's with every first byte, the rest noise or zeros.
fn all_lengths_and_first_bytes(body: fn(&[u8])) {
    let mut random = Random::new(7);
    let mut noise: Vec<u8> = (0..1500).map(|_| random.next() as u8).collect();
    let mut zeros = vec![0; 1500];
    body(&[]);
    for len in 1..=1500 {
        for first in 0..=u8::MAX {
            noise[0] = first;
            body(&noise[..len]);
        }
        noise[len / 2] = random.next() as u8;
        zeros[0] = (len % 256) as u8;
        body(&zeros[..len]);
    }
}

/// Each input that is kept for the fuzz target of this name.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus");
    let files = fs::read_dir(folder.join(target)).unwrap();
    let inputs: Vec<_> = files
        .map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(!inputs.is_empty(), "a corpus for {target}");
    inputs
}

/// The corpus as it is, cut at each length, and `rounds` times with up to eight bytes changed, cut
/// or repeated.
fn corpus_and_mutations(target: &str, body: fn(&[u8]), rounds: u32) {
    let mut random = Random::new(11);
    for seed in corpus(target) {
        body(&seed);
        for len in 0..seed.len() {
            body(&seed[..len]);
        }
        for _ in 0..rounds {
            let mut data = seed.clone();
            for _ in 0..=random.below(8) {
                let at = random.below(data.len() as u64) as usize;
                match random.below(8) {
                    0 => data.truncate(at.max(1)),
                    1 => data.insert(at, random.next() as u8),
                    2 => data.extend_from_within(at..),
                    3 => data[at] = 0xff,
                    4 => data[at] = 0,
                    _ => data[at] ^= 1 << random.below(8),
                }
                data.truncate(1500);
            }
            body(&data);
        }
    }
}

#[test]
fn rtp_holds_for_anything() {
    all_lengths_and_first_bytes(rtp);
    corpus_and_mutations("rtp", rtp, 3000);
}

#[test]
fn rtcp_holds_for_anything() {
    all_lengths_and_first_bytes(rtcp);
    corpus_and_mutations("rtcp", rtcp, 3000);
}

#[test]
fn payload_holds_for_anything() {
    all_lengths_and_first_bytes(payload);
    corpus_and_mutations("payload", payload, 3000);
}

#[test]
fn dd_holds_for_anything() {
    all_lengths_and_first_bytes(dd);
    corpus_and_mutations("dd", dd, 3000);
}

#[test]
fn stun_holds_for_anything() {
    all_lengths_and_first_bytes(stun);
    corpus_and_mutations("stun", stun, 3000);
}

#[test]
fn sdp_holds_for_anything() {
    corpus_and_mutations("sdp", sdp, 300);
}
