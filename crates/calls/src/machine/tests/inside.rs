//! What happens within calls: messages, screens, mutes; and between them: bans, tenants, links.

use std::time::Duration;

use super::behaviour::{end_of, rig};
use super::rig::{Rig, accept, device, hang_up, id, user};
use crate::command::{AdminCommand, CallRef, Command, ScreenAction};
use crate::door::{Input, Output};
use crate::error::ErrorCode;
use crate::event::Event;
use crate::media::{MediaAction, MediaEvent};
use crate::model::{MessageScope, TrackKind};
use crate::policy::TenantSettings;
use crate::reason::EndReason;

pub(super) fn message(call: &crate::ids::CallId, text: &str) -> Command {
    Command::SendMessage {
        call: id(call),
        to: None,
        content_type: "text".to_owned(),
        content: text.to_owned(),
    }
}

#[test]
fn messages_go_to_one_or_to_all_but_never_back_and_never_too_large() {
    let mut rig = rig(&["ann", "bob", "cid"]);
    let call = rig.ring_group("ann", &["bob", "cid"]);
    for name in ["bob", "cid"] {
        rig.accept(name, &call);
    }
    rig.forget();
    rig.ok("ann", message(&call, "to all"));
    assert_eq!(rig.words("ann"), [""; 0]);
    assert_eq!(rig.words("bob"), ["Message"]);
    assert_eq!(rig.words("cid"), ["Message"]);
    let to = |who| Command::SendMessage {
        call: id(&call),
        to: Some(user(who)),
        content_type: "text".to_owned(),
        content: "to one".to_owned(),
    };
    rig.ok("ann", to("bob"));
    let told = rig.take("bob");
    assert!(matches!(&told[..], [Event::Message { message, .. }]
        if message.scope == MessageScope::OneToOne));
    assert!(rig.take("cid").is_empty());
    assert_eq!(rig.err("ann", to("eve")), ErrorCode::NotFound);
    rig.ok("ann", message(&call, &"x".repeat(4096)));
    let large = rig.err("ann", message(&call, &"x".repeat(4097)));
    assert_eq!(large, ErrorCode::TooLarge);
}

#[test]
fn one_screen_at_a_time_is_shared_and_goes_with_its_owner() {
    let mut rig = rig(&["ann", "bob", "cid"]);
    let call = rig.ring_group("ann", &["bob", "cid"]);
    for name in ["bob", "cid"] {
        rig.accept(name, &call);
    }
    let share = |action| Command::ScreenShare {
        call: id(&call),
        action,
        tip: "back soon".to_owned(),
    };
    rig.ok("bob", share(ScreenAction::Start));
    assert_eq!(rig.err("ann", share(ScreenAction::Start)), ErrorCode::State);
    rig.ok("bob", share(ScreenAction::Pause));
    rig.forget();
    rig.ok("bob", hang_up(&call));
    let told = rig.take("ann");
    let props = told.iter().find_map(|event| match event {
        Event::RoomPropChanged { props, .. } => Some(props),
        _ => None,
    });
    assert_eq!(props.expect("props").screen_share, None);
}

#[test]
fn video_becomes_audio_for_all_and_for_good() {
    let mut rig = rig(&["ann", "bob"]);
    let call = rig.talk("ann", "bob");
    rig.forget();
    rig.ok("ann", Command::Downgrade { call: id(&call) });
    assert_eq!(rig.words("bob"), ["MediaModeChanged"]);
    let mute = Command::Mute {
        call: id(&call),
        kind: TrackKind::Video,
        muted: true,
    };
    assert_eq!(rig.err("bob", mute), ErrorCode::NoVideoTrack);
    let again = rig.err("bob", Command::Downgrade { call: id(&call) });
    assert_eq!(again, ErrorCode::NoVideoTrack);
}

#[test]
fn a_mute_is_told_and_carried_out() {
    let mut rig = rig(&["ann", "bob"]);
    let call = rig.talk("ann", "bob");
    rig.input(Input::Media(MediaEvent::Tracks {
        room: format!("call-{call}"),
        user: user("ann"),
        audio: true,
        video: true,
        screen: false,
    }));
    rig.forget();
    rig.ok(
        "ann",
        Command::Mute {
            call: id(&call),
            kind: TrackKind::Audio,
            muted: true,
        },
    );
    assert_eq!(rig.words("bob"), ["MuteChanged", "ParticipantUpdated"]);
    assert!(rig.words("ann").is_empty());
    assert!(matches!(
        rig.media[..],
        [MediaAction::Mute {
            kind: TrackKind::Audio,
            muted: true,
            ..
        }]
    ));
}

#[test]
fn a_ban_turns_out_and_ends_by_itself() {
    let mut rig = rig(&["ann", "bob"]);
    rig.talk("ann", "bob");
    rig.forget();
    rig.admin(AdminCommand::Ban {
        user: user("bob"),
        ttl_s: Some(60),
    })
    .expect("a ban");
    assert_eq!(end_of(&rig.take("ann")), [(EndReason::Banned, Some("bob"))]);
    assert!(rig.words("bob").contains(&"Kicked"));
    let login = || {
        Command::Login(crate::command::Login {
            terminal: crate::model::Terminal::Web,
            skill_group: None,
            seat: false,
        })
    };
    assert_eq!(rig.err("bob", login()), ErrorCode::Banned);
    rig.pass(Duration::from_secs(61));
    rig.ok("bob", login());
}

#[test]
fn calls_of_another_tenant_do_not_exist() {
    let mut rig = rig(&["ann", "bob"]);
    let call = rig.ring("ann", "bob");
    let other = crate::ids::TenantId::new("other").expect("a name");
    let put = AdminCommand::PutTenant {
        settings: Box::new(TenantSettings {
            open_registration: true,
            ..TenantSettings::default()
        }),
    };
    rig.machine.handle(
        rig.now,
        Input::Admin {
            request: 1,
            tenant: other.clone(),
            command: put,
        },
    );
    let stranger = crate::ids::DeviceRef {
        tenant: other,
        ..device("eve")
    };
    let mut ask = |command| {
        rig.machine.handle(
            rig.now,
            Input::Command {
                from: stranger.clone(),
                request: crate::ids::RequestId::new(&format!("{command:?}")[..9]).expect("a name"),
                command,
            },
        );
        let outputs: Vec<_> = std::iter::from_fn(|| rig.machine.poll_output()).collect();
        let mut results = outputs.into_iter().filter_map(|output| match output {
            Output::Result { result, .. } => Some(result.error),
            _ => None,
        });
        results.next().expect("a result")
    };
    assert_eq!(
        ask(Command::Login(crate::command::Login {
            terminal: crate::model::Terminal::Web,
            skill_group: None,
            seat: false,
        })),
        ErrorCode::Ok
    );
    assert_eq!(ask(hang_up(&call)), ErrorCode::NotFound);
    assert_eq!(ask(accept(&call)), ErrorCode::NotFound);
    assert_eq!(
        ask(Command::EndCall { call: id(&call) }),
        ErrorCode::NotFound
    );
}

#[test]
fn linked_calls_see_each_other_until_one_ends() {
    let mut rig = rig(&["ann", "bob", "cid", "dan"]);
    let one = rig.ring_group("ann", &["bob"]);
    rig.accept("bob", &one);
    let two = rig.ring_group("cid", &["dan"]);
    rig.accept("dan", &two);
    for (call, name) in [(&one, "ann"), (&one, "bob"), (&two, "cid")] {
        rig.media_up(call, name);
    }
    rig.forget();
    let link = Command::LinkRoom {
        call: CallRef::Current,
        peer: id(&two),
    };
    rig.ok("ann", link.clone());
    assert_eq!(rig.err("ann", link), ErrorCode::Duplicate);
    let linked = |rig: &Rig| {
        let links = rig.media.iter().filter_map(|action| match action {
            MediaAction::Link { users, .. } => Some(users.len()),
            _ => None,
        });
        links.sum::<usize>()
    };
    assert_eq!(linked(&rig), 3);
    rig.media_up(&two, "dan");
    assert_eq!(linked(&rig), 4);
    rig.ok("ann", Command::EndCall { call: id(&one) });
    let unlinks = rig
        .media
        .iter()
        .filter(|action| matches!(action, MediaAction::Unlink { .. }));
    assert_eq!(unlinks.count(), 2);
}
