//! Random commands from random devices: whatever happens, the books balance, and in the end nothing
//! is left behind.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::rig::{Rig, device, group, private, tenant, user};
use crate::command::{
    AdminCommand, CallRef, Command, InviteRef, Login, NewCall, QueryScope, ScreenAction, SeatWish,
    SnapshotSource,
};
use crate::door::Input;
use crate::error::ErrorCode;
use crate::ids::{CallId, RequestId};
use crate::machine::Machine;
use crate::media::{MediaAction, MediaEvent};
use crate::model::{
    CallKind, CallState, Media, RecordingMode, SeatState, Target, Terminal, TrackKind,
};
use crate::policy::{LoginPolicy, RecordFailPolicy, RecordPolicy, RejectPolicy, TenantSettings};

/// Steps in an ordinary run; `CALLS_CHAOS_STEPS` takes its place.
const STEPS: u64 = 1_000_000;

const DEVICES: [&str; 13] = [
    "ann",
    "ann/phone",
    "bob",
    "bob/second",
    "cid",
    "dan",
    "eve",
    "amy",
    "bea",
    "bea/phone",
    "cai",
    "sue",
    "sue/phone",
];

fn some_call(rng: &mut StdRng, rig: &Rig) -> CallId {
    let live: Vec<_> = rig.machine.calls.keys().collect();
    let ended: Vec<_> = rig.machine.ended_order.iter().rev().take(3).collect();
    let pick = match rng.random_bool(0.95) {
        true => live.choose(rng),
        false => ended.choose(rng),
    };
    pick.map_or_else(|| CallId::new("none").expect("a name"), |id| (*id).clone())
}

fn call_ref(rng: &mut StdRng, rig: &Rig) -> CallRef {
    match rng.random_bool(0.5) {
        true => CallRef::Current,
        false => CallRef::Id(some_call(rng, rig)),
    }
}

fn someone(rng: &mut StdRng) -> crate::ids::UserId {
    let name = DEVICES.choose(rng).expect("some");
    user(name.split('/').next().expect("a user"))
}

fn new_call(rng: &mut StdRng) -> NewCall {
    let to = someone(rng);
    let base = NewCall {
        media: if rng.random() {
            Media::Audio
        } else {
            Media::Video
        },
        ..private(to.as_str())
    };
    match rng.random_range(0..5) {
        0 => NewCall {
            kind: CallKind::Group,
            target: Target::Group {
                group: group("friends"),
            },
            callees: vec![someone(rng), someone(rng)],
            ..base
        },
        1 => NewCall {
            kind: CallKind::Queue,
            target: Target::Queue {
                group: group("sales"),
            },
            ..base
        },
        2 => NewCall {
            kind: CallKind::Pstn,
            target: Target::Number {
                number: ["1001", "1002", "1003", "999"]
                    .choose(rng)
                    .expect("one")
                    .to_string(),
                shown: None,
            },
            ..base
        },
        _ => base,
    }
}

fn command(rng: &mut StdRng, rig: &Rig, name: &str) -> Command {
    let seat = ["amy", "bea", "cai", "sue"]
        .iter()
        .any(|agent| name.starts_with(agent));
    let kind = *[TrackKind::Audio, TrackKind::Video, TrackKind::Screen]
        .choose(rng)
        .expect("one");
    let call = call_ref(rng, rig);
    let of = some_call(rng, rig);
    let by_id = CallRef::Id(of.clone());
    let invite = match rng.random_bool(0.5) {
        true => InviteRef::Newest,
        false => InviteRef::Call(of),
    };
    match rng.random_range(0..64) {
        0..=5 => Command::Login(Login {
            terminal: if name.contains("phone") {
                Terminal::Mobile
            } else {
                Terminal::Web
            },
            skill_group: seat.then(|| group("sales")),
            seat,
        }),
        6 => Command::Logout,
        7..=14 => Command::CreateCall(new_call(rng)),
        15..=22 => Command::Accept {
            invite,
            media: None,
            role: None,
        },
        23 => Command::Reject {
            invite,
            reason: None,
        },
        24 => Command::Ringing { invite },
        25 | 26 => Command::HangUp { call },
        27 => Command::Invite {
            call,
            callees: vec![someone(rng)],
            extra: String::new(),
            push: None,
        },
        28 => Command::CancelInvite {
            call,
            callees: Vec::new(),
        },
        29 => Command::LeaveRoom { call },
        30 => Command::EndCall { call },
        31 => Command::KickUser {
            call,
            user: someone(rng),
        },
        32 => Command::ForceEnd { call: by_id },
        33 => Command::Mute {
            call,
            kind,
            muted: rng.random(),
        },
        34 => Command::Downgrade { call },
        35 | 36 => Command::Hold { call },
        37 => Command::Unhold { call },
        38 => Command::Dtmf {
            call,
            digit: "5".to_owned(),
        },
        39 => Command::ScreenShare {
            call,
            action: *[ScreenAction::Start, ScreenAction::Stop, ScreenAction::Pause]
                .choose(rng)
                .expect("one"),
            tip: String::new(),
        },
        40 => Command::Snapshot {
            call,
            source: SnapshotSource::Player,
            url: None,
        },
        41 => Command::ReportFault {
            call,
            error: ErrorCode::Mic,
            detail: String::new(),
        },
        42 | 43 => Command::TransferAsk {
            call,
            target: someone(rng),
        },
        44 => Command::TransferCancel { call, target: None },
        45 => Command::TransferAccept { call: by_id },
        46 => Command::TransferReject { call: by_id },
        47 => Command::TransferBlind {
            call,
            skill_group: None,
            target: someone(rng).as_str().to_owned(),
        },
        48 | 49 => Command::ThirdAsk {
            call,
            target: someone(rng),
        },
        50 => Command::ThirdCancel { call, target: None },
        51 => Command::ThirdAccept { call: by_id },
        52 => Command::ThirdReject { call: by_id },
        53 => Command::ThirdRemove { call, target: None },
        54 => Command::ThirdQuit { call },
        55 => Command::MonStart { call: by_id },
        56 => Command::MonWhisper {
            call: by_id,
            on: rng.random(),
        },
        57 => Command::MonBarge { call: by_id },
        58 => Command::MonStop { call: by_id },
        59 => Command::MonExitBarge { call: by_id },
        60 => Command::RecStart {
            call,
            mode: RecordingMode::Mixed,
        },
        61 => Command::JoinRoom {
            serial: "daily".to_owned(),
            media: Media::Video,
            role: None,
            extra: String::new(),
        },
        62 => Command::SetSeat {
            wish: *[SeatWish::Ready, SeatWish::Rest, SeatWish::Busy]
                .choose(rng)
                .expect("one"),
        },
        _ => match rng.random_range(0..5) {
            0 => Command::QueryState {
                scope: QueryScope::Own,
            },
            1 => Command::LinkRoom { call, peer: by_id },
            2 => Command::RecStop {
                call,
                recording: None,
            },
            3 => Command::MonEndCall { call: by_id },
            _ => Command::SendMessage {
                call,
                to: None,
                content_type: "t".to_owned(),
                content: "x".to_owned(),
            },
        },
    }
}

/// One random thing that happens.
fn happen(rng: &mut StdRng, rig: &mut Rig, step: u64) {
    let name = *DEVICES.choose(rng).expect("some");
    match rng.random_range(0..100) {
        0..=69 => {
            let command = command(rng, rig, name);
            let request = format!("s{step}");
            let first = rig.request(name, &request, command.clone());
            if rng.random_bool(0.02) && rig.machine.device(&device(name)).is_some() {
                let again = rig.request(name, &request, command);
                assert_eq!(first, again);
            }
        }
        70..=89 => {
            let room = format!("call-{}", some_call(rng, rig));
            let user = match rng.random_bool(0.7) {
                true => joining(rng, rig, &room),
                false => someone(rng),
            };
            let event = match rng.random_range(0..16) {
                0 => MediaEvent::Left {
                    room,
                    user,
                    lost: true,
                },
                1 => MediaEvent::Interrupted { room, user },
                2 => MediaEvent::Tracks {
                    room,
                    user,
                    audio: rng.random(),
                    video: rng.random(),
                    screen: false,
                },
                3 => recorder(rng, rig),
                _ => MediaEvent::Up { room, user },
            };
            rig.input(Input::Media(event));
        }
        90..=92 => rig.lose(name),
        93 => {
            let key = rig
                .machine
                .device(&device(name))
                .map(|device| device.session_key.clone());
            if let Some(session_key) = key {
                rig.ask(
                    name,
                    Command::Reconnect {
                        session_key,
                        last_seq: 0,
                    },
                );
            }
        }
        94 if rng.random_bool(0.05) => {
            let ban = AdminCommand::Ban {
                user: someone(rng),
                ttl_s: Some(5),
            };
            rig.admin(ban).expect("a ban");
        }
        _ => rig.pass(Duration::from_millis(rng.random_range(0..8_000))),
    }
}

/// Somebody whose media is not up yet.
fn joining(rng: &mut StdRng, rig: &Rig, room: &str) -> crate::ids::UserId {
    let call = rig
        .machine
        .calls
        .iter()
        .find(|(id, _)| room.ends_with(id.as_str()));
    let parts = call.into_iter().flat_map(|(_, call)| call.here());
    let down: Vec<_> = parts
        .filter(|(_, part)| !part.media_up)
        .map(|(user, _)| user)
        .collect();
    down.choose(rng)
        .map_or_else(|| someone(rng), |user| (*user).clone())
}

fn recorder(rng: &mut StdRng, rig: &Rig) -> MediaEvent {
    let started = rig.media.iter().rev().find_map(|action| match action {
        MediaAction::StartRecording {
            call, recording, ..
        } => Some((call.clone(), recording.clone())),
        _ => None,
    });
    let Some((call, recording)) = started else {
        return MediaEvent::RoomClosed {
            room: "nothing".to_owned(),
        };
    };
    match rng.random_range(0..3) {
        0 => MediaEvent::RecordingFailed {
            call,
            recording,
            user: None,
            detail: String::new(),
        },
        1 => MediaEvent::RecordingReady {
            call,
            recording,
            url: "u".to_owned(),
            bytes: 1,
        },
        _ => MediaEvent::RecordingRunning { call, recording },
    }
}

impl Machine {
    /// What must hold between any two steps.
    pub(super) fn check(&self) {
        for (id, call) in &self.calls {
            assert_ne!(call.state, CallState::Ended, "{id}: ended calls are gone");
            assert!(!self.ended.contains_key(id));
            let here = call.here().count();
            assert!(here >= 1, "{id}: a call without people");
            if call.state == CallState::Active {
                assert!(call.begin_ms > 0);
            }
            for (user, part) in call.here() {
                let entry = self.user(&call.tenant, user).expect("people are known");
                assert!(
                    entry.engaged.contains(id),
                    "{id}: {user} is in but not engaged"
                );
                assert!(
                    entry.devices.contains_key(&part.device),
                    "{id}: {user} has no device"
                );
            }
            for (_, invite) in call.live_invites() {
                let entry = self
                    .user(&call.tenant, &invite.callee)
                    .expect("callees are known");
                assert!(entry.engaged.contains(id));
            }
            for user in call.monitors.keys() {
                let entry = self
                    .user(&call.tenant, user)
                    .expect("supervisors are known");
                assert_eq!(entry.monitoring.as_ref(), Some(id));
            }
            let view = self.call_view(call);
            let seen = view
                .participants
                .iter()
                .filter(|each| each.role == crate::model::Role::Supervisor);
            assert!(
                seen.count() <= 1,
                "one barged supervisor at most, the others are hidden"
            );
            let pending = call.transfer_pending() || call.third_present();
            assert!(!pending || call.is_pair());
            for (link, peer) in &call.links {
                assert!(
                    self.calls[peer].links.contains_key(link),
                    "links have two ends"
                );
            }
        }
        let tenant = self.tenant(&tenant()).expect("the tenant");
        assert_eq!(tenant.live_calls as usize, self.calls.len());
        for (id, user) in &tenant.users {
            for call in &user.engaged {
                let call = self
                    .calls
                    .get(call)
                    .unwrap_or_else(|| panic!("{id} is engaged in a call that is gone"));
                let asked = call
                    .transfer
                    .as_ref()
                    .is_some_and(|each| &each.target == id)
                    || call.third.as_ref().is_some_and(|each| &each.target == id);
                assert!(
                    call.part(id).is_some() || call.live_invite_of(id).is_some() || asked,
                    "{id} is engaged for no reason"
                );
            }
            let parts = user
                .engaged
                .iter()
                .filter(|call| self.calls[*call].part(id).is_some());
            assert!(parts.count() <= 1, "{id} is in two calls");
            let state = user.seat;
            assert_eq!(state == SeatState::Offline, !user.has_seat(), "{id}");
            for (name, device) in &user.devices {
                assert!(
                    device.replay.len() <= 256 && device.results.len() <= 64,
                    "{name}"
                );
            }
        }
        for waiting in tenant.queues.values() {
            for call in waiting {
                assert!(
                    self.calls[call].waits(),
                    "only those who wait stand in a queue"
                );
            }
        }
    }
}

fn run(seed: u64, steps: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let settings = TenantSettings {
        reject_policy: *[
            RejectPolicy::Final,
            RejectPolicy::Overflow,
            RejectPolicy::Rering,
        ]
        .choose(&mut rng)
        .expect("one"),
        login_policy: *[
            LoginPolicy::Coexist,
            LoginPolicy::SameTerminal,
            LoginPolicy::Single,
        ]
        .choose(&mut rng)
        .expect("one"),
        record_policy: *[RecordPolicy::OnDemand, RecordPolicy::Always]
            .choose(&mut rng)
            .expect("one"),
        record_fail_policy: *[RecordFailPolicy::Continue, RecordFailPolicy::EndCall]
            .choose(&mut rng)
            .expect("one"),
        ..TenantSettings::default()
    };
    let mut rig = Rig::new(settings);
    let mut active = 0;
    for step in 0..steps {
        happen(&mut rng, &mut rig, step);
        rig.machine.check();
        active += u64::from(
            rig.machine
                .calls
                .values()
                .any(|call| call.state == CallState::Active),
        );
        if step % 64 == 0 {
            rig.told.clear();
            let excess = rig.media.len().saturating_sub(32);
            rig.media.drain(..excess);
        }
    }
    assert!(
        active > steps / 20,
        "the run hardly tried anything: {active} of {steps}"
    );
    // Everybody vanishes.
    for name in DEVICES {
        rig.lose(name);
    }
    rig.pass(Duration::from_secs(1_200));
    rig.machine.check();
    assert_eq!(rig.machine.live_calls(), 0, "every call ends");
    assert_eq!(rig.machine.next_timeout(), None, "every timer dies");
    let users = &rig.machine.tenant(&tenant()).expect("the tenant").users;
    assert!(
        users
            .values()
            .all(|user| user.devices.is_empty() && user.monitoring.is_none())
    );
    assert!(RequestId::new("x").is_some());
}

#[test]
fn random_commands_from_random_devices_leave_nothing_behind() {
    let steps = std::env::var("CALLS_CHAOS_STEPS")
        .ok()
        .and_then(|steps| steps.parse().ok());
    let steps: u64 = steps.unwrap_or(STEPS);
    let runs = 12;
    for seed in 0..runs {
        run(seed, steps / runs);
    }
}
