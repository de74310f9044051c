//! SRTP against its own other side, against rtc-srtp, and against what an attacker sends.

use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;

use super::*;

const PROFILES: [Profile; 3] = [
    Profile::AeadAes256Gcm,
    Profile::AeadAes128Gcm,
    Profile::Aes128CmSha1,
];

const SSRC: u32 = 0x1234_5678;

#[test]
fn packets_of_all_sizes_come_out_as_they_went_in() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        for size in 0..1200 {
            let rtp = rtp_packet(SSRC, size as u16, size);
            assert_eq!(receive(&mut inbound, &send(&outbound, &rtp, 0)), Ok(rtp));

            let rtcp = rtcp_packet(SSRC, size);
            let mut buffer = room(&rtcp, MAX_RTCP_OVERHEAD);
            let len = outbound.protect_rtcp(&mut buffer, rtcp.len()).unwrap();
            let len = inbound.unprotect_rtcp(&mut buffer[..len]).unwrap();
            assert_eq!(buffer[..len], rtcp);
        }
    }
}

#[test]
fn rtc_srtp_reads_what_we_send_and_sends_what_we_read() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        let (mut their_outbound, mut their_inbound) = (oracle(profile), oracle(profile));
        for step in 0..70_000_u64 {
            let rtp = rtp_packet(SSRC, step as u16, (step % 90) as usize);
            let ours = send(&outbound, &rtp, step >> 16);
            let theirs = their_outbound.encrypt_rtp(&rtp).unwrap();
            assert_eq!(ours, theirs, "{profile:?} {step}");
            assert_eq!(their_inbound.decrypt_rtp(&ours).unwrap(), rtp);
            assert_eq!(receive(&mut inbound, &theirs), Ok(rtp));
        }
        for size in 0..300 {
            let rtcp = rtcp_packet(SSRC, size / 4 * 4);
            let mut ours = room(&rtcp, MAX_RTCP_OVERHEAD);
            let len = outbound.protect_rtcp(&mut ours, rtcp.len()).unwrap();
            assert_eq!(their_inbound.decrypt_rtcp(&ours[..len]).unwrap(), rtcp);

            let mut theirs = their_outbound.encrypt_rtcp(&rtcp).unwrap();
            let len = inbound.unprotect_rtcp(&mut theirs).unwrap();
            assert_eq!(theirs[..len], rtcp);
        }
    }
}

#[test]
fn csrcs_and_extensions_stay_in_the_clear_and_are_authenticated() {
    for profile in PROFILES {
        let (outbound, mut inbound) = pair(profile);
        let mut rtp = rtp_packet(SSRC, 1, 0);
        rtp[0] |= 0x12;
        rtp.extend_from_slice(&[1, 1, 1, 1, 2, 2, 2, 2]);
        rtp.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 0x55, 0, 0]);
        rtp.extend_from_slice(b"payload");
        let sent = send(&outbound, &rtp, 0);
        assert_eq!(sent[..28], rtp[..28]);
        assert_ne!(sent[28..35], rtp[28..35]);
        for at in 0..sent.len() {
            let mut forged = sent.clone();
            forged[at] ^= 4;
            assert!(receive(&mut inbound, &forged).is_err(), "byte {at}");
        }
        assert_eq!(receive(&mut inbound, &sent), Ok(rtp));
    }
}

#[test]
fn a_packet_is_taken_once() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        let sent: Vec<_> = (0..3000)
            .map(|seq| send(&outbound, &rtp_packet(SSRC, seq, 10), 0))
            .collect();
        for packet in sent.iter().step_by(2) {
            receive(&mut inbound, packet).unwrap();
        }
        for (seq, packet) in sent.iter().enumerate() {
            let within = 2998 - 1024 < seq;
            let expected = if seq == 2999 || (seq % 2 == 1 && within) {
                Ok(())
            } else {
                Err(SrtpError::Replayed)
            };
            // The last one is taken at the end: it would move the window.
            if seq < 2999 {
                assert_eq!(receive(&mut inbound, packet).map(|_| ()), expected, "{seq}");
            }
        }
        for packet in &sent[..2999] {
            assert_eq!(receive(&mut inbound, packet), Err(SrtpError::Replayed));
        }

        let rtcp = rtcp_packet(SSRC, 20);
        let mut buffer = room(&rtcp, MAX_RTCP_OVERHEAD);
        let len = outbound.protect_rtcp(&mut buffer, rtcp.len()).unwrap();
        let mut again = buffer.clone();
        inbound.unprotect_rtcp(&mut buffer[..len]).unwrap();
        assert_eq!(
            inbound.unprotect_rtcp(&mut again[..len]),
            Err(SrtpError::Replayed)
        );
    }
}

#[test]
fn a_replay_from_an_earlier_cycle_is_refused() {
    for profile in PROFILES {
        let (outbound, mut inbound) = pair(profile);
        let old = send(&outbound, &rtp_packet(SSRC, 7, 10), 0);
        receive(&mut inbound, &old).unwrap();
        for index in (0..65_536 + 100).step_by(1000) {
            let packet = rtp_packet(SSRC, index as u16, 10);
            let _ = receive(&mut inbound, &send(&outbound, &packet, index >> 16));
        }
        assert!(receive(&mut inbound, &old).is_err());
        let next = rtp_packet(SSRC, 7, 10);
        assert!(receive(&mut inbound, &send(&outbound, &next, 1)).is_ok());
    }
}

#[test]
fn the_rollover_counter_follows_through_many_cycles_with_loss_and_disorder() {
    let (outbound, mut inbound) = pair(Profile::AeadAes128Gcm);
    let mut random = Random(5);
    let mut lost_until = 0;
    for index in 60_000..5 * 65_536_u64 {
        if random.below(4000) == 0 {
            lost_until = index + random.below(30_000);
        }
        if index < lost_until || random.below(10) == 0 {
            continue;
        }
        // One in ten arrives after its successor.
        let late = index.checked_sub(1).filter(|_| random.below(10) == 0);
        for index in [Some(index), late].into_iter().flatten() {
            let sent = send(&outbound, &rtp_packet(SSRC, index as u16, 4), index >> 16);
            match receive(&mut inbound, &sent) {
                Ok(_) => {}
                Err(error) => assert_eq!((error, Some(index)), (SrtpError::Replayed, late)),
            }
        }
    }
}

#[test]
fn the_first_packet_may_have_any_sequence_number() {
    for profile in PROFILES {
        let (outbound, mut inbound) = pair(profile);
        for seq in (0..=u16::MAX).step_by(257) {
            let packet = rtp_packet(0xa000_0000 | u32::from(seq), seq, 10);
            assert_eq!(
                receive(&mut inbound, &send(&outbound, &packet, 0)),
                Ok(packet)
            );
        }
    }
}

#[test]
fn a_source_that_wrapped_before_its_first_packet_arrived_is_heard() {
    for profile in PROFILES {
        let (outbound, mut inbound) = pair(profile);
        let first = rtp_packet(SSRC, 3, 10);
        assert_eq!(
            receive(&mut inbound, &send(&outbound, &first, 1)),
            Ok(first)
        );
        let late = rtp_packet(SSRC, 65_530, 10);
        assert_eq!(receive(&mut inbound, &send(&outbound, &late, 0)), Ok(late));
        let next = rtp_packet(SSRC, 4, 10);
        assert_eq!(receive(&mut inbound, &send(&outbound, &next, 1)), Ok(next));
    }
}

#[test]
fn a_source_is_heard_again_after_a_gap_of_more_than_half_a_cycle() {
    for profile in PROFILES {
        for start in [0, 100, 40_000, 65_535, 200_000_u64] {
            for gap in [32_767, 32_768, 32_769, 40_000, 64_511] {
                let (outbound, mut inbound) = pair(profile);
                let send =
                    |index: u64| send(&outbound, &rtp_packet(SSRC, index as u16, 10), index >> 16);
                for index in (0..=start).step_by(20_000).chain([start]) {
                    let _ = receive(&mut inbound, &send(index));
                }
                assert!(
                    receive(&mut inbound, &send(start + gap)).is_ok(),
                    "{start} {gap}"
                );
                assert!(receive(&mut inbound, &send(start + gap + 1)).is_ok());
                assert!(receive(&mut inbound, &send(start + gap)).is_err());
            }
        }
    }
}

#[test]
fn no_state_is_made_before_authentication() {
    for profile in PROFILES {
        let (outbound, mut inbound) = pair(profile);
        let good = send(&outbound, &rtp_packet(SSRC, 5, 40), 0);
        receive(&mut inbound, &good).unwrap();
        let mut random = Random(9);
        for _ in 0..10_000 {
            let mut forged = good.clone();
            random.fill(&mut forged[1..]);
            let _ = receive(&mut inbound, &forged);
            let mut forged = good.clone();
            random.fill(&mut forged[1..]);
            let word = forged.len() - 14;
            forged[word] |= 0x80;
            let _ = inbound.unprotect_rtcp(&mut forged);
        }
        assert_eq!(inbound.rtp_sources.len(), 1);
        assert_eq!(inbound.rtcp_sources.len(), 0);

        // Nor does the known source's state change by packets far ahead.
        for seq in 0..=u16::MAX {
            let mut forged = rtp_packet(SSRC, seq, 40);
            forged.resize(12 + 40 + 16, 0);
            assert!(receive(&mut inbound, &forged).is_err());
        }
        let next = rtp_packet(SSRC, 6, 40);
        assert_eq!(receive(&mut inbound, &send(&outbound, &next, 0)), Ok(next));
    }
}

#[test]
fn no_length_and_first_byte_panics_or_makes_state() {
    let mut random = Random(11);
    let mut noise = [0; 1500];
    random.fill(&mut noise);
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        for len in 0..=1500 {
            for first in 0..=255 {
                let mut packet = noise;
                packet[0] = first;
                assert!(inbound.unprotect_rtp(&mut packet[..len]).is_err());
                let mut packet = noise;
                packet[0] = first;
                assert!(inbound.unprotect_rtcp(&mut packet[..len]).is_err());
            }
            // What comes from our own side is not trusted to be whole, either.
            let mut packet = noise;
            let sequence = u64::from(u16::from_be_bytes([packet[2], packet[3]]));
            for first in [0x80, 0x8f, 0x90, 0x9f, 0x00, 0xc0] {
                packet[0] = first;
                let _ = outbound.protect_rtp(&mut packet, len, sequence);
                let _ = outbound.protect_rtcp(&mut packet, len);
            }
        }
        assert_eq!(inbound.rtp_sources.len() + inbound.rtcp_sources.len(), 0);
    }
}

#[test]
fn every_cut_of_a_good_packet_is_refused() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        let rtp = send(&outbound, &rtp_packet(SSRC, 1, 60), 0);
        let clear = rtcp_packet(SSRC, 60);
        let mut rtcp = room(&clear, MAX_RTCP_OVERHEAD);
        let len = outbound.protect_rtcp(&mut rtcp, clear.len()).unwrap();
        for cut in 0..rtp.len() {
            assert!(inbound.unprotect_rtp(&mut rtp[..cut].to_vec()).is_err());
        }
        for cut in 0..len {
            assert!(inbound.unprotect_rtcp(&mut rtcp[..cut].to_vec()).is_err());
        }
        assert!(inbound.unprotect_rtp(&mut rtp.clone()).is_ok());
        assert!(inbound.unprotect_rtcp(&mut rtcp[..len]).is_ok());
    }
}

#[test]
fn unencrypted_srtcp_is_refused() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        let clear = rtcp_packet(SSRC, 20);
        let mut rtcp = room(&clear, MAX_RTCP_OVERHEAD);
        let len = outbound.protect_rtcp(&mut rtcp, clear.len()).unwrap();
        let word = match profile {
            Profile::Aes128CmSha1 => len - 14,
            _ => len - 4,
        };
        rtcp[word] &= 0x7f;
        assert_eq!(
            inbound.unprotect_rtcp(&mut rtcp[..len]),
            Err(SrtpError::NotEncrypted)
        );
    }
}

#[test]
fn more_sources_than_are_remembered_are_all_heard() {
    let (outbound, mut inbound) = pair(Profile::AeadAes128Gcm);
    for seq in 0..3 {
        for ssrc in 0..1000_u32 {
            let packet = rtp_packet(ssrc.wrapping_mul(0x9e37_79b9), seq, 10);
            assert!(receive(&mut inbound, &send(&outbound, &packet, 0)).is_ok());
        }
    }
    assert_eq!(inbound.rtp_sources.len(), source::MAX_SOURCES);
}

#[test]
fn protection_refuses_wrong_indexes_and_short_buffers() {
    for profile in PROFILES {
        let (mut outbound, _) = pair(profile);
        let rtp = rtp_packet(SSRC, 9, 10);
        let mut buffer = room(&rtp, MAX_RTP_OVERHEAD);
        for index in [8, 10, 65_536, (1 << 48) + 9] {
            assert_eq!(
                outbound.protect_rtp(&mut buffer, rtp.len(), index),
                Err(SrtpError::BadIndex)
            );
        }
        assert_eq!(
            outbound.protect_rtp(&mut rtp.clone(), rtp.len(), 9),
            Err(SrtpError::NoRoom)
        );
        assert_eq!(
            outbound.protect_rtp(&mut buffer, 1000, 9),
            Err(SrtpError::TooShort)
        );
        let rtcp = rtcp_packet(SSRC, 0);
        assert_eq!(
            outbound.protect_rtcp(&mut rtcp.clone(), rtcp.len()),
            Err(SrtpError::NoRoom)
        );
        outbound.rtcp_index = 0x7fff_ffff;
        let mut buffer = room(&rtcp, MAX_RTCP_OVERHEAD);
        assert!(outbound.protect_rtcp(&mut buffer, rtcp.len()).is_ok());
        assert_eq!(
            outbound.protect_rtcp(&mut buffer, rtcp.len()),
            Err(SrtpError::BadIndex)
        );
    }
}

#[test]
fn keys_of_the_wrong_length_are_refused() {
    for profile in PROFILES {
        let right = 2 * (profile.key_len() + profile.salt_len());
        for len in 0..200 {
            let keys = Keys::from_exporter(profile, &vec![1; len]);
            assert_eq!(keys.is_ok(), len == right);
        }
    }
}

#[test]
fn packets_are_protected_and_unprotected_without_allocation() {
    for profile in PROFILES {
        let (mut outbound, mut inbound) = pair(profile);
        let rtp = rtp_packet(SSRC, 0, 1000);
        let rtcp = rtcp_packet(SSRC, 100);
        let mut buffer = [0; 1500];
        let mut exchange = |seq: u16| {
            buffer[..rtp.len()].copy_from_slice(&rtp);
            buffer[2..4].copy_from_slice(&seq.to_be_bytes());
            let len = outbound
                .protect_rtp(&mut buffer, rtp.len(), seq.into())
                .unwrap();
            inbound.unprotect_rtp(&mut buffer[..len]).unwrap();
            buffer[..rtcp.len()].copy_from_slice(&rtcp);
            let len = outbound.protect_rtcp(&mut buffer, rtcp.len()).unwrap();
            inbound.unprotect_rtcp(&mut buffer[..len]).unwrap();
            // Refusals must not allocate, either.
            inbound.unprotect_rtp(&mut buffer[..len]).unwrap_err();
        };
        exchange(0);
        let allocated = allocation_counter::measure(|| (1..500).for_each(&mut exchange));
        assert_eq!(allocated.count_total, 0);
    }
}

/// One endpoint's [`Outbound`] and the other's [`Inbound`].
fn pair(profile: Profile) -> (Outbound, Inbound) {
    let master = keys(profile).server;
    (
        Outbound::new(&master).unwrap(),
        Inbound::new(&master).unwrap(),
    )
}

fn keys(profile: Profile) -> Keys {
    let len = 2 * (profile.key_len() + profile.salt_len());
    let material: Vec<u8> = (0..len).map(|i| (i * 7 + 1) as u8).collect();
    Keys::from_exporter(profile, &material).unwrap()
}

fn oracle(profile: Profile) -> Context {
    let theirs = match profile {
        Profile::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        Profile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
        Profile::Aes128CmSha1 => ProtectionProfile::Aes128CmHmacSha1_80,
    };
    let master = keys(profile).server;
    let provider = rtc_srtp::crypto::default_provider().unwrap();
    Context::new(
        &master.key[..profile.key_len()],
        &master.salt[..profile.salt_len()],
        theirs,
        None,
        None,
        provider.crypto(),
    )
    .unwrap()
}

fn rtp_packet(ssrc: u32, sequence: u16, payload: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 1, 0]);
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend((0..payload).map(|i| i as u8));
    packet
}

fn rtcp_packet(ssrc: u32, payload: usize) -> Vec<u8> {
    let words = (1 + payload / 4) as u16;
    let mut packet = vec![0x80, 204];
    packet.extend_from_slice(&words.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend((0..payload).map(|i| i as u8));
    packet
}

fn room(packet: &[u8], overhead: usize) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + overhead, 0);
    buffer
}

fn send(outbound: &Outbound, packet: &[u8], rollover: u64) -> Vec<u8> {
    let sequence = u64::from(u16::from_be_bytes([packet[2], packet[3]]));
    let mut buffer = room(packet, MAX_RTP_OVERHEAD);
    let len = outbound
        .protect_rtp(&mut buffer, packet.len(), (rollover << 16) | sequence)
        .unwrap();
    buffer.truncate(len);
    buffer
}

fn receive(inbound: &mut Inbound, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buffer = packet.to_vec();
    let len = inbound.unprotect_rtp(&mut buffer)?;
    buffer.truncate(len);
    Ok(buffer)
}

/// Bytes from their hexadecimal digits; white space is skipped.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

/// SplitMix64: the same numbers on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = self.next() as u8;
        }
    }
}
