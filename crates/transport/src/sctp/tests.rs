//! The channels against rtc-sctp as the browser, over a network in virtual time that loses.

use std::collections::BTreeMap;
use std::time::Duration;

use rtc_datachannel::message::Message;
use rtc_datachannel::message::message_channel_open::{ChannelType, DataChannelOpen};
use rtc_sctp as rtc;
use rtc_shared::TransportProtocol;
use rtc_shared::marshal::Marshal;

use super::*;
use DataChannelKind::{Reliable, Unreliable};

#[test]
fn channels_open_and_carry_messages_both_ways() {
    let mut call = Call::with_channels();
    assert_eq!(
        call.server_events,
        [DataEvent::Open(Reliable), DataEvent::Open(Unreliable)]
    );

    for (kind, stream) in [(Reliable, 0), (Unreliable, 2)] {
        call.server_events.clear();
        for (payload, text, ppid) in [
            (&b"hello"[..], true, 51),
            (b"\x00\x01", false, 53),
            (b"", true, 56),
            (b"", false, 57),
        ] {
            call.server.send(call.now, kind, payload, text).unwrap();
            let raw = if payload.is_empty() {
                &[0][..]
            } else {
                payload
            };
            call.client_send(stream, ppid, raw);
            call.run(Duration::from_secs(1));
            assert_eq!(call.received(stream), [(ppid, raw.to_vec())]);
            assert_eq!(call.server_events, [message(kind, payload, text)]);
            call.server_events.clear();
        }
    }
}

#[test]
fn the_largest_messages_pass_both_ways_in_spite_of_loss() {
    for seed in 0..5 {
        let mut call = Call::with_channels();
        call.lose = Some(Random(seed));
        call.server_events.clear();
        let sent: Vec<u8> = (0..MAX_MESSAGE).map(|i| (i / 3) as u8).collect();
        for _ in 0..3 {
            call.server.send(call.now, Reliable, &sent, false).unwrap();
            call.client_send(0, 53, &sent);
        }
        call.run(Duration::from_secs(600));
        let received = call.received(0);
        assert_eq!((received.len(), call.server_events.len()), (3, 3), "{seed}");
        assert!(received.iter().all(|it| it.1 == sent));
        let expected = message(Reliable, &sent, false);
        assert!(call.server_events.iter().all(|it| *it == expected));
        assert_eq!(call.server.refused(), 0);
    }
}

#[test]
fn an_unreliable_channel_goes_on_after_loss_without_what_was_lost() {
    let mut call = Call::with_channels();
    call.lose = Some(Random(3));
    call.server_events.clear();
    for number in 0..200_u8 {
        call.server
            .send(call.now, Unreliable, &[number], false)
            .unwrap();
        call.client_send(2, 53, &[number]);
        call.run(Duration::from_millis(20));
    }
    call.lose = None;
    call.server
        .send(call.now, Unreliable, b"last", true)
        .unwrap();
    call.client_send(2, 51, b"last");
    call.run(Duration::from_secs(20));

    let received = call.received(2);
    assert_eq!(received.last(), Some(&(51, b"last".to_vec())));
    assert!((100..200).contains(&received.len()), "{}", received.len());
    assert!((100..200).contains(&call.server_events.len()));
    let last = message(Unreliable, b"last", true);
    assert_eq!(call.server_events.last(), Some(&last));
}

#[test]
fn the_handshake_survives_loss() {
    for seed in 0..20 {
        let mut call = Call::new();
        call.lose = Some(Random(seed));
        call.run(Duration::from_secs(30));
        call.open(0, ChannelType::Reliable, "reliable");
        call.run(Duration::from_secs(30));
        assert_eq!(call.server_events, [DataEvent::Open(Reliable)]);
    }
}

#[test]
fn the_channel_labelled_like_its_kind_is_preferred() {
    let mut call = Call::new();
    call.open(0, ChannelType::ReliableUnordered, "other");
    call.run(Duration::from_secs(1));
    call.server.send(call.now, Reliable, b"1", true).unwrap();
    call.open(2, ChannelType::Reliable, "reliable");
    call.run(Duration::from_secs(1));
    call.server.send(call.now, Reliable, b"2", true).unwrap();
    call.run(Duration::from_secs(1));
    assert_eq!(call.received(0), [(50, vec![2]), (51, b"1".to_vec())]);
    assert_eq!(call.received(2), [(50, vec![2]), (51, b"2".to_vec())]);
    assert_eq!(
        call.server.send(call.now, Unreliable, b"3", true),
        Err(SendError::NoChannel)
    );
}

#[test]
fn a_closed_channel_is_told_and_its_stream_may_be_used_again() {
    let mut call = Call::with_channels();
    call.server_events.clear();
    let now = call.now;
    call.association().stream(0).unwrap().close(now).unwrap();
    call.run(Duration::from_secs(5));
    assert_eq!(call.server_events, [DataEvent::Closed(Reliable)]);
    assert_eq!(
        call.server.send(call.now, Reliable, b"late", true),
        Err(SendError::NoChannel)
    );

    call.server_events.clear();
    call.open(0, ChannelType::Reliable, "reliable");
    call.run(Duration::from_secs(5));
    call.server
        .send(call.now, Reliable, b"again", true)
        .unwrap();
    call.run(Duration::from_secs(5));
    assert_eq!(call.server_events, [DataEvent::Open(Reliable)]);
    assert!(call.received(0).contains(&(51, b"again".to_vec())));
}

#[test]
fn channels_beyond_the_limit_and_on_odd_streams_are_refused() {
    let mut call = Call::new();
    for channel in 0..20 {
        call.open(2 * channel, ChannelType::Reliable, "many");
    }
    call.open(101, ChannelType::Reliable, "odd");
    call.run(Duration::from_secs(5));
    assert_eq!(call.server_events, vec![DataEvent::Open(Reliable); 16]);
    assert_eq!(call.server.refused(), 5);
    assert_eq!(call.received(30), [(50, vec![2])]);
    assert_eq!(call.received(32), []);
    assert_eq!(call.received(101), []);
    // The others go on.
    call.server_events.clear();
    call.client_send(0, 51, b"hi");
    call.run(Duration::from_secs(1));
    assert_eq!(call.server_events, [message(Reliable, b"hi", true)]);
}

#[test]
fn messages_without_a_channel_are_refused() {
    let mut call = Call::with_channels();
    call.server_events.clear();
    call.client_send(8, 51, b"no channel");
    call.client_send(0, 99, b"no such kind");
    call.run(Duration::from_secs(1));
    assert_eq!(call.server_events, []);
    assert_eq!(call.server.refused(), 2);
}

#[test]
fn a_message_beyond_the_limit_ends_the_association() {
    let mut call = Call::with_channels();
    call.server_events.clear();
    call.client_send(0, 53, &vec![1; MAX_MESSAGE + 1]);
    call.run(Duration::from_secs(5));
    call.server_events.sort_by_key(|event| format!("{event:?}"));
    assert_eq!(
        call.server_events,
        [DataEvent::Closed(Reliable), DataEvent::Closed(Unreliable)]
    );
    assert_eq!(
        call.server.send(call.now, Reliable, b"late", true),
        Err(SendError::NoChannel)
    );
    assert_eq!(call.server.next_timeout(), None);
}

#[test]
fn sending_is_refused_when_too_much_is_waiting_and_goes_on_afterwards() {
    for size in [1, 1000, MAX_MESSAGE] {
        let mut call = Call::with_channels();
        let (now, payload) = (call.now, vec![7; size]);
        let mut taken = 0;
        while call.server.send(now, Reliable, &payload, false).is_ok() {
            taken += 1;
            assert!(taken <= MAX_BACKLOG_MESSAGES);
        }
        assert_eq!(taken, MAX_BACKLOG_MESSAGES.min(MAX_BACKLOG / size));
        assert_eq!(
            call.server.send(now, Unreliable, &payload, false),
            Err(SendError::Full)
        );
        assert_eq!(
            call.server
                .send(now, Reliable, &[0; MAX_MESSAGE + 1], false),
            Err(SendError::TooLong)
        );
        call.run(Duration::from_secs(30));
        assert_eq!(call.received(0).len(), taken, "{size}");
        assert_eq!(
            call.server.send(call.now, Reliable, &payload, false),
            Ok(())
        );
    }
}

#[test]
fn packets_stay_below_the_size_that_dtls_can_carry() {
    let mut call = Call::with_channels();
    call.server
        .send(call.now, Reliable, &[1; 60_000], false)
        .unwrap();
    call.run(Duration::from_secs(10));
    assert!((1100..=1160).contains(&call.largest));
}

#[test]
fn a_forward_tsn_far_ahead_is_followed_in_one_step() {
    let mut call = Call::with_channels();
    let tag = call.packets.last().unwrap()[4..8].to_vec();
    let tsn = call
        .packets
        .iter()
        .find_map(|it| (it[12] == 0).then(|| number(it, 16)));
    for step in 0..50_u32 {
        let mut packet = [
            &[0x13, 0x88, 0x13, 0x88][..],
            &tag,
            &[0; 4],
            &[192, 0, 0, 8],
        ]
        .concat();
        let ahead = tsn
            .unwrap()
            .wrapping_add(0x7fff_0000)
            .wrapping_add(step << 8);
        packet.extend_from_slice(&ahead.to_be_bytes());
        seal(&mut packet);
        call.server.handle_packet(call.now, &packet);
        while call.server.poll_transmit(call.now).is_some() {}
        call.now += Duration::from_secs(1);
        call.server.handle_timeout(call.now);
        while call.server.poll_transmit(call.now).is_some() {}
        // Our acknowledgement says that the stack is there.
        assert_eq!(call.server.guard.acknowledged(), Some(ahead));
    }
}

#[test]
fn hostile_packets_neither_panic_nor_exceed_the_channels_and_answers_allowed() {
    let recorded = {
        let mut call = Call::with_channels();
        call.client_send(0, 53, &[5; 3000]);
        call.server
            .send(call.now, Reliable, &[6; 3000], false)
            .unwrap();
        call.run(Duration::from_secs(2));
        let now = call.now;
        call.association().stream(2).unwrap().close(now).unwrap();
        call.run(Duration::from_secs(2));
        call.packets
    };
    let mut random = Random(1);
    for round in 0..300 {
        let mut call = Call::with_channels();
        let tag = call.packets.last().unwrap()[4..8].to_vec();
        for _ in 0..100 {
            let mut packet = random.pick(&recorded).clone();
            match random.below(4) {
                0 => packet.truncate(random.below(packet.len() + 1)),
                1 => {
                    packet = (0..random.below(200))
                        .map(|_| random.below(256) as u8)
                        .collect()
                }
                2 => packet.extend_from_slice(&random.pick(&recorded)[12..]),
                _ => {}
            }
            for _ in 0..random.below(6) {
                if !packet.is_empty() {
                    let at = random.below(packet.len());
                    packet[at] = [0, 1, 0x7f, 0xff, packet[at] ^ 4][random.below(5)];
                }
            }
            // With the right tag and checksum, so that it gets as far as it can.
            if packet.len() >= 12 {
                if packet[4..8] != [0; 4] {
                    packet[4..8].copy_from_slice(&tag);
                }
                seal(&mut packet);
            }
            call.server.handle_packet(call.now, &packet);
            let mut answers = 0;
            while call.server.poll_transmit(call.now).is_some() {
                answers += 1;
            }
            assert!(answers < 200, "round {round}");
            while call.server.poll_event().is_some() {}
            if random.below(20) == 0 {
                call.now += Duration::from_millis(500);
                call.server.handle_timeout(call.now);
            }
        }
        assert!(call.server.channels.len() <= MAX_CHANNELS);
    }
}

#[test]
fn a_cookie_echo_of_any_length_is_taken_without_panic() {
    let handshake = {
        let mut call = Call::new();
        call.packets.drain(..).collect::<Vec<_>>()
    };
    let init = handshake.iter().find(|it| it[12] == 1).unwrap();
    for len in 0..200_u16 {
        let mut server = DataChannels::new();
        let now = Instant::now();
        server.handle_packet(now, init);
        let init_ack = server.poll_transmit(now).unwrap();
        let mut echo = vec![0x13, 0x88, 0x13, 0x88];
        echo.extend_from_slice(&init_ack[16..20]);
        echo.extend_from_slice(&[0, 0, 0, 0, 10, 0]);
        echo.extend_from_slice(&len.to_be_bytes());
        echo.resize(
            16 + usize::from(len.saturating_sub(4)).next_multiple_of(4),
            9,
        );
        seal(&mut echo);
        server.handle_packet(now, &echo);
        assert_eq!(server.poll_event(), None);
        assert!(server.channels.is_empty());
    }
}

#[test]
fn a_peer_that_leaves_messages_unfinished_is_cut_off() {
    let mut call = Call::with_channels();
    call.server_events.clear();
    let packet = call.packets.last().unwrap();
    let tag = packet[4..8].to_vec();
    let first = call
        .packets
        .iter()
        .filter(|it| it[12] == 0)
        .map(|it| number(it, 16))
        .next_back()
        .unwrap()
        .wrapping_add(1);
    let mut sent = 0;
    for tsn in 0..10_000_u32 {
        // The beginning of a message, then pieces of one byte and no end.
        let mut packet = [&[0x13, 0x88, 0x13, 0x88][..], &tag, &[0; 4]].concat();
        packet.extend_from_slice(&[0, if tsn == 0 { 2 } else { 0 }, 0, 17]);
        packet.extend_from_slice(&first.wrapping_add(tsn).to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 53, b'x', 0, 0, 0]);
        seal(&mut packet);
        call.server.handle_packet(call.now, &packet);
        while call.server.poll_transmit(call.now).is_some() {}
        if call.server.over {
            break;
        }
        sent += 1;
    }
    assert!((4000..4200).contains(&sent), "{sent}");
    assert!(matches!(
        call.server.poll_event(),
        Some(DataEvent::Closed(_))
    ));
}

fn message(channel: DataChannelKind, payload: &[u8], text: bool) -> DataEvent {
    DataEvent::Message {
        channel,
        payload: Bytes::copy_from_slice(payload),
        text,
    }
}

fn number(packet: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(packet[at..at + 4].try_into().unwrap())
}

/// Writes the checksum (RFC 9260 appendix A).
fn seal(packet: &mut [u8]) {
    packet[8..12].fill(0);
    let mut crc = !0_u32;
    for &byte in &*packet {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    packet[8..12].copy_from_slice(&(!crc).to_le_bytes());
}

/// The server's channels, a browser's, and the network between them.
struct Call {
    now: Instant,
    server: DataChannels,
    server_events: Vec<DataEvent>,
    endpoint: rtc::Endpoint,
    handle: rtc::AssociationHandle,
    client: Option<rtc::Association>,
    messages: BTreeMap<u16, Vec<(u32, Vec<u8>)>>,
    /// Loses a fifth of all packets.
    lose: Option<Random>,
    /// What the client sent.
    packets: Vec<Vec<u8>>,
    /// Bytes of the server's largest packet.
    largest: usize,
}

impl Call {
    /// Connected, unless it is told to lose before it runs.
    fn new() -> Self {
        let now = Instant::now();
        let mut endpoint = rtc::Endpoint::new(PEER, TransportProtocol::UDP, Arc::default(), None);
        let config = rtc::ClientConfig::new(
            rtc::TransportConfig::default().with_max_message_size(2 * MAX_MESSAGE as u32),
        );
        let (handle, client) = endpoint.connect(now, config, PEER).unwrap();
        let mut call = Self {
            now,
            server: DataChannels::new(),
            server_events: Vec::new(),
            endpoint,
            handle,
            client: Some(client),
            messages: BTreeMap::new(),
            lose: None,
            packets: Vec::new(),
            largest: 0,
        };
        call.run(Duration::from_secs(1));
        call
    }

    fn with_channels() -> Self {
        let mut call = Self::new();
        call.open(0, ChannelType::Reliable, "reliable");
        call.open(2, ChannelType::PartialReliableRexmitUnordered, "unreliable");
        call.run(Duration::from_secs(1));
        for stream in [0, 2] {
            assert_eq!(call.received(stream), [(50, vec![2])], "acknowledged");
        }
        call
    }

    fn association(&mut self) -> &mut rtc::Association {
        self.client.as_mut().unwrap()
    }

    fn open(&mut self, stream: u16, channel_type: ChannelType, label: &str) {
        let open = Message::DataChannelOpen(DataChannelOpen {
            channel_type,
            priority: 0,
            reliability_parameter: 0,
            label: label.as_bytes().to_vec(),
            protocol: Vec::new(),
        });
        self.client_send(stream, 50, &open.marshal().unwrap());
        let (unordered, reliability) = match channel_type {
            ChannelType::Reliable => (false, rtc::ReliabilityType::Reliable),
            ChannelType::ReliableUnordered => (true, rtc::ReliabilityType::Reliable),
            _ => (true, rtc::ReliabilityType::Rexmit),
        };
        let mut stream = self.association().stream(stream).unwrap();
        stream
            .set_reliability_params(unordered, reliability, 0)
            .unwrap();
    }

    fn client_send(&mut self, stream: u16, ppid: u32, payload: &[u8]) {
        let now = self.now;
        let ppid = rtc::PayloadProtocolIdentifier::from(ppid);
        let association = self.association();
        let known = association.stream(stream).is_ok();
        let mut stream = if known {
            association.stream(stream).unwrap()
        } else {
            association.open_stream(stream, ppid).unwrap()
        };
        stream.write_with_ppi(now, payload, ppid).unwrap();
    }

    /// Takes what arrived on a stream, as payload protocol identifiers and payloads.
    fn received(&mut self, stream: u16) -> Vec<(u32, Vec<u8>)> {
        self.messages.remove(&stream).unwrap_or_default()
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.exchange();
            let client = self
                .client
                .as_ref()
                .and_then(rtc::Association::poll_timeout);
            let next = [self.server.next_timeout(), client]
                .into_iter()
                .flatten()
                .min();
            self.now = next.unwrap_or(end).clamp(self.now, end);
            if self.now == end {
                return;
            }
            self.now += Duration::from_millis(1);
            self.server.handle_timeout(self.now);
            let now = self.now;
            self.association().handle_timeout(now);
        }
    }

    fn exchange(&mut self) {
        for _ in 0..100_000 {
            let now = self.now;
            self.poll_client();
            while let Some(event) = self.server.poll_event() {
                self.server_events.push(event);
            }
            let mut idle = true;
            if let Some(transmit) = self.association().poll_transmit(now)
                && let rtc::Payload::RawEncode(packets) = transmit.message
            {
                idle = false;
                for packet in packets {
                    self.packets.push(packet.to_vec());
                    if !self.lost() {
                        self.server.handle_packet(now, &packet);
                    }
                }
            }
            while let Some(packet) = self.server.poll_transmit(now) {
                idle = false;
                self.largest = self.largest.max(packet.len());
                if !self.lost() {
                    self.client_receive(packet);
                }
            }
            if idle {
                return;
            }
        }
        panic!("the two never stop talking");
    }

    fn client_receive(&mut self, packet: Bytes) {
        if let Some((handle, event)) = self.endpoint.handle(self.now, PEER, None, packet) {
            assert_eq!(handle, self.handle);
            if let rtc::DatagramEvent::AssociationEvent(event) = event {
                self.association().handle_event(event);
            }
        }
    }

    fn poll_client(&mut self) {
        while let Some(event) = self.client.as_mut().and_then(rtc::Association::poll) {
            let rtc::Event::Stream(rtc::StreamEvent::Readable { id }) = event else {
                continue;
            };
            while let Some(message) = self
                .client
                .as_mut()
                .and_then(|client| client.stream(id).ok()?.read_sctp().ok()?)
            {
                let mut payload = vec![0; message.len()];
                message.read(&mut payload).unwrap();
                let ppid = message.ppi as u32;
                self.messages.entry(id).or_default().push((ppid, payload));
            }
        }
    }

    fn lost(&mut self) -> bool {
        self.lose
            .as_mut()
            .is_some_and(|random| random.below(5) == 0)
    }
}

/// The same numbers on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn pick<'a>(&mut self, packets: &'a [Vec<u8>]) -> &'a Vec<u8> {
        &packets[self.below(packets.len())]
    }
}
