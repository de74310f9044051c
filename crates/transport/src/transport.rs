//! Starts the workers and is the door to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use mio::{Poll, Waker};
use tokio::sync::mpsc;

use crate::api::{
    Candidate, Command, Event, Fingerprint, QueueFull, TransportConfig, TransportError, WorkerId,
};
use crate::dtls::DtlsIdentity;
use crate::session::Patience;
use crate::tcp::Arrival;
use crate::tcp::acceptor::{Acceptor, Directory, WorkerDoor};
use crate::udp::{Offload, UdpSocket};
use crate::worker::{BATCHES_MAX, Batch, RelayDoor, Setup, poller, spawn};

mod addresses;
#[cfg(test)]
mod tests;

use self::addresses::{Addresses, candidates};

/// Commands that may wait at a worker.
const COMMANDS_MAX: usize = 8192;

/// Connections that may wait to be taken over by a worker.
const ARRIVALS_MAX: usize = 256;

/// Events of all workers that may wait for the control plane.
const EVENTS_MAX: usize = 2048;

/// All workers, running. Dropping it stops them, as [`Transport::stop`] does.
pub struct Transport {
    workers: Vec<Worker>,
    acceptor: Option<Acceptor>,
    events: Option<mpsc::Receiver<(WorkerId, Event)>>,
    fingerprint: Fingerprint,
    stop: Arc<AtomicBool>,
}

/// One worker as seen from outside.
struct Worker {
    commands: SyncSender<Command>,
    waker: Arc<Waker>,
    candidates: Vec<Candidate>,
    thread: Option<JoinHandle<()>>,
}

impl Transport {
    /// Binds all sockets, makes the DTLS certificate and starts the threads. Nothing is read
    /// from the network before all of that has worked.
    ///
    /// # Errors
    ///
    /// [`TransportError`] says which port or thread it was; nothing is left running.
    pub fn start(config: TransportConfig) -> Result<Self, TransportError> {
        Self::start_with(config, Offload::probe())
    }

    pub(crate) fn start_with(
        config: TransportConfig,
        offload: Offload,
    ) -> Result<Self, TransportError> {
        check(&config)?;
        tracing::debug!(?offload, "UDP");
        let identity = Arc::new(DtlsIdentity::generate()?);
        let addresses = Addresses::of(&config);
        let listeners = addresses.bind_tcp(config.tcp_port)?;
        let tcp_port = match &listeners {
            Some(listeners) => Some(listeners.port().map_err(TransportError::Start)?),
            None => None,
        };

        // All sockets and queues first, then all threads.
        let mut parts = Vec::with_capacity(config.workers);
        for worker in 0..config.workers {
            let port = match config.udp_port {
                0 => 0,
                first => first + worker as u16,
            };
            parts.push(Parts::new(addresses.bind_udp(port, offload)?)?);
        }
        let doors: Vec<RelayDoor> = parts.iter().map(Parts::relay_door).collect();
        let arrivals = parts.iter().map(Parts::arrival_door).collect();

        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let directory = Directory::default();
        // From here on, dropping `transport` ends what was started.
        let mut transport = Self {
            workers: Vec::with_capacity(config.workers),
            acceptor: None,
            events: Some(receiver),
            fingerprint: identity.fingerprint().clone(),
            stop: Arc::new(AtomicBool::new(false)),
        };
        let cores = config.pin.then(core_affinity::get_core_ids).flatten();
        let cores = cores.unwrap_or_default();
        for (index, parts) in parts.into_iter().enumerate() {
            let candidates = candidates(&config.advertised, &parts.sockets, tcp_port);
            let setup = Setup {
                id: WorkerId(index as u16),
                poll: parts.poll,
                sockets: parts.sockets,
                offload,
                commands: parts.commands.1,
                arrivals: parts.arrivals.1,
                relayed: parts.relayed.1,
                doors: doors.clone(),
                events: events.clone(),
                stop: Arc::clone(&transport.stop),
                core: cores.get(index % cores.len().max(1)).copied(),
                engine: config.engine.clone(),
                identity: Arc::clone(&identity),
                versions: config.dtls,
                patience: Patience {
                    connect: config.connect_timeout,
                    consent: config.consent_timeout,
                },
                directory: directory.clone(),
            };
            transport.workers.push(Worker {
                commands: parts.commands.0,
                waker: parts.waker,
                candidates,
                thread: Some(spawn(setup).map_err(TransportError::Start)?),
            });
        }
        if let Some(listeners) = listeners {
            let acceptor = listeners.serve(directory, arrivals);
            transport.acceptor = Some(acceptor.map_err(TransportError::Start)?);
        }
        Ok(transport)
    }

    /// How many workers there are; they are numbered from 0.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        self.workers.len()
    }

    /// Gives a worker something to do. Commands of one caller are carried out in order.
    ///
    /// # Errors
    ///
    /// [`QueueFull`], also for a worker that there is not; the command was not taken.
    pub fn send(&self, worker: WorkerId, command: Command) -> Result<(), QueueFull> {
        let worker = self.workers.get(usize::from(worker.0)).ok_or(QueueFull)?;
        worker.commands.try_send(command).map_err(|_| QueueFull)?;
        // It fails only if the worker's poller is gone, and the worker with it.
        worker.waker.wake().map_err(|_| QueueFull)
    }

    /// What the workers have to tell. To be called once; `None` afterwards. Events wait in a
    /// bounded queue; of a reader that is too slow, messages and speakers are kept back first.
    pub fn events(&mut self) -> Option<mpsc::Receiver<(WorkerId, Event)>> {
        self.events.take()
    }

    /// A worker's candidates for answers; empty for a worker that there is not.
    #[must_use]
    pub fn candidates(&self, worker: WorkerId) -> &[Candidate] {
        let worker = self.workers.get(usize::from(worker.0));
        worker.map_or(&[], |worker| &worker.candidates)
    }

    /// SHA-256 of our certificate, one for the process.
    #[must_use]
    pub const fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Closes all sessions towards their peers and waits for the threads to end.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.stop();
        }
        self.stop.store(true, Ordering::Relaxed);
        for worker in &self.workers {
            let _ = worker.waker.wake();
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take()
                && thread.join().is_err()
            {
                tracing::error!("a worker had panicked for good");
            }
        }
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport")
            .field("workers", &self.workers.len())
            .finish_non_exhaustive()
    }
}

/// What a worker needs of the system, and both ends of its queues.
struct Parts {
    poll: Poll,
    waker: Arc<Waker>,
    sockets: Vec<UdpSocket>,
    commands: (SyncSender<Command>, Receiver<Command>),
    arrivals: (SyncSender<Arrival>, Receiver<Arrival>),
    relayed: (SyncSender<Batch>, Receiver<Batch>),
}

impl Parts {
    fn new(sockets: Vec<UdpSocket>) -> Result<Self, TransportError> {
        let (poll, waker) = poller().map_err(TransportError::Start)?;
        Ok(Self {
            poll,
            waker,
            sockets,
            commands: sync_channel(COMMANDS_MAX),
            arrivals: sync_channel(ARRIVALS_MAX),
            relayed: sync_channel(BATCHES_MAX),
        })
    }

    fn relay_door(&self) -> RelayDoor {
        RelayDoor {
            batches: self.relayed.0.clone(),
            waker: Arc::clone(&self.waker),
        }
    }

    fn arrival_door(&self) -> WorkerDoor {
        WorkerDoor {
            arrivals: self.arrivals.0.clone(),
            waker: Arc::clone(&self.waker),
        }
    }
}

fn check(config: &TransportConfig) -> Result<(), TransportError> {
    let last_port = usize::from(config.udp_port) + config.workers.saturating_sub(1);
    if config.workers == 0 {
        Err(TransportError::Config("at least one worker is needed"))
    } else if config.bind.is_empty() {
        Err(TransportError::Config("no address to bind to"))
    } else if config.bind.len() > 255 {
        Err(TransportError::Config("more than 255 addresses to bind to"))
    } else if last_port > usize::from(u16::MAX) {
        Err(TransportError::Config(
            "the workers' UDP ports would exceed 65535",
        ))
    } else {
        Ok(())
    }
}
