//! What an Application, a Release, a Platform and an Establishment tell of the fleet.

use crate::support::{World, fixtures};
use gotocloud_api::{Stage, conditions::Condition, platform::RetainedData, version::VersionScheme};
use gotocloud_planner::fleet;

fn told(conditions: &[Condition]) -> Vec<String> {
    conditions.iter().map(|one| format!("{} {} {}", one.type_, one.status, one.reason)).collect()
}

#[test]
fn instances_are_counted_by_stage_and_ready_only_for_their_present_generation() {
    let mut world = World::plain().at_rest();
    let mut other = fixtures::instance("b");
    other.spec.stage = Stage::FullProduction;
    world.add(other);
    let counts = fleet::count(world.instances.values());
    assert_eq!((counts.total, counts.ready, counts.provisioned, counts.full_production), (2, 1, 1, 1));
    world.edit(|_| {});
    assert_eq!(fleet::count(world.instances.values()).ready, 0, "the edit is not yet seen");
}

#[test]
fn a_release_counts_those_that_run_it_and_says_what_keeps_it_from_being_run() {
    let world = World::plain().at_rest();
    let (release, application) = (&world.releases[0], &world.applications[0]);
    let status = |release, application| fleet::release(release, application, world.instances.values(), world.now);
    assert_eq!(status(release, Some(application)).instances, 1);
    assert_eq!(told(&status(release, Some(application)).conditions), ["Ready True AsDesired"]);
    assert_eq!(status(&world.releases[1], Some(application)).instances, 0);
    let without = status(release, None).conditions;
    assert_eq!(told(&without), ["Ready False ApplicationNotFound", "Stalled True ApplicationNotFound"]);
    let mut other = release.clone();
    other.spec.version_scheme = VersionScheme::MajorMinor;
    assert_eq!(told(&status(&other, Some(application)).conditions)[0], "Ready False VersionSchemeMismatch");
}

#[test]
fn a_platform_lists_what_it_keeps_up_to_a_bound_in_a_fixed_order() {
    let world = World::plain().at_rest();
    let kept = |number: usize| RetainedData {
        instance: format!("hub/{number:03}"),
        namespace: format!("gtc-{number:03}"),
        since: String::new(),
        data: String::new(),
    };
    let list = |numbers: Vec<usize>| {
        let retained = numbers.into_iter().map(kept).collect();
        fleet::platform(&world.platforms[0], world.instances.values(), retained, &[], world.now)
    };
    let status = list((0..80).rev().collect());
    assert_eq!((status.instances, status.retained.len()), (1, 50));
    assert_eq!(status.retained[0].instance, "hub/000");
    assert_eq!(list((0..80).collect()), status);
}

#[test]
fn a_platform_that_lacks_an_api_names_it() {
    let world = World::full();
    let missing = fleet::missing_apis(&world.platforms[0], &[].into());
    assert_eq!(missing.len(), 5, "{missing:?}");
    let status = fleet::platform(&world.platforms[0], [], Vec::new(), &missing, world.now);
    assert_eq!(told(&status.conditions), ["Ready False ApiMissing", "Stalled True ApiMissing"]);
    assert!(status.conditions[0].message.contains("Cluster (postgresql.cnpg.io/v1)"));
    assert!(fleet::missing_apis(&World::plain().platforms[0], &[].into()).is_empty());
}

#[test]
fn an_establishment_in_two_groupings_for_one_application_is_not_in_order() {
    let mut world = World::plain();
    let status = |world: &World| fleet::establishment(&world.establishments[0], [], &world.establishments, world.now);
    world.establishments.push(fixtures::grouping("g1", "PerMember", &["etab"]));
    assert_eq!(status(&world).groupings, ["app: g1"]);
    assert_eq!(told(&status(&world).conditions), ["Ready True AsDesired"]);
    world.establishments.push(fixtures::grouping("g2", "PerMember", &["etab"]));
    assert_eq!(told(&status(&world).conditions)[0], "Ready False MembershipConflict");
    assert!(status(&world).conditions[0].message.contains("app: g1 and app: g2"));
}

#[test]
fn a_status_at_rest_is_the_same_however_often_it_is_computed() {
    let mut world = World::plain();
    let first = fleet::establishment(&world.establishments[0], [], &world.establishments, world.now);
    world.establishments[0].status = Some(first.clone());
    world.now += jiff::SignedDuration::from_hours(1);
    let second = fleet::establishment(&world.establishments[0], [], &world.establishments, world.now);
    assert_eq!(first, second);
}

#[test]
fn a_release_that_is_gone_to_or_may_be_gone_back_to_is_in_use() {
    let mut world = World::plain().at_rest();
    world.releases.push(fixtures::release("app-3", "3.0"));
    world.releases[2].spec.reachable_from = vec!["2.0".into()];
    let used = |world: &World| -> Vec<u32> {
        let status = |release| fleet::release(release, world.applications.first(), world.instances.values(), world.now);
        world.releases.iter().map(|release| status(release).instances).collect()
    };
    assert_eq!(used(&world), [1, 0, 0]);
    world.edit(|one| one.spec.release = Some("app-3".into()));
    world.round();
    assert_eq!(used(&world), [1, 1, 1], "it may go back to the first, and is on its way over the second to the third");
    world.run();
    assert_eq!(used(&world), [0, 0, 1]);
}

#[test]
fn an_establishment_whose_time_zone_or_window_cannot_be_read_is_not_ready() {
    let world = World::plain().at_rest();
    let status = |spec: serde_json::Value| {
        let mut one = world.establishments[0].clone();
        one.spec = serde_json::from_value(spec).unwrap();
        fleet::establishment(&one, world.instances.values(), &world.establishments, world.now).conditions
    };
    let bad_zone = status(serde_json::json!({"displayName": "E", "timeZone": "Europe/Pari"}));
    assert_eq!(told(&bad_zone), ["Ready False CalendarInvalid", "Stalled True CalendarInvalid"]);
    assert!(bad_zone[0].message.contains("Europe/Pari"), "{}", bad_zone[0].message);
    let bad_window = status(serde_json::json!({"displayName": "E", "windows": [{"from": "25:00", "to": "26:00"}]}));
    assert_eq!(told(&bad_window)[0], "Ready False CalendarInvalid");
}
