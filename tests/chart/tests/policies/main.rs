//! What does a real API server refuse once the chart is installed, and what does it tell the person?
//!
//! One test, as it takes one cluster: each function below is a scenario with objects of its own.

#![allow(clippy::unwrap_used)] // a test stops where something is not as it must be

mod people;
mod token;

use gotocloud_chart_tests::NAMESPACE;
use gotocloud_chart_tests::cluster::ScratchCluster;
use gotocloud_chart_tests::fleet::{application, establishment, instance, platform, release};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const OPERATOR: &str = "--as=system:serviceaccount:gotocloud-system:gotocloud-operator";
const ON_CALL: [&str; 3] = ["--as=jane", "--as-group=on-call", "--as-group=system:masters"];

/// The chart in a cluster of its own, with its policies in force: that takes a moment after they were made.
fn installed() -> ScratchCluster {
    let cluster = ScratchCluster::start("chart-policies");
    cluster.install(&["--set=policies.breakGlassGroups={on-call}"]);
    cluster.make(&instance("probe", "FullProduction", None));
    cluster.make(&json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": "probe", "labels": { "gotocloud.amue.fr/deletion-protected": "true" } } }));
    cluster.is_refused_soon(&["delete", "instance", "probe", "--dry-run=server"]);
    cluster.is_refused_soon(&["delete", "namespace", "probe", "--dry-run=server"]);
    cluster
}

#[track_caller]
fn assert_says(refusal: &str, words: &str) {
    assert!(refusal.contains(words), "{words:?} is not in:\n{refusal}");
}

#[test]
fn the_policies_refuse_what_would_lose_data() {
    let cluster = installed();
    the_api_server_finds_no_fault_in_the_expressions(&cluster);
    an_instance_in_production_is_protected_until_somebody_says_otherwise(&cluster);
    an_instance_is_protected_in_any_stage_where_somebody_says_so(&cluster);
    what_instances_need_stays_until_the_last_is_gone(&cluster);
    the_operator_makes_a_namespace_and_lets_itself_in(&cluster);
    a_secret_of_the_operator_is_changed_by_nobody_else(&cluster);
    a_namespace_that_holds_an_instance_goes_only_with_it(&cluster);
    a_namespace_that_keeps_data_says_so(&cluster);
    any_namespace_can_be_protected(&cluster);
    token::reaches_nothing_but_the_fleet(&cluster);
    who_may_edit_a_campaign_approves_nothing_by_that(&cluster);
    nobody_says_that_a_campaign_holds_an_instance(&cluster);
    people::who_may_edit_a_namespace_asks_for_no_instance_there(&cluster);
    people::who_gives_a_word_tells_no_status_and_approves_nothing(&cluster);
    people::instances_are_made_in_a_hub_and_nowhere_else(&cluster);
    people::the_token_deletes_no_namespace_of_an_instance_that_nobody_deleted(&cluster);
}

fn the_api_server_finds_no_fault_in_the_expressions(cluster: &ScratchCluster) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let listed = cluster.does(&["get", "validatingadmissionpolicies", "-o", "json"]);
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let policies = listed["items"].as_array().unwrap();
        assert_eq!(policies.len(), 14);
        for policy in policies {
            let warnings = &policy["status"]["typeChecking"]["expressionWarnings"];
            assert!(warnings.is_null(), "{}: {warnings:#}", policy["metadata"]["name"]);
        }
        if policies.iter().all(|policy| policy["status"]["observedGeneration"].is_u64()) {
            return;
        }
        assert!(Instant::now() < deadline, "the API server does not check the policies");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn an_instance_in_production_is_protected_until_somebody_says_otherwise(cluster: &ScratchCluster) {
    cluster.make(&instance("trial", "Provisioned", None));
    cluster.does(&["delete", "instance", "trial"]);

    for stage in ["PartialProduction", "FullProduction"] {
        cluster.make(&instance("payroll", stage, None));
        let refusal = cluster.is_refused(&["delete", "instance", "payroll"]);
        assert_says(&refusal, "Instance default/payroll is protected against deletion");
        assert_says(&refusal, &format!("its stage is {stage}"));
        assert_says(&refusal, "establishment lille depends on it");
        assert_says(
            &refusal,
            r#"kubectl patch instance payroll -n default --type merge -p '{"spec":{"deletionProtection":false}}'"#,
        );
        let lift = r#"{"spec":{"deletionProtection":false}}"#;
        cluster.does(&["patch", "instance", "payroll", "-n", "default", "--type", "merge", "-p", lift]);
        cluster.does(&["delete", "instance", "payroll"]);
    }
}

fn an_instance_is_protected_in_any_stage_where_somebody_says_so(cluster: &ScratchCluster) {
    cluster.make(&instance("archive", "Provisioned", Some(true)));
    let refusal = cluster.is_refused(&["delete", "instances", "--all"]);
    assert_says(&refusal, "Instance default/archive is protected against deletion (spec.deletionProtection is true)");
}

fn what_instances_need_stays_until_the_last_is_gone(cluster: &ScratchCluster) {
    let cases = [
        (application("caplab"), "Application", "--field-selector spec.application=caplab"),
        (release("caplab-1.2.3", "caplab"), "Release", "--field-selector spec.application=caplab (column RELEASE)"),
        (platform("paris"), "Platform", "kubectl get instances -A (column PLATFORM)"),
        (establishment("lille"), "Establishment", "kubectl get instances -A --field-selector spec.establishment=lille"),
    ];
    for (object, kind, command) in cases {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        cluster.make(&object);
        let count = |number: u32| {
            let counts = json!({ "total": number, "ready": 0, "provisioned": 0, "partialProduction": 0,
                "fullProduction": 0 });
            let whole = matches!(kind, "Application" | "Establishment");
            let status = json!({ "status": { "instances": if whole { counts } else { number.into() } } });
            cluster.does(&["patch", kind, &name, "--subresource=status", "--type=merge", "-p", &status.to_string()]);
        };
        count(2);
        let refusal = cluster.is_refused(&["delete", kind, &name]);
        assert_says(&refusal, &format!("{kind} {name} cannot be deleted while instances need it: 2 remain."));
        assert_says(&refusal, command);
        count(1);
        assert_says(&cluster.is_refused(&["delete", kind, &name]), "1 remains. Delete it first");
        count(0);
        cluster.does(&["delete", kind, &name]);
        // One the operator has not seen yet has no status.
        cluster.make(&object);
        cluster.does(&["delete", kind, &name]);
    }
}

fn labels(instance: &str) -> Value {
    json!({
        "app.kubernetes.io/managed-by": "gotocloud-operator",
        "gotocloud.amue.fr/instance": instance,
        "gotocloud.amue.fr/instance-namespace": "default",
        "gotocloud.amue.fr/deletion-protected": "true",
    })
}

/// Those of its namespace.
fn namespace_labels(instance: &str) -> Value {
    let mut labels = labels(instance);
    labels["pod-security.kubernetes.io/enforce"] = "restricted".into();
    labels
}

/// Makes the namespace of an instance, and what is in it, as the operator does and with its rights.
fn furnish(cluster: &ScratchCluster, instance: &str) {
    let namespace = format!("gtc-{instance}");
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": { "name": "gotocloud-operator", "namespace": namespace },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "gotocloud-instance" },
        "subjects": [{ "kind": "ServiceAccount", "name": "gotocloud-operator", "namespace": NAMESPACE }],
    });
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "stringData": { "password": "hunter2" },
        "metadata": { "name": "database", "namespace": namespace, "labels": labels(instance) },
    });
    for object in [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace, "labels": namespace_labels(instance),
            "annotations": { "kubernetes.io/description": "The workload of an Instance" } } }),
        binding,
        secret,
    ] {
        apply_as_operator(cluster, &object);
    }
}

fn apply_as_operator(cluster: &ScratchCluster, object: &Value) {
    cluster.make_as(object, OPERATOR);
}

fn the_operator_makes_a_namespace_and_lets_itself_in(cluster: &ScratchCluster) {
    furnish(cluster, "own");
    cluster.does(&["get", "secret", "database", "-n", "gtc-own", OPERATOR]);
    cluster.does(&["get", "lease", "gotocloud-operator", "-n", NAMESPACE, "--ignore-not-found", OPERATOR]);
    let refusal = cluster.is_refused(&["get", "secret", "-n", "gtc-own", OPERATOR]);
    assert_says(&refusal, "cannot list resource \"secrets\"");
}

fn a_secret_of_the_operator_is_changed_by_nobody_else(cluster: &ScratchCluster) {
    furnish(cluster, "sealed");
    let on_secret = |verb: &[&str], more: &[&str]| {
        [verb, &["secret", "database", "-n", "gtc-sealed"], more].concat().iter().map(ToString::to_string).collect()
    };
    let attempts: [Vec<String>; 4] = [
        on_secret(&["patch"], &["--type=merge", "-p", r#"{"stringData":{"password":"guessed"}}"#]),
        on_secret(&["label"], &["app.kubernetes.io/managed-by-"]),
        on_secret(&["label"], &["gotocloud.amue.fr/instance=other", "--overwrite"]),
        on_secret(&["delete"], &[]),
    ];
    for attempt in &attempts {
        let attempt: Vec<&str> = attempt.iter().map(String::as_str).collect();
        let refusal = cluster.is_refused(&attempt);
        assert_says(
            &refusal,
            "Secret gtc-sealed/database is kept by the Go-to-Cloud operator for Instance default/sealed",
        );
        assert_says(&refusal, "act as a member of: on-call");
    }
    // What changes no content is nobody's harm: a backup tool's note, the rewriting of all Secrets under a new key.
    cluster.does(&["annotate", "secret", "database", "-n", "gtc-sealed", "backup.example/done=yes"]);
    let as_it_is = cluster.does(&["get", "secret", "database", "-n", "gtc-sealed", "-o", "json"]);
    let mut rewritten: Value = serde_json::from_str(&as_it_is).unwrap();
    rewritten["metadata"]["managedFields"].take();
    cluster.make(&json!({ "apiVersion": "v1", "kind": "Secret", "data": rewritten["data"].clone(),
        "metadata": { "name": "database", "namespace": "gtc-sealed" } }));

    let new_password = ["patch", "secret", "database", "-n", "gtc-sealed", "--type=merge", "-p"];
    let with = |password: &str| json!({ "stringData": { "password": password } }).to_string();
    cluster.does(&[&new_password[..], &[&with("new"), OPERATOR]].concat());
    cluster.does(&[&new_password[..], &[&with("newer")], &ON_CALL[..]].concat());

    // A Secret of somebody else is somebody else's business, even once it bears the label by mistake.
    cluster.does(&["create", "secret", "generic", "mine", "--from-literal=a=b"]);
    cluster.does(&["label", "secret", "mine", "app.kubernetes.io/managed-by=gotocloud-operator"]);

    // An owner would be a way to have it collected.
    let uid =
        cluster.does(&["get", "configmap", "kube-root-ca.crt", "-n", "gtc-sealed", "-o", "jsonpath={.metadata.uid}"]);
    let owner = json!({ "metadata": { "ownerReferences": [
        { "apiVersion": "v1", "kind": "ConfigMap", "name": "kube-root-ca.crt", "uid": uid } ] } });
    let adopt = ["patch", "secret", "database", "-n", "gtc-sealed", "--type=merge", "-p", &owner.to_string()];
    assert_says(&cluster.is_refused(&adopt), "is kept by the Go-to-Cloud operator");

    for controller in ["namespace-controller", "generic-garbage-collector"] {
        let controller = format!("--as=system:serviceaccount:kube-system:{controller}");
        cluster.does(&["delete", "secret", "database", "-n", "gtc-sealed", "--dry-run=server", &controller]);
    }
}

fn a_namespace_that_holds_an_instance_goes_only_with_it(cluster: &ScratchCluster) {
    furnish(cluster, "held");
    let refusal = cluster.is_refused(&["delete", "namespace", "gtc-held"]);
    assert_says(&refusal, "namespace gtc-held holds the workload and the data of Instance default/held.");
    assert_says(&refusal, "kubectl delete instance held -n default");
    // The operator may, and then nothing keeps its Secrets.
    cluster.does(&["delete", "namespace", "gtc-held", "--wait=false", OPERATOR]);
    cluster.waits_until_gone("namespace", "gtc-held");
}

fn a_namespace_that_keeps_data_says_so(cluster: &ScratchCluster) {
    furnish(cluster, "kept");
    cluster.does(&["label", "namespace", "gtc-kept", "gotocloud.amue.fr/retained=true"]);
    cluster.does(&["annotate", "namespace", "gtc-kept", "gotocloud.amue.fr/retained-at=2026-01-31T22:00:00Z"]);
    cluster.does(&["annotate", "namespace", "gtc-kept", "gotocloud.amue.fr/retained-data=its database"]);
    let refusal = cluster.is_refused(&["delete", "namespace", "gtc-kept"]);
    assert_says(&refusal, "keeps the data of Instance default/kept, deleted on 2026-01-31T22:00:00Z (its database).");
    assert_says(&refusal, "kubectl label namespace gtc-kept gotocloud.amue.fr/deletion-protected-");
    cluster.does(&["label", "namespace", "gtc-kept", "gotocloud.amue.fr/deletion-protected-"]);
    cluster.does(&["delete", "namespace", "gtc-kept", "--wait=false"]);
    cluster.waits_until_gone("namespace", "gtc-kept");
}

fn any_namespace_can_be_protected(cluster: &ScratchCluster) {
    cluster.does(&["create", "namespace", "fleet"]);
    cluster.does(&["label", "namespace", "fleet", "gotocloud.amue.fr/deletion-protected=true"]);
    let refusal = cluster.is_refused(&["delete", "namespace", "fleet"]);
    assert_says(&refusal, "namespace fleet is protected against deletion.");
    assert_says(&refusal, "kubectl label namespace fleet gotocloud.amue.fr/deletion-protected-");
    cluster.does(&[&["delete", "namespace", "fleet", "--wait=false"], &ON_CALL[..]].concat());
}

/// Rights know no fields: who runs the fleet edits campaigns, and is not by that one of those who approve.
fn who_may_edit_a_campaign_approves_nothing_by_that(cluster: &ScratchCluster) {
    const EDITOR: &str = "--as=edith";
    const APPROVER: &str = "--as=anna";
    for (user, role) in
        [("edith", "gotocloud-operator-team"), ("anna", "gotocloud-operator-team"), ("anna", "gotocloud-approver")]
    {
        let name = format!("--user={user}");
        cluster.does(&[
            "create",
            "clusterrolebinding",
            &format!("{user}-{role}"),
            &format!("--clusterrole={role}"),
            &name,
        ]);
    }
    let wave = json!({"name": "rest", "targets": {"names": ["a"]}, "approval": "Manual"});
    cluster
        .make(&json!({"apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Campaign", "metadata": {"name": "walled"},
        "spec": {"application": "app", "upgrade": {"release": "app-1.0"}, "waves": [wave]}}));

    let word = |by: &str| {
        let patch = json!([{"op": "add", "path": "/spec/waves/0/approved", "value": {"by": by}}]);
        format!("--patch={patch}")
    };
    let patch = ["patch", "campaign", "walled", "--type=json"];
    let as_user = |user: &'static str| [&[user][..], &patch[..]].concat();
    let refusal = cluster.is_refused(&[&as_user(EDITOR)[..], &[&word("edith")]].concat());
    assert_says(&refusal, "edith may not approve wave rest");
    assert_says(&refusal, "gotocloud-approver");

    // What she may edit she still edits.
    cluster.does(&[EDITOR, "patch", "campaign", "walled", "--type=merge", "-p", "{\"spec\":{\"state\":\"Paused\"}}"]);
    let refusal = cluster.is_refused(&[&as_user(APPROVER)[..], &[&word("edith")]].concat());
    assert_says(&refusal, "a wave is approved in one's own name");
    cluster.does(&[&as_user(APPROVER)[..], &[&word("anna")]].concat());
    // Her word stays when somebody else edits beside it.
    cluster.does(&[EDITOR, "patch", "campaign", "walled", "--type=merge", "-p", "{\"spec\":{\"state\":\"Running\"}}"]);
}

/// One bogus value would keep every campaign off the Instance.
fn nobody_says_that_a_campaign_holds_an_instance(cluster: &ScratchCluster) {
    let rollout = json!({"campaign": "none", "uid": "0", "wave": "w", "attempt": 1, "wants": "app-1.0"});
    let mut held = instance("held", "Provisioned", None);
    held["spec"]["rollout"] = rollout.clone();
    let refusal = cluster.is_refused_to_make(&held);
    assert_says(&refusal, "Instance default/held: spec.rollout is written by campaigns");

    cluster.make(&instance("held", "Provisioned", None));
    let claim = format!("--patch={}", json!({"spec": {"rollout": rollout}}));
    let patch = ["patch", "instance", "held", "--type=merge"];
    assert_says(&cluster.is_refused(&[&patch[..], &[&claim]].concat()), "Leave it out of what you apply");

    cluster.does(&[&[OPERATOR][..], &patch[..], &[&claim]].concat());
    // What a campaign wrote disturbs no edit of anything else, and whoever may edit takes it out.
    cluster.does(&[&patch[..], &["--patch={\"spec\":{\"deletionProtection\":true}}"]].concat());
    let other = claim.replace("none", "another");
    assert_says(&cluster.is_refused(&[&patch[..], &[&other]].concat()), "written by campaigns");
    cluster.does(&[&patch[..], &["--patch={\"spec\":{\"rollout\":null}}"]].concat());
}
