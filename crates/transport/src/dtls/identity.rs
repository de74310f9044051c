//! Our certificate, one for the process, and digests of certificates (RFC 8122).

use std::sync::Arc;
use std::time::Duration;

use dimpl::certificate::generate_self_signed_certificate;
use dimpl::{Config, DtlsCertificate};
use ring::digest::{SHA256, SHA384, SHA512, digest};

use crate::api::{Fingerprint, FingerprintAlgorithm};

/// Largest datagram that we send, in bytes: what fits through any path that carries media.
const MTU: usize = 1200;

/// To the first retransmission of a flight; doubles with each. Six of them outlast our timeout.
const FIRST_RETRANSMISSION: Duration = Duration::from_millis(250);
const RETRANSMISSIONS: usize = 6;

/// Records that may wait to be sent: SCTP hands over a window's worth at a time.
const TRANSMIT_QUEUE: usize = 64;

/// The server's certificate and the settings that all its connections share.
pub struct DtlsIdentity {
    pub(super) certificate: DtlsCertificate,
    pub(super) config: Arc<Config>,
    fingerprint: Fingerprint,
}

/// No certificate could be made: the system's source of randomness or of time failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a DTLS certificate: {0}")]
pub struct IdentityError(String);

impl DtlsIdentity {
    /// Makes a key on P-256 and a certificate signed by itself, valid for a year.
    pub fn generate() -> Result<Self, IdentityError> {
        let certificate =
            generate_self_signed_certificate().map_err(|error| IdentityError(error.to_string()))?;
        let config = Config::builder()
            .mtu(MTU)
            .max_queue_tx(TRANSMIT_QUEUE)
            .use_server_cookie(false)
            .require_client_certificate(true)
            .flight_start_rto(FIRST_RETRANSMISSION)
            .flight_retries(RETRANSMISSIONS)
            .build()
            .map_err(|error| IdentityError(error.to_string()))?;
        Ok(Self {
            fingerprint: Fingerprint {
                algorithm: FingerprintAlgorithm::Sha256,
                digest: digest(&SHA256, &certificate.certificate).as_ref().to_vec(),
            },
            certificate,
            config: Arc::new(config),
        })
    }

    /// SHA-256 of the certificate, for `a=fingerprint` of our answers.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

impl std::fmt::Debug for DtlsIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DtlsIdentity")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// Whether `fingerprint` is the digest of a certificate in DER.
pub(super) fn is_of(fingerprint: &Fingerprint, certificate: &[u8]) -> bool {
    let algorithm = match fingerprint.algorithm {
        FingerprintAlgorithm::Sha256 => &SHA256,
        FingerprintAlgorithm::Sha384 => &SHA384,
        FingerprintAlgorithm::Sha512 => &SHA512,
    };
    digest(algorithm, certificate).as_ref() == fingerprint.digest
}
