//! Which retransmissions are granted.

use core::time::Duration;

use crosspoint_wire::time::Time;

use crate::config::RetransmitShare;
use crate::sent_log::SentPacket;

/// What may be sent again at once after a quiet time: a large keyframe.
const BURST_BYTES: u64 = 64 << 10;
/// How often one packet is sent again at most.
const RESENDS_MAX: u8 = 5;
/// Distance of two grants of one packet while no round trip has been measured. Short, because on
/// a short path the first report may come seconds after the first loss.
const UNKNOWN_RTT: Duration = Duration::from_millis(20);
/// How often a packet may be asked for, on the average: libwebrtc asks ten times for each. What is
/// refused costs a look-up too, and one NACK can name 6000 packets.
const LOOKUPS_PER_PACKET: u32 = 10;
/// What may be asked for at once: a receiver's whole list of missing packets, four times.
const LOOKUPS_MAX: u32 = 4096;

/// Why an ask was not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It was asked before the last sending could have arrived.
    TooSoon,
    /// It was sent often enough.
    TooOften,
    /// The slot's budget is used up.
    Budget,
}

/// One slot's budget of retransmissions.
#[derive(Debug)]
pub(crate) struct RetransmitGate {
    share: RetransmitShare,
    /// Share of the media that is sent which is earned now, in per cent.
    percent: u64,
    /// In hundredths of bytes.
    budget: u64,
    /// Asks that are still looked at.
    lookups: u32,
}

impl RetransmitGate {
    /// A gate with a full burst's budget.
    pub(crate) fn new(share: RetransmitShare) -> Self {
        Self {
            share,
            percent: share.percent.into(),
            budget: BURST_BYTES * 100,
            lookups: LOOKUPS_MAX,
        }
    }

    /// Earns budget for `bytes` of media sent for the first time.
    pub(crate) fn on_sent(&mut self, bytes: usize) {
        self.budget = (self.budget + bytes as u64 * self.percent).min(BURST_BYTES * 100);
        self.lookups = (self.lookups + LOOKUPS_PER_PACKET).min(LOOKUPS_MAX);
    }

    /// Takes note of the share that the peer reports lost, in 256ths: repairs are lost as well, so
    /// that p of loss needs p / (1 - p) again; a quarter more, because loss is never even.
    pub(crate) fn on_loss(&mut self, fraction_lost: u8) {
        let lost = u64::from(fraction_lost);
        let needed = lost * 125 / (256 - lost);
        let (least, most) = (self.share.percent, self.share.percent_max);
        self.percent = needed.clamp(least.into(), most.max(least).into());
    }

    /// Whether another ask is looked at; if so, it is counted.
    pub(crate) fn may_look_up(&mut self) -> bool {
        let left = self.lookups.checked_sub(1);
        self.lookups = left.unwrap_or_default();
        left.is_some()
    }

    /// Whether `packet` of `bytes` may be sent again; if so, it is taken as sent now.
    pub(crate) fn grant(
        &mut self,
        now: Time,
        rtt: Option<Duration>,
        packet: &mut SentPacket,
        bytes: usize,
    ) -> Result<(), Refusal> {
        // A NACK that is here sooner than a round trip after the sending cannot be about it. The
        // measured round trip may be a little long, and ages are whole milliseconds.
        let patience = match rtt {
            Some(rtt) => rtt - rtt / 8,
            None if packet.resends() == 0 => Duration::ZERO,
            None => UNKNOWN_RTT,
        };
        let cost = bytes as u64 * 100;
        if packet.age(now) < patience {
            return Err(Refusal::TooSoon);
        }
        if packet.resends() >= RESENDS_MAX {
            return Err(Refusal::TooOften);
        }
        self.budget = self.budget.checked_sub(cost).ok_or(Refusal::Budget)?;
        packet.note_resent(now);
        Ok(())
    }
}
