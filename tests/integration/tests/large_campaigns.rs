//! Campaigns of a fleet as large as the real one: with failures among its targets, and with an operator that is killed
//! again and again.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

use gotocloud_integration::{Fleet, HUB, INSTANCES, condition, fleet_tests, objects, resource};
use gotocloud_planner::Kind;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IteratorRandom as _};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

const CAMPAIGNS: &str = "gotocloud.amue.fr/v1alpha1/campaigns";
/// How many establishments there are.
const ALL: usize = 133;
/// 5 % of them, rounded down as failures are.
const MAY_FAIL: usize = 6;
/// 10 % of them, rounded up as what is changed at once is.
const AT_ONCE: usize = 14;
const KILLS: usize = 50;
/// How many at once while the operator is killed: so few that the campaign outlasts all of that.
const UNDER_FIRE: usize = 2;
const PATIENCE: Duration = Duration::from_mins(10);

fn campaign(name: &str, spec: &Value) -> Value {
    let object = json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Campaign", "metadata": {"name": name},
        "spec": {"application": objects::APP, "namespace": HUB, "state": "Running"}});
    objects::with(object, json!({ "spec": spec }))
}

fn establishment(at: usize) -> String {
    format!("e{at:03}")
}

/// The instances as they stand at one moment.
fn instances(fleet: &Fleet) -> Vec<Value> {
    fleet.list(INSTANCES, HUB, "").into_iter().filter(|one| one["spec"]["application"] == objects::APP).collect()
}

fn running(instances: &[Value]) -> BTreeMap<String, usize> {
    let mut versions = BTreeMap::new();
    for instance in instances {
        let version = instance["status"]["release"]["version"].as_str().unwrap_or_default().to_owned();
        *versions.entry(version).or_default() += 1;
    }
    versions
}

/// How many a campaign has begun and not ended, by their own records or by what it asked for.
fn in_hand(instances: &[Value], campaign: &str) -> usize {
    let is_in_hand = |instance: &&Value| {
        let (asked, record) = (&instance["spec"]["rollout"], &instance["status"]["upgrade"]);
        let has_ended = record["rollout"] == *asked
            && ["Done", "RolledBack", "Failed", "Refused"].iter().any(|ended| record["phase"] == *ended);
        asked["campaign"] == campaign && !has_ended
    };
    instances.iter().filter(is_in_hand).count()
}

/// Looks at the fleet, over and over, until a campaign has that phase; `look` is called with what is seen each time.
fn follow(fleet: &mut Fleet, name: &str, phase: &str, mut look: impl FnMut(&mut Fleet, &[Value])) -> Value {
    let begun = Instant::now();
    loop {
        let campaign = fleet.get(CAMPAIGNS, "", name).expect("the campaign is there");
        let status = &campaign["status"];
        let is_seen = status["observedGeneration"] == campaign["metadata"]["generation"];
        if is_seen && status["phase"] == phase {
            return status.clone();
        }
        assert!(begun.elapsed() < PATIENCE, "{name} is not {phase} in time: {}", status["counts"]);
        let seen = instances(fleet);
        look(fleet, &seen);
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// How often the pods of each component were asked for anew: the revision that the Deployment's controller counts.
fn revisions(fleet: &Fleet) -> BTreeMap<String, u64> {
    let deployments = fleet.list(&resource(Kind::Deployment), "", "app.kubernetes.io/managed-by=gotocloud-operator");
    let revision = |one: &Value| {
        let text = one["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str().unwrap_or("0");
        let name = |field: &str| one["metadata"][field].as_str().unwrap().to_owned();
        (format!("{}/{}", name("namespace"), name("name")), text.parse().unwrap())
    };
    deployments.iter().map(revision).collect()
}

/// The pods of those establishments never get ready in that version.
fn failing(version: &str, establishments: &[String]) -> Value {
    let establishments: Vec<&str> = establishments.iter().map(String::as_str).collect();
    objects::unready_pods("some-fail", version, &establishments)
}

fn the_fleet_is_made_by_a_campaign(fleet: &mut Fleet) {
    for at in 0..ALL {
        fleet.apply(&objects::establishment(&establishment(at))).unwrap();
    }
    // The Establishment that every test starts with has none.
    let waves = json!([{"name": "all", "targets": {"selector": {}}, "exclude": {"names": [objects::ETAB]}, "maxConcurrent": "50%"}]);
    fleet.apply(&campaign("make", &json!({"provision": {"release": objects::RELEASE}, "waves": waves}))).unwrap();
    let status = follow(fleet, "make", "Completed", |_, _| {});
    assert_eq!(status["counts"]["done"], ALL);
    assert_eq!(running(&instances(fleet)), BTreeMap::from([("1.0".to_owned(), ALL)]));
    fleet.delete(CAMPAIGNS, "", "make").unwrap();
}

fn five_percent_may_fail_and_one_more_stops_it(fleet: &mut Fleet) {
    let mut random = StdRng::seed_from_u64(5);
    fleet.apply(&objects::release(objects::APP, "2.0")).unwrap();
    let mut bad: Vec<String> = (10..ALL).map(establishment).choose_multiple(&mut random, MAY_FAIL);
    fleet.kubectl_apply(&failing("2.0", &bad)).unwrap();
    let waves = json!([{"name": "all", "targets": {"selector": {}}, "maxConcurrent": "10%", "maxFailures": "5%"}]);
    let spec = json!({"upgrade": {"release": "app-2.0"}, "progressDeadline": "60s", "waves": waves});
    fleet.apply(&campaign("two", &spec)).unwrap();
    let (mut most, begun) = (0, Instant::now());
    let status = follow(fleet, "two", "Completed", |_, seen| {
        let at_once = in_hand(seen, "two");
        most = most.max(at_once);
        assert!(at_once <= AT_ONCE, "{at_once} at once");
    });
    println!("  {ALL} in {:.0} s, {most} at once", begun.elapsed().as_secs_f64());
    let counts = &status["counts"];
    assert_eq!((&counts["done"], &counts["failed"]), (&json!(ALL - MAY_FAIL), &json!(MAY_FAIL)));
    assert!(most > AT_ONCE / 2, "there is room for {AT_ONCE}, and {most} were used");
    let failed: Vec<&str> =
        status["failed"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    bad.sort();
    assert_eq!(failed, bad.iter().map(|one| format!("app-{one}")).collect::<Vec<_>>());
    let seen = instances(fleet);
    assert_eq!(running(&seen), BTreeMap::from([("1.0".into(), MAY_FAIL), ("2.0".into(), ALL - MAY_FAIL)]));
    // What failed went back, and runs.
    for instance in seen.iter().filter(|one| one["status"]["release"]["version"] == "1.0") {
        assert_eq!(instance["status"]["upgrade"]["phase"], "RolledBack");
        assert_eq!(condition(instance, "WorkloadReady").unwrap().status, "True");
    }
    fleet.kubectl(&["delete", "stage", "some-fail"]).unwrap();
    fleet.patch(CAMPAIGNS, "", "two", &json!({"spec": {"retryFailed": 1}})).unwrap();
    let done = |fleet: &Fleet| running(&instances(fleet)) == BTreeMap::from([("2.0".into(), ALL)]);
    let begun = Instant::now();
    while !done(fleet) {
        assert!(begun.elapsed() < PATIENCE, "what failed is tried again: {:?}", running(&instances(fleet)));
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(follow(fleet, "two", "Completed", |_, _| {})["counts"]["done"], ALL);
    fleet.delete(CAMPAIGNS, "", "two").unwrap();

    // One more than may: it stops, and most have not begun.
    fleet.apply(&objects::release(objects::APP, "3.0")).unwrap();
    let bad: Vec<String> = (0..=MAY_FAIL).map(establishment).collect();
    fleet.kubectl_apply(&failing("3.0", &bad)).unwrap();
    // Besides those that fail there is room for one: most are still to begin when the last of them has failed.
    let waves =
        json!([{"name": "all", "targets": {"selector": {}}, "maxConcurrent": MAY_FAIL + 2, "maxFailures": "5%"}]);
    let spec = json!({"upgrade": {"release": "app-3.0"}, "progressDeadline": "20s", "waves": waves});
    fleet.apply(&campaign("three", &spec)).unwrap();
    let status = follow(fleet, "three", "Halted", |_, _| {});
    println!("  {}", condition(&json!({ "status": status }), "Stalled").unwrap().message);
    // Nothing new begins any more; what had begun is finished.
    let begun = Instant::now();
    while in_hand(&instances(fleet), "three") > 0 {
        assert!(begun.elapsed() < PATIENCE, "what had begun is finished");
        std::thread::sleep(Duration::from_millis(200));
    }
    let seen = instances(fleet);
    let stopped = running(&seen);
    let untouched = seen.iter().filter(|one| one["spec"]["rollout"]["campaign"] != "three").count();
    println!("  {untouched} had not begun, {stopped:?}");
    assert!(untouched > 0, "{stopped:?}");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(running(&instances(fleet)), stopped);
    fleet.kubectl(&["delete", "stage", "some-fail"]).unwrap();
    fleet.delete(CAMPAIGNS, "", "three").unwrap();
}

fn fifty_kills_change_nothing_about_the_end(fleet: &mut Fleet) {
    let seed = std::env::var("GOTOCLOUD_CRASH_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| rand::rng().random());
    println!("  GOTOCLOUD_CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    fleet.apply(&objects::release(objects::APP, "4.0")).unwrap();
    let before = revisions(fleet);
    let asked: BTreeMap<String, usize> = running(&instances(fleet));
    assert_eq!(asked.values().sum::<usize>(), ALL);
    let waves = json!([
        {"name": "first", "targets": {"names": (0..20).map(|at| format!("app-{}", establishment(at))).collect::<Vec<_>>()},
         "maxConcurrent": UNDER_FIRE},
        {"name": "rest", "targets": {"selector": {}}, "exclude": {"names": (0..20).map(|at| format!("app-{}", establishment(at))).collect::<Vec<_>>()},
         "maxConcurrent": UNDER_FIRE},
    ]);
    fleet.apply(&campaign("four", &json!({"upgrade": {"release": "app-4.0"}, "waves": waves}))).unwrap();
    let (mut kills, begun) = (0, Instant::now());
    let mut next = Instant::now() + Duration::from_millis(random.random_range(0..1500));
    let status = follow(fleet, "four", "Completed", |fleet, seen| {
        assert!(in_hand(seen, "four") <= UNDER_FIRE, "{} at once", in_hand(seen, "four"));
        let is_first_done = seen.iter().all(|one| {
            let rollout = &one["spec"]["rollout"];
            rollout["campaign"] != "four" || rollout["wave"] != "first" || one["status"]["upgrade"]["phase"] == "Done"
        });
        let has_rest_begun = seen
            .iter()
            .any(|one| one["spec"]["rollout"]["campaign"] == "four" && one["spec"]["rollout"]["wave"] == "rest");
        assert!(is_first_done || !has_rest_begun, "the second wave begins before the first is done");
        if kills < KILLS && Instant::now() >= next {
            fleet.installation.operator.take().unwrap().kill().unwrap();
            fleet.installation.start_operator().unwrap();
            kills += 1;
            next = Instant::now() + Duration::from_millis(random.random_range(0..1500));
        }
    });
    println!("  {kills} kills in {:.0} s", begun.elapsed().as_secs_f64());
    assert_eq!(kills, KILLS, "the campaign ended before all kills");
    assert_eq!((&status["counts"]["done"], &status["counts"]["failed"]), (&json!(ALL), &json!(0)));
    let after = instances(fleet);
    assert_eq!(running(&after), BTreeMap::from([("4.0".into(), ALL)]));
    for instance in &after {
        assert_eq!(instance["spec"]["rollout"]["attempt"], 1);
        assert_eq!(instance["status"]["upgrade"]["phase"], "Done");
    }
    // Each was replaced once, and nothing else was.
    let replaced = revisions(fleet);
    let often: Vec<_> =
        replaced.iter().filter(|(name, revision)| before.get(*name).is_none_or(|was| **revision != was + 1)).collect();
    assert!(often.is_empty(), "replaced more than once, or not at all: {often:?}");
    fleet.delete(CAMPAIGNS, "", "four").unwrap();
}

fleet_tests!(
    "it-large-campaigns",
    |spec| spec.nodes(5),
    [
        the_fleet_is_made_by_a_campaign,
        five_percent_may_fail_and_one_more_stops_it,
        fifty_kills_change_nothing_about_the_end,
    ]
);
