//! What an instance is made of, as a person reads it. Reviewed like code: `cargo insta review`.

#![cfg(not(feature = "altered-rendering"))] // of which nobody reviews the snapshots

use crate::support::{World, fixtures, in_words, typed};
use gotocloud_api::Stage;
use gotocloud_planner::{Kind, ObjectKey, Step};
use serde_json::{Value, json};

/// The plan of a new Instance, step by step.
fn plan(world: &World) -> Vec<Value> {
    let is_of = |key: &ObjectKey, step: &Step| matches!(step, Step::Apply { object, .. } if object.key == *key);
    world.with_plan(fixtures::WHO, |plan| {
        let later = |at: usize| plan.steps.get(at + 1..).unwrap_or_default();
        let shown = |(at, step): (usize, &Step)| match step {
            Step::Apply { object, .. } if later(at).iter().any(|step| is_of(&object.key, step)) => {
                json!({ in_words(step): {"first with": {"replicas": object.manifest["spec"]["replicas"]}} })
            }
            _ => as_value(step),
        };
        plan.steps.iter().enumerate().map(shown).collect()
    })
}

fn as_value(step: &Step) -> Value {
    match step {
        Step::Apply { object, .. } => object.manifest.clone(),
        Step::EnsureSecret(request) => json!({
            in_words(step): {"manifest": request.object.manifest, "generated": request.generated, "templates": request.templates},
        }),
        Step::EnsureDatabase(request) => json!({ in_words(step): request }),
        Step::HandOver { object, .. } => json!({ in_words(step): object.manifest["spec"] }),
        _ => json!(in_words(step)),
    }
}

#[test]
fn on_a_platform_with_an_ingress_controller_and_a_database_server() {
    insta::assert_yaml_snapshot!(plan(&World::plain()));
}

#[test]
fn on_a_platform_with_everything() {
    let mut world = World::full();
    world.leave_to_an_autoscaler(0);
    let mut steps = plan(&world);
    // Pods wait for their database: they come with the next plan.
    world.round();
    world.cluster.settle();
    steps.extend(plan(&world));
    insta::assert_yaml_snapshot!(steps);
}

#[test]
fn on_a_gateway_without_certificates_of_its_own_the_route_attaches_to_the_gateway() {
    let mut world = World::full();
    world.platforms[0].spec.certificate_issuer = None;
    world.run();
    assert!(world.cluster.of_kind(Kind::ListenerSet).is_empty() && world.cluster.of_kind(Kind::Certificate).is_empty());
    insta::assert_yaml_snapshot!(world.cluster.get(Kind::HttpRoute, fixtures::NAMESPACE, "public").unwrap()["spec"]);
}

#[test]
fn with_certificates_the_ingress_serves_its_own() {
    let mut world = World::plain();
    world.platforms[0].spec.certificate_issuer = Some(serde_json::from_value(json!({"name": "letters"})).unwrap());
    world.run();
    insta::assert_yaml_snapshot!(world.cluster.get(Kind::Ingress, fixtures::NAMESPACE, "public").unwrap()["spec"]);
}

#[test]
fn for_a_grouping_its_members_are_on_the_namespace() {
    let mut world = World::plain();
    world.establishments = vec![fixtures::grouping("etab", "Shared", &["school-x", "school-y"])];
    world.run();
    insta::assert_yaml_snapshot!(world.cluster.get(Kind::Namespace, "", fixtures::NAMESPACE).unwrap());
    let mut status = world.status().clone();
    status.inventory.as_mut().unwrap().entries.clear();
    insta::assert_yaml_snapshot!(status);
}

#[test]
fn each_stage_has_its_pods_and_its_database_servers() {
    let mut seen = Vec::new();
    for stage in Stage::ALL {
        let mut world = World::full();
        world.one().spec.stage = stage;
        world.run();
        let replicas = |name: &str| {
            world.cluster.get(Kind::Deployment, fixtures::NAMESPACE, name).unwrap()["spec"]["replicas"].clone()
        };
        let cluster = world.cluster.get(Kind::Cluster, fixtures::NAMESPACE, "database").unwrap();
        let protected = world.cluster.get(Kind::Namespace, "", fixtures::NAMESPACE).unwrap()["metadata"]["labels"]
            ["gotocloud.amue.fr/deletion-protected"]
            .clone();
        seen.push(json!({
            "stage": stage, "web": replicas("web"), "batch": replicas("batch"),
            "databaseServers": cluster["spec"]["instances"], "protected": protected,
        }));
    }
    insta::assert_yaml_snapshot!(seen);
}

#[test]
fn each_object_is_in_the_instances_namespace_or_is_it_and_bears_its_owner() {
    for mut world in [World::plain(), World::full()] {
        world.run();
        for (key, stored) in &world.cluster.objects {
            let place = if key.kind == Kind::Namespace { &key.name } else { &key.namespace };
            assert_eq!(&**place, fixtures::NAMESPACE, "{key}");
            let labels = &stored.manifest["metadata"]["labels"];
            assert_eq!(labels["app.kubernetes.io/managed-by"], "gotocloud-operator", "{key}");
            assert_eq!(labels["gotocloud.amue.fr/instance"], "app-a", "{key}");
            assert_eq!(labels["gotocloud.amue.fr/instance-namespace"], "hub", "{key}");
        }
    }
}

#[test]
fn each_object_says_something_beside_its_labels_by_which_it_is_known_without_them() {
    // An API server names a field manager only for as long as it owns a field.
    for world in [World::plain().at_rest(), World::full().at_rest()] {
        for (key, stored) in &world.cluster.objects {
            let mut rest = stored.manifest.clone();
            let fields = rest.as_object_mut().unwrap();
            fields.retain(|field, _| !["apiVersion", "kind"].contains(&field.as_str()));
            let metadata = fields["metadata"].as_object_mut().unwrap();
            metadata.retain(|field, _| !["name", "namespace", "labels"].contains(&field.as_str()));
            let says_more = !metadata.is_empty() || fields.len() > 1;
            assert!(says_more, "{key}");
        }
    }
}

#[test]
fn what_cloudnativepg_makes_does_not_bear_the_operators_labels() {
    let world = World::full().at_rest();
    let inherited =
        &world.cluster.get(Kind::Cluster, fixtures::NAMESPACE, "database").unwrap()["spec"]["inheritedMetadata"];
    assert!(inherited["labels"].get("app.kubernetes.io/managed-by").is_none());
    assert!(inherited["labels"].get("gotocloud.amue.fr/instance").is_none());
}

#[test]
fn no_pod_has_a_right_or_a_token() {
    let world = World::full().at_rest();
    for deployment in world.cluster.of_kind(Kind::Deployment) {
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        let container = &pod["containers"][0];
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        assert_eq!(container["securityContext"]["capabilities"]["drop"][0], "ALL");
        assert!(container["image"].as_str().unwrap().contains("@sha256:"));
    }
}

#[test]
fn no_manifest_holds_a_null() {
    fn has_null(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(all) => all.iter().any(has_null),
            Value::Object(all) => all.values().any(has_null),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
    for world in [World::plain().at_rest(), World::full().at_rest()] {
        let with_null = world.cluster.objects.iter().find(|(_, stored)| has_null(&stored.manifest));
        assert!(with_null.is_none(), "an API server drops it, and the revision would no longer be what its name says");
    }
}

#[test]
fn the_hash_of_a_revision_is_the_same_in_every_version_of_the_operator() {
    // It names what runs in every status and in every ControllerRevision: a new way to compute it would lose them all.
    let object = gotocloud_planner::Object {
        key: ObjectKey::new(Kind::Deployment, "gtc-a", "web"),
        manifest: json!({"kind": "Deployment", "apiVersion": "apps/v1", "spec": {"replicas": 2, "ü": "é"}}),
    };
    assert_eq!(gotocloud_planner::revision::hash(&[object]), "010310a266a93d78");
}

#[test]
fn no_manifest_of_a_built_in_kind_has_a_field_that_kubernetes_does_not_know() {
    use k8s_openapi::api::{apps, autoscaling, batch, core, networking, policy, rbac};
    for world in [World::plain().at_rest(), World::full().at_rest()] {
        for (key, stored) in &world.cluster.objects {
            let mut manifest = stored.manifest.clone();
            manifest.as_object_mut().unwrap().remove("content");
            let read = match key.kind {
                Kind::Namespace => typed::<core::v1::Namespace>(&manifest),
                Kind::RoleBinding => typed::<rbac::v1::RoleBinding>(&manifest),
                Kind::ServiceAccount => typed::<core::v1::ServiceAccount>(&manifest),
                Kind::ResourceQuota => typed::<core::v1::ResourceQuota>(&manifest),
                Kind::LimitRange => typed::<core::v1::LimitRange>(&manifest),
                Kind::NetworkPolicy => typed::<networking::v1::NetworkPolicy>(&manifest),
                Kind::ConfigMap => typed::<core::v1::ConfigMap>(&manifest),
                Kind::Secret => typed::<core::v1::Secret>(&manifest),
                Kind::ControllerRevision => typed::<apps::v1::ControllerRevision>(&manifest),
                Kind::Deployment => typed::<apps::v1::Deployment>(&manifest),
                Kind::Service => typed::<core::v1::Service>(&manifest),
                Kind::PodDisruptionBudget => typed::<policy::v1::PodDisruptionBudget>(&manifest),
                Kind::HorizontalPodAutoscaler => typed::<autoscaling::v2::HorizontalPodAutoscaler>(&manifest),
                Kind::Job => typed::<batch::v1::Job>(&manifest),
                Kind::Ingress => typed::<networking::v1::Ingress>(&manifest),
                Kind::Cluster
                | Kind::Backup
                | Kind::Certificate
                | Kind::ListenerSet
                | Kind::HttpRoute
                | Kind::ServiceMonitor => {
                    continue;
                }
            };
            assert_eq!(read, manifest, "{key}");
        }
    }
}
