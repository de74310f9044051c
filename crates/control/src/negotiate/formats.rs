//! Payload formats and header extensions: which of those offered are used.

use crosspoint_media::config::PayloadConfig;
use crosspoint_wire::codec::{Codec, MediaKind, Profile};
use crosspoint_wire::ext::{ExtensionIds, ExtensionKind};
use crosspoint_wire::ids::PayloadType;
use crosspoint_wire::sdp::{Extmap, Feedback, Format, MediaSection, SessionDescription};

/// The formats of an m-line that can be forwarded, in the offer's order of preference.
pub(super) fn payloads(section: &MediaSection, codecs: &[Codec]) -> Vec<PayloadConfig> {
    let usable = section.formats.iter().filter_map(|format| {
        let codec = codec_of(format)?;
        let wanted = section.kind.media() == Some(codec.kind()) && codecs.contains(&codec);
        let has = |feedback| format.feedback.contains(&feedback);
        wanted.then_some(PayloadConfig {
            payload_type: format.payload_type,
            codec,
            profile: profile_of(codec, format)?,
            rtx: rtx_of(section, format.payload_type),
            red: red_of(section, codec, format.payload_type),
            nack: has(Feedback::Nack),
            pli: has(Feedback::NackPli),
            fir: has(Feedback::CcmFir),
        })
    });
    usable.collect()
}

/// The formats as the answer lists them: those of `payloads` and their RTX and RED formats.
pub(super) fn answered(
    section: &MediaSection,
    payloads: &[PayloadConfig],
    transport_cc: bool,
) -> Vec<Format> {
    let kept = section.formats.iter().filter_map(|format| {
        let of_media = |payload: &&PayloadConfig| payload.payload_type == format.payload_type;
        let codec = payloads.iter().find(of_media).map(|payload| payload.codec);
        let has = |carrier: fn(&PayloadConfig) -> Option<PayloadType>| {
            let mut carriers = payloads.iter().map(carrier);
            carriers.any(|carrier| carrier == Some(format.payload_type))
        };
        let is_red = has(|payload| payload.red);
        if codec.is_none() && !is_red && !has(|payload| payload.rtx) {
            return None;
        }
        let feedback = format
            .feedback
            .iter()
            .copied()
            .filter(|feedback| match feedback {
                Feedback::Nack | Feedback::NackPli | Feedback::CcmFir => true,
                Feedback::TransportCc => transport_cc,
                // A peer that gets both would have two opinions about one path.
                Feedback::GoogRemb => !transport_cc,
            });
        Some(Format {
            payload_type: format.payload_type,
            encoding: format.encoding.clone(),
            parameters: match is_red {
                true => format.parameters.clone(),
                false => answered_parameters(codec, format),
            },
            feedback: feedback.collect(),
        })
    });
    kept.collect()
}

/// Whether transport-wide feedback can be exchanged for an m-line: by the feedback's name and by
/// the header extension that it needs.
pub(super) fn has_transport_cc(
    section: &MediaSection,
    payloads: &[PayloadConfig],
    extensions: &[Extmap],
) -> bool {
    let uri = ExtensionKind::TransportCc.uri();
    extensions.iter().any(|extension| extension.uri == uri)
        && has_feedback(section, payloads, Feedback::TransportCc)
}

/// Whether any of the payload formats offers this feedback.
pub(super) fn has_feedback(
    section: &MediaSection,
    payloads: &[PayloadConfig],
    feedback: Feedback,
) -> bool {
    section.formats.iter().any(|format| {
        format.feedback.contains(&feedback)
            && payloads
                .iter()
                .any(|payload| payload.payload_type == format.payload_type)
    })
}

/// One id for each known extension, over all accepted m-lines (RFC 8843 §9.2). Of two ids for
/// one extension, or two extensions under one id, the first counts.
pub(super) fn extensions(offer: &SessionDescription, accepted: &[bool]) -> ExtensionIds {
    let mut ids = ExtensionIds::new();
    let sections = offer.media.iter().zip(accepted);
    for (section, _) in sections.filter(|&(section, &accepted)| accepted && section.is_rtp()) {
        for extension in &section.extensions {
            if let Some(kind) = usable_kind(extension)
                && ids.id(kind).is_none()
                && ids.kind(extension.id).is_none()
            {
                ids.set(kind, extension.id);
            }
        }
    }
    ids
}

/// Those of `ids` that the peer takes on what it receives, by the direction that it wrote behind
/// them (RFC 8285 §5).
pub(super) fn received_extensions(offer: &SessionDescription, ids: &ExtensionIds) -> ExtensionIds {
    let mut received = ExtensionIds::new();
    for extension in offer.media.iter().flat_map(|section| &section.extensions) {
        let takes = extension
            .direction
            .is_none_or(|direction| direction.receives());
        if let Some(kind) = ids
            .kind(extension.id)
            .filter(|kind| kind.uri() == extension.uri)
            && takes
        {
            received.set(kind, extension.id);
        }
    }
    received
}

/// The header extensions that the answer lists for one m-line.
pub(super) fn answered_extensions(section: &MediaSection, ids: &ExtensionIds) -> Vec<Extmap> {
    let mut answered: Vec<Extmap> = Vec::new();
    for extension in &section.extensions {
        let agreed = usable_kind(extension).and_then(|kind| ids.id(kind)) == Some(extension.id);
        if agreed && answered.iter().all(|other| other.id != extension.id) {
            answered.push(Extmap {
                id: extension.id,
                direction: extension.direction.map(|direction| direction.reversed()),
                uri: extension.uri.clone(),
            });
        }
    }
    answered
}

/// Id 15 ends a one-byte header (RFC 8285 §4.2), so it is not worth the trouble.
fn usable_kind(extension: &Extmap) -> Option<ExtensionKind> {
    let flows = extension
        .direction
        .is_none_or(|direction| direction.sends() || direction.receives());
    ExtensionKind::from_uri(&extension.uri).filter(|_| flows && extension.id != 15)
}

fn codec_of(format: &Format) -> Option<Codec> {
    let Some(encoding) = &format.encoding else {
        // RFC 3551 §6: static payload types need no rtpmap.
        return match format.payload_type {
            0 => Some(Codec::Pcmu),
            8 => Some(Codec::Pcma),
            _ => None,
        };
    };
    let codec = Codec::from_name(&encoding.name)?;
    let channels = match codec {
        // RFC 7587 §7: always 2 in SDP, whatever is sent.
        Codec::Opus => 2,
        _ => 1,
    };
    let same = encoding.clock_rate_hz == codec.clock_rate_hz()
        && (encoding.channels.unwrap_or(1) == channels || codec.kind() == MediaKind::Video);
    same.then_some(codec)
}

/// `None` when the parameters make no sense, so that the format is left out of the answer.
fn profile_of(codec: Codec, format: &Format) -> Option<Profile> {
    let number = |key, default: u8| match format.parameter(key) {
        Some(text) => text.parse().ok(),
        None => Some(default),
    };
    Some(match codec {
        Codec::H264 => {
            // RFC 6184 §8.1: the default is Baseline at level 1.
            let text = format.parameter("profile-level-id").unwrap_or("42000A");
            let value = u32::from_str_radix(text, 16).ok()?;
            let [0, idc, iop, level] = value.to_be_bytes() else {
                return None;
            };
            Profile::H264 {
                profile_level_id: [idc, iop, level],
                packetization_mode: number("packetization-mode", 0)?,
            }
        }
        Codec::Vp9 => Profile::Vp9(number("profile-id", 0)?),
        Codec::Av1 => Profile::Av1(number("profile", 0)?),
        _ => Profile::None,
    })
}

/// RFC 4588 §8.6: the RTX format that names `media` as its associated payload type.
fn rtx_of(section: &MediaSection, media: PayloadType) -> Option<PayloadType> {
    let rtx = section.formats.iter().find(|format| {
        let is_rtx = format
            .encoding
            .as_ref()
            .is_some_and(|encoding| encoding.name.eq_ignore_ascii_case("rtx"));
        is_rtx && format.parameter("apt").and_then(|apt| apt.parse().ok()) == Some(media)
    })?;
    Some(rtx.payload_type)
}

/// RFC 2198 §5: the format whose blocks are all of the format `media`. Only Opus has one: others
/// have no frames that may be lost one by one and cost little.
fn red_of(section: &MediaSection, codec: Codec, media: PayloadType) -> Option<PayloadType> {
    let red = section.formats.iter().find(|format| {
        let is_red = format.encoding.as_ref().is_some_and(|encoding| {
            encoding.name.eq_ignore_ascii_case("red")
                && encoding.clock_rate_hz == codec.clock_rate_hz()
        });
        let mut blocks = format.parameters.split('/');
        is_red && blocks.all(|block| block.trim().parse() == Ok(media))
    });
    red.filter(|_| codec == Codec::Opus)
        .map(|format| format.payload_type)
}

/// What is echoed of a format's parameters: those that describe the bitstream or ask the peer to
/// protect it, not its own limits as a receiver. `None` as codec is RTX.
fn answered_parameters(codec: Option<Codec>, format: &Format) -> String {
    let echoed: &[&str] = match codec {
        Some(Codec::Opus) => &[
            "minptime",
            "useinbandfec",
            "usedtx",
            "stereo",
            "sprop-stereo",
        ],
        Some(Codec::H264) => &[
            "level-asymmetry-allowed",
            "packetization-mode",
            "profile-level-id",
        ],
        Some(Codec::Vp9) => &["profile-id"],
        Some(Codec::Av1) => &["profile", "level-idx", "tier"],
        Some(Codec::Vp8 | Codec::Pcmu | Codec::Pcma) => &[],
        None => &["apt", "rtx-time"],
    };
    let pairs = echoed
        .iter()
        .filter_map(|key| Some(format!("{key}={}", format.parameter(key)?)));
    pairs.collect::<Vec<_>>().join(";")
}
