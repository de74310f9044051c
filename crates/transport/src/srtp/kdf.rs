//! Key derivation (RFC 3711 §4.3, RFC 7714 §11) at the default rate of zero: once per session.

use aes::cipher::{KeyIvInit, StreamCipher};
use aes::{Aes128, Aes256};
use ctr::Ctr128BE;

use super::{MasterKey, Profile};

/// What a derived key is for: the labels of RFC 3711 §4.3.2.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    /// Labels 0, 1, 2.
    Rtp,
    /// Labels 3, 4, 5.
    Rtcp,
}

/// Session keys of one direction and stream.
pub(super) struct SessionKeys {
    /// Cipher key, 16 or 32 bytes of it used.
    pub(super) cipher: [u8; 32],
    /// HMAC-SHA1 key; not used by AEAD profiles.
    pub(super) auth: [u8; 20],
    /// Salt, 14 bytes, of which AEAD profiles use the first 12.
    pub(super) salt: [u8; 14],
}

/// Derives the session keys of `stream`.
pub(super) fn derive(master: &MasterKey, stream: Stream) -> SessionKeys {
    let base = match stream {
        Stream::Rtp => 0,
        Stream::Rtcp => 3,
    };
    let mut keys = SessionKeys {
        cipher: [0; 32],
        auth: [0; 20],
        salt: [0; 14],
    };
    let cipher_len = master.profile.key_len();
    expand(master, base, &mut keys.cipher[..cipher_len]);
    expand(master, base + 1, &mut keys.auth);
    let salt_len = master.profile.salt_len();
    expand(master, base + 2, &mut keys.salt[..salt_len]);
    keys
}

/// The pseudo-random function of RFC 3711 §4.3.3: AES in counter mode over zeros.
///
/// The 12-byte salts of RFC 7714 stand left in the 14-byte field, with zeros after them.
fn expand(master: &MasterKey, label: u8, out: &mut [u8]) {
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(&master.salt);
    iv[7] ^= label;
    out.fill(0);
    match master.profile {
        Profile::AeadAes256Gcm => {
            Ctr128BE::<Aes256>::new((&master.key).into(), (&iv).into()).apply_keystream(out);
        }
        Profile::AeadAes128Gcm | Profile::Aes128CmSha1 => {
            let (key, _) = master.key.split_at(16);
            Ctr128BE::<Aes128>::new(key.into(), (&iv).into()).apply_keystream(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derives_the_keys_of_rfc_3711_appendix_b3() {
        let master = MasterKey::new(
            Profile::Aes128CmSha1,
            &hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
            &hex("0EC675AD498AFEEBB6960B3AABE6"),
        )
        .unwrap();

        let keys = derive(&master, Stream::Rtp);

        assert_eq!(
            keys.cipher[..16],
            hex("C61E7A93744F39EE10734AFE3FF7A087")[..]
        );
        assert_eq!(keys.salt[..], hex("30CBBC08863D8C85D49DB34A9AE1")[..]);
        assert_eq!(
            keys.auth[..],
            hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")[..]
        );
    }

    fn hex(text: &str) -> Vec<u8> {
        super::super::tests::hex(text)
    }
}
