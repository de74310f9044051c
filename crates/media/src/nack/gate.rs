//! Which retransmissions are granted.

use core::time::Duration;

use crosspoint_wire::time::Time;

use crate::sent_log::SentPacket;

/// Share of the media sent that may be sent again, in percent. At 10 % loss a stream needs 11 %;
/// at much more than that, sending more is what the path needs least.
const BUDGET_PERCENT: u64 = 15;
/// What may be sent again at once after a quiet time: a large keyframe.
const BURST_BYTES: u64 = 64 << 10;
/// How often one packet is sent again at most.
const RESENDS_MAX: u8 = 5;
/// Distance of two grants of one packet while no round trip has been measured. Short, because on
/// a short path the first report may come seconds after the first loss.
const UNKNOWN_RTT: Duration = Duration::from_millis(20);

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
    /// In hundredths of bytes.
    budget: u64,
}

impl RetransmitGate {
    /// A gate with a full burst's budget.
    pub(crate) fn new() -> Self {
        Self {
            budget: BURST_BYTES * 100,
        }
    }

    /// Earns budget for `bytes` of media sent for the first time.
    pub(crate) fn on_sent(&mut self, bytes: usize) {
        self.budget = (self.budget + bytes as u64 * BUDGET_PERCENT).min(BURST_BYTES * 100);
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
