//! How much may be sent to one session now.
//!
//! One [`Estimator`] per session, for the sum of what the session is sent. The allocator asks it
//! for the [`bandwidth`](Estimator::bandwidth) that it may hand out among the session's slots, and
//! tells it what it would [`want`](Estimator::want) beyond that. It decides nothing about layers
//! and sends nothing; the pacer asks it how fast, and whether a probe is to be sent.
//!
//! ```text
//! packets that leave       -> send log
//! transport-wide feedback  -> send log -> delay  \
//!                                      -> arrived -> rate (AIMD) -> min -> bandwidth
//!                                      -> loss   /        ^
//!                                      -> probe ----------'
//! REMB, receiver reports   -> where there is no transport-wide feedback
//! ```
//!
//! The algorithm is the published one (draft-ietf-rmcat-gcc-02), written for a server: a round of
//! feedback is walked once, without allocation, and a probe's result is an input. `rtc-interceptor`'s
//! Gcc was weighed first: it reads `std::time::Instant`, wants each packet's report as a struct
//! in a slice, and has no way to take a probe's result or to know that a sender does not use what
//! it may; an SFU, whose rate comes in layers, would never learn that a higher one fits.
//!
//! What a subscriber reports can be a lie. It can only speak of packets that left, each once, and
//! what it gains is to be sent more of what it subscribed to, up to the configured maximum.

mod clock;
mod delay;
mod loss;
mod probe;
mod rate;
mod send_log;
mod standing;
mod throughput;

#[cfg(test)]
mod tests;

use core::time::Duration;

use crosspoint_wire::rtcp::TransportCc;
use crosspoint_wire::time::Time;

use self::clock::ReferenceClock;
use self::delay::DelayDetector;
use self::loss::{LossControl, Rates};
pub(crate) use self::probe::Burst;
use self::probe::{Finding, Prober, Situation};
use self::rate::{Observed, RateControl};
use self::send_log::{ENTRIES_MAX, SendLog, Sent};
use self::standing::{Drain, StandingQueue};
use self::throughput::Throughput;

/// A bandwidth is told anew when it differs by this share, in per cent, from what was told last:
/// allocation is work, and a change that moves no layer is none.
const CHANGE_PERCENT: u64 = 3;
/// No path is worse than this: sound and a little more.
const LEAST_BPS: u64 = 50_000;
/// A peer that was sent media for this long and gave no feedback gives none.
const FEEDBACK_WAIT: Duration = Duration::from_secs(1);
/// How often a packet may be reported on, on the average. Once is usual; but a message of twenty
/// bytes can name thousands of packets, and each is looked up.
const REPORTS_PER_PACKET: u32 = 8;
/// What may be reported on at once.
const REPORTS_MAX: u32 = 4 * ENTRIES_MAX as u32;
/// Of so many packets to such a peer one is noted, so that feedback is recognised if it does come.
const UNHEARD_NOTES: u64 = 32;
/// Feedback missing for this long means that the path has failed, for each such time once more.
const SILENCE: Duration = Duration::from_millis(1000);
/// What left this long ago has arrived or is lost, and so is feedback on it.
const IDLE: Duration = Duration::from_millis(1000);
/// Distance of looks at what is due.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Round trip while none is known.
const RTT_UNKNOWN: Duration = Duration::from_millis(100);
/// What is probed for while the allocator has said nothing: a multiple of the estimate, while what
/// is sent is not far below.
const CURIOSITY: f64 = 2.0;
const CURIOSITY_USED: f64 = 0.125;

/// Between which rates a session's bandwidth lies, in bits per second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// What is taken for granted before the first feedback.
    pub(crate) start_bps: u64,
    pub(crate) most_bps: u64,
}

/// What one message of feedback tells of packets that it is the first to speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Losses {
    pub(crate) expected: u32,
    pub(crate) lost: u32,
}

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Estimator {
    limits: Limits,
    source: Source,
    log: SendLog,
    /// Reports on packets that are still looked at.
    reports_left: u32,
    clock: ReferenceClock,
    delay: DelayDetector,
    arrived: Throughput,
    sent: Throughput,
    rate: RateControl,
    loss: LossControl,
    prober: Prober,
    standing: StandingQueue,
    rtt: Duration,
    /// What the subscriber allows (REMB).
    remb_bps: Option<u64>,
    /// What the allocator could use beyond what it has.
    wanted_bps: Option<u64>,
    /// The bandwidth when a change was last told.
    told_bps: Option<u64>,
    /// Since when what leaves is not reported on.
    unanswered_since: Option<Time>,
    /// When a packet last left.
    last_left: Time,
    /// Feedback ceased.
    silent: bool,
    look_at: Time,
}

/// Where knowledge of the path comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// REMB and receiver reports, if anything.
    Reports,
    /// Transport-wide feedback was agreed on; none came yet.
    Awaited,
    /// The same, and it should have come by now.
    Missed,
    /// It comes.
    Feedback,
}

impl Estimator {
    pub(crate) fn new(limits: Limits) -> Self {
        let most_bps = limits.most_bps.max(LEAST_BPS);
        Self {
            limits,
            source: Source::Reports,
            log: SendLog::default(),
            reports_left: REPORTS_MAX,
            clock: ReferenceClock::default(),
            delay: DelayDetector::default(),
            arrived: Throughput::default(),
            sent: Throughput::default(),
            rate: RateControl::new(limits.start_bps as f64, LEAST_BPS as f64, most_bps as f64),
            loss: LossControl::default(),
            prober: Prober::new(most_bps as f64),
            standing: StandingQueue::default(),
            rtt: RTT_UNKNOWN,
            remb_bps: None,
            wanted_bps: None,
            told_bps: None,
            unanswered_since: None,
            last_left: Time::ZERO,
            silent: false,
            look_at: Time::ZERO,
        }
    }

    /// Whether packets carry transport-wide numbers, and feedback on them is to come.
    pub(crate) fn configure(&mut self, transport_wide: bool) {
        self.source = match (transport_wide, self.source) {
            (false, _) => Source::Reports,
            (true, Source::Reports) => Source::Awaited,
            (true, source) => source,
        };
    }

    /// The transport came up, perhaps on another path: what was known of it is not any more.
    pub(crate) fn restart(&mut self) {
        let log = core::mem::take(&mut self.log);
        *self = Self {
            log,
            source: match self.source {
                Source::Reports => Source::Reports,
                _ => Source::Awaited,
            },
            wanted_bps: self.wanted_bps,
            told_bps: self.told_bps,
            ..Self::new(self.limits)
        };
    }

    /// Bits per second that may be sent to the session now, RTP headers and repairs included;
    /// `None` when there is no feedback to know it by: as much as there is.
    pub(crate) fn bandwidth(&self) -> Option<u64> {
        let bps = match self.source {
            Source::Awaited | Source::Feedback => Some(self.estimate_bps() as u64),
            Source::Reports | Source::Missed => {
                let by_loss = self.loss.limit_bps().map(|bps| bps as u64);
                match (self.remb_bps, by_loss) {
                    (Some(remb), Some(by_loss)) => Some(remb.min(by_loss)),
                    (remb, by_loss) => remb.or(by_loss),
                }
            }
        };
        bps.map(|bps| bps.clamp(LEAST_BPS, self.limits.most_bps.max(LEAST_BPS)))
    }

    /// Says what the allocator would use **beyond** what it uses now to make its next step up: a
    /// reason to find out whether the path carries it. 0: there is no such step.
    pub(crate) fn want(&mut self, now: Time, bits_per_second: u64) {
        let before = self.wanted_bps.replace(bits_per_second);
        if bits_per_second > before.unwrap_or_default() {
            self.prober.hasten(now);
        }
    }

    /// Whether the peer gives transport-wide feedback, so that its reports tell nothing more.
    pub(crate) fn is_fed(&self) -> bool {
        self.source == Source::Feedback
    }

    /// Whether what leaves waits on the path for longer than it should.
    #[inline]
    pub(crate) fn path_is_full(&self) -> bool {
        self.standing.is_full()
    }

    /// Whether nothing is on its way: no packet and no feedback will bring about what is due.
    pub(crate) fn is_idle(&self, now: Time) -> bool {
        now.since(self.last_left) > IDLE
    }

    /// Whether the bandwidth changed by more than a little since this last said so.
    pub(crate) fn take_change(&mut self) -> bool {
        let (now, told) = (self.bandwidth(), self.told_bps);
        let changed = match (now, told) {
            (Some(now), Some(told)) => now.abs_diff(told) * 100 > told * CHANGE_PERCENT,
            (now, told) => now != told,
        };
        if changed {
            self.told_bps = now;
        }
        changed
    }

    /// The probe that is to be sent now, over and above what else is sent.
    #[inline]
    pub(crate) fn burst(&self) -> Option<&Burst> {
        self.prober.burst()
    }

    /// The transport-wide number of the next packet. What leaves under it is told by
    /// [`on_sent`](Self::on_sent); if nothing does, the number is lost.
    #[inline]
    pub(crate) fn next_number(&mut self, now: Time) -> u64 {
        if self.source == Source::Missed {
            return self.log.next_number_unheard();
        }
        self.log.next_number(now, true)
    }

    /// Notes that a packet of `bytes` left under `number`.
    #[inline]
    pub(crate) fn on_sent(&mut self, now: Time, number: u64, bytes: usize) {
        self.reports_left = (self.reports_left + REPORTS_PER_PACKET).min(REPORTS_MAX);
        if self.source == Source::Missed && !number.is_multiple_of(UNHEARD_NOTES) {
            return;
        }
        self.last_left = now;
        // No packet is longer than `PACKET_BYTES_MAX`.
        let bytes = bytes as u16;
        let probe = if self.prober.burst().is_some() {
            self.prober.on_sent(now, number, u32::from(bytes))
        } else {
            0
        };
        let sent = Sent {
            at: now,
            bytes,
            probe,
        };
        self.log.note(number, sent);
    }

    /// Ends a flush in which `bytes` of media left.
    #[inline]
    pub(crate) fn on_flushed(&mut self, now: Time, bytes: u32) {
        if bytes > 0 {
            self.sent.on_packet(now, bytes);
            self.unanswered_since.get_or_insert(now);
        }
    }

    /// Does what time alone brings about: gives up on feedback that does not come, and begins
    /// probes. `can_pad`: there is a stream to send padding on. To be called with each flush, and now
    /// and then for who wants more and [is idle](Self::is_idle).
    #[inline]
    pub(crate) fn look(&mut self, now: Time, can_pad: impl FnOnce() -> bool) {
        if now >= self.look_at && self.source != Source::Reports {
            self.look_closely(now, can_pad);
        }
    }

    fn look_closely(&mut self, now: Time, can_pad: impl FnOnce() -> bool) {
        self.look_at = now + LOOK_INTERVAL;
        self.prober.expire(now);
        if self.is_idle(now) {
            // No feedback is awaited, and no queue stands.
            self.unanswered_since = None;
            self.delay.drained();
            self.standing.note(self.delay.queue());
        }
        let silence = self
            .unanswered_since
            .map_or(Duration::ZERO, |since| now.since(since));
        match self.source {
            Source::Awaited if silence > FEEDBACK_WAIT => {
                self.source = Source::Missed;
                self.log.forget();
                self.prober.abandon(now);
            }
            Source::Feedback if silence > SILENCE + self.rtt => {
                self.rate.lower(now, self.rate.rate_bps() / 2.0);
                self.prober.abandon(now);
                self.silent = true;
                self.unanswered_since = Some(now);
            }
            _ => {}
        }
        let heard_or_new = matches!(self.source, Source::Awaited | Source::Feedback);
        if heard_or_new && silence < SILENCE {
            let situation = self.situation(now);
            if situation.need_bps > situation.estimate_bps && can_pad() {
                self.prober.consider(now, &situation);
            }
        }
    }

    /// Takes transport-wide feedback. `rtt`: the round trip by reports, if known. `None` when it
    /// says nothing about any packet that left, or nothing new.
    pub(crate) fn on_feedback(
        &mut self,
        now: Time,
        feedback: &TransportCc<'_>,
        rtt: Option<Duration>,
    ) -> Option<Losses> {
        if usize::from(feedback.packet_count) > ENTRIES_MAX || self.source == Source::Reports {
            return None;
        }
        let reports = u32::from(feedback.packet_count);
        self.reports_left = self.reports_left.checked_sub(reports)?;
        let round = self.walk(now, feedback)?;
        self.source = Source::Feedback;
        let silence = self.unanswered_since.take();
        if core::mem::take(&mut self.silent) || silence.is_some_and(|s| now.since(s) > SILENCE) {
            self.prober.hasten(now);
        }
        self.rtt = rtt.unwrap_or(round.rtt).min(Duration::from_secs(2));
        self.loss.count(round.expected, round.lost);
        self.prober.on_reported(round.highest);
        self.conclude(now, round.newest_arrival);
        Some(Losses {
            expected: round.expected,
            lost: round.lost,
        })
    }

    /// Takes the subscriber's own limit (draft-alvestrand-rmcat-remb §2.2).
    pub(crate) fn on_remb(&mut self, bits_per_second: u64) {
        self.remb_bps = Some(bits_per_second);
    }

    /// Takes the share of loss, in 256ths, that a receiver report tells of one slot. Of no account
    /// beside transport-wide feedback.
    pub(crate) fn on_report(&mut self, now: Time, fraction_lost: u8) {
        if !matches!(self.source, Source::Reports | Source::Missed) {
            return;
        }
        self.loss.count(256, u32::from(fraction_lost));
        if let Some(sent_bps) = self.sent.rate_bps(now) {
            let rates = Rates {
                allowed_bps: sent_bps,
                sent_bps,
                arrived_bps: sent_bps * (1.0 - f64::from(fraction_lost) / 256.0),
            };
            self.loss.update(now, &rates);
        }
    }

    /// Notes what each packet of a message tells.
    fn walk(&mut self, now: Time, feedback: &TransportCc<'_>) -> Option<Round> {
        let reference_us = self.clock.unwrap_us(feedback.reference_time);
        let mut round = Round::default();
        let mut news = false;
        for status in feedback.packets() {
            let Some(number) = self.log.find(status.sequence_number) else {
                continue;
            };
            let arrived = status.arrival_us.is_some();
            let Some(reported) = self.log.report(now, number, arrived) else {
                continue;
            };
            news = true;
            round.highest = round.highest.max(reported.number);
            if reported.was_missing {
                self.loss.uncount();
            } else {
                round.expected += 1;
            }
            let Some(offset_us) = status.arrival_us else {
                round.lost += 1;
                self.prober.on_missing(reported.sent.probe);
                continue;
            };
            let arrived_us = reference_us.saturating_add(offset_us);
            round.rtt = now.since(reported.sent.at);
            round.newest_arrival = round
                .newest_arrival
                .max(self.arrive(&reported.sent, arrived_us));
        }
        news.then_some(round)
    }

    fn arrive(&mut self, sent: &Sent, arrived_us: i64) -> Time {
        let sent_us = sent.at.as_micros().cast_signed();
        if self.clock.leaps(arrived_us.saturating_sub(sent_us)) {
            self.delay = DelayDetector::default();
            self.arrived = Throughput::default();
            self.clock.restart();
        }
        let at = Time::from_micros(arrived_us.max(0).unsigned_abs());
        self.delay.on_packet(sent_us, arrived_us);
        self.arrived.on_packet(at, u32::from(sent.bytes));
        if sent.probe != 0 {
            self.prober
                .on_arrived(sent.probe, sent_us, arrived_us, u32::from(sent.bytes));
        }
        at
    }

    fn conclude(&mut self, now: Time, newest_arrival: Time) {
        let arrived_bps = self.arrived.rate_bps(newest_arrival);
        let used = arrived_bps.is_none_or(|bps| self.rate.is_used(bps));
        let usage = self.delay.conclude(now, used);
        let queue = self.delay.queue();
        self.standing.note(queue);
        // A path that has just got slow is not to be judged by what it carried before.
        let arrived_bps = if standing::is_grown(queue) {
            self.arrived.recent_bps(newest_arrival)
        } else {
            arrived_bps
        };
        let observed = Observed {
            usage,
            arrived_bps,
            sent_bps: self.sent.rate_bps(now).unwrap_or_default(),
            queue,
            raised: self.prober.raised_lately(now),
            rtt: self.rtt,
        };
        if let Some(outcome) = self.prober.conclude(now) {
            let estimate_bps = self.estimate_bps();
            match self.prober.judge(now, &outcome, estimate_bps, self.rtt) {
                Finding::Carries(bps) => {
                    self.rate.on_probe(bps, false);
                    if outcome.whole {
                        self.loss.lift(bps);
                    }
                }
                Finding::Limit(bps) => self.rate.on_probe(bps, true),
                Finding::Doubtful => {}
            }
        }
        let (before, before_bps) = (self.rate.decreased(), self.rate.rate_bps());
        self.rate.update(now, &observed);
        match self.standing.drain(now, &observed, self.rate.decreased()) {
            Drain::Lower(bps) => self.rate.lower(now, bps),
            Drain::Rebase => self.delay.rebase(),
            Drain::Wait => {}
        }
        if self.rate.decreased() != before {
            self.prober.on_decrease(now, before_bps);
        }
        if let Some((arrived_bps, sent_bps)) = observed.arrived_bps.zip(self.sent.rate_bps(now)) {
            let rates = Rates {
                allowed_bps: self.rate.rate_bps(),
                sent_bps,
                arrived_bps,
            };
            self.loss.update(now, &rates);
        }
    }

    fn situation(&mut self, now: Time) -> Situation {
        let estimate_bps = self.estimate_bps();
        let sent_bps = self.sent.rate_bps(now).unwrap_or_default();
        let need_bps = match self.wanted_bps {
            Some(0) => 0.0,
            // What is wanted does not fit into the estimate, whatever the sum says.
            Some(wanted_bps) => (sent_bps + wanted_bps as f64).max(1.1 * estimate_bps),
            None if self.source == Source::Awaited && self.unanswered_since.is_some() => {
                CURIOSITY * estimate_bps
            }
            None if sent_bps > CURIOSITY_USED * estimate_bps => CURIOSITY * estimate_bps,
            None => 0.0,
        };
        Situation {
            estimate_bps,
            need_bps,
            queue: self.delay.queue(),
            decreased: self.rate.decreased(),
        }
    }

    /// How many probes were begun, modulo 255.
    #[cfg(test)]
    fn prober_ids(&self) -> u8 {
        self.prober.last_id()
    }

    fn estimate_bps(&self) -> f64 {
        let rate_bps = self.rate.rate_bps();
        self.loss
            .limit_bps()
            .map_or(rate_bps, |limit_bps| limit_bps.min(rate_bps))
    }
}

/// What one feedback message tells in sum.
#[derive(Debug, Default)]
struct Round {
    expected: u32,
    lost: u32,
    /// Highest number spoken of.
    highest: u64,
    newest_arrival: Time,
    /// From sending the last packet to now: its round trip and how long feedback took.
    rtt: Duration,
}
