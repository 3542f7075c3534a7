//! Which values does the chart take, and how does it refuse the others?

#![allow(clippy::unwrap_used)] // a test stops where something is not as it must be

use gotocloud_chart_tests::{chart, everything, helm, render};
use serde_json::Value;
use std::fs;

fn refusal(arguments: &[&str]) -> String {
    render(arguments).unwrap_err().to_string()
}

#[test]
fn helm_finds_nothing_to_say_against_it() {
    for values in [None, Some(everything())] {
        let mut arguments = vec!["lint".to_owned(), "--strict".to_owned(), chart().display().to_string()];
        arguments.extend(values.map(|path| format!("--values={}", path.display())));
        let output = helm(&arguments).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn a_number_out_of_range_is_refused_with_its_place_and_its_limit() {
    let refusal = refusal(&["--set", "replicas=9"]);
    assert!(refusal.contains("at '/replicas': maximum: got 9, want 5"), "{refusal}");
}

#[test]
fn a_key_nobody_knows_is_refused() {
    let refusal = refusal(&["--set", "networkPolicy.enable=false"]);
    assert!(refusal.contains("at '/networkPolicy': additional properties 'enable' not allowed"), "{refusal}");
}

#[test]
fn a_digest_that_is_none_is_refused() {
    let refusal = refusal(&["--set", "image.digest=latest"]);
    assert!(refusal.contains("at '/image/digest'"), "{refusal}");
}

/// One that named both would let the operator out to only one of the two, and one that named neither to everything.
#[test]
fn a_prometheus_is_in_a_namespace_or_in_a_network_and_never_in_both() {
    for (prometheus, says) in [
        (
            r#"[{"namespace": "monitoring", "cidr": "10.1.2.4/32", "port": 9090}]"#,
            "'oneOf' failed, subschemas 0, 1 matched",
        ),
        (r#"[{"port": 9090}]"#, "'oneOf' failed, none matched"),
        (
            r#"[{"cidr": "10.1.2.4/32", "podLabels": {"app": "prometheus"}, "port": 9090}]"#,
            "'namespace' required, if 'podLabels' exists",
        ),
        (r#"[{"namespace": "monitoring"}]"#, "missing property 'port'"),
    ] {
        let refusal = refusal(&["--set-json", &format!("networkPolicy.prometheus={prometheus}")]);
        assert!(
            refusal.contains("at '/networkPolicy/prometheus/0'") && refusal.contains(says),
            "{prometheus}: {refusal}"
        );
    }
}

#[test]
fn a_cluster_too_old_is_refused() {
    let refusal = refusal(&["--kube-version", "1.32.0"]);
    assert!(refusal.contains("incompatible with Kubernetes v1.32.0"), "{refusal}");
}

#[test]
fn a_digest_wins_over_a_tag() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let rendered = render(&["--set", &format!("image.tag=v9,image.digest={digest}")]).unwrap();
    assert!(rendered.contains(&format!("image: \"localhost/gotocloud-operator@{digest}\"")), "{rendered}");
}

/// An object of the schema that lets unknown keys through lets a misspelt one through.
#[test]
fn the_schema_names_every_key() {
    fn open_objects(schema: &Value, place: &str, found: &mut Vec<String>) {
        if schema["type"] == "object" && schema.get("properties").is_some() && schema["additionalProperties"] != false {
            found.push(place.to_owned());
        }
        if let Some(members) = schema.as_object() {
            for (name, member) in members {
                open_objects(member, &format!("{place}/{name}"), found);
            }
        }
    }
    let schema: Value = serde_json::from_str(&fs::read_to_string(chart().join("values.schema.json")).unwrap()).unwrap();
    let mut found = Vec::new();
    open_objects(&schema, "", &mut found);
    assert!(found.is_empty(), "additionalProperties is not false at {found:?}");
}

/// Every value has a line of explanation above it, a default in `values.yaml` and a place in the schema.
#[test]
fn the_schema_and_the_defaults_name_the_same_values() {
    let read = |name: &str| fs::read_to_string(chart().join(name)).unwrap();
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let defaults: Value = serde_yaml::from_str(&read("values.yaml")).unwrap();
    let mut known: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    known.retain(|name| *name != "global");
    known.sort_unstable();
    let mut given: Vec<&str> = defaults.as_object().unwrap().keys().map(String::as_str).collect();
    given.sort_unstable();
    assert_eq!(known, given);
}
