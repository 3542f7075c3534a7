//! What cannot run says why and what to do, and touches nothing.

use crate::support::{World, fixtures};
use gotocloud_api::{
    Instance,
    application::{DatabaseEngine, Tenancy},
    conditions::{ConditionType, Reason},
    platform::PlatformState,
};
use gotocloud_planner::{Kind, Verdict, instance::Failure, retry::ErrorClass};
use serde_json::json;

/// What each mistake is answered with: the reason, and words of the remedy.
struct Mistake {
    what: &'static str,
    platform: fn() -> World,
    make: fn(&mut World),
    reason: Reason,
    remedy: &'static str,
}

const fn on_plain(what: &'static str, make: fn(&mut World), reason: Reason, remedy: &'static str) -> Mistake {
    Mistake { what, platform: World::plain, make, reason, remedy }
}

const fn on_full(what: &'static str, make: fn(&mut World), reason: Reason, remedy: &'static str) -> Mistake {
    Mistake { what, platform: World::full, make, reason, remedy }
}

fn env(name: &str, source: &str, value: &str) -> gotocloud_api::release::EnvVar {
    serde_json::from_value(json!({"name": name, source: value})).unwrap()
}

/// Mistakes that can be made while the instance runs as well as before.
const MISTAKES: &[Mistake] = &[
    on_plain(
        "no application",
        |w| w.applications.clear(),
        Reason::ApplicationNotFound,
        "create it, or correct spec.application",
    ),
    on_plain(
        "no establishment",
        |w| w.establishments.clear(),
        Reason::EstablishmentNotFound,
        "create it, or correct spec.establishment",
    ),
    on_plain("no release", |w| w.releases.clear(), Reason::ReleaseNotFound, "create it, or correct spec.release"),
    on_plain("no platform", |w| w.platforms.clear(), Reason::PlatformNotFound, "create it, or correct spec.platform"),
    on_plain(
        "no home",
        |w| w.establishments[0].spec.home_platform = None,
        Reason::PlatformNotChosen,
        "set spec.platform, or homePlatform of the Establishment etab",
    ),
    on_plain(
        "a foreign release",
        |w| w.releases[0].spec.application = "other".into(),
        Reason::ReleaseOfAnotherApplication,
        "set spec.release to a Release of app",
    ),
    on_plain(
        "a version written otherwise",
        |w| w.releases[0].spec.version_scheme = gotocloud_api::version::VersionScheme::MajorMinor,
        Reason::VersionSchemeMismatch,
        "publish it by the application's scheme",
    ),
    on_plain(
        "no size",
        |w| w.establishments[0].spec.yearly_mass_million_euros = None,
        Reason::SizeUnknown,
        "give the Establishment etab a yearlyMassMillionEuros or a sizeClass",
    ),
    on_plain(
        "a small quota",
        |w| w.applications[0].spec.sizes.small.quota.memory = "1000Mi".into(),
        Reason::QuotaTooSmall,
        "raise sizes.small.quota.memory of the Application app",
    ),
    on_plain(
        "a quota that the highest load exceeds",
        |w| {
            let scaling = json!({"maxReplicasFactor": 10, "targetCpuPercent": 70});
            w.releases[0].spec.components[0].autoscaling = Some(serde_json::from_value(scaling).unwrap());
            w.applications[0].spec.sizes.small.quota.pods = 22;
        },
        Reason::QuotaTooSmall,
        "raise sizes.small.quota.pods of the Application app",
    ),
    on_plain(
        "two groupings",
        |w| {
            w.establishments.extend([
                fixtures::grouping("g1", "PerMember", &["etab"]),
                fixtures::grouping("g2", "PerMember", &["etab"]),
            ]);
        },
        Reason::MembershipConflict,
        "take it out of one of them",
    ),
    on_plain(
        "a grouping whose name fits no label",
        |w| w.establishments.push(fixtures::grouping(&"g".repeat(70), "PerMember", &["etab"])),
        Reason::NameTooLong,
        "with a shorter name",
    ),
    on_plain(
        "an unknown variable",
        |w| w.one().spec.env = vec![env("X", "value", "${institute}")],
        Reason::UnknownVariable,
        "there are application, establishment, establishment.displayName",
    ),
    on_plain(
        "an unknown endpoint",
        |w| w.one().spec.env = vec![env("X", "value", "${endpoint.other}")],
        Reason::UnknownVariable,
        "this establishment has no instance of other with an address yet",
    ),
    on_plain(
        "a secret that is not generated",
        |w| w.one().spec.env = vec![env("X", "fromSecret", "nothing")],
        Reason::ObjectRefused,
        "spec.env of this Instance: X comes from nothing, which is no generated secret of the Release; correct or remove",
    ),
    on_plain(
        "a port that is not there",
        |w| w.releases[0].spec.components[0].expose.as_mut().unwrap().port = "https".into(),
        Reason::ObjectRefused,
        "there is no port called https; publish a corrected Release",
    ),
    on_plain(
        "a peer that is not there",
        |w| w.releases[0].spec.components[0].talks_to = vec!["nobody".into()],
        Reason::ObjectRefused,
        "talksTo names nobody",
    ),
    on_plain(
        "two components of one name",
        |w| {
            w.releases[0].spec.components[1].name = "web".into();
            w.releases[0].spec.components[0].talks_to.clear();
        },
        Reason::ObjectRefused,
        "no two components have one name",
    ),
    on_plain(
        "a component named like an object every instance has",
        |w| {
            w.releases[0].spec.components[1] = {
                let mut component = w.releases[0].spec.components[1].clone();
                component.name = "default-deny".into();
                w.releases[0].spec.components[0].talks_to.clear();
                component
            }
        },
        Reason::ObjectRefused,
        "NetworkPolicy gtc-app-a/default-deny",
    ),
    on_full(
        "a component named like the database",
        |w| {
            w.releases[0].spec.components[1].name = "database-rw".into();
            w.releases[0].spec.components[0].talks_to.clear();
        },
        Reason::ObjectRefused,
        "the name is kept for the database: give the component another",
    ),
    on_plain(
        "two components at one path",
        |w| w.releases[0].spec.components[1].expose = Some(serde_json::from_value(json!({"port": "jobs"})).unwrap()),
        Reason::ObjectRefused,
        "it is exposed at /, where batch is too",
    ),
    on_plain(
        "values too large to store together",
        |w| {
            w.establishments[0].spec.display_name = "é".repeat(200);
            let value = "${establishment.displayName}".repeat(146);
            w.one().spec.env = (0..12).map(|i| env(&format!("X{i}"), "value", &value)).collect();
        },
        Reason::ObjectTooLarge,
        "shorten its environment values",
    ),
    on_full(
        "no CloudNativePG",
        |w| {
            w.served.remove(&Kind::Cluster);
        },
        Reason::ApiMissing,
        "install CloudNativePG",
    ),
    on_full(
        "no Gateway API",
        |w| {
            w.served.remove(&Kind::HttpRoute);
        },
        Reason::ApiMissing,
        "install the Gateway API",
    ),
    on_full(
        "an old Gateway API",
        |w| {
            w.served.remove(&Kind::ListenerSet);
        },
        Reason::ApiMissing,
        "1.5 or later",
    ),
    on_full(
        "no cert-manager",
        |w| {
            w.served.remove(&Kind::Certificate);
        },
        Reason::ApiMissing,
        "install cert-manager",
    ),
    on_full(
        "no Prometheus Operator",
        |w| {
            w.served.remove(&Kind::ServiceMonitor);
        },
        Reason::ApiMissing,
        "install the Prometheus Operator",
    ),
];

fn judged(world: &mut World, mistake: &Mistake, when: &str) {
    let before = world.cluster.clone();
    let context = format!("{} ({when})", mistake.what);
    (mistake.make)(world);
    let round = world.round();
    let Verdict::Refused(refusal) = &round.verdict else { panic!("{context}: {:?}", round.verdict) };
    assert_eq!(refusal.reason, mistake.reason, "{context}");
    assert!(refusal.message.contains(mistake.remedy), "{context}: {}", refusal.message);
    assert!(round.steps.is_empty(), "{context}");
    assert_eq!(world.cluster, before, "{context}");
    assert_eq!(world.condition(ConditionType::Stalled), format!("True {}", mistake.reason), "{context}");
    assert_eq!(world.condition(ConditionType::Ready), format!("False {}", mistake.reason), "{context}");
    assert!(round.events.iter().any(|event| event.warning), "{context}");
    assert!(world.round().is_silent(), "{context}: told once");
}

#[test]
fn a_mistake_made_before_it_ever_ran_is_told_and_nothing_is_made() {
    for mistake in MISTAKES {
        judged(&mut (mistake.platform)(), mistake, "before");
    }
}

#[test]
fn a_mistake_made_while_it_runs_is_told_and_what_runs_is_not_touched() {
    // An instance that runs needs no home any more: it stays where it is.
    for mistake in MISTAKES.iter().filter(|mistake| mistake.reason != Reason::PlatformNotChosen) {
        judged(&mut (mistake.platform)().at_rest(), mistake, "running");
    }
}

#[test]
fn a_mistake_corrected_is_forgotten() {
    let mut world = World::plain().at_rest();
    let platforms = std::mem::take(&mut world.platforms);
    world.run();
    world.platforms = platforms;
    let rounds = world.run();
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
    assert_eq!(world.condition(ConditionType::Stalled), "");
    assert!(rounds.iter().all(|round| round.steps.is_empty()));
}

#[test]
fn without_a_release_it_waits_for_somebody_to_choose() {
    let mut world = World::plain();
    world.one().spec.release = None;
    world.run();
    assert_eq!(world.condition(ConditionType::Stalled), "True ReleaseNotChosen");
    assert!(world.message(ConditionType::Ready).contains("set spec.release"));
}

#[test]
fn a_draining_platform_takes_no_new_instance_and_keeps_those_it_has() {
    let mut running = World::plain().at_rest();
    running.platforms[0].spec.state = PlatformState::Draining;
    assert!(running.round().is_silent());
    let mut new = World::plain();
    new.platforms[0].spec.state = PlatformState::Draining;
    new.run();
    assert_eq!(new.condition(ConditionType::Stalled), "True PlatformDraining");
}

#[test]
fn a_full_platform_takes_the_older_of_two() {
    let mut world = World::plain();
    world.platforms[0].spec.capacity = Some(1);
    let mut younger = fixtures::instance("app-b");
    younger.spec.environment = gotocloud_api::instance::Environment::Test;
    younger.metadata.creation_timestamp = Some(serde_json::from_value(json!("2026-02-01T00:00:00Z")).unwrap());
    world.add(younger);
    world.run_of("hub/app-b");
    assert_eq!(world.condition_of("hub/app-b", ConditionType::Stalled), "True PlatformFull");
    world.run();
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
}

#[test]
fn it_does_not_move_by_an_edit() {
    let mut world = World::plain().at_rest();
    let mut other = fixtures::plain_platform();
    other.metadata.name = Some("other".into());
    world.platforms.push(other);
    world.edit(|one| one.spec.platform = Some("other".into()));
    let round = world.round();
    assert!(round.steps.is_empty());
    assert_eq!(world.condition(ConditionType::Stalled), "True PlatformChanged");
    assert!(world.message(ConditionType::Ready).contains("set spec.platform: site"));
}

#[test]
fn a_name_too_long_for_its_namespace_is_refused() {
    let mut world = World::plain();
    let who = format!("hub/{}", "a".repeat(60));
    world.add(fixtures::instance(&"a".repeat(60)));
    world.one().spec.establishment = "elsewhere".into();
    world.run_of(&who);
    assert_eq!(world.condition_of(&who, ConditionType::Stalled), "True NameTooLong");
}

#[test]
fn of_two_instances_for_one_purpose_the_older_runs() {
    let mut world = World::plain();
    let mut second: Instance = fixtures::instance("app-b");
    second.metadata.creation_timestamp = Some(serde_json::from_value(json!("2026-02-01T00:00:00Z")).unwrap());
    world.add(second);
    world.run_of("hub/app-b");
    world.run();
    assert_eq!(world.condition_of("hub/app-b", ConditionType::Stalled), "True DuplicateInstance");
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
}

#[test]
fn an_application_that_loses_its_database_does_not_leave_the_data_behind() {
    let mut world = World::plain().at_rest();
    world.applications[0].spec.database = DatabaseEngine::None;
    for component in &mut world.releases[0].spec.components {
        component.env.retain(|variable| variable.from_database.is_none());
    }
    let round = world.round();
    assert!(round.steps.is_empty());
    assert_eq!(world.condition(ConditionType::Stalled), "True DatabaseMoved");
    assert!(world.message(ConditionType::Ready).contains("undo the edit of the Application"));
}

#[test]
fn an_application_run_by_somebody_else_is_only_tracked() {
    let mut world = World::plain();
    world.applications[0].spec.tenancy = Tenancy::External;
    let rounds = world.run();
    assert!(rounds.iter().all(|round| round.steps.is_empty()));
    assert_eq!(world.condition(ConditionType::Ready), "Unknown NotOperatedHere");
    assert_eq!(world.condition(ConditionType::Stalled), "");
    assert!(world.instances[fixtures::WHO].metadata.finalizers.is_none());
}

#[test]
fn what_the_server_refuses_stalls_and_what_does_not_answer_is_tried_again() {
    for (class, stalled, reconciling) in [
        (ErrorClass::Refused, "True ObjectRefused", ""),
        (ErrorClass::Unavailable, "", "True ObjectRefused"),
        (ErrorClass::Momentary, "", "True ObjectRefused"),
    ] {
        let mut world = World::plain();
        let failure = Failure { class, reason: Reason::ObjectRefused, message: "the server says no".into() };
        world.failing = Box::new(move |_| Some(failure.clone()));
        let round = world.round();
        assert!(round.failed);
        assert_eq!(world.condition(ConditionType::Stalled), stalled);
        assert_eq!(world.condition(ConditionType::Reconciling), reconciling);
        assert_eq!(world.message(ConditionType::Ready), "the server says no");
        let round = world.round();
        assert!(!round.written && round.events.is_empty(), "told once");
    }
}

#[test]
fn two_instances_that_wait_for_each_others_address_do_not_wait_for_ever() {
    let mut world = World::plain();
    let mut other = fixtures::instance("other");
    other.spec.application = "other".into();
    other.spec.release = Some("other-1".into());
    other.spec.env = vec![env("PEER", "value", "${endpoint.app}")];
    world.add(other);
    world.applications.push(fixtures::application("other"));
    let mut release = fixtures::release("other-1", "1.0");
    release.spec.application = "other".into();
    world.releases.push(release);
    world.one().spec.env = vec![env("PEER", "value", "${endpoint.other}")];
    for _ in 0..3 {
        world.run();
        world.run_of("hub/other");
    }
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
    assert_eq!(world.condition_of("hub/other", ConditionType::Ready), "True AsDesired");
}

#[test]
fn another_home_of_its_establishment_leaves_what_runs_where_it_is() {
    let mut world = World::plain().at_rest();
    world.establishments[0].spec.home_platform = Some("elsewhere".into());
    assert!(world.round().is_silent());
}
