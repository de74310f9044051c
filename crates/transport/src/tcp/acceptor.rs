//! The thread that has the listening sockets: it reads the first frame of each connection, which
//! must be a connectivity check, and hands the connection to the worker that it is addressed to.
//!
//! It believes nothing: the check is authenticated by the worker. Nothing is ever written here.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crosspoint_wire::stun::Message;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};

use super::frames::Inbox;
use super::{Arrival, PROVE_WITHIN, STRANGERS_MAX};

/// Connections from one address whose first frame is not there yet. Many people may share an
/// address, but each needs this for a moment only.
const PENDING_PER_ADDRESS_MAX: usize = 64;

/// How often connections that say nothing are looked for, and accepting is tried again after
/// the system had no room for more.
const SWEEP: Duration = Duration::from_secs(1);

/// How often it is looked whether a worker has taken up the session that a connection is for.
const CLAIM_RETRY: Duration = Duration::from_millis(10);

const STOP: Token = Token(0);
const FIRST_LISTENER: usize = 1;

/// Which worker owns which user name fragment. Workers write it when a session comes or goes,
/// the acceptor reads it once per connection; packets never touch it.
#[derive(Clone, Default)]
pub(crate) struct Directory(Arc<Mutex<HashMap<String, usize>>>);

impl Directory {
    pub(crate) fn insert(&self, ufrag: &str, worker: usize) {
        self.lock().insert(ufrag.to_owned(), worker);
    }

    pub(crate) fn remove(&self, ufrag: &str) {
        self.lock().remove(ufrag);
    }

    /// Forgets everything of a worker that lost its sessions.
    pub(crate) fn remove_worker(&self, worker: usize) {
        self.lock().retain(|_, owner| *owner != worker);
    }

    fn worker(&self, ufrag: &str) -> Option<usize> {
        self.lock().get(ufrag).copied()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, usize>> {
        // Each change is a single call: there is no broken state to fear.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The door of a worker for new connections.
pub(crate) struct WorkerDoor {
    pub(crate) arrivals: SyncSender<Arrival>,
    pub(crate) waker: Arc<Waker>,
}

/// Listening sockets, not yet served.
pub(crate) struct Listeners(Vec<TcpListener>);

impl Listeners {
    /// Binds to all addresses, on one port; 0 takes one that is free.
    ///
    /// # Errors
    ///
    /// Whatever the system says, e.g. that the port is taken.
    pub(crate) fn bind(addresses: &[IpAddr], port: u16) -> io::Result<Self> {
        let mut port = port;
        let mut listeners = Vec::with_capacity(addresses.len());
        for address in addresses {
            let listener = bind_one(SocketAddr::new(*address, port))?;
            port = listener.local_addr()?.port();
            listeners.push(listener);
        }
        Ok(Self(listeners))
    }

    /// The port.
    pub(crate) fn port(&self) -> io::Result<u16> {
        let first = self.0.first().ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(first.local_addr()?.port())
    }

    /// Starts the thread. It ends when `Acceptor::stop` is called.
    pub(crate) fn serve(
        self,
        directory: Directory,
        workers: Vec<WorkerDoor>,
    ) -> io::Result<Acceptor> {
        let poll = Poll::new()?;
        let stop = Waker::new(poll.registry(), STOP)?;
        let mut listeners = self.0;
        for (index, listener) in listeners.iter_mut().enumerate() {
            let token = Token(FIRST_LISTENER + index);
            poll.registry()
                .register(listener, token, Interest::READABLE)?;
        }
        let next = FIRST_LISTENER + listeners.len();
        let mut service = Service {
            poll,
            listeners,
            pending: HashMap::new(),
            next,
            directory,
            workers,
        };
        let thread = std::thread::Builder::new().name("ice-tcp".to_owned());
        let thread = thread.spawn(move || service.run())?;
        Ok(Acceptor { stop, thread })
    }
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // So that a restart need not wait for connections of the process before.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(256)?;
    Ok(TcpListener::from_std(socket.into()))
}

/// The running thread.
pub(crate) struct Acceptor {
    stop: Waker,
    thread: JoinHandle<()>,
}

impl Acceptor {
    /// Ends it and waits until it has ended.
    pub(crate) fn stop(self) {
        if self.stop.wake().is_ok() && self.thread.join().is_err() {
            tracing::error!("the ICE-TCP acceptor had panicked");
        }
    }
}

struct Pending {
    stream: TcpStream,
    remote: SocketAddr,
    inbox: Inbox,
    deadline: Instant,
    /// Its first frame is here, but no worker has said yet that the session is its own: the answer
    /// may have reached the peer before the command reached the worker.
    unclaimed: bool,
}

/// What the first frame of a connection says.
enum First {
    /// It is not complete.
    Incomplete,
    /// It is for a session that no worker owns (yet).
    Unclaimed,
    /// The worker that it is for.
    For(usize),
    /// It is no check.
    Wrong,
}

impl Pending {
    fn first(&mut self, directory: &Directory) -> First {
        loop {
            match self.inbox.peek() {
                Ok(Some(frame)) => {
                    let message = Message::parse(frame).ok();
                    let Some((ours, _)) = message.and_then(|message| message.ufrags()) else {
                        return First::Wrong;
                    };
                    return directory.worker(ours).map_or(First::Unclaimed, First::For);
                }
                Ok(None) => {}
                Err(_) => return First::Wrong,
            }
            match self.inbox.read(&mut self.stream) {
                Ok(true) => {}
                Ok(false) => return First::Incomplete,
                Err(_) => return First::Wrong,
            }
        }
    }
}

struct Service {
    poll: Poll,
    listeners: Vec<TcpListener>,
    pending: HashMap<usize, Pending>,
    next: usize,
    directory: Directory,
    workers: Vec<WorkerDoor>,
}

impl Service {
    fn run(&mut self) {
        let mut events = Events::with_capacity(256);
        let mut retry = false;
        loop {
            let unclaimed: Vec<usize> = self.unclaimed().collect();
            let timeout = match unclaimed.is_empty() {
                false => Some(CLAIM_RETRY),
                true => (retry || !self.pending.is_empty()).then_some(SWEEP),
            };
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "the ICE-TCP acceptor ends");
                return;
            }
            for event in &events {
                match event.token() {
                    STOP => return,
                    Token(token) if token < FIRST_LISTENER + self.listeners.len() => retry = true,
                    Token(token) => self.advance(token),
                }
            }
            if retry {
                retry = self.accept_all();
            }
            for token in unclaimed {
                self.advance(token);
            }
            let now = Instant::now();
            self.pending.retain(|_, pending| pending.deadline > now);
        }
    }

    fn unclaimed(&self) -> impl Iterator<Item = usize> {
        let waiting = self.pending.iter().filter(|(_, pending)| pending.unclaimed);
        waiting.map(|(token, _)| *token)
    }

    /// Accepts what waits. `true`: the system had no room, so there may be more.
    fn accept_all(&mut self) -> bool {
        let mut again = false;
        for index in 0..self.listeners.len() {
            while let Some(listener) = self.listeners.get(index) {
                match listener.accept() {
                    Ok((stream, remote)) => self.admit(stream, remote),
                    Err(error) => match error.kind() {
                        io::ErrorKind::WouldBlock => break,
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                        _ => {
                            again = true;
                            break;
                        }
                    },
                }
            }
        }
        again
    }

    fn admit(&mut self, mut stream: TcpStream, remote: SocketAddr) {
        let same = self.pending.values();
        let same = same.filter(|pending| pending.remote.ip() == remote.ip());
        if self.pending.len() >= STRANGERS_MAX || same.count() >= PENDING_PER_ADDRESS_MAX {
            return;
        }
        let token = self.next;
        let registry = self.poll.registry();
        if registry
            .register(&mut stream, Token(token), Interest::READABLE)
            .is_err()
        {
            return;
        }
        self.next += 1;
        self.pending.insert(
            token,
            Pending {
                stream,
                remote,
                inbox: Inbox::new(),
                deadline: Instant::now() + PROVE_WITHIN,
                unclaimed: false,
            },
        );
    }

    /// Reads, and hands over, closes, or waits.
    fn advance(&mut self, token: usize) {
        let Some(pending) = self.pending.get_mut(&token) else {
            return;
        };
        let worker = match pending.first(&self.directory) {
            First::Incomplete => return,
            First::Unclaimed => {
                pending.unclaimed = true;
                return;
            }
            First::For(worker) => Some(worker),
            First::Wrong => None,
        };
        let Some(Pending {
            mut stream,
            remote,
            inbox,
            ..
        }) = self.pending.remove(&token)
        else {
            return;
        };
        let detached = self.poll.registry().deregister(&mut stream).is_ok();
        let door = worker.and_then(|worker| self.workers.get(worker));
        if let Some(door) = door.filter(|_| detached) {
            let arrival = Arrival {
                stream,
                remote,
                inbox,
            };
            // A worker whose queue is full does not get it; the peer will try again.
            if door.arrivals.try_send(arrival).is_ok() {
                let _ = door.waker.wake();
            }
        }
    }
}
