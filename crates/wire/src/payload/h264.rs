//! H264 (RFC 6184 §5): single NAL units, STAP-A and FU-A, which is what packetisation modes 0 and
//! 1 consist of.

mod sps;

use super::Reader;
use crate::ParseError;

/// NAL unit types (ITU-T H.264 table 7-1, RFC 6184 §5.2).
mod unit {
    pub(super) const IDR: u8 = 5;
    pub(super) const SPS: u8 = 7;
    pub(super) const PPS: u8 = 8;
    pub(super) const LAST_SINGLE: u8 = 23;
    pub(super) const STAP_A: u8 = 24;
    pub(super) const FU_A: u8 = 28;
}

/// What NAL units a packet holds, whole or in part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct H264 {
    /// A slice of an IDR picture.
    pub idr: bool,
    /// A sequence parameter set.
    pub sps: bool,
    /// A picture parameter set.
    pub pps: bool,
    /// The packet begins with a NAL unit and not inside of one.
    pub unit_start: bool,
    /// All units may be dropped without harm to others (`nal_ref_idc` 0).
    pub non_reference: bool,
    /// Width and height in pixels, as a sequence parameter set that is whole says.
    pub size: Option<(u16, u16)>,
}

impl H264 {
    /// Parses an RTP payload.
    ///
    /// # Errors
    /// When the payload ends too early, an aggregated unit does not fit into it or is empty, a
    /// fragment claims to be first and last, or the type is reserved or belongs to interleaved
    /// mode.
    pub fn parse(payload: &[u8]) -> Result<Self, ParseError> {
        let mut bytes = Reader::new(payload);
        let first = bytes.byte()?;
        let mut found = Self {
            unit_start: true,
            non_reference: first & 0x60 == 0,
            ..Self::default()
        };
        match first & 0x1f {
            kind @ 1..=unit::LAST_SINGLE => found.add_whole(kind, payload),
            unit::STAP_A => {
                let mut units = 0;
                while !bytes.rest.is_empty() {
                    let len = u16::from_be_bytes([bytes.byte()?, bytes.byte()?]);
                    let unit = bytes.take(usize::from(len))?;
                    let header = unit.first().ok_or(ParseError::Length)?;
                    found.add_whole(header & 0x1f, unit);
                    units += 1;
                }
                if units == 0 {
                    return Err(ParseError::TooShort);
                }
            }
            unit::FU_A => {
                let header = bytes.byte()?;
                let start = header & 0x80 != 0;
                let end = header & 0x40 != 0;
                if start && end {
                    return Err(ParseError::Value);
                }
                found.unit_start = start;
                found.add(header & 0x1f);
            }
            _ => return Err(ParseError::Value),
        }
        Ok(found)
    }

    fn add_whole(&mut self, kind: u8, bytes: &[u8]) {
        self.add(kind);
        if kind == unit::SPS {
            self.size = sps::size(bytes).ok().or(self.size);
        }
    }

    fn add(&mut self, kind: u8) {
        self.idr |= kind == unit::IDR;
        self.sps |= kind == unit::SPS;
        self.pps |= kind == unit::PPS;
    }

    /// Whether the packet belongs to a picture that needs none before it.
    #[must_use]
    pub const fn keyframe(&self) -> bool {
        self.idr || self.sps
    }

    /// Whether a receiver can begin with this packet: it begins with a whole or first part of a
    /// keyframe's unit. Encoders send the parameter sets in front of each IDR picture; where they
    /// are sent, the packet with them comes first.
    #[must_use]
    pub const fn keyframe_start(&self) -> bool {
        self.keyframe() && self.unit_start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_units_are_told_by_their_type() {
        let idr = H264::parse(&[0x65, 0x88]).unwrap();
        assert!(idr.idr && idr.keyframe_start() && !idr.non_reference);
        let slice = H264::parse(&[0x41, 0x9a]).unwrap();
        assert!(!slice.keyframe() && slice.unit_start);
        let sps = H264::parse(&[0x67, 0x42]).unwrap();
        assert!(sps.sps && sps.keyframe_start());
        let pps = H264::parse(&[0x68, 0xce]).unwrap();
        assert!(pps.pps && !pps.keyframe());
        assert!(H264::parse(&[0x01, 0x9a]).unwrap().non_reference);
    }

    #[test]
    fn aggregates_hold_all_their_units() {
        let stap = [0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xce, 0, 1, 0x65];
        let found = H264::parse(&stap).unwrap();
        assert!(found.sps && found.pps && found.idr && found.keyframe_start());
        assert_eq!(H264::parse(&stap[..11]), Err(ParseError::TooShort));
        assert_eq!(H264::parse(&stap[..10]), Err(ParseError::TooShort));
        assert_eq!(H264::parse(&[0x78]), Err(ParseError::TooShort));
        assert_eq!(H264::parse(&[0x78, 0, 0]), Err(ParseError::Length));
    }

    /// Parameter sets of 960x540 in Main profile, as libx264 makes them, and a slice behind them.
    #[test]
    fn pictures_have_a_size_wherever_the_parameter_set_stands() {
        let sps = [
            0x67, 0x4d, 0x40, 0x1f, 0xec, 0xa0, 0x78, 0x08, 0xbf, 0x78, 0x08, 0x80, 0x00, 0x00,
            0x03, 0x00, 0x80, 0x00, 0x00, 0x0a, 0x07, 0x8c, 0x18, 0xcb,
        ];
        assert_eq!(H264::parse(&sps).unwrap().size, Some((960, 540)));
        let mut stap = vec![0x78];
        let others = [
            &[0x09, 0xf0][..],
            &[0x06, 0x05, 0x01],
            &sps,
            &[0x68, 0xef],
            &[0x65, 0x88],
        ];
        for unit in others {
            stap.extend((unit.len() as u16).to_be_bytes());
            stap.extend(unit);
        }
        let found = H264::parse(&stap).unwrap();
        assert!(found.sps && found.pps && found.idr);
        assert_eq!(found.size, Some((960, 540)));
        assert_eq!(H264::parse(&sps[..5]).unwrap().size, None, "cut short");
        assert_eq!(H264::parse(&[0x68, 0xef]).unwrap().size, None);
    }

    #[test]
    fn only_the_first_fragment_starts_a_keyframe() {
        let start = H264::parse(&[0x7c, 0x85, 0x88]).unwrap();
        assert!(start.idr && start.keyframe_start());
        for header in [0x05, 0x45] {
            let later = H264::parse(&[0x7c, header, 0x88]).unwrap();
            assert!(later.keyframe() && !later.unit_start && !later.keyframe_start());
        }
        assert_eq!(H264::parse(&[0x7c, 0xc5]), Err(ParseError::Value));
        assert_eq!(H264::parse(&[0x7c]), Err(ParseError::TooShort));
    }

    #[test]
    fn reserved_and_interleaved_types_are_refused() {
        for kind in [0, 25, 26, 27, 29, 30, 31] {
            assert_eq!(H264::parse(&[kind, 0, 0, 0]), Err(ParseError::Value));
        }
        assert_eq!(H264::parse(&[]), Err(ParseError::TooShort));
    }
}
