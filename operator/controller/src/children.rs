//! Which objects belong to which Instance, and how does each stand? Kept as small as decisions allow: about a hundred
//! bytes an object.

use gotocloud_api::names;
use gotocloud_planner::{
    Kind, ObjectKey, fingerprint,
    health::{Health, assess},
    ownership,
    snapshot::{NamespaceOf, Observed},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use kube::api::DynamicObject;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// An Instance: its namespace in the hub, and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceRef {
    /// Its namespace in the hub.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

impl InstanceRef {
    /// The Instance of that namespace and name.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl std::fmt::Display for InstanceRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What is kept of one object.
#[derive(Clone, Debug)]
struct Child {
    kind: Kind,
    name: Box<str>,
    /// The version of the object that the rest is of; versions of one resource can be compared.
    version: u64,
    /// Hash of the fields the operator owns.
    fields: u64,
    /// Hashes of what was last applied and of the fields owned right after; none if not known.
    applied: Option<(u64, u64)>,
    health: Health,
    terminating: bool,
    /// Which one of those that bore its name; empty where it holds no data.
    uid: Box<str>,
    /// Does anybody but the operator say how many pods it has?
    is_scaled: bool,
}

/// Does data go with an object of that kind, where it is deleted?
fn takes_data_along(kind: Kind) -> bool {
    matches!(kind, Kind::Namespace | Kind::Cluster)
}

/// What is kept of one namespace.
#[derive(Clone, Debug)]
pub struct NamespaceRecord {
    /// The Instance its labels name.
    pub owner: InstanceRef,
    /// The establishment and the application that its labels name.
    pub of: NamespaceOf,
    /// Is it being deleted?
    pub terminating: bool,
    /// The data it keeps for an Instance that is gone: since when, what, and on which platform.
    pub retained: Option<(String, String, String)>,
}

/// An object as a watch or a write shows it.
pub struct Seen {
    /// Its kind.
    pub kind: Kind,
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// All of it, where its kind is judged by its status.
    pub whole: Option<Value>,
}

impl Seen {
    /// All that is known of an object.
    pub fn whole(kind: Kind, mut object: DynamicObject) -> Self {
        let whole = kind.has_health().then(|| {
            json!({
                "metadata": {"generation": object.metadata.generation},
                "spec": object.data["spec"].take(),
                "status": object.data["status"].take(),
            })
        });
        Self { kind, metadata: object.metadata, whole }
    }
}

/// The objects of all instances.
#[derive(Default)]
pub struct Children {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_instance: HashMap<InstanceRef, Vec<Child>>,
    namespaces: HashMap<Box<str>, NamespaceRecord>,
    count: usize,
}

impl State {
    /// Forgets one object; false if it was not known.
    fn remove(&mut self, owner: &InstanceRef, kind: Kind, name: &str) -> bool {
        if kind == Kind::Namespace {
            self.namespaces.remove(name);
        }
        let Some(children) = self.by_instance.get_mut(owner) else { return false };
        let before = children.len();
        children.retain(|child| child.kind != kind || *child.name != *name);
        let removed = before - children.len();
        if children.is_empty() {
            self.by_instance.remove(owner);
        }
        self.count = self.count.saturating_sub(removed);
        removed > 0
    }
}

impl Children {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change below leaves the maps whole, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an object that a watch showed. Gives the Instance it belongs to, if the object is news.
    pub fn observe(&self, seen: &Seen) -> Option<InstanceRef> {
        let Some(owner) = owner(&seen.metadata).filter(|owner| is_in_place(seen, owner)) else {
            return self.disown(seen);
        };
        let name = seen.metadata.name.as_deref()?;
        let version = version(&seen.metadata);
        let mut state = self.state();
        if seen.kind == Kind::Namespace {
            state.namespaces.insert(name.into(), namespace_record(&owner, &seen.metadata));
        }
        let fields = owned_fields(&seen.metadata);
        let health = seen.whole.as_ref().map_or(Health::Unjudged, |whole| assess(seen.kind, whole));
        let terminating = seen.metadata.deletion_timestamp.is_some();
        let uid = seen.metadata.uid.as_deref().filter(|_| takes_data_along(seen.kind)).unwrap_or_default();
        let is_scaled = seen.kind == Kind::Deployment && is_scaled(seen.metadata.managed_fields.as_deref());
        let children = state.by_instance.entry(owner.clone()).or_default();

        if let Some(known) = children.iter_mut().find(|child| child.kind == seen.kind && *child.name == *name) {
            if version < known.version {
                return None;
            }
            let is_news = known.fields != fields
                || known.health != health
                || known.terminating != terminating
                || *known.uid != *uid
                || known.is_scaled != is_scaled;
            *known = Child { version, fields, health, terminating, uid: uid.into(), is_scaled, ..known.clone() };
            return is_news.then_some(owner);
        }

        // One more, not twice as many: an Instance's objects are few, and stay as many.
        children.reserve_exact(1);
        children.push(Child {
            kind: seen.kind,
            name: name.into(),
            version,
            fields,
            applied: None,
            health,
            terminating,
            uid: uid.into(),
            is_scaled,
        });

        state.count += 1;
        Some(owner)
    }

    /// Notes an object that was just applied: what was asked, and what the API server answered.
    pub fn applied(&self, owner: &InstanceRef, seen: &Seen, desired: &str) {
        let _ = self.observe(seen);
        let Some(name) = seen.metadata.name.as_deref() else { return };
        let fields = owned_fields(&seen.metadata);
        let mut state = self.state();
        let children = state.by_instance.entry(owner.clone()).or_default();
        if let Some(child) = children.iter_mut().find(|child| child.kind == seen.kind && *child.name == *name) {
            child.applied = Some((number(desired), fields));
        }
    }

    /// Notes that an object no longer bears the labels of the Instance it is with. Gives that Instance, if it was known
    /// to be its own.
    fn disown(&self, seen: &Seen) -> Option<InstanceRef> {
        let name = seen.metadata.name.as_deref()?;
        let namespace = if seen.kind == Kind::Namespace { name } else { seen.metadata.namespace.as_deref()? };
        let instance = namespace.strip_prefix(names::WORKLOAD_NAMESPACE_PREFIX)?;
        let version = version(&seen.metadata);
        let is_it = |child: &Child| child.kind == seen.kind && *child.name == *name && child.version <= version;
        let mut state = self.state();
        let mut all = state.by_instance.iter();
        let (owner, _) = all.find(|(owner, children)| *owner.name == *instance && children.iter().any(is_it))?;
        let owner = owner.clone();
        state.remove(&owner, seen.kind, name);
        Some(owner)
    }

    /// Notes that an object is gone, or its labels are. Gives the Instance it belonged to.
    pub fn forget(&self, kind: Kind, metadata: &ObjectMeta) -> Option<InstanceRef> {
        let owner = owner(metadata)?;
        let name = metadata.name.as_deref()?;
        // A namespace that goes was being deleted. Of any other, only the labels are gone: what is in it is still there.
        let is_gone = kind != Kind::Namespace || metadata.deletion_timestamp.is_some();
        let was_known = if is_gone { self.remove(&owner, kind, name) } else { self.state().remove(&owner, kind, name) };
        was_known.then_some(owner)
    }

    /// Which one of those that bear its name is known; `None` where it holds no data, or is not known.
    pub fn uid(&self, owner: &InstanceRef, key: &ObjectKey) -> Option<String> {
        let state = self.state();
        let mut children = state.by_instance.get(owner)?.iter();
        let known = children.find(|child| child.kind == key.kind && *child.name == *key.name)?;
        Some(known.uid.to_string()).filter(|uid| !uid.is_empty())
    }

    /// Notes that an object of an Instance is gone.
    pub fn remove(&self, owner: &InstanceRef, kind: Kind, name: &str) -> bool {
        let mut state = self.state();
        if kind == Kind::Namespace {
            state.namespaces.remove(name);
            // What was in it went with it, also what nothing watches.
            let gone = state.by_instance.get(owner).map_or(0, Vec::len);
            state.by_instance.remove(owner);
            state.count = state.count.saturating_sub(gone);
            return true;
        }
        state.remove(owner, kind, name)
    }

    /// After a complete list of a kind: forgets those of that kind that were not in it. Gives their Instances.
    pub fn keep_only(&self, kind: Kind, listed: &HashSet<(InstanceRef, Box<str>)>) -> Vec<InstanceRef> {
        let gone: Vec<(InstanceRef, Box<str>)> = {
            let state = self.state();
            let of_kind = |children: &Vec<Child>| -> Vec<Box<str>> {
                children.iter().filter(|child| child.kind == kind).map(|child| child.name.clone()).collect()
            };
            let all = state
                .by_instance
                .iter()
                .flat_map(|(owner, children)| of_kind(children).into_iter().map(move |name| (owner.clone(), name)));
            all.filter(|entry| !listed.contains(entry)).collect()
        };
        for (owner, name) in &gone {
            self.remove(owner, kind, name);
        }
        gone.into_iter().map(|(owner, _)| owner).collect()
    }

    /// What is known of an Instance's objects, in the form decisions take. What is not known of the last write is taken
    /// from `recorded`, the inventory of its status.
    pub fn of(&self, owner: &InstanceRef, recorded: impl Fn(&ObjectKey) -> Option<String>) -> Vec<Observed> {
        let state = self.state();
        let workload = names::workload_namespace(&owner.name);
        let children = state.by_instance.get(owner).map_or(&[][..], Vec::as_slice);
        children
            .iter()
            .map(|child| {
                let namespace = if child.kind == Kind::Namespace { "" } else { &workload };
                let key = ObjectKey::new(child.kind, namespace, &child.name);
                let applied = match child.applied {
                    Some((desired, fields)) => format!("{desired:016x}.{fields:016x}"),
                    None => recorded(&key).unwrap_or_default(),
                };
                Observed {
                    key,
                    fields: format!("{:016x}", child.fields).into(),
                    applied: applied.into(),
                    health: child.health.clone(),
                    terminating: child.terminating,
                    uid: child.uid.clone(),
                    is_scaled: child.is_scaled,
                }
            })
            .collect()
    }

    /// Has an object of an Instance failed for good?
    pub fn has_failed(&self, owner: &InstanceRef, kind: Kind, name: &str) -> bool {
        let state = self.state();
        let mut children = state.by_instance.get(owner).into_iter().flatten();
        children.any(|child| child.kind == kind && *child.name == *name && matches!(child.health, Health::Failed(_)))
    }

    /// What is known of a namespace.
    pub fn namespace(&self, name: &str) -> Option<NamespaceRecord> {
        self.state().namespaces.get(name).cloned()
    }

    /// The namespaces that keep data of Instances that are gone.
    pub fn retained(&self) -> Vec<(String, NamespaceRecord)> {
        let state = self.state();
        let kept = state.namespaces.iter().filter(|(_, record)| record.retained.is_some());
        kept.map(|(name, record)| (name.to_string(), record.clone())).collect()
    }

    /// How many objects there are.
    pub fn count(&self) -> usize {
        self.state().count
    }
}

/// The Instance that the labels of an object name, if the operator made it.
pub fn owner(metadata: &ObjectMeta) -> Option<InstanceRef> {
    let (namespace, name) = ownership::holder(metadata.labels.as_ref()?)?;
    Some(InstanceRef::new(namespace, name))
}

/// Is the object where its Instance's objects are? A copy that somebody made elsewhere, labels included, is theirs.
fn is_in_place(seen: &Seen, owner: &InstanceRef) -> bool {
    let workload = names::workload_namespace(&owner.name);
    match seen.kind {
        Kind::Namespace => seen.metadata.name.as_deref() == Some(&workload),
        _ => seen.metadata.namespace.as_deref() == Some(&workload),
    }
}

fn namespace_record(owner: &InstanceRef, metadata: &ObjectMeta) -> NamespaceRecord {
    let none = BTreeMap::new();
    let labels = metadata.labels.as_ref().unwrap_or(&none);
    let annotation =
        |key: &str| metadata.annotations.as_ref().and_then(|all| all.get(key)).cloned().unwrap_or_default();
    let platform = labels.get(names::LABEL_PLATFORM).cloned().unwrap_or_default();
    let retained = labels
        .contains_key(names::LABEL_RETAINED)
        .then(|| (annotation(names::ANNOTATION_RETAINED_AT), annotation(names::ANNOTATION_RETAINED_DATA), platform));
    let of = NamespaceOf::marked(labels, metadata.annotations.as_ref());
    NamespaceRecord { owner: owner.clone(), of, terminating: metadata.deletion_timestamp.is_some(), retained }
}

/// Hash of the fields that the operator owns by server-side apply, and of what it last applied them from. It changes when
/// somebody takes one of them over, that is, gives it another value: drift, told by metadata alone. And it changes when
/// another process of the operator applied other values, though it never lived to say so.
fn owned_fields(metadata: &ObjectMeta) -> u64 {
    let ours = metadata.managed_fields.as_deref().and_then(|all| all.iter().find(|entry| is_ours(entry)));
    let fields = ours.and_then(|entry| entry.fields_v1.as_ref());
    let applied = metadata.annotations.as_ref().and_then(|all| all.get(names::ANNOTATION_APPLIED));
    fields.map_or(0, |fields| number(&fingerprint::of(&(&fields.0, applied))))
}

fn is_ours(entry: &ManagedFieldsEntry) -> bool {
    entry.manager.as_deref() == Some(names::FIELD_MANAGER)
        && entry.operation.as_deref() == Some("Apply")
        && entry.subresource.as_deref().unwrap_or_default().is_empty()
}

/// Does anybody but the operator own the number of pods: an autoscaler, a person, or who holds it for an autoscaler?
fn is_scaled(entries: Option<&[ManagedFieldsEntry]>) -> bool {
    let says_it = |entry: &ManagedFieldsEntry| {
        entry.fields_v1.as_ref().is_some_and(|fields| fields.0.pointer("/f:spec/f:replicas").is_some())
    };
    entries.unwrap_or_default().iter().any(|entry| !is_ours(entry) && says_it(entry))
}

/// A fingerprint as the number its hexadecimal digits write.
fn number(fingerprint: &str) -> u64 {
    u64::from_str_radix(fingerprint, 16).unwrap_or(0)
}

/// Resource versions of one resource are numbers that grow (a promise of the API since Kubernetes 1.35, and how etcd
/// always gave them); one that is not reads as 0, which is never taken for older.
fn version(metadata: &ObjectMeta) -> u64 {
    metadata.resource_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(version: &str, fields: &Value) -> Seen {
        let metadata = json!({
            "name": "web", "namespace": "gtc-a", "resourceVersion": version,
            "labels": {names::LABEL_MANAGED_BY: names::FIELD_MANAGER, names::LABEL_INSTANCE: "a", names::LABEL_INSTANCE_NAMESPACE: "hub"},
            "managedFields": [{"manager": names::FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields}],
        });
        Seen { kind: Kind::Service, metadata: serde_json::from_value(metadata).unwrap(), whole: None }
    }

    fn a() -> InstanceRef {
        InstanceRef::new("hub", "a")
    }

    #[test]
    fn an_object_is_news_once() {
        let children = Children::default();
        assert_eq!(children.observe(&seen("1", &json!({"f:a": {}}))), Some(a()));
        assert_eq!(children.observe(&seen("2", &json!({"f:a": {}}))), None);
        assert_eq!(children.count(), 1);
    }

    #[test]
    fn of_what_data_goes_with_it_is_known_which_one_it_is() {
        let children = Children::default();
        let mut namespace = seen("1", &json!({}));
        namespace.metadata.uid = Some("u-1".into());
        children.observe(&namespace);
        assert_eq!(children.uid(&a(), &ObjectKey::new(Kind::Service, "gtc-a", "web")), None);

        namespace.kind = Kind::Namespace;
        (namespace.metadata.name, namespace.metadata.namespace) = (Some("gtc-a".into()), None);
        children.observe(&namespace);
        assert_eq!(children.uid(&a(), &ObjectKey::new(Kind::Namespace, "", "gtc-a")), Some("u-1".into()));
    }

    #[test]
    fn a_field_taken_over_is_news() {
        let children = Children::default();
        children.observe(&seen("1", &json!({"f:a": {}, "f:b": {}})));
        assert_eq!(children.observe(&seen("2", &json!({"f:a": {}}))), Some(a()));
    }

    #[test]
    fn what_another_process_applied_last_is_told_by_the_object_not_by_what_was_recorded_before() {
        let applied = |version: &str, from: &str| {
            let mut seen = seen(version, &json!({"f:a": {}}));
            seen.metadata.annotations = Some([(names::ANNOTATION_APPLIED.to_owned(), from.to_owned())].into());
            seen
        };
        let before = Children::default();
        before.applied(&a(), &applied("1", "00000000000000aa"), "00000000000000aa");
        let recorded = before.of(&a(), |_| None)[0].applied.to_string();
        let is_as_recorded = |children: &Children| {
            let observed = &children.of(&a(), |_| Some(recorded.clone()))[0];
            observed.applied.split_once('.').unwrap().1 == &*observed.fields
        };
        // Another process begins, and finds it as recorded, or as one applied it that was killed.
        let after = Children::default();
        after.observe(&applied("1", "00000000000000aa"));
        assert!(is_as_recorded(&after));
        assert_eq!(after.observe(&applied("2", "00000000000000bb")), Some(a()));
        assert!(!is_as_recorded(&after));
    }

    #[test]
    fn who_holds_the_number_of_pods_for_an_autoscaler_is_no_drift_and_is_missed_when_it_lets_go() {
        let children = Children::default();
        let deployment = |version: &str, says: &[(&str, &str, &str)]| {
            let mut deployment = seen(version, &json!({"f:spec": {"f:template": {}}}));
            let number = json!({"f:spec": {"f:replicas": {}}});
            let more = says.iter().map(|(manager, operation, subresource)| {
                json!({"manager": manager, "operation": operation, "subresource": subresource, "fieldsV1": number})
            });
            let more = more.map(|entry| serde_json::from_value::<ManagedFieldsEntry>(entry).unwrap());
            deployment.metadata.managed_fields.as_mut().unwrap().extend(more);
            Seen { kind: Kind::Deployment, ..deployment }
        };
        let is_scaled = |children: &Children| children.of(&a(), |_| None)[0].is_scaled;
        children.applied(&a(), &deployment("1", &[]), "00000000000000aa");
        assert!(!is_scaled(&children));
        children.observe(&deployment("2", &[(names::REPLICAS_FIELD_MANAGER, "Apply", "")]));
        assert!(is_scaled(&children));
        let observed = children.of(&a(), |_| None);
        assert_eq!(observed[0].applied.split_once('.').unwrap().1, &*observed[0].fields);
        assert_eq!(children.observe(&deployment("3", &[("kube-controller-manager", "Update", "scale")])), None);
        assert_eq!(children.observe(&deployment("4", &[])), Some(a()));
        assert!(!is_scaled(&children));
    }

    #[test]
    fn a_late_word_of_an_older_version_is_not_believed() {
        let children = Children::default();
        children.applied(&a(), &seen("7", &json!({"f:a": {}})), "00000000000000aa");
        assert_eq!(children.observe(&seen("6", &json!({}))), None);
        let observed = children.of(&a(), |_| None);
        assert_eq!(observed[0].applied.split_once('.').unwrap().1, &*observed[0].fields);
    }

    #[test]
    fn a_copy_made_elsewhere_is_not_the_instances() {
        let mut copy = seen("1", &json!({}));
        copy.metadata.namespace = Some("somewhere".into());
        assert_eq!(Children::default().observe(&copy), None);
    }

    #[test]
    fn an_object_whose_labels_name_nobody_any_more_is_missed_by_the_instance_it_is_with() {
        let children = Children::default();
        children.observe(&seen("2", &json!({})));
        let mut stripped = seen("3", &json!({}));
        stripped.metadata.labels.as_mut().unwrap().remove(names::LABEL_INSTANCE);
        assert_eq!(children.observe(&stripped), Some(a()));
        assert_eq!((children.of(&a(), |_| None).len(), children.count()), (0, 0));
        assert_eq!(children.observe(&stripped), None, "once");
        children.observe(&seen("4", &json!({})));
        assert_eq!(children.observe(&stripped), None, "a late word");
    }

    #[test]
    fn a_namespace_that_loses_its_labels_keeps_what_is_in_it() {
        let children = Children::default();
        children.observe(&seen("1", &json!({})));
        let mut namespace = Seen { kind: Kind::Namespace, ..seen("2", &json!({})) };
        (namespace.metadata.name, namespace.metadata.namespace) = (Some("gtc-a".into()), None);
        children.observe(&namespace);
        assert_eq!(children.count(), 2);
        assert_eq!(children.forget(Kind::Namespace, &namespace.metadata), Some(a()));
        assert_eq!((children.count(), children.namespace("gtc-a").is_none()), (1, true));
        children.observe(&namespace);
        namespace.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
        assert_eq!(children.forget(Kind::Namespace, &namespace.metadata), Some(a()));
        assert_eq!(children.count(), 0);
    }

    #[test]
    fn what_a_complete_list_lacks_is_forgotten() {
        let children = Children::default();
        children.observe(&seen("1", &json!({})));
        assert_eq!(children.keep_only(Kind::Deployment, &HashSet::new()), []);
        assert_eq!(children.keep_only(Kind::Service, &HashSet::new()), [a()]);
        assert_eq!(children.count(), 0);
    }
}
