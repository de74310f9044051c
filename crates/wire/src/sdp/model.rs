//! What a description says, as data.

use crate::codec::MediaKind;
use crate::ids::{Mid, PayloadType, Rid, Ssrc};

/// A whole description: an offer or an answer.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SessionDescription {
    /// `sess-id` of the o-line.
    pub session_id: u64,
    /// `sess-version` of the o-line.
    pub session_version: u64,
    /// `a=ice-lite` (RFC 8839 §5.3).
    pub ice_lite: bool,
    /// `a=extmap-allow-mixed` (RFC 8285 §6), at any level.
    pub extmap_allow_mixed: bool,
    /// m-lines of the first `a=group:BUNDLE` (RFC 8843 §7), in its order; empty without one.
    pub bundle: Vec<Mid>,
    /// The m-lines.
    pub media: Vec<MediaSection>,
}

/// What an m-line carries, by its first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SectionKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
    /// Data channels.
    Application,
    /// RFC 4103 text.
    Text,
    /// MSRP.
    Message,
    /// Fax.
    Image,
}

impl SectionKind {
    /// The word in the m-line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Application => "application",
            Self::Text => "text",
            Self::Message => "message",
            Self::Image => "image",
        }
    }

    /// From the word in the m-line.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Audio,
            Self::Video,
            Self::Application,
            Self::Text,
            Self::Message,
            Self::Image,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }

    /// The kind of media, where it is media.
    #[must_use]
    pub const fn media(self) -> Option<MediaKind> {
        match self {
            Self::Audio => Some(MediaKind::Audio),
            Self::Video => Some(MediaKind::Video),
            _ => None,
        }
    }
}

impl From<MediaKind> for SectionKind {
    fn from(kind: MediaKind) -> Self {
        match kind {
            MediaKind::Audio => Self::Audio,
            MediaKind::Video => Self::Video,
        }
    }
}

/// One m-line and the attributes below it, with what it inherits from the session level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaSection {
    /// Its first word.
    pub kind: SectionKind,
    /// Its port; 0 rejects the m-line unless `bundle_only` is set.
    pub port: u16,
    /// Its transport, e.g. `UDP/TLS/RTP/SAVPF`.
    pub protocol: String,
    /// Payload formats, in the order of preference; empty where `protocol` is not RTP.
    pub formats: Vec<Format>,
    /// The format list where `protocol` is not RTP, e.g. `webrtc-datachannel`.
    pub subprotocols: Vec<String>,
    /// `a=mid` (RFC 5888).
    pub mid: Option<Mid>,
    /// `a=sendrecv` and its kin; `SendRecv` where nothing is said.
    pub direction: Direction,
    /// `a=bundle-only` (RFC 8843 §6).
    pub bundle_only: bool,
    /// `a=ice-ufrag`: 4 to 256 visible ASCII characters without a colon.
    pub ice_ufrag: Option<String>,
    /// `a=ice-pwd`: 22 to 256 visible ASCII characters.
    pub ice_pwd: Option<String>,
    /// Tokens of `a=ice-options`.
    pub ice_options: Vec<String>,
    /// `a=fingerprint` (RFC 8122) with hash functions that are accepted; others are dropped.
    pub fingerprints: Vec<Fingerprint>,
    /// `a=setup` (RFC 8842).
    pub setup: Option<Setup>,
    /// `a=extmap` (RFC 8285) with ids 1..=255; others are dropped.
    pub extensions: Vec<Extmap>,
    /// `a=msid` (RFC 8830), the first.
    pub msid: Option<Msid>,
    /// `a=rtcp-mux` (RFC 5761).
    pub rtcp_mux: bool,
    /// `a=rtcp-rsize` (RFC 5506).
    pub rtcp_rsize: bool,
    /// `a=rid` (RFC 8851).
    pub rids: Vec<RidLine>,
    /// `a=simulcast` (RFC 8853).
    pub simulcast: Simulcast,
    /// `a=ssrc` (RFC 5576), each SSRC once.
    pub ssrcs: Vec<SsrcLine>,
    /// `a=ssrc-group:FID`: a stream and its RTX stream.
    pub fid_groups: Vec<(Ssrc, Ssrc)>,
    /// `a=ssrc-group:SIM`: streams of one source, smallest first.
    pub sim_group: Vec<Ssrc>,
    /// `a=sctp-port` (RFC 8841).
    pub sctp_port: Option<u16>,
    /// `a=max-message-size` (RFC 8841), bytes; 0: any.
    pub max_message_size: Option<u64>,
    /// Values of `a=candidate`, not interpreted.
    pub candidates: Vec<String>,
    /// `a=end-of-candidates`.
    pub end_of_candidates: bool,
}

impl MediaSection {
    /// An m-line without any attribute.
    #[must_use]
    pub fn new(kind: SectionKind, port: u16, protocol: impl Into<String>) -> Self {
        Self {
            kind,
            port,
            protocol: protocol.into(),
            formats: Vec::new(),
            subprotocols: Vec::new(),
            mid: None,
            direction: Direction::SendRecv,
            bundle_only: false,
            ice_ufrag: None,
            ice_pwd: None,
            ice_options: Vec::new(),
            fingerprints: Vec::new(),
            setup: None,
            extensions: Vec::new(),
            msid: None,
            rtcp_mux: false,
            rtcp_rsize: false,
            rids: Vec::new(),
            simulcast: Simulcast::default(),
            ssrcs: Vec::new(),
            fid_groups: Vec::new(),
            sim_group: Vec::new(),
            sctp_port: None,
            max_message_size: None,
            candidates: Vec::new(),
            end_of_candidates: false,
        }
    }

    /// Whether the m-line is switched off (RFC 3264 §6), as opposed to bundled (RFC 8843 §6).
    #[must_use]
    pub const fn is_rejected(&self) -> bool {
        self.port == 0 && !self.bundle_only
    }

    /// Whether the m-line carries RTP.
    #[must_use]
    pub fn is_rtp(&self) -> bool {
        is_rtp(&self.protocol)
    }
}

/// Whether the transport of an m-line is RTP of some profile.
pub(super) fn is_rtp(protocol: &str) -> bool {
    protocol.split('/').any(|token| token == "RTP")
}

/// Which way media may flow, seen from who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// Away from the speaker.
    SendOnly,
    /// Towards the speaker.
    RecvOnly,
    /// Not now.
    Inactive,
}

impl Direction {
    /// From what each side may do.
    #[must_use]
    pub const fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether who says it sends.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether who says it receives.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same seen from the other side.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// The attribute's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// From the attribute's name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::SendRecv,
            Self::SendOnly,
            Self::RecvOnly,
            Self::Inactive,
        ]
        .into_iter()
        .find(|direction| direction.name() == name)
    }
}

/// One payload format of an RTP m-line.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Format {
    /// Its number in the m-line, 0..=127.
    pub payload_type: PayloadType,
    /// `a=rtpmap`; absent for static payload types (RFC 3551 §6).
    pub encoding: Option<Encoding>,
    /// Value of `a=fmtp` after the payload type; empty without one.
    pub parameters: String,
    /// `a=rtcp-fb` that Crosspoint knows.
    pub feedback: Vec<Feedback>,
}

impl Format {
    /// Value of one `key=value` pair of the format's parameters.
    #[must_use]
    pub fn parameter(&self, key: &str) -> Option<&str> {
        self.parameters.split(';').find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case(key)
                .then_some(value.trim())
        })
    }
}

/// Name of an encoding, as in `opus/48000/2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// As written, whatever its case.
    pub name: String,
    /// RTP clock rate in Hz.
    pub clock_rate_hz: u32,
    /// Channels, where written.
    pub channels: Option<u16>,
}

/// A kind of RTCP feedback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feedback {
    /// Generic NACK (RFC 4585 §6.2.1).
    Nack,
    /// Picture loss indication (RFC 4585 §6.3.1).
    NackPli,
    /// Full intra request (RFC 5104 §4.3.1).
    CcmFir,
    /// Transport-wide congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    TransportCc,
    /// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03).
    GoogRemb,
}

impl Feedback {
    /// The value of `a=rtcp-fb` after the payload type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nack => "nack",
            Self::NackPli => "nack pli",
            Self::CcmFir => "ccm fir",
            Self::TransportCc => "transport-cc",
            Self::GoogRemb => "goog-remb",
        }
    }

    /// From the value of `a=rtcp-fb` after the payload type.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Nack,
            Self::NackPli,
            Self::CcmFir,
            Self::TransportCc,
            Self::GoogRemb,
        ]
        .into_iter()
        .find(|feedback| feedback.name().eq_ignore_ascii_case(name))
    }
}

/// Digest of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// How it was made.
    pub hash: HashFunction,
    /// Exactly [`HashFunction::digest_bytes`] bytes.
    pub digest: Vec<u8>,
}

/// Hash functions that are good enough to name a certificate with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashFunction {
    /// 32 bytes.
    Sha256,
    /// 48 bytes.
    Sha384,
    /// 64 bytes.
    Sha512,
}

impl HashFunction {
    /// The name in `a=fingerprint`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// From the name in `a=fingerprint`, whatever its case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512]
            .into_iter()
            .find(|hash| hash.name().eq_ignore_ascii_case(name))
    }

    /// Length of its digests.
    #[must_use]
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// Who opens the DTLS association (RFC 8842 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setup {
    /// Either side; only in offers.
    ActPass,
    /// The speaker.
    Active,
    /// The other side.
    Passive,
    /// Not now.
    HoldConn,
}

impl Setup {
    /// The attribute's value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ActPass => "actpass",
            Self::Active => "active",
            Self::Passive => "passive",
            Self::HoldConn => "holdconn",
        }
    }

    /// From the attribute's value.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::ActPass, Self::Active, Self::Passive, Self::HoldConn]
            .into_iter()
            .find(|setup| setup.name() == name)
    }
}

/// A header extension under a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extmap {
    /// 1..=255.
    pub id: u8,
    /// Where a direction was written behind the id.
    pub direction: Option<Direction>,
    /// What it is.
    pub uri: String,
}

/// Which MediaStream a track belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Msid {
    /// The MediaStream's id; `-` for none.
    pub stream: String,
    /// The track's id, where written.
    pub track: Option<String>,
}

/// One `a=rid` line; restrictions are not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RidLine {
    /// The RID.
    pub rid: Rid,
    /// True for `send`, false for `recv`.
    pub send: bool,
}

/// `a=simulcast`: streams in the order of preference. Of alternatives, the first.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Simulcast {
    /// What the speaker sends.
    pub send: Vec<SimulcastStream>,
    /// What the speaker receives.
    pub receive: Vec<SimulcastStream>,
}

/// One simulcast stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimulcastStream {
    /// Its RID.
    pub rid: Rid,
    /// `~`: initially paused.
    pub paused: bool,
}

/// One SSRC of an m-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsrcLine {
    /// The SSRC.
    pub ssrc: Ssrc,
    /// Its CNAME, where written.
    pub cname: Option<String>,
}
