//! A tenant full of people, and a room that does what it is told.

use std::collections::BTreeMap;
use std::time::Duration;

use crosspoint_wire::time::Time;

use crate::command::{AdminCommand, CallRef, Command, InviteRef, Login, NewCall};
use crate::door::{AdminData, Input, Output};
use crate::error::ErrorCode;
use crate::event::{CommandResult, Data, Event};
use crate::ids::{CallId, DeviceName, DeviceRef, GroupId, RequestId, TenantId, UserId};
use crate::machine::{Machine, MachineConfig};
use crate::media::{MediaAction, MediaEvent};
use crate::model::{
    CallKind, Group, GroupKind, Media, Person, SeatState, Target, Terminal, UserRecord,
};
use crate::policy::TenantSettings;

#[derive(Clone)]
pub(super) struct Rig {
    pub machine: Machine,
    pub now: Time,
    requests: u64,
    /// What devices were told, since it was last taken.
    pub told: BTreeMap<DeviceRef, Vec<Event>>,
    pub media: Vec<MediaAction>,
    pub outputs: u64,
}

pub(super) fn tenant() -> TenantId {
    TenantId::new("acme").expect("a name")
}

pub(super) fn user(name: &str) -> UserId {
    UserId::new(name).expect("a name")
}

pub(super) fn group(name: &str) -> GroupId {
    GroupId::new(name).expect("a name")
}

/// `ann` is Ann's only device; `ann/phone` another one of hers.
pub(super) fn device(name: &str) -> DeviceRef {
    let (who, device) = name.split_once('/').unwrap_or((name, "web"));
    DeviceRef {
        tenant: tenant(),
        user: user(who),
        device: DeviceName::new(device).expect("a name"),
    }
}

/// Agents of the skill group `sales`, with their extensions; `sue` supervises them.
pub(super) const AGENTS: [(&str, &str); 4] = [
    ("amy", "1001"),
    ("bea", "1002"),
    ("cai", "1003"),
    ("sue", "1009"),
];

impl Rig {
    /// Nobody is online yet.
    pub(super) fn new(settings: TenantSettings) -> Self {
        let config = MachineConfig {
            seed: 7,
            unix_ms_at_zero: 1_700_000_000_000,
        };
        let mut rig = Self {
            machine: Machine::new(config),
            now: Time::from_millis(1),
            requests: 0,
            told: BTreeMap::new(),
            media: Vec::new(),
            outputs: 0,
        };
        rig.admin(AdminCommand::PutTenant {
            settings: Box::new(settings),
        })
        .expect("a tenant");
        for (name, extension) in AGENTS {
            rig.put_user(name, extension, &["sales"], name == "sue");
        }
        for name in ["ann", "bob", "cid", "dan", "eve"] {
            rig.put_user(name, "", &[], false);
        }
        rig.admin(AdminCommand::PutGroup {
            group: Group {
                id: group("sales"),
                name: "Sales".to_owned(),
                kind: GroupKind::Skill,
                members: AGENTS.iter().map(|(name, _)| user(name)).collect(),
            },
        })
        .expect("a group");
        rig
    }

    pub(super) fn put_user(&mut self, name: &str, extension: &str, skills: &[&str], boss: bool) {
        let user = UserRecord {
            person: Person {
                user: user(name),
                name: name.to_uppercase(),
                portrait_uri: String::new(),
                extra: String::new(),
                extension: extension.to_owned(),
            },
            skill_groups: skills.iter().map(|name| group(name)).collect(),
            supervisor: boss,
            blocked: Vec::new(),
            password: None,
        };
        let command = AdminCommand::PutUser {
            user: Box::new(user),
        };
        self.admin(command).expect("a user");
    }

    pub(super) fn login(&mut self, name: &str) {
        let seat = AGENTS.iter().any(|(agent, _)| name.starts_with(agent));
        let terminal = match name.contains("/phone") {
            true => Terminal::Mobile,
            false => Terminal::Web,
        };
        let login = Login {
            terminal,
            skill_group: seat.then(|| group("sales")),
            seat,
        };
        self.ok(name, Command::Login(login));
    }

    pub(super) fn input(&mut self, input: Input) -> Vec<Output> {
        self.machine.handle(self.now, input);
        self.drain()
    }

    fn drain(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(output) = self.machine.poll_output() {
            self.outputs += 1;
            match &output {
                Output::ToDevice { device, delivery } => {
                    let told = self.told.entry(device.clone()).or_default();
                    told.push(delivery.event.clone());
                }
                Output::Media(action) => self.media.push(action.clone()),
                _ => {}
            }
            outputs.push(output);
        }
        outputs
    }

    pub(super) fn admin(&mut self, command: AdminCommand) -> Result<AdminData, ErrorCode> {
        let outputs = self.input(Input::Admin {
            request: 1,
            tenant: tenant(),
            command,
        });
        let mut results = outputs.into_iter().filter_map(|output| match output {
            Output::AdminResult { result, .. } => Some(result),
            _ => None,
        });
        let result = results.next().expect("one result");
        assert!(results.next().is_none(), "one result only");
        result
    }

    pub(super) fn request(&mut self, name: &str, request: &str, command: Command) -> CommandResult {
        let from = device(name);
        let request = RequestId::new(request).expect("a name");
        let outputs = self.input(Input::Command {
            from: from.clone(),
            request: request.clone(),
            command,
        });
        let mut results = outputs.into_iter().filter_map(|output| match output {
            Output::Result {
                device,
                request: of,
                result,
            } if device == from && of == request => Some(result),
            Output::Result { .. } => panic!("a result for somebody else"),
            _ => None,
        });
        let result = results.next().expect("one result");
        assert!(results.next().is_none(), "one result only");
        result
    }

    pub(super) fn ask(&mut self, name: &str, command: Command) -> CommandResult {
        self.requests += 1;
        let request = format!("r{}", self.requests);
        self.request(name, &request, command)
    }

    pub(super) fn ok(&mut self, name: &str, command: Command) -> Data {
        let text = format!("{command:?}");
        let result = self.ask(name, command);
        assert_eq!(result.error, ErrorCode::Ok, "{name}: {text}");
        result.data
    }

    pub(super) fn err(&mut self, name: &str, command: Command) -> ErrorCode {
        let result = self.ask(name, command);
        assert_ne!(
            result.error,
            ErrorCode::Ok,
            "{name} should have been refused"
        );
        result.error
    }

    /// What a device was told since this was last asked.
    pub(super) fn take(&mut self, name: &str) -> Vec<Event> {
        self.told.remove(&device(name)).unwrap_or_default()
    }

    /// As [`Self::take`], words only.
    pub(super) fn words(&mut self, name: &str) -> Vec<&'static str> {
        self.take(name).iter().map(Event::word).collect()
    }

    pub(super) fn forget(&mut self) {
        self.told.clear();
        self.media.clear();
    }

    pub(super) fn media_up(&mut self, call: &CallId, name: &str) {
        self.input(Input::Media(MediaEvent::Up {
            room: format!("call-{call}"),
            user: user(name),
        }));
    }

    /// Lets time pass, with everything that falls due on the way.
    pub(super) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.machine.next_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.machine.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    pub(super) fn lose(&mut self, name: &str) {
        let device = device(name);
        self.input(Input::ConnectionLost { device });
    }

    pub(super) fn seat(&self, name: &str) -> SeatState {
        let user = self.machine.user(&tenant(), &user(name));
        user.expect("a user").seat
    }

    /// One to one, ringing.
    pub(super) fn ring(&mut self, from: &str, to: &str) -> CallId {
        let data = self.ok(from, Command::CreateCall(private(to)));
        call_of(&data)
    }

    pub(super) fn accept(&mut self, name: &str, call: &CallId) {
        self.ok(name, accept(call));
    }

    /// One to one, media of both up.
    pub(super) fn talk(&mut self, from: &str, to: &str) -> CallId {
        let call = self.ring(from, to);
        self.accept(to, &call);
        self.media_up(&call, from);
        self.media_up(&call, to);
        call
    }

    /// A group call, ringing.
    pub(super) fn ring_group(&mut self, from: &str, to: &[&str]) -> CallId {
        let data = self.ok(
            from,
            Command::CreateCall(NewCall {
                kind: CallKind::Group,
                target: Target::Group {
                    group: group("friends"),
                },
                callees: to.iter().map(|name| user(name)).collect(),
                ..private("nobody")
            }),
        );
        call_of(&data)
    }

    /// A customer calls the skill group.
    pub(super) fn queue(&mut self, from: &str) -> CallId {
        let data = self.ok(
            from,
            Command::CreateCall(NewCall {
                kind: CallKind::Queue,
                target: Target::Queue {
                    group: group("sales"),
                },
                ..private("nobody")
            }),
        );
        call_of(&data)
    }

    /// A customer talks to an agent, the only one that is online.
    pub(super) fn served(&mut self, customer: &str, agent: &str) -> CallId {
        let call = self.queue(customer);
        self.accept(agent, &call);
        self.media_up(&call, customer);
        self.media_up(&call, agent);
        call
    }
}

pub(super) fn private(to: &str) -> NewCall {
    NewCall {
        kind: CallKind::Private,
        target: Target::User { user: user(to) },
        callees: Vec::new(),
        media: Media::Video,
        channel: String::new(),
        extra: String::new(),
        push: None,
    }
}

pub(super) fn call_of(data: &Data) -> CallId {
    match data {
        Data::Call { call, .. } => call.id.clone(),
        other => panic!("no call: {other:?}"),
    }
}

pub(super) fn id(call: &CallId) -> CallRef {
    CallRef::Id(call.clone())
}

pub(super) fn accept(call: &CallId) -> Command {
    Command::Accept {
        invite: InviteRef::Call(call.clone()),
        media: None,
        role: None,
    }
}

pub(super) fn reject(call: &CallId) -> Command {
    Command::Reject {
        invite: InviteRef::Call(call.clone()),
        reason: None,
    }
}

pub(super) fn hang_up(call: &CallId) -> Command {
    Command::HangUp { call: id(call) }
}
