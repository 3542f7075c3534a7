//! What does somebody reach who stole the operator's token? Each attempt is made with its rights.

use crate::{OPERATOR, apply_as_operator, assert_says, furnish, labels, namespace_labels};
use gotocloud_chart_tests::NAMESPACE;
use gotocloud_chart_tests::cluster::ScratchCluster;
use gotocloud_chart_tests::fleet::instance;
use serde_json::{Value, json};

pub fn reaches_nothing_but_the_fleet(cluster: &ScratchCluster) {
    what_rights_do_not_give(cluster);
    no_namespace_of_another_team(cluster);
    no_namespace_in_which_any_pod_may_run(cluster);
    nobody_is_let_in(cluster);
    no_namespace_that_keeps_data_is_deleted(cluster);
    nothing_is_said_in_a_persons_place(cluster);
}

/// What is refused when it is tried with the operator's rights.
fn refused(cluster: &ScratchCluster, arguments: &[&str]) -> String {
    cluster.is_refused(&[arguments, &[OPERATOR]].concat())
}

/// What is refused when an object is made with the operator's rights.
fn refused_to_make(cluster: &ScratchCluster, object: &Value) -> String {
    cluster.is_refused_to_make_as(object, OPERATOR)
}

fn what_rights_do_not_give(cluster: &ScratchCluster) {
    for forbidden in [
        &["get", "secret", "any", "-n", "default"][..],
        &["create", "deployment", "any", "--image=any", "-ndefault"],
        &["create", "clusterrolebinding", "any", "--clusterrole=gotocloud-instance", "--user=any"],
        &["delete", "instances", "--all", "-A"],
        &["delete", "validatingadmissionpolicybinding", "gotocloud-operator-namespaces"],
        &["create", "token", "gotocloud-operator", "-n", NAMESPACE],
        &["get", "secrets", "-n", NAMESPACE],
    ] {
        assert_says(&refused(cluster, forbidden), "is forbidden");
    }
}

fn no_namespace_of_another_team(cluster: &ScratchCluster) {
    for name in ["kube-node-lease", NAMESPACE] {
        assert_says(&refused(cluster, &["delete", "namespace", name]), "only namespaces called gtc-…");
    }
    cluster.does(&["create", "namespace", "gtc-stranger"]);
    let theirs = "the operator did not make the namespace gtc-stranger";
    assert_says(&refused(cluster, &["delete", "namespace", "gtc-stranger"]), theirs);

    // To say that it is the operator's takes it.
    let taking = json!({ "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": "gtc-stranger", "labels": namespace_labels("stranger") } });
    assert_says(&refused_to_make(cluster, &taking), theirs);
    let label = ["label", "namespace", "gtc-stranger", "app.kubernetes.io/managed-by=gotocloud-operator"];
    assert_says(&refused(cluster, &label), theirs);

    // But once its owner hands it over, to the Instance of its name.
    let hand_over = |to: &str| {
        let word = format!("gotocloud.amue.fr/adopt-by={to}");
        cluster.does(&["annotate", "namespace", "gtc-stranger", &word, "--overwrite"]);
    };
    let dry = ["label", "namespace", "gtc-stranger", "--overwrite", "--dry-run=server"];
    let whole = ["app.kubernetes.io/managed-by=gotocloud-operator", "pod-security.kubernetes.io/enforce=restricted"];
    let take = [&dry[..], &whole[..]].concat();
    hand_over("default/another");
    assert_says(&refused(cluster, &take), theirs);
    hand_over("default/stranger");
    cluster.does(&[&take[..], &[OPERATOR]].concat());
    cluster.does(&["annotate", "namespace", "gtc-stranger", "gotocloud.amue.fr/adopt-by-"]);

    // What it made stays its own when a person takes the labels off.
    furnish(cluster, "bare");
    let off: Vec<String> = labels("bare").as_object().unwrap().keys().map(|label| format!("{label}-")).collect();
    let off: Vec<&str> = off.iter().map(String::as_str).collect();
    cluster.does(&[&["label", "namespace", "gtc-bare"], &off[..]].concat());
    furnish(cluster, "bare");
}

fn no_namespace_in_which_any_pod_may_run(cluster: &ScratchCluster) {
    let namespace = |labels: &Value| {
        json!({ "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": "gtc-evil", "labels": labels, "annotations": { "kubernetes.io/description": "evil" } } })
    };
    let restricted = "in which restricted pods are enforced";
    assert_says(&refused_to_make(cluster, &namespace(&labels("evil"))), restricted);
    for (label, value) in [("enforce", "privileged"), ("enforce", "baseline"), ("enforce-version", "v1.0")] {
        let mut labels = namespace_labels("evil");
        labels[format!("pod-security.kubernetes.io/{label}")] = value.into();
        assert_says(&refused_to_make(cluster, &namespace(&labels)), restricted);
    }

    apply_as_operator(cluster, &namespace(&namespace_labels("evil")));
    for label in ["pod-security.kubernetes.io/enforce-", "app.kubernetes.io/managed-by-"] {
        assert_says(&refused(cluster, &["label", "namespace", "gtc-evil", label]), restricted);
    }
    furnish(cluster, "evil");
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "root", "namespace": "gtc-evil" },
        "spec": { "hostPID": true, "containers": [
            { "name": "root", "image": "any", "securityContext": { "privileged": true } }] } });
    // Nor may anybody else: the label speaks for itself.
    assert_says(&cluster.is_refused_to_make(&pod), "violates PodSecurity \"restricted");
    assert_says(&refused_to_make(cluster, &pod), "is forbidden");
}

fn nobody_is_let_in(cluster: &ScratchCluster) {
    furnish(cluster, "walled");
    let own = format!("--serviceaccount={NAMESPACE}:gotocloud-operator");
    let bind = |namespace: &str, role: &str, subject: &str| {
        let role = format!("--clusterrole={role}");
        refused(cluster, &["create", "rolebinding", "way-in", "-n", namespace, &role, subject])
    };

    assert_says(&bind("kube-system", "gotocloud-instance", &own), "not in kube-system");
    assert_says(&bind("gtc-stranger", "gotocloud-instance", &own), "not in gtc-stranger");
    assert_says(&bind("gtc-walled", "cluster-admin", &own), "attempting to grant RBAC permissions not currently held");
    for outsider in ["--user=mallory", "--group=system:authenticated", "--serviceaccount=default:gotocloud-operator"] {
        assert_says(&bind("gtc-walled", "gotocloud-instance", outsider), "The operator may let in nobody but itself");
    }
    let more = json!([{ "op": "add", "path": "/subjects/-", "value": {
        "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mallory" } }]);
    let patch = format!("--patch={more}");
    let widen = ["patch", "rolebinding", "gotocloud-operator", "-n", "gtc-walled", "--type=json", &patch];
    assert_says(&refused(cluster, &widen), "The operator may let in nobody but itself");
}

fn no_namespace_that_keeps_data_is_deleted(cluster: &ScratchCluster) {
    furnish(cluster, "archive");
    cluster.does(&["label", "namespace", "gtc-archive", "gotocloud.amue.fr/retained=true"]);
    assert_says(&refused(cluster, &["delete", "namespace", "gtc-archive"]), "is deleted by a person");
}

fn nothing_is_said_in_a_persons_place(cluster: &ScratchCluster) {
    let mut stranger = instance("planted", "Provisioned", None);
    assert_says(&refused_to_make(cluster, &stranger), "only for a campaign");

    stranger["metadata"]["name"] = "targeted".into();
    cluster.make(&stranger);
    for spec in [
        json!({ "deletionPolicy": "Delete" }),
        json!({ "deletionProtection": false }),
        json!({ "env": [{ "name": "LD_PRELOAD", "value": "/tmp/evil.so" }] }),
        json!({ "acceptedRevision": "0123456789abcdef" }),
        json!({ "sizeClass": "VeryLarge" }),
    ] {
        let patch = format!("--patch={}", json!({ "spec": spec }));
        let refusal = refused(cluster, &["patch", "instance", "targeted", "--type=merge", &patch]);
        assert_says(&refusal, "and no other field of its spec");
    }
    let restored = ["annotate", "instance", "targeted", "gotocloud.amue.fr/restored=m-1"];
    assert_says(&refused(cluster, &restored), "Annotations of an Instance are a person's words");

    // What campaigns write passes.
    let chosen = json!({ "spec": { "release": "caplab-1.2.3", "rehearse": "caplab-1.2.3",
        "rollout": { "campaign": "c", "uid": "0", "wave": "w", "attempt": 1, "wants": "caplab-1.2.3" } } });
    let patch = format!("--patch={chosen}");
    cluster.does(&["patch", "instance", "targeted", "--type=merge", &patch, OPERATOR]);
    cluster.does(&[
        "patch",
        "instance",
        "targeted",
        "--type=merge",
        r#"--patch={"metadata":{"finalizers":[],"labels":{"a":"b"}}}"#,
        OPERATOR,
    ]);
}
