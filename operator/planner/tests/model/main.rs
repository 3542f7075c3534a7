//! Does what must always hold of campaigns and upgrades hold, whatever happens in between?
//!
//! A model checker goes through every state that a small fleet can get into. What decides in it is the engine that runs in
//! the operator; the world around it is small: an API server that stores and refuses, watches that lag, writes whose answers
//! are lost, processes that die or are frozen, instances that get on or fail, and people who edit meanwhile. Each law is
//! shown to be one by a planted fault that breaks it.
//!
//! | what | where |
//! | --- | --- |
//! | What is stored, and what becomes of a write | `hub.rs`, `stored.rs` |
//! | What a process sees, looks at and writes | `process.rs` |
//! | What can happen | `fleet.rs`, `instances.rs`, `people.rs` |
//! | What must hold in every state | `laws.rs` |
//! | What must hold once people and faults stop | `rest.rs` |
//! | Which fleets are explored | `configurations.rs` |

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

mod configurations;
#[path = "../common/exploring.rs"]
mod exploring;
mod fleet;
mod hub;
mod instances;
mod laws;
mod people;
#[path = "../common/print.rs"]
mod print;
mod process;
mod rest;
mod stored;

use exploring::Found;
use fleet::{Fault, Fleet, Left};
use gotocloud_api::{CampaignSpec, Instance};
use people::Edit;
use serde_json::json;

/// Goes through all states, or until that law is seen to be broken.
fn explore(fleet: Fleet, until: Option<&'static str>) -> Found {
    let sizes = |fleet: &Fleet| {
        let (looks, pieces) = fleet.sizes();
        format!("{looks} looks, {pieces} to rest, ")
    };
    exploring::explore(fleet.name, fleet, until, Some(laws::COMPLETES), sizes)
}

fn all_holds(fleet: Fleet, at_least: usize) {
    exploring::all_holds(explore(fleet, None), at_least);
}

fn of_campaign(edits: &[fn(&mut CampaignSpec)]) -> Vec<Edit> {
    edits.iter().map(|edit| Edit::Campaign(0, *edit)).collect()
}

fn of_instance(at: usize, edits: &[fn(&mut Instance)]) -> Vec<Edit> {
    edits.iter().map(|edit| Edit::Instance(at, *edit)).collect()
}

#[test]
fn two_waves_with_failures_and_windows() {
    let left = Left { failures: 2, ticks: 1, crashes: 1, ..Left::default() };
    all_holds(Fleet::two_waves().left(left), 15_000);
}

#[test]
fn writes_that_are_refused_or_lost() {
    let left = Left { refusals: 1, losses: 1, ticks: 1, ..Left::default() };
    all_holds(Fleet { name: "refused and lost", ..Fleet::two_waves().left(left) }, 500);
}

#[test]
fn a_write_that_is_refused_for_good() {
    let left = Left { refusals: 6, ticks: 6, ..Left::default() };
    all_holds(Fleet { name: "refused for good", ..Fleet::alone().left(left) }, 100);
}

#[test]
fn watches_that_lag() {
    let left = Left { failures: 1, ..Left::default() };
    let edits = of_instance(1, &[people::asks_for_r3]);
    all_holds(Fleet { name: "lags", lags: true, ..Fleet::small().left(left).edits(edits) }, 500);
}

#[test]
fn two_campaigns_for_the_same_instances() {
    let edits = vec![Edit::Campaign(0, people::abort), Edit::DeleteCampaign(1)];
    all_holds(Fleet::two_campaigns().edits(edits), 500);
}

#[test]
fn places_that_campaigns_and_people_share() {
    let limits = json!({"maxConcurrentPerPlatform": 1, "maxConcurrentPerDatabaseServer": 1});
    let edits = vec![Edit::Instance(2, people::asks_for_r3), Edit::DeleteCampaign(0)];
    all_holds(Fleet::places(&limits).edits(edits).left(Left { losses: 1, ..Left::default() }), 500);
}

#[test]
fn people_hold_the_campaign() {
    let edits = of_campaign(&[people::pause, people::go_on, people::abort]);
    let left = Left { failures: 1, crashes: 1, ..Left::default() };
    all_holds(Fleet { name: "held", ..Fleet::small().edits(edits).left(left) }, 500);
}

#[test]
fn people_have_a_target_tried_again_or_left_out() {
    let edits = of_campaign(&[people::retry, people::skip_a]);
    let left = Left { failures: 1, ..Left::default() };
    all_holds(Fleet { name: "tried again", ..Fleet::small().edits(edits).left(left) }, 500);
}

#[test]
fn people_edit_the_waves() {
    let edits = of_campaign(&[people::insert_wave, people::rename_wave]);
    all_holds(Fleet { name: "waves edited", ..Fleet::small().edits(edits) }, 500);
}

#[test]
fn people_edit_instances() {
    let edits = of_instance(0, &[people::asks_for_r3, people::asks_for_r1, people::sets_env]);
    all_holds(Fleet { name: "instances edited", ..Fleet::small().edits(edits) }, 500);
}

#[test]
fn people_edit_the_catalogue() {
    let edits = vec![Edit::Other(1), Edit::Other(1), Edit::Other(0), Edit::Other(3), Edit::DeleteInstance(1)];
    let left = Left { failures: 1, ..Left::default() };
    all_holds(Fleet { name: "catalogue edited", ..Fleet::small().edits(edits).left(left) }, 500);
}

#[test]
fn soaks_weights_approvals_and_deferrals() {
    all_holds(Fleet::calendar().left(Left { ticks: 3, ..Left::default() }), 500);
}

#[test]
fn who_goes_back_is_held_by_nothing() {
    all_holds(Fleet::back().left(Left { ticks: 1, ..Left::default() }), 500);
}

#[test]
fn instances_are_promoted() {
    let left = Left { failures: 1, crashes: 1, ..Left::default() };
    let mut edits = of_instance(1, &[people::reaches_full_production]);
    edits.extend(of_campaign(&[people::retry, people::abort]));
    all_holds(Fleet::promotion().left(left).edits(edits), 500);
}

#[test]
fn instances_are_made() {
    let left = Left { losses: 1, ..Left::default() };
    let edits = vec![
        Edit::MakeInstance(0, configurations::made_for_a),
        Edit::DeleteInstance(0),
        Edit::Campaign(0, people::retry),
        Edit::Other(3),
    ];
    all_holds(Fleet::provision().left(left).edits(edits), 500);
}

#[test]
fn ways_are_rehearsed() {
    let left = Left { ticks: 2, ..Left::default() };
    all_holds(Fleet::rehearsal().left(left), 500);
}

#[test]
fn a_process_that_was_frozen_wakes() {
    let left = Left { freezes: 1, ..Left::default() };
    let edits = of_campaign(&[people::pause, people::go_on]);
    all_holds(Fleet { name: "frozen", ..Fleet::small().left(left).edits(edits) }, 500);
}

/// Each fault, planted, breaks the law that is there for it.
#[test]
fn each_law_catches_the_fault_it_is_there_for() {
    let mut missed = Vec::new();
    let left = Left { failures: 1, ticks: 1, ..Left::default() };
    let two = || Fleet::two_campaigns().edits(vec![Edit::Campaign(0, people::abort), Edit::DeleteCampaign(0)]);
    let held = || Fleet::small().edits(vec![Edit::Campaign(0, people::pause)]);
    for (fault, fleet, law) in [
        (Fault::TakesWrittenForRefused, Fleet { lags: true, ..Fleet::one_wave() }, laws::LIMIT),
        (Fault::HidesPlaces, Fleet::places(&json!({"maxConcurrentPerPlatform": 1})), laws::PLACES),
        (Fault::HidesPlaces, Fleet::places(&json!({"maxConcurrentPerDatabaseServer": 1})), laws::PLACES),
        (Fault::ShowsThatManyMayFail, Fleet::one_wave().left(left), laws::FAILURES),
        (Fault::IsLate, Fleet::one_wave().left(left), laws::WINDOW),
        (Fault::HidesDeferrals, Fleet::calendar().left(Left { ticks: 2, ..left }), laws::DEFERRAL),
        (Fault::ShowsAllRunning, held(), laws::STATE),
        (Fault::TakesFailedStatusesForWritten, Fleet::small().left(Left { losses: 1, ..left }), laws::RECORDED),
        (Fault::ShowsFirstAsSkipped, Fleet::small(), laws::ORDER),
        (Fault::ForgetsStarts, Fleet::small(), laws::ONCE),
        (Fault::WritesBlindly, two().left(Left { freezes: 1, ..left }), laws::ONE_HOLDER),
        (Fault::ForcesPins, Fleet::small().edits(vec![Edit::Instance(0, people::asks_for_r3)]), laws::PIN),
        (Fault::ShowsDoneEarly, Fleet::small(), laws::PROOF),
        (Fault::NeverShowsDone, Fleet::small(), rest::NO_WEDGE),
        (Fault::HidesRollBack, Fleet::back().left(left), rest::BACK),
        (Fault::ForgetsInstances, Fleet::small(), rest::KNOWS),
        (Fault::ShowsDeletedCampaigns, two(), rest::FREE),
    ] {
        let (_, broken) = explore(Fleet { name: "planted", ..fleet.with(fault) }, Some(law));
        if !broken.contains(&law) {
            missed.push(format!("{fault:?} is not caught by \"{law}\" but by {broken:?}"));
        }
    }
    assert_eq!(missed, Vec::<String>::new());
}
