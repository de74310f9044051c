//! Who is where, and sends and receives what.

use std::sync::Arc;

use clap::ValueEnum;

use crate::clip::Clip;
use crate::door::{Medium, Participant};
use crate::peer::Talk;

/// A named shape of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// One publisher, all others watch.
    Fanout,
    /// Everybody sends sound and picture to everybody.
    Meeting,
    /// Ten speak, all others listen.
    Audio,
    /// Rooms of two.
    Calls,
    /// As many calls of two in a single room: everybody receives one other.
    Pairs,
    /// 60 % in rooms of two, the others in rooms of up to 25.
    Campus,
    /// One publisher, and viewers that come and go as fast as they can.
    Churn,
    /// One publisher, and viewers that come one at a time.
    JoinLatency,
    /// Calls of two without media: what signalling takes.
    CallsVerbs,
}

impl Scenario {
    /// As on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fanout => "fanout",
            Self::Meeting => "meeting",
            Self::Audio => "audio",
            Self::Calls => "calls",
            Self::Pairs => "pairs",
            Self::Campus => "campus",
            Self::Churn => "churn",
            Self::JoinLatency => "join-latency",
            Self::CallsVerbs => "calls-verbs",
        }
    }

    /// Whether each participant only sends or only receives, so that WHIP and WHEP will do.
    #[must_use]
    pub const fn is_one_way(self) -> bool {
        !matches!(
            self,
            Self::Meeting | Self::Calls | Self::Pairs | Self::Campus | Self::CallsVerbs
        )
    }
}

/// What publishers send.
#[derive(Clone, Debug)]
pub struct Media {
    /// Opus, if any.
    pub audio: Option<Arc<Clip>>,
    /// VP8: none, one size, or several, smallest first.
    pub video: Vec<Arc<Clip>>,
}

/// Speakers of [`Scenario::Audio`].
const SPEAKERS: usize = 10;

/// Slots that a browser asks for (see the signalling's description).
const AUDIO_SLOTS: usize = 4;
const VIDEO_SLOTS: usize = 9;

impl Media {
    /// All clips, for the check of what is received.
    #[must_use]
    pub fn clips(&self) -> Vec<Arc<Clip>> {
        self.audio.iter().chain(&self.video).cloned().collect()
    }

    fn tracks(&self, talk: Talk) -> Vec<Medium> {
        let audio = self.audio.clone().map(|clip| Medium::Audio(clip, talk));
        let video = match &self.video[..] {
            [] => None,
            [one] => Some(Medium::Video(Arc::clone(one))),
            several => Some(Medium::Simulcast(several.to_vec())),
        };
        audio.into_iter().chain(video).collect()
    }
}

/// The participants of a scenario, those first whom others come to see. `participants` counts
/// viewers in [`Scenario::Fanout`], listeners in [`Scenario::Audio`], all people elsewhere.
/// `prefix` begins the rooms' names.
#[must_use]
pub fn participants(
    scenario: Scenario,
    participants: usize,
    media: &Media,
    prefix: &str,
) -> Vec<Participant> {
    match scenario {
        Scenario::Fanout | Scenario::Churn | Scenario::JoinLatency => {
            let room = format!("{prefix}-fanout");
            let mut all = vec![publisher(&room, 0, media, Talk::ALWAYS)];
            all.extend((0..participants).map(|index| viewer(&room, index, media)));
            all
        }
        Scenario::Audio => {
            let room = format!("{prefix}-audio");
            let audio = Media {
                audio: media.audio.clone(),
                video: Vec::new(),
            };
            let talk = |turn| Talk {
                turn,
                among: SPEAKERS,
            };
            let speakers = (0..SPEAKERS).map(|turn| publisher(&room, turn, &audio, talk(turn)));
            let listeners = (0..participants).map(|index| Participant {
                audio_slots: AUDIO_SLOTS,
                ..viewer(&room, index, &audio)
            });
            speakers.chain(listeners).collect()
        }
        Scenario::Meeting => meeting(&format!("{prefix}-meeting"), participants, media),
        Scenario::Calls => (0..participants.div_ceil(2))
            .flat_map(|call| meeting(&format!("{prefix}-call-{call}"), 2, media))
            .collect(),
        Scenario::Pairs => pairs(&format!("{prefix}-pairs"), participants, media),
        // Nobody sends anything: see `crate::verbs`.
        Scenario::CallsVerbs => Vec::new(),
        Scenario::Campus => campus_sizes(participants)
            .into_iter()
            .enumerate()
            .flat_map(|(room, size)| meeting(&format!("{prefix}-room-{room}"), size, media))
            .collect(),
    }
}

/// One more viewer of the room in which the publisher of a fan-out is.
#[must_use]
pub fn viewer(room: &str, index: usize, media: &Media) -> Participant {
    Participant {
        room: room.to_owned(),
        identity: format!("viewer-{index}"),
        publishes: Vec::new(),
        audio_slots: usize::from(media.audio.is_some()),
        video_slots: usize::from(!media.video.is_empty()),
        only: None,
    }
}

fn publisher(room: &str, index: usize, media: &Media, talk: Talk) -> Participant {
    Participant {
        room: room.to_owned(),
        identity: format!("publisher-{index}"),
        publishes: media.tracks(talk),
        audio_slots: 0,
        video_slots: 0,
        only: None,
    }
}

fn meeting(room: &str, size: usize, media: &Media) -> Vec<Participant> {
    let others = size.saturating_sub(1);
    let slots = |wanted: bool, max: usize| if wanted { others.min(max) } else { 0 };
    (0..size)
        .map(|turn| Participant {
            room: room.to_owned(),
            identity: format!("person-{turn}"),
            publishes: media.tracks(Talk { turn, among: size }),
            audio_slots: slots(media.audio.is_some(), AUDIO_SLOTS),
            video_slots: slots(!media.video.is_empty(), VIDEO_SLOTS),
            only: None,
        })
        .collect()
}

/// Two and two of one room.
fn pairs(room: &str, people: usize, media: &Media) -> Vec<Participant> {
    let identity = |index: usize| format!("person-{index}");
    (0..people.next_multiple_of(2))
        .map(|index| Participant {
            room: room.to_owned(),
            identity: identity(index),
            publishes: media.tracks(Talk {
                turn: index % 2,
                among: 2,
            }),
            audio_slots: usize::from(media.audio.is_some()),
            video_slots: usize::from(!media.video.is_empty()),
            only: Some(identity(index ^ 1)),
        })
        .collect()
}

/// Sizes of rooms for about so many people: six in ten rooms have two, the others 3 to 25, small
/// ones more often. The same every time.
fn campus_sizes(people: usize) -> Vec<usize> {
    const TAIL: [usize; 10] = [3, 4, 3, 6, 4, 9, 3, 14, 5, 25];
    let mut sizes = Vec::new();
    let mut left = people;
    let mut tail = TAIL.iter().cycle();
    let mut room = 0;
    while left >= 2 {
        let two = room % 10 < 6;
        let size = if two { 2 } else { *tail.next().unwrap_or(&3) };
        sizes.push(size.min(left));
        left -= size.min(left);
        room += 1;
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media() -> Media {
        Media {
            audio: Some(Arc::new(Clip::audio_shape())),
            video: vec![Arc::new(Clip::video_shape(2, 25))],
        }
    }

    #[test]
    fn a_fanout_has_one_publisher() {
        let all = participants(Scenario::Fanout, 5, &media(), "t");
        assert_eq!(all.len(), 6);
        assert_eq!(all[0].publishes.len(), 2);
        assert!(
            all[1..]
                .iter()
                .all(|who| who.publishes.is_empty() && who.video_slots == 1)
        );
    }

    #[test]
    fn slots_are_no_more_than_a_browser_has() {
        let all = participants(Scenario::Meeting, 50, &media(), "t");
        assert!(
            all.iter()
                .all(|who| who.audio_slots == 4 && who.video_slots == 9)
        );
        let all = participants(Scenario::Calls, 4, &media(), "t");
        assert!(
            all.iter()
                .all(|who| who.audio_slots == 1 && who.video_slots == 1)
        );
        assert_eq!(all[2].room, "t-call-1");
    }

    #[test]
    fn pairs_of_one_room_see_each_other_only() {
        let all = participants(Scenario::Pairs, 4, &media(), "t");
        assert!(all.iter().all(|who| who.room == "t-pairs"));
        let only: Vec<_> = all.iter().filter_map(|who| who.only.as_deref()).collect();
        assert_eq!(only, ["person-1", "person-0", "person-3", "person-2"]);
    }

    #[test]
    fn a_campus_is_mostly_pairs_and_loses_nobody() {
        let sizes = campus_sizes(500);
        assert!(sizes.iter().sum::<usize>() >= 499);
        let pairs = sizes.iter().filter(|size| **size == 2).count();
        assert!(pairs * 10 >= sizes.len() * 5 && sizes.contains(&25));
    }
}
