//! What cannot be planned, and what the API server does not let in, is told in its own words, and something leads on.

use super::*;
use crate::support::fixtures::by;
use gotocloud_api::conditions::Reason;
use gotocloud_planner::{Step, instance::Failure, retry::ErrorClass};
use serde_json::json;

const WORDS: &str = "admission webhook \"quiet\" denied the request: no new pods on Thursdays";

/// A webhook refuses these Deployments from now on.
fn refuses(world: &mut World, deployments: &'static [&'static str]) {
    world.failing = Box::new(move |step| {
        let Step::Apply { object, .. } = step else { return None };
        let is_refused = object.key.kind == Kind::Deployment && deployments.contains(&&*object.key.name);
        is_refused.then(|| Failure { class: ErrorClass::Refused, reason: Reason::ObjectRefused, message: WORDS.into() })
    });
}

fn minutes(world: &mut World, minutes: i64) {
    world.now += jiff::SignedDuration::from_mins(minutes);
    world.round();
}

#[test]
fn a_deployment_that_is_refused_amid_a_rollout_is_told_and_the_way_goes_back_at_its_deadline() {
    let mut world = World::plain().at_rest();
    let before = world.cluster.pods();
    refuses(&mut world, &["batch", "web"]);
    ask(&mut world);
    world.round();
    assert_eq!(world.condition(ConditionType::Stalled), "True ObjectRefused");
    assert_eq!(world.message(ConditionType::Ready), WORDS);

    minutes(&mut world, 14);
    assert_eq!(record(&world).phase, UpgradePhase::Rollout);
    minutes(&mut world, 1);
    assert_eq!(record(&world).phase, UpgradePhase::RollingBack);
    assert!(record(&world).message.contains(WORDS), "{}", record(&world).message);
    world.run();
    assert_eq!((record(&world).phase, world.cluster.pods()), (UpgradePhase::RolledBack, before));
    assert!(world.message(ConditionType::Stalled).contains(WORDS), "{}", world.message(ConditionType::Stalled));
}

#[test]
fn a_deployment_that_is_refused_on_the_way_back_as_well_fails_it_at_its_deadline() {
    let mut world = World::plain().at_rest();
    refuses(&mut world, &["web"]);
    ask(&mut world);
    world.round();
    assert_eq!(versions(&world), ["2.0", "1.0"]);
    refuses(&mut world, &["batch", "web"]);
    minutes(&mut world, 15);
    minutes(&mut world, 14);
    assert_eq!(record(&world).phase, UpgradePhase::RollingBack);
    minutes(&mut world, 1);
    assert_eq!(record(&world).phase, UpgradePhase::Failed);
    let message = &record(&world).message;
    assert!(message.contains("on the way back") && message.ends_with(WORDS), "{message}");

    refuses(&mut world, &[]);
    world.run();
    assert_eq!(versions(&world), ["1.0", "1.0"], "what it goes back to stays asked for");
    world.edit(|one| one.spec.release = Some("app-1".into()));
    world.run();
    assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
}

#[test]
fn a_release_that_needs_a_peer_without_an_address_is_refused_before_anything_moves() {
    let mut world = World::plain().at_rest();
    let peer = json!({"name": "PEER", "value": "${endpoint.peer}"});
    world.releases[1].spec.components[0].env.push(serde_json::from_value(peer).unwrap());
    let before = world.cluster.pods();
    ask(&mut world);
    world.run();
    assert_eq!((record(&world).phase, world.cluster.pods()), (UpgradePhase::Refused, before));
    let message = &record(&world).message;
    assert!(message.contains("this establishment has no instance of peer with an address yet"), "{message}");

    world.instances.insert("hub/peer".into(), fixtures::neighbour("peer"));
    world.edit(|one| one.spec.env.clear());
    world.run();
    assert_eq!((record(&world).phase, versions(&world)), (UpgradePhase::Done, vec![json!("2.0"), json!("2.0")]));
}

/// Asks as a campaign does, for the so-many-th time.
fn asked_by_a_campaign(world: &mut World, attempt: u32) {
    world.edit(|one| {
        one.spec.release = Some("app-2".into());
        one.spec.rollout = Some(gotocloud_api::upgrade::Rollout { attempt, ..by("c", "app-2") });
    });
    world.run();
}

#[test]
fn an_instance_whose_grouping_has_too_long_a_name_goes_nowhere_and_its_campaign_is_told() {
    let mut world = World::plain().at_rest();
    world.establishments.push(fixtures::grouping(&"g".repeat(70), "PerMember", &["etab"]));
    let before = world.cluster.pods();
    asked_by_a_campaign(&mut world, 1);
    assert_eq!(world.condition(ConditionType::Stalled), "True NameTooLong");
    assert_eq!((record(&world).phase, world.cluster.pods()), (UpgradePhase::Refused, before));
    assert!(record(&world).message.contains("with a shorter name"), "{}", record(&world).message);

    world.establishments.pop();
    world.run();
    assert_eq!(versions(&world), ["1.0", "1.0"], "what was refused is begun by another try only");
    asked_by_a_campaign(&mut world, 2);
    assert_eq!((record(&world).phase, versions(&world)), (UpgradePhase::Done, vec![json!("2.0"), json!("2.0")]));
}

#[test]
fn a_person_who_asks_while_an_instance_cannot_be_planned_need_not_ask_again() {
    let mut world = World::plain().at_rest();
    world.establishments.push(fixtures::grouping(&"g".repeat(70), "PerMember", &["etab"]));
    let before = world.cluster.pods();
    ask(&mut world);
    world.run();
    assert_eq!(world.condition(ConditionType::Stalled), "True NameTooLong");
    assert_eq!(world.cluster.pods(), before);

    world.establishments.pop();
    world.run();
    assert_eq!((record(&world).phase, versions(&world)), (UpgradePhase::Done, vec![json!("2.0"), json!("2.0")]));
}

#[test]
fn a_release_that_can_be_planned_leads_out_of_one_that_no_longer_can() {
    for by_a_campaign in [false, true] {
        let mut world = World::plain().at_rest();
        world.releases[0].spec.components[0].talks_to = vec!["nobody".into()];
        world.run();
        assert_eq!(world.condition(ConditionType::Stalled), "True ObjectRefused");
        if by_a_campaign {
            asked_by_a_campaign(&mut world, 1);
        } else {
            ask(&mut world);
            world.run();
        }
        assert_eq!((record(&world).phase, versions(&world)), (UpgradePhase::Done, vec![json!("2.0"), json!("2.0")]));
        assert_eq!(world.condition(ConditionType::Ready), "True AsDesired");
    }
}
