//! From a publisher's sender reports to the sender reports of slots.

use crosspoint_wire::time::{NtpTime, Time};

/// A publisher's wall clock that differs from what is known of it by more than this was set anew.
const STEP_US: u64 = 1_000_000;
/// How fast the offset may follow what is measured, in microseconds per second. Faster than
/// clocks drift (100 ppm is a bad one), and slow enough that the reports of two slots some
/// seconds apart still agree within 2 ms.
const SLEW_PPM: u128 = 300;

/// The wall clock of one publishing session, as seen from the server's.
///
/// The offset holds the transit time of the first report too. That is the same for all streams
/// of the session and hence of no harm.
#[derive(Debug, Default)]
pub(crate) struct PublisherClock {
    /// Server's minus publisher's clock in NTP units, wrapping: two clocks may be ages apart.
    offset: Option<(u64, Time)>,
    /// How often the publisher's clock was set.
    steps: u32,
}

/// Relation of one incoming stream's timestamps to its publisher's wall clock.
#[derive(Debug, Default)]
pub(crate) struct StreamClock {
    report: Option<SenderReport>,
    /// Newest timestamp and when it came: all that is known before the first sender report.
    arrival: Option<(u32, Time)>,
}

#[derive(Clone, Copy, Debug)]
struct SenderReport {
    ntp: NtpTime,
    rtp_timestamp: u32,
    /// `PublisherClock::steps` at the time.
    steps: u32,
}

impl PublisherClock {
    /// Takes note of a sender report of any of the session's streams that says `ntp` and came at
    /// `now`, which the server's wall clock calls `server_ntp`.
    fn observe(&mut self, now: Time, server_ntp: NtpTime, ntp: NtpTime) {
        let measured = server_ntp.0.wrapping_sub(ntp.0);
        let Some((offset, at)) = self.offset else {
            self.offset = Some((measured, now));
            return;
        };
        let error = measured.wrapping_sub(offset).cast_signed();
        if ntp_to_micros(error).unsigned_abs() > STEP_US {
            self.offset = Some((measured, now));
            self.steps = self.steps.wrapping_add(1);
            return;
        }
        let slew_us = now.since(at).as_micros() * SLEW_PPM / 1_000_000;
        let slew = i64::try_from((slew_us << 32) / 1_000_000).unwrap_or(i64::MAX);
        let change = error.clamp(-slew, slew);
        self.offset = Some((offset.wrapping_add_signed(change), now));
    }
}

impl StreamClock {
    /// Takes note of a packet.
    pub(crate) fn on_packet(&mut self, now: Time, timestamp: u32) {
        let newer = |(newest, _): (u32, Time)| timestamp.wrapping_sub(newest).cast_signed() > 0;
        // A timestamp far back is a clock that began anew, not a late packet.
        let newest = self
            .arrival
            .is_none_or(|a| newer(a) || now.since(a.1).as_secs() >= 1);
        if newest {
            self.arrival = Some((timestamp, now));
        }
    }

    /// Takes note of a sender report of this stream that came at `now`, which the server's wall
    /// clock calls `server_ntp`.
    pub(crate) fn on_sender_report(
        &mut self,
        publisher: &mut PublisherClock,
        now: Time,
        server_ntp: NtpTime,
        ntp: NtpTime,
        rtp_timestamp: u32,
    ) {
        // RFC 3550 §6.4.1: a sender without a wall clock may say 0.
        if ntp.0 == 0 {
            return;
        }
        publisher.observe(now, server_ntp, ntp);
        self.report = Some(SenderReport {
            ntp,
            rtp_timestamp,
            steps: publisher.steps,
        });
    }

    /// Whether the publisher has said what its clock reads.
    pub(crate) const fn is_reported(&self) -> bool {
        self.report.is_some()
    }

    /// The stream's timestamp at `now`, which the server's wall clock calls `server_ntp`: what a
    /// sender report about it has to say. From the publisher's sender reports, or, while there is
    /// none, from the arrival of packets. `None` before anything came.
    pub(crate) fn timestamp_at(
        &self,
        publisher: &PublisherClock,
        now: Time,
        server_ntp: NtpTime,
        clock_rate_hz: u32,
    ) -> Option<u32> {
        let by_report = self.report.filter(|r| r.steps == publisher.steps);
        if let (Some(report), Some((offset, _))) = (by_report, publisher.offset) {
            let publisher_now = server_ntp.0.wrapping_sub(offset);
            let elapsed = publisher_now.wrapping_sub(report.ntp.0).cast_signed();
            let ticks = (i128::from(elapsed) * i128::from(clock_rate_hz)) >> 32;
            return Some(report.rtp_timestamp.wrapping_add(ticks as u32));
        }
        let (timestamp, at) = self.arrival?;
        let ticks = now.since(at).as_micros() * u128::from(clock_rate_hz) / 1_000_000;
        Some(timestamp.wrapping_add(ticks as u32))
    }
}

fn ntp_to_micros(difference: i64) -> i64 {
    ((i128::from(difference) * 1_000_000) >> 32) as i64
}
