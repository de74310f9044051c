//! Numbers that applications pass encrypted: AES-128 in ECB mode with PKCS#5 padding, as base64url
//! without padding (standard base64 is taken too), under a key derived from an agreed seed text the way
//! Java's `SHA1PRNG` does it. The cipher is the `aes` crate's; here are mode, padding and derivation.
//!
//! ECB shows which numbers are equal and nothing keeps them from being replayed: it is what the
//! applications of this system already speak, not a protection that we would choose.

use aes::Aes128;
use aes::cipher::{BlockDecrypt, BlockEncrypt, KeyInit};
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use sha1::{Digest, Sha1};

const BLOCK: usize = 16;
/// Longest ciphertext that is looked at, as text; numbers need one block.
const TEXT_MAX: usize = 256;

/// Takes base64url with padding or without.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What an encrypted number turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decrypted {
    /// Digits, ready to be dialled.
    Number(String),
    /// Something else: the key or the text is wrong. Shown to who asked, never dialled.
    Other(String),
}

/// Decrypts a number with the tenant's seed text.
#[must_use]
pub fn decrypt(seed: &str, text: &str) -> Decrypted {
    let Some(plain) = plaintext(seed, text) else {
        return Decrypted::Other(String::new());
    };
    let plain = String::from_utf8_lossy(&plain).into_owned();
    let is_number = !plain.is_empty() && plain.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        Decrypted::Number(plain)
    } else {
        Decrypted::Other(plain)
    }
}

/// Encrypts a number, as application servers do.
#[must_use]
pub fn encrypt(seed: &str, number: &str) -> String {
    let cipher = cipher(seed);
    let mut bytes = number.as_bytes().to_vec();
    let pad = BLOCK - bytes.len() % BLOCK;
    bytes.extend(std::iter::repeat_n(pad.to_le_bytes()[0], pad));
    for block in bytes.chunks_exact_mut(BLOCK) {
        cipher.encrypt_block(block.into());
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The key of a seed text: the first half of `SHA1(SHA1(seed))`, seed as the bytes of its text.
fn key(seed: &str) -> [u8; BLOCK] {
    let digest = Sha1::digest(Sha1::digest(seed.as_bytes()));
    let mut key = [0; BLOCK];
    for (to, from) in key.iter_mut().zip(digest) {
        *to = from;
    }
    key
}

fn cipher(seed: &str) -> Aes128 {
    Aes128::new(&key(seed).into())
}

/// The bytes without their padding; `None`: not a whole number of blocks, or padded wrongly (both say
/// that it was made by another key or is no ciphertext at all).
fn plaintext(seed: &str, text: &str) -> Option<Vec<u8>> {
    if text.len() > TEXT_MAX {
        return None;
    }
    let url_safe = text.replace('+', "-").replace('/', "_");
    let mut bytes = LENIENT.decode(url_safe).ok()?;
    if bytes.is_empty() || !bytes.len().is_multiple_of(BLOCK) {
        return None;
    }
    let cipher = cipher(seed);
    for block in bytes.chunks_exact_mut(BLOCK) {
        cipher.decrypt_block(block.into());
    }
    let pad = usize::from(*bytes.last()?);
    let end = bytes.len().checked_sub(pad)?;
    let padding = bytes.get(end..)?;
    let padded = (1..=BLOCK).contains(&pad) && padding.iter().all(|&byte| usize::from(byte) == pad);
    if padded {
        bytes.truncate(end);
    }
    // A wrong key gives no padding: what came out is shown to who asked, as the original does.
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "00112233445566778899aabbccddeeff";

    #[test]
    fn the_key_is_that_of_java() {
        let hex: String = key(SEED).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "f0e7270d060804e8815c6152627157db");
    }

    #[test]
    fn the_vectors_of_java_hold_in_both_directions() {
        for (number, text) in [
            ("13812345678", "NpW6W066Z4Or6rG930XrmA"),
            ("10010", "YSwz69v4BLPvDmU4BBrbCw"),
        ] {
            assert_eq!(encrypt(SEED, number), text);
            assert_eq!(decrypt(SEED, text), Decrypted::Number(number.into()));
        }
    }

    #[test]
    fn padded_and_standard_base64_are_taken_too() {
        let number = Decrypted::Number("13812345678".into());
        assert_eq!(decrypt(SEED, "NpW6W066Z4Or6rG930XrmA=="), number);
        let text = encrypt(SEED, "4400");
        let standard = text.replace('-', "+").replace('_', "/");
        assert_eq!(decrypt(SEED, &standard), Decrypted::Number("4400".into()));
    }

    #[test]
    fn what_is_no_number_is_shown_and_not_dialled() {
        let letters = encrypt(SEED, "hello");
        assert_eq!(decrypt(SEED, &letters), Decrypted::Other("hello".into()));
        let other_key = encrypt("ffeeddccbbaa99887766554433221100", "10010");
        assert!(matches!(decrypt(SEED, &other_key), Decrypted::Other(_)));
        for text in ["", "%%%", "YSwz69v4", &"A".repeat(300)] {
            assert_eq!(
                decrypt(SEED, text),
                Decrypted::Other(String::new()),
                "{text}"
            );
        }
    }
}
