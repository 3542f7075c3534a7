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
