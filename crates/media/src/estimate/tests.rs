//! The estimator as a whole: paths that carry so much, and feedback that lies.

use crosspoint_wire::rtcp::{Compound, RtcpPacket, RtcpWriter};
use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits {
    start_bps: 1_000_000,
    most_bps: 10_000_000,
};
const DELAY: Duration = Duration::from_millis(30);
/// The receiver's clock begins elsewhere.
const RECEIVER_CLOCK: Duration = Duration::from_secs(1_000_000);

/// A sender that sends what it may, and a path that carries so much.
struct Path {
    estimator: Estimator,
    now: Time,
    rate_bps: f64,
    /// Most that there is to send, and what the sender wants beyond what it may.
    media_bps: f64,
    free: Time,
    owed_bytes: f64,
    under_way: Vec<(u16, Time)>,
    next_feedback: Time,
    feedback: bool,
    /// By how much the receiver's clock is ahead.
    clock: Duration,
}

impl Path {
    fn new(rate_bps: f64, media_bps: f64) -> Self {
        let mut estimator = Estimator::new(LIMITS);
        estimator.configure(true);
        Self {
            estimator,
            now: Time::from_millis(10),
            rate_bps,
            media_bps,
            free: Time::ZERO,
            owed_bytes: 0.0,
            under_way: Vec::new(),
            next_feedback: Time::ZERO,
            feedback: true,
            clock: RECEIVER_CLOCK,
        }
    }

    fn run(&mut self, duration: Duration) -> f64 {
        let end = self.now + duration;
        while self.now < end {
            self.now += Duration::from_millis(1);
            self.millisecond();
        }
        self.estimator
            .bandwidth()
            .map_or(f64::NAN, |bps| bps as f64)
    }

    fn millisecond(&mut self) {
        self.estimator.look(self.now, || true);
        let may_bps = self.estimator.bandwidth().map_or(1e9, |bps| bps as f64);
        let sends_bps = self.media_bps.min(may_bps);
        self.estimator
            .want(self.now, (self.media_bps - sends_bps) as u64);
        self.owed_bytes += sends_bps / 8000.0;
        while self.owed_bytes >= 1000.0 {
            self.owed_bytes -= 1000.0;
            self.send(1000, false);
        }
        while self
            .estimator
            .burst()
            .is_some_and(|b| b.bytes() < b.due_bytes(self.now))
        {
            self.send(280, true);
        }
        if self.feedback && self.now >= self.next_feedback {
            self.next_feedback = self.now + Duration::from_millis(50);
            self.report();
        }
    }

    fn send(&mut self, bytes: usize, padding: bool) {
        let number = self.estimator.next_number(self.now);
        self.estimator.on_sent(self.now, number, bytes);
        let media = if padding { 0 } else { bytes as u32 };
        self.estimator.on_flushed(self.now, media);
        if self.free.since(self.now) > Duration::from_millis(300) {
            return;
        }
        let takes = Duration::from_secs_f64(bytes as f64 * 8.0 / self.rate_bps);
        self.free = self.free.max(self.now) + takes;
        self.under_way.push((number as u16, self.free + DELAY));
    }

    fn report(&mut self) {
        // Feedback is back after as long a way.
        let arrived = |&&(_, at): &&(u16, Time)| at + DELAY <= self.now;
        let count = self.under_way.iter().take_while(arrived).count();
        let Some(&(base, _)) = self.under_way.first().filter(|_| count > 0) else {
            return;
        };
        let mut arrivals = Vec::new();
        for (number, at) in self.under_way.drain(..count) {
            let index = usize::from(number.wrapping_sub(base));
            arrivals.resize(index, None);
            arrivals.push(Some(at + self.clock));
        }
        give(&mut self.estimator, self.now, base, &arrivals);
    }
}

/// Lets an estimator have feedback in as many messages as it takes.
fn give(estimator: &mut Estimator, now: Time, mut base: u16, arrivals: &[Option<Time>]) -> bool {
    let mut arrivals = arrivals;
    let mut news = false;
    while !arrivals.is_empty() {
        let mut buffer = [0; 1400];
        let mut writer = RtcpWriter::new(&mut buffer);
        let written = writer.transport_cc(1, 2, 0, base, arrivals.iter().copied());
        let Ok(written @ 1..) = written else { break };
        news |= take(estimator, now, writer.as_bytes());
        base = base.wrapping_add(written as u16);
        arrivals = &arrivals[written..];
    }
    news
}

fn take(estimator: &mut Estimator, now: Time, rtcp: &[u8]) -> bool {
    Compound::new(rtcp).flatten().any(|packet| match packet {
        RtcpPacket::TransportCc(feedback) => estimator.on_feedback(now, &feedback, None).is_some(),
        _ => false,
    })
}

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

#[test]
fn finds_what_a_path_carries_and_follows_it() {
    let mut path = Path::new(3e6, 8e6);
    let found = path.run(seconds(5));
    assert!((0.75..1.1).contains(&(found / 3e6)), "{found}");
    path.rate_bps = 6e5;
    let found = path.run(seconds(3));
    assert!((0.6..1.1).contains(&(found / 6e5)), "{found}");
    path.rate_bps = 5e6;
    let found = path.run(seconds(10));
    assert!((0.8..1.1).contains(&(found / 5e6)), "{found}");
}

#[test]
fn who_wants_no_more_is_not_probed_for_and_keeps_what_it_has() {
    let mut path = Path::new(1e8, 7e5);
    path.run(seconds(3));
    let before = path.estimator.prober_ids();
    let kept = path.run(seconds(20));
    assert_eq!(path.estimator.prober_ids(), before);
    assert!(kept >= 1e6, "{kept}");
}

#[test]
fn a_peer_that_gives_no_feedback_is_not_limited() {
    let mut path = Path::new(1e7, 3e6);
    path.feedback = false;
    assert!(path.run(Duration::from_millis(500)) < 1.1e6);
    assert!(path.run(seconds(2)).is_nan());
    path.feedback = true;
    assert!(path.run(seconds(1)) > 5e5, "it does after all");
}

#[test]
fn after_300_s_of_silence_the_bandwidth_is_found_again_within_5_s() {
    let mut path = Path::new(2e6, 4e6);
    path.run(seconds(5));
    path.feedback = false;
    let silent = path.run(seconds(300));
    path.under_way.clear();
    assert!(silent <= 1e5, "{silent}");
    path.feedback = true;
    let found = path.run(seconds(5));
    assert!(found > 1.5e6, "{found}");
}

#[test]
fn a_receiver_whose_clock_leaps_an_hour_is_followed() {
    for forward in [true, false] {
        let mut path = Path::new(2e6, 4e6);
        let before = path.run(seconds(5));
        path.clock = if forward {
            path.clock + seconds(3600)
        } else {
            path.clock.saturating_sub(seconds(3600))
        };
        let after = path.run(seconds(5));
        assert!((0.5..1.5).contains(&(after / before)), "{before} {after}");
    }
}

#[test]
fn numbers_that_never_left_and_copies_say_nothing() {
    let mut path = Path::new(2e6, 2e6);
    path.run(seconds(2));
    let before = path.estimator.bandwidth();
    let now = path.now;
    let newest = path.estimator.next_number(now) as u16;
    let at = Some(now + RECEIVER_CLOCK);
    let future = newest.wrapping_add(1);
    assert!(!give(&mut path.estimator, now, future, &[at; 2000]));
    // Feedback on everything but the newest was given already.
    let old = newest.wrapping_sub(400);
    assert!(!give(&mut path.estimator, now, old, &[at; 200]));
    assert_eq!(path.estimator.bandwidth(), before);
}

#[test]
fn a_flood_of_reports_is_not_even_looked_at() {
    let mut path = Path::new(2e6, 2e6);
    path.run(seconds(2));
    let newest = path.estimator.next_number(path.now) as u16;
    // Twenty bytes that report 4000 packets missing.
    let [b0, b1] = newest.wrapping_sub(4000).to_be_bytes();
    let [c0, c1] = 4000_u16.to_be_bytes();
    let rtcp = [
        0x8f, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, b0, b1, c0, c1, 0, 0, 0, 0, c0, c1, 0, 0,
    ];
    let before = path.estimator.reports_left;
    for _ in 0..1000 {
        take(&mut path.estimator, path.now, &rtcp);
    }
    assert!(before - path.estimator.reports_left <= REPORTS_MAX);
    assert!(path.estimator.reports_left < 4000);
    // The path is reported on again as soon as packets leave.
    let after = path.run(seconds(5));
    assert!(after > 1e6, "{after}");
}

#[test]
fn remb_and_reports_count_where_there_is_no_transport_wide_feedback() {
    let mut estimator = Estimator::new(LIMITS);
    assert_eq!(estimator.bandwidth(), None);
    estimator.on_remb(700_000);
    assert_eq!(estimator.bandwidth(), Some(700_000));
    estimator.on_remb(0);
    assert_eq!(estimator.bandwidth(), Some(LEAST_BPS));
    estimator.on_remb(u64::MAX);
    assert_eq!(estimator.bandwidth(), Some(LIMITS.most_bps));
    assert!(estimator.take_change());
    assert!(!estimator.take_change());
    let mut lossy = Estimator::new(LIMITS);
    for n in 0..3000_u64 {
        let now = Time::from_millis(n);
        let number = lossy.next_number(now);
        lossy.on_sent(now, number, 250);
        lossy.on_flushed(now, 250);
        if n % 1000 == 999 {
            lossy.on_report(now, 100);
        }
    }
    let limit = lossy.bandwidth().unwrap();
    assert!((900_000..1_500_000).contains(&limit), "{limit} of 2 Mbit/s");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    /// Whatever a subscriber says, and whenever: no panic, and a bandwidth within bounds.
    #[test]
    fn lies_do_no_harm(
        messages in prop::collection::vec(
            (any::<u16>(), any::<[u8; 4]>(), 0_u16..600, any::<bool>(), prop::collection::vec(any::<u8>(), 0..64), 0_u64..2_000),
            1..60,
        ),
    ) {
        let mut path = Path::new(2e6, 3e6);
        path.run(seconds(1));
        for (base, reference, count, near, body, wait_ms) in messages {
            let newest = path.estimator.next_number(path.now) as u16;
            let base = if near { newest.wrapping_sub(base % 300) } else { base };
            let [b0, b1] = base.to_be_bytes();
            let [c0, c1] = count.to_be_bytes();
            let mut rtcp = vec![0x8f, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, b0, b1, c0, c1];
            rtcp.extend(reference);
            rtcp.extend(&body);
            // A run of large deltas for what the body does not say.
            rtcp.extend([0x40 | (count >> 8) as u8, c1]);
            rtcp.extend(std::iter::repeat_n(0x7f, 2 * usize::from(count)));
            rtcp.resize(rtcp.len().next_multiple_of(4), 0);
            let words = (rtcp.len() / 4 - 1) as u16;
            rtcp[2..4].copy_from_slice(&words.to_be_bytes());
            take(&mut path.estimator, path.now, &rtcp);
            path.run(Duration::from_millis(wait_ms % 200));
            path.now += Duration::from_millis(wait_ms);
            if let Some(bps) = path.estimator.bandwidth() {
                prop_assert!((LEAST_BPS..=LIMITS.most_bps).contains(&bps));
            }
        }
    }
}
