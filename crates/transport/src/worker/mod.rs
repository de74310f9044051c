//! The worker thread: waits for whatever comes first, moves it through its [`core`], sends what
//! came of it, and begins again.
//!
//! One turn of the loop: wait, and gather a little under load; read the clock; commands; one batch
//! from each socket that has one; timers; let the engine hand out what is due; send all of it; pass
//! events on. All queues into a worker are bounded, and no turn takes more than a batch of any of
//! them, so that none starves the others.
//!
//! A panic costs the worker's sessions and rooms, not its thread, its sockets or the process.

mod clock;
mod core;
mod counters;
mod links;
mod outbox;
mod pace;
mod relays;
mod sessions;
mod sink;
mod taps;
#[cfg(test)]
mod tests;
mod timers;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crosspoint_media::config::EngineConfig;
use crosspoint_wire::time::Time;
use mio::{Events, Interest, Poll, Token, Waker};
use tokio::sync::mpsc;

use self::clock::Clock;
use self::core::{Core, Plan};
use self::links::Links;
use self::outbox::{Outbox, Roster, give_back};
use self::pace::Pace;
use self::relays::Relays;
pub(crate) use self::relays::{BATCHES_MAX, Batch, RelayDoor};
use self::taps::Taps;
use crate::api::{Command, DtlsVersions, Event, WorkerId};
use crate::dtls::DtlsIdentity;
use crate::path::{Link, Path};
use crate::session::Patience;
use crate::tcp::acceptor::Directory;
use crate::tcp::{Arrival, Connections};
use crate::udp::{Offload, Port, RecvBatch, RecvCounters, UdpSocket};

/// Commands taken per turn.
const COMMANDS_PER_TURN: usize = 256;

/// Reads from one TCP connection per turn.
const TCP_READS_PER_TURN: usize = 16;

/// How often connections that are overdue are looked for.
const TCP_SWEEP: Duration = Duration::from_secs(1);

const WAKE: Token = Token(0);
const FIRST_PORT: usize = 1;

/// What a worker is made from.
pub(crate) struct Setup {
    pub(crate) id: WorkerId,
    pub(crate) poll: Poll,
    pub(crate) sockets: Vec<UdpSocket>,
    pub(crate) offload: Offload,
    pub(crate) commands: Receiver<Command>,
    pub(crate) arrivals: Receiver<Arrival>,
    pub(crate) relayed: Receiver<Batch>,
    /// The doors of all workers, by index.
    pub(crate) doors: Vec<RelayDoor>,
    pub(crate) events: mpsc::Sender<(WorkerId, Event)>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) core: Option<core_affinity::CoreId>,
    pub(crate) engine: EngineConfig,
    pub(crate) identity: Arc<DtlsIdentity>,
    pub(crate) versions: DtlsVersions,
    pub(crate) patience: Patience,
    pub(crate) directory: Directory,
}

/// A poller and the waker for it, to be shared with whoever has something for the worker.
///
/// # Errors
///
/// The system's: too many open files.
pub(crate) fn poller() -> io::Result<(Poll, Arc<Waker>)> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKE)?;
    Ok((poll, Arc::new(waker)))
}

/// Starts the thread.
///
/// # Errors
///
/// The system's, before anything runs.
pub(crate) fn spawn(setup: Setup) -> io::Result<JoinHandle<()>> {
    let name = format!("worker-{}", setup.id.0);
    // What fails inside the thread is told before anybody relies on it.
    let (started, result) = sync_channel(1);
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        if let Some(core) = setup.core
            && !core_affinity::set_for_current(core)
        {
            tracing::warn!(core = core.id, "cannot pin a worker to its core");
        }
        match Worker::new(setup) {
            Ok(worker) => {
                let _ = started.send(Ok(()));
                worker.run();
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        }
    })?;
    match result.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(io::Error::other("a worker died at its start")),
    }
}

struct Worker {
    plan: Plan,
    poll: Poll,
    links: Links,
    batch: RecvBatch,
    ports: Vec<PortState>,
    commands: Receiver<Command>,
    arrivals: Receiver<Arrival>,
    relayed: Receiver<Batch>,
    stop: Arc<AtomicBool>,
    roster: Roster,
    outbox: Outbox,
    /// Connections that may have more to read.
    readable: Vec<u32>,
    next_tcp_sweep: Time,
    pace: Pace,
    /// Queues that were not emptied in the last turn.
    more: bool,
}

/// What the poller said about a port and what it was told.
#[derive(Clone, Copy, Default)]
struct PortState {
    readable: bool,
    watched_for_room: bool,
}

impl Worker {
    fn new(setup: Setup) -> io::Result<Self> {
        let poll = setup.poll;
        let (clock, wall_clock) = Clock::start();
        let mut engine = setup.engine;
        engine.wall_clock = wall_clock;
        // Engines must not number their streams alike.
        engine.seed = engine.seed.wrapping_add(u64::from(setup.id.0) << 48);
        let mut ports: Vec<Port> = setup.sockets.into_iter().map(Port::new).collect();
        for (index, port) in ports.iter_mut().enumerate() {
            let token = Token(FIRST_PORT + index);
            poll.registry()
                .register(port.source(), token, Interest::READABLE)?;
        }
        let first_connection = FIRST_PORT + ports.len();
        let registry = poll.registry().try_clone()?;
        Ok(Self {
            ports: vec![PortState::default(); ports.len()],
            links: Links {
                ports,
                tcp: Connections::new(registry, first_connection),
                relays: Relays::new(setup.doors),
                taps: Taps::default(),
                received: RecvCounters::default(),
                events_dropped: 0,
            },
            plan: Plan {
                worker: usize::from(setup.id.0),
                clock,
                engine,
                identity: setup.identity,
                versions: setup.versions,
                patience: setup.patience,
                directory: setup.directory,
            },
            poll,
            batch: RecvBatch::new(setup.offload),
            commands: setup.commands,
            arrivals: setup.arrivals,
            relayed: setup.relayed,
            stop: setup.stop,
            roster: Roster::default(),
            outbox: Outbox::new(setup.id, setup.events),
            readable: Vec::new(),
            next_tcp_sweep: Time::ZERO,
            pace: Pace::default(),
            more: false,
        })
    }

    /// Until it is told to stop.
    fn run(mut self) {
        let mut readiness = Events::with_capacity(256);
        loop {
            let served = catch_unwind(AssertUnwindSafe(|| {
                let mut core = Core::new(self.plan.clone());
                self.serve(&mut core, &mut readiness)
            }));
            match served {
                Ok(Ok(())) => return,
                Ok(Err(error)) => {
                    tracing::error!(%error, "a worker cannot wait for its sockets and ends");
                    return;
                }
                Err(_) => self.recover(),
            }
        }
    }

    /// After a panic: nothing that depended on the core is believed any more.
    fn recover(&mut self) {
        self.links.clear();
        self.readable.clear();
        self.plan.directory.remove_worker(self.plan.worker);
        let (rooms, sessions) = self.roster.take();
        tracing::error!(
            worker = self.plan.worker,
            rooms = rooms.len(),
            sessions = sessions.len(),
            "a worker panicked and lost its rooms and sessions"
        );
        self.outbox.push(Event::WorkerRestarted { rooms, sessions });
        // What arrived meanwhile is still there, and no edge will tell of it again.
        for port in &mut self.ports {
            port.readable = true;
        }
        self.more = true;
    }

    fn serve(&mut self, core: &mut Core, readiness: &mut Events) -> io::Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            self.wait(core, readiness)?;
            let now = self.plan.clock.now();
            self.pace.begin(now, core.packets());
            self.take_commands(core, now);
            self.take_arrivals(now);
            self.receive_datagrams(core);
            self.receive_frames(core);
            self.receive_relayed(core);
            let now = self.plan.clock.now();
            self.sweep_connections(core, now);
            core.handle_timeout(&mut self.links, now);
            core.flush(&mut self.links, now);
            self.links.flush();
            core.note_turn(|| self.plan.clock.now().since(self.pace.began()));
            self.links.taps.flush(now);
            self.watch_for_room()?;
            self.pass_events(core);
        }
        core.close_all(&mut self.links, self.plan.clock.now());
        self.links.flush();
        Ok(())
    }

    /// Sleeps until something is ready or due.
    fn wait(&mut self, core: &Core, readiness: &mut Events) -> io::Result<()> {
        let more = std::mem::take(&mut self.more);
        if more || !self.readable.is_empty() || self.ports.iter().any(|port| port.readable) {
            return self.look(readiness, Some(Duration::ZERO));
        }
        // Where something comes before the next turn may begin, it is there after that time: one
        // sleep instead of two.
        if self.pace.is_dense() {
            self.gather();
            self.look(readiness, Some(Duration::ZERO))?;
            self.pace.note(!readiness.is_empty());
            if self.pace.is_dense() {
                return Ok(());
            }
        }
        self.look(readiness, self.sleep_time(core))?;
        let early = self.gather();
        self.pace.note(early);
        Ok(())
    }

    /// Asks the poller what is ready, for so long.
    fn look(&mut self, readiness: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(readiness, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        for event in readiness.iter() {
            let token = event.token();
            if token == WAKE {
                continue;
            }
            if let Some(port) = self.ports.get_mut(token.0 - FIRST_PORT) {
                port.readable |= event.is_readable() || event.is_error();
            } else if let Some(connection) = self.links.tcp.by_token(token) {
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    self.readable.push(connection);
                }
                if event.is_writable() {
                    self.links.tcp.write(connection);
                }
            }
        }
        Ok(())
    }

    /// Lets more arrive if the turn before began only just now, and says whether it did: see
    /// [`pace`].
    fn gather(&self) -> bool {
        let rest = self.pace.rest(self.plan.clock.now());
        if let Some(rest) = rest {
            std::thread::sleep(rest);
        }
        rest.is_some()
    }

    /// `None`: until woken.
    fn sleep_time(&self, core: &Core) -> Option<Duration> {
        let mut due = core.next_timeout();
        if !self.links.tcp.is_empty() {
            due = due.min(self.next_tcp_sweep);
        }
        due = due.min(self.links.taps.due());
        if self.outbox.is_waiting() {
            due = due.min(self.plan.clock.now() + outbox::RETRY);
        }
        (due != Time::NEVER).then(|| due.since(self.plan.clock.now()))
    }

    fn take_commands(&mut self, core: &mut Core, now: Time) {
        self.links.received = *self.batch.counters();
        self.links.events_dropped = self.outbox.dropped();
        for _ in 0..COMMANDS_PER_TURN {
            let Ok(command) = self.commands.try_recv() else {
                return;
            };
            self.roster.note_command(&command);
            core.handle_command(&mut self.links, now, command);
        }
        self.more = true;
    }

    fn take_arrivals(&mut self, now: Time) {
        while let Ok(arrival) = self.arrivals.try_recv() {
            if let Some(connection) = self.links.tcp.add(now, arrival) {
                // Its first frame was read by the acceptor.
                self.readable.push(connection);
            }
        }
    }

    fn receive_datagrams(&mut self, core: &mut Core) {
        for index in 0..self.ports.len() {
            let (Some(state), Some(port)) =
                (self.ports.get_mut(index), self.links.ports.get(index))
            else {
                continue;
            };
            if !state.readable {
                continue;
            }
            state.readable = self.batch.receive(port);
            let now = self.plan.clock.now();
            let link = Link::Udp(index as u8);
            for (remote, datagram) in self.batch.datagrams() {
                let path = Path { link, remote };
                core.handle_datagram(&mut self.links, now, path, datagram);
            }
        }
    }

    fn receive_frames(&mut self, core: &mut Core) {
        if self.readable.is_empty() {
            return;
        }
        let now = self.plan.clock.now();
        let mut again = Vec::new();
        for connection in std::mem::take(&mut self.readable) {
            if self.receive_from(core, now, connection) {
                again.push(connection);
            }
        }
        self.readable.append(&mut again);
    }

    /// `true`: there is more.
    fn receive_from(&mut self, core: &mut Core, now: Time, connection: u32) -> bool {
        let Some((remote, mut inbox)) = self.links.tcp.take_inbox(connection) else {
            return false;
        };
        let path = Path {
            link: Link::Tcp(connection),
            remote,
        };
        let mut reads = 0;
        let alive = loop {
            let frame = inbox.next_frame();
            match frame {
                Ok(Some(frame)) => {
                    core.handle_datagram(&mut self.links, now, path, frame);
                    continue;
                }
                Ok(None) if reads == TCP_READS_PER_TURN => break true,
                Ok(None) => {}
                Err(_) => break false,
            }
            reads += 1;
            match self.links.tcp.read(now, connection, &mut inbox) {
                Ok(true) => {}
                Ok(false) => break true,
                Err(_) => break false,
            }
        };
        if alive {
            self.links.tcp.put_inbox(connection, inbox);
        } else {
            core.handle_tcp_closed(&mut self.links, connection, remote);
        }
        alive && reads == TCP_READS_PER_TURN
    }

    fn receive_relayed(&mut self, core: &mut Core) {
        let now = self.plan.clock.now();
        for _ in 0..BATCHES_MAX {
            let Ok(batch) = self.relayed.try_recv() else {
                return;
            };
            core.handle_relays(now, &batch);
            batch.finish();
        }
        self.more = true;
    }

    fn sweep_connections(&mut self, core: &mut Core, now: Time) {
        if self.links.tcp.is_empty() || now < self.next_tcp_sweep {
            return;
        }
        self.next_tcp_sweep = now + TCP_SWEEP;
        for (connection, remote) in self.links.tcp.overdue(now) {
            core.handle_tcp_closed(&mut self.links, connection, remote);
        }
    }

    /// Only a socket that is full is watched for room: each datagram that leaves makes room, and
    /// would wake us.
    fn watch_for_room(&mut self) -> io::Result<()> {
        let ports = self.links.ports.iter_mut().zip(&mut self.ports);
        for (index, (port, state)) in ports.enumerate() {
            let blocked = port.is_blocked();
            if blocked == state.watched_for_room {
                continue;
            }
            let interest = if blocked {
                Interest::READABLE | Interest::WRITABLE
            } else {
                Interest::READABLE
            };
            let token = Token(FIRST_PORT + index);
            self.poll
                .registry()
                .reregister(port.source(), token, interest)?;
            state.watched_for_room = blocked;
        }
        Ok(())
    }

    fn pass_events(&mut self, core: &mut Core) {
        for event in core.events.drain(..) {
            self.roster.note_event(&event);
            self.outbox.push(event);
        }
        give_back(&mut core.events);
        self.outbox.pass();
    }
}
