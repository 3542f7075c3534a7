//! The fleet that benchmarks bring up: one application of two components with a database, N establishments, N instances.

use anyhow::Context as _;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use gotocloud_api::{Application, Establishment, Instance, Platform, Release};
use gotocloud_planner::fleet::is_ready;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams},
    runtime::{WatchStreamExt as _, watcher},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{collections::HashSet, pin::pin, time::Duration};

const NAMESPACE: &str = "gotocloud";

/// What the fleet is made of.
pub struct Fleet {
    pub application: Application,
    pub release: Release,
    /// The releases after it; the first is of another image.
    pub next_releases: Vec<Release>,
    pub platform: Platform,
    pub establishments: Vec<Establishment>,
    pub instances: Vec<Instance>,
}

impl Fleet {
    /// A fleet of that many instances.
    pub fn new(instances: u32) -> anyhow::Result<Self> {
        let size = json!({
            "quota": {"cpu": "8", "memory": "16Gi", "storage": "100Gi", "pods": 30},
            "defaultComponent": {"replicas": 1, "cpu": "100m", "memory": "128Mi"},
            "database": {"cpu": "250m", "memory": "512Mi", "storage": "5Gi"},
        });
        let stage = json!({"minReplicas": 1, "databaseInstances": 1});
        Ok(Self {
            application: object("Application", "bench", &json!({
                "displayName": "Bench", "tenancy": "Dedicated", "versionScheme": "MajorMinor",
                "sizes": {"verySmall": size, "small": size, "medium": size, "large": size, "veryLarge": size},
                "stages": {"provisioned": stage, "partialProduction": stage, "fullProduction": stage},
            }))?,
            release: release(0)?,
            next_releases: vec![release(1)?],
            platform: object("Platform", "bench", &json!({
                "dnsZone": "bench.example.org",
                "exposure": {"gateway": {"name": "public", "namespace": "gateway"}},
                "certificateIssuer": {"name": "bench"},
                "database": {"cloudNativePG": {"imageName": "registry.example/postgresql:17.6"}},
                "monitoring": {"namespace": "monitoring"},
            }))?,
            establishments: (0..instances)
                .map(|i| {
                    let spec = json!({"displayName": format!("Establishment {i}"), "sizeClass": "Small", "homePlatform": "bench"});
                    object("Establishment", &format!("e{i:05}"), &spec)
                })
                .collect::<Result<_, _>>()?,
            instances: (0..instances)
                .map(|i| {
                    let spec = json!({"application": "bench", "establishment": format!("e{i:05}"), "release": "bench-v1.0"});
                    object::<Instance>("Instance", &format!("bench-e{i:05}"), &spec).map(|mut instance| {
                        instance.metadata.namespace = Some(NAMESPACE.to_owned());
                        instance
                    })
                })
                .collect::<Result<_, _>>()?,
        })
    }

    /// Has releases up to that minor version, instead of up to the first after the one that runs.
    pub fn releases_until(&mut self, minor: u32) -> anyhow::Result<()> {
        self.next_releases = (1..=minor).map(release).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Takes the release out of what the Instances ask for, so that campaigns choose it.
    pub async fn let_campaigns_choose(&self, client: &Client) -> anyhow::Result<()> {
        let mut instances = self.instances.clone();
        for one in &mut instances {
            one.spec.release = None;
        }
        Self::apply_all(client, &instances).await
    }

    /// Applies all but the instances.
    pub async fn lay_ground(&self, client: &Client) -> anyhow::Result<()> {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
        namespaces.patch(NAMESPACE, &parameters(), &Patch::Apply(&namespace)).await?;
        Api::<Application>::all(client.clone()).patch("bench", &parameters(), &Patch::Apply(&self.application)).await?;
        for release in std::iter::once(&self.release).chain(&self.next_releases) {
            let api = Api::<Release>::all(client.clone());
            api.patch(&release.name_any(), &parameters(), &Patch::Apply(release)).await?;
        }
        Api::<Platform>::all(client.clone()).patch("bench", &parameters(), &Patch::Apply(&self.platform)).await?;
        let establishments: Api<Establishment> = Api::all(client.clone());
        stream::iter(&self.establishments)
            .map(|one| {
                let establishments = establishments.clone();
                async move { establishments.patch(&one.name_any(), &parameters(), &Patch::Apply(one)).await.map(|_| ()) }
            })
            .buffer_unordered(super::CONCURRENCY.into())
            .try_collect::<()>()
            .await?;
        Ok(())
    }

    /// Applies the instances.
    pub async fn apply(&self, client: &Client) -> anyhow::Result<()> {
        Self::apply_all(client, &self.instances).await
    }

    async fn apply_all(client: &Client, all: &[Instance]) -> anyhow::Result<()> {
        let instances: Api<Instance> = Api::namespaced(client.clone(), NAMESPACE);
        stream::iter(all)
            .map(|one| {
                let instances = instances.clone();
                async move { instances.patch(&one.name_any(), &parameters(), &Patch::Apply(one)).await.map(|_| ()) }
            })
            .buffer_unordered(super::CONCURRENCY.into())
            .try_collect::<()>()
            .await?;
        Ok(())
    }

    /// Waits until every instance is ready.
    pub async fn wait_until_ready(&self, client: &Client, patience: Duration) -> anyhow::Result<()> {
        let all = self.instances.len();
        let mut ready = HashSet::new();
        let events = watcher(Api::<Instance>::all(client.clone()), watcher::Config::default())
            .default_backoff()
            .applied_objects();
        let follow = async {
            let mut events = pin!(events);
            while let Some(instance) = events.try_next().await? {
                if is_ready(&instance) {
                    ready.insert(instance.name_any());
                }
                if ready.len() == all {
                    return Ok::<(), watcher::Error>(());
                }
            }
            Ok(())
        };
        let result = tokio::time::timeout(patience, follow).await;
        anyhow::ensure!(
            matches!(result, Ok(Ok(()))),
            "{} of {all} instances are ready after {patience:?}",
            ready.len()
        );
        Ok(())
    }
}

/// Waits until `wanted` objects of a resource satisfy `holds`.
pub async fn wait_for(
    api: Api<DynamicObject>,
    wanted: usize,
    holds: impl Fn(&DynamicObject) -> bool,
) -> anyhow::Result<()> {
    let mut done = HashSet::new();
    let mut events = pin!(watcher(api, watcher::Config::default()).default_backoff().applied_objects());
    while let Some(object) = events.try_next().await? {
        if holds(&object) {
            done.insert((object.namespace(), object.name_any()));
        }
        if done.len() >= wanted {
            return Ok(());
        }
    }
    anyhow::bail!("the watch ended")
}

/// The field manager of the benchmark's own writes.
pub fn parameters() -> PatchParams {
    PatchParams::apply("bench").force()
}

/// The release of that minor version, each of another image.
fn release(minor: u32) -> anyhow::Result<Release> {
    let image = |name: &str| format!("registry.example/bench/{name}@sha256:{minor:064}");
    let component = |name: &str, path: &str| {
        json!({
            "name": name, "image": image(name), "ports": [{"name": "http", "port": 8080}],
            "expose": {"port": "http", "path": path}, "health": {"port": "http", "path": "/healthz"},
            "metrics": {"port": "http", "path": "/metrics"},
            "env": [{"name": "ESTABLISHMENT", "value": "${establishment}"}, {"name": "DATABASE", "fromDatabase": "Uri"},
                    {"name": "SESSION_KEY", "fromSecret": "session"}],
            "scratch": [{"name": "tmp", "mountPath": "/tmp", "size": "64Mi"}],
        })
    };
    let spec = json!({
        "application": "bench", "versionScheme": "MajorMinor", "version": format!("V1.{minor}"),
        "components": [component("web", "/"), component("api", "/api")],
        "generatedSecrets": [{"name": "session", "length": 32}],
    });
    object("Release", &format!("bench-v1.{minor}"), &spec)
}

fn object<K: DeserializeOwned>(kind: &str, name: &str, spec: &Value) -> anyhow::Result<K> {
    let object =
        json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    serde_json::from_value(object).with_context(|| format!("the benchmark's {kind} is not of its type"))
}
