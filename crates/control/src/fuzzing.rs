//! What must hold for any bytes whatsoever: bodies of the fuzz targets, also run by the tests.

use crosspoint_transport::api::{Fingerprint, FingerprintAlgorithm};
use crosspoint_wire::sdp::SessionDescription;

use crate::negotiate::{ALL_CODECS, Terms, negotiate};

/// Whatever is answered is answered m-line by m-line, and the same offer again changes neither
/// streams nor credentials.
pub fn offer(data: &[u8]) {
    let text = core::str::from_utf8(data).ok();
    let Some(offer) = text.and_then(|text| SessionDescription::parse(text).ok()) else {
        return;
    };
    let fingerprint = Fingerprint {
        algorithm: FingerprintAlgorithm::Sha256,
        digest: vec![7; 32],
    };
    let terms = Terms {
        codecs: &ALL_CODECS,
        fingerprint: &fingerprint,
        candidates: &[],
        may_publish: &|_| true,
    };
    let mut random = rand::rng();
    let Ok(first) = negotiate(&offer, None, &terms, &mut random) else {
        return;
    };
    let Ok(answer) = SessionDescription::parse(&first.answer) else {
        unreachable!("an answer is a description");
    };
    assert_eq!(answer.media.len(), offer.media.len(), "one m-line for each");
    let Ok(again) = negotiate(&offer, Some(&first), &terms, &mut random) else {
        unreachable!("what was accepted once is accepted again");
    };
    assert!(!again.ice_restarted, "credentials are the same");
    assert!(again.local == first.local, "ours too");
    assert!(again.slots().eq(first.slots()), "slots stay as they are");
    assert!(
        again.receive_lines().eq(first.receive_lines()),
        "tracks stay as they are"
    );
}
