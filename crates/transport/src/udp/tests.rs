use std::collections::VecDeque;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use super::*;

/// What the kernel of the test machine has, and nothing.
fn offloads() -> [Offload; 2] {
    [Offload::probe(), Offload::NONE]
}

fn port(address: &str, offload: Offload) -> Port {
    let address: SocketAddr = address.parse().unwrap();
    Port::new(UdpSocket::bind(address, offload).unwrap())
}

/// A receiving port with what it takes to wait for it.
struct Receiver {
    port: Port,
    batch: RecvBatch,
    poll: Poll,
}

impl Receiver {
    fn new(address: &str, offload: Offload) -> Self {
        let mut port = port(address, offload);
        let poll = Poll::new().unwrap();
        poll.registry()
            .register(port.source(), Token(0), Interest::READABLE)
            .unwrap();
        Self {
            port,
            batch: RecvBatch::new(offload),
            poll,
        }
    }

    fn address(&self) -> SocketAddr {
        self.port.socket.local()
    }

    /// Waits for `count` datagrams.
    fn take(&mut self, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut got = Vec::new();
        let mut events = Events::with_capacity(4);
        while got.len() < count {
            self.poll
                .poll(&mut events, Some(Duration::from_secs(10)))
                .unwrap();
            assert!(!events.is_empty(), "{} of {count} arrived", got.len());
            loop {
                let more = self.batch.receive(&self.port);
                let datagrams = self.batch.datagrams();
                got.extend(datagrams.map(|(from, bytes)| (from, bytes.to_vec())));
                if !more {
                    break;
                }
            }
        }
        got
    }
}

fn datagram(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + seed) as u8).collect()
}

/// Queues datagrams for one destination as a session does.
fn queue(port: &mut Port, to: SocketAddr, datagrams: &[Vec<u8>]) {
    let mut hint = RunHint::default();
    for datagram in datagrams {
        let place = port.reserve(datagram.len()).unwrap();
        place.copy_from_slice(datagram);
        port.queue.commit(to, datagram.len(), &mut hint);
    }
}

#[test]
fn all_datagrams_arrive_in_order_with_and_without_offload() {
    let lengths = [1200, 1200, 1200, 1200, 300, 90, 90, 1450, 1, 1, 1200, 1200];
    let datagrams = lengths.into_iter().cycle().take(120).enumerate();
    let datagrams: Vec<_> = datagrams.map(|(seed, len)| datagram(len, seed)).collect();
    for address in ["127.0.0.1:0", "[::1]:0"] {
        for (sending, receiving) in offloads()
            .into_iter()
            .flat_map(|s| offloads().map(|r| (s, r)))
        {
            let mut sender = port(address, sending);
            let mut receiver = Receiver::new(address, receiving);
            queue(&mut sender, receiver.address(), &datagrams);
            sender.flush();
            let got = receiver.take(datagrams.len());
            let from = sender.socket.local();
            let expected: Vec<_> = datagrams.iter().map(|d| (from, d.clone())).collect();
            assert!(got == expected, "{address} {sending:?} {receiving:?}");
            assert_eq!(sender.queue.counters().datagrams, 120);
            assert_eq!(sender.queue.counters().errors, 0);
        }
    }
}

#[test]
fn a_batch_takes_few_calls_where_the_kernel_can() {
    let offload = Offload::probe();
    let mut sender = port("127.0.0.1:0", offload);
    let mut receivers: Vec<_> = (0..4)
        .map(|_| Receiver::new("127.0.0.1:0", offload))
        .collect();
    let datagrams: Vec<_> = (0..8).map(|seed| datagram(1200, seed)).collect();
    for receiver in &receivers {
        queue(&mut sender, receiver.address(), &datagrams);
    }
    sender.flush();
    for receiver in &mut receivers {
        assert_eq!(receiver.take(8).len(), 8);
        if offload.gro && offload.gso {
            assert_eq!(receiver.batch.counters().messages, 1);
        }
    }
    let sent = sender.queue.counters();
    assert_eq!(sent.calls, if offload.batches { 1 } else { 32 });
    assert_eq!(sent.gso_datagrams, if offload.gso { 32 } else { 0 });
}

#[test]
fn more_than_the_queue_holds_is_sent_on_the_way() {
    for offload in offloads() {
        let mut sender = port("127.0.0.1:0", offload);
        let mut receiver = Receiver::new("127.0.0.1:0", offload);
        let datagrams: Vec<_> = (0..400).map(|seed| datagram(1000, seed)).collect();
        queue(&mut sender, receiver.address(), &datagrams);
        sender.flush();
        let got: VecDeque<_> = receiver.take(400).into();
        assert!(got.iter().map(|(_, bytes)| bytes).eq(&datagrams));
        assert_eq!(sender.queue.counters().dropped, 0);
    }
}

#[test]
fn a_destination_that_fails_does_not_hold_up_the_others() {
    for offload in offloads() {
        let mut sender = port("127.0.0.1:0", offload);
        let mut receiver = Receiver::new("127.0.0.1:0", offload);
        let wrong_family = "[::1]:9".parse().unwrap();
        queue(&mut sender, receiver.address(), &[datagram(100, 1)]);
        queue(
            &mut sender,
            wrong_family,
            &[datagram(100, 2), datagram(100, 3)],
        );
        queue(&mut sender, receiver.address(), &[datagram(100, 4)]);
        sender.flush();
        let got = receiver.take(2);
        assert_eq!(
            [&got[0].1, &got[1].1],
            [&datagram(100, 1), &datagram(100, 4)]
        );
        assert_eq!(sender.queue.counters().errors, 2);
    }
}

#[test]
fn what_waits_gives_way_to_newer_packets_when_nothing_can_be_sent() {
    let mut sender = port("127.0.0.1:0", Offload::NONE);
    let to = sender.socket.local();
    let mut queued = 0;
    while sender.queue.has_room(1000) {
        queue(&mut sender, to, &[datagram(1000, queued)]);
        queued += 1;
    }
    sender.queue.make_room(1000);
    assert_eq!(sender.queue.counters().dropped, queued as u64);
    assert!(sender.queue.reserve(1000).is_some());
}

#[test]
fn empty_and_oversized_datagrams_are_dropped() {
    for offload in offloads() {
        let mut receiver = Receiver::new("127.0.0.1:0", offload);
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(&[], receiver.address()).unwrap();
        sender
            .send_to(&datagram(9000, 0), receiver.address())
            .unwrap();
        sender
            .send_to(&datagram(1500, 1), receiver.address())
            .unwrap();
        let mut got = receiver.take(1);
        // Room for joined datagrams is room for a large one.
        got.retain(|(_, bytes)| bytes.len() != 9000);
        let got = if got.is_empty() {
            receiver.take(1)
        } else {
            got
        };
        assert_eq!(got[0].1, datagram(1500, 1));
        assert!(receiver.batch.counters().malformed >= 1);
    }
}
