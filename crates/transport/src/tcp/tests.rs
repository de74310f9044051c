use std::io::Read;
use std::net::Ipv4Addr;

use mio::Poll;

use super::*;

/// Connections with the far ends of them.
struct Bench {
    connections: Connections,
    listener: std::net::TcpListener,
    now: Time,
    _poll: Poll,
}

impl Bench {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        Self {
            connections: Connections::new(poll.registry().try_clone().unwrap(), 7),
            listener: std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(),
            now: Time::from_millis(1000),
            _poll: poll,
        }
    }

    fn connect(&mut self) -> (u32, std::net::TcpStream) {
        let peer = std::net::TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let (stream, remote) = self.listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let arrival = Arrival {
            stream: TcpStream::from_std(stream),
            remote,
            inbox: Inbox::new(),
        };
        (self.connections.add(self.now, arrival).unwrap(), peer)
    }

    fn overdue(&self) -> Vec<u32> {
        let overdue = self.connections.overdue(self.now).into_iter();
        overdue.map(|(id, _)| id).collect()
    }
}

#[test]
fn tokens_lead_back_to_connections() {
    let mut bench = Bench::new();
    let (id, _peer) = bench.connect();
    assert_eq!(bench.connections.by_token(Token(7 + id as usize)), Some(id));
    assert_eq!(bench.connections.by_token(Token(6)), None);
}

#[test]
fn a_connection_that_proves_nothing_is_overdue_after_10_s_and_an_idle_one_after_40_s() {
    let mut bench = Bench::new();
    let (stranger, _peer) = bench.connect();
    let (friend, _other) = bench.connect();
    bench.connections.set_proved(friend);
    bench.now += Duration::from_millis(9999);
    assert!(bench.overdue().is_empty());
    bench.now += Duration::from_millis(1);
    assert_eq!(bench.overdue(), [stranger]);
    bench.connections.close(stranger);
    bench.now += Duration::from_secs(30);
    assert_eq!(bench.overdue(), [friend]);
}

#[test]
fn a_peer_that_never_reads_loses_packets_and_takes_no_more_than_the_bound() {
    let mut bench = Bench::new();
    let (id, mut peer) = bench.connect();
    let packet = [7; 1200];
    let mut pushed = 0;
    while bench.connections.counters().dropped == 0 {
        assert!(pushed < 100_000, "no bound");
        bench.connections.push(id, &packet);
        bench.connections.flush();
        pushed += 1;
    }
    let waiting = bench.connections.connections[&id].output.len();
    assert!(waiting <= OUTPUT_BYTES_MAX);
    // What was taken arrives whole, in order, once it reads.
    let mut bytes = vec![0; (2 + packet.len()) * (pushed - 1)];
    let reader = std::thread::spawn(move || {
        peer.read_exact(&mut bytes).unwrap();
        bytes
    });
    while !reader.is_finished() {
        bench.connections.write(id);
        std::thread::yield_now();
    }
    for frame in reader.join().unwrap().chunks_exact(2 + packet.len()) {
        assert_eq!(frame[..2], 1200u16.to_be_bytes());
        assert_eq!(frame[2..], packet);
    }
}

#[test]
fn a_reservation_given_back_leaves_no_trace() {
    let mut bench = Bench::new();
    let (id, mut peer) = bench.connect();
    bench.connections.reserve(id, 500).unwrap().fill(1);
    bench.connections.commit(id, 500, 0);
    bench.connections.reserve(id, 500).unwrap().fill(2);
    bench.connections.commit(id, 500, 3);
    bench.connections.flush();
    bench.connections.close(id);
    let mut bytes = Vec::new();
    peer.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, [0, 3, 2, 2, 2]);
}
