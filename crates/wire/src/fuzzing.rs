//! What must hold for any bytes whatsoever: bodies of the fuzz targets, also run by the tests.
//!
//! Each takes arbitrary input and panics when an invariant of its module is broken.

use std::collections::BTreeSet;

use crate::dd::{ActiveField, DECODE_TARGETS_MAX, Dependencies, FRAME_DIFFS_MAX};
use crate::ext::{ExtensionIds, ExtensionKind};
use crate::payload::av1::Av1;
use crate::payload::h264::H264;
use crate::payload::red::{self, Red};
use crate::payload::vp8::Vp8;
use crate::payload::vp9::Vp9;
use crate::payload::{PictureId, Tl0PicIdx};
use crate::rtcp::{Compound, NackPairs, RtcpPacket, RtcpWriter, TransportCc};
use crate::rtp::{HeaderWriter, RtpView, is_rtcp};
use crate::sdp::SessionDescription;
pub use crate::stun::fuzz as stun;
use crate::time::Time;

/// An RTP packet that is understood can be written again, and then reads the same.
pub fn rtp(data: &[u8]) {
    let _ = is_rtcp(data);
    let Ok(view) = RtpView::parse(data) else {
        return;
    };
    let parts = view.header_len() + view.payload().len() + view.padding_len();
    assert_eq!(
        parts,
        data.len(),
        "header, payload and padding make the packet"
    );
    for (id, element) in view.elements() {
        assert!(id != 0 && element.len() < 256, "elements are sane");
    }
    let mut ids = ExtensionIds::new();
    for (kind, id) in ExtensionKind::ALL.into_iter().zip(1..) {
        ids.set(kind, id);
    }
    let _ = view.extensions(&ids);

    // One-byte elements may have to take two bytes.
    let mut buffer = vec![0; 2 * data.len()];
    if buffer.len() > usize::from(u16::MAX) {
        return;
    }
    let Ok(mut writer) = HeaderWriter::new(&mut buffer, &view.header()) else {
        unreachable!("an RTP packet has at least 12 bytes");
    };
    for (id, element) in view.elements() {
        assert_eq!(writer.extension(id, element), Ok(()), "there is room");
    }
    let len = writer.finish();
    buffer.truncate(len);
    buffer.extend_from_slice(view.payload());
    let Ok(again) = RtpView::parse(&buffer) else {
        unreachable!("what is written can be read");
    };
    assert_eq!(again.header(), view.header(), "same numbers");
    assert_eq!(again.payload(), view.payload(), "same payload");
    assert!(again.elements().eq(view.elements()), "same extensions");
}

/// A session description that is understood survives being written and read again.
pub fn sdp(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let Ok(first) = SessionDescription::parse(text) else {
        return;
    };
    // Values of the session level are written once per m-line and may exceed a limit there.
    if let Ok(second) = SessionDescription::parse(&first.to_string()) {
        assert_eq!(first, second, "the same description");
    }
}

/// The members of a compound packet are bounded by its size, and what they ask for or report
/// survives being written again.
pub fn rtcp(data: &[u8]) {
    let mut members = 0;
    let mut failed = false;
    for member in Compound::new(data) {
        assert!(!failed, "a malformed member is the last");
        members += 1;
        match member {
            Err(_) => failed = true,
            Ok(
                RtcpPacket::SenderReport { reports, .. }
                | RtcpPacket::ReceiverReport { reports, .. },
            ) => assert!(reports.iter().count() <= 31, "five bits of count"),
            Ok(RtcpPacket::Goodbye { sources }) => {
                assert!(sources.iter().count() <= 31, "five bits of count");
            }
            Ok(RtcpPacket::Fir { entries, .. }) => {
                assert!(
                    8 * entries.iter().count() <= data.len(),
                    "entries are inside"
                );
            }
            Ok(RtcpPacket::Remb { sources, .. }) => {
                assert!(sources.iter().count() <= 255, "a byte of count");
            }
            Ok(RtcpPacket::Nack { lost, .. }) => nack_again(lost),
            Ok(RtcpPacket::TransportCc(feedback)) => transport_cc_again(&feedback),
            Ok(RtcpPacket::Pli { .. } | RtcpPacket::Other { .. }) => {}
        }
    }
    assert!(
        4 * members <= data.len().next_multiple_of(4),
        "no empty members"
    );
}

fn nack_again(lost: NackPairs<'_>) {
    let count = lost.sequence_numbers().count();
    assert!(
        (lost.len()..=17 * lost.len()).contains(&count),
        "1 to 17 per pair"
    );
    let mut buffer = vec![0; 12 + 4 * lost.len()];
    let mut writer = RtcpWriter::new(&mut buffer);
    let written = writer.nack(1, 2, lost.sequence_numbers());
    assert_eq!(written, Ok(count), "packing is never worse");
    if count == 0 {
        return;
    }
    let Some(Ok(RtcpPacket::Nack { lost: again, .. })) = Compound::new(writer.as_bytes()).next()
    else {
        unreachable!("a NACK was written");
    };
    // Pairs that overlap, or are out of order, come out merged.
    let numbers = |pairs: NackPairs<'_>| pairs.sequence_numbers().collect::<BTreeSet<u16>>();
    assert_eq!(numbers(again), numbers(lost), "same numbers");
}

fn transport_cc_again(feedback: &TransportCc<'_>) {
    // Far enough from zero for any sum of negative deltas.
    const START_US: i64 = 1 << 50;
    let count = usize::from(feedback.packet_count);
    assert_eq!(feedback.packets().count(), count, "as many as promised");
    let arrivals = feedback.packets().map(|p| {
        p.arrival_us
            .map(|us| Time::from_micros((START_US + us).unsigned_abs()))
    });

    let mut buffer = vec![0; 64 + 3 * count];
    let mut writer = RtcpWriter::new(&mut buffer);
    let base = feedback.base_sequence;
    let Ok(written) = writer.transport_cc(1, 2, 3, base, arrivals.clone()) else {
        unreachable!("there is room");
    };
    if written == 0 {
        assert!(arrivals.flatten().next().is_none(), "nothing to report");
        return;
    }
    assert_eq!(
        written, count,
        "whatever was expressed can be expressed again"
    );
    let Some(Ok(RtcpPacket::TransportCc(again))) = Compound::new(writer.as_bytes()).next() else {
        unreachable!("feedback was written");
    };
    let zero = |feedback: &TransportCc<'_>| {
        let mut arrivals = feedback.packets().filter_map(|p| p.arrival_us);
        arrivals.next().unwrap_or_default()
    };
    let (zero, zero_again) = (zero(feedback), zero(&again));
    for (was, is) in feedback.packets().zip(again.packets()) {
        assert_eq!(was.sequence_number, is.sequence_number, "same packet");
        let was = was.arrival_us.map(|us| us - zero);
        let is = is.arrival_us.map(|us| us - zero_again);
        assert_eq!(was, is, "same arrival");
    }
}

/// Every descriptor is inside its payload, and patching changes the patched numbers alone.
pub fn payload(data: &[u8]) {
    let _ = H264::parse(data);
    let _ = Av1::parse(data);
    if let Ok(found) = Red::parse(data) {
        let mut written = vec![0; red::headers_len(found.earlier().len())];
        let len = red::write_headers(&mut written, found.earlier(), found.payload_type);
        assert_eq!(len, Ok(written.len()), "there is room");
        for earlier in found.earlier() {
            written.extend_from_slice(earlier.payload);
        }
        written.extend_from_slice(found.payload);
        assert_eq!(written, data, "nothing is lost");
    }
    if let Ok(found) = Vp8::parse(data) {
        assert!(
            usize::from(found.descriptor_len) < data.len(),
            "a bitstream follows"
        );
        let patched = patched(data, found.picture_id, found.tl0_pic_idx);
        let Ok(again) = Vp8::parse(&patched) else {
            unreachable!("still a descriptor");
        };
        assert_numbers(again.picture_id, again.tl0_pic_idx);
        let restored = Vp8 {
            picture_id: found.picture_id,
            tl0_pic_idx: found.tl0_pic_idx,
            ..again
        };
        assert_eq!(restored, found, "nothing else changed");
    }
    if let Ok(found) = Vp9::parse(data) {
        assert!(
            usize::from(found.descriptor_len) < data.len(),
            "a bitstream follows"
        );
        let patched = patched(data, found.picture_id, found.tl0_pic_idx);
        let Ok(again) = Vp9::parse(&patched) else {
            unreachable!("still a descriptor");
        };
        assert_numbers(again.picture_id, again.tl0_pic_idx);
        let restored = Vp9 {
            picture_id: found.picture_id,
            tl0_pic_idx: found.tl0_pic_idx,
            ..again
        };
        assert_eq!(restored, found, "nothing else changed");
    }
}

const NEW_ID: u16 = 0x2a55;
const NEW_TL0: u8 = 0x99;

fn patched(data: &[u8], id: Option<PictureId>, tl0: Option<Tl0PicIdx>) -> Vec<u8> {
    let mut copy = data.to_vec();
    if let Some(id) = id {
        id.patch(&mut copy, NEW_ID);
    }
    if let Some(tl0) = tl0 {
        tl0.patch(&mut copy, NEW_TL0);
    }
    copy
}

fn assert_numbers(id: Option<PictureId>, tl0: Option<Tl0PicIdx>) {
    if let Some(id) = id {
        let mask = if id.wide { 0x7fff } else { 0x7f };
        assert_eq!(id.value, NEW_ID & mask, "the new id is there");
    }
    if let Some(tl0) = tl0 {
        assert_eq!(tl0.value, NEW_TL0, "the new index is there");
    }
}

/// A sequence of descriptors, each behind a byte with its length, never takes the reader beyond
/// its bounds, one with an error leaves no trace, and one without can be told which decode targets
/// are active and stays the same otherwise.
pub fn dd(data: &[u8]) {
    let mut dependencies = Dependencies::new();
    let mut rest = data;
    while let Some((&len, behind)) = rest.split_first() {
        let len = usize::from(len).min(behind.len());
        let (descriptor, behind) = behind.split_at(len);
        rest = behind;
        let before = dependencies.clone();
        let late = dependencies.read_late(descriptor);
        assert_eq!(dependencies, before, "late packets leave no trace");
        let read = dependencies.read(descriptor);
        assert_eq!(read, late, "only what is remembered differs");
        let Ok(frame) = read else {
            assert_eq!(dependencies, before, "errors leave no trace");
            continue;
        };
        let Some(structure) = dependencies.structure() else {
            unreachable!("frames have a structure");
        };
        let targets = structure.decode_targets().len();
        assert!(
            (1..=DECODE_TARGETS_MAX).contains(&targets),
            "targets in bounds"
        );
        assert!(
            frame.spatial < structure.spatial_layers(),
            "layers in bounds"
        );
        assert!(frame.temporal < 8, "layers in bounds");
        assert!(
            frame.frame_diffs().count() <= FRAME_DIFFS_MAX,
            "diffs in bounds"
        );
        let chains = usize::from(structure.chain_count());
        assert_eq!(frame.chain_diffs().len(), chains, "a diff for each chain");
        assert!(chains <= targets, "a chain protects at least one target");
        let active = u64::from(dependencies.active_decode_targets());
        assert_eq!(active >> targets, 0, "only targets that exist are active");
        let mut copy = [0xff; u8::MAX as usize + ActiveField::GROWTH_MAX];
        let fewer = active as u32 & 0x5555_5555;
        let written = frame.active_field.write(descriptor, fewer, &mut copy);
        let written = written.map(|len| before.read_late(copy.get(..len).unwrap_or_default()));
        let mut expected = frame;
        expected.active_decode_targets = Some(fewer);
        assert_eq!(written, Ok(Ok(expected)), "only what is active differs");
        for target in structure.decode_targets() {
            let chain = target.protected_by.map_or(0, usize::from);
            assert!(
                chains == 0 || chain < chains,
                "protected by a chain that exists"
            );
        }
        for target in 0..=u8::MAX {
            let _ = frame.indication(target);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
