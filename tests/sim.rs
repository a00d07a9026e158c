//! Rooms across edges, in virtual time: a core, whole edges with the links between them, and people who join,
//! leave, move and speak, while a network in memory loses, delays and is cut, and servers die and come back.
//! All of it follows from a seed, and what must hold is looked at with each frame.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that fails may say so by a panic"
)]

#[path = "sim/acts.rs"]
mod acts;
#[path = "sim/authority.rs"]
mod authority;
#[path = "sim/check.rs"]
mod check;
#[path = "sim/clock.rs"]
mod clock;
#[path = "sim/cluster.rs"]
mod cluster;
#[path = "sim/core_rows.rs"]
mod core_rows;
#[path = "sim/counters.rs"]
mod counters;
#[path = "sim/facts.rs"]
mod facts;
#[path = "sim/faults.rs"]
mod faults;
#[path = "sim/look.rs"]
mod look;
#[path = "sim/network.rs"]
mod network;
#[path = "sim/observe.rs"]
mod observe;
#[path = "sim/people.rs"]
mod people;
#[path = "sim/random.rs"]
mod random;
#[path = "sim/run.rs"]
mod run;
#[path = "sim/view.rs"]
mod view;
#[path = "sim/world.rs"]
mod world;

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use authority::Authority;
use check::{Invariant, Violation};
use pulse_core::planted::Bug;
use run::{Outcome, run};

/// One world lives so long.
const LIFE: Duration = Duration::from_secs(10 * 60);

/// Hours of a usual run, whose seeds are always the same: it fails only by what has changed. Longer ones take others each time.
const USUAL_HOURS: u64 = 5;

/// Worlds within which a planted fault is to be found.
const PLANTED_SEEDS: u64 = 20;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn a_seed_repeats_everything() {
    let authority = Authority::new();
    let life = Duration::from_secs(90);
    let [a, b, other] = [7, 7, 8].map(|seed| run(&authority, seed, life, None));
    assert_eq!((a.digest, a.counts), (b.digest, b.counts));
    assert_ne!(a.digest, other.digest);
    assert!(a.counts.frames > 100);
}

/// Several hours, or one seed.
#[test]
fn long() {
    let authority = Authority::new();
    let hours = number("PULSE_SIM_HOURS").unwrap_or(USUAL_HOURS);
    let one = number("PULSE_SIM_SEED");
    let lives = one.map_or(hours * 3_600 / LIFE.as_secs(), |_| 1);
    let anywhere = || RandomState::new().hash_one(0) >> 20;
    let first = match one {
        None if hours > USUAL_HOURS => anywhere(),
        one => one.unwrap_or(1),
    };
    println!("seeds {first} to {}", first + lives - 1);
    let (next, outcomes) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let life = next.fetch_add(1, Ordering::Relaxed);
                    if life >= lives {
                        return;
                    }
                    let outcome = run(&authority, first + life, LIFE, None);
                    if outcome.violation.is_some() || one.is_some() {
                        println!("{outcome}");
                    }
                    outcomes.lock().unwrap().push(outcome);
                }
            });
        }
    });
    let outcomes: Vec<Outcome> = outcomes.into_inner().unwrap();
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    let violations = outcomes
        .iter()
        .filter(|one| one.violation.is_some())
        .count();
    println!(
        "{} seeds, {:.1} hours, {} joins ({} resumed), {} frames, {} messages, {} faults, {} rosters compared, violations {violations}",
        outcomes.len(),
        outcomes
            .iter()
            .map(|one| one.lived.as_secs_f64())
            .sum::<f64>()
            / 3_600.0,
        sum(|one| one.counts.joins),
        sum(|one| one.counts.resumes),
        sum(|one| one.counts.frames),
        sum(|one| one.counts.chats),
        sum(|one| one.counts.faults),
        sum(|one| one.counts.looks),
    );
    assert_eq!(violations, 0);
}

/// The first seed by which a planted fault is found, and what broke by it.
fn found(bug: Bug) -> Violation {
    let authority = Authority::new();
    let mut lived = Duration::ZERO;
    for seed in 1..=PLANTED_SEEDS {
        let outcome = run(&authority, seed, LIFE, Some(bug));
        lived += outcome.lived;
        if let Some(violation) = outcome.violation {
            println!("{bug:?}: seed {seed}, {lived:?} in all, {violation}");
            return violation;
        }
    }
    panic!("{bug:?} was not found within {lived:?} of simulated time");
}

#[test]
fn what_is_passed_on_to_where_it_came_from_is_found() {
    assert_eq!(found(Bug::ForwardsBack).of, Invariant::NoEcho);
}

#[test]
fn what_is_passed_on_twice_is_found() {
    assert_eq!(found(Bug::NoWindow).of, Invariant::Once);
}

#[test]
fn short_names_of_the_connection_before_are_found() {
    let violation = found(Bug::AliasKept);
    // Nobody knows what they mean, or the other edge ends each link at the first of them.
    assert!(matches!(
        violation.of,
        Invariant::Heard | Invariant::Mends | Invariant::OneWriter
    ));
}

#[test]
fn a_core_that_began_earlier_and_is_believed_is_found() {
    assert_eq!(found(Bug::StaleTerm).of, Invariant::Term);
}

#[test]
fn a_lease_that_takes_away_who_is_reachable_is_found() {
    assert_eq!(found(Bug::ForgetsReachable).of, Invariant::ReachableStays);
}

#[test]
fn a_lease_that_takes_nobody_away_is_found() {
    assert_eq!(found(Bug::KeepsDead).of, Invariant::Roster);
}
