//! One WebRTC client: ICE, DTLS and SRTP on a socket of its own, as little of each as a server
//! can tell from a browser.
//!
//! It controls ICE, is the client of DTLS, sends the streams of its [`Publication`]s, counts what it
//! receives, and reports as browsers do: receiver reports, transport-wide feedback, NACKs. It does
//! not estimate bandwidth, decode, or adapt. Its thread ([`pool`](crate::pool)) owns the clock, the
//! poller and what is counted.

mod dtls;
mod ice;
mod receive;
mod send;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow};
use crosspoint_transport::srtp::{Inbound, MAX_RTCP_OVERHEAD, Outbound, Profile};
use crosspoint_transport::udp::{Port, RunHint, UdpSocket};
use crosspoint_wire::codec::MediaKind;
use crosspoint_wire::rtcp::{Compound, RtcpPacket, RtcpWriter};
use crosspoint_wire::rtp::is_rtcp;
use crosspoint_wire::time::{NtpTime, Time};

pub use self::dtls::Identity;
pub use self::send::{Publication, Talk};

use self::dtls::{Client, Said};
use self::ice::{Heard, Ice};
use self::receive::Reception;
use self::send::{Stream, Way};
use crate::clip::Clip;
use crate::clock::Clock;
use crate::sdp::{Local, Remote};
use crate::tally::Tally;

/// How often receivers report (RFC 3550 §6.2 allows more with small sessions; browsers do this).
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// How often transport-wide feedback is sent: libwebrtc's rate at some Mbit/s.
const FEEDBACK_INTERVAL: Duration = Duration::from_millis(50);

/// From the first check to the keys.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Room for an RTCP packet.
const RTCP_BYTES_MAX: usize = 1200;

/// What a client is made from, once the server has answered.
pub struct Plan {
    /// Bound where the description said.
    pub socket: UdpSocket,
    /// Our side.
    pub local: Local,
    /// The server's side.
    pub remote: Remote,
    /// What it sends.
    pub publications: Vec<Publication>,
    /// What it may receive, for the check of contents.
    pub clips: Vec<Arc<Clip>>,
}

/// What a client has to tell, once each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Media flows.
    Connected(Profile),
    /// It failed, or the server ended it.
    Ended(Why),
}

/// Why a client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// No keys in time.
    #[error("ICE and DTLS did not come up within 20 s")]
    Timeout,
    /// DTLS failed.
    #[error("DTLS failed")]
    Dtls,
    /// The server closed the connection.
    #[error("the server closed the connection")]
    Closed,
}

/// What a thread lends its clients.
pub(crate) struct Surroundings {
    pub(crate) clock: Clock,
    pub(crate) identity: Identity,
    pub(crate) tally: Tally,
    dtls_buffer: Box<dtls::Buffer>,
}

impl Surroundings {
    pub(crate) fn new(clock: Clock, identity: Identity) -> Self {
        Self {
            clock,
            identity,
            tally: Tally::default(),
            dtls_buffer: Box::new([0; size_of::<dtls::Buffer>()]),
        }
    }
}

/// See the module documentation.
pub(crate) struct Peer {
    pub(crate) port: Port,
    remote: Remote,
    publications: Vec<Publication>,
    ice: Ice,
    dtls: Option<Client>,
    srtp: Option<Box<(Inbound, Outbound)>>,
    streams: Vec<Stream>,
    reception: Reception,
    feedback: bool,
    next_report: Time,
    next_feedback: Time,
    deadline: Time,
    transport_seq: u16,
    hint: RunHint,
    sender_ssrc: u32,
    ended: bool,
}

impl Peer {
    pub(crate) fn new(now: Time, plan: Plan) -> Self {
        let ours = (plan.local.ufrag.as_str(), plan.local.pwd.as_str());
        let theirs = (plan.remote.ufrag.as_str(), plan.remote.pwd.as_str());
        Self {
            port: Port::new(plan.socket),
            ice: Ice::new(now, ours, theirs),
            dtls: None,
            srtp: None,
            streams: Vec::new(),
            reception: Reception::new(&plan.remote, plan.clips),
            feedback: receive::wants_feedback(&plan.remote),
            remote: plan.remote,
            next_report: Time::NEVER,
            next_feedback: Time::NEVER,
            deadline: now + CONNECT_TIMEOUT,
            transport_seq: rand::random(),
            hint: RunHint::default(),
            sender_ssrc: plan.publications.first().map_or(1, |it| it.ssrc),
            publications: plan.publications,
            ended: false,
        }
    }

    pub(crate) const fn is_connected(&self) -> bool {
        self.srtp.is_some() && !self.ended
    }

    /// When [`Peer::handle_timeout`] is due.
    pub(crate) fn next(&self) -> Time {
        if self.ended {
            return Time::NEVER;
        }
        let dtls = self.dtls.as_ref().map_or(Time::NEVER, Client::next);
        let media = self.streams.iter().map(Stream::next).min();
        let times = [
            self.ice.next(),
            dtls,
            media.unwrap_or(Time::NEVER),
            self.next_report,
            self.next_feedback,
            self.reception.next_nack(),
            self.deadline,
        ];
        times.into_iter().min().unwrap_or(Time::NEVER)
    }

    /// Takes a datagram; its bytes are used up.
    pub(crate) fn handle(
        &mut self,
        now: Time,
        source: SocketAddr,
        datagram: &mut [u8],
        around: &mut Surroundings,
    ) -> Option<Report> {
        // RFC 7983.
        match datagram.first()? {
            0..=3 => self.handle_stun(now, source, datagram, around),
            20..=63 => self.handle_dtls(now, datagram, around),
            128..=191 => {
                let (inbound, _) = self.srtp.as_deref_mut()?;
                if is_rtcp(datagram) {
                    self.handle_rtcp(now, datagram, around);
                } else {
                    let tally = &mut around.tally;
                    let clock = around.clock;
                    self.reception.handle(now, clock, datagram, inbound, tally);
                }
                None
            }
            _ => None,
        }
    }

    /// Does what is due, media first.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Time,
        around: &mut Surroundings,
    ) -> Option<Report> {
        if let Some((_, outbound)) = self.srtp.as_deref() {
            let mut way = Way {
                port: &mut self.port,
                remote: self.remote.address,
                outbound,
                transport_seq: &mut self.transport_seq,
                hint: &mut self.hint,
            };
            for stream in &mut self.streams {
                around.tally.totals.packets_sent += stream.send_due(now, &mut way);
            }
        }
        let mut check = ice::check_buffer();
        if let Some(len) = self.ice.check(now, &mut check) {
            let check = check.get(..len).unwrap_or_default();
            self.port.push(self.remote.address, check);
        }
        self.report(now, around);
        if now >= self.deadline {
            return self.end(Why::Timeout);
        }
        let dtls = self.dtls.as_mut()?;
        if now < dtls.next() {
            return None;
        }
        match dtls.handle_timeout(around.clock, now) {
            Ok(()) => self.drain_dtls(now, around),
            Err(_) => self.end(Why::Dtls),
        }
    }

    /// Says goodbye.
    pub(crate) fn close(&mut self, around: &mut Surroundings) {
        if let Some(dtls) = &mut self.dtls {
            dtls.close();
            let (port, remote) = (&mut self.port, self.remote.address);
            let send = |datagram: &[u8]| port.push(remote, datagram);
            // It leaves in any case.
            let _ = dtls.drain(around.clock, &mut around.dtls_buffer, send);
        }
        self.port.flush();
        self.ended = true;
    }

    /// How many audio and video streams are coming in.
    pub(crate) fn active_streams(&self, now: Time) -> (usize, usize) {
        let active = |kind| self.reception.active(now, kind);
        (active(MediaKind::Audio), active(MediaKind::Video))
    }

    fn end(&mut self, why: Why) -> Option<Report> {
        (!std::mem::replace(&mut self.ended, true)).then_some(Report::Ended(why))
    }

    fn handle_stun(
        &mut self,
        now: Time,
        source: SocketAddr,
        datagram: &[u8],
        around: &mut Surroundings,
    ) -> Option<Report> {
        let mut reply = [0; size_of::<ice::Reply>()];
        match self.ice.handle(now, source, datagram, &mut reply) {
            Ok(Heard::Up) if self.dtls.is_none() => {
                match Client::new(around.clock, now, &around.identity) {
                    Ok(client) => {
                        self.dtls = Some(client);
                        self.drain_dtls(now, around)
                    }
                    Err(_) => self.end(Why::Dtls),
                }
            }
            Ok(Heard::Reply(len)) => {
                self.port.push(source, reply.get(..len).unwrap_or_default());
                None
            }
            Ok(_) | Err(_) => None,
        }
    }

    fn handle_dtls(
        &mut self,
        now: Time,
        datagram: &[u8],
        around: &mut Surroundings,
    ) -> Option<Report> {
        match self.dtls.as_mut()?.handle(around.clock, now, datagram) {
            Ok(()) => self.drain_dtls(now, around),
            // Before the end of the handshake anything may come; afterwards it does not matter.
            Err(_) => None,
        }
    }

    fn drain_dtls(&mut self, now: Time, around: &mut Surroundings) -> Option<Report> {
        let dtls = self.dtls.as_mut()?;
        let (port, remote) = (&mut self.port, self.remote.address);
        let send = |datagram: &[u8]| port.push(remote, datagram);
        match dtls.drain(around.clock, &mut around.dtls_buffer, send) {
            Ok(Some(Said::Secured(profile, both))) => {
                self.srtp = Some(both);
                self.start_media(now);
                Some(Report::Connected(profile))
            }
            Ok(Some(Said::Closed)) => self.end(Why::Closed),
            Err(_) => self.end(Why::Dtls),
            Ok(None) => None,
        }
    }

    fn start_media(&mut self, now: Time) {
        let publications = self.publications.iter();
        let streams = publications.filter_map(|plan| Stream::new(now, plan, &self.remote));
        self.streams = streams.collect();
        self.deadline = Time::NEVER;
        // Clients that connected at once shall not report at once.
        self.next_report = now + REPORT_INTERVAL.mul_f64(rand::random());
        if self.feedback {
            self.next_feedback = now + FEEDBACK_INTERVAL.mul_f64(rand::random());
        }
    }

    fn handle_rtcp(&mut self, now: Time, datagram: &mut [u8], around: &mut Surroundings) {
        let Some((inbound, _)) = self.srtp.as_deref_mut() else {
            return;
        };
        let totals = &mut around.tally.totals;
        let Ok(len) = inbound.unprotect_rtcp(datagram) else {
            totals.undecryptable += 1;
            return;
        };
        totals.rtcp_received += 1;
        for packet in Compound::new(datagram.get(..len).unwrap_or_default()).flatten() {
            match packet {
                RtcpPacket::SenderReport { info, .. } => {
                    let middle = info.ntp.middle();
                    self.reception.note_sender_report(now, info.ssrc, middle);
                }
                RtcpPacket::Pli { media, .. } => {
                    totals.keyframes_asked += 1;
                    want_keyframe(&mut self.streams, media);
                }
                RtcpPacket::Fir { entries, .. } => {
                    for entry in entries.iter() {
                        totals.keyframes_asked += 1;
                        want_keyframe(&mut self.streams, entry.ssrc);
                    }
                }
                RtcpPacket::Nack { lost, .. } => {
                    totals.nacks_received += lost.sequence_numbers().count() as u64;
                }
                _ => {}
            }
        }
    }

    /// Sends the RTCP that is due.
    fn report(&mut self, now: Time, around: &mut Surroundings) {
        let report_due = now >= self.next_report;
        let feedback_due = now >= self.next_feedback;
        let nack_due = now >= self.reception.next_nack();
        if !(report_due || feedback_due || nack_due) {
            return;
        }
        let Some((_, outbound)) = self.srtp.as_deref_mut() else {
            return;
        };
        let mut buffer = [0; RTCP_BYTES_MAX + MAX_RTCP_OVERHEAD];
        let (room, _) = buffer.split_at_mut(RTCP_BYTES_MAX);
        let mut writer = RtcpWriter::new(room);
        // What does not fit into one packet is not worth another.
        if report_due {
            self.next_report = now + REPORT_INTERVAL;
            let blocks = self.reception.reports(now);
            if self.streams.is_empty() {
                let _ = writer.receiver_report(self.sender_ssrc, &blocks);
            }
            let ntp = NtpTime::from_unix_micros(1_700_000_000_000_000 + now.as_micros());
            for (index, stream) in self.streams.iter().enumerate() {
                let blocks = if index == 0 { &blocks[..] } else { &[] };
                let _ = writer.sender_report(&stream.report(now, ntp), blocks);
            }
        }
        if feedback_due {
            self.next_feedback = now + FEEDBACK_INTERVAL;
            self.reception.write_feedback(self.sender_ssrc, &mut writer);
        }
        if nack_due {
            let tally = &mut around.tally;
            self.reception
                .write_nacks(now, self.sender_ssrc, &mut writer, tally);
        }
        let len = writer.len();
        if len == 0 {
            return;
        }
        if let Ok(len) = outbound.protect_rtcp(&mut buffer, len) {
            let packet = buffer.get(..len).unwrap_or_default();
            self.port.push(self.remote.address, packet);
            around.tally.totals.rtcp_sent += 1;
        }
    }
}

fn want_keyframe(streams: &mut [Stream], ssrc: u32) {
    if let Some(stream) = streams.iter_mut().find(|stream| stream.ssrc() == ssrc) {
        stream.want_keyframe();
    }
}

/// Binds a client's socket on `address` and makes its credentials.
///
/// # Errors
/// When no socket can be had: too many open files, mostly.
pub fn open(
    address: std::net::IpAddr,
    offload: crosspoint_transport::udp::Offload,
    identity: &Identity,
) -> Result<(UdpSocket, Local)> {
    use rand::Rng as _;
    let socket = UdpSocket::bind(SocketAddr::new(address, 0), offload)
        .map_err(|error| anyhow!("cannot open a client's socket: {error} (see `ulimit -n`)"))?;
    let token = |len| -> String {
        let random = rand::rng().sample_iter(rand::distr::Alphanumeric);
        random.take(len).map(char::from).collect()
    };
    let local = Local {
        ufrag: token(8),
        pwd: token(24),
        fingerprint: identity.fingerprint().to_owned(),
        address: socket.local(),
    };
    Ok((socket, local))
}
