//! The namespace of an instance: whose it is, and that only restricted pods run in it.

use crate::{
    inputs::{Inputs, full_name},
    objects::{Kind, Object, ObjectKey},
    render::owner_labels,
};
use gotocloud_api::{Instance, names};
use serde_json::{Value, json};

/// Kubernetes' own annotation for what an object is, in words.
const ANNOTATION_DESCRIPTION: &str = "kubernetes.io/description";

pub(super) fn render(inputs: &Inputs<'_>) -> Object {
    let spec = &inputs.instance.spec;
    let mut labels = owner_labels(inputs.instance);
    labels.insert(names::LABEL_APPLICATION.into(), spec.application.clone());
    labels.insert(names::LABEL_ESTABLISHMENT.into(), spec.establishment.clone());
    labels.insert(names::LABEL_PLATFORM.into(), inputs.platform.metadata.name.clone().unwrap_or_default());
    if let Some(grouping) = &inputs.membership.grouping {
        labels.insert(names::LABEL_GROUPING.into(), grouping.clone());
    }
    for member in &inputs.membership.members {
        labels.insert(format!("{}{member}", names::LABEL_MEMBER_PREFIX), "true".into());
    }
    if spec.is_protected() {
        labels.insert(names::LABEL_PROTECTED.into(), "true".into());
    }
    // Without a word beside its labels, it could not be known for its own once somebody took those off.
    let description = format!("The workload of the Instance {}", full_name(inputs.instance));
    manifest(&inputs.namespace, json!(labels), json!({ ANNOTATION_DESCRIPTION: description }))
}

/// The namespace of a deleted Instance whose data stays: with whose it was, since when, what it keeps, and of which Release.
pub fn retained(instance: &Instance, now: &str, data: &str, release: Option<&str>) -> Object {
    let mut labels = owner_labels(instance);
    labels.insert(names::LABEL_RETAINED.into(), "true".into());
    labels.insert(names::LABEL_PROTECTED.into(), "true".into());
    labels.insert(names::LABEL_APPLICATION.into(), instance.spec.application.clone());
    labels.insert(names::LABEL_ESTABLISHMENT.into(), instance.spec.establishment.clone());
    if let Some(platform) = instance.status.as_ref().and_then(|status| status.platform.clone()) {
        labels.insert(names::LABEL_PLATFORM.into(), platform);
    }
    let name = names::workload_namespace(instance.metadata.name.as_deref().unwrap_or_default());
    let mut annotations = json!({names::ANNOTATION_RETAINED_AT: now, names::ANNOTATION_RETAINED_DATA: data});
    if let Some(release) = release {
        annotations[names::ANNOTATION_RETAINED_RELEASE] = release.into();
    }
    manifest(&name, json!(labels), annotations)
}

#[allow(clippy::needless_pass_by_value)] // reads best with a literal
fn manifest(name: &str, mut labels: Value, annotations: Value) -> Object {
    for mode in ["enforce", "audit", "warn"] {
        labels[format!("pod-security.kubernetes.io/{mode}")] = "restricted".into();
    }
    let metadata = json!({"name": name, "labels": labels, "annotations": annotations});
    Object {
        key: ObjectKey::new(Kind::Namespace, "", name),
        manifest: json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}),
    }
}
