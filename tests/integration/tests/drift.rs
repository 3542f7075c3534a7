//! Does what was asked stay so, whoever changes it, and is what is somebody else's left alone?

#![allow(clippy::unwrap_used)] // A test fails by panicking.

use gotocloud_harness::Moment;
use gotocloud_integration::{
    Fleet, HUB, INSTANCES, NAMESPACES, PATIENCE, condition, eventually, fleet_tests,
    objects::{APP, CNPG, ETAB, RELEASE, establishment, image, instance, release, with},
    resource,
};
use gotocloud_planner::Kind;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The Instance of this file on the Platform with a PostgreSQL server and an Ingress controller.
const ON_SERVER: &str = "drift";
/// The one on the Platform with everything.
const ON_CNPG: &str = "drift-cnpg";
/// What is asked of the operator on a machine of its own.
const DEMAND: Duration = Duration::from_secs(1);
/// What is asked of it here, where others may be at work on the same processors.
const BUSY: Duration = Duration::from_secs(3);

/// Waits until `seen` holds; gives how long that took.
fn until(what: &str, seen: impl Fn() -> bool) -> Duration {
    let begun = Instant::now();
    while !seen() {
        assert!(begun.elapsed() < PATIENCE, "not put right: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}

/// Prints how long each took, and holds them against what is asked.
fn hold(figures: &[(String, Duration)]) {
    for (what, took) in figures {
        println!("  {what:<48} {:>5} ms", took.as_millis());
    }
    let (slowest, took) = figures.iter().max_by_key(|(_, took)| *took).unwrap();
    let over = figures.iter().filter(|(_, took)| *took > DEMAND).count();
    println!(
        "  slowest: {slowest}, {} ms; over {} ms: {over} of {}",
        took.as_millis(),
        DEMAND.as_millis(),
        figures.len()
    );
    assert!(*took <= BUSY, "{slowest} took {took:?}");
}

fn name_of(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

fn the_fleet_of_this_file_is_ready(fleet: &mut Fleet) {
    fleet.apply(&establishment("etab-2")).unwrap();
    let on_cnpg = with(instance(ON_CNPG, APP, "etab-2"), json!({"spec": {"platform": CNPG}}));
    fleet.provision(&[instance(ON_SERVER, APP, ETAB), on_cnpg]);
}

fn an_object_of_any_kind_that_somebody_deletes_is_back_within_a_second(fleet: &mut Fleet) {
    let mut figures = Vec::new();
    for instance in [ON_SERVER, ON_CNPG] {
        let namespace = format!("gtc-{instance}");
        for (kind, object) in fleet.children(instance) {
            // The namespace is not deleted by hand, nor are a Secret and a Cluster (below).
            if matches!(kind, Kind::Namespace | Kind::Secret | Kind::Cluster)
                || (instance == ON_CNPG && !kind.is_optional())
            {
                continue;
            }
            let (name, uid) = (name_of(&object), object["metadata"]["uid"].clone());
            let what = format!("{kind} {name} deleted");
            fleet.delete(&resource(kind), &namespace, &name).unwrap();
            let is_back =
                || fleet.get(&resource(kind), &namespace, &name).is_some_and(|object| object["metadata"]["uid"] != uid);
            figures.push((what.clone(), until(&what, is_back)));
        }
    }
    assert!(figures.len() >= 20, "{} objects were deleted", figures.len());
    hold(&figures);
    fleet.ready(ON_SERVER);
    fleet.ready(ON_CNPG);
}

fn a_field_that_somebody_changes_is_put_right_within_a_second(fleet: &mut Fleet) {
    let env = |value: &str| json!({"data": {"URL": value}});
    let web = "web";
    let changes: [(&str, Kind, &str, Value, &str); 13] = [
        (ON_SERVER, Kind::Deployment, web, json!({"spec": {"replicas": 5}}), "/spec/replicas"),
        (
            ON_SERVER,
            Kind::Deployment,
            web,
            json!({"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image("web", "other")}]}}}}),
            "/spec/template/spec/containers/0/image",
        ),
        (
            ON_SERVER,
            Kind::Service,
            web,
            json!({"spec": {"selector": {"app.kubernetes.io/component": "other"}}}),
            "/spec/selector",
        ),
        (
            ON_SERVER,
            Kind::NetworkPolicy,
            "default-deny",
            json!({"spec": {"policyTypes": ["Ingress"]}}),
            "/spec/policyTypes",
        ),
        (ON_SERVER, Kind::NetworkPolicy, web, json!({"spec": {"ingress": []}}), "/spec/ingress"),
        (ON_SERVER, Kind::ConfigMap, "web-env", env("https://elsewhere.example.org"), "/data/URL"),
        (ON_SERVER, Kind::ResourceQuota, "size-class", json!({"spec": {"hard": {"pods": "99"}}}), "/spec/hard/pods"),
        (ON_SERVER, Kind::LimitRange, "size-class", json!({"spec": {"limits": [{"type": "Pod"}]}}), "/spec/limits"),
        (ON_SERVER, Kind::RoleBinding, "gotocloud-operator", json!({"subjects": []}), "/subjects"),
        (
            ON_SERVER,
            Kind::ServiceAccount,
            "workload",
            json!({"automountServiceAccountToken": true}),
            "/automountServiceAccountToken",
        ),
        (ON_SERVER, Kind::PodDisruptionBudget, web, json!({"spec": {"maxUnavailable": 7}}), "/spec/maxUnavailable"),
        (ON_SERVER, Kind::Ingress, "public", json!({"spec": {"ingressClassName": "other"}}), "/spec/ingressClassName"),
        (
            ON_CNPG,
            Kind::HttpRoute,
            "public",
            json!({"spec": {"hostnames": ["elsewhere.example.org"]}}),
            "/spec/hostnames",
        ),
    ];
    let mut figures = Vec::new();
    for (instance, kind, name, change, pointer) in changes {
        let namespace = format!("gtc-{instance}");
        let at = || fleet.child(kind, instance, name).pointer(pointer).cloned();
        let before = at();
        let content = "application/merge-patch+json";
        let content = if kind == Kind::Deployment { "application/strategic-merge-patch+json" } else { content };
        let path = format!(
            "/{}/{}/namespaces/{namespace}/{}/{name}?fieldManager=somebody",
            if kind.group().is_empty() { "api" } else { "apis" },
            kind.api_version(),
            kind.plural()
        );
        let answer = fleet.request(http::Method::PATCH, &path, content, &change).unwrap();
        assert_ne!(answer.pointer(pointer).cloned(), before, "{kind} {name} was changed");
        let what = format!("{kind} {name} {pointer}");
        figures.push((what.clone(), until(&what, || at() == before)));
    }
    // Labels by which the operator knows its own, and those by which the namespace admits only restricted pods.
    for (label, value) in
        [("pod-security.kubernetes.io/enforce", "privileged"), ("gotocloud.amue.fr/establishment", "other")]
    {
        let at = || fleet.get(NAMESPACES, "", "gtc-drift").unwrap()["metadata"]["labels"][label].clone();
        let before = at();
        fleet.patch(NAMESPACES, "", "gtc-drift", &json!({"metadata": {"labels": {label: value}}})).unwrap();
        figures.push((format!("Namespace {label}"), until(label, || at() == before)));
    }
    hold(&figures);
    fleet.ready(ON_SERVER);
    fleet.ready(ON_CNPG);
}

fn labels_that_somebody_takes_off_are_put_back_within_a_second(fleet: &mut Fleet) {
    let all = json!({"metadata": {"labels": null}});
    let of_its_instance = json!({"metadata": {"labels": {"gotocloud.amue.fr/instance": null}}});
    let changes = [
        (ON_SERVER, Kind::Service, "web", &all),
        (ON_SERVER, Kind::Deployment, "web", &all),
        (ON_SERVER, Kind::NetworkPolicy, "default-deny", &all),
        (ON_SERVER, Kind::RoleBinding, "gotocloud-operator", &all),
        (ON_SERVER, Kind::ConfigMap, "web-env", &of_its_instance),
        (ON_SERVER, Kind::Namespace, "gtc-drift", &all),
        (ON_CNPG, Kind::Cluster, "database", &all),
    ];
    let mut figures = Vec::new();
    for (instance, kind, name, change) in changes {
        let namespace = if kind == Kind::Namespace { String::new() } else { format!("gtc-{instance}") };
        let metadata = || fleet.get(&resource(kind), &namespace, name).unwrap()["metadata"].take();
        let before = metadata();
        let stripped = fleet.patch(&resource(kind), &namespace, name, change).unwrap();
        assert_ne!(stripped["metadata"]["labels"], before["labels"], "{kind} {name} lost its labels");
        let what = format!("{kind} {name} without labels");
        figures.push((what.clone(), until(&what, || metadata()["labels"] == before["labels"])));
        assert_eq!(metadata()["uid"], before["uid"], "{kind} {name} is the one it was");
    }
    hold(&figures);
    fleet.ready(ON_SERVER);
    fleet.ready(ON_CNPG);
}

fn a_database_that_somebody_deletes_is_not_begun_anew_before_they_ask_for_it(fleet: &mut Fleet) {
    let (namespace, clusters) = ("gtc-drift-cnpg", resource(Kind::Cluster));
    let uid_of = |fleet: &Fleet| {
        let cluster = fleet.get(&clusters, namespace, "database")?;
        Some(cluster["metadata"]["uid"].as_str().unwrap().to_owned())
    };
    let uid = uid_of(fleet).unwrap();
    assert_eq!(fleet.instance(ON_CNPG)["status"]["database"]["provisioned"], uid);
    fleet.delete(&clusters, namespace, "database").unwrap();
    let message = fleet.stalled(ON_CNPG, "DatabaseLost");
    assert!(message.contains("Cluster gtc-drift-cnpg/database"), "{message}");
    assert!(message.contains(&format!("gotocloud.amue.fr/new-empty-database={uid}")), "{message}");
    // What else is amiss is put right.
    fleet.delete("apps/v1/deployments", namespace, "web").unwrap();
    until("Deployment web deleted", || fleet.get("apps/v1/deployments", namespace, "web").is_some());
    // A word given of another one is none.
    let ask = |fleet: &Fleet, uid: &str| {
        let annotation = json!({"metadata": {"annotations": {"gotocloud.amue.fr/new-empty-database": uid}}});
        fleet.edit(ON_CNPG, &annotation);
    };
    ask(fleet, "11111111-2222-3333-4444-555555555555");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(uid_of(fleet), None);
    ask(fleet, &uid);
    fleet.ready(ON_CNPG);
    let anew = uid_of(fleet).unwrap();
    assert_ne!(anew, uid);
    assert_eq!(fleet.instance(ON_CNPG)["status"]["database"]["provisioned"], anew);
}

fn nobody_else_may_change_or_delete_its_secrets(fleet: &mut Fleet) {
    let namespace = "gtc-drift";
    let password = fleet.secret(namespace, "database-app", "password").unwrap();
    let refusal =
        fleet.patch("v1/secrets", namespace, "database-app", &json!({"stringData": {"password": "mine"}})).unwrap_err();
    assert!(
        refusal
            .message
            .contains("Secret gtc-drift/database-app is kept by the Go-to-Cloud operator for Instance hub/drift"),
        "{refusal}"
    );
    let refusal = fleet.delete("v1/secrets", namespace, "generated").unwrap_err();
    assert!(refusal.message.contains("nobody else may change or delete it"), "{refusal}");
    assert_eq!(fleet.secret(namespace, "database-app", "password").unwrap(), password);
}

fn what_is_added_beside_it_stays(fleet: &mut Fleet) {
    let note =
        json!({"metadata": {"annotations": {"example.org/note": "by somebody"}, "labels": {"example.org/team": "a"}}});
    fleet.patch("apps/v1/deployments", "gtc-drift", "web", &note).unwrap();
    fleet
        .apply(
            &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": "gtc-drift"}}),
        )
        .unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let deployment = fleet.child(Kind::Deployment, ON_SERVER, "web");
    assert_eq!(deployment["metadata"]["annotations"]["example.org/note"], "by somebody");
    assert!(fleet.get("v1/configmaps", "gtc-drift", "theirs").is_some());
}

fn what_a_release_no_longer_has_is_removed_and_nothing_else(fleet: &mut Fleet) {
    let mut smaller = release(APP, "1.1");
    smaller["spec"]["components"].as_array_mut().unwrap().pop();
    smaller["spec"]["components"][0]["talksTo"] = json!([]);
    smaller["spec"]["generatedSecrets"] = json!([]);
    smaller["spec"]["components"][0]["env"].as_array_mut().unwrap().pop();
    fleet.apply(&smaller).unwrap();
    fleet.edit(ON_SERVER, &json!({"spec": {"release": "app-1.1"}}));
    let after = fleet.ready(ON_SERVER);
    for (kind, name) in [
        (Kind::Deployment, "batch"),
        (Kind::Service, "batch"),
        (Kind::PodDisruptionBudget, "batch"),
        (Kind::NetworkPolicy, "batch"),
        (Kind::Secret, "generated"),
    ] {
        fleet.until_gone(&resource(kind), "gtc-drift", name);
    }
    assert!(fleet.get("v1/configmaps", "gtc-drift", "theirs").is_some(), "what is not its own stays");
    assert!(fleet.secret("gtc-drift", "database-app", "password").is_some());
    assert_eq!(after["status"]["release"]["version"], "1.1");
    let instance = eventually(PATIENCE, "the inventory follows", || {
        let instance = fleet.instance(ON_SERVER);
        if instance["status"]["inventory"]["count"] == fleet.children(ON_SERVER).len() {
            Ok(instance)
        } else {
            Err(instance["status"]["inventory"].to_string())
        }
    });
    assert!(!instance["status"]["inventory"].to_string().contains("batch"));
    fleet.edit(ON_SERVER, &json!({"spec": {"release": RELEASE}}));
    fleet.ready(ON_SERVER);
}

fn an_object_of_somebody_else_is_left_alone_until_its_owner_hands_it_over(fleet: &mut Fleet) {
    fleet.apply(&establishment("etab-3")).unwrap();
    // The namespace itself is somebody's.
    let theirs =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gtc-taken", "labels": {"team": "a"}}});
    fleet.apply(&theirs).unwrap();
    fleet.apply(&instance("taken", APP, "etab-3")).unwrap();
    let message = fleet.stalled("taken", "ForeignObject");
    assert!(message.contains("Namespace gtc-taken") && message.contains("belongs to test"), "{message}");
    assert!(message.contains("gotocloud.amue.fr/adopt-by=hub/taken"), "{message}");
    let there = fleet.get(NAMESPACES, "", "gtc-taken").unwrap();
    assert_eq!(
        there["metadata"]["labels"],
        json!({"kubernetes.io/metadata.name": "gtc-taken", "team": "a"}),
        "untouched"
    );
    assert!(fleet.list("apps/v1/deployments", "gtc-taken", "").is_empty());
    // In it, an object of the same name as one of its own.
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web-env", "namespace": "gtc-taken"}, "data": {"THEIRS": "1"}});
    fleet.apply(&map).unwrap();
    fleet
        .patch(
            NAMESPACES,
            "",
            "gtc-taken",
            &json!({"metadata": {"annotations": {"gotocloud.amue.fr/adopt-by": "hub/taken"}}}),
        )
        .unwrap();
    let message = eventually(PATIENCE, "the namespace is taken up, the ConfigMap is not", || {
        let stalled = condition(&fleet.instance("taken"), "Stalled").map(|one| one.message).unwrap_or_default();
        if stalled.contains("ConfigMap gtc-taken/web-env") { Ok(stalled) } else { Err(stalled) }
    });
    assert!(message.contains("is already there and belongs to test"), "{message}");
    assert_eq!(
        fleet.get("v1/configmaps", "gtc-taken", "web-env").unwrap()["data"],
        json!({"THEIRS": "1"}),
        "untouched"
    );
    let handed = Instant::now();
    fleet
        .patch(
            "v1/configmaps",
            "gtc-taken",
            "web-env",
            &json!({"metadata": {"annotations": {"gotocloud.amue.fr/adopt-by": "hub/taken"}}}),
        )
        .unwrap();
    fleet.ready("taken");
    println!("  taken up {:.1} s after it was handed over", handed.elapsed().as_secs_f64());
    let label =
        fleet.child(Kind::ConfigMap, "taken", "web-env")["metadata"]["labels"]["gotocloud.amue.fr/instance"].clone();
    assert_eq!(label, "taken");
}

fn of_two_instances_of_one_name_the_second_waits_and_harms_nothing(fleet: &mut Fleet) {
    fleet.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "hub-2"}})).unwrap();
    for name in ["first", "second"] {
        fleet.apply(&establishment(name)).unwrap();
    }
    fleet.provision(&[instance("twice", APP, "first")]);
    let objects = |fleet: &Fleet| -> Vec<(Kind, String, Value)> {
        let all = fleet.children("twice").into_iter();
        all.map(|(kind, object)| (kind, name_of(&object), object["metadata"]["uid"].clone())).collect()
    };
    let before = objects(fleet);
    let second = with(instance("twice", APP, "second"), json!({"metadata": {"namespace": "hub-2"}}));
    fleet.apply(&second).unwrap();
    let second_condition = |kind: &str| condition(&fleet.get(INSTANCES, "hub-2", "twice").unwrap(), kind);
    let message = eventually(PATIENCE, "the second is stalled", || match second_condition("Stalled") {
        Some(stalled) if stalled.reason == "NamespaceTaken" => Ok(stalled.message),
        other => Err(format!("{other:?}")),
    });
    assert!(
        message.contains("gtc-twice") && message.contains("hub/twice") && message.contains("another name"),
        "{message}"
    );
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(objects(fleet), before, "the first's objects are untouched");
    assert_eq!(fleet.sql("SELECT count(*) FROM pg_database WHERE datname = 'twice'").unwrap(), [["1"]]);
    fleet.delete(INSTANCES, HUB, "twice").unwrap();
    fleet.until_gone(INSTANCES, HUB, "twice");
    eventually(PATIENCE, "the second takes the name", || match second_condition("Ready") {
        Some(ready) if ready.status == "True" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let namespace = fleet.get(NAMESPACES, "", "gtc-twice").unwrap();
    assert_eq!(namespace["metadata"]["labels"]["gotocloud.amue.fr/instance-namespace"], "hub-2");
    assert_eq!(namespace["metadata"]["labels"]["gotocloud.amue.fr/establishment"], "second");
}

fn at_rest_nothing_is_written_and_nothing_listed(fleet: &mut Fleet) {
    fleet.ready(ON_SERVER);
    fleet.ready(ON_CNPG);
    // What counts the fleet writes once it was quiet for a second.
    std::thread::sleep(Duration::from_secs(5));
    let since: Moment = jiff::Timestamp::now();
    let reconciliations = fleet.operator().metric("gotocloud_reconciliations_total").unwrap();
    std::thread::sleep(Duration::from_secs(15));
    let asked = fleet.asked_since(since);
    println!("  in 15 s at rest: {asked:?}");
    assert_eq!((asked.writes, asked.lists), (0, 0), "{asked:?}");
    // Once a minute the administrator's Secret and that of each instance, whose login is tried on a database server.
    let secrets = 1 + fleet.list(INSTANCES, "", "").len();
    assert!(
        asked.gets <= asked.lease_writes + 1 + u64::try_from(secrets).unwrap(),
        "it reads its Lease and those Secrets: {asked:?}"
    );
    assert!(asked.lease_writes > 0, "it holds its Lease, so it was counted");
    let reconciliations = fleet.operator().metric("gotocloud_reconciliations_total").unwrap() - reconciliations;
    assert!(reconciliations <= 2.0, "{reconciliations} reconciliations at rest");
}

fleet_tests!(
    "it-drift",
    gotocloud_harness::ClusterSpec::audit,
    [
        the_fleet_of_this_file_is_ready,
        an_object_of_any_kind_that_somebody_deletes_is_back_within_a_second,
        a_field_that_somebody_changes_is_put_right_within_a_second,
        labels_that_somebody_takes_off_are_put_back_within_a_second,
        a_database_that_somebody_deletes_is_not_begun_anew_before_they_ask_for_it,
        nobody_else_may_change_or_delete_its_secrets,
        what_is_added_beside_it_stays,
        what_a_release_no_longer_has_is_removed_and_nothing_else,
        an_object_of_somebody_else_is_left_alone_until_its_owner_hands_it_over,
        of_two_instances_of_one_name_the_second_waits_and_harms_nothing,
        at_rest_nothing_is_written_and_nothing_listed,
    ]
);
