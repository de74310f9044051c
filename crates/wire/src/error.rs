//! Why reading and writing fail.

/// Why bytes from a remote were not understood. The packet is dropped and the variant counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The input ends before the structure does.
    #[error("input is too short")]
    TooShort,
    /// The version field is not the one this protocol has.
    #[error("unknown version")]
    Version,
    /// A length or count field contradicts the input's size.
    #[error("a length field contradicts the input")]
    Length,
    /// A field has a value the specification does not allow.
    #[error("a field has a forbidden value")]
    Value,
    /// A checksum or message authentication code does not match.
    #[error("integrity check failed")]
    Integrity,
    /// A limit of ours (count or size) is exceeded.
    #[error("input exceeds a limit")]
    Limit,
}

impl ParseError {
    /// Stable name, the same in metrics, logs and problem types.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::Version => "version",
            Self::Length => "length",
            Self::Value => "value",
            Self::Integrity => "integrity",
            Self::Limit => "limit",
        }
    }
}

/// What should be written does not fit into the rest of the buffer. Nothing of it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("no room in the buffer")]
pub struct BufferFull;
