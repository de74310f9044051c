//! How much may be sent to one session now.
//!
//! One [`Estimator`] per session, for the sum of what the session is sent. The allocator asks it
//! for the [`bandwidth`](Estimator::bandwidth) that it may hand out among the session's slots, and
//! tells it what it would [`want`](Estimator::want) beyond that. It decides nothing about layers.

use crosspoint_wire::time::Time;

/// A bandwidth is told anew when it differs by this share, in per cent, from what was told last:
/// allocation is work, and a change that moves no layer is none.
const CHANGE_PERCENT: u64 = 3;

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct Estimator {
    /// What the subscriber allows (REMB).
    limit_bps: Option<u64>,
    /// What the allocator could use beyond what it has.
    #[expect(dead_code, reason = "probes come next")]
    wanted_bps: Option<u64>,
    /// The bandwidth when a change was last told.
    told_bps: Option<u64>,
}

impl Estimator {
    /// Bits per second that may be sent to the session now, RTP headers and repairs included;
    /// `None` when there is no feedback to know it by: as much as there is.
    pub(crate) fn bandwidth(&self) -> Option<u64> {
        self.limit_bps
    }

    /// Says what the allocator would use **beyond** what it uses now to make its next step up: a
    /// reason to find out whether the path carries it. 0: there is no such step.
    #[expect(dead_code, reason = "the allocator comes next")]
    pub(crate) fn want(&mut self, _now: Time, bits_per_second: u64) {
        self.wanted_bps = Some(bits_per_second);
    }

    /// Takes the subscriber's own limit (draft-alvestrand-rmcat-remb §2.2).
    pub(crate) fn on_remb(&mut self, bits_per_second: u64) {
        self.limit_bps = Some(bits_per_second);
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
}
