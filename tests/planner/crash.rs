//! The operator may die between any two steps: another one ends where it would have.

use crate::support::World;
use gotocloud_planner::{Kind, ObjectKey};

/// Stops after each number of steps of the first round, then lets another process finish.
fn survives(what: &str, make: impl Fn() -> World, change: impl Fn(&mut World)) {
    let begun = || {
        let mut world = make();
        change(&mut world);
        world
    };
    let mut undisturbed = begun();
    let steps = undisturbed.steps().len();
    undisturbed.run();
    assert!(steps > 0, "{what}: nothing to disturb");
    for dies_after in 0..=steps {
        let mut world = begun();
        world.dies_after = Some(dies_after);
        world.round_of(crate::support::fixtures::WHO);
        world.run();
        assert_eq!(world.cluster, undisturbed.cluster, "{what}: died after {dies_after} of {steps} steps");
        let (mut ours, mut theirs) = (world.instances.clone(), undisturbed.instances.clone());
        for instance in ours.values_mut().chain(theirs.values_mut()) {
            // When it became true depends on how long it took.
            instance.status.iter_mut().flat_map(|status| &mut status.conditions).for_each(|condition| {
                condition.last_transition_time.0 = jiff::Timestamp::UNIX_EPOCH;
            });
            if let Some(upgrade) = instance.status.as_mut().and_then(|status| status.upgrade.as_mut()) {
                upgrade.since.0 = jiff::Timestamp::UNIX_EPOCH;
                upgrade.finished_at = None;
            }
        }
        assert_eq!(ours, theirs, "{what}: died after {dies_after} of {steps} steps");
    }
}

#[test]
fn while_an_instance_is_made() {
    survives("plain", World::plain, |_| {});
    survives("full", World::full, |_| {});
}

#[test]
fn while_it_moves_to_another_release() {
    for make in [World::plain as fn() -> World, World::full] {
        survives(
            "release",
            || {
                let mut world = make();
                world.releases[1].spec.components.pop();
                world.releases[1].spec.components[0].talks_to.clear();
                world.releases[1].spec.generated_secrets.clear();
                world.releases[1].spec.components[0].env.retain(|variable| variable.from_secret.is_none());
                world.at_rest()
            },
            |world| {
                world.edit(|one| one.spec.release = Some("app-2".into()));
                // It is decided that it goes.
                world.round();
            },
        );
    }
}

#[test]
fn while_an_autoscaler_takes_over() {
    // The worlds that are compared know the fewest pods there ever were.
    for make in [World::plain as fn() -> World, World::full] {
        survives("new", make, |world| world.leave_to_an_autoscaler(0));
        survives(
            "release",
            || {
                let mut world = make();
                world.leave_to_an_autoscaler(1);
                world.at_rest()
            },
            |world| {
                world.edit(|one| one.spec.release = Some("app-2".into()));
                // It is decided that it goes.
                world.round();
            },
        );
    }
}

#[test]
fn while_a_consent_is_carried_out() {
    survives(
        "consent",
        || {
            let mut world = World::full().at_rest();
            world.applications[0].spec.sizes.small.default_component.memory = "300Mi".into();
            world.run();
            world
        },
        |world| {
            let pending = world.status().revision.as_ref().unwrap().pending.clone();
            world.edit(|one| one.spec.accepted_revision = pending);
        },
    );
}

#[test]
fn while_an_empty_database_is_made() {
    survives(
        "empty database",
        || {
            let mut world = World::full().at_rest();
            world.cluster.remove(&ObjectKey::new(Kind::Cluster, crate::support::fixtures::NAMESPACE, "database"));
            world.run();
            world
        },
        |world| {
            let annotation = ("gotocloud.amue.fr/new-empty-database".to_owned(), "uid-1".to_owned());
            world.one().metadata.annotations = Some([annotation].into());
        },
    );
}

#[test]
fn while_it_is_deleted() {
    use gotocloud_api::instance::DeletionPolicy;
    for make in [World::plain as fn() -> World, World::full] {
        for policy in [DeletionPolicy::Retain, DeletionPolicy::Delete] {
            survives(
                &format!("{policy:?}"),
                || make().at_rest(),
                |world| {
                    world.one().spec.deletion_policy = policy;
                    world.delete();
                },
            );
        }
    }
}

/// What was asked is asked otherwise, which a process carries out that dies before it can say so; then it is asked as before.
#[test]
fn between_an_edit_and_its_undoing() {
    let make = || World::full().at_rest();
    let monitored_from = |world: &mut World, namespace: &str| {
        let monitoring = world.platforms[0].spec.monitoring.as_mut().unwrap();
        std::mem::replace(&mut monitoring.namespace, namespace.to_owned())
    };
    let mut edited = make();
    monitored_from(&mut edited, "elsewhere");
    let steps = edited.steps().len();
    assert!(steps > 0, "nothing to disturb");
    for dies_after in 1..=steps {
        let mut world = make();
        let before = world.cluster.clone();
        let namespace = monitored_from(&mut world, "elsewhere");
        world.dies_after = Some(dies_after);
        world.round_of(crate::support::fixtures::WHO);
        assert_ne!(world.cluster, before, "something was applied");
        monitored_from(&mut world, &namespace);
        world.run();
        assert_eq!(world.cluster, before, "died after {dies_after} of {steps} steps");
    }
}
