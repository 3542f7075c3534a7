//! A release renames its components: the old ones go with the upgrade, and nobody's removals are held by it.

use super::*;
use gotocloud_planner::removals::Removal;

/// An Instance whose next release has a component under another name.
fn renaming() -> World {
    let mut world = World::plain();
    for component in &mut world.releases[1].spec.components {
        if component.name == "batch" {
            component.name = "jobs".into();
        }
        component.talks_to.retain(|name| name != "batch");
    }
    world.at_rest()
}

fn deployments(world: &World) -> Vec<String> {
    let keys = world.cluster.keys();
    keys.into_iter().filter(|key| key.kind == Kind::Deployment).map(|key| key.name.to_string()).collect()
}

#[test]
fn the_old_components_stay_until_the_new_ones_are_ready_and_go_before_the_upgrade_is_done() {
    let mut world = renaming();
    let before = deployments(&world);
    world.removal = Removal::Held { wanted: 320, fleet: 2153 };
    ask(&mut world);
    world.round();
    assert!(before.iter().all(|name| deployments(&world).contains(name)), "no gap");
    assert_eq!(record(&world).phase, UpgradePhase::Rollout);
    world.cluster.settle();
    world.round();
    assert_eq!(record(&world).phase, UpgradePhase::Verify, "it is not done while old components run");
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::Done);
    assert!(before.iter().any(|name| !deployments(&world).contains(name)));
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired", "no removal is held by it");
}

#[test]
fn the_removals_of_an_upgrade_are_not_counted_as_losses() {
    let mut world = renaming();
    ask(&mut world);
    world.round();
    world.cluster.settle();
    world.round();
    assert_eq!(world.removals(), 0);
}

#[test]
fn components_of_a_release_that_failed_go_with_the_way_back() {
    let mut world = renaming();
    let before = deployments(&world);
    world.removal = Removal::Held { wanted: 320, fleet: 2153 };
    ask(&mut world);
    world.round();
    world.now += jiff::SignedDuration::from_mins(15);
    world.round();
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::RolledBack);
    assert_eq!(deployments(&world), before);
}
