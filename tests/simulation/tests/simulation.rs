//! A fleet is played, and the laws hold; each mistake that is planted is found.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

use gotocloud_simulation::{Fault, Habits, Outcome, Settings, run};

/// How long each world of the default run lasts, in days.
const DAYS: u32 = 60;
/// How many worlds the default run plays.
const WORLDS: u64 = 16;

fn settings(seed: u64) -> Settings {
    Settings { seed, fleet: 4, days: DAYS, fault: None, habits: Habits::DEFAULT }
}

/// What happened last in a world in which a law was broken, and how to play it again.
fn told(seed: u64, outcome: &Outcome) -> String {
    let broken = outcome.broken.as_ref().unwrap();
    let last = outcome.last[outcome.last.len().saturating_sub(40)..].join("\n");
    format!(
        "{last}\nbroken: {}: {}\nagain: cargo xtask simulate --seed {seed} --fleet 4 --days {DAYS}",
        broken.law, broken.what
    )
}

#[test]
fn the_laws_hold_whatever_people_and_faults_do() {
    for seed in 0..WORLDS {
        let outcome = run(&settings(seed));
        assert!(outcome.broken.is_none(), "{}", told(seed, &outcome));
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_another() {
    let short = |seed: u64| run(&Settings { days: 10, ..settings(seed) });
    let (first, second, other) = (short(3), short(3), short(4));
    assert_eq!((&first.hash, first.events), (&second.hash, second.events));
    assert_ne!(first.hash, other.hash);
}

#[test]
fn planted_mistakes_are_found_within_the_default_run() {
    for (fault, law) in Fault::FOUND {
        let found =
            (0..WORLDS).find_map(|seed| run(&Settings { days: 20, fault: Some(fault), ..settings(seed) }).broken);
        let found = found.unwrap_or_else(|| panic!("{fault:?} is not found"));
        assert_eq!(found.law, law, "{fault:?}: {}", found.what);
    }
}
