//! Deleting takes the workload; the data goes only where that is asked.

use crate::support::{World, fixtures};
use gotocloud_api::{
    conditions::{ConditionType, Reason},
    instance::DeletionPolicy::{self, Delete, Retain},
    names,
};
use gotocloud_planner::{Kind, ObjectKey, Step, Verdict, instance::Failure, removals::Removal, retry::ErrorClass};
use serde_json::{Value, json};

fn deleted(mut world: World, policy: DeletionPolicy) -> World {
    world.one().spec.deletion_policy = policy;
    world.delete();
    world
}

fn namespace(world: &World) -> Option<&Value> {
    world.cluster.get(Kind::Namespace, "", fixtures::NAMESPACE)
}

fn namespace_key() -> ObjectKey {
    ObjectKey::new(Kind::Namespace, "", fixtures::NAMESPACE)
}

fn kept(world: &World) -> String {
    let annotations = &namespace(world).unwrap()["metadata"]["annotations"];
    annotations[names::ANNOTATION_RETAINED_DATA].as_str().unwrap().to_owned()
}

fn is_gone(world: &World) -> bool {
    world.instances.is_empty()
}

#[test]
fn by_default_the_workload_goes_and_the_database_on_the_server_stays_locked_and_listed() {
    let mut world = deleted(World::plain().at_rest(), DeletionPolicy::default());
    let round = world.round();
    assert_eq!(
        round.steps[round.steps.len() - 3..],
        ["seal database app_a", "apply Namespace gtc-app-a", "release"],
        "nobody logs in any more before the Instance is let go"
    );
    assert!(is_gone(&world));
    assert_eq!(world.cluster.databases, [("app_a".to_owned(), false)].into());
    let left: std::collections::BTreeSet<_> = world.cluster.objects.keys().map(|key| key.kind).collect();
    assert_eq!(left, [Kind::Namespace, Kind::RoleBinding, Kind::NetworkPolicy, Kind::Secret].into());
    assert_eq!(
        kept(&world),
        "database app_a on 10.1.2.3:5432; its role app_a locked; its password in the Secret database-app"
    );
    let labels = &namespace(&world).unwrap()["metadata"]["labels"];
    assert_eq!((&labels[names::LABEL_RETAINED], &labels[names::LABEL_PROTECTED]), (&json!("true"), &json!("true")));
    assert_eq!(labels[names::LABEL_PLATFORM], "site");
}

#[test]
fn by_default_the_cluster_of_its_own_stays_and_is_listed() {
    let mut world = deleted(World::full().at_rest(), Retain);
    world.run();
    assert!(is_gone(&world));
    assert_eq!(world.cluster.of_kind(Kind::Cluster).len(), 1);
    assert!(world.cluster.of_kind(Kind::Deployment).is_empty());
    assert_eq!(kept(&world), "CloudNativePG Cluster gtc-app-a/database");
}

#[test]
fn delete_drops_the_database_then_the_namespace_and_lets_go_once_that_is_gone() {
    let mut world = deleted(World::plain().at_rest(), Delete);
    world.namespaces_linger = true;
    let steps = world.round().steps;
    let (workload, rest) = steps.split_at(steps.len() - 2);
    assert_eq!(rest, ["drop database app_a", "remove Namespace gtc-app-a"]);
    assert!(workload.contains(&"remove Deployment gtc-app-a/web".to_owned()), "{workload:?}");
    assert!(world.round().steps.is_empty(), "the namespace is on its way out");
    assert_eq!(world.condition(ConditionType::Reconciling), "True Deleting");
    world.finish_deletions();
    assert_eq!(world.round().steps, ["release"]);
    assert!(is_gone(&world) && world.cluster.objects.is_empty() && world.cluster.databases.is_empty());
}

#[test]
fn delete_takes_the_cluster_with_the_namespace() {
    let mut world = deleted(World::full().at_rest(), Delete);
    world.run();
    assert!(is_gone(&world) && world.cluster.objects.is_empty());
}

#[test]
fn delete_waits_for_the_platform_that_knows_the_database_and_retain_does_not() {
    for lost in [(|world: &mut World| world.platforms.clear()) as fn(&mut World), |world| {
        world.platforms[0].spec.database.server.as_mut().unwrap().host = "10.9.9.9".into();
    }] {
        let mut world = deleted(World::plain().at_rest(), Delete);
        lost(&mut world);
        let round = world.round();
        assert!(matches!(&round.verdict, Verdict::Refused(refusal) if refusal.reason == Reason::PlatformNotFound));
        assert!(world.message(ConditionType::Stalled).contains("deletionPolicy: Retain"));
        assert_eq!(world.cluster.databases.len(), 1);
        world.one().spec.deletion_policy = Retain;
        world.run();
        assert!(is_gone(&world));
        assert_eq!(world.cluster.databases, [("app_a".to_owned(), true)].into());
        assert!(
            kept(&world).contains("not locked, since its Platform no longer names that server"),
            "{}",
            kept(&world)
        );
    }
}

#[test]
fn a_namespace_that_somebody_deleted_does_not_make_the_data_forgotten() {
    let mut world = deleted(World::plain().at_rest(), Retain);
    world.cluster.remove(&namespace_key());
    world.run();
    assert!(is_gone(&world));
    assert_eq!(world.cluster.databases, [("app_a".to_owned(), false)].into());
    assert!(kept(&world).ends_with("its password lost with the namespace"), "{}", kept(&world));

    let mut world = deleted(World::plain().at_rest(), Delete);
    world.cluster.remove(&namespace_key());
    world.run();
    assert!(is_gone(&world) && world.cluster.databases.is_empty());
}

#[test]
fn a_cluster_that_went_with_its_namespace_leaves_nothing_to_list() {
    for policy in [Retain, Delete] {
        let mut world = deleted(World::full().at_rest(), policy);
        world.cluster.remove(&namespace_key());
        assert_eq!(world.steps(), ["release"]);
    }
}

#[test]
fn a_namespace_of_another_instance_is_left_alone() {
    for policy in [Retain, Delete] {
        let mut world = deleted(World::plain().at_rest(), policy);
        let stored = world.cluster.objects.get_mut(&namespace_key()).unwrap();
        stored.manifest["metadata"]["labels"][names::LABEL_INSTANCE_NAMESPACE] = json!("elsewhere");
        assert_eq!(world.steps(), ["release"]);
    }
}

#[test]
fn data_is_kept_though_the_status_that_tells_of_it_is_lost() {
    let mut world = deleted(World::full().at_rest(), Retain);
    world.one().status = None;
    world.run();
    assert!(is_gone(&world));
    assert_eq!(world.cluster.of_kind(Kind::Cluster).len(), 1);
    assert_eq!(kept(&world), "CloudNativePG Cluster gtc-app-a/database");
}

#[test]
fn an_instance_that_never_ran_goes_at_once() {
    let mut world = World::plain();
    world.delete();
    assert!(world.steps().is_empty(), "it holds no finalizer: there is nothing to let go");
    world.one().metadata.finalizers = Some(vec![names::FINALIZER.into()]);
    assert_eq!(world.steps(), ["release"]);
}

#[test]
fn an_application_without_database_leaves_nothing_even_when_data_is_to_be_kept() {
    let mut world = World::plain();
    world.applications[0].spec.database = gotocloud_api::application::DatabaseEngine::None;
    for component in &mut world.releases[0].spec.components {
        component.env.retain(|variable| variable.from_database.is_none());
    }
    let mut world = deleted(world.at_rest(), Retain);
    world.run();
    assert!(is_gone(&world) && world.cluster.objects.is_empty());
}

#[test]
fn where_removals_are_held_a_deletion_has_not_begun() {
    let mut world = deleted(World::plain().at_rest(), Delete);
    let before = world.cluster.clone();
    world.removal = Removal::Held { wanted: 300, fleet: 1000 };
    assert!(world.round().steps.is_empty());
    assert_eq!(world.cluster, before);
    assert_eq!(world.condition(ConditionType::Stalled), "True RemovalsHeld");
    assert!(world.round().is_silent());
}

#[test]
fn every_object_of_a_deletion_counts_before_the_fleet_wide_limit() {
    let world = deleted(World::plain().at_rest(), Retain);
    assert_eq!(world.removals(), world.cluster.objects.len());
}

#[test]
fn the_database_counts_though_no_object_is_left() {
    let mut world = deleted(World::plain().at_rest(), Retain);
    world.cluster.objects.clear();
    assert_eq!(world.removals(), 1);
}

#[test]
fn what_is_on_its_way_out_is_not_counted_again() {
    let mut world = deleted(World::plain().at_rest(), Delete);
    world.namespaces_linger = true;
    let deployments = world.cluster.of_kind(Kind::Deployment).len();
    for (key, object) in &mut world.cluster.objects {
        object.terminating = key.kind == Kind::Deployment;
    }
    assert_eq!(world.removals(), world.cluster.objects.len() - deployments);

    world.round();
    assert_eq!(world.removals(), 0, "its namespace is being deleted, and all within it");

    // The watch of the namespaces is ahead of the others.
    world.cluster.objects.retain(|key, _| key.kind != Kind::Namespace);
    assert_eq!(world.removals(), 0);
}

#[test]
fn an_instance_made_again_finds_its_data() {
    let mut world = deleted(World::plain().at_rest(), Retain);
    let password = world.cluster.get(Kind::Secret, fixtures::NAMESPACE, "database-app").unwrap().clone();
    world.run();
    world.add(fixtures::instance("app-a"));
    world.restart();
    world.run();
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
    assert_eq!(world.cluster.databases, [("app_a".to_owned(), true)].into());
    assert_eq!(world.cluster.get(Kind::Secret, fixtures::NAMESPACE, "database-app"), Some(&password));
    assert!(!crate::support::is_retained(namespace(&world).unwrap()));
}

#[test]
fn kept_data_is_taken_up_by_the_release_that_it_is_of_and_by_no_other() {
    let mut world = World::plain().at_rest();
    world.edit(|one| one.spec.release = Some("app-2".into()));
    world.run();
    let mut world = deleted(world, Retain);
    world.run();
    assert!(is_gone(&world));

    world.add(fixtures::instance("app-a"));
    let round = world.round();
    assert_eq!(world.condition(ConditionType::Stalled), "True RetainedData", "it asks for app-1");
    assert!(round.steps.is_empty() && world.message(ConditionType::Stalled).contains("set spec.release: app-2"));
    world.edit(|one| one.spec.release = Some("app-2".into()));
    world.run();
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
    world.edit(|one| one.spec.release = Some("app-1".into()));
    world.run();
    assert_eq!(world.status().release.as_ref().unwrap().name, "app-1", "from there on it is an upgrade as any other");
}

#[test]
fn an_instance_that_never_took_up_kept_data_leaves_it_when_it_goes() {
    let mut world = deleted(World::plain().at_rest(), Retain);
    world.run();
    let mut other = fixtures::instance("app-a");
    other.spec.release = Some("app-2".into());
    other.spec.deletion_policy = Delete;
    world.add(other);
    world.round();
    world.one().metadata.finalizers = Some(vec![names::FINALIZER.to_owned()]);
    world.delete();
    world.run();
    assert!(is_gone(&world) && namespace(&world).is_some() && !world.cluster.databases.is_empty());
}

#[test]
fn pods_of_what_is_deleted_do_not_wait_for_the_database_server() {
    let mut world = deleted(World::plain().at_rest(), Delete);
    world.failing = Box::new(|step| {
        matches!(step, Step::DropDatabase(_)).then(|| Failure {
            class: ErrorClass::Unavailable,
            reason: Reason::DatabaseUnreachable,
            message: "no answer".into(),
        })
    });
    world.round();
    assert!(world.cluster.of_kind(Kind::Deployment).is_empty());
    assert!(!world.cluster.databases.is_empty(), "its database waits for the server");
}

/// Without its `RoleBinding` the operator may change nothing in the namespace.
#[test]
fn the_operator_lets_itself_in_again_where_somebody_took_its_rights_while_it_was_deleted() {
    for make in [World::plain as fn() -> World, World::full] {
        for policy in [Retain, Delete] {
            let mut world = deleted(make().at_rest(), policy);
            world.cluster.remove(&ObjectKey::new(Kind::RoleBinding, fixtures::NAMESPACE, "gotocloud-operator"));
            let is_let_in = std::cell::Cell::new(false);
            world.failing = Box::new(move |step| {
                let key = match step {
                    Step::Apply { object, .. } => &object.key,
                    Step::Remove(key) => key,
                    _ => return None,
                };
                is_let_in.set(is_let_in.get() || key.kind == Kind::RoleBinding);
                (&*key.namespace == fixtures::NAMESPACE && !is_let_in.get()).then(|| Failure {
                    class: ErrorClass::Refused,
                    reason: Reason::Forbidden,
                    message: format!("{key}: the operator may not"),
                })
            });
            world.run();
            assert!(is_gone(&world), "{policy:?}: {}", world.message(ConditionType::Ready));
            assert!(world.cluster.of_kind(Kind::Deployment).is_empty());
        }
    }
}

#[test]
fn what_somebody_took_the_labels_off_goes_with_its_instance_all_the_same() {
    let stripped = [(Kind::Deployment, "web"), (Kind::Service, "web"), (Kind::RoleBinding, "gotocloud-operator")];
    for make in [World::plain as fn() -> World, World::full] {
        for policy in [Retain, Delete] {
            let mut world = deleted(make().at_rest(), policy);
            for (kind, name) in stripped {
                world.cluster.strip(&ObjectKey::new(kind, fixtures::NAMESPACE, name));
            }
            world.run();
            assert!(is_gone(&world), "{policy:?}");
            let left = [Kind::Deployment, Kind::Service].map(|kind| world.cluster.of_kind(kind).len());
            assert_eq!(left, [0, 0], "{policy:?}: its pods would run on, on data that is kept");
        }
    }
}

#[test]
fn a_namespace_that_somebody_took_the_labels_off_says_again_whose_data_it_keeps() {
    let mut world = deleted(World::plain().at_rest(), Retain);
    world.cluster.strip(&namespace_key());
    world.run();
    assert!(is_gone(&world) && world.cluster.of_kind(Kind::Deployment).is_empty());
    assert_eq!(world.cluster.databases, [("app_a".to_owned(), false)].into());
    assert!(crate::support::is_retained(namespace(&world).unwrap()));
    assert!(kept(&world).starts_with("database app_a on 10.1.2.3:5432"), "{}", kept(&world));
}

/// A database is made sure of by its password alone.
#[test]
fn a_password_that_is_gone_holds_no_deletion_up() {
    for policy in [Retain, Delete] {
        let mut world = deleted(World::plain().at_rest(), policy);
        world.cluster.remove(&ObjectKey::new(Kind::Secret, fixtures::NAMESPACE, "database-app"));
        world.restart();
        world.failing = Box::new(|step| {
            let Step::EnsureDatabase(request) = step else { return None };
            Some(gotocloud_planner::database::no_password(request))
        });
        world.run();
        assert!(is_gone(&world), "{policy:?}: {}", world.message(ConditionType::Ready));
        let left: Vec<bool> = world.cluster.databases.values().copied().collect();
        assert_eq!(left, if policy == Retain { vec![false] } else { vec![] });
        if policy == Delete {
            continue;
        }

        world.failing = Box::new(|_| None);
        world.add(fixtures::instance("app-a"));
        world.restart();
        world.run();
        assert_eq!(world.condition(ConditionType::Ready), "True AsDesired", "it has another password");
        assert_eq!(world.cluster.databases, [("app_a".to_owned(), true)].into());
        assert!(world.cluster.get(Kind::Secret, fixtures::NAMESPACE, "database-app").is_some());
    }
}
