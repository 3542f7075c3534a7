//! The least that the same objects cost: a client that applies them, knowing nothing, with the operator's concurrency.

use super::fleet::{Fleet, parameters, wait_for};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use gotocloud_api::names;
use gotocloud_planner::{
    Kind, ObjectKey, Plan, Step, Verdict, fingerprint,
    health::{Health, assess},
    instance::plan,
    observation::{Observation, Sight},
    simulate::World,
    snapshot::{NamespaceHolder, Observed, OperatorIdentity},
    upgrade::Gates,
};
use jiff::Timestamp;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch},
};
use rand::{Rng as _, distr::Alphanumeric};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The objects of every instance, by the operator's own planner.
pub fn objects(fleet: &Fleet) -> anyhow::Result<Vec<Vec<(ObjectKey, Value)>>> {
    let served: BTreeSet<Kind> = Kind::ALL.into_iter().collect();
    let operator = OperatorIdentity {
        service_account: Some((
            gotocloud_harness::operator::NAMESPACE.into(),
            gotocloud_harness::operator::SERVICE_ACCOUNT.into(),
        )),
        instance_cluster_role: gotocloud_harness::operator::CLUSTER_ROLE.into(),
        installation: "bench".into(),
    };
    let mut world = World::default();
    world.extend([fleet.application.clone()]);
    world.extend([fleet.release.clone()]);
    world.extend([fleet.platform.clone()]);
    world.extend(fleet.establishments.iter().cloned());
    world.extend(fleet.instances.iter().cloned());

    let instances = fleet.instances.iter().cloned().map(Arc::new);
    instances
        .map(|instance| {
            let namespace = names::workload_namespace(gotocloud_planner::inputs::name_of(&instance));
            let observation = Observation::of(instance, &world, Gates::True, Timestamp::now());
            let mut snapshot = observation.snapshot(Sight {
                namespace: NamespaceHolder::Nobody,
                children: Vec::new(),
                served: &served,
                pinned: None,
                database_assured: None,
                operator: &operator,
            });
            let mut objects = applied(&plan(&snapshot))?;

            // Once the database is there, the pods follow.
            snapshot.children = vec![Observed {
                key: ObjectKey::new(Kind::Cluster, &namespace, gotocloud_planner::render::DATABASE_CLUSTER),
                fields: "".into(),
                applied: "".into(),
                health: Health::Ready,
                terminating: false,
                is_scaled: false,
                uid: "".into(),
            }];

            let known: BTreeSet<_> = objects.iter().map(|(key, _)| key.clone()).collect();
            objects.extend(applied(&plan(&snapshot))?.into_iter().filter(|(key, _)| !known.contains(key)));
            Ok(objects)
        })
        .collect()
}

fn applied(plan: &Plan<'_>) -> anyhow::Result<Vec<(ObjectKey, Value)>> {
    anyhow::ensure!(plan.verdict == Verdict::Proceed, "the benchmark's instance is refused: {:?}", plan.verdict);
    let made = plan.steps.iter().filter_map(|step| match step {
        Step::Apply { object, .. } => {
            Some((object.key.clone(), marked(object.manifest.clone(), &fingerprint::of(&object.manifest))))
        }
        Step::EnsureSecret(request) => {
            let mut manifest = request.object.manifest.clone();
            let letters = |length| rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect();
            manifest["stringData"] = json!(request.content(&BTreeMap::new(), letters));
            Some((request.key().clone(), marked(manifest, &request.fingerprint())))
        }
        Step::HandOver { .. }
        | Step::EnsureDatabase(_)
        | Step::SealDatabase(_)
        | Step::DropDatabase(_)
        | Step::Remove(_)
        | Step::RemoveReplaced(_)
        | Step::Release => None,
    });
    Ok(made.collect())
}

/// As the operator marks what it sends.
fn marked(mut manifest: Value, fingerprint: &str) -> Value {
    manifest["metadata"]["annotations"][names::ANNOTATION_APPLIED] = fingerprint.into();
    manifest
}

/// Applies the objects, so many instances at a time, and waits until all that has a health is healthy.
pub async fn apply(client: &Client, instances: &[Vec<(ObjectKey, Value)>]) -> anyhow::Result<()> {
    let count = |kind: Kind| instances.iter().flatten().filter(|(key, _)| key.kind == kind).count();
    let waits = Kind::ALL.into_iter().filter(|kind| kind.has_health() && count(*kind) > 0).map(|kind| {
        let wanted = count(kind);
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(kind));
        wait_for(api, wanted, move |object| {
            serde_json::to_value(object).is_ok_and(|object| assess(kind, &object) == Health::Ready)
        })
    });
    let applying = stream::iter(instances)
        .map(|objects| async move {
            for (key, manifest) in objects {
                let api: Api<DynamicObject> = match &*key.namespace {
                    "" => Api::all_with(client.clone(), &resource(key.kind)),
                    namespace => Api::namespaced_with(client.clone(), namespace, &resource(key.kind)),
                };
                api.patch(&key.name, &parameters(), &Patch::Apply(manifest)).await?;
            }
            Ok::<(), kube::Error>(())
        })
        .buffer_unordered(super::CONCURRENCY.into())
        .try_collect::<()>();
    let (applied, waited) = tokio::join!(applying, futures::future::try_join_all(waits));
    applied?;
    waited?;
    Ok(())
}

fn resource(kind: Kind) -> ApiResource {
    ApiResource {
        group: kind.group().to_owned(),
        version: kind.version().to_owned(),
        api_version: kind.api_version(),
        kind: kind.name().to_owned(),
        plural: kind.plural().to_owned(),
    }
}
