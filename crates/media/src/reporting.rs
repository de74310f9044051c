//! What a session is owed of feedback about what it sends, and when.

use core::time::Duration;

use crosspoint_wire::ids::Ssrc;
use crosspoint_wire::time::Time;

use crate::config::CongestionFeedback;
use crate::remb::RembEstimator;
use crate::report::PublisherClock;
use crate::timers::Due;
use crate::twcc::TwccRecorder;

/// Distance of sender and receiver reports. RFC 3550 §6.2 allows one each 5 s at least and, as
/// RTP/SAVPF is used (RFC 4585 §3.4), any shorter one within the bandwidth's share: a report is
/// some 100 bytes, and clocks and round trips want to be known soon after joining.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// The first report comes so soon that lips are in step when the first picture is.
const FIRST_REPORT_AFTER: Duration = Duration::from_millis(100);

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Reporting {
    /// Our SSRC where we speak as a receiver.
    pub(crate) ssrc: Ssrc,
    /// Round trip to the peer, as its latest report showed.
    pub(crate) rtt: Option<Duration>,
    /// The same without what single reports waited for: short ones count at once, long ones when
    /// they stay.
    pub(crate) least_rtt: Option<Duration>,
    /// The peer's wall clock.
    pub(crate) clock: PublisherClock,
    /// When to look at the session's feedback.
    pub(crate) due: Due,
    /// Whether the time to look has come.
    pub(crate) woken: bool,
    pub(crate) twcc: TwccRecorder,
    pub(crate) remb: RembEstimator,
    congestion: CongestionFeedback,
    next_report: Time,
}

impl Reporting {
    pub(crate) fn new(ssrc: Ssrc) -> Self {
        Self {
            ssrc,
            rtt: None,
            least_rtt: None,
            clock: PublisherClock::default(),
            due: Due::default(),
            woken: false,
            twcc: TwccRecorder::default(),
            remb: RembEstimator::new(),
            congestion: CongestionFeedback::None,
            next_report: Time::NEVER,
        }
    }

    /// Takes note of a round trip to the peer.
    pub(crate) fn note_round_trip(&mut self, rtt: Duration) {
        self.rtt = Some(rtt);
        self.least_rtt = Some(match self.least_rtt {
            Some(least) if least < rtt => least + (rtt - least) / 8,
            _ => rtt,
        });
    }

    /// Which congestion feedback the peer understands.
    pub(crate) fn configure(&mut self, congestion: CongestionFeedback) {
        self.congestion = congestion;
    }

    /// The transport came up.
    pub(crate) fn begin(&mut self, now: Time) {
        self.next_report = now + FIRST_REPORT_AFTER;
    }

    /// Takes note of a packet's transport-wide number.
    #[inline]
    pub(crate) fn note_transport_number(&mut self, now: Time, number: u16) {
        if self.congestion == CongestionFeedback::TransportCc {
            self.twcc.on_packet(now, number);
        }
    }

    /// Takes note of a packet's size and of how many packets before it are missing.
    #[inline]
    pub(crate) fn note_bytes(&mut self, now: Time, bytes: usize, lost: u64) {
        if self.congestion == CongestionFeedback::Remb {
            self.remb.on_packet(now, bytes, lost);
        }
    }

    /// Whether reports are due; if so the next ones are due an interval later.
    pub(crate) fn take_report(&mut self, now: Time) -> bool {
        let due = self.next_report <= now;
        if due {
            self.next_report = now + REPORT_INTERVAL;
        }
        due
    }

    /// When congestion feedback is due.
    #[inline]
    pub(crate) fn next_congestion_feedback(&self) -> Time {
        self.twcc.next_timeout().min(self.remb.next_timeout())
    }

    /// What the peer is told that it may send, where it is told so.
    pub(crate) fn limit_bps(&self) -> Option<u64> {
        (self.congestion == CongestionFeedback::Remb).then(|| self.remb.limit_bps())
    }

    /// When reports are due.
    pub(crate) fn next_report(&self) -> Time {
        self.next_report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_waited_hardly_lengthens_the_least_round_trip() {
        let ms = Duration::from_millis;
        let mut reporting = Reporting::new(1);
        for rtt in [50, 50, 450, 40] {
            reporting.note_round_trip(ms(rtt));
            assert_eq!(reporting.rtt, Some(ms(rtt)));
            assert!(reporting.least_rtt <= Some(ms(100)));
        }
        for _ in 0..30 {
            reporting.note_round_trip(ms(300));
        }
        assert!(reporting.least_rtt > Some(ms(280)), "the path is longer");
    }
}
