//! People edit, delete and mistype while an upgrade is under way: what was decided stands, and something leads on.

use super::*;
use crate::support::{fixtures::by, in_words};
use gotocloud_api::{Stage, conditions::Reason, instance::DeletionPolicy, names};
use gotocloud_planner::{instance::Failure, retry::ErrorClass};
use serde_json::json;

/// The migration is due, its Job is not made yet, and its time to be made is over.
fn led_to_the_migration_in_time_for_nothing() -> World {
    let mut world = migrating(World::full(), false);
    ask(&mut world);
    backed_up(&mut world);

    assert_eq!((record(&world).phase, jobs(&world)), (UpgradePhase::Migrate, 0));
    world.now += jiff::SignedDuration::from_mins(20);
    world
}

fn jobs(world: &World) -> usize {
    world.cluster.of_kind(Kind::Job).len()
}

/// It may be there and run, and pods would start beside it.
#[test]
fn a_job_of_whose_making_there_is_no_answer_is_not_taken_for_not_made() {
    let mut world = led_to_the_migration_in_time_for_nothing();
    let message = "the API server did not answer".to_owned();
    let failure = Failure { class: ErrorClass::Unavailable, reason: Reason::ApiUnavailable, message };
    world.failing = Box::new(move |step| in_words(step).starts_with("apply Job").then(|| failure.clone()));
    world.round();
    assert_eq!((record(&world).phase, replicas(&world)), (UpgradePhase::Migrate, vec![json!(0), json!(0)]));

    world.failing = Box::new(|_| None);
    world.round();
    assert_eq!(
        (record(&world).phase, jobs(&world)),
        (UpgradePhase::Migrate, 1),
        "it is made as soon as there is an answer"
    );
}

#[test]
fn an_edit_of_reachable_from_amid_a_migration_starts_no_pods() {
    let mut world = amid_migration();
    world.releases[1].spec.reachable_from = vec!["1.5".into()];
    world.round();
    assert_eq!(replicas(&world), [0, 0]);
    ends(&mut world, Kind::Job, Health::Failed("exit code 3".into()));
    world.round();
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::Failed);
    assert_eq!(replicas(&world), [0, 0]);
}

#[test]
fn after_a_migration_that_broke_off_an_edit_of_reachable_from_starts_no_pods() {
    let mut world = half_way();
    world.releases[1].spec.reachable_from = vec!["1.5".into()];
    world.restart();
    world.round();
    assert_eq!((record(&world).phase, replicas(&world)), (UpgradePhase::Failed, vec![json!(0), json!(0)]));
}

#[test]
fn no_way_leads_back_over_what_cannot_be_undone_though_reachable_from_is_edited() {
    let mut world = amid_migration();
    ends(&mut world, Kind::Job, Health::Ready);
    world.round();
    world.round();
    assert_eq!(record(&world).phase, UpgradePhase::Rollout);
    world.releases[1].spec.reachable_from = vec!["1.5".into()];
    world.now += jiff::SignedDuration::from_mins(15);
    world.round();
    assert_eq!(record(&world).phase, UpgradePhase::Failed, "{}", record(&world).message);
    assert!(record(&world).message.contains("restore the backup upgrade-"), "{}", record(&world).message);
    assert_eq!(record(&world).active, "app-2");
}

#[test]
fn a_release_that_is_deleted_amid_the_migration_to_it_starts_no_pods_and_stops_no_job() {
    let mut world = amid_migration();
    world.releases.remove(1);
    world.round();
    assert_eq!((replicas(&world), jobs(&world)), (vec![json!(0), json!(0)], 1));
    ends(&mut world, Kind::Job, Health::Ready);
    days(&mut world, 2);
    assert_eq!(record(&world).phase, UpgradePhase::Failed, "the way ends all the same");
    assert!(record(&world).message.contains("there is no Release called app-2"), "{}", record(&world).message);
}

/// On its way to pods that do not come up.
fn at_its_pods() -> World {
    let mut world = World::plain().at_rest();
    ask(&mut world);
    world.round();
    assert_eq!(versions(&world), ["2.0", "2.0"]);
    world
}

/// Pods have another memory by the Application as it is by now.
fn edit_the_application(world: &mut World) {
    world.applications[0].spec.sizes.small.default_component.memory = "300Mi".into();
}

fn goes_back(world: &mut World) {
    world.now += jiff::SignedDuration::from_mins(15);
    world.round();
    assert_eq!(record(world).phase, UpgradePhase::RollingBack);
    world.run();
    assert_eq!(record(world).phase, UpgradePhase::RolledBack, "{}", record(world).message);
}

#[test]
fn an_application_that_is_edited_meanwhile_changes_no_pod_that_is_gone_back_to() {
    let before = World::plain().at_rest().cluster.pods();
    let mut world = at_its_pods();
    edit_the_application(&mut world);
    goes_back(&mut world);
    assert_eq!(world.cluster.pods(), before);
    let revision = world.status().revision.clone().unwrap();
    assert!(revision.pending.is_some(), "what would be made today waits for a consent: {revision:?}");
    world.restart();
    world.run();
    assert_eq!(world.cluster.pods(), before);
}

#[test]
fn who_goes_back_and_asked_for_something_else_meanwhile_gets_it() {
    let mut world = at_its_pods();
    edit_the_application(&mut world);
    world.edit(|one| one.spec.env = vec![serde_json::from_value(json!({"name": "MORE", "value": "1"})).unwrap()]);
    goes_back(&mut world);
    let has = |kind, text| world.cluster.of_kind(kind).iter().any(|object| object.to_string().contains(text));
    assert!(has(Kind::Deployment, "300Mi") && has(Kind::ConfigMap, "MORE"));
}

#[test]
fn a_revision_that_somebody_deleted_does_not_hold_up_who_goes_back() {
    let mut world = at_its_pods();
    let before = record(&world).revision.clone().unwrap().running;
    let key = world.cluster.keys().into_iter().find(|key| key.name.ends_with(&before)).unwrap();
    world.cluster.remove(&key);
    edit_the_application(&mut world);
    goes_back(&mut world);
    assert_eq!(versions(&world), ["1.0", "1.0"]);
    let deployments = world.cluster.of_kind(Kind::Deployment);
    assert!(deployments.iter().any(|one| one.to_string().contains("300Mi")), "by what would be made today");
}

#[test]
fn the_revision_to_go_back_to_is_kept_for_as_long_as_the_way_lasts() {
    let mut world = at_its_pods();
    let before = record(&world).revision.clone().unwrap().running;
    for memory in ["300Mi", "301Mi"] {
        world.applications[0].spec.sizes.small.default_component.memory = memory.into();
        world.edit(|one| one.spec.env = vec![serde_json::from_value(json!({"name": "A", "value": memory})).unwrap()]);
        world.round();
        world.round();
    }
    assert!(world.cluster.keys().iter().any(|key| key.name.ends_with(&before)));
}

/// Data that is to be kept is not left half moved: the Instance goes once the Job has ended.
#[test]
fn a_deletion_amid_a_migration_waits_for_its_job_if_the_data_is_to_be_kept() {
    for (ends_so, data_is_of) in
        [(Health::Ready, "app-2"), (Health::Failed("exit code 3".into()), "app-1 half moved to app-2")]
    {
        let mut world = amid_migration();
        world.one().spec.deletion_policy = DeletionPolicy::Retain;
        world.delete();
        assert_eq!(world.round().steps, Vec::<String>::new());
        assert_eq!(jobs(&world), 1);
        let ready = world.condition(ConditionType::Ready);
        assert_eq!(ready, "False Deleting");

        ends(&mut world, Kind::Job, ends_so);
        world.round();
        assert!(world.instances.is_empty());
        let namespace = world.cluster.get(Kind::Namespace, "", fixtures::NAMESPACE).unwrap();
        assert_eq!(namespace["metadata"]["annotations"][names::ANNOTATION_RETAINED_RELEASE], data_is_of);
    }
}

#[test]
fn a_deletion_amid_a_migration_stops_its_job_if_the_data_goes_too() {
    let mut world = amid_migration();
    world.one().spec.deletion_policy = DeletionPolicy::Delete;
    world.delete();
    assert_ne!(world.round().steps, Vec::<String>::new());
}

#[test]
fn a_deployment_that_drifts_amid_a_migration_stops_no_job() {
    let mut world = amid_migration();
    let key = world.cluster.keys().into_iter().find(|key| key.kind == Kind::Deployment).unwrap();
    world.cluster.drift(&key);
    world.round();
    assert_eq!((replicas(&world), jobs(&world)), (vec![json!(0), json!(0)], 1));
    world.cluster.drift(&key);
    world.restart();
    world.round();
    assert_eq!(jobs(&world), 1);
}

#[test]
fn an_edit_of_the_instance_amid_a_migration_stops_no_job_and_runs_none_again() {
    let edits: [fn(&mut gotocloud_api::Instance); 4] = [
        |one| one.spec.env = serde_json::from_value(json!([{"name": "LOG", "value": "debug"}])).unwrap(),
        |one| one.spec.env = serde_json::from_value(json!([{"name": "ODD", "value": "${no.such.variable}"}])).unwrap(),
        |one| one.spec.stage = Stage::FullProduction,
        |one| one.spec.size_class = Some(gotocloud_api::SizeClass::VeryLarge),
    ];
    for edit in edits {
        let mut world = amid_migration();
        let before = world.cluster.of_kind(Kind::Job)[0].clone();
        world.edit(edit);
        for _ in 0..3 {
            world.round();
        }
        assert_eq!(world.cluster.of_kind(Kind::Job), [&before], "the Job that runs stays as it is");
        assert_eq!(replicas(&world), [0, 0]);
        ends(&mut world, Kind::Job, Health::Ready);
        world.round();
        assert_eq!(record(&world).phase, UpgradePhase::Rollout);
    }
}

/// Its record says an hour; to that come the fifteen minutes that anything may take.
#[test]
fn an_edit_of_a_migrations_deadline_changes_nothing_of_the_job_that_runs() {
    for deadline in ["1s", "48h"] {
        let amid = || {
            let mut world = amid_migration();
            world.releases[1].spec.migration.as_mut().unwrap().deadline =
                Some(gotocloud_api::Duration(deadline.into()));
            world.restart();
            world
        };
        let mut world = amid();
        let before = world.cluster.of_kind(Kind::Job)[0].clone();
        world.now += jiff::SignedDuration::from_mins(70);
        world.round();
        assert_eq!(record(&world).phase, UpgradePhase::Migrate, "{deadline}: {}", record(&world).message);
        assert_eq!(world.cluster.of_kind(Kind::Job), [&before]);
        world.now += jiff::SignedDuration::from_mins(6);
        world.round();
        assert_eq!(record(&world).phase, UpgradePhase::Failed, "{deadline}");
        assert!(record(&world).message.contains("the migration did not end in time"), "{}", record(&world).message);

        let mut world = amid();
        ends(&mut world, Kind::Job, Health::Ready);
        world.run();
        assert_eq!(record(&world).phase, UpgradePhase::Done, "{deadline}: {}", record(&world).message);
    }
}

#[test]
fn a_backup_or_a_migration_does_not_begin_while_pods_have_not_ended() {
    let mut world = migrating(World::full(), false);
    ask(&mut world);
    world.cluster.terminating = vec!["web-1".into()];
    world.round();
    world.cluster.settle();
    world.round();
    assert_eq!(world.cluster.of_kind(Kind::Backup).len(), 0, "the Deployment does not count the pod that ends");
    assert!(record(&world).message.contains("the pod web-1 has not ended"), "{}", record(&world).message);
    world.cluster.terminating.clear();
    world.round();
    ends(&mut world, Kind::Backup, Health::Ready);
    world.cluster.terminating = vec!["debug".into()];
    world.round();
    assert_eq!((record(&world).phase, jobs(&world)), (UpgradePhase::Backup, 0));
}

#[test]
fn a_migration_that_cannot_begin_in_time_leaves_the_data_as_it_was_and_the_pods_come_back() {
    let mut world = migrating(World::full(), false);
    ask(&mut world);
    backed_up(&mut world);
    world.cluster.terminating = vec!["web-1".into()];
    world.round();
    world.now += jiff::SignedDuration::from_mins(16);
    world.round();
    assert!(record(&world).message.starts_with("nothing was changed, since"), "{}", record(&world).message);
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::Failed);
    assert!(replicas(&world).iter().all(|replicas| *replicas != 0));
}

#[test]
fn a_release_that_cannot_be_rendered_is_refused_before_anything_moves() {
    let mut world = World::plain().at_rest();
    let odd = json!({"name": "ODD", "value": "${no.such.variable}"});
    world.releases[1].spec.components[0].env.push(serde_json::from_value(odd).unwrap());
    world.releases.push(fixtures::release("app-3", "3.0"));
    let before = world.cluster.pods();
    ask(&mut world);
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::Refused);
    assert!(record(&world).message.contains("no.such.variable"), "{}", record(&world).message);
    assert_eq!(world.cluster.pods(), before);

    world.edit(|one| one.spec.release = Some("app-1".into()));
    world.run();
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
    assert_eq!(record(&world).phase, UpgradePhase::Withdrawn, "what was taken back is no longer told as refused");
    world.edit(|one| one.spec.release = Some("app-3".into()));
    world.run();
    assert_eq!((record(&world).phase, versions(&world)), (UpgradePhase::Done, vec![json!("3.0"), json!("3.0")]));
}

#[test]
fn a_release_that_is_too_large_for_its_quota_is_refused_before_anything_moves() {
    let mut world = World::plain();
    world.applications[0].spec.sizes.small.quota.pods = 5;
    let mut world = world.at_rest();
    world.leave_to_an_autoscaler(1);
    ask(&mut world);
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::Refused, "{}", record(&world).message);
    assert_eq!(versions(&world), ["1.0", "1.0"]);
}

#[test]
fn of_a_way_of_several_steps_the_last_is_planned_before_the_first_begins() {
    let mut world = World::plain().at_rest();
    world.releases.push(fixtures::release("app-3", "3.0"));
    world.releases[2].spec.reachable_from = vec!["2.0".into()];
    world.releases[2].spec.components[0].talks_to = vec!["nobody".into()];
    world.edit(|one| one.spec.release = Some("app-3".into()));
    world.run();
    assert_eq!((record(&world).phase, versions(&world)), (UpgradePhase::Refused, vec![json!("1.0"), json!("1.0")]));
}

#[test]
fn a_release_that_breaks_once_its_pods_are_asked_for_goes_back_at_its_deadline() {
    let mut world = World::plain().at_rest();
    ask(&mut world);
    world.round();
    assert_eq!(record(&world).phase, UpgradePhase::Rollout);
    world.releases.remove(1);
    world.round();
    assert_eq!(world.condition(ConditionType::Ready), "False ReleaseNotFound");
    world.now += jiff::SignedDuration::from_mins(15);
    world.round();
    world.run();
    assert_eq!((record(&world).phase, versions(&world)), (UpgradePhase::RolledBack, vec![json!("1.0"), json!("1.0")]));
}

#[test]
fn a_release_that_is_set_back_while_its_pods_are_replaced_goes_back_at_once() {
    let mut world = World::plain().at_rest();
    let before = world.cluster.pods();
    ask(&mut world);
    world.round();
    world.edit(|one| one.spec.release = Some("app-1".into()));
    world.round();
    assert_eq!(record(&world).phase, UpgradePhase::RollingBack);
    world.run();
    assert_eq!((record(&world).phase, world.cluster.pods()), (UpgradePhase::RolledBack, before));
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
    ask(&mut world);
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::Done, "what was taken back may be asked for again");
}

#[test]
fn another_migration_under_the_same_name_is_not_run() {
    let mut world = migrating(World::full(), false);
    ask(&mut world);
    world.round();
    world.releases[1].spec.migration.as_mut().unwrap().image = "registry.example.fr/other@sha256:1".into();
    world.cluster.settle();
    world.round();
    world.run();
    assert_eq!((record(&world).phase, jobs(&world)), (UpgradePhase::Failed, 0));
    assert!(record(&world).message.contains("no longer the one that was decided upon"), "{}", record(&world).message);
    assert!(replicas(&world).iter().all(|replicas| *replicas != 0));
}

#[test]
fn an_edit_or_a_deletion_of_the_campaign_changes_no_terms_of_a_way_under_way() {
    let mut world = World::plain().at_rest();
    world.terms.soak = jiff::SignedDuration::from_hours(24);
    ask(&mut world);
    world.terms = gotocloud_planner::upgrade::Terms::default();
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::Soak);
    world.now += jiff::SignedDuration::from_hours(24);
    world.round();
    assert_eq!(record(&world).phase, UpgradePhase::Done);
}

#[test]
fn a_promotion_tries_no_failed_upgrade_again() {
    let mut world = World::plain().at_rest();
    world.edit(|one| {
        one.spec.release = Some("app-2".into());
        one.spec.rollout = Some(by("a", "app-2"));
    });
    world.round();
    world.now += jiff::SignedDuration::from_mins(15);
    world.round();
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::RolledBack);
    world.edit(|one| {
        one.spec.stage = Stage::FullProduction;
        one.spec.rollout = Some(by("p", "FullProduction"));
    });
    world.run();
    assert_eq!(record(&world).active, "app-1");
    assert_eq!(record(&world).phase, UpgradePhase::RolledBack);
}

#[test]
fn a_migration_that_broke_off_is_run_again_by_nobody_unasked() {
    let asks: [fn(&mut gotocloud_api::Instance); 4] = [
        |one| one.spec.rollout = Some(by("b", "app-2")),
        |one| one.spec.env.clear(),
        |one| one.spec.release = Some("app-3".into()),
        |one| {
            one.spec.stage = Stage::FullProduction;
            one.spec.rollout = Some(by("p", "FullProduction"));
        },
    ];
    for ask in asks {
        let mut world = half_way();
        world.releases.push(fixtures::release("app-3", "3.0"));
        let (backup, backups) = (record(&world).backup.clone(), world.cluster.of_kind(Kind::Backup).len());
        world.edit(ask);
        world.run();
        assert_eq!((record(&world).phase, replicas(&world)), (UpgradePhase::Failed, vec![json!(0), json!(0)]));
        assert_eq!((&record(&world).backup, world.cluster.of_kind(Kind::Backup).len()), (&backup, backups));
        assert_eq!(jobs(&world), 0);
        assert_eq!(world.condition(ConditionType::Stalled), "True UpgradeFailed");
    }
}

#[test]
fn a_migration_that_broke_off_is_run_again_by_a_word_that_names_it() {
    let mut world = half_way();
    let backup = record(&world).backup.clone();
    let job = record(&world).migration.clone().unwrap();
    assert!(record(&world).message.contains(&format!("gotocloud.amue.fr/go-on-with={job}")));
    say(&mut world, "gotocloud.amue.fr/go-on-with", "upgrade-of-last-year");
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::Failed);

    say(&mut world, "gotocloud.amue.fr/go-on-with", &job);
    world.round();
    assert_eq!((record(&world).phase, &record(&world).backup), (UpgradePhase::Migrate, &backup));
    world.round();
    assert_eq!((jobs(&world), replicas(&world)), (1, vec![json!(0), json!(0)]));
    ends(&mut world, Kind::Job, Health::Failed("exit code 3".into()));
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::Failed, "each word is for one try");
}

#[test]
fn after_a_change_for_good_a_restore_that_a_person_names_leads_back() {
    let mut world = amid_migration();
    ends(&mut world, Kind::Job, Health::Ready);
    world.round();
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::Done);
    let point = world.status().point_of_no_return.clone().unwrap();
    assert_eq!((&*point.release, &*point.version), ("app-2", "2.0"));

    // Whatever the catalogue says by now.
    world.releases[1].spec.migration = None;
    world.edit(|one| one.spec.release = Some("app-1".into()));
    world.run();
    assert_eq!((record(&world).phase, versions(&world)), (UpgradePhase::Refused, vec![json!("2.0"), json!("2.0")]));

    say(&mut world, "gotocloud.amue.fr/restored", &point.migration);
    world.edit(|one| one.spec.env.clear());
    world.run();
    assert_eq!((record(&world).phase, versions(&world)), (UpgradePhase::Done, vec![json!("1.0"), json!("1.0")]));
    assert_eq!(world.status().point_of_no_return, None);
}

#[test]
fn back_by_the_way_it_came_whatever_the_catalogue_says_of_it() {
    let mut world = World::plain().at_rest();
    ask(&mut world);
    world.run();
    world.releases[1].spec.reachable_from = vec!["1.5".into()];
    world.edit(|one| one.spec.release = Some("app-1".into()));
    world.run();
    assert_eq!((record(&world).phase, versions(&world)), (UpgradePhase::Done, vec![json!("1.0"), json!("1.0")]));
}

#[test]
fn a_new_instance_whose_pods_are_not_ready_yet_skips_no_migration() {
    let mut world = World::plain();
    world.releases[1].spec.migration = serde_json::from_value(json!({"image": "i", "reversible": true})).unwrap();
    world.round();
    world.round();
    assert!(world.status().release.is_none() && !replicas(&world).is_empty(), "its pods were asked for");
    world.edit(|one| one.spec.release = Some("app-2".into()));
    world.round();
    assert_eq!((record(&world).phase, versions(&world)), (UpgradePhase::Migrate, vec![json!("1.0"), json!("1.0")]));
}

#[test]
fn an_edit_before_a_failure_asks_for_no_other_try_after_it() {
    let mut world = migrating(World::plain(), true);
    ask(&mut world);
    world.round();
    world.edit(|one| one.spec.env.clear());
    world.round();
    ends(&mut world, Kind::Job, Health::Failed("exit code 3".into()));
    world.run();
    assert_eq!((record(&world).phase, jobs(&world)), (UpgradePhase::RolledBack, 0));
}

/// A record as the operator before this one wrote it.
fn as_before(world: &mut World) {
    let record = world.one().status.as_mut().unwrap().upgrade.as_mut().unwrap();
    record.path = record.steps.drain(..).map(|step| step.release).collect();
    record.terms = None;
}

#[test]
fn a_migration_that_an_older_operator_began_goes_on() {
    let mut world = amid_migration();
    as_before(&mut world);
    world.restart();
    world.round();
    assert_eq!((jobs(&world), replicas(&world)), (1, vec![json!(0), json!(0)]));
    assert!(record(&world).path.is_empty() && record(&world).present_step().unwrap().is_irreversible());
    ends(&mut world, Kind::Job, Health::Ready);
    world.run();
    assert_eq!((record(&world).phase, versions(&world)), (UpgradePhase::Done, vec![json!("2.0"), json!("2.0")]));
}

#[test]
fn what_an_older_operator_left_half_way_stays_stopped() {
    for is_gone in [false, true] {
        let mut world = half_way();
        as_before(&mut world);
        world.one().status.as_mut().unwrap().upgrade.as_mut().unwrap().migration = None;
        if is_gone {
            world.releases.remove(1);
        }
        world.restart();
        world.run();
        assert_eq!((record(&world).phase, replicas(&world)), (UpgradePhase::Failed, vec![json!(0), json!(0)]));
        assert!(record(&world).migration.is_some(), "a word can name it");
    }
}

#[test]
fn what_an_older_operator_watches_is_watched_on() {
    let mut world = World::plain().at_rest();
    world.terms.soak = jiff::SignedDuration::from_hours(24);
    ask(&mut world);
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::Soak);
    as_before(&mut world);
    world.restart();
    world.round();
    assert_eq!(record(&world).phase, UpgradePhase::Soak);
    world.now += jiff::SignedDuration::from_hours(24);
    world.run();
    assert_eq!(record(&world).phase, UpgradePhase::Done);
}

#[test]
fn a_job_that_is_there_counts_though_its_record_was_not_written_and_the_spec_is_mistyped_since() {
    let mut world = amid_migration();
    let env = serde_json::from_value(json!([{"name": "WORD", "value": "${no.such}"}])).unwrap();
    world.edit(|one| {
        one.status.as_mut().unwrap().upgrade.as_mut().unwrap().migration = None;
        one.spec.env = env;
    });
    world.round();
    assert_eq!((record(&world).phase, jobs(&world)), (UpgradePhase::Migrate, 1), "{}", record(&world).message);
    assert!(record(&world).migration.is_some());

    ends(&mut world, Kind::Job, Health::Failed("exit code 3".into()));
    world.round();
    world.edit(|one| one.spec.env = Vec::new());
    world.round();
    assert_eq!((record(&world).phase, replicas(&world)), (UpgradePhase::Failed, vec![json!(0), json!(0)]));
}
