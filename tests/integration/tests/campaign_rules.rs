//! What people can say of a campaign, and that it is kept to, on a real API server: who joins late, who asks for time, how
//! much may be changed where, what becomes of failures, and what is taken back.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.
#![allow(clippy::needless_pass_by_value)] // reads best with a literal

use gotocloud_integration::{
    ESTABLISHMENTS, Fleet, HUB, INSTANCES, NAMESPACES, PATIENCE, condition, eventually, fleet_tests, objects,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const CAMPAIGNS: &str = "gotocloud.amue.fr/v1alpha1/campaigns";
const DEFERRALS: &str = "gotocloud.amue.fr/v1alpha1/deferrals";
/// Establishments whose home is the platform with a server.
const ON_SERVER: usize = 4;
/// Establishments whose home is the other.
const ON_CNPG: usize = 3;

fn campaign(name: &str, spec: Value) -> Value {
    let object = json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Campaign", "metadata": {"name": name},
        "spec": {"application": objects::APP, "namespace": HUB, "state": "Running"}});
    objects::with(object, json!({ "spec": spec }))
}

fn wave(targets: Value, more: Value) -> Value {
    objects::with(json!({"name": "all", "targets": targets, "maxConcurrent": 10}), more)
}

/// An upgrade of one wave, with what is said of the wave and of the campaign.
fn upgrade(name: &str, version: &str, wave: Value, more: Value) -> Value {
    let spec = json!({"upgrade": {"release": format!("app-{version}")}, "waves": [wave]});
    campaign(name, objects::with(spec, more))
}

fn publish(fleet: &Fleet, version: &str, changes: Value) {
    fleet.apply(&objects::with(objects::release(objects::APP, version), changes)).unwrap();
}

fn status(fleet: &Fleet, name: &str) -> Value {
    let campaign = fleet.get(CAMPAIGNS, "", name).expect("the campaign is there");
    let is_seen = campaign["status"]["observedGeneration"] == campaign["metadata"]["generation"];
    if is_seen { campaign["status"].clone() } else { Value::Null }
}

fn until(fleet: &Fleet, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    let status = eventually(PATIENCE, &format!("{name}: {what}"), || {
        let status = status(fleet, name);
        if is_so(&status) { Ok(status) } else { Err(status.to_string()) }
    });
    println!("  {name}: {what}, after {:.1} s", begun.elapsed().as_secs_f64());
    status
}

fn is(phase: &'static str) -> impl Fn(&Value) -> bool {
    move |status| status["phase"] == phase
}

fn edit(fleet: &Fleet, name: &str, spec: Value) {
    fleet.patch(CAMPAIGNS, "", name, &json!({ "spec": spec })).unwrap();
}

fn end(fleet: &Fleet, name: &str) {
    fleet.delete(CAMPAIGNS, "", name).unwrap();
}

fn version(fleet: &Fleet, name: &str) -> String {
    fleet.instance(name)["status"]["release"]["version"].as_str().unwrap_or_default().to_owned()
}

fn server(at: usize) -> String {
    format!("app-s{at}")
}

fn servers() -> Vec<String> {
    (0..ON_SERVER).map(server).collect()
}

/// Those of the given instances that the campaign began and that have not ended.
fn in_hand(fleet: &Fleet, campaign: &str) -> Vec<Value> {
    let all = fleet.list(INSTANCES, HUB, "").into_iter();
    all.filter(|one| {
        let (asked, record) = (&one["spec"]["rollout"], &one["status"]["upgrade"]);
        let has_ended = record["rollout"] == *asked && ["Done", "Soak"].iter().any(|phase| record["phase"] == *phase);
        asked["campaign"] == campaign && !has_ended
    })
    .collect()
}

fn the_fleet_is_there(fleet: &mut Fleet) {
    for at in 0..ON_SERVER {
        fleet.apply(&objects::establishment(&format!("s{at}"))).unwrap();
    }
    let elsewhere = json!({"spec": {"homePlatform": objects::CNPG}});
    for at in 0..ON_CNPG {
        let establishment = objects::with(objects::establishment(&format!("c{at}")), elsewhere.clone());
        fleet.apply(&establishment).unwrap();
    }
    let waves = json!([{"name": "all", "targets": {"selector": {}}, "exclude": {"names": [objects::ETAB]}, "maxConcurrent": 7}]);
    fleet.apply(&campaign("make", json!({"provision": {"release": objects::RELEASE}, "waves": waves}))).unwrap();
    let status = until(fleet, "make", "Completed", is("Completed"));
    assert_eq!(status["counts"]["done"], ON_SERVER + ON_CNPG);
    end(fleet, "make");
}

fn no_more_are_changed_at_once_on_a_platform_or_a_server_than_may_be(fleet: &mut Fleet) {
    publish(fleet, "1.1", json!({}));
    let limits = json!({"maxConcurrentPerPlatform": 2, "maxConcurrentPerDatabaseServer": 1});
    fleet.apply(&upgrade("budget", "1.1", wave(json!({"selector": {}}), json!({})), limits)).unwrap();
    let mut most = 0;
    until(fleet, "budget", "Completed", |status| {
        let seen = in_hand(fleet, "budget");
        let on = |platform: &str| seen.iter().filter(|one| one["status"]["platform"] == platform).count();
        assert!(on(objects::CNPG) <= 2, "{} at once on {}", on(objects::CNPG), objects::CNPG);
        assert!(on(objects::SERVER) <= 1, "{} at once on the one server", on(objects::SERVER));
        status["phase"] == "Completed"
    });
    // Both at once are allowed, each within its own limit.
    let records: Vec<Value> =
        fleet.list(INSTANCES, HUB, "").into_iter().map(|one| one["status"]["upgrade"].clone()).collect();
    for one in &records {
        let (from, until) = (one["startedAt"].as_str().unwrap(), one["finishedAt"].as_str().unwrap());
        let beside = records.iter().filter(|other| {
            other["startedAt"].as_str().unwrap() <= from
                && other["finishedAt"].as_str().unwrap() >= from
                && from <= until
        });
        most = most.max(beside.count());
    }
    assert!(most >= 2, "the two platforms do not wait for each other");
    end(fleet, "budget");
}

fn an_establishment_asks_for_time_and_gets_what_the_campaign_allows(fleet: &mut Fleet) {
    publish(fleet, "1.2", json!({}));
    fleet.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "people-of-s1"}})).unwrap();
    assert!(fleet.get(NAMESPACES, "", "people-of-s1").is_some());
    fleet.patch(ESTABLISHMENTS, "", "s1", &json!({"spec": {"namespace": "people-of-s1"}})).unwrap();
    let deferral = |namespace: &str, establishment: &str| {
        json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Deferral",
            "metadata": {"name": "exams", "namespace": namespace},
            "spec": {"establishment": establishment, "campaign": "asked", "until": "2999-01-01T00:00:00Z", "reason": "exams"}})
    };
    fleet.apply(&deferral("people-of-s1", "s1")).unwrap();
    // Somebody else's word does not count.
    fleet.apply(&deferral(HUB, "s2")).unwrap();
    let targets = json!({ "names": servers() });
    fleet.apply(&upgrade("asked", "1.2", wave(targets.clone(), json!({})), json!({"maxDeferralDays": 3}))).unwrap();
    let status = until(fleet, "asked", "all but one are done", |status| status["counts"]["done"] == ON_SERVER - 1);
    assert_eq!((&status["counts"]["pending"], version(fleet, "app-s1")), (&json!(1), "1.1".into()));
    let status = until(fleet, "asked", "it says until when", |status| {
        status["waves"][0]["waitsFor"].as_str().is_some_and(|waits| waits.contains("deferral ends, at "))
    });
    // As long as it may, from the start of the wave, and not until 2999.
    let (began, waits) = (&status["waves"][0]["startedAt"], status["waves"][0]["waitsFor"].as_str().unwrap());
    let began: jiff::Timestamp = began.as_str().unwrap().parse().unwrap();
    let ends = began + jiff::SignedDuration::from_hours(3 * 24);
    assert!(waits.contains(&ends.to_string()), "{waits}, and it began at {began}");
    fleet.delete(DEFERRALS, "people-of-s1", "exams").unwrap();
    until(fleet, "asked", "Completed", is("Completed"));
    assert_eq!(version(fleet, "app-s1"), "1.2");
    end(fleet, "asked");

    // A vulnerability is not put off.
    publish(fleet, "1.3", json!({"spec": {"security": true}}));
    fleet.apply(&deferral("people-of-s1", "s1")).unwrap();
    fleet.apply(&upgrade("asked", "1.3", wave(targets, json!({})), json!({"maxDeferralDays": 3}))).unwrap();
    until(fleet, "asked", "Completed", is("Completed"));
    assert_eq!(version(fleet, "app-s1"), "1.3");
    fleet.delete(DEFERRALS, "people-of-s1", "exams").unwrap();
    fleet.delete(DEFERRALS, HUB, "exams").unwrap();
    end(fleet, "asked");
}

fn who_joins_late_takes_part_or_is_left_out_as_the_campaign_says(fleet: &mut Fleet) {
    publish(fleet, "1.4", json!({}));
    // A wave that stays open: one of its targets soaks.
    let late = |fleet: &Fleet, name: &str| {
        fleet.apply(&objects::establishment(name)).unwrap();
        let label = json!({"metadata": {"labels": {"ring": "late"}}});
        fleet.provision(&[objects::with(objects::instance(&format!("app-{name}"), objects::APP, name), label)]);
        // Nobody pins it any more.
        let free = json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Instance",
            "metadata": {"name": format!("app-{name}"), "namespace": HUB, "labels": {"ring": "late"}},
            "spec": {"application": objects::APP, "establishment": name, "deletionPolicy": "Delete"}});
        fleet.apply(&free).unwrap();
    };
    for at in 0..2 {
        fleet.patch(INSTANCES, HUB, &server(at), &json!({"metadata": {"labels": {"ring": "late"}}})).unwrap();
    }
    let open = wave(json!({"selector": {"matchLabels": {"ring": "late"}}}), json!({"soak": "1h"}));
    fleet.apply(&upgrade("open", "1.4", open.clone(), json!({}))).unwrap();
    until(fleet, "open", "two soak", |status| status["counts"]["soaking"] == 2);
    late(fleet, "late1");
    until(fleet, "open", "three soak", |status| status["counts"]["soaking"] == 3);
    assert_eq!(version(fleet, "app-late1"), "1.4");
    edit(fleet, "open", json!({"lateJoiners": "Exclude"}));
    late(fleet, "late2");
    until(fleet, "open", "one is left out", |status| status["counts"]["skipped"] == 1);
    assert_eq!(version(fleet, "app-late2"), "1.0");
    // What soaks is finished at once when the campaign is aborted.
    edit(fleet, "open", json!({"state": "Aborted"}));
    until(fleet, "open", "Aborted", is("Aborted"));
    assert_eq!(fleet.instance("app-late1")["status"]["upgrade"]["phase"], "Done");
    end(fleet, "open");
    fleet.clear(&["app-late1", "app-late2"]);
}

fn of_two_campaigns_the_second_waits_and_says_for_whom(fleet: &mut Fleet) {
    publish(fleet, "1.5", json!({}));
    publish(fleet, "1.6", json!({}));
    let targets = json!({"names": [server(0)]});
    fleet.apply(&upgrade("first", "1.5", wave(targets.clone(), json!({"soak": "15s"})), json!({}))).unwrap();
    until(fleet, "first", "it soaks", |status| status["counts"]["soaking"] == 1);
    fleet.apply(&upgrade("second", "1.6", wave(targets, json!({})), json!({}))).unwrap();
    until(fleet, "second", "it waits", |status| {
        status["counts"]["pending"] == 1 && !status["waves"][0]["startedAt"].is_null()
    });
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(version(fleet, "app-s0"), "1.5");
    assert_eq!(fleet.instance("app-s0")["spec"]["rollout"]["campaign"], "first");
    let waits = status(fleet, "second")["waves"][0]["waitsFor"].as_str().unwrap_or_default().to_owned();
    assert!(waits.contains("the campaign first holds it"), "{waits}");
    // What soaks does so for as long as was said when it began.
    edit(fleet, "first", json!({"waves": [wave(json!({"names": [server(0)]}), json!({"soak": "1h"}))]}));
    until(fleet, "first", "Completed", is("Completed"));
    until(fleet, "second", "Completed", is("Completed"));
    assert_eq!(version(fleet, "app-s0"), "1.6");
    end(fleet, "first");
    end(fleet, "second");
}

fn what_fails_is_left_or_holds_everything_as_the_campaign_says(fleet: &mut Fleet) {
    publish(fleet, "1.7", json!({}));
    fleet.kubectl_apply(&objects::unready_pods("fail", "1.7", &["s1"])).unwrap();
    let one_by_one =
        |more: Value| objects::with(wave(json!({ "names": servers() }), json!({"maxConcurrent": 1})), more);
    let patient = |on_failure: &str| json!({"progressDeadline": "8s", "onFailure": on_failure});
    fleet.apply(&upgrade("pause", "1.7", one_by_one(json!({"maxFailures": 3})), patient("Pause"))).unwrap();
    let status = until(fleet, "pause", "Halted", is("Halted"));
    assert_eq!((&status["counts"]["done"], &status["counts"]["failed"]), (&json!(1), &json!(1)));
    let failed = fleet.instance("app-s1");
    assert_eq!(
        (&failed["status"]["upgrade"]["phase"], &failed["status"]["upgrade"]["active"]),
        (&json!("Failed"), &json!("app-1.7"))
    );
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(version(fleet, "app-s2"), "1.3", "nothing new begins before a person has spoken");
    edit(fleet, "pause", json!({"state": "Aborted"}));
    until(fleet, "pause", "Aborted", is("Aborted"));
    end(fleet, "pause");

    publish(fleet, "1.8", json!({}));
    fleet.kubectl(&["delete", "stage", "fail"]).unwrap();
    fleet.kubectl_apply(&objects::unready_pods("fail", "1.8", &["s1"])).unwrap();
    fleet.apply(&upgrade("go-on", "1.8", one_by_one(json!({"maxFailures": "25%"})), patient("Continue"))).unwrap();
    let status = until(fleet, "go-on", "Completed", is("Completed"));
    assert_eq!((&status["counts"]["done"], &status["counts"]["failed"]), (&json!(ON_SERVER - 1), &json!(1)));
    let failed = fleet.instance("app-s1");
    assert_eq!(
        (&failed["status"]["upgrade"]["phase"], &failed["status"]["upgrade"]["active"]),
        (&json!("Failed"), &json!("app-1.8"))
    );
    assert_eq!(condition(&failed, "Stalled").unwrap().reason, "UpgradeFailed");
    // What is tried again counts anew, whoever else has ended.
    fleet.kubectl(&["delete", "stage", "fail"]).unwrap();
    fleet
        .kubectl(&["delete", "pods", "-n", "gtc-app-s1", "-l", "app.kubernetes.io/version=1.8", "--wait=false"])
        .unwrap();
    edit(fleet, "go-on", json!({"retry": {"app-s1": 1}}));
    until(fleet, "go-on", "all are done", |status| status["counts"]["done"] == ON_SERVER);
    end(fleet, "go-on");
}

fn a_wave_that_is_done_is_taken_back_by_an_edit(fleet: &mut Fleet) {
    publish(fleet, "1.9", json!({}));
    let waves = json!([
        objects::with(wave(json!({"names": [server(0), server(1)]}), json!({})), json!({"name": "first"})),
        objects::with(wave(json!({"names": [server(2)]}), json!({"approval": "Manual"})), json!({"name": "rest"})),
    ]);
    fleet.apply(&campaign("back", json!({"upgrade": {"release": "app-1.9"}, "waves": waves}))).unwrap();
    until(fleet, "back", "the first is done", |status| status["counts"]["done"] == 2);
    edit(fleet, "back", json!({"rollBack": ["first"]}));
    until(fleet, "back", "both are back", |status| {
        status["counts"]["skipped"] == 2 && status["counts"]["running"] == 0
    });
    assert_eq!((version(fleet, "app-s0"), version(fleet, "app-s1")), ("1.8".into(), "1.8".into()));
    let decisions = status(fleet, "back")["decisions"].as_array().unwrap().clone();
    assert!(decisions.iter().any(|one| one["verb"] == "RollBack" && one["actor"] == "spec.rollBack"), "{decisions:?}");
    // And forward again, by the same campaign.
    edit(fleet, "back", json!({"rollBack": null, "retryFailed": 1}));
    until(fleet, "back", "both are done again", |status| status["counts"]["done"] == 2);
    assert_eq!((version(fleet, "app-s0"), version(fleet, "app-s1")), ("1.9".into(), "1.9".into()));
    end(fleet, "back");
}

fn a_promotion_leaves_alone_what_a_person_pinned(fleet: &mut Fleet) {
    let pin = json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Instance",
        "metadata": {"name": "app-s3", "namespace": HUB}, "spec": {"stage": "Provisioned"}});
    fleet.apply(&pin).unwrap();
    let waves = json!([wave(json!({ "names": servers() }), json!({}))]);
    fleet.apply(&campaign("promote", json!({"promote": {"stage": "PartialProduction"}, "waves": waves}))).unwrap();
    let status = until(fleet, "promote", "Completed", is("Completed"));
    assert_eq!((&status["counts"]["done"], &status["counts"]["pinned"]), (&json!(ON_SERVER - 1), &json!(1)));
    let stage = |name: &str| fleet.instance(name)["status"]["stage"].clone();
    assert_eq!((stage("app-s0"), stage("app-s3")), (json!("PartialProduction"), json!("Provisioned")));
    // Its pods are as many as that stage asks for.
    let web = fleet.child(gotocloud_planner::Kind::Deployment, "app-s0", "web");
    assert_eq!(web["status"]["readyReplicas"], 2);
    end(fleet, "promote");
}

fn a_target_that_serves_many_establishments_counts_as_many(fleet: &mut Fleet) {
    publish(fleet, "2.0", json!({}));
    let schools: Vec<String> = (0..28).map(|at| format!("school-{at:02}")).collect();
    let names: Vec<&str> = schools.iter().map(String::as_str).collect();
    fleet.apply(&objects::grouping("schools", "Shared", &names)).unwrap();
    fleet.provision(&[objects::instance("app-schools", objects::APP, "schools")]);
    let free = json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Instance",
        "metadata": {"name": "app-schools", "namespace": HUB},
        "spec": {"application": objects::APP, "establishment": "schools", "deletionPolicy": "Delete"}});
    fleet.apply(&free).unwrap();
    let targets = json!({"names": ["app-s0", "app-s1", "app-s2", "app-schools"]});
    let five = wave(targets, json!({"maxConcurrent": 5}));
    fleet.apply(&upgrade("weighed", "2.0", five, json!({"weight": "Establishments"}))).unwrap();
    until(fleet, "weighed", "Completed", |status| {
        let seen = in_hand(fleet, "weighed");
        let has_schools = seen.iter().any(|one| one["metadata"]["name"] == "app-schools");
        assert!(!has_schools || seen.len() == 1, "28 establishments are beside {} others", seen.len() - 1);
        status["phase"] == "Completed"
    });
    assert_eq!(version(fleet, "app-schools"), "2.0");
    end(fleet, "weighed");
}

fn a_campaign_says_when_it_will_be_done_and_when_that_is_too_late(fleet: &mut Fleet) {
    publish(fleet, "3.0", json!({}));
    let by_night = json!({"state": "Draft", "windows": [{"days": ["Sunday"], "from": "01:00", "to": "01:01"}],
        "finishBy": "2999-01-01T00:00:00Z"});
    let one_by_one = wave(json!({ "names": servers() }), json!({"maxConcurrent": 1}));
    fleet.apply(&upgrade("late", "3.0", one_by_one, by_night)).unwrap();
    let status = until(fleet, "late", "it says when", |status| status["estimatedEnd"].is_string());
    let wave = &status["waves"][0];
    let at = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let length = at(&wave["estimatedEnd"]).duration_since(jiff::Timestamp::now());
    // One each Sunday, so the last is done three weeks after the first.
    let weeks = length.as_hours() / 24 / 7;
    assert!((3..=4).contains(&weeks), "{ON_SERVER} Sundays take {weeks} weeks");
    let rules = |status: &Value| -> Vec<String> {
        let findings = status["findings"].as_array().cloned().unwrap_or_default();
        findings.iter().map(|one| one["rule"].as_str().unwrap().to_owned()).collect()
    };
    assert!(!rules(&status).contains(&"TooLate".to_owned()));
    let two_weeks = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * 14);
    edit(fleet, "late", json!({"finishBy": two_weeks.to_string()}));
    let status =
        until(fleet, "late", "it says that it is late", |status| rules(status).contains(&"TooLate".to_owned()));
    let findings = status["findings"].as_array().unwrap();
    let late = findings.iter().find(|one| one["rule"] == "TooLate").unwrap()["message"].as_str().unwrap();
    println!("  {late}");
    assert!(late.contains("app-s2 is the first that does not fit") || late.contains("app-s1 is the first"), "{late}");

    // Let go, it does not begin before somebody accepts that, in their own name.
    edit(fleet, "late", json!({"state": "Running"}));
    let is_held = |status: &Value| status["waves"][0]["waitsFor"].as_str().unwrap_or_default().contains("not done by");
    let status = until(fleet, "late", "it waits for a person", is_held);
    assert!(status["waves"][0]["startedAt"].is_null(), "{status}");
    let me = fleet.kubectl(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]).unwrap();
    let accept = |by: &str, more: Value| {
        let spec = json!({"campaign": "late", "finishBy": "2999-01-01T00:00:00Z", "by": by});
        json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Approval", "metadata": {"name": "late"},
            "spec": objects::with(spec, more)})
    };
    let refused = fleet.apply(&accept("somebody-else", json!({}))).unwrap_err();
    assert!(refused.message.contains("in one's own name"), "{refused}");
    let refused = fleet.apply(&accept(&me, json!({"wave": "w"}))).unwrap_err();
    assert!(refused.message.contains("give wave or finishBy"), "{refused}");
    fleet.apply(&accept(&me, json!({}))).unwrap();
    let status = until(fleet, "late", "it begins", |status| status["waves"][0]["startedAt"].is_string());
    assert_eq!(status["lateEnd"]["by"], me);
    fleet.delete("gotocloud.amue.fr/v1alpha1/approvals", "", "late").unwrap();
    end(fleet, "late");
}

fn what_a_person_changes_on_a_server_counts_there_too(fleet: &mut Fleet) {
    publish(fleet, "4.0", json!({}));
    fleet.kubectl_apply(&objects::unready_pods("by-hand", "4.0", &["s3"])).unwrap();
    let by_hand = server(ON_SERVER - 1);
    fleet.edit(&by_hand, &json!({"spec": {"release": "app-4.0"}}));
    fleet.until(&by_hand, "its pods are being replaced", |one| one["status"]["upgrade"]["phase"] == "Rollout");
    let limits = json!({"maxConcurrentPerDatabaseServer": 1});
    let targets = json!({"names": [server(0), server(1)]});
    fleet.apply(&upgrade("beside", "4.0", wave(targets, json!({})), limits)).unwrap();
    until(fleet, "beside", "it has begun", |status| status["waves"][0]["startedAt"].is_string());
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(status(fleet, "beside")["counts"]["pending"], 2, "there is no place on the server");
    fleet.kubectl(&["delete", "stage", "by-hand"]).unwrap();
    // Its pods are stuck as they are; others take their place.
    let pods = ["delete", "pods", "-n", &format!("gtc-{by_hand}"), "--all", "--force", "--grace-period=0"];
    fleet.kubectl(&pods).unwrap();
    until(fleet, "beside", "Completed", is("Completed"));
    // What a person set, they take back, so that campaigns choose again.
    fleet.edit(&by_hand, &json!({"spec": {"release": null}}));
    end(fleet, "beside");
}

fn a_write_that_a_policy_refuses_is_told_in_its_words_and_holds_up_nobody_else(fleet: &mut Fleet) {
    publish(fleet, "5.0", json!({}));
    let api = "admissionregistration.k8s.io/v1";
    let rules = json!([{"apiGroups": ["gotocloud.amue.fr"], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": ["instances"]}]);
    let asks = "object.metadata.name != 'app-s1' || !has(object.spec.release) || object.spec.release != 'app-5.0'";
    let policy = json!({"apiVersion": api, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "not-s1"}, "spec": {
        "matchConstraints": {"resourceRules": rules},
        "validations": [{"expression": asks, "message": "the thesis week of s1 is sacred"}]}});
    let binding = json!({"apiVersion": api, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "not-s1"},
        "spec": {"policyName": "not-s1", "validationActions": ["Deny"]}});
    fleet.kubectl_apply(&policy).unwrap();
    fleet.kubectl_apply(&binding).unwrap();
    let release = json!({"spec": {"release": "app-5.0"}}).to_string();
    let attempt = ["patch", "instance", "app-s1", "-n", HUB, "--type=merge", "--dry-run=server", "-p", &release];
    eventually(PATIENCE, "the policy holds", || {
        fleet.kubectl(&attempt).map_or_else(|_| Ok(()), |_| Err(String::new()))
    });

    let of = wave(json!({ "names": servers() }), json!({"maxFailures": 1}));
    fleet.apply(&upgrade("forbidden", "5.0", of, json!({}))).unwrap();
    let done = |count: usize| move |status: &Value| status["counts"]["done"] == count;
    let told = until(fleet, "forbidden", "all others are done", done(ON_SERVER - 1));
    assert!(told["waves"][0]["waitsFor"].to_string().contains("the thesis week of s1 is sacred"), "{told}");
    let of_it = |status: &Value| {
        let decisions = status["decisions"].as_array().cloned().unwrap_or_default();
        decisions.iter().filter(|one| one.to_string().contains("sacred")).count()
    };
    assert_eq!(of_it(&told), 1, "{told}");

    // It is tried again by itself, and told no more until it goes through.
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(of_it(&status(fleet, "forbidden")), 1);
    for kind in ["validatingadmissionpolicybindings", "validatingadmissionpolicies"] {
        fleet.delete(&format!("{api}/{kind}"), "", "not-s1").unwrap();
    }
    until(fleet, "forbidden", "Completed", is("Completed"));
    assert_eq!(version(fleet, "app-s1"), "5.0");
    end(fleet, "forbidden");
}

fleet_tests!(
    "it-campaign-rules",
    |spec| spec,
    [
        the_fleet_is_there,
        no_more_are_changed_at_once_on_a_platform_or_a_server_than_may_be,
        an_establishment_asks_for_time_and_gets_what_the_campaign_allows,
        who_joins_late_takes_part_or_is_left_out_as_the_campaign_says,
        of_two_campaigns_the_second_waits_and_says_for_whom,
        what_fails_is_left_or_holds_everything_as_the_campaign_says,
        a_wave_that_is_done_is_taken_back_by_an_edit,
        a_promotion_leaves_alone_what_a_person_pinned,
        a_target_that_serves_many_establishments_counts_as_many,
        a_campaign_says_when_it_will_be_done_and_when_that_is_too_late,
        what_a_person_changes_on_a_server_counts_there_too,
        a_write_that_a_policy_refuses_is_told_in_its_words_and_holds_up_nobody_else,
    ]
);
