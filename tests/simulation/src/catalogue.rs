//! What the fleet is made from: one application, its releases, two platforms, and an establishment for each Instance.
//!
//! The releases are a ladder. What each does to the data is known here apart from the planner, so that a pod on data that
//! does not suit it is seen for what it is.

use crate::{api::Ref, people::COHORTS, world::World};
use gotocloud_api::names;
use serde_json::{Value, json};

/// Where the Instances are.
pub const HUB: &str = "hub";
/// Where establishments write Deferrals.
pub const OWN_NAMESPACE: &str = "own";
/// How many Establishments have no Instance at first.
const NEW: u32 = 2;
/// Establishments that have no Instance of their own.
pub const MEMBERS: [&str; 2] = ["m0", "m1"];
/// The application.
pub const APPLICATION: &str = "app";

/// What a release does to the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moves {
    /// Nothing.
    Nothing,
    /// The release before runs on the data all the same.
    Reversibly,
    /// The release before cannot run on the data any more.
    ForGood,
}

/// A release.
#[derive(Clone, Copy, Debug)]
pub struct Rung {
    /// Its version.
    pub version: &'static str,
    /// What it does to the data.
    pub moves: Moves,
    /// Its second component.
    pub second: &'static str,
    /// A value that its pods are given.
    pub value: &'static str,
    /// Do its pods get ready?
    pub is_well: bool,
}

const fn rung(version: &'static str, moves: Moves, second: &'static str) -> Rung {
    Rung { version, moves, second, value: "fine", is_well: true }
}

/// The releases, each reached from the one before.
pub const LADDER: [Rung; 7] = [
    rung("1.0", Moves::Nothing, "batch"),
    rung("2.0", Moves::Reversibly, "batch"),
    rung("3.0", Moves::ForGood, "batch"),
    // Its components have other names.
    rung("4.0", Moves::Nothing, "worker"),
    rung("5.0", Moves::ForGood, "worker"),
    // It cannot be rendered: its variable stands for nothing.
    Rung { value: "${endpoint.nowhere}", ..rung("6.0", Moves::Nothing, "worker") },
    // Its pods never get ready.
    Rung { is_well: false, ..rung("7.0", Moves::Nothing, "worker") },
];

/// The name of a release.
pub fn name_of(version: &str) -> String {
    format!("{APPLICATION}-{version}")
}

/// The place of a release on the ladder, by its name or version.
pub fn place(release: &str) -> Option<usize> {
    LADDER.iter().position(|rung| release == rung.version || release == name_of(rung.version))
}

/// How many times the data was moved once a release runs.
pub fn level(at: usize) -> usize {
    LADDER[..=at].iter().filter(|rung| rung.moves != Moves::Nothing).count()
}

/// Can a release run on data that was moved so often?
pub fn suits(at: usize, moved: usize) -> bool {
    let needs = level(at);
    let later = LADDER
        .iter()
        .enumerate()
        .filter(|(other, rung)| rung.moves == Moves::ForGood && level(*other) > needs && level(*other) <= moved);
    moved >= needs && later.count() == 0
}

fn image(of: &str, version: &str) -> String {
    let digest = gotocloud_planner::fingerprint::of_bytes(version.as_bytes()).repeat(4);
    format!("registry.example.fr/{of}@sha256:{digest}")
}

/// The place on the ladder of the release that a migration's image belongs to.
pub fn of_migration(found: &str) -> Option<usize> {
    LADDER.iter().position(|rung| image("migrate", rung.version) == found)
}

/// From which releases a rung is reached.
pub fn reachable_from(at: usize) -> Value {
    match at {
        0 => json!(["0.0"]),
        // What cannot be rendered is not on the way to what can.
        6 => json!([LADDER[4].version]),
        _ => json!([LADDER[at - 1].version]),
    }
}

/// A Release.
pub fn release(at: usize) -> Value {
    let Rung { version, moves, second, value, .. } = LADDER[at];
    let mut spec = json!({
        "application": APPLICATION, "versionScheme": "Dotted", "version": version,
        "reachableFrom": reachable_from(at),
        "generatedSecrets": [{"name": "session-key", "length": 8}],
        "components": [
            {
                "name": "web", "image": image("web", version),
                "ports": [{"name": "http", "port": 8080}],
                "env": [
                    {"name": "DATABASE_URL", "fromDatabase": "Uri"},
                    {"name": "SESSION_KEY", "fromSecret": "session-key"},
                    {"name": "VALUE", "value": value},
                ],
            },
            {"name": second, "image": image("batch", version), "command": ["/batch"]},
        ],
    });
    if moves != Moves::Nothing {
        spec["migration"] = json!({
            "image": image("migrate", version), "command": ["/migrate"], "reversible": moves == Moves::Reversibly,
            "env": [{"name": "DATABASE_URL", "fromDatabase": "Uri"}],
        });
    }
    own("Release", &name_of(version), spec)
}

/// An object of the operator's own kinds, of the cluster.
#[allow(clippy::needless_pass_by_value)] // reads best with a literal
fn own(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// The application.
pub fn application() -> Value {
    let size = |factor: u32| {
        json!({
            "quota": {"cpu": (8 * factor).to_string(), "memory": format!("{}Gi", 8 * factor), "storage": "50Gi", "pods": 30 * factor},
            "defaultComponent": {"replicas": factor, "cpu": "250m", "memory": "256Mi"},
            "database": {"cpu": "500m", "memory": "1Gi", "storage": "5Gi"},
        })
    };
    let stage = |replicas: u32, servers: u32| json!({"minReplicas": replicas, "databaseInstances": servers});
    own(
        "Application",
        APPLICATION,
        json!({
            "displayName": "The application", "tenancy": "Grouped", "versionScheme": "Dotted",
            "sizes": {"verySmall": size(1), "small": size(1), "medium": size(2), "large": size(2), "veryLarge": size(3)},
            "stages": {"provisioned": stage(1, 1), "partialProduction": stage(2, 1), "fullProduction": stage(2, 1)},
        }),
    )
}

fn platform(name: &str, database: &Value) -> Value {
    own(
        "Platform",
        name,
        json!({
            "dnsZone": format!("{name}.example.fr"),
            "exposure": {"ingress": {"className": "nginx", "namespace": "ingress-nginx"}},
            "database": database,
        }),
    )
}

/// An Instance, of a number.
pub fn instance(number: u32) -> Value {
    let mut object = own(
        "Instance",
        &format!("i{number}"),
        json!({"application": APPLICATION, "establishment": format!("e{number}"), "release": name_of("1.0")}),
    );
    object["metadata"]["namespace"] = HUB.into();
    object["metadata"]["labels"] = labels(number);
    object
}

fn labels(number: u32) -> Value {
    let cohort = COHORTS[number as usize % COHORTS.len()];
    json!({names::LABEL_COHORT: cohort})
}

/// Is that Establishment a grouping of others? The last of those that have an Instance is one.
pub fn is_grouping(number: u32, fleet: u32) -> bool {
    number + 1 == fleet
}

/// A grouping of those members.
pub fn grouping(instances: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|name| json!({ "name": name })).collect();
    json!({"applications": [APPLICATION], "instances": instances, "members": members})
}

/// Publishes all of it.
pub fn publish(world: &mut World) {
    for name in [HUB, OWN_NAMESPACE] {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        put(world, "Namespace", "", &namespace);
    }
    put(world, "Application", "", &application());
    let image = "registry.example.fr/postgresql:17.6";
    put(world, "Platform", "", &platform("cnpg", &json!({"cloudNativePG": {"imageName": image}})));
    let certificate = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
    let server = json!({
        "host": "10.1.2.3", "adminSecretName": "pg-admin", "cidr": "10.1.2.3/32", "caCertificate": certificate,
    });
    put(world, "Platform", "", &platform("server", &json!({ "server": server })));
    for at in 0..LADDER.len() {
        put(world, "Release", "", &release(at));
    }
    for member in MEMBERS {
        let spec = json!({"displayName": "École", "sizeClass": "VerySmall", "homePlatform": "cnpg"});
        put(world, "Establishment", "", &own("Establishment", member, spec));
    }
    let fleet = world.settings.fleet;
    for number in 0..fleet + NEW {
        let home = if number % 2 == 0 { "cnpg" } else { "server" };
        let spec = json!({
            "displayName": "Université", "sizeClass": "Small", "homePlatform": home, "namespace": OWN_NAMESPACE,
        });
        let mut establishment = own("Establishment", &format!("e{number}"), spec);
        establishment["metadata"]["labels"] = labels(number);
        if is_grouping(number, fleet) && world.settings.habits.groupings {
            establishment["spec"]["grouping"] = grouping("Shared", &MEMBERS);
        }
        if number >= fleet {
            establishment["metadata"]["labels"]["new"] = "yes".into();
        }
        put(world, "Establishment", "", &establishment);
        if number < fleet {
            put(world, "Instance", HUB, &instance(number));
        }
    }
}

/// Makes an object, as a person does.
pub fn put(world: &mut World, kind: &'static str, namespace: &str, object: &Value) {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let at = Ref::new(kind, namespace, name);
    if let Err(refused) = world.server.create("kubectl", &at, object) {
        world.say(|| format!("person: create {at}: {} {}", refused.code, refused.message));
    }
    world.settle();
}
