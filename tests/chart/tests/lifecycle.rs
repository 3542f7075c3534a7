//! What becomes of the fleet when the chart is upgraded, removed and installed again?
//!
//! One test, as it takes one cluster and each step stands on the one before.

#![allow(clippy::unwrap_used)] // a test stops where something is not as it must be

use gotocloud_chart_tests::cluster::ScratchCluster;
use gotocloud_chart_tests::fleet::{establishment, instance};
use gotocloud_chart_tests::{everything, objects, text};
use serde_json::json;

const NAMESPACE: &str = gotocloud_chart_tests::NAMESPACE;
const COLUMN: &str = "jsonpath={.spec.versions[0].additionalPrinterColumns[0].name}";

#[test]
fn the_fleet_outlives_the_chart() {
    let cluster = ScratchCluster::start("chart-lifecycle");
    // The operator's pods are of the most restricted kind: no other is let in here.
    cluster.make(&json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": NAMESPACE, "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } }));
    cluster.install(&[]);
    cluster.does(&["rollout", "status", "deployment/gotocloud-operator", "-n", NAMESPACE, "--timeout=60s"]);
    cluster.make(&establishment("lille"));
    cluster.make(&instance("payroll", "FullProduction", None));

    the_api_server_knows_every_field(&cluster);
    a_second_installation_is_refused_before_it_makes_anything(&cluster);
    an_upgrade_brings_the_definitions_up_to_date(&cluster);
    removing_the_chart_removes_no_object_of_the_fleet(&cluster);
    installing_again_takes_up_what_was_kept(&cluster);
    definitions_of_somebody_else_are_left_alone(&cluster);
}

/// What is left out by default is tried as well. A field nobody knows would else be dropped in silence.
fn the_api_server_knows_every_field(cluster: &ScratchCluster) {
    let mut objects = objects(&["--values", &everything().to_string_lossy()]).unwrap();
    objects.retain(|object| text(object, "/kind") != "ServiceMonitor"); // its kind is not in this cluster
    assert!(objects.len() > 20);
    let all = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    let file = std::env::temp_dir().join(format!("gotocloud-lifecycle-{}.json", std::process::id()));
    std::fs::write(&file, all.to_string()).unwrap();
    let file_argument = format!("--filename={}", file.display());
    let as_if = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict"];
    cluster.does(&[&as_if[..], &[&file_argument]].concat());
    std::fs::remove_file(file).unwrap();
}

/// Whatever is left out of it: the two would act on the same Instances, and the policies of each hinder the other.
fn a_second_installation_is_refused_before_it_makes_anything(cluster: &ScratchCluster) {
    let policies = || cluster.does(&["get", "validatingadmissionpolicies", "-o", "jsonpath={.items[*].metadata.uid}"]);
    let before = policies();
    let leaving_out = ["--set=crds.install=false", "--set=policies.enabled=false", "--set=rbac.userRoles=false"];
    for arguments in [&leaving_out[..0], &leaving_out[..1], &leaving_out[..]] {
        let refusal = cluster.second_release_is_refused("other-system", arguments);
        assert!(refusal.contains("cannot be imported into the current release"), "{arguments:?}: {refusal}");
        assert!(refusal.contains("gotocloud"), "{arguments:?}: {refusal}");
    }

    assert_eq!(cluster.does(&["get", "deployments,roles", "-n", "other-system", "-o", "name"]), "");
    assert_eq!(policies(), before, "those of the first are untouched");
}

fn an_upgrade_brings_the_definitions_up_to_date(cluster: &ScratchCluster) {
    let older = r#"[{"op":"replace","path":"/spec/versions/0/additionalPrinterColumns/0/name","value":"Old"}]"#;
    let as_helm = "--field-manager=helm";
    cluster.does(&["patch", "crd", "instances.gotocloud.amue.fr", "--type=json", "-p", older, as_helm]);
    cluster.helm("upgrade", &["--set=replicas=1", "--force-conflicts"]);
    assert_eq!(cluster.does(&["get", "crd", "instances.gotocloud.amue.fr", "-o", COLUMN]), "Stage");
    // One replica, and a budget of one, would keep its node from ever being drained.
    let budget = cluster.does(&["get", "poddisruptionbudget", "-n", NAMESPACE, "-o", "name"]);
    assert_eq!(budget, "");
}

fn removing_the_chart_removes_no_object_of_the_fleet(cluster: &ScratchCluster) {
    cluster.helm("uninstall", &[]);
    assert_eq!(cluster.does(&["get", "deployments,roles", "-n", NAMESPACE, "-o", "name"]), "");
    assert_eq!(cluster.does(&["get", "validatingadmissionpolicies", "-o", "name"]), "");
    let kept = cluster.does(&["get", "gotocloud", "-A", "-o", "name"]);
    assert_eq!(
        kept.lines().collect::<Vec<_>>(),
        ["establishment.gotocloud.amue.fr/lille", "instance.gotocloud.amue.fr/payroll"]
    );
}

fn installing_again_takes_up_what_was_kept(cluster: &ScratchCluster) {
    cluster.install(&[]);
    cluster.does(&["get", "instance", "payroll"]);
    cluster.is_refused_soon(&["delete", "instance", "payroll", "--dry-run=server"]);
}

fn definitions_of_somebody_else_are_left_alone(cluster: &ScratchCluster) {
    cluster.helm("upgrade", &["--set=crds.install=false"]);
    cluster.does(&["get", "instance", "payroll"]);
}
