//! Is a simulated schedule one that the rules allow, and as short as they allow?

use super::{Conduct, Durations, Schedule, World};
use crate::campaign::Standing;
use gotocloud_api::upgrade::UpgradePhase;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": "gotocloud",
        "uid": name}, "spec": spec})
}

fn release(version: &str, more: &Value) -> Value {
    let mut spec =
        json!({"application": "app", "versionScheme": "MajorMinorRevision", "version": version, "components": []});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object("Release", &version.to_lowercase(), &spec)
}

/// So many instances of one application, all on V1.4.00, of establishments in the time zones given, one after the other.
fn world(instances: usize, zones: &[&str]) -> World {
    let mut world = World::default();
    let mut add = |object: Value| world.add(object).unwrap();
    add(release("V1.4.00", &json!({})));
    add(release("V1.4.01", &json!({})));
    add(release(
        "V2.0.00",
        &json!({"reachableFrom": ["V1.4.01"], "migration": {"image": "registry.example/m@sha256:0", "reversible": false}}),
    ));
    for at in 0..instances {
        let zone = zones[at % zones.len()];
        let spec = json!({"displayName": "E", "timeZone": zone, "namespace": format!("e{at:03}")});
        add(object("Establishment", &format!("e{at:03}"), &spec));
        let spec = json!({"application": "app", "establishment": format!("e{at:03}"), "release": "v1.4.00"});
        add(object("Instance", &format!("app-e{at:03}"), &spec));
    }
    world
}

fn campaign(name: &str, spec: &Value) -> Value {
    let mut all = json!({"application": "app", "state": "Draft"});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object("Campaign", name, &all)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn one(mut world: World, spec: &Value, conduct: &dyn Conduct) -> Schedule {
    world.add(campaign("c", spec)).unwrap();
    world.simulate(conduct, at("2026-03-02T08:00:00Z"), at("2028-03-02T08:00:00Z")).remove(0).1
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// Some targets fail in some phase.
struct Failing(Durations, BTreeMap<&'static str, UpgradePhase>);

impl Conduct for Failing {
    fn takes(&self, target: &str, phase: UpgradePhase) -> SignedDuration {
        self.0.takes(target, phase)
    }

    fn fails_in(&self, target: &str) -> Option<UpgradePhase> {
        self.1.get(target).copied()
    }
}

#[test]
fn with_nothing_in_the_way_it_takes_what_a_perfect_scheduler_takes() {
    for (instances, at_once) in [(1, 1), (7, 3), (60, 7), (133, 20)] {
        let spec = json!({"upgrade": {"release": "v1.4.01"},
            "waves": [{"name": "all", "targets": {"selector": {}}, "maxConcurrent": at_once}]});
        let schedule = one(world(instances, &["Europe/Paris"]), &spec, &Durations::default());
        let rounds = i64::try_from(instances.div_ceil(at_once)).unwrap();
        let took = schedule.ends().unwrap().duration_since(schedule.from);
        assert_eq!(took, minutes(6 * rounds), "{instances} by {at_once}");
    }
}

#[test]
fn each_target_goes_through_every_phase_of_every_step_of_its_way() {
    let spec = json!({"upgrade": {"release": "v2.0.00"}, "waves":
        [{"name": "all", "targets": {"selector": {}}, "soak": "1d", "gates": [{"name": "up", "promql": "up", "during": "10m"}]}]});
    let schedule = one(world(1, &["Europe/Paris"]), &spec, &Durations::default());
    let phases: Vec<String> = schedule.targets["app-e000"]
        .phases
        .iter()
        .map(|(at, phase)| format!("{phase} {}", at.duration_since(schedule.from).as_mins()))
        .collect();
    let expected =
        ["Rollout 0", "Verify 5", "Backup 15", "Migrate 45", "Rollout 65", "Verify 70", "Soak 80", "Done 1520"];
    assert_eq!(phases, expected);
}

#[test]
fn its_nights_are_those_of_each_establishment() {
    let spec = json!({"upgrade": {"release": "v1.4.01"}, "windows": [{"from": "22:00", "to": "23:00"}],
        "waves": [{"name": "all", "targets": {"selector": {}}, "maxConcurrent": 2}]});
    let schedule = one(world(2, &["Europe/Paris", "Pacific/Tahiti"]), &spec, &Durations::default());
    let begins = |name: &str| schedule.targets[name].begins.unwrap().to_string();
    assert_eq!(begins("app-e000"), "2026-03-02T21:00:00Z");
    assert_eq!(begins("app-e001"), "2026-03-02T08:00:00Z", "it is ten in the evening in Papeete");
}

#[test]
fn a_canary_that_fails_stops_what_comes_after_it() {
    let spec = json!({"upgrade": {"release": "v1.4.01"}, "waves": [
        {"name": "canary", "targets": {"names": ["app-e000"]}},
        {"name": "rest", "targets": {"selector": {}}, "exclude": {"names": ["app-e000"]}}]});
    let failing = Failing(Durations::default(), BTreeMap::from([("app-e000", UpgradePhase::Rollout)]));
    let schedule = one(world(5, &["Europe/Paris"]), &spec, &failing);
    assert_eq!((schedule.ends(), schedule.count(|one| *one == Standing::Pending)), (None, 4));
    assert!(matches!(schedule.targets["app-e000"].outcome, Standing::Failed(_)));
    let took = schedule.targets["app-e000"].ends.unwrap().duration_since(schedule.from);
    assert_eq!(took, minutes(15 + 5), "until its deadline, and back");
    assert!(schedule.stuck.unwrap().contains("1 of wave canary failed and 0 may"));
}

#[test]
fn what_takes_longer_than_its_deadline_fails() {
    let slow = Durations { rollout: minutes(20), ..Durations::default() };
    let spec = json!({"upgrade": {"release": "v1.4.01"}, "progressDeadline": "15m",
        "waves": [{"name": "all", "targets": {"selector": {}}}]});
    assert!(one(world(1, &["Europe/Paris"]), &spec, &slow).stuck.is_some());
    let spec = json!({"upgrade": {"release": "v1.4.01"}, "progressDeadline": "21m",
        "waves": [{"name": "all", "targets": {"selector": {}}}]});
    assert!(one(world(1, &["Europe/Paris"]), &spec, &slow).ends().is_some());
}

#[test]
fn a_deferral_puts_it_off_from_the_start_of_its_wave_as_long_as_it_may() {
    let mut world = world(2, &["Europe/Paris"]);
    let mut deferral = object(
        "Deferral",
        "exams",
        &json!({"establishment": "e000", "campaign": "c", "until": "2026-12-01T00:00:00Z", "reason": "exams"}),
    );
    deferral["metadata"]["namespace"] = json!("e000");
    world.add(deferral).unwrap();
    let spec = json!({"upgrade": {"release": "v1.4.01"}, "maxDeferralDays": 14,
        "waves": [{"name": "all", "targets": {"selector": {}}, "maxConcurrent": 2}]});
    let schedule = one(world, &spec, &Durations::default());
    let begins = |name: &str| schedule.targets[name].begins.unwrap().to_string();
    assert_eq!(
        (begins("app-e000"), begins("app-e001")),
        ("2026-03-16T08:00:00Z".into(), "2026-03-02T08:00:00Z".into())
    );
}

#[test]
fn two_campaigns_never_hold_one_instance() {
    let mut world = world(3, &["Europe/Paris"]);
    let waves = json!([{"name": "all", "targets": {"selector": {}}, "maxConcurrent": 3, "soak": "2d"}]);
    world.add(campaign("first", &json!({"upgrade": {"release": "v1.4.01"}, "waves": waves}))).unwrap();
    world.add(campaign("second", &json!({"upgrade": {"release": "v2.0.00"}, "waves": waves}))).unwrap();
    let schedules = world.simulate(&Durations::default(), at("2026-03-02T08:00:00Z"), at("2027-03-02T08:00:00Z"));
    let of = |at: usize, name: &str| &schedules[at].1.targets[name];
    for name in ["app-e000", "app-e001", "app-e002"] {
        assert_eq!(of(0, name).ends, of(1, name).begins, "{name}");
        assert_eq!(of(1, name).outcome, Standing::Done);
    }
}

#[test]
fn what_was_measured_outweighs_what_is_assumed() {
    let spec = json!({"upgrade": {"release": "v1.4.01"}, "waves": [{"name": "all", "targets": {"selector": {}}, "soak": "1h"}]});
    let measured = super::Measured { mean: Some(minutes(11)), ..super::Measured::default() };
    let schedule = one(world(2, &["Europe/Paris"]), &spec, &measured);
    assert_eq!(schedule.ends().unwrap().duration_since(schedule.from), minutes(22 + 60));
}

#[test]
fn what_a_rehearsal_took_outweighs_what_others_took() {
    let waves = json!([{"name": "all", "targets": {"selector": {}}, "maxConcurrent": 2}]);
    let spec = json!({"upgrade": {"release": "v2.0.00"}, "waves": waves});
    let rehearsed = crate::rehearsal::Measured { backup: minutes(90), migrate: minutes(200) };
    let measured =
        super::Measured { mean: Some(minutes(11)), rehearsed: [("app-e001".into(), rehearsed)].into_iter().collect() };
    let schedule = one(world(2, &["Europe/Paris"]), &spec, &measured);
    let length = |name: &str| {
        let target = &schedule.targets[name];
        target.ends.unwrap().duration_since(target.begins.unwrap())
    };
    assert_eq!(length("app-e000"), minutes(11));
    // Two steps of pods, and the one backup and migration of the second.
    assert_eq!(length("app-e001"), minutes(6 + 90 + 200 + 6));
}

/// A conduct in which every target takes its own time.
struct Uneven(Vec<i64>);

impl Conduct for Uneven {
    fn takes(&self, target: &str, phase: UpgradePhase) -> SignedDuration {
        let place: usize = target.trim_start_matches("app-e").parse().unwrap();
        minutes(if phase == UpgradePhase::Rollout { self.0[place % self.0.len()] } else { 0 })
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However long each takes: no more at once than may be, no wave before the one before it, no beginning outside the
    /// windows, and never longer than any list schedule may be: twice the ideal, less one share.
    #[test]
    fn a_schedule_keeps_to_the_rules(
        lengths in proptest::collection::vec(1i64..14, 1..9),
        instances in 1usize..24,
        at_once in 1usize..6,
        first in 1usize..6,
        windowed: bool,
    ) {
        let names: Vec<String> = (0..instances.min(first)).map(|at| format!("app-e{at:03}")).collect();
        let windows = if windowed { json!([{"from": "22:00", "to": "23:30"}]) } else { json!([]) };
        let spec = json!({"upgrade": {"release": "v1.4.01"}, "windows": windows, "waves": [
            {"name": "first", "targets": {"names": names}, "maxConcurrent": at_once},
            {"name": "rest", "targets": {"selector": {}}, "exclude": {"names": names}, "maxConcurrent": at_once}]});
        let schedule = one(world(instances, &["Europe/Paris"]), &spec, &Uneven(lengths));
        let spans: Vec<(usize, Timestamp, Timestamp)> =
            schedule.targets.values().map(|one| (one.wave, one.begins.unwrap(), one.ends.unwrap())).collect();
        prop_assert_eq!(schedule.count(|one| *one == Standing::Done), instances);
        for (wave, begins, _) in &spans {
            let beside = spans.iter().filter(|(of, from, until)| of == wave && from <= begins && begins < until).count();
            prop_assert!(beside <= at_once, "{beside} at once");
            prop_assert!(spans.iter().all(|(of, _, ends)| of >= wave || ends <= begins), "a wave overtakes another");
            let clock = begins.to_zoned(jiff::tz::TimeZone::get("Europe/Paris").unwrap()).time();
            prop_assert!(!windowed || (clock.hour() == 22 || (clock.hour() == 23 && clock.minute() < 30)), "{clock}");
        }
        if !windowed {
            for wave in 0..2 {
                let lengths = || spans.iter().filter(|one| one.0 == wave).map(|(_, from, until)| until.duration_since(*from).as_mins());
                let Some(longest) = lengths().max() else { continue };
                let at_once = i64::try_from(at_once).unwrap();
                let (sum, of) = (lengths().sum::<i64>(), |of: &dyn Fn(&(usize, Timestamp, Timestamp)) -> Timestamp| {
                    spans.iter().filter(|one| one.0 == wave).map(of).collect::<Vec<_>>()
                });
                let took = of(&|one| one.2).into_iter().max().unwrap().duration_since(of(&|one| one.1).into_iter().min().unwrap());
                prop_assert!(took.as_mins() * at_once <= sum + longest * (at_once - 1), "{took}");
            }
        }
    }
}
