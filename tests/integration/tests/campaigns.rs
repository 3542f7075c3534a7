//! Campaigns on a real API server: what begins when, what fails, what holds, and what people can do about it.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.
#![allow(clippy::needless_pass_by_value)] // reads best with a literal

use gotocloud_integration::{Fleet, HUB, INSTANCES, PATIENCE, condition, eventually, fleet_tests, objects};
use gotocloud_planner::removals;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

const CAMPAIGNS: &str = "gotocloud.amue.fr/v1alpha1/campaigns";
const FREEZES: &str = "gotocloud.amue.fr/v1alpha1/changefreezes";
/// How many establishments there are.
const ALL: usize = 8;

fn campaign(name: &str, spec: Value) -> Value {
    let object = json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Campaign", "metadata": {"name": name},
        "spec": {"application": objects::APP, "namespace": HUB, "state": "Running"}});
    objects::with(object, json!({ "spec": spec }))
}

fn upgrade(name: &str, release: &str, waves: Value) -> Value {
    campaign(name, json!({"upgrade": {"release": release}, "waves": waves}))
}

fn names(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|at| format!("app-c{at}")).collect()
}

fn wave(name: &str, targets: std::ops::Range<usize>, more: Value) -> Value {
    objects::with(json!({"name": name, "targets": {"names": names(targets)}, "maxConcurrent": 2}), more)
}

fn status(fleet: &Fleet, name: &str) -> Value {
    fleet.get(CAMPAIGNS, "", name).expect("the campaign is there")["status"].clone()
}

/// Waits until a campaign is in that phase, and its status speaks of its present spec.
fn until(fleet: &Fleet, name: &str, phase: &str) -> Value {
    eventually(PATIENCE, &format!("{name} is {phase}"), || {
        let campaign = fleet.get(CAMPAIGNS, "", name).unwrap();
        let is_seen = campaign["status"]["observedGeneration"] == campaign["metadata"]["generation"];
        if is_seen && campaign["status"]["phase"] == phase {
            Ok(campaign["status"].clone())
        } else {
            Err(campaign["status"].to_string())
        }
    })
}

fn edit(fleet: &Fleet, name: &str, spec: Value) {
    fleet.patch(CAMPAIGNS, "", name, &json!({ "spec": spec })).unwrap();
}

fn end(fleet: &Fleet, name: &str) {
    fleet.delete(CAMPAIGNS, "", name).unwrap();
}

fn version(fleet: &Fleet, at: usize) -> String {
    fleet.instance(&format!("app-c{at}"))["status"]["release"]["version"].as_str().unwrap_or_default().to_owned()
}

fn versions(fleet: &Fleet) -> Vec<String> {
    (0..ALL).map(|at| version(fleet, at)).collect()
}

fn release(fleet: &Fleet, version: &str, changes: Value) {
    let release = objects::with(objects::release(objects::APP, version), changes);
    fleet.apply(&release).unwrap();
}

fn instances_are_made_by_a_campaign(fleet: &mut Fleet) {
    for at in 0..ALL {
        let labels = json!({"metadata": {"labels": {"cohort": if at < 2 { "P1" } else { "V1" }}}});
        fleet.apply(&objects::with(objects::establishment(&format!("c{at}")), labels)).unwrap();
    }
    let waves = json!([
        {"name": "p1", "targets": {"cohort": "P1"}, "maxConcurrent": 2},
        {"name": "v1", "targets": {"cohort": "V1"}, "maxConcurrent": "50%"},
    ]);
    fleet.apply(&campaign("make", json!({"provision": {"release": objects::RELEASE}, "waves": waves}))).unwrap();
    let status = until(fleet, "make", "Completed");
    assert_eq!(status["counts"]["done"], ALL);
    assert_eq!(condition(&json!({ "status": status }), "Ready").unwrap().status, "True");
    assert_eq!(versions(fleet), ["1.0"; ALL]);
    assert_eq!(fleet.instance("app-c0")["metadata"]["labels"]["cohort"], "P1");
    end(fleet, "make");
}

fn a_draft_shows_its_plan_and_touches_nothing(fleet: &mut Fleet) {
    release(fleet, "2.0", json!({}));
    let waves = json!([wave("canary", 0..1, json!({})), wave("rest", 1..ALL, json!({}))]);
    fleet.apply(&objects::with(upgrade("two", "app-2.0", waves), json!({"spec": {"state": "Draft"}}))).unwrap();
    let status = until(fleet, "two", "Draft");
    assert_eq!((&status["counts"]["targets"], &status["counts"]["pending"]), (&json!(ALL), &json!(ALL)));
    let rules: Vec<&str> =
        status["findings"].as_array().unwrap().iter().map(|one| one["rule"].as_str().unwrap()).collect();
    assert!(rules.contains(&"RollbackByImage"), "{rules:?}");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(versions(fleet), ["1.0"; ALL]);
    assert!((0..ALL).all(|at| fleet.instance(&format!("app-c{at}"))["status"]["upgrade"]["to"] != "app-2.0"));
}

fn one_wave_follows_the_other_and_each_target_proves_itself(fleet: &mut Fleet) {
    edit(fleet, "two", json!({"state": "Running"}));
    let status = until(fleet, "two", "Completed");
    assert_eq!(status["counts"]["done"], ALL);
    assert_eq!(versions(fleet), ["2.0"; ALL]);
    let canary = status["waves"][0]["finishedAt"].as_str().unwrap().to_owned();
    for at in 1..ALL {
        let upgrade = fleet.instance(&format!("app-c{at}"))["status"]["upgrade"].clone();
        assert!(*upgrade["startedAt"].as_str().unwrap() >= *canary, "app-c{at} began before the canary was done");
        assert_eq!((&upgrade["phase"], &upgrade["rollout"]["campaign"]), (&json!("Done"), &json!("two")));
    }
    let verbs: Vec<&str> =
        status["decisions"].as_array().unwrap().iter().map(|one| one["verb"].as_str().unwrap()).collect();
    assert!(verbs.contains(&"Start") && verbs.contains(&"Finish"), "{verbs:?}");
    end(fleet, "two");
}

fn a_canary_that_fails_stops_the_next_wave_and_goes_back(fleet: &mut Fleet) {
    release(fleet, "3.0", json!({}));
    fleet.kubectl_apply(&objects::unready_pods("fail-canary", "3.0", &["c0"])).unwrap();
    let waves = json!([wave("canary", 0..1, json!({})), wave("rest", 1..ALL, json!({}))]);
    let object = objects::with(upgrade("three", "app-3.0", waves), json!({"spec": {"progressDeadline": "3s"}}));
    fleet.apply(&object).unwrap();
    let status = until(fleet, "three", "Halted");
    assert_eq!(status["failed"][0]["name"], "app-c0");
    assert!(status["waves"][1]["startedAt"].is_null());
    let canary = fleet.until("app-c0", "RolledBack", |one| one["status"]["upgrade"]["phase"] == "RolledBack");
    assert_eq!(condition(&canary, "Stalled").unwrap().reason, "UpgradeFailed");
    assert_eq!(condition(&canary, "WorkloadReady").unwrap().status, "True");
    assert_eq!(versions(fleet), ["2.0"; ALL]);
    println!("  {}", condition(&json!({ "status": status }), "Stalled").unwrap().message);

    // What failed is left out, and the rest goes on.
    edit(fleet, "three", json!({"skip": ["app-c0"]}));
    let status = until(fleet, "three", "Completed");
    assert_eq!((&status["counts"]["done"], &status["counts"]["skipped"]), (&json!(ALL - 1), &json!(1)));
    // Then it is mended, let in again and tried again.
    fleet.kubectl(&["delete", "stage", "fail-canary"]).unwrap();
    edit(fleet, "three", json!({"skip": [], "retryFailed": 1}));
    eventually(PATIENCE, "the canary is upgraded after all", || match version(fleet, 0) {
        version if version == "3.0" => Ok(()),
        version => Err(version),
    });
    assert_eq!(until(fleet, "three", "Completed")["counts"]["done"], ALL);
    end(fleet, "three");
}

fn a_pinned_target_is_left_alone_and_its_owner_named(fleet: &mut Fleet) {
    release(fleet, "4.0", json!({}));
    let pin = objects::with(fleet.instance("app-c1"), json!({"metadata": {"managedFields": null}, "status": null}));
    let pin = json!({"apiVersion": pin["apiVersion"], "kind": "Instance", "metadata": {"name": "app-c1", "namespace": HUB},
        "spec": {"release": "app-3.0"}});
    fleet.apply(&pin).unwrap();
    fleet.apply(&upgrade("four", "app-4.0", json!([wave("all", 0..ALL, json!({"maxConcurrent": "100%"}))]))).unwrap();
    let status = until(fleet, "four", "Completed");
    assert_eq!((&status["counts"]["done"], &status["counts"]["pinned"]), (&json!(ALL - 1), &json!(1)));
    assert_eq!(version(fleet, 1), "3.0");
    let told = status["decisions"].as_array().unwrap().iter().find(|one| one["subject"] == "all/app-c1").unwrap();
    assert_eq!((&told["verb"], &told["actor"]), (&json!("Hold"), &json!("test")));
    end(fleet, "four");
}

fn a_freeze_holds_everything_and_a_named_exception_lets_a_patch_pass(fleet: &mut Fleet) {
    release(fleet, "4.0.0.1", json!({}));
    let mut freeze = json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "ChangeFreeze", "metadata": {"name": "now"},
        "spec": {"reason": "the registrations", "period": {"yearly": {"from": "01-01", "until": "12-31"}}}});
    fleet.apply(&freeze).unwrap();
    fleet.apply(&upgrade("frozen", "app-4.0.0.1", json!([wave("all", 2..4, json!({}))]))).unwrap();
    let status = until(fleet, "frozen", "Invalid");
    assert!(status["findings"][0]["message"].as_str().unwrap().contains("no moment of the next two years"), "{status}");
    freeze["spec"]["exceptions"] =
        json!([{"upTo": "Patch", "approvedBy": "the director", "reason": "a vulnerability"}]);
    fleet.apply(&freeze).unwrap();
    until(fleet, "frozen", "Completed");
    assert_eq!((version(fleet, 2).as_str(), version(fleet, 4).as_str()), ("4.0.0.1", "4.0"));
    fleet.delete(FREEZES, "", "now").unwrap();
    end(fleet, "frozen");
}

fn a_wave_waits_for_a_persons_word_in_their_own_name(fleet: &mut Fleet) {
    release(fleet, "5.0", json!({}));
    let waves = json!([wave("canary", 2..3, json!({})), wave("rest", 3..5, json!({"approval": "Manual"}))]);
    fleet.apply(&upgrade("five", "app-5.0", waves)).unwrap();
    eventually(PATIENCE, "it waits", || {
        let status = status(fleet, "five");
        let waits = status["waves"][1]["waitsFor"].as_str().unwrap_or_default().to_owned();
        let is_so = !status["waves"][0]["finishedAt"].is_null() && waits.contains("person's word");
        if is_so { Ok(()) } else { Err(status.to_string()) }
    });
    assert_eq!(version(fleet, 3), "4.0.0.1");
    let approval = |by: &str| {
        json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Approval", "metadata": {"name": "five-rest"},
            "spec": {"campaign": "five", "wave": "rest", "by": by, "reason": "the canary is content"}})
    };
    let refused = fleet.apply(&approval("somebody-else")).unwrap_err();
    assert!(refused.message.contains("approved in one's own name"), "{refused}");
    let me = refused.message.split("you are ").nth(1).and_then(|rest| rest.split(',').next()).unwrap().to_owned();
    fleet.apply(&approval(&me)).unwrap();
    let edited = fleet.apply(&approval("somebody-else")).unwrap_err();
    assert!(edited.message.contains("an Approval cannot be edited"), "{edited}");
    let status = until(fleet, "five", "Completed");
    assert_eq!(status["waves"][1]["approvedBy"], me);
    let approvals = status["decisions"].as_array().unwrap().iter().filter(|one| one["verb"] == "Approve");
    assert_eq!(approvals.map(|one| one["actor"].clone()).collect::<Vec<_>>(), [json!(me)]);
    fleet.delete("gotocloud.amue.fr/v1alpha1/approvals", "", "five-rest").unwrap();
    end(fleet, "five");
}

fn what_a_person_stops_stops_within_a_second_and_nothing_stays_half_way(fleet: &mut Fleet) {
    release(fleet, "6.0", json!({}));
    let waves = json!([wave("all", 2..ALL, json!({"maxConcurrent": 1}))]);
    fleet.apply(&upgrade("six", "app-6.0", waves)).unwrap();
    eventually(PATIENCE, "one is done", || match status(fleet, "six")["counts"]["done"].as_u64() {
        Some(done) if done >= 1 => Ok(()),
        done => Err(format!("{done:?}")),
    });
    let begun = Instant::now();
    edit(fleet, "six", json!({"state": "Paused"}));
    until(fleet, "six", "Paused");
    println!("  paused after {:.2} s", begun.elapsed().as_secs_f64());
    std::thread::sleep(Duration::from_secs(2));
    let is_in_between = |at: usize| {
        let phase = fleet.instance(&format!("app-c{at}"))["status"]["upgrade"]["phase"].clone();
        !["Done", "RolledBack", "Withdrawn"].iter().any(|ended| phase == *ended)
    };
    eventually(PATIENCE, "what had begun is finished", || {
        if (2..ALL).any(is_in_between) { Err("not yet") } else { Ok(()) }
    });
    let paused = versions(fleet);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(versions(fleet), paused, "nothing begins while it is paused");
    edit(fleet, "six", json!({"state": "Running"}));
    eventually(PATIENCE, "it goes on", || if versions(fleet) == paused { Err("nothing moves") } else { Ok(()) });
    edit(fleet, "six", json!({"state": "Aborted"}));
    until(fleet, "six", "Aborted");
    assert!(!(2..ALL).any(is_in_between));
    let refused = fleet.patch(CAMPAIGNS, "", "six", &json!({"spec": {"state": "Running"}})).unwrap_err();
    assert!(refused.message.contains("an aborted campaign stays aborted"), "{refused}");
    end(fleet, "six");
}

fn a_killed_operator_ends_a_campaign_all_the_same(fleet: &mut Fleet) {
    release(fleet, "7.0", json!({}));
    let waves = json!([wave("first", 2..4, json!({})), wave("rest", 4..ALL, json!({}))]);
    fleet.apply(&upgrade("seven", "app-7.0", waves)).unwrap();
    for kill in 0..5 {
        std::thread::sleep(Duration::from_millis(300 + 400 * kill));
        fleet.installation.operator.take().unwrap().kill().unwrap();
        fleet.installation.start_operator().unwrap();
        let running: Vec<usize> = (2..ALL)
            .filter(|at| {
                let upgrade = fleet.instance(&format!("app-c{at}"))["status"]["upgrade"].clone();
                upgrade["to"] == "app-7.0" && upgrade["phase"] != "Done"
            })
            .collect();
        assert!(running.len() <= 2, "{running:?} at once");
    }
    let status = until(fleet, "seven", "Completed");
    assert_eq!(status["counts"]["done"], ALL - 2);
    assert!((2..ALL).all(|at| version(fleet, at) == "7.0"));
    end(fleet, "seven");
}

/// The names of an instance's Deployments at a moment of the API server's.
fn deployments_at(fleet: &Fleet, instance: &str, version: &str) -> Vec<String> {
    let path = format!(
        "/apis/apps/v1/namespaces/gtc-{instance}/deployments?resourceVersion={version}&resourceVersionMatch=Exact"
    );
    let list = fleet.request(http::Method::GET, &path, "", &Value::Null).unwrap();
    list["items"].as_array().unwrap().iter().map(|one| one["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// What an instance is made of, by kind and name.
fn made_of(fleet: &Fleet, instance: &str) -> BTreeSet<String> {
    let all = fleet.children(instance).into_iter();
    all.map(|(kind, object)| format!("{kind} {}", object["metadata"]["name"])).collect()
}

fn components_that_are_renamed_are_gone_when_it_is_done_and_hold_nobodys_removals(fleet: &mut Fleet) {
    let bystanders = ["bystander-a", "bystander-b", "bystander-c"];
    let of_bystander = |name: &str| {
        fleet.apply(&objects::establishment(name)).unwrap();
        objects::instance(name, objects::APP, name)
    };
    fleet.provision(&bystanders.map(of_bystander));
    let targets = names(2..ALL);
    let before: Vec<_> = targets.iter().map(|name| made_of(fleet, name)).collect();
    let mut renamed = objects::release(objects::APP, "8.0");
    renamed["spec"]["components"][0]["name"] = json!("front");
    renamed["spec"]["components"][0]["talksTo"] = json!(["jobs"]);
    renamed["spec"]["components"][1]["name"] = json!("jobs");
    fleet.apply(&renamed).unwrap();

    fleet.apply(&upgrade("eight", "app-8.0", json!([wave("all", 2..ALL, json!({"maxConcurrent": "100%"}))]))).unwrap();
    let mut done = BTreeSet::new();
    eventually(PATIENCE, "all are done", || {
        let path = format!("/apis/{}", INSTANCES.replace("/instances", &format!("/namespaces/{HUB}/instances")));
        let list = fleet.request(http::Method::GET, &path, "", &Value::Null).unwrap();
        let now = list["metadata"]["resourceVersion"].as_str().unwrap();
        for instance in list["items"].as_array().unwrap() {
            let (name, upgrade) = (instance["metadata"]["name"].as_str().unwrap(), &instance["status"]["upgrade"]);
            if upgrade["to"] == "app-8.0" && upgrade["phase"] == "Done" && done.insert(name.to_owned()) {
                assert_eq!(deployments_at(fleet, name, now), ["front", "jobs"], "{name} is told to be done");
            }
        }
        if done.len() == targets.len() { Ok(()) } else { Err(status(fleet, "eight").to_string()) }
    });
    until(fleet, "eight", "Completed");
    end(fleet, "eight");

    // With what the upgrade removed, these would be more than may go without a person's word.
    let gone = targets.iter().zip(&before).map(|(name, before)| before.difference(&made_of(fleet, name)).count());
    let (replaced, deleted) = (gone.sum::<usize>(), bystanders.map(|name| made_of(fleet, name).len()));
    println!("  {replaced} objects were replaced, {deleted:?} are deleted");
    assert!(replaced + deleted.iter().sum::<usize>() > removals::ALWAYS_ALLOWED, "{replaced} {deleted:?}");
    fleet.clear(&bystanders);
}

fn a_campaign_that_cannot_run_says_why_and_touches_nothing(fleet: &mut Fleet) {
    let before = versions(fleet);
    let cases = [
        (
            "no-release",
            upgrade("no-release", "app-99", json!([wave("all", 0..2, json!({}))])),
            "there is no Release called app-99",
        ),
        (
            "no-target",
            upgrade("no-target", "app-2.0", json!([{"name": "w", "targets": {"names": ["nobody"]}}])),
            "no instance of the application is called nobody",
        ),
        (
            "twice",
            upgrade("twice", "app-7.0", json!([wave("a", 0..2, json!({})), wave("b", 1..3, json!({}))])),
            "app-c1 is in the waves a and b",
        ),
        (
            "no-promql",
            upgrade(
                "no-promql",
                "app-7.0",
                json!([wave("a", 0..1, json!({"gates": [{"name": "g", "promql": "sum(("}]}))]),
            ),
            "is no PromQL",
        ),
    ];
    for (name, campaign, says) in cases {
        fleet.apply(&campaign).unwrap();
        let status = until(fleet, name, "Invalid");
        let messages: Vec<&str> =
            status["findings"].as_array().unwrap().iter().map(|one| one["message"].as_str().unwrap()).collect();
        assert!(messages.iter().any(|message| message.contains(says)), "{messages:?}");
        end(fleet, name);
    }
    for (changes, says) in [
        (
            json!({"waves": [wave("a", 0..1, json!({"maxConcurrent": 0}))]}),
            "with none at once the wave would never end",
        ),
        (json!({"waves": [wave("a", 0..1, json!({"soak": "146000d"}))]}), "write a length of time like 30m"),
        (json!({"promote": {"stage": "FullProduction"}}), "exactly one of upgrade, provision and promote"),
    ] {
        let refused = fleet
            .apply(&objects::with(
                upgrade("bad", "app-7.0", json!([wave("a", 0..1, json!({}))])),
                json!({"spec": changes}),
            ))
            .unwrap_err();
        assert!(refused.message.contains(says), "{refused}");
    }
    assert_eq!(versions(fleet), before);
    assert!(fleet.list(INSTANCES, HUB, "").len() >= ALL);
}

fleet_tests!(
    "it-campaigns",
    |spec| spec,
    [
        instances_are_made_by_a_campaign,
        a_draft_shows_its_plan_and_touches_nothing,
        one_wave_follows_the_other_and_each_target_proves_itself,
        a_canary_that_fails_stops_the_next_wave_and_goes_back,
        a_pinned_target_is_left_alone_and_its_owner_named,
        a_freeze_holds_everything_and_a_named_exception_lets_a_patch_pass,
        a_wave_waits_for_a_persons_word_in_their_own_name,
        what_a_person_stops_stops_within_a_second_and_nothing_stays_half_way,
        a_killed_operator_ends_a_campaign_all_the_same,
        components_that_are_renamed_are_gone_when_it_is_done_and_hold_nobodys_removals,
        a_campaign_that_cannot_run_says_why_and_touches_nothing,
    ]
);
