//! The API server in miniature: what is stored, and what becomes of a write.

use crate::{fleet::Fleet, stored::Stored};
use gotocloud_api::{
    Application, Approval, Campaign, ChangeFreezeSpec, Deferral, Establishment, Instance, Release, Stage,
    upgrade::Rollout,
};
use gotocloud_planner::{
    campaign::{FIELD_MANAGER, Objects, approvals::with_approvals},
    path::Graph,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, collections::BTreeSet, sync::Arc};

pub const HUB: &str = "hub";
/// The field manager of people.
pub const PERSON: &str = "kubectl";

/// What is stored of what changes. Each object has its place, and its name, in the [`Fleet`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Hub {
    pub instances: Vec<Option<Stored<Instance>>>,
    pub campaigns: Vec<Option<Stored<Campaign>>>,
    /// Which of the other objects are there, a bit each.
    pub others: u16,
}

/// An object that comes and goes as a whole.
#[derive(Clone, Debug)]
pub enum Other {
    Release(Arc<Release>),
    Establishment(Arc<Establishment>),
    Freeze(String, Box<ChangeFreezeSpec>),
    Deferral(Arc<Deferral>),
    Approval(Arc<Approval>),
}

impl Hub {
    pub fn has(&self, other: usize) -> bool {
        self.others & (1 << other) != 0
    }
}

/// Why a write is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict;

/// The fields of an Instance's spec that somebody set, by their manager.
fn owned(instance: &Instance, manager: &str) -> BTreeSet<String> {
    let entries = instance.metadata.managed_fields.iter().flatten();
    let own = entries.filter(|entry| entry.manager.as_deref() == Some(manager));
    let fields = own.filter_map(|entry| entry.fields_v1.as_ref()?.0["f:spec"].as_object());
    fields.flat_map(|fields| fields.keys().map(|field| field.trim_start_matches("f:").to_owned())).collect()
}

fn owns(instance: &mut Instance, manager: &str, fields: &BTreeSet<String>) {
    let entries = instance.metadata.managed_fields.get_or_insert_default();
    entries.retain(|entry| entry.manager.as_deref() != Some(manager));
    if !fields.is_empty() {
        let fields: Map<String, Value> = fields.iter().map(|field| (format!("f:{field}"), json!({}))).collect();
        let entry = json!({"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": fields}});
        entries.push(serde_json::from_value::<ManagedFieldsEntry>(entry).unwrap());
    }
    entries.sort_by(|one, other| one.manager.cmp(&other.manager));
}

/// A field of a spec that campaigns write.
fn field(instance: &Instance, name: &str) -> Value {
    match name {
        "release" => json!(instance.spec.release),
        "stage" => json!(instance.spec.stage),
        "rollout" => json!(instance.spec.rollout),
        "rehearse" => json!(instance.spec.rehearse),
        _ => Value::Null,
    }
}

fn set(instance: &mut Instance, name: &str, value: &Value) {
    let text = || value.as_str().map(str::to_owned);
    match name {
        "release" => instance.spec.release = text(),
        "stage" => {
            instance.spec.stage = serde_json::from_value::<Option<Stage>>(value.clone()).unwrap().unwrap_or_default();
        }
        "rollout" => instance.spec.rollout = serde_json::from_value::<Option<Rollout>>(value.clone()).unwrap(),
        "rehearse" => instance.spec.rehearse = text(),
        _ => {}
    }
}

/// A server-side apply of an Instance by the campaigns' field manager.
pub fn apply(
    stored: Option<&Stored<Instance>>,
    body: &Value,
    is_forced: bool,
    is_blind: bool,
) -> Result<Stored<Instance>, Conflict> {
    let version = body["metadata"]["resourceVersion"].as_str();
    let Some(stored) = stored else {
        if version.is_some() {
            return Err(Conflict);
        }
        let mut made: Instance = serde_json::from_value(body.clone()).map_err(|_| Conflict)?;
        made.metadata.generation = Some(1);
        let fields = body["spec"].as_object().map(|spec| spec.keys().cloned().collect()).unwrap_or_default();
        owns(&mut made, FIELD_MANAGER, &fields);
        return Ok(Stored::new(made));
    };
    if version.is_some_and(|version| Some(version) != stored.metadata.resource_version.as_deref()) && !is_blind {
        return Err(Conflict);
    }

    let wanted: BTreeMap<&String, &Value> = body["spec"].as_object().into_iter().flatten().collect();
    let (ours, theirs) = (owned(stored, FIELD_MANAGER), owned(stored, PERSON));
    let differs = |name: &&&String| theirs.contains(**name) && field(stored, name) != *wanted[**name];
    if wanted.keys().any(|name| differs(&name)) && !is_forced {
        return Err(Conflict);
    }

    Ok(stored.changed(|instance| {
        for (name, value) in &wanted {
            set(instance, name, value);
        }
        let wanted: BTreeSet<String> = wanted.keys().map(|name| (*name).clone()).collect();
        for name in ours.difference(&wanted).filter(|name| !theirs.contains(*name)) {
            set(instance, name, &Value::Null);
        }
        owns(instance, FIELD_MANAGER, &wanted);
    }))
}

/// An edit of an Instance by a person: what changes is theirs from then on, and nobody else's.
pub fn edit(stored: &Stored<Instance>, change: impl FnOnce(&mut Instance)) -> Option<Stored<Instance>> {
    let edited = stored.changed(|instance| {
        let before = instance.clone();
        change(instance);
        let (mut ours, mut theirs) = (owned(instance, FIELD_MANAGER), owned(instance, PERSON));
        for name in ["release", "stage", "rollout", "rehearse"] {
            let after = field(instance, name);
            if after == field(&before, name) {
                continue;
            }
            ours.remove(name);
            if after.is_null() {
                theirs.remove(name);
            } else {
                theirs.insert(name.to_owned());
            }
        }
        owns(instance, FIELD_MANAGER, &ours);
        owns(instance, PERSON, &theirs);
    });
    (edited != *stored).then_some(edited)
}

/// An Instance that a person made: what it says is theirs.
pub fn made_by_hand(mut instance: Instance) -> Stored<Instance> {
    let fields = ["release", "stage"].into_iter().filter(|name| !field(&instance, name).is_null());
    let fields = fields.map(str::to_owned).collect();
    owns(&mut instance, PERSON, &fields);
    Stored::new(instance)
}

/// What a process, or the checker, sees of the objects.
pub struct Sight<'a> {
    pub fleet: &'a Fleet,
    pub hub: &'a Hub,
    /// Is it the process that looks? Then planted faults count.
    pub is_process: bool,
}

impl Sight<'_> {
    fn others(&self) -> impl Iterator<Item = &Other> {
        let there = self.fleet.others.iter().enumerate().filter(|(at, _)| self.hub.has(*at));
        there.map(|(_, other)| other)
    }

    fn shown(&self, instance: &Stored<Instance>) -> Arc<Instance> {
        if self.is_process { self.fleet.shown(instance) } else { Arc::clone(&instance.object) }
    }
}

impl Objects for Sight<'_> {
    fn application(&self, name: &str) -> Option<Arc<Application>> {
        (name == "app").then(|| Arc::clone(&self.fleet.application))
    }

    fn release(&self, name: &str) -> Option<Arc<Release>> {
        self.others().find_map(|other| match other {
            Other::Release(one) if one.metadata.name.as_deref() == Some(name) => Some(Arc::clone(one)),
            _ => None,
        })
    }

    fn graph(&self, _: &str) -> Graph {
        Graph::new(self.others().filter_map(|other| match other {
            Other::Release(one) => Some(&**one),
            _ => None,
        }))
    }

    fn freezes(&self) -> Vec<(String, ChangeFreezeSpec)> {
        let freeze = |other: &Other| match other {
            Other::Freeze(name, spec) => Some((name.clone(), (**spec).clone())),
            _ => None,
        };
        self.others().filter_map(freeze).collect()
    }

    fn approvals(&self) -> Vec<Arc<Approval>> {
        let approval = |other: &Other| match other {
            Other::Approval(one) => Some(Arc::clone(one)),
            _ => None,
        };
        self.others().filter_map(approval).collect()
    }

    fn campaigns(&self) -> Vec<Arc<Campaign>> {
        let approvals = self.approvals();
        let shown = |(at, one): (usize, &Option<Stored<Campaign>>)| {
            if self.is_process {
                return self.fleet.campaign_shown(at, one.as_ref());
            }
            one.as_ref().map(|one| Arc::clone(&one.object))
        };
        let campaigns = self.hub.campaigns.iter().enumerate().filter_map(shown);
        campaigns.map(|one| with_approvals(&one, &approvals)).collect()
    }

    fn deferrals(&self) -> Vec<Arc<Deferral>> {
        let deferral = |other: &Other| match other {
            Other::Deferral(one) => Some(Arc::clone(one)),
            _ => None,
        };
        self.others().filter_map(deferral).filter(|_| !(self.is_process && self.fleet.hides_deferrals())).collect()
    }

    fn establishments(&self) -> Vec<Arc<Establishment>> {
        let establishment = |other: &Other| match other {
            Other::Establishment(one) => Some(Arc::clone(one)),
            _ => None,
        };
        self.others().filter_map(establishment).collect()
    }

    fn establishment(&self, name: &str) -> Option<Arc<Establishment>> {
        self.establishments().into_iter().find(|one| one.metadata.name.as_deref() == Some(name))
    }

    fn instances(&self) -> Vec<Arc<Instance>> {
        self.hub.instances.iter().flatten().map(|one| self.shown(one)).collect()
    }

    fn instance(&self, namespace: &str, name: &str) -> Option<Arc<Instance>> {
        let at = self.fleet.instance_at(name).filter(|_| namespace == HUB)?;
        self.hub.instances[at].as_ref().map(|one| self.shown(one))
    }

    fn running_beside(&self, _: &Instance) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}
