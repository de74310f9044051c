//! How fast a client may send: by slowing the reading, so that nothing is lost and a flood only
//! fills the sender's own buffers.

use std::time::Duration;

use tokio::time::Instant;

/// Messages that may come at once.
const BURST: u32 = 200;

/// Time after which one more message may come: 100 in a second.
const INTERVAL: Duration = Duration::from_millis(10);

/// A bucket of tokens, kept as the time at which it would be full.
pub(super) struct Throttle {
    full_at: Instant,
}

impl Throttle {
    pub(super) fn new() -> Self {
        Self {
            full_at: Instant::now(),
        }
    }

    /// Takes one token; waits for it if there is none.
    pub(super) async fn pass(&mut self) {
        let wait = self.take(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes one token at the time `now`; how long to wait until it is there.
    fn take(&mut self, now: Instant) -> Duration {
        self.full_at = self.full_at.max(now) + INTERVAL;
        self.full_at
            .saturating_duration_since(now + INTERVAL * BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
        let mut throttle = Throttle::new();
        let mut now = throttle.full_at;
        for _ in 0..BURST {
            assert_eq!(throttle.take(now), Duration::ZERO);
        }
        let start = now;
        for _ in 0..100 {
            now += throttle.take(now);
        }
        assert_eq!(now - start, Duration::from_secs(1));
        now += Duration::from_secs(60);
        for _ in 0..BURST {
            assert_eq!(throttle.take(now), Duration::ZERO);
        }
        assert_eq!(throttle.take(now), INTERVAL);
    }
}
