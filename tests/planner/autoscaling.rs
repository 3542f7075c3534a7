//! Where an autoscaler is to say how many pods there are, there are never fewer than its least.

use crate::support::{World, fixtures};
use gotocloud_planner::{Kind, ObjectKey};

/// An Instance with three pods of `web`, whose second release leaves their number to an autoscaler.
fn with_a_release_that_scales(mut world: World) -> World {
    world.applications[0].spec.sizes.small.default_component.replicas = 3;
    world.leave_to_an_autoscaler(1);
    world
}

fn web() -> ObjectKey {
    ObjectKey::new(Kind::Deployment, fixtures::NAMESPACE, "web")
}

fn release(world: &mut World, name: &str) {
    world.edit(|one| one.spec.release = Some(name.into()));
}

fn of_web(steps: Vec<String>) -> Vec<String> {
    steps.into_iter().filter(|step| step.ends_with("Deployment gtc-app-a/web")).collect()
}

const APPLY: &str = "apply Deployment gtc-app-a/web";
const HAND_OVER: &str = "hand over the number of Deployment gtc-app-a/web";

#[test]
fn a_release_that_adds_autoscaling_takes_no_pod_away() {
    for make in [World::plain as fn() -> World, World::full] {
        let mut world = with_a_release_that_scales(make()).at_rest();
        release(&mut world, "app-2");
        world.round();
        assert_eq!(of_web(world.steps()), [HAND_OVER, APPLY]);
        world.run();
        assert_eq!(world.cluster.pods_of("web"), (3, 3));
        assert!(world.cluster.of_kind(Kind::Deployment).iter().any(|one| one["spec"].get("replicas").is_none()));
        assert!(world.round().is_silent());
    }
}

#[test]
fn a_new_deployment_starts_with_the_least_that_its_autoscaler_keeps() {
    for make in [World::plain as fn() -> World, World::full] {
        let mut world = with_a_release_that_scales(make());
        release(&mut world, "app-2");
        world.run();
        assert_eq!(world.cluster.pods_of("web"), (3, 3));
        assert!(world.round().is_silent());
    }
}

#[test]
fn pods_with_an_autoscaler_wait_for_their_database_like_others() {
    let mut world = with_a_release_that_scales(World::full());
    release(&mut world, "app-2");
    let first = world.round();
    assert!(of_web(first.steps).is_empty());
    world.cluster.settle();
    assert_eq!(of_web(world.steps()), [APPLY, HAND_OVER, APPLY]);
}

#[test]
fn the_number_of_an_autoscaler_stands_whatever_else_changes() {
    let mut world = with_a_release_that_scales(World::plain());
    release(&mut world, "app-2");
    let mut world = world.at_rest();
    world.cluster.scale(&web(), "autoscaler", 6);
    assert!(world.round().is_silent());
    world.cluster.drift(&web());
    world.run();
    world.edit(|one| one.spec.stage = gotocloud_api::Stage::PartialProduction);
    world.run();
    world.restart();
    world.run();
    assert_eq!(world.cluster.pods_of("web").0, 6);
}

#[test]
fn a_number_that_nobody_says_any_more_is_said_again() {
    let mut world = with_a_release_that_scales(World::plain());
    release(&mut world, "app-2");
    let mut world = world.at_rest();
    let number = world.cluster.objects.get_mut(&web()).unwrap().number.as_mut().unwrap();
    number.said_by.clear();
    number.value = 1;
    assert_eq!(world.steps(), [HAND_OVER]);
    world.run();
    assert_eq!(world.cluster.pods_of("web").0, 3);
    assert!(world.round().is_silent());
}

#[test]
fn a_deployment_that_somebody_deleted_comes_back_with_the_least() {
    let mut world = with_a_release_that_scales(World::plain());
    release(&mut world, "app-2");
    let mut world = world.at_rest();
    world.cluster.remove(&web());
    assert_eq!(world.steps(), [APPLY, HAND_OVER]);
    world.run();
    assert_eq!(world.cluster.pods_of("web").0, 3);
    assert!(world.round().is_silent());
}

#[test]
fn a_deployment_that_loses_its_labels_keeps_the_number_of_its_autoscaler() {
    let mut world = with_a_release_that_scales(World::plain());
    release(&mut world, "app-2");
    let mut world = world.at_rest();
    world.cluster.scale(&web(), "autoscaler", 6);
    world.cluster.strip(&web());
    world.run();
    assert_eq!(world.cluster.pods_of("web"), (6, 3));
}

#[test]
fn a_release_without_autoscaling_says_the_number_again() {
    let mut world = with_a_release_that_scales(World::plain());
    release(&mut world, "app-2");
    let mut world = world.at_rest();
    world.cluster.scale(&web(), "autoscaler", 6);
    release(&mut world, "app-1");
    world.run();
    assert_eq!(world.cluster.pods_of("web"), (3, 3));
    assert!(world.cluster.of_kind(Kind::HorizontalPodAutoscaler).is_empty());
    world.cluster.scale(&web(), "somebody", 9);
    world.run();
    assert_eq!(world.cluster.pods_of("web").0, 3, "and puts it right again");
}

#[test]
fn a_larger_size_in_the_same_edit_is_followed_at_once() {
    let mut world = with_a_release_that_scales(World::plain()).at_rest();
    world.edit(|one| {
        one.spec.release = Some("app-2".into());
        one.spec.size_class = Some(gotocloud_api::SizeClass::Large);
    });
    world.run();
    assert_eq!(world.cluster.pods_of("web"), (4, 3));
}

#[test]
fn what_its_pods_are_pinned_to_does_not_tell_of_the_hand_over() {
    let mut world = with_a_release_that_scales(World::plain());
    release(&mut world, "app-2");
    world.round();
    let begun = world.status().revision.clone();
    world.cluster.settle();
    world.run();
    world.restart();
    world.run();
    assert_eq!(world.status().revision, begun);
    assert_eq!(begun.unwrap().pending, None);
}
