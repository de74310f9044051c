//! How large pictures are, as a sequence parameter set says (ITU-T H.264 §7.3.2.1.1). All that
//! stands before the size is read over; nothing behind it is looked at.

use core::iter::repeat_n;

use crate::ParseError;
use crate::bits::BitReader;

/// What is looked at of a unit, in bytes: twelve scaling lists with the longest of differences take
/// some 400, those that encoders send 100.
const LEN_MAX: usize = 512;
/// Most reference offsets of a cycle (§7.4.2.1.1).
const CYCLE_MAX: u32 = 255;
/// Twice and more what level 6.2 allows (§A.3.1), in macroblocks.
const SIDE_MAX: u32 = 4096;
const MACROBLOCK: u32 = 16;

/// Width and height in pixels of the pictures that a unit, header included, announces: what is
/// left after cropping.
///
/// # Errors
/// When the unit ends before its size, or says what no picture can have.
pub(super) fn size(unit: &[u8]) -> Result<(u16, u16), ParseError> {
    let mut raw = [0; LEN_MAX];
    let len = unescape(unit.get(1..).unwrap_or_default(), &mut raw);
    let mut bits = BitReader::new(raw.get(..len).unwrap_or_default());
    let profile = bits.read(8)?;
    bits.skip(8 + 8)?; // constraint flags, level
    golomb(&mut bits)?; // seq_parameter_set_id
    let chroma = if has_chroma(profile) {
        chroma_format(&mut bits)?
    } else {
        1
    };
    golomb(&mut bits)?; // log2_max_frame_num_minus4
    skip_order_count(&mut bits)?;
    golomb(&mut bits)?; // max_num_ref_frames
    bits.skip(1)?; // gaps_in_frame_num_value_allowed_flag
    let columns = golomb(&mut bits)?;
    let rows = golomb(&mut bits)?;
    if columns >= SIDE_MAX || rows >= SIDE_MAX {
        return Err(ParseError::Limit);
    }
    // Rows of fields are half as many as those of their frame.
    let fields = if bits.flag()? {
        1
    } else {
        bits.skip(1)?; // mb_adaptive_frame_field_flag
        2
    };
    bits.skip(1)?; // direct_8x8_inference_flag
    let crop = if bits.flag()? {
        let mut side = || golomb(&mut bits);
        [side()?, side()?, side()?, side()?]
    } else {
        [0; 4]
    };
    let [left, right, top, bottom] = crop.map(u64::from);
    let width = u64::from((columns + 1) * MACROBLOCK);
    let height = u64::from((rows + 1) * MACROBLOCK * fields);
    let (unit_x, unit_y) = crop_unit(chroma, fields);
    let cropped = |side: u64, by: u64| {
        let left = side.checked_sub(by).filter(|&left| left > 0);
        left.and_then(|left| u16::try_from(left).ok())
    };
    cropped(width, (left + right) * u64::from(unit_x))
        .zip(cropped(height, (top + bottom) * u64::from(unit_y)))
        .ok_or(ParseError::Value)
}

/// Drops the bytes that keep start codes from appearing in a unit (§7.4.1.1); as much as fits.
fn unescape(unit: &[u8], raw: &mut [u8]) -> usize {
    let mut zeros = 0;
    let kept = unit.iter().filter(|&&byte| {
        let is_escape = zeros >= 2 && byte == 3;
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        !is_escape
    });
    let pairs = raw.iter_mut().zip(kept);
    pairs.map(|(to, &from)| *to = from).count()
}

/// ue(v) (§9.1): as many zeros as digits follow behind the one.
fn golomb(bits: &mut BitReader<'_>) -> Result<u32, ParseError> {
    let mut digits = 0;
    while !bits.flag()? {
        digits += 1;
        if digits == u32::BITS {
            return Err(ParseError::Value);
        }
    }
    Ok(bits.read(digits)? + ((1 << digits) - 1))
}

/// se(v) (§9.1.1), modulo 2^32.
fn signed_golomb(bits: &mut BitReader<'_>) -> Result<u32, ParseError> {
    let code = golomb(bits)?;
    let magnitude = code.div_ceil(2);
    Ok(if code % 2 == 1 {
        magnitude
    } else {
        magnitude.wrapping_neg()
    })
}

/// Profiles whose parameter sets say how colours are sampled: High and those above it.
const fn has_chroma(profile: u32) -> bool {
    matches!(
        profile,
        100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135
    )
}

/// How colours are sampled (§6.2), 1 is 4:2:0, and what stands behind it: bit depths, scaling lists.
fn chroma_format(bits: &mut BitReader<'_>) -> Result<u32, ParseError> {
    let format = golomb(bits)?;
    if format > 3 {
        return Err(ParseError::Value);
    }
    if format == 3 {
        bits.skip(1)?; // separate_colour_plane_flag
    }
    golomb(bits)?; // bit_depth_luma_minus8
    golomb(bits)?; // bit_depth_chroma_minus8
    bits.skip(1)?; // qpprime_y_zero_transform_bypass_flag
    if bits.flag()? {
        let large = if format == 3 { 6 } else { 2 };
        for size in repeat_n(16, 6).chain(repeat_n(64, large)) {
            if bits.flag()? {
                skip_scaling_list(bits, size)?;
            }
        }
    }
    Ok(format)
}

/// Of how many pixels cropping counts, sideways and up and down (§7.4.2.1.1).
const fn crop_unit(chroma: u32, fields: u32) -> (u32, u32) {
    match chroma {
        1 => (2, 2 * fields),
        2 => (2, fields),
        _ => (1, fields),
    }
}

/// §7.3.2.1.1.1: differences, until one makes zero: the rest is as the last.
fn skip_scaling_list(bits: &mut BitReader<'_>, size: usize) -> Result<(), ParseError> {
    let mut scale = 8_u32;
    for _ in 0..size {
        scale = scale.wrapping_add(signed_golomb(bits)?) & 0xff;
        if scale == 0 {
            break;
        }
    }
    Ok(())
}

fn skip_order_count(bits: &mut BitReader<'_>) -> Result<(), ParseError> {
    match golomb(bits)? {
        0 => {
            golomb(bits)?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            bits.skip(1)?; // delta_pic_order_always_zero_flag
            golomb(bits)?; // offset_for_non_ref_pic
            golomb(bits)?; // offset_for_top_to_bottom_field
            let cycle = golomb(bits)?;
            if cycle > CYCLE_MAX {
                return Err(ParseError::Value);
            }
            for _ in 0..cycle {
                golomb(bits)?;
            }
        }
        2 => {}
        _ => return Err(ParseError::Value),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bits::BitWriter;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// What libx264 sends for pictures of these sizes.
    const SENT: [(&str, (u16, u16)); 11] = [
        // Baseline, Main, High: 4:2:0.
        (
            "6742c00ad9028df93011000003000100000300140f122648",
            (160, 90),
        ),
        (
            "6742c00bd901419f9f011000000300100000030140f142a480",
            (320, 180),
        ),
        (
            "674d401feca07808bf780880000003008000000a078c18cb",
            (960, 540),
        ),
        (
            "6764001facd9405005bb011000000300100000030140f1831960",
            (1280, 720),
        ),
        (
            "67640028acd940780227e5c044000003000400000300503c60c658",
            (1920, 1080),
        ),
        (
            "67640033acd9401000111b011000000300100000030140f1831960",
            (4096, 2176),
        ),
        // Interlaced: fields are half as high.
        (
            "67640028acd94078044fde022000000300200000030283e2c5b2c0",
            (1920, 1080),
        ),
        // Without colours, in 10 bits, 4:2:2, 4:2:2 interlaced, 4:4:4.
        (
            "6764000cf365054678f8bc05b2000003000200000300281e28532c",
            (322, 182),
        ),
        (
            "676e0020a6cd9405105de2223011000003000100000300140f183196",
            (1282, 722),
        ),
        (
            "677a0016bcd940a42fe227c044000003000400000300503c58b658",
            (642, 362),
        ),
        (
            "67f40016919b281485fc7cf80880000003008000000a078b16cb",
            (642, 362),
        ),
    ];

    #[test]
    fn sizes_are_those_of_the_pictures_after_cropping() {
        for (hex, expected) in SENT {
            assert_eq!(size(&bytes(hex)), Ok(expected), "{hex}");
        }
    }

    #[test]
    fn what_is_cut_short_has_no_size() {
        for (hex, expected) in SENT {
            let whole = bytes(hex);
            for len in 0..whole.len() {
                let cut = size(&whole[..len]);
                assert!(
                    cut == Ok(expected) || cut == Err(ParseError::TooShort),
                    "{hex} {len}"
                );
            }
            assert_eq!(size(&whole[..8]), Err(ParseError::TooShort));
        }
    }

    struct Set {
        buffer: [u8; LEN_MAX],
        len: usize,
    }

    impl Set {
        /// A unit with this profile and these Exp-Golomb numbers, `f` and `t` being flags.
        fn new(profile: u32, fields: &str) -> Self {
            let mut buffer = [0; LEN_MAX];
            let mut bits = BitWriter::new(&mut buffer);
            for (value, width) in [(0x67, 8), (profile, 8), (0, 8), (31, 8)] {
                bits.put(value, width).unwrap();
            }
            for field in fields.split_whitespace() {
                match field {
                    "f" | "t" => bits.put(u32::from(field == "t"), 1).unwrap(),
                    number => {
                        let above = number.parse::<u32>().unwrap() + 1;
                        let digits = above.ilog2();
                        bits.put(0, digits).unwrap();
                        bits.put(above, digits + 1).unwrap();
                    }
                }
            }
            let len = bits.len();
            Self { buffer, len }
        }

        fn size(&self) -> Result<(u16, u16), ParseError> {
            size(&self.buffer[..self.len])
        }
    }

    #[test]
    fn scaling_lists_are_read_over() {
        // Of eight: default, absent, 16 times the same, one that ends with its second, four absent.
        let same = "0 ".repeat(16);
        let lists = format!("t 16 f t {same} t 2 14 f f f f");
        let set = format!("0 1 0 0 f t {lists} 0 2 1 f 39 22 t t f");
        assert_eq!(Set::new(100, &set).size(), Ok((640, 368)));
    }

    #[test]
    fn pictures_that_are_counted_in_cycles_have_sizes_too() {
        let set = "0 4 1 t 7 8 3 1 2 3 1 f 19 14 t t f";
        assert_eq!(Set::new(77, set).size(), Ok((320, 240)));
        let endless = "0 4 1 t 7 8 256";
        assert_eq!(Set::new(77, endless).size(), Err(ParseError::Value));
    }

    #[test]
    fn what_no_picture_can_have_is_refused() {
        assert_eq!(Set::new(66, "0 0 3").size(), Err(ParseError::Value));
        assert_eq!(Set::new(100, "0 4").size(), Err(ParseError::Value));
        let huge = Set::new(66, "0 0 2 1 f 4096 4 t t f");
        assert_eq!(huge.size(), Err(ParseError::Limit));
        for crop in ["8 0 0 0", "4000000000 4000000000 0 0", "0 0 8 0"] {
            let none_left = Set::new(66, &format!("0 0 2 1 f 0 0 t t t {crop}"));
            assert_eq!(none_left.size(), Err(ParseError::Value), "{crop}");
        }
        assert_eq!(
            size(&[0x67, 66, 1, 1, 1, 0, 0, 3, 0, 0, 3, 0, 0]),
            Err(ParseError::Value)
        );
        assert_eq!(size(&[]), Err(ParseError::TooShort));
    }

    #[test]
    fn escapes_are_dropped_and_what_does_not_fit() {
        let mut raw = [0; 6];
        assert_eq!(unescape(&[0, 0, 3, 0, 0, 3, 1, 0, 3], &mut raw), 6);
        assert_eq!(raw, [0, 0, 0, 0, 1, 0]);
    }
}
