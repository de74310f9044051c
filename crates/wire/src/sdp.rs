//! Session descriptions (RFC 8866) as WebRTC uses them (RFC 8829), typed.
//!
//! [`SessionDescription::parse`] takes the text of an offer and gives it back as data: one
//! [`MediaSection`] per m-line with formats, header extensions, streams, simulcast and the
//! transport's attributes. What stands at session level and applies to every m-line (RFC 8829
//! §5.8) is copied into each of them, so that readers look in one place. `Display` writes a
//! description as text.
//!
//! This module knows syntax only. What an answer must say is decided in `crosspoint-control`.
//! The line grammar is `rtc-sdp`'s; a pass of ours before it enforces the limits below, so that
//! hostile text costs no more than its length. Attributes that Crosspoint has no use for are
//! dropped; malformed ones that it does use are errors, never guesses.

mod attribute;
mod model;
mod parse;
mod write;

pub use model::{
    Direction, Encoding, Extmap, Feedback, Fingerprint, Format, HashFunction, MediaSection, Msid,
    RidLine, SectionKind, SessionDescription, Setup, Simulcast, SimulcastStream, SsrcLine,
};

/// Longest description, in bytes.
pub const BYTES_MAX: usize = 256 * 1024;
/// Longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 8 * 1024;
/// Most m-lines.
pub const MEDIA_SECTIONS_MAX: usize = 64;
/// Most candidates, over all m-lines.
pub const CANDIDATES_MAX: usize = 200;
/// Most attributes at session level, and in each m-line's section.
pub const ATTRIBUTES_MAX: usize = 1024;
/// Most of each list in one m-line's section: SSRCs, header extensions.
pub const LIST_MAX: usize = 64;
/// Most RIDs, and most simulcast streams of one direction, in one m-line's section.
pub const RIDS_MAX: usize = 16;
/// Most fingerprints that apply to one m-line.
pub const FINGERPRINTS_MAX: usize = 8;

/// Why text is not a session description that Crosspoint can work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SdpError {
    /// A line is not where or what RFC 8866 §9 says.
    #[error("line {line} is not valid SDP")]
    Syntax {
        /// 1-based number of the line.
        line: usize,
    },
    /// More of something than is accepted.
    #[error("more than {max} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// The value of an attribute is malformed.
    #[error("the attribute a={0} is malformed")]
    Attribute(&'static str),
}

#[cfg(test)]
mod tests;
