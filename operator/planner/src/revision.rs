//! Do an instance's pods stay as they are, or follow what would be rendered today?
//!
//! An instance pins what it runs. The first rendering makes a revision: the objects that move pods, stored in a
//! `ControllerRevision`. From then on those objects are applied from the revision, until the instance's own spec asks
//! its pods for something else, or somebody consents by name to what would be rendered today. So neither another
//! operator version nor an edit of a shared Application, Platform or Establishment moves a pod.

use crate::objects::{Kind, Object, ObjectKey};
use gotocloud_api::{InstanceSpec, instance::RevisionStatus};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What pods are to be made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// What is rendered today.
    Rendered,
    /// The revision that runs. Today's rendering waits for a consent.
    Pinned,
}

/// What the instance's own spec asks of its pods, as a hash. A change of it is a consent.
pub fn asked(spec: &InstanceSpec, release: &str) -> String {
    crate::fingerprint::of(&json!({
        "release": release,
        "stage": spec.stage,
        "sizeClass": spec.size_class,
        "env": spec.env,
        "databaseStorage": spec.database_storage,
    }))
}

/// What pods are to be made from, given what runs, what the spec asks, what would be rendered and what was consented to.
pub fn choose(running: Option<&RevisionStatus>, asked: &str, rendered: &str, accepted: Option<&str>) -> Choice {
    match running {
        None => Choice::Rendered,
        Some(running) if running.running == rendered || running.asked != asked || accepted == Some(rendered) => {
            Choice::Rendered
        }
        Some(_) => Choice::Pinned,
    }
}

/// The hash of the objects that move pods.
pub fn hash(objects: &[Object]) -> String {
    let pods: Vec<&Value> = moving_pods(objects).map(|object| &object.manifest).collect();
    crate::fingerprint::of(&pods)
}

/// Those of the objects that move pods.
pub fn moving_pods(objects: &[Object]) -> impl Iterator<Item = &Object> {
    objects.iter().filter(|object| object.key.kind.moves_pods())
}

/// Which `ControllerRevision` holds the revision of that hash.
pub fn key(namespace: &str, hash: &str) -> ObjectKey {
    ObjectKey::new(Kind::ControllerRevision, namespace, &format!("pods-{hash}"))
}

/// The content of a `ControllerRevision`, read back; none where it is not of the form [`content`] gives.
pub fn parse(data: &Value) -> Option<Vec<Object>> {
    let objects = data.get("objects")?.as_array()?;
    objects
        .iter()
        .map(|manifest| {
            let text = |pointer: &str| manifest.pointer(pointer).and_then(Value::as_str);
            let group = text("/apiVersion")?.split_once('/').map_or("", |(group, _)| group);
            let kind = Kind::parse(group, text("/kind")?)?;
            let key = ObjectKey::new(kind, text("/metadata/namespace")?, text("/metadata/name")?);
            Some(Object { key, manifest: manifest.clone() })
        })
        .collect()
}

/// What a `ControllerRevision` is to hold of the objects that move pods.
pub fn content(objects: &[Object]) -> Value {
    json!({ "objects": moving_pods(objects).map(|object| object.manifest.clone()).collect::<Vec<_>>() })
}

/// What would change in the pods from `pinned` to `rendered`, a line for each difference, at most `limit`.
pub fn changes(pinned: &[Object], rendered: &[Object], limit: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for new in moving_pods(rendered) {
        match pinned.iter().find(|old| old.key == new.key) {
            None => lines.push(format!("{} {} is added", new.key.kind, new.key.name)),
            Some(old) => {
                let mut paths = Vec::new();
                differences("", &old.manifest, &new.manifest, &mut paths);
                lines.extend(paths.into_iter().map(|path| format!("{} {}: {path}", new.key.kind, new.key.name)));
            }
        }
    }
    for old in pinned {
        if !rendered.iter().any(|new| new.key == old.key) {
            lines.push(format!("{} {} is removed", old.key.kind, old.key.name));
        }
    }
    let more = lines.len().saturating_sub(limit);
    if more > 0 {
        lines.truncate(limit.saturating_sub(1));
        lines.push(format!("and {} more", more + 1));
    }
    lines
}

fn differences(path: &str, old: &Value, new: &Value, lines: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<_> = a.keys().chain(b.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                differences(&path, a.get(key).unwrap_or(&Value::Null), b.get(key).unwrap_or(&Value::Null), lines);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}[{index}]"), a, b, lines);
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            let (named_a, named_b) = (by_name(a), by_name(b));
            let mut names: Vec<_> = named_a.keys().chain(named_b.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let of = |named: &BTreeMap<String, &Value>| named.get(name).map_or(Value::Null, |&item| item.clone());
                differences(&format!("{path}[{name}]"), &of(&named_a), &of(&named_b), lines);
            }
        }
        _ if old == new => {}
        _ => lines.push(format!("{path} from {} to {}", short(old), short(new))),
    }
}

/// The items of a list by their names, or by their places where not all have one.
fn by_name(items: &[Value]) -> BTreeMap<String, &Value> {
    let names: Option<Vec<&str>> = items.iter().map(|item| item.get("name")?.as_str()).collect();
    let place = |at: usize| names.as_ref().map_or_else(|| at.to_string(), |names| names[at].to_owned());
    items.iter().enumerate().map(|(at, item)| (place(at), item)).collect()
}

fn short(value: &Value) -> String {
    let text = match value {
        Value::Null => return "nothing".into(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    if text.chars().count() > 80 { text.chars().take(77).chain("...".chars()).collect() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running() -> RevisionStatus {
        RevisionStatus { running: "r1".into(), asked: "a1".into(), ..RevisionStatus::default() }
    }

    #[test]
    fn the_first_rendering_is_taken() {
        assert_eq!(choose(None, "a1", "r1", None), Choice::Rendered);
    }

    #[test]
    fn another_rendering_moves_no_pod() {
        assert_eq!(choose(Some(&running()), "a1", "r2", None), Choice::Pinned);
    }

    #[test]
    fn a_consent_by_name_moves_them_and_a_consent_to_something_else_does_not() {
        assert_eq!(choose(Some(&running()), "a1", "r2", Some("r2")), Choice::Rendered);
        assert_eq!(choose(Some(&running()), "a1", "r3", Some("r2")), Choice::Pinned);
    }

    #[test]
    fn an_edit_of_the_instance_that_asks_pods_for_something_else_is_a_consent() {
        assert_eq!(choose(Some(&running()), "a2", "r2", None), Choice::Rendered);
    }

    #[test]
    fn a_change_is_listed_with_its_place_and_both_values() {
        let object = |image: &str| Object {
            key: ObjectKey::new(Kind::Deployment, "gtc-a", "web"),
            manifest: json!({"spec": {"template": {"spec": {"containers": [{"image": image}]}}}}),
        };
        assert_eq!(
            changes(&[object("a")], &[object("b")], 10),
            ["Deployment web: spec.template.spec.containers[0].image from a to b"]
        );
        assert_eq!(changes(&[object("a")], &[], 10), ["Deployment web is removed"]);
    }

    #[test]
    fn a_list_that_grows_is_told_by_what_is_added() {
        let object = |env: Value| Object {
            key: ObjectKey::new(Kind::Deployment, "gtc-a", "web"),
            manifest: json!({"spec": {"env": env}}),
        };
        let pinned = object(json!([{"name": "URL", "value": "a"}, {"name": "ZONE", "value": "z"}]));
        let rendered = object(
            json!([{"name": "NEW", "value": "n"}, {"name": "URL", "value": "b"}, {"name": "ZONE", "value": "z"}]),
        );
        assert_eq!(
            changes(&[pinned], &[rendered], 10),
            [
                "Deployment web: spec.env[NEW] from nothing to {\"name\":\"NEW\",\"value\":\"n\"}",
                "Deployment web: spec.env[URL].value from a to b"
            ]
        );
    }

    #[test]
    fn a_long_list_of_changes_is_cut_and_says_so() {
        let object = |value: u32| Object {
            key: ObjectKey::new(Kind::ConfigMap, "gtc-a", "web-env"),
            manifest: json!({"data": (0..20).map(|i| (i.to_string(), json!(value))).collect::<serde_json::Map<_, _>>()}),
        };
        let lines = changes(&[object(1)], &[object(2)], 10);
        assert_eq!((lines.len(), lines[9].as_str()), (10, "and 11 more"));
    }

    #[test]
    fn a_stored_revision_is_read_back_as_it_was() {
        let object = Object {
            key: ObjectKey::new(Kind::Deployment, "gtc-a", "web"),
            manifest: json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "gtc-a", "name": "web"}}),
        };
        assert_eq!(parse(&content(std::slice::from_ref(&object))), Some(vec![object]));
        assert_eq!(parse(&json!({"objects": [{}]})), None);
    }
}
