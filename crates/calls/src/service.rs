//! The task that runs a call machine: commands of carriers and news of rooms in, events, results and
//! changes of rooms out.
//!
//! One task owns the machine, so there is one order of things. Rooms are changed before anybody is told
//! that they may join them. Queues are bounded: a full inbox refuses commands, a device that does
//! not read is cut and may come back for what it missed.
//!
//! | file | what |
//! |---|---|
//! | `inbox` | what carriers hand in, and connections |
//! | `rooms` | the machine's wishes, carried out by `RoomControl`: the one place where ringing, answering and kicking meet rooms |
//! | `news` | what rooms tell, in the machine's words |
//! | `archive` | what outlives a call |

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crosspoint_control::api::{Presence, RoomControl, RoomEvent};
use crosspoint_wire::time::Time;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::Instant;

use crate::command::{AdminCommand, Command};
use crate::door::{AdminData, CallWebhook, Input, Output};
use crate::error::ErrorCode;
use crate::event::{CommandResult, Data, Delivery, Event};
use crate::ids::{DeviceRef, RequestId, TenantId};
use crate::machine::{Machine, MachineConfig};
use crate::media::{MediaAction, MediaEvent, MediaGrant};
use crate::policy::TenantSettings;

pub mod archive;
mod inbox;
mod news;
mod rooms;

use archive::Archive;
pub use inbox::{CallService, Connection, Outgoing};
use inbox::{INBOX_MAX, Message};

/// Webhooks that may wait for their sender.
const WEBHOOKS_MAX: usize = 4096;

/// Makes what a client shows to join a room.
pub trait Tickets: Send + Sync + 'static {
    /// A token for this grant; `None` when none can be made.
    fn ticket(&self, grant: &MediaGrant) -> Option<String>;
}

/// Where recordings are made. Wishes go there, [`MediaAction::StartRecording`] and
/// [`MediaAction::StopRecording`], and what becomes of them comes back. When it does not take a wish at
/// once, a recording that was to begin has failed.
pub struct Recorder {
    /// Takes wishes.
    pub orders: mpsc::Sender<MediaAction>,
    /// Tells.
    pub news: mpsc::Receiver<MediaEvent>,
}

/// What the service stands on.
pub struct Foundation {
    /// Rooms.
    pub control: Arc<dyn RoomControl>,
    /// Tokens for rooms.
    pub tickets: Arc<dyn Tickets>,
    /// Records and directory.
    pub archive: Arc<dyn Archive>,
    /// Recordings; `None`: each fails at once.
    pub recorder: Option<Recorder>,
    /// What ids are drawn from; random, once per start.
    pub seed: u64,
}

/// A webhook on its way to application servers.
#[derive(Clone, Debug)]
pub struct TenantWebhook {
    /// Whose call it is about.
    pub tenant: TenantId,
    /// The tenant's settings when it happened.
    pub settings: Arc<TenantSettings>,
    /// What happened.
    pub event: CallWebhook,
}

/// The task's own state.
struct Runner {
    machine: Machine,
    started: Instant,
    rooms: rooms::Rooms,
    tickets: Arc<dyn Tickets>,
    archive: Arc<dyn Archive>,
    recorder: Option<mpsc::Sender<MediaAction>>,
    connections: HashMap<DeviceRef, (u64, mpsc::Sender<Outgoing>)>,
    waiting: HashMap<(DeviceRef, RequestId), oneshot::Sender<CommandResult>>,
    admins: HashMap<u64, oneshot::Sender<Result<AdminData, ErrorCode>>>,
    next_admin: u64,
    webhooks: broadcast::Sender<TenantWebhook>,
    /// What comes out now is kept already.
    restoring: bool,
}

impl CallService {
    /// Starts the task; it lives as long as the service. To be called within a tokio runtime.
    #[must_use]
    pub fn start(foundation: Foundation) -> Arc<Self> {
        let (inbox, messages) = mpsc::channel(INBOX_MAX);
        let (webhooks, _) = broadcast::channel(WEBHOOKS_MAX);
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let config = MachineConfig {
            seed: foundation.seed,
            unix_ms_at_zero: u64::try_from(since_epoch.as_millis()).unwrap_or_default(),
        };
        let (orders, recorded) = match foundation.recorder {
            Some(recorder) => (Some(recorder.orders), Some(recorder.news)),
            None => (None, None),
        };
        let presence = foundation.control.presence();
        let events = foundation.control.events();
        let runner = Runner {
            machine: Machine::new(config),
            started: Instant::now(),
            rooms: rooms::Rooms::new(foundation.control),
            tickets: foundation.tickets,
            archive: Arc::clone(&foundation.archive),
            recorder: orders,
            connections: HashMap::new(),
            waiting: HashMap::new(),
            admins: HashMap::new(),
            next_admin: 0,
            webhooks: webhooks.clone(),
            restoring: true,
        };
        tokio::spawn(runner.run(messages, presence, events, recorded));
        Arc::new(Self::new(inbox, webhooks, foundation.archive))
    }
}

impl Runner {
    async fn run(
        mut self,
        mut messages: mpsc::Receiver<Message>,
        mut presence: broadcast::Receiver<Presence>,
        mut events: broadcast::Receiver<RoomEvent>,
        mut recorded: Option<mpsc::Receiver<MediaEvent>>,
    ) {
        for (tenant, command) in self.archive.load().await {
            self.admin(tenant, command, None);
            self.settle().await;
        }
        self.restoring = false;
        loop {
            let due = self.due();
            tokio::select! {
                // Rooms first: a hang-up must find the call as its media stands.
                biased;
                news = presence.recv() => match news {
                    Ok(news) => self.news(news::of_presence(news)),
                    Err(RecvError::Lagged(missed)) => self.catch_up(missed).await,
                    Err(RecvError::Closed) => return,
                },
                event = events.recv() => match event {
                    Ok(event) => {
                        if let Some(track) = self.rooms.to_silence(&event) {
                            self.rooms.silence(track).await;
                        }
                        self.news(news::of_event(event));
                    }
                    Err(RecvError::Lagged(missed)) => self.catch_up(missed).await,
                    Err(RecvError::Closed) => return,
                },
                Some(news) = next(&mut recorded) => self.news(Some(news)),
                () = tokio::time::sleep_until(due) => {
                    let now = self.now();
                    self.machine.handle_timeout(now);
                }
                message = messages.recv() => match message {
                    Some(message) => self.take(message),
                    None => return,
                },
            }
            self.settle().await;
        }
    }

    /// Time on the machine's clock.
    fn now(&self) -> Time {
        let elapsed = self.started.elapsed().as_micros();
        Time::from_micros(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }

    /// When the machine wants to be asked next.
    fn due(&self) -> Instant {
        const FAR: Duration = Duration::from_secs(3600);
        let now = self.now();
        let left = self.machine.next_timeout().map(|due| due.since(now));
        Instant::now() + left.unwrap_or(FAR).min(FAR)
    }

    fn handle(&mut self, input: Input) {
        let now = self.now();
        self.machine.handle(now, input);
    }

    fn news(&mut self, news: Option<MediaEvent>) {
        if let Some(news) = news {
            self.handle(Input::Media(news));
        }
    }

    /// News of rooms were lost: what still stands is asked for.
    async fn catch_up(&mut self, missed: u64) {
        tracing::warn!(missed, "news of rooms were lost; asking again");
        for news in self.rooms.all_news().await {
            self.news(Some(news));
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Connect {
                device,
                number,
                outgoing,
            } => {
                // The earlier connection's receiver ends with this.
                self.connections.insert(device, (number, outgoing));
            }
            Message::Disconnect { device, number } => {
                let current = self.connections.get(&device);
                if current.is_some_and(|(current, _)| *current == number) {
                    self.connections.remove(&device);
                    self.handle(Input::ConnectionLost { device });
                }
            }
            Message::Alive { device } => self.handle(Input::Alive { device }),
            Message::Command {
                from,
                request,
                command,
                answer,
            } => self.command(from, request, command, answer),
            Message::Admin {
                tenant,
                command,
                answer,
            } => self.admin(tenant, command, Some(answer)),
            // Rooms' news of before have been taken by now, and each step is carried out at once.
            Message::Barrier(done) => drop(done.send(())),
        }
    }

    fn command(
        &mut self,
        from: DeviceRef,
        request: RequestId,
        command: Command,
        answer: Option<oneshot::Sender<CommandResult>>,
    ) {
        if let Some(answer) = answer {
            self.waiting.insert((from.clone(), request.clone()), answer);
        }
        self.handle(Input::Command {
            from,
            request,
            command,
        });
    }

    fn admin(
        &mut self,
        tenant: TenantId,
        command: AdminCommand,
        answer: Option<oneshot::Sender<Result<AdminData, ErrorCode>>>,
    ) {
        self.next_admin += 1;
        let request = self.next_admin;
        if let Some(answer) = answer {
            self.admins.insert(request, answer);
        }
        self.handle(Input::Admin {
            request,
            tenant,
            command,
        });
    }

    /// Carries out what the last step came to. Rooms and records first, then those who are told that
    /// they may join them, and may ask for them at once.
    async fn settle(&mut self) {
        loop {
            let mut told = Vec::new();
            while let Some(output) = self.machine.poll_output() {
                match output {
                    Output::Media(
                        action @ (MediaAction::StartRecording { .. }
                        | MediaAction::StopRecording { .. }),
                    ) => told.extend(self.order(action).map(Output::Media)),
                    Output::Media(action) => {
                        if let Some(failed) = self.rooms.carry_out(action).await {
                            told.push(Output::Media(failed));
                        }
                    }
                    Output::Store(_) if self.restoring => {}
                    Output::Store(action) => self.archive.keep(action),
                    other => told.push(other),
                }
            }
            if told.is_empty() {
                return;
            }
            for output in told {
                self.tell(output);
            }
        }
    }

    /// Passes a wish on to the recorder; back comes what it does not take.
    fn order(&self, action: MediaAction) -> Option<MediaAction> {
        match self
            .recorder
            .as_ref()
            .map(|orders| orders.try_send(action.clone()))
        {
            Some(Ok(())) => None,
            Some(Err(_)) => {
                tracing::warn!(?action, "the recorder of calls is overloaded");
                Some(action)
            }
            None => Some(action),
        }
    }

    fn tell(&mut self, output: Output) {
        match output {
            Output::ToDevice { device, delivery } => self.deliver(&device, delivery),
            Output::Result {
                device,
                request,
                mut result,
            } => {
                self.sign_data(&mut result.data);
                match self.waiting.remove(&(device.clone(), request.clone())) {
                    // Who asked may have gone.
                    Some(answer) => drop(answer.send(result)),
                    None => self.send(&device, Outgoing::Result { request, result }),
                }
            }
            Output::AdminResult { request, result } => {
                let result = result.map(|mut data| {
                    if let AdminData::Command(data) = &mut data {
                        self.sign_data(data);
                    }
                    data
                });
                if let Some(answer) = self.admins.remove(&request) {
                    drop(answer.send(result));
                }
            }
            Output::Close { device } => {
                self.connections.remove(&device);
            }
            Output::Media(action) => self.news(news::refused(action)),
            // Nobody listening is fine.
            Output::Webhook {
                tenant,
                settings,
                event,
            } => drop(self.webhooks.send(TenantWebhook {
                tenant,
                settings,
                event,
            })),
            // Carried out before anybody is told.
            Output::Store(_) => {}
        }
    }

    fn deliver(&mut self, device: &DeviceRef, mut delivery: Delivery) {
        if let Some(grant) = grant_of(&mut delivery.event) {
            grant.token = self.tickets.ticket(grant);
        }
        self.send(device, Outgoing::Event(Box::new(delivery)));
    }

    fn sign_data(&self, data: &mut Data) {
        if let Data::Call {
            grant: Some(grant), ..
        }
        | Data::Grant { grant: Some(grant) } = data
        {
            grant.token = self.tickets.ticket(grant);
        }
    }

    /// Who does not read is cut, and finds what it missed when it comes back.
    fn send(&mut self, device: &DeviceRef, outgoing: Outgoing) {
        let Some((_, sender)) = self.connections.get(device) else {
            return;
        };
        if sender.try_send(outgoing).is_err() {
            self.connections.remove(device);
            tracing::debug!(%device, "a device does not read and is cut");
            self.handle(Input::ConnectionLost {
                device: device.clone(),
            });
        }
    }
}

/// What the recorder tells next; never, where there is none.
async fn next(recorded: &mut Option<mpsc::Receiver<MediaEvent>>) -> Option<MediaEvent> {
    let news = match recorded {
        Some(news) => news.recv().await,
        None => None,
    };
    match news {
        Some(news) => Some(news),
        None => std::future::pending().await,
    }
}

/// The grant in an event, for its token.
const fn grant_of(event: &mut Event) -> Option<&mut MediaGrant> {
    match event {
        Event::MediaReady { grant, .. } => Some(grant),
        Event::CallRecovered { grant, .. }
        | Event::TransferUpdate { grant, .. }
        | Event::ThirdUpdate { grant, .. }
        | Event::MonitorUpdate { grant, .. } => grant.as_mut(),
        _ => None,
    }
}
