//! An Instance goes to another release phase by phase, and what it is made of follows the phase.

mod edited;
mod refused;
mod replaced;

use crate::support::{World, fixtures};
use gotocloud_api::{
    conditions::ConditionType,
    release::Migration,
    upgrade::{UpgradePhase, UpgradeStatus},
};
use gotocloud_planner::{Kind, ObjectKey, health::Health};
use serde_json::Value;

/// An Instance at rest, whose next release moves the data.
fn migrating(mut world: World, reversible: bool) -> World {
    world.releases[1].spec.migration = Some(Migration {
        image: "registry.example.fr/migrate@sha256:0".into(),
        command: vec!["/migrate".into()],
        env: serde_json::from_value(serde_json::json!([{"name": "DATABASE_URL", "fromDatabase": "Uri"}])).unwrap(),
        reversible,
        deadline: None,
    });
    world.at_rest()
}

fn ask(world: &mut World) {
    world.edit(|one| one.spec.release = Some("app-2".into()));
    world.round();
}

fn record(world: &World) -> &UpgradeStatus {
    world.status().upgrade.as_ref().unwrap()
}

fn versions(world: &World) -> Vec<Value> {
    let deployments = world.cluster.of_kind(Kind::Deployment);
    deployments
        .into_iter()
        .map(|one| one["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/version"].clone())
        .collect()
}

fn replicas(world: &World) -> Vec<Value> {
    world.cluster.of_kind(Kind::Deployment).into_iter().map(|one| one["spec"]["replicas"].clone()).collect()
}

/// A person says something of the Instance by an annotation.
fn say(world: &mut World, key: &str, value: &str) {
    world.one().metadata.annotations.get_or_insert_default().insert(key.to_owned(), value.to_owned());
}

/// In the middle of a migration that cannot be undone: its Job runs, its pods are stopped.
fn amid_migration() -> World {
    let mut world = migrating(World::full(), false);
    ask(&mut world);
    led_to_migration(&mut world);
    world
}

/// Its pods end, and its backup is taken: the data may be moved.
fn backed_up(world: &mut World) {
    world.round();
    world.cluster.settle();
    world.round();
    ends(world, Kind::Backup, Health::Ready);
    world.round();
}

/// Its pods end, its backup is taken, and the migration begins.
fn led_to_migration(world: &mut World) {
    backed_up(world);
    world.round();

    assert_eq!(record(world).phase, UpgradePhase::Migrate);
    assert_eq!(world.cluster.of_kind(Kind::Job).len(), 1);
    assert_eq!(replicas(world), [0, 0]);
}

/// The migration that cannot be undone broke off.
fn half_way() -> World {
    let mut world = amid_migration();
    ends(&mut world, Kind::Job, Health::Failed("exit code 3".into()));
    world.round();
    world.run();

    assert_eq!(record(&world).phase, UpgradePhase::Failed);
    assert_eq!(replicas(&world), [0, 0]);
    world
}

fn days(world: &mut World, days: i64) {
    for _ in 0..days {
        world.now += jiff::SignedDuration::from_hours(24);
        world.round();
    }
}

fn ends(world: &mut World, kind: Kind, health: Health) {
    let key = world.cluster.keys().into_iter().find(|key| key.kind == kind).unwrap();
    world.cluster.objects.get_mut(&key).unwrap().health = health;
}

#[test]
fn the_data_is_moved_by_a_job_before_any_pod_is_replaced() {
    let mut world = migrating(World::plain(), true);
    let before = world.cluster.pods();
    ask(&mut world);
    assert_eq!(record(&world).phase, UpgradePhase::Migrate);
    world.round();
    assert_eq!(world.cluster.of_kind(Kind::Job).len(), 1);
    assert_eq!(world.cluster.pods(), before);
    ends(&mut world, Kind::Job, Health::Ready);
    world.round();
    assert_eq!(record(&world).phase, UpgradePhase::Rollout);
    world.run();
    assert_eq!(versions(&world), ["2.0", "2.0"]);
    assert_eq!(record(&world).phase, UpgradePhase::Done);
    assert_eq!(world.cluster.of_kind(Kind::Job).len(), 0, "it is taken away after it");
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
}

#[test]
fn the_job_may_talk_to_the_database_and_to_nobody_else() {
    let mut world = migrating(World::plain(), true);
    ask(&mut world);
    world.round();
    let policy = world.cluster.get(Kind::NetworkPolicy, fixtures::NAMESPACE, "migration").unwrap();
    assert_eq!(policy["spec"]["ingress"], serde_json::json!([]));
    assert_eq!(policy["spec"]["egress"].as_array().unwrap().len(), 2);
    let job = world.cluster.of_kind(Kind::Job)[0];
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["name"], "database-app");
    assert_eq!(job["spec"]["backoffLimit"], 0);
}

#[test]
fn pods_are_stopped_while_data_changes_in_a_way_they_cannot_bear() {
    let mut world = migrating(World::full(), false);
    ask(&mut world);
    assert_eq!(record(&world).phase, UpgradePhase::Backup);
    world.round();
    assert_eq!(replicas(&world), [0, 0]);
    assert_eq!(world.cluster.of_kind(Kind::Backup).len(), 0, "their pods may still write");
    world.cluster.settle();
    world.round();
    assert_eq!(world.cluster.of_kind(Kind::Backup).len(), 1);
    ends(&mut world, Kind::Backup, Health::Ready);
    world.round();
    assert_eq!(record(&world).phase, UpgradePhase::Migrate);
    assert!(record(&world).backup.is_some());
    world.round();
    assert_eq!(replicas(&world), [0, 0]);
    ends(&mut world, Kind::Job, Health::Ready);
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::Done);
    assert!(replicas(&world).iter().all(|replicas| *replicas != 0));
    assert_eq!(world.cluster.of_kind(Kind::Backup).len(), 1, "a backup holds data: it stays");
}

#[test]
fn a_migration_that_cannot_be_undone_and_fails_leaves_the_pods_stopped_and_names_the_backup() {
    let mut world = half_way();
    assert_eq!(record(&world).phase, UpgradePhase::Failed);
    assert_eq!(replicas(&world), [0, 0]);
    assert_eq!(world.condition(ConditionType::Stalled), "True UpgradeFailed");
    assert!(world.message(ConditionType::Ready).contains("restore the backup upgrade-"));
    world.edit(|one| one.spec.release = Some("app-1".into()));
    world.run();
    assert_eq!(replicas(&world), [0, 0], "a manifest of old that somebody applies restores no data");
    // Somebody restores it, and says so.
    let job = record(&world).migration.clone().unwrap();
    say(&mut world, "gotocloud.amue.fr/restored", &job);
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::RolledBack);
    assert_eq!(versions(&world), ["1.0", "1.0"]);
    assert!(replicas(&world).iter().all(|replicas| *replicas != 0));
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
}

#[test]
fn on_a_server_of_somebody_elses_a_person_attests_the_backup() {
    let mut world = migrating(World::plain(), false);
    ask(&mut world);
    world.round();
    assert!(record(&world).message.contains("is being stopped"), "{}", record(&world).message);
    world.cluster.settle();
    world.round();
    assert!(record(&world).message.contains("gotocloud.amue.fr/backed-up-at=TIME"), "{}", record(&world).message);
    let old = (world.now - jiff::SignedDuration::from_hours(48)).to_string();
    let annotate = |world: &mut World, at: String| {
        say(world, "gotocloud.amue.fr/backed-up-at", &at);
        world.round();
    };
    annotate(&mut world, old);
    assert_eq!(record(&world).phase, UpgradePhase::Backup, "one taken before is not of the data as it is");
    assert!(record(&world).message.contains("before its pods were asked to stop"), "{}", record(&world).message);
    let future = (world.now + jiff::SignedDuration::from_secs(60)).to_string();
    annotate(&mut world, future);
    assert_eq!(record(&world).phase, UpgradePhase::Backup, "nobody attests what is to come");
    assert!(record(&world).message.contains("it counts from then on"), "{}", record(&world).message);
    let from = gotocloud_planner::instance::attested_from(&world.one().clone(), world.now);
    assert_eq!(from, Some(world.now + jiff::SignedDuration::from_secs(60)), "it is looked at again then");
    world.now += jiff::SignedDuration::from_secs(60);
    world.round();
    assert_eq!(record(&world).phase, UpgradePhase::Migrate);
}

#[test]
fn pods_that_do_not_come_up_take_it_back_to_the_release_before() {
    let mut world = World::plain().at_rest();
    let before = world.cluster.pods();
    ask(&mut world);
    world.round();
    assert_eq!(versions(&world), ["2.0", "2.0"]);
    world.now += jiff::SignedDuration::from_mins(15);
    world.round();
    assert_eq!(record(&world).phase, UpgradePhase::RollingBack);
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::RolledBack);
    assert_eq!(world.cluster.pods(), before);
    assert_eq!(world.condition(ConditionType::Stalled), "True UpgradeFailed");
    assert_eq!(world.condition(ConditionType::WorkloadReady), "True AsDesired");
    assert_eq!(world.status().release.as_ref().unwrap().version, "1.0");
}

#[test]
fn a_release_that_is_not_reached_is_refused_and_nothing_moves() {
    let mut world = World::plain().at_rest();
    world.releases[1].spec.reachable_from = vec!["1.5".into()];
    let before = world.cluster.pods();
    ask(&mut world);
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::Refused);
    assert_eq!(world.cluster.pods(), before);
    assert!(world.message(ConditionType::Ready).contains("no way leads from app-1 to app-2"));
}

#[test]
fn the_last_health_of_the_old_pods_is_not_taken_for_that_of_the_new() {
    let mut world = World::plain().at_rest();
    ask(&mut world);
    // Nothing of the new release was applied yet, and all is healthy.
    assert!(world.cluster.objects.values().all(|stored| !matches!(stored.health, Health::Progressing(_))));
    world.dies_after = Some(0);
    world.round_of(fixtures::WHO);
    assert_eq!(record(&world).phase, UpgradePhase::Rollout);
    world.round();
    assert_eq!(record(&world).phase, UpgradePhase::Rollout, "its pods were just asked for");
    world.cluster.settle();
    world.round();
    assert_eq!(record(&world).phase, UpgradePhase::Done);
}

#[test]
fn each_try_has_a_job_of_its_own() {
    let mut world = migrating(World::plain(), true);
    ask(&mut world);
    world.round();
    let job = |world: &World| {
        world.cluster.keys().into_iter().find(|key: &ObjectKey| key.kind == Kind::Job).map(|key| key.name)
    };
    let first = job(&world).unwrap();
    ends(&mut world, Kind::Job, Health::Failed("exit code 3".into()));
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::RolledBack);
    world.edit(|one| one.spec.env.clear());
    world.round();
    world.round();
    assert_ne!(job(&world).unwrap(), first);
}

#[test]
fn a_migration_that_somebody_deletes_while_it_runs_does_not_run_a_second_time() {
    let mut world = migrating(World::plain(), true);
    ask(&mut world);
    world.round();
    let key = world.cluster.keys().into_iter().find(|key| key.kind == Kind::Job).unwrap();
    assert_eq!(record(&world).migration.as_deref(), Some(&*key.name));
    world.cluster.remove(&key);
    world.round();
    assert_eq!(world.cluster.of_kind(Kind::Job).len(), 0, "it is not made anew");
    assert!(record(&world).message.contains("was deleted before it ended"), "{}", record(&world).message);
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::RolledBack);
    // Another try is another Job.
    world.edit(|one| one.spec.deletion_protection = Some(true));
    world.round();
    world.round();
    assert_eq!(world.cluster.of_kind(Kind::Job).len(), 1);
    assert_ne!(record(&world).migration.as_deref(), Some(&*key.name));
}
