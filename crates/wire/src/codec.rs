//! Codecs that are forwarded, and when two descriptions of one mean the same bitstream.

/// Audio or video.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// A codec whose packets are forwarded unchanged but for numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// RFC 7587.
    Opus,
    /// G.711 mu-law, RFC 3551 §4.5.14.
    Pcmu,
    /// G.711 A-law, RFC 3551 §4.5.14.
    Pcma,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// RFC 6184.
    H264,
    /// The AV1 RTP payload specification of AOMedia.
    Av1,
}

impl Codec {
    /// Audio or video.
    #[must_use]
    pub const fn kind(self) -> MediaKind {
        match self {
            Self::Opus | Self::Pcmu | Self::Pcma => MediaKind::Audio,
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::Av1 => MediaKind::Video,
        }
    }

    /// RTP clock rate in Hz.
    #[must_use]
    pub const fn clock_rate_hz(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Pcmu | Self::Pcma => 8_000,
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::Av1 => 90_000,
        }
    }

    /// Encoding name as in `a=rtpmap`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::H264 => "H264",
            Self::Av1 => "AV1",
        }
    }

    /// From an `a=rtpmap` encoding name, whatever its case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Opus,
            Self::Pcmu,
            Self::Pcma,
            Self::Vp8,
            Self::Vp9,
            Self::H264,
            Self::Av1,
        ]
        .into_iter()
        .find(|c| c.name().eq_ignore_ascii_case(name))
    }
}

/// What of a format's parameters decides whether a decoder of one can take the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// The codec has no profile that matters here.
    #[default]
    None,
    /// RFC 6184 §8.1.
    H264 {
        /// The three bytes of `profile-level-id`: profile_idc, profile-iop, level_idc.
        profile_level_id: [u8; 3],
        /// 0 or 1.
        packetization_mode: u8,
    },
    /// `profile-id` of RFC 9628 §6.
    Vp9(u8),
    /// `profile` of the AV1 RTP specification §7.2.
    Av1(u8),
}

impl Profile {
    /// Whether a receiver that agreed to `self` can decode a stream described by `source`.
    /// Levels are not compared: browsers decode above the level they name, and a resolution
    /// limit is not ours to enforce.
    #[must_use]
    pub fn accepts(self, source: Self) -> bool {
        match (self, source) {
            (
                Self::H264 {
                    profile_level_id: [a, a_iop, _],
                    packetization_mode: am,
                },
                Self::H264 {
                    profile_level_id: [b, b_iop, _],
                    packetization_mode: bm,
                },
            ) => {
                // Constrained baseline (42 with constraint_set1) is decodable by a baseline decoder.
                a == b && am == bm && (a != 0x42 || (a_iop & 0x40) <= (b_iop & 0x40))
            }
            (a, b) => a == b,
        }
    }
}
