//! A process of the operator: what it has seen, what it remembers, and what it will look at next.
//!
//! What decides is the planner's own code, and what is kept of objects is the operator's own `children.rs`. What the
//! operator does with tokio and a client is done here one request at a time, in the same order and with the same
//! preconditions.

#[allow(dead_code)] // The operator asks more of it than the simulation does.
#[path = "../../../../operator/controller/src/children.rs"]
pub mod children;
mod pass;
mod view;

pub use pass::pass;

use crate::api::{Change, Owner, Ref, Stored};
use children::{Children, InstanceRef, Seen};
use gotocloud_api::{Application, Establishment, Instance, Platform, Release, names};
use gotocloud_planner::{Kind, database::Assured, inputs, removals::Ledger};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    rc::Rc,
};

/// The operator's own kinds that a process watches.
pub const OWN: [&str; 5] = ["Instance", "Application", "Release", "Establishment", "Platform"];

/// What a watch tells.
#[derive(Clone, Debug)]
pub enum Told {
    /// An object is as this.
    Is(Ref, Rc<Stored>),
    /// An object is gone; it was this.
    Gone(Ref, Rc<Stored>),
    /// All objects of the kind.
    All(Vec<(Ref, Rc<Stored>)>),
}

/// What people ask for, as a process has seen it.
#[derive(Default)]
pub struct Catalogue {
    pub instances: BTreeMap<InstanceRef, Rc<Instance>>,
    pub applications: BTreeMap<String, Rc<Application>>,
    pub releases: BTreeMap<String, Rc<Release>>,
    pub establishments: BTreeMap<String, Rc<Establishment>>,
    pub platforms: BTreeMap<String, Rc<Platform>>,
}

/// What a process remembers of an Instance.
#[derive(Default)]
pub struct Recollection {
    pub database_assured: Option<Assured>,
    pub attempts: u32,
    /// The Instance as this process last wrote it, until the watch shows it.
    pub written: Option<Rc<Instance>>,
    pub untold_since: Option<Timestamp>,
}

/// A process.
pub struct Process {
    /// Which life this is: a process that died and began anew has another.
    pub life: u64,
    pub catalogue: Catalogue,
    pub children: Children,
    pub ledger: Ledger,
    pub memory: BTreeMap<InstanceRef, Recollection>,
    /// When each Instance is looked at next.
    pub queue: BTreeMap<InstanceRef, Timestamp>,
    /// Those that are being looked at.
    pub busy: BTreeSet<InstanceRef>,
    /// What each watch has yet to tell.
    pub inbox: BTreeMap<&'static str, VecDeque<Told>>,
    /// The kinds that were listed once.
    synced: BTreeSet<&'static str>,
    /// Specs of the catalogue as last seen: their status alone wakes nobody.
    specs: BTreeMap<Ref, Value>,
}

/// The kinds a process watches.
pub fn watched() -> impl Iterator<Item = &'static str> {
    OWN.into_iter().chain(Kind::ALL.into_iter().filter(|kind| kind.is_watched()).map(Kind::name))
}

impl Process {
    /// A process that has seen nothing yet.
    pub fn new(life: u64) -> Self {
        Self {
            life,
            catalogue: Catalogue::default(),
            children: Children::default(),
            ledger: Ledger::default(),
            memory: BTreeMap::new(),
            queue: BTreeMap::new(),
            busy: BTreeSet::new(),
            inbox: watched().map(|kind| (kind, VecDeque::new())).collect(),
            synced: BTreeSet::new(),
            specs: BTreeMap::new(),
        }
    }

    /// Has every watch listed its kind once?
    pub fn is_synced(&self) -> bool {
        self.synced.len() == self.inbox.len()
    }

    /// Notes what changed, for the watch of its kind to tell some time later.
    pub fn note(&mut self, change: &Change) {
        let Some(inbox) = self.inbox.get_mut(change.at.kind) else { return };
        let is_followed = |stored: &&Rc<Stored>| is_followed(&change.at, stored);
        let (before, after) = (change.before.as_ref().filter(is_followed), change.after.as_ref().filter(is_followed));
        match (before, after, &change.after) {
            (_, Some(after), _) => inbox.push_back(Told::Is(change.at.clone(), Rc::clone(after))),
            // One that lost the label is gone from the watch, which shows it as it is now.
            (Some(_), None, Some(after)) => inbox.push_back(Told::Gone(change.at.clone(), Rc::clone(after))),
            (Some(before), None, None) => inbox.push_back(Told::Gone(change.at.clone(), Rc::clone(before))),
            (None, None, _) => {}
        }
    }

    /// Takes up what the watch of a kind tells.
    pub fn learn(&mut self, kind: &'static str, told: &Told, now: Timestamp) {
        match told {
            Told::Is(at, stored) => self.see(at, stored, now),
            Told::Gone(at, stored) => self.miss(at, stored, now),
            Told::All(all) => {
                self.synced.insert(kind);
                for (at, stored) in all {
                    self.see(at, stored, now);
                }
                self.keep_only(kind, all, now);
            }
        }
    }

    fn see(&mut self, at: &Ref, stored: &Rc<Stored>, now: Timestamp) {
        if let Some(kind) = child_kind(at.kind) {
            let owner = self.children.observe(&seen(kind, stored));
            self.wake(owner, now);
            return;
        }
        match at.kind {
            "Instance" => {
                let Some(instance) = typed::<Instance>(&stored.object) else { return };
                let who = reference(at);
                let before = self.catalogue.instances.insert(who.clone(), Rc::new(instance));
                // An address or a way that is news to neighbours is left to the next look at them.
                if before.is_none() || before.as_deref() != self.catalogue.instances.get(&who).map(Rc::as_ref) {
                    self.wake(Some(who), now);
                }
            }
            "Application" => put(&mut self.catalogue.applications, at, stored),
            "Release" => put(&mut self.catalogue.releases, at, stored),
            "Establishment" => put(&mut self.catalogue.establishments, at, stored),
            "Platform" => put(&mut self.catalogue.platforms, at, stored),
            _ => return,
        }
        if at.kind != "Instance" {
            let spec = stored.object["spec"].clone();
            if self.specs.insert(at.clone(), spec.clone()).as_ref() != Some(&spec) {
                self.wake_concerned(at, now);
            }
        }
    }

    fn miss(&mut self, at: &Ref, stored: &Rc<Stored>, now: Timestamp) {
        if let Some(kind) = child_kind(at.kind) {
            let owner = self.children.forget(kind, &metadata(stored));
            self.wake(owner, now);
            return;
        }
        let name = &*at.name;
        match at.kind {
            "Instance" => {
                let who = reference(at);
                self.catalogue.instances.remove(&who);
                self.forget(&who, now);
            }
            "Application" => drop(self.catalogue.applications.remove(name)),
            "Release" => drop(self.catalogue.releases.remove(name)),
            "Establishment" => drop(self.catalogue.establishments.remove(name)),
            "Platform" => drop(self.catalogue.platforms.remove(name)),
            _ => {}
        }
        if self.specs.remove(at).is_some() {
            self.wake_concerned(at, now);
        }
    }

    /// Forgets what a complete list lacks.
    fn keep_only(&mut self, kind: &'static str, all: &[(Ref, Rc<Stored>)], now: Timestamp) {
        if let Some(child) = child_kind(kind) {
            let listed: HashSet<_> = all
                .iter()
                .filter_map(|(at, stored)| Some((children::owner(&metadata(stored))?, at.name.clone())))
                .collect();
            for owner in self.children.keep_only(child, &listed) {
                self.wake(Some(owner), now);
            }
            return;
        }
        let listed: BTreeSet<&Ref> = all.iter().map(|(at, _)| at).collect();
        let instances = self.catalogue.instances.keys().map(|who| Ref::new("Instance", &who.namespace, &who.name));
        let known: Vec<Ref> = match kind {
            "Instance" => instances.collect(),
            _ => self.specs.keys().filter(|at| at.kind == kind).cloned().collect(),
        };
        let nothing = Rc::new(Stored { object: Value::Null, owners: Vec::new(), version: 0 });
        for at in known.iter().filter(|at| !listed.contains(at)) {
            self.miss(at, &nothing, now);
        }
    }

    /// Forgets an Instance that is gone.
    pub fn forget(&mut self, who: &InstanceRef, now: Timestamp) {
        self.memory.remove(who);
        self.queue.remove(who);
        self.ledger.wish(&who.to_string(), 0, now);
    }

    /// Has an Instance looked at by `at`.
    pub fn wake_at(&mut self, who: &InstanceRef, at: Timestamp) {
        if self.catalogue.instances.contains_key(who) {
            let due = self.queue.entry(who.clone()).or_insert(at);
            *due = at.min(*due);
        }
    }

    fn wake(&mut self, who: Option<InstanceRef>, now: Timestamp) {
        if let Some(who) = who {
            self.wake_at(&who, now);
        }
    }

    /// Wakes those that an edit of the catalogue concerns.
    fn wake_concerned(&mut self, at: &Ref, now: Timestamp) {
        let name = &*at.name;
        let concerns = |one: &Instance| match at.kind {
            "Application" => one.spec.application == name,
            "Release" => inputs::release_name(one) == Some(name),
            _ => true,
        };
        let concerned: Vec<_> =
            self.catalogue.instances.iter().filter(|(_, one)| concerns(one)).map(|(who, _)| who.clone()).collect();
        for who in concerned {
            self.wake_at(&who, now);
        }
    }
}

fn is_followed(at: &Ref, stored: &Stored) -> bool {
    OWN.contains(&at.kind) || stored.label(names::LABEL_MANAGED_BY) == Some(names::FIELD_MANAGER)
}

/// What a new watch of a kind lists.
pub fn listed<'s>(all: impl Iterator<Item = (&'s Ref, &'s Rc<Stored>)>) -> Vec<(Ref, Rc<Stored>)> {
    all.filter(|(at, stored)| is_followed(at, stored)).map(|(at, stored)| (at.clone(), Rc::clone(stored))).collect()
}

/// The kind of that name, if instances are made of such.
pub fn child_kind(name: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.name() == name)
}

/// Which Instance it is.
pub fn reference(at: &Ref) -> InstanceRef {
    InstanceRef::new(&at.namespace, &at.name)
}

fn put<K: DeserializeOwned>(into: &mut BTreeMap<String, Rc<K>>, at: &Ref, stored: &Stored) {
    if let Some(object) = typed(&stored.object) {
        into.insert(at.name.to_string(), Rc::new(object));
    }
}

/// An object as its type; `None` if it cannot be read, which the real API server does not let in.
pub fn typed<K: DeserializeOwned>(object: &Value) -> Option<K> {
    K::deserialize(object).ok()
}

/// What the operator's `children.rs` keeps of an object.
pub fn seen(kind: Kind, stored: &Stored) -> Seen {
    let object = &stored.object;
    let whole = kind.has_health().then(|| {
        json!({
            "metadata": {"generation": object["metadata"]["generation"]},
            "spec": object["spec"],
            "status": object["status"],
        })
    });
    Seen { kind, metadata: metadata(stored), whole }
}

/// The metadata of an object, with who owns what.
pub fn metadata(stored: &Stored) -> ObjectMeta {
    let mut metadata: ObjectMeta = typed(&stored.object["metadata"]).unwrap_or_default();
    let entries = stored.owners.iter().map(entry).collect::<Vec<_>>();
    metadata.managed_fields = typed(&Value::Array(entries));
    metadata
}

/// An entry of `managedFields`.
pub fn entry(owner: &Owner) -> Value {
    let mut fields = Map::new();
    for path in &*owner.fields {
        // A part may hold a slash; each begins with one and the letter of its kind.
        let mut at = &mut fields;
        for part in parts(path) {
            let next = at.entry(part.to_owned()).or_insert_with(|| json!({}));
            let Value::Object(next) = next else { break };
            at = next;
        }
    }
    json!({
        "manager": owner.manager,
        "operation": if owner.applies { "Apply" } else { "Update" },
        "subresource": if owner.of_status { "status" } else { "" },
        "fieldsV1": fields,
    })
}

/// The parts of a path.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    let begins: Vec<usize> =
        ["/f:", "/k:", "/v:"].iter().flat_map(|mark| path.match_indices(mark).map(|(at, _)| at)).collect();
    let mut begins = begins;
    begins.sort_unstable();
    let ends: Vec<usize> = begins.iter().skip(1).copied().chain([path.len()]).collect();
    begins.into_iter().zip(ends).map(|(begin, end)| &path[begin + 1..end])
}
