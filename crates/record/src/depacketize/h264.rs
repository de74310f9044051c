//! H264 (RFC 6184): NAL units, each behind its length in four bytes (ISO/IEC 14496-15).

use super::bits::Bits;
use super::{Assembly, Configuration};

mod unit {
    pub(super) const IDR: u8 = 5;
    pub(super) const SPS: u8 = 7;
    pub(super) const PPS: u8 = 8;
    pub(super) const DELIMITER: u8 = 9;
    pub(super) const LAST_SINGLE: u8 = 23;
    pub(super) const STAP_A: u8 = 24;
    pub(super) const FU_A: u8 = 28;
}

/// Longest parameter set that is kept, in bytes.
const PARAMETER_SET_MAX: usize = 4096;

/// The newest parameter sets.
#[derive(Debug, Default)]
pub(super) struct ParameterSets {
    sps: Vec<u8>,
    pps: Vec<u8>,
}

/// `None`: the packet does not fit. Pictures end at a marker.
pub(super) fn add(
    frame: &mut Assembly,
    parameters: &mut ParameterSets,
    payload: &[u8],
) -> Option<()> {
    let (&first, rest) = payload.split_first()?;
    match first & 0x1f {
        1..=unit::LAST_SINGLE => add_unit(frame, parameters, payload),
        unit::STAP_A => {
            let mut rest = rest;
            while let Some((len, tail)) = rest.split_first_chunk() {
                let (unit, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
                add_unit(frame, parameters, unit)?;
                rest = tail;
            }
            Some(())
        }
        unit::FU_A => add_fragment(frame, first, rest),
        _ => None,
    }
}

fn add_unit(frame: &mut Assembly, parameters: &mut ParameterSets, unit: &[u8]) -> Option<()> {
    let kind = unit.first()? & 0x1f;
    let keep = |set: &mut Vec<u8>| {
        if unit.len() <= PARAMETER_SET_MAX {
            set.clear();
            set.extend_from_slice(unit);
        }
    };
    match kind {
        unit::SPS => keep(&mut parameters.sps),
        unit::PPS => keep(&mut parameters.pps),
        unit::DELIMITER => return Some(()),
        _ => {}
    }
    if frame.data.is_empty() && is_later_slice(kind, unit.get(1)) {
        return None;
    }
    frame.keyframe |= kind == unit::IDR;
    frame.data.extend((unit.len() as u32).to_be_bytes());
    frame.data.extend_from_slice(unit);
    Some(())
}

fn add_fragment(frame: &mut Assembly, indicator: u8, fragment: &[u8]) -> Option<()> {
    let (&header, body) = fragment.split_first()?;
    let kind = header & 0x1f;
    if header & 0x80 != 0 {
        if frame.data.is_empty() && is_later_slice(kind, body.first()) {
            return None;
        }
        frame.keyframe |= kind == unit::IDR;
        frame.marks.clear();
        frame.marks.push(frame.data.len());
        frame.data.extend([0; 4]);
        frame.data.push(indicator & 0xe0 | kind);
    }
    // A part of a unit whose first part is not here is of no use.
    let begin = *frame.marks.last()?;
    frame.data.extend_from_slice(body);
    let len = (frame.data.len() - begin - 4) as u32;
    let place = frame.data.get_mut(begin..begin + 4)?;
    place.copy_from_slice(&len.to_be_bytes());
    if header & 0x40 != 0 {
        frame.marks.clear();
    }
    Some(())
}

/// Whether a slice is not its picture's first: `first_mb_in_slice` is not 0. `body`: its first byte.
fn is_later_slice(kind: u8, body: Option<&u8>) -> bool {
    matches!(kind, 1 | unit::IDR) && body.is_some_and(|byte| byte & 0x80 == 0)
}

impl ParameterSets {
    /// `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1), and the size in pixels.
    pub(super) fn configuration(&self) -> Option<Configuration> {
        let &[_, profile, compatibility, level, ..] = self.sps.as_slice() else {
            return None;
        };
        if self.pps.is_empty() {
            return None;
        }
        // Lengths of four bytes, one set of each kind.
        let mut record = vec![1, profile, compatibility, level, 0xff, 0xe1];
        record.extend((self.sps.len() as u16).to_be_bytes());
        record.extend_from_slice(&self.sps);
        record.push(1);
        record.extend((self.pps.len() as u16).to_be_bytes());
        record.extend_from_slice(&self.pps);
        if matches!(profile, 100 | 110 | 122 | 144) {
            // 4:2:0 with eight bits, no extensions: what browsers send.
            record.extend([0xfd, 0xf8, 0xf8, 0]);
        }
        Some((record, size(&self.sps)))
    }
}

/// Pixels, from a sequence parameter set (ITU-T H.264 §7.3.2.1.1).
fn size(sps: &[u8]) -> Option<(u32, u32)> {
    let plain = without_emulation(sps.get(1..)?);
    let mut bits = Bits::new(&plain);
    let profile = bits.take(8)?;
    bits.take(16)?;
    bits.golomb()?;
    let mut chroma = 1;
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128) {
        chroma = bits.golomb()?;
        if chroma == 3 {
            bits.bit()?;
        }
        bits.golomb()?;
        bits.golomb()?;
        bits.bit()?;
        if bits.bit()? {
            // Scaling lists: no browser sends them, and their length is not simple.
            return None;
        }
    }
    bits.golomb()?;
    match bits.golomb()? {
        0 => {
            bits.golomb()?;
        }
        1 => {
            bits.bit()?;
            bits.signed_golomb()?;
            bits.signed_golomb()?;
            for _ in 0..bits.golomb()?.min(256) {
                bits.signed_golomb()?;
            }
        }
        _ => {}
    }
    bits.golomb()?;
    bits.bit()?;
    let width = bits.golomb()?.checked_add(1)?.checked_mul(16)?;
    let map_units = bits.golomb()?.checked_add(1)?;
    let frames_only = bits.bit()?;
    if !frames_only {
        bits.bit()?;
    }
    bits.bit()?;
    let fields = if frames_only { 1 } else { 2 };
    let height = map_units.checked_mul(16 * fields)?;
    let (mut crop_x, mut crop_y) = (0, 0);
    if bits.bit()? {
        let [left, right, top, bottom] = [
            bits.golomb()?,
            bits.golomb()?,
            bits.golomb()?,
            bits.golomb()?,
        ];
        let (unit_x, unit_y) = match chroma {
            1 => (2, 2 * fields),
            2 => (2, fields),
            _ => (1, fields),
        };
        crop_x = left.checked_add(right)?.checked_mul(unit_x)?;
        crop_y = top.checked_add(bottom)?.checked_mul(unit_y)?;
    }
    Some((width.checked_sub(crop_x)?, height.checked_sub(crop_y)?))
}

/// Takes out the bytes that keep start codes from appearing (§7.4.1).
fn without_emulation(unit: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(unit.len());
    let mut zeros = 0;
    for &byte in unit {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        plain.push(byte);
    }
    plain
}
