//! SRTP and SRTCP: protects and unprotects packets in place (RFC 3711, RFC 7714).
//!
//! Nothing here allocates per packet, reads a clock or keeps state for a packet that did not
//! authenticate. [`Inbound`] keeps per source the highest index, from which it guesses the
//! rollover counter of the next packet, and a replay window of 1024 packets; for at most 64
//! sources of RTP and of RTCP each, of which the one heard least recently makes room. [`Outbound`]
//! keeps nothing but the SRTCP index: whoever writes a stream numbers it with 48-bit indexes and
//! says them.
//!
//! Not here: DTLS (keys come from [`Keys::from_exporter`]), master key identifiers, key
//! derivation rates other than zero, SRTCP without encryption. DTLS-SRTP negotiates none of them.
//!
//! Hidden: the ciphers. AES-GCM is `ring`'s; AES-CM and HMAC-SHA1 are RustCrypto's, because ring's
//! HMAC-SHA1 takes three times as long.

mod cm;
mod gcm;
mod kdf;
mod source;
#[cfg(test)]
mod tests;
mod transform;

use self::kdf::Stream;
use self::source::{CYCLE, INDEX_END, Sources, Verdict};
use self::transform::{RtpHeader, Transform};

/// Most bytes that protection adds to an RTP packet.
pub const MAX_RTP_OVERHEAD: usize = gcm::TAG_LEN;

/// Most bytes that protection adds to an RTCP packet.
pub const MAX_RTCP_OVERHEAD: usize = gcm::TAG_LEN + 4;

/// Packets longer than this are not tried under a second rollover counter.
const MAX_RETRY: usize = 2048;

/// A protection profile of DTLS-SRTP (RFC 5764 §4.1.2, RFC 7714 §14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// AES-256 in Galois/counter mode.
    AeadAes256Gcm,
    /// AES-128 in Galois/counter mode.
    AeadAes128Gcm,
    /// AES-128 in counter mode with HMAC-SHA1 cut to 80 bits.
    Aes128CmSha1,
}

impl Profile {
    /// The name that browsers give it in `RTCTransportStats.srtpCipher`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::Aes128CmSha1 => "AES_CM_128_HMAC_SHA1_80",
        }
    }

    /// Bytes of the master key.
    const fn key_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            Self::AeadAes128Gcm | Self::Aes128CmSha1 => 16,
        }
    }

    /// Bytes of the master salt.
    const fn salt_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => 12,
            Self::Aes128CmSha1 => 14,
        }
    }
}

/// Why a packet was not taken or not protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrtpError {
    /// Shorter than its header, index and tag.
    #[error("packet is too short")]
    TooShort,
    /// Not version 2.
    #[error("not RTP version 2")]
    BadVersion,
    /// SRTCP without its E bit.
    #[error("SRTCP is not encrypted")]
    NotEncrypted,
    /// Seen before, or too late to tell.
    #[error("packet was seen before or is too old")]
    Replayed,
    /// The tag does not match.
    #[error("authentication failed")]
    Unauthenticated,
    /// The buffer has no room for the tag.
    #[error("no room for the tag")]
    NoRoom,
    /// More bytes than the cipher takes in one packet.
    #[error("packet is too long")]
    TooLong,
    /// The index does not end in the header's sequence number, or the key's indexes are used up.
    #[error("packet index is not valid")]
    BadIndex,
    /// Key or salt have the wrong length.
    #[error("key has the wrong length")]
    BadKey,
}

impl SrtpError {
    /// Stable name, the same in metrics and logs.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooShort => "too_short",
            Self::BadVersion => "bad_version",
            Self::NotEncrypted => "not_encrypted",
            Self::Replayed => "replayed",
            Self::Unauthenticated => "unauthenticated",
            Self::NoRoom => "no_room",
            Self::TooLong => "too_long",
            Self::BadIndex => "bad_index",
            Self::BadKey => "bad_key",
        }
    }
}

/// Master key and salt of one direction.
#[derive(Clone)]
pub struct MasterKey {
    profile: Profile,
    key: [u8; 32],
    salt: [u8; 14],
}

impl MasterKey {
    /// Takes 16 or 32 bytes of key and 12 or 14 bytes of salt, as `profile` asks for.
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        let mut master = Self {
            profile,
            key: [0; 32],
            salt: [0; 14],
        };
        if key.len() != profile.key_len() || salt.len() != profile.salt_len() {
            return Err(SrtpError::BadKey);
        }
        master.key[..key.len()].copy_from_slice(key);
        master.salt[..salt.len()].copy_from_slice(salt);
        Ok(master)
    }
}

/// The master keys of both directions.
#[derive(Clone)]
pub struct Keys {
    /// What the DTLS client sends with.
    pub client: MasterKey,
    /// What the DTLS server sends with.
    pub server: MasterKey,
}

impl Keys {
    /// Cuts the keying material that DTLS exported (RFC 5764 §4.2): client key, server key, client
    /// salt, server salt.
    pub fn from_exporter(profile: Profile, material: &[u8]) -> Result<Self, SrtpError> {
        let (key_len, salt_len) = (profile.key_len(), profile.salt_len());
        if material.len() != 2 * (key_len + salt_len) {
            return Err(SrtpError::BadKey);
        }
        let (keys, salts) = material.split_at(2 * key_len);
        let (client_key, server_key) = keys.split_at(key_len);
        let (client_salt, server_salt) = salts.split_at(salt_len);
        Ok(Self {
            client: MasterKey::new(profile, client_key, client_salt)?,
            server: MasterKey::new(profile, server_key, server_salt)?,
        })
    }
}

/// Takes protection off what the peer sends.
pub struct Inbound {
    rtp: Transform,
    rtcp: Transform,
    rtp_sources: Sources,
    rtcp_sources: Sources,
}

impl Inbound {
    /// Derives the session keys of the peer's direction.
    pub fn new(master: &MasterKey) -> Result<Self, SrtpError> {
        Ok(Self {
            rtp: Transform::new(master, Stream::Rtp)?,
            rtcp: Transform::new(master, Stream::Rtcp)?,
            rtp_sources: Sources::default(),
            rtcp_sources: Sources::default(),
        })
    }

    /// Verifies and decrypts an RTP packet in place; returns its length without the tag.
    ///
    /// After an error the payload's bytes are unspecified and nothing else has changed.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let header = RtpHeader::read(packet)?;
        let slot = self.rtp_sources.find(header.ssrc);
        let (len, index) = match self.rtp_sources.window(slot) {
            Some(window) => {
                let guess = window.guess(header.sequence)?;
                let opened = self.rtp.open_rtp(packet, header, guess.index);
                let len = opened.map_err(|error| match error {
                    SrtpError::Unauthenticated => guess.otherwise,
                    other => other,
                })?;
                (len, guess.index)
            }
            None => self.open_first(packet, header)?,
        };
        self.rtp_sources.accept(slot, index);
        Ok(len)
    }

    /// Verifies and decrypts an RTCP packet in place; returns its length without index and tag.
    ///
    /// After an error the bytes behind the header are unspecified and nothing else has changed.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let (ssrc, index) = self.rtcp.peek_rtcp(packet)?;
        let slot = self.rtcp_sources.find(ssrc);
        if let Some(window) = self.rtcp_sources.window(slot)
            && window.check(index.into()) != Verdict::New
        {
            return Err(SrtpError::Replayed);
        }
        let len = self.rtcp.open_rtcp(packet, ssrc, index)?;
        self.rtcp_sources.accept(slot, index.into());
        Ok(len)
    }

    /// Opens the first packet of a source, whose rollover counter is not known.
    ///
    /// It is zero, unless the sender began near the end of the first cycle and the packets up to
    /// there were lost: a low sequence number is tried with one, too. Without that the source
    /// would stay silent for good.
    fn open_first(&self, packet: &mut [u8], header: RtpHeader) -> Result<(usize, u64), SrtpError> {
        let index = u64::from(header.sequence);
        let mut copy = [0; MAX_RETRY];
        let retry = match copy.get_mut(..packet.len()) {
            Some(copy) if index < CYCLE / 2 => copy,
            _ => &mut [],
        };
        if !retry.is_empty() {
            retry.copy_from_slice(packet);
        }
        match self.rtp.open_rtp(packet, header, index) {
            Ok(len) => Ok((len, index)),
            Err(SrtpError::Unauthenticated) if !retry.is_empty() => {
                packet.copy_from_slice(retry);
                let index = index + CYCLE;
                let len = self.rtp.open_rtp(packet, header, index)?;
                Ok((len, index))
            }
            Err(error) => Err(error),
        }
    }
}

/// Protects what we send.
pub struct Outbound {
    rtp: Transform,
    rtcp: Transform,
    /// Of the next RTCP packet; common to all our SSRCs, so it repeats for none.
    rtcp_index: u32,
}

impl Outbound {
    /// Derives the session keys of our direction.
    pub fn new(master: &MasterKey) -> Result<Self, SrtpError> {
        Ok(Self {
            rtp: Transform::new(master, Stream::Rtp)?,
            rtcp: Transform::new(master, Stream::Rtcp)?,
            rtcp_index: 0,
        })
    }

    /// Encrypts the RTP packet in the first `len` bytes of `packet` in place; returns its length
    /// with the tag, for which the buffer has [`MAX_RTP_OVERHEAD`] bytes of room.
    ///
    /// `index` counts the packets of this SSRC from the first on; its low 16 bits are the header's
    /// sequence number, the others the rollover counter. Two packets that differ must never have
    /// the same SSRC and index: with GCM that gives away the authentication key.
    pub fn protect_rtp(
        &self,
        packet: &mut [u8],
        len: usize,
        index: u64,
    ) -> Result<usize, SrtpError> {
        let header = RtpHeader::read(packet.get(..len).ok_or(SrtpError::TooShort)?)?;
        if index >= INDEX_END || index % CYCLE != u64::from(header.sequence) {
            return Err(SrtpError::BadIndex);
        }
        self.rtp.seal_rtp(packet, len, header, index)
    }

    /// Encrypts the RTCP packet in the first `len` bytes of `packet` in place; returns its length
    /// with index and tag, for which the buffer has [`MAX_RTCP_OVERHEAD`] bytes of room.
    ///
    /// # Errors
    /// [`SrtpError::BadIndex`] after 2^31 packets, more than a year at 60 per second.
    pub fn protect_rtcp(&mut self, packet: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        if self.rtcp_index >> 31 != 0 {
            return Err(SrtpError::BadIndex);
        }
        let len = self.rtcp.seal_rtcp(packet, len, self.rtcp_index)?;
        self.rtcp_index += 1;
        Ok(len)
    }
}
