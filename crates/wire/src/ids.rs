//! Names and numbers that RTP and SDP give to streams.

use core::fmt;

/// Longest `mid` or `rid` accepted, in bytes. RFC 8843 sets no limit; one-byte header extensions
/// carry at most 16 and every known client stays below that.
pub const TOKEN_MAX: usize = 16;

/// A short ASCII token kept inline: copied freely, never allocated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Token {
    len: u8,
    bytes: [u8; TOKEN_MAX],
}

impl Token {
    /// Takes 1 to [`TOKEN_MAX`] visible ASCII bytes; `None` for anything else.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let mut token = Self {
            len: u8::try_from(bytes.len()).ok()?,
            bytes: [0; TOKEN_MAX],
        };
        token.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(token)
    }

    /// The token's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The token as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Identification tag of an m-line (RFC 5888, RFC 8843 §9.2).
pub type Mid = Token;
/// Restriction identifier: the name of one simulcast encoding (RFC 8851).
pub type Rid = Token;
/// Synchronisation source of one RTP stream (RFC 3550 §3).
pub type Ssrc = u32;
/// RTP payload type, 0..=127.
pub type PayloadType = u8;
