//! What becomes of a campaign while catalogues are edited, waves are put in and targets are refused?

use super::{
    campaign_of, establishment,
    hub::{Hub, fleet_of},
    object, runs, upgraded,
};
use gotocloud_api::{
    campaign::{CampaignPhase, CampaignState},
    names,
    upgrade::Rollout,
};
use gotocloud_planner::campaign::{
    Standing,
    engine::{Event, Seen},
};
use jiff::SignedDuration;
use serde_json::{Value, json};

/// Instances of those names, which run app-2, and a campaign of those waves that brings app-3.
fn upgrading(instances: &[&str], more: Vec<Value>, waves: &Value) -> Hub {
    let mut objects: Vec<Value> =
        instances.iter().map(|name| runs(name, "e", "app-2", &json!({}), &json!({}))).collect();
    objects.extend(more);

    let mut hub =
        Hub::new(fleet_of(objects), vec![campaign_of("c", &json!({ "waves": waves }))], "2026-01-01T00:00:00Z");
    hub.starts();
    hub
}

/// The Instance answers the campaign: its way ended so.
fn answers(hub: &mut Hub, name: &str, phase: &str, message: &str) {
    hub.shows(name, |one| {
        let claim: Rollout = serde_json::from_value(one["spec"]["rollout"].clone()).unwrap();
        let active = if phase == "Done" { "app-3" } else { "app-2" };
        let mut record = upgraded(Some(&claim), "app-2", "app-3", active, phase);
        record["message"] = json!(message);
        one["status"]["upgrade"] = record;
        one["status"]["release"]["name"] = json!(active);
    });
}

fn begun(names: &[&str]) -> Vec<(String, String)> {
    names.iter().map(|name| ("c".to_owned(), (*name).to_owned())).collect()
}

const REFUSAL: &str = "web.PEER: ${endpoint.peer} is not known";

#[test]
fn a_campaign_over_a_target_that_is_refused_halts_and_its_abort_ends() {
    let waves = json!([{"name": "w", "targets": {"names": ["a", "b"]}}]);
    let mut hub = upgrading(&["a", "b"], Vec::new(), &waves);
    assert_eq!(hub.written, begun(&["a"]));

    answers(&mut hub, "a", "Refused", REFUSAL);
    assert_eq!(hub.standing("c", "a"), Standing::Failed(REFUSAL.into()));
    assert_eq!((hub.status("c").phase, &*hub.status("c").failed[0].message), (CampaignPhase::Halted, REFUSAL));
    hub.passes(SignedDuration::from_hours(24));
    assert_eq!(hub.written, begun(&["a"]), "nobody else begins");

    hub.edits("c", |spec| spec.state = CampaignState::Aborted);
    assert_eq!(hub.status("c").phase, CampaignPhase::Aborted, "nothing is left to be waited for");
    assert_eq!(hub.written, begun(&["a"]));
}

#[test]
fn a_campaign_that_may_have_a_failure_is_completed_though_a_target_is_refused() {
    let waves = json!([{"name": "w", "targets": {"names": ["a", "b"]}, "maxFailures": 1}]);
    let mut hub = upgrading(&["a", "b"], Vec::new(), &waves);

    answers(&mut hub, "a", "Refused", REFUSAL);
    assert_eq!(hub.written, begun(&["a", "b"]));
    answers(&mut hub, "b", "Done", "");
    let status = hub.status("c");
    assert_eq!((status.phase, status.counts.failed, status.counts.done), (CampaignPhase::Completed, 1, 1));
}

#[test]
fn a_wave_put_before_one_that_has_begun_stops_no_target_of_that_and_takes_no_approval_back() {
    let approval = object("Approval", "yes", &json!({"campaign": "c", "wave": "rest", "by": "alice"}));
    let rest = json!([{"name": "rest", "targets": {"names": ["a", "b"]}, "approval": "Manual"}]);
    let mut hub = upgrading(&["a", "b", "n"], vec![approval], &rest);
    assert_eq!(hub.written, begun(&["a"]));
    let before = hub.status("c").waves[0].clone();
    assert_eq!(before.approved_by.as_deref(), Some("alice"));

    hub.passes(SignedDuration::from_hours(1));
    let new = json!({"name": "new", "targets": {"names": ["n"]}, "approval": "Manual"});
    hub.edits("c", |spec| spec.waves.insert(0, serde_json::from_value(new).unwrap()));
    let waves = &hub.status("c").waves;
    assert!(waves[0].waits_for.as_deref().is_some_and(|waits| waits.contains("a person's word")), "{waves:?}");
    let kept = |wave: &gotocloud_api::campaign::WaveStatus| {
        (wave.started_at.clone(), wave.approved_by.clone(), wave.approved_at.clone())
    };
    assert_eq!((waves[1].name.as_str(), kept(&waves[1])), ("rest", kept(&before)));

    answers(&mut hub, "a", "Done", "");
    assert_eq!(hub.written, begun(&["a", "b"]), "what is pending of a wave that began goes on, and the new one waits");
}

#[test]
fn an_establishment_that_gets_its_cohort_later_gets_its_instance() {
    let waves = json!([{"name": "w", "targets": {"cohort": "P1"}}]);
    let campaign = campaign_of("c", &json!({"upgrade": null, "provision": {"release": "app-3"}, "waves": waves}));
    let objects = fleet_of(vec![establishment("f", &json!({"homePlatform": "site", "sizeClass": "Small"}))]);
    let mut hub = Hub::new(objects, vec![campaign], "2026-01-01T00:00:00Z");
    hub.starts();
    hub.passes(SignedDuration::from_secs(5));
    assert_eq!(hub.written, []);

    let f = hub.objects.iter_mut().find(|one| one["metadata"]["name"] == "f").unwrap();
    f["metadata"]["labels"] = json!({names::LABEL_COHORT: "P1"});
    hub.happens(Event::Seen(Seen::Establishment));
    assert_eq!(hub.written, begun(&["app-f"]));
    let made = &hub.instances["app-f"];
    assert_eq!((&made["spec"]["establishment"], &made["spec"]["release"]), (&json!("f"), &json!("app-3")));
}
