//! Objects to start from. Each is valid as it stands; a test changes what it is about with [`with`].

use crate::HUB;
use serde_json::{Value, json};

/// Name of the Platform with a PostgreSQL server that is there and an Ingress controller.
pub const SERVER: &str = "server";
/// Name of the Platform with `CloudNativePG`, a Gateway, an issuer and monitoring.
pub const CNPG: &str = "cnpg";
/// Name of an Application, of its Release `app-1.0` and of an Establishment that are there from the start.
pub const APP: &str = "app";
/// Its Release.
pub const RELEASE: &str = "app-1.0";
/// The Establishment, whose home is [`SERVER`].
pub const ETAB: &str = "etab";

#[allow(clippy::needless_pass_by_value)] // reads best with a literal
fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// `object` with what stands in `changes` in its place: maps are merged, all else is replaced, null removes.
#[must_use]
#[allow(clippy::needless_pass_by_value)] // reads best with a literal
pub fn with(mut object: Value, changes: Value) -> Value {
    merge(&mut object, &changes);
    object
}

fn merge(into: &mut Value, changes: &Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, change) in changes {
                if change.is_null() {
                    into.remove(key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), change);
                }
            }
        }
        (into, changes) => *into = changes.clone(),
    }
}

/// A size class `factor` times the smallest.
fn size(factor: u32) -> Value {
    json!({
        "quota": {"cpu": (8 * factor).to_string(), "memory": format!("{}Gi", 8 * factor), "storage": "50Gi", "pods": 20 * factor},
        "defaultComponent": {"replicas": factor, "cpu": "250m", "memory": "256Mi"},
        "components": [{"name": "batch", "replicas": 1, "cpu": "100m", "memory": "128Mi"}],
        "database": {"cpu": "500m", "memory": "1Gi", "storage": "5Gi"},
    })
}

/// An Application with versions of the scheme `Dotted`. `web` has as many pods as the size class's number, at least 2 in
/// production.
#[must_use]
pub fn application(name: &str) -> Value {
    let stage = |replicas: u32, servers: u32| json!({"minReplicas": replicas, "databaseInstances": servers});
    object(
        "Application",
        name,
        json!({
            "displayName": "The application", "tenancy": "Grouped", "versionScheme": "Dotted",
            "sizes": {"verySmall": size(1), "small": size(2), "medium": size(3), "large": size(4), "veryLarge": size(5)},
            "stages": {"provisioned": stage(1, 1), "partialProduction": stage(2, 2), "fullProduction": stage(2, 3)},
        }),
    )
}

/// An image by a digest of its own for each version.
#[must_use]
pub fn image(name: &str, version: &str) -> String {
    let digest = gotocloud_planner::fingerprint::of_bytes(version.as_bytes()).repeat(4);
    format!("registry.example.org/{name}@sha256:{digest}")
}

/// The Release `APPLICATION-VERSION` with two components: `web`, which is exposed, and `batch`, which is not.
#[must_use]
pub fn release(application: &str, version: &str) -> Value {
    object(
        "Release",
        &format!("{application}-{version}"),
        json!({
            "application": application, "versionScheme": "Dotted", "version": version,
            "generatedSecrets": [{"name": "session-key", "length": 32}],
            "components": [
                {
                    "name": "web", "image": image("web", version),
                    "ports": [{"name": "http", "port": 8080}, {"name": "metrics", "port": 9090}],
                    "expose": {"port": "http"},
                    "health": {"port": "http", "path": "/health"},
                    "metrics": {"port": "metrics", "path": "/metrics"},
                    "talksTo": ["batch"],
                    "scratch": [{"name": "tmp", "mountPath": "/tmp", "size": "64Mi"}],
                    "env": [
                        {"name": "NAME", "value": "${establishment.displayName}"},
                        {"name": "URL", "value": "${instance.url}"},
                        {"name": "DATABASE_URL", "fromDatabase": "Uri"},
                        {"name": "SESSION_KEY", "fromSecret": "session-key"},
                    ],
                },
                {
                    "name": "batch", "image": image("batch", version),
                    "command": ["/batch", "--serve"],
                    "ports": [{"name": "jobs", "port": 7070}],
                    "env": [{"name": "DATABASE_PASSWORD", "fromDatabase": "Password"}],
                },
            ],
        }),
    )
}

/// A very small Establishment, whose home is [`SERVER`].
#[must_use]
pub fn establishment(name: &str) -> Value {
    object(
        "Establishment",
        name,
        json!({"displayName": format!("Université {name}"), "yearlyMassMillionEuros": 5.0, "homePlatform": SERVER}),
    )
}

/// A grouping for [`APP`] of those members; `instances` is `Shared` or `PerMember`.
#[must_use]
pub fn grouping(name: &str, instances: &str, members: &[&str]) -> Value {
    let members: Vec<_> = members.iter().map(|name| json!({"name": name})).collect();
    let grouping = json!({"applications": [APP], "instances": instances, "members": members});
    object(
        "Establishment",
        name,
        json!({"displayName": "The grouping", "sizeClass": "VerySmall", "homePlatform": SERVER, "grouping": grouping}),
    )
}

/// A Platform with everything optional, called `name`.
#[must_use]
pub fn full_platform(name: &str) -> Value {
    object(
        "Platform",
        name,
        json!({
            "dnsZone": format!("{name}.example.org"),
            "exposure": {"gateway": {"name": "public", "namespace": "gateway-system"}},
            "certificateIssuer": {"name": "letters"},
            "database": {"cloudNativePG": {"imageName": "registry.example.org/postgresql:17.6"}},
            "monitoring": {"namespace": "monitoring", "releaseLabel": "prometheus"},
            "storageClass": "fast",
        }),
    )
}

/// A Stage called `name` by which pods of that version never get ready where they serve one of those establishments.
#[must_use]
pub fn unready_pods(name: &str, version: &str, establishments: &[&str]) -> Value {
    let is = |key: &str, values: &[&str]| json!({"jq": {"key": key, "operator": "In", "values": values}});
    json!({"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": {
        // Before kwok's own stage, which makes pods ready.
        "weight": 10,
        "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
        "selector": {"matchExpressions": [
            is(".metadata.labels[\"app.kubernetes.io/version\"]", &[version]),
            is(".metadata.labels[\"gotocloud.amue.fr/establishment\"]", establishments),
            is(".status.phase", &["Pending"]),
            {"jq": {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}},
        ]},
        "steps": [{"patch": {"subresource": "status", "root": "status", "template": "phase: Running\n"}}],
    }})
}

/// A Stage called `name` by which the pods of that component of an instance, a job's, fail.
#[must_use]
pub fn failing_jobs(name: &str, instance: &str, component: &str) -> Value {
    let is = |key: &str, value: &str| json!({"jq": {"key": key, "operator": "In", "values": [value]}});
    json!({"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": {
        "weight": 10,
        "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
        "selector": {"matchExpressions": [
            is(".metadata.labels[\"gotocloud.amue.fr/instance\"]", instance),
            is(".metadata.labels[\"app.kubernetes.io/component\"]", component),
            is(".status.phase", "Pending"),
            {"jq": {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}},
        ]},
        "steps": [{"patch": {"subresource": "status", "root": "status", "template": "phase: Failed\n"}}],
    }})
}

/// A Stage called `name` by which the pods of that component of an instance, a job's, end well after that many milliseconds.
#[must_use]
pub fn slow_jobs(name: &str, instance: &str, component: &str, milliseconds: u32) -> Value {
    let mut stage = failing_jobs(name, instance, component);
    stage["spec"]["delay"] = json!({"durationMilliseconds": milliseconds});
    stage["spec"]["steps"][0]["patch"]["template"] = json!("phase: Succeeded\n");
    stage
}

/// An Instance of `application` for `establishment` by the Release `APPLICATION-1.0`, in [`HUB`], which keeps no data
/// when it is deleted.
#[must_use]
pub fn instance(name: &str, application: &str, establishment: &str) -> Value {
    let spec = json!({"application": application, "establishment": establishment, "release": format!("{application}-1.0"),
                      "deletionPolicy": "Delete"});
    with(object("Instance", name, spec), json!({"metadata": {"namespace": HUB}}))
}
