//! A database that is gone is not begun anew, empty, before a person asks for it.

use crate::support::{World, fixtures};
use gotocloud_api::{
    conditions::{ConditionType, Reason},
    names,
};
use gotocloud_planner::{
    Kind, ObjectKey, Step, Verdict,
    instance::{self, Failure},
    retry::ErrorClass,
};

fn key() -> ObjectKey {
    ObjectKey::new(Kind::Cluster, fixtures::NAMESPACE, "database")
}

fn is_there(world: &World) -> bool {
    world.cluster.objects.contains_key(&key())
}

/// An Instance that ran, whose Cluster somebody deleted.
fn without_its_database() -> World {
    let mut world = World::full().at_rest();
    world.cluster.remove(&key());
    world
}

fn annotate(world: &mut World, uid: &str) {
    let annotation = (names::ANNOTATION_NEW_EMPTY_DATABASE.to_owned(), uid.to_owned());
    world.one().metadata.annotations = Some([annotation].into());
}

fn is_lost(world: &World) -> bool {
    !is_there(world) && world.condition(ConditionType::Stalled) == "True DatabaseLost"
}

#[test]
fn a_database_that_is_gone_is_told_with_both_ways_on_and_is_not_made_anew() {
    for restarts in [false, true] {
        let mut world = without_its_database();
        if restarts {
            world.restart();
        }
        world.run();
        assert!(is_lost(&world));
        assert_eq!(world.condition(ConditionType::Ready), "False DatabaseLost");
        assert_eq!(world.condition(ConditionType::DatabaseReady), "False DatabaseLost");
        let message = world.message(ConditionType::Stalled);
        for words in [
            "Cluster gtc-app-a/database",
            "from a backup",
            "annotate the Instance with gotocloud.amue.fr/new-empty-database=uid-1",
        ] {
            assert!(message.contains(words), "{message}");
        }
        assert!(world.round().is_silent(), "told once");
    }
}

#[test]
fn credentials_that_are_lost_are_told_until_they_are_back() {
    let mut world = World::full().at_rest();
    world.lost_credentials = Some("the Secret is gone".into());
    world.run();
    for part in [ConditionType::Ready, ConditionType::DatabaseReady] {
        assert_eq!(world.condition(part), "False DatabaseSecretInvalid");
    }
    assert_eq!(world.condition(ConditionType::Stalled), "True DatabaseSecretInvalid");
    assert_eq!(world.condition(ConditionType::WorkloadReady), "True AsDesired", "its pods run on");
    assert_eq!(instance::told_lost_credentials(world.one()), Some("the Secret is gone"));

    world.lost_credentials = None;
    world.run();
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
    assert_eq!(instance::told_lost_credentials(world.one()), None);
}

#[test]
fn credentials_are_looked_at_where_cloudnativepg_keeps_them_and_the_instance_ran() {
    let secret = ObjectKey::new(Kind::Secret, fixtures::NAMESPACE, "database-app");
    assert_eq!(instance::kept_credentials(World::full().at_rest().one()), Some(secret));
    assert_eq!(instance::kept_credentials(World::full().one()), None);
    assert_eq!(instance::kept_credentials(World::plain().at_rest().one()), None);
}

#[test]
fn what_else_is_amiss_is_put_right_all_the_same() {
    let mut world = without_its_database();
    let lost = [(Kind::Deployment, "web"), (Kind::Service, "web"), (Kind::HttpRoute, "public")];
    for (kind, name) in lost {
        world.cluster.remove(&ObjectKey::new(kind, fixtures::NAMESPACE, name));
    }
    world.run();
    for (kind, name) in lost {
        assert!(world.cluster.get(kind, fixtures::NAMESPACE, name).is_some(), "{kind}");
    }
    assert!(is_lost(&world));
}

#[test]
fn an_empty_database_is_made_where_a_person_asked_for_it_and_that_once() {
    let mut world = without_its_database();
    world.run();
    annotate(&mut world, "uid-1");
    world.run();
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
    world.cluster.remove(&key());
    world.run();
    assert!(is_lost(&world), "the word was given of another one");
    assert!(world.message(ConditionType::Stalled).contains("new-empty-database=uid-2"));
}

#[test]
fn a_word_given_of_another_database_is_none() {
    let mut world = without_its_database();
    annotate(&mut world, "uid-7");
    world.run();
    assert!(is_lost(&world));
}

#[test]
fn a_database_that_is_brought_back_is_taken_up() {
    let before = World::full().at_rest();
    let mut world = without_its_database();
    world.run();
    world.cluster.apply(&key(), &before.cluster.objects[&key()].manifest);
    world.run();
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
    assert_eq!(world.status().database.as_ref().unwrap().provisioned, "uid-2");
}

#[test]
fn one_that_somebody_made_in_its_place_waits_for_its_owners_word() {
    let mut world = without_its_database();
    world.cluster.apply(&key(), &serde_json::json!({"metadata": {"name": "database"}}));
    world.run();
    assert_eq!(world.condition(ConditionType::Stalled), "True ForeignObject");
}

#[test]
fn a_database_that_went_with_its_namespace_is_not_made_anew_either() {
    let mut world = World::full().at_rest();
    world.cluster.remove(&ObjectKey::new(Kind::Namespace, "", fixtures::NAMESPACE));
    world.restart();
    world.run();
    assert!(is_lost(&world));
}

#[test]
fn the_database_of_an_instance_that_never_ran_is_made_again() {
    let mut world = World::full();
    world.round();
    world.cluster.settle();
    world.round();
    assert!(is_there(&world) && world.status().release.is_none());
    world.cluster.remove(&key());
    world.run();
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
}

#[test]
fn a_database_is_not_taken_for_lost_where_its_kind_is_not_served() {
    let mut world = without_its_database();
    world.served.remove(&Kind::Cluster);
    world.run();
    assert_eq!(world.condition(ConditionType::Stalled), "True ApiMissing");
}

#[test]
fn a_database_is_looked_at_each_time_before_it_is_applied_to() {
    let mut world = World::full().at_rest();
    world.edit(|one| one.spec.database_storage = Some("40Gi".into()));
    let known = |plan: &gotocloud_planner::Plan<'_>| {
        let of_cluster = |step: &Step| match step {
            Step::Apply { object, known } => (object.key == key()).then_some(*known),
            _ => None,
        };
        plan.steps.iter().find_map(of_cluster)
    };
    assert_eq!(world.with_plan(fixtures::WHO, known), Some(false));
}

#[test]
fn data_that_a_person_moved_to_a_cluster_is_not_taken_for_lost_before_it_was_there() {
    let mut world = World::plain().at_rest();
    world.platforms[0].spec.database = fixtures::full_platform().spec.database;
    let moved_to = (names::ANNOTATION_DATABASE_MOVED_TO.to_owned(), "gtc-app-a/database".to_owned());
    world.one().metadata.annotations = Some([moved_to].into());
    world.failing = Box::new(|step| {
        matches!(step, Step::Apply { object, .. } if object.key == key()).then(|| Failure {
            class: ErrorClass::Unavailable,
            reason: Reason::ApiUnavailable,
            message: "no answer".into(),
        })
    });
    let consent = |world: &mut World| {
        world.round();
        let pending = world.status().revision.as_ref().and_then(|revision| revision.pending.clone());
        world.one().spec.accepted_revision = pending;
    };
    consent(&mut world);
    world.round();
    assert!(!is_there(&world));
    world.failing = Box::new(|_| None);
    let rounds = world.run();
    assert!(rounds.iter().all(|round| round.verdict == Verdict::Proceed));
    assert!(is_there(&world));
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
}

#[test]
fn that_the_database_is_there_is_told_though_the_word_about_it_was_put_off() {
    let mut world = World::plain();
    for _ in 0..3 {
        world.round();
        // What is told late was not told at all yet.
        world.one().status = None;
    }
    world.run();
    let database = world.status().database.clone().unwrap();
    assert!(!database.provisioned.is_empty(), "{database:?}");
}

/// An Instance that ran on a server, whose database somebody dropped there.
fn without_its_database_on_a_server() -> World {
    let mut world = World::plain().at_rest();
    world.cluster.databases.clear();
    world.restart();
    world
}

#[test]
fn a_database_that_vanished_from_its_server_is_told_and_not_made_anew() {
    let mut world = without_its_database_on_a_server();
    world.run();
    assert!(world.cluster.databases.is_empty());
    for kind in [ConditionType::Ready, ConditionType::DatabaseReady] {
        assert_eq!(world.condition(kind), "False DatabaseLost");
    }
    assert_eq!(world.condition(ConditionType::Stalled), "True DatabaseLost");
    let message = world.message(ConditionType::Stalled);
    assert!(message.contains("the database app_a on 10.1.2.3:5432"), "{message}");
    assert!(message.ends_with("gotocloud.amue.fr/new-empty-database=1"), "{message}");
}

#[test]
fn an_empty_database_on_a_server_is_made_where_a_person_asked_for_it_and_that_once() {
    let mut world = without_its_database_on_a_server();
    annotate(&mut world, "1");
    world.run();
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
    assert_eq!(world.status().database.as_ref().unwrap().oid, Some(2));

    world.cluster.databases.clear();
    world.restart();
    world.run();
    assert_eq!(world.condition(ConditionType::Stalled), "True DatabaseLost", "the word was given of another one");
}

#[test]
fn the_database_on_a_server_of_an_instance_that_never_ran_is_made_again() {
    let mut world = World::plain();
    world.round();
    assert!(world.status().release.is_none());
    world.cluster.databases.clear();
    world.restart();
    world.run();
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
}

#[test]
fn an_instance_called_as_something_of_postgresql_is_refused_before_anything_moves() {
    for name in ["postgres", "template1", "pg-monitor"] {
        let mut world = World::plain();
        world.instances.clear();
        world.add(fixtures::instance(name));
        let who = format!("{}/{name}", fixtures::HUB);
        world.run_of(&who);
        assert_eq!(world.condition_of(&who, ConditionType::Stalled), "True DatabaseRefused", "{name}");
        assert!(world.cluster.objects.is_empty() && world.cluster.databases.is_empty(), "{name}");
    }
}
