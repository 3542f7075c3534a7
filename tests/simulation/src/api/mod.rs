//! An API server in memory, as far as the operator, people and campaigns see one.
//!
//! Modelled: resource versions, conflicts, lists and watches, server-side apply with ownership of fields, merge patches,
//! the status subresource, generations, finalizers, namespaces on their way out, defaults that decide something, the admission rules
//! of the chart in spirit. Not modelled: who may do what, schemas, the ownership of the status of Kubernetes' own kinds.

mod admission;
pub mod path;
mod watch;

use gotocloud_api::NEVER_SEEN;
use jiff::Timestamp;
use path::Fields;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt, rc::Rc};
pub use watch::{Selector, Told};

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ref {
    /// Name of its kind.
    pub kind: &'static str,
    /// Its namespace; empty for an object of the cluster.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

impl Ref {
    /// The object of that kind, namespace and name.
    pub fn new(kind: &'static str, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.namespace {
            "" => write!(f, "{} {}", self.kind, self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind, self.name),
        }
    }
}

/// An object as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The object, but for its `managedFields`.
    pub object: Value,
    /// Who owns which of its fields.
    pub owners: Vec<Owner>,
    /// When it was stored last, counted over all objects.
    pub version: u64,
}

impl Stored {
    /// Is it being deleted?
    pub fn is_terminating(&self) -> bool {
        !self.object["metadata"]["deletionTimestamp"].is_null()
    }

    /// Which one of those that bore its name.
    pub fn uid(&self) -> &str {
        self.object["metadata"]["uid"].as_str().unwrap_or_default()
    }

    /// Its label of that name.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.object["metadata"]["labels"][name].as_str()
    }
}

/// Who owns fields of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Name of the field manager.
    pub manager: String,
    /// By server-side apply? Else by an update.
    pub applies: bool,
    /// Through the status subresource?
    pub of_status: bool,
    /// What it owns.
    pub fields: Rc<Fields>,
}

impl Owner {
    fn is(&self, manager: &str, applies: bool, of_status: bool) -> bool {
        self.manager == manager && self.applies == applies && self.of_status == of_status
    }
}

/// A request that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status code.
    pub code: u16,
    /// The reason, in a word.
    pub reason: &'static str,
    /// What is wrong.
    pub message: String,
}

impl Refused {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into() }
    }

    fn not_found(at: &Ref) -> Self {
        Self::new(404, "NotFound", format!("{at} not found"))
    }

    fn conflict(at: &Ref) -> Self {
        Self::new(409, "Conflict", format!("{at}: the object has been modified; please apply your changes again"))
    }
}

/// What became of an object.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which one.
    pub at: Ref,
    /// As it was; `None` if it is new.
    pub before: Option<Rc<Stored>>,
    /// As it is; `None` if it is gone.
    pub after: Option<Rc<Stored>>,
    /// The version that came of it, counted over all objects.
    pub version: u64,
    /// Who asked for it.
    pub by: String,
    /// Did the request name the version it was decided on?
    pub is_named: bool,
}

/// An apply request.
#[derive(Clone, Copy, Debug)]
pub struct Apply<'a> {
    /// The field manager.
    pub by: &'a str,
    /// What it says of the object.
    pub manifest: &'a Value,
    /// Does it take fields from others?
    pub force: bool,
    /// Is it of the status subresource?
    pub status: bool,
}

/// The API server.
#[derive(Debug)]
pub struct Server {
    /// What time it is.
    pub now: Timestamp,
    /// Are the chart's admission policies in force?
    pub policies: bool,
    /// The kind of which a policy of somebody else's refuses what the operator writes.
    pub refused: Option<&'static str>,
    objects: BTreeMap<Ref, Rc<Stored>>,
    version: u64,
    made: u64,
    changes: Vec<Change>,
    /// Does the request in hand name the version it was decided on?
    is_named: bool,
}

/// Kinds whose `metadata.generation` counts edits of their spec.
fn has_generation(kind: &str) -> bool {
    !matches!(
        kind,
        "Namespace"
            | "ConfigMap"
            | "Secret"
            | "ServiceAccount"
            | "RoleBinding"
            | "ControllerRevision"
            | "Service"
            | "ResourceQuota"
            | "LimitRange"
    )
}

/// Kinds of the operator, whose objects have a status of their own and no defaults but those of their definition.
fn is_custom(kind: &str) -> bool {
    matches!(
        kind,
        "Instance"
            | "Release"
            | "Application"
            | "Establishment"
            | "Platform"
            | "Campaign"
            | "ChangeFreeze"
            | "Deferral"
            | "Approval"
    )
}

/// Kinds whose status is written apart from the rest.
fn has_status(kind: &str) -> bool {
    is_custom(kind)
        || matches!(
            kind,
            "Deployment" | "Job" | "Namespace" | "Ingress" | "HorizontalPodAutoscaler" | "PodDisruptionBudget"
        )
}

impl Server {
    /// An API server without objects.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            policies: true,
            refused: None,
            objects: BTreeMap::new(),
            version: 0,
            made: 0,
            changes: Vec::new(),
            is_named: false,
        }
    }

    /// An object, if it is there.
    pub fn get(&self, at: &Ref) -> Option<&Rc<Stored>> {
        self.objects.get(at)
    }

    /// All objects of a kind, by namespace and name.
    pub fn list(&self, kind: &'static str) -> impl Iterator<Item = (&Ref, &Rc<Stored>)> {
        let from = Ref::new(kind, "", "");
        self.objects.range(from..).take_while(move |(at, _)| at.kind == kind)
    }

    /// All objects in a namespace.
    pub fn within(&self, namespace: &str) -> impl Iterator<Item = (&Ref, &Rc<Stored>)> {
        self.objects.iter().filter(move |(at, _)| &*at.namespace == namespace)
    }

    /// What changed since this was last asked.
    pub fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Makes an object.
    pub fn create(&mut self, by: &str, at: &Ref, object: &Value) -> Result<Rc<Stored>, Refused> {
        if self.objects.contains_key(at) {
            return Err(Refused::new(409, "AlreadyExists", format!("{at} already exists")));
        }
        let mut object = object.clone();
        if has_status(at.kind) {
            remove(&mut object, "status");
        }

        let fields = owned(at.kind, &object);
        let owner = Owner { manager: by.to_owned(), applies: false, of_status: false, fields: Rc::new(fields) };
        self.store_new(by, at, object, vec![owner])
    }

    /// Changes an object by a merge patch. One that names a resource version is refused where the object has another.
    pub fn patch(&mut self, by: &str, at: &Ref, change: &Value, status: bool) -> Result<Rc<Stored>, Refused> {
        let live = self.objects.get(at).cloned().ok_or_else(|| Refused::not_found(at))?;
        precondition(at, &live, change)?;
        self.is_named = change["metadata"]["resourceVersion"].is_string();
        let mut change = change.clone();
        if status {
            change = json!({"status": change["status"]});
        } else if has_status(at.kind) {
            remove(&mut change, "status");
        }

        let mut object = live.object.clone();
        path::patch(&mut object, &change);
        default(at.kind, &mut object);
        let (set, gone) = path::difference(at.kind, &live.object, &object);
        let set: Fields = set.into_iter().filter(|path| is_ownable(path)).collect();

        let mut owners = live.owners.clone();
        for owner in &mut owners {
            let is_lost = |path: &String| set.contains(path) || gone.contains(path);
            if owner.fields.iter().any(is_lost) {
                owner.fields = Rc::new(owner.fields.iter().filter(|path| !is_lost(path)).cloned().collect());
            }
        }
        if !set.is_empty() {
            match owners.iter_mut().find(|owner| owner.is(by, false, status)) {
                Some(owner) => owner.fields = Rc::new(owner.fields.union(&set).cloned().collect()),
                None => owners.push(Owner {
                    manager: by.to_owned(),
                    applies: false,
                    of_status: status,
                    fields: Rc::new(set),
                }),
            }
        }
        self.store(by, at, &live, object, owners)
    }

    /// Gives an object another status, as the controllers of Kubernetes do. Nobody asks who owns it.
    pub fn set_status(&mut self, by: &str, at: &Ref, status: Value) -> Result<Rc<Stored>, Refused> {
        let live = self.objects.get(at).cloned().ok_or_else(|| Refused::not_found(at))?;
        let mut object = live.object.clone();
        object["status"] = status;
        self.store(by, at, &live, object, live.owners.clone())
    }

    /// Applies what a field manager says of an object: what it said before and no longer says goes, unless somebody else
    /// says it too.
    pub fn apply(&mut self, at: &Ref, request: Apply<'_>) -> Result<Rc<Stored>, Refused> {
        let Apply { by, manifest, force, status } = request;
        if !status {
            admission::of_somebody_else(self, by, at)?;
        }
        let mut said = manifest.clone();
        if status {
            said = json!({"status": manifest["status"]});
        } else if has_status(at.kind) {
            remove(&mut said, "status");
        }
        if let Some(metadata) = said.get_mut("metadata") {
            for own in ["name", "namespace", "uid", "resourceVersion"] {
                remove(metadata, own);
            }
        }
        let Some(live) = self.objects.get(at).cloned() else {
            return self.apply_new(at, manifest, said, request);
        };
        precondition(at, &live, manifest)?;
        self.is_named = manifest["metadata"]["resourceVersion"].is_string();

        let leaves = path::leaves(at.kind, &said);
        let fields: Fields = leaves.keys().filter(|path| is_ownable(path)).cloned().collect();
        let known = path::leaves(at.kind, &live.object);
        let is_contested = |path: &&String| known.get(*path).is_some_and(|value| leaves.get(*path) != Some(value));

        // What others say otherwise is theirs, unless it is taken by force.
        let mut owners = live.owners.clone();
        for owner in owners.iter_mut().filter(|owner| !owner.is(by, true, status)) {
            let contested: Fields = owner.fields.intersection(&fields).filter(is_contested).cloned().collect();
            if contested.is_empty() {
                continue;
            }
            if !force {
                let (manager, what) = (&owner.manager, contested.into_iter().collect::<Vec<_>>().join(", "));
                return Err(Refused::new(409, "Conflict", format!("conflict with {manager:?}: {what}")));
            }
            owner.fields = Rc::new(owner.fields.difference(&contested).cloned().collect());
        }

        let mut object = live.object.clone();
        path::merge(at.kind, "", &mut object, &said);
        let before = owners.iter().position(|owner| owner.is(by, true, status));
        if let Some(before) = before {
            let mut given_up: Fields = owners[before].fields.difference(&fields).cloned().collect();
            for (_, owner) in owners.iter().enumerate().filter(|(at, _)| *at != before) {
                given_up.retain(|path| !owner.fields.contains(path));
            }
            path::prune(at.kind, &mut object, &given_up);
        }
        default(at.kind, &mut object);
        match before {
            Some(before) if *owners[before].fields == fields => {}
            Some(before) => owners[before].fields = Rc::new(fields),
            None => {
                owners.push(Owner {
                    manager: by.to_owned(),
                    applies: true,
                    of_status: status,
                    fields: Rc::new(fields),
                });
            }
        }
        self.store(by, at, &live, object, owners)
    }

    fn apply_new(
        &mut self,
        at: &Ref,
        manifest: &Value,
        said: Value,
        request: Apply<'_>,
    ) -> Result<Rc<Stored>, Refused> {
        if request.status {
            return Err(Refused::not_found(at));
        }
        // One that names which object it means does not make another.
        let metadata = &manifest["metadata"];
        if metadata["uid"].is_string() {
            return Err(Refused::conflict(at));
        }

        let fields = owned(at.kind, &said);
        let owner = Owner { manager: request.by.to_owned(), applies: true, of_status: false, fields: Rc::new(fields) };
        let mut object = said;
        object["metadata"]["name"] = (*at.name).into();
        if !at.namespace.is_empty() {
            object["metadata"]["namespace"] = (*at.namespace).into();
        }
        self.store_new(request.by, at, object, vec![owner])
    }

    /// Deletes an object: at once, or once its finalizers are gone and, of a namespace, what is in it.
    pub fn delete(&mut self, by: &str, at: &Ref, uid: Option<&str>) -> Result<(), Refused> {
        let live = self.objects.get(at).cloned().ok_or_else(|| Refused::not_found(at))?;
        if uid.is_some_and(|uid| uid != live.uid()) {
            return Err(Refused::conflict(at));
        }
        admission::of_somebody_else(self, by, at)?;
        admission::deletion(self, at, &live)?;
        if live.is_terminating() {
            return Ok(());
        }

        let has_finalizers = live.object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty());
        if !has_finalizers && at.kind != "Namespace" {
            self.forget(by, at);
            return Ok(());
        }
        let mut object = live.object.clone();
        object["metadata"]["deletionTimestamp"] = self.now.to_string().into();
        if at.kind == "Namespace" {
            object["status"]["phase"] = "Terminating".into();
        }
        self.store(by, at, &live, object, live.owners.clone()).map(|_| ())
    }

    /// Takes an object away that nothing holds any more.
    pub fn forget(&mut self, by: &str, at: &Ref) {
        let Some(before) = self.objects.remove(at) else { return };
        // A deletion is a change like any other: watches tell it with a version of its own.
        self.version += 1;
        self.changes.push(Change {
            at: at.clone(),
            before: Some(before),
            after: None,
            version: self.version,
            by: by.to_owned(),
            is_named: false,
        });
    }

    fn store_new(&mut self, by: &str, at: &Ref, mut object: Value, owners: Vec<Owner>) -> Result<Rc<Stored>, Refused> {
        if !at.namespace.is_empty() {
            let namespace = Ref::new("Namespace", "", &at.namespace);
            match self.objects.get(&namespace) {
                None => return Err(Refused::new(404, "NotFound", format!("namespaces {:?} not found", at.namespace))),
                Some(namespace) if namespace.is_terminating() => {
                    let message = format!("{at}: its namespace is being terminated");
                    return Err(Refused::new(403, "NamespaceTerminating", message));
                }
                Some(_) => {}
            }
        }
        default(at.kind, &mut object);
        admission::creation(at, &object)?;

        self.made += 1;
        let metadata = &mut object["metadata"];
        metadata["uid"] = format!("uid-{}", self.made).into();
        metadata["creationTimestamp"] = self.now.to_string().into();
        if has_generation(at.kind) {
            metadata["generation"] = 1.into();
        }
        if at.kind == "Namespace" {
            object["status"]["phase"] = "Active".into();
        }
        Ok(self.keep(by, at, None, object, owners))
    }

    fn store(
        &mut self,
        by: &str,
        at: &Ref,
        live: &Rc<Stored>,
        mut object: Value,
        mut owners: Vec<Owner>,
    ) -> Result<Rc<Stored>, Refused> {
        owners.retain(|owner| !owner.fields.is_empty());
        if object == live.object && owners == live.owners {
            self.is_named = false;
            return Ok(Rc::clone(live));
        }
        admission::update(at, &live.object, &object)?;

        let is_edit = has_generation(at.kind)
            && (changed(&live.object, &object, "spec")
                || live.object["metadata"]["deletionTimestamp"] != object["metadata"]["deletionTimestamp"]);
        if is_edit {
            let generation = live.object["metadata"]["generation"].as_i64().unwrap_or(1);
            object["metadata"]["generation"] = (generation + 1).into();
        }

        let is_held = object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty());
        if live.is_terminating() && !is_held && at.kind != "Namespace" {
            // It is not stored once more without its finalizers: watches tell only that it is gone.
            self.is_named = false;
            self.forget(by, at);
            return Ok(Rc::new(Stored { object, owners, version: self.version }));
        }
        Ok(self.keep(by, at, Some(live), object, owners))
    }

    fn keep(
        &mut self,
        by: &str,
        at: &Ref,
        before: Option<&Rc<Stored>>,
        mut object: Value,
        owners: Vec<Owner>,
    ) -> Rc<Stored> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        let after = Rc::new(Stored { object, owners, version: self.version });
        self.objects.insert(at.clone(), Rc::clone(&after));

        let (before, after_too) = (before.cloned(), Some(Rc::clone(&after)));
        let is_named = std::mem::take(&mut self.is_named);
        let version = self.version;
        self.changes.push(Change { at: at.clone(), before, after: after_too, version, by: by.to_owned(), is_named });
        after
    }
}

/// Does the object differ from the one that the request says it read?
fn precondition(at: &Ref, live: &Stored, request: &Value) -> Result<(), Refused> {
    let differs = |what: &str| {
        let read = &request["metadata"][what];
        read.is_string() && *read != live.object["metadata"][what]
    };
    if differs("uid") {
        return Err(Refused::new(422, "Invalid", format!("{at}: metadata.uid: field is immutable")));
    }
    if differs("resourceVersion") { Err(Refused::conflict(at)) } else { Ok(()) }
}

/// Is a field somebody's? Names and versions are the server's.
fn is_ownable(path: &str) -> bool {
    path.starts_with("/f:metadata/f:labels")
        || path.starts_with("/f:metadata/f:annotations")
        || path.starts_with("/f:metadata/f:finalizers")
        || !(path.starts_with("/f:metadata") || path == "/f:apiVersion" || path == "/f:kind")
}

fn owned(kind: &str, object: &Value) -> Fields {
    path::leaves(kind, object).into_keys().filter(|path| is_ownable(path)).collect()
}

fn changed(before: &Value, after: &Value, field: &str) -> bool {
    before.get(field) != after.get(field)
}

fn remove(object: &mut Value, field: &str) {
    if let Some(fields) = object.as_object_mut() {
        fields.remove(field);
    }
}

/// The defaults that decide something.
fn default(kind: &str, object: &mut Value) {
    if kind == "Deployment" && object["spec"]["replicas"].is_null() {
        object["spec"]["replicas"] = 1.into();
    }
    // Who waits for an object does not take for done what nobody looked at yet.
    if is_custom(kind) && object["status"].is_null() {
        object["status"] = json!({"observedGeneration": NEVER_SEEN});
    }
    if kind == "Campaign" && object["status"].is_object() && object["status"]["phase"].is_null() {
        object["status"]["phase"] = "Draft".into();
    }
    if kind == "Instance" && object["spec"].is_object() {
        for (field, value) in [("environment", "Production"), ("stage", "Provisioned"), ("deletionPolicy", "Retain")] {
            if object["spec"][field].is_null() {
                object["spec"][field] = value.into();
            }
        }
    }
}
