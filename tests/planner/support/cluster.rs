//! An API server and a database server, as far as plans need them.

use gotocloud_api::{Instance, names};
use gotocloud_planner::{
    Kind, ObjectKey,
    database::{DatabaseFacts, Facts, RoleFacts},
    fingerprint,
    health::Health,
    ownership::{self, Existing},
    plan::{DatabaseRequest, Refusal},
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// An object as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    pub manifest: Value,
    /// Hash of the fields the operator owns: of their paths, not of their values, as an API server tells them; and of what
    /// they were applied from, as the operator marks it.
    pub fields: String,
    pub health: Health,
    pub terminating: bool,
    /// Did the operator apply it?
    pub is_applied: bool,
    /// Which one of those that bore its name; told of what holds data.
    pub uid: String,
    /// Of a Deployment, how many pods it has.
    pub number: Option<Number>,
}

/// A number of pods, and who says it: server-side apply lets several say the same, and gives the default where none does.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    pub value: u64,
    pub fewest: u64,
    pub said_by: BTreeSet<&'static str>,
}

impl Number {
    fn say(&mut self, who: &'static str, value: u64) {
        if self.value != value {
            self.said_by.clear();
        }
        self.said_by.insert(who);
        self.set(value);
    }

    fn give_up(&mut self, who: &str) {
        if self.said_by.remove(who) && self.said_by.is_empty() {
            self.set(1);
        }
    }

    fn set(&mut self, value: u64) {
        self.value = value;
        self.fewest = self.fewest.min(value);
    }
}

/// What is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cluster {
    pub objects: BTreeMap<ObjectKey, Stored>,
    /// Pods that were told to end and have not.
    pub terminating: Vec<String>,
    /// Databases by name, and whether their role may log in.
    pub databases: BTreeMap<String, bool>,
    drifts: u32,
    /// How many databases were made so far, which numbers them.
    pub databases_made: u32,
}

impl Cluster {
    pub fn may_apply(&self, key: &ObjectKey, instance: &Instance) -> Result<(), Refusal> {
        let existing = self.objects.get(key).map(|stored| Existing {
            labels: labels(&stored.manifest, "labels"),
            annotations: labels(&stored.manifest, "annotations"),
            managers: vec!["helm".to_owned()],
            is_applied: stored.is_applied,
            uid: stored.uid.clone(),
        });
        ownership::may_apply(key, existing.as_ref(), instance)
    }

    /// What the database server says of that database, whose marks are those of the request.
    pub fn facts(&self, request: &DatabaseRequest) -> Facts {
        let administrator = "administrator".to_owned();
        let Some(&may_log_in) = self.databases.get(&request.name) else {
            return Facts { administrator, ..Facts::default() };
        };
        let comment = Some(request.identity.mark());
        let role = RoleFacts { comment: comment.clone(), may_log_in, is_administered: true, is_inherited: true };
        let owner = request.name.clone();
        let database = DatabaseFacts { oid: self.databases_made, owner, comment, is_open: false };
        Facts { administrator, role: Some(role), database: Some(database) }
    }

    /// Applies an object. One whose content changes is not ready before the next [`Cluster::settle`].
    pub fn apply(&mut self, key: &ObjectKey, manifest: &Value) {
        let before = self.objects.get(key);
        let health = match before {
            Some(stored) if stored.manifest == *manifest => stored.health.clone(),
            _ if key.kind.has_health() => Health::Progressing("just applied".into()),
            _ => Health::Unjudged,
        };
        let said = manifest.pointer("/spec/replicas").and_then(Value::as_u64);
        let number = (key.kind == Kind::Deployment).then(|| {
            let begun = said.unwrap_or(1);
            let new = Number { value: begun, fewest: begun, said_by: BTreeSet::new() };
            let mut number = before.and_then(|stored| stored.number.clone()).unwrap_or(new);
            match said {
                Some(value) => number.say(names::FIELD_MANAGER, value),
                None => number.give_up(names::FIELD_MANAGER),
            }
            number
        });
        let is_applied = before.is_some_and(|stored| stored.is_applied);
        let (manifest, fields) = (manifest.clone(), format!("{} {}", owned(manifest), fingerprint::of(manifest)));
        let uid = match before {
            Some(stored) => stored.uid.clone(),
            None if key.kind == Kind::Cluster => {
                self.databases_made += 1;
                format!("uid-{}", self.databases_made)
            }
            None => String::new(),
        };
        let stored = Stored { manifest, fields, health, terminating: false, is_applied, uid, number };
        self.objects.insert(key.clone(), stored);
    }

    /// Somebody takes all labels off an object.
    pub fn strip(&mut self, key: &ObjectKey) {
        let stored = self.objects.get_mut(key).unwrap();
        stored.manifest["metadata"].as_object_mut().unwrap().remove("labels");
        stored.fields = format!("{} without labels", stored.fields);
    }

    /// Says how many pods a Deployment has, as the operator's other field manager.
    pub fn hand_over(&mut self, key: &ObjectKey, manifest: &Value, is_forced: bool) {
        let value = manifest["spec"]["replicas"].as_u64().unwrap();
        let number = self.objects[key].number.clone().unwrap();
        if is_forced || number.said_by.is_empty() || number.value == value {
            self.scale(key, names::REPLICAS_FIELD_MANAGER, value);
        }
    }

    /// Somebody says how many pods a Deployment has.
    pub fn scale(&mut self, key: &ObjectKey, who: &'static str, value: u64) {
        let stored = self.objects.get_mut(key).unwrap();
        let number = stored.number.as_mut().unwrap();
        let was_ours = number.said_by.contains(names::FIELD_MANAGER);
        number.say(who, value);
        if was_ours && !number.said_by.contains(names::FIELD_MANAGER) {
            stored.fields = format!("{} without the number", stored.fields);
        }
    }

    /// How many pods a Deployment has, and the fewest it ever had.
    pub fn pods_of(&self, name: &str) -> (u64, u64) {
        let mut deployments = self.objects.iter().filter(|(key, _)| key.kind == Kind::Deployment && *key.name == *name);
        let number = deployments.next().and_then(|(_, stored)| stored.number.as_ref()).unwrap();
        (number.value, number.fewest)
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
