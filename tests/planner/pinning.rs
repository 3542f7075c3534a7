//! An instance pins what it runs: only its own edit or a named consent moves a pod.

use crate::support::{World, fixtures};
use gotocloud_api::{
    Platform, SizeClass,
    conditions::{ConditionType, Reason},
};
use gotocloud_planner::{Kind, ObjectKey, Step, Verdict, instance::Failure, retry::ErrorClass, revision};

fn application_edit(world: &mut World) {
    world.applications[0].spec.sizes.small.default_component.memory = "300Mi".into();
    world.applications[0].spec.sizes.small.quota.pods = 41;
}

fn pending(world: &World) -> Option<String> {
    world.status().revision.as_ref().unwrap().pending.clone()
}

/// What an edit of something shared does to a running instance: its pods stay, and the change is told with its remedy.
fn moves_no_pod(mut world: World, edit: impl FnOnce(&mut World), told: &str) {
    let before = world.cluster.pods();
    edit(&mut world);
    let rounds = world.run();
    assert_eq!(world.cluster.pods(), before);
    let steps: Vec<_> = rounds.iter().flat_map(|round| &round.steps).collect();
    let moving =
        |step: &&&String| Kind::ALL.iter().any(|kind| kind.moves_pods() && step.contains(&format!(" {kind} ")));
    assert!(!steps.iter().any(|step| moving(&step)), "{steps:?}");
    assert_eq!(world.condition(ConditionType::UpToDate), "False ConsentAwaited");
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
    let revision = world.status().revision.clone().unwrap();
    assert!(revision.pending_changes.iter().any(|change| change.contains(told)), "{:#?}", revision.pending_changes);
    assert!(world.message(ConditionType::UpToDate).contains(&revision.pending.unwrap()));
    assert!(world.round().is_silent());
}

#[test]
fn an_edit_of_the_application_waits() {
    moves_no_pod(World::plain().at_rest(), application_edit, "memory from 256Mi to 300Mi");
    moves_no_pod(World::full().at_rest(), application_edit, "ResourceQuota size-class: spec.hard.pods from 40 to 41");
}

#[test]
fn an_edit_of_the_platform_waits() {
    let image = |world: &mut World| {
        let database = &mut world.platforms[0].spec.database;
        database.cloud_native_pg.as_mut().unwrap().image_name = "registry.example.fr/postgresql:18.1".into();
    };
    moves_no_pod(World::full().at_rest(), image, "postgresql:18.1");
    moves_no_pod(World::plain().at_rest(), |world| world.platforms[0].spec.dns_zone = "other.fr".into(), "other.fr");
}

#[test]
fn another_mass_of_the_establishment_waits_and_its_quota_with_it() {
    let grow = |mass: f64| move |world: &mut World| world.establishments[0].spec.yearly_mass_million_euros = Some(mass);
    moves_no_pod(World::full().at_rest(), grow(400.0), "replicas from 2 to 5");
    moves_no_pod(World::full().at_rest(), grow(1.0), "replicas from 2 to 1");
}

#[test]
fn another_rendering_of_a_new_operator_waits() {
    // What an operator of another version rendered is in the revision: here with a port that this one does not render.
    let mut world = World::plain().at_rest();
    let mut objects: Vec<_> = Vec::new();
    for (key, manifest) in world.cluster.pods() {
        let mut manifest = manifest;
        if key.kind == Kind::Deployment {
            manifest["spec"]["minReadySeconds"] = 7.into();
        }
        world.cluster.apply(&key, &manifest);
        objects.push(gotocloud_planner::Object { key, manifest });
    }
    let hash = revision::hash(&objects);
    let mut stored = world.cluster.of_kind(Kind::ControllerRevision)[0].clone();
    stored["metadata"]["name"] = format!("pods-{hash}").into();
    stored["data"] = revision::content(&objects);
    world.cluster.apply(&revision::key(fixtures::NAMESPACE, &hash), &stored);
    world.one().status.as_mut().unwrap().revision.as_mut().unwrap().running = hash;
    world.restart();
    world.run();
    moves_no_pod(world, |_| {}, "minReadySeconds from 7 to nothing");
}

#[test]
fn a_consent_by_name_moves_the_pods_and_the_revision_before_stays_until_the_next() {
    let mut world = World::full().at_rest();
    application_edit(&mut world);
    world.run();
    let (consent, before) = (pending(&world), world.status().revision.clone().unwrap().running);
    world.edit(|one| one.spec.accepted_revision = consent.clone());
    let first = world.round();
    assert!(first.steps.iter().any(|step| step == "apply Deployment gtc-app-a/web"), "{first:?}");
    world.run();
    assert_eq!(world.status().revision.as_ref().unwrap().running, consent.unwrap());
    assert_eq!(world.condition(ConditionType::UpToDate), "True AsDesired");
    assert_eq!(world.cluster.of_kind(Kind::ControllerRevision).len(), 2, "it may be gone back to");
    world.edit(|one| one.spec.size_class = Some(SizeClass::Large));
    let third = world.round();
    let removed: Vec<_> = third.steps.iter().filter(|step| step.starts_with("remove")).collect();
    assert_eq!(removed, [&format!("remove ControllerRevision gtc-app-a/pods-{before}")]);
    world.run();
    assert_eq!(world.cluster.of_kind(Kind::ControllerRevision).len(), 2);
}

#[test]
fn a_consent_to_something_else_moves_nothing() {
    let mut world = World::plain().at_rest();
    let before = world.cluster.pods();
    application_edit(&mut world);
    world.edit(|one| one.spec.accepted_revision = Some("0123456789abcdef".into()));
    world.run();
    assert_eq!(world.cluster.pods(), before);
}

#[test]
fn an_edit_of_the_instance_itself_moves_its_pods() {
    type Edit = fn(&mut gotocloud_api::InstanceSpec);
    let edits: [Edit; 4] = [
        |spec| spec.release = Some("app-2".into()),
        |spec| spec.size_class = Some(SizeClass::Large),
        |spec| spec.stage = gotocloud_api::Stage::FullProduction,
        |spec| spec.env = vec![serde_json::from_value(serde_json::json!({"name": "MORE", "value": "1"})).unwrap()],
    ];
    for edit in edits {
        let mut world = World::full().at_rest();
        let before = world.cluster.pods();
        world.edit(|one| edit(&mut one.spec));
        world.run();
        assert_ne!(world.cluster.pods(), before);
        assert_eq!(world.condition(ConditionType::UpToDate), "True AsDesired");
    }
}

#[test]
fn an_edit_that_asks_its_pods_for_nothing_moves_none() {
    let mut world = World::full().at_rest();
    let before = world.cluster.pods();
    world.edit(|one| {
        one.spec.deletion_protection = Some(true);
        one.spec.deletion_policy = gotocloud_api::instance::DeletionPolicy::Delete;
    });
    let rounds = world.run();
    assert_eq!(rounds[0].steps, ["apply Namespace gtc-app-a"], "the label of the protection");
    assert_eq!(world.cluster.pods(), before);
}

#[test]
fn a_release_taken_out_of_the_spec_goes_on_running() {
    let mut world = World::plain().at_rest();
    let before = world.cluster.pods();
    world.edit(|one| one.spec.release = None);
    world.run();
    assert_eq!(world.cluster.pods(), before);
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
}

#[test]
fn the_release_is_told_only_once_its_pods_are_there() {
    let mut world = World::plain().at_rest();
    world.edit(|one| one.spec.release = Some("app-2".into()));
    world.round();
    assert_eq!(world.condition(ConditionType::Ready), "False Upgrading");
    world.round();
    assert_eq!(world.status().release.as_ref().unwrap().version, "1.0");
    assert_eq!(world.condition(ConditionType::Ready), "False PodsStarting");
    world.cluster.settle();
    world.round();
    assert_eq!(world.status().release.as_ref().unwrap().version, "2.0");
}

#[test]
fn drift_of_pinned_pods_is_put_right_from_the_revision() {
    let mut world = World::full().at_rest();
    let before = world.cluster.pods();
    application_edit(&mut world);
    world.run();
    let key = ObjectKey::new(Kind::Deployment, fixtures::NAMESPACE, "web");
    world.cluster.drift(&key);
    assert_eq!(world.steps(), ["apply Deployment gtc-app-a/web"]);
    world.run();
    assert_eq!(world.cluster.pods(), before);
}

#[test]
fn pods_are_pinned_though_something_after_them_could_not_be_applied() {
    let mut world = World::plain().at_rest();
    world.cluster.remove(&ObjectKey::new(Kind::Ingress, fixtures::NAMESPACE, "public"));
    world.edit(|one| one.spec.release = Some("app-2".into()));
    world.failing = Box::new(|step| {
        matches!(step, Step::Apply { object, .. } if object.key.kind == Kind::Ingress).then(|| Failure {
            class: ErrorClass::Refused,
            reason: Reason::Forbidden,
            message: "no".into(),
        })
    });
    world.round();
    world.round();
    assert_eq!(world.condition(ConditionType::Stalled), "True Forbidden");
    let before = world.cluster.pods();
    assert!(
        world.cluster.of_kind(Kind::Deployment)[0].to_string().contains("\"app.kubernetes.io/version\":\"2.0\""),
        "the pods are those of app-2"
    );
    application_edit(&mut world);
    world.round();
    assert_eq!(world.cluster.pods(), before);
    world.failing = Box::new(|_| None);
    world.run();
    assert_eq!(world.cluster.pods(), before);
    assert_eq!(world.condition(ConditionType::UpToDate), "False ConsentAwaited");
}

#[test]
fn what_never_became_pods_follows_a_correction_without_a_consent() {
    let mut world = World::full();
    world.round();
    assert!(world.status().revision.is_none(), "its pods wait for the database");
    application_edit(&mut world);
    world.run();
    assert_eq!(world.condition(ConditionType::UpToDate), "True AsDesired");
}

#[test]
fn where_the_revision_is_lost_nothing_is_touched_and_a_consent_is_the_way_out() {
    for tamper in [
        (|world: &mut World| world.cluster.objects.retain(|key, _| key.kind != Kind::ControllerRevision))
            as fn(&mut World),
        |world| {
            let stored =
                world.cluster.objects.iter_mut().find(|(key, _)| key.kind == Kind::ControllerRevision).unwrap().1;
            stored.manifest["data"] = serde_json::json!({"objects": []});
        },
        |world| {
            let stored =
                world.cluster.objects.iter_mut().find(|(key, _)| key.kind == Kind::ControllerRevision).unwrap().1;
            stored.manifest["data"] = serde_json::json!("gibberish");
        },
    ] {
        let mut world = World::plain().at_rest();
        application_edit(&mut world);
        world.run();
        let today = pending(&world).unwrap();
        tamper(&mut world);
        let before = world.cluster.clone();
        let round = world.round();
        assert!(
            matches!(&round.verdict, Verdict::Refused(refusal) if refusal.reason == Reason::RevisionLost),
            "{round:?}"
        );
        assert_eq!(world.cluster, before);
        assert!(world.message(ConditionType::Ready).contains(&format!("spec.acceptedRevision: {today}")));
        world.edit(|one| one.spec.accepted_revision = Some(today));
        world.run();
        assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
    }
}

#[test]
fn a_lost_revision_that_would_be_rendered_the_same_is_simply_made_again() {
    let mut world = World::plain().at_rest();
    world.cluster.objects.retain(|key, _| key.kind != Kind::ControllerRevision);
    assert_eq!(world.steps().len(), 1);
    world.run();
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
}

#[test]
fn flows_and_routes_follow_the_catalogue_without_a_consent() {
    let mut world = World::plain().at_rest();
    world.add(fixtures::neighbour("peer"));
    world.applications[0].spec.interfaces = vec![fixtures::link("peer", "Existing")];
    let rounds = world.run();
    assert_eq!(rounds[0].steps, ["apply NetworkPolicy gtc-app-a/batch", "apply NetworkPolicy gtc-app-a/web"]);
    assert_eq!(world.condition(ConditionType::UpToDate), "True AsDesired");
}

#[test]
fn data_does_not_move_by_an_edit_of_the_platform() {
    let elsewhere: [fn(&mut Platform); 2] = [
        |platform| platform.spec.database.server.as_mut().unwrap().host = "10.9.9.9".into(),
        |platform| platform.spec.database = fixtures::full_platform().spec.database,
    ];
    for edit in elsewhere {
        let mut world = World::plain().at_rest();
        let before = world.cluster.clone();
        edit(&mut world.platforms[0]);
        let round = world.round();
        assert!(
            matches!(&round.verdict, Verdict::Refused(refusal) if refusal.reason == Reason::DatabaseMoved),
            "{round:?}"
        );
        assert_eq!(world.cluster, before);
        let message = world.message(ConditionType::Ready);
        assert!(message.contains("10.1.2.3:5432") && message.contains("database-moved-to="), "{message}");
    }
}

#[test]
fn data_that_a_person_moved_is_used_where_it_is_now() {
    let mut world = World::plain().at_rest();
    world.platforms[0].spec.database.server.as_mut().unwrap().host = "10.9.9.9".into();
    let annotation = ("gotocloud.amue.fr/database-moved-to".to_owned(), "10.9.9.9:5432".to_owned());
    world.one().metadata.annotations = Some([annotation].into());
    world.run();
    assert_eq!(world.status().database.as_ref().unwrap().server, "10.9.9.9:5432");
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
}
