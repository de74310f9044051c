//! AV1 (the RTP payload specification of AOMedia): the OBUs of a temporal unit, each with its size.

use super::bits::Bits;
use super::{Assembly, Configuration};

mod obu {
    pub(super) const SEQUENCE_HEADER: u8 = 1;
    pub(super) const TEMPORAL_DELIMITER: u8 = 2;
    pub(super) const TILE_LIST: u8 = 8;
    pub(super) const PADDING: u8 = 15;
}

/// `None`: the packet does not fit. Temporal units end at a marker.
///
/// `frame.marks` has where an OBU begins that the next packet goes on with: until it is complete it
/// stands in `data` as it came.
pub(super) fn add(frame: &mut Assembly, payload: &[u8]) -> Option<()> {
    let (&header, mut rest) = payload.split_first()?;
    let continues = header & 0x80 != 0;
    let continued = header & 0x40 != 0;
    let count = usize::from((header >> 4) & 0x03);
    if continues == frame.marks.is_empty() {
        // A part is missing, or there is one too many.
        return None;
    }
    let mut index = 0;
    while !rest.is_empty() {
        index += 1;
        let element = if index == count {
            core::mem::take(&mut rest)
        } else {
            let (len, tail) = leb128(rest)?;
            let (element, tail) = tail.split_at_checked(len)?;
            rest = tail;
            element
        };
        if frame.marks.is_empty() {
            frame.marks.push(frame.data.len());
        }
        frame.data.extend_from_slice(element);
        if !(rest.is_empty() && continued) {
            complete(frame)?;
        }
    }
    Some(())
}

/// Gives the OBU that began at the mark a size, or takes it out again.
fn complete(frame: &mut Assembly) -> Option<()> {
    let begin = frame.marks.pop()?;
    let obu = frame.data.split_off(begin);
    let Some((&header, body)) = obu.split_first() else {
        return Some(());
    };
    let kind = (header >> 3) & 0x0f;
    if matches!(
        kind,
        obu::TEMPORAL_DELIMITER | obu::TILE_LIST | obu::PADDING
    ) {
        return Some(());
    }
    frame.keyframe |= kind == obu::SEQUENCE_HEADER;
    frame.data.push(header | 0x02);
    let mut body = body;
    if header & 0x04 != 0 {
        let (&extension, rest) = body.split_first()?;
        frame.data.push(extension);
        body = rest;
    }
    if header & 0x02 != 0 {
        // It came with a size of its own.
        let (len, rest) = leb128(body)?;
        body = rest.get(..len)?;
    }
    write_leb128(&mut frame.data, body.len());
    frame.data.extend_from_slice(body);
    Some(())
}

/// `av1C` (AV1 in ISOBMFF §2.3.3) and the size in pixels, from a keyframe's sequence header.
pub(super) fn configuration(keyframe: &[u8]) -> Option<Configuration> {
    let mut rest = keyframe;
    loop {
        let (&header, tail) = rest.split_first()?;
        let tail = if header & 0x04 != 0 {
            tail.get(1..)?
        } else {
            tail
        };
        let (len, tail) = leb128(tail)?;
        let (body, tail) = tail.split_at_checked(len)?;
        if (header >> 3) & 0x0f == obu::SEQUENCE_HEADER {
            let sequence = Sequence::parse(body)?;
            let mut record = vec![
                0x81,
                sequence.profile << 5 | sequence.level,
                sequence.tier << 7 | sequence.high_bitdepth << 6 | sequence.chroma,
                0,
            ];
            let obu_len = rest.len() - tail.len();
            record.extend_from_slice(rest.get(..obu_len)?);
            return Some((record, Some(sequence.size)));
        }
        rest = tail;
    }
}

struct Sequence {
    profile: u8,
    level: u8,
    tier: u8,
    high_bitdepth: u8,
    /// Bits of `av1C` from `twelve_bit` to `chroma_sample_position`.
    chroma: u8,
    size: (u32, u32),
}

impl Sequence {
    /// AV1 specification §5.5, without what only files and hardware decoders use: timing information
    /// makes the header one that is not understood.
    fn parse(body: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(body);
        let profile = bits.take(3)? as u8;
        bits.bit()?;
        let reduced = bits.bit()?;
        let (mut level, mut tier) = (0, 0);
        if reduced {
            level = bits.take(5)? as u8;
        } else {
            if bits.bit()? {
                return None;
            }
            let initial_display_delay = bits.bit()?;
            for point in 0..=bits.take(5)? {
                bits.take(12)?;
                let point_level = bits.take(5)? as u8;
                let point_tier = if point_level > 7 {
                    bits.take(1)? as u8
                } else {
                    0
                };
                if initial_display_delay && bits.bit()? {
                    bits.take(4)?;
                }
                if point == 0 {
                    (level, tier) = (point_level, point_tier);
                }
            }
        }
        let width_bits = bits.take(4)? + 1;
        let height_bits = bits.take(4)? + 1;
        let size = (bits.take(width_bits)? + 1, bits.take(height_bits)? + 1);
        if !reduced && bits.bit()? {
            bits.take(7)?;
        }
        bits.take(3)?;
        if !reduced {
            bits.take(4)?;
            let order_hint = bits.bit()?;
            if order_hint {
                bits.take(2)?;
            }
            let choose_screen_content = bits.bit()?;
            let screen_content = choose_screen_content || bits.bit()?;
            if screen_content {
                let choose_integer_mv = bits.bit()?;
                if !choose_integer_mv {
                    bits.bit()?;
                }
            }
            if order_hint {
                bits.take(3)?;
            }
        }
        bits.take(3)?;
        let high_bitdepth = bits.take(1)? as u8;
        let (twelve, mono) = if profile == 2 && high_bitdepth == 1 {
            (bits.take(1)? as u8, bits.take(1)? as u8)
        } else if profile == 1 {
            (0, 0)
        } else {
            (0, bits.take(1)? as u8)
        };
        // 4:2:0 in profile 0, 4:4:4 in profile 1.
        let subsampling = if profile == 1 { 0 } else { 0b1100 };
        Some(Self {
            profile,
            level,
            tier,
            high_bitdepth,
            chroma: twelve << 5 | mono << 4 | subsampling,
            size,
        })
    }
}

/// A length in little-endian base 128, of at most four digits, and what stands behind it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

fn write_leb128(to: &mut Vec<u8>, mut value: usize) {
    loop {
        let digit = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            to.push(digit);
            return;
        }
        to.push(digit | 0x80);
    }
}
