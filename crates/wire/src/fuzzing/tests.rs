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

/// Each seed with up to eight bytes changed, cut or repeated.
fn mutations(body: fn(&[u8]), seeds: &[&[u8]]) {
    let mut random = Random::new(11);
    for seed in seeds {
        body(seed);
        for len in 0..seed.len() {
            body(&seed[..len]);
        }
        for _ in 0..3000 {
            let mut data = seed.to_vec();
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
    mutations(
        rtp,
        &[
            b"\x90\xe0\x69\x8f\xd9\xc2\x93\xda\x1c\x64\x27\x82\xbe\xde\0\x02\x10\x30\x22abc\x31pppayload",
            b"\xb2\x60\x69\x8f\xd9\xc2\x93\xda\x1c\x64\x27\x82\0\0\0\x01\0\0\0\x02\x10\0\0\x02\x0f\0\x14\x03abc\0payload\x03",
        ],
    );
}

#[test]
fn rtcp_holds_for_anything() {
    all_lengths_and_first_bytes(rtcp);
    mutations(
        rtcp,
        &[
            // Receiver report with a block, then a NACK and a PLI.
            b"\x81\xc9\0\x07\0\0\0\x01\0\0\0\x02\x10\0\0\x05\0\x01\0\x09\0\0\0\x33\x11\x22\x33\x44\0\0\x55\x66\
              \x81\xcd\0\x03\0\0\0\x01\0\0\0\x02\x12\x34\x80\x01\x81\xce\0\x02\0\0\0\x01\0\0\0\x02",
            // Transport-wide feedback: a run, one-bit and two-bit symbols, deltas, padding.
            b"\xaf\xcd\0\x08\0\0\0\x01\0\0\0\x02\xff\xf8\0\x10\x12\x34\x56\x07\x20\x05\xa2\0\xd2\0\x01\x02\x03\x04\x05\x06\x07\xff\x00\x01",
            // REMB with two sources.
            b"\x8f\xce\0\x06\0\0\0\x01\0\0\0\0REMB\x02\x17\x93\x87\0\0\0\x02\0\0\0\x03",
            // Sender report, CNAME, goodbye.
            b"\x80\xc8\0\x06\0\0\0\x01\xda\x8b\xd1\xfc\xdd\xdd\xa0\x5a\xaa\xf4\xed\xd5\0\0\0\x07\0\0\x10\0\
              \x81\xca\0\x03\0\0\0\x01\x01\x04name\0\0\x81\xcb\0\x01\0\0\0\x01",
        ],
    );
}

#[test]
fn payload_holds_for_anything() {
    all_lengths_and_first_bytes(payload);
    mutations(
        payload,
        &[
            // VP8: all fields, a keyframe of 320x180.
            b"\x90\xf0\x92\x34\x56\x67\x50\x3c\x01\x9d\x01\x2a\x40\x01\xb4\0\0",
            // VP9: flexible with references, non-flexible with a structure.
            b"\xf8\x11\0\x03\x05\x06\xaa",
            b"\xaa\x92\x34\0\x07\x38\x01\x40\0\xb4\x02\x80\x01\x68\x02\x04\x01\x28\x01\x02\xaa",
            // H264: STAP-A of SPS, PPS and IDR; FU-A.
            b"\x78\0\x02\x67\x42\0\x02\x68\xce\0\x02\x65\x88",
            b"\x7c\x85\x88\x84",
            // AV1: two elements.
            b"\x28\x02\x08\xaa\x34\x50\xbb",
        ],
    );
}

#[test]
fn dd_holds_for_anything() {
    let key = crate::dd::tests::keyframe(5);
    let mut whole = vec![key.len() as u8];
    whole.extend(&key);
    whole.extend(b"\x03\x87\x03\xe8\x03\x48\x03\xe9\x08\x89\x03\xea\x7b\xff\xaa\x55\xaa");
    let mut body = vec![0xff];
    body.extend(&key);
    all_lengths_and_first_bytes(dd);
    mutations(dd, &[&whole, &body]);
}
