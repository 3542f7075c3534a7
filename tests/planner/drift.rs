//! What somebody deletes or changes is put right, and nothing else is touched.

use crate::support::{World, fixtures};
use gotocloud_api::conditions::{ConditionType, Reason};
use gotocloud_planner::{Kind, ObjectKey, Step, instance::Failure, retry::ErrorClass};

#[test]
fn each_object_that_is_deleted_is_made_again_by_one_step() {
    for make in [World::plain as fn() -> World, World::full] {
        let keys = make().at_rest().cluster.keys();
        // What held data is another matter (`database.rs`).
        let is_made_again =
            |key: &&ObjectKey| !matches!(key.kind, Kind::Namespace | Kind::Cluster) && key.kind.is_watched();
        for key in keys.iter().filter(is_made_again) {
            let mut world = make().at_rest();
            let before = world.cluster.objects[key].manifest.clone();
            world.cluster.objects.remove(key);
            assert_eq!(world.steps(), [format!("apply {key}")]);
            world.run();
            assert_eq!(world.cluster.objects[key].manifest, before);
        }
    }
}

#[test]
fn each_object_that_is_changed_is_put_right_by_one_step() {
    for make in [World::plain as fn() -> World, World::full] {
        let keys = make().at_rest().cluster.keys();
        for key in keys.iter().filter(|key| key.kind.is_watched()) {
            let mut world = make().at_rest();
            let before = world.cluster.objects[key].manifest.clone();
            world.cluster.drift(key);
            assert_eq!(world.steps(), [format!("apply {key}")]);
            let round = world.round();
            // Where pods restart, that is told; the rest is put right without a word.
            assert!(round.events.is_empty() || key.kind.has_health(), "{key}: {round:?}");
            world.run();
            assert_eq!(world.cluster.objects[key].manifest, before);
        }
    }
}

#[test]
fn each_object_that_loses_its_labels_has_them_put_back_by_one_step() {
    for make in [World::plain as fn() -> World, World::full] {
        let keys = make().at_rest().cluster.keys();
        for key in keys.iter().filter(|key| key.kind.is_watched()) {
            let mut world = make().at_rest();
            let before = world.cluster.clone();
            world.cluster.strip(key);
            assert_eq!(world.steps(), [format!("apply {key}")]);
            world.run();
            assert_eq!(world.cluster, before, "{key}");
            assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
        }
    }
}

#[test]
fn a_secret_that_loses_its_labels_has_them_put_back_by_the_next_process() {
    let mut world = World::plain().at_rest();
    let before = world.cluster.clone();
    world.cluster.strip(&ObjectKey::new(Kind::Secret, fixtures::NAMESPACE, "database-app"));
    world.restart();
    world.run();
    assert_eq!(world.cluster, before);
}

#[test]
fn labels_are_put_back_though_the_first_try_failed() {
    let mut world = World::plain().at_rest();
    let key = ObjectKey::new(Kind::Service, fixtures::NAMESPACE, "web");
    world.cluster.strip(&key);
    world.failing = Box::new(|_| {
        Some(Failure { class: ErrorClass::Unavailable, reason: Reason::ApiUnavailable, message: "no answer".into() })
    });
    world.round();
    world.failing = Box::new(|_| None);
    world.restart();
    world.run();
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
}

#[test]
fn an_object_that_somebody_gives_to_another_instance_is_not_taken_back() {
    let mut world = World::plain().at_rest();
    let key = ObjectKey::new(Kind::Service, fixtures::NAMESPACE, "web");
    world.cluster.objects.get_mut(&key).unwrap().manifest["metadata"]["labels"]["gotocloud.amue.fr/instance"] =
        "other".into();
    world.run();
    assert_eq!(world.condition(ConditionType::Stalled), "True NamespaceTaken");
}

#[test]
fn a_namespace_that_is_deleted_is_made_again_with_all_that_was_in_it() {
    let mut world = World::plain().at_rest();
    let before = world.cluster.keys();
    let key = before.iter().find(|key| key.kind == Kind::Namespace).unwrap().clone();
    world.cluster.objects.get_mut(&key).unwrap().terminating = true;
    assert!(world.round().steps.is_empty(), "nothing can be made in a namespace on its way out");
    assert!(world.message(ConditionType::Ready).contains("its namespace is being deleted"));
    world.cluster.remove(&key);
    world.restart();
    world.run();
    assert_eq!(world.cluster.keys(), before);
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
}

#[test]
fn an_object_being_deleted_is_made_again_once_it_is_gone() {
    let mut world = World::plain().at_rest();
    let key = ObjectKey::new(Kind::Deployment, fixtures::NAMESPACE, "web");
    world.cluster.objects.get_mut(&key).unwrap().terminating = true;
    assert!(world.steps().is_empty());
    world.cluster.remove(&key);
    assert_eq!(world.steps(), ["apply Deployment gtc-app-a/web"]);
}

#[test]
fn a_lost_deployment_comes_back_while_a_database_server_is_down() {
    let mut world = World::full().at_rest();
    let cluster = ObjectKey::new(Kind::Cluster, fixtures::NAMESPACE, "database");
    world.cluster.objects.get_mut(&cluster).unwrap().health =
        gotocloud_planner::health::Health::Progressing("1 of 2 database servers ready".into());
    world.cluster.remove(&ObjectKey::new(Kind::Deployment, fixtures::NAMESPACE, "web"));
    assert_eq!(world.steps(), ["apply Deployment gtc-app-a/web"]);
}

#[test]
fn a_lost_deployment_comes_back_while_the_database_does_not_answer() {
    let mut world = World::plain().at_rest();
    world.restart();
    world.cluster.remove(&ObjectKey::new(Kind::Deployment, fixtures::NAMESPACE, "web"));
    world.failing = Box::new(|step| {
        matches!(step, Step::EnsureDatabase(_)).then(|| Failure {
            class: ErrorClass::Unavailable,
            reason: Reason::DatabaseUnreachable,
            message: "no answer".into(),
        })
    });
    world.round();
    assert!(world.cluster.get(Kind::Deployment, fixtures::NAMESPACE, "web").is_some());
    assert_eq!(world.condition(ConditionType::DatabaseReady), "False DatabaseUnreachable");
    assert_eq!(world.condition(ConditionType::Stalled), "");
}
