//! Where header, text, tag and index stand in protected packets, for each kind of cipher.
//!
//! ```text
//! RTP,  both     header | text* | tag                  (RFC 3711 §3.1, RFC 7714 §8.2)
//! RTCP, CM       8-byte header | text* | E, index | tag          (RFC 3711 §3.4)
//! RTCP, GCM      8-byte header | text* | tag | E, index          (RFC 7714 §9.2)
//! ```

use super::cm::{self, Cm};
use super::gcm::{self, Gcm};
use super::kdf::{Stream, derive};
use super::{MasterKey, Profile, SrtpError};

/// Bytes of the first RTCP header with its sender's SSRC, which stay in the clear.
const RTCP_HEADER_LEN: usize = 8;

/// The bit before the SRTCP index that says that the packet is encrypted.
const ENCRYPTED: u32 = 1 << 31;

/// A keyed cipher of one direction and stream. It has no state that packets change.
pub(super) enum Transform {
    Gcm(Box<Gcm>),
    Cm(Box<Cm>),
}

impl Transform {
    pub(super) fn new(master: &MasterKey, stream: Stream) -> Result<Self, SrtpError> {
        let keys = derive(master, stream);
        Ok(match master.profile {
            Profile::AeadAes256Gcm | Profile::AeadAes128Gcm => {
                Self::Gcm(Box::new(Gcm::new(master.profile, &keys)?))
            }
            Profile::Aes128CmSha1 => Self::Cm(Box::new(Cm::new(&keys)?)),
        })
    }

    /// Encrypts the first `len` bytes of `packet`; returns the length with the tag.
    pub(super) fn seal_rtp(
        &self,
        packet: &mut [u8],
        len: usize,
        header: RtpHeader,
        index: u64,
    ) -> Result<usize, SrtpError> {
        let (clear, tag) = packet
            .split_at_mut_checked(len)
            .ok_or(SrtpError::TooShort)?;
        match self {
            Self::Gcm(gcm) => {
                let tag = tag.first_chunk_mut().ok_or(SrtpError::NoRoom)?;
                let (aad, text) = split(clear, header.len)?;
                *tag = gcm.seal(header.ssrc, index, aad, text)?;
                Ok(len + gcm::TAG_LEN)
            }
            Self::Cm(cm) => {
                let tag = tag.first_chunk_mut().ok_or(SrtpError::NoRoom)?;
                let (_, text) = split(clear, header.len)?;
                cm.apply(header.ssrc, index, text)?;
                *tag = cm.sign(clear, &rollover(index));
                Ok(len + cm::TAG_LEN)
            }
        }
    }

    /// Verifies and decrypts `packet` in place; returns the length without the tag.
    ///
    /// After a failure GCM has lost the text; CM leaves the packet as it was.
    pub(super) fn open_rtp(
        &self,
        packet: &mut [u8],
        header: RtpHeader,
        index: u64,
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => {
                let len = packet.len();
                let (aad, sealed) = split(packet, header.len)?;
                if sealed.len() < gcm::TAG_LEN {
                    return Err(SrtpError::TooShort);
                }
                gcm.open(header.ssrc, index, aad, sealed)?;
                Ok(len - gcm::TAG_LEN)
            }
            Self::Cm(cm) => {
                let (message, tag) = packet.split_last_chunk_mut().ok_or(SrtpError::TooShort)?;
                if message.len() < header.len {
                    return Err(SrtpError::TooShort);
                }
                cm.verify(message, &rollover(index), tag)?;
                let (_, text) = split(message, header.len)?;
                cm.apply(header.ssrc, index, text)?;
                Ok(message.len())
            }
        }
    }

    /// Encrypts the first `len` bytes of `packet`; returns the length with index and tag.
    pub(super) fn seal_rtcp(
        &self,
        packet: &mut [u8],
        len: usize,
        index: u32,
    ) -> Result<usize, SrtpError> {
        let ssrc = rtcp_ssrc(packet.get(..len).ok_or(SrtpError::TooShort)?)?;
        let word = (index | ENCRYPTED).to_be_bytes();
        match self {
            Self::Gcm(gcm) => {
                let (clear, trailer) = split(packet, len)?;
                let (tag, trailer) = trailer.split_first_chunk_mut().ok_or(SrtpError::NoRoom)?;
                let word_field = trailer.first_chunk_mut().ok_or(SrtpError::NoRoom)?;
                let (head, text) = clear.split_first_chunk_mut().ok_or(SrtpError::TooShort)?;
                *tag = gcm.seal(ssrc, index.into(), &rtcp_aad(head, word), text)?;
                *word_field = word;
                Ok(len + gcm::TAG_LEN + word.len())
            }
            Self::Cm(cm) => {
                let signed_len = len + word.len();
                let (signed, tag) = packet
                    .split_at_mut_checked(signed_len)
                    .ok_or(SrtpError::NoRoom)?;
                let tag = tag.first_chunk_mut().ok_or(SrtpError::NoRoom)?;
                let (clear, word_field) = split(signed, len)?;
                let (_, text) = split(clear, RTCP_HEADER_LEN)?;
                cm.apply(ssrc, index.into(), text)?;
                word_field.copy_from_slice(&word);
                *tag = cm.sign(signed, &[]);
                Ok(signed_len + cm::TAG_LEN)
            }
        }
    }

    /// The sender's SSRC and the index of a protected RTCP packet, neither authenticated yet.
    pub(super) fn peek_rtcp(&self, packet: &[u8]) -> Result<(u32, u32), SrtpError> {
        let signed = match self {
            Self::Gcm(_) => packet,
            Self::Cm(_) => {
                let (signed, _) = packet
                    .split_last_chunk::<{ cm::TAG_LEN }>()
                    .ok_or(SrtpError::TooShort)?;
                signed
            }
        };
        let (rest, word) = signed.split_last_chunk().ok_or(SrtpError::TooShort)?;
        let ssrc = rtcp_ssrc(rest)?;
        let word = u32::from_be_bytes(*word);
        // DTLS-SRTP has no parameter to negotiate SRTCP without encryption.
        if word & ENCRYPTED == 0 {
            return Err(SrtpError::NotEncrypted);
        }
        Ok((ssrc, word & !ENCRYPTED))
    }

    /// Verifies and decrypts `packet` in place; returns the length without index and tag.
    pub(super) fn open_rtcp(
        &self,
        packet: &mut [u8],
        ssrc: u32,
        index: u32,
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Gcm(gcm) => {
                let (rest, word) = packet.split_last_chunk_mut().ok_or(SrtpError::TooShort)?;
                let len = rest.len();
                let (head, sealed) = rest.split_first_chunk_mut().ok_or(SrtpError::TooShort)?;
                if sealed.len() < gcm::TAG_LEN {
                    return Err(SrtpError::TooShort);
                }
                gcm.open(ssrc, index.into(), &rtcp_aad(head, *word), sealed)?;
                Ok(len - gcm::TAG_LEN)
            }
            Self::Cm(cm) => {
                let (signed, tag) = packet.split_last_chunk_mut().ok_or(SrtpError::TooShort)?;
                cm.verify(signed, &[], tag)?;
                let (message, _) = signed
                    .split_last_chunk_mut::<4>()
                    .ok_or(SrtpError::TooShort)?;
                let (_, text) = split(message, RTCP_HEADER_LEN)?;
                cm.apply(ssrc, index.into(), text)?;
                Ok(message.len())
            }
        }
    }
}

/// What SRTP needs to know of an RTP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RtpHeader {
    /// Bytes of fixed header, CSRCs and extension block: all that is not encrypted.
    pub(super) len: usize,
    pub(super) sequence: u16,
    pub(super) ssrc: u32,
}

impl RtpHeader {
    /// Reads the header of RFC 3550 §5.1 and checks that `packet` is as long as it says.
    pub(super) fn read(packet: &[u8]) -> Result<Self, SrtpError> {
        let &[first, _, s0, s1, _, _, _, _, c0, c1, c2, c3] =
            packet.first_chunk().ok_or(SrtpError::TooShort)?;
        if first >> 6 != 2 {
            return Err(SrtpError::BadVersion);
        }
        let mut len = 12 + 4 * usize::from(first & 0x0f);
        if first & 0x10 != 0 {
            let rest = packet.get(len..).ok_or(SrtpError::TooShort)?;
            let &[_, _, w0, w1] = rest.first_chunk().ok_or(SrtpError::TooShort)?;
            len += 4 + 4 * usize::from(u16::from_be_bytes([w0, w1]));
        }
        if packet.len() < len {
            return Err(SrtpError::TooShort);
        }
        Ok(Self {
            len,
            sequence: u16::from_be_bytes([s0, s1]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
        })
    }
}

fn rtcp_ssrc(packet: &[u8]) -> Result<u32, SrtpError> {
    let &[first, _, _, _, c0, c1, c2, c3] = packet
        .first_chunk::<RTCP_HEADER_LEN>()
        .ok_or(SrtpError::TooShort)?;
    if first >> 6 != 2 {
        return Err(SrtpError::BadVersion);
    }
    Ok(u32::from_be_bytes([c0, c1, c2, c3]))
}

fn rtcp_aad(head: &[u8; RTCP_HEADER_LEN], word: [u8; 4]) -> [u8; RTCP_HEADER_LEN + 4] {
    let mut aad = [0; RTCP_HEADER_LEN + 4];
    aad[..RTCP_HEADER_LEN].copy_from_slice(head);
    aad[RTCP_HEADER_LEN..].copy_from_slice(&word);
    aad
}

/// The rollover counter, which CM authenticates after the packet.
fn rollover(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

fn split(packet: &mut [u8], at: usize) -> Result<(&mut [u8], &mut [u8]), SrtpError> {
    packet.split_at_mut_checked(at).ok_or(SrtpError::TooShort)
}
