//! Session descriptions as a minimal WebRTC client writes and reads them.
//!
//! Clients of the generator offer what browsers offer, cut down to VP8 and Opus. For servers that
//! offer themselves (Janus to its subscribers) there is [`answer`].

use std::fmt::Write as _;
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use crosspoint_wire::codec::MediaKind;
use crosspoint_wire::ext::{ExtensionIds, ExtensionKind};
use crosspoint_wire::ids::Mid;
use crosspoint_wire::sdp::{Format, MediaSection, SessionDescription};

/// Our side of the transport.
#[derive(Clone, Debug)]
pub struct Local {
    /// ICE user name fragment.
    pub ufrag: String,
    /// ICE password.
    pub pwd: String,
    /// SHA-256 of the certificate as in `a=fingerprint`.
    pub fingerprint: String,
    /// Where our socket is bound.
    pub address: SocketAddr,
}

/// One m-line of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// One stream.
    Send {
        /// What is sent.
        kind: MediaKind,
        /// SSRC of the stream.
        ssrc: u32,
    },
    /// Video in several sizes, told apart by RID.
    SendSimulcast {
        /// Smallest first.
        rids: Vec<&'static str>,
    },
    /// Whatever the server assigns to it.
    Receive {
        /// What may come.
        kind: MediaKind,
    },
}

/// The server's side.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Where checks and media go.
    pub address: SocketAddr,
    /// ICE user name fragment.
    pub ufrag: String,
    /// ICE password.
    pub pwd: String,
    /// In the order of the description.
    pub lines: Vec<RemoteLine>,
}

/// What was negotiated for an m-line.
#[derive(Clone, Debug)]
pub struct RemoteLine {
    /// As in the header extension.
    pub mid: Mid,
    /// Audio or video.
    pub kind: MediaKind,
    /// Of Opus or VP8; `None`: the line was refused.
    pub payload_type: Option<u8>,
    /// Of its retransmissions.
    pub rtx: Option<u8>,
    /// Ids of header extensions.
    pub ids: ExtensionIds,
    /// The server's streams and their RTX streams.
    pub repairs: Vec<(u32, u32)>,
}

const AUDIO_PAYLOAD: u8 = 111;
const VIDEO_PAYLOAD: u8 = 96;
const RTX_PAYLOAD: u8 = 97;

/// Header extensions that are offered, with their ids.
const EXTENSIONS: [(ExtensionKind, u8, Option<MediaKind>); 5] = [
    (ExtensionKind::AudioLevel, 1, Some(MediaKind::Audio)),
    (ExtensionKind::AbsSendTime, 2, None),
    (ExtensionKind::TransportCc, 3, None),
    (ExtensionKind::Mid, 4, None),
    (ExtensionKind::Rid, 10, Some(MediaKind::Video)),
];

/// Who begins DTLS. Our clients always do; what differs is what they say (RFC 8842 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// Left to the server, as browsers do.
    ActPass,
    /// Said outright, to servers that would begin if they were left the choice.
    Active,
}

/// The offer for `lines`, numbered from 0. `feedback`: whether transport-wide feedback is offered.
#[must_use]
pub fn offer(local: &Local, lines: &[Line], feedback: bool, setup: Setup) -> String {
    let setup = match setup {
        Setup::ActPass => "actpass",
        Setup::Active => "active",
    };
    let mids: Vec<String> = (0..lines.len()).map(|mid| mid.to_string()).collect();
    let mut sdp = head(&mids.join(" "));
    for (mid, line) in mids.iter().zip(lines) {
        let (kind, direction) = match line {
            Line::Send { kind, .. } => (*kind, "sendonly"),
            Line::SendSimulcast { .. } => (MediaKind::Video, "sendonly"),
            Line::Receive { kind } => (*kind, "recvonly"),
        };
        let formats = match kind {
            MediaKind::Audio => AUDIO_PAYLOAD.to_string(),
            MediaKind::Video => format!("{VIDEO_PAYLOAD} {RTX_PAYLOAD}"),
        };
        put_section(&mut sdp, kind, &formats, mid, direction, local, setup);
        for (extension, id, only) in EXTENSIONS {
            if only.is_some_and(|only| only != kind)
                || (extension == ExtensionKind::TransportCc && !feedback)
            {
                continue;
            }
            put(&mut sdp, format_args!("a=extmap:{id} {}", extension.uri()));
        }
        put_formats(&mut sdp, kind, feedback);
        match line {
            Line::Send { ssrc, .. } => {
                put(&mut sdp, format_args!("a=msid:load track-{mid}"));
                put(&mut sdp, format_args!("a=ssrc:{ssrc} cname:load"));
            }
            Line::SendSimulcast { rids } => {
                put(&mut sdp, format_args!("a=msid:load track-{mid}"));
                for rid in rids {
                    put(&mut sdp, format_args!("a=rid:{rid} send"));
                }
                put(
                    &mut sdp,
                    format_args!("a=simulcast:send {}", rids.join(";")),
                );
            }
            Line::Receive { .. } => {}
        }
    }
    sdp
}

/// The answer that takes all that `remote` offers to send.
#[must_use]
pub fn answer(local: &Local, remote: &Remote) -> String {
    let mids: Vec<&str> = remote.lines.iter().map(|line| line.mid.as_str()).collect();
    let mut sdp = head(&mids.join(" "));
    for line in &remote.lines {
        let payload = line.payload_type.unwrap_or_default();
        let formats = match line.rtx {
            Some(rtx) => format!("{payload} {rtx}"),
            None => payload.to_string(),
        };
        let mid = line.mid.as_str();
        put_section(
            &mut sdp, line.kind, &formats, mid, "recvonly", local, "active",
        );
        for kind in ExtensionKind::ALL {
            if let Some(id) = line.ids.id(kind) {
                put(&mut sdp, format_args!("a=extmap:{id} {}", kind.uri()));
            }
        }
        let codec = match line.kind {
            MediaKind::Audio => "opus/48000/2",
            MediaKind::Video => "VP8/90000",
        };
        put(&mut sdp, format_args!("a=rtpmap:{payload} {codec}"));
        if line.kind == MediaKind::Video {
            for feedback in ["nack", "nack pli", "transport-cc"] {
                put(&mut sdp, format_args!("a=rtcp-fb:{payload} {feedback}"));
            }
        }
        if let Some(rtx) = line.rtx {
            put(&mut sdp, format_args!("a=rtpmap:{rtx} rtx/90000"));
            put(&mut sdp, format_args!("a=fmtp:{rtx} apt={payload}"));
        }
    }
    sdp
}

impl Remote {
    /// Reads a server's answer, or its offer. Of its candidates the first UDP one counts that our
    /// socket can reach, preferably on the same host.
    ///
    /// # Errors
    /// When it is no description, or lacks what a transport needs.
    pub fn parse(sdp: &str, local: SocketAddr) -> Result<Self> {
        let description = SessionDescription::parse(sdp)?;
        let first = description.media.first().context("no m-line")?;
        let candidates = description.media.iter().flat_map(|line| &line.candidates);
        let reachable: Vec<SocketAddr> = candidates
            .filter_map(|text| candidate(text))
            .filter(|address| address.is_ipv4() == local.is_ipv4())
            .collect();
        let same_host = reachable.iter().find(|address| address.ip() == local.ip());
        let address = same_host.or_else(|| reachable.first());
        Ok(Self {
            address: *address.context("no candidate that this machine can reach by UDP")?,
            ufrag: first.ice_ufrag.clone().context("no a=ice-ufrag")?,
            pwd: first.ice_pwd.clone().context("no a=ice-pwd")?,
            lines: description
                .media
                .iter()
                .filter_map(RemoteLine::new)
                .collect(),
        })
    }
}

impl RemoteLine {
    fn new(section: &MediaSection) -> Option<Self> {
        let kind = section.kind.media()?;
        let codec = match kind {
            MediaKind::Audio => "opus",
            MediaKind::Video => "VP8",
        };
        let is = |format: &Format, name: &str| {
            let encoding = format.encoding.as_ref();
            encoding.is_some_and(|encoding| encoding.name.eq_ignore_ascii_case(name))
        };
        let mut formats = section.formats.iter();
        let payload_type = formats.find(|format| is(format, codec));
        let payload_type = payload_type.map(|format| format.payload_type);
        let repaired = payload_type.map(|payload_type| payload_type.to_string());
        let rtx = section
            .formats
            .iter()
            .find(|format| is(format, "rtx") && format.parameter("apt") == repaired.as_deref());
        let mut ids = ExtensionIds::new();
        for extension in &section.extensions {
            if let Some(kind) = ExtensionKind::from_uri(&extension.uri) {
                ids.set(kind, extension.id);
            }
        }
        Some(Self {
            mid: section.mid.unwrap_or_default(),
            kind,
            payload_type: payload_type.filter(|_| !section.is_rejected()),
            rtx: rtx.map(|format| format.payload_type),
            ids,
            repairs: section.fid_groups.clone(),
        })
    }
}

/// RFC 8839 §5.1: foundation, component, protocol, priority, address, port.
fn candidate(text: &str) -> Option<SocketAddr> {
    let mut words = text.split_ascii_whitespace();
    let (component, protocol) = (words.nth(1)?, words.next()?);
    let (ip, port) = (words.nth(1)?, words.next()?);
    if component != "1" || !protocol.eq_ignore_ascii_case("udp") {
        return None;
    }
    Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
}

fn head(mids: &str) -> String {
    let session = rand::random::<u32>();
    format!(
        "v=0\r\no=- {session} 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mids}\r\n\
         a=extmap-allow-mixed\r\na=msid-semantic:WMS *\r\n"
    )
}

fn put_section(
    sdp: &mut String,
    kind: MediaKind,
    formats: &str,
    mid: &str,
    direction: &str,
    local: &Local,
    setup: &str,
) {
    let kind = match kind {
        MediaKind::Audio => "audio",
        MediaKind::Video => "video",
    };
    let Local {
        ufrag,
        pwd,
        fingerprint,
        address,
    } = local;
    put(sdp, format_args!("m={kind} 9 UDP/TLS/RTP/SAVPF {formats}"));
    put(sdp, format_args!("c=IN IP4 0.0.0.0"));
    put(sdp, format_args!("a=mid:{mid}"));
    put(sdp, format_args!("a={direction}"));
    put(sdp, format_args!("a=ice-ufrag:{ufrag}"));
    put(sdp, format_args!("a=ice-pwd:{pwd}"));
    put(sdp, format_args!("a=fingerprint:sha-256 {fingerprint}"));
    put(sdp, format_args!("a=setup:{setup}"));
    put(sdp, format_args!("a=rtcp-mux"));
    put(sdp, format_args!("a=rtcp-rsize"));
    let (ip, port) = (address.ip(), address.port());
    put(
        sdp,
        format_args!("a=candidate:1 1 udp 2130706431 {ip} {port} typ host"),
    );
}

fn put_formats(sdp: &mut String, kind: MediaKind, feedback: bool) {
    match kind {
        MediaKind::Audio => {
            put(sdp, format_args!("a=rtpmap:{AUDIO_PAYLOAD} opus/48000/2"));
            put(
                sdp,
                format_args!("a=fmtp:{AUDIO_PAYLOAD} minptime=10;useinbandfec=1"),
            );
            if feedback {
                put(sdp, format_args!("a=rtcp-fb:{AUDIO_PAYLOAD} transport-cc"));
            }
        }
        MediaKind::Video => {
            put(sdp, format_args!("a=rtpmap:{VIDEO_PAYLOAD} VP8/90000"));
            for kind in ["ccm fir", "nack", "nack pli"] {
                put(sdp, format_args!("a=rtcp-fb:{VIDEO_PAYLOAD} {kind}"));
            }
            if feedback {
                put(sdp, format_args!("a=rtcp-fb:{VIDEO_PAYLOAD} transport-cc"));
            }
            put(sdp, format_args!("a=rtpmap:{RTX_PAYLOAD} rtx/90000"));
            put(
                sdp,
                format_args!("a=fmtp:{RTX_PAYLOAD} apt={VIDEO_PAYLOAD}"),
            );
        }
    }
}

fn put(sdp: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = write!(sdp, "{line}\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> Local {
        Local {
            ufrag: "abcd".to_owned(),
            pwd: "0123456789012345678901".to_owned(),
            fingerprint: ["00"; 32].join(":"),
            address: "127.0.0.1:5000".parse().unwrap(),
        }
    }

    #[test]
    fn an_offer_can_be_read_back() {
        let lines = [
            Line::Send {
                kind: MediaKind::Audio,
                ssrc: 5,
            },
            Line::SendSimulcast {
                rids: vec!["q", "h", "f"],
            },
            Line::Receive {
                kind: MediaKind::Video,
            },
        ];
        let text = offer(&local(), &lines, true, Setup::ActPass);
        let description = SessionDescription::parse(&text).unwrap();
        assert_eq!(description.media.len(), 3);
        assert_eq!(description.media[1].rids.len(), 3);
        let remote = Remote::parse(&text, local().address).unwrap();
        assert_eq!(remote.address, local().address);
        assert_eq!(remote.lines[0].payload_type, Some(AUDIO_PAYLOAD));
        assert_eq!(remote.lines[2].rtx, Some(RTX_PAYLOAD));
        assert_eq!(remote.lines[2].ids.id(ExtensionKind::TransportCc), Some(3));
        assert_eq!(remote.lines[0].ids.id(ExtensionKind::Rid), None);
        let reply = answer(&local(), &remote);
        assert_eq!(SessionDescription::parse(&reply).unwrap().media.len(), 3);
    }

    #[test]
    fn candidates_of_other_protocols_are_passed_over() {
        assert_eq!(
            candidate("1 1 tcp 5 127.0.0.1 9 typ host tcptype active"),
            None
        );
        assert_eq!(candidate("1 2 udp 5 127.0.0.1 9 typ host"), None);
        let got = candidate("1 1 UDP 5 127.0.0.1 9 typ host");
        assert_eq!(got, Some("127.0.0.1:9".parse().unwrap()));
    }
}
