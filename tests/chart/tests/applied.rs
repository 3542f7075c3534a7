//! Does what is applied a second time, client-side as Argo CD and `kubectl apply` do, differ from what is there?

#![allow(clippy::unwrap_used)] // a test stops where something is not as it must be

use gotocloud_chart_tests::{cluster::ScratchCluster, repository};
use gotocloud_harness::{Terminal, kstatus};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn yaml_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            yaml_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
}

#[test]
fn a_file_that_is_applied_twice_changes_nothing_the_second_time() {
    let cluster = ScratchCluster::start("chart-applied");
    cluster.install(&[]);
    for namespace in ["gotocloud", "nantes"] {
        cluster.does(&["create", "namespace", namespace]);
    }
    let me = cluster.does(&["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
    let copy = std::env::temp_dir().join(format!("gotocloud-applied-{}.yaml", std::process::id()));

    // Of the plan of years, what the catalogue has under the same names differs: last, and twice like all else.
    let mut files = Vec::new();
    for folder in ["catalogue", "fleet-2022", "platforms", "campaigns", "deployment-plan"] {
        yaml_files(&repository().join("examples").join(folder), &mut files);
    }
    assert!(files.len() > 30, "{files:?}");
    for file in files {
        // An approval is one's own.
        let text = fs::read_to_string(&file).unwrap().replace("by: alice@example.org", &format!("by: {}", me.trim()));
        fs::write(&copy, text).unwrap();
        let apply = ["apply", "-f", &copy.to_string_lossy()];
        cluster.does_soon(&apply);
        let said = cluster.does(&apply);
        let is_changed = |line: &&str| !line.ends_with(" unchanged");
        assert_eq!(said.lines().filter(is_changed).collect::<Vec<_>>(), Vec::<&str>::new(), "{}", file.display());
    }
    fs::remove_file(copy).unwrap();

    what_nobody_looked_at_yet_is_in_progress(&cluster);
    to_leave_a_default_out_of_a_release_or_to_write_it_is_no_change(&cluster);
}

/// The operator does not run here: who waits for an object must not take it for done.
fn what_nobody_looked_at_yet_is_in_progress(cluster: &ScratchCluster) {
    let text = cluster.does(&["get", "gotocloud", "--all-namespaces", "-o", "json"]);
    let mut list: Value = serde_json::from_str(&text).unwrap();
    let objects: Vec<Value> = serde_json::from_value(list["items"].take()).unwrap();
    let statuses = kstatus::of(&objects, &Terminal).unwrap();
    assert_eq!(objects.len(), statuses.len());

    let mut kinds = BTreeSet::new();
    for (object, status) in objects.iter().zip(statuses) {
        let kind = object["kind"].as_str().unwrap();
        assert_eq!(status, "InProgress", "{kind} {}", object["metadata"]["name"]);
        kinds.insert(kind);
    }
    assert_eq!(kinds.len(), 9, "{kinds:?}");
}

/// As an object is stored that was applied while the definitions still had defaults in the items of lists.
fn to_leave_a_default_out_of_a_release_or_to_write_it_is_no_change(cluster: &ScratchCluster) {
    let file = repository().join("examples/catalogue/releases/caplab-v2.0.yaml");
    let file = format!("--filename={}", file.display());
    let written = r#"[{"op":"remove","path":"/spec/components/0/expose/path"},
        {"op":"add","path":"/spec/components/0/health/startupSeconds","value":120}]"#;
    let other = r#"[{"op":"add","path":"/spec/components/0/expose/path","value":"/other"}]"#;
    let release = ["patch", "release", "caplab-v2.0", "--type=json", "-p"];
    cluster.does(&[&release[..], &[written]].concat());
    cluster.does(&["apply", &file]);
    let refused = cluster.is_refused(&[&release[..], &[other]].concat());
    assert!(refused.contains("a Release is immutable"), "{refused}");
}
