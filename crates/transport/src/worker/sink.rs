//! Where the engine's packets become datagrams: written and encrypted in the place from which the
//! kernel takes them.

use crosspoint_media::config::{RelayId, SessionKey};
use crosspoint_media::sink::PacketSink;
use crosspoint_wire::time::{NtpTime, Time};

use super::counters::Counters;
use super::links::Links;
use super::sessions::Sessions;
use crate::path::{Link, Path};
use crate::session::Session;
use crate::srtp::{MAX_RTCP_OVERHEAD, MAX_RTP_OVERHEAD, SrtpError};

/// The engine's view of everything behind it, for one flush.
pub(super) struct Sink<'a> {
    pub(super) now: Time,
    /// What the wall clock reads at `now`.
    pub(super) wall: NtpTime,
    pub(super) sessions: &'a mut Sessions,
    pub(super) links: &'a mut Links,
    pub(super) counters: &'a mut Counters,
}

impl Sink<'_> {
    /// Lends `room` bytes on the way to a session; `fill` writes there and says how many count.
    fn send(
        &mut self,
        to: SessionKey,
        room: usize,
        fill: impl FnOnce(&mut Session, &mut [u8]) -> Result<usize, SrtpError>,
    ) -> bool {
        let session = self.sessions.get_mut(to);
        let session = session.filter(|session| session.secured.is_some());
        let path = session.as_ref().and_then(|session| session.ice.selected());
        let (Some(session), Some(Path { link, remote })) = (session, path) else {
            self.counters.unsendable += 1;
            return false;
        };
        match link {
            Link::Udp(port) => {
                let Some(port) = self.links.ports.get_mut(usize::from(port)) else {
                    return false;
                };
                let Some(place) = port.reserve(room) else {
                    return false;
                };
                let Ok(len) = fill(session, place) else {
                    self.counters.protect_failed += 1;
                    return false;
                };
                session.bytes_sent += len as u64;
                port.queue.commit(remote, len, &mut session.run);
            }
            Link::Tcp(connection) => {
                let tcp = &mut self.links.tcp;
                let Some(place) = tcp.reserve(connection, room) else {
                    return false;
                };
                let filled = fill(session, place);
                session.bytes_sent += filled.unwrap_or(0) as u64;
                tcp.commit(connection, room, filled.unwrap_or(0));
                if filled.is_err() {
                    self.counters.protect_failed += 1;
                    return false;
                }
            }
        }
        true
    }
}

impl PacketSink for Sink<'_> {
    fn rtp(
        &mut self,
        to: SessionKey,
        index: u64,
        len_max: usize,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) {
        let sent = self.send(to, len_max + MAX_RTP_OVERHEAD, |session, place| {
            let len = write(place.get_mut(..len_max).unwrap_or_default());
            let secured = session.secured.as_mut().ok_or(SrtpError::BadKey)?;
            secured.outbound.protect_rtp(place, len, index)
        });
        self.counters.srtp_sent += u64::from(sent);
    }

    fn rtcp(&mut self, to: SessionKey, packet: &[u8]) {
        let len = packet.len();
        let sent = self.send(to, len + MAX_RTCP_OVERHEAD, |session, place| {
            let room = place.get_mut(..len).ok_or(SrtpError::NoRoom)?;
            room.copy_from_slice(packet);
            let secured = session.secured.as_mut().ok_or(SrtpError::BadKey)?;
            secured.outbound.protect_rtcp(place, len)
        });
        self.counters.srtcp_sent += u64::from(sent);
    }

    fn relay(&mut self, relay: RelayId, write: impl Fn(&mut Vec<u8>)) {
        if !self.links.taps.push(self.now, relay, self.wall, &write) {
            self.links.relays.push(relay, write);
        }
    }
}
