//! An API server and a database server, as far as plans need them.

use gotocloud_api::names;
use gotocloud_planner::{
    Kind, ObjectKey, fingerprint,
    health::Health,
    ownership::{self, Existing},
    plan::Refusal,
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// An object as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub manifest: Value,
    /// Hash of the fields the operator owns: of their paths, not of their values, as an API server tells them.
    pub fields: String,
    pub health: Health,
    pub terminating: bool,
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cluster {
    pub objects: BTreeMap<ObjectKey, Stored>,
    /// Databases by name, and whether their role may log in.
    pub databases: BTreeMap<String, bool>,
    drifts: u32,
}

impl Cluster {
    pub fn may_apply(&self, key: &ObjectKey, namespace: &str, name: &str) -> Result<(), Refusal> {
        let existing = self.objects.get(key).map(|stored| Existing {
            labels: labels(&stored.manifest, "labels"),
            annotations: labels(&stored.manifest, "annotations"),
            managers: vec!["helm".to_owned()],
        });
        ownership::may_apply(key, existing.as_ref(), namespace, name)
    }

    /// Applies an object. One whose content changes is not ready before the next [`Cluster::settle`].
    pub fn apply(&mut self, key: &ObjectKey, manifest: &Value) {
        let before = self.objects.get(key);
        let health = match before {
            Some(stored) if stored.manifest == *manifest => stored.health.clone(),
            _ if key.kind.has_health() => Health::Progressing("just applied".into()),
            _ => Health::Unjudged,
        };
        let stored = Stored { manifest: manifest.clone(), fields: owned(manifest), health, terminating: false };
        self.objects.insert(key.clone(), stored);
    }

    pub fn remove(&mut self, key: &ObjectKey) {
        self.objects.remove(key);
        if key.kind == Kind::Namespace {
            self.objects.retain(|other, _| other.namespace != key.name);
        }
    }

    /// Time passes: all that was on its way has arrived.
    pub fn settle(&mut self) {
        for (key, stored) in &mut self.objects {
            if key.kind.has_health() {
                stored.health = Health::Ready;
            }
        }
    }

    /// Somebody takes over a field of an object.
    pub fn drift(&mut self, key: &ObjectKey) {
        self.drifts += 1;
        let stored = self.objects.get_mut(key).unwrap();
        stored.fields = format!("drifted-{}", self.drifts);
        stored.manifest["drifted"] = self.drifts.into();
    }

    pub fn keys(&self) -> BTreeSet<ObjectKey> {
        self.objects.keys().cloned().collect()
    }

    pub fn of_kind(&self, kind: Kind) -> Vec<&Value> {
        self.objects.iter().filter(|(key, _)| key.kind == kind).map(|(_, stored)| &stored.manifest).collect()
    }

    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Value> {
        self.objects.get(&ObjectKey::new(kind, namespace, name)).map(|stored| &stored.manifest)
    }

    /// What makes pods what they are: if this stays, no pod moved.
    pub fn pods(&self) -> BTreeMap<ObjectKey, Value> {
        let moving = self.objects.iter().filter(|(key, _)| key.kind.moves_pods());
        moving.map(|(key, stored)| (key.clone(), stored.manifest.clone())).collect()
    }
}

pub fn labels(manifest: &Value, what: &str) -> BTreeMap<String, String> {
    let all = manifest["metadata"][what].as_object();
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    all.into_iter().flatten().filter_map(text).collect()
}

pub fn owner(manifest: &Value) -> Option<(String, String)> {
    let labels = labels(manifest, "labels");
    ownership::holder(&labels).map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
}

pub fn is_retained(manifest: &Value) -> bool {
    labels(manifest, "labels").contains_key(names::LABEL_RETAINED)
}

fn owned(manifest: &Value) -> String {
    let mut paths = BTreeSet::new();
    collect("", manifest, &mut paths);
    fingerprint::of(&paths)
}

fn collect(path: &str, value: &Value, paths: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| collect(&format!("{path}.{key}"), value, paths)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            paths.insert(path.to_owned());
        }
    }
}
