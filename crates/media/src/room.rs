//! A room as the engine sees it: what is offered in it, who listens, who speaks.

use crosspoint_wire::codec::MediaKind;
use crosspoint_wire::rtp::AudioLevel;
use crosspoint_wire::time::Time;

use crate::assign::Offer;
use crate::config::{RoomConfig, RoomId, SessionKey, TrackSource};
use crate::slab::{Key, Slab};
use crate::speaker::{Changes, Loudness, SpeakerSelection};
use crate::timers::Due;
use crate::track::{Track, TrackKey};

pub(crate) type RoomKey = Key<Room>;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) id: RoomId,
    pub(crate) config: RoomConfig,
    /// Tracks offered here, in the order in which they came.
    pub(crate) tracks: Vec<TrackKey>,
    pub(crate) sessions: Vec<SessionKey>,
    /// How loud the audio tracks are, in the order in which they came.
    voices: Vec<(TrackKey, Loudness)>,
    speakers: SpeakerSelection<TrackKey>,
    /// Video tracks whose participants spoke, latest first.
    recent: Vec<TrackKey>,
    /// When to look at the speakers again.
    pub(crate) due: Due,
    /// Whether the room stands in the engine's list of what is to be assigned anew.
    pub(crate) listed: bool,
}

impl Room {
    pub(crate) fn new(id: RoomId, config: RoomConfig) -> Self {
        Self {
            id,
            config,
            tracks: Vec::new(),
            sessions: Vec::new(),
            voices: Vec::new(),
            speakers: SpeakerSelection::new(config.top_audio),
            recent: Vec::new(),
            due: Due::default(),
            listed: false,
        }
    }

    pub(crate) fn configure(&mut self, now: Time, config: RoomConfig) {
        self.speakers.set_places(now, config.top_audio);
        self.config = config;
    }

    /// Offers a track; nothing happens if it is offered already.
    pub(crate) fn add(&mut self, key: TrackKey, track: &Track) {
        if self.tracks.contains(&key) {
            return;
        }
        self.tracks.push(key);
        // A shared screen's sound is heard with the screen, not by who is loudest.
        if track.kind == MediaKind::Audio && track.source != TrackSource::ScreenShareAudio {
            self.voices.push((key, Loudness::default()));
            self.speakers.refresh();
        }
    }

    pub(crate) fn remove(&mut self, key: TrackKey) {
        self.tracks.retain(|&t| t != key);
        self.voices.retain(|&(t, _)| t != key);
        self.recent.retain(|&t| t != key);
        self.speakers.refresh();
    }

    /// Takes note of how loud a packet of an audio track is. True when there is reason to look
    /// at the speakers.
    pub(crate) fn note_loudness(&mut self, now: Time, key: TrackKey, level: AudioLevel) -> bool {
        let voice = self.voices.iter_mut().find(|(track, _)| *track == key);
        let loud = voice.is_some_and(|(_, loudness)| loudness.observe(now, level));
        if loud {
            self.speakers.wake(now);
        }
        loud
    }

    /// Looks at the speakers, if it is time to.
    pub(crate) fn look(&mut self, now: Time) -> Changes {
        self.speakers.poll(now, &mut self.voices)
    }

    /// When to look at the speakers.
    pub(crate) fn next_look(&self) -> Time {
        self.speakers.next_timeout()
    }

    /// Who speaks, loudest first.
    pub(crate) fn speakers(&self) -> &[(TrackKey, u8)] {
        self.speakers.speakers()
    }

    /// Puts the pictures of those who speak now before all others, as far as pictures may have to
    /// go without a slot. The loudest comes first.
    pub(crate) fn prefer_speakers(&mut self, tracks: &Slab<Track>) {
        for (speaker, _) in self.speakers.speakers().iter().rev() {
            let Some(participant) = tracks.get(*speaker).map(|t| t.participant) else {
                continue;
            };
            for &key in &self.tracks {
                let shows_speaker = tracks.get(key).is_some_and(|track| {
                    track.kind == MediaKind::Video && track.participant == participant
                });
                if shows_speaker {
                    self.recent.retain(|&t| t != key);
                    self.recent.insert(0, key);
                }
            }
        }
    }

    /// What the room offers to its listeners: sound, then pictures, most wanted first.
    pub(crate) fn list_offers(&self, tracks: &Slab<Track>, offers: &mut Vec<Offer>) {
        let recent = self.recent.iter().copied();
        let others = self
            .tracks
            .iter()
            .copied()
            .filter(|t| !self.recent.contains(t));
        for key in recent.chain(others) {
            let Some(track) = tracks.get(key) else {
                continue;
            };
            let heard = track.kind == MediaKind::Video
                || track.source == TrackSource::ScreenShareAudio
                || self.config.top_audio.is_none()
                || self.speakers.selected().contains(&key);
            if heard {
                offers.push(Offer {
                    track: key,
                    participant: track.participant,
                    source: track.source,
                    kind: track.kind,
                });
            }
        }
        // Stable. Sound comes before pictures, and a shared screen is never what has to go.
        offers.sort_by_key(|offer| {
            let shared = matches!(
                offer.source,
                TrackSource::ScreenShare | TrackSource::ScreenShareAudio
            );
            (offer.kind == MediaKind::Video, !shared)
        });
    }
}
