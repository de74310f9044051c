//! One source of media: who publishes it, in which formats, to which rooms, and which slots and
//! relays it feeds. Its streams are its [`Encoding`]s.

use crosspoint_wire::codec::MediaKind;
use crosspoint_wire::ids::{PayloadType, Rid};

use crate::config::{
    ParticipantId, PayloadConfig, ReceiveConfig, SessionKey, SlotConfig, TrackId, TrackSource,
};
use crate::encoding::{EncodingKey, StreamName};
use crate::relay::RelayKey;
use crate::room::RoomKey;
use crate::slab::Key;
use crate::slot::SlotKey;
use crate::timers::Due;

pub(crate) type TrackKey = Key<Track>;

/// Where a track's packets come from, and its feedback goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The session that publishes it.
    Session(SessionKey),
    /// Another engine.
    Relay(RelayKey),
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Track {
    pub(crate) id: TrackId,
    pub(crate) participant: ParticipantId,
    pub(crate) origin: Origin,
    pub(crate) kind: MediaKind,
    pub(crate) source: TrackSource,
    pub(crate) payloads: Vec<PayloadConfig>,
    pub(crate) muted: bool,
    /// Nobody wants it but those who said so.
    pub(crate) reserved: bool,
    /// Of its newest packet, 0 (loudest) to 127 (silence); `None` where the publisher does not say.
    pub(crate) audio_level: Option<u8>,
    /// Whether a packet ever came.
    pub(crate) started: bool,
    /// In order of quality, lowest first.
    pub(crate) encodings: Vec<EncodingKey>,
    /// The room of its publisher.
    pub(crate) home: Option<RoomKey>,
    /// Further rooms whose listeners it is offered to.
    pub(crate) linked: Vec<RoomKey>,
    /// Slots that it is assigned to.
    pub(crate) slots: Vec<SlotKey>,
    /// Engines that get a copy.
    pub(crate) relays: Vec<RelayKey>,
    /// Whose pictures go first where a session's bandwidth does not do for all.
    pub(crate) priority: u8,
    /// When to look after encodings that stopped.
    pub(crate) due: Due,
    next_epoch: u8,
}

impl Track {
    pub(crate) fn new(config: &ReceiveConfig, participant: ParticipantId, origin: Origin) -> Self {
        Self {
            id: config.track,
            participant,
            origin,
            kind: config.kind,
            source: config.source,
            payloads: config.payloads.clone(),
            muted: config.muted,
            reserved: config.reserved,
            audio_level: None,
            started: false,
            encodings: Vec::new(),
            home: None,
            linked: Vec::new(),
            slots: Vec::new(),
            relays: Vec::new(),
            priority: usual_priority(config.source),
            due: Due::default(),
            next_epoch: 0,
        }
    }

    /// Tells a stream that begins now from those before it: relays know streams by their place
    /// in the track, and another may take that place.
    pub(crate) fn begin_epoch(&mut self) -> u8 {
        let epoch = self.next_epoch;
        self.next_epoch = epoch.wrapping_add(1);
        epoch
    }

    /// All rooms whose listeners it is offered to.
    pub(crate) fn rooms(&self) -> impl Iterator<Item = RoomKey> {
        let linked = self.linked.iter().copied();
        self.home
            .into_iter()
            .chain(linked.filter(|&room| Some(room) != self.home))
    }

    /// Leaves a room that is no more.
    pub(crate) fn leave(&mut self, room: RoomKey) {
        self.home = self.home.filter(|&home| home != room);
        self.linked.retain(|&linked| linked != room);
    }

    /// The place of an encoding among the track's, by which relays name it.
    pub(crate) fn place_of(&self, encoding: EncodingKey) -> Option<u8> {
        let place = self.encodings.iter().position(|&e| e == encoding)?;
        u8::try_from(place).ok()
    }

    /// The format with this payload type.
    pub(crate) fn payload(&self, payload_type: PayloadType) -> Option<&PayloadConfig> {
        self.payloads
            .iter()
            .find(|p| p.payload_type == payload_type)
    }

    /// The format whose RTX stream has this payload type.
    pub(crate) fn repaired_payload(&self, rtx: PayloadType) -> Option<&PayloadConfig> {
        self.payloads.iter().find(|p| p.rtx == Some(rtx))
    }

    /// The format whose packets come with earlier ones under this payload type (RFC 2198).
    pub(crate) fn redundant_payload(&self, red: PayloadType) -> Option<&PayloadConfig> {
        self.payloads.iter().find(|p| p.red == Some(red))
    }

    /// Whether a slot's formats include one of the track's.
    pub(crate) fn fits(&self, slot: &SlotConfig) -> bool {
        self.kind == slot.kind
            && self
                .payloads
                .iter()
                .any(|source| matching_payload(&slot.payloads, source).is_some())
    }
}

/// How important the pictures of a source are unless somebody says otherwise.
pub(crate) const fn usual_priority(source: TrackSource) -> u8 {
    match source {
        TrackSource::ScreenShare => 2,
        _ => 1,
    }
}

/// The format of `accepted` that can carry `source`'s bitstream.
pub(crate) fn matching_payload<'a>(
    accepted: &'a [PayloadConfig],
    source: &PayloadConfig,
) -> Option<&'a PayloadConfig> {
    accepted
        .iter()
        .find(|p| p.codec == source.codec && p.profile.accepts(source.profile))
}

/// The streams that a track consists of as its session declares them, lowest quality first:
/// simulcast encodings by RID, else declared SSRCs (of which several are simulcast of the old
/// kind), else one that will be known by its MID.
pub(crate) fn declared_streams(config: &ReceiveConfig) -> Vec<StreamName> {
    if !config.rids.is_empty() {
        let mut rids = config.rids.clone();
        // Stable: rids without a meaning stay in the order of the offer, which is lowest first
        // in what libwebrtc expects of its own users.
        rids.sort_by_key(quality_of_rid);
        return rids.into_iter().map(StreamName::Rid).collect();
    }
    if config.ssrcs.is_empty() {
        return vec![StreamName::Only];
    }
    config
        .ssrcs
        .iter()
        .map(|&(ssrc, rtx)| StreamName::Ssrc(ssrc, rtx))
        .collect()
}

/// Names that applications commonly give to encodings: quarter, half and full size, or low,
/// medium and high. Firefox and Chromium keep the application's order, and both orders are in use,
/// so that a well-known name says more than its place.
fn quality_of_rid(rid: &Rid) -> u8 {
    match rid.as_str() {
        "q" | "l" | "lo" | "low" => 1,
        "h" | "m" | "mid" | "med" | "medium" => 2,
        "f" | "hi" | "high" | "full" => 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use crosspoint_wire::ids::{Mid, Token};

    use super::*;

    fn config(rids: &[&str]) -> ReceiveConfig {
        ReceiveConfig {
            mid: Mid::new(b"0").unwrap(),
            track: TrackId(1),
            kind: MediaKind::Video,
            source: TrackSource::Camera,
            payloads: Vec::new(),
            ssrcs: Vec::new(),
            rids: rids
                .iter()
                .map(|r| Token::new(r.as_bytes()).unwrap())
                .collect(),
            muted: false,
            reserved: false,
        }
    }

    fn names(rids: &[&str]) -> Vec<String> {
        let name = |s| match s {
            StreamName::Rid(rid) => rid.to_string(),
            other => format!("{other:?}"),
        };
        declared_streams(&config(rids))
            .into_iter()
            .map(name)
            .collect()
    }

    #[test]
    fn well_known_rids_are_ranked_whatever_their_order() {
        assert_eq!(names(&["f", "h", "q"]), ["q", "h", "f"]);
        assert_eq!(names(&["hi", "lo", "mid"]), ["lo", "mid", "hi"]);
    }

    #[test]
    fn other_rids_stay_in_the_order_of_the_offer() {
        assert_eq!(names(&["2", "0", "1"]), ["2", "0", "1"]);
    }

    #[test]
    fn a_track_without_names_is_one_stream() {
        assert_eq!(names(&[]), ["Only"]);
    }
}
