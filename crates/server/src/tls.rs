//! What HTTPS is served with: a certificate chain and its key, read from PEM files and looked at
//! before anybody connects.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow, ensure};
use rustls::ServerConfig;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::server::install_crypto;

/// How long before its end a certificate is worth a remark.
const RENEWAL: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// A certificate that can be served.
#[derive(Debug)]
pub struct Tls {
    /// For HTTP/2 and HTTP/1.1.
    pub config: Arc<ServerConfig>,
    /// What clients may object to, e.g. that it has expired.
    pub remark: Option<String>,
}

impl Tls {
    /// Reads a certificate, those that vouch for it, and its key.
    ///
    /// # Errors
    /// Which of the files is not what it should be, and why.
    pub fn read(certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        install_crypto();
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| unread(certificate, error))?;
        ensure!(
            !chain.is_empty(),
            "{}: no certificate in PEM is in it (-----BEGIN CERTIFICATE-----)",
            certificate.display()
        );
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
            PemError::NoItemsFound => anyhow!(
                "{}: no private key in PEM is in it (-----BEGIN PRIVATE KEY-----, without a \
                 passphrase)",
                key.display()
            ),
            error => unread(key, error),
        })?;
        let remark = chain
            .first()
            .and_then(|first| remark(first, SystemTime::now()))
            .map(|remark| format!("{}: {remark}", certificate.display()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, secret)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => anyhow!("the key is another certificate's"),
                error => error.into(),
            });
        let mut config =
            config.with_context(|| format!("{} and {}", certificate.display(), key.display()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            config: Arc::new(config),
            remark,
        })
    }
}

fn unread(path: &Path, error: PemError) -> anyhow::Error {
    match error {
        PemError::Io(error) => anyhow!("{}: {error}", path.display()),
        error => anyhow!("{}: this is not PEM: {error}", path.display()),
    }
}

/// What is to be said about the time in which a certificate is valid.
fn remark(certificate: &[u8], now: SystemTime) -> Option<String> {
    let certificate = match Certificate::from_der(certificate) {
        Ok(certificate) => certificate,
        Err(error) => return Some(format!("how long it is valid cannot be read: {error}")),
    };
    let validity = certificate.tbs_certificate().validity();
    let (begin, end) = (validity.not_before, validity.not_after);
    if now < begin.to_system_time() {
        return Some(format!("it is not valid before {}", begin.to_date_time()));
    }
    if end.to_system_time() <= now {
        return Some(format!("it expired at {}", end.to_date_time()));
    }
    let soon = end.to_system_time() <= now + RENEWAL;
    soon.then(|| format!("it expires soon, at {}", end.to_date_time()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    /// A folder with `certificate.pem` and `key.pem`, which belong together, valid in these years.
    fn made(from: i32, until: i32) -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let paths = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
        std::fs::write(&paths[0], params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(&paths[1], key.serialize_pem()).unwrap();
        let [certificate, key] = paths;
        (folder, certificate, key)
    }

    fn refusal(certificate: &Path, key: &Path) -> String {
        format!("{:#}", Tls::read(certificate, key).unwrap_err())
    }

    #[test]
    fn a_certificate_and_its_key_are_served_over_both_versions_of_http() {
        let (_folder, certificate, key) = made(2000, 4000);
        let tls = Tls::read(&certificate, &key).unwrap();
        assert_eq!(tls.remark, None);
        assert_eq!(tls.config.alpn_protocols.len(), 2);
    }

    #[test]
    fn each_wrong_file_is_named_with_what_is_wrong_with_it() {
        let (folder, certificate, key) = made(2000, 4000);
        let missing = folder.path().join("missing.pem");
        assert!(refusal(&missing, &key).contains("missing.pem: No such file"));
        assert!(refusal(&certificate, &missing).contains("missing.pem: No such file"));
        // As they are when somebody confuses them.
        assert!(refusal(&key, &certificate).contains("key.pem: no certificate in PEM"));
        assert!(refusal(&certificate, &certificate).contains("certificate.pem: no private key"));
        let cut = folder.path().join("cut.pem");
        std::fs::write(&cut, "-----BEGIN CERTIFICATE-----\nAAAA\n").unwrap();
        assert!(refusal(&cut, &key).contains("cut.pem: this is not PEM"));
        let (_other, _, foreign) = made(2000, 4000);
        assert!(refusal(&certificate, &foreign).contains("the key is another certificate's"));
    }

    #[test]
    fn a_certificate_outside_its_time_is_remarked_on() {
        let remark = |from, until| {
            let (_folder, certificate, key) = made(from, until);
            Tls::read(&certificate, &key).unwrap().remark.unwrap()
        };
        assert!(remark(2000, 2001).contains("it expired at 2001-01-01"));
        assert!(remark(3000, 4000).contains("it is not valid before 3000-01-01"));
        let (_folder, certificate, _) = made(2000, 4000);
        let der = CertificateDer::from_pem_file(certificate).unwrap();
        let end = SystemTime::from(date_time_ymd(4000, 1, 1));
        let eve = |days: u64| super::remark(&der, end - Duration::from_secs(days * 86_400));
        assert!(eve(13).unwrap().contains("it expires soon, at 4000-01-01"));
        assert_eq!(eve(15), None);
    }
}
