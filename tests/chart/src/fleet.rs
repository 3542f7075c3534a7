//! The smallest objects of each kind a real API server accepts.

use serde_json::{Value, json};

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "gotocloud.amue.fr/v1alpha1",
        "kind": kind,
        "metadata": { "name": name },
        "spec": spec,
    })
}

/// An Application that asks for next to nothing.
pub fn application(name: &str) -> Value {
    let little = json!({ "cpu": "100m", "memory": "128Mi", "storage": "1Gi" });
    let size = json!({
        "quota": { "cpu": "1", "memory": "1Gi", "storage": "1Gi", "pods": 10 },
        "defaultComponent": { "replicas": 1, "cpu": "100m", "memory": "128Mi" },
        "database": little,
    });
    let stage = json!({ "minReplicas": 1, "databaseInstances": 1 });
    let spec = json!({
        "displayName": name,
        "tenancy": "Dedicated",
        "versionScheme": "Dotted",
        "sizes": { "verySmall": size, "small": size, "medium": size, "large": size, "veryLarge": size },
        "stages": { "provisioned": stage, "partialProduction": stage, "fullProduction": stage },
    });
    object("Application", name, &spec)
}

/// A Release of the application `of`.
pub fn release(name: &str, of: &str) -> Value {
    let image = format!("registry.example/{of}@sha256:{}", "0".repeat(64));
    let spec = json!({
        "application": of,
        "versionScheme": "Dotted",
        "version": "1.2.3",
        "components": [{ "name": "web", "image": image }],
    });
    object("Release", name, &spec)
}

/// A Platform in the cluster itself.
pub fn platform(name: &str) -> Value {
    let spec = json!({
        "dnsZone": "apps.example.fr",
        "exposure": { "ingress": { "className": "nginx", "namespace": "ingress-nginx" } },
        "database": { "cloudNativePG": { "imageName": "registry.example/postgresql:17.6" } },
    });
    object("Platform", name, &spec)
}

/// An Establishment.
pub fn establishment(name: &str) -> Value {
    object("Establishment", name, &json!({ "displayName": name }))
}

/// An Instance, in the namespace `default`, in that stage; `protection` is its `deletionProtection`.
pub fn instance(name: &str, stage: &str, protection: Option<bool>) -> Value {
    let mut spec = json!({ "application": "caplab", "establishment": "lille", "stage": stage });
    if let Some(protection) = protection {
        spec["deletionProtection"] = protection.into();
    }
    let mut instance = object("Instance", name, &spec);
    instance["metadata"]["namespace"] = "default".into();
    instance
}
