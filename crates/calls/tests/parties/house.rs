//! A machine with clients around it.

use std::collections::BTreeMap;
use std::time::Duration;

use crosspoint_calls::command::{AdminCommand, Command};
use crosspoint_calls::dialect::frame::{Frame, frame};
use crosspoint_calls::dialect::{Ask, Dialect, DialectName, Ticket, deliver, read, reply};
use crosspoint_calls::door::{Input, Output};
use crosspoint_calls::event::{CommandResult, Data};
use crosspoint_calls::ids::{DeviceName, DeviceRef, GroupId, RequestId, TenantId, UserId};
use crosspoint_calls::machine::{Machine, MachineConfig};
use crosspoint_calls::media::{MediaAction, MediaEvent};
use crosspoint_calls::model::{Group, GroupKind, Person, UserRecord};
use crosspoint_calls::policy::TenantSettings;
use crosspoint_wire::time::Time;
use serde_json::{Value, json};

/// The tenant of all clients.
const TENANT: &str = "key";
/// How often carriers tell that a socket is alive.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// A machine, and who is connected.
pub(crate) struct House {
    machine: Machine,
    now: Time,
    settings: TenantSettings,
    clients: BTreeMap<DeviceRef, Client>,
    /// What was wanted of rooms and recorders, in order.
    pub(crate) actions: Vec<MediaAction>,
    next_id: u64,
}

struct Client {
    dialect: Box<dyn Dialect>,
    tickets: BTreeMap<RequestId, Ticket>,
    replies: Vec<Frame>,
    heard: Vec<Frame>,
}

/// One of the clients.
pub(crate) type Who = DeviceRef;

impl House {
    pub(crate) fn new(settings: TenantSettings) -> Self {
        let mut house = Self {
            machine: Machine::new(MachineConfig {
                seed: 7,
                unix_ms_at_zero: 1_700_000_000_000,
            }),
            now: Time::ZERO,
            settings: settings.clone(),
            clients: BTreeMap::new(),
            actions: Vec::new(),
            next_id: 1,
        };
        house.admin(AdminCommand::PutTenant {
            settings: Box::new(settings),
        });
        house
    }

    /// A tenant in which anybody with a token may call.
    pub(crate) fn open() -> Self {
        Self::new(TenantSettings {
            open_registration: true,
            ..TenantSettings::default()
        })
    }

    pub(crate) fn admin(&mut self, command: AdminCommand) {
        let input = Input::Admin {
            request: 0,
            tenant: tenant(),
            command,
        };
        self.step(input);
    }

    pub(crate) fn group(&mut self, id: &str, kind: GroupKind, members: &[&str]) {
        self.admin(AdminCommand::PutGroup {
            group: Group {
                id: GroupId::new(id).unwrap(),
                name: id.to_uppercase(),
                kind,
                members: members.iter().map(|each| user(each)).collect(),
            },
        });
    }

    /// A user with a directory number who is an agent of a skill group.
    pub(crate) fn agent(&mut self, id: &str, extension: &str, group: &str, supervisor: bool) {
        self.put(UserRecord {
            person: Person {
                user: user(id),
                name: id.to_uppercase(),
                portrait_uri: String::new(),
                extra: String::new(),
                extension: extension.into(),
            },
            skill_groups: vec![GroupId::new(group).unwrap()],
            supervisor,
            blocked: Vec::new(),
            password: None,
        });
    }

    pub(crate) fn put(&mut self, record: UserRecord) {
        self.admin(AdminCommand::PutUser {
            user: Box::new(record),
        });
    }

    /// A client that has logged in; forgets what it heard of that.
    pub(crate) fn online(
        &mut self,
        dialect: DialectName,
        id: &str,
        device: &str,
        login: Value,
    ) -> Who {
        let who = DeviceRef {
            tenant: tenant(),
            user: user(id),
            device: DeviceName::new(device).unwrap(),
        };
        let mut codec = dialect.codec();
        codec.set_settings(&self.settings);
        let client = Client {
            dialect: codec,
            tickets: BTreeMap::new(),
            replies: Vec::new(),
            heard: Vec::new(),
        };
        self.clients.insert(who.clone(), client);
        self.say(&who, "login", login);
        who
    }

    /// Sends a frame; the reply.
    pub(crate) fn say(&mut self, who: &Who, verb: &str, fields: Value) -> Frame {
        let mut words = frame(fields);
        words.insert("type".into(), json!(verb));
        words.insert("id".into(), json!(self.next_id));
        self.next_id += 1;
        let client = self.clients.get_mut(who).unwrap();
        let (ticket, ask) = read(client.dialect.as_mut(), &words);
        match ask {
            Ok(Ask::Login(_, login)) => {
                client.dialect.set_user(&who.user);
                self.command(who, ticket, Command::Login(login));
            }
            Ok(Ask::Command(command)) => self.command(who, ticket, command),
            Ok(other) => panic!("{other:?} is the carrier's"),
            Err(error) => {
                let refused = CommandResult {
                    error,
                    detail: String::new(),
                    data: Data::None,
                };
                self.answered(who, &ticket, &refused);
            }
        }
        self.clients
            .get_mut(who)
            .unwrap()
            .replies
            .pop()
            .unwrap_or_default()
    }

    /// What a client has heard since it was asked last: frames one by one, without numbers.
    pub(crate) fn heard(&mut self, who: &Who) -> Vec<Frame> {
        std::mem::take(&mut self.clients.get_mut(who).unwrap().heard)
    }

    /// The types of what was heard, with what matters of each: see `word`.
    pub(crate) fn words(&mut self, who: &Who) -> Vec<String> {
        let heard = self.heard(who);
        heard.iter().filter_map(word).collect()
    }

    /// The last frame of a type that was heard; forgets all that was.
    pub(crate) fn last(&mut self, who: &Who, kind: &str) -> Frame {
        let heard = self.heard(who);
        let found = heard.iter().rfind(|each| each["type"] == json!(kind));
        found
            .unwrap_or_else(|| panic!("no {kind} in {heard:?}"))
            .clone()
    }

    /// Lets time pass; timers fire when they are due.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let step = end.min(self.now + SIGN_OF_LIFE);
            while let Some(due) = self.machine.next_timeout().filter(|due| *due <= step) {
                self.now = self.now.max(due);
                self.machine.handle_timeout(self.now);
                self.pump();
            }
            self.now = step;
            self.sign_of_life();
        }
    }

    /// A connection breaks.
    pub(crate) fn cut(&mut self, who: &Who) {
        self.clients.remove(who);
        self.step(Input::ConnectionLost {
            device: who.clone(),
        });
    }

    /// News of rooms or recorders.
    pub(crate) fn media(&mut self, event: MediaEvent) {
        self.step(Input::Media(event));
    }

    /// Carriers tell that sockets are alive.
    fn sign_of_life(&mut self) {
        let devices: Vec<_> = self.clients.keys().cloned().collect();
        for device in devices {
            self.step(Input::Alive { device });
        }
    }

    fn command(&mut self, who: &Who, ticket: Ticket, command: Command) {
        let request = ticket.request().unwrap();
        let client = self.clients.get_mut(who).unwrap();
        client.tickets.insert(request.clone(), ticket);
        self.step(Input::Command {
            from: who.clone(),
            request,
            command,
        });
    }

    fn step(&mut self, input: Input) {
        self.machine.handle(self.now, input);
        self.pump();
    }

    fn pump(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::ToDevice { device, delivery } => {
                    let Some(client) = self.clients.get_mut(&device) else {
                        continue;
                    };
                    if let Some(frame) = deliver(client.dialect.as_mut(), &delivery) {
                        self.hear(&device, frame);
                    }
                }
                Output::Result {
                    device,
                    request,
                    result,
                } => {
                    let Some(client) = self.clients.get_mut(&device) else {
                        continue;
                    };
                    if let Some(ticket) = client.tickets.remove(&request) {
                        self.answered(&device, &ticket, &result);
                    }
                }
                Output::Media(action) => self.actions.push(action),
                Output::AdminResult { result, .. } => {
                    result.unwrap();
                }
                Output::Close { .. } | Output::Webhook { .. } | Output::Store(_) => {}
            }
        }
    }

    fn answered(&mut self, who: &Who, ticket: &Ticket, result: &CommandResult) {
        let client = self.clients.get_mut(who).unwrap();
        for each in reply(client.dialect.as_mut(), ticket, result) {
            if each["type"] == json!("reply") {
                self.grants(who, &Value::Object(each.clone()));
                self.clients.get_mut(who).unwrap().replies.push(each);
            } else {
                self.hear(who, each);
            }
        }
    }

    fn hear(&mut self, who: &Who, mut message: Frame) {
        let frames = match message.remove("frames") {
            Some(Value::Array(frames)) => frames,
            _ => vec![Value::Object(message)],
        };
        for each in frames {
            self.grants(who, &each);
            let client = self.clients.get_mut(who).unwrap();
            client.heard.push(frame(each));
        }
    }

    /// A façade joins the room that it is granted; media is up at once.
    fn grants(&mut self, who: &Who, words: &Value) {
        let places = [
            "/rtc/room",
            "/data/rtc/room",
            "/data/grant/room",
            "/grant/room",
        ];
        let room = places
            .iter()
            .find_map(|place| words.pointer(place)?.as_str());
        let Some(room) = room.map(str::to_owned) else {
            return;
        };
        let user = who.user.clone();
        for event in [
            MediaEvent::Up {
                room: room.clone(),
                user: user.clone(),
            },
            MediaEvent::Tracks {
                room,
                user,
                audio: true,
                video: true,
                screen: false,
            },
        ] {
            self.machine.handle(self.now, Input::Media(event));
        }
    }
}

/// A frame in one word for comparing: its type, and the number or the person that matters.
fn word(frame: &Frame) -> Option<String> {
    let kind = frame.get("type")?.as_str()?;
    let text = |pointer: &str| {
        let value = Value::Object(frame.clone());
        match value.pointer(pointer) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        }
    };
    Some(match kind {
        // What façades use for themselves.
        "connected" | "rtcRoom" | "seat" | "monitor" | "STATE_CHANGE" => return None,
        "callEvent" => match text("/data/r") {
            Some(r) => format!("{} {r}", text("/event")?),
            None => text("/event")?,
        },
        "transfer" => text("/result/type")?,
        "onHungup" => format!("onHungup {} {}", text("/sender/userId")?, text("/reason")?),
        "onSessionClose" => format!(
            "onSessionClose {}",
            text("/reason").or_else(|| text("/summaryInfo/endReason"))?
        ),
        "onRinging" | "onAccept" => format!("{kind} {}", text("/sender/userId")?),
        "onLeave" => format!("onLeave {}", text("/reasonCode")?),
        "onParticipantLeft" => format!("{kind} {}", text("/participant/userId")?),
        "onParticipantJoin" => format!("{kind} {}", text("/participant/userId")?),
        "onInviteCanceled" | "onInviteRejected" => format!("{kind} {}", text("/param/extraInfo")?),
        _ => match text("/data/msgType") {
            Some(number) => format!("{kind} {number}"),
            None => kind.to_owned(),
        },
    })
}

fn tenant() -> TenantId {
    TenantId::new(TENANT).unwrap()
}

pub(crate) fn user(id: &str) -> UserId {
    UserId::new(id).unwrap()
}
