//! Who may do what in an instance's namespace: its pods nothing, the operator what it needs there and only there.

use super::{object, owner_labels};
use crate::{
    inputs::Inputs,
    objects::{Kind, Object},
    snapshot::OperatorIdentity,
};
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
    if let Some((namespace, name)) = &operator.service_account {
        let fields = json!({
            "roleRef": {"apiGroup": Kind::RoleBinding.group(), "kind": "ClusterRole", "name": operator.instance_cluster_role},
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}],
        });
        objects.push(object(inputs, Kind::RoleBinding, BINDING, &labels, fields));
    }
    objects
}
