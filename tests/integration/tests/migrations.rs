//! Does an upgrade that moves the data take its backup, run its job once and go on, and is one that has to be rehearsed
//! first held until that went well on a copy? On a real API server, with the real kinds of CloudNativePG, whose part kwok
//! plays.

#![allow(clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.
#![allow(clippy::needless_pass_by_value)] // reads best with a literal

use gotocloud_integration::{Fleet, HUB, PATIENCE, condition, eventually, fleet_tests, objects, resource};
use gotocloud_planner::Kind;
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

const CAMPAIGNS: &str = "gotocloud.amue.fr/v1alpha1/campaigns";
const REHEARSED: &str = "rehearsed";
const MOVED: &str = "moved";
const UNLUCKY: &str = "unlucky";
const DISTURBED: &str = "disturbed";
/// How long a migration takes that people meddle with: longer than they take.
const SLOW_MIGRATION_MS: u32 = 12_000;
/// Long enough for the operator to begin a backup, if it did not wait.
const BACKUP_WOULD_BEGIN: Duration = Duration::from_secs(3);

fn migration(reversible: bool) -> Value {
    let env = json!([{"name": "DATABASE_URL", "fromDatabase": "Uri"}]);
    json!({"image": objects::image("migrate", "1"), "command": ["/migrate"], "reversible": reversible, "env": env})
}

/// A Release that moves the data in a way that cannot be undone.
fn publish(fleet: &Fleet, version: &str, from: &str, changes: Value) {
    let release = objects::with(
        objects::release(objects::APP, version),
        json!({"spec": {"migration": migration(false), "reachableFrom": [from]}}),
    );
    fleet.apply(&objects::with(release, json!({ "spec": changes }))).unwrap();
}

fn needing_a_rehearsal() -> Value {
    json!({"rehearsedWithinDays": 7, "restoreDrillWithinDays": 7})
}

/// What an instance is made of, but for what rehearsals make: by kind and name, with its generation.
fn made_of(fleet: &Fleet, instance: &str) -> BTreeMap<String, (String, i64)> {
    let text = |object: &Value, field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
    let all = fleet.children(instance).into_iter();
    all.map(|(kind, object)| {
        let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
        (format!("{kind} {}", text(&object, "name")), (text(&object, "uid"), generation))
    })
    .filter(|(key, _)| !key.contains(" rehearsal") && !key.starts_with("ResourceQuota"))
    .collect()
}

/// Waits until nothing of a rehearsal is left but its backup.
fn until_the_copy_is_gone(fleet: &Fleet, instance: &str) {
    eventually(PATIENCE, "the copy is gone", || {
        let all = fleet.children(instance).into_iter();
        let all = all.filter(|(_, object)| object["metadata"]["name"].as_str().unwrap().starts_with("rehearsal"));
        let left: Vec<_> = all.map(|(kind, _)| kind.to_string()).collect();
        if left == ["Backup"] { Ok(()) } else { Err(format!("{left:?}")) }
    });
}

fn is_ready(instance: &Value) -> bool {
    condition(instance, "Ready").is_some_and(|ready| ready.status == "True")
}

fn campaign(name: &str, version: &str, target: &str) -> Value {
    json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Campaign", "metadata": {"name": name}, "spec": {
        "application": objects::APP, "namespace": HUB, "state": "Running", "upgrade": {"release": format!("app-{version}")},
        "waves": [{"name": "all", "targets": {"names": [target]}}],
    }})
}

fn until(fleet: &Fleet, campaign: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(PATIENCE, what, || {
        let status = fleet.get(CAMPAIGNS, "", campaign).unwrap()["status"].clone();
        if is_so(&status) { Ok(status) } else { Err(status.to_string()) }
    })
}

fn the_fleet_is_there(fleet: &mut Fleet) {
    let all = [REHEARSED, MOVED, UNLUCKY].map(|name| {
        fleet.apply(&objects::establishment(&format!("e-{name}"))).unwrap();
        let instance = objects::instance(name, objects::APP, &format!("e-{name}"));
        objects::with(instance, json!({"spec": {"platform": objects::CNPG}}))
    });
    fleet.provision(&all);
    // A database goes with its namespace; the operator itself can delete none.
    let delete = ["delete", "clusters.postgresql.cnpg.io", "database", "-n", "gtc-moved"];
    let operator = "--as=system:serviceaccount:gotocloud-system:gotocloud-operator";
    let refused = fleet.kubectl(&[&delete[..], &[operator]].concat()).unwrap_err();
    assert!(refused.contains("may delete only Clusters called rehearsal-"), "{refused}");
}

fn what_cannot_be_undone_is_done_after_a_backup_with_pods_stopped_and_once(fleet: &mut Fleet) {
    publish(fleet, "2.0", "1.0", json!({}));
    // A person's edit goes the same way as a campaign's.
    fleet.edit(MOVED, &json!({"spec": {"release": "app-2.0"}}));
    let mut seen: Vec<String> = Vec::new();
    let done = eventually(PATIENCE, "it is done", || {
        let instance = fleet.instance(MOVED);
        let phase = instance["status"]["upgrade"]["phase"].as_str().unwrap_or_default().to_owned();
        let jobs = fleet.list(&resource(Kind::Job), "gtc-moved", "");
        if !jobs.is_empty() {
            let pods = fleet.list("v1/pods", "gtc-moved", "").into_iter();
            let is_of_it = |pod: &Value| pod["metadata"]["labels"]["app.kubernetes.io/component"] != "migration";
            let pods: Vec<Value> = pods.filter(is_of_it).collect();
            assert!(phase != "Migrate" || pods.is_empty(), "pods run while the data is moved: {}", pods.len());
            assert_eq!(jobs.len(), 1);
        }
        if seen.last() != Some(&phase) {
            seen.push(phase.clone());
        }
        if phase == "Done" && is_ready(&instance) { Ok(instance) } else { Err(instance["status"].to_string()) }
    });
    println!("  it went by {seen:?}");
    assert_eq!(done["status"]["release"]["version"], "2.0");
    let backups = fleet.list(&resource(Kind::Backup), "gtc-moved", "");
    let phases: Vec<_> = backups.iter().map(|one| one["status"]["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["completed"], "one backup, which stays");
    assert_eq!(done["status"]["upgrade"]["backup"], backups[0]["metadata"]["name"]);
    assert_eq!(fleet.list(&resource(Kind::Job), "gtc-moved", "").len(), 0, "its job is gone");
}

fn a_campaign_has_the_way_rehearsed_on_a_copy_before_it_touches_the_instance(fleet: &mut Fleet) {
    publish(fleet, "3.0", "1.0", needing_a_rehearsal());
    // The campaign chooses; its wave waits for a person, and the rehearsal does not.
    fleet.edit(REHEARSED, &json!({"spec": {"release": null}}));
    fleet.ready(REHEARSED);
    let before = made_of(fleet, REHEARSED);
    let manual = json!({"spec": {"waves": [{"name": "all", "targets": {"names": [REHEARSED]}, "approval": "Manual"}]}});
    fleet.apply(&objects::with(campaign("needs", "3.0", REHEARSED), manual)).unwrap();
    let mut seen: Vec<String> = Vec::new();
    let done = eventually(PATIENCE, "it is rehearsed", || {
        // Read before the record, which says first what is made of which backup.
        let clusters = fleet.list(&resource(Kind::Cluster), "gtc-rehearsed", "").into_iter();
        let instance = fleet.instance(REHEARSED);
        assert!(is_ready(&instance), "it goes on: {}", instance["status"]["conditions"]);
        let record = &instance["status"]["rehearsal"];
        let phase = record["phase"].as_str().unwrap_or_default().to_owned();
        for copy in clusters.filter(|one| one["metadata"]["name"] != "database") {
            assert_eq!(copy["spec"]["bootstrap"]["recovery"]["backup"]["name"], record["backup"]);
        }
        if seen.last() != Some(&phase) {
            seen.push(phase.clone());
        }
        if phase == "Done" { Ok(instance) } else { Err(record.to_string()) }
    });
    println!("  it went by {seen:?}");
    until_the_copy_is_gone(fleet, REHEARSED);
    assert_eq!(made_of(fleet, REHEARSED), before, "nothing of its own was touched");
    let record = &done["status"]["rehearsal"];
    let seconds = ["backupSeconds", "restoreSeconds", "migrateSeconds"].map(|field| record[field].is_u64());
    assert_eq!(seconds, [true; 3], "{record}");
    let status = until(fleet, "needs", "it waits for a person alone", |status| {
        status["waves"][0]["waitsFor"].as_str().is_some_and(|waits| waits.contains("a person's word"))
            && status["decisions"].as_array().is_some_and(|all| all.iter().any(|one| one["verb"] == "Rehearse"))
    });
    assert_eq!(status["counts"]["pending"], 1);
    let me = fleet.kubectl(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]).unwrap();
    let approval = json!([{"op": "add", "path": "/spec/waves/0/approved", "value": {"by": me.trim()}}]).to_string();
    fleet.kubectl(&["patch", "campaign", "needs", "--type", "json", "-p", &approval]).unwrap();
    until(fleet, "needs", "Completed", |status| status["phase"] == "Completed" && status["counts"]["done"] == 1);
    assert_eq!(fleet.instance(REHEARSED)["status"]["release"]["version"], "3.0");
    fleet.delete(CAMPAIGNS, "", "needs").unwrap();
}

fn a_rehearsal_that_fails_says_why_and_leaves_the_instance_as_it_is(fleet: &mut Fleet) {
    publish(fleet, "3.0", "1.0", needing_a_rehearsal());
    fleet.kubectl_apply(&objects::failing_jobs("fail-rehearsals", UNLUCKY, "rehearsal-migration")).unwrap();
    let before = made_of(fleet, UNLUCKY);
    fleet.edit(UNLUCKY, &json!({"spec": {"rehearse": "app-3.0"}}));
    let failed = eventually(PATIENCE, "it fails", || {
        let instance = fleet.instance(UNLUCKY);
        assert!(is_ready(&instance), "it goes on: {}", instance["status"]["conditions"]);
        if instance["status"]["rehearsal"]["phase"] == "Failed" {
            Ok(instance)
        } else {
            Err(instance["status"].to_string())
        }
    });
    let record = &failed["status"]["rehearsal"];
    assert!(record["message"].as_str().unwrap().starts_with("the migration failed: "), "{record}");
    assert!(
        record["logTail"].as_str().is_some_and(|tail| !tail.is_empty()),
        "its last words, or why there are none: {record}"
    );
    until_the_copy_is_gone(fleet, UNLUCKY);
    assert_eq!(made_of(fleet, UNLUCKY), before);
    // By hand, too, it is not upgraded.
    fleet.edit(UNLUCKY, &json!({"spec": {"release": "app-3.0"}}));
    fleet.until(UNLUCKY, "it is held", |instance| {
        let upgrade = &instance["status"]["upgrade"];
        upgrade["phase"] == "Preflight"
            && upgrade["message"].as_str().is_some_and(|message| message.contains("the last ended Failed"))
    });
    // What was wrong is mended, and any edit has it rehearsed again; then it goes by itself.
    fleet.kubectl(&["delete", "stage", "fail-rehearsals"]).unwrap();
    fleet.edit(UNLUCKY, &json!({"spec": {"env": [{"name": "MENDED", "value": "yes"}]}}));
    fleet.until(UNLUCKY, "it is upgraded", |instance| instance["status"]["upgrade"]["phase"] == "Done");
    assert_eq!(fleet.instance(UNLUCKY)["status"]["rehearsal"]["phase"], "Done");
}

fn where_there_is_no_backup_there_is_no_rehearsal(fleet: &mut Fleet) {
    fleet.provision(&[objects::instance("served", objects::APP, objects::ETAB)]);
    fleet.edit("served", &json!({"spec": {"rehearse": "app-3.0"}}));
    let told = fleet.until("served", "it says so", |instance| instance["status"]["rehearsal"]["phase"] == "Failed");
    assert!(told["status"]["rehearsal"]["message"].as_str().unwrap().contains("takes no backup"), "{told}");
    assert!(is_ready(&told));
    fleet.clear(&["served"]);
}

fn phase(instance: &Value) -> &str {
    instance["status"]["upgrade"]["phase"].as_str().unwrap_or_default()
}

fn the_last_pod_has_to_end_and_nobodys_edit_disturbs_the_migration(fleet: &mut Fleet) {
    fleet.apply(&objects::establishment("e-disturbed")).unwrap();
    let instance = objects::instance(DISTURBED, objects::APP, "e-disturbed");
    fleet.provision(&[objects::with(instance, json!({"spec": {"platform": objects::CNPG}}))]);
    fleet.apply(&objects::slow_jobs("slow-migration", DISTURBED, "migration", SLOW_MIGRATION_MS)).unwrap();
    publish(fleet, "6.0", "1.0", json!({}));

    // A pod that takes its time to end: the Deployment does not count it.
    let pods = fleet.list("v1/pods", "gtc-disturbed", "app.kubernetes.io/component=web");
    let pod = pods[0]["metadata"]["name"].as_str().unwrap();
    let lingers = |finalizers: Value| json!({"metadata": {"finalizers": finalizers}});
    fleet.patch("v1/pods", "gtc-disturbed", pod, &lingers(json!(["example.org/slow"]))).unwrap();
    fleet.edit(DISTURBED, &json!({"spec": {"release": "app-6.0"}}));
    fleet.until(DISTURBED, "it waits for the pod", |instance| {
        let said = instance["status"]["upgrade"]["message"].as_str().unwrap_or_default();
        phase(instance) == "Backup" && said.contains(&format!("the pod {pod} has not ended"))
    });
    std::thread::sleep(BACKUP_WOULD_BEGIN);
    assert_eq!(fleet.list(&resource(Kind::Backup), "gtc-disturbed", "").len(), 0);
    fleet.patch("v1/pods", "gtc-disturbed", pod, &lingers(json!(null))).unwrap();

    // People meddle while the data is moved.
    fleet
        .until(DISTURBED, "the data is being moved", |instance| instance["status"]["upgrade"]["migration"].is_string());
    let jobs = fleet.list(&resource(Kind::Job), "gtc-disturbed", "");
    let job = jobs[0]["metadata"]["uid"].clone();
    fleet.edit(DISTURBED, &json!({"spec": {"env": [{"name": "LOG", "value": "debug"}], "sizeClass": "Large"}}));
    fleet.kubectl(&["scale", "deployment", "web", "-n", "gtc-disturbed", "--replicas", "2"]).unwrap();
    let releases = "gotocloud.amue.fr/v1alpha1/releases";
    fleet.patch(releases, "", "app-6.0", &json!({"spec": {"reachableFrom": ["0.1"]}})).unwrap();
    let refused = fleet.kubectl(&["delete", "release", "app-6.0"]).unwrap_err();
    assert!(refused.contains("cannot be deleted while instances need it"), "{refused}");

    let done = eventually(PATIENCE, "it is done", || {
        let instance = fleet.instance(DISTURBED);
        for other in fleet.list(&resource(Kind::Job), "gtc-disturbed", "") {
            assert_eq!(other["metadata"]["uid"], job, "the migration is not run a second time");
        }
        let has_ended = !matches!(phase(&instance), "Backup" | "Migrate" | "Rollout" | "Verify");
        if has_ended { Ok(instance) } else { Err(instance["status"].to_string()) }
    });
    assert_eq!(phase(&done), "Done", "{}", done["status"]["upgrade"]);
    assert_eq!(done["status"]["pointOfNoReturn"]["release"], "app-6.0");
}

/// The fleet in flight: who is where, when the version before ends.
const IN_FLIGHT: [&str; 5] = ["half", "later", "pin", "run", "soak"];
/// Long enough for an operator that would change something to have done it.
const IT_WOULD_ACT: Duration = Duration::from_secs(12);

/// Puts an Instance's status into the form of the version before, whose records held names alone.
fn as_the_version_before_wrote_it(fleet: &Fleet, name: &str) {
    let upgrade = &fleet.instance(name)["status"]["upgrade"];
    let mut status = json!({"pointOfNoReturn": null, "revision": {"release": null}, "database": {"oid": null}});
    if let Some(steps) = upgrade["steps"].as_array() {
        let path: Vec<&Value> = steps.iter().map(|step| &step["release"]).collect();
        status["upgrade"] = json!({"path": path, "steps": null, "terms": null, "takenBack": null});
    }
    let path = format!("/apis/gotocloud.amue.fr/v1alpha1/namespaces/{HUB}/instances/{name}/status");
    let kind = "application/merge-patch+json";
    fleet.request(http::Method::PATCH, &path, kind, &json!({ "status": status })).unwrap();
}

/// What of a campaign and its targets may not change while one version follows another: when waves began, where targets
/// stand, their pods, and what they are made of.
fn in_flight(fleet: &Fleet) -> BTreeMap<String, String> {
    let status = fleet.get(CAMPAIGNS, "", "in-flight").unwrap()["status"].clone();
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for wave in status["waves"].as_array().unwrap() {
        all.insert(format!("wave {}", wave["name"]), wave["startedAt"].to_string());
    }
    for name in IN_FLIGHT {
        let instance = fleet.instance(name);
        let upgrade = &instance["status"]["upgrade"];
        let stands = json!([
            instance["spec"]["rollout"],
            instance["spec"]["release"],
            upgrade["phase"],
            upgrade["active"],
            upgrade["backup"],
            upgrade["startedAt"]
        ]);
        all.insert(name.to_owned(), stands.to_string());
        for pod in fleet.list("v1/pods", &format!("gtc-{name}"), "") {
            all.insert(format!("pod of {name} {}", pod["metadata"]["name"]), pod["metadata"]["uid"].to_string());
        }
        all.extend(made_of(fleet, name).into_iter().map(|(key, made)| (format!("{name} {key}"), format!("{made:?}"))));
    }
    all
}

fn a_fleet_in_flight_that_the_version_before_left_is_taken_over_without_a_pod_moved(fleet: &mut Fleet) {
    publish(fleet, "7.0", "1.0", json!({}));
    let instance = |name: &str| {
        fleet.apply(&objects::establishment(&format!("e-{name}"))).unwrap();
        let instance = objects::instance(name, objects::APP, &format!("e-{name}"));
        objects::with(instance, json!({"spec": {"platform": objects::CNPG}}))
    };
    fleet.provision(&IN_FLIGHT.map(instance));
    // The campaign chooses, but for one that a person holds where it is.
    for name in IN_FLIGHT.into_iter().filter(|name| *name != "pin") {
        fleet.edit(name, &json!({"spec": {"release": null}}));
    }
    fleet.kubectl_apply(&objects::unready_pods("run-waits", "7.0", &["e-run"])).unwrap();
    fleet.kubectl_apply(&objects::failing_jobs("half-breaks", "half", "migration")).unwrap();
    let first = json!({"name": "first", "targets": {"names": ["half", "pin", "run", "soak"]}, "maxConcurrent": 4,
        "maxFailures": 1, "soak": "24h"});
    let second = json!({"name": "second", "targets": {"names": ["later"]}});
    let waves = json!({"spec": {"waves": [first, second], "progressDeadline": "1h"}});
    fleet.apply(&objects::with(campaign("in-flight", "7.0", "later"), waves)).unwrap();
    for (name, phase) in [("half", "Failed"), ("run", "Rollout"), ("soak", "Soak")] {
        fleet.until(name, phase, |one| one["status"]["upgrade"]["phase"] == phase);
    }
    until(fleet, "in-flight", "all is told", |status| {
        status["counts"]["failed"] == 1 && status["counts"]["pinned"] == 1 && status["counts"]["soaking"] == 1
    });

    fleet.installation.operator.take().unwrap().terminate().unwrap();
    for name in IN_FLIGHT {
        as_the_version_before_wrote_it(fleet, name);
        assert!(fleet.instance(name)["status"]["upgrade"]["steps"].is_null());
    }
    let before = in_flight(fleet);
    fleet.installation.start_operator().unwrap();
    std::thread::sleep(IT_WOULD_ACT);
    assert_eq!(in_flight(fleet), before);

    // What was under way goes on, and what was settled by nobody stays.
    fleet.delete("kwok.x-k8s.io/v1alpha1/stages", "", "run-waits").unwrap();
    fleet.kubectl(&["delete", "pods", "--all", "-n", "gtc-run"]).unwrap();
    fleet.until("run", "it is watched", |one| one["status"]["upgrade"]["phase"] == "Soak");
    let run = fleet.instance("run");
    assert_eq!(run["status"]["upgrade"]["steps"][0]["release"], "app-7.0", "the record holds facts now");
    let now = in_flight(fleet);
    let is_kept = |key: &&String| key.starts_with("wave") || ["half", "later", "pin", "soak"].contains(&key.as_str());
    for key in before.keys().filter(is_kept) {
        assert_eq!(now[key], before[key], "{key}");
    }
    assert_eq!(fleet.instance("half")["status"]["upgrade"]["phase"], "Failed");
    assert!(fleet.list("v1/pods", "gtc-half", "").iter().all(|pod| pod["status"]["phase"] != "Running"));
}

fleet_tests!(
    "it-migrations",
    |spec| spec,
    [
        the_fleet_is_there,
        what_cannot_be_undone_is_done_after_a_backup_with_pods_stopped_and_once,
        a_campaign_has_the_way_rehearsed_on_a_copy_before_it_touches_the_instance,
        a_rehearsal_that_fails_says_why_and_leaves_the_instance_as_it_is,
        where_there_is_no_backup_there_is_no_rehearsal,
        the_last_pod_has_to_end_and_nobodys_edit_disturbs_the_migration,
        a_fleet_in_flight_that_the_version_before_left_is_taken_over_without_a_pod_moved,
    ]
);
