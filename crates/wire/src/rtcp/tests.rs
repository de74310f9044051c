use core::time::Duration;

use bytes::Bytes;
use rtcp::goodbye::Goodbye;
use rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtcp::receiver_report::ReceiverReport;
use rtcp::sender_report::SenderReport;
use rtcp::source_description::SourceDescription;
use rtcp::transport_feedbacks::transport_layer_cc::TransportLayerCc;
use rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;

use super::*;
use crate::BufferFull;
use crate::fuzzing::tests::Random;
use crate::time::Time;

const INFO: SenderInfo = SenderInfo {
    ssrc: 7,
    ntp: NtpTime(0xda8b_d1fc_dddd_a05a),
    rtp_timestamp: 0xaaf4_edd5,
    packets: 11,
    octets: 12_000,
};

const BLOCK: ReportBlock = ReportBlock {
    ssrc: 0xbc5e_9a40,
    fraction_lost: 64,
    cumulative_lost: 1234,
    highest_sequence: 0x1_46e1,
    jitter: 273,
    last_sender_report: 0x9f3_6432,
    delay_since_last: 150_137,
};

fn write(body: impl FnOnce(&mut RtcpWriter<'_>)) -> Vec<u8> {
    let mut buffer = [0xaa; 1400];
    let mut writer = RtcpWriter::new(&mut buffer);
    body(&mut writer);
    writer.as_bytes().to_vec()
}

fn read(bytes: &[u8]) -> Vec<RtcpPacket<'_>> {
    Compound::new(bytes).map(Result::unwrap).collect()
}

/// The single member as rtc-rtcp reads it.
fn oracle<T: Clone + 'static>(bytes: &[u8]) -> T {
    let packets = rtcp::packet::unmarshal(&mut Bytes::copy_from_slice(bytes)).unwrap();
    assert_eq!(packets.len(), 1);
    packets[0].as_any().downcast_ref::<T>().unwrap().clone()
}

fn arrivals(bytes: &[u8]) -> Vec<Option<i64>> {
    let [RtcpPacket::TransportCc(feedback)] = read(bytes)[..] else {
        panic!("not a transport-cc message");
    };
    feedback.packets().map(|p| p.arrival_us).collect()
}

#[test]
fn sender_report_survives_and_agrees_with_the_oracle() {
    let bytes = write(|w| w.sender_report(&INFO, &[BLOCK, BLOCK]).unwrap());
    let [RtcpPacket::SenderReport { info, reports }] = read(&bytes)[..] else {
        panic!("not a sender report");
    };
    assert_eq!(info, INFO);
    assert!(reports.iter().eq([BLOCK, BLOCK]));
    let report: SenderReport = oracle(&bytes);
    assert_eq!(report.ntp_time, INFO.ntp.0);
    assert_eq!(report.rtp_time, INFO.rtp_timestamp);
    assert_eq!((report.packet_count, report.octet_count), (11, 12_000));
    assert_eq!(report.reports.len(), 2);
    assert_eq!(report.reports[1].delay, BLOCK.delay_since_last);
}

#[test]
fn receiver_report_survives_and_agrees_with_the_oracle() {
    let bytes = write(|w| w.receiver_report(9, &[BLOCK]).unwrap());
    let [RtcpPacket::ReceiverReport { sender, reports }] = read(&bytes)[..] else {
        panic!("not a receiver report");
    };
    assert_eq!(sender, 9);
    assert!(reports.iter().eq([BLOCK]));
    let report: ReceiverReport = oracle(&bytes);
    assert_eq!(report.ssrc, 9);
    let block = &report.reports[0];
    assert_eq!(block.ssrc, BLOCK.ssrc);
    assert_eq!(block.fraction_lost, BLOCK.fraction_lost);
    assert_eq!(block.total_lost, 1234);
    assert_eq!(block.last_sequence_number, BLOCK.highest_sequence);
    assert_eq!(block.jitter, BLOCK.jitter);
    assert_eq!(block.last_sender_report, BLOCK.last_sender_report);
}

#[test]
fn cumulative_loss_is_signed_and_saturates_at_24_bits() {
    for (given, read_back) in [
        (-1, -1),
        (0x7f_ffff, 0x7f_ffff),
        (i32::MAX, 0x7f_ffff),
        (i32::MIN, -0x80_0000),
    ] {
        let block = ReportBlock {
            cumulative_lost: given,
            ..BLOCK
        };
        let bytes = write(|w| w.receiver_report(1, &[block]).unwrap());
        let [RtcpPacket::ReceiverReport { reports, .. }] = read(&bytes)[..] else {
            panic!("not a receiver report");
        };
        let block = reports.iter().next().unwrap();
        assert_eq!(block.cumulative_lost, read_back);
        assert_eq!(block.fraction_lost, BLOCK.fraction_lost);
    }
}

#[test]
fn cname_is_padded_to_words_with_at_least_one_zero() {
    for len in 0..=9 {
        let name = &"123456789"[..len];
        let bytes = write(|w| w.cname(5, name).unwrap());
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(bytes.last(), Some(&0));
        let sdes: SourceDescription = oracle(&bytes);
        assert_eq!(sdes.chunks[0].source, 5);
        assert_eq!(sdes.chunks[0].items[0].text, name.as_bytes());
        assert!(matches!(
            read(&bytes)[..],
            [RtcpPacket::Other { packet_type: 202 }]
        ));
    }
    let mut buffer = [0; 1000];
    let long = "x".repeat(256);
    assert_eq!(
        RtcpWriter::new(&mut buffer).cname(5, &long),
        Err(BufferFull)
    );
}

#[test]
fn goodbye_survives_and_its_reason_is_skipped() {
    let bytes = write(|w| w.goodbye(&[1, 2, 3]).unwrap());
    assert_eq!(oracle::<Goodbye>(&bytes).sources, [1, 2, 3]);
    let with_reason = b"\x81\xcb\0\x02\0\0\0\x01\x03bye";
    let [RtcpPacket::Goodbye { sources }] = read(with_reason)[..] else {
        panic!("not a goodbye");
    };
    assert!(sources.iter().eq([1]));
}

#[test]
fn keyframe_requests_survive_and_agree_with_the_oracle() {
    let bytes = write(|w| w.pli(1, 2).unwrap());
    assert!(matches!(
        read(&bytes)[..],
        [RtcpPacket::Pli {
            sender: 1,
            media: 2
        }]
    ));
    assert_eq!(oracle::<PictureLossIndication>(&bytes).media_ssrc, 2);

    let entry = FirEntry {
        ssrc: 3,
        sequence_number: 200,
    };
    let bytes = write(|w| w.fir(1, &[entry]).unwrap());
    let [RtcpPacket::Fir { sender: 1, entries }] = read(&bytes)[..] else {
        panic!("not a full intra request");
    };
    assert!(entries.iter().eq([entry]));
    let fir: FullIntraRequest = oracle(&bytes);
    assert_eq!((fir.fir[0].ssrc, fir.fir[0].sequence_number), (3, 200));
}

#[test]
fn remb_keeps_18_significant_bits() {
    for bitrate in [0, 1, 0x3_ffff, 0x4_0000, 8_927_168, 2_500_000_000, u64::MAX] {
        let bytes = write(|w| w.remb(1, bitrate, &[4, 5]).unwrap());
        let [
            RtcpPacket::Remb {
                bitrate_bps,
                sources,
                ..
            },
        ] = read(&bytes)[..]
        else {
            panic!("not a REMB");
        };
        assert!(sources.iter().eq([4, 5]));
        assert!(bitrate_bps <= bitrate && bitrate - bitrate_bps <= bitrate >> 17);
        // The oracle normalises a mantissa of zero into a number.
        if bitrate > 0 {
            let remb: ReceiverEstimatedMaximumBitrate = oracle(&bytes);
            assert_eq!(remb.bitrate, bitrate_bps as f32);
        }
    }
    // The largest exponent with the largest mantissa means "no limit".
    let bytes = b"\x8f\xce\0\x04\0\0\0\x01\0\0\0\0REMB\0\xff\xff\xff";
    assert!(matches!(
        read(bytes)[..],
        [RtcpPacket::Remb {
            bitrate_bps: u64::MAX,
            ..
        }]
    ));
}

#[test]
fn payload_feedback_of_other_applications_is_skipped() {
    let bytes = b"\x8f\xce\0\x03\0\0\0\x01\0\0\0\0ABCD";
    assert!(matches!(
        read(bytes)[..],
        [RtcpPacket::Other { packet_type: 206 }]
    ));
}

#[test]
fn nack_packs_ascending_numbers_over_the_wrap() {
    let lost = [65_534, 65_535, 0, 14, 15, 40];
    let bytes = write(|w| assert_eq!(w.nack(1, 2, lost), Ok(6)));
    // 65534 takes 16 more, up to 14; 15 begins the next pair, 40 another.
    let [RtcpPacket::Nack { lost: pairs, .. }] = read(&bytes)[..] else {
        panic!("not a NACK");
    };
    assert_eq!(pairs.len(), 3);
    assert!(pairs.sequence_numbers().eq(lost));
    let nack: TransportLayerNack = oracle(&bytes);
    let numbers: Vec<u16> = nack.nacks.iter().flat_map(|p| p.packet_list()).collect();
    assert_eq!(numbers, lost);
}

#[test]
fn nack_takes_what_fits_and_says_how_many() {
    let mut buffer = [0; 12 + 8];
    let mut writer = RtcpWriter::new(&mut buffer);
    assert_eq!(writer.nack(1, 2, [1, 2, 100, 200, 300]), Ok(3));
    assert_eq!(writer.len(), 20);
    assert_eq!(writer.nack(1, 2, [5]), Err(BufferFull));
    assert_eq!(writer.len(), 20);
    assert_eq!(RtcpWriter::new(&mut []).nack(1, 2, []), Ok(0));
}

#[test]
fn feedback_reads_runs_vectors_and_signed_deltas() {
    // Run of 2 small, 14 one-bit symbols (received, not, received), two-bit: large, reserved
    // beyond the count.
    let bytes = b"\x8f\xcd\0\x08\0\0\0\x01\0\0\0\x02\xff\xff\0\x11\0\0\x10\x07\
                  \x20\x02\xa8\0\xec\0\x04\x08\x01\x02\xff\xfc\0\0\0\0";
    let [RtcpPacket::TransportCc(feedback)] = read(bytes)[..] else {
        panic!("not a transport-cc message");
    };
    assert_eq!(feedback.base_sequence, 0xffff);
    assert_eq!(feedback.reference_time, 0x10);
    assert_eq!(feedback.feedback_count, 7);
    let packets: Vec<_> = feedback.packets().collect();
    assert_eq!(packets.len(), 17);
    assert_eq!(packets[1].sequence_number, 0);
    let arrived: Vec<_> = packets
        .iter()
        .filter_map(|p| Some((p.sequence_number, p.arrival_us?)))
        .collect();
    // 4, 8, 1, 2 and -4 ticks of 250 us, summed up.
    let expected = [(0xffff, 1000), (0, 3000), (1, 3250), (3, 3750), (15, 2750)];
    assert_eq!(arrived, expected);
}

#[test]
fn feedback_that_contradicts_itself_is_refused() {
    let message = |count: u8, rest: &[u8]| {
        let mut bytes = b"\x8f\xcd\0\x05\0\0\0\x01\0\0\0\x02\0\0\0".to_vec();
        bytes.push(count);
        bytes.extend([0, 0, 0, 0]);
        bytes.extend(rest);
        Compound::new(&bytes).next().unwrap().map(|_| ())
    };
    assert_eq!(message(2, &[0x20, 2, 1, 1]), Ok(()));
    // Deltas missing; chunks missing; the reserved symbol, in a run and in a vector.
    assert_eq!(message(3, &[0x20, 3, 1, 1]), Err(ParseError::Length));
    assert_eq!(message(9, &[0x00, 2, 0, 2]), Err(ParseError::Length));
    assert_eq!(message(2, &[0x60, 2, 1, 1]), Err(ParseError::Value));
    assert_eq!(message(1, &[0xf0, 0, 1, 1]), Err(ParseError::Value));
    // A run of nothing says nothing, whatever its symbol.
    assert_eq!(message(1, &[0x60, 0, 0, 1]), Ok(()));
}

#[test]
fn a_malformed_member_ends_the_packet_but_not_what_came_before() {
    let mut bytes = write(|w| {
        w.pli(1, 2).unwrap();
        w.receiver_report(1, &[BLOCK]).unwrap();
        w.pli(1, 3).unwrap();
    });
    // The report now claims five blocks.
    bytes[12] = 0x85;
    let members: Vec<_> = Compound::new(&bytes).collect();
    assert!(matches!(
        members[..],
        [Ok(RtcpPacket::Pli { .. }), Err(ParseError::Length)]
    ));
}

#[test]
fn padding_is_taken_off_and_must_fit() {
    let bytes = b"\xa1\xce\0\x03\0\0\0\x01\0\0\0\x02\0\0\0\x04";
    assert!(matches!(read(bytes)[..], [RtcpPacket::Pli { .. }]));
    for padding in [0, 5, 13] {
        let mut bytes = *bytes;
        bytes[15] = padding;
        let ok = Compound::new(&bytes).all(|member| member.is_ok());
        // Five bytes leave less than two SSRCs.
        assert!(!ok, "{padding} bytes of padding");
    }
}

#[test]
fn nothing_is_written_where_there_is_no_room() {
    let whole = write(|w| w.sender_report(&INFO, &[BLOCK]).unwrap());
    for room in 0..whole.len() {
        let mut buffer = vec![0; room];
        let mut writer = RtcpWriter::new(&mut buffer);
        assert_eq!(writer.sender_report(&INFO, &[BLOCK]), Err(BufferFull));
        assert!(writer.is_empty());
    }
    let mut buffer = [0; 4000];
    let mut writer = RtcpWriter::new(&mut buffer);
    assert_eq!(writer.receiver_report(1, &[BLOCK; 32]), Err(BufferFull));
    assert_eq!(writer.goodbye(&[0; 32]), Err(BufferFull));
}

#[test]
fn written_feedback_agrees_with_the_oracle_for_any_pattern_of_loss() {
    let mut random = Random::new(3);
    for round in 0..2000 {
        let mut now = Time::from_millis(random.below(1 << 40));
        let losses = random.below(100);
        let gap = [300, 5000, 20_000, 60_000][round % 4];
        let count = 1 + random.below(150) as usize;
        let times: Vec<Option<Time>> = (0..count)
            .map(|_| {
                now += Duration::from_micros(random.below(gap));
                // Now and then a packet overtook another.
                let early = if random.below(9) == 0 { 20_000 } else { 0 };
                let at = Time::from_micros(now.as_micros() - early);
                (random.below(100) >= losses).then_some(at)
            })
            .collect();
        let bytes = write(|w| {
            let written = w.transport_cc(1, 2, 200, 65_500, times.iter().copied());
            let any = times.iter().any(Option::is_some);
            assert_eq!(written, Ok(if any { count } else { 0 }));
        });
        let Some(first) = times.iter().flatten().next() else {
            assert!(bytes.is_empty());
            continue;
        };
        let message: TransportLayerCc = oracle(&bytes);
        assert_eq!(message.base_sequence_number, 65_500);
        assert_eq!(message.fb_pkt_count, 200);
        assert_eq!(usize::from(message.packet_status_count), count);
        let reference_us = first.as_micros() / 64_000 * 64_000;
        assert_eq!(
            u64::from(message.reference_time),
            (reference_us / 64_000) & 0xff_ffff
        );
        let deltas = message.recv_deltas.iter();
        let theirs: Vec<i64> = deltas
            .scan(0, |sum, d| {
                *sum += d.delta;
                Some(*sum)
            })
            .collect();
        let ours = arrivals(&bytes);
        assert!(ours.iter().flatten().eq(&theirs));
        for (time, arrival) in times.iter().zip(&ours) {
            let quantised = time
                .map(|t| (t.as_micros() / 250 * 250).cast_signed() - reference_us.cast_signed());
            assert_eq!(*arrival, quantised);
        }
    }
}

#[test]
fn feedback_stops_at_a_pause_that_no_delta_can_express_and_at_the_end_of_the_buffer() {
    let times = [0, 1, 9000, 9001].map(|ms| Some(Time::from_millis(ms)));
    let bytes = write(|w| {
        let written = w.transport_cc(1, 2, 0, 10, times.into_iter());
        assert_eq!(written, Ok(2));
    });
    assert_eq!(arrivals(&bytes), [Some(0), Some(1000)]);

    let times = (0..1000).map(|ms| Some(Time::from_millis(100 * ms)));
    for room in 0..200 {
        let mut buffer = vec![0; room];
        let mut writer = RtcpWriter::new(&mut buffer);
        match writer.transport_cc(1, 2, 0, 10, times.clone()) {
            Ok(written) => {
                assert!(room >= 28 && written > 0);
                assert_eq!(arrivals(writer.as_bytes()).len(), written);
            }
            Err(BufferFull) => assert!(room < 28 && writer.is_empty(), "{room} bytes"),
        }
    }
}

#[test]
fn a_long_run_costs_one_chunk() {
    let times = core::iter::once(Some(Time::ZERO))
        .chain(core::iter::repeat_n(None, 9000))
        .chain(core::iter::once(Some(Time::from_millis(10))));
    let bytes = write(|w| {
        let written = w.transport_cc(1, 2, 0, 0, times.clone());
        assert_eq!(written, Ok(9002));
    });
    assert!(bytes.len() < 40, "{} bytes", bytes.len());
    let read = arrivals(&bytes);
    assert_eq!((read[0], read[9001]), (Some(0), Some(10_000)));
    assert_eq!(read.iter().flatten().count(), 2);
}
