//! The client's end of DTLS: `dimpl` until it has exported the SRTP keys.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use crosspoint_transport::srtp::{Inbound, Keys, Outbound, Profile};
use crosspoint_wire::time::Time;
use dimpl::certificate::generate_self_signed_certificate;
use dimpl::{Config, Dtls, DtlsCertificate, Output, SrtpProfile};
use sha2::{Digest as _, Sha256};

use crate::clock::Clock;

/// One certificate for all clients of a process: they are one test, not many people.
#[derive(Clone)]
pub struct Identity {
    certificate: DtlsCertificate,
    config: Arc<Config>,
    fingerprint: String,
}

impl Identity {
    /// Makes the certificate.
    ///
    /// # Errors
    /// When the cryptographic library fails.
    pub fn generate() -> Result<Self> {
        let certificate = generate_self_signed_certificate()
            .map_err(|error| anyhow::anyhow!("no certificate: {error}"))?;
        let digest = Sha256::digest(&certificate.certificate);
        let digest: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
        let config = Config::builder()
            .build()
            .map_err(|error| anyhow::anyhow!("DTLS: {error}"))?;
        Ok(Self {
            certificate,
            config: Arc::new(config),
            fingerprint: digest.join(":"),
        })
    }

    /// As in `a=fingerprint:sha-256`.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// What the stack writes into; one per thread.
pub(super) type Buffer = [u8; 16 * 1024];

/// What happened in DTLS.
pub(super) enum Said {
    /// The keys of both directions.
    Secured(Profile, Box<(Inbound, Outbound)>),
    /// The server closed the connection.
    Closed,
}

/// A client's connection.
pub(super) struct Client {
    stack: Dtls,
    wake: Time,
}

impl Client {
    /// Has the ClientHello to send.
    pub(super) fn new(clock: Clock, now: Time, identity: &Identity) -> Result<Self> {
        let config = Arc::clone(&identity.config);
        let instant = clock.instant(now);
        let mut stack = Dtls::new_12(config, identity.certificate.clone(), instant);
        stack.set_active(true);
        stack.handle_timeout(instant).context("DTLS")?;
        Ok(Self {
            stack,
            wake: Time::NEVER,
        })
    }

    /// When [`Client::handle_timeout`] is due.
    pub(super) const fn next(&self) -> Time {
        self.wake
    }

    pub(super) fn handle_timeout(&mut self, clock: Clock, now: Time) -> Result<()> {
        if now >= self.wake {
            self.wake = Time::NEVER;
            let instant = clock.instant(now);
            self.stack.handle_timeout(instant).context("DTLS")?;
        }
        Ok(())
    }

    pub(super) fn handle(&mut self, clock: Clock, now: Time, datagram: &[u8]) -> Result<()> {
        let instant = clock.instant(now);
        self.stack.handle_timeout(instant).context("DTLS")?;
        self.stack.handle_packet(datagram).context("DTLS")
    }

    /// Has a close_notify to send.
    pub(super) fn close(&mut self) {
        // Without a connection there is nothing to close.
        let _ = self.stack.close();
    }

    /// Moves out what there is to send and to say.
    pub(super) fn drain(
        &mut self,
        clock: Clock,
        buffer: &mut Buffer,
        mut send: impl FnMut(&[u8]),
    ) -> Result<Option<Said>> {
        let mut said = None;
        loop {
            match self.stack.poll_output(buffer) {
                Output::Packet(datagram) => send(datagram),
                Output::KeyingMaterial(material, profile) => {
                    let profile = match profile {
                        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
                        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
                        _ => Profile::Aes128CmSha1,
                    };
                    let keys = Keys::from_exporter(profile, &material)?;
                    let both = (Inbound::new(&keys.server)?, Outbound::new(&keys.client)?);
                    said = Some(Said::Secured(profile, Box::new(both)));
                }
                Output::CloseNotify => said = Some(Said::Closed),
                Output::Timeout(wake) => {
                    self.wake = clock.time(wake);
                    return Ok(said);
                }
                _ => {}
            }
        }
    }
}
