//! Who set the field that a campaign would write, and what has a campaign to say again when it writes?

use gotocloud_api::names;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The fields of an Instance's spec that campaigns write.
const FIELDS: [&str; 3] = ["f:release", "f:stage", "f:rehearse"];

/// Keeps of an object's bookkeeping what decisions need: what campaigns own, and who else owns what they would write.
pub fn keep_what_decides(entries: &mut Vec<ManagedFieldsEntry>) {
    entries.retain_mut(|entry| {
        if entry.subresource.as_deref().is_some_and(|subresource| !subresource.is_empty()) {
            return false;
        }
        if entry.manager.as_deref() == Some(super::FIELD_MANAGER) {
            return true;
        }
        let Some(fields) = &mut entry.fields_v1 else { return false };
        let owned: Vec<&str> = FIELDS.into_iter().filter(|field| is_owned(&fields.0, field)).collect();
        // As one text: each map would cost half a kilobyte an Instance.
        fields.0 = Value::String(owned.join(" "));
        (entry.api_version, entry.fields_type, entry.time) = (None, None, None);
        fields.0 != ""
    });
    entries.shrink_to_fit();
}

/// The longest word of a person that is kept, in bytes: a time, a name or an address.
const WORD_MAX: usize = 1024;

/// Keeps of an object's annotations what decisions need, whatever else somebody wrote there.
pub fn keep_words(annotations: &mut BTreeMap<String, String>) {
    annotations.retain(|name, word| names::WORDS.contains(&name.as_str()) && word.len() <= WORD_MAX);
}

/// Does a set of fields name that one of the spec? In the form in which it is kept here, or as the API server gives it.
fn is_owned(fields: &Value, field: &str) -> bool {
    match fields {
        Value::String(kept) => kept.split(' ').any(|one| one == field),
        fields => !fields["f:spec"][field].is_null(),
    }
}

/// The field manager that set a field of the spec, `release` or `stage`: somebody else before a campaign.
pub fn owner<'e>(entries: Option<&'e [ManagedFieldsEntry]>, field: &str) -> Option<&'e str> {
    let field = format!("f:{field}");
    let owns = |entry: &&ManagedFieldsEntry| entry.fields_v1.as_ref().is_some_and(|fields| is_owned(&fields.0, &field));
    let mut owners: Vec<&str> = entries?.iter().filter(owns).filter_map(|entry| entry.manager.as_deref()).collect();
    owners.sort_by_key(|owner| *owner == super::FIELD_MANAGER);
    owners.first().copied()
}

/// When a campaign last wrote something else than before; `None` if none ever did.
pub(crate) fn written_at(entries: Option<&[ManagedFieldsEntry]>) -> Option<Timestamp> {
    ours(entries)?.time.as_ref().map(|time| time.0)
}

/// What campaigns own.
fn ours(entries: Option<&[ManagedFieldsEntry]>) -> Option<&ManagedFieldsEntry> {
    entries.into_iter().flatten().find(|entry| {
        entry.manager.as_deref() == Some(super::FIELD_MANAGER) && entry.operation.as_deref() == Some("Apply")
    })
}

/// What a campaign has said of an object, as the body of its next apply: what it leaves out of that, it gives up.
pub fn said(object: &Value, entries: Option<&[ManagedFieldsEntry]>) -> Value {
    ours(entries)
        .and_then(|entry| entry.fields_v1.as_ref())
        .map_or_else(|| json!({}), |fields| extract(object, &fields.0))
}

/// The parts of a value that a set of fields names.
fn extract(value: &Value, fields: &Value) -> Value {
    let (Some(fields), Value::Object(map)) = (fields.as_object(), value) else { return value.clone() };
    let named: Map<String, Value> = fields
        .iter()
        .filter_map(|(field, below)| {
            let name = field.strip_prefix("f:")?;
            Some((name.to_owned(), extract(map.get(name)?, below)))
        })
        .collect();
    if named.is_empty() { value.clone() } else { named.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, fields: &Value) -> ManagedFieldsEntry {
        serde_json::from_value(json!({"manager": manager, "operation": "Apply", "fieldsV1": fields})).unwrap()
    }

    #[test]
    fn of_fat_annotations_only_the_words_of_persons_are_kept() {
        let all = [
            (names::ANNOTATION_RESTORED, "m-1".to_owned()),
            (names::ANNOTATION_GO_ON_WITH, "x".repeat(WORD_MAX + 1)),
            ("gotocloud.amue.fr/anything", "x".to_owned()),
            ("kubectl.kubernetes.io/last-applied-configuration", "x".repeat(250_000)),
        ];
        let mut annotations = all.into_iter().map(|(name, word)| (name.to_owned(), word)).collect();
        keep_words(&mut annotations);
        assert_eq!(annotations.keys().collect::<Vec<_>>(), [names::ANNOTATION_RESTORED]);
    }

    #[test]
    fn somebody_else_who_set_the_field_is_named_before_a_campaign() {
        let release = json!({"f:spec": {"f:release": {}}});
        let entries = [entry(crate::campaign::FIELD_MANAGER, &release), entry("kubectl", &release)];
        assert_eq!(owner(Some(&entries), "release"), Some("kubectl"));
        assert_eq!(owner(Some(&entries[..1]), "release"), Some(crate::campaign::FIELD_MANAGER));
        assert_eq!(owner(Some(&entries), "stage"), None);
    }

    #[test]
    fn only_what_decides_is_kept() {
        let mut entries = vec![
            entry("kubectl", &json!({"f:spec": {"f:release": {}, "f:env": {}}, "f:metadata": {}})),
            entry("other", &json!({"f:spec": {"f:env": {}}})),
            entry(crate::campaign::FIELD_MANAGER, &json!({"f:spec": {"f:establishment": {}}})),
        ];
        keep_what_decides(&mut entries);
        assert_eq!(entries.len(), 2);
        let owner = |field: &str| owner(Some(&entries), field);
        assert_eq!((owner("release"), owner("stage"), owner("env")), (Some("kubectl"), None, None));
    }

    #[test]
    fn what_a_campaign_said_before_is_said_again() {
        let object = json!({"metadata": {"name": "a", "labels": {"cohort": "P1", "other": "x"}},
            "spec": {"application": "app", "release": "r1", "rollout": {"campaign": "c", "attempt": 1}, "env": [1]}});
        let fields = json!({"f:metadata": {"f:labels": {"f:cohort": {}}},
            "f:spec": {"f:application": {}, "f:rollout": {"f:campaign": {}, "f:attempt": {}}}});
        let said = said(&object, Some(&[entry(crate::campaign::FIELD_MANAGER, &fields)]));
        assert_eq!(
            said,
            json!({"metadata": {"labels": {"cohort": "P1"}},
            "spec": {"application": "app", "rollout": {"campaign": "c", "attempt": 1}}})
        );
        assert_eq!(super::said(&object, None), json!({}));
    }
}
