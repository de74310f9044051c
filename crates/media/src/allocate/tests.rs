use proptest::prelude::*;

use super::*;

/// Demands that are new, with these ladders in kbit/s.
fn demands(ladders: &[&[u64]]) -> (Vec<u64>, Vec<Demand>) {
    let mut rates = Vec::new();
    let demands = ladders
        .iter()
        .map(|ladder| {
            let begin = rates.len();
            rates.extend(ladder.iter().map(|kbps| kbps * 1000));
            Demand {
                ladder: begin..rates.len(),
                present: Present::New,
                may_rise: true,
                at_least: None,
                priority: 1,
            }
        })
        .collect();
    (rates, demands)
}

fn grant(kbps: u64, rates: &[u64], demands: &[Demand]) -> (Vec<Option<usize>>, Allocation) {
    let mut granted = Vec::new();
    let allocation = allocate(kbps * 1000, rates, demands, &mut granted);
    (granted, allocation)
}

#[test]
fn everybody_gets_a_little_before_anybody_gets_much() {
    let (rates, demands) = demands(&[&[100, 400, 1500], &[100, 400, 1500]]);
    let granted = |kbps| grant(kbps, &rates, &demands).0;
    assert_eq!(granted(50), [None, None]);
    assert_eq!(granted(100), [Some(0), None]);
    assert_eq!(granted(200), [Some(0), Some(0)]);
    assert_eq!(granted(600), [Some(1), Some(0)]);
    assert_eq!(granted(1000), [Some(1), Some(1)]);
    assert_eq!(granted(2500), [Some(2), Some(1)]);
    assert_eq!(granted(4000), [Some(2), Some(2)]);
}

#[test]
fn the_more_important_picture_is_served_first() {
    let (rates, mut demands) = demands(&[&[100, 400, 1500], &[100, 400, 1500]]);
    demands[1].priority = 2;
    let granted = |kbps| grant(kbps, &rates, &demands).0;
    assert_eq!(granted(100), [None, Some(0)]);
    assert_eq!(granted(700), [Some(0), Some(1)]);
    assert_eq!(granted(2000), [Some(0), Some(2)]);
}

#[test]
fn a_rung_that_does_not_fit_leaves_room_for_a_smaller_one() {
    let (rates, demands) = demands(&[&[100, 3000], &[100, 300]]);
    assert_eq!(grant(600, &rates, &demands).0, [Some(0), Some(1)]);
}

#[test]
fn what_must_be_kept_is_kept_and_taken_off_what_others_get() {
    let (rates, mut demands) = demands(&[&[100, 400], &[100, 400]]);
    demands[1].at_least = Some(1);
    assert_eq!(grant(450, &rates, &demands).0, [None, Some(1)]);
    assert_eq!(grant(500, &rates, &demands).0, [Some(0), Some(1)]);
}

#[test]
fn what_is_there_is_kept_without_a_margin_and_more_needs_one() {
    let (rates, mut demands) = demands(&[&[100, 400]]);
    assert_eq!(grant(420, &rates, &demands).0, [Some(0)]);
    demands[0].present = Present::Rung(1);
    assert_eq!(grant(420, &rates, &demands).0, [Some(1)]);
    demands[0].present = Present::Rung(0);
    demands[0].may_rise = false;
    assert_eq!(grant(4000, &rates, &demands).0, [Some(0)]);
}

#[test]
fn a_picture_that_was_paused_comes_back_as_soon_as_its_smallest_fits() {
    let (rates, mut demands) = demands(&[&[100, 400]]);
    demands[0].present = Present::Paused;
    assert_eq!(grant(99, &rates, &demands).0, [None]);
    assert_eq!(grant(100, &rates, &demands).0, [Some(0)]);
    demands[0].may_rise = false;
    assert_eq!(grant(4000, &rates, &demands).0, [None]);
}

#[test]
fn it_says_what_the_next_step_up_would_need() {
    let (rates, demands) = demands(&[&[100, 435]]);
    assert_eq!(grant(300, &rates, &demands).1.wanted_bps, 400_000);
    assert_eq!(
        grant(600, &rates, &demands).1,
        Allocation {
            used_bps: 435_000,
            wanted_bps: 0
        }
    );
}

prop_compose! {
    fn some_demand()(
        steps in proptest::collection::vec(10..1000_u64, 1..7),
        present in 0..9_usize,
        may_rise: bool,
        priority in 0..3_u8,
    ) -> (Vec<u64>, Demand) {
        let rates: Vec<u64> = steps
            .iter()
            .scan(0, |sum, step| {
                *sum += step * 1000;
                Some(*sum)
            })
            .collect();
        let present = match present {
            7 => Present::New,
            8 => Present::Paused,
            rung => Present::Rung(rung.min(rates.len() - 1)),
        };
        let demand = Demand { ladder: 0..0, present, may_rise, at_least: None, priority };
        (rates, demand)
    }
}

prop_compose! {
    fn some_demands()(
        each in proptest::collection::vec(some_demand(), 0..12),
    ) -> (Vec<u64>, Vec<Demand>) {
        let mut rates = Vec::new();
        let demands = each
            .into_iter()
            .map(|(ladder, demand)| {
                let begin = rates.len();
                rates.extend(ladder);
                Demand { ladder: begin..rates.len(), ..demand }
            })
            .collect();
        (rates, demands)
    }
}

/// What is granted, in the order in which it is granted: the measure of what is better.
fn in_order(demands: &[Demand], granted: &[Option<usize>]) -> Vec<bool> {
    let mut priorities: Vec<u8> = demands.iter().map(|d| d.priority).collect();
    priorities.sort_unstable_by(|a, b| b.cmp(a));
    priorities.dedup();
    let mut decisions = Vec::new();
    let mut note = |priority: u8, rung: usize| {
        for (demand, granted) in demands.iter().zip(granted) {
            if demand.priority == priority && rung < demand.ladder.len() {
                decisions.push(granted.is_some_and(|granted| granted >= rung));
            }
        }
    };
    priorities.iter().for_each(|&priority| note(priority, 0));
    for &priority in &priorities {
        (1..8).for_each(|rung| note(priority, rung));
    }
    decisions
}

fn cost(rates: &[u64], demands: &[Demand], granted: &[Option<usize>]) -> u64 {
    let of = |(demand, granted): (&Demand, &Option<usize>)| {
        granted.map_or(0, |rung| rates[demand.ladder.start + rung])
    };
    demands.iter().zip(granted).map(of).sum()
}

proptest! {
    #[test]
    fn the_bandwidth_is_never_exceeded(
        (rates, demands) in some_demands(),
        kbps in 0..8000_u64,
    ) {
        let (granted, allocation) = grant(kbps, &rates, &demands);
        prop_assert_eq!(allocation.used_bps, cost(&rates, &demands, &granted));
        prop_assert!(allocation.used_bps <= kbps * 1000);
    }

    #[test]
    fn more_bandwidth_is_never_worse(
        (rates, demands) in some_demands(),
        kbps in 0..8000_u64,
        more in 0..2000_u64,
    ) {
        let before = in_order(&demands, &grant(kbps, &rates, &demands).0);
        let after = in_order(&demands, &grant(kbps + more, &rates, &demands).0);
        prop_assert!(after >= before, "{before:?} {after:?}");
    }

    /// What was granted is granted again while the bandwidth does not fall.
    #[test]
    fn what_is_granted_stays(
        (rates, mut demands) in some_demands(),
        kbps in 0..8000_u64,
    ) {
        let (granted, _) = grant(kbps, &rates, &demands);
        for (demand, granted) in demands.iter_mut().zip(&granted) {
            demand.present = granted.map_or(Present::Paused, Present::Rung);
            demand.may_rise = true;
        }
        let (again, _) = grant(kbps, &rates, &demands);
        prop_assert!(in_order(&demands, &again) >= in_order(&demands, &granted));
    }

    /// An estimate that wavers by 5 % around what it is moves a picture once, not all the time.
    #[test]
    fn a_wavering_estimate_does_not_make_pictures_flicker(
        ladder in proptest::collection::vec(100..1000_u64, 1..6),
        kbps in 100..4000_u64,
        noise in proptest::collection::vec(-5..=5_i64, 200),
    ) {
        let rates: Vec<u64> = ladder.iter().scan(0, |sum, step| {
            *sum += step * 1000;
            Some(*sum)
        }).collect();
        let mut demand = Demand {
            ladder: 0..rates.len(),
            present: Present::New,
            may_rise: true,
            at_least: None,
            priority: 1,
        };
        let mut shown = Vec::new();
        for percent in noise {
            let bandwidth = kbps * (100 + percent).unsigned_abs() / 100;
            let (granted, _) = grant(bandwidth, &rates, std::slice::from_ref(&demand));
            demand.present = granted[0].map_or(Present::Paused, Present::Rung);
            // Pictures are paused after seconds of much too little only, which this is not.
            demand.at_least = granted[0].map(|_| 0);
            shown.push(granted[0]);
        }
        shown.dedup();
        // Once to where it belongs, and once down if it began above.
        prop_assert!(shown.len() <= 3, "{shown:?}");
    }
}
