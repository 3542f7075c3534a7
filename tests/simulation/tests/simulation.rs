//! A fleet is played, and the laws hold; each mistake that is planted is found.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

use gotocloud_simulation::{Fault, Habits, Law, Outcome, Settings, run};
use std::{sync::Mutex, time::Instant};

/// How long each world of the default run lasts, in days.
const DAYS: u32 = 30;
/// How many worlds the default run plays.
const WORLDS: u64 = 6;
/// Worlds in which a planted mistake is looked for, until it is found.
const TRIED: u64 = 10;
/// The mistakes that few worlds show, with a seed and a length, in days, by which one does.
const RARE: [(Fault, u64, u32); 3] =
    [(Fault::HoldsWhatGoesBack, 33, SHORT), (Fault::LooksFactsUp, 32, SHORT), (Fault::MendsNothing, 10, 8)];
/// How long a world lasts in which a mistake is looked for, in days.
const SHORT: u32 = 20;

/// The laws that no planted mistake breaks here, and why.
const EXCEPTED: [(Law, &str); 2] = [
    (
        Law::Holder,
        "what a campaign took is on its way within seconds, which holds others off whether or not they see whose it is; the \
         model checker of campaigns, which plays every order of those seconds, breaks it by writing over what was not seen",
    ),
    (
        Law::Begun,
        "only what went back and is to go forward again in the same campaign could begin twice in one attempt: a mistake \
         that forgets to count it was not found in ten worlds, as people rarely ask for both",
    ),
];

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
    let begun = Instant::now();
    let mut events = 0;
    for seed in 0..WORLDS {
        let outcome = run(&settings(seed));
        assert!(outcome.broken.is_none(), "{}", told(seed, &outcome));
        events += outcome.events;
    }
    let seconds = begun.elapsed().as_secs_f64();
    #[allow(clippy::cast_precision_loss)] // A rate needs no more than 52 bits.
    let rate = events as f64 / seconds;
    println!("{events} events in {seconds:.1} s, {rate:.0} a second");
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_another() {
    let short = |seed: u64| run(&Settings { days: 5, ..settings(seed) });
    let (first, second, other) = (short(3), short(3), short(4));
    assert_eq!((&first.hash, first.events), (&second.hash, second.events));
    assert_ne!(first.hash, other.hash);
}

#[test]
fn each_law_is_broken_by_a_planted_mistake_or_it_is_said_why_not() {
    for law in Law::ALL {
        let is_bitten = Fault::FOUND.iter().any(|(_, broken)| broken == law);
        let is_excepted = EXCEPTED.iter().any(|(excepted, _)| excepted == law);
        assert!(is_bitten != is_excepted, "{law:?}: broken by a mistake: {is_bitten}, excepted: {is_excepted}");
    }
}

#[test]
fn planted_mistakes_are_found_within_the_default_run() {
    let left = Mutex::new(Fault::FOUND.to_vec());
    let find = || {
        loop {
            let Some((fault, law)) = left.lock().unwrap().pop() else { return };
            let rare = RARE.iter().find(|(rare, ..)| *rare == fault);
            let (from, days) = rare.map_or((0, SHORT), |(_, seed, days)| (*seed, *days));
            let short = |seed: u64| Settings { days, fault: Some(fault), ..settings(seed) };
            // What is planted breaks other laws as well; this is the one that names it.
            let breaks_it = |seed: &u64| run(&short(*seed)).broken.is_some_and(|broken| broken.law == law);
            let found = (from..from + TRIED).find(breaks_it);
            assert!(found.is_some(), "{fault:?} does not break the law: {law}");
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(find);
        scope.spawn(find);
    });
}
