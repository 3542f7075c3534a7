//! May an object that is already there be applied to?

use crate::{objects::ObjectKey, plan::Refusal};
use gotocloud_api::{conditions::Reason, names};
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
}

/// May the Instance called `namespace/name` apply to the object at `key`? It may where there is none, where the object
/// is its own, and where its owner handed it over by [`names::ANNOTATION_ADOPT`].
pub fn may_apply(key: &ObjectKey, existing: Option<&Existing>, namespace: &str, name: &str) -> Result<(), Refusal> {
    let Some(existing) = existing else { return Ok(()) };
    let label = |key: &str| existing.labels.get(key).map(String::as_str);
    let adopter = format!("{namespace}/{name}");
    if existing.annotations.get(names::ANNOTATION_ADOPT).is_some_and(|adopt_by| *adopt_by == adopter) {
        return Ok(());
    }
    if label(names::LABEL_MANAGED_BY) == Some(names::FIELD_MANAGER) {
        let owner = (label(names::LABEL_INSTANCE_NAMESPACE), label(names::LABEL_INSTANCE));
        return match owner {
            (Some(owner_namespace), Some(owner)) if (owner_namespace, owner) == (namespace, name) => Ok(()),
            (owner_namespace, owner) => Err(Refusal::new(
                Reason::NamespaceTaken,
                format!(
                    "{key} belongs to the Instance {}/{}: give this Instance another name",
                    owner_namespace.unwrap_or("?"),
                    owner.unwrap_or("?")
                ),
            )),
        };
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

/// Who holds a namespace with those labels, as `NAMESPACE/NAME` of an Instance; none where it is not the operator's.
pub fn holder(labels: &BTreeMap<String, String>) -> Option<(&str, &str)> {
    let label = |key: &str| labels.get(key).map(String::as_str);
    (label(names::LABEL_MANAGED_BY)? == names::FIELD_MANAGER)
        .then(|| Some((label(names::LABEL_INSTANCE_NAMESPACE)?, label(names::LABEL_INSTANCE)?)))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Kind;

    fn existing(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Existing {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect();
        Existing { labels: map(labels), annotations: map(annotations), managers: vec!["helm".into()] }
    }

    fn judge(existing: Option<&Existing>) -> Result<(), Refusal> {
        may_apply(&ObjectKey::new(Kind::ConfigMap, "gtc-a", "web-env"), existing, "hub", "a")
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
}
