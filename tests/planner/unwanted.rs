//! What is no longer wanted goes, and nothing else.

use crate::support::{World, fixtures};
use gotocloud_api::conditions::ConditionType;
use gotocloud_planner::{Kind, ObjectKey, removals::Removal};
use serde_json::json;

fn in_namespace(kind: Kind, name: &str) -> ObjectKey {
    ObjectKey::new(kind, fixtures::NAMESPACE, name)
}

/// The second release has neither `batch` nor a generated secret.
fn a_smaller_release(mut world: World) -> World {
    let components = &mut world.releases[1].spec.components;
    components.pop();
    components[0].talks_to.clear();
    components[0].env.retain(|variable| variable.from_secret.is_none());
    world.releases[1].spec.generated_secrets.clear();
    world
}

#[test]
fn a_component_that_a_release_drops_goes_with_all_that_was_its_own() {
    let mut world = a_smaller_release(World::full()).at_rest();
    world.edit(|one| one.spec.release = Some("app-2".into()));
    world.run();
    let left: Vec<_> =
        world.cluster.objects.keys().filter(|key| &*key.name == "batch" || &*key.name == "batch-env").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_generated_secret_that_a_release_drops_goes_though_nothing_watches_it() {
    for restarts in [false, true] {
        let mut world = a_smaller_release(World::plain()).at_rest();
        if restarts {
            world.restart();
        }
        world.edit(|one| one.spec.release = Some("app-2".into()));
        world.run();
        assert!(world.cluster.get(Kind::Secret, fixtures::NAMESPACE, "generated").is_none());
        assert!(world.cluster.get(Kind::Secret, fixtures::NAMESPACE, "database-app").is_some());
    }
}

#[test]
fn a_secret_whose_removal_has_to_wait_is_not_forgotten() {
    let mut world = World::plain().at_rest();
    let smaller = a_smaller_release(World::plain()).releases.remove(1).spec;
    world.releases[0].spec.generated_secrets.clear();
    world.releases[0].spec.components = smaller.components;
    world.run();
    let pending = world.status().revision.as_ref().unwrap().pending.clone();
    world.edit(|one| one.spec.accepted_revision = pending);
    for removal in [Removal::Settling, Removal::Held { wanted: 200, fleet: 300 }] {
        world.removal = removal;
        world.round();
        world.cluster.settle();
        world.round();
    }
    assert_eq!(world.condition(ConditionType::Stalled), "True RemovalsHeld");
    world.restart();
    world.round();
    assert!(world.round().is_silent(), "held is at rest too");
    world.removal = Removal::Allowed;
    world.run();
    assert!(world.cluster.get(Kind::Secret, fixtures::NAMESPACE, "generated").is_none());
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
    let entries = &world.status().inventory.as_ref().unwrap().entries;
    assert!(!entries.iter().any(|entry| entry.id().contains("_generated_")));
}

#[test]
fn what_an_older_operator_made_and_this_one_does_not_goes() {
    let mut world = World::full().at_rest();
    let mut old = world.cluster.get(Kind::ConfigMap, fixtures::NAMESPACE, "web-env").unwrap().clone();
    old["metadata"]["name"] = "web-settings".into();
    world.cluster.apply(&in_namespace(Kind::ConfigMap, "web-settings"), &old);
    world.restart();
    world.run();
    assert!(world.cluster.get(Kind::ConfigMap, fixtures::NAMESPACE, "web-settings").is_none());
}

#[test]
fn a_platform_that_changes_its_front_door_leaves_no_door_behind() {
    let mut world = World::full().at_rest();
    world.platforms[0].spec.exposure = fixtures::plain_platform().spec.exposure;
    world.platforms[0].spec.certificate_issuer = None;
    world.run();
    for kind in [Kind::HttpRoute, Kind::ListenerSet, Kind::Certificate] {
        assert!(world.cluster.of_kind(kind).is_empty(), "{kind}");
    }
    assert_eq!(world.cluster.of_kind(Kind::Ingress).len(), 1);
}

#[test]
fn objects_without_the_operators_labels_stay() {
    let mut world = World::plain().at_rest();
    let theirs = json!({"metadata": {"name": "theirs", "labels": {"app.kubernetes.io/managed-by": "helm"}}});
    world.cluster.apply(&in_namespace(Kind::ConfigMap, "theirs"), &theirs);
    assert!(world.round().is_silent());
}

#[test]
fn a_copy_that_somebody_made_in_another_namespace_stays_labels_and_all() {
    let mut world = World::plain().at_rest();
    let copy = world.cluster.get(Kind::Deployment, fixtures::NAMESPACE, "web").unwrap().clone();
    world.cluster.apply(&ObjectKey::new(Kind::Deployment, "elsewhere", "copy"), &copy);
    assert!(world.steps().is_empty());
    world.delete();
    world.run();
    assert!(world.cluster.get(Kind::Deployment, "elsewhere", "copy").is_some());
}

#[test]
fn what_holds_data_is_never_removed_as_unwanted() {
    let mut world = World::full().at_rest();
    // The data moved to a server, by a person's word; the Cluster stays for that person to remove.
    world.platforms[0].spec.database = fixtures::plain_platform().spec.database;
    let annotation = ("gotocloud.amue.fr/database-moved-to".to_owned(), "10.1.2.3:5432".to_owned());
    world.one().metadata.annotations = Some([annotation].into());
    world.edit(|one| one.spec.size_class = Some(gotocloud_api::SizeClass::Large));
    world.run();
    assert!(world.cluster.get(Kind::Cluster, fixtures::NAMESPACE, "database").is_some());
}

#[test]
fn a_component_named_like_the_databases_secret_can_be_dropped() {
    let mut world = World::plain();
    world.releases[0].spec.components[1].name = "database-app".into();
    world.releases[0].spec.components[0].talks_to = vec!["database-app".into()];
    world = a_smaller_release(world).at_rest();
    world.edit(|one| one.spec.release = Some("app-2".into()));
    world.run();
    assert!(world.cluster.get(Kind::Deployment, fixtures::NAMESPACE, "database-app").is_none());
    assert!(world.cluster.get(Kind::Secret, fixtures::NAMESPACE, "database-app").is_some());
}

#[test]
fn where_removals_are_held_the_rest_goes_on_and_the_remedy_is_told() {
    let mut world = World::full().at_rest();
    world.removal = Removal::Held { wanted: 200, fleet: 300 };
    world.platforms[0].spec.exposure = fixtures::plain_platform().spec.exposure;
    let round = world.round();
    assert!(round.steps.iter().any(|step| step == "apply Ingress gtc-app-a/public"), "{:?}", round.steps);
    assert!(!round.steps.iter().any(|step| step.starts_with("remove")));
    let message = world.message(ConditionType::Ready);
    assert!(
        message.contains("allow-removals-until") && message.contains("200") && message.contains("300"),
        "{message}"
    );
}
