//! The way to another release is rehearsed on a copy of the data, and nothing else is touched.

use crate::support::{World, fixtures};
use gotocloud_api::{
    conditions::{ConditionType, Reason},
    rehearsal::{RehearsalPhase, RehearsalStatus},
    release::Migration,
};
use gotocloud_planner::{Kind, Step, health::Health, instance::Failure, retry::ErrorClass};
use serde_json::{Value, json};

fn migrating(mut world: World) -> World {
    world.releases[1].spec.migration = Some(Migration {
        image: "registry.example.fr/migrate@sha256:0".into(),
        command: vec!["/migrate".into()],
        env: serde_json::from_value(json!([{"name": "DATABASE_URL", "fromDatabase": "Uri"}])).unwrap(),
        reversible: false,
        deadline: None,
    });
    world.at_rest()
}

fn ask(world: &mut World) {
    world.edit(|one| one.spec.rehearse = Some("app-2".into()));
    world.round();
}

#[test]
fn one_that_nobody_asks_for_any_more_is_withdrawn_and_not_begun_again() {
    let mut world = migrating(World::full());
    ask(&mut world);
    assert_eq!(phase(&world), RehearsalPhase::Backup);
    world.terms.is_rehearsal_over = true;
    world.round();
    assert_eq!(phase(&world), RehearsalPhase::Withdrawn);
    world.edit(|one| one.spec.env.clear());
    world.run();
    assert_eq!(phase(&world), RehearsalPhase::Withdrawn);
}

fn record(world: &World) -> &RehearsalStatus {
    world.status().rehearsal.as_ref().unwrap()
}

fn phase(world: &World) -> RehearsalPhase {
    record(world).phase
}

fn ends(world: &mut World, kind: Kind, name: &str, health: Health) {
    let key = world.cluster.keys().into_iter().find(|key| key.kind == kind && key.name.starts_with(name)).unwrap();
    world.cluster.objects.get_mut(&key).unwrap().health = health;
}

/// All that is there but for what a rehearsal makes, and for the quota.
fn rest(world: &World) -> Vec<(String, Value)> {
    let others = world
        .cluster
        .objects
        .iter()
        .filter(|(key, _)| !key.name.starts_with("rehearsal") && key.kind != Kind::ResourceQuota);
    others.map(|(key, stored)| (key.to_string(), stored.manifest.clone())).collect()
}

fn of_rehearsal(world: &World) -> Vec<String> {
    let keys = world.cluster.keys().into_iter().filter(|key| key.name.starts_with("rehearsal"));
    keys.map(|key| key.kind.to_string()).collect()
}

/// Asked for, and led up to the migration.
fn moving() -> World {
    let mut world = migrating(World::full());
    ask(&mut world);
    world.round();
    ends(&mut world, Kind::Backup, "rehearsal", Health::Ready);
    world.round();
    world.round();
    ends(&mut world, Kind::Cluster, "rehearsal", Health::Ready);
    world.round();
    world.round();
    world
}

#[test]
fn a_backup_is_restored_beside_the_database_and_moved_there() {
    let mut world = migrating(World::full());
    let (before, quota) = (rest(&world), world.cluster.of_kind(Kind::ResourceQuota)[0].clone());
    ask(&mut world);
    assert_eq!(phase(&world), RehearsalPhase::Backup);
    assert_eq!(of_rehearsal(&world), [""; 0], "the record is written first");
    world.round();
    assert_eq!(of_rehearsal(&world), ["Backup"]);
    ends(&mut world, Kind::Backup, "rehearsal", Health::Ready);
    world.round();
    assert_eq!(phase(&world), RehearsalPhase::Restore);
    world.round();
    let backup = record(&world).backup.clone().unwrap();
    let copies = world.cluster.of_kind(Kind::Cluster).into_iter();
    let copy = copies.into_iter().find(|one| one["metadata"]["name"] != "database").unwrap();
    assert_eq!(copy["spec"]["bootstrap"]["recovery"]["backup"]["name"], json!(backup));
    assert_eq!(copy["spec"]["instances"], 1);
    let copy = copy.clone();
    let more = world.cluster.of_kind(Kind::ResourceQuota)[0];
    assert_ne!(more["spec"]["hard"], quota["spec"]["hard"], "the quota holds it too");
    ends(&mut world, Kind::Cluster, "rehearsal", Health::Ready);
    world.round();
    assert_eq!(phase(&world), RehearsalPhase::Migrate);
    world.round();
    let job = world.cluster.of_kind(Kind::Job)[0];
    let url = &job["spec"]["template"]["spec"]["containers"][0]["env"][0];
    let secret = format!("{}-app", copy["metadata"]["name"].as_str().unwrap());
    assert_eq!(url["valueFrom"]["secretKeyRef"]["name"], json!(secret), "the copy's, not its own");
    assert_eq!(rest(&world), before, "the instance itself goes on, untouched");
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
    ends(&mut world, Kind::Job, "rehearsal", Health::Ready);
    world.run();
    assert_eq!(phase(&world), RehearsalPhase::Done);
    assert_eq!(of_rehearsal(&world), ["Backup"], "the copy goes, and a backup stays");
    assert_eq!(world.cluster.of_kind(Kind::ResourceQuota)[0], &quota);
    assert_eq!(rest(&world), before);
}

#[test]
fn what_runs_on_the_copy_reaches_the_copy_and_nothing_else() {
    let world = moving();
    let policy =
        |name: &str| world.cluster.get(Kind::NetworkPolicy, fixtures::NAMESPACE, name).unwrap()["spec"].clone();
    let job = policy("rehearsal-migration");
    assert_eq!(job["ingress"], json!([]));
    let to: Vec<_> = job["egress"].as_array().unwrap().iter().skip(1).map(|rule| &rule["to"]).collect();
    let clusters: Vec<_> =
        world.cluster.of_kind(Kind::Cluster).into_iter().map(|one| &one["metadata"]["name"]).collect();
    let copy = clusters.into_iter().find(|name| **name != "database").unwrap();
    assert_eq!(to, [&json!([{"podSelector": {"matchLabels": {"cnpg.io/cluster": copy}}}])]);
    let servers = policy("rehearsal-database");
    assert_eq!(servers["podSelector"]["matchLabels"]["cnpg.io/cluster"], *copy);
    let labels = &world.cluster.of_kind(Kind::Job)[0]["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["app.kubernetes.io/component"], job["podSelector"]["matchLabels"]["app.kubernetes.io/component"]);
    let own = policy("database").to_string();
    assert!(!own.contains("rehearsal"), "{own}");
}

#[test]
fn a_migration_that_fails_on_the_copy_leaves_the_instance_ready_and_says_why() {
    let mut world = moving();
    ends(&mut world, Kind::Job, "rehearsal", Health::Failed("exit code 3".into()));
    let events: Vec<_> = world.run().into_iter().flat_map(|round| round.events).collect();
    assert_eq!(events.len(), 1, "told once: {events:?}");
    assert_eq!(events[0].message, "the rehearsal of app-1 to app-2 failed: the migration failed: exit code 3");
    let record = record(&world);
    assert_eq!((record.phase, &*record.message), (RehearsalPhase::Failed, "the migration failed: exit code 3"));
    assert_eq!(record.log_tail, "the end");
    assert_eq!(of_rehearsal(&world), ["Backup"]);
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
}

#[test]
fn what_cannot_be_made_for_it_ends_the_rehearsal_and_nothing_else() {
    let mut world = migrating(World::full());
    ask(&mut world);
    let refused = |step: &Step| matches!(step, Step::Apply { object, .. } if object.key.name.starts_with("rehearsal"));
    world.failing = Box::new(move |step| {
        refused(step).then(|| Failure {
            class: ErrorClass::Refused,
            reason: Reason::ObjectRefused,
            message: "the API server refuses it".into(),
        })
    });
    world.run();
    assert_eq!((phase(&world), &*record(&world).message), (RehearsalPhase::Failed, "the API server refuses it"));
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
}

#[test]
fn on_a_server_of_somebody_else_there_is_none() {
    let mut world = migrating(World::plain());
    ask(&mut world);
    assert_eq!(phase(&world), RehearsalPhase::Failed);
    assert!(record(&world).message.contains("takes no backup"), "{}", record(&world).message);
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
}

#[test]
fn taken_back_it_leaves_nothing() {
    let mut world = moving();
    world.edit(|one| one.spec.rehearse = None);
    world.run();
    assert_eq!(phase(&world), RehearsalPhase::Withdrawn);
    assert_eq!(of_rehearsal(&world), ["Backup"]);
}

#[test]
fn an_edit_that_waits_for_a_rehearsal_goes_on_after_it() {
    let mut world = migrating(World::full());
    world.terms.hold = Some("it needs a rehearsal".into());
    world.edit(|one| one.spec.release = Some("app-2".into()));
    world.round();
    ask(&mut world);
    assert_eq!(phase(&world), RehearsalPhase::Backup, "the look before does not keep it from it");
    world.terms.hold = None;
    world.round();
    world.round();
    assert_eq!(phase(&world), RehearsalPhase::Withdrawn, "the way itself does");
}

#[test]
fn the_copy_goes_with_an_instance_whose_data_stays() {
    let mut world = moving();
    world.one().spec.deletion_policy = gotocloud_api::instance::DeletionPolicy::Retain;
    world.delete();
    world.run();
    let clusters: Vec<_> = world.cluster.keys().into_iter().filter(|key| key.kind == Kind::Cluster).collect();
    assert_eq!(clusters.iter().map(|key| &*key.name).collect::<Vec<_>>(), ["database"]);
}

#[test]
fn a_process_that_dies_anywhere_is_followed_by_one_that_ends_it() {
    for dies_after in 0..8 {
        let mut world = migrating(World::full());
        ask(&mut world);
        for _ in 0..6 {
            world.dies_after = Some(dies_after);
            world.round_of(fixtures::WHO);
            world.cluster.settle();
        }
        world.run();
        assert_eq!(
            (phase(&world), of_rehearsal(&world)),
            (RehearsalPhase::Done, vec!["Backup".to_owned()]),
            "{dies_after}"
        );
    }
}
