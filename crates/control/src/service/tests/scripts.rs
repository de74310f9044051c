//! Random scripts of people: whatever they do in whatever order, no engine is told nonsense,
//! relays are where they must be, and nothing stays behind.

use std::collections::BTreeSet;

use super::*;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.roll(choices.len())]
    }
}

const ROOMS: [&str; 4] = ["a", "b", "c", "d"];
const PEOPLE: [&str; 5] = ["ann", "ben", "cat", "dan", "eve"];

/// One random act. What is refused is refused: half of these acts make no sense.
async fn act(bench: &Bench, dice: &mut Dice) {
    let service = &bench.service;
    let (here, there) = (room(dice.pick(&ROOMS)), room(dice.pick(&ROOMS)));
    let who = identity(dice.pick(&PEOPLE));
    let session = {
        let state = service.lock();
        let id = state.member(&here, &who).ok();
        id.and_then(|id| Some(state.people.get(&id)?.session))
    };
    match (dice.roll(10), session) {
        (0..=2, None) => {
            let mut request = request(here.as_str(), who.as_str());
            request.permissions.hidden = dice.roll(5) == 0;
            request.only = (dice.roll(5) == 0).then(|| identity(dice.pick(&PEOPLE)));
            if let Ok(joined) = service.join(request).await {
                let _ = bench.try_offer(&joined, CHROME).await;
            }
        }
        (0 | 1, Some(session)) => {
            let stopped = CHROME.replacen("a=sendonly", "a=inactive", 1);
            let screen = CHROME.replace("8e2a-video", "screen");
            let sdp = dice.pick(&[CHROME, &stopped, &screen]).to_owned();
            let tracks = Vec::new();
            let _ = service.offer(session, Offer { sdp, tracks }).await;
        }
        (2, Some(session)) => {
            let _ = service.leave(session, Reason::ClientLeft).await;
        }
        (3 | 4, _) => {
            let _ = service.move_participant(&here, &who, &there).await;
        }
        (5 | 6, _) => {
            let _ = service.forward_participant(&here, &who, &there).await;
        }
        (7, _) => {
            let permissions = Permissions {
                can_publish: dice.roll(2) == 0,
                can_subscribe: dice.roll(2) == 0,
                hidden: dice.roll(3) == 0,
                ..Permissions::default()
            };
            let patch = ParticipantPatch {
                permissions: Some(permissions),
                ..ParticipantPatch::default()
            };
            let _ = service.update_participant(&here, &who, patch).await;
        }
        (8, _) => {
            let tracks = service
                .lock()
                .tracks
                .values()
                .map(|t| t.sid.clone())
                .collect::<Vec<_>>();
            if !tracks.is_empty() {
                let track = tracks[dice.roll(tracks.len())].clone();
                let wish = SubscriptionWish {
                    wanted: dice.roll(2) == 0,
                    largest: Default::default(),
                };
                let _ = service.set_subscription(&here, &who, &track, wish).await;
            }
        }
        _ if dice.roll(4) == 0 => {
            let _ = service.delete_room(&here, Reason::RoomDeleted).await;
        }
        _ => bench.wait(Duration::from_secs(1)).await,
    }
}

/// Each engine knows exactly the rooms that it carries, its sessions, and the tracks that are
/// offered in its rooms.
fn check_engines(bench: &Bench) {
    let state = bench.service.lock();
    for (worker, engine) in state
        .workers
        .ids()
        .zip(bench.desk.workers.lock().unwrap().iter())
    {
        let rooms = state.rooms.iter().filter(|(_, room)| room.is_on(worker));
        let rooms: BTreeSet<_> = rooms.map(|(&id, _)| id).collect();
        assert_eq!(engine.rooms().into_iter().collect::<BTreeSet<_>>(), rooms);

        let people = state.people.values();
        let sessions = people.filter(|p| p.worker == worker && p.negotiated.is_some());
        let sessions: BTreeSet<_> = sessions.map(|p| p.session).collect();
        let known: BTreeSet<_> = engine.sessions().into_iter().collect();
        assert_eq!(known, sessions);

        let offered = rooms.iter().flat_map(|&room| state.tracks_in(room));
        let mut tracks: BTreeSet<_> = offered.collect();
        let own = state.people.values().filter(|p| p.worker == worker);
        tracks.extend(own.flat_map(|p| p.tracks.iter().copied()));
        assert_eq!(engine.track_count(), tracks.len());
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_people_do_engines_follow_and_nothing_stays_behind() {
    for seed in 0..60 {
        let bench = Bench::new();
        let mut dice = Dice(seed);
        for _ in 0..60 {
            act(&bench, &mut dice).await;
            bench.until_idle().await;
            check_engines(&bench);
            bench.assert_nothing_refused();
        }
        bench.service.shutdown();
        bench.assert_nothing_left();
    }
}
