//! Totals of single streams, for reports: a handful of additions per packet.

use core::time::Duration;

use crosspoint_wire::time::Time;

use crate::inspect::RemoteReport;

/// What came of one encoding.
#[derive(Debug, Default)]
pub(crate) struct Inflow {
    pub(crate) bytes: u64,
    pub(crate) repairs: u64,
    pub(crate) keyframes: u64,
    pub(crate) nacks: u64,
    pub(crate) plis: u64,
    pub(crate) firs: u64,
    pub(crate) pace: Pace,
}

/// What was sent of one slot.
#[derive(Debug, Default)]
pub(crate) struct Outflow {
    pub(crate) packets: u64,
    pub(crate) repeats: u64,
    pub(crate) bytes: u64,
    pub(crate) frames: u64,
    pub(crate) nacks: u64,
    pub(crate) plis: u64,
    pub(crate) firs: u64,
    pub(crate) remote: Option<RemoteReport>,
}

impl Outflow {
    /// Counts a packet that leaves for the first time.
    #[inline]
    pub(crate) fn on_packet(&mut self, payload_len: usize, ends_frame: bool) {
        self.packets += 1;
        self.bytes += payload_len as u64;
        self.frames += u64::from(ends_frame);
    }

    /// Counts a packet that leaves again.
    pub(crate) fn on_repeat(&mut self, payload_len: usize) {
        self.repeats += 1;
        self.bytes += payload_len as u64;
    }
}

/// A pause longer than this many times the usual distance of frames is a freeze ...
const FREEZE_FRAMES: u32 = 3;
/// ... or one that exceeds it by this much, whichever is longer: the definition of `freezeCount` in
/// <https://w3c.github.io/webrtc-stats/#dom-rtcinboundrtpstreamstats-freezecount>.
const FREEZE_BEYOND: Duration = Duration::from_millis(150);
/// A longer pause is a stream that was stopped.
const STOPPED_AFTER: Duration = Duration::from_secs(10);

/// In which rhythm frames come, and where it broke.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    pub(crate) frames: u64,
    pub(crate) freezes: u64,
    pub(crate) frozen: Duration,
    last: Option<Time>,
    /// Usual distance of frames: a moving average over about 16.
    usual: Option<Duration>,
}

impl Pace {
    /// The last packet of a frame came.
    pub(crate) fn on_frame(&mut self, now: Time) {
        self.frames += 1;
        let Some(distance) = self.last.replace(now).map(|last| now.since(last)) else {
            return;
        };
        if distance > STOPPED_AFTER {
            self.usual = None;
            return;
        }
        let Some(usual) = self.usual else {
            self.usual = Some(distance);
            return;
        };
        if distance > (usual * FREEZE_FRAMES).max(usual + FREEZE_BEYOND) {
            self.freezes += 1;
            self.frozen += distance;
        }
        self.usual = Some((usual * 15 + distance) / 16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_freeze_and_a_slow_stream_is_not() {
        let mut pace = Pace::default();
        let mut now = 0;
        let mut frame = |after_ms| {
            now += after_ms;
            pace.on_frame(Time::from_millis(now));
            (pace.freezes, pace.frozen.as_millis())
        };
        for _ in 0..30 {
            assert_eq!(frame(33), (0, 0));
        }
        assert_eq!(frame(150), (0, 0));
        assert_eq!(frame(400), (1, 400));
        assert_eq!(frame(33), (1, 400));
        // It was switched off and comes back with one frame a second.
        assert_eq!(frame(60_000), (1, 400));
        for _ in 0..5 {
            assert_eq!(frame(1000), (1, 400));
        }
    }
}
