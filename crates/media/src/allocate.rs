//! Who gets how much of a session's bandwidth: a pure function.
//!
//! Every picture that a session receives has a ladder: what each better quality of it costs.
//! Rungs are granted in one order that does not depend on the bandwidth: the lowest rung of each,
//! then, the more important pictures before the others, one rung after the other for each in
//! turn. A rung that does not fit is not granted, nor any above it, and the next picture is
//! asked. Hence a larger bandwidth never takes a rung from a picture without giving one that
//! comes earlier in the order.
//!
//! Against flicker, a rung that a picture does not have now must fit with a margin. The lowest one
//! needs none: who leaves pictures out altogether does so late, and that is the margin.

use core::ops::Range;

/// Share of the bandwidth, in per cent, that may be used after a rung is granted anew.
const RISE_PERCENT: u64 = 87;

/// More is wanted at once than the next rung needs, up to this share of what is used, in per cent.
const STRIDE_PERCENT: u64 = 150;

/// One picture's claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Its ladder within the rates given: bits per second, ascending. Not empty.
    pub(crate) ladder: Range<usize>,
    /// The rung that it has now, counted from the ladder's foot.
    pub(crate) present: Present,
    /// Whether it may get a higher rung than it has.
    pub(crate) may_rise: bool,
    /// It keeps at least this rung, whatever the bandwidth.
    pub(crate) at_least: Option<usize>,
    /// More important pictures have more.
    pub(crate) priority: u8,
}

/// What a picture has before allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Present {
    /// It is new: its lowest rung needs no margin.
    New,
    /// It was paused for want of bandwidth: its lowest rung needs no margin either, since a picture
    /// is paused only when it has been much too much for long.
    Paused,
    /// This rung.
    Rung(usize),
}

impl Present {
    /// Whether having `rung` is more than this.
    fn is_below(self, rung: usize) -> bool {
        match self {
            Self::New => rung > 0,
            Self::Paused => true,
            Self::Rung(present) => rung > present,
        }
    }

    /// Whether `rung` must fit with a margin.
    fn needs_margin(self, rung: usize) -> bool {
        self.is_below(rung) && rung > 0
    }
}

/// The outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allocation {
    /// Bits per second that are used.
    pub(crate) used_bps: u64,
    /// Bits per second beyond those that the next rung in the order needs, margin included, and
    /// some of those after it; 0 when nobody wants more.
    pub(crate) wanted_bps: u64,
}

/// Grants each of `demands` a rung of its ladder in `rates`, or none, in `granted`.
pub(crate) fn allocate(
    bandwidth_bps: u64,
    rates: &[u64],
    demands: &[Demand],
    granted: &mut Vec<Option<usize>>,
) -> Allocation {
    granted.clear();
    granted.resize(demands.len(), None);
    let mut allocation = Allocation::default();
    let mut next_bps = None;
    let mut grant = |index: usize, rung: usize, granted: &mut Vec<Option<usize>>| {
        let Some((demand, place)) = demands.get(index).zip(granted.get_mut(index)) else {
            return;
        };
        let Some(ladder) = rates.get(demand.ladder.clone()) else {
            return;
        };
        let Some(&rate) = ladder.get(rung) else {
            return;
        };
        let has = place.and_then(|has| ladder.get(has)).copied().unwrap_or(0);
        // What is below was not granted.
        if place.map_or(0, |has| has + 1) != rung {
            return;
        }
        let used = allocation.used_bps - has + rate;
        let forced = demand.at_least.is_some_and(|least| rung <= least);
        let rises = demand.present.is_below(rung);
        let needed = if demand.present.needs_margin(rung) {
            used * 100 / RISE_PERCENT
        } else {
            used
        };
        if forced || (needed <= bandwidth_bps && (demand.may_rise || !rises)) {
            *place = Some(rung);
            allocation.used_bps = used;
        } else if needed > bandwidth_bps {
            next_bps.get_or_insert(used * 100 / RISE_PERCENT);
        }
    };
    // What must be kept is taken off first, so that nobody is granted what is not there.
    for (index, demand) in demands.iter().enumerate() {
        if let Some(least) = demand.at_least {
            (0..=least).for_each(|rung| grant(index, rung, granted));
        }
    }
    let mut priorities_left = demands.iter().map(|d| d.priority).max();
    while let Some(priority) = priorities_left {
        for (index, _) in of_priority(demands, priority) {
            grant(index, 0, granted);
        }
        priorities_left = next_lower(demands, priority);
    }
    let mut priorities_left = demands.iter().map(|d| d.priority).max();
    while let Some(priority) = priorities_left {
        let rungs = of_priority(demands, priority).map(|(_, d)| d.ladder.len());
        for rung in 1..rungs.max().unwrap_or(0) {
            for (index, _) in of_priority(demands, priority) {
                grant(index, rung, granted);
            }
        }
        priorities_left = next_lower(demands, priority);
    }
    allocation.wanted_bps = if allocation.used_bps > bandwidth_bps {
        // What is kept by force wants a bandwidth that carries it first of all.
        (allocation.used_bps * 100 / RISE_PERCENT).saturating_sub(bandwidth_bps)
    } else {
        // Rungs that lie close together are not climbed with a probe for each.
        let all = demands
            .iter()
            .filter_map(|d| rates.get(d.ladder.clone())?.last());
        let all_bps = all.sum::<u64>() * 100 / RISE_PERCENT;
        let stride_bps = (allocation.used_bps * STRIDE_PERCENT / 100).min(all_bps);
        next_bps.map_or(0, |next| {
            next.max(stride_bps).saturating_sub(allocation.used_bps)
        })
    };
    allocation
}

fn of_priority(demands: &[Demand], priority: u8) -> impl Iterator<Item = (usize, &Demand)> {
    let all = demands.iter().enumerate();
    all.filter(move |(_, demand)| demand.priority == priority)
}

fn next_lower(demands: &[Demand], priority: u8) -> Option<u8> {
    let priorities = demands.iter().map(|d| d.priority);
    priorities.filter(|&p| p < priority).max()
}

#[cfg(test)]
mod tests;
