//! One direction of an emulated path.

use core::time::Duration;

use crosspoint_wire::time::Time;

use crate::rng::Rng;

/// What a link does to packets. The default is a perfect one.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkConfig {
    /// Bottleneck in bit/s; `None`: none.
    pub rate_bps: Option<u64>,
    /// Longest queue in front of the bottleneck; what would wait longer is dropped.
    pub queue: Duration,
    /// Time from the bottleneck to the other end.
    pub delay: Duration,
    /// Up to this much more, evenly distributed. Does not reorder.
    pub jitter: Duration,
    /// Packets that never arrive.
    pub loss: Loss,
    /// Share of packets that are overtaken by those of the next `reorder_by`.
    pub reorder: f64,
    /// How long an overtaken packet is held up.
    pub reorder_by: Duration,
    /// Share of packets that arrive twice.
    pub duplicate: f64,
}

/// How packets get lost.
#[derive(Clone, Copy, Debug, Default)]
pub enum Loss {
    /// Not at all.
    #[default]
    None,
    /// Each for itself, with this probability.
    Random(f64),
    /// In bursts (Gilbert-Elliott): a good state without loss and a bad one.
    Bursts {
        /// Probability per packet to enter the bad state.
        enter: f64,
        /// Probability per packet to leave it.
        leave: f64,
        /// Loss while in it.
        loss: f64,
    },
    /// All of them.
    Blackhole,
}

impl LinkConfig {
    /// A perfect link of this one-way delay.
    #[must_use]
    pub fn delay_ms(ms: u64) -> Self {
        Self {
            delay: Duration::from_millis(ms),
            ..Self::default()
        }
    }

    /// The same with random loss.
    #[must_use]
    pub const fn losing(self, share: f64) -> Self {
        Self {
            loss: Loss::Random(share),
            ..self
        }
    }
}

/// A link in operation.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    rng: Rng,
    /// When the bottleneck is through with what it has.
    busy_until: Time,
    /// Arrival of the newest packet that was not held up.
    newest_arrival: Time,
    in_burst: bool,
    /// Packets given to the link, and dropped by it.
    pub sent: u64,
    /// See `sent`.
    pub dropped: u64,
}

impl Link {
    /// A link that decides by `rng`.
    #[must_use]
    pub const fn new(config: LinkConfig, rng: Rng) -> Self {
        Self {
            config,
            rng,
            busy_until: Time::ZERO,
            newest_arrival: Time::ZERO,
            in_burst: false,
            sent: 0,
            dropped: 0,
        }
    }

    /// Changes what the link does from now on.
    pub const fn set(&mut self, config: LinkConfig) {
        self.config = config;
    }

    /// How long a packet that enters now would wait for the bottleneck.
    #[must_use]
    pub const fn queue(&self, now: Time) -> Duration {
        self.busy_until.since(now)
    }

    /// When a packet of `len` bytes that enters at `now` arrives: never, once or twice.
    pub fn send(&mut self, now: Time, len: usize) -> [Option<Time>; 2] {
        self.sent += 1;
        let Some(through) = self.pass_bottleneck(now, len).filter(|_| !self.loses()) else {
            self.dropped += 1;
            return [None, None];
        };
        let jitter_us = self.config.jitter.as_micros() as u64;
        let jitter = Duration::from_micros(self.rng.below(jitter_us + 1));
        let mut arrival = (through + self.config.delay + jitter).max(self.newest_arrival);
        if self.rng.chance(self.config.reorder) {
            arrival += self.config.reorder_by;
        } else {
            self.newest_arrival = arrival;
        }
        let again = self.rng.chance(self.config.duplicate);
        [Some(arrival), again.then_some(arrival)]
    }

    /// When the packet has left the queue; `None` if the queue is full.
    fn pass_bottleneck(&mut self, now: Time, len: usize) -> Option<Time> {
        let Some(rate_bps) = self.config.rate_bps else {
            return Some(now);
        };
        let begins = self.busy_until.max(now);
        if begins.since(now) > self.config.queue {
            return None;
        }
        self.busy_until = begins + Duration::from_micros(len as u64 * 8_000_000 / rate_bps);
        Some(self.busy_until)
    }

    fn loses(&mut self) -> bool {
        match self.config.loss {
            Loss::None => false,
            Loss::Random(share) => self.rng.chance(share),
            Loss::Bursts { enter, leave, loss } => {
                let turn = if self.in_burst { leave } else { enter };
                self.in_burst ^= self.rng.chance(turn);
                self.in_burst && self.rng.chance(loss)
            }
            Loss::Blackhole => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(config: LinkConfig, count: u64, every_us: u64) -> Vec<[Option<Time>; 2]> {
        let mut link = Link::new(config, Rng::new(7));
        (0..count)
            .map(|n| link.send(Time::from_micros(n * every_us), 1250))
            .collect()
    }

    #[test]
    fn a_bottleneck_spaces_packets_and_drops_what_would_wait_too_long() {
        let config = LinkConfig {
            rate_bps: Some(1_000_000),
            queue: Duration::from_millis(100),
            ..LinkConfig::delay_ms(20)
        };
        // 1250 bytes take 10 ms; 30 come at once.
        let arrived: Vec<_> = arrivals(config, 30, 0)
            .iter()
            .filter_map(|a| a[0])
            .collect();
        assert_eq!(arrived.len(), 11);
        assert_eq!(arrived[0], Time::from_millis(30));
        assert_eq!(arrived[10], Time::from_millis(130));
    }

    #[test]
    fn losses_have_their_share_and_bursts_their_length() {
        let lost = |loss| {
            let config = LinkConfig {
                loss,
                ..LinkConfig::default()
            };
            arrivals(config, 100_000, 1000)
                .iter()
                .map(|a| a[0].is_none())
                .collect::<Vec<_>>()
        };
        let share = |lost: &[bool]| lost.iter().filter(|&&l| l).count() as f64 / 100_000.0;
        let random = lost(Loss::Random(0.1));
        assert!((share(&random) - 0.1).abs() < 0.005);
        let bursts = lost(Loss::Bursts {
            enter: 0.01,
            leave: 0.2,
            loss: 1.0,
        });
        assert!((share(&bursts) - 1.0 / 21.0).abs() < 0.01);
        let begins = bursts.windows(2).filter(|w| !w[0] && w[1]).count();
        let mean = bursts.iter().filter(|&&l| l).count() / begins;
        assert!((4..=6).contains(&mean), "{mean}");
    }

    #[test]
    fn jitter_keeps_the_order_and_reordering_does_not() {
        let jitter = LinkConfig {
            jitter: Duration::from_millis(50),
            ..LinkConfig::delay_ms(10)
        };
        let in_order = |a: &[[Option<Time>; 2]]| a.windows(2).all(|w| w[0][0] <= w[1][0]);
        assert!(in_order(&arrivals(jitter, 1000, 1000)));
        let reorder = LinkConfig {
            reorder: 0.1,
            reorder_by: Duration::from_millis(5),
            duplicate: 0.1,
            ..jitter
        };
        let arrived = arrivals(reorder, 1000, 1000);
        assert!(!in_order(&arrived));
        let twice = arrived.iter().filter(|a| a[1].is_some()).count();
        assert!((60..140).contains(&twice), "{twice}");
    }
}
