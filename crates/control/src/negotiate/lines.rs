//! m-lines one by one: accepted or not, what they become, how they are answered.

use std::collections::BTreeSet;

use crosspoint_media::config::{CongestionFeedback, PayloadConfig, SlotConfig};
use crosspoint_wire::codec::MediaKind;
use crosspoint_wire::ext::{ExtensionIds, ExtensionKind};
use crosspoint_wire::ids::{Mid, Rid, Ssrc};
use crosspoint_wire::sdp::{
    Direction, Feedback, Format, MediaSection, Msid, RidLine, SectionKind, SessionDescription,
    Simulcast, SimulcastStream, SsrcLine,
};
use rand::RngCore;

use super::{Line, Negotiated, Terms, formats};
use crate::api::OfferProblem;

/// Most simulcast encodings of one track; an answer leaves out what is beyond (RFC 8853 §5.3.2).
const ENCODINGS_MAX: usize = 4;
/// The only SCTP port that is used; all clients offer it (RFC 8841 §5).
const SCTP_PORT: u16 = 5000;
/// Largest data channel message that is taken, in bytes.
const MESSAGE_BYTES_MAX: u64 = 64 * 1024;
/// The protocols of data channels (RFC 8841 §4.1).
const DATA_PROTOCOLS: [&str; 2] = ["UDP/DTLS/SCTP", "TCP/DTLS/SCTP"];
/// Their name in the format list.
const DATA_FORMAT: &str = "webrtc-datachannel";

/// An m-line that the peer sends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveLine {
    /// Its `mid`.
    pub mid: Mid,
    /// The number of the answer since which this source has been sent here. It changes when the
    /// m-line stops and sends again or its `a=msid` changes: another track then.
    pub since: u64,
    /// Audio or video.
    pub kind: MediaKind,
    /// See [`ReceiveConfig::payloads`](crosspoint_media::config::ReceiveConfig::payloads).
    pub payloads: Vec<PayloadConfig>,
    /// See [`ReceiveConfig::ssrcs`](crosspoint_media::config::ReceiveConfig::ssrcs).
    pub ssrcs: Vec<(Ssrc, Option<Ssrc>)>,
    /// See [`ReceiveConfig::rids`](crosspoint_media::config::ReceiveConfig::rids).
    pub rids: Vec<Rid>,
    msid: Option<Msid>,
}

/// Which m-lines of an offer can be used at all.
pub(super) fn accepted(
    offer: &SessionDescription,
    terms: &Terms<'_>,
) -> Result<Vec<bool>, OfferProblem> {
    let mut mids = BTreeSet::new();
    let mut has_data = false;
    let mut accepted = Vec::with_capacity(offer.media.len());
    for section in &offer.media {
        let usable = !section.is_rejected()
            && match section.kind {
                SectionKind::Audio | SectionKind::Video => {
                    section.is_rtp() && !formats::payloads(section, terms.codecs).is_empty()
                }
                SectionKind::Application => !has_data && is_data(section),
                _ => false,
            };
        if usable {
            let mid = section.mid.ok_or(OfferProblem::Attribute("mid"))?;
            if !mids.insert(mid) {
                return Err(OfferProblem::Contradiction("mid"));
            }
            if section.is_rtp() && !section.rtcp_mux {
                return Err(OfferProblem::Attribute("rtcp-mux"));
            }
            has_data |= section.kind == SectionKind::Application;
        }
        accepted.push(usable);
    }
    Ok(accepted)
}

fn is_data(section: &MediaSection) -> bool {
    DATA_PROTOCOLS.contains(&section.protocol.as_str())
        && section.subprotocols.iter().any(|name| name == DATA_FORMAT)
        && section.sctp_port.is_none_or(|port| port == SCTP_PORT)
}

/// Builds the answer's m-lines and the session's lines side by side.
pub(super) struct Builder<'a> {
    offer: &'a SessionDescription,
    previous: Option<&'a Negotiated>,
    terms: &'a Terms<'a>,
    extensions: ExtensionIds,
    version: u64,
    pub(super) cname: String,
    lines: Vec<Line>,
    media: Vec<MediaSection>,
    feedback: CongestionFeedback,
    reduced_size_rtcp: bool,
    /// SSRCs that are taken, by either side.
    ssrcs: BTreeSet<Ssrc>,
    /// Pairs that are taken, by kind.
    pairs: BTreeSet<(MediaKind, u16)>,
}

/// What a [`Builder`] built.
pub(super) struct Built {
    pub(super) lines: Vec<Line>,
    pub(super) media: Vec<MediaSection>,
    pub(super) feedback: CongestionFeedback,
    pub(super) reduced_size_rtcp: bool,
    pub(super) cname: String,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        offer: &'a SessionDescription,
        previous: Option<&'a Negotiated>,
        terms: &'a Terms<'a>,
        extensions: ExtensionIds,
        version: u64,
    ) -> Self {
        let old_slots: Vec<&SlotConfig> =
            previous.into_iter().flat_map(Negotiated::slots).collect();
        let ours = old_slots
            .iter()
            .flat_map(|slot| [Some(slot.ssrc), slot.rtx_ssrc]);
        let theirs = offer.media.iter().flat_map(|section| &section.ssrcs);
        Self {
            offer,
            previous,
            terms,
            extensions,
            version,
            cname: String::new(),
            lines: Vec::with_capacity(offer.media.len()),
            media: Vec::with_capacity(offer.media.len()),
            feedback: CongestionFeedback::None,
            reduced_size_rtcp: false,
            ssrcs: ours.flatten().chain(theirs.map(|line| line.ssrc)).collect(),
            pairs: old_slots
                .iter()
                .map(|slot| (slot.kind, slot.pair))
                .collect(),
        }
    }

    pub(super) fn finish(self) -> Built {
        Built {
            lines: self.lines,
            media: self.media,
            feedback: self.feedback,
            reduced_size_rtcp: self.reduced_size_rtcp,
            cname: self.cname,
        }
    }

    /// Answers the next m-line.
    pub(super) fn line(
        &mut self,
        section: &MediaSection,
        accepted: bool,
        random: &mut dyn RngCore,
    ) {
        let (line, answer) = match (section.mid, section.kind.media()) {
            (Some(mid), Some(kind)) if accepted => self.media(section, mid, kind, random),
            (Some(_), None) if accepted => data(section),
            _ => rejected(section),
        };
        self.lines.push(line);
        self.media.push(answer);
    }

    fn media(
        &mut self,
        section: &MediaSection,
        mid: Mid,
        kind: MediaKind,
        random: &mut dyn RngCore,
    ) -> (Line, MediaSection) {
        let old = self
            .previous
            .and_then(|previous| previous.lines.get(self.lines.len()));
        let old = old.filter(|line| !line.rejected && line.mid == Some(mid));
        let payloads = formats::payloads(section, self.terms.codecs);
        let extensions = formats::answered_extensions(section, &self.extensions);
        let transport_cc = formats::has_transport_cc(section, &payloads, &extensions);

        let sends = section.direction.sends() && (self.terms.may_publish)(section);
        let receive = sends.then(|| {
            let old = old.and_then(|line| line.receive.as_ref());
            self.receive_line(section, mid, kind, &payloads, old)
        });
        let slot = section.direction.receives().then(|| {
            let old = old.and_then(|line| line.slot.as_ref());
            let slot = self.slot(mid, kind, &payloads, old, random);
            let uri = ExtensionKind::DependencyDescriptor.uri();
            SlotConfig {
                transport_cc,
                descriptors: extensions.iter().any(|extension| extension.uri == uri),
                ..slot
            }
        });
        if receive.is_some() {
            let remb = formats::has_feedback(section, &payloads, Feedback::GoogRemb);
            self.feedback = match self.feedback {
                _ if transport_cc => CongestionFeedback::TransportCc,
                CongestionFeedback::None if remb => CongestionFeedback::Remb,
                known => known,
            };
        }
        self.reduced_size_rtcp |= section.rtcp_rsize;

        let mut answer = MediaSection::new(section.kind, 9, section.protocol.clone());
        answer.mid = Some(mid);
        answer.direction = Direction::new(slot.is_some(), receive.is_some());
        answer.rtcp_mux = true;
        answer.rtcp_rsize = section.rtcp_rsize;
        answer.formats = formats::answered(section, &payloads, transport_cc);
        answer.extensions = extensions;
        if let Some(receive) = &receive {
            answer_simulcast(&mut answer, section, receive);
        }
        if let Some(slot) = &slot {
            answer_slot(&mut answer, slot, &self.cname);
        }
        let line = Line {
            mid: Some(mid),
            kind: section.kind,
            rejected: false,
            receive,
            slot,
        };
        (line, answer)
    }

    fn receive_line(
        &self,
        section: &MediaSection,
        mid: Mid,
        kind: MediaKind,
        payloads: &[PayloadConfig],
        old: Option<&ReceiveLine>,
    ) -> ReceiveLine {
        let rids = rids(section);
        ReceiveLine {
            mid,
            since: old
                .filter(|old| old.msid == section.msid)
                .map_or(self.version, |old| old.since),
            kind,
            payloads: payloads.to_vec(),
            // SSRCs say nothing about which encoding they are; RIDs do.
            ssrcs: match rids.is_empty() {
                true => declared_streams(section),
                false => Vec::new(),
            },
            rids,
            msid: section.msid.clone(),
        }
    }

    /// A slot keeps its streams and its pair while the m-line receives. When it stops and starts
    /// again it is a new stream: SRTP forbids to reuse an SSRC whose packet index starts over.
    fn slot(
        &mut self,
        mid: Mid,
        kind: MediaKind,
        payloads: &[PayloadConfig],
        old: Option<&SlotConfig>,
        random: &mut dyn RngCore,
    ) -> SlotConfig {
        let has_rtx = payloads.iter().any(|payload| payload.rtx.is_some());
        let old_rtx = old.and_then(|old| old.rtx_ssrc);
        SlotConfig {
            mid,
            kind,
            ssrc: match old {
                Some(old) => old.ssrc,
                None => self.new_ssrc(random),
            },
            rtx_ssrc: match old_rtx {
                _ if !has_rtx => None,
                Some(ssrc) => Some(ssrc),
                None => Some(self.new_ssrc(random)),
            },
            payloads: payloads.to_vec(),
            pair: match old {
                Some(old) => old.pair,
                None => self.new_pair(kind),
            },
            transport_cc: false,
            descriptors: false,
        }
    }

    fn new_ssrc(&mut self, random: &mut dyn RngCore) -> Ssrc {
        loop {
            let ssrc = random.next_u32();
            // 0 is what some clients take for "none".
            if ssrc != 0 && self.ssrcs.insert(ssrc) {
                return ssrc;
            }
        }
    }

    /// The lowest pair without a slot of this kind.
    fn new_pair(&mut self, kind: MediaKind) -> u16 {
        let most = u16::try_from(self.offer.media.len()).unwrap_or(u16::MAX);
        let pairs = &mut self.pairs;
        (0..most)
            .find(|&pair| pairs.insert((kind, pair)))
            .unwrap_or(most)
    }
}

/// RIDs of the encodings that are sent, best as the offer orders them. Without the RID header
/// extension their packets could not be told apart.
fn rids(section: &MediaSection) -> Vec<Rid> {
    let uri = ExtensionKind::Rid.uri();
    if !section
        .extensions
        .iter()
        .any(|extension| extension.uri == uri)
    {
        return Vec::new();
    }
    let mut rids = Vec::new();
    for stream in &section.simulcast.send {
        let described = section
            .rids
            .iter()
            .any(|line| line.send && line.rid == stream.rid);
        if described && !rids.contains(&stream.rid) && rids.len() < ENCODINGS_MAX {
            rids.push(stream.rid);
        }
    }
    rids
}

/// Declared SSRCs with their RTX SSRCs: the first stream, or all of a SIM group.
fn declared_streams(section: &MediaSection) -> Vec<(Ssrc, Option<Ssrc>)> {
    let rtx_of = |ssrc| {
        let group = section.fid_groups.iter().find(|&&(media, _)| media == ssrc);
        group.map(|&(_, rtx)| rtx)
    };
    let media = section
        .ssrcs
        .iter()
        .map(|line| line.ssrc)
        .filter(|&ssrc| section.fid_groups.iter().all(|&(_, rtx)| rtx != ssrc));
    match section.sim_group.is_empty() {
        true => media.take(1).map(|ssrc| (ssrc, rtx_of(ssrc))).collect(),
        false => section
            .sim_group
            .iter()
            .take(ENCODINGS_MAX)
            .map(|&ssrc| (ssrc, rtx_of(ssrc)))
            .collect(),
    }
}

fn answer_simulcast(answer: &mut MediaSection, section: &MediaSection, receive: &ReceiveLine) {
    let rids = &receive.rids;
    answer.rids = rids
        .iter()
        .map(|&rid| RidLine { rid, send: false })
        .collect();
    let is_paused = |rid| {
        let stream = section
            .simulcast
            .send
            .iter()
            .find(|stream| stream.rid == rid);
        stream.is_some_and(|stream| stream.paused)
    };
    answer.simulcast = Simulcast {
        send: Vec::new(),
        receive: rids
            .iter()
            .map(|&rid| SimulcastStream {
                rid,
                paused: is_paused(rid),
            })
            .collect(),
    };
}

fn answer_slot(answer: &mut MediaSection, slot: &SlotConfig, cname: &str) {
    answer.msid = Some(Msid {
        stream: format!("pair-{}", slot.pair),
        track: Some(format!("slot-{}", slot.mid)),
    });
    let cname = Some(cname.to_owned());
    let media = SsrcLine {
        ssrc: slot.ssrc,
        cname: cname.clone(),
    };
    answer.ssrcs.push(media);
    if let Some(rtx) = slot.rtx_ssrc {
        answer.ssrcs.push(SsrcLine { ssrc: rtx, cname });
        answer.fid_groups.push((slot.ssrc, rtx));
    }
}

fn data(section: &MediaSection) -> (Line, MediaSection) {
    let mut answer = MediaSection::new(section.kind, 9, section.protocol.clone());
    answer.subprotocols = vec![DATA_FORMAT.to_owned()];
    answer.mid = section.mid;
    answer.sctp_port = Some(SCTP_PORT);
    answer.max_message_size = Some(MESSAGE_BYTES_MAX);
    let line = Line {
        mid: section.mid,
        kind: section.kind,
        rejected: false,
        receive: None,
        slot: None,
    };
    (line, answer)
}

/// RFC 3264 §6: port 0, and at least one format though none is used.
fn rejected(section: &MediaSection) -> (Line, MediaSection) {
    let mut answer = MediaSection::new(section.kind, 0, section.protocol.clone());
    answer.mid = section.mid;
    answer.direction = Direction::Inactive;
    answer.formats = section.formats.iter().take(1).map(number_only).collect();
    answer.subprotocols = section.subprotocols.iter().take(1).cloned().collect();
    let line = Line {
        mid: section.mid,
        kind: section.kind,
        rejected: true,
        receive: None,
        slot: None,
    };
    (line, answer)
}

fn number_only(format: &Format) -> Format {
    Format {
        payload_type: format.payload_type,
        ..Format::default()
    }
}
