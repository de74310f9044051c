//! Reports in both directions, and the clocks behind them.
//!
//! [`ReceiveStats`] makes the report blocks that a publisher is owed (RFC 3550 §6.4, A.3, A.8).
//! [`PublisherClock`] and [`StreamClock`] carry lip sync through the server: the publisher's
//! sender reports relate each of its streams to one wall clock, the publisher's; the server's own
//! sender reports for its slots relate the same media to the server's wall clock, by *one* offset
//! per publishing session, so that sound and pictures of a participant stay as they were captured.

mod clock;
mod receive;

use core::time::Duration;

use crosspoint_wire::rtcp::ReportBlock;
use crosspoint_wire::time::NtpTime;

pub(crate) use self::clock::{PublisherClock, StreamClock};
pub(crate) use self::receive::ReceiveStats;

/// Longest round trip believed.
const RTT_MAX: Duration = Duration::from_secs(10);

/// The round trip to the peer that sent `block` about a stream of ours, received at `now` on the
/// clock of our sender reports (RFC 3550 §6.4.1). `None` when the peer had no sender report yet,
/// or says what cannot be.
pub(crate) fn round_trip(now: NtpTime, block: &ReportBlock) -> Option<Duration> {
    if block.last_sender_report == 0 {
        return None;
    }
    let ticks = now
        .middle()
        .wrapping_sub(block.last_sender_report)
        .wrapping_sub(block.delay_since_last);
    // The peer rounds its delay, and a loopback's round trip may come out a tick below zero.
    let ticks = if ticks.cast_signed() < 0 && ticks > u32::MAX - 64 {
        0
    } else {
        ticks
    };
    let rtt = Duration::from_micros(u64::from(ticks) * 1_000_000 / 65_536);
    (rtt <= RTT_MAX).then_some(rtt)
}

#[cfg(test)]
mod tests;
