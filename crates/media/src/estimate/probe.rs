//! Sending faster for a moment, to learn whether the path carries more.
//!
//! A probe is a burst of media and padding at an even rate, for some 50 ms: longer than a frame of
//! those that may share the path, too short to fill a queue. What it shows is the rate at which it arrived. When to
//! probe is decided here too: at the start, and while the allocator wants more than the estimate
//! gives, at growing distances as long as it does not help. Nobody wants more: no probes.
//!
//! A burst that shares the path with others' packets pushes them aside and so shows more than there
//! is. After a rise that the path did not bear, probes are therefore believed only if they come
//! through undisturbed, and twice.

use core::time::Duration;

use crosspoint_wire::time::Time;

/// How long a probe is sent for.
pub(crate) const DURATION: Duration = Duration::from_millis(50);
/// Fewer packets measure nothing.
const PACKETS_MIN: u32 = 5;
/// A probe that could not be sent for this long is given up.
const SEND_MAX: Duration = Duration::from_millis(250);
/// After this long without feedback the probe was lost.
const RESULT_MAX: Duration = Duration::from_millis(2000);
/// Share of a probe that must have arrived for a result.
const ARRIVED_MIN: f64 = 0.8;
/// Share of a probe of which feedback must have spoken for a result.
const TOLD_MIN: f64 = 0.95;
/// Arriving slower than this share of the sending rate, the probe found the path's limit.
const LIMIT_BELOW: f64 = 0.92;
/// Largest step above the estimate.
const STEP_MAX: f64 = 2.0;
/// How much more than what is needed is probed for: the estimate must come to lie above it.
const MARGIN: f64 = 1.15;
/// Distance of the first two probes without success, and the longest.
const INTERVAL_MIN: Duration = Duration::from_millis(1500);
const INTERVAL_MAX: Duration = Duration::from_millis(3000);
/// A rise has proved right when the rate did not fall for this long after it.
const PROOF: Duration = Duration::from_secs(10);
/// For so long after a rise that did not, probes are not taken at their word.
const CAREFUL_FOR: Duration = Duration::from_secs(30);
/// A path that carries this multiple of what was too much has become another.
const BETTER: f64 = 1.25;
/// Nothing is probed so soon after the rate fell: the queue has to drain first.
const AFTER_DECREASE: Duration = Duration::from_millis(1500);

/// A probe that is being sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Burst {
    pub(crate) id: u8,
    pub(crate) rate_bps: f64,
    planned: Time,
    began: Option<Time>,
    bytes: u32,
    packets: u32,
    first_bytes: u32,
}

impl Burst {
    /// Bytes that are to have left at `now`.
    pub(crate) fn due_bytes(&self, now: Time) -> u32 {
        let elapsed = self.began.map_or(Duration::ZERO, |began| now.since(began));
        self.first_bytes.max(1) + (self.rate_bps / 8.0 * elapsed.as_secs_f64()) as u32
    }

    pub(crate) const fn bytes(&self) -> u32 {
        self.bytes
    }

    fn is_complete(&self) -> bool {
        let enough = self.rate_bps / 8.0 * DURATION.as_secs_f64();
        self.packets > PACKETS_MIN && f64::from(self.bytes - self.first_bytes) >= enough
    }
}

/// What arrived of a probe. Feedback on its first packets may come while the last are still to leave.
#[derive(Clone, Copy, Debug)]
struct Pending {
    id: u8,
    rate_bps: f64,
    /// When the last packet left, and its transport-wide number; `None` while the probe is being sent.
    ended: Option<(Time, u64)>,
    packets: u32,
    arrived: u32,
    missing: u32,
    bytes: u32,
    first: Option<Edge>,
    last: Option<Edge>,
}

/// The times of a packet at either end, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Edge {
    sent_us: i64,
    arrived_us: i64,
    bytes: u32,
}

/// A probe's outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) arrived_bps: f64,
    pub(super) found_limit: bool,
    /// Next to nothing of it was lost.
    pub(super) whole: bool,
}

/// What follows from a probe's outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Finding {
    /// The path carries this much.
    Carries(f64),
    /// This is what it carries, and no more.
    Limit(f64),
    /// Nothing yet.
    Doubtful,
}

/// A rise that the path did not bear.
#[derive(Clone, Copy, Debug)]
struct SetBack {
    at: Time,
    /// The estimate that was too much.
    bps: f64,
}

/// What decides whether and how fast to probe.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    pub(super) estimate_bps: f64,
    /// What would be sent if there were enough.
    pub(super) need_bps: f64,
    pub(super) queue: Duration,
    pub(super) decreased: Option<Time>,
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Prober {
    burst: Option<Burst>,
    pending: Option<Pending>,
    next: Time,
    interval: Duration,
    last_id: u8,
    /// When a probe last raised the estimate, and when that last proved too much.
    rose: Option<Time>,
    set_back: Option<SetBack>,
    /// What a probe showed that is to be tried once more.
    doubtful_bps: Option<f64>,
    confirms: bool,
    /// Highest number that feedback has spoken of.
    reported: u64,
    most_bps: f64,
}

impl Prober {
    pub(super) const fn new(most_bps: f64) -> Self {
        Self {
            burst: None,
            pending: None,
            next: Time::ZERO,
            interval: INTERVAL_MIN,
            last_id: 0,
            rose: None,
            set_back: None,
            doubtful_bps: None,
            confirms: false,
            reported: 0,
            most_bps,
        }
    }

    /// Number of the probe that was begun last.
    #[cfg(test)]
    pub(super) const fn last_id(&self) -> u8 {
        self.last_id
    }

    /// The probe that is to be sent now.
    pub(super) const fn burst(&self) -> Option<&Burst> {
        self.burst.as_ref()
    }

    /// Gives up a probe that could not be sent: its session has nothing to send it with.
    pub(super) fn expire(&mut self, now: Time) {
        if self.burst.is_some_and(|b| now.since(b.planned) > SEND_MAX) {
            self.abandon(now);
        }
    }

    /// Begins a probe, if there is a reason to. True when it did.
    pub(super) fn consider(&mut self, now: Time, situation: &Situation) -> bool {
        if self
            .pending
            .and_then(|p| p.ended)
            .is_some_and(|(at, _)| now.since(at) > RESULT_MAX)
        {
            self.pending = None;
            self.fail(now);
        }
        let &Situation {
            estimate_bps,
            need_bps,
            ..
        } = situation;
        let too_soon = now < self.next
            || situation
                .decreased
                .is_some_and(|at| now.since(at) < AFTER_DECREASE);
        let needless = need_bps <= estimate_bps || estimate_bps >= self.most_bps;
        if self.pending.is_some()
            || too_soon
            || needless
            || situation.queue > Duration::from_millis(40)
        {
            return false;
        }
        let planned_bps = (MARGIN * need_bps)
            .min(STEP_MAX * estimate_bps)
            .max(1.2 * estimate_bps);
        let planned_bps = match self.set_back.filter(|s| now.since(s.at) < CAREFUL_FOR) {
            Some(SetBack { bps, .. }) => {
                planned_bps.max((1.1 * BETTER * bps).min(STEP_MAX * estimate_bps))
            }
            None => planned_bps,
        };
        let rate_bps = self
            .doubtful_bps
            .unwrap_or(planned_bps)
            .min(1.2 * self.most_bps);
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        self.burst = Some(Burst {
            id: self.last_id,
            rate_bps,
            planned: now,
            began: None,
            bytes: 0,
            packets: 0,
            first_bytes: 0,
        });
        self.pending = Some(Pending {
            id: self.last_id,
            rate_bps,
            ended: None,
            packets: 0,
            arrived: 0,
            missing: 0,
            bytes: 0,
            first: None,
            last: None,
        });
        true
    }

    /// Notes a packet that left while a probe is being sent; returns the probe's number.
    pub(super) fn on_sent(&mut self, now: Time, number: u64, bytes: u32) -> u8 {
        let Some(burst) = &mut self.burst else {
            return 0;
        };
        burst.began.get_or_insert(now);
        if burst.packets == 0 {
            burst.first_bytes = bytes;
        }
        burst.packets += 1;
        burst.bytes += bytes;
        let burst = *burst;
        if let Some(pending) = &mut self.pending {
            pending.packets = burst.packets;
        }
        if burst.is_complete() {
            self.burst = None;
            if let Some(pending) = &mut self.pending {
                pending.ended = Some((now, number));
            }
        } else {
            self.expire(now);
        }
        burst.id
    }

    /// Takes note that a packet of a probe arrived.
    pub(super) fn on_arrived(&mut self, id: u8, sent_us: i64, arrived_us: i64, bytes: u32) {
        let Some(pending) = self.pending.as_mut().filter(|p| p.id == id) else {
            return;
        };
        let edge = Edge {
            sent_us,
            arrived_us,
            bytes,
        };
        pending.arrived += 1;
        pending.bytes += bytes;
        if pending
            .first
            .is_none_or(|first| arrived_us < first.arrived_us)
        {
            pending.first = Some(edge);
        }
        if pending
            .last
            .is_none_or(|last| arrived_us >= last.arrived_us)
        {
            pending.last = Some(edge);
        }
    }

    /// Takes note that a packet of a probe is missing.
    pub(super) fn on_missing(&mut self, id: u8) {
        if let Some(pending) = self.pending.as_mut().filter(|p| p.id == id) {
            pending.missing += 1;
        }
    }

    /// Takes note of the highest number that feedback has spoken of.
    pub(super) fn on_reported(&mut self, number: u64) {
        self.reported = self.reported.max(number);
    }

    /// The outcome of a probe on which feedback is complete.
    pub(super) fn conclude(&mut self, now: Time) -> Option<Outcome> {
        let is_over = |p: &Pending| p.ended.is_some_and(|(_, last)| self.reported >= last);
        let pending = self.pending.filter(is_over)?;
        self.pending = None;
        if !pending.is_told() {
            // The way back lost it, which says nothing about the way there.
            self.next = now + INTERVAL_MIN / 3;
            return None;
        }
        let outcome = pending.outcome();
        if outcome.is_none() {
            self.fail(now);
        }
        outcome
    }

    /// What an outcome is worth beside an estimate; decides when to probe again.
    pub(super) fn judge(
        &mut self,
        now: Time,
        outcome: &Outcome,
        estimate_bps: f64,
        rtt: Duration,
    ) -> Finding {
        let arrived_bps = outcome.arrived_bps;
        let set_back = self.set_back.filter(|s| now.since(s.at) < CAREFUL_FOR);
        let careful = set_back.is_some();
        let confirms = core::mem::take(&mut self.confirms);
        let before_bps = self.doubtful_bps.take();
        let rises = arrived_bps > 1.02 * estimate_bps;
        if careful && rises && (outcome.found_limit || !confirms) {
            // Once more, at what came through, as soon as the path has calmed down.
            let again_bps = if outcome.found_limit {
                0.95 * arrived_bps
            } else {
                arrived_bps
            };
            if again_bps > 1.02 * estimate_bps {
                self.doubtful_bps = Some(again_bps);
                self.confirms = !outcome.found_limit;
                self.next = now + rtt.max(2 * DURATION);
            } else {
                self.fail(now);
            }
            return Finding::Doubtful;
        }
        if rises {
            self.rose = Some(now);
        }
        if outcome.found_limit {
            self.fail(now);
            return Finding::Limit(arrived_bps);
        }
        if rises {
            self.interval = INTERVAL_MIN;
            self.next = now + rtt / 2;
        } else {
            self.fail(now);
        }
        let carries_bps = before_bps.map_or(arrived_bps, |before| before.min(arrived_bps));
        match set_back {
            // About what was too much a moment ago still is; a path that got better carries more.
            Some(SetBack { bps, .. }) if carries_bps < BETTER * bps => {
                self.fail(now);
                Finding::Carries(carries_bps.min(0.9 * bps))
            }
            _ => {
                self.set_back = None;
                Finding::Carries(carries_bps)
            }
        }
    }

    /// Whether a probe raised the estimate, and that has not proved right yet.
    pub(super) fn raised_lately(&self, now: Time) -> bool {
        self.rose.is_some_and(|at| now.since(at) < PROOF)
    }

    /// The rate fell from `from_bps`. If that came soon after a probe raised it, the probe was wrong.
    pub(super) fn on_decrease(&mut self, now: Time, from_bps: f64) {
        self.doubtful_bps = None;
        self.confirms = false;
        let raised_lately = self.raised_lately(now);
        self.rose = None;
        if raised_lately {
            self.set_back = Some(SetBack {
                at: now,
                bps: from_bps,
            });
            self.interval = INTERVAL_MAX;
        }
    }

    /// There is something new to be wanted, or a path that may have changed: probe soon.
    pub(super) fn hasten(&mut self, now: Time) {
        self.interval = INTERVAL_MIN;
        self.next = self.next.min(now + INTERVAL_MIN / 2);
    }

    /// Gives up what is under way: the path has failed.
    pub(super) fn abandon(&mut self, now: Time) {
        self.burst = None;
        self.pending = None;
        self.fail(now);
    }

    fn fail(&mut self, now: Time) {
        self.next = now + self.interval;
        self.interval = (self.interval * 3 / 2).min(INTERVAL_MAX);
    }
}

impl Pending {
    /// Whether feedback spoke of it; some of that may have got lost.
    fn is_told(&self) -> bool {
        f64::from(self.arrived + self.missing) >= TOLD_MIN * f64::from(self.packets)
    }

    fn outcome(&self) -> Option<Outcome> {
        let (first, last) = self.first.zip(self.last)?;
        if f64::from(self.arrived) < ARRIVED_MIN * f64::from(self.packets) {
            return None;
        }
        let rate = |bytes: u32, us: i64| (us > 0).then(|| f64::from(bytes) * 8.0 * 1e6 / us as f64);
        let arrived_bps = rate(self.bytes - first.bytes, last.arrived_us - first.arrived_us)
            .unwrap_or(f64::INFINITY);
        let sent_bps = rate(self.bytes - last.bytes, last.sent_us - first.sent_us)?;
        // The rate that was meant bounds what was measured: packets leave in whole milliseconds.
        let sent_bps = sent_bps.min(1.1 * self.rate_bps);
        Some(Outcome {
            arrived_bps: arrived_bps.min(sent_bps),
            found_limit: arrived_bps < LIMIT_BELOW * sent_bps,
            whole: self.arrived * 10 >= self.packets * 9,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SITUATION: Situation = Situation {
        estimate_bps: 1e6,
        need_bps: 2e6,
        queue: Duration::ZERO,
        decreased: None,
    };

    /// Sends the probe that is due, 250 bytes at a time, over a path of `path_bps`.
    fn run(prober: &mut Prober, began: Time, path_bps: f64) -> Option<Outcome> {
        let mut free_us = 0.0_f64;
        let mut sent = Vec::new();
        for ms in 0..400 {
            let now = began + Duration::from_millis(ms);
            while prober.burst().is_some_and(|b| b.bytes() < b.due_bytes(now)) {
                let number = sent.len() as u64 + 1;
                let id = prober.on_sent(now, number, 250);
                sent.push((id, now));
            }
        }
        for (number, (id, at)) in sent.iter().enumerate() {
            let at_us = at.as_micros() as f64;
            free_us = free_us.max(at_us) + 250.0 * 8e6 / path_bps;
            prober.on_arrived(*id, at_us as i64, 30_000 + free_us as i64, 250);
            prober.on_reported(number as u64 + 1);
        }
        prober.conclude(began + Duration::from_millis(500))
    }

    #[test]
    fn a_probe_that_the_path_carries_says_so() {
        let mut prober = Prober::new(1e7);
        assert!(prober.consider(Time::ZERO, &SITUATION));
        let outcome = run(&mut prober, Time::ZERO, 1e8).unwrap();
        assert!(!outcome.found_limit);
        assert!((2e6..2.6e6).contains(&outcome.arrived_bps), "{outcome:?}");
    }

    #[test]
    fn a_probe_beyond_the_path_measures_it() {
        for path_bps in [4e5, 1e6, 1.5e6] {
            let mut prober = Prober::new(1e7);
            assert!(prober.consider(Time::ZERO, &SITUATION));
            let outcome = run(&mut prober, Time::ZERO, path_bps).unwrap();
            assert!(outcome.found_limit);
            assert!(
                (outcome.arrived_bps / path_bps - 1.0).abs() < 0.05,
                "{outcome:?}"
            );
        }
    }

    /// As over a short path at a low rate, where a probe takes longer to send than to arrive.
    #[test]
    fn feedback_may_come_while_a_probe_is_still_being_sent() {
        let mut prober = Prober::new(1e7);
        let slow = Situation {
            estimate_bps: 1e5,
            need_bps: 3e5,
            ..SITUATION
        };
        assert!(prober.consider(Time::ZERO, &slow));
        let mut number = 0;
        for ms in 0..200 {
            let now = Time::from_millis(ms);
            while prober.burst().is_some_and(|b| b.bytes() < b.due_bytes(now)) {
                number += 1;
                let id = prober.on_sent(now, number, 280);
                let sent_us = now.as_micros().cast_signed();
                prober.on_arrived(id, sent_us, sent_us + 500, 280);
                prober.on_reported(number);
            }
        }
        let outcome = prober.conclude(Time::from_millis(200)).unwrap();
        assert!((1.8e5..2.3e5).contains(&outcome.arrived_bps), "{outcome:?}");
    }

    #[test]
    fn nobody_wants_more_or_the_path_is_busy_no_probe() {
        let none = [
            Situation {
                need_bps: 1e6,
                ..SITUATION
            },
            Situation {
                queue: Duration::from_millis(80),
                ..SITUATION
            },
            Situation {
                decreased: Some(Time::ZERO),
                ..SITUATION
            },
        ];
        for situation in none {
            assert!(!Prober::new(1e7).consider(Time::from_millis(500), &situation));
        }
        assert!(!Prober::new(1e6).consider(Time::ZERO, &SITUATION), "enough");
    }

    #[test]
    fn probes_that_do_not_help_get_rarer_but_go_on() {
        let mut prober = Prober::new(1e7);
        let mut probes = 0;
        for s in 0..600_u64 {
            let now = Time::from_millis(s * 100);
            if prober.consider(now, &SITUATION) {
                probes += 1;
                let outcome = run(&mut prober, now, 1e6).unwrap();
                let finding = prober.judge(now, &outcome, 1e6, Duration::from_millis(50));
                assert!(matches!(finding, Finding::Limit(_)), "{finding:?}");
            }
        }
        assert!((18..26).contains(&probes), "{probes} in a minute");
    }

    #[test]
    fn after_a_rise_that_was_too_much_a_probe_is_believed_when_another_confirms_it() {
        let rtt = Duration::from_millis(50);
        let mut prober = Prober::new(1e7);
        let came = |arrived_bps: f64, found_limit| Outcome {
            arrived_bps,
            found_limit,
            whole: true,
        };
        let at = Time::from_millis;
        let first = prober.judge(at(0), &came(2e6, false), 1e6, rtt);
        assert_eq!(first, Finding::Carries(2e6));
        prober.on_decrease(at(3000), 1.9e6);
        for (outcome, finding) in [
            (came(1.8e6, true), Finding::Doubtful),
            (came(1.6e6, false), Finding::Doubtful),
            (came(1.5e6, false), Finding::Carries(1.5e6)),
        ] {
            assert_eq!(prober.judge(at(9000), &outcome, 1e6, rtt), finding);
        }
    }

    #[test]
    fn a_probe_that_got_lost_is_no_result_and_not_waited_for() {
        let mut prober = Prober::new(1e7);
        assert!(prober.consider(Time::ZERO, &SITUATION));
        let mut now = Time::ZERO;
        for n in 1..1000 {
            now = Time::from_millis(n);
            prober.on_sent(now, n, 250);
        }
        prober.on_reported(1000);
        assert_eq!(prober.conclude(now), None);
        let soon = now + Duration::from_secs(1);
        assert!(prober.consider(soon, &SITUATION));
    }
}
