//! Objects to start from. Each is valid as it stands; a test changes what it is about.

use gotocloud_api::{Application, Establishment, Instance, Platform, Release, upgrade::Rollout};
use gotocloud_planner::{Kind, snapshot::OperatorIdentity};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub const HUB: &str = "hub";
pub const WHO: &str = "hub/app-a";
pub const NAMESPACE: &str = "gtc-app-a";

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

#[allow(clippy::needless_pass_by_value)] // reads best with a literal
fn of_kind(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": kind, "metadata": {"name": name, "generation": 1}, "spec": spec})
}

/// A size class `factor` times the smallest.
fn size(factor: u32) -> Value {
    json!({
        "quota": {"cpu": (4 * factor).to_string(), "memory": format!("{}Gi", 4 * factor), "storage": "50Gi", "pods": 20 * factor},
        "defaultComponent": {"replicas": factor, "cpu": "250m", "memory": "256Mi"},
        "components": [{"name": "batch", "replicas": 1, "cpu": "100m", "memory": "128Mi"}],
        "database": {"cpu": "500m", "memory": "1Gi", "storage": "5Gi"},
    })
}

pub fn application(name: &str) -> Application {
    let stage = |replicas: u32, servers: u32| json!({"minReplicas": replicas, "databaseInstances": servers});
    read(of_kind(
        "Application",
        name,
        json!({
            "displayName": "The application", "tenancy": "Grouped", "versionScheme": "Dotted",
            "sizes": {"verySmall": size(1), "small": size(2), "medium": size(3), "large": size(4), "veryLarge": size(5)},
            "stages": {"provisioned": stage(1, 1), "partialProduction": stage(2, 2), "fullProduction": stage(2, 3)},
        }),
    ))
}

/// A Release with two components: `web`, which is exposed, and `batch`, which is not.
pub fn release(name: &str, version: &str) -> Release {
    let digest = gotocloud_planner::fingerprint::of_bytes(version.as_bytes()).repeat(4);
    let image = |of: &str| format!("registry.example.fr/{of}@sha256:{digest}");
    read(of_kind(
        "Release",
        name,
        json!({
            "application": "app", "versionScheme": "Dotted", "version": version,
            "generatedSecrets": [{"name": "session-key", "length": 32}],
            "components": [
                {
                    "name": "web", "image": image("web"),
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
                    "name": "batch", "image": image("batch"),
                    "command": ["/batch", "--serve"],
                    "ports": [{"name": "jobs", "port": 7070}],
                    "env": [{"name": "DATABASE_PASSWORD", "fromDatabase": "Password"}],
                },
            ],
        }),
    ))
}

pub fn establishment(name: &str) -> Establishment {
    read(of_kind(
        "Establishment",
        name,
        json!({"displayName": "Université A", "uai": "0751717J", "yearlyMassMillionEuros": 20.0, "homePlatform": "site"}),
    ))
}

pub fn grouping(name: &str, instances: &str, members: &[&str]) -> Establishment {
    let members: Vec<_> = members.iter().map(|name| json!({"name": name})).collect();
    read(of_kind(
        "Establishment",
        name,
        json!({
            "displayName": "The grouping", "sizeClass": "Small", "homePlatform": "site",
            "grouping": {"applications": ["app"], "instances": instances, "members": members},
        }),
    ))
}

/// A Platform with an Ingress controller and a PostgreSQL server, and nothing optional.
pub fn plain_platform() -> Platform {
    read(of_kind(
        "Platform",
        "site",
        json!({
            "dnsZone": "site.example.fr",
            "exposure": {"ingress": {"className": "nginx", "namespace": "ingress-nginx"}},
            "database": {"server": {
                "host": "10.1.2.3", "adminSecretName": "pg-admin", "cidr": "10.1.2.3/32",
                "caCertificate": "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n",
            }},
        }),
    ))
}

/// A Platform with everything optional: `CloudNativePG`, a Gateway, an issuer and monitoring.
pub fn full_platform() -> Platform {
    read(of_kind(
        "Platform",
        "site",
        json!({
            "dnsZone": "site.example.fr",
            "exposure": {"gateway": {"name": "public", "namespace": "gateway-system"}},
            "certificateIssuer": {"name": "letters"},
            "database": {"cloudNativePG": {"imageName": "registry.example.fr/postgresql:17.6"}},
            "monitoring": {"namespace": "monitoring", "releaseLabel": "prometheus"},
            "storageClass": "fast",
        }),
    ))
}

/// An Instance of `app` for `etab`, as `HUB/name`.
pub fn instance(name: &str) -> Instance {
    let mut object =
        of_kind("Instance", name, json!({"application": "app", "establishment": "etab", "release": "app-1"}));
    object["metadata"]["namespace"] = json!(HUB);
    object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    read(object)
}

pub fn operator() -> OperatorIdentity {
    OperatorIdentity {
        service_account: Some(("gotocloud".into(), "gotocloud-operator".into())),
        instance_cluster_role: "gotocloud-instance".into(),
        installation: "installation-1".into(),
    }
}

pub fn everything_served() -> BTreeSet<Kind> {
    Kind::ALL.into_iter().filter(|kind| kind.is_optional()).collect()
}

/// An interface of an Application to another one.
pub fn link(peer: &str, state: &str) -> gotocloud_api::application::Interface {
    read(json!({"peer": peer, "what": "data", "state": state}))
}

/// Another Instance of the same establishment, of an application and with a namespace of its own name, that runs.
pub fn neighbour(application: &str) -> Instance {
    let mut neighbour = instance(application);
    application.clone_into(&mut neighbour.spec.application);
    neighbour.status = Some(read(json!({
        "namespace": format!("gtc-{application}"),
        "endpoints": [{"component": "web", "url": format!("https://{application}.site.example.fr")}],
    })));
    neighbour
}

/// The first claim of a campaign on an instance of its wave `w`.
pub fn by(campaign: &str, wants: &str) -> Rollout {
    Rollout {
        campaign: campaign.into(),
        uid: format!("uid-{campaign}"),
        wave: "w".into(),
        attempt: 1,
        wants: wants.into(),
    }
}
