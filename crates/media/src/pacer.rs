//! When a session's packets leave, so that they do not queue on the path.
//!
//! A budget per flush, not a timer per packet: what leaves makes a debt, the debt is paid off at
//! the pacing rate, and pictures and repairs leave while it is small. A frame of usual size leaves
//! as one run, a keyframe is spread; sound always leaves. A session whose path is not known to be
//! limited has no debt.

use core::time::Duration;

use crosspoint_wire::time::Time;

/// How much faster than the bandwidth packets leave: fast enough for keyframes to arrive soon, and for
/// a picture that has no smaller layer to flow while its path is still being found out; 2.5 is also
/// what libwebrtc's senders do. With 1.5 such a picture waited, was dropped, and 0.2 % were missing at
/// 10 % loss.
const HASTE: f64 = 2.5;
/// The same while packets wait on the path: sound, which leaves at once, would wait there behind
/// pictures, or be dropped with them, so pictures wait here.
const HASTE_WHEN_FULL: f64 = 1.0;
/// The debt with which pictures still leave, as time at the pacing rate: more than a frame of a
/// stream that fills the bandwidth at 30 frames/s.
const BURST: Duration = Duration::from_millis(25);
/// What leaves at once on a path of which nothing is known: the first keyframe is waited for.
const FIRST_BYTES: f64 = 32_768.0;
/// Pictures that would wait longer than this are dropped: who sees them would see the past.
const WAIT_MAX: Duration = Duration::from_millis(500);
/// Packets wait for at least this long, if at all: timers are not for single packets.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    /// Bytes per microsecond; `None`: not limited.
    rate: Option<f64>,
    debt_bytes: f64,
    /// What may leave beside the debt.
    credit_bytes: f64,
    paid: Time,
    backlog: Option<Backlog>,
}

/// Packets that were waiting at some time.
#[derive(Clone, Copy, Debug)]
struct Backlog {
    since: Time,
    /// How many of them still wait.
    waiting: usize,
}

impl Pacer {
    /// For a path of which nothing is known.
    pub(crate) fn fresh() -> Self {
        Self {
            credit_bytes: FIRST_BYTES,
            ..Self::default()
        }
    }

    /// Begins a flush: pays off the debt since the one before. `bandwidth_bps`: what the path is
    /// known to carry; `is_full`: whether packets wait on it; `burst_bps`: the rate of a probe that
    /// is to be sent.
    #[inline]
    pub(crate) fn begin(
        &mut self,
        now: Time,
        bandwidth_bps: Option<u64>,
        is_full: bool,
        burst_bps: Option<f64>,
    ) {
        let Some(bandwidth_bps) = bandwidth_bps else {
            // Written only if it has to be: this is passed for every session in every flush.
            if self.rate.is_some() || self.credit_bytes > 0.0 {
                *self = Self::default();
            }
            return;
        };
        let haste = if is_full { HASTE_WHEN_FULL } else { HASTE };
        let rate = (haste * bandwidth_bps as f64).max(burst_bps.unwrap_or_default()) / 8e6;
        let elapsed_us = now.since(self.paid).as_micros() as f64;
        self.debt_bytes = (self.debt_bytes - elapsed_us * rate).max(0.0);
        self.rate = Some(rate);
        self.paid = now;
    }

    /// Whether pictures and repairs may leave.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.rate
            .is_none_or(|rate| self.debt_bytes <= rate * BURST.as_micros() as f64)
    }

    /// Notes that a packet left.
    #[inline]
    pub(crate) fn on_sent(&mut self, bytes: usize) {
        if self.rate.is_some() {
            self.credit_bytes -= bytes as f64;
            self.debt_bytes += (-self.credit_bytes).max(0.0);
            self.credit_bytes = self.credit_bytes.max(0.0);
        }
    }

    /// Notes that a picture's packet left the queue.
    #[inline]
    pub(crate) fn on_left_queue(&mut self) {
        if let Some(backlog) = &mut self.backlog {
            backlog.waiting = backlog.waiting.saturating_sub(1);
        }
    }

    /// Ends a flush after which `waiting` packets wait: when to flush again, or `None` when they
    /// have waited too long.
    pub(crate) fn wait(&mut self, now: Time, waiting: usize) -> Option<Time> {
        match self.backlog.filter(|backlog| backlog.waiting > 0) {
            Some(backlog) if now.since(backlog.since) > WAIT_MAX => {
                self.backlog = None;
                return None;
            }
            Some(_) => {}
            None => {
                self.backlog = Some(Backlog {
                    since: now,
                    waiting,
                });
            }
        }
        let rate = self.rate.unwrap_or(f64::INFINITY);
        // Half the burst is left then, so that what leaves is a run.
        let until_us = (self.debt_bytes / rate - BURST.as_micros() as f64 / 2.0).max(0.0);
        Some(now + Duration::from_micros(until_us as u64).max(WAIT_MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `packets` of 1000 bytes; when each left, in ms.
    fn times(bandwidth_bps: u64, packets: usize) -> Vec<u64> {
        let mut pacer = Pacer::default();
        let mut now = Time::from_millis(100);
        let mut times = Vec::new();
        while times.len() < packets {
            pacer.begin(now, Some(bandwidth_bps), false, None);
            while pacer.is_open() && times.len() < packets {
                pacer.on_sent(1000);
                times.push(now.as_micros() / 1000 - 100);
            }
            now = pacer.wait(now, 1).unwrap();
        }
        times
    }

    #[test]
    fn a_frame_leaves_as_one_run_and_a_keyframe_is_spread() {
        // 1.5 Mbit/s at 30 frames/s are 6250 bytes a frame.
        assert_eq!(times(1_500_000, 7), [0; 7]);
        let keyframe = times(1_500_000, 60);
        let last = *keyframe.last().unwrap();
        assert!(
            (95..=135).contains(&last),
            "60 kB at 3.75 Mbit/s: {last} ms"
        );
        let flushes = keyframe.windows(2).filter(|w| w[0] != w[1]).count();
        assert!(flushes < 20, "in runs: {flushes}");
    }

    #[test]
    fn a_fast_path_or_an_unknown_one_holds_nothing_up() {
        assert_eq!(times(100_000_000, 60), [0; 60]);
        let mut pacer = Pacer::default();
        pacer.begin(Time::ZERO, None, false, None);
        for _ in 0..10_000 {
            pacer.on_sent(1400);
        }
        assert!(pacer.is_open());
    }

    #[test]
    fn packets_that_wait_too_long_are_given_up() {
        let mut pacer = Pacer::default();
        let mut given_up = None;
        for ms in 0..1000 {
            let now = Time::from_millis(ms);
            pacer.begin(now, Some(100_000), false, None);
            if pacer.is_open() {
                pacer.on_sent(1200);
                pacer.on_left_queue();
            }
            if pacer.wait(now, 100).is_none() {
                given_up.get_or_insert(ms);
            }
        }
        assert_eq!(given_up, Some(501));
    }

    #[test]
    fn a_queue_that_moves_is_kept() {
        let mut pacer = Pacer::default();
        for ms in 0..5000 {
            let now = Time::from_millis(ms);
            pacer.begin(now, Some(1_000_000), false, None);
            pacer.on_left_queue();
            assert!(pacer.wait(now, 200).is_some(), "each waits 200 ms");
        }
    }
}
