use bytes::Bytes;
use rtc_shared::marshal::{Marshal, Unmarshal};

use super::*;
use crate::BufferFull;
use crate::ext::ExtensionKind;
use crate::fuzzing::tests::Random;
use crate::ids::Mid;
use crate::time::NtpTime;

const HEADER: RtpHeader = RtpHeader {
    marker: true,
    payload_type: 96,
    sequence_number: 27_023,
    timestamp: 3_653_407_706,
    ssrc: 476_325_762,
};

/// The fixed header above with the extension bit set.
const FIXED: [u8; 12] = [
    0x90, 0xe0, 0x69, 0x8f, 0xd9, 0xc2, 0x93, 0xda, 0x1c, 0x64, 0x27, 0x82,
];

fn packet(rest: &[u8]) -> Vec<u8> {
    [&FIXED, rest].concat()
}

fn elements(packet: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let view = RtpView::parse(packet).unwrap();
    view.elements().map(|(id, d)| (id, d.to_vec())).collect()
}

fn written(extensions: &[(u8, &[u8])]) -> Vec<u8> {
    let mut buffer = [0xaa; 400];
    let mut writer = HeaderWriter::new(&mut buffer, &HEADER).unwrap();
    for (id, data) in extensions {
        writer.extension(*id, data).unwrap();
    }
    let len = writer.finish();
    buffer[..len].to_vec()
}

#[test]
fn fixed_header_is_read_field_by_field() {
    let bytes = packet(&[0xbe, 0xde, 0, 1, 0x50, 0xaa, 0, 0, 1, 2, 3]);
    let view = RtpView::parse(&bytes).unwrap();
    assert_eq!(view.header(), HEADER);
    assert_eq!(view.header_len(), 20);
    assert_eq!(view.payload(), [1, 2, 3]);
    assert_eq!(view.extension(5), Some(&[0xaa][..]));
    assert_eq!(view.extension(6), None);
    assert_eq!(view.csrcs().count(), 0);
}

#[test]
fn csrcs_are_listed_and_must_fit() {
    let mut bytes = packet(&[0, 0, 0, 1, 0, 0, 0, 2, 9]);
    bytes[0] = 0x82;
    let view = RtpView::parse(&bytes).unwrap();
    assert!(view.csrcs().eq([1, 2]));
    assert_eq!(view.payload(), [9]);
    bytes[0] = 0x83;
    assert_eq!(RtpView::parse(&bytes).err(), Some(ParseError::TooShort));
}

#[test]
fn padding_is_taken_off_the_payload_and_must_fit_into_it() {
    let with = |payload: &[u8]| {
        let mut bytes = FIXED.to_vec();
        bytes[0] = 0xa0;
        bytes.extend(payload);
        RtpView::parse(&bytes).map(|v| (v.payload().to_vec(), v.padding_len()))
    };
    assert_eq!(with(&[7, 0, 0, 3]), Ok((vec![7], 3)));
    assert_eq!(with(&[0, 0, 3]), Ok((vec![], 3)));
    assert_eq!(with(&[7, 0, 0, 5]), Err(ParseError::Length));
    assert_eq!(with(&[7, 0, 0, 0]), Err(ParseError::Length));
    assert_eq!(with(&[]), Err(ParseError::Length));
}

#[test]
fn padding_of_an_encrypted_packet_is_not_looked_at() {
    let mut bytes = packet(&[1, 2, 200]);
    bytes[0] = 0xa0;
    assert!(RtpView::parse(&bytes).is_err());
    let view = RtpView::parse_header(&bytes).unwrap();
    assert_eq!(view.header_len(), 12);
    assert_eq!(view.payload(), [1, 2, 200]);
}

#[test]
fn other_versions_and_cut_packets_are_refused() {
    assert_eq!(RtpView::parse(&[0x40; 40]).err(), Some(ParseError::Version));
    let whole = packet(&[0xbe, 0xde, 0, 1, 0x10, 0xaa, 0, 0]);
    for len in 0..whole.len() {
        assert!(RtpView::parse(&whole[..len]).is_err(), "{len} bytes");
    }
    assert!(RtpView::parse(&whole).is_ok());
}

#[test]
fn one_byte_elements_skip_padding_and_end_at_id_15() {
    // RFC 8285 §4.2: id 15 and id 0 with a length end the processing.
    let bytes = packet(&[0xbe, 0xde, 0, 2, 0x10, 0xff, 0, 0x21, 1, 2, 0xf0, 0x30]);
    assert_eq!(elements(&bytes), [(1, vec![0xff]), (2, vec![1, 2])]);
    let bytes = packet(&[0xbe, 0xde, 0, 2, 0x10, 0xff, 0x01, 0, 0, 0x30, 0xaa, 0]);
    assert_eq!(elements(&bytes), [(1, vec![0xff])]);
}

#[test]
fn two_byte_elements_may_be_empty_and_have_any_id() {
    let bytes = packet(&[0x10, 0x05, 0, 2, 15, 0, 0, 200, 2, 8, 9, 0]);
    assert_eq!(elements(&bytes), [(15, vec![]), (200, vec![8, 9])]);
}

#[test]
fn elements_that_do_not_fit_their_block_and_unknown_profiles_are_left_out() {
    let bytes = packet(&[0xbe, 0xde, 0, 1, 0x10, 0xff, 0x23, 1]);
    assert_eq!(elements(&bytes), [(1, vec![0xff])]);
    let bytes = packet(&[0x10, 0x00, 0, 1, 1, 3, 1, 2]);
    assert_eq!(elements(&bytes), []);
    let bytes = packet(&[0x12, 0x34, 0, 1, 0x10, 0xff, 0, 0]);
    assert_eq!(elements(&bytes), []);
}

#[test]
fn negotiated_extensions_are_gathered_and_malformed_ones_left_out() {
    let mut ids = ExtensionIds::new();
    for (kind, id) in ExtensionKind::ALL.into_iter().zip(1..) {
        ids.set(kind, id);
    }
    let id = |kind| ids.id(kind).unwrap();
    let bytes = written(&[
        (id(ExtensionKind::Mid), b"0"),
        (id(ExtensionKind::Rid), b"hi"),
        (id(ExtensionKind::RepairedRid), b"lo"),
        (id(ExtensionKind::AudioLevel), &[0x85]),
        (id(ExtensionKind::AbsSendTime), &[1, 2, 3]),
        (id(ExtensionKind::TransportCc), &[0x12, 0x34]),
        (id(ExtensionKind::AbsCaptureTime), &[0, 0, 0, 1, 0, 0, 0, 2]),
        (id(ExtensionKind::PlayoutDelay), &[0x00, 0xa0, 0x14]),
        (id(ExtensionKind::VideoOrientation), &[3]),
        (id(ExtensionKind::DependencyDescriptor), &[0x80; 30]),
        (40, b"unknown"),
    ]);
    let found = RtpView::parse(&bytes).unwrap().extensions(&ids);
    let expected = Extensions {
        mid: Some(b"0"),
        rid: Some(b"hi"),
        repaired_rid: Some(b"lo"),
        audio_level: Some(AudioLevel {
            level: 5,
            voice: true,
        }),
        abs_send_time: Some(0x01_0203),
        transport_cc: Some(0x1234),
        capture_time: Some(CaptureTime {
            captured: NtpTime(0x1_0000_0002),
            clock_offset: None,
        }),
        playout_delay: Some(PlayoutDelay {
            min_10ms: 10,
            max_10ms: 20,
        }),
        orientation: Some(3),
        dependency_descriptor: Some(&[0x80; 30]),
    };
    assert_eq!(found, expected);
    assert_eq!(found.mid.and_then(Mid::new).unwrap().as_str(), "0");

    let bytes = written(&[
        (id(ExtensionKind::AbsSendTime), &[1, 2]),
        (id(ExtensionKind::TransportCc), &[1, 2, 3]),
        (id(ExtensionKind::AbsCaptureTime), &[1; 9]),
        (id(ExtensionKind::PlayoutDelay), &[1]),
    ]);
    let found = RtpView::parse(&bytes).unwrap().extensions(&ids);
    assert_eq!(found, Extensions::default());
}

#[test]
fn extension_values_survive_their_bytes() {
    for byte in 0..=u8::MAX {
        assert_eq!(AudioLevel::from_byte(byte).to_byte(), byte);
    }
    for bytes in [[0, 0, 0], [0xff; 3], [0x12, 0x34, 0x56]] {
        assert_eq!(PlayoutDelay::from_bytes(bytes).to_bytes(), bytes);
    }
    for clock_offset in [None, Some(-5), Some(i64::MAX)] {
        let time = CaptureTime {
            captured: NtpTime(u64::MAX - 7),
            clock_offset,
        };
        let (bytes, len) = time.to_bytes();
        assert_eq!(CaptureTime::parse(&bytes[..len]), Some(time));
    }
    // 1.5 s: one second and half of 2^18 units.
    assert_eq!(abs_send_time(NtpTime(0x1_8000_0000)), [0x06, 0x00, 0x00]);
    // Only the lower six bits of the seconds stay.
    assert_eq!(abs_send_time(NtpTime(64 << 32)), [0, 0, 0]);
}

#[test]
fn headers_take_the_two_byte_form_only_when_an_element_needs_it() {
    assert_eq!(written(&[])[0], 0x80);
    assert_eq!(written(&[(0, b"not negotiated")]).len(), 12);
    let one = written(&[(1, &[7]), (14, &[1; 16])]);
    assert_eq!(one[12..18], [0xbe, 0xde, 0, 5, 0x10, 7]);
    for needs in [(15, &[1][..]), (1, &[]), (1, &[1; 17])] {
        let two = written(&[(3, b"abc"), (4, b"d"), needs, (5, b"e")]);
        assert_eq!(two[12..14], [0x10, 0x00]);
        assert_eq!(two.len() % 4, 0);
        let expected = [(3, &b"abc"[..]), (4, b"d"), needs, (5, b"e")];
        assert_eq!(elements(&two), expected.map(|(id, d)| (id, d.to_vec())));
    }
}

#[test]
fn an_element_without_room_is_refused_and_the_header_stays_whole() {
    assert_eq!(
        HeaderWriter::new(&mut [0; 11], &HEADER).err(),
        Some(BufferFull)
    );
    for room in 12..48 {
        let mut buffer = vec![0; room];
        let mut writer = HeaderWriter::new(&mut buffer, &HEADER).unwrap();
        let candidates: [(u8, &[u8]); 4] = [(1, b"abc"), (2, b"x"), (20, b"wide"), (3, &[1; 9])];
        let mut accepted = Vec::new();
        for (id, data) in candidates {
            if writer.extension(id, data).is_ok() {
                accepted.push((id, data.to_vec()));
            }
        }
        let len = writer.finish();
        assert_eq!(elements(&buffer[..len]), accepted, "{room} bytes");
    }
    let mut buffer = [0; 400];
    let mut writer = HeaderWriter::new(&mut buffer, &HEADER).unwrap();
    assert_eq!(writer.extension(1, &[0; 256]), Err(BufferFull));
}

#[test]
fn rtcp_is_told_from_rtp_by_its_payload_type() {
    assert!(is_rtcp(&[0x80, 200]));
    assert!(is_rtcp(&[0x80, 192]) && is_rtcp(&[0x80, 223]));
    assert!(!is_rtcp(&[0x80, 191]) && !is_rtcp(&[0x80, 224]));
    assert!(!is_rtcp(&[0x80, 111 | 0x80]) && !is_rtcp(&[0x80]) && !is_rtcp(&[]));
}

#[test]
fn what_rtc_rtp_writes_is_read_the_same() {
    let mut random = Random::new(1);
    for _ in 0..2000 {
        let two_byte = random.below(2) == 1;
        let mut header = rtc_rtp::header::Header {
            version: 2,
            marker: random.below(2) == 1,
            payload_type: random.below(128) as u8,
            sequence_number: random.next() as u16,
            timestamp: random.next() as u32,
            ssrc: random.next() as u32,
            csrc: (0..random.below(4)).map(|n| n as u32).collect(),
            extension: true,
            extension_profile: if two_byte { 0x1000 } else { 0xbede },
            ..Default::default()
        };
        let mut expected = Vec::new();
        for id in 1..=random.below(8) as u8 {
            let len = if two_byte {
                random.below(40)
            } else {
                1 + random.below(16)
            };
            let data: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
            header.set_extension(id, Bytes::from(data.clone())).unwrap();
            expected.push((id, data));
        }
        let mut bytes = header.marshal().unwrap().to_vec();
        bytes.extend(b"payload");
        let view = RtpView::parse(&bytes).unwrap();
        assert_eq!(view.payload(), b"payload");
        assert_eq!(view.sequence_number(), header.sequence_number);
        assert_eq!(view.ssrc(), header.ssrc);
        assert!(view.csrcs().eq(header.csrc.iter().copied()));
        assert_eq!(elements(&bytes), expected);
    }
}

#[test]
fn what_the_writer_writes_is_read_by_rtc_rtp() {
    let mut random = Random::new(2);
    for _ in 0..2000 {
        let expected: Vec<(u8, Vec<u8>)> = (1..=random.below(9) as u8)
            .map(|id| (id, vec![id; 1 + random.below(20) as usize]))
            .collect();
        let borrowed: Vec<(u8, &[u8])> = expected.iter().map(|(i, d)| (*i, &d[..])).collect();
        let mut bytes = Bytes::from([written(&borrowed), b"payload".to_vec()].concat());
        let packet = rtc_rtp::Packet::unmarshal(&mut bytes).unwrap();
        assert_eq!(packet.header.timestamp, HEADER.timestamp);
        assert_eq!(packet.payload, b"payload"[..]);
        let read: Vec<(u8, Vec<u8>)> = packet
            .header
            .get_extension_ids()
            .into_iter()
            .map(|id| (id, packet.header.get_extension(id).unwrap().to_vec()))
            .collect();
        assert_eq!(read, expected);
    }
}
