//! AES counter mode with HMAC-SHA1 (RFC 3711 §4.1.1 and §4.2), by the RustCrypto crates.
//!
//! Both are keyed once: the cipher's key schedule is borrowed by each packet, and the HMAC's
//! states after its key blocks are copied, which spares two of the hash's blocks per packet.

use aes::Aes128Enc;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use ctr::CtrCore;
use ctr::flavors::Ctr64BE;
use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::SrtpError;
use super::kdf::SessionKeys;

/// Bytes of the authentication tag: HMAC-SHA1 cut to 80 bits.
pub(super) const TAG_LEN: usize = 10;

/// The cipher and authenticator of one direction and stream.
pub(super) struct Cm {
    aes: Aes128Enc,
    hmac: Hmac<Sha1>,
    salt: [u8; 14],
}

impl Cm {
    pub(super) fn new(keys: &SessionKeys) -> Result<Self, SrtpError> {
        Ok(Self {
            aes: Aes128Enc::new_from_slice(&keys.cipher[..16]).map_err(|_| SrtpError::BadKey)?,
            hmac: <Hmac<Sha1> as Mac>::new_from_slice(&keys.auth).map_err(|_| SrtpError::BadKey)?,
            salt: keys.salt,
        })
    }

    /// Encrypts or decrypts `text` in place.
    pub(super) fn apply(&self, ssrc: u32, index: u64, text: &mut [u8]) -> Result<(), SrtpError> {
        // Salt, SSRC and index of RFC 3711 §4.1.1; the low 16 bits count blocks, so a 64-bit
        // counter is the same as the 128-bit one for any packet below a megabyte.
        let mut iv = [0; 16];
        let counter = (u128::from(ssrc) << 64) | (u128::from(index) << 16);
        iv[..14].copy_from_slice(&self.salt);
        let iv = (u128::from_be_bytes(iv) ^ counter).to_be_bytes();
        let core = CtrCore::<&Aes128Enc, Ctr64BE>::inner_iv_init(&self.aes, (&iv).into());
        StreamCipherCoreWrapper::from_core(core)
            .try_apply_keystream(text)
            .map_err(|_| SrtpError::TooLong)
    }

    /// The tag over `message` and `suffix`.
    pub(super) fn sign(&self, message: &[u8], suffix: &[u8]) -> [u8; TAG_LEN] {
        let digest = self.digest(message, suffix).finalize().into_bytes();
        std::array::from_fn(|i| digest[i])
    }

    /// Compares the tag over `message` and `suffix` in constant time.
    pub(super) fn verify(
        &self,
        message: &[u8],
        suffix: &[u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), SrtpError> {
        self.digest(message, suffix)
            .verify_truncated_left(tag)
            .map_err(|_| SrtpError::Unauthenticated)
    }

    fn digest(&self, message: &[u8], suffix: &[u8]) -> Hmac<Sha1> {
        let mut hmac = self.hmac.clone();
        hmac.update(message);
        hmac.update(suffix);
        hmac
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::hex;
    use super::*;

    #[test]
    fn the_key_stream_is_that_of_rfc_3711_appendix_b2() {
        let mut keys = SessionKeys {
            cipher: [0; 32],
            auth: [0; 20],
            salt: [0; 14],
        };
        keys.cipher[..16].copy_from_slice(&hex("2B7E151628AED2A6ABF7158809CF4F3C"));
        keys.salt
            .copy_from_slice(&hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"));

        let mut stream = vec![0; 16 * 0xff02];
        Cm::new(&keys).unwrap().apply(0, 0, &mut stream).unwrap();

        assert_eq!(
            stream[..48],
            hex(
                "E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB\
                 41E95B3BB0A2E8DD477901E4FCA894C0"
            )[..]
        );
        assert_eq!(
            stream[16 * 0xfeff..],
            hex(
                "EC8CDF7398607CB0F2D21675EA9EA1E4362B7C3C6773516318A077D7FC5073AE\
                 6A2CC3787889374FBEB4C81B17BA6C44"
            )[..]
        );
    }

    #[test]
    fn the_tag_is_that_of_rfc_2202() {
        let keys = SessionKeys {
            cipher: [0; 32],
            auth: [0x0b; 20],
            salt: [0; 14],
        };
        let cm = Cm::new(&keys).unwrap();
        let tag = cm.sign(b"Hi ", b"There");
        assert_eq!(tag[..], hex("b617318655057264e28b")[..]);
        assert!(cm.verify(b"Hi There", b"", &tag).is_ok());
        for bit in 0..80 {
            let mut forged = tag;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                cm.verify(b"Hi There", b"", &forged),
                Err(SrtpError::Unauthenticated)
            );
        }
    }
}
