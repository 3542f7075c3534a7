//! Who may do what in an instance's namespace: its pods nothing, the operator what it needs there and only there.

use super::{object, object_in, owner_labels};
use crate::{
    inputs::{Inputs, name_of},
    objects::{Kind, Object},
    snapshot::OperatorIdentity,
};
use gotocloud_api::{Instance, names};
use serde_json::json;

/// Name of the service account of an instance's pods.
pub(super) const SERVICE_ACCOUNT: &str = "workload";
const BINDING: &str = "gotocloud-operator";

pub(super) fn render(inputs: &Inputs<'_>, operator: &OperatorIdentity) -> Vec<Object> {
    let labels = owner_labels(inputs.instance);
    let mut objects = vec![object(
        inputs,
        Kind::ServiceAccount,
        SERVICE_ACCOUNT,
        &labels,
        json!({"automountServiceAccountToken": false}),
    )];
    objects.extend(binding(inputs.instance, operator));
    objects
}

/// By what the operator may change anything in an instance's namespace; `None` if it has all rights everywhere.
pub(crate) fn binding(instance: &Instance, operator: &OperatorIdentity) -> Option<Object> {
    let (namespace, name) = operator.service_account.as_ref()?;
    let fields = json!({
        "roleRef": {"apiGroup": Kind::RoleBinding.group(), "kind": "ClusterRole", "name": operator.instance_cluster_role},
        "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}],
    });

    let within = names::workload_namespace(name_of(instance));
    Some(object_in(&within, Kind::RoleBinding, BINDING, &owner_labels(instance), fields))
}
