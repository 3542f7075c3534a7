//! Does the chart bring the definitions the operator was built with, and do they outlive it?

#![allow(clippy::unwrap_used)] // a test stops where something is not as it must be

use gotocloud_api::definitions;
use gotocloud_chart_tests::{chart, objects, repository, text};
use serde_json::Value;
use std::fs;

fn definitions_of_the_chart(arguments: &[&str]) -> Vec<Value> {
    let mut found = objects(arguments).unwrap();
    found.retain(|object| text(object, "/kind") == "CustomResourceDefinition");
    found
}

#[test]
fn every_kind_is_there_as_the_api_defines_it() {
    let rendered = definitions_of_the_chart(&[]);
    assert_eq!(rendered.len(), definitions().len());
    for definition in definitions() {
        let name = definition.metadata.name.clone().unwrap();
        let found = rendered.iter().find(|found| text(found, "/metadata/name") == name);
        let found = found.unwrap_or_else(|| panic!("the chart lacks {name}: run `cargo xtask crds`"));
        // Helm passes them through its own YAML, which must lose nothing on the way.
        let wanted = serde_json::to_value(&definition.spec).unwrap();
        assert!(same(&found["spec"], &wanted), "the chart has another {name}: run `cargo xtask crds`");
    }
}

#[test]
fn their_files_are_copies_of_those_at_the_top() {
    let top = repository().join("crds");
    for definition in definitions() {
        let name = format!("{}.yaml", definition.metadata.name.unwrap());
        let (copy, original) = (chart().join("files/crds").join(&name), top.join(&name));
        assert_eq!(
            fs::read_to_string(&copy).unwrap(),
            fs::read_to_string(&original).unwrap(),
            "{name} differs: run `cargo xtask crds`"
        );
    }
}

#[test]
fn they_stay_when_the_chart_goes() {
    for definition in definitions_of_the_chart(&[]) {
        assert_eq!(text(&definition, "/metadata/annotations/helm.sh~1resource-policy"), "keep");
    }
}

#[test]
fn they_can_be_left_to_somebody_else() {
    assert!(definitions_of_the_chart(&["--set", "crds.install=false"]).is_empty());
}

/// Equal but for how a number is written: 1 and 1.0 are the same bound.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}
