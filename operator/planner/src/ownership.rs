//! May an object be applied to where it is already there, or made where it is not?

use crate::{
    inputs::full_name,
    objects::{Kind, ObjectKey},
    plan::Refusal,
};
use gotocloud_api::{Instance, conditions::Reason, instance::DatabasePlace, names};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

/// What is known of an object that is already there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Existing {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Who wrote it: the field managers it names.
    pub managers: Vec<String>,
    /// Did the operator apply it?
    pub is_applied: bool,
    /// Which one of those that bore its name.
    pub uid: String,
}

impl Existing {
    /// What its metadata tells.
    pub fn of(metadata: &ObjectMeta) -> Self {
        let entries = metadata.managed_fields.as_deref().unwrap_or_default();
        let mut managers: Vec<String> = entries.iter().filter_map(|entry| entry.manager.clone()).collect();
        managers.sort_unstable();
        managers.dedup();
        Self {
            labels: metadata.labels.clone().unwrap_or_default(),
            annotations: metadata.annotations.clone().unwrap_or_default(),
            managers,
            uid: metadata.uid.clone().unwrap_or_default(),
            is_applied: entries.iter().any(|entry| {
                entry.manager.as_deref() == Some(names::FIELD_MANAGER) && entry.operation.as_deref() == Some("Apply")
            }),
        }
    }
}

/// May the Instance apply to the object at `key`? It may where there is none, unless its data went with it; where the
/// object is its own; and where its owner handed it over by [`names::ANNOTATION_ADOPT`].
pub fn may_apply(key: &ObjectKey, existing: Option<&Existing>, instance: &Instance) -> Result<(), Refusal> {
    let Some(existing) = existing else { return holds_no_lost_data(key, instance) };
    let adopter = full_name(instance);
    if existing.annotations.get(names::ANNOTATION_ADOPT).is_some_and(|adopt_by| *adopt_by == adopter) {
        return Ok(());
    }
    let label = |key: &str| existing.labels.get(key).map(String::as_str);
    let owner = (label(names::LABEL_INSTANCE_NAMESPACE), label(names::LABEL_INSTANCE));
    let (namespace, name) = (instance.metadata.namespace.as_deref(), instance.metadata.name.as_deref());
    let is_labelled = label(names::LABEL_MANAGED_BY) == Some(names::FIELD_MANAGER);
    let names_no_other = (owner.0.is_none() || owner.0 == namespace) && (owner.1.is_none() || owner.1 == name);
    // Labels can be taken off: what it applied, and its inventory lists, is its own without them.
    let is_its_own = (is_labelled && owner == (namespace, name))
        || (existing.is_applied && names_no_other && key.was_applied(instance));
    if is_its_own {
        return Ok(());
    }

    if is_labelled {
        return Err(Refusal::new(
            Reason::NamespaceTaken,
            format!(
                "{key} belongs to the Instance {}/{}: give this Instance another name",
                owner.0.unwrap_or("?"),
                owner.1.unwrap_or("?")
            ),
        ));
    }

    let managers = if existing.managers.is_empty() { "somebody".to_owned() } else { existing.managers.join(", ") };
    Err(Refusal::new(
        Reason::ForeignObject,
        format!(
            "{key} is already there and belongs to {managers}: remove it, or hand it over with the annotation \
             {}={adopter}",
            names::ANNOTATION_ADOPT
        ),
    ))
}

/// A Cluster that is gone with the data of an Instance that ran is not made anew, empty: its pods would run on as if
/// nothing had been. Unless a person asked for it, of just that Cluster.
fn holds_no_lost_data(key: &ObjectKey, instance: &Instance) -> Result<(), Refusal> {
    let ran = instance.status.as_ref().filter(|status| status.release.is_some());
    let place = DatabasePlace::Cluster { namespace: &key.namespace, name: &key.name };
    let database = ran
        .and_then(|status| status.database.as_ref())
        .filter(|database| key.kind == Kind::Cluster && database.place() == place);
    let Some(lost) = database.map(|database| &database.provisioned).filter(|uid| !uid.is_empty()) else {
        return Ok(());
    };
    let annotations = instance.metadata.annotations.as_ref();
    if annotations.and_then(|all| all.get(names::ANNOTATION_NEW_EMPTY_DATABASE)) == Some(lost) {
        return Ok(());
    }
    Err(Refusal::new(
        Reason::DatabaseLost,
        format!(
            "the {key}, which held its data, is gone: bring it back under that name from a backup, or, to have an empty \
             one made, annotate the Instance with {}={lost}",
            names::ANNOTATION_NEW_EMPTY_DATABASE
        ),
    ))
}

/// Who holds a namespace with those labels, as `NAMESPACE/NAME` of an Instance; none where it is not the operator's.
pub fn holder(labels: &BTreeMap<String, String>) -> Option<(&str, &str)> {
    let label = |key: &str| labels.get(key).map(String::as_str);
    (label(names::LABEL_MANAGED_BY)? == names::FIELD_MANAGER)
        .then(|| Some((label(names::LABEL_INSTANCE_NAMESPACE)?, label(names::LABEL_INSTANCE)?)))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key() -> ObjectKey {
        ObjectKey::new(Kind::ConfigMap, "gtc-a", "web-env")
    }

    fn existing(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Existing {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        Existing {
            labels: map(labels),
            annotations: map(annotations),
            managers: vec!["helm".into()],
            ..Existing::default()
        }
    }

    /// The Instance `hub/a`, which last applied that to the object.
    fn instance(applied: Option<&str>) -> Instance {
        let entries: Vec<_> = applied.map(|applied| key().to_entry(applied)).into_iter().collect();
        let spec = json!({"application": "app", "establishment": "etab"});
        let status = json!({"inventory": {"count": entries.len(), "entries": entries}});
        let metadata = json!({"namespace": "hub", "name": "a"});
        let instance = json!({
            "apiVersion": "gotocloud.amue.fr/v1alpha1", "kind": "Instance", "metadata": metadata, "spec": spec, "status": status,
        });
        serde_json::from_value(instance).unwrap()
    }

    fn judge(existing: Option<&Existing>) -> Result<(), Refusal> {
        may_apply(&key(), existing, &instance(None))
    }

    const OURS: [(&str, &str); 2] =
        [(names::LABEL_MANAGED_BY, names::FIELD_MANAGER), (names::LABEL_INSTANCE_NAMESPACE, "hub")];

    #[test]
    fn nothing_there_is_free_to_take() {
        assert_eq!(judge(None), Ok(()));
    }

    #[test]
    fn its_own_object_is_its_own() {
        assert_eq!(judge(Some(&existing(&[OURS[0], OURS[1], (names::LABEL_INSTANCE, "a")], &[]))), Ok(()));
    }

    #[test]
    fn a_foreign_object_is_not_taken_over_and_its_owner_is_named() {
        let refusal = judge(Some(&existing(&[], &[]))).unwrap_err();
        assert_eq!(refusal.reason, Reason::ForeignObject);
        assert!(refusal.message.contains("belongs to helm"), "{refusal}");
    }

    #[test]
    fn a_foreign_object_handed_over_to_this_instance_is_taken() {
        assert_eq!(judge(Some(&existing(&[], &[(names::ANNOTATION_ADOPT, "hub/a")]))), Ok(()));
        assert!(judge(Some(&existing(&[], &[(names::ANNOTATION_ADOPT, "hub/b")]))).is_err());
    }

    #[test]
    fn an_object_of_another_instance_is_named_with_its_owner() {
        let refusal = judge(Some(&existing(&[OURS[0], OURS[1], (names::LABEL_INSTANCE, "b")], &[]))).unwrap_err();
        assert_eq!(refusal.reason, Reason::NamespaceTaken);
        assert!(refusal.message.contains("hub/b"), "{refusal}");
    }

    #[test]
    fn what_it_applied_and_lists_is_its_own_though_its_labels_were_taken_off() {
        for labels in
            [&[][..], &OURS, &OURS[1..], &[(names::LABEL_MANAGED_BY, "helm")], &[(names::LABEL_INSTANCE, "a")]]
        {
            let stripped = Existing { is_applied: true, ..existing(labels, &[]) };
            assert_eq!(may_apply(&key(), Some(&stripped), &instance(Some("1.2"))), Ok(()), "{labels:?}");
            for (what, instance, is_applied) in [
                ("its inventory does not list it", instance(None), true),
                ("it is wanted, but was never applied", instance(Some("")), true),
                ("the operator did not apply it", instance(Some("1.2")), false),
            ] {
                let stripped = Existing { is_applied, ..stripped.clone() };
                assert!(may_apply(&key(), Some(&stripped), &instance).is_err(), "{what}, {labels:?}");
            }
        }
    }

    #[test]
    fn what_it_applied_is_no_longer_its_own_where_its_labels_name_another_instance() {
        for label in [(names::LABEL_INSTANCE, "b"), (names::LABEL_INSTANCE_NAMESPACE, "elsewhere")] {
            let given_away = Existing { is_applied: true, ..existing(&[label], &[]) };
            assert!(may_apply(&key(), Some(&given_away), &instance(Some("1.2"))).is_err(), "{label:?}");
        }
    }

    #[test]
    fn that_the_operator_applied_it_is_told_by_its_field_managers() {
        let by = |manager: &str, operation: &str| {
            let metadata = json!({"managedFields": [{"manager": manager, "operation": operation}]});
            Existing::of(&serde_json::from_value(metadata).unwrap()).is_applied
        };
        assert!(by(names::FIELD_MANAGER, "Apply"));
        assert!(!by(names::FIELD_MANAGER, "Update") && !by("kubectl", "Apply"));
        assert!(!by(names::REPLICAS_FIELD_MANAGER, "Apply"));
    }
}
