//! The threads that clients live on. Each has a poller, a heap of timers and one receive batch, so
//! that a packet costs the generator less than it costs the server.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, anyhow, bail};
use crosspoint_transport::srtp::Profile;
use crosspoint_transport::udp::{Offload, RecvBatch};
use crosspoint_wire::time::Time;
use mio::{Events, Interest, Poll, Token, Waker};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::peer::{Identity, Peer, Plan, Report, Surroundings};
use crate::tally::Tally;

const WAKE: Token = Token(usize::MAX);

/// Receives from one socket per readiness, so that none starves the others.
const RECEIVES_MAX: usize = 8;

/// A client of a [`Pool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerId {
    thread: usize,
    index: usize,
}

/// All clients of a run.
pub struct Pool {
    threads: Vec<Thread>,
    next: AtomicUsize,
    clock: Clock,
    identity: Identity,
    offload: Offload,
}

struct Thread {
    orders: Sender<Order>,
    waker: Arc<Waker>,
    handle: Option<JoinHandle<()>>,
}

enum Order {
    Add(Box<Plan>, oneshot::Sender<Result<(usize, Profile)>>),
    Dismiss(usize, oneshot::Sender<()>),
    Remove(usize),
    Count(oneshot::Sender<Tally>),
    ForgetDelays,
    Stop,
}

impl Pool {
    /// Starts the threads. `pin`: each stays on one core, counted from the last, away from a
    /// server that counts from the first.
    ///
    /// # Errors
    /// When the system refuses them.
    pub fn start(threads: usize, pin: bool) -> Result<Self> {
        let cores = pin.then(core_affinity::get_core_ids).flatten();
        let cores = cores.unwrap_or_default();
        let clock = Clock::start();
        let identity = Identity::generate()?;
        let offload = Offload::probe();
        let spawn = |index: usize| -> Result<Thread> {
            let poll = Poll::new()?;
            let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
            let (orders, receiver) = channel();
            let around = Surroundings::new(clock, identity.clone());
            let core = cores.iter().rev().nth(index % cores.len().max(1)).copied();
            let handle = std::thread::Builder::new()
                .name(format!("clients-{index}"))
                .spawn(move || {
                    core.map(core_affinity::set_for_current);
                    Loop::new(poll, receiver, around, offload).run();
                })?;
            Ok(Thread {
                orders,
                waker,
                handle: Some(handle),
            })
        };
        Ok(Self {
            threads: (0..threads.max(1)).map(spawn).collect::<Result<_>>()?,
            next: AtomicUsize::new(0),
            clock,
            identity,
            offload,
        })
    }

    /// The clock that packets are stamped with.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// The certificate of all clients.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the kernel can do.
    #[must_use]
    pub const fn offload(&self) -> Offload {
        self.offload
    }

    /// Lets a client connect; returns when media flows.
    ///
    /// # Errors
    /// When it does not connect in time.
    pub async fn add(&self, plan: Plan) -> Result<(PeerId, Profile)> {
        let thread = self.next.fetch_add(1, Ordering::Relaxed) % self.threads.len();
        let (reply, outcome) = oneshot::channel();
        self.order(thread, Order::Add(Box::new(plan), reply))?;
        let (index, profile) = outcome.await.context("a thread of clients ended")??;
        Ok((PeerId { thread, index }, profile))
    }

    /// Says that a client is about to leave: if the server ends it now, that is no failure.
    ///
    /// # Errors
    /// When its thread ended.
    pub async fn dismiss(&self, peer: PeerId) -> Result<()> {
        let (reply, noted) = oneshot::channel();
        self.order(peer.thread, Order::Dismiss(peer.index, reply))?;
        noted.await.context("a thread of clients ended")
    }

    /// Lets a client say goodbye and forgets it.
    ///
    /// # Errors
    /// When its thread ended.
    pub fn remove(&self, peer: PeerId) -> Result<()> {
        self.order(peer.thread, Order::Remove(peer.index))
    }

    /// Everything that was counted.
    ///
    /// # Errors
    /// When a thread ended.
    pub async fn count(&self) -> Result<Tally> {
        let mut sum = Tally::default();
        for thread in 0..self.threads.len() {
            let (reply, tally) = oneshot::channel();
            self.order(thread, Order::Count(reply))?;
            sum += &tally.await.context("a thread of clients ended")?;
        }
        Ok(sum)
    }

    /// Begins a new measurement of delays.
    ///
    /// # Errors
    /// When a thread ended.
    pub fn forget_delays(&self) -> Result<()> {
        (0..self.threads.len()).try_for_each(|thread| self.order(thread, Order::ForgetDelays))
    }

    fn order(&self, thread: usize, order: Order) -> Result<()> {
        let Some(thread) = self.threads.get(thread) else {
            bail!("no such thread");
        };
        let sent = thread.orders.send(order);
        sent.map_err(|_| anyhow!("a thread of clients ended"))?;
        Ok(thread.waker.wake()?)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for thread in 0..self.threads.len() {
            let _ = self.order(thread, Order::Stop);
        }
        for thread in &mut self.threads {
            if let Some(handle) = thread.handle.take() {
                let _ = handle.join();
            }
        }
    }
}

/// A client and what its thread keeps about it.
struct Member {
    peer: Peer,
    /// The timer entry that is valid.
    scheduled: Time,
    joined: Option<oneshot::Sender<Result<(usize, Profile)>>>,
    leaving: bool,
}

struct Loop {
    poll: Poll,
    orders: Receiver<Order>,
    around: Surroundings,
    batch: RecvBatch,
    members: Vec<Option<Member>>,
    free: Vec<usize>,
    timers: BinaryHeap<Reverse<(Time, usize)>>,
}

impl Loop {
    fn new(poll: Poll, orders: Receiver<Order>, around: Surroundings, offload: Offload) -> Self {
        Self {
            poll,
            orders,
            around,
            batch: RecvBatch::new(offload),
            members: Vec::new(),
            free: Vec::new(),
            timers: BinaryHeap::new(),
        }
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        loop {
            let next = self.timers.peek().map(|Reverse((at, _))| *at);
            let timeout = next.map(|at| at.since(self.around.clock.now()));
            if let Err(error) = self.poll.poll(&mut events, timeout)
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                return;
            }
            // First, since what is received may be the consequence of what was ordered.
            if !self.take_orders() {
                return;
            }
            for event in events.iter().filter(|event| event.token() != WAKE) {
                self.receive(event.token().0);
            }
            self.run_timers();
        }
    }

    /// `false`: stop.
    fn take_orders(&mut self) -> bool {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Add(plan, joined) => self.add(*plan, joined),
                Order::Dismiss(index, reply) => {
                    if let Some(Some(member)) = self.members.get_mut(index) {
                        member.leaving = true;
                    }
                    let _ = reply.send(());
                }
                Order::Remove(index) => self.remove(index),
                Order::Count(reply) => {
                    self.count_members();
                    // Who asked may have gone.
                    let _ = reply.send(self.around.tally.clone());
                }
                Order::ForgetDelays => self.around.tally.delays.reset(),
                Order::Stop => return false,
            }
        }
        true
    }

    fn add(&mut self, plan: Plan, joined: oneshot::Sender<Result<(usize, Profile)>>) {
        let now = self.around.clock.now();
        let mut peer = Peer::new(now, plan);
        let index = self.free.pop().unwrap_or_else(|| {
            self.members.push(None);
            self.members.len() - 1
        });
        let registered =
            self.poll
                .registry()
                .register(peer.port.source(), Token(index), Interest::READABLE);
        if let Err(error) = registered {
            let _ = joined.send(Err(error.into()));
            self.free.push(index);
            return;
        }
        self.members[index] = Some(Member {
            peer,
            scheduled: Time::NEVER,
            joined: Some(joined),
            leaving: false,
        });
        self.schedule(index);
    }

    fn remove(&mut self, index: usize) {
        let Some(mut member) = self.members.get_mut(index).and_then(Option::take) else {
            return;
        };
        member.peer.close(&mut self.around);
        // Closing the socket would do as well.
        let _ = self.poll.registry().deregister(member.peer.port.source());
        self.free.push(index);
    }

    fn receive(&mut self, index: usize) {
        for _ in 0..RECEIVES_MAX {
            let Some(Some(member)) = self.members.get_mut(index) else {
                return;
            };
            let more = self.batch.receive(&member.peer.port);
            let now = self.around.clock.now();
            let mut report = None;
            for (source, datagram) in self.batch.datagrams() {
                let said = member.peer.handle(now, source, datagram, &mut self.around);
                report = report.or(said);
            }
            member.peer.port.flush();
            self.note(index, report);
            self.schedule(index);
            if !more {
                return;
            }
        }
        // The edge was used up: look again in the next turn.
        if let Some(Some(member)) = self.members.get_mut(index) {
            let source = member.peer.port.source();
            let _ = self
                .poll
                .registry()
                .reregister(source, Token(index), Interest::READABLE);
        }
    }

    fn run_timers(&mut self) {
        while let Some(Reverse((at, index))) = self.timers.peek().copied() {
            let now = self.around.clock.now();
            if at > now {
                return;
            }
            self.timers.pop();
            let Some(Some(member)) = self.members.get_mut(index) else {
                continue;
            };
            if member.scheduled != at {
                continue;
            }
            member.scheduled = Time::NEVER;
            let report = member.peer.handle_timeout(now, &mut self.around);
            member.peer.port.flush();
            self.note(index, report);
            self.schedule(index);
        }
    }

    fn note(&mut self, index: usize, report: Option<Report>) {
        let Some(Some(member)) = self.members.get_mut(index) else {
            return;
        };
        let outcome = match report {
            None => return,
            Some(Report::Connected(profile)) => Ok((index, profile)),
            Some(Report::Ended(why)) => {
                if !member.leaving {
                    self.around.tally.failed += 1;
                    self.around.tally.last_failure = Some(why);
                }
                Err(why.into())
            }
        };
        if let Some(joined) = member.joined.take() {
            let failed = outcome.is_err();
            let _ = joined.send(outcome);
            if failed {
                self.remove(index);
            }
        }
    }

    fn schedule(&mut self, index: usize) {
        let Some(Some(member)) = self.members.get_mut(index) else {
            return;
        };
        let next = member.peer.next();
        if next < member.scheduled {
            member.scheduled = next;
            self.timers.push(Reverse((next, index)));
        }
    }

    fn count_members(&mut self) {
        let now = self.around.clock.now();
        let tally = &mut self.around.tally;
        (tally.connected, tally.audio_streams, tally.video_streams) = (0, 0, 0);
        for member in self.members.iter().flatten() {
            let (audio, video) = member.peer.active_streams(now);
            tally.connected += usize::from(member.peer.is_connected());
            tally.audio_streams += audio;
            tally.video_streams += video;
        }
    }
}
