//! What is reported about one incoming stream.

use crosspoint_wire::ids::Ssrc;
use crosspoint_wire::rtcp::ReportBlock;
use crosspoint_wire::time::{NtpTime, Time};

/// Reception of one SSRC. Repairs that came on another SSRC do not count (RFC 4588 §6.3), so
/// that the publisher learns what its path really loses.
#[derive(Debug, Default)]
pub(crate) struct ReceiveStats {
    /// First and highest extended sequence number.
    span: Option<(u64, u64)>,
    received: u64,
    /// Expected and received up to the previous report.
    reported: (u64, u64),
    /// Timestamp of the newest frame and when its first packet came.
    newest: Option<(u32, Time)>,
    /// In sixteenths of timestamp units, as RFC 3550 A.8 computes.
    jitter_16: u64,
    sender_report: Option<(u32, Time)>,
}

impl ReceiveStats {
    /// Takes note of a packet by its extended sequence number. Returns how many packets it shows
    /// to be missing so far: the gap before it.
    pub(crate) fn on_packet(
        &mut self,
        now: Time,
        ext_seq: u64,
        timestamp: u32,
        clock_rate_hz: u32,
    ) -> u64 {
        self.received += 1;
        let Some((first, highest)) = self.span else {
            self.span = Some((ext_seq, ext_seq));
            self.newest = Some((timestamp, now));
            return 0;
        };
        self.span = Some((first.min(ext_seq), highest.max(ext_seq)));
        if ext_seq <= highest {
            return 0;
        }
        self.update_jitter(now, timestamp, clock_rate_hz);
        ext_seq - highest - 1
    }

    /// Takes note of a sender report of this stream.
    pub(crate) fn on_sender_report(&mut self, now: Time, ntp: NtpTime) {
        self.sender_report = Some((ntp.middle(), now));
    }

    /// The block for a report that is sent now; `None` before the first packet.
    pub(crate) fn report(&mut self, now: Time, ssrc: Ssrc) -> Option<ReportBlock> {
        let (first, highest) = self.span?;
        let expected = highest - first + 1;
        let (expected_before, received_before) = self.reported;
        self.reported = (expected, self.received);
        let expected_now = expected - expected_before;
        let lost_now = expected_now.saturating_sub(self.received - received_before);
        let fraction_lost = (lost_now * 256).checked_div(expected_now).unwrap_or(0);
        let lost = i128::from(expected) - i128::from(self.received);
        let (last_sender_report, delay_since_last) =
            self.sender_report.map_or((0, 0), |(lsr, at)| {
                let delay = now.since(at).as_micros() * 65_536 / 1_000_000;
                (lsr, u32::try_from(delay).unwrap_or(u32::MAX))
            });
        Some(ReportBlock {
            ssrc,
            fraction_lost: fraction_lost.min(255) as u8,
            cumulative_lost: lost.clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_sequence: highest as u32,
            jitter: (self.jitter_16 >> 4).min(u64::from(u32::MAX)) as u32,
            last_sender_report,
            delay_since_last,
        })
    }

    /// Packets expected and received so far.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let expected = self.span.map_or(0, |(first, highest)| highest - first + 1);
        (expected, self.received)
    }

    /// Interarrival jitter in timestamp units.
    pub(crate) const fn jitter(&self) -> u64 {
        self.jitter_16 >> 4
    }

    /// RFC 3550 A.8, but by frames: the packets of one frame share their timestamp although a
    /// pacing sender spreads them, and that is no jitter of the path.
    fn update_jitter(&mut self, now: Time, timestamp: u32, clock_rate_hz: u32) {
        let Some((newest, at)) = self.newest else {
            return;
        };
        let advance = timestamp.wrapping_sub(newest).cast_signed();
        if advance <= 0 {
            return;
        }
        self.newest = Some((timestamp, now));
        let elapsed = now.since(at).as_micros() * u128::from(clock_rate_hz) / 1_000_000;
        let elapsed = i64::try_from(elapsed).unwrap_or(i64::MAX);
        let difference = elapsed.abs_diff(i64::from(advance));
        // A pause of the sender is no jitter either.
        if difference < u64::from(clock_rate_hz) * 5 {
            self.jitter_16 += difference;
            self.jitter_16 -= (self.jitter_16 - difference + 8) >> 4;
        }
    }
}
