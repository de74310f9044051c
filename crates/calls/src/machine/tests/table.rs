//! The whole table: every command by everybody in every situation, as one text that is read and
//! compared. `UPDATE_GOLDEN=1` writes it anew.

use std::fmt::Write as _;

use super::rig::{Rig, id, private, user};
use crate::command::{
    CallRef, Command, InviteRef, QueryScope, ScreenAction, SeatWish, SnapshotSource,
};
use crate::error::ErrorCode;
use crate::ids::{CallId, LinkId};
use crate::model::{Media, RecordingMode, TrackKind};
use crate::policy::{RejectPolicy, TenantSettings};

/// Customer, main agent, another agent, supervisor, and somebody who has nothing to do with it.
pub(super) const CAST: [&str; 5] = ["ann", "amy", "bea", "sue", "bob"];

pub(super) type Setting = fn(&mut Rig) -> CallId;

/// Each is reached from everybody online, `bea` and `sue` at work but not in the queue.
pub(super) const SITUATIONS: [(&str, Setting); 15] = [
    ("waiting", |rig| {
        rest(rig, "amy");
        rig.queue("ann")
    }),
    ("ringing", |rig| rig.queue("ann")),
    ("connecting", |rig| {
        let call = rig.queue("ann");
        rig.accept("amy", &call);
        call
    }),
    ("active", |rig| rig.served("ann", "amy")),
    ("held", |rig| {
        let call = rig.served("ann", "amy");
        rig.ok("amy", Command::Hold { call: id(&call) });
        call
    }),
    ("transfer requested", |rig| {
        let call = rig.served("ann", "amy");
        ready(rig, "bea");
        rig.ok(
            "amy",
            Command::TransferAsk {
                call: id(&call),
                target: user("bea"),
            },
        );
        call
    }),
    ("transfer completing", |rig| {
        let call = rig.served("ann", "amy");
        ready(rig, "bea");
        rig.ok(
            "amy",
            Command::TransferAsk {
                call: id(&call),
                target: user("bea"),
            },
        );
        rig.ok("bea", Command::TransferAccept { call: id(&call) });
        call
    }),
    ("transfer rings", |rig| {
        let call = rig.served("ann", "amy");
        ready(rig, "bea");
        rig.ok(
            "amy",
            Command::TransferBlind {
                call: id(&call),
                skill_group: None,
                target: "1002".to_owned(),
            },
        );
        call
    }),
    ("third requested", |rig| {
        let call = rig.served("ann", "amy");
        ready(rig, "bea");
        rig.ok(
            "amy",
            Command::ThirdAsk {
                call: id(&call),
                target: user("bea"),
            },
        );
        call
    }),
    ("third joined", |rig| {
        let call = rig.served("ann", "amy");
        ready(rig, "bea");
        rig.ok(
            "amy",
            Command::ThirdAsk {
                call: id(&call),
                target: user("bea"),
            },
        );
        rig.ok("bea", Command::ThirdAccept { call: id(&call) });
        rig.media_up(&call, "bea");
        call
    }),
    ("listening", |rig| {
        let call = rig.served("ann", "amy");
        rig.ok("sue", Command::MonStart { call: id(&call) });
        rig.media_up(&call, "sue");
        call
    }),
    ("barged", |rig| {
        let call = rig.served("ann", "amy");
        rig.ok("sue", Command::MonStart { call: id(&call) });
        rig.media_up(&call, "sue");
        rig.ok("sue", Command::MonBarge { call: id(&call) });
        call
    }),
    ("group ringing", |rig| {
        let call = rig.ring_group("ann", &["amy", "bea"]);
        rig.accept("amy", &call);
        rig.media_up(&call, "ann");
        rig.media_up(&call, "amy");
        call
    }),
    ("group active", |rig| {
        let call = rig.ring_group("ann", &["amy", "bea"]);
        for name in ["amy", "bea"] {
            rig.accept(name, &call);
            rig.media_up(&call, name);
        }
        rig.media_up(&call, "ann");
        call
    }),
    ("ended", |rig| {
        let call = rig.served("ann", "amy");
        rig.ok("ann", super::rig::hang_up(&call));
        call
    }),
];

fn rest(rig: &mut Rig, name: &str) {
    rig.ok(
        name,
        Command::SetSeat {
            wish: SeatWish::Rest,
        },
    );
}

fn ready(rig: &mut Rig, name: &str) {
    rig.ok(
        name,
        Command::SetSeat {
            wish: SeatWish::Ready,
        },
    );
}

fn commands(of: &CallId) -> Vec<Command> {
    let call = CallRef::Id(of.clone());
    let invite = InviteRef::Call(of.clone());
    let bea = || user("bea");
    vec![
        Command::Refresh,
        Command::QueryState {
            scope: QueryScope::Call(call.clone()),
        },
        Command::QueryState {
            scope: QueryScope::Calls,
        },
        Command::SetSeat {
            wish: SeatWish::Rest,
        },
        Command::SetSeat {
            wish: SeatWish::Busy,
        },
        Command::SetSeat {
            wish: SeatWish::Ready,
        },
        Command::CreateCall(private("eve")),
        Command::Invite {
            call: call.clone(),
            callees: vec![user("eve")],
            extra: String::new(),
            push: None,
        },
        Command::CancelInvite {
            call: call.clone(),
            callees: Vec::new(),
        },
        Command::Ringing {
            invite: invite.clone(),
        },
        Command::Accept {
            invite: invite.clone(),
            media: None,
            role: None,
        },
        Command::Reject {
            invite,
            reason: None,
        },
        Command::JoinRoom {
            serial: "daily".to_owned(),
            media: Media::Video,
            role: None,
            extra: String::new(),
        },
        Command::LeaveRoom { call: call.clone() },
        Command::HangUp { call: call.clone() },
        Command::EndCall { call: call.clone() },
        Command::KickUser {
            call: call.clone(),
            user: user("amy"),
        },
        Command::ForceEnd { call: call.clone() },
        Command::Publish {
            call: call.clone(),
            kind: TrackKind::Audio,
        },
        Command::Unpublish {
            call: call.clone(),
            kind: TrackKind::Audio,
        },
        Command::Subscribe {
            call: call.clone(),
            user: user("ann"),
            kind: TrackKind::Video,
            wanted: false,
        },
        Command::SetLayer {
            call: call.clone(),
            user: user("ann"),
            kind: TrackKind::Video,
            max_height: 180,
        },
        Command::Mute {
            call: call.clone(),
            kind: TrackKind::Video,
            muted: true,
        },
        Command::SwitchDevice { call: call.clone() },
        Command::Downgrade { call: call.clone() },
        Command::Hold { call: call.clone() },
        Command::Unhold { call: call.clone() },
        Command::Dtmf {
            call: call.clone(),
            digit: "7".to_owned(),
        },
        Command::ScreenShare {
            call: call.clone(),
            action: ScreenAction::Start,
            tip: String::new(),
        },
        Command::ScreenShare {
            call: call.clone(),
            action: ScreenAction::Stop,
            tip: String::new(),
        },
        Command::Snapshot {
            call: call.clone(),
            source: SnapshotSource::Player,
            url: None,
        },
        Command::Snapshot {
            call: call.clone(),
            source: SnapshotSource::User,
            url: Some("https://example.org/p.jpg".to_owned()),
        },
        Command::ReportFault {
            call: call.clone(),
            error: ErrorCode::Camera,
            detail: String::new(),
        },
        Command::TransferAsk {
            call: call.clone(),
            target: user("cai"),
        },
        Command::TransferCancel {
            call: call.clone(),
            target: None,
        },
        Command::TransferAccept { call: call.clone() },
        Command::TransferReject { call: call.clone() },
        Command::TransferBlind {
            call: call.clone(),
            skill_group: None,
            target: "1003".to_owned(),
        },
        Command::ThirdAsk {
            call: call.clone(),
            target: user("cai"),
        },
        Command::ThirdCancel {
            call: call.clone(),
            target: Some(bea()),
        },
        Command::ThirdAccept { call: call.clone() },
        Command::ThirdReject { call: call.clone() },
        Command::ThirdRemove {
            call: call.clone(),
            target: Some(bea()),
        },
        Command::ThirdQuit { call: call.clone() },
        Command::MonStart { call: call.clone() },
        Command::MonStop { call: call.clone() },
        Command::MonWhisper {
            call: call.clone(),
            on: true,
        },
        Command::MonBarge { call: call.clone() },
        Command::MonExitBarge { call: call.clone() },
        Command::MonEndCall { call: call.clone() },
        Command::SendMessage {
            call: call.clone(),
            to: None,
            content_type: "text".to_owned(),
            content: "hi".to_owned(),
        },
        Command::RecStart {
            call: call.clone(),
            mode: RecordingMode::Mixed,
        },
        Command::RecStop {
            call: call.clone(),
            recording: None,
        },
        Command::LinkRoom {
            call: call.clone(),
            peer: call,
        },
        Command::UnlinkRoom {
            link: LinkId::new("none").expect("a name"),
        },
        Command::Logout,
    ]
}

/// Everybody online, in a situation.
pub(super) fn set(situation: &str, setting: Setting) -> (Rig, CallId) {
    let mut rig = Rig::new(TenantSettings {
        reject_policy: RejectPolicy::Overflow,
        ..TenantSettings::default()
    });
    for name in CAST.into_iter().chain(["cai"]) {
        rig.login(name);
    }
    for name in ["bea", "sue", "cai"] {
        rest(&mut rig, name);
    }
    let call = setting(&mut rig);
    if situation != "waiting" {
        ready(&mut rig, "cai");
    }
    (rig, call)
}

fn table() -> String {
    let mut text = String::from(
        "# situation | command | who: result | state of the call | what each of ann, amy, bea, sue, bob is told\n# Refusals that nobody else hears of stand in one line.\n",
    );
    for (situation, setting) in SITUATIONS {
        let (rig, call) = set(situation, setting);
        for command in commands(&call) {
            let mut refused = String::new();
            for who in CAST {
                let mut rig = rig.clone();
                rig.forget();
                let result = rig.ask(who, command.clone()).error;
                let told = rig.told.values().any(|events| !events.is_empty());
                if told || result == ErrorCode::Ok {
                    let word = label(&command);
                    let _ = write!(text, "{situation} | {word} | {who}: {}", result.label());
                    outcome(&mut text, &mut rig, &call);
                } else {
                    let _ = write!(refused, " {who}: {}", result.label());
                }
            }
            if !refused.is_empty() {
                let _ = writeln!(text, "{situation} | {} |{refused}", label(&command));
            }
        }
    }
    text
}

/// What came of a command: the call's state, and who was told what.
fn outcome(text: &mut String, rig: &mut Rig, call: &CallId) {
    let state = rig.machine.calls.get(call).map_or_else(
        || "ended".to_owned(),
        |call| format!("{:?}", call.state).to_lowercase(),
    );
    let _ = write!(text, " | {state} |");
    for name in CAST {
        let words = rig.words(name);
        if !words.is_empty() {
            let _ = write!(text, " {name}: {}", words.join(" "));
        }
    }
    text.push('\n');
}

/// Words alone do not tell commands apart whose parameter matters.
fn label(command: &Command) -> String {
    match command {
        Command::SetSeat { wish } => format!("SetSeat({wish:?})"),
        Command::ScreenShare { action, .. } => format!("ScreenShare({action:?})"),
        Command::Snapshot { source, .. } => format!("Snapshot({source:?})"),
        Command::QueryState {
            scope: QueryScope::Calls,
        } => "QueryState(calls)".to_owned(),
        other => other.word().to_owned(),
    }
}

#[test]
fn every_command_by_everybody_in_every_situation_is_as_written() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/machine/tests/table.txt");
    let table = table();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &table).expect("the table can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("the table stands beside the test");
    let differs = golden
        .lines()
        .zip(table.lines())
        .find(|(old, new)| old != new);
    assert_eq!(differs, None, "UPDATE_GOLDEN=1 writes the table anew");
    assert_eq!(golden.lines().count(), table.lines().count());
}
