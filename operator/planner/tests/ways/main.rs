//! Does what must always hold of ways between releases hold, whatever happens in between?
//!
//! Instances go by the planner's own rules over two steps, the second of which cannot be undone, while people pause, abort, pin
//! and have what failed tried again. How campaigns carry them on is checked in `tests/model`.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

#[path = "../common/exploring.rs"]
mod exploring;
mod fleet;

use exploring::Found;
use fleet::{Fault, Fleet};

/// Goes through all states.
fn explore(fleet: Fleet) -> Found {
    exploring::explore(fleet.name, fleet, None, None, |_| String::new())
}

fn all_holds(fleet: Fleet, at_least: usize) {
    exploring::all_holds(explore(fleet), at_least);
}

#[test]
fn a_way_of_two_steps_the_second_of_which_cannot_be_undone() {
    let fleet = Fleet { name: "two steps", steps: 2, at_once: 2, failures: 2, aborts: 1, ..Fleet::one_wave() };
    all_holds(Fleet { crashes: 1, closings: 1, pauses: 1, pins: 1, retries: 1, ..fleet }, 500_000);
}

/// Each fault, planted, breaks the property that is there for it.
#[test]
fn each_property_catches_the_fault_it_is_there_for() {
    let small = || Fleet { failures: 1, crashes: 1, closings: 1, ..Fleet::two_waves() };
    for (fault, fleet, property) in [
        (Fault::CountsNothingInHand, small(), fleet::LIMIT),
        (Fault::IgnoresFailures, small(), fleet::FAILURES),
        (Fault::IgnoresWindows, small(), fleet::WINDOW),
        (Fault::BeginsBeforeItsWave, small(), fleet::WAVE),
        (Fault::WritesOverWhatItHasNotSeen, Fleet { pins: 1, ..small() }, fleet::PIN),
        (Fault::TakesWhatIsHeld, Fleet { is_shared: true, ..small() }, fleet::ONE_CAMPAIGN),
        (Fault::ForcesPins, Fleet { pins: 1, ..small() }, fleet::PIN),
        (Fault::JudgesByHealth, small(), fleet::PROOF),
        (Fault::SkipsSteps, Fleet { steps: 2, ..Fleet::one_wave() }, fleet::STEPS),
        (Fault::SkipsBackups, Fleet { steps: 2, ..Fleet::one_wave() }, fleet::BACKUP),
        (Fault::WithdrawsTheTouched, Fleet { aborts: 1, ..small() }, fleet::BETWEEN),
        (Fault::NeverSoaks, small(), fleet::END),
    ] {
        let (_, broken) = explore(Fleet { name: "planted", fault: Some(fault), ..fleet });
        assert!(broken.contains(&property), "{fault:?} is not caught by \"{property}\" but by {broken:?}");
    }
}
