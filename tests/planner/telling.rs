//! What is told: events at transitions only, and a status of bounded size.

use crate::support::{World, fixtures};
use gotocloud_api::conditions::{ConditionType, Reason};
use gotocloud_planner::{Kind, ObjectKey, health::Health, instance::Failure, retry::ErrorClass};
use serde_json::json;

fn events(world: &mut World) -> Vec<String> {
    let rounds = world.run();
    let events = rounds.iter().flat_map(|round| &round.events);
    events.map(|event| format!("{}{}", if event.warning { "! " } else { "" }, event.reason)).collect()
}

#[test]
fn the_way_to_ready_is_one_event() {
    assert_eq!(events(&mut World::plain()), ["AsDesired"]);
    assert_eq!(events(&mut World::full()), ["AsDesired"]);
}

#[test]
fn a_pod_lost_and_found_is_two_events() {
    let mut world = World::plain().at_rest();
    let key = ObjectKey::new(Kind::Deployment, fixtures::NAMESPACE, "web");
    world.cluster.objects.get_mut(&key).unwrap().health = Health::Progressing("1 of 2 pods available".into());
    assert_eq!(events(&mut world), ["PodsStarting", "AsDesired"]);
}

#[test]
fn a_server_that_stays_away_is_told_once_though_its_words_change() {
    let mut world = World::plain().at_rest();
    world.restart();
    let mut told = Vec::new();
    for attempt in 0..5 {
        let message = format!("no answer, attempt {attempt}");
        world.failing = Box::new(move |_| {
            Some(Failure { class: ErrorClass::Unavailable, reason: Reason::ApiUnavailable, message: message.clone() })
        });
        told.extend(world.round().events);
    }
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn a_pending_change_is_told_once() {
    let mut world = World::plain().at_rest();
    world.applications[0].spec.sizes.small.default_component.memory = "300Mi".into();
    assert_eq!(events(&mut world), ["ConsentAwaited"]);
    assert!(events(&mut world).is_empty());
}

#[test]
fn conditions_keep_the_time_of_their_last_change() {
    let mut world = World::plain().at_rest();
    let since = |world: &World, kind: ConditionType| {
        let all = &world.status().conditions;
        all.iter().find(|one| one.type_ == kind.to_string()).unwrap().last_transition_time.clone()
    };
    let before = since(&world, ConditionType::Ready);
    world.applications[0].spec.sizes.small.default_component.memory = "300Mi".into();
    world.run();
    assert_eq!(since(&world, ConditionType::Ready), before);
    assert_ne!(since(&world, ConditionType::UpToDate), before);
}

#[test]
fn each_condition_speaks_of_the_generation_it_was_judged_at() {
    let mut world = World::plain().at_rest();
    world.edit(|one| one.spec.release = Some("app-2".into()));
    world.run();
    let generation = world.instances[fixtures::WHO].metadata.generation;
    let status = world.status();
    assert_eq!(status.observed_generation, generation);
    assert!(status.conditions.iter().all(|one| one.observed_generation == generation));
}

#[test]
fn health_of_what_an_object_was_before_is_not_believed() {
    let mut world = World::plain().at_rest();
    world.edit(|one| one.spec.env = vec![serde_json::from_value(json!({"name": "A", "value": "1"})).unwrap()]);
    world.round();
    // A watch that is behind still shows the Deployment as it was, and well.
    let key = ObjectKey::new(Kind::Deployment, fixtures::NAMESPACE, "web");
    let stored = world.cluster.objects.get_mut(&key).unwrap();
    stored.health = Health::Ready;
    stored.fields = "those of before".into();
    world.cluster.settle();
    world.failing = Box::new(|_| {
        Some(Failure { class: ErrorClass::Momentary, reason: Reason::ApiUnavailable, message: "conflict".into() })
    });
    world.round();
    assert_eq!(world.condition(ConditionType::WorkloadReady), "False PodsStarting");
}

#[test]
fn each_part_that_is_not_ready_is_told_with_the_object_that_keeps_it() {
    for (kind, name, part, reason) in [
        (Kind::Cluster, "database", ConditionType::DatabaseReady, Reason::DatabaseStarting),
        (Kind::Deployment, "batch", ConditionType::WorkloadReady, Reason::PodsStarting),
        (Kind::Certificate, "public", ConditionType::Exposed, Reason::RouteStarting),
        (Kind::ListenerSet, "public", ConditionType::Exposed, Reason::RouteStarting),
        (Kind::HttpRoute, "public", ConditionType::Exposed, Reason::RouteStarting),
    ] {
        let mut world = World::full().at_rest();
        let stored = world.cluster.objects.get_mut(&ObjectKey::new(kind, fixtures::NAMESPACE, name)).unwrap();
        stored.health = Health::Progressing("not allowed here".into());
        world.round();
        assert_eq!(world.condition(part), format!("False {reason}"), "{kind}");
        assert_eq!(world.condition(ConditionType::Ready), format!("False {reason}"), "{kind}");
        assert_eq!(world.message(ConditionType::Ready), format!("{kind} {name}: not allowed here"));
    }
}

#[test]
fn what_is_told_of_secrets_outlives_a_process_that_could_not_look_at_them() {
    let mut world = World::plain().at_rest();
    let before = world.status().inventory.clone();
    world.restart();
    world.failing = Box::new(|_| {
        Some(Failure { class: ErrorClass::Unavailable, reason: Reason::ApiUnavailable, message: "no answer".into() })
    });
    world.round();
    assert_eq!(world.status().inventory, before);
}

#[test]
fn the_largest_instance_has_a_status_of_bounded_size() {
    let mut world = World::full();
    let members: Vec<_> = (0..200).map(|number| format!("{number:0>63}")).collect();
    let members: Vec<_> = members.iter().map(String::as_str).collect();
    world.establishments = vec![fixtures::grouping("etab", "Shared", &members)];
    let template = world.releases[0].spec.components[1].clone();
    let variable = |number: usize| {
        serde_json::from_value(json!({"name": format!("{number:A>128}"), "value": "é".repeat(400)})).unwrap()
    };
    for number in 0..14 {
        let mut component = template.clone();
        component.name = format!("c{number:0>39}");
        component.env = (0..64).map(variable).collect();
        world.releases[0].spec.components.push(component);
    }
    {
        let size = &mut world.applications[0].spec.sizes.small;
        size.quota.pods = 1000;
        size.quota.cpu = "1000".into();
        size.quota.memory = "1000Gi".into();
    }
    world.run();
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired", "{}", world.message(ConditionType::Ready));
    world.applications[0].spec.sizes.small.default_component.memory = "300Mi".into();
    world.run();
    let status = world.status();
    let bytes = serde_json::to_string(status).unwrap().len();
    assert!(bytes < 64 * 1024, "{bytes} bytes");
    assert_eq!(status.revision.as_ref().unwrap().pending_changes.len(), 10);
    for condition in &status.conditions {
        assert!(condition.message.len() <= 1024, "an event could not repeat it: {} bytes", condition.message.len());
    }
}

#[test]
fn a_long_message_is_cut_between_letters() {
    let mut world = World::plain();
    let message = "é".repeat(5000);
    world.failing = Box::new(move |_| {
        Some(Failure { class: ErrorClass::Refused, reason: Reason::ObjectRefused, message: message.clone() })
    });
    world.round();
    let told = world.message(ConditionType::Stalled);
    assert!(told.len() <= 1000 && told.ends_with("é..."));
}
