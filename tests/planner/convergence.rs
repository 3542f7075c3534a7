//! From nothing to an instance at rest, and then silence.

use crate::support::{World, fixtures};
use gotocloud_api::conditions::ConditionType::{
    DatabaseReady, Exposed, Ready, Reconciling, Stalled, UpToDate, WorkloadReady,
};
use gotocloud_planner::Kind;

#[test]
fn on_a_server_an_instance_is_ready_in_two_rounds_and_then_silent() {
    let mut world = World::plain();
    let rounds = world.run();
    assert_eq!(rounds.len(), 3, "{rounds:#?}");
    assert!(rounds[2].is_silent());
    assert_eq!(world.condition(Ready), "True AsDesired");
    assert_eq!(world.condition(Reconciling), "");
    assert_eq!(world.condition(Stalled), "");
}

#[test]
fn with_its_own_database_pods_wait_for_it_and_all_is_ready_in_three_rounds() {
    let mut world = World::full();
    let first = world.round();
    assert!(!first.steps.iter().any(|step| step.contains("Deployment")), "{first:?}");
    assert_eq!(world.condition(Ready), "False DatabaseStarting");
    world.cluster.settle();
    let second = world.round();
    assert_eq!(second.steps, ["apply Deployment gtc-app-a/batch", "apply Deployment gtc-app-a/web"]);
    assert_eq!(world.condition(DatabaseReady), "True AsDesired");
    assert_eq!(world.condition(WorkloadReady), "False PodsStarting");
    world.cluster.settle();
    assert!(world.round().written);
    for part in [Ready, DatabaseReady, WorkloadReady, Exposed, UpToDate] {
        assert_eq!(world.condition(part), "True AsDesired", "{part}");
    }
    assert!(world.round().is_silent());
}

#[test]
fn at_rest_nothing_is_asked_for_and_nothing_is_written_however_often_one_looks() {
    for mut world in [World::plain().at_rest(), World::full().at_rest()] {
        let before = world.status().clone();
        for _ in 0..3 {
            world.now += jiff::SignedDuration::from_hours(24);
            assert!(world.round().is_silent());
        }
        assert_eq!(*world.status(), before);
    }
}

#[test]
fn a_restarted_operator_sends_no_object() {
    let mut world = World::full().at_rest();
    world.restart();
    assert_eq!(
        world.steps(),
        ["ensure Secret gtc-app-a/generated"],
        "Secrets are looked at, since nothing watches them"
    );
    let round = world.round();
    assert!(!round.written && round.events.is_empty());
    assert!(world.round().is_silent());
}

#[test]
fn the_order_of_neighbours_decides_nothing() {
    let mut world = World::plain();
    world.applications[0].spec.interfaces = vec![fixtures::link("x", "Existing"), fixtures::link("y", "Existing")];
    world.add(fixtures::neighbour("x"));
    world.add(fixtures::neighbour("y"));
    world.run();
    world.is_reversed = true;
    assert!(world.round().is_silent());
    let policy = world.cluster.get(Kind::NetworkPolicy, "gtc-app-a", "web").unwrap().to_string();
    assert!(policy.contains("gtc-x") && policy.contains("gtc-y"));
}
