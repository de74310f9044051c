//! A link like that of a telephone on the move.

use core::time::Duration;

use crosspoint_sim::rng::Rng;
use crosspoint_wire::time::Time;

use crate::chart;
use crate::plan::Step::{Capacity, Join};
use crate::plan::{LAYERS, Plan, judge};

/// Capacity wanders between 0.4 and 4 Mbit/s, by up to a quarter each 500 ms.
fn wandering(seed: u64) -> impl FnMut(Time, u64) -> Option<u64> {
    let mut rng = Rng::new(seed * 7919);
    let mut next = Time::ZERO;
    move |now, bps| {
        if now < next {
            return None;
        }
        next = now + Duration::from_millis(500);
        let percent = 80 + rng.below(46);
        Some((bps * percent / 100).clamp(400_000, 4_000_000))
    }
}

#[test]
fn a_wandering_capacity_is_followed() {
    let plan = Plan {
        name: "cellular",
        steps: &[
            (0, Capacity(1500), "1.5 Mbit/s to begin with"),
            (0, Join, "a viewer"),
        ],
        seconds: 120,
        layers: LAYERS,
        publishes: None,
    };
    let mut failures = Vec::new();
    for seed in 1..=20 {
        let course = plan.run_with(seed, wandering(seed));
        if seed == 1
            && let Some(dir) = std::env::var_os("SIM_PLOT_DIR")
        {
            chart::draw(dir.as_ref(), plan.name, &course);
        }
        let verdict = judge(&course);
        let line = format!("cellular seed {seed}: {verdict}");
        println!("{line}");
        if !(0.75..=1.10).contains(&verdict.share) || verdict.queue_p95_ms > 150.0 {
            failures.push(line);
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
