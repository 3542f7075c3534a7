//! Is a migration that cannot be undone neither stopped nor run twice, whatever people do while it runs?
//!
//! One instance goes to another release, by plans and reports as the operator's processes make them, while a person scales its
//! Deployment, edits the Instance, edits or deletes the Release, or deletes the Job; while watches lag, answers are lost and
//! processes die. Each law is shown to be one by a planted fault that breaks it.
//!
//! | what | where |
//! | --- | --- |
//! | What is stored, and what people and controllers do to it | `world.rs` |
//! | What a process sees, plans and writes | `pass.rs` |

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

#[path = "../common/exploring.rs"]
mod exploring;
#[allow(dead_code)] // The suite asks more of them.
#[path = "../../../../tests/planner/support/fixtures.rs"]
mod fixtures;
mod pass;
#[path = "../common/print.rs"]
mod print;
mod world;

use exploring::Found;
use world::{Edit, Fault, Left, World};

/// Goes through all states, or until that law is seen to be broken.
fn explore(world: World, until: Option<&'static str>) -> Found {
    exploring::explore(world.name, world, until, Some(world::ARRIVES), |_| String::new())
}

fn all_holds(world: World, at_least: usize) {
    exploring::all_holds(explore(world, None), at_least);
}

#[test]
fn people_scale_by_hand_and_edit() {
    let edits = vec![Edit::Scale(2), Edit::Env, Edit::Stage];
    let left = Left { failures: 1, ..Left::default() };
    all_holds(World::new("scaled", edits).left(left), 100);
}

#[test]
fn people_scale_by_hand_while_watches_lag_and_processes_die() {
    let left = Left { losses: 1, deaths: 1, waits: 1, ..Left::default() };
    all_holds(World { lags: true, ..World::new("lags", vec![Edit::Scale(2)]).left(left) }, 100);
}

#[test]
fn people_edit_the_catalogue_and_take_the_job_away() {
    let edits = vec![Edit::Scale(2), Edit::MigrationOfRelease, Edit::DeleteRelease, Edit::DeleteJob, Edit::SetBack];
    let left = Left { failures: 1, ..Left::default() };
    all_holds(World::new("catalogue", edits).left(left), 100);
}

#[test]
fn people_settle_a_migration_that_broke_off() {
    let edits = vec![Edit::Scale(2), Edit::GoOn, Edit::Restored, Edit::SetBack];
    let left = Left { failures: 1, deaths: 1, ..Left::default() };
    all_holds(World::new("settled", edits).left(left), 100);
}

/// Each fault, planted, breaks the law that is there for it.
#[test]
fn each_law_catches_the_fault_it_is_there_for() {
    let mut missed = Vec::new();
    let left = Left { failures: 1, waits: 1, losses: 1, ..Left::default() };
    for (fault, edits, law) in [
        (Fault::RemovesTheJobOfWhatIsWrittenTo, vec![Edit::Scale(2)], world::OWNED),
        (Fault::ForgetsThatTheJobWasSeen, vec![Edit::DeleteJob], world::ONCE),
        (Fault::SeesNoJobs, vec![Edit::Scale(2)], world::SUITS),
        (Fault::GoesOnUnasked, vec![], world::HALF),
        (Fault::TakesTheUnansweredForRefused, vec![], world::SUITS),
    ] {
        let world = World { fault: Some(fault), ..World::new("planted", edits).left(left) };
        let (_, broken) = explore(world, Some(law));
        if !broken.contains(&law) {
            missed.push(format!("{fault:?} is not caught by \"{law}\" but by {broken:?}"));
        }
    }
    assert_eq!(missed, Vec::<String>::new());
}
