//! Offer and answer (RFC 3264, RFC 8829, RFC 8843): a pure function from an offer, and from what
//! earlier offers of the session left behind, to an answer and the session's configuration.
//!
//! The client always offers. m-lines that it sends on become tracks; m-lines that it receives on
//! become **slots** with SSRCs of ours. Everything runs over one transport: the server is
//! ICE-lite, DTLS-passive and takes one BUNDLE group.
//!
//! Nothing here knows participants, rooms or permissions beyond the one question whether an
//! m-line may be published ([`Terms::may_publish`]); ids of tracks are given out by the caller.
//! Randomness is an argument, so that the same offer gives the same answer in tests.

use crosspoint_media::config::{
    CongestionFeedback, ReceiveConfig, SessionConfig, SlotConfig, TrackId, TrackSource,
};
use crosspoint_transport::api::{Candidate, Fingerprint, IceCredentials};
use crosspoint_wire::codec::Codec;
use crosspoint_wire::ext::ExtensionIds;
use crosspoint_wire::ids::Mid;
use crosspoint_wire::sdp::{MediaSection, SectionKind, SessionDescription, Setup};
use rand::RngCore;

use crate::api::OfferProblem;

mod formats;
mod lines;
mod transport;

pub use lines::ReceiveLine;
pub(crate) use transport::{candidate_values, new_credentials, random_text};

/// The codecs that are forwarded unless the configuration says fewer.
pub const ALL_CODECS: [Codec; 7] = [
    Codec::Opus,
    Codec::Pcmu,
    Codec::Pcma,
    Codec::Vp8,
    Codec::Vp9,
    Codec::H264,
    Codec::Av1,
];

/// The server's side of an answer.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// Codecs that may be used.
    pub codecs: &'a [Codec],
    /// Digest of our certificate.
    pub fingerprint: &'a Fingerprint,
    /// Where the session's worker can be reached.
    pub candidates: &'a [Candidate],
    /// Whether what an m-line sends is welcome. An m-line that is not is answered as if its
    /// sender had nothing to send.
    pub may_publish: &'a dyn Fn(&MediaSection) -> bool,
}

/// What the offers of a session have agreed so far.
#[derive(Clone, Debug)]
pub struct Negotiated {
    /// The answer to the latest offer.
    pub answer: String,
    /// m-lines, in the order of the offer.
    pub lines: Vec<Line>,
    /// Our ICE credentials.
    pub local: IceCredentials,
    /// The peer's ICE credentials.
    pub remote: IceCredentials,
    /// Digests of the peer's certificate.
    pub fingerprints: Vec<Fingerprint>,
    /// Whether the latest offer restarted ICE: `local` and `remote` are new then.
    pub ice_restarted: bool,
    extensions: ExtensionIds,
    slot_extensions: ExtensionIds,
    feedback: CongestionFeedback,
    reduced_size_rtcp: bool,
    cname: String,
    origin_id: u64,
    /// Counts the answers, from 1.
    version: u64,
}

/// One m-line, as answered.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its `mid`; `None` only where it is rejected.
    pub mid: Option<Mid>,
    /// What it carries.
    pub kind: SectionKind,
    /// Switched off by either side. Its place may be taken by another m-line.
    pub rejected: bool,
    /// What the peer sends on it.
    pub receive: Option<ReceiveLine>,
    /// What the peer receives on it.
    pub slot: Option<SlotConfig>,
}

/// What the packets of an m-line belong to.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// The track.
    pub track: TrackId,
    /// What it shows.
    pub source: TrackSource,
    /// Nothing of it flows.
    pub muted: bool,
    /// It is for those whose wish for it is said, and for nobody by default.
    pub reserved: bool,
}

impl Negotiated {
    /// The configuration of the session's engine. `track` says what an m-line's packets belong
    /// to; m-lines without a track are not listened to.
    pub fn session_config(
        &self,
        track: impl Fn(&ReceiveLine) -> Option<Published>,
    ) -> SessionConfig {
        let receive = self.lines.iter().filter_map(|line| {
            let line = line.receive.as_ref()?;
            let published = track(line)?;
            Some(ReceiveConfig {
                mid: line.mid,
                track: published.track,
                kind: line.kind,
                source: published.source,
                payloads: line.payloads.clone(),
                ssrcs: line.ssrcs.clone(),
                rids: line.rids.clone(),
                muted: published.muted,
                reserved: published.reserved,
            })
        });
        SessionConfig {
            receive: receive.collect(),
            slots: self.slots().cloned().collect(),
            extensions: self.extensions,
            slot_extensions: self.slot_extensions,
            feedback: self.feedback,
            reduced_size_rtcp: self.reduced_size_rtcp,
            cname: self.cname.clone(),
        }
    }

    /// Takes the peer's new credentials without an offer, and makes new ones of ours.
    pub(crate) fn restart_ice(&mut self, remote: IceCredentials, random: &mut dyn RngCore) {
        self.remote = remote;
        self.local = new_credentials(random);
    }

    /// m-lines that the peer sends on, in order.
    pub fn receive_lines(&self) -> impl Iterator<Item = &ReceiveLine> {
        self.lines.iter().filter_map(|line| line.receive.as_ref())
    }

    /// m-lines that the peer receives on, in order.
    pub fn slots(&self) -> impl Iterator<Item = &SlotConfig> {
        self.lines.iter().filter_map(|line| line.slot.as_ref())
    }
}

/// Answers an offer. `previous` is the outcome of the session's last offer, if there was one.
///
/// # Errors
/// [`OfferProblem`] says what to change. Nothing has changed then: `previous` still holds.
pub fn negotiate(
    offer: &SessionDescription,
    previous: Option<&Negotiated>,
    terms: &Terms<'_>,
    random: &mut dyn RngCore,
) -> Result<Negotiated, OfferProblem> {
    let version = previous.map_or(1, |previous| previous.version + 1);
    check_order(offer, previous)?;
    let accepted = lines::accepted(offer, terms)?;
    let bundle = bundle_of(offer, &accepted)?;
    let tagged = bundle.first().copied();

    let (remote, fingerprints) = match (tagged, previous) {
        (Some(_), _) => {
            let sections = bundle.iter().filter_map(|&index| offer.media.get(index));
            transport::remote(sections, previous)?
        }
        // Everything is switched off for now; the transport stays.
        (None, Some(previous)) => (previous.remote.clone(), previous.fingerprints.clone()),
        (None, None) => return Err(OfferProblem::NothingUsable),
    };
    let ice_restarted = previous.is_some_and(|previous| previous.remote != remote);
    let local = match previous {
        Some(previous) if !ice_restarted => previous.local.clone(),
        _ => new_credentials(random),
    };

    let extensions = formats::extensions(offer, &accepted);
    let mut builder = lines::Builder::new(offer, previous, terms, extensions, version);
    builder.cname = match previous {
        Some(previous) => previous.cname.clone(),
        None => random_text(random, 16),
    };
    for (section, &accepted) in offer.media.iter().zip(&accepted) {
        builder.line(section, accepted, random);
    }
    let lines::Built {
        lines,
        mut media,
        feedback,
        reduced_size_rtcp,
        cname,
    } = builder.finish();

    for (index, section) in media.iter_mut().enumerate() {
        if !bundle.contains(&index) {
            continue;
        }
        // RFC 8843 §7.1.3 has these in the tagged m-line only; repeating them is what every
        // browser does itself, and GStreamer insists on it.
        section.ice_ufrag = Some(local.ufrag.clone());
        section.ice_pwd = Some(local.pwd.clone());
        section.fingerprints = vec![transport::written(terms.fingerprint)];
        section.setup = Some(Setup::Passive);
        if tagged == Some(index) {
            section.candidates = candidate_values(terms.candidates);
            section.end_of_candidates = true;
        }
    }
    let origin_id = match previous {
        Some(previous) => previous.origin_id,
        None => random.next_u64() >> 2,
    };
    let mids = bundle.iter().filter_map(|&index| media.get(index)?.mid);
    let answer = SessionDescription {
        session_id: origin_id,
        session_version: version,
        ice_lite: true,
        extmap_allow_mixed: offer.extmap_allow_mixed,
        bundle: match offer.bundle.is_empty() {
            true => Vec::new(),
            false => mids.collect(),
        },
        media,
    };
    Ok(Negotiated {
        answer: answer.to_string(),
        lines,
        local,
        remote,
        fingerprints,
        ice_restarted,
        extensions,
        slot_extensions: formats::received_extensions(offer, &extensions),
        feedback,
        reduced_size_rtcp,
        cname,
        origin_id,
        version,
    })
}

/// RFC 3264 §8, RFC 8829 §5.2.2: m-lines keep place, kind and mid; only the place of a rejected
/// one may be reused.
fn check_order(
    offer: &SessionDescription,
    previous: Option<&Negotiated>,
) -> Result<(), OfferProblem> {
    let Some(previous) = previous else {
        return Ok(());
    };
    for (index, line) in previous.lines.iter().enumerate() {
        let section = offer.media.get(index);
        let same = section.is_some_and(|section| {
            line.rejected || (section.kind == line.kind && section.mid == line.mid)
        });
        if !same {
            return Err(OfferProblem::MLineChanged(index));
        }
    }
    Ok(())
}

/// The accepted m-lines, in the order of the BUNDLE group: the first is the tagged one, whose
/// transport carries them all (RFC 8843 §7.2).
fn bundle_of(offer: &SessionDescription, accepted: &[bool]) -> Result<Vec<usize>, OfferProblem> {
    let active: Vec<usize> = (0..offer.media.len())
        .filter(|&index| accepted.get(index) == Some(&true))
        .collect();
    // A single m-line needs no group to share its transport with nobody.
    if offer.bundle.is_empty() && active.len() == 1 {
        return Ok(active);
    }
    let mut bundle = Vec::with_capacity(active.len());
    for mid in &offer.bundle {
        let found = active.iter().copied().find(|&index| {
            let section = offer.media.get(index);
            section.and_then(|section| section.mid) == Some(*mid)
        });
        if let Some(index) = found.filter(|index| !bundle.contains(index)) {
            bundle.push(index);
        }
    }
    match bundle.len() == active.len() {
        true => Ok(bundle),
        false => Err(OfferProblem::NotBundled),
    }
}

#[cfg(test)]
mod tests;
