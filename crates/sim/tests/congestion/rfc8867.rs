//! RFC 8867 §5.1 to 5.4 and 5.8: one way 50 ms, a drop-tail queue of 300 ms.

use crate::plan::Step::{Back, Capacity, Join, Pause};
use crate::plan::{Course, LAYERS, LAYERS_OF_THREE, Plan, check};

#[test]
fn variable_capacity_with_one_flow() {
    check(&Plan {
        name: "5.1 variable capacity, one flow",
        steps: &[
            (0, Capacity(1000), "a link of 1 Mbit/s"),
            (0, Join, "a viewer"),
            (40, Capacity(2500), "more than all layers need"),
            (60, Capacity(600), "the middle layer at most"),
            (80, Capacity(1000), "back to the beginning"),
        ],
        seconds: 100,
        layers: LAYERS,
        publishes: None,
    });
}

#[test]
fn variable_capacity_with_two_flows() {
    check(&Plan {
        name: "5.2 variable capacity, two flows",
        steps: &[
            (0, Capacity(4000), "enough for both"),
            (0, Join, "the first viewer"),
            (0, Join, "the second viewer"),
            (25, Capacity(2000), "half of it"),
            (50, Capacity(3500), "more again"),
            (75, Capacity(1000), "a quarter"),
            (100, Capacity(2000), "half again"),
        ],
        seconds: 125,
        layers: LAYERS,
        publishes: None,
    });
}

#[test]
fn congested_feedback() {
    check(&Plan {
        name: "5.3 congested feedback",
        steps: &[
            (0, Capacity(2000), "2 Mbit/s forward"),
            (0, Join, "a viewer that publishes, too"),
            (0, Back(2000), "and as much back"),
            (20, Capacity(1000), "less forward"),
            (35, Back(800), "less back than the viewer publishes"),
            (40, Capacity(500), "much less forward"),
            (60, Capacity(2000), "all of it again"),
            (70, Back(2000), "and back"),
        ],
        seconds: 100,
        layers: LAYERS,
        publishes: Some(850_000),
    });
}

#[test]
fn three_flows_of_the_same_kind_share_fairly() {
    let courses = check(&Plan {
        name: "5.4 three flows, joining one after the other",
        steps: &[
            (0, Capacity(3500), "3.5 Mbit/s for all"),
            (0, Join, "the first viewer has it alone"),
            (20, Join, "the second"),
            (40, Join, "the third"),
        ],
        seconds: 120,
        layers: LAYERS_OF_THREE,
        publishes: None,
    });
    for (seed, course) in (1..).zip(&courses) {
        let fairness = jain(course);
        println!("Jain's index, seed {seed}: {fairness:.3}");
        assert!(fairness >= 0.9, "seed {seed}: Jain's index {fairness:.3}");
    }
}

#[test]
fn a_flow_pauses_and_resumes() {
    check(&Plan {
        name: "5.8 pause and resume",
        steps: &[
            (0, Capacity(3500), "3.5 Mbit/s for all"),
            (0, Join, "the first viewer"),
            (0, Join, "the second"),
            (0, Join, "the third"),
            (40, Pause(0, true), "the first looks away"),
            (60, Pause(0, false), "and back"),
        ],
        seconds: 120,
        layers: LAYERS_OF_THREE,
        publishes: None,
    });
}

/// Jain's index of the viewers' mean estimates, while all are there and settled.
fn jain(course: &Course) -> f64 {
    let looks = course
        .looks
        .iter()
        .filter(|l| !l.settling && l.viewers.len() == 3);
    let mut sums = [0.0; 3];
    for look in looks {
        for (sum, viewer) in sums.iter_mut().zip(&look.viewers) {
            *sum += viewer.map_or(0.0, |v| v.0 as f64);
        }
    }
    let sum: f64 = sums.iter().sum();
    sum * sum / (3.0 * sums.iter().map(|s| s * s).sum::<f64>())
}
