//! What the catalogue, freezes and the words of persons tell of the fleet.

use crate::support::{World, fixtures};
use gotocloud_api::{
    Application, Approval, Campaign, ChangeFreeze, Deferral, Establishment, Release, Stage, conditions::Condition,
    platform::RetainedData, version::VersionScheme,
};
use gotocloud_planner::fleet::{self, Known};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn named<K>(all: &[K], name: fn(&K) -> Option<&String>) -> std::collections::BTreeMap<&str, &K> {
    all.iter().filter_map(|one| Some((name(one)?.as_str(), one))).collect()
}

/// What the names that are in use in a world stand for.
fn known(world: &World) -> Known<'_> {
    Known {
        applications: named(&world.applications, |one| one.metadata.name.as_ref()),
        releases: named(&world.releases, |one| one.metadata.name.as_ref()),
        platforms: named(&world.platforms, |one| one.metadata.name.as_ref()),
        establishments: named(&world.establishments, |one| one.metadata.name.as_ref()),
        ..Known::default()
    }
}

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
    let release = &world.releases[0];
    let known = known(&world);
    let status = |release, known: &Known<'_>| fleet::release(release, world.instances.values(), known, world.now);
    assert_eq!(status(release, &known).instances, 1);
    assert_eq!(told(&status(release, &known).conditions), ["Ready True AsDesired", "ResolvedRefs True AsDesired"]);
    assert_eq!(status(&world.releases[1], &known).instances, 0);
    let without = status(release, &Known::default()).conditions;
    assert_eq!(told(&without)[..2], ["Ready False ApplicationNotFound", "Stalled True ApplicationNotFound"]);
    let mut other = release.clone();
    other.spec.version_scheme = VersionScheme::MajorMinor;
    assert_eq!(told(&status(&other, &known).conditions)[0], "Ready False VersionSchemeMismatch");
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
    let status = |world: &World| fleet::establishment(&world.establishments[0], [], &known(world), world.now);
    world.establishments.push(fixtures::grouping("g1", "PerMember", &["etab"]));
    assert_eq!(status(&world).groupings, ["app: g1"]);
    assert_eq!(told(&status(&world).conditions)[0], "Ready True AsDesired");
    world.establishments.push(fixtures::grouping("g2", "PerMember", &["etab"]));
    assert_eq!(told(&status(&world).conditions)[0], "Ready False MembershipConflict");
    assert!(status(&world).conditions[0].message.contains("app: g1 and app: g2"));
}

#[test]
fn a_status_at_rest_is_the_same_however_often_it_is_computed() {
    let mut world = World::plain();
    let first = fleet::establishment(&world.establishments[0], [], &known(&world), world.now);
    world.establishments[0].status = Some(first.clone());
    world.now += jiff::SignedDuration::from_hours(1);
    let second = fleet::establishment(&world.establishments[0], [], &known(&world), world.now);
    assert_eq!(first, second);
}

#[test]
fn a_release_that_is_gone_to_or_may_be_gone_back_to_is_in_use() {
    let mut world = World::plain().at_rest();
    world.releases.push(fixtures::release("app-3", "3.0"));
    world.releases[2].spec.reachable_from = vec!["2.0".into()];
    let used = |world: &World| -> Vec<u32> {
        let status = |release| fleet::release(release, world.instances.values(), &known(world), world.now);
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
        fleet::establishment(&one, world.instances.values(), &known(&world), world.now).conditions
    };
    let bad_zone = status(serde_json::json!({"displayName": "E", "timeZone": "Europe/Pari"}));
    assert_eq!(
        told(&bad_zone),
        ["Ready False CalendarInvalid", "Stalled True CalendarInvalid", "ResolvedRefs True AsDesired"]
    );
    assert!(bad_zone[0].message.contains("Europe/Pari"), "{}", bad_zone[0].message);
    let bad_window = status(serde_json::json!({"displayName": "E", "windows": [{"from": "25:00", "to": "26:00"}]}));
    assert_eq!(told(&bad_window)[0], "Ready False CalendarInvalid");
}

fn object<T: DeserializeOwned>(kind: &str, name: &str, spec: &Value) -> T {
    let metadata = json!({"name": name, "generation": 1});
    let object = json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
    serde_json::from_value(object).unwrap()
}

/// The object with these fields of its spec, and no others of the same name.
fn with<T: DeserializeOwned + serde::Serialize>(one: &T, fields: &Value) -> T {
    let mut object = serde_json::to_value(one).unwrap();
    for (field, value) in fields.as_object().unwrap() {
        object["spec"][field] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn campaign(name: &str, fields: &Value) -> Campaign {
    let waves = json!([{"name": "all", "targets": {"names": ["a"]}}]);
    let spec = json!({"application": "app", "upgrade": {"release": "app-2"}, "waves": waves});
    with(&object::<Campaign>("Campaign", name, &spec), fields)
}

/// What an object whose spec has these fields tells, given what names stand for in a world with a grouping: a line for each
/// condition but `Active`, and the message of the last.
fn told_of(kind: &str, fields: &Value) -> (Vec<String>, String) {
    let mut world = World::plain();
    world.establishments.push(fixtures::grouping("group", "PerMember", &["etab"]));
    world.establishments[0].spec.namespace = Some("people".to_owned());
    let mut urgent = fixtures::release("app-2.1", "2.1");
    urgent.spec.security = true;
    world.releases.push(urgent);
    let campaigns = [
        campaign("autumn", &json!({"maxDeferralDays": 14})),
        campaign("soon", &json!({})),
        campaign("urgent", &json!({"maxDeferralDays": 14, "upgrade": {"release": "app-2.1"}})),
    ];
    let campaigns = named(&campaigns, |one| one.metadata.name.as_ref());
    let known = Known { campaigns, ..known(&world) };

    let conditions = match kind {
        "Application" => {
            let one: Application = with(&world.applications[0], fields);
            fleet::application(&one, [], &known, world.now).conditions
        }
        "Release" => {
            let one: Release = with(&world.releases[0], fields);
            fleet::release(&one, [], &known, world.now).conditions
        }
        "Establishment" => {
            let one: Establishment = with(&world.establishments[0], fields);
            fleet::establishment(&one, [], &known, world.now).conditions
        }
        "ChangeFreeze" => {
            let period = json!({"yearly": {"from": "07-01", "until": "09-01"}});
            let one: ChangeFreeze = object(kind, "freeze", &json!({"reason": "registrations", "period": period}));
            let one = with(&one, fields);
            fleet::freeze(&one, ["Europe/Paris"], &known, world.now).conditions
        }
        "Deferral" => {
            let until = "2026-06-01T00:00:00Z";
            let spec = json!({"establishment": "etab", "campaign": "autumn", "until": until, "reason": "examinations"});
            let mut one = with(&object::<Deferral>(kind, "deferral", &spec), fields);
            one.metadata.namespace = Some(fields["namespace"].as_str().unwrap_or("people").to_owned());
            fleet::deferral(&one, &known, world.now).conditions
        }
        "Approval" => {
            let spec = json!({"campaign": "autumn", "by": "alice"});
            let one = with(&object::<Approval>(kind, "approval", &spec), fields);
            fleet::approval(&one, &known, world.now).conditions
        }
        _ => panic!("{kind} gives no name"),
    };

    assert!(conditions.iter().all(|one| one.observed_generation == Some(1)), "{conditions:?}");
    let lasting: Vec<Condition> = conditions.into_iter().filter(|one| one.type_ != "Active").collect();
    (told(&lasting), lasting.last().unwrap().message.clone())
}

#[test]
fn a_name_that_stands_for_nothing_is_told_where_it_stands() {
    const READY: &str = "Ready True AsDesired";
    const RESOLVED: &str = "ResolvedRefs True AsDesired";
    let member = |names: &[&str]| {
        let members: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"applications": ["app"], "instances": "PerMember", "members": members})
    };
    let exception =
        json!([{"upTo": "Patch", "releases": ["app-1", "gone"], "approvedBy": "a person", "reason": "urgent"}]);
    let cases = [
        ("Application", json!({"predecessor": "app"}), vec![READY, RESOLVED], "every name stands for something"),
        (
            "Application",
            json!({"predecessor": "old"}),
            vec![READY, "ResolvedRefs False ApplicationNotFound"],
            "there is no Application called old: create it, or correct spec.predecessor",
        ),
        (
            "Application",
            json!({"interfaces": [{"peer": "app", "what": "", "state": "Existing"}, {"peer": "ours", "what": "", "state": "Existing"}]}),
            vec![READY, RESOLVED],
            "every name stands for something, outside the catalogue: ours",
        ),
        (
            "Release",
            json!({"application": "other"}),
            vec![
                "Ready False ApplicationNotFound",
                "Stalled True ApplicationNotFound",
                "ResolvedRefs False ApplicationNotFound",
            ],
            "there is no Application called other: create it, or correct spec.application",
        ),
        (
            "Release",
            json!({"requires": [{"application": "b", "atLeast": "1.0"}, {"application": "app", "atLeast": "1.0"}]}),
            vec![READY, "ResolvedRefs False ApplicationNotFound"],
            "there is no Application called b: create it, or correct spec.requires",
        ),
        ("Release", json!({"reachableFrom": ["2.0"]}), vec![READY, RESOLVED], "every name stands for something"),
        (
            "Release",
            json!({"reachableFrom": ["2.0", "0.9"]}),
            vec![READY, "ResolvedRefs False ReleaseNotFound"],
            "no Release of app has the version 0.9: publish it, or take it out of spec.reachableFrom",
        ),
        ("Establishment", json!({}), vec![READY, RESOLVED], "every name stands for something"),
        (
            "Establishment",
            json!({"homePlatform": "siet"}),
            vec![READY, "ResolvedRefs False PlatformNotFound"],
            "there is no Platform called siet: create it, or correct spec.homePlatform",
        ),
        (
            "Establishment",
            json!({"grouping": member(&["etab"])}),
            vec![READY, RESOLVED],
            "every name stands for something",
        ),
        (
            "Establishment",
            json!({"grouping": member(&["x", "etab", "y"]), "homePlatform": "siet"}),
            vec![READY, "ResolvedRefs False PlatformNotFound"],
            "there is no Platform called siet: create it, or correct spec.homePlatform; there is no Establishment called \
             x, y: create them, or correct spec.grouping.members, or say its displayName there, as of one without an Establishment",
        ),
        (
            "Establishment",
            json!({"grouping": {"applications": ["app"], "instances": "Shared", "members": [{"name": "x", "displayName": "X"}]}}),
            vec![READY, RESOLVED],
            "every name stands for something",
        ),
        (
            "Establishment",
            json!({"grouping": {"applications": ["app", "b"], "instances": "Shared", "members": [{"name": "etab"}]}}),
            vec![READY, "ResolvedRefs False ApplicationNotFound"],
            "there is no Application called b: create it, or correct spec.grouping.applications",
        ),
        ("ChangeFreeze", json!({"applications": ["app"]}), vec![READY, RESOLVED], "every name stands for something"),
        (
            "ChangeFreeze",
            json!({"establishments": ["etab", "group", "x"]}),
            vec![READY, "ResolvedRefs False EstablishmentNotFound"],
            "there is no Establishment called x: create it, or correct spec.establishments",
        ),
        (
            "ChangeFreeze",
            json!({"establishments": ["etab"], "applications": ["b"]}),
            vec![
                "Ready False ApplicationNotFound",
                "Stalled True ApplicationNotFound",
                "ResolvedRefs False ApplicationNotFound",
            ],
            "there is no Application called b: create it, or correct spec.applications",
        ),
        (
            "ChangeFreeze",
            json!({"exceptions": exception}),
            vec![READY, "ResolvedRefs False ReleaseNotFound"],
            "there is no Release called gone: create it, or correct spec.exceptions",
        ),
        (
            "Deferral",
            json!({}),
            vec![READY],
            "it counts for what the campaign has not begun, from the start of its wave on",
        ),
        (
            "Deferral",
            json!({"establishment": "eatb"}),
            vec!["Ready False EstablishmentNotFound", "Stalled True EstablishmentNotFound"],
            "there is no Establishment called eatb: create it, or correct spec.establishment",
        ),
        (
            "Deferral",
            json!({"campaign": "autum"}),
            vec!["Ready False CampaignNotFound"],
            "there is no Campaign called autum: it counts once there is, or correct spec.campaign",
        ),
        (
            "Deferral",
            json!({"namespace": "elsewhere"}),
            vec!["Ready False NamespaceMismatch", "Stalled True NamespaceMismatch"],
            "etab is deferred only from its own namespace people, not from elsewhere: write it there",
        ),
        (
            "Deferral",
            json!({"establishment": "group"}),
            vec!["Ready False NamespaceMismatch", "Stalled True NamespaceMismatch"],
            "group has no namespace to be deferred from: set spec.namespace of the Establishment",
        ),
        (
            "Deferral",
            json!({"campaign": "soon"}),
            vec!["Ready False DeferralNotAllowed", "Stalled True DeferralNotAllowed"],
            "the Campaign soon allows none: set its spec.maxDeferralDays, or delete this",
        ),
        (
            "Deferral",
            json!({"campaign": "urgent"}),
            vec!["Ready False DeferralNotAllowed", "Stalled True DeferralNotAllowed"],
            "the Campaign urgent brings 2.1, which mends a vulnerability and is not deferred: delete this",
        ),
        ("Approval", json!({"wave": "all"}), vec![READY], "it counts"),
        ("Approval", json!({"finishBy": "2026-06-01T00:00:00Z"}), vec![READY], "it counts"),
        (
            "Approval",
            json!({"campaign": "autum", "wave": "all"}),
            vec!["Ready False CampaignNotFound"],
            "there is no Campaign called autum: it counts once there is, or delete this and make another",
        ),
        (
            "Approval",
            json!({"campaignUid": "before", "wave": "all"}),
            vec!["Ready False CampaignNotFound", "Stalled True CampaignNotFound"],
            "it is for another Campaign called autumn, made before: delete this and make another",
        ),
        (
            "Approval",
            json!({"wave": "al"}),
            vec!["Ready False WaveNotFound", "Stalled True WaveNotFound"],
            "the Campaign autumn has no wave called al: delete this and make another, or name a wave of it so",
        ),
    ];

    for (kind, fields, conditions, message) in cases {
        let told = told_of(kind, &fields);
        assert_eq!(told, (conditions.into_iter().map(str::to_owned).collect(), message.to_owned()), "{kind} {fields}");
    }
}
