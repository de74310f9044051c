//! What lost packets say about the rate.
//!
//! draft-ietf-rmcat-gcc-02 §6: above 10 % loss the rate falls, below 2 % it may rise. Loss that is
//! not congestion does not get less when less is sent; going down with it would end at nothing. So
//! the rate falls to what arrives, which a full path carries without loss, and loss that remains
//! is taken for the path's own: only what is above it counts from then on. A round has few packets,
//! so that a path which loses a tenth shows much more in many of them: the rate falls when a round
//! shows more than chance explains.

use core::time::Duration;

use crosspoint_wire::time::Time;

/// Share of loss above which the rate falls, and below which it may rise.
const FALL_ABOVE: f64 = 0.10;
const RISE_BELOW: f64 = 0.02;
/// Growth with each round without loss.
const RISE: f64 = 1.08;
/// A round ends with so many packets, or after this long with
/// fewer.
const PACKETS: u32 = 100;
const PACKETS_MIN: u32 = 20;
const ROUND_MIN: Duration = Duration::from_millis(250);
const ROUND_MAX: Duration = Duration::from_secs(1);
/// Share of what arrived that is sent after loss.
const BETA: f64 = 0.95;
/// Of a round's loss, the share that must be gone after less was sent; else it is the path's own.
const REMAINS: f64 = 0.5;
/// Share by which what is taken for the path's own loss follows a round that shows less, or more:
/// what stays although nothing else shows congestion is the path's own in the end.
const OWN_FALL: f64 = 0.2;
const OWN_RISE: f64 = 0.1;
/// How many standard deviations of what is seen in a round chance explains.
const CHANCE: f64 = 2.0;
/// Fewer lost packets are chance.
const LOST_MIN: u32 = 5;
/// The limit is no lower: sound must go on.
const LEAST_BPS: f64 = 100_000.0;

/// A bound on the rate by loss. See the module documentation.
#[derive(Debug, Default)]
pub(super) struct LossControl {
    limit_bps: Option<f64>,
    expected: u32,
    lost: u32,
    since: Option<Time>,
    fell: Option<Fall>,
    /// The path's own loss.
    own: f64,
}

/// What was the case when the limit fell.
#[derive(Clone, Copy, Debug)]
struct Fall {
    /// Share lost.
    share: f64,
    sent_bps: f64,
    /// The limit before.
    limit_bps: Option<f64>,
}

/// The rates of a round, in bits per second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    /// What may be sent if it were not for loss.
    pub(super) allowed_bps: f64,
    pub(super) sent_bps: f64,
    pub(super) arrived_bps: f64,
}

impl LossControl {
    /// Bits per second; `None`: loss says nothing.
    pub(super) const fn limit_bps(&self) -> Option<f64> {
        self.limit_bps
    }

    /// Counts packets of which it is known whether they arrived.
    pub(super) fn count(&mut self, expected: u32, lost: u32) {
        self.expected = self.expected.saturating_add(expected);
        self.lost = self.lost.saturating_add(lost);
    }

    /// A packet taken for lost did arrive.
    pub(super) fn uncount(&mut self) {
        self.lost = self.lost.saturating_sub(1);
    }

    /// A probe at this rate arrived nearly whole.
    pub(super) fn lift(&mut self, bps: f64) {
        self.limit_bps = self.limit_bps.map(|limit| limit.max(bps));
    }

    /// Ends a round if it is time to.
    pub(super) fn update(&mut self, now: Time, rates: &Rates) {
        let since = *self.since.get_or_insert(now);
        let elapsed = now.since(since);
        let enough = self.expected >= PACKETS && elapsed >= ROUND_MIN
            || self.expected >= PACKETS_MIN && elapsed >= ROUND_MAX;
        if enough {
            let lost = if self.lost < LOST_MIN { 0 } else { self.lost };
            let expected = f64::from(self.expected);
            let share = (f64::from(lost) / expected).min(1.0);
            let chance = CHANCE * (share * (1.0 - share) / expected).sqrt();
            (self.expected, self.lost, self.since) = (0, 0, Some(now));
            self.round(share, chance, rates);
        }
    }

    fn round(&mut self, share: f64, chance: f64, rates: &Rates) {
        if let Some(fall) = self.fell
            && rates.sent_bps < (1.0 - fall.share / 2.0) * fall.sent_bps
        {
            self.fell = None;
            if share > REMAINS * fall.share {
                self.own = self.own.max(share);
                self.limit_bps = fall.limit_bps;
            }
        }
        let congestion = share - self.own;
        let follow = if share < self.own { OWN_FALL } else { OWN_RISE };
        self.own += follow * (share - self.own);
        if congestion - chance > FALL_ABOVE {
            let arrives_bps = (BETA * rates.arrived_bps)
                .min(rates.allowed_bps)
                .max(LEAST_BPS);
            self.fell.get_or_insert(Fall {
                share,
                sent_bps: rates.sent_bps,
                limit_bps: self.limit_bps,
            });
            self.limit_bps = Some(self.limit_bps.map_or(arrives_bps, |l| l.min(arrives_bps)));
        } else if congestion < RISE_BELOW
            && let Some(limit) = self.limit_bps
        {
            // A limit above what is allowed anyway limits nothing.
            self.limit_bps = Some(limit * RISE).filter(|&limit| limit < 1.5 * rates.allowed_bps);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds of 100 packets of a source that sends what it may, up to 1 Mbit/s, of which
    /// `lost_percent` do not arrive at the rate that is sent.
    fn rounds(control: &mut LossControl, rounds: u64, lost_percent: impl Fn(f64) -> f64) -> f64 {
        let mut sent_bps = 0.0;
        for _ in 0..rounds {
            sent_bps = control.limit_bps().unwrap_or(1e6).min(1e6);
            let lost = lost_percent(sent_bps);
            let now = control.since.unwrap_or_default() + Duration::from_millis(300);
            control.since.get_or_insert(Time::ZERO);
            control.count(100, lost.round() as u32);
            control.update(
                now,
                &Rates {
                    allowed_bps: 1e6,
                    sent_bps,
                    arrived_bps: sent_bps * (1.0 - lost / 100.0),
                },
            );
        }
        sent_bps
    }

    /// A path that drops what is more than it carries, without a queue.
    fn policed(path_bps: f64) -> impl Fn(f64) -> f64 {
        move |sent_bps| (100.0 * (1.0 - path_bps / sent_bps)).max(0.0)
    }

    #[test]
    fn a_little_loss_says_nothing() {
        let mut control = LossControl::default();
        rounds(&mut control, 50, |_| 5.0);
        assert_eq!(control.limit_bps(), None);
    }

    /// Chance makes 4 to 16 % of 10 % in a round of 100 packets.
    #[test]
    fn a_tenth_that_is_lost_by_chance_does_not_lower_the_rate() {
        let mut control = LossControl::default();
        for lost in [10.0, 14.0, 7.0, 16.0, 9.0, 12.0, 15.0, 4.0, 11.0, 13.0] {
            let sent_bps = rounds(&mut control, 1, |_| lost);
            assert!(sent_bps > 9e5, "{sent_bps}");
        }
        assert_eq!(control.limit_bps(), None);
    }

    #[test]
    fn a_path_that_drops_is_followed_down_and_up_again() {
        for path_bps in [1e5, 3e5, 6e5] {
            let mut control = LossControl::default();
            let sent_bps = rounds(&mut control, 4, policed(path_bps));
            assert!((0.7..1.2).contains(&(sent_bps / path_bps)), "{sent_bps}");
            rounds(&mut control, 100, policed(1e7));
            assert_eq!(control.limit_bps(), None);
        }
    }

    #[test]
    fn loss_that_stays_is_the_path_s_own_and_more_of_it_is_not() {
        for share in [15.0, 20.0, 40.0] {
            let mut control = LossControl::default();
            let sent_bps = rounds(&mut control, 100, |_| share);
            assert!(sent_bps > 9e5, "{share}: {sent_bps}");
            let sent_bps = rounds(&mut control, 4, |s| share.max(policed(3e5)(s)));
            assert!(sent_bps < 6e5, "{share}: {sent_bps}");
        }
    }
}
