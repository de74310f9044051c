//! What an offer says about ICE and DTLS, and what an answer says about ours.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crosspoint_transport::api::{
    Candidate, Fingerprint, FingerprintAlgorithm, IceCredentials, Protocol,
};
use crosspoint_wire::sdp::{self, HashFunction, MediaSection, Setup};
use rand::{Rng, RngCore};

use super::Negotiated;
use crate::api::OfferProblem;

/// The peer's credentials and certificate, from the m-lines of the BUNDLE group in its order.
///
/// Of several ICE credentials the tagged m-line's count: a peer with the `balanced` policy offers
/// a transport of its own for each m-line until the answer bundles them (RFC 8843 §7.2). But all
/// fingerprints must be of one certificate.
pub(super) fn remote<'a>(
    sections: impl Iterator<Item = &'a MediaSection> + Clone,
    previous: Option<&Negotiated>,
) -> Result<(IceCredentials, Vec<Fingerprint>), OfferProblem> {
    // Attributes of a bundled transport may be left out below other m-lines than one.
    let ufrag = sections.clone().find_map(|s| s.ice_ufrag.clone());
    let pwd = sections.clone().find_map(|s| s.ice_pwd.clone());
    let credentials = IceCredentials {
        ufrag: ufrag.ok_or(OfferProblem::Attribute("ice-ufrag"))?,
        pwd: pwd.ok_or(OfferProblem::Attribute("ice-pwd"))?,
    };

    match sections.clone().find_map(|section| section.setup) {
        Some(Setup::ActPass | Setup::Active) => {}
        Some(Setup::Passive | Setup::HoldConn) | None => {
            return Err(OfferProblem::Attribute("setup"));
        }
    }

    // A later offer cannot bring another certificate, as the association stays (RFC 8842 §5.4).
    let mut fingerprints = previous.map_or_else(Vec::new, |known| known.fingerprints.clone());
    let mut found = false;
    for offered in sections.flat_map(|section| &section.fingerprints) {
        found = true;
        let offered = Fingerprint {
            algorithm: algorithm(offered.hash),
            digest: offered.digest.clone(),
        };
        match fingerprints
            .iter()
            .find(|f| f.algorithm == offered.algorithm)
        {
            Some(known) if *known != offered => {
                return Err(OfferProblem::Contradiction("fingerprint"));
            }
            Some(_) => {}
            None => fingerprints.push(offered),
        }
    }
    match found {
        true => Ok((credentials, fingerprints)),
        false => Err(OfferProblem::Attribute("fingerprint")),
    }
}

const fn algorithm(hash: HashFunction) -> FingerprintAlgorithm {
    match hash {
        HashFunction::Sha256 => FingerprintAlgorithm::Sha256,
        HashFunction::Sha384 => FingerprintAlgorithm::Sha384,
        HashFunction::Sha512 => FingerprintAlgorithm::Sha512,
    }
}

/// Our fingerprint, as written in an answer.
pub(super) fn written(fingerprint: &Fingerprint) -> sdp::Fingerprint {
    sdp::Fingerprint {
        hash: match fingerprint.algorithm {
            FingerprintAlgorithm::Sha256 => HashFunction::Sha256,
            FingerprintAlgorithm::Sha384 => HashFunction::Sha384,
            FingerprintAlgorithm::Sha512 => HashFunction::Sha512,
        },
        digest: fingerprint.digest.clone(),
    }
}

/// Values of `a=candidate` (RFC 8839 §5.1), one for each of our addresses.
pub(crate) fn candidate_values(candidates: &[Candidate]) -> Vec<String> {
    // Candidates of one type, base and protocol share a foundation (RFC 8445 §5.1.1.3).
    let mut foundations: BTreeMap<(Protocol, IpAddr), usize> = BTreeMap::new();
    let mut values = Vec::with_capacity(candidates.len());
    for (index, candidate) in candidates.iter().enumerate() {
        let next = foundations.len() + 1;
        let key = (candidate.protocol, candidate.address.ip());
        let foundation = *foundations.entry(key).or_insert(next);
        let (protocol, suffix) = match candidate.protocol {
            Protocol::Udp => ("udp", ""),
            Protocol::TcpPassive => ("tcp", " tcptype passive"),
        };
        let priority = priority(candidate.protocol, index);
        let (ip, port) = (candidate.address.ip(), candidate.address.port());
        values.push(format!(
            "{foundation} 1 {protocol} {priority} {ip} {port} typ host{suffix}"
        ));
    }
    values
}

/// RFC 8445 §5.1.2.1 for component 1; earlier candidates first, UDP before TCP.
fn priority(protocol: Protocol, index: usize) -> u32 {
    let place = u32::try_from(index).unwrap_or(u32::MAX).min(0x1000);
    let (type_preference, local_preference) = match protocol {
        Protocol::Udp => (126, 0xffff - place),
        // RFC 6544 §4.2: host candidates over TCP have 90, direction preference 4 when passive.
        Protocol::TcpPassive => (90, (4 << 13) | (0x1fff - place)),
    };
    (type_preference << 24) | (local_preference << 8) | (256 - 1)
}

/// New ICE credentials: 95 and 190 random bits (RFC 8445 §5.3 asks for 24 and 128). The user
/// fragment finds the session in its worker, so it must not repeat.
pub(crate) fn new_credentials(random: &mut dyn RngCore) -> IceCredentials {
    IceCredentials {
        ufrag: random_text(random, 16),
        pwd: random_text(random, 32),
    }
}

/// Random letters and digits.
pub(crate) fn random_text(random: &mut dyn RngCore, len: usize) -> String {
    random
        .sample_iter(rand::distr::Alphanumeric)
        .take(len)
        .map(char::from)
        .collect()
}
