//! Does the chart tell the operator what the operator asks to be told?

#![allow(clippy::unwrap_used)] // a test stops where something is not as it must be

use gotocloud_chart_tests::{everything, objects, repository, text};
use serde_json::Value;
use std::{collections::BTreeSet, fs};

const PREFIX: &str = "GOTOCLOUD_";

fn told() -> BTreeSet<String> {
    let objects = objects(&["--values", &everything().to_string_lossy()]).unwrap();
    let deployment = objects.iter().find(|object| text(object, "/kind") == "Deployment").unwrap();
    let variables = deployment.pointer("/spec/template/spec/containers/0/env").and_then(Value::as_array).unwrap();
    variables.iter().map(|variable| text(variable, "/name").to_owned()).collect()
}

/// The variables the operator's command line reads, as its source names them.
fn asked() -> BTreeSet<String> {
    let source = fs::read_to_string(repository().join("operator/controller/src/config.rs")).unwrap();
    let named = source.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next());
    named.map(ToOwned::to_owned).collect()
}

#[test]
fn every_setting_of_the_operator_is_set_and_no_other() {
    let told: BTreeSet<String> = told().into_iter().filter(|name| name.starts_with(PREFIX)).collect();
    let asked: BTreeSet<String> = asked().into_iter().filter(|name| name.starts_with(PREFIX)).collect();
    assert_eq!(told, asked);
}

#[test]
fn what_the_libraries_read_is_set_too() {
    for name in ["RUST_LOG", "OTEL_EXPORTER_OTLP_ENDPOINT"] {
        assert!(told().contains(name), "{name}");
    }
}
