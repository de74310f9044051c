//! Header extensions (RFC 8285): which exist for us, and under which id a session carries them.

/// A header extension that Crosspoint reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExtensionKind {
    /// RFC 8843 §15: which m-line a packet belongs to.
    Mid,
    /// RFC 8852: which encoding of it.
    Rid,
    /// RFC 8852: which encoding an RTX packet repairs.
    RepairedRid,
    /// RFC 6464: loudness of the packet, and voice activity.
    AudioLevel,
    /// draft-alvestrand-rmcat-remb §5: departure time, 6.18 fixed-point seconds.
    AbsSendTime,
    /// draft-holmer-rmcat-transport-wide-cc-extensions-01: transport-wide sequence number.
    TransportCc,
    /// WebRTC's absolute capture time.
    AbsCaptureTime,
    /// WebRTC's playout delay limits.
    PlayoutDelay,
    /// 3GPP TS 26.114 §7.4.5: coordination of video orientation.
    VideoOrientation,
    /// AV1 RTP specification, appendix A: dependency descriptor.
    DependencyDescriptor,
}

impl ExtensionKind {
    /// All kinds, in the order of their discriminants.
    pub const ALL: [Self; 10] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::AudioLevel,
        Self::AbsSendTime,
        Self::TransportCc,
        Self::AbsCaptureTime,
        Self::PlayoutDelay,
        Self::VideoOrientation,
        Self::DependencyDescriptor,
    ];

    /// The URI of `a=extmap`.
    #[must_use]
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::TransportCc => {
                "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
            }
            Self::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Self::VideoOrientation => "urn:3gpp:video-orientation",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
        }
    }

    /// The kind with this URI.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.uri() == uri)
    }
}

/// Ids under which one session carries its extensions. BUNDLE makes them common to all m-lines
/// (RFC 8843 §9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ExtensionIds {
    /// Indexed by `ExtensionKind as usize`; 0 where not negotiated.
    ids: [u8; ExtensionKind::ALL.len()],
}

impl ExtensionIds {
    /// Nothing negotiated.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Negotiates `kind` under `id` (1..=255; 1..=14 fits one-byte headers). Id 0 removes it.
    pub fn set(&mut self, kind: ExtensionKind, id: u8) {
        if let Some(slot) = self.ids.get_mut(kind as usize) {
            *slot = id;
        }
    }

    /// The id of `kind`, if negotiated.
    #[must_use]
    pub fn id(&self, kind: ExtensionKind) -> Option<u8> {
        self.ids.get(kind as usize).copied().filter(|&id| id != 0)
    }

    /// What `id` stands for, if anything.
    #[must_use]
    pub fn kind(&self, id: u8) -> Option<ExtensionKind> {
        if id == 0 {
            return None;
        }
        let position = self.ids.iter().position(|&i| i == id)?;
        ExtensionKind::ALL.get(position).copied()
    }
}
