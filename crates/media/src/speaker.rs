//! Who speaks: loudness from RFC 6464 levels, the loudest K, and the list of active speakers.
//!
//! [`Loudness`] belongs to an audio track and is fed with each packet; [`SpeakerSelection`]
//! belongs to a room and looks at its tracks some ten times a second. Both lists are slow to
//! change on purpose: a slot that flaps between two people is worse than one that keeps the wrong
//! one for a moment.

use core::time::Duration;

use crosspoint_wire::rtp::AudioLevel;
use crosspoint_wire::time::Time;

/// Rise and fall times of the smoothed loudness. Speech is bursts of some 100 ms.
const RISE: Duration = Duration::from_millis(100);
const FALL: Duration = Duration::from_millis(400);
/// Without a packet for so long, the track is silent (DTX sends one each 400 ms).
const SILENT_AFTER: Duration = Duration::from_millis(100);
/// Loudness, in dB above silence (127 - level), from which sound counts as speech. Speech is
/// at -15 to -45 dBov, a room's noise with gain control below -55.
const SPEECH_DB: f32 = 72.0;
/// What a cleared voice-activity bit takes from the loudness: much, but loud music goes through,
/// and so does a sender that never sets the bit.
const NO_VOICE_DB: f32 = 20.0;

/// How often a room with sound is looked at.
const TICK: Duration = Duration::from_millis(50);
/// A speaker keeps its place through pauses up to this.
const HOLD: Duration = Duration::from_millis(1000);
/// How long a newcomer must be ahead: of somebody who pauses for long, of somebody who speaks.
const AHEAD_OF_SILENT: Duration = Duration::from_millis(100);
const AHEAD_OF_SPEAKING: Duration = Duration::from_millis(300);
/// By how much it must be ahead of somebody who speaks, in dB.
const AHEAD_DB: f32 = 3.0;
/// Smallest distance between two changes of the list of active speakers.
const LIST_INTERVAL: Duration = Duration::from_millis(300);

/// Smoothed loudness of one audio track.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Loudness {
    /// In dB above silence, 0 to 127.
    smoothed: f32,
    updated: Option<Time>,
    /// When a packet came last.
    heard: Option<Time>,
    /// When it was last loud enough to be speech.
    spoke: Option<Time>,
    /// Since when it has been ahead of the weakest that is selected.
    ahead_since: Option<Time>,
}

impl Loudness {
    /// Takes note of a packet's level. True when it may be speech: then the room is to be
    /// [woken](SpeakerSelection::wake).
    pub(crate) fn observe(&mut self, now: Time, level: AudioLevel) -> bool {
        let db = 127.0 - f32::from(level.level.min(127));
        let db = if level.voice {
            db
        } else {
            (db - NO_VOICE_DB).max(0.0)
        };
        self.heard = Some(now);
        self.approach(now, db);
        if self.smoothed >= SPEECH_DB {
            self.spoke = Some(now);
        }
        db >= SPEECH_DB
    }

    /// As RFC 6464 counts: 0 loudest, 127 silence.
    pub(crate) fn level(&self) -> u8 {
        (127.0 - self.smoothed).round().clamp(0.0, 127.0) as u8
    }

    fn approach(&mut self, now: Time, db: f32) {
        let elapsed = self.updated.map_or(RISE, |at| now.since(at)).as_secs_f32();
        let time = if db > self.smoothed { RISE } else { FALL }.as_secs_f32();
        self.smoothed += (db - self.smoothed) * (elapsed / (elapsed + time));
        self.updated = Some(now);
    }

    /// Lets the loudness fall while nothing comes.
    fn tick(&mut self, now: Time) {
        if self.heard.is_none_or(|at| now.since(at) > SILENT_AFTER) {
            self.approach(now, 0.0);
        }
    }

    fn speaks(&self, now: Time) -> bool {
        self.spoke.is_some_and(|at| now.since(at) <= HOLD)
    }

    /// Claim to a place: loudness while speaking, nothing after.
    fn claim(&self, now: Time) -> f32 {
        if self.speaks(now) {
            self.smoothed.max(SPEECH_DB)
        } else {
            0.0
        }
    }
}

/// What a look at a room found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// [`SpeakerSelection::selected`] changed.
    pub(crate) selection: bool,
    /// [`SpeakerSelection::speakers`] changed.
    pub(crate) speakers: bool,
}

/// The loudest of one room. `K` names an audio track.
#[derive(Debug)]
pub(crate) struct SpeakerSelection<K> {
    places: usize,
    selected: Vec<K>,
    /// Loudest first, with level as in RFC 6464.
    speakers: Vec<(K, u8)>,
    speakers_changed: Option<Time>,
    due: Option<Time>,
}

impl<K: Copy + Eq> SpeakerSelection<K> {
    /// Selects up to `places` tracks; `None` selects all.
    pub(crate) fn new(places: Option<u8>) -> Self {
        Self {
            places: places.map_or(usize::MAX, usize::from),
            selected: Vec::new(),
            speakers: Vec::new(),
            speakers_changed: None,
            due: None,
        }
    }

    /// Changes how many are selected, at the next look.
    pub(crate) fn set_places(&mut self, now: Time, places: Option<u8>) {
        self.places = places.map_or(usize::MAX, usize::from);
        self.wake(now);
    }

    /// Asks for a look: somebody may speak.
    pub(crate) fn wake(&mut self, now: Time) {
        self.due.get_or_insert(now);
    }

    /// Asks for a look at once: a track came or went.
    pub(crate) fn refresh(&mut self) {
        self.due = Some(Time::ZERO);
    }

    /// The tracks that listeners get, in no order that means anything; each keeps its place.
    pub(crate) fn selected(&self) -> &[K] {
        &self.selected
    }

    /// Who speaks, loudest first when the list last changed, with level (0 loudest).
    pub(crate) fn speakers(&self) -> &[(K, u8)] {
        &self.speakers
    }

    /// When the next look is due; `Time::NEVER` while the room is silent.
    pub(crate) fn next_timeout(&self) -> Time {
        self.due.unwrap_or(Time::NEVER)
    }

    /// Looks at all audio tracks of the room, if a look is due.
    pub(crate) fn poll(&mut self, now: Time, tracks: &mut [(K, Loudness)]) -> Changes {
        if self.next_timeout() > now {
            return Changes::default();
        }
        for (_, loudness) in tracks.iter_mut() {
            loudness.tick(now);
        }
        let selection = self.update_selection(now, tracks);
        let (speakers, list_held) = self.update_speakers(now, tracks);
        // Whoever is ahead of somebody speaks, too.
        let sound = tracks.iter().any(|(_, l)| l.speaks(now));
        self.due = (sound || list_held).then_some(now + TICK);
        Changes {
            selection,
            speakers,
        }
    }

    fn update_selection(&mut self, now: Time, tracks: &mut [(K, Loudness)]) -> bool {
        let before = self.selected.len();
        self.selected.retain(|s| tracks.iter().any(|(k, _)| k == s));
        let mut changed = self.selected.len() != before;
        while self.selected.len() > self.places {
            let Some(weakest) = self.weakest(now, tracks) else {
                break;
            };
            self.selected.swap_remove(weakest);
            changed = true;
        }
        while self.selected.len() < self.places {
            let Some(key) = self.loudest_outside(now, tracks) else {
                return changed;
            };
            self.selected.push(key);
            changed = true;
        }
        changed | self.challenge(now, tracks)
    }

    /// Lets those outside who have been ahead of the weakest inside for long enough take its
    /// place, the loudest first, at most one at a look.
    fn challenge(&mut self, now: Time, tracks: &mut [(K, Loudness)]) -> bool {
        let Some(weakest) = self.weakest(now, tracks) else {
            return false;
        };
        let holder = self.selected.get(weakest).copied();
        let claim_of = |key: K| {
            tracks
                .iter()
                .find(|(k, _)| *k == key)
                .map(|(_, l)| l.claim(now))
        };
        let held = holder.and_then(claim_of).unwrap_or(0.0);
        let (needed_db, needed_time) = if held > 0.0 {
            (held + AHEAD_DB, AHEAD_OF_SPEAKING)
        } else {
            (SPEECH_DB, AHEAD_OF_SILENT)
        };
        let mut winner: Option<(K, f32)> = None;
        for (key, loudness) in tracks.iter_mut() {
            let claim = loudness.claim(now);
            if self.selected.contains(key) || claim < needed_db {
                loudness.ahead_since = None;
                continue;
            }
            let since = *loudness.ahead_since.get_or_insert(now);
            if now.since(since) >= needed_time && winner.is_none_or(|(_, best)| claim > best) {
                winner = Some((*key, claim));
            }
        }
        if let (Some((key, _)), Some(place)) = (winner, self.selected.get_mut(weakest)) {
            *place = key;
            return true;
        }
        false
    }

    /// Position of the selected track with the least claim; of equals, the one that spoke
    /// longest ago.
    fn weakest(&self, now: Time, tracks: &[(K, Loudness)]) -> Option<usize> {
        let strength = |key: &K| {
            let loudness = tracks.iter().find(|(k, _)| k == key).map(|(_, l)| l);
            loudness.map_or((0.0, None), |l| (l.claim(now), l.spoke))
        };
        self.selected
            .iter()
            .enumerate()
            .min_by(|(_, a), (_, b)| {
                let ((a, a_spoke), (b, b_spoke)) = (strength(a), strength(b));
                a.total_cmp(&b).then(a_spoke.cmp(&b_spoke))
            })
            .map(|(index, _)| index)
    }

    fn loudest_outside(&self, now: Time, tracks: &[(K, Loudness)]) -> Option<K> {
        let outside = tracks.iter().filter(|(k, _)| !self.selected.contains(k));
        // The first of equals: tracks that never spoke come in their own order.
        outside
            .rev()
            .max_by(|(_, a), (_, b)| {
                a.claim(now)
                    .total_cmp(&b.claim(now))
                    .then(a.spoke.cmp(&b.spoke))
            })
            .map(|(k, _)| *k)
    }

    /// Whether the list changed, and whether a change waits for the interval to end. It changes
    /// when other people speak or another is clearly loudest, not with each breath.
    fn update_speakers(&mut self, now: Time, tracks: &[(K, Loudness)]) -> (bool, bool) {
        let speaking = || tracks.iter().filter(|(_, l)| l.speaks(now));
        let loudest = speaking().max_by(|(_, a), (_, b)| a.smoothed.total_cmp(&b.smoothed));
        let first = self
            .speakers
            .first()
            .and_then(|(first, _)| speaking().find(|(k, _)| k == first));
        let overtaken = match (loudest, first) {
            (Some((_, l)), Some((_, f))) => l.smoothed > f.smoothed + AHEAD_DB,
            _ => true,
        };
        let same_people = speaking().count() == self.speakers.len()
            && speaking().all(|(k, _)| self.speakers.iter().any(|(s, _)| s == k));
        if same_people && (!overtaken || self.speakers.len() < 2) {
            return (false, false);
        }
        if self
            .speakers_changed
            .is_some_and(|at| now.since(at) < LIST_INTERVAL)
        {
            return (false, true);
        }
        self.speakers.clear();
        self.speakers
            .extend(speaking().map(|(k, l)| (*k, l.level())));
        self.speakers.sort_by_key(|&(_, level)| level);
        self.speakers_changed = Some(now);
        (true, false)
    }
}

#[cfg(test)]
mod tests;
