//! Data channels (RFC 8831) of one session: SCTP over DTLS, the side that accepts.
//!
//! Sans-IO around `sctp-proto`: packets come from DTLS and go to it. It is not rtc-sctp, the
//! family's own, because that one (0.21.1) counts one by one to the TSN that a FORWARD-TSN names,
//! up to 2^31 steps for one packet of a peer, which would stop the worker and all its rooms; and
//! it adds to TSNs without wrapping. In sctp-proto both are done right, and messages and receive
//! buffer are bounded. What it does not bound, [`guard`] does.
//!
//! | bound | at it |
//! |---|---|
//! | [`MAX_CHANNELS`] | the channel is reset and counted |
//! | [`MAX_MESSAGE`], from the peer | the association ends |
//! | [`MAX_MESSAGE`], to the peer; [`MAX_BACKLOG`] | [`DataChannels::send`] refuses |
//! | received and not yet whole: 256 KiB, 4096 chunks | the association ends |
//!
//! The peer opens all channels (RFC 8832); which of a kind is used to send is the one labelled
//! like the kind, or else the first.

mod dcep;
mod guard;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sctp_proto::{
    Association, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier as Ppid, ReliabilityType, ServerConfig, Stream, StreamEvent,
    TransportConfig,
};

use self::dcep::Open;
use self::guard::{Guard, Refusal};
use crate::api::DataChannelKind;

/// Open channels of a session.
pub const MAX_CHANNELS: usize = 16;

/// Bytes of a message, both ways: `a=max-message-size`.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// Bytes that may wait for a peer to acknowledge them, over all its channels.
pub const MAX_BACKLOG: usize = 256 * 1024;

/// Messages that may wait, so that many small ones do not cost more than few large ones.
const MAX_BACKLOG_MESSAGES: usize = 4096;

/// Bytes that may wait for the rest of their message: a few of the largest ones.
const RECEIVE_BUFFER: u32 = 256 * 1024;

/// Payload of a DATA chunk: with SCTP's 28 bytes and DTLS's 37 it stays below 1200.
const MAX_CHUNK: u32 = 1132;

/// Retransmission timeouts in milliseconds: RFC 9260's defaults are made for other networks.
const RTO_INITIAL: u64 = 500;
const RTO_MIN: u64 = 400;
const RTO_MAX: u64 = 10_000;

/// The stack wants an address for its peer and does not use it.
const PEER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5000));

/// What happened on the channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataEvent {
    /// The peer opened a channel.
    Open(DataChannelKind),
    /// A message arrived.
    Message {
        /// By what kind of channel.
        channel: DataChannelKind,
        /// At most [`MAX_MESSAGE`] bytes.
        payload: Bytes,
        /// Whether it was sent as text.
        text: bool,
    },
    /// The peer closed a channel, or the association ended and all its channels with it.
    Closed(DataChannelKind),
}

/// Why a message was not taken for sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No channel of that kind is open.
    #[error("no data channel of that kind is open")]
    NoChannel,
    /// Longer than [`MAX_MESSAGE`].
    #[error("the message is too long")]
    TooLong,
    /// [`MAX_BACKLOG`] is reached.
    #[error("too much is waiting for the peer already")]
    Full,
}

/// The data channels of one session. To be made when DTLS is connected, not before.
///
/// After each call that takes `now`, call [`Self::poll_transmit`] and [`Self::poll_event`] until
/// they are `None`.
pub struct DataChannels {
    endpoint: Endpoint,
    association: Option<Association>,
    guard: Guard,
    channels: Vec<Channel>,
    transmits: VecDeque<Bytes>,
    events: VecDeque<DataEvent>,
    /// The association ended; there is no other.
    over: bool,
    refused: u64,
}

struct Channel {
    stream: u16,
    kind: DataChannelKind,
    /// Labelled like its kind.
    preferred: bool,
    backlog: Backlog,
}

impl Default for DataChannels {
    fn default() -> Self {
        Self::new()
    }
}

impl DataChannels {
    /// Waits for the peer's INIT.
    pub fn new() -> Self {
        let mut endpoint = EndpointConfig::new();
        endpoint.max_payload_size(MAX_CHUNK);
        let transport = TransportConfig::default()
            .with_max_receive_buffer_size(RECEIVE_BUFFER)
            .with_max_receive_message_size(MAX_MESSAGE as u32)
            .with_max_send_message_size(MAX_MESSAGE as u32)
            .with_max_num_inbound_streams(guard::MAX_STREAMS)
            .with_max_num_outbound_streams(guard::MAX_STREAMS)
            // The session's end is ICE's to say.
            .with_max_data_retransmits(None)
            .with_rto_initial_ms(RTO_INITIAL)
            .with_rto_min_ms(RTO_MIN)
            .with_rto_max_ms(RTO_MAX);
        let mut server = ServerConfig::new();
        server.transport = Arc::new(transport);
        Self {
            endpoint: Endpoint::new(Arc::new(endpoint), Some(Arc::new(server))),
            association: None,
            guard: Guard::default(),
            channels: Vec::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            over: false,
            refused: 0,
        }
    }

    /// Takes an SCTP packet from the peer.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        if self.over {
            return;
        }
        if let Err(refusal) = self.guard.receive(packet) {
            self.refused += 1;
            if let (Refusal::Peer, Some(association)) = (refusal, &mut self.association) {
                // Fails only if it is closed already.
                let _ = association.close();
                self.note_events();
            }
            return;
        }
        let packet = Bytes::copy_from_slice(packet);
        match self.endpoint.handle(now, PEER, None, None, packet) {
            Some((_, DatagramEvent::NewAssociation(association))) => {
                self.endpoint.reject_new_associations();
                self.association.get_or_insert(association);
            }
            Some((_, DatagramEvent::AssociationEvent(event))) => {
                if let Some(association) = &mut self.association {
                    association.handle_event(event);
                }
            }
            None => self.refused += 1,
        }
        self.note_events();
    }

    /// Retransmits and acknowledges what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(association) = &mut self.association {
            association.handle_timeout(now);
        }
        self.note_events();
    }

    /// When [`Self::handle_timeout`] is due. To be asked after [`Self::poll_transmit`].
    pub fn next_timeout(&self) -> Option<Instant> {
        self.association.as_ref()?.poll_timeout()
    }

    /// Sends a message on the peer's channel of that kind.
    pub fn send(
        &mut self,
        _now: Instant,
        kind: DataChannelKind,
        payload: &[u8],
        text: bool,
    ) -> Result<(), SendError> {
        if payload.len() > MAX_MESSAGE {
            return Err(SendError::TooLong);
        }
        let association = self.association.as_mut().ok_or(SendError::NoChannel)?;
        let (mut bytes, mut messages) = (payload.len(), 1);
        for channel in &mut self.channels {
            if let Ok(stream) = association.stream(channel.stream) {
                channel
                    .backlog
                    .settle(stream.buffered_amount().unwrap_or(0));
                bytes += channel.backlog.bytes;
                messages += channel.backlog.messages.len();
            }
        }
        let channel = self
            .channels
            .iter_mut()
            .filter(|channel| channel.kind == kind)
            .min_by_key(|channel| !channel.preferred)
            .ok_or(SendError::NoChannel)?;
        if bytes > MAX_BACKLOG || messages > MAX_BACKLOG_MESSAGES {
            return Err(SendError::Full);
        }
        // SCTP has no empty messages; RFC 8831 §6.6 sends one byte and says so.
        let (payload, ppid) = match (payload, text) {
            ([], true) => (&[0][..], Ppid::StringEmpty),
            ([], false) => (&[0][..], Ppid::BinaryEmpty),
            (payload, true) => (payload, Ppid::String),
            (payload, false) => (payload, Ppid::Binary),
        };
        let written = association
            .stream(channel.stream)
            .and_then(|mut stream| stream.write_with_ppi(payload, ppid));
        match written {
            Ok(_) => {
                channel.backlog.add(payload.len());
                Ok(())
            }
            Err(_) => Err(SendError::NoChannel),
        }
    }

    /// The next packet for the peer, at most 1160 bytes.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Bytes> {
        if self.transmits.is_empty()
            && let Some(transmit) = self.association.as_mut()?.poll_transmit(now)
            && let Payload::RawEncode(packets) = transmit.payload
        {
            self.transmits.extend(packets);
        }
        let packet = self.transmits.pop_front()?;
        self.guard.send(&packet, RECEIVE_BUFFER);
        Some(packet)
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<DataEvent> {
        self.note_events();
        self.events.pop_front()
    }

    /// Packets, messages and channels of the peer that were refused so far.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Turns what the stack tells into [`DataEvent`]s.
    fn note_events(&mut self) {
        while let Some(association) = &mut self.association
            && let Some(event) = association.poll()
        {
            match event {
                // Streams are known by their messages; the stack's list of new ones is not used.
                Event::Stream(StreamEvent::Opened { .. }) => {
                    while association.accept_stream().is_some() {}
                }
                Event::Stream(StreamEvent::Readable { id }) => self.read(id),
                Event::Stream(StreamEvent::Finished { id }) => {
                    let closed = self.channels.extract_if(.., |it| it.stream == id);
                    self.events
                        .extend(closed.map(|channel| DataEvent::Closed(channel.kind)));
                }
                Event::HandshakeFailed { .. } | Event::AssociationLost { .. } => {
                    self.over = true;
                    let closed = self.channels.drain(..);
                    self.events
                        .extend(closed.map(|channel| DataEvent::Closed(channel.kind)));
                }
                _ => {}
            }
        }
    }

    fn read(&mut self, id: u16) {
        while let Some(mut message) = self.stream(id).and_then(|mut it| it.read_sctp().ok()?) {
            self.guard.read(message.chunks.len());
            let (ppid, len) = (message.ppi, message.len());
            let payload = message.next(len).map(|it| it.bytes).unwrap_or_default();
            match ppid {
                Ppid::Dcep => self.establish(id, &payload),
                Ppid::String => self.receive(id, payload, true),
                Ppid::Binary => self.receive(id, payload, false),
                Ppid::StringEmpty => self.receive(id, Bytes::new(), true),
                Ppid::BinaryEmpty => self.receive(id, Bytes::new(), false),
                Ppid::Unknown => self.refused += 1,
            }
        }
    }

    fn receive(&mut self, id: u16, payload: Bytes, text: bool) {
        match self.channels.iter().find(|it| it.stream == id) {
            Some(channel) => self.events.push_back(DataEvent::Message {
                channel: channel.kind,
                payload,
                text,
            }),
            None => self.refused += 1,
        }
    }

    /// Takes a DATA_CHANNEL_OPEN. We open no channels, so anything else has no meaning here.
    fn establish(&mut self, id: u16, message: &[u8]) {
        let known = self.channels.iter().any(|it| it.stream == id);
        // RFC 8832 §6: the DTLS client, which the peer is, opens even streams.
        let allowed = id.is_multiple_of(2) && self.channels.len() < MAX_CHANNELS;
        let open = Open::read(message).filter(|_| allowed && !known);
        let accepted = open.and_then(|open| {
            let mut stream = self.stream(id)?;
            stream.write_with_ppi(&dcep::ACK, Ppid::Dcep).ok()?;
            stream
                .set_reliability_params(open.unordered, open.reliability, open.parameter)
                .ok()?;
            Some(open)
        });
        match accepted {
            Some(open) => {
                let kind = match open.reliability {
                    ReliabilityType::Reliable => DataChannelKind::Reliable,
                    ReliabilityType::Rexmit | ReliabilityType::Timed => DataChannelKind::Unreliable,
                };
                let mut backlog = Backlog::default();
                backlog.add(dcep::ACK.len());
                self.channels.push(Channel {
                    stream: id,
                    kind,
                    preferred: open.label == label(kind).as_bytes(),
                    backlog,
                });
                self.events.push_back(DataEvent::Open(kind));
            }
            None => {
                self.refused += 1;
                if !known && let Some(mut stream) = self.stream(id) {
                    // Fails only if the association is not up, and then there is no stream.
                    let _ = stream.close();
                }
            }
        }
    }

    fn stream(&mut self, id: u16) -> Option<Stream<'_>> {
        self.association.as_mut()?.stream(id).ok()
    }
}

/// The messages of a channel that are not acknowledged yet.
///
/// The stack counts their bytes only.
#[derive(Default)]
struct Backlog {
    messages: VecDeque<u32>,
    bytes: usize,
}

impl Backlog {
    fn add(&mut self, len: usize) {
        self.messages.push_back(len as u32);
        self.bytes += len;
    }

    /// Forgets the oldest messages until no more than `buffered` bytes are left, and a message
    /// of which a part is left.
    fn settle(&mut self, buffered: usize) {
        while let Some(&oldest) = self.messages.front()
            && self.bytes.saturating_sub(oldest as usize) >= buffered
        {
            self.messages.pop_front();
            self.bytes -= oldest as usize;
        }
    }
}

/// The label of the channel of a kind that is preferred for sending.
const fn label(kind: DataChannelKind) -> &'static str {
    match kind {
        DataChannelKind::Reliable => "reliable",
        DataChannelKind::Unreliable => "unreliable",
    }
}
