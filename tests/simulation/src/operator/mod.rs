//! A process of the operator: what it has seen, what it remembers, and what it will look at next.
//!
//! What decides is the planner's own code, and what is kept of objects is the operator's own `children.rs`. What the
//! operator does with tokio and a client is done here one request at a time, in the same order and with the same
//! preconditions.

pub mod campaigns;
mod catalogue;
#[allow(dead_code)] // The operator asks more of it than the simulation does.
#[path = "../../../../operator/controller/src/children.rs"]
pub mod children;
pub mod gates;
mod pass;
mod view;

pub use catalogue::{Known, OWN, instance_of};
pub use pass::pass;

use crate::{
    api::{Change, Owner, Ref, Selector, Stored, Told},
    fault::Fault,
};
use catalogue::Catalogue;
use children::{Children, InstanceRef, Seen};
use gotocloud_api::{Instance, names};
use gotocloud_planner::{
    Kind,
    campaign::{
        Engine,
        engine::{self, Event},
    },
    database::Assured,
    removals::Ledger,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    rc::Rc,
    sync::Arc,
};

/// Something that a process has to do.
#[derive(Clone, Debug)]
pub enum Work {
    /// To look at an Instance.
    Instance(InstanceRef),
    /// To look at all campaigns.
    Campaigns,
    /// To ask the gates of all that wait for them.
    Gates,
}

/// What a process remembers of an Instance.
#[derive(Default)]
pub struct Recollection {
    pub database_assured: Option<Assured>,
    pub attempts: u32,
    /// The Instance as this process last wrote it, until the watch shows it.
    pub written: Option<Arc<Instance>>,
    pub untold_since: Option<Timestamp>,
}

/// A process.
#[allow(clippy::struct_excessive_bools)] // Each is a fact of its own.
pub struct Process {
    /// Which of the processes.
    pub place: usize,
    /// Does it take itself for the one that acts?
    pub is_leading: bool,
    /// Is it not scheduled, whatever happens?
    pub is_frozen: bool,
    /// Does it follow its watches? One that never led does not.
    pub is_watching: bool,
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
    /// What people wrote of the catalogue's objects, as last seen: their status alone wakes nobody.
    specs: BTreeMap<Ref, Value>,
    /// What gates say.
    pub gates: gates::Gatekeeper,
    pub engine: Engine,
    /// What happened to campaigns since they were last looked at.
    pub changes: Vec<Event>,
    /// When campaigns are looked at next; `None` before something happens.
    pub look: Option<Timestamp>,
    /// Are they being looked at?
    pub is_looking: bool,
    /// When their counts were last let be told.
    pub beat: Timestamp,
    /// When it was last worked out when each campaign will end.
    pub forecast: BTreeMap<String, Timestamp>,
    /// A mistake of it, if one is planted.
    pub fault: Option<Fault>,
}

/// How long changes are gathered before campaigns are looked at.
const GATHER: SignedDuration = SignedDuration::from_millis(50);

/// The kinds a process watches.
pub fn watched() -> impl Iterator<Item = &'static str> {
    OWN.into_iter().chain(Kind::ALL.into_iter().filter(|kind| kind.is_watched()).map(Kind::name))
}

impl Process {
    /// A process that has seen nothing yet.
    pub fn new(place: usize, life: u64, fault: Option<Fault>) -> Self {
        Self {
            place,
            is_leading: false,
            is_frozen: false,
            is_watching: false,
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
            gates: gates::Gatekeeper::default(),
            engine: Engine::default(),
            changes: vec![Event::Seen(engine::Seen::Everything)],
            look: Some(Timestamp::MIN),
            is_looking: false,
            beat: Timestamp::MIN,
            forecast: BTreeMap::new(),
            fault,
        }
    }

    /// Begins a term: nothing is carried over from an earlier one but what the watches show.
    pub fn lead(&mut self, life: u64, now: Timestamp) {
        let Self { place, is_watching, catalogue, children, inbox, synced, specs, .. } =
            std::mem::replace(self, Self::new(self.place, life, self.fault));
        let queue = catalogue.instances.keys().map(|who| (who.clone(), now)).collect();
        let (is_leading, new) = (true, Self::new(place, life, self.fault));
        *self = Self { is_leading, is_watching, catalogue, children, queue, inbox, synced, specs, ..new };
    }

    /// The watches that have something to tell.
    pub fn waiting(&self) -> impl Iterator<Item = (usize, &'static str)> {
        let has_news = self.inbox.iter().filter(|(_, told)| !self.is_frozen && !told.is_empty());
        has_news.map(|(kind, _)| (self.place, *kind))
    }

    /// What there is to do, and when.
    pub fn work(&self) -> impl Iterator<Item = (Work, Timestamp)> {
        let is_free = |(who, _): &(&InstanceRef, &Timestamp)| !self.busy.contains(*who);
        let instances = self.queue.iter().filter(is_free).map(|(who, at)| (Work::Instance(who.clone()), *at));
        let campaigns = self.look.filter(|_| !self.is_looking).map(|at| (Work::Campaigns, at));
        let gates = gates::next_round(self).map(|at| (Work::Gates, at));
        instances.chain(campaigns).chain(gates)
    }

    /// Has every watch listed its kind once?
    pub fn is_synced(&self) -> bool {
        self.synced.len() == self.inbox.len()
    }

    /// Notes what changed, for the watch of its kind to tell some time later.
    pub fn note(&mut self, change: &Change) {
        if !self.is_watching {
            return;
        }
        if let Some(inbox) = self.inbox.get_mut(change.at.kind) {
            inbox.extend(change.told(selector(change.at.kind)));
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
        if at.kind == "Instance" {
            let Some(instance) = instance_of(stored) else { return };
            let who = reference(at);
            let before = self.catalogue.instances.insert(who.clone(), Arc::new(instance));
            // An address or a way that is news to neighbours is left to the next look at them.
            if before.is_none() || before.as_deref() != self.catalogue.instances.get(&who).map(Arc::as_ref) {
                self.wake(Some(who), now);
            }
            self.tell_campaigns(at, now);
            return;
        }

        self.catalogue.put(at, Some(stored));
        let metadata = &stored.object["metadata"];
        let written = json!([metadata["generation"], metadata["labels"], metadata["annotations"], metadata["uid"]]);
        if self.specs.insert(at.clone(), written.clone()).as_ref() != Some(&written) {
            self.wake_concerned(at, now);
        }
    }

    fn miss(&mut self, at: &Ref, stored: &Rc<Stored>, now: Timestamp) {
        if let Some(kind) = child_kind(at.kind) {
            let owner = self.children.forget(kind, &metadata(stored));
            self.wake(owner, now);
            return;
        }
        if at.kind == "Instance" {
            let who = reference(at);
            self.catalogue.instances.remove(&who);
            self.forget(&who, now);
            self.tell_campaigns(at, now);
            return;
        }

        self.catalogue.put(at, None);
        if self.specs.remove(at).is_some() {
            self.wake_concerned(at, now);
        }
    }

    /// Notes what changed for campaigns, which are looked at soon.
    fn tell_campaigns(&mut self, at: &Ref, now: Timestamp) {
        if let Some(event) = catalogue::event(at) {
            self.changes.push(event);
            self.look_at(now.checked_add(GATHER).unwrap_or(now));
        }
    }

    /// Has campaigns looked at by `at`.
    pub fn look_at(&mut self, at: Timestamp) {
        self.look = Some(self.look.map_or(at, |due| due.min(at)));
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
        for who in self.catalogue.concerned(at) {
            self.wake_at(&who, now);
        }
        self.tell_campaigns(at, now);
    }
}

/// Which objects of a kind a process watches.
pub fn selector(kind: &str) -> Selector {
    if OWN.contains(&kind) { Selector::All } else { Selector::Label(names::LABEL_MANAGED_BY, names::FIELD_MANAGER) }
}

/// The kind of that name, if instances are made of such.
pub fn child_kind(name: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.name() == name)
}

/// Which Instance it is.
pub fn reference(at: &Ref) -> InstanceRef {
    InstanceRef::new(&at.namespace, &at.name)
}

fn version(instance: &Instance) -> Option<u64> {
    instance.metadata.resource_version.as_deref()?.parse().ok()
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
