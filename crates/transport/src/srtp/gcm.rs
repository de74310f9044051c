//! AES-GCM over RTP and RTCP (RFC 7714), by `ring`.

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::kdf::SessionKeys;
use super::{Profile, SrtpError};

/// Bytes of the authentication tag.
pub(super) const TAG_LEN: usize = 16;

/// The cipher of one direction and stream, keyed once.
pub(super) struct Gcm {
    key: LessSafeKey,
    salt: [u8; NONCE_LEN],
}

impl Gcm {
    pub(super) fn new(profile: Profile, keys: &SessionKeys) -> Result<Self, SrtpError> {
        let algorithm = match profile {
            Profile::AeadAes256Gcm => &AES_256_GCM,
            _ => &AES_128_GCM,
        };
        let key = UnboundKey::new(algorithm, &keys.cipher[..algorithm.key_len()])
            .map_err(|_| SrtpError::BadKey)?;
        let mut salt = [0; NONCE_LEN];
        salt.copy_from_slice(&keys.salt[..NONCE_LEN]);
        Ok(Self {
            key: LessSafeKey::new(key),
            salt,
        })
    }

    /// Encrypts `text` in place; returns the tag over it and `aad`.
    pub(super) fn seal(
        &self,
        ssrc: u32,
        index: u64,
        aad: &[u8],
        text: &mut [u8],
    ) -> Result<[u8; TAG_LEN], SrtpError> {
        let tag = self
            .key
            .seal_in_place_separate_tag(self.nonce(ssrc, index), Aad::from(aad), text)
            .map_err(|_| SrtpError::TooLong)?;
        tag.as_ref().try_into().map_err(|_| SrtpError::TooLong)
    }

    /// Verifies and decrypts `sealed`, text then tag, in place. After a failure its text is lost.
    pub(super) fn open(
        &self,
        ssrc: u32,
        index: u64,
        aad: &[u8],
        sealed: &mut [u8],
    ) -> Result<(), SrtpError> {
        self.key
            .open_in_place(self.nonce(ssrc, index), Aad::from(aad), sealed)
            .map(|_| ())
            .map_err(|_| SrtpError::Unauthenticated)
    }

    /// 00 00, SSRC, 48-bit index, all under the salt (RFC 7714 §8.1).
    ///
    /// SRTCP's nonce has two zero bytes before its 31-bit index (§9.1), which is the same thing.
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mut nonce = self.salt;
        let counter = (u128::from(ssrc) << 48) | u128::from(index);
        for (byte, counter) in nonce.iter_mut().zip(&counter.to_be_bytes()[4..]) {
            *byte ^= counter;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::hex;
    use super::*;

    /// The packet, salt and keys of RFC 7714 §16 and §17.
    const SALT: &[u8; 12] = b"Quid pro quo";

    fn gcm(profile: Profile) -> Gcm {
        let mut keys = SessionKeys {
            cipher: std::array::from_fn(|i| u8::try_from(i).unwrap()),
            auth: [0; 20],
            salt: [0; 14],
        };
        keys.salt[..12].copy_from_slice(SALT);
        Gcm::new(profile, &keys).unwrap()
    }

    #[test]
    fn the_nonce_is_that_of_rfc_7714() {
        let nonce = gcm(Profile::AeadAes128Gcm).nonce(0x5501_a0b2, 0xf17b);
        assert_eq!(nonce.as_ref()[..], hex("51753c6580c2726f20718414")[..]);
    }

    #[test]
    fn seals_and_opens_the_rtp_packets_of_rfc_7714_section_16() {
        let header = hex("8040f17b8041f8d35501a0b2");
        let plain = hex("47616c6c696120657374206f6d6e697320646976697361\
                         20696e207061727465732074726573");
        for (profile, sealed) in [
            (
                Profile::AeadAes128Gcm,
                "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833\
                 899d7f27beb16a9152cf765ee4390cce",
            ),
            (
                Profile::AeadAes256Gcm,
                "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b\
                 7aa3db36dfffd6b0f9bb7878d7a76c13",
            ),
        ] {
            let cipher = gcm(profile);
            let mut text = plain.clone();
            let tag = cipher
                .seal(0x5501_a0b2, 0xf17b, &header, &mut text)
                .unwrap();
            text.extend_from_slice(&tag);
            assert_eq!(text, hex(sealed));

            cipher
                .open(0x5501_a0b2, 0xf17b, &header, &mut text)
                .unwrap();
            assert_eq!(text[..plain.len()], plain[..]);
        }
    }

    #[test]
    fn seals_the_rtcp_packet_of_rfc_7714_section_17() {
        let aad = hex("81c8000d4d617273800005d4");
        let mut text = hex("4e545031 4e545032 52545020 0000042a 0000e930 4c756e61\
                            deadbeef deadbeef deadbeef deadbeef deadbeef");
        let tag = gcm(Profile::AeadAes128Gcm)
            .seal(0x4d61_7273, 0x5d4, &aad, &mut text)
            .unwrap();
        text.extend_from_slice(&tag);
        assert_eq!(
            text,
            hex(
                "63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda\
                 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade"
            )
        );
    }
}
