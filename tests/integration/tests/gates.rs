//! The gates of campaigns against a real Prometheus: what is true, false and unknown, and what each does to a target.
//!
//! All targets go on their way at once, since each takes as long as a gate has to be true. The tests then look at one
//! after the other; whichever comes first sets all of them off.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.
#![allow(clippy::needless_pass_by_value)] // reads best with a literal

use gotocloud_harness::{Exposition, Prometheus, Terminal};
use gotocloud_integration::{Fleet, HUB, PATIENCE, PLATFORMS, Test, eventually, objects, run};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::TcpListener,
    process::{Command, ExitCode},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

const CAMPAIGNS: &str = "gotocloud.amue.fr/v1alpha1/campaigns";
const DEPLOYMENTS: &str = "apps/v1/deployments";
/// How long a gate has to be true: longer than the time between two looks at it, so that a first look is too early.
const DURING: SignedDuration = SignedDuration::from_secs(20);
/// How long a target may stay in `Verify` with a gate that is false.
const DEADLINE: SignedDuration = SignedDuration::from_secs(25);
/// In which time a gate is surely looked at twice.
const TWO_LOOKS: SignedDuration = SignedDuration::from_secs(31);
/// The gate of most targets.
const UP: &str = "app_up{namespace=\"${namespace}\"}";
/// Prometheus can read it, and the operator too; only its evaluation fails.
const REFUSED: &str = "label_replace(app_up{namespace=\"${namespace}\"}, \"a\", \"$1\", \"namespace\", \"(\")";

/// Whose gate is true.
const HELD: &str = "held";
/// Whose gate is false.
const FAILING: &str = "failing";
/// Of whom Prometheus knows nothing.
const MISSING: &str = "missing";
/// On a Platform whose Prometheus is down.
const AWAY: &str = "away";
/// On a Platform that names no Prometheus.
const MUTE: &str = "mute";
/// Whose gate Prometheus refuses to evaluate.
const ASKED_WRONGLY: &str = "refused";
/// Who soaks.
const WATCHED: &str = "watched";
/// Who has no gate.
const STALE: &str = "stale";
/// Whose gate is a health check, on a Platform that names no Prometheus.
const CHECKED: &str = "checked";
/// The Platform of those whose Prometheus takes every question and answers none.
const HANGING: &str = "hanging";
/// Those on it.
const ON_HANGING: [&str; 4] = ["hanging-1", "hanging-2", "hanging-3", "hanging-4"];
const OTHERS: [&str; 9] = [HELD, FAILING, MISSING, AWAY, MUTE, ASKED_WRONGLY, WATCHED, STALE, CHECKED];

/// All of them.
fn all() -> impl Iterator<Item = &'static str> {
    OTHERS.into_iter().chain(ON_HANGING)
}

/// What the tests share.
struct World {
    exposition: Exposition,
    prometheus: Prometheus,
    /// That of the Platform [`AWAY`].
    away: Prometheus,
    /// Where whoever asks for the Platform [`HANGING`] waits for ever: nobody accepts.
    _hanging: TcpListener,
    /// When each target began to wait for its gate.
    waits_since: BTreeMap<&'static str, Timestamp>,
}

static WORLD: Mutex<Option<World>> = Mutex::new(None);

fn main() -> ExitCode {
    let tests: [Test<'_>; 7] = [
        ("a_gate_lets_a_target_through_once_it_was_true_for_long_enough", holds),
        ("a_prometheus_that_hangs_delays_nobody_whose_own_answers", hangs),
        ("a_gate_that_is_false_takes_its_target_back_after_the_deadline", is_false),
        ("a_gate_that_becomes_false_takes_back_what_is_watched", becomes_false),
        ("what_cannot_be_told_is_neither_true_nor_false_and_the_target_goes_on_once_it_can_be", is_unknown),
        ("a_health_check_lets_a_target_through_once_it_was_well_for_long_enough", is_well),
        ("pods_of_the_release_before_are_no_proof_however_well_they_are", stale),
    ];
    let outcome = run("it-gates", |spec| spec, &tests);
    // What is in a static is never dropped.
    WORLD.lock().unwrap_or_else(PoisonError::into_inner).take();
    outcome
}

/// Runs a test in the world, which is made first where it is not there.
fn within(fleet: &Fleet, test: impl FnOnce(&mut World)) {
    let mut world = WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    test(world.get_or_insert_with(|| World::begin(fleet)));
}

impl World {
    fn begin(fleet: &Fleet) -> Self {
        let exposition = Exposition::start().unwrap();
        let since = Timestamp::now();
        for (name, value) in
            [(HELD, 1.0), (FAILING, 0.0), (AWAY, 1.0), (MUTE, 1.0), (ASKED_WRONGLY, 1.0), (WATCHED, 1.0)]
        {
            exposition.set(&series(name), value);
        }
        let start = |name| Prometheus::start(name, Duration::from_secs(1), &[exposition.address()], &Terminal).unwrap();
        let (prometheus, mut away) = (start("it-gates"), start("it-gates-away"));
        for one in [&prometheus, &away] {
            eventually(PATIENCE, "it scrapes", || match one.query("count(app_up)") {
                Ok(counted) if counted == [6.0] => Ok(()),
                other => Err(format!("{other:?}")),
            });
        }
        away.kill().unwrap();
        let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
        let platforms = [
            (objects::SERVER, Some(prometheus.url())),
            (AWAY, Some(away.url())),
            (HANGING, Some(format!("http://{}", hanging.local_addr().unwrap()))),
            (MUTE, None),
        ];
        provision(fleet, &platforms);
        // Long enough that nothing but the time since a target waits can hold a gate that is true.
        let samples = Timestamp::now().duration_since(since);
        thread::sleep(Duration::try_from(DURING - samples).unwrap_or_default());

        fleet.apply(&objects::release(objects::APP, "2.0")).unwrap();
        let up = json!({"gates": [gate(UP, DURING)]});
        fleet.apply(&campaign("hanging", &ON_HANGING, up.clone())).unwrap();
        for name in ON_HANGING {
            until(fleet, name, "Verify");
        }
        fleet.apply(&campaign("gated", &[HELD, FAILING, MISSING, AWAY, MUTE], up)).unwrap();
        fleet.apply(&campaign("refused", &[ASKED_WRONGLY], json!({"gates": [gate(REFUSED, DURING)]}))).unwrap();
        let watched = json!({"gates": [gate(UP, SignedDuration::ZERO)], "soak": "1h"});
        fleet.apply(&campaign("watched", &[WATCHED], watched)).unwrap();
        let check = json!({"name": "pods", "healthCheck": "WorkloadReady", "during": format!("{}s", DURING.as_secs())});
        fleet.apply(&campaign("checked", &[CHECKED], json!({"gates": [check]}))).unwrap();
        let waits = [HELD, FAILING, MISSING, AWAY, MUTE, ASKED_WRONGLY, CHECKED];
        let waits_since = waits.map(|name| (name, time(&until(fleet, name, "Verify")["since"])));
        Self { exposition, prometheus, away, _hanging: hanging, waits_since: waits_since.into() }
    }
}

/// Makes the platforms, each with its Prometheus, and an instance of each name, by a campaign: what a person makes, no
/// campaign takes to another release.
fn provision(fleet: &Fleet, platforms: &[(&str, Option<String>)]) {
    for (name, url) in platforms {
        let platform = fleet.installation.platform(name);
        let monitoring = url.as_ref().map_or(json!({}), |url| json!({"spec": {"monitoring": monitored_by(url)}}));
        fleet.apply(&objects::with(platform, monitoring)).unwrap();
    }
    for name in all() {
        let home = match name {
            AWAY => AWAY,
            MUTE | CHECKED => MUTE,
            name if ON_HANGING.contains(&name) => HANGING,
            _ => objects::SERVER,
        };
        let more = json!({"metadata": {"labels": {"cohort": "gated"}}, "spec": {"homePlatform": home}});
        fleet.apply(&objects::with(objects::establishment(name), more)).unwrap();
    }
    let spec = json!({"application": objects::APP, "namespace": HUB, "state": "Running",
        "provision": {"release": objects::RELEASE},
        "waves": [{"name": "all", "targets": {"cohort": "gated"}, "maxConcurrent": "100%"}]});
    fleet
        .apply(&json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Campaign", "metadata": {"name": "make"},
            "spec": spec}))
        .unwrap();
    eventually(PATIENCE, "all are made", || {
        let status = status(fleet, "make");
        if status["phase"] == "Completed" { Ok(()) } else { Err(status.to_string()) }
    });
    assert_eq!(status(fleet, "make")["counts"]["done"], all().count());
    fleet.delete(CAMPAIGNS, "", "make").unwrap();
}

fn monitored_by(url: &str) -> Value {
    json!({"namespace": "monitoring", "prometheusUrl": url})
}

fn series(name: &str) -> String {
    format!("app_up{{namespace=\"gtc-app-{name}\"}}")
}

fn gate(promql: &str, during: SignedDuration) -> Value {
    json!({"name": "up", "promql": promql, "during": format!("{}s", during.as_secs())})
}

fn campaign(name: &str, targets: &[&str], wave: Value) -> Value {
    let targets: Vec<String> = targets.iter().map(|name| format!("app-{name}")).collect();
    let all = json!({"name": "all", "targets": {"names": targets}, "maxConcurrent": "100%", "maxFailures": "100%"});
    json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Campaign", "metadata": {"name": name}, "spec": {
        "application": objects::APP, "namespace": HUB, "state": "Running", "upgrade": {"release": "app-2.0"},
        "progressDeadline": format!("{}s", DEADLINE.as_secs()), "waves": [objects::with(all, wave)],
    }})
}

fn status(fleet: &Fleet, campaign: &str) -> Value {
    fleet.get(CAMPAIGNS, "", campaign).expect("the campaign is there")["status"].clone()
}

/// The record of a target's way.
fn way(fleet: &Fleet, name: &str) -> Value {
    fleet.instance(&format!("app-{name}"))["status"]["upgrade"].clone()
}

fn version(fleet: &Fleet, name: &str) -> Value {
    fleet.instance(&format!("app-{name}"))["status"]["release"]["version"].clone()
}

/// Waits until a target is in that phase of its way to 2.0.
fn until(fleet: &Fleet, name: &str, phase: &str) -> Value {
    eventually(PATIENCE, &format!("{name} is in {phase}"), || {
        let way = way(fleet, name);
        if way["to"] == "app-2.0" && way["phase"] == phase { Ok(way) } else { Err(way.to_string()) }
    })
}

fn time(text: &Value) -> Timestamp {
    text.as_str().unwrap().parse().unwrap()
}

fn sleep_until(moment: Timestamp) {
    thread::sleep(Duration::try_from(moment.duration_since(Timestamp::now())).unwrap_or_default());
}

fn holds(fleet: &mut Fleet) {
    within(fleet, |world| {
        // Asked too early, it says for how long it has to be true.
        eventually(PATIENCE, "it says why it waits", || {
            let way = way(fleet, HELD);
            let waits = way["phase"] == "Verify" && way["message"] == "the gate up has to be true for 20s";
            if waits { Ok(()) } else { Err(way.to_string()) }
        });
        let waited = time(&until(fleet, HELD, "Done")["since"]).duration_since(world.waits_since[HELD]);
        println!("  it waited for {waited:#}");
        assert!(waited >= DURING, "it went through after {waited:#}");
        assert_eq!(version(fleet, HELD), "2.0");
    });
}

/// Four targets whose questions are never answered would each cost the others ten seconds a look.
fn hangs(fleet: &mut Fleet) {
    within(fleet, |world| {
        let waited = time(&until(fleet, HELD, "Done")["since"]).duration_since(world.waits_since[HELD]);
        assert!(waited < DURING + TWO_LOOKS, "it went through after {waited:#}");
        for name in ON_HANGING {
            eventually(PATIENCE, "it says why it waits", || {
                let way = way(fleet, name);
                let message = way["message"].as_str().unwrap_or_default();
                let waits = way["phase"] == "Verify" && message.contains("did not answer in 10 s");
                if waits { Ok(()) } else { Err(way.to_string()) }
            });
        }
    });
}

fn is_well(fleet: &mut Fleet) {
    within(fleet, |world| {
        let waited = time(&until(fleet, CHECKED, "Done")["since"]).duration_since(world.waits_since[CHECKED]);
        println!("  it waited for {waited:#}");
        assert!(waited >= DURING, "it went through after {waited:#}");
        assert_eq!(version(fleet, CHECKED), "2.0");
        let neither = json!([{"name": "neither"}]);
        let refused = fleet.apply(&campaign("neither", &[CHECKED], json!({ "gates": neither }))).unwrap_err();
        assert!(refused.message.contains("either a promql expression or a healthCheck"), "{refused}");
    });
}

fn is_false(fleet: &mut Fleet) {
    within(fleet, |world| {
        let way = until(fleet, FAILING, "RolledBack");
        assert_eq!(way["message"], "it is not verified in time: the gate up is false");
        let waited = time(&way["since"]).duration_since(world.waits_since[FAILING]);
        println!("  it went back after {waited:#}");
        assert!(waited >= DEADLINE, "it went back after {waited:#}");
        assert_eq!(version(fleet, FAILING), "1.0");
        let listed = eventually(PATIENCE, "the campaign says so", || {
            let status = status(fleet, "gated");
            let failed = status["failed"].as_array().and_then(|failed| failed.first()).cloned();
            failed.ok_or_else(|| status.to_string())
        });
        assert_eq!((&listed["name"], &listed["message"]), (&json!("app-failing"), &way["message"]));
    });
}

fn becomes_false(fleet: &mut Fleet) {
    within(fleet, |world| {
        until(fleet, WATCHED, "Soak");
        world.exposition.set(&series(WATCHED), 0.0);
        let way = until(fleet, WATCHED, "RolledBack");
        assert_eq!(way["message"], "while it was watched: the gate up is false");
        assert_eq!(version(fleet, WATCHED), "1.0");
    });
}

fn is_unknown(fleet: &mut Fleet) {
    within(fleet, |world| {
        let refused = "invalid regular expression in label_replace(): (".to_owned();
        let unknown = [
            ("gated", MISSING, "its expression has no result".to_owned()),
            ("gated", AWAY, format!("{}: ", world.away.url())),
            ("gated", MUTE, "the Platform names no Prometheus: set spec.monitoring.prometheusUrl".to_owned()),
            ("refused", ASKED_WRONGLY, format!("{}: {refused}", world.prometheus.url())),
        ];
        for (campaign, name, why) in &unknown {
            sleep_until(world.waits_since[name] + DEADLINE + TWO_LOOKS);
            let says = format!("the gate up cannot be told: {why}");
            let way = way(fleet, name);
            let message = way["message"].as_str().unwrap_or_default();
            assert!(way["phase"] == "Verify" && message.starts_with(&says), "{name}: {way}");
            println!("  {message}");
            let running = status(fleet, campaign)["running"].clone();
            let listed = running.as_array().unwrap().iter().find(|one| one["name"] == format!("app-{name}"));
            let listed = listed.unwrap_or_else(|| panic!("{name} is not in {running}"));
            assert_eq!((&listed["phase"], &listed["message"]), (&way["phase"], &way["message"]), "{name}");
        }

        // Each is mended where it is broken, and all go on by themselves.
        let mended = Timestamp::now();
        world.exposition.set(&series(MISSING), 1.0);
        world.away.resume().unwrap();
        let named = json!({"spec": {"monitoring": monitored_by(&world.prometheus.url())}});
        fleet.patch(PLATFORMS, "", MUTE, &named).unwrap();
        for name in [MISSING, AWAY, MUTE] {
            let way = until(fleet, name, "Done");
            assert_eq!(version(fleet, name), "2.0");
            let took = time(&way["since"]).duration_since(mended);
            println!("  {name} went through {took:#} after it was mended");
            // The record is exact to the second.
            assert!(name != MISSING || took > DURING - SignedDuration::from_secs(1), "{name}: {took:#}");
        }

        // Nobody waits for what is aborted: what cannot be told then counts as false.
        assert_eq!(way(fleet, ASKED_WRONGLY)["phase"], "Verify");
        fleet.patch(CAMPAIGNS, "", "refused", &json!({"spec": {"state": "Aborted"}})).unwrap();
        let way = until(fleet, ASKED_WRONGLY, "RolledBack");
        assert!(way["message"].as_str().unwrap().contains(&refused), "{way}");
    });
}

/// A component of the control plane that stands still until this is dropped.
struct Paused(String);

impl Paused {
    fn new(fleet: &Fleet, component: &str) -> Self {
        let paused = Self(fleet.cluster().process(component).unwrap().to_string());
        paused.signal("STOP");
        paused
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([&format!("-{name}"), &self.0]).status().unwrap().success());
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.signal("CONT");
    }
}

/// Pods of an instance by the version they run, and whether they are ready.
fn pods(fleet: &Fleet, name: &str) -> Vec<(String, bool)> {
    let pod = |pod: &Value| {
        let version = pod["metadata"]["labels"]["app.kubernetes.io/version"].as_str().unwrap().to_owned();
        let is = |one: &Value| one["type"] == "Ready" && one["status"] == "True";
        (version, pod["status"]["conditions"].as_array().is_some_and(|conditions| conditions.iter().any(is)))
    };
    fleet.list("v1/pods", &format!("gtc-app-{name}"), "").iter().map(pod).collect()
}

/// Fails if the target counts as done, or its pods as there, at any moment of this time, in which all pods of 1.0 are
/// ready.
fn assert_not_done_for(fleet: &Fleet, length: Duration) {
    let end = Timestamp::now() + SignedDuration::try_from(length).unwrap();
    while Timestamp::now() < end {
        let (way, status) = (way(fleet, STALE), status(fleet, "stale"));
        assert!(["Preflight", "Rollout"].iter().any(|phase| way["phase"] == *phase), "{way}");
        assert_eq!(status["counts"]["done"].as_u64().unwrap_or(0), 0, "{status}");
        let pods = pods(fleet, STALE);
        let old: Vec<_> = pods.iter().filter(|(version, _)| version == "1.0").collect();
        assert!(old.len() == 2 && old.iter().all(|(_, ready)| *ready), "{pods:?}");
        thread::sleep(Duration::from_millis(100));
    }
}

fn stale(fleet: &mut Fleet) {
    within(fleet, |_| {
        // Pods of 2.0 come and do not get ready.
        let unready = objects::unready_pods("unready", "2.0", &[STALE]);
        fleet.kubectl_apply(&unready).unwrap();

        // Whoever writes the status of Deployments is away: each goes on saying how well 1.0 runs.
        let paused = Paused::new(fleet, "kube-controller-manager");
        let more = json!({"spec": {"progressDeadline": "10m"}});
        fleet.apply(&objects::with(campaign("stale", &[STALE], json!({})), more)).unwrap();
        eventually(PATIENCE, "its Deployments ask for 2.0 and their status is that of 1.0", || {
            let all = fleet.list(DEPLOYMENTS, "gtc-app-stale", "");
            let is_stale = |one: &Value| {
                let (spec, status) = (&one["spec"], &one["status"]);
                let of_before = status["observedGeneration"].as_i64() < one["metadata"]["generation"].as_i64();
                let labels = &spec["template"]["metadata"]["labels"];
                let is_well = ["updatedReplicas", "readyReplicas", "availableReplicas"]
                    .iter()
                    .all(|count| status[*count] == spec["replicas"]);
                of_before && is_well && labels["app.kubernetes.io/version"] == "2.0"
            };
            if all.len() == 2 && all.iter().all(is_stale) { Ok(()) } else { Err(json!(all).to_string()) }
        });
        assert_not_done_for(fleet, Duration::from_secs(4));
        drop(paused);
        eventually(PATIENCE, "there are pods of 2.0", || {
            let pods = pods(fleet, STALE);
            if pods.iter().filter(|(version, _)| version == "2.0").count() == 2 {
                Ok(())
            } else {
                Err(format!("{pods:?}"))
            }
        });
        assert_not_done_for(fleet, Duration::from_secs(4));

        fleet.kubectl(&["delete", "stage", "unready"]).unwrap();
        let of_the_new = "app.kubernetes.io/version=2.0";
        fleet.kubectl(&["delete", "pods", "-n", "gtc-app-stale", "-l", of_the_new, "--wait=false"]).unwrap();
        let way = until(fleet, STALE, "Done");
        assert_eq!((&way["rollout"]["campaign"], &version(fleet, STALE)), (&json!("stale"), &json!("2.0")));
        eventually(PATIENCE, "it counts as done", || {
            let status = status(fleet, "stale");
            if status["counts"]["done"] == 1 { Ok(()) } else { Err(status.to_string()) }
        });
    });
}
