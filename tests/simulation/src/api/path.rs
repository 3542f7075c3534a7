//! Which fields does an object have, how are they named, and how is one object merged into another?
//!
//! A field is named by its path, written as `managedFields` writes its parts: `/f:spec/f:replicas`,
//! `/f:containers/k:{"name":"web"}`, `/f:finalizers/v:"a"`.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Names of fields.
pub type Fields = BTreeSet<String>;

/// How the items of a list are told apart.
#[derive(Clone, Copy)]
enum List {
    /// They are not: the list is one value.
    Atomic,
    /// By their own value.
    Set,
    /// By these fields.
    Map(&'static [&'static str]),
}

/// The lists of the kinds used here; any other list is one value.
fn list(kind: &str, field: &str) -> List {
    match (kind, field) {
        (_, "finalizers") => List::Set,
        ("Deployment" | "Job", "containers" | "env" | "volumes") | ("Release", "components") => List::Map(&["name"]),
        ("Deployment" | "Job", "ports") => List::Map(&["containerPort", "protocol"]),
        ("Deployment" | "Job", "volumeMounts") => List::Map(&["mountPath"]),
        ("Deployment" | "Job", "topologySpreadConstraints") => List::Map(&["topologyKey", "whenUnsatisfiable"]),
        ("Service", "ports") => List::Map(&["port", "protocol"]),
        _ => List::Atomic,
    }
}

/// The part of a path that names an item of a list.
fn item(keys: &[&str], item: &Value) -> String {
    let key = |name: &&str| {
        let value = match &item[*name] {
            // The API server gives this one before it compares.
            Value::Null if *name == "protocol" => Value::from("TCP"),
            value => value.clone(),
        };
        ((*name).to_owned(), value)
    };
    format!("/k:{}", Value::Object(keys.iter().map(key).collect::<Map<_, _>>()))
}

/// The leaves of an object, by their paths. An item that has keys is one itself, without a value.
pub fn leaves<'v>(kind: &str, value: &'v Value) -> BTreeMap<String, &'v Value> {
    let mut found = BTreeMap::new();
    collect(kind, "", value, &mut String::new(), &mut found);
    found
}

fn collect<'v>(kind: &str, field: &str, value: &'v Value, path: &mut String, found: &mut BTreeMap<String, &'v Value>) {
    let length = path.len();
    match (value, list(kind, field)) {
        (Value::Object(fields), _) if !fields.is_empty() => {
            for (name, value) in fields {
                path.push_str("/f:");
                path.push_str(name);
                collect(kind, name, value, path, found);
                path.truncate(length);
            }
        }
        (Value::Array(items), List::Set) => {
            found.extend(items.iter().map(|item| (format!("{path}/v:{item}"), item)));
        }
        (Value::Array(items), List::Map(keys)) => {
            for one in items {
                path.push_str(&item(keys, one));
                found.insert(path.clone(), &Value::Null);
                collect(kind, "", one, path, found);
                path.truncate(length);
            }
        }
        _ if path.is_empty() => {}
        _ => {
            found.insert(path.clone(), value);
        }
    }
}

/// Puts the fields of `new` into `live`.
pub fn merge(kind: &str, field: &str, live: &mut Value, new: &Value) {
    match (live, new, list(kind, field)) {
        (Value::Object(live), Value::Object(new), _) => {
            for (name, value) in new {
                match live.get_mut(name) {
                    Some(live) => merge(kind, name, live, value),
                    None => {
                        live.insert(name.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(live), Value::Array(new), List::Set) => {
            let missing: Vec<_> = new.iter().filter(|one| !live.contains(one)).cloned().collect();
            live.extend(missing);
        }
        (Value::Array(live), Value::Array(new), List::Map(keys)) => {
            for one in new {
                let name = item(keys, one);
                match live.iter_mut().find(|known| item(keys, known) == name) {
                    Some(known) => merge(kind, "", known, one),
                    None => live.push(one.clone()),
                }
            }
        }
        (live, new, _) => new.clone_into(live),
    }
}

/// Takes those fields out of an object, and what is empty after it.
pub fn prune(kind: &str, value: &mut Value, fields: &Fields) {
    if !fields.is_empty() {
        prune_below(kind, "", value, &mut String::new(), fields);
    }
}

/// Gives whether the value goes.
fn prune_below(kind: &str, field: &str, value: &mut Value, path: &mut String, fields: &Fields) -> bool {
    let length = path.len();
    match (value, list(kind, field)) {
        (Value::Object(map), _) if !map.is_empty() => {
            map.retain(|name, value| {
                path.push_str("/f:");
                path.push_str(name);
                let goes = prune_below(kind, name, value, path, fields);
                path.truncate(length);
                !goes
            });
            map.is_empty()
        }
        (Value::Array(items), List::Set) => {
            items.retain(|item| !fields.contains(&format!("{path}/v:{item}")));
            items.is_empty()
        }
        (Value::Array(items), List::Map(keys)) => {
            items.retain_mut(|one| {
                path.push_str(&item(keys, one));
                // An item stays as long as anybody holds it, with what others hold of it.
                let goes = fields.contains(path.as_str());
                if !goes {
                    prune_below(kind, "", one, path, fields);
                }
                path.truncate(length);
                !goes
            });
            items.is_empty()
        }
        _ => fields.contains(path.as_str()),
    }
}

/// A JSON merge patch (RFC 7386).
pub fn patch(live: &mut Value, change: &Value) {
    let Value::Object(change) = change else {
        change.clone_into(live);
        return;
    };
    if !live.is_object() {
        *live = Value::Object(Map::new());
    }
    let Value::Object(live) = live else { return };

    for (name, value) in change {
        if value.is_null() {
            live.remove(name);
        } else {
            patch(live.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}

/// The fields that differ: set to another value or new, and gone.
pub fn difference(kind: &str, before: &Value, after: &Value) -> (Fields, Fields) {
    let (before, after) = (leaves(kind, before), leaves(kind, after));
    let set = after.iter().filter(|(path, value)| before.get(*path) != Some(*value));
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    (set.map(|(path, _)| path.clone()).collect(), gone.cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_item_with_keys_is_named_by_them() {
        let object = json!({"spec": {"containers": [{"name": "web", "ports": [{"containerPort": 80}]}]}});
        let names: Vec<_> = leaves("Deployment", &object).into_keys().collect();
        assert!(names.contains(&"/f:spec/f:containers/k:{\"name\":\"web\"}/f:name".to_owned()), "{names:?}");
        assert!(names.iter().any(|name| name.contains("k:{\"containerPort\":80,\"protocol\":\"TCP\"}")), "{names:?}");
    }

    #[test]
    fn what_is_pruned_leaves_nothing_empty() {
        let mut object = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"x": 1, "y": 2}});
        let gone = ["/f:metadata/f:labels/f:a".to_owned(), "/f:spec/f:x".to_owned()].into();
        prune("ConfigMap", &mut object, &gone);
        assert_eq!(object, json!({"spec": {"y": 2}}));
    }

    #[test]
    fn a_merge_patch_sets_and_removes() {
        let mut object = json!({"spec": {"a": 1, "b": 2}});
        patch(&mut object, &json!({"spec": {"a": null, "c": {"d": 3}}}));
        assert_eq!(object, json!({"spec": {"b": 2, "c": {"d": 3}}}));
    }
}
