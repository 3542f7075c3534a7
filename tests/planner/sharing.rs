//! Instances, and people, that want the same names or share an instance.

use crate::support::{World, fixtures};
use gotocloud_api::{conditions::ConditionType, names};
use gotocloud_planner::{Kind, ObjectKey};
use serde_json::json;
use std::collections::BTreeSet;

#[test]
fn two_instances_of_one_name_do_not_touch_each_others_objects() {
    let mut world = World::plain().at_rest();
    let before = world.cluster.clone();
    let mut second = fixtures::instance("app-a");
    second.metadata.namespace = Some("another-hub".into());
    second.spec.establishment = "elsewhere".into();
    world.establishments.push(fixtures::establishment("elsewhere"));
    world.add(second);
    world.run_of("another-hub/app-a");
    assert_eq!(world.condition_of("another-hub/app-a", ConditionType::Stalled), "True NamespaceTaken");
    assert_eq!(world.cluster, before);
    assert!(world.round().is_silent());
    // Nor does the one that never had it take it away when it goes.
    world.instances.get_mut("another-hub/app-a").unwrap().metadata.deletion_timestamp =
        Some(serde_json::from_value(json!("2026-03-01T13:00:00Z")).unwrap());
    world.instances.get_mut("another-hub/app-a").unwrap().metadata.finalizers = Some(vec![names::FINALIZER.into()]);
    world.run_of("another-hub/app-a");
    assert_eq!(world.cluster, before);
}

#[test]
fn instances_of_other_names_share_no_object_and_no_database() {
    let mut world = World::plain().at_rest();
    let mut keys: Vec<BTreeSet<ObjectKey>> = vec![world.cluster.keys()];
    for name in ["a", "app", "app-a-b", "app-b"] {
        let mut other = fixtures::instance(name);
        other.spec.establishment = format!("etab-{name}");
        world.establishments.push(fixtures::establishment(&format!("etab-{name}")));
        world.add(other);
        let before = world.cluster.keys();
        world.run_of(&format!("hub/{name}"));
        keys.push(world.cluster.keys().difference(&before).cloned().collect());
    }
    let total: usize = keys.iter().map(BTreeSet::len).sum();
    assert_eq!(total, world.cluster.objects.len());
    assert!(keys.iter().all(|one| one.len() == keys[0].len()), "each has all of its own");
    assert_eq!(world.cluster.databases.len(), 5);
}

#[test]
fn a_foreign_namespace_is_not_taken_over_until_its_owner_hands_it_over() {
    let mut world = World::plain();
    let key = ObjectKey::new(Kind::Namespace, "", fixtures::NAMESPACE);
    world.cluster.apply(&key, &json!({"metadata": {"name": fixtures::NAMESPACE, "labels": {"team": "other"}}}));
    let before = world.cluster.clone();
    world.run();
    assert_eq!(world.cluster, before);
    assert_eq!(world.condition(ConditionType::Stalled), "True ForeignObject");
    assert!(world.message(ConditionType::Ready).contains("gotocloud.amue.fr/adopt-by=hub/app-a"));
    world.cluster.objects.get_mut(&key).unwrap().manifest["metadata"]["annotations"] =
        json!({names::ANNOTATION_ADOPT: fixtures::WHO});
    world.run();
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
}

#[test]
fn a_foreign_object_in_its_namespace_is_not_overwritten() {
    let mut world = World::plain().at_rest();
    let key = ObjectKey::new(Kind::Service, fixtures::NAMESPACE, "web");
    let theirs = json!({"metadata": {"name": "web", "labels": {"app.kubernetes.io/managed-by": "helm"}}});
    world.cluster.objects.remove(&key);
    world.cluster.apply(&key, &theirs);
    world.run();
    assert_eq!(world.cluster.objects[&key].manifest, theirs);
    assert_eq!(world.condition(ConditionType::Stalled), "True ForeignObject");
    assert_eq!(world.condition(ConditionType::WorkloadReady), "True AsDesired", "what runs goes on");
}

#[test]
fn the_members_of_a_grouping_are_in_status_and_labels_and_follow_it() {
    let mut world = World::plain();
    world.establishments = vec![fixtures::grouping("etab", "Shared", &["x", "y"])];
    world.run();
    assert_eq!(world.status().members, ["x", "y"]);
    assert_eq!(world.status().grouping.as_deref(), Some("etab"));
    let label = |world: &World, member: &str| {
        let key = format!("{}{member}", names::LABEL_MEMBER_PREFIX);
        let namespace = world.cluster.get(Kind::Namespace, "", fixtures::NAMESPACE).unwrap();
        let on_instance = world.instances[fixtures::WHO].metadata.labels.as_ref().unwrap().contains_key(&key);
        assert_eq!(namespace["metadata"]["labels"].get(&key).is_some(), on_instance);
        on_instance
    };
    assert!(label(&world, "x") && label(&world, "y"));
    let before = world.cluster.pods();
    world.establishments = vec![fixtures::grouping("etab", "Shared", &["y", "z"])];
    world.run();
    assert_eq!(world.status().members, ["y", "z"]);
    assert!(!label(&world, "x") && label(&world, "z"));
    assert_eq!(world.cluster.pods(), before, "who shares it moves no pod");
}

#[test]
fn a_member_with_an_instance_of_its_own_bears_its_groupings_name() {
    let mut world = World::plain();
    world.establishments.push(fixtures::grouping("unir", "PerMember", &["etab", "other"]));
    world.run();
    assert_eq!(world.status().grouping.as_deref(), Some("unir"));
    assert!(world.status().members.is_empty());
    let labels = &world.instances[fixtures::WHO].metadata.labels.as_ref().unwrap();
    assert_eq!(labels[names::LABEL_GROUPING], "unir");
}

#[test]
fn a_member_of_a_shared_instance_is_sent_there() {
    let mut world = World::plain();
    world.establishments.push(fixtures::grouping("schools", "Shared", &["etab"]));
    world.run();
    assert!(world.message(ConditionType::Ready).contains("make the Instance for schools"));
}

#[test]
fn a_grouping_that_lists_itself_says_nothing_by_it() {
    let mut world = World::plain();
    world.establishments = vec![fixtures::grouping("etab", "Shared", &["etab", "x"])];
    world.run();
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
}

#[test]
fn labels_of_other_people_on_the_instance_stay_out_of_it() {
    let mut world = World::plain().at_rest();
    world.one().metadata.labels.as_mut().unwrap().insert("team".into(), "blue".into());
    assert!(world.with_plan(fixtures::WHO, |plan| plan.metadata.is_none()));
}
