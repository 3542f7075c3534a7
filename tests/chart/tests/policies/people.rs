//! What does somebody reach who may edit one namespace of the cluster? And what once the hubs are named?

use crate::{OPERATOR, assert_says, furnish};
use gotocloud_chart_tests::cluster::ScratchCluster;
use gotocloud_chart_tests::fleet::instance;
use serde_json::{Value, json};

const EDITOR: &str = "--as=eve";

/// Eve has the cluster's own role `edit` in the namespaces `default` and `elsewhere`.
pub fn who_may_edit_a_namespace_asks_for_no_instance_there(cluster: &ScratchCluster) {
    cluster.does(&["create", "namespace", "elsewhere"]);
    for namespace in ["default", "elsewhere"] {
        cluster.does(&["create", "rolebinding", "eve", "-n", namespace, "--clusterrole=edit", "--user=eve"]);
    }

    let planted = cluster.is_refused_to_make_as(&instance("planted", "Provisioned", None), EDITOR);
    assert_says(&planted, "cannot patch resource \"instances\"");
    assert_says(&cluster.is_refused(&["get", "instances", EDITOR]), "cannot list resource \"instances\"");
    assert_says(&cluster.is_refused(&["delete", "deferrals", "--all", EDITOR]), "cannot list resource \"deferrals\"");
}

/// What the operator says of a word is not for those who give it, nor for the tenant next door.
pub fn who_gives_a_word_tells_no_status_and_approves_nothing(cluster: &ScratchCluster) {
    const TENANT: &str = "--as=tess";
    const NEXT_DOOR: &str = "--as=noor";
    const TEAM: &str = "--as=theo";
    const APPROVER: &str = "--as=ada";
    for (user, namespace) in [("tess", "tenant"), ("noor", "next-door")] {
        cluster.does(&["create", "namespace", namespace]);
        let name = format!("--user={user}");
        cluster.does(&["create", "rolebinding", user, "-n", namespace, "--clusterrole=gotocloud-edit", &name]);
    }
    for (user, role) in [("theo", "gotocloud-operator-team"), ("ada", "gotocloud-approver")] {
        let (role, name) = (format!("--clusterrole={role}"), format!("--user={user}"));
        cluster.does(&["create", "clusterrolebinding", user, &role, &name]);
    }
    let object = |kind: &str, metadata: Value, spec: Value| json!({ "apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec });
    let wish =
        json!({ "establishment": "lille", "campaign": "wide", "until": "2999-01-01T00:00:00Z", "reason": "exams" });
    let deferral = object("Deferral", json!({ "name": "exams", "namespace": "tenant" }), wish);
    let approval = |by: &str| {
        object("Approval", json!({ "name": "word" }), json!({ "campaign": "wide", "wave": "all", "by": by }))
    };

    // Each gives the words that are theirs to give.
    let create = |who: &str, object: &Value| cluster.does_soon(&["create", who, &cluster.file(object)]);
    create(TENANT, &deferral);
    create(APPROVER, &approval("ada"));
    cluster.does(&["delete", "approval", "word"]);
    for who in [TENANT, NEXT_DOOR, TEAM] {
        let file = cluster.file(&approval(&who["--as=".len()..]));
        assert_says(&cluster.is_refused(&["create", who, &file]), "cannot create resource \"approvals\"");
    }
    let refusal = cluster.is_refused(&["replace", NEXT_DOOR, &cluster.file(&deferral)]);
    assert_says(&refusal, "cannot update resource \"deferrals\"");

    let me = cluster.does(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
    cluster.make(&approval(&me));
    let paths = [
        ("deferrals", "/apis/gotocloud.amue.fr/v1alpha1/namespaces/tenant/deferrals/exams/status"),
        ("approvals", "/apis/gotocloud.amue.fr/v1alpha1/approvals/word/status"),
    ];
    for (resource, path) in paths {
        let raw = format!("--raw={path}");
        let mut claim: Value = serde_json::from_str(&cluster.does(&["get", &raw])).unwrap();
        claim["status"] = json!({ "observedGeneration": 1, "conditions": [{ "type": "Ready", "status": "True",
            "reason": "AsDesired", "message": "it counts", "lastTransitionTime": "2026-01-01T00:00:00Z" }] });
        let file = cluster.file(&claim);
        for who in [TENANT, NEXT_DOOR, TEAM, APPROVER] {
            let refusal = cluster.is_refused(&["replace", &raw, who, &file]);
            assert_says(&refusal, &format!("cannot update resource \"{resource}/status\""));
            let patch = ["auth", "can-i", "patch", resource, "--subresource=status", "-n", "tenant", who];
            let said = cluster.is_refused(&patch);
            assert!(!said.contains("rror"), "it is an answer, not a failure: {said}");
        }
        // It is not the claim that is at fault.
        cluster.does(&["replace", &raw, &file]);
    }
}

/// The chart is upgraded, and names `default` as the hub.
pub fn instances_are_made_in_a_hub_and_nowhere_else(cluster: &ScratchCluster) {
    cluster.helm("upgrade", &["--reuse-values", "--set=hubs={default}"]);
    // Even with every right on Instances there.
    cluster.does(&[
        "create",
        "rolebinding",
        "eve-more",
        "-n",
        "elsewhere",
        "--clusterrole=gotocloud-edit",
        "--user=eve",
    ]);
    cluster.does(&["create", "rolebinding", "eve-more", "-n", "default", "--clusterrole=gotocloud-edit", "--user=eve"]);
    let mut planted = instance("planted", "Provisioned", None);
    planted["metadata"]["namespace"] = "elsewhere".into();

    let refusal = cluster.is_refused_to_make_soon_as(&planted, EDITOR, "does not count");
    assert_says(&refusal, "an Instance does not count in the namespace elsewhere: make it in default");
    planted["metadata"]["namespace"] = "default".into();
    cluster.make_as(&planted, EDITOR);
}

/// A finalizer keeps the Instance there for a while after its deletion, as the operator's does.
pub fn the_token_deletes_no_namespace_of_an_instance_that_nobody_deleted(cluster: &ScratchCluster) {
    let mut alive = instance("alive", "Provisioned", None);
    alive["metadata"]["finalizers"] = json!(["gotocloud.amue.fr/teardown"]);
    cluster.make(&alive);
    furnish(cluster, "alive");
    let delete = ["delete", "namespace", "gtc-alive", "--wait=false", OPERATOR];
    let refusal = cluster.is_refused(&delete);
    assert_says(&refusal, "nobody deleted the Instance default/alive");

    // To call it another's first does not help.
    for label in ["instance=other", "instance-namespace=elsewhere", "instance-"] {
        let label = format!("gotocloud.amue.fr/{label}");
        let refusal = cluster.is_refused(&["label", "namespace", "gtc-alive", &label, "--overwrite", OPERATOR]);
        assert_says(&refusal, "stays the one of the Instance it was made for");
    }

    cluster.does(&["delete", "instance", "alive", "--wait=false"]);
    cluster.does_soon(&delete);
    let free: Value = json!({ "metadata": { "finalizers": null } });
    cluster.does(&["patch", "instance", "alive", "--type=merge", "-p", &free.to_string()]);
}
