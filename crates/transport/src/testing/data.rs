//! The data channels of a test peer, on `rtc-sctp`, of another author than the server's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rtc_datachannel::message::Message;
use rtc_datachannel::message::message_channel_open::{ChannelType, DataChannelOpen};
use rtc_sctp as rtc;
use rtc_shared::TransportProtocol;
use rtc_shared::marshal::Marshal;

/// The stream of the only channel.
const STREAM: u16 = 0;

/// Payload protocol identifiers (RFC 8831 §8).
const CONTROL: u32 = 50;
const STRING: u32 = 51;

/// An association and one reliable channel.
pub(super) struct DataPeer {
    endpoint: rtc::Endpoint,
    association: rtc::Association,
    /// Text messages that arrived.
    pub(super) messages: Vec<String>,
}

fn server() -> SocketAddr {
    ([127, 0, 0, 1], 5000).into()
}

impl DataPeer {
    /// Asks for an association, and opens the channel on it.
    pub(super) fn new(now: Instant) -> Self {
        let udp = TransportProtocol::UDP;
        let mut endpoint = rtc::Endpoint::new(server(), udp, Arc::default(), None);
        let config = rtc::ClientConfig::new(rtc::TransportConfig::default());
        let (_, association) = endpoint.connect(now, config, server()).unwrap();
        Self {
            endpoint,
            association,
            messages: Vec::new(),
        }
    }

    pub(super) fn open(&mut self, now: Instant) {
        let open = Message::DataChannelOpen(DataChannelOpen {
            channel_type: ChannelType::Reliable,
            priority: 0,
            reliability_parameter: 0,
            label: b"reliable".to_vec(),
            protocol: vec![],
        });
        let ppid = rtc::PayloadProtocolIdentifier::from(CONTROL);
        let mut stream = self.association.open_stream(STREAM, ppid).unwrap();
        let open = open.marshal().unwrap();
        stream.write_with_ppi(now, &open, ppid).unwrap();
    }

    pub(super) fn send(&mut self, now: Instant, text: &str) {
        let ppid = rtc::PayloadProtocolIdentifier::from(STRING);
        let mut stream = self.association.stream(STREAM).unwrap();
        stream.write_with_ppi(now, text.as_bytes(), ppid).unwrap();
    }

    /// Takes an SCTP packet.
    pub(super) fn handle(&mut self, now: Instant, packet: Vec<u8>) {
        let packet = Bytes::from(packet);
        if let Some((_, rtc::DatagramEvent::AssociationEvent(event))) =
            self.endpoint.handle(now, server(), None, packet)
        {
            self.association.handle_event(event);
        }
        while let Some(event) = self.association.poll() {
            let rtc::Event::Stream(rtc::StreamEvent::Readable { id }) = event else {
                continue;
            };
            while let Ok(Some(message)) = self.association.stream(id).unwrap().read_sctp() {
                let mut payload = vec![0; message.len()];
                message.read(&mut payload).unwrap();
                if message.ppi as u32 == STRING {
                    self.messages.push(String::from_utf8(payload).unwrap());
                }
            }
        }
    }

    /// SCTP packets for the server.
    pub(super) fn poll(&mut self, now: Instant) -> Vec<Bytes> {
        self.association.handle_timeout(now);
        match self.association.poll_transmit(now).map(|it| it.message) {
            Some(rtc::Payload::RawEncode(packets)) => packets,
            _ => vec![],
        }
    }
}
