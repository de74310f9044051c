//! A publisher's streams: frames of a clip, in time, as SRTP.

use std::sync::Arc;
use std::time::Duration;

use crosspoint_transport::srtp::{MAX_RTP_OVERHEAD, Outbound};
use crosspoint_transport::udp::{Port, RunHint};
use crosspoint_wire::codec::MediaKind;
use crosspoint_wire::ext::{ExtensionIds, ExtensionKind};
use crosspoint_wire::ids::{Mid, Rid};
use crosspoint_wire::rtcp::SenderInfo;
use crosspoint_wire::rtp::{AudioLevel, HeaderWriter, RtpHeader, abs_send_time};
use crosspoint_wire::time::{NtpTime, Time};
use rand::Rng as _;

use crate::clip::{Clip, Stamp, put_picture};
use crate::sdp::Remote;

/// Room for a header with all its extensions.
const HEADER_MAX: usize = 80;

/// One stream that a client sends, as planned before the server has answered.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Index of the m-line.
    pub line: usize,
    /// What is sent.
    pub clip: Arc<Clip>,
    /// Of the stream.
    pub ssrc: u32,
    /// Which size of a simulcast it is.
    pub rid: Option<&'static str>,
    /// When it is loud, for audio.
    pub talk: Talk,
}

/// Who speaks when: each of `among` talks for one period in turn.
#[derive(Clone, Copy, Debug)]
pub struct Talk {
    /// Index of this one.
    pub turn: usize,
    /// How many take turns.
    pub among: usize,
}

impl Talk {
    /// Always.
    pub const ALWAYS: Self = Self { turn: 0, among: 1 };
    const PERIOD_MS: u64 = 3000;
    /// Talkers at a time: more than are forwarded, so that a choice has to be made.
    const AT_ONCE: usize = 5;

    fn level(self, now: Time) -> AudioLevel {
        let period = (now.as_micros() / 1000 / Self::PERIOD_MS) as usize;
        let place = (self.turn + period) % self.among.max(1);
        let voice = place < Self::AT_ONCE;
        AudioLevel {
            // The first is the loudest.
            level: if voice { 20 + 4 * place as u8 } else { 90 },
            voice,
        }
    }
}

/// A stream under way.
#[derive(Debug)]
pub(super) struct Stream {
    clip: Arc<Clip>,
    header: RtpHeader,
    ids: ExtensionIds,
    mid: Mid,
    rid: Option<Rid>,
    talk: Talk,
    /// 48-bit index of the next packet.
    index: u64,
    frame: usize,
    picture: u16,
    next: Time,
    keyframe_wanted: bool,
    packets: u32,
    octets: u32,
}

impl Stream {
    /// `None` if the server refused its m-line.
    pub(super) fn new(now: Time, plan: &Publication, remote: &Remote) -> Option<Self> {
        let line = remote.lines.get(plan.line)?;
        let mut random = rand::rng();
        // Publishers that began at once would all send at once, for ever.
        let phase = plan.clip.interval.mul_f64(random.random());
        Some(Self {
            clip: Arc::clone(&plan.clip),
            header: RtpHeader {
                marker: false,
                payload_type: line.payload_type?,
                sequence_number: 0,
                timestamp: random.random(),
                ssrc: plan.ssrc,
            },
            ids: line.ids,
            mid: line.mid,
            rid: plan.rid.and_then(|rid| Rid::new(rid.as_bytes())),
            talk: plan.talk,
            // Below 2^15, so that nobody can guess a wrong roll-over counter (RFC 3711 §3.3.1).
            index: random.random_range(0..1 << 15),
            frame: 0,
            picture: random.random_range(0..1 << 15),
            next: now + phase,
            keyframe_wanted: false,
            packets: 0,
            octets: 0,
        })
    }

    pub(super) const fn next(&self) -> Time {
        self.next
    }

    pub(super) const fn ssrc(&self) -> u32 {
        self.header.ssrc
    }

    /// The next frame will be the clip's first.
    pub(super) const fn want_keyframe(&mut self) {
        self.keyframe_wanted = true;
    }

    /// Queues the frames that are due. Returns how many packets that were.
    pub(super) fn send_due(&mut self, now: Time, way: &mut Way<'_>) -> u64 {
        let mut packets = 0;
        while self.next <= now {
            packets += self.send_frame(now, way);
            self.next += self.clip.interval;
            // What was not sent while the process stood still is not sent in a burst.
            if self.next + Duration::from_millis(200) < now {
                self.next = now;
            }
        }
        packets
    }

    fn send_frame(&mut self, now: Time, way: &mut Way<'_>) -> u64 {
        if std::mem::take(&mut self.keyframe_wanted) {
            self.frame = 0;
        }
        let clip = Arc::clone(&self.clip);
        let Some(frame) = clip.frames.get(self.frame % clip.frames.len().max(1)) else {
            return 0;
        };
        self.frame = (self.frame + 1) % clip.frames.len();
        let last = frame.packets.len().saturating_sub(1);
        for (index, packet) in frame.packets.iter().enumerate() {
            self.header.marker = clip.kind == MediaKind::Video && index == last;
            let room = HEADER_MAX + packet.payload.len() + MAX_RTP_OVERHEAD;
            let Some(place) = way.port.reserve(room) else {
                continue;
            };
            let len = self.write(
                place,
                now,
                &packet.payload,
                packet.stamped,
                way.transport_seq,
            );
            let sealed = len.and_then(|len| way.outbound.protect_rtp(place, len, self.index).ok());
            if let Some(sealed) = sealed {
                way.port.queue.commit(way.remote, sealed, way.hint);
            }
            *way.transport_seq = way.transport_seq.wrapping_add(1);
            self.index += 1;
            self.packets = self.packets.wrapping_add(1);
            self.octets = self.octets.wrapping_add(packet.payload.len() as u32);
        }
        self.header.timestamp = self.header.timestamp.wrapping_add(clip.ticks);
        self.picture = (self.picture + 1) & 0x7fff;
        frame.packets.len() as u64
    }

    fn write(
        &mut self,
        place: &mut [u8],
        now: Time,
        payload: &[u8],
        stamped: bool,
        transport_seq: &u16,
    ) -> Option<usize> {
        self.header.sequence_number = self.index as u16;
        let mut writer = HeaderWriter::new(place, &self.header).ok()?;
        for kind in ExtensionKind::ALL {
            let Some(id) = self.ids.id(kind) else {
                continue;
            };
            let written = match kind {
                ExtensionKind::Mid => writer.extension(id, self.mid.as_bytes()),
                ExtensionKind::Rid => match &self.rid {
                    Some(rid) => writer.extension(id, rid.as_bytes()),
                    None => Ok(()),
                },
                ExtensionKind::AudioLevel => {
                    writer.extension(id, &[self.talk.level(now).to_byte()])
                }
                ExtensionKind::AbsSendTime => {
                    let at = NtpTime::from_unix_micros(now.as_micros());
                    writer.extension(id, &abs_send_time(at))
                }
                ExtensionKind::TransportCc => writer.extension(id, &transport_seq.to_be_bytes()),
                _ => Ok(()),
            };
            written.ok()?;
        }
        let start = writer.finish();
        let body = place.get_mut(start..start + payload.len())?;
        body.copy_from_slice(payload);
        if self.clip.kind == MediaKind::Video {
            put_picture(body, self.picture);
        }
        if stamped {
            Stamp::put(body, now);
        }
        Some(start + payload.len())
    }

    /// For a sender report. `ntp` is the wall clock's time now.
    pub(super) fn report(&self, now: Time, ntp: NtpTime) -> SenderInfo {
        // The timestamp is the next frame's, which is due at `next`.
        let ahead = self.next.since(now).as_micros() as u64;
        let interval = self.clip.interval.as_micros().max(1) as u64;
        let ticks = ahead * u64::from(self.clip.ticks) / interval;
        SenderInfo {
            ssrc: self.header.ssrc,
            ntp,
            rtp_timestamp: self.header.timestamp.wrapping_sub(ticks as u32),
            packets: self.packets,
            octets: self.octets,
        }
    }
}

/// Where a client's packets go, and what they are numbered and encrypted with.
pub(super) struct Way<'a> {
    pub(super) port: &'a mut Port,
    pub(super) remote: std::net::SocketAddr,
    pub(super) outbound: &'a Outbound,
    pub(super) transport_seq: &'a mut u16,
    pub(super) hint: &'a mut RunHint,
}
