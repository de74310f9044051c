//! One connected transport of a participant: what it publishes, its slots, its way out.

use std::collections::BTreeMap;

use crosspoint_wire::ext::ExtensionKind;
use crosspoint_wire::ids::{Mid, Ssrc};
use crosspoint_wire::time::Time;

use crate::config::{ParticipantId, Policy, SessionConfig, SessionId, SessionKey, TrackId, Wish};
use crate::egress::Egress;
use crate::encoding::EncodingKey;
use crate::estimate::{Estimator, Limits};
use crate::pacer::Pacer;
use crate::redundancy::Redundancy;
use crate::reporting::Reporting;
use crate::room::RoomKey;
use crate::slot::SlotKey;
use crate::timers::Due;
use crate::track::{Track, TrackKey};

/// Most streams that one session sends us, repair streams included; an SSRC beyond them stays
/// unknown. 64 m-lines are the most that `control` accepts, and few have more than one encoding.
const STREAMS_MAX: usize = 256;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) participant: ParticipantId,
    pub(crate) room: Option<RoomKey>,
    pub(crate) auto_subscribe: bool,
    pub(crate) connected: bool,
    /// What is common to all m-lines; these themselves are in `published` and `slots`.
    pub(crate) config: SessionConfig,
    pub(crate) published: Vec<Published>,
    pub(crate) slots: Vec<SlotKey>,
    /// Few, and looked at only when assignments change: searched, not hashed.
    pub(crate) wishes: Vec<(TrackId, Wish)>,
    /// Streams that come in.
    streams: SsrcTable<Stream>,
    /// Streams that go out; feedback of the peer names these.
    pub(crate) sent_streams: SsrcTable<SlotKey>,
    pub(crate) reporting: Reporting,
    /// What may be sent to it.
    pub(crate) estimator: Estimator,
    /// When it may be sent.
    pub(crate) pacer: Pacer,
    /// How much earlier sound goes along with later.
    pub(crate) redundancy: Redundancy,
    /// When what waits may leave.
    pub(crate) departure_due: Due,
    /// Bounds on the pictures that it receives.
    pub(crate) policy: Policy,
    /// When to allocate its bandwidth anew, whatever happens.
    pub(crate) quality_due: Due,
    /// Since when its smallest pictures together are much more than its bandwidth.
    pub(crate) short_since: Option<Time>,
    /// Whether its layers stand in the engine's list of what is to be decided anew.
    pub(crate) layers_listed: bool,
    /// Whether the session stands in the engine's list of what is to be assigned anew.
    pub(crate) listed: bool,
}

/// An m-line on which the peer sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Published {
    pub(crate) mid: Mid,
    pub(crate) track: TrackKey,
}

/// A stream that comes in: an encoding, or the RTX stream that repairs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Media(EncodingKey),
    Repair(EncodingKey),
}

impl Stream {
    pub(crate) const fn encoding(self) -> EncodingKey {
        match self {
            Self::Media(encoding) | Self::Repair(encoding) => encoding,
        }
    }
}

impl Session {
    fn new(id: SessionId, feedback_ssrc: Ssrc, limits: Limits) -> Self {
        Self {
            id,
            participant: ParticipantId(0),
            room: None,
            auto_subscribe: false,
            connected: false,
            config: SessionConfig::default(),
            published: Vec::new(),
            slots: Vec::new(),
            wishes: Vec::new(),
            streams: SsrcTable::default(),
            sent_streams: SsrcTable::default(),
            reporting: Reporting::new(feedback_ssrc),
            estimator: Estimator::new(limits),
            pacer: Pacer::fresh(),
            redundancy: Redundancy::default(),
            departure_due: Due::default(),
            policy: Policy::default(),
            quality_due: Due::default(),
            short_since: None,
            layers_listed: false,
            listed: false,
        }
    }

    /// Takes what is common to all m-lines from the outcome of an offer. `transport_cc`: whether
    /// any of its slots numbers its packets for the transport.
    pub(crate) fn configure(&mut self, config: SessionConfig, transport_cc: bool) {
        self.reporting.configure(config.feedback);
        let id = config.slot_extensions.id(ExtensionKind::TransportCc);
        self.estimator.configure(transport_cc && id.is_some());
        self.config = config;
    }

    /// What a stream that comes in belongs to.
    #[inline]
    pub(crate) fn stream(&self, ssrc: Ssrc) -> Option<Stream> {
        self.streams.get(ssrc)
    }

    /// Takes `ssrc` for a stream from now on, instead of any SSRC that the stream had. False when
    /// there are too many streams.
    pub(crate) fn bind(&mut self, ssrc: Ssrc, stream: Stream) -> bool {
        self.streams.retain(|&s| s != stream);
        self.streams.len() < STREAMS_MAX && {
            self.streams.insert(ssrc, stream);
            true
        }
    }

    /// Forgets the SSRCs of an encoding.
    pub(crate) fn unbind(&mut self, encoding: EncodingKey) {
        self.streams.retain(|stream| stream.encoding() != encoding);
    }

    /// Lets another encoding have the SSRCs of one.
    pub(crate) fn rebind(&mut self, from: EncodingKey, to: EncodingKey) {
        self.streams.update(|stream| match *stream {
            Stream::Media(encoding) if encoding == from => *stream = Stream::Media(to),
            Stream::Repair(encoding) if encoding == from => *stream = Stream::Repair(to),
            Stream::Media(_) | Stream::Repair(_) => {}
        });
    }

    /// The SSRC under which an encoding's own packets come, if any did or will.
    pub(crate) fn media_ssrc(&self, encoding: EncodingKey) -> Option<Ssrc> {
        self.streams.key_of(&Stream::Media(encoding))
    }

    /// The track of an m-line.
    pub(crate) fn published_on(&self, mid: Mid) -> Option<TrackKey> {
        let published = self.published.iter().find(|p| p.mid == mid);
        published.map(|p| p.track)
    }

    /// What the session asks of a track, or what holds where it asked nothing.
    pub(crate) fn wish(&self, track: &Track) -> Wish {
        let said = self.wishes.iter().find(|(id, _)| *id == track.id);
        said.map_or(
            Wish {
                wanted: self.auto_subscribe && !track.reserved,
                ..Wish::default()
            },
            |(_, wish)| *wish,
        )
    }
}

/// Values by SSRC. A session has a handful of streams, and scanning a handful of adjacent numbers
/// is cheaper than hashing one.
#[derive(Debug)]
pub(crate) struct SsrcTable<T> {
    ssrcs: Vec<Ssrc>,
    values: Vec<T>,
}

impl<T> Default for SsrcTable<T> {
    fn default() -> Self {
        Self {
            ssrcs: Vec::new(),
            values: Vec::new(),
        }
    }
}

impl<T: Copy + PartialEq> SsrcTable<T> {
    #[inline]
    pub(crate) fn get(&self, ssrc: Ssrc) -> Option<T> {
        let index = self.ssrcs.iter().position(|&s| s == ssrc)?;
        self.values.get(index).copied()
    }

    /// Whatever stood under `ssrc` does no more.
    pub(crate) fn insert(&mut self, ssrc: Ssrc, value: T) {
        match self.ssrcs.iter().position(|&s| s == ssrc) {
            Some(index) => self.values[index] = value,
            None => {
                self.ssrcs.push(ssrc);
                self.values.push(value);
            }
        }
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let mut index = 0;
        while let Some(value) = self.values.get(index) {
            if keep(value) {
                index += 1;
            } else {
                self.values.swap_remove(index);
                self.ssrcs.swap_remove(index);
            }
        }
    }

    fn update(&mut self, change: impl FnMut(&mut T)) {
        self.values.iter_mut().for_each(change);
    }

    pub(crate) fn clear(&mut self) {
        self.ssrcs.clear();
        self.values.clear();
    }

    fn key_of(&self, value: &T) -> Option<Ssrc> {
        let index = self.values.iter().position(|v| v == value)?;
        self.ssrcs.get(index).copied()
    }

    fn len(&self) -> usize {
        self.ssrcs.len()
    }
}

/// All open sessions, by key and by id.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    /// Indexed by [`SessionKey`].
    open: Vec<Option<Box<Session>>>,
    /// The sessions' ways out, indexed likewise: all that fan-out touches of a session stands in
    /// one dense table.
    ways_out: Vec<Egress>,
    free: Vec<SessionKey>,
    keys: BTreeMap<SessionId, SessionKey>,
}

impl Sessions {
    /// The session's key; it is opened if it is not open.
    pub(crate) fn open(
        &mut self,
        id: SessionId,
        feedback_ssrc: Ssrc,
        limits: Limits,
    ) -> SessionKey {
        if let Some(&key) = self.keys.get(&id) {
            return key;
        }
        let key = self.free.pop().unwrap_or_else(|| {
            self.open.push(None);
            self.ways_out.push(Egress::default());
            // Memory ends long before 2^32 sessions do.
            SessionKey((self.open.len() - 1) as u32)
        });
        if let Some(place) = self.open.get_mut(key.0 as usize) {
            *place = Some(Box::new(Session::new(id, feedback_ssrc, limits)));
        }
        self.keys.insert(id, key);
        key
    }

    pub(crate) fn remove(&mut self, key: SessionKey) -> Option<Box<Session>> {
        let session = self.open.get_mut(key.0 as usize)?.take()?;
        if let Some(egress) = self.egress_mut(key) {
            egress.clear();
        }
        self.keys.remove(&session.id);
        self.free.push(key);
        Some(session)
    }

    pub(crate) fn key(&self, id: SessionId) -> Option<SessionKey> {
        self.keys.get(&id).copied()
    }

    #[inline]
    pub(crate) fn get(&self, key: SessionKey) -> Option<&Session> {
        self.open.get(key.0 as usize)?.as_deref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.open.get_mut(key.0 as usize)?.as_deref_mut()
    }

    #[inline]
    pub(crate) fn egress_mut(&mut self, key: SessionKey) -> Option<&mut Egress> {
        self.ways_out.get_mut(key.0 as usize)
    }

    /// A session and its way out.
    pub(crate) fn departing(&mut self, key: SessionKey) -> Option<(&mut Session, &mut Egress)> {
        let session = self.open.get_mut(key.0 as usize)?.as_deref_mut()?;
        Some((session, self.ways_out.get_mut(key.0 as usize)?))
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = SessionId> {
        self.keys.keys().copied()
    }
}
