//! What do decisions cost, without a cluster? The planner's own functions, over a fleet held in memory.

use super::{fleet::Fleet, rounded};
use gotocloud_api::{Campaign, CampaignStatus, names};
use gotocloud_planner::{
    campaign::{
        View,
        report::{self, Detail, Facts, Untold},
    },
    simulate::{Durations, World},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::{collections::VecDeque, time::Instant};

const WAVES: usize = 20;

/// How long decisions took, in milliseconds, the shortest first.
pub struct Times(Vec<f64>);

impl Times {
    /// Of decisions that took that long, in milliseconds.
    pub fn new(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    /// The time that this share of all decisions did not exceed.
    pub fn at(&self, share: f64) -> f64 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        // a place in a list
        let place = (self.0.len().saturating_sub(1) as f64 * share).round() as usize;
        self.0.get(place).map_or(0.0, |time| (time * 1000.0).round() / 1000.0)
    }
}

/// How long each decision of a whole campaign took, with all that goes with it: the target that changed is put where it
/// stands, what begins is chosen, the status is made. Where a wave begins, all targets are looked at anew.
pub fn decisions(fleet: &Fleet) -> anyhow::Result<Times> {
    let mut world = world(fleet, |_| 0)?;
    let campaign: Campaign = serde_json::from_value(campaign("bench", "bench-v1.1", 100, None))?;
    let now: Timestamp = "2026-03-02T08:00:00Z".parse()?;
    let mut status: Option<CampaignStatus> = None;
    let mut times = Vec::new();
    let mut in_hand: VecDeque<(String, usize)> = VecDeque::new();
    let mut view = View::new(&campaign, None, &world, None, now);
    let mut changed: Option<String> = None;
    loop {
        let Some(known) = view.as_mut() else { anyhow::bail!("the benchmark's campaign asks for nothing") };
        let begun = Instant::now();
        if let Some(name) = &changed {
            known.update(&campaign, status.as_ref(), &world, name, now);
        }
        let moves = known.decide(&campaign, status.as_ref(), now);
        let mut untold = Untold::default();
        untold.note(&moves);
        let facts = Facts {
            board: &known.board,
            moves: &moves,
            untold: &untold,
            changes: &known.changes,
            findings: &known.findings,
            is_valid: known.is_valid(),
            schedule: None,
            late_end: None,
            detail: &|_| Detail::default(),
        };
        let with_status = Campaign { status: status.take(), ..campaign.clone() };
        status = Some(report::report(&with_status, &facts, now));
        known.changes.clear();
        if moves.start.is_some() {
            view = View::new(&campaign, status.as_ref(), &world, view, now);
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
            changed = None;
            continue;
        }
        times.push(begun.elapsed().as_secs_f64() * 1000.0);
        for admission in &moves.begin {
            world.add(under_way(&admission.name, admission.wave, None))?;
            known.update(&campaign, status.as_ref(), &world, &admission.name, now);
            in_hand.push_back((admission.name.to_string(), admission.wave));
        }
        let Some((name, wave)) = in_hand.pop_front() else { break };
        world.add(under_way(&name, wave, Some("Done")))?;
        changed = Some(name);
    }
    let done = status.map_or(0, |status| status.counts.done);
    anyhow::ensure!(done as usize == fleet.instances.len(), "{done} of {} targets are done", fleet.instances.len());
    Ok(Times::new(times))
}

/// Seconds to simulate 133 instances over two years of quarterly campaigns.
pub fn two_years() -> anyhow::Result<f64> {
    let mut fleet = Fleet::new(133)?;
    fleet.releases_until(8)?;
    let mut world = world(&fleet, |_| 0)?;
    for quarter in 1..=8 {
        let day = Timestamp::from_second(1_772_438_400 + i64::from(quarter - 1) * 91 * 24 * 3600)?;
        world.add(campaign(&format!("quarter-{quarter}"), &format!("bench-v1.{quarter}"), 5, Some(day)))?;
    }
    simulated(&mut world, 133 * 8)
}

/// Seconds to simulate a campaign of 10,000 targets in 20 waves.
pub fn ten_thousand() -> anyhow::Result<f64> {
    let mut world = world(&Fleet::new(10_000)?, |_| 0)?;
    world.add(campaign("all", "bench-v1.1", 100, None))?;
    simulated(&mut world, 10_000)
}

fn simulated(world: &mut World, expected: usize) -> anyhow::Result<f64> {
    let from: Timestamp = "2026-03-02T08:00:00Z".parse()?;
    let until = from.checked_add(SignedDuration::from_hours(24 * 731))?;
    let begun = Instant::now();
    let schedules = world.simulate(&Durations::default(), from, until);
    let seconds = begun.elapsed().as_secs_f64();
    let is_done = |one: &gotocloud_planner::campaign::Standing| *one == gotocloud_planner::campaign::Standing::Done;
    let done: usize = schedules.iter().map(|(_, schedule)| schedule.count(is_done)).sum();
    anyhow::ensure!(done == expected, "{done} of {expected} targets are done in the simulation");
    Ok(rounded(seconds))
}

/// The fleet, each instance in one of the waves and on the release of the minor version that `runs` says of its place.
pub fn world(fleet: &Fleet, runs: impl Fn(usize) -> u32) -> anyhow::Result<World> {
    let mut world = World::default();
    world.add(serde_json::to_value(&fleet.application)?)?;
    for release in std::iter::once(&fleet.release).chain(&fleet.next_releases) {
        world.add(serde_json::to_value(release)?)?;
    }
    for establishment in &fleet.establishments {
        world.add(serde_json::to_value(establishment)?)?;
    }
    for (at, instance) in fleet.instances.iter().enumerate() {
        let mut instance = serde_json::to_value(instance)?;
        instance["metadata"]["labels"] = json!({names::LABEL_COHORT: format!("c{}", at % WAVES)});
        instance["spec"].as_object_mut().map(|spec| spec.remove("release"));
        let minor = runs(at);
        instance["status"] =
            json!({"release": {"name": format!("bench-v1.{minor}"), "version": format!("V1.{minor}")}});
        world.add(instance)?;
    }
    Ok(world)
}

/// A campaign of all waves, by day.
pub fn campaign(name: &str, release: &str, at_once: u32, not_before: Option<Timestamp>) -> Value {
    let waves: Vec<Value> = (0..WAVES)
        .map(|at| {
            let mut wave =
                json!({"name": format!("w{at}"), "targets": {"cohort": format!("c{at}")}, "maxConcurrent": at_once});
            if let Some(day) = not_before {
                wave["notBefore"] = json!(day.to_string());
            }
            wave
        })
        .collect();
    json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Campaign", "metadata": {"name": name, "uid": name},
        "spec": {"application": "bench", "state": "Running", "upgrade": {"release": release}, "waves": waves,
            "windows": [{"days": ["Monday", "Tuesday", "Wednesday", "Thursday"], "from": "06:00", "to": "23:30"}]}})
}

/// An Instance that the campaign began, in the given phase of its way.
fn under_way(name: &str, wave: usize, phase: Option<&str>) -> Value {
    let rollout =
        json!({"campaign": "bench", "uid": "bench", "wave": format!("w{wave}"), "attempt": 1, "wants": "bench-v1.1"});
    let runs = if phase.is_some() { ("bench-v1.1", "V1.1") } else { ("bench-v1.0", "V1.0") };
    json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Instance",
        "metadata": {"name": name, "namespace": "gotocloud", "labels": {names::LABEL_COHORT: format!("c{wave}")}},
        "spec": {"application": "bench", "establishment": name.trim_start_matches("bench-"), "release": "bench-v1.1", "rollout": rollout},
        "status": {"release": {"name": runs.0, "version": runs.1}, "upgrade": {
            "rollout": rollout, "from": "bench-v1.0", "to": "bench-v1.1", "path": ["bench-v1.1"], "step": 0, "active": "bench-v1.1",
            "phase": phase.unwrap_or("Rollout"), "since": "2026-03-02T08:00:00Z", "startedAt": "2026-03-02T08:00:00Z"}}})
}
