//! Does an operator that is killed at any moment come back to what an undisturbed one would have made?
//!
//! The fleet of 2022, all 65 instances, is brought up once by an operator that nobody disturbs: what is there then is
//! the reference. Each of the 20 rounds deletes eight of the instances and applies them again, every fifth with its data,
//! the others keeping it (which spares the round the quarter of a minute for which Kubernetes deletes a namespace); the
//! operator is killed (SIGKILL) at a random moment of that, deletion included, and started again. Once the fleet is ready
//! all objects of all 65, of every kind, are compared with the reference. A last round deletes the whole fleet with its
//! data, and kills the operator three times.
//!
//! Compared is everything, specs, labels, the fields the operator owns, the statuses of the operator's own kinds, but
//! for what the API server or a controller sets: uid, versions, times, other managers' fields, addresses of Services,
//! statuses of other kinds; and how often a NetworkPolicy was edited, as neighbours went and came. Of
//! generated passwords the length is compared, and that they log in.
//!
//! `GOTOCLOUD_CRASH_SEED` repeats the random choices of a run, which tells its seed; `GOTOCLOUD_CRASH_ROUNDS` does more
//! rounds or fewer.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

use gotocloud_api::names::{ANNOTATION_ALLOW_REMOVALS_UNTIL, FIELD_MANAGER};
use gotocloud_integration::{
    APPLICATIONS, ESTABLISHMENTS, Fleet, HUB, INSTANCES, NAMESPACES, PLATFORMS, RELEASES, condition, fleet_2022,
    fleet_tests, objects, resource,
};
use gotocloud_planner::Kind;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

const ROUNDS: usize = 20;
const PER_ROUND: usize = 8;
const PATIENCE: Duration = Duration::from_secs(180);
/// How long what is told late may take: counts of the fleet, and what does not press.
const SETTLE: Duration = Duration::from_secs(40);

fn name(instance: &Value) -> &str {
    instance["metadata"]["name"].as_str().unwrap()
}

fn is_ready(instance: &Value) -> bool {
    instance["status"]["observedGeneration"] == instance["metadata"]["generation"]
        && condition(instance, "Ready").is_some_and(|ready| ready.status == "True")
        && condition(instance, "Reconciling").is_none()
}

/// Every object of the fleet, without what is not the operator's to decide.
fn snapshot(fleet: &Fleet) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let own = [APPLICATIONS, RELEASES, PLATFORMS, ESTABLISHMENTS, INSTANCES];
    let kinds = Kind::ALL.into_iter().map(|kind| (resource(kind), Some(kind)));
    for (resource, kind) in kinds.chain(own.map(|resource| (resource.to_owned(), None))) {
        for mut object in fleet.list(&resource, "", "") {
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
            let (namespace, name) = (text("namespace"), text("name"));
            let place = if kind == Some(Kind::Namespace) { &name } else { &namespace };
            if kind.is_some() && !place.starts_with("gtc-") {
                continue;
            }
            if let Some(kind) = kind {
                object.as_object_mut().unwrap().remove("status");
                if kind == Kind::Secret {
                    hide_generated(&mut object);
                }
                // How often it was edited: a neighbour that goes and comes is two edits more.
                if kind == Kind::NetworkPolicy {
                    object["metadata"].as_object_mut().unwrap().remove("generation");
                }
            }
            normalise(&mut object);
            all.insert(format!("{resource} {namespace}/{name}"), object);
        }
    }
    all
}

/// Takes out what the API server and the controllers set.
fn normalise(object: &mut Value) {
    let metadata = object["metadata"].as_object_mut().unwrap();
    for field in ["uid", "resourceVersion", "creationTimestamp"] {
        metadata.remove(field);
    }
    if let Some(entries) = metadata.get_mut("managedFields").and_then(Value::as_array_mut) {
        entries.retain(|entry| entry["manager"] == FIELD_MANAGER);
        entries.iter_mut().for_each(|entry| drop(entry.as_object_mut().unwrap().remove("time")));
        entries.sort_by_key(|entry| entry["subresource"].to_string());
    }
    for condition in object["status"]["conditions"].as_array_mut().into_iter().flatten() {
        condition.as_object_mut().unwrap().remove("lastTransitionTime");
    }
    if object["spec"]["clusterIP"].is_string() {
        let spec = object["spec"].as_object_mut().unwrap();
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
}

/// Puts in the place of each generated value how long it is, also where it is part of another.
fn hide_generated(secret: &mut Value) {
    let typed: k8s_openapi::api::core::v1::Secret = serde_json::from_value(secret.clone()).unwrap();
    let data: BTreeMap<String, String> = typed
        .data
        .unwrap_or_default()
        .into_iter()
        .map(|(key, value)| (key, String::from_utf8(value.0).unwrap()))
        .collect();
    let length = |value: &str| format!("<{} characters>", value.len());
    secret["data"] = match data.get("password").filter(|_| secret["metadata"]["name"] == "database-app") {
        Some(password) => {
            data.iter().map(|(key, value)| (key.clone(), json!(value.replace(password, &length(password))))).collect()
        }
        None => data.iter().map(|(key, value)| (key.clone(), json!(length(value)))).collect(),
    };
}

/// What differs, a line for each place.
fn differences(reference: &BTreeMap<String, Value>, now: &BTreeMap<String, Value>) -> Vec<String> {
    let mut lines = Vec::new();
    let keys: BTreeSet<_> = reference.keys().chain(now.keys()).collect();
    for key in keys {
        match (reference.get(key), now.get(key)) {
            (Some(_), None) => lines.push(format!("{key} is not there")),
            (None, Some(_)) => lines.push(format!("{key} should not be there")),
            (Some(one), Some(other)) if one.to_string() != other.to_string() => walk(key, one, other, &mut lines),
            _ => {}
        }
    }
    lines
}

fn walk(path: &str, one: &Value, other: &Value, lines: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let (a, b) = (a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null));
                walk(&format!("{path}.{key}"), a, b, lines);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (at, (a, b)) in a.iter().zip(b).enumerate() {
                walk(&format!("{path}[{at}]"), a, b, lines);
            }
        }
        _ if one == other => {}
        _ => lines.push(format!("{path}: {one} became {other}")),
    }
}

/// Waits until nothing differs.
fn until_same(fleet: &Fleet, reference: &BTreeMap<String, Value>, what: &str) {
    let begun = Instant::now();
    loop {
        let lines = differences(reference, &snapshot(fleet));
        if lines.is_empty() {
            return;
        }
        let (count, first) = (lines.len(), lines[..lines.len().min(20)].join("\n"));
        assert!(begun.elapsed() < SETTLE, "{what}: {count} differences:\n{first}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// The moments at which the operator is killed, and what came of it.
struct Killer {
    moments: Vec<Instant>,
    told: Vec<String>,
}

impl Killer {
    /// Kills the operator and starts it again, if it is time.
    fn look(&mut self, fleet: &mut Fleet, at: &str) {
        if self.moments.first().is_some_and(|moment| Instant::now() >= *moment) {
            self.moments.remove(0);
            fleet.installation.operator.take().unwrap().kill().unwrap();
            fleet.installation.start_operator().unwrap();
            self.told.push(at.to_owned());
        }
    }
}

/// What becomes of an instance's data when it is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    Kept,
    Deleted,
}

/// Deletes the instances, applies them again and waits until the fleet is ready, while the killer looks. Gives how long
/// that took.
fn renew(fleet: &mut Fleet, all: usize, instances: &[&Value], data: Data, killer: &mut Killer) -> Duration {
    let begun = Instant::now();
    for instance in instances {
        if data == Data::Kept {
            fleet.edit(name(instance), &json!({"spec": {"deletionPolicy": "Retain"}}));
        }
        fleet.delete(INSTANCES, HUB, name(instance)).unwrap();
        killer.look(fleet, "asking for deletion");
    }
    let mut left: Vec<&str> = instances.iter().map(|instance| name(instance)).collect();
    while !left.is_empty() {
        killer.look(fleet, &format!("{} to delete", left.len()));
        let is_there: BTreeSet<String> =
            fleet.list(INSTANCES, HUB, "").iter().map(|one| name(one).to_owned()).collect();
        let is_kept = data == Data::Kept;
        let there = |name: &str| {
            is_there.contains(name) || !is_kept && fleet.get(NAMESPACES, "", &format!("gtc-{name}")).is_some()
        };
        left.retain(|name| there(name));
        assert!(begun.elapsed() < PATIENCE, "not deleted: {left:?}");
    }
    for instance in instances {
        fleet.apply(instance).unwrap();
        killer.look(fleet, "asking for instances");
    }
    loop {
        let found = fleet.list(INSTANCES, HUB, "");
        let unready: Vec<_> = found.iter().filter(|one| !is_ready(one)).collect();
        if found.len() == all && unready.is_empty() && killer.moments.is_empty() {
            return begun.elapsed();
        }
        killer.look(fleet, &format!("{} to get ready", unready.len()));
        assert!(begun.elapsed() < PATIENCE, "not ready: {unready:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The passwords of these instances log in over TLS, and the server holds the databases and roles of the fleet alone.
fn assert_databases(fleet: &Fleet, instances: &[&Value], reference: &BTreeMap<String, Value>) {
    for instance in instances {
        let (name, identifier) = (name(instance), name(instance).replace('-', "_"));
        if let Some(password) = fleet.secret(&format!("gtc-{name}"), "database-app", "password") {
            let rows = fleet.sql_as(&identifier, &password, &identifier, "SELECT current_user").unwrap();
            assert_eq!(rows, [[identifier]]);
        }
    }
    let wanted: BTreeSet<String> = reference
        .keys()
        .filter_map(|key| Some(key.strip_prefix("v1/secrets gtc-")?.strip_suffix("/database-app")?.replace('-', "_")))
        .collect();
    assert!(wanted.len() > 50);
    for query in [
        "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'",
        "SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname NOT IN ('postgres', 'gotocloud_admin')",
    ] {
        let found: BTreeSet<String> = fleet.sql(query).unwrap().into_iter().flatten().collect();
        assert_eq!(found, wanted, "{query}");
    }
}

fn a_killed_operator_comes_back_to_what_an_undisturbed_one_makes(fleet: &mut Fleet) {
    let seed =
        std::env::var("GOTOCLOUD_CRASH_SEED").ok().map_or_else(rand::random, |seed| seed.parse::<u64>().unwrap());
    let rounds = std::env::var("GOTOCLOUD_CRASH_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    println!("  GOTOCLOUD_CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let whole = Instant::now();
    let go = json!({"spec": {"deletionPolicy": "Delete", "deletionProtection": false}});
    let instances: Vec<Value> =
        fleet.apply_catalogue_of_2022().into_iter().map(|one| objects::with(one, go.clone())).collect();
    assert_eq!(fleet_2022::names(&instances).len(), 65);
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let allowed = json!({"metadata": {"annotations": {ANNOTATION_ALLOW_REMOVALS_UNTIL: until.to_string()}}});
    fleet.patch(PLATFORMS, "", "paris", &allowed).unwrap();

    let begun = Instant::now();
    instances.iter().for_each(|instance| drop(fleet.apply(instance).unwrap()));
    let mut killer = Killer { moments: Vec::new(), told: Vec::new() };
    renew(fleet, 65, &[], Data::Deleted, &mut killer);
    println!("  all 65 were ready after {:.1} s", begun.elapsed().as_secs_f64());
    std::thread::sleep(Duration::from_secs(8));
    let reference = snapshot(fleet);
    std::thread::sleep(Duration::from_secs(3));
    until_same(fleet, &reference, "nothing happens");
    let every: Vec<&Value> = instances.iter().collect();
    assert_databases(fleet, &every, &reference);

    let mut span = |data: Data| {
        let some: Vec<&Value> = instances.choose_multiple(&mut random, PER_ROUND).collect();
        let span = renew(fleet, 65, &some, data, &mut killer).as_secs_f64();
        until_same(fleet, &reference, "an undisturbed round");
        span
    };
    let spans = [span(Data::Kept), span(Data::Deleted)];
    println!(
        "  {} objects; undisturbed, {PER_ROUND} instances take {spans:.1?} s, data kept and deleted",
        reference.len()
    );

    for round in 1..=rounds {
        let some: Vec<&Value> = instances.choose_multiple(&mut random, PER_ROUND).collect();
        let (data, span) = if round % 5 == 0 { (Data::Deleted, spans[1]) } else { (Data::Kept, spans[0]) };
        let passwords = |fleet: &Fleet| -> Vec<Option<String>> {
            some.iter().map(|one| fleet.secret(&format!("gtc-{}", name(one)), "database-app", "password")).collect()
        };
        let before = passwords(fleet);
        let moment = random.random_range(0.0..span);
        let mut killer = Killer { moments: vec![Instant::now() + Duration::from_secs_f64(moment)], told: Vec::new() };
        let took = renew(fleet, 65, &some, data, &mut killer).as_secs_f64();
        let at = killer.told.join(", ");
        println!("  round {round}: data {data:?}, killed at {moment:.2} s ({at}), ready after {took:.1} s");
        until_same(fleet, &reference, &format!("round {round} of seed {seed}"));
        assert_databases(fleet, &some, &reference);
        assert_eq!(before == passwords(fleet), data == Data::Kept, "a password is kept as long as the data");
    }

    // Once while it is deleted, twice while it rises.
    let moments = [0.0..30.0, 30.0..50.0, 50.0..70.0].map(|span| random.random_range(span));
    let now = Instant::now();
    let mut killer =
        Killer { moments: moments.iter().map(|at| now + Duration::from_secs_f64(*at)).collect(), told: Vec::new() };
    let took = renew(fleet, 65, &every, Data::Deleted, &mut killer);
    println!(
        "  all 65: killed at {moments:.1?} s ({}), ready after {:.1} s",
        killer.told.join(", "),
        took.as_secs_f64()
    );
    until_same(fleet, &reference, &format!("the last round of seed {seed}"));
    assert_databases(fleet, &every, &reference);
    println!("  {rounds} rounds and one of the whole fleet in {:.0} s", whole.elapsed().as_secs_f64());
}

fleet_tests!("it-crash", |spec| spec, [a_killed_operator_comes_back_to_what_an_undisturbed_one_makes]);
