//! What becomes of the fleet when the chart is upgraded, removed and installed again?
//!
//! One test, as it takes one cluster and each step stands on the one before.

use gotocloud_chart_tests::cluster::ScratchCluster;
use gotocloud_chart_tests::fleet::{establishment, instance};

const NAMESPACE: &str = gotocloud_chart_tests::NAMESPACE;
const COLUMN: &str = "jsonpath={.spec.versions[0].additionalPrinterColumns[0].name}";

#[test]
fn the_fleet_outlives_the_chart() {
    let cluster = ScratchCluster::start("chart-lifecycle");
    cluster.install(&[]);
    cluster.does(&["rollout", "status", "deployment/gotocloud-operator", "-n", NAMESPACE, "--timeout=60s"]);
    cluster.make(&establishment("lille"));
    cluster.make(&instance("payroll", "FullProduction", None));

    an_upgrade_brings_the_definitions_up_to_date(&cluster);
    removing_the_chart_removes_no_object_of_the_fleet(&cluster);
    installing_again_takes_up_what_was_kept(&cluster);
    definitions_of_somebody_else_are_left_alone(&cluster);
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
